// What lives here: dense decompositions from their textbooks (Golub & Van Loan, Matrix Computations): left-looking Cholesky,
// LU with partial pivoting, blocked Householder QR, tridiagonal QL, one-sided Jacobi. The four loops they spend their time in
// are compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/linalg.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/linalg.h"

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"
#include "cpu/thread_pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>

#ifndef KERAS_CPU_LINALG_ONCE
#define KERAS_CPU_LINALG_ONCE
namespace keras::cpu {
namespace {
struct Loops {
  double (*dot)(const double* x, const double* y, int64_t n);
  void (*axpy)(double a, const double* x, double* y, int64_t n);        // y += a x
  void (*rotate)(double* x, double* y, double c, double s, int64_t n);  // (x, y) = (c x - s y, s x + c y)
  // C (m, n) += alpha A B; element (i, p) of A is a[i * row + p * column], B (k, n) and C have rows ldb and ldc apart.
  void (*gemm)(int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t row, int64_t column, const double* b, int64_t ldb,
               double* c, int64_t ldc);
};
}  // namespace
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3
constexpr int64_t L = 8;
#elif HWY_TARGET == HWY_AVX2
constexpr int64_t L = 4;
#else
constexpr int64_t L = 2;
#endif
typedef double V __attribute__((vector_size(L * 8)));

HWY_INLINE void load(V& v, const double* p) { std::memcpy(&v, p, sizeof(V)); }
HWY_INLINE void store(double* p, const V& v) { std::memcpy(p, &v, sizeof(V)); }

double dot(const double* x, const double* y, int64_t n) {
  V a{}, b{}, u, v;
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    load(u, x + i);
    load(v, y + i);
    a += u * v;
    load(u, x + i + L);
    load(v, y + i + L);
    b += u * v;
  }
  a += b;
  double sum = 0;
  for (int64_t j = 0; j < L; ++j) sum += a[j];
  for (; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

void axpy(double a, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

void rotate(double* x, double* y, double c, double s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double u = x[i], v = y[i];
    x[i] = c * u - s * v;
    y[i] = s * u + c * v;
  }
}

// kRows rows of C, two vectors wide, all of k in registers.
template <int kRows> HWY_INLINE void gemm_tile(int64_t k, double alpha, const double* a, int64_t row, int64_t column, const double* b,
                                               int64_t ldb, double* c, int64_t ldc) {
  V sum[kRows][2] = {};
  for (int64_t p = 0; p < k; ++p) {
    V b0, b1;
    load(b0, b + p * ldb);
    load(b1, b + p * ldb + L);
    for (int i = 0; i < kRows; ++i) {
      const double x = a[i * row + p * column];
      sum[i][0] += x * b0;
      sum[i][1] += x * b1;
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < 2; ++j) {
      V v;
      load(v, c + i * ldc + j * L);
      v += alpha * sum[i][j];
      store(c + i * ldc + j * L, v);
    }
}

void gemm(int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t row, int64_t column, const double* b, int64_t ldb,
          double* c, int64_t ldc) {
  int64_t j = 0;
  for (; j + 2 * L <= n; j += 2 * L) {
    int64_t i = 0;
    for (; i + 4 <= m; i += 4) gemm_tile<4>(k, alpha, a + i * row, row, column, b + j, ldb, c + i * ldc + j, ldc);
    for (; i < m; ++i) gemm_tile<1>(k, alpha, a + i * row, row, column, b + j, ldb, c + i * ldc + j, ldc);
  }
  for (; j < n; ++j)
    for (int64_t i = 0; i < m; ++i) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += a[i * row + p * column] * b[p * ldb + j];
      c[i * ldc + j] += alpha * sum;
    }
}

Loops loops() { return {dot, axpy, rotate, gemm}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace keras::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {

HWY_EXPORT(loops);

using engine::KernelPtr;

constexpr int64_t kPanel = 32;         // Householder vectors applied together
constexpr int64_t kColumns = 64;       // columns that one thread updates at a time
constexpr int64_t kSmall = 256 << 10;  // products below which one thread is faster

const Loops& fast() {
  static const Loops kLoops = HWY_DYNAMIC_DISPATCH(loops)();
  return kLoops;
}

// gemm of the table, shared out among threads by fixed blocks of columns, so that the result does not depend on their number.
void gemm(int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t row, int64_t column, const double* b, int64_t ldb,
          double* c, int64_t ldc) {
  const int64_t blocks = (n + kColumns - 1) / kColumns;
  parallel_for(blocks, m * n * k < kSmall ? blocks : 1, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin * kColumns; j < std::min(n, end * kColumns); j += kColumns)
      fast().gemm(m, std::min(kColumns, n - j), k, alpha, a, row, column, b + j, ldb, c + j, ldc);
  });
}

double norm(const double* x, int64_t n) {
  const double s = std::sqrt(fast().dot(x, x, n));
  if (s > 1e-140 && s < 1e150) return s;
  double top = 0, sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (x[i] != x[i]) return x[i];
    top = std::max(top, std::abs(x[i]));
  }
  if (top == 0 || std::isinf(top)) return top;
  for (int64_t i = 0; i < n; ++i) sum += (x[i] / top) * (x[i] / top);
  return top * std::sqrt(sum);
}

// Turns x into the vector v, v[0] = 1, with (1 - tau v vᵀ) x = (beta, 0, …); returns tau and leaves beta.
double reflector(double* x, int64_t n, double& beta) {
  const double alpha = x[0], rest = norm(x + 1, n - 1);
  x[0] = 1;
  beta = alpha;
  if (rest == 0) return 0;
  beta = -std::copysign(std::hypot(alpha, rest), alpha);
  const double scale = alpha - beta;
  for (int64_t i = 1; i < n; ++i) x[i] /= scale;
  return (beta - alpha) / beta;
}

// A block of reflectors, 1 - V T Vᵀ: Vᵀ (count, rows) row-major, T (count, count) upper triangular.
struct Block {
  double *vt, *t;
  int64_t count, rows;
};

// c (rows, n) = (1 - V op(T) Vᵀ) c; work holds 2 * kPanel * n.
void apply(const Block& h, bool transposed, double* c, int64_t n, int64_t ldc, double* work) {
  double *w = work, *tw = work + h.count * n;
  std::fill_n(work, 2 * h.count * n, 0.);
  gemm(h.count, n, h.rows, 1, h.vt, h.rows, 1, c, ldc, w, n);
  gemm(h.count, n, h.count, 1, h.t, transposed ? 1 : kPanel, transposed ? kPanel : 1, w, n, tw, n);
  gemm(h.rows, n, h.count, -1, h.vt, 1, h.rows, tw, n, c, ldc);
}

}  // namespace

bool cholesky(double* a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    double* row = a + i * n;
    for (int64_t j = 0; j < i; ++j) row[j] = (row[j] - fast().dot(row, a + j * n, j)) / a[j * n + j];
    const double d = row[i] - fast().dot(row, row, i);
    if (!(d > 0)) return false;
    row[i] = std::sqrt(d);
    std::fill(row + i + 1, row + n, 0.);
  }
  return true;
}

void triangular_solve(const double* a, double* b, int64_t n, int64_t m, bool lower, bool transposed, bool unit_diagonal) {
  const bool forward = lower != transposed;
  for (int64_t step = 0; step < n; ++step) {
    const int64_t i = forward ? step : n - 1 - step;
    double* x = b + i * m;
    const int64_t from = forward ? 0 : i + 1, to = forward ? i : n;
    for (int64_t j = from; j < to; ++j) {
      const double v = transposed ? a[j * n + i] : a[i * n + j];
      if (v != 0) fast().axpy(-v, b + j * m, x, m);
    }
    if (!unit_diagonal)
      for (int64_t j = 0; j < m; ++j) x[j] /= a[i * n + i];
  }
}

void lu(double* a, int64_t m, int64_t n, int32_t* pivots, int32_t* permutation) {
  std::iota(permutation, permutation + m, 0);
  for (int64_t k = 0; k < std::min(m, n); ++k) {
    int64_t p = k;
    for (int64_t i = k + 1; i < m; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[p * n + k])) p = i;
    pivots[k] = static_cast<int32_t>(p);
    if (p != k) {
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + p * n);
      std::swap(permutation[k], permutation[p]);
    }
    const double d = a[k * n + k];
    if (d == 0) continue;  // singular: U gets the zero, L stays as it is
    for (int64_t i = k + 1; i < m; ++i) {
      const double f = a[i * n + k] / d;
      a[i * n + k] = f;
      if (f != 0) fast().axpy(-f, a + k * n + k + 1, a + i * n + k + 1, n - k - 1);
    }
  }
}

size_t qr_work(int64_t m, int64_t n, int64_t columns) {
  const int64_t k = std::min(m, n);
  return static_cast<size_t>(k * m + k * kPanel + kPanel * kPanel + 2 * kPanel * std::max(n, columns));
}

void qr(double* a, int64_t m, int64_t n, double* q, int64_t columns, double* work) {
  const int64_t k = std::min(m, n), panels = (k + kPanel - 1) / kPanel;
  double *vts = work, *ts = vts + k * m, *scratch = ts + k * kPanel + kPanel * kPanel;
  auto block = [&](int64_t p) {
    return Block{vts + p * kPanel * m, ts + p * kPanel * kPanel, std::min(kPanel, k - p * kPanel), m - p * kPanel};
  };
  for (int64_t p = 0; p < panels; ++p) {
    const Block h = block(p);
    const int64_t j0 = p * kPanel;
    double* corner = a + j0 * n + j0;
    // The panel's columns as rows, so that every loop runs over contiguous elements.
    for (int64_t r = 0; r < h.rows; ++r)
      for (int64_t j = 0; j < h.count; ++j) h.vt[j * h.rows + r] = corner[r * n + j];
    double beta[kPanel];
    for (int64_t j = 0; j < h.count; ++j) {
      double* v = h.vt + j * h.rows;
      const double tau = reflector(v + j, h.rows - j, beta[j]);
      for (int64_t c = j + 1; c < h.count; ++c) {
        double* x = h.vt + c * h.rows;
        fast().axpy(-tau * fast().dot(v + j, x + j, h.rows - j), v + j, x + j, h.rows - j);
      }
      // Column j of T: -tau T (Vᵀ v), its diagonal tau.
      double s[kPanel];
      for (int64_t i = 0; i < j; ++i) s[i] = fast().dot(h.vt + i * h.rows + j, v + j, h.rows - j);
      for (int64_t i = 0; i < kPanel; ++i) h.t[i * kPanel + j] = 0;
      for (int64_t i = 0; i < j; ++i) {
        double sum = 0;
        for (int64_t l = i; l < j; ++l) sum += h.t[i * kPanel + l] * s[l];
        h.t[i * kPanel + j] = -tau * sum;
      }
      h.t[j * kPanel + j] = tau;
    }
    // R of the panel goes back, what was above the diagonal leaves V.
    for (int64_t j = 0; j < h.count; ++j) {
      double* v = h.vt + j * h.rows;
      for (int64_t r = 0; r < h.rows; ++r) corner[r * n + j] = r < j ? v[r] : r == j ? beta[j] : 0;
      std::fill_n(v, j, 0.);
    }
    if (j0 + h.count < n) apply(h, true, corner + h.count, n - j0 - h.count, n, scratch);
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < columns; ++j) q[i * columns + j] = i == j;
  // From the last block to the first; columns before the block are still those of the identity above it.
  for (int64_t p = panels; p-- > 0;) {
    const int64_t j0 = p * kPanel;
    apply(block(p), false, q + j0 * columns + j0, columns - j0, columns, scratch);
  }
}

size_t eigh_work(int64_t n) { return static_cast<size_t>(n * n + 4 * n); }

// A rotation that brings (f, g) to (r, 0), its cosine never negative.
struct Turn {
  double c, s, r;
};
Turn turn_of(double f, double g) {
  if (g == 0) return {1, 0, f};
  if (f == 0) return {0, std::copysign(1., g), std::abs(g)};
  const double d = std::hypot(f, g), r = std::copysign(d, f);
  return {std::abs(f) / d, g / r, r};
}
// The eigenvalues of ((a, b), (b, d)), the larger in magnitude first, and its unit eigenvector (c, s).
struct Pair {
  double large, small, c, s;
};
Pair pair_of(double a, double b, double d) {
  const double sum = a + d, difference = a - d, twice = 2 * b, root = std::hypot(difference, twice);
  Pair p{root / 2, -root / 2, 1, 0};
  if (sum != 0) {
    p.large = (sum + std::copysign(root, sum)) / 2;
    const double top = std::abs(a) > std::abs(d) ? a : d, bottom = std::abs(a) > std::abs(d) ? d : a;
    p.small = top / p.large * bottom - b / p.large * b;
  }
  const double side = difference + (difference < 0 ? -root : root);
  if (std::abs(side) > std::abs(twice)) {
    const double cot = -twice / side;
    p.s = 1 / std::hypot(1., cot);
    p.c = cot * p.s;
  } else if (twice != 0) {
    const double tan = -side / twice;
    p.c = 1 / std::hypot(1., tan);
    p.s = tan * p.c;
  }
  if ((sum < 0) == (difference < 0)) {
    const double c = p.c;
    p.c = -p.s;
    p.s = c;
  }
  return p;
}

// Eigenvalues of the tridiagonal (w, e), e[i] between w[i] and w[i + 1], into w, the rotations into the rows of z. Implicit QL or QR,
// whichever end is the larger one, with Wilkinson's shift, two rows at once where two are left: the order and the signs of LAPACK's steqr,
// which decide the signs of eigenvectors. `eps`: what splits.
bool tridiagonal_eigen(int64_t n, double* w, double* e, double* z, double eps) {
  int64_t turns = 30 * n;
  for (int64_t next = 0; next < n;) {
    int64_t first = next, last = first;
    while (last + 1 < n && e[last] != 0) {
      if (std::abs(e[last]) <= std::sqrt(std::abs(w[last])) * std::sqrt(std::abs(w[last + 1])) * eps) {
        e[last] = 0;
        break;
      }
      ++last;
    }
    next = last + 1;
    // Positions count from the end that converges: step 1 goes up (QL), -1 goes down (QR).
    const int64_t step = std::abs(w[last]) < std::abs(w[first]) ? -1 : 1;
    int64_t l = step > 0 ? first : last;
    const int64_t end = step > 0 ? last : first;
    // The element between position i and the next one, and the rows that they turn.
    auto off = [&](int64_t i) -> double& { return e[step > 0 ? i : i - 1]; };
    auto rotate = [&](int64_t lower, double c, double s) { fast().rotate(z + lower * n, z + (lower + 1) * n, c, -s, n); };
    while ((end - l) * step >= 0) {
      int64_t m = l;
      while (m != end && !(off(m) * off(m) <= eps * eps * std::abs(w[m]) * std::abs(w[m + step]) + std::numeric_limits<double>::min())) m += step;
      if (m != end) off(m) = 0;
      if (m == l) {
        l += step;
        continue;
      }
      if (m == l + step) {
        const int64_t lower = std::min(l, m);
        const Pair p = pair_of(w[lower], e[lower], w[lower + 1]);
        rotate(lower, p.c, p.s);
        w[lower] = p.large;
        w[lower + 1] = p.small;
        e[lower] = 0;
        l += 2 * step;
        continue;
      }
      if (turns-- == 0) return false;
      const double half = (w[l + step] - w[l]) / (2 * off(l));
      double g = w[m] - w[l] + off(l) / (half + std::copysign(std::hypot(half, 1.), half)), s = 1, c = 1, shift = 0;
      for (int64_t i = m - step; (i - l) * step >= 0; i -= step) {
        const double f = s * off(i), b = c * off(i);
        const Turn t = turn_of(g, f);
        c = t.c;
        s = t.s;
        if (i != m - step) off(i + step) = t.r;
        g = w[i + step] - shift;
        const double r = (w[i] - g) * s + 2 * c * b;
        shift = s * r;
        w[i + step] = g + shift;
        g = c * r - b;
        rotate(std::min(i, i + step), c, step > 0 ? -s : s);
      }
      w[l] -= shift;
      off(l) = g;
    }
  }
  return true;
}

// `eps`: the precision of the dtype that is asked for.
bool eigh(double* a, int64_t n, double* w, double* work, double eps) {
  if (n == 0) return true;
  for (int64_t i = 0; i < n * n; ++i)
    if (!std::isfinite(a[i])) return false;
  double *z = work, *e = z + n * n, *p = e + n, *taus = p + n, *v = taus + n;  // z: rows become eigenvectors
  // Tridiagonal form: a = Q T Qᵀ. Row k of a keeps reflector k in its columns k + 1 ….
  for (int64_t k = 0; k + 2 <= n; ++k) {
    const int64_t m = n - k - 1;
    double* x = a + k * n + k + 1;
    for (int64_t i = 0; i < m; ++i) x[i] = a[(k + 1 + i) * n + k];
    taus[k] = reflector(x, m, e[k]);
    if (taus[k] == 0) continue;
    double* sub = a + (k + 1) * n + k + 1;
    for (int64_t i = 0; i < m; ++i) p[i] = taus[k] * fast().dot(sub + i * n, x, m);
    fast().axpy(-taus[k] / 2 * fast().dot(p, x, m), x, p, m);
    for (int64_t i = 0; i < m; ++i) {
      fast().axpy(-x[i], p, sub + i * n, m);
      fast().axpy(-p[i], x, sub + i * n, m);
    }
  }
  for (int64_t i = 0; i < n; ++i) w[i] = a[i * n + i];
  e[n - 1] = 0;
  // z = Qᵀ: the reflectors from last to first, applied from the right to the identity.
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) z[i * n + j] = i == j;
  for (int64_t k = n - 2; k >= 0; --k) {
    if (taus[k] == 0) continue;
    const int64_t m = n - k - 1;
    std::copy_n(a + k * n + k + 1, m, v);
    for (int64_t i = k + 1; i < n; ++i) {
      double* row = z + i * n + k + 1;
      fast().axpy(-taus[k] * fast().dot(row, v, m), v, row, m);
    }
  }
  if (!tridiagonal_eigen(n, w, e, z, eps)) return false;
  // Ascending; eigenvectors into the columns of a.
  for (int64_t i = 0; i < n; ++i) {
    const int64_t j = std::min_element(w + i, w + n) - w;
    if (j != i) {
      std::swap(w[i], w[j]);
      std::swap_ranges(z + i * n, z + (i + 1) * n, z + j * n);
    }
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) a[j * n + i] = z[i * n + j];
  return true;
}

size_t svd_work(int64_t m, int64_t n, bool full) {
  const int64_t k = std::min(m, n), l = std::max(m, n), wanted = full ? l : k;
  return static_cast<size_t>(k * l + k * k + l * k + l * wanted) + qr_work(l, k, wanted);
}

void svd(const double* a, int64_t m, int64_t n, double* s, double* u, double* vt, bool full, double* work) {
  const bool tall = m >= n;
  const int64_t k = std::min(m, n), l = std::max(m, n);
  // The rows of g are the columns of a tall matrix (a, or its transpose) and get orthogonal; y gathers the rotations.
  double *g = work, *y = g + k * l, *basis = y + k * k, *whole = basis + l * k, *rest = whole + l * (full ? l : k);
  double top = 0;
  for (int64_t i = 0; i < m * n; ++i) top = std::max(top, std::abs(a[i]));
  const double scale = top > 0 && std::isfinite(top) ? top : 1;
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < l; ++j) g[i * l + j] = (tall ? a[j * n + i] : a[i * n + j]) / scale;
    for (int64_t j = 0; j < k; ++j) y[i * k + j] = i == j;
  }
  const double tiny = 1e-15 * std::max(1., std::sqrt(static_cast<double>(l)) / 4);  // what rounding leaves of a product of orthogonal rows
  bool turned = true;
  for (int sweep = 0; turned && sweep < 60; ++sweep) {
    turned = false;
    for (int64_t p = 0; p < k; ++p)
      for (int64_t q = p + 1; q < k; ++q) {
        double *x = g + p * l, *z = g + q * l;
        const double xx = fast().dot(x, x, l), zz = fast().dot(z, z, l), xz = fast().dot(x, z, l);
        if (!(std::abs(xz) > tiny * std::sqrt(xx) * std::sqrt(zz)) || xz == 0) continue;
        turned = true;
        const double zeta = (zz - xx) / (2 * xz), t = std::copysign(1., zeta) / (std::abs(zeta) + std::hypot(1., zeta));
        const double c = 1 / std::sqrt(1 + t * t), sine = c * t;
        fast().rotate(x, z, c, sine, l);
        fast().rotate(y + p * k, y + q * k, c, sine, k);
      }
  }
  for (int64_t i = 0; i < k; ++i) s[i] = norm(g + i * l, l);
  for (int64_t i = 0; i < k; ++i) {
    const int64_t j = std::max_element(s + i, s + k) - s;
    if (j == i) continue;
    std::swap(s[i], s[j]);
    std::swap_ranges(g + i * l, g + (i + 1) * l, g + j * l);
    std::swap_ranges(y + i * k, y + (i + 1) * k, y + j * k);
  }
  // Directions of the singular values that are 0, and of a whole basis, come from the complement of the others.
  int64_t rank = 0;
  while (rank < k && !(s[rank] <= s[0] * 1e-18)) ++rank;
  for (int64_t i = 0; i < rank; ++i)
    for (int64_t j = 0; j < l; ++j) g[i * l + j] /= s[i];
  const int64_t wanted = full ? l : k;
  if ((u || vt) && rank < wanted) {
    for (int64_t i = 0; i < rank; ++i)
      for (int64_t j = 0; j < l; ++j) basis[j * rank + i] = g[i * l + j];
    qr(basis, l, rank, whole, wanted, rest);
  }
  auto direction = [&](int64_t i, int64_t j) { return i < rank ? g[i * l + j] : whole[j * wanted + i]; };
  for (int64_t i = 0; i < k; ++i) s[i] *= scale;
  double *lng = tall ? u : vt, *shrt = tall ? vt : u;
  if (lng)
    for (int64_t i = 0; i < wanted; ++i)
      for (int64_t j = 0; j < l; ++j) (tall ? lng[j * wanted + i] : lng[i * l + j]) = direction(i, j);
  if (shrt)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j) (tall ? shrt[i * k + j] : shrt[j * k + i]) = y[i * k + j];
}

// ---- kernels ----
namespace {

struct Batch {
  int64_t count, m, n;
  DType dtype;
  int64_t k() const { return std::min(m, n); }
  int slots() const { return static_cast<int>(std::clamp<int64_t>(count, 1, 8)); }
  int64_t grain() const { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, m * n * k())); }
};

Batch make_batch(const char* where, DType dtype, const Shape& a, bool square) {
  if (dtype != DType::Float32 && dtype != DType::Float64)
    throw TypeError(ErrorText{.what = "matrices are decomposed in float32 or float64",
                              .where = where,
                              .expected = "float32 or float64",
                              .received = dtype_name(dtype)}
                        .str());
  if (!a.is_static() || a.rank() < 2 || (square && a[-1] != a[-2]))
    throw ValueError(ErrorText{.what = square ? "the last two axes are not a square matrix" : "the last two axes are not a matrix",
                               .where = where,
                               .expected = square ? "(…, n, n)" : "(…, m, n)",
                               .received = a.str()}
                         .str());
  return {a.slice(0, -2).numel(), a[-2], a[-1], dtype};
}

void read(DType t, const void* from, int64_t at, double* to, int64_t n) {
  if (t == DType::Float32) std::copy_n(static_cast<const float*>(from) + at, n, to);
  else std::copy_n(static_cast<const double*>(from) + at, n, to);
}
void write(DType t, const double* from, void* to, int64_t at, int64_t n) {
  if (t == DType::Float32)
    for (int64_t i = 0; i < n; ++i) static_cast<float*>(to)[at + i] = static_cast<float>(from[i]);
  else std::copy_n(from, n, static_cast<double*>(to) + at);
}
// The symmetric part, as JAX takes it: what a caller put into the other triangle counts.
void symmetrise(double* a, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i] = (a[i * n + j] + a[j * n + i]) / 2;
}

// f(matrix number, in, out, work): one call per matrix of the batch, work of `doubles` each thread's own.
template <class F> KernelPtr batch_kernel(const char* name, const Batch& b, size_t doubles, F f) {
  const size_t each = (doubles * sizeof(double) + 63) / 64 * 64;
  const int slots = b.slots();
  return lambda_kernel(name, each * static_cast<size_t>(slots), [=](void* const* in, void* const* out, void* scratch) {
    auto work = [&](int slot) { return reinterpret_cast<double*>(static_cast<char*>(scratch) + each * static_cast<size_t>(slot)); };
    if (b.count == 1) return f(0, in, out, work(0));  // the decomposition itself may use the threads
    parallel_for_slots(b.count, b.grain(), slots, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t i = begin; i < end; ++i) f(i, in, out, work(slot));
    });
  });
}

}  // namespace

KernelPtr make_cholesky(DType dtype, const Shape& a, bool upper) {
  const Batch b = make_batch("cholesky", dtype, a, true);
  const int64_t n = b.n;
  return batch_kernel("cholesky", b, static_cast<size_t>(n * n), [=](int64_t i, void* const* in, void* const* out, double* x) {
    read(dtype, in[0], i * n * n, x, n * n);
    symmetrise(x, n);
    if (!cholesky(x, n))
      for (int64_t r = 0; r < n; ++r)
        for (int64_t c = 0; c < n; ++c) x[r * n + c] = c <= r ? std::numeric_limits<double>::quiet_NaN() : 0;
    if (upper)
      for (int64_t r = 0; r < n; ++r)
        for (int64_t c = 0; c < r; ++c) std::swap(x[r * n + c], x[c * n + r]);
    write(dtype, x, out[0], i * n * n, n * n);
  });
}

KernelPtr make_triangular_solve(DType dtype, const Shape& a, const Shape& b, bool lower, bool transposed, bool unit_diagonal) {
  const Batch batch = make_batch("triangular_solve", dtype, a, true);
  if (!b.is_static() || b.rank() != a.rank() || b.slice(0, -1) != a.slice(0, -1))
    throw ValueError(ErrorText{.what = "the right-hand side doesn't fit the matrix " + a.str(),
                               .where = "triangular_solve",
                               .expected = (a.slice(0, -1) + Shape{None}).str(),
                               .received = b.str()}
                         .str());
  const int64_t n = batch.n, m = b[-1];
  return batch_kernel("triangular_solve", batch, static_cast<size_t>(n * n + n * m),
                      [=](int64_t i, void* const* in, void* const* out, double* x) {
                        double* y = x + n * n;
                        read(dtype, in[0], i * n * n, x, n * n);
                        read(dtype, in[1], i * n * m, y, n * m);
                        triangular_solve(x, y, n, m, lower, transposed, unit_diagonal);
                        write(dtype, y, out[0], i * n * m, n * m);
                      });
}

KernelPtr make_lu(DType dtype, const Shape& a) {
  const Batch b = make_batch("lu", dtype, a, false);
  return batch_kernel("lu", b, static_cast<size_t>(b.m * b.n), [=](int64_t i, void* const* in, void* const* out, double* x) {
    read(dtype, in[0], i * b.m * b.n, x, b.m * b.n);
    lu(x, b.m, b.n, static_cast<int32_t*>(out[1]) + i * b.k(), static_cast<int32_t*>(out[2]) + i * b.m);
    write(dtype, x, out[0], i * b.m * b.n, b.m * b.n);
  });
}

KernelPtr make_qr(DType dtype, const Shape& a, bool complete) {
  const Batch b = make_batch("qr", dtype, a, false);
  const int64_t m = b.m, n = b.n, k = complete ? m : b.k();
  return batch_kernel("qr: Householder in blocks of 32", b, static_cast<size_t>(m * n + m * k) + qr_work(m, n, k),
                      [=](int64_t i, void* const* in, void* const* out, double* x) {
                        double* q = x + m * n;
                        read(dtype, in[0], i * m * n, x, m * n);
                        qr(x, m, n, q, k, q + m * k);
                        write(dtype, q, out[0], i * m * k, m * k);
                        write(dtype, x, out[1], i * k * n, k * n);  // the first k rows of R
                      });
}

KernelPtr make_eigh(DType dtype, const Shape& a) {
  const Batch b = make_batch("eigh", dtype, a, true);
  const int64_t n = b.n;
  // Half a unit in the last place, as LAPACK counts.
  const double eps = dtype == DType::Float64 ? std::numeric_limits<double>::epsilon() / 2 : std::numeric_limits<float>::epsilon() / 2.;
  return batch_kernel("eigh: tridiagonal QL", b, static_cast<size_t>(n * n + n) + eigh_work(n),
                      [=](int64_t i, void* const* in, void* const* out, double* x) {
                        double* w = x + n * n;
                        read(dtype, in[0], i * n * n, x, n * n);
                        symmetrise(x, n);
                        if (!eigh(x, n, w, w + n, eps)) std::fill_n(x, n * n + n, std::numeric_limits<double>::quiet_NaN());
                        write(dtype, w, out[0], i * n, n);
                        write(dtype, x, out[1], i * n * n, n * n);
                      });
}

KernelPtr make_svd(DType dtype, const Shape& a, bool full_matrices, bool vectors) {
  const Batch b = make_batch("svd", dtype, a, false);
  const int64_t m = b.m, n = b.n, k = b.k(), uk = full_matrices ? m : k, vk = full_matrices ? n : k;
  return batch_kernel("svd: one-sided Jacobi", b, static_cast<size_t>(m * n + k + m * uk + vk * n) + svd_work(m, n, full_matrices),
                      [=](int64_t i, void* const* in, void* const* out, double* x) {
                        double *s = x + m * n, *u = s + k, *vt = u + m * uk, *work = vt + vk * n;
                        read(dtype, in[0], i * m * n, x, m * n);
                        svd(x, m, n, s, vectors ? u : nullptr, vectors ? vt : nullptr, full_matrices, work);
                        write(dtype, s, out[vectors ? 1 : 0], i * k, k);
                        if (!vectors) return;
                        write(dtype, u, out[0], i * m * uk, m * uk);
                        write(dtype, vt, out[2], i * vk * n, vk * n);
                      });
}

}  // namespace keras::cpu
#endif  // HWY_ONCE
