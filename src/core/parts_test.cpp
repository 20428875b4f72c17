// What lives here: tests of functions whose large batches are computed a few rows at a time.
#include <gtest/gtest.h>

#include <cmath>

#include "core/impl.h"
#include "cpu/thread_pool.h"
#include "prims/build.h"

namespace keras {
namespace {

Tensor waves(const Shape& shape, double step) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(std::sin(static_cast<double>(i) * step));
  return Tensor::from(v, shape);
}

// A small separable network for images: a normalised convolution, a depthwise one with a residual, pooling, a dense layer.
struct Network {
  Variable first{waves({3, 3, 3, 16}, 0.7)}, scale{waves({16}, 0.3)}, deep{waves({3, 3, 1, 16}, 0.9)}, point{waves({1, 1, 16, 16}, 0.5)}, dense{waves({16, 5}, 0.2)};
  Tensor operator()(const Tensor& x) const {
    const auto relu6 = [](const Tensor& t) {
      return prims::ew(ir::Ew::minimum, prims::ew(ir::Ew::maximum, t, Tensor::full({}, 0)), Tensor::full({}, 6));
    };
    prims::ConvSpec half{{2, 2}, {1, 1}, {0, 0}, {1, 1}, 1}, same{{1, 1}, {1, 1}, {1, 1}, {1, 1}, 16}, one{{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1};
    Tensor y = relu6(prims::mul(prims::conv(x, first.value(), half), prims::reshape(scale.value(), {1, 1, 1, 16})));
    Tensor z = relu6(prims::conv(y, deep.value(), same));
    y = prims::add(prims::conv(z, point.value(), one), y);
    y = prims::reduce_sum(y, {1, 2}, false);
    return prims::dot(prims::mul(y, 1e-3), dense.value(), {1}, {0});
  }
};

TEST(Parts, LargeBatchesOfImagesGiveTheSameNumbers) {
  const int before = cpu::num_threads();
  cpu::set_num_threads(2);
  Network network;
  for (const int64_t n : {8, 13}) {
    Function f([&](const Tensors& in) { return Tensors{network(in[0])}; });
    Tensor x = waves({n, 192, 192, 3}, 0.37);
    const std::string plan = f.plan({x});
    EXPECT_NE(plan.find("rows in parts of"), std::string::npos) << plan;
    auto same = [&] {
      auto p = f({x})[0].to_vector<double>(), q = network(x).to_vector<double>();
      ASSERT_EQ(p.size(), q.size());
      for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 1e-4 * (1 + std::abs(q[i]))) << i;
    };
    same();
    same();
    network.deep.assign(waves({3, 3, 1, 16}, 1.1));  // what is kept of the weights follows
    same();
    network.scale.assign(waves({16}, 0.8));
    same();
  }
  cpu::set_num_threads(before);
}

TEST(Parts, RowsLargerThanTheCache) {
  // A part may be as large as the batch, or too large again by itself: it is not cut twice.
  const int before = cpu::num_threads();
  Variable kernel{waves({150, 1, 129}, 0.7)};
  prims::ConvSpec steps{{31}, {1}, {0}, {0}, 1};
  auto network = [&](const Tensor& x) { return prims::ew(ir::Ew::abs, prims::conv(x, kernel.value(), steps)); };
  for (const int threads : {1, 2}) {
    cpu::set_num_threads(threads);
    for (const int64_t n : {2}) {
      Function f([&](const Tensors& in) { return Tensors{network(in[0])}; });
      Tensor x = waves({n, 160000, 1}, 0.37);
      auto p = f({x})[0].to_vector<double>(), q = network(x).to_vector<double>();
      for (size_t i = 0; i < p.size(); i += 997) EXPECT_NEAR(p[i], q[i], 1e-4 * (1 + std::abs(q[i]))) << i;
    }
  }
  cpu::set_num_threads(before);
}

TEST(Parts, SmallOrMixedBatchesStayWhole) {
  Network network;
  Function f([&](const Tensors& in) { return Tensors{network(in[0])}; });
  EXPECT_EQ(f.plan({waves({2, 32, 32, 3}, 0.37)}).find("rows in parts of"), std::string::npos);
  // A mean over the batch between the products.
  Function g([&](const Tensors& in) {
    Tensor y = prims::sub(in[0], prims::mul(prims::reduce_sum(in[0], {0}, true), 0.125));
    return Tensors{network(y)};
  });
  Tensor x = waves({8, 192, 192, 3}, 0.37);
  auto p = g({x})[0].to_vector<double>(), q = network(prims::sub(x, prims::mul(prims::reduce_sum(x, {0}, true), 0.125))).to_vector<double>();
  for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 1e-3 * (1 + std::abs(q[i]))) << i;
}

}  // namespace
}  // namespace keras
