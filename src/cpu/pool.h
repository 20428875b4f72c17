// What lives here: maximum and average pooling over one to three spatial axes, channels last, and their gradients, as kernels for fixed
// shapes. No graph.
#pragma once
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

namespace keras::cpu {

/// x (N, spatial…, C) to y (N, spatial…, C). All sizes are known. Padding never wins a maximum and is not counted in an average; it is
/// not negative.
struct PoolDesc {
  bool max = true;
  DType dtype = DType::Float32;
  Shape x, y;
  std::vector<int64_t> window, strides, pad_lo, pad_hi;
};

/// The output's shape that x, window, strides and padding give.
Shape pool_shape(const PoolDesc& desc);

/// Input: x; output: y. NaN wins a maximum, as in XLA. ValueError where shapes do not fit.
engine::KernelPtr make_pool(const PoolDesc& desc);
/// Inputs: x, dy; output: dx. Each gradient goes to the first maximum of its window in row-major order.
engine::KernelPtr make_max_pool_backward(const PoolDesc& desc);
/// Input: dy; output: dx.
engine::KernelPtr make_avg_pool_backward(const PoolDesc& desc);

}  // namespace keras::cpu
