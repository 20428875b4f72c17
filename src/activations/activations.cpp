// What lives here: keras.activations: thin faces over keras::ops, and how activations are found by name and saved.
#include <mutex>
#include <utility>

#include <keras/activations.h>
#include <keras/ops/core.h>
#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>

#include "core/impl.h"

namespace keras {
namespace activations {

Tensor relu(const Tensor& x) { return ops::relu(x); }
static Tensor relu_parts(const Tensor& x, double slope, std::optional<double> max_value, double threshold) {
  if (slope != 0 && !max_value && threshold == 0) return ops::leaky_relu(x, slope);
  Tensor negative;
  if (slope != 0) negative = ops::relu(threshold != 0 ? ops::negative(x) + Tensor(threshold) : ops::negative(x));
  Tensor y;
  if (threshold != 0) {
    y = ops::where(ops::greater(x, ops::cast(Tensor(threshold), x.dtype())), x, Tensor(0));
    if (max_value) y = ops::clip(y, ops::cast(Tensor(0.0), y.dtype()), ops::cast(Tensor(*max_value), y.dtype()));
  } else if (max_value && *max_value == 6) {
    y = ops::relu6(x);
  } else {
    y = ops::relu(x);
    if (max_value) y = ops::clip(y, ops::cast(Tensor(0.0), y.dtype()), ops::cast(Tensor(*max_value), y.dtype()));
  }
  return slope != 0 ? y - Tensor(slope) * negative : y;
}
Tensor relu(const Tensor& x, double negative_slope, std::optional<double> max_value, double threshold) {
  if (negative_slope == 0 && !max_value && threshold == 0) return ops::relu(x);
  if (!x.is_symbolic()) return relu_parts(x, negative_slope, max_value, threshold);
  // One node in a model's graph, as Keras records it.
  core::CallArgs args{{core::Arg(x)}, {{"negative_slope", Value(negative_slope)}, {"max_value", Value(max_value)}, {"threshold", Value(threshold)}}};
  return core::op_call("ReLU", std::move(args), [=](const core::CallArgs& a) { return Tensors{relu_parts(a.args[0].tensor(), negative_slope, max_value, threshold)}; })[0];
}
Tensor leaky_relu(const Tensor& x) { return ops::leaky_relu(x); }
Tensor leaky_relu(const Tensor& x, double negative_slope) { return ops::leaky_relu(x, negative_slope); }
Tensor relu6(const Tensor& x) { return ops::relu6(x); }
Tensor softmax(const Tensor& x) { return ops::softmax(x, -1); }
Tensor softmax(const Tensor& x, const Axes& axis) { return ops::softmax(x, axis); }
Tensor log_softmax(const Tensor& x) { return ops::log_softmax(x, -1); }
Tensor log_softmax(const Tensor& x, const Axes& axis) { return ops::log_softmax(x, axis); }
Tensor sparsemax(const Tensor& x) { return ops::sparsemax(x); }
Tensor sparsemax(const Tensor& x, int axis) { return ops::sparsemax(x, axis); }
Tensor elu(const Tensor& x) { return ops::elu(x); }
Tensor elu(const Tensor& x, double alpha) { return ops::elu(x, alpha); }
Tensor celu(const Tensor& x) { return ops::celu(x); }
Tensor celu(const Tensor& x, double alpha) { return ops::celu(x, alpha); }
Tensor selu(const Tensor& x) { return ops::selu(x); }
Tensor softplus(const Tensor& x) { return ops::softplus(x); }
Tensor softsign(const Tensor& x) { return ops::softsign(x); }
Tensor soft_shrink(const Tensor& x) { return ops::soft_shrink(x); }
Tensor soft_shrink(const Tensor& x, double threshold) { return ops::soft_shrink(x, threshold); }
Tensor hard_shrink(const Tensor& x) { return ops::hard_shrink(x); }
Tensor hard_shrink(const Tensor& x, double threshold) { return ops::hard_shrink(x, threshold); }
Tensor sparse_plus(const Tensor& x) { return ops::sparse_plus(x); }
Tensor silu(const Tensor& x) { return ops::silu(x); }
Tensor swish(const Tensor& x) { return ops::silu(x); }
Tensor squareplus(const Tensor& x) { return ops::squareplus(x); }
Tensor squareplus(const Tensor& x, double b) { return ops::squareplus(x, b); }
// The op of the same name is approximate unless told otherwise; the activation is not.
Tensor gelu(const Tensor& x) { return ops::gelu(x, false); }
Tensor gelu(const Tensor& x, bool approximate) { return ops::gelu(x, approximate); }
Tensor glu(const Tensor& x) { return ops::glu(x); }
Tensor glu(const Tensor& x, int axis) { return ops::glu(x, axis); }
Tensor tanh(const Tensor& x) { return ops::tanh(x); }
Tensor tanh_shrink(const Tensor& x) { return ops::tanh_shrink(x); }
Tensor hard_tanh(const Tensor& x) { return ops::hard_tanh(x); }
Tensor threshold(const Tensor& x, double threshold, double default_value) { return ops::threshold(x, threshold, default_value); }
Tensor sigmoid(const Tensor& x) { return ops::sigmoid(x); }
Tensor sparse_sigmoid(const Tensor& x) { return ops::sparse_sigmoid(x); }
Tensor hard_sigmoid(const Tensor& x) { return ops::hard_sigmoid(x); }
Tensor log_sigmoid(const Tensor& x) { return ops::log_sigmoid(x); }
Tensor exponential(const Tensor& x) { return ops::exp(x); }
Tensor hard_silu(const Tensor& x) { return ops::hard_silu(x); }
Tensor hard_swish(const Tensor& x) { return ops::hard_silu(x); }
Tensor mish(const Tensor& x) { return x * ops::tanh(ops::softplus(x)); }
Tensor linear(const Tensor& x) { return x; }

}  // namespace activations

namespace {

using Pointer = Tensor (*)(const Tensor&);

Tensor threshold_alone(const Tensor&) {
  throw ValueError(ErrorText{.what = "the activation 'threshold' has no defaults", .fix = "give a function that calls activations::threshold(x, threshold, default_value)"}.str());
}

struct Builtin {
  const char* name;
  Pointer function;
  const char* saved_as;  // the one name of a function that has two
};
const Builtin kBuiltins[] = {
#define BUILTIN(f) {#f, static_cast<Pointer>(activations::f), #f},
    BUILTIN(relu) BUILTIN(leaky_relu) BUILTIN(relu6) BUILTIN(softmax) BUILTIN(celu) BUILTIN(elu) BUILTIN(selu) BUILTIN(softplus) BUILTIN(softsign)
    BUILTIN(squareplus) BUILTIN(soft_shrink) BUILTIN(sparse_plus) BUILTIN(silu) BUILTIN(gelu) BUILTIN(glu) BUILTIN(tanh) BUILTIN(tanh_shrink)
    BUILTIN(sigmoid) BUILTIN(sparse_sigmoid) BUILTIN(exponential) BUILTIN(hard_sigmoid) BUILTIN(hard_silu) BUILTIN(hard_tanh) BUILTIN(hard_shrink)
    BUILTIN(linear) BUILTIN(mish) BUILTIN(log_softmax) BUILTIN(log_sigmoid) BUILTIN(sparsemax)
#undef BUILTIN
    {"swish", static_cast<Pointer>(activations::swish), "silu"}, {"hard_swish", static_cast<Pointer>(activations::hard_swish), "hard_silu"},
    {"threshold", threshold_alone, "threshold"}};

class BuiltinActivation : public ActivationImpl {
 public:
  explicit BuiltinActivation(const Builtin& b) : b_(b) {}
  Tensor call(const Tensor& x) override { return b_.function(x); }
  Value serialize() const override { return b_.saved_as; }
  std::string name() const override { return b_.saved_as; }

 private:
  const Builtin& b_;
};

class RegisteredActivation : public ActivationImpl {
 public:
  RegisteredActivation(std::string name, std::string registered, ActivationSpec::Function f) : name_(std::move(name)), registered_(std::move(registered)), f_(std::move(f)) {}
  Tensor call(const Tensor& x) override { return f_(x); }
  Value serialize() const override {
    return Dict{{"module", "builtins"}, {"class_name", "function"}, {"config", registered_}, {"registered_name", "function"}};
  }
  std::string name() const override { return name_; }
  const std::string& registered() const { return registered_; }
  bool holds(Pointer p) const {
    const Pointer* mine = f_.target<Pointer>();
    return mine && *mine == p;
  }

 private:
  std::string name_, registered_;
  ActivationSpec::Function f_;
};

class CallableActivation : public ActivationImpl {
 public:
  CallableActivation(ActivationSpec::Function f, std::function<Value()> serialize) : f_(std::move(f)), serialize_(std::move(serialize)) {}
  Tensor call(const Tensor& x) override { return f_(x); }
  Value serialize() const override {
    if (serialize_) return serialize_();
    throw ValueError(ErrorText{.what = "an activation that is a function without a name can't be saved",
                               .fix = "call keras::register_activation(\"my_activation\", function) and give \"my_activation\""}.str());
  }

 private:
  ActivationSpec::Function f_;
  std::function<Value()> serialize_;
};

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<RegisteredActivation>> registered;
  std::function<std::shared_ptr<ActivationImpl>(const Value&)> object_reader;
};
Registry& registry() {
  static Registry r;
  return r;
}

std::shared_ptr<ActivationImpl> find(const std::string& name) {
  {
    std::lock_guard lock(registry().mutex);
    for (const auto& a : registry().registered)
      if (a->name() == name || a->registered() == name) return a;
  }
  for (const Builtin& b : kBuiltins)
    if (name == b.name) return std::make_shared<BuiltinActivation>(b);
  return nullptr;
}

}  // namespace

std::shared_ptr<ActivationImpl> ActivationImpl::get(const Value& v) {
  if (v.is_null()) return find("linear");
  std::string name;
  if (v.is_string()) {
    name = v.as_string();
  } else if (v.is_dict() && v.get("class_name").is_string()) {
    name = v.get("config").is_string() ? v.get("config").as_string() : v.get("class_name").as_string();
    std::function<std::shared_ptr<ActivationImpl>(const Value&)> reader;
    {
      std::lock_guard lock(registry().mutex);
      reader = registry().object_reader;
    }
    if (!v.get("config").is_string() && reader)
      if (auto object = reader(v)) return object;
  } else {
    throw ValueError(ErrorText{.what = "this can't be read as an activation", .expected = "a name or a saved configuration", .received = v.str()}.str());
  }
  if (auto found = find(name)) return found;
  throw ValueError(ErrorText{.what = "there is no activation '" + name + "'" + did_you_mean(name, activations::names()),
                             .fix = "one of your own is made known by keras::register_activation(\"" + name + "\", function)"}.str());
}

std::shared_ptr<ActivationImpl> ActivationSpec::from_callable(Function f, std::function<Value()> serialize) {
  if (!f) return nullptr;
  return std::make_shared<CallableActivation>(std::move(f), std::move(serialize));
}
static std::shared_ptr<ActivationImpl> of_pointer(Pointer p) {
  if (!p) return nullptr;
  for (const Builtin& b : kBuiltins)
    if (b.function == p) return std::make_shared<BuiltinActivation>(b);
  {
    std::lock_guard lock(registry().mutex);
    for (const auto& a : registry().registered)
      if (a->holds(p)) return a;
  }
  return std::make_shared<CallableActivation>(p, nullptr);
}
ActivationSpec::ActivationSpec(Tensor (*function)(const Tensor&)) : ActivationSpec(of_pointer(function)) {}

Tensor ActivationSpec::operator()(const Tensor& x) const {
  if (is_none()) return x;
  if (!core::RematActivations::on()) return object()->call(x);
  core::RematRegion region;
  return object()->call(x);
}

void register_activation(const std::string& name, ActivationSpec::Function function, const std::string& package) {
  std::lock_guard lock(registry().mutex);
  auto& all = registry().registered;
  std::erase_if(all, [&](const auto& a) { return a->name() == name; });
  all.push_back(std::make_shared<RegisteredActivation>(name, package + ">" + name, std::move(function)));
}
void set_activation_object_reader(std::function<std::shared_ptr<ActivationImpl>(const Value&)> reader) {
  std::lock_guard lock(registry().mutex);
  registry().object_reader = std::move(reader);
}

namespace activations {
std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Builtin& b : kBuiltins) all.push_back(b.name);
  std::lock_guard lock(registry().mutex);
  for (const auto& a : registry().registered) all.push_back(a->name());
  return all;
}
}  // namespace activations
}  // namespace keras
