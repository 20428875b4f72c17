// What lives here: functions whose C++ signature says in another way what Python's says, as recorded calls call them.
#include <keras/activations.h>
#include <keras/ops.h>
#include <keras/random.h>
#include <keras/utils.h>
#include <keras/utils/bounding_boxes.h>

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

// ---- random draws: a seed is a number in a recorded call
random::Seed seed_of(Arguments& a, size_t parameter) { return a.get<std::optional<int64_t>>(parameter, {}); }
Leaves uniform(Arguments& a) {
  return leaves(random::uniform(a.get<Shape>(0), {a.get<double>(1, 0.0), a.get<double>(2, 1.0), a.get<OptDType>(3, {}).value_or(DType::Float32), seed_of(a, 4)}));
}
template <Tensor (*draw)(const Shape&, const random::NormalOptions&)> Leaves normal(Arguments& a) {
  return leaves(draw(a.get<Shape>(0), {a.get<double>(1, 0.0), a.get<double>(2, 1.0), a.get<OptDType>(3, {}).value_or(DType::Float32), seed_of(a, 4)}));
}
Leaves randint(Arguments& a) {
  return leaves(random::randint(a.get<Shape>(0), a.get<int64_t>(1), a.get<int64_t>(2), {a.get<OptDType>(3, {}).value_or(DType::Int32), seed_of(a, 4)}));
}
Leaves categorical(Arguments& a) {
  return leaves(random::categorical(a.get<Tensor>(0), a.get<int64_t>(1), {a.get<OptDType>(2, {}).value_or(DType::Int32), seed_of(a, 3)}));
}
Leaves dropout(Arguments& a) {
  Value noise = a.get<Value>(2, {});
  return leaves(random::dropout(a.get<Tensor>(0), a.get<double>(1), {noise.is_null() ? std::nullopt : std::optional(a.as<Shape>(noise)), seed_of(a, 3)}));
}
Leaves shuffle(Arguments& a) { return leaves(random::shuffle(a.get<Tensor>(0), a.get<int>(1, 0), seed_of(a, 2))); }
Leaves gamma(Arguments& a) {
  return leaves(random::gamma(a.get<Shape>(0), a.get<Tensor>(1), {a.get<OptDType>(2, {}).value_or(DType::Float32), seed_of(a, 3)}));
}
template <Tensor (*draw)(const Shape&, const Tensor&, const Tensor&, const random::SeedOptions&)> Leaves draw_of_two(Arguments& a) {
  return leaves(draw(a.get<Shape>(0), a.get<Tensor>(1), a.get<Tensor>(2), {a.get<OptDType>(3, {}).value_or(DType::Float32), seed_of(a, 4)}));
}

// ---- boxes: sizes of images are numbers or tensors, and belong to options here
namespace bb = utils::bounding_boxes;
bb::ImageSize size_of(Arguments& a, size_t height, size_t width) { return {a.get<Tensor>(height, {}), a.get<Tensor>(width, {})}; }
/// `image_shape`: (height, width, channels).
bb::ImageSize size_of_shape(Arguments& a, size_t parameter) {
  Value shape = a.get<Value>(parameter, {});
  if (shape.is_null()) return {};
  const List& sizes = items(shape);
  return {a.as<Tensor>(sizes.at(0)), a.as<Tensor>(sizes.at(1))};
}
std::vector<double> variance_of(Arguments& a, size_t parameter) {
  Value v = a.get<Value>(parameter, {});
  std::vector<double> all;
  if (is_sequence(v))
    for (const Value& e : items(v)) all.push_back(number(e));
  else if (!v.is_null()) all = a.as<Tensor>(v).to_vector<double>();
  return all;
}
Leaves convert_format(Arguments& a) {
  return leaves(bb::convert_format(a.get<Tensor>(0), a.get<std::string>(1), a.get<std::string>(2), size_of(a, 3, 4), a.get<DType>(5, DType::Float32)));
}
Leaves clip_to_image_size(Arguments& a) {
  Value given = a.get<Value>(0);
  const Value* pairs = tag(given, "__dict__");
  if (!pairs) throw Mismatch("boxes and labels are needed");
  bb::Boxes boxes;
  std::vector<bool> is_box;
  for (const Value& item : pairs->as_list()) {
    is_box.push_back(item.as_list().at(0) == Value("boxes"));
    (is_box.back() ? boxes.boxes : boxes.labels) = a.as<Tensor>(item.as_list().at(1));
  }
  bb::Boxes clipped = bb::clip_to_image_size(boxes, size_of(a, 1, 2), a.get<std::string>(3, "xyxy"));
  Leaves all;
  for (bool box : is_box) all.push_back({box ? clipped.boxes : clipped.labels, {}, true});
  return all;
}
Leaves compute_iou(Arguments& a) {
  return leaves(bb::compute_iou(a.get<Tensor>(0), a.get<Tensor>(1), a.get<std::string>(2), {size_of_shape(a, 5), flag(a, 3, false), a.get<double>(4, -1.0)}));
}
Leaves compute_ciou(Arguments& a) { return leaves(bb::compute_ciou(a.get<Tensor>(0), a.get<Tensor>(1), a.get<std::string>(2))); }
template <Tensor (*convert)(const Tensor&, const Tensor&, const std::string&, const std::string&, const bb::DeltaOptions&)> Leaves deltas(Arguments& a) {
  return leaves(convert(a.get<Tensor>(0), a.get<Tensor>(1), a.get<std::string>(2), a.get<std::string>(3),
                        {a.get<std::string>(4, "center_yxhw"), variance_of(a, 5), size_of_shape(a, 6)}));
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
  const std::vector<const char*> about_mean{"shape", "mean", "stddev", "dtype", "seed"};
  t["keras.random.uniform"] = {{{"shape", "minval", "maxval", "dtype", "seed"}, uniform}};
  t["keras.random.normal"] = {{about_mean, normal<random::normal>}};
  t["keras.random.truncated_normal"] = {{about_mean, normal<random::truncated_normal>}};
  t["keras.random.randint"] = {{{"shape", "minval", "maxval", "dtype", "seed"}, randint}};
  t["keras.random.categorical"] = {{{"logits", "num_samples", "dtype", "seed"}, categorical}};
  t["keras.random.dropout"] = {{{"inputs", "rate", "noise_shape", "seed"}, dropout}};
  t["keras.random.shuffle"] = {{{"x", "axis", "seed"}, shuffle}};
  t["keras.random.gamma"] = {{{"shape", "alpha", "dtype", "seed"}, gamma}};
  t["keras.random.beta"] = {{{"shape", "alpha", "beta", "dtype", "seed"}, draw_of_two<random::beta>}};
  t["keras.random.binomial"] = {{{"shape", "counts", "probabilities", "dtype", "seed"}, draw_of_two<random::binomial>}};
  const std::string boxes = "keras.utils.bounding_boxes.";
  t[boxes + "convert_format"] = {{{"boxes", "source", "target", "height", "width", "dtype"}, convert_format}};
  t[boxes + "clip_to_image_size"] = {{{"bounding_boxes", "height", "width", "bounding_box_format"}, clip_to_image_size}};
  t[boxes + "compute_iou"] = {{{"boxes1", "boxes2", "bounding_box_format", "use_masking", "mask_val", "image_shape"}, compute_iou}};
  t[boxes + "compute_ciou"] = {{{"boxes1", "boxes2", "bounding_box_format", "image_shape"}, compute_ciou}};
  const std::vector<const char*> about_anchors{"anchors", "boxes", "anchor_format", "box_format", "encoding_format", "variance", "image_shape"};
  t[boxes + "encode_box_to_deltas"] = {{about_anchors, deltas<bb::encode_box_to_deltas>}};
  t[boxes + "decode_deltas_to_boxes"] = {
      {{"anchors", "boxes_delta", "anchor_format", "box_format", "encoded_format", "variance", "image_shape"}, deltas<bb::decode_deltas_to_boxes>}};
  t["keras.activations.relu"] = {{{"x", "negative_slope", "max_value", "threshold"}, relu}};
  t["keras.utils.pad_sequences"] = {{{"sequences", "maxlen", "dtype", "padding", "truncating", "value"}, pad_sequences}};
  t["keras.utils.timeseries_dataset_from_array"] = {{{"data", "targets", "sequence_length", "sequence_stride", "sampling_rate", "batch_size",
                                                      "shuffle", "seed", "start_index", "end_index"},
                                                     timeseries}};
}

}  // namespace keras::conformance
