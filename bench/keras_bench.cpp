// What lives here: the program keras-bench: times training or inference of a saved model, what fit adds to its bare steps, or the making of a
// step, and prints one JSON line. It knows no model by
// name: its data are models::example_inputs and example_targets.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <random>

#include <keras/models/model.h>
#include <keras/saving.h>
#include <keras/threads.h>
#include <keras/utils.h>

#include "core/impl.h"
#include "models/example_data.h"
#include "models/functional.h"
#include "models/measure.h"
#include "models/trainer.h"

using namespace keras;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double round3(double v) { return std::round(v * 1e3) / 1e3; }

/// A step with memory of its own for what it reads and gives.
struct BareStep {
  BareStep(const core::Compiled& s, const Tensors& data) : step(s), inputs(data) {
    for (const Tensor& t : inputs) in.push_back(const_cast<void*>(t.raw()));
    for (const ir::Type& t : step.outputs) outputs.push_back(Tensor::empty(t.dtype, t.shape)), out.push_back(outputs.back().mutable_raw());
  }
  void run() { step.run(in.data(), out.data()); }
  const core::Compiled& step;
  Tensors inputs, outputs;
  std::vector<void*> in, out;
};

/// An epoch of fit, and its steps alone on batches that lie ready, by turns; the best of each.
Dict epoch_times(Model& model, const Tensors& x, int64_t batch, int epochs) {
  std::mt19937 rng(2);
  const int64_t rows = x[0].shape()[0] / batch * batch;
  auto first_rows = [](const Tensors& all, int64_t from, int64_t to) {
    Tensors out;
    for (const Tensor& t : all) {
      Shape s = t.shape();
      const size_t row = static_cast<size_t>(s.numel() / s[0]) * dtype_size(t.dtype());
      s[0] = to - from;
      out.push_back(Tensor::from_bytes(static_cast<const std::byte*>(t.raw()) + row * static_cast<size_t>(from), static_cast<size_t>(s.numel()), t.dtype(), s));
    }
    return out;
  };
  const Tensors y = models::example_targets(model, x[0].shape()[0], rng), fit_x = first_rows(x, 0, rows), fit_y = first_rows(y, 0, rows);
  std::vector<std::unique_ptr<BareStep>> steps;
  model.fit(fit_x, fit_y, {.batch_size = batch, .epochs = 1, .verbose = 0});
  for (int64_t at = 0; at < rows; at += batch) {
    Tensors data = first_rows(x, at, at + batch);
    const Tensors targets = first_rows(y, at, at + batch);
    const data::Signature s = models::signature_of(data, targets);
    data.insert(data.end(), targets.begin(), targets.end());
    steps.push_back(std::make_unique<BareStep>(*models::step_for(model, model.trainer(), s, true).compiled, data));
  }
  constexpr int kTogether = 3;  // epochs of one fit, so that its own beginning and end are not all there is
  double fit = 1e9, bare = 1e9;
  for (int e = 0; e < std::max(epochs, 2); ++e) {
    auto start = Clock::now();
    model.fit(fit_x, fit_y, {.batch_size = batch, .epochs = kTogether, .verbose = 0});
    fit = std::min(fit, seconds_since(start) / kTogether);
    start = Clock::now();
    for (int k = 0; k < kTogether; ++k)
      for (auto& s : steps) s->run();
    bare = std::min(bare, seconds_since(start) / kTogether);
  }
  return Dict{{"steps", static_cast<int64_t>(steps.size())}, {"epoch_ms", round3(fit * 1e3)}, {"steps_ms", round3(bare * 1e3)}, {"overhead_percent", round3((fit / bare - 1) * 100)}};
}

/// The making of steps that nobody has asked for before, and their first runs; again for one row more, as a last batch of another size asks.
Dict plan_times(Model& model, const std::string& workload, int64_t batch) {
  Dict line{{"mode", "plan"}, {"workload", workload}, {"batch", batch}};
  std::mt19937 rng(1);
  auto milliseconds = [](Clock::time_point start) { return round3(seconds_since(start) * 1e3); };
  for (int64_t rows : {batch, batch + 1}) {
    const std::string suffix = rows == batch ? "" : "_next";
    Tensors x = models::example_inputs(model, rows, rng);
    auto start = Clock::now();
    BareStep infer(model.model_impl().predict_step(models::signature_of(x, {}).types), x);
    line.set("infer_plan_ms" + suffix, milliseconds(start));
    start = Clock::now();
    infer.run();
    line.set("infer_first_ms" + suffix, milliseconds(start));
    if (!model.compiled()) continue;
    const Tensors y = models::example_targets(model, rows, rng);
    const data::Signature s = models::signature_of(x, y);
    x.insert(x.end(), y.begin(), y.end());
    start = Clock::now();
    BareStep train(*models::step_for(model, model.trainer(), s, true).compiled, x);
    line.set("train_plan_ms" + suffix, milliseconds(start));
    start = Clock::now();
    train.run();
    line.set("train_first_ms" + suffix, milliseconds(start));
  }
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"keras-bench: times a saved model"};
  std::string mode, workload, path;
  int64_t samples = 1024, batch = 32;
  int epochs = 4, threads = 0;
  double seconds = 3;
  app.add_option("mode", mode, "train; infer; epoch: fit against its bare steps; plan: the first call of a training step and of inference")
      ->required()
      ->check(CLI::IsMember({"train", "infer", "epoch", "plan"}));
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
    Model model = models::load_model(path, mode != "infer");
    if (mode == "plan") {
      std::cout << utils::to_json(plan_times(model, workload, batch)) << "\n";
      return 0;
    }
    int64_t rows = mode == "infer" ? batch : samples;
    Tensors x = models::example_inputs(model, rows, rng);
    Dict line{{"mode", mode}, {"workload", workload}, {"batch", batch}};
    if (mode == "epoch") {
      for (const auto& [k, v] : epoch_times(model, x, batch, epochs)) line.set(k, v);
    } else if (mode == "train") {
      if (!model.compiled()) throw ValueError("the model was saved without compile state: " + path);
      Tensors y = models::example_targets(model, rows, rng);
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
