// What lives here: keras.optimizers.schedules: learning rates that are functions of the step, and LearningRate, the option that holds a
// number or one of them.
#pragma once
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>
#include <keras/serial/fields.h>

namespace keras::optimizers::schedules {

/// A learning rate that depends on the step. Derive from it for one's own: override `call`, and `get_config` where there are options to
/// save; `register_schedule` makes saved models readable.
///
///     struct Warmup : keras::optimizers::schedules::LearningRateSchedule {
///       keras::Tensor call(const keras::Tensor& step) const override { return 1e-3 * keras::ops::minimum(step / 100.0, 1.0); }
///     };
///     keras::optimizers::Adam adam({.learning_rate = Warmup()});
class LearningRateSchedule {
 public:
  virtual ~LearningRateSchedule() = default;
  /// The learning rate at `step`, an integer scalar that may be traced: written with ops, without a look at its number.
  virtual Tensor call(const Tensor& step) const = 0;
  Tensor operator()(const Tensor& step) const { return call(step); }
  virtual Dict get_config() const { return {}; }
  /// The name of the class, as saved; by default the C++ name.
  virtual std::string class_name() const;
  /// {"module", "class_name", "config", "registered_name"} as saved.
  virtual Value serialize() const;
  /// A schedule from a saved configuration, or from the name of a registered class. ValueError with the nearest name otherwise.
  static std::shared_ptr<LearningRateSchedule> get(const Value& identifier);
};

/// How Keras' schedules are made from their options; `Options` is one of the structs below.
template <class Options> class BuiltinSchedule : public LearningRateSchedule {
 public:
  using OptionsType = Options;
  /// ValueError when an option without a default is missing, or steps are not positive.
  explicit BuiltinSchedule(Options options);
  Tensor call(const Tensor& step) const override;
  Dict get_config() const override { return serial::to_config(options_); }
  const Options& options() const { return options_; }

 private:
  Options options_;
};

// Numbers are Values, so that a whole number stays one in configurations. Those that are null here must be given.

/// initial_learning_rate · decay_rate^(step / decay_steps); `staircase` rounds the exponent down.
struct ExponentialDecayOptions {
  Value initial_learning_rate{}, decay_steps{}, decay_rate{};
  bool staircase = false;
  std::string name = "ExponentialDecay";
  KERAS_FIELDS(initial_learning_rate, decay_steps, decay_rate, staircase, name)
};
/// values[i] up to and with step boundaries[i], the last value after all of them.
struct PiecewiseConstantDecayOptions {
  std::vector<Value> boundaries{}, values{};
  std::string name = "PiecewiseConstant";
  KERAS_FIELDS(boundaries, values, name)
};
/// From initial_learning_rate to end_learning_rate as (1 - step / decay_steps)^power; `cycle` starts again at each multiple of decay_steps.
struct PolynomialDecayOptions {
  Value initial_learning_rate{}, decay_steps{};
  Value end_learning_rate = 0.0001, power = 1.0;
  bool cycle = false;
  std::string name = "PolynomialDecay";
  KERAS_FIELDS(initial_learning_rate, decay_steps, end_learning_rate, power, cycle, name)
};
/// initial_learning_rate / (1 + decay_rate · step / decay_steps).
struct InverseTimeDecayOptions {
  Value initial_learning_rate{}, decay_steps{}, decay_rate{};
  bool staircase = false;
  std::string name = "InverseTimeDecay";
  KERAS_FIELDS(initial_learning_rate, decay_steps, decay_rate, staircase, name)
};
/// Half a cosine down to the fraction alpha, after a linear rise to warmup_target over warmup_steps when that is given.
/// Source: Loshchilov and Hutter, arXiv:1608.03983.
struct CosineDecayOptions {
  Value initial_learning_rate{}, decay_steps{};
  Value alpha = 0.0;
  std::string name = "CosineDecay";
  Value warmup_target{};
  Value warmup_steps = 0;
  KERAS_FIELDS(initial_learning_rate, decay_steps, alpha, name, warmup_target, warmup_steps)
};
/// Half cosines one after the other, each t_mul times longer and m_mul times as high as the one before. Source: arXiv:1608.03983.
struct CosineDecayRestartsOptions {
  Value initial_learning_rate{}, first_decay_steps{};
  Value t_mul = 2.0, m_mul = 1.0, alpha = 0.0;
  std::string name = "SGDRDecay";
  KERAS_FIELDS(initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha, name)
};

#define KERAS_BUILTIN_SCHEDULES(X) \
  X(ExponentialDecay) X(PiecewiseConstantDecay) X(PolynomialDecay) X(InverseTimeDecay) X(CosineDecay) X(CosineDecayRestarts)

// `schedules::ExponentialDecay({.initial_learning_rate = 0.1, .decay_steps = 1000, .decay_rate = 0.96})`
#define KERAS_SCHEDULE_CLASS(Name)                         \
  class Name : public BuiltinSchedule<Name##Options> {     \
   public:                                                 \
    using BuiltinSchedule::BuiltinSchedule;                \
  };                                                       \
  extern template class BuiltinSchedule<Name##Options>;
KERAS_BUILTIN_SCHEDULES(KERAS_SCHEDULE_CLASS)
#undef KERAS_SCHEDULE_CLASS

inline Value serialize(const LearningRateSchedule& schedule) { return schedule.serialize(); }
inline std::shared_ptr<LearningRateSchedule> deserialize(const Value& config) { return LearningRateSchedule::get(config); }

using ScheduleFactory = std::function<std::shared_ptr<LearningRateSchedule>(const Dict& config)>;
/// Makes a class known under its registered name ("Warmup", or "package>Warmup"). `type` tells which objects are saved under it; without,
/// those whose `class_name()` is the last part of the name.
void register_schedule(const std::string& registered_name, ScheduleFactory factory, const std::type_info* type = nullptr);
/// A class with a constructor from `const Dict&` (its configuration), or with a default one.
template <std::derived_from<LearningRateSchedule> T> void register_schedule(const std::string& registered_name) {
  register_schedule(
      registered_name,
      [](const Dict& config) -> std::shared_ptr<LearningRateSchedule> {
        if constexpr (std::is_constructible_v<T, const Dict&>) {
          return std::make_shared<T>(config);
        } else {
          return std::make_shared<T>();
        }
      },
      &typeid(T));
}

}  // namespace keras::optimizers::schedules

namespace keras::optimizers {

/// "A learning rate" in options: a number, a schedule, or a callable of the step or of nothing (read once per compiled step).
///
///     LearningRate a = 1e-3;
///     LearningRate b = schedules::CosineDecay({.initial_learning_rate = 0.1, .decay_steps = 1000});
///     LearningRate c = [](const Tensor& step) { return 1e-3 * ops::rsqrt(ops::cast(step, float32) + 1.0); };
class LearningRate {
 public:
  using Schedule = schedules::LearningRateSchedule;
  LearningRate() = default;
  template <class T>
    requires(std::is_arithmetic_v<T> && !std::same_as<T, bool>)
  LearningRate(T number) : number_(static_cast<double>(number)) {}
  /// A number or a saved schedule. TypeError for anything else.
  LearningRate(const Value& saved);
  LearningRate(std::shared_ptr<Schedule> schedule) : schedule_(std::move(schedule)) {}
  template <class T>
    requires std::derived_from<T, Schedule>
  LearningRate(std::shared_ptr<T> schedule) : schedule_(std::move(schedule)) {}
  template <class T>
    requires std::derived_from<std::decay_t<T>, Schedule>
  LearningRate(T&& schedule) : schedule_(std::make_shared<std::decay_t<T>>(std::forward<T>(schedule))) {}
  template <class F>
    requires(std::is_class_v<F> && std::is_invocable_r_v<Tensor, const F&, const Tensor&> && !std::derived_from<F, Schedule>)
  LearningRate(F f) : LearningRate(of_step(std::move(f))) {}
  template <class F>
    requires(std::is_class_v<F> && std::is_invocable_r_v<Tensor, const F&> && !std::is_invocable_v<const F&, const Tensor&>)
  LearningRate(F f) : LearningRate(of_step([f = std::move(f)](const Tensor&) { return Tensor(f()); })) {}

  bool is_number() const { return !schedule_; }
  /// ValueError when it is a schedule.
  double number() const;
  /// Null for a number.
  const std::shared_ptr<Schedule>& schedule() const { return schedule_; }
  /// As saved: a number after rounding to float32, or the schedule's object. ValueError for a callable, which has no saved form.
  Value serialize() const;

 private:
  static LearningRate of_step(std::function<Tensor(const Tensor&)> f);
  double number_ = 0.001;
  std::shared_ptr<Schedule> schedule_;
};

}  // namespace keras::optimizers
