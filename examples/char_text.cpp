// What lives here: a network that reads text letter by letter and learns to write on in its manner.
#include <keras/keras.h>

#include <cmath>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

using namespace keras;
using namespace keras::layers;

static const std::string kText =
    "the sea was calm in the morning and the small boats went out one after the other. "
    "the old man stood on the stones and counted them as they passed the light. "
    "when the wind came up in the afternoon the boats came back one after the other, "
    "and the old man stood on the stones and counted them again. "
    "in the evening the lamps were lit in the small houses above the stones, "
    "and the sea was calm again, and the light turned slowly over the water. "
    "in the morning the boats went out again, and the old man counted them, "
    "and the light was out, and the wind was small, and the sea was calm. ";

int main() {
  std::set<char> letters(kText.begin(), kText.end());
  std::string alphabet(letters.begin(), letters.end());
  const int64_t classes = static_cast<int64_t>(alphabet.size()), window = 24;

  // Every stretch of 24 letters, and for each of its places the letter that follows.
  std::vector<int32_t> seen, next;
  const size_t w = static_cast<size_t>(window), count = kText.size() - w;
  for (size_t start = 0; start < count; ++start)
    for (size_t k = 0; k < w; ++k) {
      seen.push_back(static_cast<int32_t>(alphabet.find(kText[start + k])));
      next.push_back(static_cast<int32_t>(alphabet.find(kText[start + k + 1])));
    }
  Tensor x = Tensor::from(seen, {static_cast<int64_t>(count), window}), y = Tensor::from(next, {static_cast<int64_t>(count), window});

  utils::set_random_seed(1);
  Sequential model({
      Input({None}, {.dtype = "int32"}),
      Embedding(classes, 16),
      GRU(96, {.return_sequences = true}),
      Dense(classes),
  });
  model.summary();
  model.compile({.optimizer = optimizers::Adam({.learning_rate = 0.01}), .loss = losses::SparseCategoricalCrossentropy({.from_logits = true}), .metrics = {"accuracy"}});
  auto history = model.fit(x, y, {.batch_size = 32, .epochs = 10, .verbose = 2});

  // Writes on from a beginning, each letter drawn from what the network expects.
  std::string written = "in the morning ";
  random::RandomState np(4);
  for (int i = 0; i < 160; ++i) {
    std::vector<int32_t> ids;
    for (size_t k = written.size() > w ? written.size() - w : 0; k < written.size(); ++k) ids.push_back(static_cast<int32_t>(alphabet.find(written[k])));
    Tensor logits = model.predict(Tensor::from(ids, {1, static_cast<int64_t>(ids.size())}), {.verbose = 0}).row(0);
    std::vector<double> p = ops::softmax(logits.row(logits.shape()[0] - 1) / 0.5f).to_vector<double>();
    double left = np.uniform(0, 1, {1}).item();
    size_t letter = 0;
    while (letter + 1 < p.size() && (left -= p[letter]) > 0) ++letter;
    written += alphabet[letter];
  }
  std::printf("\n%s\n\n", written.c_str());

  double loss = (*history)["loss"].back(), uniform = std::log(static_cast<double>(classes));
  std::printf("nats per letter: %.3f, of %.3f for letters drawn blindly\n", loss, uniform);
  return loss < 0.4 * uniform ? 0 : 1;
}
