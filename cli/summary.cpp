// What lives here: `keras summary`: the layers of a model, as a table or as JSON.
#include "common.h"

#include <iostream>

#include <keras/utils.h>

namespace keras::cli {

namespace {

struct SummaryArguments {
  std::string model, weights;
  bool json = false;
  SummaryOptions show;
};

int run_summary(const SummaryArguments& o) {
  Model m = open_model(o.model, o.weights, !o.model.ends_with(".json"));
  if (!o.json) {
    m.summary(o.show);
    return 0;
  }
  auto count = [](const std::vector<Variable>& vars) {
    int64_t n = 0;
    for (const Variable& v : vars) n += v.shape().numel();
    return n;
  };
  List layers;
  for (const Layer& l : m.layers()) {
    Value shape;
    if (l.num_nodes() > 0) shape = Value(l.get_output_shape_at(l.num_nodes() - 1));
    layers.push_back(Dict{{"name", l.name()}, {"class_name", l.class_name()}, {"output_shape", shape}, {"params", count(l.weights())}, {"trainable", l.trainable()}});
  }
  int64_t trainable = count(m.trainable_weights()), frozen = count(m.non_trainable_weights());
  std::cout << utils::to_json(Dict{{"name", m.name()}, {"class_name", m.class_name()}, {"total_params", trainable + frozen}, {"trainable_params", trainable}, {"non_trainable_params", frozen}, {"layers", layers}}, 2) << "\n";
  return 0;
}

}  // namespace

Command summary_command(CLI::App& app) {
  auto o = std::make_shared<SummaryArguments>();
  auto* s = app.add_subcommand("summary", "Print the layers of a model");
  s->add_option("model", o->model, "a .keras or .h5 file, or the .json of an architecture")->required();
  s->add_option("--weights", o->weights, "a .weights.h5 to load");
  s->add_flag("--json", o->json, "as JSON");
  s->add_flag("--expand-nested", o->show.expand_nested, "show the layers of nested models");
  s->add_flag("--show-trainable", o->show.show_trainable, "show whether each layer is trainable");
  s->add_option("--line-length", o->show.line_length, "columns of the table");
  s->add_flag("--flops", o->show.flops, "the operations of a forward pass, by layer");
  s->add_flag("--memory", o->show.memory, "what training takes at its peak (prediction, of a model that isn't compiled)");
  s->add_option("--batch", o->show.batch_size, "rows of a batch for --flops (1 when left out) and --memory (32)")->check(CLI::PositiveNumber);
  s->add_option("--style", o->show.style, "boxed or plain");
  return {s, [o] { return run_summary(*o); }};
}

}  // namespace keras::cli
