// What lives here: sorts against std::stable_sort, over dtypes, axes, NaN, ties and empty arrays.
#include "cpu/sorting.h"

#include <keras/base/error.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace keras::cpu {
namespace {

template <class T> struct Array {
  explicit Array(int64_t n) : n_(n), p_(new T[static_cast<size_t>(n) + 1]()) {}
  T& operator[](int64_t i) { return p_[static_cast<size_t>(i)]; }
  int64_t n_;
  std::unique_ptr<T[]> p_;
  void* data() { return p_.get(); }
};
template <class T> double real(T v) {
  if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return static_cast<float>(v);
  else return static_cast<double>(v);
}
// Many ties, extremes, and NaN among floats.
template <class T> Array<T> values(int64_t n, uint32_t seed) {
  std::mt19937_64 g(seed);
  Array<T> a(n);
  for (int64_t i = 0; i < n; ++i) {
    const auto r = g();
    if constexpr (std::is_same_v<T, bool>) a[i] = r & 1;
    else if constexpr (is_integer(dtype_of_v<T>))
      a[i] = r % 8 == 0   ? std::numeric_limits<T>::lowest()
             : r % 8 == 1 ? std::numeric_limits<T>::max()
                          : static_cast<T>(r >> (r % 3 ? 60 : 3));
    else {
      const float f = r % 11 == 0   ? NAN
                      : r % 11 == 1 ? -INFINITY
                      : r % 11 == 2 ? INFINITY
                      : r % 11 == 3 ? -0.f
                                    : (static_cast<float>(g() % 41) - 20) / 4;
      a[i] = T(f);
    }
  }
  return a;
}
bool less(double a, double b) { return a < b || (b != b && a == a); }
bool same(double a, double b) { return a == b || (a != a && b != b); }
void run(const engine::Kernel& k, std::vector<void*> in, std::vector<void*> out) {
  std::vector<std::array<uint64_t, 8>> scratch(k.scratch_bytes() / 64 + 1);
  k.run(in.data(), out.data(), scratch.data());
}
template <class F> void each_dtype(F f) {
  for (int d = 0; d < kNumDTypes; ++d)
    visit_dtype(static_cast<DType>(d), [&](auto tag) {
      SCOPED_TRACE(dtype_name(static_cast<DType>(d)));
      f(tag);
    });
}
// The stable order of one line; NaN is the greatest.
template <class T> std::vector<int64_t> order(Array<T>& x, int64_t at, int64_t n, int64_t stride, bool descending) {
  std::vector<int64_t> i(static_cast<size_t>(n));
  std::iota(i.begin(), i.end(), 0);
  std::stable_sort(i.begin(), i.end(), [&](int64_t a, int64_t b) {
    const double u = real(x[at + a * stride]), v = real(x[at + b * stride]);
    if constexpr (sizeof(T) == 8 && is_integer(dtype_of_v<T>))
      return descending ? x[at + a * stride] > x[at + b * stride] : x[at + a * stride] < x[at + b * stride];
    return descending ? less(v, u) : less(u, v);
  });
  return i;
}

TEST(Sorting, SortAndArgsort) {
  each_dtype([&](auto tag) {
    using T = decltype(tag);
    for (const auto& [shape, axis] : std::vector<std::pair<Shape, int>>{{{9}, 0},
                                                                        {{1}, 0},
                                                                        {{4, 30}, 1},
                                                                        {{30, 4}, 0},
                                                                        {{3, 7, 5}, -2},
                                                                        {{3000}, 0},
                                                                        {{3, 700}, 1},
                                                                        {{2500, 2}, 0},
                                                                        {{0}, 0},
                                                                        {{0, 3}, 1},
                                                                        {{3, 0}, 1}})
      for (bool descending : {false, true}) {
        Array<T> x = values<T>(shape.numel(), 1), y(shape.numel());
        Array<int32_t> i32(shape.numel());
        Array<int64_t> i64(shape.numel());
        run(*make_sort(dtype_of_v<T>, shape, axis, descending), {x.data()}, {y.data()});
        run(*make_argsort(dtype_of_v<T>, int32, shape, axis, descending), {x.data()}, {i32.data()});
        run(*make_argsort(dtype_of_v<T>, int64, shape, axis, descending), {x.data()}, {i64.data()});
        const int a = normalize_axis(axis, shape.rank());
        const int64_t n = shape[a], inner = shape.slice(a + 1).numel(), lines = shape.slice(0, a).numel() * inner;
        for (int64_t r = 0; r < lines && n > 0; ++r) {
          const int64_t at = r / inner * n * inner + r % inner;
          const auto want = order(x, at, n, inner, descending);
          for (int64_t i = 0; i < n; ++i) {
            ASSERT_EQ(i32[at + i * inner], want[static_cast<size_t>(i)]) << shape.str();
            ASSERT_EQ(i64[at + i * inner], want[static_cast<size_t>(i)]);
            ASSERT_TRUE(same(real(y[at + i * inner]), real(x[at + want[static_cast<size_t>(i)] * inner])));
          }
        }
      }
  });
  EXPECT_THROW(make_sort(float32, {}, 0), ValueError);
  EXPECT_THROW(make_argsort(float32, float32, {3}, 0), TypeError);
}

TEST(Sorting, TopK) {
  each_dtype([&](auto tag) {
    using T = decltype(tag);
    for (const auto& [shape, k] :
         std::vector<std::pair<Shape, int>>{{{9}, 3}, {{9}, 9}, {{9}, 0}, {{6, 40}, 1}, {{6, 40}, 20}, {{2, 3, 1500}, 5}, {{0, 4}, 2}}) {
      const int64_t n = shape.back(), rows = shape.slice(0, -1).numel();
      Array<T> x = values<T>(shape.numel(), 2), y(rows * k);
      Array<int32_t> index(rows * k);
      run(*make_top_k(dtype_of_v<T>, shape, k), {x.data()}, {y.data(), index.data()});
      for (int64_t r = 0; r < rows; ++r) {
        const auto want = order(x, r * n, n, 1, true);
        for (int64_t i = 0; i < k; ++i) {
          ASSERT_EQ(index[r * k + i], want[static_cast<size_t>(i)]);
          ASSERT_TRUE(same(real(y[r * k + i]), real(x[r * n + want[static_cast<size_t>(i)]])));
        }
      }
    }
  });
  EXPECT_THROW(make_top_k(float32, {3}, 4), ValueError);
  EXPECT_THROW(make_top_k(float32, {3}, -1), ValueError);
}

TEST(Sorting, SearchSorted) {
  each_dtype([&](auto tag) {
    using T = decltype(tag);
    for (const auto& [sorted, shape] :
         std::vector<std::pair<Shape, Shape>>{{{40}, {3, 5}}, {{0}, {4}}, {{7}, {}}, {{7}, {0}}, {{3, 20}, {3, 6}}, {{100}, {20000}}})
      for (bool right : {false, true}) {
        const int64_t n = sorted.back(), rows = sorted.slice(0, -1).numel(), m = shape.numel() / rows;
        Array<T> x = values<T>(sorted.numel(), 3), s(sorted.numel()), v = values<T>(shape.numel(), 4);
        run(*make_sort(dtype_of_v<T>, sorted, -1), {x.data()}, {s.data()});
        Array<int32_t> i32(shape.numel());
        Array<int64_t> i64(shape.numel());
        run(*make_searchsorted(dtype_of_v<T>, int32, sorted, shape, right), {s.data(), v.data()}, {i32.data()});
        run(*make_searchsorted(dtype_of_v<T>, int64, sorted, shape, right), {s.data(), v.data()}, {i64.data()});
        for (int64_t i = 0; i < shape.numel(); ++i) {
          int64_t want = 0;
          for (int64_t j = 0; j < n; ++j) {
            const T e = s[i / m * n + j], q = v[i];
            bool before;
            if constexpr (is_integer(dtype_of_v<T>)) before = right ? !(q < e) : e < q;
            else before = right ? !less(real(q), real(e)) : less(real(e), real(q));
            want += before;
          }
          ASSERT_EQ(i32[i], want);
          ASSERT_EQ(i64[i], want);
        }
      }
  });
  EXPECT_THROW(make_searchsorted(float32, int32, {2, 3}, {3, 3}), ValueError);
}

}  // namespace
}  // namespace keras::cpu
