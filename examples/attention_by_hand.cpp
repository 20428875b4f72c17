// What lives here: dot-product attention written with batch_dot and softmax, with the layer Dot, and as the layer Attention: the same numbers.
#include <keras/keras.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace keras;

int main() {
  Tensor query = Input({4, 6}), value = Input({7, 6});

  // Scores (None, 4, 7): each step of the query with each step of the value. Their softmax weighs the values.
  Tensor scores = K::batch_dot(query, value, 2);
  Tensor by_hand = K::batch_dot(K::softmax(scores), value, std::pair{2, 1});

  Tensor weights = layers::Activation("softmax")(layers::Dot(2)({query, value}));
  Tensor by_dot = layers::Dot({2, 1})({weights, value});

  Tensor by_layer = layers::Attention()({query, value});

  std::printf("scores %s, output %s\n", scores.shape().str().c_str(), by_hand.shape().str().c_str());
  Model model({query, value}, Tensors{by_hand, by_dot, by_layer});
  random::RandomState np(0);
  Tensors out = model.predict_all(Tensors{np.normal(0, 1, {32, 4, 6}).astype(DType::Float32), np.normal(0, 1, {32, 7, 6}).astype(DType::Float32)}, {.verbose = 0});
  auto hand = out[0].to_vector<double>(), dot = out[1].to_vector<double>(), layer = out[2].to_vector<double>();
  double worst = 0;
  for (size_t i = 0; i < hand.size(); ++i) worst = std::max({worst, std::abs(hand[i] - dot[i]), std::abs(hand[i] - layer[i])});
  std::printf("greatest difference of batch_dot, Dot and Attention over %zu numbers: %.1e\n", hand.size(), worst);
  return worst < 1e-6 && by_hand.shape() == Shape{None, 4, 6} ? 0 : 1;
}
