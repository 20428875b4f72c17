// What lives here: tests of splitting arrays and of the tuples of training data. The shuffled order is that of Python's `random`.
#include <gtest/gtest.h>

#include <keras/ops.h>
#include <keras/utils/dataset_utils.h>

namespace keras::utils {
namespace {

using Row = std::vector<int>;

TEST(SplitDataset, CountsSharesAndComplements) {
  Tensor x = ops::arange(7), y = ops::multiply(x, 10);
  auto [left, right] = split_dataset({x, y}, {.left_size = 0.6});
  EXPECT_EQ(left[0].to_vector<int>(), (Row{0, 1, 2, 3}));
  EXPECT_EQ(right[1].to_vector<int>(), (Row{40, 50, 60}));
  EXPECT_EQ(split_dataset(x, {.right_size = 2}).first.numel(), 5);
  // What neither takes is left out in the middle.
  auto [front, back] = split_dataset(x, {.left_size = 2, .right_size = 3});
  EXPECT_EQ(front.to_vector<int>(), (Row{0, 1}));
  EXPECT_EQ(back.to_vector<int>(), (Row{4, 5, 6}));
}
TEST(SplitDataset, ShufflesAsPythonDoes) {
  auto [left, right] = split_dataset(ops::arange(7), {.left_size = 4, .shuffle = true, .seed = 3});
  EXPECT_EQ(left.to_vector<int>(), (Row{0, 2, 3, 6}));
  EXPECT_EQ(right.to_vector<int>(), (Row{5, 4, 1}));
}
TEST(SplitDataset, RefusesWhatIsNoSplit) {
  Tensor x = ops::arange(7);
  EXPECT_THROW(split_dataset(x), ValueError);
  for (const SplitOptions& o : std::vector<SplitOptions>{{.left_size = 7},
                                                         {.left_size = 0},
                                                         {.right_size = 1.0},
                                                         {.left_size = 0.6, .right_size = 0.6},
                                                         {.left_size = 5, .right_size = 3},
                                                         {.left_size = 0.01}})
    EXPECT_THROW(split_dataset(x, o), ValueError);
  EXPECT_THROW(split_dataset(Tensors{x, ops::arange(6)}, {.left_size = 2}), ValueError);
  EXPECT_THROW(split_dataset(Tensors{}, {.left_size = 2}), ValueError);
}

TEST(TrainingTuples, PackedAndUnpacked) {
  Tensor x = ops::arange(3), y = ops::arange(2);
  EXPECT_EQ(pack_x_y_sample_weight(x).size(), 1u);
  EXPECT_EQ(pack_x_y_sample_weight(x, Tensor(), x).size(), 1u);
  EXPECT_EQ(pack_x_y_sample_weight(x, y, x).size(), 3u);
  auto [a, b, c] = unpack_x_y_sample_weight({x, y});
  EXPECT_EQ(b.numel(), 2);
  EXPECT_FALSE(c.defined());
  EXPECT_THROW(unpack_x_y_sample_weight({}), ValueError);
  EXPECT_THROW(unpack_x_y_sample_weight({x, x, x, x}), ValueError);
}

}  // namespace
}  // namespace keras::utils
