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
  /// LoRA of this rank from the start (see enable_lora), and its scale.
  std::optional<int64_t> lora_rank{};
  Value lora_alpha{};
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
  /// LoRA: keeps the kernel still and trains the product of two narrow weights, (d, rank) and (rank, units), in its place, scaled by `lora_alpha` / `rank`
  /// (`lora_alpha`: the rank, where it is not given). Files hold the sum. ValueError when the layer is not built, has a constraint on
  /// the kernel, or has it already.
  void enable_lora(int64_t rank, const std::optional<double>& lora_alpha = {}, const Initializer& a_initializer = "he_uniform",
                   const Initializer& b_initializer = "zeros");
};

}  // namespace keras::layers
