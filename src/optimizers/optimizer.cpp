// What lives here: what all optimizers do around their update rule, and the state that copies of one share.
#include <keras/config.h>
#include <keras/optimizers/optimizer.h>

#include <algorithm>
#include <map>
#include <regex>
#include <unordered_map>
#include <unordered_set>

#include "core/impl.h"
#include "optimizers/optimizer_impl.h"

namespace keras::optimizers {

struct Optimizer::State {
  OptimizerOptions options;
  std::string name;
  bool built = false;
  Variable iterations, rate;  // rate: undefined with a schedule
  std::shared_ptr<schedules::LearningRateSchedule> schedule;
  std::vector<Variable> own;  // as saved
  std::vector<Variable> trainable;
  std::unordered_map<const core::VariableImpl*, size_t> index;
  std::map<std::string, std::vector<Variable>> slots;  // by variable's index; undefined where there is none
  std::map<std::string, Variable> named;
  std::unordered_set<const core::VariableImpl*> excluded;
  std::optional<std::regex> excluded_names;
  // Scalars of the update under way, by name and dtype.
  bool updating = false;
  std::map<std::pair<std::string, DType>, Tensor> scalars;
};

void assign_when(const Tensor& condition, const std::vector<Variable>& variables, const std::function<void()>& body) {
  if (condition.is_concrete()) {
    if (condition.item() != 0) body();
    return;
  }
  Tensors before;
  for (const Variable& v : variables) before.push_back(v.value());
  body();
  for (size_t i = 0; i < variables.size(); ++i)
    if (Tensor after = variables[i].value(); !after.same(before[i])) variables[i].assign(ops::where(condition, after, before[i]));
}

static void check(const OptimizerOptions& o) {
  int clips = o.clipnorm.has_value() + o.clipvalue.has_value() + o.global_clipnorm.has_value();
  if (clips > 1)
    throw ValueError(ErrorText{.what = "only one of clipnorm, clipvalue and global_clipnorm can be set",
                               .where = "options of an optimizer",
                               .received = "clipnorm=" + Value(o.clipnorm).str() + ", clipvalue=" + Value(o.clipvalue).str() +
                                           ", global_clipnorm=" + Value(o.global_clipnorm).str()}
                         .str());
  if (o.use_ema && !(o.ema_momentum >= 0 && o.ema_momentum <= 1))
    throw ValueError(
        ErrorText{.what = "ema_momentum is out of range", .expected = "a number in [0, 1]", .received = float_repr(o.ema_momentum)}.str());
  if (o.use_ema && o.ema_overwrite_frequency && *o.ema_overwrite_frequency < 0)
    throw ValueError(ErrorText{.what = "ema_overwrite_frequency is out of range",
                               .expected = "a whole number >= 1, or none",
                               .received = std::to_string(*o.ema_overwrite_frequency)}
                         .str());
  if (o.gradient_accumulation_steps && *o.gradient_accumulation_steps != 0 && *o.gradient_accumulation_steps < 2)
    throw ValueError(ErrorText{.what = "gradient_accumulation_steps is out of range",
                               .expected = "a whole number >= 2, or none",
                               .received = std::to_string(*o.gradient_accumulation_steps)}
                         .str());
}

Optimizer::Optimizer(OptimizerOptions options) : state_(std::make_shared<State>()) {
  check(options);
  State& s = *state_;
  s.iterations = Variable(Tensor::full({}, 0, DType::Int32), {.name = "iteration", .trainable = false});
  s.own.push_back(s.iterations);
  if (options.learning_rate.is_number()) {
    s.rate = Variable(Tensor::full({}, options.learning_rate.number(), config::floatx_dtype()), {.name = "learning_rate", .trainable = false});
    s.own.push_back(s.rate);
  } else {
    s.schedule = options.learning_rate.schedule();
  }
  s.name = options.name;
  s.options = std::move(options);
  if (!s.name.empty())
    for (const Variable& v : s.own) v.set_path(s.name + "/" + v.name());
}

static OptimizerOptions named(OptimizerOptions options, const char* class_name) {
  if (options.name.empty()) options.name = core::unique_name(core::to_snake_case(class_name));
  return options;
}
Optimizer::Optimizer(OptimizerOptions options, const char* class_name) : Optimizer(named(std::move(options), class_name)) {}
Optimizer::~Optimizer() = default;

const std::string& Optimizer::name() const {
  State& s = *state_;
  // Only now, because a constructor does not know the class that derives from it.
  if (s.name.empty()) {
    s.name = core::unique_name(core::to_snake_case(class_name()));
    for (const Variable& v : s.own) v.set_path(s.name + "/" + v.name());
  }
  return s.name;
}

// ---- state
void Optimizer::apply_gradients(const std::vector<std::pair<Tensor, Variable>>& grads_and_variables) {
  Tensors grads;
  std::vector<Variable> variables;
  for (const auto& [g, v] : grads_and_variables) grads.push_back(g), variables.push_back(v);
  apply(grads, variables);
}
Optimizer::StatelessResult Optimizer::stateless_apply(const Tensors& optimizer_variables, const Tensors& grads, const Tensors& trainable_values) {
  if (!built())
    throw ValueError(ErrorText{.what = "stateless_apply was called before the optimizer is built", .where = name(), .fix = "optimizer.build(model.trainable_variables())"}.str());
  std::vector<Variable> all = trainable_variables();
  size_t count = all.size();
  if (trainable_values.size() != count)
    throw ValueError(ErrorText{.what = "stateless_apply got another number of trainable variables", .where = name(), .expected = std::to_string(count), .received = std::to_string(trainable_values.size())}.str());
  for (const Variable& v : variables()) all.push_back(v);
  Tensors values = trainable_values;
  values.insert(values.end(), optimizer_variables.begin(), optimizer_variables.end());
  core::LentValues lent(std::move(all), values, name() + ".stateless_apply");
  apply(grads, trainable_variables());
  return {lent.values(0, count), lent.values(count, values.size())};
}
bool Optimizer::built() const { return state_->built; }
Variable Optimizer::iterations() const { return state_->iterations; }
Variable Optimizer::learning_rate_variable() const { return state_->rate; }
std::shared_ptr<schedules::LearningRateSchedule> Optimizer::learning_rate_schedule() const { return state_->schedule; }
const std::vector<Variable>& Optimizer::trainable_variables() const { return state_->trainable; }
const OptimizerOptions& Optimizer::base_options() const { return state_->options; }
void Optimizer::set_loss_scale_factor(std::optional<double> factor) { state_->options.loss_scale_factor = factor; }

std::vector<Variable> Optimizer::variables() const {
  name();
  return state_->own;
}

Tensor Optimizer::update_count() const {
  auto steps = state_->options.gradient_accumulation_steps.value_or(0);
  Tensor now = iterations().value();
  return steps ? ops::floor_divide(now, steps) : now;
}

Tensor Optimizer::learning_rate() const {
  const State& s = *state_;
  return s.rate ? s.rate.value() : s.schedule->call(s.iterations.value());
}

void Optimizer::set_learning_rate(const LearningRate& value) {
  State& s = *state_;
  if (!value.is_number()) {
    if (s.rate) std::erase_if(s.own, [&](const Variable& v) { return v.same(s.rate); });
    s.rate = {};
    s.schedule = value.schedule();
    return;
  }
  if (!s.rate)
    throw TypeError(ErrorText{.what = "the learning rate can't be set to a number: it is a schedule",
                              .where = "optimizer \"" + name() + "\"",
                              .received = Value(value.number()).str(),
                              .fix = "make the optimizer with a number as its learning rate, or set another schedule"}
                        .str());
  s.rate.assign(Tensor::full({}, value.number(), s.rate.dtype()));
}

void Optimizer::set_weights(const Tensors& weights) {
  std::vector<Variable> vars = variables();
  std::string where = "optimizer \"" + name() + "\"";
  if (!built())
    throw ValueError(
        ErrorText{.what = "the optimizer has no slots for weights yet", .where = where, .fix = "call build(variables) first"}.str());
  if (weights.size() != vars.size())
    throw ValueError(ErrorText{.what = "the number of weights differs from that of the optimizer's variables",
                               .where = where,
                               .expected = std::to_string(vars.size()),
                               .received = std::to_string(weights.size())}
                         .str());
  // All shapes before the first assignment: all or nothing.
  for (size_t i = 0; i < vars.size(); ++i)
    if (weights[i].shape() != vars[i].shape())
      throw ValueError(ErrorText{.what = "the weight for '" + vars[i].path() + "' has another shape",
                                 .where = where,
                                 .expected = vars[i].shape().str(),
                                 .received = weights[i].shape().str()}
                           .str());
  for (size_t i = 0; i < vars.size(); ++i) vars[i].assign(weights[i]);
}

void Optimizer::build(const std::vector<Variable>& variables) {
  State& s = *state_;
  if (s.built) throw RuntimeError(ErrorText{.what = "the optimizer is built already", .where = "optimizer \"" + name() + "\""}.str());
  for (size_t i = 0; i < variables.size(); ++i) s.index[variables[i].impl().get()] = i;
  s.trainable = variables;
  if (s.options.use_ema) add_slots(variables, "average");
  if (s.options.gradient_accumulation_steps.value_or(0)) add_slots(variables, "gradient_accumulator");
  s.built = true;
}

static Variable make_state(const std::string& optimizer, const Shape& shape, DType dtype, const std::string& name, double value) {
  return Variable(Tensor::full(shape, value, dtype), {.name = name, .trainable = false, .path_prefix = optimizer});
}

void Optimizer::track(const Variable& state, const std::string& slot, const Variable& of) {
  State& s = *state_;
  s.own.push_back(state);
  if (!of) {
    s.named[slot] = state;
    return;
  }
  std::vector<Variable>& row = s.slots[slot];
  row.resize(s.trainable.size());
  row[variable_index(of)] = state;
}

Variable Optimizer::add_variable(const Shape& shape, DType dtype, const std::string& name, double value) {
  Variable v = make_state(this->name(), shape, dtype, name, value);
  track(v, name);
  return v;
}

Variable Optimizer::add_slot(const Variable& variable, const std::string& name, double value) {
  std::string flat = variable.path();
  std::replace(flat.begin(), flat.end(), '/', '_');
  Variable v = make_state(this->name(), variable.shape(), variable.dtype(), flat + "_" + name, value);
  track(v, name, variable);
  return v;
}
void Optimizer::add_slots(const std::vector<Variable>& variables, const std::string& name, double value) {
  for (const Variable& v : variables) add_slot(v, name, value);
}
void Optimizer::add_slots(const std::vector<Variable>& variables, const std::vector<std::string>& names, double value) {
  for (const Variable& v : variables)
    for (const std::string& n : names) add_slot(v, n, value);
}

Variable Optimizer::slot(const std::string& name, const Variable& variable) const {
  auto at = state_->slots.find(name);
  return at == state_->slots.end() ? Variable() : at->second[variable_index(variable)];
}
Variable Optimizer::variable(const std::string& name) const {
  auto at = state_->named.find(name);
  return at == state_->named.end() ? Variable() : at->second;
}

size_t Optimizer::variable_index(const Variable& variable) const {
  auto at = state_->index.find(variable.impl().get());
  if (at == state_->index.end())
    throw ValueError(ErrorText{.what = "the optimizer does not know this variable: it works on those that it was built for",
                               .where = "optimizer \"" + name() + "\"",
                               .received = variable ? variable.str() : "an empty Variable",
                               .fix = "make a new optimizer for a new set of variables"}
                         .str());
  return at->second;
}

Tensor Optimizer::shared_scalar(const std::string& name, DType dtype, const std::function<Tensor()>& make) const {
  State& s = *state_;
  if (!s.updating) return make();
  auto [at, fresh] = s.scalars.try_emplace({name, dtype});
  if (fresh) at->second = make();
  return at->second;
}

// ---- training
std::vector<Variable> Optimizer::variables_for(const Tensors& grads, const std::vector<Variable>& variables) {
  std::string where = "optimizer \"" + name() + "\"";
  if (!built()) {
    if (variables.empty())
      throw ValueError(ErrorText{.what = "gradients came without variables, and the optimizer is not built",
                                 .where = where,
                                 .fix = "call build(variables) first, or give the variables to apply"}
                           .str());
    // Slots get their first numbers, whatever is being traced.
    core::EagerScope eager;
    build(variables);
  }
  std::vector<Variable> all = variables.empty() ? trainable_variables() : variables;
  if (grads.size() != all.size())
    throw ValueError(ErrorText{.what = "the gradients don't match the variables one to one",
                               .where = where,
                               .expected = std::to_string(all.size()) + " gradients",
                               .received = std::to_string(grads.size())}
                         .str());
  return all;
}

void Optimizer::apply(const Tensors& grads, const std::vector<Variable>& variables) {
  if (grads.empty()) return;
  State& s = *state_;
  std::string where = "optimizer \"" + name() + "\"";
  std::vector<Variable> all = variables_for(grads, variables);
  Tensors gs;
  std::vector<Variable> vars;
  std::string missing;
  for (size_t i = 0; i < all.size(); ++i) {
    variable_index(all[i]);
    if (!grads[i]) {
      missing += (missing.empty() ? "" : ", ") + all[i].path();
      continue;
    }
    if (grads[i].shape() != all[i].shape())
      throw ValueError(ErrorText{.what = "the gradient of '" + all[i].path() + "' has another shape",
                                 .where = where,
                                 .expected = all[i].shape().str(),
                                 .received = grads[i].shape().str()}
                           .str());
    gs.push_back(grads[i]);
    vars.push_back(all[i]);
  }
  if (gs.empty()) throw ValueError(ErrorText{.what = "no gradient was given for any variable", .where = where}.str());
  if (!missing.empty())
    warn(ErrorText{.what = "there are no gradients for some variables, which stay as they are",
                   .where = where,
                   .received = missing,
                   .fix = "check that the loss depends on them"}
             .str());
  if (auto scale = s.options.loss_scale_factor)
    for (Tensor& g : gs) g = g / *scale;
  update(gs, vars);
  for (const Variable& v : vars)
    if (auto constraint = v.constraint()) v.assign(constraint(v.value()));
  s.iterations.assign_add(1);
}

void Optimizer::update(const Tensors& grads, const std::vector<Variable>& variables) {
  State& s = *state_;
  auto plain = [&](const Tensors& gs) {
    Tensors clipped = clip(gs);
    apply_weight_decay(variables);
    struct Updating {
      State& s;
      explicit Updating(State& state) : s(state) { s.updating = true; }
      ~Updating() {
        s.updating = false;
        s.scalars.clear();
      }
    } updating(s);
    update_all(clipped, variables, learning_rate());
  };
  if (int64_t steps = s.options.gradient_accumulation_steps.value_or(0)) {
    Tensor due = ops::equal(ops::mod(s.iterations.value() + 1, steps), 0);
    Tensors sums, means;
    for (size_t i = 0; i < grads.size(); ++i) {
      sums.push_back(grads[i] + slot("gradient_accumulator", variables[i]));
      means.push_back(sums[i] / steps);
    }
    std::vector<Variable> written = s.own;
    written.insert(written.end(), variables.begin(), variables.end());
    assign_when(due, written, [&] { plain(means); });
    for (size_t i = 0; i < grads.size(); ++i)
      slot("gradient_accumulator", variables[i]).assign(ops::where(due, ops::zeros_like(sums[i]), sums[i]));
  } else {
    plain(grads);
  }
  if (s.options.use_ema) average();
}

void Optimizer::update_all(const Tensors& grads, const std::vector<Variable>& variables, const Tensor& learning_rate) {
  for (size_t i = 0; i < grads.size(); ++i) update_step(grads[i], variables[i], learning_rate);
}

Tensors Optimizer::clip(const Tensors& grads) const {
  const OptimizerOptions& o = state_->options;
  Tensors out;
  if (double c = o.clipnorm.value_or(0); c > 0) {
    for (const Tensor& g : grads) out.push_back(g * c / ops::maximum(ops::sqrt(ops::sum(ops::square(g))), c));
    return out;
  }
  if (double c = o.global_clipnorm.value_or(0); c > 0) {
    Tensor squares;
    for (const Tensor& g : grads) {
      Tensor sum = ops::sum(ops::square(g));
      squares = squares ? squares + sum : sum;
    }
    Tensor norm = ops::sqrt(squares);
    // The difference makes everything NaN when a gradient is not finite, so that it is noticed.
    Tensor scale = c * ops::minimum(1.0 / norm, 1.0 / c) + (norm - norm);
    for (const Tensor& g : grads) out.push_back(g * scale);
    return out;
  }
  if (double c = o.clipvalue.value_or(0); c > 0) {
    for (const Tensor& g : grads) out.push_back(ops::clip(g, -c, c));
    return out;
  }
  return grads;
}

void Optimizer::apply_weight_decay(const std::vector<Variable>& variables) {
  auto decay = state_->options.weight_decay;
  if (!decay) return;
  Tensor rate = learning_rate();
  for (const Variable& v : variables)
    if (uses_weight_decay(v)) v.assign(v - v * constant(*decay, v.dtype()) * ops::cast(rate, v.dtype()));
}

void Optimizer::average() {
  State& s = *state_;
  Tensor updates = update_count();
  // At the first update the average becomes the value itself.
  Tensor started = ops::not_equal(updates, 0);
  for (const Variable& v : s.trainable) {
    Variable mean = slot("average", v);
    Tensor momentum = ops::cast(started, v.dtype()) * s.options.ema_momentum;
    mean.assign(momentum * mean + (1 - momentum) * v);
  }
  if (int64_t every = s.options.ema_overwrite_frequency.value_or(0)) {
    Tensor due = ops::equal(ops::mod(updates + 1, every), 0);
    for (const Variable& v : s.trainable) v.assign(ops::where(due, slot("average", v), v));
  }
}

Tensor Optimizer::scale_loss(const Tensor& loss) const {
  auto factor = state_->options.loss_scale_factor;
  return factor ? loss * *factor : loss;
}

void Optimizer::finalize_variable_values(const std::vector<Variable>& variables) {
  if (!state_->options.use_ema || !built()) return;
  for (const Variable& v : variables) v.assign(slot("average", v).value());
}

// ---- weight decay
void Optimizer::exclude_from_weight_decay(const std::vector<Variable>& variables, const std::vector<std::string>& names) {
  State& s = *state_;
  std::string where = "optimizer \"" + name() + "\"";
  if (s.built)
    throw ValueError(
        ErrorText{.what = "what is excluded from weight decay must be said before the optimizer is built", .where = where}.str());
  s.excluded.clear();
  for (const Variable& v : variables) s.excluded.insert(v.impl().get());
  s.excluded_names.reset();
  if (names.empty()) return;
  std::string all;
  for (const std::string& n : names) all += (all.empty() ? "" : "|") + n;
  try {
    s.excluded_names.emplace(all);
  } catch (const std::regex_error& e) {
    throw ValueError(ErrorText{.what = std::string("this is no regular expression: ") + e.what(), .where = where, .received = all}.str());
  }
}

bool Optimizer::uses_weight_decay(const Variable& variable) const {
  const State& s = *state_;
  if (s.excluded.contains(variable.impl().get())) return false;
  return !(s.excluded_names && std::regex_search(variable.name(), *s.excluded_names));
}

// ---- files
Dict Optimizer::get_config() const {
  const OptimizerOptions& o = state_->options;
  Value rate = state_->rate ? LearningRate(state_->rate.impl()->value.item()).serialize() : LearningRate(state_->schedule).serialize();
  return {{"name", name()},
          {"learning_rate", std::move(rate)},
          {"weight_decay", o.weight_decay},
          {"clipnorm", o.clipnorm},
          {"global_clipnorm", o.global_clipnorm},
          {"clipvalue", o.clipvalue},
          {"use_ema", o.use_ema},
          {"ema_momentum", o.ema_momentum},
          {"ema_overwrite_frequency", o.ema_overwrite_frequency},
          {"loss_scale_factor", o.loss_scale_factor},
          {"gradient_accumulation_steps", o.gradient_accumulation_steps}};
}

}  // namespace keras::optimizers
