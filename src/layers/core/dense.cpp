// What lives here: Dense.
#include <keras/layers/core/dense.h>

#include "layers/core/lora.h"
#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct DenseImpl : LayerImpl, LoraHost {
  int64_t units;
  DenseOptions o;
  Variable kernel, bias;

  DenseImpl(int64_t n, const DenseOptions& options) : units(n), o(options) {
    init_common("Dense", o);
    if (units <= 0)
      throw ValueError(ErrorText{.what = "Dense: units must be positive", .where = where(), .expected = "units >= 1", .received = std::to_string(units)}.str());
    read_lora(o.lora_rank, o.lora_alpha, *this);
    o.kernel_initializer.object();  // a random initialiser draws its seed here, as in Keras
    activity_regularizer_ = o.activity_regularizer;
    supports_masking_ = true;
    input_spec_ = {{.min_ndim = 2}};
  }
  void build(const std::vector<Shape>& inputs) override {
    int64_t d = inputs[0].back();
    if (d < 0)
      throw ValueError(ErrorText{.what = "the last axis of the input of a Dense layer must have a size", .where = where(), .expected = "(…, d)", .received = inputs[0].str(),
                                 .fix = "give the Input that size"}.str());
    kernel = add_weight({.name = "kernel", .shape = {d, units}, .initializer = o.kernel_initializer, .regularizer = o.kernel_regularizer, .constraint = o.kernel_constraint});
    if (o.use_bias) bias = add_weight({.name = "bias", .shape = {units}, .initializer = o.bias_initializer, .regularizer = o.bias_regularizer, .constraint = o.bias_constraint});
    input_spec_ = {{.min_ndim = 2, .axes = {{-1, d}}}};
    // As Keras: lora_alpha of the constructor is not used, nor of a file.
    if (lora_rank) enable_lora(*lora_rank, Value(), "he_uniform", "zeros");
  }
  Variable lora_target() const override { return kernel; }
  void enable_lora(int64_t rank, const Value& alpha, const Initializer& a, const Initializer& b) {
    LoraHost::enable_lora(*this, rank, alpha, a, b, o.kernel_regularizer, o.kernel_constraint);
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    Tensor y = prims::dot(prims::cast(x, compute_dtype_), lora_value(compute_dtype_), {x.rank() - 1}, {0});
    if (o.use_bias) y = prims::add(y, prims::cast(bias.value(), compute_dtype_));
    if (o.activation) y = o.activation->call(y);
    return {y};
  }
  Dict own_config() const override {
    Dict d{{"units", units}};
    for (const auto& [k, v] : serial::to_config(o)) d.set(k, v);
    if (d.at("activation").is_null()) d.set("activation", "linear");
    write_lora(d);
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e;
    for (int i = 0; i < out[0].rank() - 1; ++i)
      e.axes.push_back(i == 0 ? "batch, as it came in" : "kept from the input: Dense acts on the last axis only and treats every position alike");
    e.axes.push_back("units=" + std::to_string(units) + ": each vector of " + std::to_string(in[0].back()) + " numbers along the last axis becomes one of " + std::to_string(units));
    std::string d = std::to_string(in[0].back()), m = std::to_string(units);
    e.parameters.push_back("kernel (" + d + ", " + m + "): last axis of the input x units = " + std::to_string(in[0].back() * units));
    if (o.use_bias) e.parameters.push_back("bias (" + m + ",): one per unit = " + m);
    if (in[0].rank() > 2)
      e.notes.push_back("nothing is flattened: put a Flatten before it to feed all " + Shape(in[0].slice(1)).str() + " numbers of a sample to every unit");
    return e;
  }
};
}  // namespace

Dense::Dense(int64_t units, const DenseOptions& options) : Layer(make_impl<DenseImpl>(units, options)) {}
Layer Dense::from_config(const Dict& config) {
  auto o = options_from<DenseOptions>(config, "Dense");
  if (const Value* r = config.find("activity_regularizer")) o.activity_regularizer = Regularizer(*r);
  read_lora_options(o, config, "Dense");
  return Dense(config.at("units").as_int(), o);
}
Variable Dense::kernel() const { return static_cast<DenseImpl&>(*impl_).kernel; }
Variable Dense::bias() const { return static_cast<DenseImpl&>(*impl_).bias; }
void Dense::enable_lora(int64_t rank, const std::optional<double>& lora_alpha, const Initializer& a, const Initializer& b) {
  layers::enable_lora<DenseImpl>(*impl_, rank, lora_alpha, a, b);
}

}  // namespace keras::layers
