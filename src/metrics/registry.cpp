// What lives here: the classes of Keras' metrics (what each saves and how it is made from a configuration), the names that `get` knows,
// and the metrics that users registered.
#include <algorithm>

#include "core/impl.h"
#include "losses/registry.h"
#include "metrics/metric.h"

namespace keras {

// Keras' functions, KERAS_MEAN_ROW(Name, function, keywords, saved keywords, expression).
namespace losses {
#define KERAS_MEAN_ROW(Name, function, keys, saved_keys, expression) KERAS_FUNCTION_TRAITS(metrics, Name, function, keys, saved_keys, expression)
KERAS_LOSSES_AND_METRICS(KERAS_MEAN_ROW)
// Keras does not save the axis here.
KERAS_MEAN_ROW(CosineSimilarity, cosine_similarity, "axis", "", metrics::cosine_similarity(t, p, o.axis))
KERAS_MEAN_ROW(LogCoshError, log_cosh, "", "", metrics::log_cosh(t, p))
KERAS_MEAN_ROW(PearsonCorrelation, pearson_correlation, "axis", "axis", metrics::pearson_correlation(t, p, o.axis))
KERAS_MEAN_ROW(ConcordanceCorrelation, concordance_correlation, "axis", "axis", metrics::concordance_correlation(t, p, o.axis))
KERAS_MEAN_ROW(BinaryCrossentropy, binary_crossentropy, "from_logits label_smoothing", "from_logits label_smoothing",
           binary_crossentropy(t, p, o.from_logits, o.label_smoothing))
KERAS_MEAN_ROW(Accuracy, accuracy, "", "", metrics::accuracy(t, p))
KERAS_MEAN_ROW(BinaryAccuracy, binary_accuracy, "threshold", "threshold", metrics::binary_accuracy(t, p, o.threshold))
KERAS_MEAN_ROW(CategoricalAccuracy, categorical_accuracy, "", "", metrics::categorical_accuracy(t, p))
KERAS_MEAN_ROW(SparseCategoricalAccuracy, sparse_categorical_accuracy, "", "", metrics::sparse_categorical_accuracy(t, p))
KERAS_MEAN_ROW(TopKCategoricalAccuracy, top_k_categorical_accuracy, "k", "k", metrics::top_k_categorical_accuracy(t, p, o.k))
KERAS_MEAN_ROW(SparseTopKCategoricalAccuracy, sparse_top_k_categorical_accuracy, "k from_sorted_ids", "k from_sorted_ids",
           metrics::sparse_top_k_categorical_accuracy(t, p, o.k, o.from_sorted_ids))
#undef KERAS_MEAN_ROW
}  // namespace losses

namespace metrics {

namespace {

struct Builtin {
  const char* class_name;
  std::shared_ptr<Metric> (*make)(const Dict& config);
  const char* function_name = "";
  MetricFn (*function)(const Dict& kwargs) = nullptr;
};
using Made = std::shared_ptr<Metric>;

std::string place(const char* class_name) { return std::string("metric ") + class_name; }

template <class Options, class Class> constexpr Builtin mean() {
  using Traits = losses::FunctionTraits<Options>;
  return {Traits::class_name,
          [](const Dict& config) -> Made { return std::make_shared<Class>(losses::read_options<Options>(config, place(Traits::class_name))); },
          Traits::function_name, losses::function_with<Options>};
}
#define KERAS_ROW(Name) mean<Name##Options, Name>(),
constexpr Builtin kMeans[] = {KERAS_BUILTIN_MEANS(KERAS_ROW)};
#undef KERAS_ROW

/// A configuration's required entry, taken out.
Value take(Dict& config, const char* key, const char* class_name) {
  const Value* v = config.find(key);
  if (!v) throw ValueError(ErrorText{.what = std::string("the configuration has no '") + key + "'", .where = place(class_name), .fix = std::string("set '") + key + "'"}.str());
  Value taken = *v;
  config.erase(key);
  return taken;
}
template <class Class, class Options> Made from_options(const Dict& config, const char* name) {
  return std::make_shared<Class>(losses::read_options<Options>(config, place(name)));
}
template <class Class> Made search(Dict config, const char* name, const char* argument) {
  double value = take(config, argument, name).as_float();
  return std::make_shared<Class>(value, losses::read_options<ThresholdSearchOptions>(config, place(name)));
}
template <class Class, class Options> Made iou_of_classes(Dict config, const char* name) {
  int64_t n = take(config, "num_classes", name).as_int();
  std::vector<int64_t> ids = take(config, "target_class_ids", name).as_ints();
  return std::make_shared<Class>(n, ids, losses::read_options<Options>(config, place(name)));
}
template <class Class, class Options> Made mean_iou(Dict config, const char* name) {
  int64_t n = take(config, "num_classes", name).as_int();
  return std::make_shared<Class>(n, losses::read_options<Options>(config, place(name)));
}
Made metric_from_wrapper(const Dict& config) {
  losses::SavedWrapper saved = losses::read_wrapper(config, {"name", "dtype"}, "metric", "MeanMetricWrapper");
  return std::make_shared<MeanMetricWrapper>(saved.function, saved.kwargs, losses::read_options<ReductionOptions>(saved.own, "MeanMetricWrapper"));
}

// Sum and Mean have names of their own when none is given.
template <class Class> Made reduction(const Dict& config, const char* name, const char* default_name) {
  ReductionOptions options = losses::read_options<ReductionOptions>(config, place(name));
  if (!config.find("name")) options.name = default_name;
  return std::make_shared<Class>(options);
}

const Builtin kOthers[] = {
    {"Sum", [](const Dict& c) { return reduction<Sum>(c, "Sum", "sum"); }},
    {"Mean", [](const Dict& c) { return reduction<Mean>(c, "Mean", "mean"); }},
    {"MeanMetricWrapper", metric_from_wrapper},
    {"RootMeanSquaredError", [](const Dict& c) { return reduction<RootMeanSquaredError>(c, "RootMeanSquaredError", "root_mean_squared_error"); }},
    {"R2Score", [](const Dict& c) { return from_options<R2Score, R2ScoreOptions>(c, "R2Score"); }},
    {"TruePositives", [](const Dict& c) { return from_options<TruePositives, ConfusionOptions>(c, "TruePositives"); }},
    {"FalsePositives", [](const Dict& c) { return from_options<FalsePositives, ConfusionOptions>(c, "FalsePositives"); }},
    {"TrueNegatives", [](const Dict& c) { return from_options<TrueNegatives, ConfusionOptions>(c, "TrueNegatives"); }},
    {"FalseNegatives", [](const Dict& c) { return from_options<FalseNegatives, ConfusionOptions>(c, "FalseNegatives"); }},
    {"Precision", [](const Dict& c) { return from_options<Precision, PrecisionOptions>(c, "Precision"); }},
    {"Recall", [](const Dict& c) { return from_options<Recall, RecallOptions>(c, "Recall"); }},
    {"SensitivityAtSpecificity", [](const Dict& c) { return search<SensitivityAtSpecificity>(c, "SensitivityAtSpecificity", "specificity"); }},
    {"SpecificityAtSensitivity", [](const Dict& c) { return search<SpecificityAtSensitivity>(c, "SpecificityAtSensitivity", "sensitivity"); }},
    {"PrecisionAtRecall", [](const Dict& c) { return search<PrecisionAtRecall>(c, "PrecisionAtRecall", "recall"); }},
    {"RecallAtPrecision", [](const Dict& c) { return search<RecallAtPrecision>(c, "RecallAtPrecision", "precision"); }},
    {"AUC", [](const Dict& c) { return from_options<AUC, AUCOptions>(c, "AUC"); }},
    {"FBetaScore", [](const Dict& c) { return from_options<FBetaScore, FBetaScoreOptions>(c, "FBetaScore"); }},
    {"F1Score", [](const Dict& c) { return from_options<F1Score, F1ScoreOptions>(c, "F1Score"); }},
    {"IoU", [](const Dict& c) { return iou_of_classes<IoU, IoUOptions>(c, "IoU"); }},
    {"BinaryIoU", [](const Dict& c) { return from_options<BinaryIoU, BinaryIoUOptions>(c, "BinaryIoU"); }},
    {"MeanIoU", [](const Dict& c) { return mean_iou<MeanIoU, IoUOptions>(c, "MeanIoU"); }},
    {"OneHotIoU", [](const Dict& c) { return iou_of_classes<OneHotIoU, OneHotIoUOptions>(c, "OneHotIoU"); }},
    {"OneHotMeanIoU", [](const Dict& c) { return mean_iou<OneHotMeanIoU, OneHotIoUOptions>(c, "OneHotMeanIoU"); }},
};

constexpr losses::ShortName kShort[] = {
    {"bce", "BinaryCrossentropy"},           {"BCE", "BinaryCrossentropy"},
    {"mse", "MeanSquaredError"},             {"MSE", "MeanSquaredError"},
    {"mae", "MeanAbsoluteError"},            {"MAE", "MeanAbsoluteError"},
    {"mape", "MeanAbsolutePercentageError"}, {"MAPE", "MeanAbsolutePercentageError"},
    {"msle", "MeanSquaredLogarithmicError"}, {"MSLE", "MeanSquaredLogarithmicError"}};

template <class F> const Builtin* find_builtin(F matches) {
  for (const Builtin& b : kMeans)
    if (matches(b)) return &b;
  for (const Builtin& b : kOthers)
    if (matches(b)) return &b;
  return nullptr;
}
const Builtin* find_metric_class(const std::string& name) {
  return find_builtin([&](const Builtin& b) { return name == b.class_name; });
}
/// By class name, its snake case, or a short form.
const Builtin* find_named(std::string name) {
  for (const auto& [short_name, full] : kShort)
    if (name == short_name) name = full;
  return find_builtin([&](const Builtin& b) { return name == b.class_name || name == core::to_snake_case(b.class_name); });
}

Made wrap_metric_function(const std::string& function) {
  auto metric = std::make_shared<MeanMetricWrapper>(function);
  metric->as_plain_function();
  metric->set_name(core::to_snake_case(serial::last_part(function)));
  return metric;
}

losses::Names<Metric>& metric_names() {
  static losses::Names<Metric> names{
      .kind = "metric",
      .builtin_class = [](const std::string& name) -> losses::Names<Metric>::Make {
        const Builtin* b = find_metric_class(name);
        return b ? b->make : nullptr;
      },
      .builtin_name = [](const std::string& name) -> Made {
        const Builtin* b = find_named(name);
        return b && b->make != metric_from_wrapper ? b->make({}) : nullptr;
      },
      .wrap = wrap_metric_function,
      .is_function = [](const std::string& name) { return find_function(name, {}) != nullptr; },
      .known = known_names};
  return names;
}

}  // namespace

// ---- names
std::vector<std::string> known_names() {
  std::vector<std::string> names = {"accuracy", "acc", "crossentropy", "ce"};
  find_builtin([&](const Builtin& b) {
    names.push_back(b.class_name), names.push_back(core::to_snake_case(b.class_name));
    return false;
  });
  for (const auto& [short_name, full] : kShort) names.push_back(short_name);
  return metric_names().with_registered(std::move(names));
}

MetricFn find_function(const std::string& name, const Dict& kwargs) {
  if (MetricFn fn = losses::without_keywords(metric_names().functions.find(name), name, kwargs)) return fn;
  // A name of both, like cosine_similarity, is in Keras' files that of the loss.
  if (MetricFn fn = losses::find_function(name, kwargs)) return fn;
  const Builtin* b = find_builtin([&](const Builtin& each) { return each.function && name == each.function_name; });
  return b ? b->function(kwargs) : nullptr;
}

std::string name_of_function(const MetricFn& fn) {
  if (std::string name = losses::name_of_function(fn); !name.empty()) return name;
  using Plain = Tensor (*)(const Tensor&, const Tensor&);
  const Plain* target = fn.target<Plain>();
  if (!target) return "";
  static constexpr std::pair<Plain, const char*> plain[] = {
      {accuracy, "accuracy"}, {categorical_accuracy, "categorical_accuracy"}, {sparse_categorical_accuracy, "sparse_categorical_accuracy"}};
  for (const auto& [address, name] : plain)
    if (*target == address) return name;
  return metric_names().functions.name_of(fn);
}

void register_metric(const std::string& registered_name, MetricFactory factory, const std::type_info* type) {
  metric_names().classes.add(registered_name, std::move(factory), type);
}
void register_metric(const std::string& registered_name, MetricFn fn) { metric_names().functions.add(registered_name, std::move(fn)); }

std::shared_ptr<Metric> Metric::get(const Value& identifier) { return metric_names().get(identifier); }

Value Metric::serialize() const {
  std::string cls = class_name(), registered = metric_names().classes.name_of(typeid(*this), cls);
  if (registered.empty() && find_metric_class(cls)) return losses::saved_object("keras.metrics", cls, get_config(), {});
  return losses::saved_object({}, cls, get_config(), registered.empty() ? cls : registered);
}

// ---- means of Keras' functions
template <class Options>
BuiltinMean<Options>::BuiltinMean(Options options)
    : Mean({.name = options.name, .dtype = options.dtype}, losses::FunctionTraits<Options>::class_name), options_(std::move(options)) {}

template <class Options> void BuiltinMean<Options>::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  update_mean_of(*this, [this](const Tensor& t, const Tensor& p) { return losses::FunctionTraits<Options>::compute(options_, t, p); }, y_true, y_pred, sample_weight);
}

template <class Options> Dict BuiltinMean<Options>::get_config() const {
  Dict config = Metric::get_config();
  for (const std::string& key : losses::FunctionTraits<Options>::saved()) {
    Value value = losses::option_value(options_, key);
    // Keras saves this one only when it is set, so that older releases read the file.
    if (key != "from_sorted_ids" || value.as_bool()) config.set(key, value);
  }
  return config;
}

// Each class is called in C++ what it is called in Keras; classes derived from it have names of their own.
template <class Options> std::string BuiltinMean<Options>::class_name() const {
  return losses::class_name_of<Metric, BuiltinMean>(*this, losses::FunctionTraits<Options>::class_name);
}

template <class Options> Value BuiltinMean<Options>::serialize() const { return Metric::serialize(); }

#define KERAS_INSTANTIATE(Name) template class BuiltinMean<Name##Options>;
KERAS_BUILTIN_MEANS(KERAS_INSTANTIATE)
#undef KERAS_INSTANTIATE

}  // namespace metrics

MetricSpec::MetricSpec(metrics::MetricFn fn, const std::string& name) {
  std::string known = name.empty() ? metrics::name_of_function(fn) : name;
  auto metric = std::make_shared<metrics::MeanMetricWrapper>(std::move(fn));
  metric->as_plain_function();
  metric->set_name(known.empty() ? "lambda" : known);
  static_cast<Spec&>(*this) = Spec(std::shared_ptr<metrics::Metric>(std::move(metric)));
}

MetricSpec metrics::resolve(const MetricSpec& spec, const Shape& y_true, const Shape& y_pred) {
  if (spec.is_none()) throw ValueError(ErrorText{.what = "a metric is missing", .expected = "a name, an object or a function", .received = "none"}.str());
  if (!spec.given().is_string()) {
    // What compares nothing would read y_pred as weights.
    if (typeid(*spec) == typeid(Mean) || typeid(*spec) == typeid(Sum))
      throw TypeError(ErrorText{.what = "this metric takes values and weights, not y_true and y_pred",
                                .where = "metric \"" + spec->name() + "\" (" + spec->class_name() + ")",
                                .fix = "use it in a loop of your own, or metrics::MeanMetricWrapper with a function"}
                          .str());
    return spec;
  }
  const std::string& name = spec.given().as_string();
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  auto [binary, sparse] = losses::binary_or_sparse(y_true, y_pred);
  if (lower == "accuracy" || lower == "acc") {
    if (binary) return BinaryAccuracy({.name = name});
    if (sparse) return SparseCategoricalAccuracy({.name = name});
    return CategoricalAccuracy({.name = name});
  }
  if (lower == "crossentropy" || lower == "ce") {
    if (binary) return BinaryCrossentropy({.name = name});
    if (sparse) return SparseCategoricalCrossentropy({.name = name});
    return CategoricalCrossentropy({.name = name});
  }
  std::shared_ptr<Metric> metric = Metric::get(name);
  if (typeid(*metric) == typeid(Mean) || typeid(*metric) == typeid(Sum)) return resolve(MetricSpec(metric), y_true, y_pred);
  metric->set_name(name);
  return metric;
}

}  // namespace keras
