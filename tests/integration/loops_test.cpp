// What lives here: trainings from generators and datasets, through callbacks, steps of one's own and all forms of losses and metrics, against what
// Python's Keras does (recorded/loops.py does the same and wrote recorded/loops.json).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <thread>

#include <keras/keras.h>

#include "io/file.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using layers::Dense;
using ::testing::HasSubstr;

Tensor some(const Shape& shape, double k = 1) {
  Tensor t = Tensor::empty(DType::Float32, shape);
  float* p = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(std::sin(0.7 * k * static_cast<double>(i + 1)));
  return t;
}
Tensor classes(int64_t n, int64_t k) {
  std::vector<int32_t> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<int32_t>(i * 7 % 11 % k));
  return Tensor::from(v, Shape{n});
}

const Value& recorded(const std::string& name) {
  static const Value all = utils::parse_json(io::read_text_file(KERAS_SOURCE_DIR "/tests/integration/recorded/loops.json"));
  const Value& v = all.get(name);
  if (v.is_null()) throw std::runtime_error("nothing is recorded as " + name);
  return v;
}

/// A few steps amplify the last bits; nothing but rounding may differ.
void expect_close(double got, double want, const std::string& what) { EXPECT_NEAR(got, want, 2e-5 + 1e-4 * std::abs(want)) << what; }
void expect_numbers(const std::vector<double>& got, const Value& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.as_list().size()) << what;
  for (size_t i = 0; i < got.size(); ++i) expect_close(got[i], want.as_list()[i].as_float(), what + ", number " + std::to_string(i));
}
void expect_logs(const Logs& logs, const Value& want) {
  EXPECT_EQ(logs.items().size(), want.as_dict().size());
  for (const auto& [name, value] : want.as_dict()) {
    ASSERT_TRUE(logs.contains(name)) << name;
    expect_close(logs.at(name), value.as_float(), name);
  }
}
std::vector<std::string> strings(const Value& v) {
  std::vector<std::string> out;
  for (const Value& e : v.as_list()) out.push_back(e.as_string());
  return out;
}
/// History and weights are what Keras recorded.
void expect_recorded(const std::string& name, const Model& model, const std::shared_ptr<callbacks::History>& history) {
  SCOPED_TRACE(name);
  const Value& want = recorded(name);
  std::vector<std::string> names, want_names;
  for (const auto& [n, values] : history->history) names.push_back(n);
  for (const auto& [n, values] : want.get("history").as_dict()) want_names.push_back(n);
  EXPECT_EQ(names, want_names);
  EXPECT_EQ(std::vector<int64_t>(history->epoch.begin(), history->epoch.end()), want.get("epoch").as_ints());
  for (const auto& [n, values] : want.get("history").as_dict())
    if (history->contains(n)) expect_numbers((*history)[n], values, n);
  std::vector<Variable> weights = model.weights();
  ASSERT_EQ(weights.size(), want.get("weights").as_list().size());
  for (size_t i = 0; i < weights.size(); ++i) {
    std::vector<double> got = weights[i].value().to_vector<double>();
    got.resize(std::min<size_t>(got.size(), 4));
    expect_numbers(got, want.get("weights").as_list()[i], weights[i].path());
  }
}

/// Every hook with its number and the names of its logs.
struct Events : callbacks::Callback {
  std::vector<std::string> seen;
  void note(const char* hook, std::optional<int64_t> at, const Logs& logs) {
    std::string line = std::string(hook) + " " + (at ? std::to_string(*at) : "") + "[";
    if (!logs.outputs.empty()) line += "outputs";
    for (size_t i = 0; i < logs.items().size(); ++i) line += (i ? "," : "") + logs.items()[i].first;
    seen.push_back(line + "]");
  }
  void set_model(Model* model) override {
    Callback::set_model(model);
    if (model) seen.push_back("set_model");  // it is taken away at the end, which Keras does not
  }
  void set_params(const CallbackParams& p) override {
    Callback::set_params(p);
    seen.push_back("set_params " + std::to_string(p.epochs) + " " + std::to_string(p.steps) + " " + std::to_string(p.verbose));
  }
  void on_train_begin(Logs& l) override { note("on_train_begin", {}, l); }
  void on_train_end(Logs& l) override { note("on_train_end", {}, l); }
  void on_test_begin(Logs& l) override { note("on_test_begin", {}, l); }
  void on_test_end(Logs& l) override { note("on_test_end", {}, l); }
  void on_predict_begin(Logs& l) override { note("on_predict_begin", {}, l); }
  void on_predict_end(Logs& l) override { note("on_predict_end", {}, l); }
  void on_epoch_begin(int e, Logs& l) override { note("on_epoch_begin", e, l); }
  void on_epoch_end(int e, Logs& l) override { note("on_epoch_end", e, l); }
  void on_train_batch_begin(int64_t b, Logs& l) override { note("on_train_batch_begin", b, l); }
  void on_train_batch_end(int64_t b, Logs& l) override { note("on_train_batch_end", b, l); }
  void on_test_batch_begin(int64_t b, Logs& l) override { note("on_test_batch_begin", b, l); }
  void on_test_batch_end(int64_t b, Logs& l) override { note("on_test_batch_end", b, l); }
  void on_predict_batch_begin(int64_t b, Logs& l) override { note("on_predict_batch_begin", b, l); }
  void on_predict_batch_end(int64_t b, Logs& l) override { note("on_predict_batch_end", b, l); }
};

const Tensor x = some({48, 5}), y = classes(48, 3);
const Tensor w = [] {
  std::vector<float> v;
  for (int i = 0; i < 48; ++i) v.push_back(static_cast<float>(i % 4 + 1) / 2);
  return Tensor::from(v, Shape{48});
}();

BatchGenerator batches_of(int64_t size, bool forever = false) {
  do {
    for (int64_t i = 0; i < 48; i += size) co_yield {x.rows(i, std::min<int64_t>(i + size, 48)), y.rows(i, std::min<int64_t>(i + size, 48))};
  } while (forever);
}

struct RowsOptions {
  int64_t size = 12, n = 48;
  bool endless = false, weighted = false;
  int64_t workers = 1;
};
struct Rows : utils::PyDataset {
  RowsOptions o;
  std::mutex mutex;
  std::vector<std::string> seen;
  explicit Rows(const RowsOptions& o = {}) : PyDataset({.workers = o.workers}), o(o) {}
  int64_t count() const { return (o.n + o.size - 1) / o.size; }
  std::optional<int64_t> num_batches() const override { return o.endless ? std::nullopt : std::optional(count()); }
  Batch get_item(int64_t i) override {
    note(std::to_string(i));
    int64_t from = i % count() * o.size, to = std::min(from + o.size, o.n);
    // The later ones are ready first.
    if (o.workers > 1) std::this_thread::sleep_for(std::chrono::milliseconds(2 * (count() - i % count())));
    return {x.rows(from, to), y.rows(from, to), o.weighted ? Arrays(w.rows(from, to)) : Arrays()};
  }
  void on_epoch_begin() override { note("begin"); }
  void on_epoch_end() override { note("end"); }
  void note(std::string what) {
    std::lock_guard lock(mutex);
    seen.push_back(std::move(what));
  }
};

struct Loops : ::testing::Test {
  std::vector<std::string> warnings;
  WarningHandler before;
  fs::path dir = fs::temp_directory_path() / ("keras_loops_" + std::to_string(::getpid()));
  void SetUp() override {
    before = set_warning_handler([this](const std::string& text) { warnings.push_back(text); });
    start();
  }
  void TearDown() override {
    set_warning_handler(before);
    fs::remove_all(dir);
  }
  static void start() {
    utils::clear_session();
    utils::set_random_seed(5);
  }
  static Sequential mlp() { return Sequential({Input({5}), Dense(8, {.activation = "tanh"}), Dense(3, {.activation = "softmax"})}); }
  static CompileOptions sparse(OptimizerSpec optimizer = "adam") { return {.optimizer = optimizer, .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}}; }

  /// Fits from a source: numbers, hooks, and what the source saw.
  void run(const std::string& name, const Data& data, FitOptions o) {
    SCOPED_TRACE(name);
    start();
    Sequential model = mlp();
    model.compile(sparse());
    auto events = std::make_shared<Events>();
    o.verbose = 0;
    o.callbacks = {events};
    auto history = model.fit(data, o);
    expect_recorded(name, model, history);
    EXPECT_EQ(events->seen, strings(recorded(name).get("events")));
  }
  void run(const std::string& name, Rows& rows, FitOptions o) {
    run(name, Data(rows), std::move(o));
    EXPECT_EQ(rows.seen, strings(recorded(name).get("seen"))) << name;
  }
  /// Fits arrays with compile and fit options.
  Sequential arrays(const std::string& name, FitOptions o, CompileOptions c = sparse(), const Tensor& target = y) {
    SCOPED_TRACE(name);
    start();
    Sequential model = mlp();
    model.compile(c);
    auto events = std::make_shared<Events>();
    o.verbose = 0;
    o.callbacks = {events};
    auto history = model.fit(x, target, o);
    expect_recorded(name, model, history);
    EXPECT_EQ(events->seen, strings(recorded(name).get("events"))) << name;
    return model;
  }
};

// ---- sources

TEST_F(Loops, GeneratorWithSteps) {
  run("generator_steps", batches_of(12, true), {.epochs = 2, .validation_data = {x.rows(0, 20), y.rows(0, 20)}, .steps_per_epoch = 3, .validation_batch_size = 8});
  EXPECT_TRUE(warnings.empty());
}

TEST_F(Loops, GeneratorWithStepsAndPrefetch) {
  run("generator_steps", batches_of(12, true).set_prefetch(3), {.epochs = 2, .validation_data = {x.rows(0, 20), y.rows(0, 20)}, .steps_per_epoch = 3, .validation_batch_size = 8});
}

TEST_F(Loops, GeneratorThatEnds) {
  run("generator_runs_out", batches_of(11), {.epochs = 2});
  ASSERT_FALSE(warnings.empty());
  EXPECT_THAT(warnings[0], HasSubstr("Your input ran out of data"));
  run("generator_runs_out", batches_of(11).set_prefetch(2), {.epochs = 2});
  run("generator_too_short", batches_of(16), {.epochs = 2, .steps_per_epoch = 2});
}

TEST_F(Loops, GeneratorAsAFunction) {
  int64_t at = 0;
  auto next = [&]() -> std::optional<Batch> {
    int64_t i = std::exchange(at, (at + 12) % 48);
    return Batch{x.rows(i, i + 12), y.rows(i, i + 12)};
  };
  run("generator_steps", next, {.epochs = 2, .validation_data = {x.rows(0, 20), y.rows(0, 20)}, .steps_per_epoch = 3, .validation_batch_size = 8});
  EXPECT_EQ(at, 6 * 12 % 48) << "no batch more than needed";
}

TEST_F(Loops, Dataset) {
  Rows rows;
  run("dataset", rows, {.epochs = 2});
  Rows weighted({.weighted = true});
  run("dataset_in_order", weighted, {.epochs = 2, .shuffle = false});
  Rows of_classes;
  run("dataset_class_weight", of_classes, {.epochs = 2, .class_weight = {{0, 0.5}, {1, 2.0}, {2, 1.5}}});
}

TEST_F(Loops, DatasetWithSteps) {
  Rows rows;
  run("dataset_steps", rows, {.epochs = 3, .steps_per_epoch = 3});
  Rows endless({.endless = true});
  run("dataset_endless", endless, {.epochs = 2, .steps_per_epoch = 3});
}

/// Threads change when a batch is made, never which one is used.
TEST_F(Loops, DatasetWithWorkers) {
  for (int64_t workers : {2, 4}) {
    Rows rows({.workers = workers}), steps({.workers = workers}), endless({.endless = true, .workers = workers});
    run("dataset", Data(rows), {.epochs = 2});
    run("dataset_steps", Data(steps), {.epochs = 3, .steps_per_epoch = 3});
    run("dataset_endless", Data(endless), {.epochs = 2, .steps_per_epoch = 3});
    // Nobody works while the dataset is told of epochs.
    auto at = [&](size_t from, const char* what) { return std::find(rows.seen.begin() + static_cast<std::ptrdiff_t>(from), rows.seen.end(), what) - rows.seen.begin(); };
    size_t first = static_cast<size_t>(at(2, "begin"));
    EXPECT_EQ(at(first, "end") - static_cast<std::ptrdiff_t>(first), 5) << "four batches in an epoch";
    EXPECT_EQ(rows.seen.back(), "end");
  }
}

TEST_F(Loops, DatasetForValidationEvaluationAndPrediction) {
  for (int64_t workers : {1, 3}) {
    start();
    Sequential model = mlp();
    model.compile(sparse());
    Rows rows({.workers = workers}), val({.size = 10, .n = 30, .workers = workers});
    auto events = std::make_shared<Events>();
    auto history = model.fit(rows, {.epochs = 2, .verbose = 0, .callbacks = {events}, .validation_data = {val}});
    const Value& want = recorded("dataset_validation");
    expect_recorded("dataset_validation", model, history);
    EXPECT_EQ(events->seen, strings(want.get("events")));
    if (workers == 1) {
      EXPECT_EQ(val.seen, strings(want.get("val_seen")));
    }
    expect_logs(model.evaluate(Rows({.size = 20, .weighted = true}), {.verbose = 0}), want.get("evaluate"));
    Rows twenty({.size = 20, .workers = workers});
    Tensor predicted = model.predict(twenty, {.verbose = 0});
    EXPECT_EQ(predicted.shape(), (Shape{48, 3}));
    EXPECT_EQ(predicted.to_vector<float>(), model.predict(x, {.verbose = 0}).to_vector<float>());
    EXPECT_EQ(model.predict(batches_of(20), {.verbose = 0, .steps = 2}).shape(), (Shape{40, 3}));
    EXPECT_EQ(model.predict(batches_of(20), {.verbose = 0}).shape(), (Shape{48, 3}));
  }
}

struct Broken : Rows {
  using Rows::Rows;
  Batch get_item(int64_t i) override {
    if (i == 2) throw std::out_of_range("no row " + std::to_string(i));
    return Rows::get_item(i);
  }
};

TEST_F(Loops, ExceptionsOfASourceReachTheCaller) {
  for (int64_t workers : {1, 2, 5}) {
    Broken broken({.size = 6, .workers = workers});
    auto events = std::make_shared<Events>();
    Sequential model = mlp();
    model.compile(sparse());
    try {
      model.fit(broken, {.verbose = 0, .callbacks = {events}, .shuffle = false});
      FAIL() << "nothing was thrown";
    } catch (const std::out_of_range& e) {
      EXPECT_STREQ(e.what(), "no row 2");
    }
    EXPECT_EQ(std::count(events->seen.begin(), events->seen.end(), "on_train_batch_end 1[accuracy,loss]"), 1) << "the batches before it were used";
    EXPECT_EQ(events->seen.back(), "on_train_batch_begin 2[]");
  }
  auto once = [n = 0]() mutable -> std::optional<Batch> {
    if (++n == 4) throw std::runtime_error("over");
    return Batch{x.rows(0, 8), y.rows(0, 8)};
  };
  Sequential model = mlp();
  model.compile(sparse());
  for (int64_t ahead : {0, 2}) EXPECT_THROW(model.fit(BatchGenerator(once).set_prefetch(ahead), {.verbose = 0}), std::runtime_error);
}

TEST_F(Loops, SourcesThatCannotBe) {
  Sequential model = mlp();
  model.compile(sparse());
  auto message = [](auto&& f) {
    try {
      f();
    } catch (const ValueError& e) {
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  Rows rows;
  EXPECT_THAT(message([&] { model.fit(batches_of(8), {.verbose = 0, .class_weight = {{0, 1.0}}}); }), HasSubstr("class_weight"));
  EXPECT_THAT(message([&] { model.fit(batches_of(8), {.verbose = 0, .sample_weight = w}); }), HasSubstr("When providing `x` as a generator, `sample_weights` should not be passed"));
  EXPECT_THAT(message([&] { model.fit(rows, {.verbose = 0, .validation_split = 0.5}); }), HasSubstr("validation_split is only supported for arrays"));
  EXPECT_THAT(message([&] { model.fit([]() -> std::optional<Batch> { return std::nullopt; }, {.verbose = 0}); }), HasSubstr("at least one batch"));
  EXPECT_THAT(message([&] { model.fit([] { return Batch{x.rows(0, 8), y.rows(0, 7)}; }, {.verbose = 0, .steps_per_epoch = 1}); }), HasSubstr("different numbers of samples"));
  EXPECT_THAT(message([&] { model.fit([] { return Batch{Tensors{x, x}, y}; }, {.verbose = 0, .steps_per_epoch = 1}); }), HasSubstr("another number of inputs"));
  EXPECT_THAT(message([&] { model.fit(x, y, {.verbose = 0, .steps_per_epoch = -2}); }), HasSubstr("negative"));
  Rows weighted({.weighted = true});
  EXPECT_THAT(message([&] { model.fit(weighted, {.verbose = 0, .class_weight = {{0, 1.0}}}); }), HasSubstr("at the same time"));
}

// ---- arrays and steps

TEST_F(Loops, StepsOfArrays) {
  arrays("steps_run_out", {.batch_size = 10, .epochs = 4, .steps_per_epoch = 2});
  ASSERT_EQ(warnings.size(), 1u);
  arrays("steps_without_batch_size", {.epochs = 2, .steps_per_epoch = 4});
  arrays("validation_freq_list", {.batch_size = 16, .epochs = 4, .validation_split = 0.25, .validation_steps = 2, .validation_freq = {1, 4}});
}

TEST_F(Loops, StepsPerExecution) {
  CompileOptions two = sparse();
  two.steps_per_execution = 2;
  Sequential model = arrays("steps_per_execution", {.batch_size = 10, .epochs = 2, .validation_split = 0.25}, two);
  std::vector<Shape> outputs;
  Tensor all = model.predict(x, {.batch_size = 10, .verbose = 0, .callbacks = {callbacks::LambdaCallback({.on_predict_batch_end = [&](int64_t, const Logs& logs) { outputs.push_back(logs.outputs.at(0).shape()); }})}});
  EXPECT_EQ(outputs, (std::vector<Shape>{{20, 3}, {20, 3}, {8, 3}}));
  EXPECT_EQ(all.shape(), (Shape{48, 3}));
  arrays("steps_per_execution_of_steps", {.batch_size = 10, .epochs = 3, .steps_per_epoch = 3}, two);
}

TEST_F(Loops, ClassWeightsOfAllTargets) {
  CompileOptions categorical = sparse();
  categorical.loss = "categorical_crossentropy";
  arrays("one_hot_class_weight", {.batch_size = 16, .epochs = 2, .class_weight = {{0, 0.5}, {2, 3.0}}}, categorical, utils::to_categorical(y));
  arrays("column_class_weight", {.batch_size = 16, .epochs = 2, .class_weight = {{0, 0.5}, {2, 3.0}}}, sparse(), Tensor::from(y.to_vector<int32_t>(), Shape{48, 1}));
  arrays("class_weight_and_validation", {.batch_size = 16, .epochs = 2, .validation_split = 0.25, .class_weight = {{0, 0.5}, {2, 3.0}}});
}

TEST_F(Loops, HooksOfFitEvaluateAndPredict) {
  Sequential model = arrays("events", {.batch_size = 20, .epochs = 2, .validation_split = 0.25});
  const Value& want = recorded("events");
  auto events = std::make_shared<Events>();
  model.evaluate(x, y, {.batch_size = 20, .verbose = 0, .callbacks = {events}});
  model.predict(x, {.batch_size = 20, .verbose = 0, .callbacks = {events}});
  EXPECT_EQ(events->seen, strings(want.get("later")));
  expect_logs(model.evaluate(x, y, {.verbose = 0, .steps = 2}), want.get("two"));
  EXPECT_EQ(model.predict(x, {.verbose = 0, .steps = 2}).shape()[0], want.get("rows").as_int());
  EXPECT_EQ(model.predict(x, {.batch_size = 10, .verbose = 0, .steps = 2}).shape()[0], want.get("rows_of_10").as_int());
}

TEST_F(Loops, StoppedInTheMiddleOfAnEpoch) {
  Sequential model = mlp();
  model.compile(sparse());
  Rows rows;
  auto events = std::make_shared<Events>();
  Model* m = nullptr;
  callbacks::LambdaCallback stop({.on_train_batch_end = [&](int64_t batch, const Logs&) {
    if (batch == 1) m->set_stop_training(true);
  }});
  m = &model;
  auto history = model.fit(rows, {.epochs = 3, .verbose = 0, .callbacks = {stop, events}, .validation_data = {x, y}});
  expect_recorded("stopped", model, history);
  EXPECT_EQ(events->seen, strings(recorded("stopped").get("events")));
  EXPECT_EQ(rows.seen, strings(recorded("stopped").get("seen")));
  int batches = 0;
  model.evaluate(x, y, {.batch_size = 10, .verbose = 0, .callbacks = {callbacks::LambdaCallback({.on_test_batch_end = [&](int64_t, const Logs&) {
    if (++batches == 2) model.set_stop_evaluating(true);
  }})}});
  EXPECT_EQ(batches, 2);
  Tensor some_rows = model.predict(x, {.batch_size = 10, .verbose = 0, .callbacks = {callbacks::LambdaCallback({.on_predict_batch_end = [&](int64_t batch, const Logs&) {
    if (batch == 2) model.set_stop_predicting(true);
  }})}});
  EXPECT_EQ(some_rows.shape(), (Shape{30, 3}));
}

/// Operation by operation: the same numbers, and no step is compiled.
TEST_F(Loops, EagerStepsAreTheSame) {
  auto run = [&](bool eagerly) {
    start();
    Sequential model({Input({5}), Dense(8, {.activation = "tanh", .kernel_regularizer = "l2"}), layers::BatchNormalization(), layers::Dropout(0.3), Dense(3, {.activation = "softmax"})});
    CompileOptions c = sparse();
    c.run_eagerly = eagerly;
    model.compile(c);
    auto history = model.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0, .validation_split = 0.25, .sample_weight = w});
    std::vector<double> numbers;
    for (const auto& [name, values] : history->history) numbers.insert(numbers.end(), values.begin(), values.end());
    for (float v : model.predict(x, {.batch_size = 10, .verbose = 0}).to_vector<float>()) numbers.push_back(v);
    return numbers;
  };
  std::vector<double> compiled = run(false), eager = run(true);
  ASSERT_EQ(compiled.size(), eager.size());
  for (size_t i = 0; i < compiled.size(); ++i) EXPECT_NEAR(compiled[i], eager[i], 2e-5 * (1 + std::abs(compiled[i])));
}

// ---- callbacks

TEST_F(Loops, EarlyStoppingLaterAndAgainstABaseline) {
  for (const auto& [name, options] : std::vector<std::pair<std::string, callbacks::EarlyStoppingOptions>>{
           {"early_stopping_start_from_epoch", {.patience = 1, .start_from_epoch = 3}}, {"early_stopping_baseline", {.patience = 2, .baseline = 0.5, .restore_best_weights = true}}}) {
    start();
    Sequential model = mlp();
    model.compile(sparse(optimizers::Adam({.learning_rate = 0.3})));
    auto stop = std::make_shared<callbacks::EarlyStopping>(options);
    expect_recorded(name, model, model.fit(x, y, {.batch_size = 16, .epochs = 20, .verbose = 0, .callbacks = {stop}, .validation_split = 0.25}));
    EXPECT_EQ(stop->stopped_epoch(), recorded(name).get("stopped").as_int());
  }
}

TEST_F(Loops, SwapEMAWeights) {
  for (bool on_epoch : {false, true}) {
    start();
    Sequential model = mlp();
    model.compile(sparse(optimizers::Adam({.learning_rate = 0.1, .use_ema = true, .ema_momentum = 0.8})));
    std::vector<double> seen;
    callbacks::LambdaCallback look({.on_epoch_end = [&](int, const Logs&) { seen.push_back(model.get_weights()[0].to_vector<double>()[0]); }});
    std::string name = on_epoch ? "swap_ema_on_epoch" : "swap_ema";
    expect_recorded(name, model, model.fit(x, y, {.batch_size = 16, .epochs = 3, .verbose = 0, .callbacks = {callbacks::SwapEMAWeights({.swap_on_epoch = on_epoch}), look}, .validation_split = 0.25}));
    expect_numbers(seen, recorded(name).get("seen"), name);
  }
  Sequential plain = mlp();
  plain.compile(sparse());
  EXPECT_THROW(plain.evaluate(x, y, {.verbose = 0, .callbacks = {callbacks::SwapEMAWeights()}}), ValueError);
}

TEST_F(Loops, ModelCheckpointByBatches) {
  auto files = [&](const std::string& name, callbacks::ModelCheckpointOptions o, int per_execution) {
    start();
    Sequential model = mlp();
    CompileOptions c = sparse();
    c.steps_per_execution = per_execution;
    model.compile(c);
    std::string pattern = o.save_best_only ? "{epoch:02d}.keras" : "{epoch:02d}-{batch}.keras";
    expect_recorded("checkpoint_" + name, model, model.fit(x, y, {.batch_size = 10, .epochs = 3, .verbose = 0, .callbacks = {callbacks::ModelCheckpoint(dir / name / pattern, o)}}));
    std::vector<std::string> out;
    for (const auto& e : fs::directory_iterator(dir / name)) out.push_back(e.path().filename().string());
    std::sort(out.begin(), out.end());
    EXPECT_EQ(out, strings(recorded("checkpoint_" + name).get("files"))) << name;
  };
  files("save_freq", {.save_freq = 4}, 1);
  files("save_freq_executions", {.save_freq = 4}, 3);
  files("threshold", {.monitor = "loss", .save_best_only = true, .initial_value_threshold = 1.08}, 1);
  EXPECT_THROW(callbacks::ModelCheckpoint("a.keras", {.save_freq = "sometimes"}), ValueError);
}

TEST_F(Loops, CallbackListIsUsedAsItIs) {
  auto events = std::make_shared<Events>();
  auto list = std::make_shared<callbacks::CallbackList>(std::vector<CallbackSpec>{events}, callbacks::CallbackListOptions{.add_history = true});
  Sequential model = mlp();
  model.compile(sparse());
  auto history = model.fit(x, y, {.epochs = 2, .callbacks = {list}});
  EXPECT_EQ(history, list->history());
  EXPECT_EQ(model.history(), history);
  EXPECT_EQ(history->epoch.size(), 2u);
  EXPECT_EQ(events->seen.at(1), "on_train_begin []");
}

struct Bad : callbacks::Callback {
  void on_batch_end(int64_t, Logs&) override { throw std::logic_error("mine"); }
};
TEST_F(Loops, ExceptionsOfCallbacksEndTheRun) {
  Sequential model = mlp();
  model.compile(sparse());
  auto events = std::make_shared<Events>();
  EXPECT_THROW(model.fit(x, y, {.verbose = 0, .callbacks = {events, Bad()}}), std::logic_error);
  EXPECT_EQ(events->seen.back(), "on_train_batch_end 0[accuracy,loss]");
  EXPECT_EQ(events->model(), nullptr);
  std::vector<float> bad = x.to_vector<float>();
  bad[0] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(model.fit(Tensor::from(bad, x.shape()) * 0.0, y, {.verbose = 0, .callbacks = {callbacks::TerminateOnNaN({.raise_error = true})}}), RuntimeError);
}

/// What a callback keeps are the numbers of then.
TEST_F(Loops, LogsThatAreKept) {
  Sequential model = mlp();
  model.compile(sparse("sgd"));
  std::vector<Logs> kept;
  std::vector<double> then;
  model.fit(x, y, {.batch_size = 16, .verbose = 0, .callbacks = {callbacks::LambdaCallback({.on_train_batch_end = [&](int64_t, const Logs& logs) {
    kept.push_back(logs);
    then.push_back(logs.at("loss"));
  }})}});
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].at("loss"), then[i]);
}

// ---- several outputs

struct Outputs : Loops {
  Tensors ys() const {
    std::vector<float> one;
    for (int c : y.to_vector<int>()) one.push_back(c == 1);
    return {Tensor::from(one, Shape{48, 1}), some({48, 2}, 0.4)};
  }
  void run_form(const std::string& name, const CompileOptions& form) {
    start();
    Tensor a = Input({5}, {.name = "a"}), h = Dense(6, {.activation = "relu", .name = "hidden"})(a);
    Model model(a, Tensors{Dense(1, {.activation = "sigmoid", .name = "main"})(h), Dense(2, {.name = "aux"})(h)});
    model.compile(form);
    auto history = model.fit(x, ys(), {.batch_size = 16, .epochs = 2, .verbose = 0, .validation_split = 0.25, .sample_weight = w});
    const Value& want = recorded("outputs_" + name);
    expect_recorded("outputs_" + name, model, history);
    // The list that Keras gives may name one number twice where two metrics have one name.
    Logs evaluated = model.evaluate(x, ys(), {.verbose = 0});
    if (name != "one_loss" && name != "dictionaries") expect_numbers(evaluated.values(), want.get("evaluate"), name);
    expect_logs(model.test_on_batch(x, ys(), {.sample_weight = w, .return_dict = true}), want.get("test"));
  }
};

TEST_F(Outputs, Lists) { run_form("lists", {.optimizer = "adam", .loss = {"binary_crossentropy", "mse"}, .loss_weights = {1.0, 0.5}, .metrics = {{"accuracy"}, {"mae", "mse"}}}); }
TEST_F(Outputs, OnePerOutput) { run_form("one_per_output", {.optimizer = "adam", .loss = "mse", .metrics = {"accuracy", "mae"}}); }
TEST_F(Outputs, Dictionaries) {
  run_form("dictionaries", {.optimizer = "adam",
                            .loss = {{"main", "binary_crossentropy"}, {"aux", "mse"}},
                            .loss_weights = {{"main", 2.0}, {"aux", 0.1}},
                            .metrics = {{"aux", {"mae"}}},
                            .weighted_metrics = {{"main", {"accuracy"}}, {"aux", "mae"}}});
}
TEST_F(Outputs, OneLossAndEqualMetrics) {
  run_form("one_loss", {.optimizer = "adam",
                        .loss = {{"main", nullptr}, {"aux", "mae"}},
                        .metrics = {{"main", {"accuracy"}}, {"aux", {"mse", "mse"}}},
                        .weighted_metrics = {{"accuracy"}, {"mse"}}});
}

struct Pair : Model {
  Dense one{1, {.activation = "sigmoid"}}, other{2};
  Pair() : Model("Pair") {}
  Tensors call(const Tensors& inputs, bool) override { return {one(inputs[0]), other(inputs[0])}; }
};
TEST_F(Outputs, OfAClassHaveNoNames) {
  Pair model;
  model.compile({.optimizer = "adam", .loss = {"binary_crossentropy", "mse"}, .metrics = {{"accuracy"}, {"mae"}}});
  expect_recorded("outputs_subclassed", model, model.fit(x, ys(), {.batch_size = 16, .verbose = 0}));
}

TEST_F(Outputs, FormsThatCannotBe) {
  auto message = [&](const CompileOptions& form) {
    Tensor a = Input({5}, {.name = "a"});
    Model model(a, Tensors{Dense(1, {.name = "main"})(a), Dense(2, {.name = "aux"})(a)});
    try {
      model.compile(form);
      model.fit(x, ys(), {.verbose = 0});
    } catch (const ValueError& e) {
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_THAT(message({.loss = {{"main", "mse"}}}), HasSubstr("not \"aux\""));
  EXPECT_THAT(message({.loss = {{"main", "mse"}, {"axu", "mse"}}}), HasSubstr("did you mean"));
  EXPECT_THAT(message({.loss = {"mse"}}), HasSubstr("another number of losses"));
  EXPECT_THAT(message({.loss = "mse", .loss_weights = {1.0, 0.5}}), HasSubstr("`loss_weights` must match the number of losses"));
  EXPECT_THAT(message({.loss = "mse", .metrics = {{"mian", {"mae"}}}}), HasSubstr("mian"));
  EXPECT_THAT(message({.loss = "mse", .metrics = {"mae", "mse", "mae"}}), HasSubstr("one entry per output"));
}

// ---- steps of one's own, as Keras' guide "customizing fit" writes them

struct OwnLoss : Model {
  using Model::Model;
  Tensor compute_loss(const Arrays& x, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight, bool training) override {
    return Model::compute_loss(x, y, y_pred, sample_weight, training) + 0.1 * ops::mean(ops::abs(y_pred.tensor()));
  }
};
struct OwnMetrics : Model {
  using Model::Model;
  StepLogs compute_metrics(const Arrays& x, const Arrays& y, const Arrays& y_pred, const Arrays& sample_weight) override {
    StepLogs results = Model::compute_metrics(x, y, y_pred, sample_weight);
    results.emplace_back("largest", ops::max(y_pred.tensor()));
    return results;
  }
};
struct OwnStep : Model {
  using Model::Model;
  StepLogs train_step(const Batch& batch) override {
    const auto& [x, y, sample_weight] = batch;
    GradientTape tape;
    Tensor y_pred = (*this)(x, {.training = true});
    Tensor loss = ops::mean(ops::square(y_pred - y.tensor())) * 2.0;
    optimizer().apply(tape.gradient(loss, trainable_variables()), trainable_variables());
    return {{"doubled", loss}, {"mean", ops::mean(y_pred)}};
  }
  StepLogs test_step(const Batch& batch) override {
    Tensor y_pred = (*this)(batch.x, {.training = false});
    return {{"worst", ops::max(ops::abs(batch.y.tensor() - y_pred))}};
  }
};
/// The whole default, written out.
struct SameStep : Model {
  using Model::Model;
  StepLogs train_step(const Batch& batch) override {
    const auto& [x, y, sample_weight] = batch;
    GradientTape tape;
    auto y_pred = (*this)(x, {.training = true});
    Tensor loss = compute_loss(x, y, y_pred, sample_weight);
    metrics()[0]->update_state(loss, Tensor::full({}, static_cast<double>(x[0].shape()[0])));
    optimizer().apply(tape.gradient(loss, trainable_variables()), trainable_variables());
    return compute_metrics(x, y, y_pred, sample_weight);
  }
};

struct Own : Loops {
  Tensor t = some({48, 1}, 0.3);
  template <class M> static M graph() {
    Tensor in = Input({5});
    return M(in, Dense(1)(layers::Dropout(0.2)(Dense(8, {.activation = "tanh"})(in))));
  }
  template <class M> void run_own(const std::string& name, bool eagerly = false) {
    start();
    M model = graph<M>();
    model.compile({.optimizer = "adam", .loss = "mse", .metrics = {"mae"}, .run_eagerly = eagerly});
    auto events = std::make_shared<Events>();
    auto history = model.fit(x, t, {.batch_size = 16, .epochs = 2, .verbose = 0, .callbacks = {events}, .validation_split = 0.25});
    expect_recorded("own_" + name, model, history);
    EXPECT_EQ(events->seen, strings(recorded("own_" + name).get("events")));
    expect_logs(model.evaluate(x, t, {.verbose = 0, .return_dict = true}), recorded("own_" + name).get("evaluate"));
  }
};

TEST_F(Own, Defaults) {
  run_own<Model>("Model");
  run_own<SameStep>("Model");
}
TEST_F(Own, ComputeLoss) { run_own<OwnLoss>("OwnLoss"); }
TEST_F(Own, ComputeMetrics) { run_own<OwnMetrics>("OwnMetrics"); }
TEST_F(Own, Steps) { run_own<OwnStep>("OwnStep"); }
TEST_F(Own, Eagerly) {
  run_own<OwnStep>("OwnStep", true);
  run_own<OwnMetrics>("OwnMetrics", true);
  run_own<Model>("Model", true);
}

/// Another handle on the model trains with the object's steps, as long as that lives.
TEST_F(Own, ThroughAnotherHandle) {
  start();
  OwnStep object = graph<OwnStep>();
  object.compile({.optimizer = "adam", .loss = "mse", .metrics = {"mae"}});
  Model handle = object;
  auto history = handle.fit(x, t, {.batch_size = 16, .epochs = 2, .verbose = 0, .validation_split = 0.25});
  expect_recorded("own_OwnStep", object, history);
}

/// Metrics of one's own, which nobody compiled.
struct Tracked : Model {
  Dense first{8, {.activation = "tanh"}}, last{1};
  metrics::Mean loss_tracker = track(metrics::Mean({.name = "loss"}));
  metrics::MeanAbsoluteError mae = track(metrics::MeanAbsoluteError({.name = "mae"}));
  Tracked() : Model("Tracked") {}
  Tensor call(const Tensor& inputs) override { return last(first(inputs)); }
  StepLogs train_step(const Batch& batch) override {
    const auto& [x, y, sample_weight] = batch;
    GradientTape tape;
    Tensor y_pred = (*this)(x, {.training = true});
    Tensor loss = ops::mean(ops::square(y_pred - y.tensor()));
    optimizer().apply(tape.gradient(loss, trainable_variables()), trainable_variables());
    loss_tracker.update_state(loss);
    mae.update_state(y.tensor(), y_pred);
    return {{"loss", loss_tracker.result()}, {"mae", mae.result()}};
  }
  Tensors predict_step(const Batch& batch) override { return {(*this)(batch.x) * 10.0}; }
};

TEST_F(Own, MetricsArePerEpochAndPredictionsTheStep) {
  auto losses = [&](auto&& model, CompileOptions c) {
    model.compile(c);
    return (*model.fit(x, t, {.batch_size = 16, .epochs = 3, .verbose = 0, .shuffle = false}))["loss"];
  };
  start();
  Tracked own;
  std::vector<double> mine = losses(own, {.optimizer = "sgd"});
  EXPECT_EQ(own.history()->history.size(), 2u);
  start();
  Sequential same({Input({5}), Dense(8, {.activation = "tanh"}), Dense(1)});
  std::vector<double> ours = losses(same, {.optimizer = "sgd", .loss = "mse"});
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(mine[i], ours[i], 1e-5);
  Tensor tenfold = own.predict(x, {.verbose = 0}), plain = own(x);
  for (size_t i = 0; i < 48; ++i) EXPECT_NEAR(tenfold.to_vector<float>()[i], 10 * plain.to_vector<float>()[i], 1e-4);
  std::vector<float> one = own.predict_on_batch(x).to_vector<float>();
  EXPECT_EQ(one, tenfold.to_vector<float>());
}

/// Two models, two optimizers, no call: the shape of a GAN.
struct Adversaries : Model {
  Sequential generator{{Input({3}), Dense(5)}}, judge{{Input({5}), Dense(1)}};
  std::shared_ptr<optimizers::Optimizer> of_generator = optimizers::Optimizer::get("adam"), of_judge = optimizers::Optimizer::get("adam");
  Adversaries() : Model("Adversaries") {
    Layer::track("generator", generator);
    Layer::track("judge", judge);
  }
  StepLogs train_step(const Batch& batch) override {
    Tensor real = batch.x.tensor(), noise = random::normal({real.shape()[0], 3}, {.seed = 3});
    Tensor judge_loss, generator_loss;
    {
      GradientTape tape;
      judge_loss = ops::mean(ops::square(judge(real) - 1.0)) + ops::mean(ops::square(judge(generator(noise))));
      of_judge->apply(tape.gradient(judge_loss, judge.trainable_variables()), judge.trainable_variables());
    }
    GradientTape tape;
    generator_loss = ops::mean(ops::square(judge(generator(noise)) - 1.0));
    of_generator->apply(tape.gradient(generator_loss, generator.trainable_variables()), generator.trainable_variables());
    return {{"judge", judge_loss}, {"generator", generator_loss}};
  }
};
TEST_F(Own, TwoModelsAndTwoOptimizers) {
  Adversaries model;
  model.compile();
  std::vector<float> before = model.generator.get_weights()[0].to_vector<float>();
  auto history = model.fit(x, {.batch_size = 16, .epochs = 30, .verbose = 0});
  EXPECT_EQ(history->history.size(), 2u);
  EXPECT_LT((*history)["judge"].back(), (*history)["judge"].front());
  EXPECT_NE(model.generator.get_weights()[0].to_vector<float>(), before);
}

// ---- states

TEST_F(Loops, StatefulLayers) {
  Sequential model({Input({6, 2}, {.batch_size = 4}), layers::LSTM(5, {.stateful = true}), Dense(1)});
  Tensor s = some({4, 6, 2});
  const Value& want = recorded("stateful");
  auto predict = [&](const char* name) { expect_numbers(model.predict(s, {.verbose = 0}).to_vector<double>(), want.get(name), name); };
  predict("one");
  predict("two");
  model.reset_states();
  predict("three");
  // Training goes on from where the batch before it ended.
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.0}), .loss = "mse"});
  model.reset_states();
  Tensor zeros = Tensor::full({4, 1}, 0);
  for (const char* name : {"one", "two"}) {
    double loss = 0;
    for (const Value& v : want.get(name).as_list()) loss += v.as_float() * v.as_float() / 4;
    expect_close(model.train_on_batch(s, zeros).at("loss"), loss, name);
  }
}

}  // namespace
}  // namespace keras
