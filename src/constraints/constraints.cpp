// What lives here: keras.constraints: the projections, their names and configurations.
#include <keras/config.h>
#include <keras/constraints.h>
#include <keras/ops/core.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "serial/factories.h"

namespace keras {

static serial::Factories<ConstraintImpl>& factories();

Value ConstraintImpl::serialize() const { return factories().object(class_name(), get_config()); }
std::shared_ptr<ConstraintImpl> ConstraintImpl::get(const Value& identifier) { return factories().get(identifier); }

static serial::FunctionObjects<ConstraintImpl, Tensor(const Tensor&)>& functions() {
  static serial::FunctionObjects<ConstraintImpl, Tensor(const Tensor&)> f(factories());
  return f;
}
std::shared_ptr<ConstraintImpl> Constraint::from_function(Function function) { return functions().wrap(std::move(function)); }
Constraint::Constraint(Tensor (*function)(const Tensor&)) : Constraint(from_function(function ? Function(function) : Function())) {}
Constraint::Function Constraint::function() const {
  if (is_none()) return {};
  return [impl = object()](const Tensor& x) { return impl->call(x); };
}
void register_constraint(const std::string& class_name, ConstraintFactory factory, const std::string& package) {
  factories().add(class_name, std::move(factory), package);
}
void register_constraint(const std::string& name, Constraint::Function function, const std::string& package) { functions().add(name, function, package); }

Tensor Constraint::operator()(const Tensor& x) const { return is_none() ? x : object()->call(x); }

namespace constraints {
namespace {


Axes axes_of(const Value& axis) {
  if (axis.is_null()) return {};
  if (axis.is_number()) return static_cast<int>(axis.as_int());
  std::vector<int> list;
  for (int64_t a : axis.as_ints()) list.push_back(static_cast<int>(a));
  return list;
}
Tensor number(const Value& v) { return Tensor(v.as_float()); }
void check(const Value& number, const char* name, const char* where) {
  if (!number.is_number())
    throw ValueError(ErrorText{.what = std::string(name) + " is no number", .where = std::string("constraints::") + where, .received = number.str()}.str());
}

template <class Options> class Projection : public serial::WithOptions<ConstraintImpl, Options> {
 public:
  Projection(const char* name, const Options& o) : serial::WithOptions<ConstraintImpl, Options>(name, o) { axes_of(o.axis); }

 protected:
  Tensor norms(const Tensor& w) const { return ops::sqrt(ops::sum(ops::square(w), axes_of(this->o_.axis), /*keepdims=*/true)); }
};
struct MaxNormImpl : Projection<MaxNormOptions> {
  explicit MaxNormImpl(const MaxNormOptions& o) : Projection("MaxNorm", o) { check(o.max_value, "max_value", name_); }
  Tensor call(const Tensor& w) override {
    Tensor n = norms(w);
    return ops::cast(w, n.dtype()) * (ops::clip(n, Tensor(0.0), number(o_.max_value)) / (Tensor(config::epsilon()) + n));
  }
};
struct UnitNormImpl : Projection<UnitNormOptions> {
  explicit UnitNormImpl(const UnitNormOptions& o) : Projection("UnitNorm", o) {}
  Tensor call(const Tensor& w) override {
    Tensor n = norms(w);
    return ops::cast(w, n.dtype()) / (Tensor(config::epsilon()) + n);
  }
};
struct MinMaxNormImpl : Projection<MinMaxNormOptions> {
  explicit MinMaxNormImpl(const MinMaxNormOptions& o) : Projection("MinMaxNorm", o) {
    check(o.min_value, "min_value", name_);
    check(o.max_value, "max_value", name_);
    check(o.rate, "rate", name_);
  }
  Tensor call(const Tensor& w) override {
    Tensor n = norms(w);
    double rate = o_.rate.as_float();
    Tensor desired = Tensor(rate) * ops::clip(n, number(o_.min_value), number(o_.max_value)) + Tensor(1 - rate) * n;
    return ops::cast(w, n.dtype()) * (desired / (Tensor(config::epsilon()) + n));
  }
};
struct NonNegImpl : ConstraintImpl {
  Tensor call(const Tensor& w) override { return ops::maximum(w, Tensor(0)); }
  std::string class_name() const override { return "NonNeg"; }
};
/// Keras' base class, which allows everything.
struct NoneImpl : ConstraintImpl {
  Tensor call(const Tensor& w) override { return w; }
  std::string class_name() const override { return "Constraint"; }
};

template <class Object, class Options> auto make(const char* name) { return serial::maker<Object, Options, ConstraintImpl>("constraints::", name); }

}  // namespace

MaxNorm::MaxNorm(const MaxNormOptions& o) : Constraint(std::make_shared<MaxNormImpl>(o)) {}
NonNeg::NonNeg() : Constraint(std::make_shared<NonNegImpl>()) {}
UnitNorm::UnitNorm(const UnitNormOptions& o) : Constraint(std::make_shared<UnitNormImpl>(o)) {}
MinMaxNorm::MinMaxNorm(const MinMaxNormOptions& o) : Constraint(std::make_shared<MinMaxNormImpl>(o)) {}
std::vector<std::string> names() { return factories().names(); }

}  // namespace constraints

static serial::Factories<ConstraintImpl>& factories() {
  using namespace constraints;
  static serial::Factories<ConstraintImpl> f("constraint", [] {
    auto max_norm = make<MaxNormImpl, MaxNormOptions>("MaxNorm");
    auto unit_norm = make<UnitNormImpl, UnitNormOptions>("UnitNorm");
    auto min_max_norm = make<MinMaxNormImpl, MinMaxNormOptions>("MinMaxNorm");
    auto non_neg = [](const Dict&) { return std::make_shared<NonNegImpl>(); };
    auto none = [](const Dict&) { return std::make_shared<NoneImpl>(); };
    return std::vector<serial::Factories<ConstraintImpl>::Entry>{{"MaxNorm", max_norm}, {"max_norm", max_norm}, {"UnitNorm", unit_norm}, {"unit_norm", unit_norm},
                                                                 {"MinMaxNorm", min_max_norm}, {"min_max_norm", min_max_norm}, {"NonNeg", non_neg}, {"non_neg", non_neg},
                                                                 {"maxnorm", max_norm}, {"unitnorm", unit_norm}, {"nonneg", non_neg}, {"Constraint", none}, {"constraint", none}};
  }());
  return f;
}

}  // namespace keras
