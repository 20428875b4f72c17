// What lives here: loops that don't need each other (the two directions of a bidirectional layer) become one node, whose kernel may run them
// on several threads at once.
#include <algorithm>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Node;

namespace {

bool is_loop(const Node& n) { return n.prim->is("scan") || n.prim->is("together"); }

// Does node `later` need a result of node `earlier`?
bool needs(const Graph& g, size_t later, size_t earlier) {
  std::vector<char> seen(g.nodes().size(), 0);
  std::vector<size_t> stack{later};
  while (!stack.empty()) {
    const size_t at = stack.back();
    stack.pop_back();
    for (ValueId v : g.nodes()[at].inputs) {
      const int n = g.value(v).node;
      if (n < 0 || static_cast<size_t>(n) < earlier || seen[static_cast<size_t>(n)]) continue;
      if (static_cast<size_t>(n) == earlier) return true;
      seen[static_cast<size_t>(n)] = 1;
      stack.push_back(static_cast<size_t>(n));
    }
  }
  return false;
}

// The two nodes as one; what needs the first comes after what the second needs.
Graph joined(const Graph& from, size_t first, size_t second) {
  auto body = std::make_shared<Graph>();
  std::vector<ValueId> outer, results;
  const auto take = [&](const Node& n) {
    std::vector<ValueId> params;
    for (ValueId v : n.inputs) params.push_back(body->add_param(from.type(v)));
    outer.insert(outer.end(), n.inputs.begin(), n.inputs.end());
    results.insert(results.end(), n.outputs.begin(), n.outputs.end());
    return params;
  };
  const Node &a = from.nodes()[first], &b = from.nodes()[second];
  const std::vector<ValueId> params[] = {take(a), take(b)};  // all parameters stand before the nodes
  for (size_t side = 0; side < 2; ++side) {
    const Node& n = side ? b : a;
    std::vector<ValueId> made;
    if (n.prim->is("together")) {
      made = inline_graph(*body, n.attrs.graph("body"), params[side]);
    } else {
      const ir::OriginScope origin(n.origin);
      body->emit(*n.prim, params[side], n.attrs);
      made = body->nodes().back().outputs;
    }
    body->outputs.insert(body->outputs.end(), made.begin(), made.end());
  }
  Graph to;
  std::vector<ValueId> map(from.num_values(), -1);
  for (ValueId p : from.params()) map[static_cast<size_t>(p)] = to.add_param(from.type(p));
  const auto emit = [&](const ir::Primitive& prim, const std::vector<ValueId>& in, const std::vector<ValueId>& out, Attrs attrs,
                        const ir::OriginPtr& origin) {
    std::vector<ValueId> args;
    const ir::OriginScope scope(origin);
    for (ValueId v : in) args.push_back(map[static_cast<size_t>(v)]);
    to.emit(prim, std::move(args), std::move(attrs));
    for (size_t k = 0; k < out.size(); ++k) map[static_cast<size_t>(out[k])] = to.nodes().back().outputs[k];
  };
  std::vector<size_t> waiting;
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    const Node& n = from.nodes()[i];
    if (i == first) continue;
    if (i == second) {
      emit(ir::primitive("together"), outer, results, Attrs{{"body", std::shared_ptr<const Graph>(body)}}, ir::joined({a.origin, b.origin}));
      for (size_t w : waiting) emit(*from.nodes()[w].prim, from.nodes()[w].inputs, from.nodes()[w].outputs, from.nodes()[w].attrs, from.nodes()[w].origin);
      continue;
    }
    const bool ready = std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return map[static_cast<size_t>(v)] >= 0; });
    if (ready) emit(*n.prim, n.inputs, n.outputs, n.attrs, n.origin);
    else waiting.push_back(i);
  }
  for (ValueId v : from.outputs) to.outputs.push_back(map[static_cast<size_t>(v)]);
  return to;
}

}  // namespace

Graph loops_together(const Graph& graph) {
  Graph g = graph;
  for (bool again = true; again;) {
    again = false;
    std::vector<size_t> loops;
    for (size_t i = 0; i < g.nodes().size(); ++i)
      if (is_loop(g.nodes()[i])) loops.push_back(i);
    // Neighbours alone: two that are far apart would keep what is between them waiting, and in memory.
    for (size_t k = 0; k + 1 < loops.size() && !again; ++k)
      if (!needs(g, loops[k + 1], loops[k])) g = joined(g, loops[k], loops[k + 1]), again = true;
  }
  return g;
}

}  // namespace keras::passes
