// What lives here: convolutions as plain loops for float64 and the integers. Any padding, stride,
// dilation and grouping.
#include <algorithm>
#include <type_traits>

#include "cpu/conv_plan.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

// Sums of integers wrap, as in XLA; bool is or of ands.
template <class T> struct Arithmetic {
  using U = std::conditional_t<
      std::is_floating_point_v<T>, T,
      std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<std::conditional_t<std::is_floating_point_v<T>, int, T>>>>;
  static T add_product(T sum, T a, T b) { return static_cast<T>(static_cast<U>(sum) + static_cast<U>(a) * static_cast<U>(b)); }
};
template <> struct Arithmetic<bool> {
  static bool add_product(bool sum, bool a, bool b) { return sum || (a && b); }
};

template <class T> class LoopConv final : public engine::Kernel {
 public:
  LoopConv(const ConvGeometry& g, ConvPass pass) : g_(g), pass_(pass) {}
  const char* describe() const override { return "conv by loops"; }
  void run(void* const* in, void* const* out, void*) const override {
    const T* a = static_cast<const T*>(in[0]);
    const T* b = static_cast<const T*>(in[1]);
    T* to = static_cast<T*>(out[0]);
    switch (pass_) {
      case ConvPass::Forward: {
        const T* bias = g_.epilogue.bias ? static_cast<const T*>(in[2]) : nullptr;
        const T* add = g_.epilogue.add ? static_cast<const T*>(in[g_.epilogue.bias ? 3 : 2]) : nullptr;
        return forward(a, b, bias, add, to);
      }
      case ConvPass::BackwardInput: return backward_input(a, b, to);
      case ConvPass::BackwardFilter: return backward_filter(a, b, to);
    }
  }

 private:
  static T fma(T sum, T a, T b) { return Arithmetic<T>::add_product(sum, a, b); }
  // Work for a thread: rows of pixels worth about 50 µs.
  int64_t grain(int64_t rows) const {
    return std::max<int64_t>(1, static_cast<int64_t>(1e5 * static_cast<double>(rows) / (g_.flops() * static_cast<double>(g_.n))));
  }

  void forward(const T* x, const T* w, const T* bias, const T* add, T* y) const {
    const ConvGeometry& g = g_;
    const int64_t cg = g.group_in(), og = g.group_out(), rows = g.n * g.out[0] * g.out[1];
    parallel_for(rows, grain(rows), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t h = r % g.out[1], d = r / g.out[1] % g.out[0], n = r / g.out[1] / g.out[0];
        T* row = y + r * g.out[2] * g.o;
        std::fill(row, row + g.out[2] * g.o, T{});
        for (int64_t kd = 0; kd < g.kernel[0]; ++kd) {
          const int64_t id = d * g.stride[0] + kd * g.dilation[0] - g.lo[0];
          if (id < 0 || id >= g.in[0]) continue;
          for (int64_t kh = 0; kh < g.kernel[1]; ++kh) {
            const int64_t ih = h * g.stride[1] + kh * g.dilation[1] - g.lo[1];
            if (ih < 0 || ih >= g.in[1]) continue;
            for (int64_t kw = 0; kw < g.kernel[2]; ++kw) {
              const T* tap = w + ((kd * g.kernel[1] + kh) * g.kernel[2] + kw) * cg * g.o;
              for (int64_t ow = 0; ow < g.out[2]; ++ow) {
                const int64_t iw = ow * g.stride[2] + kw * g.dilation[2] - g.lo[2];
                if (iw < 0 || iw >= g.in[2]) continue;
                const T* from = x + (((n * g.in[0] + id) * g.in[1] + ih) * g.in[2] + iw) * g.c;
                T* to = row + ow * g.o;
                if (cg == 1 && og == 1) {
                  for (int64_t o = 0; o < g.o; ++o) to[o] = fma(to[o], from[o], tap[o]);
                  continue;
                }
                for (int64_t c = 0; c < g.c; ++c) {
                  const T v = from[c];
                  const T* weights = tap + c % cg * g.o + c / cg * og;
                  T* sums = to + c / cg * og;
                  for (int64_t o = 0; o < og; ++o) sums[o] = fma(sums[o], v, weights[o]);
                }
              }
            }
          }
        }
        apply_epilogue(g.epilogue, g.dtype, row, bias, add == nullptr ? nullptr : add + r * g.out[2] * g.o, g.out[2], g.o, g.o);
      }
    });
  }

  // The output position whose tap k reads input position i, or -1.
  int64_t source(int axis, int64_t i, int64_t k) const {
    const size_t a = static_cast<size_t>(axis);
    const int64_t at = i + g_.lo[a] - k * g_.dilation[a];
    if (at < 0 || at % g_.stride[a] != 0 || at / g_.stride[a] >= g_.out[a]) return -1;
    return at / g_.stride[a];
  }

  void backward_input(const T* dy, const T* w, T* dx) const {
    const ConvGeometry& g = g_;
    const int64_t cg = g.group_in(), og = g.group_out(), rows = g.n * g.in[0] * g.in[1];
    parallel_for(rows, grain(rows), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t h = r % g.in[1], d = r / g.in[1] % g.in[0], n = r / g.in[1] / g.in[0];
        T* row = dx + r * g.in[2] * g.c;
        std::fill(row, row + g.in[2] * g.c, T{});
        for (int64_t kd = 0; kd < g.kernel[0]; ++kd) {
          const int64_t od = source(0, d, kd);
          if (od < 0) continue;
          for (int64_t kh = 0; kh < g.kernel[1]; ++kh) {
            const int64_t oh = source(1, h, kh);
            if (oh < 0) continue;
            for (int64_t kw = 0; kw < g.kernel[2]; ++kw) {
              const T* tap = w + ((kd * g.kernel[1] + kh) * g.kernel[2] + kw) * cg * g.o;
              for (int64_t iw = 0; iw < g.in[2]; ++iw) {
                const int64_t ow = source(2, iw, kw);
                if (ow < 0) continue;
                const T* from = dy + (((n * g.out[0] + od) * g.out[1] + oh) * g.out[2] + ow) * g.o;
                T* to = row + iw * g.c;
                if (cg == 1 && og == 1) {
                  for (int64_t c = 0; c < g.c; ++c) to[c] = fma(to[c], from[c], tap[c]);
                  continue;
                }
                for (int64_t c = 0; c < g.c; ++c) {
                  const T* weights = tap + c % cg * g.o + c / cg * og;
                  const T* grads = from + c / cg * og;
                  T sum = to[c];
                  for (int64_t o = 0; o < og; ++o) sum = fma(sum, grads[o], weights[o]);
                  to[c] = sum;
                }
              }
            }
          }
        }
      }
    });
  }

  // One tap and channel of a group at a time: each sum runs over all images and pixels in order, whoever computes it.
  void backward_filter(const T* x, const T* dy, T* dw) const {
    const ConvGeometry& g = g_;
    const int64_t cg = g.group_in(), og = g.group_out(), items = g.taps() * cg;
    parallel_for(items, grain(items), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t c0 = i % cg, kw = i / cg % g.kernel[2], kh = i / cg / g.kernel[2] % g.kernel[1],
                      kd = i / cg / g.kernel[2] / g.kernel[1];
        T* to = dw + i * g.o;
        std::fill(to, to + g.o, T{});
        for (int64_t n = 0; n < g.n; ++n) {
          for (int64_t d = 0; d < g.out[0]; ++d) {
            const int64_t id = d * g.stride[0] + kd * g.dilation[0] - g.lo[0];
            if (id < 0 || id >= g.in[0]) continue;
            for (int64_t h = 0; h < g.out[1]; ++h) {
              const int64_t ih = h * g.stride[1] + kh * g.dilation[1] - g.lo[1];
              if (ih < 0 || ih >= g.in[1]) continue;
              for (int64_t ow = 0; ow < g.out[2]; ++ow) {
                const int64_t iw = ow * g.stride[2] + kw * g.dilation[2] - g.lo[2];
                if (iw < 0 || iw >= g.in[2]) continue;
                const T* from = x + (((n * g.in[0] + id) * g.in[1] + ih) * g.in[2] + iw) * g.c + c0;
                const T* grads = dy + (((n * g.out[0] + d) * g.out[1] + h) * g.out[2] + ow) * g.o;
                if (cg == 1 && og == 1) {
                  for (int64_t o = 0; o < g.o; ++o) to[o] = fma(to[o], from[o], grads[o]);
                  continue;
                }
                for (int64_t q = 0; q < g.groups; ++q) {
                  const T v = from[q * cg];
                  for (int64_t o = q * og; o < (q + 1) * og; ++o) to[o] = fma(to[o], v, grads[o]);
                }
              }
            }
          }
        }
      }
    });
  }

  ConvGeometry g_;
  ConvPass pass_;
};

}  // namespace

engine::KernelPtr make_loop_conv(const ConvGeometry& g, ConvPass pass) {
  return visit_dtype(g.dtype, [&](auto t) -> engine::KernelPtr {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) return nullptr;
    else return std::make_unique<LoopConv<T>>(g, pass);
  });
}

}  // namespace keras::cpu
