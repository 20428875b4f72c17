// What lives here: RMSNormalization.
#pragma once
#include <keras/layers/layer.h>
#include <keras/layers/normalization/axes_option.h>

namespace keras::layers {

struct RMSNormalizationOptions {
  /// One axis, or several: `{1, 2}`.
  Axes axis = -1;
  double epsilon = 1e-6;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(axis, epsilon)
};
/// Keras' RMSNormalization (Zhang & Sennrich 2019): divides each sample by the root of its mean square over `axis`, times a learned scale.
/// The shape is kept; 1 number per place along `axis`. ValueError when such an axis has no known size.
class RMSNormalization : public Layer {
 public:
  explicit RMSNormalization(const RMSNormalizationOptions& options = {});
  KERAS_EMPTY_BRACES(RMSNormalization)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
