// What lives here: keras.constraints: the projections, their names and configurations.
#include <keras/constraints.h>
#include <keras/ops/core.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "serial/factories.h"

namespace keras {

static serial::Factories<ConstraintImpl>& factories();

Value ConstraintImpl::serialize() const { return factories().object(class_name(), get_config()); }
std::shared_ptr<ConstraintImpl> ConstraintImpl::get(const Value& identifier) { return factories().get(identifier); }

namespace {

/// A plain function; known by name when it is registered.
class FunctionConstraint : public ConstraintImpl {
 public:
  explicit FunctionConstraint(Constraint::Function f, std::string name = "") : f_(std::move(f)), name_(std::move(name)) {}
  Tensor call(const Tensor& x) override { return f_(x); }
  std::string class_name() const override { return "function"; }
  Value serialize() const override {
    if (name_.empty())
      throw ValueError(ErrorText{.what = "a constraint that is a function without a name can't be saved",
                                 .fix = "call keras::register_constraint(\"my_constraint\", function) and give \"my_constraint\""}.str());
    return factories().function(name_);
  }

 private:
  Constraint::Function f_;
  std::string name_;
};

using Pointer = Tensor (*)(const Tensor&);
/// Names of registered plain functions by address.
std::vector<std::pair<Pointer, std::string>>& pointers() {
  static std::vector<std::pair<Pointer, std::string>> p;
  return p;
}

}  // namespace

std::shared_ptr<ConstraintImpl> Constraint::from_function(Function function) {
  if (!function) return nullptr;
  std::string name;
  if (const Pointer* p = function.target<Pointer>())
    for (const auto& [pointer, known] : pointers())
      if (pointer == *p) name = known;
  return std::make_shared<FunctionConstraint>(std::move(function), name);
}
Constraint::Constraint(Tensor (*function)(const Tensor&)) : Constraint(from_function(function ? Function(function) : Function())) {}
Constraint::Function Constraint::function() const {
  if (is_none()) return {};
  return [impl = object()](const Tensor& x) { return impl->call(x); };
}
void register_constraint(const std::string& class_name, ConstraintFactory factory, const std::string& package) {
  factories().add(class_name, std::move(factory), package);
}
void register_constraint(const std::string& name, Constraint::Function function, const std::string& package) {
  if (const Pointer* p = function.target<Pointer>()) pointers().emplace_back(*p, name);
  factories().add(name, [function, name](const Dict&) { return std::make_shared<FunctionConstraint>(function, name); }, package);
}

Tensor Constraint::operator()(const Tensor& x) const { return is_none() ? x : object()->call(x); }

namespace constraints {
namespace {

constexpr double kEpsilon = 1e-7;  // keras.backend.epsilon()

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

template <class Options> class Base : public ConstraintImpl {
 public:
  Base(const char* name, const Options& o) : o_(o), name_(name) { axes_of(o.axis); }
  std::string class_name() const override { return name_; }
  Dict get_config() const override { return serial::to_config(o_); }

 protected:
  Tensor norms(const Tensor& w) const { return ops::sqrt(ops::sum(ops::square(w), axes_of(o_.axis), /*keepdims=*/true)); }
  Options o_;
  const char* name_;
};
struct MaxNormImpl : Base<MaxNormOptions> {
  explicit MaxNormImpl(const MaxNormOptions& o) : Base("MaxNorm", o) { check(o.max_value, "max_value", name_); }
  Tensor call(const Tensor& w) override {
    Tensor n = norms(w);
    return ops::cast(w, n.dtype()) * (ops::clip(n, Tensor(0.0), number(o_.max_value)) / (Tensor(kEpsilon) + n));
  }
};
struct UnitNormImpl : Base<UnitNormOptions> {
  explicit UnitNormImpl(const UnitNormOptions& o) : Base("UnitNorm", o) {}
  Tensor call(const Tensor& w) override {
    Tensor n = norms(w);
    return ops::cast(w, n.dtype()) / (Tensor(kEpsilon) + n);
  }
};
struct MinMaxNormImpl : Base<MinMaxNormOptions> {
  explicit MinMaxNormImpl(const MinMaxNormOptions& o) : Base("MinMaxNorm", o) {
    check(o.min_value, "min_value", name_);
    check(o.max_value, "max_value", name_);
    check(o.rate, "rate", name_);
  }
  Tensor call(const Tensor& w) override {
    Tensor n = norms(w);
    double rate = o_.rate.as_float();
    Tensor desired = Tensor(rate) * ops::clip(n, number(o_.min_value), number(o_.max_value)) + Tensor(1 - rate) * n;
    return ops::cast(w, n.dtype()) * (desired / (Tensor(kEpsilon) + n));
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

template <class Impl, class Options> auto make(const char* name) {
  return [name](const Dict& config) { return std::make_shared<Impl>(serial::read_options<Options>(config, std::string("constraints::") + name)); };
}

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
