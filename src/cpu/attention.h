// What lives here: whole attentions, softmax(q k) v with what stands between, and their gradients, as kernels for fixed shapes. No graph.
#pragma once
#include <vector>

#include "engine/kernel.h"
#include "ir/attention.h"

namespace keras::cpu {

/// Inputs: q, k, v, then the operands that the steps name (float32; masks bool; keys of draws uint32[2]). Outputs: y (every element of it that
/// the form reaches is written) and the maximum and the sum of each row, (batch…, rows, 2), both float32.
///
/// Scores are held for a block of query rows at a time, in float32; rows too long for that go block by block of keys with a running maximum.
/// A row whose scores are all filled is uniform, as softmax makes it; one of minus infinities alone is NaN. Bits do not depend on the number
/// of threads.
engine::KernelPtr make_attention(const ir::AttentionForm& form);

/// Inputs: q, k, v, y, stats, the cotangent of y (laid out as y), the operands. Outputs: the cotangents of q, k and v, or one tensor that
/// holds all three (`joint`). Probabilities are computed anew from the stats.
engine::KernelPtr make_attention_backward(const ir::AttentionForm& form);

}  // namespace keras::cpu
