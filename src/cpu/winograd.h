// What lives here: Winograd's convolution of 3×3 kernels, stride 1, float32, on channels-last activations: forward, backward input and
// backward filter as kernels, the plan of a shape and what it is expected to cost. No other algorithms, no SIMD.
#pragma once
#include "cpu/conv_plan.h"

namespace keras::cpu {

/// How a convolution is cut. K channels are summed, N come out (backward filter: K × N sums over tiles).
struct WinogradPlan {
  int m = 0;            // m×m outputs per tile: 2 or 4; 0 where there is no such convolution
  int64_t block = 0;    // tiles that go through the transforms and products together
  int64_t pieces = 1;   // of the tiles: units of work, each of its blocks
  int64_t slices = 1;   // of N: units of work, each transforms its tiles anew
  int64_t columns = 0;  // of N per set of products, which stay in the second-level cache
  double cost = 0;      // expected of a run on a few threads, in multiply-adds of vectors that one of them starts in the time
};

/// 3×3, stride 1, no dilation, float32, two spatial axes.
bool winograd_can(const ConvGeometry& g);
/// The best plan, or the best of that m. `kept`: the kernel is transformed once and kept. Its m depends on the shapes alone, its cut on the
/// number of threads, too, which bits don't depend on.
WinogradPlan plan_winograd(const ConvGeometry& g, ConvPass pass, bool kept, int m = 0);
/// What a direct convolution is expected to take, in the same measure.
double direct_conv_cost(const ConvGeometry& g, ConvPass pass, bool kept);
engine::KernelPtr make_winograd_conv(const ConvGeometry& g, ConvPass pass, const WinogradPlan& plan);

}  // namespace keras::cpu
