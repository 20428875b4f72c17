// What lives here: keras.ops.image: colours, resizing, geometry, patches, filters.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <keras/ops/core.h>
#include <keras/ops/image.h>
#include <keras/ops/linalg.h>
#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "ops/op_frame.h"

namespace keras::ops::image {

namespace {
void check_rank(const Tensor& x, const char* where) {
  if (x.rank() != 3 && x.rank() != 4)
    shape_error(where, "images of another rank", "rank 3 (one image) or 4 (a batch of images)", x.shape().str());
}
std::pair<std::string, Arg> format_option(std::string_view data_format) {
  return {"data_format", data_format.empty() ? Arg(Value()) : Arg(Value(data_format))};
}
/// Images as a batch, channels last; `restore` brings a result of the same layout back.
struct Batch {
  Tensor x;
  bool single, last;
  Tensor restore(const Tensor& y) const {
    Tensor t = last ? y : move_axis(y, y.rank() - 1, 1);
    return single ? drop_axes(t, Ints{0}) : t;
  }
};
Batch batch_of(const Tensor& images, bool last, int spatial = 2) {
  bool single = images.rank() == spatial + 1;
  Tensor x = single ? expand_dims(images, 0) : images;
  return {last ? x : move_axis(x, 1, x.rank() - 1), single, last};
}
int height_axis(const Tensor& x, bool last) { return last ? x.rank() - 3 : x.rank() - 2; }
Tensor limited(const Tensor& x, double low, double high) { return p::ew(Ew::minimum, p::ew(Ew::maximum, x, num(x, low)), num(x, high)); }
Tensor e2(Ew op, const Tensor& a, double b) { return p::ew(op, a, num(a, b)); }
}  // namespace

// ---- colours
Tensor rgb_to_grayscale(const Tensor& images, std::string_view data_format) {
  bool last = is_channels_last(data_format, "rgb_to_grayscale");
  return frame(
      "RGBToGrayscale", [&] { return ArgDict{format_option(data_format)}; },
      [last](const Tensor& x) {
        check_rank(x, "rgb_to_grayscale");
        int axis = last ? x.rank() - 1 : x.rank() - 3;
        int64_t c = x.shape()[axis];
        if (c >= 0 && c != 1 && c != 3)
          shape_error("rgb_to_grayscale", "the channels are no colours", "3 channels (RGB) or 1 (grayscale)", x.shape().str());
        if (c == 1) return x;
        Shape column(std::vector<int64_t>(x.shape().size(), 1));
        column[axis] = 3;
        Tensor f = as_float(x), weights = p::reshape(Tensor{0.2989, 0.5870, 0.1140}.astype(f.dtype()), column);
        if (c < 0) return as(p::reduce_sum(f, Ints{axis}, true), x.dtype());
        return as(p::reduce_sum(p::mul(f, weights), Ints{axis}, true), x.dtype());
      },
      images);
}
static std::vector<Tensor> planes(const Tensor& x, bool last, const char* where) {
  check_rank(x, where);
  if (!is_floating(x.dtype()))
    throw ValueError(
        ErrorText{.what = "images must be floats", .where = where, .received = dtype_name(x.dtype()), .fix = "cast them and divide by 255"}
            .str());
  int axis = last ? x.rank() - 1 : x.rank() - 3;
  if (int64_t c = x.shape()[axis]; c >= 0 && c != 3) shape_error(where, "the channels are no colours", "3 channels", x.shape().str());
  std::vector<Tensor> out;
  for (int i = 0; i < 3; ++i)
    out.push_back(x.shape()[axis] < 0 ? shape_only(x.dtype(), kept_shape(x.shape(), Ints{axis})) : p::slice_axis(x, axis, i, i + 1));
  return out;
}
static Tensor joined(const Tensors& parts, bool last) { return p::concat(parts, last ? parts[0].rank() - 1 : parts[0].rank() - 3); }

Tensor rgb_to_hsv(const Tensor& images, std::string_view data_format) {
  bool last = is_channels_last(data_format, "rgb_to_hsv");
  return frame(
      "RGBToHSV", [&] { return ArgDict{format_option(data_format)}; },
      [last](const Tensor& x0) {
        double eps = x0.dtype() == DType::Float16    ? 9.765625e-04
                     : x0.dtype() == DType::BFloat16 ? 0.0078125
                     : x0.dtype() == DType::Float64  ? 2.220446049250313e-16
                                                     : 1.1920929e-07;
        Tensor x = is_floating(x0.dtype()) ? p::select(e2(Ew::less, p::ew(Ew::abs, x0), eps), num(x0, 0), x0) : x0;
        auto c = planes(x, last, "rgb_to_hsv");
        const Tensor &r = c[0], &g = c[1], &b = c[2];
        Tensor value = p::ew(Ew::maximum, p::ew(Ew::maximum, r, g), b),
               range = p::sub(value, p::ew(Ew::minimum, p::ew(Ew::minimum, r, g), b));
        Tensor lit = e2(Ew::greater, value, 0), coloured = e2(Ew::greater, range, 0), zero = num(x, 0), one = num(x, 1);
        Tensor saturation = p::select(lit, p::div(range, p::select(lit, value, one)), zero);
        Tensor norm = p::div(one, p::mul(p::select(coloured, range, one), 6.0));
        Tensor hue = p::select(p::ew(Ew::equal, value, g), p::add(p::mul(norm, p::sub(b, r)), 2.0 / 6.0),
                               p::add(p::mul(norm, p::sub(r, g)), 4.0 / 6.0));
        hue = p::select(p::ew(Ew::equal, value, r), p::mul(norm, p::sub(g, b)), hue);
        hue = p::add(p::select(coloured, hue, zero), p::cast(e2(Ew::less, hue, 0), x.dtype()));
        return joined({hue, saturation, value}, last);
      },
      images);
}
Tensor hsv_to_rgb(const Tensor& images, std::string_view data_format) {
  bool last = is_channels_last(data_format, "hsv_to_rgb");
  return frame(
      "HSVToRGB", [&] { return ArgDict{format_option(data_format)}; },
      [last](const Tensor& x) {
        auto c = planes(x, last, "hsv_to_rgb");
        Tensor dh = p::mul(e2(Ew::mod, c[0], 1), 6.0), dull = p::sub(num(x, 1), c[1]);
        auto away = [&](double from) { return p::ew(Ew::abs, p::add(dh, -from)); };
        auto plane = [&](const Tensor& d) { return p::mul(c[2], p::add(dull, p::mul(c[1], limited(d, 0, 1)))); };
        return joined({plane(p::add(away(3), -1.0)), plane(p::sub(num(x, 2), away(2))), plane(p::sub(num(x, 2), away(4)))}, last);
      },
      images);
}

// ---- resizing: one matrix of weights per axis, as JAX' scale_and_translate
namespace {
enum class Kernel { Triangle, Cubic, Lanczos3, Lanczos5 };
Tensor kernel_of(Kernel k, const Tensor& x) {  // x >= 0
  switch (k) {
    case Kernel::Triangle: return p::ew(Ew::maximum, p::sub(num(x, 1), x), num(x, 0));
    case Kernel::Cubic: {  // Keys, a = -0.5
      Tensor near = p::add(p::mul(p::mul(p::add(p::mul(x, 1.5), -2.5), x), x), 1.0);
      Tensor far = p::add(p::mul(p::add(p::mul(p::add(p::mul(x, -0.5), 2.5), x), -4.0), x), 2.0);
      return p::select(e2(Ew::greater_equal, x, 2), num(x, 0), p::select(e2(Ew::greater_equal, x, 1), far, near));
    }
    default: {
      double radius = k == Kernel::Lanczos3 ? 3 : 5, pi = std::numbers::pi;
      Tensor y = p::mul(p::mul(p::ew(Ew::sin, p::mul(x, pi)), p::ew(Ew::sin, p::mul(x, pi / radius))), radius);
      Tensor some = e2(Ew::greater, x, 1e-3), safe = p::select(some, x, num(x, 1));
      Tensor value = p::select(some, p::div(y, p::mul(p::ew(Ew::square, safe), pi * pi)), num(x, 1));
      return p::select(e2(Ew::greater, x, radius), num(x, 0), value);
    }
  }
}
/// (input size, output size) weights; scale and translation are scalars.
Tensor weights(int64_t from, int64_t to, const Tensor& scale, const Tensor& translation, Kernel kernel, bool antialias) {
  DType t = scale.dtype();
  Tensor inverse = p::div(num(scale, 1), scale);
  Tensor width = antialias ? e2(Ew::maximum, inverse, 1) : num(scale, 1);
  Tensor at = p::add(p::sub(p::mul(p::add(iota(t, Shape{1, to}, 1), 0.5), inverse), p::mul(translation, inverse)), -0.5);
  Tensor x = p::div(p::ew(Ew::abs, p::sub(at, iota(t, Shape{from, 1}, 0))), width);
  Tensor w = kernel_of(kernel, x), total = p::reduce_sum(w, Ints{0}, true);
  Tensor there = e2(Ew::greater, p::ew(Ew::abs, total), 1000 * 1.1920928955078125e-07);
  w = p::select(there, p::div(w, p::select(there, total, num(w, 1))), num(w, 0));
  Tensor inside = p::ew(Ew::logical_and, e2(Ew::greater_equal, at, -0.5), e2(Ew::less_equal, at, static_cast<double>(from) - 0.5));
  return p::select(inside, w, num(w, 0));
}
Tensor along(const Tensor& x, const Tensor& matrix, int axis) {
  return move_axis(p::dot(x, as(matrix, x.dtype()), Ints{axis}, Ints{0}), x.rank() - 1, axis);
}
Tensor resized_axis(const Tensor& x, int axis, int64_t to, std::string_view method, bool antialias) {
  int64_t from = x.shape()[axis];
  if (from == to) return x;
  if (method == "nearest") {
    Ints at;
    for (int64_t i = 0; i < to; ++i)
      at.push_back(std::min(
          from - 1, static_cast<int64_t>(std::floor((static_cast<float>(i) + 0.5f) * static_cast<float>(from) / static_cast<float>(to)))));
    return p::gather(x, int_tensor(at), axis);
  }
  Kernel k = method == "bilinear"   ? Kernel::Triangle
             : method == "bicubic"  ? Kernel::Cubic
             : method == "lanczos3" ? Kernel::Lanczos3
                                    : Kernel::Lanczos5;
  Tensor w;
  {
    core::EagerScope now;  // the matrix is a constant of the step
    Tensor scale = Tensor::full({}, static_cast<double>(to) / static_cast<double>(from));
    w = weights(from, to, scale, num(scale, 0), k, antialias);
  }
  return along(x, w, axis);
}
}  // namespace
Tensor resize(const Tensor& images, const Sizes& size, std::string_view interpolation, bool antialias, bool crop_to_aspect_ratio,
              bool pad_to_aspect_ratio, std::string_view fill_mode, double fill_value, std::string_view data_format) {
  static const std::vector<std::string> known = {"bilinear", "nearest", "lanczos3", "lanczos5", "bicubic"};
  if (std::find(known.begin(), known.end(), interpolation) == known.end()) unknown_option("resize", "interpolation", interpolation, known);
  if (fill_mode != "constant") unknown_option("resize", "fill_mode", fill_mode, {"constant"});
  if (pad_to_aspect_ratio && crop_to_aspect_ratio)
    throw ValueError(
        ErrorText{.what = "only one of `pad_to_aspect_ratio` and `crop_to_aspect_ratio` can be true", .where = "resize"}.str());
  if (size.single() || size.size() != 2 || size[0] < 1 || size[1] < 1)
    throw ValueError(ErrorText{.what = "`size` must be two positive numbers",
                               .where = "resize",
                               .expected = "(height, width)",
                               .received = Shape(size.list()).str()}
                         .str());
  bool last = is_channels_last(data_format, "resize");
  return frame(
      "Resize",
      [&] {
        return ArgDict{kw("size", size),
                       kw("interpolation", interpolation),
                       kw("antialias", antialias),
                       kw("crop_to_aspect_ratio", crop_to_aspect_ratio),
                       kw("pad_to_aspect_ratio", pad_to_aspect_ratio),
                       kw("fill_mode", fill_mode),
                       kw("fill_value", fill_value),
                       format_option(data_format)};
      },
      [=, method = std::string(interpolation)](const Tensor& x0) {
        check_rank(x0, "resize");
        int h = height_axis(x0, last), w = h + 1;
        int64_t H = x0.shape()[h], W = x0.shape()[w], th = size[0], tw = size[1];
        Shape out = x0.shape();
        out[h] = th, out[w] = tw;
        if (H < 0 || W < 0) return shape_only(x0.dtype(), out);
        Tensor x = as_float(x0);
        if (crop_to_aspect_ratio) {
          int64_t ch = std::max<int64_t>(std::min(H, W * th / tw), 1), cw = std::max<int64_t>(std::min(W, H * tw / th), 1);
          x = p::slice_axis(x, h, (H - ch) / 2, (H - ch) / 2 + ch);
          x = p::slice_axis(x, w, (W - cw) / 2, (W - cw) / 2 + cw);
        } else if (pad_to_aspect_ratio) {
          int64_t ph = (std::max(H, W * th / tw) - H) / 2, pw = (std::max(W, H * tw / th) - W) / 2;
          Ints edge(x.shape().size(), 0);
          if (ph > 0) edge[static_cast<size_t>(h)] = ph;
          else edge[static_cast<size_t>(w)] = pw;
          x = p::pad(x, num(x, fill_value), edge, edge, Ints(edge.size(), 0));
        }
        Tensor y = resized_axis(resized_axis(x, h, th, method, antialias), w, tw, method, antialias);
        return is_floating(x0.dtype()) ? y : saturate_cast(p::ew(Ew::round, y), x0.dtype());
      },
      images);
}
Tensor scale_and_translate(const Tensor& images, const Shape& output_shape, const Tensor& scale, const Tensor& translation,
                           const Axes& spatial_dims, std::string_view method, bool antialias) {
  static const std::vector<std::string> known = {"linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3", "lanczos5"};
  size_t found = static_cast<size_t>(std::find(known.begin(), known.end(), method) - known.begin());
  if (found == known.size()) unknown_option("scale_and_translate", "method", method, known);
  Kernel k = found < 3 ? Kernel::Triangle : found < 6 ? Kernel::Cubic : found == 6 ? Kernel::Lanczos3 : Kernel::Lanczos5;
  return frame(
      "ScaleAndTranslate",
      [&] {
        return ArgDict{kw("output_shape", output_shape), kw("spatial_dims", spatial_dims), kw("method", method),
                       kw("antialias", antialias)};
      },
      [=](const Tensor& x0, const Tensor& s, const Tensor& t) {
        if (output_shape.rank() != x0.rank())
          shape_error("scale_and_translate", "`output_shape` has another rank", "rank " + std::to_string(x0.rank()), output_shape.str());
        Tensor x = as_float(x0), scales = as(s, DType::Float32), moves = as(t, DType::Float32);
        if (!x.shape().is_static()) return shape_only(x.dtype(), output_shape);
        int64_t i = 0;
        for (int d : spatial_dims.list()) {
          int axis = axis_of(d, x, "scale_and_translate");
          auto one = [&](const Tensor& v) { return drop_axes(p::slice_axis(v, 0, i, i + 1), Ints{0}); };
          x = along(x, weights(x.shape()[axis], output_shape[axis], one(scales), one(moves), k, antialias), axis);
          ++i;
        }
        return x;
      },
      images, scale, translation);
}

// ---- reading at computed places
namespace {
void check_fill_mode(std::string_view mode, const char* where) {
  static const std::vector<std::string> known = {"constant", "nearest", "wrap", "mirror", "reflect"};
  if (std::find(known.begin(), known.end(), mode) == known.end()) unknown_option(where, "fill_mode", mode, known);
}
int order_of(std::string_view interpolation, const char* where) {
  if (interpolation == "nearest") return 0;
  if (interpolation == "bilinear") return 1;
  unknown_option(where, "interpolation", interpolation, {"nearest", "bilinear"});
}
/// Indices (int32) brought into [0, n) as the mode says.
Tensor inside(const Tensor& i, int64_t n, const std::string& mode) {
  auto mirror = [](const Tensor& v, int64_t size) {
    double s = static_cast<double>(size - 1);
    if (s == 0) return num(v, 0);
    return p::ew(Ew::abs, p::add(e2(Ew::mod, p::add(v, s), 2 * s), -s));
  };
  if (mode == "wrap") return e2(Ew::mod, i, static_cast<double>(n));
  if (mode == "mirror") return mirror(i, n);
  if (mode == "reflect") return e2(Ew::floor_div, p::add(mirror(p::add(p::mul(i, 2.0), 1.0), 2 * n + 1), -1.0), 2);
  return limited(i, 0, static_cast<double>(n - 1));
}
/// Interpolates rows: `table` (sizes…, width) is read at `coordinates` (one tensor of equal shape per size), after `base` rows are added.
Tensor interpolated(const Tensor& table, const Ints& sizes, const Tensors& coordinates, const Tensor& base, int order,
                    const std::string& mode, double fill) {
  struct Pick {
    Tensor index, weight, valid;
  };
  std::vector<std::vector<Pick>> picks;
  DType t = coordinates[0].dtype();
  for (size_t d = 0; d < sizes.size(); ++d) {
    const Tensor& c = coordinates[d];
    std::vector<Pick> own;
    auto take_at = [&](const Tensor& where, const Tensor& weight) {
      Tensor i = p::cast(where, DType::Int32), valid;
      if (mode == "constant") valid = p::ew(Ew::logical_and, e2(Ew::greater_equal, i, 0), e2(Ew::less, i, static_cast<double>(sizes[d])));
      own.push_back({inside(i, sizes[d], mode), weight, valid});
    };
    if (order == 0) {  // halves away from zero
      take_at(p::mul(p::ew(Ew::sign, c), p::ew(Ew::floor, p::add(p::ew(Ew::abs, c), 0.5))), Tensor());
    } else {
      Tensor low = p::ew(Ew::floor, c), part = p::sub(c, low);
      take_at(low, p::sub(num(c, 1), part));
      take_at(p::add(low, 1.0), part);
    }
    picks.push_back(std::move(own));
  }
  Tensor sum;
  for (size_t corner = 0; corner < (order == 0 ? 1u : size_t{1} << sizes.size()); ++corner) {
    Tensor index, weight, valid;
    for (size_t d = 0; d < sizes.size(); ++d) {
      const Pick& pick = picks[d][corner >> d & (order == 0 ? 0 : 1)];
      index = index.defined() ? p::add(p::mul(index, static_cast<double>(sizes[d])), pick.index) : pick.index;
      if (pick.weight.defined()) weight = weight.defined() ? p::mul(weight, pick.weight) : pick.weight;
      if (pick.valid.defined()) valid = valid.defined() ? p::ew(Ew::logical_and, valid, pick.valid) : pick.valid;
    }
    if (base.defined()) index = p::add(index, base);
    Tensor v = p::gather(table, index, 0);
    auto column = [&](const Tensor& m) {
      Shape s = m.shape();
      while (s.rank() < v.rank()) s.push_back(1);
      return p::reshape(m, s);
    };
    if (valid.defined()) v = p::select(column(valid), v, num(v, fill));
    if (weight.defined())
      v = p::mul(as(v, result_type(t, float_type(v.dtype()))), as(column(weight), result_type(t, float_type(v.dtype()))));
    sum = sum.defined() ? p::add(sum, v) : v;
  }
  return sum;
}
/// Back to the dtype of the input; integers are rounded.
Tensor settled(const Tensor& y, DType to) {
  if (y.dtype() == to) return y;
  if (is_floating(to)) return as(y, to);
  return as(p::mul(p::ew(Ew::sign, y), p::ew(Ew::floor, p::add(p::ew(Ew::abs, y), 0.5))), to);
}
/// Images (B, H, W, C) read at rows and columns (B, H, W).
Tensor sampled(const Tensor& x, const Tensor& rows, const Tensor& columns, int order, const std::string& mode, double fill) {
  int64_t B = x.shape()[0], H = x.shape()[1], W = x.shape()[2], C = x.shape()[3];
  Tensor base = p::mul(iota(DType::Int32, Shape{B, 1, 1}, 0), static_cast<double>(H * W));
  return settled(interpolated(p::reshape(x, Shape{B * H * W, C}), {H, W}, {rows, columns}, base, order, mode, fill), x.dtype());
}
}  // namespace
Tensor map_coordinates(const Tensor& inputs, const Tensor& coordinates, int order, std::string_view fill_mode, double fill_value) {
  check_fill_mode(fill_mode, "map_coordinates");
  if (order != 0 && order != 1) unknown_option("map_coordinates", "order", std::to_string(order), {"0", "1"});
  return frame(
      "MapCoordinates",
      [&] {
        return ArgDict{kw("order", order), kw("fill_mode", fill_mode), kw("fill_value", fill_value)};
      },
      [=, mode = std::string(fill_mode)](const Tensor& x, const Tensor& c0) {
        if (c0.rank() < 2)
          shape_error("map_coordinates", "coordinates of another rank", "(rank of inputs, …), rank 2 or more", c0.shape().str());
        if (c0.shape()[0] != x.rank())
          shape_error("map_coordinates", "the first axis of the coordinates must be the rank of the inputs", std::to_string(x.rank()),
                      c0.shape().str());
        Shape out = c0.shape().slice(1);
        if (!x.shape().is_static() || !out.is_static()) return shape_only(x.dtype(), out);
        Tensor c = as_float(c0);
        if (is_half(c.dtype())) c = as(c, DType::Float32);
        Tensors each;
        for (int64_t i = 0; i < x.rank(); ++i) each.push_back(drop_axes(p::slice_axis(c, 0, i, i + 1), Ints{0}));
        return settled(interpolated(flatten(x), x.shape().dims(), each, Tensor(), order, mode, fill_value), x.dtype());
      },
      inputs, coordinates);
}
Tensor affine_transform(const Tensor& images, const Tensor& transform, std::string_view interpolation, std::string_view fill_mode,
                        double fill_value, std::string_view data_format) {
  int order = order_of(interpolation, "affine_transform");
  check_fill_mode(fill_mode, "affine_transform");
  bool last = is_channels_last(data_format, "affine_transform");
  return frame(
      "AffineTransform",
      [&] {
        return ArgDict{kw("interpolation", interpolation), kw("fill_mode", fill_mode), kw("fill_value", fill_value),
                       format_option(data_format)};
      },
      [=, mode = std::string(fill_mode)](const Tensor& x, const Tensor& t0) {
        check_rank(x, "affine_transform");
        if (t0.rank() != 1 && t0.rank() != 2)
          shape_error("affine_transform", "transforms of another rank", "(8) or (batch, 8)", t0.shape().str());
        Batch b = batch_of(x, last);
        if (!b.x.shape().is_static()) return x;
        int64_t B = b.x.shape()[0], H = b.x.shape()[1], W = b.x.shape()[2];
        Tensor t = as(t0, t0.dtype() == DType::Float64 ? DType::Float64 : DType::Float32);
        t = p::broadcast_to(t.rank() == 1 ? expand_dims(t, 0) : t, Shape{B, 8});
        auto entry = [&](int64_t i) { return p::reshape(p::slice_axis(t, 1, i, i + 1), Shape{B, 1, 1}); };
        Tensor row = iota(t.dtype(), Shape{1, H, W}, 1), column = iota(t.dtype(), Shape{1, H, W}, 2);
        Tensor columns = p::add(p::add(p::mul(column, entry(0)), p::mul(row, entry(1))), entry(2));
        Tensor rows = p::add(p::add(p::mul(column, entry(3)), p::mul(row, entry(4))), entry(5));
        return b.restore(sampled(b.x, rows, columns, order, mode, fill_value));
      },
      images, transform);
}
/// The eight numbers of the projective map that takes end points to start points: (B, 4, 2) twice → (B, 8).
static Tensor homography(const Tensor& start, const Tensor& end) {
  auto part = [](const Tensor& t, int64_t i) { return p::slice_axis(t, 2, i, i + 1); };  // (B, 4, 1)
  Tensor sx = part(start, 0), sy = part(start, 1), ex = part(end, 0), ey = part(end, 1);
  Tensor zero = p::broadcast_to(num(ex, 0), ex.shape()), one = p::broadcast_to(num(ex, 1), ex.shape());
  Tensor x_rows = p::concat(Tensors{ex, ey, one, zero, zero, zero, p::neg(p::mul(sx, ex)), p::neg(p::mul(sx, ey))}, 2);
  Tensor y_rows = p::concat(Tensors{zero, zero, zero, ex, ey, one, p::neg(p::mul(sy, ex)), p::neg(p::mul(sy, ey))}, 2);
  return drop_axes(solve(p::concat(Tensors{x_rows, y_rows}, 1), p::concat(Tensors{sx, sy}, 1)), Ints{2});
}
Tensor perspective_transform(const Tensor& images, const Tensor& start_points, const Tensor& end_points, std::string_view interpolation,
                             double fill_value, std::string_view data_format) {
  int order = order_of(interpolation, "perspective_transform");
  bool last = is_channels_last(data_format, "perspective_transform");
  for (const Tensor* t : {&start_points, &end_points})
    if ((t->rank() != 2 && t->rank() != 3) || !compatible(t->shape().slice(t->rank() - 2), Shape{4, 2}))
      shape_error("perspective_transform", "points of another shape", "(4, 2) or (batch, 4, 2)", t->shape().str());
  if (start_points.rank() != end_points.rank() || !compatible(start_points.shape(), end_points.shape()))
    shape_error("perspective_transform", "start and end points differ in shape", start_points.shape().str(), end_points.shape().str());
  return frame(
      "PerspectiveTransform",
      [&] {
        return ArgDict{kw("interpolation", interpolation), kw("fill_value", fill_value), format_option(data_format)};
      },
      [=](const Tensor& x, const Tensor& s0, const Tensor& e0) {
        check_rank(x, "perspective_transform");
        Batch b = batch_of(x, last);
        if (!b.x.shape().is_static()) return x;
        int64_t B = b.x.shape()[0], H = b.x.shape()[1], W = b.x.shape()[2];
        auto lift = [&](const Tensor& t) {
          return p::broadcast_to(as(t.rank() == 2 ? expand_dims(t, 0) : t, DType::Float32), Shape{B, 4, 2});
        };
        Tensor m = homography(lift(s0), lift(e0));
        auto entry = [&](int64_t i) { return p::reshape(p::slice_axis(m, 1, i, i + 1), Shape{B, 1, 1}); };
        Tensor row = iota(m.dtype(), Shape{1, H, W}, 1), column = iota(m.dtype(), Shape{1, H, W}, 2);
        auto plane = [&](int64_t i) { return p::add(p::mul(column, entry(i)), p::mul(row, entry(i + 1))); };
        Tensor depth = p::add(plane(6), 1.0);
        Tensor columns = p::div(p::add(plane(0), entry(2)), depth), rows = p::div(p::add(plane(3), entry(5)), depth);
        return b.restore(sampled(b.x, rows, columns, order, "constant", fill_value));
      },
      images, start_points, end_points);
}

// ---- patches, edges
static Tensor patches(const char* cls, const char* where, const Tensor& images, const Sizes& size, const Sizes& strides,
                      const Sizes& dilation_rate, std::string_view padding, std::string_view data_format, int spatial) {
  bool last = is_channels_last(data_format, where), same = padding == "same";
  if (!same && padding != "valid") unknown_option(where, "padding", padding, {"valid", "same"});
  size_t n = static_cast<size_t>(spatial);
  if (!size.single() && size.size() != n)
    throw TypeError(ErrorText{.what = "invalid `size`",
                              .where = where,
                              .expected = "one number or " + std::to_string(n),
                              .received = std::to_string(size.size()) + " numbers"}
                        .str());
  Ints window = size.expand(n, "size"), step = strides.empty() ? window : strides.expand(n, "strides"),
       gap = dilation_rate.expand(n, "dilation_rate");
  return frame(
      cls,
      [&] {
        return ArgDict{kw("size", size), kw("strides", strides), kw("dilation_rate", dilation_rate), kw("padding", padding),
                       format_option(data_format)};
      },
      [=](const Tensor& images_) {
        if (images_.rank() != spatial + 1 && images_.rank() != spatial + 2)
          shape_error(where, "images of another rank", "rank " + std::to_string(spatial + 1) + " or " + std::to_string(spatial + 2),
                      images_.shape().str());
        Batch b = batch_of(images_, last, spatial);
        Tensor x = b.x;
        Shape out{x.shape()[0]};
        int64_t depth = x.shape().back();
        bool known = true;
        std::vector<std::pair<int64_t, int64_t>> edges;
        Ints counts;
        for (int i = 0; i < spatial; ++i) {
          size_t k = static_cast<size_t>(i);
          int64_t size_i = x.shape()[i + 1], reach = (window[k] - 1) * gap[k] + 1, lo = 0, hi = 0;
          if (same && size_i >= 0) {
            int64_t total = std::max<int64_t>(0, (ceil_div(size_i, step[k]) - 1) * step[k] + reach - size_i);
            lo = total / 2, hi = total - lo;
          }
          int64_t count = size_i < 0 ? None : size_i + lo + hi < reach ? 0 : (size_i + lo + hi - reach) / step[k] + 1;
          known &= count >= 0;
          edges.emplace_back(lo, hi), counts.push_back(count), out.push_back(count);
          depth = times(depth, window[k]);
        }
        out.push_back(depth);
        if (!known) return b.restore(shape_only(x.dtype(), out));
        // Axis by axis (…, n, …) → (…, count, window, …), then windows and channels together.
        for (int i = 0; i < spatial; ++i) {
          size_t k = static_cast<size_t>(i);
          int axis = 1 + 2 * i;
          Ints lo(x.shape().size(), 0), hi = lo, at;
          lo[static_cast<size_t>(axis)] = edges[k].first, hi[static_cast<size_t>(axis)] = edges[k].second;
          if (edges[k].first || edges[k].second) x = p::pad(x, num(x, 0), lo, hi, Ints(lo.size(), 0));
          for (int64_t c = 0; c < counts[k]; ++c)
            for (int64_t j = 0; j < window[k]; ++j) at.push_back(c * step[k] + j * gap[k]);
          x = p::gather(x, int_tensor(at, Shape{counts[k], window[k]}), axis);
        }
        Ints perm{0};
        for (int i = 0; i < spatial; ++i) perm.push_back(1 + 2 * i);
        for (int i = 0; i < spatial; ++i) perm.push_back(2 + 2 * i);
        perm.push_back(1 + 2 * spatial);
        return b.restore(p::reshape(p::transpose(x, perm), out));
      },
      images);
}
Tensor extract_patches(const Tensor& images, const Sizes& size, const Sizes& strides, const Sizes& dilation_rate, std::string_view padding,
                       std::string_view data_format) {
  if (!size.single() && size.size() != 2 && size.size() != 3)
    throw ValueError(ErrorText{.what = "invalid `size`",
                               .where = "extract_patches",
                               .expected = "one number, two or three",
                               .received = std::to_string(size.size()) + " numbers"}
                         .str());
  if (!size.single() && size.size() == 3) return extract_patches_3d(images, size, strides, dilation_rate, padding, data_format);
  return patches("ExtractPatches", "extract_patches", images, size, strides, dilation_rate, padding, data_format, 2);
}
Tensor extract_patches_3d(const Tensor& volumes, const Sizes& size, const Sizes& strides, const Sizes& dilation_rate,
                          std::string_view padding, std::string_view data_format) {
  return patches("ExtractPatches", "extract_patches_3d", volumes, size, strides, dilation_rate, padding, data_format, 3);
}

namespace {
using Opt = std::optional<int64_t>;
/// Two of before, after and target give the third; `total` is their sum: the size for a crop, the target for a pad.
void check_two(const Opt& before, const Opt& after, const Opt& target, const char* where, const char* names) {
  if (!before + !after + !target != 1)
    throw ValueError(ErrorText{.what = std::string("must specify exactly two of ") + names, .where = where}.str());
  for (const Opt& o : {before, after, target})
    if (o && *o < 0)
      throw ValueError(
          ErrorText{.what = std::string(names) + " must not be negative", .where = where, .received = std::to_string(*o)}.str());
}
auto edge_options(const char* suffix, Opt top, Opt left, Opt bottom, Opt right, Opt height, Opt width, std::string_view data_format) {
  return [=] {
    auto name = [&](const char* side) { return std::string(side) + suffix; };
    return ArgDict{{name("top"), Arg(Value(top))},     {name("left"), Arg(Value(left))}, {name("bottom"), Arg(Value(bottom))},
                   {name("right"), Arg(Value(right))}, kw("target_height", height),      kw("target_width", width),
                   format_option(data_format)};
  };
}
}  // namespace
Tensor pad_images(const Tensor& images, Opt top_padding, Opt left_padding, Opt bottom_padding, Opt right_padding, Opt target_height,
                  Opt target_width, std::string_view data_format) {
  bool last = is_channels_last(data_format, "pad_images");
  check_two(top_padding, bottom_padding, target_height, "pad_images", "top_padding, bottom_padding, target_height");
  check_two(left_padding, right_padding, target_width, "pad_images", "left_padding, right_padding, target_width");
  return frame(
      "PadImages",
      edge_options("_padding", top_padding, left_padding, bottom_padding, right_padding, target_height, target_width, data_format),
      [=](const Tensor& x) {
        check_rank(x, "pad_images");
        int h = height_axis(x, last);
        Ints lo(x.shape().size(), 0), hi = lo;
        Shape out = x.shape();
        bool known = true;
        auto edges = [&](int axis, Opt before, Opt after, Opt target) {
          int64_t n = x.shape()[axis];
          if (n < 0 && target) {
            out[axis] = *target;
            known = false;
            return;
          }
          int64_t b = before ? *before : *target - *after - n, a = after ? *after : *target - *before - n;
          if (a < 0 || b < 0)
            shape_error("pad_images", "the images are larger than the target", "at most " + std::to_string(target.value_or(0)),
                        x.shape().str());
          lo[static_cast<size_t>(axis)] = b, hi[static_cast<size_t>(axis)] = a;
          out[axis] = plus(n, a + b);
        };
        edges(h, top_padding, bottom_padding, target_height);
        edges(h + 1, left_padding, right_padding, target_width);
        return known ? p::pad(x, num(x, 0), lo, hi, Ints(lo.size(), 0)) : shape_only(x.dtype(), out);
      },
      images);
}
Tensor crop_images(const Tensor& images, Opt top_cropping, Opt left_cropping, Opt bottom_cropping, Opt right_cropping, Opt target_height,
                   Opt target_width, std::string_view data_format) {
  bool last = is_channels_last(data_format, "crop_images");
  check_two(top_cropping, bottom_cropping, target_height, "crop_images", "top_cropping, bottom_cropping, target_height");
  check_two(left_cropping, right_cropping, target_width, "crop_images", "left_cropping, right_cropping, target_width");
  return frame(
      "CropImages",
      edge_options("_cropping", top_cropping, left_cropping, bottom_cropping, right_cropping, target_height, target_width, data_format),
      [=](const Tensor& x) {
        check_rank(x, "crop_images");
        int h = height_axis(x, last);
        Tensor t = x;
        auto cut = [&](int axis, Opt before, Opt after, Opt target) {
          int64_t n = x.shape()[axis];
          if (n < 0) {
            if (!target)
              shape_error("crop_images", "the size of the images is unknown", axis == h ? "`target_height`" : "`target_width`", x.shape().str());
            Shape s = t.shape();
            s[axis] = *target;
            t = shape_only(x.dtype(), s);
            return;
          }
          int64_t b = before ? *before : n - *target - *after, size = target ? *target : n - *after - b;
          if (b < 0 || size < 0 || b + size > n)
            shape_error("crop_images", "the images are too small for the crop", "larger images", x.shape().str());
          t = p::slice_axis(t, axis, b, b + size);
        };
        cut(h, top_cropping, bottom_cropping, target_height);
        cut(h + 1, left_cropping, right_cropping, target_width);
        return t;
      },
      images);
}

// ---- filters
namespace {
/// The same (h, w) filter on each channel of (B, H, W, C).
Tensor filtered(const Tensor& x, const Tensor& filter, const char* padding) {
  int64_t c = x.shape().back(), h = filter.shape()[0], w = filter.shape()[1];
  if (c < 0) return x;
  Tensor k = p::broadcast_to(p::reshape(as(filter, x.dtype()), Shape{h, w, 1, 1}), Shape{h, w, c, 1});
  return depthwise_conv(x, k, 1, padding);
}
/// A normalised Gaussian; its rows follow sigma_y, its columns sigma_x.
Tensor gaussian(int64_t height, int64_t width, double sigma_y, double sigma_x) {
  auto line = [](int64_t n, double sigma) {
    std::vector<double> v;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
      v.push_back(std::exp(-0.5 * std::pow((static_cast<double>(i) - static_cast<double>(n - 1) / 2) / sigma, 2))), sum += v.back();
    for (double& e : v) e /= sum;
    return v;
  };
  std::vector<double> y = line(height, sigma_y), x = line(width, sigma_x), k;
  for (double a : y)
    for (double b : x) k.push_back(a * b);
  return Tensor::from(k, Shape{height, width});
}
}  // namespace
Tensor gaussian_blur(const Tensor& images, const Sizes& kernel_size, std::pair<double, double> sigma, std::string_view data_format) {
  bool last = is_channels_last(data_format, "gaussian_blur");
  Ints size = kernel_size.expand(2, "kernel_size");
  return frame(
      "GaussianBlur",
      [&] {
        return ArgDict{kw("kernel_size", kernel_size), kw("sigma", List{sigma.first, sigma.second}), format_option(data_format)};
      },
      [=](const Tensor& x) {
        check_rank(x, "gaussian_blur");
        Batch b = batch_of(x, last);
        Tensor f = as_float(b.x);
        // Keras' first size and sigma belong to the columns.
        Tensor y = filtered(f, gaussian(size[1], size[0], sigma.second, sigma.first).astype(f.dtype()), "same");
        return b.restore(y);
      },
      images);
}
Tensor sobel_edges(const Tensor& images, std::string_view data_format) {
  bool last = is_channels_last(data_format, "sobel_edges");
  return frame(
      "SobelEdges", [&] { return ArgDict{format_option(data_format)}; },
      [last](const Tensor& x) {
        if (x.rank() != 4) shape_error("sobel_edges", "images of another rank", "a batch of images, rank 4", x.shape().str());
        Batch b = batch_of(x, last);
        Tensor f = as_float(b.x);
        Tensor dy = filtered(f, Tensor{{-1, -2, -1}, {0, 0, 0}, {1, 2, 1}}.astype(f.dtype()), "same"),
               dx = filtered(f, Tensor{{-1, 0, 1}, {-2, 0, 2}, {-1, 0, 1}}.astype(f.dtype()), "same");
        return stack({b.restore(dy), b.restore(dx)}, -1);
      },
      images);
}
Tensor elastic_transform(const Tensor& images, const Tensor& noise_x, const Tensor& noise_y, double alpha, double sigma,
                         std::string_view interpolation, std::string_view fill_mode, double fill_value, std::string_view data_format) {
  int order = order_of(interpolation, "elastic_transform");
  check_fill_mode(fill_mode, "elastic_transform");
  bool last = is_channels_last(data_format, "elastic_transform");
  return frame(
      "ElasticTransform",
      [&] {
        return ArgDict{kw("alpha", alpha),         kw("sigma", sigma),           kw("interpolation", interpolation),
                       kw("fill_mode", fill_mode), kw("fill_value", fill_value), format_option(data_format)};
      },
      [=, mode = std::string(fill_mode)](const Tensor& x, const Tensor& nx, const Tensor& ny) {
        check_rank(x, "elastic_transform");
        Batch b = batch_of(x, last);
        if (!b.x.shape().is_static()) return x;
        int64_t B = b.x.shape()[0], H = b.x.shape()[1], W = b.x.shape()[2], size = static_cast<int64_t>(6 * sigma) | 1;
        Tensor filter = gaussian(size, size, sigma, sigma).astype(DType::Float32);
        auto shift = [&](const Tensor& noise) {
          Tensor smooth = filtered(p::mul(p::reshape(as(noise, DType::Float32), Shape{B, H, W, 1}), sigma), filter, "same");
          return p::mul(p::reshape(smooth, Shape{B, H, W}), alpha);
        };
        Tensor columns = p::add(iota(DType::Float32, Shape{1, H, W}, 2), shift(nx)),
               rows = p::add(iota(DType::Float32, Shape{1, H, W}, 1), shift(ny));
        return b.restore(sampled(b.x, rows, columns, order, mode, fill_value));
      },
      images, noise_x, noise_y);
}
Tensor ssim(const Tensor& image1, const Tensor& image2, double max_val, int64_t filter_size, double filter_sigma, double k1, double k2,
            std::string_view data_format) {
  bool last = is_channels_last(data_format, "ssim");
  return frame(
      "SSIM",
      [&] {
        return ArgDict{kw("max_val", max_val), kw("filter_size", filter_size), kw("filter_sigma", filter_sigma), kw("k1", k1),
                       kw("k2", k2),           format_option(data_format)};
      },
      [=](const Tensor& x1, const Tensor& x2) {
        check_rank(x1, "ssim"), check_rank(x2, "ssim");
        Batch a = batch_of(as_float(x1), last), b = batch_of(as_float(x2), last);
        Tensor filter = gaussian(filter_size, filter_size, filter_sigma, filter_sigma).astype(a.x.dtype());
        auto mean_of = [&](const Tensor& t) { return filtered(t, filter, "valid"); };
        Tensor m1 = mean_of(a.x), m2 = mean_of(b.x), m11 = p::mul(m1, m1), m22 = p::mul(m2, m2), m12 = p::mul(m1, m2);
        Tensor s11 = p::sub(mean_of(p::mul(a.x, a.x)), m11), s22 = p::sub(mean_of(p::mul(b.x, b.x)), m22),
               s12 = p::sub(mean_of(p::mul(a.x, b.x)), m12);
        double c1 = k1 * max_val * k1 * max_val, c2 = k2 * max_val * k2 * max_val;
        Tensor above = p::mul(p::add(p::mul(m12, 2.0), c1), p::add(p::mul(s12, 2.0), c2));
        Tensor below = p::mul(p::add(p::add(m11, m22), c1), p::add(p::add(s11, s22), c2));
        Tensor r = mean(p::div(above, below), {1, 2, 3});
        if (a.single) r = drop_axes(r, Ints{0});
        return as(r, x1.dtype());
      },
      image1, image2);
}

}  // namespace keras::ops::image
