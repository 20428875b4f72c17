// What lives here: slices and concats that move no data of their own. A slice that only clusters read becomes part of them, which read the
// larger value where it lies; a concat of what one cluster makes becomes its output, whose parts are written where they belong.
#include <algorithm>
#include <map>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ints;
using ir::Node;

namespace {

constexpr int64_t kLeastRun = 16;  // elements that lie together; shorter runs are better copied once

int64_t elements_from(const Shape& s, int axis) { return s.slice(axis).numel(); }

class Viewer {
 public:
  explicit Viewer(const Graph& from) : from_(from), map_(from.num_values(), -1), users_(from.num_values()) {
    for (size_t i = 0; i < from.nodes().size(); ++i)
      for (ValueId v : from.nodes()[i].inputs) users_[static_cast<size_t>(v)].push_back(static_cast<int>(i));
    for (ValueId v : from.outputs) users_[static_cast<size_t>(v)].push_back(-1);
  }

  Graph run() {
    for (const Node& n : from_.nodes())
      if (n.prim->is("concat")) adopt(n);
    for (ValueId p : from_.params()) map_[static_cast<size_t>(p)] = to_.add_param(from_.type(p));
    for (const Node& n : from_.nodes()) {
      if (adopted_.count(n.outputs[0]) || (n.prim->is("slice") && within_clusters(n))) continue;
      if (n.prim->is("cluster")) cluster(n);
      else copy(n);
    }
    for (ValueId v : from_.outputs) to_.outputs.push_back(map_[static_cast<size_t>(v)]);
    return std::move(to_);
  }

 private:
  bool is_cluster(int node) const { return node >= 0 && from_.nodes()[static_cast<size_t>(node)].prim->is("cluster"); }

  bool within_clusters(const Node& n) const {
    const ir::Type &in = from_.type(n.inputs[0]), &out = from_.type(n.outputs[0]);
    if (!in.shape.is_static() || out.shape.numel() == 0 || from_.literal(n.inputs[0]) || n.attrs.ints("strides").back() != 1) return false;
    int axis = out.shape.rank() - 1;
    while (axis > 0 && out.shape[axis] == in.shape[axis] && n.attrs.ints("strides")[static_cast<size_t>(axis) - 1] == 1) --axis;
    if (elements_from(out.shape, axis) < kLeastRun) return false;
    const std::vector<int>& users = users_[static_cast<size_t>(n.outputs[0])];
    return !users.empty() && std::all_of(users.begin(), users.end(), [&](int u) { return is_cluster(u); });
  }

  // Gives the concat to the cluster that makes all its parts, if there is such a one.
  void adopt(const Node& n) {
    const ir::Type& out = from_.type(n.outputs[0]);
    if (!out.shape.is_static() || out.shape.numel() == 0) return;
    const int maker = from_.value(n.inputs[0]).node, axis = static_cast<int>(n.attrs.i("axis"));
    if (!is_cluster(maker)) return;
    const Node& c = from_.nodes()[static_cast<size_t>(maker)];
    const Graph& body = c.attrs.graph("body");
    const Shape space(c.attrs.ints("space"));
    const int row_rank = static_cast<int>(c.attrs.i("row_rank"));
    if (elements_from(space, axis) < kLeastRun || (row_rank > 0 && axis > space.rank() - row_rank)) return;
    for (ValueId v : n.inputs) {
      if (from_.value(v).node != maker || from_.type(v).shape != space) return;
      const Node* made = body.producer(body.outputs[static_cast<size_t>(from_.value(v).index)]);
      if (!made || !made->prim->is_ew()) return;
    }
    adopted_[n.outputs[0]] = maker;
    of_cluster_[maker].push_back(&n);
  }

  void copy(const Node& n) {
    const ir::OriginScope origin(n.origin);
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map_[static_cast<size_t>(v)]);
    to_.emit(*n.prim, std::move(in), n.attrs);
    for (size_t i = 0; i < n.outputs.size(); ++i) map_[static_cast<size_t>(n.outputs[i])] = to_.nodes().back().outputs[i];
  }

  void cluster(const Node& n) {
    const int index = from_.value(n.outputs[0]).node;
    auto concats = of_cluster_.find(index);
    const Graph& old = n.attrs.graph("body");
    auto slice_of = [&](ValueId v) -> const Node* {
      const Node* made = from_.producer(v);
      return made && made->prim->is("slice") && within_clusters(*made) ? made : nullptr;
    };
    bool slices = std::any_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return slice_of(v) != nullptr; });
    if (!slices && concats == of_cluster_.end()) return copy(n);

    auto body = std::make_shared<Graph>();
    std::vector<ValueId> in, inner(old.num_values(), -1);
    std::map<ValueId, ValueId> param;  // value of the old graph → parameter of the new body
    auto param_for = [&](ValueId v) {
      auto [it, fresh] = param.try_emplace(v, -1);
      if (fresh) it->second = body->add_param(from_.type(v)), in.push_back(map_[static_cast<size_t>(v)]);
      return it->second;
    };
    // Parameters first: a node may not stand before them.
    for (ValueId v : n.inputs) param_for(slice_of(v) ? slice_of(v)->inputs[0] : v);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const Node* slice = slice_of(n.inputs[i]);
      ValueId v = param_for(slice ? slice->inputs[0] : n.inputs[i]);
      inner[static_cast<size_t>(old.params()[i])] = slice ? body->emit(*slice->prim, {v}, slice->attrs) : v;
    }
    for (const Node& m : old.nodes()) {
      std::vector<ValueId> args;
      for (ValueId v : m.inputs) args.push_back(inner[static_cast<size_t>(v)]);
      const ir::OriginScope origin(m.origin);
      body->emit(*m.prim, std::move(args), m.attrs);
      for (size_t k = 0; k < m.outputs.size(); ++k) inner[static_cast<size_t>(m.outputs[k])] = body->nodes().back().outputs[k];
    }
    std::vector<ValueId> results;  // values of the old graph
    for (size_t k = 0; k < n.outputs.size(); ++k) {
      const std::vector<int>& users = users_[static_cast<size_t>(n.outputs[k])];
      auto gone = [&](int u) { return u >= 0 && adopted_.count(from_.nodes()[static_cast<size_t>(u)].outputs[0]); };
      if (!users.empty() && std::all_of(users.begin(), users.end(), gone)) continue;
      results.push_back(n.outputs[k]);
      body->outputs.push_back(inner[static_cast<size_t>(old.outputs[k])]);
    }
    if (concats != of_cluster_.end())
      for (const Node* c : concats->second) {
        std::vector<ValueId> parts;
        for (ValueId v : c->inputs) parts.push_back(inner[static_cast<size_t>(old.outputs[static_cast<size_t>(from_.value(v).index)])]);
        results.push_back(c->outputs[0]);
        body->outputs.push_back(body->emit(*c->prim, std::move(parts), c->attrs));
      }
    Attrs attrs = n.attrs;
    attrs.set("body", std::shared_ptr<const Graph>(body));
    const ir::OriginScope origin(n.origin);
    to_.emit(*n.prim, std::move(in), std::move(attrs));
    for (size_t k = 0; k < results.size(); ++k) map_[static_cast<size_t>(results[k])] = to_.nodes().back().outputs[k];
  }

  const Graph& from_;
  Graph to_;
  std::vector<ValueId> map_;
  std::vector<std::vector<int>> users_;           // nodes; -1: an output of the graph
  std::map<ValueId, int> adopted_;                // concat → cluster
  std::map<int, std::vector<const Node*>> of_cluster_;
};

}  // namespace

Graph views(const Graph& graph) { return Viewer(graph).run(); }

}  // namespace keras::passes
