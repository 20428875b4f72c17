// What lives here: replaying layers: a model around one call of one layer.
#include <algorithm>
#include <set>

#include <keras/core/function.h>
#include <keras/ops.h>
#include <keras/saving.h>

#include "conformance/kinds.h"
#include "io/json.h"
#include "io/zip.h"
#include "layers/layer_impl.h"
#include "layers/registry.h"

namespace keras::conformance {

namespace {

void collect_unknown(const Value& v, const std::set<std::string>& known, std::set<std::string>& unknown) {
  if (v.is_list())
    for (const Value& e : v.as_list()) collect_unknown(e, known, unknown);
  if (!v.is_dict()) return;
  const Value &cls = v.get("class_name"), &module = v.get("module"), &registered = v.get("registered_name");
  bool custom = registered.is_string() && registered.as_string().find('>') != std::string::npos;
  if (cls.is_string() && module.is_string() && module.as_string().rfind("keras.layers", 0) == 0 && !known.contains(cls.as_string()))
    unknown.insert(cls.as_string());
  if (cls.is_string() && custom && !known.contains(registered.as_string())) unknown.insert(registered.as_string());
  for (const auto& [key, e] : v.as_dict()) collect_unknown(e, known, unknown);
}

/// The variables' values, to be put back before the next call.
struct State {
  std::vector<Variable> variables;
  Tensors values;
  explicit State(const Model& model) : variables(model.variables()) {
    for (const Variable& v : variables) values.push_back(v.value());
  }
  void restore() const {
    for (size_t i = 0; i < variables.size(); ++i) variables[i].assign(values[i]);
  }
};

/// Classes of the test's own (cells in Python) are known by the loader's refusal alone.
Model load(const std::string& file) {
  try {
    return saving::load_model(file, {.compile = false});
  } catch (const Error& e) {
    std::string text = e.what(), sign = "Unknown layer class ";
    size_t at = text.find(sign);
    if (at == std::string::npos) throw;
    at += sign.size();
    throw Unsupported("the class " + text.substr(at, text.find('\n', at) - at) + " of the original test");
  }
}

struct LayerCase {
  const Folder& folder;
  Check& check;
  const Value& json;
  Model model;
  Tensors inputs;
  State start;
  Tolerance tolerance = folder.tolerance("tolerance"), grad_tolerance = folder.tolerance("grad_tolerance", {1e-3, 1e-4});

  LayerCase(const Folder& f, Check& c, const Model& m) : folder(f), check(c), json(f.json()), model(m), start(model) {
    // Inputs in the model's own order.
    std::vector<std::string> names = model.input_names();
    const List& given = json.get("inputs").as_list();
    inputs.resize(given.size());
    for (size_t i = 0; i < given.size(); ++i) {
      auto at = std::find(names.begin(), names.end(), given[i].get("model_input").as_string());
      if (at == names.end()) throw ValueError("the model has no input " + given[i].get("model_input").str());
      inputs[static_cast<size_t>(at - names.begin())] = input(i);
    }
  }
  Tensor input(size_t i) const {
    const Value& in = json.get("inputs").as_list()[i];
    Tensor t = folder.stored(in.get("key").as_string());
    DType dtype = dtype_from_name(in.get("dtype").as_string());
    return t.dtype() == dtype ? t : t.astype(dtype);
  }
  std::string output_dtype(size_t i) const { return json.get("outputs").as_list().at(i).get("dtype").as_string(); }
  Tensors call(const Tensors& in, bool training) const { return model(in, {.training = training}).all; }

  void counts() {
    check.equal(model.count_params(), json.get("count_params").as_int(), "count_params");
    check.equal(static_cast<int64_t>(model.trainable_weights().size()), json.get("num_trainable_weights").as_int(), "num_trainable_weights");
    check.equal(static_cast<int64_t>(model.non_trainable_weights().size()), json.get("num_non_trainable_weights").as_int(), "num_non_trainable_weights");
    const List& want = json.get("variables").as_list();
    check.equal(start.variables.size(), want.size(), "number of variables");
    for (size_t i = 0; i < std::min(want.size(), start.variables.size()); ++i) {
      const Variable& got = start.variables[i];
      std::string what = "variable " + std::to_string(i) + " " + want[i].get("path").as_string();
      check.equal(got.shape(), want[i].get("shape").as_shape(), what + ", shape");
      check.equal(std::string(dtype_name(got.dtype())), want[i].get("dtype").as_string(), what + ", dtype");
      check.equal(got.trainable(), want[i].get("trainable").as_bool(), what + ", trainable");
      check.equal(got.name(), want[i].get("name").as_string(), what + ", name");
    }
  }

  void symbolic() {
    Tensors out = model.outputs();
    const List &shapes = json.get("symbolic_output_shapes").as_list(), &dtypes = json.get("symbolic_output_dtypes").as_list();
    check.equal(out.size(), shapes.size(), "number of symbolic outputs");
    for (size_t i = 0; i < std::min(out.size(), shapes.size()); ++i) {
      check.equal(out[i].shape(), shapes[i].as_shape(), "symbolic shape of output " + std::to_string(i));
      check.equal(std::string(dtype_name(out[i].dtype())), dtypes.at(i).as_string(), "symbolic dtype of output " + std::to_string(i));
    }
  }

  void compare_outputs(const Tensors& got, const char* prefix, const std::string& how) {
    size_t count = json.get("outputs").as_list().size();
    check.equal(got.size(), count, "number of outputs" + how);
    for (size_t i = 0; i < std::min(got.size(), count); ++i) {
      std::string key = prefix + std::to_string(i);
      if (folder.has(key)) check.close(got[i], folder.stored(key), tolerance, key + how, output_dtype(i));
    }
  }

  void inference() {
    Tensors got = call(inputs, false), losses = model.losses();
    compare_outputs(got, "output_", "");
    start.restore();
    const List& want = json.get("extra_losses").as_list();
    check.equal(losses.size(), want.size(), "number of extra losses");
    for (size_t i = 0; i < std::min(losses.size(), want.size()); ++i) check.close(losses[i].item(), number(want[i]), tolerance, "extra loss " + std::to_string(i));
  }

  /// Outputs and gradients as a compiled step computes them.
  void compiled() {
    size_t count = json.get("outputs").as_list().size();
    const List& by_weight = json.get("grad_w").as_list();
    std::vector<size_t> by_input;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (folder.has("grad_in_" + std::to_string(i))) by_input.push_back(i);
    Tensors cotangents(count);
    for (size_t i = 0; i < count; ++i)
      if (folder.has("cot_" + std::to_string(i))) cotangents[i] = folder.stored("cot_" + std::to_string(i));
    std::vector<Variable> weights = model.trainable_weights();
    // grad_in is in the record's order of inputs.
    std::vector<std::string> names = model.input_names();
    auto place = [&](size_t i) {
      const std::string& name = json.get("inputs").as_list()[i].get("model_input").as_string();
      return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    };
    bool differentiate = !by_weight.empty() || !by_input.empty();
    Function step([&](const Tensors& in) -> Tensors {
      Tensors out = call(in, false), all = out;
      if (!differentiate) return all;
      Tensor sum;
      for (size_t i = 0; i < std::min(count, out.size()); ++i) {
        if (!cotangents[i].defined()) continue;
        Tensor y = is_floating(out[i].dtype()) && dtype_size(out[i].dtype()) < 4 ? ops::cast(out[i], DType::Float32) : out[i];
        Tensor part = ops::sum(y * cotangents[i]);
        sum = sum.defined() ? sum + part : part;
      }
      if (!sum.defined()) throw ValueError("there are gradients but no cotangents");
      Tensors sources;
      for (const Variable& v : weights) sources.push_back(v.value());
      for (size_t i : by_input) sources.push_back(in[place(i)]);
      for (const Tensor& g : gradients(sum, sources)) all.push_back(g);
      return all;
    });
    Tensors got = step(inputs);
    start.restore();
    compare_outputs(Tensors(got.begin(), got.begin() + static_cast<ptrdiff_t>(std::min(count, got.size()))), "output_", " (compiled)");
    if (!differentiate) return;
    check.equal(weights.size(), by_weight.size(), "number of gradients of weights");
    for (size_t i = 0; i < std::min(weights.size(), by_weight.size()); ++i) {
      Tensor want = folder.stored(by_weight[i].get("key").as_string());
      check.close(got.at(count + i), want, grad_tolerance, "gradient of " + by_weight[i].get("variable").as_string(), "");
    }
    for (size_t k = 0; k < by_input.size(); ++k) {
      std::string key = "grad_in_" + std::to_string(by_input[k]);
      check.close(got.at(count + weights.size() + k), folder.stored(key), grad_tolerance, key, "");
    }
  }

  void training() {
    Tensors got = call(inputs, true);
    compare_outputs(got, "train_output_", "");
    for (size_t i = 0; i < start.variables.size(); ++i) {
      std::string key = "train_var_" + std::to_string(i), what = key + " " + start.variables[i].path();
      // The records leave out that the state of a seed moves.
      if (!folder.has(key) && json.get("variables").as_list().at(i).get("seed_state") == Value(true)) continue;
      check.close(start.variables[i].value(), folder.has(key) ? folder.stored(key) : start.values[i], tolerance, what, "");
    }
    start.restore();
  }
};

}  // namespace

void check_layer_classes(const std::string& file) {
  io::ZipReader zip(file);
  std::vector<std::string> names = layers::known_layers();
  std::set<std::string> known(names.begin(), names.end()), unknown;
  known.insert({"Functional", "Sequential", "Model"});
  collect_unknown(io::parse_json(zip.read_text("config.json"), file), known, unknown);
  if (unknown.empty()) return;
  std::string text;
  for (const std::string& u : unknown) text += (text.empty() ? "" : ", ") + u;
  throw Unsupported(text);
}

void replay_layer(const Folder& folder, const Value&, Check& check) {
  check_layer_classes(folder.file("model.keras"));
  LayerCase c(folder, check, load(folder.file("model.keras")));
  check.part("counts", [&] { c.counts(); });
  check.part("symbolic outputs", [&] { c.symbolic(); });
  check.part("inference", [&] { c.inference(); });
  check.part("compiled step", [&] { c.compiled(); });
  const Value& mode = c.json.get("train_mode");
  // Which of the two wins, a `training` given in the call or the model's mode, differs between the releases.
  if (!c.json.get("call").get("kwargs").get("training").is_null()) return;
  if (mode == Value("recorded")) check.part("training mode", [&] { c.training(); });
  if (mode == Value("same as inference") && !c.json.get("state_changes_at_inference").as_bool())
    check.part("training mode", [&] { c.compare_outputs(c.call(c.inputs, true), "output_", " (training)"); });
}

}  // namespace keras::conformance
