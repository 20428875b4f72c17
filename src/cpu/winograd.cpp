// What lives here: Winograd's convolutions as kernels: units of work, scratch, and the plan by what a unit costs. The loops live in
// winograd_simd.cpp and strip_gemm.cpp.
//
// A block of tiles goes through at once: its tiles are transformed, (m + 2)² products multiply them by the transformed kernel, and what
// comes out is transformed back with bias, residual and activation, all while it lies in the second-level cache. Nothing but the
// transformed kernel is as large as the problem.
#include "cpu/winograd.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "cpu/strip_gemm.h"
#include "cpu/thread_pool.h"
#include "cpu/winograd_simd.h"

namespace keras::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Planes an odd number of cache lines apart: the same place in all of them does not fall into one set of the cache.
int64_t plane_size(int64_t floats) { return (ceil_div(floats, 16) | 1) * 16; }
size_t floats(int64_t n) { return static_cast<size_t>(n) * sizeof(float); }

constexpr size_t kNear = 512 << 10;  // bytes that the second-level cache has room for beside others

// What both kinds of kernel know of a pass: tiles read, tiles of the other side, and the sizes of the products.
struct Sides {
  WinogradTiles read, other;
  int64_t tiles, k, n;
};
Sides sides(const ConvGeometry& g, ConvPass pass, int m) {
  Sides s;
  const bool back = pass == ConvPass::BackwardInput;
  s.k = back ? g.group_out() : g.group_in();
  s.n = back ? g.group_in() : g.group_out();
  const auto& from = back ? g.out : g.in;
  const auto& to = back ? g.in : g.out;
  s.read = {from[1],
            from[2],
            back ? g.o : g.c,
            ceil_div(to[1], m),
            ceil_div(to[2], m),
            back ? 2 - g.lo[1] : g.lo[1],
            back ? 2 - g.lo[2] : g.lo[2]};
  s.other = {to[1], to[2], back ? g.c : g.o, s.read.rows, s.read.columns, 0, 0};
  s.tiles = g.n * s.read.rows * s.read.columns;
  return s;
}

// Part i of n cut into so many parts, at multiples of `unit`.
struct Range {
  int64_t begin, end;
};
Range part_of(int64_t n, int64_t parts, int64_t i, int64_t unit) {
  const int64_t units = ceil_div(n, unit);
  return {std::min(n, units * i / parts * unit), std::min(n, units * (i + 1) / parts * unit)};
}

// Activations that no cache keeps: those of the next block are asked for while this one is multiplied. Where a cache has them, asking costs.
bool streams(const ConvGeometry& g) { return g.n * (g.in_pixels() * g.c + g.out_pixels() * g.o) > int64_t{3} << 20; }

std::string form(int m) { return m == 4 ? "winograd F(4x4, 3x3)" : "winograd F(2x2, 3x3)"; }

// Forward and backward input.
class WinogradConv final : public engine::Kernel {
 public:
  WinogradConv(const ConvGeometry& g, ConvPass pass, const WinogradPlan& plan)
      : g_(g),
        back_(pass == ConvPass::BackwardInput),
        plan_(plan),
        s_(sides(g, pass, plan.m)),
        lanes_(winograd_lanes()),
        strip_(strip_columns()),
        side_(plan.m + 2),
        points_(side_ * side_),
        width_(round_up(s_.n, lanes_)),
        kernel_plane_(plane_size(s_.k * width_)),
        in_ld_(round_up(s_.k, lanes_)),
        in_plane_(plane_size(plan.block * in_ld_)),
        out_ld_(std::min(round_up(plan.columns, lanes_), width_)),
        out_plane_(plane_size(plan.block * out_ld_)) {
    units_ = g_.groups * plan_.pieces * plan_.slices;
    slots_ = static_cast<int>(std::min<int64_t>(units_, num_threads()));
    streams_ = streams(g_);
    far_ = floats(points_ * kernel_plane_) > kNear;
    slot_ = in_ld_ + points_ * (in_plane_ + out_plane_);
    text_ = "conv" + std::string(back_ ? " backward input by " : " by ") + form(plan_.m) + ", " + std::to_string(plan_.pieces) +
            " pieces of tiles by " + std::to_string(plan_.slices) + " of channels, blocks of " + std::to_string(plan_.block);
  }
  size_t scratch_bytes() const override { return (prepared_ ? 0 : kernel_bytes()) + floats(slot_) * static_cast<size_t>(slots_); }
  size_t prepared_bytes(size_t input) const override { return input == 1 ? kernel_bytes() : 0; }
  void prepare(size_t, const void* from, void* to, void*) const override {
    transform_kernel(static_cast<const float*>(from), static_cast<float*>(to));
  }
  void take_prepared(size_t) override {
    prepared_ = true;
    if (s_.tiles <= 4 * plan_.block) far_ = true;
  }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    float* at = static_cast<float*>(scratch);
    const float* kernel = static_cast<const float*>(in[1]);
    if (!prepared_) {
      transform_kernel(kernel, at);
      kernel = at;
      at += kernel_bytes() / sizeof(float);
    }
    WinogradEpilogue e;
    if (!back_) {
      e.bias = g_.epilogue.bias ? static_cast<const float*>(in[2]) : nullptr;
      e.add = g_.epilogue.add ? static_cast<const float*>(in[g_.epilogue.bias ? 3 : 2]) : nullptr;
      e.relu6 = g_.epilogue.act == Epilogue::Act::Relu6;
      e.relu = e.relu6 || (g_.epilogue.act == Epilogue::Act::Relu && g_.epilogue.alpha == 0);
    }
    parallel_for_slots(units_, 1, slots_, [&](int64_t begin, int64_t end, int slot) {
      float* zeros = at + slot * slot_;
      std::memset(zeros, 0, floats(in_ld_));
      for (int64_t u = begin; u < end; ++u) {
        unit(u / plan_.slices / plan_.pieces, u / plan_.slices % plan_.pieces, u % plan_.slices, static_cast<const float*>(in[0]), kernel,
             e, static_cast<float*>(out[0]), zeros);
      }
    });
  }

 private:
  size_t kernel_bytes() const { return floats(g_.groups * points_ * kernel_plane_); }

  void transform_kernel(const float* w, float* to) const {
    // Kernel (3, 3, C / groups, O): of a group the columns. Its rows are what is summed, or, backward, what comes out.
    const int64_t grain = std::max<int64_t>(1, (1 << 12) / s_.n);
    parallel_for(g_.groups * s_.k, grain, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t group = begin / s_.k, first = begin % s_.k, last = std::min(s_.k, first + end - begin);
        winograd_kernel(plan_.m, w + group * g_.group_out(), g_.o, g_.group_in() * g_.o, back_, s_.k, s_.n, first, last,
                        to + group * points_ * kernel_plane_, kernel_plane_);
        begin += last - first;
      }
    });
  }

  void unit(int64_t group, int64_t piece, int64_t slice, const float* x, const float* kernel, const WinogradEpilogue& e, float* y,
            float* zeros) const {
    const WinogradPlanes in{zeros + in_ld_, in_plane_, in_ld_}, sums{in.base + points_ * in_plane_, out_plane_, out_ld_};
    const Range tiles = part_of(s_.tiles, plan_.pieces, piece, 1), channels = part_of(s_.n, plan_.slices, slice, strip_);
    const int64_t blocks = std::max<int64_t>(1, ceil_div(tiles.end - tiles.begin, plan_.block));
    const float* weights = kernel + group * points_ * kernel_plane_;
    for (int64_t b = 0; b < blocks; ++b) {
      const Range part = part_of(tiles.end - tiles.begin, blocks, b, 1);
      const int64_t first = tiles.begin + part.begin, count = part.end - part.begin;
      if (count == 0) continue;
      winograd_input(plan_.m, x + group * s_.k, s_.read, first, count, s_.k, zeros, in);
      for (int64_t c = channels.begin; c < channels.end; c += plan_.columns) {
        const int64_t n = std::min(plan_.columns, channels.end - c);
        const Range next =
            streams_ && c == channels.begin && b + 1 < blocks ? part_of(tiles.end - tiles.begin, blocks, b + 1, 1) : Range{0, 0};
        for (int p = 0; p < points_; p += side_) {
          if (streams_) {
            const Range read = part_of(next.end - next.begin, side_, p / side_, 1), write = part_of(count, side_, p / side_, 1);
            winograd_prefetch(plan_.m, x + group * s_.k, s_.read, tiles.begin + next.begin + read.begin, read.end - read.begin, s_.k);
            winograd_prefetch(plan_.m, y + group * s_.n + c, s_.other, first + write.begin, write.end - write.begin, n);
          }
          // The kernel comes from afar where it is large, or where other layers have been at work since it was used.
          const float* ahead = nullptr;
          if (far_)
            ahead = p + side_ < points_    ? weights + (p + side_) * kernel_plane_ + c * s_.k
                    : c + n < channels.end ? weights + (c + n) * s_.k
                                           : weights + channels.begin * s_.k;
          strip_gemm({.m = count,
                      .n = round_up(n, lanes_),
                      .k = s_.k,
                      .a = in.base + p * in_plane_,
                      .a_rs = in_ld_,
                      .a_cs = 1,
                      .b = weights + p * kernel_plane_ + c * s_.k,
                      .c = sums.base + p * out_plane_,
                      .c_ld = out_ld_,
                      .count = side_,
                      .a_step = in_plane_,
                      .b_step = kernel_plane_,
                      .c_step = out_plane_,
                      .ahead = ahead});
        }
        const int64_t at = group * s_.n + c;
        WinogradEpilogue part_e = e;
        if (e.bias != nullptr) part_e.bias += at;
        if (e.add != nullptr) part_e.add += at;
        winograd_output(plan_.m, sums, s_.other, first, count, n, y + at, part_e);
        if (!back_ && g_.epilogue.act != Epilogue::Act::None && !e.relu) activate(first, count, n, y + at);
      }
    }
  }

  // What the loops do not know, on the pixels of a run of tiles.
  void activate(int64_t first, int64_t count, int64_t channels, float* y) const {
    Epilogue act = g_.epilogue;
    act.bias = act.add = false;
    while (count > 0) {
      const int64_t line = first / s_.other.columns, from = first % s_.other.columns, n = std::min(count, s_.other.columns - from);
      const int64_t image = line / s_.other.rows, row = line % s_.other.rows * plan_.m, column = from * plan_.m;
      const int64_t pixels = std::min(s_.other.width, (from + n) * plan_.m) - column;
      for (int64_t r = row; r < std::min(s_.other.height, row + plan_.m); ++r) {
        apply_epilogue(act, DType::Float32, y + ((image * s_.other.height + r) * s_.other.width + column) * s_.other.pixel, nullptr,
                       nullptr, pixels, channels, s_.other.pixel);
      }
      first += n, count -= n;
    }
  }

  ConvGeometry g_;
  bool back_, prepared_ = false, streams_ = false, far_ = false;
  WinogradPlan plan_;
  Sides s_;
  int64_t lanes_, strip_;
  int side_, points_;
  int64_t width_, kernel_plane_, in_ld_, in_plane_, out_ld_, out_plane_;
  int64_t units_ = 1, slot_ = 0;
  int slots_ = 1;
  std::string text_;
};

// The kernel's gradient: per point, tiles of x, transposed, times tiles of dy. Each piece of the tiles has sums of its own, which are
// added in order, so that bits do not depend on the threads.
class WinogradFilter final : public engine::Kernel {
 public:
  WinogradFilter(const ConvGeometry& g, const WinogradPlan& plan)
      : g_(g),
        plan_(plan),
        s_(sides(g, ConvPass::BackwardFilter, plan.m)),
        lanes_(winograd_lanes()),
        strip_(strip_columns()),
        side_(plan.m + 2),
        points_(side_ * side_),
        width_(round_up(s_.n, lanes_)),
        sum_plane_(plane_size(s_.k * width_)),
        in_ld_(round_up(s_.k, lanes_)),
        in_plane_(plane_size(plan.block * in_ld_)),
        out_ld_(std::min(round_up(ceil_div(ceil_div(s_.n, strip_), plan.slices) * strip_, lanes_), width_)),
        out_plane_(plane_size(plan.block * out_ld_)) {
    units_ = g_.groups * plan_.pieces * plan_.slices;
    slots_ = static_cast<int>(std::min<int64_t>(units_, num_threads()));
    streams_ = streams(g_);
    zeros_ = std::max(in_ld_, out_ld_);
    slot_ = zeros_ + points_ * (in_plane_ + out_plane_);
    text_ = "conv backward filter by " + form(plan_.m) + ", " + std::to_string(plan_.pieces) + " pieces of tiles by " +
            std::to_string(plan_.slices) + " of channels, blocks of " + std::to_string(plan_.block);
  }
  size_t scratch_bytes() const override { return floats(g_.groups * plan_.pieces * points_ * sum_plane_ + slot_ * slots_); }
  const char* describe() const override { return text_.c_str(); }

  void run(void* const* in, void* const* out, void* scratch) const override {
    float* sums = static_cast<float*>(scratch);
    const int64_t step = points_ * sum_plane_;
    float* slots = sums + g_.groups * plan_.pieces * step;
    parallel_for_slots(units_, 1, slots_, [&](int64_t begin, int64_t end, int slot) {
      float* zeros = slots + slot * slot_;
      std::memset(zeros, 0, floats(zeros_));
      for (int64_t u = begin; u < end; ++u) {
        const int64_t group = u / plan_.slices / plan_.pieces, piece = u / plan_.slices % plan_.pieces;
        unit(group, piece, u % plan_.slices, static_cast<const float*>(in[0]), static_cast<const float*>(in[1]),
             sums + (group * plan_.pieces + piece) * step, zeros);
      }
    });
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / (s_.n * plan_.pieces));
    parallel_for(g_.groups * s_.k, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t group = r / s_.k, c = r % s_.k;
        winograd_kernel_gradient(plan_.m, sums + group * plan_.pieces * step + c * width_, plan_.pieces, step, sum_plane_, s_.n,
                                 static_cast<float*>(out[0]) + c * g_.o + group * s_.n, s_.k * g_.o);
      }
    });
  }

 private:
  void unit(int64_t group, int64_t piece, int64_t slice, const float* x, const float* dy, float* sums, float* zeros) const {
    const WinogradPlanes in{zeros + zeros_, in_plane_, in_ld_}, gradients{in.base + points_ * in_plane_, out_plane_, out_ld_};
    const Range tiles = part_of(s_.tiles, plan_.pieces, piece, 1), channels = part_of(s_.n, plan_.slices, slice, strip_);
    const int64_t n = channels.end - channels.begin, blocks = std::max<int64_t>(1, ceil_div(tiles.end - tiles.begin, plan_.block));
    if (n == 0) return;
    for (int64_t b = 0; b < blocks; ++b) {
      const Range part = part_of(tiles.end - tiles.begin, blocks, b, 1);
      const int64_t first = tiles.begin + part.begin, count = part.end - part.begin;
      winograd_input(plan_.m, x + group * s_.k, s_.read, first, count, s_.k, zeros, in);
      winograd_gradient(plan_.m, dy + group * s_.n + channels.begin, s_.other, first, count, n, zeros, gradients);
      const Range next = streams_ && b + 1 < blocks ? part_of(tiles.end - tiles.begin, blocks, b + 1, 1) : Range{0, 0};
      for (int p = 0; p < points_; p += side_) {
        if (next.begin < next.end) {
          const Range ahead = part_of(next.end - next.begin, side_, p / side_, 1);
          const int64_t from = tiles.begin + next.begin + ahead.begin;
          winograd_prefetch(plan_.m, x + group * s_.k, s_.read, from, ahead.end - ahead.begin, s_.k);
          winograd_prefetch(plan_.m, dy + group * s_.n + channels.begin, s_.other, from, ahead.end - ahead.begin, n);
        }
        strip_gemm({.m = s_.k,
                    .n = round_up(n, lanes_),
                    .k = count,
                    .a = in.base + p * in_plane_,
                    .a_rs = 1,
                    .a_cs = in_ld_,
                    .b = gradients.base + p * out_plane_,
                    .b_ld = out_ld_,
                    .c = sums + p * sum_plane_ + channels.begin,
                    .c_ld = width_,
                    .add = b > 0,
                    .count = side_,
                    .a_step = in_plane_,
                    .b_step = out_plane_,
                    .c_step = sum_plane_});
      }
    }
  }

  ConvGeometry g_;
  WinogradPlan plan_;
  Sides s_;
  int64_t lanes_, strip_;
  int side_, points_;
  int64_t width_, sum_plane_, in_ld_, in_plane_, out_ld_, out_plane_;
  int64_t units_ = 1, zeros_ = 0, slot_ = 0;
  int slots_ = 1;
  bool streams_ = false;
  std::string text_;
};

// ---------------------------------------------------------------------------------------------------------------- what it costs

// In multiply-adds of a vector, of which the CPUs at hand start two a cycle; the proportions were measured with bench/conv_bench.cpp on
// AVX-512 and hold about for AVX2. Per tile and vector of channels, or per row and vector of a kernel:
struct Costs {
  double input, output, gradient, kernel, kernel_back, kernel_gradient;
};
constexpr Costs kCosts4{250, 230, 230, 220, 800, 260}, kCosts2{100, 95, 95, 120, 700, 120};
constexpr double kPanel = 128;        // a panel of rows through a strip, beside its multiply-adds
constexpr double kUnit = 2000;        // a unit of work
constexpr double kWake = 50e3;        // a second thread
constexpr double kPerFarByte = 0.25;  // what comes from memory, while products are at work or not

double far(double bytes) { return bytes > static_cast<double>(kNear) ? bytes * kPerFarByte : 0; }

// Forms are compared, and sums over tiles cut, for so many threads whatever there are: bits depend on neither.
int64_t reference_threads(ConvPass pass) { return pass == ConvPass::BackwardFilter ? 4 : 2; }

double products(double m, double k, double n) {
  const double lanes = static_cast<double>(winograd_lanes()), vectors = std::ceil(n / lanes), strips = std::ceil(vectors / 2),
               panels = std::ceil(m / (lanes > 8 ? 14 : 6));
  return std::max(m * vectors, 8 * panels * strips) * k + kPanel * panels * strips;
}

WinogradPlan plan_conv(const ConvGeometry& g, ConvPass pass, bool kept, int m, int64_t thread_count) {
  const Sides s = sides(g, pass, m);
  const Costs& cost = m == 4 ? kCosts4 : kCosts2;
  const double points = winograd_points(m), lanes = static_cast<double>(winograd_lanes()), threads = static_cast<double>(thread_count);
  const double k = static_cast<double>(s.k), k_vectors = std::ceil(k / lanes), all_vectors = std::ceil(static_cast<double>(s.n) / lanes);
  const double kernel_bytes = 4 * points * k * static_cast<double>(s.n);
  WinogradPlan best;
  best.m = m;
  best.columns = std::max<int64_t>(64, strip_columns());
  const int64_t most = kernel_bytes >= static_cast<double>(8 * kNear) ? 96 : 48;
  for (int64_t slices = 1; slices <= std::min(thread_count, ceil_div(s.n, strip_columns())); ++slices) {
    for (const int64_t per_thread : {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}, int64_t{8}}) {
      const int64_t pieces = std::max<int64_t>(1, per_thread * thread_count / slices);
      if (pieces > s.tiles) continue;
      const int64_t tiles = ceil_div(s.tiles, pieces), blocks = ceil_div(tiles, most);
      const double t = static_cast<double>(tiles), n = std::ceil(all_vectors / static_cast<double>(slices)) * lanes,
                   block = std::ceil(t / static_cast<double>(blocks));
      // The kernel comes while products are at work. One that was kept has been driven out of the caches by other layers.
      const double share = kernel_bytes / static_cast<double>(slices), work = points * products(block, k, n);
      const double unit = static_cast<double>(blocks - 1) * std::max(work, far(share)) +
                          std::max(work, kept ? share * kPerFarByte : far(share)) + t * (k_vectors * cost.input + n / lanes * cost.output) +
                          kUnit;
      const double units = static_cast<double>(g.groups * pieces * slices);
      // Threads end at different times: the shorter the last unit, the better.
      const double total = unit * std::ceil(units / threads) + (units > 1 && threads > 1 ? kWake + 0.1 * unit : 0);
      if (best.block != 0 && total >= best.cost) continue;
      best.block = ceil_div(tiles, blocks), best.pieces = pieces, best.slices = slices, best.cost = total;
    }
  }
  if (!kept) {
    const double rows = k * all_vectors * static_cast<double>(g.groups), bytes = kernel_bytes * static_cast<double>(g.groups);
    best.cost += (rows * (pass == ConvPass::BackwardInput ? cost.kernel_back : cost.kernel) + 2 * far(bytes)) / threads;
  }
  return best;
}

WinogradPlan plan_filter(const ConvGeometry& g, int m) {
  const Sides s = sides(g, ConvPass::BackwardFilter, m);
  const Costs& cost = m == 4 ? kCosts4 : kCosts2;
  const double points = winograd_points(m), lanes = static_cast<double>(winograd_lanes()),
               threads = static_cast<double>(reference_threads(ConvPass::BackwardFilter));
  const double k = static_cast<double>(s.k), k_vectors = std::ceil(k / lanes), all_vectors = std::ceil(static_cast<double>(s.n) / lanes);
  WinogradPlan best;
  best.m = m;
  constexpr int64_t kBlock = 64;
  for (const int64_t slices : {1, 2, 4, 8}) {
    if (slices > ceil_div(s.n, strip_columns())) break;
    for (const int64_t pieces : {1, 2, 4, 8}) {
      if (pieces > s.tiles || pieces * slices > 8) break;
      const int64_t tiles = ceil_div(s.tiles, pieces), blocks = ceil_div(tiles, kBlock);
      const double t = static_cast<double>(tiles), n = std::ceil(all_vectors / static_cast<double>(slices)) * lanes,
                   block = std::ceil(t / static_cast<double>(blocks));
      // The sums come and go with every block.
      const double sums = 4 * points * k * n;
      const double unit = static_cast<double>(blocks) * (points * products(k, block, n) + sums * 0.06 + far(sums)) +
                          t * (k_vectors * cost.input + n / lanes * cost.gradient) + kUnit;
      const double units = static_cast<double>(g.groups * pieces * slices),
                   all = 4 * points * k * all_vectors * lanes * static_cast<double>(g.groups);
      const double combine = k * all_vectors * static_cast<double>(g.groups) * cost.kernel_gradient +
                             static_cast<double>(pieces) * all * 0.1 + far(static_cast<double>(pieces) * all);
      const double total = unit * std::ceil(units / threads) + combine / threads + (units > 1 ? kWake : 0);
      if (best.block != 0 && total >= best.cost) continue;
      best.block = ceil_div(tiles, blocks), best.pieces = pieces, best.slices = slices, best.cost = total;
    }
  }
  return best;
}

}  // namespace

bool winograd_can(const ConvGeometry& g) {
  if (g.dtype != DType::Float32 || g.rank != 2) return false;
  for (size_t i = 1; i < 3; ++i) {
    if (g.kernel[i] != 3 || g.stride[i] != 1 || g.dilation[i] != 1) return false;
  }
  return true;
}

WinogradPlan plan_winograd(const ConvGeometry& g, ConvPass pass, bool kept, int m) {
  WinogradPlan best;
  if (!winograd_can(g)) return best;
  for (const int form : {4, 2}) {
    if (m != 0 && m != form) continue;
    const WinogradPlan p =
        pass == ConvPass::BackwardFilter ? plan_filter(g, form) : plan_conv(g, pass, kept, form, reference_threads(pass));
    if (best.m == 0 || p.cost < best.cost) best = p;
  }
  if (pass == ConvPass::BackwardFilter || num_threads() == reference_threads(pass)) return best;
  const double cost = best.cost;
  best = plan_conv(g, pass, kept, best.m, num_threads());
  best.cost = cost;
  return best;
}

double direct_conv_cost(const ConvGeometry& g, ConvPass pass, bool kept) {
  const Sides s = sides(g, pass, 2);
  const bool forward = pass == ConvPass::Forward;
  const double share = forward ? 0.97 : pass == ConvPass::BackwardInput ? 0.91 : 0.8;  // of the peak
  const double pixels = static_cast<double>(g.n * (pass == ConvPass::BackwardInput ? g.in_pixels() : g.out_pixels()) * g.groups);
  const double vectors = std::ceil(static_cast<double>(s.n) / static_cast<double>(winograd_lanes()));
  const double bytes = 4.0 * static_cast<double>(g.weights());
  return pixels * vectors * (9.0 * static_cast<double>(s.k) + (forward ? 5 : 0)) / share / static_cast<double>(reference_threads(pass)) +
         (kept ? bytes * kPerFarByte : far(bytes) + bytes * (forward ? 0.5 : 1));
}

engine::KernelPtr make_winograd_conv(const ConvGeometry& g, ConvPass pass, const WinogradPlan& plan) {
  if (pass == ConvPass::BackwardFilter) return std::make_unique<WinogradFilter>(g, plan);
  return std::make_unique<WinogradConv>(g, pass, plan);
}

}  // namespace keras::cpu
