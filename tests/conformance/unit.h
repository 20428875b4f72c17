// What lives here: one unit of the corpus under test: its record, its arrays, and what was found wrong with it. No kind's own knowledge.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/error.h>
#include <keras/base/value.h>
#include <keras/core/tensor.h>

#include "io/npy.h"

namespace keras::conformance {

enum class Outcome { Passed, Failed, Unsupported, Variant };

/// What a unit came to, as it is reported.
struct Result {
  std::string kind, cls, name;
  Outcome outcome = Outcome::Passed;
  std::string reason;                // why a unit is unsupported or a variant
  bool held = true;                  // of a variant: whether it would have passed
  std::vector<std::string> wrong;    // everything that does not hold
  double worst = 0;                  // largest deviation, in tolerances
  std::string worst_text;
};

struct Tolerance {
  double rtol = 1e-4, atol = 1e-5;
};

/// Thrown where a class or function of the unit is not there.
struct Unsupported : std::exception {
  explicit Unsupported(std::string what) : text(std::move(what)) {}
  const char* what() const noexcept override { return text.c_str(); }
  std::string text;
};

/// True for the text with which the library refuses an unknown loss, metric, optimizer, …
bool names_unknown_class(const std::string& text);

/// A folder of the corpus: its JSON, and its arrays, read when asked for.
class Folder {
 public:
  explicit Folder(const std::filesystem::path& path);
  const Value& json() const { return json_; }
  std::string file(const char* name) const { return (path_ / name).string(); }
  std::string slug() const { return path_.filename().string(); }
  bool has_file(const char* name) const { return std::filesystem::exists(path_ / name); }
  bool has(const std::string& key) const { return arrays_ && arrays_->contains(key); }
  /// An array as it is stored.
  Tensor stored(const std::string& key) const;
  /// Real and imaginary part of an array of complex numbers, as float32.
  std::pair<Tensor, Tensor> stored_complex(const std::string& key) const;
  /// The tensor of an encoded value: an array (64-bit types as their 32-bit ones, wider stored ones in their own type), a number, or a
  /// nested list of numbers. Undefined for null.
  Tensor tensor(const Value& encoded) const;
  /// All tensors of a list or dictionary of encoded values, in order.
  Tensors tensors(const Value& encoded, std::vector<std::string>* names = nullptr) const;
  Tolerance tolerance(const char* which, Tolerance otherwise = {}) const;

 private:
  std::filesystem::path path_;
  Value json_;
  std::optional<io::NpzReader> arrays_;
};

/// Calls `make`; the library's refusal of a class or function that it does not know becomes Unsupported.
template <class F> auto made(F&& make) {
  try {
    return make();
  } catch (const Error& e) {
    if (names_unknown_class(e.what())) throw Unsupported(std::string(e.what()).substr(0, std::string(e.what()).find('\n')));
    throw;
  }
}

/// A number that may be written as {"__float__": "nan"}.
double number(const Value& v);

/// Collects what does not hold.
class Check {
 public:
  explicit Check(Result& result) : result_(result) {}
  void that(bool holds, const std::string& what);
  template <class A, class B> void equal(const A& got, const B& want, const std::string& what) {
    that(got == want, what + ": " + text(got) + " instead of " + text(want));
  }
  /// Shape, dtype (unless empty) and every element.
  void close(const Tensor& got, const Tensor& want, Tolerance tolerance, const std::string& what, const std::string& dtype);
  void close(const Tensor& got, const Tensor& want, Tolerance tolerance, const std::string& what);
  void close(double got, double want, Tolerance tolerance, const std::string& what);
  /// Runs a part of the check; an exception of it is one thing that does not hold.
  template <class F> void part(const std::string& what, F&& f) {
    try {
      f();
    } catch (const Unsupported&) {
      throw;
    } catch (const std::exception& e) {
      that(false, what + ": " + e.what());
    }
  }

 private:
  static std::string text(const std::string& s) { return s; }
  static std::string text(const Shape& s) { return s.str(); }
  static std::string text(const Value& v) { return v.str(); }
  template <class T>
    requires std::is_arithmetic_v<T>
  static std::string text(T v) {
    return std::to_string(v);
  }
  Result& result_;
};

}  // namespace keras::conformance
