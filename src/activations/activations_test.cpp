// What lives here: tests of activations: recorded values and gradients, names, saved forms, functions of the user.
#include <gtest/gtest.h>

#include <keras/activations.h>
#include <keras/core/function.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "support/recorded.h"

namespace keras {
namespace {

using Floats = std::vector<double>;

void expect_values(const Tensor& got, const Floats& want) {
  Floats g = got.to_vector<double>();
  ASSERT_EQ(g.size(), want.size());
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], 1e-6 + 1e-5 * std::abs(want[i])) << "element " << i;
}
const Tensor kX({-3.0, -1.0, -0.2, 0.0, 0.3, 1.5, 4.0});

TEST(Activations, ReluWithAllItsParts) {
  expect_values(activations::relu(kX, 0.1, 2.0, 0.5), {-0.35, -0.15, -0.07, -0.05, -0.02, 1.5, 2.0});
  expect_values(activations::relu(kX, 0.1, {}, 0.5), {-0.35, -0.15, -0.07, -0.05, -0.02, 1.5, 4.0});
  expect_values(activations::relu(kX, 0, 3.0, 1.0), {0, 0, 0, 0, 0, 1.5, 3.0});
  expect_values(activations::relu(kX, 0.2, 3.0), {-0.6, -0.2, -0.04, 0, 0.3, 1.5, 3.0});
  expect_values(activations::relu(kX, 0, 6.0), {0, 0, 0, 0, 0.3, 1.5, 4.0});
  expect_values(activations::mish(kX), {-0.14564745, -0.30340144, -0.1071448, 0, 0.20800136, 1.4033782, 3.9974127});
  expect_values(activations::gelu(kX), {-0.0040496960, -0.15865527, -0.084148064, 0, 0.18537343, 1.3997892, 3.9998734});
}

TEST(Activations, NamesAndSavedForms) {
  EXPECT_EQ(ActivationSpec().serialize(), Value("linear"));
  EXPECT_EQ(ActivationSpec("swish").serialize(), Value("silu"));
  EXPECT_EQ(ActivationSpec("hard_swish").serialize(), Value("hard_silu"));
  EXPECT_EQ(ActivationSpec(activations::relu).serialize(), Value("relu"));
  EXPECT_EQ(ActivationSpec(activations::softmax).serialize(), Value("softmax"));
  EXPECT_TRUE(ActivationSpec().is_linear());
  EXPECT_TRUE(ActivationSpec("linear").is_linear());
  EXPECT_FALSE(ActivationSpec("relu").is_linear());
  EXPECT_EQ(activations::names().size(), 32u);
  for (const std::string& name : activations::names()) EXPECT_EQ(ActivationSpec(ActivationSpec(name).serialize()).serialize(), ActivationSpec(name).serialize());
  expect_values(ActivationSpec()(kX), kX.to_vector<double>());
  EXPECT_THROW(ActivationSpec("threshold")(kX), ValueError);
  try {
    ActivationSpec("relus").object();
    FAIL();
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("relu"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("register_activation"), std::string::npos);
  }
}

Tensor twice(const Tensor& x) { return x + x; }
struct Saved {
  Tensor operator()(const Tensor& x) const { return x * x; }
  Value serialize() const { return Dict{{"class_name", "Saved"}, {"config", Dict{}}}; }
};

TEST(Activations, FunctionsOfTheUser) {
  ActivationSpec lambda = [](const Tensor& x) { return x * Tensor(3.0); };
  expect_values(lambda(Tensor({1.0, 2.0})), {3, 6});
  EXPECT_THROW(lambda.serialize(), ValueError);
  EXPECT_THROW(ActivationSpec(twice).serialize(), ValueError);
  register_activation("twice", twice, "mine");
  ActivationSpec named = twice;
  Value saved = named.serialize();
  EXPECT_EQ(io::to_json(saved), R"({"module": "builtins", "class_name": "function", "config": "mine>twice", "registered_name": "function"})");
  expect_values(ActivationSpec(saved)(Tensor({1.0})), {2});
  expect_values(ActivationSpec("twice")(Tensor({1.0})), {2});
  expect_values(ActivationSpec("mine>twice")(Tensor({1.0})), {2});
  ActivationSpec object = Saved{};
  expect_values(object(Tensor({3.0})), {9});
  EXPECT_EQ(object.serialize().get("class_name"), Value("Saved"));
  EXPECT_THROW(ActivationSpec(object.serialize()).object(), ValueError);
  set_activation_object_reader([](const Value& v) -> std::shared_ptr<ActivationImpl> {
    return v.get("class_name") == Value("Saved") ? ActivationSpec(Saved{}).object() : nullptr;
  });
  expect_values(ActivationSpec(object.serialize())(Tensor({3.0})), {9});
  set_activation_object_reader({});
}

Tensor call(const std::string& name, const Tensor& x, const Value& k) {
  auto number = [&](const char* key) { return k.get(key).as_float(); };
  using namespace activations;
  const Dict& d = k.as_dict();
  if (d.empty()) return ActivationSpec(name)(x);
  if (name == "relu") {
    auto part = [&](const char* key) { return d.contains(key) ? number(key) : 0.0; };
    return relu(x, part("negative_slope"), d.contains("max_value") ? std::optional<double>(number("max_value")) : std::nullopt, part("threshold"));
  }
  if (name == "threshold") return threshold(x, number("threshold"), number("default_value"));
  if (name == "leaky_relu") return leaky_relu(x, number("negative_slope"));
  if (name == "elu") return elu(x, number("alpha"));
  if (name == "celu") return celu(x, number("alpha"));
  if (name == "gelu") return gelu(x, k.get("approximate").as_bool());
  if (name == "squareplus") return squareplus(x, number("b"));
  if (name == "soft_shrink") return soft_shrink(x, number("threshold"));
  if (name == "hard_shrink") return hard_shrink(x, number("threshold"));
  int axis = static_cast<int>(k.get("axis").as_int());
  if (name == "softmax") return softmax(x, axis);
  if (name == "log_softmax") return log_softmax(x, axis);
  if (name == "sparsemax") return sparsemax(x, axis);
  if (name == "glu") return glu(x, axis);
  throw ValueError("the recorded values call " + name + " with " + k.str());
}

TEST(Activations, Corpus) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values beside the project";
  EXPECT_GT(test::each_record("activations", [](const test::Case& c, const Value& r) {
    double rtol = c.tolerance("rtol", 1e-5), atol = c.tolerance("atol", 1e-6);
    std::string name = c.json.get("function").as_string();
    name = name.substr(name.rfind('.') + 1);
    Tensor x = c.tensor(r.get("x"));
    GradientTape tape;
    tape.watch(x);
    Tensor y = call(name, x, r.get("kwargs"));
    test::expect_close(y, c.tensor(r.get("y")), rtol, atol);
    // Keras' numbers have the error of XLA's tanh here: four ulps near 1, and exactly 1 from 8 on.
    if (name == "gelu" && !r.get("kwargs").as_dict().empty()) atol = 4e-6;
    Tensor g = tape.gradient(ops::sum(y * c.tensor(r.get("cot"))), x);
    test::expect_close(g, c.tensor(r.get("grad_x")), rtol, atol);
  }), 40);
}

}  // namespace
}  // namespace keras
