// What lives here: runs of fit that are interrupted and go on: at every batch, from damaged files, with what must not have changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/normalization/batch_normalization.h>
#include <keras/layers/regularization/dropout.h>
#include <keras/layers/rnn/lstm.h>
#include <keras/models/model.h>
#include <keras/random.h>

#include "core/impl.h"
#include "io/file.h"
#include "random/mersenne_twister.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using layers::Dense;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Throws when the run has seen so many batches: what a kill is to a test in one process.
struct Interruption {};
struct Interrupter : callbacks::Callback {
  int left;
  explicit Interrupter(int batches) : left(batches) {}
  void on_train_batch_end(int64_t, Logs&) override {
    if (left-- == 0) throw Interruption();
  }
};

/// Counts what happens and keeps numbers and arrays of its own, stops after `patience` epochs without a better loss.
struct Watcher : callbacks::Callback {
  int patience = 2, wait = 0;
  double best = 1e9;
  int64_t batches = 0;
  Tensors weights;
  std::vector<std::string>* calls = nullptr;
  void on_train_begin(Logs&) override {
    wait = 0, best = 1e9, batches = 0;
    if (calls) calls->push_back("train_begin");
  }
  void on_train_end(Logs& logs) override {
    if (calls) calls->push_back("train_end " + std::to_string(logs.items().size()));
    if (!weights.empty()) model_->set_weights(weights);
  }
  void on_train_batch_end(int64_t, Logs&) override { ++batches; }
  void on_epoch_end(int, Logs& logs) override {
    if (logs.at("val_loss") < best - 1e-3) best = logs.at("val_loss"), wait = 0, weights = model_->get_weights();
    else if (++wait >= patience) model_->set_stop_training(true);
  }
  Value get_state() const override { return Dict{{"wait", wait}, {"best", best}, {"batches", batches}}; }
  void set_state(const Value& s) override { wait = static_cast<int>(s.get("wait").as_int()), best = s.get("best").as_float(), batches = s.get("batches").as_int(); }
  Tensors get_state_tensors() const override { return weights; }
  void set_state_tensors(const Tensors& t) override { weights = t; }
};

Tensor waves(const Shape& shape, double step) {
  std::vector<float> v;
  for (int64_t i = 0; i < shape.numel(); ++i) v.push_back(static_cast<float>(std::sin(step * static_cast<double>(i + 1))));
  return Tensor::from(v, shape);
}

std::vector<std::byte> bytes_of(const Tensors& tensors) {
  std::vector<std::byte> out;
  for (const Tensor& t : tensors) {
    const auto* p = static_cast<const std::byte*>(t.raw());
    out.insert(out.end(), p, p + t.nbytes());
  }
  return out;
}

/// How a run ended: everything that a later one could depend on.
struct End {
  std::vector<std::byte> variables;
  std::vector<int> epochs;
  std::vector<std::pair<std::string, std::vector<double>>> history;
  random::State random;
  int64_t batches = 0;
  bool operator==(const End& o) const {
    return variables == o.variables && epochs == o.epochs && history == o.history && random.python == o.random.python && random.numpy == o.random.numpy &&
           random.global_seed_generator == o.random.global_seed_generator && batches == o.batches;
  }
};

struct Checkpoint : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_checkpoint_" + std::to_string(::getpid()));
  Tensor x = waves({22, 4}, 0.7), y = waves({22, 2}, 0.3);
  void SetUp() override { fs::remove_all(dir); }
  void TearDown() override { fs::remove_all(dir); }

  int per_execution = 1;

  virtual Model make() {
    core::clear_names();
    utils::set_random_seed(5);
    Sequential m({Input({4}), Dense(6, {.activation = "relu", .name = "a"}), layers::Dropout(0.3, {.name = "drop"}), layers::BatchNormalization({.name = "norm"}), Dense(2, {.name = "b"})}, {.name = "net"});
    m.compile({.optimizer = optimizers::Adam({.learning_rate = 0.01, .use_ema = true, .name = "adam"}), .loss = "mse", .metrics = {"mae"}, .steps_per_execution = per_execution});
    return m;
  }
  FitOptions options{.batch_size = 4, .epochs = 3, .verbose = 0, .validation_split = 0.2};

  std::function<Data()> source;  // instead of x and y

  /// A run that is interrupted after `batches` batches (-1: never), as a process of its own would make it.
  std::optional<End> run(int batches, bool with_checkpoint = true, const std::function<void(Model&, FitOptions&)>& change = {}) {
    Model m = make();
    FitOptions o = options;
    auto watcher = std::make_shared<Watcher>();
    o.callbacks.push_back(CallbackSpec(watcher));
    o.callbacks.push_back(CallbackSpec(std::make_shared<Interrupter>(batches)));
    if (with_checkpoint) o.checkpoint = {.directory = dir, .every_batches = 1};
    if (change) change(m, o);
    std::shared_ptr<callbacks::History> h;
    try {
      h = source ? m.fit(source(), o) : m.fit(x, y, o);
    } catch (const Interruption&) {
      return std::nullopt;
    }
    End e;
    Tensors all;
    for (const Variable& v : m.variables()) all.push_back(v.value());
    for (const Variable& v : m.optimizer().variables()) all.push_back(v.value());
    e.variables = bytes_of(all);
    e.epochs = h->epoch, e.history = h->history, e.random = random::get_state(), e.batches = watcher->batches;
    return e;
  }
  static void seldom(Model&, FitOptions& o) { o.checkpoint.every_batches = 1000; }
  /// `stride` 1: interrupted after each of its batches in turn.
  void goes_on_at_every_batch(int stride = 4) {
    End whole = run(-1, false).value();
    EXPECT_EQ(run(-1), whole) << "keeping a checkpoint changes nothing";
    for (int at = 0; at < static_cast<int>(whole.batches); at += stride) {
      fs::remove_all(dir);
      EXPECT_FALSE(run(at)) << "interrupted after " << at;
      EXPECT_EQ(run(-1, true, seldom), whole) << "interrupted after " << at;
    }
    if (stride > 1) return;
    fs::remove_all(dir);
    int starts = 1;
    std::optional<End> end;
    while (!(end = run(1)) && starts < 1000) ++starts;  // one batch a time
    EXPECT_EQ(end, whole);
    EXPECT_GE(starts, static_cast<int>(whole.batches));
  }
  std::string error_of(const std::function<void(Model&, FitOptions&)>& change) {
    try {
      run(-1, true, change);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
};

TEST_F(Checkpoint, ARunGoesOnAtEveryBatchWithTheSameBits) { goes_on_at_every_batch(1); }
TEST_F(Checkpoint, AlsoWithPassesThatAreNotEpochs) {
  options.steps_per_epoch = 3;
  options.validation_split = 0;
  options.validation_data = ValidationData(x.rows(0, 6), y.rows(0, 6));
  goes_on_at_every_batch();
}
TEST_F(Checkpoint, AlsoWithoutShuffling) {
  options.shuffle = false;
  options.epochs = 2;
  goes_on_at_every_batch();
}
TEST_F(Checkpoint, AlsoShufflingWithinBatches) {
  options.shuffle = "batch";
  options.epochs = 2;
  options.initial_epoch = 1;
  goes_on_at_every_batch();
}

/// Batches of four rows, without end.
BatchGenerator endless(Tensor x, Tensor y) {
  for (int64_t i = 0;; i = (i + 4) % 20) {
    Batch batch{x.rows(i, i + 4), y.rows(i, i + 4)};
    co_yield batch;
  }
}
TEST_F(Checkpoint, AGeneratorIsAskedAgainForWhatWasUsed) {
  options = {.epochs = 3, .verbose = 0, .validation_data = {x.rows(0, 6), y.rows(0, 6)}, .steps_per_epoch = 4};
  source = [this] { return Data(endless(x, y)); };
  goes_on_at_every_batch();
}
struct Quarters : utils::PyDataset {
  Tensor x, y;
  Quarters(Tensor x, Tensor y) : x(std::move(x)), y(std::move(y)) {}
  std::optional<int64_t> num_batches() const override { return 5; }
  Batch get_item(int64_t i) override { return {x.rows(4 * i, 4 * i + 4), y.rows(4 * i, 4 * i + 4)}; }
};
TEST_F(Checkpoint, ADatasetGoesOnInItsShuffledOrder) {
  options = {.epochs = 3, .verbose = 0, .validation_data = {x.rows(0, 6), y.rows(0, 6)}, .shuffle = true};
  Quarters quarters(x, y);
  source = [&] { return Data(quarters); };
  goes_on_at_every_batch();
}
TEST_F(Checkpoint, AlsoWithSeveralBatchesInOneExecution) {
  per_execution = 2;
  goes_on_at_every_batch();
}

struct StatefulCheckpoint : Checkpoint {
  StatefulCheckpoint() {
    x = waves({20, 3, 2}, 0.7), y = waves({20, 1}, 0.3);
    options.batch_size = 4;
  }
  Model make() override {
    core::clear_names();
    utils::set_random_seed(6);
    Sequential m({Input({3, 2}, {.batch_size = 4}), layers::LSTM(3, {.dropout = 0.2, .stateful = true, .name = "lstm"}), Dense(1, {.name = "out"})}, {.name = "states"});
    m.compile({.optimizer = optimizers::RMSprop({.learning_rate = 0.01, .name = "rmsprop"}), .loss = "mae"});
    return m;
  }
};
TEST_F(StatefulCheckpoint, StatesOfRecurrentLayersGoOn) { goes_on_at_every_batch(); }

TEST_F(Checkpoint, AFinishedRunEndsAtOnce) {
  std::vector<std::string> calls;
  auto record = [&](Model&, FitOptions& o) { dynamic_cast<Watcher&>(*o.callbacks[0].get()).calls = &calls; };
  std::optional<End> first = run(-1, true, record);
  EXPECT_EQ(calls.size(), 2u);
  EXPECT_EQ(run(0, true, record), first) << "no batch is run";
  EXPECT_EQ(calls.size(), 2u) << "no hook is called";
}

TEST_F(Checkpoint, OtherSettingsAreNamed) {
  run(7);
  auto message = error_of([](Model& m, FitOptions&) { m.compile({.optimizer = optimizers::Adam({.learning_rate = 0.02, .use_ema = true, .name = "adam"}), .loss = "mse", .metrics = {"mae"}}); });
  EXPECT_THAT(message, AllOf(HasSubstr("compile.optimizer.config.learning_rate"), HasSubstr("0.0099"), HasSubstr("0.0199")));
  EXPECT_THAT(error_of([](Model&, FitOptions& o) { o.batch_size = 5; }), AllOf(HasSubstr("fit.batch_size"), HasSubstr("4"), HasSubstr("5")));
  EXPECT_THAT(error_of([](Model&, FitOptions& o) { o.callbacks.pop_back(); }), HasSubstr("callbacks"));
  EXPECT_THAT(error_of([](Model&, FitOptions& o) { o.checkpoint.settings = "another seed"; }), HasSubstr("another seed"));
  EXPECT_THAT(error_of([](Model& m, FitOptions&) {
                m = Sequential({Input({4}), Dense(7, {.name = "a"}), Dense(2, {.name = "b"})}, {.name = "net"});
                m.compile({.loss = "mse"});
              }),
              HasSubstr("model.config.layers"));
  x = waves({22, 4}, 0.71);
  EXPECT_THAT(error_of({}), AllOf(HasSubstr("data[0].checksum"), HasSubstr("another folder")));
}

TEST_F(Checkpoint, BadOptionsAreErrors) {
  EXPECT_THAT(error_of([](Model&, FitOptions& o) { o.checkpoint.every_batches = 0; }), HasSubstr("every_batches"));
  EXPECT_THAT(error_of([](Model&, FitOptions& o) { o.checkpoint.every_seconds = -1; }), HasSubstr("every_seconds"));
  io::write_file_atomic(dir.string(), "a file");
  EXPECT_THAT(error_of({}), HasSubstr("can't be made"));
  fs::remove(dir);
}

TEST_F(Checkpoint, TheOneBeforeTakesThePlaceOfADamagedOne) {
  std::optional<End> whole = run(-1, false);
  run(9);
  std::string newest = dir / "checkpoint-0.npz", other = dir / "checkpoint-1.npz";
  // Nine batches after the one at the start: the file of the ninth is number 9.
  std::swap(newest, other);
  ASSERT_GE(fs::last_write_time(newest), fs::last_write_time(other));
  io::Bytes good = io::read_file(newest), before = io::read_file(other);
  auto restore = [&] {
    io::write_file_atomic(newest, good);
    io::write_file_atomic(other, before);
  };
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, good.size() / 2, good.size() - 1}) {
    restore();
    io::write_file_atomic(newest, std::span(good).first(size));
    EXPECT_EQ(run(-1, true, seldom), whole) << "cut to " << size;
  }
  for (size_t at = 0; at < good.size(); at += 1 + good.size() / 23) {
    restore();
    io::Bytes flipped = good;
    flipped[at] ^= std::byte{0x10};
    io::write_file_atomic(newest, flipped);
    EXPECT_EQ(run(-1, true, seldom), whole) << "flipped at " << at;
  }
  restore();
  fs::remove(newest);
  EXPECT_EQ(run(-1, true, seldom), whole);
  restore();
  io::write_file_atomic(newest, "nothing");
  io::write_file_atomic(other, "nothing");
  EXPECT_THAT(error_of({}), AllOf(HasSubstr("no checkpoint in the folder can be read"), HasSubstr("start again")));
}

TEST_F(Checkpoint, LeftoversOfAKillGo) {
  run(3);
  std::string half = dir / "checkpoint-0.npz.tmp123_4";
  io::write_file_atomic(half, "half a file");
  EXPECT_TRUE(run(-1));
  EXPECT_FALSE(fs::exists(half));
}

TEST_F(Checkpoint, TwoRunsCannotShareAFolder) {
  struct Second : callbacks::Callback {
    std::function<void()> then;
    void on_epoch_end(int epoch, Logs&) override {
      if (epoch == 0) then();
    }
  };
  std::string message;
  auto second = std::make_shared<Second>();
  second->then = [&] { message = error_of({}); };
  run(-1, true, [&](Model&, FitOptions& o) { o.callbacks.push_back(CallbackSpec(second)); });
  EXPECT_THAT(message, HasSubstr("another run trains with this checkpoint"));
}

}  // namespace
}  // namespace keras
