// What lives here: sizes out of saved configurations.
#pragma once
#include <keras/base/value.h>
#include <keras/ops/types.h>

namespace keras::layers {

/// A number, or a list of them.
inline Sizes read_sizes(const Value& v) { return v.is_list() ? Sizes(v.as_ints()) : Sizes(v.as_int()); }

}  // namespace keras::layers
