// What lives here: LSTM and its cell.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

namespace keras::layers {

struct LSTMCellOptions {
  ActivationSpec activation = "tanh";
  ActivationSpec recurrent_activation = "sigmoid";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  /// The bias of the forget gate starts with ones.
  bool unit_forget_bias = true;
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
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, recurrent_activation, use_bias, unit_forget_bias, kernel_initializer, recurrent_initializer, bias_initializer,
               kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout,
               seed)
};
/// Keras' LSTMCell: gates i, f, c, o; two states h and c of shape (batch, units); h is the output.
class LSTMCell : public CellLayer {
 public:
  explicit LSTMCell(int64_t units, const LSTMCellOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct LSTMOptions {
  ActivationSpec activation = "tanh";
  ActivationSpec recurrent_activation = "sigmoid";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  /// The bias of the forget gate starts with ones.
  bool unit_forget_bias = true;
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
  /// Accepted as Keras takes it ("auto", true, false); there is one implementation.
  Value use_cudnn = "auto";
  bool zero_output_for_mask = false;
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask, activation, recurrent_activation,
               use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer,
               activity_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed)
};
/// Keras' LSTM (Hochreiter & Schmidhuber 1997): (batch, time, features) → (batch, units); kernel (features, 4 units), recurrent
/// kernel (units, 4 units), bias (4 units), gates in the order i, f, c, o. Once built it refuses another number of features.
///
///     keras::Tensor y = keras::layers::LSTM(32, {.return_sequences = true})(keras::Input({280, 128}));
class LSTM : public RNN {
 public:
  explicit LSTM(int64_t units, const LSTMOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
