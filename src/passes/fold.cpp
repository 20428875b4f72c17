// What lives here: what is linear after a product moves into its weights. A convolution or dot that is scaled and shifted per channel by
// values that seldom change (batch normalization at inference) becomes one with other weights and a bias, which are computed once.
#include <algorithm>
#include <map>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ew;
using ir::Ints;
using ir::Node;

namespace {

class Folder {
 public:
  Folder(const Graph& from, const std::vector<char>& steady) : from_(from), map_(from.num_values(), -1), uses_(from.num_values(), 0) {
    for (const Node& n : from.nodes())
      for (ValueId v : n.inputs) ++uses_[static_cast<size_t>(v)];
    for (ValueId v : from.outputs) uses_[static_cast<size_t>(v)] += 2;
    for (size_t i = 0; i < from.params().size(); ++i) {
      ValueId p = to_.add_param(from.type(from.params()[i]));
      map_[static_cast<size_t>(from.params()[i])] = p;
      settled_.resize(to_.num_values(), 0);
      settled_[static_cast<size_t>(p)] = i < steady.size() && steady[i];
    }
  }

  Graph run() {
    for (const Node& n : from_.nodes()) visit(n);
    for (ValueId v : from_.outputs) to_.outputs.push_back(map_[static_cast<size_t>(v)]);
    return std::move(to_);
  }

 private:
  // A dot or convolution of the new graph, and what is added to it per channel so far (-1: nothing).
  struct Product {
    ValueId product, shift;
  };

  ValueId emit(const ir::Primitive& prim, std::vector<ValueId> in, Attrs attrs = {}) {
    bool all = true;
    for (ValueId v : in) all &= static_cast<bool>(settled_[static_cast<size_t>(v)]);
    ValueId first = to_.emit(prim, std::move(in), std::move(attrs));
    settled_.resize(to_.num_values(), all);
    return first;
  }
  ValueId ew(const char* name, ValueId a, ValueId b) { return emit(ir::primitive(name), {a, b}); }
  ValueId shaped(ValueId v, const Shape& shape) {
    return to_.type(v).shape == shape ? v : emit(ir::primitive("reshape"), {v}, Attrs{{"shape", shape.dims()}});
  }
  bool settled(ValueId v) const { return settled_[static_cast<size_t>(v)]; }

  // The axis of the weights that makes the output's last axis, or -1.
  int channel_axis(const Node& product) const {
    const Shape& w = to_.type(product.inputs[1]).shape;
    if (product.prim->is("conv")) return w.rank() - 1;
    if (to_.type(product.outputs[0]).shape.empty()) return -1;
    const Ints &contract = product.attrs.ints("rc"), &batch = product.attrs.ints("rb");
    for (int a = w.rank() - 1; a >= 0; --a) {
      auto is_a = [&](int64_t other) { return other == a; };
      if (std::none_of(contract.begin(), contract.end(), is_a) && std::none_of(batch.begin(), batch.end(), is_a)) return a;
    }
    return -1;
  }
  // Settled, and one number per channel of `out`.
  bool per_channel(ValueId v, const Shape& out) const {
    const Shape& s = to_.type(v).shape;
    return settled(v) && s.rank() >= 1 && s.back() == out.back() && s.numel() == out.back() && s.rank() <= out.rank();
  }
  const Product* product_of(ValueId v) const {
    auto it = products_.find(v);
    return it == products_.end() ? nullptr : &it->second;
  }

  bool fold(const Node& n) {
    if (n.prim->ew != Ew::mul && n.prim->ew != Ew::add && n.prim->ew != Ew::sub) return false;
    const Shape& out = from_.type(n.outputs[0]).shape;
    for (size_t side = 0; side < 2; ++side) {
      if (side == 1 && n.prim->ew == Ew::sub) break;
      ValueId was = n.inputs[side], y = map_[static_cast<size_t>(was)], other = map_[static_cast<size_t>(n.inputs[1 - side])];
      const Product* found = product_of(y);
      if (!found || uses_[static_cast<size_t>(was)] != 1 || to_.type(y).shape != out || !per_channel(other, out)) continue;
      Product p = *found;
      const Shape line{out.back()};
      ValueId value = shaped(other, line);
      if (n.prim->ew == Ew::mul) {
        const Node product = *to_.producer(p.product);
        int axis = channel_axis(product);
        if (axis < 0 || to_.type(product.inputs[1]).shape[axis] != out.back()) continue;
        Shape along(std::vector<int64_t>(to_.type(product.inputs[1]).shape.size(), 1));
        along[axis] = out.back();
        ValueId weights = ew("mul", product.inputs[1], shaped(value, along));
        const ir::OriginScope both(ir::joined({product.origin, n.origin}));
        p.product = emit(*product.prim, {product.inputs[0], weights}, product.attrs);
        if (p.shift >= 0) p.shift = ew("mul", p.shift, value);
      } else {
        if (n.prim->ew == Ew::sub) value = emit(ir::primitive("neg"), {value});
        p.shift = p.shift < 0 ? value : ew("add", p.shift, value);
      }
      ValueId result = p.shift < 0 ? p.product : ew("add", p.product, p.shift);
      products_[result] = p;
      map_[static_cast<size_t>(n.outputs[0])] = result;
      return true;
    }
    return false;
  }

  void visit(const Node& n) {
    const ir::OriginScope origin(n.origin);
    if (n.outputs.size() == 1 && fold(n)) return;
    std::vector<ValueId> in;
    for (ValueId v : n.inputs) in.push_back(map_[static_cast<size_t>(v)]);
    bool product = (n.prim->is("conv") || n.prim->is("dot")) && in.size() == 2 && !settled(in[0]) && settled(in[1]) && is_floating(from_.type(n.outputs[0]).dtype);
    ValueId first = emit(*n.prim, std::move(in), n.attrs);
    const Node& made = *to_.producer(first);
    for (size_t i = 0; i < n.outputs.size(); ++i) map_[static_cast<size_t>(n.outputs[i])] = made.outputs[i];
    if (product) products_[first] = {first, -1};
  }

  const Graph& from_;
  Graph to_;
  std::vector<ValueId> map_;
  std::vector<int> uses_;
  std::vector<char> settled_;  // per value of the new graph: made of steady parameters and constants alone
  std::map<ValueId, Product> products_;
};

}  // namespace

Graph fold(const Graph& graph, const std::vector<char>& steady) { return Folder(graph, steady).run(); }

}  // namespace keras::passes
