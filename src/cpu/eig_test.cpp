// What lives here: tests of the eigenvalues of general matrices: A v = λ v for all shapes of spectrum.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include <keras/base/error.h>

#include "cpu/eig.h"

namespace keras::cpu {
namespace {

using C = std::complex<double>;
struct Found {
  std::vector<C> w, v;
};
Found found(std::vector<double> a, int64_t n, int64_t count = 1) {
  auto kernel = make_eig(DType::Float64, count == 1 ? Shape{n, n} : Shape{count, n, n});
  size_t values = static_cast<size_t>(count * n), vectors = static_cast<size_t>(count * n * n);
  std::vector<double> wr(values), wi(values), vr(vectors), vi(vectors), scratch(kernel->scratch_bytes() / sizeof(double));
  void* in[] = {a.data()};
  void* out[] = {wr.data(), wi.data(), vr.data(), vi.data()};
  kernel->run(in, out, scratch.data());
  Found f;
  for (size_t i = 0; i < values; ++i) f.w.emplace_back(wr[i], wi[i]);
  for (size_t i = 0; i < vectors; ++i) f.v.emplace_back(vr[i], vi[i]);
  return f;
}
void check(const std::vector<double>& a, int64_t n, double tolerance = 1e-10) {
  Found f = found(a, n);
  for (int64_t k = 0; k < n; ++k) {
    double length = 0;
    for (int64_t i = 0; i < n; ++i) {
      C av = 0;
      for (int64_t j = 0; j < n; ++j) av += a[static_cast<size_t>(i * n + j)] * f.v[static_cast<size_t>(j * n + k)];
      EXPECT_LT(std::abs(av - f.w[static_cast<size_t>(k)] * f.v[static_cast<size_t>(i * n + k)]), tolerance) << "value " << k << ", row " << i;
      length += std::norm(f.v[static_cast<size_t>(i * n + k)]);
    }
    EXPECT_NEAR(length, 1, 1e-12);
  }
}

TEST(Eig, ValuesAndVectorsBelongTogether) {
  for (int64_t n : {1, 2, 3, 4, 5, 8, 17, 40}) {
    std::vector<double> a(static_cast<size_t>(n * n));
    for (size_t i = 0; i < a.size(); ++i) a[i] = std::sin(static_cast<double>(i * i) * 0.37 + static_cast<double>(n));
    SCOPED_TRACE(n);
    check(a, n);
  }
}
TEST(Eig, ConjugatePairsBeginWithThePositiveOne) {
  Found f = found({0, -1, 1, 0}, 2);
  EXPECT_NEAR(f.w[0].imag(), 1, 1e-15);
  EXPECT_EQ(f.w[1], std::conj(f.w[0]));
  check({0, -1, 1, 0}, 2);
}
TEST(Eig, SpecialMatrices) {
  check({2, 0, 0, 0, 3, 0, 0, 0, 2}, 3);
  check({0, 0, 0, 0}, 2);
  check({1, 1, 0, 1}, 2, 1e-7);  // defective: both vectors are nearly the same
  check({0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0}, 4);  // a cycle: the fourth roots of 1
  check({1e-200, 2e-200, 3e-200, 4e-200}, 2);
}
TEST(Eig, BatchesAndRefusals) {
  Found f = found({1, 0, 0, 2, 0, -3, 3, 0}, 2, 2);
  EXPECT_EQ(f.w[0], C(1));
  EXPECT_NEAR(f.w[2].imag(), 3, 1e-14);
  Found nan = found({NAN, 1, 1, 1}, 2);
  EXPECT_TRUE(std::isnan(nan.w[0].real()));
  EXPECT_THROW(make_eig(DType::Float32, Shape{2, 3}), ValueError);
  EXPECT_THROW(make_eig(DType::Int32, Shape{2, 2}), ValueError);
}

}  // namespace
}  // namespace keras::cpu
