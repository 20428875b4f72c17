// What lives here: two loops that do nothing but multiply and add in registers, and but stream through memory, and their times.
#include "cpu/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include <hwy/aligned_allocator.h>

#include "cpu/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/peak.cpp"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace keras::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Twelve chains hide the latency of a fused multiply-add on all cores there are. Gives the operations, and a number made of all of them.
double peak_fma(int64_t rounds, float* result) {
  const hn::ScalableTag<float> d;
  const auto x = hn::Set(d, 0.999999f), y = hn::Set(d, 1e-6f);
  auto a = x, b = x, c = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x, m = x;
  for (int64_t r = 0; r < rounds; ++r) {
    a = hn::MulAdd(a, x, y), b = hn::MulAdd(b, x, y), c = hn::MulAdd(c, x, y), e = hn::MulAdd(e, x, y);
    f = hn::MulAdd(f, x, y), g = hn::MulAdd(g, x, y), h = hn::MulAdd(h, x, y), i = hn::MulAdd(i, x, y);
    j = hn::MulAdd(j, x, y), k = hn::MulAdd(k, x, y), l = hn::MulAdd(l, x, y), m = hn::MulAdd(m, x, y);
  }
  const auto sum =
      hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, e)), hn::Add(hn::Add(hn::Add(f, g), hn::Add(h, i)), hn::Add(hn::Add(j, k), hn::Add(l, m))));
  *result = hn::GetLane(hn::SumOfLanes(d, sum));
  return 2.0 * 12 * static_cast<double>(rounds) * static_cast<double>(hn::Lanes(d));
}

void peak_stream(float* a, const float* b, const float* c, int64_t n) {
  const hn::ScalableTag<float> d;
  const auto s = hn::Set(d, 3.0f);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i + lanes <= n; i += lanes) hn::Stream(hn::MulAdd(s, hn::Load(d, c + i), hn::Load(d, b + i)), d, a + i);
}

}  // namespace keras::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace keras::cpu {

HWY_EXPORT(peak_fma);
HWY_EXPORT(peak_stream);

Peak measure_peak() {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](auto&& work) {
    const auto start = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  Peak peak;
  peak.threads = num_threads();
  const int64_t threads = peak.threads;
  constexpr int64_t kRounds = 400000;  // some milliseconds: longer than waking a thread takes
  std::vector<float> results(static_cast<size_t>(threads) * 16);
  for (int round = 0; round < 8; ++round) {
    std::atomic<double> operations{0};
    const double t = seconds([&] {
      parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          operations.fetch_add(HWY_DYNAMIC_DISPATCH(peak_fma)(kRounds, &results[static_cast<size_t>(i) * 16]));
      });
    });
    peak.flops = std::max(peak.flops, operations / t);
  }
  constexpr int64_t kFloats = 8 << 20, kPiece = 1 << 16;  // 32 MiB each
  const hwy::AlignedFreeUniquePtr<float[]> a = hwy::AllocateAligned<float>(kFloats), b = hwy::AllocateAligned<float>(kFloats),
                                           c = hwy::AllocateAligned<float>(kFloats);
  parallel_for(kFloats / kPiece, 1, [&](int64_t begin, int64_t end) {
    for (float* p : {a.get(), b.get(), c.get()}) std::fill(p + begin * kPiece, p + end * kPiece, 1.0f);
  });
  for (int round = 0; round < 6; ++round) {
    const double t = seconds([&] {
      parallel_for(kFloats / kPiece, 4, [&](int64_t begin, int64_t end) {
        HWY_DYNAMIC_DISPATCH(peak_stream)
        (a.get() + begin * kPiece, b.get() + begin * kPiece, c.get() + begin * kPiece, (end - begin) * kPiece);
      });
    });
    peak.bytes = std::max(peak.bytes, 3.0 * sizeof(float) * kFloats / t);
  }
  return peak;
}

}  // namespace keras::cpu
#endif
