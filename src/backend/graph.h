// What lives here: the inside of the classic graph that compat builds on.
#pragma once
#include <keras/backend.h>

#include "core/impl.h"

namespace keras::backend {

/// The wanted tensors computed from the fed ones; runs in the trace under way, or eagerly.
Tensors run_graph(const Tensors& wanted, const Feeds& feeds);
/// The state behind a `variable`, and a symbolic tensor that reads a state.
Variable variable_behind(const Tensor& t);
Tensor variable_tensor(const Variable& v);

}  // namespace keras::backend
