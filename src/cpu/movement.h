// What lives here: kernels that move elements without computing on them: transpose, broadcast, slice, pad, concatenate,
// reverse, iota and the slices whose place is known only at run time. Elements move by size, never by value.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

#include <vector>

namespace keras::cpu {

/// in → out, out axis i is in axis perm[i].
engine::KernelPtr make_transpose(DType dtype, const Shape& in, const std::vector<int>& perm);

/// in → out by NumPy's rules (axes are aligned at the end, sizes of 1 repeat).
engine::KernelPtr make_broadcast(DType dtype, const Shape& in, const Shape& out);

/// in → in[starts[0]:limits[0]:strides[0], …], 0 <= start <= limit <= size, stride >= 1.
engine::KernelPtr make_slice(DType dtype, const Shape& in, const std::vector<int64_t>& starts, const std::vector<int64_t>& limits,
                             const std::vector<int64_t>& strides);

/// (in, scalar fill) → out as XLA's pad: `interior` elements between neighbours, then `lo` and `hi` at the ends, negative ones crop.
engine::KernelPtr make_pad(DType dtype, const Shape& in, const std::vector<int64_t>& lo, const std::vector<int64_t>& hi,
                           const std::vector<int64_t>& interior);
/// The shape that make_pad yields.
Shape pad_shape(const Shape& in, const std::vector<int64_t>& lo, const std::vector<int64_t>& hi, const std::vector<int64_t>& interior);

/// (in0, in1, …) → the arrays one after the other on `axis`; all other sizes agree.
engine::KernelPtr make_concat(DType dtype, const std::vector<Shape>& ins, int axis);

/// in → in, with the order of the elements of each named axis turned round.
engine::KernelPtr make_reverse(DType dtype, const Shape& shape, const std::vector<int>& axes);

/// () → out, each element is its index on `axis`.
engine::KernelPtr make_iota(DType dtype, const Shape& shape, int axis);

/// (in, starts) → the window of `sizes` at `starts`: a vector of dtype `index` (int32 or int64), one start per axis, clamped
/// so that the window lies inside, as XLA does.
engine::KernelPtr make_dynamic_slice(DType dtype, const Shape& in, const Shape& sizes, DType index);

/// (in, update, starts) → in with the window at `starts` (clamped as above) replaced. `out` may be the buffer of `in`: then only
/// the window is written.
engine::KernelPtr make_dynamic_update_slice(DType dtype, const Shape& in, const Shape& update, DType index);

}  // namespace keras::cpu
