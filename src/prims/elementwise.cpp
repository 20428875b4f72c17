// What lives here: the elementwise primitives, made from the table of ir/elementwise.h, and their gradient rules.
#include <cmath>
#include <numbers>

#include "cpu/tile_program.h"
#include "prims/build.h"

namespace keras::prims {

using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

template <Ew op> std::vector<Type> infer(TypeSpan in, const Attrs& attrs) {
  constexpr auto row = ir::info(op);
  if (static_cast<int>(in.size()) != row.arity) throw RuntimeError(std::string("'") + row.name + "' takes " + std::to_string(row.arity) + " operands");
  Shape shape = in[0].shape;
  for (size_t i = 1; i < in.size(); ++i) shape = broadcast_shapes(shape, in[i].shape);
  for (size_t i = op == Ew::select ? 2 : 1; i < in.size(); ++i)
    if (in[i].dtype != in[i - 1].dtype)
      throw TypeError(std::string("'") + row.name + "' got " + in[i - 1].str() + " and " + in[i].str() + "; cast them to one dtype first");
  DType dtype = in.back().dtype;
  if (row.result == ir::EwResult::Bool) dtype = DType::Bool;
  if (row.result == ir::EwResult::Cast) dtype = attrs.dtype("to");
  return {{dtype, shape}};
}

template <Ew op> std::vector<ValueId> vjp(const VjpRequest& request) {
  Rule r{request};
  std::vector<ValueId> result(request.inputs.size(), -1);
  auto x = r.in(0);
  auto give = [&](size_t i, V g) {
    if (r.wants(i)) result[i] = unbroadcast(g, r.in(i).shape()).id;
  };
  auto c = [&] { return r.ct(); };
  auto k = [&](double v) { return scalar(c(), v); };
  auto times = [&](V d) { give(0, mul(c(), d)); };
  auto un = [&](Ew e, V a) { return ew(e, a); };
  using enum Ew;
  if constexpr (op == copy) give(0, c());
  else if constexpr (op == cast) { if (is_floating(x.dtype()) && is_floating(r.out().dtype())) give(0, prims::cast(c(), x.dtype())); }
  else if constexpr (op == neg) give(0, prims::neg(c()));
  else if constexpr (op == abs) {
    // At 0 the slope is 1, as JAX has it: a loss of absolute errors has a gradient also where it is 0.
    V negated = prims::neg(c());
    give(0, prims::select(ew(greater_equal, x, k(0)), c(), negated));
  }
  else if constexpr (op == square) times(prims::mul(x, 2.0));
  else if constexpr (op == sqrt) give(0, prims::div(prims::mul(c(), 0.5), r.out()));
  else if constexpr (op == rsqrt) times(prims::mul(prims::div(r.out(), x), -0.5));
  else if constexpr (op == reciprocal) times(prims::neg(un(square, r.out())));
  else if constexpr (op == exp) times(r.out());
  else if constexpr (op == expm1) times(prims::add(r.out(), 1.0));
  else if constexpr (op == log) give(0, prims::div(c(), x));
  else if constexpr (op == log1p) give(0, prims::div(c(), prims::add(x, 1.0)));
  else if constexpr (op == log2) give(0, prims::div(prims::mul(c(), 1.0 / std::numbers::ln2), x));
  else if constexpr (op == log10) give(0, prims::div(prims::mul(c(), 1.0 / std::numbers::ln10), x));
  else if constexpr (op == sin) times(un(cos, x));
  else if constexpr (op == cos) times(prims::neg(un(sin, x)));
  else if constexpr (op == tan) times(prims::add(un(square, r.out()), 1.0));
  else if constexpr (op == asin) times(un(rsqrt, prims::sub(k(1), un(square, x))));
  else if constexpr (op == acos) times(prims::neg(un(rsqrt, prims::sub(k(1), un(square, x)))));
  else if constexpr (op == atan) give(0, prims::div(c(), prims::add(un(square, x), 1.0)));
  else if constexpr (op == sinh) times(un(cosh, x));
  else if constexpr (op == cosh) times(un(sinh, x));
  else if constexpr (op == tanh) times(prims::sub(k(1), un(square, r.out())));
  else if constexpr (op == asinh) times(un(rsqrt, prims::add(un(square, x), 1.0)));
  else if constexpr (op == acosh) times(un(rsqrt, prims::add(un(square, x), -1.0)));
  else if constexpr (op == atanh) give(0, prims::div(c(), prims::sub(k(1), un(square, x))));
  else if constexpr (op == erf) times(prims::mul(un(exp, prims::neg(un(square, x))), 2.0 / std::sqrt(std::numbers::pi)));
  else if constexpr (op == erfc) times(prims::mul(un(exp, prims::neg(un(square, x))), -2.0 / std::sqrt(std::numbers::pi)));
  else if constexpr (op == erfinv) times(prims::mul(un(exp, un(square, r.out())), std::sqrt(std::numbers::pi) / 2.0));
  else if constexpr (op == sigmoid) times(prims::mul(r.out(), prims::sub(k(1), r.out())));
  else if constexpr (op == softplus) times(un(sigmoid, x));
  else if constexpr (op == lgamma) times(un(digamma, x));
  else if constexpr (op == add) { give(0, c()); give(1, c()); }
  else if constexpr (op == sub) { give(0, c()); if (r.wants(1)) give(1, prims::neg(c())); }
  else if constexpr (op == mul) {
    if (r.wants(0)) give(0, prims::mul(c(), r.in(1)));
    if (r.wants(1)) give(1, prims::mul(c(), x));
  } else if constexpr (op == div) {
    if (r.wants(0)) give(0, prims::div(c(), r.in(1)));
    if (r.wants(1)) give(1, prims::neg(prims::mul(c(), prims::div(r.out(), r.in(1)))));
  } else if constexpr (op == pow) {
    V y = r.in(1);
    // At y = 0 the first factor is 0 even where x is 0; the logarithm is taken as 0 there, as Keras' backends do.
    if (r.wants(0)) {
      V one = k(1), zero = k(0);
      V p = ew(pow, x, prims::select(ew(equal, y, zero), one, prims::sub(y, one)));
      give(0, prims::mul(c(), prims::mul(y, p)));
    }
    if (r.wants(1)) {
      V safe = prims::select(ew(equal, x, k(0)), prims::broadcast_to(k(1), x.shape()), x);
      give(1, prims::mul(c(), prims::mul(un(log, safe), r.out())));
    }
  } else if constexpr (op == maximum || op == minimum) {
    // Ties share the gradient, except where the second operand is a constant 0: that is how relu is written, whose kink has gradient 0 in
    // Keras. A maximum with 0 that is no relu has its 0 in front (ops::maximum).
    V y = r.in(1);
    constexpr Ew strict = op == maximum ? greater : less;
    const ir::Literal* l = r.r.graph.literal(r.r.inputs[1]);
    double v = 1;
    V zero = k(0);
    if (op == maximum && l && l->uniform(&v) && v == 0) {
      if (r.wants(0)) give(0, prims::select(ew(strict, x, y), c(), zero));
      if (r.wants(1)) give(1, prims::select(ew(strict, y, x), c(), zero));
    } else {
      V half = prims::mul(prims::select(ew(equal, x, y), c(), zero), 0.5);
      if (r.wants(0)) give(0, prims::add(prims::select(ew(strict, x, y), c(), zero), half));
      if (r.wants(1)) give(1, prims::add(prims::select(ew(strict, y, x), c(), zero), half));
    }
  } else if constexpr (op == mod || op == fmod) {
    give(0, c());
    if (r.wants(1)) {
      V q = op == mod ? un(floor, prims::div(x, r.in(1))) : un(trunc, prims::div(x, r.in(1)));
      give(1, prims::neg(prims::mul(c(), q)));
    }
  } else if constexpr (op == atan2) {
    V y = r.in(1), d = prims::add(un(square, x), un(square, y));
    if (r.wants(0)) give(0, prims::mul(c(), prims::div(y, d)));
    if (r.wants(1)) give(1, prims::neg(prims::mul(c(), prims::div(x, d))));
  } else if constexpr (op == select) {
    V zero = k(0);
    if (r.wants(1)) give(1, prims::select(x, c(), zero));
    if (r.wants(2)) give(2, prims::select(x, zero, c()));
  }
  return result;
}

/// One node on its own is a tile program of one instruction.
static engine::KernelPtr ew_kernel(const ir::KernelRequest& r) {
  cpu::TileSpec spec;
  spec.shape = r.out().shape.dims();
  size_t rank = spec.shape.size();
  cpu::TileSpec::Instr instr{};
  instr.kind = cpu::TileSpec::Kind::Ew;
  instr.op = r.node.prim->ew;
  instr.dtype = r.out().dtype;
  int* operand[] = {&instr.a, &instr.b, &instr.c};
  for (size_t i = 0; i < r.num_inputs(); ++i) {
    const Shape& s = r.in(i).shape;
    Ints strides(rank, 0);
    int64_t stride = 1;
    for (int d = s.rank() - 1; d >= 0; --d) {
      if (s[d] != 1) strides[rank - static_cast<size_t>(s.rank() - d)] = stride;
      stride *= s[d];
    }
    spec.inputs.push_back({r.in(i).dtype, strides});
    *operand[i] = static_cast<int>(i);
  }
  spec.instrs.push_back(instr);
  spec.outputs.push_back({static_cast<int>(r.num_inputs())});
  return cpu::make_tile_program(spec);
}

template <Ew op> constexpr bool has_vjp() {
  using enum Ew;
  switch (op) {
    case sign: case floor: case ceil: case round: case trunc: case bitwise_not: case logical_not: case isnan: case isinf: case isfinite:
    case floor_div: case nextafter: case bitwise_and: case bitwise_or: case bitwise_xor: case shift_left: case shift_right: case logical_and:
    case logical_or: case logical_xor: case equal: case not_equal: case less: case less_equal: case greater: case greater_equal: case bitcast:
    case digamma: return false;
    default: return true;
  }
}

#define X(n, arity, result) \
  const Primitive ew_##n##_prim{.name = #n, .infer = infer<Ew::n>, .vjp = has_vjp<Ew::n>() ? vjp<Ew::n> : nullptr, .cpu = ew_kernel, .ew = Ew::n, .flat = !has_vjp<Ew::n>() && Ew::n != Ew::digamma};
KERAS_ELEMENTWISE(X)
#undef X
const Primitive* const kEwPrims[] = {
#define X(n, arity, result) &ew_##n##_prim,
    KERAS_ELEMENTWISE(X)
#undef X
};

}  // namespace keras::prims
