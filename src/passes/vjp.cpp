// What lives here: reverse-mode differentiation of a graph. The rule of each primitive stands with the primitive.
#include <algorithm>
#include <fmt/format.h>

#include <map>
#include <unordered_map>

#include "passes/attention.h"
#include "passes/passes.h"

namespace keras::passes {

using ir::Ints;

std::vector<ValueId> inline_graph(Graph& into, const Graph& graph, const std::vector<ValueId>& args) {
  std::vector<ValueId> map(graph.num_values(), -1);
  for (size_t i = 0; i < graph.params().size(); ++i) map[static_cast<size_t>(graph.params()[i])] = args[i];
  for (const ir::Node& n : graph.nodes()) {
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map[static_cast<size_t>(v)]);
    const ir::OriginScope origin(n.origin ? n.origin : ir::current_origin());
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

namespace {

/// The attentions that one node can differentiate, by the node that makes their result.
std::unordered_map<int, AttentionSite> whole_attentions(const Graph& g, const std::vector<ValueId>& ys, const std::vector<ValueId>& wrt,
                                                        const std::vector<char>& depends) {
  std::unordered_map<int, AttentionSite> out;
  for (AttentionSite& s : find_attentions(g, ys, wrt)) {
    const auto needed = [&](size_t i) { return depends[static_cast<size_t>(s.inputs[i])] != 0; };
    bool any = needed(0) || needed(1) || needed(2), bias = false;
    for (size_t i = 3; i < s.inputs.size(); ++i) bias |= needed(i);
    for (const auto& [prim, v] : s.q_scales) any |= depends[static_cast<size_t>(v)] != 0;
    if (any && !bias) out.emplace(g.value(s.y).node, std::move(s));
  }
  return out;
}

/// Values as the gradient of a call that is not kept (ir::Remat) reads them: computed again from what was before the call, but not before
/// the cotangent that asks for them is there. Those of a call inside of it, again from what the outer one has computed again.
class Again {
 public:
  explicit Again(Graph& g) : g_(g) {}
  using Group = const ir::Remat*;
  Group group_of(int node) const {
    const ir::OriginPtr& o = g_.nodes()[static_cast<size_t>(node)].origin;
    return o ? next(o->remat.get()) : nullptr;
  }
  /// `value` as a node of `group` (null: of none) sees it.
  ValueId value(ValueId value, Group group, ValueId after) {
    static const ir::Primitive& again = ir::primitive("again");
    if (!group || g_.literal(value)) return value;
    if (const auto it = made_.find({group, value}); it != made_.end()) return it->second;
    const int n = g_.value(value).node;
    if (n < 0 || !inside(group_of(n), group)) {
      const ValueId from = this->value(value, next(group->outer.get()), after);
      return made_[{group, value}] = g_.emit(again, {from, after});
    }
    const ir::Node node = g_.nodes()[static_cast<size_t>(n)];
    std::vector<ValueId> in;
    for (ValueId v : node.inputs) in.push_back(this->value(v, group, after));
    const ir::OriginScope origin(ir::again_of(node.origin));
    g_.emit(*node.prim, std::move(in), node.attrs);
    const std::vector<ValueId>& out = g_.nodes().back().outputs;
    for (size_t k = 0; k < node.outputs.size(); ++k) made_[{group, node.outputs[k]}] = out[k];
    return made_.at({group, value});
  }

 private:
  static Group next(Group r) {
    while (r && r->off) r = r->outer.get();
    return r;
  }
  static bool inside(Group r, Group group) {
    while (r && r != group) r = r->outer.get();
    return r == group;
  }
  Graph& g_;
  std::map<std::pair<Group, ValueId>, ValueId> made_;
};

/// Appends the attention of a site and its gradient, and gives the cotangents of q, k, v and the scales of q to `add`, by the values of `of`,
/// which `s` reads again.
template <class Add> void differentiate(Graph& g, const AttentionSite& of, const AttentionSite& s, ValueId cotangent, Add add) {
  static const ir::Primitive &mul = ir::primitive("mul"), &div = ir::primitive("div"), &neg = ir::primitive("neg"),
                             &reduce_sum = ir::primitive("reduce_sum"), &reshape = ir::primitive("reshape");
  std::vector<ValueId> scales;
  for (const auto& [prim, v] : s.q_scales) scales.push_back(v);
  const std::vector<ValueId> q = emit_attention(g, s, s.inputs, scales);
  const std::vector<ValueId> made = g.nodes().back().outputs;
  std::vector<ValueId> in{q.back(), s.inputs[1], s.inputs[2], made[0], made[1], cotangent};
  in.insert(in.end(), s.inputs.begin() + 3, s.inputs.end());
  g.emit(ir::primitive("attention_backward"), std::move(in), s.form.attrs());
  const std::vector<ValueId> back = g.nodes().back().outputs;
  add(of.inputs[1], back[1]);
  add(of.inputs[2], back[2]);
  ValueId dq = back[0];
  for (size_t i = scales.size(); i-- > 0;) {
    const ir::Primitive& prim = *s.q_scales[i].first;
    const bool product = prim.ew == ir::Ew::mul;
    const ValueId by = g.emit(reshape, {scales[i]}, ir::Attrs{{"shape", Ints{}}});
    Ints axes;
    for (int a = 0; a < g.type(dq).shape.rank(); ++a) axes.push_back(a);
    ValueId share = g.emit(reduce_sum, {g.emit(mul, {dq, q[product ? i : i + 1]})}, ir::Attrs{{"axes", axes}, {"keepdims", int64_t{0}}});
    if (!product) share = g.emit(neg, {g.emit(div, {share, by})});
    const Shape shape = g.type(scales[i]).shape;
    add(of.q_scales[i].second, g.emit(reshape, {share}, ir::Attrs{{"shape", shape.dims()}}));
    dq = g.emit(prim, {dq, by});
  }
  add(of.inputs[0], dq);
}

}  // namespace

std::vector<ValueId> vjp(Graph& g, const std::vector<ValueId>& ys, const std::vector<ValueId>& cotangents, const std::vector<ValueId>& wrt,
                         bool whole) {
  std::vector<char> depends(g.num_values(), 0);
  for (ValueId v : wrt) depends[static_cast<size_t>(v)] = 1;
  size_t count = g.nodes().size();
  for (const ir::Node& n : g.nodes()) {
    char d = 0;
    for (ValueId v : n.inputs) d |= depends[static_cast<size_t>(v)];
    for (ValueId v : n.outputs) depends[static_cast<size_t>(v)] |= d && is_floating(g.type(v).dtype);
  }
  std::unordered_map<int, AttentionSite> attentions;
  if (whole && fusion()) attentions = whole_attentions(g, ys, wrt, depends);
  // Rules append nodes and values (and a scan's rule appends outputs to its own node), so cotangents grow with the graph.
  std::vector<ValueId> ct(g.num_values(), -1);
  auto at = [&](ValueId v) -> ValueId& {
    if (static_cast<size_t>(v) >= ct.size()) ct.resize(g.num_values(), -1);
    return ct[static_cast<size_t>(v)];
  };
  for (size_t i = 0; i < ys.size(); ++i)
    if (depends[static_cast<size_t>(ys[i])]) at(ys[i]) = add_up(g, at(ys[i]), cotangents[i]);
  Again again(g);
  std::unordered_map<const ir::Origin*, ir::OriginPtr> gradient_origins;
  for (size_t i = count; i-- > 0;) {
    ir::OriginPtr& origin = gradient_origins[g.nodes()[i].origin.get()];
    if (!origin) origin = ir::gradient_of(g.nodes()[i].origin);
    const ir::OriginScope scope(origin);
    const Again::Group group = again.group_of(static_cast<int>(i));
    if (const auto site = attentions.find(static_cast<int>(i)); site != attentions.end()) {
      if (const ValueId cotangent = at(site->second.y); cotangent >= 0) {
        AttentionSite seen = site->second;
        for (ValueId& v : seen.inputs) v = again.value(v, group, cotangent);
        for (auto& [prim, v] : seen.q_scales) v = again.value(v, group, cotangent);
        differentiate(g, site->second, seen, cotangent, [&](ValueId to, ValueId by) {
          if (!depends[static_cast<size_t>(to)]) return;
          const ValueId sum = add_up(g, at(to), by);
          at(to) = sum;
        });
      }
      continue;
    }
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
    if (group) {
      const ValueId after = *std::find_if(r.cotangents.begin(), r.cotangents.end(), [](ValueId v) { return v >= 0; });
      for (ValueId& v : r.inputs) v = again.value(v, group, after);
      for (ValueId& v : r.outputs) v = again.value(v, group, after);
      r.node = g.value(r.outputs[0]).node;
    }
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
