// What lives here: the fused cluster, whose body becomes one tile program. Made only by the fusion pass.
#include "cpu/tile_program.h"
#include "prims/build.h"

namespace keras::prims {

using ir::Graph;
using ir::KernelRequest;
using ir::Node;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;

static std::vector<Type> infer_cluster(TypeSpan, const Attrs& a) {
  const Graph& body = a.graph("body");
  std::vector<Type> out;
  for (ValueId v : body.outputs) out.push_back(body.type(v));
  return out;
}

static engine::KernelPtr cluster_kernel(const KernelRequest& r) {
  const Graph& body = r.attrs().graph("body");
  cpu::TileSpec spec;
  spec.shape = r.attrs().ints("space");
  spec.row_rank = static_cast<int>(r.attrs().i("row_rank"));
  size_t rank = spec.shape.size();
  std::vector<int> reg(body.num_values(), -1);
  for (ValueId p : body.params()) {
    const Type& t = body.type(p);
    Ints strides(rank, 0);
    int64_t stride = 1;
    for (int d = t.shape.rank() - 1; d >= 0; --d) {
      if (t.shape[d] != 1) strides[rank - static_cast<size_t>(t.shape.rank() - d)] = stride;
      stride *= t.shape[d];
    }
    reg[static_cast<size_t>(p)] = static_cast<int>(spec.inputs.size());
    spec.inputs.push_back({t.dtype, strides});
  }
  using Reduce = cpu::TileSpec::Reduce;
  auto reduce_of = [](const Node& n) {
    return n.prim->is("reduce_sum") ? Reduce::Sum : n.prim->is("reduce_max") ? Reduce::Max : n.prim->is("reduce_min") ? Reduce::Min : Reduce::Prod;
  };
  auto is_column = [&](const Node& n) {
    const Ints& axes = n.attrs.ints("axes");
    return static_cast<int>(axes.size()) != spec.row_rank || axes.back() != static_cast<int64_t>(rank) - 1;
  };
  int base = static_cast<int>(spec.inputs.size());
  std::vector<std::pair<ValueId, const Node*>> columns;
  for (const Node& n : body.nodes()) {
    cpu::TileSpec::Instr instr{};
    ValueId out = n.outputs[0];
    instr.dtype = body.type(out).dtype;
    if (n.prim->is("constant")) {
      instr.kind = cpu::TileSpec::Kind::Const;
      double v = 0;
      n.attrs.get<ir::Literal>("value").uniform(&v);
      instr.value = v;
      instr.ivalue = is_floating(instr.dtype) ? 0 : static_cast<int64_t>(v);
    } else if (n.prim->is_ew()) {
      instr.kind = cpu::TileSpec::Kind::Ew;
      instr.op = n.prim->ew;
      int* operand[] = {&instr.a, &instr.b, &instr.c};
      for (size_t i = 0; i < n.inputs.size(); ++i) *operand[i] = reg[static_cast<size_t>(n.inputs[i])];
    } else if (is_column(n)) {
      columns.emplace_back(out, &n);
      continue;
    } else {
      instr.kind = cpu::TileSpec::Kind::RowReduce;
      instr.reduce = reduce_of(n);
      instr.a = reg[static_cast<size_t>(n.inputs[0])];
    }
    reg[static_cast<size_t>(out)] = base + static_cast<int>(spec.instrs.size());
    spec.instrs.push_back(instr);
  }
  for (ValueId v : body.outputs) {
    const Node* column = nullptr;
    for (auto& [value, node] : columns)
      if (value == v) column = node;
    if (column) spec.outputs.push_back({.reg = reg[static_cast<size_t>(column->inputs[0])], .column_reduce = true, .reduce = reduce_of(*column)});
    else {
      int r0 = reg[static_cast<size_t>(v)];
      bool full = body.type(v).shape == Shape(spec.shape);
      spec.outputs.push_back({.reg = r0, .broadcast_row = full && cpu::is_row_scalar(spec, r0)});
    }
  }
  return cpu::make_tile_program(spec);
}

const Primitive cluster_prim{.name = "cluster", .infer = infer_cluster, .cpu = cluster_kernel};

}  // namespace keras::prims
