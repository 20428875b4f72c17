// What lives here: activations as layers.
#include <keras/layers/activations/activations.h>
#include <keras/activations.h>
#include <keras/ops.h>

#include <algorithm>
#include <fmt/format.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

void not_negative(const LayerImpl& l, const char* option, double v) {
  if (!(v >= 0))
    throw ValueError(ErrorText{.what = fmt::format("{}: {} can't be negative", l.class_name(), option), .where = l.where(), .expected = "a number >= 0", .received = float_repr(v)}.str());
}

struct ReLUImpl : LayerImpl {
  ReLUOptions o;
  explicit ReLUImpl(const ReLUOptions& options) : o(options) {
    init_common("ReLU", o);
    symbolic_in_compute_dtype_ = true;
    if (o.max_value) not_negative(*this, "max_value", *o.max_value);
    not_negative(*this, "negative_slope", o.negative_slope);
    not_negative(*this, "threshold", o.threshold);
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override { return {activations::relu(c.input(), o.negative_slope, o.max_value, o.threshold)}; }
  Dict own_config() const override { return serial::to_config(o); }
};

struct LeakyReLUImpl : LayerImpl {
  LeakyReLUOptions o;
  explicit LeakyReLUImpl(const LeakyReLUOptions& options) : o(options) {
    init_common("LeakyReLU", o);
    symbolic_in_compute_dtype_ = true;
    not_negative(*this, "negative_slope", o.negative_slope);
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override { return {activations::leaky_relu(c.input(), o.negative_slope)}; }
  Dict own_config() const override { return serial::to_config(o); }
};

struct ELUImpl : LayerImpl {
  ELUOptions o;
  explicit ELUImpl(const ELUOptions& options) : o(options) {
    init_common("ELU", o);
    symbolic_in_compute_dtype_ = true;
    supports_masking_ = true;
    built_ = true;
  }
  Tensors call(const Call& c) override { return {activations::elu(c.input(), o.alpha)}; }
  /// Keras gathers this one from the constructor's arguments, its own first.
  Dict config() const override {
    Dict all = LayerImpl::config(), d{{"name", name_}, {"alpha", o.alpha}};
    for (const auto& [k, v] : all)
      if (k != "name") d.set(k, v);
    return d;
  }
};

struct PReLUImpl : LayerImpl {
  PReLUOptions o;
  Variable alpha;
  explicit PReLUImpl(const PReLUOptions& options) : o(options) {
    init_common("PReLU", o);
    symbolic_in_compute_dtype_ = true;
    o.alpha_initializer.object();
    supports_masking_ = true;
  }
  bool shared(int axis) const { return o.shared_axes && std::find(o.shared_axes->begin(), o.shared_axes->end(), axis) != o.shared_axes->end(); }
  void build(const std::vector<Shape>& inputs) override {
    Shape shape = inputs[0].slice(1);
    if (o.shared_axes)
      for (int64_t a : *o.shared_axes) {
        if (a < 1 || a > shape.rank())
          throw ValueError(ErrorText{.what = fmt::format("PReLU: shared_axes names axis {}", a), .where = where(), .expected = fmt::format("axes from 1 to {}, the batch being 0", shape.rank()),
                                     .received = inputs[0].str()}.str());
        shape[static_cast<int>(a) - 1] = 1;
      }
    alpha = add_weight({.name = "alpha", .shape = shape, .initializer = o.alpha_initializer, .regularizer = o.alpha_regularizer, .constraint = o.alpha_constraint});
    InputSpec spec{.ndim = inputs[0].rank()};
    if (o.shared_axes && !o.shared_axes->empty())
      for (int i = 1; i < inputs[0].rank(); ++i)
        if (!shared(i)) spec.axes[i] = inputs[0][i];
    input_spec_ = {spec};
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    Tensor slope = prims::cast(alpha.value(), x.dtype());
    return {prims::sub(activations::relu(x), prims::mul(slope, activations::relu(prims::neg(x))))};
  }
  Dict own_config() const override { return serial::to_config(o); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    Shape shape = in[0].slice(1);
    std::string note;
    for (int i = 1; i < in[0].rank(); ++i)
      if (shared(i)) {
        shape[i - 1] = 1;
        note += fmt::format("{}{}", note.empty() ? "" : ", ", i);
      }
    e.parameters = {fmt::format("alpha {}: one slope for each element of a sample{} = {}", shape.str(), note.empty() ? "" : ", one for all along axes " + note, shape.numel())};
    e.notes.clear();
    return e;
  }
};

struct SoftmaxImpl : LayerImpl {
  Axes axis;
  SoftmaxImpl(const Axes& a, const SoftmaxOptions& o) : axis(a) {
    init_common("Softmax", o);
    symbolic_in_compute_dtype_ = true;
    if (axis.list().empty())
      throw ValueError(ErrorText{.what = "Softmax: there is no axis to sum over", .where = where(), .expected = "an axis, or a list of them", .received = "none"}.str());
    supports_masking_ = true;
    built_ = true;
  }
  bool uses_mask() const override { return true; }
  Tensors call(const Call& c) override {
    Tensor x = c.input(), mask = c.mask();
    if (mask.defined()) {
      bool fits = mask.rank() <= x.rank();
      for (int i = 1; fits && i <= mask.rank(); ++i)
        if (int64_t m = mask.shape()[-i], n = x.shape()[-i]; m >= 0 && n >= 0 && m != 1 && m != n) fits = false;
      if (!fits)
        throw ValueError(ErrorText{.what = "Softmax: the mask does not broadcast to the input", .where = where(), .expected = "sizes from the last axis on that are 1 or those of " + x.shape().str(),
                                   .received = mask.shape().str()}.str());
      if (mask.dtype() != DType::Bool) mask = ops::greater(mask, Tensor(0.5));
      x = ops::where(mask, x, prims::scalar(x, x.dtype() == DType::Float16 ? -3e4 : -1e9));
    }
    Tensor y = ops::softmax(x, axis);
    return {mask.defined() ? ops::where(mask, y, prims::scalar(y, 0)) : y};
  }
  Dict own_config() const override {
    List l;
    for (int a : axis.list()) l.push_back(a);
    return {{"axis", axis.single() ? l[0] : Value(l)}};
  }
};

}  // namespace

ReLU::ReLU(const ReLUOptions& o) : Layer(make_impl<ReLUImpl>(o)) {}
Layer ReLU::from_config(const Dict& c) { return ReLU(options_from<ReLUOptions>(c, "ReLU")); }
LeakyReLU::LeakyReLU(const LeakyReLUOptions& o) : Layer(make_impl<LeakyReLUImpl>(o)) {}
Layer LeakyReLU::from_config(const Dict& c) {
  auto o = options_from<LeakyReLUOptions>(c, "LeakyReLU");
  if (const Value* v = c.find("alpha"); v && v->is_number()) o.negative_slope = v->as_float();  // the name before Keras 3
  return LeakyReLU(o);
}
PReLU::PReLU(const PReLUOptions& o) : Layer(make_impl<PReLUImpl>(o)) {}
Layer PReLU::from_config(const Dict& config) {
  Dict c = config;
  if (const Value* v = c.find("shared_axes"); v && v->is_int()) c.set("shared_axes", List{*v});
  return PReLU(options_from<PReLUOptions>(c, "PReLU"));
}
ELU::ELU(const ELUOptions& o) : Layer(make_impl<ELUImpl>(o)) {}
Layer ELU::from_config(const Dict& c) { return ELU(options_from<ELUOptions>(c, "ELU")); }
Softmax::Softmax(const Axes& axis, const SoftmaxOptions& o) : Layer(make_impl<SoftmaxImpl>(axis, o)) {}
Layer Softmax::from_config(const Dict& c) {
  auto o = common_options_from<SoftmaxOptions>(c);
  const Value* v = c.find("axis");
  if (!v || v->is_null()) return Softmax(-1, o);
  if (!v->is_list()) return Softmax(v->as_int(), o);
  std::vector<int> axes;
  for (int64_t a : v->as_ints()) axes.push_back(static_cast<int>(a));
  return Softmax(axes, o);
}

}  // namespace keras::layers
