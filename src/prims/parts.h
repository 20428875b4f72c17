// What lives here: the node that runs a graph for a few rows of the batch at a time.
#pragma once
#include "ir/graph.h"

namespace keras::prims {

/// Inputs: the parameters of "body", a graph for all "rows"; the output is the body's. "shared", per input: it is the same for all rows;
/// "steady": its numbers seldom change. passes/parts.h makes such nodes.
extern const ir::Primitive by_parts_prim;

}  // namespace keras::prims
