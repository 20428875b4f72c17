// What lives here: the kinds of the corpus: what replays a unit of each.
#pragma once
#include <functional>
#include <vector>

#include "conformance/unit.h"

namespace keras::conformance {

/// Replays one unit: `record` is null for kinds of one case per folder. Throws Unsupported where a class or function is not there.
using Replay = std::function<void(const Folder& folder, const Value& record, Check& check)>;

struct Kind {
  const char* name;     // the folder
  const char* of;       // the field of case.json that names the class or function
  bool packed = true;   // one class per folder, with records
  Replay replay;        // null: the kind is not replayed yet
};

/// In the order in which they run.
const std::vector<Kind>& kinds();

void replay_layer(const Folder&, const Value& record, Check&);
void replay_model(const Folder&, const Value& record, Check&);
void replay_loss(const Folder&, const Value& record, Check&);
void replay_metric(const Folder&, const Value& record, Check&);
void replay_optimizer(const Folder&, const Value& record, Check&);
void replay_schedule(const Folder&, const Value& record, Check&);
void replay_activation(const Folder&, const Value& record, Check&);
void replay_initializer(const Folder&, const Value& record, Check&);
void replay_regularizer(const Folder&, const Value& record, Check&);
void replay_constraint(const Folder&, const Value& record, Check&);
void replay_preprocessing(const Folder&, const Value& record, Check&);
void replay_function(const Folder&, const Value& record, Check&);
void replay_function_gradient(const Folder&, const Value& record, Check&);
void replay_function_symbolic(const Folder&, const Value& record, Check&);
void replay_function_dtype(const Folder&, const Value& record, Check&);

/// Makes the cells known that Keras' own tests of RNN define for themselves.
void register_cells();

/// Throws Unsupported naming the layer classes of a `.keras` file that are not there.
void check_layer_classes(const std::string& file);

}  // namespace keras::conformance
