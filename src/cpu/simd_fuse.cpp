// What lives here: the float32 kernels of two arithmetic operations in one, (a op1 b) op2 c.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd_fuse.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
using namespace simd;
}
HWY_AFTER_NAMESPACE();
#include "cpu/simd_loops.h"

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {

template <First f, class D, class V> HWY_INLINE V first(D, V a, V b) {
  if constexpr (f == First::add) return hn::Add(a, b);
  else if constexpr (f == First::sub) return hn::Sub(a, b);
  else if constexpr (f == First::mul) return hn::Mul(a, b);
  else return hn::Div(a, b);
}
template <First f, Second s> struct Fuse2 {
  template <class D, class V> HWY_INLINE V operator()(D d, V a, V b, V c) const {
    const V t = first<f>(d, a, b);
    if constexpr (s == Second::add) return hn::Add(t, c);
    else if constexpr (s == Second::sub) return hn::Sub(t, c);
    else if constexpr (s == Second::rsub) return hn::Sub(c, t);
    else if constexpr (s == Second::mul) return hn::Mul(t, c);
    else if constexpr (s == Second::div) return hn::Div(t, c);
    else return hn::Div(c, t);
  }
};
template <int i> Fn fuse2_at(int wanted) {
  if constexpr (i == 24) {
    return nullptr;
  } else {
    if (wanted == i) return map3<float, Fuse2<static_cast<First>(i / 6), static_cast<Second>(i % 6)>>;
    return fuse2_at<i + 1>(wanted);
  }
}
Fn f32_fuse2(Op op) { return fuse2_at<0>(static_cast<int>(op) - static_cast<int>(Op::fuse2_first)); }

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(f32_fuse2);
namespace simd {
Fn find_f32_fuse2(Op op) { return HWY_DYNAMIC_DISPATCH(f32_fuse2)(op); }
}  // namespace simd
}  // namespace keras::cpu
#endif
