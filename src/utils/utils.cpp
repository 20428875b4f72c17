// What lives here: files of arrays and small helpers.
#include <keras/utils.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/impl.h"
#include "io/csv.h"
#include "io/json.h"
#include "io/npy.h"

namespace keras::utils {

static Tensor tensor_of(const io::Array& a) { return Tensor::from_bytes(a.data.data(), static_cast<size_t>(a.shape.numel()), a.dtype, a.shape); }
static io::Array array_of(const Tensor& t) {
  io::Array a;
  a.dtype = t.dtype(), a.shape = t.shape();
  a.data.resize(t.nbytes());
  if (t.nbytes()) std::memcpy(a.data.data(), t.raw(), t.nbytes());
  return a;
}

Tensor load_npy(const std::string& path) { return tensor_of(io::read_npy(path)); }
void save_npy(const std::string& path, const Tensor& array) { io::write_npy(path, array_of(array)); }
NamedTensors load_npz(const std::string& path) {
  NamedTensors out;
  io::Arrays arrays = io::read_npz(path);
  for (const std::string& name : arrays.names()) out.emplace_back(name, tensor_of(arrays.at(name)));
  return out;
}
void save_npz(const std::string& path, const NamedTensors& tensors) {
  io::Arrays arrays;
  for (const auto& [name, t] : tensors) arrays.set(name, array_of(t));
  io::write_npz(path, arrays);
}

CsvData load_csv(const std::string& path) {
  io::Table t = io::read_csv(path);
  return {t.names, tensor_of(t.values)};
}
void save_csv(const std::string& path, const Tensor& rows, const std::vector<std::string>& columns) {
  Tensor two = rows.rank() == 2 ? rows : Tensor::from(rows.to_vector<double>(), rows.rank() < 2 ? Shape{rows.numel(), 1} : Shape{rows.shape()[0], rows.shape()[0] ? rows.numel() / rows.shape()[0] : 0});
  io::write_csv(path, array_of(two.astype(DType::Float64)), columns);
}

Value parse_json(const std::string& text) { return io::parse_json(text, "JSON"); }
std::string to_json(const Value& value, int indent) { return io::to_json(value, indent); }

Tensor to_categorical(const Tensor& classes, std::optional<int64_t> num_classes) {
  std::vector<int64_t> v = classes.to_vector<int64_t>();
  int64_t n = num_classes.value_or(v.empty() ? 0 : *std::max_element(v.begin(), v.end()) + 1);
  Shape shape = classes.shape();
  if (shape.rank() > 1 && shape.back() == 1) shape.erase(shape.rank() - 1);
  shape.push_back(n);
  Tensor t = Tensor::full(shape, 0);
  float* p = t.mutable_data<float>();
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i] < 0 || v[i] >= n)
      throw ValueError(ErrorText{.what = "to_categorical: a class is out of range", .expected = "0 to " + std::to_string(n - 1), .received = std::to_string(v[i]) + " at position " + std::to_string(i)}.str());
    p[static_cast<int64_t>(i) * n + v[i]] = 1;
  }
  return t;
}

Tensor normalize(const Tensor& x, int axis, int order) {
  int a = normalize_axis(axis, x.rank());
  std::vector<double> v = x.to_vector<double>();
  int64_t n = x.shape()[a], inner = 1, outer = 1;
  for (int i = 0; i < x.rank(); ++i) (i < a ? outer : i > a ? inner : n) *= i == a ? 1 : x.shape()[i];
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      double norm = 0;
      for (int64_t k = 0; k < n; ++k) norm += std::pow(std::abs(v[static_cast<size_t>((o * n + k) * inner + i)]), order);
      norm = std::pow(norm, 1.0 / order);
      if (norm == 0) norm = 1;
      for (int64_t k = 0; k < n; ++k) v[static_cast<size_t>((o * n + k) * inner + i)] /= norm;
    }
  return Tensor::from(v, x.shape()).astype(is_floating(x.dtype()) ? x.dtype() : DType::Float32);
}

Tensor pad_sequences(const std::vector<std::vector<int64_t>>& sequences, const PadOptions& o) {
  for (const std::string* s : {&o.padding, &o.truncating})
    if (*s != "pre" && *s != "post") throw ValueError(ErrorText{.what = "pad_sequences: padding and truncating are \"pre\" or \"post\"", .received = *s}.str());
  int64_t length = 0;
  for (const auto& s : sequences) length = std::max(length, static_cast<int64_t>(s.size()));
  length = o.maxlen.value_or(length);
  Tensor t = Tensor::full({static_cast<int64_t>(sequences.size()), length}, o.value, DType::Int32);
  int32_t* p = t.mutable_data<int32_t>();
  for (size_t r = 0; r < sequences.size(); ++r) {
    const auto& s = sequences[r];
    int64_t n = std::min(static_cast<int64_t>(s.size()), length);
    int64_t from = o.truncating == "pre" ? static_cast<int64_t>(s.size()) - n : 0, to = o.padding == "pre" ? length - n : 0;
    for (int64_t i = 0; i < n; ++i) p[static_cast<int64_t>(r) * length + to + i] = static_cast<int32_t>(s[static_cast<size_t>(from + i)]);
  }
  return t;
}

void clear_session() { core::clear_names(); }

}  // namespace keras::utils
