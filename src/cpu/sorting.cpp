// What lives here: sort, argsort, top_k, searchsorted. Elements become unsigned keys of their own size whose order is the order
// asked for, so that there is one sort per size: radix for long rows, comparisons for short ones.
#include "cpu/sorting.h"

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"
#include "cpu/thread_pool.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

namespace keras::cpu {
namespace {

using engine::KernelPtr;

constexpr int64_t kUnitWork = 8 << 10;
constexpr int kMaxSlots = 16;

template <size_t S> struct Unsigned;
template <> struct Unsigned<1> { using type = uint8_t; };
template <> struct Unsigned<2> { using type = uint16_t; };
template <> struct Unsigned<4> { using type = uint32_t; };
template <> struct Unsigned<8> { using type = uint64_t; };
template <class T> using KeyOf = typename Unsigned<sizeof(T)>::type;

// Exponent mask of a float dtype's bits, 0 for integers.
template <class T> constexpr KeyOf<T> exponent_mask() {
  if constexpr (std::is_same_v<T, half_t>) return 0x7c00;
  else if constexpr (std::is_same_v<T, bfloat16_t>) return 0x7f80;
  else if constexpr (std::is_same_v<T, float>) return 0x7f800000u;
  else if constexpr (std::is_same_v<T, double>) return 0x7ff0000000000000u;
  else return 0;
}

// `zeros`: -0 and 0 get one key (needed for stability, not possible when the value is made from the key again).
template <class T> KeyOf<T> encode(KeyOf<T> bits, bool zeros) {
  using U = KeyOf<T>;
  constexpr U kSign = static_cast<U>(U{1} << (8 * sizeof(U) - 1)), kExponent = exponent_mask<T>();
  if constexpr (kExponent != 0) {
    const U magnitude = static_cast<U>(bits & static_cast<U>(~kSign));
    if (magnitude > kExponent) bits = static_cast<U>(kExponent | ((kExponent & (~kExponent + 1u)) >> 1));  // one NaN for all
    if (zeros && magnitude == 0) bits = 0;
    return static_cast<U>(bits & kSign ? ~bits : bits | kSign);
  } else {
    return static_cast<U>(is_signed_integer(dtype_of_v<T>) ? bits ^ kSign : bits);
  }
}
template <class T> KeyOf<T> decode(KeyOf<T> key) {
  using U = KeyOf<T>;
  constexpr U kSign = static_cast<U>(U{1} << (8 * sizeof(U) - 1));
  if constexpr (exponent_mask<T>() != 0) return static_cast<U>(key & kSign ? key ^ kSign : ~key);
  else return static_cast<U>(is_signed_integer(dtype_of_v<T>) ? key ^ kSign : key);
}

template <class U> struct Indexed {
  U key;
  uint32_t index;
};
template <class U> U key_of(U k) { return k; }
template <class U> U key_of(const Indexed<U>& e) { return e.key; }

// How the elements of one dtype become keys of size U and values again; strides in elements.
template <class U> struct Codec {
  void (*read)(const void* base, int64_t offset, int64_t stride, int64_t n, bool descending, U* keys);
  void (*read_indexed)(const void* base, int64_t offset, int64_t stride, int64_t n, bool descending, Indexed<U>* keys);
  void (*write)(const U* keys, void* base, int64_t offset, int64_t stride, int64_t n, bool descending);
};
template <class T> Codec<KeyOf<T>> make_codec() {
  using U = KeyOf<T>;
  return {[](const void* base, int64_t offset, int64_t stride, int64_t n, bool descending, U* keys) {
            const U* x = static_cast<const U*>(base) + offset;
            const U flip = descending ? static_cast<U>(~U{0}) : U{0};
            for (int64_t i = 0; i < n; ++i) keys[i] = static_cast<U>(encode<T>(x[i * stride], false) ^ flip);
          },
          [](const void* base, int64_t offset, int64_t stride, int64_t n, bool descending, Indexed<U>* keys) {
            const U* x = static_cast<const U*>(base) + offset;
            const U flip = descending ? static_cast<U>(~U{0}) : U{0};
            for (int64_t i = 0; i < n; ++i) keys[i] = {static_cast<U>(encode<T>(x[i * stride], true) ^ flip), static_cast<uint32_t>(i)};
          },
          [](const U* keys, void* base, int64_t offset, int64_t stride, int64_t n, bool descending) {
            U* y = static_cast<U*>(base) + offset;
            const U flip = descending ? static_cast<U>(~U{0}) : U{0};
            for (int64_t i = 0; i < n; ++i) y[i * stride] = decode<T>(static_cast<U>(keys[i] ^ flip));
          }};
}

// Sorts a[0 … n) by key, stably; `b` has room for n elements.
template <class E> void sort_keys(E* a, E* b, int64_t n) {
  using U = decltype(key_of(a[0]));
  if (n < (sizeof(U) == 8 ? 2048 : 512)) {
    if constexpr (std::is_same_v<E, U>) std::sort(a, a + n);
    else std::sort(a, a + n, [](const E& x, const E& y) { return x.key < y.key || (x.key == y.key && x.index < y.index); });
    return;
  }
  std::array<std::array<uint32_t, 256>, sizeof(U)> histogram{};
  for (int64_t i = 0; i < n; ++i)
    for (size_t d = 0; d < sizeof(U); ++d) ++histogram[d][(key_of(a[i]) >> (8 * d)) & 255];
  E *from = a, *to = b;
  for (size_t d = 0; d < sizeof(U); ++d) {
    auto& count = histogram[d];
    if (count[(key_of(from[0]) >> (8 * d)) & 255] == static_cast<uint32_t>(n)) continue;  // one digit everywhere
    uint32_t at = 0;
    for (uint32_t& c : count) {
      const uint32_t size = c;
      c = at;
      at += size;
    }
    for (int64_t i = 0; i < n; ++i) to[count[(key_of(from[i]) >> (8 * d)) & 255]++] = from[i];
    std::swap(from, to);
  }
  if (from != a) std::copy_n(from, n, a);
}

// Rows along one axis: row r starts at offset(r), its elements are `inner` apart.
struct Lines {
  int64_t outer, n, inner;
  int64_t count() const { return n == 0 ? 0 : outer * inner; }
  int64_t offset(int64_t r) const { return r / inner * n * inner + r % inner; }
  int64_t grain() const { return std::max<int64_t>(1, kUnitWork / std::max<int64_t>(1, n)); }
  int slots() const { return static_cast<int>(std::clamp<int64_t>(count() / grain(), 1, kMaxSlots)); }
};

void check_static(const char* where, const Shape& s) {
  if (!s.is_static())
    throw ValueError(
        ErrorText{.what = "kernels are made for known sizes", .where = where, .expected = "a shape without None", .received = s.str()}
            .str());
}
void check_index(const char* where, DType t) {
  if (t != DType::Int32 && t != DType::Int64)
    throw TypeError(
        ErrorText{.what = "indices have the wrong dtype", .where = where, .expected = "int32 or int64", .received = dtype_name(t)}.str());
}
Lines make_lines(const char* where, const Shape& shape, int axis) {
  check_static(where, shape);
  const int a = normalize_axis(axis, shape.rank());
  const Lines l{shape.slice(0, a).numel(), shape[a], shape.slice(a + 1).numel()};
  if (l.n > std::numeric_limits<uint32_t>::max())
    throw ValueError(
        ErrorText{.what = "the axis is too long to sort", .where = where, .expected = "fewer than 2^32 elements", .received = shape.str()}
            .str());
  return l;
}

// Scratch of one thread: two arrays of n elements.
template <class E> struct Workspace {
  int64_t n;
  size_t each() const { return (static_cast<size_t>(n) * sizeof(E) + 63) / 64 * 64; }
  size_t bytes(int slots) const { return 2 * each() * static_cast<size_t>(slots); }
  E* first(void* scratch, int slot) const {
    return reinterpret_cast<E*>(static_cast<char*>(scratch) + 2 * each() * static_cast<size_t>(slot));
  }
  E* second(void* scratch, int slot) const { return reinterpret_cast<E*>(reinterpret_cast<char*>(first(scratch, slot)) + each()); }
};

template <class U> KernelPtr sort_kernel(const Codec<U>& codec, const Lines& l, bool descending) {
  const Workspace<U> w{l.n};
  return lambda_kernel("sort", w.bytes(l.slots()), [=](void* const* in, void* const* out, void* scratch) {
    parallel_for_slots(l.count(), l.grain(), l.slots(), [&](int64_t begin, int64_t end, int slot) {
      U *a = w.first(scratch, slot), *b = w.second(scratch, slot);
      for (int64_t r = begin; r < end; ++r) {
        codec.read(in[0], l.offset(r), l.inner, l.n, descending, a);
        sort_keys(a, b, l.n);
        codec.write(a, out[0], l.offset(r), l.inner, l.n, descending);
      }
    });
  });
}

template <class U> KernelPtr argsort_kernel(const Codec<U>& codec, const Lines& l, bool descending, bool wide) {
  const Workspace<Indexed<U>> w{l.n};
  return lambda_kernel("argsort", w.bytes(l.slots()), [=](void* const* in, void* const* out, void* scratch) {
    parallel_for_slots(l.count(), l.grain(), l.slots(), [&](int64_t begin, int64_t end, int slot) {
      Indexed<U>*a = w.first(scratch, slot), *b = w.second(scratch, slot);
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = l.offset(r);
        codec.read_indexed(in[0], at, l.inner, l.n, descending, a);
        sort_keys(a, b, l.n);
        if (wide)
          for (int64_t i = 0; i < l.n; ++i) static_cast<int64_t*>(out[0])[at + i * l.inner] = a[i].index;
        else
          for (int64_t i = 0; i < l.n; ++i) static_cast<int32_t*>(out[0])[at + i * l.inner] = static_cast<int32_t>(a[i].index);
      }
    });
  });
}

template <class U> KernelPtr top_k_kernel(const Codec<U>& codec, const Lines& l, int64_t k) {
  const Workspace<Indexed<U>> w{l.n};
  return lambda_kernel("top_k", w.bytes(l.slots()), [=](void* const* in, void* const* out, void* scratch) {
    if (k == 0) return;
    parallel_for_slots(l.count(), l.grain(), l.slots(), [&](int64_t begin, int64_t end, int slot) {
      Indexed<U>*a = w.first(scratch, slot), *b = w.second(scratch, slot);
      for (int64_t r = begin; r < end; ++r) {
        codec.read_indexed(in[0], r * l.n, 1, l.n, true, a);
        if (k > l.n / 8) sort_keys(a, b, l.n);
        else
          std::partial_sort(a, a + k, a + l.n,
                            [](const auto& x, const auto& y) { return x.key < y.key || (x.key == y.key && x.index < y.index); });
        const U* x = static_cast<const U*>(in[0]) + r * l.n;
        for (int64_t i = 0; i < k; ++i) {
          static_cast<U*>(out[0])[r * k + i] = x[a[i].index];
          static_cast<int32_t*>(out[1])[r * k + i] = static_cast<int32_t>(a[i].index);
        }
      }
    });
  });
}

template <class T> void search(const void* sorted, const void* values, void* out, bool wide, bool right, int64_t n, int64_t m, bool shared,
                               int64_t begin, int64_t end) {
  using U = KeyOf<T>;
  for (int64_t i = begin; i < end; ++i) {
    const U* row = static_cast<const U*>(sorted) + (shared ? 0 : i / m * n);
    const U v = encode<T>(static_cast<const U*>(values)[i], true);
    const U* p = right ? std::upper_bound(row, row + n, v, [](U key, U bits) { return key < encode<T>(bits, true); })
                       : std::lower_bound(row, row + n, v, [](U bits, U key) { return encode<T>(bits, true) < key; });
    if (wide) static_cast<int64_t*>(out)[i] = p - row;
    else static_cast<int32_t*>(out)[i] = static_cast<int32_t>(p - row);
  }
}

}  // namespace

KernelPtr make_sort(DType dtype, const Shape& shape, int axis, bool descending) {
  const Lines l = make_lines("sort", shape, axis);
  return visit_dtype(dtype, [&](auto tag) { return sort_kernel(make_codec<decltype(tag)>(), l, descending); });
}

KernelPtr make_argsort(DType dtype, DType out, const Shape& shape, int axis, bool descending) {
  check_index("argsort", out);
  const Lines l = make_lines("argsort", shape, axis);
  return visit_dtype(dtype, [&](auto tag) { return argsort_kernel(make_codec<decltype(tag)>(), l, descending, out == DType::Int64); });
}

KernelPtr make_top_k(DType dtype, const Shape& shape, int k) {
  const Lines l = make_lines("top_k", shape, -1);
  if (k < 0 || k > l.n)
    throw ValueError(ErrorText{.what = "there are no " + std::to_string(k) + " greatest elements in an axis of size " + std::to_string(l.n),
                               .where = "top_k",
                               .expected = "k from 0 to " + std::to_string(l.n),
                               .received = std::to_string(k)}
                         .str());
  return visit_dtype(dtype, [&](auto tag) { return top_k_kernel(make_codec<decltype(tag)>(), l, k); });
}

KernelPtr make_searchsorted(DType dtype, DType out, const Shape& sorted, const Shape& values, bool right) {
  check_index("searchsorted", out);
  check_static("searchsorted", sorted);
  check_static("searchsorted", values);
  const bool shared = sorted.rank() == 1;
  if (sorted.empty() || (!shared && (values.rank() != sorted.rank() || values.slice(0, -1) != sorted.slice(0, -1))))
    throw ValueError(ErrorText{.what = "the sorted sequence doesn't fit the values",
                               .where = "searchsorted",
                               .expected = "one axis, or the leading axes of values " + values.str(),
                               .received = sorted.str()}
                         .str());
  const int64_t n = sorted.back(), count = values.numel(), m = shared ? 1 : values.back();
  return visit_dtype(dtype, [&](auto tag) {
    return lambda_kernel(
        "searchsorted", 0, [=, fn = search<decltype(tag)>, wide = out == DType::Int64](void* const* in, void* const* dst, void*) {
          parallel_for(count, kUnitWork,
                       [&](int64_t begin, int64_t end) { fn(in[0], in[1], dst[0], wide, right, n, m, shared, begin, end); });
        });
  });
}

}  // namespace keras::cpu
