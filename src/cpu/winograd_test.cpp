// What lives here: Winograd's convolutions, both forms and every pass, for every instruction set, against slow loops; their error; the rule.
#include "cpu/winograd.h"

#include <hwy/targets.h>

#include "cpu/dnnl_test_util.h"

namespace keras::cpu {
namespace {
using testing::Buffer;
using Act = Epilogue::Act;

struct Case {
  int64_t n, height, width, c, o, top, left, bottom, right, groups = 1;
  Epilogue epilogue{};
};

ConvGeometry geometry(const Case& t) {
  ConvGeometry g;
  g.rank = 2, g.n = t.n, g.c = t.c, g.o = t.o, g.groups = t.groups;
  g.in = {1, t.height, t.width}, g.kernel = {1, 3, 3};
  g.lo = {0, t.top, t.left}, g.hi = {0, t.bottom, t.right};
  g.out = {1, t.height + t.top + t.bottom - 2, t.width + t.left + t.right - 2};
  g.epilogue = t.epilogue;
  return g;
}

struct Sums {
  std::vector<double> y, dx, dw;
};
Sums slow(const ConvGeometry& g, const Buffer& x, const Buffer& w, const Buffer& dy) {
  Sums s{std::vector<double>(static_cast<size_t>(dy.size())), std::vector<double>(static_cast<size_t>(x.size())),
         std::vector<double>(static_cast<size_t>(w.size()))};
  const auto values = [](const Buffer& b) {
    std::vector<double> v(static_cast<size_t>(b.size()));
    for (size_t i = 0; i < v.size(); ++i) v[i] = b.at(static_cast<int64_t>(i));
    return v;
  };
  const std::vector<double> vx = values(x), vw = values(w), vdy = values(dy);
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t i = 0; i < g.out[1]; ++i)
      for (int64_t j = 0; j < g.out[2]; ++j)
        for (int64_t tap = 0; tap < 9; ++tap) {
          const int64_t a = i + tap / 3 - g.lo[1], b = j + tap % 3 - g.lo[2];
          if (a < 0 || b < 0 || a >= g.in[1] || b >= g.in[2]) continue;
          for (int64_t c = 0; c < g.c; ++c)
            for (int64_t o = 0; o < g.group_out(); ++o) {
              const size_t at_x = static_cast<size_t>(((n * g.in[1] + a) * g.in[2] + b) * g.c + c),
                           column = static_cast<size_t>(c / g.group_in() * g.group_out() + o);
              const size_t at_y = static_cast<size_t>(((n * g.out[1] + i) * g.out[2] + j) * g.o) + column;
              const size_t at_w = static_cast<size_t>((tap * g.group_in() + c % g.group_in()) * g.o) + column;
              s.y[at_y] += vx[at_x] * vw[at_w];
              s.dx[at_x] += vdy[at_y] * vw[at_w];
              s.dw[at_w] += vx[at_x] * vdy[at_y];
            }
        }
  return s;
}

double greatest(const std::vector<double>& v) {
  double most = 0;
  for (const double e : v) most = std::max(most, std::abs(e));
  return most;
}

// The greatest difference, in parts of the greatest sum.
double error(const Buffer& got, const std::vector<double>& want, double most) {
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double d = std::abs(got.at(static_cast<int64_t>(i)) - want[i]);
    if (!(d <= worst)) worst = d;
  }
  return most == 0 ? worst : worst / most;
}
double error(const Buffer& got, const std::vector<double>& want) { return error(got, want, greatest(want)); }

void check(const Case& t, double bound = 6e-6) {
  const ConvGeometry g = geometry(t);
  const Buffer x = testing::random_buffer(DType::Float32, g.n * g.in_pixels() * g.c, 1),
               w = testing::random_buffer(DType::Float32, g.weights(), 2),
               dy = testing::random_buffer(DType::Float32, g.n * g.out_pixels() * g.o, 3),
               bias = testing::random_buffer(DType::Float32, g.o, 4);
  Sums want = slow(g, x, w, dy);
  const double most = greatest(want.y);
  for (size_t i = 0; i < want.y.size(); ++i) {
    if (t.epilogue.bias) want.y[i] += bias.at(static_cast<int64_t>(i) % g.o);
    if (t.epilogue.add) want.y[i] += dy.at(static_cast<int64_t>(i));
    want.y[i] = testing::activation(t.epilogue, want.y[i]);
  }
  for (const int m : {2, 4}) {
    const std::string what = "m " + std::to_string(m) + ", x " + std::to_string(t.n) + " " + std::to_string(t.height) + " " +
                             std::to_string(t.width) + " " + std::to_string(t.c) + ", o " + std::to_string(t.o) + ", groups " +
                             std::to_string(t.groups);
    SCOPED_TRACE(what);
    for (const bool kept : {false, true}) {
      const auto k = make_winograd_conv(g, ConvPass::Forward, plan_winograd(g, ConvPass::Forward, kept, m));
      std::vector<const Buffer*> in{&x, &w};
      if (t.epilogue.bias) in.push_back(&bias);
      if (t.epilogue.add) in.push_back(&dy);
      if (!kept) {
        EXPECT_LT(error(testing::run_kernel(*k, in, DType::Float32, dy.size()), want.y, most), bound) << k->describe();
        continue;
      }
      const size_t bytes = k->prepared_bytes(1);
      k->take_prepared(1);
      const Buffer form = testing::prepared(*k, 1, w, bytes);
      in[1] = &form;
      EXPECT_LT(error(testing::run_kernel(*k, in, DType::Float32, dy.size()), want.y, most), bound) << k->describe();
    }
    const auto back = make_winograd_conv(g, ConvPass::BackwardInput, plan_winograd(g, ConvPass::BackwardInput, false, m));
    EXPECT_LT(error(testing::run_kernel(*back, {&dy, &w}, DType::Float32, x.size()), want.dx), bound) << back->describe();
    const auto filter = make_winograd_conv(g, ConvPass::BackwardFilter, plan_winograd(g, ConvPass::BackwardFilter, false, m));
    EXPECT_LT(error(testing::run_kernel(*filter, {&x, &dy}, DType::Float32, w.size()), want.dw), bound) << filter->describe();
  }
}

class WinogradOn : public testing::ByTarget {};

TEST_P(WinogradOn, OddSizesAndPadding) {
  check({1, 3, 3, 1, 1, 0, 0, 0, 0});
  check({2, 7, 9, 3, 5, 0, 0, 0, 0});
  check({2, 7, 9, 3, 5, 1, 1, 1, 1});
  check({1, 14, 13, 16, 33, 1, 1, 1, 1});
  check({3, 5, 6, 40, 50, 2, 0, 0, 1});    // sides that differ
  check({1, 4, 30, 17, 8, 3, 2, 4, 3});    // more than the kernel reaches
  check({2, 11, 10, 6, 7, -1, 1, 0, -2});  // crops
  check({2, 6, 7, 12, 9, 1, 1, 1, 1, 3});  // groups
  check({2, 6, 7, 64, 32, 1, 1, 1, 1, 2});
}

TEST_P(WinogradOn, Epilogues) {
  for (const Act act : {Act::None, Act::Relu, Act::Relu6, Act::Gelu, Act::Tanh, Act::Swish})
    for (const bool add : {false, true}) check({2, 9, 11, 20, 24, 1, 1, 1, 1, 1, {.bias = true, .act = act, .add = add}});
  check({1, 9, 11, 20, 24, 1, 1, 1, 1, 1, {.act = Act::Relu, .alpha = 0.1f}});
  check({2, 6, 6, 8, 20, 1, 1, 1, 1, 2, {.bias = true, .act = Act::Elu, .alpha = 0.5f}});
}

// Several blocks, pieces and slices.
TEST_P(WinogradOn, LargeOnes) {
  check({3, 30, 26, 32, 64, 0, 0, 0, 0});
  check({1, 28, 28, 128, 96, 1, 1, 1, 1});
  check({2, 8, 8, 600, 24, 1, 1, 1, 1});  // more channels than one pass of a strip takes
  check({1, 7, 7, 96, 520, 1, 1, 1, 1});
}

INSTANTIATE_TEST_SUITE_P(Winograd, WinogradOn, ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

// The bounds of error that docs/decisions names: F(4×4, 3×3) about ten times the rounding of a direct convolution, F(2×2, 3×3) half of
// that.
TEST(Winograd, Error) {
  const ConvGeometry g = geometry({1, 14, 14, 256, 64, 1, 1, 1, 1});
  const Buffer x = testing::random_buffer(DType::Float32, g.in_pixels() * g.c, 1),
               w = testing::random_buffer(DType::Float32, g.weights(), 2),
               dy = testing::random_buffer(DType::Float32, g.out_pixels() * g.o, 3);
  const Sums want = slow(g, x, w, dy);
  for (const int m : {2, 4}) {
    const double bound = m == 2 ? 2.5e-6 : 5e-6;
    const auto run = [&](ConvPass pass, const Buffer& a, const Buffer& b, int64_t size) {
      return testing::run_kernel(*make_winograd_conv(g, pass, plan_winograd(g, pass, false, m)), {&a, &b}, DType::Float32, size);
    };
    EXPECT_LT(error(run(ConvPass::Forward, x, w, dy.size()), want.y), bound);
    EXPECT_LT(error(run(ConvPass::BackwardInput, dy, w, x.size()), want.dx), bound);
    EXPECT_LT(error(run(ConvPass::BackwardFilter, x, dy, w.size()), want.dw), bound);
  }
}

TEST(Winograd, PaysWherePixelsAndChannelsAreMany) {
  const auto pays = [](const Case& t, ConvPass pass, bool kept) {
    const ConvGeometry g = geometry(t);
    return plan_winograd(g, pass, kept).cost < direct_conv_cost(g, pass, kept);
  };
  for (const ConvPass pass : {ConvPass::Forward, ConvPass::BackwardInput, ConvPass::BackwardFilter}) {
    EXPECT_TRUE(pays({8, 56, 56, 64, 64, 1, 1, 1, 1}, pass, false));
    EXPECT_TRUE(pays({128, 16, 16, 32, 32, 1, 1, 1, 1}, pass, false));
    EXPECT_FALSE(pass != ConvPass::BackwardInput && pays({32, 28, 28, 1, 32, 1, 1, 1, 1}, pass, false));  // one channel has nothing to sum
  }
  EXPECT_FALSE(pays({1, 2, 2, 512, 512, 1, 1, 1, 1}, ConvPass::Forward, false));  // transforming the kernel is the work
  EXPECT_TRUE(pays({1, 14, 14, 256, 256, 1, 1, 1, 1}, ConvPass::Forward, true));
  ConvGeometry g = geometry({8, 56, 56, 64, 64, 1, 1, 1, 1});
  g.stride = {1, 2, 2};
  EXPECT_FALSE(winograd_can(g));
}

TEST(Winograd, TheFormDependsOnShapesAlone) {
  const ConvGeometry g = geometry({1, 14, 14, 256, 256, 1, 1, 1, 1});
  const int threads = num_threads();
  for (const ConvPass pass : {ConvPass::Forward, ConvPass::BackwardInput, ConvPass::BackwardFilter}) {
    set_num_threads(1);
    const WinogradPlan one = plan_winograd(g, pass, true);
    set_num_threads(7);
    const WinogradPlan seven = plan_winograd(g, pass, true);
    EXPECT_EQ(one.m, seven.m);
    EXPECT_EQ(one.cost, seven.cost);
  }
  set_num_threads(threads);
}

}  // namespace
}  // namespace keras::cpu
