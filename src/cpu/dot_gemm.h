// What lives here: our own matrix product for what oneDNN does not do well: small products (no call overhead, no packing), one row or
// one column, float64. One thread; no shapes beyond two dimensions.
#pragma once
#include <cstddef>
#include <cstdint>

#include <keras/base/dtype.h>

namespace keras::cpu {

/// c[m, n] = sum_k a[m, k] b[k, n], then + bias[n], + add[m, n], relu; c and add are row-major with c_ld.
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
  void* scratch = nullptr;  // gemm_pack_bytes()
};
size_t gemm_pack_bytes();
/// Float32 or Float64. The order of summation depends on the sizes and strides alone.
void gemm(DType dtype, const Gemm& g);

/// y[i * y_step] = sum_k a[i * a_ld + k] x[k]: rows of a matrix times one vector.
void gemv_rows(DType dtype, int64_t m, int64_t k, const void* a, int64_t a_ld, const void* x, void* y, int64_t y_step);

}  // namespace keras::cpu
