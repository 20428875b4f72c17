// What lives here: the kernels of frame_conv.h and their loops, compiled once per instruction set by Highway and chosen at run time.
//
// What a row of the kernel covers is one run of memory, so a convolution is a product whose left side lies in the image as it is, in runs a row
// of the image apart: some output pixels by two vectors of channels are summed in registers over all taps. Rows with padding are copied into a
// frame of zeros first, once for all taps. The kernel's gradient is the same with the roles changed: some neighbouring elements of a run by two
// vectors of the output's gradient, summed over the pixels of some lines.
#include "cpu/frame_conv.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "cpu/conv_view.h"
#include "cpu/dot_gemm.h"
#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/frame_conv.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_clamp.h"

#ifndef KERAS_CPU_FRAME_CONV_ARGS
#define KERAS_CPU_FRAME_CONV_ARGS
namespace keras::cpu {
/// c[m, n] = sum over the runs r and k < length of a[offsets[r] + m a_rs + k a_cs] b[r length + k, n], + bias[n] + add[m, n], relu.
struct RunProduct {
  const float* a = nullptr;
  int64_t a_rs = 0, a_cs = 0;
  const int64_t* offsets = nullptr;
  int64_t runs = 0, length = 0;
  const float* b = nullptr;  // a strip
  int64_t b_rs = 0;
  float* c = nullptr;
  int64_t c_ld = 0;
  const float *bias = nullptr, *add = nullptr;
  bool relu = false;
  float upper = 0;   // what relu lets through at most
  int64_t edge = 0;  // columns of the last vector
};
/// `count` pixels, `from_step` apart, of `channels` elements each, into a dense row.
struct FrameRow {
  const float* from;
  int64_t step, channels, count;
  float* to;
};
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using FrameD = hn::ScalableTag<float>;
using FrameV = hn::Vec<FrameD>;

constexpr bool kFrameMasks = HWY_TARGET <= HWY_AVX2;  // masked loads and stores that touch nothing else
constexpr bool kFrameManyRegisters = HWY_TARGET <= HWY_AVX3 || HWY_TARGET > HWY_SSSE3;
constexpr int kFrameRows = kFrameManyRegisters ? 14 : 6, kFrameNarrowRows = kFrameManyRegisters ? 14 : 12;

template <int MR, int NV> HWY_NOINLINE void run_tile(const RunProduct& g) {
  const FrameD d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  FrameV sum[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sum[i][j] = hn::Zero(d);
  }
  const float* b = g.b;
  const int64_t a_rs = g.a_rs, a_cs = g.a_cs, b_rs = g.b_rs;
  // Every third row: the two behind it are within reach of an addressing mode.
  constexpr int kPointers = (MR + 2) / 3;
  for (int64_t r = 0; r < g.runs; ++r) {
    const float* a[kPointers];
#pragma GCC unroll 8
    for (int i = 0; i < kPointers; ++i) a[i] = g.a + g.offsets[r] + 3 * i * a_rs;
    for (int64_t k = g.length; k > 0; --k, b += b_rs) {
      FrameV w[NV];
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) w[j] = hn::LoadU(d, b + j * lanes);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const FrameV v = hn::Set(d, a[i / 3][i % 3 * a_rs]);
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sum[i][j] = hn::MulAdd(v, w[j], sum[i][j]);
      }
#pragma GCC unroll 8
      for (int i = 0; i < kPointers; ++i) a[i] += a_cs;
    }
  }
  const FrameV zero = hn::Zero(d), upper = hn::Set(d, g.upper);
#pragma GCC unroll 2
  for (int j = 0; j < NV; ++j) {
    const bool part = j == NV - 1 && g.edge < lanes;
    const auto mask = hn::FirstN(d, static_cast<size_t>(part ? g.edge : lanes));
    const auto load = [&](const float* p) HWY_ATTR { return part ? hn::MaskedLoad(mask, d, p) : hn::LoadU(d, p); };
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      float* c = g.c + i * g.c_ld + j * lanes;
      FrameV v = sum[i][j];
      if (part && !kFrameMasks) {
        HWY_ALIGN float out[hn::MaxLanes(d)];
        hn::Store(v, d, out);
        for (int64_t l = 0; l < g.edge; ++l) {
          float s = out[l];
          if (g.bias != nullptr) s += g.bias[j * lanes + l];
          if (g.add != nullptr) s += g.add[i * g.c_ld + j * lanes + l];
          if (g.relu) s = s < 0 ? 0 : s > g.upper ? g.upper : s;
          c[l] = s;
        }
        continue;
      }
      if (g.bias != nullptr) v = hn::Add(v, load(g.bias + j * lanes));
      if (g.add != nullptr) v = hn::Add(v, load(g.add + i * g.c_ld + j * lanes));
      if (g.relu) v = smaller_of(upper, greater_of(zero, v));
      if (part) hn::BlendedStore(v, mask, d, c);
      else hn::StoreU(v, d, c);
    }
  }
}

template <int MR, int NV> HWY_INLINE void run_tile_of(int64_t rows, const RunProduct& g) {
  if constexpr (MR == 1) run_tile<1, NV>(g);
  else if (rows == MR) run_tile<MR, NV>(g);
  else run_tile_of<MR - 1, NV>(rows, g);
}

template <int MR, int NV> HWY_INLINE void run_tiles(RunProduct& g, int64_t m) {
  for (int64_t tiles = (m + MR - 1) / MR; tiles > 0; --tiles) {
    const int64_t rows = (m + tiles - 1) / tiles;
    run_tile_of<MR, NV>(rows, g);
    m -= rows;
    g.a += rows * g.a_rs;
    g.c += rows * g.c_ld;
    if (g.add != nullptr) g.add += rows * g.c_ld;
  }
}

// m rows by at most a strip's n columns.
void RunRows(const RunProduct& product, int64_t m, int64_t n) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(FrameD()));
  RunProduct g = product;
  g.edge = n > lanes ? n - lanes : n;
  if (n > lanes) run_tiles<kFrameRows, 2>(g, m);
  else run_tiles<kFrameNarrowRows, 1>(g, m);
}

void CopyFrameRow(const FrameRow& g) {
  const FrameD d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const bool dense = g.step == g.channels;
  const int64_t n = dense ? g.channels * g.count : g.channels, times = dense ? 1 : g.count;
  const float* from = g.from;
  float* to = g.to;
  for (int64_t t = 0; t < times; ++t, from += g.step, to += g.channels) {
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    for (; i < n; ++i) to[i] = from[i];
  }
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {
HWY_EXPORT(RunRows);
HWY_EXPORT(CopyFrameRow);

constexpr int64_t kFrameFloats = (96 << 10) / 4;  // a frame stays in the second-level cache beside the kernel
constexpr int64_t kFrameDepth = 448;              // rows of a strip that stay in the first-level cache
constexpr int64_t kFramePixels = 256;             // output pixels of a block

// How the lines of an image are cut into blocks, and where the taps of a block's pixels lie: in the image, or in a frame.
struct Framing {
  ConvView v;
  bool framed = true;
  int64_t rows = 1, columns = 1;           // output pixels of a block; several rows only of whole lines
  int64_t row_blocks = 1, blocks = 1;      // of one output plane
  int64_t pixel = 0, line = 0, plane = 0;  // elements from one to the next, where the taps are read
  int64_t width = 0, floats = 0;           // of the frame, in pixels; of all of it
  int64_t length = 0;                      // of a run
  std::vector<int64_t> offsets;            // of the runs

  // Blocks of at most so many pixels.
  Framing(const ConvView& view, int64_t pixels) : v(view) {
    const bool columns_inside = v.first[2] >= 0 && v.first[2] + (v.out[2] - 1) * v.step[2] + (v.taps[2] - 1) * v.tap_step[2] < v.in[2];
    const bool lines_inside = v.first[1] >= 0 && v.first[1] + (v.out[1] - 1) * v.step[1] + (v.taps[1] - 1) * v.tap_step[1] < v.in[1];
    const bool planes_inside = v.first[0] >= 0 && v.first[0] + (v.out[0] - 1) * v.step[0] + (v.taps[0] - 1) * v.tap_step[0] < v.in[0];
    framed = !columns_inside || !lines_inside || !planes_inside || (!v.dense() && v.tap_step[2] == 1);
    columns = conv_ceil_div(v.out[2], conv_ceil_div(v.out[2], pixels));
    width = reach(columns, 2);
    while (framed && columns > 24 && v.taps[0] * reach(1, 1) * width * v.channels > kFrameFloats) {
      columns = conv_ceil_div(columns, 2);
      width = reach(columns, 2);
    }
    pixel = framed ? v.channels : v.pixel;
    line = framed ? width * v.channels : v.in[2] * v.pixel;
    if (framed && line % 512 == 0) line += 16;
    rows = columns < v.out[2] ? 1 : std::clamp<int64_t>(pixels / columns, 1, v.out[1]);
    while (framed && rows > 1 && v.taps[0] * reach(rows, 1) * line > kFrameFloats) --rows;
    rows = conv_ceil_div(v.out[1], conv_ceil_div(v.out[1], rows));
    row_blocks = conv_ceil_div(v.out[1], rows);
    blocks = row_blocks * conv_ceil_div(v.out[2], columns);
    plane = framed ? reach(rows, 1) * line : v.tap_step[0] * v.in[1] * v.in[2] * v.pixel;
    floats = framed ? conv_lines(v.taps[0] * plane) : 0;
    const bool whole = v.taps[2] == 1 || (v.tap_step[2] == 1 && pixel == v.channels);
    length = whole ? v.row() : v.channels;
    for (int64_t z = 0; z < v.taps[0]; ++z)
      for (int64_t y = 0; y < v.taps[1]; ++y)
        for (int64_t x = 0; x < (whole ? 1 : v.taps[2]); ++x)
          offsets.push_back(z * plane + y * v.tap_step[1] * line + x * v.tap_step[2] * pixel);
  }
  // Inputs from the first to the last that so many outputs read.
  int64_t reach(int64_t outputs, size_t axis) const { return (outputs - 1) * v.step[axis] + (v.taps[axis] - 1) * v.tap_step[axis] + 1; }
  int64_t units(int64_t images) const { return images * v.out[0] * blocks; }
  int64_t runs() const { return static_cast<int64_t>(offsets.size()); }
  int64_t step() const { return v.step[2] * pixel; }  // from an output pixel's first element to its neighbour's
  int64_t line_step() const { return v.step[1] * line; }

  struct Block {
    int64_t image, z, y, rows, q, columns;
    const float* a;  // the first tap of the first pixel
  };
  Block block(int64_t unit) const {
    const int64_t z = unit / blocks % v.out[0], y = unit % row_blocks * rows, q = unit % blocks / row_blocks * columns;
    return {unit / blocks / v.out[0], z, y, std::min(rows, v.out[1] - y), q, std::min(columns, v.out[2] - q), nullptr};
  }
  // Fills the frame, if there is one.
  void enter(Block& b, const float* x, float* frame) const {
    const int64_t in_line = v.in[2] * v.pixel, z = v.first[0] + b.z * v.step[0], y = v.first[1] + b.y * v.step[1],
                  q = v.first[2] + b.q * v.step[2];
    const float* image = x + b.image * v.in[0] * v.in[1] * in_line;
    if (!framed) {
      b.a = image + (z * v.in[1] + y) * in_line + q * v.pixel;
      return;
    }
    b.a = frame;
    const int64_t left = std::clamp<int64_t>(-q, 0, width), right = std::clamp<int64_t>(v.in[2] - q, left, width);
    for (int64_t t = 0; t < v.taps[0]; ++t) {
      const int64_t iz = z + t * v.tap_step[0];
      for (int64_t r = 0; r < reach(b.rows, 1); ++r) {
        float* to = frame + t * plane + r * line;
        const int64_t iy = y + r;
        if (iz < 0 || iz >= v.in[0] || iy < 0 || iy >= v.in[1] || left == right) {
          std::fill(to, to + width * v.channels, 0.0f);
          continue;
        }
        std::fill(to, to + left * v.channels, 0.0f);
        HWY_DYNAMIC_DISPATCH(CopyFrameRow)
        ({image + (iz * v.in[1] + iy) * in_line + (q + left) * v.pixel, v.pixel, v.channels, right - left, to + left * v.channels});
        std::fill(to + right * v.channels, to + width * v.channels, 0.0f);
      }
    }
  }
};

// Forward, and backward input as one convolution per phase of the strides.
class FrameConv final : public StripConv {
 public:
  FrameConv(const ConvGeometry& g, ConvPass pass) : StripConv(g, pass) {
    int64_t pixels = 0;
    for (const ConvPhase& p : c_.phases) pixels += c_.g.n * p.view.pixels();
    const int64_t pieces = std::clamp<int64_t>(static_cast<int64_t>(c_.flops / kConvPieceFlops), 1, 4 * num_threads());
    const int64_t block = std::clamp<int64_t>(conv_ceil_div(pixels * c_.g.groups, pieces), 24, kFramePixels);
    for (const ConvPhase& p : c_.phases) {
      Part part{Framing(p.view, block), 0, 1, units_};
      // As many runs at a time as leave a strip of the kernel in the first-level cache.
      if (p.depth > 0) {
        const int64_t cuts = conv_ceil_div(p.depth, kFrameDepth);
        part.runs = std::max<int64_t>(1, conv_ceil_div(part.f.runs(), cuts));
        slot_floats_ = std::max(slot_floats_, part.f.floats);
      }
      units_ += c_.g.groups * part.f.units(c_.g.n);
      part.end = units_;
      parts_.push_back(std::move(part));
    }
    grain_ = std::clamp<int64_t>(static_cast<int64_t>(kConvPieceFlops * static_cast<double>(units_) / std::max(c_.flops, 1.0)), 1, units_);
    describe_as("runs of pixels");
  }

 private:
  void run_units(const Work& w, float* at) const override {
    parallel_for_slots(units_, grain_, slots_, [&](int64_t begin, int64_t end, int slot) {
      size_t p = 0;
      for (int64_t u = begin; u < end; ++u) {
        while (u >= parts_[p].end) ++p;
        const int64_t i = u - parts_[p].begin, units = parts_[p].f.units(c_.g.n);
        unit(w, c_.phases[p], parts_[p], i / units, i % units, at + slot * slot_floats_);
      }
    });
  }

  struct Part {
    Framing f;
    int64_t end, runs, begin;
  };

  void unit(const Work& w, const ConvPhase& p, const Part& part, int64_t group, int64_t unit, float* frame) const {
    const Framing& f = part.f;
    Framing::Block b = f.block(unit);
    const auto& every = c_.every;
    const int64_t c_ld = every[2] * c_.out_pixel, y_line = c_.size[2] * c_.out_pixel,
                  y_at = ((b.image * c_.size[0] + p.at[0] + b.z * every[0]) * c_.size[1] + p.at[1] + b.y * every[1]) * y_line +
                         p.at[2] * c_.out_pixel + b.q * c_ld + group * c_.n;
    if (p.depth == 0) {  // no tap reaches these pixels
      for (int64_t r = 0; r < b.rows; ++r)
        for (int64_t q = 0; q < b.columns; ++q)
          std::memset(w.y + y_at + r * every[1] * y_line + q * c_ld, 0, static_cast<size_t>(p.n) * sizeof(float));
      return;
    }
    f.enter(b, w.x + group * f.v.channels, frame);
    const Epilogue& e = c_.g.epilogue;
    const bool clamps = !c_.back && (e.act == Epilogue::Act::Relu6 || (e.act == Epilogue::Act::Relu && e.alpha == 0));
    Epilogue act = e;
    act.bias = act.add = false;
    if (c_.back || clamps) act.act = Epilogue::Act::None;
    RunProduct m;
    m.a_rs = f.step(), m.a_cs = 1, m.length = f.length, m.b_rs = c_.strip, m.c_ld = c_ld;
    m.upper = e.act == Epilogue::Act::Relu6 ? 6.0f : std::numeric_limits<float>::infinity();
    for (int64_t r = 0; r < f.runs(); r += part.runs) {
      m.offsets = f.offsets.data() + r;
      m.runs = std::min(part.runs, f.runs() - r);
      const bool last = r + m.runs == f.runs();
      m.relu = last && clamps;
      for (int64_t s = 0; s < p.n; s += c_.strip) {
        const int64_t n = std::min(c_.strip, p.n - s);
        m.b = w.strips + group * c_.weights + p.weights + s * p.depth + r * f.length * c_.strip;
        m.bias = last && w.bias != nullptr ? w.bias + group * c_.n + s : nullptr;
        for (int64_t i = 0; i < b.rows; ++i) {
          const int64_t at = y_at + i * every[1] * y_line + s;
          m.a = b.a + i * f.line_step();
          m.c = w.y + at;
          m.add = r > 0 ? m.c : w.add == nullptr ? nullptr : w.add + at;
          HWY_DYNAMIC_DISPATCH(RunRows)(m, b.columns, n);
          if (last && act.act != Epilogue::Act::None) apply_epilogue(act, DType::Float32, m.c, nullptr, nullptr, b.columns, n, c_ld);
        }
      }
    }
  }

  std::vector<Part> parts_;
};

// The kernel's gradient: blocks of lines are cut into pieces with partial sums of their own, which are added in order; and where there are few, the
// runs into parts that need nothing of each other.
class FrameFilter final : public engine::Kernel {
 public:
  explicit FrameFilter(const ConvGeometry& g)
      : g_(g), f_(forward_view(g), kFramePixels), strip_(gemm_strip(DType::Float32)), n_(g.group_out()) {
    depth_ = f_.v.depth();
    width_ = conv_ceil_div(n_, strip_) * strip_;
    const int64_t blocks = f_.units(g.n);
    // A partial sum must be worth its adding.
    const double earn = 64.0 * static_cast<double>(g.weights()) / (g.flops() * static_cast<double>(g.n) / static_cast<double>(blocks));
    const int64_t most = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(blocks) / std::max(1.0, earn)));
    pieces_ = std::min<int64_t>({kParts, most, blocks});
    parts_ = std::clamp<int64_t>(conv_ceil_div(kParts, pieces_ * g.groups), 1, f_.runs());
    units_ = g.groups * pieces_ * parts_;
    sums_ = pieces_ > 1 ? conv_lines(g.groups * depth_ * width_) : 0;
    // Whole vectors that are all there is of a pixel are a strip already.
    in_place_ = n_ == g.o && (n_ == strip_ || 2 * n_ == strip_);
    slot_ = f_.floats + (in_place_ ? 0 : conv_lines(f_.rows * f_.columns * width_));
    slots_ = static_cast<int>(std::min<int64_t>(units_, num_threads()));
    for (int64_t r = 0; r < f_.rows; ++r) lines_.push_back(r * f_.line_step());
    const double flops = 2.0 * static_cast<double>(g.n * g.out_pixels()) * static_cast<double>(g.weights());
    grain_ = std::clamp<int64_t>(static_cast<int64_t>(kConvPieceFlops * static_cast<double>(units_) / flops), 1, units_);
    text_ =
        "conv backward filter by runs of pixels, " + std::to_string(pieces_) + " pieces of pixels by " + std::to_string(parts_ * g.groups);
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
    if (pieces_ > 1) combine_gradients(sums, pieces_, sums_, g_.groups, depth_, width_, n_, dw);
  }

 private:
  static constexpr int64_t kParts = 8;

  void unit(const float* x, const float* dy, float* dw, float* sums, float* frame, int64_t u) const {
    const int64_t part = u % parts_, piece = u / parts_ % pieces_, group = u / parts_ / pieces_;
    const int64_t begin = f_.units(g_.n) * piece / pieces_, end = f_.units(g_.n) * (piece + 1) / pieces_;
    const int64_t first = f_.runs() * part / parts_, last = f_.runs() * (part + 1) / parts_;
    float* strips = frame + f_.floats;
    float* c = pieces_ > 1 ? sums + piece * sums_ + group * depth_ * width_ : dw + group * n_;
    RunProduct m;
    m.a_rs = 1, m.a_cs = f_.step(), m.b_rs = in_place_ ? n_ : strip_, m.offsets = lines_.data(), m.c_ld = pieces_ > 1 ? width_ : g_.o;
    for (int64_t i = begin; i < end; ++i) {
      Framing::Block b = f_.block(i);
      f_.enter(b, x + group * f_.v.channels, frame);
      const int64_t pixels = b.rows * b.columns;
      const float* from = dy + (((b.image * f_.v.out[0] + b.z) * f_.v.out[1] + b.y) * f_.v.out[2] + b.q) * g_.o + group * n_;
      if (!in_place_) pack_gradient(from, g_.o, pixels, n_, strip_, strips);
      m.runs = b.rows, m.length = b.columns;
      for (int64_t s = 0; s < n_; s += strip_) {
        m.b = in_place_ ? from : strips + s * pixels;
        for (int64_t r = first; r < last; ++r) {
          m.a = b.a + f_.offsets[static_cast<size_t>(r)];
          m.c = c + r * f_.length * m.c_ld + s;
          m.add = i > begin ? m.c : nullptr;
          HWY_DYNAMIC_DISPATCH(RunRows)(m, f_.length, std::min(strip_, n_ - s));
        }
      }
    }
  }

  ConvGeometry g_;
  Framing f_;
  int64_t strip_, n_;
  bool in_place_ = false;
  int64_t depth_ = 0, width_ = 0, pieces_ = 1, parts_ = 1, units_ = 1, sums_ = 0, slot_ = 0, grain_ = 1;
  std::vector<int64_t> lines_;
  int slots_ = 1;
  std::string text_;
};

}  // namespace

// Measured by conv_bench, general: short lines leave registers empty and sums waiting for each other, and what no cache keeps (deep kernels over
// few pixels, large gradients of a kernel) is better passed in blocks.
bool frame_conv_pays(const ConvGeometry& g, ConvPass pass) {
  const bool back = pass == ConvPass::BackwardInput;
  const int64_t line = back ? conv_ceil_div(g.in[2], g.stride[2]) : g.out[2], depth = g.taps() * (back ? g.group_out() : g.group_in());
  if (line < 8) return false;
  if (pass == ConvPass::BackwardFilter) return depth * g.group_out() < 100000;
  return line >= 24 || depth < 2048;
}

engine::KernelPtr make_frame_conv(const ConvGeometry& g, ConvPass pass) {
  if (g.dtype != DType::Float32) return nullptr;
  if (pass == ConvPass::BackwardFilter) return std::make_unique<FrameFilter>(g);
  return std::make_unique<FrameConv>(g, pass);
}

}  // namespace keras::cpu
#endif
