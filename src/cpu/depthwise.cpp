// What lives here: depthwise convolutions and their two gradients. Forward, and backward to the input, are one loop: a block of output
// columns stays in registers while the taps pass; a gradient of stride s is s plain convolutions, one per phase. No packing, no copies.
#include "cpu/depthwise.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/depthwise.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_clamp.h"

#ifndef KERAS_CPU_DEPTHWISE_PLAN
#define KERAS_CPU_DEPTHWISE_PLAN
namespace keras::cpu::depthwise {

struct Span {
  int64_t begin, end;
};
inline int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

// One axis of a pass: position q writes output q out_step + out_at; tap j reads input q in_step + in_at + j tap_step (tap_step > 0) with
// weight weight_at + j weight_step.
struct Axis {
  int64_t begin = 0, end = 0, out_step = 1, out_at = 0;
  int64_t in_step = 1, in_at = 0, in_size = 0;
  int64_t taps = 0, tap_step = 1, weight_at = 0, weight_step = 1;

  // The taps of position q that lie inside.
  Span inside(int64_t q) const {
    const int64_t at = q * in_step + in_at;
    Span s{ceil_div(-at, tap_step), ceil_div(in_size - at, tap_step)};
    s.begin = std::clamp<int64_t>(s.begin, 0, taps), s.end = std::clamp<int64_t>(s.end, s.begin, taps);
    return s;
  }
  // The positions of [from, from + count), counted from there, whose tap j lies inside.
  Span positions(int64_t j, int64_t from, int64_t count) const {
    const int64_t at = from * in_step + in_at + j * tap_step;
    Span s{ceil_div(-at, in_step), ceil_div(in_size - at, in_step)};
    s.begin = std::clamp<int64_t>(s.begin, 0, count), s.end = std::clamp<int64_t>(s.end, s.begin, count);
    return s;
  }
};

// Output columns that are computed at once. Of the input's columns that they read, from the first on, bit i says whether the i-th lies
// inside (where they are few); `edges`, one per tap of the row, say it of the output's columns.
struct Columns {
  int64_t at, count;
  int64_t edges;  // index of the first, or -1: all inside
  uint32_t inside;
};
struct WidthAxis {
  Axis axis;
  std::vector<Columns> blocks;
  std::vector<Span> edges;
  bool adjacent = false;  // taps and stride are among those that have a loop of their own
};

// A pass as the loops see it: "in" is what is read, "out" what is written.
struct Plan {
  int64_t n = 0, in_channels = 0, channels = 0;  // channels: of the output and the kernel
  std::array<int64_t, 3> in{}, out{};
  std::array<int64_t, 3> weight_steps{};
  std::vector<Axis> d, h;
  std::vector<WidthAxis> w;
  Span d_all{}, h_all{};
  int64_t rows = 1, chunk = 1, parts = 1;  // of an item: positions of h, channels; the items that share the columns of a row
  int64_t row_groups = 0, chunks = 0, items = 0, grain = 1;
  bool fetch_ahead = false;     // what is read comes from memory, not from a cache
  std::vector<int32_t> expand;  // output channel → input channel, where they differ
  Epilogue epilogue;
};

struct FilterPlan {
  int64_t n = 0, in_channels = 0, channels = 0, taps = 0;
  std::array<int64_t, 3> in{}, out{}, kernel{};
  std::array<Axis, 3> axis;      // of the forward pass
  std::vector<Span> columns;     // per tap of a row: the columns of the output where it lies inside
  std::vector<Span> rows;        // per row of the output: the kernel's rows that lie inside
  int64_t band = 1;              // rows of the output that pass in one go
  int64_t chunk = 1, chunks = 1, images = 1, image_pieces = 1;
  std::vector<int32_t> expand;
};

inline constexpr int64_t kMostColumns = 8, kMostExpanded = 4;
// Neighbouring taps and a stride for which adjacent_block is made.
inline bool is_adjacent(const Axis& a) {
  if (a.tap_step != 1) return false;
  return a.in_step == 1 ? a.taps == 1 || a.taps == 2 || a.taps == 3 || a.taps == 5 || a.taps == 7 : a.in_step == 2 && (a.taps == 3 || a.taps == 5);
}

}  // namespace keras::cpu::depthwise
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::depthwise::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using cpu::HWY_NAMESPACE::greater_of;
using cpu::HWY_NAMESPACE::smaller_of;

// Masked loads and stores of AVX2 and AVX-512 never touch what the mask leaves out.
constexpr bool kMasks = HWY_TARGET <= HWY_AVX2;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

struct Block {
  const float* x;
  int64_t x_at;  // of the first tap that lies inside along depth and height, of the first column
  const float* w;
  int64_t nd, nh, nw;
  int64_t x_d, x_h, x_w, x_col;
  int64_t w_d, w_h, w_w;
  float* y;
  int64_t y_col;
  const float *bias, *add;
  int64_t channels;
  const int32_t* expand;
  int64_t in_channels;
  const Span* edges;
  uint32_t inside;
  int64_t new_rows;  // of the input, that the next row of the output reads besides: these are fetched
  bool clamp;
  float upper;
};

// Bias is in the sums already.
template <int B> HWY_INLINE void finish(const Block& q, int64_t j, V* acc) {
  const D d;
  const int64_t y_col = q.y_col;
  if (const float* add = q.add; add != nullptr) {
    add += j;
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b, add += y_col) acc[b] = hn::Add(acc[b], hn::LoadU(d, add));
  }
  if (q.clamp) {
    const V zero = hn::Zero(d), upper = hn::Set(d, q.upper);
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) acc[b] = smaller_of(upper, greater_of(zero, acc[b]));  // in this order NaN stays NaN
  }
  float* y = q.y + j;
#pragma GCC unroll 8
  for (int b = 0; b < B; ++b, y += y_col) hn::StoreU(acc[b], d, y);
}

// Which columns of the input an adjacent_block reads: all, all but the first or the last or both, or those whose bits are set.
enum Reach : int { kAll = 0, kNotFirst = 1, kNotLast = 2, kNeither = 3, kSome = 4 };

// Neighbouring taps: each column of the input is read once per row, for all the sums that it is part of.
template <int kTaps, int kStride, int B, int kReach> HWY_NOINLINE int64_t adjacent_block(const Block& q) {
  const D d;
  constexpr int kColumns = (B - 1) * kStride + kTaps;
  constexpr int64_t kLine = 64 / sizeof(float);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t step = q.x_w, nd = q.nd, nh = q.nh, x_h = q.x_h, w_h = q.w_h, w_w = q.w_w;
  const uint32_t inside = q.inside;
  int64_t j = 0;
  for (; j + lanes <= q.channels; j += lanes) {
    V acc[B];
    const V start = q.bias != nullptr ? hn::LoadU(d, q.bias + j) : hn::Zero(d);
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) acc[b] = start;
    if (j % kLine == 0) {
      const float* ahead = q.x + (q.x_at + nh * x_h + j);
      for (int64_t r = q.new_rows; r > 0; --r, ahead += x_h) {
#pragma GCC unroll 32
        for (int i = 0; i < kColumns; ++i) __builtin_prefetch(ahead + i * step, 0, 2);
      }
    }
    for (int64_t a = 0; a < nd; ++a) {
      const float* w = q.w + a * q.w_d + j;
      int64_t row = q.x_at + a * q.x_d + j;
      for (int64_t h = nh; h > 0; --h, w += w_h, row += x_h) {
        V vw[kTaps];
#pragma GCC unroll 8
        for (int k = 0; k < kTaps; ++k) vw[k] = hn::LoadU(d, w + k * w_w);
        const auto column = [&](int i, const float* at) HWY_ATTR {
          const V x = hn::LoadU(d, at);
#pragma GCC unroll 8
          for (int b = 0; b < B; ++b) {
            const int k = i - b * kStride;
            if (k >= 0 && k < kTaps) acc[b] = hn::MulAdd(x, vw[k], acc[b]);
          }
        };
        if constexpr (kReach == kSome) {
          int64_t at = row;
#pragma GCC unroll 32
          for (int i = 0; i < kColumns; ++i, at += step) {
            if ((inside & (1u << i)) != 0) column(i, q.x + at);
          }
        } else {
          constexpr int kFirst = kReach & kNotFirst ? 1 : 0, kEnd = kColumns - (kReach & kNotLast ? 1 : 0);
          const float* at = q.x + (row + kFirst * step);
#pragma GCC unroll 32
          for (int i = kFirst; i < kEnd; ++i, at += step) column(i, at);
        }
      }
    }
    finish<B>(q, j, acc);
  }
  return j;
}

// B columns of one vector of channels, from channel j on. kMasked: `count` lanes exist.
template <int B, bool kMasked, bool kExpand> HWY_INLINE void columns(const Block& q, int64_t j, int64_t count) {
  const D d;
  const auto mask = hn::FirstN(d, static_cast<size_t>(count));
  const auto load = [&](const float* p) HWY_ATTR {
    if constexpr (kMasked) return hn::MaskedLoad(mask, d, p);
    else return hn::LoadU(d, p);
  };
  // Channels of the input that belong to those of the output: a few neighbours, each repeated.
  int64_t first = j;
  const hn::RebindToSigned<D> di;
  auto source = hn::IndicesFromVec(d, hn::Zero(di));
  auto source_mask = mask;
  if constexpr (kExpand) {
    first = q.expand[j];
    HWY_ALIGN int32_t at[hn::MaxLanes(D())] = {};
    for (int64_t l = 0; l < count; ++l) at[l] = q.expand[j + l] - static_cast<int32_t>(first);
    source = hn::SetTableIndices(d, at);
    source_mask = hn::FirstN(d, static_cast<size_t>(std::min(count, q.in_channels - first)));
  }
  V acc[B];
  const V start = q.bias != nullptr ? load(q.bias + j) : hn::Zero(d);
#pragma GCC unroll 8
  for (int b = 0; b < B; ++b) acc[b] = start;
  const int64_t col = q.x_col, nw = q.nw, x_w = q.x_w, w_w = q.w_w;
  for (int64_t a = 0; a < q.nd; ++a) {
    for (int64_t h = 0; h < q.nh; ++h) {
      const float* w = q.w + a * q.w_d + h * q.w_h + j;
      int64_t at = q.x_at + a * q.x_d + h * q.x_h + first;
      for (int64_t k = 0; k < nw; ++k, w += w_w, at += x_w) {
        const V vw = load(w);
        const auto tap = [&](int b) HWY_ATTR {
          const float* x = q.x + at + b * col;
          if constexpr (kExpand) acc[b] = hn::MulAdd(hn::TableLookupLanes(hn::MaskedLoad(source_mask, d, x), source), vw, acc[b]);
          else acc[b] = hn::MulAdd(load(x), vw, acc[b]);
        };
        if (q.edges == nullptr || (q.edges[k].begin == 0 && q.edges[k].end == B)) {
#pragma GCC unroll 8
          for (int b = 0; b < B; ++b) tap(b);
        } else {
          const int64_t lo = q.edges[k].begin, hi = q.edges[k].end;
#pragma GCC unroll 8
          for (int b = 0; b < B; ++b) {
            if (b >= lo && b < hi) tap(b);
          }
        }
      }
    }
  }
  if constexpr (!kMasked) {
    finish<B>(q, j, acc);
  } else {
    const V zero = hn::Zero(d), upper = hn::Set(d, q.upper);
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) {
      V v = acc[b];
      if (q.add != nullptr) v = hn::Add(v, load(q.add + b * q.y_col + j));
      if (q.clamp) v = smaller_of(upper, greater_of(zero, v));
      hn::BlendedStore(v, mask, d, q.y + b * q.y_col + j);
    }
  }
}

// Channel by channel: what is left of a vector where masks are not safe.
HWY_NOINLINE void single_columns(const Block& q, int64_t j, int64_t count) {
  for (; j < q.channels; ++j) {
    const int64_t first = q.expand != nullptr ? q.expand[j] : j;
    for (int64_t b = 0; b < count; ++b) {
      float sum = q.bias != nullptr ? q.bias[j] : 0;
      for (int64_t a = 0; a < q.nd; ++a)
        for (int64_t h = 0; h < q.nh; ++h)
          for (int64_t k = 0; k < q.nw; ++k) {
            if (q.edges != nullptr && (b < q.edges[k].begin || b >= q.edges[k].end)) continue;
            sum += q.x[q.x_at + a * q.x_d + h * q.x_h + k * q.x_w + b * q.x_col + first] * q.w[a * q.w_d + h * q.w_h + k * q.w_w + j];
          }
      const int64_t at = b * q.y_col + j;
      if (q.add != nullptr) sum += q.add[at];
      if (q.clamp) sum = sum < 0 ? 0 : sum > q.upper ? q.upper : sum;
      q.y[at] = sum;
    }
  }
}

// From channel j on.
template <int B> HWY_NOINLINE void block_of(const Block& q, int64_t j) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  if (q.expand == nullptr) {
    for (; j + lanes <= q.channels; j += lanes) columns<B, false, false>(q, j, lanes);
  } else if constexpr (kMasks && B <= kMostExpanded) {
    for (; j < q.channels; j += lanes) columns<B, true, true>(q, j, std::min(lanes, q.channels - j));
    return;
  }
  if (j == q.channels) return;
  if constexpr (kMasks) {
    if (q.expand == nullptr) return columns<B, true, false>(q, j, q.channels - j);
  }
  single_columns(q, j, B);
}

// The columns at the rim of an image have loops of their own only where the kernel is three wide: elsewhere they are a smaller share.
template <int kTaps, int kStride, int B> HWY_INLINE int64_t adjacent_by_reach(const Block& q) {
  constexpr uint32_t kEvery = (1u << ((B - 1) * kStride + kTaps)) - 1, kFirst = 1, kLast = (kEvery + 1) / 2;
  if (q.inside == kEvery) return adjacent_block<kTaps, kStride, B, kAll>(q);
  if constexpr (kTaps == 3) {
    if (q.inside == (kEvery & ~kFirst)) return adjacent_block<kTaps, kStride, B, kNotFirst>(q);
    if (q.inside == (kEvery & ~kLast)) return adjacent_block<kTaps, kStride, B, kNotLast>(q);
    if (q.inside == (kEvery & ~kFirst & ~kLast)) return adjacent_block<kTaps, kStride, B, kNeither>(q);
  }
  return adjacent_block<kTaps, kStride, B, kSome>(q);
}

template <int B> HWY_INLINE int64_t adjacent_of(const Block& q, int64_t stride) {
  if (stride == 1) {
    switch (q.nw) {
      case 1: return adjacent_by_reach<1, 1, B>(q);
      case 2: return adjacent_by_reach<2, 1, B>(q);
      case 3: return adjacent_by_reach<3, 1, B>(q);
      case 5: return adjacent_by_reach<5, 1, B>(q);
      default: return adjacent_by_reach<7, 1, B>(q);
    }
  }
  return q.nw == 3 ? adjacent_by_reach<3, 2, B>(q) : adjacent_by_reach<5, 2, B>(q);
}

template <int B> HWY_INLINE void block(const Block& q, bool adjacent, int64_t stride) {
  const int64_t done = adjacent ? adjacent_of<B>(q, stride) : 0;
  if (done < q.channels) block_of<B>(q, done);
}

HWY_INLINE void run_block(const Block& q, int64_t count, bool adjacent, int64_t stride) {
  switch (count) {
    case 1: return block<1>(q, adjacent, stride);
    case 2: return block<2>(q, adjacent, stride);
    case 4: return block<4>(q, adjacent, stride);
    case 7: return block<7>(q, adjacent, stride);
    default: return block<8>(q, adjacent, stride);
  }
}

void Item(const Plan& p, int64_t item, const float* x, const float* w, const float* bias, const float* add, float* y) {
  const int64_t part = item % p.parts, chunk = item / p.parts % p.chunks, group = item / p.parts / p.chunks % p.row_groups,
                rest = item / p.parts / p.chunks / p.row_groups;
  const int64_t depth = p.d_all.end - p.d_all.begin, qd = p.d_all.begin + rest % depth, image = rest / depth;
  const int64_t h0 = p.h_all.begin + group * p.rows, h1 = std::min(h0 + p.rows, p.h_all.end), c0 = chunk * p.chunk;
  const int64_t in_row = p.in[2] * p.in_channels, in_plane = p.in[1] * in_row, out_row = p.out[2] * p.channels, out_plane = p.out[1] * out_row;
  const Epilogue::Act act = p.epilogue.act;
  const bool clamp = act == Epilogue::Act::Relu6 || (act == Epilogue::Act::Relu && p.epilogue.alpha == 0);
  Block q;
  q.x = x;
  q.channels = std::min(p.chunk, p.channels - c0);
  q.expand = p.expand.empty() ? nullptr : p.expand.data() + c0;
  q.in_channels = p.in_channels;
  q.bias = bias == nullptr ? nullptr : bias + c0;
  q.clamp = clamp;
  q.upper = act == Epilogue::Act::Relu6 ? 6.0f : std::numeric_limits<float>::infinity();
  const int64_t x0 = image * p.in[0] * in_plane + (q.expand == nullptr ? c0 : 0);
  for (const Axis& d : p.d) {
    if (qd < d.begin || qd >= d.end) continue;
    const Span td = d.inside(qd);
    q.nd = td.end - td.begin, q.x_d = d.tap_step * in_plane, q.w_d = d.weight_step * p.weight_steps[0];
    for (const Axis& h : p.h) {
      q.x_h = h.tap_step * in_row, q.w_h = h.weight_step * p.weight_steps[1];
      for (const WidthAxis& wa : p.w) {
        const Axis& a = wa.axis;
        q.nw = a.taps, q.x_w = a.tap_step * p.in_channels, q.w_w = a.weight_step * p.weight_steps[2];
        q.x_col = a.in_step * p.in_channels, q.y_col = a.out_step * p.channels;
        const int64_t blocks = static_cast<int64_t>(wa.blocks.size()), b0 = blocks * part / p.parts, b1 = blocks * (part + 1) / p.parts;
        for (int64_t b = b0; b < b1; ++b) {
          const Columns& block = wa.blocks[static_cast<size_t>(b)];
          q.edges = block.edges < 0 ? nullptr : wa.edges.data() + block.edges;
          q.inside = block.inside;
          // Down the rows inside, so that what neighbouring rows share is read from the first-level cache.
          for (int64_t qh = std::max(h0, h.begin); qh < std::min(h1, h.end); ++qh) {
            const Span th = h.inside(qh);
            q.nh = th.end - th.begin;
            q.new_rows = p.fetch_ahead && qh + 1 < std::min(h1, h.end) ? h.in_step : 0;
            q.x_at = x0 + (qd * d.in_step + d.in_at + td.begin * d.tap_step) * in_plane + (qh * h.in_step + h.in_at + th.begin * h.tap_step) * in_row +
                     (block.at * a.in_step + a.in_at) * p.in_channels;
            q.w = w + (d.weight_at + td.begin * d.weight_step) * p.weight_steps[0] + (h.weight_at + th.begin * h.weight_step) * p.weight_steps[1] +
                  a.weight_at * p.weight_steps[2] + c0;
            const int64_t y_at = (image * p.out[0] + qd * d.out_step + d.out_at) * out_plane + (qh * h.out_step + h.out_at) * out_row +
                                 (block.at * a.out_step + a.out_at) * p.channels + c0;
            q.y = y + y_at;
            q.add = add == nullptr ? nullptr : add + y_at;
            run_block(q, block.count, wa.adjacent, a.in_step);
            if (act != Epilogue::Act::None && !clamp) {
              Epilogue e = p.epilogue;
              e.bias = e.add = false;
              apply_epilogue(e, DType::Float32, q.y, nullptr, nullptr, block.count, q.channels, q.y_col);
            }
          }
        }
      }
    }
  }
}

// ---- the kernel's gradient

// Taps whose sums are in registers at the same time, while rows of the output pass.
struct Taps {
  int64_t x_at[9], height[9];  // where the tap reads, from the row of the output on; and which of the kernel's rows it is of
  float* sum[9];
  int64_t begin[9], end[9];  // columns whose tap lies inside
};
struct Rows {
  const float *x, *dy;
  int64_t count, x_row, dy_row, x_col, dy_col, width;
  const Span* inside;  // per row: the rows of the kernel that lie inside
  int64_t kernel_rows;
  int64_t channels, in_channels;
  const int32_t* expand;
};

template <int N, bool kMasked, bool kExpand> HWY_INLINE void tap_sums(const Taps& t, const Rows& r, int64_t j, int64_t count) {
  const D d;
  const auto mask = hn::FirstN(d, static_cast<size_t>(count));
  const auto load = [&](const float* p) HWY_ATTR {
    if constexpr (kMasked) return hn::MaskedLoad(mask, d, p);
    else return hn::LoadU(d, p);
  };
  int64_t first = j;
  const hn::RebindToSigned<D> di;
  auto source = hn::IndicesFromVec(d, hn::Zero(di));
  auto source_mask = mask;
  if constexpr (kExpand) {
    first = r.expand[j];
    HWY_ALIGN int32_t at[hn::MaxLanes(D())] = {};
    for (int64_t l = 0; l < count; ++l) at[l] = r.expand[j + l] - static_cast<int32_t>(first);
    source = hn::SetTableIndices(d, at);
    source_mask = hn::FirstN(d, static_cast<size_t>(std::min(count, r.in_channels - first)));
  }
  const auto load_x = [&](const float* p) HWY_ATTR {
    if constexpr (kExpand) return hn::TableLookupLanes(hn::MaskedLoad(source_mask, d, p), source);
    else return load(p);
  };
  V acc[N];
  int64_t offset[N];
  int64_t begin = 0, end = r.width;
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) {
    acc[i] = load(t.sum[i] + j);
    offset[i] = t.x_at[i];
    begin = std::max(begin, t.begin[i]), end = std::min(end, t.end[i]);
  }
  begin = std::min(begin, r.width), end = std::max(begin, end);
  const int64_t x_col = r.x_col, dy_col = r.dy_col;
  for (int64_t row = 0; row < r.count; ++row) {
    const float* x = r.x + first;
    const int64_t x_row = row * r.x_row;
    const float* dy = r.dy + row * r.dy_row + j;
    const Span rows = r.inside[row];
    const auto edge = [&](int64_t c) HWY_ATTR {
      const V g = load(dy + c * dy_col);
#pragma GCC unroll 9
      for (int i = 0; i < N; ++i) {
        if (c >= t.begin[i] && c < t.end[i] && t.height[i] >= rows.begin && t.height[i] < rows.end)
          acc[i] = hn::MulAdd(load_x(x + x_row + offset[i] + c * x_col), g, acc[i]);
      }
    };
    const bool whole = rows.begin == 0 && rows.end == r.kernel_rows;
    const int64_t b = whole ? begin : r.width, e = whole ? end : r.width;
    for (int64_t c = 0; c < b; ++c) edge(c);
    int64_t at = x_row + b * x_col;
    const float* g = dy + b * dy_col;
    for (int64_t c = b; c < e; ++c, at += x_col, g += dy_col) {
      const V vg = load(g);
#pragma GCC unroll 9
      for (int i = 0; i < N; ++i) acc[i] = hn::MulAdd(load_x(x + at + offset[i]), vg, acc[i]);
    }
    for (int64_t c = e; c < r.width; ++c) edge(c);
  }
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) {
    if constexpr (kMasked) hn::BlendedStore(acc[i], mask, d, t.sum[i] + j);
    else hn::StoreU(acc[i], d, t.sum[i] + j);
  }
}

HWY_NOINLINE void single_tap_sums(const Taps& t, int taps, const Rows& r, int64_t j) {
  for (; j < r.channels; ++j)
    for (int i = 0; i < taps; ++i)
      for (int64_t row = 0; row < r.count; ++row)
        for (int64_t c = t.begin[i]; c < t.end[i] && t.height[i] >= r.inside[row].begin && t.height[i] < r.inside[row].end; ++c)
          t.sum[i][j] += r.x[row * r.x_row + t.x_at[i] + c * r.x_col + (r.expand != nullptr ? r.expand[j] : j)] * r.dy[row * r.dy_row + c * r.dy_col + j];
}

template <int N> HWY_NOINLINE void taps_of(const Taps& t, const Rows& r) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  int64_t j = 0;
  if (r.expand == nullptr) {
    for (; j + lanes <= r.channels; j += lanes) tap_sums<N, false, false>(t, r, j, lanes);
  } else if constexpr (kMasks) {
    for (; j < r.channels; j += lanes) tap_sums<N, true, true>(t, r, j, std::min(lanes, r.channels - j));
    return;
  }
  if (j == r.channels) return;
  if constexpr (kMasks) {
    if (r.expand == nullptr) return tap_sums<N, true, false>(t, r, j, r.channels - j);
  }
  single_tap_sums(t, N, r, j);
}

// Sums of a chunk of channels over some images, into dw (taps × channels).
void FilterItem(const FilterPlan& p, int64_t chunk, int64_t piece, const float* x, const float* dy, float* dw) {
  const int64_t c0 = chunk * p.chunk, channels = std::min(p.chunk, p.channels - c0);
  const int64_t in_row = p.in[2] * p.in_channels, in_plane = p.in[1] * in_row, out_row = p.out[2] * p.channels, out_plane = p.out[1] * out_row;
  for (int64_t t = 0; t < p.taps; ++t) std::memset(dw + t * p.channels + c0, 0, static_cast<size_t>(channels) * sizeof(float));
  const Axis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  Rows r;
  r.expand = p.expand.empty() ? nullptr : p.expand.data() + c0;
  r.channels = channels, r.in_channels = p.in_channels;
  r.x_row = h.in_step * in_row, r.dy_row = out_row, r.x_col = w.in_step * p.in_channels, r.dy_col = p.channels;
  r.width = p.out[2], r.kernel_rows = p.kernel[1];
  Taps taps;
  for (int64_t n = piece * p.images; n < std::min((piece + 1) * p.images, p.n); ++n) {
    for (int64_t od = 0; od < p.out[0]; ++od) {
      const Span td = d.inside(od);
      const int64_t total = (td.end - td.begin) * p.kernel[1] * p.kernel[2];
      for (int64_t oh = 0; oh < p.out[1]; oh += p.band) {
        r.count = std::min(p.band, p.out[1] - oh);
        r.inside = p.rows.data() + oh;
        r.x = x + n * p.in[0] * in_plane + (r.expand == nullptr ? c0 : 0);
        r.dy = dy + (n * p.out[0] + od) * out_plane + oh * out_row + c0;
        for (int64_t done = 0; done < total;) {
          const int64_t left = total - done;
          const int64_t now = left >= 9 ? 9 : left >= 6 ? 6 : left >= 3 ? 3 : left;
          for (int64_t i = 0; i < now; ++i) {
            const int64_t k = (done + i) % p.kernel[2], kh = (done + i) / p.kernel[2] % p.kernel[1], kd = td.begin + (done + i) / p.kernel[2] / p.kernel[1];
            taps.x_at[i] = (od * d.in_step + d.in_at + kd * d.tap_step) * in_plane + (oh * h.in_step + h.in_at + kh * h.tap_step) * in_row +
                           (w.in_at + k * w.tap_step) * p.in_channels;
            taps.height[i] = kh;
            taps.sum[i] = dw + ((kd * p.kernel[1] + kh) * p.kernel[2] + k) * p.channels + c0;
            taps.begin[i] = p.columns[static_cast<size_t>(k)].begin, taps.end[i] = p.columns[static_cast<size_t>(k)].end;
          }
          switch (now) {
            case 9: taps_of<9>(taps, r); break;
            case 6: taps_of<6>(taps, r); break;
            case 3: taps_of<3>(taps, r); break;
            case 2: taps_of<2>(taps, r); break;
            default: taps_of<1>(taps, r); break;
          }
          done += now;
        }
      }
    }
  }
}

// c[i] += from[i]
void Accumulate(const float* from, float* to, int64_t n) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
  for (; i < n; ++i) to[i] += from[i];
}

}  // namespace keras::cpu::depthwise::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu::depthwise {
namespace {
HWY_EXPORT(Item);
HWY_EXPORT(FilterItem);
HWY_EXPORT(Accumulate);

constexpr double kGrainFlops = 3e5;
constexpr int64_t kCacheBytes = 8 << 20;   // of the last level, what a thread may hope to find there
constexpr int64_t kInputBytes = 24 << 10;  // what a block of columns reads of a chunk of channels, in the first-level cache

Axis forward_axis(const ConvGeometry& g, size_t i) {
  return {.begin = 0, .end = g.out[i], .in_step = g.stride[i], .in_at = -g.lo[i], .in_size = g.in[i], .taps = g.kernel[i], .tap_step = g.dilation[i]};
}

// The gradient to the input: positions that are equal modulo the stride are met by the same taps.
std::vector<Axis> backward_axes(const ConvGeometry& g, size_t i) {
  const int64_t s = g.stride[i], dil = g.dilation[i], every = s / std::gcd(s, dil);
  std::vector<Axis> axes;
  for (int64_t phase = 0; phase < s; ++phase) {
    Axis a{.begin = ceil_div(g.lo[i] - phase, s), .end = ceil_div(g.in[i] + g.lo[i] - phase, s), .out_step = s, .out_at = phase - g.lo[i],
           .in_step = 1, .in_size = g.out[i], .tap_step = every * dil / s, .weight_step = -every};
    int64_t first = 0;
    while (first < std::min(every, g.kernel[i]) && first * dil % s != phase) ++first;
    if (first < std::min(every, g.kernel[i])) {  // the last tap of the phase reads the first input
      a.taps = (g.kernel[i] - 1 - first) / every + 1;
      a.weight_at = first + (a.taps - 1) * every;
      a.in_at = (phase - a.weight_at * dil) / s;
    }
    if (a.begin < a.end) axes.push_back(a);
  }
  return axes;
}

WidthAxis in_blocks(const Axis& a, bool expanded) {
  WidthAxis w{a, {}, {}, !expanded && is_adjacent(a)};
  // As few blocks as can be, of the widths that there are loops for.
  static constexpr std::array<int64_t, 5> kWidths{8, 7, 4, 2, 1};
  const size_t count = static_cast<size_t>(a.end - a.begin);
  std::vector<int64_t> fewest(count + 1, 0), last(count + 1, 0);
  for (size_t n = 1; n <= count; ++n) {
    fewest[n] = std::numeric_limits<int64_t>::max();
    for (const int64_t width : kWidths) {
      if (width > static_cast<int64_t>(n) || (expanded && width > kMostExpanded)) continue;
      if (const int64_t blocks = fewest[n - static_cast<size_t>(width)] + 1; blocks < fewest[n]) fewest[n] = blocks, last[n] = width;
    }
  }
  for (size_t left = count; left > 0;) {
    const int64_t size = last[left], at = a.begin + static_cast<int64_t>(count - left);
    left -= static_cast<size_t>(size);
    Columns c{at, size, -1, 0};
    std::vector<Span> edges;
    bool inside = true;
    for (int64_t j = 0; j < a.taps; ++j) {
      edges.push_back(a.positions(j, at, size));
      inside = inside && edges.back().begin == 0 && edges.back().end == size;
    }
    if (!inside) {
      c.edges = static_cast<int64_t>(w.edges.size());
      w.edges.insert(w.edges.end(), edges.begin(), edges.end());
    }
    for (int64_t i = 0; w.adjacent && i < (size - 1) * a.in_step + a.taps; ++i) {
      const int64_t x = at * a.in_step + a.in_at + i;
      if (x >= 0 && x < a.in_size) c.inside |= 1u << i;
    }
    w.blocks.push_back(c);
  }
  return w;
}

Span hull(const std::vector<Axis>& axes) {
  Span s{axes[0].begin, axes[0].end};
  for (const Axis& a : axes) s = {std::min(s.begin, a.begin), std::max(s.end, a.end)};
  return s;
}

std::vector<int32_t> expansion(int64_t inputs, int64_t outputs) {
  std::vector<int32_t> from;
  for (int64_t o = 0; o < outputs && inputs != outputs; ++o) from.push_back(static_cast<int32_t>(o / (outputs / inputs)));
  return from;
}

Plan make_plan(const ConvGeometry& g, bool forward) {
  Plan p;
  p.n = g.n;
  p.in_channels = forward ? g.c : g.o, p.channels = g.o;
  p.in = forward ? g.in : g.out, p.out = forward ? g.out : g.in;
  p.weight_steps = {g.kernel[1] * g.kernel[2] * g.o, g.kernel[2] * g.o, g.o};
  const auto axes = [&](size_t i) { return forward ? std::vector<Axis>{forward_axis(g, i)} : backward_axes(g, i); };
  p.d = axes(0), p.h = axes(1);
  p.expand = expansion(p.in_channels, p.channels);
  for (const Axis& a : axes(2)) p.w.push_back(in_blocks(a, !p.expand.empty()));
  p.d_all = hull(p.d), p.h_all = hull(p.h);
  if (forward) p.epilogue = g.epilogue;
  p.fetch_ahead = p.n * p.in[0] * p.in[1] * p.in[2] * p.in_channels * static_cast<int64_t>(sizeof(float)) > kCacheBytes;

  const Axis& w = p.w[0].axis;
  const int64_t reads = g.kernel[0] * p.h[0].taps * (kMostColumns * w.in_step + w.taps * w.tap_step);
  int64_t chunk = std::max<int64_t>(64, kInputBytes / 4 / std::max<int64_t>(reads, 1) / 16 * 16);
  p.chunks = (p.channels + chunk - 1) / chunk;
  p.chunk = ((p.channels + p.chunks - 1) / p.chunks + 15) / 16 * 16;
  p.chunks = (p.channels + p.chunk - 1) / p.chunk;
  // The work of one position of h, one chunk.
  const double row = 2.0 * static_cast<double>(p.out[2] * (forward ? 1 : g.stride[1]) * p.chunk) * static_cast<double>(g.taps());
  const int64_t height = p.h_all.end - p.h_all.begin;
  p.rows = std::clamp<int64_t>(static_cast<int64_t>(kGrainFlops / row), 4, 16);
  p.row_groups = (height + p.rows - 1) / p.rows;
  p.rows = (height + p.row_groups - 1) / p.row_groups;
  p.row_groups = (height + p.rows - 1) / p.rows;
  p.items = p.n * (p.d_all.end - p.d_all.begin) * p.row_groups * p.chunks;
  const double item = row * static_cast<double>(p.rows);
  // Long rows of few images: several items share a row.
  p.parts = std::clamp<int64_t>(std::min(16 / p.items, static_cast<int64_t>(item / kGrainFlops)), 1, static_cast<int64_t>(p.w[0].blocks.size()));
  p.items *= p.parts;
  p.grain = std::max<int64_t>(1, static_cast<int64_t>(kGrainFlops * static_cast<double>(p.parts) / item));
  return p;
}

std::string sizes(const ConvGeometry& g) {
  std::string s;
  for (size_t i = static_cast<size_t>(3 - g.rank); i < 3; ++i) s += (s.empty() ? "" : "x") + std::to_string(g.kernel[i]);
  return s;
}

class DepthwiseConv final : public engine::Kernel {
 public:
  DepthwiseConv(const ConvGeometry& g, bool forward) : forward_(forward), multiplier_(forward ? 1 : g.o / g.c) {
    ConvGeometry one = g;
    // Of several outputs per input, the gradient is that of as many inputs, summed: an image at a time.
    if (multiplier_ > 1) images_ = g.n, one.n = 1, scratch_ = static_cast<size_t>(g.in_pixels() * g.o) * sizeof(float);
    plan_ = make_plan(one, forward);
    pixels_ = g.in_pixels(), channels_ = g.c;
    text_ = std::string(forward ? "depthwise conv " : "depthwise conv backward input ") + sizes(g) + ", " + std::to_string(plan_.items) + " pieces";
  }
  size_t scratch_bytes() const override { return scratch_; }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override {
    const float* x = static_cast<const float*>(in[0]);
    const float* w = static_cast<const float*>(in[1]);
    float* y = static_cast<float*>(out[0]);
    const Epilogue& e = plan_.epilogue;
    const float* bias = forward_ && e.bias ? static_cast<const float*>(in[2]) : nullptr;
    const float* add = forward_ && e.add ? static_cast<const float*>(in[e.bias ? 3 : 2]) : nullptr;
    if (multiplier_ == 1) return items(x, w, bias, add, y);
    float* wide = static_cast<float*>(scratch);
    for (int64_t n = 0; n < images_; ++n) {
      items(x + n * plan_.in[0] * plan_.in[1] * plan_.in[2] * plan_.in_channels, w, nullptr, nullptr, wide);
      float* to = y + n * pixels_ * channels_;
      parallel_for(pixels_ * channels_, 1 << 14, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          float sum = 0;
          for (int64_t m = 0; m < multiplier_; ++m) sum += wide[i * multiplier_ + m];
          to[i] = sum;
        }
      });
    }
  }

 private:
  void items(const float* x, const float* w, const float* bias, const float* add, float* y) const {
    const auto item = HWY_DYNAMIC_DISPATCH(Item);
    parallel_for(plan_.items, plan_.grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) item(plan_, i, x, w, bias, add, y);
    });
  }

  bool forward_;
  int64_t multiplier_, images_ = 0, pixels_ = 0, channels_ = 0;
  Plan plan_;
  size_t scratch_ = 0;
  std::string text_;
};

class DepthwiseFilter final : public engine::Kernel {
 public:
  explicit DepthwiseFilter(const ConvGeometry& g) {
    FilterPlan& p = plan_;
    p.n = g.n, p.in_channels = g.c, p.channels = g.o, p.taps = g.taps();
    p.in = g.in, p.out = g.out, p.kernel = g.kernel;
    for (size_t i = 0; i < 3; ++i) p.axis[i] = forward_axis(g, i);
    for (int64_t k = 0; k < g.kernel[2]; ++k) p.columns.push_back(p.axis[2].positions(k, 0, g.out[2]));
    for (int64_t oh = 0; oh < g.out[1]; ++oh) p.rows.push_back(p.axis[1].inside(oh));
    // The sums are read and written once per band; what several groups of taps read stays in the first-level cache.
    p.band = p.taps <= 9 * g.kernel[0] ? g.out[1] : std::max<int64_t>(4, 256 / g.out[2]);
    p.expand = expansion(g.c, g.o);
    p.chunk = std::min<int64_t>(64, (g.o + 15) / 16 * 16);
    p.chunks = (g.o + p.chunk - 1) / p.chunk;
    // Sums of images apart, where the channels alone are too few pieces: added in order afterwards.
    const double flops = 2.0 * static_cast<double>(g.n * g.out_pixels() * g.o) * static_cast<double>(g.taps());
    const int64_t pieces = std::clamp<int64_t>(std::min((16 + p.chunks - 1) / p.chunks, static_cast<int64_t>(flops / 1e6)), 1, g.n);
    p.images = (g.n + pieces - 1) / pieces;
    p.image_pieces = (g.n + p.images - 1) / p.images;
    size_ = g.weights();
    scratch_ = p.image_pieces > 1 ? static_cast<size_t>((p.image_pieces - 1) * size_) * sizeof(float) : 0;
    grain_ = std::max<int64_t>(1, static_cast<int64_t>(kGrainFlops * static_cast<double>(p.chunks * p.image_pieces) / std::max(flops, 1.0)));
    text_ = "depthwise conv backward filter " + sizes(g) + ", " + std::to_string(p.chunks * p.image_pieces) + " pieces";
  }
  size_t scratch_bytes() const override { return scratch_; }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override {
    const float* x = static_cast<const float*>(in[0]);
    const float* dy = static_cast<const float*>(in[1]);
    float* dw = static_cast<float*>(out[0]);
    float* partial = static_cast<float*>(scratch);
    const auto item = HWY_DYNAMIC_DISPATCH(FilterItem);
    parallel_for(plan_.chunks * plan_.image_pieces, grain_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t chunk = i % plan_.chunks, piece = i / plan_.chunks;
        item(plan_, chunk, piece, x, dy, piece == 0 ? dw : partial + (piece - 1) * size_);
      }
    });
    for (int64_t piece = 1; piece < plan_.image_pieces; ++piece) HWY_DYNAMIC_DISPATCH(Accumulate)(partial + (piece - 1) * size_, dw, size_);
  }

 private:
  FilterPlan plan_;
  int64_t size_ = 0, grain_ = 1;
  size_t scratch_ = 0;
  std::string text_;
};

}  // namespace
}  // namespace keras::cpu::depthwise

namespace keras::cpu {

engine::KernelPtr make_depthwise_conv(const ConvGeometry& g, ConvPass pass) {
  if (g.dtype != DType::Float32 || g.group_in() != 1 || (g.c == 1 && g.o > 1)) return nullptr;
  if (pass == ConvPass::BackwardFilter) return std::make_unique<depthwise::DepthwiseFilter>(g);
  return std::make_unique<depthwise::DepthwiseConv>(g, pass == ConvPass::Forward);
}

}  // namespace keras::cpu
#endif
