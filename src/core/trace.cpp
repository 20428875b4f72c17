// What lives here: traces, applying primitives, compiling, gradients, loops.
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_set>

#include "core/impl.h"
#include "engine/memory.h"
#include "passes/passes.h"
#include "prims/build.h"
#include "prims/registry.h"

namespace keras {

Tensor scalar_like(const Tensor&, DType dtype, double value) {
  Tensor t = Tensor::full({}, value, dtype);
  t.impl()->literal = true;
  return t;
}

namespace core {

static thread_local Trace* g_trace = nullptr;
Trace* current_trace() { return g_trace; }

static uint64_t next_number() {
  static std::atomic<uint64_t> n{0};
  return ++n;
}
static void need_primitives() {
  static std::once_flag once;
  std::call_once(once, prims::register_all);
}

TraceScope::TraceScope(Trace& trace, bool inner) : before_(g_trace) {
  need_primitives();
  trace.number = next_number();
  trace.parent = inner ? g_trace : nullptr;
  g_trace = &trace;
}
TraceScope::~TraceScope() { g_trace = before_; }
EagerScope::EagerScope() : before_(g_trace) { g_trace = nullptr; }
EagerScope::~EagerScope() { g_trace = before_; }

Tensor Trace::wrap(ir::ValueId id) {
  auto impl = std::make_shared<TensorImpl>();
  impl->kind = TensorKind::Traced;
  impl->type = graph.type(id);
  impl->trace = number;
  impl->id = id;
  return Tensor(std::move(impl));
}
Tensor Trace::param(const ir::Type& type) { return wrap(graph.add_param(type)); }

ir::ValueId Trace::lift(const Tensor& t) {
  const auto& impl = t.impl();
  if (!impl) throw ValueError("an empty Tensor was used in a computation");
  if (impl->kind == TensorKind::Traced && impl->trace == number) return impl->id;
  if (auto it = lifted.find(impl.get()); it != lifted.end()) return it->second;
  ir::ValueId id = -1;
  if (impl->kind == TensorKind::Concrete && capture_concrete && !impl->literal) {
    id = graph.add_param(impl->type);
    captures.emplace_back(t, id);
  } else if (impl->kind == TensorKind::Concrete) {
    id = graph.constant(ir::Literal::from(impl->type, impl->buffer.data()));
  } else if (impl->kind == TensorKind::Traced) {
    const Trace* owner = parent;
    while (owner && owner->number != impl->trace) owner = owner->parent;
    if (!owner)
      throw RuntimeError(ErrorText{.what = "a tensor of a trace that has ended was used", .received = t.str(),
                                   .fix = "return it from the function that made it, or compute it again inside this one"}.str());
    id = graph.add_param(impl->type);
    captures.emplace_back(t, id);
  } else {
    throw RuntimeError(ErrorText{.what = "a symbolic tensor was used where numbers are being computed", .received = t.str(),
                                 .fix = "build the layer or model with it first, then call that on data"}.str());
  }
  lifted[impl.get()] = id;
  kept.push_back(t);
  return id;
}

// ---- tapes
struct TapeState {
  ir::Graph graph;
  std::unordered_map<const TensorImpl*, ir::ValueId> ids;
  std::vector<Tensor> values;  // concrete tensor of each value id
  std::vector<Tensor> aliases; // other handles on values, kept so that their addresses stay theirs
  bool recording = true;
  ir::ValueId id_of(const Tensor& t) {
    auto [it, fresh] = ids.try_emplace(t.impl().get(), -1);
    if (fresh) {
      // Rules look at constants (the kink of a relu is one), so tapes have them too.
      it->second = t.impl()->literal ? graph.constant(ir::Literal::from(t.impl()->type, t.raw())) : graph.add_param(t.impl()->type);
      keep(it->second, t);
    }
    return it->second;
  }
  void keep(ir::ValueId id, const Tensor& t) {
    if (values.size() <= static_cast<size_t>(id)) values.resize(static_cast<size_t>(id) + 1);
    values[static_cast<size_t>(id)] = t;
  }
};
static thread_local std::vector<TapeState*> g_tapes;

void same_on_tapes(const Tensor& copy, const Tensor& original) {
  for (TapeState* tape : g_tapes) {
    auto it = tape->ids.find(original.impl().get());
    if (it == tape->ids.end()) continue;
    tape->ids[copy.impl().get()] = it->second;
    tape->aliases.push_back(copy);
  }
}

static Tensors compute(const ir::Primitive& prim, const Tensors& inputs, const ir::Attrs& attrs) {
  if (prim.is("constant")) throw RuntimeError("constants are not computed");
  ir::Graph g;
  std::vector<ir::ValueId> ids;
  std::vector<void*> in, out;
  for (const Tensor& t : inputs) {
    ids.push_back(g.add_param(t.impl()->type));
    in.push_back(const_cast<void*>(t.raw()));
  }
  g.emit(prim, std::move(ids), attrs);
  const ir::Node& node = g.nodes().back();
  Tensors results;
  for (ir::ValueId v : node.outputs) {
    results.push_back(make_concrete(g.type(v), engine::Buffer(engine::bytes_for(g.type(v)))));
    out.push_back(results.back().mutable_raw());
  }
  engine::run_node(g, node, in.data(), out.data());
  return results;
}

Tensors apply(const ir::Primitive& prim, const Tensors& inputs, ir::Attrs attrs) {
  need_primitives();
  if (Trace* t = g_trace) {
    std::vector<ir::ValueId> ids;
    for (const Tensor& in : inputs) ids.push_back(t->lift(in));
    t->graph.emit(prim, std::move(ids), std::move(attrs));
    Tensors out;
    std::vector<ir::ValueId> made = t->graph.nodes().back().outputs;
    for (ir::ValueId id : made) out.push_back(t->wrap(id));
    return out;
  }
  for (const Tensor& in : inputs)
    if (!in.is_concrete())
      throw RuntimeError(ErrorText{.what = std::string("'") + prim.name + "' was given a tensor without numbers", .received = in.str(),
                                   .fix = "use the functions of keras::ops on symbolic tensors"}.str());
  Tensors out = compute(prim, inputs, attrs);
  for (TapeState* tape : g_tapes) {
    if (!tape->recording) continue;
    std::vector<ir::ValueId> ids;
    for (const Tensor& in : inputs) ids.push_back(tape->id_of(in));
    tape->graph.emit(prim, std::move(ids), attrs);
    const std::vector<ir::ValueId> made = tape->graph.nodes().back().outputs;
    for (size_t i = 0; i < out.size(); ++i) {
      tape->ids[out[i].impl().get()] = made[i];
      tape->keep(made[i], out[i]);
    }
  }
  return out;
}

std::vector<ir::Type> infer(const std::vector<ir::Type>& types, const std::function<Tensors(const Tensors&)>& f) {
  Trace trace;
  trace.abstract = true;
  TraceScope scope(trace);
  Tensors args;
  for (const ir::Type& t : types) args.push_back(trace.param(t));
  std::vector<ir::Type> out;
  for (const Tensor& t : f(args)) out.push_back(t.impl()->type);
  return out;
}

// ---- compiling
std::unique_ptr<Compiled> compile(const std::function<Tensors(const Tensors&)>& body, const std::vector<ir::Type>& inputs, bool keep_ir) {
  Trace trace;
  Tensors results;
  {
    TraceScope scope(trace);
    Tensors args;
    for (const ir::Type& t : inputs) args.push_back(trace.param(t));
    results = body(args);
    for (Tensor& r : results)
      if (r.defined()) r = trace.wrap(trace.lift(r));
  }
  // Parameters appear in the order of first use; inputs come first, states follow.
  ir::Graph& g = trace.graph;
  auto c = std::make_unique<Compiled>();
  c->num_inputs = inputs.size();
  for (const Tensor& r : results) {
    c->outputs.push_back(r.impl()->type);
    g.outputs.push_back(r.impl()->id);
  }
  std::vector<std::pair<int, int>> donated;
  std::map<ir::ValueId, int> position;
  for (size_t i = 0; i < g.params().size(); ++i) position[g.params()[i]] = static_cast<int>(i);
  for (const Trace::State& s : trace.states) {
    c->states.push_back(s.variable);
    c->updated.push_back(s.updated);
    if (!s.updated) continue;
    donated.emplace_back(static_cast<int>(g.outputs.size()), position.at(s.param));
    g.outputs.push_back(s.current.impl()->id);
  }
  ir::verify(g, "trace");
  if (keep_ir) c->unoptimized = g;
  std::vector<char> steady(g.params().size(), 0);
  for (size_t k = 0; k < c->states.size(); ++k)
    if (!c->updated[k]) c->steady.push_back(static_cast<uint32_t>(k)), steady[static_cast<size_t>(position.at(trace.states[k].param))] = 1;
  c->exe = std::make_unique<engine::Executable>(passes::optimize(g, steady), donated, steady);
  return c;
}

void Compiled::run(void* const* in, void* const* out) const {
  constexpr size_t kInline = 512;
  void* fixed_in[kInline];
  void* fixed_out[kInline];
  std::vector<void*> many;
  size_t n_in = num_inputs + states.size(), n_out = outputs.size() + states.size();
  void **i = fixed_in, **o = fixed_out;
  if (n_in > kInline || n_out > kInline) {
    many.resize(n_in + n_out);
    i = many.data(), o = many.data() + n_in;
  }
  for (size_t k = 0; k < num_inputs; ++k) i[k] = in[k];
  size_t at = outputs.size();
  for (size_t k = 0; k < outputs.size(); ++k) o[k] = out[k];
  for (size_t k = 0; k < states.size(); ++k) {
    void* p = updated[k] ? states[k]->writable() : const_cast<void*>(states[k]->value.raw());
    i[num_inputs + k] = p;
    if (updated[k]) o[at++] = p;
  }
  // Stamps only grow, so their sum tells whether any changed.
  uint64_t stamp = 0;
  for (uint32_t k : steady) stamp += states[k]->stamp;
  exe->run(i, o, stamp);
}

// ---- loops
ScanResult scan(const std::function<std::pair<Tensors, Tensors>(const Tensors&, const Tensors&)>& step, const Tensors& states, const Tensors& xs, bool reverse) {
  auto slice_type = [](const Tensor& x) { return ir::Type{x.dtype(), x.shape().slice(1)}; };
  int64_t length = xs.at(0).shape()[0];
  auto body = std::make_shared<ir::Graph>();
  Trace trace;
  size_t num_states = states.size(), num_results = 0;
  {
    TraceScope scope(trace, /*inner=*/true);
    // Computed again is the whole loop, not each step.
    auto here = ir::current_origin() ? std::make_shared<ir::Origin>(*ir::current_origin()) : nullptr;
    if (here) here->remat = nullptr;
    const ir::OriginScope in_loop(std::move(here));
    trace.abstract = trace.parent && trace.parent->abstract;
    trace.capture_concrete = !trace.parent || trace.parent->capture_concrete;
    Tensors s, x;
    for (const Tensor& t : states) s.push_back(trace.param({t.dtype(), t.shape()}));
    for (const Tensor& t : xs) x.push_back(trace.param(slice_type(t)));
    auto [next, ys] = step(s, x);
    if (next.size() != num_states) throw ValueError("a step of a loop must return as many states as it got");
    num_results = ys.size();
    for (const Tensor& t : next) trace.graph.outputs.push_back(trace.lift(t));
    for (const Tensor& t : ys) trace.graph.outputs.push_back(trace.lift(t));
  }
  // Outside of any trace, states of variables were made parameters of the loop's own trace: feed their values.
  for (const Trace::State& s : trace.states) trace.captures.emplace_back(s.variable->value, s.param);
  // What need not be in the loop is computed before it, by the same operations.
  const ir::Graph& g = trace.graph;
  std::vector<passes::LoopRole> roles(g.params().size(), passes::LoopRole::Const);
  std::vector<Tensor> outer(g.num_values());
  for (size_t i = 0; i < num_states; ++i) roles[i] = passes::LoopRole::Carry;
  for (size_t i = 0; i < xs.size(); ++i) {
    roles[num_states + i] = passes::LoopRole::Sequence;
    outer[static_cast<size_t>(g.params()[num_states + i])] = xs[i];
  }
  for (auto& [value, id] : trace.captures) outer[static_cast<size_t>(id)] = value;
  const std::vector<passes::LoopPart> parts = passes::loop_parts(g, roles);
  auto part = [&](ir::ValueId v) { return parts[static_cast<size_t>(v)]; };
  auto before_loop = [&](ir::ValueId v) { return part(v) == passes::LoopPart::Once || part(v) == passes::LoopPart::AllSteps; };
  auto compute_outside = [&](auto&& self, ir::ValueId v) -> Tensor {
    if (outer[static_cast<size_t>(v)].defined()) return outer[static_cast<size_t>(v)];
    const ir::Node& n = *g.producer(v);
    const ir::OriginScope origin(n.origin);
    if (const ir::Literal* l = g.literal(v)) {
      Tensor t = Tensor::from_bytes(l->data(), static_cast<size_t>(l->type.shape.numel()), l->type.dtype, l->type.shape);
      t.impl()->literal = true;
      return outer[static_cast<size_t>(v)] = t;
    }
    Tensors in;
    for (ir::ValueId u : n.inputs) in.push_back(self(self, u));
    bool all_steps = part(v) == passes::LoopPart::AllSteps || part(v) == passes::LoopPart::Both;
    Tensors made = apply(*n.prim, in, all_steps ? passes::for_all_steps(n, length) : n.attrs);
    for (size_t k = 0; k < n.outputs.size(); ++k) outer[static_cast<size_t>(n.outputs[k])] = made[k];
    return outer[static_cast<size_t>(v)];
  };
  // What the steps still read of it, as captures and sequences of the loop: those come in the scan's order consts, carries, xs.
  std::vector<char> read(g.num_values(), 0), inside(g.nodes().size(), 0);
  std::vector<ir::ValueId> stack(g.outputs);
  while (!stack.empty()) {
    ir::ValueId v = stack.back();
    stack.pop_back();
    int n = g.value(v).node;
    if (n < 0 || before_loop(v)) {
      read[static_cast<size_t>(v)] = 1;
    } else if (!inside[static_cast<size_t>(n)]) {
      inside[static_cast<size_t>(n)] = 1;
      const auto& in = g.nodes()[static_cast<size_t>(n)].inputs;
      stack.insert(stack.end(), in.begin(), in.end());
    }
  }
  Tensors inputs;
  std::vector<ir::ValueId> made(g.num_values(), -1);
  auto take = [&](ir::ValueId v, bool always) {
    if (!read[static_cast<size_t>(v)] && !always) return false;
    made[static_cast<size_t>(v)] = body->add_param(g.type(v));
    return true;
  };
  auto take_if = [&](auto&& which) {
    size_t count = 0;
    for (size_t v = 0; v < g.num_values(); ++v)
      if (which(static_cast<ir::ValueId>(v)) && take(static_cast<ir::ValueId>(v), false)) ++count, inputs.push_back(compute_outside(compute_outside, static_cast<ir::ValueId>(v)));
    return count;
  };
  size_t consts = take_if([&](ir::ValueId v) { return part(v) == passes::LoopPart::Once; });
  for (size_t i = 0; i < num_states; ++i) take(g.params()[i], true), inputs.push_back(states[i]);
  take_if([&](ir::ValueId v) { return part(v) == passes::LoopPart::AllSteps; });
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    if (!inside[i]) continue;
    const ir::Node& n = g.nodes()[i];
    std::vector<ir::ValueId> in;
    for (ir::ValueId v : n.inputs) in.push_back(made[static_cast<size_t>(v)]);
    const ir::OriginScope origin(n.origin);
    body->emit(*n.prim, std::move(in), n.attrs);
    for (size_t k = 0; k < n.outputs.size(); ++k) made[static_cast<size_t>(n.outputs[k])] = body->nodes().back().outputs[k];
  }
  for (ir::ValueId v : g.outputs) body->outputs.push_back(made[static_cast<size_t>(v)]);
  Tensors out = prims::scan<Tensor>(body, inputs, static_cast<int64_t>(consts), static_cast<int64_t>(num_states), length, reverse);
  ScanResult r;
  r.states.assign(out.begin(), out.begin() + static_cast<int64_t>(num_states));
  r.ys.assign(out.begin() + static_cast<int64_t>(num_states), out.begin() + static_cast<int64_t>(num_states + num_results));
  return r;
}

}  // namespace core

// ---- functions
struct Function::Impl {
  Body body;
  std::string name;
  std::mutex mutex;
  std::vector<std::pair<std::vector<ir::Type>, std::unique_ptr<core::Compiled>>> cache;

  const core::Compiled& get(const std::vector<ir::Type>& types) {
    std::lock_guard lock(mutex);
    for (auto& [key, c] : cache)
      if (key == types) return *c;
    cache.emplace_back(types, core::compile(body, types));
    return *cache.back().second;
  }
};

static std::vector<ir::Type> types_of(const Tensors& ts) {
  std::vector<ir::Type> types;
  for (const Tensor& t : ts) types.push_back({t.dtype(), t.shape()});
  return types;
}

Function::Function(Body body, std::string name) : impl_(std::make_shared<Impl>()) {
  impl_->body = std::move(body);
  impl_->name = std::move(name);
}

Tensors Function::operator()(const Tensors& args) const {
  if (core::current_trace()) return impl_->body(args);
  const core::Compiled& c = impl_->get(types_of(args));
  std::vector<void*> in, out;
  for (const Tensor& t : args) in.push_back(const_cast<void*>(t.raw()));
  Tensors results;
  for (const ir::Type& t : c.outputs) {
    results.push_back(Tensor::empty(t.dtype, t.shape));
    out.push_back(results.back().mutable_raw());
  }
  c.run(in.data(), out.data());
  return results;
}

std::string Function::ir(const Tensors& args, bool optimized) const {
  auto c = core::compile(impl_->body, types_of(args), true);
  return optimized ? c->exe->graph().str() : c->unoptimized.str();
}
std::string Function::plan(const Tensors& args) const { return impl_->get(types_of(args)).exe->str(); }

// ---- gradients
static Tensors traced_gradients(core::Trace& t, const Tensor& target, const std::vector<ir::ValueId>& wrt) {
  ir::ValueId y = t.lift(target);
  prims::V one{&t.graph, t.graph.constant(target.dtype(), 1)};
  ir::ValueId ct = prims::broadcast_to(one, target.shape()).id;
  std::vector<ir::ValueId> g = passes::vjp(t.graph, {y}, {ct}, wrt);
  Tensors out;
  for (size_t i = 0; i < g.size(); ++i) {
    if (g[i] < 0) {
      ir::Type type = t.graph.type(wrt[i]);
      prims::V zero{&t.graph, t.graph.constant(type.dtype, 0)};
      g[i] = prims::broadcast_to(zero, type.shape).id;
    }
    out.push_back(t.wrap(g[i]));
  }
  return out;
}

struct GradientTape::Impl {
  core::TapeState state;
};

static Tensors tape_gradients(core::TapeState& tape, const Tensor& target, const Tensors& sources) {
  // Differentiates on the tape's graph, then computes the nodes that this appended.
  ir::Graph& g = tape.graph;
  ir::ValueId y = tape.id_of(target);
  std::vector<ir::ValueId> wrt;
  for (const Tensor& s : sources) wrt.push_back(tape.id_of(s));
  prims::V one{&g, g.constant(target.dtype(), 1)};
  ir::ValueId ct = prims::broadcast_to(one, target.shape()).id;
  std::vector<ir::ValueId> grads = passes::vjp(g, {y}, {ct}, wrt);
  // A loop's rule gives its node more outputs: what has no value yet is computed again from that node on.
  auto known = [&](ir::ValueId v) { return static_cast<size_t>(v) < tape.values.size() && tape.values[static_cast<size_t>(v)].defined(); };
  std::vector<char> needed(g.nodes().size(), 0);
  std::vector<ir::ValueId> stack;
  auto need = [&](ir::ValueId v) {
    if (v < 0 || known(v)) return;
    int n = g.value(v).node;
    if (n >= 0 && !needed[static_cast<size_t>(n)]) {
      needed[static_cast<size_t>(n)] = 1;
      for (ir::ValueId u : g.nodes()[static_cast<size_t>(n)].inputs) stack.push_back(u);
    }
  };
  for (ir::ValueId v : grads) need(v);
  while (!stack.empty()) {
    ir::ValueId v = stack.back();
    stack.pop_back();
    need(v);
  }
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    if (!needed[i]) continue;
    const ir::Node n = g.nodes()[i];
    Tensors out;
    if (n.prim->is("constant")) {
      const ir::Literal& l = n.attrs.get<ir::Literal>("value");
      out.push_back(Tensor::from_bytes(l.data(), static_cast<size_t>(l.type.shape.numel()), l.type.dtype, l.type.shape));
    } else {
      Tensors in;
      for (ir::ValueId v : n.inputs) in.push_back(tape.values[static_cast<size_t>(v)]);
      out = core::compute(*n.prim, in, n.attrs);
    }
    for (size_t k = 0; k < out.size(); ++k)
      if (!known(n.outputs[k])) tape.keep(n.outputs[k], out[k]);
  }
  Tensors result;
  for (size_t i = 0; i < grads.size(); ++i) {
    if (grads[i] < 0) result.push_back(Tensor::full(sources[i].shape(), 0, sources[i].dtype()));
    else {
      const Tensor& t = tape.values[static_cast<size_t>(grads[i])];
      tape.ids[t.impl().get()] = grads[i];  // a gradient of a gradient goes on from here
      result.push_back(t);
    }
  }
  return result;
}

GradientTape::GradientTape() : impl_(std::make_unique<Impl>()) {
  core::need_primitives();
  core::g_tapes.push_back(&impl_->state);
}
GradientTape::~GradientTape() { std::erase(core::g_tapes, &impl_->state); }
void GradientTape::watch(const Tensor& tensor) {
  if (tensor.is_concrete()) impl_->state.id_of(tensor);
}
Tensors GradientTape::gradient(const Tensor& target, const Tensors& sources) {
  if (core::current_trace()) return gradients(target, sources);
  return tape_gradients(impl_->state, target, sources);
}
Tensors GradientTape::gradient(const Tensor& target, const std::vector<Variable>& sources) {
  if (core::current_trace()) return gradients(target, sources);
  Tensors values;
  for (const Variable& v : sources) values.push_back(v.value());
  return tape_gradients(impl_->state, target, values);
}

Tensors gradients(const Tensor& target, const Tensors& sources) {
  if (core::Trace* t = core::current_trace()) {
    std::vector<ir::ValueId> wrt;
    for (const Tensor& s : sources) wrt.push_back(t->lift(s));
    return traced_gradients(*t, target, wrt);
  }
  if (!core::g_tapes.empty()) return tape_gradients(*core::g_tapes.back(), target, sources);
  throw RuntimeError(ErrorText{.what = "gradients() was called outside of a Function and without a GradientTape",
                               .fix = "make a GradientTape before computing the target, or put the computation into a keras::Function"}.str());
}
Tensors gradients(const Tensor& target, const std::vector<Variable>& sources) {
  Tensors values;
  for (const Variable& v : sources) values.push_back(v.value());
  return gradients(target, values);
}

}  // namespace keras
