// What lives here: the kernels of direct_conv.h and the loops that gather pixels for them, compiled once per instruction set by Highway and
// chosen at run time.
//
// What the taps of some output pixels read is copied, a few hundred numbers of each at a time, into rows of a matrix that stays in the
// second-level cache, and multiplied by the kernel in strips (dot_gemm.h). The copy costs a load and a store where the product has as many
// multiply-adds as there are output channels. The input's gradient is the same for each phase of the strides: a plain convolution whose taps
// are those that reach it. The kernel's gradient gathers likewise and multiplies the transposed matrix by the output's gradient.
#include "cpu/direct_conv.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/conv_view.h"
#include "cpu/dot_gemm.h"
#include "cpu/strip_gemm.h"
#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/direct_conv.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef KERAS_CPU_DIRECT_CONV_ARGS
#define KERAS_CPU_DIRECT_CONV_ARGS
namespace keras::cpu {
// Columns [begin, end) of the matrix, for `count` pixels of all images from `from` on, into rows ld apart.
struct Gather {
  const ConvView* view;
  const float* x;
  int64_t from, count, begin, end;
  float* to;
  int64_t ld;
};
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using DirectD = hn::ScalableTag<float>;

HWY_INLINE void copy_run(float* to, const float* from, int64_t n) {
  const DirectD d;
  const hn::CappedTag<float, 4> few;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), least = static_cast<int64_t>(hn::Lanes(few));
  if (n >= lanes) {
    int64_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      const auto v = hn::LoadU(d, from + i), w = hn::LoadU(d, from + i + lanes);
      hn::StoreU(v, d, to + i);
      hn::StoreU(w, d, to + i + lanes);
    }
    if (i + lanes <= n) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    if (n % lanes != 0) hn::StoreU(hn::LoadU(d, from + n - lanes), d, to + n - lanes);
  } else if (n >= least) {
    for (int64_t i = 0; i + least <= n; i += least) hn::StoreU(hn::LoadU(few, from + i), few, to + i);
    if (n % least != 0) hn::StoreU(hn::LoadU(few, from + n - least), few, to + n - least);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  }
}
HWY_INLINE void zero_run(float* to, int64_t n) {
  const DirectD d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Zero(d), d, to + i);
  for (; i < n; ++i) to[i] = 0;
}

// Some pixels of one line: of each, elements [at, at + n) of the line from `line` on, `size` long, zeros outside; `advance` from pixel to pixel.
HWY_INLINE void gather_line(const float* line, int64_t size, int64_t at, int64_t advance, int64_t n, int64_t pixels, float* to,
                            int64_t ld) {
  for (int64_t i = 0; i < pixels; ++i, at += advance, to += ld) {
    if (at >= 0 && at + n <= size) {
      copy_run(to, line + at, n);
      continue;
    }
    const int64_t lo = std::clamp<int64_t>(-at, 0, n), hi = std::clamp<int64_t>(size - at, lo, n);
    zero_run(to, lo);
    copy_run(to + lo, line + at + lo, hi - lo);
    zero_run(to + hi, n - hi);
  }
}

void GatherPixels(const Gather& g) {
  const ConvView& v = *g.view;
  const bool dense = v.dense();
  const int64_t row = v.row(), first_row = g.begin / row, last_row = (g.end - 1) / row;
  float* to = g.to;
  constexpr int64_t kRun = 16;  // pixels whose rows stay in the first-level cache while the taps pass
  for (int64_t p = g.from, left = g.count; left > 0;) {
    const int64_t q = p % v.out[2], line = p / v.out[2], run = std::min({left, v.out[2] - q, kRun});
    const int64_t y = line % v.out[1], z = line / v.out[1] % v.out[0], image = line / v.out[1] / v.out[0];
    for (int64_t r = first_row; r <= last_row; ++r) {
      const int64_t begin = std::max<int64_t>(g.begin - r * row, 0), end = std::min(g.end - r * row, row);
      float* at = to + r * row + begin - g.begin;
      const int64_t iz = v.first[0] + z * v.step[0] + r / v.taps[1] * v.tap_step[0],
                    iy = v.first[1] + y * v.step[1] + r % v.taps[1] * v.tap_step[1], ix = v.first[2] + q * v.step[2];
      if (iz < 0 || iz >= v.in[0] || iy < 0 || iy >= v.in[1]) {
        for (int64_t i = 0; i < run; ++i) zero_run(at + i * g.ld, end - begin);
        continue;
      }
      const float* from = g.x + ((image * v.in[0] + iz) * v.in[1] + iy) * v.in[2] * v.pixel;
      if (dense && v.pixel == v.channels) {
        gather_line(from, v.in[2] * v.pixel, ix * v.pixel + begin, v.step[2] * v.pixel, end - begin, run, at, g.ld);
        continue;
      }
      for (int64_t e = begin; e < end;) {
        const int64_t t = e / v.channels, c = e % v.channels, n = std::min(end - e, v.channels - c);
        const int64_t first = ix + t * v.tap_step[2];
        for (int64_t i = 0; i < run; ++i) {
          const int64_t pixel = first + i * v.step[2];
          if (pixel >= 0 && pixel < v.in[2]) copy_run(at + i * g.ld, from + pixel * v.pixel + c, n);
          else zero_run(at + i * g.ld, n);
        }
        e += n, at += n;
      }
    }
    p += run, left -= run, to += run * g.ld;
  }
}

// Rows of n elements, `to_ld` and `from_ld` apart.
void CopyRows(float* to, int64_t to_ld, const float* from, int64_t from_ld, int64_t n, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) copy_run(to + i * to_ld, from + i * from_ld, n);
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {
HWY_EXPORT(GatherPixels);
HWY_EXPORT(CopyRows);

constexpr int64_t kDirectDepth = 320;   // columns of the matrix that are gathered and multiplied at once
constexpr int64_t kDirectPixels = 192;  // rows of it

// Forward, and backward input as one convolution per phase of the strides.
class DirectConv final : public StripConv {
 public:
  DirectConv(const ConvGeometry& g, ConvPass pass) : StripConv(g, pass), scatters_(c_.every != std::array<int64_t, 3>{1, 1, 1}) {
    cut();
    size_t gemm_bytes = 0;
    for (size_t i = 0; i < c_.phases.size(); ++i) {
      const int64_t all = c_.phases[i].depth, depth = all == 0 ? 0 : conv_ceil_div(all, conv_ceil_div(all, kDirectDepth)),
                    block = cuts_[i].block;
      if (depth == 0) continue;
      panel_ = std::max(panel_, conv_lines(block * conv_odd_lines(depth)));
      if (scatters_) tile_ = std::max(tile_, block * conv_lines(c_.phases[i].n));
      gemm_bytes = std::max(gemm_bytes, gemm_pack_bytes(DType::Float32, block, c_.phases[i].n, depth));
    }
    slot_floats_ = panel_ + tile_ + conv_lines(static_cast<int64_t>(gemm_bytes / sizeof(float)) + 1);
    describe_as("products of gathered pixels");
  }

 private:
  void run_units(const Work& w, float* at) const override {
    parallel_for_slots(units_, grain_, slots_, [&](int64_t begin, int64_t end, int slot) {
      size_t p = 0;
      for (int64_t u = begin; u < end; ++u) {
        while (u >= cuts_[p].end) ++p;
        const Cut& cut = cuts_[p];
        const int64_t i = u - (cut.end - c_.g.groups * cut.blocks * slices_), slice = i % slices_;
        const ConvPhase& phase = c_.phases[p];
        const int64_t first = phase.strips * slice / slices_ * c_.strip,
                      last = std::min(phase.n, phase.strips * (slice + 1) / slices_ * c_.strip);
        if (first >= last) continue;
        unit(w, c_.phases[p], cut, i / slices_ / cut.blocks, i / slices_ % cut.blocks, first, last - first, at + slot * slot_floats_);
      }
    });
  }

  // A phase's pixels: lines of them (or one of all), which no block leaves, so many blocks in all, the longest, and the units up to its last.
  struct Cut {
    int64_t lines = 1, pixels = 0, blocks = 0, block = 0, end = 0;
  };

  // How the pixels and the channels are cut, which no bit depends on.
  void cut() {
    const int64_t rows = gemm_rows(), threads = num_threads();
    int64_t pixels = 0;
    for (const ConvPhase& p : c_.phases) pixels += c_.g.n * p.view.pixels();
    const int64_t pieces = std::clamp<int64_t>(static_cast<int64_t>(c_.flops / kConvPieceFlops), 1, 4 * threads);
    const int64_t block =
        std::clamp(conv_ceil_div(conv_ceil_div(pixels * c_.g.groups, pieces), rows), int64_t{4}, conv_ceil_div(kDirectPixels, rows)) * rows;
    for (const ConvPhase& p : c_.phases) {
      Cut c;
      const int64_t all = c_.g.n * p.view.pixels(), line = p.view.out[2];
      if (reads_in_place(p.view) && line >= 4 * rows) c.lines = all / line;
      c.pixels = all / c.lines;
      const int64_t cuts = conv_ceil_div(c.pixels, block);
      c.block = std::min(c.pixels, conv_ceil_div(conv_ceil_div(c.pixels, cuts), rows) * rows);
      c.blocks = conv_ceil_div(c.pixels, c.block) * c.lines;
      units_ += c_.g.groups * c.blocks;
      cuts_.push_back(c);
    }
    // Few pixels: threads share the channels instead, each gathering anew.
    slices_ = std::clamp<int64_t>(pieces / units_, 1, c_.phases[0].strips);
    units_ = 0;
    for (Cut& c : cuts_) c.end = units_ += c_.g.groups * c.blocks * slices_;
    grain_ = std::clamp<int64_t>(static_cast<int64_t>(kConvPieceFlops * static_cast<double>(units_) / std::max(c_.flops, 1.0)), 1, units_);
  }

  // Where a pixel's columns are one run of memory, and the next pixel's a fixed distance away, nothing need be gathered inside the image.
  static bool reads_in_place(const ConvView& v) { return v.taps[0] * v.taps[1] == 1 && v.dense(); }

  void unit(const Work& w, const ConvPhase& p, const Cut& cut, int64_t group, int64_t block, int64_t first, int64_t n, float* panel) const {
    const int64_t per_line = cut.blocks / cut.lines, line = block / per_line, from = line * cut.pixels + block % per_line * cut.block,
                  count = std::min(cut.block, (line + 1) * cut.pixels - from);
    float* tile = panel + panel_;
    if (p.depth == 0) return scatter(p, from, count, group * c_.n + first, n, nullptr, 0, w.y);  // no tap reaches these pixels
    float* c = scatters_ ? tile : w.y + from * c_.out_pixel + group * c_.n + first;
    const int64_t c_ld = scatters_ ? conv_lines(p.n) : c_.out_pixel, depth = conv_ceil_div(p.depth, conv_ceil_div(p.depth, kDirectDepth)),
                  ld = conv_odd_lines(depth);
    const float* x = w.x + group * p.view.channels;
    const float* strips = w.strips + group * c_.weights + p.weights + first * p.depth;
    const float* in_place = inside(p.view, x, from, count);
    for (int64_t k = 0; k < p.depth; k += depth) {
      const int64_t end = std::min(p.depth, k + depth);
      Gemm m{.m = count,
             .n = n,
             .k = end - k,
             .a_cs = 1,
             .b = strips + k * c_.strip,
             .c = c,
             .c_ld = c_ld,
             .scratch = tile + tile_,
             .b_pitch = c_.strip * p.depth};
      if (in_place != nullptr) {
        m.a = in_place + k, m.a_rs = p.view.step[2] * p.view.pixel;
      } else {
        HWY_DYNAMIC_DISPATCH(GatherPixels)({&p.view, x, from, count, k, end, panel, ld});
        m.a = panel, m.a_rs = ld;
      }
      m.add = k > 0 ? c : w.add == nullptr ? nullptr : w.add + (c - w.y);
      if (end == p.depth && !c_.back) {
        m.bias = w.bias == nullptr ? nullptr : w.bias + group * c_.n + first;
        m.epilogue = &c_.g.epilogue;
      }
      gemm(DType::Float32, m);
    }
    if (scatters_) scatter(p, from, count, group * c_.n + first, n, tile, c_ld, w.y);
  }

  // The first of a block's pixels, if they lie in one line and read nothing outside of the image.
  static const float* inside(const ConvView& v, const float* x, int64_t from, int64_t count) {
    if (!reads_in_place(v)) return nullptr;
    const int64_t q = from % v.out[2], line = from / v.out[2], y = line % v.out[1], z = line / v.out[1] % v.out[0],
                  image = line / v.out[1] / v.out[0];
    if (q + count > v.out[2]) return nullptr;
    const int64_t iz = v.first[0] + z * v.step[0], iy = v.first[1] + y * v.step[1], ix = v.first[2] + q * v.step[2];
    if (iz < 0 || iz >= v.in[0] || iy < 0 || iy >= v.in[1] || ix < 0) return nullptr;
    if (ix + (count - 1) * v.step[2] + (v.taps[2] - 1) * v.tap_step[2] >= v.in[2]) return nullptr;
    return x + (((image * v.in[0] + iz) * v.in[1] + iy) * v.in[2] + ix) * v.pixel;
  }

  // A block's sums to its pixels of the output, or zeros where there are none.
  void scatter(const ConvPhase& p, int64_t from, int64_t count, int64_t channel, int64_t n, const float* tile, int64_t ld, float* y) const {
    const std::array<int64_t, 3>& out = p.view.out;
    while (count > 0) {
      const int64_t q = from % out[2], line = from / out[2], run = std::min(count, out[2] - q), step = c_.every[2] * c_.out_pixel;
      const int64_t y1 = p.at[1] + line % out[1] * c_.every[1], z = p.at[0] + line / out[1] % out[0] * c_.every[0],
                    image = line / out[1] / out[0];
      float* to = y + (((image * c_.size[0] + z) * c_.size[1] + y1) * c_.size[2] + p.at[2] + q * c_.every[2]) * c_.out_pixel + channel;
      if (tile == nullptr) {
        for (int64_t i = 0; i < run; ++i) std::memset(to + i * step, 0, static_cast<size_t>(n) * sizeof(float));
      } else {
        HWY_DYNAMIC_DISPATCH(CopyRows)(to, step, tile, ld, n, run);
        tile += run * ld;
      }
      from += run, count -= run;
    }
  }

  bool scatters_;
  std::vector<Cut> cuts_;
  int64_t slices_ = 1, panel_ = 0, tile_ = 0;
};

// The kernel's gradient. Its rows and columns are cut into parts that need nothing of each other; where there are few, the pixels are cut,
// too, and partial sums added in order.
class DirectFilter final : public engine::Kernel {
 public:
  explicit DirectFilter(const ConvGeometry& g)
      : g_(g), view_(forward_view(g)), strip_(strip_columns()), n_(g.group_out()), depth_(view_.depth()) {
    pixels_ = g.n * g.out_pixels();
    rows_each_ = conv_ceil_div(depth_, conv_ceil_div(depth_, kRows));
    rows_ = conv_ceil_div(depth_, rows_each_);
    columns_ = conv_ceil_div(conv_ceil_div(n_, strip_), conv_ceil_div(n_, kColumns)) * strip_;
    slices_ = conv_ceil_div(n_, columns_);
    const int64_t parts = g.groups * rows_ * slices_;
    pieces_ = std::clamp<int64_t>(conv_ceil_div(kParts, parts), 1, std::max<int64_t>(1, pixels_ / (2 * kPixels)));
    const int64_t piece = conv_ceil_div(pixels_, pieces_);
    block_ = conv_ceil_div(piece, conv_ceil_div(piece, kPixels));
    width_ = conv_ceil_div(n_, strip_) * strip_;
    own_sums_ = pieces_ > 1 || n_ % strip_ != 0;
    units_ = parts * pieces_;
    sums_ = own_sums_ ? conv_lines(g.groups * depth_ * width_) : 0;
    panel_ = conv_lines(block_ * conv_odd_lines(rows_each_));
    slot_ = panel_ + conv_lines(block_ * columns_);
    slots_ = static_cast<int>(std::min<int64_t>(units_, num_threads()));
    const double flops = 2.0 * static_cast<double>(pixels_) * static_cast<double>(g.weights());
    grain_ = std::clamp<int64_t>(static_cast<int64_t>(kConvPieceFlops * static_cast<double>(units_) / flops), 1, units_);
    text_ =
        "conv backward filter by products of gathered pixels, " + std::to_string(pieces_) + " pieces of pixels by " + std::to_string(parts);
  }
  size_t scratch_bytes() const override { return static_cast<size_t>(pieces_ * sums_ + slot_ * slots_) * sizeof(float); }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    const float* x = static_cast<const float*>(in[0]);
    const float* dy = static_cast<const float*>(in[1]);
    float* dw = static_cast<float*>(out[0]);
    float* sums = static_cast<float*>(scratch);
    float* slots = sums + pieces_ * sums_;
    parallel_for_slots(units_, grain_, slots_, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t u = begin; u < end; ++u) unit(x, dy, dw, sums, slots + slot * slot_, u);
    });
    if (own_sums_) combine_gradients(sums, pieces_, sums_, g_.groups, depth_, width_, n_, dw);
  }

 private:
  static constexpr int64_t kRows = 192, kColumns = 128, kPixels = 192, kParts = 8;

  void unit(const float* x, const float* dy, float* dw, float* sums, float* panel, int64_t u) const {
    const int64_t piece = u % pieces_, slice = u / pieces_ % slices_, rows = u / pieces_ / slices_ % rows_,
                  group = u / pieces_ / slices_ / rows_;
    const int64_t k = rows * rows_each_, m = std::min(rows_each_, depth_ - k), first = slice * columns_, n = std::min(columns_, n_ - first);
    const int64_t ld = conv_odd_lines(m), begin = pixels_ * piece / pieces_, end = pixels_ * (piece + 1) / pieces_;
    float* strips = panel + panel_;
    float* c = own_sums_ ? sums + piece * sums_ + (group * depth_ + k) * width_ + first : dw + k * g_.o + group * n_ + first;
    for (int64_t p = begin; p < end; p += block_) {
      const int64_t count = std::min(block_, end - p);
      HWY_DYNAMIC_DISPATCH(GatherPixels)({&view_, x + group * view_.channels, p, count, k, k + m, panel, ld});
      pack_gradient(dy + p * g_.o + group * n_ + first, g_.o, count, n, strip_, strips);
      strip_gemm({.m = m,
                  .n = conv_ceil_div(n, strip_) * strip_,
                  .k = count,
                  .a = panel,
                  .a_rs = 1,
                  .a_cs = ld,
                  .b = strips,
                  .c = c,
                  .c_ld = own_sums_ ? width_ : g_.o,
                  .add = p > begin});
    }
  }

  ConvGeometry g_;
  ConvView view_;
  int64_t strip_, n_, depth_;
  int64_t pixels_ = 0, rows_ = 1, rows_each_ = 0, slices_ = 1, columns_ = 0, pieces_ = 1, block_ = 0, width_ = 0;
  int64_t units_ = 1, sums_ = 0, panel_ = 0, slot_ = 0, grain_ = 1;
  bool own_sums_ = false;
  int slots_ = 1;
  std::string text_;
};

}  // namespace

engine::KernelPtr make_direct_conv(const ConvGeometry& g, ConvPass pass) {
  if (g.dtype != DType::Float32) return nullptr;
  if (pass == ConvPass::BackwardFilter) return std::make_unique<DirectFilter>(g);
  return std::make_unique<DirectConv>(g, pass);
}

}  // namespace keras::cpu
#endif
