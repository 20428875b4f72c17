// What lives here: a layer of one's own, trained by loops of one's own: one that records each step on a tape, one compiled into a function.
#include <keras/keras.h>

#include <chrono>
#include <cmath>
#include <cstdio>

using namespace keras;

/// x @ kernel + bias, times a learned number.
struct ScaledLinear : Layer {
  int64_t units;
  Variable kernel, bias, scale;
  explicit ScaledLinear(int64_t units) : Layer("ScaledLinear"), units(units) {}
  void build(const Shape& input) override {
    kernel = add_weight({.name = "kernel", .shape = {input.back(), units}, .initializer = "glorot_uniform"});
    bias = add_weight({.name = "bias", .shape = {units}, .initializer = "zeros"});
    scale = add_weight({.name = "scale", .shape = {}, .initializer = "ones"});
  }
  Tensor call(const Tensor& x) override { return scale * (ops::matmul(x, kernel) + bias); }
  Dict get_config() const override { return {{"units", units}}; }
};

static Model make_model() {
  utils::set_random_seed(1);
  Tensor x = Input({2});
  Tensor h = ops::tanh(make<ScaledLinear>(32)(x));
  return Model(x, make<ScaledLinear>(1)(h));
}

int main() {
  // y = sin(3 a) * b on 1024 points.
  random::RandomState np(0);
  Tensor x = np.uniform(-1, 1, {1024, 2}).astype(DType::Float32);
  std::vector<float> points = x.to_vector<float>(), wanted;
  for (size_t i = 0; i < points.size(); i += 2) wanted.push_back(std::sin(3 * points[i]) * points[i + 1]);
  Tensor y = Tensor::from(wanted, {1024, 1});
  const int64_t batch = 64;
  const int epochs = 60;
  auto loss_of = [](const Model& model, const Tensor& a, const Tensor& b) { return ops::mean(ops::square(Tensor(model(a, {.training = true})) - b)); };
  auto seconds_since = [](auto start) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };

  // On a tape: each step is ordinary code that runs line by line.
  Model taped = make_model();
  optimizers::Adam taped_optimizer({.learning_rate = 0.01});
  auto start = std::chrono::steady_clock::now();
  double first = loss_of(taped, x, y).item();
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (int64_t i = 0; i < 1024; i += batch) {
      GradientTape tape;
      Tensor loss = loss_of(taped, x.rows(i, i + batch), y.rows(i, i + batch));
      taped_optimizer.apply(tape.gradient(loss, taped.trainable_variables()), taped.trainable_variables());
    }
  double taped_loss = loss_of(taped, x, y).item(), taped_time = seconds_since(start);

  // The same step as a Function: traced once, compiled, then only run.
  Model compiled = make_model();
  optimizers::Adam optimizer({.learning_rate = 0.01});
  std::vector<Variable> variables = compiled.trainable_variables();
  optimizer.build(variables);
  Function step([&](const Tensors& in) -> Tensors {
    Tensor loss = loss_of(compiled, in[0], in[1]);
    optimizer.apply(gradients(loss, variables), variables);
    return {loss};
  });
  start = std::chrono::steady_clock::now();
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (int64_t i = 0; i < 1024; i += batch) step({x.rows(i, i + batch), y.rows(i, i + batch)});
  double compiled_loss = loss_of(compiled, x, y).item(), compiled_time = seconds_since(start);

  std::printf("loss before training      %.5f\n", first);
  std::printf("loop with a GradientTape  %.5f after %.3f s\n", taped_loss, taped_time);
  std::printf("loop with a Function      %.5f after %.3f s\n", compiled_loss, compiled_time);
  bool same = std::abs(taped_loss - compiled_loss) < 0.05 * taped_loss + 1e-4;
  return taped_loss < 0.1 * first && same ? 0 : 1;
}
