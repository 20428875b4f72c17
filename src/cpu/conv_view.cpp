// What lives here: the phases of conv_view.h, and how kernels and gradients are laid out in strips.
#include "cpu/conv_view.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "cpu/dot_gemm.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

// Input i is reached from output q by tap k where i + lo = q stride + k dilation: the phase of the inputs that are at + j stride.
ConvPhase input_phase(const ConvGeometry& g, const std::array<int64_t, 3>& at) {
  ConvPhase p;
  p.at = at;
  p.view.in = g.out, p.view.pixel = g.o, p.view.channels = g.group_out();
  for (size_t a = 0; a < 3; ++a) {
    const int64_t s = g.stride[a], d = g.dilation[a], period = s / std::gcd(s, d), from = at[a] + g.lo[a];
    p.view.out[a] = g.in[a] > at[a] ? conv_ceil_div(g.in[a] - at[a], s) : 0;
    int64_t last = 0, count = 0;
    for (int64_t k = 0; k < g.kernel[a]; ++k) {
      if ((from - k * d) % s == 0) last = k, ++count;
    }
    p.view.taps[a] = count;
    p.view.tap_step[a] = period * d / s;
    p.view.first[a] = count == 0 ? 0 : (from - last * d) / s;
    p.weight_at[a] = last, p.weight_step[a] = -period;
  }
  return p;
}

// With few channels most of a phase's vectors are empty. Then output pixels that follow each other, one of each phase of the last axis, are one
// pixel of that many more channels, whose taps are those that any of them has, with zeros in the kernel where one has not.
ConvPhase merged_phase(const ConvGeometry& g, const std::array<int64_t, 3>& at, int64_t pixels, int64_t count) {
  ConvPhase p = input_phase(g, at);
  const int64_t s = g.stride[2], from = at[2] + g.lo[2], least = from - (g.kernel[2] - 1), most = from + pixels - 1;
  const auto floor_div = [](int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); };
  p.merged = pixels;
  p.view.out[2] = count;
  p.view.first[2] = floor_div(least + s - 1, s);
  p.view.taps[2] = std::max<int64_t>(0, floor_div(most, s) - p.view.first[2] + 1);
  p.view.tap_step[2] = 1;
  return p;
}
bool merging_pays(const ConvGeometry& g, int64_t strip) {
  if (g.groups != 1 || g.dilation[2] != 1 || g.stride[2] == 1 || g.in[2] < g.stride[2]) return false;
  const int64_t lanes = std::max<int64_t>(1, strip / 2), s = g.stride[2];
  return merged_phase(g, {0, 0, 0}, s, 1).view.taps[2] * conv_ceil_div(s * g.c, lanes) <= g.kernel[2] * conv_ceil_div(g.c, lanes);
}

// Strip s of a group's transposed kernel, tap by tap.
void pack_back(const ConvPhases& c, const ConvPhase& p, const float* w, int64_t s, float* to) {
  const ConvGeometry& g = c.g;
  const int64_t k = g.group_out(), columns = std::min(c.strip, p.n - s * c.strip);
  for (int64_t a = 0; a < p.view.taps[0]; ++a) {
    for (int64_t b = 0; b < p.view.taps[1]; ++b) {
      for (int64_t e = 0; e < p.view.taps[2]; ++e, to += k * c.strip) {
        const int64_t tap = ((p.weight_at[0] + a * p.weight_step[0]) * g.kernel[1] + p.weight_at[1] + b * p.weight_step[1]) * g.kernel[2] +
                            p.weight_at[2] + e * p.weight_step[2];
        gemm_pack(DType::Float32, k, columns, w + (tap * c.n + s * c.strip) * g.o, 1, g.o, to);
      }
    }
  }
}

void pack_merged(const ConvPhases& c, const ConvPhase& p, const float* w, int64_t s, float* to) {
  const ConvGeometry& g = c.g;
  const int64_t columns = std::min(c.strip, p.n - s * c.strip);
  for (int64_t a = 0; a < p.view.taps[0]; ++a) {
    for (int64_t b = 0; b < p.view.taps[1]; ++b) {
      const int64_t row = (p.weight_at[0] + a * p.weight_step[0]) * g.kernel[1] + p.weight_at[1] + b * p.weight_step[1];
      for (int64_t e = 0; e < p.view.taps[2]; ++e, to += g.o * c.strip) {
        std::fill(to, to + g.o * c.strip, 0.0f);
        for (int64_t j = 0; j < columns; ++j) {
          const int64_t pixel = (s * c.strip + j) / g.c, channel = (s * c.strip + j) % g.c;
          const int64_t tap = p.at[2] + pixel + g.lo[2] - (p.view.first[2] + e) * g.stride[2];
          if (tap < 0 || tap >= g.kernel[2]) continue;
          const float* from = w + ((row * g.kernel[2] + tap) * g.c + channel) * g.o;
          for (int64_t o = 0; o < g.o; ++o) to[o * c.strip + j] = from[o];
        }
      }
    }
  }
}

}  // namespace

ConvView forward_view(const ConvGeometry& g) {
  return {g.in, g.out, g.stride, {-g.lo[0], -g.lo[1], -g.lo[2]}, g.kernel, g.dilation, g.c, g.group_in()};
}

ConvPhases::ConvPhases(const ConvGeometry& geometry, ConvPass pass)
    : g(geometry),
      back(pass == ConvPass::BackwardInput),
      n(back ? g.group_in() : g.group_out()),
      strip(gemm_strip(DType::Float32)),
      out_pixel(back ? g.c : g.o),
      size(back ? g.in : g.out) {
  if (back) {
    every = g.stride;
    const bool merges = merging_pays(g, strip);
    const int64_t whole = g.in[2] / every[2], rest = g.in[2] % every[2];
    std::array<int64_t, 3> at{0, 0, 0};
    for (at[0] = 0; at[0] < std::min(every[0], g.in[0]); ++at[0]) {
      for (at[1] = 0; at[1] < std::min(every[1], g.in[1]); ++at[1]) {
        if (merges) {
          at[2] = 0;
          phases.push_back(merged_phase(g, at, every[2], whole));
          at[2] = whole * every[2];
          if (rest > 0) phases.push_back(merged_phase(g, at, rest, 1));
          continue;
        }
        for (at[2] = 0; at[2] < std::min(every[2], g.in[2]); ++at[2]) phases.push_back(input_phase(g, at));
      }
    }
  } else {
    phases.push_back({});
    phases[0].view = forward_view(g);
  }
  for (ConvPhase& p : phases) {
    p.n = n * std::max<int64_t>(1, p.merged);
    p.strips = conv_ceil_div(p.n, strip);
    p.depth = p.view.depth();
    p.weights = weights;
    weights += p.depth * p.strips * strip;
    flops += 2.0 * static_cast<double>(g.n * p.view.pixels() * g.groups) * static_cast<double>(p.depth * p.n);
  }
}

size_t ConvPhases::packed_bytes() const { return static_cast<size_t>(conv_lines(weights * g.groups)) * sizeof(float); }

void ConvPhases::pack(const float* w, float* to) const {
  int64_t all = 0;
  for (const ConvPhase& p : phases) all += g.groups * p.strips;
  const int64_t grain = conv_ceil_div(all << 14, std::max<int64_t>(1, weights * g.groups));
  parallel_for(all, grain, [&](int64_t begin, int64_t end) {
    for (const ConvPhase& p : phases) {
      const int64_t mine = g.groups * p.strips, until = std::min(end, mine);
      for (int64_t i = std::max<int64_t>(begin, 0); i < until && p.depth > 0;) {
        const int64_t group = i / p.strips, first = i % p.strips, last = std::min(p.strips, first + until - i);
        float* at = to + group * weights + p.weights + first * strip * p.depth;
        if (!back) gemm_pack(DType::Float32, p.depth, std::min(n, last * strip) - first * strip, w + group * n + first * strip, g.o, 1, at);
        for (int64_t s = first; back && s < last; ++s, at += strip * p.depth) {
          if (p.merged > 0) pack_merged(*this, p, w, s, at);
          else pack_back(*this, p, w + group * g.group_out(), s, at);
        }
        i += last - first;
      }
      begin -= mine, end -= mine;
    }
  });
}

void pack_gradient(const float* dy, int64_t pixel, int64_t count, int64_t n, int64_t strip, float* to) {
  const size_t bytes = static_cast<size_t>(strip) * sizeof(float);
  for (int64_t s = 0; s < n; s += strip, to += strip * count) {
    if (strip == 16 && n - s >= strip) {
      for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * strip, dy + i * pixel + s, 64);
    } else if (n - s >= strip) {
      for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * strip, dy + i * pixel + s, bytes);
    } else {
      const int64_t columns = n - s;
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t j = 0; j < columns; ++j) to[i * strip + j] = dy[i * pixel + s + j];
        for (int64_t j = columns; j < strip; ++j) to[i * strip + j] = 0;
      }
    }
  }
}

void combine_gradients(float* sums, int64_t pieces, int64_t step, int64_t groups, int64_t depth, int64_t width, int64_t n, float* dw) {
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 14) / (width * pieces));
  parallel_for(groups * depth, grain, [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) {
      float* to = sums + begin * width;
      for (int64_t s = 1; s < pieces; ++s) {
        const float* from = to + s * step;
        for (int64_t j = 0; j < n; ++j) to[j] += from[j];
      }
      std::memcpy(dw + begin % depth * (groups * n) + begin / depth * n, to, static_cast<size_t>(n) * sizeof(float));
    }
  });
}

void StripConv::run(void* const* in, void* const* out, void* scratch) const {
  float* at = static_cast<float*>(scratch);
  const float* strips = static_cast<const float*>(in[1]);
  if (!prepared_) {
    c_.pack(strips, at);
    strips = at;
    at += c_.packed_bytes() / sizeof(float);
  }
  const Epilogue& e = c_.g.epilogue;
  const bool bias = !c_.back && e.bias;
  run_units({static_cast<const float*>(in[0]), strips, bias ? static_cast<const float*>(in[2]) : nullptr,
             !c_.back && e.add ? static_cast<const float*>(in[bias ? 3 : 2]) : nullptr, static_cast<float*>(out[0])},
            at);
}

void StripConv::describe_as(const char* how) {
  slots_ = static_cast<int>(std::min<int64_t>(units_, num_threads()));
  text_ = std::string("conv") + (c_.back ? " backward input" : "") + " by " + how + ", " + std::to_string(units_) + " pieces" +
          (c_.phases.size() > 1 ? " in " + std::to_string(c_.phases.size()) + " phases" : "");
}

}  // namespace keras::cpu
