// What lives here: GroupNormalization.
#include <keras/layers/normalization/group_normalization.h>
#include <keras/ops.h>

#include <fmt/format.h>

#include "layers/normalization/normalizer.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct GroupNormalizationImpl : LayerImpl {
  GroupNormalizationOptions o;
  Variable gamma, beta;
  explicit GroupNormalizationImpl(const GroupNormalizationOptions& options) : o(options) {
    init_common("GroupNormalization", o);
    if (o.groups <= 0 && o.groups != -1)
      throw ValueError(ErrorText{.what = "GroupNormalization: groups must be positive, or -1",
                                 .where = where(),
                                 .expected = "1 or more, or -1 for one group per channel",
                                 .received = std::to_string(o.groups)}
                           .str());
    o.beta_initializer.object(), o.gamma_initializer.object();
    supports_masking_ = true;
    autocast_ = false;  // halves are normalised from what came in, not from a rounded copy
  }
  void build(const std::vector<Shape>& inputs) override {
    const Shape& in = inputs.at(0);
    int axis = normalize_axis(o.axis, in.rank(), "GroupNormalization: axis");
    int64_t n = in[axis];
    auto wrong = [&](const std::string& what, const std::string& expected, const std::string& received) {
      throw ValueError(
          ErrorText{.what = "GroupNormalization: " + what, .where = where(), .expected = expected, .received = received}.str());
    };
    if (axis == 0) wrong("the batch is no axis of channels", "an axis from 1 on", std::to_string(o.axis));
    if (n < 0) wrong(fmt::format("axis {} must have a size", o.axis), "a size there", in.str());
    if (o.groups == -1) o.groups = n;
    if (n < o.groups) wrong("there are more groups than channels", fmt::format("at most {} groups", n), std::to_string(o.groups));
    if (n % o.groups) wrong("the channels can't be divided into the groups", fmt::format("a divisor of {}", n), std::to_string(o.groups));
    add_gamma_and_beta(*this, o, o.scale, o.center, {n}, gamma, beta);
    input_spec_ = {{.ndim = in.rank(), .axes = {{axis, n}}}};
  }
  Tensors call(const Call& c) override {
    const Shape& in = c.input().shape();
    DType wide = result_type(c.input().dtype(), DType::Float32);
    int axis = normalize_axis(o.axis, in.rank());
    // Sums are taken per channel where it lies, then over the channels of a group: the tensor itself keeps its shape.
    Shape line(std::vector<int64_t>(static_cast<size_t>(in.rank()), 1));
    line[axis] = in[axis];
    std::vector<int64_t> places;
    int64_t count = in[axis] / o.groups;
    for (int i = 1; i < in.rank(); ++i)
      if (i != axis) places.push_back(i), count = count < 0 || in[i] < 0 ? -1 : count * in[i];
    auto mean_of_group = [&](const Tensor& t) {
      Tensor sum = prims::reduce_sum(t, places, true);
      Shape whole = sum.shape(), split = whole;
      split[axis] = in[axis] / o.groups;
      split.insert(axis, o.groups);
      Tensor mean = prims::div(prims::reduce_sum(prims::reshape(sum, split), {axis + 1}, true),
                               prims::scalar(sum, count < 0 ? 1 : static_cast<double>(count)));
      return prims::reshape(prims::broadcast_to(mean, split), whole);
    };
    Tensor x = prims::cast(c.input(), wide);
    // The mean is taken away first: two large numbers never cancel after they were scaled.
    Tensor y = prims::sub(x, mean_of_group(x));
    Tensor factor = prims::ew(ir::Ew::rsqrt, prims::add(mean_of_group(prims::ew(ir::Ew::square, y)), o.epsilon));
    if (o.scale) factor = prims::mul(factor, prims::reshape(prims::cast(gamma.value(), wide), line));
    y = prims::mul(y, factor);
    if (o.center) y = prims::add(y, prims::reshape(prims::cast(beta.value(), wide), line));
    y = prims::cast(y, c.input().dtype());
    return {prims::cast(y, compute_dtype_)};
  }
  Dict own_config() const override { return serial::to_config(o); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e;
    int axis = normalize_axis(o.axis, in.at(0).rank());
    int64_t n = in[0][axis];
    for (int i = 0; i < in[0].rank(); ++i)
      e.axes.push_back(i == 0      ? "batch, as it came in"
                       : i == axis ? fmt::format("{} channels in {} groups of {}: each group is normalised by statistics of its own", n,
                                                 o.groups, n / o.groups)
                                   : "kept: its places share the statistics of their group");
    for (const Variable& v : own_trainable_)
      e.parameters.push_back(fmt::format("{} ({},): one {} per channel = {}", v.name(), n, v.name() == "gamma" ? "factor" : "shift", n));
    return e;
  }
};
}  // namespace

GroupNormalization::GroupNormalization(const GroupNormalizationOptions& o) : Layer(make_impl<GroupNormalizationImpl>(o)) {}
Layer GroupNormalization::from_config(const Dict& c) {
  return GroupNormalization(options_from<GroupNormalizationOptions>(c, "GroupNormalization"));
}

}  // namespace keras::layers
