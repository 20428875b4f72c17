// What lives here: what the tests of the seed behaviours share. No tests.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <keras/keras.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace keras {
inline void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.str(); }

namespace seeds {

using Numbers = std::vector<double>;

inline Numbers numbers(const Tensor& t) { return t.to_vector<double>(); }

inline void expect_near(const Tensor& got, const Numbers& want, double tolerance = 1e-5) {
  Numbers g = numbers(got);
  ASSERT_EQ(g.size(), want.size());
  for (size_t i = 0; i < g.size(); ++i) ASSERT_NEAR(g[i], want[i], tolerance * std::max(1.0, std::abs(want[i]))) << "at " << i << " of " << got.shape().str();
}
inline void expect_near(const Tensor& got, const Tensor& want, double tolerance = 1e-5) {
  ASSERT_EQ(got.shape(), want.shape());
  expect_near(got, numbers(want), tolerance);
}
inline void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  ASSERT_EQ(a.dtype(), b.dtype());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.nbytes()), 0);
}

/// The text of the error of kind E that `f` throws; "" when it throws none.
template <class E> std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}

/// Numbers that differ from place to place and are the same in every run.
inline Tensor some(const Shape& shape, DType dtype = DType::Float32, int64_t seed = 7) { return random::RandomState(seed).uniform(-1, 1, shape).astype(dtype); }

inline std::string scratch_file(const std::string& name) {
  auto folder = std::filesystem::temp_directory_path() / ("keras_seeds_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  return (folder / name).string();
}

}  // namespace seeds
}  // namespace keras
