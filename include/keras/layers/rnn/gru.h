// What lives here: GRU and its cell.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

namespace keras::layers {

struct GRUCellOptions {
  ActivationSpec activation = "tanh";
  ActivationSpec recurrent_activation = "sigmoid";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer recurrent_regularizer{};
  Regularizer bias_regularizer{};
  Constraint kernel_constraint{};
  Constraint recurrent_constraint{};
  Constraint bias_constraint{};
  /// Fractions of the inputs and of the states to drop in training; one draw per batch, the same for all steps.
  double dropout = 0.0;
  double recurrent_dropout = 0.0;
  /// The reset gate acts after the product with the recurrent kernel (two biases) instead of before it.
  bool reset_after = true;
  std::optional<int64_t> seed{};
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
               kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout,
               reset_after, seed)
};
/// Keras' GRUCell: gates z, r and candidate h; one state, (batch, units), which is the output.
class GRUCell : public CellLayer {
 public:
  explicit GRUCell(int64_t units, const GRUCellOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct GRUOptions {
  ActivationSpec activation = "tanh";
  ActivationSpec recurrent_activation = "sigmoid";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer recurrent_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint kernel_constraint{};
  Constraint recurrent_constraint{};
  Constraint bias_constraint{};
  /// Fractions of the inputs and of the states to drop in training; one draw per batch, the same for all steps.
  double dropout = 0.0;
  double recurrent_dropout = 0.0;
  std::optional<int64_t> seed{};
  // As in RNNOptions.
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  bool stateful = false;
  bool unroll = false;
  /// The reset gate acts after the product with the recurrent kernel (two biases) instead of before it.
  bool reset_after = true;
  /// Accepted as Keras takes it ("auto", true, false); there is one implementation.
  Value use_cudnn = "auto";
  bool zero_output_for_mask = false;
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask, activation, recurrent_activation,
               use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer,
               activity_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed)
};
/// Keras' GRU (Cho et al. 2014): (batch, time, features) → (batch, units); kernel (features, 3 units), recurrent kernel
/// (units, 3 units), bias (2, 3 units) with reset_after, else (3 units), in the order z, r, h.
class GRU : public RNN {
 public:
  explicit GRU(int64_t units, const GRUOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
