// What lives here: primitives that make or move data without arithmetic: constant, iota, reshape, transpose, slice, pad, concat …
#include <algorithm>
#include <cstring>

#include "cpu/movement.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras::prims {

using engine::KernelPtr;
using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static Ints as_ints(const Shape& s) { return s.dims(); }

// ---- constant, iota
static std::vector<Type> infer_constant(TypeSpan, const Attrs& a) { return {a.get<ir::Literal>("value").type}; }
struct CopyKernel : engine::Kernel {
  size_t bytes;
  explicit CopyKernel(size_t b) : bytes(b) {}
  void run(void* const* in, void* const* out, void*) const override {
    if (in[0] != out[0] && bytes) std::memcpy(out[0], in[0], bytes);
  }
};
struct ConstantKernel : engine::Kernel {  // only for constants that are outputs; others are bound, not run
  ir::Literal literal;
  explicit ConstantKernel(ir::Literal l) : literal(std::move(l)) {}
  void run(void* const*, void* const* out, void*) const override {
    if (!literal.bytes->empty()) std::memcpy(out[0], literal.data(), literal.bytes->size());
  }
};
const Primitive constant_prim{.name = "constant", .infer = infer_constant,
                              .cpu = [](const KernelRequest& r) -> KernelPtr { return std::make_unique<ConstantKernel>(r.attrs().get<ir::Literal>("value")); }, .flat = true};

static std::vector<Type> infer_iota(TypeSpan, const Attrs& a) { return {{a.dtype("dtype"), Shape(a.ints("shape"))}}; }
const Primitive iota_prim{.name = "iota", .infer = infer_iota,
                          .cpu = [](const KernelRequest& r) { return cpu::make_iota(r.out().dtype, r.out().shape, static_cast<int>(r.attrs().i("axis"))); }, .flat = true};

static KernelPtr copy_kernel(const KernelRequest& r) {
  return std::make_unique<CopyKernel>(static_cast<size_t>(r.out().shape.numel()) * dtype_size(r.out().dtype));
}

// ---- reshape, broadcast_to, transpose
static std::vector<Type> infer_reshape(TypeSpan in, const Attrs& a) {
  Shape to(a.ints("shape"));
  int64_t n = in[0].shape.numel(), m = 1;
  int unknown = 0;
  for (int64_t d : to) d < 0 ? void(++unknown) : void(m *= d);
  bool ok = unknown <= 1 ? (n < 0 || (unknown ? (m == 0 ? n == 0 : n % m == 0) : n == m)) : n < 0;
  if (!ok)
    throw ValueError(ErrorText{.what = "a tensor of shape " + in[0].shape.str() + " can't be reshaped to " + to.str(),
                               .expected = "the same number of elements"}.str());
  if (unknown == 1 && n >= 0 && m > 0)
    for (int64_t& d : to)
      if (d < 0) d = n / m;
  return {{in[0].dtype, to}};
}
const Primitive reshape_prim{.name = "reshape", .infer = infer_reshape,
                             .vjp = [](const VjpRequest& q) { Rule r{q}; return std::vector<ValueId>{reshape(r.ct(), r.in(0).shape()).id}; },
                             .cpu = copy_kernel, .alias = true};

static std::vector<Type> infer_broadcast(TypeSpan in, const Attrs& a) {
  Shape to(a.ints("shape"));
  Shape b = broadcast_shapes(in[0].shape, to);
  if (!compatible(b, to))
    throw ValueError(ErrorText{.what = "a tensor of shape " + in[0].shape.str() + " can't be broadcast to " + to.str()}.str());
  return {{in[0].dtype, to}};
}
const Primitive broadcast_to_prim{.name = "broadcast_to", .infer = infer_broadcast,
                                  .vjp = [](const VjpRequest& q) { Rule r{q}; return std::vector<ValueId>{unbroadcast(r.ct(), r.in(0).shape()).id}; },
                                  .cpu = [](const KernelRequest& r) { return cpu::make_broadcast(r.out().dtype, r.in(0).shape, r.out().shape); }};

static std::vector<Type> infer_transpose(TypeSpan in, const Attrs& a) {
  const Ints& perm = a.ints("perm");
  Ints sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != iota_axes(in[0].shape.rank()))
    throw ValueError(ErrorText{.what = "transpose: the axes " + Shape(perm).str() + " are no permutation of the axes of " + in[0].shape.str()}.str());
  Shape out;
  for (int64_t p : perm) out.push_back(in[0].shape[static_cast<int>(p)]);
  return {{in[0].dtype, out}};
}
static Ints inverse(const Ints& perm) {
  Ints inv(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inv[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  return inv;
}
const Primitive transpose_prim{.name = "transpose", .infer = infer_transpose,
                               .vjp = [](const VjpRequest& q) { Rule r{q}; return std::vector<ValueId>{transpose(r.ct(), inverse(q.attrs.ints("perm"))).id}; },
                               .cpu = [](const KernelRequest& r) {
                                 const Ints& p = r.attrs().ints("perm");
                                 return cpu::make_transpose(r.out().dtype, r.in(0).shape, std::vector<int>(p.begin(), p.end()));
                               }};

// ---- slice, pad, concat, reverse
static std::vector<Type> infer_slice(TypeSpan in, const Attrs& a) {
  const Ints &s = a.ints("starts"), &l = a.ints("limits"), &st = a.ints("strides");
  Shape out = in[0].shape;
  if (s.size() != out.size() || l.size() != out.size() || st.size() != out.size()) throw ValueError("slice: one start, limit and stride per axis are needed");
  for (int i = 0; i < out.rank(); ++i) {
    size_t k = static_cast<size_t>(i);
    int64_t d = out[i], limit = d < 0 ? l[k] : std::min(l[k], d);
    if (d < 0 && l[k] >= kToEnd) {
      out[i] = None;
      continue;
    }
    if (st[k] < 1 || s[k] < 0) throw ValueError("slice: starts must not be negative and strides must be positive");
    out[i] = limit <= s[k] ? 0 : (limit - s[k] + st[k] - 1) / st[k];
  }
  return {{in[0].dtype, out}};
}
static std::vector<ValueId> vjp_slice(const VjpRequest& q) {
  Rule r{q};
  const Ints &s = q.attrs.ints("starts"), &st = q.attrs.ints("strides");
  Shape in = r.in(0).shape(), out = r.out().shape();
  Ints lo = s, hi(s.size()), interior(s.size());
  for (int i = 0; i < in.rank(); ++i) {
    size_t k = static_cast<size_t>(i);
    interior[k] = st[k] - 1;
    int64_t covered = out[i] == 0 ? 0 : (out[i] - 1) * st[k] + 1;
    if (out[i] == 0) lo[k] = std::min(lo[k], in[i]);
    hi[k] = in[i] - lo[k] - covered;
  }
  return {pad(r.ct(), scalar(r.ct(), 0), lo, hi, interior).id};
}
// What is not in the part is not read.
static ir::Cost part_cost(const KernelRequest& r) { return {0, 2 * static_cast<double>(r.out().shape.numel()) * static_cast<double>(dtype_size(r.out().dtype))}; }
const Primitive slice_prim{.name = "slice", .infer = infer_slice, .vjp = vjp_slice, .cpu = [](const KernelRequest& r) {
                             Ints limits = r.attrs().ints("limits");
                             for (size_t i = 0; i < limits.size(); ++i) limits[i] = std::max(std::min(limits[i], r.in(0).shape[static_cast<int>(i)]), r.attrs().ints("starts")[i]);
                             return cpu::make_slice(r.out().dtype, r.in(0).shape, r.attrs().ints("starts"), limits, r.attrs().ints("strides"));
                           },
                           .cost = part_cost};

static std::vector<Type> infer_pad(TypeSpan in, const Attrs& a) {
  Shape out = in[0].shape;
  for (int i = 0; i < out.rank(); ++i) {
    size_t k = static_cast<size_t>(i);
    if (out[i] >= 0) out[i] = std::max<int64_t>(0, a.ints("lo")[k] + a.ints("hi")[k] + out[i] + std::max<int64_t>(out[i] - 1, 0) * a.ints("interior")[k]);
  }
  if (in[1].dtype != in[0].dtype) throw TypeError("pad: the value's dtype differs from the tensor's");
  return {{in[0].dtype, out}};
}
static std::vector<ValueId> vjp_pad(const VjpRequest& q) {
  Rule r{q};
  const Ints &lo = q.attrs.ints("lo"), &hi = q.attrs.ints("hi"), &interior = q.attrs.ints("interior");
  size_t n = lo.size();
  std::vector<ValueId> result(2, -1);
  V inner{};
  if (r.wants(0) || r.wants(1)) {
    // Negative edges cropped the input: pad the cotangent there with zeros first, then slice the rest out.
    Ints nlo(n), nhi(n), zero(n, 0), starts(n), limits(n), strides(n);
    bool crops = false;
    for (size_t i = 0; i < n; ++i) {
      nlo[i] = std::max<int64_t>(0, -lo[i]), nhi[i] = std::max<int64_t>(0, -hi[i]);
      crops |= nlo[i] || nhi[i];
    }
    V c = crops ? pad(r.ct(), scalar(r.ct(), 0), nlo, nhi, zero) : r.ct();
    for (size_t i = 0; i < n; ++i) {
      int64_t d = r.in(0).shape()[static_cast<int>(i)];
      starts[i] = std::max<int64_t>(0, lo[i]);
      strides[i] = interior[i] + 1;
      limits[i] = d == 0 ? starts[i] : starts[i] + (d - 1) * strides[i] + 1;
    }
    inner = slice(c, starts, limits, strides);
  }
  if (r.wants(0)) result[0] = inner.id;
  if (r.wants(1)) result[1] = sub(reduce_sum(r.ct(), iota_axes(static_cast<int64_t>(n))), reduce_sum(inner, iota_axes(static_cast<int64_t>(n)))).id;
  return result;
}
const Primitive pad_prim{.name = "pad", .infer = infer_pad, .vjp = vjp_pad, .cpu = [](const KernelRequest& r) {
                           return cpu::make_pad(r.out().dtype, r.in(0).shape, r.attrs().ints("lo"), r.attrs().ints("hi"), r.attrs().ints("interior"));
                         }};

static std::vector<Type> infer_concat(TypeSpan in, const Attrs& a) {
  int axis = static_cast<int>(a.i("axis"));
  Shape out = in[0].shape;
  for (size_t i = 1; i < in.size(); ++i) {
    const Shape& s = in[i].shape;
    if (in[i].dtype != in[0].dtype) throw TypeError("concatenate: dtypes differ: " + in[0].str() + " and " + in[i].str());
    bool ok = s.rank() == out.rank();
    for (int d = 0; ok && d < out.rank(); ++d) {
      if (d == axis) continue;
      ok = s[d] < 0 || out[d] < 0 || s[d] == out[d];
      if (out[d] < 0) out[d] = s[d];
    }
    if (!ok)
      throw ValueError(ErrorText{.what = "concatenate along axis " + std::to_string(axis) + ": the shapes do not fit",
                                 .expected = "equal sizes on all other axes", .received = in[0].shape.str() + " and " + s.str()}.str());
    out[axis] = out[axis] < 0 || s[axis] < 0 ? None : out[axis] + s[axis];
  }
  return {{in[0].dtype, out}};
}
static std::vector<ValueId> vjp_concat(const VjpRequest& q) {
  Rule r{q};
  std::vector<ValueId> result;
  int axis = static_cast<int>(q.attrs.i("axis"));
  int64_t at = 0;
  for (size_t i = 0; i < q.inputs.size(); ++i) {
    int64_t n = r.in(i).shape()[axis];
    result.push_back(r.wants(i) ? slice_axis(r.ct(), axis, at, at + n).id : -1);
    at += n;
  }
  return result;
}
const Primitive concat_prim{.name = "concat", .infer = infer_concat, .vjp = vjp_concat, .cpu = [](const KernelRequest& r) {
                              std::vector<Shape> shapes;
                              for (size_t i = 0; i < r.num_inputs(); ++i) shapes.push_back(r.in(i).shape);
                              return cpu::make_concat(r.out().dtype, shapes, static_cast<int>(r.attrs().i("axis")));
                            }};

static std::vector<Type> same_as_input(TypeSpan in, const Attrs&) { return {in[0]}; }
const Primitive reverse_prim{.name = "reverse", .infer = same_as_input,
                             .vjp = [](const VjpRequest& q) { Rule r{q}; return std::vector<ValueId>{reverse(r.ct(), q.attrs.ints("axes")).id}; },
                             .cpu = [](const KernelRequest& r) {
                               const Ints& a = r.attrs().ints("axes");
                               return cpu::make_reverse(r.out().dtype, r.in(0).shape, std::vector<int>(a.begin(), a.end()));
                             }};
// ---- the first operand again, not before the second is there: what is computed of it is not what was computed before
const Primitive again_prim{.name = "again",
                           .infer = [](TypeSpan in, const Attrs&) { return std::vector<Type>{in[0]}; },
                           .vjp = [](const VjpRequest& q) { return std::vector<ValueId>{q.cotangents[0], -1}; },
                           .cpu = copy_kernel, .alias = true};

const Primitive stop_gradient_prim{.name = "stop_gradient", .infer = same_as_input, .cpu = copy_kernel, .alias = true, .flat = true};

// ---- values with a gradient that their maker tells: (results…, arguments…, what the gradient uses…) → results. "gradient" is a graph
// of what it uses and the results' cotangents to the arguments' cotangents.
static std::vector<ValueId> vjp_custom_gradient(const VjpRequest& q) {
  size_t results = static_cast<size_t>(q.attrs.i("results")), arguments = static_cast<size_t>(q.attrs.i("arguments"));
  std::vector<ValueId> given(q.inputs.begin() + static_cast<std::ptrdiff_t>(results + arguments), q.inputs.end());
  for (size_t i = 0; i < results; ++i) {
    V y{&q.graph, q.outputs[i]};
    given.push_back(q.cotangents[i] >= 0 ? q.cotangents[i] : broadcast_to(scalar(y, 0), y.shape()).id);
  }
  std::vector<ValueId> made = passes::inline_graph(q.graph, q.attrs.graph("gradient"), given), back(q.inputs.size(), -1);
  std::copy(made.begin(), made.end(), back.begin() + static_cast<std::ptrdiff_t>(results));
  return back;
}
namespace {
struct CopiesKernel : engine::Kernel {
  std::vector<size_t> bytes;
  void run(void* const* in, void* const* out, void*) const override {
    for (size_t i = 0; i < bytes.size(); ++i)
      if (in[i] != out[i] && bytes[i]) std::memcpy(out[i], in[i], bytes[i]);
  }
};
}  // namespace
const Primitive custom_gradient_prim{
    .name = "custom_gradient",
    .infer = [](TypeSpan in, const Attrs& a) { return std::vector<Type>(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(a.i("results"))); },
    .vjp = vjp_custom_gradient,
    .cpu = [](const KernelRequest& r) -> KernelPtr {
      auto kernel = std::make_unique<CopiesKernel>();
      for (int64_t i = 0; i < r.attrs().i("results"); ++i)
        kernel->bytes.push_back(static_cast<size_t>(r.in(static_cast<size_t>(i)).shape.numel()) * dtype_size(r.in(static_cast<size_t>(i)).dtype));
      return kernel;
    }};

// ---- dynamic slices: starts as one integer vector
static std::vector<Type> infer_dynamic_slice(TypeSpan in, const Attrs& a) { return {{in[0].dtype, Shape(a.ints("sizes"))}}; }
static std::vector<ValueId> vjp_dynamic_slice(const VjpRequest& q) {
  Rule r{q};
  V zeros = broadcast_to(scalar(r.ct(), 0), r.in(0).shape());
  return {emit1<V>(dynamic_update_slice_prim, {zeros, r.ct(), r.in(1)}).id, -1};
}
const Primitive dynamic_slice_prim{.name = "dynamic_slice", .infer = infer_dynamic_slice, .vjp = vjp_dynamic_slice, .cpu = [](const KernelRequest& r) {
                                     return cpu::make_dynamic_slice(r.out().dtype, r.in(0).shape, Shape(r.attrs().ints("sizes")), r.in(1).dtype);
                                   },
                                   .cost = part_cost};
static std::vector<ValueId> vjp_dynamic_update_slice(const VjpRequest& q) {
  Rule r{q};
  V zeros = broadcast_to(scalar(r.ct(), 0), r.in(1).shape());
  std::vector<ValueId> result(3, -1);
  if (r.wants(0)) result[0] = emit1<V>(dynamic_update_slice_prim, {r.ct(), zeros, r.in(2)}).id;
  if (r.wants(1)) result[1] = emit1<V>(dynamic_slice_prim, {r.ct(), r.in(2)}, {{"sizes", as_ints(r.in(1).shape())}}).id;
  return result;
}
const Primitive dynamic_update_slice_prim{.name = "dynamic_update_slice", .infer = same_as_input, .vjp = vjp_dynamic_update_slice, .cpu = [](const KernelRequest& r) {
                                            return cpu::make_dynamic_update_slice(r.out().dtype, r.in(0).shape, r.in(1).shape, r.in(2).dtype);
                                          }};

}  // namespace keras::prims
