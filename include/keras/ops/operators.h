// What lives here: C++ operators on tensors, element by element. `==` and `!=` are not among them: write ops::equal.
#pragma once
#include <utility>

#include <keras/ops/numpy.h>

namespace keras {

/// What a comparison gives: a tensor of bools. As a condition it is its truth: `if (loss < best)` asks the number of a concrete tensor with
/// one element. ValueError when there are several elements (see ops::all, ops::any); TypeError when there is no number yet, for symbolic and
/// traced tensors (see ops::where, ops::cond).
struct Comparison : Tensor {
  explicit Comparison(Tensor t) : Tensor(std::move(t)) {}
  explicit operator bool() const { return truth(); }
};

inline Tensor operator+(const Tensor& a, const Tensor& b) { return ops::add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return ops::subtract(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return ops::multiply(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return ops::divide(a, b); }
inline Tensor operator%(const Tensor& a, const Tensor& b) { return ops::mod(a, b); }
inline Tensor operator-(const Tensor& a) { return ops::negative(a); }
inline Comparison operator<(const Tensor& a, const Tensor& b) { return Comparison(ops::less(a, b)); }
inline Comparison operator<=(const Tensor& a, const Tensor& b) { return Comparison(ops::less_equal(a, b)); }
inline Comparison operator>(const Tensor& a, const Tensor& b) { return Comparison(ops::greater(a, b)); }
inline Comparison operator>=(const Tensor& a, const Tensor& b) { return Comparison(ops::greater_equal(a, b)); }
inline Tensor& operator+=(Tensor& a, const Tensor& b) { return a = ops::add(a, b); }
inline Tensor& operator-=(Tensor& a, const Tensor& b) { return a = ops::subtract(a, b); }
inline Tensor& operator*=(Tensor& a, const Tensor& b) { return a = ops::multiply(a, b); }
inline Tensor& operator/=(Tensor& a, const Tensor& b) { return a = ops::divide(a, b); }

}  // namespace keras
