// What lives here: a planned graph: a flat list of kernel calls with resolved slots over one arena. Building one chooses kernels and
// offsets; running it allocates nothing, looks nothing up and takes no lock.
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/buffer.h"
#include "engine/kernel.h"
#include "engine/profile.h"
#include "ir/graph.h"

namespace keras::engine {

class Executable {
 public:
  /// Plans `graph`, which has static shapes only. `donated` pairs an output with the parameter whose memory it may take over: the
  /// caller binds both to one address. `steady`, per parameter: its numbers seldom change from run to run. What depends on such and on
  /// constants alone (weights in a kernel's own form, batch normalization folded into them) is computed once and kept.
  /// `kept_by_caller`: what is kept lies in the caller's memory (run_in) and is computed by each settle().
  explicit Executable(ir::Graph graph, std::vector<std::pair<int, int>> donated = {}, std::vector<char> steady = {}, bool kept_by_caller = false);
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  /// Runs with inputs in the order of the graph's parameters and outputs in that of its outputs, each aligned to 64 bytes.
  /// Safe from several threads at once; each takes its own arena. `stamp` says which numbers the steady parameters hold: what is kept was
  /// computed for one stamp and is computed anew (under a lock) for another.
  void run(void* const* inputs, void* const* outputs, uint64_t stamp = 0) const;
  /// The same inside memory that the caller holds: context_bytes() bytes, aligned to 64, prepared once by init_context, and by settle for
  /// each set of numbers of the steady parameters (kept_by_caller).
  void run_in(void* context, void* const* inputs, void* const* outputs) const;
  void init_context(void* context) const;
  void settle(void* context, void* const* inputs) const;
  size_t context_bytes() const { return context_bytes_; }

  size_t arena_bytes() const { return arena_bytes_; }
  const ir::Graph& graph() const { return graph_; }
  size_t num_steps() const { return steps_.size(); }
  /// One line per step: kernel, slots, what the kernel says of itself.
  std::string str() const;
  /// The bytes that the plan holds beside inputs and outputs, with so many runs at once: arena, scratch, kept values, constants, and those of
  /// the plans inside.
  size_t memory_bytes(int at_once = 1) const;

  /// What the steps took while profiling was on, since reset_profile.
  std::vector<StepProfile> profile() const;
  void reset_profile() const;
  /// One of the steps, as it stands in the plan.
  StepProfile step_profile(size_t step) const;

 private:
  struct Step {
    KernelPtr kernel;
    uint32_t in, out;  // first pointer of each list in the context's table
  };
  struct Patch {
    uint32_t position, index;
  };
  // A settled input in the form that a kernel asked for.
  struct Prepared {
    const Kernel* kernel;
    size_t input;
    uint32_t from, to;  // places in the table
  };
  // What is computed once per stamp: a node that depends on steady parameters and constants alone, and the forms made of its results.
  struct Settling {
    Step step;  // no kernel: the forms of parameters and constants
    int node;
    std::vector<Prepared> forms;
  };
  void plan(const std::vector<std::pair<int, int>>& donated, const std::vector<char>& steady);
  void bind(void* context, void* const* inputs) const;
  void run_measured(void** table, void* scratch) const;

  ir::Graph graph_;
  std::vector<Step> steps_;
  std::vector<int> step_node_;
  std::vector<Patch> input_patches_, output_patches_;
  std::vector<std::pair<uint32_t, size_t>> arena_slots_;            // table position, offset
  std::vector<std::pair<uint32_t, const void*>> constant_slots_;    // table position, address
  size_t table_size_ = 0, arena_bytes_ = 0, scratch_bytes_ = 0, context_bytes_ = 0;
  std::vector<std::pair<uint32_t, size_t>> kept_slots_;             // table position, offset
  std::vector<Settling> settling_;
  size_t kept_bytes_ = 0, num_forms_ = 0;
  bool kept_by_caller_ = false;
  Buffer constants_, kept_;
  mutable std::mutex settle_mutex_;
  mutable std::atomic<uint64_t> kept_stamp_{~uint64_t{0}};
  mutable std::atomic<StepTimes*> times_{nullptr};  // once measured
  mutable std::array<std::atomic<void*>, 8> spare_{};  // contexts kept for the next runs, as many as ran at once
};

/// Runs one node at once, outside any plan: how eager operations compute. Kernels are cached by primitive, types and attributes.
void run_node(const ir::Graph& graph, const ir::Node& node, void* const* in, void* const* out);

}  // namespace keras::engine
