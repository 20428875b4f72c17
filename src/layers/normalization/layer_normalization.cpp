// What lives here: LayerNormalization.
#include <keras/layers/normalization/layer_normalization.h>
#include <keras/ops.h>

#include <keras/base/warning.h>

#include "layers/normalization/normalizer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct LayerNormalizationImpl : Normalizer {
  LayerNormalizationOptions o;
  Variable gamma, beta;
  bool scales() const { return o.scale || o.rms_scaling; }
  bool centers() const { return o.center && !o.rms_scaling; }

  explicit LayerNormalizationImpl(const LayerNormalizationOptions& options) : Normalizer(options.axis), o(options) {
    init_common("LayerNormalization", o);
    check_axes();
    o.beta_initializer.object(), o.gamma_initializer.object();
    supports_masking_ = true;
    autocast_ = false;  // halves are normalised from what came in, not from a rounded copy
  }
  void build(const std::vector<Shape>& inputs) override {
    Shape s = settle(inputs.at(0));
    add_gamma_and_beta(*this, o, scales(), centers(), s, gamma, beta);
  }
  Tensors call(const Call& c) override {
    const Tensor x = prims::cast(c.input(), result_type(c.input().dtype(), DType::Float32));
    Shape line(std::vector<int64_t>(static_cast<size_t>(x.rank()), 1));
    for (int64_t a : axes_of(x.shape())) line[static_cast<int>(a)] = x.shape()[static_cast<int>(a)];
    auto along = [&](const Variable& v) { return prims::reshape(prims::cast(v.value(), x.dtype()), line); };
    auto [mean, variance] = ops::moments(x, axis, true);
    Tensor inv = prims::ew(ir::Ew::rsqrt, prims::add(variance, o.epsilon));
    // The mean is taken away first: two large numbers never cancel after they were scaled.
    Tensor y = prims::mul(o.rms_scaling ? x : prims::sub(x, mean), inv);
    if (scales()) y = prims::mul(y, along(gamma));
    if (centers()) y = prims::add(y, along(beta));
    return {prims::cast(y, compute_dtype_)};
  }
  Dict own_config() const override {
    Dict d = serial::to_config(o);
    d.set("axis", to_value(axis));
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e = explain_axes(in.at(0), "brought to mean 0 and variance 1");
    for (const Variable& v : own_trainable_)
      e.parameters.push_back(fmt::format("{} {}: one {} per place along {} = {}", v.name(), v.shape().str(),
                                         v.name() == "gamma" ? "factor" : "shift", axes_text(in[0]), v.shape().numel()));
    return e;
  }
};
}  // namespace

LayerNormalization::LayerNormalization(const LayerNormalizationOptions& o) : Layer(make_impl<LayerNormalizationImpl>(o)) {
  if (o.rms_scaling)
    warn("LayerNormalization: rms_scaling divides by the deviation, not by the root mean square; RMSNormalization does the latter");
}
Layer LayerNormalization::from_config(const Dict& c) {
  return LayerNormalization(options_from<LayerNormalizationOptions>(c, "LayerNormalization"));
}

}  // namespace keras::layers
