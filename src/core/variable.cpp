// What lives here: variables, outside and inside of traces.
#include <cstring>

#include "core/impl.h"
#include "prims/build.h"

namespace keras {

using core::Trace;
using core::VariableImpl;

namespace core {

void* VariableImpl::writable() {
  if (value.impl().use_count() > 1 || !value.impl()->buffer.unique()) {
    Tensor copy = Tensor::empty(value.dtype(), value.shape());
    if (value.nbytes()) std::memcpy(copy.mutable_raw(), value.raw(), value.nbytes());
    value = copy;
  }
  return value.mutable_raw();
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
}

static VariableImpl& get(const std::shared_ptr<VariableImpl>& impl) {
  if (!impl) throw ValueError("an empty Variable was used: its layer has not been built yet");
  return *impl;
}

Tensor Variable::value() const {
  get(impl_);
  if (Trace* t = core::current_trace()) return core::state(*t, impl_).current;
  return impl_->value;
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
}
// Primitives by constant, not by name: names are known only after the first computation.
static void assign_with(const Variable& v, const Tensor& value, ir::Ew op) {
  Tensor now = v.value();
  v.assign(prims::ew(op, now, prims::cast(value, now.dtype())));
}
void Variable::assign_add(const Tensor& value) const { assign_with(*this, value, ir::Ew::add); }
void Variable::assign_sub(const Tensor& value) const { assign_with(*this, value, ir::Ew::sub); }

const Shape& Variable::shape() const { return get(impl_).value.shape(); }
DType Variable::dtype() const { return get(impl_).value.dtype(); }
const std::string& Variable::name() const { return get(impl_).name; }
const std::string& Variable::path() const { return get(impl_).path; }
void Variable::set_path(const std::string& path) const { get(impl_).path = path; }
bool Variable::trainable() const { return get(impl_).trainable; }
void Variable::set_trainable(bool t) const { get(impl_).trainable = t; }
std::function<Tensor(const Tensor&)> Variable::regularizer() const { return get(impl_).regularizer; }
void Variable::set_regularizer(std::function<Tensor(const Tensor&)> f) const { get(impl_).regularizer = std::move(f); }
std::function<Tensor(const Tensor&)> Variable::constraint() const { return get(impl_).constraint; }
void Variable::set_constraint(std::function<Tensor(const Tensor&)> f) const { get(impl_).constraint = std::move(f); }
std::string Variable::str() const {
  return "<Variable path=" + path() + ", shape=" + shape().str() + ", dtype=" + dtype_name(dtype()) + ">";
}

}  // namespace keras
