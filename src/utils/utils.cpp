// What lives here: files of arrays and small helpers.
#include <keras/utils.h>

#include <algorithm>
#include <cstring>

#include <keras/ops.h>

#include "core/impl.h"
#include "io/csv.h"
#include "io/json.h"
#include "io/npy.h"
#include "random/mersenne_twister.h"

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
  if (!classes.is_concrete()) {
    if (!num_classes)
      throw ValueError(ErrorText{.what = "without numbers the count of classes can't be found", .where = "to_categorical", .expected = "`num_classes`"}.str());
    bool column = classes.rank() > 1 && classes.shape().back() == 1;
    return ops::one_hot(column ? ops::squeeze(classes, -1) : classes, *num_classes);
  }
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
  DType dtype = is_floating(x.dtype()) ? x.dtype() : DType::Float32;
  Tensor f = ops::cast(x, dtype), size = ops::norm(f, order, a, true);
  return ops::divide(f, ops::where(ops::equal(size, 0), 1.0, size));
}

Tensor pad_sequences(const Tensors& sequences, const PadOptions& o) {
  for (const auto& [name, value] : {std::pair{"padding", &o.padding}, std::pair{"truncating", &o.truncating}})
    if (*value != "pre" && *value != "post")
      throw ValueError(ErrorText{.what = std::string("`") + name + "` is not understood", .where = "pad_sequences", .expected = "\"pre\" or \"post\"", .received = "\"" + *value + "\""}
                           .str());
  int64_t length = 0;
  std::optional<Shape> sample;
  for (const Tensor& s : sequences) {
    if (s.rank() < 1) throw ValueError(ErrorText{.what = "a sequence must have an axis", .where = "pad_sequences", .expected = "(length, …)", .received = s.shape().str()}.str());
    length = std::max(length, s.shape()[0]);
    if (!sample && s.shape()[0] > 0) sample = s.shape().slice(1);
  }
  length = o.maxlen.value_or(length);
  Shape shape = Shape{static_cast<int64_t>(sequences.size()), length} + sample.value_or(Shape());
  Tensor t = Tensor::full(shape, o.value, o.dtype);
  size_t row = static_cast<size_t>(sample.value_or(Shape()).numel()) * dtype_size(o.dtype);
  for (size_t i = 0; i < sequences.size(); ++i) {
    int64_t have = sequences[i].shape()[0], n = std::min(have, length);
    if (have == 0) continue;
    if (sequences[i].shape().slice(1) != *sample)
      throw ValueError(ErrorText{.what = "the samples of sequence " + std::to_string(i) + " differ in shape from those of the first", .where = "pad_sequences",
                                 .expected = sample->str(), .received = sequences[i].shape().slice(1).str()}.str());
    Tensor s = sequences[i].astype(o.dtype);
    int64_t from = o.truncating == "pre" ? have - n : 0, to = static_cast<int64_t>(i) * length + (o.padding == "pre" ? length - n : 0);
    if (n > 0 && row > 0)
      std::memcpy(static_cast<std::byte*>(t.mutable_raw()) + static_cast<size_t>(to) * row, static_cast<const std::byte*>(s.raw()) + static_cast<size_t>(from) * row,
                  static_cast<size_t>(n) * row);
  }
  return t;
}
Tensor pad_sequences(const std::vector<std::vector<int64_t>>& sequences, const PadOptions& o) {
  Tensors all;
  for (const auto& s : sequences) all.push_back(Tensor(s));
  return pad_sequences(all, o);
}

std::vector<std::pair<Tensor, Tensor>> timeseries_dataset_from_array(const Tensor& data, const Tensor& targets, int64_t sequence_length, const TimeseriesOptions& o) {
  int64_t n = data.rank() ? data.shape()[0] : 0;
  auto need = [](bool holds, const char* option, const std::string& expected, int64_t received) {
    if (!holds)
      throw ValueError(ErrorText{.what = std::string("`") + option + "` does not fit", .where = "timeseries_dataset_from_array", .expected = expected, .received = std::to_string(received)}.str());
  };
  std::string below = "less than the length of the data, " + std::to_string(n);
  if (o.start_index && *o.start_index != 0) {
    need(*o.start_index >= 0, "start_index", "0 or more", *o.start_index);
    need(*o.start_index < n, "start_index", below, *o.start_index);
  }
  if (o.end_index && *o.end_index != 0) {
    if (o.start_index.value_or(0) != 0) need(*o.end_index > *o.start_index, "end_index", "more than `start_index`, " + std::to_string(*o.start_index), *o.end_index);
    need(*o.end_index < n, "end_index", below, *o.end_index);
    need(*o.end_index > 0, "end_index", "more than 0", *o.end_index);
  }
  for (const auto& [name, v] : {std::pair{"sampling_rate", o.sampling_rate}, std::pair{"sequence_stride", o.sequence_stride}}) {
    need(v > 0, name, "more than 0", v);
    need(v < n, name, below, v);
  }
  need(sequence_length > 0, "sequence_length", "more than 0", sequence_length);
  if (o.batch_size) need(*o.batch_size > 0, "batch_size", "more than 0", *o.batch_size);
  int64_t start = o.start_index.value_or(0), end = o.end_index.value_or(n);
  int64_t windows = end - start - (sequence_length - 1) * o.sampling_rate;
  if (targets.defined()) windows = std::min(windows, targets.rank() ? targets.shape()[0] : 0);
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < windows; i += o.sequence_stride) starts.push_back(i);
  if (o.shuffle) {
    random::NumpyRandomState rng(o.seed ? *o.seed : random::numpy_random().randint(0, 1000000));
    rng.shuffle(starts);
  }
  std::vector<std::pair<Tensor, Tensor>> batches;
  size_t size = static_cast<size_t>(o.batch_size.value_or(1));
  for (size_t first = 0; first < starts.size(); first += size) {
    size_t last = std::min(starts.size(), first + size);
    std::vector<int32_t> at, of;
    for (size_t i = first; i < last; ++i) {
      of.push_back(static_cast<int32_t>(start + starts[i]));
      for (int64_t k = 0; k < sequence_length; ++k) at.push_back(static_cast<int32_t>(start + starts[i] + k * o.sampling_rate));
    }
    Shape shape = o.batch_size ? Shape{static_cast<int64_t>(last - first), sequence_length} : Shape{sequence_length};
    Tensor x = ops::take(data, Tensor::from(at, shape), 0);
    Tensor y = targets.defined() ? ops::take(targets, Tensor::from(of, o.batch_size ? Shape{static_cast<int64_t>(of.size())} : Shape{}), 0) : Tensor();
    batches.emplace_back(x, y);
  }
  return batches;
}

void clear_session() { core::clear_names(); }

}  // namespace keras::utils
