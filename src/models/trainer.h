// What lives here: compiled training: losses and metrics per output, the three steps, their executables.
#pragma once
#include <keras/models/model.h>

#include "core/impl.h"
#include "models/functional.h"

namespace keras::models {

/// A step compiled for one set of shapes.
struct StepExecutable {
  std::vector<ir::Type> types;
  std::unique_ptr<core::Compiled> compiled;
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
  bool built = false;          // losses and metrics know the shapes
  bool peeked = false;         // the first fit after compile has drawn its extra permutation
  bool stop_training = false;
  std::vector<StepExecutable> train_steps, test_steps;
  std::unique_ptr<core::Compiled> results;     // the current values of all metrics
  std::vector<std::string> result_names;
  std::vector<std::string> metrics_order;      // names in Keras' order of model.metrics
  Value compiled_as;                           // the configuration before training, once a checkpoint was asked for
  std::optional<int> initial_epoch;            // set by a callback in on_train_begin: where this fit starts

  /// All metrics whose state is reset at the start of an epoch.
  std::vector<std::shared_ptr<metrics::Metric>> all_metrics() const;
};

/// The compiled model's configuration as Keras saves it, empty when it was not compiled.
Dict compile_config(const Trainer& trainer);

}  // namespace keras::models
