// What lives here: Input, where a model's graph begins.
#pragma once
#include <concepts>

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
Tensor Input(const Shape& shape, const InputOptions& options = {});
/// The form with keywords only: `Input({.batch_shape = Shape{8, 10}})`. A template, so that `Input({3})` means the shape.
template <std::same_as<InputOptions> Options = InputOptions> Tensor Input(const Options& options) {
  if (!options.batch_shape) throw ValueError("Input needs a shape or a batch_shape");
  return Input(Shape{}, options);
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
