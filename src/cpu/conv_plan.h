// What lives here: what the convolution kernels share: the geometry of a ConvDesc and the makers of each implementation. Only they include it.
#pragma once
#include <array>

#include "cpu/conv.h"

namespace keras::cpu {

enum class ConvPass { Forward, BackwardInput, BackwardFilter };

/// A convolution with its spatial axes filled up to three (ones in front), each padding made explicit.
struct ConvGeometry {
  DType dtype = DType::Float32;
  int rank = 1;
  int64_t n = 0, c = 0, o = 0, groups = 1;
  std::array<int64_t, 3> in{1, 1, 1}, kernel{1, 1, 1}, out{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, lo{0, 0, 0}, hi{0, 0, 0};
  Epilogue epilogue;

  int64_t in_pixels() const { return in[0] * in[1] * in[2]; }
  int64_t out_pixels() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t group_in() const { return c / groups; }
  int64_t group_out() const { return o / groups; }
  int64_t weights() const { return taps() * group_in() * o; }
  /// Of one image, one pass.
  double flops() const { return 2.0 * static_cast<double>(out_pixels()) * static_cast<double>(weights()); }
};

/// Directly by oneDNN; null where it has no fast code for the shapes. Float32 and BFloat16.
engine::KernelPtr make_dnnl_conv(const ConvGeometry& g, ConvPass pass);
/// Direct loops for every dtype but the 16-bit floats.
engine::KernelPtr make_loop_conv(const ConvGeometry& g, ConvPass pass);

}  // namespace keras::cpu
