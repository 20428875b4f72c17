// What lives here: GroupNormalization.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct GroupNormalizationOptions {
  /// How many groups the channels are divided into; -1: one per channel.
  int64_t groups = 32;
  int axis = -1;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  Initializer beta_initializer = "zeros";
  Initializer gamma_initializer = "ones";
  Regularizer beta_regularizer{};
  Regularizer gamma_regularizer{};
  Constraint beta_constraint{};
  Constraint gamma_constraint{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(groups, axis, epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
               beta_constraint, gamma_constraint)
};
/// Keras' GroupNormalization (Wu & He 2018): each group of channels of each sample to mean 0 and variance 1 over all its positions, then
/// times gamma plus beta, one of each per channel. The shape is kept. ValueError when the channels can't be divided into the groups.
///
///     keras::Tensor y = keras::layers::GroupNormalization({.groups = 4})(keras::Input({8, 8, 16}));
class GroupNormalization : public Layer {
 public:
  explicit GroupNormalization(const GroupNormalizationOptions& options = {});
  KERAS_EMPTY_BRACES(GroupNormalization)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
