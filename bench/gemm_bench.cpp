// What lives here: micro benchmarks of dense products: the forms that layers make of them (x W, with W kept in strips; x Wᵀ; xᵀ dy) and
// products of 1x1 convolutions, with their epilogues. Not a test: it checks nothing. CPU time of the calling thread is what to read on a busy machine.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cpu/dot.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

struct Buffer {
  explicit Buffer(size_t bytes) : p(static_cast<float*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64))) {
    for (size_t i = 0; i < bytes / 4; ++i) p[i] = static_cast<float>(std::sin(static_cast<double>(i % 9973) * 0.7));
  }
  Buffer(const Buffer&) = delete;
  ~Buffer() { std::free(p); }
  float* p;
};

enum Form { kNN, kKept, kNT, kTN };

void product(benchmark::State& state, Form form, Epilogue::Act act) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  set_num_threads(static_cast<int>(state.range(3)));
  DotDesc d;
  d.lhs = form == kTN ? Shape{k, m} : Shape{m, k}, d.rhs = form == kNT ? Shape{n, k} : Shape{k, n};
  d.lhs_contract = {form == kTN ? 0 : 1}, d.rhs_contract = {form == kNT ? 1 : 0};
  d.epilogue.bias = form == kKept, d.epilogue.act = act;
  const auto kernel = make_dot(d);
  Buffer a(static_cast<size_t>(m * k) * 4), b(static_cast<size_t>(k * n) * 4), c(static_cast<size_t>(m * n) * 4), bias(static_cast<size_t>(n) * 4);
  std::unique_ptr<Buffer> form_of_b;
  void* in[] = {a.p, b.p, bias.p};
  void* out[] = {c.p};
  if (form == kKept && kernel->prepared_bytes(1) > 0) {
    form_of_b = std::make_unique<Buffer>(kernel->prepared_bytes(1));
    kernel->take_prepared(1);
    Buffer scratch(kernel->scratch_bytes());
    kernel->prepare(1, b.p, form_of_b->p, scratch.p);
    in[1] = form_of_b->p;
  }
  Buffer scratch(kernel->scratch_bytes());
  for (auto _ : state) {
    kernel->run(in, out, scratch.p);
    benchmark::ClobberMemory();
  }
  state.counters["GF/s"] = benchmark::Counter(2e-9 * static_cast<double>(m * n * k * state.iterations()), benchmark::Counter::kIsRate);
  state.SetLabel(kernel->describe());
}

using Act = Epilogue::Act;
void sizes_of_layers(benchmark::internal::Benchmark* b) {
  for (const int64_t threads : {1, 2}) {
    for (const auto& s : std::vector<std::vector<int64_t>>{{1, 784, 128}, {32, 784, 128}, {256, 784, 128}, {256, 128, 10}, {256, 784, 2048}, {256, 2048, 2048},
                                                           {8, 1280, 1000}, {1, 1280, 1000}, {64, 512, 512}})
      b->Args({s[0], s[1], s[2], threads});
  }
  b->Unit(benchmark::kMicrosecond);
}
// 1x1 convolutions of MobileNetV2 and EfficientNet: pixels, channels, filters.
void sizes_of_pixels(benchmark::internal::Benchmark* b) {
  for (const int64_t threads : {1, 2}) {
    for (const auto& s : std::vector<std::vector<int64_t>>{{12544, 32, 16}, {12544, 16, 96}, {3136, 96, 24}, {3136, 24, 144}, {3136, 144, 24}, {784, 144, 32},
                                                           {784, 32, 192}, {784, 192, 32}, {196, 192, 64}, {196, 64, 384}, {196, 384, 64}, {196, 96, 576},
                                                           {196, 576, 96}, {49, 576, 160}, {49, 160, 960}, {49, 960, 160}, {49, 960, 320}, {49, 320, 1280}})
      b->Args({s[0], s[1], s[2], threads});
  }
  b->Unit(benchmark::kMicrosecond);
}
// Gradients of dense layers: x W of the forward pass, dy Wᵀ, xᵀ dy.
void sizes_of_gradients(benchmark::internal::Benchmark* b) {
  for (const int64_t threads : {1, 2}) {
    for (const auto& s : std::vector<std::vector<int64_t>>{{256, 2048, 2048}, {784, 256, 2048}, {2048, 256, 2048}, {784, 32, 128}, {512, 512, 512}})
      b->Args({s[0], s[1], s[2], threads});
  }
  b->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(product, kept_relu, kKept, Act::Relu)->Apply(sizes_of_layers);
BENCHMARK_CAPTURE(product, kept_gelu, kKept, Act::Gelu)->Apply(sizes_of_layers);
BENCHMARK_CAPTURE(product, kept_relu6, kKept, Act::Relu6)->Apply(sizes_of_pixels);
BENCHMARK_CAPTURE(product, plain, kNN, Act::None)->Apply(sizes_of_gradients);
BENCHMARK_CAPTURE(product, transposed_rhs, kNT, Act::None)->Apply(sizes_of_gradients);
BENCHMARK_CAPTURE(product, transposed_lhs, kTN, Act::None)->Apply(sizes_of_gradients);

}  // namespace
}  // namespace keras::cpu
