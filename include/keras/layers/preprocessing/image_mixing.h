// What lives here: the layers that cut, mix and combine: RandomErasing, MixUp, CutMix, RandAugment, AugMix.
#pragma once
#include <keras/layers/preprocessing/image_options.h>

namespace keras::layers {

struct RandomErasingOptions {
  /// Share of the image that is erased, in [0, 1].
  Range scale{0.02, 0.33};
  /// A number, a list of three (one per channel), or null: noise.
  Value fill_value{};
  Range value_range{0, 255};
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(scale, fill_value, value_range, seed, data_format, bounding_box_format)
};
/// Keras' RandomErasing: fills a rectangle of images; `factor` is how often, in [0, 1].
class RandomErasing : public Layer {
 public:
  explicit RandomErasing(const Range& factor = 1.0, const RandomErasingOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct MixUpOptions {
  std::optional<std::string> data_format{};
  std::optional<int64_t> seed{};
  std::optional<std::string> bounding_box_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format, seed, bounding_box_format)
};
/// Keras' MixUp: a weighted sum of each image with another of the batch; the weight comes from Beta(alpha, alpha).
/// Labels, which must be mixed by the same draw: `layer(images, labels, {.training = true})` gives both.
class MixUp : public Layer {
 public:
  explicit MixUp(double alpha = 0.2, const MixUpOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct CutMixOptions {
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed, data_format, bounding_box_format)
};
/// Keras' CutMix: a rectangle of each image comes from another of the batch. `layer(images, labels)` mixes the labels too.
class CutMix : public Layer {
 public:
  explicit CutMix(const Range& factor = 1.0, const CutMixOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RandAugmentOptions {
  Range value_range{0, 255};
  int64_t num_ops = 2;
  Range factor = 0.5;
  std::string interpolation = "bilinear";
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, num_ops, factor, interpolation, seed, data_format, bounding_box_format)
};
/// Keras' RandAugment: `num_ops` of eleven augmentations, drawn for each batch. Cubuk et al., 2019.
class RandAugment : public Layer {
 public:
  explicit RandAugment(const RandAugmentOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct AugMixOptions {
  Range value_range{0, 255};
  int64_t num_chains = 3, chain_depth = 3;
  Range factor = 0.3;
  double alpha = 1.0;
  bool all_ops = true;
  std::string interpolation = "bilinear";
  std::optional<int64_t> seed{};
  KERAS_IMAGE_OPTIONS
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_range, num_chains, chain_depth, factor, alpha, all_ops, interpolation, seed, data_format, bounding_box_format)
};
/// Keras' AugMix: a weighted sum of the image and of several chains of augmentations. Hendrycks et al., 2019. Which augmentations a chain
/// has is drawn when the call is traced, as in Keras.
class AugMix : public Layer {
 public:
  explicit AugMix(const AugMixOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
