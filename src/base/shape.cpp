// What lives here: arithmetic on shapes. Nothing about tensors.
#include <keras/base/error.h>
#include <keras/base/shape.h>

#include <algorithm>

namespace keras {

size_t Shape::index(int axis) const {
  int r = rank(), a = axis < 0 ? axis + r : axis;
  if (a < 0 || a >= r)
    throw ValueError(ErrorText{.what = "axis " + std::to_string(axis) + " is outside the shape " + str(),
                               .expected = "an axis from " + std::to_string(-r) + " to " + std::to_string(r - 1)}
                         .str());
  return static_cast<size_t>(a);
}

void Shape::push_back(int64_t d) { dims_.push_back(d); }
void Shape::insert(int axis, int64_t d) { dims_.insert(dims_.begin() + axis, d); }
void Shape::erase(int axis) { dims_.erase(dims_.begin() + static_cast<int64_t>(index(axis))); }

bool Shape::is_static() const {
  return std::none_of(dims_.begin(), dims_.end(), [](int64_t d) { return d < 0; });
}

int64_t Shape::numel() const {
  int64_t n = 1;
  bool unknown = false;
  for (int64_t d : dims_) {
    if (d < 0) unknown = true;
    else if (__builtin_mul_overflow(n, d, &n)) n = INT64_MAX;  // more than anything can hold; a zero still makes it none
  }
  return n == 0 ? 0 : unknown ? None : n;
}

Shape Shape::slice(int from, int to) const {
  int r = rank();
  auto fix = [&](int i) { return std::clamp(i < 0 ? i + r : i, 0, r); };
  from = fix(from), to = fix(to);
  return from >= to ? Shape{} : Shape(std::vector<int64_t>(dims_.begin() + from, dims_.begin() + to));
}

std::string Shape::str() const {
  std::string s = "(";
  for (size_t i = 0; i < dims_.size(); ++i) {
    if (i) s += ", ";
    s += dims_[i] < 0 ? "None" : std::to_string(dims_[i]);
  }
  if (dims_.size() == 1) s += ",";
  return s + ")";
}

Shape operator+(const Shape& a, const Shape& b) {
  std::vector<int64_t> d = a.dims_;
  d.insert(d.end(), b.dims_.begin(), b.dims_.end());
  return Shape(std::move(d));
}

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  int ra = a.rank(), rb = b.rank(), r = std::max(ra, rb);
  std::vector<int64_t> out(static_cast<size_t>(r));
  for (int i = 0; i < r; ++i) {
    int64_t x = i < r - ra ? 1 : a[i - (r - ra)], y = i < r - rb ? 1 : b[i - (r - rb)];
    int64_t z;
    if (x == y) z = x;
    else if (x == 1) z = y;
    else if (y == 1) z = x;
    else if (x < 0) z = y;
    else if (y < 0) z = x;
    else
      throw ValueError(ErrorText{.what = "the shapes " + a.str() + " and " + b.str() + " can't be broadcast to one shape",
                                 .expected = "equal sizes, or a size of 1, on every axis counted from the end"}
                           .str());
    out[static_cast<size_t>(i)] = z;
  }
  return Shape(std::move(out));
}

int normalize_axis(int axis, int rank, const char* where) {
  int a = axis < 0 ? axis + rank : axis;
  if (a < 0 || a >= rank)
    throw ValueError(ErrorText{.what = "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank),
                               .where = std::string_view(where) == "axis" ? "" : where,
                               .expected = "from " + std::to_string(-rank) + " to " + std::to_string(rank - 1)}
                         .str());
  return a;
}

bool compatible(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return false;
  for (int i = 0; i < a.rank(); ++i)
    if (a[i] >= 0 && b[i] >= 0 && a[i] != b[i]) return false;
  return true;
}

}  // namespace keras
