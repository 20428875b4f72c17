// What lives here: the kernel that runs a loop (scan).
#pragma once
#include "ir/graph.h"

namespace keras::prims {

/// The kernel of a scan, whose body is planned once. Where the body does not mix the rows of the batch, each thread walks over all steps
/// with some rows of its own. Products of the states with constants read those packed; a constant that seldom changes stays packed from run
/// to run (Kernel::prepare).
engine::KernelPtr make_loop(const ir::KernelRequest& request);

/// The kernel of several scans that don't need each other, the nodes of the graph "body": each on a thread of its own where none of them
/// keeps several threads busy.
engine::KernelPtr make_loops(const ir::KernelRequest& request);

}  // namespace keras::prims
