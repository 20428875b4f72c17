// What lives here: Resizing, CenterCrop, RandomCrop.
#include <keras/layers/preprocessing/resizing.h>

#include <algorithm>

#include "layers/preprocessing/image_layer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

struct SizedImpl : ImageLayer {
  int64_t height, width;
  SizedImpl(int64_t h, int64_t w) : height(h), width(w) {}
  void check_size() const {
    if (height < 1) option_error("height", "a whole number >= 1", height);
    if (width < 1) option_error("width", "a whole number >= 1", width);
  }
  Shape output_shape(Shape s) const override {
    int shift = s.rank() == 3 ? -1 : 0;
    s[height_axis() + shift] = height;
    s[width_axis() + shift] = width;
    return s;
  }
  Tensor window(const Tensor& x, int64_t h, int64_t w, int64_t rows, int64_t columns) const {
    return prims::slice_axis(prims::slice_axis(x, height_axis(), h, h + rows), width_axis(), w, w + columns);
  }
  /// The largest window of the target's proportions: (top, left, rows, columns).
  std::array<int64_t, 4> fitting(int64_t H, int64_t W) const {
    int64_t rows = static_cast<int64_t>(static_cast<double>(W * height) / static_cast<double>(width));
    int64_t columns = static_cast<int64_t>(static_cast<double>(H * width) / static_cast<double>(height));
    rows = std::max<int64_t>(std::min(H, rows), 1);
    columns = std::max<int64_t>(std::min(W, columns), 1);
    return {(H - rows) / 2, (W - columns) / 2, rows, columns};
  }
};

struct ResizingImpl : SizedImpl {
  ResizingOptions o;
  ResizingImpl(int64_t h, int64_t w, const ResizingOptions& options) : SizedImpl(h, w), o(options) {
    init_image("Resizing", o);
    check_size();
    one_of("interpolation", o.interpolation, {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"});
    if (o.crop_to_aspect_ratio && o.pad_to_aspect_ratio)
      option_error("pad_to_aspect_ratio", "only one of crop_to_aspect_ratio and pad_to_aspect_ratio", true);
    if (o.pad_to_aspect_ratio) one_of("fill_mode", o.fill_mode, {"constant"});
  }
  Tensor resized(const Tensor& x, const std::string& how) const {
    Tensor y = ops::image::resize(x, {height, width}, how, o.antialias, o.crop_to_aspect_ratio, o.pad_to_aspect_ratio, o.fill_mode,
                                  o.fill_value, data_format);
    if (y.dtype() == x.dtype()) return y;
    if (is_integer(x.dtype())) y = ops::round(y);
    return ops::saturate_cast(y, x.dtype());
  }
  Tensor transform(const Tensor& x, const Transformation&, bool) override { return resized(x, o.interpolation); }
  Tensor transform_masks(const Tensor& masks, const Transformation&, bool) override { return resized(masks, "nearest"); }
  Dict own_config() const override {
    return image_config({{"height", height},
                         {"width", width},
                         {"interpolation", o.interpolation},
                         {"crop_to_aspect_ratio", o.crop_to_aspect_ratio},
                         {"pad_to_aspect_ratio", o.pad_to_aspect_ratio},
                         {"fill_mode", o.fill_mode},
                         {"fill_value", o.fill_value},
                         {"antialias", o.antialias},
                         {"data_format", data_format}});
  }
};

struct CenterCropImpl : SizedImpl {
  CenterCropImpl(int64_t h, int64_t w, const CenterCropOptions& o) : SizedImpl(h, w) {
    init_image("CenterCrop", o);
    check_size();
  }
  Tensor transform(const Tensor& images, const Transformation&, bool) override {
    Tensor x = to_compute(images);
    int64_t H = x.shape()[height_axis()], W = x.shape()[width_axis()];
    if (H >= height && W >= width) return window(x, (H - height) / 2, (W - width) / 2, height, width);
    auto [top, left, rows, columns] = fitting(H, W);
    return ops::image::resize(window(x, top, left, rows, columns), {height, width}, "bilinear", false, false, false, "constant", 0.0,
                              data_format);
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool training) override { return transform(masks, t, training); }
  Dict own_config() const override { return image_config({{"height", height}, {"width", width}}); }
};

struct RandomCropImpl : SizedImpl {
  RandomCropImpl(int64_t h, int64_t w, const RandomCropOptions& o) : SizedImpl(h, w) {
    init_image("RandomCrop", o);
    check_size();
    int64_t kept = o.seed ? *o.seed : random::default_seed();  // Keras writes this one into the configuration and draws another
    init_seed(o.seed);
    seed = kept;
  }
  Transformation draw(const Shape& s, bool, bool training, const random::Seed& from) override {
    int64_t H = s[height_axis()], W = s[width_axis()];
    if (!training || H <= height || W <= width) return {};
    auto place = [&](int64_t room) {
      return ops::cast(random::uniform({}, {.maxval = static_cast<double>(room + 1), .seed = from}), DType::Int32);
    };
    Tensor top = place(H - height);
    return Tensors{top, place(W - width)};
  }
  Tensor transform(const Tensor& images, const Transformation& t, bool training) override {
    if (!training) return images;
    Tensor x = to_compute(images);
    if (t.made) {
      Tensor zero = Tensor::full({}, 0, DType::Int32);
      Tensors start{zero, zero, zero, zero};
      start[static_cast<size_t>(height_axis())] = t[0];
      start[static_cast<size_t>(width_axis())] = t[1];
      return ops::slice(x, ops::stack(start), output_shape(x.shape()));
    }
    auto [top, left, rows, columns] = fitting(x.shape()[height_axis()], x.shape()[width_axis()]);
    x = window(x, top, left, height, width);
    if (x.shape()[height_axis()] == height && x.shape()[width_axis()] == width) return x;
    return to_compute(ops::image::resize(x, {height, width}, "bilinear", false, false, false, "constant", 0.0, data_format));
  }
  Tensor transform_masks(const Tensor& masks, const Transformation& t, bool) override { return transform(masks, t, true); }
  Dict own_config() const override { return image_config({{"height", height}, {"width", width}, {"seed", seed}}); }
};

}  // namespace

Resizing::Resizing(int64_t h, int64_t w, const ResizingOptions& o) : Layer(make_impl<ResizingImpl>(h, w, o)) {}
Layer Resizing::from_config(const Dict& c) {
  return Resizing(c.at("height").as_int(), c.at("width").as_int(), options_from<ResizingOptions>(c, "Resizing"));
}
CenterCrop::CenterCrop(int64_t h, int64_t w, const CenterCropOptions& o) : Layer(make_impl<CenterCropImpl>(h, w, o)) {}
Layer CenterCrop::from_config(const Dict& c) {
  return CenterCrop(c.at("height").as_int(), c.at("width").as_int(), options_from<CenterCropOptions>(c, "CenterCrop"));
}
RandomCrop::RandomCrop(int64_t h, int64_t w, const RandomCropOptions& o) : Layer(make_impl<RandomCropImpl>(h, w, o)) {}
Layer RandomCrop::from_config(const Dict& c) {
  return RandomCrop(c.at("height").as_int(), c.at("width").as_int(), options_from<RandomCropOptions>(c, "RandomCrop"));
}

}  // namespace keras::layers
