// What lives here: metrics made of counts of true and false positives and negatives above thresholds.
#include <algorithm>
#include <cmath>

#include <keras/metrics.h>
#include <keras/ops.h>

#include "losses/loss.h"
#include "metrics/metric.h"

namespace keras::metrics {

namespace {

constexpr double kNegInf = -1e10;

void check_thresholds(const std::vector<double>& thresholds, const char* where) {
  for (double t : thresholds)
    if (!(t >= 0 && t <= 1))
      throw ValueError(ErrorText{.what = "a threshold is outside [0, 1]", .where = where, .received = float_repr(t)}.str());
}
std::vector<double> thresholds_or(const FloatList& given, double fallback, const char* where) {
  if (given.is_none()) return {fallback};
  check_thresholds(given.values(), where);
  if (given.values().empty()) throw ValueError(ErrorText{.what = "the list of thresholds is empty", .where = where}.str());
  return given.values();
}
/// 0 … 1 in equal steps.
std::vector<double> spaced(int64_t n) {
  if (n == 1) return {0.5};
  std::vector<double> t = {0.0};
  for (int64_t i = 0; i < n - 2; ++i) t.push_back(static_cast<double>(i + 1) / static_cast<double>(n - 1));
  t.push_back(1.0);
  return t;
}
Tensor tensor_of(const std::vector<double>& values, DType dtype) {
  return Tensor::from(values, Shape{static_cast<int64_t>(values.size())}).astype(dtype);
}
/// Column `i` of the last axis, the axis kept.
Tensor column(const Tensor& x, int64_t i) { return ops::expand_dims(ops::take(x, Tensor(i), -1), -1); }

/// Scores outside the k highest of a row become very small.
Tensor keep_top_k(const Tensor& x, int64_t k) {
  Tensor chosen = ops::top_k(x, k).second;
  Tensor mask = ops::sum(ops::one_hot(chosen, x.shape().back(), -1, x.dtype()), -2);
  return x * mask + kNegInf * (1 - mask);
}

void add_if(const Variable& v, const Tensor& more) {
  if (v) v.assign(v.value() + more);
}

/// Counts per bucket between evenly spaced thresholds, then sums from the highest bucket down: one pass over the predictions instead of
/// one per threshold.
void update_by_buckets(const ConfusionVariables& v, const Tensor& y_true, const Tensor& y_pred, const Tensor& weights, bool multi_label,
                       const std::vector<double>& thresholds) {
  auto n = static_cast<int64_t>(thresholds.size());
  DType dtype = y_true.dtype();
  Tensor p = ops::clip(y_pred, 0.0, 1.0), t = ops::cast(ops::cast(y_true, DType::Bool), dtype);
  Tensor w = weights;
  int64_t labels = 1;
  if (multi_label) {
    labels = p.shape()[1];
    t = ops::transpose(t), p = ops::transpose(p);
    if (w) w = ops::transpose(w);
  }
  t = ops::reshape(t, {-1}), p = ops::reshape(p, {-1});
  Tensor positive = t, negative = 1.0 - t;
  if (w) {
    w = ops::reshape(w, {-1});
    positive = positive * w, negative = negative * w;
  }
  // Bucket -1 lies below the first threshold; it is counted in a bucket of its own, then dropped.
  Tensor bucket = ops::ceil(p * static_cast<double>(n - 1)) - 1;
  if (thresholds.front() < 0 || thresholds.back() > 1) bucket = ops::relu(bucket);
  Tensor place = ops::clip(ops::cast(bucket, DType::Int32) + 1, 0, static_cast<int>(n));
  if (multi_label) {
    Tensor offset = Tensor::empty(DType::Int32, Shape{labels, 1});
    for (int64_t i = 0; i < labels; ++i) offset.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * (n + 1));
    place = ops::reshape(ops::reshape(place, {labels, -1}) + offset, {-1});
  }
  auto above = [&](const Tensor& data) {
    Tensor counts = ops::reshape(ops::segment_sum(data, place, labels * (n + 1)), {labels, n + 1});
    counts = ops::flip(ops::cumsum(ops::flip(prims::slice_axis(counts, 1, 1, n + 1), 1), 1), 1);
    return multi_label ? ops::transpose(counts) : ops::reshape(counts, {n});
  };
  auto total = [&](const Tensor& data) { return multi_label ? ops::sum(ops::reshape(data, {labels, -1}), 1) : ops::sum(data); };
  Tensor tp, fp;
  if (v.true_positives || v.false_negatives) tp = above(positive);
  if (v.false_positives || v.true_negatives) fp = above(negative);
  add_if(v.true_positives, tp);
  add_if(v.false_positives, fp);
  if (v.true_negatives) add_if(v.true_negatives, total(negative) - fp);
  if (v.false_negatives) add_if(v.false_negatives, total(positive) - tp);
}

void update_by_comparing(const ConfusionVariables& v, const Tensor& y_true, const Tensor& y_pred, const Tensor& weights, bool multi_label,
                         const std::vector<double>& thresholds) {
  auto n = static_cast<int64_t>(thresholds.size());
  DType dtype = y_pred.dtype();
  Tensor levels = tensor_of(thresholds, dtype);
  auto spread = [&](const Tensor& x) { return multi_label ? ops::expand_dims(x, 0) : ops::reshape(x, {1, -1}); };
  Tensor is_true = spread(ops::cast(y_true, DType::Bool));
  Tensor above = ops::greater(spread(y_pred), ops::reshape(levels, multi_label ? Shape{n, 1, 1} : Shape{n, 1}));
  Tensor w = weights ? spread(weights) : Tensor();
  auto count = [&](const Variable& variable, const Tensor& label, const Tensor& predicted) {
    if (!variable) return;
    Tensor both = ops::logical_and(label, predicted);
    add_if(variable, ops::sum(w ? ops::where(both, w, ops::zeros_like(w)) : ops::cast(both, variable.dtype()), 1));
  };
  Tensor is_false = ops::logical_not(is_true), below = ops::logical_not(above);
  count(v.true_positives, is_true, above);
  count(v.false_negatives, is_true, below);
  count(v.false_positives, is_false, above);
  count(v.true_negatives, is_false, below);
}

}  // namespace

bool evenly_distributed(const std::vector<double>& thresholds) {
  size_t n = thresholds.size();
  if (n < 3) return false;
  for (size_t i = 0; i < n; ++i) {
    double even = static_cast<float>(i) / static_cast<float>(n - 1);
    if (std::abs(thresholds[i] - even) > config::epsilon() + 1e-5 * std::abs(even)) return false;
  }
  return true;
}

void update_confusion(const ConfusionVariables& v, const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight, const ConfusionUpdate& how) {
  const Variable& some = v.true_positives ? v.true_positives : v.false_positives ? v.false_positives : v.true_negatives ? v.true_negatives : v.false_negatives;
  DType dtype = some.dtype();
  auto [p, t] = losses::squeeze_or_expand_to_same_rank(ops::cast(y_pred, dtype), ops::cast(y_true, dtype));
  if (!compatible(p.shape(), t.shape()))
    throw ValueError(ErrorText{.what = "labels and predictions have different shapes",
                               .where = "a metric of true and false positives",
                               .expected = "y_true of shape " + p.shape().str(),
                               .received = t.shape().str(),
                               .fix = t.rank() < p.rank() ? "turn numbers of classes into one-hot rows: ops::one_hot" : ""}
                         .str());
  Tensor w;
  if (sample_weight) {
    w = ops::expand_dims(ops::cast(sample_weight, dtype), -1);
    w = losses::squeeze_or_expand_to_same_rank(t, w, false).second;
  }
  if (how.top_k) p = keep_top_k(p, *how.top_k);
  if (how.class_id) {
    if (p.rank() == 1)
      throw ValueError(ErrorText{.what = "class_id needs one prediction per class", .expected = "y_pred of shape (samples, classes)", .received = p.shape().str()}.str());
    int64_t classes = p.shape().back();
    if (*how.class_id >= classes || *how.class_id < -classes)
      throw ValueError(ErrorText{.what = "class_id " + std::to_string(*how.class_id) + " is outside the " + std::to_string(classes) + " classes"}.str());
    t = column(t, *how.class_id), p = column(p, *how.class_id);
  }
  if (w) w = ops::broadcast_to(w, p.shape());
  if (how.label_weights && !how.multi_label) {
    Tensor by_label = ops::broadcast_to(ops::expand_dims(how.label_weights, 0), p.shape());
    w = w ? w * by_label : by_label;
  }
  (how.evenly ? update_by_buckets : update_by_comparing)(v, t, p, w, how.multi_label, how.thresholds);
}

// ---- the four counts
ConfusionCount::ConfusionCount(Count which, const ConfusionOptions& options, const char* class_name)
    : Metric(options.name, options.dtype, class_name),
      which_(which),
      given_(options.thresholds),
      thresholds_(thresholds_or(given_, 0.5, class_name)),
      accumulator_(add_variable(Shape{static_cast<int64_t>(thresholds_.size())}, 0, "accumulator")) {}

void ConfusionCount::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  ConfusionVariables v;
  (which_ == Count::TruePositives    ? v.true_positives
   : which_ == Count::FalsePositives ? v.false_positives
   : which_ == Count::TrueNegatives  ? v.true_negatives
                                     : v.false_negatives) = accumulator_;
  update_confusion(v, y_true, y_pred, sample_weight, {.thresholds = thresholds_, .evenly = evenly_distributed(thresholds_)});
}

Tensor ConfusionCount::result() { return thresholds_.size() == 1 ? first(accumulator_) : accumulator_.value(); }

Dict ConfusionCount::get_config() const {
  Dict config = Metric::get_config();
  config.set("thresholds", given_.serialize());
  return config;
}

// ---- precision and recall
PrecisionRecall::PrecisionRecall(bool precision, const PrecisionOptions& options, const char* class_name)
    : Metric(options.name, options.dtype, class_name),
      precision_(precision),
      options_(options),
      thresholds_(thresholds_or(options.thresholds, options.top_k ? kNegInf : 0.5, class_name)) {
  if (options.top_k && *options.top_k <= 0)
    throw ValueError(ErrorText{.what = "top_k must be positive", .where = class_name, .received = std::to_string(*options.top_k)}.str());
  Shape shape{static_cast<int64_t>(thresholds_.size())};
  true_positives_ = add_variable(shape, 0, "true_positives");
  errors_ = add_variable(shape, 0, precision ? "false_positives" : "false_negatives");
}

void PrecisionRecall::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  ConfusionVariables v{.true_positives = true_positives_};
  (precision_ ? v.false_positives : v.false_negatives) = errors_;
  update_confusion(v, y_true, y_pred, sample_weight,
                   {.thresholds = thresholds_, .evenly = evenly_distributed(thresholds_), .top_k = options_.top_k, .class_id = options_.class_id});
}

Tensor PrecisionRecall::result() {
  Tensor tp = true_positives_, r = ops::divide_no_nan(tp, tp + errors_.value());
  return thresholds_.size() == 1 ? first(r) : r;
}

Dict PrecisionRecall::get_config() const {
  Dict config = Metric::get_config();
  for (const char* key : {"thresholds", "top_k", "class_id"}) config.set(key, losses::option_value(options_, key));
  return config;
}

// ---- one rate where another is at least a value
ThresholdSearch::ThresholdSearch(Rate best, Rate constrained, const char* argument, double value, const ThresholdSearchOptions& options, const char* class_name)
    : Metric(options.name, options.dtype, class_name), best_(best), constrained_(constrained), argument_(argument), value_(value), options_(options) {
  if (!(value >= 0 && value <= 1))
    throw ValueError(ErrorText{.what = std::string(argument) + " must be in the range [0, 1]", .where = class_name, .received = float_repr(value)}.str());
  if (options.num_thresholds <= 0)
    throw ValueError(ErrorText{.what = "num_thresholds must be an integer > 0", .where = class_name, .received = std::to_string(options.num_thresholds)}.str());
  thresholds_ = spaced(options.num_thresholds);
  for (const char* variable : {"true_positives", "false_positives", "true_negatives", "false_negatives"})
    add_variable(Shape{static_cast<int64_t>(thresholds_.size())}, 0, variable);
}

void ThresholdSearch::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  update_confusion({variable(0), variable(1), variable(2), variable(3)}, y_true, y_pred, sample_weight,
                   {.thresholds = thresholds_, .evenly = thresholds_.size() > 1, .class_id = options_.class_id});
}

Tensor ThresholdSearch::rate(Rate which) const {
  Tensor right = variable(which == Rate::Specificity ? 2 : 0), wrong = variable(which == Rate::Sensitivity ? 3 : 1);
  return ops::divide_no_nan(right, right + wrong);
}

Tensor ThresholdSearch::result() {
  Tensor best = rate(best_);
  // Rates are never negative: 0 stands for "nowhere".
  return ops::max(ops::where(ops::greater_equal(rate(constrained_), value_), best, ops::zeros_like(best)));
}

Dict ThresholdSearch::get_config() const {
  Dict config = Metric::get_config();
  config.set("class_id", Value(options_.class_id));
  config.set("num_thresholds", options_.num_thresholds);
  config.set(argument_, value_);
  return config;
}

// ---- area under a curve
static std::string one_of(const std::string& got, const std::vector<std::string>& known, const char* option) {
  auto lower = [](std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
  };
  for (const std::string& k : known)
    if (lower(k) == lower(got)) return k;
  std::string list;
  for (const std::string& k : known) list += (list.empty() ? "\"" : ", \"") + k + "\"";
  throw ValueError(ErrorText{.what = std::string("unknown ") + option + " \"" + got + "\"" + did_you_mean(got, known), .where = "AUC", .expected = "one of " + list}.str());
}

AUC::AUC(const AUCOptions& options) : Metric(options.name, options.dtype, "AUC"), options_(options) {
  options_.curve = one_of(options.curve, {"ROC", "PR", "PRGAIN"}, "curve");
  options_.summation_method = one_of(options.summation_method, {"interpolation", "majoring", "minoring"}, "summation_method");
  if (!options.thresholds.is_none()) {
    thresholds_ = options.thresholds.values();
    check_thresholds(thresholds_, "AUC");
    std::sort(thresholds_.begin(), thresholds_.end());
    options_.thresholds = FloatList(thresholds_);
    options_.num_thresholds = static_cast<int64_t>(thresholds_.size()) + 2;
    thresholds_.insert(thresholds_.begin(), 0.0);
    thresholds_.push_back(1.0);
  } else {
    if (options.num_thresholds <= 1)
      throw ValueError(ErrorText{.what = "num_thresholds must be an integer > 1", .where = "AUC", .received = std::to_string(options.num_thresholds)}.str());
    thresholds_ = spaced(options.num_thresholds);
  }
  // The outermost ones lie outside, so that a prediction of exactly 0 or 1 is counted.
  thresholds_.front() = 0.0 - config::epsilon(), thresholds_.back() = 1.0 + config::epsilon();
  if (options.num_labels && !options.multi_label)
    throw ValueError(ErrorText{.what = "num_labels is needed only when multi_label is true", .where = "AUC"}.str());
  if (!options.multi_label || options.num_labels) make_variables(options.num_labels.value_or(0));
}

void AUC::make_variables(int64_t labels) {
  Shape shape{options_.num_thresholds};
  if (options_.multi_label) shape.push_back(labels);
  for (const char* name : {"true_positives", "false_positives", "true_negatives", "false_negatives"}) add_variable(shape, 0, name);
}

void AUC::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  if (options_.multi_label && y_pred.rank() != 2)
    throw ValueError(ErrorText{.what = "y_pred must have rank 2 when multi_label is true", .where = "AUC", .received = y_pred.shape().str()}.str());
  if (variable_count() == 0) make_variables(y_pred.shape()[1]);
  if (options_.multi_label && y_pred.shape()[1] != variable(0).shape()[1])
    throw ValueError(ErrorText{.what = "y_pred has another number of labels than the metric",
                               .where = "AUC",
                               .expected = std::to_string(variable(0).shape()[1]),
                               .received = y_pred.shape().str()}
                         .str());
  Tensor label_weights;
  if (!options_.multi_label && !options_.label_weights.is_none()) label_weights = tensor_of(options_.label_weights.values(), variable(0).dtype());
  std::vector<double> plain = thresholds_;
  plain.front() = 0, plain.back() = 1;
  bool evenly = options_.thresholds.is_none() || evenly_distributed(plain);
  update_confusion({variable(0), variable(1), variable(2), variable(3)}, y_true, options_.from_logits ? ops::sigmoid(y_pred) : y_pred, sample_weight,
                   {.thresholds = thresholds_, .evenly = evenly, .multi_label = options_.multi_label, .label_weights = label_weights});
}

// "The Relationship Between Precision-Recall and ROC Curves", Davis and Goadrich, 2006: between two thresholds, true positives grow
// linearly with all positives.
Tensor AUC::interpolated_pr() const {
  Tensor tp = variable(0), fn = variable(3), p = tp + variable(1).value();
  Tensor dtp = but_last(tp) - but_first(tp), dp = but_last(p) - but_first(p);
  Tensor slope = ops::divide_no_nan(dtp, ops::maximum(dp, 0));
  Tensor intercept = but_first(tp) - slope * but_first(p);
  Tensor both = ops::logical_and(but_last(p) > 0, but_first(p) > 0);
  Tensor ratio = ops::where(both, ops::divide_no_nan(but_last(p), ops::maximum(but_first(p), 0)), ops::ones_like(but_first(p)));
  return ops::divide_no_nan(slope * (dtp + intercept * ops::log(ratio)), ops::maximum(but_first(tp) + but_first(fn), 0));
}

Tensor AUC::result() {
  if (variable_count() == 0)
    throw RuntimeError(ErrorText{.what = "there is no result yet",
                                 .where = "metric \"" + name() + "\" (AUC)",
                                 .fix = "give a batch first, or num_labels, which makes the variables at once"}
                           .str());
  Tensor terms;
  if (options_.curve == "PR" && options_.summation_method == "interpolation") {
    terms = interpolated_pr();
  } else {
    Tensor tp = variable(0), fp = variable(1), tn = variable(2), fn = variable(3);
    Tensor recall = ops::divide_no_nan(tp, tp + fn), x, y;
    if (options_.curve == "ROC") {
      x = ops::divide_no_nan(fp, fp + tn), y = recall;
    } else if (options_.curve == "PR") {
      x = recall, y = ops::divide_no_nan(tp, tp + fp);
    } else {
      Tensor scale = ops::divide_no_nan(tp + fn, tn + fp), none = ops::equal(tp, 0.0);
      Tensor recall_gain = 1.0 - scale * ops::divide_no_nan(fn, tp), precision_gain = 1.0 - scale * ops::divide_no_nan(fp, tp);
      x = ops::maximum(ops::where(none, ops::zeros_like(tp), recall_gain), 0.0);
      y = ops::where(none, ops::ones_like(tp), precision_gain);
    }
    Tensor heights;
    if (options_.summation_method == "interpolation") {
      heights = (but_last(y) + but_first(y)) / 2.0;
    } else {
      heights = options_.summation_method == "minoring" ? ops::minimum(but_last(y), but_first(y)) : ops::maximum(but_last(y), but_first(y));
    }
    terms = (but_last(x) - but_first(x)) * heights;
  }
  if (!options_.multi_label) return ops::sum(terms);
  Tensor by_label = ops::sum(terms, 0);
  if (options_.label_weights.is_none()) return ops::mean(by_label);
  Tensor weights = tensor_of(options_.label_weights.values(), by_label.dtype());
  return ops::divide_no_nan(ops::sum(by_label * weights), ops::sum(weights));
}

Dict AUC::get_config() const {
  Dict config = Metric::get_config();
  for (const char* key : {"num_thresholds", "curve", "summation_method", "multi_label", "num_labels", "label_weights", "from_logits"})
    config.set(key, losses::option_value(options_, key));
  if (!options_.thresholds.is_none()) config.set("thresholds", options_.thresholds.serialize());
  return config;
}

}  // namespace keras::metrics
