// What lives here: forward convolutions of images of few channels (the first layers of networks), float32, channels last. No gradients.
#pragma once
#include "cpu/conv_plan.h"

namespace keras::cpu {

/// One or two spatial axes, any kernel, stride, padding and crop; null where the channels are many or the taps of a row lie apart.
engine::KernelPtr make_thin_conv(const ConvGeometry& g);
/// Whether there is one, and it is faster than the others.
bool thin_conv_pays(const ConvGeometry& g);

}  // namespace keras::cpu
