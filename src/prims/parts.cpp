// What lives here: the kernel of by_parts: how many rows go together, the plan for them, and the threads that take one part each.
#include "prims/parts.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "cpu/thread_pool.h"
#include "engine/executable.h"
#include "passes/parts.h"
#include "passes/passes.h"

namespace keras::prims {

using ir::Graph;
using ir::Ints;
using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using passes::RowRole;

namespace {

constexpr double kTogether = 2 << 20;  // bytes that a node of a part may read and write

size_t part_bytes_of(const Type& t) { return static_cast<size_t>(t.shape.numel()) * dtype_size(t.dtype); }

// As many rows as stay in the cache, if that leaves the threads parts of equal work, each aligned; all of them else.
int64_t rows_together(const Graph& body, const Ints& shared, int64_t rows) {
  double most = 1;
  for (const ir::Node& n : body.nodes()) {
    double bytes = 0;
    if (n.prim->is("constant")) continue;
    for (ir::ValueId v : n.inputs) bytes += static_cast<double>(part_bytes_of(body.type(v)));
    for (ir::ValueId v : n.outputs) bytes += static_cast<double>(part_bytes_of(body.type(v)));
    most = std::max(most, bytes);
  }
  const int64_t threads = cpu::planned_threads();
  const auto busy = [&](int64_t part) {
    const int64_t parts = (rows + part - 1) / part, rounds = (parts + threads - 1) / threads;
    return static_cast<double>(rows) / static_cast<double>(rounds * threads * part);
  };
  const auto aligned = [&](int64_t part) {
    const auto row = [&](ir::ValueId v) { return part_bytes_of(body.type(v)) / static_cast<size_t>(rows); };
    for (size_t i = 0; i < shared.size(); ++i)
      if (!shared[i] && row(body.params()[i]) * static_cast<size_t>(part) % 64 != 0) return false;
    return row(body.outputs[0]) * static_cast<size_t>(part) % 64 == 0;
  };
  int64_t best = rows;
  double best_busy = 0.8;
  for (int64_t part = std::clamp<int64_t>(static_cast<int64_t>(kTogether / most * static_cast<double>(rows)), 1, rows); part > 0; --part) {
    if (busy(part) <= best_busy || !aligned(part)) continue;
    best = part, best_busy = busy(part);
    if (best_busy > 0.95) break;
  }
  return best;
}

class PartsKernel final : public engine::Kernel {
 public:
  explicit PartsKernel(const KernelRequest& r) : rows_(r.attrs().i("rows")), shared_(r.attrs().ints("shared")), steady_(r.attrs().ints("steady")) {
    const Graph& body = r.attrs().graph("body");
    std::vector<RowRole> roles;
    for (int64_t s : shared_) roles.push_back(s ? RowRole::Shared : RowRole::Rows);
    part_ = rows_together(body, shared_, rows_);
    if (part_ < rows_ && !passes::part_of_rows(body, rows_, part_, roles)) part_ = rows_;
    parts_ = (rows_ + part_ - 1) / part_;
    passes::WholeGraphs whole;
    const auto plan = [&](int64_t count) {
      const std::vector<char> steady(steady_.begin(), steady_.end());
      Graph g = passes::optimize(count == rows_ ? body : *passes::part_of_rows(body, rows_, count, roles), steady);
      plans_.push_back(std::make_unique<engine::Executable>(std::move(g), std::vector<std::pair<int, int>>{}, steady));
    };
    plan(part_);
    if (rows_ % part_ != 0) plan(rows_ % part_);
    for (size_t i = 0; i < shared_.size(); ++i) row_bytes_.push_back(shared_[i] ? 0 : part_bytes_of(r.in(i)) / static_cast<size_t>(rows_));
    out_bytes_ = part_bytes_of(r.out()) / static_cast<size_t>(rows_);
    boxed_.assign(shared_.size(), 0);
    slots_ = static_cast<int>(std::clamp<int64_t>(parts_, 1, cpu::num_threads()));
    text_ = std::to_string(rows_) + " rows in parts of " + std::to_string(part_) + ", " + std::to_string(plans_[0]->num_steps()) + " steps each";
  }
  size_t scratch_bytes() const override { return static_cast<size_t>(slots_) * pointers(); }
  // The plan of a part keeps what depends on steady inputs alone by itself. What it needs to know is when they changed: their form is where
  // they lie, and is made anew when they did.
  size_t prepared_bytes(size_t input) const override { return steady_[input] ? sizeof(void*) : 0; }
  void prepare(size_t, const void* from, void* to, void*) const override {
    *static_cast<const void**>(to) = from;
    changes_.fetch_add(1, std::memory_order_relaxed);
  }
  void take_prepared(size_t input) override { boxed_[input] = 1; }
  const char* describe() const override { return text_.c_str(); }
  std::vector<const engine::Executable*> inside() const override {
    std::vector<const engine::Executable*> all;
    for (const auto& p : plans_) all.push_back(p.get());
    return all;
  }

  int threads_inside() const override { return slots_; }

  void run(void* const* in, void* const* out, void* scratch) const override {
    bool followed = true;
    for (size_t i = 0; i < steady_.size(); ++i) followed = followed && (!steady_[i] || boxed_[i]);
    const uint64_t stamp = followed ? changes_.load(std::memory_order_relaxed) : changes_.fetch_add(1, std::memory_order_relaxed) + 1;
    cpu::parallel_for_slots(parts_, 1, slots_, [&](int64_t begin, int64_t end, int slot) {
      auto** args = reinterpret_cast<void**>(static_cast<std::byte*>(scratch) + static_cast<size_t>(slot) * pointers());
      for (int64_t part = begin; part < end; ++part) {
        const size_t row = static_cast<size_t>(part * part_);
        for (size_t i = 0; i < shared_.size(); ++i)
          args[i] = boxed_[i] ? *static_cast<void* const*>(in[i]) : static_cast<std::byte*>(in[i]) + row * row_bytes_[i];
        void* to[] = {static_cast<std::byte*>(out[0]) + row * out_bytes_};
        plans_[plans_.size() > 1 && part + 1 == parts_]->run(args, to, stamp);
      }
    });
  }

 private:
  size_t pointers() const { return (shared_.size() * sizeof(void*) + 63) / 64 * 64; }

  int64_t rows_, part_ = 1, parts_ = 1;
  Ints shared_, steady_;
  std::vector<size_t> row_bytes_;
  size_t out_bytes_ = 0;
  std::vector<char> boxed_;
  std::vector<std::unique_ptr<engine::Executable>> plans_;
  int slots_ = 1;
  mutable std::atomic<uint64_t> changes_{0};
  std::string text_;
};

std::vector<Type> infer_parts(TypeSpan, const ir::Attrs& a) {
  const Graph& body = a.graph("body");
  return {body.type(body.outputs[0])};
}

}  // namespace

const ir::Primitive by_parts_prim{.name = "by_parts", .infer = infer_parts,
                                  .cpu = [](const KernelRequest& r) -> engine::KernelPtr { return std::make_unique<PartsKernel>(r); },
                                  .cost = [](const KernelRequest& r) { return ir::Cost{ir::cost_of(r.attrs().graph("body")).flops, ir::bytes_moved(r)}; }};

}  // namespace keras::prims
