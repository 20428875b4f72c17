// What lives here: the inside of a layer: state, the numbered steps of a call, and what a built-in layer overrides.
#pragma once
#include <optional>

#include <keras/layers/layer.h>
#include <keras/random.h>

#include "core/impl.h"

namespace keras::layers {

/// What `call` sees: arguments as given, and the usual ones picked out.
struct Call {
  const core::CallArgs& args;
  Tensors inputs;        // tensors of the first argument
  Tensors masks;         // one per input, undefined where there is none
  bool training = false;
  const Tensor& input() const { return inputs.at(0); }
  Tensor mask() const { return masks.empty() ? Tensor() : masks[0]; }
  /// Tensors of positional argument `i` or keyword `name`; empty when it is not there or null.
  Tensors tensors(size_t i, std::string_view name) const;
  Tensor tensor(size_t i, std::string_view name) const {
    Tensors t = tensors(i, name);
    return t.empty() ? Tensor() : t[0];
  }
  /// A plain keyword value, or null.
  Value value(std::string_view name) const;
};

/// One step of an explanation of shape and parameters: see Layer::explain.
struct Explanation {
  std::vector<std::string> axes;        // a sentence per output axis
  std::vector<std::string> parameters;  // a sentence per weight
  std::vector<std::string> notes;
};

class LayerImpl : public core::Operation {
 public:
  LayerImpl();
  ~LayerImpl() override;

  // ---- what a layer overrides
  /// Makes the weights. `inputs` are the shapes of all tensors of the first argument.
  virtual void build(const std::vector<Shape>& inputs);
  /// The shapes that `build` gets for a call; for layers whose weights depend on more than the first argument.
  virtual std::vector<Shape> build_shapes(const core::CallArgs& args) const;
  virtual Tensors call(const Call& call) = 0;
  /// Masks of the outputs. Default: the first input's mask for every output when supports_masking, else none.
  virtual Tensors compute_mask(const Call& call, size_t outputs);
  /// The layer's own configuration entries, after name, trainable and dtype.
  virtual Dict own_config() const { return {}; }
  virtual std::string module() const { return "keras.layers"; }
  /// Sentences that explain shape and parameters for this call. Default: by comparing shapes.
  virtual Explanation explain(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const;
  /// The whole text of Layer::explain for a call with inputs of these shapes; models walk their layers.
  virtual std::string explanation(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const;
  /// True for layers whose Keras `call` takes `mask`: saved nodes carry it.
  virtual bool uses_mask() const { return false; }
  /// Layers that are parts by construction (a wrapper's inner layer), with Keras' attribute names.
  virtual std::vector<std::pair<std::string, Layer>> parts() const { return parts_; }
  /// True for layers whose Keras `call` has `training=False`: saved nodes carry `"training": false`.
  virtual bool uses_training() const { return false; }
  /// The mode of a call where nothing says one; true for layers whose Keras `call` has `training=True` (random images).
  virtual bool training_default() const { return false; }
  /// Resets states kept between batches (stateful recurrent layers).
  virtual void reset_states() {}
  /// Extra attributes that the saved layer carries beside "config" (build_config). Default: input_shape.
  virtual Value build_config() const;
  virtual void build_from_config(const Value& build_config);
  /// Text files that Keras keeps in a `.keras` archive below assets/<path of the layer>: (name, text), as the vocabulary of a lookup.
  using Assets = std::vector<std::pair<std::string, std::string>>;
  virtual Assets save_assets() const { return {}; }
  virtual void load_assets(const Assets&) {}
  /// Values that stand in the layer's `vars` of a weights file under names of their own, beside its variables, which stand there by number.
  using Store = std::vector<std::pair<std::string, Tensor>>;
  virtual Store save_own_variables() const { return {}; }
  /// Gets those that the file has, before the assets.
  virtual void load_own_variables(const Store&) {}
  /// Output of a call on abstract values; override only where shapes cannot come from `call`.
  virtual std::vector<ir::Type> output_types(const core::CallArgs& args);
  /// True for models: sublayers are summarised one by one and weights come in their order.
  virtual bool is_model() const { return false; }
  /// True for the inside of a class that a user derived.
  virtual bool is_user_class() const { return false; }
  /// The dtype in which `call` reads floating variables, nullopt for their own (Keras' AutocastScope).
  virtual std::optional<DType> read_dtype() const;

  // ---- the call
  Tensors operator()(core::CallArgs args);
  Tensors rerun(const core::CallArgs& args) override { return (*this)(args); }

  // ---- state
  void init(const std::string& class_name, const std::optional<std::string>& name, bool trainable, const std::optional<std::string>& dtype);
  template <class Options> void init_common(const std::string& class_name, const Options& o) {
    init(class_name, o.name, o.trainable, o.dtype);
    input_shape_hint(o.input_shape, o.batch_input_shape, o.input_dim);
    initial_weights_ = o.weights;
  }
  void input_shape_hint(const std::optional<Shape>& shape, const std::optional<Shape>& batch_shape, std::optional<int64_t> dim);
  std::string class_name() const override { return class_name_; }
  Value serialize() const override;
  /// name, trainable, dtype, activity_regularizer, then own_config: Keras' get_config.
  virtual Dict config() const;
  /// For errors: layer "dense" (Dense).
  std::string where() const { return "layer \"" + name_ + "\" (" + class_name_ + ")"; }
  void ensure_built(const std::vector<Shape>& inputs);

  Variable add_weight(const Layer::Weight& w);
  /// A variable that is state but no weight (seed of a generator).
  void add_seed(const random::SeedGenerator& generator);
  void track(const std::string& attribute, const std::shared_ptr<LayerImpl>& layer);
  void add_loss(const Tensor& loss);

  std::vector<Variable> weights() const;                 // own trainable, sublayers' …, in Keras' order
  std::vector<Variable> trainable_weights() const;
  std::vector<Variable> non_trainable_weights() const;
  std::vector<Variable> variables() const;
  std::vector<Variable> non_trainable_variables() const;
  std::vector<std::shared_ptr<LayerImpl>> sublayers() const;  // direct ones
  /// This layer and all below it, depth first, each once.
  std::vector<LayerImpl*> flatten() const;
  void set_trainable(bool t);

  std::string class_name_, dtype_policy_;
  DType compute_dtype_ = DType::Float32, variable_dtype_ = DType::Float32;
  bool built_ = false, trainable_ = true, supports_masking_ = false, autocast_ = true;
  std::vector<InputSpec> input_spec_;                    // empty: anything; else one per input
  bool convert_dtype_ = true;
  /// Keras gives the symbolic result of layers that say nothing but their output's shape the compute dtype, also for integer inputs.
  bool symbolic_in_compute_dtype_ = false;
  std::vector<Variable> own_trainable_, own_non_trainable_, own_seeds_;
  std::vector<std::pair<std::string, Layer>> parts_;     // named parts
  std::vector<std::shared_ptr<LayerImpl>> found_;        // found by their calls inside of ours
  std::optional<Shape> batch_input_shape_;
  Tensors initial_weights_;
  std::vector<Shape> built_shapes_;
  Regularizer activity_regularizer_;
  std::optional<std::string> registered_name_;
  Layer* self_ = nullptr;                                // the object of a user's class, while it lives
  std::shared_ptr<void> owner_;                          // keeps that object alive when `make` made it

 private:
  Tensors call_in_scopes(const Call& call);
  void check_input_spec(const Tensors& inputs) const;
};

/// The mode of the call under way, and where losses added on the way are collected.
struct CallContext {
  std::optional<bool> training;                 // explicit mode of the outermost call that gave one
  LayerImpl* layer = nullptr;                   // whose call runs now
  CallContext* parent = nullptr;
  Tensors* losses = nullptr;
};
CallContext* current_call();
class CallScope {
 public:
  CallScope(LayerImpl* layer, std::optional<bool> training, Tensors* losses = nullptr);
  ~CallScope();
  CallContext context;
};

/// Reads name, trainable and dtype of a saved configuration into options.
void read_common(const Dict& config, std::optional<std::string>& name, bool& trainable, std::optional<std::string>& dtype);

/// How most layers are made again: options read from the configuration field by field.
template <class Options> Options options_from(const Dict& config, const std::string& where) {
  Options o{};
  read_common(config, o.name, o.trainable, o.dtype);
  serial::from_config(o, config, where);
  return o;
}

/// The same for options without fields of their own.
template <class Options> Options common_options_from(const Dict& config) {
  Options o{};
  read_common(config, o.name, o.trainable, o.dtype);
  return o;
}

template <class Impl, class... Args> std::shared_ptr<LayerImpl> make_impl(Args&&... args) { return std::make_shared<Impl>(std::forward<Args>(args)...); }

}  // namespace keras::layers
