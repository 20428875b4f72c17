// What lives here: keras.ops' NumPy functions that make tensors from sizes and numbers.
#include <cmath>
#include <limits>
#include <numbers>

#include <keras/ops/core.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "ops/op_frame.h"

namespace keras::ops {

static Tensor filled(const Shape& shape, double value, DType dtype) {
  // In a trace a constant of one element is enough; everything of that shape is made from it.
  if (core::current_trace() || !shape.is_static()) return p::broadcast_to(Tensor::full({}, value, dtype), shape);
  return Tensor::full(shape, value, dtype);
}
Tensor zeros(const Shape& shape, OptDType dtype) { return filled(shape, 0, dtype.value_or(config::floatx_dtype())); }
Tensor ones(const Shape& shape, OptDType dtype) { return filled(shape, 1, dtype.value_or(config::floatx_dtype())); }
Tensor empty(const Shape& shape, OptDType dtype) { return filled(shape, 0, dtype.value_or(config::floatx_dtype())); }
Tensor full(const Shape& shape, const Tensor& fill_value, OptDType dtype) {
  return frame(
      "Full",
      [&] {
        return ArgDict{kw("shape", shape), kw("dtype", dtype)};
      },
      [=](const Tensor& v) {
        DType t = dtype.value_or(config::floatx_dtype());
        if (v.is_concrete() && v.rank() == 0) return filled(shape, v.item(), t);
        return p::broadcast_to(as(v, t), shape);
      },
      fill_value);
}
static Tensor like(const char* cls, const Tensor& x, double value, OptDType dtype) {
  return frame(
      cls, [&] { return ArgDict{kw("dtype", dtype)}; },
      [=](const Tensor& a) { return filled(a.shape(), value, dtype.value_or(a.dtype())); }, x);
}
Tensor zeros_like(const Tensor& x, OptDType dtype) { return like("ZerosLike", x, 0, dtype); }
Tensor ones_like(const Tensor& x, OptDType dtype) { return like("OnesLike", x, 1, dtype); }
Tensor empty_like(const Tensor& x, OptDType dtype) { return like("EmptyLike", x, 0, dtype); }
Tensor full_like(const Tensor& x, const Tensor& fill_value, OptDType dtype) {
  return frame(
      "FullLike", [&] { return ArgDict{kw("dtype", dtype)}; },
      [=](const Tensor& a, const Tensor& v) {
        DType t = dtype.value_or(a.dtype());
        if (v.is_concrete() && v.rank() == 0) return filled(a.shape(), v.item(), t);
        return p::broadcast_to(as(v, t), a.shape());
      },
      x, fill_value);
}

static Tensor band(int64_t n, int64_t m, int64_t k, Ew compare, DType dtype) {
  Shape s{n, m};
  Tensor row = iota(DType::Int32, s, 0), col = iota(DType::Int32, s, 1);
  return as(p::ew(compare, p::add(row, static_cast<double>(k)), col), dtype);
}
Tensor eye(int64_t N, std::optional<int64_t> M, int64_t k, OptDType dtype) {
  if (N < 0 || M.value_or(0) < 0) shape_error("eye", "a size is negative", "0 or more", Shape{N, M.value_or(N)}.str());
  return band(N, M.value_or(N), k, Ew::equal, dtype.value_or(config::floatx_dtype()));
}
Tensor identity(int64_t n, OptDType dtype) { return eye(n, {}, 0, dtype); }
Tensor tri(int64_t N, std::optional<int64_t> M, int64_t k, OptDType dtype) {
  return band(N, M.value_or(N), k, Ew::greater_equal, dtype.value_or(config::floatx_dtype()));
}

Tensor arange(Number start, std::optional<Number> stop, Number step, OptDType dtype) {
  if (!stop) stop = start, start = Number(0);
  bool whole = start.kind != 'f' && stop->kind != 'f' && step.kind != 'f';
  if (step.value == 0)
    throw ValueError(
        ErrorText{.what = "arange with a step of 0 never ends", .where = "arange", .expected = "a step other than 0", .received = "0"}
            .str());
  DType t = dtype.value_or(whole ? DType::Int32 : config::floatx_dtype());
  int64_t n = std::max<int64_t>(0, static_cast<int64_t>(std::ceil((stop->value - start.value) / step.value)));
  Tensor out = Tensor::empty(DType::Float64, Shape{n});
  double* v = out.mutable_data<double>();
  double first = start.value, by = step.value;
  // Whole numbers are counted from the first two of them, as NumPy does.
  if (is_integer(t)) first = std::trunc(start.value), by = std::trunc(start.value + step.value) - first;
  for (int64_t i = 0; i < n; ++i) v[i] = first + static_cast<double>(i) * by;
  return out.astype(t);
}

/// Evenly spaced values in float, on a new axis 0; the step too.
static std::pair<Tensor, Tensor> spaced(const Tensor& start, const Tensor& stop, int64_t num, bool endpoint) {
  if (num < 0)
    throw ValueError(ErrorText{.what = "`num` must not be negative", .where = "linspace", .received = std::to_string(num)}.str());
  DType t = float_type(promote(start, stop));
  if (start.weak() && stop.weak()) t = DType::Float32;
  Tensor a = as(start, t), b = as(stop, t);
  Shape s = broadcast_shapes(a.shape(), b.shape()), column(std::vector<int64_t>(s.size() + 1, 1));
  a = p::broadcast_to(a, s), b = p::broadcast_to(b, s);
  int64_t parts = endpoint ? num - 1 : num;
  Tensor step = p::div(p::sub(b, a), ops::num(a, static_cast<double>(parts)));
  if (parts <= 0) step = p::broadcast_to(ops::num(a, std::nan("")), s);
  column[0] = num;
  Shape row = Shape{1} + s;
  Tensor a1 = p::reshape(a, row), b1 = p::reshape(b, row);
  if (num == 0) return {p::broadcast_to(ops::num(a, 0), Shape{0} + s), step};
  if (parts <= 0) return {p::broadcast_to(a1, Shape{num} + s), step};
  Tensor at = p::div(iota(t, Shape{num}, 0), ops::num(a, static_cast<double>(parts)));
  at = p::reshape(at, column);
  Tensor line = p::add(p::mul(a1, p::sub(ops::num(a, 1), at)), p::mul(b1, at));
  if (endpoint && num > 1) line = p::concat(Tensors{p::slice_axis(line, 0, 0, num - 1), b1}, 0);  // the end exactly
  return {line, step};
}
static Tensor finish(const Tensor& line, OptDType dtype, int axis, DType natural) {
  DType t = dtype.value_or(natural);
  Tensor r = is_integer(t) ? as(p::ew(Ew::floor, line), t) : as(line, t);
  return move_axis(r, 0, normalize_axis(axis, r.rank(), "linspace"));
}
static auto space_options(int64_t n, bool endpoint, OptDType dtype, int axis) {
  return [=] { return ArgDict{kw("num", n), kw("endpoint", endpoint), kw("dtype", dtype), kw("axis", axis)}; };
}
Tensor linspace(const Tensor& start, const Tensor& stop, int64_t num, bool endpoint, OptDType dtype, int axis) {
  return frame(
      "Linspace", space_options(num, endpoint, dtype, axis),
      [=](const Tensor& a, const Tensor& b) {
        Tensor line = spaced(a, b, num, endpoint).first;
        return finish(line, dtype, axis, line.dtype());
      },
      start, stop);
}
std::pair<Tensor, Tensor> linspace_with_step(const Tensor& start, const Tensor& stop, int64_t num, bool endpoint, OptDType dtype,
                                             int axis) {
  return frame(
      "Linspace",
      [&] {
        return ArgDict{kw("num", num), kw("endpoint", endpoint), kw("retstep", true), kw("dtype", dtype), kw("axis", axis)};
      },
      [=](const Tensor& a, const Tensor& b) {
        auto [line, step] = spaced(a, b, num, endpoint);
        // Of one point or none there is no step.
        if (num <= (endpoint ? 1 : 0)) step = Tensor::full({}, std::numeric_limits<double>::quiet_NaN(), line.dtype());
        return std::pair<Tensor, Tensor>(finish(line, dtype, axis, line.dtype()), step);
      },
      start, stop);
}
Tensor logspace(const Tensor& start, const Tensor& stop, int64_t num, bool endpoint, double base, OptDType dtype, int axis) {
  return frame(
      "Logspace",
      [&] {
        return ArgDict{kw("num", num), kw("endpoint", endpoint), kw("base", base), kw("dtype", dtype), kw("axis", axis)};
      },
      [=](const Tensor& a, const Tensor& b) {
        Tensor line = spaced(a, b, num, endpoint).first;
        return finish(p::ew(Ew::pow, ops::as(Tensor(base), line.dtype()), line), dtype, axis, line.dtype());
      },
      start, stop);
}
Tensor geomspace(const Tensor& start, const Tensor& stop, int64_t num, bool endpoint, OptDType dtype, int axis) {
  return frame(
      "Geomspace", space_options(num, endpoint, dtype, axis),
      [=](const Tensor& a0, const Tensor& b0) {
        DType t = float_type(promote(a0, b0));
        if (a0.weak() && b0.weak()) t = DType::Float32;
        Tensor a = as(a0, t), b = as(b0, t);
        Tensor sign = p::ew(Ew::sign, a);
        Tensor la = p::ew(Ew::log10, p::ew(Ew::abs, a)), lb = p::ew(Ew::log10, p::ew(Ew::abs, b));
        Tensor line = p::mul(p::ew(Ew::pow, ops::num(la, 10), spaced(la, lb, num, endpoint).first), sign);
        if (num > 0) {  // the ends exactly
          Shape row = Shape{1} + line.shape().slice(1);
          Tensor first = p::broadcast_to(a, row), last = p::broadcast_to(b, row);
          if (endpoint && num > 1) line = p::concat(Tensors{first, p::slice_axis(line, 0, 1, num - 1), last}, 0);
          else line = p::concat(Tensors{first, p::slice_axis(line, 0, 1, num)}, 0);
        }
        return finish(line, dtype, axis, t);
      },
      start, stop);
}
Tensor array(const Tensor& x, OptDType dtype) {
  return frame(
      "Array", [&] { return ArgDict{kw("dtype", dtype)}; }, [dtype](const Tensor& a) { return dtype ? as(a, *dtype) : a; }, x);
}
Tensor vander(const Tensor& x, std::optional<int64_t> N, bool increasing) {
  if (N && *N < 0)
    throw ValueError(
        ErrorText{.what = "`N` must not be negative", .where = "vander", .expected = "0 or more", .received = std::to_string(*N)}.str());
  return frame(
      "Vander",
      [&] {
        return ArgDict{kw("N", N), kw("increasing", increasing)};
      },
      [=](const Tensor& a0) {
        if (a0.rank() != 1) shape_error("vander", "the nodes must be a vector", "rank 1", a0.shape().str());
        Tensor a = a0.dtype() == DType::Bool ? as(a0, DType::Int32) : a0;
        int64_t n = N.value_or(a.shape()[0]);
        if (n < 0 || !a.shape().is_static()) return shape_only(a.dtype(), Shape{a.shape()[0], n});
        Tensor column = p::reshape(a, {a.shape()[0], 1}), e = iota(a.dtype(), Shape{1, n}, 1);
        if (!increasing) e = p::sub(num(e, static_cast<double>(n - 1)), e);
        return p::ew(Ew::pow, column, e);
      },
      x);
}

// ---- windows, computed on the host in double
template <class F> static Tensor window(int64_t n, F f) {
  Tensor out = Tensor::empty(DType::Float32, Shape{std::max<int64_t>(n, 0)});
  float* v = out.mutable_data<float>();
  for (int64_t i = 0; i < n; ++i) v[i] = n == 1 ? 1.0f : static_cast<float>(f(static_cast<double>(i) / static_cast<double>(n - 1)));
  return out;
}
static double turn(double part) { return std::cos(2 * std::numbers::pi * part); }
Tensor bartlett(int64_t x) {
  return window(x, [](double t) { return 1 - std::abs(2 * t - 1); });
}
Tensor blackman(int64_t x) {
  return window(x, [](double t) { return 0.42 - 0.5 * turn(t) + 0.08 * turn(2 * t); });
}
Tensor hamming(int64_t x) {
  return window(x, [](double t) { return 0.54 - 0.46 * turn(t); });
}
Tensor hanning(int64_t x) {
  return window(x, [](double t) { return 0.5 - 0.5 * turn(t); });
}
Tensor kaiser(int64_t x, double beta) {
  auto bessel = [](double v) {  // power series of I0
    double sum = 1, term = 1;
    for (int k = 1; k < 200 && term > sum * 1e-17; ++k) term *= (v / 2 / k) * (v / 2 / k), sum += term;
    return sum;
  };
  return window(x, [&](double t) { return bessel(beta * std::sqrt(std::max(0.0, 1 - (2 * t - 1) * (2 * t - 1)))) / bessel(beta); });
}

int ndim(const Tensor& x) { return x.rank(); }
int64_t size(const Tensor& x) { return x.numel(); }

/// The bytes of the last axis as elements of another size, with shifts: the first byte is the lowest.
static Tensor resized_elements(const Tensor& a, DType to, const Shape& shape) {
  auto words = [](size_t bytes) {
    return bytes == 1 ? DType::UInt8 : bytes == 2 ? DType::UInt16 : bytes == 4 ? DType::UInt32 : DType::UInt64;
  };
  size_t from_size = dtype_size(a.dtype()), to_size = dtype_size(to);
  DType wide = words(std::max(from_size, to_size)), narrow = words(std::min(from_size, to_size));
  int64_t parts = static_cast<int64_t>(std::max(from_size, to_size) / std::min(from_size, to_size));
  double bits = 8.0 * static_cast<double>(std::min(from_size, to_size));
  int axis = a.rank() - 1;
  Tensor whole = a.dtype() == DType::Bool ? as(a, DType::UInt8) : p::bitcast(a, words(from_size));
  Tensor out;
  if (from_size > to_size) {
    Tensors pieces;
    for (int64_t i = 0; i < parts; ++i) {
      Tensor piece = i ? p::ew(Ew::shift_right, whole, num(whole, bits * static_cast<double>(i))) : whole;
      Shape one = a.shape();
      one.push_back(1);
      pieces.push_back(p::reshape(p::cast(p::ew(Ew::bitwise_and, piece, num(piece, std::exp2(bits) - 1)), narrow), one));
    }
    out = p::reshape(p::concat(pieces, axis + 1), shape);
  } else {
    Shape grouped = a.shape();
    grouped[axis] /= parts;
    grouped.push_back(parts);
    Tensor g = p::cast(p::reshape(whole, grouped), wide);
    for (int64_t i = 0; i < parts; ++i) {
      Tensor piece = drop_axes(p::slice_axis(g, axis + 1, i, i + 1), Ints{axis + 1});
      if (i) piece = p::ew(Ew::shift_left, piece, num(piece, bits * static_cast<double>(i)));
      out = i ? p::ew(Ew::bitwise_or, out, piece) : piece;
    }
  }
  return to == DType::Bool ? as_bool(out) : p::bitcast(out, to);
}
Tensor view(const Tensor& x, OptDType dtype) {
  return frame(
      "View", [&] { return ArgDict{kw("dtype", dtype)}; },
      [dtype](const Tensor& a) {
        DType to = dtype.value_or(a.dtype());
        if (to == DType::Bool && a.dtype() != DType::Bool) return as_bool(view(a, DType::UInt8));  // any byte that is not 0
        size_t from_size = dtype_size(a.dtype()), to_size = dtype_size(to);
        if (from_size == to_size) return p::bitcast(a, to);
        Shape s = a.shape();
        if (s.empty())
          shape_error("view", "a scalar can't be seen as elements of another size", "rank 1 or more, or a dtype of equal size",
                      dtype_name(to));
        int64_t bytes = times(s[-1], static_cast<int64_t>(from_size));
        if (bytes >= 0 && bytes % static_cast<int64_t>(to_size))
          shape_error("view", "the bytes of the last axis do not fill whole elements",
                      "a multiple of " + std::to_string(to_size) + " bytes", std::to_string(bytes));
        s[-1] = bytes < 0 ? None : bytes / static_cast<int64_t>(to_size);
        if (a.is_concrete()) return Tensor::from_bytes(a.raw(), static_cast<size_t>(s.numel()), to, s);
        if (abstract_trace()) return shape_only(to, s);
        return resized_elements(a, to, s);
      },
      x);
}

}  // namespace keras::ops
