// What lives here: BatchNormalization.
#include <keras/layers/normalization/batch_normalization.h>

#include <keras/ops.h>

#include <fmt/format.h>
#include <cmath>

#include "layers/normalization/normalizer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct BatchNormalizationImpl : LayerImpl {
  BatchNormalizationOptions o;
  Variable gamma, beta, moving_mean, moving_variance, moving_stddev, renorm_mean, renorm_stddev;
  std::optional<double> rmin, rmax, dmax;  // bounds of the corrections of renorm
  explicit BatchNormalizationImpl(const BatchNormalizationOptions& options) : o(options) {
    init_common("BatchNormalization", o);
    if (o.synchronized)
      throw ValueError(ErrorText{.what = "BatchNormalization: synchronized=true is not supported",
                                 .where = where(),
                                 .expected = "false, as with Keras' JAX backend",
                                 .received = "true"}
                           .str());
    // Seeds are drawn here, in Keras' order.
    for (const Initializer* i : {&o.beta_initializer, &o.gamma_initializer, &o.moving_mean_initializer, &o.moving_variance_initializer})
      i->object();
    if (o.renorm) read_clipping();
    supports_masking_ = true;
  }
  void read_clipping() {
    if (o.renorm_clipping.is_null()) o.renorm_clipping = Dict{};
    auto wrong = [&](const std::string& what, const std::string& expected) {
      throw ValueError(ErrorText{.what = "BatchNormalization: " + what,
                                 .where = where(),
                                 .expected = expected,
                                 .received = "renorm_clipping=" + o.renorm_clipping.str()}
                           .str());
    };
    if (!o.renorm_clipping.is_dict()) wrong("renorm_clipping is no dictionary", "{\"rmax\": …, \"rmin\": …, \"dmax\": …}");
    for (const auto& [k, v] : o.renorm_clipping.as_dict()) {
      if (k != "rmax" && k != "rmin" && k != "dmax") wrong("renorm_clipping has the unknown key '" + k + "'", "rmax, rmin, dmax");
      if (!v.is_null()) (k == "rmax" ? rmax : k == "rmin" ? rmin : dmax) = v.as_float();
    }
    if (rmax && rmin && *rmax < *rmin) wrong("rmax is smaller than rmin", "rmax >= rmin");
    if (dmax && *dmax < 0) wrong("dmax is negative", "dmax >= 0");
  }
  bool uses_mask() const override { return true; }
  void build(const std::vector<Shape>& inputs) override {
    int axis = normalize_axis(o.axis, inputs[0].rank(), "BatchNormalization: axis");
    int64_t n = inputs[0][axis];
    if (n < 0)
      throw ValueError(ErrorText{.what = "the axis to normalise must have a size", .where = where(), .received = inputs[0].str()}.str());
    add_gamma_and_beta(*this, o, o.scale, o.center, {n}, gamma, beta);
    moving_mean = add_weight({.name = "moving_mean", .shape = {n}, .initializer = o.moving_mean_initializer, .trainable = false});
    moving_variance =
        add_weight({.name = "moving_variance", .shape = {n}, .initializer = o.moving_variance_initializer, .trainable = false});
    if (o.renorm) {
      // Deviations start as roots of what an initialiser of the same kind gives for variances.
      Initializer deviation = [saved = o.moving_variance_initializer.serialize()](const Shape& shape, DType dtype) {
        return ops::sqrt(Initializer(saved).object()->call(shape, dtype));
      };
      moving_stddev = add_weight({.name = "moving_stddev", .shape = {n}, .initializer = deviation, .trainable = false});
      renorm_mean = add_weight(
          {.name = "renorm_mean", .shape = {n}, .initializer = Initializer(o.moving_mean_initializer.serialize()), .trainable = false});
      renorm_stddev = add_weight({.name = "renorm_stddev", .shape = {n}, .initializer = deviation, .trainable = false});
    }
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
    auto value = [&](const Variable& v) { return prims::cast(v.value(), dtype); };
    auto root = [&](const Tensor& v) { return prims::ew(ir::Ew::sqrt, prims::add(v, number(o.epsilon))); };
    auto blend = [&](const Variable& v, const Tensor& now, double momentum) {
      return prims::add(prims::mul(value(v), number(momentum)), prims::mul(prims::stop_gradient(now), number(1.0 - momentum)));
    };
    Tensor mean, variance, factor = o.scale ? value(gamma) : Tensor(), offset = o.center ? value(beta) : Tensor();
    if (c.training && trainable_) {
      if (c.mask().defined()) {
        Tensor m = c.mask();
        if (m.rank() != x.rank() - 1)
          throw ValueError(ErrorText{.what = "the mask must have one axis less than the inputs",
                                     .where = where(),
                                     .expected = x.shape().slice(0, -1).str(),
                                     .received = m.shape().str()}
                               .str());
        Shape s = m.shape();
        s.push_back(1);
        Tensor keep = prims::broadcast_to(prims::cast(prims::reshape(m, s), DType::Bool), x.shape());
        // What is left out may hold anything: it is selected away, not multiplied by 0.
        auto mean_of = [&](const Tensor& v, const Tensor& weights) {
          return prims::div(prims::reduce_sum(prims::select(keep, v, prims::scalar(v, 0)), axes), weights);
        };
        Tensor weights = prims::add(prims::reduce_sum(prims::cast(keep, dtype), axes), number(config::epsilon()));
        mean = mean_of(x, weights);
        variance = mean_of(prims::ew(ir::Ew::square, prims::sub(x, along(mean))), weights);
      } else {
        mean = prims::div(prims::reduce_sum(x, axes), number(static_cast<double>(count)));
        variance =
            prims::div(prims::reduce_sum(prims::ew(ir::Ew::square, prims::sub(x, along(mean))), axes), number(static_cast<double>(count)));
      }
      if (o.renorm) {
        Tensor deviation = root(variance), slow = prims::ew(ir::Ew::maximum, value(renorm_stddev), number(std::sqrt(o.epsilon)));
        Tensor r = prims::stop_gradient(prims::div(deviation, slow)),
               d = prims::stop_gradient(prims::div(prims::sub(mean, value(renorm_mean)), slow));
        if (rmin) r = prims::ew(ir::Ew::maximum, r, number(*rmin));
        if (rmax) r = prims::ew(ir::Ew::minimum, r, number(*rmax));
        if (dmax) d = prims::ew(ir::Ew::minimum, prims::ew(ir::Ew::maximum, d, number(-*dmax)), number(*dmax));
        // (x r + d) gamma + beta = x (r gamma) + (d gamma + beta)
        Tensor moved = o.scale ? prims::mul(d, factor) : d;
        factor = o.scale ? prims::mul(r, factor) : r;
        offset = o.center ? prims::add(moved, offset) : moved;
        renorm_mean.assign(blend(renorm_mean, mean, o.renorm_momentum));
        renorm_stddev.assign(blend(renorm_stddev, deviation, o.renorm_momentum));
        moving_mean.assign(blend(moving_mean, mean, o.momentum));
        Tensor moving = blend(moving_stddev, deviation, o.momentum);
        moving_stddev.assign(moving);
        moving_variance.assign(prims::ew(ir::Ew::maximum, prims::sub(prims::ew(ir::Ew::square, moving), number(o.epsilon)), number(0)));
      } else {
        moving_mean.assign(blend(moving_mean, mean, o.momentum));
        moving_variance.assign(blend(moving_variance, variance, o.momentum));
      }
    } else {
      mean = value(moving_mean), variance = value(moving_variance);
    }
    Tensor inv = prims::ew(ir::Ew::rsqrt, prims::add(variance, number(o.epsilon)));
    if (factor.defined()) inv = prims::mul(inv, factor);
    Tensor shift = prims::mul(prims::neg(mean), inv);
    if (offset.defined()) shift = prims::add(shift, offset);
    return {prims::cast(prims::add(prims::mul(x, along(inv)), along(shift)), compute_dtype_)};
  }
  Dict own_config() const override { return serial::to_config(o); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e;
    int axis = normalize_axis(o.axis, in[0].rank());
    for (int i = 0; i < in[0].rank(); ++i)
      e.axes.push_back(i == 0      ? "batch, as it came in"
                       : i == axis ? "the channels: each is normalised by statistics of its own"
                                   : "kept from the input");
    std::string n = std::to_string(in[0][axis]);
    if (o.scale) e.parameters.push_back("gamma (" + n + ",): one factor per channel = " + n);
    if (o.center) e.parameters.push_back("beta (" + n + ",): one shift per channel = " + n);
    e.parameters.push_back("moving_mean (" + n + ",): not trained, kept for inference = " + n);
    e.parameters.push_back("moving_variance (" + n + ",): not trained, kept for inference = " + n);
    if (o.renorm)
      for (const char* name : {"moving_stddev", "renorm_mean", "renorm_stddev"})
        e.parameters.push_back(std::string(name) + " (" + n + ",): not trained, kept for the corrections of renorm = " + n);
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
