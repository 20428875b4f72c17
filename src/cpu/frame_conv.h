// What lives here: direct convolutions for few channels, float32, channels last: forward and both gradients, by loops that read each pixel where it
// lies. No Winograd, no oneDNN, no graph.
#pragma once
#include "cpu/conv_plan.h"

namespace keras::cpu {

/// Any kernel, stride, dilation, padding (crops too) and grouping; null where the dtype is not float32. Bits depend on the shapes alone. Forward and backward input take a kernel that seldom changes in strips.
/// Whether it is expected to be faster than make_direct_conv's.
bool frame_conv_pays(const ConvGeometry& g, ConvPass pass);
engine::KernelPtr make_frame_conv(const ConvGeometry& g, ConvPass pass);

}  // namespace keras::cpu
