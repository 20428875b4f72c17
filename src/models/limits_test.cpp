// What lives here: tests of the limits of keras::config on fit, evaluate and predict.
#include <gtest/gtest.h>

#include <keras/base/warning.h>
#include <keras/config.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>
#include <keras/models/callback.h>
#include <keras/models/model.h>
#include <keras/ops.h>

namespace keras {
namespace {

struct CountBatches : callbacks::Callback {
  int* batches;
  explicit CountBatches(int* n) : batches(n) {}
  void on_train_batch_end(int64_t, Logs&) override { ++*batches; }
};

TEST(LimitsTest, QuickRunsOfLongPrograms) {
  std::vector<std::string> warnings;
  WarningHandler before = set_warning_handler([&](const std::string& text) { warnings.push_back(text); });
  Sequential model({Input({2}), layers::Dense(1)});
  model.compile({.optimizer = "sgd", .loss = "mse"});
  Tensor x = ops::ones({12, 2}), y = ops::ones({12, 1});
  int batches = 0;
  config::set_max_epochs(2);
  config::set_max_steps_per_epoch(3);
  auto history = model.fit(x, y, {.batch_size = 2, .epochs = 5, .verbose = 0, .callbacks = {CountBatches(&batches)}});
  EXPECT_EQ(history->epoch.size(), 2u);
  EXPECT_EQ(batches, 6);
  EXPECT_EQ(warnings, (std::vector<std::string>{"Limiting epochs to 2", "Limiting steps_per_epoch to 3"}));
  EXPECT_EQ(model.predict(x, {.batch_size = 2, .verbose = 0}).shape(), (Shape{6, 1}));
  config::set_max_epochs({});
  config::set_max_steps_per_epoch({});
  EXPECT_EQ(model.predict(x, {.batch_size = 2, .verbose = 0}).shape(), (Shape{12, 1}));
  set_warning_handler(before);
}

}  // namespace
}  // namespace keras
