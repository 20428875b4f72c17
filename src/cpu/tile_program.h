// What lives here: the description of a fused elementwise program and the function that makes a kernel of it. A tile program
// evaluates a short list of instructions at every index of an iteration space, a tile of about a thousand elements at a time.
#pragma once
#include <keras/base/dtype.h>

#include <cstdint>
#include <vector>

#include "cpu/simd_kernels.h"
#include "engine/kernel.h"
#include "ir/elementwise.h"

namespace keras::cpu {

/// A program over the iteration space `shape`. Registers are numbered: first the inputs, then one per instruction.
///
/// The last `row_rank` axes form a row; a RowReduce reduces a register over them. Its result is a row scalar: one value per
/// row, which later instructions see at every element of the row. What depends only on row scalars, constants and inputs with
/// stride 0 on all row axes is a row scalar itself (`is_row_scalar`).
///
/// Half-precision inputs widen to float32 and are rounded when stored; an explicit cast to a half dtype rounds at once.
/// Arithmetic may be contracted (a * b + c with one rounding) and known chains (GELU, SiLU, softmax' exp) are computed as one
/// function, at least as exact as the chain. Booleans are one byte, 0 or 1. Results depend on shape and values, never on the
/// number of threads.
struct TileSpec {
  struct Input {
    DType dtype = DType::Float32;
    std::vector<int64_t> strides{};  // in elements, one per axis of shape; 0 repeats
    int buffer = -1;                 // which of the kernel's inputs it lies in; -1: that of its own number (then all are)
    int64_t offset = 0;              // in elements, where it begins there
  };
  enum class Kind : uint8_t { Const, Ew, RowReduce };
  using Reduce = simd::Reduce;
  struct Instr {
    Kind kind = Kind::Ew;
    ir::Ew op = ir::Ew::copy;
    Reduce reduce = Reduce::Sum;
    DType dtype = DType::Float32;  // of the result; sums of another dtype than their operand's convert first
    int a = -1, b = -1, c = -1;    // registers
    double value = 0;              // Const of a floating dtype
    int64_t ivalue = 0;            // Const of any other
  };
  /// A plain output is dense in `shape`; a row scalar is stored dense in the leading axes, unless `broadcast_row`. With
  /// `column_reduce` the output is the register reduced over all leading axes, dense in the row axes.
  struct Output {
    int reg = 0;
    bool column_reduce = false;
    Reduce reduce = Reduce::Sum;
    bool broadcast_row = false;
    /// A plain output that is a part of a larger buffer: its strides there, the last axes (at least one) dense. Empty: dense in `shape`.
    std::vector<int64_t> strides{};
    int buffer = -1;     // which of the kernel's outputs; -1: that of its own number (then all are)
    int64_t offset = 0;  // in elements, where it begins there
  };

  std::vector<int64_t> shape{};
  int row_rank = 0;
  std::vector<Input> inputs{};
  std::vector<Instr> instrs{};
  std::vector<Output> outputs{};
};

/// Whether a register holds one value per row; never with row_rank 0.
bool is_row_scalar(const TileSpec& spec, int reg);
/// Dtype of a register as the spec sees it.
DType register_dtype(const TileSpec& spec, int reg);
/// Elements of an output's buffer.
int64_t output_size(const TileSpec& spec, int output);

/// The kernel of a program. Inputs are dense buffers or views whose strides the spec gives, several of one buffer where `buffer` says so;
/// an output may be the same buffer as an input of equal dtype that is dense in `shape`, but not one that is read or written in parts. ValueError when the program is malformed or an operation has no kernel for
/// its dtype.
engine::KernelPtr make_tile_program(const TileSpec& spec);

}  // namespace keras::cpu
