// What lives here: one inside for all convolutions, told apart by mode and rank.
#include <keras/layers/convolutional/conv.h>
#include <keras/ops/nn.h>

#include <fmt/format.h>
#include <algorithm>

#include "layers/core/lora.h"
#include "layers/layer_impl.h"
#include "layers/read_sizes.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

enum class Mode { Plain, Depthwise, Separable, Transpose };

template <class Options> struct ConvImpl : LayerImpl, LoraHost {
  Mode mode;
  int spatial;
  int64_t filters = 0, multiplier = 1, groups = 1;
  std::vector<int64_t> kernel_size, strides, dilations;
  std::optional<std::vector<int64_t>> output_padding;
  std::string data_format;
  Options o;
  Variable kernel, pointwise, bias;

  void fail(const std::string& what, const std::string& expected, const std::string& received) const {
    throw ValueError(ErrorText{.what = class_name_ + ": " + what, .where = where(), .expected = expected, .received = received}.str());
  }

  ConvImpl(Mode m, int rank, int64_t f, const Sizes& size, const Options& options) : mode(m), spatial(rank), filters(f), o(options) {
    const char* base = m == Mode::Depthwise ? "DepthwiseConv" : m == Mode::Separable ? "SeparableConv" : "Conv";
    init_common(fmt::format("{}{}D{}", base, rank, m == Mode::Transpose ? "Transpose" : ""), o);
    size_t n = static_cast<size_t>(rank);
    kernel_size = size.expand(n, "kernel_size"), strides = o.strides.expand(n, "strides"),
    dilations = o.dilation_rate.expand(n, "dilation_rate");
    if constexpr (requires { o.output_padding; })
      if (o.output_padding) output_padding = o.output_padding->expand(n, "output_padding");
    if constexpr (requires { o.groups; }) groups = o.groups;
    if constexpr (requires { o.depth_multiplier; }) multiplier = o.depth_multiplier;
    data_format = o.data_format.value_or(config::image_data_format());
    auto positive = [&](const std::vector<int64_t>& v) { return std::all_of(v.begin(), v.end(), [](int64_t x) { return x > 0; }); };
    if (m != Mode::Depthwise && filters <= 0) fail("filters must be positive", "filters >= 1", std::to_string(filters));
    if (multiplier <= 0) fail("depth_multiplier must be positive", "depth_multiplier >= 1", std::to_string(multiplier));
    if (groups <= 0) fail("groups must be positive", "groups >= 1", std::to_string(groups));
    if (m == Mode::Plain && filters % groups)
      fail("filters must be a multiple of groups", fmt::format("a multiple of {}", groups), std::to_string(filters));
    if (!positive(kernel_size)) fail("kernel_size must be positive", "sizes >= 1", Shape(kernel_size).str());
    if (!positive(strides)) fail("strides must be positive", "strides >= 1", Shape(strides).str());
    if (!positive(dilations)) fail("dilation_rate must be positive", "rates >= 1", Shape(dilations).str());
    bool dense = m == Mode::Plain || m == Mode::Transpose;
    if (dense && *std::max_element(strides.begin(), strides.end()) > 1 && *std::max_element(dilations.begin(), dilations.end()) > 1)
      fail("strides > 1 and dilation_rate > 1 exclude each other", "one of them 1",
           fmt::format("strides {}, dilation_rate {}", Shape(strides).str(), Shape(dilations).str()));
    std::vector<std::string> known = {"valid", "same"};
    if (m == Mode::Plain && rank == 1) known.push_back("causal");
    std::transform(o.padding.begin(), o.padding.end(), o.padding.begin(),
                   [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
    if (std::find(known.begin(), known.end(), o.padding) == known.end())
      fail("padding is unknown" + did_you_mean(o.padding, known), fmt::format("one of {}", fmt::join(known, ", ")), o.padding);
    std::vector<std::string> formats = {"channels_last", "channels_first"};
    if (std::find(formats.begin(), formats.end(), data_format) == formats.end())
      fail("data_format is unknown" + did_you_mean(data_format, formats), "channels_last or channels_first", data_format);
    if (m == Mode::Transpose && output_padding)
      for (size_t i = 0; i < n; ++i)
        if ((*output_padding)[i] < 0 || (*output_padding)[i] >= strides[i])
          fail("output_padding must be smaller than strides", fmt::format("from 0 to below {}", Shape(strides).str()), Shape(*output_padding).str());
    if constexpr (requires { o.lora_rank; }) read_lora(o.lora_rank, o.lora_alpha, *this);
    // Seeds are drawn here, in Keras' order.
    if constexpr (requires { o.depthwise_initializer; }) o.depthwise_initializer.object();
    if constexpr (requires { o.pointwise_initializer; }) o.pointwise_initializer.object();
    if constexpr (requires { o.kernel_initializer; }) o.kernel_initializer.object();
    o.bias_initializer.object();
    activity_regularizer_ = o.activity_regularizer;
    input_spec_ = {{.min_ndim = rank + 2}};
  }

  int channel_axis() const { return data_format == "channels_last" ? -1 : 1; }

  void build(const std::vector<Shape>& inputs) override {
    int64_t c = inputs[0][channel_axis()];
    if (c < 0)
      throw ValueError(ErrorText{.what = "the channel axis of the input must have a size",
                                 .where = where(),
                                 .received = inputs[0].str(),
                                 .fix = "give the Input that size"}
                           .str());
    if (c % groups) fail("the input's channels must be a multiple of groups", fmt::format("a multiple of {}", groups), std::to_string(c));
    Shape k(kernel_size);
    int64_t outputs = filters;
    if (mode == Mode::Plain || mode == Mode::Transpose) {
      Shape shape = k + (mode == Mode::Plain ? Shape{c / groups, filters} : Shape{filters, c});
      if constexpr (requires { o.kernel_initializer; })
        kernel = add_weight({.name = "kernel",
                             .shape = shape,
                             .initializer = o.kernel_initializer,
                             .regularizer = o.kernel_regularizer,
                             .constraint = o.kernel_constraint});
    } else {
      if constexpr (requires { o.depthwise_initializer; })
        kernel = add_weight({.name = mode == Mode::Depthwise ? "kernel" : "depthwise_kernel",
                             .shape = k + Shape{c, multiplier},
                             .initializer = o.depthwise_initializer,
                             .regularizer = o.depthwise_regularizer,
                             .constraint = o.depthwise_constraint});
      if constexpr (requires { o.pointwise_initializer; })
        pointwise = add_weight({.name = "pointwise_kernel",
                                .shape = Shape(std::vector<int64_t>(static_cast<size_t>(spatial), 1)) + Shape{c * multiplier, filters},
                                .initializer = o.pointwise_initializer,
                                .regularizer = o.pointwise_regularizer,
                                .constraint = o.pointwise_constraint});
      if (mode == Mode::Depthwise) outputs = c * multiplier;
    }
    if (o.use_bias)
      bias = add_weight({.name = "bias",
                         .shape = {outputs},
                         .initializer = o.bias_initializer,
                         .regularizer = o.bias_regularizer,
                         .constraint = o.bias_constraint});
    input_spec_ = {{.min_ndim = spatial + 2, .axes = {{channel_axis(), c}}}};
    if (lora_rank) enable_lora(*lora_rank, lora_alpha, "he_uniform", "zeros");
  }
  Variable lora_target() const override { return kernel; }
  void enable_lora(int64_t rank, const Value& alpha, const Initializer& a, const Initializer& b) {
    if constexpr (requires { o.lora_rank; }) LoraHost::enable_lora(*this, rank, alpha, a, b, o.kernel_regularizer, o.kernel_constraint);
  }

  Tensors call(const Call& call) override {
    Tensor x = call.input(), k = lora_value(compute_dtype_), y;
    // More than one batch axis: they are laid flat around the convolution.
    Shape extra;
    if (x.rank() > spatial + 2) {
      int lead = x.rank() - spatial - 1;
      extra = x.shape().slice(0, lead);
      x = prims::reshape(x, Shape{extra.numel()} + x.shape().slice(lead));
    }
    std::string padding = o.padding;
    if (padding == "causal") {
      bool last = data_format == "channels_last";
      int64_t left = dilations[0] * (kernel_size[0] - 1);
      x = prims::pad(x, scalar_like(x, x.dtype(), 0), last ? prims::Ints{0, left, 0} : prims::Ints{0, 0, left}, {0, 0, 0}, {0, 0, 0});
      padding = "valid";
    }
    check_size(x.shape(), padding);
    switch (mode) {
      case Mode::Plain: y = ops::conv(x, k, strides, padding, data_format, dilations); break;
      case Mode::Depthwise: y = ops::depthwise_conv(x, k, strides, padding, data_format, dilations); break;
      case Mode::Separable:
        y = ops::separable_conv(x, k, prims::cast(pointwise.value(), compute_dtype_), strides, padding, data_format, dilations);
        break;
      case Mode::Transpose:
        y = ops::conv_transpose(x, k, strides, padding, output_padding ? std::optional<Sizes>(*output_padding) : std::nullopt, data_format,
                                dilations);
        break;
    }
    if (o.use_bias) {
      Tensor b = prims::cast(bias.value(), compute_dtype_);
      if (data_format == "channels_first") {
        std::vector<int64_t> s(static_cast<size_t>(spatial) + 2, 1);
        s[1] = b.shape()[0];
        b = prims::reshape(b, Shape(s));
      }
      y = prims::add(y, b);
    }
    if (extra.rank() > 1) y = prims::reshape(y, extra + y.shape().slice(1));
    if (o.activation) y = o.activation->call(y);
    return {y};
  }

  void check_size(const Shape& x, const std::string& padding) const {
    if (mode == Mode::Transpose || padding != "valid") return;
    for (int i = 0; i < spatial; ++i) {
      int64_t n = x[data_format == "channels_last" ? i + 1 : i + 2],
              window = (kernel_size[static_cast<size_t>(i)] - 1) * dilations[static_cast<size_t>(i)] + 1;
      if (n >= 0 && n < window)
        fail("the input is smaller than the window", fmt::format("at least {} on spatial axis {}", window, i),
             fmt::format("{}, an input of shape {}", n, x.str()));
    }
  }

  static Value ints(const std::vector<int64_t>& v) { return Value(v); }
  Dict own_config() const override {
    Dict f = serial::to_config(o), d;
    if (f.at("activation").is_null()) f.set("activation", "linear");
    f.set("data_format", data_format);
    if (mode == Mode::Depthwise || mode == Mode::Separable) d.set("depth_multiplier", multiplier);
    if (mode != Mode::Depthwise) d.set("filters", filters);
    d.set("kernel_size", ints(kernel_size));
    d.set("strides", ints(strides));
    d.set("padding", o.padding);
    if (mode == Mode::Transpose) d.set("output_padding", output_padding ? ints(*output_padding) : Value());
    d.set("data_format", data_format);
    d.set("dilation_rate", ints(dilations));
    for (const auto& [k, v] : f)
      if (!d.contains(k)) d.set(k, v);
    write_lora(d);
    return d;
  }

  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e;
    bool last = data_format == "channels_last";
    int64_t c = in[0][channel_axis()];
    std::vector<std::string> spatial_text;
    for (int i = 0; i < spatial; ++i) {
      size_t k = static_cast<size_t>(i);
      int64_t n = in[0][last ? i + 1 : i + 2], m = out[0][last ? i + 1 : i + 2], window = (kernel_size[k] - 1) * dilations[k] + 1;
      auto text = [](int64_t v) { return v < 0 ? std::string("None") : std::to_string(v); };
      std::string reach = dilations[k] > 1
                              ? fmt::format("a kernel of {} at dilation {} reaches over {}", kernel_size[k], dilations[k], window)
                              : fmt::format("the kernel is {} wide", window);
      if (mode == Mode::Transpose)
        spatial_text.push_back(fmt::format("{} from {}: each step of the input is spread over {} steps ({} padding, kernel {})", text(m),
                                           text(n), strides[k], o.padding, kernel_size[k]));
      else if (o.padding == "valid")
        spatial_text.push_back(
            fmt::format("({} - {}) / {} + 1 = {}: valid padding, {}, stride {}", text(n), window, strides[k], text(m), reach, strides[k]));
      else
        spatial_text.push_back(
            fmt::format("{} / {} rounded up = {}: {} padding, stride {}", text(n), strides[k], text(m), o.padding, strides[k]));
    }
    std::string channels = mode == Mode::Depthwise ? fmt::format("{} channels x depth_multiplier {} = {}", c, multiplier, c * multiplier)
                                                   : fmt::format("filters={}: one channel per filter", filters);
    e.axes.push_back("batch, as it came in");
    if (!last) e.axes.push_back(channels);
    e.axes.insert(e.axes.end(), spatial_text.begin(), spatial_text.end());
    if (last) e.axes.push_back(channels);
    auto weight = [&](const Variable& v, const std::string& why) {
      if (v) e.parameters.push_back(fmt::format("{} {}: {} = {}", v.name(), v.shape().str(), why, v.shape().numel()));
    };
    weight(kernel, mode == Mode::Plain ? (groups > 1 ? "kernel size x channels / groups x filters" : "kernel size x channels x filters")
                   : mode == Mode::Transpose ? "kernel size x filters x channels"
                                             : "kernel size x channels x depth_multiplier");
    weight(pointwise, "channels x depth_multiplier x filters");
    weight(bias, "one per output channel");
    return e;
  }
};

template <class Options> Options read(const Dict& config, const std::string& where) {
  auto o = options_from<Options>(config, where);
  auto sizes = [&](const char* key, Sizes& to) {
    if (const Value* v = config.find(key)) to = read_sizes(*v);
  };
  sizes("strides", o.strides);
  sizes("dilation_rate", o.dilation_rate);
  if constexpr (requires { o.output_padding; })
    if (const Value* v = config.find("output_padding"); v && !v->is_null())
      o.output_padding = read_sizes(*v);
  if constexpr (requires { o.lora_rank; }) read_lora_options(o, config, where);
  return o;
}
Sizes kernel_of(const Dict& c) {
  const Value& v = c.at("kernel_size");
  return read_sizes(v);
}

}  // namespace

template <int R> Conv<R>::Conv(int64_t f, const Sizes& k, const ConvOptions& o)
    : Layer(make_impl<ConvImpl<ConvOptions>>(Mode::Plain, R, f, k, o)) {}
template <int R> Layer Conv<R>::from_config(const Dict& c) {
  return Conv(c.at("filters").as_int(), kernel_of(c), read<ConvOptions>(c, "Conv"));
}
template <int R> void Conv<R>::enable_lora(int64_t rank, const std::optional<double>& lora_alpha, const Initializer& a, const Initializer& b) {
  layers::enable_lora<ConvImpl<ConvOptions>>(*impl_, rank, lora_alpha, a, b);
}
template <int R> DepthwiseConv<R>::DepthwiseConv(const Sizes& k, const DepthwiseConvOptions& o)
    : Layer(make_impl<ConvImpl<DepthwiseConvOptions>>(Mode::Depthwise, R, 0, k, o)) {}
template <int R> Layer DepthwiseConv<R>::from_config(const Dict& c) {
  return DepthwiseConv(kernel_of(c), read<DepthwiseConvOptions>(c, "DepthwiseConv"));
}
template <int R> SeparableConv<R>::SeparableConv(int64_t f, const Sizes& k, const SeparableConvOptions& o)
    : Layer(make_impl<ConvImpl<SeparableConvOptions>>(Mode::Separable, R, f, k, o)) {}
template <int R> Layer SeparableConv<R>::from_config(const Dict& c) {
  return SeparableConv(c.at("filters").as_int(), kernel_of(c), read<SeparableConvOptions>(c, "SeparableConv"));
}
template <int R> ConvTranspose<R>::ConvTranspose(int64_t f, const Sizes& k, const ConvTransposeOptions& o)
    : Layer(make_impl<ConvImpl<ConvTransposeOptions>>(Mode::Transpose, R, f, k, o)) {}
template <int R> Layer ConvTranspose<R>::from_config(const Dict& c) {
  return ConvTranspose(c.at("filters").as_int(), kernel_of(c), read<ConvTransposeOptions>(c, "ConvTranspose"));
}

template class Conv<1>;
template class Conv<2>;
template class Conv<3>;
template class DepthwiseConv<1>;
template class DepthwiseConv<2>;
template class SeparableConv<1>;
template class SeparableConv<2>;
template class ConvTranspose<1>;
template class ConvTranspose<2>;
template class ConvTranspose<3>;

}  // namespace keras::layers
