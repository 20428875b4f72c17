// What lives here: `keras profile`: where the time of a model goes.
#include "common.h"

#include <iostream>

#include <keras/models/profile.h>
#include <keras/threads.h>
#include <keras/utils.h>

namespace keras::cli {

namespace {

struct ProfileArguments {
  std::string model, weights;
  CompileChoice compile;
  models::ProfileOptions profile;
  int threads = 0;
  bool json = false;
};

int run_profile(const ProfileArguments& o) {
  if (o.threads > 0) set_num_threads(o.threads);
  Model m = open_model(o.model, o.weights);
  if (o.profile.mode == "train" && (o.compile.given() || !m.compiled())) compile_model(m, o.compile, o.model);
  const Dict profile = models::profile(m, o.profile);
  std::cout << (o.json ? utils::to_json(profile, 2) + "\n" : models::profile_text(profile));
  return 0;
}

}  // namespace

Command profile_command(CLI::App& app) {
  auto o = std::make_shared<ProfileArguments>();
  auto* p = app.add_subcommand("profile", "Say where the time of a model goes: per layer and per kernel");
  p->add_option("model", o->model, "a .keras or .h5 file, or the .json of an architecture")->required();
  p->add_option("--weights", o->weights, "a .weights.h5 to load");
  p->add_option("--mode", o->profile.mode, "forward, or train: a whole training step")->check(CLI::IsMember({"forward", "train"}));
  p->add_option("--batch", o->profile.batch_size, "rows of a batch; 1 forward, 32 in training when left out")->check(CLI::PositiveNumber);
  p->add_option("--threads", o->threads, "threads to use");
  p->add_option("--seconds", o->profile.seconds, "how long to measure, about");
  p->add_option("--compile", o->compile.config, "a JSON file with optimizer, loss and metrics, for --mode train");
  p->add_option("--optimizer", o->compile.optimizer, "a name, or a saved configuration as JSON");
  p->add_option("--loss", o->compile.loss, "a name, or JSON");
  p->add_flag("--json", o->json, "as JSON");
  p->add_option("--trace", o->profile.trace, "a file for one step's calls, for chrome://tracing or Perfetto");
  return {p, [o] { return run_profile(*o); }};
}

}  // namespace keras::cli
