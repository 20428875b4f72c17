// What lives here: keras.activations: functions of one tensor, and the handle that stands for one in options.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>
#include <keras/ops/types.h>
#include <keras/serial/spec.h>

namespace keras {

/// What stands behind an activation.
class ActivationImpl {
 public:
  virtual ~ActivationImpl() = default;
  virtual Tensor call(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return call(x); }
  /// A name for Keras' own functions; for registered ones Keras' saved form of a function. ValueError for others.
  virtual Value serialize() const = 0;
  /// Keras' name of a built-in ("silu" for "swish"), the registered name of others, "" for none.
  virtual std::string name() const { return ""; }
  /// From a name, a saved configuration, or null (linear). ValueError naming the nearest otherwise.
  static std::shared_ptr<ActivationImpl> get(const Value& identifier);
};

/// An activation in options: a name ("relu"), a function (`activations::relu`), a lambda, any object that can be called on a tensor,
/// a saved configuration. None is linear.
class ActivationSpec : public Spec<ActivationImpl> {
 public:
  using Function = std::function<Tensor(const Tensor&)>;
  using Spec::Spec;
  ActivationSpec(Tensor (*function)(const Tensor&));
  /// An object with `Value serialize() const` is saved by that.
  template <class F>
    requires(std::is_class_v<F> && std::is_invocable_r_v<Tensor, const F&, const Tensor&> && !std::is_base_of_v<Spec<ActivationImpl>, F>)
  ActivationSpec(F f) : ActivationSpec(from_callable(f, serializer(f))) {}
  Tensor operator()(const Tensor& x) const;
  /// "linear" for none, as Keras writes it.
  Value serialize() const { return is_none() ? Value("linear") : object()->serialize(); }
  /// True for none and "linear".
  bool is_linear() const { return is_none() || object()->name() == "linear"; }

 private:
  static std::shared_ptr<ActivationImpl> from_callable(Function f, std::function<Value()> serialize);
  template <class F> static std::function<Value()> serializer(const F& f) {
    if constexpr (requires { { f.serialize() } -> std::convertible_to<Value>; }) return [f] { return Value(f.serialize()); };
    else return {};
  }
};

/// Names a function of one's own, so that it can be given by name and saved. `package` as in Keras' register_keras_serializable.
void register_activation(const std::string& name, ActivationSpec::Function function, const std::string& package = "Custom");
/// Reads saved activations that are objects of other kinds (layers); the rooms that have such objects call it.
void set_activation_object_reader(std::function<std::shared_ptr<ActivationImpl>(const Value& saved)> reader);

namespace activations {

inline std::shared_ptr<ActivationImpl> get(const Value& identifier) { return ActivationImpl::get(identifier); }
inline std::shared_ptr<ActivationImpl> deserialize(const Value& config) { return ActivationImpl::get(config); }
inline Value serialize(const ActivationSpec& activation) { return activation.serialize(); }
/// Names that `get` knows.
std::vector<std::string> names();

// Functions with parameters come twice: the one with x alone has Keras' defaults and can be given as an option.
Tensor relu(const Tensor& x);
/// Below `threshold`: negative_slope * (x - threshold); never above max_value.
Tensor relu(const Tensor& x, double negative_slope, std::optional<double> max_value = std::nullopt, double threshold = 0.0);
Tensor leaky_relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double negative_slope);
Tensor relu6(const Tensor& x);
Tensor softmax(const Tensor& x);
Tensor softmax(const Tensor& x, const Axes& axis);
Tensor log_softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x, const Axes& axis);
Tensor sparsemax(const Tensor& x);
Tensor sparsemax(const Tensor& x, int axis);
Tensor elu(const Tensor& x);
Tensor elu(const Tensor& x, double alpha);
Tensor celu(const Tensor& x);
Tensor celu(const Tensor& x, double alpha);
Tensor selu(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor softsign(const Tensor& x);
Tensor soft_shrink(const Tensor& x);
Tensor soft_shrink(const Tensor& x, double threshold);
Tensor hard_shrink(const Tensor& x);
Tensor hard_shrink(const Tensor& x, double threshold);
Tensor sparse_plus(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor swish(const Tensor& x);
Tensor squareplus(const Tensor& x);
Tensor squareplus(const Tensor& x, double b);
Tensor gelu(const Tensor& x);
Tensor gelu(const Tensor& x, bool approximate);
Tensor glu(const Tensor& x);
Tensor glu(const Tensor& x, int axis);
Tensor tanh(const Tensor& x);
Tensor tanh_shrink(const Tensor& x);
Tensor hard_tanh(const Tensor& x);
/// x where it is above `threshold`, else `default_value`.
Tensor threshold(const Tensor& x, double threshold, double default_value);
Tensor sigmoid(const Tensor& x);
Tensor sparse_sigmoid(const Tensor& x);
Tensor hard_sigmoid(const Tensor& x);
Tensor log_sigmoid(const Tensor& x);
Tensor exponential(const Tensor& x);
Tensor hard_silu(const Tensor& x);
Tensor hard_swish(const Tensor& x);
Tensor mish(const Tensor& x);
Tensor linear(const Tensor& x);

}  // namespace activations
}  // namespace keras
