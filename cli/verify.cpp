// What lives here: `keras verify`: recomputing the trace that a file carries.
#include <iostream>

#include <keras/saving/verify.h>
#include <keras/utils.h>

#include "common.h"

namespace keras::cli {

Command verify_command(CLI::App& app) {
  struct Options {
    std::string file;
    saving::VerifyOptions verify;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  auto* s = app.add_subcommand("verify", "Recompute the inputs and outputs that a .keras file was saved with; 0 when they hold, 1 when a layer departs");
  s->add_option("file", o->file, "a .keras file saved with golden inputs")->required();
  s->add_option("--tolerance", o->verify.tolerance, "allowed difference, relative to the largest value (1e-4)");
  s->add_flag("--json", o->json, "as JSON");
  return {s,
          [o] {
            saving::VerifyReport r = saving::verify(o->file, o->verify);
            std::cout << (o->json ? utils::to_json(r.to_value(), 2) + "\n" : r.str());
            return r.holds ? 0 : 1;
          },
          2};
}

}  // namespace keras::cli
