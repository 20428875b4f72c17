// What lives here: tests of updates of tables by gradients that have few rows, which are never written out whole.
#include <gtest/gtest.h>

#include <keras/threads.h>

#include <random>

#include "core/impl.h"
#include "passes/passes.h"
#include "prims/build.h"

namespace keras {
namespace {

Tensor random(const Shape& shape, unsigned seed, DType dtype) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = normal(rng);
  return Tensor::from(v, shape).astype(dtype);
}

// Two steps of an optimizer with a momentum and a sum of squares for all rows, and a scale per column.
struct Table {
  Variable rows, momentum, squares;
  Tensor scale;
  Table(int64_t n, int64_t width, DType d)
      : rows(random({n, width}, 1, d)), momentum(random({n, width}, 2, d)), squares(Tensor::full({n, width}, 1.0, d)), scale(random({width}, 3, d)) {}
  Tensors step(const Tensor& indices, const Tensor& weights) {
    Tensor x = prims::gather(rows.value(), indices, 0);
    Tensor loss = prims::reduce_sum(prims::mul(prims::mul(x, x), weights), prims::iota_axes(x.rank()));
    Tensor g = gradients(loss, std::vector<Variable>{rows})[0];
    Tensor m = prims::add(prims::mul(momentum.value(), 0.9), prims::mul(g, 0.1));
    Tensor s = prims::add(prims::mul(squares.value(), 0.99), prims::mul(prims::mul(g, g), 0.01));
    momentum.assign(m);
    squares.assign(s);
    rows.assign(prims::sub(rows.value(), prims::mul(prims::mul(m, scale), prims::ew(ir::Ew::rsqrt, s))));
    return {loss};
  }
};

TEST(TableUpdate, EqualsTheDenseGradient) {
  struct Case {
    int64_t rows, width;
    Shape indices;
    DType index, dtype;
  };
  for (const Case& c : {Case{1000, 33, {7, 20}, DType::Int32, DType::Float32}, Case{5, 3000, {4}, DType::Int64, DType::Float32},
                        Case{3, 20000, {2, 2}, DType::UInt8, DType::Float32}, Case{700, 16, {300}, DType::Int32, DType::Float64}, Case{1, 4, {6}, DType::Int32, DType::Float32}}) {
    std::mt19937 rng(9);
    std::uniform_int_distribution<int32_t> any(0, static_cast<int32_t>(c.rows - 1));
    std::vector<int32_t> ids(static_cast<size_t>(c.indices.numel()));
    for (int32_t& i : ids) i = any(rng);
    if (ids.size() > 2) ids[1] = ids[0];
    Tensor indices = Tensor::from(ids, c.indices).astype(c.index), weights = random(c.indices + Shape{c.width}, 4, c.dtype);
    std::vector<std::vector<double>> want;
    for (int form = 0; form < 3; ++form) {  // dense, then by rows on one thread and on two
      passes::set_fusion(form > 0);
      set_num_threads(form == 2 ? 2 : 1);
      Table t(c.rows, c.width, c.dtype);
      Function f([&](const Tensors& in) { return t.step(in[0], in[1]); });
      f({indices, weights});
      f({indices, weights});
      if (form > 0 && c.rows > 1) {
        EXPECT_NE(f.plan({indices, weights}).find("scatter_cluster"), std::string::npos) << f.plan({indices, weights});
      }
      std::vector<std::vector<double>> got;
      for (const Variable& v : {t.rows, t.momentum, t.squares}) got.push_back(v.value().to_vector<double>());
      passes::set_fusion(true);
      if (form == 0) {
        want = got;
        continue;
      }
      for (size_t i = 0; i < got.size(); ++i)
        for (size_t k = 0; k < got[i].size(); ++k) ASSERT_NEAR(got[i][k], want[i][k], 1e-5 * (1 + std::abs(want[i][k]))) << i << " at " << k;
      if (form == 2) {
        EXPECT_EQ(got, want) << "other bits on two threads";
      }
      want = got;
    }
  }
}

TEST(TableUpdate, AGradientThatIsReadElsewhereStaysDense) {
  Variable rows(random({50, 20}, 1, DType::Float32));
  Function f([&](const Tensors& in) -> Tensors {
    Tensor x = prims::gather(rows.value(), in[0], 0);
    Tensor g = gradients(prims::reduce_sum(prims::mul(x, x), {0, 1}), std::vector<Variable>{rows})[0];
    rows.assign(prims::sub(rows.value(), g));
    return {g};
  });
  Tensor ids = Tensor::from(std::vector<int32_t>{3, 3, 7}, {3});
  EXPECT_EQ(f.plan({ids}).find("scatter_cluster"), std::string::npos);
  const auto before = rows.value().to_vector<double>();
  const auto g = f({ids})[0].to_vector<double>();
  EXPECT_FLOAT_EQ(static_cast<float>(g[3 * 20]), static_cast<float>(4 * before[3 * 20]));
}

}  // namespace
}  // namespace keras
