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
  KERAS_RNN_INITIALIZERS
  /// The bias of the forget gate starts with ones.
  bool unit_forget_bias = true;
  KERAS_RNN_REGULARIZERS
  Regularizer activity_regularizer{};
  KERAS_RNN_CONSTRAINTS
  KERAS_RNN_DROPOUT
  std::optional<int64_t> seed{};
  KERAS_RNN_SEQUENCE
  bool zero_output_for_mask = false;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(KERAS_RNN_SEQUENCE_FIELDS, padding, data_format, activation, recurrent_activation, use_bias, KERAS_RNN_INITIALIZER_FIELDS,
               unit_forget_bias, KERAS_RNN_REGULARIZER_FIELDS, activity_regularizer, KERAS_RNN_CONSTRAINT_FIELDS,
               KERAS_RNN_DROPOUT_FIELDS, seed)
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
