// What lives here: reading and adding at computed indices, and random numbers from a key.
#include "cpu/gather.h"
#include "cpu/random_kernels.h"
#include "prims/build.h"

namespace keras::prims {

using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;
using ir::VjpRequest;

static int axis_of(const Attrs& a) { return static_cast<int>(a.i("axis")); }

static std::vector<Type> infer_gather(TypeSpan in, const Attrs& a) {
  if (!is_integer(in[1].dtype)) throw TypeError("gather: indices must be integers, not " + std::string(dtype_name(in[1].dtype)));
  int axis = normalize_axis(axis_of(a), in[0].shape.rank());
  return {{in[0].dtype, in[0].shape.slice(0, axis) + in[1].shape + in[0].shape.slice(axis + 1)}};
}
static cpu::OutOfRange mode_of(const Attrs& a) {
  switch (static_cast<IndexMode>(a.i_or("mode", 0))) {
    case IndexMode::Clip: return cpu::OutOfRange::Clip;
    case IndexMode::FillNaN: return cpu::OutOfRange::FillNaN;
    case IndexMode::ErrorNegative: return cpu::OutOfRange::ErrorNegative;
    default: return cpu::OutOfRange::Error;
  }
}
// Of a table only the rows that are read or written are moved.
static double type_bytes(const Type& t) { return static_cast<double>(t.shape.numel()) * static_cast<double>(dtype_size(t.dtype)); }
static ir::Cost read_cost(const KernelRequest& r) { return {0, type_bytes(r.in(1)) + 2 * type_bytes(r.out())}; }
static ir::Cost add_cost(const KernelRequest& r) { return {static_cast<double>(r.in(1).shape.numel()), ir::bytes_moved(r)}; }

const Primitive gather_prim{.name = "gather", .infer = infer_gather,
                            .vjp = [](const VjpRequest& q) {
                              Rule r{q};
                              return std::vector<ValueId>{scatter_add(r.in(1), r.ct(), axis_of(q.attrs), r.in(0).shape()[axis_of(q.attrs)]).id, -1};
                            },
                            .cpu = [](const KernelRequest& r) {
                              std::vector<int> order;  // left by passes that permute the indices
                              if (r.attrs().find("order")) order.assign(r.attrs().ints("order").begin(), r.attrs().ints("order").end());
                              return cpu::make_gather(r.out().dtype, r.in(1).dtype, r.in(0).shape, r.in(1).shape, axis_of(r.attrs()), mode_of(r.attrs()),
                                                      r.attrs().find("where") ? r.attrs().s("where") : "gather", order);
                            },
                            .cost = read_cost};
// (indices, updates) → zeros with the updates added at the indices of one axis.
static Shape scattered(const Shape& indices, const Shape& updates, int axis, int64_t size) {
  Shape s = updates.slice(0, axis);
  s.push_back(size);
  return s + updates.slice(axis + indices.rank());
}
const Primitive scatter_add_prim{.name = "scatter_add",
                                 .infer = [](TypeSpan in, const Attrs& a) {
                                   return std::vector<Type>{{in[1].dtype, scattered(in[0].shape, in[1].shape, axis_of(a), a.i("size"))}};
                                 },
                                 .vjp = [](const VjpRequest& q) {
                                   Rule r{q};
                                   return std::vector<ValueId>{-1, gather(r.ct(), r.in(0), axis_of(q.attrs)).id};
                                 },
                                 .cpu = [](const KernelRequest& r) {
                                   return cpu::make_scatter_add(r.out().dtype, r.in(0).dtype, r.out().shape, r.in(0).shape, axis_of(r.attrs()));
                                 },
                                 .cost = add_cost};
const Primitive take_along_axis_prim{.name = "take_along_axis",
                                     .infer = [](TypeSpan in, const Attrs&) { return std::vector<Type>{{in[0].dtype, in[1].shape}}; },
                                     .vjp = [](const VjpRequest& q) {
                                       Rule r{q};
                                       Attrs a{{"axis", q.attrs.i("axis")}, {"size", r.in(0).shape()[axis_of(q.attrs)]}};
                                       return std::vector<ValueId>{emit1<V>(scatter_add_along_axis_prim, {r.in(1), r.ct()}, a).id, -1};
                                     },
                                     .cpu = [](const KernelRequest& r) {
                                       return cpu::make_take_along_axis(r.out().dtype, r.in(1).dtype, r.in(0).shape, r.in(1).shape, axis_of(r.attrs()));
                                     },
                                     .cost = read_cost};
const Primitive scatter_add_along_axis_prim{.name = "scatter_add_along_axis",
                                            .infer = [](TypeSpan in, const Attrs& a) {
                                              Shape s = in[1].shape;
                                              s[axis_of(a)] = a.i("size");
                                              return std::vector<Type>{{in[1].dtype, s}};
                                            },
                                            .vjp = [](const VjpRequest& q) {
                                              Rule r{q};
                                              return std::vector<ValueId>{-1, take_along_axis(r.ct(), r.in(0), axis_of(q.attrs)).id};
                                            },
                                            .cpu = [](const KernelRequest& r) {
                                              return cpu::make_scatter_add_along_axis(r.out().dtype, r.in(0).dtype, r.out().shape, r.in(0).shape, axis_of(r.attrs()));
                                            }};
// Index vectors along the last axis of the indices.
static std::vector<Type> infer_gather_nd(TypeSpan in, const Attrs&) {
  int k = static_cast<int>(in[1].shape.back());
  return {{in[0].dtype, in[1].shape.slice(0, -1) + in[0].shape.slice(k)}};
}
const Primitive gather_nd_prim{.name = "gather_nd", .infer = infer_gather_nd,
                               .vjp = [](const VjpRequest& q) {
                                 Rule r{q};
                                 V zeros = broadcast_to(scalar(r.ct(), 0), r.in(0).shape());
                                 return std::vector<ValueId>{emit1<V>(scatter_nd_prim, {zeros, r.in(1), r.ct()}, {{"reduce", int64_t{1}}}).id, -1};
                               },
                               .cpu = [](const KernelRequest& r) { return cpu::make_gather_nd(r.out().dtype, r.in(1).dtype, r.in(0).shape, r.in(1).shape); },
                               .cost = read_cost};
// (operand, indices, updates); "reduce": 0 update, 1 add, 2 mul, 3 max, 4 min.
const Primitive scatter_nd_prim{.name = "scatter_nd", .infer = [](TypeSpan in, const Attrs&) { return std::vector<Type>{in[0]}; },
                                .vjp = [](const VjpRequest& q) {
                                  Rule r{q};
                                  std::vector<ValueId> result(3, -1);
                                  int64_t reduce = q.attrs.i("reduce");
                                  if (reduce > 1) throw NotImplementedError("the gradient of a scatter with max, min or mul");
                                  if (r.wants(2)) result[2] = emit1<V>(gather_nd_prim, {r.ct(), r.in(1)}).id;
                                  if (r.wants(0)) {
                                    V zeros = broadcast_to(scalar(r.ct(), 0), r.in(2).shape());
                                    result[0] = reduce == 1 ? r.ct().id : emit1<V>(scatter_nd_prim, {r.ct(), r.in(1), zeros}, {{"reduce", int64_t{0}}}).id;
                                  }
                                  return result;
                                },
                                .cpu = [](const KernelRequest& r) {
                                  return cpu::make_scatter_nd(static_cast<cpu::ScatterOp>(r.attrs().i("reduce")), r.out().dtype, r.in(1).dtype, r.in(0).shape, r.in(1).shape);
                                }};

// ---- random numbers: a key of two uint32 words in
const Primitive random_prim{.name = "random",
                            .infer = [](TypeSpan, const Attrs& a) { return std::vector<Type>{{a.dtype("dtype"), Shape(a.ints("shape"))}}; },
                            .cpu = [](const KernelRequest& r) {
                              return cpu::make_random(static_cast<cpu::RandomKind>(r.attrs().i("kind")), r.out().dtype, r.out().shape.numel(), r.attrs().f("a"), r.attrs().f("b"));
                            },
                            .flat = true};
const Primitive split_key_prim{.name = "split_key",
                               .infer = [](TypeSpan, const Attrs& a) { return std::vector<Type>{{DType::UInt32, Shape{a.i("n"), 2}}}; },
                               .cpu = [](const KernelRequest& r) { return cpu::make_random_split(r.attrs().i("n")); },
                               .flat = true};

}  // namespace keras::prims
