// What lives here: Rescaling.
#include <keras/layers/preprocessing/rescaling.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct RescalingImpl : LayerImpl {
  Value scale, offset;
  RescalingImpl(const Value& s, const RescalingOptions& o) : scale(s), offset(o.offset) {
    init_common("Rescaling", o);
    supports_masking_ = true;
    // Arrays of NumPy in a saved configuration.
    for (Value* v : {&scale, &offset})
      if (const Value& cls = v->get("class_name"); cls == Value("__numpy__") || cls == Value("__tensor__")) *v = Value(v->get("config").get("value"));
    for (const Value* v : {&scale, &offset})
      if (!v->is_number() && !v->is_list())
        throw ValueError(ErrorText{.what = "Rescaling: scale and offset are numbers or lists of numbers", .where = "layer \"" + name_ + "\" (Rescaling)", .received = v->str()}.str());
  }
  Tensor factor(const Value& v) const {
    if (!v.is_list()) return Tensor::full({}, v.as_float(), compute_dtype_);
    std::vector<double> numbers;
    std::vector<int64_t> shape;
    flatten(v, 0, shape, numbers);
    // One number per channel, wherever the channels are.
    if (config::image_data_format() == "channels_first")
      while (shape.size() < 3) shape.push_back(1);
    return Tensor::from(numbers, Shape(shape)).astype(compute_dtype_);
  }
  void flatten(const Value& v, size_t depth, std::vector<int64_t>& shape, std::vector<double>& numbers) const {
    if (!v.is_list()) return numbers.push_back(v.as_float());
    auto n = static_cast<int64_t>(v.as_list().size());
    if (shape.size() == depth) shape.push_back(n);
    if (shape.at(depth) != n)
      throw ValueError(ErrorText{.what = "Rescaling: lists of numbers in rows of different lengths", .where = where(), .received = v.str()}.str());
    for (const Value& e : v.as_list()) flatten(e, depth + 1, shape, numbers);
  }
  Tensors call(const Call& c) override {
    return {prims::add(prims::mul(prims::cast(c.input(), compute_dtype_), factor(scale)), factor(offset))};
  }
  Dict own_config() const override { return {{"scale", scale}, {"offset", offset}}; }
};
}  // namespace

Rescaling::Rescaling(const Value& scale, const RescalingOptions& o) : Layer(make_impl<RescalingImpl>(scale, o)) {}
Layer Rescaling::from_config(const Dict& c) { return Rescaling(c.at("scale"), options_from<RescalingOptions>(c, "Rescaling")); }

}  // namespace keras::layers
