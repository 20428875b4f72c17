// What lives here: functions of keras::ops that stand in saved graphs (masks are saved as NotEqual, Any …), by Keras' class name.
#pragma once
#include <memory>
#include <string>

#include "core/impl.h"

namespace keras::models {

struct OpClass {
  std::string name;
  std::string module;
  /// The operation of a saved entry; its calls are replayed with `rerun`.
  std::shared_ptr<core::Operation> (*make)(const Value& saved);
};
/// The class of a saved graph entry when it is a function of keras::ops ("keras.src.ops.numpy" …), else null.
const OpClass* find_op_class(const Value& saved);

/// A call of an operation as Keras writes it: options of its constructor in the entry's config, the rest as arguments of the node.
struct SavedOp {
  Dict entry;  // module, class_name, config, registered_name
  core::CallArgs args;
};
/// ValueError for an operation that holds functions (loops, branches): nothing in a file is executed.
SavedOp saved_op(const core::OpOperation& op, const core::CallArgs& args);

}  // namespace keras::models
