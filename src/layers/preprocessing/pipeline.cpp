// What lives here: Pipeline.
#include <keras/layers/preprocessing/pipeline.h>

#include <utility>

#include "layers/layer_impl.h"

namespace keras::layers {

namespace {
struct PipelineImpl : LayerImpl {
  std::vector<Layer> layers;
  PipelineImpl(const std::vector<Layer>& l, const PipelineOptions& o) : layers(l) {
    init_common("Pipeline", o);
    for (size_t i = 0; i < layers.size(); ++i) parts_.emplace_back("layers/" + std::to_string(i), layers[i]);
  }
  bool training_default() const override { return true; }
  bool uses_mask() const override { return true; }
  Tensors call(const Call& c) override {
    core::CallArgs args;
    for (const Tensor& t : c.inputs) args.args.push_back(t);
    if (c.inputs.size() > 1) args = c.args;
    if (c.mask().defined()) args.args[0] = core::Arg(core::with_mask(c.input(), c.mask()));
    args.set("training", Value(c.training));
    Tensors out = c.inputs;
    for (const Layer& l : layers) {
      out = (*l.impl())(args);
      args = core::CallArgs();
      if (out.size() == 1) {
        args.args.push_back(out[0]);
      } else {
        std::vector<core::Arg> list(out.begin(), out.end());
        args.args.push_back(list);
      }
      args.set("training", Value(c.training));
    }
    last_masks().clear();
    for (const Tensor& t : out) last_masks().push_back(core::mask_of(t));
    return out;
  }
  Tensors compute_mask(const Call& c, size_t outputs) override {
    if (!c.inputs.empty() && c.inputs[0].is_symbolic()) return Tensors(outputs, c.mask());
    return std::exchange(last_masks(), {});
  }
  /// Keras writes layers and name alone.
  Dict config() const override {
    List saved;
    for (const Layer& l : layers) saved.push_back(l.impl()->serialize());
    return {{"layers", saved}, {"name", name_}};
  }

 private:
  /// Of the outputs of the call that this thread has just made: the last layer's masks are known only there.
  static Tensors& last_masks() {
    static thread_local Tensors masks;
    return masks;
  }
};
}  // namespace

Pipeline::Pipeline(const std::vector<Layer>& layers, const PipelineOptions& o) : Layer(make_impl<PipelineImpl>(layers, o)) {}
Layer Pipeline::from_config(const Dict& c) {
  const Value* saved = c.find("layers");
  if (!saved || !saved->is_list())
    throw ValueError(ErrorText{.what = "the configuration of a Pipeline holds no layers",
                               .expected = "\"layers\": a list of saved layers",
                               .received = saved ? saved->str() : "nothing"}
                         .str());
  std::vector<Layer> layers;
  for (const Value& l : saved->as_list()) layers.push_back(deserialize(l));
  return Pipeline(layers, common_options_from<PipelineOptions>(c));
}

}  // namespace keras::layers
