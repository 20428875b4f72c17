// What lives here: `keras train`: fit from the command line.
#include "common.h"

#include <cmath>
#include <map>

#include <keras/callbacks.h>
#include <keras/utils.h>

namespace keras::cli {

namespace {

struct TrainArguments {
  std::string model, weights, data, validation, output, history, class_weight, callbacks, checkpoint, every;
  CompileChoice compile;
  int64_t seed = -1, batch = 32;
  int epochs = 1, verbose = -1, initial_epoch = 0;
  double split_at = 0;
  bool no_shuffle = false;
};

std::string json_number(double d) { return std::isnan(d) ? "NaN" : std::isinf(d) ? (d > 0 ? "Infinity" : "-Infinity") : float_repr(d); }

/// "0:1.0,1:2.5", or JSON: {"0": 1.0, "1": 2.5}.
std::map<int64_t, double> class_weights(const std::string& text) {
  std::map<int64_t, double> out;
  try {
    auto whole = [](const std::string& s, auto read) {
      size_t end = 0;
      auto v = read(s, &end);
      if (end != s.size()) throw std::invalid_argument(s);
      return v;
    };
    auto index = [&](const std::string& s) { return whole(s, [](const std::string& t, size_t* e) { return std::stoll(t, e); }); };
    if (text[0] == '{') {
      for (const auto& [k, w] : utils::parse_json(text).as_dict()) out[index(k)] = w.as_float();
      return out;
    }
    for (const std::string& pair : split(text, ',')) {
      size_t at = pair.find(':');
      if (at == std::string::npos) throw std::invalid_argument(pair);
      out[index(pair.substr(0, at))] = whole(pair.substr(at + 1), [](const std::string& t, size_t* e) { return std::stod(t, e); });
    }
  } catch (const std::exception&) {
    throw ValueError(ErrorText{.what = "--class-weight can't be read", .expected = "0:1.0,1:2.5 or JSON, {\"0\": 1.0, \"1\": 2.5}", .received = text}.str());
  }
  return out;
}

/// What --checkpoint and --checkpoint-every say; `callbacks` as they were read. A run goes on only with the same seed and callbacks.
CheckpointOptions checkpoint_options(const TrainArguments& o, const Value& callbacks) {
  CheckpointOptions c{.directory = o.checkpoint, .settings = Dict{{"seed", o.seed}, {"callbacks", callbacks}}};
  if (o.every.empty()) return c;
  if (o.checkpoint.empty()) throw ValueError(ErrorText{.what = "--checkpoint-every needs --checkpoint", .fix = "give --checkpoint DIR"}.str());
  size_t end = 0;
  double number = -1;
  try {
    number = std::stod(o.every, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  bool seconds = end + 1 == o.every.size() && o.every[end] == 's';
  bool batches = end == o.every.size() && number == std::floor(number) && number >= 1 && number <= 1e15;
  if (end == 0 || !(batches || (seconds && number >= 0)))
    throw ValueError(ErrorText{.what = "--checkpoint-every can't be read", .expected = "a number of batches (100), or of seconds (30s)", .received = o.every}.str());
  if (seconds) c.every_seconds = number;
  else c.every_batches = static_cast<int64_t>(number);
  return c;
}

void write_history(const callbacks::History& h, const std::string& path) {
  std::string text = "{";
  for (const auto& [name, values] : h.history) {
    text += (text.size() > 1 ? ", \"" : "\"") + name + "\": [";
    for (size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + json_number(values[i]);
    text += "]";
  }
  write_text(path, text + "}\n");
}

int run_train(const TrainArguments& o) {
  if (!o.output.empty() && !o.output.ends_with(".keras") && !o.output.ends_with(".h5"))
    throw ValueError(ErrorText{.what = "the output's suffix is unknown", .expected = ".keras, .weights.h5 or .h5", .received = o.output}.str());
  if (o.seed >= 0) utils::set_random_seed(o.seed);
  Model m = open_model(o.model, o.weights);
  compile_model(m, o.compile, o.model);
  Data d = read_data(o.data, m, true);
  FitOptions fit{.batch_size = o.batch, .epochs = o.epochs, .verbose = o.verbose < 0 ? 1 : o.verbose, .validation_split = o.split_at, .shuffle = !o.no_shuffle, .sample_weight = d.w, .initial_epoch = o.initial_epoch};
  if (!o.validation.empty()) {
    Data v = read_data(o.validation, m, true);
    fit.validation_data = {v.x, v.y, v.w};
  }
  if (!o.class_weight.empty()) fit.class_weight = class_weights(o.class_weight);
  Value list;
  if (!o.callbacks.empty()) {
    list = json_or_file(o.callbacks);
    if (list.is_dict()) list = List{list};
    for (const Value& c : list.as_list()) fit.callbacks.push_back(CallbackSpec(callbacks::get(c)));
  }
  fit.checkpoint = checkpoint_options(o, list);
  auto h = m.fit(d.x, d.y, fit);
  if (!o.history.empty()) write_history(*h, o.history);
  if (o.output.ends_with(".weights.h5")) m.save_weights(o.output);
  else if (!o.output.empty()) m.save(o.output);
  return 0;
}

}  // namespace

Command train_command(CLI::App& app) {
  auto o = std::make_shared<TrainArguments>();
  auto* t = app.add_subcommand("train", "Train a model");
  t->add_option("model", o->model, "a .keras file, or the .json of an architecture")->required();
  t->add_option("--weights", o->weights, "a .weights.h5 to start from");
  t->add_option("--compile", o->compile.config, "a JSON file with optimizer, loss and metrics (Model.get_compile_config())");
  t->add_option("--optimizer", o->compile.optimizer, "a name, or a saved configuration as JSON");
  t->add_option("--loss", o->compile.loss, "a name, or JSON");
  t->add_option("--metrics", o->compile.metrics, "names separated by commas");
  t->add_option("--data", o->data, ".npz with x and y, or CSV")->required();
  t->add_option("--seed", o->seed, "set_random_seed, before the model is made");
  t->add_option("--epochs", o->epochs, "0 writes the untrained model");
  t->add_option("--initial-epoch", o->initial_epoch, "number of the first epoch");
  t->add_option("--batch-size", o->batch, "samples per step");
  t->add_option("--validation-split", o->split_at, "share of the last rows that is held back");
  t->add_option("--validation-data", o->validation, ".npz with x and y to validate on");
  t->add_flag("--no-shuffle", o->no_shuffle, "keep the order of the rows");
  t->add_option("--class-weight", o->class_weight, "JSON, {\"0\": 1.0, …}, or 0:1.0,1:2.5");
  t->add_option("--callbacks", o->callbacks, "JSON list of {\"class_name\", \"config\"}, or a file that holds one");
  t->add_option("--history", o->history, "where the history goes, as JSON");
  t->add_option("-o,--output", o->output, "where the trained model goes: .keras, .weights.h5 or .h5");
  t->add_option("--checkpoint", o->checkpoint, "a folder that keeps the state of the run: started again after a kill, it goes on exactly");
  t->add_option("--checkpoint-every", o->every, "batches (100) or seconds (30s) between checkpoints; seldom enough to cost next to nothing when left out");
  t->add_option("--verbose", o->verbose, "0, 1 or 2");
  return {t, [o] { return run_train(*o); }};
}

}  // namespace keras::cli
