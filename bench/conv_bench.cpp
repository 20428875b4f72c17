// What lives here: 3×3 convolutions of stride 1 by each of their forms, pass by pass, in GF/s of the direct form's arithmetic: what the rule
// in cpu/winograd.cpp is measured by; and first layers, with bias and relu. A label tells how a form is cut and what the rule expects of it
// on two threads (backward filter: four), in milliseconds of a core that starts 7.3e9 multiply-adds of vectors a second (a Zen 5); a star
// marks what the rule takes. Kept kernels are transformed before the clock starts, and there are so many copies in turn that each comes
// from memory, as it does where other layers work between two uses.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu/thin_conv.h"
#include "cpu/thread_pool.h"
#include "cpu/winograd.h"

namespace keras::cpu {
namespace {

struct Memory {
  explicit Memory(size_t bytes) {
    bytes = (bytes + kPage) / kPage * kPage;
    p = std::aligned_alloc(kPage, bytes);
#if defined(__linux__)
    madvise(p, bytes, MADV_HUGEPAGE);  // as the arena of an executable is
#endif
    float* f = static_cast<float*>(p);
    for (size_t i = 0; i < bytes / sizeof(float); ++i) f[i] = static_cast<float>(i * 2654435761u % 1000) * 2e-3f - 1;
  }
  Memory(const Memory&) = delete;
  ~Memory() { std::free(p); }
  static constexpr size_t kPage = 2 << 20;
  void* p;
};

ConvGeometry geometry(const benchmark::State& state) {
  ConvGeometry g;
  const int64_t side = state.range(1), pad = state.range(4);
  g.rank = 2, g.n = state.range(0), g.c = state.range(2), g.o = state.range(3);
  g.in = {1, side, side}, g.kernel = {1, 3, 3}, g.lo = g.hi = {0, pad, pad};
  g.out = {1, side + 2 * pad - 2, side + 2 * pad - 2};
  return g;
}

enum Form { Direct = 0, Thin = 1, Tiles2 = 2, Tiles4 = 4 };

void convolution(benchmark::State& state, ConvPass pass, Form form, bool kept, bool whole_layer = false) {
  set_num_threads(static_cast<int>(state.range(5)));
  ConvGeometry g = geometry(state);
  if (whole_layer) g.epilogue = {.bias = true, .act = Epilogue::Act::Relu};
  const bool direct_form = form == Direct || form == Thin;
  const WinogradPlan best = plan_winograd(g, pass, kept), plan = direct_form ? WinogradPlan{} : plan_winograd(g, pass, kept, form);
  const double direct = direct_conv_cost(g, pass, kept), cost = direct_form ? direct : plan.cost;
  const bool thin = pass == ConvPass::Forward && thin_conv_pays(g);
  const bool taken = form == Thin ? thin : thin ? false : form == Direct ? direct <= best.cost : best.m == form && best.cost < direct;
  const auto kernel = form == Thin ? make_thin_conv(g) : form == Direct ? make_dnnl_conv(g, pass) : make_winograd_conv(g, pass, plan);
  if (kernel == nullptr) return state.SkipWithError("no such kernel for these channels");
  const size_t x = sizeof(float) * static_cast<size_t>(g.n * g.in_pixels() * g.c),
               y = sizeof(float) * static_cast<size_t>(g.n * g.out_pixels() * g.o), w = sizeof(float) * static_cast<size_t>(g.weights());
  const bool forward = pass == ConvPass::Forward, filter = pass == ConvPass::BackwardFilter;
  const Memory first(forward || filter ? x : y), second(filter ? y : w), out(forward ? y : filter ? w : x);
  const size_t form_bytes = kept ? kernel->prepared_bytes(1) : 0;
  if (form_bytes > 0) kernel->take_prepared(1);
  const Memory scratch(kernel->scratch_bytes());
  constexpr size_t kAllCopies = 96 << 20, kMostCopies = 48;
  std::vector<std::unique_ptr<Memory>> copies;
  for (size_t i = 0; form_bytes > 0 && i < std::clamp<size_t>(kAllCopies / form_bytes, 2, kMostCopies); ++i) {
    copies.push_back(std::make_unique<Memory>(form_bytes));
    kernel->prepare(1, second.p, copies.back()->p, scratch.p);
  }
  const Memory bias(sizeof(float) * static_cast<size_t>(g.o));
  void* in[] = {first.p, second.p, bias.p};
  void* to[] = {out.p};
  size_t turn = 0;
  for (auto _ : state) {
    if (!copies.empty()) in[1] = copies[turn++ % copies.size()]->p;
    kernel->run(in, to, scratch.p);
  }
  state.counters["GF/s"] = benchmark::Counter(g.flops() * static_cast<double>(g.n) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  char text[64];
  std::snprintf(text, sizeof text, "%s%.3f ms, ", taken ? "* " : "", cost / 7.3e6);
  state.SetLabel(text + std::string(kernel->describe()));
}

// ResNet-50's, ResNet-20's and small networks' layers, then odd ones.
void shapes(benchmark::internal::Benchmark* b) {
  for (const int64_t threads : {1, 2}) {
    for (const auto& [n, side, c, o, pad] : {std::array<int64_t, 5>{1, 56, 64, 64, 1},
                                             {1, 28, 128, 128, 1},
                                             {1, 14, 256, 256, 1},
                                             {1, 7, 512, 512, 1},
                                             {8, 56, 64, 64, 1},
                                             {8, 28, 128, 128, 1},
                                             {8, 14, 256, 256, 1},
                                             {8, 7, 512, 512, 1},
                                             {128, 32, 16, 16, 1},
                                             {128, 16, 32, 32, 1},
                                             {128, 8, 64, 64, 1},
                                             {1, 26, 32, 64, 0},
                                             {64, 26, 32, 64, 0},
                                             {1, 112, 128, 128, 1},
                                             {4, 33, 40, 50, 1},
                                             {32, 10, 8, 8, 1},
                                             {128, 28, 1, 32, 0},
                                             {128, 32, 3, 16, 1},
                                             {16, 64, 64, 3, 1}}) {
      b->Args({n, side, c, o, pad, threads});
    }
  }
  b->ArgNames({"n", "side", "c", "o", "pad", "threads"})->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(0.05);
}

#define KERAS_CONV_FORMS(NAME, PASS, KEPT)                                             \
  BENCHMARK_CAPTURE(convolution, NAME##_direct, PASS, Direct, KEPT)->Apply(shapes);    \
  BENCHMARK_CAPTURE(convolution, NAME##_winograd2, PASS, Tiles2, KEPT)->Apply(shapes); \
  BENCHMARK_CAPTURE(convolution, NAME##_winograd4, PASS, Tiles4, KEPT)->Apply(shapes)
KERAS_CONV_FORMS(kept, ConvPass::Forward, true);
KERAS_CONV_FORMS(forward, ConvPass::Forward, false);
KERAS_CONV_FORMS(backward_input, ConvPass::BackwardInput, false);
KERAS_CONV_FORMS(backward_filter, ConvPass::BackwardFilter, false);
#undef KERAS_CONV_FORMS

void first_layers(benchmark::internal::Benchmark* b) {
  for (const auto& [n, side, c, o, pad] :
       {std::array<int64_t, 5>{1, 28, 1, 32, 0}, {64, 28, 1, 32, 0}, {128, 32, 3, 16, 1}, {8, 128, 3, 64, 1}, {64, 32, 4, 16, 1}})
    b->Args({n, side, c, o, pad, 1});
  b->ArgNames({"n", "side", "c", "o", "pad", "threads"})->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(0.05);
}
BENCHMARK_CAPTURE(convolution, first_layer_direct, ConvPass::Forward, Direct, true, true)->Apply(first_layers);
BENCHMARK_CAPTURE(convolution, first_layer_thin, ConvPass::Forward, Thin, true, true)->Apply(first_layers);

}  // namespace
}  // namespace keras::cpu

BENCHMARK_MAIN();
