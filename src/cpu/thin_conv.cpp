// What lives here: the kernel of thin_conv.h and its loops, compiled once per instruction set by Highway and chosen at run time.
//
// With few channels the pixels that a row of the kernel covers are one short run of memory, so a convolution is a product whose left side
// lies in the image as it is: some output pixels by two vectors of channels are summed in registers over all taps, and leave them with
// bias, residual and activation done. Rows at the rim are copied into a frame of zeros first, which for few channels is little.
#include "cpu/thin_conv.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/thin_conv.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_clamp.h"

#ifndef KERAS_CPU_THIN_CONV_ARGS
#define KERAS_CPU_THIN_CONV_ARGS
namespace keras::cpu {
/// One row of output pixels.
struct ThinRow {
  const float* x = nullptr;       // the first pixel of the first tap
  int64_t x_row = 0;              // elements from a row of taps to the next
  int64_t step = 0;               // elements from an output pixel's first to its neighbour's
  int64_t tap_rows = 0, run = 0;  // rows of taps, elements of each
  const float* w = nullptr;       // taps × columns, whole vectors
  int64_t columns = 0, channels = 0, pixels = 0;
  float* y = nullptr;
  const float *bias = nullptr, *add = nullptr;  // bias in whole vectors
  bool relu = false, relu6 = false;
};
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using ThinD = hn::ScalableTag<float>;
using ThinV = hn::Vec<ThinD>;

constexpr int kThinPixels = !HWY_ARCH_X86 || HWY_TARGET <= HWY_AVX3 ? 12 : 5;
constexpr bool kThinMasks = HWY_TARGET <= HWY_AVX2;  // masked loads and stores that touch nothing else

// MR pixels by NV vectors; of the last vector `left` lanes are channels.
template <int MR, int NV> HWY_NOINLINE void thin_tile(const ThinRow& g, int64_t pixel, int64_t column, int64_t left) {
  const ThinD d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), step = g.step, columns = g.columns;
  ThinV sum[MR][NV];
#pragma GCC unroll 2
  for (int j = 0; j < NV; ++j) {
    const ThinV start = g.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, g.bias + column + j * lanes);
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i) sum[i][j] = start;
  }
  const float *row = g.x + pixel * step, *w = g.w + column;
  for (int64_t r = g.tap_rows; r > 0; --r, row += g.x_row) {
    const float* a = row;
    for (int64_t k = g.run; k > 0; --k, ++a, w += columns) {
      ThinV b[NV];
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) b[j] = hn::LoadU(d, w + j * lanes);
#pragma GCC unroll 12
      for (int i = 0; i < MR; ++i) {
        const ThinV v = hn::Set(d, a[i * step]);
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sum[i][j] = hn::MulAdd(v, b[j], sum[i][j]);
      }
    }
  }
  const ThinV zero = hn::Zero(d);
#pragma GCC unroll 12
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      const int64_t at = (pixel + i) * g.channels + column + j * lanes;
      const bool part = j == NV - 1 && left < lanes;
      ThinV v = sum[i][j];
      HWY_ALIGN float rest[hn::MaxLanes(ThinD())];
      if (g.add != nullptr) {
        if (!part) {
          v = hn::Add(v, hn::LoadU(d, g.add + at));
        } else {
          for (int64_t l = 0; l < lanes; ++l) rest[l] = l < left ? g.add[at + l] : 0.0f;
          v = hn::Add(v, hn::Load(d, rest));
        }
      }
      if (g.relu) v = greater_of(zero, v);  // in this order NaN stays NaN
      if (g.relu6) v = smaller_of(hn::Set(d, 6.0f), v);
      if (!part) {
        hn::StoreU(v, d, g.y + at);
      } else if (kThinMasks) {
        hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(left)), d, g.y + at);
      } else {
        hn::Store(v, d, rest);
        for (int64_t l = 0; l < left; ++l) g.y[at + l] = rest[l];
      }
    }
  }
}

template <int MR, int NV> HWY_INLINE void thin_tile_of(int64_t pixels, const ThinRow& g, int64_t pixel, int64_t column, int64_t left) {
  if constexpr (MR == 1) thin_tile<1, NV>(g, pixel, column, left);
  else if (pixels == MR) thin_tile<MR, NV>(g, pixel, column, left);
  else thin_tile_of<MR - 1, NV>(pixels, g, pixel, column, left);
}

void ThinRowLoops(const ThinRow& g) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(ThinD()));
  int64_t pixel = 0;
  for (int64_t tiles = (g.pixels + kThinPixels - 1) / kThinPixels; tiles > 0; --tiles) {
    const int64_t pixels = (g.pixels - pixel + tiles - 1) / tiles;
    for (int64_t column = 0; column < g.columns; column += 2 * lanes) {
      const int64_t left = g.channels - column;
      if (left > lanes) thin_tile_of<kThinPixels, 2>(pixels, g, pixel, column, std::min(lanes, left - lanes));
      else thin_tile_of<kThinPixels, 1>(pixels, g, pixel, column, left);
    }
    pixel += pixels;
  }
}

int64_t ThinLanes() { return static_cast<int64_t>(hn::Lanes(ThinD())); }

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {
HWY_EXPORT(ThinRowLoops);
HWY_EXPORT(ThinLanes);

constexpr int64_t kThinChannels = 4;
constexpr double kThinPieceFlops = 1e6;  // about what waking a thread must earn

class ThinConv final : public engine::Kernel {
 public:
  explicit ThinConv(const ConvGeometry& g) : g_(g), lanes_(HWY_DYNAMIC_DISPATCH(ThinLanes)()) {
    columns_ = (g.o + lanes_ - 1) / lanes_ * lanes_;
    frame_ = g.lo[1] != 0 || g.lo[2] != 0 || g.hi[1] != 0 || g.hi[2] != 0;
    const double row_flops = g.flops() / static_cast<double>(g.out[1]);
    rows_ = std::clamp<int64_t>(static_cast<int64_t>(kThinPieceFlops / row_flops), 1, g.out[1]);
    cuts_ = (g.out[1] + rows_ - 1) / rows_;
    rows_ = (g.out[1] + cuts_ - 1) / cuts_;
    grain_ = std::max<int64_t>(1, static_cast<int64_t>(kThinPieceFlops / (row_flops * static_cast<double>(rows_))));
    const int64_t reach = (rows_ - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1;
    width_ = (g.out[2] - 1) * g.stride[2] + g.kernel[2];
    slot_ = frame_ ? (reach * width_ * g.c + 15) / 16 * 16 : 0;
    slots_ = static_cast<int>(std::min<int64_t>((g.n * cuts_ + grain_ - 1) / grain_, num_threads()));
    text_ = "conv of few channels by own loops, " + std::to_string(g.n * cuts_) + " pieces";
  }
  size_t scratch_bytes() const override {
    return static_cast<size_t>((g_.weights() / g_.o + 1) * columns_ + slot_ * slots_) * sizeof(float);
  }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    // The kernel's columns and the bias, filled up to whole vectors.
    float* weights = static_cast<float*>(scratch);
    const int64_t taps = g_.weights() / g_.o;
    const float* w = static_cast<const float*>(in[1]);
    for (int64_t t = 0; t < taps; ++t) fill_up(weights + t * columns_, w + t * g_.o);
    float* bias = weights + taps * columns_;
    if (g_.epilogue.bias) fill_up(bias, static_cast<const float*>(in[2]));
    float* slots = bias + columns_;
    ThinRow row;
    row.tap_rows = g_.kernel[1], row.run = g_.kernel[2] * g_.c, row.step = g_.stride[2] * g_.c;
    row.w = weights, row.columns = columns_, row.channels = g_.o, row.pixels = g_.out[2];
    row.bias = g_.epilogue.bias ? bias : nullptr;
    row.relu6 = g_.epilogue.act == Epilogue::Act::Relu6;
    row.relu = row.relu6 || (g_.epilogue.act == Epilogue::Act::Relu && g_.epilogue.alpha == 0);
    Epilogue rest = g_.epilogue;
    rest.bias = rest.add = false;
    if (row.relu) rest.act = Epilogue::Act::None;
    const float* add = g_.epilogue.add ? static_cast<const float*>(in[g_.epilogue.bias ? 3 : 2]) : nullptr;
    parallel_for_slots(g_.n * cuts_, grain_, slots_, [&](int64_t begin, int64_t end, int slot) {
      ThinRow r = row;
      for (int64_t u = begin; u < end; ++u) {
        const int64_t image = u / cuts_, from = u % cuts_ * rows_, to = std::min(g_.out[1], from + rows_);
        const float* x = static_cast<const float*>(in[0]) + image * g_.in_pixels() * g_.c;
        int64_t line = g_.in[2] * g_.c;
        if (frame_ && from < to) x = framed(x, from, to, slots + slot * slot_), line = width_ * g_.c;
        else x += from * g_.stride[1] * line;
        r.x_row = g_.dilation[1] * line;
        for (int64_t i = from; i < to; ++i) {
          const int64_t at = (image * g_.out[1] + i) * g_.out[2] * g_.o;
          r.x = x + (i - from) * g_.stride[1] * line;
          r.y = static_cast<float*>(out[0]) + at;
          r.add = add == nullptr ? nullptr : add + at;
          HWY_DYNAMIC_DISPATCH(ThinRowLoops)(r);
          if (rest.act != Epilogue::Act::None) apply_epilogue(rest, DType::Float32, r.y, nullptr, nullptr, g_.out[2], g_.o, g_.o);
        }
      }
    });
  }

 private:
  void fill_up(float* to, const float* from) const {
    std::memcpy(to, from, static_cast<size_t>(g_.o) * sizeof(float));
    std::fill(to + g_.o, to + columns_, 0.0f);
  }

  // The rows that output rows [from, to) read, with zeros around the image.
  const float* framed(const float* x, int64_t from, int64_t to, float* frame) const {
    const int64_t first = from * g_.stride[1] - g_.lo[1], count = (to - 1 - from) * g_.stride[1] + (g_.kernel[1] - 1) * g_.dilation[1] + 1;
    const int64_t left = std::clamp<int64_t>(g_.lo[2], 0, width_), right = std::clamp<int64_t>(g_.lo[2] + g_.in[2], left, width_);
    for (int64_t r = 0; r < count; ++r) {
      float* line = frame + r * width_ * g_.c;
      const int64_t at = first + r;
      if (at < 0 || at >= g_.in[1]) {
        std::fill(line, line + width_ * g_.c, 0.0f);
        continue;
      }
      std::fill(line, line + left * g_.c, 0.0f);
      std::memcpy(line + left * g_.c, x + (at * g_.in[2] + left - g_.lo[2]) * g_.c,
                  static_cast<size_t>((right - left) * g_.c) * sizeof(float));
      std::fill(line + right * g_.c, line + width_ * g_.c, 0.0f);
    }
    return frame;
  }

  ConvGeometry g_;
  int64_t lanes_, columns_ = 0, rows_ = 1, cuts_ = 1, grain_ = 1, width_ = 0, slot_ = 0;
  bool frame_ = false;
  int slots_ = 1;
  std::string text_;
};

}  // namespace

static bool thin(const ConvGeometry& g) {
  return g.dtype == DType::Float32 && g.rank <= 2 && g.groups == 1 && g.c <= kThinChannels && g.dilation[2] == 1;
}

// Measured against oneDNN's (conv_bench, first_layer): 1.3 to 1.5 times as fast within these bounds, equal or slower beyond.
bool thin_conv_pays(const ConvGeometry& g) { return thin(g) && g.taps() * g.c <= 40 && g.o <= 48 && g.stride[2] == 1; }

engine::KernelPtr make_thin_conv(const ConvGeometry& g) {
  if (!thin(g)) return nullptr;
  return std::make_unique<ThinConv>(g);
}

}  // namespace keras::cpu
#endif
