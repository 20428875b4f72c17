// What lives here: `keras predict`: a model run on data, and what it gave written to a file.
#include "common.h"

#include <keras/utils.h>

namespace keras::cli {

namespace {

struct PredictArguments {
  std::string model, weights, input, output;
  int64_t batch = 32;
};

int run_predict(const PredictArguments& o) {
  Model m = open_model(o.model, o.weights, false);
  Data d = read_data(o.input, m, false);
  Tensors y = m.predict_all(d.x, {.batch_size = o.batch, .verbose = 0});
  if (o.output.ends_with(".npz")) {
    utils::NamedTensors out;
    std::vector<std::string> names = m.output_names();
    for (size_t i = 0; i < y.size(); ++i) out.emplace_back(y.size() == 1 ? "y" : "y_" + names.at(i), y[i]);
    utils::save_npz(o.output, out);
    return 0;
  }
  if (y.size() != 1) throw ValueError("a model with several outputs writes .npz: " + o.output);
  if (o.output.ends_with(".npy")) utils::save_npy(o.output, y[0]);
  else utils::save_csv(o.output, y[0]);
  return 0;
}

}  // namespace

Command predict_command(CLI::App& app) {
  auto o = std::make_shared<PredictArguments>();
  auto* p = app.add_subcommand("predict", "Run a model on data");
  p->add_option("model", o->model, "a .keras or .h5 file")->required();
  p->add_option("--weights", o->weights, "a .weights.h5 to load");
  p->add_option("--input", o->input, ".npz with x (or x_<input>), .npy or CSV")->required();
  p->add_option("--output", o->output, ".npz (y, or y_<output>), .npy or CSV")->required();
  p->add_option("--batch-size", o->batch, "samples per step");
  return {p, [o] { return run_predict(*o); }};
}

}  // namespace keras::cli
