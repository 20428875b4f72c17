// What lives here: what the loop of RNN needs of a cell, and what the library's own cells share: weights, dropout, products of gates.
// No loop and no time axis.
#pragma once
#include <functional>
#include <utility>

#include <keras/activations.h>
#include <keras/layers/rnn/rnn.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

/// What a loop over time needs of a cell.
class Cell {
 public:
  virtual ~Cell() = default;
  /// Shapes of the states and of the output, without the batch axis; for convolutional cells only once built.
  virtual std::vector<Shape> state_shapes() const = 0;
  virtual Shape output_shape() const { return state_shapes().at(0); }
  /// The states before the first step; the batch may be None.
  virtual Tensors initial_state(int64_t batch) const = 0;
  virtual DType state_dtype() const = 0;

  /// Dropout masks of one batch, kept over all steps; empty where nothing is dropped.
  struct Masks {
    Tensors input, recurrent;
  };
  /// Draws for one batch in Keras' order; `x` and `h` are the shapes of one step's input and of the first state. The generator moves
  /// at inference too, as Keras' does.
  virtual Masks draw(const Shape&, const Shape&, bool) { return {}; }

  using Step = std::function<std::pair<Tensor, Tensors>(const Tensor& x, const Tensors& states)>;
  struct Loop {
    Tensor xs;  // what the steps read instead of the inputs, the same leading axes
    Step step;
  };
  /// Computes what depends on the inputs alone for all steps at once, and gives the step. `x` is (batch, …), or (time, batch, …).
  virtual Loop prepare(const Tensor& x, bool has_time, const Masks& masks, bool training) = 0;
  /// The cells of a stack from the first to the last; a plain cell is its own stack.
  virtual std::vector<Cell*> stack() { return {this}; }
  /// Must steps be written out, because they move random states of their own?
  virtual bool must_unroll(bool) const { return false; }
  /// Does a call move a random state at inference?
  virtual bool draws_at_inference() const { return false; }
};

/// The face of any layer that is a cell. ValueError naming `where` for others. The layer must outlive it.
std::shared_ptr<Cell> cell_of(const Layer& layer, const std::string& where);

/// The options that the library's cells have, some of them not all; filled from those of a cell or of its layer.
struct CellSetup {
  ActivationSpec activation{}, recurrent_activation{};
  bool use_bias = true;
  Initializer kernel_initializer{}, recurrent_initializer{}, bias_initializer{};
  Regularizer kernel_regularizer{}, recurrent_regularizer{}, bias_regularizer{};
  Constraint kernel_constraint{}, recurrent_constraint{}, bias_constraint{};
  double dropout = 0, recurrent_dropout = 0;
  std::optional<int64_t> seed{};
  bool unit_forget_bias = false, reset_after = false;
  int implementation = 2;
};
/// Copies the fields of CellSetup that both have. Objects that names stand for are shared once they are made.
template <class To, class From> void copy_setup(To& to, const From& from) {
#define KERAS_COPY(field) \
  if constexpr (requires { to.field; from.field; }) to.field = from.field;
  KERAS_EACH(KERAS_COPY, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer, recurrent_regularizer,
             bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, unit_forget_bias, reset_after, implementation)
#undef KERAS_COPY
}
template <class Options> CellSetup setup_of(const Options& o) {
  CellSetup s;
  copy_setup(s, o);
  return s;
}

/// When a cell's seed generator is made: the order decides which seeds it and the initialisers draw.
enum class SeedOrder { Before, After };

/// The library's own cells: kernel, recurrent kernel and bias, their last axes cut into gates.
class GatedCell : public LayerImpl, public Cell {
 public:
  /// `size`: units or filters; `gate_names`: what the gates are called in explanations. Clamps the rates as Keras does, and makes the
  /// objects that names stand for: random ones draw their seeds here.
  GatedCell(int64_t size, std::vector<std::string> gate_names, CellSetup setup, SeedOrder order);

  std::vector<Shape> state_shapes() const override { return {Shape{size_}}; }
  Tensors initial_state(int64_t batch) const override;
  DType state_dtype() const override { return compute_dtype_; }
  Masks draw(const Shape& x, const Shape& h, bool training) override;
  bool draws_at_inference() const override { return s_.dropout > 0 || s_.recurrent_dropout > 0; }
  void build(const std::vector<Shape>& inputs) override;
  Tensors call(const Call& c) override;
  bool uses_training() const override { return true; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override;
  /// A sentence per weight, for inputs with so many features.
  virtual std::vector<std::string> explain_weights(int64_t features) const;

  const CellSetup& setup() const { return s_; }
  int64_t size() const { return size_; }
  int64_t gates() const { return static_cast<int64_t>(gate_names_.size()); }

 protected:
  /// Masks drawn per rate: one, or one per gate.
  virtual size_t mask_count() const { return s_.implementation == 1 ? gate_names_.size() : 1; }
  /// Are masks of a rate of 1 applied? Only SimpleRNN does; others then drop nothing.
  virtual bool drops_all() const { return false; }
  /// Does a call outside of a loop draw at inference?
  virtual bool always_draws() const { return false; }
  virtual Shape bias_shape() const { return {gates() * size_}; }
  void add_weights(const Shape& kernel, const Shape& recurrent);

  /// x · weights on the feature axis; a convolution in convolutional cells.
  virtual Tensor input_product(const Tensor& x, const Tensor& weights) const;
  virtual Tensor recurrent_product(const Tensor& h, const Tensor& weights) const { return input_product(h, weights); }
  virtual int feature_axis(const Tensor& x) const { return x.rank() - 1; }
  /// Inputs times kernel, all gates side by side, each gate with its own mask where there are several.
  Tensor project(const Tensor& x, const Tensors& masks) const;
  /// The product of states and recurrent kernel in the same form. Kernels are cut here, outside of the loop.
  std::function<Tensor(const Tensor& h)> recurrence(const Tensors& masks) const;
  /// The part of a value that belongs to gate g.
  Tensor gate(const Tensor& v, int64_t g) const { return prims::slice_axis(v, feature_axis(v), g * size_, (g + 1) * size_); }
  /// Gates [from, to) of a kernel.
  Tensor gates_of(const Tensor& weights, int64_t from, int64_t to) const { return prims::slice_axis(weights, weights.rank() - 1, from * size_, to * size_); }
  Tensor activate(const Tensor& x) const { return s_.activation.is_none() ? x : s_.activation->call(x); }
  Tensor recurrent_activate(const Tensor& x) const { return s_.recurrent_activation.is_none() ? x : s_.recurrent_activation->call(x); }
  /// The bias in the form of the projected inputs.
  virtual Tensor bias() const { return weight(bias_); }
  Tensor weight(const Variable& v) const { return prims::cast(v.value(), compute_dtype_); }

  int64_t size_;
  std::vector<std::string> gate_names_;
  CellSetup s_;
  random::SeedGenerator seeds_{nullptr};
  Variable kernel_, recurrent_kernel_, bias_;
};

/// Input, forget, cell and output gate on top of products that the class below provides: LSTM and its convolutional kin.
class LSTMBase : public GatedCell {
 public:
  using GatedCell::GatedCell;
  std::vector<Shape> state_shapes() const override { return {Shape{size_}, Shape{size_}}; }
  Loop prepare(const Tensor& x, bool has_time, const Masks& masks, bool training) override;
};

/// The configuration of an options struct, with further entries before the field `before`, where Keras has them.
template <class Options> Dict config_of(const Options& o, std::string_view before = "", const std::vector<std::pair<const char*, Value>>& first = {}) {
  Dict d;
  for (const auto& [k, v] : serial::to_config(o)) {
    if (k == before)
      for (const auto& [name, value] : first) d.set(name, value);
    d.set(k, v);
  }
  return d;
}

/// A cell with its public options; `Core` says what it computes, its class name and what it makes of the options.
template <class Core, class CellOptions> struct CellImpl : Core {
  CellImpl(int64_t units, const CellOptions& options) : Core(units, setup_of(options)), o(options) {
    copy_setup(o, this->s_);
    this->init_common(Core::kClass, o);
  }
  Dict own_config() const override { return config_of(o, "activation", {{"units", this->size_}}); }
  CellOptions o;
};
inline int64_t check_units(int64_t units, const char* class_name) {
  if (units <= 0)
    throw ValueError(ErrorText{.what = std::string(class_name) + ": units must be positive", .where = class_name, .expected = "units >= 1", .received = std::to_string(units)}.str());
  return units;
}

}  // namespace keras::layers
