// What lives here: EinsumDense.
#pragma once
#include <keras/activations.h>
#include <keras/layers/layer.h>

namespace keras::layers {

struct EinsumDenseOptions {
  ActivationSpec activation{};
  /// Letters of the output that the bias has: "d". None: no bias.
  std::optional<std::string> bias_axes{};
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer bias_regularizer{};
  Constraint kernel_constraint{};
  Constraint bias_constraint{};
  /// LoRA of this rank from the start (see enable_lora), and its scale.
  std::optional<int64_t> lora_rank{};
  Value lora_alpha{};
  Value quantization_config{};
  Regularizer activity_regularizer{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, bias_axes, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint,
               bias_constraint, quantization_config)
};

/// Keras' EinsumDense: `activation(einsum(equation, input, kernel) + bias)`. The equation has the form "ab,bc->ac", "...ab,bc->...ac" or
/// "ab...,bc->ac..."; output_shape is without the batch axis and what is elided, None where it follows the input. Sizes of kernel and
/// bias follow from both. ValueError when they contradict.
///
///     keras::layers::EinsumDense("abc,cd->abd", {None, 64}, {.bias_axes = "d"});
class EinsumDense : public Layer {
 public:
  EinsumDense(const std::string& equation, const Shape& output_shape, const EinsumDenseOptions& options = {});
  EinsumDense(const std::string& equation, int64_t output_size, const EinsumDenseOptions& options = {});
  static Layer from_config(const Dict& config);
  Variable kernel() const;
  Variable bias() const;
  /// LoRA: keeps the kernel still and trains the product of two narrow weights, (…, rank) and (rank, n), in its place, scaled by `lora_alpha` / `rank`
  /// (`lora_alpha`: the rank, where it is not given). Files hold the sum. ValueError when the layer is not built, has a constraint on
  /// the kernel, or has it already.
  void enable_lora(int64_t rank, const std::optional<double>& lora_alpha = {}, const Initializer& a_initializer = "he_uniform",
                   const Initializer& b_initializer = "zeros");
};

}  // namespace keras::layers
