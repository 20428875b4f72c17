// What lives here: depthwise convolutions and their gradients against the plain loops, with every instruction set.
#include "cpu/depthwise.h"

#include <hwy/targets.h>

#include "cpu/dnnl_test_util.h"

namespace keras::cpu {
namespace {
using testing::Buffer;
using Act = Epilogue::Act;

struct Case {
  std::array<int64_t, 3> in, kernel, stride{1, 1, 1}, dilation{1, 1, 1}, lo{0, 0, 0}, hi{0, 0, 0};
  int64_t n = 1, c = 1, multiplier = 1;
  int rank = 2;
};

ConvGeometry geometry(const Case& q, const Epilogue& e = {}) {
  ConvGeometry g;
  g.dtype = DType::Float32, g.rank = q.rank, g.n = q.n, g.c = g.groups = q.c, g.o = q.c * q.multiplier;
  g.in = q.in, g.kernel = q.kernel, g.stride = q.stride, g.dilation = q.dilation, g.lo = q.lo, g.hi = q.hi, g.epilogue = e;
  for (size_t i = 0; i < 3; ++i) g.out[i] = (g.in[i] + g.lo[i] + g.hi[i] - (g.kernel[i] - 1) * g.dilation[i] - 1) / g.stride[i] + 1;
  return g;
}

std::vector<double> doubles(const Buffer& b) {
  std::vector<double> v(static_cast<size_t>(b.size()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = b.at(static_cast<int64_t>(i));
  return v;
}

void check(const Case& q, const Epilogue& e = {}) {
  const ConvGeometry g = geometry(q, e);
  const int64_t nx = g.n * g.in_pixels() * g.c, ny = g.n * g.out_pixels() * g.o;
  const Buffer x = testing::random_buffer(DType::Float32, nx, 1), w = testing::random_buffer(DType::Float32, g.weights(), 2),
               dy = testing::random_buffer(DType::Float32, ny, 3), bias = testing::random_buffer(DType::Float32, g.o, 4),
               add = testing::random_buffer(DType::Float32, ny, 5);
  std::vector<const Buffer*> in{&x, &w};
  if (e.bias) in.push_back(&bias);
  if (e.add) in.push_back(&add);
  const auto compare = [&](ConvPass pass, const std::vector<const Buffer*>& from, int64_t size, double scale, const char* what) {
    const auto ours = make_depthwise_conv(g, pass), plain = make_loop_conv(g, pass);
    ASSERT_NE(ours, nullptr);
    SCOPED_TRACE(std::string(ours->describe()) + " of " + std::to_string(g.in[0]) + "x" + std::to_string(g.in[1]) + "x" + std::to_string(g.in[2]) + "x" +
                 std::to_string(g.c));
    testing::expect_close(testing::run_kernel(*ours, from, DType::Float32, size), doubles(testing::run_kernel(*plain, from, DType::Float32, size)),
                          DType::Float32, scale, what);
  };
  compare(ConvPass::Forward, in, ny, std::sqrt(static_cast<double>(g.taps())) + 1, "y");
  if (!e.empty()) return;
  compare(ConvPass::BackwardInput, {&dy, &w}, nx, std::sqrt(static_cast<double>(g.taps() * q.multiplier)) + 1, "dx");
  compare(ConvPass::BackwardFilter, {&x, &dy}, g.weights(), std::sqrt(static_cast<double>(g.n * g.out_pixels())) + 1, "dw");
}

void check_shapes() {
  for (const int64_t c : {1, 3, 8, 16, 24, 40, 65}) {
    check({.in = {1, 7, 7}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .n = 2, .c = c});
    check({.in = {1, 9, 12}, .kernel = {1, 3, 3}, .stride = {1, 2, 2}, .hi = {0, 1, 1}, .n = 2, .c = c});
  }
  check({.in = {1, 14, 14}, .kernel = {1, 5, 5}, .lo = {0, 2, 2}, .hi = {0, 2, 2}, .n = 3, .c = 20});
  check({.in = {1, 14, 17}, .kernel = {1, 5, 5}, .stride = {1, 2, 2}, .lo = {0, 1, 1}, .hi = {0, 2, 2}, .n = 1, .c = 33});
  check({.in = {1, 11, 10}, .kernel = {1, 3, 2}, .dilation = {1, 2, 3}, .lo = {0, 2, 1}, .hi = {0, 2, 2}, .n = 2, .c = 17});
  check({.in = {1, 20, 19}, .kernel = {1, 7, 7}, .lo = {0, 3, 3}, .hi = {0, 3, 3}, .n = 1, .c = 96});
  check({.in = {1, 13, 12}, .kernel = {1, 4, 3}, .stride = {1, 3, 2}, .dilation = {1, 2, 3}, .lo = {0, 3, 4}, .hi = {0, 2, 1}, .n = 2, .c = 9});
  check({.in = {1, 8, 9}, .kernel = {1, 2, 2}, .stride = {1, 4, 3}, .n = 2, .c = 5});              // pixels that no output reads
  check({.in = {1, 9, 9}, .kernel = {1, 1, 1}, .stride = {1, 2, 2}, .n = 2, .c = 18});
  check({.in = {1, 3, 2}, .kernel = {1, 7, 9}, .lo = {0, 5, 6}, .hi = {0, 4, 6}, .n = 1, .c = 6});  // kernels beyond the image
  check({.in = {1, 10, 11}, .kernel = {1, 3, 3}, .lo = {0, -1, 2}, .hi = {0, 1, -2}, .n = 2, .c = 7});  // crops
  check({.in = {1, 1, 1}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .n = 3, .c = 19});
  check({.in = {1, 1, 50}, .kernel = {1, 1, 4}, .dilation = {1, 1, 2}, .lo = {0, 0, 6}, .n = 2, .c = 21, .rank = 1});  // causal
  check({.in = {1, 1, 3000}, .kernel = {1, 1, 9}, .stride = {1, 1, 2}, .lo = {0, 0, 4}, .hi = {0, 0, 4}, .n = 1, .c = 64, .rank = 1});
  check({.in = {5, 6, 7}, .kernel = {3, 2, 3}, .stride = {2, 1, 2}, .lo = {1, 0, 1}, .hi = {1, 1, 1}, .n = 2, .c = 18, .rank = 3});
  for (const int64_t m : {2, 3, 7, 20}) {
    check({.in = {1, 8, 9}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .n = 2, .c = 5, .multiplier = m});
    check({.in = {1, 8, 9}, .kernel = {1, 3, 3}, .stride = {1, 2, 2}, .lo = {0, 0, 0}, .hi = {0, 1, 1}, .n = 1, .c = 33, .multiplier = m});
  }
  check({.in = {1, 30, 30}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .n = 9, .c = 40});  // pieces of images
}

TEST(Depthwise, ShapesAndGradients) { check_shapes(); }

TEST(Depthwise, Epilogues) {
  for (const Act act : {Act::None, Act::Relu, Act::Relu6, Act::Gelu, Act::Tanh, Act::Elu, Act::Swish, Act::HardSwish}) {
    for (const int flags : {0, 1, 2, 3}) {
      const Epilogue e{.bias = (flags & 1) != 0, .act = act, .alpha = act == Act::Elu || (act == Act::Relu && flags == 3) ? 0.5f : 0.0f, .add = (flags & 2) != 0};
      check({.in = {1, 9, 10}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .n = 2, .c = 37}, e);
      check({.in = {1, 9, 10}, .kernel = {1, 3, 3}, .stride = {1, 2, 2}, .n = 1, .c = 11, .multiplier = 3}, e);
    }
  }
}

TEST(Depthwise, EveryInstructionSet) {
  for (const int64_t target : std::vector<int64_t>{HWY_AVX2, 0}) {
    if (target != 0 && (hwy::SupportedTargets() & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target == 0 ? HWY_STATIC_TARGET : target);
    hwy::GetChosenTarget().DeInit();
    check_shapes();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  }
}

TEST(Depthwise, NanAndInfinityStayWhereTheyAre) {
  const ConvGeometry g = geometry({.in = {1, 6, 6}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .n = 1, .c = 16}, {.act = Act::Relu6});
  Buffer x = testing::random_buffer(DType::Float32, 36 * 16, 1), w = testing::random_buffer(DType::Float32, 9 * 16, 2);
  x.set(0, NAN);
  for (int64_t i = 0; i < 16; ++i) w.set(i, INFINITY);  // the first tap: of the first row it sees padding alone
  const Buffer y = testing::run_kernel(*make_depthwise_conv(g, ConvPass::Forward), {&x, &w}, DType::Float32, 36 * 16);
  EXPECT_TRUE(std::isnan(y.at(0)));
  EXPECT_FALSE(std::isnan(y.at(1)));
  EXPECT_FALSE(std::isnan(y.at(5 * 16)));
}

TEST(Depthwise, LeavesTheOthersAlone) {
  ConvGeometry g = geometry({.in = {1, 6, 6}, .kernel = {1, 3, 3}, .n = 1, .c = 16});
  g.dtype = DType::Float64;
  EXPECT_EQ(make_depthwise_conv(g, ConvPass::Forward), nullptr);
  g.dtype = DType::Float32, g.groups = 8;
  EXPECT_EQ(make_depthwise_conv(g, ConvPass::Forward), nullptr);
}

}  // namespace
}  // namespace keras::cpu
