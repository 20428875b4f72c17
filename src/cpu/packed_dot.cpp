// What lives here: the loops of packed_dot.h, compiled once per instruction set by Highway and chosen at run time.
#include "cpu/packed_dot.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/packed_dot.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace packed {
namespace hn = hwy::HWY_NAMESPACE;

// Masked stores of AVX2 and AVX-512 never touch what the mask leaves out.
constexpr bool kSafeMasks = HWY_TARGET <= HWY_AVX2;
constexpr bool kManyRegisters = !HWY_ARCH_X86 || HWY_TARGET <= HWY_AVX3;
// A strip is some vectors of columns, all k of them one after the other; the last strip has as many as it needs, filled up with zeros.
// AVX2: twelve sums hide the multipliers' latency, and four rows by three vectors read less for them than six by two.
constexpr int kStripVectors = HWY_TARGET == HWY_AVX2 ? 3 : 2;
constexpr int64_t kMostRows = kManyRegisters ? 8 : kStripVectors == 3 ? 4 : 6;

template <class T> HWY_INLINE int64_t lanes_of() { return static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>())); }

template <class T> struct Operands {
  int64_t k;
  const T* a;
  int64_t a_ld;
  const T* b;
  T* c;
  int64_t c_ld;
  const T* bias;
  const T* add;
  int64_t add_ld;
};

// MR rows by NS strips of NV vectors; `columns` of them exist.
template <int MR, int NS, int NV, bool kWhole, class T> HWY_NOINLINE void tile(const Operands<T>& g, int64_t columns) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int kVectors = NV * NS;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), strip = NV * lanes * g.k;
  V acc[MR][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) acc[i][j] = hn::Zero(d);
  }
  // What is added comes from a sequence that no one has read of late; it arrives while the sums are made.
  constexpr int64_t kLine = 64 / sizeof(T);
  if (g.add != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
      for (int64_t j = 0; j < kVectors * lanes; j += kLine) __builtin_prefetch(g.add + i * g.add_ld + j);
  }
  const T* a = g.a;
  const T* b = g.b;
  const int64_t a_ld = g.a_ld;
#pragma GCC unroll 2
  for (int64_t k = 0; k < g.k; ++k) {
    const auto column = [&](int j) HWY_ATTR { return hn::Load(d, b + j / NV * strip + j % NV * lanes); };
    if constexpr (MR < kVectors) {  // whichever are fewer stay in registers
      V va[MR];
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) va[i] = hn::Set(d, a[i * a_ld]);
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) {
        const V vb = column(j);
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) acc[i][j] = hn::MulAdd(va[i], vb, acc[i][j]);
      }
    } else {
      V vb[kVectors];
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; ++j) vb[j] = column(j);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const V va = hn::Set(d, a[i * a_ld]);
#pragma GCC unroll 16
        for (int j = 0; j < kVectors; ++j) acc[i][j] = hn::MulAdd(va, vb[j], acc[i][j]);
      }
    }
    ++a;
    b += NV * lanes;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) {
      const int64_t at = j * lanes;
      V v = acc[i][j];
      T* c = g.c + i * g.c_ld + at;
      if (kWhole || at + lanes <= columns) {
        if (g.bias != nullptr) v = hn::Add(v, hn::LoadU(d, g.bias + at));
        if (g.add != nullptr) v = hn::Add(v, hn::LoadU(d, g.add + i * g.add_ld + at));
        hn::StoreU(v, d, c);
      } else if (at < columns) {
        if (kSafeMasks) {
          const auto mask = hn::FirstN(d, static_cast<size_t>(columns - at));
          if (g.bias != nullptr) v = hn::Add(v, hn::MaskedLoad(mask, d, g.bias + at));
          if (g.add != nullptr) v = hn::Add(v, hn::MaskedLoad(mask, d, g.add + i * g.add_ld + at));
          hn::BlendedStore(v, mask, d, c);
        } else {
          HWY_ALIGN T out[hn::MaxLanes(d)];
          hn::Store(v, d, out);
          for (int64_t l = 0; l < columns - at; ++l) {
            T s = out[l];
            if (g.bias != nullptr) s += g.bias[at + l];
            if (g.add != nullptr) s += g.add[i * g.add_ld + at + l];
            c[l] = s;
          }
        }
      }
    }
  }
}

// All strips against MR rows: several at once where few rows leave registers free, for their sums wait for each other, and the more of them
// are read side by side, the better the caches keep up (measured: one row by 128 × 512 in 1.4 µs instead of 1.8 with eight instead of four).
template <int MR, class T> HWY_INLINE void few_rows(Operands<T> g, int64_t n) {
  constexpr int kSums = kManyRegisters ? 16 : HWY_TARGET == HWY_AVX2 ? 12 : 8;
  constexpr int kStrips = MR >= 4 ? 1 : std::max(1, kSums / (MR * kStripVectors));
  const int64_t lanes = lanes_of<T>(), width = kStripVectors * lanes;
  const auto step = [&](int64_t columns) {
    g.b += columns * g.k;
    g.c += columns;
    if (g.bias != nullptr) g.bias += columns;
    if (g.add != nullptr) g.add += columns;
    n -= columns;
  };
  while (n >= kStrips * width) tile<MR, kStrips, kStripVectors, true>(g, n), step(kStrips * width);
  if constexpr (kStrips > 4) {
    if (n >= 4 * width) tile<MR, 4, kStripVectors, true>(g, n), step(4 * width);
  }
  if constexpr (kStrips > 1) {
    while (n >= width) tile<MR, 1, kStripVectors, true>(g, n), step(width);
  }
  if (n <= 0) return;
  if (n <= lanes) return tile<MR, 1, 1, false>(g, n);
  if constexpr (kStripVectors > 2) {
    if (n <= 2 * lanes) return tile<MR, 1, 2, false>(g, n);
  }
  tile<MR, 1, kStripVectors, false>(g, n);
}

template <class T> void strip_rows(const Operands<T>& g, int64_t rows, int64_t n) {
  switch (rows) {
    case 1: return few_rows<1>(g, n);
    case 2: return few_rows<2>(g, n);
    case 3: return few_rows<3>(g, n);
    case 4: return few_rows<4>(g, n);
    case 5:
      if constexpr (kMostRows >= 5) return few_rows<5>(g, n);
      break;
    case 6:
      if constexpr (kMostRows >= 6) return few_rows<6>(g, n);
      break;
    case 7:
      if constexpr (kMostRows >= 7) return few_rows<7>(g, n);
      break;
    default:
      if constexpr (kMostRows >= 8) return few_rows<8>(g, n);
  }
}

template <class T> void product(const PackedProduct& p) {
  Operands<T> g{p.k, static_cast<const T*>(p.a), p.a_ld, static_cast<const T*>(p.packed), static_cast<T*>(p.c), p.c_ld,
                static_cast<const T*>(p.bias), static_cast<const T*>(p.add), p.add_ld};
  if (p.m <= kMostRows) return strip_rows(g, p.m, p.n);
  // Even shares of the rows; a strip stays in the first-level cache while they pass it.
  const int64_t blocks = (p.m + kMostRows - 1) / kMostRows, width = kStripVectors * lanes_of<T>();
  for (int64_t j = 0; j < p.n; j += width) {
    const int64_t n = std::min(width, p.n - j);
    Operands<T> s = g;
    s.b += j * p.k;
    if (s.bias != nullptr) s.bias += j;
    for (int64_t i = 0, row = 0; i < blocks; ++i) {
      const int64_t rows = (p.m - row + blocks - i - 1) / (blocks - i);
      s.a = g.a + row * p.a_ld;
      s.c = g.c + row * p.c_ld + j;
      if (g.add != nullptr) s.add = g.add + row * p.add_ld + j;
      strip_rows(s, rows, n);
      row += rows;
    }
  }
}

template <class T> void pack(int64_t k, int64_t n, const T* b, int64_t rs, int64_t cs, T* to) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t j = 0, width = kStripVectors * lanes; j < n; j += width, to += width * k) {
    const int64_t columns = std::min(width, n - j);
    width = (columns + lanes - 1) / lanes * lanes;
    const T* from = b + j * cs;
    if (cs == 1 && columns == width) {
      for (int64_t i = 0; i < k; ++i)
        for (int64_t v = 0; v < width; v += lanes) hn::Store(hn::LoadU(d, from + i * rs + v), d, to + i * width + v);
      continue;
    }
    // Runs of k that stay in the cache between two visits, so that both sides' lines are used whole.
    constexpr int64_t kRun = 32;
    for (int64_t i0 = 0; i0 < k; i0 += kRun) {
      const int64_t i1 = std::min(k, i0 + kRun);
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t i = i0; i < i1; ++i) to[i * width + c] = from[i * rs + c * cs];
      }
      for (int64_t i = i0; i < i1; ++i) std::fill(to + i * width + columns, to + (i + 1) * width, T{0});
    }
  }
}

int64_t PackedStrip(DType dtype) { return kStripVectors * (dtype == DType::Float32 ? lanes_of<float>() : lanes_of<double>()); }
int64_t PackedLanes(DType dtype) { return dtype == DType::Float32 ? lanes_of<float>() : lanes_of<double>(); }
void ProductF32(const PackedProduct& p) { product<float>(p); }
void ProductF64(const PackedProduct& p) { product<double>(p); }
void PackF32(int64_t k, int64_t n, const void* b, int64_t rs, int64_t cs, void* to) { pack(k, n, static_cast<const float*>(b), rs, cs, static_cast<float*>(to)); }
void PackF64(int64_t k, int64_t n, const void* b, int64_t rs, int64_t cs, void* to) { pack(k, n, static_cast<const double*>(b), rs, cs, static_cast<double*>(to)); }

}  // namespace packed
using packed::PackF32, packed::PackF64, packed::ProductF32, packed::ProductF64, packed::PackedLanes, packed::PackedStrip;
}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {
HWY_EXPORT(PackedLanes);
HWY_EXPORT(PackedStrip);
HWY_EXPORT(PackF32);
HWY_EXPORT(PackF64);
HWY_EXPORT(ProductF32);
HWY_EXPORT(ProductF64);
}  // namespace

size_t packed_matrix_bytes(DType dtype, int64_t k, int64_t n) {
  const int64_t lanes = HWY_DYNAMIC_DISPATCH(PackedLanes)(dtype);
  return static_cast<size_t>((n + lanes - 1) / lanes * lanes * k) * dtype_size(dtype);
}

int64_t packed_strip(DType dtype) { return HWY_DYNAMIC_DISPATCH(PackedStrip)(dtype); }

void pack_matrix(DType dtype, int64_t k, int64_t n, const void* b, int64_t rs, int64_t cs, void* to) {
  if (dtype == DType::Float32) HWY_DYNAMIC_DISPATCH(PackF32)(k, n, b, rs, cs, to);
  else HWY_DYNAMIC_DISPATCH(PackF64)(k, n, b, rs, cs, to);
}

void packed_product(DType dtype, const PackedProduct& p) {
  if (dtype == DType::Float32) HWY_DYNAMIC_DISPATCH(ProductF32)(p);
  else HWY_DYNAMIC_DISPATCH(ProductF64)(p);
}

}  // namespace keras::cpu
#endif
