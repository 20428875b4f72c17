// What lives here: attentions however they are written become one node, with the numbers and the gradients of the small operations.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include <keras/core/function.h>
#include <keras/layers/attention/attention.h>
#include <keras/layers/attention/multi_head_attention.h>
#include <keras/ops.h>
#include <keras/random.h>

#include "core/impl.h"
#include "layers/layer_impl.h"
#include "passes/passes.h"
#include "prims/build.h"
#include "support/recorded.h"

namespace keras::layers {
namespace {

Tensor wave(const Shape& shape, double step, double size = 1) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(size * std::sin(step * static_cast<double>(i) + 0.3));
  return Tensor::from(v, shape);
}
Tensor bools(const Shape& shape, int every) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<int>(i * 7) % every != 0;
  return Tensor::from(v, shape).astype(DType::Bool);
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

using Make = std::function<std::function<Tensor(const Tensors&)>()>;
struct Expect {
  size_t whole = 1;        // attentions that become one node
  size_t differentiated = 3;  // inputs by which gradients are taken
  bool second = false;
  size_t dots = 0;  // products left, if that is looked at
};

// Value and gradients with fusion on and off, compiled anew each time so that draws repeat.
void check(const char* what, const Make& make, const Tensors& in, const Expect& expect = {}) {
  SCOPED_TRACE(what);
  const auto results = [&](bool fusion, std::string* ir) {
    passes::set_fusion(fusion);
    utils::set_random_seed(5);
    const auto f = make();
    const auto all = [&](const Tensors& t) -> Tensors {
      Tensor y = f(t);
      Tensor loss = ops::sum(prims::mul(y, wave(y.shape(), 0.7)));
      Tensors wrt(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(expect.differentiated));
      Tensors g = gradients(loss, wrt);
      if (expect.second) {
        Tensor norm = ops::sum(prims::ew(ir::Ew::square, g[0]));
        for (const Tensor& t2 : gradients(norm, wrt)) g.push_back(t2);
      }
      g.insert(g.begin(), y);
      return g;
    };
    Function compiled(all);
    if (ir) *ir = Function(all).ir(in);
    Tensors out = compiled(in);
    passes::set_fusion(true);
    return out;
  };
  std::string ir;
  const Tensors one = results(true, &ir), many = results(false, nullptr);
  ASSERT_EQ(one.size(), many.size());
  for (size_t i = 0; i < one.size(); ++i) {
    SCOPED_TRACE("result " + std::to_string(i));
    test::expect_close(one[i], many[i], 2e-5, 2e-5);
  }
  EXPECT_EQ(count(ir, " attention("), expect.whole) << ir;
  if (expect.dots) {
    EXPECT_EQ(count(ir, " dot("), expect.dots) << ir;
  }
  if (expect.second) return;
  EXPECT_EQ(count(ir, " attention_backward("), expect.differentiated ? expect.whole : 0) << ir;
}
Make plain(std::function<Tensor(const Tensors&)> f) {
  return [f] { return f; };
}

TEST(WholeAttentionTest, Ops) {
  const Tensors in{wave({2, 5, 4, 6}, 0.31), wave({2, 7, 4, 6}, 0.23), wave({2, 7, 4, 6}, 0.41)};
  check("plain", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2]); }), in);
  check("twice differentiated", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2]); }), in, {.second = true});
  check("causal, scaled", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], Tensor(), Tensor(), 0.7, true); }), in);
  Tensors masked = in;
  masked.push_back(bools({2, 1, 5, 7}, 3));
  check("mask", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], Tensor(), t[3]); }), masked);
  check("causal and mask", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], Tensor(), t[3], {}, true); }), masked);
  masked[3] = bools({2, 1, 1, 7}, 2);
  check("key mask", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], Tensor(), t[3]); }), masked);
  masked[3] = wave({1, 4, 5, 7}, 0.2, 2);
  check("bias", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], t[3]); }), masked);
  check("a learned bias is differentiated through the scores", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], t[3]); }),
        masked, {.whole = 0, .differentiated = 4});
  check("inference", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2]); }), in, {.differentiated = 0});
  const Tensors grouped{wave({2, 5, 6, 4}, 0.31), wave({2, 7, 2, 4}, 0.23), wave({2, 7, 2, 4}, 0.41), bools({2, 1, 5, 7}, 3)};
  check("grouped", plain([](const Tensors& t) { return ops::dot_product_attention(t[0], t[1], t[2], Tensor(), t[3]); }), grouped);
}

TEST(WholeAttentionTest, WrittenByHand) {
  const Tensors in{wave({2, 3, 5, 6}, 0.31), wave({2, 3, 7, 6}, 0.23), wave({2, 3, 7, 4}, 0.41)};
  check("matmul", plain([](const Tensors& t) {
          Tensor s = prims::div(ops::matmul(t[0], ops::transpose(t[1], {0, 1, 3, 2})), prims::scalar(t[0], std::sqrt(6.0)));
          return ops::matmul(ops::softmax(s, -1), t[2]);
        }),
        in);
  check("einsum, an additive mask and no maximum left out", plain([](const Tensors& t) {
          Tensor s = ops::einsum("bhqd,bhkd->bhqk", {t[0], t[1]});
          s = prims::sub(prims::mul(s, 0.4), prims::mul(prims::cast(bools({1, 1, 5, 7}, 3), DType::Float32), 1e9));
          return ops::einsum("bhqk,bhkd->bqhd", {ops::softmax(s, -1), t[2]});
        }),
        in);
  check("a value that scales", plain([](const Tensors& t) {
          Tensor s = prims::mul(ops::matmul(t[0], ops::transpose(t[1], {0, 1, 3, 2})), t[3]);
          return ops::matmul(ops::softmax(s, -1), t[2]);
        }),
        {in[0], in[1], in[2], Tensor::full({}, 0.6)}, {.differentiated = 4});
  check("scores that others read stay", plain([](const Tensors& t) {
          Tensor w = ops::softmax(ops::matmul(t[0], ops::transpose(t[1], {0, 1, 3, 2})), -1);
          return prims::add(ops::matmul(w, t[2]), prims::reduce_sum(prims::ew(ir::Ew::square, w), {3}, true));
        }),
        in, {.whole = 0});
}

TEST(WholeAttentionTest, Layers) {
  const Tensors in{wave({2, 5, 8}, 0.31), wave({2, 7, 8}, 0.23)};
  const auto with = [](auto layer, CallOptions o) {
    return [=](const Tensors& t) { return Tensor(layer(t[0], t[1], o)); };
  };
  check("MultiHeadAttention", [&] { return with(MultiHeadAttention(2, 3, {.value_dim = 4}), {}); }, in, {.differentiated = 2});
  check("causal", [&] { return with(MultiHeadAttention(2, 3), {.values = {{"use_causal_mask", true}}}); }, in, {.differentiated = 2});
  check("dropout", [&] { return with(MultiHeadAttention(2, 3, {.dropout = 0.4, .seed = 3}), {.training = true}); }, in, {.differentiated = 2});
  check("dropout, causal", [&] { return with(MultiHeadAttention(2, 3, {.dropout = 0.4, .seed = 3}), {.training = true, .values = {{"use_causal_mask", true}}}); },
        in, {.differentiated = 2});
  check("GroupQueryAttention", [&] { return with(GroupQueryAttention(3, 4, 2), {}); }, in, {.differentiated = 2});
  check("GroupQueryAttention with dropout", [&] { return with(GroupQueryAttention(3, 4, 2, {.dropout = 0.4, .seed = 2}), {.training = true}); }, in,
        {.differentiated = 2});
  check("Attention", [&] {
    Attention layer({.use_scale = true, .dropout = 0.3, .seed = 4});
    return [=](const Tensors& t) { return Tensor(layer({t[0], t[1]}, {.training = true})); };
  }, in, {.differentiated = 2});
  check("scores asked for", [&] {
    MultiHeadAttention layer(2, 3);
    return [=](const Tensors& t) {
      Output y = layer(t[0], t[1], {.values = {{"return_attention_scores", true}}});
      return prims::add(y[0], ops::sum(y[1]));
    };
  }, in, {.whole = 0, .differentiated = 2});
}

TEST(WholeAttentionTest, BiasesOfSeveralAxesArePartOfTheProduct) {
  const Tensors in{wave({2, 5, 8}, 0.31), wave({8, 2, 4}, 0.2), wave({2, 4}, 0.3)};
  const auto f = [](const Tensors& t) -> Tensors { return {prims::add(ops::einsum("btc,chd->bthd", {t[0], t[1]}), t[2])}; };
  const std::string ir = Function(f).ir(in);
  EXPECT_NE(ir.find("bias=1"), std::string::npos) << ir;
  EXPECT_EQ(ir.find("cluster("), std::string::npos) << ir;
  passes::set_fusion(false);
  const Tensor plain = Function(f)(in)[0];
  passes::set_fusion(true);
  test::expect_close(Function(f)(in)[0], plain, 1e-6, 1e-6);
}
TEST(WholeAttentionTest, OneProductMakesQueriesKeysAndValues) {
  // Forward the joint product and the one after the attention; backward the latter's cotangent and the joint one of x.
  check("self-attention", [] {
    MultiHeadAttention layer(2, 3, {.value_dim = 4});
    return [=](const Tensors& t) { return Tensor(layer(t[0], t[0])); };
  }, {wave({2, 5, 8}, 0.31)}, {.differentiated = 1, .dots = 4});
  check("grouped heads, causal, no bias", [] {
    GroupQueryAttention layer(3, 4, 2, {.use_bias = false});
    return [=](const Tensors& t) { return Tensor(layer(t[0], t[0], {.values = {{"use_causal_mask", true}}})); };
  }, {wave({2, 5, 8}, 0.31)}, {.differentiated = 1, .dots = 4});
  const auto projected = [](const Tensors& t) {
    const auto make = [&](size_t i) { return prims::add(ops::einsum("btc,chd->bthd", {t[0], t[i]}), t[i + 1]); };
    Tensor y = ops::dot_product_attention(make(1), make(3), make(5));
    return prims::add(y, prims::mul(ops::reshape(t[0], {2, 5, 2, 4}), 0.5));
  };
  // The gradient's products: by the weights and by x.
  check("weights differentiated", plain(projected),
        {wave({2, 5, 8}, 0.31), wave({8, 2, 4}, 0.2), wave({2, 4}, 0.3), wave({8, 2, 4}, 0.25), wave({2, 4}, 0.35), wave({8, 2, 4}, 0.15), wave({2, 4}, 0.45)},
        {.differentiated = 7, .dots = 3});
}

}  // namespace
}  // namespace keras::layers
