// What lives here: running models with an eye on every layer.
#include "saving/layer_outputs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "layers/layer_impl.h"
#include "models/functional.h"

namespace keras::saving {

namespace {

using models::FunctionalImpl;

FunctionalImpl* graph_of(core::Operation* op) {
  if (auto* f = dynamic_cast<FunctionalImpl*>(op)) return f;
  if (auto* s = dynamic_cast<models::SequentialImpl*>(op)) return s->functional().get();
  return nullptr;
}

Tensors run_graph(FunctionalImpl& graph, const Tensors& inputs, const std::string& prefix, const std::function<void(const LayerOutput&)>& see) {
  std::map<std::pair<std::pair<const core::Operation*, int>, int>, Tensor> values;
  Tensors symbols = graph.symbolic_inputs();
  for (size_t i = 0; i < symbols.size() && i < inputs.size(); ++i) {
    const auto& h = symbols[i].impl()->history;
    values[{{h.operation.get(), h.node}, h.index}] = inputs[i];
  }
  std::map<const core::Operation*, int> calls;
  size_t at = 0;
  return graph.run(inputs, [&](const core::Operation& op, const Tensors& out) {
    const FunctionalImpl::Step& step = graph.steps().at(at++);
    int call = calls[&op]++;
    FunctionalImpl* inner = graph_of(step.operation.get());
    if (inner) {
      // The layers inside run once more, so that each can be seen.
      core::CallArgs args = op.nodes()[static_cast<size_t>(step.node)].args.map_tensors([&](const Tensor& t) {
        if (!t.is_symbolic()) return t;
        const auto& h = t.impl()->history;
        return values.at({{h.operation.get(), h.node}, h.index});
      });
      Tensors given = args.args.empty() ? Tensors{} : args.args[0].tensors();
      run_graph(*inner, given, prefix + op.name() + "/", see);
    }
    for (size_t k = 0; k < out.size(); ++k) {
      values[{{&op, step.node}, static_cast<int>(k)}] = out[k];
      see({prefix + op.name(), op.class_name(), call, static_cast<int>(k), inner != nullptr, out[k]});
    }
  });
}

}  // namespace

Tensors run_layers(const Model& model, const Tensors& inputs, const std::function<void(const LayerOutput&)>& see) {
  layers::CallScope scope(nullptr, false);
  if (FunctionalImpl* graph = graph_of(&model.model_impl())) return run_graph(*graph, inputs, "", see);
  return model.predict_on_batch_all(Arrays(inputs));
}

Tensors ordered_inputs(const Model& model, const Arrays& given) {
  std::vector<std::string> names = model.input_names();
  Tensors want = model.inputs(), out;
  if (!given.names.empty() && !names.empty()) {
    for (const std::string& n : names) {
      auto it = std::find(given.names.begin(), given.names.end(), n);
      if (it == given.names.end())
        throw ValueError(ErrorText{.what = "there is no array for the input \"" + n + "\"", .where = "model \"" + model.name() + "\""}.str());
      out.push_back(given.values[static_cast<size_t>(it - given.names.begin())]);
    }
  } else {
    out = given.values;
  }
  if (!want.empty() && out.size() != want.size())
    throw ValueError(ErrorText{.what = "the model has another number of inputs", .where = "model \"" + model.name() + "\"", .expected = std::to_string(want.size()), .received = std::to_string(out.size())}.str());
  for (size_t i = 0; i < out.size() && i < want.size(); ++i) out[i] = out[i].astype(want[i].dtype());
  return out;
}

Deviation deviation(const std::vector<double>& got, const std::vector<double>& want) {
  Deviation d;
  double largest = 0;
  for (double w : want)
    if (std::isfinite(w)) largest = std::max(largest, std::fabs(w));
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    double g = got[i], w = want[i];
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    double e = std::isfinite(g) && std::isfinite(w) ? std::fabs(g - w) : std::numeric_limits<double>::infinity();
    d.abs = std::max(d.abs, e);
  }
  if (d.abs > 0) d.rel = largest > 0 ? d.abs / largest : std::numeric_limits<double>::infinity();
  return d;
}

}  // namespace keras::saving
