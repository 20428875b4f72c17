// What lives here: the one table of elementwise operations. A row names the operation, its number of operands and the
// rule for the dtype of its result; the IR, the tile programs and the slow reference are all made from it.
#pragma once
#include <cstdint>

namespace keras::ir {

// X(name, arity, result): result is Same (dtype of the last operand), Bool, or Cast (the node's attribute).
// Integer semantics follow NumPy: floor_div and mod round towards minus infinity, shifts of signed values are arithmetic.
// maximum and minimum propagate NaN. sign(NaN) is NaN. round is half to even. select(cond, a, b).
#define KERAS_ELEMENTWISE(X)                                                                                             \
  X(copy, 1, Same) X(cast, 1, Cast) X(bitcast, 1, Cast)                                                                  \
  X(neg, 1, Same) X(abs, 1, Same) X(sign, 1, Same) X(square, 1, Same) X(sqrt, 1, Same) X(rsqrt, 1, Same)                 \
  X(reciprocal, 1, Same) X(exp, 1, Same) X(expm1, 1, Same) X(log, 1, Same) X(log1p, 1, Same) X(log2, 1, Same)            \
  X(log10, 1, Same) X(sin, 1, Same) X(cos, 1, Same) X(tan, 1, Same) X(asin, 1, Same) X(acos, 1, Same) X(atan, 1, Same)   \
  X(sinh, 1, Same) X(cosh, 1, Same) X(tanh, 1, Same) X(asinh, 1, Same) X(acosh, 1, Same) X(atanh, 1, Same)               \
  X(erf, 1, Same) X(erfc, 1, Same) X(erfinv, 1, Same) X(sigmoid, 1, Same) X(softplus, 1, Same) X(lgamma, 1, Same)        \
  X(digamma, 1, Same) X(floor, 1, Same) X(ceil, 1, Same) X(round, 1, Same) X(trunc, 1, Same) X(bitwise_not, 1, Same)     \
  X(logical_not, 1, Bool) X(isnan, 1, Bool) X(isinf, 1, Bool) X(isfinite, 1, Bool)                                       \
  X(add, 2, Same) X(sub, 2, Same) X(mul, 2, Same) X(div, 2, Same) X(pow, 2, Same) X(maximum, 2, Same)                    \
  X(minimum, 2, Same) X(mod, 2, Same) X(fmod, 2, Same) X(floor_div, 2, Same) X(atan2, 2, Same) X(nextafter, 2, Same)     \
  X(bitwise_and, 2, Same) X(bitwise_or, 2, Same) X(bitwise_xor, 2, Same) X(shift_left, 2, Same) X(shift_right, 2, Same)  \
  X(logical_and, 2, Bool) X(logical_or, 2, Bool) X(logical_xor, 2, Bool)                                                 \
  X(equal, 2, Bool) X(not_equal, 2, Bool) X(less, 2, Bool) X(less_equal, 2, Bool) X(greater, 2, Bool)                    \
  X(greater_equal, 2, Bool)                                                                                              \
  X(select, 3, Same)

enum class Ew : uint8_t {
#define X(name, arity, result) name,
  KERAS_ELEMENTWISE(X)
#undef X
      count_
};
enum class EwResult : uint8_t { Same, Bool, Cast };

struct EwInfo {
  const char* name;
  int arity;
  EwResult result;
};
inline constexpr EwInfo kEwInfo[] = {
#define X(name, arity, result) {#name, arity, EwResult::result},
    KERAS_ELEMENTWISE(X)
#undef X
};
constexpr const EwInfo& info(Ew op) { return kEwInfo[static_cast<int>(op)]; }

}  // namespace keras::ir
