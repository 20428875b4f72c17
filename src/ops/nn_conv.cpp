// What lives here: keras.ops' convolutions, pools and sliding blocks. The primitives are channels last; the other format is transposed
// around them.
#include <algorithm>

#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

namespace {
/// Geometry of one call: sizes per spatial axis and where the channels stand.
struct Frame {
  const char* where;
  bool last;
  int spatial;
};
Frame frame_of(const Tensor& x, std::string_view data_format, const char* where) {
  if (x.rank() < 3) shape_error(where, "the inputs have no spatial axis", "(batch, spatial…, channels), rank 3 or more", x.shape().str());
  return {where, is_channels_last(data_format, where), x.rank() - 2};
}
Tensor channels_last(const Tensor& x, bool last) { return last ? x : move_axis(x, 1, x.rank() - 1); }
Tensor from_channels_last(const Tensor& x, bool last) { return last ? x : move_axis(x, x.rank() - 1, 1); }

bool is_same(std::string_view padding, const char* where) {
  if (padding == "same" || padding == "SAME") return true;
  if (padding == "valid" || padding == "VALID") return false;
  unknown_option(where, "padding", padding, {"valid", "same"});
}
/// As XLA: the total is what the last window lacks, the smaller half comes first.
void same_padding(int64_t n, int64_t window, int64_t stride, int64_t* lo, int64_t* hi) {
  int64_t total = n < 0 ? window - 1 : std::max<int64_t>(0, (ceil_div(n, stride) - 1) * stride + window - n);
  *lo = total / 2, *hi = total - total / 2;
}
p::ConvSpec spec_of(const Tensor& x, const Tensor& kernel, const Frame& f, const Sizes& strides, const Sizes& dilations, bool same) {
  size_t n = static_cast<size_t>(f.spatial);
  p::ConvSpec s{strides.expand(n, "strides"), dilations.expand(n, "dilation_rate"), Ints(n, 0), Ints(n, 0), 1};
  for (size_t i = 0; i < n; ++i) {
    if (s.strides[i] < 1 || s.dilations[i] < 1)
      throw ValueError(ErrorText{.what = "strides and dilation rates must be positive",
                                 .where = f.where,
                                 .received = std::to_string(std::min(s.strides[i], s.dilations[i]))}
                           .str());
    int axis = static_cast<int>(i);
    if (same) same_padding(x.shape()[axis + 1], (kernel.shape()[axis] - 1) * s.dilations[i] + 1, s.strides[i], &s.lo[i], &s.hi[i]);
  }
  return s;
}
void check_rank(const Tensor& x, const Tensor& kernel, const char* where, const char* layout) {
  if (kernel.rank() != x.rank())
    shape_error(where, "the kernel does not fit the inputs", std::string("a kernel ") + layout + " of rank " + std::to_string(x.rank()),
                kernel.shape().str() + " for inputs " + x.shape().str());
}
/// `x` is channels last.
Tensor convolve(const Tensor& x, const Tensor& kernel, const Frame& f, const Sizes& strides, const Sizes& dilations, bool same) {
  int64_t channels = x.shape().back(), in = kernel.shape()[-2];
  if (channels >= 0 && in > 0 && channels % in != 0)
    shape_error(f.where, "the number of input channels must be evenly divisible by the kernel's",
                "a multiple of " + std::to_string(in) + " channels", x.shape().str());
  p::ConvSpec spec = spec_of(x, kernel, f, strides, dilations, same);
  spec.groups = channels < 0 || in == 0 ? 1 : channels / in;
  if (spec.groups > 1 && kernel.shape().back() % spec.groups != 0)
    shape_error(f.where, "the filters can't be split into groups", "a multiple of " + std::to_string(spec.groups) + " filters",
                kernel.shape().str());
  bool known = true;
  for (int i = 0; i < f.spatial; ++i) known = known && kernel.shape()[i] >= 0;
  if (!known) {
    Shape out{x.shape()[0]};
    for (int i = 0; i < f.spatial; ++i) out.push_back(same ? ceil_div(x.shape()[i + 1], spec.strides[static_cast<size_t>(i)]) : None);
    out.push_back(kernel.shape().back());
    return shape_only(x.dtype(), out);
  }
  Tensor y = p::conv(x, kernel, spec);
  if (y.numel() == 0 && x.numel() != 0)
    shape_error(f.where, "the convolution has an empty output", "inputs at least as large as the (dilated) kernel " + kernel.shape().str(),
                x.shape().str());
  return y;
}
auto conv_options(const Sizes& strides, std::string_view padding, std::string_view data_format, const Sizes& dilation_rate) {
  return [&strides, padding, data_format, &dilation_rate] {
    return ArgDict{kw("strides", strides),
                   kw("padding", padding),
                   {"data_format", data_format.empty() ? Arg(Value()) : Arg(Value(data_format))},
                   kw("dilation_rate", dilation_rate)};
  };
}
}  // namespace

Tensor conv(const Tensor& inputs, const Tensor& kernel, const Sizes& strides, std::string_view padding, std::string_view data_format,
            const Sizes& dilation_rate) {
  bool same = is_same(padding, "conv");
  Frame f = frame_of(inputs, data_format, "conv");
  return frame(
      "Conv", conv_options(strides, padding, data_format, dilation_rate),
      [=](const Tensor& x, const Tensor& k) {
        check_rank(x, k, "conv", "(spatial…, channels / groups, filters)");
        return from_channels_last(convolve(channels_last(as(x, k.dtype()), f.last), k, f, strides, dilation_rate, same), f.last);
      },
      inputs, kernel);
}
static Tensor depthwise(const Tensor& x, const Tensor& k, const Frame& f, const Sizes& strides, const Sizes& dilations,
                        bool same) {  // channels last
  int64_t c = k.shape()[-2];
  if (x.shape().back() >= 0 && x.shape().back() != c)
    shape_error(f.where, "the kernel has another number of channels",
                "a kernel (spatial…, " + std::to_string(x.shape().back()) + ", multiplier)", k.shape().str());
  Shape s = k.shape();
  s[-2] = 1, s[-1] = c * k.shape()[-1];
  return convolve(x, p::reshape(k, s), f, strides, dilations, same);
}
Tensor depthwise_conv(const Tensor& inputs, const Tensor& kernel, const Sizes& strides, std::string_view padding,
                      std::string_view data_format, const Sizes& dilation_rate) {
  bool same = is_same(padding, "depthwise_conv");
  Frame f = frame_of(inputs, data_format, "depthwise_conv");
  return frame(
      "DepthwiseConv", conv_options(strides, padding, data_format, dilation_rate),
      [=](const Tensor& x, const Tensor& k) {
        check_rank(x, k, "depthwise_conv", "(spatial…, channels, multiplier)");
        auto [a, b] = promoted(x, k);
        return from_channels_last(depthwise(channels_last(a, f.last), b, f, strides, dilation_rate, same), f.last);
      },
      inputs, kernel);
}
Tensor separable_conv(const Tensor& inputs, const Tensor& depthwise_kernel, const Tensor& pointwise_kernel, const Sizes& strides,
                      std::string_view padding, std::string_view data_format, const Sizes& dilation_rate) {
  bool same = is_same(padding, "separable_conv");
  Frame f = frame_of(inputs, data_format, "separable_conv");
  return frame(
      "SeparableConv", conv_options(strides, padding, data_format, dilation_rate),
      [=](const Tensor& x, const Tensor& d, const Tensor& q) {
        check_rank(x, d, "separable_conv", "(spatial…, channels, multiplier)");
        check_rank(x, q, "separable_conv", "(1…, channels × multiplier, filters)");
        auto [a, b] = promoted(x, d);
        Tensor y = depthwise(channels_last(a, f.last), b, f, strides, dilation_rate, same);
        return from_channels_last(convolve(as(y, q.dtype()), q, f, 1, 1, false), f.last);
      },
      inputs, depthwise_kernel, pointwise_kernel);
}

Tensor conv_transpose(const Tensor& inputs, const Tensor& kernel, const Sizes& strides, std::string_view padding,
                      const std::optional<Sizes>& output_padding, std::string_view data_format, const Sizes& dilation_rate) {
  bool same = is_same(padding, "conv_transpose");
  Frame f = frame_of(inputs, data_format, "conv_transpose");
  return frame(
      "ConvTranspose",
      [&] {
        ArgDict d = conv_options(strides, padding, data_format, dilation_rate)();
        d.push_back({"output_padding", output_padding ? Arg(to_value(*output_padding)) : Arg(Value())});
        return d;
      },
      [=](const Tensor& x0, const Tensor& k0) {
        check_rank(x0, k0, "conv_transpose", "(spatial…, filters, channels)");
        auto [x1, k] = promoted(x0, k0);
        Tensor x = channels_last(x1, f.last);
        if (x.shape().back() >= 0 && x.shape().back() != k.shape().back())
          shape_error("conv_transpose", "the kernel has another number of channels",
                      "a kernel (spatial…, filters, " + std::to_string(x.shape().back()) + ")", k.shape().str());
        size_t n = static_cast<size_t>(f.spatial);
        p::ConvSpec spec{strides.expand(n, "strides"), dilation_rate.expand(n, "dilation_rate"), Ints(n, 0), Ints(n, 0), 1};
        Ints extra = output_padding ? output_padding->expand(n, "output_padding") : Ints(n, 0);
        Shape out{x.shape()[0]};
        for (size_t i = 0; i < n; ++i) {
          // Keras' rules, as padding of the stride-dilated input.
          int64_t window = (k.shape()[static_cast<int>(i)] - 1) * spec.dilations[i] + 1, s = spec.strides[i], left, right;
          if (!same) {
            int64_t more = output_padding ? extra[i] : std::max(window, s) - window;
            left = window - 1, right = window - 1 + more;
          } else {
            int64_t total = output_padding ? window + window % 2 - 2 + extra[i] : s + window - 2;
            left = std::min(total / 2 + total % 2, window - 1), right = total - left;
          }
          // The convolution whose input gradient this is; rows behind its last window stay zero.
          spec.lo[i] = window - 1 - left, spec.hi[i] = window - 1 - right;
          int64_t size = x.shape()[static_cast<int>(i) + 1];
          if (size >= 0) size = (size - 1) * s + 1 + left + right - window + 1;
          out.push_back(size);
        }
        out.push_back(k.shape()[-2]);
        return from_channels_last(p::conv_backward_input(x, k, spec, out), f.last);
      },
      inputs, kernel);
}

// ---- pools
static Tensor pooled(const char* cls, const char* where, bool max, const Tensor& inputs, const Sizes& pool_size, const Sizes& strides,
                     std::string_view padding, std::string_view data_format) {
  bool same = is_same(padding, where);
  Frame f = frame_of(inputs, data_format, where);
  return frame(
      cls,
      [&] {
        return ArgDict{kw("pool_size", pool_size),
                       kw("strides", strides),
                       kw("padding", padding),
                       {"data_format", data_format.empty() ? Arg(Value()) : Arg(Value(data_format))}};
      },
      [=](const Tensor& a) {
        Tensor x = channels_last(a, f.last);
        if (!max) x = as_float(x);
        size_t n = static_cast<size_t>(f.spatial);
        p::PoolSpec s{pool_size.expand(n, "pool_size"), {}, Ints(n, 0), Ints(n, 0)};
        s.strides = strides.empty() ? s.window : strides.expand(n, "strides");
        for (size_t i = 0; i < n; ++i) {
          if (s.window[i] < 1 || s.strides[i] < 1)
            throw ValueError(ErrorText{.what = "pool sizes and strides must be positive",
                                       .where = where,
                                       .received = std::to_string(std::min(s.window[i], s.strides[i]))}
                                 .str());
          if (same) same_padding(x.shape()[static_cast<int>(i) + 1], s.window[i], s.strides[i], &s.lo[i], &s.hi[i]);
        }
        Tensor y = p::pool(max, x, s);
        if (y.numel() == 0 && x.numel() != 0)
          shape_error(where, "the pool has an empty output", "inputs at least as large as the pool " + Shape(s.window).str(),
                      a.shape().str());
        return from_channels_last(y, f.last);
      },
      inputs);
}
Tensor max_pool(const Tensor& inputs, const Sizes& pool_size, const Sizes& strides, std::string_view padding,
                std::string_view data_format) {
  return pooled("MaxPool", "max_pool", true, inputs, pool_size, strides, padding, data_format);
}
Tensor average_pool(const Tensor& inputs, const Sizes& pool_size, const Sizes& strides, std::string_view padding,
                    std::string_view data_format) {
  return pooled("AveragePool", "average_pool", false, inputs, pool_size, strides, padding, data_format);
}

static Tensor adaptive(const char* cls, const char* where, bool max, const Tensor& inputs, const Sizes& output_size,
                       std::string_view data_format) {
  Frame f = frame_of(inputs, data_format, where);
  return frame(
      cls,
      [&] {
        return ArgDict{kw("output_size", output_size), {"data_format", data_format.empty() ? Arg(Value()) : Arg(Value(data_format))}};
      },
      [=](const Tensor& a) {
        Tensor t = max ? a : as_float(a);
        Ints sizes = output_size.expand(static_cast<size_t>(f.spatial), "output_size");
        for (int i = 0; i < f.spatial; ++i) {
          int axis = f.last ? i + 1 : i + 2;
          int64_t n = t.shape()[axis], m = sizes[static_cast<size_t>(i)];
          Shape s = t.shape();
          s[axis] = m;
          if (n < 0) {
            t = shape_only(t.dtype(), s);
            continue;
          }
          auto from = [&](int64_t k) { return k * n / m; };
          auto to = [&](int64_t k) { return ((k + 1) * n + m - 1) / m; };
          if (max) {  // windows as gathered rows, short ones repeat their last element
            int64_t width = 0;
            for (int64_t k = 0; k < m; ++k) width = std::max(width, to(k) - from(k));
            Ints index;
            for (int64_t k = 0; k < m; ++k)
              for (int64_t j = 0; j < width; ++j) index.push_back(std::min(from(k) + j, to(k) - 1));
            t = p::reduce(p::reduce_max_prim, p::gather(t, int_tensor(index, Shape{m, width}), axis), Ints{axis + 1});
          } else {  // means as a product with a matrix of weights
            Tensor weights = Tensor::empty(DType::Float64, Shape{n, m});
            double* w = weights.mutable_data<double>();
            std::fill(w, w + n * m, 0.0);
            for (int64_t k = 0; k < m; ++k)
              for (int64_t j = from(k); j < to(k); ++j) w[j * m + k] = 1.0 / static_cast<double>(to(k) - from(k));
            t = move_axis(p::dot(t, weights.astype(t.dtype()), Ints{axis}, Ints{0}), t.rank() - 1, axis);
          }
        }
        return t;
      },
      inputs);
}
Tensor adaptive_average_pool(const Tensor& inputs, const Sizes& output_size, std::string_view data_format) {
  return adaptive("AdaptiveAveragePool", "adaptive_average_pool", false, inputs, output_size, data_format);
}
Tensor adaptive_max_pool(const Tensor& inputs, const Sizes& output_size, std::string_view data_format) {
  return adaptive("AdaptiveMaxPool", "adaptive_max_pool", true, inputs, output_size, data_format);
}

// ---- sliding blocks
namespace {
struct Blocks {
  Ints k, d, p, s;
};
Blocks blocks_of(const Sizes& kernel_size, const Sizes& dilation, const Sizes& padding, const Sizes& stride) {
  return {kernel_size.expand(2, "kernel_size"), dilation.expand(2, "dilation"), padding.expand(2, "padding"), stride.expand(2, "stride")};
}
int64_t count_blocks(int64_t n, const Blocks& b, size_t i) {
  return n < 0 ? None : std::max<int64_t>(0, (n + 2 * b.p[i] - b.d[i] * (b.k[i] - 1) - 1) / b.s[i] + 1);
}
/// Positions along one axis: one row per kernel element, one column per block.
Tensor block_places(int64_t count, const Blocks& b, size_t i) {
  Ints at;
  for (int64_t j = 0; j < b.k[i]; ++j)
    for (int64_t o = 0; o < count; ++o) at.push_back(o * b.s[i] + j * b.d[i]);
  return int_tensor(at, Shape{b.k[i], count});
}
auto block_options(const Sizes& kernel_size, const Sizes& dilation, const Sizes& padding, const Sizes& stride) {
  return [&] { return ArgDict{kw("kernel_size", kernel_size), kw("dilation", dilation), kw("padding", padding), kw("stride", stride)}; };
}
}  // namespace
Tensor unfold(const Tensor& x, const Sizes& kernel_size, const Sizes& dilation, const Sizes& padding, const Sizes& stride) {
  if (x.rank() != 4) shape_error("unfold", "images of another rank", "(batch, channels, height, width)", x.shape().str());
  Blocks b = blocks_of(kernel_size, dilation, padding, stride);
  return frame(
      "Unfold", block_options(kernel_size, dilation, padding, stride),
      [b](const Tensor& a) {
        int64_t N = a.shape()[0], C = a.shape()[1], H = count_blocks(a.shape()[2], b, 0), W = count_blocks(a.shape()[3], b, 1);
        Shape out{N, times(C, b.k[0] * b.k[1]), times(H, W)};
        if (H < 0 || W < 0 || C < 0) return shape_only(a.dtype(), out);
        Tensor t = p::pad(a, num(a, 0), Ints{0, 0, b.p[0], b.p[1]}, Ints{0, 0, b.p[0], b.p[1]}, Ints(4, 0));
        t = p::gather(t, block_places(H, b, 0), 2);  // (N, C, kh, H, w)
        t = p::gather(t, block_places(W, b, 1), 4);  // (N, C, kh, H, kw, W)
        return p::reshape(p::transpose(t, Ints{0, 1, 2, 4, 3, 5}), out);
      },
      x);
}
Tensor fold(const Tensor& x, const Sizes& output_size, const Sizes& kernel_size, const Sizes& dilation, const Sizes& padding,
            const Sizes& stride) {
  if (x.rank() != 3) shape_error("fold", "columns of another rank", "(batch, channels × kernel, blocks)", x.shape().str());
  Blocks b = blocks_of(kernel_size, dilation, padding, stride);
  Ints size = output_size.expand(2, "output_size");
  return frame(
      "Fold",
      [&] {
        ArgDict d{kw("output_size", output_size)};
        ArgDict rest = block_options(kernel_size, dilation, padding, stride)();
        d.insert(d.end(), rest.begin(), rest.end());
        return d;
      },
      [b, size](const Tensor& a) {
        int64_t N = a.shape()[0], CK = a.shape()[1], k = b.k[0] * b.k[1], H = count_blocks(size[0], b, 0), W = count_blocks(size[1], b, 1);
        if (abstract_trace() && CK >= 0 && CK % k)
          shape_error("fold", "the columns do not hold whole blocks", "a multiple of " + std::to_string(k) + " on axis 1", a.shape().str());
        if (abstract_trace()) return shape_only(a.dtype(), Shape{N, CK < 0 ? None : CK / k, size[0], size[1]});
        // With numbers it is the reshape of Keras' backend that refuses, with a TypeError.
        auto refuse = [&](const char* what, const std::string& expected) {
          throw TypeError(ErrorText{.what = what, .where = "fold", .expected = expected, .received = a.shape().str()}.str());
        };
        if (CK >= 0 && CK % k) refuse("the columns do not hold whole blocks", "a multiple of " + std::to_string(k) + " on axis 1");
        if (a.shape()[2] >= 0 && a.shape()[2] != H * W) refuse("the number of blocks does not fit", std::to_string(H * W) + " blocks");
        int64_t C = CK < 0 ? None : CK / k;
        Tensor t = p::transpose(p::reshape(a, Shape{N, C, b.k[0], b.k[1], H, W}), Ints{0, 1, 2, 4, 3, 5});
        t = p::scatter_add(block_places(W, b, 1), t, 4, size[1] + 2 * b.p[1]);
        t = p::scatter_add(block_places(H, b, 0), t, 2, size[0] + 2 * b.p[0]);
        return p::slice(t, Ints{0, 0, b.p[0], b.p[1]}, Ints{p::kToEnd, p::kToEnd, b.p[0] + size[0], b.p[1] + size[1]}, Ints(4, 1));
      },
      x);
}

}  // namespace keras::ops
