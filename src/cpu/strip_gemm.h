// What lives here: the small product inside a blocked algorithm (Winograd's points): operands that lie in a cache already, b in strips of two
// vectors, float32, one thread. Whole products with packing, epilogues and other dtypes are dot_gemm.h's.
#pragma once
#include <cstdint>

namespace keras::cpu {

/// c[m, n] = a[m, k] b[k, n], added to c if `add` is set, for each of `count`. The columns of b lie in strips of strip_columns(), the last
/// strip of what is left: each strip k rows of its own width, dense (b_ld 0), or side by side in rows b_ld apart. n is a multiple of half a
/// strip. Summed along k in order whatever m and n are, so cutting m or n does not change bits.
struct StripGemm {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_rs = 0, a_cs = 0;  // elements from row to row and from column to column
  const float* b = nullptr;
  int64_t b_ld = 0;
  float* c = nullptr;
  int64_t c_ld = 0;
  bool add = false;
  /// So many products, their operands so many elements apart.
  int64_t count = 1, a_step = 0, b_step = 0, c_step = 0;
  /// What the next product reads of b, if the memory should be asked for it, and for each next strip, while this one is at work (dense b).
  const float* ahead = nullptr;
};
void strip_gemm(const StripGemm& g);
int64_t strip_columns();

}  // namespace keras::cpu
