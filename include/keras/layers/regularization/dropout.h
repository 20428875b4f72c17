// What lives here: layers that disturb their input in training: Dropout, SpatialDropout, GaussianNoise, GaussianDropout, AlphaDropout.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

// All of them draw with a generator of their own, whose state is among the layer's variables; without a seed one is drawn when the
// layer is made. A rate (deviation) of 0 draws nothing. ValueError outside [0, 1]. In inference they give the input.

struct DropoutOptions {
  /// Sizes of the mask, None where it follows the input; 1 shares it along an axis.
  std::optional<Shape> noise_shape{};
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed, noise_shape)
};
/// Keras' Dropout: in training, sets a fraction `rate` of the inputs to 0 and scales the others by 1 / (1 - rate).
class Dropout : public Layer {
 public:
  explicit Dropout(double rate, const DropoutOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct SpatialDropout1DOptions {
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed)
};
struct SpatialDropoutOptions {
  /// "channels_last" or "channels_first".
  std::optional<std::string> data_format{};
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed, data_format)
};
/// Keras' SpatialDropout1D: drops whole features of a sequence (batch, steps, features): all steps of one alike.
class SpatialDropout1D : public Layer {
 public:
  explicit SpatialDropout1D(double rate, const SpatialDropout1DOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' SpatialDropout2D: drops whole channels of images.
class SpatialDropout2D : public Layer {
 public:
  explicit SpatialDropout2D(double rate, const SpatialDropoutOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' SpatialDropout3D: drops whole channels of volumes.
class SpatialDropout3D : public Layer {
 public:
  explicit SpatialDropout3D(double rate, const SpatialDropoutOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct GaussianOptions {
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(seed)
};
/// Keras' GaussianNoise: in training, adds normal noise of mean 0 and deviation `stddev`.
class GaussianNoise : public Layer {
 public:
  explicit GaussianNoise(double stddev, const GaussianOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' GaussianDropout: in training, multiplies by normal noise of mean 1 and deviation sqrt(rate / (1 - rate)).
class GaussianDropout : public Layer {
 public:
  explicit GaussianDropout(double rate, const GaussianOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' AlphaDropout: dropout that keeps mean and variance of its inputs, for nets of selu.
class AlphaDropout : public Layer {
 public:
  explicit AlphaDropout(double rate, const DropoutOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
