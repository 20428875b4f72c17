// What lives here: the layers that move the pixels of images about at random, in training.
#pragma once
#include <keras/layers/preprocessing/image_options.h>

namespace keras::layers {

struct RandomFlipOptions {
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed, data_format, bounding_box_format)
};
/// Keras' RandomFlip: mirrors half of the images. `mode`: "horizontal", "vertical" or "horizontal_and_vertical".
class RandomFlip : public Layer {
 public:
  explicit RandomFlip(const std::string& mode = "horizontal_and_vertical", const RandomFlipOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomRotationOptions {
  /// What stands outside the image: "reflect", "wrap", "constant" (`fill_value`), "nearest".
  std::string fill_mode = "reflect";
  /// "nearest" or "bilinear".
  std::string interpolation = "bilinear";
  std::optional<int64_t> seed{};
  double fill_value = 0.0;
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(fill_mode, interpolation, seed, fill_value, data_format, bounding_box_format)
};
/// Keras' RandomRotation: turns images about their middle; `factor` is a fraction of a full turn, in [-1, 1].
class RandomRotation : public Layer {
 public:
  explicit RandomRotation(const Range& factor, const RandomRotationOptions& options = {});
  static Layer from_config(const Dict& config);
};

/// Keras' RandomTranslation: shifts images by fractions of their height and width, in [-1, 1].
class RandomTranslation : public Layer {
 public:
  RandomTranslation(const Range& height_factor, const Range& width_factor, const RandomRotationOptions& options = {});
  static Layer from_config(const Dict& config);
};

/// Keras' RandomZoom: a factor of -0.5 shows half of the image, one of 0.5 half as much again. Without `width_factor` proportions are kept.
class RandomZoom : public Layer {
 public:
  explicit RandomZoom(const Range& height_factor, const std::optional<Range>& width_factor = {}, const RandomRotationOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomShearOptions {
  std::string interpolation = "bilinear", fill_mode = "reflect";
  double fill_value = 0.0;
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(interpolation, fill_mode, fill_value, seed, data_format, bounding_box_format)
};
/// Keras' RandomShear: slants images; factors in [0, 1].
class RandomShear : public Layer {
 public:
  explicit RandomShear(const Range& x_factor = 0.0, const Range& y_factor = 0.0, const RandomShearOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomPerspectiveOptions {
  std::string interpolation = "bilinear";
  double fill_value = 0.0;
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(interpolation, fill_value, seed, data_format, bounding_box_format)
};
/// Keras' RandomPerspective: moves the corners of images by up to `scale` / 2 of their place; `factor` is how often, in [0, 1].
class RandomPerspective : public Layer {
 public:
  explicit RandomPerspective(const Range& factor = 1.0, double scale = 1.0, const RandomPerspectiveOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomElasticTransformOptions {
  std::string interpolation = "bilinear", fill_mode = "reflect";
  double fill_value = 0.0;
  Range value_range{0, 255};
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(interpolation, fill_mode, fill_value, value_range, seed, data_format, bounding_box_format)
};
/// Keras' RandomElasticTransform: moves pixels by smoothed noise; `factor` is how often, `scale` how far, both in [0, 1].
class RandomElasticTransform : public Layer {
 public:
  explicit RandomElasticTransform(const Range& factor = 1.0, const Range& scale = 1.0, const RandomElasticTransformOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
