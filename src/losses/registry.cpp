// What lives here: the classes of Keras' losses (what each saves and which function it calls), the names that `get` knows, and the
// losses that users registered.
#include <algorithm>
#include <iterator>
#include <sstream>

#include "core/impl.h"
#include "losses/registry.h"

namespace keras::losses {

// Keras' functions, KERAS_LOSS_ROW(Name, function, keywords, saved keywords, expression).
#define KERAS_LOSS_ROW(Name, function, keys, saved_keys, expression) KERAS_FUNCTION_TRAITS(losses, Name, function, keys, saved_keys, expression)
KERAS_LOSSES_AND_METRICS(KERAS_LOSS_ROW)
// Keras 3.15 forgets axis and delta of these two and the axis of the sparse crossentropy; 3.16 saves them, and both read them.
KERAS_LOSS_ROW(CosineSimilarity, cosine_similarity, "axis", "axis", cosine_similarity(t, p, o.axis))
KERAS_LOSS_ROW(Huber, huber, "delta", "delta", huber(t, p, o.delta))
KERAS_LOSS_ROW(LogCosh, log_cosh, "", "", log_cosh(t, p))
KERAS_LOSS_ROW(BinaryCrossentropy, binary_crossentropy, "from_logits label_smoothing axis", "from_logits label_smoothing axis",
           binary_crossentropy(t, p, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS_ROW(BinaryFocalCrossentropy, binary_focal_crossentropy,
           "apply_class_balancing alpha gamma from_logits label_smoothing axis",
           "from_logits label_smoothing axis apply_class_balancing alpha gamma",
           binary_focal_crossentropy(t, p, o.apply_class_balancing, o.alpha, o.gamma, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS_ROW(CategoricalFocalCrossentropy, categorical_focal_crossentropy, "alpha gamma from_logits label_smoothing axis",
           "from_logits label_smoothing axis alpha gamma",
           categorical_focal_crossentropy(t, p, o.alpha, o.gamma, o.from_logits, o.label_smoothing, o.axis))
KERAS_LOSS_ROW(CategoricalGeneralizedCrossEntropy, categorical_generalized_cross_entropy, "q", "q",
           categorical_generalized_cross_entropy(t, p, o.q))
KERAS_LOSS_ROW(Dice, dice, "axis", "axis", dice(t, p, o.axis))
KERAS_LOSS_ROW(Tversky, tversky, "alpha beta axis", "alpha beta axis", tversky(t, p, o.alpha, o.beta, o.axis))
KERAS_LOSS_ROW(Circle, circle, "remove_diagonal gamma margin", "gamma margin remove_diagonal",
           circle(t, p, {}, {}, o.remove_diagonal, o.gamma, o.margin))
KERAS_LOSS_ROW(CTC, ctc, "", "", ctc(t, p))
#undef KERAS_LOSS_ROW

namespace {

struct Builtin {
  const char *class_name, *function_name;
  std::shared_ptr<Loss> (*make)(const Dict& config);
  LossFn (*function)(const Dict& kwargs);
};

template <class Options, class Class> constexpr Builtin builtin() {
  using Traits = FunctionTraits<Options>;
  return {Traits::class_name, Traits::function_name,
          [](const Dict& config) -> std::shared_ptr<Loss> {
            return std::make_shared<Class>(read_options<Options>(config, std::string("loss ") + Traits::class_name));
          },
          function_with<Options>};
}

#define KERAS_ROW(Name) builtin<Name##Options, Name>(),
constexpr Builtin kBuiltins[] = {KERAS_BUILTIN_LOSSES(KERAS_ROW)};
#undef KERAS_ROW

// Short forms of function names.
constexpr ShortName kShort[] = {
    {"bce", "binary_crossentropy"},  {"BCE", "binary_crossentropy"},
    {"kld", "kl_divergence"},        {"KLD", "kl_divergence"},
    {"mae", "mean_absolute_error"},  {"MAE", "mean_absolute_error"},
    {"mse", "mean_squared_error"},   {"MSE", "mean_squared_error"},
    {"mape", "mean_absolute_percentage_error"}, {"MAPE", "mean_absolute_percentage_error"},
    {"msle", "mean_squared_logarithmic_error"}, {"MSLE", "mean_squared_logarithmic_error"}};

const Builtin* find_loss_class(std::string_view name) {
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

std::shared_ptr<Loss> wrap_loss_function(const std::string& function, const std::string& name) {
  auto loss = std::make_shared<LossFunctionWrapper>(function, Dict{}, LossOptions{.name = name});
  loss->as_plain_function();
  return loss;
}

std::shared_ptr<Loss> loss_from_wrapper(const Dict& config) {
  SavedWrapper saved = read_wrapper(config, {"name", "reduction", "dtype"}, "loss", "LossFunctionWrapper");
  return std::make_shared<LossFunctionWrapper>(saved.function, saved.kwargs, read_options<LossOptions>(saved.own, "LossFunctionWrapper"));
}

Names<Loss>& loss_names() {
  static Names<Loss> names{
      .kind = "loss",
      .builtin_class = [](const std::string& name) -> Names<Loss>::Make {
        if (name == "LossFunctionWrapper") return loss_from_wrapper;
        const Builtin* b = find_loss_class(name);
        return b ? b->make : nullptr;
      },
      .builtin_name = [](const std::string& name) -> std::shared_ptr<Loss> {
        if (find_builtin_function(name)) return wrap_loss_function(name, name);
        const Builtin* b = find_loss_class(name);
        return b ? b->make({}) : nullptr;
      },
      .wrap = [](const std::string& function) { return wrap_loss_function(function, serial::last_part(function)); },
      .is_function = [](const std::string& name) { return find_function(name, {}) != nullptr; },
      .known = known_names};
  return names;
}

}  // namespace

// ---- names
std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const Builtin& b : kBuiltins) names.push_back(b.class_name), names.push_back(b.function_name);
  for (const auto& [short_name, full] : kShort) names.push_back(short_name);
  return loss_names().with_registered(std::move(names));
}

std::vector<std::string> words(const char* list) {
  std::istringstream in(list);
  return {std::istream_iterator<std::string>(in), {}};
}

SavedWrapper read_wrapper(const Dict& config, const std::vector<std::string>& own, const std::string& kind, const char* where) {
  SavedWrapper out;
  for (const auto& [key, value] : config) {
    if (key == "fn") {
      out.function = value.is_string() ? value.as_string() : referenced_function(value);
    } else if (std::find(own.begin(), own.end(), key) == own.end()) {
      out.kwargs.set(key, value);
    } else if (!(key == "name" && value.is_null())) {
      out.own.set(key, value);
    }
  }
  if (out.function.empty())
    throw ValueError(ErrorText{.what = "the saved " + kind + " holds no function that has a name",
                               .where = where,
                               .received = config.find("fn") ? config.find("fn")->str() : "no \"fn\"",
                               .fix = "save a " + kind + " whose function was registered with register_" + kind}
                         .str());
  return out;
}

LossFn without_keywords(LossFn fn, const std::string& name, const Dict& kwargs) {
  if (fn && !kwargs.empty())
    throw ValueError(ErrorText{.what = "a registered function takes no keywords", .where = name, .received = Value(kwargs).str()}.str());
  return fn;
}

LossFn find_function(const std::string& name, const Dict& kwargs) {
  if (const Builtin* b = find_builtin_function(name)) return b->function(kwargs);
  return without_keywords(loss_names().functions.find(name), name, kwargs);
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
  return loss_names().functions.name_of(fn);
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
  loss_names().classes.add(registered_name, std::move(factory), type);
}
void register_loss(const std::string& registered_name, LossFn fn) { loss_names().functions.add(registered_name, std::move(fn)); }

std::shared_ptr<Loss> Loss::get(const Value& identifier) { return loss_names().get(identifier); }

Value Loss::serialize() const {
  std::string cls = class_name(), registered = loss_names().classes.name_of(typeid(*this), cls);
  return saved_object({}, cls, get_config(), registered.empty() ? cls : registered);
}

// ---- functions as losses
LossFunctionWrapper::LossFunctionWrapper(LossFn fn, LossOptions options) : Loss(std::move(options)), fn_(std::move(fn)) {
  if (!fn_) throw ValueError(ErrorText{.what = "the function of a loss is empty", .where = "LossFunctionWrapper"}.str());
  function_ = name_of_function(fn_);
}

LossFunctionWrapper::LossFunctionWrapper(const std::string& function, const Dict& kwargs, LossOptions options)
    : Loss(std::move(options)), fn_(find_function(function, kwargs)), kwargs_(kwargs) {
  if (!fn_) loss_names().unknown(function);
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
  return FunctionTraits<Options>::compute(options_, t, p);
}

template <class Options> Dict BuiltinLoss<Options>::get_config() const {
  Dict config = Loss::get_config();
  for (const std::string& key : FunctionTraits<Options>::saved()) config.set(key, option_value(options_, key));
  return config;
}

// Each class is called in C++ what it is called in Keras; classes derived from it have names of their own.
template <class Options> std::string BuiltinLoss<Options>::class_name() const {
  return class_name_of<Loss, BuiltinLoss>(*this, FunctionTraits<Options>::class_name);
}

template <class Options> Value BuiltinLoss<Options>::serialize() const {
  if (class_name() != FunctionTraits<Options>::class_name) return Loss::serialize();
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
  return wrap_loss_function(binary ? "binary_crossentropy" : sparse ? "sparse_categorical_crossentropy" : "categorical_crossentropy", name);
}

}  // namespace keras
