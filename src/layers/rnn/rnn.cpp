// What lives here: RNN, the walk over time, with masks, states kept between batches, and both directions.
#include <keras/layers/rnn/rnn.h>

#include <fmt/format.h>

#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {
/// Masks line up with states and outputs from the batch axis on.
Tensor with_rank(const Tensor& keep, int rank) {
  if (keep.rank() >= rank) return keep;
  Shape s = keep.shape();
  while (s.rank() < rank) s.push_back(1);
  return prims::reshape(keep, s);
}
Tensor choose(const Tensor& keep, const Tensor& a, const Tensor& b) { return prims::select(with_rank(keep, a.rank()), a, b); }
Tensor zeros_like(const Tensor& t) { return prims::broadcast_to(scalar_like(t, t.dtype(), 0), t.shape()); }
Tensor swap_time(const Tensor& t) {
  ir::Ints perm = prims::iota_axes(t.rank());
  std::swap(perm[0], perm[1]);
  return prims::transpose(t, perm);
}
/// Step `t` of a value whose first axis is time.
Tensor at(const Tensor& t, int64_t step) { return prims::reshape(prims::slice_axis(t, 0, step, step + 1), t.shape().slice(1)); }

struct Walk {
  Tensor last, outputs;  // last (batch, …); outputs (time, batch, …) in the order of the walk, only when asked for
  Tensors states;
};

/// One cell over the whole sequence. `keep` (time, batch, …, 1) is true where a step counts. `inner`: a cell under another one, which
/// reads outputs of masked steps too, in the order of the sequence.
Walk walk(const Cell::Loop& run, const Tensors& initial, const Tensor& keep, const LoopSetup& o, bool sequences, bool inner) {
  Walk w;
  int64_t steps = run.xs.shape()[0];
  auto masked_states = [&](const Tensor& k, const Tensors& next, const Tensors& before) {
    Tensors out;
    for (size_t i = 0; i < next.size(); ++i) out.push_back(choose(k, next[i], before[i]));
    return out;
  };
  if (o.unroll) {
    Tensors ys;
    w.states = initial;
    for (int64_t i = 0; i < steps; ++i) {
      int64_t t = o.go_backwards ? steps - 1 - i : i;
      auto [y, next] = run.step(at(run.xs, t), w.states);
      if (keep.defined()) {
        Tensor k = at(keep, t);
        if (!inner) y = choose(k, y, ys.empty() ? zeros_like(y) : ys.back());
        next = masked_states(k, next, w.states);
      }
      ys.push_back(y);
      w.states = next;
    }
    w.last = ys.back();
    if (inner && o.go_backwards) std::reverse(ys.begin(), ys.end());
    if (sequences) {
      for (Tensor& y : ys) y = prims::reshape(y, Shape{1} + y.shape());
      w.outputs = prims::concat(ys, 0);
    }
    return w;
  }
  bool output_is_state = false;
  auto step = [&](const Tensors& states, const Tensors& in) {
    auto [y, next] = run.step(in[0], states);
    output_is_state = y.same(next.at(0));
    if (keep.defined()) {
      Tensors kept = masked_states(in[1], next, states);
      if (!inner) {
        if (o.zero_output_for_mask) output_is_state = false, y = choose(in[1], y, zeros_like(y));
        else y = output_is_state ? kept[0] : choose(in[1], y, states.at(0));
      } else {
        output_is_state = false;
      }
      next = kept;
    }
    bool need = sequences || !output_is_state;
    return std::pair{next, need ? Tensors{y} : Tensors{}};
  };
  Tensors xs{run.xs};
  if (keep.defined()) xs.push_back(keep);
  core::ScanResult r = core::scan(step, initial, xs, o.go_backwards);
  w.states = r.states;
  if (!r.ys.empty() && sequences) w.outputs = o.go_backwards && !inner ? prims::reverse(r.ys[0], {0}) : r.ys[0];
  if (inner) return w;
  if (output_is_state) w.last = w.states[0];
  else if (!sequences) w.last = at(r.ys[0], o.go_backwards || steps < 0 ? 0 : steps - 1);
  return w;
}
}  // namespace

void adopt_paths(const Layer& part) {
  std::string prefix;
  for (const CallContext* c = current_call(); c; c = c->parent)
    if (c->layer) prefix = c->layer->name() + "/" + prefix;
  for (const Variable& v : part.weights())
    if (!v.path().starts_with(prefix)) v.set_path(prefix + v.path());
}
Tensors initial_state_of(const Call& c) {
  Tensors t = c.tensors(1, "initial_state");
  if (t.empty() && c.inputs.size() > 1) t.assign(c.inputs.begin() + 1, c.inputs.end());
  return t;
}
Tensor sequence_mask_of(const Call& c) {
  Tensor m = c.mask();
  return m.defined() ? m : c.tensor(2, "mask");
}
Tensor loop_mask_of(const Call& c) {
  Tensor given = c.tensor(2, "mask");
  return given.defined() || !c.tensors(1, "initial_state").empty() ? given : sequence_mask_of(c);
}
Value recurrent_build_config(const LayerImpl& layer, Value otherwise) {
  if (layer.nodes().empty()) return otherwise;
  const core::CallArgs& args = layer.nodes()[0].args;
  const core::Arg* a = args.find("initial_state");
  if (!a || a->tensors().empty() || args.inputs().empty()) return otherwise;
  Value states;
  if (a->is_tensor()) {
    states = Value(a->tensor().shape());
  } else {
    List l;
    for (const Tensor& t : a->tensors()) l.push_back(Value(t.shape()));
    states = l;
  }
  return Dict{{"shapes_dict", Dict{{"sequences_shape", Value(args.inputs()[0].shape())}, {"initial_state_shape", states}}}};
}
Value sequences_of(const Value& build_config) {
  const Value& shapes = build_config.get("shapes_dict");
  return shapes.is_dict() ? shapes.get("sequences_shape") : build_config.get("input_shape");
}

void RNNImpl::set_up(const Layer& c, const LoopSetup& setup, const Regularizer& activity) {
  cell = cell_of(c, where());
  cell_layer = c;
  loop = setup;
  activity_regularizer_ = activity;
  supports_masking_ = true;
  track("cell", c.impl());
}

void RNNImpl::fix_input_spec(const Shape& input) {
  if (!input_spec_.empty() && input.back() >= 0) input_spec_[0].axes = {{-1, input.back()}};
}

void RNNImpl::build(const std::vector<Shape>& inputs) {
  const Shape& in = inputs.at(0);
  if (in.rank() < 3)
    throw ValueError(ErrorText{.what = "a recurrent layer needs a time axis", .where = where(), .expected = "(batch, time, features)", .received = in.str()}.str());
  Shape step = in;
  step.erase(1);
  if (from_config && cell_layer.built()) adopt_paths(cell_layer);
  cell_layer.impl()->ensure_built({step});
  fix_input_spec(in);
  if (!loop.stateful || !states.empty()) return;
  if (in[0] < 0)
    throw ValueError(ErrorText{.what = "a stateful recurrent layer must know the batch size", .where = where(), .expected = "(batch, time, …)", .received = in.str(),
                               .fix = "give the Input a batch_size"}.str());
  for (Cell* c : cell->stack())
    for (const Tensor& zero : c->initial_state(in[0]))
      states.emplace_back(prims::cast(zero, variable_dtype_), VariableOptions{.name = "rnn_state", .trainable = false, .path_prefix = name_});
}

void RNNImpl::reset_states() {
  for (const Variable& v : states) v.assign(zeros_like(v.value()));
}
Value RNNImpl::build_config() const { return recurrent_build_config(*this, LayerImpl::build_config()); }
void RNNImpl::build_from_config(const Value& config) {
  if (config.get("shapes_dict").is_dict()) {
    if (Value s = sequences_of(config); s.is_list() && !built_) ensure_built({s.as_shape()});
  } else {
    LayerImpl::build_from_config(config);
  }
}

Tensors RNNImpl::initial_states(const Call& c) const {
  Tensors given = initial_state_of(c);
  std::vector<Cell*> stack = cell->stack();
  int64_t batch = c.input().shape()[0];
  if (loop.stateful && !states.empty() && batch >= 0 && batch != states[0].shape()[0])
    throw ValueError(ErrorText{.what = "a stateful recurrent layer got another batch size than its states have", .where = where(), .expected = std::to_string(states[0].shape()[0]),
                               .received = std::to_string(batch), .fix = "use batches of one size, or build the layer for this one"}.str());
  size_t count = 0;
  for (Cell* s : stack) count += s->state_shapes().size();
  if (given.empty()) {
    if (loop.stateful)
      for (const Variable& v : states) given.push_back(v.value());
    else
      for (Cell* s : stack)
        for (const Tensor& t : s->initial_state(batch)) given.push_back(t);
  } else if (given.size() != count) {
    throw ValueError(ErrorText{.what = "a recurrent layer got another number of initial states than its cell has", .where = where(), .expected = std::to_string(count), .received = std::to_string(given.size())}.str());
  }
  size_t i = 0;
  for (Cell* s : stack)
    for (const Shape& shape : s->state_shapes()) {
      Tensor& t = given[i++];
      if (!compatible(t.shape(), Shape{batch} + shape))
        throw ValueError(ErrorText{.what = fmt::format("initial state {} has the wrong shape", i - 1), .where = where(), .expected = (Shape{batch} + shape).str(), .received = t.shape().str()}.str());
      t = prims::cast(t, s->state_dtype());
    }
  return given;
}

Tensors RNNImpl::call(const Call& c) {
  const Tensor& x = c.input();
  int64_t steps = x.shape()[1];
  if (loop.unroll && steps <= 0)
    throw ValueError(ErrorText{.what = "a recurrent layer can't be unrolled over an unknown number of steps", .where = where(), .expected = "(batch, time, …) with a known time axis",
                               .received = x.shape().str(), .fix = "give the Input its number of steps, or unroll = false"}.str());
  Tensors initial = initial_states(c);
  Tensor keep = loop_mask_of(c);
  if (keep.defined()) {
    if (keep.rank() < 2)
      throw ValueError(ErrorText{.what = "the mask of a recurrent layer needs a time axis", .where = where(), .expected = "(batch, time)", .received = keep.shape().str()}.str());
    if (keep.dtype() != DType::Bool) keep = prims::cast(keep, DType::Bool);
    keep = keep.rank() == 2 ? prims::reshape(keep, keep.shape() + Shape{1}) : prims::reduce(prims::reduce_or_prim, keep, {keep.rank() - 1}, true);
    keep = swap_time(keep);
  }
  // A stack is one loop per cell: the same numbers as one loop over all cells, and each projects its whole input at once.
  Tensor xs = swap_time(x);
  std::vector<Cell*> stack = cell->stack();
  Tensors finals;
  Walk w;
  size_t used = 0;
  for (size_t i = 0; i < stack.size(); ++i) {
    bool top = i + 1 == stack.size();
    size_t n = stack[i]->state_shapes().size();
    Tensors states(initial.begin() + static_cast<int64_t>(used), initial.begin() + static_cast<int64_t>(used + n));
    used += n;
    Cell::Masks masks = stack[i]->draw(xs.shape().slice(1), states.at(0).shape(), c.training);
    LoopSetup setup = loop;
    setup.unroll |= steps > 0 && stack[i]->must_unroll(c.training);
    w = walk(stack[i]->prepare(xs, true, masks, c.training), states, keep, setup, !top || loop.return_sequences, !top);
    if (!top) xs = w.outputs;
    finals.insert(finals.end(), w.states.begin(), w.states.end());
  }
  for (Tensor& s : finals) s = prims::cast(s, compute_dtype_);
  if (loop.stateful)
    for (size_t i = 0; i < finals.size(); ++i) states[i].assign(prims::cast(finals[i], states[i].dtype()));
  Tensors out{prims::cast(loop.return_sequences ? swap_time(w.outputs) : w.last, compute_dtype_)};
  if (loop.return_state) out.insert(out.end(), finals.begin(), finals.end());
  return out;
}

Tensors RNNImpl::compute_mask(const Call& c, size_t outputs) {
  Tensors masks(outputs);
  if (loop.return_sequences) masks[0] = sequence_mask_of(c);
  return masks;
}

std::vector<std::string> RNNImpl::explain_output(const Shape&, const Shape& out) const {
  return {"units=" + std::to_string(out.back()) + ": the output of the cell at one step"};
}
Explanation RNNImpl::explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const {
  Explanation e;
  e.axes.push_back("batch, as it came in");
  if (loop.return_sequences) e.axes.push_back("return_sequences=true: one output per step, so the time axis stays as it came in" + std::string(loop.go_backwards ? ", in the order of the walk (go_backwards)" : ""));
  for (std::string& s : explain_output(in.at(0), out.at(0))) e.axes.push_back(std::move(s));
  if (!loop.return_sequences) e.notes.push_back("the time axis is gone: only the output of the last step is returned; return_sequences = true keeps one per step");
  if (loop.return_state) e.notes.push_back(fmt::format("return_state=true: after the output come the {} last state(s)", out.size() - 1));
  int64_t features = input_features(in.at(0));
  for (Cell* c : cell->stack())
    if (auto* g = dynamic_cast<GatedCell*>(c)) {
      for (std::string& s : g->explain_weights(features)) e.parameters.push_back((cell->stack().size() > 1 ? g->name() + ": " : "") + s);
      features = g->size();
    }
  e.notes.push_back("the same weights serve every step: their sizes do not depend on the number of steps");
  return e;
}

// ---- StackedRNNCells
namespace {
class StackImpl : public LayerImpl, public Cell {
 public:
  StackImpl(const std::vector<Layer>& layers, const StackedRNNCellsOptions& o) : layers_(layers) {
    init_common("StackedRNNCells", o);
    if (layers_.empty()) throw ValueError(ErrorText{.what = "StackedRNNCells needs at least one cell", .where = "layer \"" + name_ + "\""}.str());
    for (const Layer& l : layers_) cells_.push_back(cell_of(l, "layer \"" + name_ + "\" (StackedRNNCells)"));
    // Saved as the elements of a list: class names, counted from the second one on.
    std::map<std::string, int> seen;
    for (const Layer& l : layers_) {
      std::string base = core::to_snake_case(l.class_name());
      int n = seen[base]++;
      track("cells/" + base + (n ? "_" + std::to_string(n) : ""), l.impl());
    }
  }
  std::vector<Shape> state_shapes() const override {
    std::vector<Shape> out;
    for (const auto& c : cells_)
      for (const Shape& s : c->state_shapes()) out.push_back(s);
    return out;
  }
  Shape output_shape() const override { return cells_.back()->output_shape(); }
  Tensors initial_state(int64_t batch) const override {
    Tensors out;
    for (const auto& c : cells_)
      for (const Tensor& t : c->initial_state(batch)) out.push_back(t);
    return out;
  }
  DType state_dtype() const override { return compute_dtype_; }
  bool draws_at_inference() const override {
    return std::any_of(cells_.begin(), cells_.end(), [](const auto& c) { return c->draws_at_inference(); });
  }
  std::vector<Cell*> stack() override {
    std::vector<Cell*> out;
    for (const auto& c : cells_)
      for (Cell* inner : c->stack()) out.push_back(inner);
    return out;
  }
  Loop prepare(const Tensor& x, bool, const Masks&, bool training) override {
    return {x, [this, training](const Tensor& x_t, const Tensors& states) {
              Tensor y = x_t;
              Tensors next;
              size_t used = 0;
              for (Cell* c : stack()) {
                size_t n = c->state_shapes().size();
                Tensors own(states.begin() + static_cast<int64_t>(used), states.begin() + static_cast<int64_t>(used + n));
                used += n;
                Masks masks;
                if (training && c->draws_at_inference()) masks = c->draw(y.shape(), own.at(0).shape(), training);
                Loop run = c->prepare(y, false, masks, training);
                auto [out, after] = run.step(run.xs, own);
                y = out;
                next.insert(next.end(), after.begin(), after.end());
              }
              return std::pair{y, next};
            }};
  }
  void build(const std::vector<Shape>& inputs) override {
    Shape in = inputs.at(0);
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (from_config && layers_[i].built()) adopt_paths(layers_[i]);
      layers_[i].impl()->ensure_built({in});
      in = Shape{in[0]} + cells_[i]->output_shape();
    }
  }
  Tensors call(const Call& c) override {
    Tensors given;
    for (const core::Arg& a : c.args.args) a.each_tensor([&](const Tensor& t) { given.push_back(t); });
    if (const core::Arg* a = c.args.find("states")) a->each_tensor([&](const Tensor& t) { given.push_back(t); });
    Tensors states(given.begin() + 1, given.end());
    if (states.size() != state_shapes().size())
      throw ValueError(ErrorText{.what = "stacked cells were called with another number of states", .where = "layer \"" + name_ + "\" (StackedRNNCells)", .expected = std::to_string(state_shapes().size()),
                                 .received = std::to_string(states.size())}.str());
    Loop run = prepare(given[0], false, {}, c.training);
    auto [y, next] = run.step(given[0], states);
    Tensors out{y};
    out.insert(out.end(), next.begin(), next.end());
    return out;
  }
  bool uses_training() const override { return true; }
  Dict own_config() const override {
    List cells;
    for (const Layer& l : layers_) cells.push_back(serialize_layer(l));
    return {{"cells", cells}};
  }
  const std::vector<Layer>& layers() const { return layers_; }
  bool from_config = false;

 private:
  static Value serialize_layer(const Layer& l) { return layers::serialize(l); }
  std::vector<Layer> layers_;
  std::vector<std::shared_ptr<Cell>> cells_;
};

struct PlainRNNImpl : RNNImpl {
  PlainRNNImpl(const Layer& c, const RNNOptions& options) : o(options) {
    init_common("RNN", o);
    set_up(c, loop_of(o), o.activity_regularizer);
  }
  Dict own_config() const override {
    Dict d = config_of(o);
    d.set("zero_output_for_mask", loop.zero_output_for_mask);
    d.set("cell", layers::serialize(cell_layer));
    return d;
  }
  RNNOptions o;
};
}  // namespace

StackedRNNCells::StackedRNNCells(const std::vector<Layer>& cells, const StackedRNNCellsOptions& options) : CellLayer(make_impl<StackImpl>(cells, options)) {}
Layer StackedRNNCells::from_config(const Dict& config) {
  std::vector<Layer> cells;
  for (const Value& v : config.at("cells").as_list()) {
    if (!v.is_dict()) throw TypeError("StackedRNNCells: the configuration entry 'cells' holds what is no saved layer: " + v.str());
    cells.push_back(deserialize(v));
  }
  StackedRNNCellsOptions o;
  read_common(config, o.name, o.trainable, o.dtype);
  StackedRNNCells stack(cells, o);
  static_cast<StackImpl&>(*stack.impl()).from_config = true;
  return stack;
}
std::vector<Layer> StackedRNNCells::cells() const { return static_cast<StackImpl&>(*impl_).layers(); }

RNN::RNN(const Layer& cell, const RNNOptions& options) : Layer(make_impl<PlainRNNImpl>(cell, options)) {}
RNN::RNN(const std::vector<Layer>& cells, const RNNOptions& options) : RNN(StackedRNNCells(cells), options) {}
Layer RNN::from_config(const Dict& config) {
  Layer cell = deserialize(config.at("cell"));
  auto o = options_from<RNNOptions>(config, "RNN");
  if (const Value* r = config.find("activity_regularizer")) o.activity_regularizer = Regularizer(*r);
  RNN rnn(cell, o);
  static_cast<RNNImpl&>(*rnn.impl()).from_config = true;
  return rnn;
}
Layer RNN::cell() const { return static_cast<RNNImpl&>(*impl_).cell_layer; }
std::vector<Variable> RNN::states() const { return static_cast<RNNImpl&>(*impl_).states; }
void RNN::reset_state() const { impl_->reset_states(); }

}  // namespace keras::layers
