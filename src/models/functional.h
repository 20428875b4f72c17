// What lives here: models as layers: the functional graph, Sequential, and a class of the user's own.
#pragma once
#include <atomic>
#include <map>
#include <mutex>

#include "layers/layer_impl.h"

namespace keras {
class Model;
namespace metrics {
class Metric;
}
}  // namespace keras

namespace keras::models {

struct Trainer;

/// What every model is inside: a layer that also knows how it is trained.
class ModelImpl : public layers::LayerImpl {
 public:
  ModelImpl();
  ~ModelImpl() override;
  bool is_model() const override { return true; }
  /// The layers as `model.layers` lists them.
  virtual std::vector<Layer> layers() const;
  /// Names of inputs and outputs, in order; empty for a subclassed model that was never called.
  virtual std::vector<std::string> input_names() const { return {}; }
  virtual std::vector<std::string> output_names() const { return {}; }
  /// The symbolic inputs and outputs; empty when there is no graph.
  virtual Tensors symbolic_inputs() const { return {}; }
  virtual Tensors symbolic_outputs() const { return {}; }
  std::string module() const override { return "keras"; }
  /// As a layer, and how it was compiled.
  Value serialize() const override;

  /// The compiled forward pass for inputs of these types, or the predict_step of a class of the user's; safe from many threads.
  const core::Compiled& predict_step(const std::vector<ir::Type>& types, Model* subject = nullptr);
  /// Drops what was compiled: the model computes something else from now on.
  void forget_steps();

  std::unique_ptr<Trainer> trainer;
  std::vector<std::shared_ptr<metrics::Metric>> tracked_metrics;  // of the user's own
  std::atomic<bool> stop_predicting{false};

 private:
  struct PredictStep {
    std::vector<ir::Type> types;
    bool of_subject = false;
    std::unique_ptr<core::Compiled> compiled;
    std::unique_ptr<PredictStep> next;
  };
  std::atomic<PredictStep*> steps_{nullptr};  // grows at the front; read without a lock
  std::mutex building_;
};

/// A graph of nodes between symbolic inputs and outputs.
class FunctionalImpl : public ModelImpl {
 public:
  FunctionalImpl(Tensors inputs, Tensors outputs, const std::optional<std::string>& name, bool trainable = true);
  Tensors call(const layers::Call& call) override;
  std::vector<Layer> layers() const override { return layers_; }
  std::vector<std::pair<std::string, Layer>> parts() const override;
  std::vector<std::string> input_names() const override;
  std::vector<std::string> output_names() const override;
  Tensors symbolic_inputs() const override { return inputs_; }
  Tensors symbolic_outputs() const override { return outputs_; }
  std::vector<ir::Type> output_types(const core::CallArgs& args) override;
  std::string explanation(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const override;
  bool uses_mask() const override { return true; }
  std::string module() const override { return "keras.src.models.functional"; }
  Dict own_config() const override;
  Value serialize() const override;
  Value build_config() const override { return Dict{{"input_shape", Value()}}; }

  struct Step {
    std::shared_ptr<core::Operation> operation;
    int node;
  };
  /// Every operation in Keras' order, and the calls in the order in which they run.
  const std::vector<std::shared_ptr<core::Operation>>& operations() const { return operations_; }
  const std::vector<Step>& steps() const { return steps_; }
  /// Runs the graph; `watch` sees every operation's outputs.
  Tensors run(const Tensors& inputs, const std::function<void(const core::Operation&, const Tensors&)>& watch = {});
  /// True for a model given lists of inputs or outputs (saved as lists).
  bool inputs_are_list = false, outputs_are_list = false;
  /// Of a model that was given dictionaries: their keys in order, and the tensor of each. The tensors are sorted by key.
  using Keys = std::vector<std::pair<std::string, size_t>>;
  Keys input_keys, output_keys;

 private:
  void build_graph();
  Tensors inputs_, outputs_;
  std::vector<std::shared_ptr<core::Operation>> operations_;
  std::vector<Step> steps_;
  std::vector<Layer> layers_;
};

/// A chain of layers; its graph is made as soon as the input shape is known.
class SequentialImpl : public ModelImpl {
 public:
  explicit SequentialImpl(const std::optional<std::string>& name, bool trainable = true);
  void add(const Layer& layer);
  void pop();
  void build(const std::vector<Shape>& inputs) override;
  Tensors call(const layers::Call& call) override;
  std::vector<Layer> layers() const override;  // without the InputLayer
  std::vector<std::pair<std::string, Layer>> parts() const override;
  std::vector<std::string> input_names() const override { return functional_ ? functional_->input_names() : std::vector<std::string>{}; }
  std::vector<std::string> output_names() const override { return functional_ ? functional_->output_names() : std::vector<std::string>{}; }
  Tensors symbolic_inputs() const override { return functional_ ? functional_->symbolic_inputs() : Tensors{}; }
  Tensors symbolic_outputs() const override { return functional_ ? functional_->symbolic_outputs() : Tensors{}; }
  std::string explanation(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const override;
  bool uses_mask() const override { return true; }
  Dict own_config() const override;
  Value serialize() const override;
  Value build_config() const override;
  const std::shared_ptr<FunctionalImpl>& functional() const { return functional_; }
  const std::vector<Layer>& all_layers() const { return layers_; }  // with the InputLayer, if any

 private:
  void rebuild();
  std::vector<Layer> layers_;
  Tensors chain_;  // the input, then the output of each layer that was called
  std::shared_ptr<FunctionalImpl> functional_;
};

/// Makes a model or layer from its saved form ("Functional", "Sequential", "Model", or a layer's class).
Layer deserialize_any(const Value& saved);
std::shared_ptr<ModelImpl> functional_from_config(const Dict& config);
std::shared_ptr<ModelImpl> sequential_from_config(const Dict& config);

}  // namespace keras::models
