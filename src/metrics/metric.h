// What lives here: what the files of metrics share: functions by name, the update of confusion counts. No metric itself.
#pragma once
#include <keras/metrics.h>

#include "core/impl.h"
#include "prims/build.h"

namespace keras::metrics {

/// The function of a name (of metrics, losses or registered) with keyword arguments; null when the name is unknown.
MetricFn find_function(const std::string& name, const Dict& kwargs);
std::string name_of_function(const MetricFn& fn);

/// Adds the values of a function, masked by y_pred's mask, to a mean.
void update_mean_of(Mean& mean, const MetricFn& fn, const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight);

// ---- confusion counts
/// Variables of shape (thresholds,) or, with several labels, (thresholds, labels); absent ones are not wanted.
struct ConfusionVariables {
  Variable true_positives{}, false_positives{}, true_negatives{}, false_negatives{};
};
struct ConfusionUpdate {
  const std::vector<double>& thresholds;
  /// Found from the thresholds when they are [0 … 1] in equal steps: then predictions are counted per bucket.
  bool evenly = false;
  std::optional<int64_t> top_k{}, class_id{};
  bool multi_label = false;
  Tensor label_weights{};
};
void update_confusion(const ConfusionVariables& variables, const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight,
                      const ConfusionUpdate& how);
bool evenly_distributed(const std::vector<double>& thresholds);

/// Of the first axis: all but the last, all but the first.
inline Tensor but_last(const Tensor& x) { return prims::slice_axis(x, 0, 0, x.shape()[0] - 1); }
inline Tensor but_first(const Tensor& x) { return prims::slice_axis(x, 0, 1, x.shape()[0]); }
inline Tensor first(const Tensor& x) { return prims::reshape(prims::slice_axis(x, 0, 0, 1), {}); }

}  // namespace keras::metrics
