// What lives here: a model's answer to "why is this my output shape, and why so many parameters?": its graph walked call by call, each
// layer in its own words, then the sum.
#include <fmt/format.h>

#include <map>

#include "layers/explain.h"
#include "models/functional.h"

namespace keras::models {

using core::Operation;
using layers::LayerImpl;

namespace {

using Place = std::tuple<const Operation*, int, int>;
Place place_of(const Tensor& t) {
  const core::History& h = t.impl()->history;
  return {h.operation.get(), h.node, h.index};
}

/// The shapes of every tensor of the graph for given shapes of its inputs.
std::map<Place, Shape> shapes_for(const FunctionalImpl& model, const std::vector<Shape>& inputs) {
  std::map<Place, Shape> shapes;
  bool as_made = true;
  const Tensors symbolic = model.symbolic_inputs();
  for (size_t i = 0; i < symbolic.size(); ++i) {
    bool given = i < inputs.size();
    shapes[place_of(symbolic[i])] = given ? inputs[i] : symbolic[i].shape();
    as_made = as_made && (!given || inputs[i] == symbolic[i].shape());
  }
  if (as_made) {
    for (const FunctionalImpl::Step& s : model.steps()) {
      const core::Node& node = s.operation->nodes()[static_cast<size_t>(s.node)];
      for (size_t k = 0; k < node.output_types.size(); ++k) shapes[{s.operation.get(), s.node, static_cast<int>(k)}] = node.output_types[k].shape;
    }
    return shapes;
  }
  // Other sizes than those that the graph was made with: it runs on abstract values.
  std::vector<ir::Type> types;
  for (size_t i = 0; i < symbolic.size(); ++i) types.push_back({symbolic[i].dtype(), i < inputs.size() ? inputs[i] : symbolic[i].shape()});
  size_t step = 0;
  core::infer(types, [&](const Tensors& x) {
    return const_cast<FunctionalImpl&>(model).run(x, [&](const Operation& op, const Tensors& out) {
      for (size_t k = 0; k < out.size(); ++k) shapes[{&op, model.steps()[step].node, static_cast<int>(k)}] = out[k].shape();
      ++step;
    });
  });
  return shapes;
}

std::string joined(const std::vector<std::string>& names) {
  std::string s;
  for (const std::string& n : names) s += (s.empty() ? "" : ", ") + n;
  return s;
}

/// Where the parameters of all layers together come from.
std::string sum_text(const ModelImpl& model) {
  std::vector<std::string> terms, frozen;
  for (const Layer& l : model.layers()) {
    int64_t n = layers::parameter_count(*l.impl()), still = 0;
    for (const Variable& v : l.impl()->non_trainable_weights()) still += v.shape().numel();
    if (n) terms.push_back(fmt::format("{} ({})", n, l.name()));
    if (still) frozen.push_back(fmt::format("{} ({})", still, l.name()));
  }
  int64_t total = layers::parameter_count(model);
  if (total == 0) return "no parameters\n";
  std::string text = fmt::format("{} parameters = {}\n", total, fmt::join(terms, " + "));
  if (!frozen.empty()) text += fmt::format("not trained: {}\n", fmt::join(frozen, " + "));
  return text;
}

}  // namespace

std::string FunctionalImpl::explanation(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const {
  std::map<Place, Shape> shapes = shapes_for(*this, inputs);
  std::vector<Shape> in = inputs, out = outputs;
  if (in.empty())
    for (const Tensor& t : inputs_) in.push_back(shapes.at(place_of(t)));
  if (out.empty())
    for (const Tensor& t : outputs_) out.push_back(shapes.at(place_of(t)));
  std::string text = layers::explained_call(name_, class_name_, in, out);

  std::map<const Operation*, int> calls, seen;
  std::map<const Operation*, std::string> told;  // what the first call of each was told to be
  for (const Step& s : steps_) ++calls[s.operation.get()];
  std::string before = inputs_.size() == 1 ? inputs_[0].impl()->history.operation->name() : "";
  for (const Tensor& t : inputs_) {
    const auto* layer = dynamic_cast<const LayerImpl*>(t.impl()->history.operation.get());
    if (layer && layer->class_name() == "InputLayer") text += "\n" + layers::indented(layer->explanation({}, {shapes.at(place_of(t))}));
  }
  for (const Step& s : steps_) {
    const Operation* op = s.operation.get();
    const core::CallArgs& args = op->nodes()[static_cast<size_t>(s.node)].args;
    std::vector<std::string> sources;
    // The same arguments with the shapes of this walk.
    core::CallArgs here = args.map_tensors([&](const Tensor& t) {
      if (!t.is_symbolic()) return t;
      sources.push_back(t.impl()->history.operation->name());
      return core::make_symbolic({t.dtype(), shapes.at(place_of(t))}, t.name());
    });
    std::vector<Shape> to;
    for (int k = 0; shapes.count({op, s.node, k}); ++k) to.push_back(shapes.at({op, s.node, k}));
    std::string part;
    if (const auto* layer = dynamic_cast<const LayerImpl*>(op)) {
      part = layer->explanation(layer->build_shapes(here), to);
    } else {
      std::vector<Shape> from;
      for (const Tensor& t : here.tensors()) from.push_back(t.shape());
      part = layers::explained_call(op->name(), op->class_name(), from, to) + layers::explained_axes(layers::compared_axes(from, to.empty() ? Shape() : to[0], op->class_name()), to.empty() ? Shape() : to[0]) +
             "  a function of keras::ops: no parameters\n";
    }
    bool again = calls[op] > 1 && !told.emplace(op, part).second && told[op] == part;
    if (again) part = part.substr(0, part.find('\n') + 1);
    if (joined(sources) != before) part += "  fed by " + joined(sources) + "\n";
    if (calls[op] > 1) {
      int nth = ++seen[op];
      part += fmt::format("  call {} of {}{}{}\n", nth, calls[op], nth == 1 ? "" : ": the same weights as in the first, which the model counts once", again ? "; all else as there" : "");
    }
    text += "\n" + layers::indented(part);
    before = op->name();
  }
  return text + "\n  " + layers::indented(sum_text(*this)).substr(2);
}

std::string SequentialImpl::explanation(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) const {
  if (!functional_) return LayerImpl::explanation(inputs, outputs);
  std::string text = functional_->explanation(inputs, outputs);
  // The first line is the chain's, whose class is its own.
  std::vector<Shape> in = inputs, out = outputs;
  if (in.empty()) in = {functional_->symbolic_inputs()[0].shape()};
  if (out.empty()) out = {functional_->symbolic_outputs()[0].shape()};
  return layers::explained_call(name_, class_name_, in, out) + text.substr(text.find('\n') + 1);
}

}  // namespace keras::models
