// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/rnn/bidirectional.h>
#include <keras/layers/rnn/conv_lstm.h>
#include <keras/layers/rnn/gru.h>
#include <keras/layers/rnn/lstm.h>
#include <keras/layers/rnn/simple_rnn.h>
#include <keras/layers/rnn/time_distributed.h>

namespace keras::layers {

std::vector<LayerClass> rnn_layers() {
  return {{"Bidirectional", Bidirectional::from_config}, {"ConvLSTM1D", ConvLSTM1D::from_config}, {"ConvLSTM2D", ConvLSTM2D::from_config},
          {"ConvLSTM3D", ConvLSTM3D::from_config}, {"GRU", GRU::from_config}, {"GRUCell", GRUCell::from_config}, {"LSTM", LSTM::from_config},
          {"LSTMCell", LSTMCell::from_config}, {"RNN", RNN::from_config}, {"SimpleRNN", SimpleRNN::from_config}, {"SimpleRNNCell", SimpleRNNCell::from_config},
          {"StackedRNNCells", StackedRNNCells::from_config}, {"TimeDistributed", TimeDistributed::from_config}};
}

}  // namespace keras::layers
