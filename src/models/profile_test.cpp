// What lives here: tests of profile, and of what a summary says of operations and memory: what is counted and by whom, not how long it took.
#include <keras/models/profile.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include <keras/layers/convolutional/conv.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/pooling/pooling.h>
#include <keras/layers/rnn/lstm.h>

#include "core/impl.h"
#include "models/measure.h"

namespace keras {
namespace {

using namespace layers;

Model images(const char* name = "images") {
  core::clear_names();
  Tensor x = Input({8, 8, 3}, {.name = "x"});
  Sequential head({Input({8, 8, 4}), GlobalAveragePooling2D({.name = "pool"}), Dense(5, {.name = "classes"})}, {.name = "head"});
  Model m(x, head(Conv2D(4, 3, {.padding = "same", .activation = "relu", .name = "conv"})(x)), {.name = name});
  m.compile({.optimizer = "adam", .loss = "mse"});
  return m;
}
constexpr double kConv = 2.0 * 8 * 8 * 4 * 27 + 2 * 8 * 8 * 4;  // products, bias, relu
constexpr double kClasses = 2.0 * 4 * 5 + 5;

/// Sums over the entries of a list by the value of a key.
std::map<std::string, double> sums(const Dict& profile, const char* list, const char* by, const char* of) {
  std::map<std::string, double> out;
  for (const Value& v : profile.at(list).as_list()) out[v.as_dict().at(by).as_string()] += v.as_dict().at(of).as_float();
  return out;
}

TEST(Profile, ForwardPassByLayerAndKernel) {
  const Dict p = models::profile(images(), {.batch_size = 3, .seconds = 0.01});
  EXPECT_EQ(p.at("mode").as_string(), "forward");
  EXPECT_EQ(p.at("batch_size").as_int(), 3);
  std::map<std::string, double> flops = sums(p, "layers", "layer", "flops");
  EXPECT_EQ(flops["conv"], 3 * kConv);
  EXPECT_NEAR(flops["head"], 3 * (kClasses + 8 * 8 * 4 + 4), 3 * 4);
  EXPECT_EQ(flops.size(), 2u);
  double of_kernels = 0, share = 0;
  for (const auto& [name, n] : sums(p, "kernels", "primitive", "flops")) of_kernels += n;
  for (const auto& [name, n] : sums(p, "kernels", "primitive", "share")) share += n;
  EXPECT_EQ(of_kernels, p.at("step").as_dict().at("flops").as_float());
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_GT(p.at("step").as_dict().at("ms").as_float(), 0);
  EXPECT_GT(p.at("peak").as_dict().at("gflops_per_s").as_float(), 1);
  const std::string text = models::profile_text(p);
  for (const char* part : {"images: forward, batch 3", "conv", "head"}) EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Profile, TrainingStepAndNothingIsLearnt) {
  Model m = images();
  const Tensors before = m.get_weights();
  const Dict p = models::profile(m, {.mode = "train", .batch_size = 4, .seconds = 0.01});
  std::map<std::string, double> passes;
  for (const Value& v : p.at("layers").as_list())
    passes[v.as_dict().at("layer").as_string() + " " + v.as_dict().at("pass").as_string()] += v.as_dict().at("flops").as_float();
  EXPECT_EQ(passes["conv forward"], 4 * kConv);
  // The gradient by the filter takes what the forward pass took; there is none by the input.
  EXPECT_GE(passes["conv backward"], 4 * 2.0 * 8 * 8 * 4 * 27);
  EXPECT_LT(passes["conv backward"], 4 * 2 * kConv);
  EXPECT_GT(passes["head backward"], 0);
  EXPECT_GT(passes["optimizer forward"], 0);
  EXPECT_GT(passes["loss forward"] + passes["loss backward"], 0);
  const Tensors after = m.get_weights();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i].to_vector<float>(), before[i].to_vector<float>()) << i;
  EXPECT_EQ(m.optimizer().iterations().value().item(), 0);
}

TEST(Profile, StepsOfALoopHaveSharesOfIt) {
  core::clear_names();
  Tensor x = Input({12, 6});
  Model m(x, Dense(2, {.name = "last"})(LSTM(16, {.name = "rnn"})(x)));
  const Dict p = models::profile(m, {.batch_size = 4, .seconds = 0.01});
  double inside = 0, all = 0;
  for (const Value& v : p.at("kernels").as_list()) {
    all += v.as_dict().at("share").as_float();
    if (v.as_dict().at("inside").as_string() != "scan") continue;
    inside += v.as_dict().at("share").as_float();
    EXPECT_EQ(v.as_dict().at("layer").as_string().substr(0, 3), "rnn");
    EXPECT_EQ(std::fmod(v.as_dict().at("calls").as_float(), 12), 0) << "calls of a step";
  }
  EXPECT_NEAR(all, 1, 1e-9);
  EXPECT_GT(inside, 0);
}

TEST(Profile, ChromeTraceHasAnEventPerCall) {
  const std::string path = testing::TempDir() + "/keras_profile_test.json";
  const Dict p = models::profile(images(), {.seconds = 0.01, .trace = path});
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  size_t events = 0;
  double calls = 0;
  for (size_t at = text.str().find("\"ph\": \"X\""); at != std::string::npos; at = text.str().find("\"ph\": \"X\"", at + 1)) ++events;
  for (const Value& v : p.at("kernels").as_list()) calls += v.as_dict().at("calls").as_float();
  EXPECT_EQ(static_cast<double>(events), calls);
  EXPECT_NE(text.str().find("\"layer\": \"conv\""), std::string::npos);
  std::remove(path.c_str());
}

TEST(Profile, RefusesWhatItCanNotMeasure) {
  EXPECT_THROW(models::profile(images(), {.mode = "both"}), ValueError);
  EXPECT_THROW(models::profile(images(), {.batch_size = -1}), ValueError);
}

TEST(Summary, OperationsByLayer) {
  const std::string text = images().summary_text({.expand_nested = true, .flops = true, .batch_size = 2});
  auto number = [](double n) {
    std::string s = std::to_string(static_cast<int64_t>(n));
    for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<size_t>(i), ",");
    return s;
  };
  EXPECT_NE(text.find("FLOPs"), std::string::npos) << text;
  EXPECT_NE(text.find(number(2 * kConv)), std::string::npos) << text;
  EXPECT_NE(text.find(number(2 * kClasses) + " │"), std::string::npos) << text;
  EXPECT_NE(text.find("FLOPs of a forward pass (batch 2): "), std::string::npos) << text;
  EXPECT_EQ(images().summary_text().find("FLOPs"), std::string::npos);
}

TEST(Summary, MemoryIsThatOfThePlan) {
  Model m = images();
  const models::PredictedMemory small = models::predicted_memory(m, 8), large = models::predicted_memory(m, 64),
                                huge = models::predicted_memory(m, 1024);
  EXPECT_TRUE(small.training);
  EXPECT_EQ(small.variables, large.variables);
  // conv 112, classes 25; their two moments; learning rate, iterations: beside the seeds there are none.
  EXPECT_GE(small.variables, (112 + 25) * 3 * 4u);
  EXPECT_EQ(large.data, 8 * small.data);
  EXPECT_EQ(small.data, 2 * 8 * (8 * 8 * 3 + 5) * 4u);
  EXPECT_GT(huge.plan, 1024u * 8 * 8 * 4 * 4) << "what the convolution gives has to be kept";
  EXPECT_NE(m.summary_text({.memory = true, .batch_size = 8}).find(" Peak memory of training (batch 8): "), std::string::npos);
}

}  // namespace
}  // namespace keras
