// What lives here: the trace of trust in `.keras` archives from anywhere.
#include <keras/saving/verify.h>

#include "fuzz/saving/models_for_seeds.h"
#include "io/file.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  Quiet quiet;
  TempFile file(input, ".keras");
  attempt(file.path(), [&] { saving::verify(file.path()).str(); });
}

void seeds(const Sink& sink) {
  Quiet quiet;
  TempFile file({}, ".keras");
  trained_model().save(file.path(), {.golden = Tensor::full({2, 4}, 0.25)});
  sink("golden", io::read_file(file.path()));
}

const Register registered({"verify", run, seeds, mutate_zip, 120});

}  // namespace
}  // namespace keras::fuzz
