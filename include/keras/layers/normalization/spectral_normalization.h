// What lives here: SpectralNormalization.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct SpectralNormalizationOptions {
  /// Steps towards the greatest singular value in each training call.
  int64_t power_iterations = 1;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(power_iterations)
};
/// Keras' SpectralNormalization (Miyato et al. 2018): in training, divides the kernel (or embeddings) of the layer that it wraps by an
/// estimate of its greatest singular value before each call. One more weight of as many numbers as the kernel's last axis, not trained.
/// ValueError when the layer has neither kernel nor embeddings.
///
///     keras::Tensor y = keras::layers::SpectralNormalization(keras::layers::Conv2D(8, {3, 3}))(keras::Input({16, 16, 3}));
class SpectralNormalization : public Layer {
 public:
  explicit SpectralNormalization(const Layer& layer, const SpectralNormalizationOptions& options = {});
  static Layer from_config(const Dict& config);
  Layer layer() const;
};

}  // namespace keras::layers
