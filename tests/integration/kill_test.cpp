// What lives here: `keras train --checkpoint` killed at random moments and started again until it ends: every file that it leaves equals
// that of a run that was left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <keras/keras.h>

#include "io/file.h"
#include "io/zip.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using ::testing::HasSubstr;

Tensor waves(const Shape& shape, double step) {
  std::vector<float> v;
  for (int64_t i = 0; i < shape.numel(); ++i) v.push_back(static_cast<float>(std::sin(step * static_cast<double>(i + 1))));
  return Tensor::from(v, shape);
}
Tensor classes(int64_t n, int64_t k) {
  std::vector<int32_t> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<int32_t>((i * i + i / 3) % k));
  return Tensor::from(v, Shape{n});
}

struct Kill : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_kill_" + std::to_string(::getpid()));
  std::string options;  // of every run
  void SetUp() override {
    if (!fs::exists(KERAS_BIN_DIR "/keras")) GTEST_SKIP() << "the program is not built: " KERAS_BIN_DIR "/keras";
    fs::remove_all(dir);
    fs::create_directories(dir);
    utils::clear_session();
    utils::set_random_seed(3);
  }
  void TearDown() override { fs::remove_all(dir); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir / name) << text; }

  void prepare(Model m, const Tensor& x, const Tensor& y, const std::string& compile, const std::string& callbacks, const std::string& more) {
    write("model.json", m.to_json());
    write("compile.json", compile);
    write("callbacks.json", callbacks);
    utils::save_npz((dir / "data.npz").string(), {{"x", x}, {"y", y}});
    options = "train ../model.json --compile ../compile.json --callbacks ../callbacks.json --data ../data.npz --seed 17 --history history.json --verbose 2 " + more;
  }

  /// Starts the program in the folder `where`, kills it after `seconds` unless it ended; the exit code, or -1 when it was killed.
  int run(const fs::path& where, const std::string& extra, double seconds = 1e9) const {
    std::string command = "exec " KERAS_BIN_DIR "/keras " + options + " " + extra + " >out.txt 2>err.txt </dev/null";
    pid_t child = ::fork();
    if (child == 0) {
      if (::chdir(where.c_str()) == 0) ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    auto end = Clock::now() + std::chrono::duration<double>(std::min(seconds, 60.0));
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (Clock::now() >= end) {
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
        break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string errors(const fs::path& where) const { return io::read_text_file((where / "err.txt").string()); }

  /// What a run left, by file name; the date of a .keras is left out.
  static std::vector<std::pair<std::string, std::string>> files(const fs::path& where) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& e : fs::directory_iterator(where)) {
      std::string name = e.path().filename().string();
      if (!e.is_regular_file() || name == "out.txt" || name == "err.txt" || name.find(".tmp") != std::string::npos) continue;
      if (name.ends_with(".keras")) {
        io::ZipReader zip(e.path().string());
        for (const char* part : {"config.json", "model.weights.h5"}) out.emplace_back(name + ": " + part, zip.read_text(part));
      } else {
        out.emplace_back(name, io::read_text_file(e.path().string()));
      }
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  void killed_at_random_moments_it_ends_the_same(int kills, uint32_t seed) {
    fs::path alone = dir / "alone";
    fs::create_directories(alone);
    auto start = Clock::now();
    ASSERT_EQ(run(alone, ""), 0) << errors(alone);
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    auto expected = files(alone);
    ASSERT_GE(expected.size(), 3u);

    std::mt19937 random(seed);
    std::uniform_real_distribution<double> moment(0.0, seconds);
    int killed = 0, runs = 0;
    while (killed < kills) {
      fs::path where = dir / ("run" + std::to_string(runs++));
      fs::create_directories(where);
      // Often, seldom, and as it comes.
      const char* every[] = {"--checkpoint state --checkpoint-every 1", "--checkpoint state --checkpoint-every 0.05s", "--checkpoint state --checkpoint-every 7", "--checkpoint state"};
      std::string how = every[runs % 4];
      int code = -1, here = 0;
      while (code < 0) {
        // The last start of a run is left alone; an earlier one may end before its moment comes.
        bool spare = killed == kills || here >= 6;
        code = run(where, how, spare ? 1e9 : moment(random));
        if (code < 0) ++killed, ++here;
      }
      ASSERT_EQ(code, 0) << errors(where);
      auto got = files(where);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], expected[i]) << got[i].first << " after " << here << " kills, " << how;
      // Started once more it ends at once, with the same.
      if (runs == 1) {
        fs::remove(where / "history.json");
        EXPECT_EQ(run(where, how), 0) << errors(where);
        EXPECT_EQ(files(where), expected);
      }
    }
    EXPECT_EQ(killed, kills);
  }
};

TEST_F(Kill, ADenseNetworkWithCallbacksThatRemember) {
  Sequential m({Input({10}), layers::Dense(24, {.activation = "relu"}), layers::Dropout(0.3), layers::Dense(5, {.activation = "softmax"})}, {.name = "dense_net"});
  prepare(m, waves({300, 10}, 0.7), classes(300, 5), R"({"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]})",
          R"([{"class_name": "ReduceLROnPlateau", "config": {"patience": 2, "factor": 0.5, "min_delta": 0.01}},
              {"class_name": "CSVLogger", "config": {"filename": "log.csv"}},
              {"class_name": "ModelCheckpoint", "config": {"filepath": "best.weights.h5", "save_best_only": true, "save_weights_only": true}},
              {"class_name": "EarlyStopping", "config": {"patience": 30, "restore_best_weights": true}}])",
          "--epochs 60 --batch-size 16 --validation-split 0.2 -o trained.weights.h5");
  killed_at_random_moments_it_ends_the_same(20, 1);
}

TEST_F(Kill, AStatefulRecurrentNetwork) {
  Sequential m({Input({6, 3}, {.batch_size = 8}), layers::LSTM(8, {.dropout = 0.2, .stateful = true}), layers::Dense(1)}, {.name = "lstm_net"});
  prepare(m, waves({80, 6, 3}, 0.7), waves({80, 1}, 0.2), R"({"optimizer": "rmsprop", "loss": "mse", "metrics": ["mae"]})", R"([{"class_name": "CSVLogger", "config": {"filename": "log.csv"}}])",
          "--epochs 40 --batch-size 8 --no-shuffle -o trained.keras");
  killed_at_random_moments_it_ends_the_same(20, 2);
}

TEST_F(Kill, AConvolutionalNetworkWithMovingAverages) {
  Sequential m({Input({8, 8, 1}), layers::Conv2D(6, 3, {.activation = "relu"}), layers::BatchNormalization(), layers::GaussianNoise(0.1), layers::Flatten(), layers::Dense(3, {.activation = "softmax"})},
               {.name = "conv_net"});
  prepare(m, waves({120, 8, 8, 1}, 0.37), classes(120, 3),
          R"({"optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.003, "use_ema": true, "ema_momentum": 0.9, "global_clipnorm": 1.0}}, "loss": "sparse_categorical_crossentropy",
              "metrics": ["accuracy"]})",
          R"([{"class_name": "CSVLogger", "config": {"filename": "log.csv"}}, {"class_name": "TerminateOnNaN"}])", "--epochs 80 --batch-size 12 --validation-split 0.1 -o trained.keras");
  killed_at_random_moments_it_ends_the_same(20, 3);
}

TEST_F(Kill, OtherOptionsOnTheSameFolderAreAnError) {
  Sequential m({Input({4}), layers::Dense(2)}, {.name = "small"});
  prepare(m, waves({20, 4}, 0.7), waves({20, 2}, 0.2), R"({"optimizer": "sgd", "loss": "mse"})", "[]", "--epochs 2 --checkpoint state");
  ASSERT_EQ(run(dir / "", ""), 1) << "the paths are those of a folder below";
  fs::create_directories(dir / "a");
  ASSERT_EQ(run(dir / "a", ""), 0) << errors(dir / "a");
  EXPECT_EQ(run(dir / "a", "--batch-size 5"), 1);
  EXPECT_THAT(errors(dir / "a"), HasSubstr("fit.batch_size"));
  options.replace(options.find("--seed 17"), 9, "--seed 18");
  EXPECT_EQ(run(dir / "a", ""), 1);
  EXPECT_THAT(errors(dir / "a"), HasSubstr("settings.seed"));
  EXPECT_EQ(run(dir / "a", "--checkpoint-every often"), 1);
  EXPECT_THAT(errors(dir / "a"), HasSubstr("--checkpoint-every"));
}

}  // namespace
}  // namespace keras
