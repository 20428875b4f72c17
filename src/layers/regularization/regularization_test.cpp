// What lives here: tests of the layers that disturb their input in training, and of ActivityRegularization.
#include <gtest/gtest.h>

#include <cmath>

#include <keras/layers/regularization/activity_regularization.h>
#include <keras/layers/regularization/dropout.h>

#include "layers/layer_impl.h"
#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

TEST(DropoutTest, Everything) {
  check_layer([] { return Dropout(0.5, {.noise_shape = Shape{None, 1}, .seed = 3}); },
              {.input_shapes = {{4, 3}}, .output_shapes = {{4, 3}}, .num_trainable_weights = 0, .num_non_trainable_weights = 0, .num_seeds = 1, .supports_masking = true,
               .keras_config = keras_config_text("dropout", R"("rate": 0.5, "seed": 3, "noise_shape": [null, 1])")});
  check_layer([] { return Dropout(0.2); }, {.input_shapes = {{2, 3, 4}}, .num_seeds = 1});
  check_layer([] { return Dropout(0.0); }, {.input_shapes = {{2, 3}}, .num_seeds = 0});
  check_layer([] { return Dropout(1.0); }, {.input_shapes = {{2, 3}}, .num_seeds = 1});
  check_layer([] { return SpatialDropout1D(0.5, {.seed = 1}); }, {.input_shapes = {{2, 3, 4}}, .num_seeds = 1, .keras_config = R"({"rate": 0.5, "seed": 1, "name": "spatial_dropout1d", "dtype": "float32"})"});
  check_layer([] { return SpatialDropout2D(0.5); },
              {.input_shapes = {{2, 3, 2, 4}}, .num_seeds = 1, .keras_config = R"({"rate": 0.5, "seed": null, "name": "spatial_dropout2d", "dtype": "float32", "data_format": "channels_last"})"});
  check_layer([] { return SpatialDropout3D(0.5, {.data_format = "channels_first"}); },
              {.input_shapes = {{2, 3, 2, 2, 2}}, .num_seeds = 1, .keras_config = R"({"rate": 0.5, "seed": null, "name": "spatial_dropout3d", "dtype": "float32", "data_format": "channels_first"})"});
  check_layer([] { return GaussianNoise(0.1); }, {.input_shapes = {{2, 3}}, .num_seeds = 1, .keras_config = keras_config_text("gaussian_noise", R"("stddev": 0.1, "seed": null)")});
  check_layer([] { return GaussianDropout(0.5, {.seed = 2}); }, {.input_shapes = {{2, 3}}, .num_seeds = 1, .keras_config = keras_config_text("gaussian_dropout", R"("rate": 0.5, "seed": 2)")});
  check_layer([] { return AlphaDropout(0.5, {.noise_shape = Shape{1, 2}}); },
              {.input_shapes = {{4, 2}}, .num_seeds = 1, .keras_config = keras_config_text("alpha_dropout", R"("rate": 0.5, "seed": null, "noise_shape": [1, 2])")});
  check_layer([] { return AlphaDropout(0.3); }, {.input_shapes = {{2, 3, 4}}, .num_seeds = 1});
}

TEST(DropoutTest, WhatIsDropped) {
  Tensor x = Tensor::full({4, 5, 6}, 1);
  std::vector<double> y = SpatialDropout1D(0.5, {.seed = 7})(x, {.training = true}).to_vector<double>();
  int dropped = 0;
  for (size_t b = 0; b < 4; ++b)
    for (size_t c = 0; c < 6; ++c) {
      for (size_t s = 0; s < 5; ++s) EXPECT_EQ(y[(b * 5 + s) * 6 + c], y[b * 30 + c]) << "all steps of a feature alike";
      dropped += y[b * 30 + c] == 0;
      EXPECT_TRUE(y[b * 30 + c] == 0 || y[b * 30 + c] == 2);
    }
  EXPECT_GT(dropped, 3);
  EXPECT_LT(dropped, 21);
  Dropout d(0.5, {.seed = 1});
  Tensor first = d(x, {.training = true}), second = d(x, {.training = true});
  EXPECT_NE(first.to_vector<double>(), second.to_vector<double>()) << "each call draws anew";
  EXPECT_EQ(d(x).to_vector<double>(), x.to_vector<double>());
}

TEST(DropoutTest, Mistakes) {
  EXPECT_THROW(Dropout(1.5), ValueError);
  EXPECT_THROW(Dropout(-0.1), ValueError);
  EXPECT_THROW(Dropout(0.5, {.noise_shape = Shape{0, 1}}), ValueError);
  EXPECT_THROW(GaussianNoise(2), ValueError);
  EXPECT_THROW(SpatialDropout2D(0.5, {.data_format = "last"}), ValueError);
  EXPECT_THROW(SpatialDropout1D(0.5)(Tensor::full({2, 3}, 1)), ValueError);
}

TEST(ActivityRegularizationTest, Everything) {
  check_layer([] { return ActivityRegularization({.l1 = 0.1, .l2 = 0.2}); },
              {.input_shapes = {{2, 3}}, .output_shapes = {{2, 3}}, .supports_masking = true, .keras_config = keras_config_text("activity_regularization", R"("l1": 0.1, "l2": 0.2)")});
  ActivityRegularization layer({.l1 = 0.5, .l2 = 2});
  Tensors losses;
  {
    CallScope scope(nullptr, std::nullopt, &losses);
    layer(Tensor{{1.0, -2.0}, {0.0, 3.0}});
  }
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_NEAR(losses[0].item(), (0.5 * 6 + 2 * 14) / 2, 1e-6);
}

}  // namespace
}  // namespace keras::layers
