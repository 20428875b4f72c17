// What lives here: the classes of Keras' metrics (what each saves and how it is made from a configuration), the names that `get` knows,
// and the metrics that users registered.
#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>

#include "core/impl.h"
#include "losses/loss.h"
#include "metrics/metric.h"
#include "serial/naming.h"

namespace keras::metrics {

namespace {

// What a mean is called, which keywords its function takes and which it saves after name and dtype.
template <class Options> struct Traits;
#define KERAS_MEAN(Name, function, keys, saved_keys, expression)                                                             \
  template <> struct Traits<Name##Options> {                                                                                 \
    static constexpr const char *class_name = #Name, *function_name = #function;                                             \
    static std::vector<const char*> kwargs() { return keys; }                                                                \
    static std::vector<const char*> saved() { return saved_keys; }                                                           \
    static Tensor compute([[maybe_unused]] const Name##Options& o, const Tensor& t, const Tensor& p) { return expression; }  \
  };
#define KEYS(...) \
  { __VA_ARGS__ }
KERAS_MEAN(MeanSquaredError, mean_squared_error, KEYS(), KEYS(), mean_squared_error(t, p))
KERAS_MEAN(MeanAbsoluteError, mean_absolute_error, KEYS(), KEYS(), mean_absolute_error(t, p))
KERAS_MEAN(MeanAbsolutePercentageError, mean_absolute_percentage_error, KEYS(), KEYS(), mean_absolute_percentage_error(t, p))
KERAS_MEAN(MeanSquaredLogarithmicError, mean_squared_logarithmic_error, KEYS(), KEYS(), mean_squared_logarithmic_error(t, p))
// Keras does not save the axis here.
KERAS_MEAN(CosineSimilarity, cosine_similarity, KEYS("axis"), KEYS(), cosine_similarity(t, p, o.axis))
KERAS_MEAN(LogCoshError, log_cosh, KEYS(), KEYS(), log_cosh(t, p))
KERAS_MEAN(PearsonCorrelation, pearson_correlation, KEYS("axis"), KEYS("axis"), pearson_correlation(t, p, o.axis))
KERAS_MEAN(ConcordanceCorrelation, concordance_correlation, KEYS("axis"), KEYS("axis"), concordance_correlation(t, p, o.axis))
KERAS_MEAN(Hinge, hinge, KEYS(), KEYS(), hinge(t, p))
KERAS_MEAN(SquaredHinge, squared_hinge, KEYS(), KEYS(), squared_hinge(t, p))
KERAS_MEAN(CategoricalHinge, categorical_hinge, KEYS(), KEYS(), categorical_hinge(t, p))
KERAS_MEAN(KLDivergence, kl_divergence, KEYS(), KEYS(), kl_divergence(t, p))
KERAS_MEAN(Poisson, poisson, KEYS(), KEYS(), poisson(t, p))
KERAS_MEAN(BinaryCrossentropy, binary_crossentropy, KEYS("from_logits", "label_smoothing"), KEYS("from_logits", "label_smoothing"),
           binary_crossentropy(t, p, o.from_logits, o.label_smoothing))
KERAS_MEAN(CategoricalCrossentropy, categorical_crossentropy, KEYS("from_logits", "label_smoothing", "axis"),
           KEYS("from_logits", "label_smoothing", "axis"), categorical_crossentropy(t, p, o.from_logits, o.label_smoothing, o.axis))
KERAS_MEAN(SparseCategoricalCrossentropy, sparse_categorical_crossentropy, KEYS("from_logits", "ignore_class", "axis"),
           KEYS("from_logits", "ignore_class", "axis"), sparse_categorical_crossentropy(t, p, o.from_logits, o.ignore_class, o.axis))
KERAS_MEAN(Accuracy, accuracy, KEYS(), KEYS(), accuracy(t, p))
KERAS_MEAN(BinaryAccuracy, binary_accuracy, KEYS("threshold"), KEYS("threshold"), binary_accuracy(t, p, o.threshold))
KERAS_MEAN(CategoricalAccuracy, categorical_accuracy, KEYS(), KEYS(), categorical_accuracy(t, p))
KERAS_MEAN(SparseCategoricalAccuracy, sparse_categorical_accuracy, KEYS(), KEYS(), sparse_categorical_accuracy(t, p))
KERAS_MEAN(TopKCategoricalAccuracy, top_k_categorical_accuracy, KEYS("k"), KEYS("k"), top_k_categorical_accuracy(t, p, o.k))
KERAS_MEAN(SparseTopKCategoricalAccuracy, sparse_top_k_categorical_accuracy, KEYS("k", "from_sorted_ids"), KEYS("k", "from_sorted_ids"),
           sparse_top_k_categorical_accuracy(t, p, o.k, o.from_sorted_ids))
#undef KEYS
#undef KERAS_MEAN

struct Builtin {
  const char* class_name;
  std::shared_ptr<Metric> (*make)(const Dict& config);
  const char* function_name = "";
  MetricFn (*function)(const Dict& kwargs) = nullptr;
};
using Made = std::shared_ptr<Metric>;

std::string place(const char* class_name) { return std::string("metric ") + class_name; }

template <class Options, class Class> constexpr Builtin mean() {
  return {Traits<Options>::class_name,
          [](const Dict& config) -> Made { return std::make_shared<Class>(losses::read_options<Options>(config, place(Traits<Options>::class_name))); },
          Traits<Options>::function_name,
          [](const Dict& kwargs) -> MetricFn {
            std::vector<std::string> known;
            for (const char* key : Traits<Options>::kwargs()) known.push_back(key);
            for (const auto& [key, value] : kwargs)
              if (std::find(known.begin(), known.end(), key) == known.end())
                throw ValueError(ErrorText{.what = "unknown keyword '" + key + "'" + did_you_mean(key, known), .where = Traits<Options>::function_name}.str());
            return [o = losses::read_options<Options>(kwargs, Traits<Options>::function_name)](const Tensor& t, const Tensor& p) {
              return Traits<Options>::compute(o, t, p);
            };
          }};
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
Made wrapper_from_config(const Dict& config) {
  Dict kwargs;
  ReductionOptions options;
  std::string function;
  for (const auto& [key, value] : config) {
    if (key == "name") {
      options.name = value.is_null() ? "" : value.as_string();
    } else if (key == "dtype") {
      options.dtype = value;
    } else if (key == "fn") {
      function = value.is_string() ? value.as_string() : losses::referenced_function(value);
    } else {
      kwargs.set(key, value);
    }
  }
  if (function.empty())
    throw ValueError(ErrorText{.what = "the saved metric holds no function that has a name",
                               .where = "MeanMetricWrapper",
                               .received = config.find("fn") ? config.find("fn")->str() : "no \"fn\"",
                               .fix = "save a metric whose function was registered with metrics::register_metric"}
                         .str());
  return std::make_shared<MeanMetricWrapper>(function, kwargs, options);
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
    {"MeanMetricWrapper", wrapper_from_config},
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

constexpr std::pair<const char*, const char*> kShort[] = {
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
const Builtin* find_class(const std::string& name) {
  return find_builtin([&](const Builtin& b) { return name == b.class_name; });
}
/// By class name, its snake case, or a short form.
const Builtin* find_named(std::string name) {
  for (const auto& [short_name, full] : kShort)
    if (name == short_name) name = full;
  return find_builtin([&](const Builtin& b) { return name == b.class_name || name == core::to_snake_case(b.class_name); });
}

struct Registry {
  std::mutex mutex;
  std::map<std::string, MetricFactory> classes;
  std::map<std::string, MetricFn> functions;
  std::unordered_map<std::string, std::string> registered_name_of;  // C++ name or last part of the registered name → registered name
};
Registry& registry() {
  static Registry r;
  return r;
}
std::string last_part(const std::string& registered_name) { return registered_name.substr(registered_name.rfind('>') + 1); }

/// Entry of `name`, or of the registered name whose last part it is.
template <class T> T find_registered(const std::map<std::string, T>& entries, const std::string& name) {
  std::lock_guard lock(registry().mutex);
  if (auto at = entries.find(name); at != entries.end()) return at->second;
  for (const auto& [key, entry] : entries)
    if (last_part(key) == name) return entry;
  return nullptr;
}

[[noreturn]] void unknown(const std::string& name) {
  throw ValueError(ErrorText{.what = "unknown metric '" + name + "'" + did_you_mean(name, known_names()),
                             .fix = "for a metric of your own, register it: metrics::register_metric<MyMetric>(\"" + name + "\")"}
                       .str());
}

Made wrap_function(const std::string& function) {
  auto metric = std::make_shared<MeanMetricWrapper>(function);
  metric->as_plain_function();
  metric->set_name(core::to_snake_case(last_part(function)));
  return metric;
}

Made from_name(const std::string& name) {
  if (const Builtin* b = find_named(name)) {
    if (b->make == wrapper_from_config) unknown(name);
    return b->make({});
  }
  if (MetricFactory make = find_registered(registry().classes, name)) return make({});
  if (find_registered(registry().functions, name)) return wrap_function(name);
  unknown(name);
}

Made from_saved(const Value& saved) {
  if (std::string function = losses::referenced_function(saved); !function.empty()) {
    if (!find_function(function, {})) unknown(function);
    return wrap_function(function);
  }
  const Value& class_name = saved.get("class_name");
  if (!class_name.is_string())
    throw ValueError(ErrorText{.what = "this is no saved metric", .expected = "a dictionary with \"class_name\" and \"config\"", .received = saved.str()}.str());
  const Value& config = saved.get("config");
  Dict dict = config.is_null() ? Dict{} : config.as_dict();
  const Value& registered = saved.get("registered_name");
  if (registered.is_string())
    if (MetricFactory make = find_registered(registry().classes, registered.as_string())) return make(dict);
  const std::string& name = class_name.as_string();
  if (const Builtin* b = find_class(name)) return serial::naming_entries(name, dict, [&] { return b->make(dict); });
  if (MetricFactory make = find_registered(registry().classes, name)) return make(dict);
  if (name == "__lambda__")
    throw ValueError(ErrorText{.what = "the saved metric is a Python lambda, which can't be run here",
                               .fix = "register a function of the same meaning and save the model with its name"}
                         .str());
  unknown(registered.is_string() ? registered.as_string() : name);
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
  std::lock_guard lock(registry().mutex);
  for (const auto& [key, entry] : registry().classes) names.push_back(key);
  for (const auto& [key, entry] : registry().functions) names.push_back(key);
  return names;
}

MetricFn find_function(const std::string& name, const Dict& kwargs) {
  if (MetricFn fn = find_registered(registry().functions, name)) {
    if (!kwargs.empty())
      throw ValueError(ErrorText{.what = "a registered function takes no keywords", .where = name, .received = Value(kwargs).str()}.str());
    return fn;
  }
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
  std::lock_guard lock(registry().mutex);
  for (const auto& [name, registered] : registry().functions)
    if (const Plain* p = registered.target<Plain>(); p && *p == *target) return name;
  return "";
}

void register_metric(const std::string& registered_name, MetricFactory factory, const std::type_info* type) {
  std::lock_guard lock(registry().mutex);
  registry().classes[registered_name] = std::move(factory);
  registry().registered_name_of[last_part(registered_name)] = registered_name;
  if (type) registry().registered_name_of[losses::plain_type_name(*type)] = registered_name;
}

void register_metric(const std::string& registered_name, MetricFn fn) {
  std::lock_guard lock(registry().mutex);
  registry().functions[registered_name] = std::move(fn);
}

std::shared_ptr<Metric> Metric::get(const Value& identifier) {
  if (identifier.is_null()) return nullptr;
  if (identifier.is_string()) return from_name(identifier.as_string());
  if (identifier.is_dict()) return from_saved(identifier);
  throw TypeError(ErrorText{.what = "this is no metric", .expected = "a name, a saved configuration, an object or a function", .received = identifier.str()}.str());
}

Value Metric::serialize() const {
  std::string cls = class_name(), registered = cls;
  bool known = false;
  {
    std::lock_guard lock(registry().mutex);
    auto at = registry().registered_name_of.find(cls);
    known = at != registry().registered_name_of.end();
    if (known) registered = at->second;
  }
  if (!known && find_class(cls)) return losses::saved_object("keras.metrics", cls, get_config(), {});
  return losses::saved_object({}, cls, get_config(), registered);
}

// ---- means of Keras' functions
template <class Options>
BuiltinMean<Options>::BuiltinMean(Options options)
    : Mean({.name = options.name, .dtype = options.dtype}, Traits<Options>::class_name), options_(std::move(options)) {}

template <class Options> void BuiltinMean<Options>::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  update_mean_of(*this, [this](const Tensor& t, const Tensor& p) { return Traits<Options>::compute(options_, t, p); }, y_true, y_pred, sample_weight);
}

template <class Options> Dict BuiltinMean<Options>::get_config() const {
  Dict config = Metric::get_config();
  for (std::string_view key : Traits<Options>::saved()) {
    Value value = losses::option_value(options_, key);
    // Keras saves this one only when it is set, so that older releases read the file.
    if (key != "from_sorted_ids" || value.as_bool()) config.set(key, value);
  }
  return config;
}

// Each class is called in C++ what it is called in Keras; classes derived from it have names of their own.
template <class Options> std::string BuiltinMean<Options>::class_name() const {
  return typeid(*this) == typeid(BuiltinMean) ? Traits<Options>::class_name : losses::plain_type_name(typeid(*this));
}

template <class Options> Value BuiltinMean<Options>::serialize() const { return Metric::serialize(); }

#define KERAS_INSTANTIATE(Name) template class BuiltinMean<Name##Options>;
KERAS_BUILTIN_MEANS(KERAS_INSTANTIATE)
#undef KERAS_INSTANTIATE

}  // namespace keras::metrics

namespace keras {

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
