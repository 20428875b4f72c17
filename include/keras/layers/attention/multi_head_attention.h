// What lives here: attention with several heads: MultiHeadAttention and GroupQueryAttention.
#pragma once
#include <keras/layers/layer.h>
#include <keras/ops/types.h>

namespace keras::layers {

// Both are called as layer(query, value) or layer(query, value, key): self-attention is layer(x, x). Call keywords: attention_mask
// (batch, Tq, Tv; True where a query step may look), value_mask, key_mask (batch, Tv), return_attention_scores, use_causal_mask. Masks that
// the inputs carry are used by themselves.

struct MultiHeadAttentionOptions {
  /// Size of each head's values; default: key_dim.
  std::optional<int64_t> value_dim{};
  /// Part of the attention weights that is left out in training.
  double dropout = 0.0;
  bool use_bias = true;
  /// Sizes of the output's last axes; default: the last axis of the query.
  Sizes output_shape{};
  /// Axes over which attention is given; default: all but the batch and the last.
  Axes attention_axes{};
  /// Steps further away than this are not looked at.
  std::optional<int64_t> sliding_window{};
  /// Accepted as in Keras; the result is the same.
  std::optional<bool> flash_attention{};
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer bias_regularizer{};
  /// Of each projection's output.
  Regularizer activity_regularizer{};
  Constraint kernel_constraint{};
  Constraint bias_constraint{};
  /// Multiplies each head's result by a learned sigmoid of the query.
  bool use_gate = false;
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(value_dim, dropout, use_bias, use_gate, sliding_window, kernel_initializer, bias_initializer, kernel_regularizer,
               bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, seed)
};
/// Keras' MultiHeadAttention (Vaswani et al. 2017): query, key and value are projected to num_heads heads of key_dim (value_dim) numbers,
/// each head attends, and the heads' results are projected to the output: (batch, Tq, output). ValueError when value and key differ in
/// length.
///
///     keras::Tensor y = keras::layers::MultiHeadAttention(4, 16)(x, x, {.values = {{"use_causal_mask", true}}});
class MultiHeadAttention : public Layer {
 public:
  MultiHeadAttention(int64_t num_heads, int64_t key_dim, const MultiHeadAttentionOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct GroupQueryAttentionOptions {
  double dropout = 0.0;
  bool use_bias = true;
  std::optional<int64_t> sliding_window{};
  std::optional<bool> flash_attention{};
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint kernel_constraint{};
  Constraint bias_constraint{};
  bool use_gate = false;
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(use_bias, use_gate, sliding_window, dropout, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
               activity_regularizer, kernel_constraint, bias_constraint, seed)
};
/// Keras' GroupQueryAttention (Ainslie et al. 2023): as MultiHeadAttention, with num_query_heads / num_key_value_heads query heads sharing
/// each head of key and value. Inputs have rank 3; the output has the query's shape.
class GroupQueryAttention : public Layer {
 public:
  GroupQueryAttention(int64_t head_dim, int64_t num_query_heads, int64_t num_key_value_heads,
                      const GroupQueryAttentionOptions& options = {});
  static Layer from_config(const Dict& config);
};
using GroupedQueryAttention = GroupQueryAttention;

}  // namespace keras::layers
