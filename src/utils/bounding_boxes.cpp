// What lives here: keras.utils.bounding_boxes.
#include <keras/utils/bounding_boxes.h>

#include <algorithm>
#include <array>
#include <numbers>

#include <keras/config.h>
#include <keras/ops.h>

namespace keras::utils::bounding_boxes {

namespace {

enum class Form : char { Corners, Size, Center };
/// How the four numbers of a box are to be read.
struct Format {
  const char* name;
  Form form;
  bool y_first = false, relative = false;
};
constexpr Format kFormats[] = {{"xyxy", Form::Corners},
                               {"yxyx", Form::Corners, true},
                               {"xywh", Form::Size},
                               {"center_xywh", Form::Center},
                               {"center_yxhw", Form::Center, true},
                               {"rel_xyxy", Form::Corners, false, true},
                               {"rel_yxyx", Form::Corners, true, true},
                               {"rel_xywh", Form::Size, false, true},
                               {"rel_center_xywh", Form::Center, false, true}};

Format format_of(const std::string& given) {
  std::string name = given;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::vector<std::string> known;
  for (const Format& f : kFormats) {
    if (name == f.name) return f;
    known.push_back(f.name);
  }
  throw ValueError(ErrorText{.what = "unknown format of boxes '" + given + "'" + did_you_mean(name, known), .expected = "xyxy, yxyx, xywh, center_xywh, center_yxhw, or rel_xyxy, rel_yxyx, rel_xywh, rel_center_xywh"}.str());
}

using Four = std::array<Tensor, 4>;
Four split(const Tensor& boxes) {
  if (boxes.rank() < 1 || boxes.shape().back() != 4)
    throw ValueError(ErrorText{.what = "boxes have four numbers on their last axis", .expected = "(…, 4)", .received = boxes.shape().str()}.str());
  Tensors parts = ops::split(boxes, 4, -1);
  return {parts[0], parts[1], parts[2], parts[3]};
}
Tensor join(const Four& f) { return ops::concatenate({f[0], f[1], f[2], f[3]}, -1); }
Tensor join(const Four& f, bool y_first) { return y_first ? join({f[1], f[0], f[3], f[2]}) : join(f); }

Four clipped(Four f, const Tensor& height, const Tensor& width) {
  for (size_t i = 0; i < 4; ++i) f[i] = ops::clip(f[i], Tensor(0.0), i % 2 ? height : width);
  return f;
}

void need_xyxy_size(const ImageSize& image, const char* where) {
  if (!image.height || !image.width)
    throw ValueError(ErrorText{.what = std::string(where) + ": the size of the image is missing", .expected = "height and width"}.str());
}

Tensor four_numbers(const std::vector<double>& v) {
  if (v.size() != 4) throw ValueError(ErrorText{.what = "`variance` must be length 4", .received = std::to_string(v.size()) + " numbers"}.str());
  return Tensor(v).astype(DType::Float32);
}
void check_encoding(const std::string& format) {
  if (format != "center_xywh" && format != "center_yxhw")
    throw ValueError(ErrorText{.what = "deltas are between centers and sizes", .expected = "\"center_xywh\" or \"center_yxhw\"", .received = format}.str());
}
std::pair<Tensor, Tensor> halves(const Tensor& boxes) {
  Tensors parts = ops::split(boxes, 2, -1);
  return {parts[0], parts[1]};
}

}  // namespace

Tensor convert_format(const Tensor& boxes, const std::string& source, const std::string& target, const ImageSize& image, DType dtype) {
  Format from = format_of(source), to = format_of(target);
  if (boxes.rank() < 1 || boxes.shape().back() != 4) split(boxes);
  if (from.relative || to.relative) need_xyxy_size(image, "convert_format between relative and other formats");
  Tensor given = ops::cast(boxes, dtype);
  if (std::string_view(from.name) == to.name) return given;
  if (from.relative && to.relative) from.relative = to.relative = false;
  Four f = split(given);
  if (from.y_first) f = {f[1], f[0], f[3], f[2]};
  if (from.form == Form::Size) f[2] = f[0] + f[2], f[3] = f[1] + f[3];
  if (from.form == Form::Center) {
    Tensor w = f[2] / 2.0, h = f[3] / 2.0;
    f = {f[0] - w, f[1] - h, f[0] + w, f[1] + h};
  }
  auto size = [&](size_t i) { return ops::cast(i % 2 ? image.height : image.width, dtype); };
  if (from.relative)
    for (size_t i = 0; i < 4; ++i) f[i] = f[i] * size(i);
  if (to.form != Form::Corners) {
    Tensor w = f[2] - f[0], h = f[3] - f[1];
    if (to.form == Form::Center) f[0] = f[0] + w / 2.0, f[1] = f[1] + h / 2.0;
    f[2] = w, f[3] = h;
  }
  if (to.relative)
    for (size_t i = 0; i < 4; ++i) f[i] = f[i] / size(i);
  return join(f, to.y_first);
}

Boxes clip_to_image_size(const Boxes& given, const ImageSize& image, const std::string& format) {
  if (format != "xyxy" && format != "rel_xyxy")
    throw NotImplementedError(ErrorText{.what = "clip_to_image_size knows two formats", .expected = "\"xyxy\" or \"rel_xyxy\"", .received = format}.str());
  bool relative = format == "rel_xyxy";
  if (!relative) need_xyxy_size(image, "clip_to_image_size of \"xyxy\" boxes");
  DType dtype = given.boxes.dtype();
  Four f = relative ? clipped(split(given.boxes), Tensor(1.0), Tensor(1.0)) : clipped(split(given.boxes), ops::cast(image.height, dtype), ops::cast(image.width, dtype));
  Boxes out{.boxes = join(f)};
  if (given.labels) {
    Tensor areas = ops::squeeze((f[2] - f[0]) * (f[3] - f[1]), -1);
    out.labels = ops::where(areas > 0, given.labels, Tensor(-1));
  }
  return out;
}

Tensor crop(const Tensor& boxes, double top, double left, double height, double width) {
  Four f = split(boxes);
  return join(clipped({f[0] - left, f[1] - top, f[2] - left, f[3] - top}, Tensor(height), Tensor(width)));
}
Tensor pad(const Tensor& boxes, double top, double left) {
  Four f = split(boxes);
  return join({f[0] + left, f[1] + top, f[2] + left, f[3] + top});
}

Tensor affine_transform(const Tensor& boxes, const AffineOptions& o) {
  if (boxes.rank() != 3) throw ValueError(ErrorText{.what = "affine_transform takes boxes of a batch", .expected = "(batch, N, 4)", .received = boxes.shape().str()}.str());
  for (const Tensor& t : {o.angle, o.translate_x, o.translate_y, o.scale, o.shear_x, o.shear_y})
    if (!t) throw ValueError(ErrorText{.what = "affine_transform: a part of the transformation is missing", .expected = "angle, translate_x, translate_y, scale, shear_x and shear_y, each (batch,)"}.str());
  auto per_box = [](const Tensor& t) { return ops::expand_dims(ops::expand_dims(t, -1), -1); };
  double degree = std::numbers::pi / 180;
  double cx = o.center_x * (o.width - 1), cy = o.center_y * (o.height - 1);
  Tensor rotation = -per_box(o.angle) * degree, shear_x = -per_box(o.shear_x) * degree, shear_y = -per_box(o.shear_y) * degree;
  Tensor x0 = cx - per_box(o.translate_x) * (o.width - 1), y0 = cy - per_box(o.translate_y) * (o.height - 1), scale = per_box(o.scale);
  // Rotation after shears, inverted: its determinant is 1.
  Tensor a = ops::cos(rotation - shear_y) / ops::cos(shear_y), c = -ops::sin(rotation - shear_y) / ops::cos(shear_y);
  Tensor b = a * ops::tan(shear_x) + ops::sin(rotation), d = ops::cos(rotation) - c * ops::tan(shear_x);
  Tensor xx = d * scale, xy = -b * scale, yx = -c * scale, yy = a * scale;
  Four f = split(ops::cast(boxes, xx.dtype()));
  Tensor xs = ops::concatenate({f[0], f[2], f[2], f[0]}, -1), ys = ops::concatenate({f[1], f[1], f[3], f[3]}, -1);
  Tensor u = xs * xx + ys * xy + (cx - xx * x0 - xy * y0), v = xs * yx + ys * yy + (cy - yx * x0 - yy * y0);
  return ops::concatenate({ops::min(u, -1, true), ops::min(v, -1, true), ops::max(u, -1, true), ops::max(v, -1, true)}, -1);
}

Tensor compute_iou(const Tensor& given1, const Tensor& given2, const std::string& format, const IouOptions& o) {
  for (const Tensor& t : {given1, given2})
    if (t.rank() != 2 && t.rank() != 3)
      throw ValueError(ErrorText{.what = "compute_iou takes boxes with or without a batch", .expected = "(N, 4) or (batch, N, 4)", .received = t.shape().str()}.str());
  Tensor boxes1 = convert_format(given1, format, "xyxy", o.image), boxes2 = convert_format(given2, format, "xyxy", o.image);
  Four p = split(ops::expand_dims(boxes1, -2)), q = split(ops::expand_dims(boxes2, -3));
  for (Four* f : {&p, &q})
    for (Tensor& t : *f) t = ops::squeeze(t, -1);
  Tensor h = ops::maximum(ops::minimum(p[3], q[3]) - ops::maximum(p[1], q[1]), Tensor(0.0));
  Tensor w = ops::maximum(ops::minimum(p[2], q[2]) - ops::maximum(p[0], q[0]), Tensor(0.0));
  auto area = [](const Four& f) { return (f[3] - f[1]) * (f[2] - f[0]); };
  Tensor both = h * w, result = both / ((area(p) + area(q) - both) + config::epsilon());
  if (!o.use_masking) return result;
  auto absent = [](const Tensor& boxes, int axis) { return ops::expand_dims(ops::less(ops::max(boxes, -1), Tensor(0.0)), axis); };
  return ops::where(ops::logical_or(absent(boxes1, -1), absent(boxes2, -2)), ops::full_like(result, Tensor(o.mask_val)), result);
}

Tensor compute_ciou(const Tensor& given1, const Tensor& given2, const std::string& format) {
  if (format_of(format).relative) throw ValueError(ErrorText{.what = "compute_ciou takes no relative boxes", .received = format, .fix = "convert_format first"}.str());
  Four p = split(convert_format(given1, format, "xyxy")), q = split(convert_format(given2, format, "xyxy"));
  double e = config::epsilon();
  Tensor wp = p[2] - p[0], hp = p[3] - p[1] + e, wq = q[2] - q[0], hq = q[3] - q[1] + e;
  Tensor both = ops::maximum(ops::minimum(p[2], q[2]) - ops::maximum(p[0], q[0]), Tensor(0.0)) * ops::maximum(ops::minimum(p[3], q[3]) - ops::maximum(p[1], q[1]), Tensor(0.0));
  Tensor iou = both / ((wp * hp + wq * hq - both + e) + e);
  Tensor around_w = ops::maximum(p[2], q[2]) - ops::minimum(p[0], q[0]), around_h = ops::maximum(p[3], q[3]) - ops::minimum(p[1], q[1]);
  Tensor diagonal = ops::square(around_w) + ops::square(around_h) + e;
  Tensor apart = ops::square((p[0] + p[2]) / 2.0 - (q[0] + q[2]) / 2.0) + ops::square((p[1] + p[3]) / 2.0 - (q[1] + q[3]) / 2.0);
  Tensor v = 4 / (std::numbers::pi * std::numbers::pi) * ops::square(ops::arctan(wq / hq) - ops::arctan(wp / hp));
  return ops::squeeze(iou - (apart / diagonal + v * (v / (v - iou + (1 + e)))), -1);
}

Tensor encode_box_to_deltas(const Tensor& anchors, const Tensor& boxes, const std::string& anchor_format, const std::string& box_format, const DeltaOptions& o) {
  check_encoding(o.encoding_format);
  auto [anchor_at, anchor_size] = halves(convert_format(anchors, anchor_format, o.encoding_format, o.image));
  auto [box_at, box_size] = halves(convert_format(boxes, box_format, o.encoding_format, o.image));
  anchor_size = ops::maximum(anchor_size, Tensor(config::epsilon()));
  box_size = ops::maximum(box_size, Tensor(config::epsilon()));
  Tensor deltas = ops::concatenate({(box_at - anchor_at) / anchor_size, ops::log(box_size / anchor_size)}, -1);
  return o.variance.empty() ? deltas : deltas / four_numbers(o.variance);
}

Tensor decode_deltas_to_boxes(const Tensor& anchors, const Tensor& deltas, const std::string& anchor_format, const std::string& box_format, const DeltaOptions& o) {
  check_encoding(o.encoding_format);
  auto [anchor_at, anchor_size] = halves(convert_format(anchors, anchor_format, o.encoding_format, o.image));
  auto [move, grow] = halves(o.variance.empty() ? deltas : deltas * four_numbers(o.variance));
  Tensor box = ops::concatenate({move * anchor_size + anchor_at, ops::exp(grow) * anchor_size}, -1);
  return convert_format(box, o.encoding_format, box_format, o.image);
}

}  // namespace keras::utils::bounding_boxes
