// What lives here: a siamese network: one LSTM reads two sequences, a Dense layer says whether they are of one kind.
#include <keras/keras.h>

#include <cmath>
#include <cstdio>
#include <vector>

using namespace keras;
using namespace keras::layers;

/// Waves of two frequencies with noise; pairs of one frequency are "same".
static void make_pairs(int64_t count, int64_t seed, Tensor& left, Tensor& right, Tensor& same) {
  random::RandomState np(seed);
  std::vector<int> kinds = np.randint(0, 2, {2, count}).to_vector<int>();
  std::vector<double> phases = np.uniform(0, 6.28, {2, count}).to_vector<double>(), noise = np.normal(0, 0.1, {2, count, 20}).to_vector<double>();
  std::vector<float> waves(noise.size()), labels(static_cast<size_t>(count));
  size_t n = static_cast<size_t>(count);
  for (size_t i = 0; i < 2 * n; ++i)
    for (size_t t = 0; t < 20; ++t) waves[i * 20 + t] = static_cast<float>(std::sin(phases[i] + (kinds[i] ? 1.2 : 0.5) * static_cast<double>(t)) + noise[i * 20 + t]);
  for (size_t i = 0; i < n; ++i) labels[i] = kinds[i] == kinds[n + i];
  Tensor all = Tensor::from(waves, {2 * count, 20, 1});
  left = all.rows(0, count), right = all.rows(count, 2 * count), same = Tensor::from(labels, {count, 1});
}

int main() {
  utils::set_random_seed(2);
  Tensor left = Input({20, 1}, {.name = "left"}), right = Input({20, 1}, {.name = "right"});
  LSTM encoder(24, {.name = "encoder"});
  Tensor both = Concatenate()({encoder(left), encoder(right)});
  Tensor hidden = Dense(24, {.activation = "relu"})(both);
  Model model({left, right}, Dense(1, {.activation = "sigmoid"})(hidden));
  model.summary();

  Tensor a, b, same, a_test, b_test, same_test;
  make_pairs(2000, 1, a, b, same);
  make_pairs(500, 2, a_test, b_test, same_test);
  model.compile({.optimizer = optimizers::Adam({.learning_rate = 0.01}), .loss = "binary_crossentropy", .metrics = {"accuracy"}});
  model.fit({{"left", a}, {"right", b}}, same, {.batch_size = 50, .epochs = 12, .verbose = 2});
  double accuracy = model.evaluate(Tensors{a_test, b_test}, same_test, {.verbose = 0}).at("accuracy");
  std::printf("accuracy on 500 pairs not seen: %.1f %%\n", 100 * accuracy);

  model.save("siamese.keras");
  Model again = models::load_model("siamese.keras");
  std::remove("siamese.keras");
  Layer loaded = again.get_layer("encoder");
  std::printf("loaded again: \"%s\" has %d nodes and %zu weights\n", loaded.name().c_str(), loaded.num_nodes(), loaded.weights().size());
  bool shares = loaded.num_nodes() == 2 && loaded.weights().size() == 3 && again.count_params() == model.count_params();
  bool equal = again.predict(Tensors{a_test, b_test}, {.verbose = 0}).to_vector<float>() == model.predict(Tensors{a_test, b_test}, {.verbose = 0}).to_vector<float>();
  return accuracy > 0.9 && shares && equal ? 0 : 1;
}
