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

// conv → scale and shift per channel → relu6, as batch normalization at inference has it.
struct Normalized {
  Variable kernel{iota({3, 3, 2, 4}, 0.01, -0.3)}, bias{iota({4}, 0.1)}, scale{iota({4}, 0.5, 0.5)}, shift{iota({4}, -0.2)};
  Tensor operator()(const Tensor& x) const {
    Tensor padded = prims::pad(x, Tensor::full({}, 0), {0, 1, 0, 0}, {0, 0, 2, 0}, {0, 0, 0, 0});
    prims::ConvSpec spec{{1, 1}, {1, 1}, {0, 1}, {0, 1}, 1};
    Tensor y = prims::add(prims::conv(padded, kernel.value(), spec), bias.value());
    y = prims::add(prims::mul(y, prims::reshape(scale.value(), {1, 1, 1, 4})), prims::reshape(shift.value(), {1, 1, 1, 4}));
    Tensor six = Tensor::full({}, 6);
    return prims::ew(ir::Ew::minimum, prims::ew(ir::Ew::maximum, y, Tensor::full({}, 0)), six);
  }
};

TEST(FunctionTest, ScalesPerChannelMoveIntoTheWeights) {
  Normalized layer;
  Function f([&](const Tensors& in) { return Tensors{layer(in[0])}; });
  Tensor x = iota({2, 5, 6, 2}, 0.03, -1);
  std::string plan = f.plan({x});
  EXPECT_EQ(plan.find("pad "), std::string::npos) << plan;
  EXPECT_NE(plan.find(" 1 steps"), std::string::npos) << plan;
  auto same = [&] {
    auto p = f({x})[0].to_vector<double>(), q = layer(x).to_vector<double>();
    ASSERT_EQ(p.size(), q.size());
    for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 2e-5) << i;
  };
  same();
  layer.scale.assign(iota({4}, -0.3, 1));
  same();
  layer.kernel.assign_add(Tensor::full({3, 3, 2, 4}, 0.02));
  same();
}

TEST(FunctionTest, KeptValuesFollowAnotherFunctionsUpdates) {
  Variable w(iota({3, 4}, 0.1));
  Function twice([&](const Tensors& in) { return Tensors{prims::dot(in[0], prims::mul(w.value(), 2.0), {1}, {0})}; });
  Function step([&](const Tensors& in) -> Tensors {
    w.assign_sub(in[0]);
    return {};
  });
  Tensor x = iota({2, 3});
  for (int i = 0; i < 3; ++i) {
    auto p = twice({x})[0].to_vector<double>(), q = prims::dot(x, prims::mul(w.value(), 2.0), {1}, {0}).to_vector<double>();
    for (size_t k = 0; k < p.size(); ++k) EXPECT_NEAR(p[k], q[k], 1e-5);
    step({iota({3, 4}, 0.05)});
  }
}

TEST(FunctionTest, AResidualIsPartOfTheProduct) {
  Variable w(iota({3, 3}, 0.1)), b(iota({3}));
  Function f([&](const Tensors& in) {
    Tensor y = prims::add(prims::add(prims::dot(in[0], w.value(), {1}, {0}), b.value()), in[0]);
    return Tensors{prims::ew(ir::Ew::maximum, y, Tensor::full({}, 0))};
  });
  Tensor x = iota({4, 3}, 0.2, -1);
  std::string plan = f.plan({x});
  EXPECT_NE(plan.find(" 1 steps"), std::string::npos) << plan;
  Tensor want = prims::ew(ir::Ew::maximum, prims::add(prims::add(prims::dot(x, w.value(), {1}, {0}), b.value()), x), Tensor::full({}, 0));
  auto p = f({x})[0].to_vector<double>(), q = want.to_vector<double>();
  for (size_t k = 0; k < p.size(); ++k) EXPECT_NEAR(p[k], q[k], 1e-5);
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

TEST(Gradients, SlicesSideBySideGiveOneConcat) {
  // Four slices of one value, as the gates of an LSTM are.
  auto body = [](const Tensors& in) {
    Tensor h;
    for (int64_t i = 0; i < 4; ++i) {
      Tensor gate = prims::ew(ir::Ew::tanh, prims::slice(in[0], {0, 3 * i}, {2, 3 * i + 3}, {1, 1}));
      h = h.defined() ? prims::mul(prims::add(h, gate), prims::add(gate, 1.5)) : gate;
    }
    return prims::reduce_sum(h, {0, 1}, false);
  };
  Function grad([&](const Tensors& in) { return gradients(body(in), Tensors{in[0]}); });
  Tensor z = iota({2, 12}, 0.05, -0.6);
  std::string ir = grad.ir({z});
  EXPECT_EQ(ir.find("pad("), std::string::npos) << ir;
  EXPECT_NE(ir.find("concat("), std::string::npos) << ir;
  auto g = grad({z})[0].to_vector<double>();
  GradientTape tape;
  tape.watch(z);
  auto q = tape.gradient(body({z}), z).to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], q[i], 1e-5 * std::max(1.0, std::abs(q[i])));
}

TEST(Symbolic, ACallOnItsOwnOutputIsForgottenWithItsTensors) {
  struct Twice : core::Operation {
    std::string class_name() const override { return "Twice"; }
    Tensors rerun(const core::CallArgs& args) override { return record(args, {args.tensors()[0].impl()->type}); }
    Value serialize() const override { return {}; }
  };
  auto op = std::make_shared<Twice>();
  std::weak_ptr<Twice> gone = op;
  Tensor x = core::make_symbolic({DType::Float32, {None, 3}}, "x");
  auto call = [&](const Tensor& t) { return op->rerun(core::CallArgs{{core::Arg(t)}, {}})[0]; };
  Tensor y = call(call(x));
  EXPECT_EQ(op->nodes().size(), 2u);
  EXPECT_EQ(op->nodes()[1].args.tensors()[0].impl()->history.node, 0);
  EXPECT_TRUE(op->output(1, 0).same(y));
  op.reset();
  EXPECT_FALSE(gone.expired());  // the tensor holds it
  y = Tensor();
  EXPECT_TRUE(gone.expired());
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
