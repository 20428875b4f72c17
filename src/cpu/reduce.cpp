// What lives here: reductions. Any set of axes is brought to passes over (outer, reduced, inner): inner of size 1 reduces
// contiguous rows, any other adds rows into a strip of columns. The loops are compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/reduce.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/reduce.h"

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"
#include "cpu/thread_pool.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#ifndef KERAS_CPU_REDUCE_ONCE
#define KERAS_CPU_REDUCE_ONCE
namespace keras::cpu {
namespace {

// One pass: (outer, reduced, inner) → (outer, chunks, inner); a chunk is `chunk` consecutive reduced rows.
struct PassShape {
  int64_t outer = 1, reduced = 1, inner = 1, chunk = 1, chunks = 1, strips = 1;
  int64_t units() const { return outer * chunks * strips; }
};

constexpr int64_t kStrip = 1024;    // columns that one unit keeps in the nearest cache
constexpr int64_t kFold = 64;       // rows with fewer columns are folded into wider ones
constexpr int64_t kBlockRows = 64;  // rows added in the narrow type before they go to the wide one
constexpr int64_t kBlock = 2048;    // elements of a row, likewise

// The loops that are compiled for each instruction set.
template <class P> struct Core {
  P (*block)(const P* x, int64_t n);                                                      // reduces n >= 1 elements
  void (*add_rows)(P* total, const P* x, int64_t rows, int64_t columns, int64_t stride);  // total[j] = total[j] op x[0][j] op x[1][j] …
};
struct Cores {
  Core<float> f32[3];  // Sum, Max, Min
  Core<double> f64[3];
  void (*halves)(const half_t* x, float* y, int64_t n);
  void (*bfloats)(const bfloat16_t* x, float* y, int64_t n);
};

}  // namespace
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu {
namespace HWY_NAMESPACE {
namespace {

// One register of T. (Wider ones would be taken apart lane by lane where they are compared.)
#if HWY_TARGET == HWY_AVX3
constexpr int64_t kBytes = 64;
#elif HWY_TARGET == HWY_AVX2
constexpr int64_t kBytes = 32;
#else
constexpr int64_t kBytes = 16;
#endif
template <class T> struct Vec { typedef T type __attribute__((vector_size(kBytes))); };
template <class T> using V = typename Vec<T>::type;

template <class T> HWY_INLINE void load(V<T>& v, const T* p) { std::memcpy(&v, p, kBytes); }

struct SumOp {
  template <class T> static HWY_INLINE void into(T& a, const T& b) { a = static_cast<T>(a + b); }
};
struct MaxOp {
  template <class T> static HWY_INLINE void into(T& a, const T& b) { a = (b > a) | (b != b) ? b : a; }
};
struct MinOp {
  template <class T> static HWY_INLINE void into(T& a, const T& b) { a = (b < a) | (b != b) ? b : a; }
};

// n >= 1 contiguous elements.
template <class Op, class P> P reduce_block(const P* x, int64_t n) {
  constexpr int64_t L = kBytes / static_cast<int64_t>(sizeof(P));
  P total;
  int64_t i = 0;
  if (n < 2 * L) {
    total = x[0];
    i = 1;
    if (n >= 8) {  // four chains hide the latency of one
      P a = total, b = x[1], c = x[2], d = x[3];
      for (i = 4; i + 4 <= n; i += 4) {
        Op::into(a, x[i]);
        Op::into(b, x[i + 1]);
        Op::into(c, x[i + 2]);
        Op::into(d, x[i + 3]);
      }
      Op::into(a, b);
      Op::into(c, d);
      Op::into(a, c);
      total = a;
    }
  } else {
    V<P> a, b, c, d, v;
    load(a, x);
    load(b, x + L);
    i = 2 * L;
    if (n >= 4 * L) {
      load(c, x + 2 * L);
      load(d, x + 3 * L);
      for (i = 4 * L; i + 4 * L <= n; i += 4 * L) {
        load(v, x + i);
        Op::into(a, v);
        load(v, x + i + L);
        Op::into(b, v);
        load(v, x + i + 2 * L);
        Op::into(c, v);
        load(v, x + i + 3 * L);
        Op::into(d, v);
      }
      Op::into(a, c);
      Op::into(b, d);
    }
    Op::into(a, b);
    for (; i + L <= n; i += L) {
      load(v, x + i);
      Op::into(a, v);
    }
    P lanes[L];
    std::memcpy(lanes, &a, kBytes);
    for (int64_t half = L / 2; half > 0; half /= 2)
      for (int64_t j = 0; j < half; ++j) Op::into(lanes[j], lanes[j + half]);
    total = lanes[0];
  }
  for (; i < n; ++i) Op::into(total, x[i]);
  return total;
}

// Eight rows at a time as a tree: one load and store of the totals for eight rows, and less rounding than a chain.
template <class Op, class P> void add_rows(P* total, const P* x, int64_t rows, int64_t columns, int64_t stride) {
  constexpr int64_t L = kBytes / static_cast<int64_t>(sizeof(P));
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8, x += 8 * stride) {
    int64_t j = 0;
    for (; j + L <= columns; j += L) {
      V<P> sum, a, b, c, d;
      load(sum, total + j);
      load(a, x + j);
      load(b, x + j + stride);
      Op::into(a, b);
      load(c, x + j + 2 * stride);
      load(d, x + j + 3 * stride);
      Op::into(c, d);
      Op::into(a, c);
      load(b, x + j + 4 * stride);
      load(c, x + j + 5 * stride);
      Op::into(b, c);
      load(c, x + j + 6 * stride);
      load(d, x + j + 7 * stride);
      Op::into(c, d);
      Op::into(b, c);
      Op::into(a, b);
      Op::into(sum, a);
      std::memcpy(total + j, &sum, kBytes);
    }
    for (; j < columns; ++j) {
      P a = x[j], b = x[j + stride], c = x[j + 2 * stride], d = x[j + 3 * stride];
      Op::into(a, x[j + 4 * stride]);
      Op::into(b, x[j + 5 * stride]);
      Op::into(c, x[j + 6 * stride]);
      Op::into(d, x[j + 7 * stride]);
      Op::into(a, b);
      Op::into(c, d);
      Op::into(a, c);
      Op::into(total[j], a);
    }
  }
  for (; r < rows; ++r, x += stride) {
    int64_t j = 0;
    for (; j + L <= columns; j += L) {
      V<P> sum, a;
      load(sum, total + j);
      load(a, x + j);
      Op::into(sum, a);
      std::memcpy(total + j, &sum, kBytes);
    }
    for (; j < columns; ++j) Op::into(total[j], x[j]);
  }
}

void halves(const half_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    // Moves the bits into place and lets one product fix the exponent, subnormals too; branch free, so that the loop vectorises.
    const uint32_t sign = static_cast<uint32_t>(x[i].bits & 0x8000u) << 16, em = static_cast<uint32_t>(x[i].bits & 0x7fffu) << 13;
    const uint32_t finite = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, em) * 0x1p112f);
    y[i] = __builtin_bit_cast(float, sign | (em >= 0x0f800000u ? em | 0x7f800000u : finite));
  }
}
void bfloats(const bfloat16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = __builtin_bit_cast(float, static_cast<uint32_t>(x[i].bits) << 16);
}

template <class Op, class P> Core<P> core() { return {reduce_block<Op, P>, add_rows<Op, P>}; }
Cores cores() {
  return {{core<SumOp, float>(), core<MaxOp, float>(), core<MinOp, float>()},
          {core<SumOp, double>(), core<MaxOp, double>(), core<MinOp, double>()},
          halves,
          bfloats};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace keras::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {

HWY_EXPORT(cores);

using engine::KernelPtr;

constexpr int64_t kUnitWork = 32 << 10;  // elements worth a thread

// Works on units [begin, end).
using PassFn = void (*)(const Cores&, const void* in, void* out, const PassShape&, int64_t begin, int64_t end);

// The type in which one block is reduced.
template <class T> struct Compute { using type = T; };
template <> struct Compute<half_t> { using type = float; };
template <> struct Compute<bfloat16_t> { using type = float; };
template <class T> using ComputeT = typename Compute<T>::type;
constexpr bool widens(ReduceOp op, DType d) {
  return (op == ReduceOp::Sum || op == ReduceOp::Prod) && (d == DType::Float16 || d == DType::BFloat16 || d == DType::Float32);
}

// Integers and products: whole numbers may be added in any order, so the compiler finds the vectors in plain loops.
template <ReduceOp kOp, class A> inline void combine(A& a, A v) {
  if constexpr (kOp == ReduceOp::Sum) a = static_cast<A>(a + v);
  else if constexpr (kOp == ReduceOp::Prod)
    a = static_cast<A>(std::conditional_t<(std::is_integral_v<A> && sizeof(A) < 4), uint32_t, A>(a) * v);
  else if constexpr (kOp == ReduceOp::Max) a = (v > a) | (v != v) ? v : a;
  else if constexpr (kOp == ReduceOp::Min) a = (v < a) | (v != v) ? v : a;
  else if constexpr (kOp == ReduceOp::And) a = static_cast<A>(a & v);
  else a = static_cast<A>(a | v);
}
template <class T, class A> T to_storage(A a) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return T(static_cast<float>(a));
  else return static_cast<T>(a);
}

template <ReduceOp kOp, class T, class Acc, class Out>
void plain_pass(const Cores&, const void* from, void* to, const PassShape& s, int64_t begin, int64_t end) {
  alignas(64) Acc total[kStrip];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t strip = u % s.strips, c = u / s.strips % s.chunks, a = u / s.strips / s.chunks;
    const int64_t rows = std::min(s.chunk, s.reduced - c * s.chunk), j0 = strip * kStrip, w = std::min(kStrip, s.inner - j0);
    const T* x = static_cast<const T*>(from) + (a * s.reduced + c * s.chunk) * s.inner + j0;
    Out* out = static_cast<Out*>(to) + (a * s.chunks + c) * s.inner + j0;
    if (s.inner == 1) {
      Acc t = static_cast<Acc>(x[0]);
      for (int64_t r = 1; r < rows; ++r) combine<kOp>(t, static_cast<Acc>(x[r]));
      *out = to_storage<Out>(t);
      continue;
    }
    for (int64_t j = 0; j < w; ++j) total[j] = static_cast<Acc>(x[j]);
    for (int64_t r = 1; r < rows; ++r) {
      x += s.inner;
      for (int64_t j = 0; j < w; ++j) combine<kOp>(total[j], static_cast<Acc>(x[j]));
    }
    for (int64_t j = 0; j < w; ++j) out[j] = to_storage<Out>(total[j]);
  }
}

template <ReduceOp kOp> PassFn by_size(DType t) {  // modulo 2^n signed and unsigned agree
  switch (dtype_size(t)) {
    case 1: return plain_pass<kOp, uint8_t, uint8_t, uint8_t>;
    case 2: return plain_pass<kOp, uint16_t, uint16_t, uint16_t>;
    case 4: return plain_pass<kOp, uint32_t, uint32_t, uint32_t>;
    default: return plain_pass<kOp, uint64_t, uint64_t, uint64_t>;
  }
}
template <ReduceOp kOp> PassFn integer_order(DType t) {
  switch (t) {
    case DType::Int8: return plain_pass<kOp, int8_t, int8_t, int8_t>;
    case DType::Int16: return plain_pass<kOp, int16_t, int16_t, int16_t>;
    case DType::Int32: return plain_pass<kOp, int32_t, int32_t, int32_t>;
    case DType::Int64: return plain_pass<kOp, int64_t, int64_t, int64_t>;
    default: return by_size<kOp>(t);
  }
}
template <class T> PassFn float_product(bool wide_in, bool wide_out) {
  constexpr ReduceOp kOp = ReduceOp::Prod;
  if (wide_in) return wide_out ? plain_pass<kOp, double, double, double> : plain_pass<kOp, double, double, T>;
  return wide_out ? plain_pass<kOp, T, double, double> : plain_pass<kOp, T, double, T>;
}
PassFn plain_pass_for(ReduceOp op, DType t, bool wide_in, bool wide_out) {
  switch (op) {
    case ReduceOp::Sum: return by_size<ReduceOp::Sum>(t);
    case ReduceOp::Max: return integer_order<ReduceOp::Max>(t);
    case ReduceOp::Min: return integer_order<ReduceOp::Min>(t);
    case ReduceOp::And: return by_size<ReduceOp::And>(t);
    case ReduceOp::Or: return by_size<ReduceOp::Or>(t);
    case ReduceOp::Prod: break;
  }
  switch (t) {
    case DType::Float16: return float_product<half_t>(wide_in, wide_out);
    case DType::BFloat16: return float_product<bfloat16_t>(wide_in, wide_out);
    case DType::Float32: return float_product<float>(wide_in, wide_out);
    case DType::Float64: return plain_pass<ReduceOp::Prod, double, double, double>;
    default: return by_size<ReduceOp::Prod>(t);
  }
}

// ---- sums and extremes of floats, on the cores ----
template <class T> const Core<ComputeT<T>>& core_of(const Cores& cores, ReduceOp op) {
  const int i = op == ReduceOp::Sum ? 0 : op == ReduceOp::Max ? 1 : 2;
  if constexpr (std::is_same_v<T, double>) return cores.f64[i];
  else return cores.f32[i];
}

// Returns x itself where it needs no conversion.
template <class T>
const ComputeT<T>* widened(const Cores& cores, const T* x, [[maybe_unused]] ComputeT<T>* buffer, [[maybe_unused]] int64_t n) {
  if constexpr (std::is_same_v<T, half_t>) cores.halves(x, buffer, n);
  else if constexpr (std::is_same_v<T, bfloat16_t>) cores.bfloats(x, buffer, n);
  else return x;
  return buffer;
}

template <ReduceOp kOp, class T, class Acc, class Out>
void reduce_rows(const Cores& cores, const T* in, Out* out, const PassShape& s, int64_t begin, int64_t end) {
  const auto block = core_of<T>(cores, kOp).block;
  ComputeT<T> buffer[std::is_same_v<T, ComputeT<T>> ? 1 : kBlock];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t a = u / s.chunks, c = u % s.chunks, n = std::min(s.chunk, s.reduced - c * s.chunk);
    const T* x = in + a * s.reduced + c * s.chunk;
    Acc total{};
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t m = std::min(kBlock, n - i);
      const auto v = static_cast<Acc>(block(widened(cores, x + i, buffer, m), m));
      if (i == 0) total = v;
      else combine<kOp>(total, v);
    }
    out[u] = to_storage<Out>(total);
  }
}

// total[0 … w) = the reduction of `rows` >= 1 rows of w <= kStrip columns, `stride` elements apart.
template <ReduceOp kOp, class T, class Acc>
void reduce_columns(const Cores& cores, const T* x, int64_t rows, int64_t w, int64_t stride, Acc* total) {
  using P = ComputeT<T>;
  constexpr bool kConverts = !std::is_same_v<T, P>;
  const auto add = core_of<T>(cores, kOp).add_rows;
  alignas(64) P partial[kStrip];
  alignas(64) P buffer[kConverts ? 8 * kStrip : 1];
  for (int64_t r0 = 0; r0 < rows; r0 += kBlockRows) {
    const int64_t r1 = std::min(rows, r0 + kBlockRows);
    const P* first = widened(cores, x + r0 * stride, buffer, w);
    std::copy_n(first, w, partial);
    if constexpr (kConverts) {
      for (int64_t r = r0 + 1; r < r1; r += 8) {
        const int64_t m = std::min<int64_t>(8, r1 - r);
        for (int64_t i = 0; i < m; ++i) widened(cores, x + (r + i) * stride, buffer + i * w, w);
        add(partial, buffer, m, w, w);
      }
    } else {
      add(partial, x + (r0 + 1) * stride, r1 - r0 - 1, w, stride);
    }
    if (r0 == 0)
      for (int64_t j = 0; j < w; ++j) total[j] = static_cast<Acc>(partial[j]);
    else
      for (int64_t j = 0; j < w; ++j) combine<kOp>(total[j], static_cast<Acc>(partial[j]));
  }
}

template <ReduceOp kOp, class T, class Acc, class Out>
void reduce_strips(const Cores& cores, const T* in, Out* out, const PassShape& s, int64_t begin, int64_t end) {
  alignas(64) Acc total[kStrip];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t strip = u % s.strips, c = u / s.strips % s.chunks, a = u / s.strips / s.chunks;
    const int64_t rows = std::min(s.chunk, s.reduced - c * s.chunk), j0 = strip * kStrip, w = std::min(kStrip, s.inner - j0);
    const T* x = in + (a * s.reduced + c * s.chunk) * s.inner + j0;
    const int64_t fold = s.inner < kFold ? 256 / s.inner : 1;  // rows side by side fill the vectors
    if (fold > 1 && rows >= 4 * fold) {
      const int64_t wide = rows / fold;
      reduce_columns<kOp, T, Acc>(cores, x, wide, fold * w, fold * w, total);
      for (int64_t f = 1; f < fold; ++f)
        for (int64_t j = 0; j < w; ++j) combine<kOp>(total[j], total[f * w + j]);
      for (int64_t i = wide * fold * w; i < rows * w; ++i) combine<kOp>(total[i % w], static_cast<Acc>(x[i]));
    } else {
      reduce_columns<kOp, T, Acc>(cores, x, rows, w, s.inner, total);
    }
    Out* to = out + (a * s.chunks + c) * s.inner + j0;
    for (int64_t j = 0; j < w; ++j) to[j] = to_storage<Out>(total[j]);
  }
}

template <ReduceOp kOp, class T, class Acc, class Out>
void float_pass(const Cores& cores, const void* in, void* out, const PassShape& s, int64_t begin, int64_t end) {
  if (s.inner == 1) reduce_rows<kOp, T, Acc, Out>(cores, static_cast<const T*>(in), static_cast<Out*>(out), s, begin, end);
  else reduce_strips<kOp, T, Acc, Out>(cores, static_cast<const T*>(in), static_cast<Out*>(out), s, begin, end);
}

// Between the passes of one sum, narrow floats stay wide.
template <class T> PassFn float_sum(bool wide_in, bool wide_out) {
  constexpr ReduceOp kOp = ReduceOp::Sum;
  if (wide_in) return wide_out ? float_pass<kOp, double, double, double> : float_pass<kOp, double, double, T>;
  return wide_out ? float_pass<kOp, T, double, double> : float_pass<kOp, T, double, T>;
}
// The extremes of halves are halves: the float that is stored back is exact.
template <class T> PassFn float_order(ReduceOp op) {
  return op == ReduceOp::Max ? float_pass<ReduceOp::Max, T, ComputeT<T>, T> : float_pass<ReduceOp::Min, T, ComputeT<T>, T>;
}
template <class T> PassFn float_pass_for(ReduceOp op, bool wide_in, bool wide_out) {
  if (op != ReduceOp::Sum) return float_order<T>(op);
  if constexpr (std::is_same_v<T, double>) return float_pass<ReduceOp::Sum, double, double, double>;
  else return float_sum<T>(wide_in, wide_out);
}

PassFn find_pass(ReduceOp op, DType t, bool wide_in, bool wide_out) {
  if (t == DType::Bool) {
    t = DType::UInt8;
    if (op == ReduceOp::Sum) op = ReduceOp::Or;
    if (op == ReduceOp::Prod) op = ReduceOp::And;
  }
  if (is_floating(t) && op != ReduceOp::Prod) {
    if (t == DType::Float16) return float_pass_for<half_t>(op, wide_in, wide_out);
    if (t == DType::BFloat16) return float_pass_for<bfloat16_t>(op, wide_in, wide_out);
    if (t == DType::Float32) return float_pass_for<float>(op, wide_in, wide_out);
    return float_pass_for<double>(op, wide_in, wide_out);
  }
  return plain_pass_for(op, t, wide_in, wide_out);
}

PassShape make_pass(int64_t outer, int64_t reduced, int64_t inner) {
  PassShape s{outer, reduced, inner, reduced, 1, inner == 1 ? 1 : (inner + kStrip - 1) / kStrip};
  const int64_t units = outer * s.strips, work = outer * reduced * inner;
  if (units < 16 && work >= 4 * kUnitWork) {
    s.chunks = std::clamp<int64_t>(work / kUnitWork / units, 1, std::min<int64_t>(32, reduced));
    s.chunk = (reduced + s.chunks - 1) / s.chunks;
    s.chunks = (reduced + s.chunk - 1) / s.chunk;
  }
  return s;
}

template <class T> T lowest() {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return T(-std::numeric_limits<float>::infinity());
  else if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
  else return std::numeric_limits<T>::lowest();
}
template <class T> T highest() {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return T(std::numeric_limits<float>::infinity());
  else if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
  else return std::numeric_limits<T>::max();
}
template <class T> T small_value(int v) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return T(static_cast<float>(v));
  else return static_cast<T>(v);
}
template <class T> T identity(ReduceOp op) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Or: return small_value<T>(0);
    case ReduceOp::Prod: return small_value<T>(1);
    case ReduceOp::Max: return lowest<T>();
    case ReduceOp::Min: return highest<T>();
    case ReduceOp::And: break;
  }
  if constexpr (std::is_same_v<T, bool>) return true;
  else if constexpr (std::is_integral_v<T>) return static_cast<T>(~T{0});
  else return small_value<T>(1);
}

const char* op_name(ReduceOp op) {
  static constexpr const char* kNames[] = {"sum", "prod", "max", "min", "and", "or"};
  return kNames[static_cast<int>(op)];
}

void check_static(const char* where, const Shape& s) {
  if (!s.is_static())
    throw ValueError(
        ErrorText{.what = "kernels are made for known sizes", .where = where, .expected = "a shape without None", .received = s.str()}
            .str());
}

struct Pass {
  PassFn fn;
  PassShape shape;
  int64_t grain;
};

}  // namespace

KernelPtr make_reduce(ReduceOp op, DType dtype, const Shape& in, const std::vector<int>& axes) {
  const std::string name = std::string("reduce_") + op_name(op);
  check_static(name.c_str(), in);
  if (is_floating(dtype) && (op == ReduceOp::And || op == ReduceOp::Or))
    throw TypeError(ErrorText{
        .what = "bits of floats can't be combined", .where = name, .expected = "bool or an integer dtype", .received = dtype_name(dtype)}
                        .str());
  std::vector<bool> reduced(in.size());
  for (int axis : axes) {
    const auto a = static_cast<size_t>(normalize_axis(axis, in.rank()));
    if (reduced[a])
      throw ValueError(
          ErrorText{.what = "axis " + std::to_string(axis) + " appears twice", .where = name, .expected = "each axis once"}.str());
    reduced[a] = true;
  }
  // Neighbours of one kind merge.
  struct Group {
    int64_t n;
    bool reduced;
  };
  std::vector<Group> groups;
  int64_t out_count = 1;
  for (size_t i = 0; i < in.size(); ++i) {
    const int64_t n = in.dims()[i];
    if (!reduced[i]) out_count *= n;
    if (n == 1) continue;
    if (!groups.empty() && groups.back().reduced == reduced[i]) groups.back().n *= n;
    else groups.push_back({n, reduced[i]});
  }
  if (in.numel() == 0) {
    std::array<char, 8> v{};
    visit_dtype(dtype, [&](auto tag) {
      const auto id = identity<decltype(tag)>(op);
      std::memcpy(v.data(), &id, sizeof(id));
    });
    return lambda_kernel(name + ": of nothing, fills with the identity", 0,
                         [v, out_count, size = dtype_size(dtype)](void* const*, void* const* out, void*) {
                           for (int64_t i = 0; i < out_count; ++i)
                             std::memcpy(static_cast<char*>(out[0]) + static_cast<size_t>(i) * size, v.data(), size);
                         });
  }
  std::vector<Pass> passes;
  std::vector<PassShape> shapes;
  // The largest group first: it leaves the least for the passes after it. A chunked pass leaves its chunks to a later one.
  for (;;) {
    size_t g = groups.size();
    for (size_t i = 0; i < groups.size(); ++i)
      if (groups[i].reduced && (g == groups.size() || groups[i].n >= groups[g].n)) g = i;
    if (g == groups.size()) break;
    int64_t outer = 1, inner = 1;
    for (size_t i = 0; i < g; ++i) outer *= groups[i].n;
    for (size_t i = g + 1; i < groups.size(); ++i) inner *= groups[i].n;
    shapes.push_back(make_pass(outer, groups[g].n, inner));
    if (shapes.back().chunks > 1) {
      groups[g].n = shapes.back().chunks;
    } else {
      groups.erase(groups.begin() + static_cast<int64_t>(g));
      if (g > 0 && g < groups.size() && groups[g - 1].reduced == groups[g].reduced) {
        groups[g - 1].n *= groups[g].n;
        groups.erase(groups.begin() + static_cast<int64_t>(g));
      }
    }
  }
  const size_t item = dtype_size(dtype);
  if (shapes.empty())
    return lambda_kernel(name + ": a copy", 0, [bytes = static_cast<size_t>(out_count) * item](void* const* src, void* const* dst, void*) {
      std::memcpy(dst[0], src[0], bytes);
    });
  const bool wide = widens(op, dtype);
  const size_t between = wide ? sizeof(double) : item;
  size_t half[2] = {0, 0};  // what the two halves of scratch must hold in turn
  std::string text = name + ":";
  for (size_t i = 0; i < shapes.size(); ++i) {
    const PassShape& s = shapes[i];
    const bool last = i + 1 == shapes.size();
    const int64_t unit = std::max<int64_t>(1, s.chunk * std::min(s.inner, kStrip));
    passes.push_back({find_pass(op, dtype, wide && i > 0, wide && !last), s, std::max<int64_t>(1, kUnitWork / unit)});
    if (!last) half[i % 2] = std::max(half[i % 2], static_cast<size_t>(s.outer * s.chunks * s.inner) * between);
    text += " (" + std::to_string(s.outer) + ", " + std::to_string(s.reduced) + (s.chunks > 1 ? " in " + std::to_string(s.chunks) : "") +
            ", " + std::to_string(s.inner) + ")";
  }
  half[0] = (half[0] + 63) / 64 * 64;
  return lambda_kernel(text, half[0] + half[1],
                       [passes, first = half[0], cores = HWY_DYNAMIC_DISPATCH(cores)()](void* const* src, void* const* dst, void* scratch) {
                         const void* from = src[0];
                         for (size_t i = 0; i < passes.size(); ++i) {
                           const Pass& p = passes[i];
                           void* to = i + 1 == passes.size() ? dst[0] : static_cast<char*>(scratch) + (i % 2 ? first : 0);
                           parallel_for(p.shape.units(), p.grain,
                                        [&](int64_t begin, int64_t end) { p.fn(cores, from, to, p.shape, begin, end); });
                           from = to;
                         }
                       });
}

// ---- arg-reductions and running reductions ----
// They are rare and bound by a chain of comparisons or sums, so they work on short pieces converted to one of three types.
namespace {

constexpr int64_t kPiece = 256;

template <class T> using WideT =
    std::conditional_t<is_floating(dtype_of_v<T>), double, std::conditional_t<std::is_same_v<T, uint64_t>, uint64_t, int64_t>>;

template <class A> struct Convert {
  void (*in)(const void* base, int64_t offset, A* y, int64_t n);
  void (*out)(const A* x, void* base, int64_t offset, int64_t n);
};
template <class T> Convert<WideT<T>> convert() {
  using A = WideT<T>;
  return {[](const void* base, int64_t offset, A* y, int64_t n) {
            const T* x = static_cast<const T*>(base) + offset;
            for (int64_t i = 0; i < n; ++i) y[i] = static_cast<A>(x[i]);
          },
          [](const A* x, void* base, int64_t offset, int64_t n) {
            T* y = static_cast<T*>(base) + offset;
            for (int64_t i = 0; i < n; ++i) y[i] = to_storage<T>(x[i]);
          }};
}

// An axis of n elements, and how the positions beside it are cut into pieces.
struct Axis {
  int64_t outer, n, inner;
  int64_t strips() const { return (inner + kPiece - 1) / kPiece; }
  int64_t units() const { return outer * strips(); }
  int64_t grain() const { return std::max<int64_t>(1, kUnitWork / std::max<int64_t>(1, n * std::min(inner, kPiece))); }
};
Axis make_axis(const Shape& shape, int axis) {
  const int a = normalize_axis(axis, shape.rank());
  return {shape.slice(0, a).numel(), shape[a], shape.slice(a + 1).numel()};
}

// NaN beats everything but an earlier NaN.
template <bool kMax, class A> inline bool better(A v, A best) { return (kMax ? v > best : v < best) | ((v != v) & (best == best)); }

template <bool kMax, class A>
void arg_reduce(const Convert<A>& convert, const void* in, void* out, bool wide, const Axis& axis, int64_t begin, int64_t end) {
  A best[kPiece], v[kPiece];
  int64_t at[kPiece];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t a = u / axis.strips(), j0 = u % axis.strips() * kPiece, w = std::min(kPiece, axis.inner - j0),
                  base = a * axis.n * axis.inner + j0;
    at[0] = 0;
    convert.in(in, base, best, w);
    if (axis.inner == 1) {
      A top = best[0];
      for (int64_t i = 0; i < axis.n && top == top; i += kPiece) {
        const int64_t m = std::min(kPiece, axis.n - i);
        convert.in(in, base + i, v, m);
        for (int64_t j = 0; j < m; ++j)
          if (better<kMax>(v[j], top)) top = v[j], at[0] = i + j;
      }
    } else {
      std::fill_n(at, w, 0);
      for (int64_t i = 1; i < axis.n; ++i) {
        convert.in(in, base + i * axis.inner, v, w);
        for (int64_t j = 0; j < w; ++j) {
          const bool take = better<kMax>(v[j], best[j]);
          best[j] = take ? v[j] : best[j];
          at[j] = take ? i : at[j];
        }
      }
    }
    const int64_t to = a * axis.inner + j0;
    if (wide) std::copy_n(at, w, static_cast<int64_t*>(out) + to);
    else std::transform(at, at + w, static_cast<int32_t*>(out) + to, [](int64_t i) { return static_cast<int32_t>(i); });
  }
}

struct Direction {
  bool reverse, exclusive;
};
// Wrapping sums of whole numbers are those of unsigned ones.
template <ReduceOp kOp, class A> inline A next(A a, A v) {
  using U = std::conditional_t<std::is_same_v<A, int64_t> && (kOp == ReduceOp::Sum || kOp == ReduceOp::Prod), uint64_t, A>;
  U r = static_cast<U>(a);
  combine<kOp>(r, static_cast<U>(v));
  return static_cast<A>(r);
}
template <ReduceOp kOp, class A>
void cumulate(const Convert<A>& convert, A start, const void* in, void* out, const Axis& axis, Direction d, int64_t begin, int64_t end) {
  A total[kPiece], v[kPiece];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t a = u / axis.strips(), j0 = u % axis.strips() * kPiece, w = std::min(kPiece, axis.inner - j0),
                  base = a * axis.n * axis.inner + j0;
    std::fill_n(total, w, start);
    const int64_t step = axis.inner == 1 ? kPiece : 1;
    for (int64_t i = 0; i < axis.n; i += step) {
      const int64_t m = axis.inner == 1 ? std::min(kPiece, axis.n - i) : w;
      const int64_t at = base + (d.reverse ? axis.n - i - (axis.inner == 1 ? m : 1) : i) * axis.inner;
      convert.in(in, at, v, m);
      if (axis.inner == 1) {
        A t = total[0];
        for (int64_t j = 0; j < m; ++j) {
          A& x = v[d.reverse ? m - 1 - j : j];
          const A after = next<kOp>(t, x);
          x = d.exclusive ? t : after;
          t = after;
        }
        total[0] = t;
      } else {
        for (int64_t j = 0; j < m; ++j) {
          const A after = next<kOp>(total[j], v[j]);
          v[j] = d.exclusive ? total[j] : after;
          total[j] = after;
        }
      }
      convert.out(v, out, at, m);
    }
  }
}
template <class A> auto cumulate_fn(ReduceOp op) {
  switch (op) {
    case ReduceOp::Sum: return cumulate<ReduceOp::Sum, A>;
    case ReduceOp::Prod: return cumulate<ReduceOp::Prod, A>;
    case ReduceOp::Max: return cumulate<ReduceOp::Max, A>;
    default: return cumulate<ReduceOp::Min, A>;
  }
}

}  // namespace

KernelPtr make_arg_reduce(bool max, DType in, DType out, const Shape& shape, int axis) {
  const char* name = max ? "argmax" : "argmin";
  check_static(name, shape);
  const Axis a = make_axis(shape, axis);
  if (a.n == 0)
    throw ValueError(
        ErrorText{.what = "an axis of size 0 has no greatest or smallest element", .where = name, .received = shape.str()}.str());
  if (out != DType::Int32 && out != DType::Int64)
    throw TypeError(
        ErrorText{.what = "indices have the wrong dtype", .where = name, .expected = "int32 or int64", .received = dtype_name(out)}.str());
  return visit_dtype(in, [&](auto tag) {
    using A = WideT<decltype(tag)>;
    const auto fn = max ? arg_reduce<true, A> : arg_reduce<false, A>;
    return lambda_kernel(
        name, 0, [fn, a, to = convert<decltype(tag)>(), wide = out == DType::Int64](void* const* src, void* const* dst, void*) {
          parallel_for(a.units(), a.grain(), [&](int64_t begin, int64_t end) { fn(to, src[0], dst[0], wide, a, begin, end); });
        });
  });
}

KernelPtr make_cumulative(ReduceOp op, DType dtype, const Shape& shape, int axis, bool reverse, bool exclusive) {
  const std::string name = std::string("cumulative_") + op_name(op);
  check_static(name.c_str(), shape);
  if (op == ReduceOp::And || op == ReduceOp::Or)
    throw ValueError(
        ErrorText{.what = "there is no running reduction of this kind", .where = name, .expected = "sum, prod, max or min"}.str());
  const Axis a = make_axis(shape, axis);
  return visit_dtype(dtype, [&](auto tag) {
    using T = decltype(tag);
    using A = WideT<T>;
    if (std::is_same_v<T, bool>) op = op == ReduceOp::Sum ? ReduceOp::Max : op == ReduceOp::Prod ? ReduceOp::Min : op;  // Or and And
    const auto start = static_cast<A>(identity<T>(op));
    return lambda_kernel(name, 0,
                         [fn = cumulate_fn<A>(op), a, start, to = convert<T>(), d = Direction{reverse, exclusive}](
                             void* const* src, void* const* dst, void*) {
                           parallel_for(a.n == 0 ? 0 : a.units(), a.grain(),
                                        [&](int64_t begin, int64_t end) { fn(to, start, src[0], dst[0], a, d, begin, end); });
                         });
  });
}

}  // namespace keras::cpu
#endif  // HWY_ONCE
