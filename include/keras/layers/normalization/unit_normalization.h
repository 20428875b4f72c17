// What lives here: UnitNormalization.
#pragma once
#include <keras/layers/layer.h>
#include <keras/layers/normalization/axes_option.h>

namespace keras::layers {

struct UnitNormalizationOptions {
  /// One axis, or several: `{1, 2}`.
  Axes axis = -1;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(axis)
};
/// Keras' UnitNormalization: divides each sample by its Euclidean length over `axis`. No parameters, the shape is kept.
class UnitNormalization : public Layer {
 public:
  explicit UnitNormalization(const UnitNormalizationOptions& options = {});
  KERAS_EMPTY_BRACES(UnitNormalization)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
