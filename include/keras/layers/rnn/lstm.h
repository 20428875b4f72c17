// What lives here: LSTM and its cell.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

namespace keras::layers {

struct LSTMCellOptions {
  ActivationSpec activation = "tanh";
  ActivationSpec recurrent_activation = "sigmoid";
  bool use_bias = true;
  KERAS_RNN_INITIALIZERS
  /// The bias of the forget gate starts with ones.
  bool unit_forget_bias = true;
  KERAS_RNN_REGULARIZERS
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  std::optional<int64_t> seed{};
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, recurrent_activation, use_bias, unit_forget_bias, KERAS_RNN_INITIALIZER_FIELDS, KERAS_RNN_REGULARIZER_FIELDS,
               KERAS_RNN_CONSTRAINT_FIELDS, KERAS_RNN_DROPOUT_FIELDS, seed)
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
  KERAS_RNN_INITIALIZERS
  /// The bias of the forget gate starts with ones.
  bool unit_forget_bias = true;
  KERAS_RNN_REGULARIZERS
  Regularizer activity_regularizer{};
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  std::optional<int64_t> seed{};
  KERAS_RNN_SEQUENCE
  /// Accepted as Keras takes it ("auto", true, false); there is one implementation.
  Value use_cudnn = "auto";
  bool zero_output_for_mask = false;
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(KERAS_RNN_SEQUENCE_FIELDS, activation, recurrent_activation, use_bias, KERAS_RNN_INITIALIZER_FIELDS, unit_forget_bias,
               KERAS_RNN_REGULARIZER_FIELDS, activity_regularizer, KERAS_RNN_CONSTRAINT_FIELDS, KERAS_RNN_DROPOUT_FIELDS, seed)
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
