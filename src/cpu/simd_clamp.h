// What lives here: the greater and the smaller of a bound and a value on Highway vectors, where NaN stays NaN. Included once per target
// (no ordinary include guard).
#if defined(KERAS_CPU_SIMD_CLAMP_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERAS_CPU_SIMD_CLAMP_H_
#undef KERAS_CPU_SIMD_CLAMP_H_
#else
#define KERAS_CPU_SIMD_CLAMP_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {

// x86's instructions give their second operand for NaN; Highway's scalar functions give the one that is a number, in whichever order.
template <class V> HWY_INLINE V greater_of(V bound, V x) {
#if HWY_TARGET == HWY_SCALAR
  return hwy::HWY_NAMESPACE::IfThenElse(hwy::HWY_NAMESPACE::Lt(x, bound), bound, x);
#else
  return hwy::HWY_NAMESPACE::Max(bound, x);
#endif
}
template <class V> HWY_INLINE V smaller_of(V bound, V x) {
#if HWY_TARGET == HWY_SCALAR
  return hwy::HWY_NAMESPACE::IfThenElse(hwy::HWY_NAMESPACE::Gt(x, bound), bound, x);
#else
  return hwy::HWY_NAMESPACE::Min(bound, x);
#endif
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
