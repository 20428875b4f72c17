// What lives here: tests of constraints: recorded values, names, saved forms, functions of the user.
#include <gtest/gtest.h>

#include <keras/constraints.h>
#include <keras/core/function.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "support/recorded.h"

namespace keras {
namespace {

using namespace constraints;

TEST(Constraints, NumbersOfKeras) {
  Tensor w({{1.0, 2.0}, {3.0, -4.0}});
  test::expect_close(MinMaxNorm({.min_value = 0.5, .max_value = 2.0, .rate = 0.7, .axis = 1})(w),
                     Tensor({{0.9260990023612976, 1.8521980047225952}, {1.7400001287460327, -2.320000171661377}}), 1e-6, 1e-6);
  test::expect_close(NonNeg()(w), Tensor({{1.0, 2.0}, {3.0, 0.0}}), 0, 0);
  test::expect_close(MaxNorm({.max_value = 1, .axis = List{0, 1}})(w) , w * Tensor(1 / std::sqrt(30.0)), 1e-6, 1e-6);
  EXPECT_TRUE(Constraint()(w).same(w));
  EXPECT_THROW(MaxNorm({.max_value = "two"}), ValueError);
}

TEST(Constraints, SavedFormsAndNames) {
  auto text = [](const Constraint& c) { return io::to_json(c.serialize()); };
  EXPECT_EQ(text(MaxNorm()), R"({"module": "keras.constraints", "class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}, "registered_name": null})");
  EXPECT_EQ(text("non_neg"), R"({"module": "keras.constraints", "class_name": "NonNeg", "config": {}, "registered_name": null})");
  for (const std::string& name : names()) EXPECT_EQ(Constraint(Constraint(name).serialize()).serialize(), Constraint(name).serialize()) << name;
  EXPECT_THROW(Constraint("max_norms").object(), ValueError);
  EXPECT_TRUE(Constraint().serialize().is_null());
  EXPECT_FALSE(Constraint().function());
}

Tensor halved(const Tensor& x) { return x * Tensor(0.5); }
struct Mine : ConstraintImpl {
  Tensor call(const Tensor& x) override { return x; }
  std::string class_name() const override { return "Mine"; }
};

TEST(Constraints, OnesOfTheUser) {
  Constraint lambda = [](const Tensor& x) { return x * Tensor(2.0); };
  EXPECT_EQ(lambda(Tensor(2.0)).item(), 4);
  EXPECT_THROW(lambda.serialize(), ValueError);
  register_constraint("halved", Constraint::Function(halved), "mine");
  Constraint function = halved;
  EXPECT_EQ(io::to_json(function.serialize()), R"({"module": "builtins", "class_name": "function", "config": "mine>halved", "registered_name": "function"})");
  EXPECT_EQ(Constraint(function.serialize())(Tensor(2.0)).item(), 1);
  Constraint object = std::make_shared<Mine>();
  EXPECT_THROW(Constraint(object.serialize()).object(), ValueError);
  register_constraint("Mine", [](const Dict&) { return std::make_shared<Mine>(); }, "mine");
  EXPECT_EQ(io::to_json(object.serialize()), R"({"module": null, "class_name": "Mine", "config": {}, "registered_name": "mine>Mine"})");
  EXPECT_EQ(Constraint(object.serialize())(Tensor(2.0)).item(), 2);
}

TEST(Constraints, Corpus) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values beside the project";
  EXPECT_GT(test::each_record("constraints", [](const test::Case& c, const Value& r) {
    double rtol = c.tolerance("rtol", 1e-5), atol = c.tolerance("atol", 1e-6);
    Constraint object(Dict{{"class_name", c.json.get("class")}, {"config", r.get("config")}});
    test::expect_close(object(c.tensor(r.get("w"))), c.tensor(r.get("y")), rtol, atol);
  }), 20);
}

}  // namespace
}  // namespace keras
