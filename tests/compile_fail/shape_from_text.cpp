// expect: no matching function for call to 'keras::Shape::Shape(const char [10])'
// What lives here: a shape is sizes, not their text: Python's `"(None, 3)"` is no shape either.
#include <keras/base/shape.h>

int main() {
#ifdef KERAS_COMPILES
  keras::Shape shape{keras::None, 3};
#else
  keras::Shape shape("(None, 3)");
#endif
  return shape.rank();
}
