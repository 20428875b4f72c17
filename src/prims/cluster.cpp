// What lives here: the fused cluster, whose body becomes one tile program. Made only by the passes of fusion: elementwise nodes and
// reductions; slices of parameters, which are read where they lie; concats as outputs, whose parts are written where they belong.
#include "prims/cluster.h"

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

static Ints row_major(const Shape& s) {
  Ints strides(s.size(), 1);
  for (size_t d = s.size(); d-- > 1;) strides[d - 1] = strides[d] * s[static_cast<int>(d)];
  return strides;
}

cpu::TileSpec cluster_spec(const Graph& body, const Ints& space, int row_rank) {
  cpu::TileSpec spec;
  spec.shape = space;
  spec.row_rank = row_rank;
  size_t rank = spec.shape.size();
  std::vector<int> reg(body.num_values(), -1);
  // A parameter is an input as it is, and one more for each slice of it that the body takes.
  auto add_input = [&](ValueId v, int buffer, DType dtype, const Shape& shape, const Ints& memory, int64_t offset) {
    Ints strides(rank, 0);
    for (int d = 0; d < shape.rank(); ++d)
      if (shape[d] != 1) strides[rank - static_cast<size_t>(shape.rank() - d)] = memory[static_cast<size_t>(d)];
    reg[static_cast<size_t>(v)] = static_cast<int>(spec.inputs.size());
    spec.inputs.push_back({.dtype = dtype, .strides = strides, .buffer = buffer, .offset = offset});
  };
  std::vector<char> whole(body.num_values(), 0);
  for (const Node& n : body.nodes())
    if (!n.prim->is("slice"))
      for (ValueId v : n.inputs) whole[static_cast<size_t>(v)] = 1;
  std::vector<int> buffer(body.num_values(), -1);
  for (size_t i = 0; i < body.params().size(); ++i) {
    ValueId p = body.params()[i];
    buffer[static_cast<size_t>(p)] = static_cast<int>(i);
    const Type& t = body.type(p);
    if (whole[static_cast<size_t>(p)]) add_input(p, static_cast<int>(i), t.dtype, t.shape, row_major(t.shape), 0);
  }
  for (const Node& n : body.nodes()) {
    if (!n.prim->is("slice")) continue;
    const Type& from = body.type(n.inputs[0]);
    Ints memory = row_major(from.shape);
    int64_t offset = 0;
    for (size_t d = 0; d < memory.size(); ++d) {
      offset += n.attrs.ints("starts")[d] * memory[d];
      memory[d] *= n.attrs.ints("strides")[d];
    }
    add_input(n.outputs[0], buffer[static_cast<size_t>(n.inputs[0])], from.dtype, body.type(n.outputs[0]).shape, memory, offset);
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
    if (n.prim->is("slice") || n.prim->is("concat")) continue;
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
  for (size_t o = 0; o < body.outputs.size(); ++o) {
    ValueId v = body.outputs[o];
    int place = static_cast<int>(o);
    const Node* made = body.producer(v);
    if (made && made->prim->is("concat")) {
      const size_t axis = static_cast<size_t>(made->attrs.i("axis"));
      const Ints memory = row_major(body.type(v).shape);
      int64_t offset = 0;
      for (ValueId part : made->inputs) {
        int r0 = reg[static_cast<size_t>(part)];
        spec.outputs.push_back({.reg = r0, .broadcast_row = cpu::is_row_scalar(spec, r0), .strides = memory, .buffer = place, .offset = offset});
        offset += body.type(part).shape[static_cast<int>(axis)] * memory[axis];
      }
      continue;
    }
    const Node* column = nullptr;
    for (auto& [value, node] : columns)
      if (value == v) column = node;
    if (column) spec.outputs.push_back({.reg = reg[static_cast<size_t>(column->inputs[0])], .column_reduce = true, .reduce = reduce_of(*column), .buffer = place});
    else {
      int r0 = reg[static_cast<size_t>(v)];
      bool full = body.type(v).shape == Shape(spec.shape);
      spec.outputs.push_back({.reg = r0, .broadcast_row = full && cpu::is_row_scalar(spec, r0), .buffer = place});
    }
  }
  return spec;
}

// Of what is read through slices alone, the slices are moved.
static ir::Cost cluster_cost(const KernelRequest& r) {
  const ir::Graph& body = r.attrs().graph("body");
  const auto bytes = [&](ir::ValueId v) { return static_cast<double>(body.type(v).shape.numel()) * static_cast<double>(dtype_size(body.type(v).dtype)); };
  ir::Cost cost{ir::cost_of(body).flops, ir::bytes_moved(r)};
  for (ir::ValueId p : body.params()) {
    double slices = 0;
    bool whole = false;
    for (const ir::Node& n : body.nodes())
      for (ir::ValueId v : n.inputs)
        if (v == p) n.prim->is("slice") ? void(slices += bytes(n.outputs[0])) : void(whole = true);
    if (!whole && slices > 0 && slices < bytes(p)) cost.bytes += slices - bytes(p);
  }
  return cost;
}

const Primitive cluster_prim{.name = "cluster", .infer = infer_cluster, .cpu = [](const KernelRequest& r) {
                               const Attrs& a = r.attrs();
                               return cpu::make_tile_program(cluster_spec(a.graph("body"), a.ints("space"), static_cast<int>(a.i("row_rank"))));
                             },
                             .cost = cluster_cost};

}  // namespace keras::prims
