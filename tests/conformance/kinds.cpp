// What lives here: the table of the corpus' kinds.
#include "conformance/kinds.h"

namespace keras::conformance {

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"layers", "class", false, replay_layer},
      {"models", "slug", false, replay_model},
      {"losses", "class", true, replay_loss},
      {"metrics", "class", true, replay_metric},
      {"optimizers", "class", true, replay_optimizer},
      {"schedules", "class", true, replay_schedule},
      {"activations", "function", true, replay_activation},
      {"initializers", "class", true, replay_initializer},
      {"regularizers", "class", true, replay_regularizer},
      {"constraints", "class", true, replay_constraint},
      {"preprocessing", "class", true, nullptr},
      {"ops", "function", true, nullptr},
      {"fn", "function", true, nullptr},
      {"ops_grad", "function", true, nullptr},
      {"ops_symbolic", "function", true, nullptr},
      {"ops_dtype", "function", true, nullptr},
  };
  return all;
}

}  // namespace keras::conformance
