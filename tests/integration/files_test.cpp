// What lives here: what files tell and how they travel: inspect, diff, verify, shards, shared layers, assets, tf.keras' words, and what damaged files do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include <keras/base/warning.h>
#include <keras/layers/activations/activations.h>
#include <keras/layers/core/activation.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/merging/merge.h>
#include <keras/layers/normalization/batch_normalization.h>
#include <keras/layers/rnn/gru.h>
#include <keras/layers/rnn/lstm.h>
#include <keras/layers/rnn/time_distributed.h>
#include <keras/models/model.h>
#include <keras/ops.h>
#include <keras/random.h>
#include <keras/saving.h>
#include <keras/saving/diff.h>
#include <keras/saving/inspect.h>
#include <keras/saving/verify.h>
#include <keras/utils.h>

#include "io/file.h"
#include "io/hdf5.h"
#include "io/json.h"
#include "io/zip.h"
#include "layers/layer_impl.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using layers::Dense;
using saving::ClassFinding;
using saving::FileReport;
using saving::WeightFinding;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Files : ::testing::Test {
  fs::path dir = fs::temp_directory_path() / ("keras_files_" + std::to_string(::getpid()));
  std::vector<std::string> warnings;
  WarningHandler before;
  void SetUp() override {
    fs::remove_all(dir);
    fs::create_directories(dir);
    utils::clear_session();
    utils::set_random_seed(5);
    before = set_warning_handler([this](const std::string& w) { warnings.push_back(w); });
  }
  void TearDown() override {
    set_warning_handler(before);
    fs::remove_all(dir);
  }
  std::string path(const std::string& name) const { return dir / name; }
  static Tensor some(Shape s, int salt = 1) {
    std::vector<float> v;
    for (int64_t i = 0; i < s.numel(); ++i) v.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i + 1) * salt)));
    return Tensor::from(v, s);
  }
  static Sequential mlp() {
    Sequential m({Input({4}), Dense(5, {.activation = "relu", .name = "first"}), layers::BatchNormalization(), Dense(3, {.name = "head"})}, {.name = "mlp"});
    m.compile({.optimizer = "adam", .loss = "mse"});
    return m;
  }
  static std::vector<float> floats(const Tensor& t) { return t.to_vector<float>(); }
  template <class F> static std::string error_of(F&& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  /// The archive with another config.json, and perhaps without or with other members.
  std::string edited(const std::string& from, const std::string& to, const std::function<std::string(std::string)>& config, const std::vector<std::pair<std::string, std::string>>& more = {}, const std::string& without = "") {
    io::ZipReader in(path(from));
    io::ZipWriter out;
    for (const io::ZipEntry& e : in.entries()) {
      if (e.name == without) continue;
      if (e.name == "config.json") out.add_text(e.name, config(in.read_text(e.name)));
      else out.add(e.name, in.read(e.name));
    }
    for (const auto& [name, text] : more) out.add_text(name, text);
    out.write(path(to));
    return path(to);
  }
  static std::string with(std::string s, const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = s.find(from, at)) != std::string::npos; at += to.size()) s.replace(at, from.size(), to);
    return s;
  }
};

// ---- inspect
TEST_F(Files, AWholeFileIsKnownAndLoads) {
  Sequential m = mlp();
  m.fit(some({8, 4}), some({8, 3}, 2), {.verbose = 0});
  m.save(path("m.keras"));
  FileReport r = saving::inspect(path("m.keras"));
  EXPECT_TRUE(r.loads) << r.str();
  EXPECT_EQ(r.format, ".keras");
  EXPECT_EQ(r.keras_version, "3.15.1");
  EXPECT_FALSE(r.date_saved.empty());
  EXPECT_TRUE(r.compiled);
  EXPECT_THAT(r.problems, IsEmpty());
  ASSERT_EQ(r.classes.size(), 5u);  // the model, its input, three layers
  for (const ClassFinding& f : r.classes) EXPECT_EQ(f.status, ClassFinding::Known) << f.name << f.note;
  size_t of_layers = 0;
  for (const WeightFinding& f : r.weights) {
    EXPECT_EQ(f.status, WeightFinding::Loaded) << f.path;
    of_layers += f.path.rfind("layers/", 0) == 0;
  }
  EXPECT_EQ(of_layers, 8u);
  EXPECT_EQ(r.weights[0].path, "layers/dense/vars/0");
  EXPECT_EQ(r.weights[0].expected, (Shape{4, 5}));
  Value v = io::parse_json(io::to_json(r.to_value()), "report");
  EXPECT_EQ(v.get("loads"), Value(true));
  EXPECT_EQ(v.get("weights").as_list()[0].get("status"), Value("loaded"));
  EXPECT_THAT(r.str(), AllOf(HasSubstr("Keras 3.15.1"), HasSubstr("it loads")));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Files, EveryUnknownLayerIsToldAtOnce) {
  mlp().save(path("m.keras"));
  std::string bad = edited("m.keras", "bad.keras", [&](std::string s) {
    s = with(s, "\"class_name\": \"BatchNormalization\"", "\"class_name\": \"BatchNormalisation\"");
    s = with(s, "\"activation\": \"relu\"", "\"activation\": \"my_own\"");
    return with(s, "\"units\": 3", "\"units\": \"three\"");
  });
  FileReport r = saving::inspect(bad);
  EXPECT_FALSE(r.loads);
  std::map<std::string, ClassFinding> by_class;
  for (const ClassFinding& f : r.classes)
    if (!f.fits()) by_class[f.class_name] = f;
  ASSERT_EQ(by_class.size(), 3u) << r.str();
  EXPECT_EQ(by_class["BatchNormalisation"].status, ClassFinding::Unknown);
  EXPECT_THAT(by_class["BatchNormalisation"].fix, HasSubstr("register_layer(\"BatchNormalisation\""));
  EXPECT_THAT(by_class["BatchNormalisation"].note, HasSubstr("did you mean 'BatchNormalization'"));
  EXPECT_EQ(by_class["my_own"].kind, "activation");
  EXPECT_EQ(by_class["my_own"].status, ClassFinding::Unknown);
  EXPECT_EQ(by_class["Dense"].status, ClassFinding::Damaged);
  EXPECT_EQ(by_class["Dense"].name, "head");
  // The weights are listed with the layers that they would belong to.
  bool told = false;
  for (const WeightFinding& f : r.weights) told |= f.status == WeightFinding::Unchecked && f.path == "layers/dense_1/vars/0" && f.owner == "layer \"head\" (Dense)";
  EXPECT_TRUE(told);
  // Loading says the same, in one error.
  EXPECT_THAT(error_of([&] { models::load_model(bad); }), AllOf(HasSubstr("3 parts"), HasSubstr("BatchNormalisation"), HasSubstr("my_own"), HasSubstr("head"), HasSubstr("bad.keras")));
}

TEST_F(Files, CodeIsRefusedByNameAndReplacedByName) {
  Sequential m({Input({4}), layers::Activation("tanh", {.name = "twice"}), Dense(2, {.name = "head"})});
  m.save(path("m.keras"));
  auto lambda = [&](const std::string& name, const std::string& as) {
    return edited("m.keras", as, [&](std::string s) {
      s = with(s, "\"class_name\": \"Activation\"", "\"class_name\": \"Lambda\"");
      s = with(s, "\"activation\": \"tanh\"", "\"function\": {\"class_name\": \"__lambda__\", \"config\": {\"value\": \"4wEAAAA=\"}}, \"arguments\": {}");
      return with(s, "\"twice\"", "\"" + name + "\"");
    });
  };
  FileReport r = saving::inspect(lambda("twice", "l.keras"));
  ASSERT_EQ(r.problems.size(), 1u) << r.str();
  EXPECT_THAT(r.problems[0], AllOf(HasSubstr("twice"), HasSubstr("Lambda"), HasSubstr("register_keras_serializable(\"Lambda\", \"twice\"")));
  EXPECT_THAT(error_of([&] { models::load_model(path("l.keras")); }), AllOf(HasSubstr("twice"), HasSubstr("nothing in a file is executed"), HasSubstr("register_keras_serializable(\"Lambda\", \"twice\"")));
  // The line that it names does what it says.
  saving::register_keras_serializable("Lambda", "registered_twice", [](const Dict&) { return layers::Activation("tanh"); });
  Model again = models::load_model(lambda("registered_twice", "r.keras"));
  EXPECT_EQ(floats(again.predict(some({3, 4}))), floats(m.predict(some({3, 4}))));
  EXPECT_TRUE(saving::inspect(path("r.keras")).loads);
  // A function in an option.
  std::string option = edited("m.keras", "o.keras", [&](std::string s) { return with(s, "\"activation\": \"linear\"", "\"activation\": {\"class_name\": \"__lambda__\", \"config\": {\"value\": \"4wEAAAA=\"}}"); });
  EXPECT_THAT(saving::inspect(option).problems[0], AllOf(HasSubstr("lambda"), HasSubstr("head")));
}

TEST_F(Files, EveryWeightIsTold) {
  // The architecture of one model, the weights of another.
  auto two = [](int64_t units, bool bias) { return Sequential({Input({4}), Dense(units, {.name = "first"}), Dense(3, {.use_bias = bias, .name = "head"})}); };
  two(5, true).save(path("a.keras"));
  two(6, false).save(path("b.keras"));
  io::ZipReader a(path("a.keras")), b(path("b.keras"));
  io::ZipWriter out;
  out.add_text("config.json", a.read_text("config.json"));
  out.add("model.weights.h5", b.read("model.weights.h5"));
  out.write(path("mixed.keras"));
  FileReport r = saving::inspect(path("mixed.keras"));
  EXPECT_FALSE(r.loads);
  std::map<WeightFinding::Status, int> counts;
  for (const WeightFinding& f : r.weights) ++counts[f.status];
  EXPECT_EQ(counts[WeightFinding::Misshapen], 3) << r.str();
  EXPECT_EQ(counts[WeightFinding::Missing], 1);
  EXPECT_EQ(counts[WeightFinding::Surplus], 0);
  EXPECT_EQ(r.problems.size(), 4u);
  EXPECT_THAT(error_of([&] { models::load_model(path("mixed.keras")); }), AllOf(HasSubstr("4 weights"), HasSubstr("missing: layers/dense_1/vars/1"), HasSubstr("needs (4, 5), the file has (4, 6)")));
}

TEST_F(Files, WeightsAreComparedWithAnArchitecture) {
  Sequential m = mlp();
  m.save_weights(path("m.weights.h5"));
  io::write_file_atomic(path("m.json"), m.to_json());
  m.save(path("m.keras"));
  m.save(path("m.h5"));
  FileReport alone = saving::inspect(path("m.weights.h5"));
  EXPECT_TRUE(alone.loads);
  EXPECT_FALSE(alone.has_model);
  for (const WeightFinding& f : alone.weights) EXPECT_EQ(f.status, WeightFinding::Unchecked);
  for (const char* arch : {"m.json", "m.keras", "m.h5"}) {
    FileReport r = saving::inspect(path("m.weights.h5"), {.architecture = path(arch)});
    EXPECT_TRUE(r.loads) << r.str();
    EXPECT_EQ(r.weights.at(0).status, WeightFinding::Loaded);
  }
  io::write_file_atomic(path("wide.json"), with(m.to_json(), "\"units\": 5", "\"units\": 7"));
  EXPECT_FALSE(saving::inspect(path("m.weights.h5"), {.architecture = path("wide.json")}).loads);
  FileReport legacy = saving::inspect(path("m.h5"));
  EXPECT_TRUE(legacy.loads) << legacy.str();
  EXPECT_EQ(legacy.format, "legacy .h5");
  EXPECT_EQ(legacy.backend, "jax");
  EXPECT_TRUE(saving::inspect(path("m.json")).loads);
}

TEST_F(Files, PickledWeightsAndOddMembers) {
  mlp().save(path("m.keras"));
  auto same = [](std::string s) { return s; };
  std::string pickled = edited("m.keras", "p.keras", same, {{"model.weights.npz", "PK"}}, "model.weights.h5");
  EXPECT_THAT(error_of([&] { models::load_model(pickled); }), AllOf(HasSubstr("pickled"), HasSubstr("p.keras")));
  EXPECT_FALSE(saving::inspect(pickled).loads);
  // Members that nobody knows do no harm.
  std::string more = edited("m.keras", "more.keras", same, {{"assets/summary_plot.png", "png"}, {"README.md", "hello"}});
  EXPECT_TRUE(saving::inspect(more).loads);
  EXPECT_EQ(floats(models::load_model(more).predict(some({2, 4}))), floats(models::load_model(path("m.keras")).predict(some({2, 4}))));
}

// ---- shards
TEST_F(Files, ShardsTravel) {
  Sequential m = mlp();
  m.fit(some({8, 4}), some({8, 3}, 2), {.verbose = 0});
  double limit = 150.0 / (1024.0 * 1024 * 1024);  // bytes
  m.save_weights(path("m.weights.json"), {.max_shard_size = limit});
  Value map = io::parse_json(io::read_text_file(path("m.weights.json")), "map");
  EXPECT_GT(map.get("metadata").get("total_size").as_float(), 0);
  EXPECT_TRUE(map.get("weight_map").get("/layers/dense/vars").is_string());
  EXPECT_TRUE(fs::exists(path("m_00000.weights.h5")) && fs::exists(path("m_00001.weights.h5")));
  for (const auto& e : fs::directory_iterator(dir)) EXPECT_EQ(e.path().filename().string().find("tmp"), std::string::npos) << e.path();
  utils::set_random_seed(77);
  Sequential fresh = mlp();
  fresh.optimizer().build(fresh.trainable_weights());
  fresh.load_weights(path("m.weights.json"));
  EXPECT_EQ(floats(fresh.predict(some({3, 4}))), floats(m.predict(some({3, 4}))));
  EXPECT_EQ(fresh.optimizer().iterations().value().astype(DType::Int32).to_vector<int32_t>(), (std::vector<int32_t>{1}));
  EXPECT_TRUE(saving::inspect(path("m.weights.json")).loads);
  // A weight larger than a shard is named, and nothing appears.
  EXPECT_THAT(error_of([&] { m.save_weights(path("n.weights.json"), {.max_shard_size = limit / 10}); }), AllOf(HasSubstr("layers/"), HasSubstr("max_shard_size")));
  EXPECT_FALSE(fs::exists(path("n.weights.json")) || fs::exists(path("n_00000.weights.h5")));
  EXPECT_THAT(error_of([&] { m.save_weights(path("n.weights.json")); }), HasSubstr("max_shard_size"));
}

TEST_F(Files, DamagedShardsAreNamed) {
  Sequential m = mlp();
  m.save_weights(path("m.weights.json"), {.max_shard_size = 150.0 / (1024.0 * 1024 * 1024)});
  std::string map = io::read_text_file(path("m.weights.json"));
  std::vector<float> kept = floats(m.predict(some({3, 4})));
  auto load = [&](const std::string& text) {
    io::write_file_atomic(path("m.weights.json"), text);
    return error_of([&] { m.load_weights(path("m.weights.json")); });
  };
  for (const char* evil : {"../m_00000.weights.h5", "/etc/passwd", "..", ".", "", "a\\\\b"}) EXPECT_THAT(load(with(map, "m_00000.weights.h5", evil)), HasSubstr("m.weights.json")) << evil;
  EXPECT_THAT(load(with(map, "m_00000.weights.h5", "none.h5")), HasSubstr("none.h5"));
  EXPECT_THAT(load(with(map, "/layers/dense/vars", "/layers/other/vars")), HasSubstr("layers/other/vars"));
  EXPECT_THAT(load("{\"weight_map\": []}"), HasSubstr("no map"));
  EXPECT_THAT(load("{\"weight_map\": {\"/vars\": 3}}"), HasSubstr("m.weights.json"));
  EXPECT_THAT(load(map.substr(0, map.size() / 2)), HasSubstr("m.weights.json"));
  // One shard that says what another says, too.
  fs::copy_file(path("m_00000.weights.h5"), path("m_00001.weights.h5"), fs::copy_options::overwrite_existing);
  EXPECT_THAT(load(map), Not(IsEmpty()));
  EXPECT_EQ(floats(m.predict(some({3, 4}))), kept);
  EXPECT_FALSE(saving::inspect(path("m.weights.json")).loads);
}

// ---- one object in two places
TEST_F(Files, ALayerInTwoWrappersIsOneAgain) {
  Tensor x = Input({6, 3});
  Dense shared(3, {.name = "shared"});
  Tensor y = layers::TimeDistributed(shared, {.name = "a"})(x);
  y = layers::TimeDistributed(shared, {.name = "b"})(y);
  Model m(x, y);
  EXPECT_EQ(m.count_params(), 12);
  m.save(path("m.keras"));
  EXPECT_THAT(io::ZipReader(path("m.keras")).read_text("config.json"), HasSubstr("shared_object_id"));
  Model back = models::load_model(path("m.keras"));
  EXPECT_EQ(back.count_params(), 12);
  EXPECT_EQ(floats(back.predict(some({2, 6, 3}))), floats(m.predict(some({2, 6, 3}))));
  // Nothing is shared, nothing is numbered.
  mlp().save(path("n.keras"));
  EXPECT_THAT(io::ZipReader(path("n.keras")).read_text("config.json"), Not(HasSubstr("shared_object_id")));
  // Two classes with one number.
  std::string config = io::ZipReader(path("m.keras")).read_text("config.json");
  size_t last = config.rfind("\"class_name\": \"Dense\"");
  std::string bad = edited("m.keras", "bad.keras", [&](std::string s) { return s.replace(last, 21, "\"class_name\": \"ReLU\""); });
  EXPECT_THAT(error_of([&] { models::load_model(bad); }), HasSubstr("shared_object_id"));
}

// ---- assets and values of a layer's own
struct Remembering : layers::LayerImpl {
  std::string text = "nothing";
  Tensor table = Tensor::full({2}, 0);
  explicit Remembering(const std::string& name) { init("Remembering", name, true, std::nullopt), registered_name_ = "Test>Remembering"; }
  Tensors call(const layers::Call& c) override { return {c.input()}; }
  Assets save_assets() const override { return {{"vocabulary.txt", text}}; }
  void load_assets(const Assets& a) override { text = a.at(0).first + ":" + a.at(0).second; }
  Store save_own_variables() const override { return {{"table", table}}; }
  void load_own_variables(const Store& s) override { table = s.at(0).second; }
};
TEST_F(Files, AssetsOfLayers) {
  saving::register_keras_serializable("Test", "Remembering", [](const Dict& c) { return Layer(std::make_shared<Remembering>(c.at("name").as_string())); });
  auto layer = std::make_shared<Remembering>("memory");
  layer->text = "words", layer->table = some({2});
  Sequential m({Input({2}), Layer(layer), Dense(1)});
  m.save(path("m.keras"));
  EXPECT_EQ(io::ZipReader(path("m.keras")).read_text("assets/layers/remembering/vocabulary.txt"), "words");
  Model back = models::load_model(path("m.keras"));
  auto& again = dynamic_cast<Remembering&>(*back.get_layer("memory").impl());
  EXPECT_EQ(again.text, "vocabulary.txt:words");
  EXPECT_EQ(floats(again.table), floats(some({2})));
  // Also from a folder of the same parts.
  io::ZipReader zip(path("m.keras"));
  for (const io::ZipEntry& e : zip.entries()) {
    fs::create_directories(fs::path(path("folder/" + e.name)).parent_path());
    io::write_file_atomic(path("folder/" + e.name), zip.read(e.name));
  }
  EXPECT_EQ(dynamic_cast<Remembering&>(*models::load_model(path("folder")).get_layer("memory").impl()).text, "vocabulary.txt:words");
}

// ---- diff
TEST_F(Files, DiffOfAModelWithItself) {
  Sequential m = mlp();
  m.save(path("m.keras"));
  Model other = models::load_model(path("m.keras"));
  saving::DiffReport r = saving::diff(m, other);
  EXPECT_TRUE(r.same) << r.str();
  EXPECT_EQ(r.weights.size(), 8u);
  EXPECT_EQ(r.layers_compared, 3u);
  EXPECT_THAT(r.str(), HasSubstr("8 of 8 weights are the same"));
}

TEST_F(Files, DiffNamesWhatDiffers) {
  auto make = [](double slope, int64_t units) {
    Tensor x = Input({4}, {.name = "in"});
    Sequential inner({Input({4}), Dense(4, {.name = "inside"})}, {.name = "inner"});
    Tensor h = layers::LeakyReLU({.negative_slope = slope})(inner(x));
    return Model(x, Dense(units, {.name = "head"})(h));
  };
  utils::set_random_seed(1);
  Model a = make(0.1, 3);
  utils::set_random_seed(1);
  Model b = make(0.2, 3);
  saving::DiffReport r = saving::diff(a, b);
  EXPECT_FALSE(r.same);
  ASSERT_EQ(r.layers.size(), 1u) << r.str();
  EXPECT_THAT(r.layers[0].changes[0], HasSubstr("negative_slope: 0.1"));
  ASSERT_TRUE(r.departure);
  EXPECT_THAT(r.departure->layer, HasSubstr("leaky_re_lu"));
  // A weight inside of a nested model.
  utils::set_random_seed(1);
  Model c = make(0.1, 3);
  Variable kernel = Model(c.get_layer("inner")).get_layer("inside").weights()[0];
  kernel.assign(kernel.value() + Tensor::full(kernel.shape(), 0.5));
  r = saving::diff(a, c, {.input = some({2, 4})});
  ASSERT_TRUE(r.departure);
  EXPECT_EQ(r.departure->layer, "inner/inside");
  EXPECT_THAT(r.layers, IsEmpty());
  size_t different = 0;
  for (const auto& w : r.weights)
    if (w.status == saving::DiffReport::Weight::Differs) {
      ++different;
      EXPECT_NEAR(w.max_abs, 0.5, 1e-6);
    }
  EXPECT_EQ(different, 1u);
  EXPECT_TRUE(saving::diff(a, c, {.input = some({2, 4}), .tolerance = 10}).same);
  // Shapes and layers.
  Model d = make(0.1, 5);
  r = saving::diff(a, d);
  EXPECT_THAT(r.str(), AllOf(HasSubstr("units: 3 → 5"), HasSubstr("(4, 3) → (4, 5)")));
  r = saving::diff(mlp(), Sequential({Input({4}), Dense(5, {.activation = "relu", .name = "first"}), Dense(3, {.name = "head"})}));
  EXPECT_THAT(r.str(), HasSubstr("- layer \"batch_normalization"));
  EXPECT_FALSE(io::to_json(r.to_value()).empty());
}

// ---- verify
TEST_F(Files, GoldenValuesHoldAndDepart) {
  Sequential m = mlp();
  m.fit(some({8, 4}), some({8, 3}, 2), {.verbose = 0});
  m.save(path("m.keras"), {.golden = some({3, 4})});
  saving::VerifyReport r = saving::verify(path("m.keras"));
  EXPECT_TRUE(r.holds) << r.str();
  EXPECT_EQ(r.layers, 3u);
  EXPECT_EQ(r.outputs, 1u);
  EXPECT_THAT(saving::inspect(path("m.keras")).notes, ::testing::Contains(HasSubstr("keras verify")));
  EXPECT_EQ(floats(models::load_model(path("m.keras")).predict(some({3, 4}))), floats(m.predict(some({3, 4}))));
  // Another activation in the middle.
  edited("m.keras", "bad.keras", [&](std::string s) { return with(s, "\"activation\": \"relu\"", "\"activation\": \"tanh\""); });
  r = saving::verify(path("bad.keras"));
  EXPECT_FALSE(r.holds);
  EXPECT_EQ(r.departure->layer, "first");
  EXPECT_THAT(r.str(), HasSubstr("first"));
  // Other weights at the end.
  Model other = models::load_model(path("m.keras"));
  Variable bias = other.get_layer("head").weights()[1];
  bias.assign(bias.value() + Tensor::full({3}, 1.0));
  other.save(path("w.keras"));
  io::ZipReader golden(path("m.keras"));
  io::ZipWriter mixed;
  for (const io::ZipEntry& e : golden.entries()) mixed.add(e.name, e.name == "model.weights.h5" ? io::ZipReader(path("w.keras")).read(e.name) : golden.read(e.name));
  mixed.write(path("mixed.keras"));
  EXPECT_EQ(saving::verify(path("mixed.keras")).departure->layer, "head");
  EXPECT_TRUE(saving::verify(path("mixed.keras"), {.tolerance = 100}).holds);
  // No trace, and no place for one.
  EXPECT_THAT(error_of([&] { saving::verify(path("w.keras")); }), HasSubstr("no trace"));
  EXPECT_THAT(error_of([&] { m.save(path("m.h5"), {.golden = some({3, 4})}); }), HasSubstr(".keras"));
  EXPECT_THAT(error_of([&] { m.save(path("n.keras"), {.golden = Tensors{some({3, 4}), some({3, 4})}}); }), HasSubstr("inputs"));
  // A damaged trace.
  for (const char* text : {"{", "[]", "{\"format\": 2}", "{\"format\": 1}", "{\"format\": 1, \"layers\": [{}], \"inputs\": 1, \"outputs\": 1}", "{\"format\": 1, \"layers\": [], \"inputs\": -3}", "{\"format\": 1, \"layers\": [], \"inputs\": 99999, \"outputs\": 1}"}) {
    io::ZipWriter out;
    for (const io::ZipEntry& e : golden.entries()) e.name == "golden/trace.json" ? out.add_text(e.name, text) : out.add(e.name, golden.read(e.name));
    out.write(path("t.keras"));
    try {
      EXPECT_FALSE(saving::verify(path("t.keras")).holds) << text;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("t.keras")) << text;
    }
  }
}

// ---- Keras 2's words
Value json(const char* text) { return io::parse_json(text, "test"); }

TEST_F(Files, CuDnnLayersOfKeras2) {
  // CuDNNLSTM keeps each gate's block transposed, and two biases.
  for (bool gru : {false, true}) {
    SCOPED_TRACE(gru);
    const int64_t units = 3, features = 2, gates = gru ? 3 : 4;
    Sequential m({Input({5, features})});
    if (gru) m.add(layers::GRU(units));
    else m.add(layers::LSTM(units));
    std::vector<float> kernel = floats(some({features, gates * units})), recurrent = floats(some({units, gates * units}, 2)), in_bias = floats(some({gates * units}, 3)), rec_bias = floats(some({gates * units}, 4));
    std::vector<float> sum, both = in_bias;
    for (size_t i = 0; i < in_bias.size(); ++i) sum.push_back(in_bias[i] + rec_bias[i]);
    both.insert(both.end(), rec_bias.begin(), rec_bias.end());
    m.layers()[0].set_weights({Tensor::from(kernel, {features, gates * units}), Tensor::from(recurrent, {units, gates * units}), gru ? Tensor::from(both, {2, gates * units}) : Tensor::from(sum, {gates * units})});
    auto transposed = [&](const std::vector<float>& v, int64_t rows) {
      std::vector<float> out(v.size());
      for (int64_t g = 0; g < gates; ++g)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < units; ++c) {
            int64_t flat = c * rows + r;
            out[static_cast<size_t>(flat / units * gates * units + g * units + flat % units)] = v[static_cast<size_t>(r * gates * units + g * units + c)];
          }
      return out;
    };
    io::H5File f = io::H5File::create(path("old.h5"));
    std::string cls = gru ? "CuDNNGRU" : "CuDNNLSTM";
    f.root().set_attr("keras_version", "2.2.4");
    f.root().set_attr_bytes("model_config", R"({"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": ")" + cls + R"(", "config": {"name": "rnn", "trainable": true, "batch_input_shape": [null, 5, 2], "dtype": "float32", "return_sequences": false, "return_state": false, "go_backwards": false, "stateful": false, "units": 3, "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": null}}, "unit_forget_bias": true}}]}})");
    io::H5Group w = f.root().create_group("model_weights");
    w.set_attr_strings("layer_names", {"rnn"});
    w.create_group("rnn").set_attr_strings("weight_names", {"rnn/kernel:0", "rnn/recurrent_kernel:0", "rnn/bias:0"});
    w.write("rnn/rnn/kernel:0", io::Array(Shape{features, gates * units}, transposed(kernel, features)));
    w.write("rnn/rnn/recurrent_kernel:0", io::Array(Shape{units, gates * units}, transposed(recurrent, units)));
    w.write("rnn/rnn/bias:0", io::Array(Shape{2 * gates * units}, both));
    f.commit();
    FileReport r = saving::inspect(path("old.h5"));
    EXPECT_TRUE(r.loads) << r.str();
    EXPECT_EQ(r.keras_version, "2.2.4");
    EXPECT_THAT(r.str(), AllOf(HasSubstr("approximated"), HasSubstr(cls)));
    std::vector<float> got = floats(models::load_model(path("old.h5")).predict(some({4, 5, 2}))), want = floats(m.predict(some({4, 5, 2})));
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
  }
}

TEST_F(Files, OperationsOfTensorFlowBetweenLayers) {
  const char* text = R"({"class_name": "Functional", "config": {"name": "m", "layers": [
    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 4], "dtype": "float32", "sparse": false, "ragged": false, "name": "x"}, "name": "x", "inbound_nodes": []},
    {"class_name": "TFOpLambda", "config": {"name": "tf.math.multiply", "trainable": true, "dtype": "float32", "function": "math.multiply"}, "name": "tf.math.multiply", "inbound_nodes": [["x", 0, 0, {"y": 2.0, "name": null}]]},
    {"class_name": "TFOpLambda", "config": {"name": "tf.__operators__.add", "trainable": true, "dtype": "float32", "function": "__operators__.add"}, "name": "tf.__operators__.add", "inbound_nodes": [["tf.math.multiply", 0, 0, {"y": ["x", 0, 0], "name": null}]]},
    {"class_name": "TFOpLambda", "config": {"name": "tf.math.reduce_mean", "trainable": true, "dtype": "float32", "function": "math.reduce_mean"}, "name": "tf.math.reduce_mean", "inbound_nodes": [["tf.__operators__.add", 0, 0, {"axis": -1, "keepdims": true}]]}],
    "input_layers": [["x", 0, 0]], "output_layers": [["tf.math.reduce_mean", 0, 0]]}})";
  Model m = models::model_from_json(text);
  std::vector<float> got = floats(m.predict(some({3, 4}))), want = floats(ops::mean(some({3, 4}) * 3.0f, {-1}, true));
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
  // One that has no like is unknown by name.
  EXPECT_THAT(error_of([&] { models::model_from_json(with(text, "math.reduce_mean", "raw_ops.Strange")); }), HasSubstr("TFOpLambda"));
}

TEST_F(Files, LegacyFilesHaveKeras2sWords) {
  Tensor x = Input({6, 3}, {.name = "x"});
  Tensor y = layers::LSTM(4, {.return_sequences = true, .name = "lstm"})(x);
  y = layers::Add({.name = "add"})({y, layers::TimeDistributed(Dense(4), {.name = "td"})(y)});
  Model m(x, layers::LeakyReLU({.negative_slope = 0.2, .name = "leaky"})(y));
  m.compile({.optimizer = "adam", .loss = "mse", .metrics = {"mae"}});
  m.fit(some({4, 6, 3}), some({4, 6, 4}, 2), {.verbose = 0});
  m.save(path("m.h5"));
  Value config = io::parse_json(io::H5File::open(path("m.h5")).root().attr_string("model_config"), "model_config");
  const List& layers = config.get("config").get("layers").as_list();
  EXPECT_EQ(layers[0].get("config").get("batch_input_shape").as_shape(), (Shape{None, 6, 3}));
  EXPECT_EQ(layers[1].get("inbound_nodes"), json(R"([[["x", 0, 0, {}]]])"));
  EXPECT_EQ(layers[1].get("config").get("dtype"), Value("float32"));
  EXPECT_FALSE(layers[1].get("config").as_dict().contains("seed"));
  EXPECT_EQ(config.get("config").get("input_layers"), json(R"([["x", 0, 0]])"));
  Model back = models::load_model(path("m.h5"));
  EXPECT_EQ(floats(back.predict(some({4, 6, 3}))), floats(m.predict(some({4, 6, 3}))));
  auto a = m.fit(some({4, 6, 3}), some({4, 6, 4}, 2), {.verbose = 0}), b = back.fit(some({4, 6, 3}), some({4, 6, 4}, 2), {.verbose = 0});
  EXPECT_EQ((*a)["loss"], (*b)["loss"]);
  EXPECT_THAT(warnings, IsEmpty());
}

// What tf.keras 2.21 wrote after two steps, and its weights after two more.
TEST_F(Files, StatesOfTheOptimizersThatTfKerasHasSince211) {
  const char* const records[] = {
    R"({"optimizer": {"class_name": "Custom>AdamW", "config": {"name": "AdamW", "weight_decay": 0.02, "clipnorm": null, "global_clipnorm": null, "clipvalue": null, "use_ema": false, "ema_momentum": 0.99, "ema_overwrite_frequency": null, "jit_compile": false, "is_legacy_optimizer": false, "learning_rate": 0.009999999776482582, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": false}},
        "state": [["iteration:0", [2.0], []], ["AdamW/m/d/kernel:0", [0.140990004, 0.154505], [2, 1]], ["AdamW/v/d/kernel:0", [0.00125899806, 0.00406099949], [2, 1]], ["AdamW/m/d/bias:0", [0.0390099995], [1]], ["AdamW/v/d/bias:0", [0.00125899806], [1]]],
        "weights": [[0.480451882, 0.484096855], [-0.0125849862]], "then": [[0.461264104, 0.470804036], [-0.0203935895]]})",
    R"({"optimizer": {"class_name": "Custom>Lion", "config": {"name": "Lion", "weight_decay": null, "clipnorm": null, "global_clipnorm": null, "clipvalue": null, "use_ema": false, "ema_momentum": 0.99, "ema_overwrite_frequency": null, "jit_compile": false, "is_legacy_optimizer": false, "learning_rate": 0.009999999776482582, "beta_1": 0.9, "beta_2": 0.99}},
        "state": [["iteration:0", [2.0], []], ["Lion/m/d/kernel:0", [0.0149999857, 0.0172499828], [2, 1]], ["Lion/m/d/bias:0", [0.00479999557], [1]]],
        "weights": [[0.480000019, 0.5], [0.0]], "then": [[0.460000038, 0.480000019], [0.0]]})",
    R"({"optimizer": {"class_name": "Custom>Adafactor", "config": {"name": "Adafactor", "weight_decay": null, "clipnorm": null, "global_clipnorm": null, "clipvalue": null, "use_ema": false, "ema_momentum": 0.99, "ema_overwrite_frequency": null, "jit_compile": false, "is_legacy_optimizer": false, "learning_rate": 0.10000000149011612, "beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 0.001, "clip_threshold": 1.0, "relative_step": true}},
        "state": [["iteration:0", [2.0], []], ["Adafactor/r/d/kernel:0", [0.542059958, 1.73170567], [2]], ["Adafactor/c/d/kernel:0", [1.13688278], [1]], ["Adafactor/v/d/kernel:0", [0.542059958, 1.73170567], [2, 1]], ["Adafactor/v/d/bias:0", [0.542059958], [1]]],
        "weights": [[0.422483414, 0.457697511], [-3.88520639e-05]], "then": [[0.358195037, 0.41929996], [-7.71978521e-05]]})",
    R"({"optimizer": {"class_name": "Custom>Adam", "config": {"name": "Adam", "weight_decay": null, "clipnorm": null, "global_clipnorm": null, "clipvalue": null, "use_ema": true, "ema_momentum": 0.9, "ema_overwrite_frequency": null, "jit_compile": false, "is_legacy_optimizer": false, "learning_rate": 0.009999999776482582, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": false}},
        "state": [["iteration:0", [2.0], []], ["Adam/average/d/kernel:0", [0.497164935, 0.497529507], [2, 1]], ["Adam/average/d/bias:0", [-0.00215861294], [1]], ["Adam/m/d/kernel:0", [0.141000003, 0.154500008], [2, 1]], ["Adam/v/d/kernel:0", [0.00125909992, 0.0040610251], [2, 1]], ["Adam/m/d/bias:0", [0.0390000045], [1]], ["Adam/v/d/bias:0", [0.00125909992], [1]]],
        "weights": [[0.497164935, 0.497529507], [-0.00215861294]], "then": [[0.494397938, 0.495512724], [-0.00350126019]]})",
    R"({"optimizer": {"class_name": "Custom>SGD", "config": {"name": "SGD", "weight_decay": null, "clipnorm": null, "global_clipnorm": null, "clipvalue": null, "use_ema": true, "ema_momentum": 0.9, "ema_overwrite_frequency": 3, "jit_compile": false, "is_legacy_optimizer": false, "learning_rate": 0.009999999776482582, "momentum": 0.0, "nesterov": false}},
        "state": [["iteration:0", [2.0], []], ["SGD/average/d/kernel:0", [0.497579992, 0.496459991], [2, 1]], ["SGD/average/d/bias:0", [-0.00138000003], [1]], ["SGD/m/d/kernel:0", [-0.00519999955, 0.00259999977], [2, 1]], ["SGD/m/d/bias:0", [0.00519999955], [1]]],
        "weights": [[0.497579992, 0.496459991], [-0.00138000003]], "then": [[0.49609831, 0.494755179], [-0.00185482355]]})",
  };
  Tensor x = {{1.0, 2.0}, {-1.0, 0.5}}, y = {{1.0}, {0.0}};
  for (const char* text : records) {
    Value record = json(text);
    SCOPED_TRACE(record.get("optimizer").get("class_name").as_string());
    Sequential m({Input({2}), Dense(1, {.name = "d"})});
    m.compile({.optimizer = "sgd", .loss = "mean_squared_error"});
    m.save(path("ours.h5"));
    io::H5Group ours = io::H5File::open(path("ours.h5")).root();
    io::H5File file = io::H5File::create(path("theirs.h5"));
    io::H5Group root = file.root();
    root.set_attr("keras_version", "2.21.0");
    root.set_attr("model_config", ours.attr_string("model_config"));
    Value training = json(R"({"loss": "mean_squared_error", "metrics": null, "weighted_metrics": null, "loss_weights": null})");
    Dict with_optimizer = training.as_dict();
    with_optimizer.set("optimizer_config", record.get("optimizer"));
    root.set_attr("training_config", io::to_json(with_optimizer));
    auto array = [](const Value& values, Shape shape) {
      std::vector<float> v;
      for (const Value& e : values.as_list()) v.push_back(static_cast<float>(e.as_float()));
      return io::Array(std::move(shape), v);
    };
    io::H5Group weights = root.create_group("model_weights"), layer = weights.create_group("d"), state = root.create_group("optimizer_weights");
    weights.set_attr_strings("layer_names", {"d"});
    layer.set_attr_strings("weight_names", {"d/kernel:0", "d/bias:0"});
    layer.write("d/kernel:0", array(record.get("weights").as_list()[0], {2, 1}));
    layer.write("d/bias:0", array(record.get("weights").as_list()[1], {1}));
    std::vector<std::string> names;
    for (const Value& s : record.get("state").as_list()) {
      names.push_back(s.as_list().at(0).as_string());
      state.write(names.back(), array(s.as_list().at(1), s.as_list().at(2).as_shape()));
    }
    state.set_attr_strings("weight_names", names);
    file.commit();

    Model back = models::load_model(path("theirs.h5"));
    EXPECT_THAT(warnings, IsEmpty());
    EXPECT_EQ(back.optimizer().iterations().value().item(), 2);
    // And through a file of ours.
    back.save(path("again.h5"));
    Model again = models::load_model(path("again.h5"));
    for (Model* model : {&back, &again}) {
      model->fit(x, y, {.batch_size = 1, .verbose = 0, .shuffle = false});
      Tensors got = model->get_weights();
      for (size_t i = 0; i < got.size(); ++i)
        for (size_t k = 0; k < floats(got[i]).size(); ++k) EXPECT_NEAR(floats(got[i])[k], record.get("then").as_list()[i].as_list()[k].as_float(), 1e-6) << i << " " << k;
    }
  }
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Files, ANestedModelAsTheOutput) {
  // Keras counts its calls from 1 among the outputs, tf.keras among all references.
  Tensor i = Input({3});
  Model inner(i, Dense(2)(i), {.name = "inner"});
  Tensor a = Input({3}), b = Input({3});
  Model twice(Tensors{a, b}, Tensors{inner(a), inner(b)}, {.name = "twice"});
  Value config = io::parse_json(twice.to_json(), "json");
  EXPECT_EQ(config.get("config").get("output_layers"), json(R"([["inner", 1, 0], ["inner", 2, 0]])"));
  Tensor c = Input({3});
  Model once(c, Dense(1)(inner(c)), {.name = "once"});
  Tensor d = Input({3});
  Model last(d, inner(d), {.name = "last"});
  for (const Model& m : {twice, once, last})
    for (const char* file : {"m.keras", "m.h5"}) {
      SCOPED_TRACE(m.name() + std::string(" ") + file);
      m.save(path(file));
      Arrays x(m.inputs().size() == 2 ? Tensors{some({4, 3}), some({4, 3}, 2)} : Tensors{some({4, 3})});
      Tensors want = m.predict_all(x), got = models::load_model(path(file)).predict_all(x);
      for (size_t k = 0; k < want.size(); ++k) EXPECT_EQ(floats(got[k]), floats(want[k]));
    }
}

// ---- damage
TEST_F(Files, InspectSurvivesEveryCutAndFlip) {
  mlp().save(path("m.keras"), {.golden = some({2, 4})});
  mlp().save(path("m.h5"));
  for (const char* name : {"m.keras", "m.h5"}) {
    io::Bytes whole = io::read_file(path(name));
    std::string bad = path(std::string("bad_") + name);
    for (size_t cut = 0; cut < whole.size(); cut += 1024) {
      io::write_file_atomic(bad, std::span(whole).first(cut));
      FileReport r = saving::inspect(bad);
      EXPECT_FALSE(r.loads) << cut;
      EXPECT_THAT(r.problems, Not(IsEmpty()));
    }
    for (size_t at = 3; at < whole.size(); at += 977) {
      io::Bytes flipped = whole;
      flipped[at] ^= std::byte{0x40};
      io::write_file_atomic(bad, flipped);
      FileReport r = saving::inspect(bad);
      bool loads = error_of([&] { models::load_model(bad); }).empty();
      EXPECT_EQ(r.loads, loads) << name << " flipped at " << at << "\n" << r.str();
    }
  }
  EXPECT_THROW(saving::inspect(path("none.keras")), RuntimeError);
  io::write_file_atomic(path("text.txt"), "hello");
  EXPECT_FALSE(saving::inspect(path("text.txt")).loads);
  io::write_file_atomic(path("empty.keras"), "");
  EXPECT_FALSE(saving::inspect(path("empty.keras")).loads);
}

}  // namespace
}  // namespace keras
