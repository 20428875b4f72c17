// What lives here: the layers that look tokens up in a vocabulary: StringLookup, IntegerLookup, and TextVectorization, which makes the tokens.
#pragma once
#include <functional>

#include <keras/base/string_array.h>
#include <keras/layers/layer.h>

namespace keras::layers {

struct StringLookupOptions {
  /// The greatest size of the vocabulary, special tokens included.
  std::optional<int64_t> max_tokens{};
  /// Places for tokens that are not in the vocabulary; 0 makes them an error.
  int64_t num_oov_indices = 1;
  /// A token that stands for "nothing": index 0 in "int" mode, left out in the others.
  std::optional<std::string> mask_token{};
  std::optional<std::string> oov_token = "[UNK]";
  /// The tokens, with or without the special ones in front. Without it, `adapt` finds them.
  std::optional<std::vector<std::string>> vocabulary{};
  /// Or a file with one token a line.
  std::optional<std::string> vocabulary_file{};
  /// One weight per token, for "tf_idf".
  std::optional<std::vector<double>> idf_weights{};
  /// From indices to tokens: see StringLookup::invert.
  bool invert = false;
  /// "int", "one_hot", "multi_hot", "count", "tf_idf".
  std::string output_mode = "int";
  /// Makes encoded outputs `max_tokens` wide, however many there are.
  bool pad_to_max_tokens = false;
  bool sparse = false;
  std::string encoding = "utf-8";
  /// One number or two: tokens outside the vocabulary are hashed by SipHash with this key.
  Value salt{};
  /// "floormod" or "farmhash": how whole numbers outside the vocabulary get their place.
  std::string oov_method = "floormod";
  /// As saved; Keras' own.
  std::optional<int64_t> vocabulary_size{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode, pad_to_max_tokens, sparse,
               encoding, salt, oov_method, vocabulary_size)
};
/// Keras' StringLookup: strings to their index in a vocabulary, or encoded; inverted, indices to strings.
///
///     keras::layers::StringLookup lookup({.vocabulary = {{"a", "b", "c"}}});
///     lookup(keras::StringArray({"b", "d"}));                                        // [2, 0]
class StringLookup : public Layer {
 public:
  explicit StringLookup(const StringLookupOptions& options = {});
  /// The same layer, found in a model. TypeError when it is another one.
  explicit StringLookup(const Layer& layer);
  static Layer from_config(const Dict& config);
  using Layer::operator();
  /// "int": the indices, int32 of the input's shape; "one_hot": a vector per string; the others: a vector per row.
  Tensor operator()(const StringArray& inputs) const;
  /// The strings of indices; needs `.invert = true`. Indices outside the vocabulary give the oov token.
  StringArray invert(const Tensor& indices) const;
  /// Counts the tokens of the data and makes the most frequent ones the vocabulary; of an array (documents) or (documents, tokens), or of
  /// batches.
  void adapt(const StringArray& data) const;
  void adapt(const std::vector<StringArray>& batches) const;
  void set_vocabulary(const std::vector<std::string>& vocabulary, const std::optional<std::vector<double>>& idf_weights = {}) const;
  std::vector<std::string> get_vocabulary(bool include_special_tokens = true) const;
  int64_t vocabulary_size() const;
};

struct IntegerLookupOptions {
  std::optional<int64_t> max_tokens{};
  int64_t num_oov_indices = 1;
  std::optional<int64_t> mask_token{};
  std::optional<int64_t> oov_token = -1;
  std::optional<std::vector<int64_t>> vocabulary{};
  /// A file with one number a line.
  std::optional<std::string> vocabulary_file{};
  /// Always "int64".
  std::string vocabulary_dtype = "int64";
  std::optional<std::vector<double>> idf_weights{};
  bool invert = false;
  std::string output_mode = "int";
  bool sparse = false;
  bool pad_to_max_tokens = false;
  std::string oov_method = "floormod";
  Value salt{};
  std::optional<int64_t> vocabulary_size{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, vocabulary_dtype, idf_weights, invert, output_mode, sparse,
               pad_to_max_tokens, oov_method, salt, vocabulary_size)
};
/// Keras' IntegerLookup: whole numbers to their index in a vocabulary, or encoded; inverted, indices to numbers. Unlike Keras' it is
/// compiled into a model's step like any other layer.
class IntegerLookup : public Layer {
 public:
  explicit IntegerLookup(const IntegerLookupOptions& options = {});
  explicit IntegerLookup(const Layer& layer);
  static Layer from_config(const Dict& config);
  void adapt(const Tensor& data) const;
  void adapt(const Tensors& batches) const;
  void set_vocabulary(const std::vector<int64_t>& vocabulary, const std::optional<std::vector<double>>& idf_weights = {}) const;
  std::vector<int64_t> get_vocabulary(bool include_special_tokens = true) const;
  int64_t vocabulary_size() const;
};

struct TextVectorizationOptions {
  std::optional<int64_t> max_tokens{};
  /// "lower_and_strip_punctuation", "lower", "strip_punctuation" or nothing. Letters of other alphabets than ASCII keep their case, as in
  /// TensorFlow.
  std::optional<std::string> standardize = "lower_and_strip_punctuation";
  /// "whitespace", "character" or nothing.
  std::optional<std::string> split = "whitespace";
  /// n: sequences of 1 to n tokens; or a list of lengths.
  Value ngrams{};
  std::string output_mode = "int";
  /// "int" mode: cuts and fills rows to this length; otherwise to the longest of the call.
  std::optional<int64_t> output_sequence_length{};
  bool pad_to_max_tokens = false;
  std::optional<std::vector<std::string>> vocabulary{};
  std::optional<std::vector<double>> idf_weights{};
  bool sparse = false, ragged = false;
  std::string encoding = "utf-8";
  std::optional<int64_t> vocabulary_size{};
  /// Functions of one's own in place of `standardize` and `split`; a layer with one cannot be saved.
  std::function<std::string(const std::string&)> standardize_function{};
  std::function<std::vector<std::string>(const std::string&)> split_function{};
  std::optional<std::string> vocabulary_file{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(max_tokens, standardize, split, ngrams, output_mode, output_sequence_length, pad_to_max_tokens, vocabulary, idf_weights,
               sparse, ragged, encoding, vocabulary_size)
};
/// Keras' TextVectorization: texts to rows of token indices, or encoded. Index 0 fills up, 1 is for unknown tokens.
///
///     keras::layers::TextVectorization vectorize({.output_sequence_length = 4});
///     vectorize.adapt(keras::StringArray({"foo bar", "bar baz"}));
///     vectorize(keras::StringArray({"bar qux"}));                                    // [[2, 1, 0, 0]]
class TextVectorization : public Layer {
 public:
  explicit TextVectorization(const TextVectorizationOptions& options = {});
  explicit TextVectorization(const Layer& layer);
  static Layer from_config(const Dict& config);
  using Layer::operator();
  /// Texts (batch) or (batch, 1) → (batch, length) int32 in "int" mode, else (batch, size of the vocabulary).
  Tensor operator()(const StringArray& inputs) const;
  void adapt(const StringArray& data) const;
  void adapt(const std::vector<StringArray>& batches) const;
  void set_vocabulary(const std::vector<std::string>& vocabulary, const std::optional<std::vector<double>>& idf_weights = {}) const;
  std::vector<std::string> get_vocabulary(bool include_special_tokens = true) const;
  int64_t vocabulary_size() const;
};

}  // namespace keras::layers
