// What lives here: convolutions of few channels against the loops of conv_loops.cpp, for every instruction set.
#include "cpu/thin_conv.h"

#include <hwy/targets.h>

#include "cpu/dnnl_test_util.h"

namespace keras::cpu {
namespace {
using testing::Buffer;
using Act = Epilogue::Act;

struct Case {
  int64_t n;
  std::array<int64_t, 3> in, kernel, stride{1, 1, 1}, lo{0, 0, 0}, hi{0, 0, 0}, dilation{1, 1, 1};
  int64_t c = 1, o = 1;
  Epilogue epilogue{};
};

void check(const Case& t) {
  ConvGeometry g;
  g.rank = t.in[1] == 1 ? 1 : 2, g.n = t.n, g.c = t.c, g.o = t.o;
  g.in = t.in, g.kernel = t.kernel, g.stride = t.stride, g.lo = t.lo, g.hi = t.hi, g.dilation = t.dilation, g.epilogue = t.epilogue;
  for (size_t i = 0; i < 3; ++i) g.out[i] = (g.in[i] + g.lo[i] + g.hi[i] - (g.kernel[i] - 1) * g.dilation[i] - 1) / g.stride[i] + 1;
  const Buffer x = testing::random_buffer(DType::Float32, g.n * g.in_pixels() * g.c, 1),
               w = testing::random_buffer(DType::Float32, g.weights(), 2);
  const Buffer bias = testing::random_buffer(DType::Float32, g.o, 3),
               add = testing::random_buffer(DType::Float32, g.n * g.out_pixels() * g.o, 4);
  std::vector<const Buffer*> in{&x, &w};
  if (t.epilogue.bias) in.push_back(&bias);
  if (t.epilogue.add) in.push_back(&add);
  const auto thin = make_thin_conv(g), loops = make_loop_conv(g, ConvPass::Forward);
  ASSERT_NE(thin, nullptr);
  SCOPED_TRACE("x " + std::to_string(t.in[1]) + " " + std::to_string(t.in[2]) + " " + std::to_string(t.c) + ", o " + std::to_string(t.o));
  const Buffer want = testing::run_kernel(*loops, in, DType::Float32, add.size());
  std::vector<double> values(static_cast<size_t>(want.size()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = want.at(static_cast<int64_t>(i));
  testing::expect_close(testing::run_kernel(*thin, in, DType::Float32, add.size()), values, DType::Float32,
                        std::sqrt(static_cast<double>(g.taps() * g.c)) + 1, "y");
}

class ThinOn : public testing::ByTarget {};

TEST_P(ThinOn, Shapes) {
  check({.n = 2, .in = {1, 28, 28}, .kernel = {1, 3, 3}, .c = 1, .o = 32});
  check({.n = 3, .in = {1, 9, 13}, .kernel = {1, 3, 3}, .lo = {0, 1, 1}, .hi = {0, 1, 1}, .c = 3, .o = 17});
  check({.n = 1, .in = {1, 40, 41}, .kernel = {1, 7, 7}, .stride = {1, 2, 2}, .lo = {0, 3, 3}, .hi = {0, 2, 3}, .c = 3, .o = 64});
  check({.n = 2, .in = {1, 11, 5}, .kernel = {1, 2, 5}, .stride = {1, 3, 1}, .lo = {0, 0, 4}, .hi = {0, 2, 1}, .c = 4, .o = 1});
  check({.n = 2, .in = {1, 12, 10}, .kernel = {1, 3, 2}, .lo = {0, -1, 2}, .hi = {0, 1, -3}, .c = 2, .o = 50});  // crops
  check({.n = 2, .in = {1, 12, 10}, .kernel = {1, 3, 3}, .lo = {0, 2, 1}, .hi = {0, 2, 1}, .dilation = {1, 2, 1}, .c = 2, .o = 5});
  check({.n = 1, .in = {1, 3, 2}, .kernel = {1, 3, 3}, .lo = {0, 5, 9}, .hi = {0, 4, 8}, .c = 1, .o = 7});  // mostly zeros
  check({.n = 4, .in = {1, 1, 50}, .kernel = {1, 1, 5}, .lo = {0, 0, 4}, .c = 2, .o = 24});                 // one axis, causal
  check({.n = 70, .in = {1, 6, 6}, .kernel = {1, 3, 3}, .c = 1, .o = 3});
}

TEST_P(ThinOn, Epilogues) {
  for (const Act act : {Act::None, Act::Relu, Act::Relu6, Act::Gelu, Act::Elu})
    for (const bool add : {false, true})
      check({.n = 2,
             .in = {1, 8, 9},
             .kernel = {1, 3, 3},
             .lo = {0, 1, 1},
             .hi = {0, 1, 1},
             .c = 3,
             .o = 21,
             .epilogue = {.bias = add, .act = act, .alpha = act == Act::Elu ? 0.7f : 0, .add = add}});
  check({.n = 2, .in = {1, 8, 9}, .kernel = {1, 3, 3}, .c = 1, .o = 16, .epilogue = {.bias = true, .act = Act::Relu, .alpha = 0.2f}});
}

INSTANTIATE_TEST_SUITE_P(Thin, ThinOn, ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

TEST(Thin, LeavesTheRestToOthers) {
  ConvGeometry g;
  g.rank = 2, g.n = 1, g.c = 5, g.o = 8, g.in = {1, 8, 8}, g.kernel = {1, 3, 3}, g.out = {1, 6, 6};
  EXPECT_EQ(make_thin_conv(g), nullptr);
  g.c = 2, g.dilation = {1, 1, 2};
  EXPECT_EQ(make_thin_conv(g), nullptr);
}

}  // namespace
}  // namespace keras::cpu
