// What lives here: the check that every layer's test begins with: everything that must hold of any layer. No check of one layer's numbers.
#pragma once
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <keras/layers/layer.h>

namespace keras {
/// How GoogleTest prints a shape.
inline void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.str(); }
}  // namespace keras

namespace keras::testing {

/// What to feed, what to expect, what to leave out. All shapes have the batch axis.
struct LayerCheck {
  std::vector<Shape> input_shapes{};
  /// Per input; float32 where none is given. Whole numbers are drawn from [0, int_limit).
  std::vector<DType> input_dtypes{};
  int64_t int_limit = 2;
  /// Range that floats are drawn from.
  double low = -1.0, high = 1.0;
  /// Given inputs instead of drawn ones.
  Tensors inputs{};
  /// Masks of the inputs (an undefined one: none). By default layers that support masking get drawn ones (batch, axis 1).
  Tensors masks{};
  bool draw_masks = true;
  /// How to call it. By default `layer(x)` for one input and `layer({x...})` for several.
  std::function<Output(const Layer&, const Tensors& inputs, const CallOptions&)> call{};
  /// Axes that are also tried as None in symbolic calls, beside the batch.
  std::vector<int> unknown_axes{};
  /// Axes of the outputs that stay None in symbolic calls although the inputs' sizes are known.
  std::vector<int> open_axes{};

  // ---- expected, where given
  std::vector<Shape> output_shapes{};
  std::optional<DType> output_dtype{};
  std::optional<int> num_trainable_weights{}, num_non_trainable_weights{}, num_seeds{};
  std::optional<int64_t> count_params{};
  std::optional<bool> supports_masking{};
  /// One per output; an undefined one expects none. Checked when `masks` is given.
  std::optional<Tensors> output_masks{};
  /// The text that `json.dumps(layer.get_config())` gives in Keras (for the first layer of a session, so "dense", not "dense_1").
  std::string keras_config{};
  /// Numbers of the first output in inference, with the weights as initialised.
  Tensor output{};

  // ---- what to leave out
  bool dynamic_batch = true, config = true, gradient = true, training_gradient = true, input_gradient = true, training_step = true, mixed_precision = true;
  /// Moves float weights off their initial values first, so that zeros hide nothing.
  bool perturb_weights = true;
  double tolerance = 1e-5, gradient_tolerance = 1e-5;
};

/// Keras' configuration text from the layer's name and what follows its dtype: `keras_config_text("flatten", R"("data_format": "channels_last")")`.
inline std::string keras_config_text(const std::string& name, const std::string& rest = "") {
  return R"({"name": ")" + name + R"(", "trainable": true, "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null})" +
         (rest.empty() ? "" : ", ") + rest + "}";
}

/// Checks of a layer: symbolic shapes and dtypes = real ones, also for an unknown batch; counts; configuration and JSON there and back
/// = Keras'; weights given to the layer made from them = equal outputs; inference twice = equal; eager = compiled = compiled without
/// fusion, outputs and states, in both modes; masks; numeric gradients in float64; a training step lowers a loss; mixed precision.
/// `make` must give a new layer each time, without a fixed dtype.
void check_layer(const std::function<Layer()>& make, const LayerCheck& options);

}  // namespace keras::testing
