// What lives here: the program `keras`: summary, explain, train, evaluate, predict. It says what went wrong on stderr and returns 1; a
// wrong use of the command line returns another code and the help.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <map>
#include <iostream>
#include <sstream>

#include <keras/callbacks.h>
#include <keras/models/model.h>
#include <keras/saving.h>
#include <keras/utils.h>

using namespace keras;

namespace {

bool ends_with(const std::string& s, std::string_view end) { return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0; }

std::string read_text(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  if (!f) throw RuntimeError("the file '" + path + "' can't be read: " + std::strerror(errno));
  std::stringstream s;
  s << f.rdbuf();
  return s.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::string temporary = path + ".tmp";
  {
    std::ofstream f(temporary, std::ios::binary);
    f << text;
    f.flush();
    if (!f) {
      std::remove(temporary.c_str());
      throw RuntimeError("the file '" + path + "' can't be written: " + std::strerror(errno));
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw RuntimeError("the file '" + path + "' can't be written: " + std::strerror(errno));
}

/// A `.keras` or `.h5` file, or the JSON of an architecture.
Model open_model(const std::string& path, const std::string& weights, bool compile = true) {
  Model m = ends_with(path, ".json") ? models::model_from_json(read_text(path)) : models::load_model(path, compile);
  if (!weights.empty()) m.load_weights(weights);
  return m;
}

/// What the data file holds: `.npz` with x, y, sample_weight (x_<name>, y_<name> for several), `.npy` (x alone), or CSV.
struct Data {
  Arrays x, y, w;
};

Tensor to_dtype(const Tensor& t, const Tensor& like) { return t.astype(like.dtype()); }

Arrays pick(const utils::NamedTensors& all, const std::string& key, const std::vector<std::string>& names, bool needed, const std::string& path) {
  Arrays out;
  for (const auto& [n, t] : all)
    if (n == key) return Arrays(t);
  for (const std::string& name : names)
    for (const auto& [n, t] : all)
      if (n == key + "_" + name) out.names.push_back(name), out.values.push_back(t);
  if (out.empty() && needed) {
    std::vector<std::string> have, want{key};
    for (const auto& [n, t] : all) have.push_back(n);
    for (const std::string& n : names) want.push_back(key + "_" + n);
    throw ValueError(ErrorText{.what = "the data hold no '" + key + "'", .where = path, .expected = fmt::format("{}", fmt::join(want, ", ")), .received = fmt::format("{}", fmt::join(have, ", "))}.str());
  }
  return out;
}

Data read_data(const std::string& path, const Model& m, bool targets) {
  Data d;
  std::vector<std::string> in = m.input_names(), out = m.output_names();
  if (ends_with(path, ".npz")) {
    utils::NamedTensors all = utils::load_npz(path);
    d.x = pick(all, "x", in, true, path);
    d.y = pick(all, "y", out, targets, path);
    d.w = pick(all, "sample_weight", out, false, path);
  } else if (ends_with(path, ".npy")) {
    if (targets) throw ValueError("a .npy file holds no targets; use .npz with x and y: " + path);
    d.x = Arrays(utils::load_npy(path));
  } else {
    // CSV: columns named x… and y…, or the last column is the target.
    utils::CsvData csv = utils::load_csv(path);
    int64_t rows = csv.values.shape()[0], cols = csv.values.shape()[1];
    std::vector<int64_t> xs, ys;
    for (int64_t c = 0; c < cols; ++c) {
      bool is_y = csv.columns.empty() ? targets && c == cols - 1 : csv.columns[static_cast<size_t>(c)].rfind("y", 0) == 0 || csv.columns[static_cast<size_t>(c)] == "target";
      (is_y ? ys : xs).push_back(c);
    }
    if (targets && ys.empty()) ys.push_back(xs.back()), xs.pop_back();
    std::vector<double> v = csv.values.to_vector<double>();
    auto columns = [&](const std::vector<int64_t>& cs) {
      std::vector<float> out;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c : cs) out.push_back(static_cast<float>(v[static_cast<size_t>(r * cols + c)]));
      return Tensor::from(out, Shape{rows, static_cast<int64_t>(cs.size())});
    };
    Tensor x = columns(xs);
    Tensors want = m.inputs();
    if (want.size() == 1 && want[0].rank() > 2 && want[0].shape().slice(1).is_static() && want[0].shape().slice(1).numel() == x.shape()[1])
      x = Tensor::from(x.to_vector<float>(), Shape{rows} + want[0].shape().slice(1));
    d.x = Arrays(x);
    if (targets) d.y = Arrays(columns(ys));
  }
  Tensors want = m.inputs();
  for (size_t i = 0; i < d.x.values.size() && i < want.size(); ++i) d.x.values[i] = to_dtype(d.x.values[i], want[i]);
  return d;
}

std::string json_number(double d) { return std::isnan(d) ? "NaN" : std::isinf(d) ? (d > 0 ? "Infinity" : "-Infinity") : float_repr(d); }

Value logs_value(const Logs& logs) {
  Dict d;
  for (const auto& [k, v] : logs.items()) d.set(k, v);
  return d;
}

int summary(const std::string& path, const std::string& weights, bool json, const SummaryOptions& o) {
  Model m = open_model(path, weights, !ends_with(path, ".json"));
  if (!json) {
    m.summary(o);
    return 0;
  }
  auto count = [](const std::vector<Variable>& vars) {
    int64_t n = 0;
    for (const Variable& v : vars) n += v.shape().numel();
    return n;
  };
  List layers;
  for (const Layer& l : m.layers()) {
    Value shape;
    if (l.num_nodes() > 0) shape = Value(l.get_output_shape_at(l.num_nodes() - 1));
    layers.push_back(Dict{{"name", l.name()}, {"class_name", l.class_name()}, {"output_shape", shape}, {"params", count(l.weights())}, {"trainable", l.trainable()}});
  }
  int64_t trainable = count(m.trainable_weights()), frozen = count(m.non_trainable_weights());
  std::cout << utils::to_json(Dict{{"name", m.name()}, {"class_name", m.class_name()}, {"total_params", trainable + frozen}, {"trainable_params", trainable}, {"non_trainable_params", frozen}, {"layers", layers}}, 2) << "\n";
  return 0;
}

std::vector<std::string> split(const std::string& s, char by) {
  std::vector<std::string> out;
  std::stringstream in(s);
  for (std::string part; std::getline(in, part, by);)
    if (!part.empty()) out.push_back(part);
  return out;
}

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

/// JSON given in place, or a file that holds it.
Value json_or_file(const std::string& text) {
  size_t at = text.find_first_not_of(" \n\t");
  bool inline_json = at != std::string::npos && (text[at] == '{' || text[at] == '[');
  return utils::parse_json(inline_json ? text : read_text(text));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"keras: train, evaluate and run Keras models"};
  app.require_subcommand(1);
  std::string model, weights, data, output, history, compile, optimizer, loss, metrics, class_weight, callbacks, validation, input, style = "boxed";
  bool json = false, no_shuffle = false, expand = false, trainable = false;
  int64_t seed = -1, batch = 32;
  int epochs = 1, verbose = -1, line_length = 0, initial_epoch = 0;
  double split_at = 0;

  auto* s = app.add_subcommand("summary", "Print the layers of a model");
  s->add_option("model", model, "a .keras or .h5 file, or the .json of an architecture")->required();
  s->add_option("--weights", weights, "a .weights.h5 to load");
  s->add_flag("--json", json, "as JSON");
  s->add_flag("--expand-nested", expand, "show the layers of nested models");
  s->add_flag("--show-trainable", trainable, "show whether each layer is trainable");
  s->add_option("--line-length", line_length, "columns of the table");
  s->add_option("--style", style, "boxed or plain");

  auto* x = app.add_subcommand("explain", "Say why each layer has its output shape and parameters");
  std::string layer;
  x->add_option("model", model, "a .keras or .h5 file, or the .json of an architecture")->required();
  x->add_option("--layer", layer, "only this layer");

  auto* t = app.add_subcommand("train", "Train a model");
  t->add_option("model", model, "a .keras file, or the .json of an architecture")->required();
  t->add_option("--weights", weights, "a .weights.h5 to start from");
  t->add_option("--compile", compile, "a JSON file with optimizer, loss and metrics (Model.get_compile_config())");
  t->add_option("--optimizer", optimizer, "a name, or a saved configuration as JSON");
  t->add_option("--loss", loss, "a name, or JSON");
  t->add_option("--metrics", metrics, "names separated by commas");
  t->add_option("--data", data, ".npz with x and y, or CSV")->required();
  t->add_option("--seed", seed, "set_random_seed, before the model is made");
  t->add_option("--epochs", epochs, "0 writes the untrained model");
  t->add_option("--initial-epoch", initial_epoch, "number of the first epoch");
  t->add_option("--batch-size", batch, "samples per step");
  t->add_option("--validation-split", split_at, "share of the last rows that is held back");
  t->add_option("--validation-data", validation, ".npz with x and y to validate on");
  t->add_flag("--no-shuffle", no_shuffle, "keep the order of the rows");
  t->add_option("--class-weight", class_weight, "JSON, {\"0\": 1.0, …}, or 0:1.0,1:2.5");
  t->add_option("--callbacks", callbacks, "JSON list of {\"class_name\", \"config\"}, or a file that holds one");
  t->add_option("--history", history, "where the history goes, as JSON");
  t->add_option("-o,--output", output, "where the trained model goes: .keras, .weights.h5 or .h5");
  t->add_option("--verbose", verbose, "0, 1 or 2");

  auto* e = app.add_subcommand("evaluate", "Print loss and metrics on data");
  e->add_option("model", model, "a compiled .keras file")->required();
  e->add_option("--weights", weights, "a .weights.h5 to load");
  e->add_option("--compile", compile, "a JSON file with loss and metrics");
  e->add_option("--loss", loss, "a name, or JSON");
  e->add_option("--metrics", metrics, "names separated by commas");
  e->add_option("--data", data, ".npz with x and y, or CSV")->required();
  e->add_option("--batch-size", batch, "samples per step");
  e->add_flag("--json", json, "as JSON");

  auto* p = app.add_subcommand("predict", "Run a model on data");
  p->add_option("model", model, "a .keras or .h5 file")->required();
  p->add_option("--weights", weights, "a .weights.h5 to load");
  p->add_option("--input", input, ".npz with x (or x_<input>), .npy or CSV")->required();
  p->add_option("--output", output, ".npz (y, or y_<output>), .npy or CSV")->required();
  p->add_option("--batch-size", batch, "samples per step");

  CLI11_PARSE(app, argc, argv);

  auto compile_model = [&](Model& m) {
    if (!compile.empty()) {
      m.compile_from_config(json_or_file(compile));
    } else if (!optimizer.empty() || !loss.empty() || !metrics.empty()) {
      Dict c;
      auto value = [](const std::string& text) { return !text.empty() && (text[0] == '{' || text[0] == '[') ? utils::parse_json(text) : Value(text); };
      c.set("optimizer", optimizer.empty() ? Value("rmsprop") : value(optimizer));
      if (!loss.empty()) c.set("loss", value(loss));
      List ms;
      for (const std::string& name : split(metrics, ',')) ms.push_back(name);
      if (!ms.empty()) c.set("metrics", ms);
      m.compile_from_config(c);
    }
    if (!m.compiled()) throw ValueError(ErrorText{.what = "the model is not compiled", .where = model, .fix = "give --compile FILE, or --optimizer, --loss and --metrics"}.str());
  };

  try {
    if (*s) return summary(model, weights, json, {.line_length = line_length, .expand_nested = expand, .show_trainable = trainable, .style = style});
    if (*x) {
      Model m = open_model(model, weights, false);
      std::cout << (layer.empty() ? m.explain() : m.get_layer(layer).explain());
      return 0;
    }
    if (*t) {
      if (!output.empty() && !ends_with(output, ".keras") && !ends_with(output, ".h5"))
        throw ValueError(ErrorText{.what = "the output's suffix is unknown", .expected = ".keras, .weights.h5 or .h5", .received = output}.str());
      if (seed >= 0) utils::set_random_seed(seed);
      Model m = open_model(model, weights);
      compile_model(m);
      Data d = read_data(data, m, true);
      FitOptions o{.batch_size = batch, .epochs = epochs, .verbose = verbose < 0 ? 1 : verbose, .validation_split = split_at, .shuffle = !no_shuffle, .sample_weight = d.w, .initial_epoch = initial_epoch};
      if (!validation.empty()) {
        Data v = read_data(validation, m, true);
        o.validation_data = {v.x, v.y, v.w};
      }
      if (!class_weight.empty()) o.class_weight = class_weights(class_weight);
      if (!callbacks.empty()) {
        Value list = json_or_file(callbacks);
        if (list.is_dict()) list = List{list};
        for (const Value& c : list.as_list()) o.callbacks.push_back(CallbackSpec(callbacks::get(c)));
      }
      auto h = m.fit(d.x, d.y, o);
      if (!history.empty()) {
        std::string text = "{";
        for (const auto& [name, values] : h->history) {
          text += (text.size() > 1 ? ", \"" : "\"") + name + "\": [";
          for (size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + json_number(values[i]);
          text += "]";
        }
        write_text(history, text + "}\n");
      }
      if (ends_with(output, ".weights.h5")) m.save_weights(output);
      else if (!output.empty()) m.save(output);
      return 0;
    }
    if (*e) {
      Model m = open_model(model, weights);
      if (!compile.empty() || !loss.empty() || !metrics.empty() || !m.compiled()) compile_model(m);
      Data d = read_data(data, m, true);
      Logs logs = m.evaluate(d.x, d.y, {.batch_size = batch, .verbose = 0, .sample_weight = d.w});
      if (json) {
        std::cout << utils::to_json(logs_value(logs)) << "\n";
      } else {
        for (const auto& [k, v] : logs.items()) std::cout << k << ": " << float_repr(v) << "\n";
      }
      return 0;
    }
    if (*p) {
      Model m = open_model(model, weights, false);
      Data d = read_data(input, m, false);
      Tensors y = m.predict_all(d.x, {.batch_size = batch});
      if (ends_with(output, ".npz")) {
        utils::NamedTensors out;
        std::vector<std::string> names = m.output_names();
        for (size_t i = 0; i < y.size(); ++i) out.emplace_back(y.size() == 1 ? "y" : "y_" + names.at(i), y[i]);
        utils::save_npz(output, out);
      } else {
        if (y.size() != 1) throw ValueError("a model with several outputs writes .npz: " + output);
        if (ends_with(output, ".npy")) utils::save_npy(output, y[0]);
        else utils::save_csv(output, y[0]);
      }
      return 0;
    }
  } catch (const std::exception& error) {
    std::cerr << "keras: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
