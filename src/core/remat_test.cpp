// What lives here: tests of what is computed again for its gradient: the numbers stay, the memory of a step goes.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "core/impl.h"
#include "cpu/random_kernels.h"
#include "prims/build.h"

namespace keras {
namespace {

using ir::Ew;
using prims::Ints;

Tensor swings(const Shape& shape, double seed, double scale = 1) {
  std::mt19937 rng(static_cast<unsigned>(1000 * seed));
  std::normal_distribution<double> normal(0, scale);
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = static_cast<float>(normal(rng));
  return Tensor::from(v, shape);
}
Tensor product(const Tensor& a, const Tensor& b) { return prims::dot(a, b, {1}, {0}); }
Tensor total(const Tensor& t) { return prims::reduce_sum(t, prims::iota_axes(t.rank())); }

using Block = std::function<Tensor(const Tensor&, const Tensor&)>;

/// Gradients of sum(blocks(x)²) by x and the weights, each block with a square matrix of its own.
Function step_of(const Block& block, int blocks) {
  return Function([=](const Tensors& in) -> Tensors {
    Tensor h = in[0];
    for (int i = 0; i < blocks; ++i) h = block(h, in[static_cast<size_t>(i) + 1]);
    return gradients(total(prims::mul(h, h)), in);
  });
}
Tensors arguments(int64_t rows, int64_t width, int blocks) {
  Tensors in{swings({rows, width}, 0.37)};
  for (int i = 0; i < blocks; ++i) in.push_back(swings({width, width}, 0.11 + 0.07 * i, 1.5 / std::sqrt(static_cast<double>(width))));
  return in;
}
size_t plan_bytes(const Function& f, const Tensors& in) {
  std::vector<ir::Type> types;
  for (const Tensor& t : in) types.push_back({t.dtype(), t.shape()});
  return core::compile([&](const Tensors& x) { return f(x); }, types)->exe->arena_bytes();
}
void expect_same(const Tensors& a, const Tensors& b, double tolerance = 1e-5) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = a[i].to_vector<double>(), y = b[i].to_vector<double>();
    double most = 1e-6;
    for (double v : y) most = std::max(most, std::abs(v));
    EXPECT_GT(most, 1e-3) << "gradient " << i << " says nothing";
    for (size_t k = 0; k < x.size(); ++k) ASSERT_NEAR(x[k], y[k], tolerance * most) << "gradient " << i << " at " << k;
  }
}

Tensor six_steps(Tensor h, const Tensor& w) {
  for (int i = 0; i < 6; ++i) h = prims::ew(Ew::tanh, product(h, w));
  return h;
}

TEST(RematTest, ADeepNetworkTakesLessMemoryForTheSameGradients) {
  const Tensors in = arguments(256, 64, 6);
  const Function plain = step_of(six_steps, 6), again = step_of(remat(six_steps), 6);
  expect_same(again(in), plain(in));
  // 36 activations, or one per block and those of one block.
  EXPECT_LT(plan_bytes(again, in), plan_bytes(plain, in) / 2);
}

TEST(RematTest, InsideOfAnother) {
  const Tensors in = arguments(256, 64, 3);
  const Block outer = [](const Tensor& x, const Tensor& w) {
    Tensor h = x;
    for (int i = 0; i < 3; ++i) h = remat(six_steps)(h, w);
    return h;
  };
  const Function plain = step_of(outer, 3);
  const Function nested = step_of(remat(outer), 3),
                 kept = step_of([](const Tensor&x, const Tensor&w) { return six_steps(six_steps(six_steps(x, w), w), w); }, 3);
  expect_same(nested(in), kept(in));
  expect_same(plain(in), kept(in));
  EXPECT_LT(plan_bytes(nested, in), plan_bytes(plain, in));
  EXPECT_LT(plan_bytes(plain, in), plan_bytes(kept, in));
}

TEST(RematTest, GradientsOfGradients) {
  const auto second = [](bool again) {
    return Function([again](const Tensors& in) -> Tensors {
      const auto f = [](const Tensor& x, const Tensor& w) { return prims::ew(Ew::tanh, product(prims::ew(Ew::sin, product(x, w)), w)); };
      const Tensor y = total(again ? remat(f)(in[0], in[1]) : f(in[0], in[1]));
      const Tensor slope = gradients(y, Tensors{in[0]})[0];
      return gradients(total(prims::mul(slope, slope)), in);
    });
  };
  const Tensors in = arguments(5, 4, 1);
  expect_same(second(true)(in), second(false)(in));
}

TEST(RematTest, RandomNumbersAreDrawnAgainAsTheyWere) {
  const Tensor key = Tensor::from(std::vector<uint32_t>{7, 11}, {2});
  const auto step = [&](bool again) {
    return Function([=](const Tensors& in) -> Tensors {
      const auto f = [&](const Tensor& x, const Tensor& w) {
        const Tensor drawn = core::apply(prims::random_prim, {in[2]},
                                         {{"dtype", DType::Float32},
                                          {"shape", Ints{64, 16}},
                                          {"kind", static_cast<int64_t>(cpu::RandomKind::Uniform)},
                                          {"a", 0.0},
                                          {"b", 1.0}})[0];
        return prims::ew(Ew::tanh, prims::mul(product(x, w), drawn));
      };
      const Tensor h = again ? remat(f)(in[0], in[1]) : f(in[0], in[1]);
      return gradients(total(prims::mul(h, h)), Tensors{in[0], in[1]});
    });
  };
  Tensors in = arguments(64, 16, 1);
  in.push_back(key);
  expect_same(step(true)(in), step(false)(in));
}

TEST(RematTest, LoopsAndAttention) {
  const Block loop = [](const Tensor& x, const Tensor& w) {
    const auto r = core::scan(
        [&](const Tensors& s, const Tensors&) {
          Tensor h = prims::ew(Ew::tanh, product(s[0], w));
          return std::pair{Tensors{h}, Tensors{h}};
        },
        {x}, {swings({7, 1}, 0.2)});
    return prims::add(r.states[0], prims::reduce_sum(r.ys[0], {0}));
  };
  const Tensors in = arguments(32, 16, 2);
  expect_same(step_of(remat(loop), 2)(in), step_of(loop, 2)(in));
  const Block attend = [](const Tensor& x, const Tensor& w) {
    const Tensor q = prims::mul(product(x, w), Tensor::full({}, 0.25)), k = prims::ew(Ew::tanh, product(x, w));
    const Tensor scores = prims::dot(q, k, {1}, {1});
    const Tensor e = prims::ew(Ew::exp, prims::sub(scores, prims::reduce(prims::reduce_max_prim, scores, {1}, true)));
    return product(prims::div(e, prims::reduce_sum(e, {1}, true)), product(x, w));
  };
  expect_same(step_of(remat(attend), 2)(in), step_of(attend, 2)(in), 1e-4);
}

TEST(RematTest, OutsideOfATraceItIsTheFunction) {
  const Tensors in = arguments(4, 3, 1);
  EXPECT_EQ(remat(six_steps)(in[0], in[1]).to_vector<float>(), six_steps(in[0], in[1]).to_vector<float>());
  GradientTape tape;
  tape.watch(in[1]);
  const Tensor y = total(remat(six_steps)(in[0], in[1]));
  const Tensor slope = tape.gradient(y, Tensors{in[1]})[0];
  const Function plain([](const Tensors& a) -> Tensors { return gradients(total(six_steps(a[0], a[1])), Tensors{a[1]}); });
  expect_same({slope}, plain(in));
}

TEST(RematTest, WhatIsNoneAfterAllIsKept) {
  const Tensors in = arguments(256, 64, 4);
  const Function plain = step_of(six_steps, 4), cancelled = step_of(
                                                    [](const Tensor&x, const Tensor&w) {
                                                      core::RematRegion region;
                                                      Tensor y = six_steps(x, w);
                                                      region.cancel();
                                                      return y;
                                                    },
                                                    4);
  EXPECT_EQ(plan_bytes(cancelled, in), plan_bytes(plain, in));
}

TEST(RematTest, UnknownModesAreRefused) {
  EXPECT_THROW(RematScope({.mode = "some"}), ValueError);
  RematScope none({.mode = std::nullopt});
}

}  // namespace
}  // namespace keras
