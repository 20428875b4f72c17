// What lives here: the clean-up pass: dead code, common subexpressions, identities, transposes into dots.
#include <algorithm>
#include <unordered_map>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ints;
using ir::Literal;
using ir::Node;

namespace {

class Simplifier {
 public:
  explicit Simplifier(const Graph& from) : from_(from), map_(from.num_values(), -1) {}

  Graph run() {
    mark();
    for (ValueId p : from_.params()) map_[static_cast<size_t>(p)] = to_.add_param(from_.type(p));
    for (size_t i = 0; i < from_.nodes().size(); ++i)
      if (needed_[i]) visit(from_.nodes()[i]);
    for (ValueId v : from_.outputs) to_.outputs.push_back(map_[static_cast<size_t>(v)]);
    return std::move(to_);
  }

 private:
  void mark() {
    needed_.assign(from_.nodes().size(), false);
    std::vector<int> stack;
    auto need = [&](ValueId v) {
      int n = from_.value(v).node;
      if (n >= 0 && !needed_[static_cast<size_t>(n)]) needed_[static_cast<size_t>(n)] = true, stack.push_back(n);
    };
    for (ValueId v : from_.outputs) need(v);
    while (!stack.empty()) {
      int n = stack.back();
      stack.pop_back();
      for (ValueId v : from_.nodes()[static_cast<size_t>(n)].inputs) need(v);
    }
  }

  bool number(ValueId v, double want) const {
    const Literal* l = to_.literal(v);
    double x;
    return l && l->uniform(&x) && x == want;
  }

  // The value that the new node would equal, or -1.
  ValueId identity(const Node& n, const std::vector<ValueId>& in, const ir::Type& out) const {
    auto same = [&](ValueId v) { return to_.type(v) == out ? v : -1; };
    std::string_view name = n.prim->name;
    if (n.prim->is_ew()) {
      switch (n.prim->ew) {
        case ir::Ew::copy: return same(in[0]);
        case ir::Ew::mul: return number(in[1], 1) ? same(in[0]) : number(in[0], 1) ? same(in[1]) : -1;
        case ir::Ew::add: return number(in[1], 0) ? same(in[0]) : number(in[0], 0) ? same(in[1]) : -1;
        case ir::Ew::sub: return number(in[1], 0) ? same(in[0]) : -1;
        case ir::Ew::div: return number(in[1], 1) ? same(in[0]) : -1;
        case ir::Ew::cast: return same(in[0]);
        default: return -1;
      }
    }
    if (name == "reshape" || name == "broadcast_to" || name == "stop_gradient") return same(in[0]);
    return -1;
  }

  ValueId emit(const ir::Primitive& prim, std::vector<ValueId> in, Attrs attrs) {
    std::string key(prim.name);
    for (ValueId v : in) key += "," + std::to_string(v);
    key += "|" + attrs.str(true);
    auto [it, fresh] = seen_.try_emplace(std::move(key), static_cast<int>(to_.nodes().size()));
    if (fresh) to_.emit(prim, std::move(in), std::move(attrs));
    return to_.nodes()[static_cast<size_t>(it->second)].outputs[0];
  }
  const Node& node_of(ValueId v) const { return *to_.producer(v); }

  // Elementwise nodes broadcast by themselves: read through broadcast_to where the result keeps its shape.
  void drop_broadcasts(std::vector<ValueId>& in, const Shape& out) {
    for (size_t i = 0; i < in.size(); ++i) {
      const Node* p = to_.producer(in[i]);
      if (!p || !p->prim->is("broadcast_to")) continue;
      std::vector<ValueId> trial = in;
      trial[i] = p->inputs[0];
      Shape s = to_.type(trial[0]).shape;
      for (size_t k = 1; k < trial.size(); ++k) s = broadcast_shapes(s, to_.type(trial[k]).shape);
      if (s == out) in = trial;
    }
  }

  void transposes_into_dot(std::vector<ValueId>& in, Attrs& attrs) {
    const char* contract[] = {"lc", "rc"};
    const char* batch[] = {"lb", "rb"};
    for (size_t side = 0; side < 2; ++side) {
      const Node* p = to_.producer(in[side]);
      if (!p || !p->prim->is("transpose")) continue;
      const Ints& perm = p->attrs.ints("perm");
      auto renamed = [&](const Ints& axes) {
        Ints r;
        for (int64_t a : axes) r.push_back(perm[static_cast<size_t>(a)]);
        return r;
      };
      Ints c = renamed(attrs.ints(contract[side])), b = renamed(attrs.ints(batch[side]));
      // The free axes must stay in order, or the output's axes would change places.
      Ints free;
      for (size_t a = 0; a < perm.size(); ++a)
        if (std::find(c.begin(), c.end(), perm[a]) == c.end() && std::find(b.begin(), b.end(), perm[a]) == b.end()) free.push_back(perm[a]);
      if (!std::is_sorted(free.begin(), free.end())) continue;
      attrs.set(contract[side], c);
      attrs.set(batch[side], b);
      in[side] = p->inputs[0];
    }
  }

  // A value in zeros along one axis: the gradient of a slice.
  struct Padded {
    ValueId value = -1;
    int axis = -1;
    int64_t from = 0, to = 0;
  };
  bool padded(ValueId v, Padded* out) const {
    const Node* p = to_.producer(v);
    if (!p || !p->prim->is("pad") || !number(p->inputs[1], 0)) return false;
    const Ints &lo = p->attrs.ints("lo"), &hi = p->attrs.ints("hi"), &interior = p->attrs.ints("interior");
    for (size_t i = 0; i < lo.size(); ++i) {
      if (lo[i] < 0 || hi[i] < 0 || interior[i]) return false;
      if (lo[i] == 0 && hi[i] == 0) continue;
      if (out->axis >= 0) return false;
      out->axis = static_cast<int>(i), out->from = lo[i];
    }
    out->value = p->inputs[0];
    if (out->axis < 0 || !to_.type(v).shape.is_static()) return false;
    out->to = out->from + to_.type(out->value).shape[out->axis];
    return true;
  }
  // The sum of two such that stand side by side is one; the gates of a recurrent step become a concat. -1 where they don't.
  ValueId side_by_side(const std::vector<ValueId>& in, const ir::Type& out) {
    Padded a, b;
    if (to_.type(in[0]) != out || to_.type(in[1]) != out || !padded(in[0], &a) || !padded(in[1], &b) || a.axis != b.axis) return -1;
    if (a.from > b.from) std::swap(a, b);
    if (a.to != b.from) return -1;
    std::vector<ValueId> parts;
    for (ValueId v : {a.value, b.value}) {
      const Node* p = to_.producer(v);
      if (p && p->prim->is("concat") && p->attrs.i("axis") == a.axis) parts.insert(parts.end(), p->inputs.begin(), p->inputs.end());
      else parts.push_back(v);
    }
    ValueId joined = emit(ir::primitive("concat"), parts, Attrs{{"axis", int64_t{a.axis}}});
    size_t rank = out.shape.size(), k = static_cast<size_t>(a.axis);
    Ints lo(rank, 0), hi(rank, 0), interior(rank, 0);
    lo[k] = a.from, hi[k] = out.shape[a.axis] - b.to;
    if (lo[k] == 0 && hi[k] == 0) return joined;
    return emit(ir::primitive("pad"), {joined, to_.constant(out.dtype, 0)}, Attrs{{"lo", lo}, {"hi", hi}, {"interior", interior}});
  }

  // Rows of a table in another order of the indices' axes are read in that order: the indices are transposed instead. -1 where rows are
  // transposed themselves.
  ValueId transposed_gather(ValueId gathered, const Ints& perm) {
    const Node* p = to_.producer(gathered);
    if (!p || !p->prim->is("gather") || p->attrs.i("axis") != 0) return -1;
    const size_t k = to_.type(p->inputs[1]).shape.size();
    if (!moves_first(perm, k)) return -1;
    const ValueId table = p->inputs[0], indices = p->inputs[1];
    Attrs attrs = p->attrs;
    Ints first(perm.begin(), perm.begin() + static_cast<std::ptrdiff_t>(k)), order = first;
    if (attrs.find("order"))
      for (size_t i = 0; i < k; ++i) order[i] = attrs.ints("order")[static_cast<size_t>(first[i])];
    attrs.set("order", order);
    return emit(ir::primitive("gather"), {table, emit(ir::primitive("transpose"), {indices}, Attrs{{"perm", first}})}, attrs);
  }
  // The same for the gradient of such a read.
  void transposes_into_scatter(std::vector<ValueId>& in, const Attrs& attrs) {
    const Node* p = to_.producer(in[1]);
    const size_t k = to_.type(in[0]).shape.size();
    if (attrs.i("axis") != 0 || !p || !p->prim->is("transpose") || !moves_first(p->attrs.ints("perm"), k)) return;
    const Ints& perm = p->attrs.ints("perm");
    Ints back(k);
    for (size_t i = 0; i < k; ++i) back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
    in[1] = p->inputs[0];
    in[0] = emit(ir::primitive("transpose"), {in[0]}, Attrs{{"perm", back}});
  }
  // Does the permutation move the first k axes among themselves alone?
  static bool moves_first(const Ints& perm, size_t k) {
    for (size_t i = k; i < perm.size(); ++i)
      if (perm[i] != static_cast<int64_t>(i)) return false;
    return k >= 2 && k <= perm.size();
  }

  // Zeros around the spatial axes are a convolution's own padding.
  void padding_into_conv(std::vector<ValueId>& in, Attrs& attrs) {
    const Node* p = to_.producer(in[0]);
    if (!p || !p->prim->is("pad") || !number(p->inputs[1], 0)) return;
    const Ints &lo = p->attrs.ints("lo"), &hi = p->attrs.ints("hi"), &interior = p->attrs.ints("interior");
    size_t last = lo.size() - 1;
    if (lo[0] || hi[0] || lo[last] || hi[last]) return;
    for (size_t i = 0; i < lo.size(); ++i)
      if (lo[i] < 0 || hi[i] < 0 || interior[i]) return;
    Ints conv_lo = attrs.ints("lo"), conv_hi = attrs.ints("hi");
    for (size_t i = 1; i < last; ++i) conv_lo[i - 1] += lo[i], conv_hi[i - 1] += hi[i];
    attrs.set("lo", conv_lo);
    attrs.set("hi", conv_hi);
    in[0] = p->inputs[0];
  }

  void visit(const Node& n) {
    const ir::OriginScope origin(n.origin);
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map_[static_cast<size_t>(v)]);
    Attrs attrs = n.attrs;
    const ir::Type& out = from_.type(n.outputs[0]);
    std::string_view name = n.prim->name;
    if (n.outputs.size() == 1) {
      if (ValueId same = identity(n, in, out); same >= 0) {
        map_[static_cast<size_t>(n.outputs[0])] = same;
        return;
      }
    }
    if (n.prim->is_ew()) {
      if (n.prim->ew == ir::Ew::add) {
        if (ValueId joined = side_by_side(in, out); joined >= 0) {
          map_[static_cast<size_t>(n.outputs[0])] = joined;
          return;
        }
      }
      drop_broadcasts(in, out.shape);
      // max(x, 0) > 0 holds just where x > 0: read the activation, so that what was before it need not be kept.
      if (n.prim->ew == ir::Ew::greater && number(in[1], 0)) {
        for (const auto& [key, index] : relus_)
          if (key == in[0]) in[0] = index;
      }
    } else if (name == "reshape") {
      while (const Node* p = to_.producer(in[0])) {
        if (!p->prim->is("reshape")) break;
        in[0] = p->inputs[0];
      }
      if (to_.type(in[0]) == out) {
        map_[static_cast<size_t>(n.outputs[0])] = in[0];
        return;
      }
    } else if (name == "transpose") {
      if (const Node* p = to_.producer(in[0]); p && p->prim->is("transpose")) {
        const Ints &outer = attrs.ints("perm"), &inner = p->attrs.ints("perm");
        Ints both;
        for (int64_t a : outer) both.push_back(inner[static_cast<size_t>(a)]);
        in[0] = p->inputs[0];
        if (std::is_sorted(both.begin(), both.end())) {
          map_[static_cast<size_t>(n.outputs[0])] = in[0];
          return;
        }
        attrs.set("perm", both);
      }
      // Moving axes of size 1 moves no data.
      const Ints& perm = attrs.ints("perm");
      Ints moved;
      for (int64_t a : perm)
        if (to_.type(in[0]).shape[static_cast<int>(a)] != 1) moved.push_back(a);
      if (std::is_sorted(moved.begin(), moved.end()) && out.shape.is_static()) {
        map_[static_cast<size_t>(n.outputs[0])] = emit(ir::primitive("reshape"), in, Attrs{{"shape", out.shape.dims()}});
        return;
      }
      if (ValueId rows = transposed_gather(in[0], perm); rows >= 0) {
        map_[static_cast<size_t>(n.outputs[0])] = rows;
        return;
      }
    } else if (name == "dot") {
      transposes_into_dot(in, attrs);
    } else if (name == "scatter_add") {
      transposes_into_scatter(in, attrs);
    } else if (name == "conv" || name == "conv_backward_filter") {
      padding_into_conv(in, attrs);
    }
    ValueId first = emit(*n.prim, in, attrs);
    const Node& made = node_of(first);
    for (size_t i = 0; i < n.outputs.size(); ++i) map_[static_cast<size_t>(n.outputs[i])] = made.outputs[i];
    if (n.prim->ew == ir::Ew::maximum && number(in[1], 0) && to_.type(in[0]) == out) relus_.emplace_back(in[0], first);
  }

  const Graph& from_;
  Graph to_;
  std::vector<ValueId> map_;
  std::vector<bool> needed_;
  std::unordered_map<std::string, int> seen_;
  std::vector<std::pair<ValueId, ValueId>> relus_;  // operand of max(·, 0) → its result
};

}  // namespace

Graph simplify(const Graph& graph) {
  // A second round drops what the first made dead, and merges what became equal.
  return Simplifier(Simplifier(graph).run()).run();
}

}  // namespace keras::passes
