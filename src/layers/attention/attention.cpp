// What lives here: Attention and AdditiveAttention. They differ in how query and key give scores.
#include <keras/layers/attention/attention.h>

#include <fmt/format.h>

#include "layers/attention/attention_call.h"

namespace keras::layers {

namespace {

struct AttentionImpl : LayerImpl {
  double dropout;
  std::optional<int64_t> seed;
  bool use_scale;
  random::SeedGenerator seeds{nullptr};
  Variable scale;

  template <class Options> explicit AttentionImpl(const char* class_name, const Options& o)
      : dropout(o.dropout), seed(o.seed), use_scale(o.use_scale) {
    init_common(class_name, o);
    check_dropout(*this, dropout);
    if (dropout > 0) {
      seeds = random::SeedGenerator(seed);
      add_seed(seeds);
    }
    supports_masking_ = true;
  }

  /// (…, Tq, dim) and (…, Tv, dim) → (…, Tq, Tv).
  virtual Tensor scores(const Tensor& query, const Tensor& key) = 0;

  static Tensor sums(const Tensor& query, const Tensor& key) {
    return prims::ew(ir::Ew::tanh, ops::add(ops::expand_dims(query, -2), ops::expand_dims(key, -3)));
  }

  void check_count(size_t n, bool list) const {
    if (!list || n < 2 || n > 3)
      throw ValueError(ErrorText{.what = class_name_ + " is called on a list of tensors",
                                 .where = where(),
                                 .expected = "{query, value} or {query, value, key}",
                                 .received = std::to_string(n) + (n == 1 ? " tensor" : " tensors"),
                                 .fix = "for self-attention: layer({x, x})"}
                           .str());
  }
  Tensors call(const Call& c) override {
    check_count(c.inputs.size(), !c.args.args.empty() && c.args.args[0].is_list());
    const Tensor &q = c.inputs[0], &v = c.inputs[1], &k = c.inputs.size() > 2 ? c.inputs[2] : v;
    auto [query_mask, value_mask] = masks_of(c);
    Tensor s = scores(q, k), allowed = value_mask.defined() ? ops::as_bool(value_mask) : Tensor();
    if (call_flag(c, 4, "use_causal_mask")) {
      if (allowed.defined()) allowed = ops::expand_dims(allowed, -2);
      allowed = both(allowed, causal_mask(s.shape()[-2], s.shape()[-1]));
    }
    if (allowed.defined()) {
      if (allowed.rank() == 2) allowed = ops::expand_dims(allowed, -2);
      s = ops::where(allowed, s, prims::add(s, s.dtype() == DType::Float16 ? -65504.0 : -1e9));
    }
    Tensor weights = ops::softmax(s, -1), dropped = weights;
    if (c.training && dropout > 0) dropped = random::dropout(weights, dropout, {.seed = seeds});
    Tensor y = ops::matmul(dropped, v);
    if (query_mask.defined()) y = ops::where(ops::expand_dims(ops::as_bool(query_mask), -1), y, prims::scalar(y, 0));
    if (call_flag(c, 3, "return_attention_scores")) return {y, weights};
    return {y};
  }
  std::pair<Tensor, Tensor> masks_of(const Call& c) const {
    if (const core::Arg* m = c.args.find("mask"); m && m->v.index() != 0)
      if (!m->is_list() || m->list().size() < 2 || m->list().size() > 3)
        throw ValueError(ErrorText{.what = class_name_ + ": the masks of a call are a list",
                                   .where = where(),
                                   .expected = "{query mask, value mask}, either may be none",
                                   .received = m->is_list() ? std::to_string(m->list().size()) + " masks" : "one tensor"}
                             .str());
    if (!c.args.find("mask") && c.args.args.size() > 1 && c.args.args[1].is_list()) {
      const std::vector<core::Arg>& l = c.args.args[1].list();
      auto at = [&](size_t i) { return i < l.size() && l[i].is_tensor() ? l[i].tensor() : Tensor(); };
      return {at(0), at(1)};
    }
    return {c.mask(), c.masks.size() > 1 ? c.masks[1] : Tensor()};
  }
  Tensors compute_mask(const Call& c, size_t) override { return {masks_of(c).first}; }
  Dict own_config() const override { return {{"use_scale", use_scale}, {"dropout", dropout}, {"seed", seed}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e;
    for (int i = 0; i < out[0].rank(); ++i)
      e.axes.push_back(i == 0 ? "batch, as it came in"
                       : i == out[0].rank() - 1
                           ? fmt::format("the features of the value: each output is a weighted mean of {} vectors of {}",
                                         in.size() > 1 && in[1][-2] >= 0 ? std::to_string(in[1][-2]) : "the", out[0].back())
                           : "steps of the query: one output for each");
    for (const Variable& w : own_trainable_)
      e.parameters.push_back(fmt::format("{} {} = {}", w.name(), w.shape().str(), w.shape().numel()));
    e.notes.push_back("the scores have one number for each step of the query and each step of the key; their softmax gives the weights");
    return e;
  }
};

struct DotAttention : AttentionImpl {
  std::string score_mode;
  Variable concat_weight;
  explicit DotAttention(const AttentionOptions& o) : AttentionImpl("Attention", o), score_mode(o.score_mode) {
    if (score_mode != "dot" && score_mode != "concat")
      throw ValueError(ErrorText{.what = "Attention: score_mode is unknown" + did_you_mean(score_mode, {"dot", "concat"}),
                                 .where = where(),
                                 .expected = "\"dot\" or \"concat\"",
                                 .received = "\"" + score_mode + "\""}
                           .str());
  }
  void build(const std::vector<Shape>& inputs) override {
    check_count(inputs.size(), true);
    if (use_scale) scale = add_weight({.name = "scale", .shape = {}, .initializer = "ones"});
    if (score_mode == "concat") concat_weight = add_weight({.name = "concat_score_weight", .shape = {}, .initializer = "ones"});
  }
  Tensor scores(const Tensor& query, const Tensor& key) override {
    auto weight = [&](const Variable& v) { return prims::cast(v.value(), compute_dtype_); };
    if (score_mode == "dot") {
      Tensor s = ops::matmul(query, ops::swapaxes(key, -2, -1));
      return use_scale ? prims::mul(s, weight(scale)) : s;
    }
    Tensor sum = ops::add(ops::expand_dims(query, -2), ops::expand_dims(key, -3));
    if (use_scale) sum = prims::mul(sum, weight(scale));
    Tensor t = prims::ew(ir::Ew::tanh, sum);
    return prims::mul(prims::reduce_sum(t, {t.rank() - 1}), weight(concat_weight));
  }
  Dict own_config() const override { return {{"use_scale", use_scale}, {"score_mode", score_mode}, {"dropout", dropout}, {"seed", seed}}; }
};

struct SumAttention : AttentionImpl {
  explicit SumAttention(const AdditiveAttentionOptions& o) : AttentionImpl("AdditiveAttention", o) {}
  void build(const std::vector<Shape>& inputs) override {
    check_count(inputs.size(), true);
    if (use_scale) scale = add_weight({.name = "scale", .shape = {inputs[0].back()}, .initializer = "glorot_uniform"});
  }
  Tensor scores(const Tensor& query, const Tensor& key) override {
    Tensor t = sums(query, key);
    if (use_scale) t = prims::mul(t, prims::cast(scale.value(), compute_dtype_));
    return prims::reduce_sum(t, {t.rank() - 1});
  }
};
}  // namespace

Attention::Attention(const AttentionOptions& o) : Layer(make_impl<DotAttention>(o)) {}
Layer Attention::from_config(const Dict& c) { return Attention(options_from<AttentionOptions>(c, "Attention")); }
AdditiveAttention::AdditiveAttention(const AdditiveAttentionOptions& o) : Layer(make_impl<SumAttention>(o)) {}
Layer AdditiveAttention::from_config(const Dict& c) {
  return AdditiveAttention(options_from<AdditiveAttentionOptions>(c, "AdditiveAttention"));
}

}  // namespace keras::layers
