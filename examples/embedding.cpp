// What lives here: what an Embedding gives: for each index its row of the table.
#include <keras/keras.h>

#include <iostream>

using namespace keras;
using namespace keras::layers;

int main() {
  utils::set_random_seed(1);
  Embedding embedding(4, 5, {.input_length = 7});
  Sequential model({embedding});
  model.compile({.optimizer = "rmsprop", .loss = "mse"});
  Tensor ids = {{0, 1, 0, 1, 1, 0, 3}};
  Tensor output = model.predict(ids, {.verbose = 0});
  Tensor table = embedding.embeddings();
  std::cout << "the table, " << table.shape().str() << ":\n" << table << "\n\npredict([[0, 1, 0, 1, 1, 0, 3]]), " << output.shape().str() << ":\n" << output << "\n\n";

  bool good = output.shape() == Shape{1, 7, 5};
  auto index = ids.to_vector<int64_t>();
  for (int64_t i = 0; i < 7; ++i)
    good = good && output.row(0).row(i).to_vector<float>() == table.row(index[static_cast<size_t>(i)]).to_vector<float>();
  std::cout << "each row of the output is that row of the table: " << (good ? "yes" : "no") << "\n\n";
  try {
    model.predict(Tensor{{0, 1, 0, 1, 1, 0, 4}}, {.verbose = 0});
    good = false;
  } catch (const ValueError& e) {
    std::cout << "an index outside the table:\n" << e.what() << "\n";
  }
  return good ? 0 : 1;
}
