// What lives here: direct convolutions of any shape, float32, channels last: forward and both gradients, as products over gathered pixels. No
// Winograd, no oneDNN, no graph.
#pragma once
#include "cpu/conv_plan.h"

namespace keras::cpu {

/// Any kernel, stride, dilation, padding (crops too) and grouping; null where the dtype is not float32. Bits depend on the shapes alone. Forward
/// and backward input take a kernel that seldom changes in strips.
engine::KernelPtr make_direct_conv(const ConvGeometry& g, ConvPass pass);

}  // namespace keras::cpu
