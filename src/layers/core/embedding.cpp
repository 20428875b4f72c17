// What lives here: Embedding, ReversibleEmbedding, Masking.
#include <keras/layers/core/embedding.h>
#include <keras/ops.h>

#include "layers/core/lora.h"
#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

namespace {
struct EmbeddingImpl : LayerImpl, LoraHost {
  int64_t input_dim, output_dim;
  EmbeddingOptions o;
  Variable table;
  EmbeddingImpl(int64_t in, int64_t out, const EmbeddingOptions& options, const char* class_name = "Embedding") : input_dim(in), output_dim(out), o(options) {
    init_common(class_name, o);
    if (in < 1 || out < 1)
      throw ValueError(ErrorText{.what = "Embedding: input_dim and output_dim must be positive", .where = where(), .expected = "numbers >= 1", .received = std::to_string(in) + " and " + std::to_string(out)}.str());
    if (o.input_length && !batch_input_shape_) batch_input_shape_ = Shape{None, *o.input_length};
    read_lora(o.lora_rank, o.lora_alpha, *this);
    o.embeddings_initializer.object();
    activity_regularizer_ = o.activity_regularizer;
    supports_masking_ = o.mask_zero;
    autocast_ = false;
  }
  void build(const std::vector<Shape>&) override {
    table = add_weight({.name = "embeddings", .shape = {input_dim, output_dim}, .initializer = o.embeddings_initializer, .regularizer = o.embeddings_regularizer, .constraint = o.embeddings_constraint});
    // As Keras: lora_alpha of the constructor is not used, nor of a file.
    if (lora_rank) enable_lora(*lora_rank, Value(), "he_uniform", "zeros");
  }
  Variable lora_target() const override { return table; }
  void enable_lora(int64_t rank, const Value& alpha, const Initializer& a, const Initializer& b) {
    LoraHost::enable_lora(*this, rank, alpha, a, b, o.embeddings_regularizer, o.embeddings_constraint, "lora_embeddings");
  }
  Tensors call(const Call& c) override {
    Tensor ids = is_integer(c.input().dtype()) ? c.input() : prims::cast(c.input(), DType::Int32);
    // A negative index is as far outside as one beyond the table, and named by the same error.
    auto rows = [&](const Variable& of) { return prims::gather(of.value(), ids, 0, prims::IndexMode::ErrorNegative, where()); };
    Tensor y = rows(table);
    if (lora_enabled()) {  // on the rows that are asked for alone
      Tensor a = rows(lora_a);
      y = prims::add(prims::cast(y, DType::Float32), prims::mul(prims::dot(a, lora_b.value(), {a.rank() - 1}, {0}), lora_scale()));
    }
    return {prims::cast(y, compute_dtype_)};
  }
  Tensors compute_mask(const Call& c, size_t) override {
    if (!o.mask_zero) return {};
    return {ops::not_equal(c.input(), 0)};
  }
  Dict own_config() const override {
    Dict d{{"input_dim", input_dim}, {"output_dim", output_dim}};
    for (const auto& [k, v] : serial::to_config(o)) d.set(k, v);
    write_lora(d);
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

struct ReversibleEmbeddingImpl : EmbeddingImpl {
  ReversibleEmbeddingOptions r;
  Variable back;
  static EmbeddingOptions there(const ReversibleEmbeddingOptions& r) {
    return {.embeddings_initializer = r.embeddings_initializer,
            .embeddings_regularizer = r.embeddings_regularizer,
            .activity_regularizer = r.activity_regularizer,
            .embeddings_constraint = r.embeddings_constraint,
            .mask_zero = r.mask_zero,
            .lora_rank = r.lora_rank,
            .lora_alpha = r.lora_alpha,
            .quantization_config = r.quantization_config,
            .name = r.name,
            .trainable = r.trainable,
            .dtype = r.dtype,
            .input_shape = r.input_shape,
            .batch_input_shape = r.batch_input_shape,
            .input_dim = r.input_dim,
            .weights = r.weights};
  }
  ReversibleEmbeddingImpl(int64_t in, int64_t out, const ReversibleEmbeddingOptions& options) : EmbeddingImpl(in, out, there(options), "ReversibleEmbedding"), r(options) {}
  static bool reverse(const Call& c) {
    Value v = c.value("reverse");
    return v.is_bool() && v.as_bool();
  }
  void build(const std::vector<Shape>& inputs) override {
    EmbeddingImpl::build(inputs);
    if (!r.tie_weights) back = add_weight({.name = "reverse_embeddings", .shape = {output_dim, input_dim}, .initializer = o.embeddings_initializer});
  }
  Tensors call(const Call& c) override {
    if (!reverse(c)) return EmbeddingImpl::call(c);
    Tensor x = c.input(), kernel = r.tie_weights ? prims::transpose(lora_value(compute_dtype_), {1, 0}) : prims::cast(back.value(), compute_dtype_);
    if (r.reverse_dtype) {
      DType d = dtype_from_name(*r.reverse_dtype);
      x = prims::cast(x, d), kernel = prims::cast(kernel, d);
    }
    Tensor logits = ops::matmul(x, kernel);
    if (r.logit_soft_cap) {
      Tensor cap = prims::scalar(logits, *r.logit_soft_cap);
      logits = prims::mul(prims::ew(ir::Ew::tanh, prims::div(logits, cap)), cap);
    }
    return {logits};
  }
  // Keras says so whatever the dtype of the input and reverse_dtype are.
  std::vector<ir::Type> output_types(const core::CallArgs& args) override {
    std::vector<ir::Type> types = LayerImpl::output_types(args);
    types.at(0).dtype = compute_dtype_;
    return types;
  }
  Tensors compute_mask(const Call& c, size_t n) override { return reverse(c) ? Tensors{} : EmbeddingImpl::compute_mask(c, n); }
  Dict own_config() const override {
    Dict d{{"input_dim", input_dim}, {"output_dim", output_dim}};
    for (const auto& [k, v] : serial::to_config(r)) d.set(k, v);
    write_lora(d);
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    if (out[0].rank() > in[0].rank()) {
      Explanation e = EmbeddingImpl::explain(in, out);
      if (!r.tie_weights) e.parameters.push_back("reverse_embeddings " + Shape{output_dim, input_dim}.str() + ": the table of the way back = " + std::to_string(input_dim * output_dim));
      return e;
    }
    return LayerImpl::explain(in, out);
  }
};

struct MaskingImpl : LayerImpl {
  MaskingOptions o;
  explicit MaskingImpl(const MaskingOptions& options) : o(options) {
    init_common("Masking", o);
    symbolic_in_compute_dtype_ = true;
    built_ = true;
    supports_masking_ = true;
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    Tensor differs = prims::ew(ir::Ew::not_equal, x, scalar_like(x, x.dtype(), o.mask_value));
    Tensor any = prims::reduce(prims::reduce_or_prim, differs, {x.rank() - 1}, true);
    return {ops::where(any, x, prims::scalar(x, 0))};
  }
  Tensors compute_mask(const Call& c, size_t) override { return {ops::any(ops::not_equal(c.input(), o.mask_value), -1)}; }
  Dict own_config() const override { return serial::to_config(o); }
};
}  // namespace

Embedding::Embedding(int64_t in, int64_t out, const EmbeddingOptions& o) : Layer(make_impl<EmbeddingImpl>(in, out, o)) {}
Layer Embedding::from_config(const Dict& c) {
  auto o = options_from<EmbeddingOptions>(c, "Embedding");
  if (const Value* v = c.find("input_length"); v && v->is_int()) o.input_length = v->as_int();
  read_lora_options(o, c, "Embedding");
  return Embedding(c.at("input_dim").as_int(), c.at("output_dim").as_int(), o);
}
Variable Embedding::embeddings() const { return static_cast<EmbeddingImpl&>(*impl_).table; }
ReversibleEmbedding::ReversibleEmbedding(int64_t in, int64_t out, const ReversibleEmbeddingOptions& o) : Layer(make_impl<ReversibleEmbeddingImpl>(in, out, o)) {}
Layer ReversibleEmbedding::from_config(const Dict& c) {
  auto o = options_from<ReversibleEmbeddingOptions>(c, "ReversibleEmbedding");
  read_lora_options(o, c, "ReversibleEmbedding");
  return ReversibleEmbedding(c.at("input_dim").as_int(), c.at("output_dim").as_int(), o);
}
Variable ReversibleEmbedding::embeddings() const { return static_cast<EmbeddingImpl&>(*impl_).table; }
void Embedding::enable_lora(int64_t rank, const std::optional<double>& lora_alpha, const Initializer& a, const Initializer& b) {
  layers::enable_lora<EmbeddingImpl>(*impl_, rank, lora_alpha, a, b);
}
void ReversibleEmbedding::enable_lora(int64_t rank, const std::optional<double>& lora_alpha, const Initializer& a, const Initializer& b) {
  layers::enable_lora<EmbeddingImpl>(*impl_, rank, lora_alpha, a, b);
}
Masking::Masking(const MaskingOptions& o) : Layer(make_impl<MaskingImpl>(o)) {}
Layer Masking::from_config(const Dict& c) { return Masking(options_from<MaskingOptions>(c, "Masking")); }

}  // namespace keras::layers
