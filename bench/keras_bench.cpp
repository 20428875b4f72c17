// What lives here: the program keras-bench: times training or inference of a saved model and prints one JSON line. It knows no model by
// name: shapes and types come from the model, whole-number inputs stay below the Embedding's input_dim, targets follow from the saved loss
// and the output's shape.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <random>

#include <keras/models/model.h>
#include <keras/saving.h>
#include <keras/threads.h>
#include <keras/utils.h>

#include "core/impl.h"
#include "models/functional.h"
#include "models/trainer.h"

using namespace keras;
using Clock = std::chrono::steady_clock;

namespace {

/// The smallest table that an Embedding anywhere in the model looks whole-number inputs up in; 2 where there is none.
int64_t vocabulary(const Layer& layer) {
  int64_t smallest = 0;
  for (layers::LayerImpl* l : layer.impl()->flatten())
    if (l->class_name() == "Embedding") {
      Dict config = l->config();
      int64_t n = config.at("input_dim").as_int();
      smallest = smallest ? std::min(smallest, n) : n;
    }
  return smallest ? smallest : 2;
}

Tensor random_input(const Tensor& like, int64_t rows, int64_t vocabulary, std::mt19937& rng) {
  Shape s = like.shape();
  for (int i = 0; i < s.rank(); ++i)
    if (s[i] < 0) s[i] = i == 0 ? rows : 16;
  s[0] = rows;
  if (is_floating(like.dtype())) {
    std::vector<float> v(static_cast<size_t>(s.numel()));
    std::normal_distribution<float> normal;
    for (float& x : v) x = normal(rng);
    return Tensor::from(v, s).astype(like.dtype());
  }
  std::vector<int32_t> v(static_cast<size_t>(s.numel()));
  std::uniform_int_distribution<int32_t> id(0, static_cast<int32_t>(vocabulary - 1));
  for (int32_t& x : v) x = id(rng);
  return Tensor::from(v, s).astype(like.dtype());
}

/// Class numbers for a sparse loss, one-hot rows for a categorical one, 0 or 1 for a binary one, numbers for the others.
Tensor random_target(const Value& loss, const Tensor& out, int64_t rows, std::mt19937& rng) {
  std::string name = loss.is_string() ? loss.as_string() : loss.get("class_name").is_string() ? loss.get("class_name").as_string() : "mse";
  std::string lower;
  for (char c : name)
    if (c != '_') lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  Shape s = out.shape();
  s[0] = rows;
  auto has = [&](const char* part) { return lower.find(part) != std::string::npos; };
  int64_t classes = s.back();
  std::uniform_int_distribution<int32_t> any(0, static_cast<int32_t>(std::max<int64_t>(classes, 2) - 1)), coin(0, 1);
  if (has("sparse")) {
    s.erase(s.rank() - 1);
    std::vector<int32_t> v(static_cast<size_t>(s.numel()));
    for (int32_t& x : v) x = any(rng);
    return Tensor::from(v, s);
  }
  std::vector<float> v(static_cast<size_t>(s.numel()), 0.0f);
  if (has("categorical")) {
    for (size_t r = 0; r < v.size() / static_cast<size_t>(classes); ++r) v[r * static_cast<size_t>(classes) + static_cast<size_t>(any(rng))] = 1;
  } else if (has("binary") || has("hinge")) {
    for (float& x : v) x = static_cast<float>(coin(rng));
  } else {
    std::normal_distribution<float> normal;
    for (float& x : v) x = normal(rng);
  }
  return Tensor::from(v, s);
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"keras-bench: times a saved model"};
  std::string mode, workload, path;
  int64_t samples = 1024, batch = 32;
  int epochs = 4, threads = 0;
  double seconds = 3;
  app.add_option("mode", mode, "train or infer")->required()->check(CLI::IsMember({"train", "infer"}));
  app.add_option("workload", workload, "a name, echoed")->required();
  app.add_option("--model", path, "the .keras file")->required();
  app.add_option("--samples", samples, "train: rows of the data");
  app.add_option("--batch", batch, "rows per step");
  app.add_option("--epochs", epochs, "train: epochs; the best after the first counts");
  app.add_option("--seconds", seconds, "infer: how long to repeat the call");
  app.add_option("--threads", threads, "threads to use");
  CLI11_PARSE(app, argc, argv);
  try {
    if (threads > 0) set_num_threads(threads);
    std::mt19937 rng(1);
    Model model = models::load_model(path, mode == "train");
    int64_t words = vocabulary(model);
    int64_t rows = mode == "train" ? samples : batch;
    Tensors x;
    for (const Tensor& in : model.inputs()) x.push_back(random_input(in, rows, words, rng));
    Dict line{{"mode", mode}, {"workload", workload}, {"batch", batch}};
    if (mode == "train") {
      if (!model.compiled()) throw ValueError("the model was saved without compile state: " + path);
      Value loss = models::compile_config(model.trainer()).at("loss");
      Tensors y, outs = model.outputs();
      for (size_t i = 0; i < outs.size(); ++i) {
        Value one = loss.is_list() ? loss.as_list().at(i) : loss.is_dict() && !loss.get("class_name").is_string() ? loss.get(model.output_names()[i]) : loss;
        y.push_back(random_target(one, outs[i], rows, rng));
      }
      std::vector<double> times;
      double last = 0;
      for (int e = 0; e < epochs; ++e) {
        auto start = Clock::now();
        last = (*model.fit(x, y, {.batch_size = batch, .epochs = 1, .verbose = 0}))["loss"].back();
        times.push_back(seconds_since(start));
      }
      double best = *std::min_element(times.size() > 1 ? times.begin() + 1 : times.begin(), times.end());
      line.set("samples_per_s", std::round(static_cast<double>(samples) / best * 10) / 10);
      line.set("first_epoch_s", std::round(times[0] * 1000) / 1000);
      line.set("loss", std::round(last * 10000) / 10000);
    } else {
      // One call from input array to output array, through the compiled step.
      std::vector<ir::Type> types;
      std::vector<void*> in, out;
      for (const Tensor& t : x) types.push_back({t.dtype(), t.shape()}), in.push_back(const_cast<void*>(t.raw()));
      const core::Compiled& step = model.model_impl().predict_step(types);
      Tensors results;
      for (const ir::Type& t : step.outputs) results.push_back(Tensor::empty(t.dtype, t.shape)), out.push_back(results.back().mutable_raw());
      for (int i = 0; i < 3; ++i) step.run(in.data(), out.data());
      std::vector<double> ms;
      auto begin = Clock::now();
      while (seconds_since(begin) < seconds || ms.size() < 5) {
        auto start = Clock::now();
        step.run(in.data(), out.data());
        ms.push_back(seconds_since(start) * 1e3);
      }
      std::sort(ms.begin(), ms.end());
      auto round4 = [](double v) { return std::round(v * 1e4) / 1e4; };
      line.set("ms", round4(ms[ms.size() / 2]));
      line.set("min_ms", round4(ms[0]));
      line.set("p99_ms", round4(ms[static_cast<size_t>(static_cast<double>(ms.size()) * 0.99)]));
    }
    std::cout << utils::to_json(line) << "\n";
  } catch (const std::exception& e) {
    std::cerr << "keras-bench: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
