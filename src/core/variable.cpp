// What lives here: variables, outside and inside of traces.
#include <atomic>
#include <cstring>

#include "core/impl.h"
#include "prims/build.h"

namespace keras {

using core::Trace;
using core::VariableImpl;

namespace core {

uint64_t VariableImpl::next_stamp() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void* VariableImpl::writable() {
  stamp = next_stamp();
  if (value.impl().use_count() > 1 || !value.impl()->buffer.unique()) {
    Tensor copy = Tensor::empty(value.dtype(), value.shape());
    if (value.nbytes()) std::memcpy(copy.mutable_raw(), value.raw(), value.nbytes());
    value = copy;
  }
  return value.mutable_raw();
}

static thread_local std::optional<DType> g_autocast;
static thread_local bool g_mixed = false;
bool AutocastScope::inside_mixed() { return g_mixed; }
AutocastScope::AutocastScope(std::optional<DType> dtype, bool mixed) : dtype_before_(g_autocast), mixed_before_(g_mixed) { g_autocast = dtype, g_mixed = mixed; }
AutocastScope::~AutocastScope() { g_autocast = dtype_before_, g_mixed = mixed_before_; }
// The dtype in which the scope has the variable read.
static DType read_dtype(const VariableImpl& v) {
  DType own = v.value.dtype();
  return g_autocast && v.autocast && is_floating(own) ? *g_autocast : own;
}

LentValues::LentValues(std::vector<Variable> variables, const Tensors& values, const std::string& where) : variables_(std::move(variables)) {
  if (values.size() != variables_.size())
    throw ValueError(ErrorText{.what = "the values don't match the variables", .where = where, .expected = std::to_string(variables_.size()) + " tensors",
                               .received = std::to_string(values.size())}.str());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].shape() != variables_[i].shape())
      throw ValueError(ErrorText{.what = "a value has another shape than its variable", .where = where + ", " + variables_[i].path(),
                                 .expected = variables_[i].shape().str(), .received = values[i].shape().str()}.str());
  }
  AutocastScope own(std::nullopt);
  for (size_t i = 0; i < values.size(); ++i) {
    before_.push_back(variables_[i].value());
    variables_[i].assign(values[i]);
  }
}
LentValues::~LentValues() {
  for (size_t i = 0; i < before_.size(); ++i) variables_[i].assign(before_[i]);
}
Tensors LentValues::values(size_t from, size_t to) const {
  AutocastScope own(std::nullopt);
  Tensors out;
  for (size_t i = from; i < to; ++i) out.push_back(variables_[i].value());
  return out;
}

static Trace& root(Trace& t) {
  Trace* r = &t;
  while (r->parent) r = r->parent;
  return *r;
}
static Trace::State& state(Trace& trace, const std::shared_ptr<VariableImpl>& v) {
  Trace& t = root(trace);
  auto [it, fresh] = t.state_of.try_emplace(v.get(), t.states.size());
  if (fresh) {
    Tensor p = t.param(v->value.impl()->type);
    t.states.push_back({v, p.impl()->id, p, false});
  }
  return t.states[it->second];
}

}  // namespace core

Variable::Variable(const Tensor& value, const VariableOptions& options) : impl_(std::make_shared<VariableImpl>()) {
  Tensor copy = Tensor::empty(value.dtype(), value.shape());
  if (value.nbytes()) std::memcpy(copy.mutable_raw(), value.raw(), value.nbytes());
  impl_->value = copy;
  impl_->name = options.name;
  impl_->path = options.path_prefix.empty() ? options.name : options.path_prefix + "/" + options.name;
  impl_->trainable = options.trainable;
  impl_->autocast = options.autocast;
}

static VariableImpl& get(const std::shared_ptr<VariableImpl>& impl) {
  if (!impl) throw ValueError("an empty Variable was used: its layer has not been built yet");
  return *impl;
}

Tensor Variable::value() const {
  DType dtype = core::read_dtype(get(impl_));
  Trace* t = core::current_trace();
  Tensor now = t ? core::state(*t, impl_).current : impl_->value;
  return dtype == now.dtype() ? now : prims::cast(now, dtype);
}

void Variable::assign(const Tensor& value) const {
  VariableImpl& v = get(impl_);
  if (value.shape() != v.value.shape())
    throw ValueError(ErrorText{.what = "the value assigned to variable '" + v.path + "' has another shape", .expected = v.value.shape().str(), .received = value.shape().str()}.str());
  if (Trace* t = core::current_trace()) {
    if (t->parent) throw RuntimeError("variable '" + v.path + "' is assigned inside a traced loop; return the value as a state of the loop instead");
    Tensor cast = value;
    if (value.dtype() != v.value.dtype()) cast = prims::cast(value, v.value.dtype());
    core::Trace::State& s = core::state(*t, impl_);
    s.current = t->wrap(t->lift(cast));
    s.updated = true;
    return;
  }
  Tensor cast = value.astype(v.value.dtype());
  if (cast.same(value)) {  // never share a buffer that a compiled step may write
    cast = Tensor::empty(value.dtype(), value.shape());
    if (value.nbytes()) std::memcpy(cast.mutable_raw(), value.raw(), value.nbytes());
  }
  v.value = cast;
  v.stamp = VariableImpl::next_stamp();
}
// Primitives by constant, not by name: names are known only after the first computation.
static void assign_with(const Variable& v, const Tensor& value, ir::Ew op) {
  Tensor now = v.value();
  // As Keras: what was read in a short float is added to in the promoted dtype.
  bool short_read = !value.weak() && now.dtype() != v.impl()->value.dtype();
  DType dtype = short_read ? result_type(now.dtype(), value.dtype()) : now.dtype();
  v.assign(prims::ew(op, prims::cast(now, dtype), prims::cast(value, dtype)));
}
void Variable::assign_add(const Tensor& value) const { assign_with(*this, value, ir::Ew::add); }
void Variable::assign_sub(const Tensor& value) const { assign_with(*this, value, ir::Ew::sub); }

const Shape& Variable::shape() const { return get(impl_).value.shape(); }
DType Variable::dtype() const { return core::read_dtype(get(impl_)); }
const std::string& Variable::name() const { return get(impl_).name; }
const std::string& Variable::path() const { return get(impl_).path; }
void Variable::set_path(const std::string& path) const { get(impl_).path = path; }
bool Variable::trainable() const { return get(impl_).trainable; }
bool Variable::autocast() const { return get(impl_).autocast; }
void Variable::set_trainable(bool t) const { get(impl_).trainable = t; }
std::function<Tensor(const Tensor&)> Variable::regularizer() const { return get(impl_).regularizer; }
void Variable::set_regularizer(std::function<Tensor(const Tensor&)> f) const { get(impl_).regularizer = std::move(f); }
std::function<Tensor(const Tensor&)> Variable::constraint() const { return get(impl_).constraint; }
void Variable::set_constraint(std::function<Tensor(const Tensor&)> f) const { get(impl_).constraint = std::move(f); }
std::string Variable::str() const {
  return "<Variable path=" + path() + ", shape=" + shape().str() + ", dtype=" + dtype_name(dtype()) + ">";
}

}  // namespace keras
