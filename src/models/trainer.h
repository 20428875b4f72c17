// What lives here: compiled training: what `compile` makes, the steps traced from it, and the numbers that they leave behind. The loops over
// data are in fit.cpp.
#pragma once
#include <deque>

#include <keras/models/model.h>

#include "core/impl.h"
#include "data/feed.h"
#include "models/functional.h"

namespace keras::models {

/// A step compiled for one set of shapes.
struct StepExecutable {
  data::Layout layout;
  std::vector<ir::Type> types;
  std::unique_ptr<core::Compiled> compiled;
  /// Its logs are the results of the metrics, computed only when somebody asks; else they are the step's outputs.
  bool logs_are_metrics = true;
  std::vector<std::string> names;  // of the outputs
  Tensors outputs;
  std::vector<void*> pointers;
};

struct OutputLoss {
  LossSpec loss;
  double weight = 1;
  size_t output = 0;
  std::string name;                             // of the output
  std::shared_ptr<metrics::Metric> tracker;     // per-output loss, when there are several
};
struct OutputMetric {
  std::shared_ptr<metrics::Metric> metric;
  std::string log_name;
  size_t output = 0;
  bool weighted = false;
};

/// Everything that `compile` makes and fit uses.
struct Trainer {
  CompileOptions options;
  std::shared_ptr<optimizers::Optimizer> optimizer;
  std::shared_ptr<metrics::Metric> loss_tracker;
  std::vector<OutputLoss> losses;
  std::vector<OutputMetric> metrics;
  std::vector<std::string> output_names;       // as far as they are known
  bool built = false;                          // losses and metrics know the shapes
  bool stop_training = false, stop_evaluating = false;
  std::deque<StepExecutable> train_steps, test_steps;
  std::unique_ptr<core::Compiled> results;     // the current values of all metrics
  std::vector<std::string> result_names;
  Value compiled_as;                           // the configuration before training, once a checkpoint was asked for
  std::optional<int> initial_epoch;            // set by a callback in on_train_begin: where this fit starts
  std::shared_ptr<callbacks::History> history;
  Logs* asked = nullptr;                       // logs at a callback: their numbers are fixed before metrics are reset

  // ---- of the step being traced
  Tensors added;                               // what layers gave to add_loss
  StepLogs given_results;                      // what get_metrics_result gave last,
  Tensors given_states;                        // and the states of the metrics then

  /// All metrics whose state is reset at the start of an epoch, but those of the user's own.
  std::vector<std::shared_ptr<metrics::Metric>> all_metrics() const;
};

/// The compiled model's configuration as Keras saves it, empty when it was not compiled.
Dict compile_config(const Trainer& trainer);
/// The options that such a configuration stands for.
CompileOptions options_from_config(const Value& config);

/// The trainer; ValueError naming `what` before compile.
Trainer& need_trainer(const Model& model, const char* what);
/// The object whose overrides count: that of the user's class while it lives, else the handle itself.
Model& subject_of(const Model& model);
std::string where_model(const Model& model);

/// Brings arrays by name into the order of the names. `what`: inputs, targets, sample weights.
Tensors in_order(const Arrays& arrays, const std::vector<std::string>& names, const char* what);
/// What a model takes, looked up once, so that threads can ask.
struct Wanted {
  explicit Wanted(const Model& model);
  std::string where;
  std::vector<std::string> inputs, outputs;
  size_t num_inputs, num_outputs;  // 0: not known
  bool by_name;                    // a functional model orders inputs by their names; a class of the user's gets them as they came
};
/// x, y and weights in the model's order; weights of classes become weights of samples. Without `targets`, x alone.
data::Flat arrange(const Wanted& wanted, const Batch& batch, const std::map<int64_t, double>& class_weight, bool targets);

/// Losses and metrics learn the shapes of targets and outputs, the optimizer its variables.
void build_trainer(Model& model, Trainer& trainer, const data::Signature& batch);
/// Whether fit, evaluate and *_on_batch would first have to look at a batch.
bool needs_batch(const Model& model, const Trainer& trainer);
/// The step for batches like this one, traced at the first call.
StepExecutable& step_for(Model& model, Trainer& trainer, const data::Signature& batch, bool train);
/// The current values of loss and metrics, sorted by name as Keras logs them.
Logs::Items results(Model& model, Trainer& trainer);
void reset(Model& model, Trainer& trainer);
/// The names of `metrics()` in logs.
std::vector<std::pair<std::string, std::shared_ptr<metrics::Metric>>> named_metrics(const Model& model);
/// Numbers by name in the order in which Keras' evaluate lists them.
Logs in_metric_order(const Model& model, const Logs::Items& items);

/// Runs the steps of a run over data, compiled or, with run_eagerly, operation by operation.
class Steps {
 public:
  Steps(Model& model, Trainer& trainer, bool train) : m_(model), t_(trainer), train_(train) {}
  void run(const data::Ready& batch);
  /// The compiled step for such batches; null when steps run eagerly.
  const core::Compiled* compiled(const data::Signature& batch);
  /// The logs of the last step, and those of an epoch that ends with it, sorted by name.
  Logs::Items logs() const;
  Logs::Items final_logs() const;

 private:
  struct Known {
    const data::Signature* signature;
    StepExecutable* step;
  };
  Model& m_;
  Trainer& t_;
  bool train_;
  std::vector<Known> known_;
  StepExecutable* last_ = nullptr;
  Logs::Items eager_;  // of the last step
};

}  // namespace keras::models
