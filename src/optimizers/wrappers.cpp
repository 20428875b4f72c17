// What lives here: optimizers around others: LossScaleOptimizer, MultiOptimizer.
#include <regex>

#include "core/impl.h"
#include "optimizers/optimizer_impl.h"

namespace keras::optimizers {

static std::vector<Variable> joined(std::vector<Variable> a, const std::vector<Variable>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
static NotImplementedError no_step(const Optimizer& o) {
  return NotImplementedError(
      ErrorText{.what = o.class_name() + " has no update step: the optimizers inside of it have", .where = "update_step"}.str());
}

// ---- LossScaleOptimizer
LossScaleOptimizer::LossScaleOptimizer(OptimizerSpec inner_optimizer, LossScaleOptimizerOptions options)
    : Optimizer(OptimizerOptions{.learning_rate = 0.0, .name = options.name}, "LossScaleOptimizer"),
      options_(std::move(options)),
      inner_(inner_optimizer.object()) {
  if (!inner_)
    throw ValueError(ErrorText{.what = "there is no optimizer to wrap", .where = "LossScaleOptimizer", .expected = "an optimizer"}.str());
  // Gradients would be divided twice otherwise.
  inner_->set_loss_scale_factor({});
}

Tensor LossScaleOptimizer::dynamic_scale() const {
  Variable scale = variable("dynamic_scale");
  return scale ? scale.value() : Tensor(options_.initial_scale);
}

void LossScaleOptimizer::build(const std::vector<Variable>& variables) {
  if (built()) return;
  add_variable({}, DType::Int32, "step_counter");
  add_variable({}, DType::Float32, "dynamic_scale", options_.initial_scale);
  if (!inner_->built()) inner_->build(variables);
  Optimizer::build(variables);
}

void LossScaleOptimizer::apply(const Tensors& grads, const std::vector<Variable>& variables) {
  if (grads.empty()) return;
  if (!built()) {
    if (variables.empty())
      throw ValueError(ErrorText{.what = "gradients came without variables, and the optimizer is not built",
                                 .where = "optimizer \"" + name() + "\"",
                                 .fix = "call build(variables) first, or give the variables to apply"}
                           .str());
    core::EagerScope eager;
    build(variables);
  }
  Variable counter = variable("step_counter"), scale_variable = variable("dynamic_scale");
  Tensor scale = scale_variable.value(), steps = counter.value();
  Tensor finite;
  Tensors unscaled;
  for (const Tensor& g : grads) {
    unscaled.push_back(g ? g / scale : g);
    if (!g) continue;
    Tensor f = ops::all(ops::isfinite(g));
    finite = finite ? ops::logical_and(finite, f) : f;
  }
  if (!finite) finite = Tensor::full({}, 1, DType::Bool);
  assign_when(finite, joined(inner_->variables(), inner_->trainable_variables()), [&] { inner_->apply(unscaled, variables); });
  Tensor grow = ops::equal(steps, options_.dynamic_growth_steps - 1);
  counter.assign(ops::where(ops::logical_and(finite, ops::logical_not(grow)), steps + 1, ops::zeros_like(steps)));
  scale_variable.assign(ops::where(finite, ops::where(grow, scale * 2.0, scale), scale * 0.5));
}

void LossScaleOptimizer::update_step(const Tensor&, const Variable&, const Tensor&) { throw no_step(*this); }
Tensor LossScaleOptimizer::scale_loss(const Tensor& loss) const { return loss * dynamic_scale(); }
std::vector<Variable> LossScaleOptimizer::variables() const { return joined(Optimizer::variables(), inner_->variables()); }

Dict LossScaleOptimizer::get_config() const {
  return {{"name", name()},
          {"inner_optimizer", inner_->serialize()},
          {"initial_scale", options_.initial_scale},
          {"dynamic_growth_steps", options_.dynamic_growth_steps}};
}

// ---- OptimizerMap
static void check_member(const OptimizerSpec& spec) {
  const Optimizer* o = spec.object().get();
  if (!o) throw ValueError(ErrorText{.what = "a variable got no optimizer", .where = "OptimizerMap", .expected = "an optimizer"}.str());
  if (dynamic_cast<const LossScaleOptimizer*>(o) || dynamic_cast<const MultiOptimizer*>(o))
    throw ValueError(ErrorText{.what = "a " + o->class_name() + " can't be inside of a MultiOptimizer", .where = "OptimizerMap"}.str());
}

OptimizerMap::OptimizerMap(OptimizerSpec default_optimizer, std::vector<std::pair<std::string, OptimizerSpec>> optimizer_map)
    : default_(std::move(default_optimizer)) {
  check_member(default_);
  for (auto& [key, optimizer] : optimizer_map) set(key, std::move(optimizer));
}

void OptimizerMap::set(const std::string& key, OptimizerSpec optimizer) {
  for (const auto& [known, o] : items_)
    if (known == key) throw ValueError(ErrorText{.what = "the key '" + key + "' is in the map already", .where = "OptimizerMap"}.str());
  check_member(optimizer);
  items_.emplace_back(key, std::move(optimizer));
}

const std::shared_ptr<Optimizer>& OptimizerMap::at(const std::string& path) const {
  const OptimizerSpec* found = nullptr;
  for (const auto& [key, optimizer] : items_)
    if (key == path) return optimizer.object();
  for (const auto& [key, optimizer] : items_) {
    try {
      if (!std::regex_match(path, std::regex(key))) continue;
    } catch (const std::regex_error& e) {
      throw ValueError(
          ErrorText{.what = std::string("this key is no regular expression: ") + e.what(), .where = "OptimizerMap", .received = key}.str());
    }
    if (found)
      throw ValueError(
          ErrorText{.what = "more than one key matches the variable '" + path + "'", .where = "OptimizerMap", .received = key}.str());
    found = &optimizer;
  }
  return found ? found->object() : default_.object();
}

Value OptimizerMap::serialize() const {
  Dict map;
  for (const auto& [key, optimizer] : items_) map.set(key, optimizer.serialize());
  return serial::object("keras.optimizers", "OptimizerMap",
                        {{"default_optimizer", default_.serialize()}, {"optimizer_map", std::move(map)}});
}

OptimizerMap OptimizerMap::from_config(const Dict& config) {
  OptimizerMap map(OptimizerSpec(config.at("default_optimizer")));
  if (const Value* items = config.find("optimizer_map"); items && !items->is_null())
    for (const auto& [key, optimizer] : items->as_dict()) map.set(key, OptimizerSpec(optimizer));
  return map;
}

// ---- MultiOptimizer
static OptimizerOptions multi_base(const MultiOptimizerOptions& o) {
  return {.learning_rate = 0.0, .loss_scale_factor = o.loss_scale_factor, .name = o.name};
}

MultiOptimizer::MultiOptimizer(OptimizerMap map, MultiOptimizerOptions options)
    : Optimizer(multi_base(options), "MultiOptimizer"),
      map_(std::move(map)),
      inner_(std::make_shared<std::vector<std::shared_ptr<Optimizer>>>()),
      owner_(std::make_shared<std::vector<size_t>>()) {
  selector_ = [map = *map_](const Variable& v) { return map.at(v.path()); };
  for (const auto& [key, optimizer] : map_->items()) adopt(optimizer.object());
  adopt(map_->default_optimizer());
}

MultiOptimizer::MultiOptimizer(Selector selector, MultiOptimizerOptions options)
    : Optimizer(multi_base(options), "MultiOptimizer"),
      selector_(std::move(selector)),
      inner_(std::make_shared<std::vector<std::shared_ptr<Optimizer>>>()),
      owner_(std::make_shared<std::vector<size_t>>()) {}

size_t MultiOptimizer::adopt(const std::shared_ptr<Optimizer>& optimizer) {
  check_member(optimizer);
  for (size_t i = 0; i < inner_->size(); ++i)
    if ((*inner_)[i] == optimizer) return i;
  optimizer->set_loss_scale_factor(base_options().loss_scale_factor);
  inner_->push_back(optimizer);
  return inner_->size() - 1;
}

void MultiOptimizer::build(const std::vector<Variable>& variables) {
  if (built()) return;
  owner_->clear();
  for (const Variable& v : variables) owner_->push_back(adopt(selector_(v)));
  for (size_t k = 0; k < inner_->size(); ++k) {
    std::vector<Variable> mine;
    for (size_t i = 0; i < variables.size(); ++i)
      if ((*owner_)[i] == k) mine.push_back(variables[i]);
    if (!mine.empty() && !(*inner_)[k]->built()) (*inner_)[k]->build(mine);
  }
  Optimizer::build(variables);
}

std::vector<std::vector<size_t>> MultiOptimizer::split(const std::vector<Variable>& variables) const {
  std::vector<std::vector<size_t>> parts(inner_->size());
  for (size_t i = 0; i < variables.size(); ++i) parts[(*owner_)[variable_index(variables[i])]].push_back(i);
  return parts;
}

void MultiOptimizer::apply(const Tensors& grads, const std::vector<Variable>& variables) {
  if (grads.empty()) return;
  std::vector<Variable> all = variables_for(grads, variables);
  auto parts = split(all);
  for (size_t k = 0; k < parts.size(); ++k) {
    Tensors gs;
    std::vector<Variable> vs;
    for (size_t i : parts[k]) gs.push_back(grads[i]), vs.push_back(all[i]);
    (*inner_)[k]->apply(gs, vs);
  }
  iterations().assign_add(1);
}

void MultiOptimizer::update_step(const Tensor&, const Variable&, const Tensor&) { throw no_step(*this); }

static RuntimeError many_rates(const std::string& name) {
  return RuntimeError(ErrorText{
      .what = "a MultiOptimizer has no learning rate of its own", .where = "optimizer \"" + name + "\"", .fix = "use those of optimizers()"}
                          .str());
}
Tensor MultiOptimizer::learning_rate() const { throw many_rates(name()); }
void MultiOptimizer::set_learning_rate(const LearningRate&) { throw many_rates(name()); }

void MultiOptimizer::set_loss_scale_factor(std::optional<double> factor) {
  Optimizer::set_loss_scale_factor(factor);
  for (const auto& o : *inner_) o->set_loss_scale_factor(factor);
}

void MultiOptimizer::finalize_variable_values(const std::vector<Variable>& variables) {
  if (!built()) return;
  auto parts = split(variables);
  for (size_t k = 0; k < parts.size(); ++k) {
    std::vector<Variable> vs;
    for (size_t i : parts[k]) vs.push_back(variables[i]);
    if (!vs.empty()) (*inner_)[k]->finalize_variable_values(vs);
  }
}

std::vector<Variable> MultiOptimizer::variables() const {
  std::vector<Variable> all = Optimizer::variables();
  for (const auto& o : *inner_) all = joined(std::move(all), o->variables());
  return all;
}

Dict MultiOptimizer::get_config() const {
  if (!map_)
    throw ValueError(ErrorText{.what = "a MultiOptimizer with a callable can't be saved",
                               .where = "optimizer \"" + name() + "\"",
                               .fix = "make it with an OptimizerMap"}
                         .str());
  return {{"optimizer_map", map_->serialize()}, {"loss_scale_factor", base_options().loss_scale_factor}, {"name", name()}};
}

}  // namespace keras::optimizers
