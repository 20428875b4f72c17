// What lives here: GRU and its cell.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

namespace keras::layers {

struct GRUCellOptions {
  ActivationSpec activation = "tanh";
  ActivationSpec recurrent_activation = "sigmoid";
  bool use_bias = true;
  KERAS_RNN_INITIALIZERS
  KERAS_RNN_REGULARIZERS
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  /// The reset gate acts after the product with the recurrent kernel (two biases) instead of before it.
  bool reset_after = true;
  std::optional<int64_t> seed{};
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(activation, recurrent_activation, use_bias, KERAS_RNN_INITIALIZER_FIELDS, KERAS_RNN_REGULARIZER_FIELDS,
               KERAS_RNN_CONSTRAINT_FIELDS, KERAS_RNN_DROPOUT_FIELDS, reset_after, seed)
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
  KERAS_RNN_INITIALIZERS
  KERAS_RNN_REGULARIZERS
  Regularizer activity_regularizer{};
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  std::optional<int64_t> seed{};
  KERAS_RNN_SEQUENCE
  /// The reset gate acts after the product with the recurrent kernel (two biases) instead of before it.
  bool reset_after = true;
  /// Accepted as Keras takes it ("auto", true, false); there is one implementation.
  Value use_cudnn = "auto";
  bool zero_output_for_mask = false;
  /// 1 draws one dropout mask per gate; also chosen by recurrent_dropout.
  int implementation = 2;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(KERAS_RNN_SEQUENCE_FIELDS, activation, recurrent_activation, use_bias, KERAS_RNN_INITIALIZER_FIELDS,
               KERAS_RNN_REGULARIZER_FIELDS, activity_regularizer, KERAS_RNN_CONSTRAINT_FIELDS, KERAS_RNN_DROPOUT_FIELDS, reset_after,
               seed)
};
/// Keras' GRU (Cho et al. 2014): (batch, time, features) → (batch, units); kernel (features, 3 units), recurrent kernel
/// (units, 3 units), bias (2, 3 units) with reset_after, else (3 units), in the order z, r, h.
class GRU : public RNN {
 public:
  explicit GRU(int64_t units, const GRUOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
