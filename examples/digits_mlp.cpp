// What lives here: a small network of Dense layers that learns handwritten digits.
// ctest args: data/digits.npz
#include <keras/keras.h>

#include <cstdio>

using namespace keras;
using namespace keras::layers;

int main(int argc, char** argv) {
  Tensor x, y;
  for (auto& [name, array] : utils::load_npz(argc > 1 ? argv[1] : "data/digits.npz")) (name == "x" ? x : y) = array;
  Tensor x_train = x.rows(0, 1437), y_train = y.rows(0, 1437), x_test = x.rows(1437, 1797), y_test = y.rows(1437, 1797);

  utils::set_random_seed(1);
  Sequential model({
      Input({8, 8}),
      Rescaling(1.0 / 16),
      Flatten(),
      Dense(64, {.activation = "relu"}),
      Dense(64, {.activation = "relu"}),
      Dense(10, {.activation = "softmax"}),
  });
  model.summary();
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  model.fit(x_train, y_train, {.batch_size = 32, .epochs = 20, .verbose = 2, .validation_split = 0.1});
  Logs logs = model.evaluate(x_test, y_test, {.verbose = 0});
  std::printf("test loss %.4f, test accuracy %.2f %%\n", logs.at("loss"), 100 * logs.at("accuracy"));
  return logs.at("accuracy") > 0.85 ? 0 : 1;
}
