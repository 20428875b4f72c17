// What lives here: how much memory values take, judged before it is asked for. No memory itself; that is buffer.h.
#pragma once
#include <cstddef>

#include "ir/graph.h"

namespace keras::engine {

/// The bytes of a value of known shape. RuntimeError naming type and sizes where that is more than the limit, so that a size that lies (in a
/// file, or by a slip of the pen) is told instead of bringing the machine to a stop.
size_t bytes_for(const ir::Type& type);

/// The limit for one value: at first the machine's memory. Returns the limit before.
size_t set_memory_limit(size_t bytes);

}  // namespace keras::engine
