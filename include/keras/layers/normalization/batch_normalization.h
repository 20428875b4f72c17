// What lives here: BatchNormalization.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct BatchNormalizationOptions {
  int axis = -1;
  double momentum = 0.99;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  Initializer beta_initializer = "zeros";
  Initializer gamma_initializer = "ones";
  Initializer moving_mean_initializer = "zeros";
  Initializer moving_variance_initializer = "ones";
  Regularizer beta_regularizer{};
  Regularizer gamma_regularizer{};
  Constraint beta_constraint{};
  Constraint gamma_constraint{};
  /// Batch renormalisation (Ioffe 2017): corrects training towards the moving averages.
  bool renorm = false;
  /// Bounds of the corrections: {"rmax", "rmin", "dmax"}, any of them.
  Value renorm_clipping{};
  double renorm_momentum = 0.99;
  bool synchronized = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(axis, momentum, epsilon, center, scale, beta_initializer, gamma_initializer, moving_mean_initializer,
               moving_variance_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, synchronized, renorm,
               renorm_clipping, renorm_momentum)
};
/// Keras' BatchNormalization (Ioffe & Szegedy 2015): each channel to mean 0 and variance 1 over the batch in training, by moving averages
/// at inference and while frozen, then times gamma plus beta. The shape is kept; 4 numbers per channel, 2 of them not trained (7
/// and 5 with renorm).
class BatchNormalization : public Layer {
 public:
  explicit BatchNormalization(const BatchNormalizationOptions& options = {});
  KERAS_EMPTY_BRACES(BatchNormalization)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
