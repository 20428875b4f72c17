// What lives here: libFuzzer's hooks around the one target of a program. `PROGRAM --write-seeds DIR` writes what the target starts from.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fuzz/fuzz_target.h"

using namespace keras::fuzz;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::strcmp((*argv)[1], "--write-seeds") == 0) {
    std::filesystem::path folder = (*argv)[2];
    std::filesystem::create_directories(folder);
    targets().at(0).seeds([&](const std::string& name, const Bytes& bytes) {
      std::ofstream(folder / ("seed_" + name), std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    });
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto* bytes = reinterpret_cast<const std::byte*>(data);
  targets().at(0).run(Bytes(bytes, bytes + size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  auto* mutate = targets().at(0).mutate;
  if (!mutate || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  Random random(seed);
  auto* bytes = reinterpret_cast<std::byte*>(data);
  Bytes out = mutate(Bytes(bytes, bytes + size), random);
  size = std::min(out.size(), max_size);
  if (size) std::memcpy(data, out.data(), size);
  return size;
}
