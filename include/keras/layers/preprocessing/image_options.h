// What lives here: what the options of all image layers share. No layers.
#pragma once
#include <concepts>
#include <type_traits>

#include <keras/layers/layer.h>

// The fields that the options of every image layer have beside KERAS_LAYER_OPTIONS.
#define KERAS_IMAGE_OPTIONS                          \
  std::optional<std::string> data_format{};          \
  /* How boxes are written; kept for saved files. */ \
  std::optional<std::string> bounding_box_format{};

namespace keras::layers {

/// One number or (lower, upper): the factors and value ranges of image layers. `RandomRotation(0.2)`, `RandomRotation({-0.1, 0.2})`.
/// Whole numbers stay whole in configurations, as in Keras.
class Range {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Range(T number) : value_(number) {}
  template <class T, class U>
  requires(std::is_arithmetic_v<T>&& std::is_arithmetic_v<U>) Range(T lower, U upper) : value_(List{Value(lower), Value(upper)}) {}
  explicit Range(Value configuration) : value_(std::move(configuration)) {}
  /// As given: a number, or a list.
  const Value& serialize() const { return value_; }

 private:
  Value value_;
};

}  // namespace keras::layers
