// What lives here: a planned graph: a flat list of kernel calls with resolved slots over one arena. Building one chooses kernels and
// offsets; running it allocates nothing, looks nothing up and takes no lock.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/buffer.h"
#include "ir/graph.h"

namespace keras::engine {

class Executable {
 public:
  /// Plans `graph`, which has static shapes only. `donated` pairs an output with the parameter whose memory it may take over: the
  /// caller binds both to one address.
  explicit Executable(ir::Graph graph, std::vector<std::pair<int, int>> donated = {});
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  /// Runs with inputs in the order of the graph's parameters and outputs in that of its outputs, each aligned to 64 bytes.
  /// Safe from several threads at once; each takes its own arena.
  void run(void* const* inputs, void* const* outputs) const;
  /// The same inside memory that the caller holds: context_bytes() bytes, aligned to 64, prepared once by init_context.
  void run_in(void* context, void* const* inputs, void* const* outputs) const;
  void init_context(void* context) const;
  size_t context_bytes() const { return context_bytes_; }

  size_t arena_bytes() const { return arena_bytes_; }
  const ir::Graph& graph() const { return graph_; }
  size_t num_steps() const { return steps_.size(); }
  /// One line per step: kernel, slots, what the kernel says of itself.
  std::string str() const;

 private:
  struct Step {
    KernelPtr kernel;
    uint32_t in, out;  // first pointer of each list in the context's table
  };
  struct Patch {
    uint32_t position, index;
  };
  void plan(const std::vector<std::pair<int, int>>& donated);

  ir::Graph graph_;
  std::vector<Step> steps_;
  std::vector<int> step_node_;
  std::vector<Patch> input_patches_, output_patches_;
  std::vector<std::pair<uint32_t, size_t>> arena_slots_;            // table position, offset
  std::vector<std::pair<uint32_t, const void*>> constant_slots_;    // table position, address
  size_t table_size_ = 0, arena_bytes_ = 0, scratch_bytes_ = 0, context_bytes_ = 0;
  Buffer constants_;
  mutable std::atomic<void*> spare_{nullptr};  // one context kept for the next run
};

/// Runs one node at once, outside any plan: how eager operations compute. Kernels are cached by primitive, types and attributes.
void run_node(const ir::Graph& graph, const ir::Node& node, void* const* in, void* const* out);

}  // namespace keras::engine
