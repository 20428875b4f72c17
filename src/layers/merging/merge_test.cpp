// What lives here: tests of the merging layers.
#include <gtest/gtest.h>

#include <keras/layers/core/input_layer.h>
#include <keras/layers/merging/merge.h>

#include "core/impl.h"
#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

template <class L> void check_elementwise(const char* name, size_t most) {
  check_layer([] { return L(); }, {.input_shapes = {{2, 3, 4}, {2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 0, .supports_masking = true, .keras_config = keras_config_text(name)});
  check_layer([] { return L(); }, {.input_shapes = {{2, 3, 4}, {2, 1, 4}}, .draw_masks = false, .output_shapes = {{2, 3, 4}}});
  check_layer([] { return L(); }, {.input_shapes = {{2, 4}, {2, 3, 4}}, .draw_masks = false, .output_shapes = {{2, 3, 4}}});
  if (most > 2) check_layer([] { return L(); }, {.input_shapes = {{2, 3}, {2, 3}, {2, 1}, {2, 3}}, .output_shapes = {{2, 3}}});
}
TEST(MergeTest, Add) { check_elementwise<Add>("add", 4); }
TEST(MergeTest, Subtract) { check_elementwise<Subtract>("subtract", 2); }
TEST(MergeTest, Multiply) { check_elementwise<Multiply>("multiply", 4); }
TEST(MergeTest, Average) { check_elementwise<Average>("average", 4); }
TEST(MergeTest, Maximum) { check_elementwise<Maximum>("maximum", 4); }
TEST(MergeTest, Minimum) { check_elementwise<Minimum>("minimum", 4); }

TEST(MergeTest, MaskedNumbersOfKeras) {
  Tensor a = {{{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}}}, b = {{{10.0, 0.0}, {-1.0, 9.0}, {7.0, 1.0}}};
  Tensor ma = {{true, false, false}}, mb = {{true, true, false}};
  auto run = [&](const Layer& l) { return l(Tensors{core::with_mask(a, ma), core::with_mask(b, mb)}); };
  struct Row {
    Layer layer;
    std::vector<double> want;
  };
  for (const Row& r : {Row{Maximum(), {10, 2, -1, 9, 5, 6}}, Row{Minimum(), {1, 0, -1, 9, 5, 6}}, Row{Multiply(), {10, 0, -1, 9, 0, 0}}, Row{Add(), {11, 2, 2, 13, 12, 7}},
                       Row{Average(), {5.5, 1, 1, 6.5, 6, 3.5}}, Row{Subtract(), {-9, 2, 4, -5, -2, 5}}}) {
    SCOPED_TRACE(r.layer.class_name());
    Tensor y = run(r.layer);
    EXPECT_EQ(y.to_vector<double>(), r.want);
    EXPECT_EQ(core::mask_of(y).to_vector<int>(), (std::vector<int>{1, 1, 0}));
  }
  // With one mask missing there is none.
  Tensor y = Maximum()(Tensors{core::with_mask(a, ma), b});
  EXPECT_FALSE(core::mask_of(y).defined());
}

TEST(MergeTest, SymbolicShapesOfKeras) {
  EXPECT_EQ(Add()(Tensors{Input({None, 4}), Input({5, 4})}).shape(), (Shape{None, None, 4}));
  EXPECT_EQ(Add()(Tensors{Input({5, 4}), Input({.batch_shape = Shape{3, 1, 4}})}).shape(), (Shape{3, 5, 4}));
  EXPECT_EQ(Concatenate(1)(Tensors{Input({None, 4}), Input({5, 4})}).shape(), (Shape{None, None, 4}));
  EXPECT_EQ(Concatenate(1)(Tensors{Input({2, 4}), Input({5, 4})}).shape(), (Shape{None, 7, 4}));
}

TEST(MergeTest, Mistakes) {
  Tensor a = Tensor::full({2, 3}, 1), b = Tensor::full({2, 4}, 1), c = Tensor::full({3, 3}, 1);
  EXPECT_THROW(Add()(Tensors{a, b}), ValueError);
  EXPECT_THROW(Add()(Tensors{a, c}), ValueError);
  EXPECT_THROW(Add()(Tensors{}), ValueError);
  EXPECT_THROW(Subtract()(Tensors{a, a, a}), ValueError);
  EXPECT_THROW(Concatenate()(Tensors{a, c}), ValueError);
  EXPECT_THROW(Concatenate(5)(Tensors{a, b}), ValueError);
  EXPECT_THROW(Dot(1)(Tensors{a, b}), ValueError);
  EXPECT_THROW(Dot(0)(Tensors{a, a}), ValueError);
  EXPECT_THROW(Dot(1)(Tensors{a}), ValueError);
  EXPECT_THROW(Dot({1, 1, 1}), ValueError);
}

TEST(ConcatenateTest, Everything) {
  check_layer([] { return Concatenate(1); }, {.input_shapes = {{2, 3, 4}, {2, 2, 4}, {2, 1, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 6, 4}}, .supports_masking = true,
                                              .keras_config = keras_config_text("concatenate", R"("axis": 1)")});
  check_layer([] { return Concatenate(); }, {.input_shapes = {{2, 3, 4}, {2, 3, 2}}, .output_shapes = {{2, 3, 6}}, .keras_config = keras_config_text("concatenate", R"("axis": -1)")});
  check_layer([] { return Concatenate({.axis = -2}); },
              {.input_shapes = {{1, 2, 3}, {1, 3, 3}}, .masks = {Tensor{{true, false}}, Tensor()}, .output_shapes = {{1, 5, 3}}, .output_masks = Tensors{Tensor{{true, false, true, true, true}}}});
}

TEST(DotTest, Everything) {
  check_layer([] { return Dot(1); }, {.input_shapes = {{2, 3}, {2, 3}}, .output_shapes = {{2, 1}}, .supports_masking = true, .keras_config = keras_config_text("dot", R"("axes": 1, "normalize": false)")});
  check_layer([] { return Dot({1, 2}, {.normalize = true}); },
              {.input_shapes = {{2, 3, 4}, {2, 5, 3}}, .output_shapes = {{2, 4, 5}}, .keras_config = keras_config_text("dot", R"("axes": [1, 2], "normalize": true)")});
  check_layer([] { return Dot({2, 1}); }, {.input_shapes = {{2, 3, 4}, {2, 4, 5}}, .output_shapes = {{2, 3, 5}}});
  check_layer([] { return Dot(-1); }, {.input_shapes = {{2, 4}, {2, 3, 4}}, .output_shapes = {{2, 3}}});
  check_layer([] { return Dot({3, 1}); }, {.input_shapes = {{2, 3, 2, 4}, {2, 4, 5}}, .unknown_axes = {2}, .output_shapes = {{2, 3, 2, 5}}});
}

TEST(MergeTest, FunctionForms) {
  Tensor a = {{1.0, 2.0}}, b = {{3.0, 5.0}};
  EXPECT_EQ(add({a, b, a}).to_vector<double>(), (std::vector<double>{5, 9}));
  EXPECT_EQ(subtract({a, b}).to_vector<double>(), (std::vector<double>{-2, -3}));
  EXPECT_EQ(multiply({a, b}).to_vector<double>(), (std::vector<double>{3, 10}));
  EXPECT_EQ(average({a, b}).to_vector<double>(), (std::vector<double>{2, 3.5}));
  EXPECT_EQ(maximum({a, b}).to_vector<double>(), (std::vector<double>{3, 5}));
  EXPECT_EQ(minimum({a, b}).to_vector<double>(), (std::vector<double>{1, 2}));
  EXPECT_EQ(concatenate({a, b}).to_vector<double>(), (std::vector<double>{1, 2, 3, 5}));
  EXPECT_EQ(concatenate({a, b}, 0).shape(), (Shape{2, 2}));
  EXPECT_EQ(dot({a, b}).to_vector<double>(), (std::vector<double>{13}));
  EXPECT_EQ(add({Input({3}), Input({3})}, {.name = "sum"}).shape(), (Shape{None, 3}));
}

}  // namespace
}  // namespace keras::layers
