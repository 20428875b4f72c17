// What lives here: from the body of a cluster to the tile program that computes it.
#pragma once
#include "cpu/tile_program.h"
#include "ir/graph.h"

namespace keras::prims {

/// `space` is the shape that the body's elementwise nodes have, the last `row_rank` axes of which are reduced.
cpu::TileSpec cluster_spec(const ir::Graph& body, const ir::Ints& space, int row_rank);

}  // namespace keras::prims
