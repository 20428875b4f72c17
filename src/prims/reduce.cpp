// What lives here: reductions, arg reductions, cumulative sums, sorting.
#include "cpu/reduce.h"
#include "cpu/sorting.h"
#include "prims/build.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static Shape without(const Shape& s, const Ints& axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < s.rank(); ++i) {
    bool gone = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!gone) out.push_back(s[i]);
    else if (keepdims) out.push_back(1);
  }
  return out;
}
static std::vector<Type> infer_reduce(TypeSpan in, const Attrs& a) {
  for (int64_t axis : a.ints("axes")) normalize_axis(static_cast<int>(axis), in[0].shape.rank());
  return {{in[0].dtype, without(in[0].shape, a.ints("axes"), a.i("keepdims"))}};
}
template <cpu::ReduceOp op> static engine::KernelPtr reduce_kernel(const KernelRequest& r) {
  const Ints& axes = r.attrs().ints("axes");
  return cpu::make_reduce(op, r.in(0).dtype, r.in(0).shape, std::vector<int>(axes.begin(), axes.end()));
}
/// A reduced value brought back to the rank of the input, sizes 1, ready to broadcast.
static V expand(const Rule& r, V v) {
  Shape s = r.in(0).shape();
  for (int64_t axis : r.r.attrs.ints("axes")) s[static_cast<int>(axis)] = 1;
  return reshape(v, s);
}
static std::vector<ValueId> vjp_sum(const VjpRequest& q) {
  Rule r{q};
  return {broadcast_to(expand(r, r.ct()), r.in(0).shape()).id};
}
static std::vector<ValueId> vjp_extremum(const VjpRequest& q) {  // ties share
  Rule r{q};
  V hit = cast(ew(Ew::equal, r.in(0), expand(r, r.out())), r.ct().dtype());
  V count = reduce_sum(hit, q.attrs.ints("axes"), true);
  return {mul(hit, div(expand(r, r.ct()), count)).id};
}
static std::vector<ValueId> vjp_prod(const VjpRequest& q) {
  // Product of all other elements, right at zeros too: exclusive products from both sides along the reduced axes laid flat.
  Rule r{q};
  Ints axes = q.attrs.ints("axes"), perm;
  Shape in = r.in(0).shape(), kept;
  for (int i = 0; i < in.rank(); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) perm.push_back(i), kept.push_back(in[i]);
  perm.insert(perm.end(), axes.begin(), axes.end());
  V t = transpose(r.in(0), perm);
  Shape moved = t.shape(), flat = kept;
  int64_t n = 1;
  for (int64_t a : axes) n *= in[static_cast<int>(a)];
  flat.push_back(n);
  V f = reshape(t, flat);
  V others = mul(cumulative(cumprod_prim, f, flat.rank() - 1, false, true), cumulative(cumprod_prim, f, flat.rank() - 1, true, true));
  Shape one = kept;
  one.push_back(1);
  V g = reshape(mul(others, reshape(r.ct(), one)), moved);
  Ints back(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  return {transpose(g, back).id};
}
static ir::Cost per_operand(const KernelRequest& r) { return {static_cast<double>(r.in(0).shape.numel()), ir::bytes_moved(r)}; }

const Primitive reduce_sum_prim{.name = "reduce_sum", .infer = infer_reduce, .vjp = vjp_sum, .cpu = reduce_kernel<cpu::ReduceOp::Sum>, .cost = per_operand};
const Primitive reduce_prod_prim{.name = "reduce_prod", .infer = infer_reduce, .vjp = vjp_prod, .cpu = reduce_kernel<cpu::ReduceOp::Prod>, .cost = per_operand};
const Primitive reduce_max_prim{.name = "reduce_max", .infer = infer_reduce, .vjp = vjp_extremum, .cpu = reduce_kernel<cpu::ReduceOp::Max>, .cost = per_operand};
const Primitive reduce_min_prim{.name = "reduce_min", .infer = infer_reduce, .vjp = vjp_extremum, .cpu = reduce_kernel<cpu::ReduceOp::Min>, .cost = per_operand};
const Primitive reduce_and_prim{.name = "reduce_and", .infer = infer_reduce, .cpu = reduce_kernel<cpu::ReduceOp::And>, .flat = true, .cost = per_operand};
const Primitive reduce_or_prim{.name = "reduce_or", .infer = infer_reduce, .cpu = reduce_kernel<cpu::ReduceOp::Or>, .flat = true, .cost = per_operand};

// ---- arg reductions
static std::vector<Type> infer_arg(TypeSpan in, const Attrs& a) {
  Shape s = in[0].shape;
  s.erase(normalize_axis(static_cast<int>(a.i("axis")), s.rank()));
  return {{a.dtype("dtype"), s}};
}
template <bool max> static engine::KernelPtr arg_kernel(const KernelRequest& r) {
  return cpu::make_arg_reduce(max, r.in(0).dtype, r.out().dtype, r.in(0).shape, static_cast<int>(r.attrs().i("axis")));
}
const Primitive argmax_prim{.name = "argmax", .infer = infer_arg, .cpu = arg_kernel<true>, .flat = true, .cost = per_operand};
const Primitive argmin_prim{.name = "argmin", .infer = infer_arg, .cpu = arg_kernel<false>, .flat = true, .cost = per_operand};

// ---- cumulative
static std::vector<Type> same_type(TypeSpan in, const Attrs& a) {
  normalize_axis(static_cast<int>(a.i("axis")), in[0].shape.rank());
  return {in[0]};
}
template <cpu::ReduceOp op> static engine::KernelPtr cumulative_kernel(const KernelRequest& r) {
  return cpu::make_cumulative(op, r.in(0).dtype, r.in(0).shape, static_cast<int>(r.attrs().i("axis")), r.attrs().i("reverse"), r.attrs().i("exclusive"));
}
static std::vector<ValueId> vjp_cumsum(const VjpRequest& q) {
  Rule r{q};
  return {cumulative(cumsum_prim, r.ct(), static_cast<int>(q.attrs.i("axis")), !q.attrs.i("reverse"), q.attrs.i("exclusive")).id};
}
/// `v` moved by `by` places along an axis, forwards or (reverse) backwards from what stands behind; zeros come in.
static V moved(const V& v, int axis, int64_t by, bool reverse) {
  int64_t n = v.shape()[axis];
  Ints none(v.shape().size(), 0), lo = none, hi = none;
  (reverse ? lo : hi)[static_cast<size_t>(axis)] = by;
  return pad(reverse ? slice_axis(v, axis, 0, n - by) : slice_axis(v, axis, by, n), scalar(v, 0), lo, hi, none);
}
static std::vector<ValueId> vjp_cumprod(const VjpRequest& q) {
  // Without a division, right at zeros too: the product of the elements before one, times s with s[k] = g[k] + x[k + 1] s[k + 1], the
  // gradients behind it with the products between. s by doubling: after each round it reaches twice as far.
  Rule r{q};
  int axis = normalize_axis(static_cast<int>(q.attrs.i("axis")), r.in(0).shape().rank());
  bool reverse = q.attrs.i("reverse");
  int64_t n = r.in(0).shape()[axis];
  if (n < 0) return {r.ct().id};  // only the shape matters
  V x = r.in(0), s = q.attrs.i("exclusive") ? moved(r.ct(), axis, std::min<int64_t>(1, n), reverse) : r.ct();
  V between = moved(x, axis, std::min<int64_t>(1, n), reverse);
  for (int64_t reach = 1; reach < n; reach *= 2) {
    s = add(s, mul(between, moved(s, axis, reach, reverse)));
    if (2 * reach < n) between = mul(between, moved(between, axis, reach, reverse));
  }
  return {mul(cumulative(cumprod_prim, x, axis, reverse, true), s).id};
}
const Primitive cumsum_prim{.name = "cumsum", .infer = same_type, .vjp = vjp_cumsum, .cpu = cumulative_kernel<cpu::ReduceOp::Sum>, .cost = per_operand};
const Primitive cumprod_prim{.name = "cumprod", .infer = same_type, .vjp = vjp_cumprod, .cpu = cumulative_kernel<cpu::ReduceOp::Prod>, .cost = per_operand};
const Primitive cummax_prim{.name = "cummax", .infer = same_type, .cpu = cumulative_kernel<cpu::ReduceOp::Max>, .cost = per_operand};
const Primitive cummin_prim{.name = "cummin", .infer = same_type, .cpu = cumulative_kernel<cpu::ReduceOp::Min>, .cost = per_operand};

// ---- sorting
static std::vector<Type> infer_argsort(TypeSpan in, const Attrs& a) { return {{a.dtype("dtype"), same_type(in, a)[0].shape}}; }
static std::vector<ValueId> vjp_sort(const VjpRequest& q) {
  Rule r{q};
  int axis = static_cast<int>(q.attrs.i("axis"));
  V order = emit1<V>(argsort_prim, {r.in(0)}, {{"axis", int64_t{axis}}, {"descending", q.attrs.i("descending")}, {"dtype", DType::Int32}});
  return {emit1<V>(scatter_add_along_axis_prim, {order, r.ct()}, {{"axis", int64_t{axis}}, {"size", r.in(0).shape()[axis]}}).id};
}
const Primitive sort_prim{.name = "sort", .infer = same_type, .vjp = vjp_sort, .cpu = [](const KernelRequest& r) {
                            return cpu::make_sort(r.in(0).dtype, r.in(0).shape, static_cast<int>(r.attrs().i("axis")), r.attrs().i("descending"));
                          }};
const Primitive argsort_prim{.name = "argsort", .infer = infer_argsort, .cpu = [](const KernelRequest& r) {
                               return cpu::make_argsort(r.in(0).dtype, r.out().dtype, r.in(0).shape, static_cast<int>(r.attrs().i("axis")), r.attrs().i("descending"));
                             }, .flat = true};
static std::vector<Type> infer_top_k(TypeSpan in, const Attrs& a) {
  Shape s = in[0].shape;
  if (s.rank() < 1 || (s.back() >= 0 && a.i("k") > s.back()))
    throw ValueError("top_k: k=" + std::to_string(a.i("k")) + " is more than the last axis of " + s.str());
  s[-1] = a.i("k");
  return {{in[0].dtype, s}, {DType::Int32, s}};
}
static std::vector<ValueId> vjp_top_k(const VjpRequest& q) {
  Rule r{q};
  int axis = r.in(0).shape().rank() - 1;
  return {emit1<V>(scatter_add_along_axis_prim, {r.out(1), r.ct()}, {{"axis", int64_t{axis}}, {"size", r.in(0).shape()[axis]}}).id};
}
const Primitive top_k_prim{.name = "top_k", .infer = infer_top_k, .vjp = vjp_top_k, .cpu = [](const KernelRequest& r) {
                             return cpu::make_top_k(r.in(0).dtype, r.in(0).shape, static_cast<int>(r.attrs().i("k")));
                           }};
static std::vector<Type> infer_searchsorted(TypeSpan in, const Attrs& a) { return {{a.dtype("dtype"), in[1].shape}}; }
const Primitive searchsorted_prim{.name = "searchsorted", .infer = infer_searchsorted, .cpu = [](const KernelRequest& r) {
                                    return cpu::make_searchsorted(r.in(0).dtype, r.out().dtype, r.in(0).shape, r.in(1).shape, r.attrs().i("right"));
                                  }, .flat = true};

}  // namespace keras::prims
