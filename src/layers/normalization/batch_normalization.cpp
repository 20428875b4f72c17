// What lives here: BatchNormalization.
#include <keras/layers/normalization/batch_normalization.h>

#include <fmt/format.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct BatchNormalizationImpl : LayerImpl {
  BatchNormalizationOptions o;
  Variable gamma, beta, moving_mean, moving_variance;
  explicit BatchNormalizationImpl(const BatchNormalizationOptions& options) : o(options) {
    init_common("BatchNormalization", o);
    if (o.renorm)
      throw NotImplementedError(ErrorText{.what = "BatchNormalization: renorm is not offered", .where = "layer \"" + name_ + "\" (BatchNormalization)", .fix = "use renorm=false"}.str());
    supports_masking_ = true;
  }
  bool uses_mask() const override { return true; }
  void build(const std::vector<Shape>& inputs) override {
    int axis = normalize_axis(o.axis, inputs[0].rank(), "BatchNormalization: axis");
    int64_t n = inputs[0][axis];
    if (n < 0)
      throw ValueError(ErrorText{.what = "the axis to normalise must have a size", .where = "layer \"" + name_ + "\" (BatchNormalization)", .received = inputs[0].str()}.str());
    if (o.scale) gamma = add_weight({.name = "gamma", .shape = {n}, .initializer = o.gamma_initializer, .regularizer = o.gamma_regularizer, .constraint = o.gamma_constraint});
    if (o.center) beta = add_weight({.name = "beta", .shape = {n}, .initializer = o.beta_initializer, .regularizer = o.beta_regularizer, .constraint = o.beta_constraint});
    moving_mean = add_weight({.name = "moving_mean", .shape = {n}, .initializer = o.moving_mean_initializer, .trainable = false});
    moving_variance = add_weight({.name = "moving_variance", .shape = {n}, .initializer = o.moving_variance_initializer, .trainable = false});
    input_spec_ = {{.ndim = inputs[0].rank(), .axes = {{axis, n}}}};
  }
  Tensors call(const Call& c) override {
    // Halves overflow in the statistics: at least float32, as Keras.
    DType dtype = result_type(c.input().dtype(), DType::Float32);
    Tensor x = prims::cast(c.input(), dtype);
    int axis = normalize_axis(o.axis, x.rank());
    prims::Ints axes;
    std::vector<int64_t> broadcast(static_cast<size_t>(x.rank()), 1);
    int64_t count = 1;
    for (int i = 0; i < x.rank(); ++i)
      if (i != axis) axes.push_back(i), count *= std::max<int64_t>(x.shape()[i], 1);
    broadcast[static_cast<size_t>(axis)] = x.shape()[axis];
    bool last = axis == x.rank() - 1;  // then per-channel vectors broadcast as they are
    auto along = [&](const Tensor& v) { return last ? v : prims::reshape(v, Shape(broadcast)); };
    auto number = [&](double v) { return scalar_like(x, dtype, v); };
    Tensor mean = prims::cast(moving_mean.value(), dtype), variance = prims::cast(moving_variance.value(), dtype);
    if (c.training && trainable_) {
      Tensor old_mean = mean, old_variance = variance;
      if (c.mask().defined()) {
        Tensor m = c.mask();
        if (m.rank() != x.rank() - 1)
          throw ValueError(ErrorText{.what = "the mask must have one axis less than the inputs", .where = "layer \"" + name_ + "\" (BatchNormalization)", .expected = x.shape().slice(0, -1).str(), .received = m.shape().str()}.str());
        Shape s = m.shape();
        s.push_back(1);
        Tensor w = prims::broadcast_to(prims::cast(prims::reshape(m, s), dtype), x.shape());
        Tensor weights = prims::reduce_sum(w, axes);
        mean = prims::div(prims::reduce_sum(prims::mul(x, w), axes), weights);
        Tensor d = prims::sub(x, along(mean));
        variance = prims::div(prims::reduce_sum(prims::mul(prims::ew(ir::Ew::square, d), w), axes), weights);
      } else {
        mean = prims::div(prims::reduce_sum(x, axes), number(static_cast<double>(count)));
        variance = prims::div(prims::reduce_sum(prims::ew(ir::Ew::square, prims::sub(x, along(mean))), axes), number(static_cast<double>(count)));
      }
      auto blend = [&](const Tensor& old, const Tensor& now) { return prims::add(prims::mul(old, number(o.momentum)), prims::mul(now, number(1.0 - o.momentum))); };
      moving_mean.assign(blend(old_mean, prims::stop_gradient(mean)));
      moving_variance.assign(blend(old_variance, prims::stop_gradient(variance)));
    }
    Tensor inv = prims::ew(ir::Ew::rsqrt, prims::add(variance, number(o.epsilon)));
    if (o.scale) inv = prims::mul(inv, prims::cast(gamma.value(), dtype));
    Tensor shift = prims::mul(prims::neg(mean), inv);
    if (o.center) shift = prims::add(shift, prims::cast(beta.value(), dtype));
    return {prims::cast(prims::add(prims::mul(x, along(inv)), along(shift)), compute_dtype_)};
  }
  Dict own_config() const override { return serial::to_config(o); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e;
    int axis = normalize_axis(o.axis, in[0].rank());
    for (int i = 0; i < in[0].rank(); ++i)
      e.axes.push_back(i == 0 ? "batch, as it came in" : i == axis ? "the channels: each is normalised by statistics of its own" : "kept from the input");
    std::string n = std::to_string(in[0][axis]);
    if (o.scale) e.parameters.push_back("gamma (" + n + ",): one factor per channel = " + n);
    if (o.center) e.parameters.push_back("beta (" + n + ",): one shift per channel = " + n);
    e.parameters.push_back("moving_mean (" + n + ",): not trained, kept for inference = " + n);
    e.parameters.push_back("moving_variance (" + n + ",): not trained, kept for inference = " + n);
    return e;
  }
};
}  // namespace

BatchNormalization::BatchNormalization(const BatchNormalizationOptions& o) : Layer(make_impl<BatchNormalizationImpl>(o)) {}
Layer BatchNormalization::from_config(const Dict& c) {
  Dict config = c;
  // Keras 2 wrote the axis as a list of one.
  if (const Value* v = c.find("axis"); v && v->is_list() && v->as_list().size() == 1) config.set("axis", v->as_list()[0]);
  return BatchNormalization(options_from<BatchNormalizationOptions>(config, "BatchNormalization"));
}

}  // namespace keras::layers
