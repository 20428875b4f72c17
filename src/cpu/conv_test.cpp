// What lives here: convolutions and their gradients against slow loops.
#include "cpu/conv.h"

#include <array>
#include <atomic>
#include <thread>

#include <keras/base/error.h>

#include "cpu/dnnl_test_util.h"

namespace keras::cpu {
namespace {
using testing::Buffer;
using Act = Epilogue::Act;

// Calls f(x index, w index, y index) for every product of the convolution.
template <class F> void for_each_product(const ConvDesc& d, F&& f) {
  const int rank = d.x.rank() - 2;
  std::array<int64_t, 3> in{1, 1, 1}, k{1, 1, 1}, out{1, 1, 1}, s{1, 1, 1}, dl{1, 1, 1}, lo{0, 0, 0};
  for (int i = 0; i < rank; ++i) {
    const size_t a = static_cast<size_t>(3 - rank + i), b = static_cast<size_t>(i);
    in[a] = d.x[i + 1], k[a] = d.w[i], out[a] = d.y[i + 1], s[a] = d.strides[b], dl[a] = d.dilations[b], lo[a] = d.pad_lo[b];
  }
  const int64_t c = d.x.back(), o = d.w.back(), cg = c / d.groups, og = o / d.groups;
  for (int64_t n = 0; n < d.x[0]; ++n)
    for (int64_t a = 0; a < out[0]; ++a)
      for (int64_t b = 0; b < out[1]; ++b)
        for (int64_t e = 0; e < out[2]; ++e)
          for (int64_t ka = 0; ka < k[0]; ++ka)
            for (int64_t kb = 0; kb < k[1]; ++kb)
              for (int64_t ke = 0; ke < k[2]; ++ke) {
                const int64_t ia = a * s[0] + ka * dl[0] - lo[0], ib = b * s[1] + kb * dl[1] - lo[1], ie = e * s[2] + ke * dl[2] - lo[2];
                if (ia < 0 || ia >= in[0] || ib < 0 || ib >= in[1] || ie < 0 || ie >= in[2]) continue;
                const int64_t x0 = (((n * in[0] + ia) * in[1] + ib) * in[2] + ie) * c, w0 = ((ka * k[1] + kb) * k[2] + ke) * cg * o;
                const int64_t y0 = (((n * out[0] + a) * out[1] + b) * out[2] + e) * o;
                for (int64_t q = 0; q < d.groups; ++q)
                  for (int64_t ci = 0; ci < cg; ++ci)
                    for (int64_t oi = q * og; oi < (q + 1) * og; ++oi) f(x0 + q * cg + ci, w0 + ci * o + oi, y0 + oi);
              }
}

std::vector<double> doubles(const Buffer& b) {
  std::vector<double> v(static_cast<size_t>(b.size()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = b.at(static_cast<int64_t>(i));
  return v;
}

struct Options {
  std::vector<int64_t> strides{}, dilations{}, lo{}, hi{};
  int64_t groups = 1;
  Epilogue epilogue{};
  bool gradients = true;
};

ConvDesc describe(DType dtype, Shape x, Shape w, Options o) {
  const size_t r = x.size() - 2;
  const auto or_else = [&](std::vector<int64_t> v, int64_t value) { return v.empty() ? std::vector<int64_t>(r, value) : v; };
  ConvDesc d{dtype,    std::move(x), std::move(w), {}, or_else(o.strides, 1), or_else(o.dilations, 1), or_else(o.lo, 0), or_else(o.hi, 0),
             o.groups, o.epilogue};
  d.y = conv_shape(d);
  return d;
}

void check(DType dtype, Shape xs, Shape ws, Options o) {
  const ConvDesc d = describe(dtype, std::move(xs), std::move(ws), o);
  const Buffer x = testing::random_buffer(dtype, d.x.numel(), 1), w = testing::random_buffer(dtype, d.w.numel(), 2),
               dy = testing::random_buffer(dtype, d.y.numel(), 3);
  const Buffer bias = testing::random_buffer(dtype, d.w.back(), 4), add = testing::random_buffer(dtype, d.y.numel(), 5);
  const std::vector<double> vx = doubles(x), vw = doubles(w), vdy = doubles(dy);
  std::vector<double> y(vdy.size()), dx(vx.size()), dw(vw.size());
  for_each_product(d, [&](int64_t i, int64_t j, int64_t k) {
    const size_t a = static_cast<size_t>(i), b = static_cast<size_t>(j), c = static_cast<size_t>(k);
    y[c] += vx[a] * vw[b];
    dx[a] += vdy[c] * vw[b];
    dw[b] += vdy[c] * vx[a];
  });
  for (size_t i = 0; i < y.size(); ++i) {
    if (o.epilogue.bias) y[i] += bias.at(static_cast<int64_t>(i) % d.w.back());
    if (o.epilogue.add) y[i] += add.at(static_cast<int64_t>(i));
    y[i] = testing::activation(o.epilogue, testing::wrapped(dtype, y[i]));
  }
  for (std::vector<double>* v : {&dx, &dw}) {
    for (double& e : *v) e = testing::wrapped(dtype, e);
  }
  // What is summed: random walks of that many steps; Winograd's transforms lose a few bits.
  const double steps = static_cast<double>(d.w.numel()) / static_cast<double>(d.w.back());
  const auto noise = [](const engine::Kernel& k) { return std::string(k.describe()).find("wino") == std::string::npos ? 1.0 : 8.0; };
  const std::string what = std::string(dtype_name(dtype)) + " x " + d.x.str() + " w " + d.w.str() + ": ";
  {
    const auto k = make_conv(d);
    SCOPED_TRACE(what + k->describe());
    std::vector<const Buffer*> in{&x, &w};
    if (o.epilogue.bias) in.push_back(&bias);
    if (o.epilogue.add) in.push_back(&add);
    testing::expect_close(testing::run_kernel(*k, in, dtype, d.y.numel()), y, dtype, noise(*k) * (std::sqrt(steps) + 1), "y");
    if (const size_t bytes = k->prepared_bytes(1)) {
      k->take_prepared(1);
      SCOPED_TRACE(std::string("prepared: ") + k->describe());
      const Buffer form = testing::prepared(*k, 1, w, bytes);
      in[1] = &form;
      testing::expect_close(testing::run_kernel(*k, in, dtype, d.y.numel()), y, dtype, noise(*k) * (std::sqrt(steps) + 1), "y");
    }
  }
  if (!o.gradients) return;
  {
    const auto k = make_conv_backward_input(d);
    SCOPED_TRACE(what + k->describe());
    testing::expect_close(testing::run_kernel(*k, {&dy, &w}, dtype, d.x.numel()), dx, dtype,
                          noise(*k) * (std::sqrt(static_cast<double>(d.w.numel())) / 2 + 1), "dx");
  }
  {
    const auto k = make_conv_backward_filter(d);
    SCOPED_TRACE(what + k->describe());
    testing::expect_close(testing::run_kernel(*k, {&x, &dy}, dtype, d.w.numel()), dw, dtype,
                          noise(*k) * (std::sqrt(static_cast<double>(d.y.numel() / d.y.back())) + 1), "dw");
  }
}

class ConvOf : public ::testing::TestWithParam<DType> {};

TEST_P(ConvOf, TwoAxes) {
  const DType t = GetParam();
  check(t, {2, 7, 9, 3}, {3, 3, 3, 5}, {});
  check(t, {2, 7, 9, 3}, {3, 3, 3, 5}, {.lo = {1, 1}, .hi = {1, 1}});
  check(t, {3, 8, 8, 16}, {3, 3, 16, 32}, {.strides = {2, 2}, .lo = {0, 0}, .hi = {1, 1}});  // "same" of even sizes
  check(t, {3, 9, 8, 16}, {5, 3, 16, 8}, {.strides = {1, 2}, .lo = {2, 0}, .hi = {2, 1}});
  check(t, {2, 11, 10, 8}, {3, 2, 8, 8}, {.dilations = {2, 3}, .lo = {2, 1}, .hi = {2, 2}});
  check(t, {2, 6, 6, 10}, {1, 1, 10, 12}, {});  // a product
  check(t, {2, 7, 6, 10}, {1, 1, 10, 12}, {.strides = {2, 2}});
  check(t, {2, 5, 5, 4}, {5, 5, 4, 3}, {});
  check(t, {5, 12, 12, 1}, {3, 3, 1, 32}, {});
  check(t, {2, 8, 7, 6}, {4, 4, 6, 5}, {.strides = {3, 3}, .lo = {1, 2}, .hi = {2, 1}});
  check(t, {1, 3, 3, 2}, {2, 2, 2, 2}, {.strides = {2, 1}});  // rows that no output reads
}

TEST_P(ConvOf, OneAxisAndThree) {
  const DType t = GetParam();
  check(t, {3, 17, 4}, {5, 4, 6}, {.lo = {4}});  // causal
  check(t, {2, 20, 16}, {3, 16, 16}, {.dilations = {4}, .lo = {8}});
  check(t, {2, 21, 3}, {4, 3, 8}, {.strides = {2}, .lo = {1}, .hi = {2}});
  check(t, {2, 5, 6, 7, 3}, {3, 2, 3, 3, 4}, {.lo = {1, 0, 1}, .hi = {1, 1, 1}});
  check(t, {1, 6, 6, 6, 8}, {2, 2, 2, 8, 16}, {.strides = {2, 2, 2}});
}

TEST_P(ConvOf, Groups) {
  const DType t = GetParam();
  check(t, {2, 7, 7, 16}, {3, 3, 1, 16}, {.lo = {1, 1}, .hi = {1, 1}, .groups = 16});  // depthwise
  check(t, {2, 9, 8, 32}, {3, 3, 1, 32}, {.strides = {2, 2}, .lo = {0, 0}, .hi = {1, 1}, .groups = 32});
  check(t, {2, 7, 7, 5}, {3, 3, 1, 15}, {.lo = {1, 1}, .hi = {1, 1}, .groups = 5});  // depth multiplier 3
  check(t, {2, 7, 6, 12}, {3, 3, 4, 9}, {.lo = {1, 1}, .hi = {1, 1}, .groups = 3});
  check(t, {2, 7, 6, 32}, {3, 3, 16, 32}, {.groups = 2});
  check(t, {2, 5, 5, 8}, {1, 1, 4, 6}, {.groups = 2});
  check(t, {2, 15, 8}, {3, 1, 8}, {.dilations = {2}, .lo = {2}, .hi = {2}, .groups = 8});
  check(t, {1, 4, 5, 6, 6}, {3, 3, 3, 1, 6}, {.lo = {1, 1, 1}, .hi = {1, 1, 1}, .groups = 6});
}

TEST_P(ConvOf, Epilogues) {
  const DType t = GetParam();
  for (const bool bias : {false, true}) {
    for (const bool add : {false, true}) {
      for (const Act act :
           is_floating(t) ? std::vector<Act>{Act::None, Act::Relu, Act::Gelu, Act::Tanh} : std::vector<Act>{Act::None, Act::Relu}) {
        const Epilogue e{.bias = bias, .act = act, .alpha = act == Act::Relu && add && is_floating(t) ? 0.1f : 0.0f, .add = add};
        check(t, {3, 6, 6, 8}, {3, 3, 8, 16}, {.lo = {1, 1}, .hi = {1, 1}, .epilogue = e, .gradients = false});
        check(t, {3, 6, 6, 8}, {1, 1, 8, 16}, {.epilogue = e, .gradients = false});
        check(t, {3, 6, 6, 8}, {3, 3, 1, 8}, {.groups = 8, .epilogue = e, .gradients = false});
      }
    }
  }
}

TEST_P(ConvOf, CropsAndEmptySizes) {
  const DType t = GetParam();
  check(t, {2, 8, 8, 3}, {3, 3, 3, 4}, {.lo = {-1, 1}, .hi = {0, -2}});
  check(t, {0, 8, 8, 3}, {3, 3, 3, 4}, {});
  check(t, {2, 2, 2, 3}, {3, 3, 3, 4}, {});
  check(t, {2, 4, 4, 0}, {3, 3, 0, 4}, {.epilogue = {.bias = true}});
}

INSTANTIATE_TEST_SUITE_P(Conv, ConvOf,
                         ::testing::Values(DType::Float32, DType::Float64, DType::BFloat16, DType::Float16, DType::Int32, DType::Int8),
                         [](const auto& info) { return std::string(dtype_name(info.param)); });

TEST(Conv, LargeOnesInPieces) {
  check(DType::Float32, {4, 30, 30, 32}, {3, 3, 32, 32},
        {.lo = {1, 1}, .hi = {1, 1}, .epilogue = {.bias = true, .act = Act::Relu, .add = true}});  // Winograd
  check(DType::Float32, {9, 14, 14, 64}, {3, 3, 64, 64}, {.lo = {1, 1}, .hi = {1, 1}, .epilogue = {.bias = true}});
  check(DType::Float32, {3, 16, 17, 40}, {3, 3, 40, 50}, {.lo = {0, 1}, .hi = {1, 0}});  // its padding to whole blocks
  check(DType::Float32, {1, 40, 40, 32}, {5, 5, 32, 16},
        {.lo = {2, 2}, .hi = {2, 2}, .epilogue = {.bias = true, .act = Act::Relu}});  // rows
  check(DType::Float32, {2, 33, 20, 32}, {5, 3, 32, 32},
        {.strides = {2, 1}, .dilations = {1, 2}, .lo = {1, 2}, .hi = {2, 2}, .epilogue = {.add = true}});
  check(DType::Float32, {33, 12, 12, 16}, {3, 3, 16, 16}, {});
  check(DType::Float32, {20, 28, 28, 1}, {3, 3, 1, 32}, {.epilogue = {.bias = true, .act = Act::Relu}});
  check(DType::Float32, {8, 20, 20, 64}, {3, 3, 1, 64}, {.lo = {1, 1}, .hi = {1, 1}, .groups = 64});
  check(DType::BFloat16, {9, 14, 14, 32}, {3, 3, 32, 32}, {.lo = {1, 1}, .hi = {1, 1}, .epilogue = {.bias = true, .act = Act::Relu}});
}

TEST(Conv, WinogradOfKeptWeights) {
  const Options same{.lo = {1, 1}, .hi = {1, 1}, .epilogue = {.bias = true, .act = Act::Relu, .add = true}, .gradients = false};
  for (const int64_t size : {14, 15, 17, 28, 30}) check(DType::Float32, {1, size, size, 48}, {3, 3, 48, 32}, same);  // one image in two halves
  check(DType::Float32, {1, 26, 20, 32}, {3, 3, 32, 64}, {.epilogue = {.bias = true}, .gradients = false});
  check(DType::Float32, {3, 9, 9, 64}, {3, 3, 64, 64}, same);
  check(DType::Float32, {5, 14, 14, 40}, {3, 3, 40, 50}, same);
}

TEST(Conv, NanStaysNan) {
  const ConvDesc d = describe(DType::Float32, {1, 6, 6, 8}, {3, 3, 8, 16}, {.epilogue = {.act = Act::Relu}});
  Buffer x = testing::random_buffer(DType::Float32, d.x.numel(), 1), w = testing::random_buffer(DType::Float32, d.w.numel(), 2);
  x.set(0, NAN);
  const Buffer y = testing::run_kernel(*make_conv(d), {&x, &w}, DType::Float32, d.y.numel());
  EXPECT_TRUE(std::isnan(y.at(0)));
  EXPECT_FALSE(std::isnan(y.at(d.y.numel() - 1)));
}

TEST(Conv, OneKernelFromManyThreads) {
  const ConvDesc d = describe(DType::Float32, {8, 14, 14, 32}, {3, 3, 32, 32}, {.lo = {1, 1}, .hi = {1, 1}});
  const Buffer x = testing::random_buffer(DType::Float32, d.x.numel(), 1), w = testing::random_buffer(DType::Float32, d.w.numel(), 2),
               dy = testing::random_buffer(DType::Float32, d.y.numel(), 3);
  const auto forward = make_conv(d), filter = make_conv_backward_filter(d);
  const Buffer y = testing::run_kernel(*forward, {&x, &w}, DType::Float32, d.y.numel()),
               dw = testing::run_kernel(*filter, {&x, &dy}, DType::Float32, d.w.numel());
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Buffer scratch(DType::UInt8, static_cast<int64_t>(std::max(forward->scratch_bytes(), filter->scratch_bytes()))),
          out(DType::Float32, std::max(y.size(), dw.size()));
      for (int i = 0; i < 10; ++i) {
        void *in[] = {x.data(), w.data()}, *in2[] = {x.data(), dy.data()}, *to[] = {out.data()};
        forward->run(in, to, scratch.data());
        if (std::memcmp(out.data(), y.data(), y.bytes()) != 0) ++bad;
        filter->run(in2, to, scratch.data());
        if (std::memcmp(out.data(), dw.data(), dw.bytes()) != 0) ++bad;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(bad.load(), 0);
}

TEST(Conv, RefusesWhatDoesNotFit) {
  ConvDesc d = describe(DType::Float32, {1, 6, 6, 8}, {3, 3, 8, 16}, {});
  d.y = {1, 5, 4, 16};
  EXPECT_THROW(make_conv(d), ValueError);
  d = describe(DType::Float32, {1, 6, 6, 8}, {3, 3, 8, 16}, {});
  d.groups = 3;
  EXPECT_THROW(make_conv(d), ValueError);
  d.groups = 1;
  d.strides = {1};
  EXPECT_THROW(make_conv(d), ValueError);
}

}  // namespace
}  // namespace keras::cpu
