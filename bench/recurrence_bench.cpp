// What lives here: recurrent layers: forward (one row and batches) and training (forward and the gradient by weights and inputs), against
// the products alone that they consist of, which is as fast as they could be. GF/s count the products only.
#include <benchmark/benchmark.h>

#include <cmath>

#include <keras/keras.h>

#include "core/impl.h"
#include "cpu/dot.h"
#include "cpu/packed_dot.h"

namespace keras {
namespace {

Tensor numbers(const Shape& shape) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = 0.3f * static_cast<float>(std::sin(static_cast<double>(i) * 0.7));
  return Tensor::from(v, shape);
}

// What is compiled once and then run on the same arrays.
struct Compiled {
  std::unique_ptr<core::Compiled> step;
  Tensors in, results;
  std::vector<void*> inputs, outputs;
  Compiled(const std::function<Tensors(const Tensors&)>& f, Tensors given) : in(std::move(given)) {
    std::vector<ir::Type> types;
    for (const Tensor& t : in) types.push_back({t.dtype(), t.shape()}), inputs.push_back(const_cast<void*>(t.raw()));
    step = core::compile(f, types);
    for (const ir::Type& t : step->outputs) results.push_back(Tensor::empty(t.dtype, t.shape)), outputs.push_back(results.back().mutable_raw());
    run();
  }
  void run() { step->run(inputs.data(), outputs.data()); }
};

// A cell as a user would write it: every product in the step.
struct OwnCell : layers::RNNCell {
  int64_t units;
  Variable w, u, b;
  OwnCell(int64_t n, int64_t features) : RNNCell("OwnCell"), units(n), w(numbers({features, 4 * n})), u(numbers({n, 4 * n})), b(numbers({4 * n})) {}
  std::vector<int64_t> state_size() const override { return {units, units}; }
  int64_t output_size() const override { return units; }
  std::pair<Tensor, Tensors> call(const Tensor& x, const Tensors& s, bool) override {
    Tensor z = ops::matmul(x, w.value()) + ops::matmul(s[0], u.value()) + b.value();
    Tensors gates = ops::split(z, 4, -1);
    Tensor c = ops::sigmoid(gates[1]) * s[1] + ops::sigmoid(gates[0]) * ops::tanh(gates[2]);
    Tensor h = ops::sigmoid(gates[3]) * ops::tanh(c);
    return {h, {h, c}};
  }
};

// The layer; `own`: the cell that it uses and does not own, if there is one.
Layer make(int kind, int64_t units, int64_t features, std::shared_ptr<OwnCell>& own) {
  if (kind == 0) return layers::LSTM(units, {.return_sequences = true});
  if (kind == 1) return layers::GRU(units, {.return_sequences = true});
  if (kind == 2) return layers::SimpleRNN(units, {.return_sequences = true});
  own = std::make_shared<OwnCell>(units, features);
  return layers::RNN(*own, {.return_sequences = true});
}
double gates_of(int kind) { return kind == 1 ? 3 : kind == 2 ? 1 : 4; }

// Arguments: kind, batch, steps, units (as many features), threads.
void layer(benchmark::State& state, bool training) {
  const int kind = static_cast<int>(state.range(0));
  const int64_t batch = state.range(1), steps = state.range(2), units = state.range(3);
  set_num_threads(static_cast<int>(state.range(4)));
  std::shared_ptr<OwnCell> own;
  Layer rnn = make(kind, units, units, own);
  Tensor x = numbers({batch, steps, units});
  rnn(x);
  std::function<Tensors(const Tensors&)> f = [&](const Tensors& in) -> Tensors {
    Tensor y = rnn(in[0]);
    if (!training) return {y};
    Tensor sum = ops::sum(y * y);
    Tensors sources{in[0]};
    for (const Variable& v : own ? std::vector<Variable>{own->w, own->u, own->b} : rnn.trainable_variables()) sources.push_back(v.value());
    return gradients(sum, sources);
  };
  Compiled step(f, {x});
  for (auto _ : state) step.run();
  const double n = static_cast<double>(units), flops = 2 * gates_of(kind) * n * n * 2 * static_cast<double>(batch * steps) * (training ? 3 : 1);
  state.counters["GF/s"] = benchmark::Counter(flops * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}
void forward(benchmark::State& state) { layer(state, false); }
void training(benchmark::State& state) { layer(state, true); }

// The products of a forward pass of LSTM as one: what the machine gives.
void product_alone(benchmark::State& state) {
  const int64_t batch = state.range(1), steps = state.range(2), units = state.range(3);
  set_num_threads(static_cast<int>(state.range(4)));
  cpu::DotDesc d;
  d.lhs = {batch * steps, 2 * units}, d.rhs = {2 * units, 4 * units}, d.lhs_contract = {1}, d.rhs_contract = {0};
  auto kernel = cpu::make_dot(d);
  Tensor a = numbers(d.lhs), b = numbers(d.rhs), c = Tensor::empty(DType::Float32, {batch * steps, 4 * units});
  engine::Buffer scratch(kernel->scratch_bytes() + 64);
  void* in[] = {const_cast<void*>(a.raw()), const_cast<void*>(b.raw())};
  void* out[] = {c.mutable_raw()};
  for (auto _ : state) kernel->run(in, out, scratch.data());
  const double n = static_cast<double>(units);
  state.counters["GF/s"] = benchmark::Counter(16 * n * n * static_cast<double>(batch * steps * static_cast<int64_t>(state.iterations())) / 1e9, benchmark::Counter::kIsRate);
}

void sizes(benchmark::internal::Benchmark* b, const std::vector<int64_t>& kinds, const std::vector<int64_t>& batches) {
  b->ArgNames({"kind", "batch", "steps", "units", "threads"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  for (int64_t kind : kinds)
    for (int64_t batch : batches)
      for (auto [steps, units] : {std::pair<int64_t, int64_t>{80, 128}, {40, 32}, {30, 512}})
        for (int64_t threads : {1, 2}) b->Args({kind, batch, steps, units, threads});
}
// Kinds: 0 LSTM, 1 GRU, 2 SimpleRNN, 3 an LSTM as a cell of one's own.
BENCHMARK(forward)->Apply([](auto* b) { sizes(b, {0, 1, 2, 3}, {1, 8, 32}); });
BENCHMARK(training)->Apply([](auto* b) { sizes(b, {0, 1, 2, 3}, {32}); });
BENCHMARK(product_alone)->Apply([](auto* b) { sizes(b, {0}, {1, 8, 32}); });

// The product of one step alone: rows of states by packed weights, again and again. GB/s are those of the weights.
void step_product(benchmark::State& state) {
  const int64_t rows = state.range(0), units = state.range(1), columns = 4 * units;
  Tensor h = numbers({rows, units}), u = numbers({units, columns}), x = numbers({rows, columns}), z = numbers({rows, columns});
  engine::Buffer packed(cpu::packed_matrix_bytes(DType::Float32, units, columns));
  cpu::pack_matrix(DType::Float32, units, columns, u.raw(), columns, 1, packed.data());
  cpu::PackedProduct p{.m = rows, .n = columns, .k = units, .a = h.raw(), .a_ld = units, .packed = packed.data(), .c = z.mutable_raw(), .c_ld = columns, .add = x.raw(), .add_ld = columns};
  for (auto _ : state) cpu::packed_product(DType::Float32, p);
  const double weights = static_cast<double>(units * columns), runs = static_cast<double>(state.iterations());
  state.counters["GF/s"] = benchmark::Counter(2 * weights * static_cast<double>(rows) * runs / 1e9, benchmark::Counter::kIsRate);
  state.counters["GB/s"] = benchmark::Counter(4 * weights * runs / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK(step_product)->ArgNames({"rows", "units"})->ArgsProduct({{1, 2, 4, 8, 16}, {32, 64, 128, 256, 512}})->Unit(benchmark::kMicrosecond);

// The gather of an embedding, and a step of Adam on its table; `dense`: the gradient is a result too, so that it is written out.
void embedding(benchmark::State& state, bool dense) {
  const int64_t rows = state.range(0), width = state.range(1), batch = state.range(2), steps = state.range(3);
  set_num_threads(static_cast<int>(state.range(4)));
  layers::Embedding table(rows, width);
  std::vector<int32_t> ids(static_cast<size_t>(batch * steps));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((i * 7919) % static_cast<size_t>(rows));
  Tensor x = Tensor::from(ids, {batch, steps});
  table(x);
  optimizers::Adam adam;
  adam.build(table.trainable_variables());
  Compiled step(
      [&](const Tensors& in) -> Tensors {
        Tensor sum = ops::sum(ops::square(table(in[0])));
        const Tensors g = gradients(sum, table.trainable_variables());
        adam.apply(g, table.trainable_variables());
        return dense ? Tensors{sum, g[0]} : Tensors{sum};
      },
      {x});
  for (auto _ : state) step.run();
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(rows * width * 4 * 6) * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}
void embedding_training(benchmark::State& state) { embedding(state, false); }
void embedding_training_dense(benchmark::State& state) { embedding(state, true); }
void tables(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "width", "batch", "steps", "threads"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  for (int64_t threads : {1, 2}) b->Args({20000, 128, 32, 80, threads})->Args({2000, 64, 32, 40, threads});
}
BENCHMARK(embedding_training)->Apply(tables);
BENCHMARK(embedding_training_dense)->Apply(tables);

}  // namespace
}  // namespace keras
