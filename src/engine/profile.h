// What lives here: what the steps of plans take: times measured while profiling is on, with the work that the primitives' rules say they do.
// Off, a run looks at one flag.
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace keras::engine {

class Executable;

namespace detail {
extern std::atomic<bool> profiling;
}
/// Whether runs measure their steps; at first where KERAS_PROFILE is set (then each plan prints its table to stderr at its end).
inline bool profiling() { return detail::profiling.load(std::memory_order_relaxed); }
void set_profiling(bool on);

/// A step of a plan, over all measured runs. Steps that run plans of their own (loops, parts of a batch) are given as the steps inside, each
/// with its share of the whole step's time on the clock.
struct StepProfile {
  std::string primitive, types, kernel;  // what it computes, on what, and which implementation was chosen
  ir::OriginPtr origin;
  std::string inside;  // the primitive that it is a step of, empty for none
  double seconds = 0;
  double calls = 0;
  ir::Cost cost;  // of all calls
};

/// One call of a step on the clock (steady_clock, nanoseconds).
struct StepEvent {
  const Executable* plan;
  size_t step;
  int64_t start, nanoseconds;
  int thread;  // numbered in the order in which threads were met
};
/// Collects the calls from now on; then the collected ones, in which none is collected any more.
void start_events();
std::vector<StepEvent> take_events();

/// Times of the steps of one plan.
struct StepTimes {
  struct Time {
    std::atomic<int64_t> nanoseconds{0}, calls{0};
  };
  explicit StepTimes(size_t steps) : steps(steps) {}
  std::vector<Time> steps;
};

/// A table, the slowest steps first, without those below half a percent.
std::string profile_text(const std::vector<StepProfile>& steps);

}  // namespace keras::engine
