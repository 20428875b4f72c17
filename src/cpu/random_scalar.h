// What lives here: one random number at a time, for the types and distributions that have no SIMD code of their own. Only
// formulas: nothing here knows ranges of elements, threads or kernels.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "cpu/random_kernels.h"

namespace keras::cpu::detail {

// Giles' approximation of erfinv in single precision: the centre, then the tail. Highest power first.
inline constexpr float kErfInvCentre[9] = {2.81022636e-08f, 3.43273939e-07f,  -3.5233877e-06f, -4.39150654e-06f, 2.1858087e-04f,
                                           -1.25372503e-03f, -4.17768164e-03f, 0.246640727f,    1.50140941f};
inline constexpr float kErfInvTail[9] = {-2.00214257e-04f, 1.00950558e-04f, 1.34934322e-03f, -3.67342844e-03f, 5.73950773e-03f,
                                         -7.6224613e-03f,  9.43887047e-03f, 1.00167406f,     2.83297682f};
inline constexpr float kSqrt2 = 1.41421356237309504880f;

/// How many random bits a floating type takes, and the number in [0, 1) that they make.
template <class T> struct Format;
template <> struct Format<float> {
  using Word = uint32_t;
  static float unit(Word w) { return std::bit_cast<float>(w >> 9 | 0x3F800000u) - 1.0f; }
};
template <> struct Format<double> {
  using Word = uint64_t;
  static double unit(Word w) { return std::bit_cast<double>(w >> 12 | 0x3FF0000000000000u) - 1.0; }
};

inline float erfinv(float x) {
  float w = -std::log1p(-x * x);
  const bool centre = w < 5.0f;
  const float* c = centre ? kErfInvCentre : kErfInvTail;
  w = centre ? w - 2.5f : std::sqrt(w) - 3.0f;
  float p = c[0];
  for (int i = 1; i < 9; ++i) p = std::fma(p, w, c[i]);
  return p * x;
}

/// Full double precision: a first guess (single precision, or the first terms of the tail), refined by Halley's steps on erf,
/// in the tails on erfc, where 1 - |x| is exact.
inline double erfinv(double x) {
  const double a = std::fabs(x);
  if (a == 0.0) return x;
  if (a >= 1.0) return a == 1.0 ? std::copysign(std::numeric_limits<double>::infinity(), x) : std::numeric_limits<double>::quiet_NaN();
  const double tail = 1.0 - a;
  double y;
  if (tail > 1e-6) {
    y = erfinv(static_cast<float>(a));
  } else {
    const double l = -std::log(tail);
    y = std::sqrt(l);
    for (int i = 0; i < 2; ++i) y = std::sqrt(l - std::log(y * 1.7724538509055160273));
  }
  for (int i = 0; i < 2; ++i) {
    const double error = a < 0.5 ? std::erf(y) - a : tail - std::erfc(y);
    const double d = error / (1.1283791670955125739 * std::exp(-y * y));
    y -= d / (1.0 + y * d);
  }
  return std::copysign(y, x);
}

template <class T> T uniform_value(typename Format<T>::Word w, T low, T high) {
  return std::max(low, std::fma(Format<T>::unit(w), high - low, low));
}
template <class T> T below_one() { return std::nextafter(T{1}, T{0}); }
template <class T> T normal_value(typename Format<T>::Word w) {
  return static_cast<T>(1.41421356237309504880) * erfinv(uniform_value<T>(w, -below_one<T>(), T{1}));
}

/// The word of element `n` of a draw of T.
template <class T> typename Format<T>::Word word_at(RandomKey key, uint64_t n) {
  const RandomKey w = threefry2x32(key, static_cast<uint32_t>(n >> 32), static_cast<uint32_t>(n));
  if constexpr (sizeof(T) == 4) return w[0] ^ w[1];
  else return static_cast<uint64_t>(w[0]) << 32 | w[1];
}
template <class T> T unit_at(RandomKey key, uint64_t n) { return Format<T>::unit(word_at<T>(key, n)); }

}  // namespace keras::cpu::detail
