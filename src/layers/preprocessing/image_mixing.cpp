// What lives here: RandomErasing, MixUp, CutMix, and the layers that pick among others: RandAugment and AugMix.
#include <keras/layers/preprocessing/image_mixing.h>
#include <keras/layers/preprocessing/random_color.h>
#include <keras/layers/preprocessing/random_geometry.h>

#include <algorithm>

#include "layers/preprocessing/image_layer.h"
#include "prims/build.h"
#include "random/mersenne_twister.h"

namespace keras::layers {

namespace {

/// Layers that draw a rectangle per image.
struct RectangleImpl : ImageLayer {
  /// Start and end (B,) of a piece of `share` (B,) of a length.
  std::pair<Tensor, Tensor> piece(int64_t batch, int64_t length, const Tensor& share, const random::Seed& from) const {
    double n = static_cast<double>(length);
    Tensor size = to_compute(share * n);
    Tensor start = random::uniform({batch}, {.dtype = compute_dtype_, .seed = from}) * ops::subtract(n, size);
    return {start, start + size};
  }
  /// True inside of the rectangles, (B, H, W, 1) or (B, 1, H, W).
  Tensor inside(const Shape& s, const std::pair<Tensor, Tensor>& x, const std::pair<Tensor, Tensor>& y) const {
    auto line = [&](int axis) {
      Shape line_shape(std::vector<int64_t>(4, 1));
      line_shape[axis] = s[axis];
      return ops::reshape(ops::cast(ops::arange(s[axis]), compute_dtype_), line_shape);
    };
    auto between = [&](const Tensor& at, const std::pair<Tensor, Tensor>& ends) {
      return ops::logical_and(ops::greater_equal(at, per_image(ends.first)), ops::less(at, per_image(ends.second)));
    };
    return ops::logical_and(between(line(width_axis()), x), between(line(height_axis()), y));
  }
};

struct RandomErasingImpl : RectangleImpl {
  Bounds factor, scale, range;
  Value fill_value;
  RandomErasingImpl(const Value& f, const RandomErasingOptions& o) : fill_value(o.fill_value) {
    init_image("RandomErasing", o);
    factor = factor_bounds(*this, "factor", f, 0, 1);
    scale = factor_bounds(*this, "scale", o.scale.serialize(), 0, 1);
    range = value_range(*this, o.value_range.serialize(), false);
    bool three = fill_value.is_list() && fill_value.as_list().size() == 3;
    if (!fill_value.is_null() && !fill_value.is_number() && !three)
      option_error("fill_value", "a number, three numbers, or null", fill_value);
    init_seed(o.seed);
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    if (!training) return {};
    Tensor share =
        ops::sqrt(random::uniform({s[0], 2}, {.minval = scale.low(), .maxval = scale.high(), .dtype = compute_dtype_, .seed = from}));
    auto column = [&](int64_t i) { return ops::reshape(prims::slice_axis(share, 1, i, i + 1), {s[0]}); };
    auto x = piece(s[0], s[width_axis()], column(0), from), y = piece(s[0], s[height_axis()], column(1), from);
    Tensor mask = inside(s, x, y), chosen = draw_chosen(s[0], factor, from), fill;
    if (fill_value.is_null()) {
      fill = random::normal(s, {.dtype = compute_dtype_, .seed = from}) * range.high();
    } else if (fill_value.is_list()) {
      std::vector<double> three;
      for (const Value& v : fill_value.as_list()) three.push_back(v.as_float());
      fill = Tensor(three).astype(compute_dtype_);  // broadcasts along the last axis, as in Keras
    } else {
      fill = Tensor::full({}, fill_value.as_float(), compute_dtype_);
    }
    return Tensors{chosen, mask, ops::clip(fill, range.low(), range.high())};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    return training ? ops::where(per_image(t[0]), ops::where(t[1], t[2], x), x) : x;
  }
  Dict own_config() const override {
    return image_config({{"factor", factor.config()},
                         {"scale", scale.config()},
                         {"fill_value", fill_value},
                         {"value_range", range.config()},
                         {"seed", seed}});
  }
};

Tensor mixed_labels(const Tensor& labels, const Tensor& weight, const Tensor& order) {
  Tensor w = ops::reshape(weight, {-1, 1});
  return w * labels + ops::subtract(1.0, w) * ops::take(labels, order, 0);
}

struct MixUpImpl : ImageLayer {
  double alpha;
  MixUpImpl(double a, const MixUpOptions& o) : alpha(a) {
    init_image("MixUp", o);
    init_seed(o.seed);
  }
  Transformation draw(const Shape& s, bool, bool, const random::Seed& from) override {
    Tensor order = random::shuffle(ops::arange(s[0]), 0, from);
    return Tensors{random::beta({s[0]}, Tensor::full({}, alpha), Tensor::full({}, alpha), {.seed = from}), order};
  }
  Tensor mixed(const Tensor& x, const Transformation& t) const {
    Tensor w = per_image(to_compute(t[0]));
    return w * x + ops::subtract(1.0, w) * ops::take(x, t[1], 0);
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    return training ? mixed(to_compute(images), t) : images;
  }
  Tensor transform_labels(const Tensor& labels, const Transformation& t, bool training) override {
    return training ? mixed_labels(labels, t[0], t[1]) : labels;
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override {
    return training ? mixed(to_compute(masks), t) : masks;
  }
  Dict own_config() const override { return image_config({{"alpha", alpha}, {"seed", seed}}); }
};

struct CutMixImpl : RectangleImpl {
  Bounds factor;
  CutMixImpl(const Value& f, const CutMixOptions& o) {
    init_image("CutMix", o);
    factor = factor_bounds(*this, "factor", f, 0, 1);
    init_seed(o.seed);
  }
  Transformation draw(const Shape& s, bool single, bool training, const random::Seed& from) override {
    if (!training || single) return {};
    Tensor alpha = random::uniform({}, {.minval = factor.low(), .maxval = factor.high(), .dtype = compute_dtype_, .seed = from}) + 1e-6;
    Tensor weight = random::beta({s[0]}, alpha, alpha, {.dtype = compute_dtype_, .seed = from}),
           share = ops::sqrt(ops::subtract(1.0, weight));
    auto x = piece(s[0], s[width_axis()], share, from), y = piece(s[0], s[height_axis()], share, from);
    double area = static_cast<double>(s[width_axis()] * s[height_axis()]);
    weight = ops::subtract(1.0, (x.second - x.first) * (y.second - y.first) / area);
    Tensor mask = inside(s, x, y);
    return Tensors{random::shuffle(ops::arange(s[0]), 0, from), mask, weight};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    return training && t.made ? ops::where(t[1], ops::take(x, t[0], 0), x) : x;
  }
  Tensor transform_labels(const Tensor& labels, const Transformation& t, bool training) override {
    return training && t.made ? mixed_labels(labels, t[2], t[0]) : labels;
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override { return transform(masks, t, training); }
  Dict own_config() const override { return image_config({{"factor", factor.config()}, {"seed", seed}}); }
};

/// Layers that are made of the eleven augmentations.
struct AugmentingImpl : ImageLayer {
  Bounds range, factor;
  std::string interpolation;
  std::vector<ImagePtr> layers;  // in the order in which draws number them

  Layer make(const std::string& which, const std::optional<std::string>& format) const {
    Range f(factor.config()), r(range.config());
    RandomColorOptions color{.value_range = r, .seed = seed, .data_format = format, .trainable = trainable_, .dtype = dtype_policy_};
    RandomRotationOptions moving{
        .interpolation = interpolation, .seed = seed, .data_format = format, .trainable = trainable_, .dtype = dtype_policy_};
    if (which == "random_shear")
      return RandomShear(
          f, f, {.interpolation = interpolation, .seed = seed, .data_format = format, .trainable = trainable_, .dtype = dtype_policy_});
    if (which == "random_translation") return RandomTranslation(f, f, moving);
    if (which == "random_rotation") return RandomRotation(f, moving);
    if (which == "random_brightness") return RandomBrightness(f, color);
    if (which == "random_color_degeneration") return RandomColorDegeneration(f, color);
    if (which == "random_contrast") return RandomContrast(f, color);
    if (which == "random_sharpness") return RandomSharpness(f, color);
    if (which == "random_posterization") return RandomPosterization(std::max<int64_t>(1, static_cast<int64_t>(8 * factor.high())), color);
    if (which == "solarization")
      return Solarization({.addition_factor = f,
                           .threshold_factor = f,
                           .value_range = r,
                           .seed = seed,
                           .data_format = format,
                           .trainable = trainable_,
                           .dtype = dtype_policy_});
    if (which == "auto_contrast")
      return AutoContrast({.value_range = r, .data_format = format, .trainable = trainable_, .dtype = dtype_policy_});
    return Equalization({.value_range = r, .data_format = format, .trainable = trainable_, .dtype = dtype_policy_});
  }
  /// Makes the layers in one order (which draws their seeds) and numbers them in another.
  void make_all(const std::vector<const char*>& made, const std::vector<const char*>& numbered, const std::optional<std::string>& format) {
    for (const char* name : made) parts_.emplace_back(name, make(name, format));
    for (const char* name : numbered)
      for (const auto& [attribute, layer] : parts_)
        if (attribute == name) layers.push_back(image_layer(layer));
  }
  void build(const std::vector<Shape>& in) override {
    for (const ImagePtr& l : layers) l->ensure_built(in);
  }
};

struct RandAugmentImpl : AugmentingImpl {
  int64_t num_ops;
  explicit RandAugmentImpl(const RandAugmentOptions& o) : num_ops(o.num_ops) {
    init_image("RandAugment", o);
    range = value_range(*this, o.value_range.serialize(), false);
    factor = factor_bounds(*this, "factor", o.factor.serialize(), 0, 1);
    interpolation = o.interpolation;
    init_seed(o.seed);
    make_all({"random_shear", "random_translation", "random_rotation", "random_brightness", "random_color_degeneration", "random_contrast",
              "random_sharpness", "solarization", "random_posterization", "auto_contrast", "equalization"},
             {"random_shear", "random_translation", "random_rotation", "random_brightness", "random_color_degeneration", "random_contrast",
              "random_sharpness", "random_posterization", "solarization", "auto_contrast", "equalization"},
             o.data_format);
  }
  Transformation draw(const Shape& s, bool single, bool training, const random::Seed& from) override {
    if (!training) return {};
    // Keras draws from the layer's own generator here, whoever asks.
    (void)from;
    Transformation t(Tensors{random::randint({num_ops}, 0, static_cast<int64_t>(layers.size()), {.seed = generator})});
    for (const ImagePtr& l : layers) t.parts.push_back(l->draw(s, single, true, generator));
    return t;
  }
  Tensor picked(Tensor x, const Transformation& t, bool masks) const {
    for (int64_t i = 0; i < num_ops; ++i) {
      Tensor which = ops::reshape(prims::slice_axis(t[0], 0, i, i + 1), Shape{});
      for (size_t k = 0; k < layers.size(); ++k) {
        Tensor y = masks ? layers[k]->transform_masks(x, t.parts[k], true) : layers[k]->transform(x, t.parts[k], true);
        x = ops::where(ops::equal(which, static_cast<int64_t>(k)), y, x);
      }
    }
    return x;
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    return training ? to_compute(picked(x, t, false)) : x;
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override {
    return training ? picked(masks, t, true) : masks;
  }
  Dict own_config() const override {
    return image_config({{"value_range", range.config()},
                         {"num_ops", num_ops},
                         {"factor", factor.config()},
                         {"interpolation", interpolation},
                         {"seed", seed}});
  }
};

struct AugMixImpl : AugmentingImpl {
  AugMixOptions o;
  explicit AugMixImpl(const AugMixOptions& options) : o(options) {
    init_image("AugMix", o);
    range = value_range(*this, o.value_range.serialize(), false);
    factor = factor_bounds(*this, "factor", o.factor.serialize(), 0, 1);
    interpolation = o.interpolation;
    init_seed(o.seed);
    std::vector<const char*> made{"random_shear",         "random_translation", "random_rotation", "solarization",
                                  "random_posterization", "auto_contrast",      "equalization"};
    std::vector<const char*> numbered{"random_shear", "random_translation", "random_rotation", "random_posterization",
                                      "solarization", "auto_contrast",      "equalization"};
    if (o.all_ops)
      for (std::vector<const char*>* list : {&made, &numbered})
        list->insert(list->end(), {"random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness"});
    make_all(made, numbered, o.data_format);
  }
  Transformation draw(const Shape& s, bool single, bool training, const random::Seed& from) override {
    if (!training) return {};
    Tensor weights = random::gamma({o.num_chains}, Tensor::full({}, o.alpha), {.seed = from});
    weights = weights / ops::sum(weights, -1, true);
    Transformation t(Tensors{weights, random::beta({}, Tensor::full({}, o.alpha), Tensor::full({}, o.alpha), {.seed = from})});
    for (int64_t i = 0; i < o.num_chains; ++i) {
      std::vector<std::pair<size_t, Transformation>> chain;
      for (int64_t k = 0; k < o.chain_depth; ++k) {
        // Python's random.choice among the layers and None.
        auto which = static_cast<size_t>(random::python_random().randint(0, static_cast<int64_t>(layers.size())));
        if (which < layers.size()) chain.emplace_back(which, layers[which]->draw(s, single, true, generator));
      }
      t.chains.push_back(std::move(chain));
    }
    return t;
  }
  Tensor blended(const Tensor& x, const Transformation& t, bool masks) const {
    Tensor sum = ops::zeros_like(x);
    for (size_t i = 0; i < t.chains.size(); ++i) {
      Tensor y = x;
      for (const auto& [which, drawn] : t.chains[i])
        y = masks ? layers[which]->transform_masks(y, drawn, true) : layers[which]->transform(y, drawn, true);
      auto at = static_cast<int64_t>(i);
      sum = sum + y * ops::reshape(prims::slice_axis(to_compute(t[0]), 0, at, at + 1), Shape{});
    }
    Tensor share = to_compute(t[1]);
    return share * x + ops::subtract(1.0, share) * sum;
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    Tensor x = to_compute(images);
    return training ? to_compute(ops::clip(blended(x, t, false), range.low(), range.high())) : x;
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override {
    return training ? blended(to_compute(masks), t, true) : masks;
  }
  Dict own_config() const override {
    return image_config({{"value_range", range.config()},
                         {"num_chains", o.num_chains},
                         {"chain_depth", o.chain_depth},
                         {"factor", factor.config()},
                         {"alpha", o.alpha},
                         {"all_ops", o.all_ops},
                         {"interpolation", interpolation},
                         {"seed", seed}});
  }
};

}  // namespace

RandomErasing::RandomErasing(const Range& f, const RandomErasingOptions& o) : Layer(make_impl<RandomErasingImpl>(f.serialize(), o)) {}
Layer RandomErasing::from_config(const Dict& c) {
  return RandomErasing(Range(c.at("factor")), options_from<RandomErasingOptions>(c, "RandomErasing"));
}
MixUp::MixUp(double alpha, const MixUpOptions& o) : Layer(make_impl<MixUpImpl>(alpha, o)) {}
Layer MixUp::from_config(const Dict& c) { return MixUp(c.at("alpha").as_float(), options_from<MixUpOptions>(c, "MixUp")); }
CutMix::CutMix(const Range& f, const CutMixOptions& o) : Layer(make_impl<CutMixImpl>(f.serialize(), o)) {}
Layer CutMix::from_config(const Dict& c) { return CutMix(Range(c.at("factor")), options_from<CutMixOptions>(c, "CutMix")); }
RandAugment::RandAugment(const RandAugmentOptions& o) : Layer(make_impl<RandAugmentImpl>(o)) {}
Layer RandAugment::from_config(const Dict& c) { return RandAugment(options_from<RandAugmentOptions>(c, "RandAugment")); }
AugMix::AugMix(const AugMixOptions& o) : Layer(make_impl<AugMixImpl>(o)) {}
Layer AugMix::from_config(const Dict& c) { return AugMix(options_from<AugMixOptions>(c, "AugMix")); }

}  // namespace keras::layers
