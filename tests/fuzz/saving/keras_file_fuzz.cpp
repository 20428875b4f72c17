// What lives here: `.keras` archives from anywhere.
#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  Quiet quiet;
  TempFile file(input, ".keras");
  attempt(file.path(), [&] { models::load_model(file.path()).count_params(); });
}

void seeds(const Sink& sink) {
  Quiet quiet;
  auto put = [&](const std::string& name, const Model& model) {
    TempFile file({}, ".keras");
    model.save(file.path());
    sink(name, io::read_file(file.path()));
  };
  for (const auto& [name, model] : seed_models()) put(name, model);
  put("trained", trained_model());
}

const Register registered({"keras_file", run, seeds, mutate_zip, 120});

}  // namespace
}  // namespace keras::fuzz
