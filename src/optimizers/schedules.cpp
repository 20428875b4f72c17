// What lives here: the learning rate schedules. Their registry is in registry.cpp.
#include <keras/optimizers/schedules.h>

#include <cmath>
#include <numbers>

#include "optimizers/optimizer_impl.h"

namespace keras::optimizers {

LearningRate::LearningRate(const Value& saved) {
  if (saved.is_number()) {
    number_ = saved.as_float();
  } else if (saved.is_dict()) {
    schedule_ = Schedule::get(saved);
  } else {
    throw TypeError(
        ErrorText{.what = "this is no learning rate", .expected = "a number, a schedule or a saved schedule", .received = saved.str()}
            .str());
  }
}

double LearningRate::number() const {
  if (schedule_)
    throw ValueError(ErrorText{.what = "the learning rate is a schedule, not a number", .received = schedule_->class_name()}.str());
  return number_;
}

Value LearningRate::serialize() const {
  return schedule_ ? schedule_->serialize() : Value(static_cast<double>(static_cast<float>(number_)));
}

namespace {
/// A callable as a schedule.
class CallableSchedule final : public schedules::LearningRateSchedule {
 public:
  explicit CallableSchedule(std::function<Tensor(const Tensor&)> f) : f_(std::move(f)) {}
  Tensor call(const Tensor& step) const override { return f_(step); }
  Value serialize() const override {
    throw ValueError(ErrorText{.what = "a learning rate that is a callable can't be saved",
                               .fix = "derive a class from schedules::LearningRateSchedule and name it with schedules::register_schedule"}
                         .str());
  }

 private:
  std::function<Tensor(const Tensor&)> f_;
};
}  // namespace

LearningRate LearningRate::of_step(std::function<Tensor(const Tensor&)> f) {
  return LearningRate(std::shared_ptr<Schedule>(std::make_shared<CallableSchedule>(std::move(f))));
}

namespace schedules {

// Keras computes in the dtype of the initial learning rate, which is the default float.
static constexpr DType kFloat = DType::Float32;
static Tensor number(const Value& v) { return constant(v.as_float(), kFloat); }
static Tensor as_float(const Tensor& step) { return ops::cast(step, kFloat); }

static void need(const char* class_name, const char* option, const Value& v) {
  if (!v.is_number())
    throw ValueError(ErrorText{.what = std::string(option) + (v.is_null() ? " must be given" : " must be a number"),
                               .where = class_name,
                               .expected = "a number",
                               .received = v.str()}
                         .str());
}
static void need_steps(const char* class_name, const char* option, const Value& v) {
  need(class_name, option, v);
  if (!(v.as_float() > 0))
    throw ValueError(
        ErrorText{.what = std::string(option) + " must be positive", .where = class_name, .expected = "a number > 0", .received = v.str()}
            .str());
}

static void check(const ExponentialDecayOptions& o) {
  need("ExponentialDecay", "initial_learning_rate", o.initial_learning_rate);
  need_steps("ExponentialDecay", "decay_steps", o.decay_steps);
  need("ExponentialDecay", "decay_rate", o.decay_rate);
}
static Tensor compute(const ExponentialDecayOptions& o, const Tensor& step) {
  Tensor p = as_float(step) / number(o.decay_steps);
  if (o.staircase) p = ops::floor(p);
  return number(o.initial_learning_rate) * ops::power(number(o.decay_rate), p);
}

static void check(const PiecewiseConstantDecayOptions& o) {
  if (o.values.empty() || o.boundaries.size() != o.values.size() - 1)
    throw ValueError(
        ErrorText{.what = "there must be one boundary less than values",
                  .where = "PiecewiseConstantDecay",
                  .received = std::to_string(o.boundaries.size()) + " boundaries, " + std::to_string(o.values.size()) + " values"}
            .str());
  for (const Value& v : o.boundaries) need("PiecewiseConstantDecay", "each of boundaries", v);
  for (const Value& v : o.values) need("PiecewiseConstantDecay", "each of values", v);
}
static Tensor compute(const PiecewiseConstantDecayOptions& o, const Tensor& step) {
  // Boundaries are read in the step's dtype: 2.5 is 2 for whole steps.
  auto boundary = [&](size_t i) {
    double b = o.boundaries[i].as_float();
    return constant(is_integer(step.dtype()) ? std::trunc(b) : b, step.dtype());
  };
  Tensor value = number(o.values.back());
  for (size_t i = o.boundaries.size(); i-- > 0;) value = ops::where(step <= boundary(i), number(o.values[i]), value);
  return value;
}

static void check(const PolynomialDecayOptions& o) {
  need("PolynomialDecay", "initial_learning_rate", o.initial_learning_rate);
  need_steps("PolynomialDecay", "decay_steps", o.decay_steps);
  need("PolynomialDecay", "end_learning_rate", o.end_learning_rate);
  need("PolynomialDecay", "power", o.power);
}
static Tensor compute(const PolynomialDecayOptions& o, const Tensor& step) {
  Tensor at = as_float(step), steps = number(o.decay_steps), end = number(o.end_learning_rate);
  if (o.cycle) {
    steps = steps * ops::where(ops::equal(at, 0), constant(1, kFloat), ops::ceil(at / steps));
  } else {
    at = ops::minimum(at, steps);
  }
  return (number(o.initial_learning_rate) - end) * ops::power(1 - at / steps, number(o.power)) + end;
}

static void check(const InverseTimeDecayOptions& o) {
  need("InverseTimeDecay", "initial_learning_rate", o.initial_learning_rate);
  need_steps("InverseTimeDecay", "decay_steps", o.decay_steps);
  need("InverseTimeDecay", "decay_rate", o.decay_rate);
}
static Tensor compute(const InverseTimeDecayOptions& o, const Tensor& step) {
  Tensor p = as_float(step) / number(o.decay_steps);
  if (o.staircase) p = ops::floor(p);
  return number(o.initial_learning_rate) / (constant(1, kFloat) + number(o.decay_rate) * p);
}

static void check(const CosineDecayOptions& o) {
  need("CosineDecay", "initial_learning_rate", o.initial_learning_rate);
  need_steps("CosineDecay", "decay_steps", o.decay_steps);
  need("CosineDecay", "alpha", o.alpha);
  if (!o.warmup_target.is_null()) need("CosineDecay", "warmup_target", o.warmup_target);
  need("CosineDecay", "warmup_steps", o.warmup_steps);
}
static Tensor compute(const CosineDecayOptions& o, const Tensor& step) {
  Tensor at = as_float(step), initial = number(o.initial_learning_rate), steps = number(o.decay_steps);
  double alpha = o.alpha.as_float();
  auto decay = [&](const Tensor& from, const Tensor& t) {
    Tensor cosine = 0.5 * (1.0 + ops::cos(constant(std::numbers::pi, kFloat) * (t / steps)));
    return from * ((1 - alpha) * cosine + alpha);
  };
  if (o.warmup_target.is_null()) return decay(initial, ops::minimum(at, steps));
  Tensor target = number(o.warmup_target), warmup = number(o.warmup_steps);
  at = ops::minimum(at, steps + warmup);
  Tensor rising = (target - initial) * (at / warmup) + initial;
  return ops::where(at < warmup, rising, decay(target, at - warmup));
}

static void check(const CosineDecayRestartsOptions& o) {
  need("CosineDecayRestarts", "initial_learning_rate", o.initial_learning_rate);
  need_steps("CosineDecayRestarts", "first_decay_steps", o.first_decay_steps);
  need("CosineDecayRestarts", "t_mul", o.t_mul);
  need("CosineDecayRestarts", "m_mul", o.m_mul);
  need("CosineDecayRestarts", "alpha", o.alpha);
}
static Tensor compute(const CosineDecayRestartsOptions& o, const Tensor& step) {
  Tensor alpha = number(o.alpha), t_mul = number(o.t_mul);
  Tensor done = as_float(step) / number(o.first_decay_steps), restart;
  if (o.t_mul.as_float() == 1) {
    restart = ops::floor(done);
    done = done - restart;
  } else {
    // The restart number solves the sum of a geometric series.
    restart = ops::floor(ops::log(1.0 - done * (1.0 - t_mul)) / ops::log(t_mul));
    Tensor factor = ops::power(t_mul, restart);
    done = (done - (1.0 - factor) / (1.0 - t_mul)) / factor;
  }
  Tensor height = ops::power(number(o.m_mul), restart);
  Tensor cosine = 0.5 * height * (1.0 + ops::cos(constant(std::numbers::pi, kFloat) * done));
  return number(o.initial_learning_rate) * ((1 - alpha) * cosine + alpha);
}

template <class Options> BuiltinSchedule<Options>::BuiltinSchedule(Options options) : options_(std::move(options)) { check(options_); }
template <class Options> Tensor BuiltinSchedule<Options>::call(const Tensor& step) const { return compute(options_, step); }

#define KERAS_SCHEDULE_INSTANCE(Name) template class BuiltinSchedule<Name##Options>;
KERAS_BUILTIN_SCHEDULES(KERAS_SCHEDULE_INSTANCE)
#undef KERAS_SCHEDULE_INSTANCE

}  // namespace schedules

}  // namespace keras::optimizers
