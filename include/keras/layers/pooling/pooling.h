// What lives here: pooling layers: windows, global, adaptive; maximum and average; in one, two and three dimensions.
#pragma once
#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

struct PoolingOptions {
  /// Default: the pool size.
  std::optional<Sizes> strides{};
  std::string padding = "valid";
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(padding, data_format)
};
struct GlobalPoolingOptions {
  std::optional<std::string> data_format{};
  bool keepdims = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format, keepdims)
};
struct AdaptivePoolingOptions {
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format)
};

/// Keras' MaxPooling and AveragePooling: the greatest, or the mean, of each window; channels are kept. Padding is not counted in a mean.
///
///     keras::layers::MaxPooling2D({2, 2}, {.padding = "same"});
template <int Rank, bool Max> class Pooling : public Layer {
 public:
  explicit Pooling(const Sizes& pool_size = 2, const PoolingOptions& options = {});
  KERAS_EMPTY_BRACES(Pooling)
  static Layer from_config(const Dict& config);
};
/// Keras' GlobalMaxPooling and GlobalAveragePooling: (batch, spatial…, channels) → (batch, channels). In one dimension the average leaves
/// masked steps out.
template <int Rank, bool Max> class GlobalPooling : public Layer {
 public:
  explicit GlobalPooling(const GlobalPoolingOptions& options = {});
  KERAS_EMPTY_BRACES(GlobalPooling)
  static Layer from_config(const Dict& config);
};
/// Keras' AdaptiveMaxPooling and AdaptiveAveragePooling: windows that divide each axis into `output_size` parts.
template <int Rank, bool Max> class AdaptivePooling : public Layer {
 public:
  explicit AdaptivePooling(const Sizes& output_size, const AdaptivePoolingOptions& options = {});
  static Layer from_config(const Dict& config);
};

using MaxPooling1D = Pooling<1, true>;
using MaxPooling2D = Pooling<2, true>;
using MaxPooling3D = Pooling<3, true>;
using AveragePooling1D = Pooling<1, false>;
using AveragePooling2D = Pooling<2, false>;
using AveragePooling3D = Pooling<3, false>;
using MaxPool1D = MaxPooling1D;
using MaxPool2D = MaxPooling2D;
using MaxPool3D = MaxPooling3D;
using AvgPool1D = AveragePooling1D;
using AvgPool2D = AveragePooling2D;
using AvgPool3D = AveragePooling3D;
using GlobalMaxPooling1D = GlobalPooling<1, true>;
using GlobalMaxPooling2D = GlobalPooling<2, true>;
using GlobalMaxPooling3D = GlobalPooling<3, true>;
using GlobalAveragePooling1D = GlobalPooling<1, false>;
using GlobalAveragePooling2D = GlobalPooling<2, false>;
using GlobalAveragePooling3D = GlobalPooling<3, false>;
using GlobalMaxPool1D = GlobalMaxPooling1D;
using GlobalMaxPool2D = GlobalMaxPooling2D;
using GlobalMaxPool3D = GlobalMaxPooling3D;
using GlobalAvgPool1D = GlobalAveragePooling1D;
using GlobalAvgPool2D = GlobalAveragePooling2D;
using GlobalAvgPool3D = GlobalAveragePooling3D;
using AdaptiveMaxPooling1D = AdaptivePooling<1, true>;
using AdaptiveMaxPooling2D = AdaptivePooling<2, true>;
using AdaptiveMaxPooling3D = AdaptivePooling<3, true>;
using AdaptiveAveragePooling1D = AdaptivePooling<1, false>;
using AdaptiveAveragePooling2D = AdaptivePooling<2, false>;
using AdaptiveAveragePooling3D = AdaptivePooling<3, false>;

#define KERAS_POOLINGS(X) X(1, true) X(2, true) X(3, true) X(1, false) X(2, false) X(3, false)
#define X(rank, max)                              \
  extern template class Pooling<rank, max>;       \
  extern template class GlobalPooling<rank, max>; \
  extern template class AdaptivePooling<rank, max>;
KERAS_POOLINGS(X)
#undef X

}  // namespace keras::layers
