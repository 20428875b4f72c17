// What lives here: gather and scatter. Indices are checked and turned into row numbers first, on the calling thread; the moving
// of rows is then free of checks and may be shared among threads, each with its own rows of the result.
#include "cpu/gather.h"

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"
#include "cpu/thread_pool.h"
#include "cpu/visit_int.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace keras::cpu {
namespace {

using engine::KernelPtr;

constexpr int64_t kTaskBytes = 64 << 10;
constexpr int64_t kDropped = -1;

void check_static(const char* where, const Shape& s) {
  if (!s.is_static())
    throw ValueError(
        ErrorText{.what = "kernels are made for known sizes", .where = where, .expected = "a shape without None", .received = s.str()}
            .str());
}

// `order`, if any: which axis of what the user wrote each axis is.
std::string position(const Shape& shape, int64_t flat, const std::vector<int>& order = {}) {
  std::vector<int64_t> at(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    at[order.empty() ? i : static_cast<size_t>(order[i])] = flat % shape.dims()[i];
    flat /= shape.dims()[i];
  }
  return Shape(std::move(at)).str();
}

[[noreturn]] void out_of_range(const std::string& where, const std::string& value, const Shape& indices, int64_t flat, int64_t n, int axis, bool negative,
                               const std::vector<int>& order = {}) {
  throw ValueError(
      ErrorText{.what = "index " + value + " at position " + position(indices, flat, order) + " is outside axis " + std::to_string(axis) +
                        " of size " + std::to_string(n),
                .where = where,
                .expected = n == 0 ? "no index at all, the axis is empty" : "from " + std::to_string(negative ? -n : 0) + " to " + std::to_string(n - 1),
                .received = value}
          .str());
}

// Huge unsigned indices stay out of range.
template <class I> inline int64_t as_signed(I v) {
  if constexpr (std::is_same_v<I, uint64_t>)
    return static_cast<int64_t>(std::min(v, static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
  else return v;
}

// The valid index that `i` stands for, or kDropped; `bad` when it is outside and that is an error.
inline int64_t resolve(int64_t i, int64_t n, OutOfRange mode, bool& bad) {
  if (i < 0 && mode != OutOfRange::ErrorNegative) i += n;
  if (i >= 0 && i < n) return i;
  if (mode == OutOfRange::Clip && n > 0) return i < 0 ? 0 : n - 1;
  if (mode != OutOfRange::FillNaN) bad = true;
  return kDropped;
}

// Calls f(I{}) with the C++ type of an index dtype.
template <class F> decltype(auto) visit_index(const char* where, DType index, F&& f) {
  if (!is_integer(index))
    throw TypeError(ErrorText{.what = "indices have the wrong dtype", .where = where, .expected = "an integer dtype", .received = dtype_name(index)}.str());
  return visit_int(index, f);
}

// Index tensor → row numbers. With k > 1 the last axis of the indices runs over k indices of one row.
struct Rows {
  std::string where;
  Shape indices;
  int64_t count = 0;           // rows to make
  int axis = 0;                // first axis that is indexed
  std::vector<int64_t> sizes;  // the sizes of the indexed axes
  OutOfRange mode;
  std::vector<int> order{};    // see position()
  void (*fill)(const Rows&, const void*, int64_t*) = nullptr;

  size_t bytes() const { return (static_cast<size_t>(count) * sizeof(int64_t) + 63) / 64 * 64; }
  void operator()(const void* from, void* to) const { fill(*this, from, static_cast<int64_t*>(to)); }
};

template <class I> void fill_rows(const Rows& r, const void* from, int64_t* to) {
  const I* v = static_cast<const I*>(from);
  const size_t k = r.sizes.size();
  bool bad = false;
  for (int64_t i = 0; i < r.count; ++i) {
    int64_t row = 0;
    for (size_t d = 0; d < k; ++d, ++v) {
      const int64_t at = resolve(as_signed(*v), r.sizes[d], r.mode, bad);
      row = row == kDropped || at == kDropped ? kDropped : row * r.sizes[d] + at;
      if (bad)
        out_of_range(r.where, std::to_string(*v), r.indices, i * static_cast<int64_t>(k) + static_cast<int64_t>(d), r.sizes[d],
                     r.axis + static_cast<int>(d), r.mode != OutOfRange::ErrorNegative, r.order);
    }
    to[i] = row;
  }
}

Rows make_rows(const std::string& where, DType index, const Shape& indices, int64_t count, int axis, std::vector<int64_t> sizes, OutOfRange mode) {
  Rows r{where, indices, count, axis, std::move(sizes), mode};
  r.fill = visit_index(where.c_str(), index, [](auto tag) { return &fill_rows<decltype(tag)>; });
  return r;
}

// What stands for an element that is not there.
std::array<char, 8> missing(DType dtype) {
  std::array<char, 8> bytes{};
  visit_dtype(dtype, [&](auto tag) {
    using T = decltype(tag);
    T v;
    if constexpr (std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>) v = T(std::numeric_limits<float>::quiet_NaN());
    else if constexpr (std::is_floating_point_v<T>) v = std::numeric_limits<T>::quiet_NaN();
    else v = std::is_signed_v<T> ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
    std::memcpy(bytes.data(), &v, sizeof(T));
  });
  return bytes;
}

void fill_missing(char* to, int64_t bytes, const std::array<char, 8>& v, int64_t item) {
  for (int64_t i = 0; i < bytes; i += item) std::memcpy(to + i, v.data(), static_cast<size_t>(item));
}

// out[a][i] = in[a][rows[i]], rows of `width` bytes.
template <size_t S> void copy_rows(const char* in, char* out, const int64_t* rows, int64_t count, int64_t n, int64_t width, int64_t item,
                                   const std::array<char, 8>& hole, int64_t begin, int64_t end) {
  if (S) width = static_cast<int64_t>(S);
  int64_t a = begin / count, i = begin % count;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = rows[i];
    char* to = out + u * width;
    if (row != kDropped) std::memcpy(to, in + (a * n + row) * width, S ? S : static_cast<size_t>(width));
    else fill_missing(to, width, hole, item);
    if (++i == count) i = 0, ++a;
  }
}

KernelPtr gather_kernel(std::string text, DType dtype, Rows rows, int64_t outer, int64_t n, int64_t inner) {
  const auto item = static_cast<int64_t>(dtype_size(dtype)), width = inner * item;
  auto fn = copy_rows<0>;
  switch (width) {
    case 1: fn = copy_rows<1>; break;
    case 2: fn = copy_rows<2>; break;
    case 4: fn = copy_rows<4>; break;
    case 8: fn = copy_rows<8>; break;
    case 16: fn = copy_rows<16>; break;
    default: break;
  }
  const size_t scratch = rows.bytes();
  return lambda_kernel(std::move(text), scratch,
                       [=, rows = std::move(rows), hole = missing(dtype)](void* const* in, void* const* out, void* s) {
                         rows(in[1], s);
                         if (width == 0) return;
                         parallel_for(outer * rows.count, std::max<int64_t>(1, kTaskBytes / width), [&](int64_t begin, int64_t end) {
                           fn(static_cast<const char*>(in[0]), static_cast<char*>(out[0]), static_cast<const int64_t*>(s), rows.count, n,
                              width, item, hole, begin, end);
                         });
                       });
}

// ---- scatter ----
template <ScatterOp kOp, class A> inline void combine(A& a, A v) {
  if constexpr (kOp == ScatterOp::Update) a = v;
  else if constexpr (kOp == ScatterOp::Add) a = static_cast<A>(a + v);
  else if constexpr (kOp == ScatterOp::Mul)
    a = static_cast<A>(std::conditional_t<(std::is_integral_v<A> && sizeof(A) < 4), uint32_t, A>(a) * v);
  else if constexpr (kOp == ScatterOp::Max) a = (v > a) | (v != v) ? v : a;
  else a = (v < a) | (v != v) ? v : a;
}

template <class T> inline constexpr bool kNarrow = std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>;

// Applies the updates whose row lies in [lo, hi) to out, whose elements are of type A.
using ApplyFn = void (*)(void* out, const void* updates, const int64_t* rows, int64_t count, int64_t inner, int64_t lo, int64_t hi);
template <ScatterOp kOp, class T, class A>
void apply_rows(void* out, const void* updates, const int64_t* rows, int64_t count, int64_t inner, int64_t lo, int64_t hi) {
  A* to = static_cast<A*>(out);
  const T* from = static_cast<const T*>(updates);
  for (int64_t i = 0; i < count; ++i) {
    if (rows[i] < lo || rows[i] >= hi) continue;  // kDropped too
    A* a = to + rows[i] * inner;
    const T* v = from + i * inner;
    for (int64_t j = 0; j < inner; ++j) {
      if constexpr (kNarrow<A>) {
        float f = a[j];
        combine<kOp>(f, static_cast<float>(v[j]));
        a[j] = A(f);
      } else {
        combine<kOp>(a[j], static_cast<A>(v[j]));
      }
    }
  }
}

template <ScatterOp kOp> ApplyFn apply_by_size(DType t) {
  switch (dtype_size(t)) {
    case 1: return apply_rows<kOp, uint8_t, uint8_t>;
    case 2: return apply_rows<kOp, uint16_t, uint16_t>;
    case 4: return apply_rows<kOp, uint32_t, uint32_t>;
    default: return apply_rows<kOp, uint64_t, uint64_t>;
  }
}
template <ScatterOp kOp> ApplyFn apply_numbers(DType t, bool wide) {
  switch (t) {
    case DType::Float16: return wide ? apply_rows<kOp, half_t, float> : apply_rows<kOp, half_t, half_t>;
    case DType::BFloat16: return wide ? apply_rows<kOp, bfloat16_t, float> : apply_rows<kOp, bfloat16_t, bfloat16_t>;
    case DType::Float32: return apply_rows<kOp, float, float>;
    case DType::Float64: return apply_rows<kOp, double, double>;
    default: return apply_by_size<kOp>(t);
  }
}
template <ScatterOp kOp> ApplyFn apply_order(DType t) {
  switch (t) {
    case DType::Int8: return apply_rows<kOp, int8_t, int8_t>;
    case DType::Int16: return apply_rows<kOp, int16_t, int16_t>;
    case DType::Int32: return apply_rows<kOp, int32_t, int32_t>;
    case DType::Int64: return apply_rows<kOp, int64_t, int64_t>;
    default: return apply_numbers<kOp>(t, false);
  }
}
ApplyFn find_apply(ScatterOp op, DType t, bool wide) {
  if (t == DType::Bool) {  // a sum of truths is Or, a product And
    t = DType::UInt8;
    if (op == ScatterOp::Add) op = ScatterOp::Max;
    if (op == ScatterOp::Mul) op = ScatterOp::Min;
  }
  switch (op) {
    case ScatterOp::Update: return apply_by_size<ScatterOp::Update>(t);
    case ScatterOp::Add: return apply_numbers<ScatterOp::Add>(t, wide);
    case ScatterOp::Mul: return apply_numbers<ScatterOp::Mul>(t, false);
    case ScatterOp::Max: return apply_order<ScatterOp::Max>(t);
    case ScatterOp::Min: break;
  }
  return apply_order<ScatterOp::Min>(t);
}

// Rounds float sums to the narrow dtype of the result.
void round_to(DType dtype, const float* from, void* to, int64_t n) {
  if (dtype == DType::Float16)
    for (int64_t i = 0; i < n; ++i) static_cast<half_t*>(to)[i] = half_t(from[i]);
  else
    for (int64_t i = 0; i < n; ++i) static_cast<bfloat16_t*>(to)[i] = bfloat16_t(from[i]);
}

bool is_narrow(DType t) { return t == DType::Float16 || t == DType::BFloat16; }

// The rows of the result are shared out in ranges; each thread reads all row numbers and applies those of its range.
int64_t row_ranges(int64_t outer, int64_t n, int64_t count, int64_t width) {
  const int64_t bytes = outer * (count + n) * width;
  return std::clamp<int64_t>(std::min(bytes / (4 * kTaskBytes), 16 / std::max<int64_t>(1, outer)), 1, std::max<int64_t>(1, n));
}

KernelPtr scatter_add_kernel(std::string text, DType dtype, Rows rows, int64_t outer, int64_t n, int64_t inner) {
  const bool wide = is_narrow(dtype);
  const auto item = static_cast<int64_t>(dtype_size(dtype)), cell = wide ? int64_t{sizeof(float)} : item;
  const int64_t ranges = row_ranges(outer, n, rows.count, inner * item), range = (n + ranges - 1) / ranges;
  const int64_t grain = outer * (rows.count + n) * inner * item < 4 * kTaskBytes ? outer * ranges : 1;
  const ApplyFn fn = find_apply(ScatterOp::Add, dtype, wide);
  const size_t first = rows.bytes(), scratch = first + (wide ? static_cast<size_t>(outer * n * inner) * sizeof(float) : 0);
  return lambda_kernel(std::move(text), scratch, [=, rows = std::move(rows)](void* const* in, void* const* out, void* s) {
    rows(in[0], s);
    char* sums = wide ? static_cast<char*>(s) + first : static_cast<char*>(out[0]);
    parallel_for(outer * ranges, grain, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        const int64_t a = u / ranges, lo = std::min(n, u % ranges * range), hi = std::min(n, lo + range), at = (a * n + lo) * inner;
        std::memset(sums + at * cell, 0, static_cast<size_t>((hi - lo) * inner * cell));
        fn(sums + a * n * inner * cell, static_cast<const char*>(in[1]) + a * rows.count * inner * item, static_cast<const int64_t*>(s),
           rows.count, inner, lo, hi);
        if (wide) round_to(dtype, reinterpret_cast<const float*>(sums) + at, static_cast<char*>(out[0]) + at * item, (hi - lo) * inner);
      }
    });
  });
}

struct Along {
  int64_t outer, n, m, inner;  // operand (outer, n, inner), indices (outer, m, inner)
};
Along make_along(const char* where, const Shape& operand, const Shape& indices, int axis) {
  check_static(where, operand);
  check_static(where, indices);
  const int a = normalize_axis(axis, operand.rank());
  bool same = operand.size() == indices.size();
  for (int d = 0; same && d < operand.rank(); ++d) same = d == a || operand[d] == indices[d];
  if (!same)
    throw ValueError(ErrorText{.what = "the shapes of operand and indices differ outside axis " + std::to_string(axis),
                               .where = where,
                               .expected = "indices like " + operand.str(),
                               .received = indices.str()}
                         .str());
  return {operand.slice(0, a).numel(), operand[a], indices[a], operand.slice(a + 1).numel()};
}

// Remembers the first index out of range, whichever thread meets it.
void lower(std::atomic<int64_t>& first, int64_t at) {
  int64_t seen = first.load(std::memory_order_relaxed);
  while (at < seen && !first.compare_exchange_weak(seen, at, std::memory_order_relaxed)) {}
}

// Index tensors as large as the data are read in pieces of int64.
constexpr int64_t kPiece = 256;
using LoadFn = void (*)(const void* indices, int64_t at, int64_t n, int64_t* to);
LoadFn load_fn(const char* where, DType index) {
  return visit_index(where, index, [](auto tag) -> LoadFn {
    return [](const void* indices, int64_t at, int64_t n, int64_t* to) {
      const auto* from = static_cast<const decltype(tag)*>(indices) + at;
      for (int64_t i = 0; i < n; ++i) to[i] = as_signed(from[i]);
    };
  });
}

struct AlongContext {
  Along s;
  OutOfRange mode;
  LoadFn load;
};

template <class U> void take_along(const AlongContext& c, const void* operand, const void* indices, void* out, U hole,
                                   std::atomic<int64_t>& first_bad, int64_t begin, int64_t end) {
  const Along& s = c.s;
  U* to = static_cast<U*>(out);
  int64_t index[kPiece];
  for (int64_t r = begin; r < end; ++r) {  // blocks of equal outer position when inner is 1, else rows of the index tensor
    const int64_t length = s.inner == 1 ? s.m : s.inner, outer = s.inner == 1 ? r : r / s.m;
    const U* from = static_cast<const U*>(operand) + outer * s.n * s.inner;
    for (int64_t j0 = 0; j0 < length; j0 += kPiece) {
      const int64_t n = std::min(kPiece, length - j0), at = r * length + j0;
      c.load(indices, at, n, index);
      for (int64_t j = 0; j < n; ++j) {
        bool bad = false;
        const int64_t i = resolve(index[j], s.n, c.mode, bad);
        to[at + j] = i == kDropped ? hole : s.inner == 1 ? from[i] : from[i * s.inner + j0 + j];
        if (bad) lower(first_bad, at + j);
      }
    }
  }
}

template <class T, class A> void add_along(const AlongContext& c, const void* indices, const void* updates, A* out,
                                           std::atomic<int64_t>& first_bad, int64_t begin, int64_t end) {
  const Along& s = c.s;
  constexpr int64_t kColumns = 64;
  const int64_t blocks = (s.inner + kColumns - 1) / kColumns;
  const T* from = static_cast<const T*>(updates);
  int64_t index[kPiece];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t a = u / blocks, j0 = u % blocks * kColumns, j1 = std::min(s.inner, j0 + kColumns);
    A* to = out + a * s.n * s.inner;
    for (int64_t i = 0; i < s.n; ++i) std::fill(to + i * s.inner + j0, to + i * s.inner + j1, A(0));
    auto add = [&](int64_t at, int64_t i, int64_t column) {
      bool bad = false;
      const int64_t row = resolve(i, s.n, c.mode, bad);
      if (bad) lower(first_bad, at);
      if (row == kDropped) return;
      if constexpr (std::is_same_v<A, bool>) to[row * s.inner + column] |= from[at];
      else combine<ScatterOp::Add>(to[row * s.inner + column], static_cast<A>(from[at]));
    };
    if (s.inner == 1) {
      for (int64_t i0 = 0; i0 < s.m; i0 += kPiece) {
        const int64_t n = std::min(kPiece, s.m - i0);
        c.load(indices, a * s.m + i0, n, index);
        for (int64_t i = 0; i < n; ++i) add(a * s.m + i0 + i, index[i], 0);
      }
    } else {
      for (int64_t i = 0; i < s.m; ++i) {
        const int64_t at = (a * s.m + i) * s.inner;
        c.load(indices, at + j0, j1 - j0, index);
        for (int64_t j = j0; j < j1; ++j) add(at + j, index[j - j0], j);
      }
    }
  }
}

constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

std::string index_text(DType index, const void* p, int64_t at) {
  return visit_index("", index, [&](auto tag) { return std::to_string(static_cast<const decltype(tag)*>(p)[at]); });
}

// The axes that an index vector names, checked.
int64_t vector_length(const char* where, const Shape& operand, const Shape& indices) {
  check_static(where, operand);
  check_static(where, indices);
  if (indices.empty() || indices.back() > operand.rank())
    throw ValueError(ErrorText{.what = "index vectors don't fit the operand " + operand.str(),
                               .where = where,
                               .expected = "indices whose last axis is at most " + std::to_string(operand.rank()),
                               .received = indices.str()}
                         .str());
  return indices.back();
}

}  // namespace

KernelPtr make_gather(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis, OutOfRange mode,
                      const std::string& where, const std::vector<int>& order) {
  check_static("gather", operand);
  check_static("gather", indices);
  const int a = normalize_axis(axis, operand.rank());
  Rows rows = make_rows(where, index, indices, indices.numel(), a, {operand[a]}, mode);
  rows.order = order;
  return gather_kernel("gather: rows of axis " + std::to_string(a), dtype, std::move(rows), operand.slice(0, a).numel(), operand[a],
                       operand.slice(a + 1).numel());
}

KernelPtr make_gather_nd(DType dtype, DType index, const Shape& operand, const Shape& indices, OutOfRange mode) {
  const auto k = static_cast<int>(vector_length("gather_nd", operand, indices));
  const Shape named = operand.slice(0, k);
  Rows rows = make_rows("gather_nd", index, indices, indices.slice(0, -1).numel(), 0, named.dims(), mode);
  return gather_kernel("gather_nd: slices of " + std::to_string(k) + " axes", dtype, std::move(rows), 1, named.numel(),
                       operand.slice(k).numel());
}

KernelPtr make_scatter_add(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis, OutOfRange mode) {
  check_static("scatter_add", operand);
  check_static("scatter_add", indices);
  const int a = normalize_axis(axis, operand.rank());
  Rows rows = make_rows("scatter_add", index, indices, indices.numel(), a, {operand[a]}, mode);
  return scatter_add_kernel("scatter_add: rows of axis " + std::to_string(a), dtype, std::move(rows), operand.slice(0, a).numel(),
                            operand[a], operand.slice(a + 1).numel());
}

KernelPtr make_scatter_nd(ScatterOp op, DType dtype, DType index, const Shape& operand, const Shape& indices, OutOfRange mode) {
  const auto k = static_cast<int>(vector_length("scatter_nd", operand, indices));
  const Shape named = operand.slice(0, k);
  const int64_t n = named.numel(), inner = operand.slice(k).numel(), count = indices.slice(0, -1).numel();
  const auto item = static_cast<int64_t>(dtype_size(dtype));
  Rows rows = make_rows("scatter_nd", index, indices, count, 0, named.dims(), mode);
  const int64_t ranges = row_ranges(1, n, count, inner * item), range = (n + ranges - 1) / ranges;
  const ApplyFn fn = find_apply(op, dtype, false);
  const size_t scratch = rows.bytes();
  return lambda_kernel("scatter_nd: slices of " + std::to_string(k) + " axes", scratch,
                       [=, rows = std::move(rows)](void* const* in, void* const* out, void* s) {
                         rows(in[1], s);
                         parallel_for(ranges, 1, [&](int64_t begin, int64_t end) {
                           const int64_t lo = std::min(n, begin * range), hi = std::min(n, end * range);
                           if (in[0] != out[0])
                             std::memcpy(static_cast<char*>(out[0]) + lo * inner * item,
                                         static_cast<const char*>(in[0]) + lo * inner * item,
                                         static_cast<size_t>((hi - lo) * inner * item));
                           fn(out[0], in[2], static_cast<const int64_t*>(s), count, inner, lo, hi);
                         });
                       });
}

KernelPtr make_take_along_axis(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis, OutOfRange mode) {
  const AlongContext c{make_along("take_along_axis", operand, indices, axis), mode, load_fn("take_along_axis", index)};
  const int a = normalize_axis(axis, operand.rank());
  auto with = [&](auto cell) {
    using U = decltype(cell);
    U hole;
    std::memcpy(&hole, missing(dtype).data(), sizeof(U));
    const Along& s = c.s;
    const int64_t rows = s.inner == 1 ? s.outer : s.outer * s.m, length = s.inner == 1 ? s.m : s.inner;
    const int64_t grain = std::max<int64_t>(1, kTaskBytes / 4 / std::max<int64_t>(1, length * static_cast<int64_t>(sizeof(U))));
    return lambda_kernel("take_along_axis", 0, [=](void* const* in, void* const* out, void*) {
      std::atomic<int64_t> bad = kNone;
      parallel_for(rows, grain, [&](int64_t begin, int64_t end) { take_along<U>(c, in[0], in[1], out[0], hole, bad, begin, end); });
      if (bad != kNone) out_of_range("take_along_axis", index_text(index, in[1], bad), indices, bad, c.s.n, a, true);
    });
  };
  switch (dtype_size(dtype)) {
    case 1: return with(uint8_t{});
    case 2: return with(uint16_t{});
    case 4: return with(uint32_t{});
    default: return with(uint64_t{});
  }
}

KernelPtr make_scatter_add_along_axis(DType dtype, DType index, const Shape& operand, const Shape& indices, int axis, OutOfRange mode) {
  const AlongContext c{make_along("scatter_add_along_axis", operand, indices, axis), mode, load_fn("scatter_add_along_axis", index)};
  const int a = normalize_axis(axis, operand.rank());
  auto with = [&](auto from, auto to) {
    using T = decltype(from);
    using A = decltype(to);
    constexpr bool kWide = kNarrow<T>;
    const Along& s = c.s;
    const int64_t cells = s.outer * s.n * s.inner, blocks = s.outer * ((s.inner + 63) / 64);
    const int64_t grain = std::max<int64_t>(1, (16 << 10) / std::max<int64_t>(1, (s.n + s.m) * std::min<int64_t>(64, s.inner)));
    return lambda_kernel("scatter_add_along_axis", kWide ? static_cast<size_t>(cells) * sizeof(A) : 0,
                         [=](void* const* in, void* const* out, void* scratch) {
                           std::atomic<int64_t> bad = kNone;
                           A* sums = static_cast<A*>(kWide ? scratch : out[0]);
                           parallel_for(blocks, grain,
                                        [&](int64_t begin, int64_t end) { add_along<T, A>(c, in[0], in[1], sums, bad, begin, end); });
                           if (bad != kNone) out_of_range("scatter_add_along_axis", index_text(index, in[0], bad), indices, bad, c.s.n, a, true);
                           if constexpr (kWide) round_to(dtype, sums, out[0], cells);
                         });
  };
  switch (dtype) {
    case DType::Bool: return with(bool{}, bool{});
    case DType::Float16: return with(half_t{}, float{});
    case DType::BFloat16: return with(bfloat16_t{}, float{});
    case DType::Float32: return with(float{}, float{});
    case DType::Float64: return with(double{}, double{});
    default: break;
  }
  switch (dtype_size(dtype)) {  // modulo 2^n signed and unsigned agree
    case 1: return with(uint8_t{}, uint8_t{});
    case 2: return with(uint16_t{}, uint16_t{});
    case 4: return with(uint32_t{}, uint32_t{});
    default: return with(uint64_t{}, uint64_t{});
  }
}

}  // namespace keras::cpu
