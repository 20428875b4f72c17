// What lives here: the public face of NumPy's generator gives the numbers that NumPy gives, in tensors.
#include <gtest/gtest.h>

#include <keras/random/numpy_random.h>

namespace keras::random {

TEST(RandomState, DrawsWhatNumpyDraws) {
  RandomState np(123);
  Tensor x = np.randint(1, 10, {2, 2, 3}), y = np.randint(1, 5, {3, 4});
  EXPECT_EQ(x.dtype(), DType::Int64);
  EXPECT_EQ(x.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(x.to_vector<int>(), (std::vector<int>{3, 3, 7, 2, 4, 7, 2, 1, 2, 1, 1, 4}));
  EXPECT_EQ(y.to_vector<int>(), (std::vector<int>{3, 2, 1, 1, 1, 1, 2, 4, 4, 3, 1, 4}));
}

TEST(RandomState, FloatsAndOrders) {
  RandomState np(0);
  // np.random.seed(0): random_sample(3), randn(2), permutation(5)
  std::vector<double> r = np.random_sample({3}).to_vector<double>();
  EXPECT_DOUBLE_EQ(r[0], 0.5488135039273248);
  EXPECT_DOUBLE_EQ(r[1], 0.7151893663724195);
  EXPECT_DOUBLE_EQ(r[2], 0.6027633760716439);
  np.seed(0);
  std::vector<double> n = np.normal(0, 1, {2}).to_vector<double>();
  EXPECT_DOUBLE_EQ(n[0], 1.764052345967664);
  EXPECT_DOUBLE_EQ(n[1], 0.4001572083672233);
  np.seed(0);
  EXPECT_EQ(np.permutation(5).to_vector<int>(), (std::vector<int>{2, 0, 1, 3, 4}));
}

TEST(RandomState, CopiesShareAndErrorsAreClear) {
  RandomState a(7), b = a;
  EXPECT_NE(a.random_sample({1}).item(), b.random_sample({1}).item());
  EXPECT_THROW(RandomState(-1), ValueError);
  EXPECT_THROW(a.randint(5, 5, {1}), ValueError);
  EXPECT_THROW(a.random_sample({None}), ValueError);
  EXPECT_THROW(a.choice(2, 3, false), ValueError);
}

}  // namespace keras::random
