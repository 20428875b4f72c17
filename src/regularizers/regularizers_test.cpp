// What lives here: tests of regularizers: recorded values, names, saved forms, functions of the user.
#include <gtest/gtest.h>

#include <keras/regularizers.h>
#include <keras/core/function.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "support/recorded.h"

namespace keras {
namespace {

using namespace regularizers;

TEST(Regularizers, NumbersOfKeras) {
  Tensor w({{1.0, 2.0}, {3.0, -4.0}});
  EXPECT_NEAR(OrthogonalRegularizer({.factor = 0.1})(w).item(), 0.04472136124968529, 1e-7);
  EXPECT_NEAR(L1L2({.l1 = 0.1, .l2 = 0.2})(w).item(), 7.0, 1e-6);
  EXPECT_EQ(Regularizer()(w).item(), 0);
  EXPECT_THROW(OrthogonalRegularizer()(Tensor({1.0})), ValueError);
  EXPECT_THROW(L2(-1), ValueError);
  EXPECT_THROW(OrthogonalRegularizer({.mode = "row"}), ValueError);
}

TEST(Regularizers, SavedFormsAndNames) {
  auto text = [](const Regularizer& r) { return io::to_json(r.serialize()); };
  EXPECT_EQ(text(L1(0.3)), R"({"module": "keras.regularizers", "class_name": "L1", "config": {"l1": 0.30000001192092896}, "registered_name": null})");
  EXPECT_EQ(text(L1L2({.l1 = 0.3})), R"({"module": "keras.regularizers", "class_name": "L1L2", "config": {"l1": 0.3, "l2": 0.0}, "registered_name": null})");
  EXPECT_EQ(text("l2"), R"({"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}, "registered_name": null})");
  EXPECT_EQ(text(l1_l2()), R"({"module": "keras.regularizers", "class_name": "L1L2", "config": {"l1": 0.01, "l2": 0.01}, "registered_name": null})");
  for (const std::string& name : names()) EXPECT_EQ(Regularizer(Regularizer(name).serialize()).serialize(), Regularizer(name).serialize()) << name;
  EXPECT_THROW(Regularizer("l3").object(), ValueError);
  EXPECT_TRUE(Regularizer().serialize().is_null());
  EXPECT_FALSE(Regularizer().function());
  EXPECT_NEAR(L2(1).function()(Tensor({3.0})).item(), 9, 1e-6);
}

Tensor halved(const Tensor& x) { return x * Tensor(0.5); }
struct Mine : RegularizerImpl {
  Tensor call(const Tensor& x) override { return x; }
  std::string class_name() const override { return "Mine"; }
};

TEST(Regularizers, OnesOfTheUser) {
  Regularizer lambda = [](const Tensor& x) { return x * Tensor(2.0); };
  EXPECT_EQ(lambda(Tensor(2.0)).item(), 4);
  EXPECT_THROW(lambda.serialize(), ValueError);
  register_regularizer("halved", Regularizer::Function(halved), "mine");
  Regularizer function = halved;
  EXPECT_EQ(io::to_json(function.serialize()), R"({"module": "builtins", "class_name": "function", "config": "mine>halved", "registered_name": "function"})");
  EXPECT_EQ(Regularizer(function.serialize())(Tensor(2.0)).item(), 1);
  Regularizer object = std::make_shared<Mine>();
  EXPECT_THROW(Regularizer(object.serialize()).object(), ValueError);
  register_regularizer("Mine", [](const Dict&) { return std::make_shared<Mine>(); }, "mine");
  EXPECT_EQ(io::to_json(object.serialize()), R"({"module": null, "class_name": "Mine", "config": {}, "registered_name": "mine>Mine"})");
  EXPECT_EQ(Regularizer(object.serialize())(Tensor(2.0)).item(), 2);
}

TEST(Regularizers, Corpus) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values beside the project";
  EXPECT_GT(test::each_record("regularizers", [](const test::Case& c, const Value& r) {
    double rtol = c.tolerance("rtol", 1e-5), atol = c.tolerance("atol", 1e-6);
    Regularizer object(Dict{{"class_name", c.json.get("class")}, {"config", r.get("config")}});
    Tensor w = c.tensor(r.get("w"));
    GradientTape tape;
    tape.watch(w);
    Tensor value = object(w);
    test::expect_close(value, Tensor(r.get("value").as_float()), rtol, atol);
    test::expect_close(tape.gradient(value, w), c.tensor(r.get("grad_w")), rtol, atol);
  }), 10);
}

}  // namespace
}  // namespace keras
