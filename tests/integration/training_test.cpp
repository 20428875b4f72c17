// What lives here: small trainings through every option of compile and fit, against the numbers of Python's Keras (recorded/training.py does
// the same and wrote recorded/training.json), and the callbacks around them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include <keras/keras.h>

#include "io/file.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using layers::Dense;
using ::testing::ElementsAre;

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
Tensor column(const Tensor& t) { return Tensor::from(t.to_vector<float>(), Shape{t.numel(), 1}); }

const Value& recorded(const std::string& name) {
  static const Value all = [] {
    std::string path = KERAS_SOURCE_DIR "/tests/integration/recorded/training.json";
    return utils::parse_json(io::read_text_file(path));
  }();
  const Value& v = all.get(name);
  if (v.is_null()) throw std::runtime_error("nothing is recorded as " + name);
  return v;
}

/// A few steps amplify the last bits; nothing but rounding may differ.
void expect_close(double got, double want, const std::string& what) { EXPECT_NEAR(got, want, 2e-5 + 1e-4 * std::abs(want)) << what; }

void expect_logs(const Logs& logs, const Value& want) {
  EXPECT_EQ(logs.items().size(), want.as_dict().size());
  for (const auto& [name, value] : want.as_dict()) {
    ASSERT_TRUE(logs.contains(name)) << name;
    expect_close(logs.at(name), value.as_float(), name);
  }
}
void expect_weights(const Model& model, const Value& want) {
  std::vector<Variable> weights = model.weights();
  ASSERT_EQ(weights.size(), want.as_dict().size());
  size_t i = 0;
  for (const auto& [path, numbers] : want.as_dict()) {
    const Variable& v = weights[i++];
    EXPECT_EQ(v.path(), path);
    std::vector<double> got = v.value().to_vector<double>();
    for (size_t k = 0; k < numbers.as_list().size(); ++k) expect_close(got.at(k), numbers.as_list()[k].as_float(), path);
  }
}
/// History and weights are what Keras recorded.
void expect_recorded(const std::string& name, const Model& model, const std::shared_ptr<callbacks::History>& history) {
  SCOPED_TRACE(name);
  const Value& want = recorded(name);
  std::vector<std::string> names, want_names;
  for (const auto& [n, values] : history->history) names.push_back(n);
  for (const auto& [n, values] : want.get("history").as_dict()) want_names.push_back(n);
  EXPECT_EQ(names, want_names);
  std::vector<int64_t> epochs(history->epoch.begin(), history->epoch.end());
  EXPECT_EQ(epochs, want.get("epoch").as_ints());
  for (const auto& [n, values] : want.get("history").as_dict()) {
    if (!history->contains(n)) continue;
    const std::vector<double>& got = (*history)[n];
    ASSERT_EQ(got.size(), values.as_list().size()) << n;
    for (size_t i = 0; i < got.size(); ++i) expect_close(got[i], values.as_list()[i].as_float(), n + ", entry " + std::to_string(i));
  }
  expect_weights(model, want.get("weights"));
}

struct Training : ::testing::Test {
  Tensor x = some({48, 5}), y = classes(48, 3), w;
  fs::path dir = fs::temp_directory_path() / ("keras_training_" + std::to_string(::getpid()));
  void SetUp() override {
    std::vector<float> v;
    for (int i = 0; i < 48; ++i) v.push_back(static_cast<float>(i % 4 + 1) / 2);
    w = Tensor::from(v, Shape{48});
    fs::create_directories(dir);
    start();
  }
  void TearDown() override { fs::remove_all(dir); }
  static void start() {
    utils::clear_session();
    utils::set_random_seed(5);
  }
  static Sequential mlp(layers::DenseOptions options = {}) {
    options.activation = "tanh";
    return Sequential({Input({5}), Dense(8, options), Dense(3, {.activation = "softmax"})});
  }
  static CompileOptions sparse(OptimizerSpec optimizer) { return {.optimizer = optimizer, .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}}; }
  static Model two_by_two() {
    Tensor a = Input({4}, {.name = "a"}), b = Input({3}, {.name = "b"});
    Tensor left = Dense(6, {.activation = "relu", .name = "left"})(a), right = Dense(6, {.activation = "relu", .name = "right"})(b);
    Tensor both = layers::Concatenate({.name = "both"})({left, right});
    Tensor main = Dense(1, {.activation = "sigmoid", .name = "main"})(both);
    Tensor aux = Dense(2, {.name = "aux"})(layers::Add({.name = "sum"})({left, right}));
    return Model(Tensors{a, b}, Tensors{main, aux});
  }
};

TEST_F(Training, SeveralInputsOutputsLossesAndMetricsByName) {
  Model model = two_by_two();
  model.compile({.optimizer = "adam",
                 .loss = {{"main", "binary_crossentropy"}, {"aux", "mse"}},
                 .loss_weights = {{"main", 1.0}, {"aux", 0.3}},
                 .metrics = std::vector<std::pair<std::string, MetricList>>{{"main", "accuracy"}, {"aux", "mae"}}});
  Arrays xs = {{"a", some({40, 4})}, {"b", some({40, 3}, 1.3)}};
  Arrays ys = {{"main", column(classes(40, 2).astype(DType::Float32))}, {"aux", some({40, 2}, 0.4)}};
  auto history = model.fit(xs, ys, {.batch_size = 8, .epochs = 3, .verbose = 0, .validation_split = 0.25});
  expect_recorded("several_by_name", model, history);
  expect_logs(model.evaluate(xs, ys, {.verbose = 0}), recorded("several_by_name").get("evaluate"));
}

TEST_F(Training, SeveralInputsAndOutputsInOrder) {
  Model model = two_by_two();
  model.compile({.optimizer = "sgd", .loss = std::vector<LossSpec>{"mse", "mae"}, .loss_weights = std::vector<double>{0.5, 2.0}});
  auto history = model.fit(Tensors{some({40, 4}), some({40, 3}, 1.3)}, Tensors{column(classes(40, 2).astype(DType::Float32)), some({40, 2}, 0.4)},
                           {.batch_size = 16, .epochs = 2, .verbose = 0});
  expect_recorded("several_by_order", model, history);
}

TEST_F(Training, SampleWeight) {
  Sequential model = mlp();
  model.compile({.optimizer = "rmsprop", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}, .weighted_metrics = {"accuracy"}});
  expect_recorded("sample_weight", model, model.fit(x, y, {.batch_size = 16, .epochs = 3, .verbose = 0, .validation_split = 0.25, .sample_weight = w}));
}

TEST_F(Training, ClassWeight) {
  Sequential model = mlp();
  model.compile(sparse("sgd"));
  expect_recorded("class_weight", model, model.fit(x, y, {.batch_size = 16, .epochs = 3, .verbose = 0, .class_weight = {{0, 0.5}, {1, 2.0}, {2, 1.5}}}));
}

TEST_F(Training, ValidationDataWithWeightsEverySecondEpoch) {
  Sequential model = mlp();
  model.compile(sparse("adam"));
  auto history = model.fit(x.rows(0, 32), y.rows(0, 32), {.batch_size = 16, .epochs = 4, .verbose = 0, .validation_data = {x.rows(32, 48), y.rows(32, 48), w.rows(32, 48)}, .validation_freq = 2});
  expect_recorded("validation_data", model, history);
}

TEST_F(Training, RegularizersAndConstraints) {
  Sequential model = mlp({.kernel_regularizer = regularizers::l1_l2(0.01, 0.02),
                          .bias_regularizer = "l2",
                          .activity_regularizer = regularizers::L2(0.05),
                          .kernel_constraint = constraints::MaxNorm({.max_value = 0.8}),
                          .bias_constraint = "non_neg"});
  model.compile(sparse(optimizers::SGD({.learning_rate = 0.5})));
  expect_recorded("regularizers_constraints", model, model.fit(x, y, {.batch_size = 16, .epochs = 3, .verbose = 0}));
}

TEST_F(Training, FrozenLayersStayAndMoveAgain) {
  Sequential model = mlp();
  model.layers()[0].set_trainable(false);
  std::vector<double> before = model.get_weights()[0].to_vector<double>();
  model.compile(sparse("adam"));
  expect_recorded("frozen", model, model.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0}));
  // Weights of a frozen layer come last.
  EXPECT_EQ(model.layers()[0].get_weights()[0].to_vector<double>(), before);
  model.layers()[0].set_trainable(true);
  model.compile(sparse("adam"));
  expect_recorded("unfrozen", model, model.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0}));
}

TEST_F(Training, InitialEpochWithoutShuffling) {
  Sequential model = mlp();
  model.compile(sparse("adam"));
  expect_recorded("initial_epoch", model, model.fit(x, y, {.batch_size = 16, .epochs = 5, .verbose = 0, .shuffle = false, .initial_epoch = 3}));
}

TEST_F(Training, StepsPerEpoch) {
  Sequential model = mlp();
  model.compile(sparse("adam"));
  expect_recorded("steps_per_epoch", model, model.fit(x, y, {.batch_size = 10, .epochs = 2, .verbose = 0, .steps_per_epoch = 2}));
}

TEST_F(Training, ShuffledBatches) {
  Sequential model = mlp();
  model.compile(sparse("adam"));
  expect_recorded("shuffle_batch", model, model.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0, .shuffle = "batch"}));
}

TEST_F(Training, EarlyStoppingBringsBackTheBestWeights) {
  Sequential model = mlp();
  model.compile(sparse(optimizers::Adam({.learning_rate = 0.3})));
  auto stop = std::make_shared<callbacks::EarlyStopping>(callbacks::EarlyStoppingOptions{.monitor = "val_loss", .patience = 1, .restore_best_weights = true});
  auto history = model.fit(x, y, {.batch_size = 16, .epochs = 20, .verbose = 0, .callbacks = {stop}, .validation_split = 0.25});
  expect_recorded("early_stopping", model, history);
  EXPECT_EQ(stop->stopped_epoch(), recorded("early_stopping").get("stopped").as_int());
}

TEST_F(Training, LearningRateFallsOnAPlateau) {
  Sequential model = mlp();
  model.compile(sparse(optimizers::SGD({.learning_rate = 0.4})));
  auto history = model.fit(x, y, {.batch_size = 16, .epochs = 8, .verbose = 0, .callbacks = {callbacks::ReduceLROnPlateau({.factor = 0.5, .patience = 1, .min_lr = 0.03})}, .validation_split = 0.25});
  expect_recorded("reduce_lr", model, history);
}

TEST_F(Training, LearningRateByEpoch) {
  Sequential model = mlp();
  model.compile(sparse(optimizers::SGD({.learning_rate = 0.4})));
  auto history = model.fit(x, y, {.batch_size = 16, .epochs = 4, .verbose = 0, .callbacks = {callbacks::LearningRateScheduler([](int epoch, double rate) { return epoch ? rate * 0.5 : rate; })}});
  expect_recorded("lr_scheduler", model, history);
}

TEST_F(Training, BatchByBatchWithAScheduleAndClipping) {
  Sequential model = mlp();
  model.compile(sparse(optimizers::AdamW({.learning_rate = optimizers::schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 4, .decay_rate = 0.5}), .weight_decay = 0.02, .clipnorm = 0.5})));
  const Value& want = recorded("on_batch");
  for (int64_t i = 0; i < 4; ++i) {
    BatchOptions o;
    if (i == 2) o.class_weight = {{0, 2.0}, {1, 1.0}, {2, 0.5}};
    SCOPED_TRACE("batch " + std::to_string(i));
    expect_logs(model.train_on_batch(x.rows(i * 12, i * 12 + 12), y.rows(i * 12, i * 12 + 12), o), want.get("batches").as_list()[static_cast<size_t>(i)]);
  }
  expect_logs(model.test_on_batch(x, y, {.sample_weight = w}), want.get("test"));
  expect_weights(model, want.get("weights"));
}

struct Scale : Layer {
  Variable scale;
  Scale() : Layer("Scale") {}
  void build(const Shape& shape) override { scale = add_weight({.name = "scale", .shape = Shape{shape.back()}, .initializer = "ones"}); }
  Tensor call(const Tensor& inputs) override {
    add_loss(0.1 * ops::mean(ops::square(inputs)));
    return inputs * scale;
  }
};

struct Net : Model {
  Dense first{8, {.activation = "tanh"}};
  Scale scale;
  layers::Dropout drop{0.25};
  Dense last{3, {.activation = "softmax"}};
  Net() : Model("Net") {}
  Tensor call(const Tensor& inputs) override { return last(drop(scale(first(inputs)))); }
};

TEST_F(Training, SubclassedModelAndLayerWithALossOfItsOwn) {
  Net model;
  model.compile(sparse("adam"));
  expect_recorded("subclassed", model, model.fit(x, y, {.batch_size = 16, .epochs = 3, .verbose = 0, .validation_split = 0.25}));
}

TEST_F(Training, ANestedModelUsedTwice) {
  Sequential tower({Input({5}), Dense(6, {.activation = "relu"}), layers::BatchNormalization()}, {.name = "tower"});
  Tensor left = Input({5}, {.name = "left"}), right = Input({5}, {.name = "right"});
  Tensor distance = layers::Subtract({.name = "distance"})({tower(left), tower(right)});
  Model model(Tensors{left, right}, Dense(1, {.activation = "sigmoid", .name = "same"})(distance));
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.2, .momentum = 0.9}), .loss = "binary_crossentropy"});
  std::vector<float> same;
  for (int c : y.to_vector<int>()) same.push_back(c == 1);
  auto history = model.fit(Tensors{x, some({48, 5}, 0.9)}, Tensor::from(same, Shape{48, 1}), {.batch_size = 16, .epochs = 3, .verbose = 0});
  expect_recorded("nested_shared", model, history);
}

// ---- classes of one's own in compile, against the built-in ones

struct SquaredError : losses::Loss {
  Tensor call(const Tensor& y_true, const Tensor& y_pred) override { return ops::mean(ops::square(y_true - y_pred), -1); }
};
struct MaxError : metrics::Metric {
  Variable worst = add_variable({}, 0.0, "worst");
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor&) override { worst.assign(ops::maximum(worst, ops::max(ops::abs(y_true - y_pred)))); }
  Tensor result() override { return worst; }
};

TEST_F(Training, OwnLossAndMetric) {
  auto run = [&](LossSpec loss) {
    start();
    Sequential model({Input({5}), Dense(2)});
    model.compile({.optimizer = "sgd", .loss = loss, .metrics = {MaxError()}});
    Tensor target = some({48, 2}, 0.3);
    auto history = model.fit(x, target, {.batch_size = 48, .epochs = 2, .verbose = 0});
    // The metric of an epoch of one batch is that of the weights before it: take the second epoch's from the model after the first.
    double worst = 0;
    std::vector<double> p = model.predict(x).to_vector<double>(), t = target.to_vector<double>();
    for (size_t i = 0; i < p.size(); ++i) worst = std::max(worst, std::abs(p[i] - t[i]));
    EXPECT_NEAR(model.evaluate(x, target, {.verbose = 0}).at("max_error"), worst, 1e-6);
    EXPECT_TRUE(history->contains("max_error"));
    return (*history)["loss"];
  };
  std::vector<double> own = run(SquaredError()), builtin = run("mse");
  ASSERT_EQ(own.size(), builtin.size());
  for (size_t i = 0; i < own.size(); ++i) EXPECT_NEAR(own[i], builtin[i], 1e-6);
}

struct Watcher : callbacks::Callback {
  std::vector<std::string> seen;
  double last_batch_loss = 0;
  void on_train_begin(Logs&) override { seen.push_back("begin"); }
  void on_epoch_begin(int epoch, Logs&) override { seen.push_back("epoch " + std::to_string(epoch)); }
  void on_train_batch_end(int64_t batch, Logs& logs) override {
    seen.push_back("batch " + std::to_string(batch));
    last_batch_loss = logs.at("loss");
  }
  void on_epoch_end(int, Logs& logs) override {
    // The running mean after the last batch is the epoch's loss.
    EXPECT_DOUBLE_EQ(logs.at("loss"), last_batch_loss);
    logs.set("mine", 7);
    if (seen.size() > 4) model()->set_stop_training(true);
  }
  void on_train_end(Logs&) override { seen.push_back("end"); }
};

TEST_F(Training, OwnCallbackSeesAndStops) {
  Sequential model = mlp();
  model.compile(sparse("sgd"));
  auto watcher = std::make_shared<Watcher>();
  auto history = model.fit(x, y, {.batch_size = 24, .epochs = 9, .verbose = 0, .callbacks = {watcher}});
  EXPECT_THAT(watcher->seen, ElementsAre("begin", "epoch 0", "batch 0", "batch 1", "epoch 1", "batch 0", "batch 1", "end"));
  EXPECT_EQ(watcher->params().steps, 2);
  EXPECT_EQ((*history)["mine"], (std::vector<double>{7, 7}));
}

TEST_F(Training, LambdaCallback) {
  Sequential model = mlp();
  model.compile(sparse("sgd"));
  int epochs = 0, batches = 0;
  double loss = 0;
  auto history = model.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0, .callbacks = {callbacks::LambdaCallback({
                                      .on_epoch_end = [&](int, const Logs& logs) { ++epochs, loss = logs.at("loss"); },
                                      .on_train_batch_end = [&](int64_t, const Logs&) { ++batches; },
                                  })}});
  EXPECT_EQ(epochs, 2);
  EXPECT_EQ(batches, 6);
  EXPECT_EQ(loss, (*history)["loss"].back());
}

TEST_F(Training, CheckpointsAndCsv) {
  Sequential model = mlp();
  model.compile(sparse(optimizers::Adam({.learning_rate = 0.01})));
  auto history = model.fit(x, y, {.batch_size = 16, .epochs = 3, .verbose = 0, .callbacks = {
      callbacks::ModelCheckpoint(dir / "at-{epoch:02d}-{loss:.2f}.keras"),
      callbacks::ModelCheckpoint(dir / "best.weights.h5", {.monitor = "loss", .save_best_only = true, .save_weights_only = true}),
      callbacks::CSVLogger(dir / "log.csv")}});
  for (int epoch = 1; epoch <= 3; ++epoch) {
    char name[64];
    std::snprintf(name, sizeof name, "at-%02d-%.2f.keras", epoch, (*history)["loss"][static_cast<size_t>(epoch - 1)]);
    EXPECT_TRUE(fs::exists(dir / name)) << name;
    if (epoch < 3) continue;
    EXPECT_EQ(models::load_model(dir / name).predict(x).to_vector<float>(), model.predict(x).to_vector<float>());
  }
  EXPECT_TRUE(fs::exists(dir / "best.weights.h5"));
  // Without validation Keras leaves columns for it, as a later epoch might have one.
  std::string csv = io::read_text_file(dir / "log.csv"), want = "epoch,accuracy,loss,val_accuracy,val_loss\n";
  csv.erase(std::remove(csv.begin(), csv.end(), '\r'), csv.end());
  for (size_t i = 0; i < 3; ++i) want += std::to_string(i) + "," + float_repr((*history)["accuracy"][i]) + "," + float_repr((*history)["loss"][i]) + ",NA,NA\n";
  EXPECT_EQ(csv, want);
}

TEST_F(Training, TerminateOnNaN) {
  Sequential model = mlp();
  model.compile(sparse("sgd"));
  std::vector<float> bad = x.to_vector<float>();
  bad[7] = std::numeric_limits<float>::quiet_NaN();
  int batches = 0;
  auto history = model.fit(Tensor::from(bad, x.shape()), y, {.batch_size = 16, .epochs = 3, .verbose = 0, .callbacks = {callbacks::TerminateOnNaN(), callbacks::LambdaCallback({.on_train_batch_end = [&](int64_t, const Logs&) { ++batches; }})}, .shuffle = false});
  EXPECT_EQ(batches, 1);
  EXPECT_EQ(history->epoch.size(), 1u);
  EXPECT_TRUE(std::isnan((*history)["loss"].back()));
}

TEST_F(Training, AResultIsTheSameTwiceAndForAnyNumberOfThreads) {
  auto run = [&] {
    start();
    Net model;
    model.compile(sparse("adam"));
    model.fit(x, y, {.batch_size = 7, .epochs = 2, .verbose = 0});
    return model.predict(x).to_vector<float>();
  };
  int threads = num_threads();
  std::vector<float> first = run();
  EXPECT_EQ(run(), first);
  set_num_threads(1);
  EXPECT_EQ(run(), first);
  set_num_threads(3);
  EXPECT_EQ(run(), first);
  set_num_threads(threads);
}

}  // namespace
}  // namespace keras
