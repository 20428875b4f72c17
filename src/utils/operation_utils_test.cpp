// What lives here: tests of walks over the graph of symbolic tensors.
#include <gtest/gtest.h>

#include <keras/ops.h>
#include <keras/utils/operation_utils.h>

#include "core/impl.h"

namespace keras::utils {
namespace {

TEST(SourceInputs, EachOnceInOrder) {
  Tensor a = core::make_symbolic({DType::Float32, Shape{None, 3}}, "a"), b = core::make_symbolic({DType::Float32, Shape{None, 3}}, "b");
  Tensor sum = ops::add(b, 1.0), all = ops::concatenate({sum, ops::multiply(a, sum)}, -1);
  Tensors inputs = get_source_inputs(all);
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].impl(), b.impl());
  EXPECT_EQ(inputs[1].impl(), a.impl());
  EXPECT_EQ(get_source_inputs(a)[0].impl(), a.impl());
  EXPECT_THROW(get_source_inputs(ops::zeros({2})), ValueError);
}

}  // namespace
}  // namespace keras::utils
