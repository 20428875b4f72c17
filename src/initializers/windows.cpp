// What lives here: window functions, by the formulas of scipy.signal.windows.
#include "initializers/windows.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include <keras/base/error.h>

namespace keras::initializers {
namespace {

using Window = std::vector<double>;
constexpr double kPi = std::numbers::pi;

// Element i of n evenly spaced from a to b.
double at(int64_t i, int64_t n, double a, double b) { return a + (b - a) * static_cast<double>(i) / static_cast<double>(n - 1); }
// f(i, n) for each point.
template <class F> auto points(F f) {
  return [f](int64_t n) {
    Window w(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) w[static_cast<size_t>(i)] = f(i, n);
    return w;
  };
}
auto cosines(Window a) {
  return points([a](int64_t i, int64_t n) {
    double sum = 0, x = at(i, n, -kPi, kPi);
    for (size_t k = 0; k < a.size(); ++k) sum += a[k] * std::cos(static_cast<double>(k) * x);
    return sum;
  });
}
double triang(int64_t i, int64_t n) {
  int64_t j = std::min(i, n - 1 - i) + 1;  // counted from the nearer end
  return n % 2 ? 2.0 * static_cast<double>(j) / static_cast<double>(n + 1) : (2.0 * static_cast<double>(j) - 1) / static_cast<double>(n);
}
double bohman(int64_t i, int64_t n) {
  if (i == 0 || i == n - 1) return 0;
  double x = std::abs(at(i, n, -1, 1));
  return (1 - x) * std::cos(kPi * x) + std::sin(kPi * x) / kPi;
}
double parzen(int64_t i, int64_t n) {
  double x = std::abs(static_cast<double>(i) - static_cast<double>(n - 1) / 2), half = static_cast<double>(n) / 2, r = x / half;
  return x > static_cast<double>(n - 1) / 4 ? 2 * std::pow(1 - r, 3) : 1 - 6 * r * r + 6 * r * r * r;
}
double tukey(int64_t i, int64_t n) {
  constexpr double kTaper = 0.5;
  auto width = static_cast<int64_t>(std::floor(kTaper * static_cast<double>(n - 1) / 2));
  double x = 2.0 * static_cast<double>(i) / kTaper / static_cast<double>(n - 1);
  if (i <= width) return 0.5 * (1 + std::cos(kPi * (-1 + x)));
  if (i < n - width - 1) return 1;
  return 0.5 * (1 + std::cos(kPi * (-2 / kTaper + 1 + x)));
}
double sinc(double x) { return x == 0 ? 1 : std::sin(kPi * x) / (kPi * x); }

struct Named {
  std::vector<std::string> names;
  std::function<Window(int64_t)> make;
};
const std::vector<Named>& table() {
  static const std::vector<Named> t = {
      {{"boxcar", "box", "ones", "rect", "rectangular"}, points([](int64_t, int64_t) { return 1.0; })},
      {{"triang", "triangle", "tri"}, points(triang)},
      {{"bartlett", "bart", "brt"}, points([](int64_t i, int64_t n) { return 1 - std::abs(at(i, n, -1, 1)); })},
      {{"hann", "hanning", "han"}, cosines({0.5, 0.5})},
      {{"hamming", "hamm", "ham"}, cosines({0.54, 0.46})},
      {{"blackman", "black", "blk"}, cosines({0.42, 0.50, 0.08})},
      {{"nuttall", "nutt", "nut"}, cosines({0.3635819, 0.4891775, 0.1365995, 0.0106411})},
      {{"blackmanharris", "blackharr", "bkh"}, cosines({0.35875, 0.48829, 0.14128, 0.01168})},
      {{"flattop", "flat", "flt"}, cosines({0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368})},
      {{"cosine", "halfcosine"}, points([](int64_t i, int64_t n) { return std::sin(kPi / static_cast<double>(n) * (static_cast<double>(i) + 0.5)); })},
      {{"barthann", "brthan", "bth"}, points([](int64_t i, int64_t n) {
         double x = std::abs(at(i, n, -0.5, 0.5));
         return 0.62 - 0.48 * x + 0.38 * std::cos(2 * kPi * x);
       })},
      {{"bohman", "bman", "bmn"}, points(bohman)},
      {{"parzen", "parz", "par"}, points(parzen)},
      {{"tukey", "tuk"}, points(tukey)},
      {{"exponential", "poisson"}, points([](int64_t i, int64_t n) { return std::exp(-std::abs(static_cast<double>(i) - static_cast<double>(n - 1) / 2)); })},
      {{"lanczos", "sinc"}, points([](int64_t i, int64_t n) { return sinc(at(i, n, -1, 1)); })},
  };
  return t;
}

}  // namespace

std::vector<double> window(const std::string& name, int64_t length, bool periodic) {
  std::vector<std::string> known;
  for (const Named& w : table()) {
    for (const std::string& n : w.names) {
      known.push_back(n);
      if (n != name) continue;
      if (length <= 1) return Window(static_cast<size_t>(length), 1.0);
      Window values = w.make(length + (periodic ? 1 : 0));
      values.resize(static_cast<size_t>(length));
      return values;
    }
  }
  throw ValueError(ErrorText{.what = "there is no window '" + name + "'" + did_you_mean(name, known), .expected = "a window of scipy.signal.windows without parameters",
                             .fix = "give the numbers of the window as a list"}.str());
}

}  // namespace keras::initializers
