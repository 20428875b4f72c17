// What lives here: convolution, its two transposes, and pooling. Activations are channels last; a layer of the other
// format transposes around them.
#include "cpu/conv.h"
#include "cpu/pool.h"
#include "prims/build.h"
#include "prims/epilogue.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static int64_t out_size(int64_t n, int64_t window, int64_t stride, int64_t lo, int64_t hi) {
  return n < 0 ? None : n + lo + hi < window ? 0 : (n + lo + hi - window) / stride + 1;
}
static std::vector<Type> infer_conv(TypeSpan in, const Attrs& a) {
  const Shape &x = in[0].shape, &w = in[1].shape;
  int rank = x.rank();
  if (in[0].dtype != in[1].dtype) throw TypeError("conv: dtypes differ: " + in[0].str() + " and " + in[1].str());
  if (rank < 3 || w.rank() != rank || (x.back() >= 0 && x.back() != w[-2] * a.i("groups")))
    throw ValueError(ErrorText{.what = "conv: inputs and kernel do not fit", .expected = "inputs (N, spatial…, C), kernel (spatial…, C / groups, filters)",
                               .received = x.str() + " and " + w.str() + " with groups=" + std::to_string(a.i("groups"))}.str());
  Shape out{x[0]};
  for (int i = 0; i < rank - 2; ++i) {
    size_t k = static_cast<size_t>(i);
    int64_t window = (w[i] - 1) * a.ints("dilations")[k] + 1;
    out.push_back(out_size(x[i + 1], window, a.ints("strides")[k], a.ints("lo")[k], a.ints("hi")[k]));
  }
  out.push_back(w.back());
  return {{in[0].dtype, out}};
}
static ConvSpec spec_of(const Attrs& a) { return {a.ints("strides"), a.ints("dilations"), a.ints("lo"), a.ints("hi"), a.i("groups")}; }

// Each output takes a product and a sum per number of its window; `dy` has an element per window of a filter.
static ir::Cost conv_cost(const KernelRequest& r, const Type& dy, const Shape& w) {
  const double windows = static_cast<double>(dy.shape.numel()), each = static_cast<double>(w.numel()) / static_cast<double>(std::max<int64_t>(w.back(), 1));
  return {2 * windows * each + epilogue_flops(r), ir::bytes_moved(r)};
}

static std::vector<ValueId> vjp_conv(const VjpRequest& q) {
  Rule r{q};
  ConvSpec s = spec_of(q.attrs);
  std::vector<ValueId> result(2, -1);
  if (r.wants(0)) result[0] = conv_backward_input(r.ct(), r.in(1), s, r.in(0).shape()).id;
  if (r.wants(1)) result[1] = conv_backward_filter(r.in(0), r.ct(), s, r.in(1).shape()).id;
  return result;
}
static std::vector<ValueId> vjp_backward_input(const VjpRequest& q) {  // (dy, w) → dx is linear in both
  Rule r{q};
  ConvSpec s = spec_of(q.attrs);
  std::vector<ValueId> result(2, -1);
  if (r.wants(0)) result[0] = conv(r.ct(), r.in(1), s).id;
  if (r.wants(1)) result[1] = conv_backward_filter(r.ct(), r.in(0), s, r.in(1).shape()).id;
  return result;
}
static std::vector<ValueId> vjp_backward_filter(const VjpRequest& q) {  // (x, dy) → dw
  Rule r{q};
  ConvSpec s = spec_of(q.attrs);
  std::vector<ValueId> result(2, -1);
  if (r.wants(0)) result[0] = conv_backward_input(r.in(1), r.ct(), s, r.in(0).shape()).id;
  if (r.wants(1)) result[1] = conv(r.in(0), r.ct(), s).id;
  return result;
}
static cpu::ConvDesc desc(const KernelRequest& r, const Shape& x, const Shape& w, const Shape& y) {
  cpu::ConvDesc d;
  d.dtype = r.in(0).dtype;
  d.x = x, d.w = w, d.y = y;
  d.strides = r.attrs().ints("strides"), d.dilations = r.attrs().ints("dilations");
  d.pad_lo = r.attrs().ints("lo"), d.pad_hi = r.attrs().ints("hi");
  d.groups = r.attrs().i("groups");
  d.epilogue = epilogue_of(r.attrs());
  return d;
}
const Primitive conv_prim{.name = "conv", .infer = infer_conv, .vjp = vjp_conv, .cpu = [](const KernelRequest& r) {
                            return cpu::make_conv(desc(r, r.in(0).shape, r.in(1).shape, r.out().shape));
                          },
                          .cost = [](const KernelRequest& r) { return conv_cost(r, r.out(), r.in(1).shape); }};
const Primitive conv_backward_input_prim{.name = "conv_backward_input",
                                         .infer = [](TypeSpan in, const Attrs& a) { return std::vector<Type>{{in[0].dtype, Shape(a.ints("x"))}}; },
                                         .vjp = vjp_backward_input,
                                         .cpu = [](const KernelRequest& r) { return cpu::make_conv_backward_input(desc(r, r.out().shape, r.in(1).shape, r.in(0).shape)); },
                                         .cost = [](const KernelRequest& r) { return conv_cost(r, r.in(0), r.in(1).shape); }};
const Primitive conv_backward_filter_prim{.name = "conv_backward_filter",
                                          .infer = [](TypeSpan in, const Attrs& a) { return std::vector<Type>{{in[0].dtype, Shape(a.ints("w"))}}; },
                                          .vjp = vjp_backward_filter,
                                          .cpu = [](const KernelRequest& r) { return cpu::make_conv_backward_filter(desc(r, r.in(0).shape, r.out().shape, r.in(1).shape)); },
                                          .cost = [](const KernelRequest& r) { return conv_cost(r, r.in(1), r.out().shape); }};

// ---- pooling
static std::vector<Type> infer_pool(TypeSpan in, const Attrs& a) {
  const Shape& x = in[0].shape;
  if (x.rank() != static_cast<int>(a.ints("window").size()) + 2)
    throw ValueError(ErrorText{.what = "pooling: inputs of another rank", .expected = "(N, spatial…, C) with " + std::to_string(a.ints("window").size()) + " spatial axes", .received = x.str()}.str());
  Shape out{x[0]};
  for (int i = 0; i < x.rank() - 2; ++i) {
    size_t k = static_cast<size_t>(i);
    out.push_back(out_size(x[i + 1], a.ints("window")[k], a.ints("strides")[k], a.ints("lo")[k], a.ints("hi")[k]));
  }
  out.push_back(x.back());
  return {{in[0].dtype, out}};
}
static cpu::PoolDesc pool_desc(const KernelRequest& r, bool max, const Shape& x, const Shape& y) {
  cpu::PoolDesc d;
  d.max = max, d.dtype = r.in(0).dtype, d.x = x, d.y = y;
  d.window = r.attrs().ints("window"), d.strides = r.attrs().ints("strides"), d.pad_lo = r.attrs().ints("lo"), d.pad_hi = r.attrs().ints("hi");
  return d;
}
static ir::Cost pool_cost(const KernelRequest& r, const Type& windows) {
  double each = 1;
  for (int64_t n : r.attrs().ints("window")) each *= static_cast<double>(n);
  return {each * static_cast<double>(windows.shape.numel()), ir::bytes_moved(r)};
}
const Primitive max_pool_prim{.name = "max_pool", .infer = infer_pool,
                              .vjp = [](const VjpRequest& q) { Rule r{q}; return std::vector<ValueId>{emit1<V>(max_pool_backward_prim, {r.in(0), r.ct()}, q.attrs).id}; },
                              .cpu = [](const KernelRequest& r) { return cpu::make_pool(pool_desc(r, true, r.in(0).shape, r.out().shape)); },
                              .cost = [](const KernelRequest& r) { return pool_cost(r, r.out()); }};
const Primitive avg_pool_prim{.name = "avg_pool", .infer = infer_pool,
                              .vjp = [](const VjpRequest& q) {
                                Rule r{q};
                                Attrs a = q.attrs;
                                a.set("x", r.in(0).shape().dims());
                                return std::vector<ValueId>{emit1<V>(avg_pool_backward_prim, {r.ct()}, a).id};
                              },
                              .cpu = [](const KernelRequest& r) { return cpu::make_pool(pool_desc(r, false, r.in(0).shape, r.out().shape)); },
                              .cost = [](const KernelRequest& r) { return pool_cost(r, r.out()); }};
const Primitive max_pool_backward_prim{.name = "max_pool_backward", .infer = [](TypeSpan in, const Attrs&) { return std::vector<Type>{in[0]}; },
                                       .cpu = [](const KernelRequest& r) { return cpu::make_max_pool_backward(pool_desc(r, true, r.in(0).shape, r.in(1).shape)); },
                                       .cost = [](const KernelRequest& r) { return pool_cost(r, r.in(1)); }};
const Primitive avg_pool_backward_prim{.name = "avg_pool_backward",
                                       .infer = [](TypeSpan in, const Attrs& a) { return std::vector<Type>{{in[0].dtype, Shape(a.ints("x"))}}; },
                                       .vjp = [](const VjpRequest& q) {
                                         Rule r{q};
                                         return std::vector<ValueId>{emit1<V>(avg_pool_prim, {r.ct()}, q.attrs).id};
                                       },
                                       .cpu = [](const KernelRequest& r) { return cpu::make_avg_pool_backward(pool_desc(r, false, r.out().shape, r.in(0).shape)); }};

}  // namespace keras::prims
