// What lives here: operations from a trace of the model, memory from the plan of its step.
#include "models/measure.h"

#include "cpu/thread_pool.h"
#include "models/example_data.h"
#include "models/functional.h"
#include "models/trainer.h"
#include "passes/passes.h"

namespace keras::models {

std::string layer_path(const std::string& origin, const std::string& model) {
  if (origin == model) return "";
  return origin.starts_with(model + "/") ? origin.substr(model.size() + 1) : origin;
}

std::map<std::string, double> flops_by_layer(const Model& model, int64_t rows) {
  std::map<std::string, double> out;
  ModelImpl& impl = model.model_impl();
  if (model.inputs().empty()) return out;
  core::Trace trace;
  {
    core::TraceScope scope(trace);
    layers::CallScope call(nullptr, false);
    Tensors x;
    for (const Tensor& in : model.inputs()) {
      Shape s = in.shape();
      for (int i = 0; i < s.rank(); ++i)
        if (s[i] < 0) s[i] = i == 0 ? rows : 16;
      x.push_back(trace.param({in.dtype(), s}));
    }
    core::CallArgs args;
    args.args.push_back(x.size() == 1 ? core::Arg(x[0]) : core::Arg(x));
    for (const Tensor& y : impl(std::move(args))) trace.graph.outputs.push_back(trace.lift(y));
  }
  const ir::Graph g = passes::simplify(trace.graph);
  double total = 0;
  for (const ir::Node& n : g.nodes()) {
    const double flops = ir::cost_of(g, n).flops;
    total += flops;
    if (!n.origin) continue;
    // To the layer, and to those that it is in.
    std::string path = layer_path(n.origin->name, model.name());
    while (!path.empty()) {
      out[path] += flops;
      const size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
    }
  }
  out[""] = total;
  return out;
}

data::Signature signature_of(const Tensors& x, const Tensors& y) {
  data::Signature s;
  s.layout.inputs = x.size();
  s.layout.targets.assign(y.size(), 1);
  s.layout.weights.assign(y.size(), 0);
  for (const Tensors* list : {&x, &y})
    for (const Tensor& t : *list) s.types.push_back({t.dtype(), t.shape()});
  return s;
}

PredictedMemory predicted_memory(Model& model, int64_t rows) {
  std::mt19937 rng(1);
  const Tensors x = example_inputs(model, rows, rng);
  PredictedMemory m;
  const auto bytes = [](const auto& tensors) {
    size_t n = 0;
    for (const auto& t : tensors) n += static_cast<size_t>(t.shape().numel()) * dtype_size(t.dtype());
    return n;
  };
  m.variables = bytes(model.variables());
  if (!model.compiled()) {
    const data::Signature s = signature_of(x, {});
    m.plan = model.model_impl().predict_step(s.types).exe->memory_bytes();
    m.data = 2 * bytes(x);
    return m;
  }
  m.training = true;
  const Tensors y = example_targets(model, rows, rng);
  Trainer& trainer = need_trainer(model, "predicted_memory");
  const StepExecutable& step = step_for(model, trainer, signature_of(x, y), true);
  m.variables += bytes(model.optimizer().variables());
  m.plan = step.compiled->exe->memory_bytes();
  m.data = 2 * (bytes(x) + bytes(y));
  return m;
}

}  // namespace keras::models
