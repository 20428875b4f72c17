// What lives here: products of few rows with a matrix that is used again and again (the recurrent weights of a loop), packed once into the
// order in which its columns are read. One thread, but columns can be shared out; no shapes beyond two dimensions.
#pragma once
#include <cstddef>
#include <cstdint>

#include <keras/base/dtype.h>

namespace keras::cpu {

/// Bytes of the packed form of a k × n matrix, float32 or float64.
size_t packed_matrix_bytes(DType dtype, int64_t k, int64_t n);
/// `to` (aligned to 64 bytes) becomes the packed form of b[k, n], whose elements are rs apart from row to row and cs from column to column.
void pack_matrix(DType dtype, int64_t k, int64_t n, const void* b, int64_t rs, int64_t cs, void* to);

/// c[m, n] = sum_k a[m, k] b[k, n], then + bias[n], + add[m, n]; rows of a, c and add are so many elements apart.
struct PackedProduct {
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  int64_t a_ld = 0;
  const void* packed = nullptr;
  void* c = nullptr;
  int64_t c_ld = 0;
  const void* bias = nullptr;
  const void* add = nullptr;
  int64_t add_ld = 0;
};
/// Every sum goes over k in order, whatever m is: a row's numbers don't depend on the rows beside it.
void packed_product(DType dtype, const PackedProduct& p);

/// Columns of a strip: those from a multiple of it on are a packed matrix of their own, which begins k times as many elements further.
int64_t packed_strip(DType dtype);

}  // namespace keras::cpu
