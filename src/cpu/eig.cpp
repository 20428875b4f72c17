// What lives here: eigenvalues of general real matrices (Golub & Van Loan, Matrix Computations, chapter 7): Householder's Hessenberg form,
// Francis' double shift to the real Schur form, back substitution for the vectors. In double; serial, one matrix at a time.
#include "cpu/eig.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <string>

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"

namespace keras::cpu {

namespace {

using C = std::complex<double>;
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

/// A square matrix in somebody's memory.
struct Square {
  double* a;
  int64_t n;
  double& operator()(int64_t i, int64_t j) const { return a[i * n + j]; }
};

/// The reflection I - tau v vᵀ, v[0] = 1, that brings `count` numbers to a multiple of the first axis.
struct Reflection {
  double v[3] = {1, 0, 0}, tau = 0;
  Reflection(const double* x, int count) {
    double size = 0;
    for (int i = 0; i < count; ++i) size = std::max(size, std::abs(x[i]));
    if (size == 0) return;
    double tail = 0, norm = 0;
    for (int i = 0; i < count; ++i) {
      norm += x[i] / size * (x[i] / size);
      if (i) tail += std::abs(x[i]);
    }
    if (tail == 0) return;
    double beta = -std::copysign(size * std::sqrt(norm), x[0]);
    tau = (beta - x[0]) / beta;
    for (int i = 1; i < count; ++i) v[i] = x[i] / (x[0] - beta);
  }
};
/// From the left on rows k … k + count - 1 of columns [from, to), and from the right on those columns of rows [0, bottom) and all of z.
void reflect(const Reflection& r, int count, int64_t k, Square h, Square z, int64_t from, int64_t bottom) {
  if (r.tau == 0) return;
  for (int64_t j = from; j < h.n; ++j) {
    double dot = 0;
    for (int i = 0; i < count; ++i) dot += r.v[i] * h(k + i, j);
    for (int i = 0; i < count; ++i) h(k + i, j) -= r.tau * dot * r.v[i];
  }
  auto right = [&](Square m, int64_t rows) {
    for (int64_t j = 0; j < rows; ++j) {
      double dot = 0;
      for (int i = 0; i < count; ++i) dot += r.v[i] * m(j, k + i);
      for (int i = 0; i < count; ++i) m(j, k + i) -= r.tau * dot * r.v[i];
    }
  };
  right(h, bottom);
  right(z, z.n);
}

/// h becomes zvᵀ h z with nothing below its first subdiagonal. `v` has room for n numbers.
void to_hessenberg(Square h, Square z, double* v) {
  int64_t n = h.n;
  std::fill_n(z.a, n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) z(i, i) = 1;
  for (int64_t k = 0; k + 2 < n; ++k) {
    double norm = 0, tail = 0;
    for (int64_t i = k + 1; i < n; ++i) {
      norm = std::hypot(norm, h(i, k));
      if (i > k + 1) tail += std::abs(h(i, k));
    }
    if (tail == 0) continue;
    double beta = -std::copysign(norm, h(k + 1, k)), tau = (beta - h(k + 1, k)) / beta, first = h(k + 1, k) - beta;
    for (int64_t i = k + 1; i < n; ++i) v[i] = i == k + 1 ? 1 : h(i, k) / first;
    for (int64_t j = k; j < n; ++j) {
      double dot = 0;
      for (int64_t i = k + 1; i < n; ++i) dot += v[i] * h(i, j);
      for (int64_t i = k + 1; i < n; ++i) h(i, j) -= tau * dot * v[i];
    }
    for (Square m : {h, z})
      for (int64_t j = 0; j < n; ++j) {
        double dot = 0;
        for (int64_t i = k + 1; i < n; ++i) dot += v[i] * m(j, i);
        for (int64_t i = k + 1; i < n; ++i) m(j, i) -= tau * dot * v[i];
      }
    for (int64_t i = k + 2; i < n; ++i) h(i, k) = 0;
  }
}

/// The 2×2 block at k made triangular where its eigenvalues are real.
void split_block(Square h, Square z, int64_t k) {
  double p = (h(k, k) - h(k + 1, k + 1)) / 2, bc = h(k, k + 1) * h(k + 1, k), disc = p * p + bc;
  if (disc < 0) return;
  double root = std::sqrt(disc), step = p >= 0 ? p + root : p - root;  // λ - h(k+1, k+1)
  // (step, h(k+1, k)) is an eigenvector of the block.
  double length = std::hypot(step, h(k + 1, k));
  if (length == 0) return;
  double c = step / length, s = h(k + 1, k) / length;
  for (int64_t j = k; j < h.n; ++j) {
    double x = h(k, j), y = h(k + 1, j);
    h(k, j) = c * x + s * y, h(k + 1, j) = c * y - s * x;
  }
  auto right = [&](Square m, int64_t rows) {
    for (int64_t i = 0; i < rows; ++i) {
      double x = m(i, k), y = m(i, k + 1);
      m(i, k) = c * x + s * y, m(i, k + 1) = c * y - s * x;
    }
  };
  right(h, k + 2);
  right(z, z.n);
  h(k + 1, k) = 0;
}

/// h, in Hessenberg form, becomes block triangular with blocks of one real or two conjugate eigenvalues. A subdiagonal below `epsilon`
/// times its neighbours counts as zero. False when it doesn't converge.
bool to_schur(Square h, Square z, double epsilon) {
  int64_t n = h.n;
  double norm = 0;
  for (int64_t i = 0; i < n * n; ++i) norm = std::max(norm, std::abs(h.a[i]));
  if (!std::isfinite(norm)) return false;
  int rounds = 0;
  for (int64_t hi = n - 1; hi > 0;) {
    int64_t lo = hi;
    for (; lo > 0; --lo) {
      double around = std::abs(h(lo - 1, lo - 1)) + std::abs(h(lo, lo));
      if (std::abs(h(lo, lo - 1)) <= epsilon * (around == 0 ? norm : around)) {
        h(lo, lo - 1) = 0;
        break;
      }
    }
    if (lo == hi) {
      --hi, rounds = 0;
      continue;
    }
    if (lo == hi - 1) {
      split_block(h, z, lo);
      hi -= 2, rounds = 0;
      continue;
    }
    if (++rounds > 60) return false;
    // Sum and product of the two shifts: the last block's eigenvalues, or numbers from nowhere when that doesn't help.
    double sum = h(hi - 1, hi - 1) + h(hi, hi), product = h(hi - 1, hi - 1) * h(hi, hi) - h(hi - 1, hi) * h(hi, hi - 1);
    double half = sum / 2, disc = half * half - product;
    if (disc >= 0) {  // real: the one nearer to the corner, twice
      double a = half + std::sqrt(disc), b = half - std::sqrt(disc);
      double shift = std::abs(a - h(hi, hi)) <= std::abs(b - h(hi, hi)) ? a : b;
      sum = 2 * shift, product = shift * shift;
    }
    if (rounds % 10 == 0) {
      double s = std::abs(h(hi, hi - 1)) + std::abs(h(hi - 1, hi - 2)), d = 0.75 * s + h(hi, hi);
      sum = 2 * d, product = d * d + 0.4375 * s * s;
    }
    double x[3] = {h(lo, lo) * (h(lo, lo) - sum) + product + h(lo, lo + 1) * h(lo + 1, lo), h(lo + 1, lo) * (h(lo, lo) + h(lo + 1, lo + 1) - sum),
                   h(lo + 1, lo) * h(lo + 2, lo + 1)};
    for (int64_t k = lo; k < hi; ++k) {
      int count = k + 2 <= hi ? 3 : 2;
      if (k > lo) {
        for (int i = 0; i < count; ++i) x[i] = h(k + i, k - 1);
      }
      reflect(Reflection(x, count), count, k, h, z, std::max(lo, k - 1), std::min(hi, k + 3) + 1);
      if (k > lo)
        for (int i = 1; i < count; ++i) h(k + i, k - 1) = 0;
    }
  }
  return true;
}

/// The vector of the eigenvalue of block k (k and k + 1 when `pair`) in the Schur basis: x of T x = λ x.
void back_substitute(Square t, int64_t k, bool pair, C lambda, double norm, C* x) {
  std::fill_n(x, t.n, C(0));
  x[k] = 1;
  if (pair) {
    C top = lambda - t(k + 1, k + 1);
    double low = t(k + 1, k);
    if (std::abs(top) >= std::abs(low)) x[k + 1] = low / top;
    else x[k] = C(0, 1) * top / low, x[k + 1] = C(0, 1);
  }
  double least = std::max(kEpsilon * norm, std::numeric_limits<double>::min());
  int64_t last = pair ? k + 1 : k;
  auto rest = [&](int64_t i, int64_t from) {
    C sum = 0;
    for (int64_t j = from; j <= last; ++j) sum -= t(i, j) * x[j];
    return sum;
  };
  for (int64_t i = k - 1; i >= 0; --i) {
    if (i > 0 && t(i, i - 1) != 0) {  // two at once
      C r0 = rest(i - 1, i + 1), r1 = rest(i, i + 1), a = t(i - 1, i - 1) - lambda, d = t(i, i) - lambda;
      double b = t(i - 1, i), c = t(i, i - 1);
      C det = a * d - b * c;
      if (std::abs(det) < least * least) det = least * least;
      x[i - 1] = (r0 * d - b * r1) / det, x[i] = (a * r1 - c * r0) / det;
      --i;
    } else {
      C pivot = t(i, i) - lambda;
      if (std::abs(pivot) < least) pivot = least;
      x[i] = rest(i, i + 1) / pivot;
    }
  }
}

/// Eigenvalues w and eigenvectors v (columns) of a, which is overwritten. Work of n² + n numbers, and n complex ones.
bool eig(Square a, C* w, C* v, double* work, C* x, double epsilon) {
  int64_t n = a.n;
  Square z{work, n};
  to_hessenberg(a, z, work + n * n);
  if (!to_schur(a, z, epsilon)) return false;
  double norm = 0;
  for (int64_t i = 0; i < n * n; ++i) norm = std::max(norm, std::abs(a.a[i]));
  for (int64_t k = 0; k < n; ++k) {
    bool pair = k + 1 < n && a(k + 1, k) != 0;
    C lambda = a(k, k);
    if (pair) {
      double p = (a(k, k) - a(k + 1, k + 1)) / 2;
      lambda = C(a(k + 1, k + 1) + p, std::sqrt(std::max(0.0, -(p * p + a(k, k + 1) * a(k + 1, k)))));
    }
    back_substitute(a, k, pair, lambda, norm, x);
    // Back from the Schur basis; length 1, largest element real.
    double length = 0;
    int64_t largest = 0;
    for (int64_t i = 0; i < n; ++i) {
      C sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += z(i, j) * x[j];
      v[i * n + k] = sum;
      length = std::hypot(length, std::abs(sum));
      if (std::abs(sum) > std::abs(v[largest * n + k])) largest = i;
    }
    C front = v[largest * n + k];
    C turn = pair ? std::conj(front) / std::copysign(std::abs(front), front.real()) : C(1);
    for (int64_t i = 0; i < n; ++i) v[i * n + k] *= turn / length;
    if (pair) v[largest * n + k].imag(0);
    w[k] = lambda;
    if (!pair) continue;
    w[k + 1] = std::conj(lambda);
    for (int64_t i = 0; i < n; ++i) v[i * n + k + 1] = std::conj(v[i * n + k]);
    ++k;
  }
  return true;
}

template <class T> void run(const T* in, int64_t n, T* const* out, double* work) {
  int64_t numbers = n * n;
  auto* v = reinterpret_cast<C*>(work);
  C *w = v + numbers, *x = w + n;
  auto* a = reinterpret_cast<double*>(x + n);
  std::copy_n(in, numbers, a);
  // As many rounds as LAPACK takes in that type: the signs of the vectors depend on it.
  bool good = eig({a, n}, w, v, a + numbers, x, static_cast<double>(std::numeric_limits<T>::epsilon()));
  auto put = [&](const C* from, int64_t count, T* re, T* im) {
    for (int64_t i = 0; i < count; ++i) {
      C c = good ? from[i] : C(std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN());
      re[i] = static_cast<T>(c.real()), im[i] = static_cast<T>(c.imag());
    }
  };
  put(w, n, out[0], out[1]);
  put(v, numbers, out[2], out[3]);
}

}  // namespace

engine::KernelPtr make_eig(DType dtype, const Shape& a) {
  if ((dtype != DType::Float32 && dtype != DType::Float64) || !a.is_static() || a.rank() < 2 || a[-1] != a[-2])
    throw ValueError(ErrorText{.what = "eigenvalues are those of square matrices of floats",
                               .where = "eig",
                               .expected = "float32 or float64 (…, n, n)",
                               .received = std::string(dtype_name(dtype)) + " " + a.str()}
                         .str());
  int64_t n = a[-1], count = a.slice(0, -2).numel();
  size_t doubles = static_cast<size_t>(2 * (n * n + 2 * n) + 2 * n * n + n);
  return lambda_kernel("eig: Francis' double shift", doubles * sizeof(double), [=](void* const* in, void* const* out, void* scratch) {
    auto each = [&]<class T>(T) {
      for (int64_t i = 0; i < count; ++i) {
        T* to[4];
        for (int k = 0; k < 4; ++k) to[k] = static_cast<T*>(out[k]) + i * (k < 2 ? n : n * n);
        run(static_cast<const T*>(in[0]) + i * n * n, n, to, static_cast<double*>(scratch));
      }
    };
    if (dtype == DType::Float32) each(float{});
    else each(double{});
  });
}

}  // namespace keras::cpu
