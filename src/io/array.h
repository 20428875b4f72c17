// What lives here: an array as files hold it: dtype, shape and bytes. No arithmetic, no views; that is core's tensor.
#pragma once
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/error.h>
#include <keras/base/shape.h>

namespace keras::io {

using Bytes = std::vector<std::byte>;

/// The bytes of a text, not copied.
inline std::span<const std::byte> as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

/// A dense array in C order and native byte order, as it is read from and written to files.
struct Array {
  DType dtype = DType::Float32;
  Shape shape;
  Bytes data;

  Array() = default;
  Array(DType d, Shape s, Bytes b) : dtype(d), shape(std::move(s)), data(std::move(b)) {}
  /// Copies `values` (one per element of `shape`); ValueError when the counts differ.
  template <class T> Array(Shape s, std::span<const T> values) : dtype(dtype_of_v<T>), shape(std::move(s)) {
    if (shape.numel() != static_cast<int64_t>(values.size()))
      throw ValueError("an array of shape " + shape.str() + " does not hold " + std::to_string(values.size()) + " values");
    data.resize(values.size_bytes());
    if (!values.empty()) std::memcpy(data.data(), values.data(), values.size_bytes());
  }
  template <class T> Array(Shape s, const std::vector<T>& values) : Array(std::move(s), std::span<const T>(values)) {}

  size_t numel() const { return data.size() / dtype_size(dtype); }
  /// The elements as `T`; TypeError when T does not store this dtype.
  template <class T> std::span<const T> as() const {
    if (dtype != dtype_of_v<T>) throw TypeError(std::string("the array holds ") + dtype_name(dtype) + ", not " + dtype_name(dtype_of_v<T>));
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  friend bool operator==(const Array&, const Array&) = default;
};

/// Bytes of `shape` elements of `element` bytes; UINT64_MAX where that overflows or a size is unknown.
inline uint64_t checked_bytes(const std::vector<int64_t>& dims, uint64_t element) {
  uint64_t n = element;
  for (int64_t d : dims)
    if (d == 0) return 0;
  for (int64_t d : dims)
    if (d < 0 || __builtin_mul_overflow(n, static_cast<uint64_t>(d), &n)) return UINT64_MAX;
  return n;
}

}  // namespace keras::io
