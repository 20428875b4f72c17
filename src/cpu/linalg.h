// What lives here: decompositions of dense matrices, batched, for float32 and float64. All of them compute in float64; matrices
// are row-major.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

namespace keras::cpu {

// ---- plain functions on one matrix; `work` is scratch of as many doubles as the *_work function says ----

/// a (n, n), its lower triangle counts → its Cholesky factor, zeros above. False, and a half done, when a is not positive definite.
bool cholesky(double* a, int64_t n);
/// Solves op(a) x = b for x (n, m) in place of b; op transposes when asked. Only the named triangle of a (n, n) is read.
void triangular_solve(const double* a, double* b, int64_t n, int64_t m, bool lower, bool transposed, bool unit_diagonal);
/// a (m, n) → L (unit diagonal) below and U above, by partial pivoting. pivots[i] is the row swapped with row i, permutation[i]
/// (m entries) the row of a that ended at row i.
void lu(double* a, int64_t m, int64_t n, int32_t* pivots, int32_t* permutation);
/// a (m, n) → q (m, columns), and R over a (zeros below). columns is min(m, n) or m. Householder, with LAPACK's signs.
void qr(double* a, int64_t m, int64_t n, double* q, int64_t columns, double* work);
size_t qr_work(int64_t m, int64_t n, int64_t columns);
/// Symmetric a (n, n) → eigenvalues w ascending, and over a the eigenvectors as columns, with LAPACK's signs as long as it takes no
/// divide-and-conquer (n up to 25) and rounding doesn't lead it elsewhere. `eps`: the precision of the numbers that are asked for. False when it
/// does not converge.
bool eigh(double* a, int64_t n, double* w, double* work, double eps);
size_t eigh_work(int64_t n);
/// a (m, n) → s (min(m, n)) descending, u (m, min or m), vt (min or n, n): whole bases when `full`; u and vt may be null.
void svd(const double* a, int64_t m, int64_t n, double* s, double* u, double* vt, bool full, double* work);
size_t svd_work(int64_t m, int64_t n, bool full);

// ---- kernels on batches: the last two axes are the matrix, the axes before them the batch ----

/// a (…, n, n), symmetrised → its lower factor, or the transpose of it when `upper`. NaN in the triangle when a is not positive definite.
engine::KernelPtr make_cholesky(DType dtype, const Shape& a, bool upper = false);
/// (a (…, n, n), b (…, n, m)) → x.
engine::KernelPtr make_triangular_solve(DType dtype, const Shape& a, const Shape& b, bool lower, bool transposed = false,
                                        bool unit_diagonal = false);
/// a (…, m, n) → (lu, int32 pivots (…, min), int32 permutation (…, m)).
engine::KernelPtr make_lu(DType dtype, const Shape& a);
/// a (…, m, n) → (q, r): (…, m, k) and (…, k, n), k = min(m, n), or m when `complete`.
engine::KernelPtr make_qr(DType dtype, const Shape& a, bool complete = false);
/// a (…, n, n), symmetrised → (w (…, n), v (…, n, n)).
engine::KernelPtr make_eigh(DType dtype, const Shape& a);
/// a (…, m, n) → (u, s, vh), or s alone without `vectors`.
engine::KernelPtr make_svd(DType dtype, const Shape& a, bool full_matrices = true, bool vectors = true);

}  // namespace keras::cpu
