// What lives here: fusion. Epilogues move into dots and convolutions; what is elementwise, with the reductions of its rows and
// columns, is grouped into clusters, each of which becomes one tile program.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <string_view>

#include "passes/parts.h"
#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ew;
using ir::Ints;
using ir::Literal;
using ir::Node;

// ---- epilogues ----------------------------------------------------------------------------------------------------

namespace {

// An activation as the layers write it: a small expression of one value. "v" is that value, "@" any number, the activation's alpha.
struct ActivationForm {
  const char *text, *act;
};
constexpr ActivationForm kActivations[] = {
    {"maximum(v,0)", "relu"},
    {"select(greater_equal(maximum(v,0),6),6,maximum(v,0))", "relu6"},
    {"minimum(maximum(v,0),6)", "relu6"},
    {"select(greater_equal(v,0),v,mul(v,@))", "relu"},
    {"tanh(v)", "tanh"},
    {"sigmoid(v)", "sigmoid"},
    {"mul(v,sigmoid(v))", "swish"},
    {"mul(mul(v,0.5),add(erf(mul(v,0.707107)),1))", "gelu"},
    {"mul(v,mul(add(tanh(mul(add(v,mul(mul(square(v),v),0.044715)),0.797885)),1),0.5))", "gelu_tanh"},
    {"select(greater(v,0),v,mul(expm1(select(greater(v,0),0,v)),@))", "elu"},
    {"select(greater(v,0),v,expm1(select(greater(v,0),0,v)))", "elu"},
    {"mul(v,div(select(greater_equal(maximum(add(v,3),0),6),6,maximum(add(v,3),0)),6))", "hard_swish"},
    {"mul(v,mul(select(greater_equal(maximum(add(v,3),0),6),6,maximum(add(v,3),0)),0.166667))", "hard_swish"},
};
constexpr size_t kMostActivationNodes = 10;

class EpilogueFuser {
 public:
  explicit EpilogueFuser(const Graph& from) : from_(from), uses_(from.num_values(), 0), users_(from.num_values()), map_(from.num_values(), -1) {
    for (size_t i = 0; i < from.nodes().size(); ++i)
      for (ValueId v : from.nodes()[i].inputs) {
        ++uses_[static_cast<size_t>(v)];
        auto& users = users_[static_cast<size_t>(v)];
        if (users.empty() || users.back() != static_cast<int>(i)) users.push_back(static_cast<int>(i));
      }
    for (ValueId v : from.outputs) uses_[static_cast<size_t>(v)] += 2, users_[static_cast<size_t>(v)].push_back(kOutside);
  }
  Graph run() {
    // A dot is emitted where the last node of its epilogue stands, so that all its operands are there.
    std::vector<int> host(from_.nodes().size(), -1);  // node → the dot it became part of
    std::map<int, std::pair<int, Chain>> chains;      // its last node → the dot, and the rest
    for (size_t i = 0; i < from_.nodes().size(); ++i) {
      const Node& n = from_.nodes()[i];
      if (!n.prim->is("dot") && !n.prim->is("conv")) continue;
      if (!is_floating(from_.type(n.outputs[0]).dtype)) continue;
      Chain chain = follow(static_cast<int>(i));
      if (chain.members.empty()) continue;
      // The sum of two products belongs to the first; the second is an operand of it.
      if (std::any_of(chain.members.begin(), chain.members.end(), [&](int m) { return host[static_cast<size_t>(m)] >= 0; })) continue;
      for (int m : chain.members) host[static_cast<size_t>(m)] = static_cast<int>(i);
      host[i] = static_cast<int>(i);
      chains.emplace(chain.members.back(), std::pair(static_cast<int>(i), chain));
    }
    for (ValueId p : from_.params()) map_[static_cast<size_t>(p)] = to_.add_param(from_.type(p));
    for (size_t i = 0; i < from_.nodes().size(); ++i) {
      if (auto it = chains.find(static_cast<int>(i)); it != chains.end()) emit_chain(it->second.first, it->second.second);
      else if (host[i] < 0) copy(from_.nodes()[i]);
    }
    for (ValueId v : from_.outputs) to_.outputs.push_back(map_[static_cast<size_t>(v)]);
    return std::move(to_);
  }

 private:
  static constexpr int kOutside = 1 << 30;  // who uses the graph's results

  // What follows a product: nodes in their order, the operands among them, and the value that is left.
  struct Chain {
    std::vector<int> members;
    ValueId bias = -1, add = -1, result = -1;
    const char* act = nullptr;
    double alpha = 0;
  };

  int only_user(ValueId v) const {
    if (uses_[static_cast<size_t>(v)] != 1) return -1;
    return users_[static_cast<size_t>(v)].front();
  }
  bool is_bias(ValueId v, const Shape& out) const {
    const Shape& s = from_.type(v).shape;
    if (s.rank() < 1 || out.rank() < 1 || s.back() != out.back()) return false;
    return s.numel() == out.back() && !from_.literal(v);
  }
  Chain follow(int root) const {
    Chain c;
    ValueId v = from_.nodes()[static_cast<size_t>(root)].outputs[0];
    const Shape& out = from_.type(v).shape;
    if (out.numel() == 0) return c;
    auto addition = [&]() -> const Node* {
      int user = only_user(v);
      if (user < 0) return nullptr;
      const Node& n = from_.nodes()[static_cast<size_t>(user)];
      return n.prim->ew == Ew::add && from_.type(n.outputs[0]).shape == out ? &n : nullptr;
    };
    auto other = [&](const Node& n) { return n.inputs[n.inputs[0] == v]; };
    auto take = [&](const Node& n, ValueId* operand) {
      *operand = other(n);
      c.members.push_back(from_.value(n.outputs[0]).node);
      v = n.outputs[0];
    };
    if (const Node* n = addition(); n && is_bias(other(*n), out)) take(*n, &c.bias);
    if (const Node* n = addition(); n && other(*n) != v && from_.type(other(*n)) == from_.type(v) && !from_.literal(other(*n))) {
      take(*n, &c.add);
    }
    c.result = v;
    activation(v, &c);
    return c;
  }

  // The longest expression of v alone that swallows v and is one of kActivations.
  void activation(ValueId v, Chain* chain) const {
    std::vector<int> inside;
    auto is_inside = [&](int n) { return std::find(inside.begin(), inside.end(), n) != inside.end(); };
    auto swallowed = [&](ValueId u) { return std::all_of(users_[static_cast<size_t>(u)].begin(), users_[static_cast<size_t>(u)].end(), is_inside); };
    size_t members = chain->members.size();
    std::set<int> open(users_[static_cast<size_t>(v)].begin(), users_[static_cast<size_t>(v)].end());
    while (!open.empty() && inside.size() < kMostActivationNodes) {
      int at = *open.begin();
      open.erase(open.begin());
      if (at == kOutside) return;
      const Node& n = from_.nodes()[static_cast<size_t>(at)];
      if (!n.prim->is_ew() || n.outputs.size() != 1 || from_.type(n.outputs[0]).shape != from_.type(v).shape) return;
      for (ValueId u : n.inputs) {
        const ir::ValueInfo& info = from_.value(u);
        if (u != v && !from_.literal(u) && (info.node < 0 || !is_inside(info.node))) return;
      }
      inside.push_back(at);
      ValueId result = n.outputs[0];
      for (int u : users_[static_cast<size_t>(result)]) open.insert(u);
      bool closed = swallowed(v);
      for (int m : inside)
        if (ValueId u = from_.nodes()[static_cast<size_t>(m)].outputs[0]; u != result) closed = closed && swallowed(u);
      if (!closed || from_.type(result).dtype != from_.type(v).dtype) continue;
      for (const ActivationForm& form : kActivations) {
        const char* text = form.text;
        double alpha = form.act == std::string_view("elu") ? 1 : 0;
        if (!written_as(result, v, &text, &alpha) || *text) continue;
        chain->act = form.act, chain->alpha = alpha, chain->result = result;
        chain->members.resize(members);
        chain->members.insert(chain->members.end(), inside.begin(), inside.end());
      }
    }
  }
  // Whether u, an expression of v, reads as the text, which is stepped over.
  bool written_as(ValueId u, ValueId v, const char** text, double* alpha) const {
    if (u == v) return *(*text)++ == 'v' && !std::isalpha(static_cast<unsigned char>(**text));
    if (const ir::Literal* l = from_.literal(u)) {
      double x;
      if (!l->uniform(&x)) return false;
      if (**text == '@') return ++*text, *alpha = x, true;
      char* end = nullptr;
      double want = std::strtod(*text, &end);
      if (end == *text) return false;
      *text = end;
      return std::abs(x - want) <= 1e-5 * std::abs(want);  // the texts carry six digits
    }
    const Node& n = *from_.producer(u);
    std::string_view name = n.prim->name;
    if (std::string_view(*text).substr(0, name.size()) != name) return false;
    *text += name.size();
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (*(*text)++ != (i == 0 ? '(' : ',')) return false;
      if (!written_as(n.inputs[i], v, text, alpha)) return false;
    }
    return *(*text)++ == ')';
  }
  void copy(const Node& n) {
    const ir::OriginScope origin(n.origin);
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map_[static_cast<size_t>(v)]);
    to_.emit(*n.prim, std::move(in), n.attrs);
    for (size_t i = 0; i < n.outputs.size(); ++i) map_[static_cast<size_t>(n.outputs[i])] = to_.nodes().back().outputs[i];
  }
  void emit_chain(int root, const Chain& c) {
    const Node& dot = from_.nodes()[static_cast<size_t>(root)];
    std::vector<ir::OriginPtr> origins{dot.origin};
    for (int m : c.members) origins.push_back(from_.nodes()[static_cast<size_t>(m)].origin);
    const ir::OriginScope origin(ir::joined(origins));
    std::vector<ValueId> in;
    for (ValueId v : dot.inputs) in.push_back(map_[static_cast<size_t>(v)]);
    Attrs attrs = dot.attrs;
    if (c.bias >= 0) {
      ValueId bias = map_[static_cast<size_t>(c.bias)];
      int64_t size = to_.type(bias).shape.numel();
      if (to_.type(bias).shape.rank() != 1) bias = to_.emit(ir::primitive("reshape"), {bias}, Attrs{{"shape", Ints{size}}});
      in.push_back(bias);
      attrs.set("bias", int64_t{1});
    }
    if (c.add >= 0) {
      in.push_back(map_[static_cast<size_t>(c.add)]);
      attrs.set("add", int64_t{1});
    }
    if (c.act) attrs.set("act", std::string(c.act));
    if (c.alpha != 0) attrs.set("alpha", c.alpha);
    map_[static_cast<size_t>(c.result)] = to_.emit(*dot.prim, std::move(in), std::move(attrs));
  }

  const Graph& from_;
  Graph to_;
  std::vector<int> uses_;
  std::vector<std::vector<int>> users_;
  std::vector<ValueId> map_;
};

// ---- clusters -----------------------------------------------------------------------------------------------------

constexpr size_t kMaxNodes = 80;

struct Cluster {
  Shape space;
  int row_rank = 0;  // 0 while no reduction asks for one
  std::vector<int> nodes;
  int last = -1;
  int seen = 0;  // the search that met it last
  bool alive = true;
};

class ClusterFuser {
 public:
  explicit ClusterFuser(const Graph& g) : g_(g), of_(g.nodes().size(), -1), seen_nodes_(g.nodes().size(), 0) {}

  Graph run() {
    for (size_t i = 0; i < g_.nodes().size(); ++i) place(static_cast<int>(i));
    return rebuild();
  }

 private:
  struct Role {
    bool fusable = false, ew = false;
    Shape space;
    int row_rank = 0;
    bool column = false;
  };

  Role role(const Node& n) const {
    Role r;
    const ir::Type& out = g_.type(n.outputs[0]);
    if (n.prim->is_ew()) {
      r.fusable = r.ew = out.shape.is_static() && out.shape.numel() > 0;
      r.space = out.shape;
      return r;
    }
    if (!n.prim->is("reduce_sum") && !n.prim->is("reduce_max") && !n.prim->is("reduce_min") && !n.prim->is("reduce_prod")) return r;
    const ir::Type& in = g_.type(n.inputs[0]);
    if (!in.shape.is_static() || in.shape.numel() == 0) return r;
    const Ints& axes = n.attrs.ints("axes");
    int rank = in.shape.rank(), count = static_cast<int>(axes.size());
    bool contiguous = axes.back() - axes.front() == count - 1;
    if (contiguous && axes.back() == rank - 1) r.fusable = true, r.row_rank = count;
    else if (contiguous && axes.front() == 0) r.fusable = r.column = true, r.row_rank = rank - count;
    r.space = in.shape;
    return r;
  }

  Shape row_scalar(const Cluster& c) const {
    Shape s = c.space;
    for (int i = 0; i < c.row_rank; ++i) s[s.rank() - 1 - i] = 1;
    return s;
  }
  bool in(ValueId v, int cluster) const {
    int n = g_.value(v).node;
    return n >= 0 && of_[static_cast<size_t>(n)] == cluster;
  }
  bool is_row_result(ValueId v) const {
    const Node* p = g_.producer(v);
    return p && !p->prim->is_ew();
  }

  // Whether the node may stand in the cluster, reductions and shapes considered (cycles are looked at apart).
  bool fits(const Cluster& c, int id, const Node& n, const Role& r) const {
    if (!c.alive || c.nodes.size() >= kMaxNodes) return false;
    int64_t rows = c.row_rank ? row_scalar(c).numel() : 0;
    bool uses_row_result = false;
    for (ValueId v : n.inputs) {
      if (!in(v, id)) continue;
      const Node& p = *g_.producer(v);
      bool full = g_.type(v).shape == c.space && p.prim->is_ew();
      if (full) continue;
      // What is not of the full space is a row result (kept dims) or a column result, which only the outside may read.
      if (c.row_rank == 0 || g_.type(v).shape != row_scalar(c) || is_column(p, c)) return false;
      uses_row_result = true;
    }
    if (r.ew && r.space != c.space) return uses_row_result && r.space == row_scalar(c) && only_row_inputs(n, id);
    if (r.space != c.space) return false;
    if (!r.ew) {
      if (c.row_rank != 0 && c.row_rank != r.row_rank) return false;
      if (uses_row_result) return false;
      const Node* p = g_.producer(n.inputs[0]);
      if (in(n.inputs[0], id) && !p->prim->is_ew()) return false;
      return true;
    }
    return !(uses_row_result && rows == 1 && c.space.numel() > 8192);
  }
  bool only_row_inputs(const Node& n, int id) const {
    for (ValueId v : n.inputs) {
      if (in(v, id)) continue;
      const Literal* l = g_.literal(v);
      double x;
      if (!l || !l->uniform(&x)) return false;
    }
    return true;
  }
  bool is_column(const Node& n, const Cluster& c) const {
    if (n.prim->is_ew()) return false;
    const Ints& axes = n.attrs.ints("axes");
    return static_cast<int>(axes.size()) != c.row_rank || axes.back() != c.space.rank() - 1;
  }

  // Is a member of `target` reachable going backwards from the values, over nodes outside of target? Indices do not bound the search: a
  // cluster also depends on what its later members read.
  bool reaches(const std::vector<ValueId>& from, const std::set<int>& target) {
    ++round_;
    std::vector<int> stack;  // clusters as they are, single nodes as -1 - node
    auto push = [&](ValueId v) {
      int n = g_.value(v).node;
      if (n < 0 || g_.literal(v)) return;
      int c = of_[static_cast<size_t>(n)];
      int& seen = c < 0 ? seen_nodes_[static_cast<size_t>(n)] : clusters_[static_cast<size_t>(c)].seen;
      if (seen == round_) return;
      seen = round_;
      stack.push_back(c < 0 ? -1 - n : c);
    };
    for (ValueId v : from) {
      int n = g_.value(v).node;
      if (n >= 0 && target.count(of_[static_cast<size_t>(n)])) continue;
      push(v);
    }
    while (!stack.empty()) {
      int key = stack.back();
      stack.pop_back();
      if (key >= 0 && target.count(key)) return true;
      if (key < 0) {
        for (ValueId v : g_.nodes()[static_cast<size_t>(-1 - key)].inputs) push(v);
      } else {
        for (int n : clusters_[static_cast<size_t>(key)].nodes)
          for (ValueId v : g_.nodes()[static_cast<size_t>(n)].inputs) push(v);
      }
    }
    return false;
  }

  void place(int i) {
    const Node& n = g_.nodes()[static_cast<size_t>(i)];
    Role r = role(n);
    if (!r.fusable) return;
    std::vector<int> candidates;
    auto consider = [&](int c) {
      if (c >= 0 && clusters_[static_cast<size_t>(c)].alive && std::find(candidates.begin(), candidates.end(), c) == candidates.end()) candidates.push_back(c);
    };
    for (ValueId v : n.inputs)
      if (int p = g_.value(v).node; p >= 0) consider(of_[static_cast<size_t>(p)]);
    for (ValueId v : n.inputs)
      if (!g_.literal(v))
        if (auto it = readers_.find(v); it != readers_.end()) consider(it->second);
    int home = -1;
    for (int c : candidates)
      if (fits(clusters_[static_cast<size_t>(c)], c, n, r) && !reaches(n.inputs, {c})) {
        home = c;
        break;
      }
    if (home < 0) {
      home = static_cast<int>(clusters_.size());
      clusters_.push_back({r.space});
    }
    Cluster& c = clusters_[static_cast<size_t>(home)];
    c.nodes.push_back(i);
    c.last = std::max(c.last, i);
    if (r.row_rank) c.row_rank = r.row_rank;
    of_[static_cast<size_t>(i)] = home;
    for (ValueId v : n.inputs)
      if (g_.type(v).shape == c.space) readers_[v] = home;
    for (int other : candidates) merge(home, other);
  }

  void merge(int a, int b) {
    if (a == b) return;
    Cluster &x = clusters_[static_cast<size_t>(a)], &y = clusters_[static_cast<size_t>(b)];
    if (!x.alive || !y.alive || x.space != y.space || x.nodes.size() + y.nodes.size() > kMaxNodes) return;
    if (x.row_rank && y.row_rank && x.row_rank != y.row_rank) return;
    // A node of one that reads a reduction of the other must still be able to.
    for (auto [from, to] : {std::pair{&x, b}, std::pair{&y, a}})
      for (int n : from->nodes)
        for (ValueId v : g_.nodes()[static_cast<size_t>(n)].inputs)
          if (in(v, to) && (!g_.producer(v)->prim->is_ew() || g_.type(v).shape != x.space)) return;
    std::vector<ValueId> inputs;
    for (const Cluster* c : {&x, &y})
      for (int n : c->nodes)
        for (ValueId v : g_.nodes()[static_cast<size_t>(n)].inputs) inputs.push_back(v);
    if (reaches(inputs, {a, b})) return;
    for (int n : y.nodes) of_[static_cast<size_t>(n)] = a;
    x.nodes.insert(x.nodes.end(), y.nodes.begin(), y.nodes.end());
    std::sort(x.nodes.begin(), x.nodes.end());
    x.last = std::max(x.last, y.last);
    if (y.row_rank) x.row_rank = y.row_rank;
    y.alive = false;
    y.nodes.clear();
    for (auto& [v, c] : readers_)
      if (c == b) c = a;
  }

  // ---- rebuilding
  Graph rebuild() {
    map_.assign(g_.num_values(), -1);
    done_.assign(g_.nodes().size(), false);
    outside_.assign(g_.num_values(), false);
    for (size_t i = 0; i < g_.nodes().size(); ++i)
      for (ValueId v : g_.nodes()[i].inputs) {
        int p = g_.value(v).node;
        if (p >= 0 && (of_[i] < 0 || of_[static_cast<size_t>(p)] != of_[i])) outside_[static_cast<size_t>(v)] = true;
      }
    for (ValueId v : g_.outputs) outside_[static_cast<size_t>(v)] = true;
    for (ValueId p : g_.params()) map_[static_cast<size_t>(p)] = to_.add_param(g_.type(p));
    for (size_t i = 0; i < g_.nodes().size(); ++i) {
      int c = of_[i];
      if (c < 0 || clusters_[static_cast<size_t>(c)].last == static_cast<int>(i)) emit(static_cast<int>(i));
    }
    for (ValueId v : g_.outputs) to_.outputs.push_back(map_[static_cast<size_t>(v)]);
    return std::move(to_);
  }

  std::vector<int> unit(int i) const {
    int c = of_[static_cast<size_t>(i)];
    return c < 0 ? std::vector<int>{i} : clusters_[static_cast<size_t>(c)].nodes;
  }

  // Emits the unit of node i after all units that it needs; a stack of its own, since chains may be long.
  void emit(int i) {
    std::vector<int> stack{i};
    while (!stack.empty()) {
      int top = stack.back();
      if (done_[static_cast<size_t>(top)]) {
        stack.pop_back();
        continue;
      }
      bool ready = true;
      for (int n : unit(top))
        for (ValueId v : g_.nodes()[static_cast<size_t>(n)].inputs) {
          int p = g_.value(v).node;
          if (p < 0 || done_[static_cast<size_t>(p)] || (of_[static_cast<size_t>(n)] >= 0 && of_[static_cast<size_t>(p)] == of_[static_cast<size_t>(n)])) continue;
          stack.push_back(p);
          ready = false;
        }
      if (!ready) continue;
      stack.pop_back();
      write(top);
    }
  }

  // The one of most members first.
  ir::OriginPtr origin_of(const std::vector<int>& members) const {
    std::vector<std::pair<int, ir::OriginPtr>> found;
    for (int n : members) {
      const ir::OriginPtr& o = g_.nodes()[static_cast<size_t>(n)].origin;
      auto it = std::find_if(found.begin(), found.end(), [&](const auto& f) { return f.second == o || (f.second && o && f.second->name == o->name); });
      if (it == found.end()) found.emplace_back(1, o);
      else ++it->first;
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<ir::OriginPtr> origins;
    for (auto& [count, o] : found) origins.push_back(o);
    return ir::joined(origins);
  }

  void write(int i) {
    std::vector<int> members = unit(i);
    for (int n : members) done_[static_cast<size_t>(n)] = true;
    const Node& only = g_.nodes()[static_cast<size_t>(members[0])];
    if (members.size() == 1 && (of_[static_cast<size_t>(i)] < 0 || !only.prim->is_ew())) {
      std::vector<ValueId> in;
      for (ValueId v : only.inputs) in.push_back(map_[static_cast<size_t>(v)]);
      const ir::OriginScope origin(only.origin);
      to_.emit(*only.prim, std::move(in), only.attrs);
      for (size_t k = 0; k < only.outputs.size(); ++k) map_[static_cast<size_t>(only.outputs[k])] = to_.nodes().back().outputs[k];
      return;
    }
    const Cluster& c = clusters_[static_cast<size_t>(of_[static_cast<size_t>(i)])];
    auto body = std::make_shared<Graph>();
    std::vector<ValueId> inputs, results;
    std::map<ValueId, ValueId> inner;
    for (int n : members)
      for (ValueId v : g_.nodes()[static_cast<size_t>(n)].inputs) {
        if (in(v, of_[static_cast<size_t>(i)]) || inner.count(v)) continue;
        const Literal* l = g_.literal(v);
        double x;
        if (l && l->uniform(&x)) continue;
        inner[v] = body->add_param(g_.type(v));
        inputs.push_back(map_[static_cast<size_t>(v)]);
      }
    for (int n : members)
      for (ValueId v : g_.nodes()[static_cast<size_t>(n)].inputs)
        if (const Literal* l = g_.literal(v); l && !inner.count(v)) inner[v] = body->constant(*l);
    for (int n : members) {
      const Node& node = g_.nodes()[static_cast<size_t>(n)];
      std::vector<ValueId> in;
      for (ValueId v : node.inputs) in.push_back(inner.at(v));
      const ir::OriginScope origin(node.origin);
      inner[node.outputs[0]] = body->emit(*node.prim, std::move(in), node.attrs);
      if (outside_[static_cast<size_t>(node.outputs[0])]) {
        results.push_back(node.outputs[0]);
        body->outputs.push_back(inner[node.outputs[0]]);
      }
    }
    const ir::OriginScope origin(origin_of(members));
    to_.emit(ir::primitive("cluster"), inputs,
             Attrs{{"space", c.space.dims()}, {"row_rank", int64_t{c.row_rank}}, {"body", std::shared_ptr<const Graph>(body)}});
    const auto& out = to_.nodes().back().outputs;
    for (size_t k = 0; k < results.size(); ++k) map_[static_cast<size_t>(results[k])] = out[k];
  }

  const Graph& g_;
  Graph to_;
  std::vector<int> of_;
  std::vector<int> seen_nodes_;
  int round_ = 0;
  std::vector<Cluster> clusters_;
  std::map<ValueId, int> readers_;
  std::vector<ValueId> map_;
  std::vector<bool> done_, outside_;
};

bool g_fusion = [] {
  const char* e = std::getenv("KERAS_FUSION");
  return !e || std::string_view(e) != "0";
}();

}  // namespace

void set_fusion(bool on) { g_fusion = on; }
bool fusion() { return g_fusion; }

Graph fuse(const Graph& graph) {
  Graph with_epilogues = EpilogueFuser(graph).run();
  return ClusterFuser(with_epilogues).run();
}

Graph optimize(const Graph& graph, const std::vector<char>& steady) {
  Graph g = simplify(g_fusion ? attention(graph) : graph);
  verify(g, "simplify");
  if (!g_fusion) return g;
  g = join_projections(g);
  verify(g, "join_projections");
  if (std::find(steady.begin(), steady.end(), char{1}) != steady.end()) {
    g = simplify(fold(g, steady));
    verify(g, "fold");
    g = simplify(by_parts(g, steady));
    verify(g, "by parts");
  }
  g = fuse(g);
  verify(g, "fuse");
  g = recompute(g);
  verify(g, "recompute");
  g = views(g);
  verify(g, "views");
  g = sparse_updates(g);
  verify(g, "sparse updates");
  g = loops_together(g);
  verify(g, "loops together");
  return g;
}

}  // namespace keras::passes
