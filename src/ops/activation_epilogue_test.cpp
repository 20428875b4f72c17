// What lives here: that the activations of keras::ops, however they are written, become part of the product before them.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>

#include "core/impl.h"

namespace keras {
namespace {

Tensor waves(const Shape& shape, double step, double scale) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(scale * std::sin(static_cast<double>(i) * step));
  return Tensor::from(v, shape);
}

const std::vector<std::pair<const char*, std::function<Tensor(const Tensor&)>>>& activation_cases() {
  static const std::vector<std::pair<const char*, std::function<Tensor(const Tensor&)>>> cases{
      {"relu", [](const Tensor& x) { return ops::relu(x); }},
      {"relu6", [](const Tensor& x) { return ops::relu6(x); }},
      {"leaky_relu", [](const Tensor& x) { return ops::leaky_relu(x, 0.3); }},
      {"tanh", [](const Tensor& x) { return ops::tanh(x); }},
      {"sigmoid", [](const Tensor& x) { return ops::sigmoid(x); }},
      {"silu", [](const Tensor& x) { return ops::silu(x); }},
      {"hard_silu", [](const Tensor& x) { return ops::hard_silu(x); }},
      {"gelu", [](const Tensor& x) { return ops::gelu(x, false); }},
      {"gelu of tanh", [](const Tensor& x) { return ops::gelu(x, true); }},
      {"elu", [](const Tensor& x) { return ops::elu(x, 1.0); }},
      {"elu of alpha", [](const Tensor& x) { return ops::elu(x, 0.7); }},
  };
  return cases;
}

TEST(ActivationEpilogues, OneStepWithTheProduct) {
  Variable w(waves({24, 40}, 0.7, 1)), b(waves({40}, 0.3, 3));
  Tensor x = waves({16, 24}, 0.37, 2);
  for (const auto& [name, activation] : activation_cases()) {
    SCOPED_TRACE(name);
    const auto body = [&](const Tensor& in) { return activation(ops::add(ops::matmul(in, w.value()), b.value())); };
    Function f([&](const Tensors& in) { return Tensors{body(in[0])}; });
    const std::string plan = f.plan({x});
    EXPECT_NE(plan.find(" 1 steps"), std::string::npos) << plan << f.ir({x});
    const auto p = f({x})[0].to_vector<double>(), q = body(x).to_vector<double>();
    ASSERT_EQ(p.size(), q.size());
    for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 3e-5) << i;
  }
}

TEST(ActivationEpilogues, FarOutAndNoNumberAtAll) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> numbers{-inf, -1e4, -104, -90, -88, -87.5, -87, -30, -1e-20, 0, 1e-20, 30, 87, 88, 104, 1e4, inf, nan};
  const int64_t n = static_cast<int64_t>(numbers.size());
  for (DType dtype : {DType::Float32, DType::Float64}) {
    Tensor x = Tensor::from(numbers, {n, 1}).astype(dtype), w = Tensor::from(std::vector<double>(16, 1), {1, 16}).astype(dtype);
    for (const auto& [name, activation] : activation_cases()) {
      SCOPED_TRACE(name);
      Function f([&](const Tensors& in) { return Tensors{activation(ops::matmul(in[0], w))}; });
      const auto y = f({x})[0].to_vector<double>(), alone = activation(ops::matmul(x, w)).to_vector<double>();
      for (size_t i = 0; i < y.size(); ++i) {
        SCOPED_TRACE(numbers[i / 16]);
        if (std::isnan(numbers[i / 16])) {
          EXPECT_TRUE(std::isnan(y[i])) << y[i];
        } else if (std::isfinite(alone[i])) {
          EXPECT_NEAR(y[i], alone[i], 1e-6 * std::abs(alone[i]) + 1e-30);
        }
      }
    }
  }
}

}  // namespace
}  // namespace keras
