// What lives here: STFTSpectrogram and MelSpectrogram.
#include <keras/layers/preprocessing/spectrogram.h>

#include <fmt/format.h>
#include <bit>
#include <cmath>

#include <keras/base/warning.h>
#include <keras/ops.h>

#include "layers/preprocessing/encode.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

struct STFTSpectrogramImpl : LayerImpl {
  std::string mode;
  STFTSpectrogramOptions o;
  int64_t step, fft;
  std::string data_format;
  Variable real_kernel, imag_kernel;
  STFTSpectrogramImpl(const std::string& m, const STFTSpectrogramOptions& options)
      : mode(m), o(options), data_format(o.data_format.value_or("channels_last")) {
    init_common("STFTSpectrogram", o);
    if (o.frame_length < 1) bad_option(*this, "frame_length", "a whole number >= 1", o.frame_length);
    if (o.frame_step && (*o.frame_step > o.frame_length || *o.frame_step < 1))
      bad_option(*this, "frame_step", fmt::format("a whole number from 1 to frame_length = {}", o.frame_length), *o.frame_step);
    if (o.fft_length && *o.fft_length < o.frame_length)
      bad_option(*this, "fft_length", fmt::format("at least frame_length = {}", o.frame_length), *o.fft_length);
    if (o.fft_length && !std::has_single_bit(static_cast<uint64_t>(*o.fft_length)))
      warn(ErrorText{.what = "fft_length is best a power of two", .where = where(), .received = std::to_string(*o.fft_length)}.str());
    check_option(*this, "mode", mode, {"log", "magnitude", "psd", "real", "imag", "angle", "stft"});
    if (o.scaling) check_option(*this, "scaling", *o.scaling, {"density", "spectrum"});
    check_option(*this, "padding", o.padding, {"valid", "same"});
    check_option(*this, "data_format", data_format, {"channels_last", "channels_first"});
    step = o.frame_step ? *o.frame_step : std::max<int64_t>(1, o.frame_length / 2);
    fft = o.fft_length ? *o.fft_length : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(o.frame_length)));
    input_spec_ = {{.ndim = 3}};
    kernel("real");  // an unknown window is an error of the constructor
  }
  Initializer kernel(const char* side) const {
    return initializers::STFT({.side = side, .window = o.window, .scaling = o.scaling, .periodic = o.periodic});
  }
  int64_t bins() const { return fft / 2 + 1; }
  void build(const std::vector<Shape>&) override {
    Shape s{o.frame_length, 1, bins()};
    if (mode != "imag") real_kernel = add_weight({.name = "real_kernel", .shape = s, .initializer = kernel("real")});
    if (mode != "real") imag_kernel = add_weight({.name = "imag_kernel", .shape = s, .initializer = kernel("imag")});
  }
  bool last() const { return data_format == "channels_last"; }
  /// (batch, channels, bins, frames).
  Tensor filtered(const Tensor& x, const Variable& w) const {
    Tensor t = last() ? ops::transpose(x, {0, 2, 1}) : x;  // (batch, channels, time)
    int64_t channels = t.shape()[1], time = t.shape()[2];
    t = ops::reshape(t, {-1, time, 1});
    Tensor y = ops::transpose(ops::conv(t, ops::cast(w.value(), x.dtype()), step, o.padding, "channels_last"), {0, 2, 1});
    return ops::reshape(y, {x.shape()[0] < 0 ? -1 : x.shape()[0], channels, bins(), y.shape()[2]});
  }
  Tensor arranged(const Tensor& y) const {
    if (o.expand_dims) return ops::transpose(y, last() ? Axes{0, 3, 2, 1} : Axes{0, 1, 3, 2});
    const Shape& s = y.shape();
    Tensor t = ops::reshape(y, {s[0] < 0 ? -1 : s[0], s[1] * s[2], s[3]});
    return last() ? ops::transpose(t, {0, 2, 1}) : t;
  }
  /// The output's shape where the number of steps or channels is not known; a tensor of such a shape has no numbers.
  Shape open_shape(const Shape& in) const {
    int64_t time = in[last() ? 1 : 2], channels = in[last() ? 2 : 1], bands = bins() * (mode == "stft" ? 2 : 1), frames = None;
    if (time >= 0) frames = o.padding == "same" ? (time + step - 1) / step : (time - o.frame_length) / step + 1;
    if (o.expand_dims) return last() ? Shape{in[0], frames, bands, channels} : Shape{in[0], channels, frames, bands};
    int64_t all = channels < 0 ? None : bands * channels;
    return last() ? Shape{in[0], frames, all} : Shape{in[0], all, frames};
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    if (!is_floating(x.dtype()) || x.dtype() == DType::BFloat16)
      throw TypeError(ErrorText{
          .what = "sound must be floats", .where = where(), .expected = "float16, float32 or float64", .received = dtype_name(x.dtype())}
                          .str());
    if (x.shape()[1] < 0 || x.shape()[2] < 0) return {prims::broadcast_to(Tensor::full({}, 0, x.dtype()), open_shape(x.shape()))};
    Tensor real, imag;
    if (mode != "imag") real = filtered(x, real_kernel);
    if (mode != "real") imag = filtered(x, imag_kernel);
    if (mode == "real") return {arranged(real)};
    if (mode == "imag") return {arranged(imag)};
    if (mode == "angle") return {arranged(ops::arctan2(imag, real))};
    if (mode == "stft") return {arranged(ops::concatenate({real, imag}, 2))};
    Tensor power = ops::square(real) + ops::square(imag);
    if (mode == "psd") {
      // All but the first and the last frequency stand for two.
      std::vector<float> twice(static_cast<size_t>(bins()), 2.0f);
      twice.front() = 1.0f;
      twice.back() = 1.0f;
      return {arranged(power * ops::cast(Tensor::from<float>(twice, {bins(), 1}), power.dtype()))};
    }
    Tensor magnitude = arranged(ops::sqrt(ops::maximum(power, 1e-7)));
    return {mode == "magnitude" ? magnitude : ops::log(ops::maximum(magnitude, 1e-7))};
  }
  Dict own_config() const override {
    return {{"mode", mode},
            {"frame_length", o.frame_length},
            {"frame_step", o.frame_step},
            {"fft_length", o.fft_length},
            {"window", o.window},
            {"periodic", o.periodic},
            {"scaling", o.scaling},
            {"padding", o.padding},
            {"data_format", data_format},
            {"expand_dims", o.expand_dims}};
  }
  static std::string size(int64_t n) { return n < 0 ? "None" : std::to_string(n); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (in.empty() || out.empty()) return e;
    int64_t time = in[0][last() ? 1 : 2], channels = in[0][last() ? 2 : 1];
    std::string frames = o.padding == "same" ? fmt::format("{} / {} rounded up: a frame every {} steps", size(time), step, step)
                                             : fmt::format("({} - {}) / {} + 1: frames of {} steps, one every {}", size(time),
                                                           o.frame_length, step, o.frame_length, step);
    std::string bands = fmt::format("{} / 2 + 1 = {} frequencies of an FFT of length {}{}", fft, bins(), fft,
                                    mode == "stft" ? ", real parts and imaginary parts" : "");
    std::string each = fmt::format("{}, for each of the {} channels", bands, size(channels)), kept = "channels, as they came in";
    e.axes = {"batch, as it came in"};
    if (o.expand_dims) last() ? e.axes.insert(e.axes.end(), {frames, bands, kept}) : e.axes.insert(e.axes.end(), {kept, frames, bands});
    else last() ? e.axes.insert(e.axes.end(), {frames, each}) : e.axes.insert(e.axes.end(), {each, frames});
    e.parameters = {fmt::format("{} ({}, 1, {}) = {}: frame length x frequencies",
                                mode == "imag"   ? "imag_kernel"
                                : mode == "real" ? "real_kernel"
                                                 : "real_kernel, imag_kernel each",
                                o.frame_length, bins(), o.frame_length * bins())};
    return e;
  }
};

struct MelSpectrogramImpl : LayerImpl {
  MelSpectrogramOptions o;
  int64_t length;
  explicit MelSpectrogramImpl(const MelSpectrogramOptions& options) : o(options) {
    init_common("MelSpectrogram", o);
    length = o.sequence_length.value_or(0) ? *o.sequence_length : o.fft_length;
    if (o.fft_length < length) bad_option(*this, "fft_length", fmt::format("at least sequence_length = {}", length), o.fft_length);
    if (!o.min_freq.is_number()) bad_option(*this, "min_freq", "a number, in hertz", o.min_freq);
    if (o.max_freq.is_null() || (o.max_freq.is_number() && o.max_freq.as_float() == 0)) o.max_freq = o.sampling_rate / 2;
    if (!o.max_freq.is_number()) bad_option(*this, "max_freq", "a number, in hertz, or null", o.max_freq);
    if (!o.window.is_null() && !o.window.is_list() && !o.window.is_string()) bad_option(*this, "window", "a window's name, numbers, or null", o.window);
    if (o.num_mel_bins < 1) bad_option(*this, "num_mel_bins", "a whole number >= 1", o.num_mel_bins);
  }
  /// (frequencies, mel bins): triangles over the mel scale, in float32 as Keras computes them.
  Tensor mel_matrix(int64_t bins) const {
    core::EagerScope eager;
    auto f32 = [](double v) { return Tensor::full({}, v); };
    auto mel = [&](const Tensor& hertz) { return 1127.0 * ops::log(1.0 + hertz / 700.0); };
    Tensor frequencies = ops::get_item(ops::linspace(f32(0), f32(static_cast<double>(o.sampling_rate)) / 2.0, bins), {Slice{.start = 1}});
    Tensor at = ops::expand_dims(mel(frequencies), 1);
    Tensor edges = ops::linspace(mel(f32(o.min_freq.as_float())), mel(f32(o.max_freq.as_float())), o.num_mel_bins + 2);
    auto from = [&](int64_t i) {
      return ops::reshape(ops::get_item(edges, {Slice{.start = i, .stop = i + o.num_mel_bins}}), {1, o.num_mel_bins});
    };
    Tensor low = from(0), center = from(1), high = from(2);
    Tensor slopes = ops::minimum((at - low) / (center - low), (high - at) / (high - center));
    return ops::pad(ops::maximum(f32(0), slopes), {{1, 0}, {0, 0}});
  }
  Tensors call(const Call& c) override {
    DType t = compute_dtype_ == DType::Float64 ? DType::Float64 : DType::Float32;
    Tensor x = ops::cast(c.input(), t);
    auto transformed = [&]() -> ops::Complex {
      if (o.window.is_null()) return ops::stft(x, length, o.sequence_stride, o.fft_length, "", true);
      if (o.window.is_string()) return ops::stft(x, length, o.sequence_stride, o.fft_length, o.window.as_string(), true);
      std::vector<float> numbers;
      for (const Value& v : o.window.as_list()) numbers.push_back(static_cast<float>(v.as_float()));
      return ops::stft(x, length, o.sequence_stride, o.fft_length, Tensor(numbers), true);
    };
    auto [real, imag] = transformed();
    Tensor spectrum = ops::power(ops::sqrt(ops::square(real) + ops::square(imag)), o.mag_exp);
    Tensor y = ops::tensordot(spectrum, mel_matrix(o.fft_length / 2 + 1), 1);
    if (o.power_to_db) {
      y = 10.0 * ops::log10(ops::maximum(y, o.min_power));
      float reference = 10.0f * std::log10(std::max(std::fabs(static_cast<float>(o.ref_power)), static_cast<float>(o.min_power)));
      y = y - static_cast<double>(reference);
      y = ops::maximum(y, ops::max(y) - o.top_db);
    }
    y = ops::swapaxes(y, -1, -2);
    return {ops::cast(y, compute_dtype_)};
  }
  Dict own_config() const override {
    return {{"fft_length", o.fft_length},
            {"sequence_stride", o.sequence_stride},
            {"sequence_length", length},
            {"window", o.window},
            {"sampling_rate", o.sampling_rate},
            {"num_mel_bins", o.num_mel_bins},
            {"min_freq", o.min_freq},
            {"max_freq", o.max_freq},
            {"power_to_db", o.power_to_db},
            {"top_db", o.top_db},
            {"mag_exp", o.mag_exp},
            {"min_power", o.min_power},
            {"ref_power", o.ref_power}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (in.empty() || out.empty() || e.axes.size() < 2) return e;
    int64_t time = in[0].back();
    e.axes[e.axes.size() - 2] = fmt::format("num_mel_bins={}: bands of the mel scale", o.num_mel_bins);
    e.axes.back() = fmt::format("{} / {} + 1: a frame every {} steps, the first about step 0", time < 0 ? "None" : std::to_string(time),
                                o.sequence_stride, o.sequence_stride);
    e.notes = {"MelSpectrogram has no weights"};
    return e;
  }
};

}  // namespace

STFTSpectrogram::STFTSpectrogram(const std::string& mode, const STFTSpectrogramOptions& o)
    : Layer(make_impl<STFTSpectrogramImpl>(mode, o)) {}
Layer STFTSpectrogram::from_config(const Dict& c) {
  return STFTSpectrogram(c.at("mode").as_string(), options_from<STFTSpectrogramOptions>(c, "STFTSpectrogram"));
}
MelSpectrogram::MelSpectrogram(const MelSpectrogramOptions& o) : Layer(make_impl<MelSpectrogramImpl>(o)) {}
Layer MelSpectrogram::from_config(const Dict& c) { return MelSpectrogram(options_from<MelSpectrogramOptions>(c, "MelSpectrogram")); }

}  // namespace keras::layers
