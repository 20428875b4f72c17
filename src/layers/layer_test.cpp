// What lives here: tests of what all layers do: dtypes of their own classes under mixed precision, defaults of the process' settings,
// calls on given values. Numbers are those of Keras 3.15 on JAX.
#include <gtest/gtest.h>

#include <keras/config.h>
#include <keras/core/function.h>
#include <keras/layers/convolutional/conv.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/layer.h>
#include <keras/layers/pooling/pooling.h>
#include <keras/layers/reshaping/reshape.h>
#include <keras/layers/rnn/rnn.h>
#include <keras/ops.h>

#include "layers/layer_impl.h"
#include "layers/registry.h"

namespace keras::layers {
namespace {

const Tensor kKernel = {{0.1, -0.7}, {0.33, 0.21}, {-0.9, 0.123456}};
const Tensor kInput = {{1.2345678, -0.5, 2.0}, {0.1, 0.2, 0.3}};

/// A layer of one's own that notes the dtypes that its call sees.
struct Lin : Layer {
  Variable w, b, count;
  struct Seen {
    DType x, w, b, count;
  } seen{};
  explicit Lin(const std::string& dtype) : Layer("Lin", "", true, dtype) {}
  void build(const Shape&) override {
    w = add_weight({.name = "w", .shape = {3, 2}, .initializer = initializers::Constant(kKernel)});
    b = add_weight({.name = "b", .shape = {2}, .initializer = "ones", .autocast = false});
    count = add_weight({.name = "count", .shape = {}, .initializer = initializers::Constant(1.001), .trainable = false});
  }
  Tensor call(const Tensor& x) override {
    seen = {x.dtype(), w.dtype(), b.dtype(), count.dtype()};
    EXPECT_EQ(w.value().dtype(), w.dtype());
    count.assign_add(0.001);
    return ops::matmul(x, w) + ops::cast(b, x.dtype());
  }
};
void expect_seen(const Lin& l, DType x, DType w, DType b, DType count) {
  EXPECT_EQ(l.seen.x, x);
  EXPECT_EQ(l.seen.w, w);
  EXPECT_EQ(l.seen.b, b);
  EXPECT_EQ(l.seen.count, count);
}
void expect_values(const Tensor& y, DType dtype, const std::vector<double>& expected, double tolerance) {
  EXPECT_EQ(y.dtype(), dtype);
  std::vector<double> got = y.to_vector<double>();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance) << i;
}

constexpr DType f16 = DType::Float16, bf16 = DType::BFloat16, f32 = DType::Float32;

TEST(MixedPrecisionTest, OwnLayersReadTheirWeightsInTheComputeDtype) {
  Lin full("float32");
  expect_values(full(kInput), f32, {-0.8415431976318359, 0.2777145504951477, 0.8059999942779541, 1.0090367794036865}, 1e-6);
  expect_seen(full, f32, f32, f32, f32);
  EXPECT_NEAR(full.count.value().item(), 1.002000093460083, 1e-7);

  Lin mixed("mixed_bfloat16");
  expect_values(mixed(kInput), bf16, {-0.8359375, 0.27734375, 0.8046875, 1.0078125}, 4e-3);
  expect_seen(mixed, bf16, bf16, f32, bf16);
  EXPECT_EQ(mixed.count.value().item(), 1.0);  // the sum was made in the short float, as Keras makes it
  EXPECT_EQ(mixed.w.dtype(), f32);
  EXPECT_EQ(mixed.w.value().dtype(), f32);

  Lin half("mixed_float16");
  expect_values(half(kInput), f16, {-0.841796875, 0.27783203125, 0.80615234375, 1.0087890625}, 5e-4);
  expect_seen(half, f16, f16, f32, f16);
  EXPECT_EQ(half.count.value().item(), 1.001953125);

  Lin pure("bfloat16");
  expect_values(pure(kInput), bf16, {-0.8359375, 0.27734375, 0.8046875, 1.0078125}, 4e-3);
  expect_seen(pure, bf16, bf16, bf16, bf16);
}

TEST(MixedPrecisionTest, WithoutAutocastInputsStayAndOutsideOfOthersOnlyThey) {
  Lin l("mixed_bfloat16");
  l.set_autocast(false);
  EXPECT_FALSE(l.autocast());
  expect_values(l(kInput), f32, {-0.838336706161499, 0.27885693311691284, 0.8064941167831421, 1.009130835533142}, 1e-6);
  expect_seen(l, f32, bf16, f32, bf16);
}

/// A layer of one's own with another inside.
template <class Inner> struct Outer : Layer {
  Inner inner;
  Variable g;
  DType y = f32, own = f32, others = f32;
  Outer(Inner inner, const std::string& dtype) : Layer("Outer", "", true, dtype), inner(std::move(inner)) {}
  void build(const Shape&) override { g = add_weight({.name = "g", .shape = {}, .initializer = "ones"}); }
  Tensor call(const Tensor& x) override {
    Tensor out = inner(x);
    y = out.dtype(), own = g.dtype(), others = inner.weights()[0].dtype();
    return out * ops::cast(g, out.dtype());
  }
};

TEST(MixedPrecisionTest, LayersWithinFollowTheirOwnPolicies) {
  {
    auto inner = make<Lin>("float32");
    Outer<Ref<Lin>> outer(inner, "mixed_bfloat16");
    EXPECT_EQ(outer(kInput).dtype(), f32);
    EXPECT_EQ(outer.own, bf16);
    EXPECT_EQ(outer.others, bf16);  // read by the outer layer
    expect_seen(*inner, f32, f32, f32, f32);
  }
  {
    auto inner = make<Lin>("mixed_float16");
    Outer<Ref<Lin>> outer(inner, "mixed_bfloat16");
    EXPECT_EQ(outer(kInput).dtype(), f16);
    expect_seen(*inner, f16, f16, f32, f16);
  }
  {
    auto inner = make<Lin>("mixed_bfloat16");
    inner->set_autocast(false);
    Outer<Ref<Lin>> outer(inner, "mixed_bfloat16");
    EXPECT_EQ(outer(kInput).dtype(), f32);
    expect_seen(*inner, bf16, f32, f32, f32);  // the input was cast by the outer one
  }
  {
    auto inner = make<Lin>("mixed_bfloat16");
    Outer<Ref<Lin>> outer(inner, "float32");
    EXPECT_EQ(outer(kInput).dtype(), bf16);
    EXPECT_EQ(outer.own, f32);
    EXPECT_EQ(outer.others, f32);
  }
  Outer<Dense> outer(Dense(2, {.dtype = "float32"}), "mixed_bfloat16");
  EXPECT_EQ(outer(kInput).dtype(), f32);
}

TEST(MixedPrecisionTest, SymbolicCallsAndCellsAsWell) {
  auto l = make<Lin>("mixed_bfloat16");
  EXPECT_EQ(l(Input({3})).dtype(), bf16);
  expect_seen(*l, bf16, bf16, f32, bf16);
  struct Cell : RNNCell {
    Variable w;
    DType x = f32, read = f32, state = f32;
    Cell() : RNNCell("Cell", "", true, "mixed_bfloat16") {}
    std::vector<int64_t> state_size() const override { return {2}; }
    void build(const Shape&) override {
      w = add_weight({.name = "w", .shape = {3, 2}, .initializer = initializers::Constant(kKernel)});
    }
    std::pair<Tensor, Tensors> call(const Tensor& in, const Tensors& states, bool) override {
      x = in.dtype(), read = w.dtype(), state = states[0].dtype();
      Tensor y = ops::matmul(in, w) + states[0];
      return {y, {y}};
    }
  };
  auto cell = make<Cell>();
  Tensor y = RNN(cell, {.dtype = "mixed_bfloat16"})(ops::expand_dims(kInput, 0));
  expect_values(y, bf16, {-2.03125, -0.71484375}, 2e-2);
  EXPECT_EQ(cell->x, bf16);
  EXPECT_EQ(cell->read, bf16);
  EXPECT_EQ(cell->state, bf16);
}

TEST(LayerTest, DefaultsFollowTheSettings) {
  config::clear_session();
  config::set_image_data_format("channels_first");
  Conv2D conv(4, 3, {.padding = "same"});
  Tensor images = ops::ones({2, 3, 8, 6});
  EXPECT_EQ(conv(images).shape(), (Shape{2, 4, 8, 6}));
  EXPECT_EQ(MaxPooling2D(2)(images).shape(), (Shape{2, 3, 4, 3}));
  EXPECT_EQ(ops::max_pool(images, 2).shape(), (Shape{2, 3, 4, 3}));
  config::set_image_data_format("channels_last");
  EXPECT_EQ(conv(images).shape(), (Shape{2, 4, 8, 6}));
  EXPECT_EQ(conv.get_config().at("data_format"), Value("channels_first"));
  EXPECT_EQ(ops::max_pool(images, 2).shape(), (Shape{2, 1, 4, 6}));

  config::clear_session();
  config::set_floatx("float64");
  EXPECT_EQ(Dense(2)(ops::ones({1, 3})).dtype(), DType::Float64);
  EXPECT_EQ(Embedding(3, 2)(Tensor{{1, 2}}).dtype(), DType::Float64);
  EXPECT_EQ(Input({2}).dtype(), DType::Float64);
  config::set_floatx("float32");
  config::clear_session();
  EXPECT_EQ(Dense(2).dtype_policy().name(), "float32");
  EXPECT_EQ(Dense(2, {.dtype = DTypePolicy("mixed_float16")}).compute_dtype(), f16);
}

TEST(LayerTest, StatelessCallLeavesTheVariables) {
  Lin l("float32");
  EXPECT_THROW(l.stateless_call({}, {}, {kInput}), ValueError);
  l(kInput);
  auto [out, state] = l.stateless_call({kKernel * 2, ops::zeros({2})}, {Tensor(5.0)}, {kInput});
  expect_values(out, f32, {-3.683086395263672, -1.4445708990097046, -0.3880000114440918, 0.01807360164821148}, 1e-6);
  ASSERT_EQ(state.size(), 1u);
  EXPECT_NEAR(state[0].item(), 5.000999927520752, 1e-6);
  EXPECT_NEAR(l.count.value().item(), 1.002000093460083, 1e-7);
  EXPECT_EQ(l.b.value().to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_THROW(l.stateless_call({kKernel}, {Tensor(5.0)}, {kInput}), ValueError);
  EXPECT_THROW(l.stateless_call({kKernel, ops::zeros({3})}, {Tensor(5.0)}, {kInput}), ValueError);
  EXPECT_THROW(l.stateless_call({kKernel, ops::zeros({2})}, {}, {kInput}), ValueError);
}

TEST(LayerTest, WhatItSaysOfItself) {
  Dense d(2, {.name = "d"});
  EXPECT_EQ(d.get_config(), d.config());
  EXPECT_TRUE(d.get_build_config().is_null());
  d.build_for({None, 3});
  EXPECT_EQ(d.get_build_config(), Value(Dict{{"input_shape", Value(Shape{None, 3})}}));
  Dense again(2);
  again.build_from_config(d.get_build_config());
  EXPECT_EQ(again.weights()[0].shape(), (Shape{3, 2}));
  EXPECT_EQ(again.input_dtype(), f32);
  Lin l("float32");
  l.set_input_spec({{.ndim = 2, .axes = {{-1, 3}}}});
  EXPECT_EQ(l.input_spec().size(), 1u);
  EXPECT_THROW(l(ops::ones({1, 4})), ValueError);
}

TEST(LayerTest, ActivityRegularizerOfAnySavedLayer) {
  Value l2 = Dict{{"module", "keras.regularizers"}, {"class_name", "L2"}, {"config", Dict{{"l2", 0.5}}}, {"registered_name", Value()}};
  auto saved = [&](const char* cls, Dict config) {
    config.set("activity_regularizer", l2);
    return deserialize(Dict{{"module", "keras.layers"}, {"class_name", cls}, {"config", config}, {"registered_name", Value()}});
  };
  auto penalties = [](const Layer& layer, const Tensors& inputs) {
    Tensors losses;
    CallScope scope(nullptr, false, &losses);
    layer(inputs);
    return losses;
  };
  Layer relu = saved("ReLU", {{"name", "r"}});
  EXPECT_EQ(relu.config().at("activity_regularizer"), l2);
  Tensors got = penalties(relu, {Tensor{{1.0, -2.0}, {3.0, 0.0}}});
  ASSERT_EQ(got.size(), 1u);
  EXPECT_FLOAT_EQ(got[0].item(), 0.5 * 10 / 2);
  // Attention gives it to its parts, the grouped one has it itself as well.
  Tensor q = ops::ones({1, 2, 4});
  EXPECT_EQ(penalties(saved("MultiHeadAttention", {{"num_heads", 2}, {"key_dim", 2}}), {q, q}).size(), 4u);
  EXPECT_EQ(penalties(saved("GroupQueryAttention", {{"head_dim", 2}, {"num_query_heads", 2}, {"num_key_value_heads", 1}}), {q, q}).size(), 5u);
}

/// Adds its number, and calls what it holds.
struct Adds : Layer {
  double number;
  std::vector<Layer> held;
  Adds(double n, const std::vector<Layer>& h = {}) : Layer("Adds"), number(n), held(h) {
    for (size_t i = 0; i < held.size(); ++i) track("held" + std::to_string(i), held[i]);
  }
  Tensor call(const Tensor& x) override {
    Tensor y = x;
    for (const Layer& l : held) y = l(y);
    add_loss(ops::mean(x) * number);
    return y;
  }
};

TEST(LayerTest, LossesStandAsKerasListsThem) {
  auto numbers = [](const Layer& l) {
    std::vector<double> out;
    for (const Tensor& loss : l.losses()) out.push_back(loss.item());
    return out;
  };
  using V = std::vector<double>;
  Adds b(2), c(3), inner(0, {b, c}), e(5), inner2(0, {e, inner}), a(1), d(4), m(0, {a, inner2, d});
  Tensor x = ops::ones({1, 1});
  EXPECT_EQ(numbers(m), V{});
  for (int i = 0; i < 2; ++i) {  // the second call begins anew
    m(x);
    EXPECT_EQ(numbers(m), (V{0, 1, 0, 0, 3, 2, 5, 4}));
  }
  EXPECT_EQ(numbers(inner2), (V{0, 5, 0, 3, 2}));
  a(x * 2);  // a call of a part alone
  EXPECT_EQ(numbers(m), (V{0, 2, 0, 0, 3, 2, 5, 4}));
  // In a trace they are its values; nothing of it stays.
  Function step([&](const Tensors& in) {
    m(in[0]);
    Tensor sum = Tensor::full({}, 0.0);
    for (const Tensor& loss : m.losses()) sum = sum + loss;
    return Tensors{sum};
  });
  EXPECT_EQ(step({x * 2})[0].item(), 30);
  EXPECT_EQ(numbers(m), V{});
  Tensor in = core::make_symbolic({DType::Float32, Shape{None, 1}}, "x");
  m(in);
  EXPECT_EQ(numbers(m), V{});
  Dense penalised(1, {.kernel_initializer = "ones", .kernel_regularizer = regularizers::L1(10), .activity_regularizer = regularizers::L2(7)});
  penalised(x);
  EXPECT_EQ(numbers(penalised), (V{7, 10}));
}

}  // namespace
}  // namespace keras::layers
