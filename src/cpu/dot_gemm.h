// What lives here: our own matrix product for what oneDNN does not do well: small products (no call overhead, no packing), one row or
// one column, float64. One thread; no shapes beyond two dimensions.
#pragma once
#include <cstddef>
#include <cstdint>

#include <keras/base/dtype.h>

#include "cpu/epilogue.h"

namespace keras::cpu {

/// c[m, n] = sum_k a[m, k] b[k, n], then + bias[n], + add[m, n], the activation; c and add are row-major with c_ld.
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  int64_t a_rs = 0, a_cs = 0;  // elements from row to row and from column to column
  const void* b = nullptr;
  int64_t b_rs = 0, b_cs = 0;
  void* c = nullptr;
  int64_t c_ld = 0;
  const void* bias = nullptr;
  const void* add = nullptr;
  bool relu = false;
  void* scratch = nullptr;  // gemm_pack_bytes() of its sizes
  /// Not 0: b is in the strips that gemm_pack makes, this many elements from strip to strip; b_rs and b_cs are of no account.
  int64_t b_pitch = 0;
  /// Its activation follows bias and add; null leaves it to `relu`. Bias and add of it are of no account.
  const Epilogue* epilogue = nullptr;
};
size_t gemm_pack_bytes(DType dtype, int64_t m, int64_t n, int64_t k);
/// Whether m × n × k is a large product: those are summed in an order that depends on k alone.
inline bool gemm_is_large(int64_t m, int64_t n, int64_t k) { return m >= 64 && n >= 64 && k >= 48; }
/// Float32 or Float64. The order of summation depends on the sizes and strides alone; with b in strips, on k alone.
void gemm(DType dtype, const Gemm& g);

/// Columns of a strip: b is multiplied fastest as strips of so many columns, each k × gemm_strip() and dense, the last one filled up with zeros.
int64_t gemm_strip(DType dtype);
/// Rows that are multiplied at once: m is cut best at its multiples.
int64_t gemm_rows();
inline int64_t gemm_strips_size(DType dtype, int64_t k, int64_t n) { return (n + gemm_strip(dtype) - 1) / gemm_strip(dtype) * gemm_strip(dtype) * k; }
/// Writes the strips of a k × n matrix, gemm_strips_size() elements.
void gemm_pack(DType dtype, int64_t k, int64_t n, const void* b, int64_t b_rs, int64_t b_cs, void* to);

/// y[i * y_step] = sum_k a[i * a_ld + k] x[k]: rows of a matrix times one vector.
void gemv_rows(DType dtype, int64_t m, int64_t k, const void* a, int64_t a_ld, const void* x, void* y, int64_t y_step);

}  // namespace keras::cpu
