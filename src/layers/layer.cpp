// What lives here: the call of a layer in numbered steps, its weights, and the bridge to classes that users derive.
#include <algorithm>
#include <atomic>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <set>
#include <unordered_map>

#include <keras/dtype_policies.h>
#include <keras/base/dtype_policy_map.h>

#include "layers/layer_impl.h"
#include "layers/registry.h"
#include "layers/user_impl.h"
#include "prims/build.h"

namespace keras {

namespace layers {

void read_common(const Dict& config, std::optional<std::string>& name, bool& trainable, std::optional<std::string>& dtype) {
  auto refuse = [](const char* entry, const Value& v, const char* expected) {
    return ValueError(ErrorText{.what = std::string("the configuration entry '") + entry + "' can't be read", .expected = expected, .received = v.str()}.str());
  };
  if (const Value* v = config.find("name"); v && !v->is_null()) {
    if (!v->is_string()) throw refuse("name", *v, "a string");
    name = v->as_string();
  }
  if (const Value* v = config.find("trainable"); v && !v->is_null()) {
    if (!v->is_bool()) throw refuse("trainable", *v, "true or false");
    trainable = v->as_bool();
  }
  if (const Value* v = config.find("dtype"); v && v->is_dict() && v->get("class_name") == Value("DTypePolicyMap")) {
    // A layer on its own has its name for a path.
    if (!v->get("config").is_dict()) throw refuse("dtype", *v, "a saved map of policies");
    dtype = DTypePolicyMap::from_config(v->get("config").as_dict())[name.value_or("")].name();
  } else if (v && !v->is_null()) {
    const Value& named = v->is_dict() ? v->get("config").get("name") : *v;  // of a policy, or of Keras 2's policy
    if (!named.is_string() && !(v->is_dict() && v->get("config").is_dict() && !v->get("config").as_dict().empty())) throw refuse("dtype", *v, "the name of a dtype or a saved policy");
    if (named.is_string()) dtype = named.as_string();
  }
}

// ---- context of calls
static thread_local CallContext* g_call = nullptr;
static thread_local std::vector<std::string> g_scope;
CallContext* current_call() { return g_call; }
CallScope::CallScope(LayerImpl* layer, std::optional<bool> training, Tensors* losses) {
  context.parent = g_call;
  context.layer = layer;
  context.training = training ? training : g_call ? g_call->training : std::nullopt;
  context.losses = losses ? losses : g_call ? g_call->losses : nullptr;
  g_call = &context;
  g_scope.push_back(layer ? layer->name() : std::string());
}
CallScope::~CallScope() {
  g_call = context.parent;
  g_scope.pop_back();
}
static std::string scope_path() {
  std::string s;
  for (const std::string& part : g_scope) {
    if (part.empty()) continue;
    if (!s.empty()) s += "/";
    s += part;
  }
  return s;
}

Tensors Call::tensors(size_t i, std::string_view name) const {
  if (const core::Arg* a = args.find(name)) return a->tensors();
  if (i < args.args.size()) return args.args[i].tensors();
  return {};
}
Value Call::value(std::string_view name) const {
  const core::Arg* a = args.find(name);
  return a && a->v.index() == 0 ? a->value() : Value();
}

// ---- state
// What `add_loss` was given since the last call from outside, by layer. Few layers ever have some: they stand here, and others pay nothing.
static std::mutex g_losses_mutex;
static std::atomic<size_t> g_layers_with_losses{0};
static std::unordered_map<const LayerImpl*, Tensors>& added_losses() {
  static auto* all = new std::unordered_map<const LayerImpl*, Tensors>;  // outlives every layer
  return *all;
}
static void forget_losses(const std::vector<LayerImpl*>& layers) {
  std::vector<Tensors> dropped;
  std::lock_guard lock(g_losses_mutex);
  for (const LayerImpl* l : layers)
    if (auto it = added_losses().find(l); it != added_losses().end()) {
      dropped.push_back(std::move(it->second));
      added_losses().erase(it);
    }
  g_layers_with_losses = added_losses().size();
}
// A call that no other layer made begins anew, as in Keras.
static void begin_losses(const LayerImpl& layer) {
  if (g_layers_with_losses.load(std::memory_order_relaxed) == 0) return;
  for (CallContext* c = g_call; c; c = c->parent)
    if (c->layer) return;
  forget_losses(layer.flatten());
}
// Numbers, and values of the traces under way; what is left of other traces means nothing here.
static bool is_alive(const Tensor& loss) {
  if (!loss.is_traced()) return true;
  for (core::Trace* t = core::current_trace(); t; t = t->parent)
    if (t->number == loss.impl()->trace) return true;
  return false;
}

static void append_added_losses(const LayerImpl& layer, Tensors& out) {
  if (g_layers_with_losses.load(std::memory_order_relaxed) == 0) return;
  std::lock_guard lock(g_losses_mutex);
  if (auto it = added_losses().find(&layer); it != added_losses().end())
    for (const Tensor& loss : it->second)
      if (is_alive(loss)) out.push_back(loss);
}

LayerImpl::LayerImpl() = default;
LayerImpl::~LayerImpl() {
  if (g_layers_with_losses.load(std::memory_order_relaxed) != 0) forget_losses({this});
}

void LayerImpl::init(const std::string& class_name, const std::optional<std::string>& name, bool trainable, const std::optional<std::string>& dtype) {
  class_name_ = class_name;
  if (name && name->find('/') != std::string::npos)
    throw ValueError(ErrorText{.what = "a layer's name can't contain '/'", .received = *name, .fix = "it names the place of the weights in saved files"}.str());
  name_ = name && !name->empty() ? *name : core::unique_name(core::to_snake_case(class_name));
  trainable_ = trainable;
  dtype_policy_ = dtype && !dtype->empty() ? *dtype : config::dtype_policy();
  std::tie(compute_dtype_, variable_dtype_) = dtype_policies::policy_dtypes(dtype_policy_);
}

void LayerImpl::input_shape_hint(const std::optional<Shape>& shape, const std::optional<Shape>& batch_shape, std::optional<int64_t> dim) {
  if (batch_shape) batch_input_shape_ = *batch_shape;
  else if (shape) batch_input_shape_ = Shape{None} + *shape;
  else if (dim) batch_input_shape_ = Shape{None, *dim};
}

void LayerImpl::build(const std::vector<Shape>&) {}
std::vector<Shape> LayerImpl::build_shapes(const core::CallArgs& args) const {
  std::vector<Shape> shapes;
  for (const Tensor& t : args.inputs()) shapes.push_back(t.shape());
  return shapes;
}

// Layers of the library look at their first input without asking whether there is one.
static void need_input(const LayerImpl& layer, size_t inputs) {
  if (inputs == 0 && !layer.is_user_class() && !layer.is_model())
    throw ValueError(ErrorText{.what = "the layer has no input", .where = "layer \"" + layer.name() + "\" (" + layer.class_name() + ")", .expected = "at least one tensor"}.str());
}

void LayerImpl::ensure_built(const std::vector<Shape>& inputs) {
  if (built_) return;
  need_input(*this, inputs.size());
  CallScope scope(this, std::nullopt);
  core::EagerScope eager;
  built_shapes_ = inputs;
  build(inputs);
  built_ = true;
  if (!trainable_)  // frozen before it was built: its weights say so too
    for (const Variable& v : own_trainable_) v.set_trainable(false);
  if (!initial_weights_.empty()) {
    Layer(std::static_pointer_cast<LayerImpl>(shared_from_this())).set_weights(initial_weights_);
    initial_weights_.clear();
  }
}

Variable LayerImpl::add_weight(const Layer::Weight& w) {
  if (!w.shape.is_static())
    throw ValueError(ErrorText{.what = "the weight '" + w.name + "' would have an unknown size", .where = name_ + " (" + class_name_ + ")", .expected = "known sizes on the axes that the weight depends on",
                               .received = w.shape.str(), .fix = "give these axes of the input a size"}.str());
  DType dtype = w.dtype ? dtype_from_name(*w.dtype) : variable_dtype_;
  Initializer init = w.initializer;
  if (init.is_none()) init = is_floating(dtype) ? Initializer("glorot_uniform") : Initializer("zeros");
  Tensor value = init->call(w.shape, dtype);
  Variable v(value, {.name = w.name, .trainable = w.trainable, .path_prefix = scope_path(), .autocast = w.autocast});
  if (Regularizer r = w.regularizer) v.set_regularizer([object = r.object()](const Tensor& t) { return object->call(t); });
  if (Constraint c = w.constraint) v.set_constraint([object = c.object()](const Tensor& t) { return object->call(t); });
  (w.trainable ? own_trainable_ : own_non_trainable_).push_back(v);
  return v;
}
void LayerImpl::add_seed(const random::SeedGenerator& generator) { own_seeds_.push_back(generator.state()); }

void LayerImpl::track(const std::string& attribute, const std::shared_ptr<LayerImpl>& layer) {
  if (layer.get() == this) return;
  for (auto& [name, part] : parts_)
    if (part.impl() == layer) return;
  if (attribute.empty()) {
    if (std::find(found_.begin(), found_.end(), layer) == found_.end()) found_.push_back(layer);
  } else {
    std::erase(found_, layer);
    parts_.emplace_back(attribute, Layer(layer));
  }
}

void LayerImpl::add_loss(const Tensor& loss) {
  {
    std::lock_guard lock(g_losses_mutex);
    added_losses()[this].push_back(loss);
    g_layers_with_losses = added_losses().size();
  }
  for (CallContext* c = g_call; c; c = c->parent)
    if (c->losses) {
      c->losses->push_back(loss);
      return;
    }
}

std::vector<std::shared_ptr<LayerImpl>> LayerImpl::sublayers() const {
  std::vector<std::shared_ptr<LayerImpl>> out;
  for (const auto& [name, part] : parts()) out.push_back(part.impl());
  out.insert(out.end(), found_.begin(), found_.end());
  return out;
}
std::vector<LayerImpl*> LayerImpl::flatten() const {
  std::vector<LayerImpl*> out;
  std::set<const LayerImpl*> seen;
  auto walk = [&](auto&& self, const LayerImpl* l) -> void {
    if (!seen.insert(l).second) return;
    out.push_back(const_cast<LayerImpl*>(l));
    for (const auto& s : l->sublayers()) self(self, s.get());
  };
  walk(walk, this);
  return out;
}

static void add_unique(std::vector<Variable>& out, const Variable& v) {
  if (std::none_of(out.begin(), out.end(), [&](const Variable& o) { return o.same(v); })) out.push_back(v);
}
std::vector<Variable> LayerImpl::weights() const {
  std::vector<Variable> out;
  for (const Variable& v : own_trainable_) add_unique(out, v);
  for (const Variable& v : own_non_trainable_) add_unique(out, v);
  for (const auto& l : sublayers())
    for (const Variable& v : l->weights()) add_unique(out, v);
  return out;
}
std::vector<Variable> LayerImpl::variables() const {
  std::vector<Variable> out;
  for (const Variable& v : own_trainable_) add_unique(out, v);
  for (const Variable& v : own_non_trainable_) add_unique(out, v);
  for (const Variable& v : own_seeds_) add_unique(out, v);
  for (const auto& l : sublayers())
    for (const Variable& v : l->variables()) add_unique(out, v);
  return out;
}
std::vector<Variable> LayerImpl::trainable_weights() const {
  std::vector<Variable> out;
  if (!trainable_) return out;
  for (const Variable& v : own_trainable_)
    if (v.trainable()) add_unique(out, v);
  for (const auto& l : sublayers())
    for (const Variable& v : l->trainable_weights()) add_unique(out, v);
  return out;
}
std::vector<Variable> LayerImpl::non_trainable_weights() const {
  std::vector<Variable> trainable = trainable_weights(), out;
  for (const Variable& v : weights())
    if (std::none_of(trainable.begin(), trainable.end(), [&](const Variable& o) { return o.same(v); })) out.push_back(v);
  return out;
}
std::vector<Variable> LayerImpl::non_trainable_variables() const {
  std::vector<Variable> trainable = trainable_weights(), out;
  for (const Variable& v : variables())
    if (std::none_of(trainable.begin(), trainable.end(), [&](const Variable& o) { return o.same(v); })) out.push_back(v);
  return out;
}
void LayerImpl::set_trainable(bool t) {
  for (LayerImpl* l : flatten()) {
    l->trainable_ = t;
    for (const Variable& v : l->own_trainable_) v.set_trainable(t);
  }
}

Dict LayerImpl::config() const {
  Dict d{{"name", name_}, {"trainable", trainable_}, {"dtype", DTypePolicy(dtype_policy_).serialize()}};
  if (activity_regularizer_) d.set("activity_regularizer", activity_regularizer_.serialize());
  for (const auto& [k, v] : own_config()) d.set(k, v);
  return d;
}
Value LayerImpl::build_config() const {
  if (built_shapes_.empty()) return {};
  if (built_shapes_.size() == 1) return Dict{{"input_shape", Value(built_shapes_[0])}};
  List l;
  for (const Shape& s : built_shapes_) l.push_back(Value(s));
  return Dict{{"input_shape", l}};
}
void LayerImpl::build_from_config(const Value& build_config) {
  const Value& v = build_config.get("input_shape");
  if (!v.is_list() || built_) return;
  std::vector<Shape> shapes;
  if (!v.as_list().empty() && v.as_list()[0].is_list())
    for (const Value& e : v.as_list()) shapes.push_back(e.as_shape());
  else shapes.push_back(v.as_shape());
  ensure_built(shapes);
}
Value LayerImpl::serialize() const {
  Dict d{{"module", registered_name_ ? Value() : Value(module())}, {"class_name", class_name_}, {"config", config()}, {"registered_name", registered_name_ ? Value(*registered_name_) : Value()}};
  if (Value b = build_config(); !b.is_null()) d.set("build_config", b);
  SavedIds::tag(d, this);
  return d;
}

// ---- masks and specs
Tensors LayerImpl::compute_mask(const Call& call, size_t outputs) {
  if (!supports_masking_) return {};
  return Tensors(outputs, call.mask());
}

void LayerImpl::check_input_spec(const Tensors& inputs) const {
  if (input_spec_.empty()) return;
  auto where = [&] { return fmt::format("layer \"{}\" ({})", name_, class_name_); };
  if (input_spec_.size() > 1 && inputs.size() != input_spec_.size())
    throw ValueError(ErrorText{.what = "the layer got another number of inputs", .where = where(), .expected = std::to_string(input_spec_.size()), .received = std::to_string(inputs.size())}.str());
  for (size_t i = 0; i < std::min(inputs.size(), input_spec_.size()); ++i) {
    const InputSpec& spec = input_spec_[i];
    const Shape& s = inputs[i].shape();
    auto fail = [&](const std::string& expected) {
      throw ValueError(ErrorText{.what = "the input does not fit the layer", .where = where(), .expected = expected, .received = s.str()}.str());
    };
    if (spec.ndim && s.rank() != *spec.ndim) fail(fmt::format("ndim={}, an input of rank {}", *spec.ndim, *spec.ndim));
    if (spec.max_ndim && s.rank() > *spec.max_ndim) fail(fmt::format("max_ndim={}, an input of rank at most {}", *spec.max_ndim, *spec.max_ndim));
    if (spec.min_ndim && s.rank() < *spec.min_ndim) fail(fmt::format("min_ndim={}, an input of rank at least {}", *spec.min_ndim, *spec.min_ndim));
    for (auto [axis, size] : spec.axes)
      if (s[axis] >= 0 && s[axis] != size) fail(fmt::format("size {} on axis {}", size, axis));
    if (spec.shape && !compatible(*spec.shape, s)) fail("shape " + spec.shape->str());
  }
}

std::vector<ir::Type> LayerImpl::output_types(const core::CallArgs& args) {
  std::vector<ir::Type> types;
  args.each_tensor([&](const Tensor& t) { types.push_back({t.dtype(), t.shape()}); });
  Tensors masks;
  for (const Tensor& t : args.inputs()) {
    masks.push_back(core::mask_of(t));
    if (masks.back().defined()) types.push_back({masks.back().dtype(), masks.back().shape()});
  }
  std::vector<ir::Type> out = core::infer(types, [&](const Tensors& abstract) {
    size_t i = 0;
    core::CallArgs inner = args.map_tensors([&](const Tensor&) { return abstract[i++]; });
    size_t k = 0;
    inner.args.empty() ? void() : inner.args[0].each_tensor([&](const Tensor& t) {
      if (k < masks.size() && masks[k].defined()) t.impl()->mask = abstract[i++].impl();
      ++k;
    });
    return (*this)(std::move(inner));
  });
  if (symbolic_in_compute_dtype_)
    for (ir::Type& t : out) t.dtype = compute_dtype_;
  return out;
}

// ---- the call
std::optional<DType> LayerImpl::read_dtype() const {
  // Built-in layers cast what they read themselves: some of it only after a computation in float32.
  if (!is_user_class()) return std::nullopt;
  // As Keras: inside of another mixed layer the layer's own wishes count, else its policy alone.
  if (core::AutocastScope::inside_mixed() ? autocast_ && is_floating(compute_dtype_) : compute_dtype_ != variable_dtype_) return compute_dtype_;
  return std::nullopt;
}
// Under the RematScope that the layer was made in.
Tensors LayerImpl::call_in_scopes(const Call& c) {
  const core::RematActivations activations(remat_ && remat_->mode == "activations");
  if (!remat_) return call(c);
  const bool listed = remat_->mode == "list_of_layers" && std::find(remat_->layer_names.begin(), remat_->layer_names.end(), name_) != remat_->layer_names.end();
  if (!listed && remat_->mode != "full" && remat_->mode != "larger_than") return call(c);
  core::RematRegion region;
  Tensors out = call(c);
  if (!listed && !remat_->applies(out)) region.cancel();
  return out;
}

Tensors LayerImpl::operator()(core::CallArgs args) {
  // 1. What kind of call is this?
  bool symbolic = args.any_symbolic();
  if (CallContext* outer = g_call; outer && outer->layer && outer->layer != this)
    outer->layer->track("", std::static_pointer_cast<LayerImpl>(shared_from_this()));
  // 2. Convert floating inputs to the compute dtype.
  auto convert = [&](const Tensor& t) {
    if (symbolic || !autocast_ || !is_floating(t.dtype()) || t.dtype() == compute_dtype_ || t.weak()) return t;
    return core::with_mask(prims::cast(t, compute_dtype_), core::mask_of(t));
  };
  core::CallArgs given = args.map_tensors(convert);
  Tensors inputs = given.inputs();
  // 3. Check the inputs against what the layer accepts.
  need_input(*this, given.tensors().size());
  check_input_spec(inputs);
  // 4. Build once, under the layer's name.
  if (!built_) {
    ensure_built(build_shapes(given));
    check_input_spec(inputs);
  }
  // 5. Resolve the mode: an explicit one of the outer call, this call's own, the layer's default.
  std::optional<bool> own;
  if (const core::Arg* a = given.find("training"); a && a->v.index() == 0 && a->value().is_bool()) own = a->value().as_bool();
  std::optional<bool> outer = g_call ? g_call->training : std::nullopt;
  std::optional<bool> mode = outer ? outer : own;
  if (!mode && training_default()) mode = true;
  // 6. Symbolic: shapes by running `call` on abstract values; record the node; carry masks on.
  auto masks_for = [&] {
    Tensors masks;
    if (const core::Arg* a = given.find("mask")) {
      if (a->is_list()) {
        for (const core::Arg& m : a->list()) masks.push_back(m.is_tensor() ? m.tensor() : Tensor());
      } else if (a->is_tensor()) {
        masks.push_back(a->tensor());
      }
    }
    masks.resize(std::max(masks.size(), inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!masks[i].defined()) masks[i] = core::mask_of(inputs[i]);
    return masks;
  };
  if (symbolic) {
    std::vector<ir::Type> types = output_types(given);
    Call call{given, inputs, masks_for(), mode.value_or(false)};
    // As Keras writes nodes: the mode where nothing else was said, a mask that came with the input where that is the only tensor argument.
    bool plain = args.args.size() == 1 && args.kwargs.empty();
    auto has_tensors = [](const core::Arg& a) { return !a.tensors().empty(); };
    bool one = std::count_if(args.args.begin(), args.args.end(), has_tensors) + std::count_if(args.kwargs.begin(), args.kwargs.end(), [&](const auto& kw) { return has_tensors(kw.second); }) == 1;
    if (uses_training() && plain) args.set("training", Value(false));
    if (uses_mask() && one && !args.find("mask")) args.set("mask", call.mask().defined() ? core::Arg(call.mask()) : core::Arg(Value()));
    Tensors out = record(args, types, types.size() != 1);
    Tensors masks = compute_mask(call, out.size());
    for (size_t i = 0; i < out.size() && i < masks.size(); ++i)
      if (masks[i].defined()) out[i].impl()->mask = masks[i].impl();
    return out;
  }
  // 7. Compute.
  begin_losses(*this);
  CallScope scope(this, mode);
  core::AutocastScope autocast(read_dtype(), core::AutocastScope::inside_mixed() || compute_dtype_ != variable_dtype_);
  Call call{given, inputs, masks_for(), mode.value_or(false)};
  const core::NameScope named(name_);
  Tensors out = call_in_scopes(call);
  if (activity_regularizer_) {
    for (const Tensor& y : out) {
      Tensor loss = activity_regularizer_->call(y);
      int64_t batch = y.rank() ? std::max<int64_t>(y.shape()[0], 1) : 1;
      add_loss(prims::div(loss, scalar_like(loss, loss.dtype(), static_cast<double>(batch))));
    }
  }
  // 8. Masks of the outputs. Inside a model the layers have set them; an output that is an input keeps none of its old mask by accident.
  if (is_model()) return out;
  Tensors masks = compute_mask(call, out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = core::with_mask(out[i], i < masks.size() ? masks[i] : Tensor());
  return out;
}

}  // namespace layers

using layers::LayerImpl;

Layer::Layer(const std::string& class_name, const std::string& name, bool trainable, const std::string& dtype) : impl_(std::make_shared<layers::UserImpl<LayerImpl>>()) {
  impl_->init(class_name, name, trainable, dtype);
  impl_->registered_name_ = "Custom>" + class_name;
  impl_->self_ = this;
}
Layer::Layer(const Layer& other) : impl_(other.impl_) {}
Layer& Layer::operator=(const Layer& other) {
  if (impl_ && impl_->self_ == this) throw RuntimeError("the object of a layer's own class can't be assigned over; make a new one");
  impl_ = other.impl_;
  return *this;
}
Layer::~Layer() {
  if (impl_ && impl_->self_ == this) impl_->self_ = nullptr;
}
void Layer::adopt(std::shared_ptr<void> owner) {
  std::shared_ptr<LayerImpl> strong = impl_;
  strong->owner_ = std::move(owner);
  impl_ = std::shared_ptr<LayerImpl>(std::shared_ptr<void>(), strong.get());  // no cycle: the impl owns the object, not the other way
}

void Layer::build(const Shape& input) {
  if (!impl_->is_user_class()) impl_->ensure_built({input});
}
void Layer::build(const std::vector<Shape>& inputs) {
  if (impl_->is_user_class()) {
    if (!inputs.empty()) build(inputs[0]);
  } else {
    impl_->ensure_built(inputs);
  }
}
static std::string where(const LayerImpl& l) { return "layer \"" + l.name() + "\" (" + l.class_name() + ")"; }
Tensor Layer::call(const Tensor&) {
  throw NotImplementedError(ErrorText{.what = "the layer has no call", .where = where(*impl_), .fix = "override call(const Tensor&), call(const Tensor&, bool training) or call(const Tensors&, bool training)"}.str());
}
Tensor Layer::call(const Tensor& input, bool) { return call(input); }
Tensors Layer::call(const Tensors& inputs, bool training) {
  if (inputs.size() != 1)
    throw ValueError(ErrorText{.what = "the layer's call takes one tensor", .where = where(*impl_), .received = std::to_string(inputs.size()) + " tensors", .fix = "override call(const Tensors&, bool training)"}.str());
  return {call(inputs[0], training)};
}
Tensor Layer::compute_mask(const Tensors&, const Tensor& mask) { return impl_->supports_masking_ ? mask : Tensor(); }
Dict Layer::get_config() const { return !impl_ || impl_->is_user_class() ? Dict() : impl_->config(); }

static core::CallArgs call_args(std::vector<core::Arg> args, const CallOptions& o) {
  core::CallArgs c;
  c.args = std::move(args);
  for (const Tensor& t : o.more) c.args.emplace_back(t);
  if (!o.initial_state.empty()) c.kwargs.emplace_back("initial_state", core::Arg(o.initial_state));
  if (o.mask.defined()) c.kwargs.emplace_back("mask", core::Arg(o.mask));
  if (o.training) c.kwargs.emplace_back("training", core::Arg(Value(*o.training)));
  for (const auto& [k, v] : o.values) c.kwargs.emplace_back(k, core::Arg(v));
  for (const auto& [k, t] : o.tensors) c.kwargs.emplace_back(k, core::Arg(t));
  return c;
}
static LayerImpl& need(const std::shared_ptr<LayerImpl>& impl) {
  if (!impl) throw ValueError("an empty Layer was used: it was default-constructed and never given a layer");
  return *impl;
}
Output Layer::operator()(const Tensor& input, const CallOptions& o) const { return need(impl_)(call_args({core::Arg(input)}, o)); }
Output Layer::operator()(const Tensors& inputs, const CallOptions& o) const { return need(impl_)(call_args({core::Arg(inputs)}, o)); }
Output Layer::call_several(const Tensors& arguments, const CallOptions& o) const {
  return need(impl_)(call_args(std::vector<core::Arg>(arguments.begin(), arguments.end()), o));
}

Variable Layer::add_weight(const Weight& w) { return impl_->add_weight(w); }
void Layer::add_loss(const Tensor& loss) { impl_->add_loss(loss); }
void Layer::track(const std::string& attribute, const Layer& layer) { impl_->track(attribute, layer.impl()); }
std::vector<Variable> Layer::weights() const { return impl_->weights(); }
std::vector<Variable> Layer::trainable_weights() const { return impl_->trainable_weights(); }
std::vector<Variable> Layer::non_trainable_weights() const { return impl_->non_trainable_weights(); }
std::vector<Variable> Layer::variables() const { return impl_->variables(); }
std::vector<Variable> Layer::non_trainable_variables() const { return impl_->non_trainable_variables(); }
Tensors Layer::get_weights() const {
  Tensors out;
  for (const Variable& v : weights()) out.push_back(v.value());
  return out;
}
void Layer::set_weights(const Tensors& values) const {
  std::vector<Variable> vars = weights();
  if (vars.size() != values.size())
    throw ValueError(ErrorText{.what = "set_weights got another number of arrays", .where = where(*impl_), .expected = std::to_string(vars.size()) + " weights", .received = std::to_string(values.size())}.str());
  for (size_t i = 0; i < vars.size(); ++i)
    if (vars[i].shape() != values[i].shape())
      throw ValueError(ErrorText{.what = "set_weights: a weight has another shape", .where = where(*impl_) + ", weight " + vars[i].path(), .expected = vars[i].shape().str(), .received = values[i].shape().str()}.str());
  for (size_t i = 0; i < vars.size(); ++i) vars[i].assign(values[i]);
}
int64_t Layer::count_params() const {
  if (!built())
    throw ValueError(ErrorText{.what = "count_params was called before the weights exist", .where = where(*impl_), .fix = "call the layer on an input, or build_for(shape)"}.str());
  int64_t n = 0;
  for (const Variable& v : weights()) n += v.shape().numel();
  return n;
}

const std::string& Layer::name() const { return need(impl_).name(); }
std::string Layer::class_name() const { return need(impl_).class_name(); }
bool Layer::built() const { return impl_->built_; }
bool Layer::trainable() const { return impl_->trainable_; }
void Layer::set_trainable(bool t) const { impl_->set_trainable(t); }
DType Layer::compute_dtype() const { return impl_->compute_dtype_; }
DType Layer::variable_dtype() const { return impl_->variable_dtype_; }
bool Layer::autocast() const { return impl_->autocast_; }
void Layer::set_autocast(bool v) const { impl_->autocast_ = v; }
bool Layer::supports_masking() const { return impl_->supports_masking_; }
void Layer::set_supports_masking(bool v) const { impl_->supports_masking_ = v; }
void Layer::build_for(const Shape& input) const { impl_->ensure_built({input}); }
Shape Layer::compute_output_shape(const Shape& input) const { return compute_output_shapes({input}).at(0); }
std::vector<Shape> Layer::compute_output_shapes(const std::vector<Shape>& inputs) const {
  Tensors ts;
  for (const Shape& s : inputs) ts.push_back(core::make_symbolic({impl_->compute_dtype_, s}, "shape"));
  core::CallArgs args;
  args.args.push_back(ts.size() == 1 ? core::Arg(ts[0]) : core::Arg(ts));
  std::vector<Shape> out;
  for (const ir::Type& t : impl_->output_types(args)) out.push_back(t.shape);
  return out;
}
DTypePolicy Layer::dtype_policy() const { return DTypePolicy(impl_->dtype_policy_); }
const std::vector<InputSpec>& Layer::input_spec() const { return impl_->input_spec_; }
void Layer::set_input_spec(std::vector<InputSpec> spec) const { impl_->input_spec_ = std::move(spec); }
Value Layer::get_build_config() const { return impl_->build_config(); }
void Layer::build_from_config(const Value& build_config) const { impl_->build_from_config(build_config); }
Layer::StatelessResult Layer::stateless_call(const Tensors& trainable, const Tensors& non_trainable, const Tensors& inputs, const CallOptions& options) const {
  if (!need(impl_).built_)
    throw ValueError(ErrorText{.what = "stateless_call was called before the variables exist", .where = where(*impl_), .fix = "call the layer on an input, or build_for(shape)"}.str());
  std::vector<Variable> variables = trainable_variables();
  size_t count = variables.size();
  if (trainable.size() != count)
    throw ValueError(ErrorText{.what = "stateless_call got another number of trainable variables", .where = where(*impl_), .expected = std::to_string(count), .received = std::to_string(trainable.size())}.str());
  for (const Variable& v : non_trainable_variables()) variables.push_back(v);
  Tensors values = trainable;
  values.insert(values.end(), non_trainable.begin(), non_trainable.end());
  core::LentValues lent(std::move(variables), values, where(*impl_) + ", stateless_call");
  Output out = inputs.size() == 1 ? (*this)(inputs[0], options) : (*this)(inputs, options);
  return {std::move(out), lent.values(count, values.size())};
}
Dict Layer::config() const { return impl_->config(); }
std::vector<Layer> Layer::sublayers() const {
  std::vector<Layer> out;
  for (const auto& l : impl_->sublayers()) out.emplace_back(l);
  return out;
}
Tensors Layer::losses() const {
  Tensors out;
  // Keras' order: the parts as they stand, and what is inside of a part from the last to the first.
  std::deque<LayerImpl*> waiting{impl_.get()};
  for (const auto& part : impl_->sublayers()) waiting.push_back(part.get());
  std::set<const LayerImpl*> seen;
  while (!waiting.empty()) {
    LayerImpl* l = waiting.front();
    waiting.pop_front();
    if (!seen.insert(l).second) continue;
    layers::append_added_losses(*l, out);
    if (l == impl_.get()) continue;
    for (const auto& part : l->sublayers()) waiting.push_front(part.get());
  }
  for (const Variable& v : trainable_weights())
    if (auto r = v.regularizer()) out.push_back(r(v.value()));
  return out;
}

// ---- nodes
int Layer::num_nodes() const { return static_cast<int>(need(impl_).nodes().size()); }
static core::Node& node_at(LayerImpl& l, int i, const char* what) {
  int n = static_cast<int>(l.nodes().size());
  if (n == 0)
    throw ValueError(ErrorText{.what = std::string(what) + ": the layer has never been called on a symbolic tensor", .where = where(l), .fix = "call it on an Input first"}.str());
  if (i < 0 || i >= n)
    throw ValueError(ErrorText{.what = fmt::format("{}: there is no node {}", what, i), .where = where(l), .expected = n == 1 ? "node 0, the only one" : fmt::format("a node from 0 to {}: the layer has {} nodes", n - 1, n), .received = std::to_string(i)}.str());
  return l.nodes()[static_cast<size_t>(i)];
}
static void only_node(LayerImpl& l, const char* what, const char* at) {
  node_at(l, 0, what);
  if (l.nodes().size() > 1)
    throw ValueError(ErrorText{.what = fmt::format("'{}' is ambiguous: the layer has {} nodes", what, l.nodes().size()), .where = where(l), .fix = fmt::format("use {}(node_index)", at)}.str());
}
Tensor Layer::get_input_at(int node) const {
  Tensors in = node_at(*impl_, node, "get_input_at").args.inputs();
  if (in.empty()) return impl_->output(node, 0);  // an InputLayer
  return in[0];
}
Tensor Layer::get_output_at(int node) const {
  node_at(*impl_, node, "get_output_at");
  return impl_->output(node, 0);
}
Tensor Layer::input() const { return only_node(*impl_, "input", "get_input_at"), get_input_at(0); }
Tensor Layer::output() const { return only_node(*impl_, "output", "get_output_at"), get_output_at(0); }
Shape Layer::get_input_shape_at(int node) const { return get_input_at(node).shape(); }
Shape Layer::get_output_shape_at(int node) const { return get_output_at(node).shape(); }
Shape Layer::input_shape() const { return only_node(*impl_, "input_shape", "get_input_shape_at"), get_input_shape_at(0); }
Shape Layer::output_shape() const { return only_node(*impl_, "output_shape", "get_output_shape_at"), get_output_shape_at(0); }
Tensor Layer::get_input_mask_at(int node) const { return core::mask_of(get_input_at(node)); }
Tensor Layer::get_output_mask_at(int node) const { return core::mask_of(get_output_at(node)); }

}  // namespace keras
