// What lives here: one attention, forward and backward, as one kernel and (forward) as product, softmax and product, one thread each. Queries,
// keys and values lie as projections give them: (batch, steps, heads, size). The rate counts the products alone.
#include <benchmark/benchmark.h>

#include <cmath>

#include "cpu/attention.h"
#include "cpu/dot.h"
#include "cpu/movement.h"
#include "cpu/thread_pool.h"
#include "cpu/tile_program.h"

namespace {

using namespace keras;
using Form = ir::AttentionForm;

// State's arguments: batch, heads, heads that share a head of keys, steps, size, causal.
struct Problem {
  int64_t B, H, G, T, D;
  Form form;
  std::vector<float> q, k, v, y, dy, stats, dq, dk, dv;
  explicit Problem(const benchmark::State& s) : B(s.range(0)), H(s.range(1)), G(s.range(2)), T(s.range(3)), D(s.range(4)) {
    const int64_t K = H / G;
    form.batch = {B, K, G};
    form.rows = form.keys = T, form.depth = form.width = D;
    form.q = form.y = {0, {T * H * D, G * D, D}, H * D, 1};
    form.k = form.v = {0, {T * K * D, D, 0}, K * D, 1};
    form.shape = {B, T, H, D};
    const Form::View none{0, {0, 0, 0}, 0, 0};
    form.steps.push_back({Form::Kind::Scale, 1 / std::sqrt(static_cast<double>(D)), Form::kCausal, false, none});
    if (s.range(5)) form.steps.push_back({Form::Kind::Fill, -1e9, Form::kCausal, false, none});
    const auto fill = [](std::vector<float>& v, int64_t n) {
      v.resize(static_cast<size_t>(n));
      for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    };
    for (auto* x : {&q, &y, &dy, &dq}) fill(*x, B * T * H * D);
    for (auto* x : {&k, &v, &dk, &dv}) fill(*x, B * T * K * D);
    fill(stats, B * H * T * 2);
  }
  double flops(int products) const { return 2.0 * products * static_cast<double>(B * H * T * T * D) / (form.steps.size() > 1 ? 2 : 1); }
};
struct Scratch {
  std::vector<char> bytes;
  explicit Scratch(size_t n) : bytes(n + 64) {}
  void* data() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(bytes.data()) + 63) / 64 * 64); }
};
void rate(benchmark::State& s, double flops) {
  s.counters["GF/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void forward(benchmark::State& s) {
  cpu::set_num_threads(1);
  Problem p(s);
  const auto kernel = cpu::make_attention(p.form);
  Scratch scratch(kernel->scratch_bytes());
  void *in[] = {p.q.data(), p.k.data(), p.v.data()}, *out[] = {p.y.data(), p.stats.data()};
  for (auto _ : s) kernel->run(in, out, scratch.data());
  rate(s, p.flops(2));
}
void backward(benchmark::State& s) {
  cpu::set_num_threads(1);
  Problem p(s);
  {
    const auto kernel = cpu::make_attention(p.form);
    Scratch scratch(kernel->scratch_bytes());
    void *in[] = {p.q.data(), p.k.data(), p.v.data()}, *out[] = {p.y.data(), p.stats.data()};
    kernel->run(in, out, scratch.data());
  }
  const auto kernel = cpu::make_attention_backward(p.form);
  Scratch scratch(kernel->scratch_bytes());
  void *in[] = {p.q.data(), p.k.data(), p.v.data(), p.y.data(), p.stats.data(), p.dy.data()}, *out[] = {p.dq.data(), p.dk.data(), p.dv.data()};
  for (auto _ : s) kernel->run(in, out, scratch.data());
  rate(s, p.flops(5));
}
// Scores and weights held whole; the weights' product is laid out (batch, heads, steps, size) and moved.
void small_operations(benchmark::State& s) {
  cpu::set_num_threads(1);
  Problem p(s);
  const Shape x{p.B, p.T, p.H, p.D}, scores{p.B, p.H, p.T, p.T}, heads{p.B, p.H, p.T, p.D};
  const auto first = cpu::make_dot({DType::Float32, x, x, {3}, {3}, {0, 2}, {0, 2}, {}});
  const auto second = cpu::make_dot({DType::Float32, scores, x, {3}, {1}, {0, 1}, {0, 2}, {}});
  const auto move = cpu::make_transpose(DType::Float32, heads, {0, 2, 1, 3});
  cpu::TileSpec spec;
  spec.shape = scores.dims();
  spec.row_rank = 1;
  spec.inputs = {{DType::Float32, {p.H * p.T * p.T, p.T * p.T, p.T, 1}}};
  using I = cpu::TileSpec::Instr;
  using K = cpu::TileSpec::Kind;
  spec.instrs = {I{.kind = K::Const, .value = 1 / std::sqrt(static_cast<double>(p.D))}, I{.op = ir::Ew::mul, .a = 0, .b = 1},
                 I{.kind = K::RowReduce, .reduce = cpu::TileSpec::Reduce::Max, .a = 2}, I{.op = ir::Ew::sub, .a = 2, .b = 3},
                 I{.op = ir::Ew::exp, .a = 4}, I{.kind = K::RowReduce, .reduce = cpu::TileSpec::Reduce::Sum, .a = 5},
                 I{.op = ir::Ew::div, .a = 5, .b = 6}};
  spec.outputs = {{.reg = 7}};
  const auto softmax = cpu::make_tile_program(spec);
  std::vector<float> a(static_cast<size_t>(scores.numel())), b(p.q.size());
  Scratch scratch(std::max({first->scratch_bytes(), second->scratch_bytes(), softmax->scratch_bytes(), move->scratch_bytes()}));
  void *in1[] = {p.q.data(), p.k.data()}, *in2[] = {a.data(), p.v.data()}, *pa[] = {a.data()}, *pb[] = {b.data()}, *py[] = {p.y.data()};
  for (auto _ : s) {
    first->run(in1, pa, scratch.data());
    softmax->run(pa, pa, scratch.data());
    second->run(in2, pb, scratch.data());
    move->run(pb, py, scratch.data());
  }
  rate(s, p.flops(2));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->Args({1, 8, 1, 128, 32, 0})->Args({8, 8, 1, 128, 32, 0})->Args({1, 12, 1, 512, 64, 0})->Args({2, 4, 1, 37, 24, 0});
}
void all_shapes(benchmark::internal::Benchmark* b) {
  shapes(b);
  b->Args({1, 8, 1, 2048, 64, 0})->Args({1, 8, 1, 2048, 64, 1})->Args({1, 8, 4, 512, 64, 1});
}
BENCHMARK(forward)->Apply(all_shapes);
BENCHMARK(small_operations)->Apply(shapes);
BENCHMARK(backward)->Apply(all_shapes);

}  // namespace
