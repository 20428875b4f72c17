// What lives here: Dropout.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct DropoutOptions {
  /// Sizes of the mask, None where it follows the input; 1 shares it along an axis.
  std::optional<Shape> noise_shape{};
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed, noise_shape)
};
/// Keras' Dropout: in training, sets a fraction `rate` of the inputs to 0 and scales the others by 1 / (1 - rate).
class Dropout : public Layer {
 public:
  explicit Dropout(double rate, const DropoutOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
