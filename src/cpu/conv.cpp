// What lives here: checks of a ConvDesc and the choice of its implementation. The implementations live in winograd.cpp, thin_conv.cpp,
// frame_conv.cpp, direct_conv.cpp, depthwise.cpp, dnnl_conv.cpp, conv_loops.cpp and dot.cpp (a kernel of one tap is a matrix product).
#include "cpu/conv.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <keras/base/error.h>

#include "cpu/conv_plan.h"
#include "cpu/depthwise.h"
#include "cpu/direct_conv.h"
#include "cpu/dot.h"
#include "cpu/float_bridge.h"
#include "cpu/frame_conv.h"
#include "cpu/thin_conv.h"
#include "cpu/thread_pool.h"
#include "cpu/winograd.h"

namespace keras::cpu {
namespace {

[[noreturn]] void fail(const ConvDesc& d, const char* what) {
  throw ValueError(
      ErrorText{.what = what, .where = "conv", .received = "x " + d.x.str() + ", kernel " + d.w.str() + ", y " + d.y.str()}.str());
}

ConvGeometry geometry(const ConvDesc& d) {
  const int rank = d.x.rank() - 2;
  if (rank < 1 || rank > 3 || d.w.rank() != rank + 2 || d.y.rank() != rank + 2) fail(d, "a convolution has one to three spatial axes");
  if (!d.x.is_static() || !d.w.is_static() || !d.y.is_static()) fail(d, "sizes must be known");
  const size_t r = static_cast<size_t>(rank);
  if (d.strides.size() != r || d.dilations.size() != r || d.pad_lo.size() != r || d.pad_hi.size() != r)
    fail(d, "strides, dilations and padding need one entry per spatial axis");
  if (std::any_of(d.strides.begin(), d.strides.end(), [](int64_t v) { return v < 1; }) ||
      std::any_of(d.dilations.begin(), d.dilations.end(), [](int64_t v) { return v < 1; })) {
    fail(d, "strides and dilations are at least 1");
  }
  ConvGeometry g;
  g.dtype = d.dtype;
  g.rank = rank;
  g.n = d.x[0];
  g.c = d.x.back();
  g.o = d.w.back();
  g.groups = d.groups;
  g.epilogue = d.epilogue;
  if (d.groups < 1 || g.c % d.groups != 0 || g.o % d.groups != 0 || d.w[-2] * d.groups != g.c) fail(d, "channels do not fit the groups");
  for (int i = 0; i < rank; ++i) {
    const size_t at = static_cast<size_t>(3 - rank + i), s = static_cast<size_t>(i);
    g.in[at] = d.x[i + 1], g.kernel[at] = d.w[i], g.out[at] = d.y[i + 1];
    g.stride[at] = d.strides[s], g.dilation[at] = d.dilations[s], g.lo[at] = d.pad_lo[s], g.hi[at] = d.pad_hi[s];
  }
  if (conv_shape(d) != d.y) fail(d, ("the output's shape is " + conv_shape(d).str()).c_str());
  check_epilogue(d.epilogue, d.dtype, "conv");
  return g;
}

// Nothing to sum: zeros and the epilogue.
class EmptyConv final : public engine::Kernel {
 public:
  EmptyConv(const ConvGeometry& g, int64_t size, bool forward) : g_(g), size_(size), forward_(forward) {}
  const char* describe() const override { return "conv of empty sizes"; }
  void run(void* const* in, void* const* out, void*) const override {
    std::memset(out[0], 0, static_cast<size_t>(size_) * dtype_size(g_.dtype));
    if (!forward_ || size_ == 0) return;
    const void* bias = g_.epilogue.bias ? in[2] : nullptr;
    const void* add = g_.epilogue.add ? in[g_.epilogue.bias ? 3 : 2] : nullptr;
    apply_epilogue(g_.epilogue, g_.dtype, out[0], bias, add, size_ / g_.o, g_.o, g_.o);
  }

 private:
  ConvGeometry g_;
  int64_t size_;
  bool forward_;
};

// A kernel of one tap multiplies matrices, of the pixels that its strides leave.
bool is_product(const ConvGeometry& g) {
  return g.groups == 1 && g.taps() == 1 && g.lo == std::array<int64_t, 3>{} && g.hi == std::array<int64_t, 3>{};
}
bool skips_pixels(const ConvGeometry& g) { return g.stride != std::array<int64_t, 3>{1, 1, 1}; }

engine::KernelPtr product(const ConvGeometry& g, ConvPass pass) {
  const int64_t pixels = g.n * g.out_pixels();
  const Shape x{pixels, g.c}, w{g.c, g.o}, y{pixels, g.o};
  switch (pass) {
    case ConvPass::Forward: return make_dot({g.dtype, x, w, {1}, {0}, {}, {}, g.epilogue});
    case ConvPass::BackwardInput: return make_dot({g.dtype, y, w, {1}, {1}, {}, {}, {}});
    case ConvPass::BackwardFilter: break;
  }
  return make_dot({g.dtype, x, y, {0}, {0}, {}, {}, {}});
}

// The product over the pixels that strides leave, which are gathered before it (or scattered into zeros after it).
class StridedProduct final : public engine::Kernel {
 public:
  StridedProduct(const ConvGeometry& g, ConvPass pass)
      : g_(g), pass_(pass), inner_(product(g, pass)), row_(static_cast<size_t>(g.c) * dtype_size(g.dtype)),
        bytes_((static_cast<size_t>(g.n * g.out_pixels()) * row_ + 63) / 64 * 64), text_(std::string("strided ") + inner_->describe()) {}
  size_t scratch_bytes() const override { return bytes_ + inner_->scratch_bytes(); }
  size_t prepared_bytes(size_t input) const override { return input == 1 && pass_ != ConvPass::BackwardFilter ? inner_->prepared_bytes(1) : 0; }
  void prepare(size_t input, const void* from, void* to, void* scratch) const override { inner_->prepare(input, from, to, scratch); }
  void take_prepared(size_t input) override { inner_->take_prepared(input); }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override {
    void* rest = static_cast<char*>(scratch) + bytes_;
    if (pass_ == ConvPass::BackwardInput) {
      void* to[] = {scratch};
      inner_->run(in, to, rest);
      move(static_cast<char*>(out[0]), static_cast<const char*>(scratch));
      return;
    }
    move(static_cast<char*>(scratch), static_cast<const char*>(in[0]));
    const bool forward = pass_ == ConvPass::Forward, one = forward && (g_.epilogue.bias || g_.epilogue.add), two = forward && g_.epilogue.bias && g_.epilogue.add;
    void* from[] = {scratch, in[1], one ? in[2] : nullptr, two ? in[3] : nullptr};
    inner_->run(from, out, rest);
  }

 private:
  void move(char* to, const char* from) const {
    const bool scatter = pass_ == ConvPass::BackwardInput;
    if (scatter) parallel_for(g_.n, 1, [&](int64_t a, int64_t b) { std::memset(to + static_cast<size_t>(a * g_.in_pixels()) * row_, 0, static_cast<size_t>((b - a) * g_.in_pixels()) * row_); });
    const int64_t lines = g_.n * g_.out[0] * g_.out[1], width = g_.out[2];
    parallel_for(lines, std::max<int64_t>(1, (int64_t{1} << 14) / std::max<int64_t>(1, width * g_.c)), [&](int64_t begin, int64_t end) {
      for (int64_t l = begin; l < end; ++l) {
        const int64_t y = l % g_.out[1], z = l / g_.out[1] % g_.out[0], n = l / g_.out[1] / g_.out[0];
        const int64_t first = ((n * g_.in[0] + z * g_.stride[0]) * g_.in[1] + y * g_.stride[1]) * g_.in[2];
        for (int64_t x = 0; x < width; ++x) {
          const size_t dense = static_cast<size_t>(l * width + x) * row_, spread = static_cast<size_t>(first + x * g_.stride[2]) * row_;
          std::memcpy(to + (scatter ? spread : dense), from + (scatter ? dense : spread), row_);
        }
      }
    });
  }

  ConvGeometry g_;
  ConvPass pass_;
  engine::KernelPtr inner_;
  size_t row_, bytes_;
  std::string text_;
};

// Winograd where its plan costs less than a direct convolution.
engine::KernelPtr winograd_that_pays(const ConvGeometry& g, ConvPass pass, bool kept) {
  const WinogradPlan plan = plan_winograd(g, pass, kept);
  return plan.m != 0 && plan.cost < direct_conv_cost(g, pass, kept) ? make_winograd_conv(g, pass, plan) : nullptr;
}

// A forward convolution that changes its algorithm when it learns that its weights seldom change.
class LearningConv final : public engine::Kernel {
 public:
  LearningConv(const ConvGeometry& g, engine::KernelPtr now) : g_(g), now_(std::move(now)) {}
  size_t scratch_bytes() const override { return now_->scratch_bytes(); }
  size_t prepared_bytes(size_t input) const override {
    if (input != 1) return 0;
    if (!asked_) kept_ = winograd_that_pays(g_, ConvPass::Forward, true);
    asked_ = true;
    return (kept_ ? kept_ : now_)->prepared_bytes(1);
  }
  void take_prepared(size_t input) override {
    if (kept_) now_ = std::move(kept_);
    now_->take_prepared(input);
  }
  void prepare(size_t input, const void* from, void* to, void* scratch) const override { now_->prepare(input, from, to, scratch); }
  const char* describe() const override { return now_->describe(); }
  void run(void* const* in, void* const* out, void* scratch) const override { now_->run(in, out, scratch); }

 private:
  ConvGeometry g_;
  engine::KernelPtr now_;
  mutable engine::KernelPtr kept_;  // planned when it is first asked for
  mutable bool asked_ = false;
};

// Null where only the loops of conv_loops.cpp do it.
engine::KernelPtr fast_conv(const ConvGeometry& g, ConvPass pass) {
  const bool forward = pass == ConvPass::Forward;
  if (auto kernel = make_depthwise_conv(g, pass)) return kernel;
  if (forward && thin_conv_pays(g)) return make_thin_conv(g);
  auto kernel = winograd_that_pays(g, pass, false);
  if (kernel == nullptr && g.dtype == DType::Float32) kernel = frame_conv_pays(g, pass) ? make_frame_conv(g, pass) : make_direct_conv(g, pass);
  if (kernel == nullptr) kernel = make_dnnl_conv(g, pass);
  if (kernel != nullptr && forward && winograd_can(g)) return std::make_unique<LearningConv>(g, std::move(kernel));
  return kernel;
}

engine::KernelPtr make(const ConvDesc& desc, ConvPass pass) {
  ConvGeometry g = geometry(desc);
  const Shape& out = pass == ConvPass::Forward ? desc.y : pass == ConvPass::BackwardInput ? desc.x : desc.w;
  if (desc.x.numel() == 0 || desc.w.numel() == 0 || desc.y.numel() == 0)
    return std::make_unique<EmptyConv>(g, out.numel(), pass == ConvPass::Forward);
  if (is_product(g) && !skips_pixels(g)) return product(g, pass);
  if (is_product(g) && g.dtype != DType::Float32) return std::make_unique<StridedProduct>(g, pass);
  const bool half = g.dtype == DType::Float16 || g.dtype == DType::BFloat16;
  if (auto kernel = fast_conv(g, pass)) return kernel;
  if (!half) return make_loop_conv(g, pass);
  g.dtype = DType::Float32;
  auto inner = fast_conv(g, pass);
  if (inner == nullptr) inner = make_loop_conv(g, pass);
  std::vector<int64_t> sizes;
  switch (pass) {
    case ConvPass::Forward:
      sizes = {desc.x.numel(), desc.w.numel()};
      if (g.epilogue.bias) sizes.push_back(g.o);
      if (g.epilogue.add) sizes.push_back(desc.y.numel());
      break;
    case ConvPass::BackwardInput: sizes = {desc.y.numel(), desc.w.numel()}; break;
    case ConvPass::BackwardFilter: sizes = {desc.x.numel(), desc.y.numel()}; break;
  }
  return bridge_to_float32(desc.dtype, std::move(inner), std::move(sizes), out.numel());
}

}  // namespace

Shape conv_shape(const ConvDesc& d) {
  Shape y{d.x[0]};
  for (int i = 0; i + 2 < d.x.rank(); ++i) {
    const size_t s = static_cast<size_t>(i);
    const int64_t free = d.x[i + 1] + d.pad_lo[s] + d.pad_hi[s] - (d.w[i] - 1) * d.dilations[s] - 1;
    y.push_back(free < 0 ? 0 : free / d.strides[s] + 1);
  }
  y.push_back(d.w.back());
  return y;
}

engine::KernelPtr make_conv(const ConvDesc& desc) { return make(desc, ConvPass::Forward); }
engine::KernelPtr make_conv_backward_input(const ConvDesc& desc) { return make(desc, ConvPass::BackwardInput); }
engine::KernelPtr make_conv_backward_filter(const ConvDesc& desc) { return make(desc, ConvPass::BackwardFilter); }

}  // namespace keras::cpu
