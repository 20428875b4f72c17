// What lives here: TensorFlow 1's functional layers and sessions over the classic graph.
#include <keras/compat/v1.h>

#include <fmt/format.h>

#include "backend/graph.h"

namespace keras::compat::v1 {

namespace {
struct Entry {
  Tensor tensor;
  Initializer initializer;
  bool trainable = true;
};
struct Graph {
  std::map<std::string, Entry> variables;
  std::vector<std::string> order;
  std::vector<std::pair<std::string, bool>> scopes;
  std::map<std::string, int> layer_names;
  Tensors regularization;
};
Graph& graph() {
  static thread_local Graph g;
  return g;
}
std::string prefix() {
  std::string p;
  for (const auto& [name, reuse] : graph().scopes) p += name + "/";
  return p;
}
bool scope_reuses() {
  for (const auto& [name, reuse] : graph().scopes)
    if (reuse) return true;
  return false;
}
std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& [n, e] : graph().variables) out.push_back(n);
  return out;
}
}  // namespace

Tensor placeholder(const std::string& dtype, const Shape& shape, const std::string& name) { return backend::placeholder(shape, {.dtype = dtype, .name = name}); }

Tensor get_variable(const std::string& name, const Shape& shape, const VariableV1Options& o) {
  std::string full = prefix() + name;
  Graph& g = graph();
  auto it = g.variables.find(full);
  if (scope_reuses()) {
    if (it == g.variables.end())
      throw ValueError(ErrorText{.what = "the variable \"" + full + "\" does not exist, so it can't be reused" + did_you_mean(full, names()), .fix = "make it first, without reuse"}.str());
    if (it->second.tensor.shape() != shape)
      throw ValueError(ErrorText{.what = "the variable \"" + full + "\" to be reused has another shape", .expected = it->second.tensor.shape().str(), .received = shape.str()}.str());
    return it->second.tensor;
  }
  if (it != g.variables.end())
    throw ValueError(ErrorText{.what = "the variable \"" + full + "\" exists already", .fix = "use reuse=true to share it, or another name"}.str());
  Variable v(o.initializer->call(shape, dtype_from_name(o.dtype)), {.name = full, .trainable = o.trainable});
  if (Constraint c = o.constraint) v.set_constraint([object = c.object()](const Tensor& t) { return object->call(t); });
  Tensor t = backend::variable_tensor(v);
  if (Regularizer r = o.regularizer) g.regularization.push_back(r->call(t));
  g.variables[full] = {t, o.initializer, o.trainable};
  g.order.push_back(full);
  return t;
}

variable_scope::variable_scope(const std::string& name, bool reuse) { graph().scopes.emplace_back(name, reuse); }
variable_scope::~variable_scope() { graph().scopes.pop_back(); }
std::vector<Tensor> global_variables() {
  std::vector<Tensor> out;
  for (const std::string& n : graph().order) out.push_back(graph().variables[n].tensor);
  return out;
}
std::vector<Tensor> trainable_variables() {
  std::vector<Tensor> out;
  for (const std::string& n : graph().order)
    if (graph().variables[n].trainable) out.push_back(graph().variables[n].tensor);
  return out;
}
void reset_default_graph() { graph() = Graph{}; }
Tensors get_regularization_losses() { return graph().regularization; }

Tensor matmul(const Tensor& a, const Tensor& b, const MatmulV1Options& o) {
  if (a.rank() < 2 || b.rank() < 2) throw ValueError(ErrorText{.what = "matmul needs tensors of rank 2 or more", .received = a.shape().str() + " and " + b.shape().str()}.str());
  auto turned = [](const Tensor& t, bool turn) { return turn ? ops::swapaxes(t, -1, -2) : t; };
  return ops::matmul(turned(a, o.transpose_a || o.adjoint_a), turned(b, o.transpose_b || o.adjoint_b));
}

namespace layers {
Tensor dense(const Tensor& inputs, int64_t units, const DenseV1Options& o) {
  if (units <= 0) throw ValueError(ErrorText{.what = "layers.dense: units must be positive", .received = std::to_string(units)}.str());
  if (inputs.rank() < 2) throw ValueError(ErrorText{.what = "layers.dense: the inputs need a batch axis and at least one more", .received = inputs.shape().str()}.str());
  int64_t d = inputs.shape().back();
  if (d < 0) throw ValueError(ErrorText{.what = "layers.dense: the last axis of the inputs must have a size", .received = inputs.shape().str()}.str());
  if (o.reuse && o.name.empty()) throw ValueError("layers.dense: reuse needs the name of the layer whose weights are shared");
  Graph& g = graph();
  std::string name = o.name;
  if (name.empty()) {
    int n = g.layer_names["dense"]++;
    name = n ? fmt::format("dense_{}", n) : "dense";
  }
  variable_scope scope(name, o.reuse);
  Tensor kernel = get_variable("kernel", {d, units}, {.initializer = o.kernel_initializer, .regularizer = o.kernel_regularizer, .constraint = o.kernel_constraint, .trainable = o.trainable});
  Tensor y = backend::dot(inputs, kernel);
  if (o.use_bias)
    y = backend::bias_add(y, get_variable("bias", {units}, {.initializer = o.bias_initializer, .regularizer = o.bias_regularizer, .constraint = o.bias_constraint, .trainable = o.trainable}));
  if (o.activation) {
    core::CallArgs args;
    args.args.emplace_back(y);
    y = core::op_call("Activation", args, [a = o.activation](const core::CallArgs& c) -> Tensors { return {a->call(c.args[0].tensor())}; })[0];
  }
  if (Regularizer r = o.activity_regularizer) g.regularization.push_back(r->call(y));
  return y;
}
}  // namespace layers

Operation global_variables_initializer() {
  Operation op;
  for (const std::string& n : graph().order) {
    const Entry& e = graph().variables[n];
    op.updates.push_back({e.tensor, e.initializer->call(e.tensor.shape(), e.tensor.dtype())});
  }
  return op;
}
Operation assign(const Tensor& variable, const Tensor& value) { return {{backend::update(variable, value)}}; }

Tensor Session::run(const Tensor& fetch, const FeedDict& feeds) { return backend::eval(fetch, feeds); }
Tensors Session::run(const Tensors& fetches, const FeedDict& feeds) { return backend::eval(fetches, feeds); }
void Session::run(const Operation& op, const FeedDict& feeds) {
  Tensors places, values;
  for (const auto& [p, v] : feeds) places.push_back(p), values.push_back(v);
  backend::function(places, {}, op.updates)(values);
}

}  // namespace keras::compat::v1
