// What lives here: the shape of a tensor, sizes known or None.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace keras {

/// An unknown size (Python's None), printed as None.
inline constexpr int64_t None = -1;

/// The sizes of a tensor's axes; a size may be None. `Shape{None, 784}` prints as `(None, 784)`.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  bool empty() const { return dims_.empty(); }
  size_t size() const { return dims_.size(); }
  /// Size of an axis; negative counts from the end. ValueError outside the rank.
  int64_t operator[](int axis) const { return dims_[index(axis)]; }
  int64_t& operator[](int axis) { return dims_[index(axis)]; }
  int64_t back() const { return (*this)[-1]; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  auto begin() { return dims_.begin(); }
  auto end() { return dims_.end(); }
  void push_back(int64_t d);
  void insert(int axis, int64_t d);
  void erase(int axis);
  const std::vector<int64_t>& dims() const { return dims_; }
  /// True when every size is known.
  bool is_static() const;
  /// Number of elements; None when a size is unknown (0 wins).
  int64_t numel() const;
  /// Axes [from, to), as in Python slices: `shape.slice(1)` drops the batch axis.
  Shape slice(int from, int to = 1 << 30) const;
  /// Python's tuple text: `()`, `(3,)`, `(None, 784)`.
  std::string str() const;
  friend bool operator==(const Shape&, const Shape&) = default;
  friend Shape operator+(const Shape& a, const Shape& b);

 private:
  size_t index(int axis) const;
  std::vector<int64_t> dims_;
};

/// NumPy's broadcast of two shapes; None with 1 is None, None with n is n. ValueError naming both otherwise.
Shape broadcast_shapes(const Shape& a, const Shape& b);
/// `axis` brought into [0, rank); ValueError naming axis and rank otherwise.
int normalize_axis(int axis, int rank, const char* where = "axis");
/// Equal where both sizes are known, and of equal rank.
bool compatible(const Shape& a, const Shape& b);

}  // namespace keras
