// What lives here: SpectralNormalization.
#include <keras/layers/normalization/spectral_normalization.h>
#include <keras/ops.h>

#include <fmt/format.h>

#include "layers/rnn/rnn_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct SpectralNormalizationImpl : LayerImpl {
  Layer inner;
  int64_t iterations;
  bool from_config = false;
  Variable kernel, vector_u;
  SpectralNormalizationImpl(const Layer& layer, const SpectralNormalizationOptions& o) : inner(layer), iterations(o.power_iterations) {
    if (!layer) throw ValueError("SpectralNormalization was given an empty Layer");
    init_common("SpectralNormalization", o);
    symbolic_in_compute_dtype_ = true;
    if (iterations <= 0)
      throw ValueError(ErrorText{.what = "SpectralNormalization: power_iterations must be positive",
                                 .where = where(),
                                 .expected = "1 or more",
                                 .received = std::to_string(iterations)}
                           .str());
    track("layer", layer.impl());
  }
  void build(const std::vector<Shape>& inputs) override {
    if (from_config && inner.built()) adopt_paths(inner);
    inner.impl()->ensure_built({inputs.at(0)});
    input_spec_ = {{.min_ndim = 1, .axes = {}}};
    if (int64_t n = inputs[0].back(); n >= 0) input_spec_[0].axes = {{-1, n}};
    bool found = false;
    for (const char* name : {"kernel", "embeddings"})
      for (const auto& own : {inner.impl()->own_trainable_, inner.impl()->own_non_trainable_})
        for (const Variable& v : own)
          if (!found && v.name() == name) kernel = v, found = true;
    if (!found)
      throw ValueError(ErrorText{.what = "SpectralNormalization: the layer has neither kernel nor embeddings",
                                 .where = where(),
                                 .expected = "a layer with a weight of one of these names",
                                 .received = "layer \"" + inner.name() + "\" (" + inner.class_name() + ")"}
                           .str());
    own_trainable_.push_back(kernel);  // Keras tracks it here too: first among the weights, and once more in saved files
    vector_u = add_weight({.name = "vector_u",
                           .shape = {1, kernel.shape().back()},
                           .initializer = initializers::TruncatedNormal({.stddev = 0.02}),
                           .dtype = std::string(dtype_name(kernel.dtype())),
                           .trainable = false});
  }
  Tensors call(const Call& c) override {
    if (c.training) normalise();
    core::CallArgs args;
    args.args = {core::Arg(c.input())};
    Tensors y = (*inner.impl())(std::move(args));
    for (Tensor& t : y) t = prims::cast(t, c.input().dtype());
    return y;
  }
  void normalise() {
    Tensor k = kernel.value(), u = vector_u.value(), v;
    Tensor w = prims::reshape(k, Shape{k.numel() / k.shape().back(), k.shape().back()});
    for (int64_t i = 0; i < iterations; ++i) {
      v = ops::normalize(prims::dot(u, w, {1}, {1}), Axes());
      u = ops::normalize(prims::dot(v, w, {1}, {0}), Axes());
    }
    u = prims::stop_gradient(u), v = prims::stop_gradient(v);
    Tensor sigma = prims::reshape(prims::dot(prims::dot(v, w, {1}, {0}), u, {1}, {1}), Shape{});
    // A kernel of zeros has no greatest singular value and stays; dividing by 1 there keeps its gradient finite.
    Tensor zero = ops::all(ops::equal(k, Tensor(0)));
    sigma = ops::where(zero, prims::scalar(sigma, 1), sigma);
    vector_u.assign(ops::where(zero, vector_u.value(), u));
    kernel.assign(prims::div(k, sigma));
  }
  bool uses_training() const override { return true; }
  Dict own_config() const override { return {{"layer", serialize_part(inner)}, {"power_iterations", iterations}}; }
  static Value serialize_part(const Layer& l) { return layers::serialize(l); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e = inner.impl()->explain(in, out);
    e.parameters.insert(e.parameters.begin(), fmt::format("vector_u {}: one number per place on the last axis of the {}, not trained = {}",
                                                          vector_u.shape().str(), kernel.name(), vector_u.shape().numel()));
    return e;
  }
};
}  // namespace

SpectralNormalization::SpectralNormalization(const Layer& layer, const SpectralNormalizationOptions& o)
    : Layer(make_impl<SpectralNormalizationImpl>(layer, o)) {}
Layer SpectralNormalization::from_config(const Dict& c) {
  Layer inner = deserialize(c.at("layer"));
  SpectralNormalization made(inner, options_from<SpectralNormalizationOptions>(c, "SpectralNormalization"));
  static_cast<SpectralNormalizationImpl&>(*made.impl()).from_config = true;
  return made;
}
Layer SpectralNormalization::layer() const { return static_cast<SpectralNormalizationImpl&>(*impl_).inner; }

}  // namespace keras::layers
