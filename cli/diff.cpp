// What lives here: `keras diff`: how two models differ, with the exit codes of diff(1).
#include <iostream>

#include <keras/saving/diff.h>
#include <keras/utils.h>

#include "common.h"

namespace keras::cli {

Command diff_command(CLI::App& app) {
  struct Options {
    std::string a, b, input;
    saving::DiffOptions diff;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  auto* s = app.add_subcommand("diff", "Compare two models: structure, weights, and the first layer whose output departs; 0 same, 1 different, 2 trouble");
  s->add_option("a", o->a, "a .keras or .h5 file, or the .json of an architecture")->required();
  s->add_option("b", o->b, "the other one")->required();
  s->add_option("--input", o->input, ".npz with x (or x_<input>), .npy or CSV; random numbers without it");
  s->add_option("--seed", o->diff.seed, "of the random input");
  s->add_option("--tolerance", o->diff.tolerance, "differences up to this, relative to the largest value, count as none (0)");
  s->add_flag("--json", o->json, "as JSON");
  return {s,
          [o] {
            Model a = open_model(o->a, "", false), b = open_model(o->b, "", false);
            if (!o->input.empty()) o->diff.input = read_data(o->input, a, false).x;
            saving::DiffReport r = saving::diff(a, b, o->diff);
            std::cout << (o->json ? utils::to_json(r.to_value(), 2) + "\n" : r.str());
            return r.same ? 0 : 1;
          },
          2};
}

}  // namespace keras::cli
