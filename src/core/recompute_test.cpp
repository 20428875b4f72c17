// What lives here: tests of values that are computed again instead of stored: the numbers stay, the stores go.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/impl.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras {
namespace {

using ir::Ew;
using prims::Ints;

Tensor wave(const Shape& shape, double step) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(std::sin(step * static_cast<double>(i)));
  return Tensor::from(v, shape);
}

// The results of every cluster, in order of the graph.
std::vector<size_t> cluster_results(const std::string& ir) {
  std::vector<size_t> out;
  for (size_t at = ir.find("cluster("); at != std::string::npos; at = ir.find("cluster(", at + 1)) {
    const size_t line = ir.rfind('\n', at) + 1, equals = ir.find('=', line);
    if (equals > at) continue;
    size_t n = 0;
    for (size_t i = line; i < equals; ++i) n += ir[i] == '%';
    out.push_back(n);
  }
  return out;
}

// `f` between two products, so that its gradient stands in a cluster of its own; differentiated by the input and both matrices.
void check(const std::function<Tensor(const Tensor&)>& f, int64_t rows, size_t forward_results) {
  auto body = [&](const Tensors& in) -> Tensors {
    Tensor y = prims::dot(f(prims::dot(in[0], in[1], {1}, {0})), in[2], {1}, {0});
    Tensor loss = prims::reduce_sum(prims::mul(y, y), {0, 1});
    return gradients(loss, Tensors{in[0], in[1], in[2]});
  };
  const Tensors in{wave({rows, 16}, 0.3), wave({16, 48}, 0.7), wave({48, 8}, 0.2)};
  const std::vector<size_t> results = cluster_results(Function(body).ir(in));
  ASSERT_FALSE(results.empty()) << Function(body).ir(in);
  EXPECT_EQ(results[0], forward_results) << Function(body).ir(in);
  const Tensors fused = Function(body)(in);
  passes::set_fusion(false);
  const Tensors plain = Function(body)(in);
  passes::set_fusion(true);
  for (size_t i = 0; i < plain.size(); ++i) {
    auto a = fused[i].to_vector<double>(), b = plain[i].to_vector<double>();
    double scale = 1e-6;
    for (double x : b) scale = std::max(scale, std::abs(x));
    for (size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-5 * scale) << "gradient " << i << " at " << k;
  }
}

TEST(Recompute, InsideOfAnActivation) {
  auto gelu = [](const Tensor& x) {
    return prims::mul(prims::mul(x, 0.5), prims::add(prims::ew(Ew::erf, prims::mul(x, std::sqrt(0.5))), 1.0));
  };
  check(gelu, 8192, 1);
  check(gelu, 64, 3);  // little enough to stay in the cache, where storing is cheaper
}
TEST(Recompute, NormalisedValues) {
  // The result, the mean and the reciprocal of the deviation; neither what is centred nor what is scaled.
  auto norm = [](const Tensor& x) {
    Tensor mean = prims::mul(prims::reduce_sum(x, {1}, true), 1.0 / 48);
    Tensor d = prims::sub(x, mean);
    Tensor var = prims::mul(prims::reduce_sum(prims::ew(Ew::square, d), {1}, true), 1.0 / 48);
    return prims::mul(d, prims::ew(Ew::rsqrt, prims::add(var, 1e-3)));
  };
  auto body = [&](const Tensors& in) -> Tensors {
    Tensor y = prims::dot(norm(in[0]), in[1], {1}, {0});
    return gradients(prims::reduce_sum(prims::mul(y, y), {0, 1}), Tensors{in[0]});
  };
  const Tensors in{wave({4096, 48}, 0.3), wave({48, 8}, 0.2)};
  const Tensors fused = Function(body)(in);
  passes::set_fusion(false);
  const Tensors plain = Function(body)(in);
  passes::set_fusion(true);
  auto a = fused[0].to_vector<double>(), b = plain[0].to_vector<double>();
  for (size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 2e-4) << k;
  // No result of the first cluster but the one that the product reads has all elements.
  const std::string ir = Function(body).ir(in);
  const size_t at = ir.find("cluster("), line = ir.rfind('\n', at) + 1;
  const std::string results = ir.substr(line, at - line);
  size_t whole = 0;
  for (size_t i = results.find("f32[4096,48]"); i != std::string::npos; i = results.find("f32[4096,48]", i + 1)) ++whole;
  EXPECT_LE(whole, 1u) << ir;
}

}  // namespace
}  // namespace keras
