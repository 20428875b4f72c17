// What lives here: for the tests of ops: inputs, and one check of an operation that looks at everything: numbers, dtype, the same inside
// a compiled function, and the shapes that symbolic calls give, also with an unknown first size.
#pragma once
#include <gtest/gtest.h>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <keras/core/function.h>
#include <keras/ops.h>

#include "core/impl.h"

namespace keras::ops_test {

/// sin(scale·k + phase), row-major: numbers that NumPy makes alike.
inline Tensor wave(const Shape& shape, double scale = 1.0, double phase = 0.0) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < v.size(); ++k) v[k] = static_cast<float>(std::sin(scale * static_cast<double>(k) + phase));
  return Tensor::from(v, shape);
}
inline Tensor count(const Shape& shape, DType dtype = DType::Int32) {
  std::vector<double> v(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < v.size(); ++k) v[k] = static_cast<double>(k);
  return Tensor::from(v, shape).astype(dtype);
}

struct Expected {
  DType dtype;
  Shape shape;
  std::vector<double> values;
};
inline void same_numbers(const Tensor& got, const Expected& want, const std::string& how, double tolerance) {
  ASSERT_EQ(got.shape(), want.shape) << how;
  EXPECT_STREQ(dtype_name(got.dtype()), dtype_name(want.dtype)) << how;
  std::vector<double> g = got.to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) {
    if (g[i] == want.values[i] || (std::isnan(g[i]) && std::isnan(want.values[i]))) continue;
    ASSERT_NEAR(g[i], want.values[i], tolerance * (1 + std::abs(want.values[i]))) << how << ", element " << i;
  }
}
using Body = std::function<Tensor(const Tensors&)>;
enum class Trace { Yes, No };
/// `No` for operations whose result's size depends on numbers.
inline void check(const char* what, const Tensors& inputs, const Body& body, const Expected& want, Trace trace = Trace::Yes,
                  double tolerance = 2e-5) {
  SCOPED_TRACE(what);
  same_numbers(body(inputs), want, "eager", tolerance);
  if (trace == Trace::No) return;
  if (!inputs.empty()) {
    Function f([&](const Tensors& in) { return Tensors{body(in)}; });
    same_numbers(f(inputs)[0], want, "compiled", tolerance);
    for (bool known : {true, false}) {
      Tensors symbols;
      for (const Tensor& t : inputs) {
        Shape s = t.shape();
        if (!known && symbols.empty() && s.rank() > 1) s[0] = None;
        symbols.push_back(core::make_symbolic({t.dtype(), s}, "input"));
      }
      try {
        Tensor y = body(symbols);
        EXPECT_TRUE(compatible(y.shape(), want.shape)) << "symbolic " << y.shape().str() << ", computed " << want.shape.str();
        EXPECT_EQ(y.dtype(), want.dtype) << "symbolic";
      } catch (const ValueError& e) {
        if (known) FAIL() << e.what();
      }
    }
  }
}
template <class E, class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) { return e.what(); } catch (const std::exception& e) {
    ADD_FAILURE() << "another exception: " << e.what();
    return "";
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace keras::ops_test
