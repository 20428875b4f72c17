// What lives here: whole runs of real Keras, reproduced number by number from their seeds: those of recorded/repro.json (made by repro.py
// there), and three on handwritten digits that lie beside the project (shared/repro).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include <keras/models/model.h>
#include <keras/random.h>
#include <keras/utils.h>

#include "io/file.h"
#include "passes/passes.h"

namespace keras {
namespace {

namespace fs = std::filesystem;

struct Reproduced {
  Value recorded;
  Tensors initial, final;
  std::vector<std::string> paths;
  std::shared_ptr<callbacks::History> history;
};

fs::path shared() { return fs::path(KERAS_SOURCE_DIR) / ".." / "shared"; }

Reproduced reproduce(const std::string& name) {
  fs::path folder = shared() / "repro" / name;
  auto json = [&](const char* file) { return utils::parse_json(io::read_text_file(folder / file)); };
  Reproduced run;
  run.recorded = json("run.json");
  // The digits stay what they are in the file, uint8; the model's input casts them.
  Tensor x, y;
  for (const auto& [key, array] : utils::load_npz((shared() / "data" / "digits.npz").string())) (key == "x" ? x : y) = array;

  utils::clear_session();
  utils::set_random_seed(run.recorded.get("seed").as_int());
  Model model = models::model_from_json(io::read_text_file(folder / "arch.json"));
  for (const Variable& w : model.weights()) run.paths.push_back(w.path());
  run.initial = model.get_weights();
  model.compile_from_config(json("compile.json"));
  const Value& fit = run.recorded.get("fit");
  run.history = model.fit(x, y, {.batch_size = fit.get("batch_size").as_int(), .epochs = static_cast<int>(fit.get("epochs").as_int()), .verbose = 0,
                                 .validation_split = fit.get("validation_split").as_float()});
  run.final = model.get_weights();
  return run;
}

/// First numbers and sum of every weight, as the record holds them.
void expect_weights(const Value& recorded, const std::vector<std::string>& paths, const Tensors& weights, double tolerance) {
  ASSERT_EQ(recorded.as_list().size(), weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    const Value& want = recorded.as_list()[i];
    SCOPED_TRACE(want.get("path").as_string());
    // Parts of wrappers that come from a file have paths without the wrapper's name in Keras, with it here.
    const std::string& path = want.get("path").as_string();
    EXPECT_TRUE(paths[i] == path || paths[i].ends_with("/" + path)) << paths[i] << " instead of " << path;
    ASSERT_EQ(weights[i].shape(), want.get("shape").as_shape());
    std::vector<double> got = weights[i].to_vector<double>();
    const List& first = want.get("first").as_list();
    for (size_t k = 0; k < first.size(); ++k) EXPECT_NEAR(got[k], first[k].as_float(), tolerance) << "element " << k;
    double sum = 0, size = 0;
    for (double g : got) sum += g, size += std::abs(g);
    EXPECT_NEAR(sum, want.get("sum").as_float(), tolerance * std::max(1.0, size)) << "sum";
  }
}

struct Repro : ::testing::TestWithParam<const char*> {
  void SetUp() override {
    if (!fs::exists(shared() / "repro" / GetParam() / "run.json") || !fs::exists(shared() / "data" / "digits.npz"))
      GTEST_SKIP() << "the recorded runs are not here: " << (shared() / "repro").lexically_normal().string();
  }
  void TearDown() override { passes::set_fusion(true); }
};

TEST_P(Repro, GivesTheNumbersOfKeras) {
  Reproduced run = reproduce(GetParam());
  expect_weights(run.recorded.get("initial"), run.paths, run.initial, 1e-6);
  const Dict& history = run.recorded.get("history").as_dict();
  EXPECT_EQ(run.history->history.size(), history.size());
  // 1437 rows are trained on, the last 360 validate.
  for (const auto& [name, values] : history) {
    const std::vector<double>& got = (*run.history)[name];
    ASSERT_EQ(got.size(), values.as_list().size());
    bool accuracy = name.find("accuracy") != std::string::npos;
    for (size_t epoch = 0; epoch < got.size(); ++epoch) {
      double want = values.as_list()[epoch].as_float();
      EXPECT_NEAR(got[epoch], want, accuracy ? 2.0 / (name == "accuracy" ? 1437 : 360) + 1e-7 : 1e-3 * want) << name << ", epoch " << epoch;
    }
  }
  expect_weights(run.recorded.get("final"), run.paths, run.final, 1e-3);
}

TEST_P(Repro, IsTheSameWithoutFusion) {
  Reproduced fused = reproduce(GetParam());
  passes::set_fusion(false);
  Reproduced plain = reproduce(GetParam());
  ASSERT_EQ(fused.history->history.size(), plain.history->history.size());
  for (size_t i = 0; i < fused.history->history.size(); ++i) {
    const auto& [name, a] = fused.history->history[i];
    const auto& [plain_name, b] = plain.history->history[i];
    EXPECT_EQ(name, plain_name);
    for (size_t epoch = 0; epoch < a.size(); ++epoch) {
      // Sums are taken in another order, nothing else may differ.
      double tolerance = name.find("accuracy") != std::string::npos ? 1.0 / 360 + 1e-7 : 1e-4 * std::abs(b[epoch]);
      EXPECT_NEAR(a[epoch], b[epoch], tolerance) << name << ", epoch " << epoch;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, Repro, ::testing::Values("mlp", "convnet", "rows_lstm"), [](const auto& info) { return std::string(info.param); });

// ---- the runs of recorded/repro.json

const Dict& recorded_runs() {
  static const Value file = utils::parse_json(io::read_text_file(fs::path(KERAS_SOURCE_DIR) / "tests" / "integration" / "recorded" / "repro.json"));
  return file.as_dict();
}

/// Data are recipes there, as repro.py's `made` follows them.
Tensor made(const Value& recipe) {
  Shape shape = recipe.get("shape").as_shape();
  auto n = static_cast<size_t>(shape.numel());
  if (recipe.get("kind").as_string() == "integers") {
    std::vector<int32_t> v(n);
    for (size_t i = 0; i < n; ++i) v[i] = static_cast<int32_t>((i * 7 % 101) % static_cast<size_t>(recipe.get("high").as_int()));
    return Tensor::from(v, shape);
  }
  double k = 0.7 * recipe.get("k").as_float(), scale = recipe.get("scale").as_float(), offset = recipe.get("offset").as_float();
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = static_cast<float>(std::sin(k * static_cast<double>(i + 1)) * scale + offset);
  return Tensor::from(v, shape);
}

FitOptions fit_options(const Value& given) {
  FitOptions o{.verbose = 0};
  for (const auto& [key, v] : given.as_dict()) {
    if (key == "batch_size") o.batch_size = v.as_int();
    else if (key == "epochs") o.epochs = static_cast<int>(v.as_int());
    else if (key == "validation_split") o.validation_split = v.as_float();
    else if (key == "shuffle") o.shuffle = v.is_string() ? Shuffle(v.as_string().c_str()) : Shuffle(v.as_bool());
    else if (key == "sample_weight") o.sample_weight = made(v);
    else if (key == "class_weight")
      for (const auto& [c, w] : v.as_dict()) o.class_weight[std::stoll(c)] = w.as_float();
    else ADD_FAILURE() << "an option of fit that this test does not know: " << key;
  }
  return o;
}

struct RecordedRun : ::testing::TestWithParam<std::string> {};

TEST_P(RecordedRun, GivesTheNumbersOfKeras) {
  const Value& run = recorded_runs().at("runs").as_dict().at(GetParam());
  utils::clear_session();
  utils::set_random_seed(recorded_runs().at("seed").as_int());
  const Value& architecture = recorded_runs().at("architectures").as_list().at(static_cast<size_t>(run.get("architecture").as_int()));
  Model model = models::model_from_json(utils::to_json(architecture));
  std::vector<std::string> paths;
  for (const Variable& w : model.weights()) paths.push_back(w.path());
  expect_weights(run.get("initial"), paths, model.get_weights(), 1e-6);
  model.compile_from_config(run.get("compile"));
  Tensors x;
  for (const Value& recipe : run.get("x").as_list()) x.push_back(made(recipe));
  auto history = model.fit(x, made(run.get("y")), fit_options(run.get("fit")));
  const Dict& want = run.get("history").as_dict();
  EXPECT_EQ(history->history.size(), want.size());
  double worst = 0;
  for (const auto& [name, values] : want) {
    const std::vector<double>& got = (*history)[name];
    ASSERT_EQ(got.size(), values.as_list().size()) << name;
    for (size_t epoch = 0; epoch < got.size(); ++epoch) {
      double number = values.as_list()[epoch].as_float();
      worst = std::max(worst, std::abs(got[epoch] - number) / std::max(std::abs(number), 1e-3));
      EXPECT_NEAR(got[epoch], number, 1e-4 * std::max(std::abs(number), 1e-3)) << name << ", epoch " << epoch;
    }
  }
  RecordProperty("worst", std::to_string(worst));
  expect_weights(run.get("final"), paths, model.get_weights(), 1e-3);
}

std::vector<std::string> run_names() { return recorded_runs().at("runs").as_dict().keys(); }

INSTANTIATE_TEST_SUITE_P(Runs, RecordedRun, ::testing::ValuesIn(run_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace keras
