// What lives here: one LSTM called on two inputs: a node for each call, the weights once.
#include <keras/keras.h>

#include <iostream>

using namespace keras;
using namespace keras::layers;

int main() {
  Tensor a = Input({280, 128}), b = Input({250, 128});
  LSTM lstm(32);
  Tensor encoded_a = lstm(a), encoded_b = lstm(b);
  bool good = true;
  for (int node = 0; node < lstm.num_nodes(); ++node) {
    std::cout << "node " << node << ": input " << lstm.get_input_shape_at(node).str() << ", output " << lstm.get_output_shape_at(node).str() << "\n";
    good = good && lstm.get_input_shape_at(node) == Shape{None, node == 0 ? 280 : 250, 128} && lstm.get_output_shape_at(node) == Shape{None, 32};
  }
  good = good && lstm.get_output_at(0).same(encoded_a) && lstm.get_output_at(1).same(encoded_b);
  std::cout << "get_output_at(i) is the tensor that call i returned: " << (good ? "yes" : "no") << "\n";

  Model model({a, b}, Tensors{encoded_a, encoded_b});
  std::cout << "weights " << lstm.weights().size() << ", parameters of the layer " << lstm.count_params() << ", of the model " << model.count_params() << "\n\n";
  good = good && model.count_params() == lstm.count_params() && lstm.weights().size() == 3;

  try {
    lstm.output();
    good = false;
  } catch (const ValueError& e) {
    std::cout << "lstm.output():\n" << e.what() << "\n\n";
  }
  try {
    lstm(Input({280, 64}));
    good = false;
  } catch (const ValueError& e) {
    std::cout << "lstm on another last axis:\n" << e.what() << "\n";
  }
  return good ? 0 : 1;
}
