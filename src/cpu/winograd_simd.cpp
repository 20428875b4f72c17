// What lives here: the loops of winograd_simd.h, compiled once per instruction set by Highway and chosen at run time. The points of
// F(4×4, 3×3) are 0, ±1/√2, ±√2 and infinity: the transforms have few constants, and the error is a third of that of 0, ±1, ±2.
#include "cpu/winograd_simd.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/winograd_simd.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_clamp.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Masked loads and stores of AVX2 and AVX-512 never touch what the mask leaves out.
constexpr bool kMasksTouchNothing = HWY_TARGET <= HWY_AVX2;

HWY_INLINE V number(float x) { return hn::Set(D(), x); }

// A whole vector, or its first `count` lanes and zeros.
template <bool kPart> HWY_INLINE V load(const float* p, int64_t count) {
  const D d;
  if constexpr (!kPart) {
    return hn::LoadU(d, p);
  } else if constexpr (kMasksTouchNothing) {
    return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, p);
  } else {
    HWY_ALIGN float lanes[hn::MaxLanes(D())] = {};
    for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
    return hn::Load(d, lanes);
  }
}
template <bool kPart> HWY_INLINE void store(V v, float* p, int64_t count) {
  const D d;
  if constexpr (!kPart) {
    hn::StoreU(v, d, p);
  } else if constexpr (kMasksTouchNothing) {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, p);
  } else {
    HWY_ALIGN float lanes[hn::MaxLanes(D())];
    hn::Store(v, d, lanes);
    for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
  }
}

// One dimension of each transform, from x[0], x[step], … to y[0], y[y_step], ….
template <int M> struct Lines;
template <> struct Lines<4> {
  static constexpr float kA = 0.70710678118654752440f, kB = 1.41421356237309504880f;
  static HWY_INLINE void input(const V* x, int s, V* y, int t) {
    const V half = number(0.5f), two = number(2.0f), sum = number(2.5f), a = number(kA), b = number(kB);
    const V even = hn::NegMulAdd(two, x[2 * s], x[4 * s]), odd = hn::NegMulAdd(two, x[s], x[3 * s]);
    const V even2 = hn::NegMulAdd(half, x[2 * s], x[4 * s]), odd2 = hn::NegMulAdd(half, x[s], x[3 * s]);
    y[0] = hn::NegMulAdd(sum, x[2 * s], hn::Add(x[0], x[4 * s]));
    y[t] = hn::MulAdd(a, odd, even);
    y[2 * t] = hn::NegMulAdd(a, odd, even);
    y[3 * t] = hn::MulAdd(b, odd2, even2);
    y[4 * t] = hn::NegMulAdd(b, odd2, even2);
    y[5 * t] = hn::NegMulAdd(sum, x[3 * s], hn::Add(x[s], x[5 * s]));
  }
  static HWY_INLINE void output(const V* x, int s, V* y, int t) {
    const V half = number(0.5f), two = number(2.0f), a = number(kA), b = number(kB);
    const V even = hn::Add(x[s], x[2 * s]), even2 = hn::Add(x[3 * s], x[4 * s]);
    const V odd = hn::Mul(a, hn::Sub(x[s], x[2 * s])), odd2 = hn::Mul(b, hn::Sub(x[3 * s], x[4 * s]));
    y[0] = hn::Add(x[0], hn::Add(even, even2));
    y[t] = hn::Add(odd, odd2);
    y[2 * t] = hn::MulAdd(two, even2, hn::Mul(half, even));
    y[3 * t] = hn::MulAdd(two, odd2, hn::MulAdd(half, odd, x[5 * s]));
  }
  static HWY_INLINE void gradient(const V* x, int s, V* y, int t) {
    const V half = number(0.5f), two = number(2.0f), a = number(kA), b = number(kB);
    const V even = hn::MulAdd(half, x[2 * s], x[0]), odd = hn::Mul(a, hn::MulAdd(half, x[3 * s], x[s]));
    const V even2 = hn::MulAdd(two, x[2 * s], x[0]), odd2 = hn::Mul(b, hn::MulAdd(two, x[3 * s], x[s]));
    y[0] = x[0];
    y[t] = hn::Add(even, odd);
    y[2 * t] = hn::Sub(even, odd);
    y[3 * t] = hn::Add(even2, odd2);
    y[4 * t] = hn::Sub(even2, odd2);
    y[5 * t] = x[3 * s];
  }
  static HWY_INLINE void kernel(const V* x, int s, V* y, int t) {
    const V n = number(-2.0f / 3), n2 = number(1.0f / 6);
    const V even = hn::Mul(n, hn::MulAdd(number(0.5f), x[2 * s], x[0])), odd = hn::Mul(number(-2.0f / 3 * kA), x[s]);
    const V even2 = hn::Mul(n2, hn::MulAdd(number(2.0f), x[2 * s], x[0])), odd2 = hn::Mul(number(kB / 6), x[s]);
    y[0] = x[0];
    y[t] = hn::Add(even, odd);
    y[2 * t] = hn::Sub(even, odd);
    y[3 * t] = hn::Add(even2, odd2);
    y[4 * t] = hn::Sub(even2, odd2);
    y[5 * t] = x[2 * s];
  }
  static HWY_INLINE void kernel_gradient(const V* x, int s, V* y, int t) {
    const V even = hn::Mul(number(-2.0f / 3), hn::Add(x[s], x[2 * s])), odd = hn::Mul(number(-2.0f / 3 * kA), hn::Sub(x[s], x[2 * s]));
    const V even2 = hn::Mul(number(1.0f / 6), hn::Add(x[3 * s], x[4 * s])), odd2 = hn::Mul(number(kB / 6), hn::Sub(x[3 * s], x[4 * s]));
    y[0] = hn::Add(x[0], hn::Add(even, even2));
    y[t] = hn::Add(odd, odd2);
    y[2 * t] = hn::MulAdd(number(2.0f), even2, hn::MulAdd(number(0.5f), even, x[5 * s]));
  }
};
// Points 0, ±1 and infinity.
template <> struct Lines<2> {
  static HWY_INLINE void input(const V* x, int s, V* y, int t) {
    y[0] = hn::Sub(x[0], x[2 * s]);
    y[t] = hn::Add(x[2 * s], x[s]);
    y[2 * t] = hn::Sub(x[2 * s], x[s]);
    y[3 * t] = hn::Sub(x[3 * s], x[s]);
  }
  static HWY_INLINE void output(const V* x, int s, V* y, int t) {
    y[0] = hn::Add(x[0], hn::Add(x[s], x[2 * s]));
    y[t] = hn::Add(hn::Sub(x[s], x[2 * s]), x[3 * s]);
  }
  static HWY_INLINE void gradient(const V* x, int s, V* y, int t) {
    y[0] = x[0];
    y[t] = hn::Add(x[0], x[s]);
    y[2 * t] = hn::Sub(x[0], x[s]);
    y[3 * t] = x[s];
  }
  static HWY_INLINE void kernel(const V* x, int s, V* y, int t) {
    const V half = number(0.5f), even = hn::Mul(half, hn::Add(x[0], x[2 * s])), odd = hn::Mul(half, x[s]);
    y[0] = x[0];
    y[t] = hn::Add(even, odd);
    y[2 * t] = hn::Sub(even, odd);
    y[3 * t] = x[2 * s];
  }
  static HWY_INLINE void kernel_gradient(const V* x, int s, V* y, int t) {
    const V half = number(0.5f), even = hn::Mul(half, hn::Add(x[s], x[2 * s]));
    y[0] = hn::Add(x[0], even);
    y[t] = hn::Mul(half, hn::Sub(x[s], x[2 * s]));
    y[2 * t] = hn::Add(even, x[3 * s]);
  }
};

// Which tile comes next.
struct Cursor {
  int64_t n, i, j;
  Cursor(const WinogradTiles& g, int64_t t) : n(t / (g.rows * g.columns)), i(t / g.columns % g.rows), j(t % g.columns) {}
  void next(const WinogradTiles& g) {
    if (++j < g.columns) return;
    j = 0;
    if (++i == g.rows) i = 0, ++n;
  }
};

// kIn × kIn pixels through a pass over columns and one over rows to kOut × kOut values `plane` apart. at(i, j) points to a pixel.
template <int kIn, int kOut, bool kPart, class At, class Pass>
HWY_INLINE void to_points(const At& at, int64_t c, int64_t left, float* to, int64_t plane, const Pass& pass) {
  V mid[kOut * kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    V column[kIn];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) column[i] = load<kPart>(at(i, j) + c, left);
    pass(column, 1, mid + j, kIn);
  }
#pragma GCC unroll 6
  for (int i = 0; i < kOut; ++i) {
    V row[kOut];
    pass(mid + i * kIn, 1, row, 1);
#pragma GCC unroll 6
    for (int j = 0; j < kOut; ++j) hn::StoreU(row[j], D(), to + (i * kOut + j) * plane + c);
  }
}

// Tiles of kIn × kIn pixels, whole ones read in place, those at the rim through a table of pointers, some of them to zeros.
template <int M, int kIn, class Pass> HWY_INLINE void tiles_to_points(const float* x, const WinogradTiles& g, int64_t first, int64_t count,
                                                                      int64_t channels, const float* zeros, const WinogradPlanes& to,
                                                                      const Pass& pass) {
  constexpr int kOut = M + 2;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D())), whole = channels / lanes * lanes, line = g.width * g.pixel;
  Cursor at(g, first);
  float* out = to.base;
  for (int64_t t = 0; t < count; ++t, at.next(g), out += to.ld) {
    const int64_t y0 = at.i * M - g.top, x0 = at.j * M - g.left;
    const float* corner = x + (at.n * g.height + y0) * line + x0 * g.pixel;
    if (y0 >= 0 && x0 >= 0 && y0 + kIn <= g.height && x0 + kIn <= g.width) {
      const auto pixel = [&](int i, int j) HWY_ATTR { return corner + i * line + j * g.pixel; };
      for (int64_t c = 0; c < whole; c += lanes) to_points<kIn, kOut, false>(pixel, c, 0, out, to.plane, pass);
      if (whole < channels) to_points<kIn, kOut, true>(pixel, whole, channels - whole, out, to.plane, pass);
    } else {
      const float* table[kIn][kIn];
      for (int i = 0; i < kIn; ++i) {
        for (int j = 0; j < kIn; ++j) {
          const bool inside = y0 + i >= 0 && y0 + i < g.height && x0 + j >= 0 && x0 + j < g.width;
          table[i][j] = inside ? corner + i * line + j * g.pixel : zeros;
        }
      }
      const auto pixel = [&](int i, int j) HWY_ATTR { return table[i][j]; };
      for (int64_t c = 0; c < whole; c += lanes) to_points<kIn, kOut, false>(pixel, c, 0, out, to.plane, pass);
      if (whole < channels) to_points<kIn, kOut, true>(pixel, whole, channels - whole, out, to.plane, pass);
    }
  }
}

template <int M> HWY_NOINLINE void input_tiles(const float* x, const WinogradTiles& g, int64_t first, int64_t count, int64_t channels,
                                               const float* zeros, const WinogradPlanes& to) {
  tiles_to_points<M, M + 2>(x, g, first, count, channels, zeros, to,
                            [](const V* a, int s, V* b, int t) HWY_ATTR { Lines<M>::input(a, s, b, t); });
}
template <int M> HWY_NOINLINE void gradient_tiles(const float* x, const WinogradTiles& g, int64_t first, int64_t count, int64_t channels,
                                                  const float* zeros, const WinogradPlanes& to) {
  tiles_to_points<M, M>(x, g, first, count, channels, zeros, to,
                        [](const V* a, int s, V* b, int t) HWY_ATTR { Lines<M>::gradient(a, s, b, t); });
}

template <int M, bool kPart> HWY_INLINE void from_points(const float* from, int64_t plane, int64_t c, int64_t left, float* y, int64_t line,
                                                         int64_t pixel, int64_t rows, int64_t columns, const WinogradEpilogue& e,
                                                         int64_t offset) {
  constexpr int kIn = M + 2;
  V mid[M * kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    V column[kIn];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) column[i] = hn::LoadU(D(), from + (i * kIn + j) * plane + c);
    Lines<M>::output(column, 1, mid + j, kIn);
  }
  const V zero = hn::Zero(D()), bias = e.bias == nullptr ? zero : load<kPart>(e.bias + c, left);
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) {
    if (i >= rows) break;
    V row[M];
    Lines<M>::output(mid + i * kIn, 1, row, 1);
#pragma GCC unroll 4
    for (int j = 0; j < M; ++j) {
      if (j >= columns) break;
      const int64_t at = i * line + j * pixel + c;
      V v = hn::Add(row[j], bias);
      if (e.add != nullptr) v = hn::Add(v, load<kPart>(e.add + offset + at, left));
      if (e.relu) v = greater_of(zero, v);  // in this order NaN stays NaN
      if (e.relu6) v = smaller_of(number(6.0f), v);
      store<kPart>(v, y + offset + at, left);
    }
  }
}

template <int M> HWY_NOINLINE void output_tiles(const WinogradPlanes& from, const WinogradTiles& g, int64_t first, int64_t count,
                                                int64_t channels, float* y, const WinogradEpilogue& e) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D())), whole = channels / lanes * lanes, line = g.width * g.pixel;
  Cursor at(g, first);
  const float* in = from.base;
  for (int64_t t = 0; t < count; ++t, at.next(g), in += from.ld) {
    const int64_t y0 = at.i * M, x0 = at.j * M, offset = (at.n * g.height + y0) * line + x0 * g.pixel;
    const int64_t rows = std::min<int64_t>(M, g.height - y0), columns = std::min<int64_t>(M, g.width - x0);
    if (rows == M && columns == M) {
      for (int64_t c = 0; c < whole; c += lanes) from_points<M, false>(in, from.plane, c, 0, y, line, g.pixel, M, M, e, offset);
    } else {
      for (int64_t c = 0; c < whole; c += lanes) from_points<M, false>(in, from.plane, c, 0, y, line, g.pixel, rows, columns, e, offset);
    }
    if (whole < channels) from_points<M, true>(in, from.plane, whole, channels - whole, y, line, g.pixel, rows, columns, e, offset);
  }
}

template <int M> HWY_INLINE void kernel_to_points(const V* taps, float* to, int64_t plane) {
  constexpr int kOut = M + 2;
  V mid[kOut * 3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) Lines<M>::kernel(taps + j, 3, mid + j, 3);
#pragma GCC unroll 6
  for (int i = 0; i < kOut; ++i) {
    V row[kOut];
    Lines<M>::kernel(mid + i * 3, 1, row, 1);
#pragma GCC unroll 6
    for (int j = 0; j < kOut; ++j) hn::StoreU(row[j], D(), to + (i * kOut + j) * plane);
  }
}

template <int M> HWY_NOINLINE void kernel_rows(const float* w, int64_t w_row, int64_t w_tap, bool back, int64_t k, int64_t n, int64_t begin,
                                               int64_t end, float* to, int64_t plane) {
  const D d;
  const hn::RebindToSigned<D> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), strip = 2 * lanes, width = (n + lanes - 1) / lanes * lanes;
  V taps[9];
  for (int64_t c = 0; c < n; c += lanes) {
    const int64_t at = c / strip * strip, columns = std::min(strip, width - at), left = std::min(lanes, n - c);
    float* out = to + at * k + (c - at);
    // Lanes past the end read the last column again: nobody looks at what becomes of them.
    const auto index =
        hn::Mul(hn::Min(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(left - 1))), hn::Set(di, static_cast<int32_t>(w_row)));
    for (int64_t r = begin; r < end; ++r) {
      if (back) {
        for (int i = 0; i < 9; ++i) taps[i] = hn::GatherIndex(d, w + (8 - i) * w_tap + c * w_row + r, index);
      } else if (left == lanes) {
        for (int i = 0; i < 9; ++i) taps[i] = load<false>(w + i * w_tap + r * w_row + c, lanes);
      } else {
        for (int i = 0; i < 9; ++i) taps[i] = load<true>(w + i * w_tap + r * w_row + c, left);
      }
      kernel_to_points<M>(taps, out + r * columns, plane);
    }
  }
}

template <int M, bool kPart> HWY_INLINE void points_to_kernel(const float* from, int64_t parts, int64_t part_step, int64_t plane, float* dw,
                                                              int64_t w_tap, int64_t left) {
  constexpr int kIn = M + 2;
  V mid[3 * kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    V column[kIn];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) {
      const float* p = from + (i * kIn + j) * plane;
      V sum = hn::LoadU(D(), p);
      for (int64_t s = 1; s < parts; ++s) sum = hn::Add(sum, hn::LoadU(D(), p + s * part_step));
      column[i] = sum;
    }
    Lines<M>::kernel_gradient(column, 1, mid + j, kIn);
  }
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    V row[3];
    Lines<M>::kernel_gradient(mid + i * kIn, 1, row, 1);
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) store<kPart>(row[j], dw + (i * 3 + j) * w_tap, left);
  }
}

template <int M> HWY_NOINLINE void kernel_gradient_row(const float* from, int64_t parts, int64_t part_step, int64_t plane, int64_t n,
                                                       float* dw, int64_t w_tap) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  int64_t c = 0;
  for (; c + lanes <= n; c += lanes) points_to_kernel<M, false>(from + c, parts, part_step, plane, dw + c, w_tap, lanes);
  if (c < n) points_to_kernel<M, true>(from + c, parts, part_step, plane, dw + c, w_tap, n - c);
}

void WinogradInput(int m, const float* x, const WinogradTiles& g, int64_t first, int64_t count, int64_t channels, const float* zeros,
                   const WinogradPlanes& to) {
  if (m == 4) input_tiles<4>(x, g, first, count, channels, zeros, to);
  else input_tiles<2>(x, g, first, count, channels, zeros, to);
}
void WinogradGradient(int m, const float* x, const WinogradTiles& g, int64_t first, int64_t count, int64_t channels, const float* zeros,
                      const WinogradPlanes& to) {
  if (m == 4) gradient_tiles<4>(x, g, first, count, channels, zeros, to);
  else gradient_tiles<2>(x, g, first, count, channels, zeros, to);
}
void WinogradOutput(int m, const WinogradPlanes& from, const WinogradTiles& g, int64_t first, int64_t count, int64_t channels, float* y,
                    const WinogradEpilogue& e) {
  if (m == 4) output_tiles<4>(from, g, first, count, channels, y, e);
  else output_tiles<2>(from, g, first, count, channels, y, e);
}
void WinogradKernel(int m, const float* w, int64_t w_row, int64_t w_tap, bool back, int64_t k, int64_t n, int64_t begin, int64_t end,
                    float* to, int64_t plane) {
  if (m == 4) kernel_rows<4>(w, w_row, w_tap, back, k, n, begin, end, to, plane);
  else kernel_rows<2>(w, w_row, w_tap, back, k, n, begin, end, to, plane);
}
void WinogradKernelGradient(int m, const float* from, int64_t parts, int64_t part_step, int64_t plane, int64_t n, float* dw,
                            int64_t w_tap) {
  if (m == 4) kernel_gradient_row<4>(from, parts, part_step, plane, n, dw, w_tap);
  else kernel_gradient_row<2>(from, parts, part_step, plane, n, dw, w_tap);
}
int64_t WinogradLanes() { return static_cast<int64_t>(hn::Lanes(D())); }

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(WinogradInput);
HWY_EXPORT(WinogradGradient);
HWY_EXPORT(WinogradOutput);
HWY_EXPORT(WinogradKernel);
HWY_EXPORT(WinogradKernelGradient);
HWY_EXPORT(WinogradLanes);

void winograd_input(int m, const float* x, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels, const float* zeros,
                    const WinogradPlanes& to) {
  HWY_DYNAMIC_DISPATCH(WinogradInput)(m, x, tiles, first, count, channels, zeros, to);
}
void winograd_gradient(int m, const float* dy, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels,
                       const float* zeros, const WinogradPlanes& to) {
  HWY_DYNAMIC_DISPATCH(WinogradGradient)(m, dy, tiles, first, count, channels, zeros, to);
}
void winograd_output(int m, const WinogradPlanes& from, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels,
                     float* y, const WinogradEpilogue& epilogue) {
  HWY_DYNAMIC_DISPATCH(WinogradOutput)(m, from, tiles, first, count, channels, y, epilogue);
}
void winograd_kernel(int m, const float* w, int64_t w_row, int64_t w_tap, bool back, int64_t k, int64_t n, int64_t begin, int64_t end,
                     float* to, int64_t plane) {
  HWY_DYNAMIC_DISPATCH(WinogradKernel)(m, w, w_row, w_tap, back, k, n, begin, end, to, plane);
}
void winograd_kernel_gradient(int m, const float* from, int64_t parts, int64_t part_step, int64_t plane, int64_t n, float* dw,
                              int64_t w_tap) {
  HWY_DYNAMIC_DISPATCH(WinogradKernelGradient)(m, from, parts, part_step, plane, n, dw, w_tap);
}
void winograd_prefetch(int m, const float* image, const WinogradTiles& g, int64_t first, int64_t count, int64_t channels) {
  int64_t n = first / (g.rows * g.columns), i = first / g.columns % g.rows, j = first % g.columns;
  for (; count > 0; --count) {
    const int64_t x0 = std::max<int64_t>(0, j * m + 2 - g.left), x1 = std::min(g.width, j * m + 2 - g.left + m);
    for (int64_t y = std::max<int64_t>(0, i * m + 2 - g.top); y < std::min(g.height, i * m + 2 - g.top + m); ++y) {
      const float* line = image + (n * g.height + y) * g.width * g.pixel;
      if (channels == g.pixel) {
        for (const float* p = line + x0 * g.pixel; p < line + x1 * g.pixel; p += 16) __builtin_prefetch(p, 0, 2);
      } else {
        for (int64_t x = x0; x < x1; ++x) {
          for (int64_t c = 0; c < channels; c += 16) __builtin_prefetch(line + x * g.pixel + c, 0, 2);
        }
      }
    }
    if (++j == g.columns) {
      j = 0;
      if (++i == g.rows) i = 0, ++n;
    }
  }
}
int64_t winograd_lanes() { return HWY_DYNAMIC_DISPATCH(WinogradLanes)(); }

}  // namespace keras::cpu
#endif
