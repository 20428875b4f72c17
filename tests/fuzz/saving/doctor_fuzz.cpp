// What lives here: what the doctor says of files from anywhere.
#include <keras/saving/inspect.h>

#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

bool is_zip(const Bytes& input) { return input.size() >= 2 && input[0] == std::byte{'P'} && input[1] == std::byte{'K'}; }

void run(const Bytes& input) {
  Quiet quiet;
  TempFile file(input, is_zip(input) ? ".keras" : ".h5");
  attempt(file.path(), [&] { saving::inspect(file.path()).str(); });
}

void seeds(const Sink& sink) {
  Quiet quiet;
  for (const char* suffix : {".keras", ".h5"}) {
    TempFile file({}, suffix);
    trained_model().save(file.path());
    sink(std::string("trained_") + (suffix + 1), io::read_file(file.path()));
  }
}

Bytes mutate(const Bytes& input, Random& random) { return is_zip(input) ? mutate_zip(input, random) : mutate_hdf5(input, random); }

const Register registered({"doctor", run, seeds, mutate, 120});

}  // namespace
}  // namespace keras::fuzz
