// What lives here: models to files and back, with files of Keras itself where they are at hand, and files that are damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <keras/base/warning.h>
#include <keras/layers/core/dense.h>
#include <keras/ops.h>
#include <keras/random.h>
#include <keras/saving.h>

#include "io/file.h"
#include "io/hdf5.h"
#include "io/json.h"
#include "io/zip.h"
#include "models/functional.h"
#include "support/recorded.h"

namespace keras {
namespace {

using layers::Dense;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

struct Saving : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_saving_" + std::to_string(::getpid()));
  std::vector<std::string> warnings;
  WarningHandler before;
  void SetUp() override {
    fs::create_directories(dir);
    before = set_warning_handler([this](const std::string& w) { warnings.push_back(w); });
    utils::set_random_seed(7);
  }
  void TearDown() override {
    set_warning_handler(before);
    fs::remove_all(dir);
  }
  std::string path(const std::string& name) const { return dir / name; }
};

Tensor some(const Shape& shape, int seed = 1) {
  Tensor t = Tensor::empty(DType::Float32, shape);
  float* p = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i + 1) * seed));
  return t;
}
Sequential mlp() { return Sequential({Input({4}), Dense(5, {.activation = "relu"}), Dense(3, {.activation = "softmax", .name = "head"})}); }
void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(a.to_vector<double>(), b.to_vector<double>());
}
void expect_same_weights(const Model& a, const Model& b) {
  Tensors x = a.get_weights(), y = b.get_weights();
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) expect_same(x[i], y[i]);
}
template <class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
io::Bytes slurp(const std::string& path) { return io::read_file(path); }

TEST_F(Saving, SequentialComesBack) {
  Sequential m = mlp();
  m.save(path("m.keras"));
  Model back = models::load_model(path("m.keras"));
  EXPECT_FALSE(back.compiled());
  EXPECT_EQ(back.to_json(), m.to_json());
  expect_same_weights(m, back);
  expect_same(m.predict(some({6, 4})), back.predict(some({6, 4})));
}

TEST_F(Saving, ArchiveIsLaidOutAsInKeras) {
  Sequential m = mlp();
  m.compile({.optimizer = "adam", .loss = "mse"});
  m.save(path("m.keras"));
  io::ZipReader zip(path("m.keras"));
  std::vector<std::string> names;
  for (const io::ZipEntry& e : zip.entries()) {
    names.push_back(e.name);
    EXPECT_EQ(e.size, e.compressed_size) << "stored, not packed";
  }
  EXPECT_EQ(names, (std::vector<std::string>{"metadata.json", "config.json", "model.weights.h5"}));
  io::H5File h5 = io::H5File::from_bytes(zip.read("model.weights.h5"), "weights");
  auto name_of = [&](const char* at) { return h5.root().attr_string("name", at); };
  EXPECT_EQ(name_of("vars"), m.name());
  EXPECT_EQ(name_of("layers/dense/vars"), m.get_layer(0).name());
  EXPECT_EQ(name_of("layers/dense_1/vars"), "head");
  EXPECT_EQ(name_of("optimizer/vars"), m.optimizer().name());
  EXPECT_EQ(h5.root().info("layers/dense_1/vars/0").shape, (Shape{5, 3}));
  // Compiled and not trained: the number of updates and the learning rate.
  EXPECT_EQ(h5.root().group("optimizer/vars").members().size(), 2u);
  EXPECT_EQ(h5.root().info("optimizer/vars/0").dtype, DType::Int32);
}

TEST_F(Saving, LoraIsInTheKernelOfTheFile) {
  Sequential m({Input({4}), Dense(3, {.lora_rank = 2})});
  m.weights()[3].assign(some({2, 3}));
  Tensor x = some({5, 4}), y = m(x);
  m.save(path("lora.keras"));
  Model back = saving::load_model(path("lora.keras"));
  ASSERT_EQ(back.weights().size(), 4u);
  EXPECT_FALSE(back.weights()[0].trainable());
  EXPECT_EQ(back.weights()[2].value().to_vector<double>(), std::vector<double>(8, 0));
  EXPECT_EQ(back.weights()[3].value().to_vector<double>(), std::vector<double>(6, 0));
  std::vector<double> want = y.to_vector<double>(), got = back(x).to_vector<double>();
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
}

TEST_F(Saving, TrainingGoesOnWhereItStopped) {
  Tensor x = some({32, 4}), y = some({32, 3}, 3);
  Sequential m = mlp();
  m.compile({.optimizer = optimizers::Adam({.learning_rate = 0.05}), .loss = "mse", .metrics = {"mae"}});
  m.fit(x, y, {.epochs = 3, .verbose = 0, .shuffle = false});
  m.save(path("m.keras"));
  Model back = models::load_model(path("m.keras"));
  ASSERT_TRUE(back.compiled());
  auto a = m.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false}), b = back.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  EXPECT_EQ((*a)["loss"], (*b)["loss"]);
  EXPECT_EQ((*a)["mae"], (*b)["mae"]);
  expect_same_weights(m, back);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
}

TEST_F(Saving, CompiledButNeverTrainedStartsFresh) {
  Sequential m = mlp();
  m.compile({.optimizer = optimizers::Adam({.learning_rate = 0.25}), .loss = "mse"});
  m.save(path("m.keras"));
  Model back = models::load_model(path("m.keras"));
  EXPECT_TRUE(warnings.empty());
  EXPECT_FLOAT_EQ(back.optimizer().learning_rate().item(), 0.25f);
  Tensor x = some({8, 4}), y = some({8, 3}, 3);
  auto a = m.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false}), b = back.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  EXPECT_EQ((*a)["loss"], (*b)["loss"]);
  EXPECT_FALSE(models::load_model(path("m.keras"), false).compiled());
}

TEST_F(Saving, LearningRateSchedule) {
  Sequential m = mlp();
  m.compile({.optimizer = optimizers::SGD({.learning_rate = optimizers::schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 2, .decay_rate = 0.5}), .momentum = 0.9}), .loss = "mse"});
  Tensor x = some({16, 4}), y = some({16, 3}, 3);
  m.fit(x, y, {.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false});
  m.save(path("m.keras"));
  Model back = models::load_model(path("m.keras"));
  EXPECT_EQ(m.optimizer().variables().size(), 5u);
  EXPECT_EQ(back.optimizer().learning_rate().item(), m.optimizer().learning_rate().item());
  auto a = m.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false}), b = back.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  EXPECT_EQ((*a)["loss"], (*b)["loss"]);
}

TEST_F(Saving, NestedAndSharedModels) {
  Sequential encoder({Input({4}), Dense(6, {.activation = "tanh"}), Dense(2)}, {.name = "encoder"});
  Tensor a = Input({4}, {.name = "a"}), b = Input({4}, {.name = "b"});
  Tensor ea = encoder(a), eb = encoder(b);
  Tensor i = Input({2});
  Model inner(i, Dense(2, {.activation = "relu"})(i), {.name = "inner"});
  Tensor joined = ops::abs(Tensor(inner(ea)) - Tensor(inner(eb)));
  Model m(Tensors{a, b}, Dense(1)(joined));
  m.save(path("m.keras"));
  Model back = models::load_model(path("m.keras"));
  EXPECT_EQ(back.to_json(), m.to_json());
  expect_same(m.predict(Tensors{some({6, 4}), some({6, 4}, 2)}), back.predict(Tensors{some({6, 4}), some({6, 4}, 2)}));
  io::H5File h5 = io::H5File::from_bytes(io::ZipReader(path("m.keras")).read("model.weights.h5"), "weights");
  EXPECT_TRUE(h5.root().contains("layers/sequential/layers/dense_1/vars/0"));
  EXPECT_TRUE(h5.root().contains("layers/functional/layers/dense/vars/0"));
  EXPECT_TRUE(h5.root().contains("layers/dense/vars/1"));
}

TEST_F(Saving, FunctionsOfOpsInTheGraph) {
  Tensor x = Input({5, 4}, {.name = "x"});
  Tensor y = ops::clip(x, 0.0, 1.0) * 2 + ops::sum(x, -1, true);
  Tensor z = ops::slice_tensor(x, {Slice{}, Slice{1, 3}});
  Tensor w = ops::where(x > 0, x, 0.0) + Tensor({1.0, 2.0, 3.0, 4.0});
  Tensors parts = ops::split(x, 2, -1);
  Tensor c = ops::concatenate({parts[1], parts[0]}, -1);
  Tensor e = ops::einsum("bij,bkj->bik", {x, x});
  Tensor n = ops::mean(ops::cast(x, DType::Float16), Axes{1, 2});
  Tensor g = ops::get_item(x, {Ellipsis, 0});
  Model m(x, {y, z, w, c, e, n, g});
  Model back = models::model_from_json(m.to_json());
  EXPECT_EQ(back.to_json(), m.to_json());
  Tensors p = m.predict_all(some({3, 5, 4})), q = back.predict_all(some({3, 5, 4}));
  ASSERT_EQ(p.size(), q.size());
  for (size_t i = 0; i < p.size(); ++i) expect_same(p[i], q[i]);
}

TEST_F(Saving, JsonThereAndBack) {
  Sequential m = mlp();
  Model back = models::model_from_json(m.to_json(2));
  EXPECT_EQ(back.to_json(), m.to_json());
  EXPECT_THAT(error_of([] { models::model_from_json("{\"class_name\": "); }), HasSubstr("model_from_json"));
  EXPECT_THAT(error_of([] { models::model_from_json("[1, 2]"); }), HasSubstr("model_from_json"));
}

TEST_F(Saving, WeightsAlone) {
  Sequential m = mlp(), other = mlp();
  m.save_weights(path("m.weights.h5"));
  other.load_weights(path("m.weights.h5"));
  expect_same_weights(m, other);
  Sequential third = mlp();
  m.save(path("m.keras"));
  third.load_weights(path("m.keras"));
  expect_same_weights(m, third);
  EXPECT_THAT(error_of([&] { m.save_weights(path("m.h5")); }), HasSubstr(".weights.h5"));
  EXPECT_THAT(error_of([&] { m.save(path("m.txt")); }), HasSubstr(".keras"));
  EXPECT_THAT(error_of([&] { m.load_weights(path("nothing.weights.h5")); }), HasSubstr("nothing.weights.h5"));
}

TEST_F(Saving, EveryMismatchInOneErrorAndNothingChanges) {
  Sequential m = mlp();
  m.save_weights(path("m.weights.h5"));
  Sequential wider({Input({4}), Dense(6), Dense(3, {.use_bias = false}), Dense(2)});
  Tensors was = wider.get_weights();
  std::string text = error_of([&] { wider.load_weights(path("m.weights.h5")); });
  EXPECT_THAT(text, HasSubstr("shape: layers/dense/vars/0"));
  EXPECT_THAT(text, HasSubstr("needs (4, 6), the file has (4, 5)"));
  EXPECT_THAT(text, HasSubstr("surplus: layers/dense_1/vars/1"));
  EXPECT_THAT(text, HasSubstr("missing: layers/dense_2/vars/0"));
  EXPECT_THAT(text, HasSubstr("m.weights.h5"));
  for (size_t i = 0; i < was.size(); ++i) expect_same(was[i], wider.get_weights()[i]);
  // Layers of the file that the model lacks are no less wrong.
  Sequential shorter({Input({4}), Dense(5)});
  EXPECT_THAT(error_of([&] { shorter.load_weights(path("m.weights.h5")); }), HasSubstr("surplus: layers/dense_1/vars/0"));
  saving::load_weights(wider, path("m.weights.h5"), {.skip_mismatch = true});
  EXPECT_EQ(warnings.size(), 1u);
}

TEST_F(Saving, UnwritablePlacesLoseNothing) {
  Sequential m = mlp();
  EXPECT_THROW(m.save(path("no/such/folder/m.keras")), RuntimeError);
  EXPECT_THAT(error_of([&] { m.save(path("no/such/folder/m.keras")); }), HasSubstr("no/such/folder"));
  m.save(path("m.keras"));
  io::Bytes was = slurp(path("m.keras"));
  // An operation that holds a function can't be saved: the old file stays.
  Tensor x = Input({3});
  Model bad(x, ops::map([](const Tensor& row) { return row; }, x));
  EXPECT_THROW(bad.save(path("m.keras")), ValueError);
  EXPECT_EQ(slurp(path("m.keras")), was);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), fs::directory_iterator()), 1) << "no temporary file is left";
}

TEST_F(Saving, DamagedFilesAreErrorsByName) {
  Sequential m = mlp();
  m.compile({.optimizer = "adam", .loss = "mse"});
  m.fit(some({8, 4}), some({8, 3}), {.verbose = 0});
  for (const char* name : {"m.keras", "m.h5"}) {
    m.save(path(name));
    io::Bytes whole = slurp(path(name));
    auto try_load = [&](const io::Bytes& bytes) {
      std::ofstream(path(name), std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      try {
        models::load_model(path(name));
      } catch (const Error& e) {
        EXPECT_THAT(e.what(), HasSubstr(name));
        return true;
      }
      return false;
    };
    for (size_t n = 0; n < whole.size(); n += 1 + whole.size() / 40) EXPECT_TRUE(try_load(io::Bytes(whole.begin(), whole.begin() + static_cast<int64_t>(n)))) << n;
    // A flipped byte is found, or harmless; it is no crash.
    for (size_t at = 0; at < whole.size(); at += 1 + whole.size() / 200) {
      io::Bytes bytes = whole;
      bytes[at] ^= std::byte{0x41};
      try_load(bytes);
    }
  }
}

std::string archive(const std::string& path, const std::string& config) {
  Sequential m = mlp();
  m.save(path);
  io::ZipReader zip(path);
  io::ZipWriter out;
  out.add_text("metadata.json", zip.read_text("metadata.json"));
  out.add_text("config.json", config);
  out.add("model.weights.h5", zip.read("model.weights.h5"));
  out.write(path);
  return path;
}

TEST_F(Saving, UnknownClassesAndLambdasAreRefusedByName) {
  std::string json = mlp().to_json();
  auto with = [&](const std::string& from, const std::string& to) {
    std::string s = json;
    s.replace(s.find(from), from.size(), to);
    return s;
  };
  std::string text = error_of([&] { models::load_model(archive(path("m.keras"), with("\"class_name\": \"Dense\"", "\"class_name\": \"Densest\""))); });
  EXPECT_THAT(text, HasSubstr("Densest"));
  EXPECT_THAT(text, HasSubstr("did you mean 'Dense'"));
  EXPECT_THAT(text, HasSubstr("register_layer"));
  EXPECT_THAT(text, HasSubstr("m.keras"));
  text = error_of([&] { models::load_model(archive(path("m.keras"), with("\"class_name\": \"Dense\"", "\"class_name\": \"Lambda\""))); });
  EXPECT_THAT(text, HasSubstr("Lambda"));
  text = error_of([&] { models::load_model(archive(path("m.keras"), with("\"units\": 5", "\"units\": \"five\""))); });
  EXPECT_THAT(text, HasSubstr("m.keras"));
  text = error_of([&] { models::load_model(archive(path("m.keras"), "{}")); });
  EXPECT_THAT(text, HasSubstr("config.json"));
}

// ---- legacy files
TEST_F(Saving, LegacyWholeModel) {
  Tensor x = some({32, 4}), y = some({32, 3}, 3);
  Sequential m = mlp();
  m.compile({.optimizer = "adam", .loss = "mse", .metrics = {"mae"}});
  m.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  m.save(path("m.h5"));
  EXPECT_TRUE(m.compiled());
  Model back = models::load_model(path("m.h5"));
  ASSERT_TRUE(back.compiled());
  expect_same_weights(m, back);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
  auto a = m.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false}), b = back.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  EXPECT_EQ((*a)["loss"], (*b)["loss"]);
  Sequential other = mlp();
  other.load_weights(path("m.h5"));
}

// As Keras 2.2 wrote a Sequential: a list of layers, batch_input_shape, lr and decay, initializers by their parts.
TEST_F(Saving, FilesOfKeras2) {
  const char* config = R"({"class_name": "Sequential", "config": [
    {"class_name": "Dense", "config": {"name": "dense_1", "trainable": true, "batch_input_shape": [null, 4], "dtype": "float32", "units": 3, "activation": "relu", "use_bias": true,
      "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": null}},
      "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}, "bias_regularizer": null,
      "activity_regularizer": null, "kernel_constraint": null, "bias_constraint": null}}]})";
  const char* training = R"({"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "momentum": 0.0, "decay": 0.5, "nesterov": false}}, "loss": "mean_squared_error", "metrics": ["mae"],
    "sample_weight_mode": null, "loss_weights": null})";
  Tensor kernel = some({4, 3}), bias = some({3}, 2);
  {
    io::H5File f = io::H5File::create(path("old.h5"));
    io::H5Group root = f.root();
    root.set_attr_bytes("model_config", config);
    root.set_attr_bytes("training_config", training);
    root.set_attr_bytes("keras_version", "2.2.4");
    io::H5Group w = root.create_group("model_weights");
    w.set_attr_strings("layer_names", {"dense_1"});
    io::H5Group g = w.create_group("dense_1");
    g.set_attr_strings("weight_names", {"dense_1/kernel:0", "dense_1/bias:0"});
    auto array = [](const Tensor& t) { return io::Array(t.shape(), t.data<float>()); };
    g.write("dense_1/kernel:0", array(kernel));
    g.write("dense_1/bias:0", array(bias));
    f.commit();
  }
  Model m = models::load_model(path("old.h5"));
  expect_same(m.get_weights()[0], kernel);
  expect_same(m.get_weights()[1], bias);
  ASSERT_TRUE(m.compiled());
  EXPECT_EQ(m.input_names(), std::vector<std::string>{"dense_1_input"});
  EXPECT_NEAR(m.optimizer().learning_rate().item(), 0.1, 1e-7);
  m.fit(some({8, 4}), some({8, 3}), {.batch_size = 4, .verbose = 0});
  EXPECT_NEAR(m.optimizer().learning_rate().item(), 0.1 / (1 + 0.5 * 2), 1e-7);
}

// ---- classes of one's own
struct Twice : Layer {
  double factor;
  explicit Twice(double factor = 2) : Layer("Twice"), factor(factor) {}
  Tensor call(const Tensor& x) override { return x * factor; }
  Dict get_config() const override { return {{"factor", factor}}; }
};

TEST_F(Saving, LayersOfOnesOwn) {
  saving::register_keras_serializable("Custom", "Twice", [](const Dict& c) -> Layer { return make<Twice>(c.at("factor").as_float()); });
  Tensor x = Input({3});
  Model m(x, make<Twice>(1.5)(Dense(2)(x)));
  m.save(path("m.keras"));
  Model back = models::load_model(path("m.keras"));
  expect_same(m.predict(some({4, 3})), back.predict(some({4, 3})));
}

struct Net : Model {
  Dense first, second;
  Net() : Model("Net"), first(4, {.activation = "relu"}), second(2) { track("first", first), track("second", second); }
  Tensor call(const Tensor& x) override { return second(first(x)) + first(x).all[0].rank(); }
};

TEST_F(Saving, ModelsOfOnesOwn) {
  saving::register_keras_serializable("Custom", "Net", [](const Dict&) -> Layer { return make<Net>(); });
  Tensor x = some({8, 3}), y = some({8, 2}, 3);
  auto net = make<Net>();
  Model m(net);
  m.compile({.optimizer = "adam", .loss = "mse"});
  m.fit(x, y, {.verbose = 0, .shuffle = false});
  m.save(path("m.keras"));
  io::H5File h5 = io::H5File::from_bytes(io::ZipReader(path("m.keras")).read("model.weights.h5"), "weights");
  EXPECT_TRUE(h5.root().contains("first/vars/1"));
  Model back = models::load_model(path("m.keras"));
  expect_same(m.predict(x), back.predict(x));
  auto a = m.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false}), b = back.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  EXPECT_EQ((*a)["loss"], (*b)["loss"]);
}

TEST_F(Saving, FunctionalFilesOfKeras2) {
  // Calls as [layer, node, tensor, keywords]; a layer called twice; Model for what is now Functional.
  const char* config = R"({"class_name": "Model", "config": {"name": "model_1", "layers": [
    {"name": "input_1", "class_name": "InputLayer", "config": {"batch_input_shape": [null, 4], "dtype": "float32", "sparse": false, "name": "input_1"}, "inbound_nodes": []},
    {"name": "dense_1", "class_name": "Dense", "config": {"name": "dense_1", "trainable": true, "units": 4, "activation": "relu", "use_bias": false}, "inbound_nodes": [[["input_1", 0, 0, {}]], [["dense_1", 0, 0, {}]]]},
    {"name": "add_1", "class_name": "Add", "config": {"name": "add_1", "trainable": true}, "inbound_nodes": [[["dense_1", 0, 0, {}], ["dense_1", 1, 0, {}]]]}],
    "input_layers": [["input_1", 0, 0]], "output_layers": [["add_1", 0, 0]]}})";
  Tensor kernel = some({4, 4});
  io::H5File f = io::H5File::create(path("old.h5"));
  f.root().set_attr_bytes("model_config", config);
  io::H5Group w = f.root().create_group("model_weights");
  w.set_attr_strings("layer_names", {"input_1", "dense_1", "add_1"});
  for (const char* name : {"input_1", "add_1"}) w.create_group(name).set_attr_strings("weight_names", {});
  w.create_group("dense_1").set_attr_strings("weight_names", {"dense_1/kernel:0"});
  w.write("dense_1/dense_1/kernel:0", io::Array(kernel.shape(), kernel.data<float>()));
  f.commit();
  Model m = models::load_model(path("old.h5"));
  EXPECT_FALSE(m.compiled());
  Tensor x = some({5, 4}, 2), h = ops::relu(ops::matmul(x, kernel)), want = h + ops::relu(ops::matmul(h, kernel));
  test::expect_close(m.predict(x), want, 1e-6, 1e-6);
}

TEST_F(Saving, FoldersAreReadAsArchivesAre) {
  Sequential m = mlp();
  m.save(path("m.keras"));
  io::ZipReader zip(path("m.keras"));
  fs::create_directories(path("folder"));
  for (const io::ZipEntry& e : zip.entries()) io::write_file_atomic(path("folder/" + e.name), zip.read(e.name));
  expect_same_weights(m, models::load_model(path("folder")));
}

// ---- files that Keras wrote
Arrays decoded(const test::Case& c, const Value& v) {
  Arrays out;
  auto add = [&](const std::string& name, const Value& e) {
    out.values.push_back(c.tensor(e.get("__array__")));
    if (!name.empty()) out.names.push_back(name);
  };
  if (v.is_list())
    for (const Value& e : v.as_list()) add("", e);
  else if (v.get("__dict__").is_list())
    for (const Value& e : v.get("__dict__").as_list()) add(e.as_list().at(0).as_string(), e.as_list().at(1));
  else add("", v);
  return out;
}

TEST_F(Saving, FilesOfKerasOpenAndPredict) {
  if (test::corpus().empty()) GTEST_SKIP() << "no recorded values here";
  int opened = 0;
  for (const auto& entry : fs::directory_iterator(test::corpus() / "models")) {
    SCOPED_TRACE(entry.path().filename().string());
    test::Case c;
    c.json = io::parse_json(io::read_text_file(entry.path() / "case.json"), "case.json");
    c.arrays = io::read_npz(entry.path() / "data.npz");
    Arrays x = decoded(c, c.json.get("x"));
    auto check = [&](const Model& m, const char* key) {
      Arrays want = decoded(c, c.json.get(key));
      Tensors got = m.predict_all(x, {.batch_size = 8});
      ASSERT_EQ(got.size(), want.values.size());
      for (size_t i = 0; i < want.values.size(); ++i) {
        size_t at = i;
        std::vector<std::string> names = m.output_names();
        if (!want.names.empty()) at = static_cast<size_t>(std::find(names.begin(), names.end(), want.names[i]) - names.begin());
        ASSERT_LT(at, got.size()) << want.names[i];
        test::expect_close(got[at], want.values[i], c.tolerance("rtol", 1e-4), c.tolerance("atol", 1e-5));
      }
    };
    for (const char* file : {"model.keras", "trained.keras", "model.h5"}) {
      if (!fs::exists(entry.path() / file)) continue;
      SCOPED_TRACE(file);
      Model m;
      try {
        m = models::load_model(entry.path() / file);
        ++opened;
      } catch (const Error& e) {
        // Models of layers that are not here yet are refused by name, which is all that is asked of them.
        if (std::string(e.what()).find("Unknown layer class") == std::string::npos) ADD_FAILURE() << e.what();
        continue;
      }
      check(m, file == std::string_view("trained.keras") ? "predict_after" : "predict");
      if (file != std::string_view("model.keras")) continue;
      // Its weights alone, into a model of the same JSON; and saved by us and read again.
      Model fresh = models::model_from_json(m.to_json());
      fresh.load_weights(entry.path() / "model.weights.h5");
      check(fresh, "predict");
      m.save(path("again.keras"));
      check(models::load_model(path("again.keras")), "predict");
    }
  }
  EXPECT_GT(opened, 0);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
}

}  // namespace
}  // namespace keras
