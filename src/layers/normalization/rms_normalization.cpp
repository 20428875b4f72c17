// What lives here: RMSNormalization.
#include <keras/layers/normalization/rms_normalization.h>
#include <keras/ops.h>

#include "layers/normalization/normalizer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct RMSNormalizationImpl : Normalizer {
  double epsilon;
  Variable scale;
  explicit RMSNormalizationImpl(const RMSNormalizationOptions& o) : Normalizer(o.axis), epsilon(o.epsilon) {
    init_common("RMSNormalization", o);
    check_axes();
  }
  void build(const std::vector<Shape>& inputs) override {
    scale = add_weight({.name = "scale", .shape = settle(inputs.at(0)), .initializer = "ones"});
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    Tensor s = prims::cast(scale.value(), compute_dtype_);
    std::vector<int64_t> over = axes_of(x.shape());
    // As Keras, weights along several axes, or along one that is not the last, meet the input as NumPy would line them up.
    return {ops::rms_normalization(x, s, axis, epsilon)};
  }
  Dict own_config() const override { return {{"axis", to_value(axis)}, {"epsilon", epsilon}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e = explain_axes(in.at(0), "brought to a mean square of 1");
    e.parameters.push_back(
        fmt::format("scale {}: one factor per place along {} = {}", scale.shape().str(), axes_text(in[0]), scale.shape().numel()));
    return e;
  }
};
}  // namespace

RMSNormalization::RMSNormalization(const RMSNormalizationOptions& o) : Layer(make_impl<RMSNormalizationImpl>(o)) {}
Layer RMSNormalization::from_config(const Dict& c) {
  return RMSNormalization(options_from<RMSNormalizationOptions>(c, "RMSNormalization"));
}

}  // namespace keras::layers
