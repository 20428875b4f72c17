// What lives here: attention and its gradient against slow loops in double precision: layouts, shared heads, masks, biases, draws, sizes that
// fill no block, several blocks of keys, one and two threads.
#include "cpu/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "cpu/random_kernels.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

using Form = ir::AttentionForm;
using Kind = Form::Kind;
using ir::Ints;
using Floats = std::vector<float>;

struct Case {
  int64_t batch = 2, heads = 3, shared = 1, rows = 5, keys = 7, depth = 4, width = 6;
  bool mask = false, key_mask = false, dark_row = false, bias = false, causal = false, drop = false, zero = false, add_fill = false, heads_first = false;
};

struct Problem {
  Form form;
  Floats q, k, v, dy, bias;
  std::vector<uint8_t> mask, key_mask;
  std::vector<uint32_t> key{7, 9};
  std::vector<void*> operands;
};

Floats draw(int64_t n, std::mt19937& rng) {
  std::normal_distribution<float> normal;
  Floats out(static_cast<size_t>(n));
  for (float& x : out) x = normal(rng);
  return out;
}

// (batch, steps, heads, size) or (batch, heads, steps, size); batch axes are batch, heads of keys, heads that share them.
Problem make(const Case& c) {
  std::mt19937 rng(3);
  Problem p;
  Form& f = p.form;
  const int64_t H = c.heads * c.shared;
  f.batch = {c.batch, c.heads, c.shared};
  f.rows = c.rows, f.keys = c.keys, f.depth = c.depth, f.width = c.width;
  const auto view = [&](int64_t steps, int64_t heads, int64_t size, bool shares) {
    const int64_t head = c.heads_first ? steps * size : size, row = c.heads_first ? size : heads * size;
    return Form::View{0, {steps * heads * size, shares ? head : head * c.shared, shares ? 0 : head}, row, 1};
  };
  f.q = view(c.rows, H, c.depth, false), f.k = view(c.keys, c.heads, c.depth, true), f.v = view(c.keys, c.heads, c.width, true);
  f.y = view(c.rows, H, c.width, false);
  f.shape = c.heads_first ? Shape{c.batch, H, c.rows, c.width} : Shape{c.batch, c.rows, H, c.width};
  p.q = draw(c.batch * c.rows * H * c.depth, rng), p.k = draw(c.batch * c.keys * c.heads * c.depth, rng);
  p.v = draw(c.batch * c.keys * c.heads * c.width, rng), p.dy = draw(c.batch * c.rows * H * c.width, rng);
  const Form::View none{0, {0, 0, 0}, 0, 0};
  f.steps.push_back({Kind::Scale, 1 / std::sqrt(static_cast<double>(c.depth)), Form::kCausal, false, none});
  const auto operand = [&](void* data) {
    p.operands.push_back(data);
    return static_cast<int64_t>(p.operands.size()) - 1;
  };
  if (c.bias) {
    p.bias = draw(H * c.rows * c.keys, rng);
    f.steps.push_back({Kind::Add, 0, operand(p.bias.data()), false, {0, {0, c.shared * c.rows * c.keys, c.rows * c.keys}, c.keys, 1}});
  }
  const Kind fill = c.add_fill ? Kind::FillAdd : Kind::Fill;
  if (c.mask) {
    p.mask.resize(static_cast<size_t>(c.batch * c.rows * c.keys));
    for (uint8_t& m : p.mask) m = rng() % 3 != 0;
    if (c.dark_row) std::fill(p.mask.begin() + c.keys, p.mask.begin() + 2 * c.keys, 0);
    f.steps.push_back({fill, -1e9, operand(p.mask.data()), false, {0, {c.rows * c.keys, 0, 0}, c.keys, 1}});
  }
  if (c.key_mask) {
    p.key_mask.resize(static_cast<size_t>(c.batch * c.keys));
    for (uint8_t& m : p.key_mask) m = rng() % 4 == 0;
    f.steps.push_back({fill, -1e9, operand(p.key_mask.data()), true, {0, {c.keys, 0, 0}, 0, 1}});
  }
  if (c.causal) f.steps.push_back({fill, -1e9, Form::kCausal, false, none});
  if (c.zero)
    for (size_t i = 1; i < f.steps.size(); ++i)
      if (f.steps[i].is_fill()) f.after.push_back({Kind::Fill, 0, f.steps[i].operand, f.steps[i].inverted, f.steps[i].view});
  if (c.drop) {
    f.after.push_back({Kind::Scale, 1 / 0.7, Form::kCausal, false, none});
    const int64_t square = c.rows * c.keys;
    f.after.push_back({Kind::Drop, 0.7, operand(p.key.data()), false, {0, {H * square, c.shared * square, square}, c.keys, 1}});
  }
  return p;
}

struct Answer {
  std::vector<double> y, dq, dk, dv;
};

Answer slow(const Problem& p) {
  const Form& f = p.form;
  Answer a{std::vector<double>(p.dy.size()), std::vector<double>(p.q.size()), std::vector<double>(p.k.size()), std::vector<double>(p.v.size())};
  for (int64_t b = 0; b < f.batch[0]; ++b)
    for (int64_t h = 0; h < f.batch[1]; ++h)
      for (int64_t g = 0; g < f.batch[2]; ++g)
        for (int64_t t = 0; t < f.rows; ++t) {
          const auto at = [&](const Form::View& v, int64_t row, int64_t column) {
            return static_cast<size_t>(v.offset + b * v.batch[0] + h * v.batch[1] + g * v.batch[2] + row * v.row + column * v.column);
          };
          const auto masked = [&](const Form::Step& s, int64_t j) {
            if (s.operand == Form::kCausal) return j > t;
            return (static_cast<const uint8_t*>(p.operands[static_cast<size_t>(s.operand)])[at(s.view, t, j)] != 0) == s.inverted;
          };
          std::vector<double> x, w, factor(static_cast<size_t>(f.keys), 1), dw, slope(static_cast<size_t>(f.keys), 1);
          for (int64_t j = 0; j < f.keys; ++j) {
            double sum = 0;
            for (int64_t d = 0; d < f.depth; ++d) sum += static_cast<double>(p.q[at(f.q, t, d)]) * static_cast<double>(p.k[at(f.k, j, d)]);
            for (const Form::Step& s : f.steps) {
              if (s.kind == Kind::Scale) sum *= s.value, slope[static_cast<size_t>(j)] *= s.value;
              // Sums with a billion round in float32, and so they must here.
              if (s.kind == Kind::Add) sum += static_cast<double>(static_cast<const float*>(p.operands[static_cast<size_t>(s.operand)])[at(s.view, t, j)]);
              if (s.kind == Kind::Fill && masked(s, j)) sum = s.value, slope[static_cast<size_t>(j)] = 0;
              if (s.kind == Kind::FillAdd && masked(s, j)) sum = static_cast<double>(static_cast<float>(sum) + static_cast<float>(s.value));
            }
            x.push_back(sum);
            for (const Form::Step& s : f.after) {
              double& to = factor[static_cast<size_t>(j)];
              if (s.kind == Kind::Scale) to *= s.value;
              if (s.kind == Kind::Fill && masked(s, j)) to = 0;
              if (s.kind == Kind::Drop) {
                uint8_t bit = 0;
                random_bernoulli(p.key.data(), static_cast<int64_t>(at(s.view, t, j)), 1, static_cast<float>(s.value), &bit);
                to *= bit;
              }
            }
          }
          const double top = *std::max_element(x.begin(), x.end());
          double sum = 0, inner = 0;
          for (double& e : x) w.push_back(std::exp(e - top)), sum += w.back();
          for (int64_t j = 0; j < f.keys; ++j) {
            double& e = w[static_cast<size_t>(j)];
            e /= sum;
            double d = 0;
            for (int64_t c = 0; c < f.width; ++c) {
              const double dy = static_cast<double>(p.dy[at(f.y, t, c)]), v = static_cast<double>(p.v[at(f.v, j, c)]);
              a.y[at(f.y, t, c)] += e * factor[static_cast<size_t>(j)] * v;
              a.dv[at(f.v, j, c)] += e * factor[static_cast<size_t>(j)] * dy;
              d += dy * v * factor[static_cast<size_t>(j)];
            }
            dw.push_back(d);
            inner += d * e;
          }
          for (int64_t j = 0; j < f.keys; ++j) {
            const size_t i = static_cast<size_t>(j);
            const double ds = w[i] * (dw[i] - inner) * slope[i];
            for (int64_t d = 0; d < f.depth; ++d) {
              a.dq[at(f.q, t, d)] += ds * static_cast<double>(p.k[at(f.k, j, d)]);
              a.dk[at(f.k, j, d)] += ds * static_cast<double>(p.q[at(f.q, t, d)]);
            }
          }
        }
  return a;
}

void expect_close(const Floats& got, const std::vector<double>& want, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  double scale = 1e-3;
  for (double x : want) scale = std::max(scale, std::abs(x));
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(static_cast<double>(got[i]), want[i], 4e-6 * scale) << what << " " << i;
}

struct Result {
  Floats y, stats, dq, dk, dv;
};
Result run(const Problem& p) {
  const Form& f = p.form;
  Result r;
  r.y.assign(p.dy.size(), NAN), r.dq.assign(p.q.size(), NAN), r.dk.assign(p.k.size(), NAN), r.dv.assign(p.v.size(), NAN);
  r.stats.assign(static_cast<size_t>(Shape(f.batch).numel() * f.rows * 2), NAN);
  const auto run_kernel = [&](const engine::Kernel& kernel, std::vector<const void*> in, std::vector<void*> out) {
    std::vector<char> scratch(kernel.scratch_bytes() + 64, 0x7f);
    void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
    std::vector<void*> inputs;
    for (const void* x : in) inputs.push_back(const_cast<void*>(x));
    inputs.insert(inputs.end(), p.operands.begin(), p.operands.end());
    kernel.run(inputs.data(), out.data(), aligned);
  };
  run_kernel(*make_attention(f), {p.q.data(), p.k.data(), p.v.data()}, {r.y.data(), r.stats.data()});
  run_kernel(*make_attention_backward(f), {p.q.data(), p.k.data(), p.v.data(), r.y.data(), r.stats.data(), p.dy.data()},
             {r.dq.data(), r.dk.data(), r.dv.data()});
  return r;
}

void check(const Case& c, const char* what) {
  SCOPED_TRACE(what);
  const Problem p = make(c);
  const Answer want = slow(p);
  const int threads = num_threads();
  set_num_threads(1);
  const Result one = run(p);
  set_num_threads(2);
  const Result two = run(p);
  set_num_threads(threads);
  expect_close(one.y, want.y, "y");
  expect_close(one.dq, want.dq, "dq");
  expect_close(one.dk, want.dk, "dk");
  expect_close(one.dv, want.dv, "dv");
  EXPECT_TRUE(one.y == two.y && one.stats == two.stats && one.dq == two.dq && one.dk == two.dk && one.dv == two.dv) << "bits and threads";
}

TEST(AttentionKernelTest, Sizes) {
  check({}, "small");
  check({.batch = 1, .heads = 1, .rows = 1, .keys = 1, .depth = 1, .width = 1}, "one of everything");
  check({.batch = 1, .heads = 2, .rows = 1, .keys = 40, .depth = 32, .width = 32}, "one row");
  check({.batch = 2, .heads = 2, .rows = 128, .keys = 128, .depth = 32, .width = 32}, "even");
  check({.batch = 1, .heads = 3, .rows = 131, .keys = 77, .depth = 20, .width = 37}, "odd");
  check({.batch = 1, .heads = 1, .rows = 300, .keys = 290, .depth = 40, .width = 64}, "one head in parts");
  check({.batch = 1, .heads = 2, .rows = 50, .keys = 33, .depth = 64, .width = 16, .heads_first = true}, "heads first");
}
TEST(AttentionKernelTest, ManyKeys) {
  check({.batch = 1, .heads = 1, .rows = 30, .keys = 2600, .depth = 8, .width = 8}, "running maximum");
  check({.batch = 1, .heads = 1, .rows = 30, .keys = 2600, .depth = 8, .width = 8, .mask = true, .drop = true, .zero = true}, "masked");
  check({.batch = 1, .heads = 1, .rows = 400, .keys = 2300, .depth = 4, .width = 4, .causal = true}, "causal");
}
TEST(AttentionKernelTest, SharedHeads) {
  check({.batch = 2, .heads = 2, .shared = 4, .rows = 20, .keys = 30, .depth = 8, .width = 8}, "plain");
  check({.batch = 1, .heads = 1, .shared = 8, .rows = 150, .keys = 30, .depth = 8, .width = 8, .mask = true, .bias = true, .drop = true}, "with all");
}
TEST(AttentionKernelTest, MasksAndBiases) {
  check({.rows = 20, .keys = 45, .mask = true}, "mask");
  check({.rows = 20, .keys = 45, .mask = true, .dark_row = true}, "a row that sees nothing is uniform");
  check({.rows = 20, .keys = 45, .mask = true, .dark_row = true, .zero = true}, "or zero");
  check({.rows = 20, .keys = 45, .key_mask = true, .bias = true}, "inverted mask of keys, bias");
  check({.rows = 20, .keys = 45, .mask = true, .add_fill = true}, "added");
  check({.rows = 130, .keys = 130, .causal = true}, "causal");
  check({.rows = 130, .keys = 60, .causal = true}, "causal, fewer keys");
  check({.rows = 60, .keys = 300, .causal = true}, "causal, more keys");
  check({.rows = 130, .keys = 130, .mask = true, .dark_row = true, .causal = true}, "causal and masked");
}
TEST(AttentionKernelTest, Drops) {
  check({.rows = 50, .keys = 45, .drop = true}, "drop");
  check({.rows = 50, .keys = 300, .mask = true, .bias = true, .drop = true, .zero = true}, "with all");
}

}  // namespace
}  // namespace keras::cpu
