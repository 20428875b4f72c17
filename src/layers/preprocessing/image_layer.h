// What lives here: the inside that all image layers share, after Keras' BaseImagePreprocessingLayer: batch or single image, what is drawn,
// what is done with it, and the kinds of options that several have. No layer of its own.
#pragma once
#include <keras/layers/preprocessing/image_options.h>
#include <keras/ops.h>

#include "layers/layer_impl.h"

namespace keras::layers {

/// What was drawn for one call: tensors in the layer's own order; what the layers inside of it drew.
struct Transformation {
  bool made = false;  // false is Keras' None
  Tensors values;
  std::vector<Transformation> parts;
  /// Which layer each of `parts` belongs to, where that is drawn too.
  std::vector<std::vector<std::pair<size_t, Transformation>>> chains;

  Transformation() = default;
  Transformation(Tensors drawn) : made(true), values(std::move(drawn)) {}
  const Tensor& operator[](size_t i) const { return values.at(i); }
};

struct ImageLayer : LayerImpl {
  std::string data_format;
  std::optional<std::string> bounding_box_format;
  std::optional<int64_t> seed;
  random::SeedGenerator generator{nullptr};

  template <class Options> void init_image(const std::string& class_name, const Options& o) {
    init_common(class_name, o);
    set_formats(o.data_format, o.bounding_box_format);
  }
  /// The layer's generator, from the seed given or one drawn now.
  void init_seed(const std::optional<int64_t>& s) {
    seed = s;
    generator = random::SeedGenerator(s);
    add_seed(generator);
  }

  // ---- what a layer overrides
  /// Draws for images of shape `s`, always a batch; `single` where the caller gave one image. Keras draws in inference too in some layers.
  virtual Transformation draw(const Shape& /*s*/, bool /*single*/, bool /*training*/, const random::Seed& /*from*/) { return {}; }
  /// The images (batch, …) after it.
  virtual Tensor transform(const Tensor& images, const Transformation& t, bool training) = 0;
  virtual Tensor transform_labels(const Tensor& labels, const Transformation&, bool) { return labels; }
  virtual Tensor transform_masks(const Tensor& masks, const Transformation&, bool) { return masks; }
  virtual Shape output_shape(Shape images) const { return images; }
  virtual DType output_dtype(DType) const { return compute_dtype_; }

  // ---- the layer
  bool training_default() const override { return true; }
  Tensors call(const Call& c) override;
  std::vector<ir::Type> output_types(const core::CallArgs& args) override;
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override;

  // ---- help
  bool channels_first() const { return data_format == "channels_first"; }
  /// Axes of a batch.
  int height_axis() const { return channels_first() ? 2 : 1; }
  int width_axis() const { return channels_first() ? 3 : 2; }
  int channel_axis() const { return channels_first() ? 1 : 3; }
  Tensor to_compute(const Tensor& x) const { return x.dtype() == compute_dtype_ ? x : ops::cast(x, compute_dtype_); }
  /// data_format and bounding_box_format, then the given entries: Keras' order.
  Dict image_config(std::initializer_list<std::pair<std::string, Value>> own) const;
  void set_formats(const std::optional<std::string>& format, const std::optional<std::string>& boxes);
  [[noreturn]] void option_error(const std::string& option, const std::string& expected, const Value& received) const;
  void one_of(const std::string& option, const std::string& value, const std::vector<std::string>& known) const;
};

/// (lower, upper) of a factor or value range, as configurations hold them and as numbers.
struct Bounds {
  Value lower, upper;
  double low() const { return lower.as_float(); }
  double high() const { return upper.as_float(); }
  Value config() const { return List{lower, upper}; }
};

/// Two numbers in [least, most], sorted; a number f is (-f, f), or (least, f) where -f would be below. `each`: both numbers of a list must
/// lie inside; Keras checks only that the range is not wholly outside in most layers.
Bounds factor_bounds(const ImageLayer& layer, const char* option, const Value& given, int least, int most, bool each = false);
/// Two numbers; sorted where Keras sorts them.
Bounds value_range(const ImageLayer& layer, const Value& given, bool sorted = true);

/// `images` brought from one range to another, in `dtype`; unchanged where the ranges are equal.
Tensor transform_value_range(const Tensor& images, const Bounds& from, const Bounds& to, DType dtype);
inline Bounds bytes() { return {Value(0), Value(255)}; }
inline Bounds unit() { return {Value(0), Value(1)}; }

/// The columns (B,), (B, 1) or numbers side by side: (B, columns.size()).
Tensor side_by_side(const Tensors& columns, int64_t batch);
/// (B,) as (B, 1, 1, 1).
inline Tensor per_image(const Tensor& x) { return ops::reshape(x, {x.shape()[0], 1, 1, 1}); }
/// Draws of a share of the batch: a probability per image in `factor`, then a threshold; true where the threshold is lower.
Tensor draw_chosen(int64_t batch, const Bounds& factor, const random::Seed& from);

// The layers that others are made of.
using ImagePtr = std::shared_ptr<ImageLayer>;
/// The inside of a handle on an image layer.
inline ImagePtr image_layer(const Layer& l) { return std::dynamic_pointer_cast<ImageLayer>(l.impl()); }

}  // namespace keras::layers
