// What lives here: keras.constraints: what weights are brought back to after each update.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>
#include <keras/serial/fields.h>
#include <keras/serial/spec.h>

namespace keras {

/// A projection: a weight to the nearest allowed one, of the same shape. Derive from it for one's own, and name it with `register_constraint` so that saved models can be read.
class ConstraintImpl {
 public:
  virtual ~ConstraintImpl() = default;
  virtual Tensor call(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return call(x); }
  virtual std::string class_name() const = 0;
  virtual Dict get_config() const { return {}; }
  /// Keras' saved form.
  virtual Value serialize() const;
  /// From a name or a saved configuration; null for null. ValueError naming the nearest otherwise.
  static std::shared_ptr<ConstraintImpl> get(const Value& identifier);
};

/// A name, a saved configuration, an object of constraints::…, or a function of a tensor.
class Constraint : public Spec<ConstraintImpl> {
 public:
  using Function = std::function<Tensor(const Tensor&)>;
  using Spec::Spec;
  Constraint(Tensor (*function)(const Tensor&));
  template <class F>
    requires(std::is_class_v<F> && std::is_invocable_r_v<Tensor, const F&, const Tensor&> && !std::is_base_of_v<Spec<ConstraintImpl>, F>)
  Constraint(F f) : Constraint(from_function(std::move(f))) {}
  Tensor operator()(const Tensor& x) const;
  /// The object as a plain function, empty for none: what Variable::set_constraint takes.
  Function function() const;

 private:
  static std::shared_ptr<ConstraintImpl> from_function(Function function);
};

using ConstraintFactory = std::function<std::shared_ptr<ConstraintImpl>(const Dict& config)>;
/// Makes `class_name` readable from names and saved models.
void register_constraint(const std::string& class_name, ConstraintFactory factory, const std::string& package = "Custom");
/// Names a plain function, as Keras registers functions.
void register_constraint(const std::string& name, Constraint::Function function, const std::string& package = "Custom");

namespace constraints {

inline std::shared_ptr<ConstraintImpl> get(const Value& identifier) { return ConstraintImpl::get(identifier); }
inline std::shared_ptr<ConstraintImpl> deserialize(const Value& config) { return ConstraintImpl::get(config); }
inline Value serialize(const Constraint& constraint) { return constraint.serialize(); }
/// Names that `get` knows.
std::vector<std::string> names();

/// `max_value`, `axis`: as Keras saves them. The axis (a number or a list) is what the norm is summed over.
struct MaxNormOptions {
  Value max_value = 2;
  Value axis = 0;
  KERAS_FIELDS(max_value, axis)
};
/// Norms at most max_value.
struct MaxNorm : Constraint {
  MaxNorm(const MaxNormOptions& options = {});
  KERAS_EMPTY_BRACES(MaxNorm)
};
/// No negative numbers.
struct NonNeg : Constraint {
  NonNeg();
};
struct UnitNormOptions {
  Value axis = 0;
  KERAS_FIELDS(axis)
};
/// Norms of 1.
struct UnitNorm : Constraint {
  UnitNorm(const UnitNormOptions& options = {});
  KERAS_EMPTY_BRACES(UnitNorm)
};
struct MinMaxNormOptions {
  Value min_value = 0.0, max_value = 1.0, rate = 1.0;
  Value axis = 0;
  KERAS_FIELDS(min_value, max_value, rate, axis)
};
/// Norms from min_value to max_value; `rate` below 1 goes only part of the way at a time.
struct MinMaxNorm : Constraint {
  MinMaxNorm(const MinMaxNormOptions& options = {});
  KERAS_EMPTY_BRACES(MinMaxNorm)
};

}  // namespace constraints
}  // namespace keras
