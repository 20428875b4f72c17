// What lives here: one inside each for window, global and adaptive pooling.
#include <keras/layers/pooling/pooling.h>
#include <keras/ops.h>

#include <fmt/format.h>
#include <algorithm>

#include "layers/layer_impl.h"
#include "layers/read_sizes.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

std::string check_format(const LayerImpl& l, const std::optional<std::string>& given) {
  std::string f = given.value_or(config::image_data_format());
  std::vector<std::string> known = {"channels_last", "channels_first"};
  if (std::find(known.begin(), known.end(), f) == known.end())
    throw ValueError(ErrorText{.what = "data_format is unknown" + did_you_mean(f, known),
                               .where = fmt::format("layer \"{}\" ({})", l.name(), l.class_name()),
                               .expected = "channels_last or channels_first",
                               .received = f}
                         .str());
  return f;
}
std::string axis_text(int64_t n) { return n < 0 ? "None" : std::to_string(n); }

struct PoolingImpl : LayerImpl {
  int spatial;
  bool max;
  std::vector<int64_t> pool_size, strides;
  std::string padding, data_format;
  PoolingImpl(int rank, bool m, const Sizes& size, const PoolingOptions& o) : spatial(rank), max(m), padding(o.padding) {
    init_common(fmt::format("{}Pooling{}D", m ? "Max" : "Average", rank), o);
    symbolic_in_compute_dtype_ = true;
    size_t n = static_cast<size_t>(rank);
    pool_size = size.expand(n, "pool_size");
    strides = o.strides ? o.strides->expand(n, "strides") : pool_size;
    data_format = check_format(*this, o.data_format);
    auto fail = [&](const std::string& what, const std::string& expected, const std::string& received) {
      throw ValueError(ErrorText{.what = class_name_ + ": " + what,
                                 .where = fmt::format("layer \"{}\" ({})", name_, class_name_),
                                 .expected = expected,
                                 .received = received}
                           .str());
    };
    for (int64_t d : pool_size)
      if (d < 1) fail("pool_size must be positive", "sizes >= 1", Shape(pool_size).str());
    for (int64_t d : strides)
      if (d < 1) fail("strides must be positive", "strides >= 1", Shape(strides).str());
    std::transform(padding.begin(), padding.end(), padding.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (padding != "valid" && padding != "same")
      fail("padding is unknown" + did_you_mean(padding, {"valid", "same"}), "valid or same", padding);
    input_spec_ = {{.ndim = rank + 2}};
    built_ = true;
  }
  Tensors call(const Call& c) override {
    if (padding == "valid")
      for (int i = 0; i < spatial; ++i) {
        int64_t n = c.input().shape()[data_format == "channels_last" ? i + 1 : i + 2];
        if (n >= 0 && n < pool_size[static_cast<size_t>(i)])
          throw ValueError(ErrorText{.what = class_name_ + ": the input is smaller than the window",
                                     .where = fmt::format("layer \"{}\" ({})", name_, class_name_),
                                     .expected = fmt::format("at least {} on spatial axis {}", pool_size[static_cast<size_t>(i)], i),
                                     .received = c.input().shape().str()}
                               .str());
      }
    return {max ? ops::max_pool(c.input(), pool_size, strides, padding, data_format)
                : ops::average_pool(c.input(), pool_size, strides, padding, data_format)};
  }
  Dict own_config() const override {
    return {{"pool_size", Value(pool_size)}, {"padding", padding}, {"strides", Value(strides)}, {"data_format", data_format}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e{{}, {}, {"pooling has no parameters"}};
    bool last = data_format == "channels_last";
    for (int a = 0; a < in[0].rank(); ++a) {
      int i = last ? a - 1 : a - 2;
      if (a == 0) e.axes.push_back("batch, as it came in");
      else if (i < 0 || i >= spatial) e.axes.push_back("channels, each pooled by itself");
      else {
        size_t k = static_cast<size_t>(i);
        e.axes.push_back(padding == "valid"
                             ? fmt::format("({} - {}) / {} + 1 = {}: windows of {}, stride {}, valid padding", axis_text(in[0][a]),
                                           pool_size[k], strides[k], axis_text(out[0][a]), pool_size[k], strides[k])
                             : fmt::format("{} / {} rounded up = {}: stride {}, same padding", axis_text(in[0][a]), strides[k],
                                           axis_text(out[0][a]), strides[k]));
      }
    }
    return e;
  }
};

struct GlobalPoolingImpl : LayerImpl {
  int spatial;
  bool max, keepdims;
  std::string data_format;
  GlobalPoolingImpl(int rank, bool m, const GlobalPoolingOptions& o) : spatial(rank), max(m), keepdims(o.keepdims) {
    init_common(fmt::format("Global{}Pooling{}D", m ? "Max" : "Average", rank), o);
    symbolic_in_compute_dtype_ = true;
    data_format = check_format(*this, o.data_format);
    input_spec_ = {{.ndim = rank + 2}};
    supports_masking_ = !m && rank == 1;
    built_ = true;
  }
  bool uses_mask() const override { return supports_masking_; }
  Tensors call(const Call& c) override {
    prims::Ints axes;
    for (int i = 0; i < spatial; ++i) axes.push_back(data_format == "channels_last" ? i + 1 : i + 2);
    const Tensor& x = c.input();
    if (max) return {prims::reduce(prims::reduce_max_prim, x, axes, keepdims)};
    Tensor mask = c.tensor(1, "mask");
    if (!mask.defined()) mask = c.mask();
    if (supports_masking_ && mask.defined()) {
      Tensor m = prims::cast(ops::cast(mask, DType::Bool), x.dtype());
      m = prims::reshape(m, data_format == "channels_last" ? Shape{m.shape()[0], m.shape()[1], 1} : Shape{m.shape()[0], 1, m.shape()[1]});
      Tensor kept = ops::where(ops::cast(m, DType::Bool), x, prims::scalar(x, 0));
      Tensor sum = prims::reduce_sum(kept, axes, keepdims), count = prims::reduce_sum(m, axes, keepdims);
      return {prims::div(sum, count)};
    }
    Shape s = x.shape();
    int64_t n = 1;
    for (int64_t a : axes) n *= std::max<int64_t>(s[static_cast<int>(a)], 1);
    Tensor sum = prims::reduce_sum(x, axes, keepdims);
    return {prims::div(sum, scalar_like(sum, sum.dtype(), static_cast<double>(n)))};
  }
  Tensors compute_mask(const Call&, size_t) override { return {}; }
  Dict own_config() const override { return {{"data_format", data_format}, {"keepdims", keepdims}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e{{}, {}, {"pooling has no parameters"}};
    for (int a = 0; a < out[0].rank(); ++a)
      e.axes.push_back(a == 0 ? "batch, as it came in"
                       : out[0][a] == 1 && keepdims
                           ? "1: kept where an axis was pooled away (keepdims)"
                           : fmt::format("channels: one {} over all positions of {}", max ? "maximum" : "mean", in[0].str()));
    return e;
  }
};

struct AdaptivePoolingImpl : LayerImpl {
  int spatial;
  bool max;
  std::vector<int64_t> output_size;
  std::string data_format;
  AdaptivePoolingImpl(int rank, bool m, const Sizes& size, const AdaptivePoolingOptions& o) : spatial(rank), max(m) {
    init_common(fmt::format("Adaptive{}Pooling{}D", m ? "Max" : "Average", rank), o);
    symbolic_in_compute_dtype_ = true;
    output_size = size.expand(static_cast<size_t>(rank), "output_size");
    for (int64_t d : output_size)
      if (d < 1)
        throw ValueError(ErrorText{.what = class_name_ + ": output_size must be positive", .received = Shape(output_size).str()}.str());
    data_format = check_format(*this, o.data_format);
    input_spec_ = {{.ndim = rank + 2}};
  }
  Tensors call(const Call& c) override {
    return {max ? ops::adaptive_max_pool(c.input(), output_size, data_format)
                : ops::adaptive_average_pool(c.input(), output_size, data_format)};
  }
  Dict own_config() const override { return {{"output_size", Value(output_size)}, {"data_format", data_format}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e{{}, {}, {"pooling has no parameters"}};
    bool last = data_format == "channels_last";
    for (int a = 0; a < in[0].rank(); ++a) {
      int i = last ? a - 1 : a - 2;
      if (a == 0) e.axes.push_back("batch, as it came in");
      else if (i < 0 || i >= spatial) e.axes.push_back("channels, each pooled by itself");
      else e.axes.push_back(windows(in[0][a], output_size[static_cast<size_t>(i)]));
    }
    return e;
  }
  /// Window k of m over n positions goes from floor(k n / m) to ceil((k + 1) n / m).
  std::string windows(int64_t n, int64_t m) const {
    std::string size = fmt::format("output_size={}: ", m), one = max ? "maximum" : "mean";
    if (n < 0) return size + fmt::format("one {} for each of {} windows, whatever the size of the input", one, m);
    int64_t least = n, most = 0, covered = 0;
    for (int64_t k = 0; k < m; ++k) {
      int64_t width = ((k + 1) * n + m - 1) / m - k * n / m;
      least = std::min(least, width), most = std::max(most, width), covered += width;
    }
    std::string widths = least == most ? std::to_string(most) : fmt::format("{} or {}", least, most);
    return size + fmt::format("the {} positions are divided into {} windows of {}{}, with one {} each", n, m, widths, covered > n ? ", which overlap" : "", one);
  }
};


}  // namespace

template <int R, bool M> Pooling<R, M>::Pooling(const Sizes& size, const PoolingOptions& o)
    : Layer(make_impl<PoolingImpl>(R, M, size, o)) {}
template <int R, bool M> Layer Pooling<R, M>::from_config(const Dict& c) {
  auto o = options_from<PoolingOptions>(c, "Pooling");
  if (const Value* v = c.find("strides"); v && !v->is_null()) o.strides = read_sizes(*v);
  return Pooling(c.contains("pool_size") ? read_sizes(c.at("pool_size")) : Sizes(2), o);
}
template <int R, bool M> GlobalPooling<R, M>::GlobalPooling(const GlobalPoolingOptions& o) : Layer(make_impl<GlobalPoolingImpl>(R, M, o)) {}
template <int R, bool M> Layer GlobalPooling<R, M>::from_config(const Dict& c) {
  return GlobalPooling(options_from<GlobalPoolingOptions>(c, "GlobalPooling"));
}
template <int R, bool M> AdaptivePooling<R, M>::AdaptivePooling(const Sizes& size, const AdaptivePoolingOptions& o)
    : Layer(make_impl<AdaptivePoolingImpl>(R, M, size, o)) {}
template <int R, bool M> Layer AdaptivePooling<R, M>::from_config(const Dict& c) {
  return AdaptivePooling(read_sizes(c.at("output_size")), options_from<AdaptivePoolingOptions>(c, "AdaptivePooling"));
}

#define X(rank, max)                       \
  template class Pooling<rank, max>;       \
  template class GlobalPooling<rank, max>; \
  template class AdaptivePooling<rank, max>;
KERAS_POOLINGS(X)
#undef X

}  // namespace keras::layers
