// What lives here: LayerNormalization.
#pragma once
#include <keras/layers/layer.h>
#include <keras/layers/normalization/axes_option.h>

namespace keras::layers {

struct LayerNormalizationOptions {
  /// One axis, or several: `{1, 2}`.
  Axes axis = -1;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  Initializer beta_initializer = "zeros";
  Initializer gamma_initializer = "ones";
  Regularizer beta_regularizer{};
  Regularizer gamma_regularizer{};
  Constraint beta_constraint{};
  Constraint gamma_constraint{};
  /// Deprecated in Keras: divides by the deviation without taking the mean away, and has no beta. RMSNormalization is meant.
  bool rms_scaling = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(axis, epsilon, center, scale, rms_scaling, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
               beta_constraint, gamma_constraint)
};
/// Keras' LayerNormalization (Ba et al. 2016): each sample to mean 0 and variance 1 over `axis`, alike in training and inference, then
/// times gamma plus beta. The shape is kept; 2 numbers per place along `axis`. ValueError when such an axis has no known size.
///
///     keras::Tensor y = keras::layers::LayerNormalization({.axis = {1, 2}, .epsilon = 1e-6})(keras::Input({8, 16}));
class LayerNormalization : public Layer {
 public:
  explicit LayerNormalization(const LayerNormalizationOptions& options = {});
  KERAS_EMPTY_BRACES(LayerNormalization)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
