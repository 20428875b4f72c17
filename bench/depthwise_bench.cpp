// What lives here: micro benchmarks of depthwise convolutions, forward and both gradients, beside oneDNN's. Not a test: it checks nothing.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "cpu/conv_plan.h"
#include "cpu/depthwise.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

struct Buffer {
  explicit Buffer(size_t n) : p(static_cast<float*>(std::aligned_alloc(64, (n * 4 + 127) / 64 * 64))) {
    for (size_t i = 0; i < n; ++i) p[i] = static_cast<float>(std::sin(static_cast<double>(i % 9973) * 0.7));
  }
  Buffer(const Buffer&) = delete;
  ~Buffer() { std::free(p); }
  float* p;
};

// Images, size, channels, kernel, stride, threads.
void depthwise(benchmark::State& state, bool ours, ConvPass pass) {
  const int64_t size = state.range(1), k = state.range(3), s = state.range(4);
  set_num_threads(static_cast<int>(state.range(5)));
  ConvGeometry g;
  g.rank = 2, g.n = state.range(0), g.c = g.o = g.groups = state.range(2);
  g.in = {1, size, size}, g.kernel = {1, k, k}, g.stride = {1, s, s};
  for (size_t i = 1; i < 3; ++i) {
    g.out[i] = (size + s - 1) / s;
    const int64_t pad = std::max<int64_t>(0, (g.out[i] - 1) * s + k - size);
    g.lo[i] = pad / 2, g.hi[i] = pad - pad / 2;
  }
  const bool forward = pass == ConvPass::Forward;
  if (forward) g.epilogue = {.bias = true, .act = Epilogue::Act::Relu6};
  const auto kernel = ours ? make_depthwise_conv(g, pass) : make_dnnl_conv(g, pass);
  const size_t nx = static_cast<size_t>(g.n * g.in_pixels() * g.c), ny = static_cast<size_t>(g.n * g.out_pixels() * g.o);
  Buffer x(nx), y(ny), w(static_cast<size_t>(g.weights())), bias(static_cast<size_t>(g.o)), scratch(kernel->scratch_bytes() / 4 + 16);
  void* in[] = {pass == ConvPass::BackwardInput ? y.p : x.p, pass == ConvPass::BackwardFilter ? y.p : w.p, bias.p};
  void* out[] = {forward ? y.p : pass == ConvPass::BackwardInput ? x.p : w.p};
  for (auto _ : state) {
    kernel->run(in, out, scratch.p);
    benchmark::ClobberMemory();
  }
  state.counters["GF/s"] = benchmark::Counter(1e-9 * g.flops() * static_cast<double>(g.n * state.iterations()), benchmark::Counter::kIsRate);
  state.SetLabel(kernel->describe());
}

void sizes(benchmark::internal::Benchmark* b) {
  for (const int64_t threads : {1, 2}) {
    for (const auto& s : std::vector<std::vector<int64_t>>{{1, 112, 32, 3, 1}, {1, 112, 96, 3, 2}, {1, 56, 144, 3, 1}, {1, 28, 192, 3, 1}, {1, 14, 576, 3, 1}, {1, 14, 576, 3, 2},
                                                           {1, 7, 960, 3, 1}, {1, 28, 240, 5, 1}, {8, 56, 144, 3, 1}, {1, 56, 96, 7, 1}, {4, 28, 72, 5, 2}})
      b->Args({s[0], s[1], s[2], s[3], s[4], threads});
  }
  b->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(depthwise, forward, true, ConvPass::Forward)->Apply(sizes);
BENCHMARK_CAPTURE(depthwise, forward_dnnl, false, ConvPass::Forward)->Apply(sizes);
BENCHMARK_CAPTURE(depthwise, backward_input, true, ConvPass::BackwardInput)->Apply(sizes);
BENCHMARK_CAPTURE(depthwise, backward_input_dnnl, false, ConvPass::BackwardInput)->Apply(sizes);
BENCHMARK_CAPTURE(depthwise, backward_filter, true, ConvPass::BackwardFilter)->Apply(sizes);
BENCHMARK_CAPTURE(depthwise, backward_filter_dnnl, false, ConvPass::BackwardFilter)->Apply(sizes);

}  // namespace
}  // namespace keras::cpu
