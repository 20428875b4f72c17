// What lives here: reading and writing whole-model `.h5` files, and the layouts of weights in them.
#include "saving/legacy_h5.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <set>

#include <keras/base/warning.h>

#include "io/json.h"
#include "models/functional.h"
#include "models/trainer.h"
#include "saving/keras_file.h"
#include "saving/legacy_config.h"

namespace keras::saving {

using io::H5Group;

namespace {

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

// ---- weights of CuDNNLSTM and CuDNNGRU: gates lie transposed, and each has two biases
struct Gates {
  int64_t count, units;
  bool gru;
};
// How the variables at i-2, i-1, i (kernel, recurrent kernel, bias) stand to a file whose bias is (2 · gates · units,).
std::optional<Gates> cudnn(const std::vector<Variable>& variables, size_t i, const Shape& in_file) {
  if (i < 2 || in_file.rank() != 1) return {};
  const Shape &kernel = variables[i - 2].shape(), &recurrent = variables[i - 1].shape(), &bias = variables[i].shape();
  if (kernel.rank() != 2 || recurrent.rank() != 2 || recurrent[0] == 0) return {};
  int64_t units = recurrent[0], gates = recurrent[1] / units;
  if (recurrent[1] != gates * units || kernel[1] != gates * units || in_file[0] != 2 * gates * units) return {};
  if (gates == 4 && bias == Shape{4 * units}) return Gates{4, units, false};
  if (gates == 3 && bias == Shape{2, 3 * units}) return Gates{3, units, true};
  return {};
}
Tensor of_floats(const std::vector<float>& v, const Shape& shape, const Tensor& like) { return Tensor::from(v, shape).astype(like.dtype()); }
// (rows, gates · units): each gate's block was stored as (units, rows).
Tensor gates_transposed(const Tensor& t, const Gates& g) {
  std::vector<float> in = t.to_vector<float>(), out(in.size());
  int64_t rows = t.shape()[0], width = g.count * g.units;
  for (int64_t gate = 0; gate < g.count; ++gate)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < g.units; ++c) {
        int64_t flat = c * rows + r;  // in the block as it was stored, row by row
        out[static_cast<size_t>(r * width + gate * g.units + c)] = in[static_cast<size_t>(flat / g.units * width + gate * g.units + flat % g.units)];
      }
  return of_floats(out, t.shape(), t);
}
Tensor cudnn_bias(const Tensor& t, const Gates& g) {
  std::vector<float> in = t.to_vector<float>();
  if (g.gru) return of_floats(in, {2, g.count * g.units}, t);
  size_t half = in.size() / 2;
  for (size_t i = 0; i < half; ++i) in[i] += in[half + i];
  in.resize(half);
  return of_floats(in, {g.count * g.units}, t);
}

void match_subset(const std::string& where, const std::vector<Variable>& variables, const H5Group& group, const std::vector<std::string>& names, bool keep, WeightMatch& match) {
  auto add = [&](WeightFinding f) { match.findings.push_back(std::move(f)); };
  if (names.size() != variables.size() && !names.empty() && !variables.empty())
    add({.status = names.size() < variables.size() ? WeightFinding::Missing : WeightFinding::Surplus, .path = group.where(), .owner = where,
         .text = fmt::format("count: {} has {} weights, the file has {} for it ({})", where, variables.size(), names.size(), group.where())});
  std::vector<Tensor> read(names.size());
  std::vector<size_t> at(names.size(), SIZE_MAX);  // in match.values
  for (size_t i = 0; i < names.size(); ++i) {
    io::H5DatasetInfo info = group.info(names[i]);
    WeightFinding f{.path = names[i], .owner = where, .found = info.shape, .dtype = dtype_name(info.dtype)};
    if (i >= variables.size()) {
      f.status = WeightFinding::Surplus;
      f.text = fmt::format("surplus: {} of shape {}, {}", group.where(names[i]), info.shape.str(), where);
      add(std::move(f));
      continue;
    }
    const Variable& v = variables[i];
    f.variable = v.path(), f.expected = v.shape();
    std::optional<Gates> gates = info.shape == v.shape() ? std::nullopt : cudnn(variables, i, info.shape);
    if (gates && read[i - 1].defined() && read[i - 2].defined()) {
      read[i] = cudnn_bias(to_tensor(group.read(names[i])), *gates);
      if (keep)
        for (size_t k : {i - 2, i - 1}) match.values[at[k]].second = gates_transposed(read[k], *gates);
    } else if (info.shape != v.shape()) {
      f.status = WeightFinding::Misshapen;
      f.text = fmt::format("shape: {} \"{}\" needs {}, the file has {} ({})", where, v.path(), v.shape().str(), info.shape.str(), names[i]);
      add(std::move(f));
      continue;
    } else {
      read[i] = to_tensor(group.read(names[i]));
    }
    at[i] = match.values.size();
    if (keep) match.values.emplace_back(v, read[i]);
    if (i >= 3) read[i - 3] = Tensor();
    add(std::move(f));
  }
  for (size_t i = names.size(); i < variables.size(); ++i)
    add({.status = WeightFinding::Missing, .owner = where, .variable = variables[i].path(), .expected = variables[i].shape(),
         .text = fmt::format("missing: {} \"{}\" of shape {}", where, variables[i].path(), variables[i].shape().str())});
}

std::string where_of(const Layer& l) { return fmt::format("layer \"{}\" ({})", l.name(), l.class_name()); }

}  // namespace

WeightMatch match_legacy_weights(const Model& model, const H5Group& root, bool by_name, bool keep) {
  H5Group group = !root.has_attr("layer_names") && !root.has_attr("layer_names0") && root.contains("model_weights") ? root.group("model_weights") : root;
  std::vector<Saved> saved;
  for (const std::string& name : group.attr_strings("layer_names")) saved.push_back({name, weight_names(group.group(name))});
  WeightMatch match;
  if (by_name) {
    for (const Saved& s : saved)
      for (const Layer& l : model.layers())
        if (l.name() == s.name) match_subset(where_of(l), legacy_weights(l), group.group(s.name), s.weights, keep, match);
  } else {
    std::erase_if(saved, [](const Saved& s) { return s.weights.empty(); });
    std::vector<Layer> layers = model.layers();
    std::erase_if(layers, [](const Layer& l) { return legacy_weights(l).empty(); });
    for (size_t i = 0; i < std::min(saved.size(), layers.size()); ++i) match_subset(where_of(layers[i]), legacy_weights(layers[i]), group.group(saved[i].name), saved[i].weights, keep, match);
    for (size_t i = saved.size(); i < layers.size(); ++i) match.findings.push_back({.status = WeightFinding::Missing, .owner = where_of(layers[i]), .text = fmt::format("missing: all weights of {}", where_of(layers[i]))});
    for (size_t i = layers.size(); i < saved.size(); ++i)
      match.findings.push_back({.status = WeightFinding::Surplus, .path = saved[i].name, .text = fmt::format("surplus: {} weights of layer \"{}\" of the file", saved[i].weights.size(), saved[i].name)});
  }
  if (group.contains("top_level_model_weights")) {
    H5Group top = group.group("top_level_model_weights");
    match_subset(fmt::format("model \"{}\"", model.name()), top_level_weights(model), top, weight_names(top), keep, match);
  }
  return match;
}

// ---- the state of optimizers
static const char* const kPlaceholder = "placeholder";

/// An optimizer's variables in their order, each with the word for what it keeps: "iteration", "learning_rate", a slot as its variables are called;
/// "" for what has no such word.
static std::vector<std::pair<std::string, Variable>> state_by_word(const optimizers::Optimizer& optimizer) {
  static const std::vector<std::string> words{"accumulated_delta_var", "accumulated_grad", "average_gradient", "learning_rate", "velocity_hat", "accumulator", "iteration", "momentum", "velocity", "average", "linear", "norm"};
  std::vector<std::pair<std::string, Variable>> out;
  for (const Variable& v : optimizer.variables()) {
    auto word = std::find_if(words.begin(), words.end(), [&](const std::string& w) { return v.path().ends_with(w); });
    out.emplace_back(word == words.end() || v.path().ends_with("gradient_accumulator") ? "" : *word, v);
  }
  // Adafactor's rows and columns are called like the weight, and stand before its velocity.
  if (optimizer.class_name() == "Adafactor")
    for (size_t i = 2; i < out.size(); ++i)
      if (out[i].first == "velocity")
        for (size_t k : {i - 2, i - 1}) out[k].first = is_floating(out[k].second.dtype()) ? (k == i - 2 ? "r" : "c") : kPlaceholder;
  if (optimizer.class_name() == "Nadam")
    for (auto& [word, v] : out)
      if (word.empty() && v.shape().rank() == 0) word = "product";
  return out;
}

// The state as the optimizers of tf.keras before 2.11 keep it, which all tf.keras reads by order: slot by slot, without the learning rate, which stands in
// the configuration. Keras 3 reads no state from such files.
static void write_optimizer_before_2_11(H5Group group, const optimizers::Optimizer& optimizer) {
  const std::string& cls = optimizer.class_name();
  bool adam = cls.find("dam") != std::string::npos;
  auto word_of = [&](const std::string& slot) -> std::string {
    static const std::map<std::string, const char*> old{{"velocity_hat", "vhat"}, {"average_gradient", "mg"}, {"accumulated_grad", "accum_grad"}, {"accumulated_delta_var", "accum_var"}, {"norm", "v"}};
    if (slot == "momentum") return adam ? "m" : slot;
    if (slot == "velocity") return adam ? "v" : "rms";
    auto it = old.find(slot);
    return it == old.end() ? slot : it->second;
  };
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::pair<std::string, Variable>>> slots;
  for (const auto& [slot, v] : state_by_word(optimizer)) {
    if (slot == "learning_rate") continue;
    std::string path = v.path();
    std::string name = slot == "iteration" ? cls + "/iter" : slot == "product" ? cls + "/momentum_cache" : fmt::format("{}/{}/{}", cls, path.substr(path.find('/') + 1, path.size() - path.find('/') - 2 - slot.size()), word_of(slot));
    std::string key = cls == "Ftrl" && slot != "iteration" ? "" : slot == "product" ? "iteration" : slot;  // Ftrl's stand variable by variable
    if (!slots.count(key)) order.push_back(key);
    slots[key].emplace_back(name + ":0", v);
  }
  std::vector<std::string> names;
  for (const std::string& slot : order)
    for (const auto& [name, v] : slots[slot]) names.push_back(name);
  group.set_attr_strings("weight_names", names);
  for (const std::string& slot : order)
    for (const auto& [name, v] : slots[slot]) group.write(name, to_array(v.value()));
}

// The optimizers of tf.keras before 2.11 with the options that they take: only those can be named so that tf.keras and Keras 3 both find them.
static bool known_before_2_11(const optimizers::Optimizer& optimizer) {
  static const std::set<std::string> known{"Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "RMSprop", "SGD"};
  if (!known.contains(optimizer.class_name())) return false;
  Dict config = optimizer.get_config();
  if (const Value* decay = config.find("weight_decay"); decay && !decay->is_null()) return false;
  auto state = state_by_word(optimizer);
  return std::none_of(state.begin(), state.end(), [](const auto& v) { return v.first.empty() || v.first == "average"; });
}

static void write_optimizer(H5Group group, const optimizers::Optimizer& optimizer) {
  // What tf.keras can't open stands as Keras 3 writes it, which reads it then.
  if (known_before_2_11(optimizer)) write_optimizer_before_2_11(group, optimizer);
  else write_subset(group, optimizer.variables());
}

// ---- whole models ---------------------------------------------------------------------------------------------------------------

void write_legacy_model(const Model& model, H5Group root) {
  root.set_attr("keras_version", kKerasVersion);
  root.set_attr("backend", "jax");
  Value config = legacy_layer(serialize_model(model));
  root.set_attr_bytes("model_config", io::to_json(Dict{{"class_name", config.get("class_name")}, {"config", config.get("config")}}));
  const models::Trainer* trainer = model.model_impl().trainer.get();
  if (trainer) root.set_attr_bytes("training_config", io::to_json(legacy_training_config(models::compile_config(*trainer))));
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
  if (trainer && trainer->optimizer) write_optimizer(root.create_group("optimizer_weights"), *trainer->optimizer);
}

static Value json_attribute(const H5Group& root, const char* name) {
  return io::parse_json(root.attr_string(name), root.where() + " attribute '" + name + "'");
}

// The state in the names of tf.keras, where it tells them: "Adam/m/dense/kernel:0", and before 2.11 "Adam/dense/kernel/m:0". What belongs to one
// kind of slot stands in the order of the model's weights.
static std::string slot_of(const std::string& optimizer, const std::string& name) {
  static const std::map<std::string, const char*> words{{"m", "momentum"}, {"v", "velocity"}, {"u", "norm"}, {"vhat", "velocity_hat"}, {"rms", "velocity"}, {"mg", "average_gradient"},
                                                        {"accum_grad", "accumulated_grad"}, {"accum_var", "accumulated_delta_var"}, {"momentum", "momentum"}, {"velocity", "velocity"},
                                                        {"average", "average"}, {"r", "r"}, {"c", "c"}, {"average_gradient", "average_gradient"}, {"accumulator", "accumulator"}, {"linear", "linear"}, {"accumulated_grad", "accumulated_grad"},
                                                        {"accumulated_delta_var", "accumulated_delta_var"}, {"norm", "norm"}};
  std::string plain = name.substr(0, name.rfind(':'));
  std::vector<std::string> parts;
  for (size_t at = 0; at <= plain.size();) {
    size_t end = std::min(plain.find('/', at), plain.size());
    parts.push_back(plain.substr(at, end - at));
    at = end + 1;
  }
  std::string last = parts.back();
  if (last == "iter" || last == "iteration" || last == "iterations") return "iteration";
  if (last == "learning_rate") return last;
  if (last == "momentum_cache") return "product";
  std::string word;
  // Of a layer that is called "m" the last part tells.
  if (parts.size() > 2 && words.count(parts[1]) && !words.count(last)) word = words.at(parts[1]);
  else if (words.count(last)) word = words.at(last);
  if (optimizer == "Adamax" && word == "velocity") word = "norm";
  return word;
}
static bool match_named_slots(const optimizers::Optimizer& optimizer, const H5Group& group, const std::vector<std::string>& names, WeightMatch& match) {
  std::map<std::string, std::vector<std::string>> in_file;
  for (const std::string& n : names) {
    std::string slot = slot_of(optimizer.class_name(), n);
    if (slot.empty()) return false;
    in_file[slot].push_back(n);
  }
  double iterations = 0;
  std::map<std::string, size_t> next;
  Variable product;
  for (const auto& [slot, v] : state_by_word(optimizer)) {
    if (slot.empty()) return false;
    if (slot == kPlaceholder) continue;
    if (slot == "product") {
      product = v;
      continue;
    }
    if (slot == "learning_rate" && !in_file.count(slot)) continue;  // stands in the configuration
    size_t i = next[slot]++;
    if (i >= in_file[slot].size()) return false;
    const std::string& n = in_file[slot][i];
    if (group.info(n).shape != v.shape()) return false;
    Tensor value = to_tensor(group.read(n));
    if (slot == "iteration") iterations = value.astype(DType::Float64).to_vector<double>().at(0);
    match.values.emplace_back(v, value.astype(v.dtype()));
  }
  // tf.keras' SGD keeps momenta also where it uses none.
  auto unused = [&](const std::string& slot) { return slot == "product" || (slot == "momentum" && optimizer.class_name() == "SGD" && next[slot] == 0); };
  for (const auto& [slot, list] : in_file)
    if (list.size() != next[slot] && !unused(slot)) return false;
  if (product.defined()) {
    // The product of Nadam's schedule of momenta is not kept by all; it follows from the number of steps.
    double p = nadam_product(optimizer.get_config().at("beta_1").as_float(), iterations);
    match.values.emplace_back(product, Tensor::full(product.shape(), p).astype(product.dtype()));
  }
  return true;
}

static void load_optimizer(Model& model, const H5Group& root) {
  if (!root.contains("optimizer_weights")) return;
  H5Group group = root.group("optimizer_weights");
  std::vector<std::string> names = weight_names(group);
  const optimizers::Optimizer& optimizer = model.optimizer();
  std::vector<Variable> vars = optimizer.variables();
  WeightMatch match;
  bool tensorflow = std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.ends_with(":0"); });
  bool fits = tensorflow && match_named_slots(optimizer, group, names, match);
  if (!fits && !tensorflow) {
    bool untrained = names.size() <= 2 && names.size() < vars.size();
    fits = untrained || names.size() == vars.size();
    for (size_t i = 0; fits && i < names.size(); ++i) fits = group.info(names[i]).shape == vars[i].shape();
    for (size_t i = 0; fits && i < names.size(); ++i) match.values.emplace_back(vars[i], to_tensor(group.read(names[i])));
  }
  if (!fits) {
    warn(ErrorText{.what = "the state of the optimizer in the file is not that of this optimizer, which starts fresh", .where = group.where(),
                   .expected = std::to_string(vars.size()) + " variables", .received = std::to_string(names.size())}.str());
    return;
  }
  match.apply();
}

Value legacy_model_config(const H5Group& root, const std::string& path, Translations* notes) {
  if (!root.has_attr("model_config")) {
    bool weights = holds_legacy_weights(root) || root.contains("layers") || root.contains("_layer_checkpoint_dependencies");
    throw ValueError(ErrorText{.what = weights ? "the file holds weights only, no model" : "the file holds no model", .where = path, .expected = "an attribute model_config",
                               .fix = weights ? "build the model, then model.load_weights(\"" + path + "\")" : ""}.str());
  }
  std::string version = root.has_attr("keras_version") ? root.attr_string("keras_version") : "2.0";
  return modern_layer(json_attribute(root, "model_config"), version, notes);
}
Dict legacy_compile_config(const H5Group& root, Translations* notes) {
  return root.has_attr("training_config") ? modern_compile_config(json_attribute(root, "training_config"), notes) : Dict{};
}
bool holds_legacy_weights(const H5Group& root) { return root.has_attr("layer_names") || root.has_attr("layer_names0") || root.contains("model_weights"); }

Model read_legacy_model(const H5Group& root, const std::string& path, bool compile) {
  Model model = model_from_saved(legacy_model_config(root, path), path + ": model_config");
  WeightMatch match = match_legacy_weights(model, root, false);
  if (std::vector<std::string> problems = match.problems(); !problems.empty()) throw_mismatch(problems, path, model);
  match.apply();
  if (!compile || !root.has_attr("training_config")) return model;
  with_where(path + ": training_config", [&] {
    model.compile_from_config(legacy_compile_config(root));
    if (model.built()) model.optimizer().build(model.trainable_weights());
  });
  load_optimizer(model, root);
  return model;
}

}  // namespace keras::saving
