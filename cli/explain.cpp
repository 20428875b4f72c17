// What lives here: `keras explain`: why each layer has its output shape and parameters.
#include "common.h"

#include <iostream>

namespace keras::cli {

Command explain_command(CLI::App& app) {
  struct Options {
    std::string model, layer;
  };
  auto o = std::make_shared<Options>();
  auto* s = app.add_subcommand("explain", "Say why each layer has its output shape and parameters");
  s->add_option("model", o->model, "a .keras or .h5 file, or the .json of an architecture")->required();
  s->add_option("--layer", o->layer, "only this layer");
  return {s, [o] {
            Model m = open_model(o->model, "", false);
            std::cout << (o->layer.empty() ? m.explain() : m.get_layer(o->layer).explain());
            return 0;
          }};
}

}  // namespace keras::cli
