// What lives here: the layers that change colours.
#include <keras/layers/preprocessing/random_color.h>

#include <algorithm>
#include <cmath>

#include "layers/preprocessing/image_layer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

/// Layers with a factor and a value range, both of which are written into configurations.
struct ColorImpl : ImageLayer {
  Bounds factor, range;
  void init_color(const std::string& cls, const Value& f, const RandomColorOptions& o, int least, int most, bool sorted = true) {
    init_image(cls, o);
    factor = factor_bounds(*this, "factor", f, least, most);
    range = value_range(*this, o.value_range.serialize(), sorted);
    init_seed(o.seed);
  }
  Dict own_config() const override { return image_config({{"factor", factor.config()}, {"value_range", range.config()}, {"seed", seed}}); }
  Tensor limited(const Tensor& x) const { return ops::clip(x, range.low(), range.high()); }
  Tensor drawn(const Shape& shape, const random::Seed& from) const {
    return random::uniform(shape, {.minval = factor.low(), .maxval = factor.high(), .seed = from});
  }
  Tensors channels(const Tensor& x) const { return ops::unstack(x, 3, channel_axis()); }
};

struct RandomContrastImpl : ColorImpl {
  RandomContrastImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomContrast", f, o, 0, 1, false); }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    return Tensors{random::uniform({s[0], 1, 1, 1},
                                   {.minval = 1.0 - factor.low(), .maxval = 1.0 + factor.high(), .dtype = compute_dtype_, .seed = from})};
  }
  Tensor transform(const Tensor& x, const Transformation& t, bool training) override {
    if (!training) return x;
    Tensor mean = ops::mean(ops::mean(x, height_axis(), true), width_axis(), true);
    return limited((x - mean) * t[0] + mean);
  }
};

struct RandomBrightnessImpl : ColorImpl {
  RandomBrightnessImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomBrightness", f, o, -1, 1); }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    return Tensors{drawn({s[0], 1, 1, 1}, from) * (range.high() - range.low())};
  }
  Tensor transform(const Tensor& x, const Transformation& t, bool training) override {
    return training ? limited(x + ops::cast(t[0], x.dtype())) : x;
  }
};

struct RandomHueImpl : ColorImpl {
  RandomHueImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomHue", f, o, 0, 1, false); }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override {
    Tensor coin = random::uniform({s[0]}, {.seed = from}), one = ops::ones_like(coin);
    Tensor sign = ops::where(ops::greater(coin, 0.5), ops::negative(one), one);
    return Tensors{sign * drawn({s[0]}, from) * 0.5};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    if (!training) return images;
    Tensor x = transform_value_range(to_compute(images), range, unit(), DType::Float32);
    Tensor turn = ops::reshape(ops::cast(t[0], x.dtype()), {x.shape()[0], 1, 1});
    Tensors hsv = channels(ops::image::rgb_to_hsv(x, data_format));
    Tensor hue = hsv[0] + turn;
    hue = ops::where(ops::greater(hue, 1.0), hue - 1.0, hue);
    hue = ops::where(ops::less(hue, 0.0), hue + 1.0, hue);
    x = ops::clip(ops::image::hsv_to_rgb(ops::stack({hue, hsv[1], hsv[2]}, channel_axis()), data_format), 0, 1);
    return to_compute(transform_value_range(x, unit(), range, DType::Float32));
  }
};

struct RandomSaturationImpl : ColorImpl {
  RandomSaturationImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomSaturation", f, o, -1, 1); }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override {
    Tensor f = drawn({s[0]}, from);
    return Tensors{f / (ops::subtract(1.0, f) + 1e-7)};
  }
  Tensor transform(const Tensor& x, const Transformation& t, bool training) override {
    if (!training) return x;
    Tensors hsv = channels(ops::image::rgb_to_hsv(x, data_format));
    Tensor saturation = limited(hsv[1] * ops::reshape(to_compute(t[0]), {x.shape()[0], 1, 1}));
    return ops::image::hsv_to_rgb(ops::stack({hsv[0], saturation, hsv[2]}, channel_axis()), data_format);
  }
};

struct RandomColorDegenerationImpl : ColorImpl {
  RandomColorDegenerationImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomColorDegeneration", f, o, -1, 1); }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override { return Tensors{drawn({s[0], 1, 1, 1}, from)}; }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    if (!training) return images;
    Tensor x = to_compute(images);
    return to_compute(limited(x + to_compute(t[0]) * (ops::image::rgb_to_grayscale(x, data_format) - x)));
  }
};

struct RandomPosterizationImpl : ColorImpl {
  RandomPosterizationImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomPosterization", f, o, 1, 8); }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override {
    auto low = static_cast<int64_t>(factor.low()), high = static_cast<int64_t>(factor.high());
    Tensor bits = low == high ? Tensor::full({s[0]}, static_cast<double>(low), DType::UInt8)
                              : random::randint({s[0]}, low, high, {.dtype = DType::UInt8, .seed = from});
    return Tensors{ops::subtract(8, bits)};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    if (!training) return images;
    Tensor shift = per_image(t[0]), x = ops::cast(transform_value_range(images, range, bytes(), compute_dtype_), DType::UInt8);
    x = ops::bitwise_left_shift(ops::bitwise_right_shift(x, shift), shift);
    return transform_value_range(to_compute(x), bytes(), range, compute_dtype_);
  }
};

struct RandomSharpnessImpl : ColorImpl {
  RandomSharpnessImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomSharpness", f, o, 0, 1); }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override { return Tensors{drawn({s[0]}, from)}; }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    if (!training) return x;
    if (channels_first()) x = ops::swapaxes(x, 1, 3);
    float a = 1.0f / 13, b = 5.0f / 13;
    Tensor kernel = ops::tile(Tensor::from<float>(std::vector<float>{a, a, a, a, b, a, a, a, a}, {3, 3, 1, 1}), {1, 1, x.shape()[3], 1});
    Tensor smooth = to_compute(ops::depthwise_conv(
        x, kernel.is_concrete() ? kernel.astype(compute_dtype_) : ops::cast(kernel, compute_dtype_), 1, "same", "channels_last"));
    x = limited(x + ops::subtract(1.0, per_image(to_compute(t[0] * 2.0))) * (smooth - x));
    return channels_first() ? ops::swapaxes(x, 1, 3) : x;
  }
};

struct RandomInvertImpl : ColorImpl {
  RandomInvertImpl(const Value& f, const RandomColorOptions& o) { init_color("RandomInvert", f, o, 0, 1, false); }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    return Tensors{draw_chosen(s[0], factor, from)};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    if (!training) return images;
    Tensor x = to_compute(images);
    return ops::where(per_image(t[0]), ops::subtract(range.high(), x), x);
  }
};

struct RandomGrayscaleImpl : ImageLayer {
  Value factor;
  RandomGrayscaleImpl(const Value& f, const RandomGrayscaleOptions& o) : factor(f) {
    init_image("RandomGrayscale", o);
    if (!factor.is_number() || !(factor.as_float() >= 0 && factor.as_float() <= 1)) option_error("factor", "a number in [0, 1]", factor);
    init_seed(o.seed);
  }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override {
    return Tensors{ops::less(random::uniform({s[0]}, {.seed = from}), factor.as_float())};
  }
  Tensor transform(const Tensor& x, const Transformation& t, bool training) override {
    return training ? ops::where(per_image(t[0]), ops::image::rgb_to_grayscale(x, data_format), x) : x;
  }
  DType output_dtype(DType in) const override { return in; }
  Dict own_config() const override { return image_config({{"factor", factor}}); }
};

struct RandomColorJitterImpl : ImageLayer {
  RandomColorJitterOptions o;
  Bounds range;
  std::vector<ImagePtr> steps;
  explicit RandomColorJitterImpl(const RandomColorJitterOptions& options) : o(options) {
    init_image("RandomColorJitter", o);
    range = value_range(*this, o.value_range.serialize(), false);
    init_seed(o.seed);
    RandomColorOptions inner{.value_range = o.value_range, .seed = o.seed};
    auto add = [&](const char* attribute, const Layer& l) {
      parts_.emplace_back(attribute, l);
      steps.push_back(image_layer(l));
    };
    if (o.brightness_factor) add("random_brightness", RandomBrightness(*o.brightness_factor, inner));
    if (o.contrast_factor) add("random_contrast", RandomContrast(*o.contrast_factor, inner));
    if (o.saturation_factor) add("random_saturation", RandomSaturation(*o.saturation_factor, inner));
    if (o.hue_factor) add("random_hue", RandomHue(*o.hue_factor, inner));
  }
  void build(const std::vector<Shape>& in) override {
    for (const ImagePtr& s : steps) s->ensure_built(in);
  }
  Tensor transform(const Tensor& images, const Transformation&, bool training) override {
    if (!training) return images;
    Tensor x = to_compute(images);
    // Each step draws from this layer's generator, when its turn comes.
    for (const ImagePtr& s : steps) x = s->transform(x, s->draw(x.shape(), false, true, generator), true);
    return to_compute(x);
  }
  Dict own_config() const override {
    auto given = [](const std::optional<Range>& r) { return r ? r->serialize() : Value(); };
    return image_config({{"value_range", range.config()},
                         {"brightness_factor", given(o.brightness_factor)},
                         {"contrast_factor", given(o.contrast_factor)},
                         {"saturation_factor", given(o.saturation_factor)},
                         {"hue_factor", given(o.hue_factor)},
                         {"seed", seed}});
  }
};

struct RandomGaussianBlurImpl : ColorImpl {
  Value size[2];
  Bounds sigma;
  RandomGaussianBlurImpl(const Value& f, const RandomGaussianBlurOptions& o) {
    init_image("RandomGaussianBlur", o);
    factor = factor_bounds(*this, "factor", f, 0, 1);
    Value k = o.kernel_size.serialize();
    auto odd = [](const Value& v) { return v.is_int() && v.as_int() > 0 && v.as_int() % 2 == 1; };
    bool two = k.is_list() && k.as_list().size() == 2;
    for (int i = 0; i < 2; ++i) {
      size[i] = two ? k.as_list()[static_cast<size_t>(i)] : k;
      if (!odd(size[i])) option_error("kernel_size", "an odd number, or two", k);
    }
    sigma = factor_bounds(*this, "sigma", o.sigma.serialize(), 0, 1);
    range = value_range(*this, o.value_range.serialize(), false);
    init_seed(o.seed);
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    Tensor chosen = draw_chosen(s[0], factor, from);
    return Tensors{chosen,
                   random::uniform({2}, {.minval = sigma.low(), .maxval = sigma.high(), .dtype = compute_dtype_, .seed = from}) + 1e-6};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    if (!training || !t.made) return x;
    auto line = [&](int i) {
      int64_t n = size[i].as_int();
      Tensor at = ops::cast(ops::arange(n), compute_dtype_) - static_cast<double>(n - 1) / 2;
      Tensor bell = ops::exp(-0.5 * ops::square(at / prims::slice_axis(t[1], 0, i, i + 1)));
      return bell / ops::sum(bell);
    };
    Tensor across = line(0), down = line(1);
    Tensor kernel = ops::reshape(ops::outer(down, across), {size[1].as_int(), size[0].as_int(), 1, 1});
    Tensor blurred = ops::depthwise_conv(x, ops::tile(kernel, {1, 1, x.shape()[channel_axis()], 1}), 1, "same", data_format);
    return to_compute(limited(ops::where(per_image(t[0]), blurred, x)));
  }
  Dict own_config() const override {
    return image_config({{"factor", factor.config()},
                         {"kernel_size", List{size[0], size[1]}},
                         {"sigma", sigma.config()},
                         {"value_range", range.config()},
                         {"seed", seed}});
  }
};

struct SolarizationImpl : ImageLayer {
  Bounds addition, threshold, range;
  explicit SolarizationImpl(const SolarizationOptions& o) {
    init_image("Solarization", o);
    init_seed(o.seed);
    addition = share("addition_factor", o.addition_factor.serialize());
    threshold = share("threshold_factor", o.threshold_factor.serialize());
    range = value_range(*this, o.value_range.serialize());
  }
  Bounds share(const char* option, const Value& given) const {
    Bounds b = factor_bounds(*this, option, given, 0, 1, true);
    return given.is_list() ? b : Bounds{Value(0), given};
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    auto one = [&](const Bounds& b) {
      return random::uniform({s[0], 1, 1, 1}, {.minval = b.low(), .maxval = b.high() * 255, .dtype = compute_dtype_, .seed = from});
    };
    Tensor added = one(addition);
    return Tensors{added, one(threshold)};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    if (!training || !t.made) return x;
    x = ops::clip(transform_value_range(x, range, bytes(), compute_dtype_) + t[0], 0, 255);
    x = ops::where(ops::less(x, t[1]), x, ops::subtract(255, x));
    return transform_value_range(x, bytes(), range, compute_dtype_);
  }
  Dict own_config() const override {
    return image_config({{"value_range", range.config()},
                         {"addition_factor", addition.config()},
                         {"threshold_factor", threshold.config()},
                         {"seed", seed}});
  }
};

struct EqualizationImpl : ImageLayer {
  Bounds range;
  int64_t bins;
  explicit EqualizationImpl(const EqualizationOptions& o) : bins(o.bins) {
    init_image("Equalization", o);
    range = value_range(*this, o.value_range.serialize());
    if (bins < 1) option_error("bins", "a whole number >= 1", bins);
  }
  static Tensor scaled(const Tensor& x, const Bounds& from, const Bounds& to) {
    double scale = (to.high() - to.low()) / (from.high() - from.low());
    return x * scale + (to.low() - from.low() * scale);
  }
  Tensor equalized(const Tensor& given) const {
    Tensor x = scaled(given, range, bytes());
    double last = static_cast<double>(bins - 1);
    Tensor place = ops::clip(ops::cast(ops::cast(x, DType::Float32) * last / 255.0, DType::Int32), 0, bins - 1);
    Tensor flat = ops::reshape(place, {place.numel()});
    Tensor histogram = ops::segment_sum(ops::ones_like(flat), flat, bins), below = ops::cumsum(histogram);
    Tensor least = ops::take(below, ops::argmax(ops::cast(ops::greater(below, 0), DType::Int32)));
    Tensor room = prims::reshape(prims::slice_axis(below, 0, bins - 1, bins), Shape{}) - least;
    room = ops::where(ops::equal(room, 0), ops::ones_like(room), room);
    Tensor table = ops::clip(ops::round((below - least) * 255 / room), 0, 255);
    Tensor indices = ops::cast(ops::clip(x / 255.0 * last, 0, last), DType::Int32);
    Tensor flat_values = ops::less_equal(ops::sum(ops::cast(ops::not_equal(histogram, 0), DType::Int32)), 1);
    return scaled(ops::where(flat_values, x, ops::take(table, indices)), bytes(), range);
  }
  Tensor transform(const Tensor& images, const Transformation&, bool training) override {
    if (!training) return images;
    Tensors planes = ops::unstack(to_compute(images), images.shape()[channel_axis()], channel_axis());
    for (Tensor& p : planes) p = equalized(p);
    return to_compute(ops::stack(planes, channel_axis()));
  }
  DType output_dtype(DType in) const override { return in; }
  Dict own_config() const override { return image_config({{"bins", bins}, {"value_range", range.config()}}); }
};

struct AutoContrastImpl : ImageLayer {
  Bounds range;
  explicit AutoContrastImpl(const AutoContrastOptions& o) {
    init_image("AutoContrast", o);
    range = value_range(*this, o.value_range.serialize());
  }
  Tensor transform(const Tensor& images, const Transformation&, bool) override {
    Tensor x = to_compute(transform_value_range(images, range, bytes(), compute_dtype_));
    // Axes 1 and 2 whatever the data format, as in Keras.
    Tensor low = ops::min(x, {1, 2}, true), high = ops::max(x, {1, 2}, true);
    Tensor scale = ops::divide(255.0, high - low);
    Tensor y = ops::clip(x * scale + ops::negative(low) * scale, 0.0, 255.0);
    y = transform_value_range(y, bytes(), range, compute_dtype_);
    return to_compute(ops::where(ops::isnan(y), images, y));
  }
  Dict own_config() const override { return image_config({{"value_range", range.config()}}); }
};

struct ClaheImpl : ImageLayer {
  Bounds range;
  double clip_limit;
  Value limit_config;
  int64_t grid_h, grid_w;
  explicit ClaheImpl(const ContrastLimitedAdaptiveHistogramEqualizationOptions& o, const Value& limit)
      : clip_limit(limit.as_float()), limit_config(limit) {
    init_image("ContrastLimitedAdaptiveHistogramEqualization", o);
    range = value_range(*this, o.value_range.serialize(), false);
    std::tie(grid_h, grid_w) = o.tile_grid_size;
    if (grid_h < 1 || grid_w < 1) option_error("tile_grid_size", "two whole numbers >= 1", List{Value(grid_h), Value(grid_w)});
  }
  Tensor transform(const Tensor& images, const Transformation&, bool) override {
    Tensor x = channels_first() ? ops::moveaxis(images, 1, 3) : images;
    x = transform_value_range(x, range, bytes(), DType::Float32);
    x = ops::cast(transform_value_range(equalized(ops::cast(x, DType::Float32)), bytes(), range, DType::Float32), images.dtype());
    return channels_first() ? ops::moveaxis(x, 3, 1) : x;
  }
  Tensor equalized(const Tensor& x) const {
    int64_t B = x.shape()[0], H = x.shape()[1], W = x.shape()[2], C = x.shape()[3];
    int64_t th = (H + grid_h - 1) / grid_h, tw = (W + grid_w - 1) / grid_w, PH = th * grid_h, PW = tw * grid_w;
    Tensor padded = PH == H && PW == W ? x : ops::pad(x, {{0, 0}, {0, PH - H}, {0, PW - W}, {0, 0}}, "symmetric");
    Tensor pixels = ops::cast(ops::clip(padded, 0, 255), DType::Int32);
    // A histogram per tile and channel, all in one: each has 256 places of its own.
    int64_t histograms = B * grid_h * grid_w * C;
    Tensor tiles =
        ops::reshape(ops::transpose(ops::reshape(pixels, {B, grid_h, th, grid_w, tw, C}), {0, 1, 3, 5, 2, 4}), {histograms, th * tw});
    Tensor places = ops::reshape(tiles + ops::reshape(ops::arange(histograms), {histograms, 1}) * 256, {histograms * th * tw});
    Tensor counts =
        ops::reshape(ops::segment_sum(ops::ones({histograms * th * tw}), places, histograms * 256), {B, grid_h, grid_w, C, 256});
    double area = static_cast<double>(th * tw);
    if (clip_limit > 0) {
      Tensor kept = ops::clip(counts, 0, clip_limit * area / 256.0);
      counts = kept + ops::sum(counts - kept, -1, true) / 256.0;
    }
    Tensor below = ops::cumsum(counts, -1), least = ops::min(below, -1, true), room = ops::subtract(area, least);
    room = ops::where(ops::equal(room, 0), ops::ones_like(room), room);
    Tensor map = ops::clip((below - least) * 255.0 / room, 0, 255);
    // The tiles at the border stand for those beyond it.
    auto bordered = [](const Tensor& t, int axis, int64_t n) {
      return ops::concatenate({prims::slice_axis(t, axis, 0, 1), t, prims::slice_axis(t, axis, n - 1, n)}, axis);
    };
    map = ops::reshape(bordered(bordered(map, 1, grid_h), 2, grid_w), {B * (grid_h + 2) * (grid_w + 2) * C * 256});
    // Each pixel is looked up in the maps of the four tiles around it.
    auto side = [](int64_t n, int64_t tile, int64_t grid, std::vector<int32_t>& from, std::vector<int32_t>& to,
                   std::vector<float>& weight) {
      for (int64_t i = 0; i < n; ++i) {
        float at = (static_cast<float>(i) - static_cast<float>(tile) / 2.0f) / static_cast<float>(tile) + 1.0f, floor = std::floor(at);
        auto limited = [&](float v) { return static_cast<int32_t>(std::clamp(v, 0.0f, static_cast<float>(grid + 1))); };
        from.push_back(limited(floor));
        to.push_back(limited(floor + 1));
        weight.push_back(at - floor);
      }
    };
    std::vector<int32_t> y0, y1, x0, x1;
    std::vector<float> wy, wx;
    side(PH, th, grid_h, y0, y1, wy);
    side(PW, tw, grid_w, x0, x1, wx);
    int64_t stride_x = 256 * C, stride_y = stride_x * (grid_w + 2), stride_b = stride_y * (grid_h + 2);
    Tensor base = pixels + ops::reshape(ops::arange(B), {B, 1, 1, 1}) * stride_b + ops::reshape(ops::arange(C), {1, 1, 1, C}) * 256;
    auto rows = [&](const auto& v) { return ops::reshape(Tensor(v), {1, PH, 1, 1}); };
    auto columns = [&](const auto& v) { return ops::reshape(Tensor(v), {1, 1, PW, 1}); };
    auto value = [&](const std::vector<int32_t>& r, const std::vector<int32_t>& c) {
      return ops::take(map, base + rows(r) * stride_y + columns(c) * stride_x);
    };
    Tensor across = columns(wx), down = rows(wy), rest = ops::subtract(1.0, across);
    Tensor top = value(y0, x0) * rest + value(y0, x1) * across, bottom = value(y1, x0) * rest + value(y1, x1) * across;
    Tensor y = top * ops::subtract(1.0, down) + bottom * down;
    return prims::slice_axis(prims::slice_axis(y, 1, 0, H), 2, 0, W);
  }
  Dict own_config() const override {
    return image_config({{"value_range", range.config()},
                         {"clip_limit", limit_config},
                         {"tile_grid_size", List{Value(grid_h), Value(grid_w)}},
                         {"data_format", data_format}});
  }
};

}  // namespace

#define X(cls)                                                                                                       \
  cls::cls(const Range& factor, const RandomColorOptions& o) : Layer(make_impl<cls##Impl>(factor.serialize(), o)) {} \
  Layer cls::from_config(const Dict& c) { return cls(Range(c.at("factor")), options_from<RandomColorOptions>(c, #cls)); }
X(RandomContrast)
X(RandomBrightness) X(RandomHue) X(RandomSaturation) X(RandomColorDegeneration) X(RandomPosterization) X(RandomSharpness) X(RandomInvert)
#undef X

    RandomGrayscale::RandomGrayscale(const Range& f, const RandomGrayscaleOptions& o)
    : Layer(make_impl<RandomGrayscaleImpl>(f.serialize(), o)) {
}
Layer RandomGrayscale::from_config(const Dict& c) {
  return RandomGrayscale(Range(c.at("factor")), options_from<RandomGrayscaleOptions>(c, "RandomGrayscale"));
}
RandomColorJitter::RandomColorJitter(const RandomColorJitterOptions& o) : Layer(make_impl<RandomColorJitterImpl>(o)) {}
Layer RandomColorJitter::from_config(const Dict& c) {
  return RandomColorJitter(options_from<RandomColorJitterOptions>(c, "RandomColorJitter"));
}
RandomGaussianBlur::RandomGaussianBlur(const Range& f, const RandomGaussianBlurOptions& o)
    : Layer(make_impl<RandomGaussianBlurImpl>(f.serialize(), o)) {}
Layer RandomGaussianBlur::from_config(const Dict& c) {
  return RandomGaussianBlur(Range(c.at("factor")), options_from<RandomGaussianBlurOptions>(c, "RandomGaussianBlur"));
}
Solarization::Solarization(const SolarizationOptions& o) : Layer(make_impl<SolarizationImpl>(o)) {}
Layer Solarization::from_config(const Dict& c) { return Solarization(options_from<SolarizationOptions>(c, "Solarization")); }
Equalization::Equalization(const EqualizationOptions& o) : Layer(make_impl<EqualizationImpl>(o)) {}
Layer Equalization::from_config(const Dict& c) { return Equalization(options_from<EqualizationOptions>(c, "Equalization")); }
AutoContrast::AutoContrast(const AutoContrastOptions& o) : Layer(make_impl<AutoContrastImpl>(o)) {}
Layer AutoContrast::from_config(const Dict& c) { return AutoContrast(options_from<AutoContrastOptions>(c, "AutoContrast")); }
using Clahe = ContrastLimitedAdaptiveHistogramEqualization;
Clahe::ContrastLimitedAdaptiveHistogramEqualization(const ContrastLimitedAdaptiveHistogramEqualizationOptions& o)
    : Layer(make_impl<ClaheImpl>(o, Value(o.clip_limit))) {}
Layer Clahe::from_config(const Dict& c) {
  auto o = options_from<ContrastLimitedAdaptiveHistogramEqualizationOptions>(c, "ContrastLimitedAdaptiveHistogramEqualization");
  if (const Value* v = c.find("tile_grid_size")) {
    std::vector<int64_t> two = v->as_ints();
    if (two.size() != 2) throw ValueError(ErrorText{.what = "tile_grid_size is two whole numbers", .received = v->str()}.str());
    o.tile_grid_size = {two[0], two[1]};
  }
  if (const Value* v = c.find("clip_limit")) return Layer(make_impl<ClaheImpl>(o, *v));
  return Clahe(o);
}

}  // namespace keras::layers
