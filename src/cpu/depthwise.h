// What lives here: convolutions whose input channels have outputs of their own (depthwise), float32, channels last. No oneDNN, no graph.
#pragma once
#include "cpu/conv_plan.h"

namespace keras::cpu {

/// Any kernel, stride, dilation, padding (crops too) and depth multiplier; null where a group has several input channels, or the dtype
/// is not float32. Bits depend on the shapes alone.
engine::KernelPtr make_depthwise_conv(const ConvGeometry& g, ConvPass pass);

}  // namespace keras::cpu
