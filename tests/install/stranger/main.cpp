// What lives here: a user's first program, with what the installed headers offer and nothing else.
#include <keras/keras.h>

#include <cstdio>

int main() {
  const keras::Shape shape = keras::broadcast_shapes({keras::None, 1, 3}, {4, 1});
  std::printf("%s %s\n", shape.str().c_str(), keras::dtype_name(keras::result_type(keras::int32, keras::float16)));
  try {
    keras::broadcast_shapes({2}, {3});
  } catch (const keras::ValueError&) {  // thrown in the library, caught here: the type is the same on both sides
    std::printf("caught\n");
  }
}
