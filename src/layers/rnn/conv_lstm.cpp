// What lives here: convolutional LSTMs, one inside for all ranks.
#include <keras/layers/rnn/conv_lstm.h>
#include <keras/ops/nn.h>

#include <fmt/format.h>

#include "layers/read_sizes.h"
#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {

/// The geometry of the convolutions, checked once for layer and cell.
struct ConvSetup {
  int rank = 0;
  std::vector<int64_t> kernel_size, strides, dilations;
  std::string padding, data_format;
  bool last() const { return data_format == "channels_last"; }
  /// First spatial axis and channel axis of a step's input (batch, …).
  int spatial_axis() const { return last() ? 1 : 2; }
  int channel_axis() const { return last() ? rank + 1 : 1; }
};

ConvSetup conv_setup(int rank, int64_t filters, const Sizes& size, const ConvLSTMOptions& o) {
  std::string cls = fmt::format("ConvLSTM{}D", rank);
  auto fail = [&](const std::string& what, const std::string& expected, const std::string& received) {
    throw ValueError(ErrorText{.what = cls + ": " + what, .expected = expected, .received = received}.str());
  };
  size_t n = static_cast<size_t>(rank);
  ConvSetup c{rank, size.expand(n, "kernel_size"), o.strides.expand(n, "strides"), o.dilation_rate.expand(n, "dilation_rate"), o.padding, o.data_format.value_or(config::image_data_format())};
  auto positive = [](const std::vector<int64_t>& v) { return std::all_of(v.begin(), v.end(), [](int64_t x) { return x > 0; }); };
  if (filters <= 0) fail("filters must be positive", "filters >= 1", std::to_string(filters));
  if (!positive(c.kernel_size)) fail("kernel_size must be positive", "sizes >= 1", Shape(c.kernel_size).str());
  if (!positive(c.strides)) fail("strides must be positive", "strides >= 1", Shape(c.strides).str());
  if (!positive(c.dilations)) fail("dilation_rate must be positive", "rates >= 1", Shape(c.dilations).str());
  if (*std::max_element(c.strides.begin(), c.strides.end()) > 1 && *std::max_element(c.dilations.begin(), c.dilations.end()) > 1)
    fail("strides > 1 and dilation_rate > 1 exclude each other", "one of them 1", fmt::format("strides {}, dilation_rate {}", Shape(c.strides).str(), Shape(c.dilations).str()));
  std::transform(c.padding.begin(), c.padding.end(), c.padding.begin(), [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
  if (c.padding != "valid" && c.padding != "same") fail("padding is unknown" + did_you_mean(c.padding, {"valid", "same"}), "valid or same", c.padding);
  if (c.data_format != "channels_last" && c.data_format != "channels_first")
    fail("data_format is unknown" + did_you_mean(c.data_format, {"channels_last", "channels_first"}), "channels_last or channels_first", c.data_format);
  return c;
}

class ConvCell : public LSTMBase {
 public:
  ConvCell(int64_t filters, CellSetup setup, ConvSetup conv)
      : LSTMBase(filters, {"input", "forget", "cell", "output"}, std::move(setup), SeedOrder::Before), c_(std::move(conv)) {}
  std::vector<Shape> state_shapes() const override { return {state_, state_}; }
  void build(const std::vector<Shape>& inputs) override {
    const Shape& in = inputs.at(0);
    int64_t channels = in[c_.channel_axis()];
    state_ = Shape{};
    for (int i = 0; i < c_.rank; ++i) {
      size_t k = static_cast<size_t>(i);
      int64_t n = in[c_.spatial_axis() + i], window = (c_.kernel_size[k] - 1) * c_.dilations[k] + 1;
      if (n < 0 || channels < 0)
        throw ValueError(ErrorText{.what = "a convolutional LSTM must know the spatial sizes and the channels of its input", .where = where(), .expected = "known sizes after batch and time",
                                   .received = in.str(), .fix = "give the Input these sizes"}.str());
      int64_t out = c_.padding == "same" ? (n + c_.strides[k] - 1) / c_.strides[k] : n < window ? 0 : (n - window) / c_.strides[k] + 1;
      if (out <= 0)
        throw ValueError(ErrorText{.what = "the kernel of a convolutional LSTM is larger than its input", .where = where(), .expected = fmt::format("at least {} on spatial axis {}", window, i), .received = in.str(),
                                   .fix = "padding = \"same\", or a smaller kernel_size"}.str());
      state_.push_back(out);
    }
    c_.last() ? state_.push_back(size_) : state_.insert(0, size_);
    Shape k(c_.kernel_size);
    add_weights(k + Shape{channels, gates() * size_}, k + Shape{size_, gates() * size_});
  }
  std::vector<std::string> explain_weights(int64_t channels) const override {
    Shape k(c_.kernel_size);
    int64_t n = gates() * size_;
    std::string columns = fmt::format("4 gates (input, forget, cell, output) x filters = {}", n);
    std::vector<std::string> out;
    Shape w = k + Shape{channels, n}, r = k + Shape{size_, n};
    out.push_back(fmt::format("kernel {}: kernel_size, channels of the input, {}; {} numbers", w.str(), columns, w.numel()));
    out.push_back(fmt::format("recurrent_kernel {}: kernel_size, channels of the state, {}; {} numbers", r.str(), columns, r.numel()));
    if (s_.use_bias) out.push_back(fmt::format("bias ({},): one per filter and gate; {} numbers", n, n));
    return out;
  }
  const ConvSetup& conv() const { return c_; }

 protected:
  size_t mask_count() const override { return gate_names_.size(); }
  int feature_axis(const Tensor& x) const override { return c_.last() ? x.rank() - 1 : x.rank() - 1 - c_.rank; }
  Tensor input_product(const Tensor& x, const Tensor& weights) const override {
    // Time and batch laid flat: one convolution for all steps.
    int lead = x.rank() - c_.rank - 1;
    Shape extra = x.shape().slice(0, lead);
    Tensor flat = lead > 1 ? prims::reshape(x, Shape{extra.numel()} + x.shape().slice(lead)) : x;
    Tensor y = ops::conv(flat, weights, c_.strides, c_.padding, c_.data_format, c_.dilations);
    return lead > 1 ? prims::reshape(y, extra + y.shape().slice(1)) : y;
  }
  Tensor recurrent_product(const Tensor& h, const Tensor& weights) const override { return ops::conv(h, weights, 1, "same", c_.data_format, 1); }
  Tensor bias() const override {
    Tensor b = weight(bias_);
    if (c_.last()) return b;
    Shape s{gates() * size_};
    for (int i = 0; i < c_.rank; ++i) s.push_back(1);
    return prims::reshape(b, s);
  }

 private:
  ConvSetup c_;
  Shape state_;
};

/// The cell is named and configured by its layer alone: Keras has no public class for it.
struct ConvCellImpl : ConvCell {
  ConvCellImpl(int64_t filters, const ConvLSTMOptions& o, const ConvSetup& conv) : ConvCell(filters, setup_of(o), conv) { init("ConvLSTMCell", "conv_lstm_cell", o.trainable, o.dtype); }
};

Value ints(const std::vector<int64_t>& v) {
  List l;
  for (int64_t x : v) l.push_back(x);
  return l;
}

struct ConvLSTMImpl : RNNImpl {
  ConvLSTMImpl(int rank, int64_t f, const Sizes& size, const ConvLSTMOptions& options) : filters(f), o(options), conv(conv_setup(rank, f, size, o)) {
    auto inner = std::make_shared<ConvCellImpl>(filters, o, conv);
    copy_setup(o, inner->setup());
    o.padding = conv.padding, o.data_format = conv.data_format;
    init_common(fmt::format("ConvLSTM{}D", rank), o);
    set_up(Layer(inner), loop_of(o), o.activity_regularizer);
    input_spec_ = {{.ndim = rank + 3}};
  }
  int64_t input_features(const Shape& in) const override { return in[conv.channel_axis() + 1]; }
  void fix_input_spec(const Shape& in) override {
    for (int i = 2; i < in.rank(); ++i) input_spec_[0].axes[i] = in[i];
  }
  Dict own_config() const override {
    Dict d = config_of(o, "padding", {{"filters", filters}, {"kernel_size", ints(conv.kernel_size)}, {"strides", ints(conv.strides)}}), out;
    for (const auto& [k, v] : d) {
      if (k == "activation") out.set("dilation_rate", ints(conv.dilations));
      out.set(k, v);
    }
    out.set("zero_output_for_mask", loop.zero_output_for_mask);
    return out;
  }
  std::vector<std::string> explain_output(const Shape& in, const Shape& out) const override {
    std::vector<std::string> text;
    int lead = loop.return_sequences ? 2 : 1;
    auto channels = fmt::format("filters={}: the channels of the states", filters);
    if (!conv.last()) text.push_back(channels);
    for (int i = 0; i < conv.rank; ++i) {
      size_t k = static_cast<size_t>(i);
      int offset = conv.last() ? i : i + 1;
      text.push_back(fmt::format("{} from {}: kernel {}, stride {}, dilation {}, padding \"{}\"", out[lead + offset], in[2 + offset], conv.kernel_size[k], conv.strides[k], conv.dilations[k], conv.padding));
    }
    if (conv.last()) text.push_back(channels);
    return text;
  }
  int64_t filters;
  ConvLSTMOptions o;
  ConvSetup conv;
};

}  // namespace

template <int Rank>
ConvLSTM<Rank>::ConvLSTM(int64_t filters, const Sizes& kernel_size, const ConvLSTMOptions& options) : RNN(make_impl<ConvLSTMImpl>(Rank, filters, kernel_size, options)) {}
template <int Rank> Layer ConvLSTM<Rank>::from_config(const Dict& c) {
  auto o = recurrent_options<ConvLSTMOptions>(c, fmt::format("ConvLSTM{}D", Rank));
  if (const Value* v = c.find("strides")) o.strides = read_sizes(*v);
  if (const Value* v = c.find("dilation_rate")) o.dilation_rate = read_sizes(*v);
  return ConvLSTM(c.at("filters").as_int(), read_sizes(c.at("kernel_size")), o);
}
template class ConvLSTM<1>;
template class ConvLSTM<2>;
template class ConvLSTM<3>;

}  // namespace keras::layers
