// What lives here: SimpleRNN and its cell.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

namespace keras::layers {

struct SimpleRNNCellOptions {
  ActivationSpec activation = "tanh";
  bool use_bias = true;
  KERAS_RNN_INITIALIZERS
  KERAS_RNN_REGULARIZERS
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  std::optional<int64_t> seed{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, use_bias, KERAS_RNN_INITIALIZER_FIELDS, KERAS_RNN_REGULARIZER_FIELDS, KERAS_RNN_CONSTRAINT_FIELDS,
               KERAS_RNN_DROPOUT_FIELDS, seed)
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
  KERAS_RNN_INITIALIZERS
  KERAS_RNN_REGULARIZERS
  Regularizer activity_regularizer{};
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  KERAS_RNN_SEQUENCE
  std::optional<int64_t> seed{};
  bool zero_output_for_mask = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(KERAS_RNN_SEQUENCE_FIELDS, activation, use_bias, KERAS_RNN_INITIALIZER_FIELDS, KERAS_RNN_REGULARIZER_FIELDS,
               activity_regularizer, KERAS_RNN_CONSTRAINT_FIELDS, KERAS_RNN_DROPOUT_FIELDS)
};
/// Keras' SimpleRNN: (batch, time, features) → (batch, units), the output fed back at each step.
class SimpleRNN : public RNN {
 public:
  explicit SimpleRNN(int64_t units, const SimpleRNNOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
