// What lives here: the layer: a handle on state (weights, nodes, name) and on what it computes. Copying shares both.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>
#include <keras/core/variable.h>
#include <keras/dtype_policies.h>
#include <keras/initializers.h>
#include <keras/layers/input_spec.h>
#include <keras/regularizers.h>
#include <keras/constraints.h>
#include <keras/serial/fields.h>

// The fields that every layer's options end with: Keras' common keywords, and Keras 2's input_shape, input_dim, weights.
#define KERAS_LAYER_OPTIONS                             \
  std::optional<std::string> name{};                    \
  bool trainable = true;                                \
  std::optional<std::string> dtype{};                   \
  std::optional<::keras::Shape> input_shape{};          \
  std::optional<::keras::Shape> batch_input_shape{};    \
  std::optional<int64_t> input_dim{};                   \
  ::keras::Tensors weights{};

namespace keras {

namespace layers {
class LayerImpl;
struct CallArgsAccess;
}  // namespace layers

/// What a call of a layer gives: the output, and all outputs where there are several (`auto out = lstm(x); out[1]`).
struct Output : Tensor {
  Tensors all;
  Output() = default;
  Output(Tensors outputs) : Tensor(outputs.empty() ? Tensor() : outputs[0]), all(std::move(outputs)) {}
  Output(const Tensor& t) : Tensor(t), all{t} {}
  const Tensor& operator[](size_t i) const { return all.at(i); }
  size_t size() const { return all.size(); }
  auto begin() const { return all.begin(); }
  auto end() const { return all.end(); }
};

/// Keywords of a call: `lstm(x, {.training = true, .mask = m, .initial_state = {h, c}})`. Unset ones are not passed.
struct CallOptions {
  std::optional<bool> training{};
  Tensor mask{};
  Tensors initial_state{};
  /// Further tensors of the call in order (value and key of attention).
  Tensors more{};
  /// Further keywords by name: plain values, and tensors.
  Dict values{};
  std::vector<std::pair<std::string, Tensor>> tensors{};
};

/// The base of every layer, and the class to derive one's own from: override `build`, `call`, `get_config`.
///
///     struct Linear : keras::Layer {
///       int64_t units;
///       keras::Variable w, b;
///       explicit Linear(int64_t units) : Layer("Linear"), units(units) {}
///       void build(const keras::Shape& input) override {
///         w = add_weight({.name = "kernel", .shape = {input.back(), units}, .initializer = "glorot_uniform"});
///         b = add_weight({.name = "bias", .shape = {units}, .initializer = "zeros"});
///       }
///       keras::Tensor call(const keras::Tensor& x) override { return keras::ops::matmul(x, w) + b; }
///     };
///
/// An object of it is used like any layer as long as it lives; `keras::make<Linear>(32)` gives a handle that keeps it alive with the
/// model: `Sequential({Input({8}), keras::make<Linear>(32)})`.
class Layer {
 public:
  /// For derived classes: `class_name` is what summaries and saved files call it.
  explicit Layer(const std::string& class_name, const std::string& name = "", bool trainable = true, const std::string& dtype = "");
  explicit Layer(std::shared_ptr<layers::LayerImpl> impl) : impl_(std::move(impl)) {}
  Layer() = default;
  Layer(const Layer& other);
  Layer& operator=(const Layer& other);
  virtual ~Layer();

  // ---- to override
  /// Makes the weights; `input` is the shape of the (first) input. `inputs` of all.
  virtual void build(const Shape& input);
  virtual void build(const std::vector<Shape>& inputs);
  /// What the layer computes, in terms of keras::ops and other layers. Override one of these.
  virtual Tensor call(const Tensor& input);
  virtual Tensor call(const Tensor& input, bool training);
  virtual Tensors call(const Tensors& inputs, bool training);
  /// The mask of the output; by default the input's when `set_supports_masking` was called.
  virtual Tensor compute_mask(const Tensors& inputs, const Tensor& mask);
  /// What saved files hold to make the layer again (see register_layer): in a class of one's own its own entries, in Keras' layers all of it,
  /// as `config`.
  virtual Dict get_config() const;

  // ---- calling
  Output operator()(const Tensor& input, const CallOptions& options = {}) const;
  Output operator()(const Tensors& inputs, const CallOptions& options = {}) const;
  /// Templates, so that `layer(x, {.mask = m})` gives options and no second tensor.
  template <class T>
    requires(std::is_convertible_v<const T&, Tensor>)
  Output operator()(const Tensor& first, const T& second, const CallOptions& options = {}) const {
    return call_several({first, second}, options);
  }
  template <class T, class U>
    requires(std::is_convertible_v<const T&, Tensor> && std::is_convertible_v<const U&, Tensor>)
  Output operator()(const Tensor& first, const T& second, const U& third, const CallOptions& options = {}) const {
    return call_several({first, second, third}, options);
  }

  /// The layer on given values of its variables, which stay as they are: what it gives, and what the non-trainable variables would be then.
  /// The values come in the order of `trainable_variables()` and `non_trainable_variables()`. ValueError when the layer is not built, and on
  /// other counts or shapes.
  struct StatelessResult {
    Output outputs;
    Tensors non_trainable_variables;
  };
  StatelessResult stateless_call(const Tensors& trainable_variables, const Tensors& non_trainable_variables, const Tensors& inputs,
                                 const CallOptions& options = {}) const;

  // ---- weights
  struct Weight {
    std::string name = "variable";
    Shape shape{};
    Initializer initializer = "glorot_uniform";
    std::optional<std::string> dtype{};
    bool trainable = true;
    Regularizer regularizer{};
    Constraint constraint{};
    /// False: also under mixed precision `call` reads the variable in its own dtype.
    bool autocast = true;
  };
  /// Makes a variable that the layer owns.
  Variable add_weight(const Weight& weight);
  Variable add_variable(const Weight& weight) { return add_weight(weight); }
  /// Adds a number to the loss of the model that the layer is in; inside `call`.
  void add_loss(const Tensor& loss);
  /// Names a layer that this one holds, for saving; layers called inside `call` are found by themselves.
  void track(const std::string& attribute, const Layer& layer);

  std::vector<Variable> weights() const;
  std::vector<Variable> trainable_weights() const;
  std::vector<Variable> non_trainable_weights() const;
  /// Weights and what is not among them: seeds of random layers.
  std::vector<Variable> variables() const;
  std::vector<Variable> trainable_variables() const { return trainable_weights(); }
  std::vector<Variable> non_trainable_variables() const;
  Tensors get_weights() const;
  /// ValueError naming the first weight whose shape differs, or the counts.
  void set_weights(const Tensors& weights) const;
  int64_t count_params() const;

  // ---- properties
  const std::string& name() const;
  std::string class_name() const;
  bool built() const;
  bool trainable() const;
  /// Freezes (false) or frees the layer with all layers inside it.
  void set_trainable(bool trainable) const;
  DType compute_dtype() const;
  DType variable_dtype() const;
  DType dtype() const { return variable_dtype(); }
  DType input_dtype() const { return compute_dtype(); }
  DTypePolicy dtype_policy() const;
  /// What inputs must be, one entry per input or one for all; empty: anything.
  const std::vector<InputSpec>& input_spec() const;
  void set_input_spec(std::vector<InputSpec> spec) const;
  /// Whether floating inputs come in the compute dtype: true unless `set_autocast(false)`. Then, inside the call of another layer under
  /// mixed precision, weights are read in their own dtype too, as in Keras.
  bool autocast() const;
  void set_autocast(bool value) const;
  bool supports_masking() const;
  void set_supports_masking(bool value = true) const;
  /// Builds the weights for inputs of this shape (batch axis included) without calling the layer.
  void build_for(const Shape& input) const;
  /// Output shape for an input shape, by shape rules alone.
  Shape compute_output_shape(const Shape& input) const;
  std::vector<Shape> compute_output_shapes(const std::vector<Shape>& inputs) const;
  /// {"name", "trainable", "dtype", …}: Keras' configuration.
  Dict config() const;
  /// {"input_shape": …}, what saved files hold to build the layer again; null before it is built.
  Value get_build_config() const;
  void build_from_config(const Value& build_config) const;
  /// The layers inside this one.
  std::vector<Layer> sublayers() const;
  /// Sums that `call` added and the penalties of the weights, computed now.
  Tensors losses() const;

  // ---- nodes: one per symbolic call
  int num_nodes() const;
  Tensor input() const;
  Tensor output() const;
  Shape input_shape() const;
  Shape output_shape() const;
  Tensor get_input_at(int node) const;
  Tensor get_output_at(int node) const;
  Shape get_input_shape_at(int node) const;
  Shape get_output_shape_at(int node) const;
  Tensor get_input_mask_at(int node) const;
  Tensor get_output_mask_at(int node) const;

  /// Why the output has the shape and the layer the parameters that they have, axis by axis.
  std::string explain() const;
  std::string explain(const Shape& input) const;

  bool same(const Layer& other) const { return impl_ == other.impl_; }
  explicit operator bool() const { return impl_ != nullptr; }
  const std::shared_ptr<layers::LayerImpl>& impl() const { return impl_; }

 protected:
  std::shared_ptr<layers::LayerImpl> impl_;

 private:
  template <class T> friend class Ref;
  friend class layers::LayerImpl;
  void adopt(std::shared_ptr<void> owner);
  Output call_several(const Tensors& arguments, const CallOptions& options) const;
};

/// A handle on a layer (or model) of a class of one's own that keeps the object alive: made by `make`.
template <class T> class Ref : public Layer {
 public:
  explicit Ref(std::shared_ptr<T> object) : Layer(object->impl()), object_(object.get()) { adopt_into(std::move(object)); }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }

 private:
  void adopt_into(std::shared_ptr<T> object) {
    Layer* base = object.get();
    base->adopt(std::shared_ptr<void>(std::move(object)));
  }
  T* object_;
};
template <class T, class... Args> Ref<T> make(Args&&... args) { return Ref<T>(std::make_shared<T>(std::forward<Args>(args)...)); }

namespace layers {
using keras::Layer;
using keras::CallOptions;

/// Makes a layer from its saved configuration.
using LayerFactory = std::function<Layer(const Dict& config)>;
/// Teaches loaders a class: `register_layer("MyPackage>Linear", [](const Dict& c) { return keras::make<Linear>(c.at("units").as_int()); })`.
void register_layer(const std::string& class_name, LayerFactory factory);
/// The layer of a saved {"class_name", "config", …}; an unknown class is an error that names the line that would register it.
Layer deserialize(const Value& saved);
/// Keras' saved form of a layer.
Value serialize(const Layer& layer);
}  // namespace layers

}  // namespace keras
