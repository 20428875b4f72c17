// What lives here: the table of the corpus' kinds.
#include "conformance/kinds.h"

namespace keras::conformance {

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"layers", "class", false, replay_layer},
      {"models", "slug", false, nullptr},
      {"losses", "class", true, nullptr},
      {"metrics", "class", true, nullptr},
      {"optimizers", "class", true, nullptr},
      {"schedules", "class", true, nullptr},
      {"activations", "function", true, nullptr},
      {"initializers", "class", true, nullptr},
      {"regularizers", "class", true, nullptr},
      {"constraints", "class", true, nullptr},
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
