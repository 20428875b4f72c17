// What lives here: what the optimizers' sources share: options in and out, conditional updates, scalars. No update rule.
#pragma once
#include <functional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include <keras/base/warning.h>
#include <keras/ops.h>
#include <keras/optimizers.h>

namespace keras::optimizers {

/// Runs `body`, and keeps what it assigned to `variables` only where the scalar `condition` holds. A condition whose number is known
/// decides at once; a traced one becomes a selection.
void assign_when(const Tensor& condition, const std::vector<Variable>& variables, const std::function<void()>& body);

/// A scalar of exactly this dtype: what Keras' `ops.cast(number, dtype)` gives.
inline Tensor constant(double value, DType dtype) { return Tensor::full({}, value, dtype); }

/// The number of the update under way, from 1.
inline Tensor local_step(const Tensor& update_count, DType dtype) { return ops::cast(update_count + 1, dtype); }

/// Keras' own class, not one that derives from it outside.
bool is_builtin(const std::type_info& type);
bool is_builtin_schedule(const std::type_info& type);

/// The fields that every optimizer has.
template <class Options> OptimizerOptions base_of(Options& options) {
  OptimizerOptions base;
  OptimizerOptions::each_field(base, [&](const std::string_view name, auto& to) {
    Options::each_field(options, [&](const std::string_view own, auto& from) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(from)>, std::remove_cvref_t<decltype(to)>>)
        if (name == own) to = from;
    });
  });
  return base;
}

/// `config` followed by the fields that are this class' own.
template <class Options> Dict with_own_fields(Dict config, const Options& options) {
  Options::each_field(options, [&](const char* name, const auto& field) {
    if (!config.contains(name)) config.set(name, serial::to_value(field));
  });
  return config;
}

/// A saved configuration into options. ValueError on unknown entries and on values of the wrong kind.
template <class Options> Options read_options(const Dict& config, const std::string& where) {
  Options options{};
  std::vector<std::string> names = serial::field_names<Options>();
  Dict known;
  for (const auto& [key, value] : config) {
    // Written by old releases; Keras 3 knows them no more.
    if (key == "decay" || key == "jit_compile" || key == "is_legacy_optimizer") {
      if (key == "decay" && !value.is_null() && !(value.is_number() && value.as_float() == 0))
        warn(where + ": the option 'decay' is no longer supported and is ignored; use a learning rate schedule");
      continue;
    }
    if (std::find(names.begin(), names.end(), key) == names.end())
      throw ValueError(
          ErrorText{.what = "unknown option '" + key + "'" + did_you_mean(key, names), .where = where, .received = value.str()}.str());
    if (key == "name" && value.is_null()) continue;
    known.set(key, value);
  }
  serial::from_config(options, known, where);
  return options;
}

}  // namespace keras::optimizers
