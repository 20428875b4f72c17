// What lives here: tests of how loops run: rows of the batch apart, products before the loop, states that are stacked, gradients; all
// against the same loop written out step by step.
#include <gtest/gtest.h>

#include <keras/threads.h>

#include <cmath>
#include <random>

#include "core/impl.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras {
namespace {

using core::scan;
using ir::Ew;

Tensor random(const Shape& shape, unsigned seed, DType dtype = DType::Float32) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, 0.5f);
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = normal(rng);
  return Tensor::from(v, shape).astype(dtype);
}

using Step = std::function<std::pair<Tensors, Tensors>(const Tensors& states, const Tensors& slices)>;

// The states at the end, then the stacked results, computed step by step.
Tensors written_out(const Step& step, Tensors states, const Tensors& xs, bool reverse) {
  const int64_t length = xs[0].shape()[0];
  std::vector<Tensors> ys;
  for (int64_t s = 0; s < length; ++s) {
    const int64_t t = reverse ? length - 1 - s : s;
    Tensors slices;
    for (const Tensor& x : xs) slices.push_back(prims::reshape(prims::slice_axis(x, 0, t, t + 1), x.shape().slice(1)));
    auto [next, y] = step(states, slices);
    states = next;
    for (Tensor& r : y) r = prims::reshape(r, Shape{1} + r.shape());
    ys.push_back(y);
  }
  if (reverse) std::reverse(ys.begin(), ys.end());
  Tensors out = states;
  for (size_t k = 0; k < ys[0].size(); ++k) {
    Tensors parts;
    for (const Tensors& y : ys) parts.push_back(y[k]);
    out.push_back(prims::concat(parts, 0));
  }
  return out;
}
Tensors looped(const Step& step, const Tensors& states, const Tensors& xs, bool reverse) {
  core::ScanResult r = scan(step, states, xs, reverse);
  Tensors out = r.states;
  out.insert(out.end(), r.ys.begin(), r.ys.end());
  return out;
}

void expect_near(const Tensor& a, const Tensor& b, double tolerance, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const auto p = a.to_vector<double>(), q = b.to_vector<double>();
  for (size_t i = 0; i < p.size(); ++i) ASSERT_NEAR(p[i], q[i], tolerance * (1 + std::abs(q[i]))) << what << " at " << i;
}

// A loop given its weights, states and sequences: results and the gradients of their weighted sum by everything, looped and written out.
struct Loop {
  std::function<Step(const Tensors& weights)> step;
  Tensors weights, states, xs;
};
Tensors run(const Loop& loop, bool looping, bool reverse, const Tensors& all) {
  const auto at = [&](size_t from, size_t n) { return Tensors(all.begin() + static_cast<int64_t>(from), all.begin() + static_cast<int64_t>(from + n)); };
  const size_t w = loop.weights.size(), s = loop.states.size();
  const Step step = loop.step(at(0, w));
  const Tensors out = looping ? looped(step, at(w, s), at(w + s, loop.xs.size()), reverse) : written_out(step, at(w, s), at(w + s, loop.xs.size()), reverse);
  Tensor sum;
  for (size_t i = 0; i < out.size(); ++i) {
    Tensor term = prims::reduce_sum(prims::mul(out[i], random(out[i].shape(), static_cast<unsigned>(50 + i), out[i].dtype())), prims::iota_axes(out[i].rank()));
    sum = sum.defined() ? prims::add(sum, term) : term;
  }
  Tensors results = out;
  for (const Tensor& g : gradients(sum, all)) results.push_back(g);
  return results;
}
void check(const Loop& loop, const std::string& what, double tolerance = 2e-5) {
  Tensors all = loop.weights;
  all.insert(all.end(), loop.states.begin(), loop.states.end());
  all.insert(all.end(), loop.xs.begin(), loop.xs.end());
  for (bool reverse : {false, true})
    for (bool fused : {true, false}) {
      passes::set_fusion(fused);
      const Tensors want = Function([&](const Tensors& in) { return run(loop, false, reverse, in); })(all);
      Tensors before;
      for (int threads : {1, 2}) {
        set_num_threads(threads);
        Function f([&](const Tensors& in) { return run(loop, true, reverse, in); });
        f(all);
        const Tensors got = f(all);
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < got.size(); ++i) {
          expect_near(got[i], want[i], tolerance, what + ", result " + std::to_string(i) + (reverse ? ", backwards" : "") + (fused ? "" : ", not fused"));
          if (testing::Test::HasFatalFailure()) return passes::set_fusion(true);
          if (!before.empty()) {
            EXPECT_EQ(got[i].to_vector<double>(), before[i].to_vector<double>()) << what << ": other bits on two threads, result " << i;
          }
        }
        before = got;
      }
      passes::set_fusion(true);
    }
}

Tensor part(const Tensor& v, int64_t i, int64_t n) { return prims::slice_axis(v, v.rank() - 1, i * n, (i + 1) * n); }

// z = x W + h U + b, four gates: as a user would write an LSTM, with the product of the input in the step.
Step lstm(const Tensors& w, int64_t units) {
  return [w, units](const Tensors& s, const Tensors& x) {
    Tensor z = prims::add(prims::add(prims::dot(x[0], w[0], {1}, {0}), prims::dot(s[0], w[1], {1}, {0})), w[2]);
    Tensor c = prims::add(prims::mul(prims::ew(Ew::sigmoid, part(z, 1, units)), s[1]), prims::mul(prims::ew(Ew::sigmoid, part(z, 0, units)), prims::ew(Ew::tanh, part(z, 2, units))));
    Tensor h = prims::mul(prims::ew(Ew::sigmoid, part(z, 3, units)), prims::ew(Ew::tanh, c));
    return std::pair{Tensors{h, c}, Tensors{h}};
  };
}

TEST(Loop, RowsGatesAndGradients) {
  struct Size {
    int64_t steps, batch, features, units;
  };
  for (const Size& n : {Size{7, 1, 3, 16}, Size{4, 1, 5, 132}, Size{5, 2, 4, 20}, Size{4, 20, 5, 24}, Size{6, 33, 6, 32}, Size{3, 160, 2, 17}, Size{2, 24, 24, 24}, Size{9, 32, 32, 96}}) {
    Loop l;
    l.step = [n](const Tensors& w) { return lstm(w, n.units); };
    l.weights = {random({n.features, 4 * n.units}, 1), random({n.units, 4 * n.units}, 2), random({4 * n.units}, 3)};
    l.states = {random({n.batch, n.units}, 4), random({n.batch, n.units}, 5)};
    l.xs = {random({n.steps, n.batch, n.features}, 6)};
    check(l, "batch " + std::to_string(n.batch) + ", units " + std::to_string(n.units), 1e-4);
    if (HasFatalFailure()) return;
  }
}

TEST(Loop, ConstantsWithRowsAndWithout) {
  // As many rows as features: the matrix is the same for all rows, the mask and the scale are not.
  const int64_t b = 40;
  Loop l;
  l.step = [](const Tensors& w) -> Step {
    return [w](const Tensors& s, const Tensors& x) {
      Tensor h = prims::dot(prims::mul(s[0], w[1]), w[0], {1}, {0});
      Tensor keep = prims::ew(Ew::greater, x[1], prims::scalar(x[1], 0.0));
      Tensor next = prims::ew(Ew::tanh, prims::add(prims::mul(h, prims::broadcast_to(w[2], h.shape())), x[0]));
      Tensor zero = prims::broadcast_to(prims::scalar(h, 0.0), h.shape());
      Tensor kept = prims::select(keep, next, s[0]);
      return std::pair{Tensors{kept}, Tensors{prims::select(keep, next, zero), s[0]}};
    };
  };
  l.weights = {random({b, b}, 1), random({b, b}, 2), random({b, 1}, 3)};
  l.states = {random({b, b}, 4)};
  l.xs = {random({5, b, b}, 5), random({5, b, 1}, 6)};
  check(l, "constants with rows");
  Tensors all{l.weights[0], l.weights[1], l.weights[2], l.states[0], l.xs[0], l.xs[1]};
  const std::string plan = Function([&](const Tensors& in) { return looped(l.step({in[0], in[1], in[2]}), {in[3]}, {in[4], in[5]}, false); }).plan(all);
  EXPECT_NE(plan.find("40 rows in parts of 8"), std::string::npos) << plan;
  const std::string both = Function([&](const Tensors& in) { return run(l, true, false, in); }).plan(all);
  const size_t first = both.find("40 rows in parts of 8");
  ASSERT_NE(first, std::string::npos) << both;
  EXPECT_NE(both.find("40 rows in parts of 8", first + 1), std::string::npos) << "the gradient's loop\n" << both;
}

TEST(Loop, RowsThatMixStayTogether) {
  const int64_t b = 20, n = 6;
  Loop l;
  l.step = [](const Tensors& w) -> Step {
    return [w](const Tensors& s, const Tensors& x) {
      Tensor mean = prims::reduce_sum(s[0], {0}, true);
      Tensor next = prims::ew(Ew::tanh, prims::add(prims::dot(prims::sub(s[0], prims::mul(mean, 0.05)), w[0], {1}, {0}), x[0]));
      return std::pair{Tensors{next, prims::add(s[1], prims::reduce_sum(next, {0, 1}))}, Tensors{}};
    };
  };
  l.weights = {random({n, n}, 1)};
  l.states = {random({b, n}, 2), random({}, 3)};
  l.xs = {random({4, b, n}, 4)};
  check(l, "a mean over the batch");
}

TEST(Loop, StatesThatAreStackedAndPassedOn) {
  const int64_t b = 17, n = 64;
  Loop l;
  l.step = [](const Tensors& w) -> Step {
    return [w](const Tensors& s, const Tensors& x) {
      Tensor a = prims::ew(Ew::tanh, prims::add(prims::dot(s[0], w[0], {1}, {1}), x[0]));
      // A state that is replaced by another, one that stays, one that is an input; results that are states before and after.
      return std::pair{Tensors{a, s[0], s[2], x[0]}, Tensors{a, s[0], s[1], s[3], a, prims::mul(s[1], s[2])}};
    };
  };
  l.weights = {random({n, n}, 1)};
  l.states = {random({b, n}, 2), random({b, n}, 3), random({b, n}, 4), random({b, n}, 5)};
  l.xs = {random({6, b, n}, 6)};
  check(l, "stacked states");
}

TEST(Loop, OtherShapesAndDtypes) {
  // States of three axes, reductions within a row, a reshape, a concat, a product that is batched over the rows.
  const int64_t b = 19, p = 3, n = 18;
  for (DType d : {DType::Float32, DType::Float64}) {
    Loop l;
    l.step = [=](const Tensors& w) -> Step {
      return [=](const Tensors& s, const Tensors& x) {
        Tensor scores = prims::dot(s[0], x[0], {2}, {1}, {0}, {0});                              // (b, p)
        Tensor e = prims::ew(Ew::exp, prims::sub(scores, prims::reduce(prims::reduce_max_prim, scores, {1}, true)));
        Tensor a = prims::reshape(prims::div(e, prims::reduce_sum(e, {1}, true)), Shape{b, p, 1});
        Tensor y = prims::dot(prims::concat(Tensors{prims::reduce_sum(prims::mul(s[0], a), {1}), x[0]}, 1), w[0], {1}, {0});
        Tensor next = prims::add(prims::mul(s[0], 0.9), prims::mul(prims::reshape(prims::ew(Ew::tanh, y), Shape{b, 1, n}), a));
        return std::pair{Tensors{next}, Tensors{y, prims::transpose(next, {0, 2, 1})}};
      };
    };
    l.weights = {random({2 * n, n}, 1, d)};
    l.states = {random({b, p, n}, 2, d)};
    l.xs = {random({5, b, n}, 3, d)};
    check(l, dtype_name(d), d == DType::Float32 ? 5e-5 : 1e-9);
  }
}

TEST(Loop, TapesGiveTheSameGradients) {
  Loop l;
  l.step = [](const Tensors& w) { return lstm(w, 8); };
  Tensors all{random({3, 32}, 1), random({8, 32}, 2), random({32}, 3), random({18, 8}, 4), random({18, 8}, 5), random({6, 18, 3}, 6)};
  l.weights = {all[0], all[1], all[2]}, l.states = {all[3], all[4]}, l.xs = {all[5]};
  const Tensors want = Function([&](const Tensors& in) { return run(l, false, false, in); })(all);
  GradientTape tape;
  for (const Tensor& t : all) tape.watch(t);
  const Tensors out = looped(lstm(l.weights, 8), l.states, l.xs, false);
  Tensor sum;
  for (size_t i = 0; i < out.size(); ++i) {
    Tensor term = prims::reduce_sum(prims::mul(out[i], random(out[i].shape(), static_cast<unsigned>(50 + i))), prims::iota_axes(out[i].rank()));
    sum = sum.defined() ? prims::add(sum, term) : term;
  }
  const Tensors grads = tape.gradient(sum, all);
  for (size_t i = 0; i < grads.size(); ++i) expect_near(grads[i], want[out.size() + i], 1e-4, "gradient " + std::to_string(i));
}

// Both directions, a third loop on the sum of their results, and a fourth beside that: results and gradients.
TEST(Loop, LoopsThatDontNeedEachOtherRunTogether) {
  const auto all_of = [](const Tensors& w) {
    const Step one = lstm({w[0], w[1], w[2]}, 40), two = lstm({w[3], w[4], w[2]}, 40);
    Tensors a = looped(one, {w[5], w[5]}, {w[6]}, false), b = looped(two, {w[5], w[5]}, {w[6]}, true);
    Tensor x = prims::slice_axis(prims::add(a[2], b[2]), 2, 0, 3);
    Tensors c = looped(one, {a[0], b[1]}, {x}, true), d = looped(two, {b[0], a[1]}, {w[6]}, false);
    Tensors out{a[1], b[2], c[0], c[2], d[2]};
    Tensor sum;
    for (size_t i = 0; i < out.size(); ++i) {
      Tensor term = prims::reduce_sum(prims::mul(out[i], random(out[i].shape(), static_cast<unsigned>(50 + i))), prims::iota_axes(out[i].rank()));
      sum = sum.defined() ? prims::add(sum, term) : term;
    }
    for (const Tensor& g : gradients(sum, w)) out.push_back(g);
    return out;
  };
  for (int64_t batch : {1, 21}) {
    const Tensors in{random({3, 160}, 1), random({40, 160}, 2), random({160}, 3), random({3, 160}, 4), random({40, 160}, 5), random({batch, 40}, 6), random({40, batch, 3}, 7)};
    passes::set_fusion(false);
    const Tensors want = Function(all_of)(in);
    passes::set_fusion(true);
    Tensors before;
    for (int threads : {1, 2}) {
      set_num_threads(threads);
      Function f(all_of);
      f(in);
      const Tensors got = f(in);
      const std::string plan = f.plan(in);
      EXPECT_NE(plan.find("together"), std::string::npos) << plan;
      EXPECT_EQ(plan.find("; at once") != std::string::npos, batch == 1) << plan;
      for (size_t i = 0; i < got.size(); ++i) {
        expect_near(got[i], want[i], 1e-3, "result " + std::to_string(i));  // sums over 40 steps
        if (HasFatalFailure()) return;
        if (!before.empty()) {
          EXPECT_EQ(got[i].to_vector<double>(), before[i].to_vector<double>()) << "other bits on two threads, result " << i;
        }
      }
      before = got;
    }
  }
}

// What reads a part of a value at other places than it writes must not write over that value.
TEST(Views, ASliceIsReadBeforeItsValueIsWrittenOver) {
  Variable v(random({40, 64}, 1));
  const auto step = [&](const Tensors& in) -> Tensors {
    Tensor x = prims::dot(in[0], in[1], {1}, {0});
    Tensor y = prims::mul(prims::sub(x, prims::slice_axis(x, 0, 0, 1)), prims::add(x, prims::slice_axis(x, 0, 39, 40)));
    Tensor old = v.value();
    v.assign(prims::add(prims::mul(old, 0.5), prims::slice_axis(old, 0, 3, 4)));
    return {y};
  };
  const Tensors in{random({40, 8}, 2), random({8, 64}, 3)};
  const Tensor start = v.value();
  const Tensor want = step(in)[0];
  const std::vector<double> after = v.value().to_vector<double>();
  v.assign(start);
  Function f(step);
  EXPECT_EQ(f.plan(in).find(" slice "), std::string::npos) << f.plan(in);
  expect_near(f(in)[0], want, 1e-5, "an intermediate value");
  expect_near(v.value(), Tensor::from(after, {40, 64}).astype(DType::Float32), 1e-5, "a variable");
}

TEST(Loop, ProductsOfTheInputAreBeforeTheLoop) {
  Function f([](const Tensors& in) { return looped(lstm({in[0], in[1], in[2]}, 16), {in[3], in[4]}, {in[5]}, false); });
  const Tensors in{random({3, 64}, 1), random({16, 64}, 2), random({64}, 3), random({4, 16}, 4), random({4, 16}, 5), random({6, 4, 3}, 6)};
  const std::string ir = f.ir(in);
  EXPECT_NE(ir.find("f32[6,4,64]"), std::string::npos) << ir;
  EXPECT_NE(f.plan(in).find("loop of 6 steps"), std::string::npos) << f.plan(in);
}

}  // namespace
}  // namespace keras
