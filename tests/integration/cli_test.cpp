// What lives here: the program `keras` as its users run it: what it reads, writes, prints, and with which code it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <keras/layers/core/dense.h>
#include <keras/layers/merging/merge.h>
#include <keras/models/model.h>
#include <keras/random.h>
#include <keras/saving.h>
#include <keras/utils.h>

#include "io/file.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using layers::Dense;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Ended {
  int code;
  std::string out, err;
};

struct Cli : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_cli_" + std::to_string(::getpid()));
  void SetUp() override {
    if (!fs::exists(KERAS_BIN_DIR "/keras")) GTEST_SKIP() << "the program is not built: " KERAS_BIN_DIR "/keras";
    fs::remove_all(dir);
    fs::create_directories(dir);
    utils::clear_session();
    utils::set_random_seed(11);
  }
  void TearDown() override { fs::remove_all(dir); }
  std::string path(const std::string& name) const { return dir / name; }
  /// Runs in the folder of the test.
  Ended keras(const std::string& arguments) const {
    std::string command = "cd '" + dir.string() + "' && " KERAS_BIN_DIR "/keras " + arguments + " >.out 2>.err </dev/null";
    int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, io::read_text_file(path(".out")), io::read_text_file(path(".err"))};
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
  /// Files in the folder besides those of the run itself.
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& e : fs::directory_iterator(dir))
      if (e.path().filename().string()[0] != '.') out.push_back(e.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }
  static Sequential small() {
    Sequential m({Input({4}), Dense(5, {.activation = "relu"}), Dense(3, {.activation = "softmax"})}, {.name = "small"});
    m.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
    return m;
  }
  static Tensor rows(int64_t n, int64_t k) {
    std::vector<float> v;
    for (int64_t i = 0; i < n * k; ++i) v.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i + 1))));
    return Tensor::from(v, Shape{n, k});
  }
  static Tensor labels(int64_t n) {
    std::vector<int32_t> v;
    for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<int32_t>(i % 3));
    return Tensor::from(v, Shape{n});
  }
  static Tensor find(const utils::NamedTensors& all, const std::string& key) {
    for (const auto& [name, t] : all)
      if (name == key) return t;
    ADD_FAILURE() << "no array " << key;
    return Tensor::full({1}, 0);
  }
};

TEST_F(Cli, HelpAndWrongUse) {
  Ended help = keras("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"summary", "explain", "train", "evaluate", "predict", "doctor", "convert", "diff", "verify"}) EXPECT_THAT(help.out, HasSubstr(word));
  EXPECT_THAT(help.err, IsEmpty());
  EXPECT_THAT(keras("train --help").out, AllOf(HasSubstr("--validation-split"), HasSubstr("--class-weight"), HasSubstr("--no-shuffle"), HasSubstr("--history")));
  for (const char* wrong : {"", "paint", "summary", "summary a.keras --no-such-option", "train a.keras --data d.npz --epochs many"}) {
    Ended e = keras(wrong);
    EXPECT_NE(e.code, 0) << wrong;
    EXPECT_NE(e.code, 1) << wrong << ": wrong use is not a failure of the work";
    EXPECT_THAT(e.out, IsEmpty()) << wrong;
    EXPECT_THAT(e.err, Not(IsEmpty())) << wrong;
  }
}

TEST_F(Cli, Summary) {
  Sequential m = small();
  m.save(path("m.keras"));
  Ended boxed = keras("summary m.keras");
  EXPECT_EQ(boxed.code, 0);
  EXPECT_THAT(boxed.out, AllOf(HasSubstr("Model: \"small\""), HasSubstr("dense_1 (Dense)"), HasSubstr("(None, 3)"), HasSubstr("Total params:")));
  EXPECT_THAT(keras("summary m.keras --style plain").out, AllOf(HasSubstr("====="), Not(HasSubstr("┃"))));

  write("arch.json", m.to_json());
  for (const char* file : {"m.keras", "arch.json"}) {
    Ended json = keras(std::string("summary --json ") + file);
    ASSERT_EQ(json.code, 0) << json.err;
    Value v = utils::parse_json(json.out);
    EXPECT_EQ(v.get("total_params").as_int(), 43);
    EXPECT_EQ(v.get("trainable_params").as_int(), 43);
    EXPECT_EQ(v.get("non_trainable_params").as_int(), 0);
    ASSERT_EQ(v.get("layers").as_list().size(), 2u);
    const Value& last = v.get("layers").as_list()[1];
    EXPECT_EQ(last.get("name").as_string(), "dense_1");
    EXPECT_EQ(last.get("class_name").as_string(), "Dense");
    EXPECT_EQ(last.get("output_shape").as_shape(), (Shape{None, 3}));
    EXPECT_EQ(last.get("params").as_int(), 18);
  }
}

TEST_F(Cli, Explain) {
  small().save(path("m.keras"));
  Ended one = keras("explain m.keras --layer dense");
  EXPECT_EQ(one.code, 0);
  EXPECT_THAT(one.out, AllOf(HasSubstr("(None, 5)"), HasSubstr("25")));
  EXPECT_THAT(keras("explain m.keras").out, HasSubstr("dense_1"));
  Ended unknown = keras("explain m.keras --layer dens");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("dense"));
}

TEST_F(Cli, TrainsAsFitDoes) {
  utils::save_npz(path("d.npz"), {{"x", rows(40, 4)}, {"y", labels(40)}});
  write("arch.json", small().to_json());
  Ended e = keras("train arch.json --optimizer adam --loss sparse_categorical_crossentropy --metrics accuracy --data d.npz --seed 3 --epochs 2 --batch-size 8"
                  " --validation-split 0.25 --class-weight 0:2,1:0.5 --history h.json -o m.keras");
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_THAT(e.out, AllOf(HasSubstr("Epoch 2/2"), Not(HasSubstr("\b")), Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
  EXPECT_THAT(e.err, IsEmpty());

  utils::clear_session();
  utils::set_random_seed(3);
  Model same = models::model_from_json(io::read_text_file(path("arch.json")));
  same.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  auto history = same.fit(rows(40, 4), labels(40), {.batch_size = 8, .epochs = 2, .verbose = 0, .validation_split = 0.25, .class_weight = {{0, 2.0}, {1, 0.5}}});
  Value written = utils::parse_json(io::read_text_file(path("h.json")));
  ASSERT_EQ(written.as_dict().size(), history->history.size());
  for (const auto& [name, values] : history->history) {
    ASSERT_EQ(written.get(name).as_list().size(), values.size()) << name;
    for (size_t i = 0; i < values.size(); ++i) EXPECT_DOUBLE_EQ(written.get(name).as_list()[i].as_float(), values[i]) << name;
  }
  Model loaded = models::load_model(path("m.keras"));
  EXPECT_TRUE(loaded.compiled());
  EXPECT_EQ(loaded.predict(rows(40, 4)).to_vector<float>(), same.predict(rows(40, 4)).to_vector<float>());

  // A second run goes on with weights and optimizer; nothing needs to be compiled.
  Ended again = keras("train m.keras --data d.npz --seed 4 --epochs 1 --batch-size 8 --no-shuffle --history h2.json --verbose 2 -o m2.keras");
  ASSERT_EQ(again.code, 0) << again.err;
  utils::set_random_seed(4);
  auto more = models::load_model(path("m.keras")).fit(rows(40, 4), labels(40), {.batch_size = 8, .verbose = 0, .shuffle = false});
  EXPECT_DOUBLE_EQ(utils::parse_json(io::read_text_file(path("h2.json"))).get("loss").as_list()[0].as_float(), (*more)["loss"][0]);
}

TEST_F(Cli, TrainingContract) {
  write("arch.json", small().to_json());
  utils::save_npz(path("d.npz"), {{"x", rows(12, 4)}, {"y", labels(12)}, {"sample_weight", Tensor::full({12}, 0.5)}});
  write("compile.json", R"({"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "jit_compile": true, "run_eagerly": false})");
  write("callbacks.json", R"([{"class_name": "EarlyStopping", "config": {"monitor": "loss", "patience": 0, "min_delta": 100}}])");
  // No epochs: the untrained model. No run needs an output.
  ASSERT_EQ(keras("train arch.json --compile compile.json --data d.npz --seed 9 --epochs 0 -o fresh.keras --history h0.json").code, 0);
  utils::clear_session();
  utils::set_random_seed(9);
  Model fresh = models::model_from_json(io::read_text_file(path("arch.json")));
  EXPECT_EQ(models::load_model(path("fresh.keras")).predict(rows(12, 4)).to_vector<float>(), fresh.predict(rows(12, 4)).to_vector<float>());
  EXPECT_TRUE(utils::parse_json(io::read_text_file(path("h0.json"))).as_dict().empty());

  Ended stopped = keras("train arch.json --compile compile.json --data d.npz --epochs 9 --callbacks callbacks.json --history h.json --verbose 0");
  ASSERT_EQ(stopped.code, 0) << stopped.err;
  EXPECT_THAT(stopped.out, IsEmpty());
  EXPECT_EQ(utils::parse_json(io::read_text_file(path("h.json"))).get("loss").as_list().size(), 2u);

  // Weights alone go out and come in.
  ASSERT_EQ(keras("train arch.json --compile compile.json --data d.npz --seed 9 --epochs 1 --verbose 0 -o w.weights.h5").code, 0);
  Ended start = keras("predict arch.json --weights w.weights.h5 --input d.npz --output y.npz");
  ASSERT_EQ(start.code, 0) << start.err;
  fresh.load_weights(path("w.weights.h5"));
  EXPECT_EQ(find(utils::load_npz(path("y.npz")), "y").to_vector<float>(), fresh.predict(rows(12, 4)).to_vector<float>());
}

TEST_F(Cli, EvaluateAndPredict) {
  Sequential m = small();
  m.fit(rows(20, 4), labels(20), {.verbose = 0});
  m.save(path("m.keras"));
  utils::save_npz(path("d.npz"), {{"x", rows(20, 4)}, {"y", labels(20)}});
  Ended e = keras("evaluate m.keras --data d.npz --json");
  ASSERT_EQ(e.code, 0) << e.err;
  Value logs = utils::parse_json(e.out);
  Logs want = m.evaluate(rows(20, 4), labels(20), {.verbose = 0});
  EXPECT_NEAR(logs.get("loss").as_float(), want.at("loss"), 1e-6);
  EXPECT_NEAR(logs.get("accuracy").as_float(), want.at("accuracy"), 1e-6);
  EXPECT_THAT(keras("evaluate m.keras --data d.npz").out, AllOf(HasSubstr("loss: "), HasSubstr("accuracy: ")));

  std::vector<float> y = m.predict(rows(20, 4)).to_vector<float>();
  ASSERT_EQ(keras("predict m.keras --input d.npz --output y.npz").code, 0);
  EXPECT_EQ(find(utils::load_npz(path("y.npz")), "y").to_vector<float>(), y);
  utils::save_npy(path("x.npy"), rows(20, 4));
  ASSERT_EQ(keras("predict m.keras --input x.npy --output y.npy").code, 0);
  EXPECT_EQ(utils::load_npy(path("y.npy")).to_vector<float>(), y);
  utils::save_csv(path("x.csv"), rows(20, 4));
  ASSERT_EQ(keras("predict m.keras --input x.csv --output y.csv").code, 0);
  std::vector<double> from_csv = utils::load_csv(path("y.csv")).values.to_vector<double>();
  ASSERT_EQ(from_csv.size(), y.size());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(from_csv[i], y[i], 1e-6);
}

TEST_F(Cli, SeveralInputsAndOutputsByName) {
  Tensor a = Input({4}, {.name = "a"}), b = Input({2}, {.name = "b"});
  Tensor both = layers::Concatenate()({a, b});
  Model m(Tensors{a, b}, Tensors{Dense(1, {.name = "main"})(both), Dense(2, {.name = "aux"})(both)});
  write("arch.json", m.to_json());
  utils::save_npz(path("d.npz"), {{"x_b", rows(10, 2)}, {"x_a", rows(10, 4)}, {"y_main", rows(10, 1)}, {"y_aux", rows(10, 2)}});
  Ended e = keras(R"(train arch.json --optimizer sgd --loss '{"main": "mse", "aux": "mae"}' --data d.npz --epochs 1 --verbose 0 --history h.json -o m.keras)");
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_FALSE(utils::parse_json(io::read_text_file(path("h.json"))).get("aux_loss").is_null());
  ASSERT_EQ(keras("predict m.keras --input d.npz --output y.npz").code, 0);
  utils::NamedTensors y = utils::load_npz(path("y.npz"));
  EXPECT_EQ(find(y, "y_main").shape(), (Shape{10, 1}));
  EXPECT_EQ(find(y, "y_aux").shape(), (Shape{10, 2}));
}

TEST_F(Cli, CsvWithTargetsInTheLastColumn) {
  write("arch.json", Sequential({Input({2}), Dense(1)}).to_json());
  write("d.csv", "a,b,y\n1,2,3\n2,3,5\n4,1,5\n0,2,2\n");
  Ended e = keras("train arch.json --optimizer sgd --loss mse --data d.csv --seed 1 --epochs 1 --verbose 0 -o m.keras");
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(keras("evaluate m.keras --data d.csv").code, 0);
}

TEST_F(Cli, ErrorsSayWhatIsWrongAndLeaveNothingBehind) {
  small().save(path("m.keras"));
  write("arch.json", small().to_json());
  write("broken.json", "{\"class_name\": ");
  utils::save_npz(path("d.npz"), {{"x", rows(12, 4)}, {"y", labels(12)}});
  utils::save_npz(path("wide.npz"), {{"x", rows(12, 5)}, {"y", labels(12)}});
  utils::save_npz(path("short.npz"), {{"x", rows(12, 4)}, {"y", labels(11)}});
  utils::save_npz(path("named.npz"), {{"images", rows(12, 4)}});
  std::string whole = io::read_text_file(path("m.keras"));
  write("cut.keras", whole.substr(0, whole.size() / 2));
  std::vector<std::string> before = files();
  struct {
    const char *arguments, *says;
  } cases[] = {
      {"summary none.keras", "none.keras"},
      {"summary none.json", "none.json"},
      {"summary broken.json", "line 1"},
      {"summary cut.keras", "cut.keras"},
      {"evaluate m.keras --data none.npz", "none.npz"},
      {"evaluate m.keras --data wide.npz", "5"},
      {"evaluate m.keras --data short.npz", "11"},
      {"predict m.keras --input named.npz --output y.npz", "images"},
      {"predict m.keras --input d.npz --output no/such/folder/y.npz", "no/such/folder"},
      {"train arch.json --data d.npz", "--compile"},
      {"train arch.json --optimizer adm --loss mse --data d.npz -o o.keras", "did you mean 'Adam'"},
      {"train arch.json --optimizer adam --loss mean_sqared_error --data d.npz -o o.keras", "mean_squared_error"},
      {"train m.keras --data short.npz --history h.json -o o.keras", "11"},
      {"train m.keras --data d.npz --class-weight heavy -o o.keras", "class-weight"},
      {"train m.keras --data d.npz --class-weight one:2 -o o.keras", "class-weight"},
      {"train m.keras --data d.npz --callbacks '[{\"class_name\": \"EarlyStoping\"}]' -o o.keras", "EarlyStopping"},
      {"train m.keras --data d.npz --verbose 0 -o no/such/folder/o.keras", "no/such/folder"},
      {"train m.keras --data d.npz -o o.onnx", ".keras"},
  };
  for (const auto& c : cases) {
    Ended e = keras(c.arguments);
    EXPECT_EQ(e.code, 1) << c.arguments << "\n" << e.err;
    EXPECT_THAT(e.err, AllOf(StartsWith("keras: "), HasSubstr(c.says))) << c.arguments;
    EXPECT_EQ(files(), before) << c.arguments;
  }
  // What stood at the output stays when the run fails.
  std::string kept = io::read_text_file(path("m.keras"));
  EXPECT_EQ(keras("train m.keras --data wide.npz -o m.keras").code, 1);
  EXPECT_EQ(io::read_text_file(path("m.keras")), kept);
}

TEST_F(Cli, DoctorTellsEverything) {
  Sequential m = small();
  m.save(path("m.keras"));
  m.save_weights(path("m.weights.h5"));
  write("arch.json", m.to_json());
  Ended good = keras("doctor m.keras");
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, AllOf(HasSubstr("Keras 3.15.1"), HasSubstr("dense_1"), HasSubstr("6 fit"), HasSubstr("it loads")));
  EXPECT_THAT(keras("doctor m.keras --all").out, HasSubstr("layers/dense/vars/0"));
  Value v = utils::parse_json(keras("doctor m.keras --json").out);
  EXPECT_EQ(v.get("loads"), Value(true));
  EXPECT_EQ(v.get("weights").as_list().size(), 6u);  // with the optimizer's steps and rate
  EXPECT_EQ(keras("doctor m.weights.h5").code, 0);
  EXPECT_EQ(keras("doctor m.weights.h5 --arch arch.json").code, 0);
  std::string other = Sequential({Input({4}), Dense(6), Dense(3)}, {.name = "wider"}).to_json();
  write("other.json", other);
  Ended bad = keras("doctor m.weights.h5 --model other.json");
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, AllOf(HasSubstr("misshapen"), HasSubstr("layers/dense_1/vars/0"), HasSubstr("does not load")));
  other.replace(other.find("\"class_name\": \"Dense\""), 21, "\"class_name\": \"Danse\"");
  write("unknown.json", other);
  bad = keras("doctor unknown.json --json");
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, AllOf(HasSubstr("unknown"), HasSubstr("register_layer")));
  std::string whole = io::read_text_file(path("m.keras"));
  write("cut.keras", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(keras("doctor cut.keras").code, 1);
  EXPECT_EQ(keras("doctor none.keras").code, 2);
}

TEST_F(Cli, ConvertsBetweenAllFormats) {
  Sequential m = small();
  m.fit(rows(20, 4), labels(20), {.verbose = 0});
  m.save(path("m.keras"));
  std::vector<float> y = m.predict(rows(20, 4)).to_vector<float>();
  auto step = [&](const std::string& arguments) {
    Ended e = keras("convert " + arguments);
    EXPECT_EQ(e.code, 0) << arguments << "\n" << e.err;
  };
  step("m.keras m.h5");
  step("m.h5 again.keras");
  step("m.keras m.json");
  step("m.keras m.weights.h5");
  step("m.weights.h5 m.weights.json --arch m.json --max-shard-size 0.0000001");
  step("m.weights.json back.keras --arch m.json");
  step("m.weights.json back.weights.h5 --arch m.keras");
  step("m.json fresh.keras");
  EXPECT_TRUE(std::filesystem::exists(path("m_00001.weights.h5")));
  for (const char* file : {"m.h5", "again.keras", "back.keras"}) EXPECT_EQ(models::load_model(path(file)).predict(rows(20, 4)).to_vector<float>(), y) << file;
  // Optimizer and loss went along, and training goes on as it would have.
  Model again = models::load_model(path("again.keras"));
  ASSERT_TRUE(again.compiled());
  EXPECT_EQ((*again.fit(rows(20, 4), labels(20), {.verbose = 0, .shuffle = false}))["loss"], (*m.fit(rows(20, 4), labels(20), {.verbose = 0, .shuffle = false}))["loss"]);
  for (const char* wrong : {"m.keras m.onnx", "m.weights.h5 x.keras", "m.keras m.keras", "none.keras x.h5"}) {
    Ended e = keras(std::string("convert ") + wrong);
    EXPECT_EQ(e.code, 1) << wrong;
    EXPECT_THAT(e.err, StartsWith("keras: ")) << wrong;
  }
}

TEST_F(Cli, DiffAndVerify) {
  Sequential m = small();
  m.save(path("a.keras"), {.golden = rows(3, 4)});
  m.get_layer("dense_1").weights()[1].assign(Tensor::from(std::vector<float>{0.25f, 0, -0.5f}, {3}));
  m.save(path("b.keras"));
  utils::save_npz(path("x.npz"), {{"x", rows(3, 4)}});
  EXPECT_EQ(keras("diff a.keras a.keras").code, 0);
  for (const char* extra : {"", " --input x.npz", " --seed 4"}) {
    Ended d = keras(std::string("diff a.keras b.keras") + extra);
    EXPECT_EQ(d.code, 1) << d.err;
    EXPECT_THAT(d.out, AllOf(HasSubstr("layers/dense_1/vars/1"), HasSubstr("first layer whose output departs: \"dense_1\"")));
  }
  EXPECT_EQ(utils::parse_json(keras("diff a.keras b.keras --json").out).get("departure").get("layer"), Value("dense_1"));
  EXPECT_EQ(keras("diff a.keras none.keras").code, 2);
  Ended v = keras("verify a.keras");
  EXPECT_EQ(v.code, 0) << v.err;
  EXPECT_THAT(v.out, HasSubstr("holds"));
  EXPECT_EQ(utils::parse_json(keras("verify a.keras --json").out).get("holds"), Value(true));
  EXPECT_EQ(keras("verify b.keras").code, 2);
}

TEST_F(Cli, GivesTheRecordedHistories) {
  fs::path shared = fs::path(KERAS_SOURCE_DIR) / ".." / "shared";
  if (!fs::exists(shared / "repro" / "mlp" / "run.json")) GTEST_SKIP() << "the recorded runs are not here: " << (shared / "repro").lexically_normal().string();
  for (const char* name : {"mlp", "convnet", "rows_lstm"}) {
    SCOPED_TRACE(name);
    fs::path folder = shared / "repro" / name;
    Value run = utils::parse_json(io::read_text_file(folder / "run.json"));
    const Value& fit = run.get("fit");
    Ended e = keras("train " + (folder / "arch.json").string() + " --compile " + (folder / "compile.json").string() + " --data " + (shared / "data" / "digits.npz").string() +
                    " --seed " + std::to_string(run.get("seed").as_int()) + " --epochs " + std::to_string(fit.get("epochs").as_int()) + " --batch-size " +
                    std::to_string(fit.get("batch_size").as_int()) + " --validation-split " + float_repr(fit.get("validation_split").as_float()) + " --history h.json --verbose 0");
    ASSERT_EQ(e.code, 0) << e.err;
    Value got = utils::parse_json(io::read_text_file(path("h.json")));
    for (const auto& [key, values] : run.get("history").as_dict())
      for (size_t i = 0; i < values.as_list().size(); ++i) {
        double want = values.as_list()[i].as_float();
        EXPECT_NEAR(got.get(key).as_list().at(i).as_float(), want, key.find("accuracy") != std::string::npos ? 2.0 / 360 : 1e-3 * want) << key;
      }
  }
}

}  // namespace
}  // namespace keras
