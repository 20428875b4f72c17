// What lives here: both kinds of direct convolution, each by itself, against slow loops over many shapes.
#include "cpu/direct_conv.h"

#include <cstring>
#include <random>

#include "cpu/dnnl_test_util.h"
#include "cpu/frame_conv.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {
using testing::Buffer;

std::string shape_text(const ConvGeometry& g) {
  std::string s =
      std::to_string(g.n) + " images, channels " + std::to_string(g.c) + " to " + std::to_string(g.o) + " in " + std::to_string(g.groups);
  for (size_t a = static_cast<size_t>(3 - g.rank); a < 3; ++a)
    s += "; " + std::to_string(g.in[a]) + " to " + std::to_string(g.out[a]) + " by " + std::to_string(g.kernel[a]) + " stride " +
         std::to_string(g.stride[a]) + " dilation " + std::to_string(g.dilation[a]) + " padding " + std::to_string(g.lo[a]) + ", " +
         std::to_string(g.hi[a]);
  return s;
}

// Fills in what follows from the other sizes; false where there is no output.
bool complete(ConvGeometry& g) {
  for (size_t a = 0; a < 3; ++a) {
    const int64_t free = g.in[a] + g.lo[a] + g.hi[a] - (g.kernel[a] - 1) * g.dilation[a] - 1;
    if (free < 0) return false;
    g.out[a] = free / g.stride[a] + 1;
  }
  return true;
}

// f(x index, w index, y index) for every product.
template <class F> void each_product(const ConvGeometry& g, F&& f) {
  const int64_t cg = g.group_in(), og = g.group_out();
  std::array<int64_t, 3> q, k, i;
  for (int64_t n = 0; n < g.n; ++n)
    for (q[0] = 0; q[0] < g.out[0]; ++q[0])
      for (q[1] = 0; q[1] < g.out[1]; ++q[1])
        for (q[2] = 0; q[2] < g.out[2]; ++q[2])
          for (k[0] = 0; k[0] < g.kernel[0]; ++k[0])
            for (k[1] = 0; k[1] < g.kernel[1]; ++k[1])
              for (k[2] = 0; k[2] < g.kernel[2]; ++k[2]) {
                bool inside = true;
                for (size_t a = 0; a < 3; ++a)
                  i[a] = q[a] * g.stride[a] + k[a] * g.dilation[a] - g.lo[a], inside = inside && i[a] >= 0 && i[a] < g.in[a];
                if (!inside) continue;
                const int64_t x = (((n * g.in[0] + i[0]) * g.in[1] + i[1]) * g.in[2] + i[2]) * g.c,
                              y = (((n * g.out[0] + q[0]) * g.out[1] + q[1]) * g.out[2] + q[2]) * g.o,
                              w = ((k[0] * g.kernel[1] + k[1]) * g.kernel[2] + k[2]) * cg * g.o;
                for (int64_t e = 0; e < g.groups; ++e)
                  for (int64_t c = 0; c < cg; ++c)
                    for (int64_t o = e * og; o < (e + 1) * og; ++o) f(x + e * cg + c, w + c * g.o + o, y + o);
              }
}

struct Expected {
  std::vector<double> y, dx, dw;
};

void expect_pass(const ConvGeometry& g, ConvPass pass, const std::vector<const Buffer*>& in, const std::vector<double>& expected,
                 double steps) {
  for (const bool frames : {false, true}) {
    const auto kernel = frames ? make_frame_conv(g, pass) : make_direct_conv(g, pass);
    SCOPED_TRACE(kernel->describe());
    const Buffer got = testing::run_kernel(*kernel, in, DType::Float32, static_cast<int64_t>(expected.size()));
    testing::expect_close(got, expected, DType::Float32, std::sqrt(steps) + 1, "result");
    const size_t bytes = kernel->prepared_bytes(1);
    EXPECT_TRUE(bytes == 0 || pass != ConvPass::BackwardFilter);
    if (bytes == 0) continue;  // or no tap reaches the input
    kernel->take_prepared(1);
    const Buffer form = testing::prepared(*kernel, 1, *in[1], bytes);
    std::vector<const Buffer*> kept = in;
    kept[1] = &form;
    const Buffer again = testing::run_kernel(*kernel, kept, DType::Float32, static_cast<int64_t>(expected.size()));
    EXPECT_EQ(std::memcmp(again.data(), got.data(), got.bytes()), 0) << "a kept kernel gives other bits";
  }
}

void expect_all(ConvGeometry g) {
  if (!complete(g)) return;
  SCOPED_TRACE(shape_text(g));
  const Buffer x = testing::random_buffer(DType::Float32, g.n * g.in_pixels() * g.c, 1),
               w = testing::random_buffer(DType::Float32, g.weights(), 2),
               dy = testing::random_buffer(DType::Float32, g.n * g.out_pixels() * g.o, 3),
               bias = testing::random_buffer(DType::Float32, g.o, 4), add = testing::random_buffer(DType::Float32, dy.size(), 5);
  Expected e{std::vector<double>(static_cast<size_t>(dy.size())), std::vector<double>(static_cast<size_t>(x.size())),
             std::vector<double>(static_cast<size_t>(w.size()))};
  each_product(g, [&](int64_t i, int64_t j, int64_t k) {
    e.y[static_cast<size_t>(k)] += x.at(i) * w.at(j);
    e.dx[static_cast<size_t>(i)] += dy.at(k) * w.at(j);
    e.dw[static_cast<size_t>(j)] += dy.at(k) * x.at(i);
  });
  const double depth = static_cast<double>(g.taps() * g.group_in()), back = static_cast<double>(g.taps() * g.group_out());
  expect_pass(g, ConvPass::BackwardInput, {&dy, &w}, e.dx, back);
  expect_pass(g, ConvPass::BackwardFilter, {&x, &dy}, e.dw, static_cast<double>(g.n * g.out_pixels()));
  std::vector<const Buffer*> in{&x, &w};
  if (g.epilogue.bias) in.push_back(&bias);
  if (g.epilogue.add) in.push_back(&add);
  for (size_t i = 0; i < e.y.size(); ++i) {
    const int64_t at = static_cast<int64_t>(i);
    e.y[i] = testing::activation(g.epilogue, e.y[i] + (g.epilogue.bias ? bias.at(at % g.o) : 0) + (g.epilogue.add ? add.at(at) : 0));
  }
  expect_pass(g, ConvPass::Forward, in, e.y, depth);
}

using Act = Epilogue::Act;

TEST(DirectConv, ManySmallShapes) {
  std::mt19937 random(7);
  const auto from = [&](int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random() % static_cast<uint32_t>(most - least + 1));
  };
  for (int i = 0; i < 160; ++i) {
    ConvGeometry g;
    g.rank = static_cast<int>(from(1, 3));
    g.n = from(1, 3);
    g.groups = i % 3 == 0 ? from(1, 4) : 1;
    g.c = g.groups * from(1, i % 5 == 0 ? 24 : 6), g.o = g.groups * from(1, i % 7 == 0 ? 40 : 10);
    for (size_t a = static_cast<size_t>(3 - g.rank); a < 3; ++a) {
      g.in[a] = from(1, g.rank == 1 ? 60 : g.rank == 2 ? 17 : 7);
      g.kernel[a] = from(1, 5), g.stride[a] = from(1, 4), g.dilation[a] = from(1, 3), g.lo[a] = from(-1, 3), g.hi[a] = from(-1, 3);
    }
    g.epilogue = {
        .bias = i % 2 == 0, .act = std::array{Act::None, Act::Relu, Act::Relu6, Act::Tanh}[static_cast<size_t>(i) % 4], .add = i % 3 == 1};
    expect_all(g);
  }
}

TEST(DirectConv, LargerOnes) {
  const auto image = [](int64_t n, int64_t side, int64_t c, int64_t o, int64_t k, int64_t s, int64_t pad) {
    ConvGeometry g;
    g.rank = 2, g.n = n, g.c = c, g.o = o;
    g.in = {1, side, side}, g.kernel = {1, k, k}, g.stride = {1, s, s}, g.lo = {0, pad, pad}, g.hi = {0, pad, pad};
    return g;
  };
  ConvGeometry g = image(1, 40, 3, 64, 7, 2, 3);  // the first layer of a residual network
  g.epilogue = {.bias = true, .act = Act::Relu};
  expect_all(g);
  g = image(3, 12, 100, 33, 3, 2, 1);  // several parts of the sums
  g.epilogue = {.bias = true, .act = Act::Gelu, .add = true};
  expect_all(g);
  expect_all(image(1, 7, 160, 144, 3, 1, 1));  // parts of the channels
  expect_all(image(2, 15, 48, 70, 1, 2, 0));
  expect_all(image(2, 32, 3, 24, 8, 8, 0));
  expect_all(image(2, 16, 2, 20, 4, 2, 1));
  g = {};
  g.rank = 1, g.n = 2, g.c = 5, g.o = 17, g.in = {1, 1, 1500}, g.kernel = {1, 1, 9}, g.stride = {1, 1, 2},
  g.lo = {0, 0, 8};  // lines in parts
  expect_all(g);
  g.dilation = {1, 1, 4}, g.lo = {0, 0, 32}, g.stride = {1, 1, 1}, g.n = 1;
  expect_all(g);
}

// Pieces are cut for the threads there are; bits are not.
TEST(DirectConv, BitsOfAnyNumberOfThreads) {
  const int before = num_threads();
  ConvGeometry g;
  g.rank = 2, g.n = 3, g.c = 24, g.o = 40, g.in = {1, 30, 31}, g.kernel = {1, 5, 3}, g.stride = {1, 2, 1}, g.lo = g.hi = {0, 2, 1};
  ASSERT_TRUE(complete(g));
  const Buffer x = testing::random_buffer(DType::Float32, g.n * g.in_pixels() * g.c, 1),
               w = testing::random_buffer(DType::Float32, g.weights(), 2),
               dy = testing::random_buffer(DType::Float32, g.n * g.out_pixels() * g.o, 3);
  for (const ConvPass pass : {ConvPass::Forward, ConvPass::BackwardInput, ConvPass::BackwardFilter}) {
    const bool forward = pass == ConvPass::Forward, filter = pass == ConvPass::BackwardFilter;
    const std::vector<const Buffer*> in{forward || filter ? &x : &dy, filter ? &dy : &w};
    const int64_t size = forward ? dy.size() : filter ? w.size() : x.size();
    for (const auto make : {make_direct_conv, make_frame_conv}) {
      set_num_threads(1);
      const Buffer one = testing::run_kernel(*make(g, pass), in, DType::Float32, size);
      for (const int threads : {2, 3, 7}) {
        set_num_threads(threads);
        const auto kernel = make(g, pass);
        const Buffer many = testing::run_kernel(*kernel, in, DType::Float32, size);
        EXPECT_EQ(std::memcmp(one.data(), many.data(), one.bytes()), 0) << threads << " threads, " << kernel->describe();
      }
    }
  }
  set_num_threads(before);
}

TEST(DirectConv, OtherDtypesHaveNone) {
  ConvGeometry g;
  g.n = g.c = g.o = 2, g.dtype = DType::Float64;
  EXPECT_EQ(make_direct_conv(g, ConvPass::Forward), nullptr);
  EXPECT_EQ(make_frame_conv(g, ConvPass::BackwardFilter), nullptr);
}

}  // namespace
}  // namespace keras::cpu
