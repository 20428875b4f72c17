// What lives here: compile, fit, evaluate, predict. A step of each is traced once per shapes into one executable.
#include "models/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <set>

#include "data/batches.h"
#include "models/checkpoint.h"
#include "models/progbar.h"
#include "prims/build.h"
#include "random/mersenne_twister.h"

namespace keras::models {

using callbacks::Callback;
using core::Arg;
using core::CallArgs;
using data::Batches;

// ---- compile ------------------------------------------------------------------------------------------------------

std::vector<std::shared_ptr<metrics::Metric>> Trainer::all_metrics() const {
  std::vector<std::shared_ptr<metrics::Metric>> out{loss_tracker};
  for (const OutputMetric& m : metrics) out.push_back(m.metric);
  for (const OutputLoss& l : losses)
    if (l.tracker) out.push_back(l.tracker);
  return out;
}

template <class T, class F> static Value per_output_value(const PerOutput<T>& p, F&& to_value) {
  if (p.empty()) return {};
  if (p.single) return to_value(p.list[0]);
  if (!p.named.empty()) {
    Dict d;
    for (const auto& [k, v] : p.named) d.set(k, to_value(v));
    return d;
  }
  List l;
  for (const T& v : p.list) l.push_back(to_value(v));
  return l;
}
static Value metrics_value(const MetricsArg& m) {
  auto one = [](const MetricSpec& s) { return s.serialize(); };
  auto list = [&](const MetricList& ml) -> Value {
    if (ml.items.size() == 1) return one(ml.items[0]);
    List l;
    for (const MetricSpec& s : ml.items) l.push_back(one(s));
    return l;
  };
  if (m.empty()) return {};
  if (!m.named.empty()) {
    Dict d;
    for (const auto& [k, v] : m.named) d.set(k, list(v));
    return d;
  }
  List l;
  for (const MetricList& ml : m.list) l.push_back(list(ml));
  return l;
}

Dict compile_config(const Trainer& t) {
  if (!t.optimizer) return {};
  return Dict{{"optimizer", t.optimizer->serialize()},
              {"loss", per_output_value(t.options.loss, [](const LossSpec& l) { return l.serialize(); })},
              {"loss_weights", per_output_value(t.options.loss_weights, [](double w) { return Value(w); })},
              {"metrics", metrics_value(t.options.metrics)},
              {"weighted_metrics", metrics_value(t.options.weighted_metrics)},
              {"run_eagerly", t.options.run_eagerly},
              {"steps_per_execution", t.options.steps_per_execution},
              {"jit_compile", t.options.jit_compile.is_string() ? Value(true) : t.options.jit_compile}};
}

static bool is_object(const Value& v) { return v.is_dict() && v.get("class_name").is_string(); }

template <class T, class F> static PerOutput<T> read_per_output(const Value& v, F&& read) {
  PerOutput<T> p;
  if (v.is_null()) return p;
  if (v.is_list()) {
    for (const Value& e : v.as_list()) p.list.push_back(read(e));
  } else if (v.is_dict() && !is_object(v)) {
    for (const auto& [k, e] : v.as_dict()) p.named.emplace_back(k, read(e));
  } else {
    p.list.push_back(read(v));
    p.single = true;
  }
  return p;
}
static MetricsArg read_metrics(const Value& v) {
  MetricsArg m;
  auto list = [](const Value& e) {
    MetricList ml;
    if (e.is_null()) return ml;
    if (e.is_list())
      for (const Value& x : e.as_list()) ml.items.emplace_back(x);
    else ml.items.emplace_back(e);
    return ml;
  };
  if (v.is_list())
    for (const Value& e : v.as_list()) m.list.push_back(list(e));
  else if (v.is_dict() && !is_object(v))
    for (const auto& [k, e] : v.as_dict()) m.named.emplace_back(k, list(e));
  else if (!v.is_null()) m.list.push_back(list(v));
  return m;
}

static CompileOptions options_from_config(const Value& v) {
  CompileOptions o;
  if (const Value& e = v.get("optimizer"); !e.is_null()) o.optimizer = OptimizerSpec(e);
  o.loss = read_per_output<LossSpec>(v.get("loss"), [](const Value& e) { return LossSpec(e); });
  o.loss_weights = read_per_output<double>(v.get("loss_weights"), [](const Value& e) { return e.as_float(); });
  o.metrics = read_metrics(v.get("metrics"));
  o.weighted_metrics = read_metrics(v.get("weighted_metrics"));
  if (const Value& e = v.get("run_eagerly"); e.is_bool()) o.run_eagerly = e.as_bool();
  if (const Value& e = v.get("steps_per_execution"); e.is_int()) o.steps_per_execution = static_cast<int>(e.as_int());
  if (const Value& e = v.get("jit_compile"); !e.is_null()) o.jit_compile = e;
  return o;
}

// ---- the context of one run over data -----------------------------------------------------------------------------

namespace {

/// Inputs, targets and weights brought into the model's order.
struct Prepared {
  Tensors x, y, w;
  std::vector<std::string> names;
  Tensors all() const {
    Tensors t = x;
    t.insert(t.end(), y.begin(), y.end());
    for (const Tensor& s : w)
      if (s.defined()) t.push_back(s);
    return t;
  }
};

Tensors in_order(const Arrays& a, const std::vector<std::string>& names, const char* what) {
  if (a.names.empty()) return a.values;
  Tensors out;
  std::set<std::string> used;
  for (const std::string& n : names) {
    auto it = std::find(a.names.begin(), a.names.end(), n);
    if (it == a.names.end()) {
      if (std::string_view(what) != "inputs") {
        out.emplace_back();
        continue;
      }
      throw ValueError(ErrorText{.what = fmt::format("the {} lack \"{}\"", what, n), .expected = fmt::format("names {}", fmt::join(names, ", ")), .received = fmt::format("{}", fmt::join(a.names, ", "))}.str());
    }
    used.insert(n);
    out.push_back(a.values[static_cast<size_t>(it - a.names.begin())]);
  }
  for (const std::string& n : a.names)
    if (!used.count(n))
      throw ValueError(ErrorText{.what = fmt::format("the {} hold \"{}\", which the model does not have", what, n) + did_you_mean(n, names), .expected = fmt::format("{}", fmt::join(names, ", "))}.str());
  return out;
}

std::vector<ir::Type> batch_types(const Tensors& arrays, int64_t rows) {
  std::vector<ir::Type> out;
  for (const Tensor& t : arrays) {
    Shape s = t.shape();
    s[0] = rows;
    out.push_back({t.dtype(), s});
  }
  return out;
}

Tensor class_weights(const Tensor& y, const std::map<int64_t, double>& weights) {
  Tensor w = Tensor::empty(DType::Float32, {y.shape()[0]});
  std::vector<double> v = y.to_vector<double>();
  float* p = w.mutable_data<float>();
  int64_t n = y.shape()[0], k = n ? y.numel() / n : 1;
  for (int64_t i = 0; i < n; ++i) {
    const double* row = v.data() + i * k;
    int64_t c = k > 1 ? std::max_element(row, row + k) - row : static_cast<int64_t>(std::nearbyint(row[0]));
    auto it = weights.find(c);
    p[i] = it == weights.end() ? 1.0f : static_cast<float>(it->second);
  }
  return w;
}

struct CallbackList {
  std::vector<std::shared_ptr<Callback>> list;
  template <class F> void each(F&& f) const {
    for (const auto& c : list) f(*c);
  }
};

}  // namespace

static std::string where_model(const Model& m) { return "model \"" + m.name() + "\""; }

static Trainer& need_trainer(const Model& m, const char* what) {
  ModelImpl& impl = m.model_impl();
  if (!impl.trainer)
    throw ValueError(ErrorText{.what = std::string(what) + " was called before compile()", .where = where_model(m), .fix = "call compile({.optimizer = …, .loss = …}) first"}.str());
  return *impl.trainer;
}

static Prepared prepare(const Model& m, const Arrays& x, const Arrays& y, const Arrays& sample_weight, const std::map<int64_t, double>& class_weight, bool targets) {
  ModelImpl& impl = m.model_impl();
  Prepared p;
  p.x = in_order(x, impl.input_names(), "inputs");
  size_t want = impl.symbolic_inputs().size();
  if (want && p.x.size() != want)
    throw ValueError(ErrorText{.what = "the model got another number of inputs", .where = where_model(m), .expected = fmt::format("{}: {}", want, fmt::join(impl.input_names(), ", ")), .received = std::to_string(p.x.size())}.str());
  if (p.x.empty()) throw ValueError(ErrorText{.what = "there are no inputs", .where = where_model(m)}.str());
  for (size_t i = 0; i < p.x.size(); ++i) p.names.push_back(fmt::format("input {}", i < impl.input_names().size() ? "\"" + impl.input_names()[i] + "\"" : std::to_string(i)));
  if (!targets) return p;
  p.y = in_order(y, impl.output_names(), "targets");
  size_t outs = impl.symbolic_outputs().size();
  if (outs && !p.y.empty() && p.y.size() != outs)
    throw ValueError(ErrorText{.what = "the model got another number of targets", .where = where_model(m), .expected = fmt::format("{}: {}", outs, fmt::join(impl.output_names(), ", ")), .received = std::to_string(p.y.size())}.str());
  for (size_t i = 0; i < p.y.size(); ++i) p.names.push_back(fmt::format("target {}", i));
  p.w = in_order(sample_weight, impl.output_names(), "sample weights");
  if (!class_weight.empty()) {
    if (!p.w.empty()) throw ValueError("class_weight and sample_weight can't be given at the same time");
    if (p.y.size() != 1) throw ValueError("class_weight is for models with one output");
    p.w = {class_weights(p.y[0], class_weight)};
  }
  if (p.w.size() == 1 && p.y.size() > 1) p.w.resize(p.y.size(), p.w[0]);
  if (!p.w.empty() && p.w.size() != p.y.size())
    throw ValueError(ErrorText{.what = "sample_weight needs one array, or one per output", .expected = std::to_string(p.y.size()), .received = std::to_string(p.w.size())}.str());
  for (size_t i = 0; i < p.w.size(); ++i)
    if (p.w[i].defined()) p.names.push_back(fmt::format("sample_weight {}", i));
  return p;
}

static Tensors call_model(ModelImpl& impl, const Tensors& x, bool training, Tensors* losses) {
  layers::CallScope scope(nullptr, training, losses);
  CallArgs args;
  args.args.push_back(x.size() == 1 && impl.symbolic_inputs().size() <= 1 ? Arg(x[0]) : Arg(x));
  return impl(std::move(args));
}

/// Losses and metrics learn the shapes of targets and outputs.
static void build_trainer(const Model& m, Trainer& t, const std::vector<ir::Type>& x, const std::vector<ir::Type>& y) {
  ModelImpl& impl = m.model_impl();
  if (t.built) return;
  std::vector<ir::Type> out = core::infer(x, [&](const Tensors& in) { return call_model(impl, in, false, nullptr); });
  std::vector<std::string> names = impl.output_names();
  if (names.size() != out.size()) {
    names.clear();
    for (size_t i = 0; i < out.size(); ++i) names.push_back(fmt::format("output_{}", i + 1));
  }
  for (size_t i = 0; i < names.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      if (names[k] == names[i]) names[i] += fmt::format("_{}", i);
  auto y_shape = [&](size_t i) { return i < y.size() ? y[i].shape : Shape{}; };
  auto index_of = [&](const std::string& n, const char* what) {
    auto it = std::find(names.begin(), names.end(), n);
    if (it == names.end()) throw ValueError(ErrorText{.what = fmt::format("{} names the output \"{}\", which the model does not have", what, n) + did_you_mean(n, names), .where = where_model(m), .expected = fmt::format("{}", fmt::join(names, ", "))}.str());
    return static_cast<size_t>(it - names.begin());
  };
  // Losses.
  const auto& o = t.options;
  auto add_loss = [&](const LossSpec& spec, size_t i) {
    if (spec.is_none()) return;
    if (i >= y.size() || !y[i].shape.rank()) {
      if (i >= y.size()) throw ValueError(ErrorText{.what = fmt::format("the output \"{}\" has a loss but no targets", names[i]), .where = where_model(m), .fix = "pass y"}.str());
    }
    t.losses.push_back({losses::resolve(spec, y_shape(i), out[i].shape), 1.0, i, names[i], nullptr});
  };
  if (!o.loss.named.empty()) {
    std::vector<std::pair<size_t, LossSpec>> sorted;
    for (const auto& [n, spec] : o.loss.named) sorted.emplace_back(index_of(n, "loss"), spec);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [i, spec] : sorted) add_loss(spec, i);
  } else if (o.loss.single) {
    for (size_t i = 0; i < out.size(); ++i) add_loss(i == 0 ? o.loss.list[0] : LossSpec(o.loss.list[0].given().is_null() ? o.loss.list[0] : LossSpec(o.loss.list[0].given())), i);
  } else if (!o.loss.list.empty()) {
    if (o.loss.list.size() != out.size())
      throw ValueError(ErrorText{.what = "compile got another number of losses", .where = where_model(m), .expected = fmt::format("{}, one per output", out.size()), .received = std::to_string(o.loss.list.size())}.str());
    for (size_t i = 0; i < out.size(); ++i) add_loss(o.loss.list[i], i);
  }
  const auto& lw = o.loss_weights;
  for (OutputLoss& l : t.losses) {
    if (lw.single) l.weight = lw.list[0];
    else if (!lw.list.empty()) {
      if (lw.list.size() != out.size()) throw ValueError(ErrorText{.what = "compile got another number of loss_weights", .where = where_model(m), .expected = std::to_string(out.size()), .received = std::to_string(lw.list.size())}.str());
      l.weight = lw.list[l.output];
    }
    for (const auto& [n, w] : lw.named)
      if (index_of(n, "loss_weights") == l.output) l.weight = w;
  }
  if (t.losses.size() > 1)
    for (OutputLoss& l : t.losses) l.tracker = std::make_shared<metrics::Mean>(metrics::ReductionOptions{.name = l.name + "_loss"});
  // Metrics.
  std::set<std::string> taken;
  auto add_metrics = [&](const MetricsArg& arg, bool weighted) {
    auto add = [&](const MetricList& ml, size_t i) {
      for (const MetricSpec& spec : ml.items) {
        if (spec.is_none()) continue;
        MetricSpec resolved = metrics::resolve(spec, y_shape(i), out[i].shape);
        OutputMetric om{resolved.object(), "", i, weighted};
        std::string name = om.metric->name();
        if (out.size() > 1) name = names[i] + "_" + name;
        if (taken.count(name)) {
          if (weighted && !taken.count("weighted_" + om.metric->name())) name = "weighted_" + om.metric->name();
          int k = 1;
          std::string base = name;
          while (taken.count(name)) name = fmt::format("{}_{}", base, k++);
        }
        taken.insert(name);
        om.log_name = name;
        t.metrics.push_back(std::move(om));
      }
    };
    if (!arg.named.empty()) {
      for (const auto& [n, ml] : arg.named) add(ml, index_of(n, "metrics"));
    } else if (out.size() == 1) {
      for (const MetricList& ml : arg.list) add(ml, 0);
    } else if (!arg.list.empty()) {
      if (arg.list.size() != out.size())
        throw ValueError(ErrorText{.what = "for a model with several outputs, metrics needs one entry per output, or names", .where = where_model(m), .expected = std::to_string(out.size()), .received = std::to_string(arg.list.size())}.str());
      for (size_t i = 0; i < out.size(); ++i) add(arg.list[i], i);
    }
  };
  add_metrics(o.metrics, false);
  add_metrics(o.weighted_metrics, true);
  t.metrics_order = {"loss"};
  for (const OutputMetric& om : t.metrics) t.metrics_order.push_back(om.log_name);
  for (const OutputLoss& l : t.losses)
    if (l.tracker) t.metrics_order.push_back(l.tracker->name());
  t.built = true;
}

/// The sum that is minimised: the outputs' losses, penalties of weights, what layers added.
static Tensor total_loss(ModelImpl& impl, Trainer& t, const Tensors& y, const Tensors& pred, const Tensors& w, const Tensors& added, int64_t batch) {
  Tensor total;
  auto add = [&](const Tensor& l) {
    Tensor f = prims::cast(l, DType::Float32);
    total = total.defined() ? prims::add(total, f) : f;
  };
  for (const OutputLoss& l : t.losses) {
    if (l.output >= y.size() || !y[l.output].defined())
      throw ValueError("the output \"" + l.name + "\" has a loss but no targets");
    Tensor v = (*l.loss.object())(y[l.output], pred[l.output], l.output < w.size() ? w[l.output] : Tensor());
    if (v.rank() > 0) v = prims::reduce_sum(v, prims::iota_axes(v.rank()));
    if (l.tracker) l.tracker->update_state(v, Tensor::full({}, static_cast<double>(batch)));
    add(l.weight == 1 ? v : prims::mul(v, l.weight));
  }
  for (const Tensor& a : added) add(a.rank() ? prims::reduce_sum(a, prims::iota_axes(a.rank())) : a);
  for (const Variable& v : impl.trainable_weights())
    if (auto r = v.regularizer()) add(r(v.value()));
  if (!total.defined())
    throw ValueError(ErrorText{.what = "there is no loss to compute", .where = "model \"" + impl.name() + "\"", .fix = "give compile() a loss, or add one with add_loss"}.str());
  return total;
}

static Tensors split_weights(const Prepared& p, const Tensors& args, size_t from) {
  Tensors w;
  for (const Tensor& s : p.w) w.push_back(s.defined() ? args[from++] : Tensor());
  return w;
}

static const core::Compiled& step_for(const Model& m, Trainer& t, const Prepared& p, int64_t rows, bool train) {
  auto& steps = train ? t.train_steps : t.test_steps;
  Tensors all = p.all();
  auto fits = [&](const StepExecutable& s) {
    if (s.types.size() != all.size()) return false;
    for (size_t i = 0; i < all.size(); ++i)
      if (s.types[i].dtype != all[i].dtype() || s.types[i].shape.rank() != all[i].rank() || s.types[i].shape[0] != rows || s.types[i].shape.slice(1) != all[i].shape().slice(1)) return false;
    return true;
  };
  for (const StepExecutable& s : steps)
    if (fits(s)) return *s.compiled;
  std::vector<ir::Type> types = batch_types(all, rows);
  ModelImpl& impl = m.model_impl();
  build_trainer(m, t, batch_types(p.x, rows), batch_types(p.y, rows));
  std::vector<Variable> vars;
  if (train) {
    vars = impl.trainable_weights();
    if (!t.optimizer->built()) t.optimizer->build(vars);
  }
  auto body = [&](const Tensors& args) -> Tensors {
    Tensors x(args.begin(), args.begin() + static_cast<int64_t>(p.x.size()));
    Tensors y(args.begin() + static_cast<int64_t>(p.x.size()), args.begin() + static_cast<int64_t>(p.x.size() + p.y.size()));
    Tensors w = split_weights(p, args, p.x.size() + p.y.size()), added;
    Tensors before;
    for (const Variable& v : vars) before.push_back(v.value());
    Tensors pred = call_model(impl, x, train, &added);
    Tensor loss = total_loss(impl, t, y, pred, w, added, rows);
    t.loss_tracker->update_state(loss, Tensor::full({}, static_cast<double>(rows)));
    if (train && !vars.empty()) {
      Tensor scaled = t.options.auto_scale_loss ? t.optimizer->scale_loss(loss) : loss;
      Tensors slopes = gradients(scaled, before);
      // What a layer assigns to a trained weight (SpectralNormalization does) counts in this call alone, as in Keras on JAX.
      for (size_t i = 0; i < vars.size(); ++i)
        if (!vars[i].value().same(before[i])) vars[i].assign(before[i]);
      t.optimizer->apply(slopes, vars);
    }
    for (const OutputMetric& om : t.metrics) {
      if (om.output >= y.size() || !y[om.output].defined()) continue;
      Tensor weight = om.weighted && om.output < w.size() ? w[om.output] : Tensor();
      om.metric->update_state(y[om.output], pred[om.output], weight);
    }
    return {};
  };
  steps.push_back({types, core::compile(body, types)});
  t.results.reset();
  return *steps.back().compiled;
}

/// The steps of one run by their number of rows (a full batch, the short last one), so that a steady step looks nothing up.
class StepsOfRun {
 public:
  StepsOfRun(const Model& m, Trainer& t, const Prepared& p, bool train) : m_(m), t_(t), p_(p), train_(train) {}
  const core::Compiled& operator()(int64_t rows) {
    for (const Known& k : known_)
      if (k.rows == rows) return *k.step;
    Known& k = known_[known_[0].rows >= 0];
    k = {rows, &step_for(m_, t_, p_, rows, train_)};
    return *k.step;
  }

 private:
  struct Known {
    int64_t rows = -1;
    const core::Compiled* step = nullptr;
  };
  const Model& m_;
  Trainer& t_;
  const Prepared& p_;
  bool train_;
  Known known_[2];
};

/// The current values of loss and metrics, sorted by name as Keras logs them.
static Logs::Items results(Trainer& t) {
  if (!t.built) return {};
  if (!t.results) {
    t.result_names.clear();
    std::vector<std::pair<std::string, std::shared_ptr<metrics::Metric>>> named{{"loss", t.loss_tracker}};
    for (const OutputMetric& om : t.metrics) named.emplace_back(om.log_name, om.metric);
    for (const OutputLoss& l : t.losses)
      if (l.tracker) named.emplace_back(l.tracker->name(), l.tracker);
    std::sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& n : named) t.result_names.push_back(n.first);
    t.results = core::compile(
        [&](const Tensors&) {
          Tensors out;
          for (const auto& n : named) {
            Tensor r = prims::cast(n.second->result(), DType::Float32);
            // A metric with a value per class is logged as their mean.
            if (r.rank()) r = prims::div(prims::reduce_sum(r, prims::iota_axes(r.rank())), Tensor::full({}, static_cast<double>(r.numel())));
            out.push_back(r);
          }
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

static void reset(Trainer& t) {
  for (const auto& m : t.all_metrics()) m->reset_state();
}

static Logs::Items run_evaluate(const Model& m, Trainer& t, const Prepared& p, int64_t batch_size, std::optional<int64_t> steps, const CallbackList& cbs) {
  Batches batches(p.all(), batch_size, p.names);
  t.peeked = true;
  reset(t);
  Logs none;
  cbs.each([&](Callback& c) { c.on_test_begin(none); });
  int64_t n = std::min(steps.value_or(batches.num_batches()), batches.num_batches());
  StepsOfRun step_of(m, t, p, false);
  for (int64_t b = 0; b < n; ++b) {
    cbs.each([&](Callback& c) { c.on_test_batch_begin(b, none); });
    step_of(batches.rows_of(b)).run(batches.gather(b), nullptr);
    Logs logs([&t] { return results(t); });
    cbs.each([&](Callback& c) { c.on_test_batch_end(b, logs); });
    if (t.stop_training) break;
  }
  Logs::Items items = results(t);
  Logs logs(items);
  cbs.each([&](Callback& c) { c.on_test_end(logs); });
  return items;
}

}  // namespace keras::models

namespace keras {

using callbacks::Callback;
using models::need_trainer;
using models::Trainer;

Verbose::Verbose(const char* text) {
  if (std::string_view(text) != "auto") throw ValueError(ErrorText{.what = "verbose is unknown", .expected = "\"auto\", 0, 1 or 2", .received = text}.str());
}
Shuffle::Shuffle(const char* text) : kind(Batch) {
  if (std::string_view(text) != "batch") throw ValueError(ErrorText{.what = "shuffle is unknown", .expected = "true, false or \"batch\"", .received = text}.str());
}

static void compile_into(const Model& m, const CompileOptions& o) {
  auto t = std::make_unique<Trainer>();
  t->options = o;
  if (o.optimizer.is_none()) t->options.optimizer = OptimizerSpec("rmsprop");
  t->optimizer = t->options.optimizer.object();
  for (const LossSpec& l : o.loss.list) l.is_none() ? void() : void(l.object());  // unknown names are errors now
  for (const auto& [n, l] : o.loss.named) l.is_none() ? void() : void(l.object());
  t->loss_tracker = std::make_shared<metrics::Mean>(metrics::ReductionOptions{.name = "loss"});
  m.model_impl().trainer = std::move(t);
}

Model& Model::compile(const CompileOptions& options) {
  compile_into(*this, options);
  return *this;
}
Model& Model::compile_from_config(const Value& config) {
  compile_into(*this, models::options_from_config(config));
  return *this;
}
bool Model::compiled() const { return model_impl().trainer != nullptr; }
Trainer& Model::trainer() const { return need_trainer(*this, "this"); }
optimizers::Optimizer& Model::optimizer() const { return *need_trainer(*this, "optimizer").optimizer; }
std::vector<std::string> Model::metrics_names() const { return need_trainer(*this, "metrics_names").metrics_order; }
void Model::reset_metrics() { models::reset(need_trainer(*this, "reset_metrics")); }
void Model::reset_states() {
  for (layers::LayerImpl* l : impl_->flatten()) l->reset_states();
}
bool Model::stop_training() const { return model_impl().trainer && model_impl().trainer->stop_training; }
void Model::set_stop_training(bool stop) { need_trainer(*this, "set_stop_training").stop_training = stop; }

std::shared_ptr<callbacks::History> Model::fit(const Arrays& x, const Arrays& y, const FitOptions& o) {
  Trainer& t = need_trainer(*this, "fit");
  int64_t batch_size = o.batch_size.value_or(32);
  models::Prepared p = models::prepare(*this, x, y, o.sample_weight, o.class_weight, true);
  models::Prepared val;
  bool validate = false;
  if (o.validation_split != 0) {
    if (o.validation_split < 0 || o.validation_split >= 1)
      throw ValueError(ErrorText{.what = "validation_split is outside [0, 1)", .received = fmt::format("{}", o.validation_split)}.str());
    if (o.validation_data.empty()) {
      int64_t n = p.x[0].shape().rank() ? p.x[0].shape()[0] : 0;
      int64_t at = static_cast<int64_t>(std::floor(static_cast<double>(n) * (1.0 - o.validation_split)));
      if (at == 0 || at == n)
        throw ValueError(ErrorText{.what = "validation_split leaves no samples on one side", .received = fmt::format("validation_split={} of {} samples", o.validation_split, n)}.str());
      data::Batches check(p.all(), batch_size, p.names);  // equal lengths, before anything is cut
      auto cut = [&](Tensors& ts, int64_t a, int64_t b) {
        for (Tensor& s : ts)
          if (s.defined()) s = s.rows(a, b);
      };
      val = p;
      cut(val.x, at, n), cut(val.y, at, n), cut(val.w, at, n);
      cut(p.x, 0, at), cut(p.y, 0, at), cut(p.w, 0, at);
      validate = true;
    }
  }
  if (!o.validation_data.empty()) {
    val = models::prepare(*this, o.validation_data.x, o.validation_data.y, o.validation_data.sample_weight, {}, true);
    validate = true;
  }
  data::Batches batches(p.all(), batch_size, p.names);
  // Built before the first run, so that callbacks see weights and optimizer.
  models::build_trainer(*this, t, models::batch_types(p.x, batches.rows_of(0)), models::batch_types(p.y, batches.rows_of(0)));
  if (!t.optimizer->built()) t.optimizer->build(impl_->trainable_weights());

  auto history = std::make_shared<callbacks::History>();
  models::CallbackList cbs;
  if (o.verbose.level > 0) cbs.list.push_back(models::make_progbar(o.verbose.level));
  for (const CallbackSpec& c : o.callbacks) cbs.list.push_back(c.get());
  cbs.list.push_back(history);
  int64_t per_pass = batches.num_batches(), steps = o.steps_per_epoch.value_or(per_pass);
  bool user_callbacks = !o.callbacks.empty() || o.verbose.level == 1;
  cbs.each([&](Callback& c) {
    c.set_params({o.epochs, steps, o.verbose.level});
    c.set_model(this);
  });
  using Order = data::Batches::Order;
  Order order = o.shuffle.kind == Shuffle::On ? Order::Shuffled : o.shuffle.kind == Shuffle::Batch ? Order::ShuffledBatches : Order::InOrder;
  if (!t.peeked) {
    // Keras looks at one batch to build losses and metrics, which draws a permutation of its own.
    if (order == Order::Shuffled) data::permutation(batches.num_rows());
    if (order == Order::ShuffledBatches) data::permutation(batches.rows_of(0));
    t.peeked = true;
  }
  t.stop_training = false;
  t.initial_epoch.reset();
  Logs none;
  models::StepsOfRun step_of(*this, t, p, true);
  models::FitPosition now;
  int& epoch = now.epoch;
  int64_t &step = now.step, &at = now.at;
  epoch = o.initial_epoch, at = per_pass;
  std::unique_ptr<models::FitCheckpoint> checkpoint;
  if (!o.checkpoint.directory.empty()) {
    models::FitRun run{*this, t, {}, history, Dict{{"fit", models::describe_fit(o)}, {"data", models::describe_data(p.all())}, {"validation_data", models::describe_data(val.all())}}};
    for (const CallbackSpec& c : o.callbacks) run.callbacks.push_back(c.get());
    checkpoint = std::make_unique<models::FitCheckpoint>(o.checkpoint, std::move(run));
  }
  if (checkpoint && checkpoint->found()) {
    now = checkpoint->position();
    if (o.verbose.level > 0 && !checkpoint->finished()) cbs.list.front()->on_train_resume(now.begun ? Value(Dict{{"epoch", epoch}, {"seen", step}}) : Value(), {});
    checkpoint->resume_callbacks();
    checkpoint->restore(&step_of(batches.rows_of(0)));
    if (checkpoint->finished()) {
      cbs.each([&](Callback& c) { c.set_model(nullptr); });
      return history;
    }
    if (at < per_pass) {
      checkpoint->restore_pass();
      batches.start(order);
      checkpoint->restore_random();
    }
  } else {
    cbs.each([&](Callback& c) { c.on_train_begin(none); });
    epoch = t.initial_epoch.value_or(o.initial_epoch);
    if (checkpoint) {
      checkpoint->set_step(&step_of(batches.rows_of(0)));
      checkpoint->write(now);
    }
  }
  for (; epoch < o.epochs && !t.stop_training; ++epoch) {
    if (!now.begun) {
      models::reset(t);
      Logs begin;
      cbs.each([&](Callback& c) { c.on_epoch_begin(epoch, begin); });
      if (!o.steps_per_epoch) at = per_pass;
      now.begun = true, step = 0;
    }
    while (step < steps) {
      if (at >= per_pass) {
        if (checkpoint) now.pass_seed = random::numpy_random().state();
        batches.start(order), at = 0;
      }
      if (user_callbacks) cbs.each([&](Callback& c) { c.on_train_batch_begin(step, none); });
      step_of(batches.rows_of(at)).run(batches.gather(at), nullptr);
      ++at;
      if (user_callbacks) {
        Logs logs([&t] { return models::results(t); });
        cbs.each([&](Callback& c) { c.on_train_batch_end(step, logs); });
      }
      ++step;
      if (t.stop_training) break;
      if (checkpoint) checkpoint->moved(now, true);
    }
    Logs::Items items = models::results(t);
    if (validate && (epoch + 1) % o.validation_freq == 0) {
      models::CallbackList quiet;
      for (const CallbackSpec& c : o.callbacks) quiet.list.push_back(c.get());
      bool stop = t.stop_training;
      t.stop_training = false;
      for (const auto& [name, value] : models::run_evaluate(*this, t, val, o.validation_batch_size.value_or(batch_size), o.validation_steps, quiet)) items.emplace_back("val_" + name, value);
      t.stop_training = t.stop_training || stop;
    }
    // Keras hands logs to callbacks sorted by name, which is the order of history and of files.
    std::sort(items.begin(), items.end());
    Logs logs(std::move(items));
    cbs.each([&](Callback& c) { c.on_epoch_end(epoch, logs); });
    now.last = logs.items();
    now.begun = false, step = 0;
    if (checkpoint) {
      models::FitPosition next = now;
      ++next.epoch;
      checkpoint->moved(next, false);
    }
  }
  t.optimizer->finalize_variable_values(impl_->trainable_weights());
  Logs end(now.last);
  cbs.each([&](Callback& c) { c.on_train_end(end); });
  if (checkpoint) checkpoint->write(now, true);
  cbs.each([&](Callback& c) { c.set_model(nullptr); });
  return history;
}

static Logs in_metric_order(const Trainer& t, const Logs::Items& items) {
  Logs::Items out;
  for (const std::string& n : t.metrics_order)
    for (const auto& item : items)
      if (item.first == n) out.push_back(item);
  return Logs(out);
}

Logs Model::evaluate(const Arrays& x, const Arrays& y, const EvaluateOptions& o) {
  Trainer& t = need_trainer(*this, "evaluate");
  models::Prepared p = models::prepare(*this, x, y, o.sample_weight, {}, true);
  models::CallbackList cbs;
  if (o.verbose.level > 0) cbs.list.push_back(models::make_progbar(o.verbose.level));
  for (const CallbackSpec& c : o.callbacks) cbs.list.push_back(c.get());
  int64_t n = p.x[0].rank() ? p.x[0].shape()[0] : 0, b = o.batch_size.value_or(32);
  cbs.each([&](Callback& c) {
    c.set_params({1, o.steps.value_or(b > 0 ? (n + b - 1) / b : 0), o.verbose.level});
    c.set_model(this);
  });
  t.stop_training = false;
  Logs logs = in_metric_order(t, models::run_evaluate(*this, t, p, b, o.steps, cbs));
  return in_metric_order(t, logs.items());
}


Tensors Model::predict_all(const Arrays& x, const PredictOptions& o) const {
  models::Prepared p = models::prepare(*this, x, {}, {}, {}, false);
  data::Batches batches(p.x, o.batch_size.value_or(32), p.names);
  models::ModelImpl& impl = model_impl();
  models::CallbackList cbs;
  if (o.verbose.level > 0) cbs.list.push_back(models::make_progbar(o.verbose.level));
  for (const CallbackSpec& c : o.callbacks) cbs.list.push_back(c.get());
  int64_t n = std::min(o.steps.value_or(batches.num_batches()), batches.num_batches());
  cbs.each([&](Callback& c) {
    c.set_params({1, n, o.verbose.level});
    c.set_model(const_cast<Model*>(this));
  });
  Logs none;
  cbs.each([&](Callback& c) { c.on_predict_begin(none); });
  // Outputs of a batch go to buffers made once, and from there to their rows of the results.
  struct Part {
    Tensor result, buffer;
    bool by_row;
  };
  std::vector<Part> parts;
  std::vector<void*> pointers;
  const core::Compiled* step = nullptr;
  int64_t rows = std::min(n * batches.batch_size(), batches.num_rows()), done = 0, step_rows = -1;
  for (int64_t b = 0; b < n; ++b) {
    cbs.each([&](Callback& c) { c.on_predict_batch_begin(b, none); });
    int64_t k = batches.rows_of(b);
    if (k != step_rows) {
      step = &impl.predict_step(models::batch_types(p.x, k));
      step_rows = k;
    }
    if (parts.empty())
      for (const ir::Type& type : step->outputs) {
        bool by_row = type.shape.rank() && type.shape[0] == k;
        Shape s = type.shape;
        if (by_row) s[0] = rows;
        parts.push_back({Tensor::empty(type.dtype, s), Tensor::empty(type.dtype, type.shape), by_row});
        pointers.push_back(parts.back().buffer.mutable_raw());
      }
    step->run(batches.gather(b), pointers.data());
    for (Part& part : parts) {
      size_t row = part.by_row ? part.result.nbytes() / static_cast<size_t>(std::max<int64_t>(rows, 1)) : 0;
      size_t bytes = part.by_row ? row * static_cast<size_t>(k) : part.result.nbytes();
      if (bytes) std::memcpy(static_cast<std::byte*>(part.result.mutable_raw()) + static_cast<size_t>(done) * row, part.buffer.raw(), bytes);
    }
    done += k;
    cbs.each([&](Callback& c) { c.on_predict_batch_end(b, none); });
  }
  cbs.each([&](Callback& c) { c.on_predict_end(none); });
  Tensors results;
  for (Part& part : parts) results.push_back(part.result);
  return results;
}
Tensor Model::predict(const Arrays& x, const PredictOptions& o) const { return predict_all(x, o).at(0); }

Logs Model::train_on_batch(const Arrays& x, const Arrays& y, const BatchOptions& o) {
  Trainer& t = need_trainer(*this, "train_on_batch");
  models::Prepared p = models::prepare(*this, x, y, o.sample_weight, o.class_weight, true);
  data::Batches batches(p.all(), std::max<int64_t>(p.x[0].rank() ? p.x[0].shape()[0] : 1, 1), p.names);
  t.peeked = true;
  if (t.built) models::reset(t);
  models::step_for(*this, t, p, batches.num_rows(), true).run(batches.gather(0), nullptr);
  return in_metric_order(t, models::results(t));
}
Logs Model::test_on_batch(const Arrays& x, const Arrays& y, const BatchOptions& o) {
  Trainer& t = need_trainer(*this, "test_on_batch");
  models::Prepared p = models::prepare(*this, x, y, o.sample_weight, o.class_weight, true);
  data::Batches batches(p.all(), std::max<int64_t>(p.x[0].rank() ? p.x[0].shape()[0] : 1, 1), p.names);
  t.peeked = true;
  if (t.built) models::reset(t);
  models::step_for(*this, t, p, batches.num_rows(), false).run(batches.gather(0), nullptr);
  return in_metric_order(t, models::results(t));
}
Tensors Model::predict_on_batch_all(const Arrays& x) const {
  int64_t n = x.empty() || !x.values[0].rank() ? 1 : std::max<int64_t>(x.values[0].shape()[0], 1);
  return predict_all(x, {.batch_size = n});
}
Tensor Model::predict_on_batch(const Arrays& x) const { return predict_on_batch_all(x).at(0); }

}  // namespace keras
