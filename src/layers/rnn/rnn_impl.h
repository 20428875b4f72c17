// What lives here: the inside of RNN: flags, states kept between batches, and the walk over time. What a step computes is the cell's.
#pragma once
#include "layers/rnn/cell.h"

namespace keras::layers {

/// The options of the loop, taken from those of any recurrent layer.
struct LoopSetup {
  bool return_sequences = false, return_state = false, go_backwards = false, stateful = false, unroll = false, zero_output_for_mask = false;
};
template <class Options> LoopSetup loop_of(const Options& o) {
  return {o.return_sequences, o.return_state, o.go_backwards, o.stateful, o.unroll, o.zero_output_for_mask};
}

class RNNImpl : public LayerImpl {
 public:
  /// The class below has called init_common.
  void set_up(const Layer& cell, const LoopSetup& setup, const Regularizer& activity);

  void build(const std::vector<Shape>& inputs) override;
  Tensors call(const Call& c) override;
  Tensors compute_mask(const Call& c, size_t outputs) override;
  bool uses_mask() const override { return true; }
  bool uses_training() const override { return true; }
  void reset_states() override;
  Value build_config() const override;
  void build_from_config(const Value& build_config) override;
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override;

  LoopSetup loop;
  bool from_config = false;
  Layer cell_layer;
  std::shared_ptr<Cell> cell;
  std::vector<Variable> states;

 protected:
  /// Where the cell's own axes of the input may be fixed once their sizes are known.
  virtual void fix_input_spec(const Shape& input);
  /// Size of the axis of the input that the kernel acts on.
  virtual int64_t input_features(const Shape& input) const { return input.back(); }
  /// Names of the output axes after batch and time, for explanations.
  virtual std::vector<std::string> explain_output(const Shape& in, const Shape& out) const;

 private:
  Tensors initial_states(const Call& c) const;
};

/// A recurrent layer that makes its cell from its own options: SimpleRNN, LSTM, GRU.
template <class CellHandle, class CellOptions, class Options> struct RNNOf : RNNImpl {
  RNNOf(const char* class_name, const char* cell_name, int64_t size, const Options& options) : units(check_units(size, class_name)), o(options) {
    if constexpr (requires { o.use_cudnn; }) {
      bool known = o.use_cudnn.is_bool() || (o.use_cudnn.is_string() && o.use_cudnn.as_string() == "auto");
      if (!known)
        throw ValueError(ErrorText{.what = std::string(class_name) + ": use_cudnn has an unknown value", .expected = "\"auto\", true or false", .received = o.use_cudnn.str()}.str());
    }
    CellOptions c;
    copy_setup(c, o);
    c.name = cell_name, c.dtype = o.dtype, c.trainable = o.trainable;
    CellHandle handle(units, c);
    copy_setup(o, static_cast<GatedCell&>(*handle.impl()).setup());
    init_common(class_name, o);
    set_up(handle, loop_of(o), o.activity_regularizer);
    input_spec_ = {{.ndim = 3}};
  }
  Dict own_config() const override {
    Dict d = config_of(o, "activation", {{"units", units}});
    // The loop's flags may have been set by a wrapper.
    d.set("zero_output_for_mask", loop.zero_output_for_mask);
    return d;
  }
  int64_t units;
  Options o;
};
/// Reads the options of a saved cell or recurrent layer.
template <class Options> Options recurrent_options(const Dict& config, const std::string& class_name) {
  auto o = options_from<Options>(config, class_name);
  if constexpr (requires { o.implementation; })
    if (const Value* v = config.find("implementation"); v && v->is_int()) o.implementation = static_cast<int>(v->as_int());
  return o;
}

/// Parts of a layer made from a saved configuration are built before it: their weights' paths get its name here, so that they are those
/// of the layer that was saved. Inside of `build`.
void adopt_paths(const Layer& part);

/// {"shapes_dict": …} for a layer that was first called with initial states, {"input_shape": …} otherwise.
Value recurrent_build_config(const LayerImpl& layer, Value otherwise);
/// The shape of the sequences in either.
Value sequences_of(const Value& build_config);
/// The initial states of a call: after the sequences in a list, second argument or keyword.
Tensors initial_state_of(const Call& c);
/// The mask of a call: keyword, third argument, or the one that came with the sequences.
Tensor sequence_mask_of(const Call& c);
/// The mask that the loop sees: as Keras, a mask that only came with the sequences is not looked up in calls with initial states.
Tensor loop_mask_of(const Call& c);

}  // namespace keras::layers
