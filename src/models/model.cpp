// What lives here: the handles Model and Sequential.
#include <algorithm>
#include <fmt/format.h>

#include "layers/user_impl.h"
#include "models/functional.h"
#include "models/trainer.h"

namespace keras {

using models::FunctionalImpl;
using models::ModelImpl;
using models::SequentialImpl;

static std::shared_ptr<ModelImpl> functional(const Tensors& in, bool in_list, const Tensors& out, bool out_list, const ModelOptions& o) {
  auto m = std::make_shared<FunctionalImpl>(in, out, o.name, o.trainable);
  m->inputs_are_list = in_list, m->outputs_are_list = out_list;
  if (!o.trainable) m->set_trainable(false);
  return m;
}
Model::Model(const Tensor& in, const Tensor& out, const ModelOptions& o) : Layer(functional({in}, false, {out}, false, o)) {}
Model::Model(const Tensors& in, const Tensor& out, const ModelOptions& o) : Layer(functional(in, true, {out}, false, o)) {}
Model::Model(const Tensor& in, const Tensors& out, const ModelOptions& o) : Layer(functional({in}, false, out, true, o)) {}
Model::Model(const Tensors& in, const Tensors& out, const ModelOptions& o) : Layer(functional(in, true, out, true, o)) {}
Model::Model(const std::string& class_name, const std::string& name) : Layer(std::make_shared<layers::UserImpl<ModelImpl>>()) {
  impl_->init(class_name, name, true, std::nullopt);
  impl_->registered_name_ = "Custom>" + class_name;
  impl_->self_ = this;
}
Model::Model(std::shared_ptr<ModelImpl> impl) : Layer(std::move(impl)) {}
Model::Model(const Layer& layer) : Layer(layer) {
  if (layer && !layer.impl()->is_model())
    throw TypeError(ErrorText{.what = "the layer is no model", .received = "layer \"" + layer.name() + "\" (" + layer.class_name() + ")"}.str());
}

ModelImpl& Model::model_impl() const {
  if (!impl_) throw ValueError("an empty Model was used: it was default-constructed and never given a model");
  return static_cast<ModelImpl&>(*impl_);
}

std::vector<Layer> Model::layers() const { return model_impl().layers(); }
Layer Model::get_layer(const std::string& name) const {
  std::vector<std::string> known;
  for (const Layer& l : layers()) {
    if (l.name() == name) return l;
    known.push_back(l.name());
  }
  throw ValueError(ErrorText{.what = "there is no layer \"" + name + "\"" + did_you_mean(name, known), .where = "model \"" + this->name() + "\"", .expected = fmt::format("one of {}", fmt::join(known, ", "))}.str());
}
Layer Model::get_layer(int index) const {
  std::vector<Layer> all = layers();
  int i = index < 0 ? index + static_cast<int>(all.size()) : index;
  if (i < 0 || i >= static_cast<int>(all.size()))
    throw ValueError(ErrorText{.what = fmt::format("there is no layer {}", index), .where = "model \"" + name() + "\"", .expected = fmt::format("an index below {}", all.size())}.str());
  return all[static_cast<size_t>(i)];
}
Tensors Model::inputs() const { return model_impl().symbolic_inputs(); }
Tensors Model::outputs() const { return model_impl().symbolic_outputs(); }
std::vector<std::string> Model::input_names() const { return model_impl().input_names(); }
std::vector<std::string> Model::output_names() const { return model_impl().output_names(); }

// ---- Sequential
static SequentialImpl& seq(const std::shared_ptr<layers::LayerImpl>& impl) { return static_cast<SequentialImpl&>(*impl); }

Sequential::Item::Item(const Tensor& input) {
  if (!input.is_symbolic() || !input.impl()->history.operation || input.impl()->history.operation->class_name() != "InputLayer")
    throw ValueError(ErrorText{.what = "a Sequential model takes layers, and an Input as its first", .received = input.str()}.str());
  layer = Layer(std::static_pointer_cast<layers::LayerImpl>(input.impl()->history.operation));
}
Sequential::Sequential(const ModelOptions& o) : Model(std::make_shared<SequentialImpl>(o.name, o.trainable)) {}
Sequential::Sequential(std::initializer_list<Item> items, const ModelOptions& o) : Sequential(o) {
  for (const Item& i : items) seq(impl_).add(i.layer);
}
Sequential::Sequential(const std::vector<Layer>& items, const ModelOptions& o) : Sequential(o) {
  for (const Layer& l : items) seq(impl_).add(l);
}
Sequential& Sequential::add(const Item& item) {
  seq(impl_).add(item.layer);
  return *this;
}
void Sequential::pop() { seq(impl_).pop(); }

}  // namespace keras
