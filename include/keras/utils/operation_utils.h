// What lives here: keras.utils for the graph of symbolic tensors.
#pragma once
#include <keras/core/tensor.h>

namespace keras::utils {

/// The inputs that a symbolic tensor is computed from, each once, in the order in which they are met; an input itself is its own.
/// ValueError for a tensor that is not symbolic.
///
///     Tensor x = keras::Input({3}), y = x + 1;
///     get_source_inputs(y)  // {x}
Tensors get_source_inputs(const Tensor& tensor);

}  // namespace keras::utils
