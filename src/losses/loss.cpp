// What lives here: the base of losses: ranks, masks, weights and reductions around a loss' values.
#include "losses/loss.h"
#include "serial/registered.h"


#include <cstdlib>
#include <limits>

#include <keras/base/warning.h>
#include <keras/ops.h>

#include "core/impl.h"

namespace keras::losses {

DType compute_dtype(const Value& dtype, DType fallback) {
  if (dtype.is_null()) return fallback;
  if (dtype.is_dict()) return compute_dtype(dtype.get("config").get("name"), fallback);
  const std::string& name = dtype.as_string();
  if (name.starts_with("mixed_")) return dtype_from_name(name.substr(6));
  return dtype_from_name(name);
}

Value standardize_reduction(const Value& reduction) {
  static const std::vector<std::string> allowed = {"sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"};
  // keras::None is a number, and what a port of Python code writes.
  if (reduction.is_null() || (reduction.is_int() && reduction.as_int() == None)) return {};
  if (reduction.is_string())
    for (const std::string& a : allowed)
      if (reduction.as_string() == a) return reduction;
  std::string hint = reduction.is_string() ? did_you_mean(reduction.as_string(), allowed) : "";
  throw ValueError(ErrorText{.what = "unknown reduction " + reduction.str() + hint,
                             .expected = "\"sum_over_batch_size\", \"sum\", \"mean\", \"mean_with_sample_weight\", \"none\" or nullptr"}
                       .str());
}

std::pair<Tensor, Tensor> squeeze_or_expand_to_same_rank(const Tensor& x1, const Tensor& x2, bool expand_rank_1) {
  int r1 = x1.rank(), r2 = x2.rank();
  if (r1 == r2 + 1 && x1.shape().back() == 1) {
    if (r2 == 1 && expand_rank_1) return {x1, ops::expand_dims(x2, -1)};
    return {ops::squeeze(x1, -1), x2};
  }
  if (r2 == r1 + 1 && x2.shape().back() == 1) {
    if (r1 == 1 && expand_rank_1) return {ops::expand_dims(x1, -1), x2};
    return {x1, ops::squeeze(x2, -1)};
  }
  return {x1, x2};
}

void warn_if_broadcast(const Tensor& y_true, const Tensor& y_pred, const char* where) {
  const Shape &t = y_true.shape(), &p = y_pred.shape();
  if (compatible(t, p)) return;
  // What can't be broadcast at all is an error of the op that tries.
  try {
    broadcast_shapes(t, p);
  } catch (const Error&) {
    return;
  }
  warn_once(std::string(where) + t.str() + p.str(),
            ErrorText{.what = "y_true and y_pred have different shapes and are broadcast against each other, which is rarely meant",
                      .where = where,
                      .received = "y_true " + t.str() + ", y_pred " + p.str(),
                      .fix = "reshape the labels to the shape of the predictions"}
                .str());
}

Tensor count_elements(const Tensor& x, DType dtype) {
  int64_t n = x.numel();
  if (n >= 0) return ops::cast(Tensor(static_cast<double>(n)), dtype);
  return ops::sum(ops::ones_like(x, dtype));
}

Tensor apply_mask(const Tensor& sample_weight, const Tensor& mask, DType dtype, bool rescale) {
  if (!mask) return sample_weight;
  Tensor weights = ops::cast(mask, dtype);
  if (rescale) {
    // Invalid elements weigh 0, valid ones total/valid: the mean over all elements is then that over the valid ones.
    Tensor weight = ops::divide_no_nan(count_elements(mask, dtype), ops::sum(weights));
    weights = ops::where(ops::cast(mask, DType::Bool), weight, ops::zeros_like(weight));
  }
  if (!sample_weight) return weights;
  auto [m, w] = squeeze_or_expand_to_same_rank(weights, ops::cast(sample_weight, dtype));
  return ops::multiply(w, m);
}

static bool is_mean(const Value& reduction) {
  const std::string& r = reduction.as_string();
  return r == "sum_over_batch_size" || r == "mean";
}

static Tensor reduce_values(const Tensor& values, const Tensor& sample_weight, const Value& reduction) {
  if (reduction.is_null() || reduction.as_string() == "none" || values.shape() == Shape{} || values.shape() == Shape{0}) return values;
  Tensor loss = ops::sum(values);
  if (reduction.as_string() == "sum") return loss;
  bool by_weight = reduction.as_string() == "mean_with_sample_weight" && sample_weight;
  return ops::divide_no_nan(loss, by_weight ? ops::cast(ops::sum(sample_weight), loss.dtype()) : count_elements(values, loss.dtype()));
}

Tensor reduce_weighted_values(const Tensor& values, const Tensor& sample_weight, const Tensor& mask, const Value& reduction, DType dtype) {
  Tensor v = ops::cast(values, dtype);
  Tensor weight = sample_weight ? ops::cast(sample_weight, dtype) : Tensor();
  weight = apply_mask(weight, mask, dtype, reduction.is_string() && is_mean(reduction));
  if (weight) {
    auto [vs, ws] = squeeze_or_expand_to_same_rank(v, weight);
    try {
      broadcast_shapes(vs.shape(), ws.shape());
    } catch (const Error&) {
      throw ValueError(ErrorText{.what = "the sample weights don't fit the values of the loss",
                                 .expected = "weights that broadcast to " + vs.shape().str(),
                                 .received = ws.shape().str(),
                                 .fix = "give one weight per sample, or per element of the loss"}
                           .str());
    }
    v = ops::multiply(vs, ws);
    weight = ws;
  }
  return reduce_values(v, weight, reduction);
}

TaskKind binary_or_sparse(const Shape& y_true, const Shape& y_pred) {
  int64_t true_last = y_true.empty() ? None : y_true.back(), pred_last = y_pred.empty() ? None : y_pred.back();
  return {pred_last == 1, y_true.rank() < y_pred.rank() || (true_last == 1 && pred_last > 1)};
}

Loss::Loss(LossOptions options)
    : name_(std::move(options.name)), reduction_(standardize_reduction(options.reduction)), dtype_(compute_dtype(options.dtype)) {}

const std::string& Loss::name() const {
  // Only now, because a constructor does not know the class that derives from it.
  if (name_.empty()) name_ = core::unique_name(core::to_snake_case(class_name()));
  return name_;
}

std::string Loss::class_name() const { return serial::plain_type_name(typeid(*this)); }

Dict Loss::get_config() const { return {{"name", name()}, {"reduction", reduction_}}; }

Tensor Loss::operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  Tensor in_mask = core::mask_of(y_pred);
  Tensor values = call(ops::cast(y_true, dtype_), ops::cast(y_pred, dtype_));
  if (!values)
    throw ValueError(ErrorText{.what = "the loss' call returned no tensor", .where = "loss \"" + name() + "\" (" + class_name() + ")"}.str());
  Tensor out_mask = core::mask_of(values);
  Tensor mask = in_mask && out_mask ? ops::logical_and(in_mask, out_mask) : in_mask ? in_mask : out_mask;
  return reduce_weighted_values(values, sample_weight, mask, reduction_, dtype_);
}

}  // namespace keras::losses
