// What lives here: copies of models that share nothing with them.
#include <keras/models/clone.h>

#include <unordered_map>

#include "models/functional.h"

namespace keras::models {

namespace {

std::shared_ptr<ModelImpl> clone_graph(const FunctionalImpl& model, const CloneFunction& clone) {
  std::unordered_map<const core::Operation*, std::shared_ptr<core::Operation>> copies;
  std::map<std::pair<std::pair<const core::Operation*, int>, int>, Tensor> values;
  auto place = [](const Tensor& t) {
    const core::History& h = t.impl()->history;
    return std::pair{std::pair{static_cast<const core::Operation*>(h.operation.get()), h.node}, h.index};
  };
  auto lookup = [&](const Tensor& t) { return t.is_symbolic() ? values.at(place(t)) : t; };
  // All layers first, in the model's order, then the calls: it decides when seeds are drawn.
  Tensors inputs, outputs;
  for (const auto& operation : model.operations()) {
    auto layer = std::dynamic_pointer_cast<layers::LayerImpl>(operation);
    if (!layer) copies[operation.get()] = operation;
    else copies[operation.get()] = (layer->class_name() == "InputLayer" ? clone_layer(Layer(layer)) : clone(Layer(layer))).impl();
    if (!copies[operation.get()])
      throw ValueError(ErrorText{.what = "clone_function gave no layer", .where = "layer \"" + operation->name() + "\""}.str());
  }
  for (const Tensor& t : model.symbolic_inputs()) {
    inputs.push_back(copies.at(t.impl()->history.operation.get())->output(0, 0));
    values[place(t)] = inputs.back();
  }
  for (const FunctionalImpl::Step& s : model.steps()) {
    Tensors out = copies.at(s.operation.get())->rerun(s.operation->nodes()[static_cast<size_t>(s.node)].args.map_tensors(lookup));
    for (size_t k = 0; k < out.size(); ++k) values[{{s.operation.get(), s.node}, static_cast<int>(k)}] = out[k];
  }
  for (const Tensor& t : model.symbolic_outputs()) outputs.push_back(lookup(t));
  auto copy = std::make_shared<FunctionalImpl>(inputs, outputs, model.name(), model.trainable_);
  copy->inputs_are_list = model.inputs_are_list, copy->outputs_are_list = model.outputs_are_list;
  copy->input_keys = model.input_keys, copy->output_keys = model.output_keys;
  return copy;
}

}  // namespace

Layer clone_layer(const Layer& layer) {
  Value saved = layers::serialize(layer);
  Dict d = saved.as_dict();
  // Built, compiled: what the copy is not.
  d.erase("build_config");
  d.erase("compile_config");
  return layers::deserialize(d);
}

Model clone_model(const Model& model, const CloneFunction& clone_function) {
  const CloneFunction& clone = clone_function ? clone_function : CloneFunction(clone_layer);
  ModelImpl& impl = model.model_impl();
  if (impl.is_user_class()) {
    if (clone_function)
      throw ValueError(ErrorText{.what = "clone_function is for Sequential and functional models", .where = impl.where(), .fix = "leave it out, and register the class"}.str());
    return Model(clone_layer(model));
  }
  if (auto* graph = dynamic_cast<FunctionalImpl*>(&impl)) return Model(clone_graph(*graph, clone));
  auto& chain = dynamic_cast<SequentialImpl&>(impl);
  auto copy = std::make_shared<SequentialImpl>(chain.name(), chain.trainable_);
  for (const Layer& l : chain.all_layers()) copy->add(l.class_name() == "InputLayer" ? clone_layer(l) : clone(l));
  return Model(std::shared_ptr<ModelImpl>(copy));
}

}  // namespace keras::models
