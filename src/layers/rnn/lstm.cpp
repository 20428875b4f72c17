// What lives here: LSTM and its cell.
#include <keras/layers/rnn/lstm.h>

#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {
struct LSTMCore : LSTMBase {
  static constexpr const char* kClass = "LSTMCell";
  LSTMCore(int64_t units, CellSetup setup) : LSTMBase(check_units(units, kClass), {"input", "forget", "cell", "output"}, std::move(setup), SeedOrder::After) {}
};
using LSTMImpl = RNNOf<LSTMCell, LSTMCellOptions, LSTMOptions>;
}  // namespace

LSTMCell::LSTMCell(int64_t units, const LSTMCellOptions& options) : CellLayer(make_impl<CellImpl<LSTMCore, LSTMCellOptions>>(units, options)) {}
Layer LSTMCell::from_config(const Dict& c) { return LSTMCell(c.at("units").as_int(), recurrent_options<LSTMCellOptions>(c, "LSTMCell")); }
LSTM::LSTM(int64_t units, const LSTMOptions& options) : RNN(make_impl<LSTMImpl>("LSTM", "lstm_cell", units, options)) {}
Layer LSTM::from_config(const Dict& c) { return LSTM(c.at("units").as_int(), recurrent_options<LSTMOptions>(c, "LSTM")); }

}  // namespace keras::layers
