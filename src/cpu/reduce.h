// What lives here: kernels that combine elements along axes: reductions, arg-reductions and running reductions.
// How the work is split depends on the shape alone, so results do not depend on the number of threads.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

#include <vector>

namespace keras::cpu {

/// And and Or are bitwise on integers (and so logical on bool). On bool Sum is Or and Prod is And.
enum class ReduceOp { Sum, Prod, Max, Min, And, Or };

/// in → in without `axes` (none: a copy), of the same dtype. Max and Min propagate NaN. Sums and products of float32, float16 and
/// bfloat16 add short blocks in float32 and the blocks in float64. A reduction over nothing gives the operation's
/// identity: 0, 1, the lowest, the highest value. TypeError for And, Or of floats.
engine::KernelPtr make_reduce(ReduceOp op, DType dtype, const Shape& in, const std::vector<int>& axes);

/// in → the index (int32 or int64) of the first greatest or smallest element along `axis`; the first NaN wins over all.
/// ValueError for an axis of size 0.
engine::KernelPtr make_arg_reduce(bool max, DType in, DType out, const Shape& shape, int axis);

/// in → in, element i is the reduction (Sum, Prod, Max, Min) of elements 0 … i along `axis`; `reverse`: of i … n-1;
/// `exclusive`: without i itself, so that the first is the identity.
engine::KernelPtr make_cumulative(ReduceOp op, DType dtype, const Shape& shape, int axis, bool reverse = false, bool exclusive = false);

}  // namespace keras::cpu
