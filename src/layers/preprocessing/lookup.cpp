// What lives here: StringLookup, IntegerLookup and TextVectorization, over one vocabulary of strings or numbers.
#include <keras/layers/preprocessing/lookup.h>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>

#include <keras/ops.h>

#include "cpu/hashing.h"
#include "io/file.h"
#include "layers/preprocessing/encode.h"
#include "prims/build.h"
#include "prims/hash.h"

namespace keras::layers {

namespace {

std::string text_of(const std::string& s) { return s; }
std::string text_of(int64_t i) { return std::to_string(i); }
Value number_list(const std::optional<std::vector<double>>& v) { return serial::to_value(v); }
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

/// Keras' IndexLookup over tokens of type T.
template <class T> struct LookupImpl : LayerImpl {
  static constexpr bool kStrings = std::is_same_v<T, std::string>;
  std::optional<int64_t> max_tokens;
  int64_t num_oov;
  std::optional<T> mask_token, oov_token;
  std::optional<std::vector<T>> input_vocabulary;
  std::optional<std::vector<double>> input_idf;
  bool invert, pad_to_max, has_input_vocabulary;
  std::string mode, oov_method;
  Salt salt;
  std::optional<int64_t> frozen_size;

  std::vector<T> tokens;                  // without the special ones
  std::unordered_map<T, int64_t> places;  // of tokens, special ones counted
  Tensor idf;                             // float32, one per index
  // While adapting: how often a token came, and in how many documents.
  std::map<T, int64_t> counts, document_counts;
  int64_t documents = 0;

  template <class O> LookupImpl(const char* cls, const O& o)
      : max_tokens(o.max_tokens),
        num_oov(o.num_oov_indices),
        mask_token(o.mask_token),
        oov_token(o.oov_token),
        input_vocabulary(o.vocabulary),
        input_idf(o.idf_weights),
        invert(o.invert),
        pad_to_max(o.pad_to_max_tokens),
        has_input_vocabulary(o.vocabulary || o.vocabulary_file),
        mode(o.output_mode),
        oov_method(o.oov_method),
        frozen_size(o.vocabulary_size) {
    init(cls, o.name, true, std::nullopt);
    autocast_ = false;
    if (max_tokens && *max_tokens <= 1) bad_option(*this, "max_tokens", "a whole number above 1", *max_tokens);
    if (pad_to_max && !max_tokens) bad_option(*this, "pad_to_max_tokens", "false, or max_tokens beside it", true);
    if (num_oov < 0) bad_option(*this, "num_oov_indices", "a whole number >= 0", num_oov);
    check_option(*this, "oov_method", oov_method, {"floormod", "farmhash"});
    if (!o.salt.is_null() && !kStrings && oov_method != "farmhash") bad_option(*this, "salt", "oov_method \"farmhash\" beside it", o.salt);
    salt = Salt(*this, o.salt);
    if (mode == "binary") mode = "multi_hot";
    if (mode == "tf-idf") mode = "tf_idf";
    check_option(*this, "output_mode", mode, {"int", "one_hot", "multi_hot", "count", "tf_idf"});
    if (invert && mode != "int") bad_option(*this, "output_mode", "\"int\" with invert", mode);
    refuse(*this, "sparse", o.sparse);
    if (input_idf && mode != "tf_idf") bad_option(*this, "idf_weights", "output_mode \"tf_idf\" beside them", number_list(input_idf));
    if (o.vocabulary && o.vocabulary_file) bad_option(*this, "vocabulary_file", "either vocabulary or vocabulary_file", *o.vocabulary_file);
    if (mode == "tf_idf" && has_input_vocabulary && !input_idf)
      bad_option(*this, "idf_weights", "one weight per token of the vocabulary, with output_mode \"tf_idf\"", Value());
    if (input_vocabulary) set_vocabulary(*input_vocabulary, input_idf);
    if (o.vocabulary_file) read_vocabulary(*o.vocabulary_file);
  }

  // ---- places: the mask, then those of unknown tokens, then the tokens
  int64_t oov_start() const { return mask_token && mode == "int" ? 1 : 0; }
  int64_t token_start() const { return oov_start() + num_oov; }
  int64_t size() const { return static_cast<int64_t>(tokens.size()) + token_start(); }
  int64_t depth() const {
    if (pad_to_max) return *max_tokens;
    if (!frozen_size)
      throw RuntimeError(
          ErrorText{.what = fmt::format("with output_mode \"{}\" the vocabulary must be known before the layer is called", mode),
                    .where = where(),
                    .fix = "give `vocabulary`, call adapt, or set max_tokens and pad_to_max_tokens"}
              .str());
    return *frozen_size;
  }
  void freeze_size() {
    if (mode != "int" && !pad_to_max && frozen_size && *frozen_size != size())
      throw RuntimeError(ErrorText{.what = fmt::format("with output_mode \"{}\" the size of the vocabulary cannot change any more", mode),
                                   .where = where(),
                                   .expected = std::to_string(*frozen_size),
                                   .received = std::to_string(size()),
                                   .fix = "set max_tokens and pad_to_max_tokens"}
                             .str());
    frozen_size = size();
  }
  void set_tokens(std::vector<T> t) {
    tokens = std::move(t);
    places.clear();
    for (size_t i = 0; i < tokens.size(); ++i) places.emplace(tokens[i], token_start() + static_cast<int64_t>(i));
  }
  void set_vocabulary(const std::vector<T>& vocabulary, const std::optional<std::vector<double>>& weights) {
    if (mode == "tf_idf" && !weights) bad_option(*this, "idf_weights", "one weight per token, with output_mode \"tf_idf\"", Value());
    if (mode != "tf_idf" && weights) bad_option(*this, "idf_weights", "output_mode \"tf_idf\" beside them", number_list(weights));
    if (vocabulary.empty()) throw ValueError(ErrorText{.what = "the vocabulary is empty", .where = where()}.str());
    std::vector<std::optional<T>> special(static_cast<size_t>(oov_start()), mask_token);
    special.resize(static_cast<size_t>(token_start()), oov_token);
    bool with_special = vocabulary.size() >= special.size();
    for (size_t i = 0; with_special && i < special.size(); ++i) with_special = special[i] == vocabulary[i];
    std::vector<T> found(vocabulary.begin() + (with_special ? token_start() : 0), vocabulary.end());
    std::set<T> seen;
    for (const T& t : found)
      if (!seen.insert(t).second)
        throw ValueError(ErrorText{.what = "the vocabulary has a token twice", .where = where(), .received = text_of(t)}.str());
    auto reserved = [&](const char* what, const std::optional<T>& token) {
      if (token && seen.count(*token))
        throw ValueError(ErrorText{.what = fmt::format("the {} token stands among the tokens of the vocabulary", what),
                                   .where = where(),
                                   .expected = "no special tokens, or all of them in front: the mask, then the unknown",
                                   .received = text_of(*token)}
                             .str());
    };
    reserved("mask", mask_token);
    if (invert) reserved("oov", oov_token);
    int64_t total = token_start() + static_cast<int64_t>(found.size());
    if (max_tokens && total > *max_tokens)
      throw ValueError(ErrorText{.what = "the vocabulary is larger than max_tokens",
                                 .where = where(),
                                 .expected = fmt::format("at most {} tokens", *max_tokens),
                                 .received = std::to_string(total)}
                           .str());
    set_tokens(std::move(found));
    freeze_size();
    if (!weights) return;
    if (weights->size() != vocabulary.size())
      throw ValueError(ErrorText{.what = "there must be one weight per token",
                                 .where = where(),
                                 .expected = std::to_string(vocabulary.size()),
                                 .received = std::to_string(weights->size())}
                           .str());
    set_idf(*weights, with_special ? 0 : token_start());
  }
  /// `front` weights more in front: the mean of the others.
  void set_idf(const std::vector<double>& weights, int64_t front) {
    double mean = 0;
    for (double w : weights) mean += w / static_cast<double>(std::max<size_t>(weights.size(), 1));
    std::vector<float> all(static_cast<size_t>(front), static_cast<float>(mean));
    for (double w : weights) all.push_back(static_cast<float>(w));
    if (pad_to_max) all.resize(static_cast<size_t>(*max_tokens), 0.0f);
    idf = Tensor(all);
  }
  void read_vocabulary(const std::string& path) {
    if (mode == "tf_idf") bad_option(*this, "vocabulary_file", "a vocabulary in lists, with output_mode \"tf_idf\"", path);
    set_tokens(parsed(lines_of(io::read_text_file(path))));
    freeze_size();
  }
  std::vector<T> parsed(const std::vector<std::string>& lines) const {
    std::vector<T> out;
    for (const std::string& line : lines) {
      if constexpr (kStrings) {
        out.push_back(line);
      } else {
        try {
          out.push_back(std::stoll(line));
        } catch (const std::exception&) {
          throw ValueError(ErrorText{.what = "a line of the vocabulary is no whole number", .where = where(), .received = line}.str());
        }
      }
    }
    return out;
  }
  std::vector<T> get_vocabulary(bool special) const {
    std::vector<T> out;
    if (special) {
      out.assign(static_cast<size_t>(token_start()), oov_token.value_or(T{}));
      if (oov_start()) out[0] = *mask_token;
    }
    out.insert(out.end(), tokens.begin(), tokens.end());
    return out;
  }

  // ---- adapting
  void reset() {
    counts.clear();
    document_counts.clear();
    documents = 0;
  }
  /// Counts rows of tokens, each a document.
  void count(const std::vector<std::vector<T>>& rows) {
    if (has_input_vocabulary)
      throw RuntimeError(
          ErrorText{.what = "the vocabulary was given, so there is nothing to learn", .where = where(), .fix = "make the layer without one"}
              .str());
    for (const auto& row : rows) {
      for (const T& t : row) ++counts[t];
      if (mode == "tf_idf")
        for (const T& t : std::set<T>(row.begin(), row.end())) ++document_counts[t];
    }
    documents += static_cast<int64_t>(rows.size());
  }
  void learn() {
    if (mask_token) counts.erase(*mask_token);
    if (oov_token) counts.erase(*oov_token);
    // The most frequent first; of equally frequent ones the last in order.
    std::vector<std::pair<int64_t, T>> order;
    for (const auto& [t, n] : counts) order.emplace_back(n, t);
    std::sort(order.rbegin(), order.rend());
    if (max_tokens) order.resize(std::min(order.size(), static_cast<size_t>(std::max<int64_t>(0, *max_tokens - token_start()))));
    std::vector<T> found;
    std::vector<double> weights;
    for (const auto& [n, t] : order) {
      found.push_back(t);
      weights.push_back(std::log(1.0 + static_cast<double>(documents) / (1.0 + static_cast<double>(document_counts[t]))));
    }
    set_tokens(std::move(found));
    if (mode == "tf_idf") set_idf(weights, token_start());
    reset();
    freeze_size();
  }

  // ---- looking up
  int64_t place(const T& token) const {
    if (mask_token && token == *mask_token) return mode == "int" ? 0 : -1;  // -1: encoded as nothing
    auto at = places.find(token);
    if (at != places.end()) return at->second;
    if (num_oov == 0)
      throw ValueError(ErrorText{.what = "a token is not in the vocabulary, and num_oov_indices = 0 leaves it no place",
                                 .where = where(),
                                 .received = text_of(token),
                                 .fix = "set num_oov_indices = 1"}
                           .str());
    if (num_oov == 1) return oov_start();
    if constexpr (!kStrings)
      if (oov_method != "farmhash") return oov_start() + ((token % num_oov) + num_oov) % num_oov;
    return oov_start() + salt.bin(text_of(token), num_oov);
  }
  Tensor encoded(const Tensor& indices) const {
    if (mode == "int") return encode_categories(indices, "int", 0, DType::Int32);
    Tensor y = encode_categories(indices, mode == "tf_idf" ? "count" : mode, depth(), DType::Int32);
    if (mode != "tf_idf") return y;
    if (!idf.defined())
      throw RuntimeError(ErrorText{.what = "the layer has no idf weights yet", .where = where(), .fix = "call adapt, or give them"}.str());
    return ops::cast(y, DType::Float32) * idf;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (mode != "int" && !e.axes.empty())
      e.axes.back() = pad_to_max
                          ? fmt::format("max_tokens={}: as wide as the vocabulary may become, since pad_to_max_tokens is set", depth())
                          : fmt::format("one place for each of the {} tokens of the vocabulary, and {} for unknown ones in front",
                                        tokens.size(), token_start());
    e.notes = {fmt::format("{} has no weights; its vocabulary is kept beside them", class_name_)};
    return e;
  }

  // ---- saving
  Assets save_assets() const override {
    if (input_vocabulary) return {};
    std::string text;
    for (const T& t : get_vocabulary(true)) text += text_of(t) + "\n";
    if (!text.empty()) text.pop_back();
    return {{"vocabulary.txt", text}};
  }
  void load_assets(const Assets& files) override {
    if (input_vocabulary) return;
    for (const auto& [name, text] : files) {
      if (name != "vocabulary.txt") continue;
      // A vocabulary of empty special tokens alone reads as nothing.
      std::vector<T> all = parsed(lines_of(text));
      if (all.empty()) return;
      if (mode == "tf_idf") {
        set_vocabulary(all, idf.defined() ? std::optional(idf.to_vector<double>()) : std::nullopt);
      } else {
        set_vocabulary(all, std::nullopt);
      }
    }
  }
  Store save_own_variables() const override {
    if (mode != "tf_idf" || !idf.defined()) return {};
    return {{"idf_weights", idf}};
  }
  void load_own_variables(const Store& store) override {
    for (const auto& [name, value] : store)
      if (name == "idf_weights") idf = value.astype(DType::Float32);
  }
  Value build_config() const override { return Dict{}; }
  void build_from_config(const Value&) override { built_ = true; }
  Dict own_config() const override {
    auto token = [](const std::optional<T>& t) { return t ? Value(*t) : Value(); };
    Dict d{{"invert", invert},
           {"max_tokens", max_tokens},
           {"num_oov_indices", num_oov},
           {"oov_token", token(oov_token)},
           {"mask_token", token(mask_token)},
           {"output_mode", mode},
           {"sparse", false},
           {"pad_to_max_tokens", pad_to_max}};
    if (!kStrings) d.set("vocabulary_dtype", "int64");
    d.set("idf_weights", number_list(input_idf));
    d.set("vocabulary", serial::to_value(input_vocabulary));
    d.set("vocabulary_size", frozen_size);
    d.set("oov_method", oov_method);
    d.set("salt", salt.config());
    return d;
  }
};

struct StringLookupImpl : LookupImpl<std::string> {
  std::string encoding;
  explicit StringLookupImpl(const StringLookupOptions& o) : LookupImpl("StringLookup", o), encoding(o.encoding) {}
  Tensors call(const Call& c) override {
    throw TypeError(ErrorText{.what = "strings are looked up, not tensors of numbers",
                              .where = where(),
                              .expected = invert ? "a call of invert(indices)" : "a StringArray",
                              .received = c.input().shape().str() + " " + dtype_name(c.input().dtype())}
                        .str());
  }
  Tensor indices(const StringArray& in) const {
    std::vector<int32_t> out;
    for (const std::string& s : in.values) out.push_back(static_cast<int32_t>(place(s)));
    return Tensor::from<int32_t>(out, in.shape);
  }
  Tensor call_strings(const StringArray& in) const {
    if (invert)
      throw TypeError(ErrorText{.what = "the layer is inverted: it takes indices", .where = where(), .fix = "call invert(indices)"}.str());
    return encoded(indices(in));
  }
  StringArray inverted(const Tensor& in) const {
    if (!invert)
      throw TypeError(
          ErrorText{.what = "the layer is not inverted: it takes strings", .where = where(), .fix = "make it with invert = true"}.str());
    std::vector<std::string> vocabulary = get_vocabulary(true), out;
    for (int64_t i : in.to_vector<int64_t>())
      out.push_back(i >= token_start() && i < size() ? vocabulary[static_cast<size_t>(i)]
                    : mask_token && i == 0           ? *mask_token
                                                     : oov_token.value_or(""));
    return StringArray(in.shape(), std::move(out));
  }
  /// Rows of (documents, tokens); a vector is one document a string, or all one document.
  static std::vector<std::vector<std::string>> rows(const StringArray& in, bool each) {
    if (in.rank() <= 1 && !each) return {in.values};
    int64_t n = in.rank() == 0 ? 1 : in.shape[0];
    std::vector<std::vector<std::string>> out(static_cast<size_t>(n));
    for (size_t i = 0; i < in.size(); ++i) out[i / std::max<size_t>(1, in.size() / static_cast<size_t>(n))].push_back(in[i]);
    return out;
  }
  Dict own_config() const override {
    Dict d = LookupImpl::own_config();
    d.set("encoding", encoding);
    return d;
  }
};

struct IntegerLookupImpl : LookupImpl<int64_t> {
  explicit IntegerLookupImpl(const IntegerLookupOptions& o) : LookupImpl("IntegerLookup", o) {
    if (o.vocabulary_dtype != "int64") bad_option(*this, "vocabulary_dtype", "\"int64\"", o.vocabulary_dtype);
  }
  Tensors call(const Call& c) override {
    Tensor x = ops::cast(c.input(), DType::Int64);
    auto wide = [](int64_t v) { return Tensor::from<int64_t>(std::vector<int64_t>{v}, {}); };
    if (invert) {
      std::vector<int64_t> table = get_vocabulary(true);
      for (size_t i = 0; i < static_cast<size_t>(token_start()); ++i) table[i] = oov_token.value_or(-1);
      table.push_back(oov_token.value_or(-1));
      auto last = static_cast<int64_t>(table.size()) - 1;
      Tensor known = ops::logical_and(ops::greater_equal(x, 0), ops::less(x, last));
      Tensor y = prims::gather(Tensor(table), ops::cast(ops::where(known, x, wide(last)), DType::Int32), 0);
      if (mask_token) y = ops::where(ops::equal(x, 0), wide(*mask_token), y);
      return {ops::cast(y, DType::Int32)};
    }
    if (mode != "int") depth();
    // Binary search in the sorted tokens, then from the order of sorting back to their places.
    std::vector<std::pair<int64_t, int64_t>> sorted;
    for (const auto& [token, at] : places) sorted.emplace_back(token, at);
    std::sort(sorted.begin(), sorted.end());
    std::vector<int64_t> keys;
    std::vector<int32_t> at;
    for (const auto& [token, index] : sorted) {
      keys.push_back(token);
      at.push_back(static_cast<int32_t>(index));
    }
    auto n = static_cast<int64_t>(keys.size());
    if (keys.empty()) keys.push_back(0);  // never found: see `hit`
    Tensor place = ops::minimum(ops::searchsorted(Tensor(keys), x), static_cast<int64_t>(keys.size()) - 1);
    Tensor hit = ops::equal(prims::gather(Tensor(keys), place, 0), x), masked;
    if (n == 0) hit = ops::logical_and(hit, ops::not_equal(x, x));
    if (mask_token) masked = ops::equal(x, wide(*mask_token));
    at.push_back(0);
    place = ops::where(hit, place, n);
    if (num_oov == 0) {
      // The place beyond the table is an error of the gather, so that a compiled step finds unknown tokens too.
      at.pop_back();
      if (masked.defined()) {
        at.push_back(0);
        place = ops::where(masked, n, ops::where(hit, place, n + 1));
      }
    }
    std::string who = where() + ": a token is not in the vocabulary, and num_oov_indices = 0 leaves it no place";
    Tensor y = prims::gather(Tensor(at), ops::cast(place, DType::Int32), 0, prims::IndexMode::Error, num_oov == 0 ? who : "");
    if (num_oov > 0) {
      Tensor unknown = Tensor::full({}, static_cast<double>(oov_start()), DType::Int32);
      if (num_oov > 1) {
        Tensor bin = oov_method == "farmhash"
                         ? prims::hash_bins<Tensor>({x}, salt.given ? cpu::HashKind::Keyed : cpu::HashKind::Fingerprint, num_oov, salt.key)
                         : ops::cast(ops::mod(x, wide(num_oov)), DType::Int32);
        unknown = bin + static_cast<int>(oov_start());
      }
      y = ops::where(hit, y, unknown);
    }
    if (masked.defined()) y = ops::where(masked, mode == "int" ? 0 : -1, y);
    return {encoded(y)};
  }
  static std::vector<std::vector<int64_t>> rows(const Tensor& in, bool each) {
    std::vector<int64_t> all = in.to_vector<int64_t>();
    if (in.rank() <= 1 && !each) return {all};
    size_t n = in.rank() == 0 ? 1 : static_cast<size_t>(in.shape()[0]);
    std::vector<std::vector<int64_t>> out(n);
    for (size_t i = 0; i < all.size(); ++i) out[i / std::max<size_t>(1, all.size() / n)].push_back(all[i]);
    return out;
  }
};

// ---- text
std::string standardized(std::string s, bool lower, bool strip) {
  std::string out;
  for (char c : s) {
    auto u = static_cast<unsigned char>(c);
    if (strip && u < 128 && std::ispunct(u)) continue;
    out.push_back(lower && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return out;
}
std::vector<std::string> words(const std::string& s) {
  std::vector<std::string> out;
  std::string word;
  for (char c : s + " ") {
    bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) {
      word.push_back(c);
    } else if (!word.empty()) {
      out.push_back(std::move(word));
      word.clear();
    }
  }
  return out;
}
/// Code points of UTF-8; bytes that are none become U+FFFD.
std::vector<std::string> characters(const std::string& s) {
  std::vector<std::string> out;
  for (size_t i = 0; i < s.size();) {
    auto c = static_cast<unsigned char>(s[i]);
    size_t n = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    bool good = n > 0 && i + n <= s.size();
    for (size_t k = 1; good && k < n; ++k) good = (static_cast<unsigned char>(s[i + k]) & 0xC0) == 0x80;
    out.push_back(good ? s.substr(i, n) : "\xEF\xBF\xBD");
    i += good ? n : 1;
  }
  return out;
}

struct TextVectorizationImpl : LayerImpl {
  TextVectorizationOptions o;
  std::vector<int64_t> ngrams;
  Layer lookup;
  explicit TextVectorizationImpl(const TextVectorizationOptions& options) : o(options) {
    init_common("TextVectorization", o);
    autocast_ = false;
    if (o.standardize && !o.standardize_function)
      check_option(*this, "standardize", *o.standardize, {"lower_and_strip_punctuation", "lower", "strip_punctuation"});
    if (o.split && !o.split_function) check_option(*this, "split", *o.split, {"whitespace", "character"});
    if (o.output_mode == "binary") o.output_mode = "multi_hot";
    if (o.output_mode == "tf-idf") o.output_mode = "tf_idf";
    check_option(*this, "output_mode", o.output_mode, {"int", "one_hot", "multi_hot", "count", "tf_idf"});
    if (o.ngrams.is_int()) {
      for (int64_t n = 1; n <= o.ngrams.as_int(); ++n) ngrams.push_back(n);
    } else if (o.ngrams.is_list()) {
      ngrams = o.ngrams.as_ints();
    } else if (!o.ngrams.is_null()) {
      bad_option(*this, "ngrams", "a whole number, a list of them, or null", o.ngrams);
    }
    if (o.output_mode != "int" && o.output_sequence_length)
      bad_option(*this, "output_sequence_length", "output_mode \"int\" beside it", *o.output_sequence_length);
    if (o.output_sequence_length && *o.output_sequence_length < 0)
      bad_option(*this, "output_sequence_length", "a whole number >= 0", *o.output_sequence_length);
    refuse(*this, "sparse", o.sparse);
    refuse(*this, "ragged", o.ragged);
    lookup = StringLookup({.max_tokens = o.max_tokens,
                           .mask_token = "",
                           .vocabulary = o.vocabulary,
                           .vocabulary_file = o.vocabulary_file,
                           .idf_weights = o.idf_weights,
                           .output_mode = o.output_mode,
                           .pad_to_max_tokens = o.pad_to_max_tokens,
                           .encoding = o.encoding,
                           .vocabulary_size = adapted_size()});
    parts_.emplace_back("_lookup_layer", lookup);
  }
  /// A saved size is that of the vocabulary to come; one of special tokens alone says that there was none.
  std::optional<int64_t> adapted_size() const {
    int64_t special = o.output_mode == "int" ? 2 : 1;
    return o.vocabulary_size && *o.vocabulary_size > special ? o.vocabulary_size : std::nullopt;
  }
  StringLookupImpl& table() const { return inside<StringLookupImpl>(lookup, "a StringLookup"); }
  Tensors call(const Call& c) override {
    throw TypeError(ErrorText{.what = "texts are vectorised, not tensors of numbers",
                              .where = where(),
                              .expected = "a StringArray",
                              .received = c.input().shape().str() + " " + dtype_name(c.input().dtype())}
                        .str());
  }
  std::string standard(const std::string& s) const {
    if (o.standardize_function) return o.standardize_function(s);
    if (!o.standardize) return s;
    return standardized(s, *o.standardize != "strip_punctuation", *o.standardize != "lower");
  }
  bool splits() const { return o.split_function || o.split; }
  std::vector<std::string> pieces(const std::string& s) const {
    if (o.split_function) return o.split_function(s);
    return *o.split == "whitespace" ? words(s) : characters(s);
  }
  std::vector<std::string> with_ngrams(const std::vector<std::string>& tokens) const {
    if (ngrams.empty()) return tokens;
    std::vector<std::string> out;
    for (int64_t n : ngrams)
      for (size_t i = 0; n > 0 && i + static_cast<size_t>(n) <= tokens.size(); ++i) {
        std::string joined = tokens[i];
        for (size_t k = 1; k < static_cast<size_t>(n); ++k) joined += " " + tokens[i + k];
        out.push_back(std::move(joined));
      }
    return out;
  }
  /// One row of tokens for each text; where texts are not split, for each row, and of a vector for each text or for all of it.
  std::vector<std::vector<std::string>> rows(const StringArray& in, bool each) const {
    std::vector<std::vector<std::string>> out;
    if (splits()) {
      if (in.rank() > 2 || (in.rank() == 2 && in.shape[1] != 1))
        throw ValueError(ErrorText{.what = "texts that are split stand one by one",
                                   .where = where(),
                                   .expected = "shape (batch) or (batch, 1)",
                                   .received = in.shape.str()}
                             .str());
      for (const std::string& s : in.values) out.push_back(with_ngrams(pieces(standard(s))));
      return out;
    }
    for (std::vector<std::string>& row : StringLookupImpl::rows(in, each)) {
      for (std::string& s : row) s = standard(s);
      out.push_back(with_ngrams(row));
    }
    return out;
  }
  Tensor call_strings(const StringArray& in) const {
    std::vector<std::vector<std::string>> all = rows(in, false);
    const StringLookupImpl& t = table();
    bool one_row = in.rank() == 0 || (!splits() && in.rank() == 1);
    if (o.output_mode == "one_hot" && splits())
      throw ValueError(ErrorText{.what = "rows of differing length cannot be one_hot",
                                 .where = where(),
                                 .expected = "\"multi_hot\", \"count\", \"tf_idf\" or \"int\"",
                                 .fix = "set split to nothing"}
                           .str());
    size_t longest = 0;
    for (const auto& r : all) longest = std::max(longest, r.size());
    auto length = o.output_mode == "int" ? o.output_sequence_length.value_or(static_cast<int64_t>(longest)) : static_cast<int64_t>(longest);
    int32_t nothing = o.output_mode == "int" ? 0 : -1;
    std::vector<int32_t> indices;
    for (const auto& r : all)
      for (size_t i = 0; i < static_cast<size_t>(length); ++i)
        indices.push_back(i < r.size() ? static_cast<int32_t>(t.place(r[i])) : nothing);
    Shape s{static_cast<int64_t>(all.size()), length};
    if (one_row) s = {length};
    return t.encoded(Tensor::from<int32_t>(indices, s));
  }
  void adapt(const std::vector<StringArray>& batches, bool each) {
    StringLookupImpl& t = table();
    t.reset();
    for (const StringArray& b : batches) t.count(rows(b, each));
    t.learn();
  }
  Assets save_assets() const override { return table().save_assets(); }
  void load_assets(const Assets& files) override { table().load_assets(files); }
  Store save_own_variables() const override { return table().save_own_variables(); }
  void load_own_variables(const Store& s) override { table().load_own_variables(s); }
  Value build_config() const override { return Value(); }
  void build_from_config(const Value&) override { built_ = true; }
  Dict own_config() const override {
    if (o.standardize_function || o.split_function)
      throw ValueError(
          ErrorText{.what = "a function of one's own cannot be saved", .where = where(), .expected = "standardize and split by name"}
              .str());
    const StringLookupImpl& t = table();
    return {{"max_tokens", o.max_tokens},
            {"standardize", o.standardize},
            {"split", o.split},
            {"ngrams", o.ngrams},
            {"output_mode", o.output_mode},
            {"output_sequence_length", o.output_sequence_length},
            {"pad_to_max_tokens", o.pad_to_max_tokens},
            {"sparse", false},
            {"ragged", false},
            {"vocabulary", serial::to_value(t.input_vocabulary)},
            {"idf_weights", number_list(t.input_idf)},
            {"encoding", o.encoding},
            {"vocabulary_size", t.size()}};
  }
};

StringLookupImpl& strings(const Layer& l) { return inside<StringLookupImpl>(l, "a StringLookup"); }
IntegerLookupImpl& integers(const Layer& l) { return inside<IntegerLookupImpl>(l, "an IntegerLookup"); }
TextVectorizationImpl& texts(const Layer& l) { return inside<TextVectorizationImpl>(l, "a TextVectorization"); }

/// One array: each row of it a document, of a vector each element. Several: each a batch, of a vector one document.
template <class Impl, class Data> void adapt_to(Impl& impl, const std::vector<Data>& batches, bool each) {
  impl.reset();
  for (const Data& b : batches) impl.count(Impl::rows(b, each));
  impl.learn();
}

}  // namespace

StringLookup::StringLookup(const StringLookupOptions& o) : Layer(make_impl<StringLookupImpl>(o)) {}
StringLookup::StringLookup(const Layer& layer) : Layer(layer) { strings(layer); }
Layer StringLookup::from_config(const Dict& c) { return StringLookup(options_from<StringLookupOptions>(c, "StringLookup")); }
Tensor StringLookup::operator()(const StringArray& in) const { return strings(*this).call_strings(in); }
StringArray StringLookup::invert(const Tensor& indices) const { return strings(*this).inverted(indices); }
void StringLookup::adapt(const StringArray& data) const { adapt_to<StringLookupImpl, StringArray>(strings(*this), {data}, true); }
void StringLookup::adapt(const std::vector<StringArray>& batches) const { adapt_to(strings(*this), batches, false); }
void StringLookup::set_vocabulary(const std::vector<std::string>& v, const std::optional<std::vector<double>>& idf) const {
  strings(*this).set_vocabulary(v, idf);
}
std::vector<std::string> StringLookup::get_vocabulary(bool special) const { return strings(*this).get_vocabulary(special); }
int64_t StringLookup::vocabulary_size() const { return strings(*this).size(); }

IntegerLookup::IntegerLookup(const IntegerLookupOptions& o) : Layer(make_impl<IntegerLookupImpl>(o)) {}
IntegerLookup::IntegerLookup(const Layer& layer) : Layer(layer) { integers(layer); }
Layer IntegerLookup::from_config(const Dict& c) { return IntegerLookup(options_from<IntegerLookupOptions>(c, "IntegerLookup")); }
void IntegerLookup::adapt(const Tensor& data) const { adapt_to<IntegerLookupImpl, Tensor>(integers(*this), {data}, true); }
void IntegerLookup::adapt(const Tensors& batches) const { adapt_to(integers(*this), batches, false); }
void IntegerLookup::set_vocabulary(const std::vector<int64_t>& v, const std::optional<std::vector<double>>& idf) const {
  integers(*this).set_vocabulary(v, idf);
}
std::vector<int64_t> IntegerLookup::get_vocabulary(bool special) const { return integers(*this).get_vocabulary(special); }
int64_t IntegerLookup::vocabulary_size() const { return integers(*this).size(); }

TextVectorization::TextVectorization(const TextVectorizationOptions& o) : Layer(make_impl<TextVectorizationImpl>(o)) {}
TextVectorization::TextVectorization(const Layer& layer) : Layer(layer) { texts(layer); }
Layer TextVectorization::from_config(const Dict& c) {
  return TextVectorization(options_from<TextVectorizationOptions>(c, "TextVectorization"));
}
Tensor TextVectorization::operator()(const StringArray& in) const { return texts(*this).call_strings(in); }
void TextVectorization::adapt(const StringArray& data) const { texts(*this).adapt({data}, true); }
void TextVectorization::adapt(const std::vector<StringArray>& batches) const { texts(*this).adapt(batches, false); }
void TextVectorization::set_vocabulary(const std::vector<std::string>& v, const std::optional<std::vector<double>>& idf) const {
  texts(*this).table().set_vocabulary(v, idf);
}
std::vector<std::string> TextVectorization::get_vocabulary(bool special) const { return texts(*this).table().get_vocabulary(special); }
int64_t TextVectorization::vocabulary_size() const { return texts(*this).table().size(); }

}  // namespace keras::layers
