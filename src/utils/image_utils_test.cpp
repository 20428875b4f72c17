// What lives here: tests of images between pixels and arrays.
#include <gtest/gtest.h>

#include <keras/ops.h>
#include <keras/utils/image_utils.h>

namespace keras::utils {
namespace {

TEST(Images, PixelsToArrays) {
  Tensor pixels = ops::cast(ops::reshape(ops::arange(12), {2, 2, 3}), DType::UInt8);
  Tensor x = img_to_array(pixels);
  EXPECT_EQ(x.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(x.dtype(), DType::Float32);
  EXPECT_EQ(img_to_array(pixels, "channels_first", DType::Float16).shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(img_to_array(pixels, "channels_first").to_vector<int>()[1], 3);
  EXPECT_EQ(img_to_array(ops::zeros({2, 5})).shape(), (Shape{2, 5, 1}));
  EXPECT_EQ(img_to_array(ops::zeros({2, 5}), "channels_first").shape(), (Shape{1, 2, 5}));
  EXPECT_THROW(img_to_array(ops::zeros({2})), ValueError);
  EXPECT_THROW(img_to_array(pixels, "channels"), ValueError);
}
TEST(Images, ArraysToPixels) {
  Tensor x = ops::subtract(ops::cast(ops::reshape(ops::arange(12), {2, 2, 3}), DType::Float32), 3);
  Tensor pixels = array_to_img(x);
  EXPECT_EQ(pixels.dtype(), DType::UInt8);
  EXPECT_EQ(pixels.to_vector<int>(), (std::vector<int>{0, 23, 46, 69, 92, 115, 139, 162, 185, 208, 231, 255}));
  EXPECT_EQ(array_to_img(ops::transpose(x, {2, 0, 1}), "channels_first").to_vector<int>(), pixels.to_vector<int>());
  Tensor grey = array_to_img(ops::full({2, 3, 1}, 7.0), "", false);
  EXPECT_EQ(grey.shape(), (Shape{2, 3}));
  EXPECT_EQ(grey.to_vector<int>()[0], 7);
  EXPECT_EQ(array_to_img(ops::full({2, 3, 1}, 1000.0), "", false).dtype(), DType::Int32);
  EXPECT_EQ(array_to_img(ops::full({2, 3, 1}, 7.0)).to_vector<int>()[0], 0);
  EXPECT_THROW(array_to_img(ops::zeros({2, 3})), ValueError);
  EXPECT_THROW(array_to_img(ops::zeros({2, 3, 2})), ValueError);
}

}  // namespace
}  // namespace keras::utils
