// What lives here: measuring the steps of a run, and what was measured as rows.
#include "engine/profile.h"

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>

#include "engine/executable.h"

namespace keras::engine {

std::atomic<bool> detail::profiling{std::getenv("KERAS_PROFILE") != nullptr};
void set_profiling(bool on) { detail::profiling.store(on, std::memory_order_relaxed); }

namespace {
std::atomic<bool> g_events_on{false};
std::mutex g_events_mutex;
std::vector<StepEvent> g_events;

int thread_number() {
  static std::atomic<int> next{0};
  static thread_local int number = next++;
  return number;
}
}  // namespace

void start_events() {
  std::lock_guard lock(g_events_mutex);
  g_events.clear();
  g_events_on = true;
}
std::vector<StepEvent> take_events() {
  std::lock_guard lock(g_events_mutex);
  g_events_on = false;
  return std::move(g_events);
}

void Executable::run_measured(void** table, void* scratch) const {
  using Clock = std::chrono::steady_clock;
  StepTimes* times = times_.load(std::memory_order_acquire);
  if (!times) {
    auto* fresh = new StepTimes(steps_.size());
    if (times_.compare_exchange_strong(times, fresh, std::memory_order_acq_rel)) times = fresh;
    else delete fresh;
  }
  const bool events = g_events_on.load(std::memory_order_relaxed);
  for (size_t i = 0; i < steps_.size(); ++i) {
    const auto start = Clock::now();
    steps_[i].kernel->run(table + steps_[i].in, table + steps_[i].out, scratch);
    const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    times->steps[i].nanoseconds.fetch_add(ns, std::memory_order_relaxed);
    times->steps[i].calls.fetch_add(1, std::memory_order_relaxed);
    if (!events) continue;
    std::lock_guard lock(g_events_mutex);
    if (g_events_on)
      g_events.push_back(
          {this, i, std::chrono::duration_cast<std::chrono::nanoseconds>(start.time_since_epoch()).count(), ns, thread_number()});
  }
}

void Executable::reset_profile() const {
  StepTimes* times = times_.load(std::memory_order_acquire);
  if (times)
    for (StepTimes::Time& t : times->steps) t.nanoseconds = 0, t.calls = 0;
  for (const Step& s : steps_)
    for (const Executable* e : s.kernel->inside()) e->reset_profile();
}

StepProfile Executable::step_profile(size_t i) const {
  StepProfile row;
  row.kernel = steps_[i].kernel->describe();
  const StepTimes* times = times_.load(std::memory_order_acquire);
  if (times)
    row.seconds = 1e-9 * static_cast<double>(times->steps[i].nanoseconds.load()),
    row.calls = static_cast<double>(times->steps[i].calls.load());
  if (step_node_[i] < 0) {
    row.primitive = "copy";
    return row;
  }
  const ir::Node& n = graph_.nodes()[static_cast<size_t>(step_node_[i])];
  row.primitive = n.prim->name;
  for (ir::ValueId v : n.inputs) row.types += graph_.type(v).str() + " ";
  row.types += "->";
  for (ir::ValueId v : n.outputs) row.types += " " + graph_.type(v).str();
  row.origin = n.origin;
  row.cost = ir::cost_of(graph_, n);
  row.cost.flops *= row.calls, row.cost.bytes *= row.calls;
  return row;
}

std::vector<StepProfile> Executable::profile() const {
  std::vector<StepProfile> rows;
  for (size_t i = 0; i < steps_.size(); ++i) {
    StepProfile whole = step_profile(i);
    std::vector<StepProfile> inner;
    double seconds = 0;
    for (const Executable* e : steps_[i].kernel->inside())
      for (StepProfile& r : e->profile()) seconds += r.seconds, inner.push_back(std::move(r));
    if (seconds <= 0) {
      rows.push_back(std::move(whole));
      continue;
    }
    // Threads share the steps inside: their times are made to sum up to the time on the clock.
    for (StepProfile& r : inner) {
      r.seconds *= whole.seconds / seconds;
      r.inside = r.inside.empty() ? whole.primitive : whole.primitive + "/" + r.inside;
      if (whole.origin && r.origin && whole.origin->gradient && !r.origin->gradient) r.origin = ir::gradient_of(r.origin);
      if (!r.origin) r.origin = whole.origin;
      rows.push_back(std::move(r));
    }
  }
  return rows;
}

std::string profile_text(const std::vector<StepProfile>& steps) {
  double total = 0;
  for (const StepProfile& r : steps) total += r.seconds;
  std::vector<size_t> order(steps.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return steps[a].seconds > steps[b].seconds; });
  std::string s = fmt::format("profile of an executable: {:.3f} ms in {} steps\n", total * 1e3, order.size());
  for (size_t i : order) {
    const StepProfile& r = steps[i];
    if (r.seconds < total * 0.005) break;
    s += fmt::format("  {:5.1f} %  {:9.2f} us x {:.0f}  {:7.1f} GF/s {:6.1f} GB/s  {}{}{} {}  {}\n", 100 * r.seconds / total,
                     1e6 * r.seconds / std::max(r.calls, 1.0), r.calls, 1e-9 * r.cost.flops / std::max(r.seconds, 1e-12),
                     1e-9 * r.cost.bytes / std::max(r.seconds, 1e-12), r.origin ? r.origin->name + (r.origin->gradient ? "' " : " ") : "",
                     r.inside.empty() ? "" : r.inside + "/", r.primitive, r.types, r.kernel);
  }
  return s;
}

}  // namespace keras::engine
