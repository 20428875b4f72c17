// What lives here: reverse-mode differentiation of a graph. The rule of each primitive stands with the primitive.
#include <fmt/format.h>

#include "passes/passes.h"

namespace keras::passes {

std::vector<ValueId> inline_graph(Graph& into, const Graph& graph, const std::vector<ValueId>& args) {
  std::vector<ValueId> map(graph.num_values(), -1);
  for (size_t i = 0; i < graph.params().size(); ++i) map[static_cast<size_t>(graph.params()[i])] = args[i];
  for (const ir::Node& n : graph.nodes()) {
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map[static_cast<size_t>(v)]);
    into.emit(*n.prim, std::move(in), n.attrs);
    const auto& out = into.nodes().back().outputs;
    for (size_t i = 0; i < out.size(); ++i) map[static_cast<size_t>(n.outputs[i])] = out[i];
  }
  std::vector<ValueId> result;
  for (ValueId v : graph.outputs) result.push_back(map[static_cast<size_t>(v)]);
  return result;
}

static ValueId add_up(Graph& g, ValueId a, ValueId b) {
  static const ir::Primitive& add = ir::primitive("add");
  return a < 0 ? b : b < 0 ? a : g.emit(add, {a, b});
}

std::vector<ValueId> vjp(Graph& g, const std::vector<ValueId>& ys, const std::vector<ValueId>& cotangents, const std::vector<ValueId>& wrt) {
  std::vector<char> depends(g.num_values(), 0);
  for (ValueId v : wrt) depends[static_cast<size_t>(v)] = 1;
  size_t count = g.nodes().size();
  for (const ir::Node& n : g.nodes()) {
    char d = 0;
    for (ValueId v : n.inputs) d |= depends[static_cast<size_t>(v)];
    for (ValueId v : n.outputs) depends[static_cast<size_t>(v)] |= d && is_floating(g.type(v).dtype);
  }
  // Rules append nodes and values (and a scan's rule appends outputs to its own node), so cotangents grow with the graph.
  std::vector<ValueId> ct(g.num_values(), -1);
  auto at = [&](ValueId v) -> ValueId& {
    if (static_cast<size_t>(v) >= ct.size()) ct.resize(g.num_values(), -1);
    return ct[static_cast<size_t>(v)];
  };
  for (size_t i = 0; i < ys.size(); ++i)
    if (depends[static_cast<size_t>(ys[i])]) at(ys[i]) = add_up(g, at(ys[i]), cotangents[i]);
  for (size_t i = count; i-- > 0;) {
    const ir::Primitive& prim = *g.nodes()[i].prim;
    ir::VjpRequest r{g, g.nodes()[i].inputs, g.nodes()[i].outputs, g.nodes()[i].attrs, {}, {}, static_cast<int>(i)};
    bool any_wanted = false, any_cotangent = false;
    for (ValueId v : r.inputs) {
      r.wanted.push_back(static_cast<size_t>(v) < depends.size() && depends[static_cast<size_t>(v)]);
      any_wanted |= r.wanted.back();
    }
    for (ValueId v : r.outputs) {
      r.cotangents.push_back(at(v));
      any_cotangent |= at(v) >= 0;
    }
    if (!any_wanted || !any_cotangent || prim.flat) continue;
    if (!prim.vjp) throw NotImplementedError(fmt::format("the gradient of '{}' is not there", prim.name));
    if (r.outputs.size() == 1 && r.cotangents[0] < 0) continue;
    std::vector<ValueId> inputs = r.inputs;
    std::vector<ValueId> back = prim.vjp(r);
    for (size_t k = 0; k < back.size(); ++k)
      if (back[k] >= 0 && r.wanted[k]) {
        ValueId sum = add_up(g, at(inputs[k]), back[k]);
        at(inputs[k]) = sum;
      }
  }
  std::vector<ValueId> result;
  for (ValueId v : wrt) result.push_back(at(v));
  return result;
}

}  // namespace keras::passes
