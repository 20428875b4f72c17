// What lives here: NumPy's legacy generator behind its public face: lists of numbers become tensors.
#include <keras/random/numpy_random.h>

#include "random/mersenne_twister.h"

namespace keras::random {

static int64_t count_of(const Shape& size) {
  if (!size.is_static()) throw ValueError(ErrorText{.what = "random numbers need a shape of known sizes", .where = "random::RandomState", .received = size.str()}.str());
  return size.numel();
}

RandomState::RandomState(int64_t seed) : state_(std::make_shared<NumpyRandomState>(seed)) {}
void RandomState::seed(int64_t seed) { state_->seed(seed); }
Tensor RandomState::randint(int64_t low, int64_t high, const Shape& size) { return Tensor::from(state_->randint(low, high, count_of(size)), size); }
Tensor RandomState::random_sample(const Shape& size) { return Tensor::from(state_->random_sample(count_of(size)), size); }
Tensor RandomState::uniform(double low, double high, const Shape& size) { return Tensor::from(state_->uniform(low, high, count_of(size)), size); }
Tensor RandomState::normal(double mean, double stddev, const Shape& size) { return Tensor::from(state_->normal(mean, stddev, count_of(size)), size); }
Tensor RandomState::permutation(int64_t n) { return Tensor::from(state_->permutation(n), {n}); }
Tensor RandomState::choice(int64_t n, int64_t size, bool replace) { return Tensor::from(state_->choice(n, size, replace), {size}); }

}  // namespace keras::random
