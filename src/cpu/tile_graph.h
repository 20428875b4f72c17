// What lives here: a tile program lowered to kernel operations: half conversions made explicit, aliases gone, known chains
// replaced by composites. No layout, no memory: that is tile_program.cpp's part.
#pragma once
#include <keras/base/dtype.h>

#include <cstdint>
#include <vector>

#include "cpu/simd_kernels.h"
#include "cpu/tile_program.h"

namespace keras::cpu::tile {

using simd::Op;
using simd::Pre;
using simd::Reduce;

struct Node {
  enum class Kind : uint8_t { Input, Const, Op, Cast, RowReduce };
  Kind kind = Kind::Op;
  Op op = Op::copy;
  DType dtype = DType::Float32;    // of the value; half only for raw inputs and narrowed results
  DType operand = DType::Float32;  // what the kernel is looked up by
  Reduce reduce = Reduce::Sum;
  Pre pre = Pre::none;
  int n_in = 0;
  int in[5] = {-1, -1, -1, -1, -1};
  int input = -1;      // Input: which
  double value = 0;    // Const
  int64_t ivalue = 0;
  uint32_t axes = 0;   // bit i: the value may vary along axis i of the spec's shape
  int uses = 0;
};

struct Out {
  enum class Kind : uint8_t { Full, Row, Column };
  Kind kind = Kind::Full;
  int node = -1, node2 = -1;  // node2: second operand of a column reduction's `pre`
  Reduce reduce = Reduce::Sum;
  Pre pre = Pre::none;
  DType store = DType::Float32;  // of the buffer; a column reduction of float32 may be stored as half
};

/// Nodes are in an order in which operands come first; those with no uses are dead.
struct Graph {
  std::vector<Node> nodes;
  std::vector<Out> outs;
  std::vector<int64_t> shape;
  int row_rank = 0;
};

/// ValueError when the spec is malformed.
Graph lower(const TileSpec& spec);
/// Forms composites in place.
void optimize(Graph& graph);
/// The kernel of a node of kind Op or Cast; never nullptr after `lower`.
simd::Fn kernel_of(const Node& node);

}  // namespace keras::cpu::tile
