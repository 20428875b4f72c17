// What lives here: the loops of strip_gemm.h, compiled once per instruction set by Highway and chosen at run time.
#include "cpu/strip_gemm.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/strip_gemm.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using StripD = hn::ScalableTag<float>;
using StripV = hn::Vec<StripD>;

// Rows of c whose sums fit the registers beside two vectors of b.
constexpr int kStripRows = !HWY_ARCH_X86 || HWY_TARGET <= HWY_AVX3 ? 14 : 6;
constexpr int64_t kStripDepth = 512;  // rows of a strip that the first-level cache keeps, nearly

struct StripPart {
  int64_t k;
  const float* a;
  int64_t a_rs, a_cs;
  const float* b;
  int64_t b_rs;
  float* c;
  int64_t c_ld;
  bool add;
  const char* ahead;
  int64_t ahead_step;  // bytes asked for with each row of b
};

template <int MR, int NV> HWY_NOINLINE void strip_tile(const StripPart& g) {
  const StripD d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  StripV sum[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sum[i][j] = hn::Zero(d);
  }
  const float *a = g.a, *b = g.b;
  const char* ahead = g.ahead;
  const int64_t a_rs = g.a_rs, a_cs = g.a_cs, b_rs = g.b_rs, ahead_step = g.ahead_step;
  for (int64_t k = g.k; k > 0; --k, a += a_cs, b += b_rs, ahead += ahead_step) {
    __builtin_prefetch(ahead, 0, 2);
    StripV row[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) row[j] = hn::LoadU(d, b + j * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const StripV v = hn::Set(d, a[i * a_rs]);
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) sum[i][j] = hn::MulAdd(v, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      float* c = g.c + i * g.c_ld + j * lanes;
      hn::StoreU(g.add ? hn::Add(hn::LoadU(d, c), sum[i][j]) : sum[i][j], d, c);
    }
  }
}

template <int MR, int NV> HWY_INLINE void strip_of(int64_t rows, const StripPart& g) {
  if constexpr (MR == 1) strip_tile<1, NV>(g);
  else if (rows == MR) strip_tile<MR, NV>(g);
  else strip_of<MR - 1, NV>(rows, g);
}

// Sixteen rows of a narrow strip stay in registers while the rows of a pass: a loop over k would hardly begin before it ends.
constexpr int kNarrow = 16;
template <int MR> HWY_INLINE void narrow_rows(const StripPart& g, const StripV* b) {
  const StripD d;
  StripV sum[MR];
#pragma GCC unroll 16
  for (int k = 0; k < kNarrow; ++k) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      const StripV v = hn::Set(d, g.a[i * g.a_rs + k]);
      sum[i] = k == 0 ? hn::Mul(v, b[k]) : hn::MulAdd(v, b[k], sum[i]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
    float* c = g.c + i * g.c_ld;
    hn::StoreU(g.add ? hn::Add(hn::LoadU(d, c), sum[i]) : sum[i], d, c);
  }
}
HWY_NOINLINE void narrow_strip(StripPart& g, int64_t m) {
  StripV b[kNarrow];
#pragma GCC unroll 16
  for (int k = 0; k < kNarrow; ++k) b[k] = hn::LoadU(StripD(), g.b + k * g.b_rs);
  for (; m >= 8; m -= 8, g.a += 8 * g.a_rs, g.c += 8 * g.c_ld) narrow_rows<8>(g, b);
  if (m >= 4) narrow_rows<4>(g, b), m -= 4, g.a += 4 * g.a_rs, g.c += 4 * g.c_ld;
  for (; m > 0; --m, g.a += g.a_rs, g.c += g.c_ld) narrow_rows<1>(g, b);
}

// How rows are cut: as evenly as can be, for a short rest would leave the multipliers waiting for each other.
struct StripCut {
  explicit StripCut(int64_t m)
      : panels((m + kStripRows - 1) / kStripRows), rows(m / std::max<int64_t>(panels, 1)), longer(m - panels * rows) {}
  int64_t panels, rows, longer;  // the first so many have a row more
};

// A strip of b stays in the first-level cache while the rows of a pass it.
template <int NV> HWY_INLINE void strip_panels(StripPart& g, const StripCut& cut) {
  for (int64_t i = 0; i < cut.panels; ++i) {
    const int64_t rows = cut.rows + (i < cut.longer ? 1 : 0);
    strip_of<kStripRows, NV>(rows, g);
    g.a += rows * g.a_rs;
    g.c += rows * g.c_ld;
    g.ahead += g.k * g.ahead_step;
  }
}

void StripGemmLoops(const StripGemm& g) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(StripD())), strip = 2 * lanes;
  const int64_t blocks = std::max<int64_t>(1, (g.k + kStripDepth - 1) / kStripDepth),
                depth = blocks == 1 ? g.k : (g.k + blocks - 1) / blocks;
  const StripCut cut(g.m);
  if (cut.panels == 0) return;
  const int64_t strip_ahead = strip * static_cast<int64_t>(sizeof(float)) / cut.panels, half_ahead = strip_ahead / 2;
  const bool narrow = kStripRows > 6 && depth == kNarrow && g.a_cs == 1;
  StripPart part;
  part.a_rs = g.a_rs, part.a_cs = g.a_cs, part.c_ld = g.c_ld;
  for (int64_t p = 0; p < g.count; ++p) {
    const float *a = g.a + p * g.a_step, *b = g.b + p * g.b_step, *after = p + 1 < g.count ? b + g.b_step : g.ahead;
    float* c = g.c + p * g.c_step;
    for (int64_t k = 0; k < g.k; k += depth) {
      part.k = std::min(depth, g.k - k);
      part.add = k > 0 || g.add;
      for (int64_t j = 0; j < g.n; j += strip) {
        const int64_t width = std::min(strip, g.n - j);
        part.b_rs = g.b_ld == 0 ? width : g.b_ld;
        part.a = a + k * g.a_cs;
        part.b = b + (g.b_ld == 0 ? j * g.k : j) + k * part.b_rs;
        part.c = c + j;
        part.ahead = reinterpret_cast<const char*>(part.b), part.ahead_step = 0;
        if (g.ahead != nullptr) {
          const int64_t next = j + strip;
          const float* ahead = next < g.n        ? b + next * g.k + k * std::min(strip, g.n - next)
                               : k + depth < g.k ? b + (k + depth) * std::min(strip, g.n)
                                                 : after;
          part.ahead = reinterpret_cast<const char*>(ahead), part.ahead_step = width == strip ? strip_ahead : half_ahead;
        }
        if (width == strip) strip_panels<2>(part, cut);
        else if (narrow && part.k == kNarrow) narrow_strip(part, g.m);
        else strip_panels<1>(part, cut);
      }
    }
  }
}

int64_t StripColumns() { return 2 * static_cast<int64_t>(hn::Lanes(StripD())); }

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(StripGemmLoops);
HWY_EXPORT(StripColumns);

void strip_gemm(const StripGemm& g) { HWY_DYNAMIC_DISPATCH(StripGemmLoops)(g); }
int64_t strip_columns() { return HWY_DYNAMIC_DISPATCH(StripColumns)(); }

}  // namespace keras::cpu
#endif
