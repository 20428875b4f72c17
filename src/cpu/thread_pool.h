// What lives here: the one pool of threads that kernels share, and parallel_for over it. No kernel starts threads itself.
#pragma once
#include <cstdint>
#include <memory>
#include <type_traits>

namespace keras::cpu {

/// Threads that one parallel_for may use, the caller included: KERAS_NUM_THREADS, else the CPUs that the process may run on.
int num_threads();
/// Changes the number of threads (at least 1). Waits for a parallel_for that is under way.
void set_num_threads(int n);

/// Threads that a cut is made for on which bits depend: num_threads(), or the same number always once it was fixed.
int planned_threads();
void fix_planned_threads();
bool planned_threads_fixed();

/// Makes OpenMP regions started by this thread run on this thread alone; cheap after the first call. Every kernel calls it
/// before it calls oneDNN, whose OpenMP team would otherwise spin against our pool.
void single_threaded_openmp();

/// True inside the body of a parallel_for that several threads work on.
bool in_parallel_region();

namespace detail {
using RangeFn = void (*)(void* context, int64_t begin, int64_t end, int slot);
void parallel_ranges(int64_t n, int64_t grain, int max_slots, RangeFn fn, void* context);
}  // namespace detail

/// Calls f(begin, end) on disjoint ranges that cover [0, n); every range starts at a multiple of `grain` and may span several
/// grains. Which ranges there are depends on timing: a result that must not depend on the number of threads keeps one partial
/// result per grain. Runs as one call on this thread when n <= grain, with one thread, inside another parallel_for, or while
/// another user thread has the pool. Allocates nothing; the first exception of the body is rethrown here.
template <class F> void parallel_for(int64_t n, int64_t grain, F&& f) {
  using Body = std::remove_reference_t<F>;
  detail::parallel_ranges(n, grain, 1 << 30, [](void* c, int64_t begin, int64_t end, int) { (*static_cast<Body*>(c))(begin, end); },
                          const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

/// As parallel_for, with f(begin, end, slot): no two threads at work on this call share a slot, and 0 <= slot < max_slots, so a
/// kernel with scratch for max_slots threads stays right when the number of threads grows after it was made.
template <class F> void parallel_for_slots(int64_t n, int64_t grain, int max_slots, F&& f) {
  using Body = std::remove_reference_t<F>;
  detail::parallel_ranges(n, grain, max_slots, [](void* c, int64_t begin, int64_t end, int slot) { (*static_cast<Body*>(c))(begin, end, slot); },
                          const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

}  // namespace keras::cpu
