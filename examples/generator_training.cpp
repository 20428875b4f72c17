// What lives here: training on batches that nobody holds all at once: from a generator, and from a dataset whose batches are made by threads.
#include <cmath>
#include <cstdio>
#include <vector>

#include <keras/keras.h>
using namespace keras;

// A batch of waves, each of one of three shapes, made up from its number.
Batch waves(int64_t number, int64_t size = 32, int64_t steps = 24) {
  std::vector<float> x;
  std::vector<int> y;
  for (int64_t i = 0; i < size; ++i) {
    int64_t wave = number * size + i;
    int shape = static_cast<int>(wave * 7 % 3);
    double period = 6 + wave % 5, phase = 0.1 * static_cast<double>(wave % 17);
    for (int64_t t = 0; t < steps; ++t) {
      double at = std::fmod(static_cast<double>(t) / period + phase, 1.0);
      x.push_back(static_cast<float>(shape == 0 ? std::sin(6.2832 * at) : shape == 1 ? 2 * at - 1 : at < 0.5 ? 1 : -1));
    }
    y.push_back(shape);
  }
  return {Tensor::from(x, {size, steps, 1}), Tensor::from(y, {size})};
}

// As in Python: a function that yields. It has no end, so fit is told how many batches make an epoch.
BatchGenerator generator() {
  for (int64_t number = 0;; ++number) co_yield waves(number);
}

// A dataset knows any of its batches by number; two threads make them ahead of the training, and the order stays.
struct Waves : utils::PyDataset {
  int64_t from, count;
  Waves(int64_t from, int64_t count) : PyDataset({.workers = 2, .max_queue_size = 8}), from(from), count(count) {}
  std::optional<int64_t> num_batches() const override { return count; }
  Batch get_item(int64_t index) override { return waves(from + index); }
};

int main() {
  utils::set_random_seed(1);
  Sequential model({
      Input({24, 1}),
      layers::Conv1D(16, 5, {.activation = "relu"}),
      layers::GlobalMaxPooling1D(),
      layers::Dense(3, {.activation = "softmax"}),
  });
  model.compile({.optimizer = optimizers::Adam({.learning_rate = 0.01}), .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});

  Waves test(5000, 10);
  model.fit(generator(), {.epochs = 3, .verbose = 2, .validation_data = {test}, .steps_per_epoch = 40});

  Waves train(0, 100);
  model.fit(train, {.epochs = 2, .verbose = 2});
  double accuracy = model.evaluate(test, {.verbose = 0}).at("accuracy");
  std::printf("%.1f %% of waves that it never saw are told apart\n", 100 * accuracy);
  return accuracy > 0.9 ? 0 : 1;
}
