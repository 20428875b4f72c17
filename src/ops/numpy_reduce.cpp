// What lives here: keras.ops' NumPy functions that reduce or accumulate along axes, quantiles included.
#include <cmath>
#include <limits>

#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

static constexpr double kInf = std::numeric_limits<double>::infinity();

/// Sums and products of small integers are int32, as in JAX.
static DType sum_type(DType d) {
  switch (d) {
    case DType::Bool:
    case DType::Int8:
    case DType::Int16: return DType::Int32;
    case DType::UInt8:
    case DType::UInt16: return DType::UInt32;
    default: return d;
  }
}
static auto axis_options(const Axes& axis, bool keepdims) {
  return [&axis, keepdims] { return ArgDict{kw("axis", axis), kw("keepdims", keepdims)}; };
}
/// A reduction of the usual shape: f(x, axes, keepdims) with the axes resolved.
template <class F> static Tensor reduction(const char* cls, const Tensor& x, const Axes& axis, bool keepdims, F f) {
  return frame(
      cls, axis_options(axis, keepdims), [=](const Tensor& a) { return f(a, axis.resolve(a.rank(), cls), keepdims); }, x);
}
static int64_t count(const Tensor& x, const Ints& axes) {  // 1 where unknown: only shapes matter then
  int64_t n = 1;
  for (int64_t a : axes) n = times(n, x.shape()[static_cast<int>(a)]);
  return n < 0 ? 1 : n;
}

static Tensor sum_of(const Tensor& x, const Ints& axes, bool keepdims) { return p::reduce_sum(as(x, sum_type(x.dtype())), axes, keepdims); }
static Tensor mean_of(const Tensor& x, const Ints& axes, bool keepdims) {
  DType result = float_type(x.dtype());
  Tensor f = as(x, is_half(result) ? DType::Float32 : result);
  return as(p::div(p::reduce_sum(f, axes, keepdims), num(f, static_cast<double>(count(x, axes)))), result);
}
static Tensor var_of(const Tensor& x, const Ints& axes, bool keepdims) {
  DType result = float_type(x.dtype());
  Tensor f = as(x, is_half(result) ? DType::Float32 : result), n = num(f, static_cast<double>(count(x, axes)));
  Tensor centered = p::sub(f, p::div(p::reduce_sum(f, axes, true), n));
  return as(p::div(p::reduce_sum(p::ew(Ew::square, centered), axes, keepdims), n), result);
}
static Tensor extremum_of(bool max, const Tensor& x, const Ints& axes, bool keepdims) {
  if (x.dtype() == DType::Bool) return p::reduce(max ? p::reduce_or_prim : p::reduce_and_prim, x, axes, keepdims);
  for (int64_t a : axes)
    if (x.shape()[static_cast<int>(a)] == 0)
      shape_error(max ? "max" : "min", "an empty axis has no largest or smallest element", "axes with at least one element, or `initial`",
                  x.shape().str());
  return p::reduce(max ? p::reduce_max_prim : p::reduce_min_prim, x, axes, keepdims);
}

Tensor sum(const Tensor& x, const Axes& axis, bool keepdims) { return reduction("Sum", x, axis, keepdims, sum_of); }
Tensor mean(const Tensor& x, const Axes& axis, bool keepdims) { return reduction("Mean", x, axis, keepdims, mean_of); }
Tensor var(const Tensor& x, const Axes& axis, bool keepdims) { return reduction("Var", x, axis, keepdims, var_of); }
Tensor std(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Std", x, axis, keepdims, [](const Tensor& a, const Ints& axes, bool k) { return p::ew(Ew::sqrt, var_of(a, axes, k)); });
}
Tensor prod(const Tensor& x, const Axes& axis, bool keepdims, OptDType dtype) {
  return frame(
      "Prod",
      [&] {
        return ArgDict{kw("axis", axis), kw("keepdims", keepdims), kw("dtype", dtype)};
      },
      [=](const Tensor& a) {
        return p::reduce(p::reduce_prod_prim, as(a, dtype.value_or(sum_type(a.dtype()))), axis.resolve(a.rank(), "prod"), keepdims);
      },
      x);
}
static Tensor extremum(const char* cls, bool max, const Tensor& x, const Axes& axis, bool keepdims, const Tensor& initial) {
  return frame(
      cls,
      [&] {
        return ArgDict{kw("axis", axis), kw("keepdims", keepdims)};
      },
      [=](const Tensor& a, const Tensor& start) {
        Ints axes = axis.resolve(a.rank(), cls);
        if (!start.defined()) return extremum_of(max, a, axes, keepdims);
        bool empty = false;
        for (int64_t i : axes) empty |= a.shape()[static_cast<int>(i)] == 0;
        Tensor from = as(start, a.dtype());
        if (empty) {
          Tensor none = p::reduce_sum(a, axes, keepdims);
          return p::broadcast_to(from, none.shape());
        }
        return p::ew(max ? Ew::maximum : Ew::minimum, extremum_of(max, a, axes, keepdims), from);
      },
      x, initial);
}
Tensor max(const Tensor& x, const Axes& axis, bool keepdims, const Tensor& initial) {
  return extremum("Max", true, x, axis, keepdims, initial);
}
Tensor min(const Tensor& x, const Axes& axis, bool keepdims, const Tensor& initial) {
  return extremum("Min", false, x, axis, keepdims, initial);
}
Tensor amax(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Amax", x, axis, keepdims, [](const Tensor& a, const Ints& axes, bool k) { return extremum_of(true, a, axes, k); });
}
Tensor amin(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Amin", x, axis, keepdims, [](const Tensor& a, const Ints& axes, bool k) { return extremum_of(false, a, axes, k); });
}
Tensor ptp(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Ptp", x, axis, keepdims, [](const Tensor& a, const Ints& axes, bool k) {
    return p::sub(extremum_of(true, a, axes, k), extremum_of(false, a, axes, k));
  });
}
Tensor any(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Any", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return p::reduce(p::reduce_or_prim, as_bool(a), axes, k); });
}
Tensor all(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("All", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return p::reduce(p::reduce_and_prim, as_bool(a), axes, k); });
}
Tensor count_nonzero(const Tensor& x, const Axes& axis) {
  return frame(
      "CountNonzero", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) { return p::reduce_sum(as(as_bool(a), DType::Int32), axis.resolve(a.rank(), "count_nonzero")); }, x);
}
Tensor average(const Tensor& x, const Axes& axis, const Tensor& weights) {
  return frame(
      "Average", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a, const Tensor& w0) {
        Ints axes = axis.resolve(a.rank(), "average");
        if (!w0.defined()) return mean_of(a, axes, false);
        DType t = float_type(promote(a, w0));
        Tensor v = as(a, t), w = as(w0, t);
        if (w.rank() != v.rank()) {
          if (w.rank() != 1 || axes.size() != 1)
            shape_error("average", "the weights do not fit", "the shape of x, or one weight per element of one axis",
                        w.shape().str() + " for " + v.shape().str());
          Shape column(std::vector<int64_t>(v.shape().size(), 1));
          column[static_cast<int>(axes[0])] = w.shape()[0];
          w = p::reshape(w, column);
        }
        w = p::broadcast_to(w, broadcast_shapes(w.shape(), v.shape()));
        return p::div(p::reduce_sum(p::mul(v, w), axes), p::reduce_sum(w, axes));
      },
      x, weights);
}

// ---- quantiles
static void check_method(std::string_view method, const char* where) {
  static const std::vector<std::string> known = {"linear", "lower", "higher", "midpoint", "nearest"};
  if (std::find(known.begin(), known.end(), method) == known.end()) unknown_option(where, "method", method, known);
}
/// Quantiles of the sorted elements along `axes`; `skip_nan` leaves NaN out (they sort last), else one NaN makes the result NaN.
static Tensor quantile_of(const Tensor& x, const Tensor& q0, const Ints& axes, const std::string& method, bool keepdims, bool skip_nan) {
  DType result = float_type(x.dtype());
  if (q0.rank() > 1) shape_error("quantile", "`q` must be a number or a vector", "rank 0 or 1", q0.shape().str());
  Tensor q = flatten(as(q0, result == DType::Float64 ? DType::Float64 : DType::Float32));
  int64_t n = count(x, axes), nq = q.shape()[0];
  Tensor t = to_end(as(x, q.dtype()), axes);
  int kept = x.rank() - static_cast<int>(axes.size());
  Shape rows = t.shape().slice(0, kept), lines = rows;
  Shape flat = rows;
  flat.push_back(product(t.shape(), kept, t.rank()));
  t = p::reshape(t, flat);
  lines.push_back(nq);
  Tensor sorted = p::emit1<Tensor>(p::sort_prim, {t}, {{"axis", int64_t{kept}}, {"descending", int64_t{0}}});
  Tensor nan = p::ew(Ew::isnan, t), out;
  // Position of each quantile, per row when rows may differ in length.
  Tensor last = skip_nan ? p::sub(p::reduce_sum(as(p::ew(Ew::logical_not, nan), q.dtype()), Ints{kept}, true), num(q, 1))
                         : num(q, static_cast<double>(n - 1));
  Tensor at = p::mul(q, p::ew(Ew::maximum, last, num(q, 0)));
  Tensor low = p::ew(Ew::floor, at), high = p::ew(Ew::ceil, at), weight = p::sub(at, low);
  auto pick = [&](const Tensor& where) {  // a quantile outside [0, 1] stays at the ends
    Tensor top = p::ew(Ew::maximum, last, num(q, 0));
    Tensor i = as(p::ew(Ew::minimum, p::ew(Ew::maximum, where, num(q, 0)), top), DType::Int32);
    return skip_nan ? p::take_along_axis(sorted, p::broadcast_to(i, lines), kept) : p::gather(sorted, i, kept, p::IndexMode::Clip);
  };
  if (method == "lower") out = pick(low);
  else if (method == "higher") out = pick(high);
  else if (method == "nearest") out = p::select(p::ew(Ew::less_equal, weight, num(q, 0.5)), pick(low), pick(high));
  else {
    Tensor a = pick(low), b = pick(high);
    if (method == "midpoint") out = p::mul(p::add(a, b), 0.5);
    else out = p::add(p::mul(a, p::sub(num(q, 1), weight)), p::mul(b, weight));
  }
  Tensor spoilt = p::reduce(skip_nan ? p::reduce_and_prim : p::reduce_or_prim, nan, Ints{kept}, true);
  out = as(p::select(spoilt, num(q, std::numeric_limits<double>::quiet_NaN()), out), result);
  // (rows…, q) → (q, rows…) with the reduced axes put back on demand.
  out = move_axis(out, kept, 0);
  Shape s;
  if (q0.rank() == 1) s.push_back(nq);
  Shape full = kept_shape(x.shape(), axes);
  s = s + (keepdims ? full : rows);
  return p::reshape(out, s);
}
static Tensor quantile_op(const char* cls, const Tensor& x, const Tensor& q, const Axes& axis, std::string_view method, bool keepdims,
                          bool skip_nan, double scale) {
  check_method(method, cls);
  return frame(
      cls,
      [&] {
        return ArgDict{kw("axis", axis), kw("method", method), kw("keepdims", keepdims)};
      },
      [=, method = std::string(method)](const Tensor& a, const Tensor& b) {
        Tensor part = scale == 1 ? b : p::div(as_float(b), num(as_float(b), scale));
        return quantile_of(a, part, axis.resolve(a.rank(), cls), method, keepdims, skip_nan);
      },
      x, q);
}
Tensor quantile(const Tensor& x, const Tensor& q, const Axes& axis, std::string_view method, bool keepdims) {
  return quantile_op("Quantile", x, q, axis, method, keepdims, false, 1);
}
Tensor percentile(const Tensor& x, const Tensor& q, const Axes& axis, std::string_view method, bool keepdims) {
  return quantile_op("Percentile", x, q, axis, method, keepdims, false, 100);
}
Tensor nanquantile(const Tensor& x, const Tensor& q, const Axes& axis, std::string_view method, bool keepdims) {
  return quantile_op("Nanquantile", x, q, axis, method, keepdims, true, 1);
}
Tensor nanpercentile(const Tensor& x, const Tensor& q, const Axes& axis, std::string_view method, bool keepdims) {
  return quantile_op("Nanpercentile", x, q, axis, method, keepdims, true, 100);
}
Tensor median(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Median", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return quantile_of(a, Tensor(0.5), axes, "midpoint", k, false); });
}
Tensor nanmedian(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Nanmedian", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return quantile_of(a, Tensor(0.5), axes, "midpoint", k, true); });
}

// ---- positions of extremes
static Tensor arg_extremum(bool max, const Tensor& x, std::optional<int> axis, bool keepdims) {
  Tensor t = axis ? x : flatten(x);
  int a = axis ? axis_of(*axis, x, max ? "argmax" : "argmin") : 0;
  if (t.dtype() == DType::Bool) t = as(t, DType::Int32);
  if (t.shape()[a] == 0)
    shape_error(max ? "argmax" : "argmin", "an empty axis has no largest or smallest element", "at least one element", x.shape().str());
  Tensor r = p::arg_reduce(max, t, a);
  if (!keepdims) return r;
  return p::reshape(r, kept_shape(x.shape(), axis ? Ints{a} : p::iota_axes(x.rank())));
}
static auto arg_options(std::optional<int> axis, bool keepdims) {
  return [=] { return ArgDict{kw("axis", axis), kw("keepdims", keepdims)}; };
}
Tensor argmax(const Tensor& x, std::optional<int> axis, bool keepdims) {
  return frame(
      "Argmax", arg_options(axis, keepdims), [=](const Tensor& a) { return arg_extremum(true, a, axis, keepdims); }, x);
}
Tensor argmin(const Tensor& x, std::optional<int> axis, bool keepdims) {
  return frame(
      "Argmin", arg_options(axis, keepdims), [=](const Tensor& a) { return arg_extremum(false, a, axis, keepdims); }, x);
}

// ---- NaN left out
static Tensor without_nan(const Tensor& x, double instead) {
  return is_floating(x.dtype()) ? p::select(p::ew(Ew::isnan, x), num(x, instead), x) : x;
}
static Tensor numbers_there(const Tensor& x, const Ints& axes, bool keepdims, DType t) {  // how many are not NaN
  return p::reduce_sum(as(p::ew(Ew::logical_not, p::ew(Ew::isnan, x)), t), axes, keepdims);
}
Tensor nansum(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Nansum", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return sum_of(without_nan(a, 0), axes, k); });
}
Tensor nanprod(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Nanprod", x, axis, keepdims, [](const Tensor& a, const Ints& axes, bool k) {
    return p::reduce(p::reduce_prod_prim, as(without_nan(a, 1), sum_type(a.dtype())), axes, k);
  });
}
static Tensor nanmean_of(const Tensor& x, const Ints& axes, bool keepdims) {
  if (!is_floating(x.dtype())) return mean_of(x, axes, keepdims);
  Tensor f = is_half(x.dtype()) ? as(x, DType::Float32) : x;
  return as(p::div(p::reduce_sum(without_nan(f, 0), axes, keepdims), numbers_there(f, axes, keepdims, f.dtype())), x.dtype());
}
static Tensor nanvar_of(const Tensor& x, const Ints& axes, bool keepdims) {
  if (!is_floating(x.dtype())) return var_of(x, axes, keepdims);
  Tensor f = is_half(x.dtype()) ? as(x, DType::Float32) : x;
  // What is no number is left out; infinities spoil the result.
  Tensor centered = p::select(p::ew(Ew::isnan, f), num(f, 0), p::sub(f, nanmean_of(f, axes, true)));
  return as(p::div(p::reduce_sum(p::ew(Ew::square, centered), axes, keepdims), numbers_there(f, axes, keepdims, f.dtype())),
            x.dtype());
}
static Tensor nanextremum_of(bool max, const Tensor& x, const Ints& axes, bool keepdims) {
  if (!is_floating(x.dtype())) return extremum_of(max, x, axes, keepdims);
  Tensor r = extremum_of(max, without_nan(x, max ? -kInf : kInf), axes, keepdims);
  Tensor none = p::reduce(p::reduce_and_prim, p::ew(Ew::isnan, x), axes, keepdims);
  return p::select(none, num(x, std::numeric_limits<double>::quiet_NaN()), r);
}
Tensor nanmean(const Tensor& x, const Axes& axis, bool keepdims) { return reduction("Nanmean", x, axis, keepdims, nanmean_of); }
Tensor nanvar(const Tensor& x, const Axes& axis, bool keepdims) { return reduction("Nanvar", x, axis, keepdims, nanvar_of); }
Tensor nanstd(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Nanstd", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return p::ew(Ew::sqrt, nanvar_of(a, axes, k)); });
}
Tensor nanmax(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Nanmax", x, axis, keepdims, [](const Tensor& a, const Ints& axes, bool k) { return nanextremum_of(true, a, axes, k); });
}
Tensor nanmin(const Tensor& x, const Axes& axis, bool keepdims) {
  return reduction("Nanmin", x, axis, keepdims,
                   [](const Tensor& a, const Ints& axes, bool k) { return nanextremum_of(false, a, axes, k); });
}
static Tensor nanarg(bool max, const Tensor& x, std::optional<int> axis, bool keepdims) {
  if (!is_floating(x.dtype())) return arg_extremum(max, x, axis, keepdims);
  Tensor r = arg_extremum(max, without_nan(x, max ? -kInf : kInf), axis, keepdims);
  Ints axes = axis ? Ints{axis_of(*axis, x, "nanargmax")} : p::iota_axes(x.rank());
  Tensor none = p::reduce(p::reduce_and_prim, p::ew(Ew::isnan, x), axes, keepdims);
  return p::select(none, num(r, -1), r);
}
Tensor nanargmax(const Tensor& x, std::optional<int> axis, bool keepdims) {
  return frame(
      "Nanargmax", arg_options(axis, keepdims), [=](const Tensor& a) { return nanarg(true, a, axis, keepdims); }, x);
}
Tensor nanargmin(const Tensor& x, std::optional<int> axis, bool keepdims) {
  return frame(
      "Nanargmin", arg_options(axis, keepdims), [=](const Tensor& a) { return nanarg(false, a, axis, keepdims); }, x);
}

// ---- running sums and products
static Tensor running(const char* cls, const Tensor& x, std::optional<int> axis, OptDType dtype, bool product, bool skip_nan) {
  return frame(
      cls,
      [&] {
        return ArgDict{kw("axis", axis), kw("dtype", dtype)};
      },
      [=](const Tensor& a) {
        Tensor t = axis ? a : flatten(a);
        int along = axis ? axis_of(*axis, a, cls) : 0;
        if (skip_nan) t = without_nan(t, product ? 1 : 0);
        DType to = dtype.value_or(t.dtype());
        t = as(t, to);
        if (to != DType::Bool) return p::cumulative(product ? p::cumprod_prim : p::cumsum_prim, t, along);
        // Bools are counted; who asks for bools gets them.
        Tensor r = p::cumulative(product ? p::cumprod_prim : p::cumsum_prim, as(t, DType::Int32), along);
        return dtype ? as_bool(r) : r;
      },
      x);
}
Tensor cumsum(const Tensor& x, std::optional<int> axis, OptDType dtype) { return running("Cumsum", x, axis, dtype, false, false); }
Tensor cumprod(const Tensor& x, std::optional<int> axis, OptDType dtype) { return running("Cumprod", x, axis, dtype, true, false); }
Tensor nancumsum(const Tensor& x, std::optional<int> axis, OptDType dtype) { return running("Nancumsum", x, axis, dtype, false, true); }
Tensor nancumprod(const Tensor& x, std::optional<int> axis, OptDType dtype) { return running("Nancumprod", x, axis, dtype, true, true); }

/// Neighbours along an axis: what follows, and what comes before.
static std::pair<Tensor, Tensor> neighbours(const Tensor& x, int axis) {
  int64_t n = x.shape()[axis];
  if (n < 0) return {x, x};
  return {p::slice_axis(x, axis, 1, p::kToEnd), p::slice_axis(x, axis, 0, n - 1)};
}
Tensor diff(const Tensor& a, int n, int axis) {
  if (n < 0)
    throw ValueError(
        ErrorText{.what = "the order of differences is negative", .where = "diff", .expected = "0 or more", .received = std::to_string(n)}
            .str());
  return frame(
      "Diff",
      [&] {
        return ArgDict{kw("n", n), kw("axis", axis)};
      },
      [=](const Tensor& x) {
        int along = axis_of(axis, x, "diff");
        Tensor t = x;
        for (int i = 0; i < n && t.shape()[along] != 0; ++i) {
          auto [next, before] = neighbours(t, along);
          t = t.dtype() == DType::Bool ? p::ew(Ew::not_equal, next, before) : p::sub(next, before);
        }
        return t;
      },
      a);
}
Tensor trapezoid(const Tensor& y, const Tensor& x, double dx, int axis) {
  return frame(
      "Trapezoid",
      [&] {
        return ArgDict{kw("dx", dx), kw("axis", axis)};
      },
      [=](const Tensor& v, const Tensor& at) {
        DType t = float_type(at.defined() ? promote(v, at) : v.dtype());
        Tensor f = as(v, t);
        int along = axis_of(axis, f, "trapezoid");
        auto [next, before] = neighbours(f, along);
        Tensor height = p::mul(p::add(next, before), 0.5);
        if (!at.defined()) return p::mul(p::reduce_sum(height, Ints{along}), dx);
        Tensor grid = as(at, t);
        if (grid.rank() == 1 && f.rank() > 1) {
          Shape column(std::vector<int64_t>(f.shape().size(), 1));
          column[along] = grid.shape()[0];
          grid = p::reshape(grid, column);
        }
        auto [right, left] = neighbours(grid, along);
        return p::reduce_sum(p::mul(height, p::sub(right, left)), Ints{along});
      },
      y, x);
}

}  // namespace keras::ops
