// What lives here: tests of traces, compiled functions, gradients, tapes and loops.
#include <gtest/gtest.h>

#include <cmath>

#include "core/impl.h"
#include "prims/build.h"

namespace keras {
namespace {

using prims::Ints;

Tensor iota(const Shape& shape, double scale = 1, double from = 0) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(from + scale * static_cast<double>(i));
  return Tensor::from(v, shape);
}

TEST(Eager, DotAndBias) {
  Tensor x = {{1.0, 2.0}, {3.0, 4.0}}, w = {{1.0, 0.0, 2.0}, {0.0, 1.0, 3.0}}, b = {10.0, 20.0, 30.0};
  Tensor y = prims::add(prims::dot(x, w, {1}, {0}), b);
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{11, 22, 38, 13, 24, 48}));
}

TEST(FunctionTest, EqualsEagerAndUpdatesVariables) {
  Variable count(Tensor::full({}, 0), {.name = "count"});
  auto body = [&](const Tensors& in) -> Tensors {
    count.assign_add(Tensor::full({}, 1));
    Tensor h = prims::ew(ir::Ew::maximum, prims::add(prims::dot(in[0], in[1], {1}, {0}), in[2]), Tensor::full({}, 0));
    Tensor e = prims::ew(ir::Ew::exp, prims::sub(h, prims::reduce(prims::reduce_max_prim, h, {1}, true)));
    return {prims::div(e, prims::reduce_sum(e, {1}, true))};
  };
  Tensor x = iota({4, 3}, 0.1), w = iota({3, 5}, 0.2, -1), b = iota({5}, 0.3);
  Function f(body);
  Tensor traced = f({x, w, b})[0];
  EXPECT_EQ(count.value().item(), 1);
  f({x, w, b});
  EXPECT_EQ(count.value().item(), 2);
  Tensor eager = body({x, w, b})[0];
  EXPECT_EQ(count.value().item(), 3);
  auto p = traced.to_vector<double>(), q = eager.to_vector<double>();
  for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 1e-6);
}

TEST(FunctionTest, OneDotOneClusterInTheIr) {
  auto body = [&](const Tensors& in) -> Tensors {
    Tensor h = prims::ew(ir::Ew::maximum, prims::add(prims::dot(in[0], in[1], {1}, {0}), in[2]), Tensor::full({}, 0));
    return {prims::mul(prims::add(h, 1.0), h)};
  };
  std::string ir = Function(body).ir({iota({4, 3}), iota({3, 5}), iota({5})});
  EXPECT_NE(ir.find("dot(%0, %1, %2)"), std::string::npos) << ir;
  EXPECT_NE(ir.find("act=relu"), std::string::npos) << ir;
  EXPECT_NE(ir.find("cluster"), std::string::npos) << ir;
}

TEST(Gradients, TapeEqualsFunctionAndFiniteDifferences) {
  Variable w(iota({3, 2}, 0.3, -0.5).astype(DType::Float64), {.name = "w"});
  Tensor x = iota({4, 3}, 0.17, -1).astype(DType::Float64);
  auto loss_of = [&] {
    Tensor h = prims::ew(ir::Ew::tanh, prims::dot(x, w.value(), {1}, {0}));
    return prims::reduce_sum(prims::ew(ir::Ew::square, h), {0, 1});
  };
  GradientTape tape;
  Tensor g = tape.gradient(loss_of(), std::vector<Variable>{w})[0];
  Function f([&](const Tensors&) -> Tensors { return gradients(loss_of(), std::vector<Variable>{w}); });
  Tensor t = f({})[0];
  auto a = g.to_vector<double>(), b = t.to_vector<double>();
  Tensor start = w.value();
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], 1e-12);
    auto moved = [&](double d) {
      std::vector<double> v = start.to_vector<double>();
      v[i] += d;
      w.assign(Tensor::from(v, {3, 2}));
      return loss_of().item();
    };
    EXPECT_NEAR(a[i], (moved(1e-6) - moved(-1e-6)) / 2e-6, 1e-7);
    w.assign(start);
  }
}

TEST(Scan, CumulativeSumAndItsGradient) {
  auto run = [](const Tensor& x, const Tensor& w) {
    auto r = core::scan(
        [&](const Tensors& s, const Tensors& in) {
          Tensor next = prims::ew(ir::Ew::tanh, prims::add(prims::mul(s[0], w), in[0]));
          return std::pair{Tensors{next}, Tensors{prims::mul(next, 2.0)}};
        },
        {Tensor::full({2}, 0.1)}, {x});
    return prims::add(prims::reduce_sum(r.ys[0], {0, 1}), prims::reduce_sum(r.states[0], {0}));
  };
  Tensor x = iota({5, 2}, 0.1, -0.4), w = {0.5, -0.7};
  double want = 0;
  {
    double s[2] = {0.1, 0.1}, ww[2] = {0.5, -0.7};
    auto v = x.to_vector<double>();
    for (size_t t = 0; t < 5; ++t)
      for (size_t k = 0; k < 2; ++k) s[k] = std::tanh(s[k] * ww[k] + v[t * 2 + k]), want += 2 * s[k];
    want += s[0] + s[1];
  }
  EXPECT_NEAR(run(x, w).item(), want, 1e-5);
  Function grad([&](const Tensors& in) -> Tensors { return gradients(run(in[0], in[1]), Tensors{in[0], in[1]}); });
  Tensors g = grad({x, w});
  for (int which = 0; which < 2; ++which) {
    auto base = (which ? w : x).to_vector<double>();
    auto got = g[static_cast<size_t>(which)].to_vector<double>();
    for (size_t i = 0; i < base.size(); ++i) {
      auto at = [&](double d) {
        auto v = base;
        v[i] += d;
        Tensor m = Tensor::from(v, which ? w.shape() : x.shape()).astype(DType::Float32);
        return which ? run(x, m).item() : run(m, w).item();
      };
      EXPECT_NEAR(got[i], (at(1e-2) - at(-1e-2)) / 2e-2, 2e-3);
    }
  }
}

TEST(Variables, ATensorHandedOutKeepsItsNumbers) {
  Variable v(Tensor{1.0, 2.0}, {.name = "v"});
  Tensor before = v.value();
  Function f([&](const Tensors&) -> Tensors {
    v.assign(prims::mul(v.value(), 3.0));
    return {};
  });
  f({});
  EXPECT_EQ(before.to_vector<double>(), (std::vector<double>{1, 2}));
  EXPECT_EQ(v.value().to_vector<double>(), (std::vector<double>{3, 6}));
}

TEST(Symbolic, PrintsAsKeras) {
  Tensor t = core::make_symbolic({DType::Float32, {None, 2, 4}}, "keras_tensor");
  EXPECT_EQ(t.str(), "<KerasTensor shape=(None, 2, 4), dtype=float32, sparse=False, ragged=False, name=keras_tensor>");
}

}  // namespace
}  // namespace keras
