// What lives here: the float64 kernels that are worth vectors; elementary functions on doubles are std's, one by one.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd_f64.cpp"
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
Fn f64_kernel(Op op) { return op == Op::div ? static_cast<Fn>(map2<double, FDiv>) : shared_kernel<double>(op); }
Fn f64_reduce(Reduce r, Pre pre) { return reduce_of<double>(r, pre); }
ColumnFn f64_column(Reduce r, Pre pre) { return column_of<double>(r, pre); }
}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {
HWY_EXPORT(f64_kernel);
HWY_EXPORT(f64_reduce);
HWY_EXPORT(f64_column);
namespace simd {
Fn find_f64(Op op) { return HWY_DYNAMIC_DISPATCH(f64_kernel)(op); }
Fn find_f64_reduce(Reduce r, Pre pre) { return HWY_DYNAMIC_DISPATCH(f64_reduce)(r, pre); }
ColumnFn find_f64_column(Reduce r, Pre pre) { return HWY_DYNAMIC_DISPATCH(f64_column)(r, pre); }
}  // namespace simd
}  // namespace keras::cpu
#endif
