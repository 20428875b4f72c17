// What lives here: pooling and its gradients against slow loops.
#include "cpu/pool.h"

#include <array>

#include <keras/base/error.h>

#include "cpu/dnnl_test_util.h"

namespace keras::cpu {
namespace {
using testing::Buffer;

// For each output and channel, the inputs of its window in row-major order.
template <class F> void for_each_window(const PoolDesc& d, F&& f) {
  const int rank = d.x.rank() - 2;
  std::array<int64_t, 3> in{1, 1, 1}, k{1, 1, 1}, out{1, 1, 1}, s{1, 1, 1}, lo{0, 0, 0};
  for (int i = 0; i < rank; ++i) {
    const size_t a = static_cast<size_t>(3 - rank + i), b = static_cast<size_t>(i);
    in[a] = d.x[i + 1], k[a] = d.window[b], out[a] = d.y[i + 1], s[a] = d.strides[b], lo[a] = d.pad_lo[b];
  }
  const int64_t c = d.x.back();
  std::vector<int64_t> window;
  for (int64_t n = 0; n < d.x[0]; ++n)
    for (int64_t a = 0; a < out[0]; ++a)
      for (int64_t b = 0; b < out[1]; ++b)
        for (int64_t e = 0; e < out[2]; ++e)
          for (int64_t ch = 0; ch < c; ++ch) {
            window.clear();
            for (int64_t ka = 0; ka < k[0]; ++ka)
              for (int64_t kb = 0; kb < k[1]; ++kb)
                for (int64_t ke = 0; ke < k[2]; ++ke) {
                  const int64_t ia = a * s[0] + ka - lo[0], ib = b * s[1] + kb - lo[1], ie = e * s[2] + ke - lo[2];
                  if (ia < 0 || ia >= in[0] || ib < 0 || ib >= in[1] || ie < 0 || ie >= in[2]) continue;
                  window.push_back((((n * in[0] + ia) * in[1] + ib) * in[2] + ie) * c + ch);
                }
            f((((n * out[0] + a) * out[1] + b) * out[2] + e) * c + ch, window);
          }
}

void check(DType dtype, Shape x_shape, std::vector<int64_t> window, std::vector<int64_t> strides, std::vector<int64_t> lo,
           std::vector<int64_t> hi) {
  PoolDesc d{true, dtype, std::move(x_shape), {}, std::move(window), std::move(strides), std::move(lo), std::move(hi)};
  d.y = pool_shape(d);
  SCOPED_TRACE(std::string(dtype_name(dtype)) + " x " + d.x.str() + " y " + d.y.str());
  Buffer x = testing::random_buffer(dtype, d.x.numel(), 1);
  const Buffer dy = testing::random_buffer(dtype, d.y.numel(), 2);
  for (int64_t i = 0; i < x.size(); i += 2) x.set(i, std::round(x.at(i) * 2) / 2);  // ties
  std::vector<double> max(static_cast<size_t>(d.y.numel())), avg(max.size()), dmax(static_cast<size_t>(d.x.numel())), davg(dmax.size());
  for_each_window(d, [&](int64_t o, const std::vector<int64_t>& w) {
    const size_t at = static_cast<size_t>(o);
    int64_t best = w[0];
    for (const int64_t i : w) {
      if (x.at(i) > x.at(best)) best = i;
      avg[at] += x.at(i);
    }
    avg[at] /= static_cast<double>(w.size());
    max[at] = x.at(best);
    dmax[static_cast<size_t>(best)] += dy.at(o);
    for (const int64_t i : w) davg[static_cast<size_t>(i)] += dy.at(o) / static_cast<double>(w.size());
  });
  testing::expect_close(testing::run_kernel(*make_pool(d), {&x}, dtype, d.y.numel()), max, dtype, 0, "max");
  if (dtype == DType::Bool) return;
  testing::expect_close(testing::run_kernel(*make_max_pool_backward(d), {&x, &dy}, dtype, d.x.numel()), dmax, dtype,
                        is_floating(dtype) ? 1 : 0, "max dx");
  if (!is_floating(dtype)) return;
  d.max = false;
  testing::expect_close(testing::run_kernel(*make_pool(d), {&x}, dtype, d.y.numel()), avg, dtype, 1, "average");
  testing::expect_close(testing::run_kernel(*make_avg_pool_backward(d), {&dy}, dtype, d.x.numel()), davg, dtype, 1, "average dx");
}

class PoolOf : public ::testing::TestWithParam<DType> {};

TEST_P(PoolOf, EveryForm) {
  const DType t = GetParam();
  check(t, {2, 8, 6, 5}, {2, 2}, {2, 2}, {0, 0}, {0, 0});
  check(t, {2, 9, 7, 33}, {2, 2}, {2, 2}, {0, 0}, {1, 1});  // "same"
  check(t, {2, 9, 7, 16}, {3, 3}, {1, 1}, {1, 1}, {1, 1});  // overlapping
  check(t, {1, 10, 9, 3}, {3, 2}, {2, 3}, {1, 0}, {1, 1});
  check(t, {1, 7, 7, 130}, {2, 2}, {3, 3}, {0, 0}, {0, 0});  // pixels in no window
  check(t, {1, 10, 10, 9}, {9, 9}, {1, 1}, {4, 4}, {4, 4});  // many pixels in a window
  check(t, {3, 17, 4}, {4}, {2}, {1}, {2});
  check(t, {3, 11, 1}, {11}, {1}, {0}, {0});
  check(t, {2, 5, 6, 4, 7}, {2, 3, 2}, {2, 1, 2}, {1, 1, 0}, {0, 1, 0});
}

INSTANTIATE_TEST_SUITE_P(Pool, PoolOf,
                         ::testing::Values(DType::Float32, DType::Float64, DType::BFloat16, DType::Float16, DType::Int32, DType::UInt8,
                                           DType::Int64, DType::Bool),
                         [](const auto& info) { return std::string(dtype_name(info.param)); });

TEST(Pool, LargeOnesOnTwoThreads) {
  check(DType::Float32, {6, 40, 40, 64}, {2, 2}, {2, 2}, {0, 0}, {0, 0});
  check(DType::Float32, {2, 30, 31, 200}, {3, 3}, {2, 2}, {0, 1}, {1, 1});
}

TEST(Pool, NanAndInfinity) {
  PoolDesc d{true, DType::Float32, {1, 4, 1}, {1, 2, 1}, {2}, {2}, {0}, {0}};
  Buffer x(DType::Float32, 4);
  x.set(0, NAN), x.set(1, 3), x.set(2, -INFINITY), x.set(3, -INFINITY);
  const Buffer y = testing::run_kernel(*make_pool(d), {&x}, DType::Float32, 2);
  EXPECT_TRUE(std::isnan(y.at(0)));
  EXPECT_EQ(y.at(1), -INFINITY);
}

TEST(Pool, EmptyAndRefused) {
  PoolDesc d{true, DType::Float32, {0, 4, 4, 2}, {0, 2, 2, 2}, {2, 2}, {2, 2}, {0, 0}, {0, 0}};
  testing::run_kernel(*make_pool(d), {}, DType::Float32, 0);
  d.y = {0, 3, 2, 2};
  EXPECT_THROW(make_pool(d), ValueError);
  d.y = {0, 2, 2, 2};
  d.strides = {2};
  EXPECT_THROW(make_pool(d), ValueError);
}

}  // namespace
}  // namespace keras::cpu
