// What lives here: how an aggregate of options becomes a configuration and back: its fields are named once, in Keras' order.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <keras/base/error.h>
#include <keras/base/value.h>

// KERAS_FIELDS(units, activation, use_bias): inside an aggregate, names its fields for configurations. Up to 48.
#define KERAS_FIELDS(...)                                                                          \
  template <class Options, class F> static void each_field(Options& o, F&& f) { KERAS_EACH(KERAS_FIELD, __VA_ARGS__) }
#define KERAS_FIELD(name) f(#name, o.name);
#define KERAS_PARENS ()
#define KERAS_EXPAND(...) KERAS_EXPAND4(KERAS_EXPAND4(KERAS_EXPAND4(__VA_ARGS__)))
#define KERAS_EXPAND4(...) KERAS_EXPAND3(KERAS_EXPAND3(KERAS_EXPAND3(KERAS_EXPAND3(__VA_ARGS__))))
#define KERAS_EXPAND3(...) KERAS_EXPAND2(KERAS_EXPAND2(KERAS_EXPAND2(KERAS_EXPAND2(__VA_ARGS__))))
#define KERAS_EXPAND2(...) __VA_ARGS__
#define KERAS_EACH(macro, ...) __VA_OPT__(KERAS_EXPAND(KERAS_EACH_STEP(macro, __VA_ARGS__)))
#define KERAS_EACH_STEP(macro, a, ...) macro(a) __VA_OPT__(KERAS_EACH_AGAIN KERAS_PARENS(macro, __VA_ARGS__))
#define KERAS_EACH_AGAIN() KERAS_EACH_STEP

// KERAS_EMPTY_BRACES(Adam): inside a class made from options alone, takes the `{}` of `Adam({})`, which could be options or another Adam.
#define KERAS_EMPTY_BRACES(Class) explicit Class(::keras::serial::NoOption) : Class() {}

namespace keras::serial {

/// What empty braces are, and nothing else: no value converts to it.
enum class NoOption : char {};

// A type takes part by having `Value serialize() const` and a constructor from Value; plain types are here.
inline Value to_value(bool v) { return v; }
inline Value to_value(int v) { return v; }
inline Value to_value(int64_t v) { return v; }
inline Value to_value(double v) { return v; }
inline Value to_value(float v) { return v; }
inline Value to_value(const std::string& v) { return v; }
inline Value to_value(const Shape& v) { return v; }
inline Value to_value(const Value& v) { return v; }
inline Value to_value(DType v) { return v; }
template <class T>
  requires requires(const T& t) { t.serialize(); }
Value to_value(const T& v) { return v.serialize(); }
template <class T> Value to_value(const std::vector<T>& v) {
  List l;
  for (const auto& e : v) l.push_back(to_value(e));
  return l;
}
template <class T> Value to_value(const std::optional<T>& v) { return v ? to_value(*v) : Value(); }

template <class T> struct reader {
  static T read(const Value& v) { return T(v); }
};
template <> struct reader<bool> { static bool read(const Value& v) { return v.as_bool(); } };
template <> struct reader<int> {
  static int read(const Value& v) {
    int64_t i = v.as_int();
    if (i < INT32_MIN || i > INT32_MAX) throw ValueError("an int of 32 bits is expected, received " + v.str());
    return static_cast<int>(i);
  }
};
template <> struct reader<int64_t> { static int64_t read(const Value& v) { return v.as_int(); } };
template <> struct reader<double> { static double read(const Value& v) { return v.as_float(); } };
template <> struct reader<float> { static float read(const Value& v) { return static_cast<float>(v.as_float()); } };
template <> struct reader<std::string> { static std::string read(const Value& v) { return v.as_string(); } };
template <> struct reader<Shape> { static Shape read(const Value& v) { return v.as_shape(); } };
template <> struct reader<Value> { static Value read(const Value& v) { return v; } };
template <> struct reader<DType> { static DType read(const Value& v) { return dtype_from_name(v.as_string()); } };
template <class T> struct reader<std::vector<T>> {
  static std::vector<T> read(const Value& v) {
    std::vector<T> out;
    for (const Value& e : v.as_list()) out.push_back(reader<T>::read(e));
    return out;
  }
};
template <class T> struct reader<std::optional<T>> {
  static std::optional<T> read(const Value& v) { return v.is_null() ? std::nullopt : std::optional<T>(reader<T>::read(v)); }
};

/// The options as a dictionary, fields in order.
template <class Options> Dict to_config(const Options& options) {
  Dict d;
  Options::each_field(options, [&](const char* name, const auto& field) { d.set(name, to_value(field)); });
  return d;
}

/// Reads the fields that `config` names into `options`; the others keep their values. Errors name the field.
template <class Options> void from_config(Options& options, const Dict& config, const std::string& where) {
  Options::each_field(options, [&](const char* name, auto& field) {
    const Value* v = config.find(name);
    if (!v) return;
    try {
      field = reader<std::decay_t<decltype(field)>>::read(*v);
    } catch (const Error& e) {
      throw ValueError(ErrorText{.what = "the configuration entry '" + std::string(name) + "' can't be read: " + e.what(), .where = where, .received = v->str()}.str());
    }
  });
}

/// The names of the fields, for errors about unknown keys.
template <class Options> std::vector<std::string> field_names() {
  std::vector<std::string> names;
  Options o{};
  Options::each_field(o, [&](const char* name, auto&) { names.push_back(name); });
  return names;
}

/// {"module", "class_name", "config", "registered_name"}: how Keras saves an object.
inline Value object(const std::string& module, const std::string& class_name, Dict config, Value registered_name = {}) {
  return Dict{{"module", module}, {"class_name", class_name}, {"config", std::move(config)}, {"registered_name", std::move(registered_name)}};
}

}  // namespace keras::serial
