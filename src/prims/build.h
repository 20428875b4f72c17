// What lives here: one function per primitive, written once over a handle type: V (a value of a graph, used by gradient rules and
// passes) or the public Tensor. A handle type offers shape(), dtype(), and by ADL emit_op(prim, handles, attrs) → handles and
// scalar_like(handle, dtype, number).
#pragma once
#include <algorithm>
#include <numeric>
#include <optional>

#include "ir/graph.h"

namespace keras::prims {

using ir::Attr;
using ir::Attrs;
using ir::Ew;
using ir::Ints;
using ir::Primitive;

/// A value of a graph under construction.
struct V {
  ir::Graph* graph = nullptr;
  ir::ValueId id = -1;
  /// By value: a rule emits nodes between asking and using, which moves the graph's types.
  Shape shape() const { return graph->type(id).shape; }
  DType dtype() const { return graph->type(id).dtype; }
  explicit operator bool() const { return id >= 0; }
};
inline std::vector<V> emit_op(const Primitive& prim, const std::vector<V>& in, Attrs attrs) {
  std::vector<ir::ValueId> ids;
  ir::Graph* g = in.at(0).graph;
  for (const V& v : in) ids.push_back(v.id);
  g->emit(prim, std::move(ids), std::move(attrs));
  std::vector<V> out;
  for (ir::ValueId id : g->nodes().back().outputs) out.push_back({g, id});
  return out;
}
inline V scalar_like(const V& v, DType dtype, double value) { return {v.graph, v.graph->constant(dtype, value)}; }

#define X(name, arity, result) extern const Primitive ew_##name##_prim;
KERAS_ELEMENTWISE(X)
#undef X
extern const Primitive* const kEwPrims[];
extern const Primitive constant_prim, iota_prim, broadcast_to_prim, reshape_prim, transpose_prim, slice_prim, pad_prim, concat_prim,
    reverse_prim, again_prim, stop_gradient_prim, dynamic_slice_prim, dynamic_update_slice_prim, custom_gradient_prim;
extern const Primitive reduce_sum_prim, reduce_prod_prim, reduce_max_prim, reduce_min_prim, reduce_and_prim, reduce_or_prim, argmax_prim,
    argmin_prim, cumsum_prim, cumprod_prim, cummax_prim, cummin_prim;
extern const Primitive sort_prim, argsort_prim, top_k_prim, searchsorted_prim;
extern const Primitive dot_prim, conv_prim, conv_backward_input_prim, conv_backward_filter_prim;
extern const Primitive max_pool_prim, avg_pool_prim, max_pool_backward_prim, avg_pool_backward_prim;
extern const Primitive gather_prim, scatter_add_prim, take_along_axis_prim, scatter_add_along_axis_prim, gather_nd_prim, scatter_nd_prim;
extern const Primitive random_prim, split_key_prim, random_gamma_prim, random_beta_prim, random_binomial_prim, scan_prim, together_prim, cluster_prim, scatter_cluster_prim, attention_prim,
    attention_backward_prim;
extern const Primitive cholesky_prim, triangular_solve_prim, lu_prim, qr_prim, eigh_prim, eig_prim, svd_prim;

template <class H> H emit1(const Primitive& prim, const std::vector<H>& in, Attrs attrs = {}) {
  return emit_op(prim, in, std::move(attrs))[0];
}

template <class H> H ew(Ew op, const H& a) { return emit1<H>(*kEwPrims[static_cast<int>(op)], {a}); }
template <class H> H ew(Ew op, const H& a, const H& b) { return emit1<H>(*kEwPrims[static_cast<int>(op)], {a, b}); }
template <class H> H select(const H& cond, const H& a, const H& b) { return emit1<H>(ew_select_prim, {cond, a, b}); }
template <class H> H cast(const H& a, DType to) { return a.dtype() == to ? a : emit1<H>(ew_cast_prim, {a}, {{"to", to}}); }
template <class H> H bitcast(const H& a, DType to) { return a.dtype() == to ? a : emit1<H>(ew_bitcast_prim, {a}, {{"to", to}}); }
template <class H> H add(const H& a, const H& b) { return ew(Ew::add, a, b); }
template <class H> H sub(const H& a, const H& b) { return ew(Ew::sub, a, b); }
template <class H> H mul(const H& a, const H& b) { return ew(Ew::mul, a, b); }
template <class H> H div(const H& a, const H& b) { return ew(Ew::div, a, b); }
template <class H> H neg(const H& a) { return ew(Ew::neg, a); }
template <class H> H scalar(const H& like, double v) { return scalar_like(like, like.dtype(), v); }
template <class H> H mul(const H& a, double b) { return mul(a, scalar(a, b)); }
template <class H> H add(const H& a, double b) { return add(a, scalar(a, b)); }

/// `shape` may hold one None where the input has unknown sizes.
template <class H> H reshape(const H& a, const Shape& shape) {
  return a.shape() == shape ? a : emit1<H>(reshape_prim, {a}, {{"shape", shape.dims()}});
}
template <class H> H broadcast_to(const H& a, const Shape& shape) {
  return a.shape() == shape ? a : emit1<H>(broadcast_to_prim, {a}, {{"shape", shape.dims()}});
}
template <class H> H transpose(const H& a, const Ints& perm) {
  return std::is_sorted(perm.begin(), perm.end()) ? a : emit1<H>(transpose_prim, {a}, {{"perm", perm}});
}
/// limits beyond the size are clamped, so that "to the end" works on a None axis.
template <class H> H slice(const H& a, Ints starts, Ints limits, Ints strides) {
  return emit1<H>(slice_prim, {a}, {{"starts", std::move(starts)}, {"limits", std::move(limits)}, {"strides", std::move(strides)}});
}
inline constexpr int64_t kToEnd = int64_t{1} << 60;
/// [from, to) of one axis; the other axes whole.
template <class H> H slice_axis(const H& a, int axis, int64_t from, int64_t to, int64_t stride = 1) {
  size_t r = static_cast<size_t>(a.shape().rank());
  Ints s(r, 0), l(r, kToEnd), st(r, 1);
  s[static_cast<size_t>(axis)] = from, l[static_cast<size_t>(axis)] = to, st[static_cast<size_t>(axis)] = stride;
  return slice(a, s, l, st);
}
template <class H> H pad(const H& a, const H& value, Ints lo, Ints hi, Ints interior) {
  return emit1<H>(pad_prim, {a, value}, {{"lo", std::move(lo)}, {"hi", std::move(hi)}, {"interior", std::move(interior)}});
}
template <class H> H concat(const std::vector<H>& parts, int axis) {
  return parts.size() == 1 ? parts[0] : emit1<H>(concat_prim, parts, {{"axis", int64_t{axis}}});
}
template <class H> H reverse(const H& a, Ints axes) { return emit1<H>(reverse_prim, {a}, {{"axes", std::move(axes)}}); }
template <class H> H stop_gradient(const H& a) { return emit1<H>(stop_gradient_prim, {a}); }

template <class H> H reduce(const Primitive& prim, const H& a, Ints axes, bool keepdims = false) {
  std::sort(axes.begin(), axes.end());
  if (axes.empty()) return a;
  return emit1<H>(prim, {a}, {{"axes", std::move(axes)}, {"keepdims", int64_t{keepdims}}});
}
template <class H> H reduce_sum(const H& a, Ints axes, bool keepdims = false) { return reduce(reduce_sum_prim, a, std::move(axes), keepdims); }
template <class H> H arg_reduce(bool max, const H& a, int axis, DType to = DType::Int32) {
  return emit1<H>(max ? argmax_prim : argmin_prim, {a}, {{"axis", int64_t{axis}}, {"dtype", to}});
}
template <class H> H cumulative(const Primitive& prim, const H& a, int axis, bool reverse = false, bool exclusive = false) {
  return emit1<H>(prim, {a}, {{"axis", int64_t{axis}}, {"reverse", int64_t{reverse}}, {"exclusive", int64_t{exclusive}}});
}

/// Output axes: batch, free axes of lhs, free axes of rhs.
template <class H> H dot(const H& lhs, const H& rhs, Ints lhs_contract, Ints rhs_contract, Ints lhs_batch = {}, Ints rhs_batch = {}) {
  return emit1<H>(dot_prim, {lhs, rhs},
                  {{"lc", std::move(lhs_contract)}, {"rc", std::move(rhs_contract)}, {"lb", std::move(lhs_batch)}, {"rb", std::move(rhs_batch)}});
}

/// Geometry of a convolution, channels last: x (N, spatial…, C), w (spatial…, C/groups, O).
struct ConvSpec {
  Ints strides, dilations, lo, hi;
  int64_t groups = 1;
  Attrs attrs() const { return {{"strides", strides}, {"dilations", dilations}, {"lo", lo}, {"hi", hi}, {"groups", groups}}; }
};
template <class H> H conv(const H& x, const H& w, const ConvSpec& spec) { return emit1<H>(conv_prim, {x, w}, spec.attrs()); }
template <class H> H conv_backward_input(const H& dy, const H& w, const ConvSpec& spec, const Shape& x) {
  Attrs a = spec.attrs();
  a.set("x", x.dims());
  return emit1<H>(conv_backward_input_prim, {dy, w}, a);
}
template <class H> H conv_backward_filter(const H& x, const H& dy, const ConvSpec& spec, const Shape& w) {
  Attrs a = spec.attrs();
  a.set("w", w.dims());
  return emit1<H>(conv_backward_filter_prim, {x, dy}, a);
}

struct PoolSpec {
  Ints window, strides, lo, hi;
  Attrs attrs() const { return {{"window", window}, {"strides", strides}, {"lo", lo}, {"hi", hi}}; }
};
template <class H> H pool(bool max, const H& x, const PoolSpec& spec) { return emit1<H>(max ? max_pool_prim : avg_pool_prim, {x}, spec.attrs()); }

/// What an index outside the axis means; ErrorNegative refuses negative ones too, which Error counts from the end.
enum class IndexMode : int64_t { Error, Clip, FillNaN, ErrorNegative };
/// `where` names who reads, for the error about an index that is outside.
template <class H> H gather(const H& x, const H& indices, int axis, IndexMode mode = IndexMode::Error, const std::string& where = "") {
  ir::Attrs attrs{{"axis", int64_t{axis}}, {"mode", static_cast<int64_t>(mode)}};
  if (!where.empty()) attrs.set("where", where);
  return emit1<H>(gather_prim, {x, indices}, std::move(attrs));
}
template <class H> H scatter_add(const H& indices, const H& updates, int axis, int64_t size) {
  return emit1<H>(scatter_add_prim, {indices, updates}, {{"axis", int64_t{axis}}, {"size", size}});
}
template <class H> H take_along_axis(const H& x, const H& indices, int axis) {
  return emit1<H>(take_along_axis_prim, {x, indices}, {{"axis", int64_t{axis}}});
}

/// As cpu::RandomKind; a Bernoulli has probability `a`.
enum class RandomKind : int64_t { Bits, Uniform, Normal, TruncatedNormal, RandInt, Bernoulli };
template <class H> H random(const H& key, RandomKind kind, DType dtype, const Shape& shape, double a, double b) {
  return emit1<H>(random_prim, {key}, {{"kind", static_cast<int64_t>(kind)}, {"dtype", dtype}, {"shape", shape.dims()}, {"a", a}, {"b", b}});
}

/// Runs `body` once per leading index of the xs. Inputs: consts, carries, xs. Body: consts, carries, slices → carries, ys.
template <class H>
std::vector<H> scan(std::shared_ptr<const ir::Graph> body, const std::vector<H>& inputs, int64_t consts, int64_t carries, int64_t length, bool reverse) {
  return emit_op(scan_prim, inputs,
                 Attrs{{"body", std::move(body)}, {"consts", consts}, {"carries", carries}, {"length", length}, {"reverse", int64_t{reverse}}});
}

/// Sums `v` over the axes along which `to` was broadcast to give v's shape.
template <class H> H unbroadcast(const H& v, const Shape& to) {
  if (v.shape() == to) return v;
  int extra = v.shape().rank() - to.rank();
  Ints axes;
  for (int i = 0; i < v.shape().rank(); ++i)
    if (i < extra || (to[i - extra] == 1 && v.shape()[i] != 1)) axes.push_back(i);
  return reshape(reduce_sum(v, axes), to);
}
inline Ints iota_axes(int64_t n, int64_t from = 0) {
  Ints a(static_cast<size_t>(n));
  std::iota(a.begin(), a.end(), from);
  return a;
}

/// The face of a gradient rule's request in handles.
struct Rule {
  const ir::VjpRequest& r;
  V in(size_t i) const { return {&r.graph, r.inputs[i]}; }
  V out(size_t i = 0) const { return {&r.graph, r.outputs[i]}; }
  V ct(size_t i = 0) const { return {&r.graph, r.cotangents[i]}; }
  bool wants(size_t i) const { return r.wanted[i]; }
};

}  // namespace keras::prims
