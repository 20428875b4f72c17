// What lives here: tests of comparisons as conditions of C++.
#include <gtest/gtest.h>

#include <keras/core/function.h>
#include <keras/core/variable.h>
#include <keras/ops.h>

#include "core/impl.h"

namespace keras {
namespace {

TEST(OperatorsTest, AComparisonIsATensorAndACondition) {
  Tensor a = 2.0, b = 3.0;
  EXPECT_TRUE(static_cast<bool>(a < b));
  EXPECT_FALSE(static_cast<bool>(a > b));
  if (a >= b) ADD_FAILURE();
  if (!(a <= b)) ADD_FAILURE();
  Tensor both = Tensor{{1, 5}} > Tensor{{3, 4}};
  EXPECT_EQ(both.dtype(), DType::Bool);
  EXPECT_EQ(both.to_vector<int>(), (std::vector<int>{0, 1}));
  // A tensor as such asks whether it is there.
  EXPECT_TRUE(static_cast<bool>(Tensor(0.0)));
  EXPECT_FALSE(Tensor(0.0).truth());
  EXPECT_TRUE((Tensor{{2.0}} > 1).truth());
  Variable v(Tensor{1.0});
  if (v > 1.5) ADD_FAILURE();
  Tensor either = true ? a < b : a;
  EXPECT_TRUE(either.truth());
}

TEST(OperatorsTest, WhatHasNoOneTruthIsAnError) {
  Tensor many = {1.0, 2.0};
  EXPECT_THROW(static_cast<bool>(many > 1.5), ValueError);
  EXPECT_THROW(static_cast<void>(Tensor::empty(DType::Float32, {0}).truth()), ValueError);
  Tensor symbolic = core::make_symbolic({DType::Float32, Shape{}}, "x");
  EXPECT_THROW(static_cast<bool>(symbolic > 0), TypeError);
  EXPECT_THROW(static_cast<void>(Tensor().truth()), ValueError);
  Function f([](const Tensors& in) -> Tensors {
    if (in[0] > 0) return {in[0]};
    return {-in[0]};
  });
  try {
    f({Tensor{1.0}});
    ADD_FAILURE();
  } catch (const TypeError& e) {
    EXPECT_NE(std::string(e.what()).find("ops::where"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace keras
