// What lives here: configurations of models from anywhere.
#include "fuzz/saving/models_for_seeds.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  Quiet quiet;
  attempt("model_from_json", [&] {
    Model m = models::model_from_json(text_of(input));
    m.count_params();
    m.summary_text();
    m.to_json();
  });
}

void seeds(const Sink& sink) {
  Quiet quiet;
  for (const auto& [name, model] : seed_models()) sink(name, bytes_of(model.to_json()));
}

const Register registered({"config", run, seeds, mutate_json, 300});

}  // namespace
}  // namespace keras::fuzz
