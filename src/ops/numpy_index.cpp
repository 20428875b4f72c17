// What lives here: keras.ops' NumPy functions that pick, place and pad by position.
#include <algorithm>

#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

Tensor take(const Tensor& x, const Tensor& indices, std::optional<int> axis) {
  return frame(
      "Take", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a, const Tensor& i0) {
        Tensor i = indices_of(i0, "take");
        // As JAX: an index outside gives NaN (integers: the lowest value).
        return axis ? p::gather(a, i, axis_of(*axis, a, "take"), p::IndexMode::FillNaN)
                    : p::gather(flatten(a), i, 0, p::IndexMode::FillNaN);
      },
      x, indices);
}
Tensor take_along_axis(const Tensor& x, const Tensor& indices, std::optional<int> axis) {
  return frame(
      "TakeAlongAxis", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a0, const Tensor& i0) {
        Tensor places = indices_of(i0, "take_along_axis");
        Tensor a = axis ? a0 : flatten(a0), i = axis ? places : flatten(places);
        int along = axis ? axis_of(*axis, a, "take_along_axis") : 0;
        if (a.rank() != i.rank())
          shape_error("take_along_axis", "x and indices differ in rank", "indices of rank " + std::to_string(a.rank()), i.shape().str());
        Shape sa = a.shape(), si = i.shape();
        for (int d = 0; d < a.rank(); ++d) {
          if (d == along || sa[d] == si[d]) continue;
          if (sa[d] == 1) sa[d] = si[d];
          else if (si[d] == 1) si[d] = sa[d];
          else if (sa[d] >= 0 && si[d] >= 0)
            shape_error("take_along_axis", "x and indices do not fit", "equal sizes on all axes but " + std::to_string(along),
                        a.shape().str() + " and " + i.shape().str());
          else if (si[d] < 0) si[d] = sa[d];
        }
        return p::take_along_axis(sa.is_static() ? p::broadcast_to(a, sa) : a,
                                  si.is_static() || i.shape() == si ? p::broadcast_to(i, si) : shape_only(i.dtype(), si), along);
      },
      x, indices);
}

// ---- Python slices
namespace {
struct Range {
  int64_t start, count, step;
};
Range resolve(const Slice& s, int64_t n) {
  int64_t step = s.step.value_or(1);
  if (step == 0) throw ValueError("a slice step must not be 0");
  auto bound = [&](int64_t v, int64_t low, int64_t high) { return std::clamp(v < 0 ? v + n : v, low, high); };
  int64_t start, stop;
  if (step > 0) {
    start = s.start ? bound(*s.start, 0, n) : 0;
    stop = s.stop ? bound(*s.stop, 0, n) : n;
    return {start, stop > start ? (stop - start + step - 1) / step : 0, step};
  }
  start = s.start ? bound(*s.start, -1, n - 1) : n - 1;
  stop = s.stop ? bound(*s.stop, -1, n - 1) : -1;
  return {start, start > stop ? (start - stop - step - 1) / -step : 0, step};
}
}  // namespace

/// `symbolic`: of a call on a symbolic tensor, where Keras leaves an unknown size unknown; inside a layer it asks what two sizes would give:
/// what does not depend on the size is known.
static Tensor sliced(const Tensor& x, const std::vector<Slice>& slices, bool symbolic) {
  if (slices.size() > x.shape().size())
    shape_error("get_item", "there are more indices than axes", "at most " + std::to_string(x.rank()), std::to_string(slices.size()));
  Shape out = x.shape();
  Ints starts(x.shape().size(), 0), limits = x.shape().dims(), steps(x.shape().size(), 1), turned;
  bool unknown = false, whole = true;
  for (size_t i = 0; i < slices.size(); ++i) {
    int axis = static_cast<int>(i);
    int64_t n = x.shape()[axis];
    if (n < 0) {
      limits[i] = p::kToEnd;
      if (!slices[i].start && !slices[i].stop && std::abs(slices[i].step.value_or(1)) == 1) continue;
      int64_t a = resolve(slices[i], 83).count, b = resolve(slices[i], 89).count;
      out[axis] = a == b && !symbolic ? a : None;
      unknown = true;
      continue;
    }
    Range r = resolve(slices[i], n);
    out[axis] = r.count;
    int64_t step = std::abs(r.step), first = r.step > 0 ? r.start : r.start + (r.count - 1) * r.step;
    if (r.count == 0) first = 0;
    starts[i] = first, steps[i] = r.count > 1 ? step : 1;
    limits[i] = r.count == 0 ? 0 : first + (r.count - 1) * step + 1;
    whole &= first == 0 && limits[i] == n && steps[i] == 1;
    if (r.step < 0 && r.count > 1) turned.push_back(axis);
  }
  if (unknown) return shape_only(x.dtype(), out);
  for (size_t i = 0; i < limits.size(); ++i)
    if (limits[i] < 0) limits[i] = p::kToEnd;
  Tensor t = whole ? x : p::slice(x, starts, limits, steps);
  return turned.empty() ? t : p::reverse(t, turned);
}
static Value slice_value(const Slice& s) { return Dict{{"start", Value(s.start)}, {"stop", Value(s.stop)}, {"step", Value(s.step)}}; }
Tensor slice_tensor(const Tensor& x, const std::vector<Slice>& slices) {
  return frame(
      "GetItem",
      [&] {
        List l;
        for (const Slice& s : slices) l.push_back(slice_value(s));
        return ArgDict{kw("key", Value(l))};
      },
      [slices, symbolic = x.is_symbolic()](const Tensor& a) { return sliced(a, slices, symbolic); }, x);
}

/// Indices of the true elements of a concrete mask, one row-major list per axis.
static Tensors true_places(const Tensor& mask) {
  if (!mask.is_concrete())
    throw ValueError(ErrorText{.what = "the size of the result depends on the numbers of a mask",
                               .where = "get_item / nonzero / where",
                               .expected = "a concrete tensor",
                               .received = mask.str(),
                               .fix = "inside a compiled step use where(condition, x1, x2)"}
                         .str());
  std::vector<double> v = mask.to_vector<double>();
  std::vector<Ints> places(mask.shape().size());
  for (size_t flat = 0; flat < v.size(); ++flat) {
    if (v[flat] == 0) continue;
    int64_t rest = static_cast<int64_t>(flat);
    for (int d = mask.rank(); d-- > 0;) {
      places[static_cast<size_t>(d)].push_back(rest % mask.shape()[d]);
      rest /= mask.shape()[d];
    }
  }
  Tensors out;
  for (const Ints& p : places) out.push_back(int_tensor(p));
  return out;
}

static Tensor picked(const Tensor& x, const std::vector<Index>& key, const Tensors& tensors, bool symbolic) {
  // 1. Every item becomes a slice of one axis, a new axis, or an index tensor for one axis (an int among tensors is one too).
  struct Item {
    enum Kind { Cut, New, Int, Tens } kind;
    Slice slice{};
    int64_t i = 0;
    Tensor t{};
  };
  std::vector<Item> items;
  int consumed = 0, ellipsis = -1;
  bool any_tensor = false;
  size_t next = 0;
  for (const Index& k : key) {
    switch (k.kind) {
      case Index::Kind::Number: items.push_back({.kind = Item::Int, .i = k.number}), ++consumed; break;
      case Index::Kind::Slice: items.push_back({.kind = Item::Cut, .slice = k.slice}), ++consumed; break;
      case Index::Kind::NewAxis: items.push_back({.kind = Item::New}); break;
      case Index::Kind::Ellipsis:
        if (ellipsis >= 0) throw ValueError("an index key may hold one Ellipsis");
        ellipsis = static_cast<int>(items.size());
        break;
      case Index::Kind::Tensor: {
        const Tensor& t = tensors.at(next++);
        any_tensor = true;
        if (t.dtype() == DType::Bool) {
          for (const Tensor& place : true_places(t)) items.push_back({.kind = Item::Tens, .t = place}), ++consumed;
        } else {
          if (!is_integer(t.dtype()))
            throw TypeError(
                ErrorText{.what = "an index tensor must hold integers or bools", .where = "get_item", .received = dtype_name(t.dtype())}
                    .str());
          items.push_back({.kind = Item::Tens, .t = t}), ++consumed;
        }
      }
    }
  }
  if (consumed > x.rank())
    shape_error("get_item", "there are more indices than axes", "at most " + std::to_string(x.rank()), std::to_string(consumed));
  if (ellipsis < 0) ellipsis = static_cast<int>(items.size());
  items.insert(items.begin() + ellipsis, static_cast<size_t>(x.rank() - consumed), Item{.kind = Item::Cut});
  // 2. Slices of the axes; ints alone are slices of one element.
  std::vector<Slice> cuts;
  for (const Item& it : items) {
    if (it.kind == Item::New) continue;
    if (it.kind == Item::Int) {
      int64_t n = x.shape()[static_cast<int>(cuts.size())];
      if (n >= 0 && (it.i >= n || it.i < -n))
        shape_error("get_item", "the index is outside",
                    "an index in [-" + std::to_string(n) + ", " + std::to_string(n) + ") for axis " + std::to_string(cuts.size()),
                    std::to_string(it.i));
      cuts.push_back(any_tensor ? Slice{} : it.i == -1 ? Slice{-1, std::nullopt, std::nullopt} : Slice{it.i, it.i + 1, std::nullopt});
    } else {
      cuts.push_back(it.kind == Item::Cut ? it.slice : Slice{});
    }
  }
  Tensor t = sliced(x, cuts, symbolic);
  // 3. New axes in, plain ints out.
  Shape s;
  int axis = 0;
  std::vector<int> advanced;  // axes of t after this step that have an index tensor
  Tensors index;
  bool apart = false;
  int last_item = -1;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& it = items[i];
    if (it.kind == Item::New) {
      s.push_back(1);
      continue;
    }
    int64_t d = t.shape()[axis++];
    if (it.kind == Item::Tens || (it.kind == Item::Int && any_tensor)) {
      apart |= last_item >= 0 && last_item + 1 != static_cast<int>(i);
      last_item = static_cast<int>(i);
      advanced.push_back(s.rank());
      index.push_back(it.kind == Item::Tens ? it.t : int_tensor({it.i}, Shape{}));
      s.push_back(d);
    } else if (it.kind != Item::Int) {
      s.push_back(d);
    }
  }
  t = p::reshape(t, s);
  if (advanced.empty()) return t;
  // 4. Index tensors.
  if (advanced.size() == 1) return p::gather(t, index[0], advanced[0], p::IndexMode::Clip);
  Shape b;
  for (const Tensor& i : index) b = broadcast_shapes(b, i.shape());
  Shape column = b;
  column.push_back(1);
  Tensors columns;
  for (const Tensor& i : index) columns.push_back(p::reshape(p::broadcast_to(as(i, DType::Int32), b), column));
  Ints perm(advanced.begin(), advanced.end());
  for (int d = 0; d < t.rank(); ++d)
    if (std::find(advanced.begin(), advanced.end(), d) == advanced.end()) perm.push_back(d);
  Tensor r = p::emit1<Tensor>(p::gather_nd_prim, {p::transpose(t, perm), p::concat(columns, b.rank())});
  if (apart || advanced[0] == 0) return r;
  Ints back;  // the broadcast axes go where the first index stood
  for (int d = 0; d < advanced[0]; ++d) back.push_back(b.rank() + d);
  for (int d = 0; d < b.rank(); ++d) back.push_back(d);
  for (int d = b.rank() + advanced[0]; d < r.rank(); ++d) back.push_back(d);
  return p::transpose(r, back);
}
Tensor get_item(const Tensor& x, const std::vector<Index>& key) {
  Tensors tensors;
  for (const Index& k : key)
    if (k.kind == Index::Kind::Tensor) tensors.push_back(k.tensor);
  return frame(
      "GetItem",
      [&] {
        List l;
        for (const Index& k : key)
          switch (k.kind) {
            case Index::Kind::Number: l.push_back(k.number); break;
            case Index::Kind::Slice: l.push_back(slice_value(k.slice)); break;
            case Index::Kind::Ellipsis: l.push_back("..."); break;
            case Index::Kind::NewAxis: l.push_back(nullptr); break;
            case Index::Kind::Tensor: l.push_back("tensor"); break;
          }
        return ArgDict{kw("key", Value(l))};
      },
      [key, symbolic = x.is_symbolic()](const Tensor& a, const Tensors& ts) { return picked(a, key, ts, symbolic); }, x, tensors);
}

Tensors nonzero(const Tensor& x) {
  return frame(
      "Nonzero", no_options,
      [](const Tensor& a) -> Tensors {
        return abstract_trace() ? Tensors(a.shape().size(), shape_only(DType::Int32, Shape{None})) : true_places(a);
      },
      x);
}
Tensors where(const Tensor& condition) { return nonzero(condition); }

// ---- diagonals
static Tensor diagonal_of(const Tensor& a, int64_t offset, int axis1, int axis2, const char* where) {
  if (a.rank() < 2) shape_error(where, "the rank is too small", "rank 2 or more", a.shape().str());
  int i = axis_of(axis1, a, where), j = axis_of(axis2, a, where);
  if (i == j) shape_error(where, "the two axes are the same", "different axes", std::to_string(axis1));
  Tensor t = to_end(a, Ints{i, j});
  int r = t.rank();
  int64_t n = t.shape()[-2], m = t.shape()[-1];
  Shape s = t.shape().slice(0, r - 2);
  if (n < 0 || m < 0) {
    s.push_back(None);
    return shape_only(a.dtype(), s);
  }
  int64_t length = std::max<int64_t>(0, offset >= 0 ? std::min(n, m - offset) : std::min(n + offset, m));
  int64_t start = length == 0 ? 0 : offset >= 0 ? offset : -offset * m;
  Shape flat = s;
  flat.push_back(n * m);
  return p::slice_axis(p::reshape(t, flat), r - 2, start, length == 0 ? start : start + (length - 1) * (m + 1) + 1, m + 1);
}
Tensor diagonal(const Tensor& x, int64_t offset, int axis1, int axis2) {
  return frame(
      "Diagonal",
      [&] {
        return ArgDict{kw("offset", offset), kw("axis1", axis1), kw("axis2", axis2)};
      },
      [=](const Tensor& a) { return diagonal_of(a, offset, axis1, axis2, "diagonal"); }, x);
}
static Tensor diag_matrix(const Tensor& v, int64_t k) {
  int64_t n = v.shape()[0];
  if (n < 0) return shape_only(v.dtype(), Shape{None, None});
  int64_t N = n + std::abs(k), lo = k >= 0 ? k : -k * N, covered = n == 0 ? 0 : (n - 1) * (N + 1) + 1;
  if (n == 0) lo = 0;
  return p::reshape(p::pad(v, num(v, 0), Ints{lo}, Ints{N * N - lo - covered}, Ints{N}), Shape{N, N});
}
Tensor diag(const Tensor& x, int64_t k) {
  return frame(
      "Diag", [&] { return ArgDict{kw("k", k)}; },
      [k](const Tensor& a) {
        if (a.rank() == 1) return diag_matrix(a, k);
        if (a.rank() != 2) shape_error("diag", "diag takes a vector or a matrix", "rank 1 or 2", a.shape().str());
        return diagonal_of(a, k, 0, 1, "diag");
      },
      x);
}
Tensor diagflat(const Tensor& x, int64_t k) {
  return frame(
      "Diagflat", [&] { return ArgDict{kw("k", k)}; }, [k](const Tensor& a) { return diag_matrix(flatten(a), k); }, x);
}
static Tensor triangle(const Tensor& a, int64_t k, bool lower) {
  if (a.rank() < 2) shape_error(lower ? "tril" : "triu", "the rank is too small", "rank 2 or more", a.shape().str());
  Shape s{a.shape()[-2], a.shape()[-1]};
  Tensor row = p::add(iota(DType::Int32, s, 0), static_cast<double>(k)), col = iota(DType::Int32, s, 1);
  return p::select(p::ew(lower ? Ew::greater_equal : Ew::less_equal, row, col), a, num(a, 0));
}
Tensor tril(const Tensor& x, int64_t k) {
  return frame(
      "Tril", [&] { return ArgDict{kw("k", k)}; }, [k](const Tensor& a) { return triangle(a, k, true); }, x);
}
Tensor triu(const Tensor& x, int64_t k) {
  return frame(
      "Triu", [&] { return ArgDict{kw("k", k)}; }, [k](const Tensor& a) { return triangle(a, k, false); }, x);
}
Tensor trace(const Tensor& x, int64_t offset, int axis1, int axis2) {
  return frame(
      "Trace",
      [&] {
        return ArgDict{kw("offset", offset), kw("axis1", axis1), kw("axis2", axis2)};
      },
      [=](const Tensor& a) {
        Tensor d = diagonal_of(a, offset, axis1, axis2, "trace");
        return sum(d, -1);
      },
      x);
}
Tensors unravel_index(const Tensor& indices, const Shape& shape) {
  return frame(
      "UnravelIndex", [&] { return ArgDict{kw("shape", shape)}; },
      [shape](const Tensor& a) {
        int64_t n = shape.numel();
        Tensor rest = p::ew(Ew::minimum, a, num(a, static_cast<double>(n - 1)));
        if (!is_unsigned(a.dtype())) rest = p::ew(Ew::maximum, rest, num(a, static_cast<double>(-n)));
        Tensors out(shape.size());
        for (int d = shape.rank(); d-- > 0;) {  // floor division wraps negative indices by itself
          Tensor size = num(a, static_cast<double>(shape[d]));
          out[static_cast<size_t>(d)] = p::ew(Ew::mod, rest, size);
          rest = p::ew(Ew::floor_div, rest, size);
        }
        return out;
      },
      indices);
}

// ---- padding
static Tensor pad_axis(const Tensor& a, int axis, int64_t lo, int64_t hi, const std::string& mode) {
  if (lo == 0 && hi == 0) return a;
  int64_t n = a.shape()[axis];
  if (n < 0) return a;  // only the shape matters: the size stays unknown
  if (mode == "maximum" || mode == "minimum" || mode == "mean" || mode == "median" || mode == "linear_ramp") {
    auto edge = [&](bool low, int64_t width) {
      Tensor e;
      if (mode == "maximum") e = max(a, axis, true);
      else if (mode == "minimum") e = min(a, axis, true);
      else if (mode == "median") e = as(median(a, axis, true), a.dtype());
      else if (mode == "mean") {
        e = mean(a, axis, true);
        e = as(is_integer(a.dtype()) ? round(e) : e, a.dtype());
      } else e = low ? p::slice_axis(a, axis, 0, 1) : p::slice_axis(a, axis, n - 1, n);
      Shape s = a.shape();
      s[axis] = width;
      if (mode != "linear_ramp") return p::broadcast_to(e, s);
      Tensor at = p::div(iota(DType::Float32, s, axis), Tensor::full({}, static_cast<double>(width), DType::Float32));
      if (!low) at = p::sub(Tensor::full({}, static_cast<double>(width - 1) / static_cast<double>(width), DType::Float32), at);
      return as(p::mul(as(p::broadcast_to(e, s), DType::Float32), at), a.dtype());
    };
    Tensors parts;
    if (lo) parts.push_back(edge(true, lo));
    parts.push_back(a);
    if (hi) parts.push_back(edge(false, hi));
    return p::concat(parts, axis);
  }
  if (n == 0) shape_error("pad", "an empty axis can't be padded with mode '" + mode + "'", "at least one element", a.shape().str());
  Ints order;
  for (int64_t i = -lo; i < n + hi; ++i) {
    int64_t at = i;
    if (mode == "edge") at = std::clamp<int64_t>(i, 0, n - 1);
    else if (mode == "wrap") at = ((i % n) + n) % n;
    else {
      int64_t period = mode == "reflect" ? std::max<int64_t>(1, 2 * (n - 1)) : 2 * n;
      at = ((i % period) + period) % period;
      if (at >= n) at = mode == "reflect" ? period - at : period - 1 - at;
    }
    order.push_back(at);
  }
  return p::gather(a, int_tensor(order), axis);
}
Tensor pad(const Tensor& x, const PadWidth& pad_width, std::string_view mode, const Tensor& constant_values) {
  static const std::vector<std::string> known = {"constant", "reflect", "symmetric", "edge",        "wrap", "maximum",
                                                 "minimum",  "mean",    "median",    "linear_ramp", "empty"};
  if (std::find(known.begin(), known.end(), mode) == known.end()) unknown_option("pad", "mode", mode, known);
  if (constant_values.defined() && mode != "constant")
    throw ValueError(
        ErrorText{.what = "`constant_values` belongs to mode 'constant'", .where = "pad", .received = "mode '" + std::string(mode) + "'"}
            .str());
  return frame(
      "Pad",
      [&] {
        return ArgDict{kw("pad_width", pad_width), kw("mode", mode)};
      },
      [pad_width, mode = std::string(mode)](const Tensor& a, const Tensor& value) {
        auto widths = pad_width.expand(a.rank());
        Ints lo, hi;
        for (auto [l, h] : widths) {
          if (l < 0 || h < 0)
            throw ValueError(
                ErrorText{.what = "pad widths must not be negative", .where = "pad", .received = std::to_string(std::min(l, h))}.str());
          lo.push_back(l), hi.push_back(h);
        }
        if (mode == "constant" || mode == "empty") {
          if (a.rank() == 0) return a;
          return p::pad(a, value.defined() ? as(value, a.dtype()) : num(a, 0), lo, hi, Ints(lo.size(), 0));
        }
        Tensor t = a;
        for (int i = 0; i < a.rank(); ++i) t = pad_axis(t, i, lo[static_cast<size_t>(i)], hi[static_cast<size_t>(i)], mode);
        return t;
      },
      x, constant_values);
}

}  // namespace keras::ops
