// What lives here: the optimizers that look at weights as matrices: Muon, Adafactor.
#include <algorithm>
#include <cmath>
#include <regex>

#include "optimizers/adam_rule.h"

namespace keras::optimizers {

// ---- Muon
Muon::Muon(MuonOptions options) : Optimizer(base_of(options), "Muon"), options_(std::move(options)) {}

bool Muon::should_use_adamw(const Variable& variable) const {
  if (variable.shape().rank() != 2) return true;
  std::string path = variable.path(), lower = path;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (options_.exclude_embeddings && lower.find("embedding") != std::string::npos) return true;
  for (const std::string& pattern : options_.exclude_layers) {
    try {
      if (std::regex_search(path, std::regex(pattern))) return true;
    } catch (const std::regex_error& e) {
      throw ValueError(ErrorText{.what = std::string("exclude_layers holds what is no regular expression: ") + e.what(),
                                 .where = "optimizer \"" + name() + "\" (Muon)",
                                 .received = pattern}
                           .str());
    }
  }
  return false;
}

void Muon::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  for (const Variable& v : variables) {
    add_slot(v, "momentum");
    if (should_use_adamw(v)) add_slot(v, "velocity");
  }
}

/// The orthogonal matrix near x by Newton and Schulz' iteration; it is approximate on purpose.
static Tensor orthogonalize(Tensor x, const MuonOptions& o) {
  bool tall = x.shape()[-2] > x.shape()[-1];
  if (tall) x = ops::transpose(x);
  x = x / (ops::sqrt(ops::sum(ops::square(x))) + 1e-7);
  for (int i = 0; i < o.ns_steps; ++i) {
    Tensor a = ops::matmul(x, ops::transpose(x));
    Tensor b = o.muon_b * a + ops::matmul(o.muon_c * a, a);
    x = o.muon_a * x + ops::matmul(b, x);
  }
  return tall ? ops::transpose(x) : x;
}

void Muon::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const MuonOptions& o = options_;
  DType dtype = variable.dtype();
  Variable momentum = slot("momentum", variable), velocity = slot("velocity", variable);
  if (velocity) {
    Tensor alpha = shared_scalar("alpha", dtype, [&] {
      Tensor lr = ops::cast(learning_rate * o.adam_lr_ratio.as_float(), dtype);
      return adam_alpha(lr, local_step(update_count(), dtype), o.adam_beta_1, o.adam_beta_2);
    });
    adam_update(ops::cast(gradient, dtype), variable, momentum, velocity, {}, alpha, o.adam_beta_1, o.adam_beta_2, o.epsilon);
    return;
  }
  Tensor m = momentum + (gradient + momentum * (o.momentum - 1));
  momentum.assign(m);
  Tensor update = learning_rate * orthogonalize(o.nesterov ? gradient + o.momentum * m : m, o);
  if (o.rms_rate) {
    const Shape& shape = variable.shape();
    update = update * static_cast<double>(std::sqrt(static_cast<float>(std::max(shape[0], shape[1])))) * *o.rms_rate;
  }
  variable.assign_sub(update);
}

void Muon::apply_weight_decay(const std::vector<Variable>& variables) {
  Tensor rate = learning_rate();
  for (const Variable& v : variables) {
    auto decay = should_use_adamw(v) ? options_.adam_weight_decay : base_options().weight_decay;
    if (decay && uses_weight_decay(v)) v.assign(v - v * constant(*decay, v.dtype()) * ops::cast(rate, v.dtype()));
  }
}

Dict Muon::get_config() const {
  // Keras' own order, which is not that of the arguments.
  Dict own = with_own_fields(Optimizer::get_config(), options_), config = Optimizer::get_config();
  for (const char* key : {"adam_beta_1", "adam_beta_2", "epsilon", "exclude_layers", "muon_a", "muon_b", "muon_c", "adam_lr_ratio",
                          "momentum", "ns_steps", "nesterov", "exclude_embeddings", "adam_weight_decay", "rms_rate"})
    config.set(key, own.at(key));
  return config;
}

// ---- Adafactor
Adafactor::Adafactor(AdafactorOptions options) : Optimizer(base_of(options), "Adafactor"), options_(std::move(options)) {}

void Adafactor::build(const std::vector<Variable>& variables) {
  if (built()) return;
  Optimizer::build(variables);
  for (const Variable& v : variables) {
    const Shape& shape = v.shape();
    bool factored = shape.rank() >= 2;
    for (const char* part : {"r", "c"}) {
      Shape s;
      if (factored) {
        s = shape;
        s.erase(part[0] == 'r' ? -1 : -2);
      }
      // Small ones have placeholders in files: whole numbers outside of the optimizer's name.
      track(Variable(Tensor::full(s, 0, factored ? v.dtype() : DType::Int32),
                     {.name = v.name(), .trainable = false, .path_prefix = factored ? name() : ""}),
            part, v);
    }
    add_slot(v, "velocity");
  }
}

void Adafactor::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const AdafactorOptions& o = options_;
  DType dtype = variable.dtype();
  Tensor g = ops::cast(gradient, dtype);
  Tensor step = shared_scalar("step", dtype, [&] { return local_step(update_count(), dtype); });
  // With relative_step the learning rate is cut in the same way before; once more changes nothing.
  Tensor rho = shared_scalar("rho", dtype, [&] { return ops::minimum(ops::cast(learning_rate, dtype), 1 / ops::sqrt(step)); });
  Tensor beta_2 = shared_scalar("beta_2", dtype, [&] { return 1 - ops::power(step, o.beta_2_decay); });
  auto rms = [](const Tensor& x) { return ops::sqrt(ops::mean(ops::square(x))); };
  auto blend = [&](const Tensor& old, const Tensor& now) { return beta_2 * old + (1 - beta_2) * now; };
  Tensor alpha = ops::maximum(constant(o.epsilon_2, dtype), rms(variable)) * rho;
  Tensor squares = ops::square(g) + o.epsilon_1;
  Variable r = slot("r", variable), c = slot("c", variable), velocity = slot("velocity", variable);
  Tensor v;
  if (variable.shape().rank() >= 2) {
    Tensor rows = blend(r, ops::mean(squares, -1)), columns = blend(c, ops::mean(squares, -2));
    r.assign(rows);
    c.assign(columns);
    v = ops::expand_dims(rows / ops::mean(rows, -1, true), -1) * ops::expand_dims(columns, -2);
  } else {
    v = blend(velocity, squares);
  }
  velocity.assign(v);
  Tensor u = g / ops::sqrt(v);
  variable.assign_sub(alpha * (u / ops::maximum(constant(1, dtype), rms(u) / o.clip_threshold)));
}
Dict Adafactor::get_config() const { return with_own_fields(Optimizer::get_config(), options_); }

}  // namespace keras::optimizers
