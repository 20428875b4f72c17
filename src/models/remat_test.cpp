// What lives here: tests of RematScope on layers and models: which layers it means, and that training is the same in less memory.
#include <gtest/gtest.h>

#include <cmath>

#include <keras/core/remat.h>
#include <keras/layers/convolutional/conv.h>
#include <keras/layers/core/activation.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/normalization/batch_normalization.h>
#include <keras/layers/normalization/layer_normalization.h>
#include <keras/layers/pooling/pooling.h>
#include <keras/layers/regularization/dropout.h>
#include <keras/models/model.h>
#include <keras/ops.h>
#include <keras/random.h>

#include "models/measure.h"
#include "models/trainer.h"

namespace keras {
namespace {

using namespace layers;

/// `count` blocks of four layers each, made under the scope where there is one.
Model deep(int count, const std::optional<RematScopeOptions>& scope) {
  core::clear_names();
  utils::set_random_seed(3);
  Tensor x = Input({32}), y = x;
  for (int i = 0; i < count; ++i) {
    const std::string name = "block_" + std::to_string(i);
    std::optional<RematScope> remat;
    if (scope) remat.emplace(*scope);
    Sequential block(
        {Input({32}), Dense(32, {.activation = "tanh", .name = name + "_a"}), Dense(32, {.activation = "gelu", .name = name + "_b"}),
         LayerNormalization(LayerNormalizationOptions{.name = name + "_c"}), Dense(32, {.activation = "tanh", .name = name + "_d"})},
        {.name = name});
    y = block(y);
  }
  Model m(x, Dense(1, {.name = "last"})(y));
  m.compile({.optimizer = "sgd", .loss = "mse"});
  return m;
}

Tensor waves(const Shape& shape, double step) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(std::sin(step * static_cast<double>(i) + 0.5));
  return Tensor::from(v, shape);
}

struct Trained {
  std::vector<double> losses;
  size_t arena = 0;
};
Trained train(Model m, int64_t rows = 512) {
  const Tensor x = waves({rows, 32}, 0.37), y = waves({rows, 1}, 0.11);
  Trained out;
  for (int i = 0; i < 4; ++i) {
    m.reset_metrics();
    out.losses.push_back(m.train_on_batch(x, y).at("loss"));
  }
  out.arena = models::step_for(m, m.trainer(), models::signature_of({x}, {y}), true).compiled->exe->arena_bytes();
  return out;
}
void expect_same_losses(const Trained& a, const Trained& b) {
  for (size_t i = 0; i < b.losses.size(); ++i) EXPECT_NEAR(a.losses[i], b.losses[i], 1e-5 * std::abs(b.losses[i])) << i;
  EXPECT_NE(b.losses[0], b.losses[3]);
}

TEST(RematScopeTest, FullTakesLessMemory) {
  const Trained plain = train(deep(6, std::nullopt)), full = train(deep(6, RematScopeOptions{}));
  expect_same_losses(full, plain);
  EXPECT_LT(full.arena, plain.arena * 0.6);
}

TEST(RematScopeTest, ListedLayersAlone) {
  const Trained plain = train(deep(6, std::nullopt)),
                none = train(deep(6, RematScopeOptions{.mode = "list_of_layers", .layer_names = {"other"}})),
                half = train(deep(6, RematScopeOptions{.mode = "list_of_layers", .layer_names = {"block_0", "block_1", "block_2"}})),
                all = train(deep(6, RematScopeOptions{.mode = "list_of_layers",
                                                      .layer_names = {"block_0", "block_1", "block_2", "block_3", "block_4", "block_5"}}));
  for (const Trained* t : {&none, &half, &all}) expect_same_losses(*t, plain);
  EXPECT_EQ(none.arena, plain.arena);
  EXPECT_LT(half.arena, plain.arena);
  EXPECT_LT(all.arena, half.arena);
}

TEST(RematScopeTest, LargerThanCountsTheElementsOfTheOutput) {
  // Outputs have 512 · 32 elements.
  const Trained plain = train(deep(6, std::nullopt)),
                larger = train(deep(6, RematScopeOptions{.mode = "larger_than", .output_size_threshold = 512 * 32 - 1})),
                smaller = train(deep(6, RematScopeOptions{.mode = "larger_than", .output_size_threshold = 512 * 32}));
  expect_same_losses(larger, plain);
  expect_same_losses(smaller, plain);
  EXPECT_LT(larger.arena, plain.arena * 0.6);
  EXPECT_EQ(smaller.arena, plain.arena);
}

TEST(RematScopeTest, ActivationsAlone) {
  const auto wide = [](bool again) {
    core::clear_names();
    utils::set_random_seed(5);
    std::optional<RematScope> scope;
    if (again) scope.emplace(RematScopeOptions{.mode = "activations"});
    Tensor x = Input({32}), y = x;
    for (int i = 0; i < 6; ++i)
      y = Dense(32, {.activation = [](const Tensor& t) { return ops::tanh(ops::sin(ops::exp(ops::tanh(t)))); }})(y);
    Model m(x, Dense(1)(y));
    m.compile({.optimizer = "sgd", .loss = "mse"});
    return train(m);
  };
  const Trained plain = wide(false), again = wide(true);
  expect_same_losses(again, plain);
  EXPECT_LE(again.arena, plain.arena);
}

TEST(RematScopeTest, TheInnermostCountsAndItEnds) {
  const auto mode = [] { return core::current_remat_mode() ? core::current_remat_mode()->mode : "-"; };
  EXPECT_EQ(mode(), "-");
  {
    RematScope outer;
    EXPECT_EQ(mode(), "full");
    {
      RematScope inner({.mode = "larger_than", .output_size_threshold = 512});
      EXPECT_EQ(mode(), "larger_than");
      RematScope none({.mode = std::nullopt});
      EXPECT_EQ(mode(), "");
    }
    EXPECT_EQ(mode(), "full");
  }
  EXPECT_EQ(mode(), "-");
}

TEST(RematScopeTest, DropoutAndBatchNormalizationAreThoseOfTheForwardPass) {
  const auto network = [](bool again) {
    core::clear_names();
    utils::set_random_seed(9);
    std::optional<RematScope> scope;
    if (again) scope.emplace();
    Tensor x = Input({8, 8, 4}), y = x;
    for (int i = 0; i < 3; ++i) y = Dropout(0.3)(Activation("relu")(BatchNormalization()(Conv2D(8, 3, {.padding = "same"})(y))));
    Model m(x, Dense(1)(GlobalAveragePooling2D()(y)));
    m.compile({.optimizer = "sgd", .loss = "mse"});
    const Tensor data = waves({16, 8, 8, 4}, 0.37), target = waves({16, 1}, 0.11);
    for (int i = 0; i < 3; ++i) m.train_on_batch(data, target);
    return m.get_weights();
  };
  const Tensors plain = network(false), again = network(true);
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto a = again[i].to_vector<double>(), b = plain[i].to_vector<double>();
    for (size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-5) << "weight " << i << " at " << k;
  }
}

}  // namespace
}  // namespace keras
