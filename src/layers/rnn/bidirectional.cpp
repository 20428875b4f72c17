// What lives here: Bidirectional.
#include <keras/layers/rnn/bidirectional.h>

#include <fmt/format.h>

#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {
/// A layer of the same configuration under another name, weights not shared.
Layer copy_of(const Layer& layer, const std::string& prefix, bool backwards) {
  Dict saved = serialize(layer).as_dict();
  Dict config = saved.at("config").as_dict();
  if (backwards) config.set("go_backwards", true);
  std::string name = layer.name();
  config.set("name", prefix + (name.starts_with(prefix) ? name.substr(prefix.size()) : name));
  saved.set("config", config);
  return deserialize(saved);
}

struct BidirectionalImpl : LayerImpl {
  BidirectionalOptions o;
  Layer forward, backward;
  bool stateful, return_sequences, return_state, own_backward;

  BidirectionalImpl(const Layer& layer, const BidirectionalOptions& options) : o(options) {
    if (!layer) throw ValueError("Bidirectional was given an empty Layer");
    if (o.merge_mode && *o.merge_mode != "concat" && *o.merge_mode != "sum" && *o.merge_mode != "mul" && *o.merge_mode != "ave")
      throw ValueError(ErrorText{.what = "Bidirectional: merge_mode has an unknown value", .expected = "\"concat\", \"sum\", \"mul\", \"ave\" or none", .received = "\"" + *o.merge_mode + "\""}.str());
    init_common("Bidirectional", o);
    forward = copy_of(layer, "forward_", false);
    backward = o.backward_layer ? o.backward_layer : copy_of(layer, "backward_", true);
    own_backward = !o.backward_layer;
    o.backward_layer = Layer();
    if (flag(forward, "go_backwards") == flag(backward, "go_backwards"))
      throw ValueError(ErrorText{.what = "Bidirectional: both layers walk in the same direction", .where = where(), .expected = "different values of go_backwards",
                                 .received = flag(forward, "go_backwards") ? "true and true" : "false and false"}.str());
    for (const char* a : {"stateful", "return_sequences", "return_state"})
      if (flag(forward, a) != flag(backward, a))
        throw ValueError(ErrorText{.what = std::string("Bidirectional: the layers differ in ") + a, .where = where(), .expected = "the same value in both",
                                   .received = flag(forward, a) ? "true forward, false backward" : "false forward, true backward"}.str());
    stateful = flag(forward, "stateful"), return_sequences = flag(forward, "return_sequences"), return_state = flag(forward, "return_state");
    for (const Layer& l : {forward, backward})
      if (auto* rnn = dynamic_cast<RNNImpl*>(l.impl().get())) rnn->loop.zero_output_for_mask = return_sequences;
    if (!initial_weights_.empty()) {
      auto half = initial_weights_.begin() + static_cast<int64_t>(initial_weights_.size() / 2);
      forward.impl()->initial_weights_.assign(initial_weights_.begin(), half);
      backward.impl()->initial_weights_.assign(half, initial_weights_.end());
      initial_weights_.clear();
    }
    supports_masking_ = true;
    input_spec_ = forward.impl()->input_spec_;
    track("forward_layer", forward.impl());
    track("backward_layer", backward.impl());
  }
  bool flag(const Layer& l, const char* name) const {
    Dict config = l.config();
    const Value* v = config.find(name);
    if (!v || !v->is_bool())
      throw ValueError(ErrorText{.what = std::string("Bidirectional: the layer has no ") + name, .where = where(), .expected = "a recurrent layer, or one whose configuration has go_backwards, return_sequences, return_state and stateful",
                                 .received = "layer \"" + l.name() + "\" (" + l.class_name() + ")"}.str());
    return v->as_bool();
  }
  void build(const std::vector<Shape>& inputs) override {
    if (forward.built()) adopt_paths(forward);
    if (backward.built() && own_backward) adopt_paths(backward);
    forward.impl()->ensure_built({inputs.at(0)});
    backward.impl()->ensure_built({inputs.at(0)});
    input_spec_ = forward.impl()->input_spec_;
  }
  Tensors call(const Call& c) override {
    Tensors initial = initial_state_of(c);
    if (initial.size() % 2)
      throw ValueError(ErrorText{.what = "Bidirectional got an odd number of initial states", .where = where(), .expected = "those of the forward layer, then as many of the backward layer", .received = std::to_string(initial.size())}.str());
    Tensor mask = loop_mask_of(c);
    auto half = initial.begin() + static_cast<int64_t>(initial.size() / 2);
    auto run = [&](const Layer& l, Tensors states) {
      core::CallArgs args;
      args.args = {core::Arg(core::with_mask(c.input(), Tensor()))};
      if (!states.empty()) args.set("initial_state", core::Arg(states));
      if (mask.defined() && l.impl()->uses_mask()) args.set("mask", core::Arg(mask));
      if (l.impl()->uses_training()) args.set("training", Value(c.training));
      return (*l.impl())(std::move(args));
    };
    Tensors y = run(forward, Tensors(initial.begin(), half)), y_rev = run(backward, Tensors(half, initial.end()));
    Tensor a = prims::cast(y.at(0), compute_dtype_), b = prims::cast(y_rev.at(0), compute_dtype_);
    if (return_sequences) b = prims::reverse(b, {1});
    Tensors out;
    if (!o.merge_mode) out = {a, b};
    else if (*o.merge_mode == "concat") out = {prims::concat(Tensors{a, b}, a.rank() - 1)};
    else if (*o.merge_mode == "sum") out = {prims::add(a, b)};
    else if (*o.merge_mode == "ave") out = {prims::div(prims::add(a, b), prims::scalar(a, 2))};
    else out = {prims::mul(a, b)};
    if (return_state) {
      out.insert(out.end(), y.begin() + 1, y.end());
      out.insert(out.end(), y_rev.begin() + 1, y_rev.end());
    }
    return out;
  }
  Tensors compute_mask(const Call& c, size_t outputs) override {
    Tensors masks(outputs);
    if (!return_sequences) return masks;
    masks[0] = sequence_mask_of(c);
    if (!o.merge_mode && outputs > 1) masks[1] = masks[0];
    return masks;
  }
  bool uses_mask() const override { return true; }
  void reset_states() override {
    forward.impl()->reset_states();
    backward.impl()->reset_states();
  }
  Value build_config() const override { return recurrent_build_config(*this, LayerImpl::build_config()); }
  void build_from_config(const Value& config) override {
    if (config.get("shapes_dict").is_dict()) {
      if (Value s = sequences_of(config); s.is_list() && !built_) ensure_built({s.as_shape()});
    } else {
      LayerImpl::build_from_config(config);
    }
  }
  Dict own_config() const override {
    return {{"merge_mode", o.merge_mode ? Value(*o.merge_mode) : Value()}, {"layer", serialize_part(forward)}, {"backward_layer", serialize_part(backward)}};
  }
  static Value serialize_part(const Layer& l) { return layers::serialize(l); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Shape one = out.at(0);
    bool concat = o.merge_mode && *o.merge_mode == "concat";
    if (concat) one[-1] /= 2;
    Explanation e = forward.impl()->explain(in, {one});
    if (concat && !e.axes.empty())
      e.axes.back() = fmt::format("merge_mode=\"concat\": {} of the forward layer and {} of the backward layer side by side", one.back(), one.back());
    else if (o.merge_mode)
      e.notes.push_back("merge_mode=\"" + *o.merge_mode + "\": the two outputs are combined number by number, so the size stays that of one of them");
    else
      e.notes.push_back("merge_mode is none: the outputs of both layers are returned");
    std::vector<std::string> both;
    for (const Layer& l : {forward, backward})
      for (const std::string& s : l.impl()->explain(in, {one}).parameters) both.push_back((l.same(forward) ? "forward: " : "backward: ") + s);
    e.parameters = both;
    return e;
  }
};
}  // namespace

Bidirectional::Bidirectional(const Layer& layer, const BidirectionalOptions& options) : Layer(make_impl<BidirectionalImpl>(layer, options)) {}
Layer Bidirectional::from_config(const Dict& config) {
  auto o = options_from<BidirectionalOptions>(config, "Bidirectional");
  Layer layer = deserialize(config.at("layer"));
  if (const Value* b = config.find("backward_layer"); b && !b->is_null()) {
    if (!b->get("class_name").is_string())
      throw ValueError(ErrorText{.what = "the configuration entry 'backward_layer' can't be read", .where = "Bidirectional", .expected = "a saved layer", .received = b->str()}.str());
    o.backward_layer = deserialize(*b);
  }
  Bidirectional both(layer, o);
  static_cast<BidirectionalImpl&>(*both.impl()).own_backward = true;
  return both;
}
Layer Bidirectional::forward_layer() const { return static_cast<BidirectionalImpl&>(*impl_).forward; }
Layer Bidirectional::backward_layer() const { return static_cast<BidirectionalImpl&>(*impl_).backward; }
void Bidirectional::reset_state() const {
  auto& impl = static_cast<BidirectionalImpl&>(*impl_);
  if (!impl.stateful) throw ValueError(ErrorText{.what = "Bidirectional: there are no states to reset", .where = impl.where(), .expected = "a layer with stateful = true"}.str());
  impl.reset_states();
}

}  // namespace keras::layers
