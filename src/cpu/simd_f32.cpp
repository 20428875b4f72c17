// What lives here: the float32 kernels: elementary functions, composites, comparisons, half conversions, reductions.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd_f32.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <bit>
#include <cmath>

#include "cpu/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
using namespace simd;
}
HWY_AFTER_NAMESPACE();
#include "cpu/simd_loops.h"
#include "cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {

using D32 = hn::ScalableTag<float>;
using V32 = hn::Vec<D32>;

KERAS_OP1(FExp, exp32(d, a))
KERAS_OP1(FExpm1, expm1_32(d, a))
KERAS_OP1(FLog, log32(d, a))
KERAS_OP1(FLog2, log2_32(d, a))
KERAS_OP1(FLog10, log10_32(d, a))
KERAS_OP1(FLog1p, log1p32(d, a))
KERAS_OP1(FTanh, tanh32(d, a))
KERAS_OP1(FSigmoid, sigmoid32(d, a))
KERAS_OP1(FSoftplus, softplus32(d, a))
KERAS_OP1(FErf, erf32(d, a))
KERAS_OP1(FErfc, erfc32(d, a))
KERAS_OP1(FSin, trig32<Trig::sin>(d, a))
KERAS_OP1(FCos, trig32<Trig::cos>(d, a))
KERAS_OP1(FTan, trig32<Trig::tan>(d, a))
KERAS_OP1(FSilu, silu32(d, a))
KERAS_OP1(FGeluErf, gelu_erf32(d, a))
KERAS_OP1(FGeluTanh, gelu_tanh32(d, a))
KERAS_OP2(FGeluErfGrad, gelu_erf_grad32(d, a, b))
KERAS_OP2(FSqrtAdd, hn::Add(hn::Sqrt(a), b))
KERAS_OP2(FExpSub, exp32(d, hn::Sub(a, b)))
KERAS_OP3(FLerp, hn::MulAdd(hn::Sub(a, c), b, c))
KERAS_OP3(FLerpSq, hn::MulAdd(hn::MulSub(a, a, c), b, c))

struct FAdamStep {
  template <class D, class V> HWY_INLINE V operator()(D, V p, V m, V alpha, V v, V eps) const {
    return hn::Sub(p, hn::Div(hn::Mul(m, alpha), hn::Add(hn::Sqrt(v), eps)));
  }
};
struct FSubMulAdd {
  template <class D, class V> HWY_INLINE V operator()(D, V a, V b, V c, V e) const { return hn::MulAdd(hn::Sub(a, b), c, e); }
};
struct FNormalize {
  template <class D, class V> HWY_INLINE V operator()(D, V a, V b, V c, V e, V g) const { return hn::MulAdd(hn::Mul(hn::Sub(a, b), c), e, g); }
};

// Dividing by one number: times its reciprocal, then one correction by the exact remainder, which gives the bits of the
// division wherever quotient and remainder are normal numbers; other vectors are divided.
void div_f32(const Args& k) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  const float b = (k.scalars & 3) == 2 ? *static_cast<const float*>(k.in[1]) : 0.0f, ab = std::abs(b);
  if (ab > 1e-15f && ab < 1e15f) {
    const D32 d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
    const float* a = static_cast<const float*>(k.in[0]);
    float* out = static_cast<float*>(k.out);
    const V32 s = hn::Set(d, b), r = hn::Set(d, 1.0f / b), lo = hn::Set(d, 1e-15f), hi = hn::Set(d, 1e15f);
    const auto f = [&](V32 x) HWY_ATTR {
      const V32 q = hn::Mul(x, r);
      const V32 fixed = hn::MulAdd(hn::NegMulAdd(q, s, x), r, q), ax = hn::Abs(x);
      const auto easy = hn::Or(hn::And(hn::Gt(ax, lo), hn::Lt(ax, hi)), hn::Eq(x, hn::Zero(d)));
      if (HWY_LIKELY(hn::AllTrue(d, easy))) return fixed;
      return hn::Div(x, s);
    };
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) hn::StoreU(f(hn::LoadU(d, a + i)), d, out + i);
    if (i < n) store_part(f(load_part(d, a + i, static_cast<size_t>(n - i))), d, out + i, static_cast<size_t>(n - i));
    return;
  }
#endif
  map2<float, FDiv>(k);
}

void exp_sub_sum(const Args& k) {
  const D32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const Operands<float, 2> o(k);
  const float *a = o.p[0], *b = o.p[1];
  const int64_t sa = o.walk[0], sb = o.walk[1];
  float* out = static_cast<float*>(k.out);
  V32 s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  const auto at = [&](int64_t j) HWY_ATTR { return exp32(d, hn::Sub(hn::LoadU(d, a + (j & sa)), hn::LoadU(d, b + (j & sb)))); };
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const V32 x = at(i), y = at(i + lanes);
    s0 = hn::Add(s0, x);
    s1 = hn::Add(s1, y);
    hn::StoreU(x, d, out + i);
    hn::StoreU(y, d, out + i + lanes);
    std::swap(s0, s2);
    std::swap(s1, s3);
  }
  for (; i < n; i += lanes) {
    const size_t r = static_cast<size_t>(std::min(lanes, n - i));
    const V32 x = exp32(d, hn::Sub(load_part(d, a + (i & sa), r), load_part(d, b + (i & sb), r)));
    s0 = hn::Add(s0, hn::IfThenElseZero(hn::FirstN(d, r), x));
    store_part(x, d, out + i, r);
  }
  *static_cast<float*>(k.out2) = join_lanes<SumOp>(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

// ---- pow ----

void pow_f32(const Args& k) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(dd)), n = k.n;
  const float* a = static_cast<const float*>(k.in[0]);
  const float* b = static_cast<const float*>(k.in[1]);
  float* out = static_cast<float*>(k.out);
  HWY_ALIGN float x[hn::MaxLanes(hn::ScalableTag<double>())], y[hn::MaxLanes(hn::ScalableTag<double>())];
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t r = std::min(lanes, n - i);
    // The lanes behind the end compute 1 to the 1.
    for (int64_t j = 0; j < lanes; ++j) {
      x[j] = j < r ? (k.scalars & 1 ? *a : a[i + j]) : 1.0f;
      y[j] = j < r ? (k.scalars & 2 ? *b : b[i + j]) : 1.0f;
    }
    const auto vx = hn::Load(df, x), vy = hn::Load(df, y);
    const auto zero = hn::Zero(df), inf = hn::Set(df, std::numeric_limits<float>::infinity());
    const auto plain = hn::And(hn::And(hn::Gt(vx, zero), hn::Lt(vx, inf)), hn::Lt(hn::Abs(vy), inf));
    if (hn::AllTrue(df, plain)) {
      hn::Store(hn::DemoteTo(df, pow_core(dd, hn::PromoteTo(dd, vx), hn::PromoteTo(dd, vy))), df, x);
    } else {
      for (int64_t j = 0; j < r; ++j) x[j] = std::pow(x[j], y[j]);
    }
    std::memcpy(out + i, x, static_cast<size_t>(r) * sizeof(float));
  }
#else
  // Emulated conversions to float32 do not overflow to infinity.
  const float* a = static_cast<const float*>(k.in[0]);
  const float* b = static_cast<const float*>(k.in[1]);
  for (int64_t i = 0; i < k.n; ++i) static_cast<float*>(k.out)[i] = std::pow(a[k.scalars & 1 ? 0 : i], b[k.scalars & 2 ? 0 : i]);
#endif
}

// ---- booleans: one byte in memory, a mask in registers ----

using D8 = hn::Rebind<uint8_t, D32>;

HWY_INLINE void store_bool(hn::Mask<D32> m, uint8_t* out) {
  const D32 d;
  const IntOf<D32> di;
  const D8 d8;
  const auto one = hn::IfThenElseZero(hn::RebindMask(di, m), hn::Set(di, 1));
  hn::StoreU(hn::DemoteTo(d8, one), d8, out);
  (void)d;
}
HWY_INLINE hn::Mask<D32> load_bool(const uint8_t* p) {
  const D32 d;
  const IntOf<D32> di;
  const D8 d8;
  return hn::RebindMask(d, hn::Ne(hn::PromoteTo(di, hn::LoadU(d8, p)), hn::Zero(di)));
}

#define KERAS_TEST1(name, expr) \
  struct name { HWY_INLINE hn::Mask<D32> operator()(D32 d, V32 a) const { (void)d; return expr; } };
#define KERAS_TEST2(name, expr) \
  struct name { HWY_INLINE hn::Mask<D32> operator()(D32 d, V32 a, V32 b) const { (void)d; return expr; } };
KERAS_TEST1(TIsNan, hn::IsNaN(a))
KERAS_TEST1(TIsInf, hn::Eq(hn::Abs(a), hn::Set(d, std::numeric_limits<float>::infinity())))
KERAS_TEST1(TIsFinite, hn::Lt(hn::Abs(a), hn::Set(d, std::numeric_limits<float>::infinity())))
KERAS_TEST1(TNot, hn::Eq(a, hn::Zero(d)))
KERAS_TEST2(TEq, hn::Eq(a, b))
KERAS_TEST2(TNe, hn::Not(hn::Eq(a, b)))  // Highway's Ne is false for NaN
KERAS_TEST2(TLt, hn::Lt(a, b))
KERAS_TEST2(TLe, hn::Le(a, b))
KERAS_TEST2(TGt, hn::Gt(a, b))
KERAS_TEST2(TGe, hn::Ge(a, b))

template <class F> void test1(const Args& k) {
  const D32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const Operands<float, 1> o(k);
  uint8_t* out = static_cast<uint8_t*>(k.out);
  const F f;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_bool(f(d, hn::LoadU(d, o.p[0] + (i & o.walk[0]))), out + i);
  if (i < n) {
    HWY_ALIGN uint8_t buf[hn::MaxLanes(D32())];
    const size_t r = static_cast<size_t>(n - i);
    store_bool(f(d, load_part(d, o.p[0] + (i & o.walk[0]), r)), buf);
    std::memcpy(out + i, buf, r);
  }
}
template <class F> void test2(const Args& k) {
  const D32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const Operands<float, 2> o(k);
  const float *a = o.p[0], *b = o.p[1];
  const int64_t sa = o.walk[0], sb = o.walk[1];
  uint8_t* out = static_cast<uint8_t*>(k.out);
  const F f;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_bool(f(d, hn::LoadU(d, a + (i & sa)), hn::LoadU(d, b + (i & sb))), out + i);
  if (i < n) {
    HWY_ALIGN uint8_t buf[hn::MaxLanes(D32())];
    const size_t r = static_cast<size_t>(n - i);
    store_bool(f(d, load_part(d, a + (i & sa), r), load_part(d, b + (i & sb), r)), buf);
    std::memcpy(out + i, buf, r);
  }
}

void select_f32(const Args& k) {
  const D32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  Args rest = k;
  rest.in[0] = k.in[1];
  rest.in[1] = k.in[2];
  rest.scalars = k.scalars >> 1;
  const Operands<float, 2> o(rest);
  const float *a = o.p[0], *b = o.p[1];
  const int64_t sa = o.walk[0], sb = o.walk[1];
  const uint8_t* c = static_cast<const uint8_t*>(k.in[0]);
  int64_t sc = -1;
  HWY_ALIGN uint8_t spread[hn::MaxLanes(D32())];
  if (k.scalars & 1) {
    std::memset(spread, *c, sizeof spread);
    c = spread;
    sc = 0;
  }
  float* out = static_cast<float*>(k.out);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::IfThenElse(load_bool(c + (i & sc)), hn::LoadU(d, a + (i & sa)), hn::LoadU(d, b + (i & sb))), d, out + i);
  if (i < n) {
    HWY_ALIGN uint8_t buf[hn::MaxLanes(D32())] = {};
    const size_t r = static_cast<size_t>(n - i);
    std::memcpy(buf, c + (i & sc), r);
    store_part(hn::IfThenElse(load_bool(buf), load_part(d, a + (i & sa), r), load_part(d, b + (i & sb), r)), d, out + i, r);
  }
}

struct FSelectLt { template <class D, class V> HWY_INLINE V operator()(D, V a, V b, V x, V y) const { return hn::IfThenElse(hn::Lt(a, b), x, y); } };
struct FSelectLe { template <class D, class V> HWY_INLINE V operator()(D, V a, V b, V x, V y) const { return hn::IfThenElse(hn::Le(a, b), x, y); } };
struct FSelectEq { template <class D, class V> HWY_INLINE V operator()(D, V a, V b, V x, V y) const { return hn::IfThenElse(hn::Eq(a, b), x, y); } };

// ---- half types ----

using D16 = hn::Rebind<uint16_t, D32>;

HWY_INLINE V32 from_bf16(hn::Vec<D16> v) {
  const hn::Rebind<uint32_t, D32> du;
  return hn::BitCast(D32(), hn::ShiftLeft<16>(hn::PromoteTo(du, v)));
}
/// The bits of `v` rounded to bfloat16 (to nearest even, NaN stays NaN), in the low half of each lane.
HWY_INLINE hn::Vec<hn::Rebind<int32_t, D32>> bf16_bits(V32 v) {
  const hn::Rebind<uint32_t, D32> du;
  const IntOf<D32> di;
  const auto u = hn::BitCast(du, v);
  const auto top = hn::ShiftRight<16>(u);
  const auto rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(hn::Set(du, 0x7fff), hn::And(top, hn::Set(du, 1)))));
  return hn::BitCast(di, hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), hn::Or(top, hn::Set(du, 0x40)), rounded));
}

void widen_bf16(const Args& k) {
  const D32 d;
  const D16 d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const uint16_t* a = static_cast<const uint16_t*>(k.in[0]);
  float* out = static_cast<float*>(k.out);
  HWY_ALIGN uint16_t buf[hn::MaxLanes(D32())] = {};
  if (k.scalars & 1) {
    buf[0] = *a;
    return fill(out, n, hn::GetLane(from_bf16(hn::Load(d16, buf))));
  }
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(from_bf16(hn::LoadU(d16, a + i)), d, out + i);
  if (i < n) {
    const size_t r = static_cast<size_t>(n - i);
    std::memcpy(buf, a + i, r * 2);
    store_part(from_bf16(hn::Load(d16, buf)), d, out + i, r);
  }
}
void narrow_bf16(const Args& k) {
  const D32 d;
  const D16 d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const Operands<float, 1> o(k);
  uint16_t* out = static_cast<uint16_t*>(k.out);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::DemoteTo(d16, bf16_bits(hn::LoadU(d, o.p[0] + (i & o.walk[0])))), d16, out + i);
  if (i < n) {
    HWY_ALIGN uint16_t buf[hn::MaxLanes(D32())];
    const size_t r = static_cast<size_t>(n - i);
    hn::Store(hn::DemoteTo(d16, bf16_bits(load_part(d, o.p[0] + (i & o.walk[0]), r))), d16, buf);
    std::memcpy(out + i, buf, r * 2);
  }
}
KERAS_OP1(FRoundBf16, hn::BitCast(d, hn::ShiftLeft<16>(bf16_bits(a))))

#undef KERAS_HAVE_F16C
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
#define KERAS_HAVE_F16C 1
#else
#define KERAS_HAVE_F16C 0
#endif
void widen_f16(const Args& k) {
  const int64_t n = k.n;
  float* out = static_cast<float*>(k.out);
  const uint16_t* a = static_cast<const uint16_t*>(k.in[0]);
  if (k.scalars & 1) return fill(out, n, static_cast<float>(std::bit_cast<half_t>(*a)));
  int64_t i = 0;
#if KERAS_HAVE_F16C
  const D32 d;
  const hn::Rebind<hwy::float16_t, D32> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::PromoteTo(d, hn::BitCast(d16, hn::LoadU(D16(), a + i))), d, out + i);
  if (i < n) {
    const size_t r = static_cast<size_t>(n - i);
    HWY_ALIGN uint16_t buf[hn::MaxLanes(D32())] = {};
    std::memcpy(buf, a + i, r * 2);
    store_part(hn::PromoteTo(d, hn::BitCast(d16, hn::Load(D16(), buf))), d, out + i, r);
  }
#else
  for (; i < n; ++i) out[i] = std::bit_cast<half_t>(a[i]);
#endif
}
void narrow_f16(const Args& k) {
  const int64_t n = k.n;
  const Operands<float, 1> o(k);
  uint16_t* out = static_cast<uint16_t*>(k.out);
  int64_t i = 0;
#if KERAS_HAVE_F16C
  const D32 d;
  const hn::Rebind<hwy::float16_t, D32> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::BitCast(D16(), hn::DemoteTo(d16, hn::LoadU(d, o.p[0] + (i & o.walk[0])))), D16(), out + i);
  if (i < n) {
    const size_t r = static_cast<size_t>(n - i);
    HWY_ALIGN uint16_t buf[hn::MaxLanes(D32())];
    hn::Store(hn::BitCast(D16(), hn::DemoteTo(d16, load_part(d, o.p[0] + (i & o.walk[0]), r))), D16(), buf);
    std::memcpy(out + i, buf, r * 2);
  }
#else
  for (; i < n; ++i) out[i] = half_t(o.p[0][o.walk[0] ? i : 0]).bits;
#endif
}
void round_f16(const Args& k) {
#if KERAS_HAVE_F16C
  const D32 d;
  const hn::Rebind<hwy::float16_t, D32> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = k.n;
  const Operands<float, 1> o(k);
  float* out = static_cast<float*>(k.out);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::PromoteTo(d, hn::DemoteTo(d16, hn::LoadU(d, o.p[0] + (i & o.walk[0])))), d, out + i);
  if (i < n) {
    const size_t r = static_cast<size_t>(n - i);
    store_part(hn::PromoteTo(d, hn::DemoteTo(d16, load_part(d, o.p[0] + (i & o.walk[0]), r))), d, out + i, r);
  }
#else
  const float* a = static_cast<const float*>(k.in[0]);
  float* out = static_cast<float*>(k.out);
  for (int64_t i = 0; i < k.n; ++i) out[i] = half_t(a[k.scalars & 1 ? 0 : i]);
#endif
}

Fn f32_kernel(Op op) {
  switch (op) {
    case Op::div: return div_f32;
    case Op::exp: return map1<float, FExp>;
    case Op::expm1: return map1<float, FExpm1>;
    case Op::log: return map1<float, FLog>;
    case Op::log2: return map1<float, FLog2>;
    case Op::log10: return map1<float, FLog10>;
    case Op::log1p: return map1<float, FLog1p>;
    case Op::tanh: return map1<float, FTanh>;
    case Op::sigmoid: return map1<float, FSigmoid>;
    case Op::softplus: return map1<float, FSoftplus>;
    case Op::erf: return map1<float, FErf>;
    case Op::erfc: return map1<float, FErfc>;
    case Op::sin: return map1<float, FSin>;
    case Op::cos: return map1<float, FCos>;
    case Op::tan: return map1<float, FTan>;
    case Op::pow: return pow_f32;
    case Op::silu: return map1<float, FSilu>;
    case Op::gelu_erf: return map1<float, FGeluErf>;
    case Op::gelu_tanh: return map1<float, FGeluTanh>;
    case Op::gelu_erf_grad: return map2<float, FGeluErfGrad>;
    case Op::sqrt_add: return map2<float, FSqrtAdd>;
    case Op::exp_sub: return map2<float, FExpSub>;
    case Op::exp_sub_sum: return exp_sub_sum;
    case Op::lerp: return map3<float, FLerp>;
    case Op::lerp_sq: return map3<float, FLerpSq>;
    case Op::adam_step: return map_wide<float, FAdamStep, 5, 0b10100>;
    case Op::sub_mul_add: return map_wide<float, FSubMulAdd, 4, 0b0000, 0b0110>;
    case Op::normalize: return map_wide<float, FNormalize, 5, 0b00000, 0b00110>;
    case Op::isnan: return test1<TIsNan>;
    case Op::isinf: return test1<TIsInf>;
    case Op::isfinite: return test1<TIsFinite>;
    case Op::logical_not: return test1<TNot>;
    case Op::equal: return test2<TEq>;
    case Op::not_equal: return test2<TNe>;
    case Op::less: return test2<TLt>;
    case Op::less_equal: return test2<TLe>;
    case Op::greater: return test2<TGt>;
    case Op::greater_equal: return test2<TGe>;
    case Op::select: return select_f32;
    case Op::select_lt: return map_wide<float, FSelectLt, 4, 0b1010>;
    case Op::select_le: return map_wide<float, FSelectLe, 4, 0b1010>;
    case Op::select_eq: return map_wide<float, FSelectEq, 4, 0b1010>;
    case Op::widen_f16: return widen_f16;
    case Op::widen_bf16: return widen_bf16;
    case Op::narrow_f16: return narrow_f16;
    case Op::narrow_bf16: return narrow_bf16;
    case Op::round_f16: return round_f16;
    case Op::round_bf16: return map1<float, FRoundBf16>;
    default: return shared_kernel<float>(op);
  }
}
Fn f32_reduce(Reduce r, Pre pre) { return reduce_of<float>(r, pre); }
ColumnFn f32_column(Reduce r, Pre pre) { return column_of<float>(r, pre); }
ColumnFn f32_column_pair(Pre pre) { return pre == Pre::square ? column_pair<float, PreSquare> : pre == Pre::mul ? column_pair<float, PreMul> : nullptr; }

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(f32_kernel);
HWY_EXPORT(f32_reduce);
HWY_EXPORT(f32_column);
HWY_EXPORT(f32_column_pair);
namespace simd {
Fn find_f32(Op op) { return op >= Op::fuse2_first ? find_f32_fuse2(op) : HWY_DYNAMIC_DISPATCH(f32_kernel)(op); }
Fn find_f32_reduce(Reduce r, Pre pre) { return HWY_DYNAMIC_DISPATCH(f32_reduce)(r, pre); }
ColumnFn find_f32_column(Reduce r, Pre pre) { return HWY_DYNAMIC_DISPATCH(f32_column)(r, pre); }
ColumnFn find_f32_column_pair(Pre pre) { return HWY_DYNAMIC_DISPATCH(f32_column_pair)(pre); }
}  // namespace simd
}  // namespace keras::cpu
#endif
