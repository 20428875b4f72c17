// What lives here: Normalization.
#include <keras/layers/preprocessing/normalization.h>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include <keras/ops.h>

#include "layers/preprocessing/encode.h"

namespace keras::layers {

namespace {

/// The shape of nested lists; ValueError on ragged ones.
Shape nested_shape(const Value& v) {
  if (!v.is_list()) return {};
  Shape inner = v.as_list().empty() ? Shape{} : nested_shape(v.as_list()[0]);
  for (const Value& e : v.as_list())
    if (nested_shape(e) != inner)
      throw ValueError(ErrorText{.what = "Normalization: the lists of mean and variance are ragged", .received = v.str()}.str());
  Shape s{static_cast<int64_t>(v.as_list().size())};
  return s + inner;
}
void flatten_numbers(const Value& v, std::vector<double>& out) {
  if (!v.is_list()) return out.push_back(v.as_float());
  for (const Value& e : v.as_list()) flatten_numbers(e, out);
}

struct NormalizationImpl : LayerImpl {
  Axes axis;
  Value mean, variance;
  bool invert;
  std::vector<int64_t> keep;  // axes with a mean of their own, ascending
  Shape broadcast;            // of mean and variance against the input
  Variable adapted_mean, adapted_variance;

  explicit NormalizationImpl(const NormalizationOptions& o) : axis(o.axis), mean(o.mean), variance(o.variance), invert(o.invert) {
    init_common("Normalization", o);
    supports_masking_ = true;
    if (mean.is_null() != variance.is_null())
      bad_option(*this, mean.is_null() ? "mean" : "variance", "both mean and variance, or neither", Value());
    if (mean.is_null()) return;
    Shape m = nested_shape(mean), v = nested_shape(variance);
    if (m != v) bad_option(*this, "variance", "the shape of mean, " + m.str(), v);
    int axes = axis.all() ? 0 : static_cast<int>(axis.list().size());
    if (m.rank() > axes) bad_option(*this, "mean", fmt::format("at most one axis of lists for each of the {} axes", axes), m);
  }
  void build(const std::vector<Shape>& in) override {
    const Shape& s = in.at(0);
    keep.clear();
    if (!axis.all())
      for (int a : axis.list()) {
        if (a < -s.rank() || a >= s.rank()) bad_option(*this, "axis", fmt::format("axes of the input {}", s.str()), a);
        keep.push_back(a < 0 ? a + s.rank() : a);
      }
    std::sort(keep.begin(), keep.end());
    broadcast = Shape(std::vector<int64_t>(static_cast<size_t>(s.rank()), 1));
    Shape own;
    for (int64_t d : keep) {
      if (s[static_cast<int>(d)] < 0)
        throw ValueError(ErrorText{.what = "the size of an axis with means of its own is not known",
                                   .where = where(),
                                   .expected = fmt::format("a size on axis {}", d),
                                   .received = s.str()}
                             .str());
      broadcast[static_cast<int>(d)] = s[static_cast<int>(d)];
      own.push_back(s[static_cast<int>(d)]);
    }
    if (!mean.is_null()) return;
    adapted_mean = add_weight({.name = "mean", .shape = own, .initializer = "zeros", .trainable = false});
    adapted_variance = add_weight({.name = "variance", .shape = own, .initializer = "ones", .trainable = false});
    add_weight({.name = "count", .shape = Shape{}, .initializer = "zeros", .dtype = "int32", .trainable = false});
  }
  /// Given numbers against the input: the last axes of their lists are the last kept ones.
  Tensor given(const Value& v) const {
    std::vector<double> numbers;
    flatten_numbers(v, numbers);
    Shape s = nested_shape(v), at(std::vector<int64_t>(static_cast<size_t>(broadcast.rank()), 1));
    for (int i = 1; i <= s.rank(); ++i) at[static_cast<int>(keep[keep.size() - static_cast<size_t>(i)])] = s[s.rank() - i];
    return ops::broadcast_to(Tensor::from<double>(numbers, at).astype(DType::Float32).astype(compute_dtype_), broadcast);
  }
  Tensors call(const Call& c) override {
    Tensor x = c.input().dtype() == compute_dtype_ ? c.input() : ops::cast(c.input(), compute_dtype_), m, v;
    if (mean.is_null()) {
      m = ops::cast(ops::reshape(adapted_mean.value(), broadcast), compute_dtype_);
      v = ops::cast(ops::reshape(adapted_variance.value(), broadcast), compute_dtype_);
    } else {
      m = given(mean), v = given(variance);
    }
    Tensor deviation = ops::maximum(ops::sqrt(v), 1e-7);
    return {invert ? m + x * deviation : (x - m) / deviation};
  }
  void adapt(const Tensors& batches) {
    if (!mean.is_null())
      throw RuntimeError(ErrorText{
          .what = "mean and variance were given, so there is nothing to learn", .where = where(), .fix = "make the layer without them"}
                             .str());
    if (batches.empty())
      throw ValueError(ErrorText{.what = "adapt got no data", .where = where(), .expected = "an array, or at least one batch"}.str());
    if (!built_) {
      Shape s = batches[0].shape();
      if (s.rank() > 0) s[0] = batches.size() > 1 ? None : s[0];
      ensure_built({s});
    }
    // Sums in double, shifted by nothing: the mean first, then the squares about it.
    size_t n = static_cast<size_t>(std::max<int64_t>(1, adapted_mean.shape().numel()));
    std::vector<double> sum(n, 0), squares(n, 0);
    double count = 0;
    for (int pass = 0; pass < 2; ++pass) {
      for (const Tensor& batch : batches) {
        const Shape& s = batch.shape();
        bool fits = s.rank() == broadcast.rank();
        for (int64_t d : keep) fits = fits && s[static_cast<int>(d)] == broadcast[static_cast<int>(d)];
        if (!fits)
          throw ValueError(ErrorText{.what = "the data does not fit the shape that the layer was built for",
                                     .where = where(),
                                     .expected = built_shapes_.empty() ? broadcast.str() : built_shapes_[0].str(),
                                     .received = s.str()}
                               .str());
        std::vector<double> x = batch.to_vector<double>();
        std::vector<int64_t> stride(static_cast<size_t>(s.rank()), 0);
        int64_t step = 1;
        for (size_t k = keep.size(); k-- > 0;) {
          stride[static_cast<size_t>(keep[k])] = step;
          step *= s[static_cast<int>(keep[k])];
        }
        std::vector<int64_t> at(static_cast<size_t>(s.rank()), 0);
        int64_t place = 0;
        for (double value : x) {
          auto p = static_cast<size_t>(place);
          if (pass == 0) sum[p] += value;
          else squares[p] += (value - sum[p]) * (value - sum[p]);
          for (size_t d = at.size(); d-- > 0;) {
            place += stride[d];
            if (++at[d] < s[static_cast<int>(d)]) break;
            place -= stride[d] * at[d];
            at[d] = 0;
          }
        }
        if (pass == 0) count += static_cast<double>(x.size()) / static_cast<double>(n);
      }
      if (pass == 0)
        for (double& v : sum) v /= count;
      else
        for (double& v : squares) v /= count;
    }
    adapted_mean.assign(Tensor::from<double>(sum, adapted_mean.shape()).astype(adapted_mean.dtype()));
    adapted_variance.assign(Tensor::from<double>(squares, adapted_variance.shape()).astype(adapted_variance.dtype()));
  }
  Dict own_config() const override {
    return {{"axis", axis.all() ? Value(List{}) : Value(axis.list())}, {"invert", invert}, {"mean", mean}, {"variance", variance}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = LayerImpl::explain(in, out);
    if (!mean.is_null()) e.notes = {"mean and variance were given, so there are no weights"};
    else if (built_) {
      e.parameters = {
          fmt::format("mean, variance {}: one number for each place of the axes kept ({})", adapted_mean.shape().str(), Shape(keep).str()),
          "count (): kept for the layout of saved files"};
      e.notes = {"`adapt` fills the weights; they are not trained"};
    }
    return e;
  }
};

}  // namespace

Normalization::Normalization(const NormalizationOptions& o) : Layer(make_impl<NormalizationImpl>(o)) {}
Normalization::Normalization(const Layer& layer) : Layer(layer) { inside<NormalizationImpl>(layer, "a Normalization"); }
Layer Normalization::from_config(const Dict& c) {
  auto o = options_from<NormalizationOptions>(c, "Normalization");
  if (const Value* v = c.find("axis")) {
    std::vector<int> axes;
    if (v->is_int()) axes = {static_cast<int>(v->as_int())};
    else if (v->is_list())
      for (int64_t a : v->as_ints()) axes.push_back(static_cast<int>(a));
    else if (!v->is_null())
      throw TypeError(ErrorText{.what = "Normalization: axis can't be read", .expected = "an int, a list of ints, or null", .received = v->str()}.str());
    o.axis = axes.empty() ? Axes() : Axes(axes);
  }
  return Normalization(o);
}
void Normalization::adapt(const Tensor& data) const { inside<NormalizationImpl>(*this, "a Normalization").adapt({data}); }
void Normalization::adapt(const Tensors& batches) const { inside<NormalizationImpl>(*this, "a Normalization").adapt(batches); }

}  // namespace keras::layers
