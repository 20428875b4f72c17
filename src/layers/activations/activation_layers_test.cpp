// What lives here: tests of activations as layers.
#include <gtest/gtest.h>

#include <cmath>

#include <keras/layers/activations/activations.h>

#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

TEST(ActivationLayersTest, Everything) {
  check_layer([] { return ReLU({.max_value = 6.0, .negative_slope = 0.1, .threshold = 1.0}); },
              {.input_shapes = {{2, 3, 4}}, .low = -9, .high = 9, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .supports_masking = true,
               .keras_config = keras_config_text("re_lu", R"("max_value": 6.0, "negative_slope": 0.1, "threshold": 1.0)")});
  check_layer([] { return ReLU(); }, {.input_shapes = {{2, 3}}, .keras_config = keras_config_text("re_lu", R"("max_value": null, "negative_slope": 0.0, "threshold": 0.0)")});
  check_layer([] { return LeakyReLU(); }, {.input_shapes = {{2, 3}}, .keras_config = keras_config_text("leaky_re_lu", R"("negative_slope": 0.3)")});
  check_layer([] { return ELU({.alpha = 0.5}); },
              {.input_shapes = {{2, 3}},
               .keras_config = R"({"name": "elu", "alpha": 0.5, "trainable": true, "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null}})"});
  check_layer([] { return PReLU({.shared_axes = {{1}}}); },
              {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 1, .count_params = 4, .supports_masking = true,
               .keras_config = keras_config_text("p_re_lu", R"("alpha_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": null}, )"
                                                            R"("alpha_regularizer": null, "alpha_constraint": null, "shared_axes": [1])")});
  check_layer([] { return PReLU({.alpha_initializer = "glorot_uniform"}); }, {.input_shapes = {{2, 3, 4}}, .count_params = 12});
  check_layer([] { return Softmax(); }, {.input_shapes = {{2, 3, 4}}, .draw_masks = false, .unknown_axes = {1}, .supports_masking = true, .keras_config = keras_config_text("softmax", R"("axis": -1)")});
  check_layer([] { return Softmax({1, 2}); }, {.input_shapes = {{2, 3, 4}}, .draw_masks = false, .keras_config = keras_config_text("softmax", R"("axis": [1, 2])")});
  check_layer([] { return Softmax(1); }, {.input_shapes = {{2, 3}}, .masks = {Tensor{{true, true, false}, {false, true, true}}}});
  check_layer([] { return Softmax(1); }, {.input_shapes = {{2, 3}},
                                          .call = [](const Layer& l, const Tensors& in, const CallOptions& o) {
                                            CallOptions c = o;
                                            c.mask = Tensor{{1.0, 0.0, 1.0}};
                                            return l(in[0], c);
                                          }});
}

TEST(ActivationLayersTest, MaskedSoftmaxOfKeras) {
  std::vector<double> y = Softmax()(Tensor{{1.0, 2.0, 1.0}, {1.0, 2.0, 1.0}}, {.mask = Tensor{{true, false, true}, {true, true, true}}}).to_vector<double>();
  double e = std::exp(1.0), s = 2 + e;
  std::vector<double> want{0.5, 0, 0.5, 1 / s, e / s, 1 / s};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-6);
}

TEST(ActivationLayersTest, Mistakes) {
  EXPECT_THROW(ReLU({.max_value = -1.0}), ValueError);
  EXPECT_THROW(ReLU({.negative_slope = -1}), ValueError);
  EXPECT_THROW(ReLU({.threshold = -1}), ValueError);
  EXPECT_THROW(LeakyReLU({.negative_slope = -1}), ValueError);
  EXPECT_THROW(PReLU({.shared_axes = {{3}}})(Tensor::full({2, 3}, 1)), ValueError);
  EXPECT_THROW(Softmax(5)(Tensor::full({2, 3}, 1)), ValueError);
  EXPECT_THROW(Softmax()(Tensor::full({2, 3}, 1), {.mask = Tensor{{true, false}}}), ValueError);
}

}  // namespace
}  // namespace keras::layers
