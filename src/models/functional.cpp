// What lives here: the graph of a functional model: finding it, ordering it as Keras does, running it.
#include "models/functional.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include <keras/layers/core/input_layer.h>

#include "models/trainer.h"
#include "prims/build.h"

namespace keras::models {

using core::Arg;
using core::CallArgs;
using core::Operation;
using layers::Call;
using layers::LayerImpl;

ModelImpl::ModelImpl() = default;
ModelImpl::~ModelImpl() { delete steps_.load(); }

const core::Compiled& ModelImpl::predict_step(const std::vector<ir::Type>& types, Model* subject) {
  auto fits = [&](const PredictStep& s) { return s.types == types && s.of_subject == (subject != nullptr); };
  for (PredictStep* s = steps_.load(std::memory_order_acquire); s; s = s->next.get())
    if (fits(*s)) return *s->compiled;
  std::lock_guard lock(building_);
  for (PredictStep* s = steps_.load(); s; s = s->next.get())
    if (fits(*s)) return *s->compiled;
  auto step = std::make_unique<PredictStep>();
  step->types = types;
  step->of_subject = subject != nullptr;
  step->compiled = core::compile(
      [&](const Tensors& x) {
        layers::CallScope scope(nullptr, false);
        if (subject) return subject->predict_step({x, {}, {}});
        CallArgs args;
        args.args.push_back(x.size() == 1 ? Arg(x[0]) : Arg(x));
        return (*this)(std::move(args));
      },
      types);
  step->next.reset(steps_.load());
  PredictStep* made = step.release();
  steps_.store(made, std::memory_order_release);
  return *made->compiled;
}
void ModelImpl::forget_steps() {
  delete steps_.exchange(nullptr);
  if (trainer) trainer->train_steps.clear(), trainer->test_steps.clear();
}
std::vector<Layer> ModelImpl::layers() const {
  std::vector<Layer> out;
  for (const auto& l : sublayers()) out.emplace_back(l);
  return out;
}

namespace {
using NodeKey = std::pair<Operation*, int>;
}

FunctionalImpl::FunctionalImpl(Tensors inputs, Tensors outputs, const std::optional<std::string>& name, bool trainable)
    : inputs_(std::move(inputs)), outputs_(std::move(outputs)) {
  init("Functional", name, trainable, std::nullopt);
  autocast_ = false;
  supports_masking_ = true;
  auto check = [&](const Tensors& ts, const char* what) {
    if (ts.empty()) throw ValueError(ErrorText{.what = std::string("a functional model needs ") + what, .where = "model \"" + name_ + "\""}.str());
    for (const Tensor& t : ts)
      if (!t.is_symbolic())
        throw ValueError(ErrorText{.what = std::string("the ") + what + " of a functional model must be symbolic tensors", .where = "model \"" + name_ + "\"",
                                   .expected = "tensors that come from keras::Input", .received = t.str()}.str());
  };
  check(inputs_, "inputs");
  check(outputs_, "outputs");
  build_graph();
  built_ = true;
  built_shapes_.clear();
}

// Keras' map_graph: depth first from the outputs, then by depth, layers of one depth in the order in which they were first met.
void FunctionalImpl::build_graph() {
  std::vector<std::pair<std::shared_ptr<Operation>, int>> finished_nodes;
  std::map<Operation*, int> met;
  std::set<NodeKey> finished, active;
  std::map<Operation*, std::shared_ptr<Operation>> owner;
  std::set<std::pair<NodeKey, int>> input_keys;
  for (const Tensor& t : inputs_) {
    const auto& h = t.impl()->history;
    if (!h.operation) throw ValueError("an input of the model has no history: make it with keras::Input");
    input_keys.insert({{h.operation.get(), h.node}, h.index});
  }
  auto is_input = [&](const core::History& h) { return input_keys.count({{h.operation.get(), h.node}, h.index}) > 0; };
  struct Frame {
    std::shared_ptr<Operation> op;
    int node;
    Tensors parents;
    size_t next = 0;
  };
  auto visit = [&](const Tensor& output) {
    std::vector<Frame> stack;
    auto enter = [&](const Tensor& t) {
      const auto& h = t.impl()->history;
      if (!h.operation) throw ValueError(ErrorText{.what = "the graph is disconnected: a tensor was not made by any layer", .where = "model \"" + name_ + "\"", .received = t.str()}.str());
      NodeKey key{h.operation.get(), h.node};
      if (finished.count(key)) return;
      if (active.count(key)) throw ValueError("the graph of model \"" + name_ + "\" has a cycle");
      owner[h.operation.get()] = h.operation;
      met.emplace(h.operation.get(), static_cast<int>(met.size()));
      active.insert(key);
      // An input of the model ends the walk even when something made it.
      Tensors parents = is_input(h) ? Tensors{} : h.operation->nodes()[static_cast<size_t>(h.node)].args.tensors();
      std::erase_if(parents, [](const Tensor& p) { return !p.is_symbolic(); });
      stack.push_back({h.operation, h.node, std::move(parents)});
    };
    enter(output);
    while (!stack.empty()) {
      Frame& f = stack.back();
      if (f.next < f.parents.size()) {
        Tensor parent = f.parents[f.next++];
        enter(parent);
        continue;
      }
      NodeKey key{f.op.get(), f.node};
      finished.insert(key);
      active.erase(key);
      finished_nodes.emplace_back(f.op, f.node);
      stack.pop_back();
    }
  };
  for (const Tensor& t : outputs_) visit(t);

  std::map<NodeKey, int> node_depth;
  std::map<Operation*, int> op_depth;
  for (size_t i = finished_nodes.size(); i-- > 0;) {
    auto& [op, node] = finished_nodes[i];
    int& nd = node_depth[{op.get(), node}];
    int& od = op_depth[op.get()];
    nd = od = std::max(nd, od);
    core::History as_history{op, node, 0, {}};
    bool input = false;
    for (size_t k = 0; k < op->nodes()[static_cast<size_t>(node)].output_types.size(); ++k) {
      as_history.index = static_cast<int>(k);
      input |= is_input(as_history);
    }
    if (input) continue;
    for (const Tensor& p : op->nodes()[static_cast<size_t>(node)].args.tensors()) {
      if (!p.is_symbolic()) continue;
      const auto& h = p.impl()->history;
      int& parent = node_depth[{h.operation.get(), h.node}];
      parent = std::max(parent, nd + 1);
    }
  }
  for (const Tensor& t : inputs_) {
    const auto& h = t.impl()->history;
    if (!op_depth.count(h.operation.get())) {
      op_depth[h.operation.get()] = 0;
      met[h.operation.get()] = -1;
      node_depth[{h.operation.get(), h.node}] = 0;
      owner[h.operation.get()] = h.operation;
      finished_nodes.emplace_back(h.operation, h.node);
    }
  }
  std::vector<Operation*> ops;
  for (auto& [op, depth] : op_depth) ops.push_back(op);
  std::stable_sort(ops.begin(), ops.end(), [&](Operation* a, Operation* b) {
    int da = op_depth[a], db = op_depth[b];
    return da != db ? da > db : met[a] < met[b];
  });
  std::set<std::string> names;
  for (Operation* op : ops) {
    operations_.push_back(owner[op]);
    if (auto layer = std::dynamic_pointer_cast<LayerImpl>(owner[op])) layers_.emplace_back(layer);
    if (!names.insert(op->name()).second)
      throw ValueError(ErrorText{.what = "two layers of the model have the name \"" + op->name() + "\"", .where = "model \"" + name_ + "\"", .fix = "give each its own name, or call the same layer object twice to share it"}.str());
  }
  // Inputs that only other inputs of the model reach are dead ends: a graph that needs an Input which is not among them.
  std::vector<std::pair<std::shared_ptr<Operation>, int>> order = finished_nodes;
  std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) { return node_depth[{a.first.get(), a.second}] > node_depth[{b.first.get(), b.second}]; });
  for (auto& [op, node] : order) {
    bool given = false;
    for (size_t k = 0; k < op->nodes()[static_cast<size_t>(node)].output_types.size(); ++k) given |= is_input({op, node, static_cast<int>(k), {}});
    if (given) continue;
    if (op->class_name() == "InputLayer")
      throw ValueError(ErrorText{.what = "the outputs depend on an input that is not among the model's inputs", .where = "model \"" + name_ + "\"",
                                 .received = "Input \"" + op->name() + "\"", .fix = "add it to the inputs"}.str());
    steps_.push_back({op, node});
  }
}

std::vector<std::pair<std::string, Layer>> FunctionalImpl::parts() const {
  std::vector<std::pair<std::string, Layer>> out;
  for (const Layer& l : layers_) out.emplace_back(l.name(), l);
  return out;
}
// Data are matched by the keys of the dictionary that the model was made from, if there is one.
static std::vector<std::string> sorted_keys(const FunctionalImpl::Keys& keys) {
  std::vector<std::string> out(keys.size());
  for (const auto& [key, at] : keys) out[at] = key;
  return out;
}
std::vector<std::string> FunctionalImpl::input_names() const {
  if (!input_keys.empty()) return sorted_keys(input_keys);
  std::vector<std::string> out;
  for (const Tensor& t : inputs_) out.push_back(t.impl()->history.operation->name());
  return out;
}
std::vector<std::string> FunctionalImpl::output_names() const {
  if (!output_keys.empty()) return sorted_keys(output_keys);
  std::vector<std::string> out;
  for (const Tensor& t : outputs_) out.push_back(t.impl()->history.operation->name());
  return out;
}

std::vector<ir::Type> FunctionalImpl::output_types(const CallArgs& args) {
  // With the declared shapes the recorded types hold; with other ones the graph is walked again.
  Tensors in = args.inputs();
  bool same = in.size() == inputs_.size();
  for (size_t i = 0; same && i < in.size(); ++i) same = in[i].shape() == inputs_[i].shape();
  if (!same) return ModelImpl::output_types(args);
  std::vector<ir::Type> out;
  for (const Tensor& t : outputs_) out.push_back({t.dtype(), t.shape()});
  return out;
}

Tensors FunctionalImpl::run(const Tensors& given, const std::function<void(const Operation&, const Tensors&)>& watch) {
  if (given.size() != inputs_.size())
    throw ValueError(ErrorText{.what = "the model got another number of inputs", .where = "model \"" + name_ + "\"", .expected = std::to_string(inputs_.size()), .received = std::to_string(given.size())}.str());
  std::map<std::pair<NodeKey, int>, Tensor> values;
  for (size_t i = 0; i < given.size(); ++i) {
    const Tensor& want = inputs_[i];
    Tensor t = given[i];
    const auto& h = want.impl()->history;
    Tensor mask = core::mask_of(t);
    int rank = want.rank();
    // Keras' repair of ranks: a missing last axis of 1 is added, a surplus one dropped.
    if (t.rank() == rank - 1 && want.shape().back() == 1) {
      Shape s = t.shape();
      s.push_back(1);
      t = prims::reshape(t, s);
    } else if (t.rank() == rank + 1 && t.shape().back() == 1) {
      t = prims::reshape(t, t.shape().slice(0, -1));
    }
    if (!compatible(t.shape(), want.shape()))
      throw ValueError(ErrorText{.what = "the input does not fit the model", .where = "model \"" + name_ + "\", input \"" + h.operation->name() + "\"", .expected = want.shape().str(), .received = given[i].shape().str()}.str());
    t = core::with_mask(prims::cast(t, want.dtype()), mask);
    values[{{h.operation.get(), h.node}, h.index}] = t;
  }
  auto lookup = [&](const Tensor& t) {
    if (!t.is_symbolic()) return t;
    const auto& h = t.impl()->history;
    return values.at({{h.operation.get(), h.node}, h.index});
  };
  for (const Step& s : steps_) {
    Tensors out = s.operation->rerun(s.operation->nodes()[static_cast<size_t>(s.node)].args.map_tensors(lookup));
    if (watch) watch(*s.operation, out);
    for (size_t k = 0; k < out.size(); ++k) values[{{s.operation.get(), s.node}, static_cast<int>(k)}] = out[k];
  }
  Tensors result;
  for (const Tensor& t : outputs_) result.push_back(lookup(t));
  return result;
}

Tensors FunctionalImpl::call(const Call& c) {
  Tensors in = c.inputs;
  for (size_t i = 0; i < in.size() && i < c.masks.size(); ++i)
    if (c.masks[i].defined()) in[i] = core::with_mask(in[i], c.masks[i]);
  return run(in);
}

// ---- Sequential
SequentialImpl::SequentialImpl(const std::optional<std::string>& name, bool trainable) {
  init("Sequential", name, trainable, std::nullopt);
  autocast_ = false;
  supports_masking_ = true;
}

void SequentialImpl::add(const Layer& layer) {
  bool is_input = layer.class_name() == "InputLayer";
  if (layers_.empty() && !is_input && layer.impl()->batch_input_shape_) {
    // Keras 2's input_shape on the first layer. The dtype is what the layer reads: integers for an Embedding.
    InputOptions o;
    if (layer.class_name() == "Embedding") o.dtype = "int32";
    layers_.push_back(layers::InputLayer(*layer.impl()->batch_input_shape_, o));
  } else if (is_input && !layers_.empty()) {
    throw ValueError(ErrorText{.what = "an Input can only be the first of a Sequential model", .where = "model \"" + name_ + "\"", .received = "Input \"" + layer.name() + "\" after \"" + layers_.back().name() + "\""}.str());
  }
  for (const Layer& l : layers_)
    if (l.name() == layer.name())
      throw ValueError(ErrorText{.what = "all layers of a Sequential model need their own name", .where = "model \"" + name_ + "\"", .received = "a second \"" + layer.name() + "\""}.str());
  layers_.push_back(layer);
  rebuild();
}
void SequentialImpl::pop() {
  if (layers_.empty()) throw ValueError("pop: model \"" + name_ + "\" has no layers");
  std::erase(found_, layers_.back().impl());  // it was called by this model, and is no part of it any more
  layers_.pop_back();
  if (!chain_.empty()) chain_.pop_back();
  rebuild();
}
void SequentialImpl::rebuild() {
  functional_.reset();
  built_ = false;
  forget_steps();
  if (layers_.empty() || layers_[0].class_name() != "InputLayer") chain_.clear();
  else if (layers_.size() > 1) ensure_built({layers_[0].impl()->batch_input_shape_.value()});
}
void SequentialImpl::build(const std::vector<Shape>& inputs) {
  if (layers_.empty()) throw ValueError(ErrorText{.what = "the Sequential model has no layers", .where = "model \"" + name_ + "\"", .fix = "add() one first"}.str());
  bool declared = layers_[0].class_name() == "InputLayer";
  if (!declared) {
    Shape shape = inputs.at(0);
    if (shape.rank() > 0) shape[0] = None;
    chain_ = {Input(Shape{}, {.batch_shape = shape})};
  } else if (chain_.empty()) {
    chain_ = {layers_[0].impl()->output(0, 0)};
  }
  // Layers called before keep their place: each is called once, so that it has one node.
  for (size_t i = chain_.size() - (declared ? 0 : 1); i < layers_.size(); ++i) {
    Output out = layers_[i](chain_.back());
    if (out.all.size() != 1) throw ValueError(ErrorText{.what = "a layer of a Sequential model gives several outputs", .where = "layer \"" + layers_[i].name() + "\"", .fix = "use a functional model"}.str());
    chain_.push_back(out);
  }
  built_shapes_ = {chain_.front().shape()};
  functional_ = std::make_shared<FunctionalImpl>(Tensors{chain_.front()}, Tensors{chain_.back()}, name_);
}
Tensors SequentialImpl::call(const Call& c) {
  if (functional_) return functional_->call(c);
  Tensor x = c.input();
  for (const Layer& l : layers_)
    if (l.class_name() != "InputLayer") x = l(x);
  return {x};
}
std::vector<Layer> SequentialImpl::layers() const {
  std::vector<Layer> out;
  for (const Layer& l : layers_)
    if (l.class_name() != "InputLayer") out.push_back(l);
  return out;
}
std::vector<std::pair<std::string, Layer>> SequentialImpl::parts() const {
  std::vector<std::pair<std::string, Layer>> out;
  for (const Layer& l : layers()) out.emplace_back(l.name(), l);
  return out;
}

}  // namespace keras::models
