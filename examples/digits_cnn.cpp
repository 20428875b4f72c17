// What lives here: the main example: a convolutional network that learns handwritten digits, is saved, loaded again, and predicts the same.
// ctest args: data/digits.npz
// ctest: slow
#include <keras/keras.h>

#include <cmath>
#include <cstdio>

using namespace keras;
using namespace keras::layers;

int main(int argc, char** argv) {
  auto data = utils::load_npz(argc > 1 ? argv[1] : "data/digits.npz");
  Tensor x, y;
  for (auto& [name, array] : data) (name == "x" ? x : y) = array;
  // Train on the first 1437 images, test on the last 360, in the order of the file.
  Tensor x_train = x.rows(0, 1437), y_train = y.rows(0, 1437), x_test = x.rows(1437, 1797), y_test = y.rows(1437, 1797);

  utils::set_random_seed(1);
  Sequential model({
      Input({8, 8}),
      Rescaling(1.0 / 16),
      Reshape({8, 8, 1}),
      Conv2D(32, 3, {.padding = "same", .activation = "relu"}),
      BatchNormalization(),
      Conv2D(64, 3, {.padding = "same", .activation = "relu"}),
      BatchNormalization(),
      MaxPooling2D(2),
      Dropout(0.25),
      Flatten(),
      Dense(128, {.activation = "relu"}),
      Dropout(0.5),
      Dense(10, {.activation = "softmax"}),
  });
  model.summary();
  model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  model.fit(x_train, y_train, {.batch_size = 32, .epochs = 30, .validation_split = 0.1});

  double accuracy = model.evaluate(x_test, y_test, {.verbose = 0}).at("accuracy");
  std::printf("test accuracy on %d images: %.2f %%\n", 360, 100 * accuracy);

  model.save("digits.keras");
  Model again = models::load_model("digits.keras");
  Tensor before = model.predict(x_test, {.verbose = 0}), after = again.predict(x_test, {.verbose = 0});
  double worst = 0;
  auto a = before.to_vector<double>(), b = after.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  std::printf("saved digits.keras, loaded it again: greatest difference of %zu predictions: %g\n", a.size(), worst);
  return accuracy > 0.96 && worst == 0 ? 0 : 1;
}
