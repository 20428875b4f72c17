// What lives here: weights in Keras 2's layout from anywhere, for a model that stands.
#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  Quiet quiet;
  TempFile file(input, ".h5");
  load_into_trained(file.path(), file.path());
}

void seeds(const Sink& sink) {
  Quiet quiet;
  TempFile file({}, ".h5");
  trained_model().save(file.path());
  sink("whole_model", io::read_file(file.path()));
}

const Register registered({"legacy_weights", run, seeds, mutate_hdf5, 400});

}  // namespace
}  // namespace keras::fuzz
