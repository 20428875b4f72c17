// What lives here: kernels that read or write at places given by index tensors. Indices may be of any integer dtype; negative
// ones count from the end. Sums into one place are made in the order of the indices, whatever the number of threads.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

namespace keras::cpu {

/// What an index outside [-n, n) means. Error: run() throws a ValueError that names the index, its position and the valid
/// range. Clip: the nearest valid index. FillNaN: a read gives NaN (integers: the lowest value, unsigned: the highest, bool:
/// true, as JAX does), a write is dropped. ErrorNegative: as Error, and a negative index is outside too.
enum class OutOfRange { Error, Clip, FillNaN, ErrorNegative };

enum class ScatterOp { Update, Add, Mul, Max, Min };

/// (operand, indices) → operand[:axis] + indices + operand[axis+1:]. `where` names the reader in errors, which
/// tell positions in the axes as the user has them: `order` says which of them each axis of `indices` is, if they were permuted.
engine::KernelPtr make_gather(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis,
                              OutOfRange mode = OutOfRange::Error, const std::string& where = "gather", const std::vector<int>& order = {});

/// (indices, updates shaped operand[:axis] + indices + operand[axis+1:]) → zeros shaped operand plus the updates: the transpose
/// of make_gather. float16 and bfloat16 accumulate in float32.
engine::KernelPtr make_scatter_add(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis,
                                   OutOfRange mode = OutOfRange::Error);

/// (operand, indices) → out shaped as indices, out[…, i, …] = operand[…, indices[…, i, …], …]; equal sizes on all axes but `axis`.
engine::KernelPtr make_take_along_axis(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis,
                                       OutOfRange mode = OutOfRange::Error);

/// (indices, updates shaped as indices) → zeros shaped operand plus the updates: the transpose of make_take_along_axis.
engine::KernelPtr make_scatter_add_along_axis(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis,
                                              OutOfRange mode = OutOfRange::Error);

/// (operand, indices shaped (…, k)) → (…) + operand[k:]; each vector of k indices names a slice of operand.
engine::KernelPtr make_gather_nd(DType dtype, DType index, const Shape& operand, const Shape& indices, OutOfRange mode = OutOfRange::Error);

/// (operand, indices shaped (…, k), updates shaped (…) + operand[k:]) → operand with the updates applied one after the other.
/// `out` may be the buffer of operand.
engine::KernelPtr make_scatter_nd(ScatterOp op, DType dtype, DType index, const Shape& operand, const Shape& indices,
                                  OutOfRange mode = OutOfRange::Error);

}  // namespace keras::cpu
