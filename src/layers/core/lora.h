// What lives here: LoRA, what Dense, EinsumDense, Embedding and the convolutions share of it: a weight that is kept still and moved by the
// product of two narrow ones, which are trained in its place. Nothing of the layers themselves.
#pragma once
#include <optional>

#include "layers/layer_impl.h"
#include "prims/build.h"

namespace keras::layers {

/// The second base of a layer that has it.
struct LoraHost {
  std::optional<int64_t> lora_rank;
  Value lora_alpha;  // as it was given: a whole number stays one in configurations
  Variable lora_a, lora_b;

  virtual ~LoraHost() = default;
  /// The weight that is kept still, of shape (…, n): the narrow ones are (…, rank) and (rank, n).
  virtual Variable lora_target() const = 0;
  bool lora_enabled() const { return lora_b.defined(); }
  double lora_scale() const { return lora_alpha.as_float() / static_cast<double>(*lora_rank); }

  /// Reads the two entries of a configuration or of options; an alpha that is not given is the rank.
  void read_lora(std::optional<int64_t> rank, const Value& alpha, const LayerImpl& layer) {
    if (rank && *rank < 1)
      throw ValueError(ErrorText{.what = "lora_rank must be positive", .where = layer.where(), .expected = "lora_rank >= 1", .received = std::to_string(*rank)}.str());
    if (!alpha.is_null() && !alpha.is_number())
      throw TypeError(ErrorText{.what = "lora_alpha is no number", .where = layer.where(), .received = alpha.str()}.str());
    lora_rank = rank;
    if (rank) lora_alpha = alpha.is_null() ? Value(*rank) : alpha;
  }
  void write_lora(Dict& config) const {
    if (!lora_rank) return;
    config.set("lora_rank", *lora_rank);
    config.set("lora_alpha", lora_alpha);
  }

  void enable_lora(LayerImpl& layer, int64_t rank, const Value& alpha, const Initializer& a_initializer, const Initializer& b_initializer,
                   const Regularizer& regularizer, const Constraint& constraint, const std::string& name = "lora_kernel") {
    auto refuse = [&](const std::string& what, const std::string& fix) { throw ValueError(ErrorText{.what = what, .where = layer.where(), .fix = fix}.str()); };
    if (constraint) refuse("LoRA can't be used with a constraint on the weight that it moves", "leave the constraint out");
    if (!lora_target().defined()) refuse("LoRA needs a built layer", "call the layer once, or give it an input shape");
    if (lora_enabled()) refuse("LoRA is enabled already", "enable it once per layer");
    read_lora(rank, alpha, layer);
    Variable target = lora_target();
    Shape narrow = target.shape().slice(0, target.shape().rank() - 1);
    core::EagerScope eager;
    lora_a = layer.add_weight({.name = name + "_a", .shape = narrow + Shape{rank}, .initializer = a_initializer, .dtype = "float32", .regularizer = regularizer});
    lora_b = layer.add_weight({.name = name + "_b", .shape = {rank, target.shape().back()}, .initializer = b_initializer, .dtype = "float32", .regularizer = regularizer});
    target.set_trainable(false);
  }

  /// scale · (a @ b), in float32.
  Tensor lora_delta() const {
    Tensor a = lora_a.value();
    return prims::mul(prims::dot(a, lora_b.value(), {a.rank() - 1}, {0}), lora_scale());
  }
  /// The weight as the layer computes with it, of the dtype `dtype`.
  Tensor lora_value(DType dtype) const {
    Tensor w = lora_target().value();
    if (lora_enabled()) w = prims::add(prims::cast(w, DType::Float32), lora_delta());
    return prims::cast(w, dtype);
  }
  /// What files hold in place of the three: the weight with the product added, of its own dtype.
  Tensor lora_merged() const { return lora_value(lora_target().dtype()); }
};

/// The two entries of a saved configuration, into options.
template <class Options> void read_lora_options(Options& o, const Dict& config, const std::string& where) {
  if (const Value* v = config.find("lora_rank"); v && !v->is_null()) {
    if (!v->is_int()) throw TypeError(ErrorText{.what = "lora_rank is no whole number", .where = where, .received = v->str()}.str());
    o.lora_rank = v->as_int();
  }
  if (const Value* v = config.find("lora_alpha")) o.lora_alpha = *v;
}

/// What the public `enable_lora` of a layer does.
template <class Impl> void enable_lora(LayerImpl& impl, int64_t rank, const std::optional<double>& alpha, const Initializer& a, const Initializer& b) {
  static_cast<Impl&>(impl).enable_lora(rank, alpha ? Value(*alpha) : Value(), a, b);
}

}  // namespace keras::layers
