// What lives here: direct convolutions by oneDNN: how the work is cut into single-threaded calls, and the kernel's copy in the layout that
// they want. The pieces depend on shapes alone, so that bits do not depend on the number of threads.
#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "cpu/conv_plan.h"
#include "cpu/dnnl_runtime.h"
#include "cpu/float_bridge.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

using shim::Dims;
using shim::Md;

constexpr double kPieceFlops = 2e6;

bool has_bfloat16() {
#if defined(__x86_64__)
  static const bool yes = __builtin_cpu_supports("avx512bf16");
  return yes;
#else
  return false;
#endif
}

class DnnlConv final : public engine::Kernel {
 public:
  DnnlConv(const ConvGeometry& g, ConvPass pass) : g_(g), pass_(pass), element_(dtype_size(g.dtype)) {
    single_threaded_openmp();
    good_ = build();
    if (!good_) return;
    slots_ = static_cast<int>(std::min<int64_t>(static_cast<int64_t>(pieces_.size()), num_threads()));
    slot_bytes_ = call_bytes_;
    const int64_t partials =
        pass == ConvPass::BackwardFilter && (pieces_.size() > 1 || weights_reorder_ != nullptr) ? static_cast<int64_t>(pieces_.size()) : 0;
    partial_bytes_ = static_cast<size_t>(partials) * aligned_bytes(weights_md_.get_size());
    total_scratch_ = weights_bytes_ + partial_bytes_ + slot_bytes_ * static_cast<size_t>(slots_);
    text_ = std::string("conv") +
            (pass == ConvPass::Forward         ? ""
             : pass == ConvPass::BackwardInput ? " backward input"
                                               : " backward filter") +
            " by oneDNN (" + variants_[0]->impl() + "), " + std::to_string(pieces_.size()) + " pieces" +
            (weights_reorder_ != nullptr ? ", kernel reordered" : "");
  }
  bool good() const { return good_; }
  size_t scratch_bytes() const override { return total_scratch_; }
  size_t prepared_bytes(size_t input) const override { return input == 1 ? weights_bytes_ : 0; }
  void prepare(size_t, const void* from, void* to, void* scratch) const override {
    single_threaded_openmp();
    void* data[] = {const_cast<void*>(from), to};
    weights_reorder_->run(data, scratch);
  }
  void take_prepared(size_t) override { weights_prepared_ = true; }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    single_threaded_openmp();
    char* at = static_cast<char*>(scratch);
    const bool forward = pass_ == ConvPass::Forward;
    const void* bias = forward && g_.epilogue.bias ? in[2] : nullptr;
    const char* add = forward && g_.epilogue.add ? static_cast<const char*>(in[g_.epilogue.bias ? 3 : 2]) : nullptr;
    void* weights = pass_ == ConvPass::BackwardFilter ? out[0] : in[1];
    if (weights_reorder_ != nullptr && pass_ != ConvPass::BackwardFilter && !weights_prepared_) {
      void* data[] = {in[1], at};
      weights_reorder_->run(data, nullptr);
      weights = at;
    }
    at += weights_bytes_;
    char* partials = at;
    at += partial_bytes_;
    parallel_for_slots(static_cast<int64_t>(pieces_.size()), 1, slots_, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t i = begin; i < end; ++i) {
        void* target = partial_bytes_ > 0 ? partials + static_cast<size_t>(i) * aligned_bytes(weights_md_.get_size()) : weights;
        piece(pieces_[static_cast<size_t>(i)], in, out, target, bias, add, at + static_cast<size_t>(slot) * slot_bytes_);
      }
    });
    if (partial_bytes_ > 0) combine(partials, out[0], at);
  }

 private:
  struct Piece {
    size_t variant;  // of the calls that the shapes of parts want
    int64_t x_at, y_at, pixels;  // elements from the start of x and y; output pixels
  };
  // The part of the problem that one call sees: images, and rows of the outermost spatial axis.
  struct Part {
    int64_t n, in_rows, out_rows, lo, hi;
    auto operator<=>(const Part&) const = default;
  };

  size_t outer() const { return static_cast<size_t>(3 - g_.rank); }

  Md activations(int64_t n, int64_t channels, std::array<int64_t, 3> size, int64_t rows) const {
    size[outer()] = rows;
    Dims dims{n, channels}, strides{rows == 0 ? 0 : channels * size[0] * size[1] * size[2], 1};
    for (size_t i = outer(); i < 3; ++i) dims.push_back(size[i]);
    int64_t step = channels;
    strides.resize(dims.size());
    for (size_t i = dims.size(); i-- > 2;) strides[i] = step, step *= dims[i];
    return Md(dims, shim::data_type(g_.dtype), strides);
  }

  // Keras' kernel (spatial…, C / groups, O) seen in oneDNN's order of axes.
  Md plain_weights(dnnl::memory::data_type type) const {
    Dims dims, strides;
    if (g_.groups > 1) dims = {g_.groups, g_.group_out(), g_.group_in()}, strides = {g_.group_out(), 1, g_.o};
    else dims = {g_.o, g_.c}, strides = {1, g_.o};
    int64_t step = g_.group_in() * g_.o;
    const size_t first = dims.size();
    for (size_t i = outer(); i < 3; ++i) dims.push_back(g_.kernel[i]), strides.push_back(0);
    for (size_t i = 3; i-- > outer();) strides[first + i - outer()] = step, step *= g_.kernel[i];
    return Md(dims, type, strides);
  }
  Md any_weights(dnnl::memory::data_type type) const {
    Dims dims;
    if (g_.groups > 1) dims = {g_.groups, g_.group_out(), g_.group_in()};
    else dims = {g_.o, g_.c};
    for (size_t i = outer(); i < 3; ++i) dims.push_back(g_.kernel[i]);
    return Md(dims, type, dnnl::memory::format_tag::any);
  }

  shim::ConvArgs arguments(const Part& p) const {
    shim::ConvArgs a;
    a.src = activations(p.n, g_.c, g_.in, p.in_rows);
    a.dst = activations(p.n, g_.o, g_.out, p.out_rows);
    a.weights = have_weights_ ? weights_md_ : any_weights(weights_type());
    if (pass_ == ConvPass::BackwardFilter) a.forward_weights = any_weights(shim::data_type(g_.dtype));
    if (pass_ == ConvPass::Forward && g_.epilogue.bias) a.bias = Md({g_.o}, shim::data_type(g_.dtype), Dims{1});
    for (size_t i = outer(); i < 3; ++i) {
      a.strides.push_back(g_.stride[i]);
      a.dilations.push_back(g_.dilation[i] - 1);
      a.pad_lo.push_back(i == outer() ? p.lo : g_.lo[i]);
      a.pad_hi.push_back(i == outer() ? p.hi : g_.hi[i]);
    }
    return a;
  }
  // Partial sums of a kernel's gradient stay float32 until they are added.
  dnnl::memory::data_type weights_type() const {
    return pass_ == ConvPass::BackwardFilter ? dnnl::memory::data_type::f32 : shim::data_type(g_.dtype);
  }

  static bool fast(const char* impl) { return std::string(impl).find("ref") == std::string::npos; }

  template <class Pd> static bool suits(const Pd& pd) { return pd && fast(pd.impl_info_str()); }

  // Makes the call for a part; false where oneDNN has nothing fast.
  bool add_variant(const Part& p) {
    const auto args = arguments(p);
    DnnlCallPtr call;
    const auto& eng = cpu_engine();
    switch (pass_) {
      case ConvPass::Forward: {
        const auto pd = shim::conv_forward_pd(eng, args, user_scratch());
        if (!suits(pd)) return false;
        take_weights(pd.weights_desc());
        std::vector<DnnlCall::Arg> list{{DNNL_ARG_SRC, args.src}, {DNNL_ARG_WEIGHTS, weights_md_}, {DNNL_ARG_DST, args.dst}};
        if (g_.epilogue.bias) list.push_back({DNNL_ARG_BIAS, args.bias});
        call = std::make_unique<DnnlCall>(pd, dnnl::convolution_forward(pd), std::move(list));
        break;
      }
      case ConvPass::BackwardInput: {
        const auto pd = shim::conv_backward_data_pd(eng, args, user_scratch());
        if (!suits(pd)) return false;
        take_weights(pd.weights_desc());
        call = std::make_unique<DnnlCall>(
            pd, dnnl::convolution_backward_data(pd),
            std::vector<DnnlCall::Arg>{{DNNL_ARG_DIFF_DST, args.dst}, {DNNL_ARG_WEIGHTS, weights_md_}, {DNNL_ARG_DIFF_SRC, args.src}});
        break;
      }
      case ConvPass::BackwardFilter: {
        const auto pd = shim::conv_backward_weights_pd(eng, args, user_scratch());
        if (!suits(pd)) return false;
        take_weights(pd.diff_weights_desc());
        call = std::make_unique<DnnlCall>(
            pd, dnnl::convolution_backward_weights(pd),
            std::vector<DnnlCall::Arg>{{DNNL_ARG_SRC, args.src}, {DNNL_ARG_DIFF_WEIGHTS, weights_md_}, {DNNL_ARG_DIFF_DST, args.dst}});
        break;
      }
    }
    call_bytes_ = std::max(call_bytes_, aligned_bytes(call->scratch_bytes()));
    variants_.push_back(std::move(call));
    return true;
  }

  void take_weights(const Md& md) {
    if (have_weights_) return;
    have_weights_ = true;
    weights_md_ = md;
    const Md plain = plain_weights(shim::data_type(g_.dtype));
    if (weights_md_ == plain) return;
    weights_reorder_ = pass_ == ConvPass::BackwardFilter ? make_dnnl_reorder(weights_md_, plain) : make_dnnl_reorder(plain, weights_md_);
    call_bytes_ = std::max(call_bytes_, aligned_bytes(weights_reorder_->scratch_bytes()));
    if (pass_ != ConvPass::BackwardFilter) weights_bytes_ = aligned_bytes(weights_md_.get_size());
  }

  bool build() {
    const double least_images = kPieceFlops / g_.flops();
    int64_t images = std::clamp<int64_t>(static_cast<int64_t>(least_images + 0.999), 1, g_.n);
    if (pass_ == ConvPass::BackwardFilter) {
      // Each piece costs a partial sum of the kernel's size: few pieces.
      const int64_t most = 8;
      images = std::max(images, (g_.n + most - 1) / most);
      const double earn = static_cast<double>(g_.weights()) * 64 / g_.flops();  // images whose work outweighs adding a partial
      images = std::min(g_.n, std::max(images, static_cast<int64_t>(earn)));
    }
    int64_t cuts = 1;  // of an image, by rows
    if (pass_ == ConvPass::Forward && images == 1 && g_.n < 8) {
      cuts = std::max<int64_t>(1, std::min({(8 + g_.n - 1) / g_.n, static_cast<int64_t>(g_.flops() / kPieceFlops), g_.out[outer()] / 3}));
    }
    const int64_t rows = (g_.out[outer()] + cuts - 1) / cuts;
    std::map<Part, size_t> known;
    for (int64_t n = 0; n < g_.n; n += images) {
      for (int64_t r = 0; r < g_.out[outer()]; r += rows) {
        Part p{std::min(images, g_.n - n), g_.in[outer()], std::min(rows, g_.out[outer()] - r), g_.lo[outer()], g_.hi[outer()]};
        int64_t from = 0;
        if (cuts > 1) {
          const int64_t lo = r * g_.stride[outer()] - g_.lo[outer()];
          const int64_t hi =
              (r + p.out_rows - 1) * g_.stride[outer()] + (g_.kernel[outer()] - 1) * g_.dilation[outer()] + 1 - g_.lo[outer()];
          from = std::max<int64_t>(0, lo);
          const int64_t to = std::min(g_.in[outer()], hi);
          if (from >= to) return false;
          p.lo = from - lo, p.hi = hi - to, p.in_rows = to - from;
        }
        const auto [it, fresh] = known.try_emplace(p, variants_.size());
        if (fresh && !add_variant(p)) return false;
        const int64_t in_row = g_.in_pixels() / g_.in[outer()] * g_.c, out_row = g_.out_pixels() / g_.out[outer()] * g_.o;
        pieces_.push_back({it->second, n * g_.in_pixels() * g_.c + from * in_row, n * g_.out_pixels() * g_.o + r * out_row,
                           p.n * p.out_rows * (g_.out_pixels() / g_.out[outer()])});
      }
    }
    return true;
  }

  void piece(const Piece& p, void* const* in, void* const* out, void* weights, const void* bias, const char* add, char* slot) const {
    const int64_t e = static_cast<int64_t>(element_), x_at = p.x_at * e, y_at = p.y_at * e;
    char *first = nullptr, *second = nullptr;
    switch (pass_) {
      case ConvPass::Forward: first = static_cast<char*>(in[0]) + x_at, second = static_cast<char*>(out[0]) + y_at; break;
      case ConvPass::BackwardInput: first = static_cast<char*>(in[0]) + y_at, second = static_cast<char*>(out[0]) + x_at; break;
      case ConvPass::BackwardFilter: first = static_cast<char*>(in[0]) + x_at, second = static_cast<char*>(in[1]) + y_at; break;
    }
    void* data[] = {first, weights, second, const_cast<void*>(bias)};
    variants_[p.variant]->run(data, slot);
    // oneDNN's relu makes 0 of NaN, so the activation is ours, while the piece is in the cache.
    if (pass_ == ConvPass::Forward)
      apply_epilogue(g_.epilogue, g_.dtype, second, nullptr, add == nullptr ? nullptr : add + y_at, p.pixels, g_.o, g_.o);
  }

  // Partial sums of the kernel's gradient, added in order in the layout in which they came.
  void combine(char* partials, void* to, char* slot) const {
    const size_t step = aligned_bytes(weights_md_.get_size());
    const int64_t n = static_cast<int64_t>(weights_md_.get_size() / sizeof(float));
    const size_t count = pieces_.size();
    float* sum = reinterpret_cast<float*>(partials);
    parallel_for(n, 1 << 14, [&](int64_t begin, int64_t end) {
      for (size_t s = 1; s < count; ++s) {
        const float* from = reinterpret_cast<const float*>(partials + s * step);
        for (int64_t i = begin; i < end; ++i) sum[i] += from[i];
      }
      if (weights_reorder_ == nullptr)
        std::memcpy(static_cast<float*>(to) + begin, sum + begin, static_cast<size_t>(end - begin) * sizeof(float));
    });
    if (weights_reorder_ == nullptr) return;
    void* data[] = {partials, to};
    weights_reorder_->run(data, slot);
  }

  ConvGeometry g_;
  ConvPass pass_;
  bool good_ = false, have_weights_ = false, weights_prepared_ = false;
  size_t element_;
  Md weights_md_;
  DnnlCallPtr weights_reorder_;
  std::vector<DnnlCallPtr> variants_;
  std::vector<Piece> pieces_;
  size_t call_bytes_ = 0, slot_bytes_ = 0, weights_bytes_ = 0, partial_bytes_ = 0, total_scratch_ = 0;
  int slots_ = 1;
  std::string text_;
};

}  // namespace

engine::KernelPtr make_dnnl_conv(const ConvGeometry& g, ConvPass pass) {
  if (g.dtype == DType::BFloat16 ? !has_bfloat16() : g.dtype != DType::Float32) return nullptr;
  for (size_t i = 0; i < 3; ++i) {
    if (g.lo[i] < 0 || g.hi[i] < 0) return nullptr;
  }
  auto kernel = std::make_unique<DnnlConv>(g, pass);
  return kernel->good() ? std::move(kernel) : nullptr;
}

}  // namespace keras::cpu
