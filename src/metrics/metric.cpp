// What lives here: the base of metrics, sums and means.
#include <mutex>

#include <keras/metrics.h>
#include <keras/ops.h>

#include "core/impl.h"
#include "losses/loss.h"
#include "metrics/metric.h"
#include "serial/registered.h"

namespace keras::metrics {

// ---- arguments
Initial::Initial(const char* name) {
  std::string n = name;
  if (n == "ones" || n == "Ones") {
    number_ = 1;
  } else if (n != "zeros" && n != "Zeros") {
    throw ValueError(ErrorText{.what = "unknown start of a metric's variable '" + n + "'" + did_you_mean(n, {"zeros", "ones"}),
                               .expected = "a number, \"zeros\", \"ones\" or a tensor"}
                         .str());
  }
}

Tensor Initial::make(const Shape& shape, DType dtype) const {
  if (!value_) return Tensor::full(shape, number_, dtype);
  if (!(value_.shape() == shape))
    throw ValueError(ErrorText{.what = "the start of a metric's variable has another shape", .expected = shape.str(), .received = value_.shape().str()}.str());
  return value_.astype(dtype);
}

FloatList::FloatList(const Value& v) {
  if (v.is_null()) return;
  kind_ = v.is_list() ? Kind::List : Kind::Number;
  if (v.is_list()) {
    for (const Value& e : v.as_list()) values_.push_back(e.as_float());
  } else {
    values_ = {v.as_float()};
  }
}

Value FloatList::serialize() const {
  if (kind_ == Kind::None) return {};
  if (kind_ == Kind::Number) return values_[0];
  return values_;
}

// ---- the base
struct Metric::State {
  std::string name;
  DType dtype = config::floatx_dtype();
  std::vector<Variable> own;
  std::vector<std::shared_ptr<Metric>> inner;
  std::vector<size_t> unnamed;  // variables made before the name was known
};

Metric::Metric(const std::string& name, const Value& dtype, const char* class_name) : state_(std::make_shared<State>()) {
  state_->name = name;
  if (name.empty() && *class_name) state_->name = core::unique_name(core::to_snake_case(class_name));
  state_->dtype = losses::compute_dtype(dtype);
}

static std::string path_prefix(std::string name) {
  for (char& c : name)
    if (c == '/') c = '>';
  return name;
}

const std::string& Metric::name() const {
  // Only now, because a constructor does not know the class that derives from it.
  if (state_->name.empty()) {
    state_->name = core::unique_name(core::to_snake_case(class_name()));
    for (size_t i : state_->unnamed) state_->own[i].set_path(path_prefix(state_->name) + "/" + state_->own[i].name());
    state_->unnamed.clear();
  }
  return state_->name;
}

void Metric::set_name(const std::string& name) {
  this->name();
  state_->name = name;
}

DType Metric::dtype() const { return state_->dtype; }

Variable Metric::add_variable(const Shape& shape, const Initial& initializer, const std::string& name, const Value& dtype) {
  if (state_->name.empty()) state_->unnamed.push_back(state_->own.size());
  VariableOptions options{.name = name, .trainable = false, .path_prefix = path_prefix(state_->name)};
  state_->own.emplace_back(initializer.make(shape, losses::compute_dtype(dtype)), options);
  return state_->own.back();
}

void Metric::track(std::shared_ptr<Metric> metric) { state_->inner.push_back(std::move(metric)); }
Variable Metric::variable(size_t i) const { return state_->own.at(i); }
size_t Metric::variable_count() const { return state_->own.size(); }

std::vector<Variable> Metric::variables() const {
  name();
  std::vector<Variable> all = state_->own;
  for (const auto& m : state_->inner)
    for (const Variable& v : m->variables()) all.push_back(v);
  return all;
}

void Metric::reset_state() {
  for (const Variable& v : variables()) v.assign(Tensor::full(v.shape(), 0, v.dtype()));
}

Tensor Metric::operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  update_state(y_true, y_pred, sample_weight);
  return result();
}

Tensors Metric::stateless_update_state(const Tensors& metric_variables, const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  core::LentValues lent(variables(), metric_variables, name() + ".stateless_update_state");
  update_state(y_true, y_pred, sample_weight);
  return lent.values();
}

Tensor Metric::stateless_result(const Tensors& metric_variables) {
  core::LentValues lent(variables(), metric_variables, name() + ".stateless_result");
  return result();
}

Tensors Metric::stateless_reset_state() {
  Tensors now;
  for (const Variable& v : variables()) now.push_back(v.value());
  core::LentValues lent(variables(), now, name() + ".stateless_reset_state");
  reset_state();
  return lent.values();
}

Dict Metric::get_config() const { return {{"name", name()}, {"dtype", dtype_name(dtype())}}; }

std::string Metric::class_name() const { return serial::plain_type_name(typeid(*this)); }

// ---- reductions
namespace {

using Reduce = Tensor (*)(const Tensor& x, const Axes& axis, bool keepdims);

Axes axes_from(int first, int end) {
  std::vector<int> axes;
  for (int i = first; i < end; ++i) axes.push_back(i);
  return Axes(std::move(axes));
}

/// One value and one weight (or none) per sample.
std::pair<Tensor, Tensor> samplewise(const Tensor& given, const Tensor& weight, Reduce reduce, DType dtype) {
  Tensor values = ops::cast(given, dtype), w;
  if (weight) {
    w = losses::apply_mask(ops::cast(weight, dtype), core::mask_of(given), dtype, false);
    std::tie(values, w) = losses::squeeze_or_expand_to_same_rank(values, w);
    int weight_rank = w.rank();
    if (values.rank() > weight_rank) values = reduce(values, axes_from(weight_rank, values.rank()), false);
    w = ops::broadcast_to(w, values.shape());
    values = values * w;
    if (weight_rank > 1) w = reduce(w, axes_from(1, weight_rank), false);
  }
  if (values.rank() > 1) values = reduce(values, axes_from(1, values.rank()), false);
  return {values, w};
}

void need_two(const Tensor& unused, const char* where) {
  if (unused)
    throw TypeError(ErrorText{.what = "this metric takes values and weights, not y_true, y_pred and weights",
                              .where = where,
                              .fix = "for the mean of a function of y_true and y_pred use metrics::MeanMetricWrapper"}
                        .str());
}

}  // namespace

Sum::Sum(const ReductionOptions& options) : Metric(options.name, options.dtype, "Sum"), total_(add_variable({}, 0, "total", dtype())) {}

void Sum::update_state(const Tensor& values, const Tensor& sample_weight, const Tensor& unused) {
  need_two(unused, "Sum");
  total_.assign_add(ops::sum(samplewise(values, sample_weight, ops::sum, dtype()).first));
}

Tensor Sum::result() { return total_; }

Mean::Mean(const ReductionOptions& options, const char* class_name)
    : Metric(options.name, options.dtype, class_name), total_(add_variable({}, 0, "total", dtype())), count_(add_variable({}, 0, "count", dtype())) {}

void Mean::update_state(const Tensor& given, const Tensor& sample_weight, const Tensor& unused) {
  need_two(unused, "Mean");
  auto [values, weight] = samplewise(given, sample_weight, ops::mean, dtype());
  total_.assign_add(ops::sum(values));
  count_.assign_add(weight ? ops::sum(weight) : losses::count_elements(values, dtype()));
}

Tensor Mean::result() { return ops::divide_no_nan(total_, count_); }

RootMeanSquaredError::RootMeanSquaredError(const ReductionOptions& options) : Mean(options, "RootMeanSquaredError") {}

void RootMeanSquaredError::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  auto [t, p] = losses::squeeze_or_expand_to_same_rank(ops::cast(y_true, dtype()), ops::cast(y_pred, dtype()));
  losses::warn_if_broadcast(t, p, "RootMeanSquaredError");
  Mean::update_state(ops::square(p - t), sample_weight);
}

Tensor RootMeanSquaredError::result() { return ops::sqrt(Mean::result()); }

void update_mean_of(Mean& mean, const MetricFn& fn, const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  Tensor values = fn(y_true, y_pred);
  Tensor weight = losses::apply_mask(sample_weight, core::mask_of(y_pred), mean.dtype(), false);
  mean.Mean::update_state(values, weight);
}

MeanMetricWrapper::MeanMetricWrapper(MetricFn fn, const ReductionOptions& options) : Mean(options, "MeanMetricWrapper"), fn_(std::move(fn)) {
  if (!fn_) throw ValueError(ErrorText{.what = "the function of a metric is empty", .where = "MeanMetricWrapper"}.str());
  function_ = name_of_function(fn_);
}

MeanMetricWrapper::MeanMetricWrapper(const std::string& function, const Dict& kwargs, const ReductionOptions& options)
    : Mean(options, "MeanMetricWrapper"), fn_(find_function(function, kwargs)), function_(function), kwargs_(kwargs) {
  if (!fn_)
    throw ValueError(ErrorText{.what = "unknown function '" + function + "'" + did_you_mean(function, known_names()), .where = "MeanMetricWrapper"}.str());
}

void MeanMetricWrapper::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  update_mean_of(*this, fn_, y_true, y_pred, sample_weight);
}

static void need_name(const std::string& function, const std::string& metric) {
  if (function.empty())
    throw ValueError(ErrorText{.what = "a nameless function can't be saved",
                               .where = "metric \"" + metric + "\"",
                               .fix = "register it and use its name: metrics::register_metric(\"my_metric\", fn)"}
                         .str());
}

Dict MeanMetricWrapper::get_config() const {
  need_name(function_, name());
  Dict config = Metric::get_config();
  config.set("fn", losses::function_reference(function_));
  for (const auto& [key, value] : kwargs_) config.set(key, value);
  return config;
}

Value MeanMetricWrapper::serialize() const {
  need_name(function_, name());
  return plain_ ? losses::function_reference(function_) : Metric::serialize();
}

}  // namespace keras::metrics
