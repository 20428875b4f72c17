// What lives here: keras.regularizers: the penalties, their names and configurations.
#include <cmath>

#include <keras/ops/core.h>
#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>
#include <keras/regularizers.h>

#include "serial/factories.h"

namespace keras {

static serial::Factories<RegularizerImpl>& factories();

Value RegularizerImpl::serialize() const { return factories().object(class_name(), get_config()); }
std::shared_ptr<RegularizerImpl> RegularizerImpl::get(const Value& identifier) { return factories().get(identifier); }

static serial::FunctionObjects<RegularizerImpl, Tensor(const Tensor&)>& functions() {
  static serial::FunctionObjects<RegularizerImpl, Tensor(const Tensor&)> f(factories());
  return f;
}
std::shared_ptr<RegularizerImpl> Regularizer::from_function(Function function) { return functions().wrap(std::move(function)); }
Regularizer::Regularizer(Tensor (*function)(const Tensor&)) : Regularizer(from_function(function ? Function(function) : Function())) {}
Regularizer::Function Regularizer::function() const {
  if (is_none()) return {};
  return [impl = object()](const Tensor& x) { return impl->call(x); };
}
void register_regularizer(const std::string& class_name, RegularizerFactory factory, const std::string& package) {
  factories().add(class_name, std::move(factory), package);
}
void register_regularizer(const std::string& name, Regularizer::Function function, const std::string& package) { functions().add(name, function, package); }

Tensor Regularizer::operator()(const Tensor& x) const { return is_none() ? ops::cast(Tensor(0.0f), x.dtype()) : object()->call(x); }

namespace regularizers {
namespace {

double checked(double value, const char* name, const char* where) {
  if (!(value >= 0) || std::isinf(value))
    throw ValueError(ErrorText{.what = std::string("the factor ") + name + " is no possible one", .where = std::string("regularizers::") + where,
                               .expected = "a finite number, not negative", .received = float_repr(value)}.str());
  return value;
}
// Keras keeps some factors as float32 tensors, and saves what is left of them.
double rounded(double value) { return static_cast<double>(static_cast<float>(value)); }
Tensor like(const Tensor& x, double v) { return ops::cast(Tensor(v), x.dtype()); }
Tensor absolutes(const Tensor& x, double l1) { return like(x, l1) * ops::sum(ops::absolute(x)); }
Tensor squares(const Tensor& x, double l2) { return like(x, l2) * ops::sum(ops::square(x)); }

template <class Options> using Penalty = serial::WithOptions<RegularizerImpl, Options>;
struct L1L2Impl : Penalty<L1L2Options> {
  explicit L1L2Impl(const L1L2Options& o) : WithOptions("L1L2", o) {
    checked(o.l1, "l1", name_);
    checked(o.l2, "l2", name_);
  }
  Tensor call(const Tensor& x) override {
    Tensor sum = like(x, 0);
    if (o_.l1 != 0) sum = sum + absolutes(x, o_.l1);
    if (o_.l2 != 0) sum = sum + squares(x, o_.l2);
    return sum;
  }
};
struct L1Impl : Penalty<L1Options> {
  explicit L1Impl(const L1Options& o) : WithOptions("L1", {rounded(checked(o.l1, "l1", "L1"))}) {}
  Tensor call(const Tensor& x) override { return absolutes(x, o_.l1); }
};
struct L2Impl : Penalty<L2Options> {
  explicit L2Impl(const L2Options& o) : WithOptions("L2", o) { checked(o.l2, "l2", name_); }
  Tensor call(const Tensor& x) override { return squares(x, o_.l2); }
};
struct OrthogonalImpl : Penalty<OrthogonalRegularizerOptions> {
  explicit OrthogonalImpl(const OrthogonalRegularizerOptions& o) : WithOptions("OrthogonalRegularizer", {rounded(checked(o.factor, "factor", "OrthogonalRegularizer")), o.mode}) {
    if (o.mode != "rows" && o.mode != "columns")
      throw ValueError(ErrorText{.what = "unknown mode '" + o.mode + "'" + did_you_mean(o.mode, {"rows", "columns"}), .where = "regularizers::OrthogonalRegularizer",
                                 .expected = "\"rows\" or \"columns\""}.str());
  }
  Tensor call(const Tensor& x) override {
    if (x.rank() != 2)
      throw ValueError(ErrorText{.what = "only matrices can be regularised so", .where = "regularizers::OrthogonalRegularizer", .expected = "rank 2", .received = x.shape().str()}.str());
    bool rows = o_.mode == "rows";
    Tensor n = ops::normalize(x, rows ? 1 : 0);
    Tensor product = rows ? ops::matmul(n, ops::transpose(n)) : ops::matmul(ops::transpose(n), n);
    int64_t size = x.shape()[rows ? 0 : 1];
    Tensor others = product * (Tensor(1.0) - ops::eye(size, {}, 0, x.dtype()));
    double pairs = static_cast<double>(size) * (static_cast<double>(size) - 1) / 2;
    return Tensor(o_.factor * 0.5) * ops::sum(ops::absolute(others)) / Tensor(pairs);
  }
};
/// Keras' base class, which penalises nothing.
struct NoneImpl : RegularizerImpl {
  Tensor call(const Tensor& x) override { return like(x, 0); }
  std::string class_name() const override { return "Regularizer"; }
};

template <class Object, class Options> auto make(const char* name) { return serial::maker<Object, Options, RegularizerImpl>("regularizers::", name); }

}  // namespace

L1L2::L1L2(const L1L2Options& o) : Regularizer(std::make_shared<L1L2Impl>(o)) {}
L1::L1(const L1Options& o) : Regularizer(std::make_shared<L1Impl>(o)) {}
L2::L2(const L2Options& o) : Regularizer(std::make_shared<L2Impl>(o)) {}
OrthogonalRegularizer::OrthogonalRegularizer(const OrthogonalRegularizerOptions& o) : Regularizer(std::make_shared<OrthogonalImpl>(o)) {}
std::vector<std::string> names() { return factories().names(); }

}  // namespace regularizers

static serial::Factories<RegularizerImpl>& factories() {
  using namespace regularizers;
  static serial::Factories<RegularizerImpl> f("regularizer", [] {
    auto l1 = make<L1Impl, L1Options>("L1");
    auto l2 = make<L2Impl, L2Options>("L2");
    auto l1l2 = make<L1L2Impl, L1L2Options>("L1L2");
    auto orthogonal = make<OrthogonalImpl, OrthogonalRegularizerOptions>("OrthogonalRegularizer");
    auto none = [](const Dict&) { return std::make_shared<NoneImpl>(); };
    return std::vector<serial::Factories<RegularizerImpl>::Entry>{{"L1", l1}, {"l1", l1}, {"L2", l2}, {"l2", l2}, {"L1L2", l1l2}, {"l1l2", l1l2}, {"l1_l2", l1l2},
                                                                  {"OrthogonalRegularizer", orthogonal}, {"orthogonal_regularizer", orthogonal}, {"Regularizer", none}, {"regularizer", none}};
  }());
  return f;
}

}  // namespace keras
