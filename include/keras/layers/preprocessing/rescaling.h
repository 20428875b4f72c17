// What lives here: Rescaling.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct RescalingOptions {
  /// One number, or one per channel as a list.
  Value offset = 0.0;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(offset)
};
/// Keras' Rescaling: inputs * scale + offset, whatever the input's dtype. `scale` is one number, or a list with one per channel.
class Rescaling : public Layer {
 public:
  explicit Rescaling(const Value& scale, const RescalingOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
