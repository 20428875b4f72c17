// What lives here: the layers that disturb their input in training. They differ in what they draw.
#include <keras/layers/regularization/dropout.h>

#include <cmath>
#include <fmt/format.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

/// A rate, and a generator where there is something to draw.
struct NoiseImpl : LayerImpl {
  const char* rate_name;
  double rate;
  std::optional<int64_t> seed;
  random::SeedGenerator seeds{nullptr};

  NoiseImpl(const char* name, double r, const std::optional<int64_t>& s) : rate_name(name), rate(r), seed(s) {}
  template <class Options> void init_noise(const std::string& class_name, const Options& o) {
    init_common(class_name, o);
    symbolic_in_compute_dtype_ = true;
    if (!(rate >= 0 && rate <= 1))
      throw ValueError(ErrorText{.what = fmt::format("{}: {} is outside [0, 1]", class_name, rate_name), .where = where(), .expected = "a number from 0 to 1", .received = float_repr(rate)}.str());
    if (rate > 0) {
      seeds = random::SeedGenerator(seed);
      add_seed(seeds);
    }
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override { return {c.training && rate > 0 ? disturbed(is_floating(c.input().dtype()) ? c.input() : prims::cast(c.input(), compute_dtype_)) : c.input()}; }
  /// The input's shape, also where the noise has a batch of its own size.
  std::vector<ir::Type> output_types(const core::CallArgs& args) override {
    std::vector<ir::Type> types = LayerImpl::output_types(args);
    types.at(0).shape = args.inputs().at(0).shape();
    return types;
  }
  virtual Tensor disturbed(const Tensor& x) = 0;
  bool uses_training() const override { return true; }
  Dict own_config() const override { return {{rate_name, rate}, {"seed", seed}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    e.notes = {fmt::format("{} acts in training alone, element by element; it has no parameters", class_name_)};
    return e;
  }
};

/// Sizes of the noise for an input: None follows it.
Shape noise_for(const std::optional<Shape>& given, const Shape& in) {
  if (!given) return in;
  Shape s = *given;
  for (int i = 0; i < s.rank() && i < in.rank(); ++i)
    if (s[i] < 0) s[i] = in[i];
  return s;
}
void check_noise_shape(const LayerImpl& l, const std::optional<Shape>& shape) {
  if (!shape) return;
  for (int64_t d : *shape)
    if (d < 1 && d != None)
      throw ValueError(ErrorText{.what = l.class_name() + ": noise_shape has a size that is not positive", .where = l.where(), .expected = "sizes >= 1, or None to follow the input", .received = shape->str()}.str());
}

struct DropoutImpl : NoiseImpl {
  std::optional<Shape> noise_shape;
  DropoutImpl(double r, const DropoutOptions& o) : NoiseImpl("rate", r, o.seed), noise_shape(o.noise_shape) {
    init_noise("Dropout", o);
    check_noise_shape(*this, noise_shape);
  }
  Tensor disturbed(const Tensor& x) override { return random::dropout(x, rate, {.noise_shape = noise_shape, .seed = seeds}); }
  Dict own_config() const override {
    Dict d = NoiseImpl::own_config();
    d.set("noise_shape", noise_shape ? Value(*noise_shape) : Value());
    return d;
  }
};

struct SpatialDropoutImpl : NoiseImpl {
  int rank;
  std::string data_format;
  template <class Options> SpatialDropoutImpl(int spatial_rank, double r, const Options& o) : NoiseImpl("rate", r, o.seed), rank(spatial_rank) {
    init_noise(fmt::format("SpatialDropout{}D", rank), o);
    if constexpr (requires { o.data_format; }) data_format = o.data_format.value_or(config::image_data_format());
    else data_format = "channels_last";
    if (data_format != "channels_last" && data_format != "channels_first")
      throw ValueError(ErrorText{.what = class_name_ + ": data_format is unknown", .where = where(), .expected = "\"channels_last\" or \"channels_first\"", .received = data_format}.str());
    input_spec_ = {{.ndim = rank + 2}};
  }
  Tensor disturbed(const Tensor& x) override {
    Shape noise = x.shape();
    for (int i = 0; i < rank; ++i) noise[i + (data_format == "channels_first" ? 2 : 1)] = 1;
    return random::dropout(x, rate, {.noise_shape = noise, .seed = seeds});
  }
  /// Keras writes these without "trainable" and with the plain name of the dtype.
  Dict config() const override {
    Dict d = NoiseImpl::own_config();
    d.set("name", name_);
    d.set("dtype", dtype_name(variable_dtype_));
    if (rank > 1) d.set("data_format", data_format);
    return d;
  }
};

struct GaussianNoiseImpl : NoiseImpl {
  GaussianNoiseImpl(double stddev, const GaussianOptions& o) : NoiseImpl("stddev", stddev, o.seed) { init_noise("GaussianNoise", o); }
  Tensor disturbed(const Tensor& x) override { return prims::add(x, random::normal(x.shape(), {.stddev = rate, .dtype = x.dtype(), .seed = seeds})); }
};

struct GaussianDropoutImpl : NoiseImpl {
  GaussianDropoutImpl(double r, const GaussianOptions& o) : NoiseImpl("rate", r, o.seed) { init_noise("GaussianDropout", o); }
  Tensor disturbed(const Tensor& x) override {
    if (rate == 1)
      throw ValueError(ErrorText{.what = "GaussianDropout: a rate of 1 has no noise of finite deviation", .where = where(), .expected = "a rate below 1 in training", .received = "1.0"}.str());
    return prims::mul(x, random::normal(x.shape(), {.mean = 1.0, .stddev = std::sqrt(rate / (1.0 - rate)), .dtype = x.dtype(), .seed = seeds}));
  }
};

struct AlphaDropoutImpl : NoiseImpl {
  std::optional<Shape> noise_shape;
  AlphaDropoutImpl(double r, const DropoutOptions& o) : NoiseImpl("rate", r, o.seed), noise_shape(o.noise_shape) {
    init_noise("AlphaDropout", o);
    check_noise_shape(*this, noise_shape);
  }
  Tensor disturbed(const Tensor& x) override {
    // What is dropped becomes selu's limit at minus infinity; a and b then bring mean and variance back.
    constexpr double kAlpha = 1.6732632423543772848170429916717, kScale = 1.0507009873554804934193349852946, kLimit = -kAlpha * kScale;
    double a = std::pow((1 - rate) * (1 + rate * kLimit * kLimit), -0.5), b = -a * kLimit * rate;
    Tensor drawn = random::uniform(noise_for(noise_shape, x.shape()), {.seed = seeds});
    Tensor kept = prims::cast(prims::ew(ir::Ew::greater_equal, drawn, prims::scalar(drawn, rate)), x.dtype());
    Tensor y = prims::add(prims::mul(x, kept), prims::mul(prims::sub(prims::scalar(kept, 1), kept), kLimit));
    return prims::add(prims::mul(y, a), b);
  }
  Dict own_config() const override {
    Dict d = NoiseImpl::own_config();
    d.set("noise_shape", noise_shape ? Value(*noise_shape) : Value());
    return d;
  }
};

}  // namespace

Dropout::Dropout(double rate, const DropoutOptions& o) : Layer(make_impl<DropoutImpl>(rate, o)) {}
Layer Dropout::from_config(const Dict& c) { return Dropout(c.at("rate").as_float(), options_from<DropoutOptions>(c, "Dropout")); }
SpatialDropout1D::SpatialDropout1D(double rate, const SpatialDropout1DOptions& o) : Layer(make_impl<SpatialDropoutImpl>(1, rate, o)) {}
Layer SpatialDropout1D::from_config(const Dict& c) { return SpatialDropout1D(c.at("rate").as_float(), options_from<SpatialDropout1DOptions>(c, "SpatialDropout1D")); }
SpatialDropout2D::SpatialDropout2D(double rate, const SpatialDropoutOptions& o) : Layer(make_impl<SpatialDropoutImpl>(2, rate, o)) {}
Layer SpatialDropout2D::from_config(const Dict& c) { return SpatialDropout2D(c.at("rate").as_float(), options_from<SpatialDropoutOptions>(c, "SpatialDropout2D")); }
SpatialDropout3D::SpatialDropout3D(double rate, const SpatialDropoutOptions& o) : Layer(make_impl<SpatialDropoutImpl>(3, rate, o)) {}
Layer SpatialDropout3D::from_config(const Dict& c) { return SpatialDropout3D(c.at("rate").as_float(), options_from<SpatialDropoutOptions>(c, "SpatialDropout3D")); }
GaussianNoise::GaussianNoise(double stddev, const GaussianOptions& o) : Layer(make_impl<GaussianNoiseImpl>(stddev, o)) {}
Layer GaussianNoise::from_config(const Dict& c) { return GaussianNoise(c.at("stddev").as_float(), options_from<GaussianOptions>(c, "GaussianNoise")); }
GaussianDropout::GaussianDropout(double rate, const GaussianOptions& o) : Layer(make_impl<GaussianDropoutImpl>(rate, o)) {}
Layer GaussianDropout::from_config(const Dict& c) { return GaussianDropout(c.at("rate").as_float(), options_from<GaussianOptions>(c, "GaussianDropout")); }
AlphaDropout::AlphaDropout(double rate, const DropoutOptions& o) : Layer(make_impl<AlphaDropoutImpl>(rate, o)) {}
Layer AlphaDropout::from_config(const Dict& c) { return AlphaDropout(c.at("rate").as_float(), options_from<DropoutOptions>(c, "AlphaDropout")); }

}  // namespace keras::layers
