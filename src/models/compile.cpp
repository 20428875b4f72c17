// What lives here: the options of compile: metrics sorted by output, and Keras' saved form of it all, both ways.
#include <keras/models/compile.h>

#include <algorithm>
#include <fmt/format.h>

#include "models/trainer.h"

namespace keras {

MetricList::MetricList(std::initializer_list<MetricList> list) : several(list), is_list(true) {}
MetricList::MetricList(const std::vector<MetricSpec>& list) : several(list.begin(), list.end()), is_list(true) {}
MetricList::MetricList(const MetricList&) = default;
MetricList& MetricList::operator=(const MetricList&) = default;
MetricList::~MetricList() = default;

MetricsArg::MetricsArg(std::initializer_list<MetricList> items) : entries(items) {}
MetricsArg::MetricsArg(std::vector<MetricList> items) : entries(std::move(items)) {}
MetricsArg::MetricsArg(const std::vector<MetricSpec>& items) : entries(items.begin(), items.end()) {}
MetricsArg::MetricsArg(const std::vector<std::pair<std::string, MetricList>>& items) {
  for (const auto& [name, list] : items) add(name, list);
}
MetricsArg::MetricsArg(const std::map<std::string, MetricList>& items) {
  for (const auto& [name, list] : items) add(name, list);
}
void MetricsArg::add(const std::string& output, const MetricList& metrics) {
  MetricList entry, list = metrics;
  if (!list.is_list) list.several.push_back(metrics), list.is_list = true;
  entry.is_list = true;
  entry.several.emplace_back(output);
  entry.several.push_back(std::move(list));
  entries.push_back(std::move(entry));
}

std::vector<MetricSpec> MetricList::items() const {
  std::vector<MetricSpec> out;
  if (!is_list && !one.is_none()) out.push_back(one);
  for (const MetricList& m : several) {
    if (m.is_list) throw ValueError(ErrorText{.what = "the metrics are lists in lists", .expected = "metrics, a list of metrics per output, or such lists by the outputs' names"}.str());
    if (!m.one.is_none()) out.push_back(m.one);
  }
  return out;
}

MetricsArg::Resolved MetricsArg::resolve(const std::vector<std::string>& output_names) const {
  auto name_of = [](const MetricList& e) -> std::string {
    bool pair = e.is_list && e.several.size() == 2 && !e.several[0].is_list && e.several[0].one.given().is_string();
    return pair ? e.several[0].one.given().as_string() : std::string();
  };
  // {"main", {…}} is by name whatever the name is; {"main", "mae"} could be two metrics.
  bool pairs = !entries.empty(), by_name = false;
  for (const MetricList& e : entries) {
    std::string name = name_of(e);
    pairs = pairs && !name.empty();
    by_name = by_name || (!name.empty() && (e.several[1].is_list || std::find(output_names.begin(), output_names.end(), name) != output_names.end()));
  }
  Resolved r;
  if (pairs && by_name) {
    for (const MetricList& e : entries) r.named.emplace_back(name_of(e), e.several[1]);
  } else {
    r.list = entries;
  }
  return r;
}

namespace models {

namespace {

template <class T, class F> Value per_output_value(const PerOutput<T>& p, F&& to_value) {
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

Value metric_list_value(const MetricList& m) {
  if (!m.is_list) return m.one.serialize();
  List l;
  for (const MetricList& e : m.several) l.push_back(metric_list_value(e));
  return l;
}
Value metrics_value(const MetricsArg& arg, const std::vector<std::string>& output_names) {
  if (arg.empty()) return {};
  MetricsArg::Resolved r = arg.resolve(output_names);
  if (!r.named.empty()) {
    Dict d;
    for (const auto& [k, v] : r.named) d.set(k, metric_list_value(v));
    return d;
  }
  List l;
  for (const MetricList& m : r.list) l.push_back(metric_list_value(m));
  return l;
}

bool is_object(const Value& v) { return v.is_dict() && v.get("class_name").is_string(); }

template <class T, class F> PerOutput<T> read_per_output(const Value& v, F&& read) {
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

MetricList read_metric_list(const Value& v) {
  MetricList m;
  m.is_list = v.is_list();
  if (m.is_list)
    for (const Value& e : v.as_list()) m.several.push_back(read_metric_list(e));
  else m.one = MetricSpec(v);
  return m;
}
MetricsArg read_metrics(const Value& v) {
  MetricsArg m;
  if (v.is_list())
    for (const Value& e : v.as_list()) m.entries.push_back(read_metric_list(e));
  else if (v.is_dict() && !is_object(v))
    for (const auto& [k, e] : v.as_dict()) m.add(k, read_metric_list(e));
  else if (!v.is_null()) m.entries.push_back(read_metric_list(v));
  return m;
}

}  // namespace

Dict compile_config(const Trainer& t) {
  if (!t.optimizer) return {};
  // Keras has decided by the time it saves.
  Value jit = t.options.run_eagerly ? Value(false) : t.options.jit_compile.is_string() ? Value(true) : t.options.jit_compile;
  return Dict{{"optimizer", t.options.optimizer.object()->serialize()},
              {"loss", per_output_value(t.options.loss, [](const LossSpec& l) { return l.serialize(); })},
              {"loss_weights", per_output_value(t.options.loss_weights, [](double w) { return Value(w); })},
              {"metrics", metrics_value(t.options.metrics, t.output_names)},
              {"weighted_metrics", metrics_value(t.options.weighted_metrics, t.output_names)},
              {"run_eagerly", t.options.run_eagerly},
              {"steps_per_execution", t.options.steps_per_execution},
              {"jit_compile", jit}};
}

CompileOptions options_from_config(const Value& v) {
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

}  // namespace models
}  // namespace keras
