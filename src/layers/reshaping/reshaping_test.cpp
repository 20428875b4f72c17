// What lives here: tests of the reshaping layers.
#include <gtest/gtest.h>

#include <keras/layers/core/input_layer.h>
#include <keras/layers/reshaping/reshape.h>
#include <keras/layers/reshaping/spatial.h>

#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

TEST(FlattenTest, Everything) {
  check_layer([] { return Flatten(); }, {.input_shapes = {{2, 3, 4, 2}}, .unknown_axes = {1}, .output_shapes = {{2, 24}}, .supports_masking = false, .keras_config = keras_config_text("flatten", R"("data_format": "channels_last")")});
  check_layer([] { return Flatten({.data_format = "channels_first"}); }, {.input_shapes = {{2, 3, 4, 2}}, .output_shapes = {{2, 24}}});
  check_layer([] { return Flatten(); }, {.input_shapes = {{3}}, .output_shapes = {{3, 1}}});
  EXPECT_EQ(Flatten({.data_format = "channels_first"})(Tensor{{{1.0, 2.0}, {3.0, 4.0}}}).to_vector<double>(), (std::vector<double>{1, 3, 2, 4}));
  EXPECT_THROW(Flatten({.data_format = "channel_last"}), ValueError);
}

TEST(ReshapeTest, Everything) {
  check_layer([] { return Reshape({2, -1}); }, {.input_shapes = {{2, 3, 4}}, .output_shapes = {{2, 2, 6}}, .keras_config = keras_config_text("reshape", R"("target_shape": [2, -1])")});
  check_layer([] { return Reshape({-1, 2}); }, {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 6, 2}}});
  check_layer([] { return Reshape({12}); }, {.input_shapes = {{2, 3, 4}}, .output_shapes = {{2, 12}}});
  EXPECT_THROW(Reshape({-1, -1}), ValueError);
  EXPECT_THROW(Reshape({-2, 3}), ValueError);
  EXPECT_THROW(Reshape({5})(Tensor::full({2, 6}, 1)), ValueError);
  EXPECT_THROW(Reshape({5, -1})(Tensor::full({2, 6}, 1)), ValueError);
}

TEST(PermuteTest, Everything) {
  check_layer([] { return Permute({2, 1}); }, {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 4, 3}}, .keras_config = keras_config_text("permute", R"("dims": [2, 1])")});
  check_layer([] { return Permute({3, 1, 2}); }, {.input_shapes = {{2, 3, 4, 5}}, .output_shapes = {{2, 5, 3, 4}}});
  EXPECT_THROW(Permute({0, 1}), ValueError);
  EXPECT_THROW(Permute({1, 3}), ValueError);
  EXPECT_THROW(Permute({2, 1})(Tensor::full({2, 3}, 1)), ValueError);
}

TEST(RepeatVectorTest, Everything) {
  check_layer([] { return RepeatVector(3); }, {.input_shapes = {{2, 5}}, .output_shapes = {{2, 3, 5}}, .keras_config = keras_config_text("repeat_vector", R"("n": 3)")});
  EXPECT_THROW(RepeatVector(0), ValueError);
  EXPECT_THROW(RepeatVector(2)(Tensor::full({2, 3, 4}, 1)), ValueError);
}

TEST(ZeroPaddingTest, Everything) {
  check_layer([] { return ZeroPadding1D(2); }, {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 7, 4}}, .supports_masking = false,
                                                .keras_config = keras_config_text("zero_padding1d", R"("padding": [2, 2], "data_format": "channels_last")")});
  check_layer([] { return ZeroPadding1D({1, 2}, {.data_format = "channels_first"}); }, {.input_shapes = {{2, 3, 4}}, .output_shapes = {{2, 3, 7}}});
  check_layer([] { return ZeroPadding2D({1, 2}); }, {.input_shapes = {{2, 3, 4, 2}}, .unknown_axes = {1, 2}, .output_shapes = {{2, 5, 8, 2}},
                                                     .keras_config = keras_config_text("zero_padding2d", R"("padding": [[1, 1], [2, 2]], "data_format": "channels_last")")});
  check_layer([] { return ZeroPadding2D({{1, 2}, {3, 4}}, {.data_format = "channels_first"}); }, {.input_shapes = {{2, 2, 3, 4}}, .output_shapes = {{2, 2, 6, 11}}});
  check_layer([] { return ZeroPadding3D(); }, {.input_shapes = {{1, 2, 3, 4, 2}}, .output_shapes = {{1, 4, 5, 6, 2}},
                                               .keras_config = keras_config_text("zero_padding3d", R"("padding": [[1, 1], [1, 1], [1, 1]], "data_format": "channels_last")")});
  check_layer([] { return ZeroPadding3D({{1, 0}, {0, 2}, {1, 1}}); }, {.input_shapes = {{1, 2, 3, 4, 2}}, .output_shapes = {{1, 3, 5, 6, 2}}});
  EXPECT_EQ(ZeroPadding1D({1, 2})(Tensor{{{5}, {6}}}).to_vector<int>(), (std::vector<int>{0, 5, 6, 0, 0}));
  EXPECT_THROW(ZeroPadding2D({1, 2, 3}), ValueError);
  EXPECT_THROW(ZeroPadding2D(-1), ValueError);
  EXPECT_THROW(ZeroPadding2D(1, {.data_format = "NHWC"}), ValueError);
}

TEST(CroppingTest, Everything) {
  check_layer([] { return Cropping1D(); }, {.input_shapes = {{2, 5, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .keras_config = keras_config_text("cropping1d", R"("cropping": [1, 1])")});
  check_layer([] { return Cropping1D({0, 2}); }, {.input_shapes = {{2, 5, 4}}, .output_shapes = {{2, 3, 4}}});
  check_layer([] { return Cropping2D(1); }, {.input_shapes = {{2, 5, 4, 2}}, .unknown_axes = {1, 2}, .output_shapes = {{2, 3, 2, 2}},
                                             .keras_config = keras_config_text("cropping2d", R"("cropping": [[1, 1], [1, 1]], "data_format": "channels_last")")});
  check_layer([] { return Cropping2D({{1, 0}, {0, 2}}, {.data_format = "channels_first"}); }, {.input_shapes = {{2, 2, 5, 4}}, .output_shapes = {{2, 2, 4, 2}}});
  check_layer([] { return Cropping3D(); }, {.input_shapes = {{1, 3, 4, 5, 2}}, .output_shapes = {{1, 1, 2, 3, 2}},
                                            .keras_config = keras_config_text("cropping3d", R"("cropping": [[1, 1], [1, 1], [1, 1]], "data_format": "channels_last")")});
  EXPECT_EQ(Cropping1D({1, 2})(Tensor{{{1}, {2}, {3}, {4}}}).to_vector<int>(), (std::vector<int>{2}));
  EXPECT_EQ(Cropping1D({1, 2})(Input({None, 3})).shape(), (Shape{None, None, 3}));
  EXPECT_THROW(Cropping1D({2, 2})(Tensor::full({1, 4, 1}, 1)), ValueError);
  EXPECT_THROW(Cropping2D({3, 1})(Input({5, 5, 1})), ValueError);
}

TEST(UpSamplingTest, Everything) {
  check_layer([] { return UpSampling1D(); }, {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 6, 4}}, .keras_config = keras_config_text("up_sampling1d", R"("size": 2)")});
  check_layer([] { return UpSampling2D({2, 3}); }, {.input_shapes = {{2, 3, 2, 2}}, .unknown_axes = {1, 2}, .output_shapes = {{2, 6, 6, 2}},
                                                    .keras_config = keras_config_text("up_sampling2d", R"("size": [2, 3], "data_format": "channels_last", "interpolation": "nearest")")});
  check_layer([] { return UpSampling2D(2, {.data_format = "channels_first"}); }, {.input_shapes = {{2, 2, 3, 2}}, .output_shapes = {{2, 2, 6, 4}}});
  check_layer([] { return UpSampling3D({2, 1, 2}); }, {.input_shapes = {{1, 2, 3, 2, 2}}, .output_shapes = {{1, 4, 3, 4, 2}},
                                                       .keras_config = keras_config_text("up_sampling3d", R"("size": [2, 1, 2], "data_format": "channels_last")")});
  check_layer([] { return UpSampling3D(2, {.data_format = "channels_first"}); }, {.input_shapes = {{1, 2, 2, 3, 2}}, .output_shapes = {{1, 2, 4, 6, 4}}});
  EXPECT_EQ(UpSampling1D(2)(Tensor{{{1}, {2}}}).to_vector<int>(), (std::vector<int>{1, 1, 2, 2}));
  EXPECT_THROW(UpSampling1D(0), ValueError);
  EXPECT_THROW(UpSampling2D(2, {.interpolation = "linear"}), ValueError);
}
TEST(UpSamplingTest, Interpolation) {
  for (const char* how : {"bilinear", "bicubic"}) {
    check_layer([=] { return UpSampling2D(2, {.interpolation = how}); }, {.input_shapes = {{2, 3, 2, 2}}, .unknown_axes = {1, 2}, .output_shapes = {{2, 6, 4, 2}}});
    check_layer([=] { return UpSampling2D({2, 3}, {.data_format = "channels_first", .interpolation = how}); }, {.input_shapes = {{2, 2, 3, 2}}, .output_shapes = {{2, 2, 6, 6}}});
  }
}

}  // namespace
}  // namespace keras::layers
