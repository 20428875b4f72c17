// What lives here: gradients of tables that are never written out. A scatter_add that one elementwise cluster over the rows of the table reads
// (an optimizer's update) becomes part of it.
#include <algorithm>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Node;

namespace {

// The input of the cluster that is such a gradient, or -1.
int gradient_of(const Graph& g, const Node& n, const std::vector<int>& uses) {
  const Shape space(n.attrs.ints("space"));
  if (space.rank() < 2 || n.attrs.i("row_rank") != 0) return -1;
  const Graph& body = n.attrs.graph("body");
  for (const Node& m : body.nodes())
    if (!m.prim->is_ew() && !m.prim->is("constant")) return -1;
  for (ValueId v : body.outputs)
    if (body.type(v).shape != space) return -1;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    const Node* made = g.producer(n.inputs[i]);
    const ir::Type& t = g.type(n.inputs[i]);
    if (made && made->prim->is("scatter_add") && made->attrs.i("axis") == 0 && uses[static_cast<size_t>(n.inputs[i])] == 1 && t.shape == space &&
        (t.dtype == DType::Float32 || t.dtype == DType::Float64) && g.type(made->inputs[0]).shape.numel() > 0)
      return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

Graph sparse_updates(const Graph& from) {
  std::vector<int> uses(from.num_values(), 0), joined(from.nodes().size(), -1);
  std::vector<char> gone(from.nodes().size(), 0);
  for (const Node& n : from.nodes())
    for (ValueId v : n.inputs) ++uses[static_cast<size_t>(v)];
  for (ValueId v : from.outputs) uses[static_cast<size_t>(v)] += 2;
  bool any = false;
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    const Node& n = from.nodes()[i];
    if (!n.prim->is("cluster")) continue;
    joined[i] = gradient_of(from, n, uses);
    if (joined[i] >= 0) any = true, gone[static_cast<size_t>(from.value(n.inputs[static_cast<size_t>(joined[i])]).node)] = 1;
  }
  if (!any) return from;
  Graph to;
  std::vector<ValueId> map(from.num_values(), -1);
  for (ValueId p : from.params()) map[static_cast<size_t>(p)] = to.add_param(from.type(p));
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    if (gone[i]) continue;
    const Node& n = from.nodes()[i];
    const ir::OriginScope origin(n.origin);
    Attrs attrs = n.attrs;
    std::vector<ValueId> in;
    if (joined[i] >= 0) {
      const Node& scatter = *from.producer(n.inputs[static_cast<size_t>(joined[i])]);
      for (ValueId v : scatter.inputs) in.push_back(map[static_cast<size_t>(v)]);
      attrs.set("gradient", int64_t{joined[i]});
    }
    for (size_t k = 0; k < n.inputs.size(); ++k)
      if (static_cast<int>(k) != joined[i]) in.push_back(map[static_cast<size_t>(n.inputs[k])]);
    to.emit(joined[i] >= 0 ? ir::primitive("scatter_cluster") : *n.prim, std::move(in), std::move(attrs));
    for (size_t k = 0; k < n.outputs.size(); ++k) map[static_cast<size_t>(n.outputs[k])] = to.nodes().back().outputs[k];
  }
  for (ValueId v : from.outputs) to.outputs.push_back(map[static_cast<size_t>(v)]);
  return to;
}

}  // namespace keras::passes
