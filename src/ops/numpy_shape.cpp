// What lives here: keras.ops' NumPy functions that change shapes, join and cut. Picking by index is in numpy_index.cpp.
#include <algorithm>
#include <cctype>
#include <map>

#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

Tensor reshape(const Tensor& x, const Shape& newshape) {
  return frame(
      "Reshape", [&] { return ArgDict{kw("newshape", newshape)}; },
      [newshape](const Tensor& a) {
        for (int64_t d : newshape)
          if (d < -1)
            shape_error("reshape", "a size is negative", "sizes of 0 or more, and -1 for one that follows from the others", newshape.str());
        return p::reshape(a, newshape);
      },
      x);
}
Tensor ravel(const Tensor& x) {
  return unary("Ravel", x, [](const Tensor& a) { return flatten(a); });
}

Tensor transpose(const Tensor& x, const Axes& axes) {
  return frame(
      "Transpose", [&] { return ArgDict{kw("axes", axes)}; },
      [axes](const Tensor& a) {
        Ints perm;
        if (axes.all())
          for (int i = a.rank(); i-- > 0;) perm.push_back(i);
        for (int i : axes.list()) perm.push_back(axis_of(i, a, "transpose"));
        Ints sorted = perm;
        std::sort(sorted.begin(), sorted.end());
        if (sorted != p::iota_axes(a.rank()))
          shape_error("transpose", "the axes are no permutation", "each axis of " + a.shape().str() + " once", Shape(perm).str());
        return p::transpose(a, perm);
      },
      x);
}
static Tensor swap(const Tensor& a, int i, int j) {
  Ints perm = p::iota_axes(a.rank());
  std::swap(perm[static_cast<size_t>(i)], perm[static_cast<size_t>(j)]);
  return p::transpose(a, perm);
}
Tensor swapaxes(const Tensor& x, int axis1, int axis2) {
  return frame(
      "Swapaxes",
      [&] {
        return ArgDict{kw("axis1", axis1), kw("axis2", axis2)};
      },
      [=](const Tensor& a) { return swap(a, axis_of(axis1, a, "swapaxes"), axis_of(axis2, a, "swapaxes")); }, x);
}
Tensor moveaxis(const Tensor& x, const Axes& source, const Axes& destination) {
  return frame(
      "Moveaxis",
      [&] {
        return ArgDict{kw("source", source), kw("destination", destination)};
      },
      [=](const Tensor& a) {
        if (source.list().size() != destination.list().size())
          shape_error("moveaxis", "`source` and `destination` differ in length", "as many destinations as sources",
                      std::to_string(source.list().size()) + " and " + std::to_string(destination.list().size()));
        (void)source.resolve(a.rank(), "moveaxis"), (void)destination.resolve(a.rank(), "moveaxis");
        Ints perm(static_cast<size_t>(a.rank()), -1);
        std::vector<bool> used(perm.size(), false);
        for (size_t i = 0; i < source.list().size(); ++i) {
          int from = axis_of(source.list()[i], a, "moveaxis"), to = axis_of(destination.list()[i], a, "moveaxis");
          perm[static_cast<size_t>(to)] = from;
          used[static_cast<size_t>(from)] = true;
        }
        size_t next = 0;
        for (int64_t& axis : perm) {
          if (axis >= 0) continue;
          while (used[next]) ++next;
          axis = static_cast<int64_t>(next++);
        }
        return p::transpose(a, perm);
      },
      x);
}
Tensor expand_dims(const Tensor& x, const Axes& axis) {
  return frame(
      "ExpandDims", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        Shape s;
        int rank = a.rank() + static_cast<int>(axis.list().size()), from = 0;
        Ints added = axis.all() ? Ints{} : axis.resolve(rank, "expand_dims");
        for (int i = 0; i < rank; ++i) s.push_back(std::find(added.begin(), added.end(), i) != added.end() ? 1 : a.shape()[from++]);
        return p::reshape(a, s);
      },
      x);
}
Tensor squeeze(const Tensor& x, const Axes& axis) {
  return frame(
      "Squeeze", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        Ints gone;
        if (axis.all()) {
          for (int i = 0; i < a.rank(); ++i)
            if (a.shape()[i] == 1) gone.push_back(i);
        } else {
          gone = axis.resolve(a.rank(), "squeeze");
          for (int64_t i : gone)
            if (a.shape()[static_cast<int>(i)] != 1)
              shape_error("squeeze", "only axes of size 1 can be dropped", "size 1 on axis " + std::to_string(i), a.shape().str());
        }
        return drop_axes(a, gone);
      },
      x);
}
Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  if (x.is_concrete() && !shape.is_static() && !abstract_trace())
    shape_error("broadcast_to", "the shape is not known", "sizes of 0 or more", shape.str());
  return frame(
      "BroadcastTo", [&] { return ArgDict{kw("shape", shape)}; }, [shape](const Tensor& a) { return p::broadcast_to(a, shape); }, x);
}

// ---- joining
static Tensors promoted_all(const Tensors& xs, const char* where) {
  if (xs.empty()) shape_error(where, "no tensors to join", "at least one", "an empty list");
  DType t = promote(xs);
  Tensors out;
  for (const Tensor& x : xs) out.push_back(as(x, t));
  return out;
}
static Tensor join(const Tensors& xs, int axis, const char* where) {
  Tensors ts = promoted_all(xs, where);
  int along = axis_of(axis, ts[0], where);
  for (const Tensor& t : ts)
    if (t.rank() != ts[0].rank())
      shape_error(where, "the tensors differ in rank", "rank " + std::to_string(ts[0].rank()) + " as the first", t.shape().str());
  return p::concat(ts, along);
}
static Tensor with_axis(const Tensor& x, int at) {
  Shape s = x.shape();
  s.insert(at, 1);
  return p::reshape(x, s);
}
static Tensor at_least(const Tensor& x, int rank) {  // NumPy's atleast_2d and atleast_3d
  Shape s = x.shape();
  if (rank == 2)
    while (s.rank() < 2) s.insert(0, 1);
  if (rank == 3) {
    if (s.rank() < 2)
      while (s.rank() < 2) s.insert(0, 1);
    if (s.rank() == 2) s.push_back(1);
  }
  if (rank == 1 && s.rank() == 0) s.push_back(1);
  return p::reshape(x, s);
}
Tensor concatenate(const Tensors& xs, std::optional<int> axis) {
  if (!axis && any_symbolic(xs))
    throw ValueError(ErrorText{.what = "symbolic tensors are joined along an axis", .where = "concatenate", .expected = "`axis`"}.str());
  return frame(
      "Concatenate", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensors& ts) {
        if (axis) return join(ts, *axis, "concatenate");
        Tensors flat;
        for (const Tensor& t : ts) flat.push_back(flatten(t));
        return join(flat, 0, "concatenate");
      },
      xs);
}
Tensor append(const Tensor& x1, const Tensor& x2, std::optional<int> axis) {
  return frame(
      "Append", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a, const Tensor& b) {
        return axis ? join({a, b}, *axis, "append") : join({flatten(a), flatten(b)}, 0, "append");
      },
      x1, x2);
}
Tensor stack(const Tensors& xs, int axis) {
  return frame(
      "Stack", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensors& ts) {
        Tensors parts = promoted_all(ts, "stack");
        int at = normalize_axis(axis, parts[0].rank() + 1, "stack");
        Shape first = parts[0].shape();
        for (Tensor& t : parts) {
          if (!compatible(t.shape(), first))
            shape_error("stack", "the tensors differ in shape", first.str() + " as the first", t.shape().str());
          t = with_axis(t, at);
        }
        return p::concat(parts, at);
      },
      xs);
}
Tensor hstack(const Tensors& xs) {
  return frame(
      "Hstack", no_options,
      [](const Tensors& ts) {
        Tensors parts;
        for (const Tensor& t : ts) parts.push_back(at_least(t, 1));
        return join(parts, !parts.empty() && parts[0].rank() == 1 ? 0 : 1, "hstack");
      },
      xs);
}
Tensor vstack(const Tensors& xs) {
  return frame(
      "Vstack", no_options,
      [](const Tensors& ts) {
        Tensors parts;
        for (const Tensor& t : ts) parts.push_back(at_least(t, 2));
        return join(parts, 0, "vstack");
      },
      xs);
}
Tensor dstack(const Tensors& xs) {
  return frame(
      "Dstack", no_options,
      [](const Tensors& ts) {
        Tensors parts;
        for (const Tensor& t : ts) parts.push_back(at_least(t, 3));
        return join(parts, 2, "dstack");
      },
      xs);
}
Tensor column_stack(const Tensors& xs) {
  return frame(
      "ColumnStack", no_options,
      [](const Tensors& ts) {
        Tensors parts;
        for (const Tensor& t : ts) parts.push_back(t.rank() == 0 ? at_least(t, 2) : t.rank() == 1 ? with_axis(t, 1) : t);
        return join(parts, 1, "column_stack");
      },
      xs);
}

// ---- cutting
static Tensors cut(const Tensor& x, const Sizes& at, int axis, bool even, const char* where) {
  int along = axis_of(axis, x, where);
  int64_t n = x.shape()[along];
  Ints bounds{0};
  if (at.single()) {
    int64_t k = at[0];
    if (k < 1) shape_error(where, "a tensor is cut into at least one part", "a positive number of parts", std::to_string(k));
    if (even && n >= 0 && n % k != 0)
      shape_error(where, "the parts would not be equal",
                  "a size of axis " + std::to_string(along) + " that " + std::to_string(k) + " divides", x.shape().str());
    if (n < 0) {
      Tensors parts(static_cast<size_t>(k), x);
      return parts;
    }
    int64_t small = n / k, more = n % k;
    for (int64_t i = 0; i < k; ++i) bounds.push_back(bounds.back() + small + (i < more ? 1 : 0));
  } else {
    for (int64_t i : at.list()) {
      if (even && (i < bounds.back() || (n >= 0 && i > n)))
        shape_error(where, "a part would have a negative size",
                    "rising positions inside axis " + std::to_string(along) + " of " + x.shape().str(), Shape(at.list()).str());
      if (i < 0 && n >= 0) i = std::max<int64_t>(0, i + n);
      bounds.push_back(n >= 0 ? std::min(i, n) : i);
    }
    bounds.push_back(n >= 0 ? n : p::kToEnd);
  }
  Tensors parts;
  for (size_t i = 0; i + 1 < bounds.size(); ++i) parts.push_back(p::slice_axis(x, along, bounds[i], std::max(bounds[i], bounds[i + 1])));
  return parts;
}
Tensors split(const Tensor& x, const Sizes& at, int axis) {
  return frame(
      "Split",
      [&] {
        return ArgDict{kw("indices_or_sections", at), kw("axis", axis)};
      },
      [=](const Tensor& a) { return cut(a, at, axis, true, "split"); }, x);
}
Tensors array_split(const Tensor& x, const Sizes& at, int axis) {
  return frame(
      "ArraySplit",
      [&] {
        return ArgDict{kw("indices_or_sections", at), kw("axis", axis)};
      },
      [=](const Tensor& a) { return cut(a, at, axis, false, "array_split"); }, x);
}
static Tensors cut_axis(const char* cls, const Tensor& x, const Sizes& at, int axis, int min_rank, const char* where) {
  return frame(
      cls, [&] { return ArgDict{kw("indices_or_sections", at)}; },
      [=](const Tensor& a) {
        if (a.rank() < min_rank)
          shape_error(where, "the rank is too small", "rank " + std::to_string(min_rank) + " or more", a.shape().str());
        return cut(a, at, axis == 1 && a.rank() == 1 ? 0 : axis, true, where);
      },
      x);
}
Tensors hsplit(const Tensor& x, const Sizes& at) { return cut_axis("Hsplit", x, at, 1, 1, "hsplit"); }
Tensors vsplit(const Tensor& x, const Sizes& at) { return cut_axis("Vsplit", x, at, 0, 1, "vsplit"); }
Tensors dsplit(const Tensor& x, const Sizes& at) { return cut_axis("Dsplit", x, at, 2, 3, "dsplit"); }

// ---- repeating, turning
static Tensor repeat_axis(const Tensor& a, int along, int64_t n) {
  Shape wide = a.shape(), merged = a.shape();
  merged[along] = times(merged[along], n);
  wide.insert(along + 1, n);
  return p::reshape(p::broadcast_to(with_axis(a, along + 1), wide), merged);
}
Tensor repeat(const Tensor& x, const Sizes& repeats, std::optional<int> axis) {
  return frame(
      "Repeat",
      [&] {
        return ArgDict{kw("repeats", repeats), kw("axis", axis)};
      },
      [=](const Tensor& a0) {
        Tensor a = axis ? a0 : flatten(a0);
        int along = axis ? axis_of(*axis, a, "repeat") : 0;
        if (repeats.single() || repeats.size() == 1) return repeat_axis(a, along, repeats[0]);
        if (int64_t n = a.shape()[along]; n >= 0 && n != static_cast<int64_t>(repeats.size()))
          shape_error("repeat", "`repeats` has the wrong length", std::to_string(n) + " numbers, one per element of the axis",
                      std::to_string(repeats.size()));
        if (a.shape()[along] < 0) return a;  // only the shape matters: the size stays unknown
        Ints order;
        for (size_t i = 0; i < repeats.size(); ++i) order.insert(order.end(), static_cast<size_t>(repeats[i]), static_cast<int64_t>(i));
        return p::gather(a, int_tensor(order), along);
      },
      x);
}
Tensor tile(const Tensor& x, const Sizes& repeats) {
  return frame(
      "Tile", [&] { return ArgDict{kw("repeats", repeats)}; },
      [repeats](const Tensor& a) {
        Shape s = a.shape();
        Ints r = repeats.list();
        while (s.size() < r.size()) s.insert(0, 1);
        while (r.size() < s.size()) r.insert(r.begin(), 1);
        Shape narrow, wide, merged;
        for (int i = 0; i < s.rank(); ++i) {
          int64_t n = r[static_cast<size_t>(i)];
          if (n != 1) narrow.push_back(1), wide.push_back(n);
          narrow.push_back(s[i]), wide.push_back(s[i]);
          merged.push_back(times(s[i], n));
        }
        return p::reshape(p::broadcast_to(p::reshape(a, narrow), wide), merged);
      },
      x);
}
Tensor flip(const Tensor& x, const Axes& axis) {
  return frame(
      "Flip", [&] { return ArgDict{kw("axis", axis)}; },
      [axis](const Tensor& a) {
        Ints axes = axis.resolve(a.rank(), "flip");
        return axes.empty() ? a : p::reverse(a, axes);
      },
      x);
}
static Tensor flip_axis(const Tensor& a, int axis, const char* where) {
  if (a.rank() <= axis) shape_error(where, "the rank is too small", "rank " + std::to_string(axis + 1) + " or more", a.shape().str());
  return p::reverse(a, Ints{axis});
}
Tensor fliplr(const Tensor& x) {
  return unary("Fliplr", x, [](const Tensor& a) { return flip_axis(a, 1, "fliplr"); });
}
Tensor flipud(const Tensor& x) {
  return unary("Flipud", x, [](const Tensor& a) { return flip_axis(a, 0, "flipud"); });
}

static Tensor roll_axis(const Tensor& a, int64_t shift, int along) {
  int64_t n = a.shape()[along];
  if (n <= 0) return a;
  int64_t s = ((shift % n) + n) % n;
  if (s == 0) return a;
  return p::concat(Tensors{p::slice_axis(a, along, n - s, n), p::slice_axis(a, along, 0, n - s)}, along);
}
Tensor roll(const Tensor& x, const Sizes& shift, const Axes& axis) {
  return frame(
      "Roll",
      [&] {
        return ArgDict{kw("shift", shift), kw("axis", axis)};
      },
      [=](const Tensor& a) {
        if (axis.all()) {
          Tensor flat = flatten(a);
          for (int64_t s : shift.list()) flat = roll_axis(flat, s, 0);
          return p::reshape(flat, a.shape());
        }
        size_t n = std::max(axis.list().size(), shift.size());
        Ints shifts = shift.size() == 1 ? Ints(n, shift[0]) : shift.list();
        std::vector<int> axes = axis.list().size() == 1 ? std::vector<int>(n, axis.list()[0]) : axis.list();
        if (shifts.size() != axes.size())
          shape_error("roll", "`shift` and `axis` differ in length", "as many shifts as axes",
                      std::to_string(shifts.size()) + " and " + std::to_string(axes.size()));
        Tensor t = a;
        for (size_t i = 0; i < n; ++i) t = roll_axis(t, shifts[i], axis_of(axes[i], a, "roll"));
        return t;
      },
      x);
}
Tensor rot90(const Tensor& array, int k, std::pair<int, int> axes) {
  return frame(
      "Rot90",
      [&] {
        return ArgDict{kw("k", k), kw("axes", std::vector<int>{axes.first, axes.second})};
      },
      [=](const Tensor& a) {
        if (a.rank() < 2) shape_error("rot90", "the rank is too small", "rank 2 or more", a.shape().str());
        int i = axis_of(axes.first, a, "rot90"), j = axis_of(axes.second, a, "rot90");
        if (i == j)
          shape_error("rot90", "the two axes are the same", "different axes",
                      std::to_string(axes.first) + " and " + std::to_string(axes.second));
        switch (((k % 4) + 4) % 4) {
          case 1: return swap(p::reverse(a, Ints{j}), i, j);
          case 2: return p::reverse(a, Ints{std::min(i, j), std::max(i, j)});
          case 3: return p::reverse(swap(a, i, j), Ints{j});
          default: return a;
        }
      },
      array);
}
Tensors meshgrid(const Tensors& xs, std::string_view indexing) {
  if (indexing != "xy" && indexing != "ij") unknown_option("meshgrid", "indexing", indexing, {"xy", "ij"});
  bool xy = indexing == "xy" && xs.size() >= 2;
  return frame(
      "Meshgrid", [&] { return ArgDict{kw("indexing", indexing)}; },
      [xy](const Tensors& ts) {
        Shape full;
        for (const Tensor& t : ts) full.push_back(t.numel());
        if (xy) std::swap(full[0], full[1]);
        Tensors out;
        for (size_t i = 0; i < ts.size(); ++i) {
          size_t at = xy && i < 2 ? 1 - i : i;
          Shape line(std::vector<int64_t>(ts.size(), 1));
          line[static_cast<int>(at)] = ts[i].numel();
          out.push_back(p::broadcast_to(p::reshape(ts[i], line), full));
        }
        return out;
      },
      xs);
}

// ---- blocks and patterns
Tensor space_to_depth(const Tensor& x, int64_t block_size, std::string_view data_format) {
  bool last = is_channels_last(data_format, "space_to_depth");
  return frame(
      "SpaceToDepth",
      [&] {
        return ArgDict{kw("block_size", block_size), kw("data_format", data_format)};
      },
      [=](const Tensor& a) {
        if (a.rank() != 4) shape_error("space_to_depth", "images of another rank", "rank 4", a.shape().str());
        int h = last ? 1 : 2;
        int64_t b = block_size, H = a.shape()[h], W = a.shape()[h + 1], C = a.shape()[last ? 3 : 1], N = a.shape()[0];
        if (b < 2 || (H >= 0 && H % b) || (W >= 0 && W % b))
          shape_error("space_to_depth", "the image can't be cut into blocks",
                      "height and width that block_size=" + std::to_string(b) + " divides", a.shape().str());
        int64_t oh = H < 0 ? None : H / b, ow = W < 0 ? None : W / b;
        if (last) return p::reshape(p::transpose(p::reshape(a, {N, oh, b, ow, b, C}), {0, 1, 3, 2, 4, 5}), {N, oh, ow, times(C, b * b)});
        // Keras on JAX: channels first, then the places in the block (TensorFlow has them the other way round).
        return p::reshape(p::transpose(p::reshape(a, {N, C, oh, b, ow, b}), {0, 1, 3, 5, 2, 4}), {N, times(C, b * b), oh, ow});
      },
      x);
}
Tensor depth_to_space(const Tensor& x, int64_t block_size, std::string_view data_format) {
  bool last = is_channels_last(data_format, "depth_to_space");
  return frame(
      "DepthToSpace",
      [&] {
        return ArgDict{kw("block_size", block_size), kw("data_format", data_format)};
      },
      [=](const Tensor& a) {
        if (a.rank() != 4) shape_error("depth_to_space", "images of another rank", "rank 4", a.shape().str());
        int h = last ? 1 : 2;
        int64_t b = block_size, H = a.shape()[h], W = a.shape()[h + 1], C = a.shape()[last ? 3 : 1], N = a.shape()[0];
        if (b < 2 || (C >= 0 && C % (b * b)))
          shape_error("depth_to_space", "the channels can't be laid out in blocks",
                      "channels that block_size²=" + std::to_string(b * b) + " divides", a.shape().str());
        int64_t c = C < 0 ? None : C / (b * b);
        if (last) return p::reshape(p::transpose(p::reshape(a, {N, H, W, b, b, c}), {0, 1, 3, 2, 4, 5}), {N, times(H, b), times(W, b), c});
        return p::reshape(p::transpose(p::reshape(a, {N, c, b, b, H, W}), {0, 1, 4, 2, 5, 3}), {N, c, times(H, b), times(W, b)});
      },
      x);
}

/// "b (h k) c" as groups of names.
static std::vector<std::vector<std::string>> pattern_side(std::string_view text, std::string_view pattern) {
  std::vector<std::vector<std::string>> groups;
  bool open = false;
  std::string word;
  auto flush = [&] {
    if (word.empty()) return;
    if (open) groups.back().push_back(word);
    else groups.push_back({word});
    word.clear();
  };
  for (char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
      word += c;
      continue;
    }
    flush();
    if ((c == '(' && open) || (c == ')' && !open) || (c != '(' && c != ')' && !std::isspace(static_cast<unsigned char>(c))))
      shape_error("rearrange", "the pattern can't be read", "names, spaces and one level of parentheses on both sides of ->",
                  "'" + std::string(pattern) + "'");
    if (c == '(') open = true, groups.emplace_back();
    if (c == ')') open = false;
  }
  flush();
  if (open) shape_error("rearrange", "the pattern can't be read", "a closing parenthesis", "'" + std::string(pattern) + "'");
  return groups;
}
Tensor rearrange(const Tensor& tensor, std::string_view pattern, const std::vector<std::pair<std::string, int64_t>>& axes_lengths) {
  size_t arrow = pattern.find("->");
  if (arrow == std::string_view::npos)
    shape_error("rearrange", "the pattern has no ->", "'inputs -> outputs'", "'" + std::string(pattern) + "'");
  auto from = pattern_side(pattern.substr(0, arrow), pattern), to = pattern_side(pattern.substr(arrow + 2), pattern);
  return frame(
      "Rearrange",
      [&] {
        ArgDict d{kw("pattern", pattern)};
        for (const auto& [k, v] : axes_lengths) d.push_back(kw(k.c_str(), v));
        return d;
      },
      [from, to, axes_lengths](const Tensor& a) {
        if (static_cast<int>(from.size()) != a.rank())
          shape_error("rearrange", "the pattern does not fit the rank", std::to_string(from.size()) + " axes", a.shape().str());
        std::map<std::string, int64_t> size(axes_lengths.begin(), axes_lengths.end());
        std::map<std::string, int64_t> position;
        Shape split_shape;
        for (int i = 0; i < a.rank(); ++i) {
          const auto& group = from[static_cast<size_t>(i)];
          int64_t d = a.shape()[i], known = 1;
          const std::string* open = nullptr;
          for (const std::string& name : group) {
            auto it = size.find(name);
            if (it != size.end()) known = times(known, it->second);
            else if (open)
              shape_error("rearrange", "two sizes of one group are unknown", "the size of '" + *open + "' or '" + name + "'",
                          a.shape().str());
            else open = &name;
          }
          if (open) size[*open] = d < 0 || known < 0 ? None : known ? d / known : 0;
          if (d >= 0 && known > 0 && (open ? d % known != 0 : d != known))
            shape_error("rearrange", "the sizes of a group do not fit", "a product of " + std::to_string(d), std::to_string(known));
          for (const std::string& name : group) {
            position[name] = split_shape.rank();
            split_shape.push_back(size[name]);
          }
        }
        Ints perm;
        Shape merged;
        for (const auto& group : to) {
          int64_t d = 1;
          for (const std::string& name : group) {
            auto it = position.find(name);
            if (it == position.end())
              shape_error("rearrange", "an output axis is not among the inputs", "names of the left side", "'" + name + "'");
            perm.push_back(it->second);
            d = times(d, size[name]);
          }
          merged.push_back(d);
        }
        if (perm.size() != split_shape.size())
          shape_error("rearrange", "the two sides differ in their axes", "each input axis once",
                      std::to_string(perm.size()) + " output axes");
        return p::reshape(p::transpose(p::reshape(a, split_shape), perm), merged);
      },
      tensor);
}

}  // namespace keras::ops
