// What lives here: random tensors by counter. Element n of a draw depends on the key and on n alone, so any range can be drawn
// by any thread, and the numbers are those of Keras on JAX (threefry2x32). No state lives here: keys come from outside.
//
// Exactness against Keras 3 on JAX: bits, integers, uniform and bernoulli are equal bit for bit; normal and truncated normal in
// float32 are within 5e-7; 16-bit floats are drawn in 16 bits and every step is rounded, as there. Keras on JAX silently gives
// float32 for float64 and int32 for int64. Here float64 is drawn from 64 bits (the numbers of JAX with x64 enabled), and int64
// and uint64 use the 32-bit draw (the numbers of Keras) as long as the range fits it, 64 bits beyond.
#pragma once
#include <array>
#include <cstdint>

#include <keras/base/dtype.h>

#include "engine/kernel.h"

namespace keras::cpu {

using RandomKey = std::array<uint32_t, 2>;

/// One block of the cipher: the pair of words for the counter (x0, x1).
RandomKey threefry2x32(RandomKey key, uint32_t x0, uint32_t x1);
/// Child `i` of a key (`jax.random.split(key, n)[i]`).
RandomKey random_child(RandomKey key, uint64_t i);
/// Children begin … begin + count - 1 as pairs of words.
void random_split(const uint32_t* key, int64_t begin, int64_t count, uint32_t* out);

// The functions below write elements begin … begin + count - 1 (flat, row-major indices of the whole tensor) to out[0 …].

void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint8_t* out);
void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint16_t* out);
void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint32_t* out);
void random_bits(const uint32_t* key, int64_t begin, int64_t count, uint64_t* out);

/// Uniform in [low, high); the bounds are rounded to the output's type first.
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, float* out);
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, double* out);
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, half_t* out);
void random_uniform(const uint32_t* key, int64_t begin, int64_t count, double low, double high, bfloat16_t* out);

/// Normal with the given mean and standard deviation.
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, float* out);
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, double* out);
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, half_t* out);
void random_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, bfloat16_t* out);

/// Normal cut off at two standard deviations from the mean.
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, float* out);
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, double* out);
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, half_t* out);
void random_truncated_normal(const uint32_t* key, int64_t begin, int64_t count, double mean, double stddev, bfloat16_t* out);

/// 1 with probability p, else 0 (`uniform float32 < p`); the bytes are valid bools.
void random_bernoulli(const uint32_t* key, int64_t begin, int64_t count, float p, uint8_t* out);

/// Integers of [low, high) in an integer dtype; bounds outside the dtype are brought into it, high <= low always gives low.
/// TypeError when the dtype is no integer type.
void random_randint(const uint32_t* key, int64_t begin, int64_t count, int64_t low, int64_t high, DType dtype, void* out);

/// Standard Gumbel numbers, float32.
void random_gumbel(const uint32_t* key, int64_t begin, int64_t count, float* out);

/// `samples` class numbers for each of rows [row_begin, row_end) of logits (rows, classes); `logits` and `out` (rows, samples)
/// point at the whole tensors.
void random_categorical(const uint32_t* key, int64_t row_begin, int64_t row_end, int64_t classes, int64_t samples,
                        const float* logits, int32_t* out);

/// Bytes of scratch for random_shuffle_line.
size_t random_shuffle_scratch_bytes(int64_t axis);
/// The order in which a shuffle along the middle axis of (outer, axis, inner) reads line `line` (= o * inner + i) of its input:
/// output k of that line is input order[k]. Every line has an order of its own. `scratch` is aligned to 8 bytes.
void random_shuffle_line(const uint32_t* key, int64_t outer, int64_t axis, int64_t inner, int64_t line, uint32_t* order, void* scratch);

/// Gamma with shape alpha[n * alpha_step] (step 0: one alpha for all) and scale 1; n counts from `begin`.
void random_gamma(const uint32_t* key, int64_t begin, int64_t count, const float* alpha, int64_t alpha_step, float* out);
void random_gamma(const uint32_t* key, int64_t begin, int64_t count, const double* alpha, int64_t alpha_step, double* out);
/// Beta(a, b), parameters as in random_gamma.
void random_beta(const uint32_t* key, int64_t begin, int64_t count, const float* a, int64_t a_step, const float* b, int64_t b_step,
                 float* out);
void random_beta(const uint32_t* key, int64_t begin, int64_t count, const double* a, int64_t a_step, const double* b, int64_t b_step,
                 double* out);
/// Binomial(trials, p) of a whole tensor at once: Keras' rejection loop couples the elements, so no range can be drawn alone.
void random_binomial(const uint32_t* key, int64_t count, const float* trials, int64_t trials_step, const float* p, int64_t p_step,
                     float* out);
void random_binomial(const uint32_t* key, int64_t count, const double* trials, int64_t trials_step, const double* p, int64_t p_step,
                     double* out);

/// The instruction set that this machine's draws use: "AVX3".
const char* random_target_name();

// ---- kernels; in[0] is always the key, uint32[2] ----

enum class RandomKind : uint8_t {
  Bits,             ///< unsigned dtypes
  Uniform,          ///< [a, b), floats
  Normal,           ///< mean a, standard deviation b, floats
  TruncatedNormal,  ///< as Normal
  RandInt,          ///< [a, b), integer dtypes
  Bernoulli         ///< 1 with probability a; bool, uint8 or float32
};
/// One output of `count` elements. TypeError when the kind does not make this dtype.
engine::KernelPtr make_random(RandomKind kind, DType out, int64_t count, double a, double b);
/// RandInt with bounds that a double does not hold.
engine::KernelPtr make_randint(DType out, int64_t count, int64_t low, int64_t high);
/// Output uint32 (n, 2): the children of the key.
engine::KernelPtr make_random_split(int64_t n);
/// in[1] any dtype of shape (outer, axis, inner), same output: the axis shuffled, each line in its own order.
engine::KernelPtr make_random_shuffle(DType dtype, int64_t outer, int64_t axis, int64_t inner);
/// in[1] float32 logits (rows, classes), output int32 (rows, samples).
engine::KernelPtr make_random_categorical(int64_t rows, int64_t classes, int64_t samples);
/// in[1] alpha, one element or `count`; float32 or float64.
engine::KernelPtr make_random_gamma(DType dtype, int64_t count, bool scalar_alpha);
/// in[1] a, in[2] b, each one element or `count`; float32 or float64.
engine::KernelPtr make_random_beta(DType dtype, int64_t count, bool scalar_a, bool scalar_b);
/// in[1] trials, in[2] p, each one element or `count`, in the output's dtype; float32 or float64.
engine::KernelPtr make_random_binomial(DType dtype, int64_t count, bool scalar_trials, bool scalar_p);

}  // namespace keras::cpu
