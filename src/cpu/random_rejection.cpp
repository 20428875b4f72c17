// What lives here: gamma, beta and binomial numbers, drawn by rejection loops, element by element. The simpler distributions are
// in random_kernels.cpp.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "cpu/random_kernels.h"
#include "cpu/random_scalar.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

using namespace detail;

/// Marsaglia and Tsang's method; alpha < 1 goes through alpha + 1. In log space the result is its logarithm.
template <class T> T gamma_value(RandomKey key, T alpha, bool log_space) {
  if (!(alpha >= 0)) return std::numeric_limits<T>::quiet_NaN();
  const bool boosted = alpha < 1;
  const T d = (boosted ? alpha + 1 : alpha) - static_cast<T>(1.0 / 3.0), c = static_cast<T>(1.0 / 3.0) / std::sqrt(d);
  const RandomKey boost_key = random_child(key, 1);
  key = random_child(key, 0);
  T v;
  while (true) {
    const RandomKey u_key = random_child(key, 2);
    RandomKey x_key = random_child(key, 1);
    key = random_child(key, 0);
    T x;
    do {
      x = normal_value<T>(word_at<T>(random_child(x_key, 1), 0));
      x_key = random_child(x_key, 0);
      v = 1 + x * c;
    } while (v <= 0);
    x = x * x;
    v = v * v * v;
    const T u = unit_at<T>(u_key, 0);
    if (!(u >= 1 - static_cast<T>(0.0331) * (x * x))) break;  // written so that NaN ends the loop
    if (!(std::log(u) >= x * static_cast<T>(0.5) + d * (1 - v + std::log(v)))) break;
  }
  const T u = unit_at<T>(boost_key, 0);
  if (!log_space) return d * v * (boosted ? std::pow(1 - u, 1 / alpha) : T{1});
  return std::log(d) + std::log(v) + (boosted && u > 0 ? std::log1p(-u) * (1 / alpha) : T{0});
}

template <class T> void draw_gamma(const uint32_t* key, int64_t begin, int64_t count, const T* alpha, int64_t step, T* out) {
  const RandomKey parent{key[0], key[1]};
  for (int64_t i = 0; i < count; ++i) out[i] = gamma_value<T>(random_child(parent, begin + i), alpha[(begin + i) * step], false);
}

template <class T> void draw_beta(const uint32_t* key, int64_t begin, int64_t count, const T* a, int64_t a_step, const T* b,
                                  int64_t b_step, T* out) {
  const RandomKey parent{key[0], key[1]}, a_key = random_child(parent, 0), b_key = random_child(parent, 1);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t n = begin + i;
    const T la = gamma_value<T>(random_child(a_key, n), a[n * a_step], true);
    const T lb = gamma_value<T>(random_child(b_key, n), b[n * b_step], true);
    const T top = std::max(la, lb), ga = std::exp(la - top), gb = std::exp(lb - top);
    out[i] = ga / (ga + gb);
  }
}

/// Rest of Stirling's series for log k!. Keras' series is held at k = 9 beyond the table, and so it is here.
template <class T> T stirling_tail(T k) {
  static constexpr double table[10] = {
      0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
      0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287};
  if (k <= 9) return static_cast<T>(table[static_cast<int>(std::floor(std::max<T>(k, 0)))]);
  return static_cast<T>((1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / 100.0) / 100.0) / 10.0);
}

/// Hörmann's BTRS: transformed rejection for trials · p > 10 and p <= 1/2.
template <class T> struct Btrs {
  T trials, m, b, a, c, v_r, r, alpha;
  Btrs(T n, T p) : trials(n) {
    const T stddev = std::sqrt(n * p * (1 - p));
    b = static_cast<T>(1.15) + static_cast<T>(2.53) * stddev;
    a = static_cast<T>(-0.0873) + static_cast<T>(0.0248) * b + static_cast<T>(0.01) * p;
    c = n * p + static_cast<T>(0.5);
    v_r = static_cast<T>(0.92) - static_cast<T>(4.2) / b;
    r = p / (1 - p);
    alpha = (static_cast<T>(2.83) + static_cast<T>(5.1) / b) * stddev;
    m = std::floor((n + 1) * p);
  }
  /// One try; true when `k` is accepted.
  bool attempt(T u, T v, T& k) const {
    u -= static_cast<T>(0.5);
    const T us = static_cast<T>(0.5) - std::fabs(u), half = static_cast<T>(0.5);
    k = std::floor((2 * a / us + b) * u + c);
    if (us >= static_cast<T>(0.07) && v <= v_r) return true;
    if (k < 0 || k > trials) return false;
    v = std::log(v * alpha / (a / (us * us) + b));
    const T bound = (m + half) * std::log((m + 1) / (r * (trials - m + 1))) + (trials + 1) * std::log((trials - m + 1) / (trials - k + 1)) +
                    (k + half) * std::log(r * (trials - k + 1) / (k + 1)) + stirling_tail(m) + stirling_tail(trials - m) -
                    stirling_tail(k) - stirling_tail(trials - k);
    return v <= bound;
  }
};

template <class T> void draw_binomial(const uint32_t* key, int64_t count, const T* trials, int64_t trials_step, const T* probs,
                                      int64_t p_step, T* out) {
  const RandomKey parent{key[0], key[1]};
  struct Parameters {
    T n, q;
    bool invalid, infinite, flipped, inversion;
  };
  const auto parameters = [&](int64_t i) {
    const T n = trials[i * trials_step], p = probs[i * p_step];
    Parameters s{};
    s.flipped = !(p < static_cast<T>(0.5));
    s.q = s.flipped ? 1 - p : p;
    const bool bad_n = std::isnan(n) || n < 0, bad_q = std::isnan(s.q) || s.q < 0;
    s.invalid = bad_n || bad_q;
    s.infinite = std::isinf(n);
    if (bad_q) s.q = static_cast<T>(0.01);
    s.inversion = bad_n || n * s.q <= 10;
    s.n = std::floor(n);
    return s;
  };
  const auto btrs_of = [](const Parameters& s) {  // Keras runs the loop for the others too, on stand-in numbers
    return s.inversion || s.infinite ? Btrs<T>(static_cast<T>(1e4), s.inversion ? static_cast<T>(0.5) : s.q) : Btrs<T>(s.n, s.q);
  };
  // Keras repeats the tries until all elements are accepted, and a later acceptance replaces an earlier one: first find how
  // many rounds there are, then the last acceptance of each element among them.
  bool any_btrs = false;
  for (int64_t i = 0; i < count && !any_btrs; i += trials_step == 0 && p_step == 0 ? count : 1) {
    const auto s = parameters(i);
    any_btrs = !s.inversion && !s.infinite && !s.invalid;
  }
  std::atomic<int64_t> rounds{0};
  if (any_btrs) {
    parallel_for(count, 1024, [&](int64_t begin, int64_t end) {
      int64_t most = 0;
      for (int64_t i = begin; i < end; ++i) {
        const Btrs<T> btrs = btrs_of(parameters(i));
        RandomKey k = parent;
        int64_t round = 0;
        T value;
        bool accepted = false;
        while (!accepted) {
          accepted = btrs.attempt(unit_at<T>(random_child(k, 1), i), unit_at<T>(random_child(k, 2), i), value);
          k = random_child(k, 0);
          ++round;
        }
        most = std::max(most, round);
      }
      int64_t seen = rounds.load();
      while (seen < most && !rounds.compare_exchange_weak(seen, most)) {}
    });
  }
  const int64_t total = rounds.load();
  parallel_for(count, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Parameters s = parameters(i);
      T value = 0;
      if (s.invalid) {
        out[i] = std::numeric_limits<T>::quiet_NaN();
        continue;
      }
      if (s.infinite) {
        out[i] = std::numeric_limits<T>::infinity();
        continue;
      }
      RandomKey k = parent;
      if (s.inversion) {  // sums of geometric numbers
        const T log_q = std::log1p(-s.q);
        T sum = 0, successes = 0;
        while (sum <= s.n) {
          sum += std::ceil(std::log(unit_at<T>(random_child(k, 0), i)) / log_q);
          k = random_child(k, 1);
          successes += 1;
        }
        value = successes - 1;
      } else {
        const Btrs<T> btrs(s.n, s.q);
        for (int64_t round = 0; round < total; ++round) {
          T drawn;
          if (btrs.attempt(unit_at<T>(random_child(k, 1), i), unit_at<T>(random_child(k, 2), i), drawn)) value = drawn;
          k = random_child(k, 0);
        }
      }
      out[i] = s.flipped ? s.n - value : value;
    }
  });
}

}  // namespace

void random_gamma(const uint32_t* key, int64_t begin, int64_t count, const float* alpha, int64_t alpha_step, float* out) {
  draw_gamma(key, begin, count, alpha, alpha_step, out);
}
void random_gamma(const uint32_t* key, int64_t begin, int64_t count, const double* alpha, int64_t alpha_step, double* out) {
  draw_gamma(key, begin, count, alpha, alpha_step, out);
}
void random_beta(const uint32_t* key, int64_t begin, int64_t count, const float* a, int64_t a_step, const float* b, int64_t b_step,
                 float* out) {
  draw_beta(key, begin, count, a, a_step, b, b_step, out);
}
void random_beta(const uint32_t* key, int64_t begin, int64_t count, const double* a, int64_t a_step, const double* b, int64_t b_step,
                 double* out) {
  draw_beta(key, begin, count, a, a_step, b, b_step, out);
}
void random_binomial(const uint32_t* key, int64_t count, const float* trials, int64_t trials_step, const float* p, int64_t p_step,
                     float* out) {
  draw_binomial(key, count, trials, trials_step, p, p_step, out);
}
void random_binomial(const uint32_t* key, int64_t count, const double* trials, int64_t trials_step, const double* p, int64_t p_step,
                     double* out) {
  draw_binomial(key, count, trials, trials_step, p, p_step, out);
}

}  // namespace keras::cpu
