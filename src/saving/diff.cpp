// What lives here: comparing two models.
#include <keras/saving/diff.h>

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>

#include "models/functional.h"
#include "saving/layer_outputs.h"
#include "saving/weights_tree.h"

namespace keras::saving {

namespace {

// A name without the number that tells layers of one class apart: "dense_3" → "dense".
std::string uncounted(const std::string& name) {
  size_t at = name.find_last_not_of("0123456789");
  return at != std::string::npos && at + 1 < name.size() && name[at] == '_' ? name.substr(0, at) : name;
}
bool same_name(const std::string& a, const std::string& b) { return a == b || uncounted(a) == uncounted(b); }

struct Entry {
  std::string path, name, cls;
  const Value* saved;
};

void flatten_config(const Value& saved, const std::string& prefix, std::vector<Entry>& out) {
  const Value& layers = saved.get("config").get("layers");
  if (!layers.is_list()) return;
  for (const Value& l : layers.as_list()) {
    std::string name = l.get("config").get("name").is_string() ? l.get("config").get("name").as_string() : l.get("name").is_string() ? l.get("name").as_string() : "";
    out.push_back({prefix + name, name, l.get("class_name").is_string() ? l.get("class_name").as_string() : "", &l});
    flatten_config(l, prefix + name + "/", out);
  }
}

std::string shown(const Value& v) {
  std::string s = v.str();
  return s.size() > 120 ? s.substr(0, 117) + "…" : s;
}

struct Comparison {
  const std::map<std::string, std::string>& names;  // of layers, from A to B
  std::vector<std::string> changes{};

  bool same_ref(const Value& a, const Value& b) const {
    auto it = names.find(a.as_string());
    return it == names.end() ? same_name(a.as_string(), b.as_string()) : it->second == b.as_string();
  }
  // [layer, node, tensor], a connection.
  static bool is_history(const Value& v) { return v.is_list() && v.as_list().size() >= 3 && v.as_list()[0].is_string() && v.as_list()[1].is_int() && v.as_list()[2].is_int(); }
  static bool no_value(const Value& v) { return v.is_null() || (v.is_dict() && v.as_dict().empty()) || (v.is_list() && v.as_list().empty()); }

  void compare(const std::string& at, const Value& a, const Value& b) {
    if (a == b || (no_value(a) && no_value(b))) return;
    if (is_history(a) && is_history(b)) {
      const List &x = a.as_list(), &y = b.as_list();
      if (!same_ref(x[0], y[0]) || x[1] != y[1] || x[2] != y[2]) changes.push_back(fmt::format("{}: {} → {}", at, shown(a), shown(b)));
      for (size_t i = 3; i < std::min(x.size(), y.size()); ++i) compare(at, x[i], y[i]);
    } else if (a.is_dict() && b.is_dict()) {
      for (const auto& [k, v] : a.as_dict()) compare(at.empty() ? k : at + "." + k, v, b.get(k));
      for (const auto& [k, v] : b.as_dict())
        if (!a.as_dict().contains(k)) compare(at.empty() ? k : at + "." + k, Value(), v);
    } else if (a.is_list() && b.is_list() && a.as_list().size() == b.as_list().size()) {
      for (size_t i = 0; i < a.as_list().size(); ++i) {
        const Value &x = a.as_list()[i], &y = b.as_list()[i];
        if (!x.is_dict() && !x.is_list()) {
          if (x != y) return changes.push_back(fmt::format("{}: {} → {}", at, shown(a), shown(b)));
        } else {
          compare(fmt::format("{}[{}]", at, i), x, y);
        }
      }
    } else {
      changes.push_back(fmt::format("{}: {} → {}", at, shown(a), shown(b)));
    }
  }
  void layer(const Entry& a, const Entry& b) {
    if (!same_name(a.name, b.name)) changes.push_back(fmt::format("name: {} → {}", a.name, b.name));
    auto config = [](const Entry& e) {
      Dict d = e.saved->get("config").is_dict() ? e.saved->get("config").as_dict() : Dict{};
      for (const char* apart : {"name", "layers", "input_layers", "output_layers"}) d.erase(apart);
      return d;
    };
    compare("", config(a), config(b));
    compare("inbound_nodes", a.saved->get("inbound_nodes"), b.saved->get("inbound_nodes"));
  }
};

// The longest common subsequence of layers by class and, where that is equal, by name.
std::vector<std::pair<int, int>> align(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  size_t n = a.size(), m = b.size();
  std::vector<std::pair<int, int>> out;
  if (n * m > 25'000'000) {  // too many to align; in order, then
    for (size_t i = 0; i < std::min(n, m); ++i)
      if (a[i].cls == b[i].cls) out.emplace_back(i, i);
    return out;
  }
  std::vector<std::vector<int>> best(n + 1, std::vector<int>(m + 1, 0));
  auto score = [&](size_t i, size_t j) { return a[i].cls != b[j].cls ? 0 : a[i].name == b[j].name ? 4 : same_name(a[i].name, b[j].name) ? 3 : 2; };
  for (size_t i = n; i-- > 0;)
    for (size_t j = m; j-- > 0;) {
      int s = score(i, j);
      best[i][j] = std::max({best[i + 1][j], best[i][j + 1], s ? best[i + 1][j + 1] + s : 0});
    }
  for (size_t i = 0, j = 0; i < n && j < m;) {
    int s = score(i, j);
    if (s && best[i][j] == best[i + 1][j + 1] + s) out.emplace_back(i++, j++);
    else if (best[i][j] == best[i + 1][j]) ++i;
    else ++j;
  }
  return out;
}

std::vector<double> doubles(const Tensor& t) { return t.astype(DType::Float64).to_vector<double>(); }

// Random numbers that don't depend on the library's own generator: an integer hash of the place.
Tensor random_input(const Tensor& like, int64_t rows, int64_t seed, int64_t which) {
  Shape shape = like.shape();
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] < 0) shape[i] = i == 0 ? rows : 8;
  int64_t n = shape.numel();
  std::vector<float> v(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    uint64_t z = static_cast<uint64_t>(seed) * 0x9E3779B97F4A7C15ull + static_cast<uint64_t>(which) * 0xD1B54A32D192ED03ull + static_cast<uint64_t>(i) * 0xBF58476D1CE4E5B9ull + 0x94D049BB133111EBull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    double u = static_cast<double>((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
    // Whole numbers stay small: they may be places in a table.
    v[static_cast<size_t>(i)] = static_cast<float>(is_floating(like.dtype()) ? 2 * u - 1 : std::floor(2 * u));
  }
  return Tensor::from(v, shape).astype(like.dtype());
}

}  // namespace

DiffReport diff(const Model& a, const Model& b, const DiffOptions& options) {
  DiffReport report;
  // Structure.
  Value config_a = a.impl()->serialize(), config_b = b.impl()->serialize();
  std::vector<Entry> la, lb;
  flatten_config(config_a, "", la);
  flatten_config(config_b, "", lb);
  if (a.class_name() != b.class_name()) report.layers.push_back({DiffReport::Layer::Changed, a.name(), a.name(), a.class_name(), {fmt::format("class: {} → {}", a.class_name(), b.class_name())}});
  std::vector<std::pair<int, int>> pairs = align(la, lb);
  std::map<std::string, std::string> names;
  for (auto [i, j] : pairs) names[la[static_cast<size_t>(i)].name] = lb[static_cast<size_t>(j)].name;
  size_t i = 0, j = 0;
  auto only_a = [&](size_t end) {
    for (; i < end; ++i) report.layers.push_back({DiffReport::Layer::OnlyInA, la[i].path, la[i].name, la[i].cls, {}});
  };
  auto only_b = [&](size_t end) {
    for (; j < end; ++j) report.layers.push_back({DiffReport::Layer::OnlyInB, lb[j].path, lb[j].name, lb[j].cls, {}});
  };
  for (auto [x, y] : pairs) {
    only_a(static_cast<size_t>(x)), only_b(static_cast<size_t>(y));
    Comparison c{names};
    c.layer(la[i], lb[j]);
    if (!c.changes.empty()) report.layers.push_back({DiffReport::Layer::Changed, la[i].path, la[i].name, la[i].cls, std::move(c.changes)});
    ++i, ++j;
  }
  only_a(la.size()), only_b(lb.size());
  Comparison ends{names};
  for (const char* key : {"input_layers", "output_layers"}) ends.compare(key, config_a.get("config").get(key), config_b.get("config").get(key));
  if (!ends.changes.empty()) report.layers.push_back({DiffReport::Layer::Changed, a.name(), a.name(), a.class_name(), std::move(ends.changes)});

  // Weights, by the places that they have in files.
  std::map<std::string, WeightGroup> in_b;
  std::vector<std::string> order_b;
  for (WeightGroup& g : weight_groups(b.model_impl())) order_b.push_back(g.path), in_b.emplace(g.path, std::move(g));
  auto place = [](const WeightGroup& g, size_t k) { return (g.path.empty() ? "" : g.path + "/") + "vars/" + std::to_string(k); };
  std::set<std::string> seen;
  for (const WeightGroup& g : weight_groups(a.model_impl())) {
    auto it = in_b.find(g.path);
    seen.insert(g.path);
    size_t there = it == in_b.end() ? 0 : it->second.variables.size();
    for (size_t k = 0; k < std::max(g.variables.size(), there); ++k) {
      DiffReport::Weight w{.path = place(g, k)};
      if (k < g.variables.size()) w.variable = g.variables[k].path(), w.a = g.variables[k].shape();
      if (k < there) w.b = it->second.variables[k].shape();
      if (k < there && w.variable.empty()) w.variable = it->second.variables[k].path();
      if (k >= there) w.status = DiffReport::Weight::OnlyInA;
      else if (k >= g.variables.size()) w.status = DiffReport::Weight::OnlyInB;
      else if (w.a != w.b) w.status = DiffReport::Weight::Shape;
      else {
        Deviation d = deviation(doubles(it->second.variables[k].value()), doubles(g.variables[k].value()));
        w.max_abs = d.abs, w.max_rel = d.rel;
        if (!(d.rel <= options.tolerance)) w.status = DiffReport::Weight::Differs;
      }
      report.weights.push_back(std::move(w));
    }
  }
  for (const std::string& path : order_b)
    if (!seen.count(path))
      for (size_t k = 0; k < in_b.at(path).variables.size(); ++k)
        report.weights.push_back({.status = DiffReport::Weight::OnlyInB, .path = place(in_b.at(path), k), .variable = in_b.at(path).variables[k].path(), .b = in_b.at(path).variables[k].shape()});

  // Outputs.
  auto outputs = [&] {
    Tensors want = a.inputs(), other = b.inputs();
    if (want.empty() || want.size() != other.size()) return report.notes.push_back("outputs were not compared: the models have different inputs");
    for (size_t k = 0; k < want.size(); ++k)
      if (!compatible(want[k].shape(), other[k].shape())) return report.notes.push_back(fmt::format("outputs were not compared: inputs {} and {}", want[k].shape().str(), other[k].shape().str()));
    Tensors xa, xb;
    if (options.input.empty()) {
      for (size_t k = 0; k < want.size(); ++k) xa.push_back(random_input(want[k], options.rows, options.seed, static_cast<int64_t>(k)));
      for (size_t k = 0; k < other.size(); ++k) xb.push_back(xa[k].astype(other[k].dtype()));
    } else {
      xa = ordered_inputs(a, options.input);
      xb = options.input.names.empty() || a.input_names() == b.input_names() ? ordered_inputs(b, options.input) : ordered_inputs(b, xa);
    }
    std::map<std::string, std::vector<LayerOutput>> of_a;
    std::vector<std::string> keys;
    auto key = [](const LayerOutput& o) { return fmt::format("{}:{}:{}", o.layer, o.call, o.output); };
    // Paths of A in names of B.
    std::map<std::string, std::string> path_a;
    for (auto [x, y] : pairs) path_a[lb[static_cast<size_t>(y)].path] = la[static_cast<size_t>(x)].path;
    Tensors ya = run_layers(a, xa, [&](const LayerOutput& o) { of_a[key(o)].push_back(o); });
    auto depart = [&](const std::string& layer, const std::string& cls, const Tensor& va, const Tensor& vb) {
      if (report.departure) return;
      if (va.shape() != vb.shape()) {
        report.departure = DiffReport::Output{layer, cls, INFINITY, INFINITY, fmt::format("shapes differ: {} and {}", va.shape().str(), vb.shape().str())};
        return;
      }
      Deviation d = deviation(doubles(vb), doubles(va));
      if (!(d.rel <= std::max(options.tolerance, options.output_tolerance))) report.departure = DiffReport::Output{layer, cls, d.abs, d.rel, ""};
    };
    Tensors yb = run_layers(b, xb, [&](LayerOutput o) {
      if (report.departure) return;
      auto path = path_a.find(o.layer);
      if (path == path_a.end()) return;  // only in B
      o.layer = path->second;
      auto it = of_a.find(key(o));
      if (it == of_a.end() || it->second.empty()) return;
      ++report.layers_compared;
      depart(o.layer, o.class_name, it->second[0].value, o.value);
    });
    if (ya.size() != yb.size()) return report.notes.push_back(fmt::format("the models have {} and {} outputs", ya.size(), yb.size()));
    for (size_t k = 0; k < ya.size(); ++k) depart(fmt::format("output {}", k), "model", ya[k], yb[k]);
  };
  try {
    outputs();
  } catch (const Error& e) {
    report.notes.push_back(std::string("outputs were not compared: ") + e.what());
  }
  report.same = report.layers.empty() && !report.departure &&
                std::all_of(report.weights.begin(), report.weights.end(), [](const auto& w) { return w.status == DiffReport::Weight::Same; });
  return report;
}

static const char* name_of(DiffReport::Layer::Status s) { return s == DiffReport::Layer::OnlyInA ? "only in A" : s == DiffReport::Layer::OnlyInB ? "only in B" : "changed"; }
static const char* name_of(DiffReport::Weight::Status s) {
  switch (s) {
    case DiffReport::Weight::Same: return "same";
    case DiffReport::Weight::OnlyInA: return "only in A";
    case DiffReport::Weight::OnlyInB: return "only in B";
    case DiffReport::Weight::Shape: return "shape";
    default: return "differs";
  }
}

Value DiffReport::to_value() const {
  List ls, ws, ns;
  for (const Layer& l : layers) {
    List changes;
    for (const std::string& c : l.changes) changes.push_back(c);
    ls.push_back(Dict{{"status", name_of(l.status)}, {"path", l.path}, {"class_name", l.class_name}, {"changes", changes}});
  }
  for (const Weight& w : weights)
    ws.push_back(Dict{{"status", name_of(w.status)}, {"path", w.path}, {"variable", w.variable}, {"a", Value(w.a)}, {"b", Value(w.b)}, {"max_abs", w.max_abs}, {"max_rel", w.max_rel}});
  for (const std::string& n : notes) ns.push_back(n);
  Dict d{{"same", same}, {"layers", ls}, {"weights", ws}, {"layers_compared", static_cast<int64_t>(layers_compared)}, {"departure", Value()}, {"notes", ns}};
  if (departure)
    d.set("departure", Dict{{"layer", departure->layer}, {"class_name", departure->class_name}, {"max_abs", departure->max_abs}, {"max_rel", departure->max_rel}, {"note", departure->note}});
  return d;
}

std::string DiffReport::str() const {
  std::string out;
  for (const Layer& l : layers) {
    out += fmt::format("{} layer \"{}\" ({})\n", l.status == Layer::OnlyInA ? "-" : l.status == Layer::OnlyInB ? "+" : "~", l.path, l.class_name);
    for (const std::string& c : l.changes) out += "    " + c + "\n";
  }
  size_t equal = 0;
  for (const Weight& w : weights) {
    if (w.status == Weight::Same) ++equal;
    else if (w.status == Weight::Shape) out += fmt::format("~ weight {} \"{}\": {} → {}\n", w.path, w.variable, w.a.str(), w.b.str());
    else if (w.status == Weight::Differs) out += fmt::format("~ weight {} \"{}\" {}: differs by up to {:.3g}, {:.2g} of the largest\n", w.path, w.variable, w.a.str(), w.max_abs, w.max_rel);
    else out += fmt::format("{} weight {} \"{}\" {}\n", w.status == Weight::OnlyInA ? "-" : "+", w.path, w.variable, (w.status == Weight::OnlyInA ? w.a : w.b).str());
  }
  out += fmt::format("{} of {} weights are the same\n", equal, weights.size());
  if (departure)
    out += fmt::format("the first layer whose output departs: \"{}\" ({}), {}\n", departure->layer, departure->class_name,
                       departure->note.empty() ? fmt::format("by up to {:.3g}, {:.2g} of the largest", departure->max_abs, departure->max_rel) : departure->note);
  else if (layers_compared) out += fmt::format("the outputs of {} layers are the same\n", layers_compared);
  for (const std::string& n : notes) out += n + "\n";
  return out;
}

}  // namespace keras::saving
