// What lives here: the metrics of keras.metrics and MetricSpec, the handle that stands for "a metric" in `compile`. How a model names
// and groups the metrics of several outputs is not here.
#pragma once
#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>
#include <keras/core/variable.h>
#include <keras/losses.h>
#include <keras/serial/fields.h>
#include <keras/serial/register.h>
#include <keras/serial/spec.h>

namespace keras::metrics {

using MetricFn = losses::LossFn;

/// What a variable of a metric starts with: a number, "zeros" or "ones", or a concrete tensor.
class Initial {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  Initial(T number) : number_(static_cast<double>(number)) {}
  Initial(const char* name);
  Initial(Tensor value) : value_(std::move(value)) {}
  Tensor make(const Shape& shape, DType dtype) const;

 private:
  double number_ = 0;
  Tensor value_;
};

/// A number, several, or none: thresholds and weights of labels.
class FloatList {
 public:
  FloatList() = default;
  FloatList(std::nullptr_t) {}
  FloatList(std::nullopt_t) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  FloatList(T number) : kind_(Kind::Number), values_{static_cast<double>(number)} {}
  FloatList(std::initializer_list<double> values) : kind_(Kind::List), values_(values) {}
  FloatList(std::vector<double> values) : kind_(Kind::List), values_(std::move(values)) {}
  explicit FloatList(const Value& v);
  bool is_none() const { return kind_ == Kind::None; }
  const std::vector<double>& values() const { return values_; }
  Value serialize() const;

 private:
  enum class Kind : char { None, Number, List };
  Kind kind_ = Kind::None;
  std::vector<double> values_;
};

/// The base of every metric, and the class to derive one's own from: make variables in the constructor, override `update_state` and
/// `result`. Both run inside the compiled training step, so they are made of ops and assignments. Copies share the state.
///
///     struct MaxError : keras::metrics::Metric {
///       keras::Variable worst = add_variable({}, 0.0, "worst");
///       void update_state(const keras::Tensor& y_true, const keras::Tensor& y_pred, const keras::Tensor&) override {
///         worst.assign(keras::ops::maximum(worst, keras::ops::max(keras::ops::abs(y_true - y_pred))));
///       }
///       keras::Tensor result() override { return worst; }
///     };
class Metric {
 public:
  /// An empty name becomes the class name in snake case, made unique. `dtype`: of the computation, as a name or a DType; absent: the
  /// default float.
  explicit Metric(const std::string& name = "", const Value& dtype = {}) : Metric(name, dtype, "") {}
  virtual ~Metric() = default;

  /// Takes one batch in. `sample_weight` may be absent.
  virtual void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) = 0;
  /// The metric over all batches since the last reset: a scalar, for a few metrics one number per class or threshold.
  virtual Tensor result() = 0;
  /// Back to before the first batch: all variables zero.
  virtual void reset_state();
  /// Takes one batch in and gives the result so far.
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred = {}, const Tensor& sample_weight = {});

  /// The same three without changing the metric: on given values of its variables.
  Tensors stateless_update_state(const Tensors& metric_variables, const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {});
  Tensor stateless_result(const Tensors& metric_variables);
  Tensors stateless_reset_state();

  const std::string& name() const;
  /// The name in logs. The paths of variables stay.
  void set_name(const std::string& name);
  DType dtype() const;
  /// In the order in which they were made, those of inner metrics last. Some metrics make theirs at the first batch.
  std::vector<Variable> variables() const;

  virtual Dict get_config() const;
  /// The name of the class, as saved; by default the C++ name.
  virtual std::string class_name() const;
  /// {"module", "class_name", "config", "registered_name"} as saved.
  virtual Value serialize() const;
  /// A metric from a name ("mae", "AUC", "true_positives", a registered one) or a saved configuration. Null gives null. ValueError with
  /// the nearest name otherwise.
  static std::shared_ptr<Metric> get(const Value& identifier);

  /// A variable of this metric, not trainable. Without a dtype it has the default float.
  Variable add_variable(const Shape& shape, const Initial& initializer = 0.0, const std::string& name = "variable", const Value& dtype = {});
  Variable add_weight(const Shape& shape = {}, const Initial& initializer = 0.0, const std::string& name = "variable", const Value& dtype = {}) {
    return add_variable(shape, initializer, name, dtype);
  }

 protected:
  Metric(const Metric&) = default;
  Metric& operator=(const Metric&) = default;
  /// Makes the variables of an inner metric part of this one's.
  void track(std::shared_ptr<Metric> metric);
  /// Variable number `i` of this metric's own; for metrics that make variables late, whose copies must find them too.
  Variable variable(size_t i) const;
  size_t variable_count() const;
  /// For classes that say their name before the object is there: an empty name is made unique at once.
  Metric(const std::string& name, const Value& dtype, const char* class_name);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// ---- reductions
struct ReductionOptions {
  std::string name{};
  Value dtype{};
  KERAS_FIELDS(name, dtype)
};

/// Sum of values: `update_state(values, sample_weight)`.
class Sum : public Metric {
 public:
  explicit Sum(const ReductionOptions& options = {.name = "sum"});
  KERAS_EMPTY_BRACES(Sum)
  void update_state(const Tensor& values, const Tensor& sample_weight = {}, const Tensor& unused = {}) override;
  Tensor result() override;

 private:
  Variable total_;
};

/// Weighted mean of values: `update_state(values, sample_weight)`. Base of the metrics that are means over samples.
class Mean : public Metric {
 public:
  explicit Mean(const ReductionOptions& options = {.name = "mean"}) : Mean(options, "Mean") {}
  KERAS_EMPTY_BRACES(Mean)
  void update_state(const Tensor& values, const Tensor& sample_weight = {}, const Tensor& unused = {}) override;
  Tensor result() override;

 protected:
  Mean(const ReductionOptions& options, const char* class_name);

 private:
  Variable total_, count_;
};

/// The mean of a function of y_true and y_pred.
class MeanMetricWrapper : public Mean {
 public:
  explicit MeanMetricWrapper(MetricFn fn, const ReductionOptions& options = {});
  /// A function of a known name with keyword arguments.
  explicit MeanMetricWrapper(const std::string& function, const Dict& kwargs = {}, const ReductionOptions& options = {});
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Dict get_config() const override;
  Value serialize() const override;
  const std::string& function_name() const { return function_; }
  const MetricFn& function() const { return fn_; }
  /// How `get` and MetricSpec wrap: saved as the function alone.
  MeanMetricWrapper& as_plain_function() {
    plain_ = true;
    return *this;
  }

 private:
  MetricFn fn_;
  std::string function_;
  Dict kwargs_;
  bool plain_ = false;
};

/// Square root of the mean squared error.
class RootMeanSquaredError : public Mean {
 public:
  explicit RootMeanSquaredError(const ReductionOptions& options = {.name = "root_mean_squared_error"});
  KERAS_EMPTY_BRACES(RootMeanSquaredError)
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
};

/// How the means of Keras' functions are made from their options; `Options` is one of the structs below.
template <class Options> class BuiltinMean : public Mean {
 public:
  using OptionsType = Options;
  BuiltinMean() : BuiltinMean(Options{}) {}
  explicit BuiltinMean(Options options);
  KERAS_EMPTY_BRACES(BuiltinMean)
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Dict get_config() const override;
  std::string class_name() const override;
  Value serialize() const override;
  const Options& options() const { return options_; }

 private:
  Options options_;
};

// The fields of every class' options.
#define KERAS_METRIC_OPTIONS(default_name) \
  std::string name = default_name;         \
  ::keras::Value dtype{};

// ---- regression
struct MeanSquaredErrorOptions {
  KERAS_METRIC_OPTIONS("mean_squared_error")
  KERAS_FIELDS(name, dtype)
};
struct MeanAbsoluteErrorOptions {
  KERAS_METRIC_OPTIONS("mean_absolute_error")
  KERAS_FIELDS(name, dtype)
};
struct MeanAbsolutePercentageErrorOptions {
  KERAS_METRIC_OPTIONS("mean_absolute_percentage_error")
  KERAS_FIELDS(name, dtype)
};
struct MeanSquaredLogarithmicErrorOptions {
  KERAS_METRIC_OPTIONS("mean_squared_logarithmic_error")
  KERAS_FIELDS(name, dtype)
};
struct CosineSimilarityOptions {
  KERAS_METRIC_OPTIONS("cosine_similarity")
  /// The axis of the vectors that are compared.
  int axis = -1;
  KERAS_FIELDS(name, dtype, axis)
};
struct LogCoshErrorOptions {
  KERAS_METRIC_OPTIONS("logcosh")
  KERAS_FIELDS(name, dtype)
};

// ---- correlations
struct PearsonCorrelationOptions {
  KERAS_METRIC_OPTIONS("pearson_correlation")
  int axis = -1;
  KERAS_FIELDS(name, dtype, axis)
};
struct ConcordanceCorrelationOptions {
  KERAS_METRIC_OPTIONS("concordance_correlation")
  int axis = -1;
  KERAS_FIELDS(name, dtype, axis)
};

// ---- hinges
struct HingeOptions {
  KERAS_METRIC_OPTIONS("hinge")
  KERAS_FIELDS(name, dtype)
};
struct SquaredHingeOptions {
  KERAS_METRIC_OPTIONS("squared_hinge")
  KERAS_FIELDS(name, dtype)
};
struct CategoricalHingeOptions {
  KERAS_METRIC_OPTIONS("categorical_hinge")
  KERAS_FIELDS(name, dtype)
};

// ---- probabilities
struct KLDivergenceOptions {
  KERAS_METRIC_OPTIONS("kl_divergence")
  KERAS_FIELDS(name, dtype)
};
struct PoissonOptions {
  KERAS_METRIC_OPTIONS("poisson")
  KERAS_FIELDS(name, dtype)
};
struct BinaryCrossentropyOptions {
  KERAS_METRIC_OPTIONS("binary_crossentropy")
  bool from_logits = false;
  double label_smoothing = 0;
  KERAS_FIELDS(name, dtype, from_logits, label_smoothing)
};
struct CategoricalCrossentropyOptions {
  KERAS_METRIC_OPTIONS("categorical_crossentropy")
  bool from_logits = false;
  double label_smoothing = 0;
  int axis = -1;
  KERAS_FIELDS(name, dtype, from_logits, label_smoothing, axis)
};
struct SparseCategoricalCrossentropyOptions {
  KERAS_METRIC_OPTIONS("sparse_categorical_crossentropy")
  bool from_logits = false;
  /// A label that counts as no label.
  std::optional<int64_t> ignore_class{};
  int axis = -1;
  KERAS_FIELDS(name, dtype, from_logits, ignore_class, axis)
};

// ---- accuracies
struct AccuracyOptions {
  KERAS_METRIC_OPTIONS("accuracy")
  KERAS_FIELDS(name, dtype)
};
struct BinaryAccuracyOptions {
  KERAS_METRIC_OPTIONS("binary_accuracy")
  /// Predictions above it count as 1.
  double threshold = 0.5;
  KERAS_FIELDS(name, dtype, threshold)
};
struct CategoricalAccuracyOptions {
  KERAS_METRIC_OPTIONS("categorical_accuracy")
  KERAS_FIELDS(name, dtype)
};
struct SparseCategoricalAccuracyOptions {
  KERAS_METRIC_OPTIONS("sparse_categorical_accuracy")
  KERAS_FIELDS(name, dtype)
};
struct TopKCategoricalAccuracyOptions {
  int64_t k = 5;
  KERAS_METRIC_OPTIONS("top_k_categorical_accuracy")
  KERAS_FIELDS(k, name, dtype)
};
struct SparseTopKCategoricalAccuracyOptions {
  int64_t k = 5;
  KERAS_METRIC_OPTIONS("sparse_top_k_categorical_accuracy")
  /// y_pred holds the classes, best first, not their scores.
  bool from_sorted_ids = false;
  KERAS_FIELDS(k, name, dtype, from_sorted_ids)
};

#define KERAS_BUILTIN_MEANS(X)                                                                                                             \
  X(MeanSquaredError) X(MeanAbsoluteError) X(MeanAbsolutePercentageError) X(MeanSquaredLogarithmicError) X(CosineSimilarity)              \
  X(LogCoshError) X(PearsonCorrelation) X(ConcordanceCorrelation) X(Hinge) X(SquaredHinge) X(CategoricalHinge) X(KLDivergence) X(Poisson)  \
  X(BinaryCrossentropy) X(CategoricalCrossentropy) X(SparseCategoricalCrossentropy) X(Accuracy) X(BinaryAccuracy) X(CategoricalAccuracy)   \
  X(SparseCategoricalAccuracy) X(TopKCategoricalAccuracy) X(SparseTopKCategoricalAccuracy)

// `metrics::BinaryAccuracy({.threshold = 0.7})`: a class per row, made from its options, convertible to MetricSpec.
#define KERAS_MEAN_CLASS(Name)                     \
  class Name : public BuiltinMean<Name##Options> { \
   public:                                         \
    using BuiltinMean::BuiltinMean;                \
  };                                               \
  extern template class BuiltinMean<Name##Options>;
KERAS_BUILTIN_MEANS(KERAS_MEAN_CLASS)
#undef KERAS_MEAN_CLASS

struct R2ScoreOptions {
  /// "uniform_average", "variance_weighted_average", or null for one score per output.
  Value class_aggregation = "uniform_average";
  /// Number of independent regressors: above 0 the score is adjusted by it.
  int64_t num_regressors = 0;
  KERAS_METRIC_OPTIONS("r2_score")
  KERAS_FIELDS(class_aggregation, num_regressors, name, dtype)
};
/// Coefficient of determination of (batch, outputs).
class R2Score : public Metric {
 public:
  explicit R2Score(const R2ScoreOptions& options = {});
  KERAS_EMPTY_BRACES(R2Score)
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 private:
  R2ScoreOptions options_;
};

// ---- confusion: counts above thresholds
struct ConfusionOptions {
  /// In [0, 1]; 0.5 when none is given. Several give a result per threshold.
  FloatList thresholds{};
  KERAS_METRIC_OPTIONS("")
  KERAS_FIELDS(thresholds, name, dtype)
};
/// Base of the four counts.
class ConfusionCount : public Metric {
 public:
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 protected:
  enum class Count : char { TruePositives, FalsePositives, TrueNegatives, FalseNegatives };
  ConfusionCount(Count which, const ConfusionOptions& options, const char* class_name);

 private:
  Count which_;
  FloatList given_;
  std::vector<double> thresholds_;
  Variable accumulator_;
};
#define KERAS_COUNT_CLASS(Name)                                                                                   \
  class Name : public ConfusionCount {                                                                            \
   public:                                                                                                        \
    explicit Name(const ConfusionOptions& options = {}) : ConfusionCount(Count::Name, options, #Name) {}           \
    KERAS_EMPTY_BRACES(Name)                                                                                       \
  };
KERAS_COUNT_CLASS(TruePositives)
KERAS_COUNT_CLASS(FalsePositives)
KERAS_COUNT_CLASS(TrueNegatives)
KERAS_COUNT_CLASS(FalseNegatives)
#undef KERAS_COUNT_CLASS

struct PrecisionOptions {
  FloatList thresholds{};
  /// Only the k highest predictions of a sample count as positive.
  std::optional<int64_t> top_k{};
  /// Only this class is looked at.
  std::optional<int64_t> class_id{};
  KERAS_METRIC_OPTIONS("")
  KERAS_FIELDS(thresholds, top_k, class_id, name, dtype)
};
using RecallOptions = PrecisionOptions;
/// Base of precision and recall: true positives over them and one kind of error.
class PrecisionRecall : public Metric {
 public:
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 protected:
  PrecisionRecall(bool precision, const PrecisionOptions& options, const char* class_name);

 private:
  bool precision_;
  PrecisionOptions options_;
  std::vector<double> thresholds_;
  Variable true_positives_, errors_;
};
class Precision : public PrecisionRecall {
 public:
  explicit Precision(const PrecisionOptions& options = {}) : PrecisionRecall(true, options, "Precision") {}
  KERAS_EMPTY_BRACES(Precision)
};
class Recall : public PrecisionRecall {
 public:
  explicit Recall(const RecallOptions& options = {}) : PrecisionRecall(false, options, "Recall") {}
  KERAS_EMPTY_BRACES(Recall)
};

struct ThresholdSearchOptions {
  /// Thresholds tried, evenly over [0, 1].
  int64_t num_thresholds = 200;
  std::optional<int64_t> class_id{};
  KERAS_METRIC_OPTIONS("")
  KERAS_FIELDS(num_thresholds, class_id, name, dtype)
};
/// Base of "the best X where Y is at least a value".
class ThresholdSearch : public Metric {
 public:
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 protected:
  enum class Rate : char { Sensitivity, Specificity, Precision };
  ThresholdSearch(Rate best, Rate constrained, const char* argument, double value, const ThresholdSearchOptions& options, const char* class_name);

 private:
  Tensor rate(Rate which) const;
  Rate best_, constrained_;
  const char* argument_;
  double value_;
  ThresholdSearchOptions options_;
  std::vector<double> thresholds_;
};
class SensitivityAtSpecificity : public ThresholdSearch {
 public:
  explicit SensitivityAtSpecificity(double specificity, const ThresholdSearchOptions& options = {})
      : ThresholdSearch(Rate::Sensitivity, Rate::Specificity, "specificity", specificity, options, "SensitivityAtSpecificity") {}
};
class SpecificityAtSensitivity : public ThresholdSearch {
 public:
  explicit SpecificityAtSensitivity(double sensitivity, const ThresholdSearchOptions& options = {})
      : ThresholdSearch(Rate::Specificity, Rate::Sensitivity, "sensitivity", sensitivity, options, "SpecificityAtSensitivity") {}
};
class PrecisionAtRecall : public ThresholdSearch {
 public:
  explicit PrecisionAtRecall(double recall, const ThresholdSearchOptions& options = {})
      : ThresholdSearch(Rate::Precision, Rate::Sensitivity, "recall", recall, options, "PrecisionAtRecall") {}
};
class RecallAtPrecision : public ThresholdSearch {
 public:
  explicit RecallAtPrecision(double precision, const ThresholdSearchOptions& options = {})
      : ThresholdSearch(Rate::Sensitivity, Rate::Precision, "precision", precision, options, "RecallAtPrecision") {}
};

struct AUCOptions {
  int64_t num_thresholds = 200;
  /// "ROC", "PR" or "PRGAIN".
  std::string curve = "ROC";
  /// "interpolation", "minoring" or "majoring".
  std::string summation_method = "interpolation";
  KERAS_METRIC_OPTIONS("")
  /// Inner thresholds instead of evenly spaced ones.
  FloatList thresholds{};
  /// One area per label, averaged with `label_weights`; else all labels are one.
  bool multi_label = false;
  /// Makes the variables at once; else the first batch does. Only with `multi_label`.
  std::optional<int64_t> num_labels{};
  FloatList label_weights{};
  bool from_logits = false;
  KERAS_FIELDS(num_thresholds, curve, summation_method, name, dtype, thresholds, multi_label, num_labels, label_weights, from_logits)
};
/// Area under the curve of true positives over false positives (ROC), or of precision over recall.
class AUC : public Metric {
 public:
  explicit AUC(const AUCOptions& options = {});
  KERAS_EMPTY_BRACES(AUC)
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 private:
  void make_variables(int64_t labels);
  Tensor interpolated_pr() const;
  AUCOptions options_;
  std::vector<double> thresholds_;  // with the two outermost ones
};

// ---- F scores
struct FBetaScoreOptions {
  /// "micro", "macro", "weighted", or null for one score per class.
  Value average{};
  double beta = 1.0;
  /// Predictions above it count as 1; without, the highest one of a sample does.
  std::optional<double> threshold{};
  KERAS_METRIC_OPTIONS("fbeta_score")
  KERAS_FIELDS(average, beta, threshold, name, dtype)
};
/// Weighted harmonic mean of precision and recall of (batch, classes).
class FBetaScore : public Metric {
 public:
  explicit FBetaScore(const FBetaScoreOptions& options = {}) : FBetaScore(options, "FBetaScore") {}
  KERAS_EMPTY_BRACES(FBetaScore)
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 protected:
  FBetaScore(const FBetaScoreOptions& options, const char* class_name);

 private:
  FBetaScoreOptions options_;
};
struct F1ScoreOptions {
  Value average{};
  std::optional<double> threshold{};
  KERAS_METRIC_OPTIONS("f1_score")
  KERAS_FIELDS(average, threshold, name, dtype)
};
class F1Score : public FBetaScore {
 public:
  explicit F1Score(const F1ScoreOptions& options = {})
      : FBetaScore({.average = options.average, .beta = 1.0, .threshold = options.threshold, .name = options.name, .dtype = options.dtype}, "F1Score") {}
  KERAS_EMPTY_BRACES(F1Score)
  Dict get_config() const override;
};

// ---- intersection over union; the dtype is int32 by default
struct IoUOptions {
  KERAS_METRIC_OPTIONS("")
  /// A label that is not counted.
  std::optional<int64_t> ignore_class{};
  /// Labels and predictions are numbers of classes, not one score per class.
  bool sparse_y_true = true, sparse_y_pred = true;
  int axis = -1;
  KERAS_FIELDS(name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
};
/// Mean over the target classes of intersection over union.
class IoU : public Metric {
 public:
  explicit IoU(int64_t num_classes, std::vector<int64_t> target_class_ids, const IoUOptions& options = {})
      : IoU(num_classes, std::move(target_class_ids), options, "IoU") {}
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() override;
  Dict get_config() const override;

 protected:
  IoU(int64_t num_classes, std::vector<int64_t> target_class_ids, const IoUOptions& options, const char* class_name);
  /// The options of this class as saved, in the order of `keys`.
  Dict config(const std::vector<const char*>& keys) const;
  static std::vector<int64_t> all_classes(int64_t num_classes);

 private:
  int64_t num_classes_;
  std::vector<int64_t> target_class_ids_;
  IoUOptions options_;
  Variable total_;
};
struct BinaryIoUOptions {
  std::vector<int64_t> target_class_ids = {0, 1};
  double threshold = 0.5;
  KERAS_METRIC_OPTIONS("")
  KERAS_FIELDS(target_class_ids, threshold, name, dtype)
};
/// Of two classes told by one number.
class BinaryIoU : public IoU {
 public:
  explicit BinaryIoU(const BinaryIoUOptions& options = {});
  KERAS_EMPTY_BRACES(BinaryIoU)
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Dict get_config() const override;

 private:
  double threshold_;
};
/// Over all classes.
class MeanIoU : public IoU {
 public:
  explicit MeanIoU(int64_t num_classes, const IoUOptions& options = {}) : MeanIoU(num_classes, options, "MeanIoU") {}
  Dict get_config() const override;

 protected:
  MeanIoU(int64_t num_classes, const IoUOptions& options, const char* class_name) : IoU(num_classes, all_classes(num_classes), options, class_name) {}
};
struct OneHotIoUOptions {
  KERAS_METRIC_OPTIONS("")
  std::optional<int64_t> ignore_class{};
  bool sparse_y_pred = false;
  /// The axis of the classes.
  int axis = -1;
  KERAS_FIELDS(name, dtype, ignore_class, sparse_y_pred, axis)
  IoUOptions iou() const { return {.name = name, .dtype = dtype, .ignore_class = ignore_class, .sparse_y_true = false, .sparse_y_pred = sparse_y_pred, .axis = axis}; }
};
/// Of labels with one score per class.
class OneHotIoU : public IoU {
 public:
  explicit OneHotIoU(int64_t num_classes, std::vector<int64_t> target_class_ids, const OneHotIoUOptions& options = {})
      : IoU(num_classes, std::move(target_class_ids), options.iou(), "OneHotIoU") {}
  Dict get_config() const override;
};
class OneHotMeanIoU : public MeanIoU {
 public:
  explicit OneHotMeanIoU(int64_t num_classes, const OneHotIoUOptions& options = {}) : MeanIoU(num_classes, options.iou(), "OneHotMeanIoU") {}
  Dict get_config() const override;
};

// ---- functions: values per sample
Tensor accuracy(const Tensor& y_true, const Tensor& y_pred);
Tensor binary_accuracy(const Tensor& y_true, const Tensor& y_pred, double threshold = 0.5);
Tensor categorical_accuracy(const Tensor& y_true, const Tensor& y_pred);
Tensor sparse_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred);
Tensor top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, int64_t k = 5);
Tensor sparse_top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, int64_t k = 5, bool from_sorted_ids = false);
/// The cosine itself: 1 for equal directions.
Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, int axis = -1);
Tensor pearson_correlation(const Tensor& y_true, const Tensor& y_pred, int axis = -1);
Tensor concordance_correlation(const Tensor& y_true, const Tensor& y_pred, int axis = -1);
using losses::binary_crossentropy;
using losses::binary_focal_crossentropy;
using losses::categorical_crossentropy;
using losses::categorical_focal_crossentropy;
using losses::categorical_hinge;
using losses::hinge;
using losses::huber;
using losses::kl_divergence;
using losses::log_cosh;
using losses::mean_absolute_error;
using losses::mean_absolute_percentage_error;
using losses::mean_squared_error;
using losses::mean_squared_logarithmic_error;
using losses::poisson;
using losses::sparse_categorical_crossentropy;
using losses::squared_hinge;

// ---- names and files
inline std::shared_ptr<Metric> get(const Value& identifier) { return Metric::get(identifier); }
inline Value serialize(const Metric& metric) { return metric.serialize(); }
inline std::shared_ptr<Metric> deserialize(const Value& config) { return Metric::get(config); }

using MetricFactory = std::function<std::shared_ptr<Metric>(const Dict& config)>;
/// Makes a class known under its registered name ("MyMetric", or "package>MyMetric"), for saved files and `get`.
void register_metric(const std::string& registered_name, MetricFactory factory, const std::type_info* type = nullptr);
/// Makes a function known by name.
void register_metric(const std::string& registered_name, MetricFn fn);
/// A class with a constructor from `const Dict&` (its configuration), or with a default one.
template <std::derived_from<Metric> T> void register_metric(const std::string& registered_name) {
  register_metric(registered_name, MetricFactory(serial::make_from_config<T>), &typeid(T));
}

/// All names that `get` knows.
std::vector<std::string> known_names();

}  // namespace keras::metrics

namespace keras {

/// "A metric" in options: a name, a saved configuration, an object, or a callable (y_true, y_pred) → values per sample, whose mean is
/// taken.
///
///     MetricSpec a = "accuracy", b = metrics::AUC({.curve = "PR"});
///     auto recall = std::make_shared<metrics::Recall>();
///     MetricSpec c = recall, d = [](const Tensor& y_true, const Tensor& y_pred) { return ops::abs(y_true - y_pred); };
class MetricSpec : public Spec<metrics::Metric> {
 public:
  using Spec::Spec;
  MetricSpec() = default;
  template <class T>
    requires std::derived_from<std::decay_t<T>, metrics::Metric>
  MetricSpec(T&& metric) : Spec(std::make_shared<std::decay_t<T>>(std::forward<T>(metric))) {}
  template <class F>
    requires(std::is_invocable_r_v<Tensor, F&, const Tensor&, const Tensor&> && !std::derived_from<std::decay_t<F>, metrics::Metric> &&
             !std::derived_from<std::decay_t<F>, losses::Loss> && !std::derived_from<std::decay_t<F>, Spec<metrics::Metric>>)
  MetricSpec(F&& fn) : MetricSpec(metrics::MetricFn(std::forward<F>(fn)), "") {}
  /// The mean of a loss.
  template <class T>
    requires std::derived_from<std::decay_t<T>, losses::Loss>
  MetricSpec(const T& loss) : MetricSpec(metrics::MetricFn(loss), loss.name()) {}
  /// A callable with a name of its own, which logs show.
  MetricSpec(metrics::MetricFn fn, const std::string& name);
  /// A name stays the name that was given, as in Keras' compile configurations.
  Value serialize() const { return given().is_string() ? given() : Spec::serialize(); }
};

namespace metrics {
/// The metric for these outputs: "accuracy" and "acc" become the binary, sparse or categorical one as the shapes say ("crossentropy" and
/// "ce" likewise); a name becomes the metric's name. `y_true` and `y_pred` are the shapes with the batch axis. Each call on a name makes
/// a new metric. TypeError on Mean and Sum, which don't compare.
MetricSpec resolve(const MetricSpec& spec, const Shape& y_true, const Shape& y_pred);
}  // namespace metrics

}  // namespace keras
