// What lives here: the plan of a tile program: loops, memory and the list of kernel calls per tile. Made once by plan(),
// walked by tile_program.cpp; nothing here runs a kernel.
#pragma once
#include <cstdint>
#include <vector>

#include "cpu/simd_kernels.h"
#include "cpu/tile_graph.h"

namespace keras::cpu::tile {

/// Where values live. The iteration space is `rows` x `cols`; a tile is `k` whole rows or a piece of one.
/// Uniform: one value. Row: one per row. Col: one per column, the same in all rows. Full: one per element.
enum class Level : uint8_t { Uniform, Row, Col, Full };

/// A pointer that steps refer to. The moving ones are set anew for every tile.
struct Slot {
  enum class Kind : uint8_t {
    Const,      // in the program's own memory
    Shared,     // in the scratch shared by all threads
    Tile,       // in the thread's scratch
    InUniform,  // an input buffer's only element
    SharedCol,  // moving: in the shared scratch
    In, Out,    // moving: in an input or output buffer
    Accumulator // moving: partial column sums
  };
  Kind kind = Kind::Tile;
  int index = 0;       // of input, output, column output
  int64_t offset = 0;  // bytes
  int64_t size = 1;    // bytes per element
  bool dense = false, strided = false;      // In, Out: element by element as the space; rows found by the input's strides
  int64_t row_bytes = 0, col_bytes = 0;     // how it moves
};

struct Step {
  enum class Type : uint8_t { Kernel, Load, Column };
  Type type = Type::Kernel;
  Level level = Level::Full;  // how many elements: 1, the tile's rows, the columns, or the tile
  bool row_loop = false;      // one call per row of the tile
  uint8_t n_in = 0;
  uint32_t scalars = 0;
  simd::Fn fn = nullptr;
  simd::ColumnFn column = nullptr;
  int in[5] = {-1, -1, -1, -1, -1};
  int out = -1, out2 = -1;                               // slots
  int64_t in_row[5] = {}, out_row = 0, out2_row = 0;     // bytes from row to row (Column: elements)
  int input = -1;                                        // Load: which
};

struct InputView {
  std::vector<int64_t> outer{}, inner{};  // strides in elements
  int64_t size = 4;
  size_t buffer = 0;                      // which of the kernel's inputs
  int64_t offset = 0;                     // bytes into it
};
/// A part of an output buffer; `outer` and `inner` only where it is not dense.
struct OutputView {
  std::vector<int64_t> outer{}, inner{};  // strides in elements
  bool part = false;
  size_t buffer = 0;
  int64_t offset = 0;  // bytes
};

/// A row reduction of a program whose rows are longer than a tile: results of tiles are collected here.
struct Partial {
  int temp = -1;    // slot in the thread's scratch that a tile's result is written to
  int target = -1;  // slot of the row scalar
  Reduce reduce = Reduce::Sum;
  DType dtype = DType::Float32;
};

struct Phase {
  std::vector<Step> steps{};      // per tile
  std::vector<Partial> partials{};
  std::vector<Step> row_steps{};  // once per row, after the phase
};

struct ColumnOut {
  int out = 0;
  Reduce reduce = Reduce::Sum;
  DType dtype = DType::Float32, store = DType::Float32;
  int64_t partials = 0;  // offset in the scratch
};

struct Plan {
  enum class Mode : uint8_t {
    Rows,    // a tile is k whole rows
    Chunks,  // rows are cut into tiles, which do not depend on each other
    Long     // rows are cut into tiles, row reductions go over all of them: one phase per reduction depth
  };
  Mode mode = Mode::Rows;
  int64_t rows = 1, cols = 1;
  std::vector<int64_t> outer{}, inner{};  // sizes of the collapsed axes
  std::vector<InputView> inputs{};
  std::vector<OutputView> outputs{};
  int64_t k = 1, tile = 1;     // rows per tile; elements per tile
  int64_t chunks = 1;          // tiles per row
  int64_t block_rows = 1, blocks = 1;  // rows whose column sums are collected together
  int64_t block_tiles = 1;     // Long: tiles per unit of work
  std::vector<Slot> slots{};
  std::vector<int> moving{}, accumulators{};  // indices of slots that depend on the tile
  std::vector<uint8_t> constants{};
  std::vector<Step> uniform_steps{}, column_steps{}, row_pre_steps{};
  std::vector<std::pair<int, int64_t>> repeats{};  // column values of short rows, laid out k times: slot, bytes of one copy
  std::vector<Phase> phases{}, safe_phases{};      // safe: outputs reach memory only when the tile has been read
  std::vector<uint8_t> unsafe{};                   // [output * inputs + input]: when these share memory, take safe_phases
  std::vector<ColumnOut> columns{};
  int64_t shared_bytes = 0, thread_bytes = 0, column_bytes = 0, partial_bytes = 0;
  int64_t pointer_bytes = 0;   // at the start of a thread's scratch: slots, accumulators
  int max_threads = 1;
  double tile_cost = 0, total_cost = 0;  // nanoseconds
};

/// Inputs and outputs are those of `spec`, from which `graph` was lowered.
Plan make_plan(const Graph& graph, const TileSpec& spec);

}  // namespace keras::cpu::tile
