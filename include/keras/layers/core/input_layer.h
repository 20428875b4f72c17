// What lives here: Input, where a model's graph begins.
#pragma once
#include <concepts>
#include <initializer_list>

#include <keras/layers/layer.h>

namespace keras {

struct InputOptions {
  std::optional<int64_t> batch_size{};
  std::optional<std::string> dtype{};
  bool sparse = false;
  bool ragged = false;
  std::optional<std::string> name{};
  std::optional<Shape> batch_shape{};
  bool optional = false;
  KERAS_FIELDS(batch_size, dtype, sparse, ragged, name, batch_shape, optional)
};

/// A symbolic tensor that stands for the input of a model. `shape` is without the batch axis: `Input({784})` has shape (None, 784).
Tensor Input(std::initializer_list<int64_t> shape, const InputOptions& options = {});
/// The form with keywords only: `Input({.batch_shape = Shape{8, 10}})`.
Tensor Input(const InputOptions& options);
/// A template, so that one keyword in braces means the keyword.
template <std::same_as<Shape> S> Tensor Input(const S& shape, const InputOptions& options = {}) {
  InputOptions o = options;
  if (!o.batch_shape) o.batch_shape = Shape{o.batch_size.value_or(None)} + shape;
  return Input(o);
}

namespace layers {
using keras::Input;

/// The layer behind Input, first in the layers of a functional model.
class InputLayer : public Layer {
 public:
  explicit InputLayer(const Shape& batch_shape, const InputOptions& options = {});
  static Layer from_config(const Dict& config);
};
}  // namespace layers

}  // namespace keras
