// What lives here: Model and Sequential: building, training, evaluating, predicting, describing.
#pragma once
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/layers/core/input_layer.h>
#include <keras/layers/layer.h>
#include <keras/losses.h>
#include <keras/metrics.h>
#include <keras/models/callback.h>
#include <keras/models/checkpoint.h>
#include <keras/models/data.h>
#include <keras/optimizers.h>

namespace keras {

namespace saving {
struct SaveOptions;         // keras/saving.h
struct SaveWeightsOptions;
}  // namespace saving

namespace models {
class ModelImpl;
class FunctionalImpl;
struct Trainer;
}  // namespace models

/// One thing for all outputs, one per output in order, or some by the outputs' names.
template <class T> struct PerOutput {
  std::vector<T> list;
  std::vector<std::pair<std::string, T>> named;
  bool single = false;
  PerOutput() = default;
  template <class U>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::decay_t<U>, PerOutput>)
  PerOutput(U&& one) : list{T(std::forward<U>(one))}, single(true) {}
  PerOutput(std::initializer_list<T> items) : list(items) {}
  PerOutput(std::vector<T> items) : list(std::move(items)) {}
  PerOutput(std::initializer_list<std::pair<std::string, T>> items) : named(items) {}
  PerOutput(std::vector<std::pair<std::string, T>> items) : named(std::move(items)) {}
  PerOutput(const std::map<std::string, T>& items) : named(items.begin(), items.end()) {}
  bool empty() const { return list.empty() && named.empty(); }
};

/// The metrics of one output.
struct MetricList {
  std::vector<MetricSpec> items;
  MetricList() = default;
  template <class U>
    requires(std::is_convertible_v<U &&, MetricSpec> && !std::is_same_v<std::decay_t<U>, MetricList>)
  MetricList(U&& one) : items{MetricSpec(std::forward<U>(one))} {}
  MetricList(std::initializer_list<MetricSpec> list) : items(list) {}
  MetricList(std::vector<MetricSpec> list) : items(std::move(list)) {}
};

/// `.metrics = {"accuracy", "mae"}` for the one output, a list of lists per output, or lists by name.
struct MetricsArg {
  std::vector<MetricList> list;
  std::vector<std::pair<std::string, MetricList>> named;
  MetricsArg() = default;
  MetricsArg(std::initializer_list<MetricList> items) : list(items) {}
  MetricsArg(std::vector<MetricList> items) : list(std::move(items)) {}
  MetricsArg(const std::vector<MetricSpec>& items) : list(items.begin(), items.end()) {}
  MetricsArg(std::initializer_list<std::pair<std::string, MetricList>> items) : named(items) {}
  MetricsArg(std::vector<std::pair<std::string, MetricList>> items) : named(std::move(items)) {}
  bool empty() const { return list.empty() && named.empty(); }
};

struct CompileOptions {
  OptimizerSpec optimizer = "rmsprop";
  PerOutput<LossSpec> loss{};
  PerOutput<double> loss_weights{};
  MetricsArg metrics{};
  MetricsArg weighted_metrics{};
  bool run_eagerly = false;       // accepted; every step is compiled
  int steps_per_execution = 1;
  Value jit_compile = "auto";     // accepted; every step is compiled
  bool auto_scale_loss = true;
};

/// "auto", 0, 1 or 2, as Keras' `verbose`.
struct Verbose {
  int level = 1;
  Verbose() = default;
  Verbose(int v) : level(v) {}
  Verbose(bool v) : level(v) {}
  Verbose(const char* text);
};

/// `shuffle`: true, false, or "batch".
struct Shuffle {
  enum Kind { Off, On, Batch } kind = On;
  Shuffle() = default;
  Shuffle(bool on) : kind(on ? On : Off) {}
  Shuffle(const char* text);
};

struct FitOptions {
  std::optional<int64_t> batch_size{};
  int epochs = 1;
  Verbose verbose{};
  std::vector<CallbackSpec> callbacks{};
  double validation_split = 0;
  ValidationData validation_data{};
  Shuffle shuffle{};
  std::map<int64_t, double> class_weight{};
  Arrays sample_weight{};
  int initial_epoch = 0;
  std::optional<int64_t> steps_per_epoch{};
  std::optional<int64_t> validation_steps{};
  std::optional<int64_t> validation_batch_size{};
  int validation_freq = 1;
  /// Keep a checkpoint, so that the run survives being killed.
  CheckpointOptions checkpoint{};
};

struct EvaluateOptions {
  std::optional<int64_t> batch_size{};
  Verbose verbose{};
  Arrays sample_weight{};
  std::optional<int64_t> steps{};
  std::vector<CallbackSpec> callbacks{};
};

struct PredictOptions {
  std::optional<int64_t> batch_size{};
  Verbose verbose{0};
  std::optional<int64_t> steps{};
  std::vector<CallbackSpec> callbacks{};
};

struct BatchOptions {
  Arrays sample_weight{};
  std::map<int64_t, double> class_weight{};
};

struct SummaryOptions {
  int line_length = 0;             // 0: as wide as the terminal, 80 elsewhere
  bool expand_nested = false;
  bool show_trainable = false;
  /// "plain": Keras 2's lines, "boxed": Keras 3's.
  std::string style = "boxed";
};

struct ModelOptions {
  std::optional<std::string> name{};
  bool trainable = true;
};

/// A layer with a graph or a `call` of its own that can be trained, saved and described.
///
///     keras::Tensor x = keras::Input({784});
///     keras::Model model(x, keras::layers::Dense(10, {.activation = "softmax"})(x));
///     model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
///     model.fit(images, labels, {.epochs = 5});
class Model : public Layer {
 public:
  /// A functional model; the graph between the tensors is found by itself.
  Model(const Tensor& inputs, const Tensor& outputs, const ModelOptions& options = {});
  Model(const Tensors& inputs, const Tensor& outputs, const ModelOptions& options = {});
  Model(const Tensor& inputs, const Tensors& outputs, const ModelOptions& options = {});
  Model(const Tensors& inputs, const Tensors& outputs, const ModelOptions& options = {});
  /// For derived classes, which override `call`.
  explicit Model(const std::string& class_name, const std::string& name = "");
  explicit Model(std::shared_ptr<models::ModelImpl> impl);
  /// The model inside a layer handle; TypeError when it is a plain layer.
  explicit Model(const Layer& layer);
  Model() = default;

  Model& compile(const CompileOptions& options = {});
  /// Keras' compile configuration, as saved.
  Model& compile_from_config(const Value& config);
  bool compiled() const;

  std::shared_ptr<callbacks::History> fit(const Arrays& x, const Arrays& y, const FitOptions& options = {});
  /// The loss and the metrics in the order of `metrics_names`.
  Logs evaluate(const Arrays& x, const Arrays& y, const EvaluateOptions& options = {});
  /// The output for all rows; of a model with several outputs the first (see predict_all).
  Tensor predict(const Arrays& x, const PredictOptions& options = {}) const;
  Tensors predict_all(const Arrays& x, const PredictOptions& options = {}) const;
  Logs train_on_batch(const Arrays& x, const Arrays& y, const BatchOptions& options = {});
  Logs test_on_batch(const Arrays& x, const Arrays& y, const BatchOptions& options = {});
  Tensor predict_on_batch(const Arrays& x) const;
  Tensors predict_on_batch_all(const Arrays& x) const;

  optimizers::Optimizer& optimizer() const;
  std::vector<std::string> metrics_names() const;
  void reset_metrics();
  void reset_states();
  /// Set by a callback to end training after this batch.
  bool stop_training() const;
  void set_stop_training(bool stop);

  std::vector<Layer> layers() const;
  /// By name; ValueError with the nearest name.
  Layer get_layer(const std::string& name) const;
  Layer get_layer(int index) const;
  Tensors inputs() const;
  Tensors outputs() const;
  std::vector<std::string> input_names() const;
  std::vector<std::string> output_names() const;

  /// Writes the summary to standard output, or returns it.
  void summary(const SummaryOptions& options = {}) const;
  std::string summary_text(const SummaryOptions& options = {}) const;

  std::string to_json(int indent = -1) const;
  void save(const std::string& path) const;
  /// `model.save("m.keras", {.golden = x})`: with inputs and outputs inside, for `keras verify`. Needs keras/saving.h.
  void save(const std::string& path, const saving::SaveOptions& options) const;
  void save_weights(const std::string& path) const;
  /// `model.save_weights("m.weights.json", {.max_shard_size = 2})`: in shards of so many gigabytes. Needs keras/saving.h.
  void save_weights(const std::string& path, const saving::SaveWeightsOptions& options) const;
  void load_weights(const std::string& path);

  models::ModelImpl& model_impl() const;
  models::Trainer& trainer() const;
};

/// A chain of layers.
///
///     keras::Sequential model({keras::Input({784}), keras::layers::Dense(10)});
class Sequential : public Model {
 public:
  /// A layer, or the symbolic tensor of an Input.
  struct Item {
    Layer layer;
    Item(const Layer& l) : layer(l) {}
    Item(const Tensor& input);
  };
  explicit Sequential(const ModelOptions& options = {});
  Sequential(std::initializer_list<Item> layers, const ModelOptions& options = {});
  explicit Sequential(const std::vector<Layer>& layers, const ModelOptions& options = {});
  explicit Sequential(std::shared_ptr<models::ModelImpl> impl) : Model(std::move(impl)) {}
  Sequential& add(const Item& item);
  void pop();
};

namespace models {
using keras::Model;
using keras::Sequential;
/// The model of Keras' JSON (`model.to_json()`), not compiled.
Model model_from_json(const std::string& json);
/// Reads a `.keras` file (compile state and optimizer included), or a legacy `.h5`.
Model load_model(const std::string& path, bool compile = true);
void save_model(const Model& model, const std::string& path);
}  // namespace models

}  // namespace keras
