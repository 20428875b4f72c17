// What lives here: tests of keras.quantizers; the numbers are Keras 3.15's.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <keras/core/function.h>
#include <keras/ops.h>
#include <keras/quantizers.h>
#include <keras/quantizers/quantizer.h>

namespace keras::quantizers {
namespace {

Tensor wave(const Shape& shape, double scale = 1, double phase = 0, double size = 1) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(size * std::sin(scale * static_cast<double>(i) + phase));
  return Tensor::from(v, shape);
}
void expect(const Tensor& got, DType dtype, const Shape& shape, const std::vector<double>& want) {
  EXPECT_STREQ(dtype_name(got.dtype()), dtype_name(dtype));
  ASSERT_EQ(got.shape(), shape);
  std::vector<double> g = got.to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], 1e-5 * (1 + std::abs(want[i]))) << i;
}

TEST(Quantizers, AbsMax) {
  auto [levels, scale] = abs_max_quantize(wave({2, 3}), -1);
  expect(levels, DType::Int8, {2, 3}, {0, 118, 127, 19, -100, -127});
  expect(scale, DType::Float32, {2, 1}, {139.66826, 132.44005});
}
TEST(Quantizers, GroupsWithZeroPoints) {
  Tensors r = abs_max_quantize_grouped_with_zero_point(wave({5, 2}), 2);
  expect(r[0], DType::Int8, {5, 2}, {-8, 7, 7, -5, -8, -8, -2, 7, 7, 7});
  expect(r[1], DType::Float32, {3, 2}, {0.06061984, 0.04669007, 0.03182581, 0.10772741, 0.06595723, 0.02747457});
  expect(r[2], DType::Int8, {3, 2}, {-8, -8, 7, 1, -8, -8});
  EXPECT_THROW(abs_max_quantize_grouped_with_zero_point(wave({5}), 2), ValueError);
  EXPECT_THROW(abs_max_quantize_grouped_with_zero_point(wave({5, 2}), 0), ValueError);
}
TEST(Quantizers, FakeQuantOfOneRange) {
  Tensor x = wave({6}, 1, 0.3, 2);
  std::vector<double> want{0.71428573, 1.4285715, 1.4285715, -0.35714287, -1.0714285, -1.0714285};
  expect(fake_quant_with_min_max_vars(x, -1.0, 1.5, 3), DType::Float32, {6}, want);
  expect(Function([](const Tensors& in) { return Tensors{fake_quant_with_min_max_vars(in[0], -1.0, 1.5, 3)}; })({x})[0], DType::Float32, {6}, want);
  EXPECT_THROW(fake_quant_with_min_max_vars(x, -1.0, 1.5, 0), ValueError);
}
TEST(Quantizers, FakeQuantPerChannelHasItsOwnGradient) {
  Tensor x = wave({2, 3}, 1, 0.3, 2), low = Tensor{-1.0, -0.5, -2.0}, high = Tensor{1.0, 0.5, 1.0}, up = wave({2, 3}, 0.7);
  GradientTape tape;
  for (const Tensor& t : {x, low, high}) tape.watch(t);
  Tensor y = fake_quant_with_min_max_vars(x, low, high, 4, false, 1);
  expect(y, DType::Float32, {2, 3}, {0.53333336, 0.53333336, 1.0000001, -0.26666668, -0.4666667, -1.6000001});
  Tensors g = tape.gradient(ops::sum(ops::multiply(y, up)), Tensors{x, low, high});
  expect(g[0], DType::Float32, {2, 3}, {0, 0, 0, 0.8632094, 0, -0.3507832});
  expect(g[1], DType::Float32, {3}, {0, 0.33498815, 0});
  expect(g[2], DType::Float32, {3}, {0, 0.6442177, 0.9854497});
}
TEST(Quantizers, Float8) {
  Tensor x = Tensor{0.1, -0.37, 3.3, 500.0, -1e-3, 0.0021, 1e-7};
  std::vector<double> narrow{0.1015625, -0.375, 3.25, 224, -0.0009765625, 0.001953125, 0}, wide{0.09375, -0.375, 3.5, 512, -0.0009765625, 0.001953125, 0};
  for (bool e4m3 : {true, false}) {
    auto f = [&](const Tensor& t) { return quantize_and_dequantize(t, 0.5, e4m3 ? "float8_e4m3fn" : "float8_e5m2", DType::Float32); };
    expect(f(x), DType::Float32, {7}, e4m3 ? narrow : wide);
    expect(Function([&](const Tensors& in) { return Tensors{f(in[0])}; })({x})[0], DType::Float32, {7}, e4m3 ? narrow : wide);
  }
  EXPECT_THROW(quantize_and_dequantize(x, 0.5, "float8", DType::Float32), ValueError);
  expect(compute_float8_scale(Tensor{2.0, 0.0, static_cast<double>(INFINITY)}, Tensor{0.5, 0.5, 0.25}, 448.0), DType::Float32, {3}, {0.0044642859, 0.5, 0.25});
  expect(compute_float8_amax_history(wave({2, 3}), Tensor{1.0, 2.0, 3.0}), DType::Float32, {3}, {0.9589243, 3, 1});
}
TEST(Quantizers, NibblesThereAndBack) {
  Tensor a = Tensor{{-3, 7}, {2, -8}, {1, 0}}.astype(DType::Int8);
  Packed p = pack_int4(a);
  expect(p.values, DType::Int8, {2, 2}, {45, -121, 1, 0});
  EXPECT_EQ(p.length, 3);
  expect(unpack_int4(p.values, 3), DType::Int8, {3, 2}, {-3, 7, 2, -8, 1, 0});
  Tensor b = Tensor{{13, 7, 2}, {8, 1, 0}}.astype(DType::UInt8);
  Packed q = pack_int4(b, -1, DType::UInt8);
  expect(q.values, DType::UInt8, {2, 2}, {125, 2, 24, 0});
  expect(unpack_int4(q.values, q.length, 1, DType::UInt8), DType::UInt8, {2, 3}, {13, 7, 2, 8, 1, 0});
  EXPECT_THROW(pack_int4(a, 0, DType::Int32), ValueError);
  EXPECT_THROW(pack_int4(b), TypeError);
  EXPECT_THROW(unpack_int4(wave({2, 2}), 3), TypeError);
}

TEST(Quantizers, Objects) {
  AbsMaxQuantizer q({.axis = {{0}}});
  auto [levels, scale] = q(wave({2, 3}));
  auto [want, want_scale] = abs_max_quantize(wave({2, 3}), 0);
  EXPECT_EQ(levels.to_vector<double>(), want.to_vector<double>());
  EXPECT_EQ(scale.shape(), (Shape{1, 3}));
  EXPECT_EQ(q(wave({2, 3}), Axes(-1)).second.shape(), (Shape{2, 1}));
  EXPECT_EQ(AbsMaxQuantizer()(wave({2, 3})).second.shape(), (Shape{2, 1}));
  Value saved = Dict{{"module", "keras.quantizers"},
                     {"class_name", "AbsMaxQuantizer"},
                     {"config", Dict{{"value_range", List{-127, 127}}, {"epsilon", 1e-7}, {"output_dtype", "int8"}, {"axis", List{0}}}},
                     {"registered_name", Value()}};
  EXPECT_EQ(serialize(q), saved);
  EXPECT_EQ(get(saved)->serialize(), saved);
  EXPECT_EQ(get("abs_max_quantizer")->class_name(), "AbsMaxQuantizer");
  EXPECT_EQ(get(Value()), nullptr);
  EXPECT_THROW(get("AbsMaxQuantiser"), ValueError);
  EXPECT_THROW(AbsMaxQuantizer({.value_range = {-300, 300}}), ValueError);
  EXPECT_THROW(Quantizer().get_config(), NotImplementedError);
}
TEST(Quantizers, Configurations) {
  Int8QuantizationConfig eight;
  EXPECT_EQ(eight.mode(), "int8");
  Value saved = eight.serialize();
  EXPECT_EQ(saved.get("config").get("activation_quantizer").get("class_name"), Value("AbsMaxQuantizer"));
  EXPECT_EQ(QuantizationConfig::get(saved)->serialize(), saved);
  EXPECT_EQ(QuantizationConfig::get("int4")->get_config().at("block_size"), Value(128));
  // Files from before there were groups.
  EXPECT_TRUE(QuantizationConfig::get(Dict{{"class_name", "Int4QuantizationConfig"}, {"config", Dict{}}})->get_config().at("block_size").is_null());
  EXPECT_EQ(QuantizationConfig::get("float8")->get_config(), Dict{});
  auto abs_max = std::make_shared<AbsMaxQuantizer>();
  EXPECT_THROW(Int4QuantizationConfig(nullptr, nullptr, 0), ValueError);
  EXPECT_THROW(Int4QuantizationConfig{abs_max}, ValueError);
  EXPECT_THROW((Int4QuantizationConfig{abs_max, nullptr, -1}), ValueError);
  EXPECT_THROW(Int8QuantizationConfig(std::make_shared<AbsMaxQuantizer>(AbsMaxQuantizerOptions{.output_dtype = "int16"})), ValueError);
  EXPECT_THROW(QuantizationConfig::get("int3"), ValueError);
}

}  // namespace
}  // namespace keras::quantizers
