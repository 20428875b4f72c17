// What lives here: gather and scatter against element-by-element references, over dtypes, index dtypes, modes and empty arrays.
#include "cpu/gather.h"

#include <keras/base/error.h>

#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace keras::cpu {
namespace {

template <class T> double real(T v) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return static_cast<float>(v);
  else return static_cast<double>(v);
}
template <class T> T make(double v) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return T(static_cast<float>(v));
  else return static_cast<T>(v);
}
template <class T> struct Array {
  explicit Array(int64_t n) : n_(n), p_(new T[static_cast<size_t>(n) + 1]()) {}
  Array(std::initializer_list<T> v) : Array(static_cast<int64_t>(v.size())) { std::copy(v.begin(), v.end(), p_.get()); }
  T& operator[](int64_t i) { return p_[static_cast<size_t>(i)]; }
  int64_t n_;
  std::unique_ptr<T[]> p_;
  void* data() { return p_.get(); }
};
template <class T> Array<T> small_numbers(int64_t n, uint32_t seed) {
  std::mt19937 g(seed);
  Array<T> a(n);
  for (int64_t i = 0; i < n; ++i) a[i] = make<T>(static_cast<double>(g() % 4) + (is_unsigned(dtype_of_v<T>) ? 0 : -1));
  return a;
}
void run(const engine::Kernel& k, std::vector<void*> in, void* out) {
  std::vector<uint64_t> scratch(k.scratch_bytes() / 8 + 1, 0xABABABABABABABABu);
  void* dst[] = {out};
  k.run(in.data(), dst, scratch.data());
}
template <class F> void each_dtype(F f) {
  for (int d = 0; d < kNumDTypes; ++d)
    visit_dtype(static_cast<DType>(d), [&](auto tag) {
      SCOPED_TRACE(dtype_name(static_cast<DType>(d)));
      f(tag);
    });
}
std::string message(const engine::Kernel& k, std::vector<void*> in, void* out) {
  try {
    run(k, std::move(in), out);
  } catch (const ValueError& e) { return e.what(); }
  return "no error";
}

struct Case {
  Shape operand, indices;
  int axis;
};
const std::vector<Case> kCases = {{{5}, {7}, 0},           {{5}, {}, 0},     {{6, 3}, {2, 4}, 0}, {{3, 6}, {9}, 1}, {{2, 5, 4}, {3}, -2},
                                  {{2, 5, 16}, {3, 2}, 1}, {{4, 3}, {0}, 0}, {{4, 0}, {3}, 0},    {{0, 4}, {3}, 1}, {{1000, 33}, {700}, 0}};

TEST(Gather, AndItsTransposeForAllDtypes) {
  each_dtype([&](auto tag) {
    using T = decltype(tag);
    for (const Case& c : kCases) {
      const int a = normalize_axis(c.axis, c.operand.rank());
      const int64_t outer = c.operand.slice(0, a).numel(), n = c.operand[a], inner = c.operand.slice(a + 1).numel(),
                    count = c.indices.numel(), cells = outer * count * inner;
      Array<T> x = small_numbers<T>(c.operand.numel(), 1), y(cells), u = small_numbers<T>(cells, 2), s(c.operand.numel());
      Array<int32_t> index(count);
      std::mt19937 g(3);
      for (int64_t i = 0; i < count; ++i) index[i] = static_cast<int32_t>(g() % static_cast<uint32_t>(2 * n)) - static_cast<int32_t>(n);
      run(*make_gather(dtype_of_v<T>, int32, c.operand, c.indices, c.axis), {x.data(), index.data()}, y.data());
      run(*make_scatter_add(dtype_of_v<T>, int32, c.operand, c.indices, c.axis), {index.data(), u.data()}, s.data());
      std::vector<double> sums(static_cast<size_t>(c.operand.numel()));
      for (int64_t o = 0; o < cells; ++o) {
        const int64_t b = o % inner, i = o / inner % count, at = index[i] < 0 ? index[i] + n : index[i],
                      from = (o / inner / count * n + at) * inner + b;
        ASSERT_EQ(real(y[o]), real(x[from])) << c.operand.str();
        sums[static_cast<size_t>(from)] += real(u[o]);
      }
      for (int64_t i = 0; i < c.operand.numel(); ++i) {
        const double want = sums[static_cast<size_t>(i)];
        if constexpr (std::is_same_v<T, bool>) ASSERT_EQ(s[i], want != 0);
        else ASSERT_EQ(real(s[i]), real(make<T>(want))) << c.operand.str();
      }
    }
  });
}

TEST(Gather, EveryIndexDtype) {
  Array<float> x{10, 11, 12, 13}, y(3);
  Array<int8_t> a{1, -1, 3};
  Array<uint16_t> b{1, 3, 3};
  Array<int64_t> c{1, -1, -4};
  run(*make_gather(float32, int8, {4}, {3}, 0), {x.data(), a.data()}, y.data());
  EXPECT_EQ(y[1], 13);
  run(*make_gather(float32, uint16, {4}, {3}, 0), {x.data(), b.data()}, y.data());
  EXPECT_EQ(y[2], 13);
  run(*make_gather(float32, int64, {4}, {3}, 0), {x.data(), c.data()}, y.data());
  EXPECT_EQ(y[2], 10);
  EXPECT_THROW(make_gather(float32, float32, {4}, {3}, 0), TypeError);
  EXPECT_THROW(make_gather(float32, int32, {4}, {3}, 1), ValueError);
}

TEST(Gather, OutOfRange) {
  Array<float> x{10, 11, 12, 13, 14, 15}, y(8), s(6);
  Array<int32_t> index{0, 3, -4, 2};
  const Shape operand{3, 2}, indices{2, 2};
  const std::string text = message(*make_gather(float32, int32, operand, indices, 0), {x.data(), index.data()}, y.data());
  EXPECT_NE(text.find("index 3 at position (0, 1) is outside axis 0 of size 3"), std::string::npos) << text;
  EXPECT_NE(text.find("from -3 to 2"), std::string::npos) << text;
  EXPECT_NE(message(*make_scatter_add(float32, int32, operand, indices, 0), {index.data(), y.data()}, s.data()).find("index 3"),
            std::string::npos);
  run(*make_gather(float32, int32, operand, indices, 0, OutOfRange::Clip), {x.data(), index.data()}, y.data());
  EXPECT_EQ(y[2], 14);
  EXPECT_EQ(y[4], 10);
  run(*make_gather(float32, int32, operand, indices, 0, OutOfRange::FillNaN), {x.data(), index.data()}, y.data());
  EXPECT_TRUE(std::isnan(y[2]) && std::isnan(y[5]));
  EXPECT_EQ(y[7], 15);
  Array<float> ones{1, 1, 1, 1, 1, 1, 1, 1};
  run(*make_scatter_add(float32, int32, operand, indices, 0, OutOfRange::FillNaN), {index.data(), ones.data()}, s.data());
  EXPECT_EQ(s[0] + s[1], 2);
  EXPECT_EQ(s[2] + s[3], 0);
  run(*make_scatter_add(float32, int32, operand, indices, 0, OutOfRange::Clip), {index.data(), ones.data()}, s.data());
  EXPECT_EQ(s[0], 2);
  EXPECT_EQ(s[5], 2);
  Array<int16_t> xi{1, 2, 3, 4, 5, 6}, yi(8);
  run(*make_gather(int16, int32, operand, indices, 0, OutOfRange::FillNaN), {xi.data(), index.data()}, yi.data());
  EXPECT_EQ(yi[2], -32768);
  Array<float> none(0);  // no index into nothing is right, any index is wrong
  EXPECT_NE(message(*make_gather(float32, int32, {0, 2}, indices, 0), {none.data(), index.data()}, y.data()).find("empty"),
            std::string::npos);
  EXPECT_NE(
      message(*make_gather(float32, int32, {0, 2}, indices, 0, OutOfRange::Clip), {none.data(), index.data()}, y.data()).find("empty"),
      std::string::npos);
  Array<uint64_t> huge{~uint64_t{0}};
  EXPECT_NE(message(*make_gather(float32, uint64, operand, {1}, 0), {x.data(), huge.data()}, y.data()).find("18446744073709551615"),
            std::string::npos);
}

TEST(Gather, AlongAxisAndItsTransposeForAllDtypes) {
  each_dtype([&](auto tag) {
    using T = decltype(tag);
    for (const Case& c : std::vector<Case>{{{5}, {7}, 0},
                                           {{3, 4}, {3, 2}, 1},
                                           {{3, 4}, {5, 4}, 0},
                                           {{2, 3, 70}, {2, 4, 70}, -2},
                                           {{3, 4}, {3, 0}, 1},
                                           {{0, 4}, {0, 2}, 1},
                                           {{60, 500}, {60, 300}, 1}}) {
      const int a = normalize_axis(c.axis, c.operand.rank());
      const int64_t n = c.operand[a], m = c.indices[a], inner = c.operand.slice(a + 1).numel(), cells = c.indices.numel();
      Array<T> x = small_numbers<T>(c.operand.numel(), 1), y(cells), u = small_numbers<T>(cells, 2), s(c.operand.numel());
      Array<int64_t> index(cells);
      std::mt19937 g(3);
      for (int64_t i = 0; i < cells; ++i) index[i] = static_cast<int64_t>(g() % static_cast<uint32_t>(2 * n)) - n;
      run(*make_take_along_axis(dtype_of_v<T>, int64, c.operand, c.indices, c.axis), {x.data(), index.data()}, y.data());
      run(*make_scatter_add_along_axis(dtype_of_v<T>, int64, c.operand, c.indices, c.axis), {index.data(), u.data()}, s.data());
      std::vector<double> sums(static_cast<size_t>(c.operand.numel()));
      for (int64_t o = 0; o < cells; ++o) {
        const int64_t at = index[o] < 0 ? index[o] + n : index[o], from = (o / inner / m * n + at) * inner + o % inner;
        ASSERT_EQ(real(y[o]), real(x[from]));
        sums[static_cast<size_t>(from)] += real(u[o]);
      }
      for (int64_t i = 0; i < c.operand.numel(); ++i) {
        const double want = sums[static_cast<size_t>(i)];
        if constexpr (std::is_same_v<T, bool>) ASSERT_EQ(s[i], want != 0);
        else ASSERT_EQ(real(s[i]), real(make<T>(want)));
      }
    }
  });
  EXPECT_THROW(make_take_along_axis(float32, int32, {2, 3}, {3, 3}, 1), ValueError);
  EXPECT_THROW(make_take_along_axis(float32, int32, {2, 3}, {3}, 1), ValueError);
  Array<float> x(6), y(4);
  Array<int32_t> index{0, 1, 5, -9};
  EXPECT_NE(message(*make_take_along_axis(float32, int32, {2, 3}, {2, 2}, 1), {x.data(), index.data()}, y.data())
                .find("index 5 at position (1, 0)"),
            std::string::npos);
  EXPECT_NE(message(*make_scatter_add_along_axis(float32, int32, {2, 3}, {2, 2}, 1), {index.data(), y.data()}, x.data()).find("index 5"),
            std::string::npos);
  run(*make_take_along_axis(float32, int32, {2, 3}, {2, 2}, 1, OutOfRange::FillNaN), {x.data(), index.data()}, y.data());
  EXPECT_TRUE(!std::isnan(y[1]) && std::isnan(y[2]) && std::isnan(y[3]));
}

TEST(Gather, NdAndScatterForAllDtypesAndOperations) {
  struct NdCase {
    Shape operand, indices;
  };
  each_dtype([&](auto tag) {
    using T = decltype(tag);
    for (const NdCase& c : std::vector<NdCase>{{{5}, {7, 1}},
                                               {{3, 4}, {6, 2}},
                                               {{3, 4}, {2, 2, 1}},
                                               {{3, 4, 5}, {9, 2}},
                                               {{3, 4}, {2, 0}},
                                               {{3, 4}, {2}},
                                               {{3, 4}, {0, 2}},
                                               {{300, 200}, {900, 1}}}) {
      const auto k = static_cast<int>(c.indices.back());
      const int64_t inner = c.operand.slice(k).numel(), count = c.indices.slice(0, -1).numel();
      Array<T> x = small_numbers<T>(c.operand.numel(), 1), y(count * inner), u = small_numbers<T>(count * inner, 2);
      Array<int32_t> index(c.indices.numel());
      std::vector<int64_t> row(static_cast<size_t>(count));
      std::mt19937 g(3);
      for (int64_t i = 0; i < count; ++i)
        for (int d = 0; d < k; ++d) {
          const auto n = static_cast<int32_t>(c.operand[d]), at = static_cast<int32_t>(g() % static_cast<uint32_t>(n));
          index[i * k + d] = g() % 2 ? at : at - n;
          row[static_cast<size_t>(i)] = row[static_cast<size_t>(i)] * n + at;
        }
      run(*make_gather_nd(dtype_of_v<T>, int32, c.operand, c.indices), {x.data(), index.data()}, y.data());
      for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < inner; ++j) ASSERT_EQ(real(y[i * inner + j]), real(x[row[static_cast<size_t>(i)] * inner + j]));
      for (ScatterOp op : {ScatterOp::Update, ScatterOp::Add, ScatterOp::Mul, ScatterOp::Max, ScatterOp::Min}) {
        Array<T> s(c.operand.numel()), want(c.operand.numel());
        for (int64_t i = 0; i < c.operand.numel(); ++i) want[i] = x[i];
        for (int64_t i = 0; i < count; ++i)
          for (int64_t j = 0; j < inner; ++j) {
            T& w = want[row[static_cast<size_t>(i)] * inner + j];
            const double v = real(u[i * inner + j]), now = real(w),
                         r = op == ScatterOp::Update ? v
                             : op == ScatterOp::Add  ? now + v
                             : op == ScatterOp::Mul  ? now * v
                             : op == ScatterOp::Max  ? std::max(now, v)
                                                     : std::min(now, v);
            if constexpr (is_floating(dtype_of_v<T>)) w = make<T>(r);
            else if constexpr (std::is_same_v<T, bool>) w = r != 0;
            else
              w = static_cast<T>(op == ScatterOp::Mul   ? static_cast<uint64_t>(w) * static_cast<uint64_t>(u[i * inner + j])
                                 : op == ScatterOp::Add ? static_cast<uint64_t>(w) + static_cast<uint64_t>(u[i * inner + j])
                                                        : static_cast<uint64_t>(static_cast<int64_t>(r)));
          }
        auto kernel = make_scatter_nd(op, dtype_of_v<T>, int32, c.operand, c.indices);
        run(*kernel, {x.data(), index.data(), u.data()}, s.data());
        for (int64_t i = 0; i < c.operand.numel(); ++i) ASSERT_EQ(real(s[i]), real(want[i])) << c.operand.str() << static_cast<int>(op);
        Array<T> same(c.operand.numel());
        for (int64_t i = 0; i < c.operand.numel(); ++i) same[i] = x[i];
        run(*kernel, {same.data(), index.data(), u.data()}, same.data());  // in place
        for (int64_t i = 0; i < c.operand.numel(); ++i) ASSERT_EQ(real(same[i]), real(want[i]));
      }
    }
  });
  EXPECT_THROW(make_gather_nd(float32, int32, {3, 4}, {2, 3}), ValueError);
  Array<float> x(12), y(2);
  Array<int32_t> index{0, 1, 2, 4};
  EXPECT_NE(message(*make_gather_nd(float32, int32, {3, 4}, {2, 2}), {x.data(), index.data()}, y.data())
                .find("index 4 at position (1, 1) is outside axis 1 of size 4"),
            std::string::npos);
}

TEST(Gather, ScatterHasOneResultForAnyNumberOfThreads) {
  const int before = num_threads();
  const Shape operand{100, 64}, indices{20000};
  Array<float> u(20000 * 64), a(6400), b(6400);
  Array<int32_t> index(20000);
  std::mt19937 g(5);
  for (int64_t i = 0; i < u.n_; ++i) u[i] = static_cast<float>(g() % 1000) / 999;
  for (int64_t i = 0; i < 20000; ++i) index[i] = static_cast<int32_t>(g() % 100);
  auto k = make_scatter_add(float32, int32, operand, indices, 0);
  set_num_threads(1);
  run(*k, {index.data(), u.data()}, a.data());
  set_num_threads(4);
  run(*k, {index.data(), u.data()}, b.data());
  set_num_threads(before);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), 6400 * sizeof(float)), 0);
}

}  // namespace
}  // namespace keras::cpu
