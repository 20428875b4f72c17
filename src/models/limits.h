// What lives here: the limits of keras::config on what fit, evaluate and predict do.
#pragma once
#include <optional>
#include <string>

#include <keras/base/warning.h>
#include <keras/config.h>
#include <keras/models/model.h>

namespace keras::models {

/// `steps`, or fewer where there is a limit; with a warning, as in Keras.
inline void limit_steps(std::optional<int64_t>& steps) {
  std::optional<int64_t> most = config::max_steps_per_epoch();
  if (!most || (steps && *steps <= *most)) return;
  warn("Limiting steps_per_epoch to " + std::to_string(*most));
  steps = most;
}
inline FitOptions limited(FitOptions o) {
  if (std::optional<int64_t> most = config::max_epochs(); most && *most < o.epochs) {
    warn("Limiting epochs to " + std::to_string(*most));
    o.epochs = static_cast<int>(*most);
  }
  limit_steps(o.steps_per_epoch);
  if (!o.validation_data.empty() || o.validation_split != 0) limit_steps(o.validation_steps);
  return o;
}
template <class Options> Options limited(Options o) {
  limit_steps(o.steps);
  return o;
}

}  // namespace keras::models
