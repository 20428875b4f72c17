// What lives here: products with a packed matrix against a slow loop.
#include "cpu/packed_dot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace keras::cpu {
namespace {

template <class T> void check(int64_t m, int64_t n, int64_t k, bool transposed, bool bias, bool add, DType dtype) {
  std::mt19937 rng(static_cast<unsigned>(m * 1000 + n * 10 + k));
  std::normal_distribution<double> normal;
  const int64_t a_ld = k + 3, c_ld = n + 5, add_ld = n + 1;
  auto random = [&](int64_t count) {
    std::vector<T> v(static_cast<size_t>(count));
    for (T& x : v) x = static_cast<T>(normal(rng));
    return v;
  };
  const std::vector<T> a = random(m * a_ld), b = random(k * n), bs = random(n), ad = random(m * add_ld);
  std::vector<T> c(static_cast<size_t>(m * c_ld), T(-7));
  const size_t bytes = packed_matrix_bytes(dtype, k, n);
  std::unique_ptr<void, decltype(&std::free)> packed(std::aligned_alloc(64, (bytes + 63) / 64 * 64), &std::free);
  std::memset(packed.get(), 0xff, bytes);  // NaNs, so that what was not written shows
  pack_matrix(dtype, k, n, b.data(), transposed ? 1 : n, transposed ? k : 1, packed.get());
  PackedProduct p{.m = m, .n = n, .k = k, .a = a.data(), .a_ld = a_ld, .packed = packed.get(), .c = c.data(), .c_ld = c_ld};
  if (bias) p.bias = bs.data();
  if (add) p.add = ad.data(), p.add_ld = add_ld;
  packed_product(dtype, p);
  const double tolerance = (dtype == DType::Float32 ? 1e-6 : 1e-14) * std::sqrt(static_cast<double>(k)) * 8;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < c_ld; ++j) {
      const size_t at = static_cast<size_t>(i * c_ld + j);
      if (j >= n) {
        ASSERT_EQ(c[at], T(-7)) << "beyond the columns, row " << i;
        continue;
      }
      double want = (bias ? static_cast<double>(bs[static_cast<size_t>(j)]) : 0) + (add ? static_cast<double>(ad[static_cast<size_t>(i * add_ld + j)]) : 0);
      for (int64_t l = 0; l < k; ++l)
        want += static_cast<double>(a[static_cast<size_t>(i * a_ld + l)]) * static_cast<double>(b[static_cast<size_t>(transposed ? j * k + l : l * n + j)]);
      ASSERT_NEAR(c[at], want, tolerance * (1 + std::abs(want))) << m << "x" << k << "x" << n << " at " << i << ", " << j;
    }
}

TEST(PackedDot, EverySizeAndForm) {
  for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17})
    for (int64_t n : {1, 7, 16, 31, 32, 33, 64, 130, 257})
      for (int64_t k : {1, 5, 40})
        for (int form = 0; form < 4; ++form) {
          check<float>(m, n, k, form % 2, form / 2, form == 1 || form == 2, DType::Float32);
          check<double>(m, n, k, form % 2, form == 3, form / 2, DType::Float64);
          if (testing::Test::HasFatalFailure()) return;
        }
}

TEST(PackedDot, ARowDoesNotDependOnItsNeighbours) {
  const int64_t n = 200, k = 96;
  std::vector<float> a(static_cast<size_t>(20 * k)), b(static_cast<size_t>(k * n)), all(static_cast<size_t>(20 * n)), one(static_cast<size_t>(n));
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (float& x : a) x = normal(rng);
  for (float& x : b) x = normal(rng);
  std::unique_ptr<void, decltype(&std::free)> packed(std::aligned_alloc(64, (packed_matrix_bytes(DType::Float32, k, n) + 63) / 64 * 64), &std::free);
  pack_matrix(DType::Float32, k, n, b.data(), n, 1, packed.get());
  packed_product(DType::Float32, {.m = 20, .n = n, .k = k, .a = a.data(), .a_ld = k, .packed = packed.get(), .c = all.data(), .c_ld = n});
  for (int64_t i = 0; i < 20; ++i) {
    packed_product(DType::Float32, {.m = 1, .n = n, .k = k, .a = a.data() + i * k, .a_ld = k, .packed = packed.get(), .c = one.data(), .c_ld = n});
    EXPECT_EQ(0, std::memcmp(one.data(), all.data() + i * n, one.size() * sizeof(float))) << i;
  }
}

TEST(PackedDot, StripsCanBeSharedOut) {
  const int64_t n = 203, k = 57, strip = packed_strip(DType::Float32);
  ASSERT_GT(n, 2 * strip);
  std::vector<float> a(static_cast<size_t>(3 * k)), b(static_cast<size_t>(k * n)), all(static_cast<size_t>(3 * n)), cut(static_cast<size_t>(3 * n), -7.0f);
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  for (float& x : a) x = normal(rng);
  for (float& x : b) x = normal(rng);
  std::unique_ptr<float, decltype(&std::free)> packed(static_cast<float*>(std::aligned_alloc(64, (packed_matrix_bytes(DType::Float32, k, n) + 63) / 64 * 64)), &std::free);
  pack_matrix(DType::Float32, k, n, b.data(), n, 1, packed.get());
  packed_product(DType::Float32, {.m = 3, .n = n, .k = k, .a = a.data(), .a_ld = k, .packed = packed.get(), .c = all.data(), .c_ld = n});
  for (int64_t begin : {strip, int64_t{0}, 2 * strip}) {
    const int64_t end = begin == 2 * strip ? n : begin + strip;
    packed_product(DType::Float32, {.m = 3, .n = end - begin, .k = k, .a = a.data(), .a_ld = k, .packed = packed.get() + begin * k, .c = cut.data() + begin, .c_ld = n});
  }
  EXPECT_EQ(0, std::memcmp(cut.data(), all.data(), all.size() * sizeof(float)));
}

}  // namespace
}  // namespace keras::cpu
