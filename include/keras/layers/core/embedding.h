// What lives here: Embedding, ReversibleEmbedding, Masking.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct EmbeddingOptions {
  Initializer embeddings_initializer = "uniform";
  Regularizer embeddings_regularizer{};
  Regularizer activity_regularizer{};
  Constraint embeddings_constraint{};
  bool mask_zero = false;
  /// Keras 2's: the length of the sequences, which lets Flatten and Dense follow.
  std::optional<int64_t> input_length{};
  /// LoRA of this rank from the start (see enable_lora), and its scale.
  std::optional<int64_t> lora_rank{};
  Value lora_alpha{};
  Value quantization_config{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(embeddings_initializer, embeddings_regularizer, activity_regularizer, embeddings_constraint, mask_zero, quantization_config)
};
/// Keras' Embedding: whole numbers (batch, …) → rows of a table (batch, …, output_dim); input_dim x output_dim parameters. ValueError
/// names an index outside [0, input_dim) (Keras on JAX gives NaN for it, and wraps negative ones).
///
///     keras::layers::Embedding table(1000, 64, {.mask_zero = true});
class Embedding : public Layer {
 public:
  Embedding(int64_t input_dim, int64_t output_dim, const EmbeddingOptions& options = {});
  static Layer from_config(const Dict& config);
  Variable embeddings() const;
  /// LoRA: keeps the table still and trains the product of two narrow weights, (input_dim, rank) and (rank, output_dim), in its place, scaled by `lora_alpha` / `rank`
  /// (`lora_alpha`: the rank, where it is not given). Files hold the sum. ValueError when the layer is not built, has a constraint on
  /// the table, or has it already.
  void enable_lora(int64_t rank, const std::optional<double>& lora_alpha = {}, const Initializer& a_initializer = "he_uniform",
                   const Initializer& b_initializer = "zeros");
};

struct ReversibleEmbeddingOptions {
  /// The way back uses the same table; else one of its own, (output_dim, input_dim).
  bool tie_weights = true;
  Initializer embeddings_initializer = "uniform";
  Regularizer embeddings_regularizer{};
  Regularizer activity_regularizer{};
  Constraint embeddings_constraint{};
  bool mask_zero = false;
  /// The dtype of the product on the way back.
  std::optional<std::string> reverse_dtype{};
  /// Logits beyond it flatten: cap * tanh(logits / cap).
  std::optional<double> logit_soft_cap{};
  /// LoRA of this rank from the start (see enable_lora), and its scale.
  std::optional<int64_t> lora_rank{};
  Value lora_alpha{};
  Value quantization_config{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(embeddings_initializer, embeddings_regularizer, activity_regularizer, embeddings_constraint, mask_zero, quantization_config, tie_weights,
               reverse_dtype, logit_soft_cap)
};
/// Keras' ReversibleEmbedding: an Embedding that also leads back: called with `reverse` true, vectors (…, output_dim) become logits
/// (…, input_dim).
///
///     Tensor logits = table(h, {.values = {{"reverse", true}}});
class ReversibleEmbedding : public Layer {
 public:
  ReversibleEmbedding(int64_t input_dim, int64_t output_dim, const ReversibleEmbeddingOptions& options = {});
  static Layer from_config(const Dict& config);
  Variable embeddings() const;
  /// LoRA: keeps the table still and trains the product of two narrow weights, (input_dim, rank) and (rank, output_dim), in its place, scaled by `lora_alpha` / `rank`
  /// (`lora_alpha`: the rank, where it is not given). Files hold the sum. ValueError when the layer is not built, has a constraint on
  /// the table, or has it already.
  void enable_lora(int64_t rank, const std::optional<double>& lora_alpha = {}, const Initializer& a_initializer = "he_uniform",
                   const Initializer& b_initializer = "zeros");
};

struct MaskingOptions {
  double mask_value = 0.0;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(mask_value)
};
/// Keras' Masking: steps whose features all equal mask_value are masked for the layers after it, and set to 0.
class Masking : public Layer {
 public:
  explicit Masking(const MaskingOptions& options = {});
  KERAS_EMPTY_BRACES(Masking)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
