// What lives here: metrics with sums per class or output: R2, F scores, intersection over union.
#include <algorithm>
#include <limits>

#include <keras/base/warning.h>
#include <keras/metrics.h>
#include <keras/ops.h>

#include "losses/loss.h"
#include "metrics/metric.h"

namespace keras::metrics {

static void need_matrices(const Tensor& y_true, const Tensor& y_pred, const char* where) {
  bool fits = y_true.rank() == 2 && y_pred.rank() == 2 && y_pred.shape().back() >= 0 && compatible(y_true.shape(), y_pred.shape());
  if (fits) return;
  throw ValueError(ErrorText{.what = "this metric compares tables",
                             .where = where,
                             .expected = "y_true and y_pred of one shape (batch_size, output_dim), output_dim known",
                             .received = "y_true " + y_true.shape().str() + ", y_pred " + y_pred.shape().str()}
                       .str());
}

static void add_to(const Variable& v, const Tensor& more) { v.assign(v.value() + more); }

static const char* nullable(const Value& v) { return v.is_null() ? "" : v.as_string().c_str(); }

// ---- R2
R2Score::R2Score(const R2ScoreOptions& options) : Metric(options.name, options.dtype, "R2Score"), options_(options) {
  static const std::vector<std::string> known = {"uniform_average", "variance_weighted_average"};
  std::string how = nullable(options.class_aggregation);
  if (!options.class_aggregation.is_null() && std::find(known.begin(), known.end(), how) == known.end())
    throw ValueError(ErrorText{.what = "unknown class_aggregation \"" + how + "\"" + did_you_mean(how, known),
                               .where = "R2Score",
                               .expected = "\"uniform_average\", \"variance_weighted_average\" or nullptr"}
                         .str());
  if (options.num_regressors < 0)
    throw ValueError(ErrorText{.what = "num_regressors must be >= 0", .where = "R2Score", .received = std::to_string(options.num_regressors)}.str());
  add_variable({}, 0, "num_samples");
}

void R2Score::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  auto [t, p] = losses::squeeze_or_expand_to_same_rank(ops::cast(y_true, dtype()), ops::cast(y_pred, dtype()));
  need_matrices(t, p, "R2Score");
  if (variable_count() == 1)
    for (const char* name : {"squared_sum", "sum", "residual", "count"}) add_variable(Shape{p.shape().back()}, 0, name);
  Tensor w = ops::cast(sample_weight ? sample_weight : Tensor(1.0), dtype());
  if (w.rank() == 1) w = ops::expand_dims(w, 1);
  w = ops::broadcast_to(w, t.shape());
  Tensor weighted = t * w;
  add_to(variable(2), ops::sum(weighted, 0));
  add_to(variable(1), ops::sum(t * weighted, 0));
  add_to(variable(3), ops::sum(ops::square(t - p) * w, 0));
  add_to(variable(4), ops::sum(w, 0));
  add_to(variable(0), losses::count_elements(prims::slice_axis(t, 1, 0, 1), variable(0).dtype()));
}

Tensor R2Score::result() {
  if (variable_count() == 1)
    throw RuntimeError(ErrorText{.what = "there is no result yet", .where = "metric \"" + name() + "\" (R2Score)", .fix = "give a batch first"}.str());
  Tensor sum = variable(2), total = variable(1).value() - sum * (sum / variable(4).value());
  Tensor scores = 1 - variable(3).value() / total;
  scores = ops::where(ops::isinf(scores), ops::zeros_like(scores), scores);
  std::string how = nullable(options_.class_aggregation);
  Tensor r2 = how.empty() ? scores : how == "uniform_average" ? ops::mean(scores) : ops::sum(total * scores) / ops::sum(total);
  if (options_.num_regressors == 0) return r2;
  // The adjustment of Keras 3.15 takes every number of a sample for a sample; the variable holds samples, as in 3.16.
  Tensor n = ops::cast(variable(0).value(), DType::Float32) * static_cast<double>(sum.shape()[0]);
  auto k = static_cast<double>(options_.num_regressors);
  if (n.is_concrete() && k >= n.item() - 1)
    warn(ErrorText{.what = k > n.item() - 1 ? "there are more regressors than samples in the adjusted R2 score: the plain score is given"
                                            : "the adjusted R2 score would divide by zero: the plain score is given",
                   .where = "metric \"" + name() + "\" (R2Score)"}
             .str());
  Tensor adjusted = 1.0 - (1.0 - r2) * (n - 1.0) / (n - k - 1.0);
  return ops::where(ops::less_equal(n - 1.0, k), r2, adjusted);
}

Dict R2Score::get_config() const {
  Dict config = Metric::get_config();
  config.set("class_aggregation", options_.class_aggregation);
  config.set("num_regressors", options_.num_regressors);
  return config;
}

// ---- F scores
FBetaScore::FBetaScore(const FBetaScoreOptions& options, const char* class_name) : Metric(options.name, options.dtype, class_name), options_(options) {
  static const std::vector<std::string> known = {"micro", "macro", "weighted"};
  std::string average = nullable(options.average);
  if (!options.average.is_null() && std::find(known.begin(), known.end(), average) == known.end())
    throw ValueError(ErrorText{.what = "unknown average \"" + average + "\"" + did_you_mean(average, known),
                               .where = class_name,
                               .expected = "\"micro\", \"macro\", \"weighted\" or nullptr"}
                         .str());
  if (!(options.beta > 0)) throw ValueError(ErrorText{.what = "beta must be > 0", .where = class_name, .received = float_repr(options.beta)}.str());
  if (options.threshold && !(*options.threshold > 0 && *options.threshold <= 1))
    throw ValueError(ErrorText{.what = "threshold must verify 0 < threshold <= 1", .where = class_name, .received = float_repr(*options.threshold)}.str());
}

void FBetaScore::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  Tensor t = ops::cast(y_true, dtype()), p = ops::cast(y_pred, dtype());
  need_matrices(t, p, class_name().c_str());
  bool micro = std::string(nullable(options_.average)) == "micro";
  if (variable_count() == 0)
    for (const char* name : {"true_positives", "false_positives", "false_negatives", "intermediate_weights"})
      add_variable(micro ? Shape{} : Shape{p.shape().back()}, 0, name, dtype());
  if (options_.threshold) {
    p = ops::greater(p, *options_.threshold);
  } else {
    p = ops::logical_and(ops::greater_equal(p, ops::max(p, -1, true)), ops::greater(ops::abs(p), 1e-9));
  }
  p = ops::cast(p, dtype());
  Tensor w = sample_weight ? ops::expand_dims(ops::cast(sample_weight, dtype()), 1) : Tensor();
  auto sum = [&](const Tensor& x) { return ops::sum(w ? x * w : x, micro ? Axes() : Axes(0)); };
  add_to(variable(0), sum(p * t));
  add_to(variable(1), sum(p * (1 - t)));
  add_to(variable(2), sum((1 - p) * t));
  add_to(variable(3), sum(t));
}

Tensor FBetaScore::result() {
  if (variable_count() == 0)
    throw RuntimeError(ErrorText{.what = "there is no result yet", .where = "metric \"" + name() + "\" (" + class_name() + ")", .fix = "give a batch first"}.str());
  Tensor tp = variable(0);
  Tensor precision = tp / (tp + variable(1).value() + config::epsilon()), recall = tp / (tp + variable(2).value() + config::epsilon());
  double beta2 = options_.beta * options_.beta;
  Tensor score = precision * recall / (beta2 * precision + recall + config::epsilon()) * (1 + beta2);
  std::string average = nullable(options_.average);
  if (average.empty()) return score;
  if (average != "weighted") return ops::mean(score);
  Tensor w = variable(3);
  return ops::sum(score * (w / (ops::sum(w) + config::epsilon())));
}

Dict FBetaScore::get_config() const {
  Dict config = Metric::get_config();
  for (const char* key : {"average", "beta", "threshold"}) config.set(key, losses::option_value(options_, key));
  return config;
}

Dict F1Score::get_config() const {
  Dict config = FBetaScore::get_config();
  config.erase("beta");
  return config;
}

// ---- intersection over union
static Value int_by_default(const Value& dtype) { return dtype.is_null() ? Value("int32") : dtype; }

std::vector<int64_t> IoU::all_classes(int64_t num_classes) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < num_classes; ++i) ids.push_back(i);
  return ids;
}

IoU::IoU(int64_t num_classes, std::vector<int64_t> target_class_ids, const IoUOptions& options, const char* class_name)
    : Metric(options.name, int_by_default(options.dtype), class_name),
      num_classes_(num_classes),
      target_class_ids_(std::move(target_class_ids)),
      options_(options) {
  if (num_classes <= 0)
    throw ValueError(ErrorText{.what = "num_classes must be > 0", .where = class_name, .received = std::to_string(num_classes)}.str());
  if (target_class_ids_.empty()) throw ValueError(ErrorText{.what = "target_class_ids is empty", .where = class_name}.str());
  for (int64_t id : target_class_ids_)
    if (id >= num_classes || id < 0)
      throw ValueError(ErrorText{.what = "target class id " + std::to_string(id) + " is out of range, which is [0, " + std::to_string(num_classes) + ")", .where = class_name}.str());
  total_ = add_variable(Shape{num_classes, num_classes}, 0, "total_confusion_matrix", dtype());
}

void IoU::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  auto flat = [&](const Tensor& x, bool sparse) {
    Tensor labels = ops::cast(sparse ? x : ops::argmax(x, options_.axis), dtype());
    return labels.rank() > 1 ? ops::reshape(labels, {-1}) : labels;
  };
  Tensor t = flat(y_true, options_.sparse_y_true), p = flat(y_pred, options_.sparse_y_pred);
  if (!compatible(t.shape(), p.shape()))
    throw ValueError(ErrorText{.what = "labels and predictions have different sizes",
                               .where = class_name(),
                               .received = "y_true " + y_true.shape().str() + ", y_pred " + y_pred.shape().str()}
                         .str());
  if (sample_weight && is_floating(sample_weight.dtype()) && is_integer(dtype()))
    warn_once("IoU float weights", ErrorText{.what = "float weights are cut to whole numbers, because the metric counts in " + std::string(dtype_name(dtype())),
                                             .where = class_name(),
                                             .fix = "give whole weights, or the metric .dtype = \"float32\""}
                                       .str());
  Tensor w = ops::cast(sample_weight ? sample_weight : Tensor(1), dtype());
  if (w.rank() > 1) w = ops::reshape(w, {-1});
  w = ops::broadcast_to(w, t.shape());
  auto n = static_cast<int>(num_classes_);
  auto inside = [&](const Tensor& x) { return ops::logical_and(ops::greater_equal(x, 0), ops::less(x, n)); };
  Tensor counted = ops::logical_and(inside(t), inside(p));
  if (options_.ignore_class) counted = ops::logical_and(counted, ops::not_equal(t, ops::cast(Tensor(*options_.ignore_class), t.dtype())));
  Tensor zero = ops::zeros_like(t);
  t = ops::where(counted, t, zero), p = ops::where(counted, p, zero), w = ops::where(counted, w, zero);
  Tensor place = ops::cast(t, DType::Int32) * n + ops::cast(p, DType::Int32);
  Tensor counts = ops::reshape(ops::segment_sum(w, place, num_classes_ * num_classes_), {num_classes_, num_classes_});
  add_to(total_, ops::cast(counts, total_.dtype()));
}

Tensor IoU::result() {
  Tensor total = total_, tp = ops::diagonal(total);
  Tensor united = ops::sum(total, 0) + ops::sum(total, 1) - tp;
  Tensor ids = Tensor(target_class_ids_).astype(DType::Int32);
  Tensor hits = ops::cast(ops::take(tp, ids, 0), DType::Float32), all = ops::cast(ops::take(united, ids, 0), DType::Float32);
  Tensor seen = ops::greater(all, 1e-9);
  Tensor iou = ops::where(seen, hits / (all + config::epsilon()), ops::zeros_like(all));
  return ops::sum(iou) / (ops::sum(ops::cast(seen, DType::Float32)) + config::epsilon());
}

Dict IoU::config(const std::vector<const char*>& keys) const {
  Dict all = Metric::get_config(), out;
  all.set("num_classes", num_classes_);
  all.set("target_class_ids", target_class_ids_);
  for (const char* key : {"ignore_class", "sparse_y_true", "sparse_y_pred", "axis"}) all.set(key, losses::option_value(options_, key));
  for (const char* key : keys) out.set(key, all.at(key));
  return out;
}

Dict IoU::get_config() const { return config({"name", "dtype", "num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"}); }

BinaryIoU::BinaryIoU(const BinaryIoUOptions& options)
    : IoU(2, options.target_class_ids, {.name = options.name, .dtype = options.dtype}, "BinaryIoU"), threshold_(options.threshold) {}

void BinaryIoU::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  IoU::update_state(y_true, ops::greater_equal(ops::cast(y_pred, DType::Float32), threshold_), sample_weight);
}

Dict BinaryIoU::get_config() const {
  Dict out = config({"target_class_ids"});
  out.set("threshold", threshold_);
  for (const auto& [key, value] : config({"name", "dtype"})) out.set(key, value);
  return out;
}

Dict MeanIoU::get_config() const { return config({"num_classes", "name", "dtype", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"}); }
Dict OneHotIoU::get_config() const { return config({"num_classes", "target_class_ids", "name", "dtype", "ignore_class", "sparse_y_pred", "axis"}); }
Dict OneHotMeanIoU::get_config() const { return config({"num_classes", "name", "dtype", "ignore_class", "sparse_y_pred", "axis"}); }

}  // namespace keras::metrics
