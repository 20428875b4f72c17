// What lives here: the draws of Python's and NumPy's generators, in the order in which they consume words. No global state.
#include "random/mersenne_twister.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace keras::random {
namespace {

constexpr size_t kN = 624, kM = 397;

uint32_t mix(uint32_t upper, uint32_t lower) {
  const uint32_t y = (upper & 0x80000000u) | (lower & 0x7fffffffu);
  return (y >> 1) ^ ((lower & 1u) ? 0x9908b0dfu : 0u);
}

[[noreturn]] void bad_state(const char* where, size_t expected, size_t received) {
  throw ValueError(ErrorText{.what = "These words are not the state of a random generator",
                             .where = where,
                             .expected = std::to_string(expected) + " words as state() gives them",
                             .received = std::to_string(received) + " words"}
                       .str());
}

void check_size(const char* where, int64_t size) {
  if (size < 0)
    throw ValueError(ErrorText{.what = "The number of draws cannot be negative", .where = where, .received = std::to_string(size)}.str());
}

}  // namespace

void MersenneTwister::seed_integer(uint32_t seed) {
  state_[0] = seed;
  for (size_t i = 1; i < kN; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + static_cast<uint32_t>(i);
  position_ = kN;
}

void MersenneTwister::seed_array(const std::vector<uint32_t>& key) {
  if (key.empty()) throw ValueError(ErrorText{.what = "A seed list needs at least one word", .where = "seed"}.str());
  seed_integer(19650218u);
  size_t i = 1, j = 0;
  const auto advance = [&] {
    if (++i == kN) {
      state_[0] = state_[kN - 1];
      i = 1;
    }
  };
  for (size_t k = std::max(kN, key.size()); k > 0; --k) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + key[j] + static_cast<uint32_t>(j);
    if (++j == key.size()) j = 0;
    advance();
  }
  for (size_t k = kN - 1; k > 0; --k) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - static_cast<uint32_t>(i);
    advance();
  }
  state_[0] = 0x80000000u;
  position_ = kN;
}

void MersenneTwister::refill() {
  for (size_t i = 0; i < kN - kM; ++i) state_[i] = state_[i + kM] ^ mix(state_[i], state_[i + 1]);
  for (size_t i = kN - kM; i < kN - 1; ++i) state_[i] = state_[i + kM - kN] ^ mix(state_[i], state_[i + 1]);
  state_[kN - 1] = state_[kM - 1] ^ mix(state_[kN - 1], state_[0]);
  position_ = 0;
}

uint32_t MersenneTwister::next_u32() {
  if (position_ >= kN) refill();
  uint32_t y = state_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

uint64_t MersenneTwister::next_u64() {
  const uint64_t high = next_u32();
  return high << 32 | next_u32();
}

double MersenneTwister::next_double() {
  const uint32_t a = next_u32() >> 5, b = next_u32() >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}

void MersenneTwister::save(std::vector<uint32_t>& words) const {
  words.insert(words.end(), state_.begin(), state_.end());
  words.push_back(position_);
}

void MersenneTwister::restore(const uint32_t* words) {
  if (words[kN] > kN)
    throw ValueError(ErrorText{.what = "These words are not the state of a random generator",
                               .expected = "a position of 0 to 624",
                               .received = std::to_string(words[kN])}
                         .str());
  std::copy(words, words + kN, state_.begin());
  position_ = words[kN];
}

// ---- Python ----

void PythonRandom::seed(int64_t seed) {
  const uint64_t magnitude = seed < 0 ? 0 - static_cast<uint64_t>(seed) : static_cast<uint64_t>(seed);
  std::vector<uint32_t> key{static_cast<uint32_t>(magnitude)};
  if (magnitude >> 32) key.push_back(static_cast<uint32_t>(magnitude >> 32));
  twister_.seed_array(key);
}

uint64_t PythonRandom::getrandbits(int bits) {
  if (bits < 0 || bits > 64)
    throw ValueError(ErrorText{.what = "getrandbits draws up to 64 bits", .where = "getrandbits", .received = std::to_string(bits)}.str());
  if (bits == 0) return 0;
  if (bits <= 32) return twister_.next_u32() >> (32 - bits);
  const uint64_t low = twister_.next_u32();  // Python fills the words of a long number from the low end
  return low | static_cast<uint64_t>(twister_.next_u32() >> (64 - bits)) << 32;
}

uint64_t PythonRandom::below(uint64_t n) {
  const int bits = std::bit_width(n);
  uint64_t r = getrandbits(bits);
  while (r >= n) r = getrandbits(bits);
  return r;
}

int64_t PythonRandom::randint(int64_t low, int64_t high) {
  const uint64_t width = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  if (high < low || width == 0)
    throw ValueError(ErrorText{.what = "Empty range for randint", .where = "randint", .expected = "low <= high",
                               .received = std::to_string(low) + " and " + std::to_string(high)}.str());
  return static_cast<int64_t>(static_cast<uint64_t>(low) + below(width));
}

std::vector<uint32_t> PythonRandom::state() const {
  std::vector<uint32_t> words;
  twister_.save(words);
  return words;
}

void PythonRandom::set_state(const std::vector<uint32_t>& words) {
  if (words.size() != MersenneTwister::kStateWords) bad_state("PythonRandom", MersenneTwister::kStateWords, words.size());
  twister_.restore(words.data());
}

// ---- NumPy ----

void NumpyRandomState::seed(int64_t seed) {
  if (seed < 0 || seed > 0xffffffffll)
    throw ValueError(ErrorText{.what = "Seed must be between 0 and 2**32 - 1", .where = "np.random.seed",
                               .received = std::to_string(seed)}.str());
  twister_.seed_integer(static_cast<uint32_t>(seed));
  has_gauss_ = false;
  gauss_ = 0.0;
}

void NumpyRandomState::seed(const std::vector<uint32_t>& words) {
  twister_.seed_array(words);
  has_gauss_ = false;
  gauss_ = 0.0;
}

uint64_t NumpyRandomState::interval(uint64_t max) {
  if (max == 0) return 0;
  const uint64_t mask = ~0ull >> std::countl_zero(max);
  uint64_t value;
  if (max <= 0xffffffffull) {
    do value = twister_.next_u32() & mask;
    while (value > max);
  } else {
    do value = twister_.next_u64() & mask;
    while (value > max);
  }
  return value;
}

int64_t NumpyRandomState::randint(int64_t low, int64_t high) {
  if (high <= low)
    throw ValueError(ErrorText{.what = "low >= high", .where = "np.random.randint", .expected = "low < high",
                               .received = std::to_string(low) + " and " + std::to_string(high)}.str());
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) - 1;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + interval(range));
}

std::vector<int64_t> NumpyRandomState::randint(int64_t low, int64_t high, int64_t size) {
  check_size("np.random.randint", size);
  std::vector<int64_t> out(static_cast<size_t>(size));
  for (auto& v : out) v = randint(low, high);
  return out;
}

std::vector<int64_t> NumpyRandomState::permutation(int64_t n) {
  check_size("np.random.permutation", n);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  shuffle(order);
  return order;
}

std::vector<int64_t> NumpyRandomState::choice(int64_t n, int64_t size, bool replace) {
  check_size("np.random.choice", size);
  if (n <= 0 && size > 0)
    throw ValueError(ErrorText{.what = "Nothing to choose from", .where = "np.random.choice", .expected = "n > 0",
                               .received = std::to_string(n)}.str());
  if (replace) return size == 0 ? std::vector<int64_t>{} : randint(0, n, size);
  if (size > n)
    throw ValueError(ErrorText{.what = "Cannot take a larger sample than population when replace is False", .where = "np.random.choice",
                               .expected = "at most " + std::to_string(n), .received = std::to_string(size)}.str());
  auto order = permutation(n);
  order.resize(static_cast<size_t>(size));
  return order;
}

std::vector<double> NumpyRandomState::random_sample(int64_t size) { return uniform(0.0, 1.0, size); }

std::vector<double> NumpyRandomState::uniform(double low, double high, int64_t size) {
  check_size("np.random.uniform", size);
  std::vector<double> out(static_cast<size_t>(size));
  for (auto& v : out) v = uniform(low, high);
  return out;
}

double NumpyRandomState::standard_normal() {
  if (has_gauss_) {
    has_gauss_ = false;
    return std::exchange(gauss_, 0.0);
  }
  double x1, x2, r2;
  do {
    x1 = 2.0 * twister_.next_double() - 1.0;
    x2 = 2.0 * twister_.next_double() - 1.0;
    r2 = x1 * x1 + x2 * x2;
  } while (r2 >= 1.0 || r2 == 0.0);
  const double f = std::sqrt(-2.0 * std::log(r2) / r2);
  gauss_ = f * x1;
  has_gauss_ = true;
  return f * x2;
}

std::vector<double> NumpyRandomState::standard_normal(int64_t size) { return normal(0.0, 1.0, size); }

std::vector<double> NumpyRandomState::normal(double mean, double stddev, int64_t size) {
  check_size("np.random.normal", size);
  std::vector<double> out(static_cast<size_t>(size));
  for (auto& v : out) v = normal(mean, stddev);
  return out;
}

std::vector<uint32_t> NumpyRandomState::state() const {
  std::vector<uint32_t> words;
  twister_.save(words);
  const uint64_t gauss = std::bit_cast<uint64_t>(gauss_);
  words.insert(words.end(), {has_gauss_ ? 1u : 0u, static_cast<uint32_t>(gauss), static_cast<uint32_t>(gauss >> 32)});
  return words;
}

void NumpyRandomState::set_state(const std::vector<uint32_t>& words) {
  constexpr size_t n = MersenneTwister::kStateWords;
  if (words.size() != n + 3 || words[n] > 1) bad_state("NumpyRandomState", n + 3, words.size());
  twister_.restore(words.data());
  has_gauss_ = words[n] == 1;
  gauss_ = std::bit_cast<double>(words[n + 1] | static_cast<uint64_t>(words[n + 2]) << 32);
}

}  // namespace keras::random
