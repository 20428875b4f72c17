// What lives here: what losses and metrics share below their classes: ranks, masks, weights, reductions, dtypes, options. No loss itself.
#pragma once
#include <string>
#include <type_traits>
#include <utility>

#include <keras/config.h>
#include <keras/losses.h>

namespace keras::losses {

/// The dtype that a `dtype` option asks to compute in: a name, a policy's name or a saved policy; `fallback` for none.
DType compute_dtype(const Value& dtype, DType fallback = config::floatx_dtype());

/// The reduction checked; "None" in its spellings becomes null. ValueError naming the allowed ones otherwise.
Value standardize_reduction(const Value& reduction);

/// Squeezes or expands the last axis of one when the ranks differ by exactly one and that axis has size 1.
std::pair<Tensor, Tensor> squeeze_or_expand_to_same_rank(const Tensor& x1, const Tensor& x2, bool expand_rank_1 = true);

/// Warns when labels and predictions of equal rank don't match and would be broadcast against each other.
void warn_if_broadcast(const Tensor& y_true, const Tensor& y_pred, const char* where);

/// The number of elements as a scalar, also where sizes are not known yet.
Tensor count_elements(const Tensor& x, DType dtype);

/// A mask as weights times the sample weight (either may be absent). `rescale`: valid elements count total/valid, so that a mean over all
/// elements becomes one over the valid ones.
Tensor apply_mask(const Tensor& sample_weight, const Tensor& mask, DType dtype, bool rescale);

Tensor reduce_weighted_values(const Tensor& values, const Tensor& sample_weight, const Tensor& mask, const Value& reduction, DType dtype);

/// The function of a registered name with keyword arguments; null when the name is unknown.
LossFn find_function(const std::string& name, const Dict& kwargs);
/// Name of a function that was given by its address ("" when it is not one of Keras').
std::string name_of_function(const LossFn& fn);
/// {"module", "class_name", "config", "registered_name"}, where the module may be null.
Value saved_object(Value module, const std::string& class_name, Value config, Value registered_name);
/// {"module": "builtins", "class_name": "function", …}: how Keras saves a function.
Value function_reference(const std::string& name);
/// The name in a saved function, "" when `v` is none.
std::string referenced_function(const Value& v);

/// What shapes of labels and predictions (with batch axis) tell: binary when there is one output, sparse when labels are numbers of
/// classes. This is what "accuracy" and "crossentropy" mean by.
struct TaskKind {
  bool binary, sparse;
};
TaskKind binary_or_sparse(const Shape& y_true, const Shape& y_pred);

// ---- options
inline void read_field(Axes& field, const Value& v) {
  if (v.is_null()) {
    field = Axes();
  } else if (v.is_int()) {
    field = Axes(v.as_int());
  } else {
    std::vector<int> axes;
    for (int64_t a : v.as_ints()) axes.push_back(static_cast<int>(a));
    field = Axes(std::move(axes));
  }
}
template <class T> void read_field(T& field, const Value& v) { field = serial::reader<T>::read(v); }

inline Value field_value(const Axes& field) {
  if (field.all()) return {};
  if (field.single()) return field.list()[0];
  return field.list();
}
template <class T> Value field_value(const T& field) { return serial::to_value(field); }

/// Keyword arguments into options; ValueError on unknown keys (with the nearest known one) and on values of the wrong kind.
template <class Options> Options read_options(const Dict& config, const std::string& where) {
  Options options{};
  for (const auto& [key, value] : config) {
    bool known = false;
    Options::each_field(options, [&, &key = key, &value = value](const char* name, auto& field) {  // by name: clang 14 asks for that
      if (key != name) return;
      known = true;
      try {
        read_field(field, value);
      } catch (const Error& e) {
        throw ValueError(ErrorText{.what = "the option '" + key + "' can't be read: " + e.what(), .where = where, .received = value.str()}.str());
      }
    });
    if (!known) {
      std::vector<std::string> names = serial::field_names<Options>();
      throw ValueError(ErrorText{.what = "unknown option '" + key + "'" + did_you_mean(key, names), .where = where}.str());
    }
  }
  return options;
}

/// The field of this name as saved.
template <class Options> Value option_value(const Options& options, std::string_view wanted) {
  Value out;
  Options::each_field(options, [&](const char* name, const auto& field) {
    if (wanted == name) out = field_value(field);
  });
  return out;
}

}  // namespace keras::losses
