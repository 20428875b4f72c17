// What lives here: the walk over a model's layers in Keras' order, and reading and writing along it.
#include "saving/weights_tree.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>

#include <keras/base/warning.h>

#include "layers/core/lora.h"
#include "models/functional.h"
#include "models/trainer.h"

namespace keras::saving {

using layers::LayerImpl;

io::Array to_array(const Tensor& t) {
  io::Bytes bytes(t.nbytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), t.raw(), bytes.size());
  return io::Array(t.dtype(), t.shape(), std::move(bytes));
}
Tensor to_tensor(const io::Array& a) {
  Tensor t = Tensor::empty(a.dtype, a.shape);
  if (!a.data.empty()) std::memcpy(t.mutable_raw(), a.data.data(), a.data.size());
  return t;
}

// ---- the walk
namespace {

// A container names its elements by class, because layers' own names are often counters that differ from run to run.
struct UniqueNames {
  std::map<std::string, int> used;
  std::string operator()(const std::string& name) {
    auto [it, fresh] = used.try_emplace(name, 0);
    return fresh ? name : fmt::format("{}_{}", name, ++it->second);
  }
};

std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + "/" + name; }

struct Walk {
  std::vector<WeightGroup> groups;
  std::set<const LayerImpl*> visited;

  void container(const std::vector<std::shared_ptr<LayerImpl>>& items, const std::string& path) {
    UniqueNames unique;
    for (const auto& item : items) {
      // The one class of Keras whose name in Python is not that in configurations.
      std::string cls = item->class_name() == "GroupQueryAttention" ? "GroupedQueryAttention" : item->class_name();
      layer(*item, path + "/" + unique(core::to_snake_case(cls)));
    }
  }
  void layer(const LayerImpl& l, const std::string& path) {
    if (!visited.insert(&l).second) return;
    WeightGroup g{path, l.name(), fmt::format("{} \"{}\" ({})", l.is_model() ? "model" : "layer", l.name(), l.class_name()), l.own_trainable_, const_cast<LayerImpl*>(&l)};
    g.variables.insert(g.variables.end(), l.own_non_trainable_.begin(), l.own_non_trainable_.end());
    // Files hold the weight that LoRA moves and what moves it in one.
    if (const auto* lora = dynamic_cast<const layers::LoraHost*>(&l); lora && lora->lora_enabled())
      std::erase_if(g.variables, [&](const Variable& v) { return v.same(lora->lora_a) || v.same(lora->lora_b); });
    groups.push_back(std::move(g));
    if (dynamic_cast<const models::FunctionalImpl*>(&l) || dynamic_cast<const models::SequentialImpl*>(&l)) {
      std::vector<std::shared_ptr<LayerImpl>> items;
      for (const Layer& sub : static_cast<const models::ModelImpl&>(l).layers()) items.push_back(sub.impl());
      return container(items, join(path, "layers"));
    }
    // Attributes by name, private ones last; "cells/0", "cells/1" are elements of the attribute `cells`.
    std::map<std::string, std::vector<std::shared_ptr<LayerImpl>>> attributes;
    std::set<const LayerImpl*> named;
    for (const auto& [attribute, part] : l.parts()) {
      std::string key = attribute.empty() ? "layers/" : attribute;
      attributes[key[0] == '_' ? "~" + key : key.substr(0, key.find('/') == std::string::npos ? key.size() : key.find('/') + 1)].push_back(part.impl());
      named.insert(part.impl().get());
    }
    // Layers that only a `call` knows have no attribute; they stand where a model's do.
    for (const auto& sub : l.sublayers())
      if (!named.count(sub.get())) attributes["layers/"].push_back(sub);
    for (auto& [key, items] : attributes) {
      std::string attribute = key[0] == '~' ? key.substr(1) : key;
      if (attribute.back() == '/') container(items, join(path, attribute.substr(0, attribute.size() - 1)));
      else layer(*items[0], join(path, attribute));
    }
  }
};

// The group at `path`, where a component may have gained or lost its leading underscore between releases of Keras ("_query_dense",
// "query_dense"); "" when there is none.
std::string resolve(const WeightIndex& file, const std::string& path) {
  if (file.contains(path)) return path;
  std::string found;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, end - at);
    if (!file.contains(join(found, part))) part = part[0] == '_' ? part.substr(1) : "_" + part;
    found = join(found, part);
    if (part.empty() || !file.contains(found)) return "";
    at = end + 1;
  }
  return found;
}
std::string vars_path(const WeightIndex& file, const std::string& path) {
  std::string vars = join(path, "vars"), found = resolve(file, vars);
  if (!found.empty() || !file.contains("_layer_checkpoint_dependencies")) return found;
  // Keras 2.13 named a model's layers so.
  std::string old;
  for (size_t at = 0; at < vars.size();) {
    size_t hit = vars.find("layers", at);
    old += vars.substr(at, hit - at);
    if (hit == std::string::npos) break;
    old += "_layer_checkpoint_dependencies";
    at = hit + 6;
  }
  return resolve(file, old);
}

// Seeds, optimizer, losses and metrics are no weights of layers.
bool holds_no_weights(const std::string& vars) {
  static const std::set<std::string> names{"seed_generator", "seed_generators", "optimizer", "_compile_metrics", "_compile_loss", "_loss_tracker", "metrics", "_metrics"};
  for (size_t at = 0; at < vars.size();) {
    size_t end = std::min(vars.find('/', at), vars.size());
    if (names.count(vars.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

optimizers::Optimizer* optimizer_of(const Model& model) {
  models::Trainer* t = model.model_impl().trainer.get();
  return t ? t->optimizer.get() : nullptr;
}

void write_vars(WeightSink& sink, const std::vector<Variable>& variables) {
  for (size_t i = 0; i < variables.size(); ++i) sink.write(std::to_string(i), to_array(variables[i].value()));
}

}  // namespace

std::vector<WeightGroup> weight_groups(const LayerImpl& model) {
  Walk walk;
  walk.layer(model, "");
  return std::move(walk.groups);
}

std::vector<std::string> WeightMatch::problems() const {
  std::vector<std::string> out;
  for (const WeightFinding& f : findings)
    if (f.status != WeightFinding::Loaded) out.push_back(f.text);
  return out;
}
void WeightMatch::apply() const {
  // What may refuse its values comes first: then nothing was assigned.
  for (const auto& [layer, store] : stores) layer->load_own_variables(store);
  for (const auto& [variable, value] : values) variable.assign(value);
}

void throw_mismatch(const std::vector<std::string>& problems, const std::string& file, const Model& model) {
  constexpr size_t shown = 40;
  std::string list;
  for (size_t i = 0; i < std::min(problems.size(), shown); ++i) list += "\n    " + problems[i];
  if (problems.size() > shown) list += fmt::format("\n    and {} more", problems.size() - shown);
  throw ValueError(ErrorText{.what = fmt::format("{} weight{} of the file and the model {} not fit each other; nothing was loaded", problems.size(), problems.size() == 1 ? "" : "s",
                                                 problems.size() == 1 ? "does" : "do"),
                             .where = fmt::format("{}, model \"{}\"", file, model.name()),
                             .received = list,
                             .fix = "load a file of the same architecture, or skip what differs: load_weights(model, path, {.skip_mismatch = true})"}
                       .str());
}

// ---- writing
void write_weights(const Model& model, WeightSink& sink) {
  for (const WeightGroup& g : weight_groups(model.model_impl())) {
    sink.object(g.path, g.name);
    const auto* lora = dynamic_cast<const layers::LoraHost*>(g.layer);
    if (lora && !lora->lora_enabled()) lora = nullptr;
    for (size_t i = 0; i < g.variables.size(); ++i) {
      bool moved = lora && g.variables[i].same(lora->lora_target());
      sink.write(std::to_string(i), to_array(moved ? lora->lora_merged() : g.variables[i].value()));
    }
    for (const auto& [name, value] : g.layer->save_own_variables()) sink.write(name, to_array(value));
  }
  std::string path = "optimizer";
  for (const optimizers::Optimizer* o = optimizer_of(model); o; path += "/inner_optimizer") {
    sink.object(path, o->name());
    write_vars(sink, o->variables());
    auto* scaled = dynamic_cast<const optimizers::LossScaleOptimizer*>(o);
    o = scaled ? scaled->inner_optimizer().get() : nullptr;
  }
}

// ---- reading
WeightMatch match_weights(const Model& model, const WeightIndex& file, bool keep) {
  WeightMatch match;
  std::set<std::string> known;
  for (const WeightGroup& g : weight_groups(model.model_impl())) {
    std::string vars = vars_path(file, g.path);
    if (!vars.empty()) known.insert(vars);
    std::vector<std::string> in_file = file.numbered(vars);
    std::set<std::string> there(in_file.begin(), in_file.end());
    for (size_t i = 0; i < g.variables.size(); ++i) {
      const Variable& v = g.variables[i];
      std::string n = std::to_string(i), at = join(g.path, "vars/" + n);
      WeightFinding f{.path = at, .owner = g.where, .variable = v.name(), .expected = v.shape()};
      if (!there.erase(n)) {
        f.status = WeightFinding::Missing;
        f.text = fmt::format("missing: {}, {} \"{}\" of shape {}", at, g.where, v.name(), v.shape().str());
        match.findings.push_back(std::move(f));
        continue;
      }
      f.path = vars + "/" + n;
      io::H5DatasetInfo info = file.info(f.path);
      f.found = info.shape, f.dtype = dtype_name(info.dtype);
      if (info.shape != v.shape()) {
        f.status = WeightFinding::Misshapen;
        f.text = fmt::format("shape: {}, {} \"{}\" needs {}, the file has {}", at, g.where, v.name(), v.shape().str(), info.shape.str());
      } else {
        Tensor value = to_tensor(file.read(f.path));
        if (keep) match.values.emplace_back(v, std::move(value));
      }
      match.findings.push_back(std::move(f));
    }
    for (const std::string& n : there) {
      io::H5DatasetInfo info = file.info(vars + "/" + n);
      match.findings.push_back({.status = WeightFinding::Surplus, .path = vars + "/" + n, .owner = g.where, .found = info.shape, .dtype = dtype_name(info.dtype),
                                .text = fmt::format("surplus: {}/{} of shape {}, {} has {} weights", vars, n, info.shape.str(), g.where, g.variables.size())});
    }
    if (const auto* lora = dynamic_cast<const layers::LoraHost*>(g.layer); lora && lora->lora_enabled() && keep)
      for (const Variable& v : {lora->lora_a, lora->lora_b}) match.values.emplace_back(v, Tensor::full(v.shape(), 0, v.dtype()));
    LayerImpl::Store own;
    for (const std::string& n : file.names(vars))
      if (std::find(in_file.begin(), in_file.end(), n) == in_file.end()) {
        own.emplace_back(n, to_tensor(file.read(vars + "/" + n)));
        match.findings.push_back({.path = vars + "/" + n, .owner = g.where, .variable = n, .expected = own.back().second.shape(), .found = own.back().second.shape(), .dtype = dtype_name(own.back().second.dtype())});
      }
    if (!own.empty() && keep) match.stores.emplace_back(g.layer, std::move(own));
  }
  for (const auto& [vars, datasets] : file.vars()) {
    if (known.count(vars) || holds_no_weights(vars)) continue;
    for (const std::string& n : file.numbered(vars)) {
      io::H5DatasetInfo info = file.info(vars + "/" + n);
      match.findings.push_back({.status = WeightFinding::Surplus, .path = vars + "/" + n, .found = info.shape, .dtype = dtype_name(info.dtype),
                                .text = fmt::format("surplus: {}/{} of shape {} belongs to no layer of the model", vars, n, info.shape.str())});
    }
  }
  return match;
}

double nadam_product(double beta_1, double iterations) {
  double p = 1;
  for (int64_t t = 1; t <= static_cast<int64_t>(std::min(iterations, 1e7)) && p > 0; ++t) p *= beta_1 * (1 - 0.5 * std::pow(0.96, t));
  return p;
}

WeightMatch match_optimizer(const Model& model, const WeightIndex& file) {
  WeightMatch match;
  const optimizers::Optimizer* o = optimizer_of(model);
  std::string at = "optimizer";
  for (; o && file.contains(at + "/vars"); at += "/inner_optimizer") {
    std::vector<Variable> vars = o->variables();
    std::vector<std::string> in_file = file.numbered(at + "/vars");
    // A model that was compiled and never trained has no slots yet.
    bool untrained = in_file.size() <= 2 && in_file.size() < vars.size();
    Variable product;
    if (in_file.size() < vars.size() && !untrained) {
      // tf.keras keeps the learning rate in the configuration alone, and Nadam's product nowhere.
      std::erase_if(vars, [](const Variable& v) { return v.path().ends_with("learning_rate"); });
      if (o->class_name() == "Nadam" && in_file.size() + 1 == vars.size()) product = vars.back(), vars.pop_back();
    }
    if (in_file.size() != vars.size() && !untrained) {
      warn(ErrorText{.what = "the state of the optimizer was left as it is: the file holds another number of its variables",
                     .where = fmt::format("{}, optimizer \"{}\"", file.where(at + "/vars"), o->name()),
                     .expected = std::to_string(vars.size()), .received = std::to_string(in_file.size())}.str());
      return match;
    }
    for (size_t i = 0; i < in_file.size(); ++i) {
      WeightFinding f{.path = at + "/vars/" + in_file[i], .owner = "optimizer \"" + o->name() + "\"", .variable = vars[i].path(), .expected = vars[i].shape()};
      if (in_file[i] != std::to_string(i)) continue;
      io::H5DatasetInfo info = file.info(f.path);
      f.found = info.shape, f.dtype = dtype_name(info.dtype);
      if (info.shape == vars[i].shape()) {
        Tensor value = to_tensor(file.read(f.path));
        if (i == 0 && product.defined()) {
          double steps = value.astype(DType::Float64).to_vector<double>().at(0);
          match.values.emplace_back(product, Tensor::full(product.shape(), nadam_product(o->get_config().at("beta_1").as_float(), steps)).astype(product.dtype()));
        }
        match.values.emplace_back(vars[i], std::move(value));
      } else {
        if (untrained) continue;
        f.status = WeightFinding::Misshapen;
        f.text = fmt::format("shape: {}, optimizer \"{}\" \"{}\" needs {}, the file has {}", f.path, o->name(), vars[i].path(), vars[i].shape().str(), info.shape.str());
      }
      match.findings.push_back(std::move(f));
    }
    auto* scaled = dynamic_cast<const optimizers::LossScaleOptimizer*>(o);
    o = scaled ? scaled->inner_optimizer().get() : nullptr;
  }
  return match;
}

}  // namespace keras::saving
