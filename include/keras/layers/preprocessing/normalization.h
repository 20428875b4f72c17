// What lives here: Normalization by the data's own mean and variance.
#pragma once
#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

struct NormalizationOptions {
  /// The axes that have a mean and variance each; `std::nullopt` (Keras' None) for one of the whole data.
  Axes axis = -1;
  /// Numbers, or lists of them, given instead of learned by `adapt`; both or neither.
  Value mean{}, variance{};
  /// Undoes the normalisation instead.
  bool invert = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(mean, variance, invert)
};
/// Keras' Normalization: (inputs - mean) / max(sqrt(variance), 1e-7).
///
///     keras::layers::Normalization norm;
///     norm.adapt(x);              // the mean and variance of x's columns
///     auto y = norm(x);
class Normalization : public Layer {
 public:
  explicit Normalization(const NormalizationOptions& options = {});
  /// The same layer, found in a model. TypeError when it is another one.
  explicit Normalization(const Layer& layer);
  static Layer from_config(const Dict& config);
  /// Learns mean and variance, of data (batch, …) or of batches of it; forgets what it learned before. ValueError when the data does not fit
  /// the shape that the layer was built for.
  void adapt(const Tensor& data) const;
  void adapt(const Tensors& batches) const;
};

}  // namespace keras::layers
