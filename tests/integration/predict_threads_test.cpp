// What lives here: one model that predicts from several threads at once.
#include <gtest/gtest.h>

#include <thread>

#include <keras/layers/convolutional/conv.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/normalization/batch_normalization.h>
#include <keras/layers/reshaping/reshape.h>
#include <keras/layers/rnn/lstm.h>
#include <keras/models/model.h>
#include <keras/random.h>
#include <keras/utils.h>

namespace keras {
namespace {

using namespace layers;

Tensor numbers(const Shape& shape) {
  Tensor t = Tensor::empty(DType::Float32, shape);
  float* p = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>((i * 37 % 101) / 101.0);
  return t;
}

/// Threads meet the model cold, so they compile the same step at once, then go through batches of several sizes.
void expect_equal_from_threads(const std::function<Model()>& make, const Tensor& x) {
  std::vector<float> want = make().predict(x).to_vector<float>();
  Model model = make();
  std::vector<std::vector<float>> got(4);
  std::vector<std::string> errors(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < got.size(); ++t)
    threads.emplace_back([&, t] {
      try {
        for (int round = 0; round < 5; ++round) got[t] = model.predict(x, {.batch_size = round % 2 ? 10 : 32}).to_vector<float>();
      } catch (const std::exception& e) {
        errors[t] = e.what();
      }
    });
  for (std::thread& t : threads) t.join();
  for (size_t t = 0; t < got.size(); ++t) {
    EXPECT_EQ(errors[t], "");
    EXPECT_EQ(got[t], want) << "thread " << t;
  }
}

TEST(PredictThreads, DenseAndConvolution) {
  expect_equal_from_threads(
      [] {
        utils::clear_session();
        utils::set_random_seed(3);
        return Sequential({Input({8, 8, 1}), Conv2D(8, 3, {.activation = "relu"}), BatchNormalization(), Flatten(), Dense(10, {.activation = "softmax"})});
      },
      numbers({100, 8, 8, 1}));
}

TEST(PredictThreads, Recurrence) {
  expect_equal_from_threads(
      [] {
        utils::clear_session();
        utils::set_random_seed(3);
        return Sequential({Input({6, 4}), LSTM(9), Dense(2)});
      },
      numbers({100, 6, 4}));
}

}  // namespace
}  // namespace keras
