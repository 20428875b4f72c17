// What lives here: C++ operators on tensors, element by element. `==` and `!=` are not among them: write ops::equal.
#pragma once
#include <keras/ops/numpy.h>

namespace keras {

inline Tensor operator+(const Tensor& a, const Tensor& b) { return ops::add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return ops::subtract(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return ops::multiply(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return ops::divide(a, b); }
inline Tensor operator%(const Tensor& a, const Tensor& b) { return ops::mod(a, b); }
inline Tensor operator-(const Tensor& a) { return ops::negative(a); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return ops::less(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return ops::less_equal(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return ops::greater(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return ops::greater_equal(a, b); }
inline Tensor& operator+=(Tensor& a, const Tensor& b) { return a = ops::add(a, b); }
inline Tensor& operator-=(Tensor& a, const Tensor& b) { return a = ops::subtract(a, b); }
inline Tensor& operator*=(Tensor& a, const Tensor& b) { return a = ops::multiply(a, b); }
inline Tensor& operator/=(Tensor& a, const Tensor& b) { return a = ops::divide(a, b); }

}  // namespace keras
