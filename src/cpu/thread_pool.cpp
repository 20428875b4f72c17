// What lives here: the thread pool. One job at a time; workers join an open job, claim ranges from a shared counter and leave.
// The caller never waits for a worker that has not woken up, so a sleeping pool costs a job nothing but lost help.
#include "cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

extern "C" void omp_set_num_threads(int);

namespace keras::cpu {
namespace {

// Long enough to catch the next kernel of a training step, short enough to be no burden on a loaded machine.
constexpr int kSpins = 300;
constexpr int kMaxThreads = 1024;

thread_local bool tl_in_task = false;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int default_threads() {
  if (const char* text = std::getenv("KERAS_NUM_THREADS")) {
    const int n = std::atoi(text);
    if (n > 0) return std::min(n, kMaxThreads);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

class Pool {
 public:
  // Leaked on purpose: workers may still sleep in it while the process exits.
  static Pool& get() {
    static Pool* pool = new Pool;
    return *pool;
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int n) {
    n = std::clamp(n, 1, kMaxThreads);
    std::lock_guard lock(owner_);
    if (n == threads()) return;
    stop_workers();
    threads_.store(n, std::memory_order_relaxed);
  }

  void run(int64_t n, int64_t grain, int max_slots, detail::RangeFn fn, void* context) {
    if (n <= 0) return;
    grain = std::max<int64_t>(grain, 1);
    const int threads = this->threads();
    std::unique_lock lock(owner_, std::defer_lock);
    if (n <= grain || threads == 1 || max_slots <= 1 || tl_in_task || !lock.try_lock()) return fn(context, 0, n, 0);
    if (workers_.size() + 1 != static_cast<size_t>(this->threads())) start_workers();
    const int64_t grains = (n + grain - 1) / grain;
    n_ = n;
    // Several grains per claim where there are many; the tail stays short enough to balance.
    step_ = grain * std::max<int64_t>(1, grains / (int64_t{8} * threads));
    max_slots_ = max_slots;
    fn_ = fn;
    context_ = context;
    next_.store(0, std::memory_order_relaxed);
    slots_.store(1, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    state_.store(kOpen, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    if (std::min<int64_t>(grains, max_slots) == 2) epoch_.notify_one();
    else epoch_.notify_all();
    tl_in_task = true;
    work(0);
    tl_in_task = false;
    uint32_t s = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    for (int spin = 0; s != 0; s = state_.load(std::memory_order_acquire)) {
      if (spin++ < kSpins * 4) pause();
      else state_.wait(s, std::memory_order_acquire);
    }
    if (failed_.load(std::memory_order_relaxed)) {
      std::exception_ptr error = std::move(error_);
      error_ = nullptr;
      lock.unlock();
      std::rethrow_exception(error);
    }
  }

 private:
  static constexpr uint32_t kOpen = 1u << 31;  // of state_; the other bits count the workers inside the job

  void work(int slot) {
    for (;;) {
      const int64_t begin = next_.fetch_add(step_, std::memory_order_relaxed);
      if (begin >= n_) return;
      try {
        fn_(context_, begin, std::min(n_, begin + step_), slot);
      } catch (...) {
        if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
        next_.store(n_, std::memory_order_relaxed);
      }
    }
  }

  void join_job() {
    uint32_t s = state_.load(std::memory_order_acquire);
    do {
      if (!(s & kOpen)) return;
    } while (!state_.compare_exchange_weak(s, s + 1, std::memory_order_acq_rel, std::memory_order_acquire));
    const int slot = slots_.fetch_add(1, std::memory_order_relaxed);
    if (slot < max_slots_) work(slot);
    if (state_.fetch_sub(1, std::memory_order_acq_rel) == 1) state_.notify_one();
  }

  void worker(uint32_t seen) {
    single_threaded_openmp();
    tl_in_task = true;
    for (;;) {
      for (int spin = 0; spin < kSpins && epoch_.load(std::memory_order_acquire) == seen; ++spin) pause();
      epoch_.wait(seen, std::memory_order_acquire);
      seen = epoch_.load(std::memory_order_acquire);
      if (stop_.load(std::memory_order_acquire)) return;
      join_job();
    }
  }

  void start_workers() {
    stop_workers();
    const uint32_t seen = epoch_.load();
    workers_.reserve(static_cast<size_t>(threads() - 1));
    try {
      for (int i = 1; i < threads(); ++i) workers_.emplace_back([this, seen] { worker(seen); });
    } catch (const std::system_error&) {
      threads_.store(static_cast<int>(workers_.size()) + 1);  // the system grants no more threads: work with those there are
    }
  }

  void stop_workers() {
    if (workers_.empty()) return;
    stop_.store(true, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    epoch_.notify_all();
    for (std::thread& t : workers_) t.join();
    workers_.clear();
    stop_.store(false, std::memory_order_release);
  }

  std::mutex owner_;  // held by the user thread whose job the pool works on
  std::atomic<int> threads_{default_threads()};
  std::vector<std::thread> workers_;
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> slots_{0};
  std::atomic<bool> failed_{false};
  int64_t n_ = 0, step_ = 1;
  int max_slots_ = 1;
  detail::RangeFn fn_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace

int num_threads() { return Pool::get().threads(); }
void set_num_threads(int n) { Pool::get().set_threads(n); }

void single_threaded_openmp() {
  thread_local const bool done = (omp_set_num_threads(1), true);
  (void)done;
}

bool in_parallel_region() { return tl_in_task; }

void detail::parallel_ranges(int64_t n, int64_t grain, int max_slots, RangeFn fn, void* context) {
  Pool::get().run(n, grain, max_slots, fn, context);
}

}  // namespace keras::cpu
