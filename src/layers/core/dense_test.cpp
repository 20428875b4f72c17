// What lives here: tests of Dense.
#include <gtest/gtest.h>

#include <keras/layers/core/dense.h>

#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;

TEST(DenseTest, Basics) {
  check_layer([] { return Dense(4, {.activation = "relu"}); },
              {.input_shapes = {{2, 3}}, .output_shapes = {{2, 4}}, .num_trainable_weights = 2, .num_non_trainable_weights = 0, .count_params = 16, .supports_masking = true});
  check_layer([] { return Dense(4, {.use_bias = false}); }, {.input_shapes = {{2, 3, 5}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 1, .count_params = 20});
}

}  // namespace
}  // namespace keras::layers
