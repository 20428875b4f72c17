// What lives here: which axes K.batch_dot contracts: they count the batch axis, which Input adds and K.ones does not.
#include <keras/keras.h>

#include <iostream>
#include <vector>

using namespace keras;

static bool good = true;
static void show(const char* what, const Shape& got, const Shape& expected) {
  std::cout << "  " << what << got.str() << (got == expected ? "" : "   EXPECTED " + expected.str()) << "\n";
  good = good && got == expected;
}

int main() {
  std::cout << "K.ones((36, 8, 24)) twice, rank 3, the 36 being the batch:\n";
  Tensor x = K::ones({36, 8, 24}), y = K::ones({36, 8, 24});
  show("axes [1, 1]: ", K::batch_dot(x, y, 1).shape(), {36, 24, 24});
  show("axes [2, 2]: ", K::batch_dot(x, y, 2).shape(), {36, 8, 8});

  std::cout << "Input((36, 8, 24)) twice, rank 4 with the batch, the 36 being axis 1:\n";
  Tensor u = Input({36, 8, 24}), v = Input({36, 8, 24});
  show("axes [1, 1]: ", K::batch_dot(u, v, 1).shape(), {None, 8, 24, 8, 24});
  show("axes [2, 2]: ", K::batch_dot(u, v, 2).shape(), {None, 36, 24, 36, 24});
  show("axes [3, 3]: ", K::batch_dot(u, v, 3).shape(), {None, 36, 8, 36, 8});

  std::cout << "The same as an older TensorFlow backend read it, a matrix product of the last two axes:\n";
  show("axes [1, 1]: ", K::batch_dot_tf1(u, v, 1).shape(), {None, 36, 24, 24});
  show("axes [2, 2]: ", K::batch_dot_tf1(u, v, 2).shape(), {None, 36, 24, 24});

  Tensor a = {{{1.f, 2, 3}, {3, 2, 1}}}, b = {{{1.f, 3, 3}, {2, 2, 0}}};
  Tensor over1 = K::batch_dot(a, b, 1), over2 = K::batch_dot(a, b, 2);
  std::cout << "\na =\n" << a << "\nb =\n" << b << "\nbatch_dot(a, b, axes=1) =\n" << over1 << "\nbatch_dot(a, b, axes=2) =\n" << over2 << "\n";
  namespace tf = compat::v1;
  Tensor first = tf::matmul(a, b, {.adjoint_a = true}), second = tf::matmul(a, b, {.adjoint_b = true});
  good = good && over1.to_vector<int>() == std::vector<int>{7, 9, 3, 6, 10, 6, 5, 11, 9} && over2.to_vector<int>() == std::vector<int>{16, 6, 12, 10} &&
         first.to_vector<int>() == over1.to_vector<int>() && second.to_vector<int>() == over2.to_vector<int>();
  std::cout << "matmul(a, b, adjoint_a) and matmul(a, b, adjoint_b) give the same two.\n\naxes=0 is refused:\n";
  try {
    K::batch_dot(a, b, 0);
    good = false;
  } catch (const ValueError& e) {
    std::cout << e.what() << "\n";
  }
  return good ? 0 : 1;
}
