// What lives here: layers that give the same numbers another shape: Flatten, Reshape, Permute, RepeatVector.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct FlattenOptions {
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(data_format)
};
/// Keras' Flatten: (batch, …) → (batch, product of the rest). `data_format="channels_first"` moves the channels last before.
class Flatten : public Layer {
 public:
  explicit Flatten(const FlattenOptions& options = {});
  KERAS_EMPTY_BRACES(Flatten)
  static Layer from_config(const Dict& config);
};

struct ReshapeOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' Reshape: (batch, …) → (batch, target_shape); one size of the target may be -1. ValueError when the counts differ.
class Reshape : public Layer {
 public:
  explicit Reshape(const Shape& target_shape, const ReshapeOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct PermuteOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' Permute: axes after the batch in another order, counted from 1: `Permute({2, 1})` turns (batch, a, b) into (batch, b, a).
class Permute : public Layer {
 public:
  explicit Permute(const std::vector<int64_t>& dims, const PermuteOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct RepeatVectorOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' RepeatVector: (batch, features) → (batch, n, features).
class RepeatVector : public Layer {
 public:
  explicit RepeatVector(int64_t n, const RepeatVectorOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
