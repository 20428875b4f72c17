// What lives here: QR by Householder reflections. In doubles, so that the result is the same to a float's precision on every machine.
#include "initializers/orthogonal.h"

#include <cmath>

namespace keras::initializers {

// The fixed inner length lets the compiler use vectors.
static void axpy(double* __restrict y, const double* __restrict x, double a, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; ++k) y[i + k] += a * x[i + k];
  for (; i < n; ++i) y[i] += a * x[i];
}

namespace {
struct Matrix {
  std::vector<double>& v;
  int64_t cols;
  double* row(int64_t i, int64_t j = 0) { return v.data() + i * cols + j; }
};
}  // namespace

// m[k:, from:] -= tau * v * (vᵀ m[k:, from:]); v has one entry per row from k on.
static void reflect(Matrix m, const std::vector<double>& v, double tau, int64_t k, int64_t from, std::vector<double>& work) {
  int64_t rows = static_cast<int64_t>(v.size()), n = m.cols - from;
  work.assign(static_cast<size_t>(n), 0.0);
  for (int64_t i = 0; i < rows; ++i) axpy(work.data(), m.row(k + i, from), v[static_cast<size_t>(i)], n);
  for (int64_t i = 0; i < rows; ++i) axpy(m.row(k + i, from), work.data(), -tau * v[static_cast<size_t>(i)], n);
}

std::vector<double> orthogonal_factor(std::vector<double> a, int64_t rows, int64_t cols) {
  Matrix r{a, cols};
  std::vector<std::vector<double>> reflectors;
  std::vector<double> taus, signs, work;
  for (int64_t k = 0; k < cols; ++k) {
    std::vector<double> v;
    double sum = 0;
    for (int64_t i = k; i < rows; ++i) {
      v.push_back(*r.row(i, k));
      sum += v.back() * v.back();
    }
    double first = v[0], norm = std::sqrt(sum), tau = 0, diagonal = first;
    if (norm > 0) {
      diagonal = first > 0 ? -norm : norm;
      double lead = v[0] = first - diagonal;
      for (double& x : v) x /= lead;
      tau = (diagonal - first) / diagonal;
      reflect(r, v, tau, k, k, work);
    }
    reflectors.push_back(std::move(v));
    taus.push_back(tau);
    signs.push_back(diagonal > 0 ? 1 : diagonal < 0 ? -1 : 0);
  }
  std::vector<double> q(static_cast<size_t>(rows * cols), 0.0);
  Matrix out{q, cols};
  for (int64_t k = 0; k < cols; ++k) *out.row(k, k) = 1;
  // Columns before k are still those of the identity where reflector k acts.
  for (int64_t k = cols; k-- > 0;) reflect(out, reflectors[static_cast<size_t>(k)], taus[static_cast<size_t>(k)], k, k, work);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) *out.row(i, j) *= signs[static_cast<size_t>(j)];
  return q;
}

}  // namespace keras::initializers
