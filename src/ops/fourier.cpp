// What lives here: Fourier transforms as products with small matrices. A length is split into factors; each factor is one dense transform
// and one twist, so that the work stays near n·(sum of factors), any length works and gradients follow from the products.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <keras/ops/math.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

namespace {
constexpr int64_t kDense = 64;

/// cos and sin of sign·2π·(i·j)/n over a rows × columns table.
Complex table(int64_t rows, int64_t columns, int64_t n, int sign, DType t) {
  Tensor c = Tensor::empty(DType::Float64, Shape{rows, columns}), s = Tensor::empty(DType::Float64, Shape{rows, columns});
  double *pc = c.mutable_data<double>(), *ps = s.mutable_data<double>();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double angle = sign * 2 * std::numbers::pi * static_cast<double>((i * j) % n) / static_cast<double>(n);
      pc[i * columns + j] = std::cos(angle), ps[i * columns + j] = std::sin(angle);
    }
  return {c.astype(t), s.astype(t)};
}
/// (a + ib)(c + id); an undefined imaginary part is 0.
Complex multiply_complex(const Complex& x, const Complex& y, const std::function<Tensor(const Tensor&, const Tensor&)>& mul) {
  Tensor re = mul(x.first, y.first), im = mul(x.first, y.second);
  if (!x.second.defined()) return {re, im};
  return {p::sub(re, mul(x.second, y.second)), p::add(im, mul(x.second, y.first))};
}
Complex each(const Complex& x, const std::function<Tensor(const Tensor&)>& f) {
  return {f(x.first), x.second.defined() ? f(x.second) : Tensor()};
}

/// Unscaled transform of the last axis.
Complex transform(const Complex& x, int sign) {
  int axis = x.first.rank() - 1;
  int64_t n = x.first.shape()[axis];
  DType t = x.first.dtype();
  int64_t factor = 1;
  if (n > kDense)
    for (int64_t f = kDense; f > 1 && factor == 1; --f)
      if (n % f == 0) factor = f;
  if (n > kDense && factor == 1)
    for (int64_t f = kDense + 1; f * f <= n; ++f)
      if (n % f == 0) {
        factor = f;
        break;
      }
  if (factor == 1) {  // small or prime
    return multiply_complex(x, table(n, n, n, sign, t),
                            [&](const Tensor& a, const Tensor& m) { return p::dot(a, m, Ints{axis}, Ints{0}); });
  }
  int64_t rest = n / factor;
  Shape lead = x.first.shape().slice(0, axis);
  Complex grid = each(x, [&](const Tensor& a) { return p::reshape(a, lead + Shape{factor, rest}); });
  // (…, j1, j2) → (…, j2, k1), twisted, → (…, k1, j2) → (…, k1, k2), read out as k2·factor + k1.
  Complex y = multiply_complex(grid, table(factor, factor, factor, sign, t),
                               [&](const Tensor& a, const Tensor& m) { return p::dot(a, m, Ints{axis}, Ints{0}); });
  y = multiply_complex(y, table(rest, factor, n, sign, t), [](const Tensor& a, const Tensor& m) { return p::mul(a, m); });
  auto turned = [&](const Tensor& a) { return move_axis(a, axis, axis + 1); };
  y = transform(each(y, turned), sign);
  return each(y, [&](const Tensor& a) { return p::reshape(turned(a), x.first.shape()); });
}
Complex scaled(const Complex& x, double by) {
  return each(x, [by](const Tensor& a) { return p::mul(a, by); });
}
bool last_known(const Tensor& t, int axes) {
  for (int i = 0; i < axes; ++i)
    if (t.shape()[-1 - i] < 0) return false;
  return true;
}
/// Keras has no symbolic transform along an axis whose length is not known.
void need_known_axes(const Complex& x, int axes, const char* where) {
  if (!any_symbolic(x.first) && !any_symbolic(x.second)) return;
  if (x.first.rank() >= axes && !last_known(x.first, axes))
    shape_error(where, "the transformed axes must have known sizes",
                std::string("a known size on the last ") + (axes == 1 ? "axis" : "two axes"), x.first.shape().str());
}
Complex checked(const Tensor& re, const Tensor& im, int min_rank, const char* where) {
  if (re.rank() != im.rank() || !compatible(re.shape(), im.shape()))
    shape_error(where, "the real and the imaginary part differ in shape", re.shape().str(), im.shape().str());
  if (re.rank() < min_rank) shape_error(where, "the rank is too small", "rank " + std::to_string(min_rank) + " or more", re.shape().str());
  if (!is_floating(re.dtype()) || !is_floating(im.dtype()))
    throw ValueError(ErrorText{.what = "the parts of a complex input must be floats",
                               .where = where,
                               .received = std::string(dtype_name(re.dtype())) + " and " + dtype_name(im.dtype())}
                         .str());
  DType t = promote(re, im);
  if (is_half(t)) t = DType::Float32;
  return {as(re, t), as(im, t)};
}
/// The last two axes, one after the other.
Complex transform2(const Complex& x, int sign) {
  int r = x.first.rank();
  auto swap = [r](const Tensor& a) { return swapaxes(a, r - 1, r - 2); };
  return each(transform(each(transform(x, sign), swap), sign), swap);
}
/// Cut or filled with zeros to `n` elements on the last axis.
Tensor fitted(const Tensor& x, int64_t n) {
  int axis = x.rank() - 1;
  int64_t have = x.shape()[axis];
  if (have == n) return x;
  if (have > n) return p::slice_axis(x, axis, 0, n);
  Ints none(x.shape().size(), 0), hi = none;
  hi.back() = n - have;
  return p::pad(x, num(x, 0), none, hi, none);
}
Complex real_transform(const Tensor& x, std::optional<int64_t> fft_length) {
  if (x.rank() < 1) shape_error("rfft", "scalars have no transform", "rank 1 or more", x.shape().str());
  DType t = float_type(x.dtype());
  Tensor f = as(x, is_half(t) ? DType::Float32 : t);
  int64_t n = fft_length.value_or(f.shape()[-1]);
  Shape out = f.shape();
  out[-1] = n < 0 ? None : n / 2 + 1;
  if (n < 0 || f.shape()[-1] < 0) return {shape_only(f.dtype(), out), shape_only(f.dtype(), out)};
  if (n < 1) shape_error("rfft", "the length of a transform must be positive", "1 or more", std::to_string(n));
  Complex y = transform({fitted(f, n), Tensor()}, -1);
  return each(y, [&](const Tensor& a) { return p::slice_axis(a, a.rank() - 1, 0, n / 2 + 1); });
}
Tensor real_inverse(const Complex& x, std::optional<int64_t> fft_length) {
  int64_t m = x.first.shape()[-1], n = fft_length.value_or(m < 0 ? None : 2 * (m - 1));
  if (n < 0 || m < 0) {
    Shape s = x.first.shape();
    s[-1] = n;
    return shape_only(x.first.dtype(), s);
  }
  if (n < 1) shape_error("irfft", "the length of a transform must be positive", "1 or more", std::to_string(n));
  int64_t bins = n / 2 + 1, mirrored = n - bins;
  int axis = x.first.rank() - 1;
  Complex half = each(x, [&](const Tensor& a) { return fitted(a, bins); });
  auto mirror = [&](const Tensor& a, bool negate) {  // bins 1 … mirrored backwards
    if (mirrored < 1) return a;
    Tensor tail = p::reverse(p::slice_axis(a, axis, 1, mirrored + 1), Ints{axis});
    return p::concat(Tensors{a, negate ? p::neg(tail) : tail}, axis);
  };
  return p::mul(transform({mirror(half.first, false), mirror(half.second, true)}, 1).first, 1.0 / static_cast<double>(n));
}
/// A periodic window of the given name, or ones.
Tensor named_window(std::string_view name, int64_t n, DType t, const char* where) {
  Tensor w = Tensor::empty(DType::Float64, Shape{n});
  double* v = w.mutable_data<double>();
  double a = name == "hann" ? 0.5 : name == "hamming" ? 0.54 : 1;
  if (!name.empty() && name != "hann" && name != "hamming") unknown_option(where, "window", name, {"hann", "hamming"});
  for (int64_t i = 0; i < n; ++i)
    v[i] = n == 1 ? 1 : a - (1 - a) * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n));
  return w.astype(t);
}
/// The window in the middle of fft_length zeros.
Tensor centred(const Tensor& window, int64_t sequence_length, int64_t fft_length, DType t, const char* where) {
  if (window.rank() == 1 && window.shape()[0] < 0) return shape_only(t, Shape{fft_length});
  if (window.rank() != 1 || window.shape()[0] != sequence_length)
    shape_error(where, "the window does not fit", "shape (" + std::to_string(sequence_length) + ",)", window.shape().str());
  int64_t left = (fft_length - sequence_length) / 2;
  Tensor w = as(window, t);
  return p::pad(w, num(w, 0), Ints{left}, Ints{fft_length - sequence_length - left}, Ints{0});
}
void check_lengths(int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, const char* where) {
  if (sequence_stride < 1)
    throw ValueError(ErrorText{.what = "`sequence_stride` must be a positive integer",
                               .where = where,
                               .expected = "1 or more",
                               .received = std::to_string(sequence_stride)}
                         .str());
  if (fft_length < sequence_length)
    throw ValueError(ErrorText{.what = "`fft_length` must equal or be larger than `sequence_length`",
                               .where = where,
                               .expected = std::to_string(sequence_length) + " or more",
                               .received = std::to_string(fft_length)}
                         .str());
}
auto stft_options(int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, Value window, bool center) {
  return [=] {
    return ArgDict{kw("sequence_length", sequence_length),
                   kw("sequence_stride", sequence_stride),
                   kw("fft_length", fft_length),
                   {"window", Arg(window)},
                   kw("center", center)};
  };
}
Complex short_time(const Tensor& x, const Tensor& window, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length,
                   bool center) {
  check_lengths(sequence_length, sequence_stride, fft_length, "stft");
  if (x.dtype() != DType::Float32 && x.dtype() != DType::Float64)
    throw TypeError(
        ErrorText{.what = "invalid input type", .where = "stft", .expected = "float32 or float64", .received = dtype_name(x.dtype())}
            .str());
  Tensor t = x;
  if (center) {
    std::vector<PadWidth::Pair> widths(x.shape().size(), {0, 0});
    widths.back() = {fft_length / 2, fft_length / 2};
    t = pad(t, widths, "reflect");
  }
  Tensor frames = extract_sequences(t, fft_length, sequence_stride);
  return real_transform(p::mul(frames, centred(window, sequence_length, fft_length, x.dtype(), "stft")), fft_length);
}
/// Overlapping frames added up, over the sum of the squared windows.
Tensor inverse_short_time(const Complex& x, const Tensor& window, int64_t sequence_length, int64_t stride, int64_t fft_length,
                          std::optional<int64_t> length, bool center, bool windowed) {
  check_lengths(sequence_length, stride, fft_length, "istft");
  if (x.first.rank() < 2) shape_error("istft", "the rank is too small", "(…, frames, bins)", x.first.shape().str());
  int64_t count = x.first.shape()[-2];
  int64_t total = count < 0 ? None : fft_length + stride * (count - 1);
  int64_t start = center ? fft_length / 2 : 0;
  int64_t end = length ? start + *length : total < 0 ? None : center ? total - fft_length / 2 : total;
  if (total >= 0) end = std::min(end, total);
  Shape out = x.first.shape().slice(0, x.first.rank() - 1);
  out[-1] = end < 0 ? None : end - start;
  if (count < 0) return shape_only(x.first.dtype(), out);
  Tensor w = centred(window, sequence_length, fft_length, x.first.dtype(), "istft");
  Tensor frames = p::mul(real_inverse(x, fft_length), w);  // (…, frames, fft_length)
  int axis = frames.rank() - 2;
  Shape places{count, fft_length};
  Tensor at = p::add(p::mul(iota(DType::Int32, places, 0), static_cast<double>(stride)), iota(DType::Int32, places, 1));
  Tensor sum = p::scatter_add(at, frames, axis, total);
  Tensor norm = p::scatter_add(at, p::broadcast_to(p::ew(Ew::square, w), places), 0, total);
  norm = p::select(p::ew(Ew::greater, norm, num(norm, 1e-10)), norm, num(norm, 1));
  Tensor r = p::div(sum, norm);
  if (!windowed) r = p::mul(r, static_cast<double>(fft_length) / static_cast<double>(stride));  // Keras' scale without a window
  return p::slice_axis(r, axis, start, end);
}
}  // namespace

Complex fft(const Complex& x) {
  need_known_axes(x, 1, "fft");
  return frame(
      "FFT", no_options,
      [](const Tensor& re, const Tensor& im) {
        Complex c = checked(re, im, 1, "fft");
        return last_known(re, 1) ? transform(c, -1) : c;
      },
      x.first, x.second);
}
Complex fft2(const Complex& x) {
  need_known_axes(x, 2, "fft2");
  return frame(
      "FFT2", no_options,
      [](const Tensor& re, const Tensor& im) {
        Complex c = checked(re, im, 2, "fft2");
        return last_known(re, 2) ? transform2(c, -1) : c;
      },
      x.first, x.second);
}
Complex ifft2(const Complex& x) {
  need_known_axes(x, 2, "ifft2");
  return frame(
      "IFFT2", no_options,
      [](const Tensor& re, const Tensor& im) {
        Complex c = checked(re, im, 2, "ifft2");
        if (!last_known(re, 2)) return c;
        return scaled(transform2(c, 1), 1.0 / static_cast<double>(re.shape()[-1] * re.shape()[-2]));
      },
      x.first, x.second);
}
Complex rfft(const Tensor& x, std::optional<int64_t> fft_length) {
  return frame(
      "RFFT", [&] { return ArgDict{kw("fft_length", fft_length)}; },
      [fft_length](const Tensor& a) { return real_transform(a, fft_length); }, x);
}
Tensor irfft(const Complex& x, std::optional<int64_t> fft_length) {
  return frame(
      "IRFFT", [&] { return ArgDict{kw("fft_length", fft_length)}; },
      [fft_length](const Tensor& re, const Tensor& im) { return real_inverse(checked(re, im, 1, "irfft"), fft_length); }, x.first,
      x.second);
}
Complex stft(const Tensor& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, std::string_view window, bool center) {
  if (!window.empty() && window != "hann" && window != "hamming") unknown_option("stft", "window", window, {"hann", "hamming"});
  check_lengths(sequence_length, sequence_stride, fft_length, "stft");
  Value name = window.empty() ? Value() : Value(window);
  return frame(
      "STFT", stft_options(sequence_length, sequence_stride, fft_length, name, center),
      [=, window = std::string(window)](const Tensor& a) {
        int64_t length = window.empty() ? fft_length : sequence_length;  // without a window the whole transform is used
        return short_time(a, named_window(window, length, float_type(a.dtype()), "stft"), length, sequence_stride, fft_length, center);
      },
      x);
}
Complex stft(const Tensor& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, const Tensor& window, bool center) {
  return frame(
      "STFT", stft_options(sequence_length, sequence_stride, fft_length, nullptr, center),
      [=](const Tensor& a, const Tensor& w) { return short_time(a, w, sequence_length, sequence_stride, fft_length, center); }, x, window);
}
Tensor istft(const Complex& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, std::optional<int64_t> length,
             std::string_view window, bool center) {
  if (!window.empty() && window != "hann" && window != "hamming") unknown_option("istft", "window", window, {"hann", "hamming"});
  check_lengths(sequence_length, sequence_stride, fft_length, "istft");
  Value name = window.empty() ? Value() : Value(window);
  return frame(
      "ISTFT", stft_options(sequence_length, sequence_stride, fft_length, name, center),
      [=, window = std::string(window)](const Tensor& re, const Tensor& im) {
        Complex c = checked(re, im, 2, "istft");
        int64_t part = window.empty() ? fft_length : sequence_length;
        return inverse_short_time(c, named_window(window, part, c.first.dtype(), "istft"), part, sequence_stride, fft_length, length, center,
                                  !window.empty());
      },
      x.first, x.second);
}
Tensor istft(const Complex& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, std::optional<int64_t> length,
             const Tensor& window, bool center) {
  return frame(
      "ISTFT", stft_options(sequence_length, sequence_stride, fft_length, nullptr, center),
      [=](const Tensor& re, const Tensor& im, const Tensor& w) {
        return inverse_short_time(checked(re, im, 2, "istft"), w, sequence_length, sequence_stride, fft_length, length, center, true);
      },
      x.first, x.second, window);
}

}  // namespace keras::ops
