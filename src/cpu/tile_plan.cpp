// What lives here: how a graph becomes a plan: collapsing axes, choosing the tile, giving values their memory, ordering steps.
#include "cpu/tile_plan.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <keras/base/error.h>

#include "cpu/thread_pool.h"

namespace keras::cpu::tile {
namespace {

constexpr int64_t kTile = 1024;         // elements: a few float32 buffers of them stay in L1
constexpr int64_t kRowTile = 1024;      // where row scalars make one call per row anyway
constexpr int64_t kMaxWholeRow = 32768; // longer rows are cut even when they are reduced
constexpr int64_t kMaxColumns = 16384;  // longer column vectors are not worth precomputing on one thread
constexpr int64_t kMinRowLoop = 24;     // shorter rows: a broadcast value is spread rather than handed to one call per row
constexpr int64_t kMaxRepeat = 128;     // column values of shorter rows are repeated over the tile, so that one call does all rows
constexpr int64_t kBlockRows = 128;
constexpr double kParallelCost = 30e3, kUnitCost = 10e3;  // nanoseconds

int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

class Planner {
 public:
  Planner(const Graph& graph, const TileSpec& spec)
      : spec_(spec), nodes_(graph.nodes), outs_(graph.outs), shape_(graph.shape), row_rank_(graph.row_rank) {}

  Plan run() {
    collapse();
    classify_inputs();
    order();
    choose_mode();
    place();
    prologues();
    if (p_.mode == Plan::Mode::Long) {
      p_.phases = long_phases(false);
      p_.safe_phases = long_phases(true);
    } else {
      p_.phases = {one_phase(false)};
      p_.safe_phases = {one_phase(true)};
    }
    find_unsafe();
    finish();
    return std::move(p_);
  }

 private:
  bool live(int i) const { return nodes_[static_cast<size_t>(i)].uses > 0; }
  const Node& node(int i) const { return nodes_[static_cast<size_t>(i)]; }
  int64_t elem(int i) const { return static_cast<int64_t>(dtype_size(node(i).dtype)); }

  // ---- axes ----

  void collapse() {
    const size_t rank = shape_.size();
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].kind == Node::Kind::Input && live(static_cast<int>(i))) used_.push_back(static_cast<size_t>(nodes_[i].input));
      else if (nodes_[i].kind == Node::Kind::RowReduce && live(static_cast<int>(i))) reduces_ = true;
    for (const Out& o : outs_) {
      row_mode_ |= o.kind != Out::Kind::Full;
      has_columns_ |= o.kind == Out::Kind::Column;
    }
    row_mode_ |= reduces_;
    p_.inputs.resize(spec_.inputs.size());
    for (size_t i = 0; i < p_.inputs.size(); ++i) {
      const TileSpec::Input& in = spec_.inputs[i];
      InputView& v = p_.inputs[i];
      v.size = static_cast<int64_t>(dtype_size(in.dtype));
      v.buffer = in.buffer < 0 ? i : static_cast<size_t>(in.buffer);
      v.offset = in.offset * v.size;
    }
    p_.outputs.resize(outs_.size());
    for (size_t o = 0; o < p_.outputs.size(); ++o) {
      const TileSpec::Output& out = spec_.outputs[o];
      OutputView& v = p_.outputs[o];
      v.part = !out.strides.empty() && outs_[o].kind == Out::Kind::Full;
      v.buffer = out.buffer < 0 ? o : static_cast<size_t>(out.buffer);
      v.offset = out.offset * static_cast<int64_t>(dtype_size(outs_[o].store));
    }
    const size_t lead = row_mode_ ? rank - static_cast<size_t>(row_rank_) : rank;
    group(0, lead, p_.outer, &InputView::outer, &OutputView::outer);
    if (row_mode_) {
      group(lead, rank, p_.inner, &InputView::inner, &OutputView::inner);
    } else if (!p_.outer.empty()) {
      // The last axis is the row.
      p_.inner = {p_.outer.back()};
      p_.outer.pop_back();
      for (InputView& v : p_.inputs) v.inner = {v.outer.back()}, v.outer.pop_back();
      for (OutputView& v : p_.outputs)
        if (v.part) v.inner = {v.outer.back()}, v.outer.pop_back();
    }
    for (int64_t n : p_.outer) p_.rows *= n;
    for (int64_t n : p_.inner) p_.cols *= n;
    for (OutputView& v : p_.outputs) {
      if (!v.part) continue;
      if (!dense_strides(v.inner, p_.inner, 1))
        throw ValueError(ErrorText{.what = "a part of an output is not dense along a row", .where = "tile program"}.str());
      if (v.outer.size() > 1) single_rows_ = true;
    }
  }

  /// Merges neighbouring axes that all used inputs, and outputs that are parts, walk through as one.
  void group(size_t from, size_t to, std::vector<int64_t>& sizes, std::vector<int64_t> InputView::*in, std::vector<int64_t> OutputView::*out) {
    for (size_t axis = from; axis < to; ++axis) {
      const int64_t n = shape_[axis];
      if (n == 1) continue;
      bool merge = !sizes.empty();
      for (size_t i : used_) merge = merge && (p_.inputs[i].*in).back() == spec_.inputs[i].strides[axis] * n;
      for (size_t o = 0; o < p_.outputs.size(); ++o)
        if (p_.outputs[o].part) merge = merge && (p_.outputs[o].*out).back() == spec_.outputs[o].strides[axis] * n;
      if (merge) sizes.back() *= n;
      else sizes.push_back(n);
      const auto walk = [&](std::vector<int64_t>& s, int64_t stride) {
        if (merge) s.back() = stride;
        else s.push_back(stride);
      };
      for (size_t i = 0; i < p_.inputs.size(); ++i) walk(p_.inputs[i].*in, spec_.inputs[i].strides[axis]);
      for (size_t o = 0; o < p_.outputs.size(); ++o)
        if (p_.outputs[o].part) walk(p_.outputs[o].*out, spec_.outputs[o].strides[axis]);
    }
  }

  static bool all_zero(const std::vector<int64_t>& v) {
    return std::all_of(v.begin(), v.end(), [](int64_t s) { return s == 0; });
  }
  static bool dense_strides(const std::vector<int64_t>& strides, const std::vector<int64_t>& sizes, int64_t unit) {
    for (size_t i = sizes.size(); i-- > 0; unit *= sizes[i])
      if (strides[i] != unit) return false;
    return true;
  }

  void classify_inputs() {
    input_level_.resize(p_.inputs.size());
    dense_.resize(p_.inputs.size());
    row_contiguous_.resize(p_.inputs.size());
    for (size_t i = 0; i < p_.inputs.size(); ++i) {
      const InputView& v = p_.inputs[i];
      row_contiguous_[i] = dense_strides(v.inner, p_.inner, 1);
      dense_[i] = row_contiguous_[i] && dense_strides(v.outer, p_.outer, p_.cols);
      const bool outer_zero = all_zero(v.outer), inner_zero = all_zero(v.inner);
      const bool no_outer = p_.outer.empty(), no_inner = p_.inner.empty();
      Level l = Level::Full;
      if (dense_[i] && (!no_inner || no_outer)) l = Level::Full;
      else if (outer_zero && inner_zero) l = Level::Uniform;
      else if (inner_zero && (row_mode_ || p_.cols >= kMinRowLoop)) l = Level::Row;
      else if (outer_zero && p_.cols <= kMaxColumns && !no_outer) l = Level::Col;
      input_level_[i] = l;
    }
  }

  // ---- levels and order ----

  Level join(Level a, Level b) const {
    if (a == b || b == Level::Uniform) return a;
    return a == Level::Uniform ? b : Level::Full;
  }

  int add_copy(int of, Level level) {
    Node n;
    n.op = Op::raw_copy, n.dtype = n.operand = node(of).dtype, n.n_in = 1, n.in[0] = of, n.uses = 1;
    nodes_.push_back(n);
    level_.push_back(level);
    const int id = static_cast<int>(nodes_.size()) - 1;
    order_.push_back(id);
    return id;
  }
  bool vector(int i) const { return level_[static_cast<size_t>(i)] == Level::Full || level_[static_cast<size_t>(i)] == Level::Col; }

  void order() {
    const size_t count = nodes_.size();
    level_.assign(count, Level::Uniform);
    for (size_t i = 0; i < count; ++i) {
      if (!live(static_cast<int>(i))) continue;
      // add_copy grows nodes_ and level_: no references are held across it.
      if (nodes_[i].kind == Node::Kind::Input) level_[i] = input_level_[static_cast<size_t>(nodes_[i].input)];
      else if (nodes_[i].kind == Node::Kind::RowReduce) {
        if (!vector(nodes_[i].in[0])) {
          const int c = add_copy(nodes_[i].in[0], Level::Full);
          nodes_[i].in[0] = c;
        }
        level_[i] = Level::Row;
      } else {
        Level l = Level::Uniform;
        for (int k = 0; k < nodes_[i].n_in; ++k) l = join(l, level_[static_cast<size_t>(nodes_[i].in[k])]);
        level_[i] = l;
      }
      order_.push_back(static_cast<int>(i));
    }
    std::vector<bool> taken(nodes_.size(), false);
    for (Out& o : outs_) {
      if (o.kind == Out::Kind::Column) {
        if (!vector(o.node)) o.node = add_copy(o.node, Level::Full);
        if (o.node2 >= 0 && !vector(o.node2)) o.node2 = add_copy(o.node2, Level::Full);
      } else if (o.kind == Out::Kind::Full) {
        const Node& n = node(o.node);
        const bool computed = n.kind == Node::Kind::Op || n.kind == Node::Kind::Cast;
        if (!computed || level_[static_cast<size_t>(o.node)] != Level::Full || taken[static_cast<size_t>(o.node)]) o.node = add_copy(o.node, Level::Full);
        taken.resize(nodes_.size(), false);
        taken[static_cast<size_t>(o.node)] = true;
      }
    }
    pair_columns();
    direct_.assign(nodes_.size(), -1);
    for (size_t o = 0; o < outs_.size(); ++o)
      if (outs_[o].kind == Out::Kind::Full) direct_[static_cast<size_t>(outs_[o].node)] = static_cast<int>(o);
  }

  /// Finds sums over columns whose squares, or products with something, are summed too: one pass does both.
  void pair_columns() {
    pair_.assign(outs_.size(), -1);
    std::vector<bool> second(outs_.size(), false);
    const auto sum = [&](const Out& o) { return o.kind == Out::Kind::Column && o.reduce == Reduce::Sum && node(o.node).dtype == DType::Float32; };
    for (size_t i = 0; i < outs_.size(); ++i) {
      if (!sum(outs_[i]) || outs_[i].pre != Pre::none || second[i]) continue;
      for (size_t j = 0; j < outs_.size() && pair_[i] < 0; ++j) {
        Out& o = outs_[j];
        if (j == i || second[j] || !sum(o) || (o.pre != Pre::square && o.pre != Pre::mul)) continue;
        if (o.pre == Pre::mul && o.node2 == outs_[i].node) std::swap(o.node, o.node2);
        if (o.node != outs_[i].node) continue;
        pair_[i] = static_cast<int>(j);
        second[j] = true;
      }
    }
    for (size_t i = 0; i < outs_.size(); ++i)
      if (second[i]) pair_[i] = kSecond;
  }

  // ---- tile ----

  void choose_mode() {
    const int64_t rows = p_.rows, cols = p_.cols;
    bool row_values = false, col_values = false;
    for (int i : order_) {
      row_values |= level_[static_cast<size_t>(i)] == Level::Row;
      col_values |= level_[static_cast<size_t>(i)] == Level::Col;
    }
    if (reduces_) {
      const int64_t limit = rows >= 8 ? kMaxWholeRow : kMaxWholeRow / 4;
      p_.mode = cols <= limit ? Plan::Mode::Rows : Plan::Mode::Long;
    } else {
      p_.mode = cols <= kTile ? Plan::Mode::Rows : Plan::Mode::Chunks;
    }
    if (p_.mode == Plan::Mode::Rows) {
      const int64_t size = row_values || col_values ? kRowTile : kTile;
      p_.k = single_rows_ ? 1 : std::clamp<int64_t>(size / std::max<int64_t>(cols, 1), 1, std::max<int64_t>(rows, 1));
      p_.tile = p_.k * cols;
      p_.block_rows = has_columns_ ? p_.k * std::clamp<int64_t>(ceil_div(kRowTile * 32, std::max<int64_t>(p_.tile, 1)), 1, 256)
                                   : p_.k * std::clamp<int64_t>(4 * kRowTile / std::max<int64_t>(p_.tile, 1), 1, 256);
    } else {
      p_.tile = kTile;
      p_.chunks = ceil_div(cols, kTile);
      p_.block_rows = has_columns_ ? kBlockRows : 1;
      p_.block_tiles = 16;
    }
    p_.blocks = rows == 0 ? 0 : ceil_div(rows, p_.block_rows);
  }

  // ---- memory outside tiles ----

  int add_slot(Slot::Kind kind, int index, int64_t offset, int64_t size) {
    p_.slots.push_back({.kind = kind, .index = index, .offset = offset, .size = size});
    const int id = static_cast<int>(p_.slots.size()) - 1;
    if (kind == Slot::Kind::Accumulator) p_.accumulators.push_back(id);
    else if (kind >= Slot::Kind::SharedCol) p_.moving.push_back(id);
    return id;
  }
  /// A slot in an input or output buffer, or in a shared row of columns.
  int add_moving(Slot::Kind kind, int index, int64_t offset, int64_t size, bool by_row, bool by_col) {
    const int id = add_slot(kind, index, offset, size);
    Slot& s = p_.slots.back();
    s.dense = by_row && by_col;
    s.row_bytes = by_row ? (by_col ? p_.cols : 1) * size : 0;
    s.col_bytes = by_col ? size : 0;
    return id;
  }
  int add_strided(int input, int64_t size, bool by_col) {
    const int id = add_moving(Slot::Kind::In, input, 0, size, false, by_col);
    const std::vector<int64_t>& outer = p_.inputs[static_cast<size_t>(input)].outer;
    // One axis of rows needs no division.
    if (outer.size() == 1) p_.slots.back().row_bytes = outer[0] * size;
    else p_.slots.back().strided = !outer.empty();
    return id;
  }
  /// Rows that lie apart are read where they are when one step reads them, a call per row; else a copy per tile serves all steps.
  bool read_in_place(int i) const {
    if (node(i).uses != 1 || p_.cols < kMinRowLoop || p_.inputs[static_cast<size_t>(node(i).input)].outer.size() != 1) return false;
    for (const Out& o : outs_)
      if (o.kind == Out::Kind::Column && (o.node == i || o.node2 == i)) return false;
    return true;
  }
  /// Bytes from row to row of the tile in the memory of a slot that holds whole rows.
  int64_t row_step(int s, int64_t size) const {
    if (s < 0) return p_.cols * size;
    const Slot& slot = p_.slots[static_cast<size_t>(s)];
    const bool apart = (slot.kind == Slot::Kind::In || slot.kind == Slot::Kind::Out) && !slot.dense;
    return apart ? slot.row_bytes : p_.cols * size;
  }
  int64_t shared(int64_t bytes) {
    const int64_t at = p_.shared_bytes;
    p_.shared_bytes += round_up(bytes, 64);
    return at;
  }
  int64_t in_thread(int64_t bytes) {
    const int64_t at = thread_;
    // The odd distance keeps equal indices of different buffers from having equal low address bits.
    thread_ += round_up(bytes, 64) + 192;
    return at;
  }
  int add_constant(const Node& n) {
    const size_t at = p_.constants.size();
    p_.constants.resize(at + 8);
    visit_dtype(n.dtype, [&](auto t) {
      using T = decltype(t);
      T v;
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) v = static_cast<T>(n.value);
      else if constexpr (std::is_same_v<T, bool>) v = n.ivalue != 0;
      else if constexpr (std::is_integral_v<T>) v = static_cast<T>(n.ivalue);
      else v = T(static_cast<float>(n.value));
      std::memcpy(&p_.constants[at], &v, sizeof v);
    });
    return add_slot(Slot::Kind::Const, 0, static_cast<int64_t>(at), 8);
  }

  /// Slots of everything that does not live in tile buffers.
  void place() {
    slot_.assign(nodes_.size(), -1);
    const int64_t k = p_.k;
    const bool longs = p_.mode == Plan::Mode::Long;
    for (int i : order_) {
      const Node& n = node(i);
      const Level l = level_[static_cast<size_t>(i)];
      int& s = slot_[static_cast<size_t>(i)];
      const int64_t size = elem(i);
      if (n.kind == Node::Kind::Const) {
        s = add_constant(n);
      } else if (n.kind == Node::Kind::Input) {
        const size_t in = static_cast<size_t>(n.input);
        switch (l) {
          case Level::Uniform: s = add_slot(Slot::Kind::InUniform, n.input, 0, size); break;
          case Level::Row:
            if (k == 1) s = add_strided(n.input, size, false);
            else s = add_slot(Slot::Kind::Tile, 0, in_thread(k * size), size);
            break;
          case Level::Col:
            if (!repeated() && row_contiguous_[in]) s = add_moving(Slot::Kind::In, n.input, 0, size, false, true);
            else s = column_buffer(size);
            break;
          case Level::Full:
            if (dense_[in]) s = add_moving(Slot::Kind::In, n.input, 0, size, true, true);
            else if (row_contiguous_[in] && (k == 1 || read_in_place(i))) s = add_strided(n.input, size, true);
            break;  // else loaded into a tile buffer
        }
      } else if (l == Level::Uniform) {
        s = add_slot(Slot::Kind::Shared, 0, shared(size), size);
      } else if (l == Level::Col) {
        s = column_buffer(size);
      } else if (l == Level::Row) {
        s = longs ? add_slot(Slot::Kind::Shared, 0, shared(size), size) : add_slot(Slot::Kind::Tile, 0, in_thread(k * size), size);
      }
    }
    for (size_t o = 0; o < outs_.size(); ++o) {
      const Out& out = outs_[o];
      const int64_t size = static_cast<int64_t>(dtype_size(out.store));
      switch (out.kind) {
        case Out::Kind::Full: {
          const OutputView& v = p_.outputs[o];
          out_slot_.push_back(add_moving(Slot::Kind::Out, static_cast<int>(o), 0, size, !v.part, true));
          if (!v.part) break;
          if (v.outer.size() == 1) p_.slots.back().row_bytes = v.outer[0] * size;
          else p_.slots.back().strided = !v.outer.empty();
          break;
        }
        case Out::Kind::Row: out_slot_.push_back(add_moving(Slot::Kind::Out, static_cast<int>(o), 0, size, true, false)); break;
        case Out::Kind::Column: {
          out_slot_.push_back(add_slot(Slot::Kind::Accumulator, static_cast<int>(p_.columns.size()), 0, elem(out.node)));
          ColumnOut c;
          c.out = static_cast<int>(o), c.reduce = out.reduce, c.dtype = node(out.node).dtype, c.store = out.store;
          c.partials = p_.column_bytes;
          p_.column_bytes += round_up(p_.blocks * p_.cols * elem(out.node), 64);
          p_.columns.push_back(c);
          break;
        }
      }
    }
    Node zero;
    zero.kind = Node::Kind::Const;
    zero_slot_ = add_constant(zero);
  }
  int column_buffer(int64_t size) {
    const int64_t at = shared((repeated() ? p_.k : 1) * p_.cols * size);
    return p_.mode == Plan::Mode::Rows ? add_slot(Slot::Kind::Shared, 0, at, size) : add_moving(Slot::Kind::SharedCol, 0, at, size, false, true);
  }

  // ---- steps ----

  Step kernel_step(int i, const std::vector<int>& slot) {
    const Node& n = node(i);
    const Level l = level_[static_cast<size_t>(i)];
    Step s;
    s.level = l;
    s.n_in = static_cast<uint8_t>(n.n_in);
    s.out = slot[static_cast<size_t>(i)];
    const bool reduce = n.kind == Node::Kind::RowReduce;
    s.fn = reduce ? simd::find_reduce(n.reduce, n.pre, n.operand) : kernel_of(n);
    if (reduce) s.level = Level::Full;
    s.row_loop = reduce;
    const bool rows = !reduce && l == Level::Full;
    s.out_row = reduce ? elem(i) : rows ? row_step(s.out, elem(i)) : p_.cols * elem(i);
    if (s.out_row != p_.cols * elem(i)) s.row_loop = true;
    for (int j = 0; j < n.n_in; ++j) {
      const int in = n.in[j];
      s.in[j] = slot[static_cast<size_t>(in)];
      const Level il = level_[static_cast<size_t>(in)];
      const bool vector = s.level == Level::Full ? il == Level::Full || il == Level::Col : il == s.level;
      if (!vector) s.scalars |= 1u << j;
      s.in_row[j] = il == Level::Uniform ? 0 : il == Level::Row ? elem(in) : il == Level::Full ? row_step(s.in[j], elem(in)) : repeated() ? p_.cols * elem(in) : 0;
      if (il == Level::Full && s.in_row[j] != p_.cols * elem(in)) s.row_loop = true;
      if (s.level == Level::Full && (il == Level::Row || (il == Level::Col && !repeated()))) s.row_loop = true;
    }
    return s;
  }
  Step load_step(int i, int out) const {
    Step s;
    s.type = Step::Type::Load;
    s.level = level_[static_cast<size_t>(i)];
    s.input = node(i).input;
    s.out = out;
    return s;
  }

  /// Uniform and column values are computed once per run.
  void prologues() {
    for (int i : order_) {
      const Node& n = node(i);
      const Level l = level_[static_cast<size_t>(i)];
      if (l == Level::Uniform && (n.kind == Node::Kind::Op || n.kind == Node::Kind::Cast)) p_.uniform_steps.push_back(kernel_step(i, slot_));
      if (l != Level::Col) continue;
      const int s = slot_[static_cast<size_t>(i)];
      const bool buffer = p_.slots[static_cast<size_t>(s)].kind == Slot::Kind::Shared || p_.slots[static_cast<size_t>(s)].kind == Slot::Kind::SharedCol;
      if (n.kind == Node::Kind::Input) {
        if (buffer) p_.column_steps.push_back(load_step(i, s));
      } else {
        p_.column_steps.push_back(kernel_step(i, slot_));
      }
      if (buffer && repeated() && read_by_tiles(i)) p_.repeats.push_back({s, p_.cols * elem(i)});
    }
  }
  bool repeated() const { return p_.mode == Plan::Mode::Rows && p_.k > 1 && p_.cols < kMaxRepeat; }
  bool read_by_tiles(int i) const {
    for (int j : order_) {
      const Level l = level_[static_cast<size_t>(j)];
      if (l != Level::Full && node(j).kind != Node::Kind::RowReduce) continue;
      for (int k = 0; k < node(j).n_in; ++k)
        if (node(j).in[k] == i) return true;
    }
    for (const Out& o : outs_)
      if (o.kind == Out::Kind::Column && (o.node == i || o.node2 == i)) return true;
    return false;
  }

  /// One piece of a list: a node to compute, or an output to store or to add up.
  struct Item {
    int node = -1, out = -1;
  };

  /// Orders and allocates the computation of `needed` nodes (tile and row values) and of the outputs when `with_outs`.
  std::vector<Step> emit(const std::vector<bool>& needed, bool with_outs, bool safe, std::vector<int> slot, std::vector<Partial>* partials) {
    std::vector<Item> items;
    const auto computed = [&](int i) { return i >= 0 && needed[static_cast<size_t>(i)]; };
    std::vector<bool> done(outs_.size(), false);
    const auto columns_after = [&](int i) {
      if (!with_outs) return;
      for (size_t o = 0; o < outs_.size(); ++o) {
        const Out& out = outs_[o];
        if (out.kind != Out::Kind::Column || done[o] || pair_[o] == kSecond) continue;
        const int other = pair_[o] >= 0 ? outs_[static_cast<size_t>(pair_[o])].node2 : -1;
        const auto ready = [&](int n) { return n < 0 || !computed(n) || std::any_of(items.begin(), items.end(), [n](const Item& it) { return it.node == n; }); };
        if (!ready(out.node) || !ready(out.node2) || !ready(other)) continue;
        if (i >= 0 && out.node != i && out.node2 != i && other != i) continue;
        done[o] = true;
        items.push_back({-1, static_cast<int>(o)});
      }
    };
    columns_after(-1);
    for (int i : order_)
      if (computed(i)) {
        items.push_back({i, -1});
        columns_after(i);
      }
    if (with_outs)
      for (size_t o = 0; o < outs_.size(); ++o)
        if ((outs_[o].kind == Out::Kind::Row && p_.mode != Plan::Mode::Long) || (outs_[o].kind == Out::Kind::Full && safe)) items.push_back({-1, static_cast<int>(o)});

    // Last readers, so that buffers are used again.
    std::vector<size_t> last(nodes_.size(), 0);
    for (size_t at = 0; at < items.size(); ++at) {
      if (items[at].node >= 0) {
        for (int j = 0; j < node(items[at].node).n_in; ++j) last[static_cast<size_t>(node(items[at].node).in[j])] = at;
      } else {
        const Out& out = outs_[static_cast<size_t>(items[at].out)];
        last[static_cast<size_t>(out.node)] = at;
        if (const int second = second_operand(items[at].out); second >= 0) last[static_cast<size_t>(second)] = at;
      }
    }
    // The sum of an exponential is made by the exponential's own kernel.
    std::vector<int> sum_of(nodes_.size(), -1);
    std::vector<bool> merged(nodes_.size(), false);
    for (const Item& it : items) {
      if (it.node < 0) continue;
      const Node& n = node(it.node);
      if (n.kind != Node::Kind::RowReduce || n.reduce != Reduce::Sum || n.pre != Pre::none || n.dtype != DType::Float32) continue;
      const Node& e = node(n.in[0]);
      if (!computed(n.in[0]) || e.kind != Node::Kind::Op || (e.op != Op::exp && e.op != Op::exp_sub) || level_[static_cast<size_t>(n.in[0])] != Level::Full) continue;
      if (sum_of[static_cast<size_t>(n.in[0])] >= 0) continue;
      sum_of[static_cast<size_t>(n.in[0])] = it.node;
      merged[static_cast<size_t>(it.node)] = true;
    }
    std::vector<Step> steps;
    std::vector<std::vector<int>> free(9);
    std::vector<bool> owns(nodes_.size(), false);  // holds a tile buffer of this list
    const auto release = [&](size_t at, int i) {
      if (i < 0 || !owns[static_cast<size_t>(i)] || last[static_cast<size_t>(i)] != at) return;
      owns[static_cast<size_t>(i)] = false;
      free[static_cast<size_t>(elem(i))].push_back(slot[static_cast<size_t>(i)]);
    };
    const auto allocate = [&](int i) {
      auto& f = free[static_cast<size_t>(elem(i))];
      auto& all = buffers_[static_cast<size_t>(elem(i))];
      if (f.empty()) {
        // Buffers are shared between the lists of a plan, which never run at the same time.
        const size_t n = used_buffers_[static_cast<size_t>(elem(i))]++;
        if (n == all.size()) all.push_back(add_slot(Slot::Kind::Tile, 0, in_thread(p_.tile * elem(i)), elem(i)));
        f.push_back(all[n]);
      }
      slot[static_cast<size_t>(i)] = f.back();
      f.pop_back();
      owns[static_cast<size_t>(i)] = true;
    };
    std::fill(used_buffers_.begin(), used_buffers_.end(), 0);
    const auto load = [&](int i) {
      if (i < 0 || slot[static_cast<size_t>(i)] >= 0 || node(i).kind != Node::Kind::Input) return;
      allocate(i);
      steps.push_back(load_step(i, slot[static_cast<size_t>(i)]));
    };
    if (p_.mode != Plan::Mode::Long)
      for (int i : order_)
        if (node(i).kind == Node::Kind::Input && level_[static_cast<size_t>(i)] == Level::Row && p_.k > 1) steps.push_back(load_step(i, slot[static_cast<size_t>(i)]));

    for (size_t at = 0; at < items.size(); ++at) {
      if (items[at].out >= 0) {
        emit_out(items[at].out, slot, load, steps);
        const int first = outs_[static_cast<size_t>(items[at].out)].node, second = second_operand(items[at].out);
        release(at, first);
        if (second != first) release(at, second);
        continue;
      }
      const int i = items[at].node;
      const Node& n = node(i);
      if (merged[static_cast<size_t>(i)]) {
        release(at, n.in[0]);
        continue;
      }
      for (int j = 0; j < n.n_in; ++j) load(n.in[j]);
      const bool full = level_[static_cast<size_t>(i)] == Level::Full;
      const std::vector<int> before = slot;  // operands keep their slots although they may be given away below
      for (int j = 0; j < n.n_in; ++j) release(at, n.in[j]);
      if (full) {
        if (direct_[static_cast<size_t>(i)] >= 0 && with_outs && !safe) slot[static_cast<size_t>(i)] = out_slot_[static_cast<size_t>(direct_[static_cast<size_t>(i)])];
        else allocate(i);
      }
      int target = slot[static_cast<size_t>(i)];
      std::vector<int> view = before;
      view[static_cast<size_t>(i)] = target;
      Step s = kernel_step(i, view);
      if (n.kind == Node::Kind::RowReduce && partials) s.out = partial(i, target, *partials);
      if (const int sum = sum_of[static_cast<size_t>(i)]; sum >= 0) {
        s.fn = simd::find_f32(Op::exp_sub_sum);
        if (n.op == Op::exp) s.in[1] = zero_slot_, s.in_row[1] = 0, s.scalars |= 2, s.n_in = 2;
        s.out2 = partials ? partial(sum, slot[static_cast<size_t>(sum)], *partials) : slot[static_cast<size_t>(sum)];
        s.out2_row = elem(sum);
        s.row_loop = true;
      }
      steps.push_back(s);
    }
    return steps;
  }

  /// What a column output reads besides its register, its partner's operand included.
  int second_operand(int o) const {
    const int pair = pair_[static_cast<size_t>(o)];
    return pair >= 0 ? outs_[static_cast<size_t>(pair)].node2 : outs_[static_cast<size_t>(o)].node2;
  }

  int partial(int i, int target, std::vector<Partial>& partials) {
    Partial q;
    q.temp = add_slot(Slot::Kind::Tile, 0, in_thread(8), 8);
    q.target = target;
    q.reduce = node(i).reduce, q.dtype = node(i).dtype;
    partials.push_back(q);
    return q.temp;
  }

  template <class Load> void emit_out(int o, const std::vector<int>& slot, const Load& load, std::vector<Step>& steps) {
    const Out& out = outs_[static_cast<size_t>(o)];
    Step s;
    if (out.kind == Out::Kind::Column) {
      const int second = second_operand(o);
      load(out.node);
      load(second);
      s.type = Step::Type::Column;
      s.column = simd::find_column(out.reduce, out.pre, node(out.node).dtype);
      if (const int pair = pair_[static_cast<size_t>(o)]; pair >= 0) {
        s.column = simd::find_f32_column_pair(outs_[static_cast<size_t>(pair)].pre);
        s.out2 = out_slot_[static_cast<size_t>(pair)];
      }
      s.in[0] = slot[static_cast<size_t>(out.node)];
      s.in[1] = second >= 0 ? slot[static_cast<size_t>(second)] : s.in[0];
      s.n_in = 2;
      for (int j = 0; j < 2; ++j) {
        const int n = j == 1 && second >= 0 ? second : out.node;
        s.in_row[j] = level_[static_cast<size_t>(n)] == Level::Full || repeated() ? p_.cols : 0;
      }
    } else {
      // A copy out of a row value, or of a tile buffer when outputs have to wait.
      s.level = out.kind == Out::Kind::Row ? Level::Row : Level::Full;
      s.fn = simd::find(Op::raw_copy, out.store);
      s.n_in = 1;
      s.in[0] = slot[static_cast<size_t>(out.node)];
      if (level_[static_cast<size_t>(out.node)] == Level::Uniform) s.scalars = 1;
      const int64_t size = static_cast<int64_t>(dtype_size(out.store));
      if (out.kind == Out::Kind::Full && p_.outputs[static_cast<size_t>(o)].part) {
        s.in_row[0] = s.scalars ? 0 : row_step(s.in[0], size);
        s.out_row = row_step(out_slot_[static_cast<size_t>(o)], size);
        s.row_loop = true;
      }
    }
    s.out = out_slot_[static_cast<size_t>(o)];
    steps.push_back(s);
  }

  Phase one_phase(bool safe) {
    std::vector<bool> needed(nodes_.size(), false);
    for (int i : order_) {
      const bool work = node(i).kind != Node::Kind::Input && node(i).kind != Node::Kind::Const;
      needed[static_cast<size_t>(i)] = work && (level_[static_cast<size_t>(i)] == Level::Full || level_[static_cast<size_t>(i)] == Level::Row);
    }
    Phase phase;
    phase.steps = emit(needed, true, safe, slot_, nullptr);
    return phase;
  }

  /// Rows in pieces: what a phase needs is computed from the inputs again; only row scalars survive it.
  std::vector<Phase> long_phases(bool safe) {
    std::vector<int> depth(nodes_.size(), 0);
    int reduces = 0, last = 0;
    for (int i : order_) {
      for (int j = 0; j < node(i).n_in; ++j) depth[static_cast<size_t>(i)] = std::max(depth[static_cast<size_t>(i)], depth[static_cast<size_t>(node(i).in[j])]);
      if (node(i).kind == Node::Kind::RowReduce) reduces = std::max(reduces, ++depth[static_cast<size_t>(i)]);
    }
    bool outs = false;
    for (const Out& o : outs_)
      if (o.kind != Out::Kind::Row) {
        outs = true;
        last = std::max({last, depth[static_cast<size_t>(o.node)], o.node2 >= 0 ? depth[static_cast<size_t>(o.node2)] : 0});
      }
    last = std::max(last, reduces - 1);
    const int count = outs ? last + 1 : reduces;
    std::vector<Phase> phases;
    const bool keep_pre = p_.row_pre_steps.empty();
    for (int phase = 0; phase < count; ++phase) {
      std::vector<bool> needed(nodes_.size(), false);
      const auto need = [&](auto&& self, int i) -> void {
        if (i < 0 || needed[static_cast<size_t>(i)] || level_[static_cast<size_t>(i)] != Level::Full || node(i).kind == Node::Kind::Input) return;
        needed[static_cast<size_t>(i)] = true;
        for (int j = 0; j < node(i).n_in; ++j) self(self, node(i).in[j]);
      };
      for (int i : order_)
        if (node(i).kind == Node::Kind::RowReduce && depth[static_cast<size_t>(i)] == phase + 1) {
          for (int j = 0; j < node(i).n_in; ++j) need(need, node(i).in[j]);
          needed[static_cast<size_t>(i)] = true;
        }
      const bool with_outs = outs && phase == count - 1;
      if (with_outs)
        for (const Out& o : outs_)
          if (o.kind != Out::Kind::Row) need(need, o.node), need(need, o.node2);
      Phase p;
      p.steps = emit(needed, with_outs, safe, slot_, &p.partials);
      for (int i : order_)
        if (level_[static_cast<size_t>(i)] == Level::Row && (node(i).kind == Node::Kind::Op || node(i).kind == Node::Kind::Cast)) {
          if (depth[static_cast<size_t>(i)] == phase + 1) p.row_steps.push_back(kernel_step(i, slot_));
          else if (keep_pre && phase == 0 && depth[static_cast<size_t>(i)] == 0) p_.row_pre_steps.push_back(kernel_step(i, slot_));
        }
      if (phase == count - 1)
        for (size_t o = 0; o < outs_.size(); ++o)
          if (outs_[o].kind == Out::Kind::Row) emit_out(static_cast<int>(o), slot_, [](int) {}, p.row_steps);
      phases.push_back(std::move(p));
    }
    return phases;
  }

  /// An output written while a later step still reads an input must not share that input's memory.
  void find_unsafe() {
    const size_t inputs = p_.inputs.size();
    p_.unsafe.assign(outs_.size() * inputs, 0);
    const std::vector<Step>& steps = p_.phases.back().steps;
    const auto slot = [&](int s) -> const Slot& { return p_.slots[static_cast<size_t>(s)]; };
    for (size_t w = 0; w < steps.size(); ++w) {
      if (steps[w].out < 0 || slot(steps[w].out).kind != Slot::Kind::Out || !slot(steps[w].out).dense) continue;
      const size_t o = static_cast<size_t>(slot(steps[w].out).index);
      for (size_t r = w + 1; r < steps.size(); ++r) {
        for (int j = 0; j < steps[r].n_in; ++j)
          if (slot(steps[r].in[j]).kind == Slot::Kind::In && slot(steps[r].in[j]).dense) p_.unsafe[o * inputs + static_cast<size_t>(slot(steps[r].in[j]).index)] = 1;
        if (steps[r].type == Step::Type::Load) p_.unsafe[o * inputs + static_cast<size_t>(steps[r].input)] = 1;
      }
    }
  }

  void finish() {
    double per_element = 0;
    for (int i : order_) {
      const Node& n = node(i);
      const Level l = level_[static_cast<size_t>(i)];
      if (l != Level::Full && n.kind != Node::Kind::RowReduce) continue;
      if (n.kind == Node::Kind::Input) per_element += 0.03 * static_cast<double>(elem(i)) + (slot_[static_cast<size_t>(i)] < 0 ? 0.5 : 0);
      else per_element += n.kind == Node::Kind::Op ? simd::cost(n.op, n.operand) : 0.15;
    }
    for (const Out& o : outs_) per_element += o.kind == Out::Kind::Full ? 0.03 * static_cast<double>(dtype_size(o.store)) : o.kind == Out::Kind::Column ? 0.1 : 0;
    p_.tile_cost = per_element * static_cast<double>(p_.tile) + 30.0 * static_cast<double>(p_.phases.back().steps.size()) * 0.2;
    p_.total_cost = per_element * static_cast<double>(p_.rows) * static_cast<double>(p_.cols);
    p_.max_threads = p_.total_cost < kParallelCost ? 1 : std::min(num_threads(), 256);
    if (p_.mode == Plan::Mode::Long) {
      size_t most = 0;
      for (const auto* list : {&p_.phases, &p_.safe_phases})
        for (const Phase& ph : *list) most = std::max(most, ph.partials.size());
      p_.partial_bytes = round_up(ceil_div(p_.chunks, p_.block_tiles) * static_cast<int64_t>(most) * 8, 64);
    }
    p_.pointer_bytes = round_up(static_cast<int64_t>(2 * p_.slots.size() + p_.columns.size()) * 8, 64);
    p_.thread_bytes = round_up(p_.pointer_bytes + thread_, 64) + 64;
  }

  const TileSpec& spec_;
  std::vector<Node> nodes_;
  std::vector<Out> outs_;
  const std::vector<int64_t>& shape_;
  int row_rank_;
  Plan p_;
  std::vector<size_t> used_;
  bool reduces_ = false, row_mode_ = false, has_columns_ = false;
  bool single_rows_ = false;  // rows of an output lie on several axes: a tile is one row
  std::vector<Level> input_level_, level_;
  std::vector<bool> dense_, row_contiguous_;
  std::vector<int> order_, direct_, slot_, out_slot_;
  std::vector<std::vector<int>> buffers_ = std::vector<std::vector<int>>(9);
  std::vector<size_t> used_buffers_ = std::vector<size_t>(9, 0);
  std::vector<int> pair_;  // column output -> the one that is summed in the same pass; kSecond for that one
  static constexpr int kSecond = -2;
  int zero_slot_ = -1;
  int64_t thread_ = 0;
};

}  // namespace

Plan make_plan(const Graph& graph, const TileSpec& spec) { return Planner(graph, spec).run(); }

}  // namespace keras::cpu::tile
