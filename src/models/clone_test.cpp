// What lives here: tests of clone_model. Numbers are those of Keras 3.15 on JAX from the same seed.
#include <gtest/gtest.h>

#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/core/identity.h>
#include <keras/layers/merging/merge.h>
#include <keras/layers/regularization/dropout.h>
#include <keras/models/clone.h>
#include <keras/ops.h>

namespace keras {
namespace {

Model net() {
  Tensor in = Input({3}, {.name = "in"});
  layers::Dense a(2, {.name = "a"}), s(2, {.name = "s"});
  Tensor h = a(in);
  return Model(in, layers::Add({.name = "add"})({s(h), s(ops::relu(h))}), {.name = "net"});
}

TEST(CloneModelTest, AGraphOfSharedLayersAndOps) {
  utils::set_random_seed(3);
  Model m = net(), c = models::clone_model(m);
  EXPECT_EQ(c.name(), "net");
  EXPECT_TRUE(c.built());
  std::vector<std::string> names, paths;
  for (const Layer& l : c.layers()) names.push_back(l.name());
  for (const Variable& v : c.weights()) paths.push_back(v.path());
  EXPECT_EQ(paths, (std::vector<std::string>{"a/kernel", "a/bias", "s/kernel", "s/bias"}));
  EXPECT_EQ(names.size(), m.layers().size());
  const std::vector<float> kernel = {0.2673428952693939f, -0.9988542199134827f, 1.0786153078079224f, 8.95828488864936e-05f, -0.15495115518569946f, 0.5784531235694885f};
  std::vector<float> got = c.weights()[0].value().to_vector<float>();
  for (size_t i = 0; i < kernel.size(); ++i) EXPECT_NEAR(got[i], kernel[i], 1e-6) << i;
  EXPECT_FALSE(c.weights()[0].same(m.weights()[0]));
  Tensor x = {{1.0, -2.0, 0.5}};
  c.set_weights(m.get_weights());
  EXPECT_EQ(c(x).to_vector<float>(), m(x).to_vector<float>());
}

TEST(CloneModelTest, AFunctionMayGiveOtherLayers) {
  Model m = net();
  int asked = 0;
  Model c = models::clone_model(m, [&](const Layer& l) -> Layer {
    ++asked;
    if (l.class_name() != "Dense") return models::clone_layer(l);
    return layers::Dense(2, {.activation = "tanh", .use_bias = false, .name = l.name()});
  });
  EXPECT_EQ(asked, 3);  // two that are called, once each, and Add
  EXPECT_EQ(c.weights().size(), 2u);
  EXPECT_EQ(c.layers()[1].config().at("activation"), Value("tanh"));
  EXPECT_EQ(m.weights().size(), 4u);
  EXPECT_THROW(models::clone_model(m, [](const Layer&) { return Layer(); }), ValueError);
}

TEST(CloneModelTest, Chains) {
  Sequential q({Input({3}), layers::Dense(2), layers::Dropout(0.5)}, {.name = "q"});
  Model d = models::clone_model(q, [](const Layer& l) { return l.class_name() == "Dropout" ? Layer(layers::Identity({.name = l.name()})) : models::clone_layer(l); });
  EXPECT_EQ(d.name(), "q");
  EXPECT_TRUE(d.built());
  EXPECT_EQ(d.layers().back().class_name(), "Identity");
  d.set_weights(q.get_weights());
  Tensor x = {{1.0, 2.0, 3.0}};
  EXPECT_EQ(d(x).to_vector<float>(), q(x).to_vector<float>());
  EXPECT_FALSE(models::clone_model(Sequential({layers::Dense(2)})).built());
}

TEST(CloneModelTest, AClassOfTheUsersOwn) {
  struct Twice : Model {
    Twice() : Model("Twice") {}
    Tensor call(const Tensor& x) override { return x * 2; }
  };
  Twice m;
  EXPECT_THROW(models::clone_model(m, models::clone_layer), ValueError);
  EXPECT_THROW(models::clone_model(m), ValueError);  // not registered
}

}  // namespace
}  // namespace keras
