// What lives here: the C++ side of the exchange with Keras itself, run by tests/interop/run.sh: KERAS_INTEROP names a folder in which
// `theirs` holds files of Keras; what is made of them goes to `again`, and models made here go to `ours`.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include <keras/layers/core/activation.h>
#include <keras/layers/core/dense.h>
#include <keras/ops.h>
#include <keras/random.h>
#include <keras/saving.h>

#include <fmt/format.h>

#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
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
void expect_close(const Tensor& got, const Tensor& want, double rtol = 1e-4, double atol = 1e-5) {
  ASSERT_EQ(got.shape().str(), want.shape().str());
  std::vector<double> g = got.to_vector<double>(), w = want.to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) ASSERT_LE(std::abs(g[i] - w[i]), atol + rtol * std::abs(w[i])) << "element " << i << ": " << g[i] << " instead of " << w[i];
}
bool half(const Model& m) {
  for (const Layer& l : m.layers())
    if (dtype_size(l.compute_dtype()) == 2) return true;
  return false;
}
// Models of layers that are not here are refused by name.
bool known(const Error& e) { return std::string(e.what()).find("Unknown layer class") == std::string::npos; }

TEST(Interop, FilesOfKeras) {
  if (folder().empty()) GTEST_SKIP() << "KERAS_INTEROP names no folder";
  fs::path theirs = folder() / "theirs", again = folder() / "again";
  fs::create_directories(again);
  int opened = 0, refused = 0;
  for (const auto& entry : fs::directory_iterator(theirs)) {
    if (entry.path().extension() != ".keras") continue;
    std::string name = entry.path().stem();
    SCOPED_TRACE(name);
    try {
      Model m = models::load_model(entry.path());
      ++opened;
      m.save(again / entry.path().filename());
      io::Arrays arrays = io::read_npz(theirs / (name + ".npz"));
      Tensors x = numbered(arrays, "x");
      auto check = [&](const Model& model, const Tensors& want, const char* what) {
        SCOPED_TRACE(what);
        Tensors got = model.predict_all(x);
        ASSERT_GE(got.size(), want.size());
        double tolerance = half(model) ? 1e-2 : 1e-4;
        for (size_t i = 0; i < want.size(); ++i) expect_close(got[i], want[i], tolerance, half(model) ? 1e-2 : 1e-5);
      };
      if (arrays.contains("target")) {
        auto history = m.fit(x, saving::to_tensor(arrays.at("target")), {.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false});
        std::vector<double> loss = saving::to_tensor(arrays.at("loss")).to_vector<double>();
        for (size_t i = 0; i < loss.size(); ++i) EXPECT_NEAR((*history)["loss"][i], loss[i], 1e-3 * std::abs(loss[i])) << "trained on, epoch " << i;
        continue;
      }
      check(m, numbered(arrays, "y"), ".keras");
      Model fresh = models::model_from_json(io::read_text_file(theirs / (name + ".json")));
      if (!fresh.built()) fresh.build_for(x[0].shape());
      fresh.load_weights(theirs / (name + ".weights.h5"));
      check(fresh, numbered(arrays, "y"), ".json and .weights.h5");
      if (fs::exists(theirs / (name + ".h5"))) check(models::load_model(theirs / (name + ".h5")), {saving::to_tensor(arrays.at("y0_h5"))}, ".h5");
    } catch (const Error& e) {
      if (known(e)) ADD_FAILURE() << e.what();
      else ++refused, fmt::print("{}: {}\n", name, std::string(e.what()).substr(0, 120));
    }
  }
  EXPECT_GT(opened, 0);
  fmt::print("{} files of Keras opened, {} hold layers that are not here\n", opened, refused);
}

struct Example {
  std::string name;
  Model model;
  Tensors x;
  bool legacy = true;  // Keras can read it as .h5
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
  out.push_back({"bfloat", Sequential({Input({6}), Dense(5, {.dtype = "mixed_bfloat16"}), Dense(3, {.dtype = "bfloat16"}), Dense(2, {.dtype = "float32"})}), {some({9, 6})}, false});
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
    io::Arrays arrays;
    for (size_t i = 0; i < e.x.size(); ++i) arrays.set("x" + std::to_string(i), saving::to_array(e.x[i]));
    auto predicted = [&] {
      Tensors y = e.model.predict_all(e.x);
      for (size_t i = 0; i < y.size(); ++i) arrays.set("y" + std::to_string(i), saving::to_array(y[i].astype(DType::Float32)));
      return y[0];
    };
    Tensor first = predicted();
    e.model.save_weights(ours / (e.name + ".weights.h5"));
    e.model.save(ours / (e.name + ".keras"));
    if (e.legacy) e.model.save(ours / (e.name + ".h5"));
    io::write_file_atomic(ours / (e.name + ".json"), e.model.to_json());
    io::write_npz(ours / (e.name + ".npz"), arrays);
    if (e.model.outputs().size() > 1) continue;
    // Trained, and trained on.
    Tensor target = first.astype(DType::Float32);
    e.model.compile({.optimizer = e.name == "siamese" ? OptimizerSpec(optimizers::SGD({.learning_rate = 0.05, .momentum = 0.9, .nesterov = true})) : OptimizerSpec("adam"),
                     .loss = "mse", .metrics = {"mae"}});
    target = Tensor::full(target.shape(), 0.25);
    e.model.fit(e.x, target, {.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false});
    predicted();
    e.model.save(ours / (e.name + "_trained.keras"));
    if (e.legacy) e.model.save(ours / (e.name + "_trained.h5"));
    auto history = e.model.fit(e.x, target, {.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false});
    arrays.set("target", saving::to_array(target));
    arrays.set("loss", io::Array(Shape{2}, std::vector<double>((*history)["loss"])));
    io::write_npz(ours / (e.name + "_trained.npz"), arrays);
  }
}

}  // namespace
}  // namespace keras
