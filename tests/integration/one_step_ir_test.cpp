// What lives here: what one step of fit is: one executable, its IR as text with bias and activation inside the dots, softmax with the loss
// and each variable's Adam update as one cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include <keras/layers/core/dense.h>
#include <keras/models/model.h>
#include <keras/random.h>

#include "models/trainer.h"
#include "passes/passes.h"

namespace keras {
namespace {

using layers::Dense;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A node's line without its brothers: "%21 = dot(%0, %2) {…} : f32[2]" → "dot(%, %) {…} : f32[2]". Numbers of values depend on all that
/// stands before, and say nothing.
std::string nameless(std::string line) {
  line = std::regex_replace(line, std::regex("^.* = "), "");
  return std::regex_replace(line, std::regex("%[0-9]+"), "%");
}

struct Text {
  std::vector<std::string> dots;      // nameless lines
  std::vector<std::string> clusters;  // bodies, as they stand
};

/// The text form taken apart again: a cluster's body is a graph of its own between braces.
Text read(const std::string& ir) {
  Text t;
  std::istringstream in(ir);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (inside && line.rfind("}}", 0) == 0) inside = false;
    else if (inside) t.clusters.back() += line + "\n";
    else if (line.find("= cluster(") != std::string::npos) inside = true, t.clusters.emplace_back();
    else if (line.find("= dot(") != std::string::npos) t.dots.push_back(nameless(line));
  }
  return t;
}

struct OneStep : ::testing::Test {
  Sequential model;
  void SetUp() override {
    utils::set_random_seed(1);
    model = Sequential({Input({4}), Dense(8, {.activation = "relu"}), Dense(3, {.activation = "softmax"})});
    model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
    std::vector<int32_t> y;
    for (int i = 0; i < 48; ++i) y.push_back(i % 3);
    model.fit(Tensor::full({48, 4}, 0.5), Tensor::from(y, Shape{48}), {.batch_size = 16, .epochs = 3, .verbose = 0});
  }
  const core::Compiled& step() const { return *model.trainer().train_steps[0].compiled; }
};

TEST_F(OneStep, NineStepsRanOneExecutable) {
  EXPECT_EQ(model.trainer().train_steps.size(), 1u);
  EXPECT_EQ(model.optimizer().iterations().value().item(), 9);
  // Two arrays of the batch go in; the rest is state, and nothing but state comes out.
  const ir::Graph& graph = step().exe->graph();
  EXPECT_EQ(step().num_inputs, 2u);
  EXPECT_EQ(graph.params().size(), 2 + step().states.size());
  EXPECT_TRUE(step().outputs.empty());
  // Four weights with two moments each, the count of steps, sums and counts of the loss and the accuracy.
  EXPECT_EQ(graph.outputs.size(), 4u * 3 + 1 + 4);
}

TEST_F(OneStep, BiasAndActivationAreInTheDots) {
  // Forward through both layers, back to the hidden layer, and the kernels' gradients; none goes back to the input.
  EXPECT_THAT(read(step().exe->graph().str()).dots, ElementsAre("dot(%, %, %) {lc=[1], rc=[0], lb=[], rb=[], bias=1, act=relu} : f32[16,8]",
                                                                "dot(%, %, %) {lc=[1], rc=[0], lb=[], rb=[], bias=1} : f32[16,3]",
                                                                "dot(%, %) {lc=[1], rc=[1], lb=[], rb=[]} : f32[16,8]",
                                                                "dot(%, %) {lc=[0], rc=[0], lb=[], rb=[]} : f32[8,3]",
                                                                "dot(%, %) {lc=[0], rc=[0], lb=[], rb=[]} : f32[4,8]"));
}

TEST_F(OneStep, EverythingElementwiseIsInClusters) {
  for (const ir::Node& node : step().exe->graph().nodes()) EXPECT_FALSE(node.prim->is_ew()) << node.prim->name << " stands alone";
}

TEST_F(OneStep, SoftmaxIsOnePassOverItsRows) {
  int found = 0;
  for (const std::string& body : read(step().exe->graph().str()).clusters) {
    if (body.find("reduce_max") == std::string::npos) continue;
    ++found;
    // The probability of the true class is picked in the same pass: one number a row.
    EXPECT_THAT(body, HasSubstr(R"( = reduce_max(%0) {axes=[1], keepdims=1} : f32[16,1])"));
    EXPECT_THAT(body, HasSubstr(" = exp("));
    EXPECT_THAT(body, HasSubstr(" = select("));
    EXPECT_THAT(body, HasSubstr("{axes=[1], keepdims=0} : f32[16]"));
  }
  EXPECT_EQ(found, 1);
}

TEST_F(OneStep, AnAdamUpdateIsOneCluster) {
  std::vector<std::string> updates;
  for (const std::string& body : read(step().exe->graph().str()).clusters)
    if (body.find("= square(") != std::string::npos) updates.push_back(body);
  ASSERT_EQ(updates.size(), 4u) << "one for each variable";
  // Gradient, both moments, the corrected rate and the variable go in; both moments and the variable come out.
  EXPECT_EQ(updates[0],
            "%0 = param f32[4,8]\n"
            "%1 = param f32[4,8]\n"
            "%2 = param f32[4,8]\n"
            "%3 = param f32[]\n"
            "%4 = param f32[4,8]\n"
            "%5 = constant() {value=0.10000000149011612} : f32[]\n"
            "%6 = constant() {value=0.0010000000474974513} : f32[]\n"
            "%7 = constant() {value=1.0000000116860974e-07} : f32[]\n"
            "%8 = sub(%0, %1) : f32[4,8]\n"
            "%9 = mul(%8, %5) : f32[4,8]\n"
            "%10 = add(%1, %9) : f32[4,8]\n"
            "%11 = square(%0) : f32[4,8]\n"
            "%12 = sub(%11, %2) : f32[4,8]\n"
            "%13 = mul(%12, %6) : f32[4,8]\n"
            "%14 = add(%2, %13) : f32[4,8]\n"
            "%15 = sqrt(%14) : f32[4,8]\n"
            "%16 = add(%15, %7) : f32[4,8]\n"
            "%17 = mul(%10, %3) : f32[4,8]\n"
            "%18 = div(%17, %16) : f32[4,8]\n"
            "%19 = sub(%4, %18) : f32[4,8]\n"
            "return %10 %14 %19\n");
}

TEST_F(OneStep, APredictionIsTwoDotsAndASoftmax) {
  Function f([this](const Tensors& in) { return Tensors{model(in[0])}; });
  Text ir = read(f.ir({Tensor::full({16, 4}, 0.5)}));
  EXPECT_EQ(ir.dots.size(), 2u);
  EXPECT_EQ(ir.clusters.size(), 1u);
  // One line a step: what runs, on what, and with which kernel.
  EXPECT_THAT(f.plan({Tensor::full({16, 4}, 0.5)}), HasSubstr("3 steps"));
}

TEST_F(OneStep, AnotherBatchSizeIsAnotherExecutable) {
  model.fit(Tensor::full({40, 4}, 0.5), Tensor::full({40}, 1, DType::Int32), {.batch_size = 16, .verbose = 0});
  ASSERT_EQ(model.trainer().train_steps.size(), 2u) << "16 rows, and the last 8";
  EXPECT_EQ(model.trainer().train_steps[1].types[0].shape, (Shape{8, 4}));
}

}  // namespace
}  // namespace keras
