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
    for (const Value* v : {&scale, &offset})
      if (!v->is_number() && !v->is_list())
        throw ValueError(ErrorText{.what = "Rescaling: scale and offset are numbers or lists of numbers", .where = "layer \"" + name_ + "\" (Rescaling)", .received = v->str()}.str());
  }
  Tensor factor(const Value& v) const {
    if (!v.is_list()) return Tensor::full({}, v.as_float(), compute_dtype_);
    std::vector<double> numbers;
    for (const Value& e : v.as_list()) numbers.push_back(e.as_float());
    return Tensor(numbers).astype(compute_dtype_);
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
