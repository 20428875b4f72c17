// What lives here: the loops of dot_gemm.h, compiled once per instruction set by Highway and chosen at run time.
#include "cpu/dot_gemm.h"

#include <algorithm>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/dot_gemm.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_clamp.h"

// A block of b, read or packed once for all rows of a, stays in the second-level cache; a panel of a in the first, or nearly.
#ifndef KERAS_CPU_DOT_GEMM_CONSTANTS
#define KERAS_CPU_DOT_GEMM_CONSTANTS
namespace keras::cpu {
inline constexpr int64_t kDepth = 512, kPlainDepth = 1024;
inline constexpr int64_t kBlockBytes = 256 << 10;
inline constexpr int64_t kPanelRows = 12;
inline constexpr int64_t kPanelBytes = kPanelRows * kPlainDepth * 8;
// Large products: a strip of b stays in the first-level cache while the rows of a block of a, which stays in the second, pass it.
inline constexpr int64_t kMostBlockDepth = 384, kBlockRows = 196, kBlockColumns = 512;
inline constexpr int64_t kBlockedPanels = (kMostBlockDepth + 16) * (kBlockRows + 76);  // panels of 14 rows in 16 or of 6 in 8, or a copy
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Masked loads and stores of AVX2 and AVX-512 never touch what the mask leaves out; the others may read past the end of a buffer.
constexpr bool kSafeMasks = HWY_TARGET <= HWY_AVX2;
constexpr bool kManyRegisters = !HWY_ARCH_X86 || HWY_TARGET <= HWY_AVX3;

// A strip twice as wide (AVX-512) fills a first-level cache of 48 KB with less depth than one of AVX2 one of 32 KB.
constexpr int64_t kBlockDepth = HWY_TARGET <= HWY_AVX3 ? 320 : kMostBlockDepth;

template <class T> struct Block {
  int64_t k;
  const T* a;
  int64_t a_rs, a_cs;
  const T* b;
  int64_t b_rs, b_pitch;  // b_pitch: from one packed strip of b to the next; 0 where b lies as it came
  T* c;
  int64_t c_ld;
  const T* bias;
  const T* add;
  bool relu, first, last;
  T upper;            // what relu lets through at most
  int64_t ahead = 0;  // elements from b to what will be read after it, which is fetched into the second-level cache
};

// Rows of c in registers, two vectors wide, and the width of a panel of a that holds so many: whole vectors. Float64 makes do with few, for
// the sake of what is compiled.
template <class T> constexpr int kRows = kManyRegisters && sizeof(T) == 4 ? 14 : 6;
template <class T> constexpr int64_t kPanel = kRows<T> == 14 ? 16 : 8;

// MR rows by NV vectors of c in registers; kMasked: only `edge` lanes of the last vector exist.
template <int MR, int NV, bool kMasked, class T> HWY_NOINLINE void tile(const Block<T>& g, int64_t edge) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto mask = hn::FirstN(d, static_cast<size_t>(edge));
  V acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) acc[i][j] = hn::Zero(d);
  }
  const T* a = g.a;
  const T* b = g.b;
  const int64_t a_rs = g.a_rs, a_cs = g.a_cs, b_rs = g.b_rs;
  for (int64_t k = g.k; k > 0; --k) {
    V vb[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      if (kMasked && kSafeMasks && j == NV - 1) vb[j] = hn::MaskedLoad(mask, d, b + j * lanes);
      else vb[j] = hn::LoadU(d, b + j * lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const V va = hn::Set(d, a[i * a_rs]);
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) acc[i][j] = hn::MulAdd(va, vb[j], acc[i][j]);
    }
    a += a_cs;
    b += b_rs;
  }
  const V zero = hn::Zero(d), upper = hn::Set(d, g.upper);
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      const bool masked = kMasked && j == NV - 1;
      T* c = g.c + i * g.c_ld + j * lanes;
      V v = acc[i][j];
      if (masked && !kSafeMasks) {
        HWY_ALIGN T out[hn::MaxLanes(d)];
        hn::Store(v, d, out);
        for (int64_t l = 0; l < edge; ++l) {
          T s = g.first ? out[l] : c[l] + out[l];
          if (g.last) {
            if (g.bias != nullptr) s += g.bias[j * lanes + l];
            if (g.add != nullptr) s += g.add[i * g.c_ld + j * lanes + l];
            if (g.relu) s = s < 0 ? T{0} : s > g.upper ? g.upper : s;
          }
          c[l] = s;
        }
        continue;
      }
      const auto load = [&](const T* p) HWY_ATTR { return masked ? hn::MaskedLoad(mask, d, p) : hn::LoadU(d, p); };
      if (!g.first) v = hn::Add(load(c), v);
      if (g.last) {
        if (g.bias != nullptr) v = hn::Add(v, load(g.bias + j * lanes));
        if (g.add != nullptr) v = hn::Add(v, load(g.add + i * g.c_ld + j * lanes));
        if (g.relu) v = smaller_of(upper, greater_of(zero, v));  // in this order NaN stays NaN
      }
      if (masked) hn::BlendedStore(v, mask, d, c);
      else hn::StoreU(v, d, c);
    }
  }
}

// As many columns as whole strips of NV vectors cover, from *j on.
template <int MR, int NV, class T> HWY_INLINE void strips(Block<T> g, int64_t n, int64_t* j, int64_t lanes) {
  const T *b = g.b, *bias = g.bias, *add = g.add;
  T* c = g.c;
  for (; *j + NV * lanes <= n; *j += NV * lanes) {
    g.b = g.b_pitch == 0 ? b + *j : b + *j / (2 * lanes) * g.b_pitch;
    g.c = c + *j;
    g.bias = bias == nullptr ? nullptr : bias + *j;
    g.add = add == nullptr ? nullptr : add + *j;
    tile<MR, NV, false>(g, 0);
  }
}

// All n columns of MR rows. Where masks are not safe, b must be readable to a whole vector (packed).
template <int MR, class T> void row_block(const Block<T>& g, int64_t n) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  int64_t j = 0;
  if (g.b_pitch == 0) {
    if constexpr (MR == 1) {
      strips<MR, 8>(g, n, &j, lanes);
      strips<MR, 4>(g, n, &j, lanes);
    } else if constexpr (MR <= 3 || (kManyRegisters && MR <= 6)) {
      strips<MR, 4>(g, n, &j, lanes);
    }
  }
  strips<MR, 2>(g, n, &j, lanes);
  if (j == n) return;
  Block<T> e = g;
  e.b += g.b_pitch == 0 ? j : j / (2 * lanes) * g.b_pitch;
  e.c += j;
  if (e.bias != nullptr) e.bias += j;
  if (e.add != nullptr) e.add += j;
  if (n - j > lanes) tile<MR, 2, true>(e, n - j - lanes);
  else tile<MR, 1, true>(e, n - j);
}

// to[c][r] = from[r][c]: rows of `from` are from_rs apart, of `to` to_rs.
template <class T> HWY_NOINLINE void transpose(T* to, int64_t to_rs, const T* from, int64_t from_rs, int64_t rows, int64_t cols) {
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  constexpr int64_t kN = 16 / sizeof(T);
  const hn::FixedTag<T, static_cast<size_t>(kN)> d;
  for (; r + kN <= rows; r += kN) {
    const T* p = from + r * from_rs;
    T* q = to + r;
    int64_t c = 0;
    for (; c + kN <= cols; c += kN, p += kN, q += kN * to_rs) {
      if constexpr (kN == 4) {
        const hn::RepartitionToWide<decltype(d)> w;
        const auto v0 = hn::LoadU(d, p), v1 = hn::LoadU(d, p + from_rs), v2 = hn::LoadU(d, p + 2 * from_rs),
                   v3 = hn::LoadU(d, p + 3 * from_rs);
        const auto l01 = hn::BitCast(w, hn::InterleaveLower(d, v0, v1)), h01 = hn::BitCast(w, hn::InterleaveUpper(d, v0, v1));
        const auto l23 = hn::BitCast(w, hn::InterleaveLower(d, v2, v3)), h23 = hn::BitCast(w, hn::InterleaveUpper(d, v2, v3));
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(w, l01, l23)), d, q);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(w, l01, l23)), d, q + to_rs);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(w, h01, h23)), d, q + 2 * to_rs);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(w, h01, h23)), d, q + 3 * to_rs);
      } else {
        const auto v0 = hn::LoadU(d, p), v1 = hn::LoadU(d, p + from_rs);
        hn::StoreU(hn::InterleaveLower(d, v0, v1), d, q);
        hn::StoreU(hn::InterleaveUpper(d, v0, v1), d, q + to_rs);
      }
    }
    for (; c < cols; ++c, ++p, q += to_rs) {
      for (int64_t i = 0; i < kN; ++i) q[i] = p[i * from_rs];
    }
  }
#endif
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) to[c * to_rs + r] = from[r * from_rs + c];
  }
}

// All m rows against n columns; `panel`, if any, takes rows of a in the order in which the tiles read them.
template <class T> void rows(Block<T> g, int64_t m, int64_t n, T* panel) {
  const T* a = g.a;
  const int64_t a_rs = g.a_rs, a_cs = g.a_cs;
  const auto enter = [&](int64_t r) {
    g.a = a;
    if (panel == nullptr) return;
    if (a_rs == 1) {
      for (int64_t k = 0; k < g.k; ++k) {
        for (int64_t i = 0; i < r; ++i) panel[k * r + i] = a[k * a_cs + i];
      }
    } else {
      transpose(panel, r, a, a_rs, r, g.k);
    }
    g.a = panel, g.a_rs = 1, g.a_cs = r;
  };
  const auto leave = [&](int64_t r) {
    a += r * a_rs;
    g.c += r * g.c_ld;
    if (g.add != nullptr) g.add += r * g.c_ld;
    m -= r;
  };
  if constexpr (kManyRegisters) {
    for (; m >= 12; leave(12)) enter(12), row_block<12>(g, n);
    if (m >= 8) enter(8), row_block<8>(g, n), leave(8);
  }
  for (; m >= 6; leave(6)) enter(6), row_block<6>(g, n);
  if (m >= 4) enter(4), row_block<4>(g, n), leave(4);
  if (m == 3) enter(3), row_block<3>(g, n);
  if (m == 2) enter(2), row_block<2>(g, n);
  if (m == 1) enter(1), row_block<1>(g, n);
}

// k rows of one strip of b, dense.
template <class T> void pack_strip(T* to, int64_t strip, const T* from, int64_t rs, int64_t cs, int64_t k, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (cs == 1 && n == strip) {
    for (int64_t i = 0; i < k; ++i) {
      hn::StoreU(hn::LoadU(d, from + i * rs), d, to + i * strip);
      hn::StoreU(hn::LoadU(d, from + i * rs + lanes), d, to + i * strip + lanes);
    }
  } else if (rs == 1) {
    constexpr int64_t kRun = 64;  // what is written between two visits of a cache line stays in the first-level cache
    for (int64_t i = 0; i < k; i += kRun) transpose(to + i * strip, strip, from + i, cs, n, std::min(kRun, k - i));
  } else {
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < n; ++j) to[i * strip + j] = from[i * rs + j * cs];
    }
  }
}

// k × n of b into strips that are `pitch` apart, the last one filled up with zeros. Rows of b are read whole, one after the other.
template <class T> void pack_strips(T* to, int64_t strip, int64_t pitch, const T* from, int64_t rs, int64_t cs, int64_t k, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = cs == 1 ? n / strip * strip : 0;
  for (int64_t i = 0; i < k && whole > 0; ++i) {
    const T* line = from + i * rs;
    T* p = to + i * strip;
    for (int64_t s = 0; s < whole; s += strip, p += pitch) {
      hn::StoreU(hn::LoadU(d, line + s), d, p);
      hn::StoreU(hn::LoadU(d, line + s + lanes), d, p + lanes);
    }
  }
  for (int64_t s = whole; s < n; s += strip) {
    T* p = to + s / strip * pitch;
    if (n - s < strip) std::fill(p, p + strip * k, T{0});
    pack_strip(p, strip, from + s * cs, rs, cs, k, std::min(strip, n - s));
  }
}

// How rows fall into tiles of nearly equal height.
struct Tiles {
  int64_t count, base, longer;
  Tiles(int64_t rows, int64_t most) : count((rows + most - 1) / most), base(rows / count), longer(rows % count) {}
  int64_t at(int64_t i) const { return base + (i < longer ? 1 : 0); }
};

// rows × k of a into panels, one per tile, each kPanel<T> wide and k-major. Along k outside, so that where a's columns are whole (rs 1) each of
// its lines is read once, for all panels.
template <class T> void pack_panels(T* to, const T* from, int64_t rs, int64_t cs, int64_t rows, int64_t k) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const Tiles tiles(rows, kRows<T>);
  if (rs != 1) {
    for (int64_t t = 0; t < tiles.count; from += tiles.at(t) * rs, to += kPanel<T> * k, ++t)
      for (int64_t r = 0; r < tiles.at(t); ++r)
        for (int64_t i = 0; i < k; ++i) to[i * kPanel<T> + r] = from[r * rs + i * cs];
    return;
  }
  for (int64_t i = 0; i < k; ++i) {
    const T* line = from + i * cs;
    T* p = to + i * kPanel<T>;
    int64_t left = rows;
    for (int64_t t = 0; t < tiles.count; ++t, p += kPanel<T> * k) {
      const int64_t width = tiles.at(t);
      if (left >= kPanel<T> && kPanel<T> % lanes == 0) {  // what is read beyond the tile is never used
        for (int64_t j = 0; j < kPanel<T>; j += lanes) hn::StoreU(hn::LoadU(d, line + j), d, p + j);
      } else {
        for (int64_t j = 0; j < width; ++j) p[j] = line[j];
      }
      line += width, left -= width;
    }
  }
}

// What becomes of the sums of a tile whose last vector is not whole: as packed_tile does it, from memory.
template <class T>
HWY_NOINLINE void finish_part(const Block<T>& g, const T* sums, int64_t pitch, int64_t rows, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), whole = n / lanes * lanes;
  const T *const bias = g.last ? g.bias : nullptr, *add = g.last ? g.add : nullptr;
  const bool first = g.first, clamp = g.last && g.relu;
  const auto mask = hn::FirstN(d, static_cast<size_t>(n - whole));
  const auto zero = hn::Zero(d), upper = hn::Set(d, g.upper);
  T* c = g.c;
  for (int64_t i = 0; i < rows; ++i, c += g.c_ld, sums += pitch) {
    const auto finished = [&](int64_t j, auto&& load) HWY_ATTR {
      auto v = hn::Load(d, sums + j);
      if (!first) v = hn::Add(load(c + j), v);
      if (bias != nullptr) v = hn::Add(v, load(bias + j));
      if (add != nullptr) v = hn::Add(v, load(add + j));
      return clamp ? smaller_of(upper, greater_of(zero, v)) : v;
    };
    for (int64_t j = 0; j < whole; j += lanes) hn::StoreU(finished(j, [&](const T* p) HWY_ATTR { return hn::LoadU(d, p); }), d, c + j);
    if (whole < n && kSafeMasks) {
      hn::BlendedStore(finished(whole, [&](const T* p) HWY_ATTR { return hn::MaskedLoad(mask, d, p); }), mask, d, c + whole);
    } else {
      for (int64_t j = whole; j < n; ++j) {
        T s = first ? sums[j] : c[j] + sums[j];
        if (bias != nullptr) s += bias[j];
        if (add != nullptr) s += add[j];
        if (clamp) s = s < 0 ? T{0} : s > g.upper ? g.upper : s;
        c[j] = s;
      }
    }
    if (add != nullptr) add += g.c_ld;
  }
}

// MR rows by NV vectors of c in registers. b comes in strips of two vectors, g.b_pitch apart; a has dense columns (kColumns, as in a panel) or
// dense rows. Only n columns of the vectors are part of c.
template <int MR, int NV, bool kColumns, class T> HWY_NOINLINE void packed_tile(const Block<T>& g, int64_t n) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int64_t kMost = static_cast<int64_t>(hn::MaxLanes(d));
  V acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    __builtin_prefetch(g.c + i * g.c_ld, 1);
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) acc[i][j] = hn::Zero(d);
  }
  const T* b = g.b;
  const int64_t b_rs = g.b_rs, pitch = g.b_pitch, a_rs = g.a_rs, a_step = kColumns ? g.a_cs : 1, ahead = g.ahead;
  // Every third row: the two behind it are within reach of an addressing mode.
  constexpr int kPointers = kColumns ? 1 : (MR + 2) / 3;
  const T* a[kPointers];
#pragma GCC unroll 8
  for (int i = 0; i < kPointers; ++i) a[i] = g.a + 3 * i * a_rs;
  for (int64_t k = g.k; k > 0; --k) {
    V vb[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) vb[j] = hn::LoadU(d, b + j / 2 * pitch + j % 2 * lanes);
    if (NV == 2 && MR > 2) {
      __builtin_prefetch(b + ahead, 0, 2);
      if (kMost * sizeof(T) >= 64) __builtin_prefetch(b + ahead + lanes, 0, 2);  // else both vectors share a line
    }
    b += b_rs;
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const V va = hn::Set(d, kColumns ? a[0][i] : a[i / 3 % kPointers][i % 3 * a_rs]);
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) acc[i][j] = hn::MulAdd(va, vb[j], acc[i][j]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kPointers; ++i) a[i] += a_step;
  }

  if (n < NV * lanes) {
    HWY_ALIGN T sums[MR * NV * kMost];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) hn::Store(acc[i][j], d, sums + (i * NV + j) * kMost);
    }
    return finish_part<T>(g, sums, NV * kMost, MR, n);
  }
  // One pass over the registers for each thing to do: what there is to do is asked once.
  T* const c = g.c;
  const int64_t c_ld = g.c_ld;
  const T *const bias = g.last ? g.bias : nullptr, *const add = g.last ? g.add : nullptr;
  const bool clamp = g.last && g.relu;
  const auto each = [&](auto&& f) HWY_ATTR {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) f(acc[i][j], i * c_ld + j * lanes);
    }
  };
  if (!g.first) each([&](V& v, int64_t at) HWY_ATTR { v = hn::Add(hn::LoadU(d, c + at), v); });
  if (bias != nullptr) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      const V one = hn::LoadU(d, bias + j * lanes);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) acc[i][j] = hn::Add(acc[i][j], one);
    }
  }
  if (add != nullptr) each([&](V& v, int64_t at) HWY_ATTR { v = hn::Add(v, hn::LoadU(d, add + at)); });
  if (clamp) {
    const V zero = hn::Zero(d), upper = hn::Set(d, g.upper);
    each([&](V& v, int64_t) HWY_ATTR { v = smaller_of(upper, greater_of(zero, v)); });  // in this order NaN stays NaN
  }
  each([&](V v, int64_t at) HWY_ATTR { hn::StoreU(v, d, c + at); });
}

// One tile of so many rows and a strip's n columns.
template <int NV, bool kColumns, class T> void packed_rows(const Block<T>& g, int64_t rows, int64_t n) {
  switch (rows) {
    case 1: return packed_tile<1, NV, kColumns>(g, n);
    case 2: return packed_tile<2, NV, kColumns>(g, n);
    case 3: return packed_tile<3, NV, kColumns>(g, n);
    case 4: return packed_tile<4, NV, kColumns>(g, n);
    case 5: return packed_tile<5, NV, kColumns>(g, n);
    case 6: return packed_tile<6, NV, kColumns>(g, n);
    default: break;
  }
  if constexpr (kRows<T> == 14) {
    switch (rows) {
      case 7: return packed_tile<7, NV, kColumns>(g, n);
      case 8: return packed_tile<8, NV, kColumns>(g, n);
      case 9: return packed_tile<9, NV, kColumns>(g, n);
      case 10: return packed_tile<10, NV, kColumns>(g, n);
      case 11: return packed_tile<11, NV, kColumns>(g, n);
      case 12: return packed_tile<12, NV, kColumns>(g, n);
      case 13: return packed_tile<13, NV, kColumns>(g, n);
      case 14: return packed_tile<14, NV, kColumns>(g, n);
      default: break;
    }
  }
}

template <class T> T upper_of(const Gemm& g) {
  return g.epilogue != nullptr && g.epilogue->act == Epilogue::Act::Relu6 ? T{6} : std::numeric_limits<T>::infinity();
}
// Relu and relu6 are done in registers, the others on what is in the first-level cache.
inline bool clamps(const Gemm& g) {
  return g.epilogue == nullptr
             ? g.relu
             : g.epilogue->act == Epilogue::Act::Relu6 || (g.epilogue->act == Epilogue::Act::Relu && g.epilogue->alpha == 0);
}
inline bool acts_after(const Gemm& g) { return g.epilogue != nullptr && g.epilogue->act != Epilogue::Act::None && !clamps(g); }
template <class T> void act_after(const Gemm& g, T* c, int64_t m, int64_t n) {
  Epilogue e = *g.epilogue;
  e.bias = e.add = false;
  apply_epilogue(e, sizeof(T) == 4 ? DType::Float32 : DType::Float64, c, nullptr, nullptr, m, n, g.c_ld);
}

// A strip against all tiles of a block of a. `act`: the activation follows each tile, while it is in the first-level cache; a whole column of
// them is often not even in the second, for rows of c that are a power of two apart share few sets.
template <bool kPanels, class T> void strip_rows(Block<T> g, int64_t m, int64_t n, int64_t lanes, const Gemm* act) {
  const Tiles tiles(m, kRows<T>);
  const T* a = g.a;
  if (kPanels) g.a_rs = 1, g.a_cs = kPanel<T>;
  for (int64_t t = 0; t < tiles.count; ++t) {
    const int64_t r = tiles.at(t);
    g.a = a;
    g.ahead = t + 1 == tiles.count ? g.b_pitch : 0;  // the next strip
    constexpr int kNarrow = !kPanels && sizeof(T) == 4 ? 1 : 2;
    if (n <= lanes) packed_rows<kNarrow, kPanels>(g, r, n);
    else packed_rows<2, kPanels>(g, r, n);
    if (act != nullptr) act_after(*act, g.c, r, n);
    a += kPanels ? kPanel<T> * g.k : r * g.a_rs;
    g.c += r * g.c_ld;
    if (g.add != nullptr) g.add += r * g.c_ld;
  }
}

template <class T> void gemm_blocked(const Gemm& g) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>())), strip = 2 * lanes;
  const T* a = static_cast<const T*>(g.a);
  const T* b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  const T* bias = static_cast<const T*>(g.bias);
  const T* add = static_cast<const T*>(g.add);
  const bool relu = clamps(g), after = acts_after(g), packed = g.b_pitch != 0;
  const int64_t blocks = std::max<int64_t>(1, (g.k + kBlockDepth - 1) / kBlockDepth), depth = (g.k + blocks - 1) / blocks;
  const int64_t columns = packed ? g.n : kBlockColumns;
  const Tiles row_blocks(g.m, kBlockRows);
  // Rows of a whose distance is a multiple of a page share one set of the first-level cache: they are copied closer to each other.
  const bool panels = g.a_cs != 1, copy_a = !panels && g.m > 4 && g.a_rs * static_cast<int64_t>(sizeof(T)) % 4096 == 0;
  T* packed_a = static_cast<T*>(g.scratch);
  T* packed_b = packed_a + kBlockedPanels;
  for (int64_t k = 0; k < g.k; k += depth) {
    const int64_t kd = std::min(depth, g.k - k);
    const bool last = k + kd >= g.k;
    const Gemm* const act = last && after ? &g : nullptr;
    for (int64_t j = 0; j < g.n; j += columns) {
      const int64_t n = std::min(columns, g.n - j), pitch = packed ? g.b_pitch : strip * kd;
      if (!packed) pack_strips(packed_b, strip, pitch, b + k * g.b_rs + j * g.b_cs, g.b_rs, g.b_cs, kd, n);
      const T* strips = packed ? b + k * strip : packed_b;
      for (int64_t i = 0, rb = 0; rb < row_blocks.count; i += row_blocks.at(rb), ++rb) {
        const int64_t m = row_blocks.at(rb);
        const T* from = a + i * g.a_rs + k * g.a_cs;
        int64_t a_rs = g.a_rs;
        if (panels) pack_panels(packed_a, from, g.a_rs, g.a_cs, m, kd);
        if (copy_a) {
          a_rs = kBlockDepth + 16;
          for (int64_t r = 0; r < m; ++r) std::memcpy(packed_a + r * a_rs, from + r * g.a_rs, static_cast<size_t>(kd) * sizeof(T));
        }
        for (int64_t s = 0; s < n;) {
          const int64_t at = i * g.c_ld + j + s;
          const Block<T> blk{kd,
                             panels || copy_a ? packed_a : from,
                             a_rs,
                             1,
                             strips + s / strip * pitch,
                             strip,
                             pitch,
                             c + at,
                             g.c_ld,
                             bias == nullptr ? nullptr : bias + j + s,
                             add == nullptr ? nullptr : add + at,
                             relu,
                             k == 0,
                             last,
                             upper_of<T>(g)};
          int64_t done = std::min(strip, n - s);
          // A few rows hide the latency of sums only several strips wide.
          if (panels) {
            strip_rows<true>(blk, m, done, lanes, act);
          } else if (m == 1 && n - s >= 4 * strip) {
            packed_tile<1, 8, false>(blk, done = 4 * strip);
            if (act != nullptr) act_after(g, c + at, m, done);
          } else if (m <= 3 && n - s >= 2 * strip) {
            done = 2 * strip;
            m == 1   ? packed_tile<1, 4, false>(blk, done)
            : m == 2 ? packed_tile<2, 4, false>(blk, done)
                     : packed_tile<3, 4, false>(blk, done);
            if (act != nullptr) act_after(g, c + at, m, done);
          } else {
            strip_rows<false>(blk, m, done, lanes, act);
          }
          s += done;
        }
      }
    }
  }
}

template <class T> void gemm_loops(const Gemm& g) {
  if (g.b_pitch != 0 || gemm_is_large(g.m, g.n, g.k)) return gemm_blocked<T>(g);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>())), e = static_cast<int64_t>(sizeof(T));
  const T* a = static_cast<const T*>(g.a);
  const T* b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  const T* bias = static_cast<const T*>(g.bias);
  const T* add = static_cast<const T*>(g.add);
  // Rows of b far apart share few sets of the cache; packing pays where many rows of a use the copy.
  const bool pack = g.b_cs != 1 || (g.m >= 64 && g.b_rs * e >= 4096) || (!kSafeMasks && g.n % lanes != 0);
  const int64_t most = pack ? kDepth : g.m <= kPanelRows ? std::max<int64_t>(g.k, 1) : kPlainDepth;
  const int64_t blocks = std::max<int64_t>(1, (g.k + most - 1) / most);
  const int64_t depth = (g.k + blocks - 1) / blocks;
  // b that fits, or is used once, needs no blocks of columns.
  int64_t width = std::max<int64_t>(2 * lanes, kBlockBytes / e / std::max<int64_t>(depth, 1) / (2 * lanes) * (2 * lanes));
  if (!pack && g.m <= kPanelRows) width = std::max<int64_t>(g.n, 1);
  const bool panels =
      g.a_cs != 1 ? g.a_rs == 1 && g.a_cs * e % 1024 == 0 && g.n >= 96 : g.a_rs * e % 4096 == 0 && g.n >= 64 && g.m > 4 && g.k >= 32;
  T* panel = panels && depth <= kPlainDepth ? static_cast<T*>(g.scratch) : nullptr;
  T* packed = reinterpret_cast<T*>(static_cast<char*>(g.scratch) + kPanelBytes);
  for (int64_t k = 0; k < g.k; k += depth) {
    Block<T> blk{
        std::min(depth, g.k - k), a + k * g.a_cs, g.a_rs, g.a_cs, nullptr, g.b_rs, 0, nullptr, g.c_ld, nullptr, nullptr, clamps(g), k == 0,
        k + depth >= g.k,         upper_of<T>(g)};
    for (int64_t j = 0; j < g.n; j += width) {
      const int64_t n = std::min(width, g.n - j);
      const T* from = b + k * g.b_rs + j * g.b_cs;
      if (pack) {
        const int64_t strip = 2 * lanes;
        for (int64_t i = 0; i < n; i += strip) {
          pack_strip(packed + i * blk.k, strip, from + i * g.b_cs, g.b_rs, g.b_cs, blk.k, std::min(strip, n - i));
        }
        from = packed;
        blk.b_rs = strip;
        blk.b_pitch = strip * blk.k;
      }
      blk.b = from;
      blk.c = c + j;
      blk.bias = bias == nullptr ? nullptr : bias + j;
      blk.add = add == nullptr ? nullptr : add + j;
      rows<T>(blk, g.m, n, panel);
    }
  }
  if (acts_after(g)) act_after(g, c, g.m, g.n);
}

template <class T> void gemv_loops(int64_t m, int64_t k, const T* a, int64_t ld, const T* x, T* y, int64_t step) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < m;) {
    const int r = m - i >= 4 ? 4 : 1;
    const T* p0 = a + i * ld;
    const T* p1 = r == 4 ? p0 + ld : p0;
    const T* p2 = r == 4 ? p1 + ld : p0;
    const T* p3 = r == 4 ? p2 + ld : p0;
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    int64_t j = 0;
    if (r == 4) {
      for (; j + 2 * lanes <= k; j += 2 * lanes) {
        const auto v = hn::LoadU(d, x + j), w = hn::LoadU(d, x + j + lanes);
        s0 = hn::MulAdd(v, hn::LoadU(d, p0 + j), s0), t0 = hn::MulAdd(w, hn::LoadU(d, p0 + j + lanes), t0);
        s1 = hn::MulAdd(v, hn::LoadU(d, p1 + j), s1), t1 = hn::MulAdd(w, hn::LoadU(d, p1 + j + lanes), t1);
        s2 = hn::MulAdd(v, hn::LoadU(d, p2 + j), s2), t2 = hn::MulAdd(w, hn::LoadU(d, p2 + j + lanes), t2);
        s3 = hn::MulAdd(v, hn::LoadU(d, p3 + j), s3), t3 = hn::MulAdd(w, hn::LoadU(d, p3 + j + lanes), t3);
      }
    } else {
      for (; j + 4 * lanes <= k; j += 4 * lanes) {
        s0 = hn::MulAdd(hn::LoadU(d, x + j), hn::LoadU(d, p0 + j), s0);
        t0 = hn::MulAdd(hn::LoadU(d, x + j + lanes), hn::LoadU(d, p0 + j + lanes), t0);
        t1 = hn::MulAdd(hn::LoadU(d, x + j + 2 * lanes), hn::LoadU(d, p0 + j + 2 * lanes), t1);
        t2 = hn::MulAdd(hn::LoadU(d, x + j + 3 * lanes), hn::LoadU(d, p0 + j + 3 * lanes), t2);
      }
      t0 = hn::Add(t0, hn::Add(t1, t2));
      t1 = t2 = hn::Zero(d);
    }
    T r0 = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, t0)));
    T r1 = 0, r2 = 0, r3 = 0;
    if (r == 4) {
      r1 = hn::GetLane(hn::SumOfLanes(d, hn::Add(s1, t1)));
      r2 = hn::GetLane(hn::SumOfLanes(d, hn::Add(s2, t2)));
      r3 = hn::GetLane(hn::SumOfLanes(d, hn::Add(s3, t3)));
    }
    for (; j < k; ++j) {
      r0 += x[j] * p0[j];
      if (r == 4) r1 += x[j] * p1[j], r2 += x[j] * p2[j], r3 += x[j] * p3[j];
    }
    y[i * step] = r0;
    if (r == 4) y[(i + 1) * step] = r1, y[(i + 2) * step] = r2, y[(i + 3) * step] = r3;
    i += r;
  }
}

template <class T> void pack_all(int64_t k, int64_t n, const T* b, int64_t rs, int64_t cs, T* to) {
  const int64_t strip = 2 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  pack_strips(to, strip, strip * k, b, rs, cs, k, n);
}

void GemmF32(const Gemm& g) { gemm_loops<float>(g); }
void GemmF64(const Gemm& g) { gemm_loops<double>(g); }
void PackF32(int64_t k, int64_t n, const float* b, int64_t rs, int64_t cs, float* to) { pack_all(k, n, b, rs, cs, to); }
void PackF64(int64_t k, int64_t n, const double* b, int64_t rs, int64_t cs, double* to) { pack_all(k, n, b, rs, cs, to); }
int64_t StripF32() { return 2 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>())); }
int64_t StripF64() { return 2 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<double>())); }
int64_t TileRows() { return kRows<float>; }
void GemvF32(int64_t m, int64_t k, const float* a, int64_t ld, const float* x, float* y, int64_t step) {
  gemv_loops(m, k, a, ld, x, y, step);
}
void GemvF64(int64_t m, int64_t k, const double* a, int64_t ld, const double* x, double* y, int64_t step) {
  gemv_loops(m, k, a, ld, x, y, step);
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(GemmF32);
HWY_EXPORT(GemmF64);
HWY_EXPORT(GemvF32);
HWY_EXPORT(GemvF64);
HWY_EXPORT(PackF32);
HWY_EXPORT(PackF64);
HWY_EXPORT(StripF32);
HWY_EXPORT(StripF64);
HWY_EXPORT(TileRows);

size_t gemm_pack_bytes(DType dtype, int64_t m, int64_t n, int64_t k) {
  const int64_t blocked = (kBlockedPanels + (gemm_is_large(m, n, k) ? kMostBlockDepth * (std::min(n, kBlockColumns) + 64) : 0)) *
                          static_cast<int64_t>(dtype_size(dtype));
  return static_cast<size_t>(std::max(kPanelBytes + kBlockBytes + (64 << 10), blocked));
}

void gemm(DType dtype, const Gemm& g) {
  if (dtype == DType::Float32) HWY_DYNAMIC_DISPATCH(GemmF32)(g);
  else HWY_DYNAMIC_DISPATCH(GemmF64)(g);
}

int64_t gemm_strip(DType dtype) { return dtype == DType::Float32 ? HWY_DYNAMIC_DISPATCH(StripF32)() : HWY_DYNAMIC_DISPATCH(StripF64)(); }
int64_t gemm_rows() { return HWY_DYNAMIC_DISPATCH(TileRows)(); }

void gemm_pack(DType dtype, int64_t k, int64_t n, const void* b, int64_t b_rs, int64_t b_cs, void* to) {
  if (dtype == DType::Float32) HWY_DYNAMIC_DISPATCH(PackF32)(k, n, static_cast<const float*>(b), b_rs, b_cs, static_cast<float*>(to));
  else HWY_DYNAMIC_DISPATCH(PackF64)(k, n, static_cast<const double*>(b), b_rs, b_cs, static_cast<double*>(to));
}

void gemv_rows(DType dtype, int64_t m, int64_t k, const void* a, int64_t a_ld, const void* x, void* y, int64_t y_step) {
  if (dtype == DType::Float32) {
    HWY_DYNAMIC_DISPATCH(GemvF32)(m, k, static_cast<const float*>(a), a_ld, static_cast<const float*>(x), static_cast<float*>(y), y_step);
  } else {
    HWY_DYNAMIC_DISPATCH(GemvF64)
    (m, k, static_cast<const double*>(a), a_ld, static_cast<const double*>(x), static_cast<double*>(y), y_step);
  }
}

}  // namespace keras::cpu
#endif
