// What lives here: replaying optimizers, step by step, and schedules.
#include <algorithm>

#include <keras/core/function.h>
#include <keras/optimizers.h>

#include "conformance/kinds.h"

namespace keras::conformance {

namespace {

std::string key_of(std::string pattern, int64_t step, size_t variable) {
  auto put = [&](const std::string& what, const std::string& number) {
    if (size_t at = pattern.find(what); at != std::string::npos) pattern.replace(at, what.size(), number);
  };
  put("<step>", std::to_string(step));
  put("<var>", std::to_string(variable));
  return pattern;
}

struct OptimizerRun {
  const Folder& folder;
  const Value& r;
  Check& check;
  bool compiled;
  std::shared_ptr<optimizers::Optimizer> optimizer = made([&] {
    return optimizers::get(Dict{{"module", "keras.optimizers"}, {"class_name", folder.json().get("class")}, {"config", r.get("config")}, {"registered_name", Value()}});
  });
  Tolerance tolerance = folder.tolerance("tolerance");
  std::string how = compiled ? " (compiled)" : "";
  std::vector<Variable> variables{};

  void slots(const char* which) {
    if (!r.get(which).is_list()) return;
    const List& want = r.get(which).as_list();
    std::vector<Variable> state = optimizer->variables();
    check.equal(state.size(), want.size(), std::string("number of ") + which);
    for (size_t i = 0; i < std::min(state.size(), want.size()); ++i) {
      const std::string& path = want[i].get("path").as_string();
      // Keras numbers variables without a name over the whole process.
      if (path.rfind("variable", 0) != 0) check.equal(state[i].path(), path, std::string("path in ") + which);
      check.close(state[i].value(), folder.stored(want[i].get("key").as_string()), tolerance, std::string(which) + " " + path + how);
    }
  }
  void values(const char* field, int64_t step, const std::string& when) {
    for (size_t i = 0; i < variables.size(); ++i)
      check.close(variables[i].value(), folder.stored(key_of(r.get(field).as_string(), step, i)), tolerance, variables[i].name() + when + how);
  }
  void scale(const char* field, int64_t step) {
    if (!r.get(field).is_list()) return;
    double want = number(r.get(field).as_list().at(static_cast<size_t>(step)));
    check.close(optimizer->scale_loss(Tensor::full({}, 1)).item(), want, {0, 0}, std::string(field) + " " + std::to_string(step) + how);
  }
  void run() {
    for (const Value& v : r.get("variables").as_list())
      variables.emplace_back(folder.stored(v.get("key").as_string()), VariableOptions{.name = v.get("name").as_string()});
    optimizer->build(variables);
    slots("slots_initial");
    Function step([&](const Tensors& grads) -> Tensors {
      optimizer->apply(grads, variables);
      return {optimizer->iterations().value()};
    });
    for (int64_t k = 0; k < r.get("steps").as_int(); ++k) {
      std::string when = " after step " + std::to_string(k);
      if (const Value& rates = r.get("learning_rates_before_step"); rates.is_list())
        check.close(optimizer->learning_rate().item(), number(rates.as_list().at(static_cast<size_t>(k))), {1e-5, 1e-9}, "learning rate before step " + std::to_string(k));
      scale("scale_before_step", k);
      Tensors grads;
      for (size_t i = 0; i < variables.size(); ++i) grads.push_back(folder.stored(key_of(r.get("grads").as_string(), k, i)));
      if (compiled) {
        step(grads);
      } else {
        optimizer->apply(grads, variables);
      }
      values("values", k, when);
      scale("scale_after_step", k);
    }
    slots("slots_final");
    if (r.get("finalized").is_string()) {
      optimizer->finalize_variable_values(variables);
      values("finalized", 0, " finalized");
    }
  }
};

}  // namespace

void replay_optimizer(const Folder& folder, const Value& r, Check& check) {
  for (bool compiled : {false, true}) check.part(compiled ? "compiled" : "at once", [&] { OptimizerRun{folder, r, check, compiled}.run(); });
}

void replay_schedule(const Folder& folder, const Value& r, Check& check) {
  namespace schedules = optimizers::schedules;
  auto schedule = made([&] {
    return schedules::deserialize(
        Dict{{"module", "keras.optimizers.schedules"}, {"class_name", folder.json().get("class")}, {"config", r.get("config")}, {"registered_name", Value()}});
  });
  Tolerance tolerance = folder.tolerance("tolerance", {1e-5, 1e-7});
  Function compiled([&](const Tensors& in) -> Tensors { return {schedule->call(in[0])}; });
  const List &steps = r.get("steps").as_list(), &values = r.get("values").as_list();
  for (size_t i = 0; i < steps.size(); ++i) {
    Tensor step = Tensor::full({}, steps[i].as_float(), DType::Int32);
    check.close(schedule->call(step).item(), number(values.at(i)), tolerance, "step " + steps[i].str());
    check.close(compiled({step})[0].item(), number(values[i]), tolerance, "step " + steps[i].str() + " (compiled)");
  }
}

}  // namespace keras::conformance
