// What lives here: Pipeline.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct PipelineOptions {
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS()
};
/// Keras' Pipeline: layers one after the other, as one. Masks and the mode are handed on.
///
///     keras::layers::Pipeline({keras::layers::RandomFlip(), keras::layers::RandomRotation(0.1)});
class Pipeline : public Layer {
 public:
  explicit Pipeline(const std::vector<Layer>& layers, const PipelineOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
