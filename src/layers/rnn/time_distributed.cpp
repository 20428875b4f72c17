// What lives here: TimeDistributed.
#include <keras/layers/rnn/time_distributed.h>

#include "layers/rnn/rnn_impl.h"

namespace keras::layers {

namespace {
struct TimeDistributedImpl : LayerImpl {
  Layer inner;
  bool from_config = false;
  TimeDistributedImpl(const Layer& layer, const TimeDistributedOptions& o) : inner(layer) {
    if (!layer) throw ValueError("TimeDistributed was given an empty Layer");
    init_common("TimeDistributed", o);
    supports_masking_ = true;
    track("layer", layer.impl());
  }
  void build(const std::vector<Shape>& inputs) override {
    Shape step = inputs.at(0);
    if (step.rank() < 3)
      throw ValueError(ErrorText{.what = "TimeDistributed needs a time axis and something at each step", .where = where(), .expected = "(batch, time, …) of rank 3 or more", .received = step.str()}.str());
    step.erase(1);
    if (from_config && inner.built()) adopt_paths(inner);
    inner.impl()->ensure_built({step});
    input_spec_ = {{.min_ndim = 3}};
  }
  /// Would the layer compute something else on all steps as one batch? Random draws and running statistics go step by step, and what a
  /// user's class does is not known.
  bool step_by_step(bool training) const {
    for (LayerImpl* l : inner.impl()->flatten()) {
      if (l->is_user_class() || l->class_name() == "Lambda") return true;
      if (auto* cell = dynamic_cast<Cell*>(l)) {
        if (cell->draws_at_inference()) return true;
        continue;
      }
      if (auto* rnn = dynamic_cast<RNNImpl*>(l); rnn && rnn->loop.stateful) return true;
      if (training && (!l->own_seeds_.empty() || !l->own_non_trainable_.empty())) return true;
    }
    return false;
  }
  Tensors run(const Tensor& x, const Tensor& mask, bool training) {
    core::CallArgs args;
    args.args = {core::Arg(x)};
    Tensors masks{Tensor()};
    LayerImpl& l = *inner.impl();
    if (mask.defined() && l.uses_mask()) args.set("mask", core::Arg(mask)), masks[0] = mask;
    // The layer's own call: its penalties on activities are not counted once per step.
    CallScope scope(&l, current_call() ? current_call()->training : std::nullopt);
    return l.call(Call{args, {x}, masks, training});
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    Tensor mask = sequence_mask_or(c);
    int64_t batch = x.shape()[0], steps = x.shape()[1];
    if (mask.defined()) {
      const Shape& m = mask.shape();
      if (m.rank() < 2 || !compatible(m.slice(0, 2), x.shape().slice(0, 2)))
        throw ValueError(ErrorText{.what = "the mask of TimeDistributed does not fit its input", .where = where(), .expected = "a shape that begins with " + x.shape().slice(0, 2).str(), .received = m.str()}.str());
    }
    if (steps > 0 && step_by_step(c.training)) {
      std::vector<Tensors> ys;
      auto at = [](const Tensor& t, int64_t i) {
        Shape s = t.shape();
        s.erase(1);
        return prims::reshape(prims::slice_axis(t, 1, i, i + 1), s);
      };
      for (int64_t i = 0; i < steps; ++i) ys.push_back(run(at(x, i), mask.defined() ? at(mask, i) : Tensor(), c.training));
      Tensors out;
      for (size_t k = 0; k < ys[0].size(); ++k) {
        Tensors parts;
        for (const Tensors& y : ys) {
          Shape s = y[k].shape();
          s.insert(1, 1);
          parts.push_back(prims::reshape(y[k], s));
        }
        out.push_back(prims::concat(parts, 1));
      }
      return out;
    }
    int64_t rows = batch >= 0 && steps >= 0 ? batch * steps : None;
    auto merge = [&](const Tensor& t) { return prims::reshape(t, Shape{rows} + t.shape().slice(2)); };
    Tensors out;
    for (const Tensor& y : run(merge(x), mask.defined() ? merge(mask) : Tensor(), c.training)) out.push_back(prims::reshape(y, Shape{batch, steps} + y.shape().slice(1)));
    return out;
  }
  static Tensor sequence_mask_or(const Call& c) { return c.mask().defined() ? c.mask() : c.tensor(2, "mask"); }
  bool uses_mask() const override { return true; }
  Tensors compute_mask(const Call& c, size_t outputs) override { return Tensors(outputs, sequence_mask_or(c)); }
  Dict own_config() const override { return {{"layer", serialize_part(inner)}}; }
  static Value serialize_part(const Layer& l) { return layers::serialize(l); }
  void reset_states() override { inner.impl()->reset_states(); }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    auto drop = [](Shape s) {
      s.erase(1);
      return s;
    };
    Explanation e = inner.impl()->explain({drop(in.at(0))}, {drop(out.at(0))});
    if (!e.axes.empty()) e.axes.insert(e.axes.begin() + 1, "time, as it came in: \"" + inner.name() + "\" (" + inner.class_name() + ") is applied to every step with the same weights");
    return e;
  }
};
}  // namespace

TimeDistributed::TimeDistributed(const Layer& layer, const TimeDistributedOptions& options) : Layer(make_impl<TimeDistributedImpl>(layer, options)) {}
Layer TimeDistributed::from_config(const Dict& config) {
  Layer layer = deserialize(config.at("layer"));
  TimeDistributedOptions o;
  read_common(config, o.name, o.trainable, o.dtype);
  TimeDistributed timed(layer, o);
  static_cast<TimeDistributedImpl&>(*timed.impl()).from_config = true;
  return timed;
}
Layer TimeDistributed::layer() const { return static_cast<TimeDistributedImpl&>(*impl_).inner; }

}  // namespace keras::layers
