// expect: invalid initialization of reference
// What lives here: a number is no shape: `Shape{784}` says how many axes there are, 784 alone does not.
#include <keras/base/shape.h>

int rank(const keras::Shape& shape) { return shape.rank(); }

int main() {
#ifdef KERAS_COMPILES
  return rank({784});
#else
  return rank(784);
#endif
}
