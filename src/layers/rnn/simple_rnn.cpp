// What lives here: SimpleRNN and its cell.
#include <keras/layers/rnn/simple_rnn.h>

#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {
class SimpleCell : public GatedCell {
 public:
  static constexpr const char* kClass = "SimpleRNNCell";
  SimpleCell(int64_t units, CellSetup setup) : GatedCell(check_units(units, kClass), {"h"}, std::move(setup), SeedOrder::Before) {}
  Loop prepare(const Tensor& x, bool, const Masks& masks, bool) override {
    Tensor xs = project(x, masks.input);
    if (s_.use_bias) xs = prims::add(xs, weight(bias_));
    return {xs, [this, recur = recurrence(masks.recurrent)](const Tensor& x_t, const Tensors& states) {
              Tensor h = activate(prims::add(x_t, recur(states[0])));
              return std::pair{h, Tensors{h}};
            }};
  }

 protected:
  size_t mask_count() const override { return 1; }
  bool drops_all() const override { return true; }
  bool always_draws() const override { return true; }
};
using SimpleRNNImpl = RNNOf<SimpleRNNCell, SimpleRNNCellOptions, SimpleRNNOptions>;
}  // namespace

SimpleRNNCell::SimpleRNNCell(int64_t units, const SimpleRNNCellOptions& options) : CellLayer(make_impl<CellImpl<SimpleCell, SimpleRNNCellOptions>>(units, options)) {}
Layer SimpleRNNCell::from_config(const Dict& c) { return SimpleRNNCell(c.at("units").as_int(), recurrent_options<SimpleRNNCellOptions>(c, "SimpleRNNCell")); }
SimpleRNN::SimpleRNN(int64_t units, const SimpleRNNOptions& options) : RNN(make_impl<SimpleRNNImpl>("SimpleRNN", "simple_rnn_cell", units, options)) {}
Layer SimpleRNN::from_config(const Dict& c) { return SimpleRNN(c.at("units").as_int(), recurrent_options<SimpleRNNOptions>(c, "SimpleRNN")); }

}  // namespace keras::layers
