// What lives here: convolutions: plain, depthwise, separable, transposed; in one, two and three dimensions.
#pragma once
#include <keras/activations.h>
#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

// Fields that all convolutions share, in Keras' words. `padding`: "valid", "same", of Conv1D also "causal".
struct ConvOptions {
  Sizes strides = 1;
  std::string padding = "valid";
  std::optional<std::string> data_format{};
  Sizes dilation_rate = 1;
  int64_t groups = 1;
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
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(padding, data_format, groups, activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
               bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint)
};
struct DepthwiseConvOptions {
  Sizes strides = 1;
  std::string padding = "valid";
  int64_t depth_multiplier = 1;
  std::optional<std::string> data_format{};
  Sizes dilation_rate = 1;
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer depthwise_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer depthwise_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint depthwise_constraint{};
  Constraint bias_constraint{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(padding, depth_multiplier, data_format, activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
               bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint)
};
struct SeparableConvOptions {
  Sizes strides = 1;
  std::string padding = "valid";
  std::optional<std::string> data_format{};
  Sizes dilation_rate = 1;
  int64_t depth_multiplier = 1;
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer depthwise_initializer = "glorot_uniform";
  Initializer pointwise_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer depthwise_regularizer{};
  Regularizer pointwise_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint depthwise_constraint{};
  Constraint pointwise_constraint{};
  Constraint bias_constraint{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(padding, data_format, depth_multiplier, activation, use_bias, depthwise_initializer, pointwise_initializer, bias_initializer,
               depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint,
               pointwise_constraint, bias_constraint)
};
struct ConvTransposeOptions {
  Sizes strides = 1;
  std::string padding = "valid";
  std::optional<Sizes> output_padding{};
  std::optional<std::string> data_format{};
  Sizes dilation_rate = 1;
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint kernel_constraint{};
  Constraint bias_constraint{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(padding, data_format, activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
               activity_regularizer, kernel_constraint, bias_constraint)
};

/// Keras' Conv1D, Conv2D, Conv3D: (batch, spatial…, channels) → (batch, new spatial…, filters); kernel_size x (channels / groups) x
/// filters weights and filters biases. `data_format="channels_first"` puts the channels on axis 1.
///
///     keras::layers::Conv2D(32, {3, 3}, {.padding = "same", .activation = "relu"});
template <int Rank> class Conv : public Layer {
 public:
  Conv(int64_t filters, const Sizes& kernel_size, const ConvOptions& options = {});
  static Layer from_config(const Dict& config);
  /// LoRA: keeps the kernel still and trains the product of two narrow weights, (…, rank) and (rank, filters), in its place, scaled by `lora_alpha` / `rank`
  /// (`lora_alpha`: the rank, where it is not given). Files hold the sum. ValueError when the layer is not built, has a constraint on
  /// the kernel, or has it already.
  void enable_lora(int64_t rank, const std::optional<double>& lora_alpha = {}, const Initializer& a_initializer = "he_uniform",
                   const Initializer& b_initializer = "zeros");
};
/// Keras' DepthwiseConv1D, DepthwiseConv2D: each channel is convolved by itself into depth_multiplier channels.
template <int Rank> class DepthwiseConv : public Layer {
 public:
  explicit DepthwiseConv(const Sizes& kernel_size, const DepthwiseConvOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' SeparableConv1D, SeparableConv2D: a depthwise convolution, then a 1x1 one that mixes the channels.
template <int Rank> class SeparableConv : public Layer {
 public:
  SeparableConv(int64_t filters, const Sizes& kernel_size, const SeparableConvOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: the convolution run backwards, from its output's shape to its input's.
template <int Rank> class ConvTranspose : public Layer {
 public:
  ConvTranspose(int64_t filters, const Sizes& kernel_size, const ConvTransposeOptions& options = {});
  static Layer from_config(const Dict& config);
};

using Conv1D = Conv<1>;
using Conv2D = Conv<2>;
using Conv3D = Conv<3>;
using Convolution1D = Conv1D;
using Convolution2D = Conv2D;
using Convolution3D = Conv3D;
using DepthwiseConv1D = DepthwiseConv<1>;
using DepthwiseConv2D = DepthwiseConv<2>;
using SeparableConv1D = SeparableConv<1>;
using SeparableConv2D = SeparableConv<2>;
using SeparableConvolution1D = SeparableConv1D;
using SeparableConvolution2D = SeparableConv2D;
using Conv1DTranspose = ConvTranspose<1>;
using Conv2DTranspose = ConvTranspose<2>;
using Conv3DTranspose = ConvTranspose<3>;
using Convolution1DTranspose = Conv1DTranspose;
using Convolution2DTranspose = Conv2DTranspose;
using Convolution3DTranspose = Conv3DTranspose;

extern template class Conv<1>;
extern template class Conv<2>;
extern template class Conv<3>;
extern template class DepthwiseConv<1>;
extern template class DepthwiseConv<2>;
extern template class SeparableConv<1>;
extern template class SeparableConv<2>;
extern template class ConvTranspose<1>;
extern template class ConvTranspose<2>;
extern template class ConvTranspose<3>;

}  // namespace keras::layers
