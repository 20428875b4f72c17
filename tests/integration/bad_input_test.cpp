// What lives here: what a user may get wrong, and that each gives an error of the right type that says what, where, what was expected, what
// was received or how to fix it, with nothing lost and nothing half-written.
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
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// The text of the error of type E; anything else fails the test.
template <class E, class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    EXPECT_STREQ(typeid(e).name(), typeid(E).name()) << e.what();
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "an error of another type: " << typeid(e).name() << ": " << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}
template <class F> std::string value_error(F&& f) { return error_of<ValueError>(std::forward<F>(f)); }

struct BadInput : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_bad_" + std::to_string(::getpid()));
  std::vector<std::string> warnings;
  WarningHandler before;
  Tensor x = Tensor::full({12, 4}, 0.5), y;
  void SetUp() override {
    fs::create_directories(dir);
    before = set_warning_handler([this](const std::string& w) { warnings.push_back(w); });
    utils::clear_session();
    utils::set_random_seed(2);
    std::vector<int32_t> v;
    for (int i = 0; i < 12; ++i) v.push_back(i % 3);
    y = Tensor::from(v, Shape{12});
  }
  void TearDown() override {
    set_warning_handler(before);
    fs::remove_all(dir);
  }
  std::string path(const std::string& name) const { return dir / name; }
  static Sequential mlp() {
    Sequential m({Input({4}), Dense(5, {.activation = "relu"}), Dense(3, {.activation = "softmax"})});
    m.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
    return m;
  }
};

// ---- shapes, dtypes, axes

TEST_F(BadInput, Shapes) {
  EXPECT_THAT(value_error([&] { Dense(3)(Tensor::full({2, 4}, 1)), mlp().predict(Tensor::full({2, 5}, 1)); }), AllOf(HasSubstr("(None, 4)"), HasSubstr("(2, 5)")));
  Dense used(3);
  used(Tensor::full({2, 4}, 1));
  EXPECT_THAT(value_error([&] { used(Tensor::full({2, 5}, 1)); }), AllOf(HasSubstr("dense"), HasSubstr("4"), HasSubstr("5")));
  EXPECT_THAT(value_error([&] { ops::matmul(Tensor::full({2, 3}, 1), Tensor::full({4, 2}, 1)); }), AllOf(HasSubstr("(2, 3)"), HasSubstr("(4, 2)")));
  EXPECT_THAT(value_error([&] { ops::add(Tensor::full({2, 3}, 1), Tensor::full({2, 4}, 1)); }), AllOf(HasSubstr("(2, 3)"), HasSubstr("(2, 4)")));
  EXPECT_THAT(value_error([&] { ops::reshape(Tensor::full({2, 3}, 1), {4, 2}); }), AllOf(HasSubstr("(2, 3)"), HasSubstr("(4, 2)")));
  EXPECT_THAT(value_error([&] { layers::Reshape({5})(Input({4})); }), HasSubstr("5"));
  EXPECT_THAT(value_error([&] { layers::Conv2D(3, 3)(Input({8, 8})); }), AllOf(HasSubstr("conv2d"), HasSubstr("rank at least 4"), HasSubstr("(None, 8, 8)")));
  EXPECT_THAT(value_error([&] { layers::Conv2D(3, 9)(Input({8, 8, 1})); }), HasSubstr("(None, 8, 8, 1)"));
  EXPECT_THAT(value_error([&] { layers::LSTM(3)(Input({8})); }), HasSubstr("lstm"));
  EXPECT_THAT(value_error([&] { layers::Concatenate()({Input({2, 3}), Input({4, 3})}); }), AllOf(HasSubstr("(None, 2, 3)"), HasSubstr("(None, 4, 3)")));
  EXPECT_THAT(value_error([&] { Tensor t = {{1, 2}, {3}}; }), Not(IsEmpty()));
  EXPECT_THAT(value_error([&] { Tensor::from(std::vector<float>{1, 2, 3}, Shape{2, 2}); }), AllOf(HasSubstr("3"), HasSubstr("(2, 2)")));
}

TEST_F(BadInput, AxesAndRanks) {
  EXPECT_THAT(value_error([&] { ops::sum(Tensor::full({2, 3}, 1), 2); }), AllOf(HasSubstr("2"), HasSubstr("axis")));
  EXPECT_THAT(value_error([&] { ops::softmax(Tensor::full({2, 3}, 1), -3); }), AllOf(HasSubstr("-3"), HasSubstr("axis")));
  EXPECT_THAT(value_error([&] { ops::transpose(Tensor::full({2, 3}, 1), {0, 0}); }), Not(IsEmpty()));
  EXPECT_THAT(value_error([&] { layers::BatchNormalization({.axis = 4})(Input({3})); }), HasSubstr("4"));
  EXPECT_THAT(value_error([&] { layers::Permute({1, 3})(Input({3, 2})); }), HasSubstr("3"));
}

TEST_F(BadInput, Options) {
  EXPECT_THAT(value_error([&] { Dense(0); }), AllOf(HasSubstr("units"), HasSubstr("0")));
  EXPECT_THAT(value_error([&] { Dense(-3); }), HasSubstr("-3"));
  EXPECT_THAT(value_error([&] { layers::Dropout(1.5); }), AllOf(HasSubstr("rate"), HasSubstr("1.5")));
  EXPECT_THAT(value_error([&] { layers::Conv2D(4, 3, {.padding = "smae"}); }), AllOf(HasSubstr("smae"), HasSubstr("same")));
  EXPECT_THAT(value_error([&] { layers::Conv2D(4, 0); }), HasSubstr("kernel_size"));
  EXPECT_THAT(value_error([&] { layers::Conv2D(4, 3, {.groups = 3})(Input({8, 8, 3})); }), HasSubstr("groups"));
  EXPECT_THAT(value_error([&] { optimizers::Adam({.learning_rate = 0.1, .clipnorm = 1.0, .clipvalue = 1.0}); }), HasSubstr("clip"));
  EXPECT_THAT(value_error([&] { mlp().fit(x, y, {.verbose = 0, .validation_split = 1.5}); }), AllOf(HasSubstr("validation_split"), HasSubstr("1.5")));
  EXPECT_THAT(value_error([&] { mlp().fit(x, y, {.batch_size = 0, .verbose = 0}); }), HasSubstr("batch size"));
  EXPECT_THAT(value_error([&] { mlp().fit(x, y, {.verbose = 0, .shuffle = "bacth"}); }), HasSubstr("bacth"));
}

// ---- names

TEST_F(BadInput, UnknownNamesSuggestTheNearest) {
  EXPECT_THAT(value_error([&] { Dense(3, {.activation = "rleu"})(Input({4})); }), AllOf(HasSubstr("rleu"), HasSubstr("did you mean 'relu'")));
  EXPECT_THAT(value_error([&] { mlp().compile({.optimizer = "adm", .loss = "mse"}); }), AllOf(HasSubstr("adm"), HasSubstr("did you mean 'Adam'")));
  EXPECT_THAT(value_error([&] { mlp().compile({.loss = "mean_sqared_error"}); }), AllOf(HasSubstr("mean_sqared_error"), HasSubstr("did you mean 'mean_squared_error'")));
  EXPECT_THAT(value_error([&] {
                Sequential m = mlp();
                m.compile({.loss = "mse", .metrics = {"acuracy"}});
                m.fit(x, Tensor::full({12, 3}, 1), {.verbose = 0});
              }),
              AllOf(HasSubstr("acuracy"), HasSubstr("accuracy")));
  EXPECT_THAT(value_error([&] { Dense(3, {.kernel_initializer = "glorot_unifrom"})(Input({4})); }), HasSubstr("glorot_uniform"));
  EXPECT_THAT(value_error([&] { Dense(3, {.kernel_regularizer = "l3"})(Input({4})); }), HasSubstr("l3"));
  EXPECT_THAT(value_error([&] { Dense(3, {.dtype = "float31"})(Input({4})); }), HasSubstr("float31"));
  EXPECT_THAT(value_error([&] { mlp().get_layer("dnese"); }), HasSubstr("dense"));
  EXPECT_THAT(value_error([&] { mlp().fit(Arrays{{"picture", x}}, y, {.verbose = 0}); }), HasSubstr("picture"));
  EXPECT_THAT(value_error([&] { (*mlp().fit(x, y, {.verbose = 0}))["acuracy"]; }), HasSubstr("accuracy"));
  EXPECT_THAT(value_error([&] { models::model_from_json(R"({"module": "keras.layers", "class_name": "Dnse", "config": {"units": 3}, "registered_name": null})"); }), AllOf(HasSubstr("Dnse"), HasSubstr("Dense")));
}

// ---- data

TEST_F(BadInput, Arrays) {
  Sequential m = mlp();
  EXPECT_THAT(value_error([&] { m.fit(x, y.rows(0, 11), {.verbose = 0}); }), AllOf(HasSubstr("12"), HasSubstr("11")));
  EXPECT_THAT(value_error([&] { m.fit(x.rows(0, 0), y.rows(0, 0), {.verbose = 0}); }), Not(IsEmpty()));
  EXPECT_THAT(value_error([&] { m.predict(x.rows(0, 0)); }), Not(IsEmpty()));
  EXPECT_THAT(value_error([&] { m.fit(Tensors{x, x}, y, {.verbose = 0}); }), AllOf(HasSubstr("inputs"), HasSubstr("2")));
  EXPECT_THAT(value_error([&] { m.fit(x, y, {.verbose = 0, .sample_weight = Tensor::full({7}, 1)}); }), AllOf(HasSubstr("sample_weight"), HasSubstr("7")));
  EXPECT_THAT(value_error([&] { m.fit(x, {}, {.verbose = 0}); }), HasSubstr("target"));
  EXPECT_THAT(value_error([&] { m.fit(x, y, {.verbose = 0, .class_weight = {{0, 1.0}}, .sample_weight = Tensor::full({12}, 1)}); }), HasSubstr("class_weight"));
  EXPECT_THAT(value_error([&] { m.fit(x, y, {.verbose = 0, .validation_data = {x.rows(0, 3), y.rows(0, 2)}}); }), AllOf(HasSubstr("3"), HasSubstr("2")));
  EXPECT_THAT(value_error([&] { m.fit(Tensor::full({12, 5}, 1), y, {.verbose = 0}); }), HasSubstr("5"));
  // After all that it still trains.
  EXPECT_TRUE(std::isfinite((*m.fit(x, y, {.verbose = 0}))["loss"][0]));
}

TEST_F(BadInput, BeforeCompile) {
  Sequential m({Input({4}), Dense(3)});
  EXPECT_THAT(value_error([&] { m.fit(x, y); }), HasSubstr("compile"));
  EXPECT_THAT(value_error([&] { m.evaluate(x, y); }), HasSubstr("compile"));
}

TEST_F(BadInput, IndicesOutsideAnEmbedding) {
  Sequential m({Input({3}, {.dtype = "int32"}), layers::Embedding(10, 4), layers::Flatten(), Dense(2)});
  EXPECT_THAT(value_error([&] { m.predict(Tensor{{1, 2, 10}}); }), AllOf(HasSubstr("10"), HasSubstr("embedding"), HasSubstr("from 0 to 9")));
  EXPECT_THAT(value_error([&] { m.predict(Tensor{{1, -1, 3}}); }), HasSubstr("-1"));
  m.compile({.optimizer = "sgd", .loss = "mse"});
  Tensors before = m.get_weights();
  EXPECT_THAT(value_error([&] { m.fit(Tensor{{1, 2, 3}, {4, 5, 11}}, Tensor::full({2, 2}, 1), {.verbose = 0}); }), HasSubstr("11"));
  Tensors after = m.get_weights();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].to_vector<float>(), after[i].to_vector<float>()) << "a refused batch changes nothing";
}

TEST_F(BadInput, LabelsOutOfRange) {
  Sequential m = mlp();
  std::vector<int32_t> bad(12, 1);
  bad[5] = 3;
  Tensors before = m.get_weights();
  EXPECT_THAT(value_error([&] { m.fit(x, Tensor::from(bad, Shape{12}), {.verbose = 0}); }), HasSubstr("3"));
  EXPECT_THAT(value_error([&] { m.evaluate(x, Tensor::from(bad, Shape{12}), {.verbose = 0}); }), HasSubstr("3"));
  bad[5] = -1;
  EXPECT_THAT(value_error([&] { m.fit(x, Tensor::from(bad, Shape{12}), {.verbose = 0}); }), AllOf(HasSubstr("-1"), HasSubstr("labels"), HasSubstr("from 0 to 2")));
  Tensors after = m.get_weights();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].to_vector<float>(), after[i].to_vector<float>());
  m.compile({.optimizer = "adam", .loss = losses::SparseCategoricalCrossentropy({.ignore_class = -1})});
  EXPECT_TRUE(std::isfinite((*m.fit(x, Tensor::from(bad, Shape{12}), {.verbose = 0}))["loss"][0]));
}

TEST_F(BadInput, ANaNLossIsTold) {
  Sequential m = mlp();
  std::vector<float> nan(48, std::numeric_limits<float>::quiet_NaN());
  auto history = m.fit(Tensor::from(nan, Shape{12, 4}), y, {.verbose = 0});
  EXPECT_TRUE(std::isnan((*history)["loss"][0])) << "never a number in its place";
}

TEST_F(BadInput, LossesThatBroadcastWarn) {
  Sequential m({Input({4}), Dense(1)});
  m.compile({.optimizer = "sgd", .loss = "mse"});
  m.fit(x, Tensor::full({12, 3}, 1), {.verbose = 0});
  ASSERT_FALSE(warnings.empty());
  EXPECT_THAT(warnings[0], AllOf(HasSubstr("3"), HasSubstr("1")));
}

// ---- files

TEST_F(BadInput, DamagedFiles) {
  Sequential m = mlp();
  m.save(path("m.keras"));
  m.save_weights(path("w.weights.h5"));
  utils::save_npz(path("d.npz"), {{"x", x}});
  auto cut = [&](const std::string& name, double part) {
    std::string whole = io::read_text_file(path(name));
    std::string to = path("cut_" + name);
    std::ofstream(to, std::ios::binary) << whole.substr(0, static_cast<size_t>(part * static_cast<double>(whole.size())));
    return to;
  };
  for (double part : {0.0, 0.3, 0.7, 0.99}) {
    EXPECT_THAT(value_error([&] { models::load_model(cut("m.keras", part)); }), HasSubstr("cut_m.keras"));
    std::vector<float> before = m.predict(x).to_vector<float>();
    EXPECT_THAT(value_error([&] { m.load_weights(cut("w.weights.h5", part)); }), HasSubstr("cut_w.weights.h5"));
    EXPECT_EQ(m.predict(x).to_vector<float>(), before);
    EXPECT_THAT(value_error([&] { utils::load_npz(cut("d.npz", part)); }), HasSubstr("cut_d.npz"));
  }
  for (const char* missing : {"none.keras", "none.weights.h5", "none.npz"}) {
    std::string file = path(missing), text;
    try {
      if (file.ends_with("keras")) models::load_model(file);
      else if (file.ends_with("h5")) m.load_weights(file);
      else utils::load_npz(file);
      ADD_FAILURE() << "no error for " << file;
    } catch (const Error& e) {
      text = e.what();
    }
    EXPECT_THAT(text, HasSubstr(missing));
  }
}

TEST_F(BadInput, WeightsThatDoNotFit) {
  Sequential m = mlp();
  m.save_weights(path("w.weights.h5"));
  Sequential wider({Input({4}), Dense(6), Dense(3)});
  std::vector<float> before = wider.predict(x).to_vector<float>();
  EXPECT_THAT(value_error([&] { wider.load_weights(path("w.weights.h5")); }), AllOf(HasSubstr("(4, 6)"), HasSubstr("(4, 5)")));
  EXPECT_EQ(wider.predict(x).to_vector<float>(), before);
  Sequential longer({Input({4}), Dense(5), Dense(3), Dense(2)});
  EXPECT_THAT(value_error([&] { longer.load_weights(path("w.weights.h5")); }), HasSubstr("dense"));
  Sequential shorter({Input({4}), Dense(5)});
  EXPECT_THAT(value_error([&] { shorter.load_weights(path("w.weights.h5")); }), HasSubstr("dense_1"));
  EXPECT_THAT(value_error([&] { m.set_weights({Tensor::full({4, 5}, 1)}); }), AllOf(HasSubstr("4"), HasSubstr("1")));
  EXPECT_THAT(value_error([&] { m.layers()[0].set_weights({Tensor::full({5, 4}, 1), Tensor::full({5}, 1)}); }), AllOf(HasSubstr("(4, 5)"), HasSubstr("(5, 4)")));
}

TEST_F(BadInput, PathsThatCanNotBeWritten) {
  Sequential m = mlp();
  EXPECT_THAT(error_of<RuntimeError>([&] { m.save(path("no/such/m.keras")); }), HasSubstr("no/such/m.keras"));
  EXPECT_THAT(error_of<RuntimeError>([&] { m.save_weights(path("no/such/w.weights.h5")); }), HasSubstr("no/such"));
  EXPECT_THAT(value_error([&] { m.save(path("m.onnx")); }), HasSubstr(".keras"));
  m.save(path("m.keras"));
  std::string kept = io::read_text_file(path("m.keras"));
  fs::create_directory(path("folder.keras"));
  error_of<RuntimeError>([&] { m.save(path("folder.keras")); });
  EXPECT_EQ(io::read_text_file(path("m.keras")), kept);
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(dir)) names.push_back(e.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("m.keras", "folder.keras")) << "nothing is left behind";
}

TEST_F(BadInput, NothingInAFileIsExecuted) {
  std::string lambda = R"({"module": "keras.layers", "class_name": "Lambda", "config": {"name": "lambda", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}}, "registered_name": null})";
  EXPECT_THAT(value_error([&] { models::model_from_json(R"({"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [)" + lambda + "]}}"); }), HasSubstr("Lambda"));
  EXPECT_THAT(value_error([&] { models::model_from_json("{\"class_name\": \"Sequential\", "); }), HasSubstr("line 1"));
  EXPECT_THAT(value_error([&] { models::model_from_json("[]"); }), Not(IsEmpty()));
  EXPECT_THAT(error_of<TypeError>([&] { models::model_from_json(R"({"class_name": "Sequential", "config": {"layers": 3}})"); }), HasSubstr("list"));
}

TEST_F(BadInput, OtherTypesOfErrors) {
  error_of<TypeError>([&] { Tensor::full({2}, 1).data<int32_t>(); });
  error_of<RuntimeError>([&] { Input({3}).raw(); });
  error_of<TypeError>([&] { Value("text").as_int(); });
  EXPECT_THAT(error_of<TypeError>([&] { Model m{Layer(Dense(3))}; }), Not(IsEmpty()));
}

}  // namespace
}  // namespace keras
