// What lives here: `keras convert`: between the formats of models and weights.
#include <filesystem>
#include <iostream>

#include <keras/saving.h>

#include "common.h"

namespace keras::cli {

namespace {

struct ConvertArguments {
  std::string in, out, architecture;
  double max_shard_size = 0;
  bool no_compile = false;
};

bool weights_only(const std::string& path) { return path.ends_with(".weights.h5") || path.ends_with(".weights.json"); }

int run_convert(const ConvertArguments& o) {
  if (!o.out.ends_with(".keras") && !o.out.ends_with(".h5") && !o.out.ends_with(".json"))
    throw ValueError(ErrorText{.what = "the output's suffix is unknown", .expected = ".keras, .h5, .weights.h5, .weights.json or .json", .received = o.out}.str());
  if (std::error_code e; std::filesystem::equivalent(o.in, o.out, e)) throw ValueError("the output is the input: " + o.out);
  Model m;
  if (!o.architecture.empty()) {
    m = open_model(o.architecture, o.in, !o.no_compile);
  } else if (weights_only(o.in)) {
    throw ValueError(ErrorText{.what = "the input holds weights alone", .where = o.in, .fix = "name the model that they are for: --arch FILE"}.str());
  } else {
    m = open_model(o.in, "", !o.no_compile);
  }
  bool fresh = o.in.ends_with(".json") && !weights_only(o.in) && o.architecture.empty();
  if (o.out.ends_with(".weights.json")) {
    saving::save_weights(m, o.out, {.max_shard_size = o.max_shard_size > 0 ? o.max_shard_size : 5});
  } else if (o.out.ends_with(".json")) {
    write_text(o.out, m.to_json());
  } else if (o.out.ends_with(".weights.h5")) {
    m.save_weights(o.out);
  } else {
    m.save(o.out);
  }
  if (fresh && !o.out.ends_with(".json")) std::cerr << "keras: " << o.in << " holds no weights; those of " << o.out << " are fresh\n";
  return 0;
}

}  // namespace

Command convert_command(CLI::App& app) {
  auto o = std::make_shared<ConvertArguments>();
  auto* s = app.add_subcommand("convert", "Write a model or its weights in another format");
  s->add_option("input", o->in, "a .keras, .h5, .json, .weights.h5 or .weights.json, of any Keras from 2.2 on")->required();
  s->add_option("output", o->out, ".keras, .h5 (Keras 2), .weights.h5, .weights.json (shards), or .json (the architecture)")->required();
  s->add_option("--arch,--model", o->architecture, "for a file of weights: the model that they are for, as .keras, .h5 or .json");
  s->add_option("--max-shard-size", o->max_shard_size, "gigabytes per shard of .weights.json (5)")->check(CLI::PositiveNumber);
  s->add_flag("--no-compile", o->no_compile, "leave optimizer, loss and metrics behind");
  return {s, [o] { return run_convert(*o); }};
}

}  // namespace keras::cli
