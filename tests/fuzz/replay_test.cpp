// What lives here: the fuzz targets without libFuzzer, so that every build runs them: what was found once, files cut at every kilobyte, and
// seeded damage. Memory must stay bounded throughout.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "fuzz/fuzz_target.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

struct Seed {
  std::string name;
  Bytes bytes;
};

class Fuzz : public ::testing::TestWithParam<Target> {
 protected:
  static void run(const Bytes& bytes, const std::string& what) {
    try {
      GetParam().run(bytes);
    } catch (const std::exception& e) {
      ADD_FAILURE() << GetParam().name << ", " << what << ": " << typeid(e).name() << ": " << e.what();
    }
  }
  static std::vector<Seed> seeds() {
    std::vector<Seed> all;
    GetParam().seeds([&](const std::string& name, Bytes bytes) { all.push_back({name, std::move(bytes)}); });
    return all;
  }
};

TEST_P(Fuzz, FindingsStayFixed) {
  std::filesystem::path folder = std::filesystem::path(KERAS_SOURCE_DIR) / "tests/fuzz/findings" / GetParam().name;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) run(io::read_file(entry.path()), entry.path().filename());
}

TEST_P(Fuzz, SeedsAreTaken) {
  for (const Seed& seed : seeds()) run(seed.bytes, seed.name);
}

TEST_P(Fuzz, CutAnywhere) {
  for (const Seed& seed : seeds()) {
    auto cut = [&](size_t n) { run(Bytes(seed.bytes.begin(), seed.bytes.begin() + static_cast<ptrdiff_t>(n)), seed.name + " cut to " + std::to_string(n)); };
    for (size_t n = 0; n < seed.bytes.size(); n += 1024) cut(n);
    for (size_t n = 1; n < std::min<size_t>(seed.bytes.size(), 40); ++n) cut(n), cut(seed.bytes.size() - n);
  }
}

TEST_P(Fuzz, DamagedSlow) {
  Random random(20241121);
  for (const Seed& seed : seeds()) {
    for (int i = 0; i < GetParam().rounds; ++i) {
      run(mutate_bytes(seed.bytes, random), seed.name + " damaged, round " + std::to_string(i));
      if (GetParam().mutate) run(GetParam().mutate(seed.bytes, random), seed.name + " changed, round " + std::to_string(i));
    }
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(used.ru_maxrss, 1 << 20) << "KiB: a small file must not take a gigabyte";
#endif
}

INSTANTIATE_TEST_SUITE_P(All, Fuzz, ::testing::ValuesIn(targets()), [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace keras::fuzz
