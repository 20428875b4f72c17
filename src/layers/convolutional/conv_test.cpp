// What lives here: tests of the convolution layers.
#include <gtest/gtest.h>

#include <keras/layers/convolutional/conv.h>

#include "support/check_layer.h"
#include "support/layer_cases.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

const std::string kInitializers =
    R"("kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
    R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": null})";
const std::string kNone =
    R"("kernel_regularizer": null, "bias_regularizer": null, "activity_regularizer": null, "kernel_constraint": null, "bias_constraint": null)";

TEST(ConvTest, Everything) {
  check_layer(
      [] { return Conv1D(4, 3, {.padding = "causal", .activation = "relu"}); },
      {.input_shapes = {{2, 6, 3}},
       .unknown_axes = {1},
       .output_shapes = {{2, 6, 4}},
       .num_trainable_weights = 2,
       .count_params = 40,
       .supports_masking = false,
       .keras_config = keras_config_text(
           "conv1d",
           R"("filters": 4, "kernel_size": [3], "strides": [1], "padding": "causal", "data_format": "channels_last", "dilation_rate": [1], "groups": 1, "activation": "relu", "use_bias": true, )" +
               kInitializers + ", " + kNone)});
  check_layer(
      [] {
        return Conv2D(4, {3, 2}, {.strides = {2, 1}, .padding = "same"});
      },
      {.input_shapes = {{2, 5, 6, 3}}, .unknown_axes = {1, 2}, .output_shapes = {{2, 3, 6, 4}}, .count_params = 76});
  check_layer([] { return Conv2D(4, 3, {.dilation_rate = 2, .groups = 2, .use_bias = false}); },
              {.input_shapes = {{2, 7, 6, 2}}, .output_shapes = {{2, 3, 2, 4}}, .num_trainable_weights = 1, .count_params = 36});
  check_layer([] { return Conv2D(2, 3, {.data_format = "channels_first", .kernel_regularizer = "l2"}); },
              {.input_shapes = {{2, 3, 5, 6}}, .output_shapes = {{2, 2, 3, 4}}, .count_params = 56});
  check_layer([] { return Conv3D(2, 2, {.strides = 2}); },
              {.input_shapes = {{2, 4, 5, 4, 3}}, .output_shapes = {{2, 2, 2, 2, 2}}, .count_params = 50});
}
TEST(ConvTest, Depthwise) {
  check_layer([] { return DepthwiseConv1D(3, {.depth_multiplier = 2}); },
              {.input_shapes = {{2, 6, 3}}, .unknown_axes = {1}, .output_shapes = {{2, 4, 6}}, .count_params = 24});
  check_layer([] { return DepthwiseConv2D(3, {.strides = 2, .padding = "same", .activation = "tanh"}); },
              {.input_shapes = {{2, 5, 6, 3}}, .output_shapes = {{2, 3, 3, 3}}, .count_params = 30});
  check_layer([] { return DepthwiseConv2D(2, {.data_format = "channels_first"}); },
              {.input_shapes = {{2, 3, 4, 4}}, .output_shapes = {{2, 3, 3, 3}}, .count_params = 15});
}
TEST(ConvTest, Separable) {
  check_layer([] { return SeparableConv1D(5, 3, {.padding = "same", .depth_multiplier = 2}); },
              {.input_shapes = {{2, 6, 3}}, .output_shapes = {{2, 6, 5}}, .num_trainable_weights = 3, .count_params = 53});
  check_layer([] { return SeparableConv2D(4, 2, {.strides = 2, .use_bias = false}); },
              {.input_shapes = {{2, 5, 6, 3}}, .output_shapes = {{2, 2, 3, 4}}, .num_trainable_weights = 2, .count_params = 24});
}
TEST(ConvTest, Transposed) {
  check_layer([] { return Conv1DTranspose(4, 3, {.strides = 2}); },
              {.input_shapes = {{2, 5, 3}}, .unknown_axes = {1}, .output_shapes = {{2, 11, 4}}, .count_params = 40});
  check_layer([] { return Conv2DTranspose(2, 3, {.strides = 2, .padding = "same", .output_padding = Sizes(1)}); },
              {.input_shapes = {{2, 3, 4, 3}}, .output_shapes = {{2, 6, 8, 2}}, .count_params = 56});
  check_layer([] { return Conv2DTranspose(2, 2, {.data_format = "channels_first"}); },
              {.input_shapes = {{2, 3, 3, 4}}, .output_shapes = {{2, 2, 4, 5}}, .count_params = 26});
  check_layer([] { return Conv3DTranspose(2, 2, {.padding = "same"}); },
              {.input_shapes = {{2, 2, 3, 2, 3}}, .output_shapes = {{2, 2, 3, 2, 2}}, .count_params = 50});
}
TEST(ConvTest, Mistakes) {
  EXPECT_THROW(Conv2D(0, 3), ValueError);
  EXPECT_THROW(Conv2D(2, {3, 3, 3}), ValueError);
  EXPECT_THROW(Conv2D(2, 0), ValueError);
  EXPECT_THROW(Conv2D(2, 3, {.strides = 0}), ValueError);
  EXPECT_THROW(Conv2D(2, 3, {.strides = 2, .dilation_rate = 2}), ValueError);
  EXPECT_THROW(Conv2D(3, 3, {.groups = 2}), ValueError);
  EXPECT_THROW(Conv2D(2, 3, {.padding = "causal"}), ValueError);
  EXPECT_THROW(Conv2D(2, 3, {.data_format = "channel_last"}), ValueError);
  EXPECT_THROW(Conv2D(2, 3)(Tensor::full({2, 5, 5}, 1)), ValueError);
  EXPECT_THROW(Conv2D(2, 3)(Tensor::full({2, 2, 2, 1}, 1)), ValueError);
  EXPECT_THROW(Conv2D(2, 3).build_for({None, 5, 5, None}), ValueError);
  EXPECT_THROW(Conv2DTranspose(2, 3, {.strides = 2, .output_padding = Sizes(2)}), ValueError);
}
TEST(ConvTest, RecordedCases) {
  int n = keras::testing::check_recorded_layers({"conv1d", "conv2d", "conv3d", "depthwiseconv", "separableconv"});
  if (n == 0) GTEST_SKIP() << "no recorded values beside the project";
  EXPECT_GT(n, 60);
}

}  // namespace
}  // namespace keras::layers
