// What lives here: keras.ops' linear algebra on the last two axes.
#pragma once
#include <functional>

#include <keras/ops/types.h>

namespace keras::ops {

/// Lower triangular factor (upper: its transpose) of positive definite matrices.
Tensor cholesky(const Tensor& x, bool upper = false);
Tensor cholesky_inverse(const Tensor& x, bool upper = false);
Tensor det(const Tensor& x);
/// Sign and logarithm of the absolute determinant.
std::pair<Tensor, Tensor> slogdet(const Tensor& x);
/// Eigenvalues (ascending) and eigenvectors of symmetric matrices.
std::pair<Tensor, Tensor> eigh(const Tensor& x);
/// Complex eigenvalues (…, n) and, as columns, eigenvectors (…, n, n) of length 1 of any square matrices. Has no gradient.
std::pair<Complex, Complex> eig(const Tensor& x);
Tensor inv(const Tensor& x);
/// The packed factors and the pivots.
std::pair<Tensor, Tensor> lu_factor(const Tensor& x);
/// `ord`: absent (Frobenius), a number (infinite ones too), or "fro" or "nuc".
Tensor norm(const Tensor& x, std::optional<double> ord = {}, const Axes& axis = {}, bool keepdims = false);
Tensor norm(const Tensor& x, std::string_view ord, const Axes& axis = {}, bool keepdims = false);
/// `mode`: "reduced" or "complete".
std::pair<Tensor, Tensor> qr(const Tensor& x, std::string_view mode = "reduced");
Tensor solve(const Tensor& a, const Tensor& b);
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool lower = false);
/// u, s, vh; with compute_uv false only s.
Tensors svd(const Tensor& x, bool full_matrices = true, bool compute_uv = true);
Tensor lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond = {});
Tensor pinv(const Tensor& x, std::optional<double> rcond = {});
Tensor matrix_rank(const Tensor& x, std::optional<double> tol = {});
/// The values of `fun` and their derivative along the tangents.
std::pair<Tensors, Tensors> jvp(const std::function<Tensors(const Tensors&)>& fun, const Tensors& primals, const Tensors& tangents);
Tensor matrix_power(const Tensor& x, int64_t n);

}  // namespace keras::ops
