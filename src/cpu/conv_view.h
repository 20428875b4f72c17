// What lives here: a pass of a convolution seen as plain convolutions: what each tap of an output pixel reads, and the kernel in strips in that
// order. Forward is one; backward input is one per phase of the strides. Only the kernels of direct_conv.cpp and frame_conv.cpp include it.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "cpu/conv_plan.h"
#include "engine/kernel.h"

namespace keras::cpu {

/// Along an axis tap t of position q reads `first + q step + t tap_step` (tap_step > 0), zeros outside of `in`.
struct ConvView {
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, step{1, 1, 1}, first{0, 0, 0}, taps{1, 1, 1}, tap_step{1, 1, 1};
  int64_t pixel = 0, channels = 0;  // elements from a pixel to the next, and how many of them are read

  int64_t row() const { return taps[2] * channels; }  // elements that a row of taps reads
  int64_t depth() const { return taps[0] * taps[1] * row(); }
  int64_t lines() const { return out[0] * out[1]; }
  int64_t pixels() const { return lines() * out[2]; }
  /// The taps of a row are one run of memory.
  bool dense() const { return taps[2] == 1 || (tap_step[2] == 1 && pixel == channels); }
};
/// What the forward pass reads, and so does backward filter.
ConvView forward_view(const ConvGeometry& g);

struct ConvPhase {
  ConvView view;
  std::array<int64_t, 3> weight_at{0, 0, 0}, weight_step{1, 1, 1};  // tap t has the kernel's at + t step
  std::array<int64_t, 3> at{0, 0, 0};                               // its first output pixel
  int64_t merged = 0;         // not 0: so many neighbours along the last axis, of as many phases, are one pixel with all their channels
  int64_t n = 0, strips = 0;  // output channels of a group
  int64_t depth = 0, weights = 0;  // rows of its strips, where they begin within a group's
};

/// The phases of a forward or backward input pass, and their kernels: per group, per phase, strips of gemm_strip() columns, the last one filled
/// up with zeros.
struct ConvPhases {
  ConvPhases(const ConvGeometry& g, ConvPass pass);
  size_t packed_bytes() const;
  void pack(const float* w, float* to) const;

  ConvGeometry g;
  bool back;
  int64_t n, strip;                       // output channels of a group, unmerged; columns of a strip
  int64_t out_pixel;                      // elements from an output pixel to the next
  int64_t weights = 0;                    // floats of a group's strips
  std::array<int64_t, 3> every{1, 1, 1};  // from an output pixel of a phase to the next, per axis
  std::array<int64_t, 3> size;            // of the output
  std::vector<ConvPhase> phases;
  double flops = 0;
};

/// A kernel that computes these phases in units, each with scratch of a thread's own: the strips (kept, or packed in each run) and arguments.
class StripConv : public engine::Kernel {
 public:
  size_t scratch_bytes() const override {
    return (prepared_ ? 0 : c_.packed_bytes()) + static_cast<size_t>(slot_floats_ * slots_) * sizeof(float);
  }
  size_t prepared_bytes(size_t input) const override { return input == 1 ? c_.packed_bytes() : 0; }
  void prepare(size_t, const void* from, void* to, void*) const override {
    c_.pack(static_cast<const float*>(from), static_cast<float*>(to));
  }
  void take_prepared(size_t) override { prepared_ = true; }
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override;

 protected:
  struct Work {
    const float *x, *strips, *bias, *add;
    float* y;
  };
  StripConv(const ConvGeometry& g, ConvPass pass) : c_(g, pass) {}
  /// When units_ is known: how many threads take part, and the text. `how` follows "by".
  void describe_as(const char* how);
  /// `at`: slot_floats_ for each of slots_ threads.
  virtual void run_units(const Work& w, float* at) const = 0;

  ConvPhases c_;
  int64_t units_ = 0, grain_ = 1, slot_floats_ = 0;
  int slots_ = 1;

 private:
  bool prepared_ = false;
  std::string text_;
};

/// Backward filter: rows of the output's gradient, n of every `pixel` elements, as strips of `strip` columns, `count` rows each.
void pack_gradient(const float* dy, int64_t pixel, int64_t count, int64_t n, int64_t strip, float* to);
/// Adds `pieces` partial kernel gradients, `step` apart, each (groups, depth, width) of which n columns count, in order, into dw.
void combine_gradients(float* sums, int64_t pieces, int64_t step, int64_t groups, int64_t depth, int64_t width, int64_t n, float* dw);

inline int64_t conv_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// Whole cache lines.
inline int64_t conv_lines(int64_t floats) { return conv_ceil_div(floats, 16) * 16; }
/// An odd number of them: rows so far apart do not share a set of the cache.
inline int64_t conv_odd_lines(int64_t floats) { return (conv_ceil_div(floats, 16) | 1) * 16; }
constexpr double kConvPieceFlops = 1e6;  // about what waking a thread must earn

}  // namespace keras::cpu
