// What lives here: GRU and its cell.
#include <keras/layers/rnn/gru.h>

#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {
class GRUCore : public GatedCell {
 public:
  static constexpr const char* kClass = "GRUCell";
  GRUCore(int64_t units, CellSetup setup) : GatedCell(check_units(units, kClass), {"update", "reset", "candidate"}, std::move(setup), SeedOrder::After) {}
  Loop prepare(const Tensor& x, bool, const Masks& masks, bool) override {
    Tensor xs = project(x, masks.input), recurrent_bias;
    if (s_.use_bias) {
      Tensor b = weight(bias_);
      auto row = [&](int64_t i) { return prims::reshape(prims::slice_axis(b, 0, i, i + 1), Shape{3 * size_}); };
      xs = prims::add(xs, s_.reset_after ? row(0) : b);
      if (s_.reset_after) recurrent_bias = row(1);
    }
    if (s_.reset_after) {
      return {xs, [this, recur = recurrence(masks.recurrent), recurrent_bias](const Tensor& x_t, const Tensors& states) {
                Tensor m = recur(states[0]);
                if (recurrent_bias.defined()) m = prims::add(m, recurrent_bias);
                Tensor z = recurrent_activate(prims::add(gate(x_t, 0), gate(m, 0)));
                Tensor r = recurrent_activate(prims::add(gate(x_t, 1), gate(m, 1)));
                return mix(z, states[0], activate(prims::add(gate(x_t, 2), prims::mul(r, gate(m, 2)))));
              }};
    }
    // The reset gate acts on the state, so the candidate's product waits for it.
    Tensor k = weight(recurrent_kernel_), candidate = gates_of(k, 2, 3), both, update, reset;
    if (masks.recurrent.empty()) both = gates_of(k, 0, 2);
    else update = gates_of(k, 0, 1), reset = gates_of(k, 1, 2);
    return {xs, [this, both, update, reset, candidate, drop = masks.recurrent](const Tensor& x_t, const Tensors& states) {
              const Tensor& h = states[0];
              Tensor m_z, m_r, h_h = h;
              if (drop.empty()) {
                Tensor m = recurrent_product(h, both);
                m_z = gate(m, 0), m_r = gate(m, 1);
              } else {
                m_z = recurrent_product(prims::mul(h, drop[0]), update), m_r = recurrent_product(prims::mul(h, drop[1]), reset);
                h_h = prims::mul(h, drop[2]);
              }
              Tensor z = recurrent_activate(prims::add(gate(x_t, 0), m_z)), r = recurrent_activate(prims::add(gate(x_t, 1), m_r));
              return mix(z, h, activate(prims::add(gate(x_t, 2), recurrent_product(prims::mul(r, h_h), candidate))));
            }};
  }

 protected:
  Shape bias_shape() const override { return s_.reset_after ? Shape{2, 3 * size_} : Shape{3 * size_}; }

 private:
  static std::pair<Tensor, Tensors> mix(const Tensor& z, const Tensor& h, const Tensor& candidate) {
    Tensor one = prims::scalar(z, 1);
    Tensor next = prims::add(prims::mul(z, h), prims::mul(prims::sub(one, z), candidate));
    return {next, {next}};
  }
};
using GRUImpl = RNNOf<GRUCell, GRUCellOptions, GRUOptions>;
}  // namespace

GRUCell::GRUCell(int64_t units, const GRUCellOptions& options) : CellLayer(make_impl<CellImpl<GRUCore, GRUCellOptions>>(units, options)) {}
Layer GRUCell::from_config(const Dict& c) { return GRUCell(c.at("units").as_int(), recurrent_options<GRUCellOptions>(c, "GRUCell")); }
GRU::GRU(int64_t units, const GRUOptions& options) : RNN(make_impl<GRUImpl>("GRU", "gru_cell", units, options)) {}
Layer GRU::from_config(const Dict& c) { return GRU(c.at("units").as_int(), recurrent_options<GRUOptions>(c, "GRU")); }

}  // namespace keras::layers
