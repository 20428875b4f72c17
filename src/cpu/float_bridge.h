// What lives here: running a float32 kernel on 16-bit floats where the CPU has no arithmetic for them: widen inputs into scratch, run,
// narrow the output. No arithmetic of its own.
#pragma once
#include <vector>

#include <keras/base/dtype.h>

#include "engine/kernel.h"

namespace keras::cpu {

/// `inner` takes float32 inputs of these sizes and writes one float32 output; the result does the same for `dtype`.
engine::KernelPtr bridge_to_float32(DType dtype, engine::KernelPtr inner, std::vector<int64_t> in_sizes, int64_t out_size);

/// Bytes rounded up so that what follows in scratch stays aligned.
constexpr size_t aligned_bytes(size_t n) { return (n + 63) & ~size_t{63}; }

}  // namespace keras::cpu
