// What lives here: what the tests of this room share: a folder of their own, damaged copies, the recorded Keras files. Tests only.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <keras/base/error.h>

#include "io/array.h"

namespace keras::io {

/// A folder that vanishes with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "keras_io_XXXXXX").string();
    if (!::mkdtemp(name.data())) throw RuntimeError("no temporary folder");
    path_ = name;
  }
  ~TempDir() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  size_t files() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {})); }

 private:
  std::filesystem::path path_;
};

/// Files named `name` in the model folders of the corpus beside the sources; empty where there is no corpus.
inline std::vector<std::string> corpus_models(const std::string& name) {
  std::vector<std::string> found;
  auto folder = std::filesystem::path(KERAS_SOURCE_DIR) / ".." / "shared" / "corpus" / "models";
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none))
    if (std::filesystem::exists(entry.path() / name, none)) found.push_back((entry.path() / name).string());
  std::sort(found.begin(), found.end());
  return found;
}
#define KERAS_NEEDS_CORPUS(files) \
  if ((files).empty()) GTEST_SKIP() << "the corpus of recorded Keras models (../shared/corpus/models) is not here"

/// Calls `read` with cut and damaged copies of `good`. It must return or throw a keras::Error; anything else fails the test.
template <class F> void damage(const Bytes& good, F&& read, int rounds = 600, size_t cuts = 150) {
  auto attempt = [&](Bytes bytes, const std::string& what) {
    try {
      read(std::move(bytes));
    } catch (const Error& e) { EXPECT_NE(std::string(e.what()), "") << what; } catch (const std::exception& e) {
      ADD_FAILURE() << what << ": " << e.what();
    }
  };
  for (size_t i = 0; i < cuts; ++i) {
    size_t size = good.size() * i / cuts;
    attempt(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(size)), "cut to " + std::to_string(size));
  }
  std::mt19937_64 random(20240607);
  for (int i = 0; i < rounds; ++i) {
    Bytes bytes = good;
    for (uint64_t k = random() % 3 + 1; k-- > 0;) {
      size_t at = random() % bytes.size();
      if (random() % 2) {
        bytes[at] ^= std::byte{1} << static_cast<int>(random() % 8);
      } else {  // a number of some width, most interesting in fields of sizes and addresses
        uint64_t v = random() % 3 == 0 ? ~uint64_t{0} : random() % 2 ? random() : random() % bytes.size();
        for (size_t b = 0, width = size_t{1} << random() % 4; b < width && at + b < bytes.size(); ++b)
          bytes[at + b] = static_cast<std::byte>(v >> (8 * b));
      }
    }
    attempt(std::move(bytes), "damage " + std::to_string(i));
  }
}

/// Runs `f`, which must throw an `E` whose text holds all of `parts`.
template <class E, class F> void expect_error(F&& f, std::initializer_list<const char*> parts) {
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const E& e) {
    for (const char* part : parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << "'" << part << "' not in: " << e.what();
  } catch (const std::exception& e) { ADD_FAILURE() << "another kind of error: " << e.what(); }
}

}  // namespace keras::io
