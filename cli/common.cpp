// What lives here: opening models, data and texts for the commands.
#include "common.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <keras/saving.h>
#include <keras/utils.h>

namespace keras::cli {

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

Model open_model(const std::string& path, const std::string& weights, bool compile) {
  Model m = path.ends_with(".json") ? models::model_from_json(read_text(path)) : models::load_model(path, compile);
  if (!weights.empty()) m.load_weights(weights);
  return m;
}

namespace {

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

}  // namespace

Data read_data(const std::string& path, const Model& m, bool targets) {
  Data d;
  std::vector<std::string> in = m.input_names(), out = m.output_names();
  if (path.ends_with(".npz")) {
    utils::NamedTensors all = utils::load_npz(path);
    d.x = pick(all, "x", in, true, path);
    d.y = pick(all, "y", out, targets, path);
    d.w = pick(all, "sample_weight", out, false, path);
  } else if (path.ends_with(".npy")) {
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

std::vector<std::string> split(const std::string& s, char by) {
  std::vector<std::string> out;
  std::stringstream in(s);
  for (std::string part; std::getline(in, part, by);)
    if (!part.empty()) out.push_back(part);
  return out;
}

Value json_or_file(const std::string& text) {
  size_t at = text.find_first_not_of(" \n\t");
  bool inline_json = at != std::string::npos && (text[at] == '{' || text[at] == '[');
  return utils::parse_json(inline_json ? text : read_text(text));
}

void compile_model(Model& m, const CompileChoice& choice, const std::string& path) {
  if (!choice.config.empty()) {
    m.compile_from_config(json_or_file(choice.config));
  } else if (choice.given()) {
    Dict c;
    auto value = [](const std::string& text) { return !text.empty() && (text[0] == '{' || text[0] == '[') ? utils::parse_json(text) : Value(text); };
    c.set("optimizer", choice.optimizer.empty() ? Value("rmsprop") : value(choice.optimizer));
    if (!choice.loss.empty()) c.set("loss", value(choice.loss));
    List ms;
    for (const std::string& name : split(choice.metrics, ',')) ms.push_back(name);
    if (!ms.empty()) c.set("metrics", ms);
    m.compile_from_config(c);
  }
  if (!m.compiled()) throw ValueError(ErrorText{.what = "the model is not compiled", .where = path, .fix = "give --compile FILE, or --optimizer, --loss and --metrics"}.str());
}

}  // namespace keras::cli
