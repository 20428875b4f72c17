// What lives here: BackupAndRestore against what Keras 3.15 does: epochs, losses after the restart, files.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include <keras/callbacks.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/regularization/dropout.h>
#include <keras/random.h>

#include "io/file.h"

namespace keras {
namespace {

namespace fs = std::filesystem;

struct Interruption {};
/// Throws once: at the beginning of an epoch, or after a batch of it.
struct InterruptOnce : callbacks::Callback {
  int at_epoch, now = 0;
  int64_t at_batch;
  bool done = false;
  InterruptOnce(int e, int64_t b) : at_epoch(e), at_batch(b) {}
  void on_epoch_begin(int e, Logs&) override {
    now = e;
    if (at_batch < 0) maybe(e == at_epoch);
  }
  void on_train_batch_end(int64_t b, Logs&) override { maybe(now == at_epoch && b == at_batch); }
  void maybe(bool here) {
    if (!here || done) return;
    done = true;
    throw Interruption();
  }
};

Tensor waves(const Shape& shape, double step) {
  std::vector<float> v;
  for (int64_t i = 0; i < shape.numel(); ++i) v.push_back(static_cast<float>(std::sin(step * static_cast<double>(i + 1))));
  return Tensor::from(v, shape);
}

struct Backup : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_backup_" + std::to_string(::getpid()));
  Tensor x = waves({22, 4}, 0.7), y = waves({22, 2}, 0.3);
  std::vector<std::string> files;
  std::string metadata;
  int64_t iterations = 0;
  void SetUp() override { fs::remove_all(dir); }
  void TearDown() override { fs::remove_all(dir); }

  /// Trains, is interrupted, and trains again; what the second run's history says.
  std::shared_ptr<callbacks::History> interrupted(const callbacks::BackupAndRestoreOptions& options, int epoch, int64_t batch = -1, bool damage = false) {
    utils::set_random_seed(5);
    Sequential m({Input({4}), layers::Dense(6, {.activation = "relu", .name = "a"}), layers::Dropout(0.3, {.name = "drop"}), layers::Dense(2, {.name = "b"})}, {.name = "net"});
    m.compile({.optimizer = optimizers::Adam({.learning_rate = 0.01}), .loss = "mse", .metrics = {"mae"}});
    auto backup = std::make_shared<callbacks::BackupAndRestore>(dir.string(), options);
    FitOptions o{.batch_size = 4, .epochs = 5, .verbose = 0, .callbacks = {CallbackSpec(backup), CallbackSpec(std::make_shared<InterruptOnce>(epoch, batch))}};
    EXPECT_THROW(m.fit(x, y, o), Interruption);
    files.clear();
    metadata.clear();
    if (fs::exists(dir)) {
      for (const auto& e : fs::directory_iterator(dir)) files.push_back(e.path().filename().string());
      metadata = io::read_text_file((dir / "training_metadata.json").string());
    }
    std::sort(files.begin(), files.end());
    if (damage) io::write_file_atomic((dir / "latest.weights.h5").string(), "nothing");
    o.callbacks.pop_back();
    auto h = m.fit(x, y, o);
    iterations = static_cast<int64_t>(m.optimizer().iterations().value().item());
    return h;
  }
  static void expect_losses(const callbacks::History& h, const std::vector<double>& losses) {
    const std::vector<double>& got = h["loss"];
    ASSERT_EQ(got.size(), losses.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], losses[i], 2e-6) << i;
  }
};
using Names = std::vector<std::string>;
using Epochs = std::vector<int>;

TEST_F(Backup, GoesOnAtTheEpochThatWasNotWhole) {
  auto h = interrupted({}, 3);
  EXPECT_EQ(files, (Names{"latest.weights.h5", "training_metadata.json"}));
  EXPECT_EQ(metadata, R"({"epoch": 3, "batch": 0})");
  EXPECT_EQ(h->epoch, (Epochs{3, 4}));
  expect_losses(*h, {0.4331173598766327, 0.3536874055862427});
  EXPECT_EQ(iterations, 30);
  EXPECT_FALSE(fs::exists(dir)) << "the backup goes at the end";
}
TEST_F(Backup, AfterBatchesItHoldsTheMiddleOfAnEpoch) {
  auto h = interrupted({.save_freq = 4}, 2, 3);
  EXPECT_EQ(metadata, R"({"epoch": 2, "batch": 3})");
  EXPECT_EQ(h->epoch, (Epochs{2, 3, 4}));
  expect_losses(*h, {0.35169628262519836, 0.4008195102214813, 0.321903258562088});
  EXPECT_EQ(iterations, 34);
}
TEST_F(Backup, FalseSavesAfterEachBatchAsInKeras) {
  auto h = interrupted({.save_freq = false}, 1, 2);
  EXPECT_EQ(metadata, R"({"epoch": 1, "batch": 2})");
  EXPECT_EQ(h->epoch, (Epochs{1, 2, 3, 4}));
  expect_losses(*h, {0.4175788164138794, 0.3952704668045044, 0.38256600499153137, 0.4529358148574829});
  EXPECT_EQ(iterations, 33);
}
TEST_F(Backup, IsKeptOnRequest) {
  auto h = interrupted({.delete_checkpoint = false}, 2);
  EXPECT_EQ(h->epoch, (Epochs{2, 3, 4}));
  EXPECT_TRUE(fs::exists(dir / "latest.weights.h5"));
}
TEST_F(Backup, TheOneBeforeTakesThePlaceOfADamagedOne) {
  auto h = interrupted({.double_checkpoint = true}, 3, -1, /*damage=*/true);
  EXPECT_EQ(files, (Names{"latest.weights.h5", "latest.weights.h5.bkp", "training_metadata.json", "training_metadata.json.bkp"}));
  EXPECT_EQ(h->epoch, (Epochs{2, 3, 4}));
  expect_losses(*h, {0.44777318835258484, 0.36271798610687256, 0.3994196951389313});
}
TEST_F(Backup, WithoutAnotherADamagedOneIsAnError) { EXPECT_THROW(interrupted({}, 3, -1, /*damage=*/true), Error); }
TEST_F(Backup, BeforeTheFirstThereIsNothingToRestore) {
  auto h = interrupted({}, 0);
  EXPECT_EQ(files, Names{});
  EXPECT_EQ(h->epoch, (Epochs{0, 1, 2, 3, 4}));
  expect_losses(*h, {0.5107348561286926, 0.4479536712169647, 0.3686216473579407, 0.4331173598766327, 0.3536874055862427});
}
TEST_F(Backup, BadOptionsAreErrors) {
  EXPECT_THROW(callbacks::BackupAndRestore(""), ValueError);
  EXPECT_THROW(callbacks::BackupAndRestore("x", {.save_freq = "batch"}), ValueError);
  EXPECT_NO_THROW(callbacks::get(Dict{{"class_name", "BackupAndRestore"}, {"config", Dict{{"backup_dir", "x"}, {"save_freq", 10}}}}));
}

}  // namespace
}  // namespace keras
