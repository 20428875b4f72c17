// What lives here: what of a loop's body need not be in the loop. What depends on its constants alone is computed once; a product whose
// operand comes from the sequences, with the elementwise nodes around it, is computed for all steps at once.
#include <algorithm>

#include "passes/passes.h"

namespace keras::passes {

using ir::Node;

std::vector<LoopPart> loop_parts(const Graph& body, const std::vector<LoopRole>& roles) {
  const size_t nv = body.num_values();
  // Per value: what it depends on, and for sequences whether a product is behind it.
  enum : char { Literal, Const, Sequence, Step };
  std::vector<char> kind(nv, Step), product(nv, 0);
  for (size_t i = 0; i < roles.size(); ++i)
    kind[static_cast<size_t>(body.params()[i])] = roles[i] == LoopRole::Const ? Const : roles[i] == LoopRole::Sequence ? Sequence : Step;
  for (const Node& n : body.nodes()) {
    char all = Literal, behind = 0;
    for (ValueId v : n.inputs) all = std::max(all, kind[static_cast<size_t>(v)]), behind |= product[static_cast<size_t>(v)];
    if (all == Sequence) {
      const ir::Type& out = body.type(n.outputs[0]);
      bool can = false;
      if (n.prim->is_ew()) {
        can = true;
        for (ValueId v : n.inputs) can &= kind[static_cast<size_t>(v)] != Sequence || body.type(v).shape.rank() == out.shape.rank();
      } else if (n.prim->is("dot")) {
        can = kind[static_cast<size_t>(n.inputs[0])] == Sequence && kind[static_cast<size_t>(n.inputs[1])] != Sequence && n.attrs.ints("lb").empty();
        behind = 1;
      } else if (!behind) {
        can = n.prim->is("transpose") || (n.prim->is("reshape") && out.shape.is_static());
      }
      if (!can) all = Step;
      else product[static_cast<size_t>(n.outputs[0])] = behind;
    }
    for (ValueId v : n.outputs) kind[static_cast<size_t>(v)] = all;
  }
  std::vector<LoopPart> parts(nv, LoopPart::Inside);
  for (size_t v = 0; v < nv; ++v) {
    if (kind[v] == Literal) parts[v] = LoopPart::Anywhere;
    else if (kind[v] == Const) parts[v] = LoopPart::Once;
    else if (kind[v] == Sequence) parts[v] = product[v] || body.value(static_cast<ValueId>(v)).node < 0 ? LoopPart::AllSteps : LoopPart::Both;
  }
  return parts;
}

ir::Attrs for_all_steps(const Node& node, int64_t length) {
  ir::Attrs attrs = node.attrs;
  auto later = [](const ir::Ints& axes) {
    ir::Ints r;
    for (int64_t a : axes) r.push_back(a + 1);
    return r;
  };
  if (node.prim->is("dot")) {
    attrs.set("lc", later(attrs.ints("lc")));
  } else if (node.prim->is("transpose")) {
    ir::Ints perm = later(attrs.ints("perm"));
    perm.insert(perm.begin(), 0);
    attrs.set("perm", perm);
  } else if (node.prim->is("reshape")) {
    ir::Ints shape = attrs.ints("shape");
    shape.insert(shape.begin(), length);
    attrs.set("shape", shape);
  }
  return attrs;
}

}  // namespace keras::passes
