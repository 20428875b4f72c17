// What lives here: what the tests of dot, conv and pool share: aligned typed buffers, random contents, running a kernel. Tests only.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include <hwy/targets.h>

#include "cpu/epilogue.h"
#include "cpu/thread_pool.h"
#include "engine/kernel.h"

namespace keras::cpu::testing {

/// A typed buffer that ends right before a guard, so that writes past the end are seen.
class Buffer {
 public:
  Buffer(DType dtype, int64_t n)
      : dtype_(dtype), n_(n), bytes_(static_cast<size_t>(n) * dtype_size(dtype)), data_(new (std::align_val_t{64}) char[bytes_ + kGuard]) {
    std::memset(data_.get(), 0x7b, bytes_ + kGuard);
  }
  void* data() const { return data_.get(); }
  int64_t size() const { return n_; }
  size_t bytes() const { return bytes_; }
  double at(int64_t i) const {
    return visit_dtype(dtype_, [&](auto t) { return static_cast<double>(reinterpret_cast<const decltype(t)*>(data_.get())[i]); });
  }
  void set(int64_t i, double v) {
    visit_dtype(dtype_, [&](auto t) { reinterpret_cast<decltype(t)*>(data_.get())[i] = static_cast<decltype(t)>(v); });
  }
  bool guard_intact() const {
    for (size_t i = 0; i < kGuard; ++i) {
      if (data_.get()[bytes_ + i] != 0x7b) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 256;
  struct Free {
    void operator()(char* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  DType dtype_;
  int64_t n_;
  size_t bytes_;
  std::unique_ptr<char[], Free> data_;
};

inline Buffer random_buffer(DType dtype, int64_t n, uint32_t seed) {
  Buffer b(dtype, n);
  std::mt19937 gen(seed);
  for (int64_t i = 0; i < n; ++i) {
    const double u = static_cast<double>(gen()) / 4294967296.0;
    b.set(i, is_floating(dtype) ? 2 * u - 1 : dtype == DType::Bool ? u < 0.2 : std::floor(u * 7) - (is_signed_integer(dtype) ? 3 : 0));
  }
  return b;
}

/// Tests once per instruction set: the parameter is one of Highway's targets, which kernels run with until the test ends.
class ByTarget : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { choose(GetParam()); }
  void TearDown() override { choose(0); }

 private:
  static void choose(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

/// Runs with one thread and with two, twice each; the bits must agree. Returns the output.
inline Buffer run_kernel(const engine::Kernel& k, const std::vector<const Buffer*>& in, DType dtype, int64_t out_size) {
  std::vector<void*> ins;
  for (const Buffer* b : in) ins.push_back(b->data());
  Buffer scratch(DType::UInt8, static_cast<int64_t>(k.scratch_bytes()));
  Buffer first(dtype, out_size);
  const int threads_before = num_threads();
  for (int i = 0; i < 3; ++i) {
    set_num_threads(i < 1 ? 1 : 2);
    Buffer out(dtype, out_size);
    std::memset(scratch.data(), 0xff, scratch.bytes());
    void* outs[] = {i == 0 ? first.data() : out.data()};
    k.run(ins.data(), outs, scratch.data());
    EXPECT_TRUE(first.guard_intact() && out.guard_intact() && scratch.guard_intact()) << k.describe();
    if (i > 0) {
      EXPECT_EQ(std::memcmp(first.data(), out.data(), out.bytes()), 0)
          << "bits differ with " << num_threads() << " threads: " << k.describe();
    }
  }
  set_num_threads(threads_before);
  return first;
}

/// The form that the kernel makes of an input that is kept (engine/kernel.h).
inline Buffer prepared(const engine::Kernel& k, size_t input, const Buffer& from, size_t bytes) {
  Buffer form(DType::UInt8, static_cast<int64_t>(bytes)), scratch(DType::UInt8, static_cast<int64_t>(k.scratch_bytes()));
  k.prepare(input, from.data(), form.data(), scratch.data());
  EXPECT_TRUE(form.guard_intact() && scratch.guard_intact()) << k.describe();
  return form;
}

inline double activation(const Epilogue& e, double x) {
  switch (e.act) {
    case Epilogue::Act::None: return x;
    case Epilogue::Act::Relu: return x < 0 ? x * e.alpha : x;
    case Epilogue::Act::Relu6: return std::min(6.0, std::max(0.0, x));
    case Epilogue::Act::Gelu: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Epilogue::Act::GeluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Epilogue::Act::Tanh: return std::tanh(x);
    case Epilogue::Act::Sigmoid: return 1 / (1 + std::exp(-x));
    case Epilogue::Act::Elu: return x < 0 ? e.alpha * std::expm1(x) : x;
    case Epilogue::Act::Swish: return x / (1 + std::exp(-x));
    case Epilogue::Act::HardSwish: return x * std::min(6.0, std::max(0.0, x + 3)) / 6;
  }
  return x;
}

inline double tolerance(DType d) {
  switch (d) {
    case DType::BFloat16: return 1.2e-2;
    case DType::Float16: return 1.5e-3;
    case DType::Float32: return 2e-6;
    case DType::Float64: return 1e-13;
    default: return 0;
  }
}

/// What `dtype` makes of a sum that wraps.
inline double wrapped(DType dtype, double v) {
  if (is_floating(dtype)) return v;
  return visit_dtype(dtype, [&](auto t) { return static_cast<double>(static_cast<decltype(t)>(static_cast<int64_t>(v))); });
}

/// Compares with a reference; `scale` is the size of what was summed.
inline void expect_close(const Buffer& got, const std::vector<double>& want, DType dtype, double scale, const char* what) {
  ASSERT_EQ(got.size(), static_cast<int64_t>(want.size()));
  int bad = 0;
  for (int64_t i = 0; i < got.size() && bad < 3; ++i) {
    const double w = want[static_cast<size_t>(i)], g = got.at(i);
    if (!(std::abs(g - w) <= tolerance(dtype) * (scale + std::abs(w)))) {
      ++bad;
      ADD_FAILURE() << what << " at " << i << ": " << g << " instead of " << w;
    }
  }
}

}  // namespace keras::cpu::testing
