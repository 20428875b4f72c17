// What lives here: tests of tile programs against a slow interpreter that computes every register at every index in double or int64.
#include "cpu/tile_program.h"

#include <gtest/gtest.h>
#include <keras/base/error.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>

#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

using ir::Ew;
using Reduce = TileSpec::Reduce;
using Kind = TileSpec::Kind;

// ---- building specs ----

std::vector<int64_t> dense_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> s(shape.size());
  int64_t unit = 1;
  for (size_t i = shape.size(); i-- > 0; unit *= shape[i]) s[i] = unit;
  return s;
}

struct Program : TileSpec {
  explicit Program(std::vector<int64_t> dims, int rows = 0) { shape = std::move(dims), row_rank = rows; }
  int input(DType d = DType::Float32) { return input(d, dense_strides(shape)); }
  int input(DType d, std::vector<int64_t> strides) {
    inputs.push_back({d, std::move(strides)});
    return static_cast<int>(inputs.size()) - 1;
  }
  int push(Instr i) {
    instrs.push_back(i);
    return static_cast<int>(inputs.size() + instrs.size()) - 1;
  }
  int ew(Ew op, int a, int b = -1, int c = -1) {
    Instr i;
    i.op = op, i.a = a, i.b = b, i.c = c;
    const DType d = register_dtype(*this, ir::info(op).arity == 3 ? b : a);
    i.dtype = ir::info(op).result == ir::EwResult::Bool ? DType::Bool : d;
    return push(i);
  }
  int cast(int a, DType to, Ew op = Ew::cast) {
    Instr i;
    i.op = op, i.a = a, i.dtype = to;
    return push(i);
  }
  int constant(double v, DType d = DType::Float32) {
    Instr i;
    i.kind = Kind::Const, i.dtype = d, i.value = v, i.ivalue = static_cast<int64_t>(v);
    return push(i);
  }
  int reduce(Reduce r, int a) {
    Instr i;
    i.kind = Kind::RowReduce, i.reduce = r, i.a = a, i.dtype = register_dtype(*this, a);
    return push(i);
  }
  int out(int reg) {
    outputs.push_back({.reg = reg});
    return static_cast<int>(outputs.size()) - 1;
  }
  int column(int reg, Reduce r = Reduce::Sum) {
    outputs.push_back({.reg = reg, .column_reduce = true, .reduce = r});
    return static_cast<int>(outputs.size()) - 1;
  }
};

// ---- values ----

struct Val {
  double f = 0;   // floating dtypes
  int64_t i = 0;  // the others; unsigned ones by their bits
};
using Vals = std::vector<Val>;
using Bytes = std::vector<uint8_t>;

Val load(DType d, const void* p, int64_t at) {
  Val v;
  visit_dtype(d, [&](auto t) {
    using T = decltype(t);
    const T x = static_cast<const T*>(p)[at];
    if constexpr (std::is_integral_v<T>) v.i = static_cast<int64_t>(x);
    else v.f = static_cast<double>(x);
  });
  return v;
}
/// The value as a register of dtype `d` holds it (half values are exact in double; f32 registers round).
Val rounded(DType d, Val v, bool half) {
  visit_dtype(d, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, bool>) v.i = v.i != 0;
    else if constexpr (std::is_integral_v<T>) v.i = static_cast<int64_t>(static_cast<T>(v.i));
    else if constexpr (std::is_same_v<T, double>) v.f = v.f;
    else if constexpr (std::is_same_v<T, float>) v.f = static_cast<float>(v.f);
    else v.f = half ? static_cast<double>(static_cast<float>(T(static_cast<float>(v.f)))) : static_cast<float>(v.f);
  });
  return v;
}

double slow_digamma(double x) {  // by the derivative of lgamma where it is smooth
  if (x <= 0 && x == std::floor(x)) return NAN;
  if (x < 0) return slow_digamma(1 - x) - M_PI / std::tan(M_PI * x);
  double s = 0;
  for (; x < 50; x += 1) s -= 1 / x;
  return s + std::log(x) - 1 / (2 * x) - 1 / (12 * x * x) + 1 / (120 * x * x * x * x);
}
double slow_erfinv(double x) {
  if (std::abs(x) >= 1) return std::abs(x) == 1 ? std::copysign(INFINITY, x) : NAN;
  double lo = -7, hi = 7;
  for (int i = 0; i < 200; ++i) (std::erf((lo + hi) / 2) < x ? lo : hi) = (lo + hi) / 2;
  return (lo + hi) / 2;
}

double float_op(Ew op, double a, double b) {
  switch (op) {
    case Ew::neg: return -a;
    case Ew::abs: return std::abs(a);
    case Ew::sign: return a > 0 ? 1 : a < 0 ? -1 : a;
    case Ew::square: return a * a;
    case Ew::sqrt: return std::sqrt(a);
    case Ew::rsqrt: return 1 / std::sqrt(a);
    case Ew::reciprocal: return 1 / a;
    case Ew::exp: return std::exp(a);
    case Ew::expm1: return std::expm1(a);
    case Ew::log: return std::log(a);
    case Ew::log1p: return std::log1p(a);
    case Ew::log2: return std::log2(a);
    case Ew::log10: return std::log10(a);
    case Ew::sin: return std::sin(a);
    case Ew::cos: return std::cos(a);
    case Ew::tan: return std::tan(a);
    case Ew::asin: return std::asin(a);
    case Ew::acos: return std::acos(a);
    case Ew::atan: return std::atan(a);
    case Ew::sinh: return std::sinh(a);
    case Ew::cosh: return std::cosh(a);
    case Ew::tanh: return std::tanh(a);
    case Ew::asinh: return std::asinh(a);
    case Ew::acosh: return std::acosh(a);
    case Ew::atanh: return std::atanh(a);
    case Ew::erf: return std::erf(a);
    case Ew::erfc: return std::erfc(a);
    case Ew::erfinv: return slow_erfinv(a);
    case Ew::sigmoid: return a < -40 ? std::exp(a) : 1 / (1 + std::exp(-a));
    case Ew::softplus: return a > 40 ? a : std::log1p(std::exp(a));
    case Ew::lgamma: return std::lgamma(a);
    case Ew::digamma: return slow_digamma(a);
    case Ew::floor: return std::floor(a);
    case Ew::ceil: return std::ceil(a);
    case Ew::round: return std::nearbyint(a);
    case Ew::trunc: return std::trunc(a);
    case Ew::add: return a + b;
    case Ew::sub: return a - b;
    case Ew::mul: return a * b;
    case Ew::div: return a / b;
    case Ew::pow: return std::pow(a, b);
    case Ew::maximum: return a != a ? a : b != b ? b : std::max(a, b);
    case Ew::minimum: return a != a ? a : b != b ? b : std::min(a, b);
    case Ew::fmod: return std::fmod(a, b);
    case Ew::mod: { const double m = std::fmod(a, b); return m != 0 && (m < 0) != (b < 0) ? m + b : m; }
    case Ew::floor_div: return std::floor(a / b);
    case Ew::atan2: return std::atan2(a, b);
    default: ADD_FAILURE() << "no reference for " << ir::info(op).name; return 0;
  }
}

/// Integers in 128 bits; the caller wraps.
__int128 int_op(Ew op, __int128 a, __int128 b, int bits, bool is_signed) {
  switch (op) {
    case Ew::neg: return -a;
    case Ew::abs: return a < 0 ? -a : a;
    case Ew::sign: return a > 0 ? 1 : a < 0 ? -1 : 0;
    case Ew::square: return static_cast<__int128>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(a));
    case Ew::floor: case Ew::ceil: case Ew::round: case Ew::trunc: return a;
    case Ew::bitwise_not: return ~a;
    case Ew::add: return a + b;
    case Ew::sub: return a - b;
    case Ew::mul: return static_cast<__int128>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
    case Ew::div: return b == 0 ? -1 : a / b;
    case Ew::fmod: return b == 0 ? 0 : a % b;
    case Ew::mod: { if (b == 0) return 0; const __int128 m = a % b; return m != 0 && (m < 0) != (b < 0) ? m + b : m; }
    case Ew::floor_div: { if (b == 0) return 0; const __int128 q = a / b; return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q; }
    case Ew::pow: {
      if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
      uint64_t r = 1;
      for (__int128 i = 0; i < b; ++i) r *= static_cast<uint64_t>(a);
      return static_cast<int64_t>(r);
    }
    case Ew::maximum: return std::max(a, b);
    case Ew::minimum: return std::min(a, b);
    case Ew::bitwise_and: return a & b;
    case Ew::bitwise_or: return a | b;
    case Ew::bitwise_xor: return a ^ b;
    case Ew::shift_left: return b < 0 || b >= bits ? 0 : static_cast<__int128>(static_cast<uint64_t>(a) << static_cast<int>(b));
    case Ew::shift_right: return b < 0 || b >= bits ? (is_signed && a < 0 ? -1 : 0) : a >> static_cast<int>(b);
    default: ADD_FAILURE() << "no integer reference for " << ir::info(op).name; return 0;
  }
}

// uint64 values live in int64 by their bits.
__int128 wide(DType d, int64_t i) { return d == DType::UInt64 ? static_cast<__int128>(static_cast<uint64_t>(i)) : i; }

Val eval_cast(DType from, DType to, Val v) {
  if (is_floating(from) && is_floating(to)) return rounded(to, v, true);
  if (is_floating(to)) return v.f = static_cast<double>(wide(from, v.i)), rounded(to, v, true);
  if (!is_floating(from)) return rounded(to, v, true);
  Val r;
  if (to == DType::Bool) return r.i = v.f != 0, r;
  visit_dtype(to, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      using L = std::numeric_limits<T>;
      const double x = std::trunc(v.f);
      if (x != x) r.i = 0;
      else if (x <= static_cast<double>(L::min())) r.i = static_cast<int64_t>(L::min());
      else if (x >= std::ldexp(1.0, L::digits)) r.i = static_cast<int64_t>(L::max());
      else r.i = static_cast<int64_t>(static_cast<T>(x));
    }
  });
  return r;
}

Val eval_ew(const TileSpec& spec, const TileSpec::Instr& in, Val a, Val b, Val c) {
  const DType d = register_dtype(spec, in.op == Ew::select ? in.b : in.a);
  Val r;
  const bool fl = is_floating(d);
  const auto truth = [&](Val v) { return fl ? v.f != 0 : v.i != 0; };
  const auto compare = [&] { return fl ? (a.f < b.f ? -1 : a.f > b.f ? 1 : a.f == b.f ? 0 : 2) : wide(d, a.i) < wide(d, b.i) ? -1 : a.i != b.i; };
  switch (in.op) {
    case Ew::copy: return a;
    case Ew::cast: return eval_cast(d, in.dtype, a);
    case Ew::select: return a.i ? b : c;
    case Ew::logical_not: return r.i = !truth(a), r;
    case Ew::isnan: return r.i = fl && a.f != a.f, r;
    case Ew::isinf: return r.i = fl && std::isinf(a.f), r;
    case Ew::isfinite: return r.i = !fl || std::isfinite(a.f), r;
    case Ew::logical_and: return r.i = truth(a) && truth(b), r;
    case Ew::logical_or: return r.i = truth(a) || truth(b), r;
    case Ew::logical_xor: return r.i = truth(a) != truth(b), r;
    case Ew::equal: return r.i = compare() == 0, r;
    case Ew::not_equal: return r.i = compare() != 0, r;
    case Ew::less: return r.i = compare() == -1, r;
    case Ew::less_equal: return r.i = compare() == -1 || compare() == 0, r;
    case Ew::greater: return r.i = compare() == 1, r;
    case Ew::greater_equal: return r.i = compare() == 1 || compare() == 0, r;
    default: break;
  }
  if (fl) {
    if (in.op == Ew::nextafter) r.f = d == DType::Float64 ? std::nextafter(a.f, b.f) : std::nextafterf(static_cast<float>(a.f), static_cast<float>(b.f));
    else r.f = float_op(in.op, a.f, b.f);
    return rounded(d, r, false);
  }
  if (d == DType::Bool) {
    switch (in.op) {
      case Ew::neg: case Ew::abs: case Ew::sign: case Ew::square: case Ew::floor: case Ew::ceil: case Ew::round: case Ew::trunc: return a;
      case Ew::bitwise_not: return r.i = !a.i, r;
      case Ew::add: case Ew::maximum: case Ew::bitwise_or: return r.i = a.i | b.i, r;
      case Ew::mul: case Ew::minimum: case Ew::bitwise_and: return r.i = a.i & b.i, r;
      default: return r.i = a.i ^ b.i, r;
    }
  }
  r.i = static_cast<int64_t>(int_op(in.op, wide(d, a.i), wide(d, b.i), static_cast<int>(dtype_size(d)) * 8, is_signed_integer(d)));
  return rounded(d, r, false);
}

Val reduce_step(Reduce r, DType d, Val acc, Val v) {
  if (is_floating(d)) {
    switch (r) {
      case Reduce::Sum: acc.f += v.f; break;
      case Reduce::Prod: acc.f *= v.f; break;
      case Reduce::Max: acc.f = float_op(Ew::maximum, acc.f, v.f); break;
      case Reduce::Min: acc.f = float_op(Ew::minimum, acc.f, v.f); break;
    }
  } else if (d == DType::Bool) {
    acc.i = r == Reduce::Sum || r == Reduce::Max ? acc.i | v.i : acc.i & v.i;
  } else {
    const __int128 a = wide(d, acc.i), b = wide(d, v.i);
    acc.i = static_cast<int64_t>(r == Reduce::Sum ? a + b : r == Reduce::Prod ? static_cast<__int128>(static_cast<uint64_t>(a)) * static_cast<uint64_t>(b) : r == Reduce::Max ? std::max(a, b) : std::min(a, b));
    acc = rounded(d, acc, false);
  }
  return acc;
}
Val neutral(Reduce r, DType d) {
  Val v;
  if (r == Reduce::Prod) v.f = 1, v.i = 1;
  if (r == Reduce::Max || r == Reduce::Min) {
    v.f = r == Reduce::Max ? -INFINITY : INFINITY;
    visit_dtype(d, [&](auto t) {
      using T = decltype(t);
      if constexpr (std::is_integral_v<T>) v.i = static_cast<int64_t>(r == Reduce::Max ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max());
    });
  }
  return v;
}

struct Reference {
  std::vector<Vals> outputs;
};

Reference interpret(const TileSpec& spec, const std::vector<const void*>& in) {
  int64_t total = 1, row = 1;
  for (size_t i = 0; i < spec.shape.size(); ++i) total *= spec.shape[i], row *= static_cast<int>(spec.shape.size() - i) <= spec.row_rank ? spec.shape[i] : 1;
  std::vector<Vals> regs;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    Vals v(static_cast<size_t>(total));
    for (int64_t e = 0; e < total; ++e) {
      int64_t rest = e, at = 0;
      for (size_t a = spec.shape.size(); a-- > 0;) at += rest % spec.shape[a] * spec.inputs[i].strides[a], rest /= spec.shape[a];
      v[static_cast<size_t>(e)] = load(spec.inputs[i].dtype, in[i], at);
    }
    regs.push_back(std::move(v));
  }
  for (const auto& instr : spec.instrs) {
    Vals v(static_cast<size_t>(total));
    if (instr.kind == Kind::Const) {
      for (Val& x : v) x = rounded(instr.dtype, {instr.value, instr.ivalue}, true);
    } else if (instr.kind == Kind::Ew) {
      for (size_t e = 0; e < v.size(); ++e) {
        const auto at = [&](int r) { return r < 0 ? Val{} : regs[static_cast<size_t>(r)][e]; };
        v[e] = eval_ew(spec, instr, at(instr.a), at(instr.b), at(instr.c));
      }
    } else {
      const DType from = register_dtype(spec, instr.a);
      for (int64_t r = 0; r < (row ? total / row : 0); ++r) {
        Val acc = neutral(instr.reduce, instr.dtype);
        for (int64_t c = 0; c < row; ++c) {
          Val x = regs[static_cast<size_t>(instr.a)][static_cast<size_t>(r * row + c)];
          acc = reduce_step(instr.reduce, instr.dtype, acc, from == instr.dtype ? x : eval_cast(from, instr.dtype, x));
        }
        for (int64_t c = 0; c < row; ++c) v[static_cast<size_t>(r * row + c)] = rounded(instr.dtype, acc, false);
      }
    }
    regs.push_back(std::move(v));
  }
  Reference ref;
  for (size_t o = 0; o < spec.outputs.size(); ++o) {
    const auto& out = spec.outputs[o];
    const DType d = register_dtype(spec, out.reg);
    const Vals& v = regs[static_cast<size_t>(out.reg)];
    Vals r(static_cast<size_t>(output_size(spec, static_cast<int>(o))));
    if (out.column_reduce) {
      std::fill(r.begin(), r.end(), neutral(out.reduce, d));
      for (size_t e = 0; e < v.size(); ++e) r[e % r.size()] = reduce_step(out.reduce, d, r[e % r.size()], v[e]);
    } else {
      const size_t step = r.size() == v.size() ? 1 : static_cast<size_t>(row);
      if (step > 0 && !v.empty()) for (size_t e = 0; e < r.size(); ++e) r[e] = v[e * step];
    }
    for (Val& x : r) x = rounded(d, x, true);
    ref.outputs.push_back(std::move(r));
  }
  return ref;
}

// ---- running ----

class Aligned {
 public:
  explicit Aligned(size_t bytes) : bytes_(bytes), memory_(bytes + 128, 0xA5) {}
  void* get() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory_.data()) + 63) & ~uintptr_t{63}); }
  size_t bytes() const { return bytes_; }
  /// The bytes behind the end that were not written.
  bool intact() {
    const uint8_t* p = static_cast<const uint8_t*>(get());
    for (size_t i = bytes_; i < bytes_ + 32; ++i)
      if (p[i] != 0xA5) return false;
    return true;
  }

 private:
  size_t bytes_;
  Bytes memory_;
};

int64_t input_elements(const TileSpec& spec, size_t i) {
  int64_t last = 0;
  for (size_t a = 0; a < spec.shape.size(); ++a) {
    if (spec.shape[a] == 0) return 1;
    last += (spec.shape[a] - 1) * spec.inputs[i].strides[a];
  }
  return last + 1;
}

std::vector<Bytes> run(const TileSpec& spec, const std::vector<const void*>& in) {
  const auto kernel = make_tile_program(spec);
  std::vector<Aligned> outs;
  for (size_t o = 0; o < spec.outputs.size(); ++o) outs.emplace_back(static_cast<size_t>(output_size(spec, static_cast<int>(o))) * dtype_size(register_dtype(spec, spec.outputs[o].reg)));
  Aligned scratch(kernel->scratch_bytes());
  std::vector<void*> ip, op;
  for (const void* p : in) ip.push_back(const_cast<void*>(p));
  for (Aligned& a : outs) op.push_back(a.get());
  kernel->run(ip.data(), op.data(), scratch.get());
  EXPECT_TRUE(scratch.intact());
  std::vector<Bytes> result;
  for (Aligned& a : outs) {
    EXPECT_TRUE(a.intact());
    const uint8_t* p = static_cast<const uint8_t*>(a.get());
    result.emplace_back(p, p + a.bytes());
  }
  return result;
}

struct Tolerance {
  double ulps = 0, absolute = 0, relative = 0;
};

void compare(const TileSpec& spec, const Reference& ref, const std::vector<Bytes>& got, Tolerance tol, const std::string& name) {
  for (size_t o = 0; o < spec.outputs.size(); ++o) {
    const DType d = register_dtype(spec, spec.outputs[o].reg);
    for (size_t e = 0; e < ref.outputs[o].size(); ++e) {
      const Val want = ref.outputs[o][e], have = load(d, got[o].data(), static_cast<int64_t>(e));
      if (!is_floating(d)) {
        ASSERT_EQ(have.i, want.i) << name << " output " << o << " element " << e;
        continue;
      }
      if (std::isnan(want.f)) {
        ASSERT_TRUE(std::isnan(have.f)) << name << " output " << o << " element " << e << " is " << have.f;
        continue;
      }
      if (have.f == want.f) continue;
      const int digits = d == DType::Float64 ? 53 : d == DType::Float32 ? 24 : d == DType::Float16 ? 11 : 8;
      const int floor = d == DType::Float64 ? -1074 : d == DType::Float32 ? -149 : d == DType::Float16 ? -24 : -133;
      int exponent = 0;
      std::frexp(want.f, &exponent);
      const double ulp = std::ldexp(1.0, std::max(exponent - digits, floor));
      // A value that rounds to infinity may as well be the greatest number.
      const double w = std::isinf(want.f) ? std::copysign(d == DType::Float64 ? 1.797e308 : d == DType::Float16 ? 65504.0 : 3.4028234e38, want.f) : want.f;
      ASSERT_LE(std::abs(have.f - w), std::max({tol.ulps * ulp, tol.absolute, tol.relative * std::abs(w)}))
          << name << " output " << o << " element " << e << ": " << have.f << " instead of " << want.f;
    }
  }
}

class Data {
 public:
  explicit Data(unsigned seed) : rng_(seed) {}
  std::mt19937& rng() { return rng_; }
  int64_t integer(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(rng_); }
  double real(double lo, double hi) { return std::uniform_real_distribution<double>(lo, hi)(rng_); }

  /// `n` values of dtype d; floats in [lo, hi], integers of all sizes or within [lo, hi] when those are given.
  Aligned values(DType d, int64_t n, double lo, double hi) {
    Aligned a(static_cast<size_t>(n) * dtype_size(d));
    visit_dtype(d, [&](auto t) {
      using T = decltype(t);
      T* p = static_cast<T*>(a.get());
      for (int64_t i = 0; i < n; ++i) {
        if constexpr (std::is_same_v<T, bool>) p[i] = integer(0, 1) != 0;
        else if constexpr (std::is_integral_v<T>) p[i] = static_cast<T>(integer(std::max<int64_t>(static_cast<int64_t>(lo), std::is_signed_v<T> ? -100 : 0), static_cast<int64_t>(std::min(hi, 120.0))));
        else p[i] = T(static_cast<float>(real(lo, hi)));
      }
    });
    return a;
  }

 private:
  std::mt19937 rng_;
};

void check(const TileSpec& spec, Data& data, Tolerance tol, const std::string& name, double lo = -2, double hi = 2) {
  std::vector<Aligned> ins;
  std::vector<const void*> in;
  for (size_t i = 0; i < spec.inputs.size(); ++i) ins.push_back(data.values(spec.inputs[i].dtype, input_elements(spec, i), lo, hi));
  for (Aligned& a : ins) in.push_back(a.get());
  const Reference ref = interpret(spec, in);
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = run(spec, in);
  compare(spec, ref, one, tol, name);
  if (::testing::Test::HasFatalFailure()) return set_num_threads(threads);
  set_num_threads(2);
  const auto two = run(spec, in);
  set_num_threads(threads);
  EXPECT_EQ(one, two) << name << ": the number of threads shows";
}

// ---- every operation ----

bool float_only(Ew op) {
  switch (op) {
    case Ew::sqrt: case Ew::rsqrt: case Ew::reciprocal: case Ew::exp: case Ew::expm1: case Ew::log: case Ew::log1p: case Ew::log2: case Ew::log10:
    case Ew::sin: case Ew::cos: case Ew::tan: case Ew::asin: case Ew::acos: case Ew::atan: case Ew::sinh: case Ew::cosh: case Ew::tanh: case Ew::asinh:
    case Ew::acosh: case Ew::atanh: case Ew::erf: case Ew::erfc: case Ew::erfinv: case Ew::sigmoid: case Ew::softplus: case Ew::lgamma: case Ew::digamma:
    case Ew::atan2: case Ew::nextafter: return true;
    default: return false;
  }
}
bool int_only(Ew op) {
  switch (op) {
    case Ew::bitwise_not: case Ew::bitwise_and: case Ew::bitwise_or: case Ew::bitwise_xor: case Ew::shift_left: case Ew::shift_right: return true;
    default: return false;
  }
}
bool not_for_bool(Ew op) {
  switch (op) {
    case Ew::div: case Ew::pow: case Ew::mod: case Ew::fmod: case Ew::floor_div: case Ew::shift_left: case Ew::shift_right: return true;
    default: return false;
  }
}
std::pair<double, double> domain(Ew op) {
  switch (op) {
    case Ew::sqrt: case Ew::rsqrt: case Ew::log: case Ew::log2: case Ew::log10: case Ew::lgamma: case Ew::digamma: return {0.01, 30};
    case Ew::log1p: return {-0.9, 30};
    case Ew::asin: case Ew::acos: case Ew::atanh: case Ew::erfinv: return {-0.99, 0.99};
    case Ew::acosh: return {1.01, 30};
    case Ew::pow: return {0.1, 6};
    case Ew::floor_div: case Ew::mod: case Ew::fmod: return {-50, 50};
    default: return {-8, 8};
  }
}

TEST(TileProgram, EveryOperationAndDtype) {
  Data data(1);
  for (int i = 0; i < static_cast<int>(Ew::count_); ++i) {
    const Ew op = static_cast<Ew>(i);
    if (op == Ew::cast || op == Ew::bitcast) continue;
    for (int t = 0; t < kNumDTypes; ++t) {
      const DType d = static_cast<DType>(t);
      if (is_floating(d) ? int_only(op) : float_only(op)) continue;
      if (d == DType::Bool && not_for_bool(op)) continue;
      if (op == Ew::nextafter && (d == DType::Float16 || d == DType::BFloat16)) continue;
      for (int64_t n : {0, 1, 7, 64, 1000, 5000}) {
        // The slow ones on few elements.
        if (n > 1000 && d != DType::Float32) continue;
        if (n > 64 && (op == Ew::erfinv || op == Ew::digamma)) continue;
        const int arity = ir::info(op).arity;
        for (int scalar = -1; scalar < (n == 64 ? arity : 0); ++scalar) {
          Program p({n});
          int regs[3] = {};
          for (int j = 0; j < arity; ++j) regs[j] = p.input(op == Ew::select && j == 0 ? DType::Bool : d, {j == scalar ? 0 : 1});
          p.out(p.ew(op, regs[0], arity > 1 ? regs[1] : -1, arity > 2 ? regs[2] : -1));
          auto [lo, hi] = domain(op);
          if ((op == Ew::shift_left || op == Ew::shift_right)) lo = 0, hi = 70;
          if (op == Ew::pow && is_integer(d)) lo = is_unsigned(d) ? 0 : -3, hi = 20;
          // A half result is rounded once; near a tie one float32 ulp decides.
          const bool half = d == DType::Float16 || d == DType::BFloat16;
          Tolerance tol{.ulps = d == DType::Float64 ? 8.0 : half ? 1.0 : 6.0};
          if (op == Ew::digamma || op == Ew::lgamma || op == Ew::erfinv) tol.absolute = d == DType::Float64 ? 1e-12 : 1e-6;
          if (op == Ew::mod || op == Ew::fmod) tol.absolute = half ? 0.01 : 1e-4;
          check(p, data, tol, std::string(ir::info(op).name) + " " + dtype_name(d) + " " + std::to_string(n) + " scalar " + std::to_string(scalar), lo, hi);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(TileProgram, SpecialValues) {
  const float inf = INFINITY, nan = NAN;
  std::vector<float> x = {0.f, -0.f, 1.f, -1.f, inf, -inf, nan, 1e-45f, -1e-45f, 1e-38f, -1e-38f, 3e38f, -3e38f, 88.8f, -88.8f, -103.9f, -105.f, 0.5f, -0.5f, 1e-6f, -1e-6f, 20001.f, 1e9f, 4.1f, -10.3f};
  for (Ew op : {Ew::neg, Ew::abs, Ew::sign, Ew::square, Ew::sqrt, Ew::exp, Ew::expm1, Ew::log, Ew::log1p, Ew::log2, Ew::log10, Ew::sin, Ew::cos, Ew::tan, Ew::tanh, Ew::erf, Ew::erfc,
                Ew::sigmoid, Ew::softplus, Ew::floor, Ew::ceil, Ew::round, Ew::trunc, Ew::isnan, Ew::isinf, Ew::isfinite}) {
    Program p({static_cast<int64_t>(x.size())});
    p.out(p.ew(op, p.input()));
    compare(p, interpret(p, {x.data()}), run(p, {x.data()}), {.ulps = 4}, ir::info(op).name);
  }
  std::vector<float> a, b;
  for (float p : x)
    for (float q : x) a.push_back(p), b.push_back(q);
  for (Ew op : {Ew::add, Ew::sub, Ew::mul, Ew::div, Ew::maximum, Ew::minimum, Ew::pow, Ew::equal, Ew::not_equal, Ew::less, Ew::less_equal, Ew::greater, Ew::greater_equal}) {
    Program p({static_cast<int64_t>(a.size())});
    const int u = p.input(), v = p.input();
    p.out(p.ew(op, u, v));
    compare(p, interpret(p, {a.data(), b.data()}), run(p, {a.data(), b.data()}), {.ulps = 1}, ir::info(op).name);
    for (float s : x) {
      Program q({static_cast<int64_t>(x.size())});
      const int c = q.input(), e = q.input(DType::Float32, {0});
      q.out(q.ew(op, c, e));
      q.out(q.ew(op, e, c));
      compare(q, interpret(q, {x.data(), &s}), run(q, {x.data(), &s}), {.ulps = 1}, std::string(ir::info(op).name) + " by " + std::to_string(s));
    }
  }
  for (Reduce r : {Reduce::Max, Reduce::Min, Reduce::Sum}) {
    Program p({4, static_cast<int64_t>(x.size())}, 1);
    p.out(p.reduce(r, p.input(DType::Float32, {0, 1})));
    compare(p, interpret(p, {x.data()}), run(p, {x.data()}), {}, "reduction with NaN");
  }
}

TEST(TileProgram, Casts) {
  Data data(2);
  for (int f = 0; f < kNumDTypes; ++f)
    for (int t = 0; t < kNumDTypes; ++t) {
      Program p({300});
      p.out(p.cast(p.input(static_cast<DType>(f)), static_cast<DType>(t)));
      check(p, data, {.ulps = 0.5}, std::string(dtype_name(static_cast<DType>(f))) + " to " + dtype_name(static_cast<DType>(t)), -90, 90);
    }
  std::vector<float> x = {-1.5f, 300.7f, NAN, 1e20f, -1e20f, 65504.f, 65520.f, 1e-8f, 3.4e38f, 2147483648.f, -2147483648.f};
  for (DType t : {DType::Int8, DType::UInt8, DType::Int32, DType::UInt32, DType::Int64, DType::UInt64, DType::Bool, DType::Float16, DType::BFloat16}) {
    Program p({static_cast<int64_t>(x.size())});
    p.out(p.cast(p.input(), t));
    // What leaves the range of half is infinite: the reference rounds the same way.
    compare(p, interpret(p, {x.data()}), run(p, {x.data()}), {}, std::string("float32 to ") + dtype_name(t));
  }
  // A cast to half rounds at once, and bits are seen as stored.
  Program p({64});
  const int a = p.input();
  p.out(p.cast(p.cast(a, DType::BFloat16), DType::Float32));
  p.out(p.cast(p.cast(a, DType::Float16), DType::Float32));
  check(p, data, {}, "there and back");
  Program q({64});
  const int b = q.input(DType::Float16), c = q.input();
  q.out(q.cast(b, DType::UInt16, Ew::bitcast));
  q.out(q.cast(q.cast(c, DType::Int32, Ew::bitcast), DType::Float32, Ew::bitcast));
  auto half = data.values(DType::Float16, 64, -9, 9), full = data.values(DType::Float32, 64, -9, 9);
  const auto got = run(q, {half.get(), full.get()});
  EXPECT_EQ(std::memcmp(got[0].data(), half.get(), 128), 0);
  EXPECT_EQ(std::memcmp(got[1].data(), full.get(), 256), 0);
}

// ---- composites ----

TEST(TileProgram, KnownChains) {
  Data data(3);
  const auto gelu_tanh_a = [](Program& p, int x) {
    const int cube = p.ew(Ew::mul, p.ew(Ew::mul, x, x), x), w = p.ew(Ew::add, x, p.ew(Ew::mul, p.constant(0.044715), cube));
    const int t = p.ew(Ew::tanh, p.ew(Ew::mul, w, p.constant(0.7978845608)));
    return p.ew(Ew::mul, p.ew(Ew::mul, p.constant(0.5), x), p.ew(Ew::add, p.constant(1), t));
  };
  const auto gelu_tanh_b = [](Program& p, int x) {
    const int w = p.ew(Ew::mul, p.constant(0.044715), p.ew(Ew::pow, x, p.constant(3)));
    const int t = p.ew(Ew::tanh, p.ew(Ew::mul, p.constant(0.7978845608), p.ew(Ew::add, x, w)));
    return p.ew(Ew::mul, x, p.ew(Ew::mul, p.constant(0.5), p.ew(Ew::add, t, p.constant(1))));
  };
  const auto gelu_erf = [](Program& p, int x) {
    const int e = p.ew(Ew::erf, p.ew(Ew::div, x, p.constant(std::sqrt(2.0))));
    return p.ew(Ew::mul, p.ew(Ew::mul, x, p.constant(0.5)), p.ew(Ew::add, e, p.constant(1)));
  };
  const auto gelu_erfc = [](Program& p, int x) {
    const int e = p.ew(Ew::erfc, p.ew(Ew::mul, p.ew(Ew::neg, x), p.constant(std::sqrt(0.5))));
    return p.ew(Ew::mul, p.ew(Ew::mul, p.constant(0.5), x), e);
  };
  const auto silu = [](Program& p, int x) { return p.ew(Ew::mul, x, p.ew(Ew::sigmoid, x)); };
  const auto relu = [](Program& p, int x) { return p.ew(Ew::select, p.ew(Ew::greater, x, p.constant(0)), x, p.constant(0)); };
  for (const std::function<int(Program&, int)>& f : {std::function<int(Program&, int)>(gelu_tanh_a), {gelu_tanh_b}, {gelu_erf}, {gelu_erfc}, {silu}, {relu}}) {
    Program p({777});
    p.out(f(p, p.input()));
    // The chain computed in float32 steps is the less exact one for negative x.
    check(p, data, {.absolute = 4e-7, .relative = 2e-6}, "activation", -7, 7);
    EXPECT_NE(std::string(make_tile_program(p)->describe()).find("1 kernels"), std::string::npos) << make_tile_program(p)->describe();
  }
}

TEST(TileProgram, GradientOfGelu) {
  Data data(4);
  for (bool turned : {false, true}) {
    Program p({777});
    const int g = p.input(), x = p.input(), u = p.ew(Ew::mul, x, p.constant(std::sqrt(0.5)));
    const int gate = p.ew(Ew::add, p.ew(Ew::erf, u), p.constant(1)), half = p.ew(Ew::mul, x, p.constant(0.5));
    const int slope = p.ew(Ew::mul, p.ew(Ew::mul, g, gate), p.constant(0.5));
    const int bell = p.ew(Ew::mul, p.ew(Ew::exp, p.ew(Ew::neg, p.ew(Ew::square, u))), p.constant(1.1283791670955126));
    const int second = p.ew(Ew::mul, p.ew(Ew::mul, p.ew(Ew::mul, g, half), bell), p.constant(std::sqrt(0.5)));
    p.out(turned ? p.ew(Ew::add, second, slope) : p.ew(Ew::add, slope, second));
    check(p, data, {.absolute = 2e-6, .relative = 2e-6}, "gradient of gelu", -7, 7);
    EXPECT_NE(std::string(make_tile_program(p)->describe()).find("1 kernels"), std::string::npos) << make_tile_program(p)->describe();
  }
}

int softmax(Program& p, int x) {
  const int e = p.ew(Ew::exp, p.ew(Ew::sub, x, p.reduce(Reduce::Max, x)));
  return p.ew(Ew::div, e, p.reduce(Reduce::Sum, e));
}
void layer_norm(Program& p, int x, int gamma, int beta, int64_t n) {
  const int mean = p.ew(Ew::mul, p.reduce(Reduce::Sum, x), p.constant(1.0 / static_cast<double>(n)));
  const int d = p.ew(Ew::sub, x, mean);
  const int var = p.ew(Ew::mul, p.reduce(Reduce::Sum, p.ew(Ew::square, d)), p.constant(1.0 / static_cast<double>(n)));
  const int r = p.ew(Ew::rsqrt, p.ew(Ew::add, var, p.constant(1e-3)));
  p.out(p.ew(Ew::add, p.ew(Ew::mul, p.ew(Ew::mul, d, r), gamma), beta));
  p.out(mean);
  p.out(r);
}

TEST(TileProgram, SoftmaxAndLayerNorm) {
  Data data(4);
  for (auto [n, c] : std::vector<std::pair<int64_t, int64_t>>{{5, 7}, {1, 10}, {300, 10}, {33, 64}, {64, 1000}, {9, 3000}, {2, 9000}, {3, 40000}, {9, 33000}}) {
    Program p({n, c}, 1);
    p.out(softmax(p, p.input()));
    check(p, data, {.relative = 3e-6, }, "softmax " + std::to_string(n) + " x " + std::to_string(c), -8, 8);
    Program q({n, c}, 1);
    const int x = q.input(), gamma = q.input(DType::Float32, {0, 1}), beta = q.input(DType::Float32, {0, 1});
    layer_norm(q, x, gamma, beta, c);
    check(q, data, {.absolute = 1e-5, .relative = 1e-5}, "layer norm " + std::to_string(n) + " x " + std::to_string(c));
    Program h({n, c}, 1);
    h.out(h.cast(softmax(h, h.cast(h.input(DType::BFloat16), DType::Float32)), DType::BFloat16));
    check(h, data, {.ulps = 1}, "bfloat16 softmax");
  }
}

TEST(TileProgram, BatchStatisticsAndBiasGradients) {
  Data data(5);
  for (auto [n, c] : std::vector<std::pair<int64_t, int64_t>>{{1, 5}, {1000, 1}, {4000, 3}, {513, 10}, {2000, 16}, {900, 17}, {700, 64}, {50, 1000}, {300, 5000}, {40, 20000}, {0, 4}}) {
    Program p({n, c}, 1);
    const int x = p.input(), mean = p.input(DType::Float32, {0, 1}), d = p.ew(Ew::sub, x, mean);
    p.column(x);
    p.column(p.ew(Ew::square, x));
    p.column(p.ew(Ew::mul, d, d));
    p.column(x, Reduce::Max);
    p.column(p.ew(Ew::mul, x, mean));
    p.column(p.ew(Ew::mul, p.ew(Ew::tanh, x), d));
    p.column(d);
    check(p, data, {.absolute = 1e-4, .relative = 2e-6}, "columns " + std::to_string(n) + " x " + std::to_string(c));
  }
  // Together with row reductions, as in the gradient of layer normalisation; also rows longer than a tile.
  for (auto [n, c] : std::vector<std::pair<int64_t, int64_t>>{{300, 40}, {20, 1500}, {300, 9000}, {5, 33000}}) {
    Program p({n, c}, 1);
    const int x = p.input(), dy = p.input(), m = p.reduce(Reduce::Sum, p.ew(Ew::mul, x, dy));
    const int s = p.ew(Ew::mul, m, p.constant(1.0 / static_cast<double>(c)));
    p.out(p.ew(Ew::sub, dy, p.ew(Ew::mul, x, s)));
    p.column(p.ew(Ew::mul, dy, x));
    p.column(dy);
    p.column(m);
    p.out(m);
    check(p, data, {.absolute = 1e-3, .relative = 1e-5}, "rows and columns " + std::to_string(n) + " x " + std::to_string(c));
  }
  Program half({500, 20}, 1);
  half.column(half.input(DType::Float16));
  check(half, data, {.ulps = 1}, "half columns");
}

TEST(TileProgram, LossesAreExactAndParallel) {
  Data data(6);
  const int64_t n = 1000000;
  auto x = data.values(DType::Float32, n, 0, 1), y = data.values(DType::Float32, n, 0, 1);
  const float *a = static_cast<const float*>(x.get()), *b = static_cast<const float*>(y.get());
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i], squares += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  Program p({1000, 1000}, 2);
  const int u = p.input(), v = p.input();
  p.out(p.reduce(Reduce::Sum, u));
  p.out(p.ew(Ew::mul, p.reduce(Reduce::Sum, p.ew(Ew::square, p.ew(Ew::sub, u, v))), p.constant(1e-6)));
  std::vector<Bytes> bits;
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto got = run(p, {x.get(), y.get()});
    EXPECT_NEAR(load(DType::Float32, got[0].data(), 0).f, sum, sum * 3e-7);
    EXPECT_NEAR(load(DType::Float32, got[1].data(), 0).f, squares * 1e-6, squares * 1e-6 * 3e-7);
    bits.push_back(got[0]);
  }
  set_num_threads(2);
  EXPECT_EQ(bits[0], bits[1]);
  EXPECT_EQ(bits[0], bits[2]);
  // One row that a tile holds, and columns of a million rows.
  Program c({n / 4, 4}, 1);
  c.column(c.input());
  const auto got = run(c, {x.get()});
  for (int j = 0; j < 4; ++j) {
    double want = 0;
    for (int64_t i = j; i < n; i += 4) want += a[i];
    EXPECT_NEAR(load(DType::Float32, got[0].data(), j).f, want, want * 1e-6);
  }
}

// ---- memory ----

TEST(TileProgram, OutputsMayBeInputs) {
  Data data(7);
  const int64_t n = 10007;
  const auto in_place = [&](Program& p, const std::vector<int>& target, const std::string& name) {
    std::vector<Aligned> ins;
    for (size_t i = 0; i < p.inputs.size(); ++i) ins.push_back(data.values(p.inputs[i].dtype, input_elements(p, i), 0.1, 2));
    std::vector<const void*> ip;
    std::vector<void*> in, out;
    for (Aligned& a : ins) ip.push_back(a.get()), in.push_back(a.get());
    const auto want = run(p, ip);
    for (int t : target) out.push_back(ins[static_cast<size_t>(t)].get());
    const auto kernel = make_tile_program(p);
    Aligned scratch(kernel->scratch_bytes());
    kernel->run(in.data(), out.data(), scratch.get());
    for (size_t o = 0; o < out.size(); ++o) EXPECT_EQ(std::memcmp(out[o], want[o].data(), want[o].size()), 0) << name << " output " << o;
  };
  {
    Program p({n});
    const int a = p.input(), b = p.input();
    p.out(p.ew(Ew::add, a, b));
    p.out(p.ew(Ew::mul, a, b));
    in_place(p, {0, 1}, "both inputs overwritten");
    in_place(p, {1, 0}, "crosswise");
  }
  {
    Program p({n});  // swap
    const int a = p.input(), b = p.input();
    p.out(b);
    p.out(a);
    in_place(p, {0, 1}, "swap");
  }
  {
    Program p({n});  // Adam
    const int w = p.input(), g = p.input(), m = p.input(), v = p.input(), rate = p.input(DType::Float32, {0});
    const int m2 = p.ew(Ew::add, m, p.ew(Ew::mul, p.ew(Ew::sub, g, m), p.constant(0.1)));
    const int v2 = p.ew(Ew::add, v, p.ew(Ew::mul, p.ew(Ew::sub, p.ew(Ew::square, g), v), p.constant(0.001)));
    p.out(m2);
    p.out(v2);
    p.out(p.ew(Ew::sub, w, p.ew(Ew::div, p.ew(Ew::mul, m2, rate), p.ew(Ew::add, p.ew(Ew::sqrt, v2), p.constant(1e-7)))));
    in_place(p, {2, 3, 0}, "Adam");
    check(p, data, {.absolute = 1e-6, .relative = 1e-5}, "Adam", 0.1, 2);
    EXPECT_NE(std::string(make_tile_program(p)->describe()).find("3 kernels"), std::string::npos) << make_tile_program(p)->describe();
  }
  for (int64_t c : {100, 10000}) {
    Program p({40, c}, 1);
    p.out(softmax(p, p.input()));
    in_place(p, {0}, "softmax");
    Program q({40, c}, 1);
    const int x = q.input(), s = q.reduce(Reduce::Sum, x);
    q.out(q.ew(Ew::add, x, s));
    q.out(q.ew(Ew::add, q.ew(Ew::mul, x, x), s));
    const int unused = q.input();
    (void)unused;
  }
  {
    Program p({40, 100}, 1);  // row scalars updated in place
    const int x = p.input(), r = p.input(DType::Float32, {1, 0});
    p.out(p.ew(Ew::add, r, p.reduce(Reduce::Sum, x)));
    p.out(p.ew(Ew::mul, x, r));
    in_place(p, {1, 0}, "row scalar");
  }
  {
    Program p({});
    const int a = p.input(DType::Int64);
    p.out(p.ew(Ew::add, a, p.constant(1, DType::Int64)));
    in_place(p, {0}, "counter");
  }
}

TEST(TileProgram, EmptyRowsAndColumns) {
  const float x = 0;
  const float y[3] = {};
  Program r({3, 0}, 1);
  const int c = r.input(), one = r.input(DType::Float32, {1, 0});
  r.out(r.reduce(Reduce::Sum, c));
  r.out(r.reduce(Reduce::Max, c));
  r.out(r.ew(Ew::add, r.reduce(Reduce::Prod, c), one));
  r.out(c);
  r.column(c);
  const auto got = run(r, {&x, y});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(load(DType::Float32, got[0].data(), i).f, 0);
    EXPECT_EQ(load(DType::Float32, got[1].data(), i).f, -INFINITY);
    EXPECT_EQ(load(DType::Float32, got[2].data(), i).f, 1);
  }
  Program s({0, 3}, 1);
  const int e = s.input(), f = s.input(DType::Float32, {0, 1});
  s.column(e);
  s.column(e, Reduce::Min);
  s.out(s.reduce(Reduce::Sum, e));
  s.out(s.ew(Ew::add, e, f));
  const auto cols = run(s, {&x, y});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(load(DType::Float32, cols[0].data(), i).f, 0);
    EXPECT_EQ(load(DType::Float32, cols[1].data(), i).f, INFINITY);
  }
}

// Parts of larger buffers, read and written where they lie, against the same program on dense copies.
TEST(TileProgram, PartsOfBuffers) {
  struct Case {
    std::vector<int64_t> shape;
    int axis, row_rank;
  };
  for (const Case& c : {Case{{9, 40}, 1, 0}, Case{{9, 40}, 1, 1}, Case{{3, 2100}, 1, 0}, Case{{70, 130}, 1, 1}, Case{{4, 6, 48}, 2, 0}, Case{{4, 6, 48}, 1, 0},
                        Case{{4, 6, 48}, 2, 1}, Case{{4, 6, 48}, 1, 2}, Case{{5, 1, 33}, 2, 0}, Case{{1, 128}, 1, 0}, Case{{2, 3, 4, 20}, 3, 0}, Case{{2, 20000}, 1, 1}})
    for (int threads : {1, 2}) {
      set_num_threads(threads);
      constexpr int64_t kParts = 3;
      const size_t axis = static_cast<size_t>(c.axis);
      std::vector<int64_t> wide = c.shape;
      wide[axis] *= kParts;
      const std::vector<int64_t> memory = dense_strides(wide), dense = dense_strides(c.shape);
      int64_t n = 1, w = 1;
      for (int64_t d : c.shape) n *= d;
      for (int64_t d : wide) w *= d;
      std::vector<float> parent(static_cast<size_t>(w)), other(static_cast<size_t>(n));
      for (size_t i = 0; i < parent.size(); ++i) parent[i] = std::sin(static_cast<float>(i) * 0.7f);
      for (size_t i = 0; i < other.size(); ++i) other[i] = std::cos(static_cast<float>(i) * 0.3f);
      const auto flat = [&](int64_t i, int64_t part) {  // where element i of a part lies in the larger buffer
        int64_t at = part * c.shape[axis] * memory[axis];
        for (size_t d = 0; d < c.shape.size(); ++d) at += i / dense[d] % c.shape[d] * memory[d];
        return static_cast<size_t>(at);
      };
      std::vector<std::vector<float>> copies(kParts, std::vector<float>(static_cast<size_t>(n)));
      for (int64_t p = 0; p < kParts; ++p)
        for (int64_t i = 0; i < n; ++i) copies[static_cast<size_t>(p)][static_cast<size_t>(i)] = parent[flat(i, p)];
      const auto program = [&](bool parts) {
        Program q(c.shape, c.row_rank);
        for (int64_t p = 0; p < kParts; ++p) {
          if (parts) q.inputs.push_back({.dtype = DType::Float32, .strides = memory, .buffer = 0, .offset = p * c.shape[axis] * memory[axis]});
          else q.input();
        }
        q.input();
        if (parts) q.inputs.back().buffer = 1;
        int a = q.ew(Ew::sigmoid, 0), b = q.ew(Ew::add, q.ew(Ew::mul, a, 1), 3), d = q.ew(Ew::sub, q.ew(Ew::tanh, 2), q.ew(Ew::mul, b, 2));
        if (c.row_rank) d = q.ew(Ew::mul, d, q.reduce(Reduce::Sum, b));
        for (int r : {d, a, b}) q.out(r);
        q.out(q.ew(Ew::add, d, a));
        if (parts) {
          for (int64_t p = 0; p < kParts; ++p) {
            auto& o = q.outputs[static_cast<size_t>(p)];
            o.strides = memory, o.buffer = 0, o.offset = p * c.shape[axis] * memory[axis];
          }
          q.outputs.back().buffer = 1;
        }
        return make_tile_program(q);
      };
      const auto run = [](const engine::Kernel& k, std::vector<void*> in, std::vector<void*> out) {
        std::unique_ptr<void, decltype(&std::free)> scratch(std::aligned_alloc(64, (k.scratch_bytes() + 127) / 64 * 64), &std::free);
        k.run(in.data(), out.data(), scratch.get());
      };
      std::vector<std::vector<float>> want(4, std::vector<float>(static_cast<size_t>(n)));
      run(*program(false), {copies[0].data(), copies[1].data(), copies[2].data(), other.data()}, {want[0].data(), want[1].data(), want[2].data(), want[3].data()});
      std::vector<float> got(static_cast<size_t>(w)), last(static_cast<size_t>(n));
      run(*program(true), {parent.data(), other.data()}, {got.data(), last.data()});
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t p = 0; p < kParts; ++p) ASSERT_EQ(got[flat(i, p)], want[static_cast<size_t>(p)][static_cast<size_t>(i)]) << i << " of part " << p;
        ASSERT_EQ(last[static_cast<size_t>(i)], want[3][static_cast<size_t>(i)]);
      }
    }
  set_num_threads(1);
}

TEST(TileProgram, UserErrors) {
  Program p({4});
  const int a = p.input(), b = p.input(DType::Int32);
  p.ew(Ew::add, a, b);
  EXPECT_THROW(make_tile_program(p), ValueError);
  Program q({4});
  q.out(q.ew(Ew::exp, q.input(DType::Int32)));
  EXPECT_THROW(make_tile_program(q), ValueError);
  Program r({4});
  r.out(r.ew(Ew::neg, r.input()) + 1);
  EXPECT_THROW(make_tile_program(r), ValueError);
  Program s({4, 4});
  s.inputs.push_back({DType::Float32, {1}});
  EXPECT_THROW(make_tile_program(s), ValueError);
}

// ---- random programs ----

void random_program(Data& data, bool integers, const std::string& name) {
  const auto pick = [&](int64_t n) { return data.integer(0, n - 1); };
  const int rank = static_cast<int>(pick(5));
  std::vector<int64_t> shape;
  int64_t total = 1;
  for (int i = 0; i < rank; ++i) {
    static const int64_t kSizes[] = {1, 2, 3, 5, 8, 17, 40, 100, 700, 3000};
    int64_t n = kSizes[pick(10)];
    if (pick(60) == 0) n = 0;
    if (total * n > 40000) n = 2;
    shape.push_back(n), total *= n;
  }
  Program p(shape, static_cast<int>(pick(rank + 1)));
  const DType d = integers ? DType::Int32 : pick(6) == 0 ? DType::Float64 : DType::Float32;
  std::vector<int> regs;
  const int64_t inputs = 1 + pick(4);
  for (int64_t i = 0; i < inputs; ++i) {
    // Some axes broadcast, the others dense in some order.
    std::vector<int64_t> strides(shape.size(), 0);
    std::vector<size_t> axes(shape.size());
    for (size_t a = 0; a < axes.size(); ++a) axes[a] = a;
    if (pick(4) == 0) std::shuffle(axes.begin(), axes.end(), data.rng());
    int64_t unit = pick(8) == 0 ? 2 : 1;
    const bool broadcast = pick(2) == 0;
    const bool rows_only = broadcast && pick(3) == 0;
    for (size_t a = axes.size(); a-- > 0;) {
      const bool row_axis = static_cast<int>(shape.size() - axes[a]) <= p.row_rank;
      if (rows_only ? row_axis : broadcast && pick(2) == 0) continue;
      strides[axes[a]] = unit;
      unit *= std::max<int64_t>(shape[axes[a]], 1);
    }
    int r = p.input(d, strides);
    regs.push_back(r);
  }
  // Inputs come before instructions, so half and boolean inputs are made here and cast below.
  const int half = !integers && pick(4) == 0 ? p.input(DType::BFloat16) : -1;
  const int mask = pick(3) == 0 ? p.input(DType::Bool) : -1;
  if (half >= 0) regs.push_back(d == DType::Float64 ? p.cast(half, d) : p.cast(half, DType::Float32));
  const int c = p.constant(3, d);
  regs.push_back(c);
  const auto any = [&] { return regs[static_cast<size_t>(pick(static_cast<int64_t>(regs.size())))]; };
  const int64_t count = 1 + pick(9);
  for (int64_t i = 0; i < count; ++i) {
    static const Ew kBinary[] = {Ew::add, Ew::sub, Ew::mul, Ew::maximum, Ew::minimum};
    static const Ew kUnaryFloat[] = {Ew::tanh, Ew::sigmoid, Ew::neg, Ew::abs, Ew::erf, Ew::sin, Ew::softplus};
    static const Ew kUnaryInt[] = {Ew::neg, Ew::abs, Ew::square, Ew::sign};
    switch (pick(integers ? 8 : 10)) {
      case 0: regs.push_back(integers ? p.ew(kUnaryInt[pick(4)], any()) : p.ew(kUnaryFloat[pick(7)], any())); break;
      case 1:
        if (p.row_rank > 0) {
          // Bounded again right away, so that sums of sums stay small.
          const int s = p.reduce(static_cast<Reduce>(pick(3)), any());
          if (pick(3) == 0) p.out(s);
          regs.push_back(integers ? s : p.ew(Ew::tanh, p.ew(Ew::mul, s, p.constant(0.01, d))));
        }
        break;
      case 2: regs.push_back(p.ew(Ew::select, mask >= 0 && pick(2) ? mask : p.ew(static_cast<Ew>(static_cast<int>(Ew::equal) + pick(6)), any(), c), any(), any())); break;
      case 8: regs.push_back(p.ew(Ew::div, any(), p.ew(Ew::add, p.ew(Ew::abs, any()), p.constant(1, d)))); break;
      case 9: regs.push_back(p.ew(Ew::exp, p.ew(Ew::neg, p.ew(Ew::abs, any())))); break;
      default: {
        int r = p.ew(kBinary[pick(5)], any(), any());
        if (!integers && pick(2) == 0) r = p.ew(Ew::tanh, r);
        regs.push_back(r);
      }
    }
  }
  const int64_t outs = 1 + pick(3);
  for (int64_t i = 0; i < outs; ++i) {
    const int r = any();
    if (p.row_rank < rank && pick(4) == 0) p.column(r, static_cast<Reduce>(pick(3)));
    else {
      p.out(r);
      p.outputs.back().broadcast_row = pick(4) == 0;
    }
  }
  // Comparisons with rounded values may go either way: programs whose reference is not smooth use integers.
  bool compares = false;
  for (const auto& i : p.instrs) compares |= i.kind == Kind::Ew && ir::info(i.op).result == ir::EwResult::Bool;
  if (compares && !integers) return;
  const double scale = d == DType::Float64 ? 1e-9 : 2e-4;
  // The interpreter has no value for empty rows; there is a test of its own for those.
  if (total == 0 && p.row_rank > 0) return;
  check(p, data, {.absolute = scale * 3, .relative = scale}, name, integers ? -50 : -1.5, integers ? 50 : 1.5);
}

TEST(TileProgram, RandomPrograms) {
  for (unsigned seed = 0; seed < 600; ++seed) {
    Data data(1000 + seed);
    random_program(data, seed % 2 == 0, "seed " + std::to_string(seed));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace keras::cpu
