// What lives here: models to and from Keras' configurations.
#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "layers/registry.h"
#include "models/functional.h"
#include "models/op_classes.h"
#include "models/trainer.h"

namespace keras::models {

using core::Arg;
using core::CallArgs;
using core::Operation;
using layers::LayerImpl;

static Value tensor_value(const Tensor& t) {
  const auto& h = t.impl()->history;
  return Dict{{"class_name", "__keras_tensor__"},
              {"config", Dict{{"shape", Value(t.shape())}, {"dtype", dtype_name(t.dtype())}, {"keras_history", List{h.operation->name(), h.node, h.index}}}}};
}

// The nodes of a shared layer that the model uses are counted from 0 in its file.
using Renumbered = std::map<std::pair<const Operation*, int>, int>;

// A constant in the graph: a plain number, or an array with its dtype.
static Value constant_value(const Tensor& t) {
  std::vector<double> numbers = t.to_vector<double>();
  auto number = [&](size_t i) { return is_floating(t.dtype()) ? Value(numbers[i]) : t.dtype() == DType::Bool ? Value(numbers[i] != 0) : Value(static_cast<int64_t>(numbers[i])); };
  if (t.weak()) return number(0);
  size_t next = 0;
  auto nested = [&](auto&& self, int axis) -> Value {
    if (axis == t.rank()) return number(next++);
    List l;
    for (int64_t i = 0; i < t.shape()[axis]; ++i) l.push_back(self(self, axis + 1));
    return l;
  };
  return Dict{{"class_name", "__tensor__"}, {"config", Dict{{"value", nested(nested, 0)}, {"dtype", dtype_name(t.dtype())}}}};
}
static Tensor constant_tensor(const Value& config) {
  Shape shape;
  for (const Value* at = &config.get("value"); at->is_list(); at = &at->as_list()[0]) {
    shape.push_back(static_cast<int64_t>(at->as_list().size()));
    if (at->as_list().empty()) break;
  }
  std::vector<double> numbers;
  auto walk = [&](auto&& self, const Value& v) -> void {
    if (v.is_list())
      for (const Value& e : v.as_list()) self(self, e);
    else numbers.push_back(v.is_bool() ? v.as_bool() : v.as_float());
  };
  walk(walk, config.get("value"));
  return Tensor::from<double>(numbers, shape).astype(dtype_from_name(config.get("dtype").as_string()));
}

static Value arg_value(const Arg& a, const Renumbered& numbers) {
  if (a.is_tensor()) {
    if (!a.tensor().defined()) return {};
    if (!a.tensor().is_symbolic()) return constant_value(a.tensor());
    const auto& h = a.tensor().impl()->history;
    Value v = tensor_value(a.tensor());
    auto it = numbers.find({h.operation.get(), h.node});
    int node = it == numbers.end() ? h.node : it->second;
    return Dict{{"class_name", "__keras_tensor__"},
                {"config", Dict{{"shape", Value(a.tensor().shape())}, {"dtype", dtype_name(a.tensor().dtype())}, {"keras_history", List{h.operation->name(), node, h.index}}}}};
  }
  if (a.is_list()) {
    List l;
    for (const Arg& e : a.list()) l.push_back(arg_value(e, numbers));
    return l;
  }
  if (a.is_dict()) {
    Dict d;
    for (const auto& [k, e] : a.dict()) d.set(k, arg_value(e, numbers));
    return d;
  }
  return a.value();
}

Dict FunctionalImpl::own_config() const {
  // Layers, each with the calls that belong to this model.
  std::map<const Operation*, std::vector<int>> used;
  for (const Step& s : steps_) used[s.operation.get()].push_back(s.node);
  Renumbered numbers;
  for (auto& [op, nodes] : used) {
    std::sort(nodes.begin(), nodes.end());
    for (size_t i = 0; i < nodes.size(); ++i) numbers[{op, nodes[i]}] = static_cast<int>(i);
  }
  for (const Tensor& t : inputs_) numbers[{t.impl()->history.operation.get(), t.impl()->history.node}] = 0;
  List layers;
  for (const auto& op : operations_) {
    auto* function = dynamic_cast<const core::OpOperation*>(op.get());
    Dict d = function ? Dict{} : op->serialize().as_dict();
    List inbound;
    for (int node : used[op.get()]) {
      CallArgs args = op->nodes()[static_cast<size_t>(node)].args;
      if (function) {
        SavedOp saved = saved_op(*function, args);
        d = saved.entry, args = saved.args;
      }
      List a;
      for (const Arg& x : args.args) a.push_back(arg_value(x, numbers));
      Dict k;
      for (const auto& [name, x] : args.kwargs) k.set(name, arg_value(x, numbers));
      inbound.push_back(Dict{{"args", a}, {"kwargs", k}});
    }
    d.set("name", op->name());
    d.set("inbound_nodes", inbound);
    layers.push_back(d);
  }
  auto refs = [&](const Tensors& ts, bool list, const Keys& keys) -> Value {
    List l;
    for (const Tensor& t : ts) {
      const auto& h = t.impl()->history;
      // Keras counts the calls of a nested functional model from 1 here, and here alone.
      int node = numbers.at({h.operation.get(), h.node}) + (dynamic_cast<const FunctionalImpl*>(h.operation.get()) ? 1 : 0);
      l.push_back(List{h.operation->name(), node, h.index});
    }
    Dict named;
    for (const auto& [key, at] : keys) named.set(key, l[at]);
    return !keys.empty() ? Value(named) : list || l.size() > 1 ? Value(l) : l[0];
  };
  return Dict{{"layers", layers}, {"input_layers", refs(inputs_, inputs_are_list, input_keys)}, {"output_layers", refs(outputs_, outputs_are_list, output_keys)}};
}

static Value with_compile(const ModelImpl& m, Dict d) {
  layers::SavedIds::tag(d, static_cast<const layers::LayerImpl*>(&m));
  d.set("compile_config", m.trainer ? Value(compile_config(*m.trainer)) : Value(Dict{}));
  return d;
}

Value ModelImpl::serialize() const { return with_compile(*this, LayerImpl::serialize().as_dict()); }

Value FunctionalImpl::serialize() const {
  Dict config{{"name", name_}, {"trainable", trainable_}};
  for (const auto& [k, v] : own_config()) config.set(k, v);
  return with_compile(*this, Dict{{"module", module()}, {"class_name", class_name_}, {"config", config}, {"registered_name", "Functional"}, {"build_config", build_config()}});
}

Dict SequentialImpl::own_config() const {
  List layers;
  std::vector<Layer> all = layers_;
  if (functional_ && (all.empty() || all[0].class_name() != "InputLayer"))
    all.insert(all.begin(), Layer(std::dynamic_pointer_cast<LayerImpl>(functional_->symbolic_inputs()[0].impl()->history.operation)));
  for (const Layer& l : all) layers.push_back(l.impl()->serialize());
  Dict d{{"layers", layers}};
  if (functional_) d.set("build_input_shape", Value(functional_->symbolic_inputs()[0].shape()));
  return d;
}
Value SequentialImpl::build_config() const {
  if (!functional_) return {};
  return Dict{{"input_shape", Value(functional_->symbolic_inputs()[0].shape())}};
}
Value SequentialImpl::serialize() const {
  Dict d{{"module", "keras"}, {"class_name", class_name_}, {"config", config()}, {"registered_name", Value()}};
  if (Value b = build_config(); !b.is_null()) d.set("build_config", b);
  return with_compile(*this, d);
}

// ---- reading
static void common(const Dict& config, std::optional<std::string>& name, bool& trainable) {
  std::optional<std::string> dtype;
  layers::read_common(config, name, trainable, dtype);
}

std::shared_ptr<ModelImpl> sequential_from_config(const Dict& config) {
  std::optional<std::string> name;
  bool trainable = true;
  common(config, name, trainable);
  auto model = std::make_shared<SequentialImpl>(name, trainable);
  for (const Value& l : config.at("layers").as_list()) model->add(deserialize_any(l));
  if (!trainable) model->set_trainable(false);
  if (const Value* s = config.find("build_input_shape"); s && s->is_list() && !model->built_) model->ensure_built({s->as_shape()});
  return model;
}

namespace {
struct Reader {
  std::map<std::string, std::shared_ptr<Operation>> made;
  // File's node number → number in the operation, which may have been called before.
  std::map<std::pair<std::string, int>, int> node_of;

  bool ready(const Value& v) const {
    if (v.is_list()) return std::all_of(v.as_list().begin(), v.as_list().end(), [&](const Value& e) { return ready(e); });
    if (!v.is_dict()) return true;
    if (v.get("class_name") == Value("__keras_tensor__")) {
      const List& h = v.get("config").get("keras_history").as_list();
      return node_of.count({h.at(0).as_string(), static_cast<int>(h.at(1).as_int())}) > 0;
    }
    return std::all_of(v.as_dict().begin(), v.as_dict().end(), [&](const auto& e) { return ready(e.second); });
  }
  Tensor tensor(const std::string& name, int node, int index) const {
    auto op = made.find(name);
    auto at = node_of.find({name, node});
    if (op == made.end() || at == node_of.end()) throw ValueError(fmt::format("the graph refers to output {} of node {} of layer \"{}\", which is not there", index, node, name));
    const auto& nodes = op->second->nodes();
    if (index < 0 || static_cast<size_t>(index) >= nodes[static_cast<size_t>(at->second)].output_types.size())
      throw ValueError(fmt::format("the graph refers to output {} of layer \"{}\", which has fewer", index, name));
    return op->second->output(at->second, index);
  }
  Arg arg(const Value& v) const {
    if (v.is_list()) {
      bool any = false;
      std::vector<Arg> l;
      for (const Value& e : v.as_list()) {
        l.push_back(arg(e));
        l.back().each_tensor([&](const Tensor&) { any = true; });
      }
      return any ? Arg(std::move(l)) : Arg(v);
    }
    if (v.is_dict()) {
      if (v.get("class_name") == Value("__keras_tensor__")) {
        const List& h = v.get("config").get("keras_history").as_list();
        return tensor(h.at(0).as_string(), static_cast<int>(h.at(1).as_int()), static_cast<int>(h.at(2).as_int()));
      }
      if (v.get("class_name") == Value("__tensor__") || v.get("class_name") == Value("__numpy__")) return constant_tensor(v.get("config"));
      bool any = false;
      core::ArgDict d;
      for (const auto& [k, e] : v.as_dict()) {
        d.emplace_back(k, arg(e));
        d.back().second.each_tensor([&](const Tensor&) { any = true; });
      }
      return any ? Arg(std::move(d)) : Arg(v);
    }
    return v;
  }
};
}  // namespace

// Keras 2 wrote [[layer, node, tensor, kwargs], …] per call; brought into the form of Keras 3.
static Value modern_node(const Value& node) {
  if (node.is_dict()) return node;
  auto ref = [](const List& r) {
    return Value(Dict{{"class_name", "__keras_tensor__"}, {"config", Dict{{"keras_history", List{r.at(0), r.at(1), r.at(2)}}}}});
  };
  List inputs;
  Dict kwargs;
  const List& entries = node.as_list();
  bool flat = !entries.empty() && entries[0].is_string();
  auto take = [&](const List& r) {
    inputs.push_back(ref(r));
    if (r.size() > 3 && r[3].is_dict())
      for (const auto& [k, v] : r[3].as_dict()) {
        bool is_ref = v.is_list() && v.as_list().size() >= 3 && v.as_list()[0].is_string() && v.as_list()[1].is_int();
        kwargs.set(k, is_ref ? ref(v.as_list()) : v);
      }
  };
  if (flat) take(entries);
  else
    for (const Value& e : entries) take(e.as_list());
  return Dict{{"args", List{inputs.size() == 1 ? inputs[0] : Value(inputs)}}, {"kwargs", kwargs}};
}

std::shared_ptr<ModelImpl> functional_from_config(const Dict& config) {
  std::optional<std::string> name;
  bool trainable = true;
  common(config, name, trainable);
  Reader reader;
  struct Pending {
    std::string layer;
    int node;
    Value call;
  };
  std::vector<Pending> pending;
  Tensors made_tensors;  // of a layer's call on its own output nothing else is kept until the model has it
  // Layers are made in the order of the file, and built from their build_config at once; then the calls are made as their inputs appear.
  for (const Value& l : config.at("layers").as_list()) {
    const std::string& cls = l.get("class_name").as_string();
    std::string layer_name = l.get("name").is_string() ? l.get("name").as_string() : l.get("config").get("name").as_string();
    std::shared_ptr<Operation> op;
    if (const OpClass* known = find_op_class(l)) op = known->make(l);
    else op = deserialize_any(l).impl();
    if (!reader.made.emplace(layer_name, op).second) throw ValueError("two layers of the file have the name \"" + layer_name + "\"");
    const Value& inbound = l.get("inbound_nodes");
    if (cls == "InputLayer") reader.node_of[{layer_name, 0}] = 0;
    if (inbound.is_list()) {
      int n = 0;
      for (const Value& call : inbound.as_list()) pending.push_back({layer_name, n++, modern_node(call)});
    }
  }
  while (!pending.empty()) {
    std::vector<Pending> later;
    std::set<std::string> blocked;
    for (Pending& p : pending) {
      // The calls of one layer keep their order.
      if (blocked.count(p.layer) || !reader.ready(p.call)) {
        blocked.insert(p.layer);
        later.push_back(p);
        continue;
      }
      CallArgs args;
      if (const Value& a = p.call.get("args"); a.is_list())
        for (const Value& v : a.as_list()) args.args.push_back(reader.arg(v));
      if (const Value& k = p.call.get("kwargs"); k.is_dict())
        for (const auto& [key, v] : k.as_dict()) args.kwargs.emplace_back(key, reader.arg(v));
      const auto& op = reader.made.at(p.layer);
      size_t calls = op->nodes().size();
      for (const Tensor& t : op->rerun(args)) made_tensors.push_back(t);
      if (op->nodes().size() == calls) throw ValueError(ErrorText{.what = "a call of the graph has no input from the graph", .where = "layer \"" + p.layer + "\""}.str());
      reader.node_of[{p.layer, p.node}] = static_cast<int>(op->nodes().size()) - 1;
    }
    if (later.size() == pending.size())
      throw ValueError(ErrorText{.what = "the graph can't be rebuilt: calls refer to each other or to layers that are not there", .where = "layer \"" + later[0].layer + "\""}.str());
    pending = std::move(later);
  }
  bool inputs_list = false, outputs_list = false;
  auto read_refs = [&](const Value& v, bool* is_list, FunctionalImpl::Keys* keys) {
    Tensors ts;
    auto one = [&](const List& r) {
      const std::string& layer = r.at(0).as_string();
      int64_t node = r.at(1).as_int();
      // Keras counts the calls of a nested functional model from 1 here, and takes 0 for the last.
      if (auto made = reader.made.find(layer); made != reader.made.end() && dynamic_cast<const FunctionalImpl*>(made->second.get())) {
        if (node > 0) --node;
        else
          for (node = -1; reader.node_of.count({layer, static_cast<int>(node + 1)});) ++node;
      }
      ts.push_back(reader.tensor(layer, static_cast<int>(node), static_cast<int>(r.at(2).as_int())));
    };
    auto walk = [&](auto&& self, const Value& e) -> void {
      if (e.is_list() && e.as_list().size() == 3 && e.as_list()[0].is_string()) return one(e.as_list());
      *is_list = true;
      if (e.is_list())
        for (const Value& x : e.as_list()) self(self, x);
      else if (e.is_dict())
        for (const auto& [k, x] : e.as_dict()) self(self, x);
    };
    if (!v.is_dict()) {
      walk(walk, v);
      return ts;
    }
    // Keras flattens a dictionary by its sorted keys.
    std::map<std::string, size_t> sorted;
    for (const auto& [k, x] : v.as_dict()) sorted.emplace(k, 0);
    size_t next = 0;
    for (auto& [k, at] : sorted) at = next++, walk(walk, v.get(k));
    if (ts.size() == sorted.size())
      for (const auto& [k, x] : v.as_dict()) keys->emplace_back(k, sorted.at(k));
    return ts;
  };
  FunctionalImpl::Keys input_keys, output_keys;
  Tensors inputs = read_refs(config.at("input_layers"), &inputs_list, &input_keys), outputs = read_refs(config.at("output_layers"), &outputs_list, &output_keys);
  auto model = std::make_shared<FunctionalImpl>(inputs, outputs, name, trainable);
  model->inputs_are_list = inputs_list, model->outputs_are_list = outputs_list;
  model->input_keys = input_keys, model->output_keys = output_keys;
  if (!trainable) model->set_trainable(false);
  return model;
}

// So that wrappers (TimeDistributed) find models in their configurations too.
static void register_models() {
  layers::register_layer("Sequential", [](const Dict& c) { return Layer(sequential_from_config(c)); });
  for (const char* name : {"Functional", "Model"}) layers::register_layer(name, [](const Dict& c) { return Layer(functional_from_config(c)); });
}

Layer deserialize_any(const Value& saved) {
  static std::once_flag once;
  std::call_once(once, register_models);
  const std::string cls = saved.get("class_name").is_string() ? saved.get("class_name").as_string() : "";
  const Value& config = saved.get("config");
  bool functional = cls == "Functional" || (cls == "Model" && config.get("layers").is_list());
  if (cls != "Sequential" && !functional) return layers::deserialize(saved);
  if (const Layer* shared = layers::SharingScope::find(saved)) return *shared;
  // Keras 2.2 and before wrote the list of a Sequential's layers itself.
  Layer model(functional          ? functional_from_config(config.as_dict())
              : config.is_list() ? sequential_from_config(Dict{{"layers", config}})
                                 : sequential_from_config(config.as_dict()));
  layers::SharingScope::record(saved, model);
  return model;
}

}  // namespace keras::models
