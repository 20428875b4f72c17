// What lives here: a graph for some of the rows. Where no node mixes the entries of the leading axis (the batch), the graph can be computed
// a few rows at a time, each part for itself; this finds out whether, and writes the graph of a part.
#include <algorithm>
#include <map>
#include <set>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ints;
using ir::Node;

namespace {

struct Mixed {};  // thrown where rows mix

class RowTaker {
 public:
  RowTaker(const Graph& from, int64_t rows, int64_t part) : from_(from), rows_(rows), part_(part) {}

  std::optional<Graph> run(std::vector<RowRole>& roles) {
    // Parameters may have rows or be the same for all: taken for the latter until a use says otherwise.
    for (size_t attempt = 0; attempt <= roles.size(); ++attempt) {
      roles_ = &roles;
      try {
        return build();
      } catch (const Mixed&) {
        bool changed = false;
        for (size_t i = 0; i < roles.size(); ++i)
          if (wanted_.count(i) && roles[i] == RowRole::Either) roles[i] = RowRole::Rows, changed = true;
        if (!changed) return std::nullopt;
      }
    }
    return std::nullopt;
  }

 private:
  bool has(ValueId v) const { return has_rows_[static_cast<size_t>(v)]; }
  bool leads(ValueId v) const { const Shape& s = from_.type(v).shape; return !s.empty() && s[0] == rows_; }

  Graph build() {
    to_ = Graph();
    map_.assign(from_.num_values(), -1);
    has_rows_.assign(from_.num_values(), false);
    made_.clear();
    wanted_.clear();
    for (size_t i = 0; i < from_.params().size(); ++i) {
      ValueId p = from_.params()[i];
      ir::Type t = from_.type(p);
      if ((*roles_)[i] == RowRole::Rows) {
        if (!leads(p)) throw Mixed{};
        t.shape[0] = part_;
        has_rows_[static_cast<size_t>(p)] = true;
      }
      map_[static_cast<size_t>(p)] = to_.add_param(t);
    }
    for (const Node& n : from_.nodes()) node(n);
    for (ValueId v : from_.outputs) to_.outputs.push_back(as_rows(v));
    return std::move(to_);
  }

  // The part of a value that was the same for all rows so far; what it is made of may turn out to have rows.
  ValueId as_rows(ValueId v) {
    if (has(v)) return map_[static_cast<size_t>(v)];
    if (!leads(v)) throw Mixed{};
    if (auto it = made_.find(v); it != made_.end()) return it->second;
    const Node* n = from_.producer(v);
    if (!n) {
      wanted_.insert(static_cast<size_t>(from_.value(v).index));
      throw Mixed{};
    }
    Attrs attrs = n->attrs;
    std::vector<ValueId> in;
    if (n->prim->is("broadcast_to")) {
      const Shape& s = from_.type(n->inputs[0]).shape;
      const bool whole = s.rank() == from_.type(v).shape.rank() && s[0] == rows_;
      in = {whole ? as_rows(n->inputs[0]) : map_[static_cast<size_t>(n->inputs[0])]};
      shorten(attrs, "shape");
    } else if (n->prim->is_ew()) {
      const int rank = from_.type(v).shape.rank();
      for (ValueId u : n->inputs) {
        const bool whole = from_.type(u).shape.rank() == rank && leads(u);
        in.push_back(whole ? as_rows(u) : map_[static_cast<size_t>(u)]);
      }
    } else if (n->prim->is("constant")) {
      double x;
      if (!from_.literal(v)->uniform(&x)) throw Mixed{};
      Shape s = from_.type(v).shape;
      s[0] = part_;
      in = {to_.constant(from_.type(v).dtype, x)};
      return made_[v] = to_.emit(ir::primitive("broadcast_to"), in, Attrs{{"shape", s.dims()}});
    } else if (n->prim->is("reshape") || n->prim->is("stop_gradient") || n->prim->is("transpose") || n->prim->is("slice")) {
      // Of what may have rows after all.
      if (!leads(n->inputs[0])) throw Mixed{};
      as_rows(n->inputs[0]);
      throw Mixed{};
    } else {
      throw Mixed{};
    }
    const ir::OriginScope origin(n->origin);
    return made_[v] = to_.emit(*n->prim, std::move(in), std::move(attrs));
  }
  void shorten(Attrs& attrs, const char* key) const {
    Ints dims = attrs.ints(key);
    if (dims.empty() || dims[0] != rows_) throw Mixed{};
    dims[0] = part_;
    attrs.set(key, dims);
  }

  void node(const Node& n) {
    bool any = false;
    for (ValueId v : n.inputs) any |= has(v);
    std::vector<ValueId> in;
    Attrs attrs = n.attrs;
    if (any) in = inputs_of(n, attrs);
    else
      for (ValueId v : n.inputs) in.push_back(map_[static_cast<size_t>(v)]);
    const ir::OriginScope origin(n.origin);
    to_.emit(*n.prim, std::move(in), std::move(attrs));
    for (size_t k = 0; k < n.outputs.size(); ++k) {
      const ValueId made = to_.nodes().back().outputs[k];
      Shape want = from_.type(n.outputs[k]).shape;
      if (any) {
        if (want.empty() || want[0] != rows_) throw Mixed{};
        want[0] = part_;
      }
      if (to_.type(made).shape != want) throw Mixed{};
      map_[static_cast<size_t>(n.outputs[k])] = made;
      has_rows_[static_cast<size_t>(n.outputs[k])] = any;
    }
  }

  // The inputs of a node some of which have rows, and its attributes for the part.
  std::vector<ValueId> inputs_of(const Node& n, Attrs& attrs) {
    const ir::Primitive& p = *n.prim;
    auto shape = [&](size_t i) -> const Shape& { return from_.type(n.inputs[i]).shape; };
    auto shared = [&](size_t i) {
      if (has(n.inputs[i])) throw Mixed{};
      return map_[static_cast<size_t>(n.inputs[i])];
    };
    auto without_zero = [](const Ints& axes) {
      if (std::find(axes.begin(), axes.end(), 0) != axes.end()) throw Mixed{};
    };
    auto positive = [&](const char* key) {
      if (attrs.i(key) <= 0) throw Mixed{};
    };
    std::vector<ValueId> in;
    if (p.is_ew()) {
      const int rank = from_.type(n.outputs[0]).shape.rank();
      for (size_t i = 0; i < n.inputs.size(); ++i) {
        const bool aligned = shape(i).rank() == rank;
        if (has(n.inputs[i]) && !aligned) throw Mixed{};
        in.push_back(aligned && leads(n.inputs[i]) ? as_rows(n.inputs[i]) : map_[static_cast<size_t>(n.inputs[i])]);
      }
    } else if (p.is("dot")) {
      const Ints &lb = attrs.ints("lb"), &rb = attrs.ints("rb");
      if (lb.empty()) {
        without_zero(attrs.ints("lc"));
        in = {as_rows(n.inputs[0]), shared(1)};
      } else {
        if (lb[0] != 0 || rb[0] != 0) throw Mixed{};
        in = {as_rows(n.inputs[0]), as_rows(n.inputs[1])};
      }
    } else if (p.is("concat")) {
      positive("axis");
      for (ValueId v : n.inputs) in.push_back(as_rows(v));
    } else if (p.is("conv") || p.is("conv_backward_input")) {
      in = {as_rows(n.inputs[0]), shared(1)};
      if (p.is("conv_backward_input")) shorten(attrs, "x");
    } else if (p.is("pad")) {
      if (attrs.ints("lo")[0] || attrs.ints("hi")[0] || attrs.ints("interior")[0]) throw Mixed{};
      in = {as_rows(n.inputs[0]), shared(1)};
    } else if (p.is("gather") && attrs.i("axis") == 0) {
      in = {shared(0), as_rows(n.inputs[1])};
    } else {
      if (n.inputs.size() != 1) throw Mixed{};
      in = {as_rows(n.inputs[0])};
      if (p.is("slice")) {
        Ints limits = attrs.ints("limits");
        if (attrs.ints("starts")[0] != 0 || attrs.ints("strides")[0] != 1 || limits[0] < rows_) throw Mixed{};
        limits[0] = part_;
        attrs.set("limits", limits);
      } else if (p.is("reshape")) {
        shorten(attrs, "shape");
      } else if (p.is("broadcast_to")) {
        if (shape(0).rank() != from_.type(n.outputs[0]).shape.rank()) throw Mixed{};
        shorten(attrs, "shape");
      } else if (p.is("transpose")) {
        if (attrs.ints("perm")[0] != 0) throw Mixed{};
      } else if (p.is("reverse") || p.is("reduce_sum") || p.is("reduce_prod") || p.is("reduce_max") || p.is("reduce_min") || p.is("reduce_and") ||
                 p.is("reduce_or")) {
        without_zero(attrs.ints("axes"));
      } else if (p.is("argmax") || p.is("argmin") || p.is("cumsum") || p.is("cumprod") || p.is("cummax") || p.is("cummin")) {
        positive("axis");
      } else if (!p.is("stop_gradient") && !p.is("max_pool") && !p.is("avg_pool")) {
        throw Mixed{};
      }
    }
    return in;
  }

  const Graph& from_;
  Graph to_;
  int64_t rows_, part_;
  std::vector<RowRole>* roles_ = nullptr;
  std::vector<ValueId> map_;
  std::vector<bool> has_rows_;
  std::map<ValueId, ValueId> made_;
  std::set<size_t> wanted_;  // parameters that would have to have rows
};

}  // namespace

std::optional<Graph> part_of_rows(const Graph& graph, int64_t rows, int64_t part, std::vector<RowRole>& roles) {
  if (rows < 2) return std::nullopt;
  return RowTaker(graph, rows, part).run(roles);
}

}  // namespace keras::passes
