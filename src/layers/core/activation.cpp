// What lives here: Activation.
#include <keras/layers/core/activation.h>

#include "layers/layer_impl.h"

namespace keras::layers {

namespace {
struct ActivationImpl : LayerImpl {
  ActivationSpec activation;
  ActivationImpl(const ActivationSpec& a, const ActivationOptions& o) : activation(a) {
    init_common("Activation", o);
    symbolic_in_compute_dtype_ = true;
    built_ = true;
    supports_masking_ = true;
    if (activation) activation.object();
  }
  Tensors call(const Call& c) override { return {activation ? activation->call(c.input()) : c.input()}; }
  Dict own_config() const override { return {{"activation", activation ? activation.serialize() : Value("linear")}}; }
};
}  // namespace

Activation::Activation(const ActivationSpec& a, const ActivationOptions& o) : Layer(make_impl<ActivationImpl>(a, o)) {}
Layer Activation::from_config(const Dict& c) {
  ActivationOptions o;
  read_common(c, o.name, o.trainable, o.dtype);
  return Activation(ActivationSpec(c.at("activation")), o);
}

}  // namespace keras::layers
