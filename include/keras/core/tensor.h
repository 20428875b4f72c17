// What lives here: the tensor: one handle for what is concrete (has numbers), symbolic (stands in a model's graph) or traced (stands in
// the graph of a step being compiled).
#pragma once
#include <concepts>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/error.h>
#include <keras/base/shape.h>

namespace keras {

namespace core {
struct TensorImpl;
}

/// Nested initialiser lists of numbers: `Tensor x = {{1, 2}, {3, 4}}`.
class Nested {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  Nested(T v) : number_(static_cast<double>(v)), kind_(std::same_as<T, bool> ? 'b' : std::integral<T> ? 'i' : 'f') {}
  Nested(std::initializer_list<Nested> items) : items_(items), kind_('l') {}

 private:
  friend class Tensor;
  double number_ = 0;
  std::vector<Nested> items_;
  char kind_;
};

/// An immutable n-dimensional array or a place in a graph. Copying shares.
///
/// Concrete tensors come from numbers: `Tensor x = {{1.0f, 2.0f}, {3.0f, 4.0f}};` is float32 of shape (2, 2), lists of ints alone are
/// int32. Symbolic ones come from `Input` and from calling layers and ops on symbolic tensors.
class Tensor {
 public:
  Tensor() = default;
  /// A scalar that takes part in promotion as a Python number does: it does not widen a float16.
  template <class T>
    requires std::is_arithmetic_v<T>
  Tensor(T v) : Tensor(static_cast<double>(v), std::same_as<T, bool> ? 'b' : std::integral<T> ? 'i' : 'f') {}
  /// Nested lists: all ints give int32, all bools bool, else float32. ValueError on ragged lists.
  Tensor(std::initializer_list<Nested> items);
  template <class T>
  explicit Tensor(const std::vector<T>& values) requires std::is_arithmetic_v<T> : Tensor(from<T>(values, Shape{static_cast<int64_t>(values.size())})) {}
  /// Copies `values` (row-major) into a tensor of `shape`; ValueError when the counts differ.
  template <class T> static Tensor from(std::span<const T> values, const Shape& shape) { return from_bytes(values.data(), values.size(), dtype_of_v<T>, shape); }
  template <class T> static Tensor from(const std::vector<T>& values, const Shape& shape) {
    if constexpr (std::same_as<T, bool>) {
      std::vector<uint8_t> bytes(values.begin(), values.end());
      return from_bytes(bytes.data(), bytes.size(), DType::Bool, shape);
    } else {
      return from_bytes(values.data(), values.size(), dtype_of_v<T>, shape);
    }
  }
  static Tensor from_bytes(const void* data, size_t count, DType dtype, const Shape& shape);
  /// A concrete tensor whose numbers are not set; `mutable_data` of it may be written before it is shared.
  static Tensor empty(DType dtype, const Shape& shape);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::Float32);

  const Shape& shape() const;
  DType dtype() const;
  int rank() const { return shape().rank(); }
  int ndim() const { return rank(); }
  int64_t numel() const { return shape().numel(); }
  bool defined() const { return impl_ != nullptr; }
  /// Whether there is a tensor at all; for the number of a condition see `truth`, which comparisons are converted by.
  explicit operator bool() const { return defined(); }
  /// Whether the one number of a concrete tensor is not zero. ValueError on another count, TypeError where there is no number.
  bool truth() const;
  bool is_concrete() const;
  bool is_symbolic() const;
  bool is_traced() const;
  /// 'b', 'i' or 'f' for a scalar made from a plain number, 0 otherwise.
  char weak() const;
  /// Name of a symbolic tensor, "" otherwise.
  const std::string& name() const;

  /// The numbers of a concrete tensor, row-major; TypeError when T is not the dtype, RuntimeError when there are none.
  template <class T> std::span<const T> data() const {
    check_dtype(dtype_of_v<T>);
    return {static_cast<const T*>(raw()), static_cast<size_t>(numel())};
  }
  const void* raw() const;
  void* mutable_raw();
  template <class T> T* mutable_data() {
    check_dtype(dtype_of_v<T>);
    return static_cast<T*>(mutable_raw());
  }
  size_t nbytes() const { return static_cast<size_t>(numel()) * dtype_size(dtype()); }
  /// The one number of a tensor with one element, from any dtype.
  double item() const;
  /// All numbers converted to T.
  template <class T> std::vector<T> to_vector() const;
  /// A concrete tensor of another dtype (concrete tensors only; `ops::cast` is the operation).
  Tensor astype(DType dtype) const;
  /// Row i along the first axis of a concrete tensor, as a copy.
  Tensor row(int64_t i) const { return rows(i, i + 1, true); }
  Tensor rows(int64_t from, int64_t to, bool drop_axis = false) const;

  /// Keras' text: `<KerasTensor shape=(None, 4), dtype=float32, sparse=False, ragged=False, name=…>`, or the numbers.
  std::string str() const;

  // For the library's own rooms.
  explicit Tensor(std::shared_ptr<core::TensorImpl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<core::TensorImpl>& impl() const { return impl_; }
  /// The same place or the same numbers in memory.
  bool same(const Tensor& other) const { return impl_ == other.impl_; }

 private:
  Tensor(double v, char weak);
  void check_dtype(DType wanted) const;
  std::shared_ptr<core::TensorImpl> impl_;
};

std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

using Tensors = std::vector<Tensor>;

}  // namespace keras
