// What lives here: the classic graph: placeholders, variables, evaluation, gradients.
#include <keras/backend.h>
#include <keras/random.h>

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <mutex>

#include "backend/graph.h"
#include "prims/build.h"

namespace keras::backend {

using core::Arg;
using core::CallArgs;
using core::Operation;

namespace {

/// What was never called: its one output is the place itself.
class Source : public Operation {
 public:
  Tensor make(ir::Type type, const std::string& name) {
    name_ = name;
    auto node = std::make_shared<core::Node>();
    node->output_types = {type};
    node->output_names = {name};
    Tensor t = core::make_symbolic(type, name, {shared_from_this(), 0, 0, node});
    node->outputs = {t.impl()};
    nodes_.add(node, true);
    return t;
  }
  Value serialize() const override { throw NotImplementedError("a " + class_name() + " of keras.backend can't be saved in a model; use keras::Input"); }
};
class Placeholder : public Source {
 public:
  std::string class_name() const override { return "Placeholder"; }
  Tensors rerun(const CallArgs&) override {
    throw ValueError(ErrorText{.what = "the placeholder \"" + name_ + "\" was not fed", .expected = "a value of shape " + nodes_[0].output_types[0].shape.str(), .fix = "add it to the feeds"}.str());
  }
};
class VariableRead : public Source {
 public:
  Variable variable;
  std::string class_name() const override { return "Variable"; }
  Tensors rerun(const CallArgs&) override { return {variable.value()}; }
};
/// The gradients of its first argument by the others. Runs in the trace that computed both, so it sees how one came from the others.
class GradientsOf : public Operation {
 public:
  GradientsOf() { name_ = core::unique_name("gradients"); }
  std::string class_name() const override { return "Gradients"; }
  Value serialize() const override { throw NotImplementedError("gradients of keras.backend can't be saved in a model"); }
  Tensors rerun(const CallArgs& args) override {
    Tensor loss = args.args[0].tensor();
    Tensors sources = args.args[1].tensors();
    if (args.any_symbolic()) {
      std::vector<ir::Type> types;
      for (const Tensor& s : sources) types.push_back({s.dtype(), s.shape()});
      return record(args, types, true);
    }
    return ::keras::gradients(loss, sources);
  }
};

DType dtype_or(const std::string& name, DType fallback) { return name.empty() ? fallback : dtype_from_name(name); }

VariableRead& variable_of(const Tensor& t) {
  auto v = t.is_symbolic() ? std::dynamic_pointer_cast<VariableRead>(t.impl()->history.operation) : nullptr;
  if (!v) throw TypeError(ErrorText{.what = "the tensor is no K.variable", .received = t.str()}.str());
  return *v;
}

using Place = std::tuple<const Operation*, int, int>;
Place place(const Tensor& t) {
  const auto& h = t.impl()->history;
  return {h.operation.get(), h.node, h.index};
}

}  // namespace

// Walks the graph backwards from the wanted tensors with a stack of its own, computing each call once.
Tensors run_graph(const Tensors& wanted, const Feeds& feeds) {
  std::map<Place, Tensor> values;
  for (const auto& [at, value] : feeds) {
    if (!at.is_symbolic()) throw TypeError(ErrorText{.what = "only symbolic tensors can be fed", .received = at.str()}.str());
    if (!compatible(at.shape(), value.shape()))
      throw ValueError(ErrorText{.what = "the value fed for \"" + at.name() + "\" has another shape", .expected = at.shape().str(), .received = value.shape().str()}.str());
    values[place(at)] = prims::cast(value, at.dtype());
  }
  auto known = [&](const Tensor& t) { return !t.is_symbolic() || values.count(place(t)); };
  for (const Tensor& w : wanted) {
    std::vector<Tensor> stack{w};
    while (!stack.empty()) {
      Tensor t = stack.back();
      if (known(t)) {
        stack.pop_back();
        continue;
      }
      const auto& h = t.impl()->history;
      if (!h.operation) throw ValueError(ErrorText{.what = "the tensor was not made by any operation", .received = t.str()}.str());
      const CallArgs& args = h.operation->nodes()[static_cast<size_t>(h.node)].args;
      if (h.operation->class_name() == "InputLayer")
        throw ValueError(ErrorText{.what = "the input \"" + h.operation->name() + "\" was not fed", .expected = "a value of shape " + t.shape().str(), .fix = "add it to the feeds"}.str());
      bool ready = true;
      args.each_tensor([&](const Tensor& a) {
        if (!known(a)) stack.push_back(a), ready = false;
      });
      if (!ready) continue;
      Tensors out = h.operation->rerun(args.map_tensors([&](const Tensor& a) { return a.is_symbolic() ? values.at(place(a)) : a; }));
      for (size_t i = 0; i < out.size(); ++i) values[{h.operation.get(), h.node, static_cast<int>(i)}] = out[i];
      stack.pop_back();
    }
  }
  Tensors result;
  for (const Tensor& w : wanted) result.push_back(w.is_symbolic() ? values.at(place(w)) : w);
  return result;
}

Tensor placeholder(const Shape& shape, const PlaceholderOptions& o) {
  auto op = std::make_shared<Placeholder>();
  Shape s = shape;
  if (o.ndim) s = Shape(std::vector<int64_t>(static_cast<size_t>(*o.ndim), None));
  return op->make({dtype_from_name(o.dtype.value_or("float32")), s}, o.name.empty() ? core::unique_name("placeholder") : o.name);
}
Tensor placeholder(const PlaceholderOptions& o) {
  if (!o.ndim) throw ValueError("K.placeholder needs a shape or ndim");
  return placeholder(Shape{}, o);
}
bool is_placeholder(const Tensor& x) { return x.is_symbolic() && std::dynamic_pointer_cast<Placeholder>(x.impl()->history.operation) != nullptr; }

Tensor variable(const Tensor& value, const std::string& dtype, const std::string& name) {
  auto op = std::make_shared<VariableRead>();
  std::string n = name.empty() ? core::unique_name("variable") : name;
  op->variable = Variable(value.astype(dtype_or(dtype, value.dtype())), {.name = n});
  return op->make({op->variable.dtype(), op->variable.shape()}, n);
}
Variable variable_behind(const Tensor& t) { return variable_of(t).variable; }
Tensor variable_tensor(const Variable& v) {
  auto op = std::make_shared<VariableRead>();
  op->variable = v;
  return op->make({v.dtype(), v.shape()}, v.name());
}

Tensor constant(const Tensor& value, const std::string& dtype, const std::optional<Shape>& shape, const std::string&) {
  Tensor t = value.astype(dtype_or(dtype, config::floatx_dtype()));
  return shape ? ops::broadcast_to(t, *shape) : t;
}

static void need_static(const Shape& s, const char* what) {
  if (!s.is_static())
    throw ValueError(ErrorText{.what = std::string(what) + " needs known sizes", .received = s.str(), .fix = std::string(what) + "(K::shape(x)) follows a symbolic tensor"}.str());
}
Tensor zeros(const Shape& shape, const std::string& dtype) {
  need_static(shape, "K::zeros");
  return Tensor::full(shape, 0, dtype_or(dtype, config::floatx_dtype()));
}
Tensor ones(const Shape& shape, const std::string& dtype) {
  need_static(shape, "K::ones");
  return Tensor::full(shape, 1, dtype_or(dtype, config::floatx_dtype()));
}
Tensor eye(int64_t size, const std::string& dtype) { return ops::eye(size, {}, 0, dtype_or(dtype, config::floatx_dtype())); }
static Tensor like(const char* cls, const Tensor& x, double v, DType dtype) {
  CallArgs args;
  args.args.emplace_back(x);
  return core::op_call(cls, args, [v, dtype](const CallArgs& a) -> Tensors {
    const Tensor& t = a.args[0].tensor();
    return {prims::broadcast_to(scalar_like(t, dtype, v), t.shape())};
  })[0];
}
Tensor zeros_like(const Tensor& x, const std::string& dtype) { return like("ZerosLike", x, 0, dtype_or(dtype, x.dtype())); }
Tensor ones_like(const Tensor& x, const std::string& dtype) { return like("OnesLike", x, 1, dtype_or(dtype, x.dtype())); }
SymbolicShape shape(const Tensor& x) { return {x}; }
Tensor ones(const SymbolicShape& s, const std::string& dtype) { return like("OnesLike", s.of, 1, dtype_or(dtype, config::floatx_dtype())); }
Tensor zeros(const SymbolicShape& s, const std::string& dtype) { return like("ZerosLike", s.of, 0, dtype_or(dtype, config::floatx_dtype())); }
Tensor shape_tensor(const Tensor& x) {
  CallArgs args;
  args.args.emplace_back(x);
  return core::op_call("Shape", args, [](const CallArgs& a) -> Tensors {
    const Tensor& t = a.args[0].tensor();
    std::vector<int32_t> v(t.shape().begin(), t.shape().end());
    Tensor numbers = Tensor::from(v, {t.rank()});
    // In a trace the numbers are constants of that trace.
    return {core::current_trace() ? core::current_trace()->wrap(core::current_trace()->lift(numbers)) : numbers};
  })[0];
}

const Shape& int_shape(const Tensor& x) { return x.shape(); }
int ndim(const Tensor& x) { return x.rank(); }
std::string dtype(const Tensor& x) { return dtype_name(x.dtype()); }
int64_t count_params(const Tensor& x) { return x.numel(); }
bool is_keras_tensor(const Tensor& x) { return x.is_symbolic(); }

Tensors eval(const Tensors& xs, const Feeds& feeds) {
  Tensors places, values;
  for (const auto& [p, v] : feeds) places.push_back(p), values.push_back(v);
  return Function([&](const Tensors& in) {
    Feeds traced;
    for (size_t i = 0; i < in.size(); ++i) traced.emplace_back(places[i], in[i]);
    return run_graph(xs, traced);
  })(values);
}
Tensor eval(const Tensor& x, const Feeds& feeds) { return x.is_concrete() ? x : eval(Tensors{x}, feeds)[0]; }
Tensor get_value(const Tensor& x) { return x.is_concrete() ? x : variable_of(x).variable.value(); }
void set_value(const Tensor& variable, const Tensor& value) { variable_of(variable).variable.assign(value); }
Tensors batch_get_value(const Tensors& xs) {
  Tensors out;
  for (const Tensor& x : xs) out.push_back(get_value(x));
  return out;
}

Update update(const Tensor& v, const Tensor& n) {
  variable_of(v);
  return {v, n};
}
Update update_add(const Tensor& v, const Tensor& d) { return update(v, ops::add(v, d)); }
Update update_sub(const Tensor& v, const Tensor& d) { return update(v, ops::subtract(v, d)); }
Update moving_average_update(const Tensor& v, const Tensor& value, double momentum) {
  return update(v, ops::add(ops::multiply(v, momentum), ops::multiply(value, 1.0 - momentum)));
}

FunctionOf::FunctionOf(Tensors inputs, Tensors outputs, std::vector<Update> updates) : inputs_(inputs) {
  for (const Tensor& t : inputs_)
    if (!t.is_symbolic()) throw TypeError(ErrorText{.what = "the inputs of K.function must be placeholders", .received = t.str()}.str());
  run_ = Function([inputs, outputs, updates](const Tensors& values) {
    Feeds feeds;
    for (size_t i = 0; i < values.size(); ++i) feeds.emplace_back(inputs[i], values[i]);
    Tensors wanted = outputs;
    for (const Update& u : updates) wanted.push_back(u.value);
    Tensors got = run_graph(wanted, feeds);
    // All values are computed from the state before, then the state moves.
    for (size_t i = 0; i < updates.size(); ++i) variable_of(updates[i].variable).variable.assign(got[outputs.size() + i]);
    got.resize(outputs.size());
    return got;
  });
}
Tensors FunctionOf::operator()(const Tensors& values) const {
  if (values.size() != inputs_.size())
    throw ValueError(ErrorText{.what = "K.function got another number of values", .expected = std::to_string(inputs_.size()), .received = std::to_string(values.size())}.str());
  return run_(values);
}
FunctionOf function(const Tensors& inputs, const Tensors& outputs, const std::vector<Update>& updates) { return FunctionOf(inputs, outputs, updates); }

Tensors gradients(const Tensor& loss, const Tensors& variables) {
  CallArgs args;
  args.args.emplace_back(loss);
  args.args.emplace_back(variables);
  return std::make_shared<GradientsOf>()->rerun(args);
}

// ---- products
static Tensor frame(const char* cls, const Tensor& x, const Tensor& y, const std::function<Tensor(const Tensor&, const Tensor&)>& f) {
  CallArgs args;
  args.args.emplace_back(x);
  args.args.emplace_back(y);
  return core::op_call(cls, args, [f](const CallArgs& a) -> Tensors { return {f(a.args[0].tensor(), a.args[1].tensor())}; })[0];
}

Tensor dot(const Tensor& x, const Tensor& y) {
  if (x.rank() < 1 || y.rank() < 1) throw ValueError(ErrorText{.what = "K.dot needs tensors of rank 1 or more", .received = x.shape().str() + " and " + y.shape().str()}.str());
  return frame("Dot", x, y, [](const Tensor& a, const Tensor& b) {
    DType t = result_type(a.dtype(), b.dtype());
    return prims::dot(prims::cast(a, t), prims::cast(b, t), {a.rank() - 1}, {std::max(b.rank() - 2, 0)});
  });
}

Tensor batch_dot(const Tensor& x, const Tensor& y, DotAxes axes) {
  int rx = x.rank(), ry = y.rank();
  auto fail = [&](const std::string& what, const std::string& expected, const std::string& fix) {
    std::string given = axes ? fmt::format("axes=[{}, {}], ", axes->first, axes->second) : "";
    throw ValueError(ErrorText{.what = "K.batch_dot: " + what, .expected = expected, .received = given + x.shape().str() + " and " + y.shape().str(), .fix = fix}.str());
  };
  if (rx < 2 || ry < 2) fail("both tensors need rank 2 or more", "a batch axis and at least one more", "");
  if (x.shape()[0] >= 0 && y.shape()[0] >= 0 && x.shape()[0] != y.shape()[0]) fail("the batch sizes differ", "equal sizes on axis 0", "");
  int a = axes ? axes->first : rx - 1, b = axes ? axes->second : ry == 2 ? ry - 1 : ry - 2;
  if (a < 0) a += rx;
  if (b < 0) b += ry;
  if (a == 0 || b == 0)
    fail("the batch axis can't be contracted (axis 0)", "axes from 1 on; they count the batch axis", "if the tensors have no batch axis, add one with K::expand_dims(x, 0)");
  if (a < 0 || a >= rx || b < 0 || b >= ry) fail("an axis is outside the tensor", fmt::format("below {} and {}", rx, ry), "");
  if (x.shape()[a] >= 0 && y.shape()[b] >= 0 && x.shape()[a] != y.shape()[b])
    fail(fmt::format("the sizes to contract differ: {} on axis {} of x, {} on axis {} of y", x.shape()[a], a, y.shape()[b], b), "equal sizes", "");
  return frame("BatchDot", x, y, [a, b](const Tensor& p, const Tensor& q) {
    DType t = result_type(p.dtype(), q.dtype());
    Tensor r = prims::dot(prims::cast(p, t), prims::cast(q, t), {a}, {b}, {0}, {0});
    // Two vectors per sample give a column, as in Keras.
    return p.rank() == 2 && q.rank() == 2 ? prims::reshape(r, Shape{r.shape()[0], 1}) : r;
  });
}

Tensor batch_dot_tf1(const Tensor& x, const Tensor& y, int axis) {
  int rx = x.rank(), ry = y.rank();
  if (rx != ry || rx < 3) throw ValueError(ErrorText{.what = "K.batch_dot_tf1 needs tensors of equal rank 3 or more", .received = x.shape().str() + " and " + y.shape().str()}.str());
  if (rx == 3 && axis == 0) axis = 1;
  bool last = axis == rx - 1;
  return frame("BatchDot", x, y, [last](const Tensor& p, const Tensor& q) {
    prims::Ints batch = prims::iota_axes(p.rank() - 2);
    int64_t c = last ? p.rank() - 1 : p.rank() - 2;
    return prims::dot(p, q, {c}, {c}, batch, batch);
  });
}

Tensor bias_add(const Tensor& x, const Tensor& bias, const std::string& data_format) {
  if (data_format != "channels_last" && data_format != "channels_first")
    throw ValueError(ErrorText{.what = "K.bias_add: data_format is unknown" + did_you_mean(data_format, {"channels_last", "channels_first"}), .expected = "channels_last or channels_first", .received = data_format}.str());
  int rank = x.rank();
  if (bias.rank() != 1 && bias.rank() != rank - 1)
    throw ValueError(ErrorText{.what = "K.bias_add: the bias has a wrong rank", .expected = fmt::format("1, or {} (all axes but the batch)", rank - 1), .received = bias.shape().str()}.str());
  bool first = data_format == "channels_first" && rank > 2;
  return frame("BiasAdd", x, bias, [first](const Tensor& p, const Tensor& q) {
    Tensor b = q;
    int r = p.rank();
    if (first && b.rank() == 1) {
      std::vector<int64_t> s(static_cast<size_t>(r), 1);
      s[1] = b.shape()[0];
      b = prims::reshape(b, Shape(s));
    } else if (first) {  // given with the channels last: they move to the front
      prims::Ints perm{b.rank() - 1};
      for (int i = 0; i + 1 < b.rank(); ++i) perm.push_back(i);
      b = prims::transpose(b, perm);
    }
    return prims::add(p, prims::cast(b, p.dtype()));
  });
}

// ---- old names
Tensor abs(const Tensor& x) { return ops::abs(x); }
Tensor all(const Tensor& x, const Axes& axis, bool keepdims) { return ops::all(x, axis, keepdims); }
Tensor any(const Tensor& x, const Axes& axis, bool keepdims) { return ops::any(x, axis, keepdims); }
Tensor argmax(const Tensor& x, int axis) { return ops::argmax(x, axis); }
Tensor argmin(const Tensor& x, int axis) { return ops::argmin(x, axis); }
Tensor arange(int64_t start, std::optional<int64_t> stop, int64_t step, const std::string& dtype) {
  return ops::arange(start, stop ? std::optional<Number>(Number(*stop)) : std::nullopt, step, dtype_or(dtype, DType::Int32));
}
Tensor batch_flatten(const Tensor& x) { return ops::reshape(x, Shape{x.shape()[0], x.shape().slice(1).numel()}); }
Tensor batch_normalization(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& beta, const Tensor& gamma, int axis, double epsilon) {
  return ops::batch_normalization(x, mean, var, axis, beta, gamma, epsilon);
}
Tensor binary_crossentropy(const Tensor& target, const Tensor& output, bool from_logits) { return ops::binary_crossentropy(target, output, from_logits); }
Tensor categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits, int axis) { return ops::categorical_crossentropy(target, output, from_logits, axis); }
Tensor sparse_categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits, int axis) { return ops::sparse_categorical_crossentropy(target, output, from_logits, axis); }
Tensor cast(const Tensor& x, const std::string& dtype) { return ops::cast(x, dtype_from_name(dtype)); }
Tensor cast_to_floatx(const Tensor& x) { return ops::cast(x, config::floatx_dtype()); }
Tensor clip(const Tensor& x, double lo, double hi) { return ops::clip(x, lo, std::max(lo, hi)); }
Tensor concatenate(const Tensors& xs, int axis) { return ops::concatenate(xs, axis); }
Tensor cos(const Tensor& x) { return ops::cos(x); }
Tensor cumsum(const Tensor& x, int axis) { return ops::cumsum(x, axis); }
Tensor cumprod(const Tensor& x, int axis) { return ops::cumprod(x, axis); }
Tensor dropout(const Tensor& x, double level, const std::optional<Shape>& noise_shape, std::optional<int64_t> seed) {
  return random::dropout(x, level, {.noise_shape = noise_shape, .seed = seed});
}
Tensor elu(const Tensor& x, double alpha) { return ops::elu(x, alpha); }
Tensor equal(const Tensor& x, const Tensor& y) { return ops::equal(x, y); }
Tensor exp(const Tensor& x) { return ops::exp(x); }
Tensor expand_dims(const Tensor& x, int axis) { return ops::expand_dims(x, axis); }
Tensor flatten(const Tensor& x) { return ops::reshape(x, Shape{-1}); }
Tensor gather(const Tensor& reference, const Tensor& indices) { return ops::take(reference, indices, 0); }
Tensor greater(const Tensor& x, const Tensor& y) { return ops::greater(x, y); }
Tensor greater_equal(const Tensor& x, const Tensor& y) { return ops::greater_equal(x, y); }
Tensor hard_sigmoid(const Tensor& x) { return ops::clip(ops::add(ops::multiply(x, 0.2), 0.5), 0.0, 1.0); }
Tensor in_top_k(const Tensor& predictions, const Tensor& targets, int k) { return ops::in_top_k(targets, predictions, k); }
Tensor l2_normalize(const Tensor& x, const Axes& axis) {
  Tensor s = ops::sum(ops::square(x), axis, true);
  return ops::multiply(x, ops::rsqrt(ops::maximum(s, 1e-12)));
}
Tensor less(const Tensor& x, const Tensor& y) { return ops::less(x, y); }
Tensor less_equal(const Tensor& x, const Tensor& y) { return ops::less_equal(x, y); }
Tensor log(const Tensor& x) { return ops::log(x); }
Tensor logsumexp(const Tensor& x, const Axes& axis, bool keepdims) { return ops::logsumexp(x, axis, keepdims); }
Tensor max(const Tensor& x, const Axes& axis, bool keepdims) { return ops::max(x, axis, keepdims); }
Tensor maximum(const Tensor& x, const Tensor& y) { return ops::maximum(x, y); }
Tensor mean(const Tensor& x, const Axes& axis, bool keepdims) { return ops::mean(x, axis, keepdims); }
Tensor min(const Tensor& x, const Axes& axis, bool keepdims) { return ops::min(x, axis, keepdims); }
Tensor minimum(const Tensor& x, const Tensor& y) { return ops::minimum(x, y); }
Tensor not_equal(const Tensor& x, const Tensor& y) { return ops::not_equal(x, y); }
Tensor one_hot(const Tensor& indices, int64_t num_classes) { return ops::one_hot(indices, num_classes); }
Tensor permute_dimensions(const Tensor& x, const std::vector<int>& pattern) { return ops::transpose(x, pattern); }
Tensor pow(const Tensor& x, double a) { return ops::power(x, a); }
Tensor prod(const Tensor& x, const Axes& axis, bool keepdims) { return ops::prod(x, axis, keepdims); }
Tensor random_normal(const Shape& shape, double mean, double stddev, const std::string& dtype, std::optional<int64_t> seed) {
  return random::normal(shape, {.mean = mean, .stddev = stddev, .dtype = dtype_or(dtype, config::floatx_dtype()), .seed = seed});
}
Tensor random_uniform(const Shape& shape, double minval, double maxval, const std::string& dtype, std::optional<int64_t> seed) {
  return random::uniform(shape, {.minval = minval, .maxval = maxval, .dtype = dtype_or(dtype, config::floatx_dtype()), .seed = seed});
}
Tensor random_bernoulli(const Shape& shape, double p, const std::string& dtype, std::optional<int64_t> seed) {
  return ops::cast(random::bernoulli(shape, p, seed), dtype_or(dtype, config::floatx_dtype()));
}
Tensor truncated_normal(const Shape& shape, double mean, double stddev, const std::string& dtype, std::optional<int64_t> seed) {
  return random::truncated_normal(shape, {.mean = mean, .stddev = stddev, .dtype = dtype_or(dtype, config::floatx_dtype()), .seed = seed});
}
Tensor random_normal_variable(const Shape& shape, double mean, double scale, const std::string& dtype, std::optional<int64_t> seed) {
  return variable(random_normal(shape, mean, scale, dtype, seed));
}
Tensor random_uniform_variable(const Shape& shape, double low, double high, const std::string& dtype, std::optional<int64_t> seed) {
  return variable(random_uniform(shape, low, high, dtype, seed));
}
Tensor relu(const Tensor& x, double alpha, std::optional<double> max_value, double threshold) {
  Tensor y = x;
  if (alpha != 0) y = ops::where(ops::greater_equal(x, threshold), x, ops::multiply(ops::subtract(x, threshold), alpha));
  else if (threshold != 0) y = ops::multiply(x, ops::cast(ops::greater(x, threshold), x.dtype()));
  else y = ops::relu(x);
  return max_value ? ops::minimum(y, *max_value) : y;
}
Tensor repeat(const Tensor& x, int64_t n) {
  if (x.rank() != 2) throw ValueError(ErrorText{.what = "K.repeat needs a tensor of rank 2", .received = x.shape().str()}.str());
  return ops::repeat(ops::expand_dims(x, 1), n, 1);
}
Tensor repeat_elements(const Tensor& x, int64_t rep, int axis) { return ops::repeat(x, rep, axis); }
Tensor reshape(const Tensor& x, const Shape& shape) { return ops::reshape(x, shape); }
Tensor reverse(const Tensor& x, const Axes& axes) { return ops::flip(x, axes); }
Tensor round(const Tensor& x) { return ops::round(x); }
Tensor sigmoid(const Tensor& x) { return ops::sigmoid(x); }
Tensor sign(const Tensor& x) { return ops::sign(x); }
Tensor sin(const Tensor& x) { return ops::sin(x); }
Tensor softmax(const Tensor& x, int axis) { return ops::softmax(x, axis); }
Tensor softplus(const Tensor& x) { return ops::softplus(x); }
Tensor softsign(const Tensor& x) { return ops::softsign(x); }
Tensor sqrt(const Tensor& x) { return ops::sqrt(ops::maximum(x, 0)); }
Tensor square(const Tensor& x) { return ops::square(x); }
Tensor squeeze(const Tensor& x, int axis) { return ops::squeeze(x, axis); }
Tensor stack(const Tensors& xs, int axis) { return ops::stack(xs, axis); }
Tensor std(const Tensor& x, const Axes& axis, bool keepdims) { return ops::std(x, axis, keepdims); }
Tensor stop_gradient(const Tensor& x) { return ops::stop_gradient(x); }
Tensor sum(const Tensor& x, const Axes& axis, bool keepdims) { return ops::sum(x, axis, keepdims); }
Tensor switch_(const Tensor& condition, const Tensor& a, const Tensor& b) { return ops::where(condition, a, b); }
Tensor tanh(const Tensor& x) { return ops::tanh(x); }
Tensor temporal_padding(const Tensor& x, std::pair<int64_t, int64_t> p) { return ops::pad(x, {{0, 0}, {p.first, p.second}, {0, 0}}); }
Tensor spatial_2d_padding(const Tensor& x, std::pair<int64_t, int64_t> r, std::pair<int64_t, int64_t> c, const std::string& data_format) {
  if (data_format == "channels_first") return ops::pad(x, {{0, 0}, {0, 0}, r, c});
  return ops::pad(x, {{0, 0}, r, c, {0, 0}});
}
Tensor tile(const Tensor& x, const Sizes& n) { return ops::tile(x, n); }
Tensor transpose(const Tensor& x) { return ops::transpose(x); }
Tensor var(const Tensor& x, const Axes& axis, bool keepdims) { return ops::var(x, axis, keepdims); }
Tensor conv1d(const Tensor& x, const Tensor& kernel, int64_t strides, const std::string& padding, const std::string& data_format, int64_t dilation_rate) {
  if (padding == "causal") {
    int64_t left = dilation_rate * (kernel.shape()[0] - 1);
    return ops::conv(data_format == "channels_first" ? ops::pad(x, {{0, 0}, {0, 0}, {left, 0}}) : temporal_padding(x, {left, 0}), kernel, strides, "valid", data_format, dilation_rate);
  }
  return ops::conv(x, kernel, strides, padding, data_format, dilation_rate);
}
Tensor conv2d(const Tensor& x, const Tensor& kernel, const Sizes& strides, const std::string& padding, const std::string& data_format, const Sizes& dilation_rate) {
  return ops::conv(x, kernel, strides, padding, data_format, dilation_rate);
}
Tensor conv3d(const Tensor& x, const Tensor& kernel, const Sizes& strides, const std::string& padding, const std::string& data_format, const Sizes& dilation_rate) {
  return ops::conv(x, kernel, strides, padding, data_format, dilation_rate);
}
Tensor pool2d(const Tensor& x, const Sizes& pool_size, const Sizes& strides, const std::string& padding, const std::string& data_format, const std::string& pool_mode) {
  if (pool_mode == "max") return ops::max_pool(x, pool_size, strides, padding, data_format);
  if (pool_mode == "avg") return ops::average_pool(x, pool_size, strides, padding, data_format);
  throw ValueError(ErrorText{.what = "K.pool2d: pool_mode is unknown", .expected = "max or avg", .received = pool_mode}.str());
}
Tensor map_fn(const std::function<Tensor(const Tensor&)>& fn, const Tensor& elems) {
  CallArgs args;
  args.args.emplace_back(elems);
  return core::op_call("Map", args, [fn](const CallArgs& a) -> Tensors {
    return core::scan([&](const Tensors&, const Tensors& x) { return std::pair{Tensors{}, Tensors{fn(x[0])}}; }, {}, {a.args[0].tensor()}).ys;
  })[0];
}

std::string standardize_dtype(const std::string& dtype) { return dtype.empty() ? config::floatx() : dtype_name(dtype_from_name(dtype)); }
bool is_float_dtype(const std::string& dtype) { return is_floating(dtype_from_name(standardize_dtype(dtype))); }
bool is_int_dtype(const std::string& dtype) { return is_integer(dtype_from_name(standardize_dtype(dtype))); }
std::string result_type(const std::vector<std::string>& dtypes) {
  if (dtypes.empty()) return config::floatx();
  std::vector<DType> all;
  bool wide = false;
  for (const std::string& d : dtypes) {
    all.push_back(dtype_from_name(standardize_dtype(d)));
    wide = wide || dtype_size(all.back()) == 8;
  }
  DType r = keras::result_type(all);
  // No 64-bit type comes out of narrower ones, as in keras::ops.
  return dtype_name(r == DType::Int64 && !wide ? DType::Int32 : r);
}

namespace {
struct Uids {
  std::mutex mutex;
  std::map<std::string, int64_t> last;
};
Uids& uids() {
  static Uids u;
  return u;
}
}  // namespace
int64_t get_uid(const std::string& prefix) {
  std::lock_guard lock(uids().mutex);
  return ++uids().last[prefix];
}

void clear_session() {
  core::clear_names();
  {
    std::lock_guard lock(uids().mutex);
    uids().last.clear();
  }
  config::clear_session();
}

}  // namespace keras::backend
