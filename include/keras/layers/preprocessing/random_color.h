// What lives here: the layers that change the colours of images, most of them at random and in training.
#pragma once
#include <keras/layers/preprocessing/image_options.h>

namespace keras::layers {

/// `value_range` is that of the images' numbers: {0, 255} or {0, 1}.
struct RandomColorOptions {
  Range value_range{0, 255};
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, seed, data_format, bounding_box_format)
};

/// Keras' RandomContrast: moves pixels away from the image's mean, or towards it, by 1 - lower to 1 + upper; factors in [0, 1].
class RandomContrast : public Layer {
 public:
  explicit RandomContrast(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomBrightness: adds a share of the value range; factors in [-1, 1].
class RandomBrightness : public Layer {
 public:
  explicit RandomBrightness(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomHue: turns the hue of RGB images by up to half of `factor`, in [0, 1], either way.
class RandomHue : public Layer {
 public:
  explicit RandomHue(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomSaturation: multiplies the saturation of RGB images by f / (1 - f); 0.5 keeps it.
class RandomSaturation : public Layer {
 public:
  explicit RandomSaturation(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomColorDegeneration: blends RGB images with their grey ones; 1 is all grey.
class RandomColorDegeneration : public Layer {
 public:
  explicit RandomColorDegeneration(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomPosterization: keeps the `factor` (1 to 8) highest bits of each value.
class RandomPosterization : public Layer {
 public:
  explicit RandomPosterization(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomSharpness: 0 blurs, 0.5 keeps, 1 sharpens.
class RandomSharpness : public Layer {
 public:
  explicit RandomSharpness(const Range& factor, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' RandomInvert: turns values over; `factor` is how often, in [0, 1].
class RandomInvert : public Layer {
 public:
  explicit RandomInvert(const Range& factor = 1.0, const RandomColorOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomGrayscaleOptions {
  std::optional<std::string> data_format{};
  std::optional<int64_t> seed{};
  std::optional<std::string> bounding_box_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format, seed, bounding_box_format)
};
/// Keras' RandomGrayscale: makes a share `factor` of the RGB images grey; they keep three channels.
class RandomGrayscale : public Layer {
 public:
  explicit RandomGrayscale(const Range& factor = 0.5, const RandomGrayscaleOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomColorJitterOptions {
  Range value_range{0, 255};
  /// Of RandomBrightness, RandomContrast, RandomSaturation, RandomHue, which act in this order; one that is not given does not act.
  std::optional<Range> brightness_factor{}, contrast_factor{}, saturation_factor{}, hue_factor{};
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, brightness_factor, contrast_factor, saturation_factor, hue_factor, seed, data_format, bounding_box_format)
};
/// Keras' RandomColorJitter: brightness, contrast, saturation and hue, one after the other.
class RandomColorJitter : public Layer {
 public:
  explicit RandomColorJitter(const RandomColorJitterOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandomGaussianBlurOptions {
  /// Odd sizes: one, or (width, height).
  Range kernel_size = 3;
  /// In [0, 1].
  Range sigma = 1.0;
  Range value_range{0, 255};
  std::optional<std::string> data_format{};
  std::optional<int64_t> seed{};
  std::optional<std::string> bounding_box_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(kernel_size, sigma, value_range, data_format, seed, bounding_box_format)
};
/// Keras' RandomGaussianBlur: blurs images; `factor` is how often, in [0, 1].
class RandomGaussianBlur : public Layer {
 public:
  explicit RandomGaussianBlur(const Range& factor = 1.0, const RandomGaussianBlurOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct SolarizationOptions {
  /// Shares of 255, in [0, 1]: what is added first, and from where on values are turned over.
  Range addition_factor = 0.0, threshold_factor = 0.0;
  Range value_range{0, 255};
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(addition_factor, threshold_factor, value_range, seed, data_format, bounding_box_format)
};
/// Keras' Solarization: adds, then turns over the values from a threshold on.
class Solarization : public Layer {
 public:
  explicit Solarization(const SolarizationOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct EqualizationOptions {
  Range value_range{0, 255};
  int64_t bins = 256;
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, bins, data_format, bounding_box_format)
};
/// Keras' Equalization: spreads the values of each channel evenly, over the histogram of the whole batch.
class Equalization : public Layer {
 public:
  explicit Equalization(const EqualizationOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct AutoContrastOptions {
  Range value_range{0, 255};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, data_format, bounding_box_format)
};
/// Keras' AutoContrast: stretches each image's values over the whole range, in inference too.
class AutoContrast : public Layer {
 public:
  explicit AutoContrast(const AutoContrastOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct ContrastLimitedAdaptiveHistogramEqualizationOptions {
  Range value_range{0, 255};
  double clip_limit = 4.0;
  /// Tiles along height and width.
  std::pair<int64_t, int64_t> tile_grid_size{8, 8};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, data_format, bounding_box_format)
};
/// Keras' ContrastLimitedAdaptiveHistogramEqualization (CLAHE): equalises tile by tile with limited slopes and blends the tiles.
class ContrastLimitedAdaptiveHistogramEqualization : public Layer {
 public:
  explicit ContrastLimitedAdaptiveHistogramEqualization(const ContrastLimitedAdaptiveHistogramEqualizationOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
