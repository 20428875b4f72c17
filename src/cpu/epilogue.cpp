// What lives here: the epilogue's loops for every dtype. SIMD through Highway, chosen at run time.
#include "cpu/epilogue.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include <keras/base/error.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/epilogue.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_clamp.h"

#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Act = Epilogue::Act;

/// exp(-|x|), down to the denormal numbers; NaN stays NaN.
template <class D, class V = hn::Vec<D>> HWY_INLINE V exp_minus_abs(D d, V x) {
  if constexpr (std::is_same_v<hn::TFromD<D>, double>) {
    return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, hn::Neg(hn::Abs(x))));
  } else {
    // 2^(by a), by in two parts. Adding `magic` rounds, and leaves the whole number in the low bits. The power is 2^64 too large first, so that no exponent ends.
    const V a = smaller_of(hn::Set(d, 104.0f), hn::Abs(x));  // x86 returns the second operand for NaN
    const V by = hn::Set(d, -1.44269502f), magic = hn::Set(d, 12582912.0f);
    const V rounded = hn::MulAdd(a, by, magic);
    const V f = hn::MulAdd(a, hn::Set(d, -1.92596299e-8f), hn::MulSub(a, by, hn::Sub(rounded, magic)));
    const hn::RebindToSigned<D> di;
    const V scale = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::BitCast(di, rounded), hn::Set(di, 127 + 64))));
    V p = hn::Set(d, 0.000153458124f);
    for (const float c : {0.00133999309f, 0.00961848907f, 0.0555032864f, 0.240226462f, 0.693147182f, 1.0f}) p = hn::MulAdd(p, f, hn::Set(d, c));
    return hn::Mul(hn::Mul(p, scale), hn::Set(d, 5.42101086e-20f));
  }
}

template <class D, class V = hn::Vec<D>> HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1), e = exp_minus_abs(d, x);
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(e, one));
}

// erfc(z) exp(z^2) for z in [0, 10] as a polynomial in 1 / (1 + 0.43 z), fitted for the least relative error (1e-7): unlike a fit of
// erf it keeps gelu's relative accuracy far below zero.
template <class D, class V = hn::Vec<D>> HWY_INLINE V gelu_erf(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, double>) {
    HWY_ALIGN T lanes[hn::MaxLanes(d)];
    hn::Store(x, d, lanes);
    for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = 0.5 * lanes[i] * std::erfc(-lanes[i] * 0.70710678118654752440);
    return hn::Load(d, lanes);
  } else {
    // max(x, 0) - h(|x|), where h(a) = a erfc(a / sqrt 2) / 2 = a exp(-a^2 / 2) t p(t), t = 1 / (1 + 0.304 a).
    const V one = hn::Set(d, 1);
    const V a = hn::Min(hn::Set(d, 13.29f), hn::Abs(x));  // from here on the power of two below is 0
    const V t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.304055929f), one));
    const V s = hn::Mul(a, a), by = hn::Set(d, -0.721347511f);  // exp(-s / 2) = 2^(by s)
    const V magic = hn::Set(d, 12582912.0f);                    // adding it rounds, and leaves the whole number in the low bits
    const V rounded = hn::MulAdd(s, by, magic);
    const V f = hn::MulSub(s, by, hn::Sub(rounded, magic));
    const hn::RebindToSigned<D> di;
    const V scale = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::BitCast(di, rounded), hn::Set(di, 127))));
    V e = hn::Set(d, 0.000153458124f), p = hn::Set(d, 0.0365737155f);
    for (const float c : {0.00133999309f, 0.00961848907f, 0.0555032864f, 0.240226462f, 0.693147182f, 1.0f})
      e = hn::MulAdd(e, f, hn::Set(d, c));
    for (const float c : {-0.154050931f, 0.189948574f, -0.0411562733f, 0.122542292f, 0.102735721f, 0.122146986f, 0.121259905f})
      p = hn::MulAdd(p, t, hn::Set(d, c));
    return hn::NegMulAdd(hn::Mul(hn::Mul(a, t), p), hn::Mul(e, scale), greater_of(hn::Zero(d), x));
  }
}

template <Act kAct, class D, class V = hn::Vec<D>> HWY_INLINE V activate(D d, V alpha, V x) {
  using T = hn::TFromD<D>;
  const V zero = hn::Zero(d);
  // Max(zero, x) and not Max(x, zero): x86 returns the second operand for NaN.
  if constexpr (kAct == Act::Relu) return hn::MulAdd(alpha, smaller_of(zero, x), greater_of(zero, x));
  if constexpr (kAct == Act::Relu6) return smaller_of(hn::Set(d, 6), greater_of(zero, x));
  if constexpr (kAct == Act::Gelu) return gelu_erf(d, x);
  if constexpr (kAct == Act::GeluTanh) {
    // 0.5 x (1 + tanh u) = x sigmoid(2u), without the cancellation.
    const V u = hn::Mul(
        x, hn::MulAdd(hn::Mul(x, x), hn::Set(d, static_cast<T>(0.0713548162726009)), hn::Set(d, static_cast<T>(1.5957691216057308))));
    return hn::Mul(x, sigmoid(d, u));
  }
  if constexpr (kAct == Act::Tanh) return hn::Tanh(d, x);
  if constexpr (kAct == Act::Sigmoid) return sigmoid(d, x);
  if constexpr (kAct == Act::Elu) return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(alpha, hn::Expm1(d, x)), x);
  if constexpr (kAct == Act::Swish) return hn::Mul(x, sigmoid(d, x));
  if constexpr (kAct == Act::HardSwish) {
    const V clipped = smaller_of(hn::Set(d, 6), greater_of(zero, hn::Add(x, hn::Set(d, 3))));
    return hn::Mul(x, hn::Mul(clipped, hn::Set(d, static_cast<T>(1.0 / 6))));
  }
  return x;
}

template <Act kAct, class T> void rows_loop(T alpha, T* y, const T* bias, const T* add, int64_t rows, int64_t cols, int64_t ld) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto va = hn::Set(d, alpha);
  const bool plain_relu = kAct == Act::Relu && alpha == 0;
  const auto one = [&](auto v) HWY_ATTR { return plain_relu ? greater_of(hn::Zero(d), v) : activate<kAct>(d, va, v); };
  // A single column has one bias for all rows: treat it as one row.
  const bool column = cols == 1 && ld == 1 && rows > 1;
  const bool flat = ld == cols && bias == nullptr;
  const T column_bias = column && bias != nullptr ? bias[0] : T{0};
  if (column || flat) cols *= rows, rows = 1;
  if (column) bias = nullptr;
  for (int64_t r = 0; r < rows; ++r, y += ld, add = add == nullptr ? nullptr : add + ld) {
    int64_t j = 0;
    for (; j + lanes <= cols; j += lanes) {
      auto v = hn::LoadU(d, y + j);
      if (bias != nullptr) v = hn::Add(v, hn::LoadU(d, bias + j));
      if (column) v = hn::Add(v, hn::Set(d, column_bias));
      if (add != nullptr) v = hn::Add(v, hn::LoadU(d, add + j));
      hn::StoreU(one(v), d, y + j);
    }
    if (j < cols) {
      HWY_ALIGN T tail[hn::MaxLanes(d)] = {};
      for (int64_t i = j; i < cols; ++i) tail[i - j] = y[i] + (bias != nullptr ? bias[i] : column_bias) + (add != nullptr ? add[i] : T{0});
      hn::Store(one(hn::Load(d, tail)), d, tail);
      for (int64_t i = j; i < cols; ++i) y[i] = tail[i - j];
    }
  }
}

template <class T> void rows_any(const Epilogue& e, T* y, const T* bias, const T* add, int64_t rows, int64_t cols, int64_t ld) {
  const T alpha = static_cast<T>(e.alpha);
  switch (e.act) {
    case Act::None: return rows_loop<Act::None>(alpha, y, bias, add, rows, cols, ld);
    case Act::Relu: return rows_loop<Act::Relu>(alpha, y, bias, add, rows, cols, ld);
    case Act::Relu6: return rows_loop<Act::Relu6>(alpha, y, bias, add, rows, cols, ld);
    case Act::Gelu: return rows_loop<Act::Gelu>(alpha, y, bias, add, rows, cols, ld);
    case Act::GeluTanh: return rows_loop<Act::GeluTanh>(alpha, y, bias, add, rows, cols, ld);
    case Act::Tanh: return rows_loop<Act::Tanh>(alpha, y, bias, add, rows, cols, ld);
    case Act::Sigmoid: return rows_loop<Act::Sigmoid>(alpha, y, bias, add, rows, cols, ld);
    case Act::Elu: return rows_loop<Act::Elu>(alpha, y, bias, add, rows, cols, ld);
    case Act::Swish: return rows_loop<Act::Swish>(alpha, y, bias, add, rows, cols, ld);
    case Act::HardSwish: return rows_loop<Act::HardSwish>(alpha, y, bias, add, rows, cols, ld);
  }
}

void RowsF32(const Epilogue& e, float* y, const float* bias, const float* add, int64_t rows, int64_t cols, int64_t ld) {
  rows_any(e, y, bias, add, rows, cols, ld);
}
void RowsF64(const Epilogue& e, double* y, const double* bias, const double* add, int64_t rows, int64_t cols, int64_t ld) {
  rows_any(e, y, bias, add, rows, cols, ld);
}

void WidenBFloat16(const uint16_t* from, float* to, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> u;
  const hn::Rebind<uint16_t, decltype(d)> s;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(u, hn::LoadU(s, from + i)))), d, to + i);
  for (; i < n; ++i) to[i] = std::bit_cast<float>(static_cast<uint32_t>(from[i]) << 16);
}

void NarrowBFloat16(const float* from, uint16_t* to, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> u;
  const hn::Rebind<uint16_t, decltype(d)> s;
  const hn::RebindToSigned<decltype(d)> w;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto f = hn::LoadU(d, from + i);
    const auto v = hn::BitCast(u, f);
    const auto odd = hn::And(hn::ShiftRight<16>(v), hn::Set(u, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(v, hn::Set(u, 0x7fff)), odd));
    const auto quiet = hn::Or(hn::ShiftRight<16>(v), hn::Set(u, 0x40));
    const auto bits = hn::IfThenElse(hn::RebindMask(u, hn::Ne(f, f)), quiet, rounded);
    hn::StoreU(hn::DemoteTo(s, hn::BitCast(w, bits)), s, to + i);
  }
  for (; i < n; ++i) to[i] = bfloat16_t(from[i]).bits;
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace keras::cpu {
namespace {
HWY_EXPORT(RowsF32);
HWY_EXPORT(RowsF64);
HWY_EXPORT(WidenBFloat16);
HWY_EXPORT(NarrowBFloat16);

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) void widen_f16c(const uint16_t* from, float* to, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  for (; i < n; ++i) to[i] = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(from[i])));
}
__attribute__((target("avx,f16c"))) void narrow_f16c(const float* from, uint16_t* to, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < n; ++i) to[i] = static_cast<uint16_t>(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(from[i]), _MM_FROUND_TO_NEAREST_INT)));
}
bool has_f16c() {
  // Asked of the processor itself: not every compiler's __builtin_cpu_supports knows the name. That of AVX also tells whether the system saves its registers.
  static const bool yes = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
  }();
  return yes;
}
#endif

// Through a block of floats that stays in the cache.
void half_rows(const Epilogue& e, DType dtype, uint16_t* y, const uint16_t* bias, const uint16_t* add, int64_t rows, int64_t cols,
               int64_t ld) {
  constexpr int64_t kBlock = 512;
  alignas(64) float fy[kBlock], fb[kBlock], fa[kBlock];
  if (ld == cols && bias == nullptr) cols *= rows, rows = 1;
  for (int64_t j = 0; j < cols; j += kBlock) {
    const int64_t n = std::min(kBlock, cols - j);
    if (bias != nullptr) widen(dtype, bias + j, fb, n);
    for (int64_t r = 0; r < rows; ++r) {
      widen(dtype, y + r * ld + j, fy, n);
      if (add != nullptr) widen(dtype, add + r * ld + j, fa, n);
      HWY_DYNAMIC_DISPATCH(RowsF32)(e, fy, bias != nullptr ? fb : nullptr, add != nullptr ? fa : nullptr, 1, n, n);
      narrow(dtype, fy, y + r * ld + j, n);
    }
  }
}

template <class T> void integer_rows(const Epilogue& e, T* y, const T* bias, const T* add, int64_t rows, int64_t cols, int64_t ld) {
  // Unsigned arithmetic: overflow wraps, as in XLA.
  using U =
      std::conditional_t<std::is_same_v<T, bool>, unsigned, std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, int, T>>>;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t at = r * ld + j;
      U u = static_cast<U>(y[at]);
      if (bias != nullptr) u = static_cast<U>(u + static_cast<U>(bias[j]));
      if (add != nullptr) u = static_cast<U>(u + static_cast<U>(add[at]));
      T v = static_cast<T>(u);
      if (e.act != Epilogue::Act::None) v = std::max(v, T{0});
      if constexpr (!std::is_same_v<T, bool>) {
        if (e.act == Epilogue::Act::Relu6) v = std::min(v, T{6});
      }
      y[at] = v;
    }
  }
}

}  // namespace

void widen(DType dtype, const void* from, float* to, int64_t n) {
  if (dtype == DType::BFloat16) return HWY_DYNAMIC_DISPATCH(WidenBFloat16)(static_cast<const uint16_t*>(from), to, n);
#if defined(__x86_64__)
  if (has_f16c()) return widen_f16c(static_cast<const uint16_t*>(from), to, n);
#endif
  const auto* f = static_cast<const half_t*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = f[i];
}

void narrow(DType dtype, const float* from, void* to, int64_t n) {
  if (dtype == DType::BFloat16) return HWY_DYNAMIC_DISPATCH(NarrowBFloat16)(from, static_cast<uint16_t*>(to), n);
#if defined(__x86_64__)
  if (has_f16c()) return narrow_f16c(from, static_cast<uint16_t*>(to), n);
#endif
  auto* t = static_cast<half_t*>(to);
  for (int64_t i = 0; i < n; ++i) t[i] = half_t(from[i]);
}

void check_epilogue(const Epilogue& e, DType dtype, const char* where) {
  if (is_floating(dtype) || e.act == Epilogue::Act::None || (is_integer(dtype) && e.act <= Epilogue::Act::Relu6 && e.alpha == 0)) return;
  throw TypeError(ErrorText{.what = "this activation needs a floating dtype", .where = where, .received = dtype_name(dtype)}.str());
}

void apply_epilogue(const Epilogue& e, DType dtype, void* y, const void* bias, const void* add, int64_t rows, int64_t cols, int64_t ld) {
  if (rows <= 0 || cols <= 0 || (bias == nullptr && add == nullptr && e.act == Epilogue::Act::None)) return;
  visit_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, float>) {
      HWY_DYNAMIC_DISPATCH(RowsF32)(e, static_cast<T*>(y), static_cast<const T*>(bias), static_cast<const T*>(add), rows, cols, ld);
    } else if constexpr (std::is_same_v<T, double>) {
      HWY_DYNAMIC_DISPATCH(RowsF64)(e, static_cast<T*>(y), static_cast<const T*>(bias), static_cast<const T*>(add), rows, cols, ld);
    } else if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) {
      half_rows(e, dtype, static_cast<uint16_t*>(y), static_cast<const uint16_t*>(bias), static_cast<const uint16_t*>(add), rows, cols, ld);
    } else {
      integer_rows(e, static_cast<T*>(y), static_cast<const T*>(bias), static_cast<const T*>(add), rows, cols, ld);
    }
  });
}

}  // namespace keras::cpu
#endif
