// What lives here: tests of losses against values computed by Keras 3.15.1 on JAX: numbers, masks, weights, names, files, errors, and the
// recorded corpus with its gradients.
#include <gtest/gtest.h>

#include <keras/base/warning.h>
#include <keras/losses.h>
#include <keras/ops.h>

#include "core/impl.h"
#include "support/recorded.h"

namespace keras {
namespace {

using namespace losses;

const Tensor kTrue = {{0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}}, kPred = {{0.2, 0.7}, {0.6, 0.4}, {0.9, 0.3}};

double value(Loss&& loss, const Tensor& t = kTrue, const Tensor& p = kPred, const Tensor& w = {}) { return loss(t, p, w).item(); }
void expect_values(const Tensor& got, const std::vector<double>& want, double tolerance = 2e-6) {
  std::vector<double> g = got.to_vector<double>();
  ASSERT_EQ(g.size(), want.size());
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], tolerance * (1 + std::abs(want[i]))) << "element " << i;
}
template <class E, class F> std::string message(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another exception: " << e.what();
    return "";
  }
  ADD_FAILURE() << "no exception";
  return "";
}
Tensor masked(const Tensor& t) { return core::with_mask(t, Tensor({true, false, true})); }

TEST(Losses, ValuesOfKeras) {
  EXPECT_NEAR(value(MeanSquaredError()), 0.15833331644535065, 1e-6);
  EXPECT_NEAR(value(MeanAbsoluteError()), 0.3499999940395355, 1e-6);
  EXPECT_NEAR(value(MeanAbsolutePercentageError()), 100000032.0, 50);
  EXPECT_NEAR(value(MeanSquaredLogarithmicError()), 0.06847749650478363, 1e-6);
  EXPECT_NEAR(value(CosineSimilarity()), -0.8960004448890686, 1e-6);
  EXPECT_NEAR(value(Huber()), 0.07916665822267532, 1e-6);
  EXPECT_NEAR(value(Huber({.delta = 0.3})), 0.06416666507720947, 1e-6);
  EXPECT_NEAR(value(LogCosh()), 0.07539627701044083, 1e-6);
  EXPECT_NEAR(value(Hinge()), 0.6833333373069763, 1e-6);
  EXPECT_NEAR(value(SquaredHinge()), 0.6916666626930237, 1e-6);
  EXPECT_NEAR(value(CategoricalHinge()), 0.43333330750465393, 1e-6);
  EXPECT_NEAR(value(KLDivergence()), 0.7256102561950684, 1e-6);
  EXPECT_NEAR(value(Poisson()), 0.8794722557067871, 1e-6);
  EXPECT_NEAR(value(BinaryCrossentropy()), 0.4851337969303131, 1e-6);
  EXPECT_NEAR(value(BinaryFocalCrossentropy()), 0.13258181512355804, 1e-6);
  EXPECT_NEAR(value(BinaryFocalCrossentropy({.apply_class_balancing = true, .from_logits = true, .label_smoothing = 0.1})), 0.07763518393039703, 1e-6);
  EXPECT_NEAR(value(losses::CategoricalCrossentropy()), 0.8120388388633728, 1e-6);
  EXPECT_NEAR(value(CategoricalFocalCrossentropy()), 0.07432612031698227, 1e-6);
  EXPECT_NEAR(value(Dice()), 0.2957746982574463, 1e-6);
  EXPECT_NEAR(value(Tversky()), 0.2957746386528015, 1e-6);
  EXPECT_NEAR(value(Tversky({.alpha = 0.3, .beta = 0.7, .axis = {1}})), 0.2713262140750885, 1e-6);
  expect_values(Dice({.reduction = "none", .axis = 1})(kTrue, kPred), {0.2631579637527466, 0.3999999761581421, 0.25});
  Tensor labels = {0, 1, 1};
  EXPECT_NEAR(value(SparseCategoricalCrossentropy(), labels), 1.2688874006271362, 2e-6);
  EXPECT_NEAR(value(SparseCategoricalCrossentropy({.from_logits = true}), labels), 0.9365679621696472, 1e-6);
  EXPECT_NEAR(value(CategoricalGeneralizedCrossEntropy({.q = 0.3}), labels), 1.0294033288955688, 1e-6);
  EXPECT_NEAR(value(Circle(), Tensor({0, 0, 1}), ops::normalize(kPred)), 28.92516326904297, 1e-4);
  expect_values(losses::mean_squared_error(kTrue, kPred), {0.065, 0.16, 0.25});
}

TEST(Losses, ReductionsWeightsAndIgnoredClasses) {
  Tensor labels = {0, -1, 1}, weights = {1.0, 2.0, 3.0};
  auto sce = [&](Value reduction) { return SparseCategoricalCrossentropy({.ignore_class = -1, .reduction = reduction})(labels, kPred, weights); };
  EXPECT_NEAR(SparseCategoricalCrossentropy({.ignore_class = -1})(labels, kPred).item(), 1.4451857805252075, 2e-6);
  EXPECT_NEAR(sce("sum").item(), 5.662960529327393, 1e-5);
  EXPECT_NEAR(sce("mean").item(), 2.831480026245117, 1e-5);
  EXPECT_NEAR(sce("mean_with_sample_weight").item(), 1.4157401323318481, 1e-5);
  for (const Value& none : {Value("none"), Value(nullptr), Value(keras::None)}) expect_values(sce(none), {1.5040773153305054, 0.0, 4.158883094787598});
}

TEST(Losses, MasksOfPredictions) {
  auto mse = [&](Value reduction, const Tensor& w = {}) { return MeanSquaredError({.reduction = reduction})(kTrue, masked(kPred), w); };
  EXPECT_NEAR(mse("sum_over_batch_size").item(), 0.1574999839067459, 1e-6);
  EXPECT_NEAR(mse("sum").item(), 0.3149999976158142, 1e-6);
  EXPECT_NEAR(mse("mean_with_sample_weight").item(), 0.1574999988079071, 1e-6);
  EXPECT_NEAR(mse("mean", Tensor({1.0, 5.0, 2.0})).item(), 0.2824999988079071, 1e-6);
  expect_values(mse(nullptr), {0.065, 0.0, 0.25});
}

TEST(Losses, RanksThatDifferByOneAreRepaired) {
  EXPECT_NEAR(value(MeanSquaredError(), Tensor({1.0, 2.0, 3.0}), Tensor({{1.5}, {2.5}, {2.0}})), 0.5, 1e-6);
  EXPECT_NEAR(value(MeanSquaredError(), Tensor({{1.0}, {2.0}, {3.0}}), Tensor({1.5, 2.5, 2.0})), 0.5, 1e-6);
}

TEST(Losses, WarnsOnceOfSilentBroadcasts) {
  std::vector<std::string> warnings;
  WarningHandler before = set_warning_handler([&](const std::string& w) { warnings.push_back(w); });
  Tensor column = {{0.0}, {1.0}, {1.0}};
  for (int i = 0; i < 2; ++i) value(MeanSquaredError(), column);
  set_warning_handler(before);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("(3, 1)"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[0].find("(3, 2)"), std::string::npos) << warnings[0];
}

TEST(Losses, DtypeOfTheComputation) {
  Tensor half = MeanSquaredError({.dtype = "float16"})(kTrue, kPred);
  EXPECT_EQ(half.dtype(), DType::Float16);
  EXPECT_NEAR(half.item(), 0.1583251953125, 2e-4);
  EXPECT_EQ(MeanSquaredError({.dtype = keras::float64})(kTrue, kPred).dtype(), DType::Float64);
  EXPECT_EQ(MeanSquaredError({.dtype = "mixed_bfloat16"}).dtype(), DType::BFloat16);
}

TEST(Losses, LabelsOutOfRangeAreErrors) {
  SparseCategoricalCrossentropy sce;
  std::string said = message<ValueError>([&] { sce(Tensor({0, 2, 1}), kPred); });
  EXPECT_NE(said.find("label 2"), std::string::npos) << said;
  EXPECT_NE(said.find("2 classes"), std::string::npos) << said;
  EXPECT_THROW(sce(Tensor({0, -1, 1}), kPred), ValueError);
  EXPECT_NO_THROW(SparseCategoricalCrossentropy({.ignore_class = 7})(Tensor({0, 7, 1}), kPred));
  EXPECT_THROW(SparseCategoricalCrossentropy({.ignore_class = 7})(Tensor({0, 6, 1}), kPred), ValueError);
  Function step([](const Tensors& in) { return Tensors{SparseCategoricalCrossentropy({.ignore_class = -1})(in[0], in[1])}; });
  EXPECT_NEAR(step({Tensor({0, -1, 1}), kPred})[0].item(), 1.4451857805252075, 2e-6);
  EXPECT_THROW(step({Tensor({0, 5, 1}), kPred}), ValueError);
  EXPECT_THROW(step({Tensor({0, -2, 1}), kPred}), ValueError);
  EXPECT_THROW(CTC()(Tensor({{1, 9, 0}}), Tensor::full({1, 4, 3}, 0.5)), ValueError);
  said = message<ValueError>([&] { sce(kTrue, kPred); });
  EXPECT_NE(said.find("categorical_crossentropy"), std::string::npos) << said;
}

TEST(Losses, GradientOfIgnoredClasses) {
  Tensor labels = {0, -1, 1};
  Function f([&](const Tensors& in) {
    return gradients(SparseCategoricalCrossentropy({.from_logits = true, .ignore_class = -1})(labels, in[0]), Tensors{in[0]});
  });
  expect_values(f({kPred})[0], {-0.3112296462059021, 0.3112296760082245, 0, 0, 0.32282814383506775, -0.32282814383506775});
}

TEST(Losses, GradientsAtKinks) {
  // Of Keras on JAX: where a loss is least and has a kink, the gradient is that of one side, or of both shared.
  auto gradient = [](Loss&& loss, const Tensor& t, const Tensor& p) {
    Function f([&](const Tensors& in) { return gradients(loss(t, in[0]), Tensors{in[0]}); });
    return f({p})[0];
  };
  Tensor t = {{1.0, 9.0, 2.0}, {-5.0, -2.0, 6.0}};
  expect_values(gradient(MeanAbsoluteError(), t, t), std::vector<double>(6, -1.0 / 6));
  expect_values(gradient(MeanAbsolutePercentageError(), t, t), {-16.666668, -1.8518519, -8.333334, -3.3333335, -8.333334, -2.7777779});
  expect_values(gradient(MeanSquaredError(), t, t), std::vector<double>(6, 0));
  expect_values(gradient(Hinge(), {{-1.0, 1.0, 1.0, -1.0}}, {{-1.0, 1.0, 0.5, -2.0}}), {0.125, -0.125, -0.25, 0});
}

TEST(Losses, SavedForms) {
  EXPECT_EQ(io::to_json(MeanSquaredError().serialize()),
            R"({"module": "keras.losses", "class_name": "MeanSquaredError", "config": {"name": "mean_squared_error", "reduction": "sum_over_batch_size"}, "registered_name": null})");
  EXPECT_EQ(io::to_json(BinaryFocalCrossentropy({.gamma = 3, .reduction = "none"}).get_config()),
            R"({"name": "binary_focal_crossentropy", "reduction": "none", "from_logits": false, "label_smoothing": 0.0, "axis": -1, "apply_class_balancing": false, "alpha": 0.25, "gamma": 3.0})");
  EXPECT_EQ(io::to_json(LossFunctionWrapper("huber", {{"delta", 0.5}}, {.name = "h"}).serialize()),
            R"({"module": "keras.src.losses.losses", "class_name": "LossFunctionWrapper", "config": {"name": "h", "reduction": "sum_over_batch_size", "fn": {"module": "builtins", "class_name": "function", "config": "huber", "registered_name": "function"}, "delta": 0.5}, "registered_name": "LossFunctionWrapper"})");
  EXPECT_EQ(io::to_json(Dice({.axis = {1, 2}}).get_config()), R"({"name": "dice", "reduction": "sum_over_batch_size", "axis": [1, 2]})");
  EXPECT_EQ(LossSpec("mse").serialize(), Value("mse"));
  EXPECT_EQ(LossSpec(Huber()).serialize(), Huber().serialize());
  for (const std::string& name : known_names()) {
    std::shared_ptr<Loss> loss = losses::get(name);
    std::shared_ptr<Loss> again = losses::get(loss->serialize());
    EXPECT_EQ(again->serialize(), loss->serialize()) << name;
  }
}

TEST(Losses, Names) {
  EXPECT_EQ(losses::get("mse")->name(), "mse");
  EXPECT_EQ(losses::get("MeanSquaredError")->name(), "mean_squared_error");
  EXPECT_EQ(losses::get(Value()), nullptr);
  EXPECT_NEAR((*losses::get("mse"))(kTrue, kPred).item(), 0.15833331644535065, 1e-6);
  EXPECT_NE(message<ValueError>([] { losses::get("msee"); }).find("mse"), std::string::npos);
  EXPECT_NE(message<ValueError>([] { losses::get("mean_square_error"); }).find("'mean_squared_error'"), std::string::npos);
  EXPECT_NE(message<ValueError>([] { MeanSquaredError({.reduction = "summ"}); }).find("'sum'"), std::string::npos);
  EXPECT_NE(message<ValueError>([] { losses::get(Dict{{"class_name", "Huber"}, {"config", Dict{{"delt", 1.0}}}}); }).find("'delta'"), std::string::npos);
  EXPECT_THROW(losses::get(Dict{{"class_name", "Foo"}, {"config", Dict{}}}), ValueError);
  EXPECT_THROW(CategoricalGeneralizedCrossEntropy({.q = 1}), ValueError);
}

struct Pinball : Loss {
  Tensor call(const Tensor& y_true, const Tensor& y_pred) override {
    Tensor e = y_true - y_pred;
    return ops::mean(ops::maximum(0.9 * e, -0.1 * e), -1);
  }
};
struct WithRate : Loss {
  double rate;
  WithRate(const Dict& config) : Loss({.name = "with_rate"}), rate(config.contains("rate") ? config.at("rate").as_float() : 1) {}
  Tensor call(const Tensor& y_true, const Tensor& y_pred) override { return rate * losses::mean_squared_error(y_true, y_pred); }
  Dict get_config() const override { return {{"rate", rate}}; }
};
Tensor plain(const Tensor& t, const Tensor& p) { return ops::mean(ops::abs(t - p), -1); }

TEST(Losses, OfTheUser) {
  LossSpec spec = Pinball();
  EXPECT_EQ(spec->name(), "pinball");
  EXPECT_NEAR((*spec)(kTrue, kPred).item(), (0.1 * 0.2 + 0.9 * 0.3 + 0.9 * 0.4 + 0.1 * 0.4 + 0.9 * 0.1 + 0.9 * 0.7) / 6, 1e-6);
  register_loss<Pinball>("mine>Pinball");
  EXPECT_EQ(spec.serialize().get("registered_name"), Value("mine>Pinball"));
  EXPECT_NEAR((*losses::get(spec.serialize()))(kTrue, kPred).item(), (*spec)(kTrue, kPred).item(), 1e-7);
  EXPECT_EQ(losses::get("Pinball")->class_name(), "Pinball");

  register_loss<WithRate>("WithRate");
  Value saved = LossSpec(WithRate(Dict{{"rate", 2.0}})).serialize();
  EXPECT_NEAR((*losses::get(saved))(kTrue, kPred).item(), 2 * 0.15833331644535065, 1e-6);

  LossSpec lambda = [](const Tensor& t, const Tensor& p) { return ops::mean(ops::abs(t - p), -1); };
  EXPECT_EQ(lambda->name(), "lambda");
  EXPECT_NEAR((*lambda)(kTrue, kPred).item(), 0.35, 1e-6);
  EXPECT_THROW(lambda.serialize(), ValueError);
  EXPECT_EQ(LossSpec(losses::mean_absolute_error)->name(), "mean_absolute_error");
  EXPECT_EQ(LossSpec(losses::mean_absolute_error).serialize().get("config"), Value("mean_absolute_error"));
  register_loss("mine>plain", plain);
  EXPECT_EQ(LossSpec(plain).serialize().get("config"), Value("mine>plain"));
  EXPECT_NEAR((*losses::get(LossSpec(plain).serialize()))(kTrue, kPred).item(), 0.35, 1e-6);

  struct MyHuber : Huber {
    using Huber::Huber;
  };
  EXPECT_EQ(LossSpec(MyHuber()).serialize().get("class_name"), Value("MyHuber"));
}

TEST(Losses, CrossentropyByShapes) {
  auto function = [](const Shape& t, const Shape& p) {
    return std::dynamic_pointer_cast<LossFunctionWrapper>(losses::resolve("crossentropy", t, p).object())->function_name();
  };
  EXPECT_EQ(function({None, 1}, {None, 1}), "binary_crossentropy");
  EXPECT_EQ(function({None}, {None, 4}), "sparse_categorical_crossentropy");
  EXPECT_EQ(function({None, 1}, {None, 4}), "sparse_categorical_crossentropy");
  EXPECT_EQ(function({None, 4}, {None, 4}), "categorical_crossentropy");
  EXPECT_EQ(losses::resolve("mse", {None}, {None})->name(), "mse");
}

TEST(Losses, BatchesOfUnknownSize) {
  for (const std::string& name : known_names()) {
    SCOPED_TRACE(name);
    std::shared_ptr<Loss> loss = losses::get(name);
    std::string n = core::to_snake_case(name);
    bool ctc = n == "ctc", labels = n == "circle" || n.starts_with("sparse") || n.starts_with("categorical_gen");
    ir::Type t{DType::Float32, labels ? Shape{None} : Shape{None, 4}}, p{DType::Float32, ctc ? Shape{None, 6, 5} : Shape{None, 4}};
    try {
      std::vector<ir::Type> out = core::infer({t, p, {DType::Float32, Shape{None}}}, [&](const Tensors& in) {
        return Tensors{(*loss)(in[0], in[1]), n == "dice" || n == "tversky" ? Tensor(1.0) : (*loss)(in[0], in[1], in[2])};
      });
      EXPECT_EQ(out[0].shape, Shape{});
      EXPECT_EQ(out[1].shape, Shape{});
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

/// As JAX reads arrays without its 64-bit types.
Tensor narrow(const Tensor& t) {
  if (t.dtype() == DType::Int64) return t.astype(DType::Int32);
  return t.dtype() == DType::Float64 ? t.astype(DType::Float32) : t;
}
Tensor argument(const test::Case& c, const Value& v) {
  if (v.is_null()) return {};
  if (v.is_dict()) return narrow(c.tensor(v.get("__array__")));
  if (v.is_number()) return v.is_int() ? Tensor(v.as_int()) : Tensor(v.as_float());
  std::vector<float> numbers;
  for (const Value& e : v.as_list()) numbers.push_back(static_cast<float>(e.as_float()));
  return Tensor(numbers);
}

TEST(Losses, Corpus) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values beside the project";
  set_warning_handler([](const std::string&) {});
  int count = test::each_record("losses", [](const test::Case& c, const Value& r) {
    if (!r.get("variant").is_null()) return;
    double rtol = c.tolerance("rtol", 1e-4), atol = c.tolerance("atol", 1e-5);
    Value saved = Dict{{"class_name", c.json.get("class")}, {"config", r.get("config")}};
    std::shared_ptr<Loss> loss = losses::get(saved);
    EXPECT_EQ(Value(loss->get_config()), r.get("config")) << Value(loss->get_config()).str();
    Tensor t = argument(c, r.get("y_true")), p = argument(c, r.get("y_pred")), w = argument(c, r.get("sample_weight"));
    Tensor mask = argument(c, r.get("y_pred_mask")), want = argument(c, r.get("result"));
    auto call = [&](const Tensor& y_true, const Tensor& y_pred) { return (*loss)(y_true, mask ? core::with_mask(y_pred, mask) : y_pred, w); };
    test::expect_close(call(t, p), want, rtol, atol);
    Function step([&](const Tensors& in) {
      Tensor y = call(in[0], in[1]);
      return Tensors{y, gradients(y, Tensors{in[1]})[0]};
    });
    Tensors got = step({t, p});
    test::expect_close(got[0], want, rtol, atol);
    if (Tensor grad = argument(c, r.get("grad_y_pred"))) {
      double g_rtol = c.tolerance("grad_rtol", rtol), g_atol = c.tolerance("grad_atol", atol);
      test::expect_close(got[1], grad, g_rtol, g_atol);
    }
  });
  set_warning_handler(nullptr);
  EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace keras
