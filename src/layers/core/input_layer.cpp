// What lives here: Input and InputLayer.
#include <keras/layers/core/input_layer.h>

#include "layers/layer_impl.h"

namespace keras {

namespace layers {

namespace {
struct InputLayerImpl : LayerImpl {
  Shape batch_shape;
  InputOptions o;
  DType dtype;
  InputLayerImpl(const Shape& shape, const InputOptions& options)
      : batch_shape(shape), o(options), dtype(dtype_from_name(options.dtype.value_or(config::floatx()))) {
    init("InputLayer", options.name, true, std::nullopt);
    for (int64_t d : shape)
      if (d < -1)
        throw ValueError(ErrorText{.what = "Input: a size can't be negative", .where = "layer \"" + name_ + "\" (InputLayer)", .expected = "sizes >= 0 or None", .received = shape.str()}.str());
    built_ = true;
    batch_input_shape_ = shape;
  }
  Tensors call(const Call& c) override { return c.inputs; }
  /// The one symbolic tensor of the layer.
  void make_output() {
    auto node = std::make_shared<core::Node>();
    node->output_types = {{dtype, batch_shape}};
    // As in Keras, the tensor has the name that the user gave, the layer always one.
    std::string name = o.name ? name_ : core::unique_name("keras_tensor");
    node->output_names = {name};
    Tensor t = core::make_symbolic({dtype, batch_shape}, name, {shared_from_this(), 0, 0, node});
    node->outputs = {t.impl()};
    nodes_.add(node, true);
  }

  Value serialize() const override {
    return Dict{{"module", module()}, {"class_name", class_name_}, {"config", config_of_input()}, {"registered_name", Value()}};
  }
  Dict config_of_input() const {
    Dict d{{"batch_shape", Value(batch_shape)}, {"dtype", dtype_name(dtype)}, {"sparse", o.sparse}, {"ragged", o.ragged}, {"name", name_}};
    d.set("optional", o.optional);
    return d;
  }
  Dict own_config() const override { return config_of_input(); }
};
}  // namespace

InputLayer::InputLayer(const Shape& batch_shape, const InputOptions& options) : Layer(make_impl<InputLayerImpl>(batch_shape, options)) {
  auto& impl = static_cast<InputLayerImpl&>(*impl_);
  impl.make_output();
}
Layer InputLayer::from_config(const Dict& config) {
  InputOptions o;
  Shape shape;
  for (const char* key : {"batch_shape", "batch_input_shape"})
    if (const Value* v = config.find(key); v && v->is_list()) shape = v->as_shape();
  if (const Value* v = config.find("dtype"); v && !v->is_null()) o.dtype = v->is_string() ? v->as_string() : v->get("config").get("name").as_string();
  if (const Value* v = config.find("name"); v && v->is_string()) o.name = v->as_string();
  if (const Value* v = config.find("optional"); v && v->is_bool()) o.optional = v->as_bool();
  if (const Value* v = config.find("sparse"); v && v->is_bool()) o.sparse = v->as_bool();
  if (const Value* v = config.find("ragged"); v && v->is_bool()) o.ragged = v->as_bool();
  return InputLayer(shape, o);
}

}  // namespace layers

Tensor Input(std::initializer_list<int64_t> shape, const InputOptions& options) { return Input(Shape(shape), options); }
Tensor Input(const InputOptions& options) {
  if (!options.batch_shape)
    throw ValueError(ErrorText{.what = "Input needs a shape", .expected = "Input({784}), or Input({.batch_shape = Shape{8, 784}})"}.str());
  return layers::InputLayer(*options.batch_shape, options).impl()->output(0, 0);
}

}  // namespace keras
