// What lives here: kernels that order elements. NaN counts as the greatest value, as in NumPy and JAX: last in ascending order,
// first in descending order and in top_k. Equal elements keep their order. Axes are shorter than 2^32.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

namespace keras::cpu {

/// in → in, sorted along `axis`. -0 comes before 0 and every NaN comes out as the default one.
engine::KernelPtr make_sort(DType dtype, const Shape& shape, int axis, bool descending = false);

/// in → the indices (int32 or int64) that sort along `axis`; stable in both directions.
engine::KernelPtr make_argsort(DType dtype, DType out, const Shape& shape, int axis, bool descending = false);

/// in → (values, int32 indices) of the k greatest elements along the last axis, greatest first, lower index first among equals.
/// ValueError unless 0 <= k <= size of the axis.
engine::KernelPtr make_top_k(DType dtype, const Shape& shape, int k);

/// (sorted, values) → for each value the place (int32 or int64) in `sorted` that keeps the order, the first one or, with
/// `right`, the last one. `sorted` has one axis, or the same leading axes as `values` and is searched row by row.
engine::KernelPtr make_searchsorted(DType dtype, DType out, const Shape& sorted, const Shape& values, bool right = false);

}  // namespace keras::cpu
