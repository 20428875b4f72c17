// What lives here: reading and writing whole-model `.h5` files, and what Keras 2 called things that Keras 3 calls otherwise.
#include "saving/legacy_h5.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include <keras/base/warning.h>

#include "io/json.h"
#include "models/functional.h"
#include "models/trainer.h"
#include "saving/keras_file.h"

namespace keras::saving {

using io::H5Group;

// ---- configurations of Keras 2 in the words of Keras 3 -----------------------------------------------------------------------

namespace {

Value modern(const Value& v);
Value modern_layer(const Value& saved);

Value renamed(const Value& config, std::initializer_list<std::pair<const char*, const char*>> names) {
  Dict out;
  for (const auto& [k, v] : config.as_dict()) {
    std::string key = k;
    for (const auto& [old, now] : names)
      if (k == old) key = now;
    out.set(key, v);
  }
  return out;
}

// A Sequential whose first layer tells the input's shape gets the InputLayer that Keras 3 writes.
List modern_layers(const List& layers, bool sequential) {
  List out;
  for (const Value& l : layers) {
    const Value& shape = l.get("config").get("batch_input_shape");
    if (sequential && out.empty() && shape.is_list() && l.get("class_name") != Value("InputLayer")) {
      const Value& dtype = l.get("config").get("dtype");
      std::string name = l.get("config").get("name").is_string() ? l.get("config").get("name").as_string() + "_input" : "input";
      bool integers = l.get("class_name") == Value("Embedding");
      out.push_back(Dict{{"class_name", "InputLayer"},
                         {"config", Dict{{"batch_shape", shape}, {"dtype", integers ? Value("int32") : dtype.is_string() ? dtype : Value("float32")}, {"name", name}}}});
    }
    out.push_back(modern_layer(l));
  }
  return out;
}

// Options that meant something else, or were called otherwise, when a class was younger.
void modern_options(const std::string& cls, Dict& config) {
  if (cls == "GRU" && !config.contains("reset_after")) config.set("reset_after", false);
  if (cls == "LeakyReLU")
    if (const Value* alpha = config.find("alpha"); alpha && !config.contains("negative_slope")) {
      Value slope = alpha->is_dict() ? alpha->get("value") : *alpha;
      config.set("negative_slope", slope.is_list() && !slope.as_list().empty() ? slope.as_list()[0] : slope);
    }
}

Value modern_layer(const Value& saved) {
  if (!saved.is_dict()) return modern(saved);
  Dict out;
  static const std::map<std::string, const char*> renamed_classes{{"BatchNormalizationV1", "BatchNormalization"}, {"BatchNormalizationV2", "BatchNormalization"},
                                                                  {"GRUV2", "GRU"}, {"LSTMV2", "LSTM"}};
  Value cls = saved.get("class_name");
  if (cls.is_string())
    if (auto it = renamed_classes.find(cls.as_string()); it != renamed_classes.end()) cls = Value(it->second);
  for (const auto& [k, v] : saved.as_dict()) {
    if (k != "config") {
      out.set(k, k == "class_name" ? cls : k == "inbound_nodes" ? v : modern(v));
      continue;
    }
    // Keras 2.2 and before wrote a Sequential as a plain list of layers.
    if (v.is_list() && cls == Value("Sequential")) {
      out.set(k, Dict{{"layers", modern_layers(v.as_list(), true)}});
      continue;
    }
    if (!v.is_dict()) {
      out.set(k, v);
      continue;
    }
    Dict config;
    for (const auto& [key, value] : v.as_dict()) {
      if (key == "layers" && value.is_list() && cls.is_string() && cls.as_string() != "StackedRNNCells") {
        config.set(key, modern_layers(value.as_list(), cls == Value("Sequential")));
      } else if (key == "batch_input_shape") {
        if (cls == Value("InputLayer")) config.set("batch_shape", value);
      } else if (key == "axis" && value.is_list() && value.as_list().size() == 1 && cls == Value("BatchNormalization")) {
        config.set(key, value.as_list()[0]);
      } else if (key == "layer" || key == "backward_layer" || key == "cell") {
        config.set(key, modern_layer(value));
      } else if (key == "cells" && value.is_list()) {
        List cells;
        for (const Value& c : value.as_list()) cells.push_back(modern_layer(c));
        config.set(key, cells);
      } else {
        config.set(key, modern(value));
      }
    }
    if (cls.is_string()) modern_options(cls.as_string(), config);
    out.set(k, config);
  }
  return out;
}

// What stands inside of options: tuples are lists, and Keras 2's names of initializers and regularizers.
Value modern(const Value& v) {
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(modern(e));
    return l;
  }
  if (!v.is_dict()) return v;
  const Value& cls = v.get("class_name");
  if (cls == Value("__tuple__")) return modern(v.get("items"));
  if (cls == Value("TensorShape")) return v.get("items");
  Dict d;
  for (const auto& [k, e] : v.as_dict()) d.set(k, modern(e));
  if (cls.is_string() && v.get("config").is_dict()) {
    if (cls == Value("Policy") || cls == Value("PolicyV1")) d.set("class_name", "DTypePolicy");
    // A distribution "normal" was the truncated one.
    if (cls == Value("VarianceScaling") && d.at("config").get("distribution") == Value("normal")) {
      Dict c = d.at("config").as_dict();
      c.set("distribution", "truncated_normal");
      d.set("config", c);
    }
  }
  return d;
}

Value modern_optimizer(const Value& saved) {
  if (!saved.is_dict() || !saved.get("config").is_dict()) return saved;
  Dict out = saved.as_dict();
  Dict config = renamed(modern(saved.get("config")), {{"lr", "learning_rate"}}).as_dict();
  for (const char* gone : {"is_legacy_optimizer", "jit_compile", "schedule_decay"}) config.erase(gone);
  if (const Value* decay = config.find("decay")) {
    double rate = decay->is_number() ? decay->as_float() : 0;
    const Value* lr = config.find("learning_rate");
    if (rate != 0 && lr && lr->is_number())
      config.set("learning_rate", Dict{{"module", "keras.optimizers.schedules"},
                                       {"class_name", "InverseTimeDecay"},
                                       {"config", Dict{{"initial_learning_rate", lr->as_float()}, {"decay_steps", 1}, {"decay_rate", rate}, {"staircase", false}, {"name", "InverseTimeDecay"}}},
                                       {"registered_name", Value()}});
    config.erase("decay");
  }
  out.set("config", config);
  return out;
}

// Keras 2 wrapped functions that are metrics: {"class_name": "MeanMetricWrapper", "config": {"name", "dtype", "fn"}}.
Value modern_metric(const Value& v) {
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(modern_metric(e));
    return l;
  }
  if (!v.is_dict()) return v;
  if (v.get("class_name") == Value("MeanMetricWrapper")) {
    const Value& config = v.get("config");
    return config.get("fn").is_string() ? config.get("fn") : config.get("name");
  }
  if (v.get("class_name").is_string()) return modern(v);
  Dict d;
  for (const auto& [k, e] : v.as_dict()) d.set(k, modern_metric(e));
  return d;
}

Dict modern_compile_config(const Value& training) {
  Dict c;
  c.set("optimizer", modern_optimizer(training.get("optimizer_config")));
  c.set("loss", modern(training.get("loss")));
  c.set("loss_weights", training.get("loss_weights"));
  c.set("metrics", modern_metric(training.get("metrics")));
  c.set("weighted_metrics", modern_metric(training.get("weighted_metrics")));
  for (const char* key : {"run_eagerly", "steps_per_execution", "jit_compile"})
    if (const Value& v = training.get(key); !v.is_null()) c.set(key, v);
  return c;
}

// ---- the other way: no modules, registered names and build shapes around layers
Value legacy_layer(const Value& saved) {
  Dict out;
  for (const auto& [k, v] : saved.as_dict()) {
    if (k == "module" || k == "registered_name" || k == "build_config" || k == "compile_config") continue;
    if (k == "config" && v.get("layers").is_list()) {
      Dict config;
      for (const auto& [key, value] : v.as_dict()) {
        if (key != "layers") {
          config.set(key, value);
          continue;
        }
        List layers;
        for (const Value& l : value.as_list()) layers.push_back(legacy_layer(l));
        config.set(key, layers);
      }
      out.set(k, config);
    } else {
      out.set(k, v);
    }
  }
  return out;
}

// Keras finds short names of losses among its metrics and then refuses the file, also its own.
Value long_loss_names(const Value& v) {
  static const std::map<std::string, const char*> names{{"mse", "mean_squared_error"},  {"mae", "mean_absolute_error"}, {"mape", "mean_absolute_percentage_error"},
                                                        {"msle", "mean_squared_logarithmic_error"}, {"kld", "kl_divergence"}, {"bce", "binary_crossentropy"}};
  if (v.is_string()) {
    auto it = names.find(v.as_string());
    return it == names.end() ? v : Value(it->second);
  }
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(long_loss_names(e));
    return l;
  }
  if (!v.is_dict() || v.get("class_name").is_string()) return v;
  Dict d;
  for (const auto& [k, e] : v.as_dict()) d.set(k, long_loss_names(e));
  return d;
}

// ---- weights ------------------------------------------------------------------------------------------------------------------

// The order of such files: first what is trained.
std::vector<Variable> legacy_weights(const Layer& layer) {
  std::vector<Variable> out = layer.trainable_weights();
  for (const Variable& v : layer.non_trainable_weights()) out.push_back(v);
  return out;
}
std::vector<Variable> top_level_weights(const Model& model) {
  std::vector<Variable> out = model.impl()->own_trainable_;
  out.insert(out.end(), model.impl()->own_non_trainable_.begin(), model.impl()->own_non_trainable_.end());
  return out;
}

void write_subset(H5Group group, const std::vector<Variable>& variables) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Variable& v : variables) {
    std::string name = v.path();
    for (int i = 1; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", v.path(), i);
    names.push_back(name);
  }
  group.set_attr_strings("weight_names", names);
  for (size_t i = 0; i < variables.size(); ++i) group.write(names[i], to_array(variables[i].value()));
}

struct Saved {
  std::string name;
  std::vector<std::string> weights;  // paths in the file
};
std::vector<std::string> weight_names(const H5Group& group) {
  return group.has_attr("weight_names") || group.has_attr("weight_names0") ? group.attr_strings("weight_names") : std::vector<std::string>{};
}

void match_subset(const std::string& where, const std::vector<Variable>& variables, const H5Group& group, const std::vector<std::string>& names, WeightMatch& match) {
  if (names.size() != variables.size())
    match.problems.push_back(fmt::format("count: {} has {} weights, the file has {} for it ({})", where, variables.size(), names.size(), group.where()));
  for (size_t i = 0; i < names.size(); ++i) {
    io::H5DatasetInfo info = group.info(names[i]);
    if (i >= variables.size()) {
      match.problems.push_back(fmt::format("surplus: {} of shape {}, {}", group.where(names[i]), info.shape.str(), where));
    } else if (info.shape != variables[i].shape()) {
      match.problems.push_back(fmt::format("shape: {} \"{}\" needs {}, the file has {} ({})", where, variables[i].path(), variables[i].shape().str(), info.shape.str(), names[i]));
    } else {
      match.values.emplace_back(variables[i], to_tensor(group.read(names[i])));
    }
  }
  for (size_t i = names.size(); i < variables.size(); ++i)
    match.problems.push_back(fmt::format("missing: {} \"{}\" of shape {}", where, variables[i].path(), variables[i].shape().str()));
}

std::string where_of(const Layer& l) { return fmt::format("layer \"{}\" ({})", l.name(), l.class_name()); }

}  // namespace

WeightMatch match_legacy_weights(const Model& model, const H5Group& root, bool by_name) {
  H5Group group = !root.has_attr("layer_names") && !root.has_attr("layer_names0") && root.contains("model_weights") ? root.group("model_weights") : root;
  std::vector<Saved> saved;
  for (const std::string& name : group.attr_strings("layer_names")) saved.push_back({name, weight_names(group.group(name))});
  WeightMatch match;
  if (by_name) {
    for (const Saved& s : saved)
      for (const Layer& l : model.layers())
        if (l.name() == s.name) match_subset(where_of(l), legacy_weights(l), group.group(s.name), s.weights, match);
  } else {
    std::erase_if(saved, [](const Saved& s) { return s.weights.empty(); });
    std::vector<Layer> layers = model.layers();
    std::erase_if(layers, [](const Layer& l) { return legacy_weights(l).empty(); });
    for (size_t i = 0; i < std::min(saved.size(), layers.size()); ++i) match_subset(where_of(layers[i]), legacy_weights(layers[i]), group.group(saved[i].name), saved[i].weights, match);
    for (size_t i = saved.size(); i < layers.size(); ++i) match.problems.push_back(fmt::format("missing: all weights of {}", where_of(layers[i])));
    for (size_t i = layers.size(); i < saved.size(); ++i)
      match.problems.push_back(fmt::format("surplus: {} weights of layer \"{}\" of the file", saved[i].weights.size(), saved[i].name));
  }
  if (group.contains("top_level_model_weights")) {
    H5Group top = group.group("top_level_model_weights");
    match_subset(fmt::format("model \"{}\"", model.name()), top_level_weights(model), top, weight_names(top), match);
  }
  return match;
}

// ---- whole models ---------------------------------------------------------------------------------------------------------------

void write_legacy_model(const Model& model, H5Group root) {
  root.set_attr("keras_version", kKerasVersion);
  root.set_attr("backend", "jax");
  Value saved = model.impl()->serialize();
  Value config = legacy_layer(saved);
  root.set_attr_bytes("model_config", io::to_json(Dict{{"class_name", config.get("class_name")}, {"config", config.get("config")}}));
  const models::Trainer* trainer = model.model_impl().trainer.get();
  if (trainer) {
    Dict training = models::compile_config(*trainer);
    Value optimizer = training.at("optimizer");
    training.erase("optimizer");
    training.set("loss", long_loss_names(training.at("loss")));
    training.set("optimizer_config", Dict{{"class_name", optimizer.get("class_name")}, {"config", optimizer.get("config")}});
    root.set_attr_bytes("training_config", io::to_json(training));
  }
  H5Group weights = root.create_group("model_weights");
  std::vector<Layer> layers = model.layers();
  std::vector<std::string> names;
  for (const Layer& l : layers) names.push_back(l.name());
  weights.set_attr_strings("layer_names", names);
  weights.set_attr_bytes("backend", "jax");
  weights.set_attr_bytes("keras_version", kKerasVersion);
  std::stable_sort(layers.begin(), layers.end(), [](const Layer& a, const Layer& b) { return a.name() < b.name(); });
  for (const Layer& l : layers) write_subset(weights.create_group(l.name()), legacy_weights(l));
  write_subset(weights.create_group("top_level_model_weights"), top_level_weights(model));
  if (trainer && trainer->optimizer) write_subset(root.create_group("optimizer_weights"), trainer->optimizer->variables());
}

static Value json_attribute(const H5Group& root, const char* name) {
  return io::parse_json(root.attr_string(name), root.where() + " attribute '" + name + "'");
}

static void load_optimizer(Model& model, const H5Group& root) {
  if (!root.contains("optimizer_weights")) return;
  H5Group group = root.group("optimizer_weights");
  std::vector<std::string> names = weight_names(group);
  std::vector<Variable> vars = model.optimizer().variables();
  bool untrained = names.size() <= 2 && names.size() < vars.size();
  bool fits = untrained || names.size() == vars.size();
  for (size_t i = 0; fits && i < names.size(); ++i) fits = group.info(names[i]).shape == vars[i].shape();
  if (!fits) {
    warn(ErrorText{.what = "the state of the optimizer in the file is not that of this optimizer, which starts fresh", .where = group.where(),
                   .expected = std::to_string(vars.size()) + " variables", .received = std::to_string(names.size())}.str());
    return;
  }
  Tensors values;
  for (const std::string& n : names) values.push_back(to_tensor(group.read(n)));
  for (size_t i = 0; i < values.size(); ++i) vars[i].assign(values[i]);
}

Model read_legacy_model(const H5Group& root, const std::string& path, bool compile) {
  if (!root.has_attr("model_config")) {
    bool weights = root.has_attr("layer_names") || root.contains("layers") || root.contains("_layer_checkpoint_dependencies");
    throw ValueError(ErrorText{.what = weights ? "the file holds weights only, no model" : "the file holds no model", .where = path, .expected = "an attribute model_config",
                               .fix = weights ? "build the model, then model.load_weights(\"" + path + "\")" : ""}.str());
  }
  Model model = model_from_saved(modern_layer(json_attribute(root, "model_config")), path + ": model_config");
  WeightMatch match = match_legacy_weights(model, root, false);
  if (!match.problems.empty()) throw_mismatch(match.problems, path, model);
  match.apply();
  if (!compile) return model;
  if (!root.has_attr("training_config")) return model;
  with_where(path + ": training_config", [&] {
    model.compile_from_config(modern_compile_config(json_attribute(root, "training_config")));
    if (model.built()) model.optimizer().build(model.trainable_weights());
  });
  load_optimizer(model, root);
  return model;
}

}  // namespace keras::saving
