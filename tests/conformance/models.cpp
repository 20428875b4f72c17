// What lives here: replaying models: files, predictions, evaluation, the trajectory of training, and training resumed.
#include <algorithm>

#include <keras/callbacks.h>
#include <keras/saving.h>

#include "conformance/kinds.h"

namespace keras::conformance {

namespace {

constexpr int64_t kBatch = 8;

/// The logs after each batch, and the learning rate at the end of each epoch.
class Recorder : public callbacks::Callback {
 public:
  void on_train_batch_end(int64_t, Logs& logs) override { batches.push_back(logs.items()); }
  void on_epoch_end(int, Logs&) override { rates.push_back(model()->optimizer().learning_rate().item()); }
  std::vector<Logs::Items> batches;
  std::vector<double> rates;
};

/// Paths were recorded on the model as it was written down; a loaded one lacks the names of models around a layer, also in Keras.
bool same_path(const std::string& got, const std::string& want) {
  if (got == want || want.ends_with("/" + got)) return true;
  size_t g = got.find('/'), w = want.find('/');
  return g != std::string::npos && w != std::string::npos && got.substr(0, g) == want.substr(0, w) && want.substr(w).ends_with("_" + got.substr(g + 1));
}

struct ModelCase {
  const Folder& folder;
  Check& check;
  const Value& json = folder.json();
  Tolerance tolerance = folder.tolerance("tolerance"), train_tolerance = folder.tolerance("train_tolerance", {2e-3, 5e-4});
  Arrays x = arrays(json.get("x")), y = arrays(json.get("y"));

  Arrays arrays(const Value& encoded) const {
    Arrays a;
    a.values = folder.tensors(encoded, &a.names);
    return a;
  }

  void predictions(const Model& model, const char* field, Tolerance t, const std::string& what) {
    std::vector<std::string> names, outputs = model.output_names();
    Tensors want = folder.tensors(json.get(field), &names), got = model.predict_all(x, {.batch_size = kBatch});
    check.equal(got.size(), want.size(), what + ", number of outputs");
    for (size_t i = 0; i < std::min(want.size(), got.size()); ++i) {
      size_t place = i;
      if (!names.empty()) {
        auto at = std::find(outputs.begin(), outputs.end(), names[i]);
        if (at != outputs.end()) place = static_cast<size_t>(at - outputs.begin());
      }
      check.close(got[place], want[i], t, what + (names.empty() ? "" : " " + names[i]));
    }
  }

  void logs(const Logs::Items& got, const Value& want, Tolerance t, const std::string& what) {
    const Dict& expected = want.as_dict();
    for (const auto& [name, value] : expected) {
      auto at = std::find_if(got.begin(), got.end(), [&](const auto& item) { return item.first == name; });
      if (at == got.end()) {
        check.that(false, what + ": no " + name);
      } else {
        check.close(at->second, number(value), t, what + " " + name);
      }
    }
    for (const auto& [name, value] : got) check.that(expected.contains(name), what + ": " + name + " is not in Keras' logs");
  }

  void history(const callbacks::History& got, const Value& want, const std::string& what, bool only_loss = false) {
    for (const auto& [name, values] : want.as_dict()) {
      if (only_loss && name != "loss") continue;
      if (!got.contains(name)) {
        check.that(false, what + ": no " + name);
        continue;
      }
      const std::vector<double>& mine = got[name];
      check.equal(mine.size(), values.as_list().size(), what + " " + name + ", epochs");
      for (size_t i = 0; i < std::min(mine.size(), values.as_list().size()); ++i)
        check.close(mine[i], number(values.as_list()[i]), train_tolerance, what + " " + name + ", epoch " + std::to_string(i));
    }
    for (const auto& [name, values] : got.history) check.that(want.as_dict().contains(name), what + ": " + name + " is not in Keras' history");
  }

  void weights(const Model& model, const std::string& prefix, Tolerance t, const std::string& what) {
    const List& want = json.get("weights").as_list();
    std::vector<Variable> got = model.weights();
    check.equal(got.size(), want.size(), what + ", number of weights");
    for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
      const std::string& path = want[i].get("path").as_string();
      check.that(same_path(got[i].path(), path), what + ", path of weight " + std::to_string(i) + ": " + got[i].path() + " instead of " + path);
      check.close(got[i].value(), folder.stored(prefix + std::to_string(i)), t, what + " " + path);
    }
  }

  std::vector<CallbackSpec> callbacks_of(const Value& fit) const {
    std::vector<CallbackSpec> all;
    if (!fit.get("callbacks").is_list()) return all;
    for (const Value& c : fit.get("callbacks").as_list()) {
      Dict options = c.get("options").is_dict() ? c.get("options").as_dict() : c.as_dict();
      options.erase("class");
      all.emplace_back(callbacks::get(Dict{{"class_name", c.get("class")}, {"config", options}}));
    }
    return all;
  }

  FitOptions fit_options() const {
    const Value& fit = json.get("fit");
    FitOptions o{.batch_size = fit.get("batch_size").as_int(), .epochs = static_cast<int>(fit.get("epochs").as_int()), .verbose = 0, .shuffle = false};
    for (const auto& [key, v] : fit.as_dict()) {
      if (key == "validation_split") o.validation_split = v.as_float();
      if (key == "sample_weight") o.sample_weight = arrays(v);
      if (key == "class_weight" && v.is_dict())
        for (const auto& [cls, weight] : v.as_dict()) o.class_weight[std::stoll(cls)] = number(weight);
      if (key == "validation_data" && !v.is_null()) {
        const List& parts = v.is_list() ? v.as_list() : v.get("__tuple__").as_list();
        o.validation_data = {.x = arrays(parts.at(0)), .y = arrays(parts.at(1))};
        if (parts.size() > 2) o.validation_data.sample_weight = arrays(parts[2]);
      }
    }
    o.callbacks = callbacks_of(fit);
    return o;
  }

  void before(Model& model) {
    check.equal(model.count_params(), json.get("count_params").as_int(), "count_params");
    weights(model, "w_init_", {0, 0}, "initial weights");
    predictions(model, "predict", tolerance, "predict");
    Logs got = model.evaluate(x, y, {.batch_size = kBatch, .verbose = 0});
    logs(got.items(), json.get("evaluate_before"), tolerance, "evaluate before training");
  }

  void training(Model& model) {
    FitOptions options = fit_options();
    // First, so that it sees the rate with which the epoch ran.
    auto recorder = std::make_shared<Recorder>();
    options.callbacks.insert(options.callbacks.begin(), CallbackSpec(recorder));
    auto got = model.fit(x, y, options);
    history(*got, json.get("epoch_logs"), "fit");
    const List &rates = json.get("epoch_learning_rates").as_list(), &batches = json.get("batch_logs").as_list();
    check.equal(recorder->rates.size(), rates.size(), "number of epochs");
    for (size_t i = 0; i < std::min(rates.size(), recorder->rates.size()); ++i)
      check.close(recorder->rates[i], number(rates[i]), {1e-5, 1e-9}, "learning rate, epoch " + std::to_string(i));
    check.equal(recorder->batches.size(), batches.size(), "number of batches");
    for (size_t i = 0; i < std::min(batches.size(), recorder->batches.size()); ++i)
      logs(recorder->batches[i], batches[i], train_tolerance, "batch " + std::to_string(i));
    weights(model, "w_final_", train_tolerance, "final weights");
    predictions(model, "predict_after", train_tolerance, "predict after training");
    Logs after = model.evaluate(x, y, {.batch_size = kBatch, .verbose = 0});
    logs(after.items(), json.get("evaluate_after"), train_tolerance, "evaluate after training");
    optimizer(model, "after training");
  }

  void optimizer(const Model& model, const std::string& when) {
    const List& want = json.get("optimizer_variables").as_list();
    std::vector<Variable> state = model.optimizer().variables();
    check.equal(state.size(), want.size(), "number of optimizer variables " + when);
    for (size_t i = 0; i < std::min(state.size(), want.size()); ++i) {
      const std::string& path = want[i].get("path").as_string();
      // Keras numbers variables without a name over the whole process.
      if (path.rfind("variable", 0) != 0)
        check.that(same_path(state[i].path(), path), "path of optimizer variable " + when + ": " + state[i].path() + " instead of " + path);
      check.close(state[i].value(), folder.stored(want[i].get("key").as_string()), train_tolerance, "optimizer variable " + path + " " + when);
    }
  }

  void trained() {
    Model model = saving::load_model(folder.file("trained.keras"));
    weights(model, "w_final_", {0, 0}, "weights of trained.keras");
    predictions(model, "predict_after", tolerance, "predict of trained.keras");
    optimizer(model, "of trained.keras");
    if (!json.get("resumed_epoch_logs").is_dict()) return;
    // This part was recorded with TensorFlow (whose Adam leaves alone the rows of an embedding that a batch doesn't have): it says nothing
    // where TensorFlow's own training is known to depart from JAX'.
    if (const Value& cross = json.get("cross_check").get("final_weights"); cross.is_string() && cross.as_string().rfind("differs", 0) == 0) return;
    FitOptions options = fit_options();
    options.epochs = 1;
    auto got = model.fit(x, y, options);
    // Losses per output are averaged in another way by the backend that recorded this part.
    history(*got, json.get("resumed_epoch_logs"), "resumed", folder.tensors(json.get("predict")).size() > 1);
    weights(model, "w_resumed_", train_tolerance, "weights resumed");
  }

  void other_files() {
    if (folder.has_file("model.h5")) {
      Model model = saving::load_model(folder.file("model.h5"), {.compile = false});
      predictions(model, "predict", tolerance, "predict of model.h5");
    }
    if (folder.has_file("model.weights.h5")) {
      Model model = saving::load_model(folder.file("trained.keras"), {.compile = false});
      saving::load_weights(model, folder.file("model.weights.h5"));
      predictions(model, "predict", tolerance, "predict with model.weights.h5");
    }
  }
};

}  // namespace

void replay_model(const Folder& folder, const Value&, Check& check) {
  check_layer_classes(folder.file("model.keras"));
  ModelCase c{folder, check};
  Model model = saving::load_model(folder.file("model.keras"));
  check.part("before training", [&] { c.before(model); });
  check.part("training", [&] { c.training(model); });
  check.part("trained.keras", [&] { c.trained(); });
  check.part("other files", [&] { c.other_files(); });
}

}  // namespace keras::conformance
