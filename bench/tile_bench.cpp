// What lives here: tile programs against the same computations written by hand, one thread each: what fusing by interpretation costs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "../bench/tile_bench.cpp"  // seen from src, which is on the include path
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
// All sizes below are multiples of 16 or end in a masked rest.
template <class F> HWY_INLINE void each(const float* in, float* out, size_t n, const F& f) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(hn::LoadU(d, in + i)), d, out + i);
  for (; i < n; ++i) out[i] = hn::GetLane(f(hn::Set(d, in[i])));
}

void hand_gelu(const float* x, float* y, size_t n) {
  each(x, y, n, [](V v) HWY_ATTR { return gelu_erf32(D(), v); });
}
void hand_gelu_tanh(const float* x, float* y, size_t n) {
  each(x, y, n, [](V v) HWY_ATTR { return gelu_tanh32(D(), v); });
}
void hand_softmax(const float* x, float* y, size_t rows, size_t cols) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t r = 0; r < rows; ++r, x += cols, y += cols) {
    V m0 = hn::Set(d, -3e38f), m1 = m0, s0 = hn::Zero(d), s1 = s0;
    size_t i = 0;
    for (; i + 2 * lanes <= cols; i += 2 * lanes) m0 = hn::Max(m0, hn::LoadU(d, x + i)), m1 = hn::Max(m1, hn::LoadU(d, x + i + lanes));
    for (; i + lanes <= cols; i += lanes) m0 = hn::Max(m0, hn::LoadU(d, x + i));
    float m = hn::GetLane(hn::MaxOfLanes(d, hn::Max(m0, m1)));
    for (; i < cols; ++i) m = std::max(m, x[i]);
    const V vm = hn::Set(d, m);
    float s = 0;
    for (i = 0; i + 2 * lanes <= cols; i += 2 * lanes) {
      const V a = exp32(d, hn::Sub(hn::LoadU(d, x + i), vm)), b = exp32(d, hn::Sub(hn::LoadU(d, x + i + lanes), vm));
      s0 = hn::Add(s0, a), s1 = hn::Add(s1, b);
      hn::StoreU(a, d, y + i), hn::StoreU(b, d, y + i + lanes);
    }
    for (; i + lanes <= cols; i += lanes) {
      const V a = exp32(d, hn::Sub(hn::LoadU(d, x + i), vm));
      s0 = hn::Add(s0, a), hn::StoreU(a, d, y + i);
    }
    for (; i < cols; ++i) s += y[i] = hn::GetLane(exp32(d, hn::Set(d, x[i] - m)));
    s += hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
    const float k = 1 / s;
    each(y, y, cols, [k](V v) HWY_ATTR { return hn::Mul(v, hn::Set(D(), k)); });
  }
}
void hand_adam(float* p, const float* g, float* m, float* v, float alpha, size_t n) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const V b1 = hn::Set(d, 0.1f), b2 = hn::Set(d, 0.001f), eps = hn::Set(d, 1e-7f), a = hn::Set(d, alpha);
  for (size_t i = 0; i + lanes <= n; i += lanes) {
    const V gi = hn::LoadU(d, g + i), m0 = hn::LoadU(d, m + i), v0 = hn::LoadU(d, v + i);
    const V m1 = hn::MulAdd(hn::Sub(gi, m0), b1, m0), v1 = hn::MulAdd(hn::MulSub(gi, gi, v0), b2, v0);
    hn::StoreU(m1, d, m + i), hn::StoreU(v1, d, v + i);
    hn::StoreU(hn::Sub(hn::LoadU(d, p + i), hn::Div(hn::Mul(m1, a), hn::Add(hn::Sqrt(v1), eps))), d, p + i);
  }
}
void hand_layer_norm(const float* x, const float* gamma, const float* beta, float* y, float* mean, float* rstd, size_t rows, size_t cols) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t r = 0; r < rows; ++r, x += cols, y += cols) {
    V s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < cols; i += 4 * lanes)
      s0 = hn::Add(s0, hn::LoadU(d, x + i)), s1 = hn::Add(s1, hn::LoadU(d, x + i + lanes)), s2 = hn::Add(s2, hn::LoadU(d, x + i + 2 * lanes)), s3 = hn::Add(s3, hn::LoadU(d, x + i + 3 * lanes));
    const float mu = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)))) / static_cast<float>(cols);
    const V vm = hn::Set(d, mu);
    s0 = s1 = s2 = s3 = hn::Zero(d);
    for (size_t i = 0; i < cols; i += 4 * lanes) {
      const V a = hn::Sub(hn::LoadU(d, x + i), vm), b = hn::Sub(hn::LoadU(d, x + i + lanes), vm), c = hn::Sub(hn::LoadU(d, x + i + 2 * lanes), vm), e = hn::Sub(hn::LoadU(d, x + i + 3 * lanes), vm);
      s0 = hn::MulAdd(a, a, s0), s1 = hn::MulAdd(b, b, s1), s2 = hn::MulAdd(c, c, s2), s3 = hn::MulAdd(e, e, s3);
    }
    const float var = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)))) / static_cast<float>(cols);
    const float k = 1 / std::sqrt(var + 1e-3f);
    const V vk = hn::Set(d, k);
    for (size_t i = 0; i < cols; i += lanes)
      hn::StoreU(hn::MulAdd(hn::Mul(hn::Sub(hn::LoadU(d, x + i), vm), vk), hn::LoadU(d, gamma + i), hn::LoadU(d, beta + i)), d, y + i);
    mean[r] = mu, rstd[r] = k;
  }
}
// 64 channels: their sums stay in registers.
void hand_batch_stats(const float* x, float* sum, float* squares, size_t rows) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t c = 0; c < 64; c += 2 * lanes) {
    double t[64] = {}, q[64] = {};
    for (size_t from = 0; from < rows; from += 512) {
      V s0 = hn::Zero(d), s1 = s0, q0 = s0, q1 = s0;
      for (size_t r = from; r < std::min(rows, from + 512); ++r) {
        const V a = hn::LoadU(d, x + r * 64 + c), b = hn::LoadU(d, x + r * 64 + c + lanes);
        s0 = hn::Add(s0, a), s1 = hn::Add(s1, b);
        q0 = hn::MulAdd(a, a, q0), q1 = hn::MulAdd(b, b, q1);
      }
      HWY_ALIGN float f[4 * hn::MaxLanes(D())];
      hn::Store(s0, d, f), hn::Store(s1, d, f + lanes), hn::Store(q0, d, f + 2 * lanes), hn::Store(q1, d, f + 3 * lanes);
      for (size_t i = 0; i < 2 * lanes; ++i) t[i] += f[i], q[i] += f[2 * lanes + i];
    }
    for (size_t i = 0; i < 2 * lanes; ++i) sum[c + i] = static_cast<float>(t[i]), squares[c + i] = static_cast<float>(q[i]);
  }
}
// Seven operations of arithmetic that no composite covers as a whole.
void hand_chain(const float* x, const float* y, const float* z, float* out, size_t n) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const V two = hn::Set(d, 2.0f), c = hn::Set(d, 0.3f);
  for (size_t i = 0; i + lanes <= n; i += lanes) {
    const V a = hn::LoadU(d, x + i), b = hn::LoadU(d, y + i), e = hn::LoadU(d, z + i);
    const V t = hn::Mul(hn::Add(a, b), hn::Sub(b, e)), u = hn::Max(hn::MulAdd(t, c, a), e);
    hn::StoreU(hn::Mul(hn::Sub(u, two), hn::Abs(t)), d, out + i);
  }
}
}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "cpu/thread_pool.h"
#include "cpu/tile_program.h"

namespace keras::cpu {
HWY_EXPORT(hand_gelu);
HWY_EXPORT(hand_gelu_tanh);
HWY_EXPORT(hand_softmax);
HWY_EXPORT(hand_adam);
HWY_EXPORT(hand_layer_norm);
HWY_EXPORT(hand_batch_stats);
HWY_EXPORT(hand_chain);

namespace {
using ir::Ew;
using Reduce = TileSpec::Reduce;

struct Program : TileSpec {
  Program(std::vector<int64_t> dims, int rows) { shape = std::move(dims), row_rank = rows; }
  int input() {
    std::vector<int64_t> s(shape.size());
    int64_t unit = 1;
    for (size_t i = shape.size(); i-- > 0; unit *= shape[i]) s[i] = unit;
    return input(s);
  }
  int input(std::vector<int64_t> strides) {
    inputs.push_back({DType::Float32, std::move(strides)});
    return static_cast<int>(inputs.size()) - 1;
  }
  int push(Instr i) {
    instrs.push_back(i);
    return static_cast<int>(inputs.size() + instrs.size()) - 1;
  }
  int ew(Ew op, int a, int b = -1) {
    Instr i;
    i.op = op, i.a = a, i.b = b;
    return push(i);
  }
  int constant(double v) {
    Instr i;
    i.kind = Kind::Const, i.value = v;
    return push(i);
  }
  int reduce(Reduce r, int a) {
    Instr i;
    i.kind = Kind::RowReduce, i.reduce = r, i.a = a;
    return push(i);
  }
};

struct Buffer {
  explicit Buffer(size_t n) : p(static_cast<float*>(std::aligned_alloc(64, (n * 4 + 127) / 64 * 64))) {
    for (size_t i = 0; i < n; ++i) p[i] = static_cast<float>(std::sin(static_cast<double>(i) * 0.7)) * 3;
  }
  Buffer(Buffer&& o) noexcept : p(o.p) { o.p = nullptr; }
  ~Buffer() { std::free(p); }
  float* p;
};

void run_program(benchmark::State& state, const TileSpec& spec, std::vector<void*> in, std::vector<void*> out) {
  set_num_threads(static_cast<int>(state.range(0)));
  const auto kernel = make_tile_program(spec);
  Buffer scratch(kernel->scratch_bytes() / 4 + 16);
  for (auto _ : state) kernel->run(in.data(), out.data(), scratch.p);
  state.SetLabel(kernel->describe());
}

constexpr int64_t kMany = 10'000'000;

void program_gelu(benchmark::State& state, bool tanh_form) {
  Program p({kMany}, 0);
  const int x = p.input();
  if (tanh_form) {
    const int w = p.ew(Ew::add, x, p.ew(Ew::mul, p.constant(0.044715), p.ew(Ew::mul, p.ew(Ew::mul, x, x), x)));
    const int t = p.ew(Ew::tanh, p.ew(Ew::mul, w, p.constant(0.7978845608)));
    p.outputs.push_back({.reg = p.ew(Ew::mul, p.ew(Ew::mul, p.constant(0.5), x), p.ew(Ew::add, p.constant(1), t))});
  } else {
    const int e = p.ew(Ew::erf, p.ew(Ew::mul, x, p.constant(std::sqrt(0.5))));
    p.outputs.push_back({.reg = p.ew(Ew::mul, p.ew(Ew::mul, x, p.constant(0.5)), p.ew(Ew::add, e, p.constant(1)))});
  }
  Buffer a(kMany), b(kMany);
  run_program(state, p, {a.p}, {b.p});
}
void by_hand_gelu(benchmark::State& state, bool tanh_form) {
  Buffer a(kMany), b(kMany);
  for (auto _ : state) tanh_form ? HWY_DYNAMIC_DISPATCH(hand_gelu_tanh)(a.p, b.p, kMany) : HWY_DYNAMIC_DISPATCH(hand_gelu)(a.p, b.p, kMany);
}
BENCHMARK_CAPTURE(program_gelu, erf, false)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(by_hand_gelu, erf, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(program_gelu, tanh, true)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(by_hand_gelu, tanh, true)->Unit(benchmark::kMillisecond);

void program_softmax(benchmark::State& state) {
  Program p({4096, 1000}, 1);
  const int x = p.input(), e = p.ew(Ew::exp, p.ew(Ew::sub, x, p.reduce(Reduce::Max, x)));
  p.outputs.push_back({.reg = p.ew(Ew::div, e, p.reduce(Reduce::Sum, e))});
  Buffer a(4096000), b(4096000);
  run_program(state, p, {a.p}, {b.p});
}
void by_hand_softmax(benchmark::State& state) {
  Buffer a(4096000), b(4096000);
  for (auto _ : state) HWY_DYNAMIC_DISPATCH(hand_softmax)(a.p, b.p, 4096, 1000);
}
BENCHMARK(program_softmax)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(by_hand_softmax)->Unit(benchmark::kMillisecond);

void program_adam(benchmark::State& state) {
  Program p({kMany}, 0);
  const int w = p.input(), g = p.input(), m = p.input(), v = p.input(), rate = p.input({0});
  const int m2 = p.ew(Ew::add, m, p.ew(Ew::mul, p.ew(Ew::sub, g, m), p.constant(0.1)));
  const int v2 = p.ew(Ew::add, v, p.ew(Ew::mul, p.ew(Ew::sub, p.ew(Ew::square, g), v), p.constant(0.001)));
  p.outputs = {{.reg = m2}, {.reg = v2}, {.reg = p.ew(Ew::sub, w, p.ew(Ew::div, p.ew(Ew::mul, m2, rate), p.ew(Ew::add, p.ew(Ew::sqrt, v2), p.constant(1e-7))))}};
  Buffer bw(kMany), bg(kMany), bm(kMany), bv(kMany), br(1);
  for (int64_t i = 0; i < kMany; ++i) bv.p[i] = std::abs(bv.p[i]);
  br.p[0] = 1e-6f;
  run_program(state, p, {bw.p, bg.p, bm.p, bv.p, br.p}, {bm.p, bv.p, bw.p});
}
void by_hand_adam(benchmark::State& state) {
  Buffer bw(kMany), bg(kMany), bm(kMany), bv(kMany);
  for (int64_t i = 0; i < kMany; ++i) bv.p[i] = std::abs(bv.p[i]);
  for (auto _ : state) HWY_DYNAMIC_DISPATCH(hand_adam)(bw.p, bg.p, bm.p, bv.p, 1e-6f, kMany);
}
BENCHMARK(program_adam)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(by_hand_adam)->Unit(benchmark::kMillisecond);

void program_layer_norm(benchmark::State& state) {
  Program p({4096, 768}, 1);
  const int x = p.input(), gamma = p.input({0, 1}), beta = p.input({0, 1});
  const int mean = p.ew(Ew::mul, p.reduce(Reduce::Sum, x), p.constant(1.0 / 768)), d = p.ew(Ew::sub, x, mean);
  const int var = p.ew(Ew::mul, p.reduce(Reduce::Sum, p.ew(Ew::square, d)), p.constant(1.0 / 768));
  const int r = p.ew(Ew::rsqrt, p.ew(Ew::add, var, p.constant(1e-3)));
  p.outputs = {{.reg = p.ew(Ew::add, p.ew(Ew::mul, p.ew(Ew::mul, d, r), gamma), beta)}, {.reg = mean}, {.reg = r}};
  Buffer a(4096 * 768), b(4096 * 768), g(768), be(768), m(4096), s(4096);
  run_program(state, p, {a.p, g.p, be.p}, {b.p, m.p, s.p});
}
void by_hand_layer_norm(benchmark::State& state) {
  Buffer a(4096 * 768), b(4096 * 768), g(768), be(768), m(4096), s(4096);
  for (auto _ : state) HWY_DYNAMIC_DISPATCH(hand_layer_norm)(a.p, g.p, be.p, b.p, m.p, s.p, 4096, 768);
}
BENCHMARK(program_layer_norm)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(by_hand_layer_norm)->Unit(benchmark::kMillisecond);

void program_batch_stats(benchmark::State& state) {
  Program p({16, 56, 56, 64}, 1);
  const int x = p.input();
  p.outputs = {{.reg = x, .column_reduce = true}, {.reg = p.ew(Ew::square, x), .column_reduce = true}};
  Buffer a(16 * 56 * 56 * 64), s(64), q(64);
  run_program(state, p, {a.p}, {s.p, q.p});
}
void by_hand_batch_stats(benchmark::State& state) {
  Buffer a(16 * 56 * 56 * 64), s(64), q(64);
  for (auto _ : state) HWY_DYNAMIC_DISPATCH(hand_batch_stats)(a.p, s.p, q.p, 16 * 56 * 56);
}
BENCHMARK(program_batch_stats)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(by_hand_batch_stats)->Unit(benchmark::kMillisecond);

void program_chain(benchmark::State& state) {
  Program p({1'000'000}, 0);
  const int x = p.input(), y = p.input(), z = p.input();
  const int t = p.ew(Ew::mul, p.ew(Ew::add, x, y), p.ew(Ew::sub, y, z));
  const int u = p.ew(Ew::maximum, p.ew(Ew::add, p.ew(Ew::mul, t, p.constant(0.3)), x), z);
  p.outputs = {{.reg = p.ew(Ew::mul, p.ew(Ew::sub, u, p.constant(2)), p.ew(Ew::abs, t))}};
  Buffer a(1000000), b(1000000), c(1000000), o(1000000);
  run_program(state, p, {a.p, b.p, c.p}, {o.p});
}
void by_hand_chain(benchmark::State& state) {
  Buffer a(1000000), b(1000000), c(1000000), o(1000000);
  for (auto _ : state) HWY_DYNAMIC_DISPATCH(hand_chain)(a.p, b.p, c.p, o.p, 1000000);
}
BENCHMARK(program_chain)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(by_hand_chain)->Unit(benchmark::kMillisecond);

/// What a run costs when there is next to nothing to do: bias and relu of a small layer.
void program_small(benchmark::State& state) {
  Program p({32, 10}, 0);
  const int x = p.input(), b = p.input({0, 1});
  p.outputs = {{.reg = p.ew(Ew::maximum, p.ew(Ew::add, x, b), p.constant(0))}};
  Buffer a(320), bias(10), o(320);
  run_program(state, p, {a.p, bias.p}, {o.p});
}
BENCHMARK(program_small)->Arg(1);

/// What making a program costs: it happens once per shape.
void make_program(benchmark::State& state) {
  Program p({4096, 1000}, 1);
  const int x = p.input(), e = p.ew(Ew::exp, p.ew(Ew::sub, x, p.reduce(Reduce::Max, x)));
  p.outputs.push_back({.reg = p.ew(Ew::div, e, p.reduce(Reduce::Sum, e))});
  for (auto _ : state) benchmark::DoNotOptimize(make_tile_program(p));
}
BENCHMARK(make_program);

}  // namespace
}  // namespace keras::cpu

BENCHMARK_MAIN();
#endif
