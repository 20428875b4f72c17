// What lives here: the layers that move pixels about at random. All but flips and elastic ones are one affine or projective map per image.
#include <keras/layers/preprocessing/random_geometry.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "layers/preprocessing/image_layer.h"

namespace keras::layers {

namespace {

const std::vector<std::string> kFillModes{"reflect", "wrap", "constant", "nearest"};

/// Layers with an interpolation, whose segmentation masks move by the nearest pixel.
struct MovingImpl : ImageLayer {
  std::string interpolation, fill_mode;
  double fill_value = 0;
  void check_moving(const std::vector<std::string>& fills = kFillModes) const {
    if (!fills.empty()) one_of("fill_mode", fill_mode, fills);
    one_of("interpolation", interpolation, {"nearest", "bilinear"});
  }
  virtual Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) = 0;
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    return training && t.made ? moved(x, t, interpolation) : x;
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override {
    return training && t.made ? moved(to_compute(masks), t, "nearest") : masks;
  }
  Tensor affine(const Tensor& x, const Tensor& matrix, const std::string& how) const {
    return ops::image::affine_transform(x, matrix, how, fill_mode, fill_value, data_format);
  }
};

struct RandomFlipImpl : ImageLayer {
  std::string mode;
  RandomFlipImpl(const std::string& m, const RandomFlipOptions& o) : mode(m) {
    init_image("RandomFlip", o);
    one_of("mode", mode, {"horizontal", "vertical", "horizontal_and_vertical"});
    init_seed(o.seed);
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    return Tensors{ops::less_equal(random::uniform({s[0], 1, 1, 1}, {.seed = from}), 0.5)};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    if (!training || !t.made) return x;
    if (mode != "vertical") x = ops::where(t[0], ops::flip(x, width_axis()), x);
    if (mode != "horizontal") x = ops::where(t[0], ops::flip(x, height_axis()), x);
    return x;
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override { return transform(masks, t, training); }
  Dict own_config() const override { return image_config({{"seed", seed}, {"mode", mode}}); }
};

struct RandomRotationImpl : MovingImpl {
  Bounds factor;
  RandomRotationImpl(const Value& f, const RandomRotationOptions& o) {
    init_image("RandomRotation", o);
    factor = factor_bounds(*this, "factor", f, -1, 1);
    init_seed(o.seed);
    interpolation = o.interpolation, fill_mode = o.fill_mode, fill_value = o.fill_value;
    check_moving();
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    Tensor degrees = random::uniform({s[0]}, {.minval = factor.low() * 360.0, .maxval = factor.high() * 360.0, .seed = from});
    Tensor angle = degrees * Tensor::full({}, std::numbers::pi / 180.0), cos = ops::cos(angle), sin = ops::sin(angle);
    double cx = 0.5 * static_cast<double>(s[width_axis()] - 1), cy = 0.5 * static_cast<double>(s[height_axis()] - 1);
    Tensor a1 = ops::negative(sin), zero = Tensor::full({}, 0);
    Tensor a2 = ops::subtract(cx, cx * cos) - cy * a1, b2 = ops::subtract(cy, cx * sin) - cy * cos;
    return Tensors{side_by_side({cos, a1, a2, sin, cos, b2, zero, zero}, s[0])};
  }
  Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) override { return affine(x, t[0], how); }
  Dict own_config() const override {
    return image_config({{"factor", factor.config()},
                         {"data_format", data_format},
                         {"fill_mode", fill_mode},
                         {"fill_value", fill_value},
                         {"interpolation", interpolation},
                         {"seed", seed}});
  }
};

/// Factors of both axes as they were given, and as bounds.
struct TwoFactorsImpl : MovingImpl {
  Value height_factor, width_factor;
  Bounds height, width;
  Bounds symmetric(const char* option, const Value& given, bool open_below) const {
    Bounds b = factor_bounds(*this, option, given, -1, 1, true);
    if (open_below && given.is_number() && given.as_float() <= -1) option_error(option, "a number, or two, in (-1, 1]", given);
    if (open_below && given.is_list() && b.low() <= -1) option_error(option, "a number, or two, in (-1, 1]", given);
    return b;
  }
  template <class O> void init_factors(const std::string& cls, const Value& h, const Value& w, const O& o, bool open_below) {
    init_image(cls, o);
    height_factor = h, width_factor = w;
    height = symmetric("height_factor", h, open_below);
    if (!w.is_null()) width = symmetric("width_factor", w, open_below);
    interpolation = o.interpolation, fill_mode = o.fill_mode, fill_value = o.fill_value;
    check_moving();
    init_seed(o.seed);
  }
  Dict own_config() const override {
    return image_config({{"height_factor", height_factor},
                         {"width_factor", width_factor},
                         {"fill_mode", fill_mode},
                         {"interpolation", interpolation},
                         {"seed", seed},
                         {"fill_value", fill_value},
                         {"data_format", data_format}});
  }
};

struct RandomTranslationImpl : TwoFactorsImpl {
  RandomTranslationImpl(const Value& h, const Value& w, const RandomRotationOptions& o) {
    init_factors("RandomTranslation", h, w, o, false);
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    auto shift = [&](const Bounds& b, int64_t size) {
      return random::uniform({s[0], 1}, {.minval = b.low(), .maxval = b.high(), .seed = from}) * static_cast<double>(size);
    };
    Tensor down = shift(height, s[height_axis()]), right = shift(width, s[width_axis()]), zero = Tensor::full({}, 0),
           one = Tensor::full({}, 1);
    return Tensors{side_by_side({one, zero, ops::negative(right), zero, one, ops::negative(down), zero, zero}, s[0])};
  }
  Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) override { return affine(x, t[0], how); }
};

struct RandomZoomImpl : TwoFactorsImpl {
  RandomZoomImpl(const Value& h, const Value& w, const RandomRotationOptions& o) { init_factors("RandomZoom", h, w, o, true); }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    auto zoom = [&](const Bounds& b) {
      return random::uniform({s[0], 1}, {.minval = 1.0 + b.low(), .maxval = 1.0 + b.high(), .seed = from});
    };
    Tensor y = zoom(height), x = width_factor.is_null() ? y : zoom(width), zero = Tensor::full({}, 0);
    auto offset = [](const Tensor& z, int64_t size) { return (static_cast<double>(size) - 1.0) / 2.0 * ops::subtract(1.0, z); };
    return Tensors{side_by_side({x, zero, offset(x, s[width_axis()]), zero, y, offset(y, s[height_axis()]), zero, zero}, s[0])};
  }
  Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) override { return affine(x, t[0], how); }
};

struct RandomShearImpl : MovingImpl {
  Bounds x_factor, y_factor;
  RandomShearImpl(const Value& x, const Value& y, const RandomShearOptions& o) {
    init_image("RandomShear", o);
    x_factor = shear("x_factor", x), y_factor = shear("y_factor", y);
    interpolation = o.interpolation, fill_mode = o.fill_mode, fill_value = o.fill_value;
    check_moving();
    init_seed(o.seed);
  }
  Bounds shear(const char* option, const Value& given) const {
    // A number f is (-f, f) here, though factors are from 0 to 1; a saved pair may be that again.
    if (given.is_number() && (given.as_float() < 0 || given.as_float() > 1)) option_error(option, "a number, or two, in [0, 1]", given);
    Bounds b = factor_bounds(*this, option, given, -1, 1, true);
    if (given.is_list() && b.low() < 0 && b.low() != -b.high()) option_error(option, "a number, or two, in [0, 1]", given);
    return b;
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    auto draw_one = [&](double low, double high) {
      return random::uniform({s[0], 1}, {.minval = low, .maxval = high, .dtype = compute_dtype_, .seed = from});
    };
    Tensor coin = draw_one(0, 1), sign = ops::where(ops::greater(coin, 0.5), ops::negative(ops::ones_like(coin)), ops::ones_like(coin));
    Tensor y = draw_one(y_factor.low(), y_factor.high()), x = draw_one(x_factor.low(), x_factor.high());
    Tensor zero = Tensor::full({}, 0), one = Tensor::full({}, 1);
    auto f32 = [](const Tensor& t) { return ops::cast(t, DType::Float32); };
    return Tensors{side_by_side({one, f32(x * sign), zero, f32(y * sign), one, zero, zero, zero}, s[0])};
  }
  Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) override { return affine(x, t[0], how); }
  Dict own_config() const override {
    return image_config({{"x_factor", x_factor.config()},
                         {"y_factor", y_factor.config()},
                         {"fill_mode", fill_mode},
                         {"interpolation", interpolation},
                         {"seed", seed},
                         {"fill_value", fill_value},
                         {"data_format", data_format}});
  }
};

struct RandomPerspectiveImpl : MovingImpl {
  Bounds factor;
  double scale;
  RandomPerspectiveImpl(const Value& f, double s, const RandomPerspectiveOptions& o) : scale(s) {
    init_image("RandomPerspective", o);
    factor = factor_bounds(*this, "factor", f, 0, 1);
    init_seed(o.seed);
    interpolation = o.interpolation, fill_value = o.fill_value;
    if (!(scale >= 0 && scale <= 1)) option_error("scale", "a number in [0, 1]", scale);
    check_moving({});
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    Tensor chosen = draw_chosen(s[0], factor, from);
    Tensor share = random::uniform({s[0], 4, 2}, {.minval = -0.5 * scale, .maxval = 0.5 * scale, .dtype = compute_dtype_, .seed = from});
    float w = static_cast<float>(s[width_axis()] - 1), h = static_cast<float>(s[height_axis()] - 1);
    Tensor corners = Tensor::from<float>(std::vector<float>{0, 0, w, 0, 0, h, w, h}, {1, 4, 2}).astype(compute_dtype_);
    Tensor start = ops::broadcast_to(corners, {s[0], 4, 2});
    return Tensors{chosen, start, start + start * share};
  }
  Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) override {
    return ops::where(per_image(t[0]), ops::image::perspective_transform(x, t[1], t[2], how, fill_value, data_format), x);
  }
  Dict own_config() const override {
    return image_config(
        {{"factor", factor.config()}, {"scale", scale}, {"interpolation", interpolation}, {"fill_value", fill_value}, {"seed", seed}});
  }
};

struct RandomElasticTransformImpl : MovingImpl {
  Bounds factor, scale, range;
  RandomElasticTransformImpl(const Value& f, const Value& s, const RandomElasticTransformOptions& o) {
    init_image("RandomElasticTransform", o);
    factor = factor_bounds(*this, "factor", f, 0, 1);
    scale = factor_bounds(*this, "scale", s, 0, 1);
    interpolation = o.interpolation, fill_mode = o.fill_mode, fill_value = o.fill_value;
    range = value_range(*this, o.value_range.serialize(), false);
    init_seed(o.seed);
    check_moving({"constant", "nearest", "wrap", "mirror", "reflect"});
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training || scale.high() == 0 || factor.high() == 0) return {};
    Tensor chosen = draw_chosen(s[0], factor, from);
    Tensor distortion = random::uniform({}, {.minval = scale.low(), .maxval = scale.high(), .dtype = compute_dtype_, .seed = from});
    // One key for the noise of both directions, which are therefore equal, as in Keras.
    return Tensors{chosen, distortion, random::normal({s[0], s[height_axis()], s[width_axis()]}, {.dtype = compute_dtype_, .seed = from})};
  }
  Tensor moved(const Tensor& x, const Transformation& t, const std::string& how) override {
    int64_t B = x.shape()[0], H = x.shape()[height_axis()], W = x.shape()[width_axis()], C = x.shape()[channel_axis()];
    double longest = static_cast<double>(std::max(H, W)) * 0.1, shortest = static_cast<double>(std::min(H, W)) * 0.05;
    Tensor alpha = longest * t[1], sigma = shortest * t[1];
    // The size of the filter depends on what was drawn: one of the greatest size, zero beyond the size drawn, gives the same.
    Tensor reach = ops::cast(ops::cast(6.0 * sigma, DType::Int32), DType::Float32);
    reach = ops::floor(reach * 0.5);  // ((int(6 sigma) | 1) - 1) / 2
    int64_t radius = static_cast<int64_t>(6.0 * shortest * scale.high()) / 2;
    Tensor at = ops::cast(ops::arange(-radius, radius + 1), x.dtype());
    Tensor line = ops::exp(-0.5 * ops::square(at / sigma)),
           one = ops::where(ops::less_equal(ops::abs(ops::cast(at, DType::Float32)), reach), line, ops::zeros_like(line));
    one = one / ops::sum(one);
    Tensor noise = ops::expand_dims(t[2] * sigma, 3);  // (B, H, W, 1)
    Tensor kernel = ops::reshape(ops::outer(one, one), {2 * radius + 1, 2 * radius + 1, 1, 1});
    Tensor shift = alpha * ops::conv(noise, kernel, 1, "same", "channels_last");
    Tensor rows = ops::reshape(ops::cast(ops::arange(H), x.dtype()), {1, H, 1, 1}) + shift,
           columns = ops::reshape(ops::cast(ops::arange(W), x.dtype()), {1, 1, W, 1}) + shift;
    // Sampled as (B, C) planes: the whole coordinates of batch and channel are hit exactly.
    Shape full = x.shape();
    auto along = [&](int axis, int64_t n) {
      Shape line_shape(std::vector<int64_t>(4, 1));
      line_shape[axis] = n;
      return ops::broadcast_to(ops::reshape(ops::cast(ops::arange(n), rows.dtype()), line_shape), full);
    };
    auto place = [&](const Tensor& p) { return ops::broadcast_to(channels_first() ? ops::moveaxis(p, 3, 1) : p, full); };
    Tensors coordinates(4);
    coordinates[0] = along(0, B);
    coordinates[static_cast<size_t>(channel_axis())] = along(channel_axis(), C);
    coordinates[static_cast<size_t>(height_axis())] = place(rows);
    coordinates[static_cast<size_t>(width_axis())] = place(columns);
    Tensor y = ops::image::map_coordinates(x, ops::stack(coordinates), how == "bilinear" ? 1 : 0, fill_mode, fill_value);
    y = ops::where(per_image(t[0]), ops::cast(y, x.dtype()), x);
    return to_compute(ops::clip(y, range.low(), range.high()));
  }
  Dict own_config() const override {
    return image_config({{"factor", factor.config()},
                         {"scale", scale.config()},
                         {"interpolation", interpolation},
                         {"fill_mode", fill_mode},
                         {"fill_value", fill_value},
                         {"value_range", range.config()},
                         {"seed", seed}});
  }
};

Range range_at(const Dict& c, const char* key) {
  const Value& v = c.at(key);
  if (v.is_null()) throw TypeError(ErrorText{.what = std::string(key) + " is missing", .expected = "a number or a pair of numbers", .received = v.str()}.str());
  return Range(v);
}

}  // namespace

RandomFlip::RandomFlip(const std::string& mode, const RandomFlipOptions& o) : Layer(make_impl<RandomFlipImpl>(mode, o)) {}
Layer RandomFlip::from_config(const Dict& c) {
  return RandomFlip(c.at("mode").as_string(), options_from<RandomFlipOptions>(c, "RandomFlip"));
}
RandomRotation::RandomRotation(const Range& f, const RandomRotationOptions& o) : Layer(make_impl<RandomRotationImpl>(f.serialize(), o)) {}
Layer RandomRotation::from_config(const Dict& c) {
  return RandomRotation(range_at(c, "factor"), options_from<RandomRotationOptions>(c, "RandomRotation"));
}
RandomTranslation::RandomTranslation(const Range& h, const Range& w, const RandomRotationOptions& o)
    : Layer(make_impl<RandomTranslationImpl>(h.serialize(), w.serialize(), o)) {}
Layer RandomTranslation::from_config(const Dict& c) {
  return RandomTranslation(range_at(c, "height_factor"), range_at(c, "width_factor"),
                           options_from<RandomRotationOptions>(c, "RandomTranslation"));
}
RandomZoom::RandomZoom(const Range& h, const std::optional<Range>& w, const RandomRotationOptions& o)
    : Layer(make_impl<RandomZoomImpl>(h.serialize(), w ? w->serialize() : Value(), o)) {}
Layer RandomZoom::from_config(const Dict& c) {
  const Value* w = c.find("width_factor");
  return RandomZoom(range_at(c, "height_factor"), w && !w->is_null() ? std::optional<Range>(Range(*w)) : std::nullopt,
                    options_from<RandomRotationOptions>(c, "RandomZoom"));
}
RandomShear::RandomShear(const Range& x, const Range& y, const RandomShearOptions& o)
    : Layer(make_impl<RandomShearImpl>(x.serialize(), y.serialize(), o)) {}
Layer RandomShear::from_config(const Dict& c) {
  return RandomShear(range_at(c, "x_factor"), range_at(c, "y_factor"), options_from<RandomShearOptions>(c, "RandomShear"));
}
RandomPerspective::RandomPerspective(const Range& f, double scale, const RandomPerspectiveOptions& o)
    : Layer(make_impl<RandomPerspectiveImpl>(f.serialize(), scale, o)) {}
Layer RandomPerspective::from_config(const Dict& c) {
  return RandomPerspective(range_at(c, "factor"), c.at("scale").as_float(), options_from<RandomPerspectiveOptions>(c, "RandomPerspective"));
}
RandomElasticTransform::RandomElasticTransform(const Range& f, const Range& s, const RandomElasticTransformOptions& o)
    : Layer(make_impl<RandomElasticTransformImpl>(f.serialize(), s.serialize(), o)) {}
Layer RandomElasticTransform::from_config(const Dict& c) {
  return RandomElasticTransform(range_at(c, "factor"), range_at(c, "scale"),
                                options_from<RandomElasticTransformOptions>(c, "RandomElasticTransform"));
}

}  // namespace keras::layers
