// What lives here: decompositions against what defines them (products, orthogonality, triangles), and against slow references
// where signs or orders are fixed.
#include "cpu/linalg.h"

#include <keras/base/error.h>

#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>

namespace keras::cpu {
namespace {

// One matrix of doubles.
struct Matrix {
  int64_t m, n;
  std::vector<double> v;
  Matrix(int64_t rows, int64_t columns) : m(rows), n(columns), v(static_cast<size_t>(rows * columns)) {}
  double& operator()(int64_t i, int64_t j) { return v[static_cast<size_t>(i * n + j)]; }
  double operator()(int64_t i, int64_t j) const { return v[static_cast<size_t>(i * n + j)]; }
};
Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix c(a.m, b.n);
  for (int64_t i = 0; i < a.m; ++i)
    for (int64_t p = 0; p < a.n; ++p)
      for (int64_t j = 0; j < b.n; ++j) c(i, j) += a(i, p) * b(p, j);
  return c;
}
Matrix transposed(const Matrix& a) {
  Matrix t(a.n, a.m);
  for (int64_t i = 0; i < a.m; ++i)
    for (int64_t j = 0; j < a.n; ++j) t(j, i) = a(i, j);
  return t;
}
Matrix identity(int64_t n) {
  Matrix e(n, n);
  for (int64_t i = 0; i < n; ++i) e(i, i) = 1;
  return e;
}
double distance(const Matrix& a, const Matrix& b) {
  EXPECT_EQ(a.m, b.m);
  EXPECT_EQ(a.n, b.n);
  double d = 0;
  for (size_t i = 0; i < a.v.size(); ++i) d = a.v[i] == a.v[i] && b.v[i] == b.v[i] ? std::max(d, std::abs(a.v[i] - b.v[i])) : INFINITY;
  return d;
}

template <class T> struct Buffer {
  std::vector<T> v;
  Shape shape;
  explicit Buffer(Shape s) : v(static_cast<size_t>(s.numel()) + 1), shape(std::move(s)) {}
  Matrix at(int64_t b) const {
    Matrix r(shape.rank() > 1 ? shape[-2] : 1, shape[-1]);
    for (size_t i = 0; i < r.v.size(); ++i) r.v[i] = v[static_cast<size_t>(b) * r.v.size() + i];
    return r;
  }
};
template <class T> Buffer<T> random_buffer(const Shape& s, uint32_t seed) {
  Buffer<T> b(s);
  std::mt19937 g(seed);
  for (T& x : b.v) x = static_cast<T>((static_cast<double>(g() % 20001) - 10000) / 10000);
  return b;
}
void run(const engine::Kernel& k, std::vector<const void*> in, std::vector<void*> out) {
  std::vector<std::array<double, 8>> scratch(k.scratch_bytes() / 64 + 1);
  for (auto& line : scratch) line.fill(std::nan(""));  // nothing may be read before it is written
  std::vector<void*> src;
  for (const void* p : in) src.push_back(const_cast<void*>(p));
  k.run(src.data(), out.data(), scratch.data());
}
template <class T> constexpr double kTolerance = sizeof(T) == 4 ? 3e-6 : 1e-12;

template <class T> class Linalg : public testing::Test {};
using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(Linalg, Floats);

// Householder one column at a time with LAPACK's sign: beta = -sign(alpha) |x|.
void slow_qr(Matrix& a, Matrix& q) {
  q = identity(a.m);
  for (int64_t k = 0; k < std::min(a.m, a.n); ++k) {
    double rest = 0;
    for (int64_t i = k + 1; i < a.m; ++i) rest += a(i, k) * a(i, k);
    if (rest == 0) continue;
    std::vector<double> v(static_cast<size_t>(a.m));
    const double beta = -std::copysign(std::sqrt(rest + a(k, k) * a(k, k)), a(k, k));
    for (int64_t i = k; i < a.m; ++i) v[static_cast<size_t>(i)] = a(i, k);
    v[static_cast<size_t>(k)] -= beta;
    double vv = 0;
    for (double x : v) vv += x * x;
    Matrix h = identity(a.m);
    for (int64_t i = 0; i < a.m; ++i)
      for (int64_t j = 0; j < a.m; ++j) h(i, j) -= 2 * v[static_cast<size_t>(i)] * v[static_cast<size_t>(j)] / vv;
    a = h * a;
    q = q * h;
  }
}

TYPED_TEST(Linalg, Qr) {
  using T = TypeParam;
  for (const Shape& s : std::vector<Shape>{
           {1, 1}, {3, 3}, {5, 3}, {3, 5}, {2, 4, 4}, {3, 2, 40, 7}, {33, 33}, {70, 40}, {40, 70}, {66, 66}, {4, 0}, {0, 4}, {0, 3, 2}})
    for (bool complete : {false, true}) {
      const int64_t m = s[-2], n = s[-1], k = complete ? m : std::min(m, n), count = s.slice(0, -2).numel();
      Buffer<T> a = random_buffer<T>(s, 1), q(s.slice(0, -1) + Shape{k}), r(s.slice(0, -2) + Shape{k, n});
      run(*make_qr(dtype_of_v<T>, s, complete), {a.v.data()}, {q.v.data(), r.v.data()});
      for (int64_t b = 0; b < count; ++b) {
        const Matrix x = a.at(b), y = q.at(b), z = r.at(b);
        ASSERT_LT(distance(y * z, x), kTolerance<T> * 4) << s.str();
        ASSERT_LT(distance(transposed(y) * y, identity(k)), kTolerance<T>) << s.str();
        for (int64_t i = 0; i < k; ++i)
          for (int64_t j = 0; j < std::min(i, n); ++j) ASSERT_EQ(z(i, j), 0);
        Matrix wr = x, wq(m, m);
        slow_qr(wr, wq);
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < k; ++j) ASSERT_NEAR(y(i, j), wq(i, j), kTolerance<T> * 10) << s.str();
      }
    }
  // From LAPACK: a column whose tail is 0 keeps its sign.
  const T a[] = {1, 2, 0, -3, 0, 4};
  T q[9], r[6];
  run(*make_qr(dtype_of_v<T>, {3, 2}, true), {a}, {q, r});
  const double want[] = {1, 0, 0, 0, -0.6, 0.8, 0, 0.8, 0.6};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(q[i], want[i], 1e-6);
  EXPECT_EQ(r[0], 1);
  EXPECT_NEAR(r[3], 5, 1e-6);
  EXPECT_THROW(make_qr(float16, {3, 2}), TypeError);
  EXPECT_THROW(make_qr(float32, {3}), ValueError);
}

TEST(LinalgThreads, QrHasOneResult) {
  const int before = num_threads();
  const Shape s{300, 200};
  Buffer<float> a = random_buffer<float>(s, 2), q1(s), q2(s), r({200, 200});
  auto k = make_qr(float32, s);
  set_num_threads(1);
  run(*k, {a.v.data()}, {q1.v.data(), r.v.data()});
  set_num_threads(4);
  run(*k, {a.v.data()}, {q2.v.data(), r.v.data()});
  set_num_threads(before);
  EXPECT_EQ(q1.v, q2.v);
}

template <class T> Buffer<T> positive(const Shape& s) {
  Buffer<T> a = random_buffer<T>(s, 3);
  const int64_t n = s[-1];
  for (int64_t b = 0; b < s.slice(0, -2).numel(); ++b) {
    const Matrix x = a.at(b), p = x * transposed(x);
    for (int64_t i = 0; i < n * n; ++i)
      a.v[static_cast<size_t>(b * n * n + i)] = static_cast<T>(p.v[static_cast<size_t>(i)] + (i % (n + 1) == 0));
  }
  return a;
}

TYPED_TEST(Linalg, Cholesky) {
  using T = TypeParam;
  for (const Shape& s : std::vector<Shape>{{1, 1}, {4, 4}, {3, 5, 5}, {50, 50}, {0, 0}, {0, 3, 3}}) {
    Buffer<T> a = positive<T>(s), l(s), u(s);
    run(*make_cholesky(dtype_of_v<T>, s), {a.v.data()}, {l.v.data()});
    run(*make_cholesky(dtype_of_v<T>, s, true), {a.v.data()}, {u.v.data()});
    for (int64_t b = 0; b < s.slice(0, -2).numel(); ++b) {
      const Matrix x = l.at(b);
      ASSERT_LT(distance(x * transposed(x), a.at(b)), kTolerance<T> * 20);
      ASSERT_EQ(distance(u.at(b), transposed(x)), 0);
      for (int64_t i = 0; i < x.m; ++i)
        for (int64_t j = i + 1; j < x.m; ++j) ASSERT_EQ(x(i, j), 0);
    }
  }
  const T bad[] = {1, 2, 2, 1};
  T out[4];
  run(*make_cholesky(dtype_of_v<T>, {2, 2}), {bad}, {out});
  EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[2]) && std::isnan(out[3]) && out[1] == 0);
  EXPECT_THROW(make_cholesky(float32, {2, 3}), ValueError);
}

TYPED_TEST(Linalg, TriangularSolve) {
  using T = TypeParam;
  for (const auto& [s, m] :
       std::vector<std::pair<Shape, int64_t>>{{{1, 1}, 1}, {{5, 5}, 3}, {{2, 3, 4, 4}, 2}, {{40, 40}, 17}, {{3, 3}, 0}})
    for (int mode = 0; mode < 8; ++mode) {
      const bool lower = mode & 1, transpose = mode & 2, unit = mode & 4;
      const int64_t n = s[-1];
      const Shape bs = s.slice(0, -1) + Shape{m};
      Buffer<T> a = random_buffer<T>(s, 4), b = random_buffer<T>(bs, 5), x(bs);
      for (size_t i = 0; i + 1 < a.v.size(); ++i)
        a.v[i] = i % static_cast<size_t>(n * n) % static_cast<size_t>(n + 1) == 0 ? a.v[i] + 3 : a.v[i] / static_cast<T>(n);
      run(*make_triangular_solve(dtype_of_v<T>, s, bs, lower, transpose, unit), {a.v.data(), b.v.data()}, {x.v.data()});
      for (int64_t c = 0; c < s.slice(0, -2).numel(); ++c) {
        Matrix t = a.at(c);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t j = 0; j < n; ++j)
            if (lower ? j > i : j < i) t(i, j) = 0;
            else if (unit && i == j) t(i, j) = 1;
        ASSERT_LT(distance((transpose ? transposed(t) : t) * x.at(c), b.at(c)), kTolerance<T>) << s.str() << mode;
      }
    }
  EXPECT_THROW(make_triangular_solve(float32, {3, 3}, {2, 1}, true), ValueError);
}

TYPED_TEST(Linalg, Lu) {
  using T = TypeParam;
  for (const Shape& s : std::vector<Shape>{{1, 1}, {4, 4}, {6, 3}, {3, 6}, {2, 5, 5}, {60, 60}, {3, 0}}) {
    const int64_t m = s[-2], n = s[-1], k = std::min(m, n), count = s.slice(0, -2).numel();
    Buffer<T> a = random_buffer<T>(s, 6), f(s);
    std::vector<int32_t> pivots(static_cast<size_t>(count * k) + 1), order(static_cast<size_t>(count * m) + 1);
    run(*make_lu(dtype_of_v<T>, s), {a.v.data()}, {f.v.data(), pivots.data(), order.data()});
    for (int64_t b = 0; b < count; ++b) {
      const Matrix x = a.at(b), y = f.at(b);
      Matrix l(m, k), u(k, n), rows(m, n), swapped = x;
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          if (j < k && j < i) {
            l(i, j) = y(i, j);
            ASSERT_LE(std::abs(y(i, j)), 1.000001);
          }
          if (i < k && j >= i) u(i, j) = y(i, j);
          rows(i, j) = x(order[static_cast<size_t>(b * m + i)], j);
        }
      for (int64_t i = 0; i < k; ++i) {
        l(i, i) = 1;
        for (int64_t j = 0; j < n; ++j) std::swap(swapped(i, j), swapped(pivots[static_cast<size_t>(b * k + i)], j));
      }
      ASSERT_LT(distance(l * u, rows), kTolerance<T> * 4) << s.str();
      ASSERT_EQ(distance(swapped, rows), 0);
    }
  }
}

TYPED_TEST(Linalg, Eigh) {
  using T = TypeParam;
  for (const Shape& s : std::vector<Shape>{{1, 1}, {2, 2}, {3, 5, 5}, {60, 60}, {0, 0}}) {
    const int64_t n = s[-1];
    Buffer<T> a = random_buffer<T>(s, 7), v(s), w(s.slice(0, -1));
    for (int64_t b = 0; b < s.slice(0, -2).numel(); ++b)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < i; ++j) a.v[static_cast<size_t>((b * n + i) * n + j)] = a.v[static_cast<size_t>((b * n + j) * n + i)];
    run(*make_eigh(dtype_of_v<T>, s), {a.v.data()}, {w.v.data(), v.v.data()});
    for (int64_t b = 0; b < s.slice(0, -2).numel(); ++b) {
      const Matrix q = v.at(b);
      Matrix d(n, n);
      for (int64_t i = 0; i < n; ++i) {
        d(i, i) = w.v[static_cast<size_t>(b * n + i)];
        ASSERT_LE(d(std::max<int64_t>(0, i - 1), std::max<int64_t>(0, i - 1)), d(i, i));
      }
      ASSERT_LT(distance(transposed(q) * q, identity(n)), kTolerance<T>);
      ASSERT_LT(distance(q * d * transposed(q), a.at(b)), kTolerance<T> * 10) << s.str();
    }
  }
  // LAPACK's signs: its single precision ends with another turn than its double one.
  const T mixed[] = {2, -1, 0.5, 3, -1, 4, 1, -2, 0.5, 1, -3, 0.25, 3, -2, 0.25, 1};
  const double vectors[] = {-0.07904442, 0.59853446, 0.6099474,  -0.5132957, -0.16882855, -0.16215539, 0.7026743,  0.671901,
                            0.9790793,   -0.04488456, 0.19618273, 0.03001294, -0.08155966, -0.78322875, 0.30939427, -0.5330814};
  T w4[4], v4[16];
  run(*make_eigh(dtype_of_v<T>, {4, 4}), {mixed}, {w4, v4});
  for (int i = 0; i < 16; ++i)
    EXPECT_NEAR(static_cast<double>(v4[i]), vectors[i] * (std::is_same_v<T, double> && i % 4 == 2 ? -1 : 1), 1e-6) << i;
  // Equal eigenvalues, a diagonal matrix, NaN.
  const T diagonal[] = {3, 0, 0, 0, 1, 0, 0, 0, 3};
  T w[3], v[9];
  run(*make_eigh(dtype_of_v<T>, {3, 3}), {diagonal}, {w, v});
  EXPECT_EQ(w[0], 1);
  EXPECT_EQ(w[2], 3);
  const T nan[] = {NAN, 0, 0, 0, 1, 0, 0, 0, 3};
  run(*make_eigh(dtype_of_v<T>, {3, 3}), {nan}, {w, v});
  EXPECT_TRUE(std::isnan(w[0]) && std::isnan(v[4]));
}

TYPED_TEST(Linalg, Svd) {
  using T = TypeParam;
  for (const Shape& s : std::vector<Shape>{{1, 1}, {4, 4}, {7, 3}, {3, 7}, {2, 6, 4}, {2, 4, 6}, {50, 30}, {4, 0}, {0, 4}})
    for (bool full : {true, false})
      for (int kind = 0; kind < 3; ++kind) {  // random, of rank 1, zero
        const int64_t m = s[-2], n = s[-1], k = std::min(m, n), uk = full ? m : k, vk = full ? n : k, count = s.slice(0, -2).numel();
        Buffer<T> a = random_buffer<T>(s, 8), u(s.slice(0, -2) + Shape{m, uk}), vt(s.slice(0, -2) + Shape{vk, n}),
                  d(s.slice(0, -2) + Shape{k}), alone(d.shape);
        for (int64_t i = 0; i < s.numel() && kind > 0; ++i)
          a.v[static_cast<size_t>(i)] = kind == 1 ? static_cast<T>((1 + i / n % m) * (1 + i % n)) / static_cast<T>(m * n) : T(0);
        run(*make_svd(dtype_of_v<T>, s, full), {a.v.data()}, {u.v.data(), d.v.data(), vt.v.data()});
        run(*make_svd(dtype_of_v<T>, s, full, false), {a.v.data()}, {alone.v.data()});
        for (int64_t b = 0; b < count; ++b) {
          const Matrix x = u.at(b), y = vt.at(b);
          Matrix e(uk, vk);
          for (int64_t i = 0; i < k; ++i) {
            e(i, i) = d.v[static_cast<size_t>(b * k + i)];
            ASSERT_EQ(e(i, i), alone.v[static_cast<size_t>(b * k + i)]);
            ASSERT_GE(e(i, i), 0);
            ASSERT_LE(e(i, i), e(std::max<int64_t>(0, i - 1), std::max<int64_t>(0, i - 1)));
          }
          ASSERT_LT(distance(transposed(x) * x, identity(uk)), kTolerance<T>) << s.str() << full << kind;
          ASSERT_LT(distance(y * transposed(y), identity(vk)), kTolerance<T>) << s.str() << full << kind;
          ASSERT_LT(distance(x * e * y, a.at(b)), kTolerance<T> * 4) << s.str() << full << kind;
        }
      }
}

}  // namespace
}  // namespace keras::cpu
