// What lives here: the list of vector kernels that tile programs are made of, and how they are called. A kernel works on
// n consecutive elements; which instruction set it uses was chosen when it was looked up.
#pragma once
#include <keras/base/dtype.h>

#include <cstdint>

#include "ir/elementwise.h"

namespace keras::cpu::simd {

/// What a kernel is called with. Operands and result may be the same memory (index by index), never partly overlap.
struct Args {
  const void* in[5];
  void* out;
  void* out2;        // second result of exp_sub_sum: one element
  int64_t n;
  uint32_t scalars;  // bit i: in[i] is one element that counts for all n
};
using Fn = void (*)(const Args&);

/// Adds `rows` rows of `cols` elements (rows ld[i] elements apart in operand i) into acc[cols].
struct ColumnArgs {
  const void* in[2];
  void* acc;
  void* acc2;  // of a pair
  int64_t rows, cols, ld[2];
};
using ColumnFn = void (*)(const ColumnArgs&);

/// Operations of tile programs: the elementwise table, then composites that the optimiser forms and conversions.
enum class Op : int16_t {
#define X(name, arity, result) name,
  KERAS_ELEMENTWISE(X)
#undef X
  ew_end,
  // float32 and float64; in[0] * in[1] combined with in[2], one rounding where the machine has FMA
  mul_add, mul_sub, neg_mul_add,
  // float32
  lerp,        // c + (a - c) * b
  lerp_sq,     // c + (a * a - c) * b
  sqrt_add,    // sqrt(a) + b
  adam_step,   // in[0] - in[1] * in[2] / (sqrt(in[3]) + in[4])
  sub_mul_add, // (in[0] - in[1]) * in[2] + in[3]
  normalize,   // (in[0] - in[1]) * in[2] * in[3] + in[4]
  exp_sub,     // exp(a - b)
  exp_sub_sum, // the same and its sum into out2
  silu, gelu_erf, gelu_tanh,
  gelu_erf_grad,  // in[0] times the slope of gelu_erf at in[1]
  select_lt, select_le, select_eq,  // in[0] < in[1] ? in[2] : in[3]
  widen_f16, widen_bf16, narrow_f16, narrow_bf16, round_f16, round_bf16,  // storage <-> float32
  raw_copy,                                                               // bits of one element, by size
  fuse2_first,  // kFuse2Count operations (a op1 b) op2 c
  end = fuse2_first + 24
};
constexpr Op op_of(ir::Ew e) { return static_cast<Op>(static_cast<int>(e)); }

/// (a op1 b) op2 c; rsub is c - x, rdiv is c / x.
enum class First : uint8_t { add, sub, mul, div };
enum class Second : uint8_t { add, sub, rsub, mul, div, rdiv };
constexpr Op fuse2(First f, Second s) { return static_cast<Op>(static_cast<int>(Op::fuse2_first) + static_cast<int>(f) * 6 + static_cast<int>(s)); }

enum class Reduce : uint8_t { Sum, Max, Min, Prod };
/// What is applied to the operands before they are reduced (float32 and float64 sums know all of them).
enum class Pre : uint8_t { none, square, mul, sqdiff };

/// The kernel of `op` whose operands have dtype `dtype` (the second operand's for select); nullptr when the operation is not
/// defined for it. Half dtypes never get here: registers hold them as float32.
Fn find(Op op, DType dtype);
/// Conversion with NumPy's rules; float to integer saturates, NaN becomes 0.
Fn find_cast(DType from, DType to);
/// out[0] = reduction of n elements (in[0], and in[1] as `pre` wants, which may be a scalar); the neutral element when n = 0.
Fn find_reduce(Reduce r, Pre pre, DType dtype);
ColumnFn find_column(Reduce r, Pre pre, DType dtype);

/// Nanoseconds per element, roughly, for deciding how many threads a program is worth.
double cost(Op op, DType dtype);

// The tables behind find(), one per source file.
Fn find_f32(Op op);
Fn find_f32_fuse2(Op op);
Fn find_f64(Op op);
Fn find_generic(Op op, DType dtype);
Fn find_f32_reduce(Reduce r, Pre pre);
Fn find_f64_reduce(Reduce r, Pre pre);
ColumnFn find_f32_column(Reduce r, Pre pre);
ColumnFn find_f64_column(Reduce r, Pre pre);
/// Two sums in one pass, as the statistics of batch normalisation and their gradient want: in[0] into acc, and its square or
/// in[0] * in[1] into acc2. float32; nullptr for another `pre`.
ColumnFn find_f32_column_pair(Pre pre);

}  // namespace keras::cpu::simd
