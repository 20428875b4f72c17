// What lives here: the cells that Keras' own tests of RNN define for themselves, as a user of this library writes a cell.
#include <keras/layers/rnn/rnn.h>
#include <keras/ops.h>

#include "conformance/kinds.h"
#include "layers/registry.h"

namespace keras::conformance {

namespace {

/// What both have: a kernel of ones for the inputs, and one for each state.
struct TestCell : layers::RNNCell {
  int64_t units;
  size_t states;
  Variable kernel;
  std::vector<Variable> recurrent;

  TestCell(const char* class_name, const Dict& config, size_t states)
      : RNNCell(class_name, config.at("name").as_string()), units(config.at("units").as_int()), states(states) {}
  std::vector<int64_t> state_size() const override { return std::vector<int64_t>(states, units); }
  int64_t output_size() const override { return units; }
  void build(const Shape& input) override {
    kernel = add_weight({.name = "kernel", .shape = {input.back(), units}, .initializer = "ones"});
    for (size_t i = 0; i < states; ++i) {
      std::string name = states == 1 ? "recurrent_kernel" : "recurrent_kernel_" + std::to_string(i + 1);
      recurrent.push_back(add_weight({.name = name, .shape = {units, units}, .initializer = "ones"}));
    }
  }
  /// As there, each of two outputs comes from the first state.
  std::pair<Tensor, Tensors> call(const Tensor& inputs, const Tensors& before, bool) override {
    Tensor h = ops::matmul(inputs, kernel), sum;
    Tensors next;
    for (const Variable& w : recurrent) {
      next.push_back(h + ops::matmul(before[0], w));
      sum = sum.defined() ? sum + next.back() : next.back();
    }
    return {sum, next};
  }
};

}  // namespace

void register_cells() {
  layers::register_layer("OneStateRNNCell", [](const Dict& config) { return make<TestCell>("OneStateRNNCell", config, size_t{1}); });
  layers::register_layer("TwoStatesRNNCell", [](const Dict& config) { return make<TestCell>("TwoStatesRNNCell", config, size_t{2}); });
}

}  // namespace keras::conformance
