// What lives here: compile, and the steps of training, evaluation and prediction: what a step does, and how it becomes one executable.
#include "models/trainer.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>
#include <typeinfo>

#include <keras/base/warning.h>

#include "prims/build.h"

namespace keras::models {

using core::Arg;
using core::CallArgs;

// ---- compile ------------------------------------------------------------------------------------------------------

std::vector<std::shared_ptr<metrics::Metric>> Trainer::all_metrics() const {
  std::vector<std::shared_ptr<metrics::Metric>> out{loss_tracker};
  for (const OutputMetric& m : metrics) out.push_back(m.metric);
  for (const OutputLoss& l : losses)
    if (l.tracker) out.push_back(l.tracker);
  return out;
}

Trainer& need_trainer(const Model& m, const char* what) {
  ModelImpl& impl = m.model_impl();
  if (!impl.trainer)
    throw ValueError(ErrorText{.what = std::string(what) + " was called before compile()", .where = where_model(m), .fix = "call compile({.optimizer = …, .loss = …}) first"}.str());
  return *impl.trainer;
}

Model& subject_of(const Model& m) {
  if (auto* object = dynamic_cast<Model*>(m.model_impl().self_)) return *object;
  return const_cast<Model&>(m);
}

namespace {

void compile_into(const Model& m, const CompileOptions& o) {
  ModelImpl& impl = m.model_impl();
  auto t = std::make_unique<Trainer>();
  t->options = o;
  if (o.steps_per_execution < 1) throw ValueError(ErrorText{.what = "steps_per_execution must be at least 1", .received = std::to_string(o.steps_per_execution)}.str());
  if (o.jit_compile.is_string() && o.jit_compile.as_string() != "auto")
    throw ValueError(ErrorText{.what = "jit_compile is unknown", .expected = "\"auto\", true or false", .received = o.jit_compile.as_string()}.str());
  if (o.run_eagerly && o.jit_compile.is_bool() && o.jit_compile.as_bool()) warn("If `run_eagerly` is true, then `jit_compile` cannot also be true. Disabling `jit_compile`.");
  if (o.optimizer.is_none()) t->options.optimizer = OptimizerSpec("rmsprop");
  t->optimizer = t->options.optimizer.object();
  // What float16 can't hold is scaled up, unless somebody has seen to it.
  if (o.auto_scale_loss && impl.dtype_policy_ == "mixed_float16" && !dynamic_cast<optimizers::LossScaleOptimizer*>(t->optimizer.get()))
    t->optimizer = std::make_shared<optimizers::LossScaleOptimizer>(t->options.optimizer, optimizers::LossScaleOptimizerOptions{.name = "loss_scale_optimizer"});
  for (const LossSpec& l : o.loss.list) l.is_none() ? void() : void(l.object());  // unknown names are errors now
  for (const auto& [n, l] : o.loss.named) l.is_none() ? void() : void(l.object());
  t->loss_tracker = std::make_shared<metrics::Mean>(metrics::ReductionOptions{.name = "loss"});
  t->output_names = impl.output_names();
  impl.trainer = std::move(t);
}

bool has_loss(const CompileOptions& o) {
  auto some = [](const auto& list, auto&& of) { return std::any_of(list.begin(), list.end(), [&](const auto& e) { return !of(e).is_none(); }); };
  return some(o.loss.list, [](const LossSpec& l) -> const LossSpec& { return l; }) || some(o.loss.named, [](const auto& l) -> const LossSpec& { return l.second; });
}

// ---- losses and metrics meet the shapes

/// The parts of build_trainer: everything by output, with errors that name it.
class Builder {
 public:
  Builder(const Model& m, Trainer& t, const std::vector<ir::Type>& out, const std::vector<std::optional<ir::Type>>& y) : m_(m), t_(t), out_(out), y_(y) {
    names_ = m.model_impl().output_names();
    // Outputs of a class of the user's have no names: their logs are called by the losses and metrics alone.
    nameless_ = names_.size() != out.size();
    if (nameless_) {
      names_.clear();
      for (size_t i = 0; i < out.size(); ++i) names_.push_back(fmt::format("output_{}", i + 1));
    }
    for (size_t i = 0; i < names_.size(); ++i)
      for (size_t k = 0; k < i; ++k)
        if (names_[k] == names_[i]) names_[i] += fmt::format("_{}", i);
    t.output_names = names_;
  }
  void losses() {
    const PerOutput<LossSpec>& o = t_.options.loss;
    if (!o.named.empty()) {
      std::vector<LossSpec> by_output(out_.size());
      std::set<std::string> given;
      for (const auto& [n, spec] : o.named) given.insert(n), by_output[index_of(n, "loss")] = spec;
      for (const std::string& n : names_)
        if (!given.count(n))
          throw ValueError(ErrorText{.what = "loss names some of the model's outputs, but not \"" + n + "\"", .where = where_model(m_), .expected = fmt::format("{}", fmt::join(names_, ", ")), .fix = "name it with nullptr for no loss"}.str());
      for (size_t i = 0; i < out_.size(); ++i) add_loss(by_output[i], i);
    } else if (o.single) {
      // Each output has a loss of its own, where one can be made again.
      for (size_t i = 0; i < out_.size(); ++i) add_loss(i == 0 || o.list[0].given().is_null() ? o.list[0] : LossSpec(o.list[0].given()), i);
    } else if (!o.list.empty()) {
      if (o.list.size() != out_.size())
        throw ValueError(ErrorText{.what = "compile got another number of losses", .where = where_model(m_), .expected = fmt::format("{}, one per output", out_.size()), .received = std::to_string(o.list.size())}.str());
      for (size_t i = 0; i < out_.size(); ++i) add_loss(o.list[i], i);
    }
    weights();
    if (t_.losses.size() > 1)
      for (OutputLoss& l : t_.losses) l.tracker = std::make_shared<metrics::Mean>(metrics::ReductionOptions{.name = l.name + "_loss"});
  }
  void metrics() {
    add_metrics(t_.options.metrics, false);
    add_metrics(t_.options.weighted_metrics, true);
  }

 private:
  Shape y_shape(size_t i) const { return i < y_.size() && y_[i] ? y_[i]->shape : Shape{}; }
  size_t index_of(const std::string& n, const char* what) const {
    auto it = std::find(names_.begin(), names_.end(), n);
    if (it == names_.end())
      throw ValueError(ErrorText{.what = fmt::format("{} names the output \"{}\", which the model does not have", what, n) + did_you_mean(n, names_), .where = where_model(m_), .expected = fmt::format("{}", fmt::join(names_, ", "))}.str());
    return static_cast<size_t>(it - names_.begin());
  }
  void add_loss(const LossSpec& spec, size_t i) {
    if (spec.is_none()) return;
    if (i >= y_.size() || !y_[i]) throw ValueError(ErrorText{.what = fmt::format("the output \"{}\" has a loss but no targets", names_[i]), .where = where_model(m_), .fix = "pass y"}.str());
    LossSpec loss = losses::resolve(spec, y_shape(i), out_[i].shape);
    t_.losses.push_back({loss, 1.0, i, nameless_ ? loss.object()->name() : names_[i], nullptr});
  }
  void weights() {
    const PerOutput<double>& w = t_.options.loss_weights;
    if (w.empty() || t_.options.loss.empty()) return;
    if (!w.named.empty()) {
      std::map<size_t, double> by_output;
      for (const auto& [n, x] : w.named) by_output[index_of(n, "loss_weights")] = x;
      for (OutputLoss& l : t_.losses) {
        if (!by_output.count(l.output))
          throw ValueError(ErrorText{.what = "loss_weights has no weight for the output \"" + l.name + "\"", .where = where_model(m_), .expected = fmt::format("{}", fmt::join(names_, ", "))}.str());
        l.weight = by_output[l.output];
      }
      return;
    }
    size_t losses = t_.options.loss.single ? 1 : std::max(t_.options.loss.list.size(), t_.options.loss.named.size());
    if (w.list.size() != losses)
      throw ValueError(ErrorText{.what = fmt::format("`loss_weights` must match the number of losses, got {} losses and {} weights", losses, w.list.size()), .where = where_model(m_)}.str());
    for (OutputLoss& l : t_.losses) l.weight = w.list[losses == 1 ? 0 : l.output];
  }
  void add_metrics(const MetricsArg& arg, bool weighted) {
    auto add = [&](const MetricList& list, size_t i) {
      for (const MetricSpec& spec : list.items()) {
        OutputMetric om{metrics::resolve(spec, y_shape(i), out_[i].shape).object(), "", i, weighted};
        std::string prefix = out_.size() > 1 && !nameless_ ? names_[i] + "_" : "", name = prefix + om.metric->name();
        // Keras' way to tell names apart.
        if (count_.count(name)) {
          if (weighted) name = prefix + "weighted_" + om.metric->name();
          if (int& n = count_[name]) name = fmt::format("{}_{}", name, n++);
          else n = 1;
        } else {
          count_[name] = 1;
        }
        om.log_name = name;
        t_.metrics.push_back(std::move(om));
      }
    };
    MetricsArg::Resolved r = arg.resolve(names_);
    const char* what = weighted ? "weighted_metrics" : "metrics";
    if (!r.named.empty()) {
      std::vector<MetricList> by_output(out_.size());
      for (const auto& [n, list] : r.named) by_output[index_of(n, what)] = list;
      for (size_t i = 0; i < out_.size(); ++i) add(by_output[i], i);
    } else if (out_.size() == 1) {
      for (const MetricList& list : r.list) add(list, 0);
    } else if (!r.list.empty()) {
      if (r.list.size() != out_.size())
        throw ValueError(ErrorText{.what = fmt::format("for a model with several outputs, {} needs one entry per output, or names", what), .where = where_model(m_), .expected = fmt::format("{}: {}", out_.size(), fmt::join(names_, ", ")), .received = std::to_string(r.list.size())}.str());
      for (size_t i = 0; i < out_.size(); ++i) add(r.list[i], i);
    }
  }

  const Model& m_;
  Trainer& t_;
  const std::vector<ir::Type>& out_;
  const std::vector<std::optional<ir::Type>>& y_;
  std::vector<std::string> names_;
  bool nameless_;
  std::map<std::string, int> count_;
};

void build_from(const Model& m, Trainer& t, const std::vector<ir::Type>& out, const std::vector<std::optional<ir::Type>>& y) {
  Builder b(m, t, out, y);
  t.losses.clear(), t.metrics.clear();
  b.losses();
  b.metrics();
  t.results.reset();
  t.built = true;
}

Tensors call_model(ModelImpl& impl, const Tensors& x, bool training) {
  layers::CallScope scope(nullptr, training);
  CallArgs args;
  args.args.push_back(x.size() == 1 && impl.symbolic_inputs().size() <= 1 ? Arg(x[0]) : Arg(x));
  return impl(std::move(args));
}

/// One number of what may be several: a metric with a value per class is logged as their mean.
Tensor as_number(const Tensor& t) {
  Tensor r = prims::cast(t, DType::Float32);
  if (!r.rank()) return r;
  return prims::div(prims::reduce_sum(r, prims::iota_axes(r.rank())), Tensor::full({}, static_cast<double>(std::max<int64_t>(r.numel(), 1))));
}
void put(StepLogs& logs, const std::string& name, const Tensor& value) {
  for (auto& [n, v] : logs)
    if (n == name) {
      v = value;
      return;
    }
  logs.emplace_back(name, value);
}
Tensors metric_states(const Model& m) {
  Tensors out;
  for (const auto& [name, metric] : named_metrics(m))
    for (const Variable& v : metric->variables()) out.push_back(v.value());
  return out;
}
bool same_tensor(const Tensor& a, const Tensor& b) { return a.impl() == b.impl() || (a.is_traced() && b.is_traced() && a.impl()->trace == b.impl()->trace && a.impl()->id == b.impl()->id); }

/// What the user's step does, or ours. Layers' losses gather in the trainer meanwhile.
StepLogs run_step(Model& m, Trainer& t, const Batch& batch, bool train) {
  t.added.clear();
  t.given_results.clear();
  layers::CallScope scope(nullptr, std::nullopt, &t.added);
  return train ? m.train_step(batch) : m.test_step(batch);
}
/// The logs are the results of the metrics as get_metrics_result gave them, and no metric has moved since.
bool are_results(const Model& m, const Trainer& t, const StepLogs& logs) {
  if (logs.size() != t.given_results.size() || logs.empty()) return false;
  for (size_t i = 0; i < logs.size(); ++i)
    if (logs[i].first != t.given_results[i].first || !same_tensor(logs[i].second, t.given_results[i].second)) return false;
  Tensors now = metric_states(m);
  return now.size() == t.given_states.size() && std::equal(now.begin(), now.end(), t.given_states.begin(), same_tensor);
}
int64_t rows_of(const Arrays& x) { return x.empty() || !x[0].rank() ? 1 : x[0].shape()[0]; }

}  // namespace

bool needs_batch(const Model& m, const Trainer& t) {
  const CompileOptions& o = t.options;
  return !m.impl()->built_ || (!t.built && (!o.loss.empty() || !o.metrics.empty() || !o.weighted_metrics.empty()));
}

void build_trainer(Model& m, Trainer& t, const data::Signature& batch) {
  ModelImpl& impl = m.model_impl();
  if (!t.built) {
    size_t at = batch.layout.inputs;
    std::vector<ir::Type> x(batch.types.begin(), batch.types.begin() + static_cast<int64_t>(at));
    std::vector<std::optional<ir::Type>> y;
    for (char there : batch.layout.targets) y.push_back(there ? std::optional(batch.types[at++]) : std::nullopt);
    bool something = has_loss(t.options) || !t.options.metrics.empty() || !t.options.weighted_metrics.empty();
    std::vector<ir::Type> out;
    if (something || !impl.built_) {
      try {
        out = core::infer(x, [&](const Tensors& in) { return call_model(impl, in, false); });
      } catch (const NotImplementedError&) {
        if (something) throw;  // else a model without a call, whose steps are its own
      }
    }
    build_from(m, t, out, y);
  }
  if (!t.optimizer->built()) t.optimizer->build(impl.trainable_weights());
}

std::vector<std::pair<std::string, std::shared_ptr<metrics::Metric>>> named_metrics(const Model& m) {
  std::vector<std::pair<std::string, std::shared_ptr<metrics::Metric>>> out;
  const Trainer* t = m.model_impl().trainer.get();
  for (const auto& metric : subject_of(m).metrics()) {
    std::string name = metric->name();
    if (t)
      for (const OutputMetric& om : t->metrics)
        if (om.metric == metric) name = om.log_name;
    // A later one of the same name counts, as in Keras' dictionary.
    auto it = std::find_if(out.begin(), out.end(), [&](const auto& n) { return n.first == name; });
    if (it == out.end()) out.emplace_back(name, metric);
    else it->second = metric;
  }
  return out;
}

StepExecutable& step_for(Model& m, Trainer& t, const data::Signature& batch, bool train) {
  auto& steps = train ? t.train_steps : t.test_steps;
  for (StepExecutable& s : steps)
    if (s.types == batch.types && s.layout == batch.layout) return s;
  build_trainer(m, t, batch);
  StepExecutable s{batch.layout, batch.types, nullptr, true, {}, {}, {}};
  auto body = [&](const Tensors& args) -> Tensors {
    StepLogs logs = run_step(m, t, batch.layout.batch(args), train);
    Tensors out;
    s.logs_are_metrics = are_results(m, t, logs);
    if (!s.logs_are_metrics)
      for (const auto& [name, value] : logs) {
        if (!value.defined()) throw ValueError(ErrorText{.what = "the log \"" + name + "\" of a step is no tensor", .where = where_model(m)}.str());
        s.names.push_back(name), out.push_back(as_number(value));
      }
    // Nothing of the trace may be seen from outside of it.
    t.added.clear(), t.given_results.clear(), t.given_states.clear();
    return out;
  };
  s.compiled = core::compile(body, batch.types);
  for (const ir::Type& type : s.compiled->outputs) {
    s.outputs.push_back(Tensor::empty(type.dtype, type.shape));
    s.pointers.push_back(s.outputs.back().mutable_raw());
  }
  steps.push_back(std::move(s));
  t.results.reset();
  return steps.back();
}

Logs::Items results(Model& m, Trainer& t) {
  if (!t.results) {
    t.result_names.clear();
    t.results = core::compile(
        [&](const Tensors&) {
          StepLogs logs = m.get_metrics_result();
          std::sort(logs.begin(), logs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
          Tensors out;
          for (const auto& [name, value] : logs) t.result_names.push_back(name), out.push_back(as_number(value));
          t.given_results.clear(), t.given_states.clear();
          return out;
        },
        {});
  }
  size_t n = t.result_names.size();
  Tensors values;
  std::vector<void*> out;
  for (size_t i = 0; i < n; ++i) {
    values.push_back(Tensor::empty(DType::Float32, {}));
    out.push_back(values.back().mutable_raw());
  }
  t.results->run(nullptr, out.data());
  Logs::Items items;
  for (size_t i = 0; i < n; ++i) items.emplace_back(t.result_names[i], values[i].item());
  return items;
}

void reset(Model& m, Trainer& t) {
  if (t.asked) t.asked->items();  // a class of the user's may not call ours
  m.reset_metrics();
}

Logs in_metric_order(const Model& m, const Logs::Items& items) {
  Logs::Items out;
  std::set<std::string> taken;
  for (const std::string& n : m.metrics_names())
    for (const auto& item : items)
      if (item.first == n && taken.insert(n).second) out.push_back(item);
  for (const auto& item : items)
    if (!taken.count(item.first)) out.push_back(item);
  return Logs(out);
}

// ---- steps of a run

const core::Compiled* Steps::compiled(const data::Signature& batch) { return t_.options.run_eagerly ? nullptr : step_for(m_, t_, batch, train_).compiled.get(); }

void Steps::run(const data::Ready& batch) {
  if (t_.options.run_eagerly) {
    build_trainer(m_, t_, *batch.signature);
    StepLogs logs = run_step(m_, t_, batch.signature->layout.batch(batch.tensors()), train_);
    eager_.clear();
    for (const auto& [name, value] : logs) eager_.emplace_back(name, as_number(value).item());
    std::sort(eager_.begin(), eager_.end());
    t_.given_results.clear(), t_.given_states.clear();
    return;
  }
  StepExecutable* step = nullptr;
  for (const Known& k : known_)
    if (k.signature == batch.signature) step = k.step;
  if (!step) {
    step = &step_for(m_, t_, *batch.signature, train_);
    known_.push_back({batch.signature, step});
  }
  step->compiled->run(batch.pointers, step->pointers.data());
  last_ = step;
}

Logs::Items Steps::logs() const {
  if (t_.options.run_eagerly) return eager_;
  if (!last_ || last_->logs_are_metrics) return results(m_, t_);
  Logs::Items items;
  for (size_t i = 0; i < last_->names.size(); ++i) items.emplace_back(last_->names[i], last_->outputs[i].item());
  std::sort(items.begin(), items.end());
  return items;
}

Logs::Items Steps::final_logs() const {
  if (last_ && last_->logs_are_metrics) return results(m_, t_);
  Logs::Items last = logs(), all = results(m_, t_);
  // Keras takes the metrics where the step's logs have their names.
  bool same = last.size() == all.size() && std::equal(last.begin(), last.end(), all.begin(), [](const auto& a, const auto& b) { return a.first == b.first; });
  return same ? all : last;
}

}  // namespace keras::models

namespace keras {

using models::need_trainer;
using models::Trainer;

Model& Model::compile(const CompileOptions& options) {
  // A class of the user's over a graph: its object is the one whose steps count, also when another handle trains.
  if (!impl_->self_ && typeid(*this) != typeid(Model) && typeid(*this) != typeid(Sequential)) impl_->self_ = this;
  models::compile_into(*this, options);
  return *this;
}
Model& Model::compile_from_config(const Value& config) { return compile(models::options_from_config(config)); }
bool Model::compiled() const { return model_impl().trainer != nullptr; }
Trainer& Model::trainer() const { return need_trainer(*this, "this"); }
optimizers::Optimizer& Model::optimizer() const { return *need_trainer(*this, "optimizer").optimizer; }
std::shared_ptr<callbacks::History> Model::history() const { return model_impl().trainer ? model_impl().trainer->history : nullptr; }

std::vector<std::string> Model::metrics_names() const {
  const Trainer& t = need_trainer(*this, "metrics_names");
  std::vector<std::string> names, later;
  // As evaluate lists them: by the metrics' own names in order, then what has another name in logs, sorted.
  for (const auto& [log_name, metric] : models::named_metrics(*this)) (log_name == metric->name() ? names : later).push_back(log_name);
  (void)t;
  std::sort(later.begin(), later.end());
  names.insert(names.end(), later.begin(), later.end());
  return names;
}

void Model::reset_states() {
  for (layers::LayerImpl* l : impl_->flatten()) l->reset_states();
}
bool Model::stop_training() const { return model_impl().trainer && model_impl().trainer->stop_training; }
void Model::set_stop_training(bool stop) { need_trainer(*this, "set_stop_training").stop_training = stop; }
void Model::set_stop_evaluating(bool stop) { need_trainer(*this, "set_stop_evaluating").stop_evaluating = stop; }
void Model::set_stop_predicting(bool stop) { model_impl().stop_predicting = stop; }

void Model::track_metric(std::shared_ptr<metrics::Metric> metric) {
  model_impl().tracked_metrics.push_back(std::move(metric));
  if (Trainer* t = model_impl().trainer.get()) t->results.reset();
}
std::vector<std::shared_ptr<metrics::Metric>> Model::metrics() const {
  models::ModelImpl& impl = model_impl();
  std::vector<std::shared_ptr<metrics::Metric>> all;
  if (impl.trainer) all = impl.trainer->all_metrics();
  all.insert(all.end(), impl.tracked_metrics.begin(), impl.tracked_metrics.end());
  return all;
}
void Model::reset_metrics() {
  if (Trainer* t = model_impl().trainer.get(); t && t->asked) t->asked->items();
  for (const auto& m : models::subject_of(*this).metrics()) m->reset_state();
}
StepLogs Model::get_metrics_result() {
  StepLogs logs;
  for (const auto& [name, metric] : models::named_metrics(*this)) models::put(logs, name, metric->result());
  if (Trainer* t = model_impl().trainer.get()) t->given_results = logs, t->given_states = models::metric_states(*this);
  return logs;
}

Output Model::operator()(const Arrays& x, const CallOptions& o) const {
  Tensors in = x.names.empty() || input_names().empty() ? x.values : models::in_order(x, input_names(), "inputs");
  return in.size() == 1 && model_impl().symbolic_inputs().size() <= 1 ? (*this)(in[0], o) : (*this)(in, o);
}

// ---- the steps

StepLogs Model::train_step(const Batch& batch) {
  Trainer& t = need_trainer(*this, "train_step");
  models::ModelImpl& impl = model_impl();
  std::vector<Variable> vars = impl.trainable_weights();
  Tensors y_pred, before;
  for (const Variable& v : vars) before.push_back(v.value());
  {
    GradientTape tape;
    y_pred = models::call_model(impl, batch.x.values, true);
    Tensor loss = compute_loss(batch.x, batch.y, y_pred, batch.sample_weight, true);
    t.loss_tracker->update_state(loss, Tensor::full({}, static_cast<double>(models::rows_of(batch.x))));
    if (!vars.empty()) {
      Tensors slopes = tape.gradient(t.optimizer->scale_loss(loss), before);
      // What a layer assigns to a trained weight (SpectralNormalization does) counts in this call alone, as in Keras on JAX.
      for (size_t i = 0; i < vars.size(); ++i)
        if (!vars[i].value().same(before[i])) vars[i].assign(before[i]);
      const core::NameScope name("optimizer");
      t.optimizer->apply(slopes, vars);
    }
  }
  return compute_metrics(batch.x, batch.y, y_pred, batch.sample_weight);
}

StepLogs Model::test_step(const Batch& batch) {
  Trainer& t = need_trainer(*this, "test_step");
  Tensors y_pred = models::call_model(model_impl(), batch.x.values, false);
  Tensor loss = compute_loss(batch.x, batch.y, y_pred, batch.sample_weight, false);
  t.loss_tracker->update_state(loss, Tensor::full({}, static_cast<double>(models::rows_of(batch.x))));
  return compute_metrics(batch.x, batch.y, y_pred, batch.sample_weight);
}

Tensors Model::predict_step(const Batch& batch) { return models::call_model(model_impl(), batch.x.values, false); }

Tensor Model::compute_loss(const Arrays&, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight, bool training) {
  Trainer& t = need_trainer(*this, "compute_loss");
  const core::NameScope name("loss");
  if (!t.built) {
    std::vector<ir::Type> out;
    std::vector<std::optional<ir::Type>> targets;
    for (const Tensor& p : y_pred.values) out.push_back({p.dtype(), p.shape()});
    for (const Tensor& v : y.values) targets.push_back(v.defined() ? std::optional(ir::Type{v.dtype(), v.shape()}) : std::nullopt);
    models::build_from(*this, t, out, targets);
  }
  Tensor total;
  auto add = [&](const Tensor& l) {
    Tensor f = prims::cast(l.rank() ? prims::reduce_sum(l, prims::iota_axes(l.rank())) : l, DType::Float32);
    total = total.defined() ? prims::add(total, f) : f;
  };
  const Tensors& w = sample_weight.values;
  for (const models::OutputLoss& l : t.losses) {
    if (l.output >= y.size() || !y[l.output].defined()) throw ValueError("the output \"" + l.name + "\" has a loss but no targets");
    if (l.output >= y_pred.size()) throw ValueError("the output \"" + l.name + "\" has a loss but there is no prediction");
    Tensor v = (*l.loss.object())(y[l.output], y_pred[l.output], l.output < w.size() ? w[l.output] : w.size() == 1 ? w[0] : Tensor());
    if (v.rank() > 0) v = prims::reduce_sum(v, prims::iota_axes(v.rank()));
    const Tensor& p = y_pred[l.output];
    if (l.tracker) l.tracker->update_state(v, Tensor::full({}, p.rank() ? static_cast<double>(p.shape()[0]) : 1.0));
    add(l.weight == 1 ? v : prims::mul(v, l.weight));
  }
  for (const Tensor& a : t.added) add(a);
  for (const Variable& v : impl_->trainable_weights())
    if (auto r = v.regularizer()) add(r(v.value()));
  if (total.defined()) return total;
  // Keras lets a training go on that minimises nothing; nobody means that.
  if (training)
    throw ValueError(ErrorText{.what = "there is no loss to compute", .where = models::where_model(*this), .fix = "give compile() a loss, or add one with add_loss"}.str());
  return Tensor::full({}, 0.0);
}

StepLogs Model::compute_metrics(const Arrays&, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight) {
  Trainer& t = need_trainer(*this, "compute_metrics");
  const core::NameScope name("metrics");
  const Tensors& w = sample_weight.values;
  for (const models::OutputMetric& om : t.metrics) {
    if (om.output >= y.size() || !y[om.output].defined() || om.output >= y_pred.size()) continue;
    Tensor weight = !om.weighted ? Tensor() : om.output < w.size() ? w[om.output] : w.size() == 1 ? w[0] : Tensor();
    om.metric->update_state(y[om.output], y_pred[om.output], weight);
  }
  return get_metrics_result();
}

}  // namespace keras
