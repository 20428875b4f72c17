// What lives here: the layers that turn numbers and hashes into categories: CategoryEncoding, Discretization, Hashing, HashedCrossing.
#pragma once
#include <keras/base/string_array.h>
#include <keras/layers/layer.h>

namespace keras::layers {

struct CategoryEncodingOptions {
  /// "multi_hot", "one_hot" or "count".
  std::string output_mode = "multi_hot";
  /// Sparse results are TensorFlow's alone: it must be false.
  bool sparse = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(output_mode, sparse)
};
/// Keras' CategoryEncoding: whole numbers below `num_tokens` as vectors of that length: "multi_hot" and "count" (…, n) → (…, num_tokens),
/// "one_hot" (…) → (…, num_tokens). With "count", `layer(x, weights)` counts each number by its weight.
class CategoryEncoding : public Layer {
 public:
  explicit CategoryEncoding(int64_t num_tokens, const CategoryEncodingOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct DiscretizationOptions {
  /// Ascending; values on a boundary belong to the bin above it.
  std::optional<std::vector<double>> bin_boundaries{};
  /// How many bins `adapt` shall find.
  std::optional<int64_t> num_bins{};
  /// Accuracy of the quantiles that `adapt` finds.
  double epsilon = 0.01;
  /// "int", "one_hot", "multi_hot", "count".
  std::string output_mode = "int";
  bool sparse = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(bin_boundaries, num_bins, epsilon, output_mode, sparse)
};
/// Keras' Discretization: the bin of each number, as a number (int32) or encoded. Either boundaries or a number of bins must be given.
class Discretization : public Layer {
 public:
  explicit Discretization(const DiscretizationOptions& options);
  explicit Discretization(const Layer& layer);
  static Layer from_config(const Dict& config);
  /// Finds boundaries so that about as many numbers fall into each of `num_bins` bins.
  void adapt(const Tensor& data) const;
  void adapt(const Tensors& batches) const;
  /// Those given or found; RuntimeError when there are none yet.
  std::vector<double> bin_boundaries() const;
};

struct HashingOptions {
  /// Goes into bin 0, which nothing else does then: a number or a string.
  Value mask_value{};
  /// One number or two: hashes by SipHash with this key instead of by FarmHash.
  Value salt{};
  std::string output_mode = "int";
  bool sparse = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(mask_value, salt, output_mode, sparse)
};
/// Keras' Hashing: whole numbers or strings into `num_bins` bins by their hash, the same bins as Keras'.
class Hashing : public Layer {
 public:
  explicit Hashing(int64_t num_bins, const HashingOptions& options = {});
  explicit Hashing(const Layer& layer);
  static Layer from_config(const Dict& config);
  using Layer::operator();
  Tensor operator()(const StringArray& inputs) const;
};

struct HashedCrossingOptions {
  /// "int" or "one_hot".
  std::string output_mode = "int";
  bool sparse = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(output_mode, sparse)
};
/// Keras' HashedCrossing: two or more features of shape (), (batch) or (batch, 1) as one, by the hash of each combination.
///
///     keras::layers::HashedCrossing cross(5);
///     cross({keras::StringArray({"A", "B"}), keras::Tensor{101, 102}});
class HashedCrossing : public Layer {
 public:
  /// A feature: whole numbers or strings.
  struct Feature {
    Tensor numbers{};
    StringArray text{};  // where there are no numbers
    Feature(const Tensor& numbers) : numbers(numbers) {}
    Feature(const StringArray& text) : text(text) {}
  };
  explicit HashedCrossing(int64_t num_bins, const HashedCrossingOptions& options = {});
  explicit HashedCrossing(const Layer& layer);
  static Layer from_config(const Dict& config);
  using Layer::operator();
  Tensor operator()(const std::vector<Feature>& features) const;
};

}  // namespace keras::layers
