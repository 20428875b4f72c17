// What lives here: tests of Dense and EinsumDense.
#include <gtest/gtest.h>

#include <keras/layers/core/dense.h>
#include <keras/layers/core/einsum_dense.h>

#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

const std::string kInitializers =
    R"("kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
    R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": null}, "kernel_regularizer": null, "bias_regularizer": null)";
const std::string kL2 = R"("activity_regularizer": {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}, "registered_name": null})";

TEST(DenseTest, Everything) {
  check_layer([] { return Dense(4, {.activation = "relu", .use_bias = false}); },
              {.input_shapes = {{2, 3}}, .output_shapes = {{2, 4}}, .num_trainable_weights = 1, .num_non_trainable_weights = 0, .num_seeds = 0, .count_params = 12, .supports_masking = true,
               .keras_config = keras_config_text("dense", R"("units": 4, "activation": "relu", "use_bias": false, )" + kInitializers +
                                                              R"(, "kernel_constraint": null, "bias_constraint": null, "quantization_config": null)")});
  check_layer([] { return Dense(4, {.activity_regularizer = "l2"}); },
              {.input_shapes = {{2, 3, 5}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 2, .count_params = 24,
               .keras_config = keras_config_text("dense", kL2 + R"(, "units": 4, "activation": "linear", "use_bias": true, )" + kInitializers +
                                                              R"(, "kernel_constraint": null, "bias_constraint": null, "quantization_config": null)")});
  check_layer([] { return Dense(3, {.activation = "softmax", .kernel_regularizer = "l1", .kernel_constraint = "max_norm"}); }, {.input_shapes = {{2, 3, 2, 5}}, .output_shapes = {{2, 3, 2, 3}}});
}

TEST(DenseTest, NumbersOfKeras) {
  Dense d(2, {.activation = "relu", .kernel_initializer = "ones", .bias_initializer = "ones"});
  EXPECT_EQ(d(Tensor{{1.0, 2.0}, {-3.0, 1.0}}).to_vector<double>(), (std::vector<double>{4, 4, 0, 0}));
}

TEST(DenseTest, Lora) {
  // The narrow weights are float32 whatever the policy is, so differences of numbers are no finer.
  check_layer([] { return Dense(4, {.lora_rank = 2}); }, {.input_shapes = {{2, 3}}, .output_shapes = {{2, 4}}, .num_trainable_weights = 3, .num_non_trainable_weights = 1, .count_params = 30, .gradient_tolerance = 1e-2});
  check_layer([] { return EinsumDense("abc,cd->abd", {None, 4}, {.bias_axes = "d", .lora_rank = 2, .lora_alpha = 4}); },
              {.input_shapes = {{2, 3, 5}}, .open_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 3, .num_non_trainable_weights = 1, .count_params = 42, .gradient_tolerance = 1e-2});
  Dense d(3, {.use_bias = false, .kernel_initializer = "ones"});
  d.build_for({None, 2});
  EXPECT_FALSE(d.config().contains("lora_rank"));
  d.enable_lora(1, 2.0, "ones", "ones");
  EXPECT_EQ(d.config().at("lora_rank"), Value(1));
  EXPECT_EQ(d.config().at("lora_alpha"), Value(2.0));
  ASSERT_EQ(d.weights().size(), 3u);
  EXPECT_EQ(d.weights()[1].name(), "lora_kernel_a");
  EXPECT_EQ(d.weights()[1].shape(), (Shape{2, 1}));
  EXPECT_EQ(d.weights()[2].shape(), (Shape{1, 3}));
  EXPECT_EQ(d(Tensor{{1.0, 2.0}}).to_vector<double>(), (std::vector<double>{9, 9, 9}));  // ones, and twice ones on ones
  EXPECT_THROW(d.enable_lora(1), ValueError);
  EXPECT_THROW(Dense(3).enable_lora(1), ValueError);
  EXPECT_THROW(Dense(3, {.lora_rank = 0}), ValueError);
  Dense constrained(3, {.kernel_constraint = "non_neg", .lora_rank = 1});
  EXPECT_THROW(constrained.build_for({None, 2}), ValueError);
}

TEST(DenseTest, Mistakes) {
  EXPECT_THROW(Dense(0), ValueError);
  EXPECT_THROW(Dense(3)(Tensor{1.0, 2.0}), ValueError);  // no batch axis
  Dense d(3);
  d.build_for({None, 4});
  EXPECT_THROW(d(Tensor::full({2, 5}, 1)), ValueError);
  EXPECT_THROW(Dense(3).build_for({None, None}), ValueError);
}

TEST(EinsumDenseTest, Everything) {
  check_layer([] { return EinsumDense("abc,cd->abd", {None, 4}, {.activation = "relu", .bias_axes = "d"}); },
              {.input_shapes = {{2, 3, 5}}, .unknown_axes = {1}, .open_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 2, .count_params = 24,
               .keras_config = keras_config_text("einsum_dense", R"("output_shape": [null, 4], "equation": "abc,cd->abd", "activation": "relu", "bias_axes": "d", )" + kInitializers +
                                                                     R"(, "activity_regularizer": null, "kernel_constraint": null, "bias_constraint": null, "quantization_config": null)")});
  check_layer([] { return EinsumDense("ab,bc->ac", 4, {.activity_regularizer = "l2"}); },
              {.input_shapes = {{2, 3}}, .output_shapes = {{2, 4}}, .num_trainable_weights = 1, .count_params = 12,
               .keras_config = keras_config_text("einsum_dense", kL2 + R"(, "output_shape": [4], "equation": "ab,bc->ac", "activation": "linear", "bias_axes": null, )" + kInitializers +
                                                                     R"(, "kernel_constraint": null, "bias_constraint": null, "quantization_config": null)")});
  check_layer([] { return EinsumDense("...x,xy->...y", {4}, {.bias_axes = "y"}); }, {.input_shapes = {{2, 3, 2, 5}}, .output_shapes = {{2, 3, 2, 4}}, .count_params = 24});
  check_layer([] { return EinsumDense("abc,cde->abde", {None, 2, 3}, {.bias_axes = "de"}); }, {.input_shapes = {{2, 3, 5}}, .open_axes = {1}, .output_shapes = {{2, 3, 2, 3}}, .count_params = 36});
  check_layer([] { return EinsumDense("abcd,cde->abe", {None, 4}, {.bias_axes = "e"}); }, {.input_shapes = {{2, 3, 2, 5}}, .open_axes = {1}, .output_shapes = {{2, 3, 4}}, .count_params = 44});
  check_layer([] { return EinsumDense("ab...,bc->ac...", {4}, {.bias_axes = "c"}); }, {.input_shapes = {{2, 3, 5}}, .output_shapes = {{2, 4, 5}}, .count_params = 16});
}

TEST(EinsumDenseTest, Mistakes) {
  EXPECT_THROW(EinsumDense("ab,bc", {4}), ValueError);
  EXPECT_THROW(EinsumDense("...ab,bc->ac", {4}), ValueError);
  EXPECT_THROW(EinsumDense("ab,bc->ad", {4}), ValueError);
  EXPECT_THROW(EinsumDense("ab,bcd->ac", {4}), ValueError);
  EXPECT_THROW(EinsumDense("ab,bc->ac", {4}, {.bias_axes = "x"}), ValueError);
  EXPECT_THROW(EinsumDense("abc,cd->abd", {7, 4})(Tensor::full({2, 3, 5}, 1)), ValueError);
  EXPECT_THROW(EinsumDense("ab,bc->ac", {4})(Tensor::full({2, 3, 5}, 1)), ValueError);
}

}  // namespace
}  // namespace keras::layers
