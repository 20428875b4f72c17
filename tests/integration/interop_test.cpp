// What lives here: the C++ side of the exchange with Keras itself, run by tests/interop/run.sh: KERAS_INTEROP names a folder in which
// `theirs` holds files of Keras; what is made of them goes to `again`, and models made here go to `ours`.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include <keras/layers/core/activation.h>
#include <keras/layers/core/dense.h>
#include <keras/ops.h>
#include <keras/random.h>
#include <keras/saving.h>

#include <fmt/format.h>

#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "models/trainer.h"
#include "saving/weights_tree.h"

namespace keras {
namespace {

namespace fs = std::filesystem;
using layers::Dense;

fs::path folder() {
  const char* at = std::getenv("KERAS_INTEROP");
  return at ? at : "";
}
Tensors numbered(const io::Arrays& arrays, const std::string& prefix) {
  Tensors out;
  for (int i = 0; arrays.contains(prefix + std::to_string(i)); ++i) out.push_back(saving::to_tensor(arrays.at(prefix + std::to_string(i))));
  return out;
}
/// Within `tolerance` of the larger of one and the largest number.
void expect_close(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.shape().str(), want.shape().str());
  std::vector<double> g = got.to_vector<double>(), w = want.to_vector<double>();
  double scale = 1, worst = 0;
  size_t at = 0;
  for (double v : w) scale = std::max(scale, std::abs(v));
  for (size_t i = 0; i < g.size(); ++i)
    if (!(std::abs(g[i] - w[i]) <= worst)) worst = std::abs(g[i] - w[i]), at = i;
  EXPECT_LE(worst, tolerance * scale) << "element " << at << ": " << g[at] << " instead of " << w[at];
}
const FitOptions kFit{.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false};

struct Exchange {
  std::string name;
  io::Arrays arrays;
  Tensors x, targets;
  double tolerance;
  Exchange(const fs::path& npz) : name(npz.stem()), arrays(io::read_npz(npz)), x(numbered(arrays, "x")), targets(numbered(arrays, "target")) {
    tolerance = saving::to_tensor(arrays.at("tolerance")).item();
  }
  /// At the size of the recorded batches, which stateful models are fixed to.
  Tensors predict(const Model& m) const { return m.predict_all(x, {.batch_size = 4, .verbose = 0}); }

  void expect_predictions(const Model& m, const char* what) const {
    SCOPED_TRACE(what);
    Tensors want = numbered(arrays, "y"), got = predict(m);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) expect_close(got[i], want[i], tolerance);
  }
  void expect_training(Model m) const {
    auto history = m.fit(x, targets, kFit);
    std::vector<double> loss = saving::to_tensor(arrays.at("loss")).to_vector<double>();
    for (size_t i = 0; i < loss.size(); ++i)
      EXPECT_NEAR((*history)["loss"][i], loss[i], std::max(1e-4, tolerance) * std::max(1.0, std::abs(loss[i]))) << "trained on, epoch " << i;
  }
};

/// Reads what Keras wrote, and writes it again.
void read_theirs(const Exchange& e, const fs::path& theirs, const fs::path& again) {
  fs::path file = theirs / (e.name + ".keras");
  Model m = models::load_model(file);
  m.save(again / (e.name + ".keras"));
  e.expect_predictions(m, ".keras");
  Model fresh = models::model_from_json(io::read_text_file(theirs / (e.name + ".json")));
  if (!fresh.built()) fresh.build_for(e.x[0].shape());
  fresh.load_weights(theirs / (e.name + ".weights.h5"));
  e.expect_predictions(fresh, ".json and .weights.h5");
  fs::path legacy = theirs / (e.name + ".h5");
  if (fs::exists(legacy)) e.expect_predictions(models::load_model(legacy), ".h5");
  if (e.targets.empty()) return;
  e.expect_training(models::load_model(file));
  if (fs::exists(legacy)) {
    SCOPED_TRACE(".h5");
    e.expect_training(models::load_model(legacy));
  }
}

/// What is to be compared with a file of ours, as it is read again: seeds and the states of stateful layers are what the file holds.
void write_numbers(const Exchange& e, const fs::path& file) {
  io::Arrays out;
  for (const auto& [key, array] : e.arrays)
    if (key[0] != 'y' && key != "loss") out.set(key, array);
  Tensors y = e.predict(models::load_model(file));
  for (size_t i = 0; i < y.size(); ++i) out.set("y" + std::to_string(i), saving::to_array(dtype_size(y[i].dtype()) == 2 ? y[i].astype(DType::Float32) : y[i]));
  if (!e.targets.empty()) out.set("loss", io::Array(Shape{2}, std::vector<double>((*models::load_model(file).fit(e.x, e.targets, kFit))["loss"])));
  io::write_npz(file.parent_path() / (e.name + ".npz"), out);
}

/// The same model with weights of our own, trained here, written for Keras.
void write_ours(const Exchange& e, const fs::path& theirs, const fs::path& ours) {
  auto at = [&](const char* suffix) { return ours / (e.name + suffix); };
  Model m = models::model_from_json(io::read_text_file(theirs / (e.name + ".json")));
  if (!m.built()) m.build_for(e.x[0].shape());
  if (!e.targets.empty()) {
    m.compile_from_config(models::compile_config(models::load_model(theirs / (e.name + ".keras")).trainer()));
    m.fit(e.x, e.targets, kFit);
  }
  m.save(at(".keras"));
  m.save_weights(at(".weights.h5"));
  io::write_file_atomic(at(".json"), m.to_json());
  if (fs::exists(theirs / (e.name + ".h5"))) m.save(at(".h5"));
  write_numbers(e, at(".keras"));
}

/// Each exchange of a folder.
void for_each_exchange(const fs::path& theirs, const char* what, const std::function<void(const Exchange&)>& run) {
  int opened = 0;
  utils::set_random_seed(3);
  for (const auto& entry : fs::directory_iterator(theirs)) {
    if (entry.path().extension() != ".npz") continue;
    SCOPED_TRACE(entry.path().stem().string());
    try {
      run(Exchange(entry.path()));
      ++opened;
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  EXPECT_GT(opened, 0);
  fmt::print("{} models of {} opened\n", opened, what);
}

TEST(Interop, FilesOfKeras) {
  if (folder().empty()) GTEST_SKIP() << "KERAS_INTEROP names no folder";
  fs::path theirs = folder() / "theirs", again = folder() / "again", ours = folder() / "ours";
  fs::create_directories(again);
  fs::create_directories(ours);
  for_each_exchange(theirs, "Keras", [&](const Exchange& e) {
    read_theirs(e, theirs, again);
    write_ours(e, theirs, ours);
  });
}

TEST(Interop, FilesOfTfKeras) {
  if (folder().empty() || !fs::exists(folder() / "legacy")) GTEST_SKIP() << "KERAS_INTEROP names no folder with a folder `legacy`";
  fs::path theirs = folder() / "legacy" / "theirs", ours = folder() / "legacy" / "ours";
  fs::create_directories(ours);
  for_each_exchange(theirs, "tf-keras", [&](const Exchange& e) {
    auto open = [&] { return models::load_model(theirs / (e.name + ".h5")); };
    e.expect_predictions(open(), ".h5");
    if (!e.targets.empty()) e.expect_training(open());
    Model m = open();
    if (!e.targets.empty()) m.fit(e.x, e.targets, kFit);
    m.save(ours / (e.name + ".h5"));
    write_numbers(e, ours / (e.name + ".h5"));
  });
}

/// The models of the benchmarks: what they predict, and what their first two steps of training lose.
TEST(Interop, BenchmarkModels) {
  if (folder().empty() || !fs::exists(folder() / "bench")) GTEST_SKIP() << "KERAS_INTEROP names no folder with a folder `bench`";
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder() / "bench")) {
    if (entry.path().extension() != ".npz") continue;
    SCOPED_TRACE(entry.path().stem().string());
    io::Arrays arrays = io::read_npz(entry.path());
    Tensors x = numbered(arrays, "x"), want = numbered(arrays, "y");
    // Seeds of dropout are drawn as the model is read.
    utils::set_random_seed(static_cast<int64_t>(saving::to_tensor(arrays.at("seed")).item()));
    Model m = models::load_model(fs::path(entry.path()).replace_extension(".keras"));
    Tensor got = m.predict(x, {.verbose = 0});
    std::vector<double> w = want.at(0).to_vector<double>();
    double largest = 0;
    for (double v : w) largest = std::max(largest, std::abs(v));
    ASSERT_EQ(got.shape(), want[0].shape());
    double worst = 0;
    std::vector<double> g = got.to_vector<double>();
    for (size_t i = 0; i < g.size(); ++i) worst = std::max(worst, std::abs(g[i] - w[i]));
    EXPECT_LE(worst, 1e-4 * largest);
    fmt::print("{}: predictions within {:.1e} of the largest", entry.path().stem().string(), worst / largest);
    if (arrays.contains("loss")) {
      std::vector<double> loss = saving::to_tensor(arrays.at("loss")).to_vector<double>();
      for (size_t i = 0; i < loss.size(); ++i) {
        double now = m.train_on_batch(x, numbered(arrays, "target")).items().front().second;
        EXPECT_NEAR(now, loss[i], (i ? 1e-3 : 1e-4) * std::abs(loss[i])) << "step " << i;
        fmt::print(", loss {:.6f} (there {:.6f})", now, loss[i]);
      }
    }
    fmt::print("\n");
    ++count;
  }
  EXPECT_EQ(count, 8);
}

struct Example {
  std::string name;
  Model model;
  Tensors x;
  bool legacy = true;  // Keras can read it as .h5
  double tolerance = 1e-5;
};
Tensor some(const Shape& shape, int seed = 1) {
  Tensor t = Tensor::empty(DType::Float32, shape);
  float* p = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i + 1) * seed));
  return t;
}
std::vector<Example> examples() {
  std::vector<Example> out;
  out.push_back({"mlp", Sequential({Input({6}), Dense(5, {.activation = "relu", .kernel_regularizer = "l2"}), Dense(3, {.activation = "softmax", .name = "head"})}), {some({9, 6})}});
  out.push_back({"bfloat", Sequential({Input({6}), Dense(5, {.dtype = "mixed_bfloat16"}), Dense(3, {.dtype = "bfloat16"}), Dense(2, {.dtype = "float32"})}), {some({9, 6})}, false, 2e-2});
  {
    Sequential later({Dense(4, {.activation = "selu"}), Dense(2)});
    later.build_for({None, 6});
    out.push_back({"deferred", later, {some({9, 6})}});
  }
  {
    Tensor a = Input({5}, {.name = "a"}), b = Input({5}, {.name = "b"});
    Sequential encoder({Input({5}), Dense(6, {.activation = "relu"}), Dense(4)}, {.name = "encoder"});
    Tensor i = Input({4});
    Model inner(i, Dense(3)(layers::Activation("silu")(i)), {.name = "inner"});
    Tensor d = ops::abs(Tensor(inner(encoder(a))) - Tensor(inner(encoder(b))));
    out.push_back({"siamese", Model(Tensors{a, b}, Dense(1, {.activation = "sigmoid"})(d)), {some({9, 5}), some({9, 5}, 2)}, false});
  }
  {
    Tensor x = Input({5, 4}, {.name = "x"});
    Tensors parts = ops::split(x, 2, -1);
    Tensors y{ops::clip(x, 0.0, 1.0) * 2 + ops::sum(x, -1, true) + Tensor({1.0, 2.0, 3.0, 4.0}),
              ops::slice_tensor(x, {Slice{}, Slice{1, 3}}),
              ops::where(x > 0, x, 0.0) + ops::get_item(ops::einsum("bij,bkj->bik", {x, x}), {Ellipsis, Slice{{}, 4}}),
              ops::concatenate({parts[1], parts[0]}, -1),
              ops::stack({x, x}, 1),
              ops::pad(x, {{0, 0}, {1, 1}, {0, 0}}),
              1 / (ops::abs(x) + 5.0) - ops::power(x, 2),
              ops::softmax(ops::reshape(x, {-1, 20})),
              ops::one_hot(ops::argmax(x, -1), 4),
              ops::transpose(ops::expand_dims(x, 1), {0, 2, 1, 3}),
              ops::max(x, {1, 2}),
              ops::layer_normalization(x),
              ops::take(x, Tensor({0, 2}), 1)};
    out.push_back({"ops", Model(x, y), {some({3, 5, 4})}, false});
  }
  return out;
}

TEST(Interop, FilesForKeras) {
  if (folder().empty()) GTEST_SKIP() << "KERAS_INTEROP names no folder";
  fs::path ours = folder() / "ours";
  fs::create_directories(ours);
  utils::set_random_seed(11);
  for (Example& e : examples()) {
    SCOPED_TRACE(e.name);
    auto at = [&](const char* suffix) { return ours / ("made_here_" + e.name + suffix); };
    io::Arrays arrays;
    arrays.set("tolerance", io::Array(Shape{}, std::vector<double>{e.tolerance}));
    arrays.set("tensorflow", io::Array(Shape{}, std::vector<double>{0.0}));
    for (size_t i = 0; i < e.x.size(); ++i) arrays.set("x" + std::to_string(i), saving::to_array(e.x[i]));
    bool trained = e.model.outputs().size() <= 1;
    Tensor target;
    if (trained) {
      target = Tensor::full(e.model.predict(e.x, {.verbose = 0}).shape(), 0.25);
      e.model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.05, .momentum = 0.9, .nesterov = true}), .loss = "mse", .metrics = {"mae"}});
      e.model.fit(e.x, target, kFit);
    }
    Tensors y = e.model.predict_all(e.x, {.verbose = 0});
    for (size_t i = 0; i < y.size(); ++i) arrays.set("y" + std::to_string(i), saving::to_array(y[i].astype(DType::Float32)));
    e.model.save_weights(at(".weights.h5"));
    e.model.save(at(".keras"));
    if (e.legacy) e.model.save(at(".h5"));
    io::write_file_atomic(at(".json"), e.model.to_json());
    if (trained) {
      arrays.set("target0", saving::to_array(target));
      arrays.set("loss", io::Array(Shape{2}, std::vector<double>((*e.model.fit(e.x, target, kFit))["loss"])));
    }
    io::write_npz(at(".npz"), arrays);
  }
}

}  // namespace
}  // namespace keras
