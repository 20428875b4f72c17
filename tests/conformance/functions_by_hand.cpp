// What lives here: functions whose C++ signature says in another way what Python's says, as recorded calls call them.
#include <keras/activations.h>
#include <keras/ops.h>
#include <keras/random.h>
#include <keras/utils.h>

#include "conformance/call.h"

namespace keras::conformance {

namespace {

bool flag(Arguments& a, size_t parameter, bool otherwise) { return a.get<bool>(parameter, otherwise); }

/// einsum(subscripts, *operands)
Leaves einsum(Arguments& a) {
  return leaves(ops::einsum(a.get<std::string>(0), a.get<Tensors>(1)));
}
/// meshgrid(*x, indexing)
Leaves meshgrid(Arguments& a) {
  return leaves(ops::meshgrid(a.get<Tensors>(0), a.get<std::string>(1, "xy")));
}
/// `axes`: a number, or the axes of each, as numbers or lists.
Leaves tensordot(Arguments& a) {
  Tensor x1 = a.get<Tensor>(0), x2 = a.get<Tensor>(1);
  Value axes = a.get<Value>(2, Value(2));
  if (!is_sequence(axes)) return leaves(ops::tensordot(x1, x2, a.as<int>(axes)));
  std::vector<std::vector<int>> both;
  for (const Value& side : items(axes)) both.push_back(is_sequence(side) ? a.as<std::vector<int>>(side) : std::vector<int>{a.as<int>(side)});
  if (both.size() != 2) throw Mismatch("the axes of two tensors are needed");
  return leaves(ops::tensordot(x1, x2, both[0], both[1]));
}
Leaves linspace(Arguments& a) {
  Tensor start = a.get<Tensor>(0), stop = a.get<Tensor>(1);
  int64_t num = a.get<int64_t>(2, 50);
  bool endpoint = flag(a, 3, true), step = flag(a, 4, false);
  OptDType dtype = a.get<OptDType>(5, {});
  int axis = a.get<int>(6, 0);
  return step ? leaves(ops::linspace_with_step(start, stop, num, endpoint, dtype, axis)) : leaves(ops::linspace(start, stop, num, endpoint, dtype, axis));
}
/// Ours is stable whatever is asked for.
Leaves top_k(Arguments& a) { return leaves(ops::top_k(a.get<Tensor>(0), a.get<int64_t>(1), flag(a, 2, true))); }
/// The numbers of a tensor are NumPy's array here.
Leaves convert_to_numpy(Arguments& a) { return leaves(a.get<Tensor>(0)); }
Leaves convert_complex_to_numpy(Arguments& a) { return leaves(a.get<Complex>(0)); }
Leaves is_tensor(Arguments& a) {
  Value v = a.get<Value>(0, {});
  if (v.get("as") != Value("tensor") && !tag(v, "__keras_tensor__")) throw Unsupported("what is no tensor has another C++ type");
  return leaves(ops::is_tensor(a.as<Tensor>(v)));
}
/// The noise is drawn by the caller: Keras' JAX backend draws both with the same key.
Leaves elastic_transform(Arguments& a) {
  Tensor x = a.get<Tensor>(0);
  double alpha = a.get<double>(1, 20.0), sigma = a.get<double>(2, 5.0);
  std::string interpolation = a.get<std::string>(3, "bilinear"), fill_mode = a.get<std::string>(4, "reflect");
  double fill_value = a.get<double>(5, 0.0);
  std::optional<int64_t> seed = a.get<std::optional<int64_t>>(6, {});
  std::string data_format = a.get<std::string>(7, "");
  Shape s = x.rank() == 3 ? Shape{1} + x.shape() : x.shape(), noise{1, 1, 1};
  if (s.rank() == 4) noise = data_format == "channels_first" ? Shape{s[0], s[2], s[3]} : Shape{s[0], s[1], s[2]};
  Tensor n = noise.is_static() ? random::normal(noise, {.seed = seed}) : ops::zeros({1, 1, 1});
  return leaves(ops::image::elastic_transform(x, n, n, alpha, sigma, interpolation, fill_mode, fill_value, data_format));
}
/// C++ has overloads where Python has defaults.
Leaves relu(Arguments& a) {
  return leaves(activations::relu(a.get<Tensor>(0), a.get<double>(1, 0.0), a.get<std::optional<double>>(2, {}), a.get<double>(3, 0.0)));
}
Leaves pad_sequences(Arguments& a) {
  utils::PadOptions o{.maxlen = a.get<std::optional<int64_t>>(1, {})};
  o.dtype = a.get<DType>(2, DType::Int32);
  o.padding = a.get<std::string>(3, "pre"), o.truncating = a.get<std::string>(4, "pre"), o.value = a.get<double>(5, 0);
  return leaves(utils::pad_sequences(a.get<Tensors>(0), o));
}
Leaves timeseries(Arguments& a) {
  utils::TimeseriesOptions o;
  Tensor data = a.get<Tensor>(0), targets = a.get<Tensor>(1);
  int64_t length = a.get<int64_t>(2);
  o.sequence_stride = a.get<int64_t>(3, 1), o.sampling_rate = a.get<int64_t>(4, 1);
  o.batch_size = a.get<std::optional<int64_t>>(5, 128);
  o.shuffle = flag(a, 6, false), o.seed = a.get<std::optional<int64_t>>(7, {});
  o.start_index = a.get<std::optional<int64_t>>(8, {}), o.end_index = a.get<std::optional<int64_t>>(9, {});
  Leaves all;
  for (const auto& [x, y] : utils::timeseries_dataset_from_array(data, targets, length, o)) {
    all.push_back({x, {}, true});
    if (y.defined()) all.push_back({y, {}, true});
  }
  return all;
}

/// No recorded call holds a function, so these only tell that something else was given.
Leaves no_function(Arguments&) { throw Mismatch("a function is needed"); }

}  // namespace

void add_functions_by_hand(FunctionTable& t) {
  t["keras.ops.einsum"] = {{{"subscripts", "*operands"}, einsum}};
  t["keras.ops.meshgrid"] = {{{"*x", "indexing"}, meshgrid}};
  t["keras.ops.tensordot"] = {{{"x1", "x2", "axes"}, tensordot}};
  t["keras.ops.linspace"] = {{{"start", "stop", "num", "endpoint", "retstep", "dtype", "axis"}, linspace}};
  t["keras.ops.top_k"] = {{{"x", "k", "sorted", "is_stable"}, top_k}};
  t["keras.ops.convert_to_numpy"] = {{{"x"}, convert_to_numpy}, {{"x"}, convert_complex_to_numpy}};
  t["keras.ops.is_tensor"] = {{{"x"}, is_tensor}};
  t["keras.ops.image.elastic_transform"] = {
      {{"images", "alpha", "sigma", "interpolation", "fill_mode", "fill_value", "seed", "data_format"}, elastic_transform}};
  for (const char* name : {"scan", "associative_scan", "map", "vectorized_map", "cond", "while_loop", "fori_loop", "switch", "vectorize", "custom_gradient"})
    t[std::string("keras.ops.") + name] = {{{"*arguments"}, no_function}};
  t["keras.activations.relu"] = {{{"x", "negative_slope", "max_value", "threshold"}, relu}};
  t["keras.utils.pad_sequences"] = {{{"sequences", "maxlen", "dtype", "padding", "truncating", "value"}, pad_sequences}};
  t["keras.utils.timeseries_dataset_from_array"] = {{{"data", "targets", "sequence_length", "sequence_stride", "sampling_rate", "batch_size",
                                                      "shuffle", "seed", "start_index", "end_index"},
                                                     timeseries}};
}

}  // namespace keras::conformance
