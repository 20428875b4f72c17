// What lives here: tests of functions of functions (vectorize, custom_gradient), of complex numbers, and of bytes seen as another dtype.
#include "ops/op_check.h"

namespace keras::ops_test {
namespace {

TEST(Vectorize, NumbersBroadcast) {
  auto f = ops::vectorize([](const Tensors& x) { return Tensors{ops::maximum(x[0], x[1]), ops::add(x[0], x[1])}; });
  Tensors r = f({Tensor{{1.0}, {3.0}}, Tensor{0.0, 2.0, 4.0}});
  same_numbers(r[0], {DType::Float32, {2, 3}, {1, 2, 4, 3, 3, 4}}, "maximum", 1e-6);
  same_numbers(r[1], {DType::Float32, {2, 3}, {1, 3, 5, 3, 5, 7}}, "sum", 1e-6);
}
TEST(Vectorize, SignaturesNameCoreAxes) {
  check("inner product", {wave({2, 2, 3}), wave({3}, 0.5)},
        [](const Tensors& in) {
          return ops::vectorize([](const Tensors& x) { return Tensors{ops::sum(ops::multiply(x[0], x[1]))}; }, {.signature = "(n),(n)->()"})(in)[0];
        },
        {DType::Float32, {2, 2}, {1.16857004, -1.16973734, 1.14749241, -1.10228038}});
  auto scaled = ops::vectorize([](const Tensors& x) { return Tensors{ops::multiply(x[0], x[1])}; }, {.excluded = {1}, .signature = "(n)->(n)"});
  same_numbers(scaled({Tensor{{1.0, 2.0}, {3.0, 4.0}}, Tensor{10.0, 1.0}})[0], {DType::Float32, {2, 2}, {10, 2, 30, 4}}, "excluded", 1e-6);
}
TEST(Vectorize, SaysWhatIsWrong) {
  auto f = [](const Tensors& x) { return x; };
  for (const char* bad : {"n->n", "(n)", "(n->(n)", "(n,)->()"}) EXPECT_THROW(ops::vectorize(f, {.signature = bad}), ValueError) << bad;
  EXPECT_THROW(ops::vectorize(f, {.signature = "(n),(n)->()"})({wave({3})}), TypeError);
  EXPECT_THROW(ops::vectorize(f, {.signature = "(n),(n)->(n),(n)"})({wave({3}), wave({2, 4})}), ValueError);
}

TEST(CustomGradient, ReplacesTheDerivedOne) {
  auto f = ops::custom_gradient([](const Tensors& x) {
    Tensor e = ops::exp(x[0]);
    return ops::WithGradient{{ops::log(1 + e), e}, [=](const Tensors& up) { return Tensors{up[0] * 10 + up[1] * e, Tensor()}; }};
  });
  Tensor x = Tensor{0.0, 1.0}, unused = Tensor{5.0, 6.0};
  auto body = [&](const Tensors& in) {
    Tensors y = f({in[0], in[1]});
    Tensor total = ops::sum(y[0]) + 2 * ops::sum(y[1]);
    Tensors g = gradients(total, in);
    return Tensors{y[0], g[0], g[1]};
  };
  Tensors r = Function(body)({x, unused});
  same_numbers(r[0], {DType::Float32, {2}, {std::log(2.0), std::log(1 + std::exp(1.0))}}, "value", 1e-5);
  same_numbers(r[1], {DType::Float32, {2}, {12, 10 + 2 * std::exp(1.0)}}, "gradient", 1e-5);
  same_numbers(r[2], {DType::Float32, {2}, {0, 0}}, "no gradient", 1e-5);
  GradientTape tape;
  tape.watch(x);
  Tensor y = f({x, unused})[0];
  same_numbers(tape.gradient(ops::sum(y), x), {DType::Float32, {2}, {10, 10}}, "on a tape", 1e-5);
  Tensor symbol = core::make_symbolic({DType::Float32, Shape{None, 2}}, "x");
  EXPECT_EQ(f({symbol, symbol})[0].shape(), (Shape{None, 2}));
}
TEST(CustomGradient, SaysWhatIsWrong) {
  auto too_many = ops::custom_gradient([](const Tensors& x) { return ops::WithGradient{x, [](const Tensors& up) { return Tensors{up[0], up[0]}; }}; });
  EXPECT_THROW(too_many({wave({2})}), ValueError);
  auto misshapen = ops::custom_gradient([](const Tensors& x) { return ops::WithGradient{x, [](const Tensors& up) { return Tensors{ops::sum(up[0])}; }}; });
  EXPECT_THROW(misshapen({wave({2})}), ValueError);
}

TEST(ComplexNumbers, PartsAndPolarForm) {
  Tensor re = Tensor{3.0, 0.0, -1.0}, im = Tensor{4.0, 0.0, 0.0};
  auto of = [](Tensor (*f)(const ops::Complex&)) { return [f](const Tensors& in) { return f({in[0], in[1]}); }; };
  check("real", {re, im}, of(ops::real), {DType::Float32, {3}, {3, 0, -1}});
  check("imag", {re, im}, of(ops::imag), {DType::Float32, {3}, {4, 0, 0}});
  check("abs", {re, im}, of(ops::abs), {DType::Float32, {3}, {5, 0, 1}});
  check("angle", {re, im}, of(ops::angle), {DType::Float32, {3}, {0.92729522, 0, 3.14159265}});
  check("isreal", {re, im}, of(ops::isreal), {DType::Bool, {3}, {0, 1, 1}});
  check("conj", {re, im}, [](const Tensors& in) { return ops::conj(ops::Complex{in[0], in[1]}).second; }, {DType::Float32, {3}, {-4, 0, 0}});
  check("view_as_real", {re, im}, of(ops::view_as_real), {DType::Float32, {3, 2}, {3, 4, 0, 0, -1, 0}});
  check("view_as_complex", {Tensor{{1.0, 2.0}, {3.0, 4.0}}}, [](const Tensors& in) { return ops::view_as_complex(in[0]).second; }, {DType::Float32, {2}, {2, 4}});
  EXPECT_THROW(ops::view_as_complex(wave({3})), ValueError);
}
TEST(ComplexNumbers, EigenvaluesOfARotation) {
  auto [w, v] = ops::eig(Tensor{{0.0, -2.0}, {2.0, 0.0}});
  same_numbers(w.first, {DType::Float32, {2}, {0, 0}}, "real", 1e-6);
  same_numbers(w.second, {DType::Float32, {2}, {2, -2}}, "imag", 1e-6);
  EXPECT_EQ(v.first.shape(), (Shape{2, 2}));
  EXPECT_THROW(ops::eig(wave({2, 3})), ValueError);
}

TEST(View, ElementsOfAnotherSize) {
  Tensor shorts = Tensor{{1, 256}, {-1, 515}}.astype(DType::Int16);
  auto to = [](DType d) { return [d](const Tensors& in) { return ops::view(in[0], d); }; };
  check("to bytes", {shorts}, to(DType::UInt8), {DType::UInt8, {2, 4}, {1, 0, 0, 1, 255, 255, 3, 2}});
  check("to words", {shorts}, to(DType::UInt32), {DType::UInt32, {2, 1}, {16777217.0, 33816575.0}});
  check("to float", {Tensor{0, 16256}.astype(DType::Int16)}, to(DType::Float32), {DType::Float32, {1}, {1}});
  EXPECT_THROW(ops::view(Tensor{1, 2, 3}.astype(DType::Int8), DType::Int16), ValueError);
}

}  // namespace
}  // namespace keras::ops_test
