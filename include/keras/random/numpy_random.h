// What lives here: NumPy's legacy generator for users: what `np.random.seed(…)` and the functions after it draw, number for number.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <keras/core/tensor.h>

namespace keras::random {

class NumpyRandomState;

/// NumPy's `np.random.RandomState`: MT19937, whole numbers by masked rejection, normal numbers by the polar method. It gives the data of
/// Python programs that say `np.random.seed(123)`. Copying shares the state. It has nothing to do with the seeds of layers.
///
///     keras::random::RandomState np(123);
///     keras::Tensor x = np.randint(1, 10, {2, 2, 3}), y = np.randint(1, 5, {3, 4});
class RandomState {
 public:
  /// ValueError outside [0, 2^32).
  explicit RandomState(int64_t seed);
  void seed(int64_t seed);

  /// Whole numbers of [low, high), int64 as NumPy's default. ValueError when the range is empty or the shape has a None, here and below.
  Tensor randint(int64_t low, int64_t high, const Shape& size);
  /// Numbers of [0, 1), float64: `random_sample(size)`, `rand(…)`.
  Tensor random_sample(const Shape& size);
  /// Numbers of [low, high), float64.
  Tensor uniform(double low, double high, const Shape& size);
  /// Normal numbers, float64: `normal(mean, stddev, size)`; with mean 0 and stddev 1 also `randn(…)`.
  Tensor normal(double mean, double stddev, const Shape& size);
  /// The numbers below n in another order, int64.
  Tensor permutation(int64_t n);
  /// `size` of the numbers below n, int64. ValueError when there are too few to draw without replacement.
  Tensor choice(int64_t n, int64_t size, bool replace = true);

 private:
  std::shared_ptr<NumpyRandomState> state_;
};

}  // namespace keras::random
