// What lives here: the peephole optimiser of tile programs. Every tile instruction costs a trip through the L1 cache, so chains
// that occur in networks become one kernel each. A chain is absorbed only where its inner result has no other reader (or is so
// cheap that computing it twice is better than storing it) and varies along the same axes as the outer one.
#include <bit>
#include <cmath>
#include <utility>

#include "cpu/tile_graph.h"

namespace keras::cpu::tile {
namespace {

class Optimizer {
 public:
  explicit Optimizer(Graph& g) : g_(g) {}

  void run() {
    // Whole functions first, while their parts are still plain; then pairs, from the last instruction backwards.
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i)) powers(i);
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i)) activations(i);
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i)) optimizers(i);
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i)) pairs(i);
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i) && node(i).kind == Node::Kind::RowReduce) row_reduction(i);
    for (Out& o : g_.outs)
      if (o.kind == Out::Kind::Column) column_reduction(o);
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i)) contraction(i);
    for (int i = size() - 1; i >= 0; --i)
      if (alive(i)) arithmetic(i);
  }

 private:
  int size() const { return static_cast<int>(g_.nodes.size()); }
  Node& node(int i) { return g_.nodes[static_cast<size_t>(i)]; }
  const Node& node(int i) const { return g_.nodes[static_cast<size_t>(i)]; }
  bool alive(int i) const { return node(i).uses > 0; }
  bool is(int i, Op op) const { return i >= 0 && node(i).kind == Node::Kind::Op && node(i).op == op; }
  bool f32(int i) const { return node(i).kind == Node::Kind::Op && node(i).operand == DType::Float32; }
  bool is_const(int i) const { return node(i).kind == Node::Kind::Const; }
  bool near_const(int i, double v) const { return is_const(i) && near(node(i).value, v); }
  static bool near(double a, double b) { return std::abs(a - b) <= 2e-6 * std::abs(b); }
  bool same_extent(int a, int b) const { return node(a).axes == node(b).axes; }

  void release(int i) {
    if (--node(i).uses > 0) return;
    for (int k = 0; k < node(i).n_in; ++k) release(node(i).in[k]);
  }
  /// Makes node i the operation `op` of other operands.
  void become(int i, Op op, std::initializer_list<int> in) {
    for (int k : in) ++node(k).uses;
    Node old = node(i);
    Node& n = node(i);
    n.op = op;
    n.n_in = 0;
    for (int k : in) n.in[n.n_in++] = k;
    for (int k = 0; k < old.n_in; ++k) release(old.in[k]);
  }

  /// Whether node `inner` may be computed inside its reader `outer`.
  bool absorbable(int inner, int outer) const {
    const Node& n = node(inner);
    if (n.kind != Node::Kind::Op || n.axes != node(outer).axes) return false;
    return n.uses == 1 || cheap(inner);
  }
  /// One rounding of one vector operand: cheaper to repeat than to write and read.
  bool cheap(int i) const {
    const Node& n = node(i);
    if (n.op == Op::square) return true;
    if (n.op != Op::add && n.op != Op::sub && n.op != Op::mul) return false;
    return node(n.in[0]).axes != n.axes || node(n.in[1]).axes != n.axes;
  }

  // ---- x^2, x^3 ----
  void powers(int i) {
    if (!is(i, Op::pow) || !is_floating(node(i).operand) || !is_const(node(i).in[1])) return;
    const int x = node(i).in[0];
    const double p = node(node(i).in[1]).value;
    if (p == 2) become(i, Op::square, {x});
    else if (p == 1) become(i, Op::copy, {x});
    else if (p == -1) become(i, Op::reciprocal, {x});
    else if (p == 3 && f32(i)) become(i, simd::fuse2(simd::First::mul, simd::Second::mul), {x, x, x});
  }

  // ---- activations ----
  struct Product {
    double factor = 1;
    std::vector<int> terms;
  };
  /// A product of constants and terms, seen through its multiplications.
  void flatten(int i, Product& p, int root) const {
    const Node& n = node(i);
    if (is_const(i)) {
      p.factor *= n.value;
      return;
    }
    const bool open = n.kind == Node::Kind::Op && (i == root || n.uses == 1 || cheap(i) || n.op == Op::square || n.op == Op::neg);
    if (open && n.op == Op::mul) return flatten(n.in[0], p, root), flatten(n.in[1], p, root);
    if (open && n.op == Op::square) return flatten(n.in[0], p, root), flatten(n.in[0], p, root);
    if (open && n.op == simd::fuse2(simd::First::mul, simd::Second::mul)) {
      for (int k = 0; k < 3; ++k) flatten(n.in[k], p, root);
      return;
    }
    if (open && n.op == Op::neg) return p.factor = -p.factor, flatten(n.in[0], p, root);
    if (open && n.op == Op::div && is_const(n.in[1])) return p.factor /= node(n.in[1]).value, flatten(n.in[0], p, root);
    p.terms.push_back(i);
  }
  Product product(int i) const {
    Product p;
    flatten(i, p, i);
    return p;
  }
  bool is_product(int i, double factor, int x, size_t power) const {
    const Product p = product(i);
    if (!near(p.factor, factor) || p.terms.size() != power) return false;
    for (int t : p.terms)
      if (t != x) return false;
    return true;
  }
  /// The other operand of `add(constant, y)`, or -1.
  int plus_const(int i, double c) const {
    if (!is(i, Op::add)) return -1;
    if (near_const(node(i).in[0], c)) return node(i).in[1];
    if (near_const(node(i).in[1], c)) return node(i).in[0];
    return -1;
  }
  /// √(2/π) (x + 0.044715 x³), in either of its usual forms.
  bool is_gelu_argument(int u, int x) const {
    constexpr double kRoot = 0.7978845608028654, kCube = 0.044715;
    const Product p = product(u);
    if (!near(p.factor, kRoot)) return false;
    if (p.terms.size() == 1 && is(p.terms[0], Op::add)) {
      const int a = node(p.terms[0]).in[0], b = node(p.terms[0]).in[1];
      return (a == x && is_product(b, kCube, x, 3)) || (b == x && is_product(a, kCube, x, 3));
    }
    if (p.terms.size() == 2) {
      for (int k = 0; k < 2; ++k) {
        const int inner = p.terms[static_cast<size_t>(k)], other = p.terms[static_cast<size_t>(1 - k)];
        const int w = plus_const(inner, 1);
        if (other == x && w >= 0 && is_product(w, kCube, x, 2)) return true;
      }
    }
    return false;
  }

  /// g Φ(x) + g x φ(x), as the gradient of x (1 + erf(x / √2)) / 2 comes out.
  void gelu_gradient(int i) {
    for (int k = 0; k < 2; ++k) {
      const int first = node(i).in[k], second = node(i).in[1 - k];
      if (!is(first, Op::mul) || !is(second, Op::mul) || node(first).uses != 1 || node(second).uses != 1) continue;
      const Product slope = product(first), bell = product(second);
      if (slope.terms.size() != 2 || bell.terms.size() != 3 || !near(slope.factor, 0.5) || !near(bell.factor, 0.3989422804014327)) continue;
      for (int turn = 0; turn < 2; ++turn) {
        const int g = slope.terms[static_cast<size_t>(turn)], gate = slope.terms[static_cast<size_t>(1 - turn)], inner = plus_const(gate, 1);
        if (!is(inner, Op::erf)) continue;
        int exp = -1, x = -1;
        bool with_g = false;
        for (int t : bell.terms) {
          if (t == g && !with_g) with_g = true;
          else if (is(t, Op::exp)) exp = t;
          else x = t;
        }
        if (!with_g || exp < 0 || x < 0 || !same_extent(x, i) || !same_extent(g, i)) continue;
        if (!is_product(node(inner).in[0], std::sqrt(0.5), x, 1) || !is_product(node(exp).in[0], -0.5, x, 2)) continue;
        return become(i, Op::gelu_erf_grad, {g, x});
      }
    }
  }

  void activations(int i) {
    if (f32(i) && is(i, Op::add)) return gelu_gradient(i);
    if (!f32(i) || !is(i, Op::mul)) return;
    const Product p = product(i);
    if (p.terms.size() != 2) return;
    for (int k = 0; k < 2; ++k) {
      const int x = p.terms[static_cast<size_t>(k)], gate = p.terms[static_cast<size_t>(1 - k)];
      if (!same_extent(x, i)) continue;
      if (p.factor == 1 && is(gate, Op::sigmoid) && node(gate).in[0] == x && node(gate).uses == 1) return become(i, Op::silu, {x});
      if (!near(p.factor, 0.5) || node(gate).uses != 1) continue;
      const int inner = plus_const(gate, 1);
      if (is(inner, Op::erf) && is_product(node(inner).in[0], std::sqrt(0.5), x, 1)) return become(i, Op::gelu_erf, {x});
      if (is(inner, Op::tanh) && is_gelu_argument(node(inner).in[0], x)) return become(i, Op::gelu_tanh, {x});
      if (is(gate, Op::erfc) && is_product(node(gate).in[0], -std::sqrt(0.5), x, 1)) return become(i, Op::gelu_erf, {x});
    }
  }

  // ---- moving averages, Adam's step, normalisation ----
  /// i = a * b with a single reader; either order.
  bool factors(int i, int& a, int& b) const {
    if (!is(i, Op::mul)) return false;
    a = node(i).in[0], b = node(i).in[1];
    return true;
  }
  void optimizers(int i) {
    if (!f32(i)) return;
    if (is(i, Op::add)) {
      for (int k = 0; k < 2; ++k) {
        const int x = node(i).in[k], m = node(i).in[1 - k];
        int a, b;
        if (!absorbable(m, i) || !factors(m, a, b)) continue;
        for (int turn = 0; turn < 2; ++turn, std::swap(a, b)) {
          if (!is(a, Op::sub) || !absorbable(a, i) || node(a).in[1] != x) continue;
          const int y = node(a).in[0];
          if (is(y, Op::square) && node(y).uses == 1 && same_extent(y, i)) return become(i, Op::lerp_sq, {node(y).in[0], b, x});
          if (is(y, Op::mul) && node(y).uses == 1 && node(y).in[0] == node(y).in[1] && same_extent(y, i)) return become(i, Op::lerp_sq, {node(y).in[0], b, x});
          return become(i, Op::lerp, {y, b, x});
        }
      }
    }
    if (is(i, Op::add)) normalization(i);
    if (is(i, Op::sub)) {
      // p - m alpha / (sqrt(v) + eps), the factor alpha on either side of the fraction bar.
      const int p = node(i).in[0];
      int q = node(i).in[1], alpha = -1, a, b;
      if (!absorbable(q, i)) return;
      if (factors(q, a, b)) {
        if (is(b, Op::div)) std::swap(a, b);
        if (!is(a, Op::div) || !absorbable(a, i)) return;
        alpha = b, q = a;
      }
      if (!is(q, Op::div)) return;
      const int den = node(q).in[1];
      int m = node(q).in[0];
      if (!is(den, Op::add) || node(den).uses != 1 || !same_extent(den, i)) return;
      for (int k = 0; k < 2; ++k) {
        const int root = node(den).in[k], eps = node(den).in[1 - k];
        if (!is(root, Op::sqrt) || node(root).uses != 1 || !same_extent(root, i)) continue;
        if (alpha < 0) {
          if (!absorbable(m, i) || !factors(m, a, b)) return;
          m = a, alpha = b;
        }
        return become(i, Op::adam_step, {p, m, alpha, node(root).in[0], eps});
      }
    }
  }

  /// (x - mean) * scale + shift, with the scale as one factor or two.
  void normalization(int i) {
    for (int k = 0; k < 2; ++k) {
      const int m = node(i).in[k], shift = node(i).in[1 - k];
      int a, b, c, d;
      if (!absorbable(m, i) || !factors(m, a, b)) continue;
      for (int turn = 0; turn < 2; ++turn, std::swap(a, b)) {
        if (is(a, Op::sub) && absorbable(a, i)) return become(i, Op::sub_mul_add, {node(a).in[0], node(a).in[1], b, shift});
        if (!absorbable(a, i) || !factors(a, c, d)) continue;
        if (is(d, Op::sub)) std::swap(c, d);
        if (is(c, Op::sub) && absorbable(c, i)) return become(i, Op::normalize, {node(c).in[0], node(c).in[1], d, b, shift});
      }
    }
  }

  // ---- two instructions in one ----
  void pairs(int i) {
    if (!f32(i)) return;
    if (is(i, Op::exp) && is(node(i).in[0], Op::sub) && absorbable(node(i).in[0], i)) {
      const int s = node(i).in[0];
      return become(i, Op::exp_sub, {node(s).in[0], node(s).in[1]});
    }
    if (is(i, Op::add)) {
      for (int k = 0; k < 2; ++k) {
        const int r = node(i).in[k];
        if (is(r, Op::sqrt) && node(r).uses == 1 && same_extent(r, i)) return become(i, Op::sqrt_add, {node(r).in[0], node(i).in[1 - k]});
      }
    }
    if (is(i, Op::select)) {
      const int c = node(i).in[0], x = node(i).in[1], y = node(i).in[2];
      if (!f32(c) || node(c).dtype != DType::Bool || !same_extent(c, i) || node(c).n_in != 2) return;
      const int a = node(c).in[0], b = node(c).in[1];
      switch (node(c).op) {
        case Op::less: return become(i, Op::select_lt, {a, b, x, y});
        case Op::less_equal: return become(i, Op::select_le, {a, b, x, y});
        case Op::greater: return become(i, Op::select_lt, {b, a, x, y});
        case Op::greater_equal: return become(i, Op::select_le, {b, a, x, y});
        case Op::equal: return become(i, Op::select_eq, {a, b, x, y});
        case Op::not_equal: return become(i, Op::select_eq, {a, b, y, x});
        default: return;
      }
    }
  }

  // ---- what goes before a sum ----
  /// The operands of `v` when a sum over it can compute it: (pre, a, b).
  bool before_sum(int v, Pre& pre, int& a, int& b) const {
    const Node& n = node(v);
    if (n.kind != Node::Kind::Op || (n.dtype != DType::Float32 && n.dtype != DType::Float64)) return false;
    if (n.op == Op::mul && n.in[0] != n.in[1]) {
      if (n.uses > 1) return false;
      pre = Pre::mul, a = n.in[0], b = n.in[1];
      return true;
    }
    if (n.op != Op::square && n.op != Op::mul) return false;
    const int t = n.in[0];
    if (is(t, Op::sub) && same_extent(t, v) && (node(t).uses == n.n_in || cheap(t))) {
      pre = Pre::sqdiff, a = node(t).in[0], b = node(t).in[1];
      return true;
    }
    pre = Pre::square, a = t, b = -1;
    return true;
  }
  void row_reduction(int i) {
    Pre pre;
    int a, b;
    const int v = node(i).in[0];
    if (node(i).reduce != Reduce::Sum || node(i).pre != Pre::none || !before_sum(v, pre, a, b)) return;
    if (!same_extent(a, v) && b >= 0) std::swap(a, b);
    if (!same_extent(a, v)) return;
    become(i, node(i).op, b >= 0 ? std::initializer_list<int>{a, b} : std::initializer_list<int>{a});
    node(i).pre = pre;
  }
  void column_reduction(Out& o) {
    Pre pre;
    int a, b;
    if (o.reduce != Reduce::Sum || !before_sum(o.node, pre, a, b)) return;
    // Both operands are read as vectors: each must vary along the row.
    uint32_t row = 0;
    for (int k = 0; k < g_.row_rank; ++k)
      if (const size_t axis = g_.shape.size() - 1 - static_cast<size_t>(k); g_.shape[axis] > 1) row |= 1u << axis;
    if ((node(a).axes & row) == 0 || (b >= 0 && (node(b).axes & row) == 0)) return;
    ++node(a).uses;
    if (b >= 0) ++node(b).uses;
    release(o.node);
    o.node = a, o.node2 = b, o.pre = pre;
  }

  // ---- a * b + c ----
  void contraction(int i) {
    const Node& n = node(i);
    if (n.kind != Node::Kind::Op || !is_floating(n.operand) || (n.op != Op::add && n.op != Op::sub)) return;
    for (int k = 0; k < 2; ++k) {
      const int m = n.in[k], c = n.in[1 - k];
      if ((!is(m, Op::mul) && !is(m, Op::square)) || !absorbable(m, i)) continue;
      const int a = node(m).in[0], b = node(m).op == Op::square ? a : node(m).in[1];
      return become(i, n.op == Op::add ? Op::mul_add : k == 0 ? Op::mul_sub : Op::neg_mul_add, {a, b, c});
    }
  }

  // ---- (a op b) op c ----
  /// Divisions by one number have a kernel that does not divide: those stay alone.
  bool by_scalar(int i) const { return is(i, Op::div) && node(node(i).in[1]).axes != node(i).axes; }
  void arithmetic(int i) {
    using simd::First;
    using simd::Second;
    if (!f32(i) || by_scalar(i)) return;
    const Op op = node(i).op;
    if (op != Op::add && op != Op::sub && op != Op::mul && op != Op::div) return;
    for (int k = 0; k < 2; ++k) {
      const int t = node(i).in[k], c = node(i).in[1 - k];
      if (!f32(t) || !absorbable(t, i) || by_scalar(t)) continue;
      First first;
      switch (node(t).op) {
        case Op::add: first = First::add; break;
        case Op::sub: first = First::sub; break;
        case Op::mul:
        case Op::square: first = First::mul; break;
        case Op::div: first = First::div; break;
        default: continue;
      }
      Second second = op == Op::add ? Second::add : op == Op::mul ? Second::mul : op == Op::sub ? (k == 0 ? Second::sub : Second::rsub) : (k == 0 ? Second::div : Second::rdiv);
      const int a = node(t).in[0], b = node(t).n_in == 1 ? a : node(t).in[1];
      return become(i, simd::fuse2(first, second), {a, b, c});
    }
  }

  Graph& g_;
};

}  // namespace

void optimize(Graph& graph) { Optimizer(graph).run(); }

}  // namespace keras::cpu::tile
