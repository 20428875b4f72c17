// What lives here: the classes of Keras' losses (what each saves and which function it calls), the names that `get` knows, and the
// losses that users registered.
#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>

#include "core/impl.h"
#include "losses/loss.h"

namespace keras::losses {

namespace {

// What a class is called, which keywords its function takes, and which of them Keras saves (in Keras' order).
template <class Options> struct Traits;
#define KERAS_LOSS(Name, function, keys, saved_keys, expression)                                 \
  template <> struct Traits<Name##Options> {                                                     \
    static constexpr const char *class_name = #Name, *function_name = #function;                 \
    static std::vector<const char*> kwargs() { return keys; }                                    \
    static std::vector<const char*> saved() { return saved_keys; }                               \
    static Tensor compute([[maybe_unused]] const Name##Options& o, const Tensor& t, const Tensor& p) { return expression; } \
  };
#define KEYS(...) \
  { __VA_ARGS__ }
KERAS_LOSS(MeanSquaredError, mean_squared_error, KEYS(), KEYS(), mean_squared_error(t, p))
KERAS_LOSS(MeanAbsoluteError, mean_absolute_error, KEYS(), KEYS(), mean_absolute_error(t, p))
KERAS_LOSS(MeanAbsolutePercentageError, mean_absolute_percentage_error, KEYS(), KEYS(), mean_absolute_percentage_error(t, p))
KERAS_LOSS(MeanSquaredLogarithmicError, mean_squared_logarithmic_error, KEYS(), KEYS(), mean_squared_logarithmic_error(t, p))
// Keras 3.15 forgets axis and delta of these two and the axis of the sparse crossentropy; 3.16 saves them, and both read them.
KERAS_LOSS(CosineSimilarity, cosine_similarity, KEYS("axis"), KEYS("axis"), cosine_similarity(t, p, o.axis))
KERAS_LOSS(Huber, huber, KEYS("delta"), KEYS("delta"), huber(t, p, o.delta))
KERAS_LOSS(LogCosh, log_cosh, KEYS(), KEYS(), log_cosh(t, p))
KERAS_LOSS(Hinge, hinge, KEYS(), KEYS(), hinge(t, p))
KERAS_LOSS(SquaredHinge, squared_hinge, KEYS(), KEYS(), squared_hinge(t, p))
KERAS_LOSS(CategoricalHinge, categorical_hinge, KEYS(), KEYS(), categorical_hinge(t, p))
KERAS_LOSS(KLDivergence, kl_divergence, KEYS(), KEYS(), kl_divergence(t, p))
KERAS_LOSS(Poisson, poisson, KEYS(), KEYS(), poisson(t, p))
KERAS_LOSS(BinaryCrossentropy, binary_crossentropy, KEYS("from_logits", "label_smoothing", "axis"), KEYS("from_logits", "label_smoothing", "axis"),
           binary_crossentropy(t, p, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS(BinaryFocalCrossentropy, binary_focal_crossentropy,
           KEYS("apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing", "axis"),
           KEYS("from_logits", "label_smoothing", "axis", "apply_class_balancing", "alpha", "gamma"),
           binary_focal_crossentropy(t, p, o.apply_class_balancing, o.alpha, o.gamma, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS(CategoricalCrossentropy, categorical_crossentropy, KEYS("from_logits", "label_smoothing", "axis"),
           KEYS("from_logits", "label_smoothing", "axis"), categorical_crossentropy(t, p, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS(CategoricalFocalCrossentropy, categorical_focal_crossentropy, KEYS("alpha", "gamma", "from_logits", "label_smoothing", "axis"),
           KEYS("from_logits", "label_smoothing", "axis", "alpha", "gamma"),
           categorical_focal_crossentropy(t, p, o.alpha, o.gamma, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS(SparseCategoricalCrossentropy, sparse_categorical_crossentropy, KEYS("from_logits", "ignore_class", "axis"),
           KEYS("from_logits", "ignore_class", "axis"), sparse_categorical_crossentropy(t, p, o.from_logits, o.ignore_class, o.axis))
KERAS_LOSS(CategoricalGeneralizedCrossEntropy, categorical_generalized_cross_entropy, KEYS("q"), KEYS("q"),
           categorical_generalized_cross_entropy(t, p, o.q))
KERAS_LOSS(Dice, dice, KEYS("axis"), KEYS("axis"), dice(t, p, o.axis))
KERAS_LOSS(Tversky, tversky, KEYS("alpha", "beta", "axis"), KEYS("alpha", "beta", "axis"), tversky(t, p, o.alpha, o.beta, o.axis))
KERAS_LOSS(Circle, circle, KEYS("remove_diagonal", "gamma", "margin"), KEYS("gamma", "margin", "remove_diagonal"),
           circle(t, p, {}, {}, o.remove_diagonal, o.gamma, o.margin))
KERAS_LOSS(CTC, ctc, KEYS(), KEYS(), ctc(t, p))
#undef KEYS
#undef KERAS_LOSS

struct Builtin {
  const char *class_name, *function_name;
  std::shared_ptr<Loss> (*make)(const Dict& config);
  LossFn (*function)(const Dict& kwargs);
};

template <class Options, class Class> constexpr Builtin builtin() {
  return {Traits<Options>::class_name, Traits<Options>::function_name,
          [](const Dict& config) -> std::shared_ptr<Loss> {
            return std::make_shared<Class>(read_options<Options>(config, std::string("loss ") + Traits<Options>::class_name));
          },
          [](const Dict& kwargs) -> LossFn {
            std::vector<std::string> known;
            for (const char* key : Traits<Options>::kwargs()) known.push_back(key);
            for (const auto& [key, value] : kwargs)
              if (std::find(known.begin(), known.end(), key) == known.end())
                throw ValueError(ErrorText{.what = "unknown keyword '" + key + "'" + did_you_mean(key, known), .where = Traits<Options>::function_name}.str());
            return [o = read_options<Options>(kwargs, Traits<Options>::function_name)](const Tensor& t, const Tensor& p) {
              return Traits<Options>::compute(o, t, p);
            };
          }};
}

#define KERAS_ROW(Name) builtin<Name##Options, Name>(),
constexpr Builtin kBuiltins[] = {KERAS_BUILTIN_LOSSES(KERAS_ROW)};
#undef KERAS_ROW

// Short forms of function names.
constexpr std::pair<const char*, const char*> kShort[] = {
    {"bce", "binary_crossentropy"},  {"BCE", "binary_crossentropy"},
    {"kld", "kl_divergence"},        {"KLD", "kl_divergence"},
    {"mae", "mean_absolute_error"},  {"MAE", "mean_absolute_error"},
    {"mse", "mean_squared_error"},   {"MSE", "mean_squared_error"},
    {"mape", "mean_absolute_percentage_error"}, {"MAPE", "mean_absolute_percentage_error"},
    {"msle", "mean_squared_logarithmic_error"}, {"MSLE", "mean_squared_logarithmic_error"}};

const Builtin* find_class(std::string_view name) {
  for (const Builtin& b : kBuiltins)
    if (name == b.class_name) return &b;
  return nullptr;
}
const Builtin* find_builtin_function(std::string_view name) {
  for (const auto& [short_name, full] : kShort)
    if (name == short_name) name = full;
  for (const Builtin& b : kBuiltins)
    if (name == b.function_name) return &b;
  return nullptr;
}

struct Registry {
  std::mutex mutex;
  std::map<std::string, LossFactory> classes;
  std::map<std::string, LossFn> functions;
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

std::shared_ptr<Loss> wrap_function(const std::string& function, const std::string& name) {
  auto loss = std::make_shared<LossFunctionWrapper>(function, Dict{}, LossOptions{.name = name});
  loss->as_plain_function();
  return loss;
}

std::shared_ptr<Loss> from_wrapper_config(const Dict& config) {
  Dict kwargs;
  LossOptions options;
  std::string function;
  for (const auto& [key, value] : config) {
    if (key == "name") {
      options.name = value.is_null() ? "" : value.as_string();
    } else if (key == "reduction") {
      options.reduction = value;
    } else if (key == "dtype") {
      options.dtype = value;
    } else if (key == "fn") {
      function = referenced_function(value);
      if (function.empty() && value.is_string()) function = value.as_string();
    } else {
      kwargs.set(key, value);
    }
  }
  if (function.empty())
    throw ValueError(ErrorText{.what = "the saved loss holds no function that has a name",
                               .where = "LossFunctionWrapper",
                               .received = config.find("fn") ? config.find("fn")->str() : "no \"fn\"",
                               .fix = "save a loss whose function was registered with losses::register_loss"}
                         .str());
  return std::make_shared<LossFunctionWrapper>(function, kwargs, options);
}

[[noreturn]] void unknown(const std::string& name) {
  throw ValueError(ErrorText{.what = "unknown loss '" + name + "'" + did_you_mean(name, known_names()),
                             .fix = "for a loss of your own, register it: losses::register_loss<MyLoss>(\"" + name + "\")"}
                       .str());
}

std::shared_ptr<Loss> from_name(const std::string& name) {
  if (find_builtin_function(name)) return wrap_function(name, name);
  if (const Builtin* b = find_class(name)) return b->make({});
  if (LossFactory make = find_registered(registry().classes, name)) return make({});
  if (find_registered(registry().functions, name)) return wrap_function(name, name);
  unknown(name);
}

std::shared_ptr<Loss> from_saved(const Value& saved) {
  if (std::string function = referenced_function(saved); !function.empty()) {
    if (!find_function(function, {})) unknown(function);
    return wrap_function(function, last_part(function));
  }
  const Value& class_name = saved.get("class_name");
  if (!class_name.is_string())
    throw ValueError(ErrorText{.what = "this is no saved loss", .expected = "a dictionary with \"class_name\" and \"config\"", .received = saved.str()}.str());
  const Value& config = saved.get("config");
  Dict dict = config.is_null() ? Dict{} : config.as_dict();
  const Value& registered = saved.get("registered_name");
  if (registered.is_string())
    if (LossFactory make = find_registered(registry().classes, registered.as_string())) return make(dict);
  const std::string& name = class_name.as_string();
  if (name == "LossFunctionWrapper") return from_wrapper_config(dict);
  if (const Builtin* b = find_class(name)) return b->make(dict);
  if (LossFactory make = find_registered(registry().classes, name)) return make(dict);
  if (name == "__lambda__")
    throw ValueError(ErrorText{.what = "the saved loss is a Python lambda, which can't be run here",
                               .fix = "register a function of the same meaning and save the model with its name"}
                         .str());
  unknown(registered.is_string() ? registered.as_string() : name);
}

}  // namespace

// ---- names
std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const Builtin& b : kBuiltins) names.push_back(b.class_name), names.push_back(b.function_name);
  for (const auto& [short_name, full] : kShort) names.push_back(short_name);
  std::lock_guard lock(registry().mutex);
  for (const auto& [key, entry] : registry().classes) names.push_back(key);
  for (const auto& [key, entry] : registry().functions) names.push_back(key);
  return names;
}

LossFn find_function(const std::string& name, const Dict& kwargs) {
  if (const Builtin* b = find_builtin_function(name)) return b->function(kwargs);
  LossFn fn = find_registered(registry().functions, name);
  if (fn && !kwargs.empty())
    throw ValueError(ErrorText{.what = "a registered function takes no keywords", .where = name, .received = Value(kwargs).str()}.str());
  return fn;
}

std::string name_of_function(const LossFn& fn) {
  using Plain = Tensor (*)(const Tensor&, const Tensor&);
  const Plain* target = fn.target<Plain>();
  if (!target) return "";
  static constexpr std::pair<Plain, const char*> plain[] = {
      {mean_squared_error, "mean_squared_error"}, {mean_absolute_error, "mean_absolute_error"},
      {mean_absolute_percentage_error, "mean_absolute_percentage_error"},
      {mean_squared_logarithmic_error, "mean_squared_logarithmic_error"}, {log_cosh, "log_cosh"}, {hinge, "hinge"},
      {squared_hinge, "squared_hinge"}, {categorical_hinge, "categorical_hinge"}, {kl_divergence, "kl_divergence"},
      {poisson, "poisson"}, {ctc, "ctc"}};
  for (const auto& [address, name] : plain)
    if (*target == address) return name;
  std::lock_guard lock(registry().mutex);
  for (const auto& [name, registered] : registry().functions)
    if (const Plain* p = registered.target<Plain>(); p && *p == *target) return name;
  return "";
}

Value saved_object(Value module, const std::string& class_name, Value config, Value registered_name) {
  return Dict{{"module", std::move(module)}, {"class_name", class_name}, {"config", std::move(config)}, {"registered_name", std::move(registered_name)}};
}

Value function_reference(const std::string& name) { return saved_object("builtins", "function", name, "function"); }

std::string referenced_function(const Value& v) {
  if (!v.is_dict() || !(v.get("class_name") == Value("function"))) return "";
  const Value& name = v.get("config");
  // Files of Keras 3.0 to 3.2 keep the name in registered_name too.
  return name.is_string() ? name.as_string() : "";
}

void register_loss(const std::string& registered_name, LossFactory factory, const std::type_info* type) {
  std::lock_guard lock(registry().mutex);
  registry().classes[registered_name] = std::move(factory);
  registry().registered_name_of[last_part(registered_name)] = registered_name;
  if (type) registry().registered_name_of[plain_type_name(*type)] = registered_name;
}

void register_loss(const std::string& registered_name, LossFn fn) {
  std::lock_guard lock(registry().mutex);
  registry().functions[registered_name] = std::move(fn);
}

std::shared_ptr<Loss> Loss::get(const Value& identifier) {
  if (identifier.is_null()) return nullptr;
  if (identifier.is_string()) return from_name(identifier.as_string());
  if (identifier.is_dict()) return from_saved(identifier);
  throw TypeError(ErrorText{.what = "this is no loss", .expected = "a name, a saved configuration, an object or a function", .received = identifier.str()}.str());
}

Value Loss::serialize() const {
  std::string cls = class_name(), registered = cls;
  {
    std::lock_guard lock(registry().mutex);
    auto at = registry().registered_name_of.find(cls);
    if (at != registry().registered_name_of.end()) registered = at->second;
  }
  return saved_object({}, cls, get_config(), registered);
}

// ---- functions as losses
LossFunctionWrapper::LossFunctionWrapper(LossFn fn, LossOptions options) : Loss(std::move(options)), fn_(std::move(fn)) {
  if (!fn_) throw ValueError(ErrorText{.what = "the function of a loss is empty", .where = "LossFunctionWrapper"}.str());
  function_ = name_of_function(fn_);
}

LossFunctionWrapper::LossFunctionWrapper(const std::string& function, const Dict& kwargs, LossOptions options)
    : Loss(std::move(options)), fn_(find_function(function, kwargs)), kwargs_(kwargs) {
  if (!fn_) unknown(function);
  const Builtin* b = find_builtin_function(function);
  function_ = b ? b->function_name : function;
}

Tensor LossFunctionWrapper::call(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = squeeze_or_expand_to_same_rank(y_true, y_pred);
  return fn_(t, p);
}

static void need_name(const std::string& function, const std::string& loss) {
  if (function.empty())
    throw ValueError(ErrorText{.what = "a nameless function can't be saved",
                               .where = "loss \"" + loss + "\"",
                               .fix = "register it and use its name: losses::register_loss(\"my_loss\", fn)"}
                         .str());
}

Dict LossFunctionWrapper::get_config() const {
  need_name(function_, name());
  Dict config = Loss::get_config();
  config.set("fn", function_reference(function_));
  for (const auto& [key, value] : kwargs_) config.set(key, value);
  return config;
}

Value LossFunctionWrapper::serialize() const {
  need_name(function_, name());
  if (plain_) return function_reference(function_);
  return saved_object("keras.src.losses.losses", class_name(), get_config(), class_name());
}

// ---- Keras' classes
template <class Options>
BuiltinLoss<Options>::BuiltinLoss(Options options) : Loss({.reduction = options.reduction, .name = options.name, .dtype = options.dtype}), options_(std::move(options)) {
  if constexpr (std::is_same_v<Options, CategoricalGeneralizedCrossEntropyOptions>) {
    if (!(options_.q > 0 && options_.q < 1))
      throw ValueError(ErrorText{.what = "q must be in the interval (0, 1)", .where = class_name(), .received = float_repr(options_.q)}.str());
  }
}

template <class Options> Tensor BuiltinLoss<Options>::call(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = squeeze_or_expand_to_same_rank(y_true, y_pred);
  return Traits<Options>::compute(options_, t, p);
}

template <class Options> Dict BuiltinLoss<Options>::get_config() const {
  Dict config = Loss::get_config();
  for (const char* key : Traits<Options>::saved()) config.set(key, option_value(options_, key));
  return config;
}

// Each class is called in C++ what it is called in Keras; classes derived from it have names of their own.
template <class Options> std::string BuiltinLoss<Options>::class_name() const {
  return typeid(*this) == typeid(BuiltinLoss) ? Traits<Options>::class_name : plain_type_name(typeid(*this));
}

template <class Options> Value BuiltinLoss<Options>::serialize() const {
  if (class_name() != Traits<Options>::class_name) return Loss::serialize();
  return saved_object("keras.losses", class_name(), get_config(), {});
}

#define KERAS_INSTANTIATE(Name) template class BuiltinLoss<Name##Options>;
KERAS_BUILTIN_LOSSES(KERAS_INSTANTIATE)
#undef KERAS_INSTANTIATE

}  // namespace keras::losses

namespace keras {

LossSpec::LossSpec(losses::LossFn fn, const std::string& name) {
  std::string known = name.empty() ? losses::name_of_function(fn) : name;
  auto loss = std::make_shared<losses::LossFunctionWrapper>(std::move(fn), losses::LossOptions{.name = known.empty() ? "lambda" : known});
  loss->as_plain_function();
  static_cast<Spec&>(*this) = Spec(std::shared_ptr<losses::Loss>(std::move(loss)));
}

LossSpec losses::resolve(const LossSpec& spec, const Shape& y_true, const Shape& y_pred) {
  if (!spec.given().is_string()) return spec;
  const std::string& name = spec.given().as_string();
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower != "crossentropy" && lower != "ce") return spec;
  auto [binary, sparse] = binary_or_sparse(y_true, y_pred);
  return wrap_function(binary ? "binary_crossentropy" : sparse ? "sparse_categorical_crossentropy" : "categorical_crossentropy", name);
}

}  // namespace keras
