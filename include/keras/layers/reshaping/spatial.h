// What lives here: layers that change the sizes of spatial axes: ZeroPadding, Cropping and UpSampling in 1, 2 and 3 dimensions.
#pragma once
#include <array>

#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

/// What is added or cut at the two ends of each spatial axis: `1` for all ends; `{1, 2}` one number per axis (in one dimension: before
/// and after); `{{1, 2}, {3, 4}}` before and after for each axis.
class Edges {
 public:
  using Pair = std::array<int64_t, 2>;
  template <std::integral T> Edges(T all) : all_(true), one_{static_cast<int64_t>(all)} {}
  Edges(std::initializer_list<int64_t> one_each) : one_(one_each) {}
  Edges(std::initializer_list<std::pair<int64_t, int64_t>> both) {
    for (const auto& [before, after] : both) both_.push_back({before, after});
  }
  /// From a configuration.
  explicit Edges(const Value& v);
  /// Before and after for each of `rank` axes; ValueError naming `what` when the counts differ or a number is negative.
  std::vector<Pair> expand(int rank, const std::string& where, const char* what) const;

 private:
  bool all_ = false;
  std::vector<int64_t> one_;
  std::vector<Pair> both_;
};

struct ZeroPaddingOptions {
  /// "channels_last" or "channels_first".
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format)
};
/// Keras' ZeroPadding1D: zeros before and after each sequence: (batch, steps, features) → (batch, steps + before + after, features).
class ZeroPadding1D : public Layer {
 public:
  explicit ZeroPadding1D(const Edges& padding = 1, const ZeroPaddingOptions& options = {});
  KERAS_EMPTY_BRACES(ZeroPadding1D)
  static Layer from_config(const Dict& config);
};
/// Keras' ZeroPadding2D: zeros around each image: `ZeroPadding2D({{top, bottom}, {left, right}})`.
class ZeroPadding2D : public Layer {
 public:
  explicit ZeroPadding2D(const Edges& padding = 1, const ZeroPaddingOptions& options = {});
  KERAS_EMPTY_BRACES(ZeroPadding2D)
  static Layer from_config(const Dict& config);
};
/// Keras' ZeroPadding3D: zeros around each volume.
class ZeroPadding3D : public Layer {
 public:
  explicit ZeroPadding3D(const Edges& padding = 1, const ZeroPaddingOptions& options = {});
  KERAS_EMPTY_BRACES(ZeroPadding3D)
  static Layer from_config(const Dict& config);
};

struct Cropping1DOptions {
  KERAS_LAYER_OPTIONS
};
struct CroppingOptions {
  /// "channels_last" or "channels_first".
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format)
};
/// Keras' Cropping1D: cuts steps off both ends of each sequence. ValueError when nothing would be left, here and below.
class Cropping1D : public Layer {
 public:
  explicit Cropping1D(const Edges& cropping = 1, const Cropping1DOptions& options = {});
  KERAS_EMPTY_BRACES(Cropping1D)
  static Layer from_config(const Dict& config);
};
/// Keras' Cropping2D: cuts rows and columns off each image: `Cropping2D({{top, bottom}, {left, right}})`.
class Cropping2D : public Layer {
 public:
  explicit Cropping2D(const Edges& cropping = 0, const CroppingOptions& options = {});
  KERAS_EMPTY_BRACES(Cropping2D)
  static Layer from_config(const Dict& config);
};
/// Keras' Cropping3D: cuts each volume on all sides.
class Cropping3D : public Layer {
 public:
  explicit Cropping3D(const Edges& cropping = 1, const CroppingOptions& options = {});
  KERAS_EMPTY_BRACES(Cropping3D)
  static Layer from_config(const Dict& config);
};

struct UpSampling1DOptions {
  KERAS_LAYER_OPTIONS
};
struct UpSampling2DOptions {
  /// "channels_last" or "channels_first".
  std::optional<std::string> data_format{};
  /// "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
  std::string interpolation = "nearest";
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format, interpolation)
};
struct UpSampling3DOptions {
  /// "channels_last" or "channels_first".
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format)
};
/// Keras' UpSampling1D: each step `size` times: (batch, steps, features) → (batch, steps * size, features).
class UpSampling1D : public Layer {
 public:
  explicit UpSampling1D(int64_t size = 2, const UpSampling1DOptions& options = {});
  static Layer from_config(const Dict& config);
};
/// Keras' UpSampling2D: images made larger by whole factors for height and width, by repeating or interpolating.
class UpSampling2D : public Layer {
 public:
  explicit UpSampling2D(const Sizes& size = 2, const UpSampling2DOptions& options = {});
  KERAS_EMPTY_BRACES(UpSampling2D)
  static Layer from_config(const Dict& config);
};
/// Keras' UpSampling3D: volumes made larger by repeating.
class UpSampling3D : public Layer {
 public:
  explicit UpSampling3D(const Sizes& size = 2, const UpSampling3DOptions& options = {});
  KERAS_EMPTY_BRACES(UpSampling3D)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
