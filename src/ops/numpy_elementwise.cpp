// What lives here: keras.ops' NumPy functions that work element by element. Reductions, shapes and indexing are elsewhere.
#include <cmath>
#include <limits>
#include <numbers>

#include <keras/ops/core.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "ops/op_frame.h"

namespace keras::ops {

// ---- one operand
static Tensor ew1(Ew op, const Tensor& x) { return p::ew(op, x); }
// The operation on at least floatx, and the operation on the dtype that is there.
#define FLOAT_OP(fn, Cls, op)                                                       \
  Tensor fn(const Tensor& x) {                                                      \
    return unary(Cls, x, [](const Tensor& a) { return ew1(Ew::op, as_float(a)); }); \
  }
FLOAT_OP(sqrt, "Sqrt", sqrt)
FLOAT_OP(reciprocal, "Reciprocal", reciprocal)
FLOAT_OP(exp, "Exp", exp)
FLOAT_OP(expm1, "Expm1", expm1)
FLOAT_OP(log, "Log", log)
FLOAT_OP(log1p, "Log1p", log1p)
FLOAT_OP(log2, "Log2", log2)
FLOAT_OP(log10, "Log10", log10)
FLOAT_OP(sin, "Sin", sin)
FLOAT_OP(cos, "Cos", cos)
FLOAT_OP(tan, "Tan", tan)
FLOAT_OP(arcsin, "Arcsin", asin)
FLOAT_OP(arccos, "Arccos", acos)
FLOAT_OP(arctan, "Arctan", atan)
FLOAT_OP(sinh, "Sinh", sinh)
FLOAT_OP(cosh, "Cosh", cosh)
FLOAT_OP(tanh, "Tanh", tanh)
FLOAT_OP(arcsinh, "Arcsinh", asinh)
FLOAT_OP(arccosh, "Arccosh", acosh)
FLOAT_OP(arctanh, "Arctanh", atanh)
FLOAT_OP(floor, "Floor", floor)
FLOAT_OP(ceil, "Ceil", ceil)
FLOAT_OP(fabs, "Fabs", abs)
#undef FLOAT_OP

Tensor negative(const Tensor& x) {
  return unary("Negative", x, [](const Tensor& a) {
    if (a.dtype() == DType::Bool)
      throw TypeError(ErrorText{.what = "negative is not defined on bools", .fix = "use logical_not, or cast to int32 first"}.str());
    return ew1(Ew::neg, a);
  });
}
static Tensor absolute_value(const Tensor& a) { return a.dtype() == DType::Bool || is_unsigned(a.dtype()) ? a : ew1(Ew::abs, a); }
Tensor absolute(const Tensor& x) { return unary("Absolute", x, absolute_value); }
Tensor abs(const Tensor& x) { return unary("Abs", x, absolute_value); }
Tensor sign(const Tensor& x) {
  return unary("Sign", x, [](const Tensor& a) { return ew1(Ew::sign, a.dtype() == DType::Bool ? as(a, DType::Int32) : a); });
}
Tensor signbit(const Tensor& x) {
  return unary("Signbit", x, [](const Tensor& a) {
    if (a.dtype() == DType::Bool || is_unsigned(a.dtype())) return p::broadcast_to(Tensor::full({}, 0, DType::Bool), a.shape());
    Tensor zero = num(a, 0);
    if (!is_floating(a.dtype())) return p::ew(Ew::less, a, zero);
    Tensor seen = p::select(p::ew(Ew::equal, a, zero), ew1(Ew::reciprocal, a), a);  // the reciprocal of -0 is -inf
    return p::ew(Ew::less, seen, zero);
  });
}
Tensor square(const Tensor& x) {
  return unary("Square", x, [](const Tensor& a) { return ew1(Ew::square, a.dtype() == DType::Bool ? as(a, DType::Int32) : a); });
}
Tensor cbrt(const Tensor& x) {
  return unary("Cbrt", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    return p::mul(ew1(Ew::sign, f), p::ew(Ew::pow, ew1(Ew::abs, f), num(f, 1.0 / 3.0)));
  });
}
Tensor exp2(const Tensor& x) {
  return unary("Exp2", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    return p::ew(Ew::pow, num(f, 2), f);
  });
}
Tensor sinc(const Tensor& x) {
  return unary("Sinc", x, [](const Tensor& a) {
    Tensor f = as_float(a), zero = p::ew(Ew::equal, f, num(f, 0));
    Tensor angle = p::mul(p::select(zero, num(f, 1), f), std::numbers::pi);
    return p::select(zero, num(f, 1), p::div(ew1(Ew::sin, angle), angle));
  });
}
static Tensor polynomial(const Tensor& y, std::initializer_list<double> highest_first) {
  Tensor r;
  for (double c : highest_first) r = r.defined() ? p::add(p::mul(r, y), c) : num(y, c);
  return r;
}
Tensor i0(const Tensor& x) {
  return unary("I0", x, [](const Tensor& x) {  // Abramowitz and Stegun 9.8.1 and 9.8.2
    Tensor f = as_float(x), a = ew1(Ew::abs, f), small = p::ew(Ew::less, a, num(f, 3.75));
    Tensor near = polynomial(ew1(Ew::square, p::div(p::select(small, a, num(f, 0)), num(f, 3.75))),
                             {0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0});
    Tensor big = p::select(small, num(f, 3.75), a);
    Tensor far = polynomial(p::div(num(f, 3.75), big), {0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565,
                                                        0.00225319, 0.01328592, 0.39894228});
    return p::select(small, near, p::mul(p::mul(far, ew1(Ew::exp, big)), ew1(Ew::rsqrt, big)));
  });
}
Tensor deg2rad(const Tensor& x) {
  return unary("Deg2rad", x, [](const Tensor& a) { return p::mul(as_float(a), std::numbers::pi / 180); });
}
Tensor rad2deg(const Tensor& x) {
  return unary("Rad2deg", x, [](const Tensor& a) { return p::mul(as_float(a), 180 / std::numbers::pi); });
}
Tensor trunc(const Tensor& x) {
  return unary("Trunc", x, [](const Tensor& a) { return is_floating(a.dtype()) ? ew1(Ew::trunc, a) : a; });
}
Tensor round(const Tensor& x, int decimals) {
  return frame(
      "Round", [&] { return ArgDict{kw("decimals", decimals)}; },
      [decimals](const Tensor& a) {
        if (!is_floating(a.dtype())) {
          if (decimals >= 0) return a.dtype() == DType::Bool ? as(a, DType::Int32) : a;
          Tensor f = as(a, DType::Float32), factor = num(f, std::pow(10.0, decimals));
          return as(p::div(ew1(Ew::round, p::mul(f, factor)), factor), a.dtype());
        }
        if (decimals == 0) return ew1(Ew::round, a);
        Tensor f = is_half(a.dtype()) ? as(a, DType::Float32) : a;
        Tensor factor = num(f, std::pow(10.0, std::abs(decimals)));
        Tensor r = decimals > 0 ? p::div(ew1(Ew::round, p::mul(f, factor)), factor) : p::mul(ew1(Ew::round, p::div(f, factor)), factor);
        return as(r, a.dtype());
      },
      x);
}
Tensor clip(const Tensor& x, const Tensor& x_min, const Tensor& x_max) {
  // Bounds are options in Keras' records; computed ones travel as arguments.
  auto f = [](const Tensor& a0, const Tensor& lo0, const Tensor& hi0) {
    Tensor a = a0.dtype() == DType::Bool ? as(a0, DType::Int32) : a0;
    Tensors given{a};
    if (lo0.defined()) given.push_back(lo0);
    if (hi0.defined()) given.push_back(hi0);
    DType t = promote(given);
    a = as(a, t);
    if (lo0.defined()) a = p::ew(Ew::maximum, as(lo0, t), a);  // in this order 0 is no relu: the gradient is shared at the bound
    if (hi0.defined()) a = p::ew(Ew::minimum, a, as(hi0, t));
    return a;
  };
  if (!x.is_symbolic() && !x_min.is_symbolic() && !x_max.is_symbolic()) return f(x, x_min, x_max);
  auto plain = [](const Tensor& t) { return !t.defined() || (t.is_concrete() && t.rank() == 0); };
  if (plain(x_min) && plain(x_max)) {
    auto value = [](const Tensor& t) {
      return !t.defined() ? Value() : t.weak() == 'i' ? Value(static_cast<int64_t>(t.item())) : Value(t.item());
    };
    return frame(
        "Clip",
        [&] {
          return ArgDict{{"x_min", Arg(value(x_min))}, {"x_max", Arg(value(x_max))}};
        },
        [f, x_min, x_max](const Tensor& a) { return f(a, x_min, x_max); }, x);
  }
  return frame("Clip", no_options, f, x, x_min, x_max);
}

static Tensor all_bools(const Tensor& like, bool v) { return p::broadcast_to(Tensor::full({}, v, DType::Bool), like.shape()); }
Tensor isnan(const Tensor& x) {
  return unary("Isnan", x, [](const Tensor& a) { return is_floating(a.dtype()) ? ew1(Ew::isnan, a) : all_bools(a, false); });
}
Tensor isinf(const Tensor& x) {
  return unary("Isinf", x, [](const Tensor& a) { return is_floating(a.dtype()) ? ew1(Ew::isinf, a) : all_bools(a, false); });
}
Tensor isfinite(const Tensor& x) {
  return unary("Isfinite", x, [](const Tensor& a) { return is_floating(a.dtype()) ? ew1(Ew::isfinite, a) : all_bools(a, true); });
}
Tensor isneginf(const Tensor& x) {
  return unary("Isneginf", x, [](const Tensor& a) {
    return is_floating(a.dtype()) ? p::ew(Ew::equal, a, num(a, -std::numeric_limits<double>::infinity())) : all_bools(a, false);
  });
}
Tensor isposinf(const Tensor& x) {
  return unary("Isposinf", x, [](const Tensor& a) {
    return is_floating(a.dtype()) ? p::ew(Ew::equal, a, num(a, std::numeric_limits<double>::infinity())) : all_bools(a, false);
  });
}
Tensor isreal(const Tensor& x) {
  return unary("Isreal", x, [](const Tensor& a) { return all_bools(a, true); });
}
Tensor logical_not(const Tensor& x) {
  return unary("LogicalNot", x, [](const Tensor& a) { return ew1(Ew::logical_not, as_bool(a)); });
}
static Tensor inverted(const Tensor& a) {
  if (is_floating(a.dtype()) && abstract_trace()) return a;
  if (is_floating(a.dtype()))
    throw TypeError(ErrorText{.what = "bitwise functions need integers or bools", .received = dtype_name(a.dtype())}.str());
  return ew1(a.dtype() == DType::Bool ? Ew::logical_not : Ew::bitwise_not, a);
}
Tensor bitwise_not(const Tensor& x) { return unary("BitwiseNot", x, inverted); }
Tensor bitwise_invert(const Tensor& x) { return unary("BitwiseInvert", x, inverted); }

static Tensor itself(const Tensor& a) { return a; }
Tensor conj(const Tensor& x) { return unary("Conj", x, itself); }
Tensor conjugate(const Tensor& x) { return unary("Conjugate", x, itself); }
Tensor real(const Tensor& x) { return unary("Real", x, itself); }
Tensor imag(const Tensor& x) {
  return unary("Imag", x, [](const Tensor& a) { return p::broadcast_to(num(a, 0), a.shape()); });
}
Tensor angle(const Tensor& x) {
  return unary("Angle", x, [](const Tensor& a) {
    Tensor f = as_float(a);
    return p::ew(Ew::atan2, num(f, 0), f);
  });
}
Tensor copy(const Tensor& x) {
  return unary("Copy", x, [](const Tensor& a) { return ew1(Ew::copy, a); });
}
Tensor nan_to_num(const Tensor& x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
  return frame(
      "NanToNum",
      [&] {
        return ArgDict{kw("nan", nan), kw("posinf", posinf), kw("neginf", neginf)};
      },
      [=](const Tensor& a) {
        if (!is_floating(a.dtype())) return a;
        double largest = a.dtype() == DType::Float16    ? 65504.0
                         : a.dtype() == DType::BFloat16 ? 3.3895313892515355e38
                         : a.dtype() == DType::Float32  ? static_cast<double>(std::numeric_limits<float>::max())
                                                        : std::numeric_limits<double>::max();
        constexpr double inf = std::numeric_limits<double>::infinity();
        Tensor r = p::select(ew1(Ew::isnan, a), num(a, nan), a);
        r = p::select(p::ew(Ew::equal, a, num(a, inf)), num(a, posinf.value_or(largest)), r);
        return p::select(p::ew(Ew::equal, a, num(a, -inf)), num(a, neginf.value_or(-largest)), r);
      },
      x);
}

// ---- two operands
static Tensor ew2(Ew op, const Tensor& a, const Tensor& b) {
  auto [x, y] = promoted(a, b);
  return p::ew(op, x, y);
}
// For bools the sum is "or" and the product "and".
static Tensor ew2_bool(Ew op, Ew on_bools, const Tensor& a, const Tensor& b) {
  auto [x, y] = promoted(a, b);
  return p::ew(x.dtype() == DType::Bool ? on_bools : op, x, y);
}
static Tensor ew2_int(Ew op, const Tensor& a, const Tensor& b) {  // bools count as numbers
  auto [x, y] = promoted(a, b);
  if (x.dtype() == DType::Bool) return p::ew(op, as(x, DType::Int32), as(y, DType::Int32));
  return p::ew(op, x, y);
}
static Tensor ew2_float(Ew op, const Tensor& a, const Tensor& b) {
  DType t = float_type(promote(a, b));
  return p::ew(op, as(a, t), as(b, t));
}
static Tensor ew2_logical(Ew op, const Tensor& a, const Tensor& b) { return p::ew(op, as_bool(a), as_bool(b)); }
static Tensor ew2_bits(Ew op, const Tensor& a, const Tensor& b) {
  auto [x, y] = promoted(a, b);
  if (is_floating(x.dtype()) && abstract_trace()) return shape_only(x.dtype(), broadcast_shapes(x.shape(), y.shape()));
  if (is_floating(x.dtype()))
    throw TypeError(ErrorText{.what = "bitwise functions need integers or bools",
                              .received = std::string(dtype_name(a.dtype())) + " and " + dtype_name(b.dtype())}
                        .str());
  return p::ew(op, x, y);
}
/// A plain number with a fraction is a float32 to the functions that ask converted tensors for their dtypes.
static Tensor firm(const Tensor& t) { return t.weak() && is_floating(t.dtype()) ? Tensor::full({}, t.item(), DType::Float32) : t; }
/// Whole numbers over 0 as JAX has them: all bits set, and one less where something is left.
static Tensor floor_quotient(const Tensor& a, const Tensor& b) {
  Tensor r = ew2_int(Ew::floor_div, a, b);
  if (is_floating(r.dtype()) || (b.is_concrete() && b.rank() == 0 && b.item() != 0)) return r;
  Tensor x = as(a, r.dtype()), y = as(b, r.dtype()), over_zero;
  if (is_unsigned(r.dtype())) over_zero = num(r, std::exp2(8.0 * static_cast<double>(dtype_size(r.dtype()))) - 1);
  else over_zero = p::select(p::ew(Ew::equal, x, num(x, 0)), num(r, -1), num(r, -2));
  return p::select(p::ew(Ew::equal, y, num(y, 0)), over_zero, r);
}
/// The neighbour among half-width floats: one step in their bits, which are sign and magnitude.
static Tensor next_float(const Tensor& a, const Tensor& b) {
  DType t = float_type(promote(a, b));
  Tensor x = as(a, t), y = as(b, t);
  if (!is_half(t)) return p::ew(Ew::nextafter, x, y);
  if (abstract_trace()) return shape_only(t, broadcast_shapes(x.shape(), y.shape()));
  Shape s = broadcast_shapes(x.shape(), y.shape());
  x = p::broadcast_to(x, s), y = p::broadcast_to(y, s);
  Tensor up = p::ew(Ew::greater, y, x), zero = num(x, 0);
  Tensor grows = p::ew(Ew::equal, up, p::ew(Ew::greater, x, zero));
  Tensor bits = p::bitcast(x, DType::Int16), one = num(bits, 1), smallest = p::select(up, one, num(bits, -32767));
  Tensor next = p::bitcast(p::add(bits, p::select(grows, one, num(bits, -1))), t);
  next = p::select(p::ew(Ew::equal, x, zero), p::bitcast(smallest, t), next);
  next = p::select(p::ew(Ew::equal, x, y), y, next);
  return p::select(p::ew(Ew::logical_or, ew1(Ew::isnan, x), ew1(Ew::isnan, y)), p::add(x, y), next);
}
#define BINARY(fn, Cls, expr)                                                          \
  Tensor fn(const Tensor& x1, const Tensor& x2) {                                      \
    return binary(Cls, x1, x2, [](const Tensor& a, const Tensor& b) { return expr; }); \
  }
BINARY(add, "Add", ew2_bool(Ew::add, Ew::logical_or, a, b))
BINARY(subtract, "Subtract", ew2_int(Ew::sub, a, b))
BINARY(multiply, "Multiply", ew2_bool(Ew::mul, Ew::logical_and, a, b))
BINARY(divide, "Divide", ew2_float(Ew::div, a, b))
BINARY(true_divide, "TrueDivide", ew2_float(Ew::div, a, b))
BINARY(floor_divide, "FloorDivide", floor_quotient(a, b))
BINARY(mod, "Mod", ew2_int(Ew::mod, a, b))
BINARY(fmod, "Fmod", ew2_int(Ew::fmod, a, b))
BINARY(power, "Power", ew2_int(Ew::pow, a, b))
// A constant 0 goes in front: behind, it makes a relu, which has another gradient where both are 0.
static Tensor larger(const Tensor& a, const Tensor& b) {
  bool zero = b.is_concrete() && b.rank() == 0 && b.item() == 0;
  return zero ? ew2_bool(Ew::maximum, Ew::logical_or, b, a) : ew2_bool(Ew::maximum, Ew::logical_or, a, b);
}
BINARY(maximum, "Maximum", larger(a, b))
BINARY(minimum, "Minimum", ew2_bool(Ew::minimum, Ew::logical_and, a, b))
BINARY(arctan2, "Arctan2", ew2_float(Ew::atan2, firm(a), firm(b)))
BINARY(nextafter, "Nextafter", next_float(a, b))
BINARY(equal, "Equal", ew2(Ew::equal, a, b))
BINARY(not_equal, "NotEqual", ew2(Ew::not_equal, a, b))
BINARY(less, "Less", ew2_int(Ew::less, a, b))
BINARY(less_equal, "LessEqual", ew2_int(Ew::less_equal, a, b))
BINARY(greater, "Greater", ew2_int(Ew::greater, a, b))
BINARY(greater_equal, "GreaterEqual", ew2_int(Ew::greater_equal, a, b))
BINARY(logical_and, "LogicalAnd", ew2_logical(Ew::logical_and, a, b))
BINARY(logical_or, "LogicalOr", ew2_logical(Ew::logical_or, a, b))
BINARY(logical_xor, "LogicalXor", ew2_logical(Ew::logical_xor, a, b))
BINARY(bitwise_and, "BitwiseAnd", ew2_bits(Ew::bitwise_and, a, b))
BINARY(bitwise_or, "BitwiseOr", ew2_bits(Ew::bitwise_or, a, b))
BINARY(bitwise_xor, "BitwiseXor", ew2_bits(Ew::bitwise_xor, a, b))
BINARY(left_shift, "LeftShift", ew2_bits(Ew::shift_left, a, b))
BINARY(right_shift, "RightShift", ew2_bits(Ew::shift_right, a, b))
BINARY(bitwise_left_shift, "BitwiseLeftShift", ew2_bits(Ew::shift_left, a, b))
BINARY(bitwise_right_shift, "BitwiseRightShift", ew2_bits(Ew::shift_right, a, b))
#undef BINARY

Tensor divide_no_nan(const Tensor& x1, const Tensor& x2) {
  return binary("DivideNoNan", x1, x2, [](const Tensor& a, const Tensor& b) {
    DType t = float_type(promote(a, b));
    Tensor y = as(b, t), zero = p::ew(Ew::equal, y, num(y, 0));
    return p::select(zero, num(y, 0), p::div(as(a, t), p::select(zero, num(y, 1), y)));
  });
}
// A NaN in one operand gives the other one.
static Tensor extremum_of_numbers(Ew op, const Tensor& a, const Tensor& b) {
  auto [x, y] = promoted(a, b);
  if (x.dtype() == DType::Bool) return p::ew(op == Ew::maximum ? Ew::logical_or : Ew::logical_and, x, y);
  Tensor r = p::ew(op, x, y);
  if (!is_floating(x.dtype())) return r;
  return p::select(ew1(Ew::isnan, x), y, p::select(ew1(Ew::isnan, y), x, r));
}
Tensor fmax(const Tensor& x1, const Tensor& x2) {
  return binary("Fmax", x1, x2, [](const Tensor& a, const Tensor& b) { return extremum_of_numbers(Ew::maximum, a, b); });
}
Tensor fmin(const Tensor& x1, const Tensor& x2) {
  return binary("Fmin", x1, x2, [](const Tensor& a, const Tensor& b) { return extremum_of_numbers(Ew::minimum, a, b); });
}
Tensor hypot(const Tensor& x1, const Tensor& x2) {
  return binary("Hypot", x1, x2, [](const Tensor& a, const Tensor& b) {  // scaled by the larger leg, so that squares do not overflow
    DType t = float_type(promote(a, b));
    Tensor x = ew1(Ew::abs, as(a, t)), y = ew1(Ew::abs, as(b, t));
    Tensor large = p::ew(Ew::maximum, x, y), small = p::ew(Ew::minimum, x, y);
    Tensor zero = p::ew(Ew::equal, large, num(x, 0)), endless = p::ew(Ew::logical_or, ew1(Ew::isinf, x), ew1(Ew::isinf, y));
    Tensor ratio = p::div(small, p::select(zero, num(x, 1), large));
    Tensor r = p::mul(large, ew1(Ew::sqrt, p::add(ew1(Ew::square, ratio), 1.0)));
    return p::select(endless, num(x, std::numeric_limits<double>::infinity()), p::select(zero, num(x, 0), r));
  });
}
static Tensor log_of_sum(const Tensor& a, const Tensor& b, double base) {
  DType t = float_type(promote(a, b));
  Tensor x = as(a, t), y = as(b, t), large = p::ew(Ew::maximum, x, y), delta = p::sub(x, y);
  Tensor far = p::neg(ew1(Ew::abs, delta));
  Tensor gain =
      base == 2 ? p::mul(ew1(Ew::log1p, p::ew(Ew::pow, num(x, 2), far)), 1 / std::numbers::ln2) : ew1(Ew::log1p, ew1(Ew::exp, far));
  return p::select(ew1(Ew::isnan, delta), p::add(x, y), p::add(large, gain));
}
Tensor logaddexp(const Tensor& x1, const Tensor& x2) {
  return binary("Logaddexp", x1, x2, [](const Tensor& a, const Tensor& b) { return log_of_sum(firm(a), firm(b), std::numbers::e); });
}
Tensor logaddexp2(const Tensor& x1, const Tensor& x2) {
  return binary("Logaddexp2", x1, x2, [](const Tensor& a, const Tensor& b) { return log_of_sum(firm(a), firm(b), 2); });
}
Tensor heaviside(const Tensor& x1, const Tensor& x2) {
  return binary("Heaviside", x1, x2, [](const Tensor& a, const Tensor& b) {
    DType t = float_type(promote(a, b));
    Tensor x = as(a, t), y = as(b, t), zero = num(x, 0);
    Tensor step = p::select(p::ew(Ew::less, x, zero), zero, p::select(p::ew(Ew::greater, x, zero), num(x, 1), y));
    return p::select(ew1(Ew::isnan, x), x, step);
  });
}
Tensor ldexp(const Tensor& x1, const Tensor& x2) {
  return binary("Ldexp", x1, x2, [](const Tensor& a, const Tensor& b) {
    if (!is_integer(b.dtype()) && !abstract_trace())
      throw TypeError(ErrorText{
          .what = "the exponent of ldexp must be an integer", .expected = "an integer dtype for x2", .received = dtype_name(b.dtype())}
                          .str());
    DType t = float_type(a.dtype());
    Tensor x = as(a, t), e = as(b, DType::Int32);
    if (t == DType::Float64) return p::mul(x, p::ew(Ew::pow, num(x, 2), as(e, t)));
    Tensor wide = as(x, DType::Float32);
    // Powers of two by their bits, in three steps that stay in range.
    for (int step = 0; step < 3; ++step) {
      Tensor part = p::ew(Ew::minimum, p::ew(Ew::maximum, e, num(e, -126)), num(e, 127));
      wide = p::mul(wide, p::bitcast(p::ew(Ew::shift_left, p::add(part, 127.0), num(e, 23)), DType::Float32));
      e = p::sub(e, part);
    }
    return as(wide, t);
  });
}
// Euclid's steps, as many as the width of the dtype can need; a pair that is done stays as it is.
static Tensor greatest_divisor(const Tensor& a, const Tensor& b) {
  auto [x, y] = promoted(a, b);
  if (abstract_trace()) return shape_only(x.dtype(), broadcast_shapes(x.shape(), y.shape()));
  if (!is_integer(x.dtype()))
    throw TypeError(
        ErrorText{.what = "gcd and lcm need integers", .received = std::string(dtype_name(a.dtype())) + " and " + dtype_name(b.dtype())}
            .str());
  Shape s = broadcast_shapes(x.shape(), y.shape());
  x = p::broadcast_to(absolute_value(x), s), y = p::broadcast_to(absolute_value(y), s);
  int64_t steps = static_cast<int64_t>(dtype_size(x.dtype())) * 12;
  auto r = core::scan(
      [](const Tensors& st, const Tensors&) -> std::pair<Tensors, Tensors> {
        Tensor done = p::ew(Ew::equal, st[1], num(st[1], 0));
        Tensor rest = p::ew(Ew::mod, st[0], p::select(done, num(st[1], 1), st[1]));
        return {{p::select(done, st[0], st[1]), p::select(done, st[1], rest)}, {}};
      },
      {x, y}, {iota(DType::Int32, Shape{steps}, 0)});
  return r.states[0];
}
Tensor gcd(const Tensor& x1, const Tensor& x2) { return binary("Gcd", x1, x2, greatest_divisor); }
Tensor lcm(const Tensor& x1, const Tensor& x2) {
  return binary("Lcm", x1, x2, [](const Tensor& a, const Tensor& b) {
    auto [x, y] = promoted(a, b);
    Tensor d = greatest_divisor(a, b), none = p::ew(Ew::equal, d, num(d, 0));
    Tensor part = p::ew(Ew::floor_div, absolute_value(y), p::select(none, num(d, 1), d));
    return p::select(none, num(d, 0), p::mul(absolute_value(x), part));
  });
}

static Tensor close(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  DType t = float_type(promote(a, b));
  Tensor x = as(a, t), y = as(b, t);
  Tensor near = p::ew(Ew::less_equal, ew1(Ew::abs, p::sub(x, y)), p::add(p::mul(ew1(Ew::abs, y), rtol), atol));
  Tensor finite = p::ew(Ew::logical_and, ew1(Ew::isfinite, x), ew1(Ew::isfinite, y));
  Tensor r = p::select(finite, near, p::ew(Ew::equal, x, y));
  return equal_nan ? p::ew(Ew::logical_or, r, p::ew(Ew::logical_and, ew1(Ew::isnan, x), ew1(Ew::isnan, y))) : r;
}
Tensor isclose(const Tensor& x1, const Tensor& x2, double rtol, double atol, bool equal_nan) {
  return frame(
      "Isclose",
      [&] {
        return ArgDict{kw("equal_nan", equal_nan), kw("rtol", rtol), kw("atol", atol)};
      },
      [=](const Tensor& a, const Tensor& b) { return close(a, b, rtol, atol, equal_nan); }, x1, x2);
}
Tensor allclose(const Tensor& x1, const Tensor& x2, double rtol, double atol, bool equal_nan) {
  return frame(
      "AllClose",
      [&] {
        return ArgDict{kw("rtol", rtol), kw("atol", atol), kw("equal_nan", equal_nan)};
      },
      [=](const Tensor& a, const Tensor& b) {
        Tensor c = close(a, b, rtol, atol, equal_nan);
        return p::reduce(p::reduce_and_prim, c, p::iota_axes(c.rank()));
      },
      x1, x2);
}

Tensor where(const Tensor& condition, const Tensor& x1, const Tensor& x2) {
  return frame(
      "Where", no_options,
      [](const Tensor& c, const Tensor& a, const Tensor& b) {
        auto [x, y] = promoted(a, b);
        return p::select(as_bool(c), x, y);
      },
      condition, x1, x2);
}
Tensor select(const Tensors& condlist, const Tensors& choicelist, const Tensor& default_value) {
  if (condlist.size() != choicelist.size() || condlist.empty())
    throw ValueError(
        ErrorText{.what = "select needs as many choices as conditions",
                  .where = "select",
                  .expected = "lists of equal length, not empty",
                  .received = std::to_string(condlist.size()) + " conditions and " + std::to_string(choicelist.size()) + " choices"}
            .str());
  return frame(
      "Select", no_options,
      [](const Tensors& conds, const Tensors& choices, const Tensor& otherwise) {
        Tensors all = choices;
        all.push_back(otherwise);
        DType t = promote(all);
        Tensor r = as(otherwise, t);
        for (size_t i = conds.size(); i-- > 0;) r = p::select(as_bool(conds[i]), as(choices[i], t), r);
        return r;
      },
      condlist, choicelist, default_value);
}

}  // namespace keras::ops
