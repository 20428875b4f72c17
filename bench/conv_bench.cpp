// What lives here: 3×3 convolutions of stride 1 by each of their forms, pass by pass, in GF/s of the direct form's arithmetic: what the rule
// in cpu/winograd.cpp is measured by; first layers, with bias and relu; and convolutions of every other kind by oneDNN, by runs of pixels and by
// gathered pixels (general), what the rule in cpu/frame_conv.cpp is measured by. Of the first two a label tells how a form is cut and what the rule expects of it
// on two threads (backward filter: four), in milliseconds of a core that starts 7.3e9 multiply-adds of vectors a second (a Zen 5); a star
// marks what the rule takes. Kept kernels are transformed before the clock starts, and there are so many copies in turn that each comes
// from memory, as it does where other layers work between two uses.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu/direct_conv.h"
#include "cpu/frame_conv.h"
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

void measure(benchmark::State& state, const ConvGeometry& g, ConvPass pass, engine::Kernel* kernel, bool kept, const std::string& label) {
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
  state.SetLabel(label + std::string(kernel->describe()));
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
  char text[64];
  std::snprintf(text, sizeof text, "%s%.3f ms, ", taken ? "* " : "", cost / 7.3e6);
  measure(state, g, pass, kernel.get(), kept, text);
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

struct Layer {
  const char* name;
  int rank;
  int64_t n;
  std::array<int64_t, 3> in, kernel, stride, dilation;
  bool same;
  int64_t c, o, groups;
};
const Layer kLayers[] = {
    {"7x7 stride 2, 224, 3 to 64", 2, 1, {1, 224, 224}, {1, 7, 7}, {1, 2, 2}, {1, 1, 1}, true, 3, 64, 1},
    {"3x3 stride 2, 224, 3 to 32", 2, 8, {1, 224, 224}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, true, 3, 32, 1},
    {"3x3 stride 2, 56, 128", 2, 1, {1, 56, 56}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, true, 128, 128, 1},
    {"3x3 stride 2, 14, 512", 2, 1, {1, 14, 14}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, true, 512, 512, 1},
    {"1x1 stride 2, 56, 256 to 512", 2, 1, {1, 56, 56}, {1, 1, 1}, {1, 2, 2}, {1, 1, 1}, true, 256, 512, 1},
    {"3x3 dilation 2, 28, 64", 2, 4, {1, 28, 28}, {1, 3, 3}, {1, 1, 1}, {1, 2, 2}, true, 64, 64, 1},
    {"5x5, 14, 32 to 64", 2, 32, {1, 14, 14}, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, true, 32, 64, 1},
    {"5x5, 14, 6 to 16", 2, 32, {1, 14, 14}, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, false, 6, 16, 1},
    {"3x3, 32, 3 to 16", 2, 32, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, true, 3, 16, 1},
    {"3x3, 10, 8", 2, 32, {1, 10, 10}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, true, 8, 8, 1},
    {"3x3, 64, 64 to 3", 2, 4, {1, 64, 64}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, true, 64, 3, 1},
    {"3x3 in 32 groups, 28, 128", 2, 4, {1, 28, 28}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, true, 128, 128, 32},
    {"3x3 in 8 groups stride 2, 28, 128", 2, 4, {1, 28, 28}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, true, 128, 128, 8},
    {"1x7, 17, 128", 2, 4, {1, 17, 17}, {1, 1, 7}, {1, 1, 1}, {1, 1, 1}, true, 128, 128, 1},
    {"16x16 stride 16, 224, 3 to 192", 2, 1, {1, 224, 224}, {1, 16, 16}, {1, 16, 16}, {1, 1, 1}, false, 3, 192, 1},
    {"4x4 stride 2, 14, 64 to 128", 2, 16, {1, 14, 14}, {1, 4, 4}, {1, 2, 2}, {1, 1, 1}, true, 64, 128, 1},
    {"3x3 stride 2, 28, 1 to 32", 2, 32, {1, 28, 28}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, true, 1, 32, 1},
    {"5, 128, 64 to 128", 1, 32, {1, 1, 128}, {1, 1, 5}, {1, 1, 1}, {1, 1, 1}, true, 64, 128, 1},
    {"3, 400, 50 to 250", 1, 32, {1, 1, 400}, {1, 1, 3}, {1, 1, 1}, {1, 1, 1}, false, 50, 250, 1},
    {"80 stride 4, 8000, 1 to 32", 1, 8, {1, 1, 8000}, {1, 1, 80}, {1, 1, 4}, {1, 1, 1}, false, 1, 32, 1},
    {"3x3x3, 16, 16 to 32", 3, 2, {16, 16, 16}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, true, 16, 32, 1},
    {"3x3x3 stride 2, 16, 32 to 64", 3, 2, {16, 16, 16}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, true, 32, 64, 1},
};

enum General { ByOneDnn, ByRuns, ByGathering };
void general(benchmark::State& state, ConvPass pass, General form, bool kept) {
  set_num_threads(1);
  const Layer& l = kLayers[state.range(0)];
  ConvGeometry g;
  g.rank = l.rank, g.n = l.n, g.c = l.c, g.o = l.o, g.groups = l.groups, g.in = l.in, g.kernel = l.kernel, g.stride = l.stride,
  g.dilation = l.dilation;
  for (size_t a = 0; a < 3; ++a) {
    const int64_t window = (l.kernel[a] - 1) * l.dilation[a] + 1;
    g.out[a] = l.same ? (l.in[a] + l.stride[a] - 1) / l.stride[a] : (l.in[a] - window) / l.stride[a] + 1;
    const int64_t pad = l.same ? std::max<int64_t>(0, (g.out[a] - 1) * l.stride[a] + window - l.in[a]) : 0;
    g.lo[a] = pad / 2, g.hi[a] = pad - pad / 2;
  }
  if (pass == ConvPass::Forward) g.epilogue = {.bias = true, .act = Epilogue::Act::Relu};
  const auto kernel = form == ByOneDnn ? make_dnnl_conv(g, pass) : form == ByRuns ? make_frame_conv(g, pass) : make_direct_conv(g, pass);
  const bool taken = form != ByOneDnn && frame_conv_pays(g, pass) == (form == ByRuns);
  measure(state, g, pass, kernel.get(), kept, std::string(taken ? "* " : "") + l.name + ", ");
}
#define KERAS_GENERAL_FORMS(NAME, PASS, KEPT)                                                                                            \
  BENCHMARK_CAPTURE(general, NAME##_onednn, PASS, ByOneDnn, KEPT)->DenseRange(0, std::size(kLayers) - 1)->Unit(benchmark::kMicrosecond); \
  BENCHMARK_CAPTURE(general, NAME##_runs, PASS, ByRuns, KEPT)->DenseRange(0, std::size(kLayers) - 1)->Unit(benchmark::kMicrosecond);     \
  BENCHMARK_CAPTURE(general, NAME##_gathered, PASS, ByGathering, KEPT)->DenseRange(0, std::size(kLayers) - 1)->Unit(benchmark::kMicrosecond)
KERAS_GENERAL_FORMS(kept, ConvPass::Forward, true);
KERAS_GENERAL_FORMS(backward_input, ConvPass::BackwardInput, false);
KERAS_GENERAL_FORMS(backward_filter, ConvPass::BackwardFilter, false);
#undef KERAS_GENERAL_FORMS

}  // namespace
}  // namespace keras::cpu

BENCHMARK_MAIN();
