// What lives here: keras.ops' NumPy functions that order, count and look up.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

static Tensor ordering(const Tensor& x, int axis) {
  return p::emit1<Tensor>(p::argsort_prim, {x}, {{"axis", int64_t{axis}}, {"descending", int64_t{0}}, {"dtype", DType::Int32}});
}
static auto axis_option(std::optional<int> axis) {
  return [axis] { return ArgDict{kw("axis", axis)}; };
}
Tensor sort(const Tensor& x, std::optional<int> axis) {
  return frame(
      "Sort", axis_option(axis),
      [axis](const Tensor& a) {
        Tensor t = axis ? a : flatten(a);
        int along = axis ? axis_of(*axis, a, "sort") : 0;
        return p::emit1<Tensor>(p::sort_prim, {t}, {{"axis", int64_t{along}}, {"descending", int64_t{0}}});
      },
      x);
}
Tensor argsort(const Tensor& x, std::optional<int> axis) {
  return frame(
      "Argsort", axis_option(axis),
      [axis](const Tensor& a) {
        bool flat = !axis || a.rank() == 0;
        return ordering(flat ? flatten(a) : a, flat ? 0 : axis_of(*axis, a, "argsort"));
      },
      x);
}
Tensor argpartition(const Tensor& x, int64_t kth, std::optional<int> axis) {
  return frame(
      "Argpartition",
      [&] {
        return ArgDict{kw("kth", kth), kw("axis", axis)};
      },
      [=](const Tensor& a) {
        Tensor t = axis ? a : flatten(a);
        int along = axis ? axis_of(*axis, a, "argpartition") : 0;
        int64_t n = t.shape()[along], k = kth < 0 && n >= 0 ? kth + n : kth;
        Tensor order = ordering(t, along);
        if (n < 0 || abstract_trace()) return order;
        if (k < 0 || k >= n)
          shape_error("argpartition", "`kth` is outside the axis", "a place in [0, " + std::to_string(n) + ")", std::to_string(kth));
        if (k + 1 == n) return order;
        Tensor rest = p::slice_axis(order, along, k + 1, n);  // as JAX: what is not among the smallest keeps its order
        return p::concat(Tensors{p::slice_axis(order, along, 0, k + 1),
                                 p::emit1<Tensor>(p::sort_prim, {rest}, {{"axis", int64_t{along}}, {"descending", int64_t{0}}})},
                         along);
      },
      x);
}
static Tensor places(const Tensor& sorted, const Tensor& values, bool right) {
  auto [s, v] = promoted(sorted, values);
  return p::emit1<Tensor>(p::searchsorted_prim, {s, v}, {{"right", int64_t{right}}, {"dtype", DType::Int32}});
}
Tensor searchsorted(const Tensor& sorted_sequence, const Tensor& values, std::string_view side) {
  if (side != "left" && side != "right") unknown_option("searchsorted", "side", side, {"left", "right"});
  if (sorted_sequence.rank() != 1)
    throw ValueError(ErrorText{.what = "`searchsorted` only supports 1-D sorted sequences",
                               .where = "searchsorted",
                               .expected = "rank 1",
                               .received = sorted_sequence.shape().str(),
                               .fix = "use vectorized_map to search rows"}
                         .str());
  bool right = side == "right";
  return frame(
      "SearchSorted", [&] { return ArgDict{kw("side", side)}; }, [right](const Tensor& s, const Tensor& v) { return places(s, v, right); },
      sorted_sequence, values);
}
Tensor digitize(const Tensor& x, const Tensor& bins) {
  return frame(
      "Digitize", no_options,
      [](const Tensor& a, const Tensor& b) {
        if (b.rank() != 1) shape_error("digitize", "`bins` must be a vector", "rank 1", b.shape().str());
        int64_t n = b.shape()[0];
        if (n < 2) return places(b, a, true);
        auto falling = [&] {
          Tensor r = places(p::reverse(b, Ints{0}), a, true);
          return p::sub(num(r, static_cast<double>(n)), r);
        };
        Tensor first = p::slice_axis(b, 0, 0, 1), last = p::slice_axis(b, 0, n - 1, n);
        Tensor rising = p::ew(Ew::greater_equal, last, first);
        if (rising.is_concrete()) return rising.item() != 0 ? places(b, a, true) : falling();
        return p::select(p::reshape(rising, Shape{}), places(b, a, true), falling());
      },
      x, bins);
}

// ---- counting
Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
  return frame(
      "Bincount", [&] { return ArgDict{kw("minlength", minlength)}; },
      [minlength](const Tensor& a0, const Tensor& w0) {
        if (a0.rank() < 1 || a0.rank() > 2)
          shape_error("bincount", "bincount takes a vector or rows of vectors", "rank 1 or 2", a0.shape().str());
        Tensor a = as(a0, DType::Int32);
        DType t = w0.defined() ? w0.dtype() : DType::Int32;
        Shape out = a.rank() == 2 ? Shape{a.shape()[0]} : Shape{};
        if (abstract_trace()) {
          out.push_back(None);
          return shape_only(t, out);
        }
        int64_t length = minlength;
        if (a.is_concrete()) {
          for (int32_t v : a.data<int32_t>()) length = std::max<int64_t>(length, int64_t{v} + 1);
        } else if (minlength == 0) {
          throw ValueError(ErrorText{.what = "the length of the counts depends on the numbers",
                                     .where = "bincount",
                                     .expected = "`minlength` inside a compiled step"}
                               .str());
        }
        out.push_back(length);
        // Negative numbers count as 0, as in JAX; numbers beyond the length fall into a place that is cut off.
        Tensor at = p::ew(Ew::minimum, p::ew(Ew::maximum, a, num(a, 0)), num(a, static_cast<double>(length)));
        int64_t width = length + 1, rows = a.rank() == 2 ? a.shape()[0] : 1;
        if (a.rank() == 2) at = p::add(at, p::mul(iota(DType::Int32, a.shape(), 0), static_cast<double>(width)));
        Tensor w = w0.defined() ? p::broadcast_to(w0, a.shape()) : p::broadcast_to(num(a, 1), a.shape());
        Tensor counts = p::reshape(p::scatter_add(flatten(at), flatten(w), 0, rows * width), Shape{rows, width});
        return p::reshape(p::slice_axis(counts, 1, 0, length), out);
      },
      x, weights);
}
std::pair<Tensor, Tensor> histogram(const Tensor& x, int64_t bins, std::optional<std::pair<double, double>> range) {
  if (bins < 1)
    throw ValueError(ErrorText{.what = "`bins` must be a positive number", .where = "histogram", .received = std::to_string(bins)}.str());
  if (range && range->first > range->second)
    throw ValueError(ErrorText{.what = "the range is upside down",
                               .where = "histogram",
                               .expected = "(low, high)",
                               .received = "(" + float_repr(range->first) + ", " + float_repr(range->second) + ")"}
                         .str());
  return frame(
      "Histogram",
      [&] {
        return ArgDict{kw("bins", bins), {"range", range ? Arg(Value(List{range->first, range->second})) : Arg(Value())}};
      },
      [=](const Tensor& a0) {
        if (a0.rank() > 1) shape_error("histogram", "histogram takes a vector", "rank 1", a0.shape().str());
        Tensor a = flatten(as_float(a0));
        Tensor low, high;
        if (range) low = num(a, range->first), high = num(a, range->second);
        else if (a.shape()[0] == 0)
          shape_error("histogram", "an empty vector has no range of its own", "`range`, or at least one element", a0.shape().str());
        else low = p::reduce(p::reduce_min_prim, a, Ints{0}), high = p::reduce(p::reduce_max_prim, a, Ints{0});
        Tensor same = p::ew(Ew::equal, low, high);
        Tensor from = p::select(same, p::add(low, -0.5), low), to = p::select(same, p::add(high, 0.5), high);
        Tensor edges = linspace(from, to, bins + 1);
        Tensor last = p::slice_axis(edges, 0, bins, bins + 1);
        Tensor at = places(edges, a, true);
        at = p::select(p::ew(Ew::equal, a, last), num(at, static_cast<double>(bins)), at);
        Tensor counts = p::scatter_add(at, p::broadcast_to(num(a, 1), a.shape()), 0, bins + 2);
        return std::pair<Tensor, Tensor>(p::slice_axis(counts, 0, 1, bins + 1), edges);
      },
      x);
}
Tensor isin(const Tensor& x1, const Tensor& x2, bool assume_unique, bool invert) {
  return frame(
      "IsIn",
      [&] {
        return ArgDict{kw("assume_unique", assume_unique), kw("invert", invert)};
      },
      [invert](const Tensor& x, const Tensor& y) {
        auto [a, b] = promoted(x, y);
        Shape s = a.shape();
        s.push_back(1);
        Tensor r = p::reduce(p::reduce_or_prim, p::ew(Ew::equal, p::reshape(a, s), flatten(b)), Ints{a.rank()});
        return invert ? p::ew(Ew::logical_not, r) : r;
      },
      x1, x2);
}

// ---- distinct elements, on the host: the size of the result depends on the numbers
namespace {
struct Groups {
  std::vector<int64_t> first, inverse, counts;  // first occurrence of each distinct row, the group of each row, rows per group
};
Groups group_rows(const std::vector<double>& v, int64_t rows, int64_t width) {
  std::vector<int64_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), int64_t{0});
  auto row = [&](int64_t r) { return v.begin() + r * width; };
  auto less = [&](double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::lexicographical_compare(row(a), row(a) + width, row(b), row(b) + width, less);
  });
  Groups g;
  g.inverse.resize(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    int64_t r = order[static_cast<size_t>(i)];
    if (i == 0 || !std::equal(row(r), row(r) + width, row(order[static_cast<size_t>(i - 1)]))) g.first.push_back(r), g.counts.push_back(0);
    ++g.counts.back();
    g.inverse[static_cast<size_t>(r)] = static_cast<int64_t>(g.first.size()) - 1;
  }
  return g;
}
/// The distinct elements of a vector in a trace, cut or filled to `size`: values, first occurrences, the group of each element, counts.
Tensors distinct(const Tensor& v, int64_t size, const Tensor& fill) {
  int64_t n = v.shape()[0];
  Tensor order = argsort(v), ranked = p::gather(v, order, 0), start = Tensor::full({1}, 1, DType::Int32);
  Tensor opens = as(p::ew(Ew::not_equal, p::slice_axis(ranked, 0, 1, n), p::slice_axis(ranked, 0, 0, n - 1)), DType::Int32);
  Tensor group = p::add(p::cumulative(p::cumsum_prim, p::concat(Tensors{start, opens}, 0), 0), -1.0);
  Tensor inverse = p::scatter_add(order, group, 0, n), counts = p::scatter_add(inverse, p::broadcast_to(num(group, 1), group.shape()), 0, n);
  Tensor k = iota(DType::Int32, Shape{size}, 0), there = p::ew(Ew::less_equal, k, p::slice_axis(group, 0, n - 1, n));
  // What is too many repeats the first one.
  Tensor at = p::select(there, p::ew(Ew::minimum, places(group, k, false), num(k, static_cast<double>(n - 1))), num(k, 0));
  Tensor index = p::gather(order, at, 0), values = p::gather(v, index, 0);
  if (fill.defined()) values = p::select(there, values, as(fill, v.dtype()));
  Tensor numbers = p::select(there, p::gather(counts, p::ew(Ew::minimum, k, num(k, static_cast<double>(n - 1))), 0), num(k, 0));
  return {values, index, inverse, numbers};
}
}  // namespace
Unique unique(const Tensor& x, bool sorted, bool return_index, bool return_inverse, bool return_counts, std::optional<int> axis,
              std::optional<int64_t> size, const Tensor& fill_value) {
  Tensors all = frame(
      "Unique",
      [&] {
        return ArgDict{kw("sorted", sorted),
                       kw("return_index", return_index),
                       kw("return_inverse", return_inverse),
                       kw("return_counts", return_counts),
                       kw("axis", axis),
                       kw("size", size)};
      },
      [=](const Tensor& a, const Tensor& fill) -> Tensors {
        int along = axis ? axis_of(*axis, a, "unique") : 0;
        Tensor lines = axis ? move_axis(a, along, 0) : flatten(a);
        Shape s = lines.shape();
        if (!a.is_concrete()) {
          if (!abstract_trace() && size && lines.rank() == 1 && s[0] > 0) {
            Tensors r = distinct(lines, *size, fill);
            if (!axis) r[2] = p::reshape(r[2], a.shape());
            return r;
          }
          if (!abstract_trace())
            throw ValueError(ErrorText{.what = "the size of the result depends on the numbers",
                                       .where = "unique",
                                       .expected = "a concrete tensor, or `size` and a vector",
                                       .received = a.str()}
                                 .str());
          int64_t n = size.value_or(None);
          s[0] = n;
          return {axis ? move_axis(shape_only(a.dtype(), s), 0, along) : shape_only(a.dtype(), s), shape_only(DType::Int32, Shape{n}),
                  shape_only(DType::Int32, axis ? Shape{a.shape()[along]} : a.shape()), shape_only(DType::Int32, Shape{n})};
        }
        int64_t rows = s[0], width = rows ? lines.numel() / rows : 0;
        Groups g = group_rows(lines.to_vector<double>(), rows, width);
        int64_t found = static_cast<int64_t>(g.first.size()), n = size.value_or(found);
        Ints index = g.first, counts = g.counts;
        index.resize(static_cast<size_t>(n), g.first.empty() ? 0 : g.first[0]);
        counts.resize(static_cast<size_t>(n), 0);
        Tensor values = rows ? p::gather(lines, int_tensor(index), 0) : lines;
        if (n > found && fill.defined()) {
          Shape tail = values.shape();
          tail[0] = n - found;
          values = p::concat(Tensors{p::slice_axis(values, 0, 0, found), p::broadcast_to(as(fill, a.dtype()), tail)}, 0);
        }
        return {axis ? move_axis(values, 0, along) : values, int_tensor(index), int_tensor(g.inverse, axis ? Shape{rows} : a.shape()),
                int_tensor(counts)};
      },
      x, fill_value);
  return {all[0], return_index ? all[1] : Tensor(), return_inverse ? all[2] : Tensor(), return_counts ? all[3] : Tensor()};
}

}  // namespace keras::ops
