// What lives here: the choice of the nodes that are computed a few rows at a time, and the graph in which they are one node.
#include "passes/parts.h"

#include <algorithm>
#include <memory>

#include "passes/passes.h"

namespace keras::passes {

using ir::Attrs;
using ir::Ints;
using ir::Node;

namespace {

// What a node reads and writes of the batch leaves the cache above this; and what must be saved in all for the trouble to be worth it.
constexpr double kCache = 8 << 20, kLeastSaved = 16 << 20;

double bytes_of(const ir::Type& t) { return static_cast<double>(t.shape.numel()) * static_cast<double>(dtype_size(t.dtype)); }
bool is_product(const Node& n) { return n.prim->is("conv") || n.prim->is("dot"); }

class Cutter {
 public:
  Cutter(const Graph& g, const std::vector<char>& steady) : g_(g), steady_(steady), has_rows_(g.num_values(), 0), last_use_(g.num_values(), -1) {}

  Graph run() {
    if (!find_rows()) return g_;
    const int end = best_cut();
    if (end < 0) return g_;
    // The nodes up to there, of the parameters that they read.
    std::vector<RowRole> roles;
    const Graph body = prefix(&roles);
    std::vector<RowRole> trial = roles;
    if (!part_of_rows(body, rows_, 1, trial) || trial != roles) return g_;

    Graph to;
    std::vector<ValueId> map(g_.num_values(), -1);
    for (ValueId p : g_.params()) map[static_cast<size_t>(p)] = to.add_param(g_.type(p));
    Ints steady, shared;
    std::vector<ValueId> in;
    for (size_t i = 0; i < used_.size(); ++i) {
      in.push_back(map[static_cast<size_t>(used_[i])]);
      shared.push_back(roles[i] == RowRole::Shared);
      steady.push_back(shared.back());
    }
    const ValueId result = to.emit(ir::primitive("by_parts"), in,
                                   Attrs{{"body", std::make_shared<const Graph>(body)}, {"rows", rows_}, {"shared", shared}, {"steady", steady}});
    map[static_cast<size_t>(cut_)] = result;
    for (size_t i = 0; i < g_.nodes().size(); ++i) {
      const Node& n = g_.nodes()[i];
      if (static_cast<int>(i) <= end && has_rows_[static_cast<size_t>(n.outputs[0])]) continue;
      std::vector<ValueId> from;
      for (ValueId v : n.inputs) from.push_back(map[static_cast<size_t>(v)]);
      const ir::OriginScope origin(n.origin);
      to.emit(*n.prim, std::move(from), n.attrs);
      for (size_t k = 0; k < n.outputs.size(); ++k) map[static_cast<size_t>(n.outputs[k])] = to.nodes().back().outputs[k];
    }
    for (ValueId v : g_.outputs) to.outputs.push_back(map[static_cast<size_t>(v)]);
    return to;
  }

 private:
  bool is_steady(size_t param) const { return param < steady_.size() && steady_[param]; }

  // Parameters are weights or have the batch's rows; what depends on the latter has rows.
  bool find_rows() {
    for (size_t i = 0; i < g_.params().size(); ++i) {
      if (is_steady(i)) continue;
      const Shape& s = g_.type(g_.params()[i]).shape;
      if (s.rank() < 2 || s[0] < 2 || (rows_ > 0 && s[0] != rows_)) return false;
      rows_ = s[0];
      has_rows_[static_cast<size_t>(g_.params()[i])] = 1;
    }
    if (rows_ < 2) return false;
    bool images = false;
    for (size_t i = 0; i < g_.nodes().size(); ++i) {
      const Node& n = g_.nodes()[i];
      images = images || n.prim->is("conv");
      bool any = false;
      for (ValueId v : n.inputs) any = any || has_rows_[static_cast<size_t>(v)], last_use_[static_cast<size_t>(v)] = static_cast<int>(i);
      for (ValueId v : n.outputs) has_rows_[static_cast<size_t>(v)] = any;
    }
    for (ValueId v : g_.outputs) last_use_[static_cast<size_t>(v)] = static_cast<int>(g_.nodes().size());
    return images;
  }

  // The node after which one value alone, that some product, pooling or the like reads, has rows; where most is saved up to there.
  int best_cut() {
    const size_t count = g_.nodes().size();
    std::vector<char> for_other(g_.num_values(), 0);  // read by more than elementwise nodes, with which it would be one kernel
    for (const Node& n : g_.nodes())
      for (ValueId v : n.inputs) for_other[static_cast<size_t>(v)] |= !n.prim->is_ew();
    for (ValueId v : g_.outputs) for_other[static_cast<size_t>(v)] = 1;
    std::vector<ValueId> alive;
    for (size_t i = 0; i < g_.params().size(); ++i)
      if (!is_steady(i)) alive.push_back(g_.params()[i]);
    double saved = 0, best = kLeastSaved;
    int at = -1;
    for (size_t i = 0; i < count; ++i) {
      const Node& n = g_.nodes()[i];
      if (!has_rows_[static_cast<size_t>(n.outputs[0])]) continue;
      saved += saving(n);
      for (ValueId v : n.outputs) alive.push_back(v);
      std::erase_if(alive, [&](ValueId v) { return last_use_[static_cast<size_t>(v)] <= static_cast<int>(i); });
      if (saved <= best || alive.size() != 1 || !for_other[static_cast<size_t>(alive[0])]) continue;
      const Shape& s = g_.type(alive[0]).shape;
      if (s.empty() || s[0] != rows_ || g_.value(alive[0]).node < 0) continue;
      best = saved, at = static_cast<int>(i), cut_ = alive[0];
    }
    return at;
  }

  // Bytes that need not pass through memory, less what is read of the weights for each part anew (of a cache, mostly).
  double saving(const Node& n) const {
    const bool pool = n.prim->is("max_pool") || n.prim->is("avg_pool");
    if (!is_product(n) && !pool) return 0;
    double batch = bytes_of(g_.type(n.outputs[0])), weights = 0;
    for (ValueId v : n.inputs) (has_rows_[static_cast<size_t>(v)] ? batch : weights) += bytes_of(g_.type(v));
    // Winograd's form of a kernel is four times its size.
    if (n.prim->is("conv")) {
      const Shape& w = g_.type(n.inputs[1]).shape;
      const Ints& strides = n.attrs.ints("strides");
      if (w.rank() == 4 && w[0] == 3 && w[1] == 3 && strides == Ints{1, 1} && w[2] >= 32) weights *= 4;
    }
    return (batch > kCache ? batch : 0) - 0.5 * weights * static_cast<double>(rows_ - 1);
  }

  Graph prefix(std::vector<RowRole>* roles) {
    // Backwards from the cut: what it needs.
    std::vector<char> needed(g_.num_values(), 0);
    needed[static_cast<size_t>(cut_)] = 1;
    for (size_t i = g_.nodes().size(); i-- > 0;) {
      const Node& n = g_.nodes()[i];
      if (std::none_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) { return needed[static_cast<size_t>(v)]; })) continue;
      for (ValueId v : n.inputs) needed[static_cast<size_t>(v)] = 1;
    }
    Graph body;
    std::vector<ValueId> map(g_.num_values(), -1);
    for (size_t i = 0; i < g_.params().size(); ++i) {
      const ValueId p = g_.params()[i];
      if (!needed[static_cast<size_t>(p)]) continue;
      used_.push_back(p);
      roles->push_back(is_steady(i) ? RowRole::Shared : RowRole::Rows);
      map[static_cast<size_t>(p)] = body.add_param(g_.type(p));
    }
    for (const Node& n : g_.nodes()) {
      if (std::none_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) { return needed[static_cast<size_t>(v)]; })) continue;
      std::vector<ValueId> in;
      for (ValueId v : n.inputs) in.push_back(map[static_cast<size_t>(v)]);
      const ir::OriginScope origin(n.origin);
      body.emit(*n.prim, std::move(in), n.attrs);
      for (size_t k = 0; k < n.outputs.size(); ++k) map[static_cast<size_t>(n.outputs[k])] = body.nodes().back().outputs[k];
    }
    body.outputs = {map[static_cast<size_t>(cut_)]};
    return body;
  }

  const Graph& g_;
  const std::vector<char>& steady_;
  std::vector<char> has_rows_;
  std::vector<int> last_use_;
  std::vector<ValueId> used_;  // the parameters of the body
  int64_t rows_ = 0;
  ValueId cut_ = -1;
};

}  // namespace

static thread_local int g_whole = 0;
WholeGraphs::WholeGraphs() { ++g_whole; }
WholeGraphs::~WholeGraphs() { --g_whole; }

ir::Graph by_parts(const ir::Graph& graph, const std::vector<char>& steady) { return g_whole ? graph : Cutter(graph, steady).run(); }

}  // namespace keras::passes
