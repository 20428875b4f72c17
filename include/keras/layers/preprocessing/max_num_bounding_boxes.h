// What lives here: MaxNumBoundingBoxes.
#pragma once
#include <keras/layers/preprocessing/image_options.h>

namespace keras::layers {

struct MaxNumBoundingBoxesOptions {
  /// What fills up boxes and labels; Keras does not save it.
  int64_t fill_value = -1;
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format, bounding_box_format)
};
/// Keras' MaxNumBoundingBoxes: cuts or fills up boxes (batch, n, 4) and their labels (batch, n) to `max_number`; images pass unchanged.
///
///     keras::Output out = keras::layers::MaxNumBoundingBoxes(10)(images, boxes, labels);   // out[1] is (batch, 10, 4)
class MaxNumBoundingBoxes : public Layer {
 public:
  explicit MaxNumBoundingBoxes(int64_t max_number, const MaxNumBoundingBoxesOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
