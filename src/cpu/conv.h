// What lives here: convolutions of one to three spatial axes, channels last, and their two gradients, as kernels for fixed shapes.
// No oneDNN types, no graph.
#pragma once
#include <vector>

#include <keras/base/shape.h>

#include "cpu/epilogue.h"
#include "engine/kernel.h"

namespace keras::cpu {

/// Keras' layouts: x (N, spatial…, C), w (kernel…, C / groups, O), y (N, spatial…, O). All sizes are known. Padding may differ on the
/// two sides and may be negative (a crop). Output channel o belongs to group o / (O / groups); groups == C is depthwise.
struct ConvDesc {
  DType dtype = DType::Float32;
  Shape x, w, y;
  std::vector<int64_t> strides, dilations, pad_lo, pad_hi;
  int64_t groups = 1;
  Epilogue epilogue;  // of the forward pass alone
};

/// The output's shape that x, w, strides, dilations and padding give.
Shape conv_shape(const ConvDesc& desc);

/// Inputs: x, w[, bias (O)][, add (y's shape)]; output: y. ValueError where shapes do not fit.
engine::KernelPtr make_conv(const ConvDesc& desc);
/// Inputs: dy, w; output: dx of desc.x's shape.
engine::KernelPtr make_conv_backward_input(const ConvDesc& desc);
/// Inputs: x, dy; output: dw of desc.w's shape.
engine::KernelPtr make_conv_backward_filter(const ConvDesc& desc);

}  // namespace keras::cpu
