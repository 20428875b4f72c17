// What lives here: checkpoints of fit from anywhere: a damaged one is told or gives way, and the folder is named.
#include <filesystem>

#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

namespace fs = std::filesystem;

struct Folder {
  TempFile name{{}, ""};
  fs::path path = name.path() + "_run";
  ~Folder() {
    std::error_code none;
    fs::remove_all(path, none);
  }
};

void train(const fs::path& folder) {
  utils::set_random_seed(1);
  Sequential m({Input({2}), layers::Dense(2), layers::Dropout(0.5)});
  m.compile({.optimizer = "adam", .loss = "mse"});
  m.fit(Tensor::full({4, 2}, 0.5), Tensor::full({4, 2}, 1.0), {.batch_size = 2, .epochs = 1, .verbose = 0, .checkpoint = {.directory = folder.string(), .every_batches = 1}});
}

void run(const Bytes& input) {
  Quiet quiet;
  Folder folder;
  fs::create_directories(folder.path);
  io::write_file_atomic(folder.path / "checkpoint-1.npz", input);
  attempt(folder.path.string(), [&] { train(folder.path); });
}

void seeds(const Sink& sink) {
  Quiet quiet;
  Folder folder;
  train(folder.path);
  for (const auto& entry : fs::directory_iterator(folder.path))
    if (entry.path().extension() == ".npz") sink(entry.path().stem(), io::read_file(entry.path()));
}

const Register registered({"checkpoint", run, seeds, mutate_zip, 100});

}  // namespace
}  // namespace keras::fuzz
