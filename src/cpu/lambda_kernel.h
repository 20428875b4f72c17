// What lives here: the shortest way to make a kernel, from a function object and the scratch that it needs.
#pragma once
#include "engine/kernel.h"

#include <string>
#include <utility>

namespace keras::cpu {

template <class F> class LambdaKernel final : public engine::Kernel {
 public:
  LambdaKernel(std::string text, size_t scratch, F f) : f_(std::move(f)), scratch_(scratch), text_(std::move(text)) {}
  size_t scratch_bytes() const override { return scratch_; }
  void run(void* const* in, void* const* out, void* scratch) const override { f_(in, out, scratch); }
  const char* describe() const override { return text_.c_str(); }

 private:
  F f_;
  size_t scratch_;
  std::string text_;
};

/// A kernel that calls `f(in, out, scratch)`; f is const, allocates nothing and holds all it needs by value.
template <class F> engine::KernelPtr lambda_kernel(std::string text, size_t scratch, F f) {
  return std::make_unique<LambdaKernel<F>>(std::move(text), scratch, std::move(f));
}

}  // namespace keras::cpu
