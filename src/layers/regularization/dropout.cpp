// What lives here: Dropout.
#include <keras/layers/regularization/dropout.h>

#include "layers/layer_impl.h"

namespace keras::layers {

namespace {
struct DropoutImpl : LayerImpl {
  double rate;
  DropoutOptions o;
  random::SeedGenerator seeds{nullptr};
  DropoutImpl(double r, const DropoutOptions& options) : rate(r), o(options) {
    init_common("Dropout", o);
    if (!(r >= 0 && r <= 1))
      throw ValueError(ErrorText{.what = "Dropout: rate is outside [0, 1]", .where = "layer \"" + name_ + "\" (Dropout)", .received = float_repr(r)}.str());
    if (rate > 0) {
      seeds = random::SeedGenerator(o.seed);
      add_seed(seeds);
    }
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override {
    if (!c.training || rate <= 0) return {c.input()};
    return {random::dropout(c.input(), rate, {.noise_shape = o.noise_shape, .seed = seeds})};
  }
  bool uses_training() const override { return true; }
  Dict own_config() const override { return {{"rate", rate}, {"seed", o.seed}, {"noise_shape", o.noise_shape ? Value(*o.noise_shape) : Value()}}; }
};
}  // namespace

Dropout::Dropout(double rate, const DropoutOptions& o) : Layer(make_impl<DropoutImpl>(rate, o)) {}
Layer Dropout::from_config(const Dict& c) { return Dropout(c.at("rate").as_float(), options_from<DropoutOptions>(c, "Dropout")); }

}  // namespace keras::layers
