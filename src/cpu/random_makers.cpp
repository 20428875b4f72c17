// What lives here: the random draws as kernels of an executable, spread over threads. What is drawn is decided elsewhere.
#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include <keras/base/error.h>

#include "cpu/random_kernels.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements per piece: some ten microseconds
constexpr int kShuffleSlots = 16;    // threads that may sort lines at the same time, each with scratch of its own

/// A kernel made of a function (in, out, scratch).
template <class F> class FunctionKernel final : public engine::Kernel {
 public:
  FunctionKernel(std::string what, size_t scratch, F f)
      : text_(std::move(what) + ": threefry2x32, " + random_target_name()), scratch_(scratch), f_(std::move(f)) {}
  size_t scratch_bytes() const override { return scratch_; }
  void run(void* const* in, void* const* out, void* scratch) const override { f_(in, out, scratch); }
  const char* describe() const override { return text_.c_str(); }

 private:
  std::string text_;
  size_t scratch_;
  F f_;
};
template <class F> engine::KernelPtr kernel(std::string what, F f, size_t scratch = 0) {
  return std::make_unique<FunctionKernel<F>>(std::move(what), scratch, std::move(f));
}

const uint32_t* key_of(void* const* in) { return static_cast<const uint32_t*>(in[0]); }

/// A kernel that draws ranges: f(key, begin, count, out of type T at begin).
template <class T, class F> engine::KernelPtr range_kernel(std::string what, int64_t count, F f) {
  return kernel(std::move(what), [count, f](void* const* in, void* const* out, void*) {
    const uint32_t* key = key_of(in);
    T* o = static_cast<T*>(out[0]);
    parallel_for(count, kGrain, [&](int64_t begin, int64_t end) { f(key, begin, end - begin, o + begin); });
  });
}

[[noreturn]] void no_such_draw(const char* kind, DType dtype, const char* expected) {
  throw TypeError(ErrorText{.what = std::string("random ") + kind + " does not make this dtype", .expected = expected,
                            .received = dtype_name(dtype)}.str());
}

void check_count(const char* what, int64_t count) {
  if (count < 0) throw ValueError(ErrorText{.what = std::string("random ") + what + ": the number of elements is negative",
                                            .received = std::to_string(count)}.str());
}

/// Calls f(T{}) for the floating dtypes.
template <class F> engine::KernelPtr for_float(const char* kind, DType dtype, F&& f) {
  switch (dtype) {
    case DType::Float16: return f(half_t{});
    case DType::BFloat16: return f(bfloat16_t{});
    case DType::Float32: return f(float{});
    case DType::Float64: return f(double{});
    default: no_such_draw(kind, dtype, "a float dtype");
  }
}
template <class F> engine::KernelPtr for_wide_float(const char* kind, DType dtype, F&& f) {
  if (dtype == DType::Float32) return f(float{});
  if (dtype == DType::Float64) return f(double{});
  no_such_draw(kind, dtype, "float32 or float64");
}

template <class T> engine::KernelPtr make_bits(std::string what, int64_t count) {
  return range_kernel<T>(std::move(what), count, [](const uint32_t* k, int64_t i, int64_t n, T* o) { random_bits(k, i, n, o); });
}

}  // namespace

engine::KernelPtr make_random(RandomKind kind, DType out, int64_t count, double a, double b) {
  static constexpr const char* kNames[] = {"bits", "uniform", "normal", "truncated_normal", "randint", "bernoulli"};
  const char* name = kNames[static_cast<int>(kind)];
  check_count(name, count);
  std::string what = std::string("random ") + name + " " + dtype_name(out);
  switch (kind) {
    case RandomKind::Bits:
      switch (out) {
        case DType::UInt8: return make_bits<uint8_t>(what, count);
        case DType::UInt16: return make_bits<uint16_t>(what, count);
        case DType::UInt32: return make_bits<uint32_t>(what, count);
        case DType::UInt64: return make_bits<uint64_t>(what, count);
        default: no_such_draw(name, out, "an unsigned dtype");
      }
    case RandomKind::Uniform:
      return for_float(name, out, [&](auto t) {
        using T = decltype(t);
        return range_kernel<T>(what, count, [a, b](const uint32_t* k, int64_t i, int64_t n, T* o) { random_uniform(k, i, n, a, b, o); });
      });
    case RandomKind::Normal:
      return for_float(name, out, [&](auto t) {
        using T = decltype(t);
        return range_kernel<T>(what, count, [a, b](const uint32_t* k, int64_t i, int64_t n, T* o) { random_normal(k, i, n, a, b, o); });
      });
    case RandomKind::TruncatedNormal:
      return for_float(name, out, [&](auto t) {
        using T = decltype(t);
        return range_kernel<T>(what, count, [a, b](const uint32_t* k, int64_t i, int64_t n, T* o) {
          random_truncated_normal(k, i, n, a, b, o);
        });
      });
    case RandomKind::RandInt: return make_randint(out, count, static_cast<int64_t>(a), static_cast<int64_t>(b));
    case RandomKind::Bernoulli: break;
  }
  const float p = static_cast<float>(a);
  if (out == DType::Bool || out == DType::UInt8)
    return range_kernel<uint8_t>(what, count, [p](const uint32_t* k, int64_t i, int64_t n, uint8_t* o) {
      random_bernoulli(k, i, n, p, o);
    });
  if (out != DType::Float32) no_such_draw(name, out, "bool, uint8 or float32");
  return range_kernel<float>(what, count, [p](const uint32_t* k, int64_t i, int64_t n, float* o) {
    random_uniform(k, i, n, 0.0, 1.0, o);
    for (int64_t j = 0; j < n; ++j) o[j] = o[j] < p ? 1.0f : 0.0f;
  });
}

engine::KernelPtr make_randint(DType out, int64_t count, int64_t low, int64_t high) {
  if (!is_integer(out)) no_such_draw("randint", out, "an integer dtype");
  check_count("randint", count);
  const auto size = static_cast<int64_t>(dtype_size(out));
  return kernel(std::string("random randint ") + dtype_name(out), [=](void* const* in, void* const* o, void*) {
    char* bytes = static_cast<char*>(o[0]);
    parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
      random_randint(key_of(in), begin, end - begin, low, high, out, bytes + begin * size);
    });
  });
}

engine::KernelPtr make_random_split(int64_t n) {
  check_count("split", n);
  return kernel("random split", [n](void* const* in, void* const* out, void*) {
    uint32_t* o = static_cast<uint32_t*>(out[0]);
    parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { random_split(key_of(in), begin, end - begin, o + 2 * begin); });
  });
}

engine::KernelPtr make_random_shuffle(DType dtype, int64_t outer, int64_t axis, int64_t inner) {
  for (int64_t size : {outer, axis, inner}) check_count("shuffle", size);
  const int64_t lines = outer * inner;
  const int slots = static_cast<int>(std::min<int64_t>(std::max<int64_t>(lines, 1), kShuffleSlots));
  const auto round_up = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  const size_t order_bytes = round_up(static_cast<size_t>(axis) * sizeof(uint32_t));
  const size_t slot_bytes = order_bytes + round_up(random_shuffle_scratch_bytes(axis));
  const auto item = static_cast<int64_t>(dtype_size(dtype));
  return kernel(
      std::string("random shuffle ") + dtype_name(dtype),
      [=](void* const* in, void* const* out, void* scratch) {
        if (lines == 0 || axis == 0) return;
        const auto move = [&](auto t) {
          using T = decltype(t);
          const T* x = static_cast<const T*>(in[1]);
          T* y = static_cast<T*>(out[0]);
          parallel_for_slots(lines, std::max<int64_t>(1, 4096 / axis), slots, [&](int64_t begin, int64_t end, int slot) {
            char* mine = static_cast<char*>(scratch) + static_cast<size_t>(slot) * slot_bytes;
            uint32_t* order = reinterpret_cast<uint32_t*>(mine);
            for (int64_t line = begin; line < end; ++line) {
              random_shuffle_line(key_of(in), outer, axis, inner, line, order, mine + order_bytes);
              const int64_t first = line / inner * axis * inner + line % inner;
              for (int64_t k = 0; k < axis; ++k) y[first + k * inner] = x[first + order[k] * inner];
            }
          });
        };
        switch (item) {
          case 1: return move(uint8_t{});
          case 2: return move(uint16_t{});
          case 4: return move(uint32_t{});
          default: return move(uint64_t{});
        }
      },
      slot_bytes * static_cast<size_t>(slots));
}

engine::KernelPtr make_random_categorical(int64_t rows, int64_t classes, int64_t samples) {
  for (int64_t size : {rows, samples}) check_count("categorical", size);
  if (classes < 1)
    throw ValueError(ErrorText{.what = "random categorical needs at least one class", .received = std::to_string(classes)}.str());
  return kernel("random categorical", [=](void* const* in, void* const* out, void*) {
    const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, classes * samples));
    parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
      random_categorical(key_of(in), begin, end, classes, samples, static_cast<const float*>(in[1]), static_cast<int32_t*>(out[0]));
    });
  });
}

engine::KernelPtr make_random_gamma(DType dtype, int64_t count, bool scalar_alpha) {
  check_count("gamma", count);
  return for_wide_float("gamma", dtype, [&](auto t) {
    using T = decltype(t);
    return kernel(std::string("random gamma ") + dtype_name(dtype), [=](void* const* in, void* const* out, void*) {
      T* o = static_cast<T*>(out[0]);
      parallel_for(count, 256, [&](int64_t begin, int64_t end) {
        random_gamma(key_of(in), begin, end - begin, static_cast<const T*>(in[1]), scalar_alpha ? 0 : 1, o + begin);
      });
    });
  });
}

engine::KernelPtr make_random_beta(DType dtype, int64_t count, bool scalar_a, bool scalar_b) {
  check_count("beta", count);
  return for_wide_float("beta", dtype, [&](auto t) {
    using T = decltype(t);
    return kernel(std::string("random beta ") + dtype_name(dtype), [=](void* const* in, void* const* out, void*) {
      T* o = static_cast<T*>(out[0]);
      parallel_for(count, 256, [&](int64_t begin, int64_t end) {
        random_beta(key_of(in), begin, end - begin, static_cast<const T*>(in[1]), scalar_a ? 0 : 1, static_cast<const T*>(in[2]),
                    scalar_b ? 0 : 1, o + begin);
      });
    });
  });
}

engine::KernelPtr make_random_binomial(DType dtype, int64_t count, bool scalar_trials, bool scalar_p) {
  check_count("binomial", count);
  return for_wide_float("binomial", dtype, [&](auto t) {
    using T = decltype(t);
    return kernel(std::string("random binomial ") + dtype_name(dtype), [=](void* const* in, void* const* out, void*) {
      random_binomial(key_of(in), count, static_cast<const T*>(in[1]), scalar_trials ? 0 : 1, static_cast<const T*>(in[2]),
                      scalar_p ? 0 : 1, static_cast<T*>(out[0]));
    });
  });
}

}  // namespace keras::cpu
