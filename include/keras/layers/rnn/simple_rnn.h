// What lives here: SimpleRNN and its cell.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

namespace keras::layers {

struct SimpleRNNCellOptions {
  ActivationSpec activation = "tanh";
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
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer,
               kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed)
};
/// Keras' SimpleRNNCell: `h = activation(x @ kernel + bias + h @ recurrent_kernel)`; one state, (batch, units).
class SimpleRNNCell : public CellLayer {
 public:
  explicit SimpleRNNCell(int64_t units, const SimpleRNNCellOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct SimpleRNNOptions {
  ActivationSpec activation = "tanh";
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
  // As in RNNOptions.
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  bool stateful = false;
  bool unroll = false;
  std::optional<int64_t> seed{};
  bool zero_output_for_mask = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask, activation, use_bias,
               kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer,
               kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout)
};
/// Keras' SimpleRNN: (batch, time, features) → (batch, units), the output fed back at each step.
class SimpleRNN : public RNN {
 public:
  explicit SimpleRNN(int64_t units, const SimpleRNNOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
