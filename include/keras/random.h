// What lives here: keras.random: random tensors from seeds, seed generators, and the seed of the whole library. The same seed gives the
// numbers that Keras 3 on JAX gives.
#pragma once
#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <keras/base/value.h>
#include <keras/config.h>
#include <keras/core/variable.h>

namespace keras::utils {

/// Seeds everything random in the library, as `keras.utils.set_random_seed`: default seeds, shuffling, `keras::random`.
void set_random_seed(int64_t seed);
/// The seed last set, if any.
std::optional<int64_t> get_random_seed();

}  // namespace keras::utils

namespace keras::random {

class NumpyRandomState;

/// A counter that gives a new key to each draw. Copying shares the counter.
///
///     random::SeedGenerator seeds(42);
///     Tensor a = random::normal({2, 3}, {.seed = seeds}), b = random::normal({2, 3}, {.seed = seeds});  // differ
class SeedGenerator {
 public:
  /// Without a seed one is drawn from the library's generator, now. ValueError outside [0, 2^32).
  explicit SeedGenerator(std::optional<int64_t> seed = std::nullopt, std::string name = "");
  /// None: for members that are filled later.
  SeedGenerator(std::nullptr_t) {}
  explicit operator bool() const { return impl_ != nullptr; }

  /// The key of the next draw, uint32 of shape (2,): the state, which then moves on. Inside a trace the compiled step moves it.
  /// `ordered`: by counting, as everywhere; else as Keras' global generator does.
  Tensor next(bool ordered = true) const;
  /// The variable [seed, count], not trainable.
  const Variable& state() const;
  const std::string& name() const;

  /// {"seed": …, "name": …}; the seed is null when it was drawn.
  Dict get_config() const;
  static SeedGenerator from_config(const Dict& config);
  Value serialize() const;
  bool same(const SeedGenerator& other) const { return impl_ == other.impl_; }

 private:
  struct Impl;
  const Impl& impl() const;
  std::shared_ptr<Impl> impl_;
};

/// What can be given as `seed`: nothing (the library's global generator), a number (the same draw on every call) or a SeedGenerator.
class Seed {
 public:
  Seed() = default;
  Seed(std::nullopt_t) {}
  template <class T>
    requires(std::integral<T> && !std::same_as<T, bool>)
  Seed(T seed) : number_(static_cast<int64_t>(seed)) {}
  Seed(const std::optional<int64_t>& seed) : number_(seed) {}
  Seed(SeedGenerator generator);
  /// From a configuration: null, a number, or a saved SeedGenerator.
  explicit Seed(const Value& config);

  bool is_none() const { return !number_ && !has_generator_; }
  const int64_t* number() const { return number_ ? &*number_ : nullptr; }
  const SeedGenerator* generator() const { return has_generator_ ? &generator_ : nullptr; }
  /// The key for one draw; moves the generator.
  Tensor key() const;
  Value serialize() const;

 private:
  std::optional<int64_t> number_{};
  bool has_generator_ = false;  // one that is none counts as one too
  SeedGenerator generator_ = nullptr;
};

struct UniformOptions {
  double minval = 0.0, maxval = 1.0;
  DType dtype = config::floatx_dtype();
  Seed seed{};
};
/// Floats in [minval, maxval). ValueError when the dtype is none of floats.
Tensor uniform(const Shape& shape, const UniformOptions& options = {});

struct NormalOptions {
  double mean = 0.0, stddev = 1.0;
  DType dtype = config::floatx_dtype();
  Seed seed{};
};
Tensor normal(const Shape& shape, const NormalOptions& options = {});
/// Normal, cut off at two standard deviations from the mean.
Tensor truncated_normal(const Shape& shape, const NormalOptions& options = {});

struct RandintOptions {
  DType dtype = DType::Int32;
  Seed seed{};
};
/// Whole numbers in [minval, maxval).
Tensor randint(const Shape& shape, int64_t minval, int64_t maxval, const RandintOptions& options = {});

struct SeedOptions {
  DType dtype = config::floatx_dtype();
  Seed seed{};
};
/// True with probability p.
Tensor bernoulli(const Shape& shape, double p, const Seed& seed = {});
/// `num_samples` class numbers for each row of logits (batch, classes).
Tensor categorical(const Tensor& logits, int64_t num_samples, const RandintOptions& options = {});

struct DropoutOptions {
  /// Shape of the mask, which is broadcast; a None is the size of the input there.
  std::optional<Shape> noise_shape{};
  Seed seed{};
};
/// Zeroes elements with probability `rate` and divides the others by 1 - rate.
Tensor dropout(const Tensor& inputs, double rate, const DropoutOptions& options = {});
/// Shuffles along an axis, every line for itself as JAX does.
Tensor shuffle(const Tensor& x, int axis = 0, const Seed& seed = {});
/// Parameters may be numbers or tensors that broadcast to `shape`.
Tensor gamma(const Shape& shape, const Tensor& alpha, const SeedOptions& options = {});
Tensor beta(const Shape& shape, const Tensor& alpha, const Tensor& beta, const SeedOptions& options = {});
Tensor binomial(const Shape& shape, const Tensor& counts, const Tensor& probabilities, const SeedOptions& options = {});

// ---- the library's own generators
/// The seed of an object made without one: 1 to 10^9, from the generator that stands for Python's.
int64_t default_seed();
/// The generator that stands for NumPy's: it orders training rows.
NumpyRandomState& numpy_random();
/// The generator of draws without a seed, made at its first use after a set_random_seed.
SeedGenerator global_seed_generator();

/// All of the library's own random state, to continue later with the same numbers.
struct State {
  std::vector<uint32_t> python, numpy;
  std::optional<std::array<uint32_t, 2>> global_seed_generator;
  std::optional<int64_t> random_seed;
};
State get_state();
void set_state(const State& state);

}  // namespace keras::random
