// What lives here: the small argument types of keras::ops: axes, sizes, numbers, pad widths, index keys. No operations.
#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <keras/core/tensor.h>

namespace keras {

/// Keras' `axis`: nothing (`std::nullopt`, `{}`: all axes), one axis, or several. Negative ones count from the end.
class Axes {
 public:
  Axes() = default;
  Axes(std::nullopt_t) {}
  template <std::integral T> Axes(T axis) : Axes(std::optional<int>(static_cast<int>(axis))) {}
  Axes(std::initializer_list<int> axes);
  Axes(std::vector<int> axes);
  Axes(const std::optional<int>& axis);
  /// True when no axis was given, which means all of them.
  bool all() const { return !given_; }
  /// True when made from one number.
  bool single() const { return single_; }
  /// As given.
  const std::vector<int>& list() const { return v_; }
  /// Brought into [0, rank), sorted; all axes when none were given. ValueError on axes outside the rank or given twice.
  std::vector<int64_t> resolve(int rank, const char* where = "axis") const;

 private:
  bool given_ = false, single_ = false;
  std::vector<int> v_;
};

/// One whole number or several: kernel sizes, strides, repeats, sections.
class Sizes {
 public:
  Sizes() = default;
  template <std::integral T> Sizes(T v) : Sizes({static_cast<int64_t>(v)}) { single_ = true; }
  Sizes(std::initializer_list<int64_t> v);
  Sizes(std::vector<int64_t> v);
  Sizes(const std::vector<int>& v);
  Sizes(const Shape& s);
  bool single() const { return single_; }
  bool empty() const { return v_.empty(); }
  size_t size() const { return v_.size(); }
  int64_t operator[](size_t i) const { return v_[i]; }
  const std::vector<int64_t>& list() const { return v_; }
  /// `n` numbers: the one number repeated, or the list, whose length must be `n`. ValueError naming `what` otherwise.
  std::vector<int64_t> expand(size_t n, const char* what) const;

 private:
  bool single_ = false;
  std::vector<int64_t> v_;
};

/// A plain number that remembers whether it is whole: the bounds of `arange`, the value of `full`.
struct Number {
  double value = 0;
  char kind = 'i';  // 'b', 'i' or 'f'
  Number() = default;
  template <class T>
  requires std::is_arithmetic_v<T> Number(T v)
      : value(static_cast<double>(v)),
        kind(std::same_as<T, bool> ? 'b'
             : std::integral<T>    ? 'i'
                                   : 'f') {}
};

/// Widths of `pad`: one number for all edges, or (before, after) per axis; one pair alone holds for every axis.
class PadWidth {
 public:
  using Pair = std::pair<int64_t, int64_t>;
  template <std::integral T> PadWidth(T v) : PadWidth({Pair{static_cast<int64_t>(v), static_cast<int64_t>(v)}}) {}
  PadWidth(std::initializer_list<Pair> v);
  PadWidth(std::vector<Pair> v);
  std::vector<Pair> expand(int rank) const;
  /// As given.
  const std::vector<Pair>& list() const { return v_; }

 private:
  std::vector<Pair> v_;
};

/// Python's `start:stop:step`; empty members as in Python.
struct Slice {
  std::optional<int64_t> start{}, stop{}, step{};
};
struct EllipsisType {};
struct NewAxisType {};
inline constexpr EllipsisType Ellipsis{};
inline constexpr NewAxisType NewAxis{};

/// One item of an index key: a number, a slice, `Ellipsis`, `NewAxis`, or a tensor of integers or bools.
class Index {
 public:
  enum class Kind : char { Number, Slice, Ellipsis, NewAxis, Tensor };
  template <std::integral T> Index(T i) : kind(Kind::Number), number(static_cast<int64_t>(i)) {}
  Index(Slice s) : kind(Kind::Slice), slice(s) {}
  Index(EllipsisType) : kind(Kind::Ellipsis) {}
  Index(NewAxisType) : kind(Kind::NewAxis) {}
  Index(Tensor t);

  Kind kind;
  // What `kind` says is set.
  int64_t number = 0;
  keras::Slice slice{};
  keras::Tensor tensor{};
};

using OptDType = std::optional<DType>;

namespace ops {
/// Real and imaginary part: tensors are real, so complex numbers are pairs.
using Complex = std::pair<Tensor, Tensor>;
}  // namespace ops

}  // namespace keras
