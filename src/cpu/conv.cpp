// What lives here: checks of a ConvDesc and the choice of its implementation. The implementations live in dnnl_conv.cpp, conv_loops.cpp
// and dot.cpp (a kernel of one tap is a matrix product).
#include "cpu/conv.h"

#include <algorithm>
#include <cstring>

#include <keras/base/error.h>

#include "cpu/conv_plan.h"
#include "cpu/dot.h"
#include "cpu/float_bridge.h"
#include "cpu/thread_pool.h"

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

// A kernel of one tap that skips no pixel multiplies matrices.
bool is_product(const ConvGeometry& g) {
  return g.groups == 1 && g.taps() == 1 && g.stride == std::array<int64_t, 3>{1, 1, 1} && g.lo == std::array<int64_t, 3>{} &&
         g.hi == std::array<int64_t, 3>{};
}

engine::KernelPtr product(const ConvGeometry& g, ConvPass pass) {
  const int64_t pixels = g.n * g.in_pixels();
  const Shape x{pixels, g.c}, w{g.c, g.o}, y{pixels, g.o};
  switch (pass) {
    case ConvPass::Forward: return make_dot({g.dtype, x, w, {1}, {0}, {}, {}, g.epilogue});
    case ConvPass::BackwardInput: return make_dot({g.dtype, y, w, {1}, {1}, {}, {}, {}});
    case ConvPass::BackwardFilter: break;
  }
  return make_dot({g.dtype, x, y, {0}, {0}, {}, {}, {}});
}

engine::KernelPtr make(const ConvDesc& desc, ConvPass pass) {
  ConvGeometry g = geometry(desc);
  const Shape& out = pass == ConvPass::Forward ? desc.y : pass == ConvPass::BackwardInput ? desc.x : desc.w;
  if (desc.x.numel() == 0 || desc.w.numel() == 0 || desc.y.numel() == 0)
    return std::make_unique<EmptyConv>(g, out.numel(), pass == ConvPass::Forward);
  if (is_product(g)) return product(g, pass);
  const bool half = g.dtype == DType::Float16 || g.dtype == DType::BFloat16;
  if (g.dtype == DType::Float32 || g.dtype == DType::BFloat16) {
    if (auto kernel = make_dnnl_conv(g, pass)) return kernel;
  }
  if (!half) return make_loop_conv(g, pass);
  g.dtype = DType::Float32;
  auto inner = make_dnnl_conv(g, pass);
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
