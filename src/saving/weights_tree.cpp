// What lives here: the walk over a model's layers in Keras' order, and reading and writing along it.
#include "saving/weights_tree.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <map>
#include <set>

#include <keras/base/warning.h>

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
    WeightGroup g{path, l.name(), fmt::format("{} \"{}\" ({})", l.is_model() ? "model" : "layer", l.name(), l.class_name()), l.own_trainable_};
    g.variables.insert(g.variables.end(), l.own_non_trainable_.begin(), l.own_non_trainable_.end());
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
std::string resolve(const io::H5Group& root, const std::string& path) {
  if (root.contains(path)) return path;
  std::string found;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, end - at);
    if (!root.contains(join(found, part))) part = part[0] == '_' ? part.substr(1) : "_" + part;
    found = join(found, part);
    if (part.empty() || !root.contains(found)) return "";
    at = end + 1;
  }
  return found;
}
std::string vars_path(const io::H5Group& root, const std::string& path) {
  std::string vars = join(path, "vars"), found = resolve(root, vars);
  if (!found.empty() || !root.contains("_layer_checkpoint_dependencies")) return found;
  // Keras 2.13 named a model's layers so.
  std::string old;
  for (size_t at = 0; at < vars.size();) {
    size_t hit = vars.find("layers", at);
    old += vars.substr(at, hit - at);
    if (hit == std::string::npos) break;
    old += "_layer_checkpoint_dependencies";
    at = hit + 6;
  }
  return resolve(root, old);
}

bool is_number(std::string_view s) { return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return std::isdigit(static_cast<unsigned char>(c)); }); }

// Numbered datasets of a `vars` group.
std::vector<std::string> numbered(const io::H5Group& root, const std::string& vars) {
  std::vector<std::string> out;
  if (vars.empty()) return out;
  for (const io::H5Member& m : root.group(vars).members())
    if (m.kind == io::H5Kind::Dataset && is_number(m.name)) out.push_back(m.name);
  std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; });
  return out;
}

// Weights below `path` that belong to no group of the model. Seeds, optimizer, losses and metrics are not weights of layers.
void find_surplus(const io::H5Group& root, const std::string& path, const std::set<std::string>& known, std::vector<std::string>& problems) {
  static const std::set<std::string> no_weights{"seed_generator", "seed_generators", "optimizer", "_compile_metrics", "_compile_loss", "_loss_tracker", "metrics", "_metrics"};
  const io::H5Group group = path.empty() ? root : root.group(path);
  for (const io::H5Member& m : group.members()) {
    std::string at = join(path, m.name);
    if (m.kind != io::H5Kind::Group || no_weights.count(m.name)) continue;
    if (m.name != "vars") {
      find_surplus(root, at, known, problems);
    } else if (!known.count(at)) {
      for (const std::string& n : numbered(root, at))
        problems.push_back(fmt::format("surplus: {}/{} of shape {} belongs to no layer of the model", at, n, root.info(at + "/" + n).shape.str()));
    }
  }
}

optimizers::Optimizer* optimizer_of(const Model& model) {
  models::Trainer* t = model.model_impl().trainer.get();
  return t ? t->optimizer.get() : nullptr;
}

void write_vars(io::H5Group vars, const std::vector<Variable>& variables) {
  for (size_t i = 0; i < variables.size(); ++i) vars.write(std::to_string(i), to_array(variables[i].value()));
}

}  // namespace

std::vector<WeightGroup> weight_groups(const LayerImpl& model) {
  Walk walk;
  walk.layer(model, "");
  return std::move(walk.groups);
}

void WeightMatch::apply() const {
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
void write_weights(const Model& model, io::H5Group root) {
  for (const WeightGroup& g : weight_groups(model.model_impl())) {
    io::H5Group vars = root.require_group(join(g.path, "vars"));
    vars.set_attr("name", Value(g.name));
    write_vars(vars, g.variables);
  }
  std::string path = "optimizer";
  for (const optimizers::Optimizer* o = optimizer_of(model); o; path += "/inner_optimizer") {
    io::H5Group vars = root.require_group(path + "/vars");
    vars.set_attr("name", Value(o->name()));
    write_vars(vars, o->variables());
    auto* scaled = dynamic_cast<const optimizers::LossScaleOptimizer*>(o);
    o = scaled ? scaled->inner_optimizer().get() : nullptr;
  }
}

// ---- reading
WeightMatch match_weights(const Model& model, const io::H5Group& root) {
  WeightMatch match;
  std::set<std::string> known;
  for (const WeightGroup& g : weight_groups(model.model_impl())) {
    std::string vars = vars_path(root, g.path);
    if (!vars.empty()) known.insert(vars);
    std::vector<std::string> in_file = numbered(root, vars);
    std::set<std::string> there(in_file.begin(), in_file.end());
    for (size_t i = 0; i < g.variables.size(); ++i) {
      const Variable& v = g.variables[i];
      std::string n = std::to_string(i), at = join(g.path, "vars/" + n);
      if (!there.erase(n)) {
        match.problems.push_back(fmt::format("missing: {}, {} \"{}\" of shape {}", at, g.where, v.name(), v.shape().str()));
        continue;
      }
      io::H5DatasetInfo info = root.info(vars + "/" + n);
      if (info.shape != v.shape()) {
        match.problems.push_back(fmt::format("shape: {}, {} \"{}\" needs {}, the file has {}", at, g.where, v.name(), v.shape().str(), info.shape.str()));
        continue;
      }
      match.values.emplace_back(v, to_tensor(root.read(vars + "/" + n)));
    }
    for (const std::string& n : there)
      match.problems.push_back(fmt::format("surplus: {}/{} of shape {}, {} has {} weights", vars, n, root.info(vars + "/" + n).shape.str(), g.where, g.variables.size()));
  }
  find_surplus(root, "", known, match.problems);
  return match;
}

WeightMatch match_optimizer(const Model& model, const io::H5Group& root) {
  WeightMatch match;
  const optimizers::Optimizer* o = optimizer_of(model);
  if (!o || !root.contains("optimizer/vars")) return match;
  std::vector<Variable> vars = o->variables();
  std::vector<std::string> in_file = numbered(root, "optimizer/vars");
  // A model that was compiled and never trained has no slots yet.
  bool untrained = in_file.size() <= 2 && in_file.size() < vars.size();
  if (in_file.size() != vars.size() && !untrained) {
    warn(ErrorText{.what = "the state of the optimizer was left as it is: the file holds another number of its variables",
                   .where = fmt::format("{}, optimizer \"{}\"", root.where("optimizer/vars"), o->name()),
                   .expected = std::to_string(vars.size()), .received = std::to_string(in_file.size())}.str());
    return match;
  }
  for (size_t i = 0; i < in_file.size(); ++i) {
    std::string at = "optimizer/vars/" + std::to_string(i);
    if (!root.contains(at)) continue;
    io::H5DatasetInfo info = root.info(at);
    if (info.shape != vars[i].shape()) {
      if (!untrained)
        match.problems.push_back(fmt::format("shape: {}, optimizer \"{}\" \"{}\" needs {}, the file has {}", at, o->name(), vars[i].path(), vars[i].shape().str(), info.shape.str()));
      continue;
    }
    match.values.emplace_back(vars[i], to_tensor(root.read(at)));
  }
  return match;
}

}  // namespace keras::saving
