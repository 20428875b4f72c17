// What lives here: see float_bridge.h.
#include "cpu/float_bridge.h"

#include <string>

#include "cpu/epilogue.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

constexpr int64_t kGrain = 1 << 16;
constexpr size_t kMostInputs = 8;

class FloatBridge final : public engine::Kernel {
 public:
  FloatBridge(DType dtype, engine::KernelPtr inner, std::vector<int64_t> in, int64_t out)
      : dtype_(dtype),
        inner_(std::move(inner)),
        in_(std::move(in)),
        out_(out),
        text_(std::string("through float32: ") + inner_->describe()) {
    for (const int64_t n : in_) bytes_ += floats(n);
    bytes_ += floats(out_);
  }
  size_t scratch_bytes() const override { return bytes_ + inner_->scratch_bytes(); }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override {
    char* at = static_cast<char*>(scratch);
    void* wide[kMostInputs];
    for (size_t i = 0; i < in_.size(); ++i) {
      float* to = reinterpret_cast<float*>(at);
      const auto* from = static_cast<const uint16_t*>(in[i]);
      parallel_for(in_[i], kGrain, [&](int64_t b, int64_t e) { widen(dtype_, from + b, to + b, e - b); });
      wide[i] = to;
      at += floats(in_[i]);
    }
    float* result = reinterpret_cast<float*>(at);
    void* wide_out[1] = {result};
    inner_->run(wide, wide_out, at + floats(out_));
    auto* to = static_cast<uint16_t*>(out[0]);
    parallel_for(out_, kGrain, [&](int64_t b, int64_t e) { narrow(dtype_, result + b, to + b, e - b); });
  }

 private:
  static size_t floats(int64_t n) { return aligned_bytes(static_cast<size_t>(n) * sizeof(float)); }
  DType dtype_;
  engine::KernelPtr inner_;
  std::vector<int64_t> in_;
  int64_t out_;
  size_t bytes_ = 0;
  std::string text_;
};

}  // namespace

engine::KernelPtr bridge_to_float32(DType dtype, engine::KernelPtr inner, std::vector<int64_t> in_sizes, int64_t out_size) {
  return std::make_unique<FloatBridge>(dtype, std::move(inner), std::move(in_sizes), out_size);
}

}  // namespace keras::cpu
