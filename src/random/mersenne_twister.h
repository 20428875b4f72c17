// What lives here: the sequential generators of Python and NumPy, number for number: Python's `random` (where Keras draws its
// default seeds) and NumPy's legacy `np.random` (which orders training rows). Tensors are drawn elsewhere, by counter.
#pragma once
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <keras/base/error.h>

namespace keras::random {

/// MT19937 of Matsumoto and Nishimura: 32 bits a draw. Not safe for use from several threads at once.
class MersenneTwister {
 public:
  MersenneTwister() { seed_integer(5489); }
  /// `init_genrand`: the state from one word.
  void seed_integer(uint32_t seed);
  /// `init_by_array`: the state from a list of words (at least one).
  void seed_array(const std::vector<uint32_t>& key);

  uint32_t next_u32();
  /// Two draws, the first as the high half.
  uint64_t next_u64();
  /// A double in [0, 1) with 53 random bits, from two draws.
  double next_double();

  static constexpr int kStateWords = 625;
  /// Appends the state (624 words and the position) to `words`.
  void save(std::vector<uint32_t>& words) const;
  /// Reads kStateWords words; ValueError when they cannot be a state.
  void restore(const uint32_t* words);
  friend bool operator==(const MersenneTwister&, const MersenneTwister&) = default;

 private:
  void refill();
  std::array<uint32_t, 624> state_{};
  uint32_t position_ = 624;
};

/// Python's `random.Random`.
class PythonRandom {
 public:
  explicit PythonRandom(int64_t seed = 0) { this->seed(seed); }
  /// `random.seed(seed)`: a negative seed equals its absolute value.
  void seed(int64_t seed);
  uint32_t next_u32() { return twister_.next_u32(); }
  /// `random.random()`.
  double random() { return twister_.next_double(); }
  /// `random.uniform(low, high)`.
  double uniform(double low, double high) { return low + (high - low) * random(); }
  /// `random.getrandbits(bits)`, 0 to 64 bits.
  uint64_t getrandbits(int bits);
  /// `random.randint(low, high)`: both ends are possible. ValueError when high < low.
  int64_t randint(int64_t low, int64_t high);
  /// `random.shuffle(items)`.
  template <class T> void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[static_cast<size_t>(below(i + 1))]);
  }
  /// The seed that Keras gives to an initializer or seed generator made without one: 1 to 10^9.
  uint32_t default_seed() { return static_cast<uint32_t>(randint(1, 1000000000)); }

  /// The whole state as words, to continue later at the same number.
  std::vector<uint32_t> state() const;
  void set_state(const std::vector<uint32_t>& words);
  friend bool operator==(const PythonRandom&, const PythonRandom&) = default;

 private:
  uint64_t below(uint64_t n);
  MersenneTwister twister_;
};

/// NumPy's legacy generator: `np.random.seed` and the functions of `np.random`, or one `np.random.RandomState`.
class NumpyRandomState {
 public:
  explicit NumpyRandomState(int64_t seed = 0) { this->seed(seed); }
  /// `np.random.seed(seed)`; ValueError outside [0, 2^32).
  void seed(int64_t seed);
  /// `np.random.seed([...])`; ValueError on an empty list.
  void seed(const std::vector<uint32_t>& words);

  uint32_t next_u32() { return twister_.next_u32(); }
  /// An integer in [0, max], by masked rejection: the draw behind shuffles.
  uint64_t interval(uint64_t max);

  /// One integer of [low, high), dtype int64. ValueError when high <= low.
  int64_t randint(int64_t low, int64_t high);
  /// `np.random.randint(low, high, size)` of the default dtype, int64, as a flat list.
  std::vector<int64_t> randint(int64_t low, int64_t high, int64_t size);
  /// `np.random.permutation(n)`.
  std::vector<int64_t> permutation(int64_t n);
  /// `np.random.shuffle(items)`.
  template <class T> void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[static_cast<size_t>(interval(i))]);
  }
  /// `np.random.choice(n, size, replace)` with equal chances. ValueError when n is 0, or too small to draw without replacement.
  std::vector<int64_t> choice(int64_t n, int64_t size, bool replace = true);

  /// `np.random.random_sample()`, also `rand()`: [0, 1) with 53 random bits.
  double random_sample() { return twister_.next_double(); }
  std::vector<double> random_sample(int64_t size);
  double uniform(double low = 0.0, double high = 1.0) { return low + (high - low) * twister_.next_double(); }
  std::vector<double> uniform(double low, double high, int64_t size);
  /// `np.random.standard_normal()`, also `randn()`: polar Box-Muller, which makes numbers in pairs and keeps the second.
  double standard_normal();
  std::vector<double> standard_normal(int64_t size);
  double normal(double mean = 0.0, double stddev = 1.0) { return mean + stddev * standard_normal(); }
  std::vector<double> normal(double mean, double stddev, int64_t size);

  /// The whole state as words, the kept normal number included.
  std::vector<uint32_t> state() const;
  void set_state(const std::vector<uint32_t>& words);
  friend bool operator==(const NumpyRandomState&, const NumpyRandomState&) = default;

 private:
  MersenneTwister twister_;
  bool has_gauss_ = false;
  double gauss_ = 0.0;
};

/// The library's own generator that stands for Python's. Not locked: for draws while a single thread builds or traces.
PythonRandom& python_random();

}  // namespace keras::random
