// What lives here: `keras doctor`: all that a file holds and lacks, told at once.
#include <iostream>

#include <keras/saving/inspect.h>
#include <keras/utils.h>

#include "common.h"

namespace keras::cli {

Command doctor_command(CLI::App& app) {
  struct Options {
    std::string file, architecture;
    bool json = false, all = false;
  };
  auto o = std::make_shared<Options>();
  auto* s = app.add_subcommand("doctor", "Tell every layer, weight and version of a file, and what keeps it from loading; 0 when it loads, 1 when not");
  s->add_option("file", o->file, "a .keras, .h5, .weights.h5, .weights.json or .json, or a folder")->required();
  s->add_option("--arch,--model", o->architecture, "for a file of weights: the model that they are for, as .keras, .h5 or .json");
  s->add_flag("--all", o->all, "list the weights that fit, too");
  s->add_flag("--json", o->json, "as JSON");
  return {s,
          [o] {
            saving::FileReport r = saving::inspect(o->file, {.architecture = o->architecture});
            std::cout << (o->json ? utils::to_json(r.to_value(), 2) + "\n" : r.str(o->all));
            return r.loads ? 0 : 1;
          },
          2};
}

}  // namespace keras::cli
