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
      {"preprocessing", "class", true, replay_preprocessing},
      {"ops", "function", true, replay_function},
      {"fn", "function", true, replay_function},
      {"ops_grad", "function", true, replay_function_gradient},
      {"ops_symbolic", "function", true, replay_function_symbolic},
      {"ops_dtype", "function", true, replay_function_dtype},
  };
  return all;
}

}  // namespace keras::conformance
