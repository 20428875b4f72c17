// What lives here: activations as layers: ReLU, LeakyReLU, PReLU, ELU, Softmax.
#pragma once
#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

struct ReLUOptions {
  std::optional<double> max_value{};
  double negative_slope = 0.0;
  double threshold = 0.0;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(max_value, negative_slope, threshold)
};
/// Keras' ReLU: x above `threshold` (at most max_value), negative_slope * (x - threshold) below. ValueError on negative options.
class ReLU : public Layer {
 public:
  explicit ReLU(const ReLUOptions& options = {});
  KERAS_EMPTY_BRACES(ReLU)
  static Layer from_config(const Dict& config);
};

struct LeakyReLUOptions {
  double negative_slope = 0.3;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(negative_slope)
};
/// Keras' LeakyReLU: x where positive, negative_slope * x elsewhere.
class LeakyReLU : public Layer {
 public:
  explicit LeakyReLU(const LeakyReLUOptions& options = {});
  KERAS_EMPTY_BRACES(LeakyReLU)
  static Layer from_config(const Dict& config);
};

struct PReLUOptions {
  Initializer alpha_initializer = "zeros";
  Regularizer alpha_regularizer{};
  Constraint alpha_constraint{};
  /// Axes (the batch is 0) along which one slope serves all: `{{1, 2}}` for images.
  std::optional<std::vector<int64_t>> shared_axes{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(alpha_initializer, alpha_regularizer, alpha_constraint, shared_axes)
};
/// Keras' PReLU: a leaky ReLU that learns its slopes, one per element of a sample.
class PReLU : public Layer {
 public:
  explicit PReLU(const PReLUOptions& options = {});
  KERAS_EMPTY_BRACES(PReLU)
  static Layer from_config(const Dict& config);
};

struct ELUOptions {
  double alpha = 1.0;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(alpha)
};
/// Keras' ELU: x where positive, alpha * (exp(x) - 1) elsewhere.
class ELU : public Layer {
 public:
  explicit ELU(const ELUOptions& options = {});
  KERAS_EMPTY_BRACES(ELU)
  static Layer from_config(const Dict& config);
};

struct SoftmaxOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' Softmax over one axis or several. What the `mask` of the call leaves out (False, broadcast) becomes 0.
class Softmax : public Layer {
 public:
  explicit Softmax(const Axes& axis = -1, const SoftmaxOptions& options = {});
  KERAS_EMPTY_BRACES(Softmax)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
