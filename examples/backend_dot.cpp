// What lives here: K.dot on placeholders, evaluated with the values that NumPy's seeded generator draws.
#include <keras/keras.h>

#include <iostream>
#include <vector>

using namespace keras;

int main() {
  Tensor x = K::placeholder({2, 2, 3}), y = K::placeholder({3, 4});
  Tensor z = K::dot(x, y);
  std::cout << "K.dot of placeholders (2, 2, 3) and (3, 4): " << z << "\n\n";

  // np.random.seed(123); np.random.randint(1, 10, (2, 2, 3)); np.random.randint(1, 5, (3, 4))
  random::RandomState np(123);
  Tensor xs = np.randint(1, 10, {2, 2, 3}).astype(DType::Float32), ys = np.randint(1, 5, {3, 4}).astype(DType::Float32);
  std::cout << "x =\n" << xs << "\ny =\n" << ys << "\n\n";

  Tensor value = K::eval(z, {{x, xs}, {y, ys}});
  std::cout << "dot(x, y) =\n" << value << "\n\n";
  Tensor column = K::dot(xs, ops::get_item(ys, {Slice{}, 1}));
  std::cout << "dot(x, y[:, 1]) =\n" << column << "\n";

  bool good = xs.to_vector<int>() == std::vector<int>{3, 3, 7, 2, 4, 7, 2, 1, 2, 1, 1, 4} && ys.to_vector<int>() == std::vector<int>{3, 2, 1, 1, 1, 1, 2, 4, 4, 3, 1, 4} &&
              value.to_vector<int>() == std::vector<int>{40, 30, 16, 43, 38, 29, 17, 46, 15, 11, 6, 14, 20, 15, 7, 21} &&
              column.to_vector<int>() == std::vector<int>{30, 29, 11, 15} && z.shape() == Shape{2, 2, 4};
  return good ? 0 : 1;
}
