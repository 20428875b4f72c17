// What lives here: keras.ops' math family but the Fourier transforms: segments, selection, special functions.
#include <algorithm>
#include <cmath>
#include <limits>

#include <keras/ops/linalg.h>
#include <keras/ops/math.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

static constexpr double kInf = std::numeric_limits<double>::infinity();

#define FLOAT_OP(fn, Cls, op)                                                         \
  Tensor fn(const Tensor& x) {                                                        \
    return unary(Cls, x, [](const Tensor& a) { return p::ew(Ew::op, as_float(a)); }); \
  }
FLOAT_OP(erf, "Erf", erf)
FLOAT_OP(erfc, "Erfc", erfc)
FLOAT_OP(erfinv, "Erfinv", erfinv)
FLOAT_OP(rsqrt, "Rsqrt", rsqrt)
#undef FLOAT_OP

Tensor logdet(const Tensor& x) {
  return unary("Logdet", x, [](const Tensor& a) { return slogdet(a).second; });
}

// ---- segments
namespace {
int64_t segments(const Tensor& ids, std::optional<int64_t> given, const char* where) {
  if (given) return *given;
  if (abstract_trace()) return None;
  if (!ids.is_concrete())
    throw ValueError(
        ErrorText{.what = "the number of segments depends on the numbers", .where = where, .expected = "`num_segments`", .received = "None"}
            .str());
  int64_t n = 0;
  for (int64_t v : ids.to_vector<int64_t>()) n = std::max(n, v + 1);
  return n;
}
void check_ids(const Tensor& data, const Tensor& ids, const char* where) {
  if (ids.rank() != 1) shape_error(where, "segment ids must be a vector", "rank 1", ids.shape().str());
  if (data.rank() < 1 || !compatible(Shape{data.shape()[0]}, ids.shape()))
    shape_error(where, "data and ids differ in length", ids.shape().str() + " on the first axis of data", data.shape().str());
}
/// Ids outside [0, n) become n, a row that is cut off afterwards.
Tensor safe_ids(const Tensor& given, int64_t n, const char* where) {
  Tensor ids = indices_of(given, where);
  Tensor bad = p::ew(Ew::logical_or, p::ew(Ew::less, ids, num(ids, 0)), p::ew(Ew::greater_equal, ids, num(ids, static_cast<double>(n))));
  return p::select(bad, num(ids, static_cast<double>(n)), ids);
}
Tensor unknown_segments(const Tensor& data) {
  Shape s = data.shape();
  s[0] = None;
  return shape_only(data.dtype(), s);
}
Tensor summed(const Tensor& data, const Tensor& ids, int64_t n) { return p::slice_axis(p::scatter_add(ids, data, 0, n + 1), 0, 0, n); }
Tensor scattered(const Tensor& data, const Tensor& ids, int64_t n, double start, int64_t reduce) {
  Shape s = data.shape();
  s[0] = n + 1;
  Tensor base = p::broadcast_to(num(data, start), s);
  return p::slice_axis(p::emit1<Tensor>(p::scatter_nd_prim, {base, p::reshape(ids, Shape{ids.shape()[0], 1}), data}, {{"reduce", reduce}}),
                       0, 0, n);
}
auto segment_options(std::optional<int64_t> num_segments, bool sorted) {
  return [=] { return ArgDict{kw("num_segments", num_segments), kw("sorted", sorted)}; };
}
double lowest(DType d) {
  if (is_floating(d)) return -kInf;
  if (is_unsigned(d) || d == DType::Bool) return 0;
  return -std::ldexp(1.0, static_cast<int>(dtype_size(d)) * 8 - 1);
}
double highest(DType d) {
  if (is_floating(d)) return kInf;
  if (d == DType::Bool) return 1;
  int bits = static_cast<int>(dtype_size(d)) * 8 - (is_unsigned(d) ? 0 : 1);
  return bits >= 63 ? std::nextafter(std::ldexp(1.0, bits), 0.0) : std::ldexp(1.0, bits) - 1;
}
Tensor segment_extremum(const char* cls, const char* where, bool max, const Tensor& data, const Tensor& segment_ids,
                        std::optional<int64_t> num_segments, bool sorted) {
  return frame(
      cls, segment_options(num_segments, sorted),
      [=](const Tensor& d, const Tensor& i0) {
        check_ids(d, i0, where);
        int64_t n = segments(i0, num_segments, where);
        if (n < 0) return unknown_segments(d);
        Tensor i = safe_ids(i0, n, where);
        Tensor best = p::stop_gradient(scattered(p::stop_gradient(d), i, n, max ? lowest(d.dtype()) : highest(d.dtype()), max ? 3 : 4));
        if (!is_floating(d.dtype())) return best;
        // A sum over the elements that reach the extremum, minus itself: worth nothing, but it carries the gradient, shared among ties.
        Tensor hit = p::ew(Ew::equal, d, p::gather(p::concat(Tensors{best, p::slice_axis(best, 0, 0, 1)}, 0), i, 0));
        Tensor part = p::select(hit, p::sub(d, p::stop_gradient(d)), num(d, 0));
        Tensor count = p::ew(Ew::maximum, summed(as(hit, d.dtype()), i, n), num(d, 1));
        return p::add(best, p::div(summed(part, i, n), count));
      },
      data, segment_ids);
}
}  // namespace
Tensor segment_sum(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments, bool sorted) {
  return frame(
      "SegmentSum", segment_options(num_segments, sorted),
      [=](const Tensor& d, const Tensor& i) {
        check_ids(d, i, "segment_sum");
        int64_t n = segments(i, num_segments, "segment_sum");
        return n < 0 ? unknown_segments(d) : summed(d, safe_ids(i, n, "segment_sum"), n);
      },
      data, segment_ids);
}
Tensor segment_max(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments, bool sorted) {
  return segment_extremum("SegmentMax", "segment_max", true, data, segment_ids, num_segments, sorted);
}
Tensor segment_min(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments, bool sorted) {
  return segment_extremum("SegmentMin", "segment_min", false, data, segment_ids, num_segments, sorted);
}
Tensor segment_prod(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments, bool sorted) {
  return frame(
      "SegmentProd", segment_options(num_segments, sorted),
      [=](const Tensor& d, const Tensor& i) {
        check_ids(d, i, "segment_prod");
        int64_t n = segments(i, num_segments, "segment_prod");
        return n < 0 ? unknown_segments(d) : scattered(d, safe_ids(i, n, "segment_prod"), n, 1, 2);
      },
      data, segment_ids);
}

// ---- selection
std::pair<Tensor, Tensor> top_k(const Tensor& x, int64_t k, bool sorted) {
  return frame(
      "TopK",
      [&] {
        return ArgDict{kw("k", k), kw("sorted", sorted)};
      },
      [k](const Tensor& a) {
        Tensors r = emit_op(p::top_k_prim, {a}, {{"k", k}});
        return std::pair<Tensor, Tensor>(r[0], r[1]);
      },
      x);
}
Tensor in_top_k(const Tensor& targets, const Tensor& predictions, int64_t k) {
  return frame(
      "InTopK", [&] { return ArgDict{kw("k", k)}; },
      [k](const Tensor& t0, const Tensor& y) {
        Tensor t = is_integer(t0.dtype()) ? t0 : as(t0, DType::Int32);
        if (y.rank() != t.rank() + 1)
          shape_error("in_top_k", "targets and predictions do not fit",
                      "predictions with one axis more than the targets " + t.shape().str(), y.shape().str());
        Shape column = t.shape();
        column.push_back(1);
        // A number that is no class is among none; negative ones count from the end.
        Tensor at = as(p::reshape(t, column), DType::Int32);
        double classes = static_cast<double>(y.shape()[-1]);
        Tensor absent = p::ew(Ew::logical_or, p::ew(Ew::less, at, num(at, -classes)), p::ew(Ew::greater_equal, at, num(at, classes)));
        Tensor own = p::take_along_axis(y, p::select(absent, num(at, 0), at), y.rank() - 1);
        if (is_floating(y.dtype())) own = p::select(p::ew(Ew::isnan, own), num(own, -kInf), own);
        Tensor larger = p::reduce_sum(as(p::ew(Ew::greater, y, own), DType::Int32), Ints{y.rank() - 1});
        Tensor in = p::ew(Ew::less, larger, num(larger, static_cast<double>(k)));
        return p::ew(Ew::logical_and, in, p::ew(Ew::logical_not, p::reshape(absent, t.shape())));
      },
      targets, predictions);
}
Tensor logsumexp(const Tensor& x, const Axes& axis, bool keepdims) {
  return frame(
      "Logsumexp",
      [&] {
        return ArgDict{kw("axis", axis), kw("keepdims", keepdims)};
      },
      [=](const Tensor& a) {
        Tensor f = as_float(a);
        Ints axes = axis.resolve(f.rank(), "logsumexp");
        Tensor top = p::reduce(p::reduce_max_prim, f, axes, true);
        top = p::stop_gradient(p::select(p::ew(Ew::isfinite, top), top, num(f, 0)));
        Tensor r = p::add(p::ew(Ew::log, p::reduce_sum(p::ew(Ew::exp, p::sub(f, top)), axes, true)), top);
        return keepdims ? r : drop_axes(r, axes);
      },
      x);
}
Tensor extract_sequences(const Tensor& x, int64_t sequence_length, int64_t sequence_stride) {
  return frame(
      "ExtractSequences",
      [&] {
        return ArgDict{kw("sequence_length", sequence_length), kw("sequence_stride", sequence_stride)};
      },
      [=](const Tensor& a) {
        if (a.rank() < 1) shape_error("extract_sequences", "scalars have no time axis", "rank 1 or more", a.shape().str());
        if (sequence_length < 1 || sequence_stride < 1)
          throw ValueError(ErrorText{.what = "lengths and strides must be positive",
                                     .where = "extract_sequences",
                                     .received = std::to_string(std::min(sequence_length, sequence_stride))}
                               .str());
        int64_t n = a.shape()[-1];
        int64_t frames = n < 0 ? None : n < sequence_length ? 0 : (n - sequence_length) / sequence_stride + 1;
        if (frames < 0) {
          Shape s = a.shape();
          s[-1] = None;
          s.push_back(sequence_length);
          return shape_only(a.dtype(), s);
        }
        if (sequence_stride == sequence_length && frames * sequence_length == n) {
          Shape s = a.shape().slice(0, a.rank() - 1);
          s.push_back(frames), s.push_back(sequence_length);
          return p::reshape(a, s);
        }
        Shape places{frames, sequence_length};
        Tensor at = p::add(p::mul(iota(DType::Int32, places, 0), static_cast<double>(sequence_stride)), iota(DType::Int32, places, 1));
        return p::gather(a, at, a.rank() - 1);
      },
      x);
}

}  // namespace keras::ops
