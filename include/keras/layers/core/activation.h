// What lives here: Activation.
#pragma once
#include <keras/activations.h>
#include <keras/layers/layer.h>

namespace keras::layers {

struct ActivationOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' Activation: a function of each element, or along the last axis (softmax): the shape is kept.
class Activation : public Layer {
 public:
  explicit Activation(const ActivationSpec& activation, const ActivationOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
