// What lives here: replaying losses, metrics, activations, initializers, regularizers and constraints, each at once and compiled.
#include <algorithm>
#include <cmath>

#include <keras/activations.h>
#include <keras/constraints.h>
#include <keras/core/function.h>
#include <keras/initializers.h>
#include <keras/losses.h>
#include <keras/metrics.h>
#include <keras/ops.h>
#include <keras/regularizers.h>

#include "conformance/kinds.h"
#include "core/impl.h"

namespace keras::conformance {

namespace {

Value saved_of(const Folder& folder, const Value& record) {
  return Dict{{"class_name", folder.json().get("class")}, {"config", record.get("config")}};
}

constexpr Tolerance kTight{1e-5, 1e-6};

}  // namespace

void replay_loss(const Folder& folder, const Value& r, Check& check) {
  auto loss = made([&] { return losses::get(saved_of(folder, r)); });
  Tolerance tolerance = folder.tolerance("tolerance"), grad_tolerance = folder.tolerance("grad_tolerance", tolerance);
  Tensor t = folder.tensor(r.get("y_true")), p = folder.tensor(r.get("y_pred")), w = folder.tensor(r.get("sample_weight"));
  Tensor mask = folder.tensor(r.get("y_pred_mask")), want = folder.tensor(r.get("result")), gradient = folder.tensor(r.get("grad_y_pred"));
  auto call = [&](const Tensor& y_true, const Tensor& y_pred) { return (*loss)(y_true, mask ? core::with_mask(y_pred, mask) : y_pred, w); };
  check.part("at once", [&] { check.close(call(t, p), want, tolerance, "result"); });
  check.part("compiled", [&] {
    Function step([&](const Tensors& in) {
      Tensor y = call(in[0], in[1]);
      return gradient ? Tensors{y, gradients(ops::sum(y), Tensors{in[1]})[0]} : Tensors{y};
    });
    Tensors got = step({t, p});
    check.close(got[0], want, tolerance, "result (compiled)");
    if (gradient) check.close(got[1], gradient, grad_tolerance, "gradient of y_pred");
  });
}

namespace {

/// One metric through all events of a record.
struct MetricRun {
  const Folder& folder;
  const Value& record;
  Check& check;
  bool compiled;
  std::shared_ptr<metrics::Metric> metric = made([&] { return metrics::get(saved_of(folder, record)); });
  Tolerance tolerance = folder.tolerance("tolerance");
  std::string how = compiled ? " (compiled)" : "";

  void update(const Value& event) {
    // Mean and Sum take their weights where others take predictions.
    bool reduction = typeid(*metric) == typeid(metrics::Mean) || typeid(*metric) == typeid(metrics::Sum);
    Tensors args(3);
    const List& given = event.get("args").is_list() ? event.get("args").as_list() : event.get("args").get("__tuple__").as_list();
    for (size_t i = 0; i < given.size(); ++i) args.at(i) = folder.tensor(given[i]);
    if (event.get("kwargs").is_dict())
      for (const auto& [key, v] : event.get("kwargs").as_dict())
        args[key == "y_true" || key == "values" ? 0 : key == "y_pred" || reduction ? 1 : 2] = folder.tensor(v);
    if (!compiled) return metric->update_state(args[0], args[1], args[2]);
    Tensors present;
    for (const Tensor& a : args)
      if (a.defined()) present.push_back(a);
    Function step([&](const Tensors& in) {
      Tensors full(3);
      for (size_t k = 0, i = 0; k < 3; ++k)
        if (args[k].defined()) full[k] = in[i++];
      metric->update_state(full[0], full[1], full[2]);
      return Tensors{full[0]};
    });
    step(present);
  }
  Tensor result() const {
    if (!compiled) return metric->result();
    return Function([&](const Tensors&) { return Tensors{metric->result()}; })({})[0];
  }
  void run() {
    int number = 0;
    for (const Value& event : record.get("events").as_list()) {
      const std::string& what = event.get("do").as_string();
      if (what == "reset_state") metric->reset_state();
      if (what == "update_state" || what == "call") update(event);
      if (what == "result" || what == "call") check.close(result(), folder.tensor(event.get("result")), tolerance, "event " + std::to_string(number) + how);
      ++number;
    }
    const List& want = record.get("variables").as_list();
    std::vector<Variable> mine = metric->variables();
    check.equal(mine.size(), want.size(), "number of variables" + how);
    for (size_t i = 0; i < std::min(mine.size(), want.size()); ++i) {
      const std::string& name = want[i].get("name").as_string();
      check.equal(mine[i].name(), name, "name of variable " + std::to_string(i));
      check.close(mine[i].value(), folder.tensor(want[i].get("value")), tolerance, "variable " + name + how);
    }
  }
};

}  // namespace

void replay_metric(const Folder& folder, const Value& r, Check& check) {
  for (bool compiled : {false, true}) check.part(compiled ? "compiled" : "at once", [&] { MetricRun{folder, r, check, compiled}.run(); });
}

namespace {

/// A function of keras::activations with keyword arguments.
Tensor activation(const std::string& name, const Tensor& x, const Dict& k) {
  using namespace activations;
  if (k.empty()) return made([&] { return ActivationSpec(name).object(); })->call(x);
  auto number = [&](const char* key, double otherwise) { return k.contains(key) ? conformance::number(k.at(key)) : otherwise; };
  if (name == "relu") {
    const Value* max = k.find("max_value");
    return relu(x, number("negative_slope", 0), max && !max->is_null() ? std::optional<double>(max->as_float()) : std::nullopt, number("threshold", 0));
  }
  if (name == "threshold") return threshold(x, number("threshold", 0), number("default_value", 0));
  if (name == "leaky_relu") return leaky_relu(x, number("negative_slope", 0.2));
  if (name == "elu") return elu(x, number("alpha", 1));
  if (name == "celu") return celu(x, number("alpha", 1));
  if (name == "gelu") return gelu(x, k.at("approximate").as_bool());
  if (name == "squareplus") return squareplus(x, number("b", 4));
  if (name == "soft_shrink") return soft_shrink(x, number("threshold", 0.5));
  if (name == "hard_shrink") return hard_shrink(x, number("threshold", 0.5));
  int axis = static_cast<int>(number("axis", -1));
  if (name == "softmax") return softmax(x, axis);
  if (name == "log_softmax") return log_softmax(x, axis);
  if (name == "sparsemax") return sparsemax(x, axis);
  if (name == "glu") return glu(x, axis);
  throw Unsupported(name + " with " + Value(k).str());
}

}  // namespace

void replay_activation(const Folder& folder, const Value& r, Check& check) {
  std::string name = folder.json().get("function").as_string();
  name = name.substr(name.rfind('.') + 1);
  auto stored = [&](const char* field) { return folder.stored(r.get(field).as_string()); };
  Tolerance tolerance = folder.tolerance("tolerance", kTight), grad_tolerance = folder.tolerance("grad_tolerance", tolerance);
  Tensor x = stored("x"), cotangent = stored("cot");
  const Dict& kwargs = r.get("kwargs").as_dict();
  check.part("at once", [&] {
    GradientTape tape;
    tape.watch(x);
    Tensor y = activation(name, x, kwargs);
    check.close(y, stored("y"), tolerance, "y");
    check.close(tape.gradient(ops::sum(y * cotangent), x), stored("grad_x"), grad_tolerance, "gradient of x");
  });
  check.part("compiled", [&] {
    Function step([&](const Tensors& in) {
      Tensor y = activation(name, in[0], kwargs);
      return Tensors{y, gradients(ops::sum(y * cotangent), Tensors{in[0]})[0]};
    });
    Tensors got = step({x});
    check.close(got[0], stored("y"), tolerance, "y (compiled)");
    // The records were made call by call; where a kernel does several, products are added unrounded, which the gradient of gelu's tail shows.
    check.close(got[1], stored("grad_x"), {std::max(grad_tolerance.rtol, 1e-4), std::max(grad_tolerance.atol, 1e-5)}, "gradient of x (compiled)");
  });
}

namespace {

/// Largest departure of the rows' (or columns') products from gain² times the identity.
double gram_error(const std::vector<double>& v, size_t cols, double gain) {
  size_t rows = v.size() / cols;
  bool wide = rows < cols;
  double worst = 0;
  for (size_t a = 0; a < std::min(rows, cols); ++a)
    for (size_t b = 0; b <= a; ++b) {
      double sum = 0;
      for (size_t i = 0; i < std::max(rows, cols); ++i) sum += wide ? v[a * cols + i] * v[b * cols + i] : v[i * cols + a] * v[i * cols + b];
      worst = std::max(worst, std::abs(sum - (a == b ? gain * gain : 0)));
    }
  return worst;
}

}  // namespace

void replay_initializer(const Folder& folder, const Value& r, Check& check) {
  auto init = made([&] { return Initializer(saved_of(folder, r)).object(); });
  Shape shape = r.get("shape").as_shape();
  if (folder.json().get("deterministic").as_bool()) {
    DType dtype = dtype_from_name(r.get("dtype").as_string());
    Tensor want = folder.stored(r.get("value").as_string());
    // Keras leaves the gain out of this class' configuration, so a record with another gain can't be made again.
    if (folder.json().get("class") == Value("Identity") && r.get("config").get("gain").is_null() && want.numel() && want.to_vector<double>()[0] != 1)
      throw Unsupported("Identity whose configuration lacks its gain");
    return check.close(Initializer(init)(shape, dtype), want, folder.tolerance("tolerance", {1e-6, 1e-7}), "value");
  }
  Tensor t = Initializer(init)(shape);
  std::vector<double> v = t.to_vector<double>();
  double n = static_cast<double>(v.size()), mean = 0, square = 0;
  for (double x : v) mean += x / n;
  for (double x : v) square += (x - mean) * (x - mean) / n;
  double want_mean = number(r.get("mean")), want_std = number(r.get("std"));
  if (!r.get("config").get("seed").is_null()) {
    // Largest and smallest come from the steep ends of the curves.
    constexpr Tolerance kDraw{2e-6, 1e-6};
    check.close(mean, want_mean, kDraw, "mean");
    check.close(std::sqrt(square), want_std, kDraw, "std");
    check.close(*std::min_element(v.begin(), v.end()), number(r.get("min")), kDraw, "min");
    check.close(*std::max_element(v.begin(), v.end()), number(r.get("max")), kDraw, "max");
  } else {
    check.close(mean, want_mean, {0, 8 * want_std / std::sqrt(n)}, "mean of another draw");
    check.close(std::sqrt(square), want_std, {std::max(0.05, 8 / std::sqrt(n)), 0}, "std of another draw");
  }
  if (const Value& error = r.get("gram_is_gain_squared_identity_max_error"); !error.is_null()) {
    const Value& gain = r.get("config").get("gain");
    double got = gram_error(v, static_cast<size_t>(shape.back()), gain.is_number() ? gain.as_float() : 1);
    check.that(got <= std::max(2e-6, 4 * error.as_float()), "error of the Gram matrix: " + std::to_string(got));
  }
}

void replay_regularizer(const Folder& folder, const Value& r, Check& check) {
  auto object = Regularizer(made([&] { return Regularizer(saved_of(folder, r)).object(); }));
  Tolerance tolerance = folder.tolerance("tolerance", kTight);
  Tensor w = folder.stored(r.get("w").as_string());
  Function step([&](const Tensors& in) {
    Tensor y = object(in[0]);
    return Tensors{y, gradients(y, Tensors{in[0]})[0]};
  });
  check.part("at once", [&] { check.close(object(w).item(), number(r.get("value")), tolerance, "value"); });
  check.part("compiled", [&] {
    Tensors got = step({w});
    check.close(got[0].item(), number(r.get("value")), tolerance, "value (compiled)");
    check.close(got[1], folder.stored(r.get("grad_w").as_string()), tolerance, "gradient of w");
  });
}

void replay_constraint(const Folder& folder, const Value& r, Check& check) {
  auto object = Constraint(made([&] { return Constraint(saved_of(folder, r)).object(); }));
  Tolerance tolerance = folder.tolerance("tolerance", kTight);
  Tensor w = folder.stored(r.get("w").as_string()), want = folder.stored(r.get("y").as_string());
  check.part("at once", [&] { check.close(object(w), want, tolerance, "y"); });
  check.part("compiled", [&] { check.close(Function([&](const Tensors& in) { return Tensors{object(in[0])}; })({w})[0], want, tolerance, "y (compiled)"); });
}

}  // namespace keras::conformance
