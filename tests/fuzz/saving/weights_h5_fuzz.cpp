// What lives here: `.weights.h5` files from anywhere, for a model that stands.
#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  Quiet quiet;
  TempFile file(input, ".weights.h5");
  load_into_trained(file.path(), file.path());
}

void seeds(const Sink& sink) {
  Quiet quiet;
  TempFile file({}, ".weights.h5");
  trained_model().save_weights(file.path());
  sink("own", io::read_file(file.path()));
  for (const auto& [name, model] : seed_models()) {
    if (name != "sequences") continue;
    model.save_weights(file.path());
    sink("of_another_model", io::read_file(file.path()));
  }
}

const Register registered({"weights_h5", run, seeds, mutate_hdf5, 200});

}  // namespace
}  // namespace keras::fuzz
