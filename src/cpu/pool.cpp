// What lives here: pooling as loops over channels that the compiler vectorises, once per instruction set that Highway chooses from.
#include "cpu/pool.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include <keras/base/error.h>

#include "cpu/float_bridge.h"
#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef KERAS_CPU_POOL_PLAN
#define KERAS_CPU_POOL_PLAN
namespace keras::cpu {
enum class PoolPass { Max, Average, MaxBackward, AverageBackward };

// Spatial axes filled up to three, ones in front.
struct PoolPlan {
  PoolPass pass = PoolPass::Max;
  DType dtype = DType::Float32;
  int64_t n = 0, c = 0;
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, window{1, 1, 1}, stride{1, 1, 1}, lo{0, 0, 0};
};

struct Range {
  int64_t begin, end;
};
// The part of output o's window that lies inside the input.
inline Range window_of(const PoolPlan& p, size_t axis, int64_t o) {
  const int64_t at = o * p.stride[axis] - p.lo[axis];
  return {std::max<int64_t>(at, 0), std::min(at + p.window[axis], p.in[axis])};
}
// The outputs whose window holds input i.
inline Range holders_of(const PoolPlan& p, size_t axis, int64_t i) {
  const int64_t at = i + p.lo[axis], first = at - p.window[axis] + 1;
  return {first <= 0 ? 0 : (first + p.stride[axis] - 1) / p.stride[axis], std::min(at / p.stride[axis] + 1, p.out[axis])};
}
inline constexpr int64_t kChannelBlock = 128, kMostTaps = 64;
}  // namespace keras::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T> constexpr T lowest() {
  if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
  else return std::numeric_limits<T>::lowest();
}

template <class T> void max_rows(const PoolPlan& p, const T* x, T* y, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t h = r % p.out[1], d = r / p.out[1] % p.out[0], n = r / p.out[1] / p.out[0];
    const Range wd = window_of(p, 0, d), wh = window_of(p, 1, h);
    for (int64_t ow = 0; ow < p.out[2]; ++ow) {
      const Range ww = window_of(p, 2, ow);
      T* HWY_RESTRICT to = y + (r * p.out[2] + ow) * p.c;
      bool first = true;
      for (int64_t id = wd.begin; id < wd.end; ++id) {
        for (int64_t ih = wh.begin; ih < wh.end; ++ih) {
          for (int64_t iw = ww.begin; iw < ww.end; ++iw) {
            const T* HWY_RESTRICT from = x + (((n * p.in[0] + id) * p.in[1] + ih) * p.in[2] + iw) * p.c;
            if (first) {
              for (int64_t c = 0; c < p.c; ++c) to[c] = from[c];
              first = false;
            } else if constexpr (std::is_floating_point_v<T>) {
              for (int64_t c = 0; c < p.c; ++c) to[c] = (from[c] > to[c]) | (from[c] != from[c]) ? from[c] : to[c];
            } else {
              for (int64_t c = 0; c < p.c; ++c) to[c] = from[c] > to[c] ? from[c] : to[c];
            }
          }
        }
      }
      if (first) {
        for (int64_t c = 0; c < p.c; ++c) to[c] = lowest<T>();
      }
    }
  }
}

template <class T> void average_rows(const PoolPlan& p, const T* x, T* y, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t h = r % p.out[1], d = r / p.out[1] % p.out[0], n = r / p.out[1] / p.out[0];
    const Range wd = window_of(p, 0, d), wh = window_of(p, 1, h);
    for (int64_t ow = 0; ow < p.out[2]; ++ow) {
      const Range ww = window_of(p, 2, ow);
      T* HWY_RESTRICT to = y + (r * p.out[2] + ow) * p.c;
      for (int64_t c = 0; c < p.c; ++c) to[c] = T{};
      for (int64_t id = wd.begin; id < wd.end; ++id) {
        for (int64_t ih = wh.begin; ih < wh.end; ++ih) {
          for (int64_t iw = ww.begin; iw < ww.end; ++iw) {
            const T* HWY_RESTRICT from = x + (((n * p.in[0] + id) * p.in[1] + ih) * p.in[2] + iw) * p.c;
            for (int64_t c = 0; c < p.c; ++c) to[c] = static_cast<T>(to[c] + from[c]);
          }
        }
      }
      const int64_t count =
          std::max<int64_t>(0, wd.end - wd.begin) * std::max<int64_t>(0, wh.end - wh.begin) * std::max<int64_t>(0, ww.end - ww.begin);
      if (count == 0) continue;
      const T by = static_cast<T>(count);
      for (int64_t c = 0; c < p.c; ++c) to[c] = static_cast<T>(to[c] / by);
    }
  }
}

// One window of few pixels: the maximum and its place stay in registers. Places are counted in T itself.
template <class T> HWY_INLINE void route(const int64_t* offsets, int64_t taps, const T* x, const T* dy, T* dx, int64_t width, bool tiles) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto zero = hn::Zero(d);
  int64_t c = 0;
  for (; c + lanes <= width; c += lanes) {
    auto best = hn::LoadU(d, x + offsets[0] + c), at = zero;
    for (int64_t t = 1; t < taps; ++t) {
      const auto v = hn::LoadU(d, x + offsets[t] + c);
      const auto keep = hn::Ge(best, v);  // false for NaN, as XLA's select has it
      best = hn::IfThenElse(keep, best, v);
      at = hn::IfThenElse(keep, at, hn::Set(d, static_cast<T>(t)));
    }
    const auto g = hn::LoadU(d, dy + c);
    for (int64_t t = 0; t < taps; ++t) {
      T* to = dx + offsets[t] + c;
      const auto part = hn::IfThenElseZero(hn::Eq(at, hn::Set(d, static_cast<T>(t))), g);
      hn::StoreU(tiles ? part : hn::Add(hn::LoadU(d, to), part), d, to);
    }
  }
  for (; c < width; ++c) {
    int64_t at = 0;
    for (int64_t t = 1; t < taps; ++t) {
      if (!(x[offsets[at] + c] >= x[offsets[t] + c])) at = t;
    }
    for (int64_t t = 0; t < taps; ++t) {
      T* to = dx + offsets[t] + c;
      const T part = t == at ? dy[c] : T{};
      *to = tiles ? part : *to + part;
    }
  }
}

// Units are a block of channels of one image, so that overlapping windows add to dx in one order.
template <class T> void max_backward(const PoolPlan& p, const T* x, const T* dy, T* dx, int64_t begin, int64_t end) {
  using I = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  const int64_t blocks = (p.c + kChannelBlock - 1) / kChannelBlock, in_pixels = p.in[0] * p.in[1] * p.in[2];
  const int64_t taps = p.window[0] * p.window[1] * p.window[2];
  int64_t offsets[kMostTaps];
  bool tiles = true;
  for (size_t a = 0; a < 3; ++a) tiles = tiles && p.window[a] == p.stride[a] && p.out[a] * p.window[a] - p.lo[a] >= p.in[a];
  T best[kChannelBlock];
  I at[kChannelBlock];
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t n = unit / blocks, c0 = unit % blocks * kChannelBlock, width = std::min(kChannelBlock, p.c - c0);
    const T* image = x + n * in_pixels * p.c + c0;
    T* grad = dx + n * in_pixels * p.c + c0;
    // Windows that neither overlap nor leave a pixel out write every gradient once.
    for (int64_t i = 0; !tiles && i < in_pixels; ++i) {
      for (int64_t c = 0; c < width; ++c) grad[i * p.c + c] = T{};
    }
    for (int64_t d = 0; d < p.out[0]; ++d) {
      const Range wd = window_of(p, 0, d);
      for (int64_t h = 0; h < p.out[1]; ++h) {
        const Range wh = window_of(p, 1, h);
        for (int64_t w = 0; w < p.out[2]; ++w) {
          const Range ww = window_of(p, 2, w);
          const T* HWY_RESTRICT from = dy + (((n * p.out[0] + d) * p.out[1] + h) * p.out[2] + w) * p.c + c0;
          I tap = 0;
          if constexpr (std::is_floating_point_v<T>) {
            if (taps <= kMostTaps) {
              for (int64_t id = wd.begin; id < wd.end; ++id) {
                for (int64_t ih = wh.begin; ih < wh.end; ++ih) {
                  for (int64_t iw = ww.begin; iw < ww.end; ++iw) offsets[tap++] = ((id * p.in[1] + ih) * p.in[2] + iw) * p.c;
                }
              }
              if (tap > 0) route(offsets, tap, image, from, grad, width, tiles);
              continue;
            }
          }
          for (int64_t id = wd.begin; id < wd.end; ++id) {
            for (int64_t ih = wh.begin; ih < wh.end; ++ih) {
              for (int64_t iw = ww.begin; iw < ww.end; ++iw, ++tap) {
                const T* HWY_RESTRICT v = image + ((id * p.in[1] + ih) * p.in[2] + iw) * p.c;
                if (tap == 0) {
                  for (int64_t c = 0; c < width; ++c) best[c] = v[c], at[c] = 0;
                } else {
                  // "not >=" and not "<": what XLA's select does with NaN.
                  for (int64_t c = 0; c < width; ++c) {
                    const bool keep = best[c] >= v[c];
                    best[c] = keep ? best[c] : v[c];
                    at[c] = keep ? at[c] : tap;
                  }
                }
              }
            }
          }
          tap = 0;
          for (int64_t id = wd.begin; id < wd.end; ++id) {
            for (int64_t ih = wh.begin; ih < wh.end; ++ih) {
              for (int64_t iw = ww.begin; iw < ww.end; ++iw, ++tap) {
                T* HWY_RESTRICT to = grad + ((id * p.in[1] + ih) * p.in[2] + iw) * p.c;
                if (tiles) {
                  for (int64_t c = 0; c < width; ++c) to[c] = at[c] == tap ? from[c] : T{};
                  continue;
                }
                for (int64_t c = 0; c < width; ++c) to[c] = static_cast<T>(to[c] + (at[c] == tap ? from[c] : T{}));
              }
            }
          }
        }
      }
    }
  }
}

template <class T> void average_backward(const PoolPlan& p, const T* dy, T* dx, int64_t begin, int64_t end) {
  const auto count = [&](size_t axis, int64_t o) HWY_ATTR {
    const Range w = window_of(p, axis, o);
    return w.end - w.begin;
  };
  for (int64_t r = begin; r < end; ++r) {
    const int64_t h = r % p.in[1], d = r / p.in[1] % p.in[0], n = r / p.in[1] / p.in[0];
    const Range od = holders_of(p, 0, d), oh = holders_of(p, 1, h);
    for (int64_t w = 0; w < p.in[2]; ++w) {
      const Range ow = holders_of(p, 2, w);
      T* HWY_RESTRICT to = dx + (r * p.in[2] + w) * p.c;
      for (int64_t c = 0; c < p.c; ++c) to[c] = T{};
      for (int64_t i = od.begin; i < od.end; ++i) {
        for (int64_t j = oh.begin; j < oh.end; ++j) {
          for (int64_t k = ow.begin; k < ow.end; ++k) {
            const T* HWY_RESTRICT from = dy + (((n * p.out[0] + i) * p.out[1] + j) * p.out[2] + k) * p.c;
            const T by = static_cast<T>(count(0, i) * count(1, j) * count(2, k));
            for (int64_t c = 0; c < p.c; ++c) to[c] = static_cast<T>(to[c] + from[c] / by);
          }
        }
      }
    }
  }
}

template <class T> void pool_units(const PoolPlan& p, const void* a, const void* b, void* to, int64_t begin, int64_t end) {
  switch (p.pass) {
    case PoolPass::Max: return max_rows(p, static_cast<const T*>(a), static_cast<T*>(to), begin, end);
    case PoolPass::MaxBackward: return max_backward(p, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(to), begin, end);
    case PoolPass::Average:
    case PoolPass::AverageBackward: break;
  }
  if constexpr (!std::is_same_v<T, bool>) {
    if (p.pass == PoolPass::Average) average_rows(p, static_cast<const T*>(a), static_cast<T*>(to), begin, end);
    else average_backward(p, static_cast<const T*>(a), static_cast<T*>(to), begin, end);
  }
}

void PoolUnits(const PoolPlan& p, const void* a, const void* b, void* to, int64_t begin, int64_t end) {
  switch (p.dtype) {
    case DType::Float32: return pool_units<float>(p, a, b, to, begin, end);
    case DType::Float64: return pool_units<double>(p, a, b, to, begin, end);
    case DType::Int8: return pool_units<int8_t>(p, a, b, to, begin, end);
    case DType::Int16: return pool_units<int16_t>(p, a, b, to, begin, end);
    case DType::Int32: return pool_units<int32_t>(p, a, b, to, begin, end);
    case DType::Int64: return pool_units<int64_t>(p, a, b, to, begin, end);
    case DType::UInt8: return pool_units<uint8_t>(p, a, b, to, begin, end);
    case DType::UInt16: return pool_units<uint16_t>(p, a, b, to, begin, end);
    case DType::UInt32: return pool_units<uint32_t>(p, a, b, to, begin, end);
    case DType::UInt64: return pool_units<uint64_t>(p, a, b, to, begin, end);
    default: return pool_units<bool>(p, a, b, to, begin, end);
  }
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
namespace {
HWY_EXPORT(PoolUnits);

class PoolKernel final : public engine::Kernel {
 public:
  PoolKernel(const PoolPlan& p, std::string text) : p_(p), text_(std::move(text)) {
    const int64_t rows = p.pass == PoolPass::AverageBackward ? p.n * p.in[0] * p.in[1] : p.n * p.out[0] * p.out[1];
    units_ = p.pass == PoolPass::MaxBackward ? p.n * ((p.c + kChannelBlock - 1) / kChannelBlock) : rows;
    const double taps = static_cast<double>(p.window[0] * p.window[1] * p.window[2]);
    const double work = taps * static_cast<double>(p.n * p.c) * static_cast<double>(p.out[0] * p.out[1] * p.out[2]);
    grain_ = std::max<int64_t>(1, static_cast<int64_t>(3e5 * static_cast<double>(units_) / std::max(work, 1.0)));
  }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void*) const override {
    const void* second = p_.pass == PoolPass::MaxBackward ? in[1] : nullptr;
    parallel_for(units_, grain_, [&](int64_t b, int64_t e) { HWY_DYNAMIC_DISPATCH(PoolUnits)(p_, in[0], second, out[0], b, e); });
  }

 private:
  PoolPlan p_;
  int64_t units_ = 0, grain_ = 1;
  std::string text_;
};

class EmptyPool final : public engine::Kernel {
 public:
  explicit EmptyPool(size_t bytes) : bytes_(bytes) {}
  const char* describe() const override { return "pool of empty sizes"; }
  void run(void* const*, void* const* out, void*) const override {
    if (bytes_ > 0) std::memset(out[0], 0, bytes_);
  }

 private:
  size_t bytes_;
};

engine::KernelPtr make(const PoolDesc& d, PoolPass pass) {
  const auto fail = [&](const std::string& what) {
    throw ValueError(ErrorText{.what = what, .where = "pool", .received = "x " + d.x.str() + ", y " + d.y.str()}.str());
  };
  const int rank = d.x.rank() - 2;
  if (rank < 1 || rank > 3 || d.y.rank() != d.x.rank()) fail("pooling has one to three spatial axes");
  if (!d.x.is_static() || !d.y.is_static()) fail("sizes must be known");
  const size_t r = static_cast<size_t>(rank);
  if (d.window.size() != r || d.strides.size() != r || d.pad_lo.size() != r || d.pad_hi.size() != r)
    fail("window, strides and padding need one entry per spatial axis");
  PoolPlan p;
  p.pass = pass;
  p.dtype = d.dtype;
  p.n = d.x[0], p.c = d.x.back();
  for (int i = 0; i < rank; ++i) {
    const size_t at = static_cast<size_t>(3 - rank + i), s = static_cast<size_t>(i);
    if (d.window[s] < 1 || d.strides[s] < 1 || d.pad_lo[s] < 0 || d.pad_hi[s] < 0)
      fail("window and strides are at least 1, padding at least 0");
    p.in[at] = d.x[i + 1], p.out[at] = d.y[i + 1], p.window[at] = d.window[s], p.stride[at] = d.strides[s], p.lo[at] = d.pad_lo[s];
  }
  if (pool_shape(d) != d.y) fail("the output's shape is " + pool_shape(d).str());
  if (d.dtype == DType::Bool && pass != PoolPass::Max) throw TypeError(ErrorText{.what = "bool has a maximum only", .where = "pool"}.str());
  const bool backward = pass == PoolPass::MaxBackward || pass == PoolPass::AverageBackward;
  const int64_t size = (backward ? d.x : d.y).numel();
  if (d.x.numel() == 0 || d.y.numel() == 0) return std::make_unique<EmptyPool>(static_cast<size_t>(size) * dtype_size(d.dtype));
  const char* names[] = {"max pool", "average pool", "max pool backward", "average pool backward"};
  const bool half = d.dtype == DType::Float16 || d.dtype == DType::BFloat16;
  if (half) p.dtype = DType::Float32;
  auto kernel = std::make_unique<PoolKernel>(p, names[static_cast<int>(pass)]);
  if (!half) return kernel;
  std::vector<int64_t> sizes;
  if (pass != PoolPass::AverageBackward) sizes.push_back(d.x.numel());
  if (backward) sizes.push_back(d.y.numel());
  return bridge_to_float32(d.dtype, std::move(kernel), std::move(sizes), size);
}

}  // namespace

Shape pool_shape(const PoolDesc& d) {
  Shape y{d.x[0]};
  for (int i = 0; i + 2 < d.x.rank(); ++i) {
    const size_t s = static_cast<size_t>(i);
    const int64_t free = d.x[i + 1] + d.pad_lo[s] + d.pad_hi[s] - d.window[s];
    y.push_back(free < 0 ? 0 : free / d.strides[s] + 1);
  }
  y.push_back(d.x.back());
  return y;
}

engine::KernelPtr make_pool(const PoolDesc& desc) { return make(desc, desc.max ? PoolPass::Max : PoolPass::Average); }
engine::KernelPtr make_max_pool_backward(const PoolDesc& desc) { return make(desc, PoolPass::MaxBackward); }
engine::KernelPtr make_avg_pool_backward(const PoolDesc& desc) { return make(desc, PoolPass::AverageBackward); }

}  // namespace keras::cpu
#endif
