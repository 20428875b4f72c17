// What lives here: RNN, the loop of a cell over time, stacks of cells, and the base of cells of one's own.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include <keras/layers/layer.h>

// The fields that the options of recurrent layers and cells share, piece by piece in the order of Keras' signatures.
#define KERAS_RNN_INITIALIZERS                                \
  ::keras::Initializer kernel_initializer = "glorot_uniform"; \
  ::keras::Initializer recurrent_initializer = "orthogonal";  \
  ::keras::Initializer bias_initializer = "zeros";
#define KERAS_RNN_REGULARIZERS                  \
  ::keras::Regularizer kernel_regularizer{};    \
  ::keras::Regularizer recurrent_regularizer{}; \
  ::keras::Regularizer bias_regularizer{};
#define KERAS_RNN_CONSTRAINTS                 \
  ::keras::Constraint kernel_constraint{};    \
  ::keras::Constraint recurrent_constraint{}; \
  ::keras::Constraint bias_constraint{};
#define KERAS_RNN_DROPOUT                                                                                           \
  /** Fractions of the inputs and of the states to drop in training; one draw per batch, the same for all steps. */ \
  double dropout = 0.0;                                                                                             \
  double recurrent_dropout = 0.0;
#define KERAS_RNN_SEQUENCE       \
  /** As in RNNOptions. */       \
  bool return_sequences = false; \
  bool return_state = false;     \
  bool go_backwards = false;     \
  bool stateful = false;         \
  bool unroll = false;
// Their names, as Keras writes them into configurations.
#define KERAS_RNN_INITIALIZER_FIELDS kernel_initializer, recurrent_initializer, bias_initializer
#define KERAS_RNN_REGULARIZER_FIELDS kernel_regularizer, recurrent_regularizer, bias_regularizer
#define KERAS_RNN_CONSTRAINT_FIELDS kernel_constraint, recurrent_constraint, bias_constraint
#define KERAS_RNN_DROPOUT_FIELDS dropout, recurrent_dropout
#define KERAS_RNN_SEQUENCE_FIELDS return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask

namespace keras::layers {

/// The base of a recurrent cell of one's own: what it remembers (`state_size`) and one step (`call`).
///
///     struct Minimal : keras::layers::RNNCell {
///       int64_t units;
///       keras::Variable w, u;
///       explicit Minimal(int64_t units) : RNNCell("Minimal"), units(units) {}
///       std::vector<int64_t> state_size() const override { return {units}; }
///       void build(const keras::Shape& input) override {
///         w = add_weight({.name = "kernel", .shape = {input.back(), units}});
///         u = add_weight({.name = "recurrent_kernel", .shape = {units, units}});
///       }
///       std::pair<keras::Tensor, keras::Tensors> call(const keras::Tensor& x, const keras::Tensors& states, bool) override {
///         keras::Tensor y = keras::ops::matmul(x, w) + keras::ops::matmul(states[0], u);
///         return {y, {y}};
///       }
///     };
///     keras::Tensor y = keras::layers::RNN(keras::make<Minimal>(32))(keras::Input({10, 5}));
class RNNCell : public Layer {
 public:
  using Layer::Layer;
  /// Sizes of the states, without the batch axis.
  virtual std::vector<int64_t> state_size() const = 0;
  /// Size of the output; by default that of the first state.
  virtual int64_t output_size() const { return state_size().at(0); }
  /// One step: inputs (batch, features) and states → output and next states, as many as there were.
  virtual std::pair<Tensor, Tensors> call(const Tensor& inputs, const Tensors& states, bool training) = 0;
  /// The states before the first step; zeros by default. `batch_size` may be None.
  virtual Tensors get_initial_state(int64_t batch_size) const;

  Tensor call(const Tensor& input) final;
  Tensor call(const Tensor& input, bool training) final;
  Tensors call(const Tensors& inputs, bool training) final;
};

/// What the library's own cells share.
class CellLayer : public Layer {
 public:
  /// Sizes of the states, without the batch axis.
  std::vector<int64_t> state_size() const;
  int64_t output_size() const;
  /// Zeros of shape (batch_size, size) for each state.
  Tensors get_initial_state(int64_t batch_size) const;

 protected:
  explicit CellLayer(std::shared_ptr<LayerImpl> impl) : Layer(std::move(impl)) {}
};

struct StackedRNNCellsOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' StackedRNNCells: cells one above the other as one cell; the output of each is the input of the next.
class StackedRNNCells : public CellLayer {
 public:
  explicit StackedRNNCells(const std::vector<Layer>& cells, const StackedRNNCellsOptions& options = {});
  static Layer from_config(const Dict& config);
  std::vector<Layer> cells() const;
};

struct RNNOptions {
  /// Output of every step, (batch, time, size), instead of the last one's, (batch, size).
  bool return_sequences = false;
  /// The last states as further outputs.
  bool return_state = false;
  /// Walks from the last step to the first; sequences come out in that order.
  bool go_backwards = false;
  /// The last states are the first ones of the next batch; the batch size must be known.
  bool stateful = false;
  /// One copy of the step per time step instead of a loop; the number of steps must be known.
  bool unroll = false;
  /// Masked steps give zeros; otherwise they repeat the output before them.
  bool zero_output_for_mask = false;
  Regularizer activity_regularizer{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)
};

/// Keras' RNN: runs a cell over the time axis of (batch, time, …). Several cells are stacked.
/// Call: `rnn(x, {.training, .mask, .initial_state})`; the mask is (batch, time), true where a step counts.
/// ValueError for a cell that is none, for a stateful layer without a batch size, for unrolling over unknown steps.
class RNN : public Layer {
 public:
  explicit RNN(const Layer& cell, const RNNOptions& options = {});
  explicit RNN(const std::vector<Layer>& cells, const RNNOptions& options = {});
  static Layer from_config(const Dict& config);
  Layer cell() const;
  /// The states that a stateful layer keeps between batches; empty before it is built.
  std::vector<Variable> states() const;
  /// Sets these to zero.
  void reset_state() const;
  void reset_states() const { reset_state(); }

 protected:
  explicit RNN(std::shared_ptr<LayerImpl> impl) : Layer(std::move(impl)) {}
};

}  // namespace keras::layers
