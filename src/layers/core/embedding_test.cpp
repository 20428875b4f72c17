// What lives here: tests of Embedding, ReversibleEmbedding, Masking, Activation, Identity and Rescaling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <keras/layers/core/activation.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/core/identity.h>
#include <keras/layers/preprocessing/rescaling.h>
#include <keras/ops.h>

#include "core/impl.h"
#include "support/check_layer.h"

namespace keras::layers {
namespace {

using keras::testing::check_layer;
using keras::testing::keras_config_text;

const std::string kUniform = R"("embeddings_initializer": {"module": "keras.initializers", "class_name": "RandomUniform", "config": {"seed": null, "minval": -0.05, "maxval": 0.05}, "registered_name": null})";

TEST(EmbeddingTest, Everything) {
  check_layer([] { return Embedding(5, 3, {.mask_zero = true}); },
              {.input_dtypes = {DType::Int32}, .inputs = {Tensor{{1, 0, 4}, {2, 2, 0}}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 3}}, .output_dtype = DType::Float32, .num_trainable_weights = 1, .count_params = 15,
               .supports_masking = true, .keras_config = keras_config_text("embedding", R"("input_dim": 5, "output_dim": 3, )" + kUniform +
                   R"(, "embeddings_regularizer": null, "activity_regularizer": null, "embeddings_constraint": null, "mask_zero": true, "quantization_config": null)")});
  check_layer([] { return Embedding(5, 3, {.activity_regularizer = "l2"}); },
              {.input_shapes = {{2, 4}}, .input_dtypes = {DType::Float32}, .low = 0, .high = 4.99, .supports_masking = false, .input_gradient = false});
  check_layer([] { return Embedding(6, 2); }, {.input_shapes = {{4}}, .input_dtypes = {DType::UInt8}, .int_limit = 6, .output_shapes = {{4, 2}}});
}

TEST(EmbeddingTest, MaskAndWeights) {
  Embedding e(3, 2, {.mask_zero = true, .weights = {Tensor{{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}}}});
  Tensor y = e(Tensor{{2, 0}});
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{5, 6, 1, 2}));
  EXPECT_EQ(core::mask_of(y).to_vector<int>(), (std::vector<int>{1, 0}));
}

TEST(EmbeddingTest, AnIndexOutsideIsNamed) {
  Embedding e(3, 2);
  for (int bad : {3, -1, 100}) {
    try {
      e(Tensor{{0, bad}});
      ADD_FAILURE() << bad << " was taken";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(std::to_string(bad)));
    }
    Function f([&](const Tensors& in) -> Tensors { return {e(in[0])}; });
    EXPECT_THROW(f({Tensor{{0, bad}}}), Error) << bad;
  }
  EXPECT_THROW(Embedding(0, 2), ValueError);
  EXPECT_THROW(Embedding(2, 0), ValueError);
}

TEST(ReversibleEmbeddingTest, Everything) {
  for (bool tie : {true, false}) {
    check_layer([=] { return ReversibleEmbedding(5, 3, {.tie_weights = tie, .mask_zero = true}); },
                {.inputs = {Tensor{{1, 0, 4}, {2, 2, 0}}}, .output_shapes = {{2, 3, 3}}, .num_trainable_weights = tie ? 1 : 2, .count_params = tie ? 15 : 30, .supports_masking = true});
    check_layer([=] { return ReversibleEmbedding(5, 3, {.tie_weights = tie, .logit_soft_cap = 2.0}); },
                {.input_shapes = {{2, 4, 3}},
                 .call = [](const Layer& l, const Tensors& in, const CallOptions& o) {
                   CallOptions c = o;
                   c.values = {{"reverse", true}};
                   return l(in[0], c);
                 },
                 .output_shapes = {{2, 4, 5}}, .mixed_precision = false});
  }
  check_layer([] { return ReversibleEmbedding(5, 3, {.tie_weights = false, .reverse_dtype = "float32", .logit_soft_cap = 2.0}); },
              {.inputs = {Tensor{{1, 0, 4}}},
               .keras_config = keras_config_text("reversible_embedding", R"("input_dim": 5, "output_dim": 3, )" + kUniform +
                   R"(, "embeddings_regularizer": null, "activity_regularizer": null, "embeddings_constraint": null, "mask_zero": false, "quantization_config": null, "tie_weights": false, "reverse_dtype": "float32", "logit_soft_cap": 2.0)")});
}

TEST(MaskingTest, Everything) {
  check_layer([] { return Masking({.mask_value = -1.0}); }, {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .supports_masking = true,
                                                              .keras_config = keras_config_text("masking", R"("mask_value": -1.0)")});
  Tensor y = Masking()(Tensor{{{1.0, 0.0}, {0.0, 0.0}, {0.0, 2.0}}});
  EXPECT_EQ(core::mask_of(y).to_vector<int>(), (std::vector<int>{1, 0, 1}));
  Tensor z = Masking({.mask_value = 3})(Tensor{{{1.0, 3.0}, {3.0, 3.0}}});
  EXPECT_EQ(z.to_vector<double>(), (std::vector<double>{1, 3, 0, 0}));
  EXPECT_EQ(core::mask_of(z).to_vector<int>(), (std::vector<int>{1, 0}));
}

TEST(ActivationTest, Everything) {
  for (const char* name : {"relu", "tanh", "softmax", "gelu", "selu"})
    check_layer([=] { return Activation(name); }, {.input_shapes = {{2, 3, 4}}, .unknown_axes = {1}, .output_shapes = {{2, 3, 4}}, .num_trainable_weights = 0, .supports_masking = true,
                                                   .keras_config = keras_config_text("activation", R"("activation": ")" + std::string(name) + "\"")});
  check_layer([] { return Activation(nullptr); }, {.input_shapes = {{2, 3}}, .keras_config = keras_config_text("activation", R"("activation": "linear")")});
}

TEST(IdentityTest, Everything) {
  check_layer([] { return Identity(); }, {.input_shapes = {{2, 3, 4}}, .output_shapes = {{2, 3, 4}}, .supports_masking = true, .keras_config = keras_config_text("identity")});
  check_layer([] { return Identity(); }, {.input_shapes = {{2, 3, 4}, {2, 3}}, .output_shapes = {{2, 3, 4}, {2, 3}}});
}

TEST(RescalingTest, ArraysAndChannels) {
  auto read = [](const Value& scale) { return Rescaling::from_config({{"name", "r"}, {"scale", scale}, {"offset", 1.0}}); };
  Value saved = Dict{{"class_name", "__numpy__"}, {"config", Dict{{"value", List{2.0, 3.0}}, {"dtype", "float32"}}}};
  EXPECT_EQ(read(saved)(ops::ones({1, 2, 2})).to_vector<double>(), (std::vector<double>{3, 4, 3, 4}));
  EXPECT_EQ(read(List{List{2}, List{3}})(ops::ones({1, 2, 2})).to_vector<double>(), (std::vector<double>{3, 3, 4, 4}));
  EXPECT_THROW(read(List{List{2}, List{3, 4}})(ops::ones({1, 2, 2})), ValueError);
  config::set_image_data_format("channels_first");
  EXPECT_EQ(read(List{2, 3})(ops::ones({1, 2, 1, 2})).to_vector<double>(), (std::vector<double>{3, 3, 4, 4}));
  config::set_image_data_format("channels_last");
}
TEST(RescalingTest, Everything) {
  check_layer([] { return Rescaling(0.5, {.offset = List{1.0, 2.0}}); }, {.input_shapes = {{2, 3, 2}}, .output_shapes = {{2, 3, 2}}, .keras_config = keras_config_text("rescaling", R"("scale": 0.5, "offset": [1.0, 2.0])")});
  check_layer([] { return Rescaling(2); }, {.input_shapes = {{2, 3}}, .input_dtypes = {DType::UInt8}, .int_limit = 255, .output_dtype = DType::Float32,
                                            .keras_config = keras_config_text("rescaling", R"("scale": 2, "offset": 0.0)")});
  EXPECT_EQ(Rescaling(0.5, {.offset = 1})(Tensor{{2, 4}}).to_vector<double>(), (std::vector<double>{2, 3}));
}

}  // namespace
}  // namespace keras::layers
