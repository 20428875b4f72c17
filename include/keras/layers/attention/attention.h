// What lives here: attention of one sequence to another without projections: Attention (dot products) and AdditiveAttention.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct AttentionOptions {
  /// A learned number that scores are multiplied by.
  bool use_scale = false;
  /// "dot": products of query and key; "concat": sums of tanh(query + key).
  std::string score_mode = "dot";
  double dropout = 0.0;
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(use_scale, score_mode, dropout, seed)
};
/// Keras' Attention (Luong et al. 2015), called on a list {query (batch, Tq, dim), value (batch, Tv, dim)[, key (batch, Tv, dim)]}: each
/// step of the query gets the mean of the values, weighted by the softmax of its scores with the keys: (batch, Tq, dim of value).
/// Call keywords: mask = {query mask (batch, Tq), value mask (batch, Tv)}, return_attention_scores, use_causal_mask. ValueError when it is
/// called on another number of tensors.
///
///     keras::Tensor y = keras::layers::Attention()({query, value}, {.values = {{"use_causal_mask", true}}});
class Attention : public Layer {
 public:
  explicit Attention(const AttentionOptions& options = {});
  KERAS_EMPTY_BRACES(Attention)
  static Layer from_config(const Dict& config);
};

struct AdditiveAttentionOptions {
  /// Learned numbers, one per feature, that the tanh are multiplied by.
  bool use_scale = true;
  double dropout = 0.0;
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(use_scale, dropout, seed)
};
/// Keras' AdditiveAttention (Bahdanau et al. 2015): as Attention, with scores sum(scale * tanh(query + key)).
class AdditiveAttention : public Layer {
 public:
  explicit AdditiveAttention(const AdditiveAttentionOptions& options = {});
  KERAS_EMPTY_BRACES(AdditiveAttention)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
