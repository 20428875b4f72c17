// What lives here: Model and Sequential: building, training, evaluating, predicting, describing.
#pragma once
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/data/source.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/layer.h>
#include <keras/models/callback.h>
#include <keras/models/checkpoint.h>
#include <keras/models/compile.h>
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

struct CompileOptions {
  OptimizerSpec optimizer = "rmsprop";
  PerOutput<LossSpec> loss{};
  PerOutput<double> loss_weights{};
  MetricsArg metrics{};
  MetricsArg weighted_metrics{};
  /// Every step runs operation by operation, so that a debugger can stop in it: slow.
  bool run_eagerly = false;
  /// Batches between two calls of the callbacks' batch hooks.
  int steps_per_execution = 1;
  /// "auto", true or false: accepted, as every step is compiled unless it runs eagerly.
  Value jit_compile = "auto";
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
  bool given = false;  // not the default
  Shuffle() = default;
  Shuffle(bool on) : kind(on ? On : Off), given(true) {}
  Shuffle(const char* text);
};

/// `validation_data`: inputs, targets, and perhaps weights of the samples; or a source of batches, `{dataset}`.
struct ValidationData {
  Data x{};
  Arrays y{}, sample_weight{};
  bool empty() const { return x.empty(); }
};

/// `validation_freq`: after every so many epochs, or after those of a list, counted from 1.
struct ValidationFreq {
  int every = 1;
  std::vector<int> epochs{};
  ValidationFreq() = default;
  ValidationFreq(int every) : every(every) {}
  ValidationFreq(std::initializer_list<int> epochs) : every(0), epochs(epochs) {}
  ValidationFreq(std::vector<int> epochs) : every(0), epochs(std::move(epochs)) {}
  /// After the epoch of this number, counted from 0.
  bool due(int epoch) const;
};

struct FitOptions {
  /// 32 without it, or, where steps_per_epoch is given, what makes as many batches of the arrays. Sources have batches of their own.
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
  ValidationFreq validation_freq{};
  /// Keep a checkpoint, so that the run survives being killed.
  CheckpointOptions checkpoint{};
};

struct EvaluateOptions {
  std::optional<int64_t> batch_size{};
  Verbose verbose{};
  Arrays sample_weight{};
  std::optional<int64_t> steps{};
  std::vector<CallbackSpec> callbacks{};
  /// The numbers by name in either case; true puts them into the order of Keras' dictionary, which is sorted.
  bool return_dict = false;
};

struct PredictOptions {
  std::optional<int64_t> batch_size{};
  Verbose verbose{};
  std::optional<int64_t> steps{};
  std::vector<CallbackSpec> callbacks{};
};

struct BatchOptions {
  Arrays sample_weight{};
  std::map<int64_t, double> class_weight{};
  /// As in EvaluateOptions.
  bool return_dict = false;
};

/// What a training step tells: tensors by name.
using StepLogs = std::vector<std::pair<std::string, Tensor>>;

struct SummaryOptions {
  int line_length = 0;             // 0: as wide as the terminal, 80 elsewhere
  bool expand_nested = false;
  bool show_trainable = false;
  /// "plain": Keras 2's lines, "boxed": Keras 3's.
  std::string style = "boxed";
  bool flops = false;              // a column: operations of a forward pass on batch_size rows
  bool memory = false;             // a line: what training (of a compiled model, else prediction) takes at its peak with such batches
  int64_t batch_size = 0;          // 0: 1 for flops, 32 for memory
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

  std::shared_ptr<callbacks::History> fit(const Arrays& x, const Arrays& y, const FitOptions& options);
  template <class Y>
    requires(std::convertible_to<const Y&, Arrays>)
  std::shared_ptr<callbacks::History> fit(const Arrays& x, const Y& y) {
    return fit(x, Arrays(y), FitOptions{});
  }
  /// From a generator or a dataset, or on arrays without targets.
  std::shared_ptr<callbacks::History> fit(const Data& x, const FitOptions& options = {});
  /// The loss and the metrics in the order of `metrics_names`.
  Logs evaluate(const Arrays& x, const Arrays& y, const EvaluateOptions& options);
  template <class Y>
    requires(std::convertible_to<const Y&, Arrays>)
  Logs evaluate(const Arrays& x, const Y& y) {
    return evaluate(x, Arrays(y), EvaluateOptions{});
  }
  Logs evaluate(const Data& x, const EvaluateOptions& options = {});
  /// The output for all rows; of a model with several outputs the first (see predict_all).
  Tensor predict(const Data& x, const PredictOptions& options = {}) const;
  Tensors predict_all(const Data& x, const PredictOptions& options = {}) const;
  Logs train_on_batch(const Arrays& x, const Arrays& y = {}, const BatchOptions& options = {});
  Logs test_on_batch(const Arrays& x, const Arrays& y = {}, const BatchOptions& options = {});
  Tensor predict_on_batch(const Arrays& x) const;
  Tensors predict_on_batch_all(const Arrays& x) const;

  // ---- to override: what happens in a step. All of it runs in the compiled step: it is traced once, so it is made of ops, calls of layers,
  // assignments to variables, and metrics.
  /// One step of training; the tensors that it gives are its logs.
  ///
  ///     struct Mine : keras::Model {
  ///       using Model::Model;
  ///       keras::StepLogs train_step(const keras::Batch& batch) override {
  ///         const auto& [x, y, sample_weight] = batch;
  ///         keras::GradientTape tape;
  ///         auto y_pred = (*this)(x, {.training = true});
  ///         keras::Tensor loss = compute_loss(x, y, y_pred, sample_weight);
  ///         optimizer().apply(tape.gradient(loss, trainable_variables()), trainable_variables());
  ///         metrics()[0]->update_state(loss, {});  // the mean of the loss
  ///         return compute_metrics(x, y, y_pred, sample_weight);
  ///       }
  ///     };
  ///
  /// By default this, with each batch weighing as many samples as it has. `metrics()` of one's own are made with `track`.
  virtual StepLogs train_step(const Batch& batch);
  /// The same without learning, for evaluate and validation.
  virtual StepLogs test_step(const Batch& batch);
  /// The outputs for a batch of `predict`, whose targets are of no interest.
  virtual Tensors predict_step(const Batch& batch);
  /// The number that is minimised: losses of the outputs as compiled, what layers added, penalties of weights.
  virtual Tensor compute_loss(const Arrays& x, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight = {}, bool training = true);
  /// Brings a batch into the compiled metrics, and gives the results of all metrics.
  virtual StepLogs compute_metrics(const Arrays& x, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight = {});
  /// The mean of the loss, the compiled metrics, the losses of single outputs, and those given to `track`.
  virtual std::vector<std::shared_ptr<metrics::Metric>> metrics() const;
  virtual void reset_metrics();
  /// The metrics' results by name.
  virtual StepLogs get_metrics_result();
  /// Calls the model on `x` of a batch.
  Output operator()(const Arrays& x, const CallOptions& options = {}) const;
  using Layer::operator();
  /// Makes a metric one of the model's: its state is reset with each epoch. Gives the metric, so that a member can be made so:
  /// `metrics::Mean loss = track(metrics::Mean({.name = "loss"}))`.
  template <class M>
    requires(std::derived_from<M, metrics::Metric>)
  M track(M metric) {
    track_metric(std::make_shared<M>(metric));
    return metric;
  }
  using Layer::track;
  void track_metric(std::shared_ptr<metrics::Metric> metric);

  optimizers::Optimizer& optimizer() const;
  /// The names of what evaluate gives, in this order.
  std::vector<std::string> metrics_names() const;
  /// The states of stateful layers back to zero.
  void reset_states();
  /// Set by a callback to end training (evaluation, prediction) after this batch.
  bool stop_training() const;
  void set_stop_training(bool stop);
  void set_stop_evaluating(bool stop);
  void set_stop_predicting(bool stop);
  /// What the last fit returned; null before.
  std::shared_ptr<callbacks::History> history() const;

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
