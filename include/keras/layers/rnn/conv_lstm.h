// What lives here: convolutional LSTMs over one, two and three axes.
#pragma once
#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>
#include <keras/ops/types.h>

namespace keras::layers {

struct ConvLSTMOptions {
  Sizes strides = 1;
  /// "valid" or "same"; of the inputs. States are always convolved with "same".
  std::string padding = "valid";
  /// "channels_last" (default) or "channels_first".
  std::optional<std::string> data_format{};
  Sizes dilation_rate = 1;
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
  bool zero_output_for_mask = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask, padding, data_format, activation,
               recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
               recurrent_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
               recurrent_dropout, seed)
};

/// Keras' ConvLSTM1D, ConvLSTM2D, ConvLSTM3D (Shi et al. 2015): an LSTM whose products are convolutions. Channels last:
/// (batch, time, spatial…, channels) → (batch, new spatial…, filters); kernel (size…, channels, 4 filters), recurrent kernel
/// (size…, filters, 4 filters), bias (4 filters). The spatial sizes must be known.
///
///     keras::Tensor y = keras::layers::ConvLSTM2D(8, {3, 3}, {.padding = "same"})(keras::Input({10, 32, 32, 3}));
template <int Rank> class ConvLSTM : public RNN {
 public:
  explicit ConvLSTM(int64_t filters, const Sizes& kernel_size, const ConvLSTMOptions& options = {});
  static Layer from_config(const Dict& config);
};
extern template class ConvLSTM<1>;
extern template class ConvLSTM<2>;
extern template class ConvLSTM<3>;
using ConvLSTM1D = ConvLSTM<1>;
using ConvLSTM2D = ConvLSTM<2>;
using ConvLSTM3D = ConvLSTM<3>;

}  // namespace keras::layers
