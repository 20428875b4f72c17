// What lives here: reading the corpus' encoding, and comparing. No kind's own knowledge.
#include "conformance/unit.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "io/file.h"
#include "io/json.h"
#include "io/zip.h"

namespace keras::conformance {

Folder::Folder(const std::filesystem::path& path) : path_(path) {
  std::string text = path / "case.json";
  json_ = io::parse_json(io::read_text_file(text), text);
  if (std::filesystem::exists(path / "data.npz")) arrays_.emplace((path / "data.npz").string());
}

Tensor Folder::stored(const std::string& key) const {
  if (!arrays_) throw ValueError(path_.string() + " has no data.npz");
  io::Array a = arrays_->read(key);
  return Tensor::from_bytes(a.data.data(), a.numel(), a.dtype, a.shape);
}

// Tensors are real, so the library's reader refuses such arrays. The header is NumPy's (format 1.0): its shape, then pairs of numbers.
std::pair<Tensor, Tensor> Folder::stored_complex(const std::string& key) const {
  io::Bytes bytes = io::ZipReader((path_ / "data.npz").string()).read(key + ".npy");
  size_t start = 10 + (static_cast<size_t>(bytes.at(8)) | static_cast<size_t>(bytes.at(9)) << 8);
  std::string header(reinterpret_cast<const char*>(bytes.data()) + 10, start - 10);
  bool wide = header.find("<c16") != std::string::npos;
  if (!wide && header.find("<c8") == std::string::npos) throw ValueError("array " + key + " holds no complex numbers");
  Shape shape;
  for (size_t at = header.find("'shape': (") + 10; header[at] != ')';) {
    char* end = nullptr;
    if (std::isdigit(static_cast<unsigned char>(header[at]))) shape.push_back(std::strtoll(&header[at], &end, 10)), at = static_cast<size_t>(end - header.data());
    else ++at;
  }
  std::vector<float> parts[2];
  for (int64_t i = 0; i < 2 * shape.numel(); ++i) {
    const std::byte* from = bytes.data() + start + static_cast<size_t>(i) * (wide ? 8 : 4);
    double d = 0;
    float f = 0;
    if (wide) std::memcpy(&d, from, 8);
    else std::memcpy(&f, from, 4);
    parts[i % 2].push_back(wide ? static_cast<float>(d) : f);
  }
  return {Tensor::from(parts[0], shape), Tensor::from(parts[1], shape)};
}

namespace {

DType narrow(DType d) {
  return d == DType::Int64 ? DType::Int32 : d == DType::UInt64 ? DType::UInt32 : d == DType::Float64 ? DType::Float32 : d;
}

struct Flat {
  std::vector<double> values;
  Shape shape;
  DType dtype = DType::Bool;
  void read(const Value& v, int depth) {
    if (v.get("__tuple__").is_list()) return read(v.get("__tuple__"), depth);
    if (!v.is_list()) {
      dtype = v.is_bool() ? dtype : v.is_int() && dtype != DType::Float32 ? DType::Int32 : DType::Float32;
      values.push_back(v.is_bool() ? v.as_bool() : number(v));
      return;
    }
    int64_t n = static_cast<int64_t>(v.as_list().size());
    if (shape.rank() == depth) shape.push_back(n);
    if (shape[depth] != n) throw ValueError("a ragged list in the record: " + v.str());
    for (const Value& e : v.as_list()) read(e, depth + 1);
  }
};

}  // namespace

bool names_unknown_class(const std::string& text) {
  for (const char* kind : {"loss", "metric", "optimizer", "schedule", "learning rate schedule", "initializer", "regularizer", "constraint", "activation"})
    for (const char* sign : {"unknown ", "there is no "})
      if (text.rfind(std::string(sign) + kind + " '", 0) == 0) return true;
  return false;
}

double number(const Value& v) {
  const Value& tagged = v.get("__float__");
  if (tagged.is_null()) return v.as_float();
  return tagged == Value("nan") ? NAN : tagged == Value("inf") ? INFINITY : -INFINITY;
}

Tensor Folder::tensor(const Value& v) const {
  if (v.is_null()) return {};
  if (const Value& key = v.get("__array__"); key.is_string()) {
    Tensor t = stored(key.as_string());
    const Value& dtype = v.get("dtype");
    DType wanted = narrow(!v.get("stored").is_null() && dtype.is_string() ? dtype_from_name(dtype.as_string()) : t.dtype());
    return wanted == t.dtype() ? t : t.astype(wanted);
  }
  if (v.get("__strings__").is_list()) throw Unsupported("arrays of strings");
  if (v.is_bool()) return Tensor(v.as_bool());
  if (v.is_int()) return Tensor(v.as_int());
  if (v.is_float() || v.get("__float__").is_string()) return Tensor(number(v));
  Flat flat;
  flat.read(v, 0);
  return Tensor::from(flat.values, flat.shape).astype(flat.dtype);
}

Tensors Folder::tensors(const Value& v, std::vector<std::string>* names) const {
  if (v.is_null()) return {};
  if (v.get("__tuple__").is_list()) return tensors(v.get("__tuple__"), names);
  Tensors all;
  if (v.get("__dict__").is_list()) {
    for (const Value& item : v.get("__dict__").as_list()) {
      if (names) names->push_back(item.as_list().at(0).as_string());
      all.push_back(tensor(item.as_list().at(1)));
    }
  } else if (v.is_list()) {
    for (const Value& item : v.as_list()) all.push_back(tensor(item));
  } else {
    all.push_back(tensor(v));
  }
  return all;
}

Tolerance Folder::tolerance(const char* which, Tolerance otherwise) const {
  const Value& t = json_.get(which);
  if (t.get("rtol").is_number()) otherwise.rtol = t.get("rtol").as_float();
  if (t.get("atol").is_number()) otherwise.atol = t.get("atol").as_float();
  return otherwise;
}

void Check::that(bool holds, const std::string& what) {
  if (!holds) result_.wrong.push_back(what);
}

void Check::close(const Tensor& got, const Tensor& want, Tolerance tolerance, const std::string& what) {
  close(got, want, tolerance, what, want.weak() ? "" : dtype_name(want.dtype()));
}

void Check::close(const Tensor& got, const Tensor& want, Tolerance t, const std::string& what, const std::string& dtype) {
  if (!got.defined() || !want.defined()) return that(got.defined() == want.defined(), what + (got.defined() ? ": there is one" : ": there is none"));
  if (!dtype.empty()) that(dtype_name(got.dtype()) == dtype, fmt::format("{}: dtype {} instead of {}", what, dtype_name(got.dtype()), dtype));
  if (got.shape() != want.shape()) return that(false, what + ": shape " + got.shape().str() + " instead of " + want.shape().str());
  if (dtype == "float16" || dtype == "bfloat16") t = {2e-2, 2e-2};
  if (!is_floating(want.dtype())) t = {0, 0};
  std::vector<double> g = got.to_vector<double>(), w = want.to_vector<double>();
  double worst = 0;
  size_t at = 0, bad = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    if (g[i] == w[i] || (std::isnan(g[i]) && std::isnan(w[i]))) continue;
    double off = std::abs(g[i] - w[i]) / std::max(t.atol + t.rtol * std::abs(w[i]), 1e-300);
    if (std::isnan(off) || std::isinf(w[i])) off = INFINITY;
    if (off > 1) ++bad;
    if (off > worst) worst = off, at = i;
  }
  std::string text;
  if (bad) text = fmt::format("{}: {} of {} elements off, the most at {}: {:.9g} instead of {:.9g}", what, bad, g.size(), at, g[at], w[at]);
  if (worst > result_.worst) result_.worst = worst, result_.worst_text = text;
  if (bad) that(false, text);
}

void Check::close(double got, double want, Tolerance t, const std::string& what) {
  close(Tensor::full({}, got, DType::Float64), Tensor::full({}, want, DType::Float64), t, what, "");
}

}  // namespace keras::conformance
