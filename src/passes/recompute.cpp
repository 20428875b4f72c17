// What lives here: what a cluster would write for later clusters alone, and they can make again from what they read or what is kept anyway:
// the inside of an activation for its gradient, a normalised value from its input and its row's statistics. Writing a large value and
// reading it back costs more than a few operations on what is in a register.
#include <algorithm>
#include <map>
#include <set>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ew;
using ir::Literal;
using ir::Node;

namespace {

constexpr size_t kMaxClusterNodes = 100;
constexpr int64_t kLargeBytes = 1 << 20;  // beyond about what the second-level cache keeps

/// Nanoseconds per element, roughly.
double cost_of(Ew op) {
  switch (op) {
    case Ew::exp: case Ew::expm1: case Ew::log: case Ew::log1p: case Ew::tanh: case Ew::erf: case Ew::sigmoid: case Ew::softplus: return 0.35;
    case Ew::div: case Ew::sqrt: case Ew::rsqrt: case Ew::reciprocal: return 0.15;
    case Ew::copy: case Ew::cast: case Ew::neg: case Ew::abs: case Ew::square: case Ew::add: case Ew::sub: case Ew::mul: case Ew::maximum:
    case Ew::minimum: case Ew::select: case Ew::equal: case Ew::not_equal: case Ew::less: case Ew::less_equal: case Ew::greater:
    case Ew::greater_equal: case Ew::logical_and: case Ew::logical_or: case Ew::logical_not: return 0.06;
    default: return 10;  // dear, or rare
  }
}
/// What writing a value and reading it again costs in the same measure.
double traffic_of(const ir::Type& t) {
  const int64_t size = static_cast<int64_t>(dtype_size(t.dtype));
  return static_cast<double>(size) / 4 * (t.shape.numel() * size >= kLargeBytes ? 0.8 : 0.25);
}

class Recomputer {
 public:
  explicit Recomputer(const Graph& g) : g_(g) {
    for (size_t v = 0; v < g.num_values(); ++v) types_.push_back(g.type(static_cast<ValueId>(v)));
    users_.resize(types_.size());
    for (const Node& n : g.nodes()) {
      Unit u{&n, n.inputs, n.outputs, nullptr, {}};
      if (n.prim->is("cluster")) u.body = n.attrs.get<std::shared_ptr<const Graph>>("body"), u.space = Shape(n.attrs.ints("space"));
      for (ValueId v : n.inputs) users_[static_cast<size_t>(v)].insert(static_cast<int>(units_.size()));
      units_.push_back(std::move(u));
    }
    kept_.assign(types_.size(), 0);
    for (ValueId v : g.outputs) kept_[static_cast<size_t>(v)] = 1;
  }

  Graph run() {
    for (size_t i = 0; i < units_.size(); ++i)
      if (units_[i].body) lighten(static_cast<int>(i));
    if (!changed_) return g_;
    Graph to;
    std::vector<ValueId> map(types_.size(), -1);
    for (ValueId p : g_.params()) map[static_cast<size_t>(p)] = to.add_param(g_.type(p));
    for (const Unit& u : units_) {
      std::vector<ValueId> in;
      for (ValueId v : u.inputs) in.push_back(map[static_cast<size_t>(v)]);
      Attrs attrs = u.node->attrs;
      if (u.body) attrs.set("body", u.body);
      const ir::OriginScope origin(u.node->origin);
      to.emit(*u.node->prim, std::move(in), std::move(attrs));
      const std::vector<ValueId>& out = to.nodes().back().outputs;
      for (size_t k = 0; k < out.size(); ++k) map[static_cast<size_t>(u.outputs[k])] = out[k];
    }
    for (ValueId v : g_.outputs) to.outputs.push_back(map[static_cast<size_t>(v)]);
    return to;
  }

 private:
  struct Unit {
    const Node* node;
    std::vector<ValueId> inputs, outputs;
    std::shared_ptr<const Graph> body;  // of a cluster
    Shape space;
  };
  Unit& unit(int i) { return units_[static_cast<size_t>(i)]; }

  /// How values of a cluster's body are made again.
  struct Chain {
    std::set<int> nodes;       // of the body
    std::set<ValueId> leaves;  // values of the body that must come in
    double cost = 0;
  };
  void follow(const Unit& a, ValueId v, const std::set<ValueId>& dropped, bool top, Chain* c) const {
    const Graph& body = *a.body;
    const Node* p = body.producer(v);
    if (p && body.literal(v)) {
      c->nodes.insert(body.value(v).node);
      return;
    }
    const bool output = std::find(body.outputs.begin(), body.outputs.end(), v) != body.outputs.end();
    if (!p || !p->prim->is_ew() || body.type(v).shape != a.space || (output && !top && !dropped.count(v))) {
      c->leaves.insert(v);
      return;
    }
    if (!c->nodes.insert(body.value(v).node).second) return;
    c->cost += cost_of(p->prim->ew);
    for (ValueId u : p->inputs) follow(a, u, dropped, false, c);
  }

  /// The graph's value behind a value of a cluster's body that is a parameter or an output; -1 for another.
  ValueId outside(const Unit& a, ValueId v) const {
    const Graph& body = *a.body;
    for (size_t i = 0; i < body.params().size(); ++i)
      if (body.params()[i] == v) return a.inputs[i];
    for (size_t i = 0; i < body.outputs.size(); ++i)
      if (body.outputs[i] == v) return a.outputs[i];
    return -1;
  }

  void lighten(int id) {
    // What only clusters over the same space read.
    std::vector<ValueId> all;
    const Unit& a = unit(id);
    for (size_t k = 0; k < a.outputs.size(); ++k) {
      const ValueId v = a.outputs[k];
      const auto& users = users_[static_cast<size_t>(v)];
      const Node* made = a.body->producer(a.body->outputs[k]);
      if (kept_[static_cast<size_t>(v)] || users.empty() || !made || !made->prim->is_ew() || types_[static_cast<size_t>(v)].shape != a.space) continue;
      // The body may give one value out twice.
      if (std::count(a.body->outputs.begin(), a.body->outputs.end(), a.body->outputs[k]) != 1) continue;
      if (std::all_of(users.begin(), users.end(), [&](int u) { return unit(u).body && unit(u).space == a.space; })) all.push_back(v);
    }
    if (all.empty() || drop(id, all) || all.size() == 1) return;
    for (ValueId v : all) drop(id, {v});
  }

  bool drop(int id, const std::vector<ValueId>& values) {
    const Unit& a = unit(id);
    const auto inner = [&](ValueId v) {
      return a.body->outputs[static_cast<size_t>(std::find(a.outputs.begin(), a.outputs.end(), v) - a.outputs.begin())];
    };
    std::set<ValueId> dropped;
    std::set<int> readers;
    double saved = 0;
    for (ValueId v : values) {
      dropped.insert(inner(v));
      readers.insert(users_[static_cast<size_t>(v)].begin(), users_[static_cast<size_t>(v)].end());
      saved += traffic_of(types_[static_cast<size_t>(v)]);
    }
    for (int r : readers) {
      const Unit& b = unit(r);
      Chain c;
      for (ValueId v : values)
        if (users_[static_cast<size_t>(v)].count(r)) follow(a, inner(v), dropped, true, &c);
      if (c.nodes.size() + b.body->nodes().size() > kMaxClusterNodes) return false;
      saved -= c.cost;
      for (ValueId l : c.leaves) {
        const ir::Type& type = a.body->type(l);
        const Node* made = a.body->producer(l);
        const ValueId known = outside(a, l);
        // A sum over columns is not there before the cluster has ended; a row's value is read by those that go by rows alike.
        if (type.shape != a.space && made && (a.node->attrs.i("row_rank") == 0 || a.node->attrs.i("row_rank") != b.node->attrs.i("row_rank"))) return false;
        if (type.shape == a.space && (known < 0 || std::find(b.inputs.begin(), b.inputs.end(), known) == b.inputs.end())) saved -= traffic_of(type) * 0.7;
      }
    }
    if (saved <= 0) return false;
    for (int r : readers) take_over(id, r, values, dropped);
    trim(id, values);
    return changed_ = true;
  }

  /// Makes the reader compute the values itself.
  void take_over(int id, int reader, const std::vector<ValueId>& values, const std::set<ValueId>& dropped) {
    Unit& b = unit(reader);
    Chain c;
    std::vector<ValueId> mine;
    for (ValueId v : values)
      if (users_[static_cast<size_t>(v)].count(reader)) mine.push_back(v);
    for (ValueId v : mine) follow(unit(id), inner_of(id, v), dropped, true, &c);
    std::map<ValueId, ValueId> in_b, in_a;  // values of the bodies → of the new one
    auto body = std::make_shared<Graph>();
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < b.inputs.size(); ++i) {
      if (std::find(mine.begin(), mine.end(), b.inputs[i]) != mine.end()) continue;
      in_b[b.body->params()[i]] = body->add_param(b.body->type(b.body->params()[i]));
      inputs.push_back(b.inputs[i]);
    }
    for (ValueId l : c.leaves) {
      const ValueId from = give_out(id, l);
      const auto known = std::find(inputs.begin(), inputs.end(), from);
      if (known != inputs.end()) {
        in_a[l] = body->params()[static_cast<size_t>(known - inputs.begin())];
      } else {
        in_a[l] = body->add_param(unit(id).body->type(l));
        inputs.push_back(from);
        users_[static_cast<size_t>(from)].insert(reader);
      }
    }
    const Graph& made = *unit(id).body;
    for (int n : c.nodes) {
      const Node& node = made.nodes()[static_cast<size_t>(n)];
      std::vector<ValueId> in;
      for (ValueId v : node.inputs) in.push_back(in_a.at(v));
      const ir::OriginScope origin(node.origin);
      in_a[node.outputs[0]] = body->emit(*node.prim, std::move(in), node.attrs);
    }
    for (size_t i = 0; i < b.inputs.size(); ++i)
      if (std::find(mine.begin(), mine.end(), b.inputs[i]) != mine.end()) in_b[b.body->params()[i]] = in_a.at(inner_of(id, b.inputs[i]));
    for (const Node& node : b.body->nodes()) {
      std::vector<ValueId> in;
      for (ValueId v : node.inputs) in.push_back(in_b.at(v));
      const ir::OriginScope origin(node.origin);
      in_b[node.outputs[0]] = body->emit(*node.prim, std::move(in), node.attrs);
    }
    for (ValueId v : b.body->outputs) body->outputs.push_back(in_b.at(v));
    for (ValueId v : mine) users_[static_cast<size_t>(v)].erase(reader);
    b.inputs = std::move(inputs);
    b.body = std::move(body);
  }
  ValueId inner_of(int id, ValueId v) {
    const Unit& a = unit(id);
    return a.body->outputs[static_cast<size_t>(std::find(a.outputs.begin(), a.outputs.end(), v) - a.outputs.begin())];
  }
  /// The graph's value for a value of a body, which becomes an output where it is none yet.
  ValueId give_out(int id, ValueId v) {
    Unit& a = unit(id);
    if (const ValueId known = outside(a, v); known >= 0) return known;
    auto body = std::make_shared<Graph>(*a.body);
    body->outputs.push_back(v);
    types_.push_back(body->type(v));
    users_.emplace_back();
    kept_.push_back(0);
    a.body = std::move(body);
    a.outputs.push_back(static_cast<ValueId>(types_.size()) - 1);
    return a.outputs.back();
  }

  /// Takes outputs from a cluster, and what only they needed.
  void trim(int id, const std::vector<ValueId>& values) {
    Unit& a = unit(id);
    const Graph& old = *a.body;
    std::vector<ValueId> outputs, results;
    for (size_t k = 0; k < a.outputs.size(); ++k)
      if (std::find(values.begin(), values.end(), a.outputs[k]) == values.end()) outputs.push_back(a.outputs[k]), results.push_back(old.outputs[k]);
    std::vector<char> needed(old.num_values(), 0);
    for (ValueId v : results) needed[static_cast<size_t>(v)] = 1;
    for (size_t i = old.nodes().size(); i-- > 0;)
      if (needed[static_cast<size_t>(old.nodes()[i].outputs[0])])
        for (ValueId v : old.nodes()[i].inputs) needed[static_cast<size_t>(v)] = 1;
    auto body = std::make_shared<Graph>();
    std::vector<ValueId> map(old.num_values(), -1), inputs;
    for (size_t i = 0; i < old.params().size(); ++i) {
      const ValueId p = old.params()[i];
      if (!needed[static_cast<size_t>(p)]) {
        users_[static_cast<size_t>(a.inputs[i])].erase(id);
        continue;
      }
      map[static_cast<size_t>(p)] = body->add_param(old.type(p));
      inputs.push_back(a.inputs[i]);
    }
    for (const Node& n : old.nodes()) {
      if (!needed[static_cast<size_t>(n.outputs[0])]) continue;
      std::vector<ValueId> in;
      for (ValueId v : n.inputs) in.push_back(map[static_cast<size_t>(v)]);
      const ir::OriginScope origin(n.origin);
      map[static_cast<size_t>(n.outputs[0])] = body->emit(*n.prim, std::move(in), n.attrs);
    }
    for (ValueId v : results) body->outputs.push_back(map[static_cast<size_t>(v)]);
    a.inputs = std::move(inputs);
    a.outputs = std::move(outputs);
    a.body = std::move(body);
  }

  const Graph& g_;
  std::vector<ir::Type> types_;
  std::vector<std::set<int>> users_;
  std::vector<char> kept_;
  std::vector<Unit> units_;
  bool changed_ = false;
};

}  // namespace

Graph recompute(const Graph& graph) { return Recomputer(graph).run(); }

}  // namespace keras::passes
