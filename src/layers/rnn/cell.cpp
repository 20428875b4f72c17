// What lives here: what the library's own recurrent cells share. No loop over time.
#include "layers/rnn/cell.h"

#include <fmt/format.h>

namespace keras::layers {

GatedCell::GatedCell(int64_t size, std::vector<std::string> gate_names, CellSetup setup, SeedOrder order)
    : size_(size), gate_names_(std::move(gate_names)), s_(std::move(setup)) {
  auto rate = [](double r) { return std::min(1.0, std::max(0.0, r)); };
  s_.dropout = rate(s_.dropout), s_.recurrent_dropout = rate(s_.recurrent_dropout);
  if (s_.recurrent_dropout != 0) s_.implementation = 1;
  if (order == SeedOrder::Before) seeds_ = random::SeedGenerator(s_.seed);
  s_.kernel_initializer.object(), s_.recurrent_initializer.object(), s_.bias_initializer.object();
  if (order == SeedOrder::After) seeds_ = random::SeedGenerator(s_.seed);
  add_seed(seeds_);
}

Tensors GatedCell::initial_state(int64_t batch) const {
  Tensors states;
  for (const Shape& s : state_shapes()) states.push_back(prims::broadcast_to(scalar_like(Tensor(), compute_dtype_, 0), Shape{batch} + s));
  return states;
}

Cell::Masks GatedCell::draw(const Shape& x, const Shape& h, bool training) {
  auto masks = [&](double rate, const Shape& shape) {
    Tensors out;
    if (rate <= 0) return out;
    bool used = training && (rate < 1 || drops_all());
    for (size_t i = 0; i < mask_count(); ++i) {
      if (!used || rate >= 1) seeds_.next();
      if (!used) continue;
      Tensor ones = prims::broadcast_to(scalar_like(Tensor(), compute_dtype_, 1), shape);
      out.push_back(random::dropout(ones, rate, {.seed = seeds_}));
    }
    return out;
  };
  Masks m;
  m.input = masks(s_.dropout, x);
  m.recurrent = masks(s_.recurrent_dropout, h);
  return m;
}

void GatedCell::add_weights(const Shape& kernel, const Shape& recurrent) {
  kernel_ = add_weight({.name = "kernel", .shape = kernel, .initializer = s_.kernel_initializer, .regularizer = s_.kernel_regularizer, .constraint = s_.kernel_constraint});
  recurrent_kernel_ = add_weight({.name = "recurrent_kernel", .shape = recurrent, .initializer = s_.recurrent_initializer, .regularizer = s_.recurrent_regularizer,
                                  .constraint = s_.recurrent_constraint});
  if (!s_.use_bias) return;
  Initializer bias = s_.bias_initializer.is_none() ? Initializer("zeros") : s_.bias_initializer;
  if (s_.unit_forget_bias) {
    bias = Initializer([inner = bias, n = size_](const Shape&, DType dtype) {
      Tensor ones = prims::broadcast_to(scalar_like(Tensor(), dtype, 1), Shape{n});
      return prims::concat(Tensors{inner->call({n}, dtype), ones, inner->call({2 * n}, dtype)}, 0);
    });
  }
  bias_ = add_weight({.name = "bias", .shape = bias_shape(), .initializer = bias, .regularizer = s_.bias_regularizer, .constraint = s_.bias_constraint});
}

void GatedCell::build(const std::vector<Shape>& inputs) {
  int64_t features = inputs.at(0).back();
  if (features < 0)
    throw ValueError(ErrorText{.what = "the last axis of a recurrent cell's input must have a size", .where = where(), .expected = "(batch, features)",
                               .received = inputs[0].str(), .fix = "give the Input that size"}.str());
  add_weights({features, gates() * size_}, {size_, gates() * size_});
}

Tensors GatedCell::call(const Call& c) {
  Tensors given;
  for (const core::Arg& a : c.args.args) a.each_tensor([&](const Tensor& t) { given.push_back(t); });
  if (const core::Arg* a = c.args.find("states")) a->each_tensor([&](const Tensor& t) { given.push_back(t); });
  Tensors states(given.begin() + 1, given.end());
  if (states.size() != state_shapes().size())
    throw ValueError(ErrorText{.what = "a recurrent cell was called with another number of states", .where = where(),
                               .expected = fmt::format("inputs and {} state(s)", state_shapes().size()), .received = fmt::format("inputs and {}", states.size()),
                               .fix = "cell({x, h, …})"}.str());
  Masks masks;
  if (always_draws() || (c.training && draws_at_inference())) masks = draw(given[0].shape(), states[0].shape(), c.training);
  Loop loop = prepare(given[0], false, masks, c.training);
  auto [y, next] = loop.step(loop.xs, states);
  Tensors out{y};
  out.insert(out.end(), next.begin(), next.end());
  return out;
}

Tensor GatedCell::input_product(const Tensor& x, const Tensor& weights) const { return prims::dot(x, weights, {x.rank() - 1}, {0}); }

Tensor GatedCell::project(const Tensor& given, const Tensors& masks) const {
  Tensor k = weight(kernel_), x = prims::cast(given, compute_dtype_);
  if (masks.empty()) return input_product(x, k);
  if (masks.size() == 1) return input_product(prims::mul(x, masks[0]), k);
  Tensors parts;
  for (size_t g = 0; g < masks.size(); ++g) parts.push_back(input_product(prims::mul(x, masks[g]), gates_of(k, static_cast<int64_t>(g), static_cast<int64_t>(g) + 1)));
  return prims::concat(parts, feature_axis(parts[0]));
}

std::function<Tensor(const Tensor&)> GatedCell::recurrence(const Tensors& masks) const {
  Tensor r = weight(recurrent_kernel_);
  if (masks.empty()) return [this, r](const Tensor& h) { return recurrent_product(h, r); };
  if (masks.size() == 1) return [this, r, m = masks[0]](const Tensor& h) { return recurrent_product(prims::mul(h, m), r); };
  Tensors cut;
  for (int64_t g = 0; g < gates(); ++g) cut.push_back(gates_of(r, g, g + 1));
  return [this, cut, masks](const Tensor& h) {
    Tensors parts;
    for (size_t g = 0; g < cut.size(); ++g) parts.push_back(recurrent_product(prims::mul(h, masks[g]), cut[g]));
    return prims::concat(parts, feature_axis(parts[0]));
  };
}

std::vector<std::string> GatedCell::explain_weights(int64_t features) const {
  std::string n = std::to_string(gates() * size_), units = std::to_string(size_), g = std::to_string(gates());
  std::string columns = gates() == 1 ? "units = " + units : g + " gates (" + fmt::format("{}", fmt::join(gate_names_, ", ")) + ") x units = " + n;
  std::vector<std::string> out;
  out.push_back(fmt::format("kernel ({}, {}): last axis of the input by {}; {} numbers", features, n, columns, features * gates() * size_));
  out.push_back(fmt::format("recurrent_kernel ({}, {}): the state, units wide, by {}; {} numbers", units, n, columns, size_ * gates() * size_));
  if (s_.use_bias) {
    Shape b = bias_shape();
    out.push_back(fmt::format("bias {}: one per {}{}; {} numbers", b.str(), gates() == 1 ? "unit" : "unit and gate", b.rank() == 2 ? ", for inputs and for states (reset_after)" : "", b.numel()));
  }
  return out;
}
Explanation GatedCell::explain(const std::vector<Shape>& in, const std::vector<Shape>&) const {
  Explanation e;
  e.axes = {"batch, as it came in", fmt::format("units={}: the output of one step", size_)};
  e.parameters = explain_weights(in.at(0).back());
  return e;
}

Cell::Loop LSTMBase::prepare(const Tensor& x, bool, const Masks& masks, bool) {
  Tensor xs = project(x, masks.input);
  if (s_.use_bias) xs = prims::add(xs, bias());
  auto recur = recurrence(masks.recurrent);
  return {xs, [this, recur](const Tensor& x_t, const Tensors& states) {
            Tensor z = prims::add(x_t, recur(states[0]));
            Tensor i = recurrent_activate(gate(z, 0)), f = recurrent_activate(gate(z, 1));
            Tensor c = prims::add(prims::mul(f, states[1]), prims::mul(i, activate(gate(z, 2))));
            Tensor o = recurrent_activate(gate(z, 3));
            Tensor h = prims::mul(o, activate(c));
            return std::pair{h, Tensors{h, c}};
          }};
}

// ---- cells of users' own classes
namespace {
class UserCell : public Cell {
 public:
  explicit UserCell(std::weak_ptr<LayerImpl> impl) : impl_(std::move(impl)) {}
  std::vector<Shape> state_shapes() const override {
    std::vector<Shape> shapes;
    for (int64_t n : self().state_size()) shapes.push_back({n});
    return shapes;
  }
  Shape output_shape() const override { return {self().output_size()}; }
  Tensors initial_state(int64_t batch) const override { return self().get_initial_state(batch); }
  DType state_dtype() const override { return impl()->compute_dtype_; }
  bool must_unroll(bool training) const override {
    if (!training) return false;
    for (LayerImpl* l : impl()->flatten())
      if (!l->own_seeds_.empty()) return true;
    return false;
  }
  Loop prepare(const Tensor& x, bool, const Masks&, bool training) override {
    return {x, [this, training](const Tensor& x_t, const Tensors& states) {
              core::CallArgs args;
              args.args = {core::Arg(x_t), core::Arg(states)};
              args.set("training", Value(training));
              Tensors out = (*impl())(std::move(args));
              if (out.size() != states.size() + 1)
                throw ValueError(ErrorText{.what = "a recurrent cell returned another number of states than it has", .where = "layer \"" + impl()->name() + "\" (" + impl()->class_name() + ")",
                                           .expected = std::to_string(states.size()), .received = std::to_string(out.size() - 1)}.str());
              return std::pair{out[0], Tensors(out.begin() + 1, out.end())};
            }};
  }

 private:
  std::shared_ptr<LayerImpl> impl() const {
    auto impl = impl_.lock();
    if (!impl) throw RuntimeError("the cell of a recurrent layer is gone");
    return impl;
  }
  const RNNCell& self() const {
    auto strong = impl();
    auto* cell = dynamic_cast<RNNCell*>(strong->self_);
    if (!cell)
      throw RuntimeError(ErrorText{.what = "the object of the cell \"" + strong->name() + "\" was destroyed, but a layer still uses it",
                                   .fix = "keep it alive as long as the layer, or make it with keras::make<" + strong->class_name() + ">(…)"}.str());
    return *cell;
  }
  std::weak_ptr<LayerImpl> impl_;
};
}  // namespace

std::shared_ptr<Cell> cell_of(const Layer& layer, const std::string& where) {
  const auto& impl = layer.impl();
  if (impl)
    if (auto* cell = dynamic_cast<Cell*>(impl.get())) return std::shared_ptr<Cell>(std::shared_ptr<void>(), cell);
  if (impl && dynamic_cast<RNNCell*>(impl->self_)) return std::make_shared<UserCell>(impl);
  throw ValueError(ErrorText{.what = "this layer is no recurrent cell: it has no state_size", .where = where, .expected = "SimpleRNNCell, LSTMCell, GRUCell, StackedRNNCells or a class derived from keras::layers::RNNCell",
                             .received = impl ? "layer \"" + impl->name() + "\" (" + impl->class_name() + ")" : "an empty Layer"}.str());
}

// ---- public faces
static Cell& face(const std::shared_ptr<LayerImpl>& impl) { return dynamic_cast<Cell&>(*impl); }
std::vector<int64_t> CellLayer::state_size() const {
  std::vector<int64_t> sizes;
  for (const Shape& s : face(impl_).state_shapes()) sizes.push_back(s.back());
  return sizes;
}
int64_t CellLayer::output_size() const { return face(impl_).output_shape().back(); }
Tensors CellLayer::get_initial_state(int64_t batch_size) const { return face(impl_).initial_state(batch_size); }

Tensors RNNCell::get_initial_state(int64_t batch_size) const {
  Tensors states;
  for (int64_t n : state_size()) states.push_back(prims::broadcast_to(scalar_like(Tensor(), impl_->compute_dtype_, 0), Shape{batch_size, n}));
  return states;
}
Tensor RNNCell::call(const Tensor& input) { return call(input, false); }
Tensor RNNCell::call(const Tensor& input, bool training) { return call(Tensors{input}, training).at(0); }
Tensors RNNCell::call(const Tensors& inputs, bool training) {
  size_t n = state_size().size();
  if (inputs.size() != n + 1)
    throw ValueError(ErrorText{.what = "a recurrent cell was called with another number of states", .where = "layer \"" + name() + "\" (" + class_name() + ")",
                               .expected = fmt::format("inputs and {} state(s)", n), .received = fmt::format("{} tensors", inputs.size()), .fix = "cell({x, h, …})"}.str());
  auto [y, next] = call(inputs[0], Tensors(inputs.begin() + 1, inputs.end()), training);
  Tensors out{y};
  out.insert(out.end(), next.begin(), next.end());
  return out;
}

}  // namespace keras::layers
