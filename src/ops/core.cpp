// What lives here: keras.ops' core family: conversions, slices and scatters, control flow.
#include <algorithm>
#include <cmath>
#include <limits>

#include <keras/ops/core.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"
#include "passes/passes.h"

namespace keras::ops {

Tensor cast(const Tensor& x, DType dtype) {
  return frame(
      "Cast", [&] { return ArgDict{kw("dtype", dtype)}; },
      [dtype](const Tensor& a) {
        if (a.weak() && a.is_concrete()) return Tensor::full({}, a.item(), dtype);
        if (dtype == DType::Bool) return as_bool(a);
        return p::cast(a, dtype);
      },
      x);
}
static std::pair<double, double> range_of(DType d) {
  switch (d) {
    case DType::Bool: return {0, 1};
    case DType::Int8: return {-128, 127};
    case DType::Int16: return {-32768, 32767};
    case DType::Int32: return {-2147483648.0, 2147483647.0};
    case DType::Int64: return {-9223372036854775808.0, 9223372036854774784.0};
    case DType::UInt8: return {0, 255};
    case DType::UInt16: return {0, 65535};
    case DType::UInt32: return {0, 4294967295.0};
    case DType::UInt64: return {0, 18446744073709549568.0};
    case DType::Float16: return {-65504, 65504};
    case DType::BFloat16: return {-3.3895313892515355e38, 3.3895313892515355e38};
    case DType::Float32:
      return {-static_cast<double>(std::numeric_limits<float>::max()), static_cast<double>(std::numeric_limits<float>::max())};
    case DType::Float64: break;
  }
  return {-std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
}
Tensor saturate_cast(const Tensor& x, DType dtype) {
  return frame(
      "SaturateCast", [&] { return ArgDict{kw("dtype", dtype)}; },
      [dtype](const Tensor& a0) {
        Tensor a = a0.dtype() == DType::Bool ? as(a0, DType::Int32) : a0;
        auto [low, high] = range_of(dtype);
        auto [from_low, from_high] = range_of(a.dtype());
        // The bounds as the input's dtype can hold them, inside the range of both.
        low = std::max(low, from_low), high = std::min(high, from_high);
        if (a.dtype() == DType::Float32) {
          float l = static_cast<float>(low), h = static_cast<float>(high);
          if (static_cast<double>(l) < low) l = std::nextafter(l, std::numeric_limits<float>::infinity());
          if (static_cast<double>(h) > high) h = std::nextafter(h, -std::numeric_limits<float>::infinity());
          low = static_cast<double>(l), high = static_cast<double>(h);
        }
        Tensor inside = p::ew(Ew::minimum, p::ew(Ew::maximum, a, num(a, low)), num(a, high));
        if (is_floating(a.dtype()) && is_integer(dtype)) {  // the nearest float inside may be short of the end
          Tensor whole = p::cast(inside, dtype);
          return p::select(p::ew(Ew::greater, a, num(a, high)), num(whole, range_of(dtype).second), whole);
        }
        return dtype == DType::Bool ? as_bool(inside) : p::cast(inside, dtype);
      },
      x);
}
Tensor convert_to_tensor(const Tensor& x, OptDType dtype) { return dtype ? cast(x, *dtype) : x; }
Shape shape(const Tensor& x) { return x.shape(); }
DType dtype(const Tensor& x) { return x.dtype(); }
Tensor stop_gradient(const Tensor& variable) {
  return unary("StopGradient", variable, [](const Tensor& a) { return p::stop_gradient(a); });
}

// ---- slices at computed places
static Tensor starts_of(const Tensor& start_indices, const Shape& sizes, const char* where) {
  int rank = sizes.rank();
  if (start_indices.rank() != 1 || (start_indices.shape()[0] >= 0 && start_indices.shape()[0] != rank))
    shape_error(where, "one start per axis is needed", "a vector of " + std::to_string(rank) + " integers", start_indices.shape().str());
  Tensor starts = as(start_indices, DType::Int32);
  if (!sizes.is_static() || rank == 0) return starts;
  return p::select(p::ew(Ew::less, starts, num(starts, 0)), p::add(starts, int_tensor(sizes.dims())),
                   starts);  // negative ones count from the end
}
Tensor slice(const Tensor& inputs, const Tensor& start_indices, const Shape& shape) {
  return frame(
      "Slice", [&] { return ArgDict{kw("shape", shape)}; },
      [shape](const Tensor& x, const Tensor& s) {
        Tensor starts = starts_of(s, x.shape(), "slice");
        if (shape.rank() != x.rank())
          shape_error("slice", "`shape` has another rank than the inputs", "rank " + std::to_string(x.rank()), shape.str());
        Shape sizes = shape;
        for (int i = 0; i < x.rank(); ++i) {
          int64_t n = x.shape()[i];
          if (sizes[i] < 0) {  // up to the end, which needs a known start
            if (n < 0 || !s.is_concrete()) continue;
            sizes[i] = n - s.to_vector<int64_t>()[static_cast<size_t>(i)];
          }
          if (n >= 0 && sizes[i] > n && !abstract_trace())
            shape_error("slice", "the slice is larger than the inputs", "at most " + x.shape().str(), shape.str());
        }
        if (!sizes.is_static()) return shape_only(x.dtype(), sizes);
        return p::emit1<Tensor>(p::dynamic_slice_prim, {x, starts}, {{"sizes", sizes.dims()}});
      },
      inputs, start_indices);
}
Tensor slice_update(const Tensor& inputs, const Tensor& start_indices, const Tensor& updates) {
  return frame(
      "SliceUpdate", no_options,
      [](const Tensor& x, const Tensor& s, const Tensor& u) {
        Tensor starts = starts_of(s, x.shape(), "slice_update");
        if (u.rank() != x.rank())
          shape_error("slice_update", "the updates have another rank than the inputs", "rank " + std::to_string(x.rank()), u.shape().str());
        return p::emit1<Tensor>(p::dynamic_update_slice_prim, {x, as(u, x.dtype()), starts});
      },
      inputs, start_indices, updates);
}

static Tensor scattered(const Tensor& x, const Tensor& given, const Tensor& updates, int64_t reduce, const char* where) {
  Tensor indices = indices_of(given, where);
  if (indices.rank() < 1) shape_error(where, "indices are vectors along the last axis", "rank 1 or more", indices.shape().str());
  int64_t k = indices.shape().back();
  if (k < 0) return shape_only(x.dtype(), x.shape());
  if (k > x.rank())
    shape_error(where, "an index vector is longer than the rank", "at most " + std::to_string(x.rank()) + " numbers on the last axis",
                indices.shape().str());
  Shape want = indices.shape().slice(0, indices.rank() - 1) + x.shape().slice(static_cast<int>(k));
  Tensor u = as(updates, x.dtype());
  bool fits = compatible(u.shape(), want);
  // Keras asks of symbolic updates nothing.
  if (!fits && abstract_trace()) return shape_only(x.dtype(), x.shape());
  if (!fits) u = p::broadcast_to(u, want);
  auto put = [&](const Tensor& onto, const Tensor& what, int64_t how) {
    return p::emit1<Tensor>(p::scatter_nd_prim, {onto, indices, what}, {{"reduce", how}});
  };
  if (reduce < 3 || !is_floating(x.dtype())) return put(x, u, reduce);
  // An extremum has no gradient rule of its own: what reaches it, minus itself, is worth nothing and carries the gradient,
  // shared among ties.
  Tensor best = p::stop_gradient(put(p::stop_gradient(x), p::stop_gradient(u), reduce));
  auto reached = [&](const Tensor& t, const Tensor& top) { return p::ew(Ew::equal, t, top); };
  auto nothing = [&](const Tensor& t, const Tensor& hit) { return p::select(hit, p::sub(t, p::stop_gradient(t)), num(t, 0)); };
  Tensor hit_x = reached(x, best), hit_u = reached(u, p::emit1<Tensor>(p::gather_nd_prim, {best, indices}));
  Tensor count = put(as(hit_x, x.dtype()), as(hit_u, x.dtype()), 1);
  return p::add(best, p::div(put(nothing(x, hit_x), nothing(u, hit_u), 1), p::ew(Ew::maximum, count, num(x, 1))));
}
Tensor scatter(const Tensor& indices, const Tensor& values, const Shape& shape) {
  return frame(
      "Scatter", [&] { return ArgDict{kw("shape", shape)}; },
      [shape](const Tensor& i, const Tensor& v) { return scattered(p::broadcast_to(num(v, 0), shape), i, v, 1, "scatter"); }, indices,
      values);
}
Tensor scatter_update(const Tensor& inputs, const Tensor& indices, const Tensor& updates, std::string_view reduction) {
  static const std::vector<std::string> known = {"", "add", "mul", "max", "min"};
  auto it = std::find(known.begin(), known.end(), reduction);
  if (it == known.end()) unknown_option("scatter_update", "reduction", reduction, {"add", "max", "min", "mul"});
  int64_t reduce = it - known.begin();
  return frame(
      "ScatterUpdate",
      [&] {
        return ArgDict{{"reduction", reduction.empty() ? Arg(Value()) : Arg(Value(reduction))}};
      },
      [reduce](const Tensor& x, const Tensor& i, const Tensor& u) { return scattered(x, i, u, reduce, "scatter_update"); }, inputs, indices,
      updates);
}
Tensors unstack(const Tensor& x, std::optional<int64_t> num, int axis) {
  return frame(
      "Unstack",
      [&] {
        return ArgDict{kw("num", num), kw("axis", axis)};
      },
      [=](const Tensor& a) {
        int along = axis_of(axis, a, "unstack");
        int64_t n = num.value_or(a.shape()[along]);
        if (n < 0)
          shape_error("unstack", "the number of slices is not known", "`num`, or a known size of axis " + std::to_string(along),
                      a.shape().str());
        Tensors out;
        for (int64_t i = 0; i < n; ++i) {
          Tensor part =
              a.shape()[along] < 0 ? shape_only(a.dtype(), kept_shape(a.shape(), Ints{along})) : p::slice_axis(a, along, i, i + 1);
          out.push_back(drop_axes(part, Ints{along}));
        }
        return out;
      },
      x);
}

// ---- branches
static Tensors choose(const Tensor& pred, const Tensors& yes, const Tensors& no, const char* where) {
  if (yes.size() != no.size())
    shape_error(where, "the branches return different numbers of tensors", std::to_string(yes.size()), std::to_string(no.size()));
  Tensors out;
  for (size_t i = 0; i < yes.size(); ++i) out.push_back(ops::where(pred, yes[i], no[i]));
  return out;
}
Tensors cond(const Tensor& pred, const std::function<Tensors()>& true_fn, const std::function<Tensors()>& false_fn) {
  if (pred.is_concrete()) {
    if (pred.numel() != 1) shape_error("cond", "the condition must be one bool", "a scalar", pred.shape().str());
    return pred.item() != 0 ? true_fn() : false_fn();
  }
  return choose(pred, true_fn(), false_fn(), "cond");
}
Tensor cond(const Tensor& pred, const std::function<Tensor()>& true_fn, const std::function<Tensor()>& false_fn) {
  return cond(pred, std::function<Tensors()>([&] { return Tensors{true_fn()}; }),
              std::function<Tensors()>([&] { return Tensors{false_fn()}; }))[0];
}
Tensors switch_(const Tensor& index, const std::vector<std::function<Tensors(const Tensors&)>>& branches, const Tensors& operands) {
  if (branches.empty()) shape_error("switch", "there are no branches", "at least one", "an empty list");
  int64_t last = static_cast<int64_t>(branches.size()) - 1;
  if (index.is_concrete()) return branches[static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(index.item()), 0, last))](operands);
  Tensors r = branches.back()(operands);
  for (int64_t i = last - 1; i >= 0; --i)
    r = choose(less_equal(index, Tensor(static_cast<int>(i))), branches[static_cast<size_t>(i)](operands), r, "switch");
  return r;
}

// ---- loops
/// The state in the dtypes and shapes that it came with: a step that would change them is an error of the user's.
static Tensors same_types(const Tensors& now, const Tensors& before, const char* where) {
  if (now.size() != before.size())
    shape_error(where, "the body returns another number of values than it got", std::to_string(before.size()), std::to_string(now.size()));
  Tensors out;
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i].rank() != before[i].rank() || !compatible(now[i].shape(), before[i].shape()))
      shape_error(where, "value " + std::to_string(i) + " changes its shape in the loop", before[i].shape().str(), now[i].shape().str());
    out.push_back(as(now[i], before[i].dtype()));
  }
  return out;
}
/// Numbers that carry no type of their own get one.
static Tensors firm(const Tensors& ts) {
  Tensors out;
  for (const Tensor& t : ts) out.push_back(t.weak() && t.is_concrete() ? Tensor::full({}, t.item(), t.dtype()) : t);
  return out;
}
static bool any_traced(const Tensors& ts) {
  return core::current_trace() != nullptr || std::any_of(ts.begin(), ts.end(), [](const Tensor& t) { return !t.is_concrete(); });
}
static Tensor no_index(int64_t n) { return iota(DType::Int32, Shape{n}, 0); }

std::pair<Tensors, Tensors> scan(const ScanStep& f, const Tensors& init, const Tensors& xs, std::optional<int64_t> length, bool reverse) {
  if (xs.empty() && !length) shape_error("scan", "the length of the loop is not known", "xs or `length`", "neither");
  size_t states = init.size();
  Tensors all = frame(
      "Scan",
      [&] {
        return ArgDict{kw("length", length), kw("reverse", reverse)};
      },
      [=](const Tensors& start, const Tensors& given) {
        bool counted = given.empty();
        for (const Tensor& x : given)
          if (x.rank() < 1) shape_error("scan", "xs need a leading axis", "rank 1 or more", x.shape().str());
        core::ScanResult r = core::scan(
            [&](const Tensors& s, const Tensors& x) {
              auto [next, ys] = f(s, counted ? Tensors{} : x);
              return std::pair<Tensors, Tensors>(same_types(next, s, "scan"), ys);
            },
            firm(start), counted ? Tensors{no_index(*length)} : given, reverse);
        r.states.insert(r.states.end(), r.ys.begin(), r.ys.end());
        return r.states;
      },
      init, xs);
  auto cut = all.begin() + static_cast<std::ptrdiff_t>(states);
  return {Tensors(all.begin(), cut), Tensors(cut, all.end())};
}

Tensors fori_loop(int64_t lower, int64_t upper, const std::function<Tensors(const Tensor&, const Tensors&)>& body_fun,
                  const Tensors& init_val) {
  return frame(
      "ForiLoop",
      [&] {
        return ArgDict{kw("lower", lower), kw("upper", upper)};
      },
      [=](const Tensors& init) -> Tensors {
        Tensors v = firm(init);
        int64_t n = std::max<int64_t>(0, upper - lower);
        if (n == 0) return v;
        if (!any_traced(v)) {
          for (int64_t i = lower; i < upper; ++i)
            v = same_types(body_fun(Tensor::full({}, static_cast<double>(i), DType::Int32), v), v, "fori_loop");
          return v;
        }
        Tensor index = p::add(no_index(n), static_cast<double>(lower));
        return core::scan([&](const Tensors& s,
                              const Tensors& x) { return std::pair<Tensors, Tensors>(same_types(body_fun(x[0], s), s, "fori_loop"), {}); },
                          v, {index})
            .states;
      },
      init_val);
}
Tensors while_loop(const std::function<Tensor(const Tensors&)>& cond, const std::function<Tensors(const Tensors&)>& body,
                   const Tensors& loop_vars, std::optional<int64_t> maximum_iterations) {
  return frame(
      "WhileLoop", [&] { return ArgDict{kw("maximum_iterations", maximum_iterations)}; },
      [=](const Tensors& init) -> Tensors {
        Tensors v = firm(init);
        if (!any_traced(v)) {
          for (int64_t i = 0; (!maximum_iterations || i < *maximum_iterations) && cond(v).item() != 0; ++i)
            v = same_types(body(v), v, "while_loop");
          return v;
        }
        if (!maximum_iterations && abstract_trace()) return same_types(body(v), v, "while_loop");
        if (!maximum_iterations)
          throw ValueError(ErrorText{.what = "a while loop inside a compiled step needs a bound",
                                     .where = "while_loop",
                                     .expected = "`maximum_iterations`",
                                     .fix = "pass the largest number of rounds that can happen"}
                               .str());
        return core::scan(
                   [&](const Tensors& s, const Tensors&) {
                     Tensor go = cond(s);
                     Tensors next = same_types(body(s), s, "while_loop"), kept;
                     for (size_t i = 0; i < s.size(); ++i) kept.push_back(p::select(as_bool(go), next[i], s[i]));
                     return std::pair<Tensors, Tensors>(kept, {});
                   },
                   v, {no_index(*maximum_iterations)})
            .states;
      },
      loop_vars);
}

Tensors map(const std::function<Tensors(const Tensors&)>& f, const Tensors& xs) {
  if (xs.empty()) shape_error("map", "there is nothing to map over", "at least one tensor", "an empty list");
  return frame(
      "Map", no_options,
      [f](const Tensors& ts) {
        return core::scan([&](const Tensors&, const Tensors& x) { return std::pair<Tensors, Tensors>({}, f(x)); }, {}, ts).ys;
      },
      xs);
}
Tensor map(const std::function<Tensor(const Tensor&)>& f, const Tensor& xs) {
  return map(std::function<Tensors(const Tensors&)>([f](const Tensors& x) { return Tensors{f(x[0])}; }), Tensors{xs})[0];
}
Tensors vectorized_map(const std::function<Tensors(const Tensors&)>& function, const Tensors& elements) { return map(function, elements); }
Tensor vectorized_map(const std::function<Tensor(const Tensor&)>& function, const Tensor& elements) { return map(function, elements); }

// ---- prefix combinations: pairs first, then their prefixes, then what lies between (Blelloch's recursion)
static Tensors prefixes(const std::function<Tensors(const Tensors&, const Tensors&)>& f, const Tensors& e, int axis) {
  int64_t n = e[0].shape()[axis];
  if (n < 2) return e;
  auto every = [&](const Tensors& ts, int64_t from, int64_t to, int64_t step) {
    Tensors out;
    for (const Tensor& t : ts) out.push_back(p::slice_axis(t, axis, from, to, step));
    return out;
  };
  Tensors pairs = f(every(e, 0, n - 1, 2), every(e, 1, n, 2));
  Tensors odd = prefixes(f, pairs, axis);
  int64_t m = odd[0].shape()[axis];
  Tensors even = n > 2 ? f(every(odd, 0, n % 2 ? m : m - 1, 1), every(e, 2, n, 2)) : Tensors{};
  Tensors out;
  for (size_t i = 0; i < e.size(); ++i) {  // first, odd and even places interleaved
    Tensor first = p::slice_axis(e[i], axis, 0, 1);
    Tensor evens = n > 2 ? p::concat(Tensors{first, even[i]}, axis) : first;
    auto spread = [&](const Tensor& t, int64_t shift) {
      size_t r = t.shape().size(), a = static_cast<size_t>(axis);
      Ints lo(r, 0), hi(r, 0), between(r, 0);
      lo[a] = shift, between[a] = 1;
      hi[a] = n - shift - (2 * t.shape()[axis] - 1);
      return p::pad(t, num(t, 0), lo, hi, between);
    };
    Tensor a = spread(evens, 0), b = spread(odd[i], 1);
    out.push_back(a.dtype() == DType::Bool ? p::ew(Ew::logical_or, a, b) : p::add(a, b));
  }
  return out;
}
Tensors associative_scan(const std::function<Tensors(const Tensors&, const Tensors&)>& f, const Tensors& elems, bool reverse, int axis) {
  if (elems.empty()) shape_error("associative_scan", "there is nothing to combine", "at least one tensor", "an empty list");
  return frame(
      "AssociativeScan",
      [&] {
        return ArgDict{kw("reverse", reverse), kw("axis", axis)};
      },
      [=](const Tensors& given) {
        int along = axis_of(axis, given[0], "associative_scan");
        Tensors e;
        for (const Tensor& t : given) {
          if (t.rank() <= along || (t.shape()[along] != given[0].shape()[along]))
            shape_error("associative_scan", "the tensors differ in length", given[0].shape().str() + " on axis " + std::to_string(along),
                        t.shape().str());
          e.push_back(reverse ? p::reverse(t, Ints{along}) : t);
        }
        if (e[0].shape()[along] < 0) return e;
        Tensors r = prefixes(f, e, along);
        if (reverse)
          for (Tensor& t : r) t = p::reverse(t, Ints{along});
        return r;
      },
      elems);
}

// ---- numpy.vectorize
namespace {
/// The names of the core axes: of each argument, of each result.
struct CoreAxes {
  std::vector<std::vector<std::string>> in, out;
};
CoreAxes parse_signature(const std::string& text) {
  auto refuse = [&] [[noreturn]] {
    throw ValueError(ErrorText{.what = "not a valid signature", .where = "vectorize", .expected = "one as '(m,n),(n)->(m)'", .received = "'" + text + "'"}
                         .str());
  };
  CoreAxes axes;
  auto* side = &axes.in;
  size_t i = 0;
  auto skip = [&] {
    while (i < text.size() && text[i] == ' ') ++i;
  };
  for (skip(); i < text.size(); skip()) {
    if (text.compare(i, 2, "->") == 0 && side == &axes.in) {
      side = &axes.out, i += 2;
    } else if (text[i] == ',' && !side->empty()) {
      ++i;
    } else if (text[i] == '(') {
      size_t end = text.find(')', i);
      if (end == std::string::npos) refuse();
      std::vector<std::string> names{""};
      for (char c : text.substr(i + 1, end - i - 1)) {
        if (c == ',') names.emplace_back();
        else if (c != ' ') names.back() += c;
      }
      if (names.size() == 1 && names[0].empty()) names.clear();
      if (std::find(names.begin(), names.end(), "") != names.end()) refuse();
      side->push_back(names), i = end + 1;
    } else {
      refuse();
    }
  }
  if (axes.in.empty() || axes.out.empty()) refuse();
  return axes;
}
}  // namespace

std::function<Tensors(const Tensors&)> vectorize(std::function<Tensors(const Tensors&)> function, const VectorizeOptions& options) {
  std::optional<CoreAxes> core_axes;
  if (!options.signature.empty()) core_axes = parse_signature(options.signature);
  return [function = std::move(function), core_axes, excluded = options.excluded](const Tensors& args) {
    std::vector<size_t> varying;
    for (size_t i = 0; i < args.size(); ++i)
      if (std::find(excluded.begin(), excluded.end(), static_cast<int>(i)) == excluded.end()) varying.push_back(i);
    if (core_axes && core_axes->in.size() != varying.size())
      throw TypeError(ErrorText{.what = "another number of arguments than the signature has",
                                .where = "vectorize",
                                .expected = std::to_string(core_axes->in.size()),
                                .received = std::to_string(varying.size())}
                          .str());
    // Leading axes broadcast; named ones must agree.
    Shape loop;
    std::vector<int> core_rank;
    std::vector<std::pair<std::string, int64_t>> sizes;
    for (size_t k = 0; k < varying.size(); ++k) {
      const Shape& s = args[varying[k]].shape();
      int rank = core_axes ? static_cast<int>(core_axes->in[k].size()) : 0;
      if (s.rank() < rank) shape_error("vectorize", "an argument has too few axes", std::to_string(rank) + " or more", s.str());
      for (int a = 0; a < rank; ++a) {
        const std::string& name = core_axes->in[k][static_cast<size_t>(a)];
        int64_t size = s[s.rank() - rank + a];
        auto known = std::find_if(sizes.begin(), sizes.end(), [&](const auto& n) { return n.first == name; });
        if (known == sizes.end()) sizes.push_back({name, size});
        else if (known->second != size) shape_error("vectorize", "the sizes of axis '" + name + "' differ", std::to_string(known->second), s.str());
      }
      core_rank.push_back(rank);
      loop = broadcast_shapes(loop, s.slice(0, s.rank() - rank));
    }
    if (loop.rank() == 0) return function(args);
    if (!loop.is_static()) shape_error("vectorize", "the sizes of the leading axes must be known", "a static shape", loop.str());
    Tensors flat;
    for (size_t k = 0; k < varying.size(); ++k) {
      const Tensor& t = args[varying[k]];
      Shape core = t.shape().slice(t.rank() - core_rank[k]);
      flat.push_back(reshape(broadcast_to(t, loop + core), Shape{loop.numel()} + core));
    }
    Tensors results = vectorized_map(
        [&](const Tensors& one) {
          Tensors full = args;
          for (size_t k = 0; k < varying.size(); ++k) full[varying[k]] = one[k];
          return function(full);
        },
        flat);
    if (core_axes && results.size() != core_axes->out.size())
      throw ValueError(ErrorText{.what = "another number of results than the signature has",
                                 .where = "vectorize",
                                 .expected = std::to_string(core_axes->out.size()),
                                 .received = std::to_string(results.size())}
                           .str());
    for (Tensor& r : results) r = reshape(r, loop + r.shape().slice(1));
    return results;
  };
}

// ---- gradients of one's own
std::function<Tensors(const Tensors&)> custom_gradient(std::function<WithGradient(const Tensors&)> function) {
  return [function = std::move(function)](const Tensors& args) {
    return frame(
        "CustomGradient", no_options,
        [function](const Tensors& x) -> Tensors {
          WithGradient made = function(x);
          // The gradient becomes a graph of its own: of what it uses from outside and of the results' gradients.
          core::Trace trace;
          {
            core::TraceScope scope(trace, /*inner=*/true);
            trace.abstract = trace.parent && trace.parent->abstract;
            trace.capture_concrete = !trace.parent || trace.parent->capture_concrete;
            Tensors upstream;
            for (const Tensor& y : made.outputs) upstream.push_back(trace.param({y.dtype(), y.shape()}));
            Tensors back = made.gradient(upstream);
            if (back.size() != x.size())
              throw ValueError(ErrorText{.what = "the gradient function gives another number of gradients than there are arguments",
                                         .where = "custom_gradient",
                                         .expected = std::to_string(x.size()),
                                         .received = std::to_string(back.size())}
                                   .str());
            for (size_t i = 0; i < x.size(); ++i) {
              Tensor g = back[i].defined() ? back[i] : p::broadcast_to(num(x[i], 0), x[i].shape());
              if (!compatible(g.shape(), x[i].shape()))
                shape_error("custom_gradient", "a gradient differs from its argument in shape", x[i].shape().str(), g.shape().str());
              trace.graph.outputs.push_back(trace.lift(as(g, x[i].dtype())));
            }
          }
          for (const core::Trace::State& s : trace.states) trace.captures.emplace_back(s.variable->value, s.param);
          Tensors inputs = made.outputs;
          inputs.insert(inputs.end(), x.begin(), x.end());
          auto gradient = std::make_shared<ir::Graph>();
          std::vector<ir::ValueId> params(trace.graph.params().size(), -1);
          auto place = [&](ir::ValueId id) {
            auto at = std::find(trace.graph.params().begin(), trace.graph.params().end(), id);
            params[static_cast<size_t>(at - trace.graph.params().begin())] = gradient->add_param(trace.graph.type(id));
          };
          for (const auto& [outer, id] : trace.captures) {
            inputs.push_back(outer);
            place(id);
          }
          for (size_t i = 0; i < made.outputs.size(); ++i) place(trace.graph.params()[i]);
          gradient->outputs = passes::inline_graph(*gradient, trace.graph, params);
          return emit_op(p::custom_gradient_prim, inputs,
                         {{"results", static_cast<int64_t>(made.outputs.size())},
                          {"arguments", static_cast<int64_t>(x.size())},
                          {"gradient", std::shared_ptr<const ir::Graph>(gradient)}});
        },
        args);
  };
}

}  // namespace keras::ops
