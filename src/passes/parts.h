// What lives here: which of a graph's nodes are better computed for a few rows (images) at a time, all of them one after the other, than
// each for the whole batch.
#pragma once
#include "ir/graph.h"

namespace keras::passes {

/// Where whole batches of images would pass through memory from node to node, the first part of the graph becomes one node, "by_parts", which
/// runs it for a few images at a time, so that they stay in the cache; else `graph` as it is. `steady`, per parameter, as for optimize().
/// What became dead is left for simplify. To be called after fold and before fuse.
ir::Graph by_parts(const ir::Graph& graph, const std::vector<char>& steady);

/// While one lives, by_parts leaves this thread's graphs as they are: what runs in parts already is not cut again, however large a part is.
class WholeGraphs {
 public:
  WholeGraphs();
  WholeGraphs(const WholeGraphs&) = delete;
  WholeGraphs& operator=(const WholeGraphs&) = delete;
  ~WholeGraphs();
};

}  // namespace keras::passes
