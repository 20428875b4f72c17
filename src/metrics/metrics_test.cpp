// What lives here: tests of metrics against values computed by Keras 3.15.1 on JAX: numbers, weights, masks, variables, names, files, and
// the recorded corpus.
#include <gtest/gtest.h>

#include <keras/base/warning.h>
#include <keras/core/function.h>
#include <keras/metrics.h>
#include <keras/ops.h>

#include "core/impl.h"
#include "support/recorded.h"

namespace keras {
namespace {

using metrics::Metric;

const Tensor kTrue = {{0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}}, kPred = {{0.2, 0.7}, {0.6, 0.4}, {0.9, 0.3}}, kWeight = {1.0, 2.0, 0.5};

void expect_values(const Tensor& got, const std::vector<double>& want, double tolerance = 2e-6) {
  std::vector<double> g = got.to_vector<double>();
  ASSERT_EQ(g.size(), want.size());
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], tolerance * (1 + std::abs(want[i]))) << "element " << i;
}
double value(Metric&& m, const Tensor& t = kTrue, const Tensor& p = kPred, const Tensor& w = {}) { return m(t, p, w).item(); }
template <class F> std::string message(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  ADD_FAILURE() << "no exception";
  return "";
}

TEST(Metrics, ReductionsOfKeras) {
  Tensor values = {{1.0, 2.0}, {3.0, 4.0}}, w = {1.0, 3.0};
  metrics::Mean mean;
  mean.update_state(values, w);
  EXPECT_NEAR(mean.result().item(), 3.0, 1e-6);
  mean.reset_state();
  EXPECT_EQ(mean(5.0).item(), 5.0);
  EXPECT_EQ(metrics::Sum()(values, w).item(), 24.0);
  EXPECT_THROW(mean.update_state(values, values, w), TypeError);
}

TEST(Metrics, MeansOfFunctions) {
  EXPECT_NEAR(value(metrics::MeanSquaredError()), 0.15833332, 1e-6);
  EXPECT_NEAR(value(metrics::CosineSimilarity({.axis = 0})), 0.8931156992912292, 1e-6);
  metrics::PearsonCorrelation pearson({.axis = 0});
  EXPECT_NEAR(pearson(kTrue, kPred).item(), 0.590772271156311, 1e-6);
  metrics::ConcordanceCorrelation concordance({.axis = 0});
  concordance.update_state(kTrue, kPred);
  concordance.update_state(Tensor({{0.0, 1.0}, {1.0, 0.0}}), Tensor({{0.2, 0.7}, {0.6, 0.4}}));
  EXPECT_NEAR(concordance.result().item(), 0.5355443954467773, 1e-6);
  EXPECT_NEAR(value(metrics::BinaryAccuracy(), Tensor({0, 1, 1}), Tensor({{0.2}, {0.7}, {0.3}})), 2.0 / 3, 1e-6);
  EXPECT_NEAR(value(metrics::SparseTopKCategoricalAccuracy({.k = 2, .from_sorted_ids = true}), Tensor({2, 1, 0}), Tensor({{2, 1, 0}, {0, 2, 1}, {1, 0, 2}})), 2.0 / 3, 1e-6);
  EXPECT_NEAR(value(metrics::TopKCategoricalAccuracy({.k = 1}), kTrue, kPred, kWeight), 1.0, 1e-6);
}

TEST(Metrics, MasksAndIgnoredClasses) {
  Tensor p = core::with_mask(kPred, Tensor({true, false, true}));
  EXPECT_NEAR(value(metrics::MeanSquaredError(), kTrue, p, kWeight), 0.12666666507720947, 1e-6);
  EXPECT_NEAR(value(metrics::MeanSquaredError(), kTrue, p), 0.1574999988079071, 1e-6);
  Tensor labels = {0, 1, 1};
  EXPECT_NEAR(value(metrics::SparseCategoricalCrossentropy({.ignore_class = 1}), labels, kPred, kWeight), 1.5040773153305054, 1e-5);
  EXPECT_NEAR(value(metrics::SparseCategoricalCrossentropy({.ignore_class = 1}), labels), 0.5013591051101685, 1e-5);
}

TEST(Metrics, ConfusionCounts) {
  EXPECT_NEAR(value(metrics::Precision(), kTrue, kPred, kWeight), 1.0, 1e-6);
  expect_values(metrics::Precision({.thresholds = {0.25, 0.65}})(kTrue, kPred), {0.8, 1.0});
  expect_values(metrics::Precision({.thresholds = {0.0, 0.5, 1.0}})(kTrue, kPred, kWeight), {0.5714285969734192, 1.0, 0.0});
  EXPECT_NEAR(value(metrics::Recall({.top_k = 1, .class_id = 1})), 0.5, 1e-6);
  EXPECT_NEAR(value(metrics::SensitivityAtSpecificity(0.5, {.num_thresholds = 4})), 0.75, 1e-6);
  EXPECT_NEAR(value(metrics::SpecificityAtSensitivity(0.5, {.num_thresholds = 1})), 1.0, 1e-6);
  EXPECT_NEAR(value(metrics::PrecisionAtRecall(0.5, {.num_thresholds = 3, .class_id = 0})), 1.0, 1e-6);
  EXPECT_NEAR(value(metrics::RecallAtPrecision(0.5)), 1.0, 1e-6);
  EXPECT_NEAR(value(metrics::AUC({.num_thresholds = 5, .multi_label = true, .label_weights = {0.2, 0.8}}), kTrue, kPred, kWeight), 0.8666666746139526, 1e-6);
  EXPECT_NEAR(value(metrics::AUC({.num_thresholds = 5, .label_weights = {0.2, 0.8}})), 0.8400000333786011, 1e-6);
  EXPECT_NEAR(value(metrics::AUC({.thresholds = {0.3, 0.5}, .multi_label = true}), kTrue, kPred, kWeight), 0.8333333730697632, 1e-6);
  EXPECT_THROW(metrics::Precision({.thresholds = 1.5}), ValueError);
  EXPECT_THROW(metrics::AUC({.curve = "ROCK"}), ValueError);
  EXPECT_THROW(metrics::AUC({.num_labels = 2}), ValueError);
  EXPECT_THROW(metrics::SensitivityAtSpecificity(1.5), ValueError);
  EXPECT_THROW(metrics::TruePositives()(Tensor({1, 0, 1}), kPred), ValueError);
}

TEST(Metrics, ScoresPerClass) {
  EXPECT_NEAR(value(metrics::R2Score(), kTrue, kPred, kWeight), 0.36241665482521057, 1e-6);
  expect_values(metrics::R2Score({.class_aggregation = nullptr})(kTrue, kPred), {0.6850000023841858, -0.1100001335144043}, 1e-6);
  EXPECT_NEAR(value(metrics::R2Score({.num_regressors = 2})), -0.18750011920928955, 2e-6);
  EXPECT_NEAR(value(metrics::FBetaScore({.average = "weighted", .beta = 2.0}), kTrue, kPred, kWeight), 0.8928571343421936, 1e-6);
  expect_values(metrics::F1Score({.threshold = 0.5})(kTrue, kPred), {1.0, 0.666666567325592});
  EXPECT_NEAR(value(metrics::MeanIoU(3, {.ignore_class = 2}), Tensor({0, 1, 2, 1}), Tensor({0, 1, 1, 0})), 0.5, 1e-6);
  EXPECT_NEAR(value(metrics::BinaryIoU({.threshold = 0.5})), 0.7083333730697632, 1e-6);
  EXPECT_NEAR(value(metrics::OneHotMeanIoU(2)), 1.0, 1e-6);
  EXPECT_NEAR(value(metrics::OneHotIoU(2, {1})), 1.0, 1e-6);
  EXPECT_THROW(metrics::IoU(2, {2}), ValueError);
  EXPECT_THROW(metrics::FBetaScore({.average = "macroo"}), ValueError);
  EXPECT_THROW(metrics::F1Score()(Tensor({1.0, 0.0}), Tensor({1.0, 0.0})), ValueError);
}

TEST(Metrics, CopiesShareTheState) {
  metrics::R2Score r2;
  metrics::R2Score copy = r2;
  copy.update_state(kTrue, kPred);
  EXPECT_EQ(r2.variables().size(), 5u);
  EXPECT_EQ(r2.result().item(), copy.result().item());
}

TEST(Metrics, InsideACompiledStep) {
  std::vector<std::shared_ptr<Metric>> all = {std::make_shared<metrics::BinaryAccuracy>(), std::make_shared<metrics::AUC>(),
                                              std::make_shared<metrics::Precision>(metrics::PrecisionOptions{.thresholds = {0.25, 0.65}}),
                                              std::make_shared<metrics::MeanIoU>(2), std::make_shared<metrics::F1Score>(),
                                              std::make_shared<metrics::AUC>(metrics::AUCOptions{.multi_label = true})};
  Function step([&](const Tensors& in) {
    Tensors out;
    for (auto& m : all) out.push_back((*m)(in[0], in[1], m == all[3] ? Tensor() : in[2]));
    return out;
  });
  Tensors first = step({kTrue, kPred, kWeight}), second = step({kTrue, kPred, kWeight});
  std::vector<std::shared_ptr<Metric>> eager = {std::make_shared<metrics::BinaryAccuracy>(), std::make_shared<metrics::AUC>(),
                                                std::make_shared<metrics::Precision>(metrics::PrecisionOptions{.thresholds = {0.25, 0.65}}),
                                                std::make_shared<metrics::MeanIoU>(2), std::make_shared<metrics::F1Score>(),
                                                std::make_shared<metrics::AUC>(metrics::AUCOptions{.multi_label = true})};
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i]->class_name());
    Tensor w = i == 3 ? Tensor() : kWeight;
    expect_values(first[i], (*eager[i])(kTrue, kPred, w).to_vector<double>());
    expect_values(second[i], (*eager[i])(kTrue, kPred, w).to_vector<double>());
    std::vector<Variable> a = all[i]->variables(), b = eager[i]->variables();
    ASSERT_EQ(a.size(), b.size());
    for (size_t v = 0; v < a.size(); ++v) expect_values(a[v].value(), b[v].value().to_vector<double>());
  }
}

TEST(Metrics, BatchesOfUnknownSize) {
  using namespace metrics;
  std::vector<std::shared_ptr<Metric>> all;
  for (const char* name : {"mse", "RootMeanSquaredError", "R2Score", "AUC", "Precision", "TruePositives", "F1Score", "CosineSimilarity", "Hinge", "Poisson",
                           "BinaryAccuracy", "CategoricalAccuracy", "TopKCategoricalAccuracy", "PearsonCorrelation", "CategoricalCrossentropy"})
    all.push_back(metrics::get(name));
  all.push_back(std::make_shared<AUC>(AUCOptions{.multi_label = true}));
  all.push_back(std::make_shared<Precision>(PrecisionOptions{.thresholds = {0.0, 0.5, 1.0}, .top_k = 2, .class_id = 1}));
  all.push_back(std::make_shared<SensitivityAtSpecificity>(0.5));
  all.push_back(std::make_shared<OneHotMeanIoU>(4));
  all.push_back(std::make_shared<SparseCategoricalAccuracy>());
  all.push_back(std::make_shared<SparseTopKCategoricalAccuracy>());
  for (const auto& m : all) {
    SCOPED_TRACE(m->class_name());
    bool sparse = m->class_name().starts_with("Sparse");
    for (bool weighted : {false, true}) {
      try {
        std::vector<ir::Type> out =
            core::infer({{DType::Float32, sparse ? Shape{None} : Shape{None, 4}}, {DType::Float32, Shape{None, 4}}, {DType::Float32, Shape{None}}},
                        [&](const Tensors& in) { return Tensors{(*m)(in[0], in[1], weighted ? in[2] : Tensor())}; });
        if (m->class_name() != "F1Score" && m->class_name() != "Precision") {
          EXPECT_EQ(out[0].shape, Shape{});
        }
      } catch (const std::exception& e) {
        ADD_FAILURE() << (weighted ? "weighted: " : "") << e.what();
      }
    }
    for (const Variable& v : m->variables()) EXPECT_EQ(v.value().to_vector<double>(), std::vector<double>(static_cast<size_t>(v.shape().numel()), 0.0));
  }
}

TEST(Metrics, Stateless) {
  metrics::Mean mean;
  mean.update_state(7.0);
  Tensors state = mean.stateless_reset_state();
  expect_values(state[0], {0});
  state = mean.stateless_update_state(state, Tensor({1.0, 2.0}), {});
  expect_values(state[0], {3});
  EXPECT_EQ(mean.stateless_result(state).item(), 1.5);
  EXPECT_EQ(mean.result().item(), 7.0);
  EXPECT_THROW(mean.stateless_result({}), ValueError);
}

struct MaxError : Metric {
  Variable worst = add_variable({}, 0.0, "worst");
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor&) override {
    worst.assign(ops::maximum(worst, ops::max(ops::abs(y_true - y_pred))));
  }
  Tensor result() override { return worst; }
};

TEST(Metrics, NamesAndPaths) {
  core::clear_names();
  EXPECT_EQ(metrics::Precision().name(), "precision");
  EXPECT_EQ(metrics::Precision().name(), "precision_1");
  EXPECT_EQ(metrics::IoU(2, {0}).name(), "io_u");
  EXPECT_EQ(metrics::BinaryIoU().name(), "binary_io_u");
  EXPECT_EQ(metrics::MeanSquaredError().name(), "mean_squared_error");
  EXPECT_EQ(metrics::MeanSquaredError().variables()[0].path(), "mean_squared_error/total");
  EXPECT_EQ(metrics::AUC({.name = "a/b"}).variables()[2].path(), "a>b/true_negatives");
  MaxError mine;
  EXPECT_EQ(mine.variables()[0].path(), "max_error/worst");
  EXPECT_FALSE(mine.variables()[0].trainable());
  EXPECT_NEAR(mine(kTrue, kPred).item(), 0.7, 1e-6);
  mine.reset_state();
  EXPECT_EQ(mine.result().item(), 0);

  auto m = metrics::resolve("mae", {None, 2}, {None, 2});
  EXPECT_EQ(m->name(), "mae");
  EXPECT_EQ(m->variables()[1].path(), "mean_absolute_error/count");
  auto resolved = [](const char* name, const Shape& t, const Shape& p) { return metrics::resolve(name, t, p)->class_name(); };
  EXPECT_EQ(resolved("accuracy", {None, 1}, {None, 1}), "BinaryAccuracy");
  EXPECT_EQ(resolved("acc", {None}, {None, 3}), "SparseCategoricalAccuracy");
  EXPECT_EQ(resolved("accuracy", {None, 1}, {None, 3}), "SparseCategoricalAccuracy");
  EXPECT_EQ(resolved("accuracy", {None, 3}, {None, 3}), "CategoricalAccuracy");
  EXPECT_EQ(resolved("crossentropy", {None, 3}, {None, 3}), "CategoricalCrossentropy");
  m = metrics::resolve("accuracy", {None, 3}, {None, 3});
  EXPECT_EQ(m->name(), "accuracy");
  EXPECT_EQ(m->variables()[0].path(), "accuracy/total");
  EXPECT_THROW(metrics::resolve("mean", {None}, {None}), TypeError);
  EXPECT_THROW(metrics::resolve(metrics::Sum(), {None}, {None}), TypeError);
  EXPECT_NE(message([] { metrics::get("accuracyy"); }).find("'accuracy'"), std::string::npos);
  EXPECT_NE(message([] { metrics::get("true_positive"); }).find("'true_positives'"), std::string::npos);
  EXPECT_EQ(metrics::get(Value()), nullptr);
}

TEST(Metrics, Callables) {
  core::clear_names();
  MetricSpec lambda = [](const Tensor& t, const Tensor& p) { return ops::abs(t - p); };
  EXPECT_EQ(lambda->name(), "lambda");
  EXPECT_EQ(lambda->variables()[0].path(), "mean_metric_wrapper/total");
  EXPECT_NEAR((*lambda)(kTrue, kPred).item(), 0.35, 1e-6);
  EXPECT_THROW(lambda.serialize(), ValueError);
  MetricSpec known = losses::mean_squared_error;
  EXPECT_EQ(known->name(), "mean_squared_error");
  EXPECT_EQ(known.serialize().get("config"), Value("mean_squared_error"));
  EXPECT_EQ(metrics::get(known.serialize())->name(), "mean_squared_error");
  MetricSpec of_loss = losses::Huber({.delta = 0.3});
  EXPECT_EQ(of_loss->name(), "huber_loss");
  EXPECT_NEAR((*of_loss)(kTrue, kPred).item(), 0.06416666507720947, 1e-6);
  auto object = std::make_shared<metrics::Recall>();
  EXPECT_EQ(MetricSpec(object).object(), object);
}

TEST(Metrics, StandInOptionsAsUsersWriteThem) {
  struct Options {
    LossSpec loss{};
    std::vector<MetricSpec> metrics{};
  };
  Options o{.loss = losses::SparseCategoricalCrossentropy({.from_logits = true}), .metrics = {"accuracy", "mae"}};
  EXPECT_EQ(o.loss->name(), "sparse_categorical_crossentropy");
  EXPECT_EQ(o.metrics.size(), 2u);
  o = {.loss = "mse", .metrics = {"accuracy", metrics::AUC({.curve = "PR"}), [](const Tensor& t, const Tensor& p) { return ops::abs(t - p); }}};
  EXPECT_EQ(o.metrics[1]->class_name(), "AUC");
  EXPECT_EQ(o.metrics[2]->name(), "lambda");
  o = {.loss = [](const Tensor& t, const Tensor& p) { return ops::abs(t - p); }};
  EXPECT_FALSE(o.loss.is_none());
  EXPECT_TRUE(LossSpec(nullptr).is_none());
}

TEST(Metrics, SavedForms) {
  core::clear_names();
  EXPECT_EQ(io::to_json(metrics::AUC({.thresholds = {0.7, 0.2}}).serialize()),
            R"({"module": "keras.metrics", "class_name": "AUC", "config": {"name": "auc", "dtype": "float32", "num_thresholds": 4, "curve": "ROC", "summation_method": "interpolation", "multi_label": false, "num_labels": null, "label_weights": null, "from_logits": false, "thresholds": [0.2, 0.7]}, "registered_name": null})");
  EXPECT_EQ(io::to_json(metrics::BinaryIoU().get_config()), R"({"target_class_ids": [0, 1], "threshold": 0.5, "name": "binary_io_u", "dtype": "int32"})");
  EXPECT_EQ(io::to_json(metrics::MeanMetricWrapper("huber", {{"delta", 0.5}}, {.name = "h"}).serialize()),
            R"({"module": "keras.metrics", "class_name": "MeanMetricWrapper", "config": {"name": "h", "dtype": "float32", "fn": {"module": "builtins", "class_name": "function", "config": "huber", "registered_name": "function"}, "delta": 0.5}, "registered_name": null})");
  EXPECT_EQ(io::to_json(metrics::SparseTopKCategoricalAccuracy({.from_sorted_ids = true}).get_config()),
            R"({"name": "sparse_top_k_categorical_accuracy", "dtype": "float32", "k": 5, "from_sorted_ids": true})");
  EXPECT_EQ(io::to_json(metrics::F1Score().get_config()), R"({"name": "f1_score", "dtype": "float32", "average": null, "threshold": null})");
  EXPECT_EQ(io::to_json(MaxError().serialize()), R"({"module": null, "class_name": "MaxError", "config": {"name": "max_error", "dtype": "float32"}, "registered_name": "MaxError"})");
  metrics::register_metric<MaxError>("mine>MaxError");
  EXPECT_EQ(MaxError().serialize().get("registered_name"), Value("mine>MaxError"));
  EXPECT_EQ(metrics::get(MaxError().serialize())->class_name(), "MaxError");
  EXPECT_EQ(MetricSpec("mae").serialize(), Value("mae"));
  EXPECT_THROW(metrics::get(Dict{{"class_name", "IoU"}, {"config", Dict{{"num_classes", 2}}}}), ValueError);
}

/// As JAX reads arrays without its 64-bit types.
Tensor narrow(const Tensor& t) {
  if (t.dtype() == DType::Int64) return t.astype(DType::Int32);
  return t.dtype() == DType::Float64 ? t.astype(DType::Float32) : t;
}
/// Python's nested lists, whole numbers as int32.
Tensor from_list(const Value& v) {
  Shape shape;
  std::vector<double> numbers;
  bool whole = true;
  auto visit = [&](auto& self, const Value& e, int depth) -> void {
    const Value& l = e.is_dict() ? e.get("__tuple__") : e;
    if (!l.is_list()) {
      whole = whole && l.is_int();
      numbers.push_back(l.as_float());
      return;
    }
    if (shape.rank() == depth) shape.push_back(static_cast<int64_t>(l.as_list().size()));
    for (const Value& item : l.as_list()) self(self, item, depth + 1);
  };
  visit(visit, v, 0);
  return Tensor::from(numbers, shape).astype(whole ? DType::Int32 : DType::Float32);
}
Tensor argument(const test::Case& c, const Value& v) {
  if (v.is_null()) return {};
  if (v.is_dict() && !v.get("__array__").is_null()) return narrow(c.tensor(v.get("__array__")));
  if (v.is_number()) return v.is_int() ? Tensor(v.as_int()) : Tensor(v.as_float());
  return from_list(v);
}

TEST(Metrics, Corpus) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values beside the project";
  set_warning_handler([](const std::string&) {});
  int count = test::each_record("metrics", [](const test::Case& c, const Value& r) {
    if (!r.get("variant").is_null()) return;
    double rtol = c.tolerance("rtol", 1e-4), atol = c.tolerance("atol", 1e-5);
    Value saved = Dict{{"class_name", c.json.get("class")}, {"config", r.get("config")}};
    for (bool compiled : {false, true}) {
      SCOPED_TRACE(compiled ? "compiled" : "at once");
      std::shared_ptr<Metric> metric = metrics::get(saved);
      EXPECT_EQ(Value(metric->get_config()), r.get("config")) << Value(metric->get_config()).str();
      // Mean and Sum take their weights where others take predictions.
      bool reduction = typeid(*metric) == typeid(metrics::Mean) || typeid(*metric) == typeid(metrics::Sum);
      for (const Value& event : r.get("events").as_list()) {
        const std::string& what = event.get("do").as_string();
        if (what == "reset_state") metric->reset_state();
        if (what == "update_state" || what == "call") {
          Tensors args(3);
          const List& given = event.get("args").as_list();
          for (size_t i = 0; i < given.size(); ++i) args[i] = argument(c, given[i]);
          const Dict none, &kwargs = event.get("kwargs").is_dict() ? event.get("kwargs").as_dict() : none;
          for (const auto& [key, v] : kwargs) args[key == "y_true" || key == "values" ? 0 : key == "y_pred" || reduction ? 1 : 2] = argument(c, v);
          auto update = [&](const Tensors& in) {
            Tensors full(3);
            for (size_t k = 0, i = 0; k < 3; ++k)
              if (args[k]) full[k] = in[i++];
            metric->update_state(full[0], full[1], full[2]);
            return Tensors{full[0]};
          };
          Tensors present;
          for (const Tensor& a : args)
            if (a) present.push_back(a);
          if (compiled) {
            Function step(update);
            step(present);
          } else {
            update(present);
          }
        }
        if (what == "result" || what == "call") {
          Tensor got = compiled ? Function([&](const Tensors&) { return Tensors{metric->result()}; })({})[0] : metric->result();
          test::expect_close(got, argument(c, event.get("result")), rtol, atol);
        }
      }
      const List& variables = r.get("variables").as_list();
      std::vector<Variable> mine = metric->variables();
      EXPECT_EQ(mine.size(), variables.size());
      for (size_t i = 0; i < std::min(mine.size(), variables.size()); ++i) {
        EXPECT_EQ(mine[i].name(), variables[i].get("name").as_string());
        test::expect_close(mine[i].value(), argument(c, variables[i].get("value")), rtol, atol);
      }
    }
  });
  set_warning_handler(nullptr);
  EXPECT_GT(count, 130);
}

}  // namespace
}  // namespace keras
