// What lives here: from TileSpec to the graph of kernel operations: validation, half types, trivial reductions.
#include <keras/base/error.h>

#include <string>

#include "cpu/tile_graph.h"

namespace keras::cpu {
namespace {

[[noreturn]] void bad(std::string what, std::string expected = "", std::string received = "") {
  throw ValueError(ErrorText{.what = std::move(what), .where = "tile program", .expected = std::move(expected), .received = std::move(received)}.str());
}

bool is_half(DType d) { return d == DType::Float16 || d == DType::BFloat16; }
DType compute_dtype(DType d) { return is_half(d) ? DType::Float32 : d; }

int64_t product(const std::vector<int64_t>& v, size_t from, size_t to) {
  int64_t p = 1;
  for (size_t i = from; i < to; ++i) p *= v[i];
  return p;
}

}  // namespace

bool is_row_scalar(const TileSpec& spec, int reg) {
  if (spec.row_rank == 0) return false;
  const int n = static_cast<int>(spec.inputs.size());
  if (reg < n) {
    const auto& strides = spec.inputs[static_cast<size_t>(reg)].strides;
    for (size_t i = strides.size() - static_cast<size_t>(spec.row_rank); i < strides.size(); ++i)
      if (strides[i] != 0) return false;
    return true;
  }
  const TileSpec::Instr& instr = spec.instrs[static_cast<size_t>(reg - n)];
  if (instr.kind == TileSpec::Kind::RowReduce) return true;
  if (instr.kind == TileSpec::Kind::Const) return false;
  bool any = false;
  for (int r : {instr.a, instr.b, instr.c}) {
    if (r < 0) continue;
    if (is_row_scalar(spec, r)) any = true;
    else if (r < n || spec.instrs[static_cast<size_t>(r - n)].kind != TileSpec::Kind::Const) return false;
  }
  return any;
}

DType register_dtype(const TileSpec& spec, int reg) {
  const size_t n = spec.inputs.size(), r = static_cast<size_t>(reg);
  return r < n ? spec.inputs[r].dtype : spec.instrs[r - n].dtype;
}

int64_t output_size(const TileSpec& spec, int output) {
  const TileSpec::Output& o = spec.outputs[static_cast<size_t>(output)];
  const size_t lead = spec.shape.size() - static_cast<size_t>(spec.row_rank);
  if (o.column_reduce) return product(spec.shape, lead, spec.shape.size());
  if (!o.broadcast_row && is_row_scalar(spec, o.reg)) return product(spec.shape, 0, lead);
  return product(spec.shape, 0, spec.shape.size());
}

namespace tile {

simd::Fn kernel_of(const Node& node) {
  return node.kind == Node::Kind::Cast ? simd::find_cast(node.operand, node.dtype) : simd::find(node.op, node.operand);
}

namespace {

class Lowering {
 public:
  explicit Lowering(const TileSpec& spec) : spec_(spec) {}

  Graph run() {
    check_shape();
    g_.shape = spec_.shape;
    g_.row_rank = spec_.row_rank;
    for (size_t i = 0; i < spec_.inputs.size(); ++i) input(i);
    for (const TileSpec::Instr& instr : spec_.instrs) instruction(instr);
    for (const TileSpec::Output& o : spec_.outputs) output(o);
    for (Node& n : g_.nodes)
      for (int i = 0; i < n.n_in; ++i) ++g_.nodes[static_cast<size_t>(n.in[i])].uses;
    for (const Out& o : g_.outs) {
      ++g_.nodes[static_cast<size_t>(o.node)].uses;
    }
    return std::move(g_);
  }

 private:
  void check_shape() {
    if (spec_.shape.size() > 31) bad("a tile program has too many axes", "at most 31", std::to_string(spec_.shape.size()));
    if (spec_.row_rank < 0 || static_cast<size_t>(spec_.row_rank) > spec_.shape.size()) bad("row_rank lies outside the rank");
    for (int64_t n : spec_.shape)
      if (n < 0) bad("a tile program needs known sizes", "sizes of at least 0", std::to_string(n));
    for (const auto& in : spec_.inputs)
      if (in.strides.size() != spec_.shape.size()) bad("an input's strides do not match the shape", std::to_string(spec_.shape.size()) + " strides", std::to_string(in.strides.size()));
    row_axes_ = 0;
    row_size_ = 1;
    for (size_t i = 0; i < spec_.shape.size(); ++i)
      if (i + static_cast<size_t>(spec_.row_rank) >= spec_.shape.size()) row_axes_ |= 1u << i, row_size_ *= spec_.shape[i];
    for (const auto& o : spec_.outputs) any_column_ |= o.column_reduce;
    // A row of one element is its own reduction. Then columns of one element are reductions of everything: rows of full rank.
    single_ = row_size_ == 1;
    total_ = single_ && any_column_;
  }

  const Node& node(int i) const { return g_.nodes[static_cast<size_t>(i)]; }

  int add(Node n) {
    uint32_t axes = 0;
    for (int i = 0; i < n.n_in; ++i) axes |= node(n.in[i]).axes;
    if (n.kind == Node::Kind::RowReduce) axes &= ~row_axes_;
    if (n.kind != Node::Kind::Input) n.axes = axes;
    if ((n.kind == Node::Kind::Op || n.kind == Node::Kind::Cast) && !kernel_of(n))
      throw ValueError(ErrorText{.what = "an elementwise operation is not defined for this dtype", .where = "tile program", .received = std::string(n.op < Op::ew_end ? ir::info(static_cast<ir::Ew>(n.op)).name : "composite") + " of " + dtype_name(n.operand)}.str());
    g_.nodes.push_back(n);
    return static_cast<int>(g_.nodes.size()) - 1;
  }
  int op1(Op op, int a, DType result, DType operand) {
    Node n;
    n.op = op, n.dtype = result, n.operand = operand, n.n_in = 1, n.in[0] = a;
    return add(n);
  }
  int cast(int a, DType to) {
    if (node(a).dtype == to) return a;
    Node n;
    n.kind = Node::Kind::Cast, n.dtype = to, n.operand = node(a).dtype, n.n_in = 1, n.in[0] = a;
    return add(n);
  }
  int widen(int raw, DType half) { return op1(half == DType::Float16 ? Op::widen_f16 : Op::widen_bf16, raw, DType::Float32, DType::Float32); }
  int narrow(int a, DType half) { return op1(half == DType::Float16 ? Op::narrow_f16 : Op::narrow_bf16, a, half, DType::Float32); }
  /// The value as it would be after a store and a load.
  int rounded(int a, DType half) {
    const Op widened = half == DType::Float16 ? Op::widen_f16 : Op::widen_bf16, round = half == DType::Float16 ? Op::round_f16 : Op::round_bf16;
    if (node(a).kind == Node::Kind::Op && (node(a).op == widened || node(a).op == round)) return a;
    return op1(round, a, DType::Float32, DType::Float32);
  }

  void input(size_t i) {
    Node n;
    n.kind = Node::Kind::Input, n.dtype = spec_.inputs[i].dtype, n.input = static_cast<int>(i);
    for (size_t axis = 0; axis < spec_.shape.size(); ++axis)
      if (spec_.shape[axis] != 1 && spec_.inputs[i].strides[axis] != 0) n.axes |= 1u << axis;
    const int raw = add(n);
    value_.push_back(is_half(n.dtype) ? widen(raw, n.dtype) : raw);
    dtype_.push_back(n.dtype);
  }

  int operand(int reg) const {
    if (reg < 0 || static_cast<size_t>(reg) >= value_.size()) bad("an instruction names a register that does not exist yet", "0 to " + std::to_string(static_cast<int>(value_.size()) - 1), std::to_string(reg));
    return value_[static_cast<size_t>(reg)];
  }
  DType spec_dtype(int reg) const { return dtype_[static_cast<size_t>(reg)]; }

  void instruction(const TileSpec::Instr& instr) {
    int v = -1;
    switch (instr.kind) {
      case TileSpec::Kind::Const: v = constant(instr); break;
      case TileSpec::Kind::RowReduce: v = row_reduce(instr); break;
      case TileSpec::Kind::Ew: v = elementwise(instr); break;
    }
    value_.push_back(v);
    dtype_.push_back(instr.dtype);
  }

  int constant(const TileSpec::Instr& instr) {
    Node n;
    n.kind = Node::Kind::Const, n.dtype = compute_dtype(instr.dtype);
    n.value = is_floating(instr.dtype) ? instr.value : static_cast<double>(instr.ivalue);
    n.ivalue = instr.ivalue;
    if (instr.dtype == DType::Float16) n.value = static_cast<float>(half_t(static_cast<float>(n.value)));
    if (instr.dtype == DType::BFloat16) n.value = static_cast<float>(bfloat16_t(static_cast<float>(n.value)));
    return add(n);
  }

  int row_reduce(const TileSpec::Instr& instr) {
    const int a = cast(operand(instr.a), compute_dtype(instr.dtype));
    if (single_) return a;
    Node n;
    n.kind = Node::Kind::RowReduce, n.dtype = n.operand = node(a).dtype, n.reduce = instr.reduce, n.n_in = 1, n.in[0] = a;
    if (!simd::find_reduce(n.reduce, Pre::none, n.dtype)) bad("a reduction is not defined for this dtype", "", dtype_name(n.dtype));
    return add(n);
  }

  int elementwise(const TileSpec::Instr& instr) {
    using ir::Ew;
    const int arity = ir::info(instr.op).arity;
    const int regs[3] = {instr.a, instr.b, instr.c};
    Node n;
    n.op = simd::op_of(instr.op);
    n.n_in = arity;
    for (int i = 0; i < arity; ++i) n.in[i] = operand(regs[i]);
    const DType first = spec_dtype(instr.a);
    if (instr.op == Ew::copy) return n.in[0];
    if (instr.op == Ew::cast) {
      if (first == instr.dtype) return n.in[0];
      const int v = cast(n.in[0], compute_dtype(instr.dtype));
      return is_half(instr.dtype) ? rounded(v, instr.dtype) : v;
    }
    if (instr.op == Ew::bitcast) return bitcast(n.in[0], first, instr.dtype);
    // All operands share one dtype; select's condition is boolean.
    const int from = instr.op == Ew::select ? 1 : 0;
    if (from == 1 && first != DType::Bool) bad("select needs a boolean condition", "bool", dtype_name(first));
    for (int i = from + 1; i < arity; ++i)
      if (compute_dtype(spec_dtype(regs[i])) != compute_dtype(spec_dtype(regs[from])))
        bad(std::string("the operands of ") + ir::info(instr.op).name + " differ in dtype", dtype_name(spec_dtype(regs[from])), dtype_name(spec_dtype(regs[i])));
    n.operand = node(n.in[from]).dtype;
    n.dtype = ir::info(instr.op).result == ir::EwResult::Bool ? DType::Bool : n.operand;
    if (compute_dtype(instr.dtype) != n.dtype)
      bad(std::string("the result of ") + ir::info(instr.op).name + " has another dtype", dtype_name(n.dtype), dtype_name(instr.dtype));
    // What overflows when stored must be seen as infinite: these ask for the stored value.
    if (is_half(first) && (instr.op == Ew::isnan || instr.op == Ew::isinf || instr.op == Ew::isfinite)) n.in[0] = rounded(n.in[0], first);
    return add(n);
  }

  int bitcast(int a, DType from, DType to) {
    if (dtype_size(from) != dtype_size(to)) bad("bitcast needs dtypes of equal size", dtype_name(from), dtype_name(to));
    if (from == to) return a;
    if (is_half(from)) a = narrow(a, from);
    if (is_half(to)) return widen(a, to);
    return op1(Op::raw_copy, a, to, to);
  }

  void output(const TileSpec::Output& o) {
    Out out;
    out.node = operand(o.reg);
    out.store = spec_dtype(o.reg);
    if (o.column_reduce) {
      out.reduce = o.reduce;
      if (total_) {
        Node n;
        n.kind = Node::Kind::RowReduce, n.dtype = n.operand = node(out.node).dtype, n.reduce = o.reduce, n.n_in = 1, n.in[0] = out.node;
        g_.row_rank = static_cast<int>(spec_.shape.size());
        row_axes_ = ~0u;
        out.node = add(n);
        out.kind = Out::Kind::Row;
      } else {
        out.kind = Out::Kind::Column;
        if (!simd::find_column(o.reduce, Pre::none, node(out.node).dtype)) bad("a reduction is not defined for this dtype", "", dtype_name(out.store));
      }
    } else if (!single_ && !o.broadcast_row && is_row_scalar(spec_, o.reg)) {
      out.kind = Out::Kind::Row;
    }
    if (is_half(out.store) && out.kind != Out::Kind::Column) out.node = narrow(out.node, out.store);
    g_.outs.push_back(out);
  }

  const TileSpec& spec_;
  Graph g_;
  std::vector<int> value_;     // register -> node
  std::vector<DType> dtype_;   // register -> dtype in the spec
  uint32_t row_axes_ = 0;
  int64_t row_size_ = 1;
  bool any_column_ = false, single_ = false, total_ = false;
};

}  // namespace

Graph lower(const TileSpec& spec) { return Lowering(spec).run(); }

}  // namespace tile
}  // namespace keras::cpu
