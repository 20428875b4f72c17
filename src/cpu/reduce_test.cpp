// What lives here: reductions against element-by-element references in float64 or integers, all dtypes, layouts and sizes.
#include "cpu/reduce.h"

#include <keras/base/error.h>

#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

namespace keras::cpu {
namespace {

template <class T> T make(double v) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return T(static_cast<float>(v));
  else if constexpr (std::is_same_v<T, bool>) return v != 0;
  else return static_cast<T>(static_cast<std::conditional_t<std::is_floating_point_v<T>, double, int64_t>>(v));
}
template <class T> double real(T v) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return static_cast<float>(v);
  else return static_cast<double>(v);
}
template <class T> constexpr bool kFloat = is_floating(dtype_of_v<T>);

// Plain storage: std::vector<bool> has no data().
template <class T> struct Array {
  explicit Array(int64_t n) : n_(n), p_(new T[static_cast<size_t>(n) + 1]()) {}
  T& operator[](int64_t i) { return p_[static_cast<size_t>(i)]; }
  int64_t n_;
  std::unique_ptr<T[]> p_;
};
void run(const engine::Kernel& k, const void* in, void* out) {
  std::vector<uint64_t> scratch(k.scratch_bytes() / 8 + 1);
  void* src[] = {const_cast<void*>(in)};
  void* dst[] = {out};
  k.run(src, dst, scratch.data());
}

template <class T> Array<T> random_array(int64_t n, ReduceOp op, uint32_t seed) {
  std::mt19937 g(seed);
  Array<T> a(n);
  for (int64_t i = 0; i < n; ++i) {
    double v;
    if (!kFloat<T>)
      v = static_cast<double>(g() % (std::is_same_v<T, bool>      ? 2
                                     : is_unsigned(dtype_of_v<T>) ? 200
                                                                  : 128)) -
          (is_signed_integer(dtype_of_v<T>) ? 64 : 0);
    else if (op == ReduceOp::Prod) v = 1 + (static_cast<double>(g() % 2001) - 1000) / 100000;
    else v = (static_cast<double>(g() % 2001) - 1000) / 512;
    if (op == ReduceOp::Prod && !kFloat<T> && !std::is_same_v<T, bool>) v = static_cast<int64_t>(v) | 1;
    a[i] = make<T>(v);
  }
  return a;
}

template <class T> uint64_t bits(T v) {
  uint64_t b = 0;
  std::memcpy(&b, &v, sizeof(T));
  return b;
}

// Where output `o` and its elements are: calls f(output index, input index) for each input.
void pairs(const Shape& in, const std::vector<int>& axes, const std::function<void(int64_t, int64_t)>& f) {
  std::vector<bool> reduced(in.size());
  for (int a : axes) reduced[static_cast<size_t>(normalize_axis(a, in.rank()))] = true;
  for (int64_t i = 0; i < in.numel(); ++i) {
    int64_t o = 0, stride = 1, rest = i;
    for (size_t d = in.size(); d-- > 0;) {
      const int64_t n = in.dims()[d], at = rest % n;
      rest /= n;
      if (reduced[d]) continue;
      o += at * stride;
      stride *= n;
    }
    f(o, i);
  }
}

template <class T> void check_reduce(ReduceOp op, const Shape& in, const std::vector<int>& axes) {
  SCOPED_TRACE(std::string(dtype_name(dtype_of_v<T>)) + " " + in.str() + " op " + std::to_string(static_cast<int>(op)));
  Array<T> x = random_array<T>(in.numel(), op, static_cast<uint32_t>(in.numel()) + 7);
  Shape out = in;
  std::vector<bool> reduced(in.size());
  for (int a : axes) reduced[static_cast<size_t>(normalize_axis(a, in.rank()))] = true;
  for (int d = in.rank(); d-- > 0;)
    if (reduced[static_cast<size_t>(d)]) out.erase(d);
  const int64_t n = out.numel();
  Array<T> y(n);
  auto k = make_reduce(op, dtype_of_v<T>, in, axes);
  run(*k, x.p_.get(), y.p_.get());
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> want(static_cast<size_t>(n), op == ReduceOp::Sum    ? 0.
                                                   : op == ReduceOp::Prod ? 1.
                                                   : op == ReduceOp::Max  ? -inf
                                                                          : inf),
      size(static_cast<size_t>(n), 0.);
  std::vector<uint64_t> whole(static_cast<size_t>(n), op == ReduceOp::Prod ? 1 : op == ReduceOp::And ? ~uint64_t{0} : 0);
  pairs(in, axes, [&](int64_t o, int64_t i) {
    const auto u = static_cast<size_t>(o);
    const double v = real(x[i]);
    if constexpr (!kFloat<T>) {
      const auto b = static_cast<uint64_t>(x[i]);
      if (op == ReduceOp::Sum) whole[u] = std::is_same_v<T, bool> ? whole[u] | b : whole[u] + b;
      if (op == ReduceOp::Prod) whole[u] *= b;
      if (op == ReduceOp::And) whole[u] &= b;
      if (op == ReduceOp::Or) whole[u] |= b;
    }
    if (op == ReduceOp::Sum) want[u] += v, size[u] += std::abs(v);
    if (op == ReduceOp::Prod) want[u] *= v, size[u] = std::abs(want[u]);
    if (op == ReduceOp::Max) want[u] = std::max(want[u], v);
    if (op == ReduceOp::Min) want[u] = std::min(want[u], v);
  });
  const uint64_t mask = sizeof(T) == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * sizeof(T))) - 1;
  for (int64_t o = 0; o < n; ++o) {
    const auto u = static_cast<size_t>(o);
    if (op == ReduceOp::Max || op == ReduceOp::Min) {
      ASSERT_EQ(real(y[o]), want[u]) << o << " " << k->describe();
    } else if (!kFloat<T>) {
      ASSERT_EQ(bits(y[o]), whole[u] & mask) << o << " " << k->describe();
    } else {
      const double round = sizeof(T) == 2 ? (std::is_same_v<T, half_t> ? 1. / 1024 : 1. / 128) * std::abs(want[u]) : 0;
      const double eps = sizeof(T) == 8 ? 1e-14 : op == ReduceOp::Prod ? 1e-4 : 1e-6;
      ASSERT_NEAR(real(y[o]), want[u], round + eps * size[u] + 1e-30) << o << " " << k->describe();
    }
  }
}

struct Layout {
  Shape in;
  std::vector<int> axes;
};
const std::vector<Layout> kLayouts = {{{}, {}},
                                      {{1}, {0}},
                                      {{5}, {0}},
                                      {{5}, {}},
                                      {{1000}, {0}},
                                      {{7, 33}, {1}},
                                      {{33, 7}, {0}},
                                      {{100, 3}, {0}},
                                      {{700, 3}, {0}},
                                      {{3, 700}, {1}},
                                      {{9, 130}, {0}},
                                      {{4, 5, 6}, {1}},
                                      {{4, 5, 6}, {0, 2}},
                                      {{4, 5, 6}, {0, 1, 2}},
                                      {{4, 5, 6}, {-1}},
                                      {{2, 8, 9, 5}, {0, 2, 3}},
                                      {{2, 8, 9, 5}, {0, 1, 2}},
                                      {{3, 1, 4}, {1}},
                                      {{2, 3, 2, 3, 2}, {0, 2, 4}},
                                      {{2, 3, 2, 3, 2}, {1, 3}},
                                      {{80, 1030}, {0}},
                                      {{2, 300, 40}, {1}}};

TEST(Reduce, AllOperationsDtypesAndLayouts) {
  for (int d = 0; d < kNumDTypes; ++d)
    visit_dtype(static_cast<DType>(d), [&](auto tag) {
      using T = decltype(tag);
      for (ReduceOp op : {ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min, ReduceOp::And, ReduceOp::Or}) {
        if (kFloat<T> && (op == ReduceOp::And || op == ReduceOp::Or)) {
          EXPECT_THROW(make_reduce(op, dtype_of_v<T>, {2}, {0}), TypeError);
          continue;
        }
        for (const Layout& l : kLayouts) check_reduce<T>(op, l.in, l.axes);
      }
    });
}

TEST(Reduce, LargeOnesThatSplit) {
  for (const Layout& l : std::vector<Layout>{{{300000}, {0}},
                                             {{30000, 10}, {0}},
                                             {{2, 90000}, {1}},
                                             {{16, 8, 33, 40}, {0, 2, 3}},
                                             {{40, 33, 8, 20}, {0, 1, 2}},
                                             {{3000, 70}, {0}},
                                             {{200, 1500}, {0, 1}}}) {
    check_reduce<float>(ReduceOp::Sum, l.in, l.axes);
    check_reduce<float>(ReduceOp::Max, l.in, l.axes);
    check_reduce<bfloat16_t>(ReduceOp::Sum, l.in, l.axes);
    check_reduce<double>(ReduceOp::Sum, l.in, l.axes);
    check_reduce<int32_t>(ReduceOp::Sum, l.in, l.axes);
  }
}

TEST(Reduce, FloatSumsAreAccurate) {
  // 0.1f added 2^22 times one after the other in float32 is off by 4 %.
  for (const Layout& l : std::vector<Layout>{{{1 << 22}, {0}}, {{1 << 20, 4}, {0}}, {{1 << 12, 1 << 10}, {0}}}) {
    Array<float> x(l.in.numel()), y(2000);
    std::fill_n(x.p_.get(), l.in.numel(), 0.1f);
    run(*make_reduce(ReduceOp::Sum, float32, l.in, l.axes), x.p_.get(), y.p_.get());
    const double want = static_cast<double>(0.1f) * static_cast<double>(l.in[0]);
    EXPECT_NEAR(y[0], want, want * 1e-6);
  }
}

TEST(Reduce, HalvesConvertExactly) {
  Array<half_t> x(65536), y(65536);
  for (int64_t i = 0; i < 65536; ++i) x[i].bits = static_cast<uint16_t>(i);
  run(*make_reduce(ReduceOp::Max, float16, {1, 65536}, {0}), x.p_.get(), y.p_.get());  // a copy
  Array<half_t> twice(2 * 65536);
  for (int64_t i = 0; i < 65536; ++i) twice[i] = twice[i + 65536] = x[i];
  run(*make_reduce(ReduceOp::Min, float16, {2, 65536}, {0}), twice.p_.get(), y.p_.get());
  for (int64_t i = 0; i < 65536; ++i) {
    const float f = x[i];
    if (f == f) ASSERT_EQ(y[i].bits, x[i].bits);
    else ASSERT_TRUE(std::isnan(static_cast<float>(y[i])));
  }
}

TEST(Reduce, NaNPropagates) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (ReduceOp op : {ReduceOp::Max, ReduceOp::Min, ReduceOp::Sum})
    for (int64_t n : {1, 3, 20, 40, 100, 5000})
      for (int64_t at : {int64_t{0}, n / 2, n - 1}) {
        Array<float> x(n * 3), y(3);
        x[at] = nan;
        run(*make_reduce(op, float32, {n}, {0}), x.p_.get(), y.p_.get());
        ASSERT_TRUE(std::isnan(y[0])) << n << " " << at;
        std::fill_n(x.p_.get(), n * 3, 1.f);
        x[at * 3 + 1] = nan;
        run(*make_reduce(op, float32, {n, 3}, {0}), x.p_.get(), y.p_.get());
        ASSERT_TRUE(std::isnan(y[1]) && y[0] == y[0] && y[2] == y[2]) << n << " " << at;
      }
}

TEST(Reduce, EmptyArraysGiveTheIdentity) {
  Array<float> x(0), y(3);
  const float inf = std::numeric_limits<float>::infinity();
  for (auto [op, want] : {std::pair{ReduceOp::Sum, 0.f}, {ReduceOp::Prod, 1.f}, {ReduceOp::Max, -inf}, {ReduceOp::Min, inf}}) {
    run(*make_reduce(op, float32, {0, 3}, {0}), x.p_.get(), y.p_.get());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(y[i], want);
  }
  Array<int32_t> z(2);
  run(*make_reduce(ReduceOp::Max, int32, {2, 0}, {1}), x.p_.get(), z.p_.get());
  EXPECT_EQ(z[1], std::numeric_limits<int32_t>::min());
  run(*make_reduce(ReduceOp::And, int32, {2, 0}, {1}), x.p_.get(), z.p_.get());
  EXPECT_EQ(z[0], -1);
  run(*make_reduce(ReduceOp::Sum, float32, {0, 3}, {1}), x.p_.get(), y.p_.get());
}

TEST(Reduce, SameBitsForAnyNumberOfThreads) {
  const int before = num_threads();
  for (const Layout& l : std::vector<Layout>{{{1 << 20}, {0}}, {{1 << 16, 12}, {0}}, {{64, 16, 256}, {0, 2}}}) {
    Array<float> x = random_array<float>(l.in.numel(), ReduceOp::Sum, 3), a(16), b(16);
    auto k = make_reduce(ReduceOp::Sum, float32, l.in, l.axes);
    set_num_threads(1);
    run(*k, x.p_.get(), a.p_.get());
    set_num_threads(4);
    run(*k, x.p_.get(), b.p_.get());
    const size_t outs = l.in.rank() == 1 ? 1 : l.in.rank() == 2 ? 12 : 16;
    EXPECT_EQ(std::memcmp(a.p_.get(), b.p_.get(), outs * sizeof(float)), 0) << k->describe();
  }
  set_num_threads(before);
}

TEST(Reduce, BadRequests) {
  EXPECT_THROW(make_reduce(ReduceOp::Sum, float32, {2, 3}, {2}), ValueError);
  EXPECT_THROW(make_reduce(ReduceOp::Sum, float32, {2, 3}, {1, -1}), ValueError);
  EXPECT_THROW(make_reduce(ReduceOp::Sum, float32, {None, 3}, {1}), ValueError);
  EXPECT_THROW(make_arg_reduce(true, float32, int32, {2, 0}, 1), ValueError);
  EXPECT_THROW(make_arg_reduce(true, float32, float32, {2, 2}, 1), TypeError);
  EXPECT_THROW(make_cumulative(ReduceOp::And, int32, {2}, 0), ValueError);
}

TEST(ArgReduce, AllDtypesFirstOccurrence) {
  for (int d = 0; d < kNumDTypes; ++d)
    visit_dtype(static_cast<DType>(d), [&](auto tag) {
      using T = decltype(tag);
      for (const auto& [in, axis] : std::vector<std::pair<Shape, int>>{
               {{9}, 0}, {{6, 40}, 1}, {{40, 6}, 0}, {{3, 50, 300}, 1}, {{3, 4, 5}, -1}, {{0, 3}, 1}, {{3, 0}, 0}})
        for (bool max : {true, false}) {
          Array<T> x = random_array<T>(in.numel(), ReduceOp::Max, 5);
          const int a = normalize_axis(axis, in.rank());
          const int64_t n = in[a], inner = in.slice(a + 1).numel(), outs = in.slice(0, a).numel() * inner;
          Array<int32_t> y(outs);
          Array<int64_t> z(outs);
          run(*make_arg_reduce(max, dtype_of_v<T>, int32, in, axis), x.p_.get(), y.p_.get());
          run(*make_arg_reduce(max, dtype_of_v<T>, int64, in, axis), x.p_.get(), z.p_.get());
          for (int64_t o = 0; o < outs; ++o) {
            const int64_t base = o / inner * n * inner + o % inner;
            int64_t best = 0;
            for (int64_t i = 1; i < n; ++i) {
              const double v = real(x[base + i * inner]), b = real(x[base + best * inner]);
              if (max ? v > b : v < b) best = i;
            }
            ASSERT_EQ(y[o], best) << in.str() << dtype_name(dtype_of_v<T>);
            ASSERT_EQ(z[o], best);
          }
        }
    });
}

TEST(ArgReduce, TheFirstNaNWins) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float x[] = {1, nan, 5, nan, 2, 0, 7, 0};
  int32_t y[2];
  run(*make_arg_reduce(true, float32, int32, {4}, 0), x, y);
  EXPECT_EQ(y[0], 1);
  run(*make_arg_reduce(false, float32, int32, {4, 2}, 0), x, y);  // columns (1, 5, 2, 7), (nan, nan, 0, 0)
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
}

TEST(Cumulative, AllDtypesDirectionsAndOperations) {
  for (int d = 0; d < kNumDTypes; ++d)
    visit_dtype(static_cast<DType>(d), [&](auto tag) {
      using T = decltype(tag);
      for (const auto& [in, axis] :
           std::vector<std::pair<Shape, int>>{{{9}, 0}, {{6, 20}, 1}, {{20, 6}, 0}, {{3, 5, 300}, 1}, {{0, 3}, 0}, {{3, 0}, 0}})
        for (ReduceOp op : {ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min})
          for (int mode = 0; mode < 4; ++mode) {
            const bool reverse = mode & 1, exclusive = mode & 2;
            Array<T> x = random_array<T>(in.numel(), op, 5), y(in.numel()), first(1);
            auto k = make_cumulative(op, dtype_of_v<T>, in, axis, reverse, exclusive);
            run(*k, x.p_.get(), y.p_.get());
            run(*make_reduce(op, dtype_of_v<T>, {0}, {0}), x.p_.get(), first.p_.get());
            const int a = normalize_axis(axis, in.rank());
            const int64_t n = in[a], inner = in.slice(a + 1).numel();
            // Each element against make_reduce of the elements it stands for.
            for (int64_t e = 0; e < in.numel(); ++e) {
              const int64_t i = e / inner % n, base = e - i * inner;
              const int64_t lo = reverse ? i + exclusive : 0, hi = reverse ? n : i + !exclusive;
              if (lo >= hi) {
                ASSERT_EQ(bits(y[e]), bits(first[0]));
                continue;
              }
              Array<T> part(hi - lo), want(1);
              for (int64_t j = lo; j < hi; ++j) part[j - lo] = x[base + j * inner];
              double v = op == ReduceOp::Prod ? 1 : op == ReduceOp::Sum ? 0 : real(part[0]), size = 0;
              uint64_t b = op == ReduceOp::Prod;
              for (int64_t j = 0; j < hi - lo; ++j) {
                const double p = real(part[j]);
                size += std::abs(p);
                v = op == ReduceOp::Sum ? v + p : op == ReduceOp::Prod ? v * p : op == ReduceOp::Max ? std::max(v, p) : std::min(v, p);
                if constexpr (!kFloat<T>) {
                  if (op == ReduceOp::Sum) b += static_cast<uint64_t>(part[j]);
                  if (op == ReduceOp::Prod) b *= static_cast<uint64_t>(part[j]);
                }
              }
              if (op == ReduceOp::Max || op == ReduceOp::Min) ASSERT_EQ(real(y[e]), v);
              else if constexpr (std::is_same_v<T, bool>) ASSERT_EQ(y[e], b != 0);
              else if constexpr (!kFloat<T>) ASSERT_EQ(y[e], static_cast<T>(b));
              else
                ASSERT_NEAR(real(y[e]), v, (sizeof(T) == 2 ? 0.008 : sizeof(T) == 4 ? 1e-6 : 1e-14) * (std::abs(v) + size * 1e-2) + 1e-12);
            }
          }
    });
}

}  // namespace
}  // namespace keras::cpu
