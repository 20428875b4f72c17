// What lives here: SGD and the optimizers that divide by accumulated squares or take signs: RMSprop, Adadelta, Adagrad, Ftrl, Lion.
#include "optimizers/optimizer_impl.h"

namespace keras::optimizers {

static ValueError out_of_range(const char* class_name, const char* option, const char* expected, double received) {
  return ValueError(ErrorText{
      .what = std::string(option) + " is out of range", .where = class_name, .expected = expected, .received = float_repr(received)}
                        .str());
}

// ---- SGD
SGD::SGD(SGDOptions options) : Optimizer(base_of(options), "SGD"), options_(std::move(options)) {
  if (!(options_.momentum >= 0 && options_.momentum <= 1)) throw out_of_range("SGD", "momentum", "a number in [0, 1]", options_.momentum);
}
void SGD::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  if (options_.momentum != 0) add_slots(variables, "momentum");
}
void SGD::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  DType dtype = variable.dtype();
  Tensor step = ops::cast(gradient, dtype) * ops::cast(learning_rate, dtype);
  if (options_.momentum == 0) {
    variable.assign_sub(step);
    return;
  }
  Variable m = slot("momentum", variable);
  Tensor next = m * options_.momentum - step;
  m.assign(next);
  variable.assign_add(options_.nesterov ? next * options_.momentum - step : next);
}
Dict SGD::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- RMSprop
RMSprop::RMSprop(RMSpropOptions options) : Optimizer(base_of(options), "RMSprop"), options_(std::move(options)) {}
void RMSprop::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, "velocity");
  if (options_.momentum > 0) add_slots(variables, "momentum");
  if (options_.centered) add_slots(variables, "average_gradient");
}
void RMSprop::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  double rho = options_.rho, momentum = options_.momentum;
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype);
  Variable velocity = slot("velocity", variable);
  Tensor v = rho * velocity + (1 - rho) * ops::square(g);
  velocity.assign(v);
  if (options_.centered) {
    Variable average = slot("average_gradient", variable);
    Tensor a = rho * average + (1 - rho) * g;
    average.assign(a);
    v = v - ops::square(a);
  }
  Tensor increment = ops::cast(learning_rate, dtype) * g / ops::sqrt(v + options_.epsilon);
  if (momentum > 0) {
    Variable m = slot("momentum", variable);
    increment = momentum * m + increment;
    m.assign(increment);
  }
  variable.assign_sub(increment);
}
Dict RMSprop::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Adadelta
Adadelta::Adadelta(AdadeltaOptions options) : Optimizer(base_of(options), "Adadelta"), options_(std::move(options)) {}
void Adadelta::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, std::vector<std::string>{"accumulated_grad", "accumulated_delta_var"});
}
void Adadelta::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  double rho = options_.rho;
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype);
  Variable grads = slot("accumulated_grad", variable), deltas = slot("accumulated_delta_var", variable);
  auto rms = [&](const Tensor& x) { return ops::sqrt(x + options_.epsilon); };
  Tensor squares = rho * grads + (1 - rho) * ops::square(g);
  Tensor delta = -(rms(deltas) * g / rms(squares));
  grads.assign(squares);
  deltas.assign(rho * deltas + (1 - rho) * ops::square(delta));
  variable.assign_add(ops::cast(learning_rate, dtype) * delta);
}
Dict Adadelta::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Adagrad
Adagrad::Adagrad(AdagradOptions options) : Optimizer(base_of(options), "Adagrad"), options_(std::move(options)) {}
void Adagrad::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, "accumulator", options_.initial_accumulator_value);
}
void Adagrad::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype);
  Variable accumulator = slot("accumulator", variable);
  Tensor squares = accumulator + ops::square(g);
  accumulator.assign(squares);
  variable.assign_sub(ops::cast(learning_rate, dtype) * g / ops::sqrt(squares + options_.epsilon));
}
Dict Adagrad::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Ftrl
Ftrl::Ftrl(FtrlOptions options) : Optimizer(base_of(options), "Ftrl"), options_(std::move(options)) {
  const FtrlOptions& o = options_;
  auto not_negative = [](const char* option, double v) {
    if (!(v >= 0)) throw out_of_range("Ftrl", option, "a number >= 0", v);
  };
  not_negative("initial_accumulator_value", o.initial_accumulator_value);
  if (!(o.learning_rate_power <= 0)) throw out_of_range("Ftrl", "learning_rate_power", "a number <= 0", o.learning_rate_power);
  not_negative("l1_regularization_strength", o.l1_regularization_strength);
  not_negative("l2_regularization_strength", o.l2_regularization_strength);
  not_negative("l2_shrinkage_regularization_strength", o.l2_shrinkage_regularization_strength);
}
void Ftrl::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  for (const Variable& v : variables) {
    add_slot(v, "accumulator", options_.initial_accumulator_value);
    add_slot(v, "linear");
  }
}
void Ftrl::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const FtrlOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor lr = ops::cast(learning_rate, dtype), g = ops::cast(gradient, dtype), w = variable.value();
  Variable accumulator = slot("accumulator", variable), linear = slot("linear", variable);
  auto power = [&](const Tensor& x) { return o.learning_rate_power == -0.5 ? ops::sqrt(x) : ops::power(x, -o.learning_rate_power); };
  Tensor l2 = shared_scalar("l2", dtype, [&] { return 2 * (o.l2_regularization_strength + o.beta / (2.0 * lr)); });
  Tensor squares = accumulator + ops::square(g);
  Tensor powered = power(squares);
  Tensor shrunk = o.l2_shrinkage_regularization_strength == 0 ? g : g + 2 * o.l2_shrinkage_regularization_strength * w;
  Tensor z = linear + (shrunk - (powered - power(accumulator)) / lr * w);
  Tensor clipped = ops::clip(z, -o.l1_regularization_strength, o.l1_regularization_strength);
  linear.assign(z);
  variable.assign((clipped - z) / (powered / lr + l2));
  accumulator.assign(squares);
}
Dict Ftrl::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Lion
Lion::Lion(LionOptions options) : Optimizer(base_of(options), "Lion"), options_(std::move(options)) {
  if (!(options_.beta_1 > 0 && options_.beta_1 <= 1)) throw out_of_range("Lion", "beta_1", "a number in (0, 1]", options_.beta_1);
}
void Lion::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, "momentum");
}
void Lion::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype), beta_1 = constant(options_.beta_1, dtype), beta_2 = constant(options_.beta_2, dtype);
  Variable m = slot("momentum", variable);
  Tensor before = m.value();
  variable.assign_sub(ops::cast(learning_rate, dtype) * ops::sign(before * beta_1 + g * (1.0 - beta_1)));
  m.assign(before * beta_2 + g * (1.0 - beta_2));
}
Dict Lion::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

}  // namespace keras::optimizers
