// What lives here: the kernels that are plain loops over C++ types: integers and booleans with NumPy's semantics, the rarer
// elementary functions through std, conversions. Also the look-up over all kernel files.
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <type_traits>

#include "cpu/simd_kernels.h"
#include "cpu/visit_int.h"

extern "C" double lgamma_r(double, int*);

namespace keras::cpu::simd {
namespace {

// ---- scalar functions ----

template <class T> constexpr bool is_bool = std::is_same_v<T, bool>;
template <class T> constexpr bool is_float = std::is_floating_point_v<T>;
// Integers wrap: arithmetic happens in the unsigned type of at least int's width.
template <class T> struct Wrap { using type = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>; };
template <> struct Wrap<bool> { using type = uint32_t; };
template <> struct Wrap<float> { using type = float; };
template <> struct Wrap<double> { using type = double; };
template <class T> using wrap_t = typename Wrap<T>::type;

/// The root of erf(y) = x: a closed first guess, then Halley's steps on erfc, whose tail keeps its digits.
double erfinv(double x) {
  const double a = std::abs(x);
  if (!(a < 1)) return a == 1 ? std::copysign(std::numeric_limits<double>::infinity(), x) : std::numeric_limits<double>::quiet_NaN();
  if (a == 0) return x;
  const double l = std::log1p(-a * a), c = 2 / (std::numbers::pi * 0.147) + l / 2;
  double y = std::sqrt(std::sqrt(c * c - l / 0.147) - c);
  if (a < 1e-4) y = a * (std::sqrt(std::numbers::pi) / 2);
  for (int i = 0; i < 3; ++i) {
    const double error = a < 0.5 ? std::erf(y) - a : (1 - a) - std::erfc(y);
    const double u = error / (2 / std::sqrt(std::numbers::pi) * std::exp(-y * y));
    y -= u / (1 + y * u);
  }
  return std::copysign(y, x);
}

double digamma(double x) {
  if (x <= 0) {
    if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    // Reflection, with the tangent's argument brought near 0 first.
    const double r = x - std::round(x);
    return digamma(1 - x) - std::numbers::pi / std::tan(std::numbers::pi * r);
  }
  double shift = 0;
  for (; x < 10; x += 1) shift -= 1 / x;
  const double i = 1 / x, s = i * i;
  const double tail = s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 - s * (691.0 / 32760 - s / 12))))));
  return x == std::numeric_limits<double>::infinity() ? x : shift + std::log(x) - 0.5 * i - tail;
}

double lgamma(double x) {
  int sign;
  return x == -std::numeric_limits<double>::infinity() ? -x : lgamma_r(x, &sign);
}

/// NumPy's divmod of floats: the remainder has the divisor's sign.
template <class T> T float_mod(T a, T b) {
  T m = std::fmod(a, b);
  if (m != 0) {
    if ((b < 0) != (m < 0)) m += b;
  } else {
    m = std::copysign(T(0), b);
  }
  return m;
}
template <class T> T float_floor_div(T a, T b) {
  if (b == 0) return a / b;
  T m = std::fmod(a, b), q = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0)) q -= 1;
  if (q == 0) return std::copysign(T(0), a / b);
  T f = std::floor(q);
  if (q - f > T(0.5)) f += 1;
  return f;
}

template <class T> T int_pow(T a, T b) {
  if constexpr (std::is_signed_v<T>) {
    if (b < 0) return a == 1 ? T(1) : a == T(-1) ? (b % 2 ? T(-1) : T(1)) : T(0);
  }
  using W = wrap_t<T>;
  W r = 1, base = static_cast<W>(a);
  for (auto e = static_cast<W>(b); e; e >>= 1, base *= base)
    if (e & 1) r *= base;
  return static_cast<T>(r);
}

// Each operation as a type with one function, so that loops inline it.
#define KERAS_F1(name, ...) struct G_##name { template <class T> static T f(T x) { __VA_ARGS__ } };
#define KERAS_F2(name, ...) struct G_##name { template <class T> static T f(T x, T y) { __VA_ARGS__ } };
#define KERAS_P1(name, ...) struct G_##name { template <class T> static bool f(T x) { __VA_ARGS__ } };
#define KERAS_P2(name, ...) struct G_##name { template <class T> static bool f(T x, T y) { __VA_ARGS__ } };

KERAS_F1(copy, return x;)
KERAS_F1(neg, if constexpr (is_bool<T>) return x; else return static_cast<T>(-static_cast<wrap_t<T>>(x));)
KERAS_F1(abs, if constexpr (is_float<T>) return std::abs(x); else if constexpr (std::is_signed_v<T>) return x < 0 ? static_cast<T>(-static_cast<wrap_t<T>>(x)) : x; else return x;)
KERAS_F1(sign, if constexpr (is_bool<T>) return x; else return x > 0 ? T(1) : x < 0 ? T(-1) : x;)
KERAS_F1(square, return static_cast<T>(static_cast<wrap_t<T>>(x) * static_cast<wrap_t<T>>(x));)
KERAS_F1(bitwise_not, if constexpr (is_bool<T>) return !x; else return static_cast<T>(~x);)
KERAS_F2(add, return static_cast<T>(static_cast<wrap_t<T>>(x) + static_cast<wrap_t<T>>(y));)
KERAS_F2(sub, return static_cast<T>(static_cast<wrap_t<T>>(x) - static_cast<wrap_t<T>>(y));)
KERAS_F2(mul, return static_cast<T>(static_cast<wrap_t<T>>(x) * static_cast<wrap_t<T>>(y));)
KERAS_F2(maximum, return x > y ? x : y;)
KERAS_F2(minimum, return x < y ? x : y;)
// Truncating, as XLA: x / 0 is -1 (all bits set), the one overflow wraps.
KERAS_F2(div, if (y == 0) return static_cast<T>(-1); if constexpr (std::is_signed_v<T>) if (y == T(-1)) return G_neg::f(x); return static_cast<T>(x / y);)
KERAS_F2(fmod, if (y == 0) return T(0); if constexpr (std::is_signed_v<T>) if (y == T(-1)) return T(0); return static_cast<T>(x % y);)
KERAS_F2(mod, const T m = G_fmod::f(x, y); if constexpr (std::is_signed_v<T>) return m != 0 && (m < 0) != (y < 0) ? static_cast<T>(m + y) : m; else return m;)
KERAS_F2(floor_div, if (y == 0) return T(0); const T q = G_div::f(x, y); if constexpr (std::is_signed_v<T>) return (x < 0) != (y < 0) && G_fmod::f(x, y) != 0 ? static_cast<T>(q - 1) : q; else return q;)
KERAS_F2(pow, return int_pow(x, y);)
KERAS_F2(bitwise_and, return static_cast<T>(x & y);)
KERAS_F2(bitwise_or, return static_cast<T>(x | y);)
KERAS_F2(bitwise_xor, return static_cast<T>(x ^ y);)
// A count outside the width shifts everything out.
KERAS_F2(shift_left, using U = std::make_unsigned_t<T>; return static_cast<U>(y) >= sizeof(T) * 8 ? T(0) : static_cast<T>(static_cast<wrap_t<T>>(x) << y);)
KERAS_F2(shift_right, using U = std::make_unsigned_t<T>; return static_cast<U>(y) >= sizeof(T) * 8 ? static_cast<T>(x < 0 ? -1 : 0) : static_cast<T>(x >> y);)
KERAS_P1(logical_not, return !x;)
KERAS_P1(isnan, if constexpr (is_float<T>) return x != x; else return (void)x, false;)
KERAS_P1(isinf, if constexpr (is_float<T>) return std::abs(x) == std::numeric_limits<T>::infinity(); else return (void)x, false;)
KERAS_P1(isfinite, if constexpr (is_float<T>) return std::abs(x) < std::numeric_limits<T>::infinity(); else return (void)x, true;)
KERAS_P2(logical_and, return static_cast<bool>(static_cast<int>(x != 0) & static_cast<int>(y != 0));)
KERAS_P2(logical_or, return static_cast<bool>(static_cast<int>(x != 0) | static_cast<int>(y != 0));)
KERAS_P2(logical_xor, return (x != 0) != (y != 0);)
KERAS_P2(equal, return x == y;)
KERAS_P2(not_equal, return x != y;)
KERAS_P2(less, return x < y;)
KERAS_P2(less_equal, return x <= y;)
KERAS_P2(greater, return x > y;)
KERAS_P2(greater_equal, return x >= y;)

KERAS_F1(exp, return std::exp(x);)
KERAS_F1(expm1, return std::expm1(x);)
KERAS_F1(log, return std::log(x);)
KERAS_F1(log1p, return std::log1p(x);)
KERAS_F1(log2, return std::log2(x);)
KERAS_F1(log10, return std::log10(x);)
KERAS_F1(sin, return std::sin(x);)
KERAS_F1(cos, return std::cos(x);)
KERAS_F1(tan, return std::tan(x);)
KERAS_F1(asin, return std::asin(x);)
KERAS_F1(acos, return std::acos(x);)
KERAS_F1(atan, return std::atan(x);)
KERAS_F1(sinh, return std::sinh(x);)
KERAS_F1(cosh, return std::cosh(x);)
KERAS_F1(tanh, return std::tanh(x);)
KERAS_F1(asinh, return std::asinh(x);)
KERAS_F1(acosh, return std::acosh(x);)
KERAS_F1(atanh, return std::atanh(x);)
KERAS_F1(erf, return std::erf(x);)
KERAS_F1(erfc, return std::erfc(x);)
KERAS_F1(sigmoid, const T e = std::exp(-std::abs(x)); return (x < 0 ? e : T(1)) / (1 + e);)
KERAS_F1(softplus, return (x > 0 ? x : x == x ? T(0) : x) + std::log1p(std::exp(-std::abs(x)));)
KERAS_F1(erfinv, return static_cast<T>(simd::erfinv(x));)
KERAS_F1(lgamma, return static_cast<T>(simd::lgamma(x));)
KERAS_F1(digamma, return static_cast<T>(simd::digamma(x));)
struct G_float_pow { template <class T> static T f(T x, T y) { return std::pow(x, y); } };
struct G_float_fmod { template <class T> static T f(T x, T y) { return std::fmod(x, y); } };
struct G_float_mod { template <class T> static T f(T x, T y) { return float_mod(x, y); } };
struct G_float_floor_div { template <class T> static T f(T x, T y) { return float_floor_div(x, y); } };
struct G_atan2 { template <class T> static T f(T x, T y) { return std::atan2(x, y); } };
struct G_nextafter { template <class T> static T f(T x, T y) { return std::nextafter(x, y); } };

// ---- loops ----

template <class T, class R, class G> void loop1(const Args& k) {
  const T* a = static_cast<const T*>(k.in[0]);
  R* out = static_cast<R*>(k.out);
  if (k.scalars & 1) {
    const R v = G::f(*a);
    for (int64_t i = 0; i < k.n; ++i) out[i] = v;
    return;
  }
  for (int64_t i = 0; i < k.n; ++i) out[i] = G::f(a[i]);
}
template <class T, class R, class G> void loop2(const Args& k) {
  const T* a = static_cast<const T*>(k.in[0]);
  const T* b = static_cast<const T*>(k.in[1]);
  R* out = static_cast<R*>(k.out);
  switch (k.scalars & 3) {
    case 0:
      for (int64_t i = 0; i < k.n; ++i) out[i] = G::f(a[i], b[i]);
      return;
    case 1: {
      const T s = *a;
      for (int64_t i = 0; i < k.n; ++i) out[i] = G::f(s, b[i]);
      return;
    }
    case 2: {
      const T s = *b;
      for (int64_t i = 0; i < k.n; ++i) out[i] = G::f(a[i], s);
      return;
    }
    default: {
      const R v = G::f(*a, *b);
      for (int64_t i = 0; i < k.n; ++i) out[i] = v;
    }
  }
}
template <class T> void loop_select(const Args& k) {
  const bool* c = static_cast<const bool*>(k.in[0]);
  const T* a = static_cast<const T*>(k.in[1]);
  const T* b = static_cast<const T*>(k.in[2]);
  T* out = static_cast<T*>(k.out);
  if (k.scalars == 0) {
    for (int64_t i = 0; i < k.n; ++i) out[i] = c[i] ? a[i] : b[i];
    return;
  }
  const int64_t sc = !(k.scalars & 1), sa = !(k.scalars & 2), sb = !(k.scalars & 4);
  for (int64_t i = 0; i < k.n; ++i) out[i] = c[i * sc] ? a[i * sa] : b[i * sb];
}

template <class From, class To> To convert(From x) {
  if constexpr (is_bool<To>) {
    return x != 0;
  } else if constexpr (is_float<From> && std::is_integral_v<To>) {
    // Both bounds are powers of two or one less: as floats they are exact or round up to the power.
    constexpr From lo = static_cast<From>(std::numeric_limits<To>::min()), hi = static_cast<From>(std::numeric_limits<To>::max());
    if (!(x > lo)) return x == x ? std::numeric_limits<To>::min() : To(0);
    return x >= hi ? std::numeric_limits<To>::max() : static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}
template <class From, class To> struct G_cast { static To f(From x) { return convert<From, To>(x); } };

template <class R, class T> T join(T a, T b) { return R::template f<T>(a, b); }
template <class T> constexpr T lowest_of() { return std::numeric_limits<T>::lowest(); }

template <class T, class G> void loop_reduce(const Args& k) {
  const T* a = static_cast<const T*>(k.in[0]);
  T acc;
  if constexpr (std::is_same_v<G, G_add>) acc = T(0);
  else if constexpr (std::is_same_v<G, G_mul>) acc = T(1);
  else if constexpr (std::is_same_v<G, G_maximum>) acc = std::numeric_limits<T>::lowest();
  else acc = std::numeric_limits<T>::max();
  for (int64_t i = 0; i < k.n; ++i) acc = G::f(acc, a[i]);
  *static_cast<T*>(k.out) = acc;
}
template <class T, class G> void loop_column(const ColumnArgs& k) {
  const T* a = static_cast<const T*>(k.in[0]);
  T* acc = static_cast<T*>(k.acc);
  for (int64_t r = 0; r < k.rows; ++r)
    for (int64_t c = 0; c < k.cols; ++c) acc[c] = G::f(acc[c], a[r * k.ld[0] + c]);
}

template <class T> Fn of_any(Op op) {
  switch (op) {
    case Op::copy: return loop1<T, T, G_copy>;
    case Op::logical_not: return loop1<T, bool, G_logical_not>;
    case Op::isnan: return loop1<T, bool, G_isnan>;
    case Op::isinf: return loop1<T, bool, G_isinf>;
    case Op::isfinite: return loop1<T, bool, G_isfinite>;
    case Op::logical_and: return loop2<T, bool, G_logical_and>;
    case Op::logical_or: return loop2<T, bool, G_logical_or>;
    case Op::logical_xor: return loop2<T, bool, G_logical_xor>;
    case Op::equal: return loop2<T, bool, G_equal>;
    case Op::not_equal: return loop2<T, bool, G_not_equal>;
    case Op::less: return loop2<T, bool, G_less>;
    case Op::less_equal: return loop2<T, bool, G_less_equal>;
    case Op::greater: return loop2<T, bool, G_greater>;
    case Op::greater_equal: return loop2<T, bool, G_greater_equal>;
    case Op::select: return loop_select<T>;
    default: return nullptr;
  }
}

template <class T> Fn of_float(Op op) {
  switch (op) {
    case Op::exp: return loop1<T, T, G_exp>;
    case Op::expm1: return loop1<T, T, G_expm1>;
    case Op::log: return loop1<T, T, G_log>;
    case Op::log1p: return loop1<T, T, G_log1p>;
    case Op::log2: return loop1<T, T, G_log2>;
    case Op::log10: return loop1<T, T, G_log10>;
    case Op::sin: return loop1<T, T, G_sin>;
    case Op::cos: return loop1<T, T, G_cos>;
    case Op::tan: return loop1<T, T, G_tan>;
    case Op::asin: return loop1<T, T, G_asin>;
    case Op::acos: return loop1<T, T, G_acos>;
    case Op::atan: return loop1<T, T, G_atan>;
    case Op::sinh: return loop1<T, T, G_sinh>;
    case Op::cosh: return loop1<T, T, G_cosh>;
    case Op::tanh: return loop1<T, T, G_tanh>;
    case Op::asinh: return loop1<T, T, G_asinh>;
    case Op::acosh: return loop1<T, T, G_acosh>;
    case Op::atanh: return loop1<T, T, G_atanh>;
    case Op::erf: return loop1<T, T, G_erf>;
    case Op::erfc: return loop1<T, T, G_erfc>;
    case Op::erfinv: return loop1<T, T, G_erfinv>;
    case Op::sigmoid: return loop1<T, T, G_sigmoid>;
    case Op::softplus: return loop1<T, T, G_softplus>;
    case Op::lgamma: return loop1<T, T, G_lgamma>;
    case Op::digamma: return loop1<T, T, G_digamma>;
    case Op::pow: return loop2<T, T, G_float_pow>;
    case Op::mod: return loop2<T, T, G_float_mod>;
    case Op::fmod: return loop2<T, T, G_float_fmod>;
    case Op::floor_div: return loop2<T, T, G_float_floor_div>;
    case Op::atan2: return loop2<T, T, G_atan2>;
    case Op::nextafter: return loop2<T, T, G_nextafter>;
    default: return of_any<T>(op);
  }
}

template <class T> Fn of_int(Op op) {
  switch (op) {
    case Op::neg: return loop1<T, T, G_neg>;
    case Op::abs: return loop1<T, T, G_abs>;
    case Op::sign: return loop1<T, T, G_sign>;
    case Op::square: return loop1<T, T, G_square>;
    case Op::floor:
    case Op::ceil:
    case Op::round:
    case Op::trunc: return loop1<T, T, G_copy>;
    case Op::bitwise_not: return loop1<T, T, G_bitwise_not>;
    case Op::add: return loop2<T, T, G_add>;
    case Op::sub: return loop2<T, T, G_sub>;
    case Op::mul: return loop2<T, T, G_mul>;
    case Op::div: return loop2<T, T, G_div>;
    case Op::pow: return loop2<T, T, G_pow>;
    case Op::maximum: return loop2<T, T, G_maximum>;
    case Op::minimum: return loop2<T, T, G_minimum>;
    case Op::mod: return loop2<T, T, G_mod>;
    case Op::fmod: return loop2<T, T, G_fmod>;
    case Op::floor_div: return loop2<T, T, G_floor_div>;
    case Op::bitwise_and: return loop2<T, T, G_bitwise_and>;
    case Op::bitwise_or: return loop2<T, T, G_bitwise_or>;
    case Op::bitwise_xor: return loop2<T, T, G_bitwise_xor>;
    case Op::shift_left: return loop2<T, T, G_shift_left>;
    case Op::shift_right: return loop2<T, T, G_shift_right>;
    default: return of_any<T>(op);
  }
}

// Sum and product of booleans are "or" and "and", as in NumPy; differences are "exclusive or".
Fn of_bool(Op op) {
  switch (op) {
    case Op::neg:
    case Op::abs:
    case Op::sign:
    case Op::square:
    case Op::floor:
    case Op::ceil:
    case Op::round:
    case Op::trunc: return loop1<bool, bool, G_copy>;
    case Op::bitwise_not: return loop1<bool, bool, G_logical_not>;
    case Op::add:
    case Op::maximum:
    case Op::bitwise_or: return loop2<bool, bool, G_logical_or>;
    case Op::mul:
    case Op::minimum:
    case Op::bitwise_and: return loop2<bool, bool, G_logical_and>;
    case Op::sub:
    case Op::bitwise_xor: return loop2<bool, bool, G_logical_xor>;
    default: return of_any<bool>(op);
  }
}

template <class F> Fn visit_register(DType d, F&& f) {
  if (d == DType::Bool) return f(bool{});
  if (d == DType::Float32) return f(float{});
  if (d == DType::Float64) return f(double{});
  if (!is_integer(d)) return nullptr;
  return visit_int(d, f);
}

}  // namespace

Fn find_generic(Op op, DType dtype) {
  if (dtype == DType::Bool) return of_bool(op);
  if (dtype == DType::Float32) return of_float<float>(op);
  if (dtype == DType::Float64) return of_float<double>(op);
  if (!is_integer(dtype)) return nullptr;
  return visit_int(dtype, [op](auto t) { return of_int<decltype(t)>(op); });
}

Fn find(Op op, DType dtype) {
  if (op == Op::raw_copy) {
    switch (dtype_size(dtype)) {
      case 1: return loop1<uint8_t, uint8_t, G_copy>;
      case 2: return loop1<uint16_t, uint16_t, G_copy>;
      case 4: return find_f32(Op::copy);
      default: return find_f64(Op::copy);
    }
  }
  Fn fn = dtype == DType::Float32 ? find_f32(op) : dtype == DType::Float64 ? find_f64(op) : nullptr;
  return fn ? fn : find_generic(op, dtype);
}

Fn find_cast(DType from, DType to) {
  return visit_register(from, [to](auto f) {
    return visit_register(to, [](auto t) -> Fn {
      using From = decltype(f);
      using To = decltype(t);
      return loop1<From, To, G_cast<From, To>>;
    });
  });
}

Fn find_reduce(Reduce r, Pre pre, DType dtype) {
  if (dtype == DType::Float32) return find_f32_reduce(r, pre);
  if (dtype == DType::Float64) return find_f64_reduce(r, pre);
  if (pre != Pre::none) return nullptr;
  if (dtype == DType::Bool) return r == Reduce::Sum || r == Reduce::Max ? loop_reduce<bool, G_maximum> : loop_reduce<bool, G_minimum>;
  if (!is_integer(dtype)) return nullptr;
  return visit_int(dtype, [r](auto t) -> Fn {
    using T = decltype(t);
    switch (r) {
      case Reduce::Sum: return loop_reduce<T, G_add>;
      case Reduce::Max: return loop_reduce<T, G_maximum>;
      case Reduce::Min: return loop_reduce<T, G_minimum>;
      default: return loop_reduce<T, G_mul>;
    }
  });
}

ColumnFn find_column(Reduce r, Pre pre, DType dtype) {
  if (dtype == DType::Float32) return find_f32_column(r, pre);
  if (dtype == DType::Float64) return find_f64_column(r, pre);
  if (pre != Pre::none) return nullptr;
  if (dtype == DType::Bool) return r == Reduce::Sum || r == Reduce::Max ? loop_column<bool, G_maximum> : loop_column<bool, G_minimum>;
  if (!is_integer(dtype)) return nullptr;
  return visit_int(dtype, [r](auto t) -> ColumnFn {
    using T = decltype(t);
    switch (r) {
      case Reduce::Sum: return loop_column<T, G_add>;
      case Reduce::Max: return loop_column<T, G_maximum>;
      case Reduce::Min: return loop_column<T, G_minimum>;
      default: return loop_column<T, G_mul>;
    }
  });
}

double cost(Op op, DType dtype) {
  const bool f32 = dtype == DType::Float32;
  switch (op) {
    case Op::exp: case Op::expm1: case Op::log: case Op::log1p: case Op::log2: case Op::log10: case Op::tanh: case Op::sigmoid:
    case Op::softplus: case Op::erf: case Op::erfc: case Op::sin: case Op::cos: case Op::tan: case Op::silu: case Op::gelu_erf:
    case Op::gelu_tanh: case Op::gelu_erf_grad: case Op::exp_sub: case Op::exp_sub_sum: return f32 ? 0.6 : 8;
    case Op::pow: return f32 ? 3 : 20;
    case Op::asin: case Op::acos: case Op::atan: case Op::sinh: case Op::cosh: case Op::asinh: case Op::acosh: case Op::atanh:
    case Op::atan2: case Op::mod: case Op::fmod: case Op::floor_div: return 8;
    case Op::lgamma: case Op::digamma: case Op::erfinv: return 60;
    case Op::sqrt: case Op::rsqrt: case Op::div: case Op::reciprocal: case Op::sqrt_add: case Op::adam_step: return 0.3;
    default: return 0.1;
  }
}

}  // namespace keras::cpu::simd
