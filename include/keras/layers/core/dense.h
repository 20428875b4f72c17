// What lives here: Dense.
#pragma once
#include <keras/activations.h>
#include <keras/layers/layer.h>

namespace keras::layers {

struct DenseOptions {
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint kernel_constraint{};
  Constraint bias_constraint{};
  Value quantization_config{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint,
               quantization_config)
};

/// Keras' Dense: `activation(input @ kernel + bias)` on the last axis: (…, d) → (…, units), d·units + units parameters. Nothing is
/// flattened. ValueError when the last axis has no known size.
///
///     keras::Tensor y = keras::layers::Dense(10, {.activation = "softmax"})(keras::Input({784}));
class Dense : public Layer {
 public:
  explicit Dense(int64_t units, const DenseOptions& options = {});
  static Layer from_config(const Dict& config);
  Variable kernel() const;
  Variable bias() const;
};

}  // namespace keras::layers
