// What lives here: one engine for strided copies and the data movements that are described with it. Every movement is a copy
// between two strided views; what makes it fast is decided once, when the plan is made: which axes merge, which runs are
// contiguous, and which pair of axes is walked in blocks.
#include "cpu/movement.h"

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"
#include "cpu/thread_pool.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

namespace keras::cpu {
namespace {

using engine::KernelPtr;
using Dims = std::vector<int64_t>;

// Buffers are aligned, the places inside them that slices point to are not always aligned to the merged item.
template <size_t S> struct Item;
template <> struct Item<1> { typedef uint8_t type __attribute__((may_alias)); };
template <> struct Item<2> { typedef uint16_t type __attribute__((aligned(1), may_alias)); };
template <> struct Item<4> { typedef uint32_t type __attribute__((aligned(1), may_alias)); };
template <> struct Item<8> { typedef uint64_t type __attribute__((aligned(1), may_alias)); };
template <> struct Item<16> { typedef uint64_t type __attribute__((vector_size(16), aligned(1), may_alias)); };

enum class Mode { Run, Fill, Transpose, Strided };

// The two innermost axes of a copy; strides in bytes.
struct Tile {
  int64_t n0 = 1, n1 = 1;    // sizes
  int64_t is0 = 0, is1 = 0;  // strides of the source
  int64_t os0 = 0, os1 = 0;  // strides of the destination
};

// ---- register transposes of 16 / S rows of 16 bytes ----
template <size_t S> struct Lanes;
template <> struct Lanes<1> { typedef uint8_t type __attribute__((vector_size(16))); };
template <> struct Lanes<2> { typedef uint16_t type __attribute__((vector_size(16))); };
template <> struct Lanes<4> { typedef uint32_t type __attribute__((vector_size(16))); };
template <> struct Lanes<8> { typedef uint64_t type __attribute__((vector_size(16))); };

template <class V, size_t... I> inline V interleave_low(const V& a, const V& b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, (I / 2 + (I % 2) * sizeof...(I))...);
}
template <class V, size_t... I> inline V interleave_high(const V& a, const V& b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, (sizeof...(I) / 2 + I / 2 + (I % 2) * sizeof...(I))...);
}

// L rounds of perfect shuffles turn L rows into L columns; `is` and `os` are the distances of rows.
template <size_t S> inline void transpose_block(const char* in, char* out, int64_t is, int64_t os) {
  constexpr size_t L = 16 / S;
  using V = typename Lanes<S>::type;
  V a[L], b[L];
  for (size_t i = 0; i < L; ++i) std::memcpy(&a[i], in + static_cast<int64_t>(i) * is, 16);
  for (size_t step = 1; step < L; step *= 2) {
    for (size_t i = 0; i < L / 2; ++i) {
      b[2 * i] = interleave_low<V>(a[i], a[i + L / 2], std::make_index_sequence<L>());
      b[2 * i + 1] = interleave_high<V>(a[i], a[i + L / 2], std::make_index_sequence<L>());
    }
    for (size_t i = 0; i < L; ++i) a[i] = b[i];
  }
  for (size_t i = 0; i < L; ++i) std::memcpy(out + static_cast<int64_t>(i) * os, &a[i], 16);
}

template <size_t S> void copy_strided(const char* in, char* out, const Tile& t) {
  using U = typename Item<S>::type;
  for (int64_t i = 0; i < t.n0; ++i) {
    const char* a = in + i * t.is0;
    char* b = out + i * t.os0;
    for (int64_t j = 0; j < t.n1; ++j) *reinterpret_cast<U*>(b + j * t.os1) = *reinterpret_cast<const U*>(a + j * t.is1);
  }
}

template <size_t S> void copy_runs(const char* in, char* out, const Tile& t) {
  if (t.n1 * static_cast<int64_t>(S) < 48) {  // shorter than what a call of memcpy costs
    copy_strided<S>(in, out, Tile{t.n0, t.n1, t.is0, static_cast<int64_t>(S), t.os0, static_cast<int64_t>(S)});
    return;
  }
  const size_t bytes = static_cast<size_t>(t.n1) * S;
  for (int64_t i = 0; i < t.n0; ++i) std::memcpy(out + i * t.os0, in + i * t.is0, bytes);
}

template <size_t S> void copy_fill(const char* in, char* out, const Tile& t) {
  using U = typename Item<S>::type;
  for (int64_t i = 0; i < t.n0; ++i) {
    const auto v = *reinterpret_cast<const U*>(in + i * t.is0);
    if (t.os1 == static_cast<int64_t>(S)) {
      U* b = reinterpret_cast<U*>(out + i * t.os0);
      for (int64_t j = 0; j < t.n1; ++j) b[j] = v;
    } else {
      char* b = out + i * t.os0;
      for (int64_t j = 0; j < t.n1; ++j) *reinterpret_cast<U*>(b + j * t.os1) = v;
    }
  }
}

// Source contiguous along axis 0 of the tile, destination along axis 1.
template <size_t S> void copy_transposed(const char* in, char* out, const Tile& t) {
  constexpr auto s = static_cast<int64_t>(S);
  int64_t full0 = 0, full1 = 0;
  if constexpr (S <= 8) {
    constexpr int64_t L = 16 / s;
    full0 = t.n0 / L * L, full1 = t.n1 / L * L;
    if (full0 == 0 || full1 == 0) full0 = full1 = 0;
    for (int64_t i = 0; i < full0; i += L)
      for (int64_t j = 0; j < full1; j += L) transpose_block<S>(in + i * s + j * t.is1, out + i * t.os0 + j * s, t.is1, t.os0);
  }
  if (full1 < t.n1 && full0 > 0) copy_strided<S>(in + full1 * t.is1, out + full1 * s, Tile{full0, t.n1 - full1, s, t.is1, t.os0, s});
  if (full0 < t.n0) {
    const int64_t rest = t.n0 - full0;
    if (rest > t.n1)  // the longer axis inside
      copy_strided<S>(in + full0 * s, out + full0 * t.os0, Tile{t.n1, rest, t.is1, s, s, t.os0});
    else copy_strided<S>(in + full0 * s, out + full0 * t.os0, Tile{rest, t.n1, s, t.is1, t.os0, s});
  }
}

using TileFn = void (*)(const char*, char*, const Tile&);
template <size_t S> TileFn tile_fn(Mode mode) {
  switch (mode) {
    case Mode::Run: return copy_runs<S>;
    case Mode::Fill: return copy_fill<S>;
    case Mode::Transpose: return copy_transposed<S>;
    case Mode::Strided: break;
  }
  return copy_strided<S>;
}
TileFn tile_fn(int64_t item, Mode mode) {
  switch (item) {
    case 1: return tile_fn<1>(mode);
    case 2: return tile_fn<2>(mode);
    case 4: return tile_fn<4>(mode);
    case 8: return tile_fn<8>(mode);
    default: return tile_fn<16>(mode);
  }
}

constexpr int64_t kTaskBytes = 64 << 10;    // what a thread takes at a time
constexpr int64_t kSmallBytes = 256 << 10;  // below, a second thread costs more than it brings

// A copy between two strided views of equal sizes, ready to run.
class CopyPlan {
 public:
  CopyPlan() = default;
  // Sizes, and strides in bytes of both views.
  CopyPlan(int64_t item, const Dims& sizes, const Dims& in_strides, const Dims& out_strides) {
    struct Axis {
      int64_t n, is, os;
    };
    std::vector<Axis> axes;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == 0) return;  // tasks_ stays 0
      if (sizes[i] > 1) axes.push_back({sizes[i], in_strides[i], out_strides[i]});
    }
    std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.os > b.os; });
    for (size_t i = axes.size(); i-- > 1;) {
      Axis &a = axes[i - 1], &b = axes[i];
      if (a.is == b.is * b.n && a.os == b.os * b.n) {
        a = {a.n * b.n, b.is, b.os};
        axes.erase(axes.begin() + static_cast<int64_t>(i));
      }
    }
    // A short contiguous run moves as one wider item; a lone axis stays, it is one memcpy.
    if (axes.size() > 1) {
      const Axis& b = axes.back();
      const int64_t run = b.n * item;
      if (b.is == item && b.os == item && (run == 2 || run == 4 || run == 8 || run == 16)) {
        item = run;
        axes.pop_back();
      }
    }
    if (axes.empty()) axes.push_back({1, item, item});
    Axis inner = axes.back();
    axes.pop_back();
    Mode mode = inner.is == item && inner.os == item ? Mode::Run : inner.is == 0 ? Mode::Fill : Mode::Strided;
    size_t second = axes.size();  // none
    if (mode == Mode::Strided && inner.os == item)
      for (size_t i = 0; i < axes.size(); ++i)
        if (axes[i].is == item) mode = Mode::Transpose, second = i;
    if (second == axes.size() && !axes.empty()) second = axes.size() - 1;
    Axis other{1, 0, 0};
    if (!axes.empty()) {
      other = axes[second];
      axes.erase(axes.begin() + static_cast<int64_t>(second));
    }
    if (axes.size() > kMaxOuter) throw ValueError(ErrorText{.what = "a tensor of more than 34 axes can't be moved"}.str());
    tile_ = {other.n, inner.n, other.is, inner.is, other.os, inner.os};
    if (mode == Mode::Transpose) {
      const int64_t side = item == 1 ? 128 : item == 16 ? 16 : 256 / item, area = side * side;
      t1_ = std::min(tile_.n1, side);
      t0_ = std::min(tile_.n0, std::max(side, area / t1_));
      if (t0_ < side) t1_ = std::min(tile_.n1, area / t0_);
    } else {
      t1_ = std::min(tile_.n1, std::max<int64_t>(1, kTaskBytes / item));
      t0_ = std::min(tile_.n0, std::max<int64_t>(1, kTaskBytes / item / t1_));
    }
    tiles0_ = (tile_.n0 + t0_ - 1) / t0_;
    tiles1_ = (tile_.n1 + t1_ - 1) / t1_;
    outer_ = static_cast<int>(axes.size());
    int64_t count = 1;
    for (int i = 0; i < outer_; ++i) {
      const Axis& a = axes[static_cast<size_t>(i)];
      n_[i] = a.n, is_[i] = a.is, os_[i] = a.os;
      count *= a.n;
    }
    tasks_ = count * tiles0_ * tiles1_;
    const int64_t bytes = count * tile_.n0 * tile_.n1 * item;
    grain_ = bytes < kSmallBytes ? tasks_ : std::max<int64_t>(1, kTaskBytes / (t0_ * t1_ * item));
    fn_ = tile_fn(item, mode);
    mode_ = mode;
    item_ = item;
  }

  void run(const void* from, void* to) const {
    if (tasks_ == 0) return;
    const char* in = static_cast<const char*>(from);
    char* out = static_cast<char*>(to);
    if (tasks_ == 1) return fn_(in, out, tile_);
    parallel_for(tasks_, grain_, [&](int64_t begin, int64_t end) { run_tasks(in, out, begin, end); });
  }

  std::string str() const {
    static constexpr const char* kNames[] = {"runs", "fill", "blocked transpose", "strided"};
    return std::string(kNames[static_cast<int>(mode_)]) + " of " + std::to_string(item_) + "-byte items, " + std::to_string(tile_.n0) +
           " x " + std::to_string(tile_.n1) + " in " + std::to_string(outer_) + " outer axes";
  }

 private:
  static constexpr int kMaxOuter = 32;

  void run_tasks(const char* in, char* out, int64_t begin, int64_t end) const {
    int64_t index[kMaxOuter];
    int64_t j = begin % tiles1_, rest = begin / tiles1_, i = rest % tiles0_;
    rest /= tiles0_;
    for (int d = outer_ - 1; d >= 0; --d) {
      index[d] = rest % n_[d];
      rest /= n_[d];
      in += index[d] * is_[d];
      out += index[d] * os_[d];
    }
    Tile t = tile_;
    for (int64_t task = begin; task < end; ++task) {
      t.n0 = std::min(t0_, tile_.n0 - i * t0_);
      t.n1 = std::min(t1_, tile_.n1 - j * t1_);
      fn_(in + i * t0_ * t.is0 + j * t1_ * t.is1, out + i * t0_ * t.os0 + j * t1_ * t.os1, t);
      if (++j < tiles1_) continue;
      j = 0;
      if (++i < tiles0_) continue;
      i = 0;
      for (int d = outer_ - 1; d >= 0; --d) {
        in += is_[d];
        out += os_[d];
        if (++index[d] < n_[d]) break;
        in -= n_[d] * is_[d];
        out -= n_[d] * os_[d];
        index[d] = 0;
      }
    }
  }

  Tile tile_;
  int64_t t0_ = 1, t1_ = 1, tiles0_ = 1, tiles1_ = 1, tasks_ = 0, grain_ = 1, item_ = 1;
  int outer_ = 0;
  Mode mode_ = Mode::Run;
  TileFn fn_ = nullptr;
  std::array<int64_t, kMaxOuter> n_{}, is_{}, os_{};
};

Dims dense_strides(const Shape& shape, int64_t item) {
  Dims s(shape.size());
  int64_t n = item;
  for (size_t i = shape.size(); i-- > 0;) {
    s[i] = n;
    n *= shape.dims()[i];
  }
  return s;
}

int64_t size_of(DType dtype) { return static_cast<int64_t>(dtype_size(dtype)); }

std::string list(const Dims& v) { return Shape(v).str(); }

[[noreturn]] void fail(const char* where, std::string what, std::string expected = "", std::string received = "") {
  throw ValueError(
      ErrorText{.what = std::move(what), .where = where, .expected = std::move(expected), .received = std::move(received)}.str());
}

void check_static(const char* where, const Shape& s) {
  if (!s.is_static()) fail(where, "kernels are made for known sizes", "a shape without None", s.str());
}

void check_count(const char* where, const char* name, size_t n, const Shape& s) {
  if (n != s.size()) fail(where, std::string(name) + " needs one entry per axis", std::to_string(s.size()) + " entries", std::to_string(n));
}

void check_index(const char* where, DType index) {
  if (index != DType::Int32 && index != DType::Int64)
    throw TypeError(
        ErrorText{.what = "start indices have the wrong dtype", .where = where, .expected = "int32 or int64", .received = dtype_name(index)}
            .str());
}

// Where a window with starts known only at run time begins, in bytes.
struct Window {
  DType index;
  Dims room, strides;  // how far each start may go
  int64_t offset(const void* starts) const {
    int64_t at = 0;
    for (size_t i = 0; i < room.size(); ++i) {
      const int64_t s = index == DType::Int32 ? static_cast<const int32_t*>(starts)[i] : static_cast<const int64_t*>(starts)[i];
      at += std::clamp<int64_t>(s, 0, room[i]) * strides[i];
    }
    return at;
  }
};

Window make_window(const char* where, int64_t item, const Shape& in, const Shape& sizes, DType index) {
  check_static(where, in);
  check_static(where, sizes);
  check_index(where, index);
  check_count(where, "the window", sizes.size(), in);
  Window w{index, Dims(in.size()), dense_strides(in, item)};
  for (size_t i = 0; i < in.size(); ++i) {
    w.room[i] = in.dims()[i] - sizes.dims()[i];
    if (w.room[i] < 0) fail(where, "the window is larger than the tensor", "sizes up to " + in.str(), sizes.str());
  }
  return w;
}

}  // namespace

KernelPtr make_transpose(DType dtype, const Shape& in, const std::vector<int>& perm) {
  check_static("transpose", in);
  check_count("transpose", "perm", perm.size(), in);
  const int64_t item = size_of(dtype);
  Dims strides = dense_strides(in, item), sizes, is;
  std::vector<bool> seen(in.size());
  for (int p : perm) {
    const auto a = static_cast<size_t>(normalize_axis(p, in.rank(), "perm"));
    if (seen[a]) fail("transpose", "axis " + std::to_string(p) + " appears twice in perm", "each axis once");
    seen[a] = true;
    sizes.push_back(in.dims()[a]);
    is.push_back(strides[a]);
  }
  CopyPlan plan(item, sizes, is, dense_strides(Shape(sizes), item));
  return lambda_kernel("transpose: " + plan.str(), 0, [plan](void* const* src, void* const* dst, void*) { plan.run(src[0], dst[0]); });
}

KernelPtr make_broadcast(DType dtype, const Shape& in, const Shape& out) {
  check_static("broadcast", in);
  check_static("broadcast", out);
  const int64_t item = size_of(dtype);
  const Dims strides = dense_strides(in, item);
  Dims is(out.size());
  const size_t lead = out.size() - std::min(out.size(), in.size());
  bool ok = in.size() <= out.size();
  for (size_t i = lead; ok && i < out.size(); ++i) {
    const int64_t n = in.dims()[i - lead];
    ok = n == out.dims()[i] || n == 1;
    is[i] = n == 1 ? 0 : strides[i - lead];
  }
  if (!ok)
    fail("broadcast", "the shape " + in.str() + " can't be broadcast to " + out.str(), "equal sizes or 1, axes counted from the end");
  CopyPlan plan(item, out.dims(), is, dense_strides(out, item));
  return lambda_kernel("broadcast: " + plan.str(), 0, [plan](void* const* src, void* const* dst, void*) { plan.run(src[0], dst[0]); });
}

KernelPtr make_slice(DType dtype, const Shape& in, const Dims& starts, const Dims& limits, const Dims& strides) {
  check_static("slice", in);
  check_count("slice", "starts", starts.size(), in);
  check_count("slice", "limits", limits.size(), in);
  check_count("slice", "strides", strides.size(), in);
  const int64_t item = size_of(dtype);
  Dims is = dense_strides(in, item), sizes(in.size());
  int64_t offset = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (starts[i] < 0 || limits[i] < starts[i] || limits[i] > in.dims()[i] || strides[i] < 1)
      fail("slice", "the slice leaves the tensor " + in.str(), "0 <= start <= limit <= size and stride >= 1 on every axis",
           "starts " + list(starts) + ", limits " + list(limits) + ", strides " + list(strides));
    offset += starts[i] * is[i];
    sizes[i] = (limits[i] - starts[i] + strides[i] - 1) / strides[i];
    is[i] *= strides[i];
  }
  CopyPlan plan(item, sizes, is, dense_strides(Shape(sizes), item));
  return lambda_kernel("slice: " + plan.str(), 0, [plan, offset](void* const* src, void* const* dst, void*) {
    plan.run(static_cast<const char*>(src[0]) + offset, dst[0]);
  });
}

Shape pad_shape(const Shape& in, const Dims& lo, const Dims& hi, const Dims& interior) {
  check_count("pad", "lo", lo.size(), in);
  check_count("pad", "hi", hi.size(), in);
  check_count("pad", "interior", interior.size(), in);
  Dims out(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const int64_t n = in.dims()[i];
    if (interior[i] < 0) fail("pad", "interior padding can't be negative", "interior >= 0", list(interior));
    out[i] = n < 0 ? None : n + lo[i] + hi[i] + std::max<int64_t>(n - 1, 0) * interior[i];
    if (n >= 0 && out[i] < 0)
      fail("pad", "negative padding crops more than there is on axis " + std::to_string(i), "a result of size >= 0",
           in.str() + " with lo=" + list(lo) + ", hi=" + list(hi));
  }
  return Shape(std::move(out));
}

KernelPtr make_pad(DType dtype, const Shape& in, const Dims& lo, const Dims& hi, const Dims& interior) {
  check_static("pad", in);
  const Shape out = pad_shape(in, lo, hi, interior);
  const int64_t item = size_of(dtype);
  Dims is = dense_strides(in, item), os = dense_strides(out, item), sizes(in.size()), copy_os(in.size()), first(in.size());
  int64_t in_offset = 0, out_offset = 0;
  bool spread = false, nothing = false;
  for (size_t i = 0; i < in.size(); ++i) {
    const int64_t step = interior[i] + 1, n = in.dims()[i], size = out.dims()[i];
    const int64_t from = lo[i] < 0 ? (-lo[i] + step - 1) / step : 0;                           // first element that lands inside
    const int64_t to = size - 1 - lo[i] < 0 ? 0 : std::min(n, (size - 1 - lo[i]) / step + 1);  // one past the last
    sizes[i] = std::max<int64_t>(0, to - from);
    nothing |= sizes[i] == 0;
    first[i] = lo[i] + from * step;
    in_offset += from * is[i];
    out_offset += first[i] * os[i];
    copy_os[i] = os[i] * step;
    spread |= interior[i] > 0 && sizes[i] > 1;
  }
  const CopyPlan copy(item, sizes, is, copy_os);
  // The frame in disjoint boxes, so that no element is written twice; with interior padding everything is filled first.
  struct Box {
    CopyPlan plan;
    int64_t offset;
  };
  std::vector<Box> frame;
  const Dims zero(in.size(), 0);
  if (spread || nothing) {
    frame.push_back({CopyPlan(item, out.dims(), zero, os), 0});
  } else {
    Dims box = out.dims();
    int64_t offset = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const int64_t after = first[i] + sizes[i];
      box[i] = first[i];
      if (first[i] > 0) frame.push_back({CopyPlan(item, box, zero, os), offset});
      box[i] = out.dims()[i] - after;
      if (box[i] > 0) frame.push_back({CopyPlan(item, box, zero, os), offset + after * os[i]});
      box[i] = sizes[i];
      offset += first[i] * os[i];
    }
  }
  if (nothing) in_offset = out_offset = 0;
  return lambda_kernel("pad: " + std::to_string(frame.size()) + " boxes of fill, " + copy.str(), 0,
                       [copy, frame, in_offset, out_offset](void* const* src, void* const* dst, void*) {
                         char* to = static_cast<char*>(dst[0]);
                         for (const Box& b : frame) b.plan.run(src[1], to + b.offset);
                         copy.run(static_cast<const char*>(src[0]) + in_offset, to + out_offset);
                       });
}

KernelPtr make_concat(DType dtype, const std::vector<Shape>& ins, int axis) {
  if (ins.empty()) fail("concatenate", "there is nothing to concatenate", "at least one tensor");
  const auto a = static_cast<size_t>(normalize_axis(axis, ins[0].rank()));
  Shape out = ins[0];
  for (const Shape& s : ins) {
    check_static("concatenate", s);
    bool same = s.size() == out.size();
    for (size_t i = 0; same && i < s.size(); ++i) same = i == a || s.dims()[i] == out.dims()[i];
    if (!same) fail("concatenate", "the shapes differ outside axis " + std::to_string(axis), "shapes like " + ins[0].str(), s.str());
  }
  int64_t total = 0;
  for (const Shape& s : ins) total += s.dims()[a];
  out[static_cast<int>(a)] = total;
  const int64_t item = size_of(dtype);
  const Dims os = dense_strides(out, item);
  struct Part {
    CopyPlan plan;
    int64_t offset;
  };
  std::vector<Part> parts;
  int64_t at = 0;
  for (const Shape& s : ins) {
    parts.push_back({CopyPlan(item, s.dims(), dense_strides(s, item), os), at * os[a]});
    at += s.dims()[a];
  }
  return lambda_kernel("concatenate: " + std::to_string(parts.size()) + " parts, " + parts[0].plan.str(), 0,
                       [parts](void* const* src, void* const* dst, void*) {
                         for (size_t i = 0; i < parts.size(); ++i) parts[i].plan.run(src[i], static_cast<char*>(dst[0]) + parts[i].offset);
                       });
}

KernelPtr make_reverse(DType dtype, const Shape& shape, const std::vector<int>& axes) {
  check_static("reverse", shape);
  const int64_t item = size_of(dtype);
  const Dims os = dense_strides(shape, item);
  Dims is = os;
  int64_t offset = 0;
  for (int axis : axes) {
    const auto a = static_cast<size_t>(normalize_axis(axis, shape.rank()));
    if (is[a] < 0) fail("reverse", "axis " + std::to_string(axis) + " appears twice", "each axis once");
    is[a] = -os[a];
    offset += std::max<int64_t>(0, shape.dims()[a] - 1) * os[a];
  }
  if (shape.numel() == 0) offset = 0;
  CopyPlan plan(item, shape.dims(), is, os);
  return lambda_kernel("reverse: " + plan.str(), 0, [plan, offset](void* const* src, void* const* dst, void*) {
    plan.run(static_cast<const char*>(src[0]) + offset, dst[0]);
  });
}

KernelPtr make_iota(DType dtype, const Shape& shape, int axis) {
  check_static("iota", shape);
  const int a = normalize_axis(axis, shape.rank());
  const int64_t outer = shape.slice(0, a).numel(), n = shape[a], inner = shape.slice(a + 1).numel();
  return visit_dtype(dtype, [&](auto tag) {
    using T = decltype(tag);
    return lambda_kernel("iota", 0, [outer, n, inner](void* const*, void* const* dst, void*) {
      T* p = static_cast<T*>(dst[0]);
      const int64_t rows = outer * n;
      parallel_for(rows, std::max<int64_t>(1, kTaskBytes / std::max<int64_t>(1, inner * static_cast<int64_t>(sizeof(T)))),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t r = begin, i = begin % n; r < end; ++r) {
                       T v;
                       if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) v = T(static_cast<float>(i));
                       else v = static_cast<T>(i);
                       std::fill(p + r * inner, p + (r + 1) * inner, v);
                       if (++i == n) i = 0;
                     }
                   });
    });
  });
}

KernelPtr make_dynamic_slice(DType dtype, const Shape& in, const Shape& sizes, DType index) {
  const int64_t item = size_of(dtype);
  Window window = make_window("dynamic_slice", item, in, sizes, index);
  CopyPlan plan(item, sizes.dims(), window.strides, dense_strides(sizes, item));
  return lambda_kernel("dynamic_slice: " + plan.str(), 0, [plan, window](void* const* src, void* const* dst, void*) {
    plan.run(static_cast<const char*>(src[0]) + window.offset(src[1]), dst[0]);
  });
}

KernelPtr make_dynamic_update_slice(DType dtype, const Shape& in, const Shape& update, DType index) {
  const int64_t item = size_of(dtype);
  Window window = make_window("dynamic_update_slice", item, in, update, index);
  CopyPlan whole(item, in.dims(), window.strides, window.strides);
  CopyPlan plan(item, update.dims(), dense_strides(update, item), window.strides);
  return lambda_kernel("dynamic_update_slice: " + plan.str(), 0, [whole, plan, window](void* const* src, void* const* dst, void*) {
    if (src[0] != dst[0]) whole.run(src[0], dst[0]);
    plan.run(src[1], static_cast<char*>(dst[0]) + window.offset(src[2]));
  });
}

}  // namespace keras::cpu
