// What lives here: the pass that finds attentions, however they are written, and makes each one node: softmax of scores that are products of
// queries and keys, scaled, biased or masked on the way, times values. Transposes, reshapes and repeats before and after it become the way
// in which the node walks its tensors.
#include "passes/attention.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

namespace keras::passes {

using ir::AttentionForm;
using ir::Attrs;
using ir::Ew;
using ir::Ints;
using ir::Literal;
using ir::Node;
using Kind = AttentionForm::Kind;

namespace {

// ---- how a value lies in another ------------------------------------------------------------------------------------

/// A run of elements, outer runs first; sizes of 1 are left out.
struct Fine {
  int64_t size, stride;
};
using Axis = std::vector<Fine>;
struct Layout {
  ValueId base = -1;
  std::vector<Axis> axes;
};

std::vector<int64_t> dense(const Shape& s) {
  std::vector<int64_t> strides(s.size(), 1);
  for (int i = s.rank() - 2; i >= 0; --i) strides[static_cast<size_t>(i)] = strides[static_cast<size_t>(i) + 1] * s[i + 1];
  return strides;
}
Layout plain(ValueId v, const Shape& s) {
  Layout l{v, {}};
  const std::vector<int64_t> strides = dense(s);
  for (int i = 0; i < s.rank(); ++i) l.axes.push_back(s[i] == 1 ? Axis{} : Axis{{s[i], strides[static_cast<size_t>(i)]}});
  return l;
}
bool reshaped(Layout& l, const Shape& to) {
  std::vector<Fine> all;
  for (const Axis& a : l.axes) all.insert(all.end(), a.begin(), a.end());
  std::vector<Axis> axes;
  size_t at = 0;
  for (int64_t need : to) {
    Axis a;
    while (need > 1) {
      if (at == all.size()) return false;
      Fine& f = all[at];
      if (need % f.size == 0) {
        need /= f.size;
        a.push_back(f);
        ++at;
      } else if (f.size % need == 0) {
        f.size /= need;
        a.push_back({need, f.stride * f.size});
        need = 1;
      } else {
        return false;
      }
    }
    axes.push_back(std::move(a));
  }
  l.axes = std::move(axes);
  return at == all.size();
}
/// One run, where neighbours can be walked with one stride.
std::optional<Fine> single(const Axis& a) {
  Fine out{1, 0};
  for (const Fine& f : a) {
    if (out.size == 1) out = f;
    else if (out.stride == f.size * f.stride) out = {out.size * f.size, f.stride};
    else return std::nullopt;
  }
  return out;
}

/// A part of an axis cannot be walked with one stride until it is cut into parts of this inner size.
struct Cut {
  int64_t inner = 0;
};
/// The stride of the indices step * i, i < size, of an axis.
std::optional<int64_t> stride_of(const Axis& a, int64_t step, int64_t size, Cut* cut) {
  int64_t inner = 1;
  for (size_t i = a.size(); i-- > 0; inner *= a[i].size) {
    if (step >= inner * a[i].size) continue;
    if (step % inner || a[i].size % (step / inner)) return std::nullopt;
    const int64_t t = step / inner, rest = a[i].size / t;
    if (rest % size == 0) return a[i].stride * t;
    if (size % rest == 0) cut->inner = rest;
    return std::nullopt;
  }
  return std::nullopt;
}
/// Where in a layout the run of elements `stride` apart stands: which axis, and its step there.
struct Spot {
  int axis;
  int64_t step;
};
std::optional<Spot> spot_of(const Layout& l, int64_t stride, int64_t size, Cut* cut) {
  for (size_t k = 0; k < l.axes.size(); ++k) {
    int64_t inner = 1;
    const Axis& a = l.axes[k];
    for (size_t i = a.size(); i-- > 0; inner *= a[i].size) {
      if (a[i].stride == 0 || stride < a[i].stride || stride >= a[i].stride * a[i].size) continue;
      if (stride % a[i].stride) return std::nullopt;
      const int64_t t = stride / a[i].stride;
      if (a[i].size % t) return std::nullopt;
      const int64_t rest = a[i].size / t;
      if (rest % size == 0) return Spot{static_cast<int>(k), inner * t};
      if (size % rest == 0) cut->inner = rest;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

Ints free_of(int rank, const Ints& a, const Ints& b) {
  Ints out;
  for (int i = 0; i < rank; ++i)
    if (std::find(a.begin(), a.end(), i) == a.end() && std::find(b.begin(), b.end(), i) == b.end()) out.push_back(i);
  return out;
}

// ---- the search -----------------------------------------------------------------------------------------------------

class Finder {
 public:
  Finder(const Graph& g, const std::vector<ValueId>& roots, const std::vector<ValueId>& kept) : g_(g) {
    bool exp = false, dot = false;
    for (const Node& n : g.nodes()) exp |= n.prim->ew == Ew::exp, dot |= n.prim->is("dot");
    if (!exp || !dot) return;
    users_.resize(g.num_values());
    outside_.assign(g.num_values(), 0);
    for (ValueId v : roots) outside_[static_cast<size_t>(v)] = 1;
    for (ValueId v : kept) outside_[static_cast<size_t>(v)] = 1;
    std::vector<char> needed(g.nodes().size(), 0);
    for (ValueId v : roots) need(v, needed);
    for (size_t i = g.nodes().size(); i-- > 0;) {
      if (!needed[i]) continue;
      for (ValueId v : g.nodes()[i].inputs) need(v, needed);
      for (ValueId v : g.nodes()[i].inputs) users_[static_cast<size_t>(v)].push_back(static_cast<int>(i));
    }
    for (size_t i = 0; i < g.nodes().size(); ++i)
      if (needed[i] && g.nodes()[i].prim->is("dot")) try_dot(static_cast<int>(i));
  }
  std::vector<AttentionSite> sites;

 private:
  void need(ValueId v, std::vector<char>& needed) const {
    if (int n = g_.value(v).node; n >= 0) needed[static_cast<size_t>(n)] = 1;
  }
  const Shape& shape(ValueId v) const { return g_.type(v).shape; }
  bool is_float(ValueId v) const { return g_.type(v).dtype == DType::Float32; }

  /// The layout of a value in what it is only moved from: through transposes, reshapes and, if wanted, repeats.
  Layout layout(ValueId v, bool repeats, std::vector<int>* passed = nullptr, ValueId stop = -1) const {
    std::vector<const Node*> chain;
    ValueId at = v;
    while (at != stop) {
      const Node* p = g_.producer(at);
      if (!p || !(p->prim->is("transpose") || p->prim->is("reshape") || (repeats && p->prim->is("broadcast_to")))) break;
      chain.push_back(p);
      if (passed) passed->push_back(g_.value(at).node);
      at = p->inputs[0];
    }
    Layout l = plain(at, shape(at));
    for (size_t i = chain.size(); i-- > 0;) {
      const Node& n = *chain[i];
      const Shape& out = shape(n.outputs[0]);
      if (n.prim->is("transpose")) {
        std::vector<Axis> axes;
        for (int64_t a : n.attrs.ints("perm")) axes.push_back(l.axes[static_cast<size_t>(a)]);
        l.axes = std::move(axes);
      } else if (n.prim->is("broadcast_to")) {
        const Shape& in = shape(n.inputs[0]);
        std::vector<Axis> axes(out.size());
        for (int k = 0; k < out.rank(); ++k) {
          const int from = k - (out.rank() - in.rank());
          if (from >= 0 && in[from] == out[k]) axes[static_cast<size_t>(k)] = l.axes[static_cast<size_t>(from)];
          else if (out[k] != 1) axes[static_cast<size_t>(k)] = {{out[k], 0}};
        }
        l.axes = std::move(axes);
      } else if (!reshaped(l, out)) {
        l = plain(n.outputs[0], out);
      }
    }
    return l;
  }

  /// A number that the whole value is.
  bool number(ValueId v, double* x) const {
    while (const Node* p = g_.producer(v)) {
      if (!p->prim->is("broadcast_to") && !p->prim->is("reshape")) break;
      v = p->inputs[0];
    }
    const Literal* l = g_.literal(v);
    return l && l->uniform(x);
  }
  /// The value before transposes and reshapes.
  ValueId unmoved(ValueId v, std::vector<int>* passed = nullptr) const {
    while (const Node* p = g_.producer(v)) {
      if (!p->prim->is("transpose") && !p->prim->is("reshape")) break;
      if (passed) passed->push_back(g_.value(v).node);
      v = p->inputs[0];
    }
    return v;
  }

  // What is gathered while one attention is followed.
  struct Trial {
    std::vector<int> nodes;
    Shape space;  // of the scores where the softmax is taken
    struct Step {
      Kind kind;
      double value = 0;
      ValueId operand = -1;
      bool inverted = false;
      bool causal = false;
    };
    std::vector<Step> steps, after;  // last first while they are gathered
    std::vector<std::pair<const ir::Primitive*, ValueId>> q_scales;
    size_t q_scales_at = 0;  // how many steps had been met when the last of them was
    ValueId scores = -1;     // where the steps begin
    int first_dot = -1, last_dot = -1;
    size_t weights_side = 0;
    ValueId weights = -1;  // of the space's shape
  };

  const Node* made_by(ValueId v, Ew op) const {
    const Node* p = g_.producer(v);
    return p && p->prim->ew == op ? p : nullptr;
  }
  int node(ValueId v) const { return g_.value(v).node; }

  /// True for the mask that keeps what stands at or before its own place.
  bool is_causal(ValueId mask, const Shape& space) const {
    const Layout l = layout(mask, true);
    const Node* p = g_.producer(l.base);
    if (!p || (p->prim->ew != Ew::greater_equal && p->prim->ew != Ew::less_equal)) return false;
    ValueId row = p->inputs[0], column = p->inputs[1];
    if (p->prim->ew == Ew::less_equal) std::swap(row, column);
    const Shape& base = shape(l.base);
    const int rank = base.rank();
    if (rank < 2) return false;
    // Which axis of the comparison an iota runs along, -1 if none.
    const auto along = [&](ValueId v) {
      const Layout i = layout(v, true);
      const Node* maker = g_.producer(i.base);
      if (!maker || !maker->prim->is("iota") || shape(i.base).rank() != 1) return -1;
      int axis = -1;
      for (size_t k = 0; k < i.axes.size(); ++k)
        for (const Fine& f : i.axes[k])
          if (f.stride != 0) {
            if (axis >= 0 || f.stride != 1 || f.size != base[static_cast<int>(k) + rank - static_cast<int>(i.axes.size())]) return -1;
            axis = static_cast<int>(k) + rank - static_cast<int>(i.axes.size());
          }
      return axis;
    };
    if (along(row) != rank - 2 || along(column) != rank - 1) return false;
    for (int i = 0; i < rank - 2; ++i)
      if (base[i] != 1) return false;
    // The mask itself must put those axes last.
    const Shape& s = shape(mask);
    if (s.rank() < 2 || space.rank() < 2 || s[-1] != space[-1] || s[-2] != space[-2]) return false;
    const std::vector<int64_t> strides = dense(base);
    for (int i = 0; i < s.rank(); ++i)
      for (const Fine& f : l.axes[static_cast<size_t>(i)]) {
        const int64_t want = i == s.rank() - 1 ? 1 : i == s.rank() - 2 ? strides[static_cast<size_t>(rank) - 2] : 0;
        if (f.stride != want) return false;
      }
    return s[-2] > 1 && s[-1] > 1;
  }
  /// A fill's mask as the masks whose conjunction it is.
  void add_masks(std::vector<Trial::Step>& to, Kind kind, double value, ValueId mask, bool inverted, const Shape& space) const {
    if (!inverted && kind == Kind::Fill)
      if (const Node* p = made_by(mask, Ew::logical_and)) {
        for (ValueId v : p->inputs) add_masks(to, kind, value, v, false, space);
        return;
      }
    if (const Node* p = made_by(mask, Ew::logical_not)) return add_masks(to, kind, value, p->inputs[0], !inverted, space);
    to.push_back({kind, value, mask, inverted, !inverted && is_causal(mask, space)});
  }

  /// From the number whose softmax is taken back to the first product.
  bool follow_scores(Trial& t, ValueId v) const {
    for (int guard = 0; guard < 32; ++guard) {
      const Node* p = g_.producer(v);
      if (!p || !is_float(v)) return false;
      double x;
      if (p->prim->is("dot") || p->prim->is("transpose") || p->prim->is("reshape")) {
        std::vector<int> passed;
        const ValueId base = unmoved(v, &passed);
        const Node* d = g_.producer(base);
        if (!d || !d->prim->is("dot") || d->inputs.size() != 2 || shape(v) != t.space) return false;
        t.nodes.insert(t.nodes.end(), passed.begin(), passed.end());
        t.scores = v;
        t.first_dot = node(base);
        t.nodes.push_back(t.first_dot);
        // A scale that is a value acts on q, so nothing else may come before it.
        for (size_t i = t.q_scales_at; i < t.steps.size() && !t.q_scales.empty(); ++i)
          if (t.steps[i].kind != Kind::Scale) return false;
        return true;
      }
      if (shape(v) != t.space) return false;
      const auto through = [&](ValueId next) {
        t.nodes.push_back(node(v));
        v = next;
      };
      if (p->prim->ew == Ew::mul || p->prim->ew == Ew::div) {
        if (number(p->inputs[1], &x) && shape(p->inputs[0]) == t.space) {
          t.steps.push_back({Kind::Scale, p->prim->ew == Ew::mul ? x : 1 / x});
          through(p->inputs[0]);
        } else if (p->prim->ew == Ew::mul && number(p->inputs[0], &x) && shape(p->inputs[1]) == t.space) {
          t.steps.push_back({Kind::Scale, x});
          through(p->inputs[1]);
        } else {
          size_t main = shape(p->inputs[0]) == t.space ? 0 : 1;
          const ValueId by = p->inputs[1 - main];
          if ((main == 1 && p->prim->ew == Ew::div) || shape(by).numel() != 1 || !is_float(by)) return false;
          t.q_scales.emplace_back(p->prim, by);
          t.q_scales_at = t.steps.size();
          through(p->inputs[main]);
        }
      } else if (p->prim->ew == Ew::sub) {
        if (shape(p->inputs[0]) != t.space || !is_float(p->inputs[1])) return false;
        t.steps.push_back({Kind::Subtract, 0, p->inputs[1]});
        through(p->inputs[0]);
      } else if (p->prim->ew == Ew::add) {
        // Which side are the scores? The one that leads back to a product.
        for (size_t main = 0; main < 2; ++main) {
          if (shape(p->inputs[main]) != t.space || !is_float(p->inputs[1 - main])) continue;
          Trial deeper = t;
          deeper.steps.push_back({Kind::Add, 0, p->inputs[1 - main]});
          deeper.nodes.push_back(node(v));
          if (!follow_scores(deeper, p->inputs[main])) continue;
          t = std::move(deeper);
          return true;
        }
        return false;
      } else if (p->prim->ew == Ew::select) {
        const bool inverted = number(p->inputs[1], &x) && shape(p->inputs[2]) == t.space;
        const ValueId main = p->inputs[inverted ? 2 : 1], other = p->inputs[inverted ? 1 : 2];
        if (shape(main) != t.space) return false;
        if (number(other, &x)) {
          add_masks(t.steps, Kind::Fill, x, p->inputs[0], inverted, t.space);
        } else {
          const Node* sum = made_by(other, Ew::add);
          if (inverted || !sum || sum->inputs[0] != main || !number(sum->inputs[1], &x)) return false;
          t.nodes.push_back(node(other));
          add_masks(t.steps, Kind::FillAdd, x, p->inputs[0], false, t.space);
        }
        through(main);
      } else {
        return false;
      }
    }
    return false;
  }

  /// From the weights back to the softmax, then on.
  bool follow_weights(Trial& t, ValueId v) const {
    std::vector<int> passed;
    v = unmoved(v, &passed);
    t.nodes.insert(t.nodes.end(), passed.begin(), passed.end());
    t.space = shape(v);
    t.weights = v;
    if (t.space.rank() < 2 || !t.space.is_static() || t.space.numel() == 0) return false;
    for (int guard = 0; guard < 8; ++guard) {
      const Node* p = g_.producer(v);
      if (!p || !is_float(v) || shape(v) != t.space) return false;
      t.nodes.push_back(node(v));
      double x;
      if (p->prim->ew == Ew::select && number(p->inputs[2], &x) && x == 0) {
        const Node* mask = g_.producer(p->inputs[0]);
        if (mask && mask->prim->is("random") && mask->attrs.i("kind") == kBernoulli && shape(p->inputs[0]) == t.space) {
          const auto& readers = users_[static_cast<size_t>(p->inputs[0])];
          if (readers.size() == 1) {
            t.after.push_back({Kind::Drop, mask->attrs.f("a"), mask->inputs[0]});
            t.nodes.push_back(node(p->inputs[0]));
            v = p->inputs[1];
            continue;
          }
        }
        add_masks(t.after, Kind::Fill, 0, p->inputs[0], false, t.space);
        v = p->inputs[1];
      } else if ((p->prim->ew == Ew::mul || p->prim->ew == Ew::div) && number(p->inputs[1], &x)) {
        t.after.push_back({Kind::Scale, p->prim->ew == Ew::mul ? x : 1 / x});
        v = p->inputs[0];
      } else if (p->prim->ew == Ew::div) {
        return follow_softmax(t, *p);
      } else {
        return false;
      }
    }
    return false;
  }
  static constexpr int64_t kBernoulli = 5;  // of prims::RandomKind

  // exp(x - max(x)) / sum of it, along the last axis.
  bool follow_softmax(Trial& t, const Node& ratio) const {
    const ValueId e = ratio.inputs[0];
    const Node* exp = made_by(e, Ew::exp);
    if (!exp || shape(e) != t.space) return false;
    const auto over_last = [&](ValueId v, const char* prim, ValueId of) {
      while (const Node* p = g_.producer(v)) {
        if (!p->prim->is("reshape") && !p->prim->is("broadcast_to") && !p->prim->is("stop_gradient")) break;
        t.nodes.push_back(node(v));
        v = p->inputs[0];
      }
      const Node* p = g_.producer(v);
      if (!p || !p->prim->is(prim)) return false;
      t.nodes.push_back(node(v));
      ValueId from = p->inputs[0];
      while (const Node* s = g_.producer(from)) {
        if (!s->prim->is("stop_gradient")) break;
        t.nodes.push_back(node(from));
        from = s->inputs[0];
      }
      const Ints& axes = p->attrs.ints("axes");
      return from == of && axes.size() == 1 && axes[0] == t.space.rank() - 1;
    };
    if (!over_last(ratio.inputs[1], "reduce_sum", e)) return false;
    t.nodes.push_back(node(e));
    const Node* shifted = made_by(exp->inputs[0], Ew::sub);
    if (!shifted || !over_last(shifted->inputs[1], "reduce_max", shifted->inputs[0])) return false;
    t.nodes.push_back(node(exp->inputs[0]));
    return follow_scores(t, shifted->inputs[0]);
  }

  void try_dot(int n) {
    const Node& d = g_.nodes()[static_cast<size_t>(n)];
    if (d.inputs.size() != 2 || !is_float(d.outputs[0]) || !shape(d.outputs[0]).is_static()) return;
    for (size_t side = 0; side < 2; ++side) {
      Trial t;
      t.last_dot = n;
      t.weights_side = side;
      if (!follow_weights(t, d.inputs[side])) continue;
      std::reverse(t.steps.begin(), t.steps.end());
      std::reverse(t.after.begin(), t.after.end());
      std::reverse(t.q_scales.begin(), t.q_scales.end());
      t.nodes.push_back(n);
      for (bool deep : {true, false})
        if (AttentionSite site; place(t, deep, &site)) {
          sites.push_back(std::move(site));
          return;
        }
    }
  }

  // ---- layouts of all tensors on the axes of the scores --------------------------------------------------------------

  struct Dim {
    int axis;           // of the space
    int64_t step, size;
    int64_t out;        // stride in the first product
  };

  bool place(const Trial& t, bool deep, AttentionSite* site) const {
    const Node &first = g_.nodes()[static_cast<size_t>(t.first_dot)], &last = g_.nodes()[static_cast<size_t>(t.last_dot)];
    const Layout from_first = layout(t.scores, false, nullptr, first.outputs[0]);
    if (from_first.base != first.outputs[0]) return false;
    std::vector<Dim> dims;
    for (size_t a = 0; a < from_first.axes.size(); ++a) {
      int64_t step = 1;
      std::vector<Dim> own;
      for (size_t i = from_first.axes[a].size(); i-- > 0;) {
        const Fine& f = from_first.axes[a][i];
        own.push_back({static_cast<int>(a), step, f.size, f.stride});
        step *= f.size;
      }
      dims.insert(dims.end(), own.rbegin(), own.rend());
    }
    // Which side of the first product has the keys: the one that the last axis of the scores belongs to.
    const std::vector<int64_t> first_strides = dense(shape(first.outputs[0]));
    const Ints &lb = first.attrs.ints("lb"), &rb = first.attrs.ints("rb"), &lc = first.attrs.ints("lc"), &rc = first.attrs.ints("rc");
    const int nb = static_cast<int>(lb.size());
    const Ints lf = free_of(shape(first.inputs[0]).rank(), lc, lb), rf = free_of(shape(first.inputs[1]).rank(), rc, rb);
    const int nl = static_cast<int>(lf.size());
    const int last_axis = t.space.rank() - 1;
    const Layout whole_first = plain(first.outputs[0], shape(first.outputs[0]));
    int key_side = -1;
    for (const Dim& d : dims) {
      if (d.axis != last_axis) continue;
      Cut cut;
      const auto s = spot_of(whole_first, d.out, d.size, &cut);
      if (!s || s->axis < nb) return false;
      const int side = s->axis < nb + nl ? 0 : 1;
      if (key_side >= 0 && side != key_side) return false;
      key_side = side;
    }
    if (key_side < 0) return false;  // one key
    const size_t ks = static_cast<size_t>(key_side), qs = 1 - ks;
    const auto lay = [&](ValueId v, bool repeats) { return deep ? layout(v, repeats) : plain(v, shape(v)); };
    const size_t ws = t.weights_side;
    const Layout q = lay(first.inputs[qs], false), k = lay(first.inputs[ks], true), v = lay(last.inputs[1 - ws], true);
    const Layout w = layout(last.inputs[ws], false, nullptr, t.weights);
    if (w.base != t.weights) return false;
    const Ints* b1[2] = {&lb, &rb};
    const Ints* c1[2] = {&lc, &rc};
    const Ints* f1[2] = {&lf, &rf};
    // The second product.
    const Ints* b2[2] = {&last.attrs.ints("lb"), &last.attrs.ints("rb")};
    const Ints* c2[2] = {&last.attrs.ints("lc"), &last.attrs.ints("rc")};
    const Ints f2l = free_of(shape(last.inputs[0]).rank(), *c2[0], *b2[0]), f2r = free_of(shape(last.inputs[1]).rank(), *c2[1], *b2[1]);
    const Ints* f2[2] = {&f2l, &f2r};
    const int nb2 = static_cast<int>(b2[0]->size());
    const auto out_axis = [&](size_t side, size_t i) { return nb2 + (side == 1 ? static_cast<int>(f2l.size()) : 0) + static_cast<int>(i); };
    const std::vector<int64_t> strides2 = dense(shape(last.outputs[0])), space_strides = dense(t.space);

    std::vector<Layout> operands;  // of the steps that have one, in order
    for (const auto* steps : {&t.steps, &t.after})
      for (const Trial::Step& s : *steps)
        if (s.operand >= 0 && s.kind != Kind::Drop && !s.causal) operands.push_back(lay(s.operand, true));
    struct Strides {
      int64_t q = 0, k = 0, v = 0, y = 0;
      bool key = false, row = false;
    };

    // What only moves the result is part of how it is written, as far as nothing else reads it in between.
    std::vector<ValueId> results{last.outputs[0]};
    while (true) {
      const ValueId at = results.back();
      const auto& users = users_[static_cast<size_t>(at)];
      if (outside_[static_cast<size_t>(at)] || users.size() != 1) break;
      const Node& next = g_.nodes()[static_cast<size_t>(users[0])];
      if (!next.prim->is("transpose") && !next.prim->is("reshape")) break;
      results.push_back(next.outputs[0]);
    }
    for (; !results.empty(); results.pop_back()) {
      const Layout y = layout(results.back(), false, nullptr, last.outputs[0]);
      if (y.base != last.outputs[0]) continue;
      const std::vector<int64_t> y_strides = dense(shape(results.back()));

      const auto strides_of = [&](const Dim& d, Strides* s, std::vector<int64_t>* masks, Cut* cut) {
        const auto set = [](int64_t* to, const std::optional<int64_t>& stride) {
          if (stride) *to = *stride;
          return stride.has_value();
        };
        const auto at = [&](const Ints& axes, size_t i) { return static_cast<size_t>(axes[i]); };
        const auto spot = spot_of(whole_first, d.out, d.size, cut);
        if (!spot) return false;
        if (spot->axis < nb) {
          const size_t i = static_cast<size_t>(spot->axis);
          if (!set(&s->q, stride_of(q.axes[at(*b1[qs], i)], spot->step, d.size, cut))) return false;
          if (!set(&s->k, stride_of(k.axes[at(*b1[ks], i)], spot->step, d.size, cut))) return false;
        } else {
          const size_t side = spot->axis < nb + nl ? 0 : 1, i = static_cast<size_t>(spot->axis - nb - (side == 1 ? nl : 0));
          s->key = side == ks, s->row = !s->key;
          const Layout& from = s->key ? k : q;
          if (!set(s->key ? &s->k : &s->q, stride_of(from.axes[at(*f1[side], i)], spot->step, d.size, cut))) return false;
        }
        if (s->key != (d.axis == last_axis)) return false;
        const auto in_w = spot_of(w, space_strides[static_cast<size_t>(d.axis)] * d.step, d.size, cut);
        if (!in_w) return false;
        const auto index = [&](const Ints& axes) { return static_cast<size_t>(std::find(axes.begin(), axes.end(), in_w->axis) - axes.begin()); };
        if (const size_t i = index(*c2[ws]); i < c2[ws]->size()) {
          if (!s->key || !set(&s->v, stride_of(v.axes[at(*c2[1 - ws], i)], in_w->step, d.size, cut))) return false;
        } else {
          if (s->key) return false;
          int out = 0;
          if (const size_t b = index(*b2[ws]); b < b2[ws]->size()) {
            if (!set(&s->v, stride_of(v.axes[at(*b2[1 - ws], b)], in_w->step, d.size, cut))) return false;
            out = static_cast<int>(b);
          } else {
            out = out_axis(ws, index(*f2[ws]));
          }
          const auto in_y = spot_of(y, strides2[static_cast<size_t>(out)] * in_w->step, d.size, cut);
          if (!in_y) return false;
          s->y = y_strides[static_cast<size_t>(in_y->axis)] * in_y->step;
          // Keys that some of these share and values that they don't would be added up twice.
          if ((s->k == 0) != (s->v == 0)) return false;
        }
        for (size_t o = 0; o < operands.size(); ++o) {
          const int axis = d.axis - (t.space.rank() - static_cast<int>(operands[o].axes.size()));
          (*masks)[o] = 0;
          if (axis < 0 || operands[o].axes[static_cast<size_t>(axis)].empty()) continue;
          if (!set(&(*masks)[o], stride_of(operands[o].axes[static_cast<size_t>(axis)], d.step, d.size, cut))) return false;
          if (s->key && (*masks)[o] != 0 && (*masks)[o] != 1) return false;
        }
        return true;
      };
      std::vector<Dim> cut_dims = dims;
      std::vector<Strides> found;
      std::vector<std::vector<int64_t>> masks;
      bool good = true;
      for (size_t i = 0; i < cut_dims.size() && good;) {
        Strides s;
        std::vector<int64_t> m(operands.size());
        Cut cut;
        if (strides_of(cut_dims[i], &s, &m, &cut)) {
          found.push_back(s), masks.push_back(std::move(m));
          ++i;
          continue;
        }
        const Dim d = cut_dims[i];
        good = cut.inner > 1 && cut.inner < d.size && d.size % cut.inner == 0;
        if (!good) break;
        cut_dims[i] = {d.axis, d.step * cut.inner, d.size / cut.inner, d.out * cut.inner};
        cut_dims.insert(cut_dims.begin() + static_cast<std::ptrdiff_t>(i) + 1, {d.axis, d.step, cut.inner, d.out});
      }
      if (!good) continue;
      int row = -1, key = -1, keys = 0;
      for (size_t i = 0; i < found.size(); ++i) {
        if (found[i].key) key = static_cast<int>(i), ++keys;
        if (found[i].row) row = static_cast<int>(i);
      }
      if (keys != 1 || found.size() > kMostAxes) continue;
      // Causal masks speak of one axis of rows.
      const auto one_row = [&] {
        int count = 0;
        for (const Dim& d : cut_dims) count += d.axis == last_axis - 1;
        return count == 1 && row >= 0 && cut_dims[static_cast<size_t>(row)].axis == last_axis - 1;
      };
      bool causal = false;
      for (const auto* steps : {&t.steps, &t.after})
        for (const Trial::Step& s : *steps) causal |= s.causal;
      if (causal && !one_row()) continue;

      // The summed axis and the values' own.
      const auto joined = [](const Layout& l, const Ints& axes) {
        Axis all;
        for (int64_t a : axes) all.insert(all.end(), l.axes[static_cast<size_t>(a)].begin(), l.axes[static_cast<size_t>(a)].end());
        return single(all);
      };
      const auto q_depth = joined(q, *c1[qs]), k_depth = joined(k, *c1[ks]), v_width = joined(v, *f2[1 - ws]);
      Ints out_width;
      for (size_t i = 0; i < f2[1 - ws]->size(); ++i) out_width.push_back(out_axis(1 - ws, i));
      const auto width = joined(plain(last.outputs[0], shape(last.outputs[0])), out_width);
      if (!q_depth || !k_depth || !v_width || !width || q_depth->size != k_depth->size || v_width->size != width->size) continue;
      int64_t y_column = 0;
      if (width->size > 1) {
        Cut ignored;
        const auto in_y = spot_of(y, width->stride, width->size, &ignored);
        if (!in_y) continue;
        y_column = y_strides[static_cast<size_t>(in_y->axis)] * in_y->step;
      }

      AttentionForm& f = site->form;
      f = {};
      site->y = results.back();
      site->inputs = {q.base, k.base, v.base};
      site->q_scales = t.q_scales;
      f.shape = shape(results.back());
      f.depth = q_depth->size, f.width = width->size;
      f.q.column = q_depth->stride, f.k.column = k_depth->stride, f.v.column = v_width->stride, f.y.column = y_column;
      f.keys = cut_dims[static_cast<size_t>(key)].size;
      f.k.row = found[static_cast<size_t>(key)].k, f.v.row = found[static_cast<size_t>(key)].v;
      if (row >= 0) f.rows = cut_dims[static_cast<size_t>(row)].size, f.q.row = found[static_cast<size_t>(row)].q, f.y.row = found[static_cast<size_t>(row)].y;
      for (size_t i = 0; i < found.size(); ++i) {
        if (static_cast<int>(i) == row || static_cast<int>(i) == key) continue;
        f.batch.push_back(cut_dims[i].size);
        f.q.batch.push_back(found[i].q), f.k.batch.push_back(found[i].k), f.v.batch.push_back(found[i].v), f.y.batch.push_back(found[i].y);
      }
      // A view of an operand from its strides along the axes.
      const auto view = [&](const auto& stride) {
        AttentionForm::View o;
        for (size_t i = 0; i < found.size(); ++i) {
          if (static_cast<int>(i) == row) o.row = stride(i);
          else if (static_cast<int>(i) == key) o.column = stride(i);
          else o.batch.push_back(stride(i));
        }
        return o;
      };
      size_t next = 0;
      for (auto [from, to] : {std::pair{&t.steps, &f.steps}, std::pair{&t.after, &f.after}})
        for (const Trial::Step& s : *from) {
          AttentionForm::Step step{s.kind, s.value, AttentionForm::kCausal, s.inverted, view([](size_t) { return int64_t{0}; })};
          if (s.kind == Kind::Drop) {
            step.view = view([&](size_t i) { return space_strides[static_cast<size_t>(cut_dims[i].axis)] * cut_dims[i].step; });
          } else if (s.operand >= 0 && !s.causal) {
            step.view = view([&](size_t i) { return masks[i][next]; });
          }
          if (s.operand >= 0 && !s.causal) {
            const ValueId v = s.kind == Kind::Drop ? s.operand : operands[next++].base;
            const auto known = std::find(site->inputs.begin() + 3, site->inputs.end(), v);
            step.operand = known - site->inputs.begin() - 3;
            if (known == site->inputs.end()) site->inputs.push_back(v);
          }
          to->push_back(std::move(step));
        }
      // Nothing but the result may be read from outside.
      std::set<int> nodes(t.nodes.begin(), t.nodes.end());
      for (size_t i = 1; i < results.size(); ++i) nodes.insert(node(results[i]));
      for (int n : nodes)
        for (ValueId o : g_.nodes()[static_cast<size_t>(n)].outputs) {
          if (o == site->y) continue;
          if (outside_[static_cast<size_t>(o)]) return false;
          for (int u : users_[static_cast<size_t>(o)])
            if (!nodes.count(u)) return false;
        }
      return true;
    }
    return false;
  }

  static constexpr size_t kMostAxes = 12;  // of batch and rows and keys, as the kernel walks them
  const Graph& g_;
  std::vector<std::vector<int>> users_;
  std::vector<char> outside_;
};

}  // namespace

std::vector<AttentionSite> find_attentions(const Graph& graph, const std::vector<ValueId>& roots, const std::vector<ValueId>& kept) {
  return std::move(Finder(graph, roots, kept).sites);
}

std::vector<ValueId> emit_attention(Graph& graph, const AttentionSite& site, std::vector<ValueId> inputs, const std::vector<ValueId>& scales) {
  std::vector<ValueId> queries{inputs[0]};
  for (size_t i = 0; i < scales.size(); ++i) {
    ValueId by = scales[i];
    if (graph.type(by).shape.rank() != 0) by = graph.emit(ir::primitive("reshape"), {by}, Attrs{{"shape", Ints{}}});
    inputs[0] = graph.emit(*site.q_scales[i].first, {inputs[0], by});
    queries.push_back(inputs[0]);
  }
  graph.emit(ir::primitive("attention"), std::move(inputs), site.form.attrs());
  return queries;
}

Graph attention(const Graph& graph) {
  const std::vector<AttentionSite> sites = find_attentions(graph, graph.outputs);
  if (sites.empty()) return graph;
  std::unordered_map<ValueId, const AttentionSite*> at;
  for (const AttentionSite& s : sites) at[s.y] = &s;
  Graph to;
  std::vector<ValueId> map(graph.num_values(), -1);
  const auto mapped = [&](const std::vector<ValueId>& all) {
    std::vector<ValueId> out;
    for (ValueId v : all) out.push_back(map[static_cast<size_t>(v)]);
    return out;
  };
  for (ValueId p : graph.params()) map[static_cast<size_t>(p)] = to.add_param(graph.type(p));
  for (const Node& n : graph.nodes()) {
    const ir::OriginScope origin(n.origin);
    if (const auto it = at.find(n.outputs[0]); it != at.end()) {
      const AttentionSite& s = *it->second;
      std::vector<ValueId> scales;
      for (const auto& [prim, v] : s.q_scales) scales.push_back(v);
      emit_attention(to, s, mapped(s.inputs), mapped(scales));
    } else {
      to.emit(*n.prim, mapped(n.inputs), n.attrs);
    }
    const std::vector<ValueId>& out = to.nodes().back().outputs;
    for (size_t i = 0; i < n.outputs.size(); ++i) map[static_cast<size_t>(n.outputs[i])] = out[i];
  }
  to.outputs = mapped(graph.outputs);
  return to;
}

}  // namespace keras::passes
