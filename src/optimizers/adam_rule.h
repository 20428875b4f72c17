// What lives here: Adam's update rule, which several optimizers share.
#pragma once
#include "optimizers/optimizer_impl.h"

namespace keras::optimizers {

/// lr · sqrt(1 - beta_2^step) / (1 - beta_1^step), in the dtype of `step`.
Tensor adam_alpha(const Tensor& lr, const Tensor& step, double beta_1, double beta_2);

struct Moments {
  Tensor m, v;
};
/// Moves the averages of the gradient and of its square; their new values.
Moments adam_moments(const Tensor& gradient, const Variable& momentum, const Variable& velocity, double beta_1, double beta_2);

/// One step of Adam. `velocity_hat` may be undefined: no AMSGrad.
void adam_update(const Tensor& gradient, const Variable& variable, const Variable& momentum, const Variable& velocity,
                 const Variable& velocity_hat, const Tensor& alpha, double beta_1, double beta_2, double epsilon);

}  // namespace keras::optimizers
