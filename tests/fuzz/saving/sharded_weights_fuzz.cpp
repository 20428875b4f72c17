// What lives here: the map of sharded weights from anywhere, beside shards that are whole.
#include <filesystem>

#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

/// A folder with weights in shards, which vanishes with the program.
struct Shards {
  TempFile name{{}, ""};
  std::filesystem::path folder = name.path() + "_shards", map = folder / "model.weights.json";
  Bytes original;
  Shards() {
    std::filesystem::create_directories(folder);
    saving::save_weights(trained_model(), map, {.max_shard_size = 60.0 / (1 << 30)});
    original = io::read_file(map);
  }
  ~Shards() {
    std::error_code none;
    std::filesystem::remove_all(folder, none);
  }
};
Shards& shards() {
  static Shards here;
  return here;
}

void run(const Bytes& input) {
  Quiet quiet;
  io::write_file_atomic(shards().map, input);
  load_into_trained(shards().map, shards().folder);  // a shard that is named in vain is told by its own path
}

void seeds(const Sink& sink) {
  Quiet quiet;
  sink("map", shards().original);
  sink("leaves_the_folder", bytes_of(R"({"metadata": {"total_size": 1.0}, "weight_map": {"/layers/dense/vars": "../x.weights.h5"}})"));
  sink("absolute", bytes_of(R"({"metadata": {"total_size": 1.0}, "weight_map": {"/layers/dense/vars": ["/etc/passwd"]}})"));
}

const Register registered({"sharded_weights", run, seeds, mutate_json, 300});

}  // namespace
}  // namespace keras::fuzz
