// What lives here: a cluster one of whose operands is made by scatter_add (the update of a table by a gradient that has few rows): rows are
// computed some at a time, and the gradient's are added up for these alone, in the cache. Made only by the passes.
#include <algorithm>
#include <cstring>

#include "cpu/simd_kernels.h"
#include "cpu/thread_pool.h"
#include "cpu/visit_int.h"
#include "prims/build.h"
#include "prims/cluster.h"

namespace keras::prims {

using ir::Graph;
using ir::KernelRequest;
using ir::Type;
using ir::TypeSpan;
using ir::ValueId;

namespace {

// Inputs: indices, updates, then those of the body without the gradient, which is its parameter "gradient".
class ScatterClusterKernel : public engine::Kernel {
 public:
  explicit ScatterClusterKernel(const KernelRequest& r)
      : index_(r.in(0).dtype), count_(r.in(0).shape.numel()), gradient_(static_cast<size_t>(r.attrs().i("gradient"))) {
    const Graph& body = r.attrs().graph("body");
    const Shape space(r.attrs().ints("space"));
    rows_ = space[0];
    inner_ = space.numel() / rows_;
    const DType dtype = body.type(body.params()[gradient_]).dtype;
    item_ = dtype_size(dtype);
    add_ = cpu::simd::find(cpu::simd::Op::add, dtype);
    constexpr int64_t kBlock = 32768;  // elements: the gradient's stay in the second-level cache, and a program's run is worth its start
    block_ = std::clamp<int64_t>(kBlock / std::max<int64_t>(inner_, 1), 1, rows_);
    blocks_ = (rows_ + block_ - 1) / block_;
    for (ValueId p : body.params()) {
      const Shape& s = body.type(p).shape;
      const bool with_rows = s.rank() == space.rank() && s[0] == rows_;
      in_step_.push_back(with_rows ? static_cast<size_t>(s.numel() / rows_) * dtype_size(body.type(p).dtype) : 0);
    }
    for (ValueId v : body.outputs) out_step_.push_back(static_cast<size_t>(inner_) * dtype_size(body.type(v).dtype));
    for (int64_t rows : {block_, rows_ - (blocks_ - 1) * block_}) {
      cpu::TileSpec spec = cluster_spec(body, space.dims(), 0);
      spec.shape[0] = rows;
      programs_.push_back(cpu::make_tile_program(spec));
    }
    const auto aligned = [](size_t n) { return (n + 63) / 64 * 64; };
    rows_at_ = 0;
    order_at_ = rows_at_ + aligned(static_cast<size_t>(count_) * sizeof(int64_t));
    starts_at_ = order_at_ + aligned(static_cast<size_t>(count_) * sizeof(int64_t));
    slots_at_ = starts_at_ + aligned(static_cast<size_t>(blocks_ + 1) * sizeof(int64_t));
    block_bytes_ = aligned(static_cast<size_t>(block_ * inner_) * item_);
    pointer_bytes_ = aligned((in_step_.size() + out_step_.size()) * sizeof(void*));
    slot_bytes_ = block_bytes_ + pointer_bytes_ + aligned(std::max(programs_[0]->scratch_bytes(), programs_[1]->scratch_bytes()));
    slots_ = static_cast<int>(std::min<int64_t>(blocks_, cpu::num_threads()));
    text_ = "rows of a table in blocks of " + std::to_string(block_) + ", " + std::to_string(count_) + " of them updated: " + programs_[0]->describe();
  }
  size_t scratch_bytes() const override { return slots_at_ + slot_bytes_ * static_cast<size_t>(slots_); }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    auto* row = reinterpret_cast<int64_t*>(base + rows_at_);
    auto* order = reinterpret_cast<int64_t*>(base + order_at_);
    auto* starts = reinterpret_cast<int64_t*>(base + starts_at_);
    sort(in[0], row, order, starts);
    cpu::parallel_for_slots(blocks_, 4, slots_, [&](int64_t begin, int64_t end, int slot) {
      std::byte* memory = base + slots_at_ + static_cast<size_t>(slot) * slot_bytes_;
      auto** args = reinterpret_cast<void**>(memory + block_bytes_);
      bool clean = false;
      for (int64_t b = begin; b < end; ++b) {
        const size_t first = static_cast<size_t>(b * block_);
        if (!clean) std::memset(memory, 0, block_bytes_);
        clean = starts[b] == starts[b + 1];
        for (int64_t i = starts[b]; i < starts[b + 1]; ++i) {
          std::byte* to = memory + static_cast<size_t>((row[order[i]] - b * block_) * inner_) * item_;
          cpu::simd::Args add{};
          add.in[0] = to, add.in[1] = static_cast<const std::byte*>(in[1]) + static_cast<size_t>(order[i] * inner_) * item_;
          add.out = to, add.n = inner_;
          add_(add);
        }
        for (size_t i = 0, from = 2; i < in_step_.size(); ++i)
          args[i] = i == gradient_ ? memory : static_cast<std::byte*>(in[from++]) + first * in_step_[i];
        void** results = args + in_step_.size();
        for (size_t o = 0; o < out_step_.size(); ++o) results[o] = static_cast<std::byte*>(out[o]) + first * out_step_[o];
        programs_[b == blocks_ - 1]->run(args, results, memory + block_bytes_ + pointer_bytes_);
      }
    });
  }

 private:
  // Updates by block, in each in the order of the indices: sums are those of scatter_add.
  void sort(const void* indices, int64_t* row, int64_t* order, int64_t* starts) const {
    std::fill_n(starts, blocks_ + 1, 0);
    cpu::visit_int(index_, [&](auto tag) {
      const auto* from = static_cast<const decltype(tag)*>(indices);
      for (int64_t i = 0; i < count_; ++i) {
        int64_t r = static_cast<int64_t>(from[i]);
        if (r < 0) r += rows_;
        if (r < 0 || r >= rows_)
          throw ValueError(ErrorText{.what = "index " + std::to_string(from[i]) + " is outside axis 0 of size " + std::to_string(rows_), .where = "scatter_add"}.str());
        row[i] = r;
        ++starts[r / block_ + 1];
      }
    });
    for (int64_t b = 0; b < blocks_; ++b) starts[b + 1] += starts[b];
    for (int64_t i = 0; i < count_; ++i) order[starts[row[i] / block_]++] = i;
    for (int64_t b = blocks_; b > 0; --b) starts[b] = starts[b - 1];
    starts[0] = 0;
  }

  DType index_;
  int64_t count_, rows_ = 0, inner_ = 1, block_ = 1, blocks_ = 1;
  size_t gradient_, item_ = 4;
  cpu::simd::Fn add_ = nullptr;
  std::vector<size_t> in_step_, out_step_;  // bytes per row; 0: the same for all rows
  std::vector<engine::KernelPtr> programs_;  // of a block, of the last one
  size_t rows_at_ = 0, order_at_ = 0, starts_at_ = 0, slots_at_ = 0, block_bytes_ = 0, pointer_bytes_ = 0, slot_bytes_ = 0;
  int slots_ = 1;
  std::string text_;
};

std::vector<Type> infer_scatter_cluster(TypeSpan, const Attrs& a) {
  const Graph& body = a.graph("body");
  std::vector<Type> out;
  for (ValueId v : body.outputs) out.push_back(body.type(v));
  return out;
}

}  // namespace

const Primitive scatter_cluster_prim{.name = "scatter_cluster", .infer = infer_scatter_cluster,
                                     .cpu = [](const KernelRequest& r) -> engine::KernelPtr { return std::make_unique<ScatterClusterKernel>(r); },
                                     .cost = [](const KernelRequest& r) { return ir::Cost{ir::cost_of(r.attrs().graph("body")).flops, ir::bytes_moved(r)}; }};

}  // namespace keras::prims
