// What lives here: a fuzz target: what is fed with bytes, what it starts from, how its input is best damaged. The libFuzzer programs and
// the tests that need no libFuzzer (replay_test.cpp) run the same targets.
#pragma once
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <keras/base/error.h>

#include "io/array.h"

namespace keras::fuzz {

using io::Bytes;
using Random = std::mt19937_64;
/// Takes one starting input and its name.
using Sink = std::function<void(const std::string& name, Bytes bytes)>;

struct Target {
  const char* name;
  /// Must return: what is no keras::Error, an error without the file's name or a broken promise throws a Finding.
  void (*run)(const Bytes& input);
  void (*seeds)(const Sink& sink);
  /// Damages where it tells more than flipped bytes do; may be null.
  Bytes (*mutate)(const Bytes& input, Random& random) = nullptr;
  /// Damaged inputs per seed in the tests.
  int rounds = 500;
};

/// All targets of the program.
std::vector<Target>& targets();
struct Register {
  explicit Register(const Target& target) { targets().push_back(target); }
};

/// A bug that a target met.
class Finding : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Runs `f`: true when it returned, false when it threw a keras::Error that names `place`. Anything else is a finding.
template <class F> bool attempt(const std::string& place, F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    if (std::string(e.what()).find(place) == std::string::npos) throw Finding("an error that does not name " + place + ": " + e.what());
    return false;
  } catch (const std::bad_alloc&) {
    throw Finding("memory was asked for that is not there");
  }
  // Other exceptions pass on: libFuzzer and GoogleTest tell where they come from.
}

/// A file that vanishes with the object, in memory where the machine offers that.
class TempFile {
 public:
  TempFile(const Bytes& bytes, const std::string& suffix);
  ~TempFile();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Flips bits, overwrites fields of sizes and addresses, cuts, repeats.
Bytes mutate_bytes(const Bytes& input, Random& random);
/// Changes one to three entries of a JSON document: kinds, values, names, places; bytes where it is no JSON.
Bytes mutate_json(const Bytes& input, Random& random);
/// Copies an HDF5 file and changes what stands in it: members, shapes, dtypes, attributes (JSON texts entry by entry).
Bytes mutate_hdf5(const Bytes& input, Random& random);
/// Changes one member of a zip archive by its kind and packs it again, so that the checksums hold.
Bytes mutate_zip(const Bytes& input, Random& random);

inline Bytes bytes_of(std::string_view text) {
  auto bytes = io::as_bytes(text);
  return Bytes(bytes.begin(), bytes.end());
}
inline std::string text_of(const Bytes& bytes) { return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }

}  // namespace keras::fuzz
