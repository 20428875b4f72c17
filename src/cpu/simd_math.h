// What lives here: float32 elementary functions on Highway vectors, good to 2-4 ulp over the whole range with the special
// values of C's functions. Included once per target (no ordinary include guard). The coefficients are our own minimax fits.
#if defined(KERAS_CPU_SIMD_MATH_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERAS_CPU_SIMD_MATH_H_
#undef KERAS_CPU_SIMD_MATH_H_
#else
#define KERAS_CPU_SIMD_MATH_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D> using IntOf = hn::Rebind<int32_t, D>;

// The smaller and the greater of a constant and x, NaN where x is NaN: what x86's instructions do with their second operand.
template <class D, class V> HWY_INLINE V at_most(D d, V x, float c) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::Min(hn::Set(d, c), x);
#else
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, c)), hn::Set(d, c), x);
#endif
}
template <class D, class V> HWY_INLINE V at_least(D d, V x, float c) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::Max(hn::Set(d, c), x);
#else
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, c)), hn::Set(d, c), x);
#endif
}
template <class D, class V> HWY_INLINE V clamp_keep_nan(D d, V x, float lo, float hi) { return at_least(d, at_most(d, x, hi), lo); }

template <class D, class V> HWY_INLINE V horner(D, V, V acc) { return acc; }
template <class D, class V, class... C> HWY_INLINE V horner(D d, V x, V acc, float c, C... rest) {
  return horner(d, x, hn::MulAdd(acc, x, hn::Set(d, c)), rest...);
}
/// Coefficients from the highest power down.
template <class D, class V, class... C> HWY_INLINE V poly(D d, V x, float top, C... rest) { return horner(d, x, hn::Set(d, top), rest...); }

/// 2^n for n in [-126, 127].
template <class D, class VI> HWY_INLINE hn::Vec<D> pow2i(D d, VI n) {
  const IntOf<D> di;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
}

/// n = round(x / ln 2), r = x - n ln 2 in [-ln2/2, ln2/2]. The high part of ln 2 has 9 bits, so its product is exact. Rounded by adding what
/// leaves no bits for a fraction: the sum's bits are n's, which a conversion would give only after looking for an overflow.
template <class D, class V> HWY_INLINE V exp_reduce(D d, V x, hn::Vec<IntOf<D>>& ni) {
  const IntOf<D> di;
  const V no_fraction = hn::Set(d, 12582912.0f);
  const V sum = hn::Add(hn::Mul(x, hn::Set(d, 1.44269504f)), no_fraction), n = hn::Sub(sum, no_fraction);
  ni = hn::Sub(hn::BitCast(di, sum), hn::BitCast(di, no_fraction));
  const V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  return hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
}

template <class D, class V> HWY_INLINE V exp_poly(D d, V r) {
  const V p = poly(d, r, 0.00138189388f, 0.00836870354f, 0.0416682884f, 0.166665211f, 0.49999994f);
  return hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
}

template <class D, class V> HWY_INLINE V exp32(D d, V x) {
  const IntOf<D> di;
  hn::Vec<IntOf<D>> ni;
  const V r = exp_reduce(d, clamp_keep_nan(d, x, -105.0f, 89.0f), ni);
  const auto half = hn::ShiftRight<1>(ni);  // in two steps, so that denormal and infinite results come out right
  return hn::Mul(hn::Mul(exp_poly(d, r), pow2i(d, half)), pow2i(d, hn::Sub(ni, half)));
}

template <class D, class V> HWY_INLINE V expm1_32(D d, V x) {
  const IntOf<D> di;
  hn::Vec<IntOf<D>> n;
  const V r = exp_reduce(d, clamp_keep_nan(d, x, -30.0f, 89.0f), n);
  const V q = poly(d, r, 0.000199459362f, 0.00139323494f, 0.00833320618f, 0.0416664928f, 0.166666672f, 0.5f);
  const V p = hn::MulAdd(hn::Mul(r, r), q, r);
  const V t = pow2i(d, hn::Sub(n, hn::Set(di, 1)));
  const V y = hn::MulAdd(t, p, hn::Sub(t, hn::Set(d, 0.5f)));
  return hn::Add(y, y);
}

/// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), for x > 0 finite (denormals included).
template <class D, class V> HWY_INLINE V log_reduce(D d, V x, V& e) {
  const IntOf<D> di;
  const auto tiny = hn::Lt(x, hn::Set(d, 1.17549435e-38f));
  const auto bits = hn::BitCast(di, hn::IfThenElse(tiny, hn::Mul(x, hn::Set(d, 33554432.0f)), x));
  const auto ei = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3f3504f3)));
  e = hn::Sub(hn::ConvertTo(d, ei), hn::IfThenElseZero(tiny, hn::Set(d, 25.0f)));
  return hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(ei))), hn::Set(d, 1.0f));
}
/// log(1 + f) = f + tail.
template <class D, class V> HWY_INLINE V log_tail(D d, V f) {
  const V f2 = hn::Mul(f, f);
  const V p = poly(d, f, 0.0680306405f, -0.117219031f, 0.11885234f, -0.123961642f, 0.142187297f, -0.16668652f, 0.200022012f, -0.24999994f, 0.333333105f);
  return hn::MulAdd(hn::Mul(f, f2), p, hn::Mul(f2, hn::Set(d, -0.5f)));
}
template <class D, class V> HWY_INLINE V log_join(D d, V f, V e) {
  const V y = hn::MulAdd(e, hn::Set(d, -2.12194440e-4f), log_tail(d, f));
  return hn::MulAdd(e, hn::Set(d, 0.693359375f), hn::Add(f, y));
}
/// log's results where x is not a positive finite number; `zero` is where it goes to minus infinity.
template <class D, class V> HWY_INLINE V log_special(D d, V x, V zero, V y) {
  const V inf = hn::Set(d, std::numeric_limits<float>::infinity());
  y = hn::IfThenElse(hn::Lt(x, inf), y, x);
  y = hn::IfThenElse(hn::Lt(x, zero), hn::Set(d, std::numeric_limits<float>::quiet_NaN()), y);
  return hn::IfThenElse(hn::Eq(x, zero), hn::Neg(inf), y);
}

template <class D, class V> HWY_INLINE V log32(D d, V x) {
  V e;
  const V f = log_reduce(d, x, e);
  return log_special(d, x, hn::Zero(d), log_join(d, f, e));
}
template <class D, class V> HWY_INLINE V log2_32(D d, V x) {
  V e;
  const V f = log_reduce(d, x, e);
  const V tail = log_tail(d, f);
  // log2(e) in two parts, the first short enough for an exact product with the head of f.
  V y = hn::Mul(hn::Add(f, tail), hn::Set(d, 0.442695041f));
  y = hn::Add(hn::Add(y, tail), f);
  return log_special(d, x, hn::Zero(d), hn::Add(y, e));
}
template <class D, class V> HWY_INLINE V log10_32(D d, V x) {
  V e;
  const V f = log_reduce(d, x, e);
  V y = hn::Mul(hn::Add(f, log_tail(d, f)), hn::Set(d, 0.434294482f));
  y = hn::MulAdd(e, hn::Set(d, 4.60503898e-6f), y);
  return log_special(d, x, hn::Zero(d), hn::MulAdd(e, hn::Set(d, 0.301025391f), y));
}

template <class D, class V> HWY_INLINE V log1p32(D d, V x) {
  const IntOf<D> di;
  const V one = hn::Set(d, 1.0f);
  const V u = hn::Add(x, one);
  const auto bits = hn::BitCast(di, u);
  const auto ei = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3f3504f3)));
  // f = 2^-e (1 + x) - 1 from x itself, so that what 1 + x rounded away is kept; for huge x there was nothing to keep.
  const V s = pow2i(d, hn::Neg(hn::Min(ei, hn::Set(di, 100))));
  V f = hn::MulAdd(x, s, hn::Sub(s, one));
  f = hn::IfThenElse(hn::Gt(u, hn::Set(d, 1e9f)), hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(ei))), one), f);
  return log_special(d, x, hn::Neg(one), log_join(d, f, hn::ConvertTo(d, ei)));
}

/// The quotient of polynomials that XLA computes, so that with FMA each bit is that of Keras on JAX: 1 - tanh and 1 - tanh² far out are all
/// rounding, and a gradient shows it. From about 8 on the result is 1. Within 4.4 units in the last place.
template <class D, class V> HWY_INLINE V tanh32(D d, V x) {
  const V c = clamp_keep_nan(d, x, -7.99881172180175781f, 7.99881172180175781f);
  const V s = hn::Mul(c, c);
  const V p = poly(d, s, -2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f, 1.48572235717979e-05f, 6.37261928875436e-04f, 4.89352455891786e-03f);
  const V q = poly(d, s, 1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f);
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.0004f)), x, hn::Div(hn::Mul(c, p), q));
}

template <class D, class V> HWY_INLINE V sigmoid32(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V e = exp32(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(e, one));
}

template <class D, class V> HWY_INLINE V softplus32(D d, V x) {
  return hn::Add(at_least(d, x, 0.0f), log1p32(d, exp32(d, hn::Neg(hn::Abs(x)))));
}

template <class D, class V> HWY_INLINE V erf32(D d, V x) {
  const V a = at_most(d, hn::Abs(x), 4.0f);
  const V s = hn::Mul(x, x);
  const V small = hn::MulAdd(x, poly(d, s, 8.00277485e-05f, -0.000805080403f, 0.00519246049f, -0.0268557407f, 0.112836257f, -0.376126289f, 0.128379166f), x);
  const V q = poly(d, a, 1.04291385e-05f, -0.000314828183f, 0.00361025473f, -0.0236944426f, 0.106158964f, 0.635198057f, 1.12863708f);
  const V large = hn::Sub(hn::Set(d, 1.0f), exp32(d, hn::Neg(hn::Mul(a, q))));
  return hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.93f)), small, hn::CopySign(large, x));
}

/// z * z - hi exactly, hi being the rounded square.
template <class D, class V> HWY_INLINE V square_error(D d, V z, V hi) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  (void)d;
  return hn::MulSub(z, z, hi);
#else
  // Without FMA: halves of twelve bits, whose products are exact.
  const IntOf<D> di;
  const V top = hn::BitCast(d, hn::And(hn::BitCast(di, z), hn::Set(di, ~0xfff))), low = hn::Sub(z, top);
  return hn::Add(hn::Add(hn::Sub(hn::Mul(top, top), hi), hn::Mul(hn::Add(top, top), low)), hn::Mul(low, low));
#endif
}
/// exp(-square), the square as a rounded part and its error: what rounding loses in the far tail is put back.
template <class D, class V> HWY_INLINE V exp_minus_square(D d, V hi, V lo) {
  const V e = exp32(d, hn::Neg(hi));
  return hn::NegMulAdd(e, lo, e);
}

template <class D, class V> HWY_INLINE V erfc32(D d, V x) {
  const V z = at_most(d, hn::Abs(x), 10.5f);
  const V hi = hn::Mul(z, z);
  const V e = exp_minus_square(d, hi, square_error(d, z, hi));
  const V t = hn::Div(hn::Set(d, 1.0f), hn::Add(z, hn::Set(d, 2.0f)));
  // In 4t - 1, which is within [-1, 1]: in t itself the terms would cancel.
  const V u = hn::MulSub(t, hn::Set(d, 4.0f), hn::Set(d, 1.0f));
  const V r = poly(d, u, 4.42553501e-05f, -0.000527796976f, 0.000731078326f, 0.00304104923f, -0.00643840013f, -0.0215019453f, 0.0364367738f, 0.279471368f, 0.68716085f, 1.02158272f);
  const V y = hn::Mul(e, hn::Mul(t, r));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(hn::Set(d, 2.0f), y), y);
}

/// Φ(-|x|), Φ the normal distribution function, without the cancellation of 1 - erf; `e` is exp(-x²/2).
template <class D, class V> HWY_INLINE V normal_tail(D d, V x, V& e) {
  const V a = at_most(d, hn::Abs(x), 14.8f);
  const V hi = hn::Mul(a, a), half = hn::Set(d, 0.5f);
  e = exp_minus_square(d, hn::Mul(hi, half), hn::Mul(square_error(d, a, hi), half));
  const V b = hn::Add(a, hn::Set(d, 2.0f));
  V t = hn::ApproximateReciprocal(b);
  t = hn::Mul(t, hn::NegMulAdd(b, t, hn::Set(d, 2.0f)));
  const V u = hn::MulSub(t, hn::Set(d, 4.0f), hn::Set(d, 1.0f));
  const V s = poly(d, u, -7.36609218e-05f, -3.85466046e-05f, 0.000723804929f, -0.000871898083f, -0.00189300091f, 0.00674443925f, -0.000482014468f, -0.03671984f, 0.0287982859f, 0.331404418f, 0.672407985f);
  return hn::Mul(e, hn::Mul(t, s));
}
/// x Φ(x).
template <class D, class V> HWY_INLINE V gelu_erf32(D d, V x) {
  V e;
  const V q = normal_tail(d, x, e);
  return hn::Mul(x, hn::IfThenElse(hn::Lt(x, hn::Zero(d)), q, hn::Sub(hn::Set(d, 1.0f), q)));
}
/// g (Φ(x) + x φ(x)): g times the slope of x Φ(x).
template <class D, class V> HWY_INLINE V gelu_erf_grad32(D d, V g, V x) {
  V e;
  const V q = normal_tail(d, x, e);
  const V phi = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), q, hn::Sub(hn::Set(d, 1.0f), q));
  return hn::Mul(g, hn::MulAdd(hn::Mul(x, hn::Set(d, 0.398942280f)), e, phi));
}

/// x sigmoid(2u), u = √(2/π) (x + 0.044715 x³): equal to 0.5 x (1 + tanh u).
template <class D, class V> HWY_INLINE V gelu_tanh32(D d, V x) {
  const V c = hn::Set(d, -1.595769122f), one = hn::Set(d, 1.0f);
  const V xc = clamp_keep_nan(d, x, -12.0f, 12.0f);
  const V w = hn::MulAdd(hn::Mul(xc, xc), hn::Set(d, -1.595769122f * 0.044715f), c);
  const V y = hn::Div(x, hn::Add(one, exp32(d, hn::Mul(xc, w))));
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, -12.0f)), hn::Mul(hn::Zero(d), xc), y);
}

template <class D, class V> HWY_INLINE V silu32(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V e = exp32(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(x, e), x), hn::Add(e, one));
}

// The rounding errors of the products below are exact only with FMA; without it, and for huge angles, the lanes are done one by one.
template <class D> HWY_INLINE hn::Vec<D> lanes_by(float (*f)(float), D d, hn::Vec<D> x) {
  HWY_ALIGN float buf[hn::MaxLanes(D())];
  hn::Store(x, d, buf);
  for (size_t i = 0; i < hn::Lanes(d); ++i) buf[i] = f(buf[i]);
  return hn::Load(d, buf);
}

enum class Trig { sin, cos, tan };
template <Trig kind, class D, class V> HWY_INLINE V trig32(D d, V x) {
  float (*slow)(float) = kind == Trig::sin ? static_cast<float (*)(float)>(std::sin)
                         : kind == Trig::cos ? static_cast<float (*)(float)>(std::cos) : static_cast<float (*)(float)>(std::tan);
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
  return lanes_by(slow, d, x);
#else
  const IntOf<D> di;
  // Written so that NaN is also sent to the slow path.
  if (!hn::AllTrue(d, hn::Le(hn::Abs(x), hn::Set(d, 20000.0f)))) return lanes_by(slow, d, x);
  const V n = hn::Round(hn::Mul(x, hn::Set(d, 0.636619772f)));
  const auto q = hn::ConvertTo(di, n);
  V r = hn::NegMulAdd(n, hn::Set(d, 1.57079637f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -4.37113883e-8f), r);
  r = hn::NegMulAdd(n, hn::Set(d, -1.71512489e-15f), r);
  const V s = hn::Mul(r, r);
  const V sp = poly(d, s, 2.8308018e-06f, -0.00019852983f, 0.0083333794f, -0.166666672f);
  const V sn = hn::MulAdd(hn::Mul(r, s), sp, r);
  const V cp = poly(d, s, -2.87680678e-07f, 2.48209744e-05f, -0.00138889777f, 0.0416666679f);
  const V cs = hn::MulAdd(hn::Mul(s, s), cp, hn::NegMulAdd(s, hn::Set(d, 0.5f), hn::Set(d, 1.0f)));
  const auto odd = hn::RebindMask(d, hn::Ne(hn::And(q, hn::Set(di, 1)), hn::Zero(di)));
  if constexpr (kind == Trig::tan) return hn::IfThenElse(odd, hn::Neg(hn::Div(cs, sn)), hn::Div(sn, cs));
  const auto turned = kind == Trig::sin ? q : hn::Add(q, hn::Set(di, 1));
  const auto sign = hn::BitCast(d, hn::ShiftLeft<30>(hn::And(turned, hn::Set(di, 2))));
  return hn::Xor(sign, kind == Trig::sin ? hn::IfThenElse(odd, cs, sn) : hn::IfThenElse(odd, sn, cs));
#endif
}

/// x^y for x positive, normal and finite, computed in double; the caller has sorted out the rest.
template <class DD, class VD> HWY_INLINE VD pow_core(DD d, VD x, VD y) {
  const hn::Rebind<uint64_t, DD> di;
  const auto bits = hn::BitCast(di, x);
  // Adding this before the shift makes the mantissa lie in [sqrt(1/2), sqrt(2)).
  const auto biased = hn::Add(bits, hn::Set(di, uint64_t{0x0009'5F61'9980'C433}));
  const auto eb = hn::ShiftRight<52>(biased);
  const VD m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<52>(hn::Sub(eb, hn::Set(di, uint64_t{1023})))));
  // Exponent to double without a 64-bit conversion: the low bits of 2^52 + eb.
  const VD magic = hn::Set(d, 4503599627370496.0);
  const VD e = hn::Sub(hn::Sub(hn::BitCast(d, hn::Or(eb, hn::BitCast(di, magic))), magic), hn::Set(d, 1023.0));
  const VD one = hn::Set(d, 1.0);
  const VD s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const VD s2 = hn::Mul(s, s);
  constexpr double k = 2.8853900817779268;  // 2 / ln 2; atanh's series
  VD p = hn::Set(d, k / 17);
  p = hn::MulAdd(p, s2, hn::Set(d, k / 15));
  p = hn::MulAdd(p, s2, hn::Set(d, k / 13));
  p = hn::MulAdd(p, s2, hn::Set(d, k / 11));
  p = hn::MulAdd(p, s2, hn::Set(d, k / 9));
  p = hn::MulAdd(p, s2, hn::Set(d, k / 7));
  p = hn::MulAdd(p, s2, hn::Set(d, k / 5));
  p = hn::MulAdd(p, s2, hn::Set(d, k / 3));
  p = hn::MulAdd(p, s2, hn::Set(d, k));
  VD t = hn::Mul(y, hn::MulAdd(p, s, e));
  t = hn::Max(hn::Set(d, -300.0), hn::Min(hn::Set(d, 300.0), t));
  const VD n = hn::Round(t);
  const VD r = hn::Mul(hn::Sub(t, n), hn::Set(d, 0.693147180559945309));
  VD q = hn::Set(d, 1.0 / 3628800);
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 362880));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 40320));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 5040));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 720));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 120));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 24));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0 / 6));
  q = hn::MulAdd(q, r, hn::Set(d, 0.5));
  q = hn::MulAdd(q, r, one);
  q = hn::MulAdd(q, r, one);
  // 2^n: n + 1023 as the low bits of 2^52 + n + 1023, moved to the exponent.
  const auto nb = hn::BitCast(di, hn::Add(n, hn::Set(d, 4503599627370496.0 + 1023.0)));
  return hn::Mul(q, hn::BitCast(d, hn::ShiftLeft<52>(nb)));
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
