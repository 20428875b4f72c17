// What lives here: the layers that change the size of images: Resizing, CenterCrop, RandomCrop.
#pragma once
#include <keras/layers/preprocessing/image_options.h>

namespace keras::layers {

struct ResizingOptions {
  /// "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5".
  std::string interpolation = "bilinear";
  /// Keep the proportions: cut off what is too long, or fill up what is too short. Not both.
  bool crop_to_aspect_ratio = false, pad_to_aspect_ratio = false;
  std::string fill_mode = "constant";
  double fill_value = 0.0;
  bool antialias = false;
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_mode, fill_value, antialias, data_format, bounding_box_format)
};
/// Keras' Resizing: (batch, H, W, C) or (H, W, C) → the same with `height` and `width`. Whole numbers stay whole: they are rounded.
///
///     keras::layers::Resizing(32, 32, {.interpolation = "nearest"});
class Resizing : public Layer {
 public:
  Resizing(int64_t height, int64_t width, const ResizingOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct CenterCropOptions {
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format, bounding_box_format)
};
/// Keras' CenterCrop: the middle `height` x `width` of each image; smaller images are cut to these proportions and resized.
class CenterCrop : public Layer {
 public:
  CenterCrop(int64_t height, int64_t width, const CenterCropOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomCropOptions {
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed, data_format, bounding_box_format)
};
/// Keras' RandomCrop: in training a window of `height` x `width`, the same for the whole batch; images that are no larger are cut and
/// resized. In inference images pass unchanged. Height and width of the input must be known.
class RandomCrop : public Layer {
 public:
  RandomCrop(int64_t height, int64_t width, const RandomCropOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
