// What lives here: keras.regularizers: penalties on weights or outputs, added to the loss.
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

/// A penalty: a tensor to a scalar. Derive from it for one's own, and name it with `register_regularizer` so that saved models can be read.
class RegularizerImpl {
 public:
  virtual ~RegularizerImpl() = default;
  virtual Tensor call(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return call(x); }
  virtual std::string class_name() const = 0;
  virtual Dict get_config() const { return {}; }
  /// Keras' saved form.
  virtual Value serialize() const;
  /// From a name or a saved configuration; null for null. ValueError naming the nearest otherwise.
  static std::shared_ptr<RegularizerImpl> get(const Value& identifier);
};

/// A name, a saved configuration, an object of regularizers::…, or a function of a tensor.
class Regularizer : public Spec<RegularizerImpl> {
 public:
  using Function = std::function<Tensor(const Tensor&)>;
  using Spec::Spec;
  Regularizer(Tensor (*function)(const Tensor&));
  template <class F>
    requires(std::is_class_v<F> && std::is_invocable_r_v<Tensor, const F&, const Tensor&> && !std::is_base_of_v<Spec<RegularizerImpl>, F>)
  Regularizer(F f) : Regularizer(from_function(std::move(f))) {}
  Tensor operator()(const Tensor& x) const;
  /// The object as a plain function, empty for none: what Variable::set_regularizer takes.
  Function function() const;

 private:
  static std::shared_ptr<RegularizerImpl> from_function(Function function);
};

using RegularizerFactory = std::function<std::shared_ptr<RegularizerImpl>(const Dict& config)>;
/// Makes `class_name` readable from names and saved models.
void register_regularizer(const std::string& class_name, RegularizerFactory factory, const std::string& package = "Custom");
/// Names a plain function, as Keras registers functions.
void register_regularizer(const std::string& name, Regularizer::Function function, const std::string& package = "Custom");

namespace regularizers {

inline std::shared_ptr<RegularizerImpl> get(const Value& identifier) { return RegularizerImpl::get(identifier); }
inline std::shared_ptr<RegularizerImpl> deserialize(const Value& config) { return RegularizerImpl::get(config); }
inline Value serialize(const Regularizer& regularizer) { return regularizer.serialize(); }
/// Names that `get` knows.
std::vector<std::string> names();

struct L1L2Options {
  double l1 = 0.0, l2 = 0.0;
  KERAS_FIELDS(l1, l2)
};
/// l1 * sum |x| + l2 * sum x². ValueError on negative or infinite factors, here and below.
struct L1L2 : Regularizer {
  L1L2(const L1L2Options& options = {});
  KERAS_EMPTY_BRACES(L1L2)
};
struct L1Options {
  double l1 = 0.01;
  KERAS_FIELDS(l1)
};
struct L1 : Regularizer {
  L1(const L1Options& options = {});
  L1(double l1) : L1(L1Options{l1}) {}
};
struct L2Options {
  double l2 = 0.01;
  KERAS_FIELDS(l2)
};
struct L2 : Regularizer {
  L2(const L2Options& options = {});
  L2(double l2) : L2(L2Options{l2}) {}
};
struct OrthogonalRegularizerOptions {
  double factor = 0.01;
  /// "rows" or "columns".
  std::string mode = "rows";
  KERAS_FIELDS(factor, mode)
};
/// Mean absolute cosine between pairs of rows (or columns) of a matrix, times factor.
struct OrthogonalRegularizer : Regularizer {
  OrthogonalRegularizer(const OrthogonalRegularizerOptions& options = {});
};

/// Keras' lower-case makers.
inline L1 l1(double l1 = 0.01) { return L1(l1); }
inline L2 l2(double l2 = 0.01) { return L2(l2); }
inline L1L2 l1_l2(double l1 = 0.01, double l2 = 0.01) { return L1L2({.l1 = l1, .l2 = l2}); }

}  // namespace regularizers
}  // namespace keras
