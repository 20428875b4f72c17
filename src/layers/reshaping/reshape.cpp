// What lives here: Flatten, Reshape, Permute, RepeatVector.
#include <keras/layers/reshaping/reshape.h>

#include <algorithm>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {

struct FlattenImpl : LayerImpl {
  std::string data_format;
  explicit FlattenImpl(const FlattenOptions& o) : data_format(o.data_format.value_or(config::image_data_format())) {
    init_common("Flatten", o);
    if (data_format != "channels_last" && data_format != "channels_first")
      throw ValueError(ErrorText{.what = "Flatten: data_format is unknown", .where = where(), .expected = "\"channels_last\" or \"channels_first\"", .received = data_format}.str());
    input_spec_ = {{.min_ndim = 1}};
  }
  Tensors call(const Call& c) override {
    Tensor x = c.input();
    if (data_format == "channels_first" && x.rank() > 2) {
      prims::Ints perm{0};
      for (int i = 2; i < x.rank(); ++i) perm.push_back(i);
      perm.push_back(1);
      x = prims::transpose(x, perm);
    }
    return {prims::reshape(x, Shape{x.shape()[0], x.shape().slice(1).numel()})};
  }
  Dict own_config() const override { return {{"data_format", data_format}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    std::string product;
    for (int i = 1; i < in[0].rank(); ++i) product += (i > 1 ? " x " : "") + (in[0][i] < 0 ? std::string("None") : std::to_string(in[0][i]));
    return {{"batch, as it came in", in[0].rank() > 1 ? "all other axes laid flat: " + product : "one number per sample"}, {}, {"Flatten has no parameters"}};
  }
};

struct ReshapeImpl : LayerImpl {
  Shape target;
  ReshapeImpl(const Shape& t, const ReshapeOptions& o) : target(t) {
    init_common("Reshape", o);
    built_ = true;
    if (std::count_if(t.begin(), t.end(), [](int64_t d) { return d == -1; }) > 1)
      throw ValueError(ErrorText{.what = "Reshape: only one size can be -1", .where = where(), .received = t.str()}.str());
    for (int64_t d : t)
      if (d < -1) throw ValueError(ErrorText{.what = "Reshape: a size can't be negative", .where = where(), .expected = "sizes >= 0, and at most one -1", .received = t.str()}.str());
  }
  Tensors call(const Call& c) override {
    const Shape& in = c.input().shape();
    Shape to = target, rest = in.slice(1);
    int64_t known = 1, n = rest.numel();
    for (int64_t d : to)
      if (d >= 0) known *= d;
    for (int64_t& d : to)
      if (d < 0 && n >= 0) d = known == 0 ? 0 : n / known;
    if (n >= 0 && to.numel() != n)
      throw ValueError(ErrorText{.what = "Reshape: the number of elements differs", .where = where(), .expected = "a target with " + std::to_string(n) + " elements, as " + rest.str() + " has", .received = target.str()}.str());
    return {prims::reshape(c.input(), Shape{in[0]} + to)};
  }
  Dict own_config() const override {
    List l;
    for (int64_t d : target) l.push_back(d);
    return {{"target_shape", l}};
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e{{"batch, as it came in"}, {}, {"the same " + std::to_string(in[0].slice(1).numel()) + " numbers per sample in another shape; Reshape has no parameters"}};
    for (int i = 1; i < out[0].rank(); ++i) e.axes.push_back(target[i - 1] < 0 ? "the rest: -1 in the target shape takes what is left" : "from the target shape");
    return e;
  }
};

struct PermuteImpl : LayerImpl {
  std::vector<int64_t> dims;
  PermuteImpl(const std::vector<int64_t>& d, const PermuteOptions& o) : dims(d) {
    init_common("Permute", o);
    std::vector<int64_t> sorted = dims;
    std::sort(sorted.begin(), sorted.end());
    if (sorted != prims::iota_axes(static_cast<int64_t>(dims.size()), 1))
      throw ValueError(ErrorText{.what = "Permute: dims are no permutation of the axes after the batch", .where = where(), .expected = "the numbers from 1 to the rank, each once", .received = Shape(dims).str()}.str());
    input_spec_ = {{.ndim = static_cast<int>(dims.size()) + 1}};
  }
  Tensors call(const Call& c) override {
    prims::Ints perm{0};
    perm.insert(perm.end(), dims.begin(), dims.end());
    return {prims::transpose(c.input(), perm)};
  }
  Dict own_config() const override { return {{"dims", Value(dims)}}; }
  Explanation explain(const std::vector<Shape>&, const std::vector<Shape>&) const override {
    Explanation e{{"batch, as it came in"}, {}, {"Permute has no parameters"}};
    for (int64_t d : dims) e.axes.push_back("axis " + std::to_string(d) + " of the input, moved here");
    return e;
  }
};

struct RepeatVectorImpl : LayerImpl {
  int64_t n;
  RepeatVectorImpl(int64_t count, const RepeatVectorOptions& o) : n(count) {
    init_common("RepeatVector", o);
    symbolic_in_compute_dtype_ = true;
    if (n < 1) throw ValueError(ErrorText{.what = "RepeatVector: n must be positive", .where = where(), .received = std::to_string(n)}.str());
    input_spec_ = {{.ndim = 2}};
  }
  Tensors call(const Call& c) override {
    const Shape& s = c.input().shape();
    return {prims::broadcast_to(prims::reshape(c.input(), Shape{s[0], 1, s[1]}), Shape{s[0], n, s[1]})};
  }
  Dict own_config() const override { return {{"n", n}}; }
  Explanation explain(const std::vector<Shape>&, const std::vector<Shape>&) const override {
    return {{"batch, as it came in", "n=" + std::to_string(n) + " copies of the vector", "the features, as they came in"}, {}, {"RepeatVector has no parameters"}};
  }
};

}  // namespace

Flatten::Flatten(const FlattenOptions& o) : Layer(make_impl<FlattenImpl>(o)) {}
Layer Flatten::from_config(const Dict& c) { return Flatten(options_from<FlattenOptions>(c, "Flatten")); }

Reshape::Reshape(const Shape& t, const ReshapeOptions& o) : Layer(make_impl<ReshapeImpl>(t, o)) {}
Layer Reshape::from_config(const Dict& c) { return Reshape(c.at("target_shape").as_shape(), common_options_from<ReshapeOptions>(c)); }
Permute::Permute(const std::vector<int64_t>& d, const PermuteOptions& o) : Layer(make_impl<PermuteImpl>(d, o)) {}
Layer Permute::from_config(const Dict& c) { return Permute(c.at("dims").as_ints(), common_options_from<PermuteOptions>(c)); }
RepeatVector::RepeatVector(int64_t n, const RepeatVectorOptions& o) : Layer(make_impl<RepeatVectorImpl>(n, o)) {}
Layer RepeatVector::from_config(const Dict& c) { return RepeatVector(c.at("n").as_int(), common_options_from<RepeatVectorOptions>(c)); }

}  // namespace keras::layers
