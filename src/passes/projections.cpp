// What lives here: the products that make the queries, keys and values of one attention from one tensor become one product, which the attention
// reads and whose cotangent it writes as one tensor; so do the products of the gradient. A bias along several axes becomes one along one axis, which fusion puts into the product.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "ir/attention.h"
#include "passes/passes.h"

namespace keras::passes {

using ir::AttentionForm;
using ir::Attrs;
using ir::Ew;
using ir::Ints;
using ir::Node;

namespace {

Ints counted(int64_t from, int64_t to) {
  Ints out;
  for (int64_t i = from; i < to; ++i) out.push_back(i);
  return out;
}

/// The projections of one attention.
struct Join {
  int forward = -1, backward = -1;  // nodes
  ValueId x = -1;
  Ints contract, free;              // axes of x
  std::array<ValueId, 3> weights{}, biases{-1, -1, -1}, made{};
  std::array<int64_t, 3> sizes{}, offsets{};
  int64_t total = 0;
  Shape shape;                      // of the joint product
  // What the gradient does with the three cotangents, where it does the same with all: values of the graph.
  std::array<ValueId, 3> by_weights{-1, -1, -1}, by_biases{-1, -1, -1}, by_x{-1, -1, -1};
};

class Joiner {
 public:
  explicit Joiner(const Graph& g) : g_(g), users_(g.num_values()) {
    for (size_t i = 0; i < g.nodes().size(); ++i)
      for (ValueId v : g.nodes()[i].inputs) users_[static_cast<size_t>(v)].push_back(static_cast<int>(i));
    for (ValueId v : g.outputs) users_[static_cast<size_t>(v)].push_back(-1);
  }

  /// False where there is nothing to join.
  bool find() {
    for (size_t i = 0; i < g_.nodes().size(); ++i)
      if (Join j; g_.nodes()[i].prim->is("attention") && find(static_cast<int>(i), &j)) joins_.push_back(j);
    return !joins_.empty();
  }

  Graph run() {
    for (const Join& j : joins_) {
      at_[j.forward] = &j;
      if (j.backward >= 0) at_[j.backward] = &j;
    }
    map_.assign(g_.num_values(), kNone);
    for (ValueId p : g_.params()) map_[static_cast<size_t>(p)] = to_.add_param(g_.type(p));
    for (size_t i = 0; i < g_.nodes().size(); ++i) {
      const Node& n = g_.nodes()[i];
      const ir::OriginScope origin(n.origin);
      if (const auto it = at_.find(static_cast<int>(i)); it != at_.end()) {
        if (it->second->forward == static_cast<int>(i)) forward(*it->second, n);
        else backward(*it->second, n);
        continue;
      }
      if (n.outputs.size() == 1 && map_[static_cast<size_t>(n.outputs[0])] != kNone) continue;  // done by a join
      if (n.prim->ew == Ew::add) {
        const ValueId a = map_[static_cast<size_t>(n.inputs[0])], b = map_[static_cast<size_t>(n.inputs[1])];
        if (a == kZero || b == kZero) {
          map_[static_cast<size_t>(n.outputs[0])] = a == kZero ? b : a;
          continue;
        }
      }
      to_.emit(*n.prim, mapped(n.inputs), n.attrs);
      const std::vector<ValueId>& out = to_.nodes().back().outputs;
      for (size_t k = 0; k < out.size(); ++k) map_[static_cast<size_t>(n.outputs[k])] = out[k];
    }
    to_.outputs = mapped(g_.outputs);
    return std::move(to_);
  }

 private:
  static constexpr ValueId kNone = -1, kZero = -2;  // kZero: a term of a sum that another term holds

  const Shape& shape(ValueId v) const { return g_.type(v).shape; }
  std::vector<ValueId> mapped(const std::vector<ValueId>& all) const {
    std::vector<ValueId> out;
    for (ValueId v : all) out.push_back(map_[static_cast<size_t>(v)]);
    return out;
  }

  // ---- finding

  bool find(int node, Join* j) const {
    const Node& n = g_.nodes()[static_cast<size_t>(node)];
    j->forward = node;
    std::copy(n.inputs.begin(), n.inputs.begin() + 3, j->made.begin());
    for (size_t m = 0; m < 3; ++m)
      if (!projection(m, j)) return false;
    const int with_bias = static_cast<int>(std::count(j->biases.begin(), j->biases.end(), -1));
    if (with_bias != 0 && with_bias != 3) return false;
    // Only this attention and its gradient read them.
    for (size_t m = 0; m < 3; ++m)
      for (int u : users_[static_cast<size_t>(j->made[m])]) {
        if (u == node) continue;
        if (u < 0) return false;
        const Node& other = g_.nodes()[static_cast<size_t>(u)];
        if (!other.prim->is("attention_backward") || (j->backward >= 0 && j->backward != u)) return false;
        if (std::count(other.inputs.begin(), other.inputs.end(), j->made[m]) != 1 || other.inputs[m] != j->made[m]) return false;
        j->backward = u;
      }
    for (int64_t a : j->free) j->shape.push_back(shape(j->x)[static_cast<int>(a)]);
    for (size_t m = 0; m < 3; ++m) j->offsets[m] = j->total, j->total += j->sizes[m];
    j->shape.push_back(j->total);
    const AttentionForm f = AttentionForm::from(n.attrs);
    AttentionForm::View moved;
    const AttentionForm::View* views[] = {&f.q, &f.k, &f.v};
    for (size_t m = 0; m < 3; ++m)
      if (!move(*views[m], j->sizes[m], j->total, j->offsets[m], &moved)) return false;
    if (j->backward < 0) return true;
    const Node& b = g_.nodes()[static_cast<size_t>(j->backward)];
    if (b.attrs.find("joint") || b.inputs[0] != j->made[0] || b.inputs[1] != j->made[1] || b.inputs[2] != j->made[2]) return false;
    gradients(b, j);
    return true;
  }

  bool projection(size_t m, Join* j) const {
    const Node* p = g_.producer(j->made[m]);
    if (!p) return false;
    if (p->prim->ew == Ew::add) {
      size_t product = 0;
      for (; product < 2; ++product)
        if (const Node* d = g_.producer(p->inputs[product]); d && d->prim->is("dot")) break;
      if (product == 2 || users_[static_cast<size_t>(p->inputs[product])].size() != 1) return false;
      j->biases[m] = p->inputs[1 - product];
      p = g_.producer(p->inputs[product]);
      if (p->outputs.empty() || shape(p->outputs[0]) != shape(j->made[m])) return false;
    }
    if (!p->prim->is("dot") || p->inputs.size() != 2 || !p->attrs.ints("lb").empty()) return false;
    const Ints &lc = p->attrs.ints("lc"), &rc = p->attrs.ints("rc");
    const Shape &w = shape(p->inputs[1]), &x = shape(p->inputs[0]);
    if (!x.is_static() || rc != counted(0, static_cast<int64_t>(rc.size())) || w.rank() <= static_cast<int>(rc.size())) return false;
    if (m == 0) {
      j->x = p->inputs[0], j->contract = lc;
      for (int64_t a : counted(0, x.rank()))
        if (std::find(lc.begin(), lc.end(), a) == lc.end()) j->free.push_back(a);
    } else if (p->inputs[0] != j->x || lc != j->contract) {
      return false;
    }
    j->weights[m] = p->inputs[1];
    const Shape own = w.slice(static_cast<int>(rc.size()));
    j->sizes[m] = own.numel();
    if (j->biases[m] < 0) return true;
    Shape b = shape(j->biases[m]);
    while (b.rank() > own.rank() && b[0] == 1) b.erase(0);
    return b == own;
  }

  /// A view of a projection as one of the joint product, whose rows are longer.
  static bool move(const AttentionForm::View& from, int64_t size, int64_t total, int64_t offset, AttentionForm::View* to) {
    bool good = from.offset == 0;
    const auto stride = [&](int64_t s) {
      if (s < size) return s;
      good = good && s % size == 0;
      return s / size * total;
    };
    *to = from;
    to->offset = offset;
    for (int64_t& s : to->batch) s = stride(s);
    to->row = stride(from.row), to->column = stride(from.column);
    return good;
  }

  void gradients(const Node& b, Join* j) const {
    const int64_t nf = static_cast<int64_t>(j->free.size()), nc = static_cast<int64_t>(j->contract.size());
    for (size_t m = 0; m < 3; ++m) {
      const ValueId d = b.outputs[m];
      const int64_t rank = shape(d).rank(), w_rank = shape(j->weights[m]).rank();
      for (int u : users_[static_cast<size_t>(d)]) {
        if (u < 0) continue;
        const Node& n = g_.nodes()[static_cast<size_t>(u)];
        if (n.prim->is("reduce_sum") && n.attrs.ints("axes") == counted(0, nf) && !n.attrs.i("keepdims")) j->by_biases[m] = n.outputs[0];
        if (!n.prim->is("dot") || n.inputs.size() != 2 || !n.attrs.ints("lb").empty()) continue;
        const Ints &lc = n.attrs.ints("lc"), &rc = n.attrs.ints("rc");
        if (n.inputs[0] == j->x && n.inputs[1] == d && lc == j->free && rc == counted(0, nf)) j->by_weights[m] = n.outputs[0];
        if (n.inputs[0] == d && n.inputs[1] == j->weights[m] && lc == counted(nf, rank) && rc == counted(nc, w_rank)) j->by_x[m] = n.outputs[0];
      }
    }
    for (auto* all : {&j->by_weights, &j->by_biases, &j->by_x})
      if (std::find(all->begin(), all->end(), -1) != all->end()) all->fill(-1);
    // The contraction's axes come back in the order of x.
    if (!std::is_sorted(j->contract.begin(), j->contract.end())) j->by_weights.fill(-1), j->by_x.fill(-1);
    if (j->by_x[0] >= 0 && !one_sum(*j)) j->by_x.fill(-1);
  }
  /// True where the three cotangents of x are terms of one sum and nothing else reads them or what is between.
  bool one_sum(const Join& j) const {
    std::array<std::vector<int>, 3> paths;
    for (size_t m = 0; m < 3; ++m)
      for (ValueId v = j.by_x[m]; users_[static_cast<size_t>(v)].size() == 1;) {
        const int u = users_[static_cast<size_t>(v)][0];
        if (u < 0 || g_.nodes()[static_cast<size_t>(u)].prim->ew != Ew::add || shape(g_.nodes()[static_cast<size_t>(u)].outputs[0]) != shape(v)) break;
        paths[m].push_back(u);
        v = g_.nodes()[static_cast<size_t>(u)].outputs[0];
      }
    const auto has = [](const std::vector<int>& p, int u) { return std::find(p.begin(), p.end(), u) != p.end(); };
    return std::any_of(paths[0].begin(), paths[0].end(), [&](int u) { return has(paths[1], u) && has(paths[2], u); });
  }

  // ---- rebuilding

  ValueId emit(const char* prim, std::vector<ValueId> in, Attrs attrs) { return to_.emit(ir::primitive(prim), std::move(in), std::move(attrs)); }
  ValueId reshape(ValueId v, const Shape& s) { return to_.type(v).shape == s ? v : emit("reshape", {v}, Attrs{{"shape", s.dims()}}); }
  ValueId product(ValueId a, ValueId b, Ints lc, Ints rc) {
    return emit("dot", {a, b}, Attrs{{"lc", std::move(lc)}, {"rc", std::move(rc)}, {"lb", Ints{}}, {"rb", Ints{}}});
  }
  ValueId part(const Join& j, size_t m, ValueId whole, const Shape& as) {
    const Shape& s = to_.type(whole).shape;
    Ints starts(s.size(), 0), limits = s.dims(), strides(s.size(), 1);
    starts.back() = j.offsets[m], limits.back() = j.offsets[m] + j.sizes[m];
    return reshape(emit("slice", {whole}, Attrs{{"starts", starts}, {"limits", limits}, {"strides", strides}}), as);
  }
  ValueId joint_weights(const Join& j) {
    const int64_t nc = static_cast<int64_t>(j.contract.size());
    std::vector<ValueId> parts;
    for (size_t m = 0; m < 3; ++m)
      parts.push_back(reshape(map_[static_cast<size_t>(j.weights[m])], shape(j.weights[m]).slice(0, static_cast<int>(nc)) + Shape{j.sizes[m]}));
    return emit("concat", parts, Attrs{{"axis", nc}});
  }
  AttentionForm moved(const Join& j, const Node& n) const {
    AttentionForm f = AttentionForm::from(n.attrs);
    AttentionForm::View* views[] = {&f.q, &f.k, &f.v};
    for (size_t m = 0; m < 3; ++m) move(AttentionForm::View(*views[m]), j.sizes[m], j.total, j.offsets[m], views[m]);
    return f;
  }

  void forward(const Join& j, const Node& n) {
    const int64_t nc = static_cast<int64_t>(j.contract.size());
    const ValueId weights = joint_weights(j);
    ValueId y = product(map_[static_cast<size_t>(j.x)], weights, j.contract, counted(0, nc));
    if (j.biases[0] >= 0) {
      std::vector<ValueId> parts;
      for (size_t m = 0; m < 3; ++m) parts.push_back(reshape(map_[static_cast<size_t>(j.biases[m])], Shape{j.sizes[m]}));
      y = emit("add", {y, emit("concat", parts, Attrs{{"axis", int64_t{0}}})}, {});
    }
    joint_[&j] = {y, weights};
    std::vector<ValueId> in = mapped(n.inputs);
    in[0] = in[1] = in[2] = y;
    to_.emit(*n.prim, std::move(in), moved(j, n).attrs());
    const std::vector<ValueId>& out = to_.nodes().back().outputs;
    for (size_t k = 0; k < out.size(); ++k) map_[static_cast<size_t>(n.outputs[k])] = out[k];
  }

  void backward(const Join& j, const Node& n) {
    const auto [y, weights] = joint_.at(&j);
    AttentionForm f = moved(j, n);
    f.joint = j.shape, f.dq = f.q, f.dk = f.k, f.dv = f.v;
    std::vector<ValueId> in = mapped(n.inputs);
    in[0] = in[1] = in[2] = y;
    const ValueId d = to_.emit(*n.prim, std::move(in), f.attrs());
    const int64_t nf = static_cast<int64_t>(j.free.size()), nc = static_cast<int64_t>(j.contract.size());
    if (j.by_weights[0] >= 0) {
      const ValueId all = product(map_[static_cast<size_t>(j.x)], d, j.free, counted(0, nf));
      for (size_t m = 0; m < 3; ++m) map_[static_cast<size_t>(j.by_weights[m])] = part(j, m, all, shape(j.by_weights[m]));
    }
    if (j.by_biases[0] >= 0) {
      const ValueId all = emit("reduce_sum", {d}, Attrs{{"axes", counted(0, nf)}, {"keepdims", int64_t{0}}});
      for (size_t m = 0; m < 3; ++m) map_[static_cast<size_t>(j.by_biases[m])] = part(j, m, all, shape(j.by_biases[m]));
    }
    if (j.by_x[0] >= 0) {
      map_[static_cast<size_t>(j.by_x[0])] = product(d, weights, {nf}, {nc});
      map_[static_cast<size_t>(j.by_x[1])] = map_[static_cast<size_t>(j.by_x[2])] = kZero;
    }
    // For whatever else reads them; what nothing reads is dropped afterwards.
    for (size_t m = 0; m < 3; ++m) map_[static_cast<size_t>(n.outputs[m])] = part(j, m, d, shape(n.outputs[m]));
  }

  const Graph& g_;
  Graph to_;
  std::vector<std::vector<int>> users_;
  std::vector<Join> joins_;
  std::unordered_map<int, const Join*> at_;
  std::unordered_map<const Join*, std::pair<ValueId, ValueId>> joint_;
  std::vector<ValueId> map_;
};

/// product + bias, the bias along the last axes of the product, all of which rhs gives from its own last axes: they become one axis.
class BiasFlattener {
 public:
  explicit BiasFlattener(const Graph& g) : g_(g), uses_(g.num_values(), 0), flat_(g.nodes().size(), 0) {
    for (const Node& n : g.nodes())
      for (ValueId v : n.inputs) ++uses_[static_cast<size_t>(v)];
    for (ValueId v : g.outputs) ++uses_[static_cast<size_t>(v)];
  }

  bool find() {
    bool any = false;
    for (size_t i = 0; i < g_.nodes().size(); ++i) {
      const Node& n = g_.nodes()[i];
      if (n.prim->ew != Ew::add) continue;
      for (int side = 0; side < 2 && !flat_[i]; ++side)
        if (const int axes = wide(n.inputs[static_cast<size_t>(side)], n.inputs[static_cast<size_t>(1 - side)], n.outputs[0])) {
          flat_[i] = axes;
          product_[static_cast<int>(i)] = side;
          absorbed_.insert(g_.value(n.inputs[static_cast<size_t>(side)]).node);
          any = true;
        }
    }
    return any;
  }

  Graph run() {
    std::vector<ValueId> map(g_.num_values(), -1);
    const auto mapped = [&](const std::vector<ValueId>& all) {
      std::vector<ValueId> out;
      for (ValueId v : all) out.push_back(map[static_cast<size_t>(v)]);
      return out;
    };
    Graph to;
    const auto reshape = [&](ValueId v, const Shape& s) { return to.emit(ir::primitive("reshape"), {v}, Attrs{{"shape", s.dims()}}); };
    for (ValueId p : g_.params()) map[static_cast<size_t>(p)] = to.add_param(g_.type(p));
    for (size_t i = 0; i < g_.nodes().size(); ++i) {
      const Node& n = g_.nodes()[i];
      if (absorbed_.count(static_cast<int>(i))) continue;
      const ir::OriginScope origin(n.origin);
      if (!flat_[i]) {
        to.emit(*n.prim, mapped(n.inputs), n.attrs);
        const std::vector<ValueId>& out = to.nodes().back().outputs;
        for (size_t k = 0; k < out.size(); ++k) map[static_cast<size_t>(n.outputs[k])] = out[k];
        continue;
      }
      const size_t side = static_cast<size_t>(product_.at(static_cast<int>(i)));
      const Node& dot = *g_.producer(n.inputs[side]);
      const ValueId bias = map[static_cast<size_t>(n.inputs[1 - side])], rhs = map[static_cast<size_t>(dot.inputs[1])];
      const Shape weights = to.type(rhs).shape;
      const int kept = weights.rank() - flat_[i];
      const ValueId y = to.emit(*dot.prim, {map[static_cast<size_t>(dot.inputs[0])], reshape(rhs, weights.slice(0, kept) + Shape{weights.slice(kept).numel()})}, dot.attrs);
      const ValueId sum = to.emit(*n.prim, {y, reshape(bias, Shape{weights.slice(kept).numel()})});
      map[static_cast<size_t>(n.outputs[0])] = reshape(sum, g_.type(n.outputs[0]).shape);
    }
    to.outputs = mapped(g_.outputs);
    return to;
  }

 private:
  /// How many axes the bias of such a sum has; 0 for other sums.
  int wide(ValueId product, ValueId bias, ValueId sum) const {
    const Node* dot = g_.producer(product);
    const Shape& out = g_.type(product).shape;
    if (!dot || !dot->prim->is("dot") || dot->inputs.size() != 2 || uses_[static_cast<size_t>(product)] != 1 || !out.is_static()) return 0;
    Shape s = g_.type(bias).shape;
    while (s.rank() > 0 && s[0] == 1) s.erase(0);
    const int k = s.rank(), rank = g_.type(dot->inputs[1]).shape.rank();
    if (k < 2 || k > out.rank() || g_.literal(bias) || g_.type(sum).shape != out || out.slice(out.rank() - k) != s) return 0;
    const Ints &rc = dot->attrs.ints("rc"), &rb = dot->attrs.ints("rb");
    if (static_cast<int>(rc.size() + rb.size()) + k != rank) return 0;
    for (const Ints* axes : {&rc, &rb})
      for (int64_t a : *axes)
        if (a >= rank - k) return 0;
    return k;
  }

  const Graph& g_;
  std::vector<int> uses_, flat_;
  std::unordered_map<int, int> product_;
  std::unordered_set<int> absorbed_;
};

}  // namespace

Graph join_projections(const Graph& graph) {
  Graph g = graph;
  if (Joiner joiner(g); joiner.find()) g = simplify(joiner.run());
  if (BiasFlattener biases(g); biases.find()) g = biases.run();
  return g;
}

}  // namespace keras::passes
