// What lives here: running a tile program: pointers per tile, the loop over steps, the division of work among threads, and the
// ordered combination of partial sums. What to run was decided by tile_plan.cpp.
#include "cpu/tile_program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "cpu/thread_pool.h"
#include "cpu/tile_graph.h"
#include "cpu/tile_plan.h"

namespace keras::cpu {
namespace {

using namespace tile;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// ---- reading inputs that are not contiguous ----

template <class E> void gather(const Plan& p, const InputView& v, const void* from, void* to, int64_t row, int64_t rows, int64_t col, int64_t cols) {
  const E* in = static_cast<const E*>(from);
  E* out = static_cast<E*>(to);
  // In an empty space only values along the other axis are read: those need no position.
  const size_t outer = p.rows == 0 ? 0 : p.outer.size(), inner = p.cols == 0 ? 0 : p.inner.size();
  if (outer == 1 && inner == 1 && rows > 1 && std::abs(v.outer[0]) < std::abs(v.inner[0])) {
    // Transposed: neighbours in memory are in one column.
    const int64_t so = v.outer[0], si = v.inner[0];
    for (int64_t c = 0; c < cols; ++c) {
      const E* q = in + row * so + (col + c) * si;
      for (int64_t r = 0; r < rows; ++r) out[r * cols + c] = q[r * so];
    }
    return;
  }
  for (int64_t r = row; r < row + rows; ++r, out += cols) {
    const E* q = in;
    int64_t rest = r;
    for (size_t a = outer; a-- > 0;) q += rest % p.outer[a] * v.outer[a], rest /= p.outer[a];
    for (int64_t c = col; c < col + cols;) {
      // One run along the innermost axis.
      const E* s = q;
      int64_t left = c, run = col + cols - c, step = inner == 0 ? 0 : 1;
      for (size_t a = inner; a-- > 0;) {
        const int64_t at = left % p.inner[a];
        left /= p.inner[a];
        s += at * v.inner[a];
        if (a + 1 == inner) run = std::min(run, p.inner[a] - at), step = v.inner[a];
      }
      E* dst = out + (c - col);
      if (step == 1) std::memcpy(dst, s, static_cast<size_t>(run) * sizeof(E));
      else if (step == 0) std::fill_n(dst, run, *s);
      else
        for (int64_t i = 0; i < run; ++i) dst[i] = s[i * step];
      c += run;
    }
  }
}

// ---- combining partial results ----

/// Sums and products of floats are collected in double, everything else in its own arithmetic (integers wrap).
template <class T> using acc_t = std::conditional_t<std::is_floating_point_v<T>, double, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
template <class T, class A> A combine(Reduce r, A a, T value) {
  const A b = static_cast<A>(value);
  switch (r) {
    case Reduce::Sum:
      if constexpr (std::is_same_v<T, bool>) return a | b;
      else if constexpr (std::is_integral_v<A>) return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
      else return a + b;
    case Reduce::Prod:
      if constexpr (std::is_integral_v<A>) return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
      else return a * b;
    case Reduce::Max: return a != a ? a : b != b ? b : std::max(a, b);
    default: return a != a ? a : b != b ? b : std::min(a, b);
  }
}
template <class T> T neutral(Reduce r) {
  using L = std::numeric_limits<T>;
  switch (r) {
    case Reduce::Sum: return T(0);
    case Reduce::Prod: return T(1);
    case Reduce::Max: return L::has_infinity ? static_cast<T>(-L::infinity()) : L::lowest();
    default: return L::has_infinity ? L::infinity() : L::max();
  }
}
/// visit_dtype without the half types, which registers never have.
template <class F> void visit_value(DType d, F&& f) {
  visit_dtype(d, [&](auto t) {
    using T = decltype(t);
    if constexpr (!std::is_same_v<T, half_t> && !std::is_same_v<T, bfloat16_t>) f(t);
  });
}

// ---- the kernel ----

class TileProgram final : public engine::Kernel {
 public:
  explicit TileProgram(const TileSpec& spec) {
    Graph g = lower(spec);
    optimize(g);
    p_ = make_plan(g, spec);
    outputs_ = spec.outputs.size();
    static const char* kModes[] = {"rows", "chunks", "long rows"};
    text_ = "tile program " + std::to_string(p_.rows) + " x " + std::to_string(p_.cols) + ", " + kModes[static_cast<int>(p_.mode)] + ", tile " +
            std::to_string(p_.k) + " x " + std::to_string(p_.mode == Plan::Mode::Rows ? p_.cols : p_.tile) + ", " + std::to_string(p_.phases.back().steps.size()) + " kernels";
  }

  size_t scratch_bytes() const override {
    return static_cast<size_t>(p_.shared_bytes + p_.column_bytes + p_.partial_bytes + p_.max_threads * p_.thread_bytes) + 64;
  }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    Run r{*this, in, out, static_cast<char*>(scratch)};
    r.phases = aliased(in, out) ? &p_.safe_phases : &p_.phases;
    Lane lane = r.lane(0);
    r.move(lane, 0, 0);
    r.execute(p_.uniform_steps, lane, 1, 1);
    if (!p_.column_steps.empty()) {
      r.execute(p_.column_steps, lane, 1, p_.cols);
      for (const auto& [slot, bytes] : p_.repeats)
        for (int64_t i = 1; i < p_.k; ++i) std::memcpy(lane.slot[slot] + i * bytes, lane.slot[slot], static_cast<size_t>(bytes));
    }
    switch (p_.mode) {
      case Plan::Mode::Rows: run_rows(r); break;
      case Plan::Mode::Chunks: run_chunks(r); break;
      case Plan::Mode::Long: run_long(r); break;
    }
    for (const ColumnOut& c : p_.columns) combine_columns(r, c);
  }

 private:
  /// A thread's scratch: the resolved pointers first, then its buffers.
  struct Lane {
    char** slot;
    char** base;
    char** accumulator;
    char* memory;
  };

  struct Run {
    const TileProgram& program;
    void* const* in;
    void* const* out;
    char* scratch;
    const std::vector<Phase>* phases = nullptr;

    const Plan& plan() const { return program.p_; }
    char* columns() const { return scratch + plan().shared_bytes; }
    char* partials() const { return columns() + plan().column_bytes; }

    Lane lane(int index) const {
      const Plan& p = plan();
      char* at = partials() + p.partial_bytes + index * p.thread_bytes;
      Lane l;
      l.slot = reinterpret_cast<char**>(at);
      l.base = l.slot + p.slots.size();
      l.accumulator = l.base + p.slots.size();
      l.memory = at + p.pointer_bytes;
      for (size_t c = 0; c < p.columns.size(); ++c) l.accumulator[c] = columns() + p.columns[c].partials;
      for (size_t s = 0; s < p.slots.size(); ++s) {
        const Slot& slot = p.slots[s];
        switch (slot.kind) {
          case Slot::Kind::Const: l.slot[s] = const_cast<char*>(reinterpret_cast<const char*>(p.constants.data())) + slot.offset; break;
          case Slot::Kind::Shared: l.slot[s] = scratch + slot.offset; break;
          case Slot::Kind::Tile: l.slot[s] = l.memory + slot.offset; break;
          case Slot::Kind::InUniform: l.slot[s] = input(slot.index); break;
          case Slot::Kind::SharedCol: l.base[s] = scratch + slot.offset; break;
          case Slot::Kind::In: l.base[s] = input(slot.index); break;
          case Slot::Kind::Out: l.base[s] = output(slot.index); break;
          case Slot::Kind::Accumulator: break;
        }
      }
      return l;
    }

    char* input(int index) const {
      const InputView& v = plan().inputs[static_cast<size_t>(index)];
      return static_cast<char*>(in[v.buffer]) + v.offset;
    }
    char* output(int index) const {
      const OutputView& v = plan().outputs[static_cast<size_t>(index)];
      return static_cast<char*>(out[v.buffer]) + v.offset;
    }

    int64_t outer_offset(const std::vector<int64_t>& strides, int64_t row) const {
      const Plan& p = plan();
      int64_t offset = 0;
      if (p.rows == 0) return offset;
      for (size_t a = p.outer.size(); a-- > 0;) offset += row % p.outer[a] * strides[a], row /= p.outer[a];
      return offset;
    }
    const std::vector<int64_t>& outer_strides(const Slot& slot) const {
      const size_t i = static_cast<size_t>(slot.index);
      return slot.kind == Slot::Kind::Out ? plan().outputs[i].outer : plan().inputs[i].outer;
    }

    /// Points the moving slots at a tile. The lane keeps where each stands for the first tile.
    void move(const Lane& l, int64_t row, int64_t col) const {
      const Plan& p = plan();
      for (int s : p.moving) {
        const Slot& slot = p.slots[static_cast<size_t>(s)];
        const int64_t rows = slot.strided ? outer_offset(outer_strides(slot), row) * slot.size : row * slot.row_bytes;
        l.slot[s] = l.base[s] + rows + col * slot.col_bytes;
      }
      for (int s : p.accumulators) l.slot[s] = l.accumulator[p.slots[static_cast<size_t>(s)].index] + col * p.slots[static_cast<size_t>(s)].size;
    }

    void load(const Step& s, const Lane& l, int64_t row, int64_t rows, int64_t col, int64_t cols) const {
      const Plan& p = plan();
      const InputView& v = p.inputs[static_cast<size_t>(s.input)];
      if (s.level == Level::Row) cols = 1, col = 0;
      if (s.level == Level::Col) rows = 1, row = 0;
      const void* from = input(s.input);
      void* to = l.slot[s.out];
      switch (v.size) {
        case 1: return gather<uint8_t>(p, v, from, to, row, rows, col, cols);
        case 2: return gather<uint16_t>(p, v, from, to, row, rows, col, cols);
        case 4: return gather<uint32_t>(p, v, from, to, row, rows, col, cols);
        default: return gather<uint64_t>(p, v, from, to, row, rows, col, cols);
      }
    }

    /// Runs steps over a tile of `rows` rows and `cols` columns; the slots were moved there.
    void execute(const std::vector<Step>& steps, const Lane& l, int64_t rows, int64_t cols, int64_t row = 0, int64_t col = 0) const {
      for (const Step& s : steps) {
        if (s.type == Step::Type::Kernel) {
          simd::Args a;
          for (int j = 0; j < s.n_in; ++j) a.in[j] = l.slot[s.in[j]];
          a.out = l.slot[s.out];
          a.out2 = s.out2 >= 0 ? l.slot[s.out2] : nullptr;
          a.scalars = s.scalars;
          a.n = s.level == Level::Full ? rows * cols : s.level == Level::Row ? rows : s.level == Level::Col ? cols : 1;
          if (!s.row_loop || (rows == 1 && s.level == Level::Full)) {
            s.fn(a);
            continue;
          }
          a.n = cols;
          for (int64_t r = 0; r < rows; ++r) {
            s.fn(a);
            for (int j = 0; j < s.n_in; ++j) a.in[j] = static_cast<const char*>(a.in[j]) + s.in_row[j];
            a.out = static_cast<char*>(a.out) + s.out_row;
            if (a.out2) a.out2 = static_cast<char*>(a.out2) + s.out2_row;
          }
        } else if (s.type == Step::Type::Load) {
          load(s, l, row, rows, col, cols);
        } else {
          const simd::ColumnArgs a{{l.slot[s.in[0]], l.slot[s.in[1]]}, l.slot[s.out], s.out2 >= 0 ? l.slot[s.out2] : nullptr, rows, cols, {s.in_row[0], s.in_row[1]}};
          s.column(a);
        }
      }
    }
  };

  bool aliased(void* const* in, void* const* out) const {
    const size_t inputs = p_.inputs.size();
    for (size_t o = 0; o < outputs_; ++o)
      for (size_t i = 0; i < inputs; ++i)
        if (p_.unsafe[o * inputs + i] && in[p_.inputs[i].buffer] == out[p_.outputs[o].buffer]) return true;
    return false;
  }

  /// Calls f(first, last, lane) on ranges of units of `cost` nanoseconds each; on this thread when all of it is little.
  template <class F> void parallel(const Run& r, int64_t units, double cost, const F& f) const {
    const int64_t grain = p_.max_threads == 1 ? units : std::max<int64_t>(1, static_cast<int64_t>(10e3 / std::max(cost, 1.0)));
    parallel_for_slots(units, grain, p_.max_threads, [&](int64_t begin, int64_t end, int slot) { f(begin, end, r.lane(slot)); });
  }

  /// Starts the partial column sums of a block, columns [from, to).
  void start_block(const Run& r, const Lane& l, int64_t block, int64_t from, int64_t to) const {
    for (size_t c = 0; c < p_.columns.size(); ++c) {
      const ColumnOut& column = p_.columns[c];
      visit_value(column.dtype, [&](auto t) {
        using T = decltype(t);
        T* at = reinterpret_cast<T*>(r.columns() + column.partials) + block * p_.cols;
        std::fill(at + from, at + to, neutral<T>(column.reduce));
        l.accumulator[c] = reinterpret_cast<char*>(at);
      });
    }
  }

  void run_rows(const Run& r) const {
    const std::vector<Step>& steps = r.phases->back().steps;
    parallel(r, p_.blocks, p_.tile_cost * static_cast<double>(ceil_div(p_.block_rows, p_.k)), [&](int64_t begin, int64_t end, const Lane& l) {
      for (int64_t block = begin; block < end; ++block) {
        start_block(r, l, block, 0, p_.cols);
        const int64_t last = std::min(p_.rows, (block + 1) * p_.block_rows);
        for (int64_t row = block * p_.block_rows; row < last; row += p_.k) {
          r.move(l, row, 0);
          r.execute(steps, l, std::min(p_.k, last - row), p_.cols, row, 0);
        }
      }
    });
  }

  void run_chunks(const Run& r) const {
    const std::vector<Step>& steps = r.phases->back().steps;
    parallel(r, p_.blocks * p_.chunks, p_.tile_cost * static_cast<double>(p_.block_rows), [&](int64_t begin, int64_t end, const Lane& l) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t block = unit / p_.chunks, col = unit % p_.chunks * p_.tile, width = std::min(p_.tile, p_.cols - col);
        start_block(r, l, block, col, col + width);
        const int64_t last = std::min(p_.rows, (block + 1) * p_.block_rows);
        for (int64_t row = block * p_.block_rows; row < last; ++row) {
          r.move(l, row, col);
          r.execute(steps, l, 1, width, row, col);
        }
      }
    });
  }

  void run_long(const Run& r) const {
    const int64_t units = ceil_div(p_.chunks, p_.block_tiles);
    const Lane main = r.lane(0);
    for (int64_t row = 0; row < p_.rows; ++row) {
      const int64_t block = row / p_.block_rows;
      const bool fresh = row % p_.block_rows == 0;
      r.move(main, row, 0);
      r.execute(p_.row_pre_steps, main, 1, 1, row, 0);
      for (size_t at = 0; at < r.phases->size(); ++at) {
        const Phase& phase = (*r.phases)[at];
        const bool last = at + 1 == r.phases->size();
        const int64_t count = static_cast<int64_t>(phase.partials.size());
        parallel(r, units, p_.tile_cost * static_cast<double>(p_.block_tiles), [&](int64_t begin, int64_t end, const Lane& l) {
          for (int64_t unit = begin; unit < end; ++unit) {
            const int64_t from = unit * p_.block_tiles * p_.tile, to = std::min(p_.cols, from + p_.block_tiles * p_.tile);
            if (last && fresh) start_block(r, l, block, from, to);
            else point_at_block(r, l, block);
            for (int64_t j = 0; j < count; ++j) begin_partial(r, phase.partials[static_cast<size_t>(j)], unit * count + j);
            for (int64_t col = from; col < to; col += p_.tile) {
              r.move(l, row, col);
              r.execute(phase.steps, l, 1, std::min(p_.tile, to - col), row, col);
              for (int64_t j = 0; j < count; ++j) {
                const Partial& q = phase.partials[static_cast<size_t>(j)];
                add_partial(r, q, unit * count + j, l.slot[q.temp]);
              }
            }
          }
        });
        for (int64_t j = 0; j < count; ++j) end_partial(r, phase.partials[static_cast<size_t>(j)], j, units, count, main);
        r.move(main, row, 0);
        r.execute(phase.row_steps, main, 1, 1, row, 0);
      }
    }
  }

  void point_at_block(const Run& r, const Lane& l, int64_t block) const {
    for (size_t c = 0; c < p_.columns.size(); ++c)
      l.accumulator[c] = r.columns() + p_.columns[c].partials + block * p_.cols * static_cast<int64_t>(dtype_size(p_.columns[c].dtype));
  }

  static void begin_partial(const Run& r, const Partial& q, int64_t at) {
    visit_value(q.dtype, [&](auto t) {
      using T = decltype(t);
      reinterpret_cast<acc_t<T>*>(r.partials())[at] = static_cast<acc_t<T>>(neutral<T>(q.reduce));
    });
  }
  static void add_partial(const Run& r, const Partial& q, int64_t at, const char* value) {
    visit_value(q.dtype, [&](auto t) {
      using T = decltype(t);
      auto& acc = reinterpret_cast<acc_t<T>*>(r.partials())[at];
      acc = combine<T>(q.reduce, acc, *reinterpret_cast<const T*>(value));
    });
  }
  static void end_partial(const Run& r, const Partial& q, int64_t first, int64_t units, int64_t stride, const Lane& l) {
    visit_value(q.dtype, [&](auto t) {
      using T = decltype(t);
      const auto* parts = reinterpret_cast<const acc_t<T>*>(r.partials());
      acc_t<T> acc = static_cast<acc_t<T>>(neutral<T>(q.reduce));
      for (int64_t u = 0; u < units; ++u) {
        // Joined as they are: a partial sum is wider than T.
        if constexpr (std::is_same_v<T, bool>) acc = combine<bool>(q.reduce, acc, parts[u * stride + first] != 0);
        else acc = combine<acc_t<T>>(q.reduce, acc, parts[u * stride + first]);
      }
      *reinterpret_cast<T*>(l.slot[q.target]) = static_cast<T>(acc);
    });
  }

  void combine_columns(const Run& r, const ColumnOut& c) const {
    visit_value(c.dtype, [&](auto t) {
      using T = decltype(t);
      const T* parts = reinterpret_cast<const T*>(r.columns() + c.partials);
      void* out = r.output(c.out);
      constexpr int64_t kWidth = 256;
      parallel_for_slots(ceil_div(p_.cols, kWidth), std::max<int64_t>(1, 65536 / (kWidth * std::max<int64_t>(p_.blocks, 1))), p_.max_threads, [&](int64_t begin, int64_t end, int) {
        for (int64_t piece = begin; piece < end; ++piece) {
          acc_t<T> acc[kWidth];
          const int64_t from = piece * kWidth, width = std::min(kWidth, p_.cols - from);
          std::fill_n(acc, width, static_cast<acc_t<T>>(neutral<T>(c.reduce)));
          for (int64_t b = 0; b < p_.blocks; ++b) {
            const T* part = parts + b * p_.cols + from;
            for (int64_t i = 0; i < width; ++i) acc[i] = combine<T>(c.reduce, acc[i], part[i]);
          }
          if constexpr (std::is_same_v<T, float>) {
            if (c.store == DType::Float16) {
              store<half_t>(acc, width, out, from);
              continue;
            }
            if (c.store == DType::BFloat16) {
              store<bfloat16_t>(acc, width, out, from);
              continue;
            }
          }
          for (int64_t i = 0; i < width; ++i) static_cast<T*>(out)[from + i] = static_cast<T>(acc[i]);
        }
      });
    });
  }
  template <class H> static void store(const double* acc, int64_t width, void* out, int64_t from) {
    for (int64_t i = 0; i < width; ++i) static_cast<H*>(out)[from + i] = H(static_cast<float>(acc[i]));
  }

  Plan p_;
  size_t outputs_ = 0;
  std::string text_;
};

}  // namespace

engine::KernelPtr make_tile_program(const TileSpec& spec) { return std::make_unique<TileProgram>(spec); }

}  // namespace keras::cpu
