// What lives here: tests of optimizers and schedules: values recorded from Keras, eagerly and through compiled steps; configurations;
// errors.
#include <gtest/gtest.h>

#include <sstream>

#include <keras/base/warning.h>
#include <keras/core/function.h>
#include <keras/ops.h>
#include <keras/optimizers.h>

#include "support/recorded.h"

namespace keras::optimizers {
namespace {

// How a step is run.
enum class Mode { Eager, Compiled };

class Stepper {
 public:
  Stepper(std::shared_ptr<Optimizer> optimizer, std::vector<Variable> variables, Mode mode)
      : optimizer_(std::move(optimizer)), vars_(std::move(variables)) {
    if (mode == Mode::Compiled)
      step_ = Function([this](const Tensors& grads) -> Tensors {
        optimizer_->apply(grads, vars_);
        return {optimizer_->iterations().value()};
      });
  }
  void operator()(const Tensors& grads) {
    if (step_) {
      step_(grads);
    } else {
      optimizer_->apply(grads, vars_);
    }
  }

 private:
  std::shared_ptr<Optimizer> optimizer_;
  std::vector<Variable> vars_;
  Function step_;
};

std::string key(const std::string& pattern, int64_t step, size_t var) {
  std::string k = pattern;
  auto put = [&](const std::string& what, const std::string& number) {
    if (size_t at = k.find(what); at != std::string::npos) k.replace(at, what.size(), number);
  };
  put("<step>", std::to_string(step));
  put("<var>", std::to_string(var));
  return k;
}

Value saved(const std::string& class_name, const Value& config) {
  return Dict{{"module", "keras.optimizers"}, {"class_name", class_name}, {"config", config}, {"registered_name", Value()}};
}

// Keras numbers variables without names over the whole process.
bool has_own_name(const std::string& path) { return path.rfind("variable", 0) != 0; }

void check_record(const test::Case& c, const Value& r, Mode mode) {
  const double rtol = c.tolerance("rtol", 1e-4), atol = c.tolerance("atol", 1e-5);
  Value object = saved(c.json.get("class").as_string(), r.get("config"));
  std::shared_ptr<Optimizer> opt = Optimizer::get(object);
  EXPECT_EQ(opt->get_config(), r.get("config").as_dict()) << Value(opt->get_config()).str();
  EXPECT_EQ(opt->serialize(), object);
  EXPECT_EQ(Optimizer::get(opt->serialize())->serialize(), object);

  std::vector<Variable> vars;
  for (const Value& v : r.get("variables").as_list())
    vars.emplace_back(c.tensor(v.get("key")), VariableOptions{.name = v.get("name").as_string()});
  opt->build(vars);
  EXPECT_TRUE(opt->built());
  auto tensor = [&](const std::string& k) { return c.tensor(Value(k)); };
  auto check_slots = [&](const char* which) {
    const Value& slots = r.get(which);
    if (slots.is_null()) return;
    std::vector<Variable> state = opt->variables();
    ASSERT_EQ(state.size(), slots.as_list().size());
    for (size_t i = 0; i < state.size(); ++i) {
      const Value& s = slots.as_list()[i];
      std::string path = s.get("path").as_string();
      SCOPED_TRACE(std::string(which) + " " + path);
      EXPECT_TRUE(!has_own_name(path) || state[i].path() == path) << state[i].path();
      test::expect_close(state[i].value(), tensor(s.get("key").as_string()), rtol, atol);
    }
  };
  check_slots("slots_initial");

  Stepper step(opt, vars, mode);
  const Value& rates = r.get("learning_rates_before_step");
  const Value& scales = r.get("scale_before_step");
  for (int64_t k = 0; k < r.get("steps").as_int(); ++k) {
    SCOPED_TRACE("step " + std::to_string(k));
    if (rates.is_list()) { EXPECT_NEAR(opt->learning_rate().item(), rates.as_list()[static_cast<size_t>(k)].as_float(), 1e-6); }
    if (scales.is_list()) { EXPECT_EQ(opt->scale_loss(Tensor::full({}, 1)).item(), scales.as_list()[static_cast<size_t>(k)].as_float()); }
    Tensors grads;
    for (size_t i = 0; i < vars.size(); ++i) grads.push_back(tensor(key(r.get("grads").as_string(), k, i)));
    step(grads);
    for (size_t i = 0; i < vars.size(); ++i) {
      SCOPED_TRACE("variable " + vars[i].path());
      test::expect_close(vars[i].value(), tensor(key(r.get("values").as_string(), k, i)), rtol, atol);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  check_slots("slots_final");
  if (r.get("finalized").is_string()) {
    opt->finalize_variable_values(vars);
    for (size_t i = 0; i < vars.size(); ++i)
      test::expect_close(vars[i].value(), tensor(key(r.get("finalized").as_string(), 0, i)), rtol, atol);
  }
}

class Recorded : public testing::TestWithParam<Mode> {};

TEST_P(Recorded, Optimizers) {
  if (test::corpus().empty()) GTEST_SKIP() << "the recorded values are not here";
  int variants = 0;
  int count = test::each_record("optimizers", [&](const test::Case& c, const Value& r) {
    if (!r.get("variant").is_null()) {
      ++variants;
      return;
    }
    check_record(c, r, GetParam());
  });
  RecordProperty("records", count - variants);
  EXPECT_GT(count, variants);
}

TEST_P(Recorded, Schedules) {
  if (test::corpus().empty()) GTEST_SKIP() << "the recorded values are not here";
  int count = test::each_record("schedules", [&](const test::Case& c, const Value& r) {
    Value object = serial::object("keras.optimizers.schedules", c.json.get("class").as_string(), r.get("config").as_dict());
    auto schedule = schedules::deserialize(object);
    EXPECT_EQ(schedule->serialize(), object) << schedule->serialize().str();
    Function compiled([&](const Tensors& in) -> Tensors { return {schedule->call(in[0])}; });
    const List &steps = r.get("steps").as_list(), &values = r.get("values").as_list();
    for (size_t i = 0; i < steps.size(); ++i) {
      Tensor step = Tensor::full({}, steps[i].as_float(), DType::Int32);
      Tensor got = GetParam() == Mode::Compiled ? compiled({step})[0] : schedule->call(step);
      double want = values[i].as_float();
      EXPECT_LE(std::abs(got.item() - want), c.tolerance("atol", 1e-7) + c.tolerance("rtol", 1e-5) * std::abs(want))
          << "step " << steps[i].str();
    }
  });
  EXPECT_GT(count, 0);
}

// Values of Keras 3.15.1 for what is not recorded.
struct Two {
  std::vector<Variable> vars;
  Two() : vars{Variable(Tensor{1.0, -2.0, 3.0}, {.name = "a"}), Variable(Tensor{{0.5, -0.25}, {2.0, 1.0}}, {.name = "b"})} {}
  void train(const std::shared_ptr<Optimizer>& opt, Mode mode, int steps = 4) {
    Stepper step(opt, vars, mode);
    for (int k = 0; k < steps; ++k) step({Tensor{0.1 * (k + 1), -0.3, 0.2}, Tensor{{0.4, -0.1 * k}, {0.05, 0.3}}});
  }
  void expect(const std::vector<double>& a, const std::vector<double>& b) const {
    test::expect_close(vars[0].value(), Tensor::from(a, {3}).astype(DType::Float32), 1e-5, 1e-6);
    test::expect_close(vars[1].value(), Tensor::from(b, {2, 2}).astype(DType::Float32), 1e-5, 1e-6);
  }
};

TEST_P(Recorded, ScheduleFreeAdamW) {
  Two t;
  t.train(std::make_shared<ScheduleFreeAdamW>(ScheduleFreeAdamWOptions{.learning_rate = 0.1, .warmup_steps = 3, .weight_decay = 0.01}),
          GetParam());
  t.expect({0.7761749625205994, -1.82463538646698, 2.823136806488037},
           {0.32688385248184204, -0.03943821042776108, 1.82463538646698, 0.8261343836784363});
}

TEST_P(Recorded, MultiOptimizer) {
  Two t;
  auto opt = std::make_shared<MultiOptimizer>(OptimizerMap(SGD({.learning_rate = 0.1}), {{"b", Adam({.learning_rate = 0.1})}}),
                                              MultiOptimizerOptions{.loss_scale_factor = 2.0});
  t.train(opt, GetParam());
  t.expect({0.9500000476837158, -1.940000057220459, 2.9600000381469727},
           {0.10000741481781006, -0.0055901482701301575, 1.6000382900238037, 0.6000088453292847});
  EXPECT_EQ(opt->variables().size(), 8u);
  EXPECT_EQ(opt->variables()[5].name(), "b_velocity");
  EXPECT_EQ(opt->iterations().value().item(), 4);
  EXPECT_EQ(Optimizer::get(opt->serialize())->serialize(), opt->serialize());
  EXPECT_THROW(opt->learning_rate(), RuntimeError);
  EXPECT_THROW(OptimizerMap{OptimizerSpec(LossScaleOptimizer("adam"))}, ValueError);
}

TEST_P(Recorded, AveragesAndAccumulationTogether) {
  Two t;
  auto opt = std::make_shared<SGD>(SGDOptions{
      .learning_rate = 0.1, .use_ema = true, .ema_momentum = 0.5, .ema_overwrite_frequency = 2, .gradient_accumulation_steps = 2});
  t.train(opt, GetParam());
  t.expect({0.9674999713897705, -1.9550000429153442, 2.9700000286102295},
           {0.4399999976158142, -0.23250000178813934, 1.9925000667572021, 0.9550000429153442});
  EXPECT_EQ(opt->iterations().value().item(), 4);
  EXPECT_EQ(opt->update_count().item(), 2);
}

TEST_P(Recorded, RestartsOfGrowingLength) {
  Two t;
  auto opt = std::make_shared<Adam>(AdamOptions{
      .learning_rate = schedules::CosineDecayRestarts({.initial_learning_rate = 0.1, .first_decay_steps = 3, .t_mul = 1.5, .m_mul = 0.9})});
  t.train(opt, GetParam());
  t.expect({0.7172316312789917, -1.7100046873092651, 2.710005760192871},
           {0.21000409126281738, -0.09504514932632446, 1.710015892982483, 0.7100046277046204});
  EXPECT_EQ(opt->variables().size(), 5u);  // no learning rate among them
}

TEST_P(Recorded, LossScaleSkipsWhatIsNotFinite) {
  Two t;
  auto inner = std::make_shared<SGD>(SGDOptions{.learning_rate = 0.5, .momentum = 0.9, .loss_scale_factor = 8.0});
  auto opt = std::make_shared<LossScaleOptimizer>(inner, LossScaleOptimizerOptions{.initial_scale = 4, .dynamic_growth_steps = 2});
  EXPECT_FALSE(inner->base_options().loss_scale_factor);
  EXPECT_EQ(opt->scale_loss(Tensor::full({}, 3)).item(), 12);
  Stepper step(opt, t.vars, GetParam());
  const double inf = std::numeric_limits<double>::infinity();
  auto grads = [](double g) { return Tensors{Tensor{g, g, g}, Tensor{{g, g}, {g, g}}}; };
  step(grads(4));
  EXPECT_NEAR(t.vars[0].value().row(0).item(), 0.5, 1e-6);
  step(grads(inf));
  EXPECT_NEAR(t.vars[0].value().row(0).item(), 0.5, 1e-6);
  EXPECT_EQ(opt->dynamic_scale().item(), 2);
  EXPECT_EQ(opt->iterations().value().item(), 1);
  step(grads(2));
  step(grads(2));
  EXPECT_EQ(opt->dynamic_scale().item(), 4);
  EXPECT_EQ(opt->iterations().value().item(), 3);
  EXPECT_EQ(opt->variables().size(), 8u);
}

TEST_P(Recorded, ConstraintsFollowTheUpdate) {
  Variable v(Tensor{0.1, 0.2}, {.name = "w"});
  v.set_constraint([](const Tensor& x) { return ops::maximum(x, 0.0); });
  auto opt = std::make_shared<SGD>(SGDOptions{.learning_rate = 1});
  Stepper step(opt, {v}, GetParam());
  step({Tensor{1.0, 0.1}});
  test::expect_close(v.value(), Tensor{0.0, 0.1}, 1e-6, 1e-6);
}

TEST_P(Recorded, SetLearningRateHoldsInTheNextStep) {
  Variable v(Tensor{1.0}, {.name = "w"});
  auto opt = std::make_shared<SGD>(SGDOptions{.learning_rate = 0.5});
  Stepper step(opt, {v}, GetParam());
  step({Tensor{1.0}});
  opt->set_learning_rate(0.25);
  step({Tensor{1.0}});
  EXPECT_NEAR(v.value().item(), 0.25, 1e-6);
  EXPECT_EQ(opt->get_config().at("learning_rate").as_float(), 0.25);
}

INSTANTIATE_TEST_SUITE_P(Modes, Recorded, testing::Values(Mode::Eager, Mode::Compiled),
                         [](const auto& info) { return info.param == Mode::Eager ? "Eager" : "Compiled"; });

TEST(Schedules, ValuesOfKeras) {
  auto check = [](const schedules::LearningRateSchedule& s, const std::vector<double>& want) {
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(s(Tensor(static_cast<int>(i))).item(), want[i], 1e-6) << s.class_name() << " " << i;
  };
  check(schedules::CosineDecayRestarts({.initial_learning_rate = 0.1, .first_decay_steps = 3, .t_mul = 1.5, .m_mul = 0.9}),
        {0.10000000149011612, 0.07500000298023224, 0.02499999664723873, 0.08999999612569809, 0.07947199791669846, 0.052814166992902756,
         0.022499997168779373, 0.0027138323057442904, 0.07990831136703491, 0.07152479141950607, 0.05654123052954674, 0.038145121186971664});
  check(schedules::PolynomialDecay({.initial_learning_rate = 0.1, .decay_steps = 3, .power = 2.0, .cycle = true}),
        {0.10000000149011612, 0.044499997049570084, 0.011199998669326305, 9.999999747378752e-05, 0.011199998669326305,
         0.0028750007040798664, 9.999999747378752e-05, 0.005033332388848066});
  check(schedules::CosineDecay({.initial_learning_rate = 0.1, .decay_steps = 3, .alpha = 0.1, .warmup_target = 0.3, .warmup_steps = 2}),
        {0.10000000149011612, 0.20000001788139343, 0.30000001192092896, 0.23250000178813934, 0.09749998897314072, 0.030000001192092896,
         0.030000001192092896});
}

TEST(Schedules, Errors) {
  EXPECT_THROW(schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 0, .decay_rate = 0.9}), ValueError);
  EXPECT_THROW(schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 5}), ValueError);
  EXPECT_THROW(schedules::PiecewiseConstantDecay({.boundaries = {1, 2}, .values = {0.1, 0.2}}), ValueError);
  try {
    schedules::deserialize(Dict{{"class_name", "ExponentialDecai"}, {"config", Dict{}}});
    FAIL();
  } catch (const ValueError& e) { EXPECT_NE(std::string(e.what()).find("ExponentialDecay"), std::string::npos) << e.what(); }
}

// ---- configurations and names
TEST(Optimizers, DefaultsAsKerasSavesThem) {
  Dict adam = Adam({.name = "adam"}).get_config();
  EXPECT_EQ(Value(adam).str(), Value(Dict{{"name", "adam"},
                                          {"learning_rate", 0.0010000000474974513},
                                          {"weight_decay", Value()},
                                          {"clipnorm", Value()},
                                          {"global_clipnorm", Value()},
                                          {"clipvalue", Value()},
                                          {"use_ema", false},
                                          {"ema_momentum", 0.99},
                                          {"ema_overwrite_frequency", Value()},
                                          {"loss_scale_factor", Value()},
                                          {"gradient_accumulation_steps", Value()},
                                          {"beta_1", 0.9},
                                          {"beta_2", 0.999},
                                          {"epsilon", 1e-7},
                                          {"amsgrad", false}})
                                   .str());
  EXPECT_EQ(Muon({.name = "muon"}).get_config().keys().back(), "rms_rate");
  EXPECT_EQ(Muon().get_config().at("adam_lr_ratio"), Value(1));
  EXPECT_EQ(ScheduleFreeAdamW().get_config().at("warmup_steps"), Value(0));
}

TEST(Optimizers, NamesInAnyCase) {
  for (const char* name : {"adam", "Adam", "RMSPROP", "sgd", "adamw", "nadam", "muon", "lamb", "schedulefreeadamw"}) {
    auto o = Optimizer::get(name);
    EXPECT_EQ(Optimizer::get(o->serialize())->serialize(), o->serialize());
  }
  EXPECT_EQ(Optimizer::get("rmsprop")->name().rfind("rm_sprop", 0), 0u);
  EXPECT_EQ(Optimizer::get(Value()), nullptr);
  try {
    Optimizer::get("adan");
    FAIL();
  } catch (const ValueError& e) { EXPECT_NE(std::string(e.what()).find("did you mean 'Adam'"), std::string::npos) << e.what(); }
  EXPECT_THROW(Optimizer::get(saved("Adam", Dict{{"beta1", 0.5}})), ValueError);
  EXPECT_THROW(Optimizer::get(saved("Adam", Dict{{"beta_1", "x"}})), ValueError);
  EXPECT_EQ(Optimizer::get(saved("SGD", Dict{{"learning_rate", 1}, {"name", Value()}}))->get_config().at("learning_rate"), Value(1.0));
}

TEST(Optimizers, OptionsThatContradict) {
  EXPECT_THROW(Adam({.clipnorm = 1.0, .clipvalue = 1.0}), ValueError);
  EXPECT_THROW(Adam({.use_ema = true, .ema_momentum = 1.5}), ValueError);
  EXPECT_THROW(Adam({.gradient_accumulation_steps = 1}), ValueError);
  EXPECT_THROW(SGD({.momentum = 2}), ValueError);
  EXPECT_THROW(Lion({.beta_1 = 0}), ValueError);
  EXPECT_THROW(Ftrl({.learning_rate_power = 0.5}), ValueError);
  EXPECT_THROW(AdamW({.weight_decay = std::nullopt}), ValueError);
}

TEST(Optimizers, CallsThatDontFit) {
  Two t;
  SGD sgd({.learning_rate = 0.1});
  EXPECT_THROW(sgd.apply({Tensor{1.0}}), ValueError);
  sgd.build(t.vars);
  EXPECT_THROW(sgd.apply({Tensor{1.0, 1.0, 1.0}}, t.vars), ValueError);
  EXPECT_THROW(sgd.apply({Tensor{1.0}}, {Variable(Tensor{1.0})}), ValueError);
  EXPECT_THROW(sgd.apply({Tensor{1.0}, Tensor{1.0}}, t.vars), ValueError);
  EXPECT_THROW(sgd.apply({Tensor(), Tensor()}, t.vars), ValueError);
  EXPECT_THROW(sgd.exclude_from_weight_decay({}, {"bias"}), ValueError);
  EXPECT_THROW(sgd.set_weights({Tensor{1.0}}), ValueError);
  EXPECT_THROW(SGD({.learning_rate = [](const Tensor&) { return Tensor(0.1); }}).get_config(), ValueError);
}

TEST(Optimizers, VariablesWithoutGradientStay) {
  Two t;
  std::string warning;
  WarningHandler before = set_warning_handler([&](const std::string& w) { warning = w; });
  SGD sgd({.learning_rate = 1.0});
  sgd.apply({Tensor(), Tensor{{1.0, 1.0}, {1.0, 1.0}}}, t.vars);
  set_warning_handler(before);
  EXPECT_NE(warning.find("a"), std::string::npos);
  t.expect({1, -2, 3}, {-0.5, -1.25, 1, 0});
}

TEST(Optimizers, WeightDecayLeavesOutWhatIsExcluded) {
  Two t;
  SGD sgd({.learning_rate = 0.5, .weight_decay = 0.5});
  sgd.exclude_from_weight_decay({}, {"^b$"});
  sgd.apply({Tensor{0.0, 0.0, 0.0}, Tensor{{0.0, 0.0}, {0.0, 0.0}}}, t.vars);
  t.expect({0.75, -1.5, 2.25}, {0.5, -0.25, 2, 1});
}

TEST(Optimizers, SchedulesAndNumbersExchanged) {
  Adam adam({.learning_rate = 0.5});
  EXPECT_EQ(adam.variables().size(), 2u);
  adam.set_learning_rate(schedules::InverseTimeDecay({.initial_learning_rate = 0.2, .decay_steps = 4, .decay_rate = 0.5}));
  EXPECT_EQ(adam.variables().size(), 1u);
  EXPECT_FALSE(adam.learning_rate_variable());
  EXPECT_NEAR(adam.learning_rate().item(), 0.2, 1e-7);
  EXPECT_THROW(adam.set_learning_rate(0.1), TypeError);
}

struct SignSGD : Optimizer {
  SignSGD() : Optimizer({.learning_rate = 0.01}) {}
  void build(const std::vector<Variable>& variables) override {
    Optimizer::build(variables);
    add_slots(variables, "momentum");
  }
  void update_step(const Tensor& g, const Variable& v, const Tensor& lr) override {
    Variable m = slot("momentum", v);
    m.assign(0.9 * m + 0.1 * g);
    v.assign_sub(lr * ops::sign(m));
  }
};

TEST(Optimizers, OnesOwnClass) {
  register_optimizer<SignSGD>("tests>SignSGD");
  OptimizerSpec spec = SignSGD();
  Value saved = spec.serialize();
  EXPECT_EQ(saved.get("registered_name"), Value("tests>SignSGD"));
  EXPECT_TRUE(saved.get("module").is_null());
  auto again = Optimizer::get(saved);
  EXPECT_NEAR(again->learning_rate().item(), 0.01, 1e-8);
  EXPECT_EQ(Optimizer::get("SignSGD")->class_name(), "SignSGD");
  Two t;
  t.train(again, Mode::Compiled, 1);
  t.expect({0.99, -1.99, 2.99}, {0.49, -0.25, 1.99, 0.99});
  EXPECT_EQ(again->variables()[2].name(), "a_momentum");
}

TEST(Optimizers, CopiesShareTheirState) {
  Adam a({.learning_rate = 0.1, .name = "shared"});
  OptimizerSpec spec = a;
  Two t;
  t.train(spec.object(), Mode::Eager, 2);
  EXPECT_TRUE(a.built());
  EXPECT_EQ(a.iterations().value().item(), 2);
  a.apply({Tensor{0.1, 0.1, 0.1}, Tensor{{0.1, 0.1}, {0.1, 0.1}}}, t.vars);
  EXPECT_EQ(spec->iterations().value().item(), 3);
}

TEST(Optimizers, WeightsInAndOut) {
  Two t;
  Adam a({.learning_rate = 0.1, .name = "first"}), b({.learning_rate = 0.3, .name = "second"});
  a.build(t.vars);
  b.build(t.vars);
  a.apply({Tensor{0.1, 0.1, 0.1}, Tensor{{0.1, 0.1}, {0.1, 0.1}}}, t.vars);
  Tensors weights;
  for (const Variable& v : a.variables()) weights.push_back(v.value());
  b.set_weights(weights);
  for (size_t i = 0; i < weights.size(); ++i) test::expect_close(b.variables()[i].value(), a.variables()[i].value(), 0, 0);
  EXPECT_EQ(a.variables()[2].path(), "first/a_momentum");
}

// ---- the cost of a step
/// How many nodes of a compiled step, clusters counted as one, write arrays of the variable's size.
int passes_over(Optimizer& opt) {
  Variable w(Tensor::full({64, 32}, 1.0), {.name = "w"});
  opt.build({w});
  Function step([&](const Tensors& g) -> Tensors {
    opt.apply(g, {w});
    return {opt.iterations().value()};
  });
  std::istringstream text(step.ir({Tensor::full({64, 32}, 0.1)}));
  int count = 0;
  bool in_body = false;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("}}", 0) == 0) in_body = false;
    bool wide = line.find(" : ") != std::string::npos && line.find("f32[64,32]", line.rfind(" : ")) != std::string::npos;
    if (!in_body && wide) ++count;
    if (line.find("body={") != std::string::npos) in_body = true;
  }
  return count;
}

TEST(Optimizers, AnUpdateIsOnePassOverItsVariable) {
  for (const char* name :
       {"sgd", "rmsprop", "adam", "adamw", "adadelta", "adagrad", "adamax", "nadam", "ftrl", "lion", "schedulefreeadamw"})
    EXPECT_EQ(passes_over(*Optimizer::get(name)), 1) << name;
  Adam decayed(
      {.learning_rate = schedules::CosineDecay({.initial_learning_rate = 0.1, .decay_steps = 10}), .amsgrad = true, .weight_decay = 0.1});
  EXPECT_EQ(passes_over(decayed), 1);
  SGD averaged(
      {.momentum = 0.9, .nesterov = true, .clipvalue = 1.0, .use_ema = true, .ema_overwrite_frequency = 3, .loss_scale_factor = 4.0});
  EXPECT_EQ(passes_over(averaged), 1);
  Adam accumulated({.gradient_accumulation_steps = 4});
  EXPECT_EQ(passes_over(accumulated), 1);
  // A norm must be known before the update starts; it writes no array.
  Adam clipped({.clipnorm = 1.0});
  EXPECT_EQ(passes_over(clipped), 1);
}

}  // namespace
}  // namespace keras::optimizers
