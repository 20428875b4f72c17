// What lives here: tests of how losses and metrics can be written in compile, and of what each way means. That a line compiles is half of a test.
#include <keras/models/compile.h>

#include <gtest/gtest.h>

#include <map>

#include <keras/layers/core/dense.h>
#include <keras/models/model.h>
#include <keras/ops.h>

#include "models/functional.h"

namespace keras {
namespace {

struct Largest : metrics::Metric {
  Variable largest = add_variable({}, 0.0, "largest");
  void update_state(const Tensor&, const Tensor& y_pred, const Tensor&) override { largest.assign(ops::maximum(largest, ops::max(y_pred))); }
  Tensor result() override { return largest; }
};
Tensor difference(const Tensor& y_true, const Tensor& y_pred) { return ops::abs(y_true - y_pred); }

const std::vector<std::string> kOutputs = {"main", "aux"};

std::string text(const MetricList& list) {
  std::string s;
  for (const MetricSpec& m : list.items()) s += (s.empty() ? "" : "+") + (m.given().is_string() ? m.given().as_string() : "object");
  return s;
}
/// "a, b" of a list per output, "main: a, aux: b" by name.
std::string meaning(const MetricsArg& arg, const std::vector<std::string>& outputs = kOutputs) {
  MetricsArg::Resolved r = arg.resolve(outputs);
  std::string s;
  for (const MetricList& l : r.list) s += (s.empty() ? "" : ", ") + text(l);
  for (const auto& [name, l] : r.named) s += (s.empty() ? "" : ", ") + name + ": " + text(l);
  return s;
}

TEST(MetricsArg, ListsOfMetrics) {
  EXPECT_EQ(meaning({}), "");
  EXPECT_EQ(meaning({"accuracy"}), "accuracy");
  EXPECT_EQ(meaning({"accuracy", "mae"}), "accuracy, mae");
  EXPECT_EQ(meaning({"accuracy", metrics::AUC({.curve = "PR"}), Largest(), std::make_shared<metrics::Recall>(), difference}), "accuracy, object, object, object, object");
  EXPECT_EQ(meaning({[](const Tensor& a, const Tensor& b) { return a - b; }}), "object");
  EXPECT_EQ(meaning({losses::Huber(), nullptr}), "object, ");
  EXPECT_EQ(meaning(std::vector<MetricSpec>{"mae", "mse"}), "mae, mse");
  std::string name = "mae";
  EXPECT_EQ(meaning({name, name}), "mae, mae");
}

TEST(MetricsArg, ListsPerOutput) {
  EXPECT_EQ(meaning({{"accuracy"}, {"mae", "mse"}}), "accuracy, mae+mse");
  EXPECT_EQ(meaning({{"accuracy", "mae"}, {"mse", "mae"}}), "accuracy+mae, mse+mae");
  EXPECT_EQ(meaning({"accuracy", {"mae", "mse"}}), "accuracy, mae+mse");
  EXPECT_EQ(meaning({{"accuracy", metrics::AUC()}, nullptr}), "accuracy+object, ");
  EXPECT_EQ(MetricsArg({{}, {"mae"}}).resolve(kOutputs).list.size(), 2u);
  EXPECT_EQ(meaning(std::vector<MetricList>{{"accuracy"}, {"mae", "mse"}}), "accuracy, mae+mse");
  EXPECT_EQ(meaning({{"accuracy", "mae"}}, {"output"}), "accuracy+mae");
}

TEST(MetricsArg, ByNamesOfOutputs) {
  EXPECT_EQ(meaning({{"main", {"accuracy"}}, {"aux", {"mae"}}}), "main: accuracy, aux: mae");
  EXPECT_EQ(meaning({{"main", "accuracy"}, {"aux", "mae"}}), "main: accuracy, aux: mae");
  EXPECT_EQ(meaning({{"main", "accuracy"}, {"aux", {"mae", "mse"}}}), "main: accuracy, aux: mae+mse");
  EXPECT_EQ(meaning({{"aux", {"mae", Largest(), difference}}}), "aux: mae+object+object");
  EXPECT_EQ(meaning({{"aux", "mae"}}), "aux: mae");
  EXPECT_EQ(meaning({{"main", metrics::AUC()}, {"aux", losses::Huber()}}), "main: object, aux: object");
  EXPECT_EQ(meaning({{"main", nullptr}, {"aux", {}}}), "main: , aux: ");
  EXPECT_EQ(meaning({{"mian", {"accuracy"}}}), "mian: accuracy") << "what names no output is told of later";
  EXPECT_EQ(meaning(std::vector<std::pair<std::string, MetricList>>{{"main", "accuracy"}, {"aux", {"mae", "mse"}}}), "main: accuracy, aux: mae+mse");
  EXPECT_EQ(meaning(std::map<std::string, MetricList>{{"aux", {"mae"}}}), "aux: mae");
  std::string main = "main";
  EXPECT_EQ(meaning({{main, {"accuracy"}}}), "main: accuracy");
}

TEST(MetricsArg, ListsInLists) {
  MetricsArg arg = {{{"accuracy", {"mae"}}, "mse"}};
  EXPECT_THROW(arg.resolve(kOutputs).list.at(0).items(), ValueError);
}

template <class T> std::string meaning(const PerOutput<T>& p) {
  auto text = [](const auto& v) {
    if constexpr (std::is_same_v<std::decay_t<decltype(v)>, double>) return float_repr(v);
    else return v.is_none() ? std::string("none") : v.given().is_string() ? v.given().as_string() : std::string("object");
  };
  std::string s = p.single ? "one " : "";
  for (const T& v : p.list) s += (s.empty() || p.single ? "" : ", ") + text(v);
  for (const auto& [n, v] : p.named) s += (s.empty() ? "" : ", ") + n + ": " + text(v);
  return s;
}
using Losses = PerOutput<LossSpec>;
using Weights = PerOutput<double>;

TEST(PerOutput, Losses) {
  EXPECT_EQ(meaning(Losses{}), "");
  EXPECT_EQ(meaning(Losses("mse")), "one mse");
  EXPECT_EQ(meaning(Losses(losses::Huber())), "one object");
  EXPECT_EQ(meaning(Losses(difference)), "one object");
  EXPECT_EQ(meaning(Losses{"mse", "mae"}), "mse, mae");
  EXPECT_EQ(meaning(Losses{"mse"}), "mse");
  EXPECT_EQ(meaning(Losses{losses::Huber(), "mae", difference, nullptr}), "object, mae, object, none");
  EXPECT_EQ(meaning(Losses{{"main", "mse"}, {"aux", losses::Huber()}}), "main: mse, aux: object");
  EXPECT_EQ(meaning(Losses{{"main", "mse"}}), "main: mse");
  EXPECT_EQ(meaning(Losses{{"main", nullptr}, {"aux", difference}}), "main: none, aux: object");
  EXPECT_EQ(meaning(Losses(std::vector<LossSpec>{"mse", "mae"})), "mse, mae");
  EXPECT_EQ(meaning(Losses(std::map<std::string, LossSpec>{{"main", "mse"}})), "main: mse");
  EXPECT_THROW((Losses{"mse", {"aux", "mae"}}), ValueError);
}

TEST(PerOutput, Weights) {
  EXPECT_EQ(meaning(Weights(0.5)), "one 0.5");
  EXPECT_EQ(meaning(Weights{1.0, 0.5}), "1.0, 0.5");
  EXPECT_EQ(meaning(Weights{1, 2}), "1.0, 2.0");
  EXPECT_EQ(meaning(Weights{{"main", 1.0}, {"aux", 2}}), "main: 1.0, aux: 2.0");
}

/// The same forms as a user writes them, and what is saved of them.
TEST(Compile, FormsAsTheyAreSaved) {
  auto saved = [](const CompileOptions& options) {
    Tensor in = Input({3});
    Model model(in, Tensors{layers::Dense(1, {.name = "main"})(in), layers::Dense(2, {.name = "aux"})(in)});
    model.compile(options);
    Value config = model.impl()->serialize().get("compile_config");
    return config.get("loss").str() + " " + config.get("loss_weights").str() + " " + config.get("metrics").str();
  };
  EXPECT_EQ(saved({.optimizer = "adam", .loss = "mse", .metrics = {"accuracy", "mae"}}), R"("mse" null ["accuracy", "mae"])");
  EXPECT_EQ(saved({.loss = {"mse", "mae"}, .loss_weights = {1.0, 0.5}, .metrics = {{"accuracy"}, {"mae", "mse"}}}), R"(["mse", "mae"] [1.0, 0.5] [["accuracy"], ["mae", "mse"]])");
  EXPECT_EQ(saved({.loss = {{"main", "mse"}, {"aux", "mae"}}, .loss_weights = {{"main", 1.0}, {"aux", 0.5}}, .metrics = {{"main", {"accuracy"}}, {"aux", "mae"}}}),
            R"({"main": "mse", "aux": "mae"} {"main": 1.0, "aux": 0.5} {"main": ["accuracy"], "aux": "mae"})");
}

}  // namespace
}  // namespace keras
