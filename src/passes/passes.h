// What lives here: the passes over the IR. Each takes a graph and gives a graph (or extends one); none computes.
#pragma once
#include <optional>

#include "ir/graph.h"

namespace keras::passes {

using ir::Graph;
using ir::ValueId;

/// Reverse-mode gradients: appends to `graph` the nodes of sum_i <cotangents[i], ys[i]> differentiated by each of `wrt`.
/// A result is -1 where no y depends on it. NotImplementedError names a primitive without a gradient rule on the path.
/// With `whole` and fusion on, an attention is differentiated as one node instead of through its scores.
std::vector<ValueId> vjp(Graph& graph, const std::vector<ValueId>& ys, const std::vector<ValueId>& cotangents, const std::vector<ValueId>& wrt,
                         bool whole = true);

/// Makes each attention one node (attention.h says what counts as one), whose scores are never held whole. What became dead is left for
/// simplify, and so is that the gradient pass emitted the same node.
Graph attention(const Graph& graph);

/// Copies the nodes that `graph.outputs` need, with common subexpressions once, broadcasts left to the elementwise nodes that
/// understand them, transposes moved into dots, identities dropped.
Graph simplify(const Graph& graph);

/// After attention and simplify: queries, keys and values that are projections of one tensor become one product, in the gradient too. Biases
/// along several axes become biases along one.
Graph join_projections(const Graph& graph);

/// Moves scales and shifts per channel that are made of steady parameters into the weights and the bias of the dot or convolution before
/// them. `steady`, per parameter: its value seldom changes from run to run. What became dead is left for simplify.
Graph fold(const Graph& graph, const std::vector<char>& steady);

/// Groups elementwise nodes and the reductions of their rows and columns into clusters, and puts bias, residual and activation into
/// the dot or convolution before them.
Graph fuse(const Graph& graph);

/// After fuse: large values that a cluster writes for other clusters alone are computed again there, where that costs less than memory does.
Graph recompute(const Graph& graph);

/// After fuse: slices that clusters read, and concats of what a cluster makes, become part of the cluster and move no data of their own.
Graph views(const Graph& graph);

/// After fuse: a scatter_add (the gradient of a table) that one elementwise cluster reads row by row becomes part of it.
Graph sparse_updates(const Graph& graph);

/// attention, simplify, then join_projections, fold, fuse, recompute, views, sparse_updates and
/// loops_together unless fusion is off (`set_fusion`, or KERAS_FUSION=0), verified after each pass.
Graph optimize(const Graph& graph, const std::vector<char>& steady = {});
void set_fusion(bool on);
bool fusion();

/// Copies `graph`'s nodes into `into`, parameters given by `args`; returns what its outputs became.
std::vector<ValueId> inline_graph(Graph& into, const Graph& graph, const std::vector<ValueId>& args);

// ---- loops

/// After fuse: neighbouring loops that don't need each other become one node, "together", which may run them at once.
Graph loops_together(const Graph& graph);

/// What a parameter of a loop's body is.
enum class LoopRole : uint8_t { Const, Carry, Sequence };
/// Where a value of a loop's body may be computed. Inside: in each step. Once: before the loop, from its constants. AllSteps: before the loop
/// for the whole sequences, because there is a product in it. Both: for the whole sequences where such a product asks for it, in the step where
/// others do. Anywhere: made of literals.
enum class LoopPart : uint8_t { Inside, Once, AllSteps, Both, Anywhere };
/// Per value of `body`; `roles` per parameter.
std::vector<LoopPart> loop_parts(const Graph& body, const std::vector<LoopRole>& roles);
/// The attributes of a node of a body when its sequence operands have the axis of steps before all others.
ir::Attrs for_all_steps(const ir::Node& node, int64_t length);

/// What a parameter is to a part of the rows: the same for all rows, cut like them, or either, which is found out.
enum class RowRole : uint8_t { Shared, Rows, Either };
/// The graph for `part` of `rows` entries of the leading axis, all of whose outputs have it; nullopt where a node mixes entries, or may.
/// `roles`, per parameter, comes back without Either that had to be Rows; what is Either still is the same for all.
std::optional<Graph> part_of_rows(const Graph& graph, int64_t rows, int64_t part, std::vector<RowRole>& roles);

}  // namespace keras::passes
