// What lives here: Adam and its relatives: AdamW, Adamax, Nadam, Lamb, ScheduleFreeAdamW.
#include "core/impl.h"
#include "optimizers/adam_rule.h"

namespace keras::optimizers {

Tensor adam_alpha(const Tensor& lr, const Tensor& step, double beta_1, double beta_2) {
  DType dtype = step.dtype();
  Tensor power_1 = ops::power(constant(beta_1, dtype), step), power_2 = ops::power(constant(beta_2, dtype), step);
  return lr * ops::sqrt(1 - power_2) / (1 - power_1);
}

Moments adam_moments(const Tensor& gradient, const Variable& momentum, const Variable& velocity, double beta_1, double beta_2) {
  Moments next;
  next.m = momentum + (gradient - momentum) * (1 - beta_1);
  next.v = velocity + (ops::square(gradient) - velocity) * (1 - beta_2);
  momentum.assign(next.m);
  velocity.assign(next.v);
  return next;
}

static const std::vector<std::string> kMoments = {"momentum", "velocity"};

// ---- Adam
Adam::Adam(AdamOptions options) : Optimizer(base_of(options), "Adam"), options_(std::move(options)) {}
void Adam::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, kMoments);
  if (options_.amsgrad) add_slots(variables, "velocity_hat");
}
void Adam::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const AdamOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor alpha = shared_scalar(
      "alpha", dtype, [&] { return adam_alpha(ops::cast(learning_rate, dtype), local_step(update_count(), dtype), o.beta_1, o.beta_2); });
  adam_update(ops::cast(gradient, dtype), variable, slot("momentum", variable), slot("velocity", variable), slot("velocity_hat", variable),
              alpha, o.beta_1, o.beta_2, o.epsilon);
}
Dict Adam::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

void adam_update(const Tensor& gradient, const Variable& variable, const Variable& momentum, const Variable& velocity,
                 const Variable& velocity_hat, const Tensor& alpha, double beta_1, double beta_2, double epsilon) {
  auto [m, v] = adam_moments(gradient, momentum, velocity, beta_1, beta_2);
  if (velocity_hat) {
    v = ops::maximum(velocity_hat, v);
    velocity_hat.assign(v);
  }
  variable.assign_sub(m * alpha / (ops::sqrt(v) + epsilon));
}

// ---- AdamW
AdamW::AdamW(AdamWOptions options) : Optimizer(base_of(options), "AdamW"), options_(std::move(options)) {
  if (!options_.weight_decay)
    throw ValueError(
        ErrorText{.what = "AdamW needs a weight decay", .where = "AdamW", .expected = "a number", .fix = "use Adam to train without"}
            .str());
}
void AdamW::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, kMoments);
  if (options_.amsgrad) add_slots(variables, "velocity_hat");
}
void AdamW::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const AdamWOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor alpha = shared_scalar(
      "alpha", dtype, [&] { return adam_alpha(ops::cast(learning_rate, dtype), local_step(update_count(), dtype), o.beta_1, o.beta_2); });
  adam_update(ops::cast(gradient, dtype), variable, slot("momentum", variable), slot("velocity", variable), slot("velocity_hat", variable),
              alpha, o.beta_1, o.beta_2, o.epsilon);
}
Dict AdamW::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Adamax
Adamax::Adamax(AdamaxOptions options) : Optimizer(base_of(options), "Adamax"), options_(std::move(options)) {}
void Adamax::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, std::vector<std::string>{"momentum", "norm"});
}
void Adamax::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const AdamaxOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype);
  Tensor correction =
      shared_scalar("correction", dtype, [&] { return 1 - ops::power(constant(o.beta_1, dtype), local_step(update_count(), dtype)); });
  Variable momentum = slot("momentum", variable), norm = slot("norm", variable);
  Tensor m = momentum + (g - momentum) * (1 - o.beta_1);
  Tensor u = ops::maximum(o.beta_2 * norm, ops::abs(g));
  momentum.assign(m);
  norm.assign(u);
  variable.assign_sub(ops::cast(learning_rate, dtype) * m / (correction * (u + o.epsilon)));
}
Dict Adamax::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Nadam
Nadam::Nadam(NadamOptions options) : Optimizer(base_of(options), "Nadam"), options_(std::move(options)) {}
void Nadam::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, kMoments);
  // Keras makes this one outside of the optimizer's name.
  DType dtype = variables.empty() ? DType::Float32 : variables[0].dtype();
  track(Variable(Tensor::full({}, 1.0, dtype), {.name = core::unique_name("variable")}), "u_product");
}
void Nadam::update_all(const Tensors& grads, const std::vector<Variable>& variables, const Tensor& learning_rate) {
  Variable product = variable("u_product");
  product.assign(product * options_.beta_1 *
                 (1.0 - 0.5 * ops::power(constant(0.96, product.dtype()), local_step(update_count(), product.dtype()))));
  Optimizer::update_all(grads, variables, learning_rate);
}
void Nadam::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const NadamOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype), beta_1 = constant(o.beta_1, dtype), beta_2 = constant(o.beta_2, dtype);
  auto scalar = [&](const char* name, auto make) { return shared_scalar(name, dtype, make); };
  Tensor step = scalar("step", [&] { return local_step(update_count(), dtype); });
  auto u_at = [&](const Tensor& t) { return beta_1 * (1.0 - 0.5 * ops::power(constant(0.96, dtype), t)); };
  Tensor u = scalar("u", [&] { return u_at(step); });
  Tensor u_next = scalar("u_next", [&] { return u_at(ops::cast(update_count() + 2, dtype)); });
  Tensor product = ops::cast(this->variable("u_product"), dtype);
  Tensor rest = scalar("rest", [&] { return 1 - product; });
  Tensor rest_next = scalar("rest_next", [&] { return 1 - product * u_next; });
  Tensor rest_u = scalar("rest_u", [&] { return 1 - u; });
  Tensor correction = scalar("correction", [&] { return 1 - ops::power(beta_2, step); });
  Variable momentum = slot("momentum", variable), velocity = slot("velocity", variable);
  Tensor m = momentum + (g - momentum) * (1 - beta_1);
  Tensor v = velocity + (ops::square(g) - velocity) * (1 - beta_2);
  momentum.assign(m);
  velocity.assign(v);
  Tensor m_hat = u_next * m / rest_next + rest_u * g / rest;
  Tensor v_hat = v / correction;
  variable.assign_sub(m_hat * ops::cast(learning_rate, dtype) / (ops::sqrt(v_hat) + o.epsilon));
}
Dict Nadam::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- Lamb
Lamb::Lamb(LambOptions options) : Optimizer(base_of(options), "Lamb"), options_(std::move(options)) {}
void Lamb::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, kMoments);
}
void Lamb::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const LambOptions& o = options_;
  DType dtype = variable.dtype();
  auto correction = [&](const char* name, double beta) {
    return shared_scalar(name, dtype, [&] { return 1.0 - ops::power(constant(beta, dtype), local_step(update_count(), dtype)); });
  };
  Tensor correction_1 = correction("correction_1", o.beta_1), correction_2 = correction("correction_2", o.beta_2);
  auto [m, v] = adam_moments(ops::cast(gradient, dtype), slot("momentum", variable), slot("velocity", variable), o.beta_1, o.beta_2);
  Tensor update = m / correction_1 / (ops::sqrt(v / correction_2) + o.epsilon);
  auto norm = [](const Tensor& x) { return ops::sqrt(ops::sum(ops::square(x))); };
  Tensor w_norm = norm(variable), u_norm = norm(update), one = constant(1, dtype);
  Tensor ratio = ops::where(ops::logical_and(w_norm > 0, u_norm > 0), w_norm / u_norm, one);
  variable.assign_sub(ratio * ops::cast(learning_rate, dtype) * update);
}
Dict Lamb::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

// ---- ScheduleFreeAdamW
ScheduleFreeAdamW::ScheduleFreeAdamW(ScheduleFreeAdamWOptions options)
    : Optimizer(base_of(options), "ScheduleFreeAdamW"), options_(std::move(options)) {}
void ScheduleFreeAdamW::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  add_slots(variables, kMoments);
  core::EagerScope eager;
  for (const Variable& v : variables) slot("momentum", v).assign(v.value());
}
void ScheduleFreeAdamW::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const ScheduleFreeAdamWOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype), beta_1 = constant(o.beta_1, dtype), beta_2 = constant(o.beta_2, dtype);
  Tensor step = shared_scalar("step", dtype, [&] { return local_step(update_count(), dtype); });
  Tensor lr = shared_scalar("lr", dtype, [&] {
    Tensor rate = ops::cast(learning_rate, dtype);
    return o.warmup_steps > 0 ? rate * ops::minimum(step / constant(o.warmup_steps, dtype), 1.0) : rate;
  });
  Tensor correction = shared_scalar("correction", dtype, [&] { return 1 - ops::power(beta_2, step); });
  Tensor weight = shared_scalar("weight", dtype, [&] { return 1.0 / step; });
  Variable momentum = slot("momentum", variable), velocity = slot("velocity", variable);
  Tensor z_old = momentum.value();
  Tensor v = velocity + (ops::square(g) - velocity) * (1 - beta_2);
  velocity.assign(v);
  Tensor z = z_old - lr * g / (ops::sqrt(v / correction) + constant(o.epsilon, dtype));
  momentum.assign(z);
  // The averaged sequence is not kept: it follows from the weights and the fast sequence before this step.
  Tensor x_old = (variable - (1 - beta_1) * z_old) / beta_1;
  Tensor x = (1 - weight) * x_old + weight * z;
  variable.assign((1 - beta_1) * z + beta_1 * x);
}
Dict ScheduleFreeAdamW::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

}  // namespace keras::optimizers
