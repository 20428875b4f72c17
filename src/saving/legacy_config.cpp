// What lives here: what Keras 2 called things that Keras 3 calls otherwise, in both directions.
#include "saving/legacy_config.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <keras/activations.h>
#include <keras/ops.h>

namespace keras::saving {

// ---- to Keras 3 -----------------------------------------------------------------------------------------------------------------
namespace {

Value object_named(const char* name, const Value& v) { return Dict{{"class_name", name}, {"config", v}}; }

// What stands inside of options: tuples are lists, and Keras 2's names of policies, initializers and regularizers.
Value modern_value(const Value& v) {
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(modern_value(e));
    return l;
  }
  if (!v.is_dict()) return v;
  const Value& cls = v.get("class_name");
  if (cls == Value("__tuple__")) return modern_value(v.get("items"));
  if (cls == Value("TensorShape")) return v.get("items");
  Dict d;
  for (const auto& [k, e] : v.as_dict()) d.set(k, modern_value(e));
  if (cls.is_string() && v.get("config").is_dict()) {
    if (cls == Value("Policy") || cls == Value("PolicyV1")) d.set("class_name", "DTypePolicy"), d.set("module", "keras");
    // A distribution "normal" was the truncated one.
    if (cls == Value("VarianceScaling") && d.at("config").get("distribution") == Value("normal")) {
      Dict c = d.at("config").as_dict();
      c.set("distribution", "truncated_normal");
      d.set("config", c);
    }
  }
  return d;
}

// A function of TensorFlow in a graph ("x + y" between layers) as the operation of Keras 3 that computes the same.
struct TfOp {
  const char *module, *cls;
  std::vector<std::pair<const char*, const char*>> args;     // TensorFlow's keyword → its place among the call's arguments, after the first
  std::vector<std::pair<const char*, const char*>> options;  // keyword → option of the operation
  bool takes_list = false;
};
const TfOp* tf_op(const std::string& function) {
  static const std::map<std::string, TfOp> table = [] {
    std::map<std::string, TfOp> t;
    auto binary = [&](const char* cls, std::initializer_list<const char*> names) {
      for (const char* n : names) t[n] = {"keras.src.ops.numpy", cls, {{"y", "x2"}, {"b", "x2"}}, {}};
    };
    binary("Add", {"__operators__.add", "math.add", "add"});
    binary("Subtract", {"math.subtract", "__operators__.sub", "subtract"});
    binary("Multiply", {"math.multiply", "multiply"});
    binary("TrueDivide", {"math.truediv", "truediv", "math.divide", "realdiv"});
    binary("Power", {"math.pow", "pow"});
    binary("Maximum", {"math.maximum", "maximum"});
    binary("Minimum", {"math.minimum", "minimum"});
    binary("Matmul", {"linalg.matmul", "matmul"});
    auto unary = [&](const char* module, const char* cls, std::initializer_list<const char*> names) {
      for (const char* n : names) t[n] = {module, cls, {}, {}};
    };
    unary("keras.src.ops.numpy", "Negative", {"math.negative", "negative"});
    unary("keras.src.ops.numpy", "Absolute", {"math.abs", "abs"});
    unary("keras.src.ops.numpy", "Square", {"math.square", "square"});
    unary("keras.src.ops.numpy", "Sqrt", {"math.sqrt", "sqrt"});
    unary("keras.src.ops.numpy", "Exp", {"math.exp", "exp"});
    unary("keras.src.ops.numpy", "Log", {"math.log"});
    unary("keras.src.ops.numpy", "Tanh", {"math.tanh", "nn.tanh", "tanh"});
    unary("keras.src.ops.nn", "Relu", {"nn.relu"});
    unary("keras.src.ops.nn", "Relu6", {"nn.relu6"});
    unary("keras.src.ops.nn", "Sigmoid", {"math.sigmoid", "nn.sigmoid", "sigmoid"});
    for (auto [cls, name] : {std::pair{"Mean", "mean"}, {"Sum", "sum"}, {"Max", "max"}, {"Min", "min"}, {"Prod", "prod"}})
      for (std::string prefix : {"math.reduce_", "reduce_"}) t[prefix + name] = {"keras.src.ops.numpy", cls, {}, {{"axis", "axis"}, {"keepdims", "keepdims"}}};
    t["nn.softmax"] = {"keras.src.ops.nn", "Softmax", {}, {{"axis", "axis"}}};
    t["reshape"] = {"keras.src.ops.numpy", "Reshape", {}, {{"shape", "newshape"}}};
    t["expand_dims"] = {"keras.src.ops.numpy", "ExpandDims", {}, {{"axis", "axis"}}};
    t["squeeze"] = {"keras.src.ops.numpy", "Squeeze", {}, {{"axis", "axis"}}};
    t["transpose"] = {"keras.src.ops.numpy", "Transpose", {}, {{"perm", "axes"}}};
    t["cast"] = {"keras.src.ops.core", "Cast", {}, {{"dtype", "dtype"}}};
    t["concat"] = {"keras.src.ops.numpy", "Concatenate", {}, {{"axis", "axis"}}, true};
    t["stack"] = {"keras.src.ops.numpy", "Stack", {}, {{"axis", "axis"}}, true};
    return t;
  }();
  auto it = table.find(function.starts_with("tf.") ? function.substr(3) : function);
  return it == table.end() ? nullptr : &it->second;
}

Value keras_tensor(const List& ref) { return object_named("__keras_tensor__", Dict{{"keras_history", List{ref.at(0), ref.at(1), ref.at(2)}}}); }
bool is_ref(const Value& v) { return v.is_list() && v.as_list().size() >= 3 && v.as_list()[0].is_string() && v.as_list()[1].is_int() && v.as_list()[2].is_int(); }

// null where the function has no like in the table, or its arguments are not plain.
Value modern_tf_op(const Value& saved) {
  const Value& config = saved.get("config");
  const Value& function = config.get("function");
  const TfOp* op = function.is_string() ? tf_op(function.as_string()) : nullptr;
  const Value& inbound = saved.get("inbound_nodes");
  if (!op || !inbound.is_list() || inbound.as_list().empty()) return {};
  std::string name = config.get("name").is_string() ? config.get("name").as_string() : function.as_string();
  Dict options{{"name", name}};
  List nodes;
  for (const Value& node : inbound.as_list()) {
    if (!node.is_list() || node.as_list().empty()) return {};
    bool flat = is_ref(node);
    List inputs;
    Dict keywords;
    for (const Value& entry : flat ? List{node} : node.as_list()) {
      if (!is_ref(entry)) return {};
      const List& ref = entry.as_list();
      inputs.push_back(keras_tensor(ref));
      if (ref.size() > 3 && ref[3].is_dict())
        for (const auto& [k, v] : ref[3].as_dict()) keywords.set(k, v);
    }
    List args;
    if (op->takes_list) args.push_back(inputs);
    else args = {inputs[0]};
    size_t wanted = op->args.empty() ? 0 : 1;
    for (const auto& [k, v] : keywords) {
      if (k == "name" || (v.is_null() && k != "axis")) continue;
      auto match = [&, key = k](const auto& e) { return key == e.first; };
      if (std::any_of(op->args.begin(), op->args.end(), match)) {
        args.push_back(is_ref(v) ? keras_tensor(v.as_list()) : v);
      } else if (auto it = std::find_if(op->options.begin(), op->options.end(), match); it != op->options.end()) {
        if (is_ref(v)) return {};
        options.set(it->second, v);
      } else if (!(v.is_bool() && !v.as_bool())) {
        return {};  // a keyword that changes what is computed
      }
    }
    if (args.size() != 1 + wanted) return {};
    nodes.push_back(Dict{{"args", args}, {"kwargs", Dict{}}});
  }
  return Dict{{"module", op->module}, {"class_name", op->cls}, {"config", options}, {"registered_name", op->cls}, {"name", name}, {"inbound_nodes", nodes}};
}

bool is_model(const Value& saved) {
  const Value& cls = saved.get("class_name");
  return cls == Value("Functional") || cls == Value("Sequential") || (cls == Value("Model") && saved.get("config").get("layers").is_list());
}
// Every [layer, node, tensor, …] in `v` by `f`.
template <class F> Value map_refs(const Value& v, const F& f) {
  if (is_ref(v)) {
    List r = f(v.as_list());
    for (size_t i = 3; i < r.size(); ++i) r[i] = map_refs(r[i], f);
    return r;
  }
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(map_refs(e, f));
    return l;
  }
  if (!v.is_dict()) return v;
  Dict d;
  for (const auto& [k, e] : v.as_dict()) d.set(k, map_refs(e, f));
  return d;
}
// Keras 2 counted the calls of a nested model from 1, Keras 3 counts from 0, but for the outputs that are a nested functional model.
Dict renumbered_calls(const Dict& config) {
  std::map<std::string, int64_t> shift;
  std::map<std::string, bool> functional;
  for (const Value& l : config.at("layers").as_list()) {
    const Value& name = l.get("name").is_string() ? l.get("name") : l.get("config").get("name");
    if (!is_model(l) || !name.is_string() || !l.get("inbound_nodes").is_list()) continue;
    int64_t calls = static_cast<int64_t>(l.get("inbound_nodes").as_list().size()), greatest = 0;
    auto look = [&](const List& r) {
      if (r[0] == name) greatest = std::max(greatest, r[1].as_int());
      return r;
    };
    for (const Value& other : config.at("layers").as_list())
      if (other.get("inbound_nodes").is_list()) map_refs(other.get("inbound_nodes"), look);
    bool only_output = greatest == 0;
    if (only_output && l.get("class_name") == Value("Sequential") && config.contains("output_layers")) map_refs(config.at("output_layers"), look);
    if (greatest >= calls) shift[name.as_string()] = 1;
    functional[name.as_string()] = l.get("class_name") != Value("Sequential");
  }
  if (shift.empty()) return config;
  auto move = [&](const List& r) {
    auto it = shift.find(r[0].as_string());
    if (it == shift.end()) return r;
    List moved = r;
    moved[1] = Value(r[1].as_int() - it->second);
    return moved;
  };
  Dict out;
  for (const auto& [k, v] : config) {
    if (k == "layers") {
      List layers;
      for (const Value& l : v.as_list()) {
        if (!l.is_dict() || !l.get("inbound_nodes").is_list()) {
          layers.push_back(l);
          continue;
        }
        Dict d = l.as_dict();
        d.set("inbound_nodes", map_refs(l.get("inbound_nodes"), move));
        layers.push_back(d);
      }
      out.set(k, layers);
    } else if (k == "output_layers") {
      out.set(k, map_refs(v, [&](const List& r) { return functional[r[0].as_string()] ? r : move(r); }));
    } else {
      out.set(k, v);
    }
  }
  return out;
}

// hard_sigmoid was another function in Keras 2: steeper, and what LSTM and GRU were made of before 2.4. It has a name of its own here, so that
// an old model gives its old numbers; files of Keras 2 that are written have the old name again.
constexpr const char* kOldHardSigmoid = "keras2_hard_sigmoid";
}  // namespace
void know_keras2_functions() {
  static std::once_flag once;
  std::call_once(once, [] { register_activation(kOldHardSigmoid, [](const Tensor& x) { return ops::clip(x * 0.2f + 0.5f, 0.0f, 1.0f); }); });
}
namespace {

// The reading of one configuration.
struct Modernizer {
  Translations* notes;
  bool old_functions = false;  // written by Keras 2 for certain
  void note(const std::string& layer, std::string text) const {
    if (notes) notes->push_back({layer, std::move(text)});
  }

  // A Sequential whose first layer tells the input's shape gets the InputLayer that Keras 3 writes.
  List layers(const List& saved, bool sequential) const {
    List out;
    for (const Value& l : saved) {
      const Value& shape = l.get("config").get("batch_input_shape");
      if (sequential && out.empty() && shape.is_list() && l.get("class_name") != Value("InputLayer")) {
        const Value& dtype = l.get("config").get("dtype");
        std::string name = l.get("config").get("name").is_string() ? l.get("config").get("name").as_string() + "_input" : "input";
        bool integers = l.get("class_name") == Value("Embedding");
        out.push_back(Dict{{"class_name", "InputLayer"},
                           {"config", Dict{{"batch_shape", shape}, {"dtype", integers ? Value("int32") : dtype.is_string() ? dtype : Value("float32")}, {"name", name}}}});
      }
      out.push_back(layer(l));
    }
    return out;
  }

  // Options that meant something else, or were called otherwise, when a class was younger.
  void options(const std::string& cls, const std::string& name, Dict& config) const {
    if (cls == "GRU" && !config.contains("reset_after")) config.set("reset_after", false);
    if (const Value* theta = config.find("theta"); theta && cls == "ReLU") {
      Value threshold = theta->is_dict() ? theta->get("value") : *theta;
      config.erase("theta");
      config.set("threshold", threshold);
    }
    if (cls == "LeakyReLU")
      if (const Value* alpha = config.find("alpha"); alpha && !config.contains("negative_slope")) {
        Value slope = alpha->is_dict() ? alpha->get("value") : *alpha;
        config.set("negative_slope", slope.is_list() && !slope.as_list().empty() ? slope.as_list()[0] : slope);
        config.erase("alpha");
      }
    if (cls == "BatchNormalization") {
      if (const Value* renorm = config.find("renorm"); renorm && renorm->is_bool() && renorm->as_bool()) note(name, "batch renormalisation is gone from Keras; it trains as plain batch normalisation");
      for (const char* gone : {"renorm", "fused", "virtual_batch_size", "renorm_clipping", "renorm_momentum"}) config.erase(gone);
    }
    if (const Value* major = config.find("time_major"); major && major->is_bool() && major->as_bool()) note(name, "time_major is gone from Keras; the first axis is taken as the batch");
    for (const char* gone : {"time_major", "implementation", "zero_output_for_mask"})
      if (cls != "RNN") config.erase(gone);
  }

  Value layer(const Value& saved) const {
    if (!saved.is_dict()) return modern_value(saved);
    const Value& old_class = saved.get("class_name");
    if (old_class == Value("TFOpLambda") || old_class == Value("TensorFlowOpLayer")) {
      Value op = modern_tf_op(saved);
      if (op.is_null()) return saved;
      note(op.get("name").as_string(), fmt::format("TensorFlow's {} is keras.ops' {}", saved.get("config").get("function").as_string(), op.get("class_name").as_string()));
      return op;
    }
    static const std::map<std::string, std::pair<const char*, const char*>> renamed{
        {"BatchNormalizationV1", {"BatchNormalization", ""}}, {"BatchNormalizationV2", {"BatchNormalization", ""}}, {"GRUV2", {"GRU", ""}}, {"LSTMV2", {"LSTM", ""}},
        {"Model", {"Functional", ""}}, {"ThresholdedReLU", {"ReLU", "ThresholdedReLU is ReLU with a threshold"}}, {"SyncBatchNormalization", {"BatchNormalization", "statistics are those of this machine's batch"}},
        {"CuDNNLSTM", {"LSTM", "CuDNNLSTM is read as LSTM, its weights in another order"}}, {"CuDNNGRU", {"GRU", "CuDNNGRU is read as GRU(reset_after=True), its weights in another order"}}};
    Value cls = old_class;
    const std::string name = saved.get("config").get("name").is_string() ? saved.get("config").get("name").as_string() : "";
    if (cls.is_string())
      if (auto it = renamed.find(cls.as_string()); it != renamed.end() && (cls != Value("Model") || saved.get("config").get("layers").is_list())) {
        cls = Value(it->second.first);
        if (*it->second.second) note(name, it->second.second);
      }
    Dict out;
    for (const auto& [k, v] : saved.as_dict()) {
      if (k != "config") {
        out.set(k, k == "class_name" ? cls : k == "inbound_nodes" ? v : modern_value(v));
        continue;
      }
      // Keras 2.2 and before wrote a Sequential as a plain list of layers.
      if (v.is_list() && cls == Value("Sequential")) {
        out.set(k, Dict{{"layers", layers(v.as_list(), true)}});
        continue;
      }
      if (!v.is_dict()) {
        out.set(k, v);
        continue;
      }
      Dict config, source = v.as_dict();
      if (cls == Value("Functional") && v.get("layers").is_list()) source = renumbered_calls(source);
      for (const auto& [key, value] : source) {
        if (key == "layers" && value.is_list() && cls.is_string() && cls.as_string() != "StackedRNNCells") {
          config.set(key, layers(value.as_list(), cls == Value("Sequential")));
        } else if (key == "batch_input_shape") {
          if (cls == Value("InputLayer")) config.set("batch_shape", value);
        } else if (key == "axis" && value.is_list() && value.as_list().size() == 1 && cls == Value("BatchNormalization")) {
          config.set(key, value.as_list()[0]);
        } else if (key == "layer" || key == "backward_layer" || key == "cell") {
          config.set(key, layer(value));
        } else if (key == "cells" && value.is_list()) {
          List cells;
          for (const Value& c : value.as_list()) cells.push_back(layer(c));
          config.set(key, cells);
        } else {
          config.set(key, modern_value(value));
        }
      }
      if (old_class == Value("CuDNNGRU")) config.set("reset_after", true);
      if (cls.is_string()) options(cls.as_string(), name, config);
      if (old_functions)
        for (const char* key : {"activation", "recurrent_activation"})
          if (const Value* f = config.find(key); f && *f == Value("hard_sigmoid")) {
            config.set(key, kOldHardSigmoid);
            note(name, "hard_sigmoid is Keras 2's, clip(0.2 x + 0.5, 0, 1)");
          }
      out.set(k, config);
    }
    return out;
  }

  Value optimizer(const Value& saved) const {
    if (!saved.is_dict() || !saved.get("config").is_dict()) return saved;
    Dict out = saved.as_dict();
    if (const Value& cls = saved.get("class_name"); cls.is_string() && cls.as_string().starts_with("Custom>")) out.set("class_name", cls.as_string().substr(7));
    Dict config;
    const Value plain = modern_value(saved.get("config"));
    for (const auto& [k, v] : plain.as_dict()) {
      if (k != "inner_optimizer") config.set(k == "lr" ? "learning_rate" : k, v);
      else config.set(k, optimizer(v));
    }
    for (const char* gone : {"is_legacy_optimizer", "jit_compile", "schedule_decay"}) config.erase(gone);
    if (const Value* decay = config.find("decay")) {
      double rate = decay->is_number() ? decay->as_float() : 0;
      const Value* lr = config.find("learning_rate");
      // Nadam's was no decay of the rate but of its momentum, which Keras 3 keeps as a constant.
      if (rate != 0 && lr && lr->is_number() && out.at("class_name") != Value("Nadam")) {
        config.set("learning_rate", Dict{{"module", "keras.optimizers.schedules"},
                                         {"class_name", "InverseTimeDecay"},
                                         {"config", Dict{{"initial_learning_rate", lr->as_float()}, {"decay_steps", 1}, {"decay_rate", rate}, {"staircase", false}, {"name", "InverseTimeDecay"}}},
                                         {"registered_name", Value()}});
        note("", "the optimizer's decay is a schedule, InverseTimeDecay");
      }
      config.erase("decay");
    }
    // The step between averages is that of Keras 3's default where the younger tf.keras had none.
    out.set("config", config);
    return out;
  }

  // Keras 2 wrapped functions: {"class_name": "MeanMetricWrapper" or "LossFunctionWrapper", "config": {"name", "dtype", "fn"}}; and means
  // that it found by itself were called "auto".
  Value function_object(const Value& v) const {
    if (v.is_list()) {
      List l;
      for (const Value& e : v.as_list()) l.push_back(function_object(e));
      return l;
    }
    if (!v.is_dict()) return v;
    const Value& cls = v.get("class_name");
    const Value& config = v.get("config");
    if (cls == Value("MeanMetricWrapper") || cls == Value("LossFunctionWrapper")) return config.get("fn").is_string() ? config.get("fn") : config.get("name");
    if (cls.is_string()) {
      Dict d = modern_value(v).as_dict();
      if (config.is_dict()) {
        Dict c = d.at("config").as_dict();
        if (c.contains("reduction") && c.at("reduction") == Value("auto")) c.set("reduction", "sum_over_batch_size");
        if (c.contains("fn")) c.erase("fn");
        d.set("config", c);
      }
      return d;
    }
    Dict d;
    for (const auto& [k, e] : v.as_dict()) d.set(k, function_object(e));
    return d;
  }
};

}  // namespace

bool is_keras2(const Value& saved) { return saved.is_dict() && !saved.get("module").is_string() && saved.get("registered_name").is_null(); }

Value modern_layer(const Value& saved, const std::string& keras_version, Translations* notes) { return Modernizer{notes, keras_version.starts_with("2.")}.layer(saved); }

Value modern_json(const Value& saved, Translations* notes) {
  if (!is_keras2(saved)) return saved;
  const Value& version = saved.get("keras_version");
  return modern_layer(saved, version.is_string() ? version.as_string() : "", notes);
}

Dict modern_compile_config(const Value& training, Translations* notes) {
  Modernizer m{notes};
  Dict c;
  c.set("optimizer", m.optimizer(training.get("optimizer_config").is_null() ? training.get("optimizer") : training.get("optimizer_config")));
  c.set("loss", m.function_object(training.get("loss")));
  c.set("loss_weights", training.get("loss_weights"));
  c.set("metrics", m.function_object(training.get("metrics")));
  c.set("weighted_metrics", m.function_object(training.get("weighted_metrics")));
  for (const char* key : {"run_eagerly", "steps_per_execution", "jit_compile"})
    if (const Value& v = training.get(key); !v.is_null()) c.set(key, v);
  return c;
}

// ---- to Keras 2 -----------------------------------------------------------------------------------------------------------------
namespace {

// Options that came with Keras 3. They are left out where they stand at their defaults, so that Keras 2 takes the file; otherwise they
// stay, for Keras 3, and Keras 2 refuses them by name.
struct Young {
  const char* key;
  Value standard;
};
const std::vector<Young>& young_options() {
  static const std::vector<Young> list{{"quantization_config", {}}, {"lora_rank", {}}, {"lora_alpha", {}}, {"seed", {}}, {"flash_attention", {}}, {"rms_scaling", false},
                                       {"optional", false}, {"gate", {}}, {"use_gate", false}, {"synchronized", false}};
  return list;
}
// Classes that always had a seed.
bool had_seed(const std::string& cls) {
  static const std::set<std::string> names{"Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomCrop", "RandomContrast", "RandomBrightness",
                                           "RandomHeight", "RandomWidth"};
  return names.count(cls) > 0;
}

Value legacy_value(const Value& v) {
  if (v == Value(kOldHardSigmoid)) return "hard_sigmoid";
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(legacy_value(e));
    return l;
  }
  if (!v.is_dict()) return v;
  const Value& cls = v.get("class_name");
  if (!cls.is_string()) {
    Dict d;
    for (const auto& [k, e] : v.as_dict()) d.set(k, legacy_value(e));
    return d;
  }
  if (cls == Value("DTypePolicy")) {
    return v.get("config").get("name");
  }
  if (cls == Value("function")) return legacy_value(v.get("config").is_string() && v.get("config").as_string().ends_with(kOldHardSigmoid) ? Value(kOldHardSigmoid) : v.get("config"));
  const Value& registered = v.get("registered_name");
  Dict config;
  if (v.get("config").is_dict())
    for (const auto& [k, e] : v.get("config").as_dict())
      if (!(e.is_null() && (k == "input_axes" || k == "output_axes"))) config.set(k, legacy_value(e));  // of initializers, since Keras 3.13
  Dict d;
  if (v.get("module").is_string()) d.set("module", v.get("module"));
  d.set("class_name", registered.is_string() && registered.as_string().find('>') != std::string::npos && d.empty() ? registered : cls);
  d.set("config", v.get("config").is_dict() ? Value(config) : legacy_value(v.get("config")));
  if (!d.at("class_name").is_null() && v.get("module").is_string()) d.set("registered_name", registered);
  return d;
}

// A call of Keras 3, {"args": [x, …], "kwargs": {…}}, as [[layer, node, tensor, {…}], …]; null where Keras 2 has no words for it.
Value legacy_node(const Value& node) {
  if (!node.is_dict()) return node;
  auto ref = [](const Value& v) -> Value {
    if (v.get("class_name") != Value("__keras_tensor__")) return {};
    const Value& h = v.get("config").get("keras_history");
    return h.is_list() && h.as_list().size() == 3 ? h : Value();
  };
  const List& args = node.get("args").is_list() ? node.get("args").as_list() : List{};
  Dict keywords;
  auto keyword = [&](const std::string& k, const Value& v) {
    // Keras 3 reads tensors among the keywords in its own words alone.
    if (!ref(v).is_null()) return false;
    if (v.is_dict() || (v.is_list() && std::any_of(v.as_list().begin(), v.as_list().end(), [](const Value& e) { return e.is_dict(); }))) return false;
    else keywords.set(k, v);
    return true;
  };
  if (node.get("kwargs").is_dict())
    for (const auto& [k, v] : node.get("kwargs").as_dict()) {
      // Masks find their way by themselves; and Keras 2 takes training=False at its word, where Keras 3 says the mode of the model's call.
      if (k == "mask" || v.is_null() || (k == "training" && v == Value(false))) continue;
      if (!keyword(k, v)) return {};
    }
  if (args.empty()) return {};
  std::vector<Value> inputs;
  auto take = [&](const Value& v) {
    Value r = ref(v);
    if (r.is_null()) return false;
    inputs.push_back(r);
    return true;
  };
  if (args[0].is_list()) {
    for (const Value& e : args[0].as_list())
      if (!take(e)) return {};
  } else if (!take(args[0])) {
    return {};
  }
  for (size_t i = 1; i < args.size(); ++i)
    if (!args[i].is_null()) return {};
  List out;
  for (const Value& r : inputs) {
    List entry = r.as_list();
    entry.push_back(keywords);
    out.push_back(entry);
  }
  return out;
}

bool plain_calls(const Value& inbound) {
  return !inbound.is_list() || std::all_of(inbound.as_list().begin(), inbound.as_list().end(), [](const Value& n) { return !legacy_node(n).is_null(); });
}

// Keras 2 counts the calls of a nested model from 1 and Keras 3 from 0. A model that is called once is written as called twice, so that its
// call 1 is the same to both; where it is called more often, Keras 3 is right.
Dict numbered_for_both(Dict config) {
  std::set<std::string> once;
  for (const Value& l : config.at("layers").as_list())
    if (is_model(l) && l.get("inbound_nodes").is_list() && l.get("inbound_nodes").as_list().size() == 1) once.insert(l.get("name").as_string());
  if (once.empty()) return config;
  auto to_one = [&](const List& r) {
    List moved = r;
    if (once.count(r[0].as_string())) moved[1] = Value(1);
    return moved;
  };
  List layers;
  for (const Value& l : config.at("layers").as_list()) {
    Dict d = l.as_dict();
    List calls = map_refs(d.at("inbound_nodes"), to_one).as_list();
    if (once.count(d.at("name").as_string())) calls.push_back(calls[0]);
    d.set("inbound_nodes", calls);
    layers.push_back(d);
  }
  config.set("layers", layers);
  config.set("output_layers", map_refs(config.at("output_layers"), to_one));
  return config;
}

Value legacy_refs(const Value& v) {
  if (v.is_dict()) return v;
  bool one = is_ref(v);
  return one ? Value(List{v}) : v;
}

}  // namespace

// Inside of a wrapper both read a layer with its module.
static Value legacy_layer(const Value& saved, bool inside) {
  Dict out;
  const Value& cls = saved.get("class_name");
  const std::string name = cls.is_string() ? cls.as_string() : "";
  const Value& registered = saved.get("registered_name");
  bool own = registered.is_string() && registered.as_string().find('>') != std::string::npos;
  bool model = name == "Functional" || name == "Sequential" || name == "Model";
  // A graph with operations between its layers, or with calls that only Keras 3 has words for, is left in its words.
  bool old_calls = true;
  if (const Value& layers = saved.get("config").get("layers"); name != "Sequential" && layers.is_list())
    for (const Value& l : layers.as_list()) old_calls &= plain_calls(l.get("inbound_nodes"));
  for (const auto& [k, v] : saved.as_dict()) {
    if (k == "compile_config" || (!inside && (k == "module" || k == "registered_name" || k == "build_config"))) continue;
    if (k == "class_name") {
      out.set(k, own && !inside ? registered : v);
      continue;
    }
    if (k != "config" || !v.is_dict()) {
      out.set(k, v);
      continue;
    }
    Dict config;
    for (const auto& [key, value] : v.as_dict()) {
      const auto& young = young_options();
      if (!own && std::any_of(young.begin(), young.end(), [&, key = key](const Young& y) { return key == y.key && value == y.standard; }) && !(key == "seed" && had_seed(name))) continue;
      if (key == "layers" && value.is_list() && model) {
        List layers;
        for (const Value& l : value.as_list()) {
          bool operation = l.get("module").is_string() && l.get("module").as_string().starts_with("keras.src.ops");
          Value entry = operation ? l : legacy_layer(l, inside);
          if (const Value& inbound = l.get("inbound_nodes"); old_calls && inbound.is_list() && !operation) {
            List calls;
            for (const Value& n : inbound.as_list()) {
              Value call = legacy_node(n);
              if (!call.as_list().empty()) calls.push_back(call);
            }
            Dict e = entry.as_dict();
            e.set("inbound_nodes", calls);
            entry = e;
          }
          layers.push_back(entry);
        }
        config.set(key, layers);
      } else if (key == "build_input_shape" && model) {
        continue;
      } else if ((key == "input_layers" || key == "output_layers") && old_calls) {
        config.set(key, legacy_refs(value));
      } else if (key == "layer" || key == "backward_layer" || key == "cell") {
        config.set(key, value.is_dict() ? legacy_layer(value, true) : value);
      } else if (key == "cells" && value.is_list()) {
        List cells;
        for (const Value& c : value.as_list()) cells.push_back(legacy_layer(c, true));
        config.set(key, cells);
      } else if (key == "batch_shape" && name == "InputLayer") {
        config.set("batch_input_shape", value);
      } else if (key == "trainable" && model && value == Value(true)) {
        continue;
      } else if (key == "data_format" && name == "ZeroPadding1D" && value == Value("channels_last")) {
        continue;  // Keras 2 knows one only
      } else if (key == "negative_slope" && name == "LeakyReLU") {
        // Both read this word.
        config.set("alpha", value);
      } else {
        config.set(key, own ? value : legacy_value(value));
      }
    }
    if (old_calls && name != "Sequential" && config.contains("layers") && config.contains("output_layers")) config = numbered_for_both(std::move(config));
    out.set(k, config);
  }
  return out;
}

Value legacy_layer(const Value& saved) { return legacy_layer(saved, false); }

Dict legacy_training_config(const Dict& compile_config) {
  // Keras finds short names of losses among its metrics and then refuses the file, also its own.
  static const std::map<std::string, const char*> names{{"mse", "mean_squared_error"},  {"mae", "mean_absolute_error"}, {"mape", "mean_absolute_percentage_error"},
                                                        {"msle", "mean_squared_logarithmic_error"}, {"kld", "kl_divergence"}, {"bce", "binary_crossentropy"}};
  auto losses = [&](auto&& self, const Value& v) -> Value {
    if (v.is_string()) {
      auto it = names.find(v.as_string());
      return it == names.end() ? v : Value(it->second);
    }
    if (v.is_list()) {
      List l;
      for (const Value& e : v.as_list()) l.push_back(self(self, e));
      return l;
    }
    if (!v.is_dict()) return v;
    if (v.get("class_name").is_string() && v.get("config").is_dict()) {
      // Options that the losses of tf.keras don't have.
      Dict d = v.as_dict(), config = v.get("config").as_dict();
      config.erase("dtype");
      if (v.get("class_name") == Value("SparseCategoricalCrossentropy") && config.contains("axis") && config.at("axis") == Value(-1)) config.erase("axis");
      d.set("config", config);
      return d;
    }
    Dict d;
    for (const auto& [k, e] : v.as_dict()) d.set(k, self(self, e));
    return d;
  };
  Dict training;
  for (const auto& [k, v] : compile_config) {
    if (k == "optimizer") continue;
    training.set(k, k == "loss" ? losses(losses, v) : v);
  }
  const Value& optimizer = compile_config.at("optimizer");
  Dict config = optimizer.get("config").as_dict();
  // What the optimizers of tf.keras don't know is left out where it stands at its default.
  const std::pair<const char*, Value> young[] = {{"gradient_accumulation_steps", {}}, {"loss_scale_factor", {}}, {"weight_decay", {}}, {"use_ema", false}, {"ema_overwrite_frequency", {}}, {"clipnorm", {}}, {"global_clipnorm", {}}, {"clipvalue", {}}};
  bool ema = config.contains("use_ema") && config.at("use_ema") == Value(true);
  for (const auto& [key, standard] : young)
    if (const Value* v = config.find(key); v && *v == standard) config.erase(key);
  if (!ema) config.erase("ema_momentum"), config.erase("ema_overwrite_frequency");
  training.set("optimizer_config", Dict{{"class_name", optimizer.get("class_name")}, {"config", config}});
  return training;
}

}  // namespace keras::saving
