// What lives here: `keras evaluate`: loss and metrics on data.
#include "common.h"

#include <iostream>

#include <keras/utils.h>

namespace keras::cli {

namespace {

struct EvaluateArguments {
  std::string model, weights, data;
  CompileChoice compile;
  int64_t batch = 32;
  bool json = false;
};

int run_evaluate(const EvaluateArguments& o) {
  Model m = open_model(o.model, o.weights);
  if (o.compile.given() || !m.compiled()) compile_model(m, o.compile, o.model);
  Data d = read_data(o.data, m, true);
  Logs logs = m.evaluate(d.x, d.y, {.batch_size = o.batch, .verbose = 0, .sample_weight = d.w});
  if (o.json) {
    Dict out;
    for (const auto& [k, v] : logs.items()) out.set(k, v);
    std::cout << utils::to_json(out) << "\n";
  } else {
    for (const auto& [k, v] : logs.items()) std::cout << k << ": " << float_repr(v) << "\n";
  }
  return 0;
}

}  // namespace

Command evaluate_command(CLI::App& app) {
  auto o = std::make_shared<EvaluateArguments>();
  auto* e = app.add_subcommand("evaluate", "Print loss and metrics on data");
  e->add_option("model", o->model, "a compiled .keras file")->required();
  e->add_option("--weights", o->weights, "a .weights.h5 to load");
  e->add_option("--compile", o->compile.config, "a JSON file with loss and metrics");
  e->add_option("--loss", o->compile.loss, "a name, or JSON");
  e->add_option("--metrics", o->compile.metrics, "names separated by commas");
  e->add_option("--data", o->data, ".npz with x and y, or CSV")->required();
  e->add_option("--batch-size", o->batch, "samples per step");
  e->add_flag("--json", o->json, "as JSON");
  return {e, [o] { return run_evaluate(*o); }};
}

}  // namespace keras::cli
