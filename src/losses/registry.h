// What lives here: what the tables of losses and of metrics have in common: the traits of a function and of the class made of it, keyword
// arguments, saved functions, and how an object is found from a name or a saved configuration. No loss and no metric.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "losses/loss.h"
#include "serial/naming.h"
#include "serial/registered.h"

namespace keras::losses {

/// The words of a list like "alpha beta".
std::vector<std::string> words(const char* list);

/// What a class of a function is called, which keywords its function takes, which of them it saves (in Keras' order), what it computes.
template <class Options> struct FunctionTraits;
#define KERAS_FUNCTION_TRAITS(Space, Name, function, keys, saved_keys, expression)                                                 \
  template <> struct FunctionTraits<Space::Name##Options> {                                                                        \
    static constexpr const char *class_name = #Name, *function_name = #function;                                                   \
    static std::vector<std::string> kwargs() { return words(keys); }                                                               \
    static std::vector<std::string> saved() { return words(saved_keys); }                                                          \
    static Tensor compute([[maybe_unused]] const Space::Name##Options& o, const Tensor& t, const Tensor& p) { return expression; } \
  };
/// Functions that are losses and metrics alike: X(Name, function, keywords, saved keywords, expression).
#define KERAS_LOSSES_AND_METRICS(X)                                                                                       \
  X(MeanSquaredError, mean_squared_error, "", "", losses::mean_squared_error(t, p))                                       \
  X(MeanAbsoluteError, mean_absolute_error, "", "", losses::mean_absolute_error(t, p))                                    \
  X(MeanAbsolutePercentageError, mean_absolute_percentage_error, "", "", losses::mean_absolute_percentage_error(t, p))    \
  X(MeanSquaredLogarithmicError, mean_squared_logarithmic_error, "", "", losses::mean_squared_logarithmic_error(t, p))    \
  X(Hinge, hinge, "", "", losses::hinge(t, p))                                                                            \
  X(SquaredHinge, squared_hinge, "", "", losses::squared_hinge(t, p))                                                     \
  X(CategoricalHinge, categorical_hinge, "", "", losses::categorical_hinge(t, p))                                         \
  X(KLDivergence, kl_divergence, "", "", losses::kl_divergence(t, p))                                                     \
  X(Poisson, poisson, "", "", losses::poisson(t, p))                                                                      \
  X(CategoricalCrossentropy, categorical_crossentropy, "from_logits label_smoothing axis",                                \
    "from_logits label_smoothing axis", losses::categorical_crossentropy(t, p, o.from_logits, o.label_smoothing, o.axis)) \
  X(SparseCategoricalCrossentropy, sparse_categorical_crossentropy, "from_logits ignore_class axis",                      \
    "from_logits ignore_class axis", losses::sparse_categorical_crossentropy(t, p, o.from_logits, o.ignore_class, o.axis))

/// The function of a class with keyword arguments; ValueError naming the nearest on unknown ones.
template <class Options> LossFn function_with(const Dict& kwargs) {
  using Traits = FunctionTraits<Options>;
  std::vector<std::string> known = Traits::kwargs();
  for (const auto& [key, value] : kwargs)
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw ValueError(ErrorText{.what = "unknown keyword '" + key + "'" + did_you_mean(key, known), .where = Traits::function_name}.str());
  return [o = read_options<Options>(kwargs, Traits::function_name)](const Tensor& t, const Tensor& p) { return Traits::compute(o, t, p); };
}

/// The name of a class that is made from a function, or of one that derives from it.
template <class Object, class Base> std::string class_name_of(const Object& object, const char* name) {
  return typeid(object) == typeid(Base) ? name : serial::plain_type_name(typeid(object));
}

/// Short forms of names: "mse" for "mean_squared_error".
struct ShortName {
  const char *short_name, *full;
};

/// The saved form of a function with keywords as a loss or metric: which function, the keywords, and the entries of the class itself.
struct SavedWrapper {
  std::string function;
  Dict kwargs, own;
};
/// `own`: the names of the class' entries. ValueError when there is no function with a name; `kind` is "loss" or "metric".
SavedWrapper read_wrapper(const Dict& config, const std::vector<std::string>& own, const std::string& kind, const char* where);

/// A function that was registered takes no keywords: ValueError when there are some.
LossFn without_keywords(LossFn fn, const std::string& name, const Dict& kwargs);

/// What users registered of one kind, and how objects are found. `Object` is Loss or Metric.
template <class Object> struct Names {
  using Made = std::shared_ptr<Object>;
  using Make = std::function<Made(const Dict&)>;

  /// "loss" or "metric".
  std::string kind;
  /// Keras' class of this name, empty when there is none: as saved, and as a user may write it.
  Make (*builtin_class)(const std::string& name);
  /// Keras' object for what a user may write, null when there is none.
  Made (*builtin_name)(const std::string& name);
  /// A function of this name as an object; `named`: where the name is all that is known of it.
  Made (*wrap)(const std::string& function);
  bool (*is_function)(const std::string& name);
  std::vector<std::string> (*known)();
  serial::RegisteredClasses<Object> classes{};
  serial::RegisteredFunctions<Tensor(const Tensor&, const Tensor&)> functions{};

  [[noreturn]] void unknown(const std::string& name) const {
    throw ValueError(ErrorText{.what = "unknown " + kind + " '" + name + "'" + did_you_mean(name, known()),
                               .fix = "for one of your own, register it: " + kind + (kind == "loss" ? "es" : "s") + "::register_" + kind + "<MyClass>(\"" + name + "\")"}.str());
  }
  Made from_name(const std::string& name) const {
    if (Made made = builtin_name(name)) return made;
    if (Make make = classes.find(name)) return make({});
    if (functions.find(name)) return wrap(name);
    unknown(name);
  }
  Made from_saved(const Value& saved) const {
    if (std::string function = referenced_function(saved); !function.empty()) {
      if (!is_function(function)) unknown(function);
      return wrap(function);
    }
    const Value& class_name = saved.get("class_name");
    if (!class_name.is_string())
      throw ValueError(ErrorText{.what = "this is no saved " + kind, .expected = "a dictionary with \"class_name\" and \"config\"", .received = saved.str()}.str());
    const Value& config = saved.get("config");
    Dict dict = config.is_null() ? Dict{} : config.as_dict();
    const Value& registered = saved.get("registered_name");
    if (registered.is_string())
      if (Make make = classes.find(registered.as_string())) return make(dict);
    const std::string& name = class_name.as_string();
    if (Make make = builtin_class(name)) return serial::naming_entries(name, dict, [&] { return make(dict); });
    if (Make make = classes.find(name)) return make(dict);
    if (name == "__lambda__")
      throw ValueError(ErrorText{.what = "the saved " + kind + " is a Python lambda, which can't be run here",
                                 .fix = "register a function of the same meaning and save the model with its name"}.str());
    unknown(registered.is_string() ? registered.as_string() : name);
  }
  Made get(const Value& identifier) const {
    if (identifier.is_null()) return nullptr;
    if (identifier.is_string()) return from_name(identifier.as_string());
    if (identifier.is_dict()) return from_saved(identifier);
    throw TypeError(ErrorText{.what = "this is no " + kind, .expected = "a name, a saved configuration, an object or a function", .received = identifier.str()}.str());
  }
  /// The names that users registered, after `builtin`.
  std::vector<std::string> with_registered(std::vector<std::string> builtin) const {
    for (const std::string& name : classes.names()) builtin.push_back(name);
    for (const std::string& name : functions.names()) builtin.push_back(name);
    return builtin;
  }
};

}  // namespace keras::losses
