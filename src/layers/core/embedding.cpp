// What lives here: Embedding and Masking.
#include <keras/layers/core/embedding.h>
#include <keras/ops.h>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct EmbeddingImpl : LayerImpl {
  int64_t input_dim, output_dim;
  EmbeddingOptions o;
  Variable table;
  EmbeddingImpl(int64_t in, int64_t out, const EmbeddingOptions& options) : input_dim(in), output_dim(out), o(options) {
    init_common("Embedding", o);
    if (in < 1 || out < 1)
      throw ValueError(ErrorText{.what = "Embedding: input_dim and output_dim must be positive", .where = "layer \"" + name_ + "\" (Embedding)", .received = std::to_string(in) + " and " + std::to_string(out)}.str());
    if (o.input_length && !batch_input_shape_) batch_input_shape_ = Shape{None, *o.input_length};
    o.embeddings_initializer.object();
    activity_regularizer_ = o.activity_regularizer;
    supports_masking_ = o.mask_zero;
    autocast_ = false;
  }
  void build(const std::vector<Shape>&) override {
    table = add_weight({.name = "embeddings", .shape = {input_dim, output_dim}, .initializer = o.embeddings_initializer, .regularizer = o.embeddings_regularizer, .constraint = o.embeddings_constraint});
  }
  Tensors call(const Call& c) override {
    Tensor ids = is_integer(c.input().dtype()) ? c.input() : prims::cast(c.input(), DType::Int32);
    // Unsigned: a negative index is as far outside as one beyond the table, and named by the same error.
    return {prims::cast(prims::gather(table.value(), ids, 0, prims::IndexMode::ErrorNegative), compute_dtype_)};
  }
  Tensors compute_mask(const Call& c, size_t) override {
    if (!o.mask_zero) return {};
    return {ops::not_equal(c.input(), 0)};
  }
  Dict own_config() const override {
    Dict d{{"input_dim", input_dim}, {"output_dim", output_dim}};
    for (const auto& [k, v] : serial::to_config(o)) d.set(k, v);
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>&) const override {
    Explanation e;
    for (int i = 0; i < in[0].rank(); ++i) e.axes.push_back(i == 0 ? "batch, as it came in" : "kept from the input: one index per place");
    std::string n = std::to_string(input_dim), d = std::to_string(output_dim);
    e.axes.push_back("output_dim=" + d + ": each index becomes its row of the table");
    e.parameters.push_back("embeddings (" + n + ", " + d + "): one row of output_dim numbers for each of input_dim indices = " + std::to_string(input_dim * output_dim));
    return e;
  }
};

struct MaskingImpl : LayerImpl {
  MaskingOptions o;
  explicit MaskingImpl(const MaskingOptions& options) : o(options) {
    init_common("Masking", o);
    supports_masking_ = true;
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    Tensor differs = prims::ew(ir::Ew::not_equal, x, scalar_like(x, x.dtype(), o.mask_value));
    Tensor any = prims::reduce(prims::reduce_or_prim, differs, {x.rank() - 1}, true);
    return {prims::mul(x, prims::cast(any, x.dtype()))};
  }
  Tensors compute_mask(const Call& c, size_t) override { return {ops::any(ops::not_equal(c.input(), o.mask_value), -1)}; }
  Dict own_config() const override { return serial::to_config(o); }
};
}  // namespace

Embedding::Embedding(int64_t in, int64_t out, const EmbeddingOptions& o) : Layer(make_impl<EmbeddingImpl>(in, out, o)) {}
Layer Embedding::from_config(const Dict& c) {
  auto o = options_from<EmbeddingOptions>(c, "Embedding");
  if (const Value* v = c.find("input_length"); v && v->is_int()) o.input_length = v->as_int();
  return Embedding(c.at("input_dim").as_int(), c.at("output_dim").as_int(), o);
}
Variable Embedding::embeddings() const { return static_cast<EmbeddingImpl&>(*impl_).table; }
Masking::Masking(const MaskingOptions& o) : Layer(make_impl<MaskingImpl>(o)) {}
Layer Masking::from_config(const Dict& c) { return Masking(options_from<MaskingOptions>(c, "Masking")); }

}  // namespace keras::layers
