// What lives here: tests of the pooling layers.
#include <gtest/gtest.h>

#include <keras/layers/pooling/pooling.h>

#include "support/check_layer.h"
#include "support/layer_cases.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

TEST(PoolingTest, Windows) {
  check_layer([] { return MaxPooling1D(2); },
              {.input_shapes = {{2, 7, 3}},
               .unknown_axes = {1},
               .output_shapes = {{2, 3, 3}},
               .count_params = 0,
               .supports_masking = false,
               .keras_config = keras_config_text(
                   "max_pooling1d", R"("pool_size": [2], "padding": "valid", "strides": [2], "data_format": "channels_last")")});
  check_layer(
      [] {
        return MaxPooling2D({3, 2}, {.strides = 1, .padding = "same"});
      },
      {.input_shapes = {{2, 5, 4, 3}}, .output_shapes = {{2, 5, 4, 3}}});
  check_layer([] { return MaxPooling3D(2); }, {.input_shapes = {{2, 4, 5, 4, 2}}, .output_shapes = {{2, 2, 2, 2, 2}}});
  check_layer([] { return AveragePooling1D(3, {.strides = Sizes(2), .padding = "same"}); },
              {.input_shapes = {{2, 7, 3}}, .unknown_axes = {1}, .output_shapes = {{2, 4, 3}}});
  check_layer([] { return AveragePooling2D(2, {.data_format = "channels_first"}); },
              {.input_shapes = {{2, 3, 4, 6}}, .output_shapes = {{2, 3, 2, 3}}});
  check_layer([] { return AveragePooling3D(2, {.padding = "same"}); },
              {.input_shapes = {{2, 3, 3, 3, 2}}, .output_shapes = {{2, 2, 2, 2, 2}}});
}
TEST(PoolingTest, Global) {
  check_layer([] { return GlobalMaxPooling1D(); },
              {.input_shapes = {{2, 7, 3}},
               .unknown_axes = {1},
               .output_shapes = {{2, 3}},
               .keras_config = keras_config_text("global_max_pooling1d", R"("data_format": "channels_last", "keepdims": false)")});
  check_layer([] { return GlobalAveragePooling1D({.keepdims = true}); },
              {.input_shapes = {{2, 7, 3}}, .output_shapes = {{2, 1, 3}}, .supports_masking = true});
  check_layer([] { return GlobalAveragePooling2D({.data_format = "channels_first"}); },
              {.input_shapes = {{2, 3, 4, 5}}, .output_shapes = {{2, 3}}});
  check_layer([] { return GlobalMaxPooling3D({.keepdims = true}); },
              {.input_shapes = {{2, 3, 4, 5, 2}}, .output_shapes = {{2, 1, 1, 1, 2}}});
  Tensor masked = GlobalAveragePooling1D()(Tensor{{{1.0, 2.0}, {3.0, 4.0}, {8.0, 9.0}}}, {.mask = Tensor{{true, true, false}}});
  EXPECT_EQ(masked.to_vector<double>(), (std::vector<double>{2, 3}));
}
TEST(PoolingTest, Adaptive) {
  check_layer([] { return AdaptiveAveragePooling1D(3); }, {.input_shapes = {{2, 7, 3}}, .output_shapes = {{2, 3, 3}}});
  check_layer([] { return AdaptiveMaxPooling2D({2, 3}); }, {.input_shapes = {{2, 5, 4, 3}}, .output_shapes = {{2, 2, 3, 3}}});
}
TEST(PoolingTest, AdaptiveExplains) {
  std::string text = AdaptiveAveragePooling2D({2, 3}).explain({None, 6, 7, 4});
  EXPECT_NE(text.find("axis 1 = 2: output_size=2: the 6 positions are divided into 2 windows of 3, with one mean each"), std::string::npos) << text;
  EXPECT_NE(text.find("axis 2 = 3: output_size=3: the 7 positions are divided into 3 windows of 3, which overlap, with one mean each"), std::string::npos) << text;
  EXPECT_NE(text.find("channels, each pooled by itself"), std::string::npos) << text;
  EXPECT_NE(AdaptiveMaxPooling1D(3).explain({None, None, 2}).find("one maximum for each of 3 windows"), std::string::npos);
}
TEST(PoolingTest, Mistakes) {
  EXPECT_THROW(MaxPooling2D(0), ValueError);
  EXPECT_THROW(MaxPooling2D({2, 2, 2}), ValueError);
  EXPECT_THROW(MaxPooling2D(2, {.padding = "causal"}), ValueError);
  EXPECT_THROW(MaxPooling2D(2, {.data_format = "last"}), ValueError);
  EXPECT_THROW(MaxPooling2D(2)(Tensor::full({2, 4, 4}, 1)), ValueError);
  EXPECT_THROW(MaxPooling2D(3)(Tensor::full({2, 2, 4, 1}, 1)), ValueError);
}
TEST(PoolingTest, RecordedCases) {
  int n = keras::testing::check_recorded_layers({"maxpooling", "averagepooling", "globalmaxpooling", "globalaveragepooling", "adaptive"});
  if (n == 0) GTEST_SKIP() << "no recorded values beside the project";
  EXPECT_GT(n, 60);
}

}  // namespace
}  // namespace keras::layers
