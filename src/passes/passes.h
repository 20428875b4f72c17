// What lives here: the passes over the IR. Each takes a graph and gives a graph (or extends one); none computes.
#pragma once
#include "ir/graph.h"

namespace keras::passes {

using ir::Graph;
using ir::ValueId;

/// Reverse-mode gradients: appends to `graph` the nodes of sum_i <cotangents[i], ys[i]> differentiated by each of `wrt`.
/// A result is -1 where no y depends on it. NotImplementedError names a primitive without a gradient rule on the path.
std::vector<ValueId> vjp(Graph& graph, const std::vector<ValueId>& ys, const std::vector<ValueId>& cotangents, const std::vector<ValueId>& wrt);

/// Copies the nodes that `graph.outputs` need, with common subexpressions once, broadcasts left to the elementwise nodes that
/// understand them, transposes moved into dots, identities dropped.
Graph simplify(const Graph& graph);

/// Moves scales and shifts per channel that are made of steady parameters into the weights and the bias of the dot or convolution before
/// them. `steady`, per parameter: its value seldom changes from run to run. What became dead is left for simplify.
Graph fold(const Graph& graph, const std::vector<char>& steady);

/// Groups elementwise nodes and the reductions of their rows and columns into clusters, and puts bias, residual and activation into
/// the dot or convolution before them.
Graph fuse(const Graph& graph);

/// simplify, then fold and fuse unless fusion is off (`set_fusion`, or KERAS_FUSION=0), verified after each pass.
Graph optimize(const Graph& graph, const std::vector<char>& steady = {});
void set_fusion(bool on);
bool fusion();

/// Copies `graph`'s nodes into `into`, parameters given by `args`; returns what its outputs became.
std::vector<ValueId> inline_graph(Graph& into, const Graph& graph, const std::vector<ValueId>& args);

}  // namespace keras::passes
