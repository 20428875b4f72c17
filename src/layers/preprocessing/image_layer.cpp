// What lives here: what all image layers share.
#include "layers/preprocessing/image_layer.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "prims/build.h"

namespace keras::layers {

void ImageLayer::option_error(const std::string& option, const std::string& expected, const Value& received) const {
  throw ValueError(ErrorText{.what = fmt::format("{}: the option `{}` is outside of what the layer takes", class_name_, option),
                             .where = where(),
                             .expected = expected,
                             .received = received.str()}
                       .str());
}
void ImageLayer::one_of(const std::string& option, const std::string& value, const std::vector<std::string>& known) const {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string list;
  for (const std::string& k : known) list += (list.empty() ? "\"" : ", \"") + k + "\"";
  throw ValueError(ErrorText{.what = fmt::format("{}: {} is unknown{}", class_name_, option, did_you_mean(value, known)),
                             .where = where(),
                             .expected = list,
                             .received = value}
                       .str());
}
void ImageLayer::set_formats(const std::optional<std::string>& format, const std::optional<std::string>& boxes) {
  data_format = format.value_or("channels_last");
  one_of("data_format", data_format, {"channels_last", "channels_first"});
  bounding_box_format = boxes;
}
Dict ImageLayer::image_config(std::initializer_list<std::pair<std::string, Value>> own) const {
  Dict d{{"data_format", data_format}};
  if (bounding_box_format) d.set("bounding_box_format", *bounding_box_format);
  for (const auto& [k, v] : own) d.set(k, v);
  return d;
}

static Tensor only_shape(DType dtype, const Shape& shape) { return prims::broadcast_to(Tensor::full({}, 0, dtype), shape); }
static Tensor batched(const Tensor& x, bool single) { return single ? ops::expand_dims(x, 0) : x; }
static Tensor unbatched(const Tensor& x, bool single) { return single ? ops::squeeze(x, 0) : x; }

Tensors ImageLayer::call(const Call& c) {
  const Tensor& x = c.input();
  Tensor labels = c.tensor(1, "labels"), masks = c.tensor(2, "segmentation_masks");
  if (x.rank() != 3 && x.rank() != 4)
    throw ValueError(ErrorText{.what = "the input is neither an image nor a batch of images",
                               .where = where(),
                               .expected = "rank 3 (one image) or 4 (a batch)",
                               .received = x.shape().str()}
                         .str());
  if (!x.shape().is_static()) {
    Tensors out{only_shape(output_dtype(x.dtype()), output_shape(x.shape()))};
    if (labels.defined()) out.push_back(labels);
    if (masks.defined()) out.push_back(only_shape(masks.dtype(), output_shape(masks.shape())));
    return out;
  }
  bool single = x.rank() == 3;
  Tensor images = batched(x, single);
  Transformation t = draw(images.shape(), single, c.training, generator ? random::Seed(generator) : random::Seed());
  Tensors out{unbatched(transform(images, t, c.training), single)};
  if (labels.defined()) out.push_back(unbatched(transform_labels(batched(labels, single), t, c.training), single));
  if (masks.defined()) out.push_back(unbatched(transform_masks(batched(masks, single), t, c.training), single));
  return out;
}
std::vector<ir::Type> ImageLayer::output_types(const core::CallArgs& args) {
  Tensors given = args.inputs();
  if (args.args.size() > 1 || !args.kwargs.empty()) {
    bool more = false;
    size_t n = 0;
    args.each_tensor([&](const Tensor&) { more = ++n > 1; });
    if (more) return LayerImpl::output_types(args);
  }
  const Shape& s = given.at(0).shape();
  if (s.rank() != 3 && s.rank() != 4)
    throw ValueError(ErrorText{.what = "the input is neither an image nor a batch of images",
                               .where = where(),
                               .expected = "rank 3 (one image) or 4 (a batch)",
                               .received = s.str()}
                         .str());
  return {{output_dtype(given[0].dtype()), output_shape(s)}};
}
Explanation ImageLayer::explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const {
  Explanation e;
  if (in.empty() || out.empty()) return e;
  auto text = [](int64_t n) { return n < 0 ? std::string("None") : std::to_string(n); };
  const Shape &s = in[0], &y = out[0];
  int shift = s.rank() == 3 ? 1 : 0;
  for (int i = 0; i < y.rank(); ++i) {
    int axis = i + shift;
    const char* name = axis == 0 ? "batch" : axis == height_axis() ? "height" : axis == width_axis() ? "width" : "channels";
    if (s[i] == y[i]) e.axes.push_back(fmt::format("{}, as it came in", name));
    else e.axes.push_back(fmt::format("{}={}: the layer's own; the input's {} is brought to it", name, text(y[i]), text(s[i])));
  }
  e.notes = {generator ? fmt::format("{} draws anew for each batch in training; it has no weights, only the state of its seed", class_name_)
                       : fmt::format("{} has no weights", class_name_)};
  return e;
}

// ---- options
Bounds factor_bounds(const ImageLayer& l, const char* option, const Value& given, int least, int most, bool each) {
  std::string expected = fmt::format("a number, or two, in [{}, {}]", least, most);
  auto inside = [&](const Value& v) { return v.as_float() >= least && v.as_float() <= most; };
  if (given.is_list()) {
    const List& two = given.as_list();
    if (two.size() != 2 || !two[0].is_number() || !two[1].is_number()) l.option_error(option, expected, given);
    bool ok = each ? inside(two[0]) && inside(two[1]) : two[0].as_float() <= most && two[1].as_float() >= least;
    if (!ok) l.option_error(option, expected, given);
    bool sorted = two[0].as_float() <= two[1].as_float();
    return {two[sorted ? 0 : 1], two[sorted ? 1 : 0]};
  }
  if (!given.is_number() || !inside(given)) l.option_error(option, expected, given);
  // Whole numbers stay whole and the sign of a zero is kept, as Python's abs, max and minus do.
  Value upper = given.is_int() ? Value(std::abs(given.as_int())) : Value(std::abs(given.as_float()));
  Value minus = upper.is_int() ? Value(-upper.as_int()) : Value(-upper.as_float());
  return {minus.as_float() >= least ? minus : Value(least), upper};
}
Bounds value_range(const ImageLayer& l, const Value& given, bool sorted) {
  if (!given.is_list() || given.as_list().size() != 2 || !given.as_list()[0].is_number() || !given.as_list()[1].is_number())
    l.option_error("value_range", "two numbers, the least and the greatest of the images' values", given);
  const List& two = given.as_list();
  bool in_order = !sorted || two[0].as_float() <= two[1].as_float();
  return {two[in_order ? 0 : 1], two[in_order ? 1 : 0]};
}

// ---- help
Tensor transform_value_range(const Tensor& images, const Bounds& from, const Bounds& to, DType dtype) {
  if (from.low() == to.low() && from.high() == to.high()) return images;
  auto number = [&](const Value& v) { return Tensor::full({}, v.as_float(), dtype); };
  Tensor x = ops::cast(images, dtype), low = number(from.lower), least = number(to.lower);
  x = (x - low) / (number(from.upper) - low);
  return x * (number(to.upper) - least) + least;
}
Tensor side_by_side(const Tensors& columns, int64_t batch) {
  Tensors all;
  for (const Tensor& c : columns)
    all.push_back(c.rank() == 0 ? ops::broadcast_to(ops::cast(c, DType::Float32), {batch, 1}) : ops::reshape(c, {batch, 1}));
  return ops::concatenate(all, 1);
}
Tensor draw_chosen(int64_t batch, const Bounds& factor, const random::Seed& from) {
  Tensor probability = random::uniform({batch}, {.minval = factor.low(), .maxval = factor.high(), .seed = from});
  Tensor threshold = random::uniform({batch}, {.seed = from});
  return ops::less(threshold, probability);
}

}  // namespace keras::layers
