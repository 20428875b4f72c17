// What lives here: the thread pool. One job at a time; workers join an open job, claim ranges and leave. Each thread begins with a region of
// its own, so that it meets in the next kernel what it wrote in the last and has in its cache; then it helps the others.
// The caller never waits for a worker that has not woken up, so a sleeping pool costs a job nothing but lost help.
#include "cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

extern "C" void omp_set_num_threads(int);

namespace keras::cpu {
namespace {

// Waking a thread that sleeps takes longer than many kernels. A worker waits awake for the next job (some 60 µs) as long as jobs follow each
// other soon, as the kernels of a step and small steps do; where they don't, it learns to sleep after a few µs, so as not to burden a loaded
// machine. It doesn't yield: on such a machine that would be to lose the processor for milliseconds.
constexpr int kMostSpins = 2500, kLeastSpins = 300;
constexpr std::chrono::microseconds kSoon{100};
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
  using Clock = std::chrono::steady_clock;

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
    // Several grains per claim where there are many; the tail stays short enough to balance.
    step_ = grain * std::max<int64_t>(1, grains / (int64_t{8} * threads));
    max_slots_ = max_slots;
    regions_ = static_cast<int>(std::min<int64_t>({static_cast<int64_t>(workers_.size()) + 1, max_slots, grains}));
    for (int r = 0; r < regions_; ++r) {
      region_[r].next.store(grains * r / regions_ * grain, std::memory_order_relaxed);
      region_[r].end = std::min(n, grains * (r + 1) / regions_ * grain);
    }
    fn_ = fn;
    context_ = context;
    slots_.store(1, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    opened_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    state_.store(kOpen, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    if (std::min<int64_t>(grains, max_slots) == 2) epoch_.notify_one();
    else epoch_.notify_all();
    tl_in_task = true;
    work(0);
    tl_in_task = false;
    uint32_t s = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    for (int spin = 0; s != 0; s = state_.load(std::memory_order_acquire)) {
      if (spin++ < kMostSpins) pause();
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

  struct alignas(64) Region {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  void work(int slot) {
    for (int i = 0; i < regions_; ++i) {
      Region& r = region_[static_cast<size_t>((slot + i) % regions_)];
      for (;;) {
        const int64_t begin = r.next.fetch_add(step_, std::memory_order_relaxed);
        if (begin >= r.end) break;
        try {
          fn_(context_, begin, std::min(r.end, begin + step_), slot);
        } catch (...) {
          if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
          for (int k = 0; k < regions_; ++k) region_[static_cast<size_t>(k)].next.store(region_[static_cast<size_t>(k)].end, std::memory_order_relaxed);
        }
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
    started_.fetch_add(1, std::memory_order_release);
    started_.notify_one();
    for (int spins = kMostSpins;;) {
      const auto idle_since = Clock::now();
      for (int spin = 0; spin < spins && epoch_.load(std::memory_order_acquire) == seen; ++spin) pause();
      epoch_.wait(seen, std::memory_order_acquire);
      // By when the job was opened: this thread may have taken long to wake up.
      const auto opened = Clock::time_point(Clock::duration(opened_.load(std::memory_order_relaxed)));
      spins = opened - idle_since < kSoon ? kMostSpins : std::max(kLeastSpins, spins / 2);
      seen = epoch_.load(std::memory_order_acquire);
      if (stop_.load(std::memory_order_acquire)) return;
      join_job();
    }
  }

  // Returns when all have begun: what a thread allocates at its start would else fall into any later job.
  void start_workers() {
    stop_workers();
    started_.store(0, std::memory_order_relaxed);
    region_ = std::make_unique<Region[]>(static_cast<size_t>(threads()));
    const uint32_t seen = epoch_.load();
    workers_.reserve(static_cast<size_t>(threads() - 1));
    try {
      for (int i = 1; i < threads(); ++i) workers_.emplace_back([this, seen] { worker(seen); });
    } catch (const std::system_error&) {
      threads_.store(static_cast<int>(workers_.size()) + 1);  // the system grants no more threads: work with those there are
    }
    const int wanted = static_cast<int>(workers_.size());
    for (int n = started_.load(std::memory_order_acquire); n < wanted; n = started_.load(std::memory_order_acquire)) started_.wait(n);
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
  std::atomic<int> started_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int> slots_{0};
  std::atomic<int64_t> opened_{0};  // when the last job was
  std::atomic<bool> failed_{false};
  std::unique_ptr<Region[]> region_;  // as many as there are threads
  int64_t step_ = 1;
  int regions_ = 1;
  int max_slots_ = 1;
  detail::RangeFn fn_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace

int num_threads() { return Pool::get().threads(); }
void set_num_threads(int n) { Pool::get().set_threads(n); }

static std::atomic<bool> g_fixed{false};
int planned_threads() { return g_fixed.load(std::memory_order_relaxed) ? 2 : num_threads(); }
void fix_planned_threads() { g_fixed.store(true, std::memory_order_relaxed); }
bool planned_threads_fixed() { return g_fixed.load(std::memory_order_relaxed); }

void single_threaded_openmp() {
  thread_local const bool done = (omp_set_num_threads(1), true);
  (void)done;
}

bool in_parallel_region() { return tl_in_task; }

void detail::parallel_ranges(int64_t n, int64_t grain, int max_slots, RangeFn fn, void* context) {
  Pool::get().run(n, grain, max_slots, fn, context);
}

}  // namespace keras::cpu
