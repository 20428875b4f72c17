// What lives here: the general dot product (JAX's dot_general) with its epilogue, as kernels for fixed shapes. No oneDNN types, no graph.
#pragma once
#include <vector>

#include <keras/base/shape.h>

#include "cpu/epilogue.h"
#include "engine/kernel.h"

namespace keras::cpu {

/// Sums over pairs of contracted axes, for each index of the batch axes. All sizes are known; axes are not negative.
struct DotDesc {
  DType dtype = DType::Float32;  // of every input and of the output
  Shape lhs, rhs;
  std::vector<int> lhs_contract, rhs_contract, lhs_batch, rhs_batch;
  Epilogue epilogue;
};

/// Batch axes, then the free axes of lhs, then those of rhs, each in order.
Shape dot_shape(const DotDesc& desc);

/// Inputs: lhs, rhs[, bias (size of the output's last axis)][, add (output's shape)]; output: dot_shape(). 16-bit floats sum in float32;
/// integers wrap; bool is or of ands. Bits do not depend on the number of threads. ValueError for axes that do not fit.
engine::KernelPtr make_dot(const DotDesc& desc);

}  // namespace keras::cpu
