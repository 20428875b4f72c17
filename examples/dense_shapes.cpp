// What lives here: why Dense gives the output shapes and parameter counts that it gives: it acts on the last axis and flattens nothing.
#include <keras/keras.h>

#include <cstdio>
#include <string>

using namespace keras;
using namespace keras::layers;

static bool good = true;
static void show(const char* what, const std::string& got, const std::string& expected) {
  std::printf("  %-34s %-18s %s\n", what, got.c_str(), got == expected ? "" : ("EXPECTED " + expected).c_str());
  good = good && got == expected;
}

int main() {
  std::printf("Input((2, 3)) -> Dense(4)\n");
  {
    Tensor x = Input({2, 3});
    Dense dense(4);
    Tensor y = dense(x);
    show("output", y.shape().str(), "(None, 2, 4)");
    show("kernel", dense.kernel().shape().str(), "(3, 4)");
    show("bias", dense.bias().shape().str(), "(4,)");
  }
  std::printf("Input((2, 3)) -> Flatten -> Dense(4)\n");
  {
    Tensor x = Input({2, 3});
    Dense dense(4);
    Tensor y = dense(Flatten()(x));
    show("output", y.shape().str(), "(None, 4)");
    show("kernel", dense.kernel().shape().str(), "(6, 4)");
  }

  std::printf("\nDense(4, linear), then Dense(10, softmax), on four input shapes:\n\n");
  utils::clear_session();
  struct Case {
    Shape input;
    const char *first, *second;
    int64_t first_params, total;
  };
  for (const Case& c : {Case{{784}, "(None, 4)", "(None, 10)", 3140, 3190}, Case{{784, 1}, "(None, 784, 4)", "(None, 784, 10)", 8, 58},
                        Case{{32, 28}, "(None, 32, 4)", "(None, 32, 10)", 116, 166}, Case{{32, 28, 1}, "(None, 32, 28, 4)", "(None, 32, 28, 10)", 8, 58}}) {
    Sequential model({Dense(4, {.activation = "linear", .input_shape = c.input}), Dense(10, {.activation = "softmax"})});
    std::printf("input_shape=%s\n", c.input.str().c_str());
    model.summary({.style = "plain"});
    Layer first = model.get_layer(0), second = model.get_layer(1);
    show("first output", first.output_shape().str(), c.first);
    show("second output", second.output_shape().str(), c.second);
    show("parameters of the first", std::to_string(first.count_params()), std::to_string(c.first_params));
    show("parameters of the second", std::to_string(second.count_params()), "50");
    show("parameters in all", std::to_string(model.count_params()), std::to_string(c.total));
    std::printf("\n");
  }

  std::printf("Dense(10, input_shape=(20, 5))\n");
  Sequential sixty({Dense(10, {.input_shape = Shape{20, 5}})});
  show("output", sixty.get_layer(0).output_shape().str(), "(None, 20, 10)");
  show("parameters, 10*5 + 10", std::to_string(sixty.count_params()), "60");

  std::printf("\nWhy? The library says so itself, of any layer and of a whole model:\n\n");
  Sequential images({Input({28, 28, 1}), Conv2D(8, 3, {.activation = "relu"}), MaxPooling2D(2), Dense(4), Flatten(), Dense(10)});
  std::printf("%s", images.explain().c_str());
  good = good && images.explain().find("axis 3 = 4: units=4") != std::string::npos;
  return good ? 0 : 1;
}
