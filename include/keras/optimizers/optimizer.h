// What lives here: the base of every optimizer and what all of them can do: weight decay, clipping, moving averages, loss scaling,
// accumulation of gradients, names and files. The update rules are in keras/optimizers.h.
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
#include <keras/core/variable.h>
#include <keras/optimizers/schedules.h>
#include <keras/serial/fields.h>
#include <keras/serial/spec.h>

namespace keras::optimizers {

// The options that every optimizer ends with.
#define KERAS_OPTIMIZER_TAIL                                                                                              \
  /** Each gradient is scaled down to a norm of at most this. One of the three clips at most may be set. */               \
  std::optional<double> clipnorm{};                                                                                       \
  /** Elements of gradients are brought into [-clipvalue, clipvalue]. */                                                  \
  std::optional<double> clipvalue{};                                                                                      \
  /** All gradients are scaled down together, to a common norm of at most this. */                                        \
  std::optional<double> global_clipnorm{};                                                                                \
  /** Keeps a moving average of the weights, which overwrites them at the end of training. */                             \
  bool use_ema = false;                                                                                                   \
  double ema_momentum = 0.99;                                                                                             \
  /** Overwrites the weights with the average each so many updates, too. */                                               \
  std::optional<int64_t> ema_overwrite_frequency{};                                                                       \
  /** The loss is multiplied by this before gradients are taken, and gradients divided. */                                \
  std::optional<double> loss_scale_factor{};                                                                              \
  /** Weights change once per so many steps, by the mean of their gradients; at least 2. */                               \
  std::optional<int64_t> gradient_accumulation_steps{};                                                                   \
  /** Prefix of the state's paths; empty: the class in snake case, made unique. */                                        \
  std::string name{};
#define KERAS_OPTIMIZER_TAIL_FIELDS \
  clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name

/// What every optimizer accepts.
struct OptimizerOptions {
  LearningRate learning_rate = 0.001;
  /// Weights shrink by weight_decay · learning rate before each update.
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};

/// The base of every optimizer, and the class to derive one's own from. Copies share their state.
///
///     struct SignSGD : keras::optimizers::Optimizer {
///       SignSGD() : Optimizer({.learning_rate = 0.01}) {}
///       void build(const std::vector<keras::Variable>& variables) override {
///         Optimizer::build(variables);
///         add_slots(variables, "momentum");
///       }
///       void update_step(const keras::Tensor& g, const keras::Variable& v, const keras::Tensor& lr) override {
///         keras::Variable m = slot("momentum", v);
///         m.assign(0.9 * m + 0.1 * g);
///         v.assign_sub(lr * keras::ops::sign(m));
///       }
///     };
///     model.compile({.optimizer = SignSGD(), .loss = "mse"});
///
/// Inside a compiled step everything is traced: write with ops, and choose with `ops::where`.
class Optimizer {
 public:
  /// ValueError when options contradict each other.
  explicit Optimizer(OptimizerOptions options = {});
  KERAS_EMPTY_BRACES(Optimizer)
  virtual ~Optimizer();

  // ---- to override
  /// Makes the state for these variables. Overriding methods call this one first, then `add_slots`. RuntimeError when built already.
  virtual void build(const std::vector<Variable>& variables);
  /// Updates one variable. The gradient is clipped, the learning rate a scalar of the default float.
  virtual void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) = 0;
  /// What `from_config` of the class needs to make it again.
  virtual Dict get_config() const;
  /// The name of the class, as saved; by default the C++ name.
  virtual std::string class_name() const;

  // ---- training
  /// One update: gradients (one per variable; an undefined one leaves its variable alone, with a warning), clipped, into the variables,
  /// then their constraints. Builds on first use; without variables those that it was built for. ValueError on an unknown variable or
  /// when no gradient is defined.
  virtual void apply(const Tensors& grads, const std::vector<Variable>& variables = {});
  /// `apply` on pairs.
  void apply_gradients(const std::vector<std::pair<Tensor, Variable>>& grads_and_variables);
  /// The update on given values, with nothing changed: the new values of the variables and of the optimizer's own. The optimizer is built, and
  /// the values come in the order of `variables()` and `trainable_variables()`.
  struct StatelessResult {
    Tensors trainable_variables, optimizer_variables;
  };
  StatelessResult stateless_apply(const Tensors& optimizer_variables, const Tensors& grads, const Tensors& trainable_variables);
  bool built() const;
  /// The number of calls of `apply`, int32.
  virtual Variable iterations() const;
  /// The number of updates: `iterations` over gradient_accumulation_steps. Keras' property `iterations`.
  virtual Tensor update_count() const;
  /// The learning rate now: the variable's value, or the schedule's at `iterations`.
  virtual Tensor learning_rate() const;
  /// The variable that holds the learning rate; undefined with a schedule.
  virtual Variable learning_rate_variable() const;
  /// The schedule, null when the learning rate is a number.
  virtual std::shared_ptr<schedules::LearningRateSchedule> learning_rate_schedule() const;
  /// TypeError when the learning rate is a schedule.
  void set_learning_rate(double value) { set_learning_rate(LearningRate(value)); }
  /// A number into the variable, or a schedule instead of what was there.
  virtual void set_learning_rate(const LearningRate& value);
  /// The loss times loss_scale_factor, if there is one.
  virtual Tensor scale_loss(const Tensor& loss) const;
  /// With use_ema: the moving averages into the variables. What `fit` does at its end.
  virtual void finalize_variable_values(const std::vector<Variable>& variables);
  /// Leaves out from weight decay these variables, and those whose names match one of the regular expressions. ValueError once built.
  void exclude_from_weight_decay(const std::vector<Variable>& variables, const std::vector<std::string>& names = {});

  // ---- state
  /// All state in Keras' saved order: iteration, learning rate (absent with a schedule), then slots as they were made.
  virtual std::vector<Variable> variables() const;
  /// The variables that it was built for.
  const std::vector<Variable>& trainable_variables() const;
  /// Values for `variables()`, in order. ValueError before it is built, on another count and on other shapes.
  virtual void set_weights(const Tensors& weights);
  const std::string& name() const;
  /// The common options as they are now.
  const OptimizerOptions& base_options() const;
  virtual void set_loss_scale_factor(std::optional<double> factor);

  // ---- names and files
  /// {"module", "class_name", "config", "registered_name"} as saved.
  virtual Value serialize() const;
  /// An optimizer from a name ("adam", in any case, or a registered one) or a saved configuration. Null gives null. ValueError with the
  /// nearest name otherwise.
  static std::shared_ptr<Optimizer> get(const Value& identifier);

 protected:
  Optimizer(const Optimizer&) = default;
  Optimizer& operator=(const Optimizer&) = default;
  /// For classes of the library, which are named as soon as they are made.
  Optimizer(OptimizerOptions options, const char* class_name);

  // ---- state, for classes that derive
  /// State like each variable, filled with `value`, named "<variable's path with _>_<name>", and found again by `slot(name, variable)`.
  /// Several names: variable by variable, as Keras makes them.
  void add_slots(const std::vector<Variable>& variables, const std::string& name, double value = 0);
  void add_slots(const std::vector<Variable>& variables, const std::vector<std::string>& names, double value = 0);
  /// One such state, for some variables only.
  Variable add_slot(const Variable& variable, const std::string& name, double value = 0);
  Variable add_variable_from_reference(const Variable& reference, const std::string& name, double value = 0) { return add_slot(reference, name, value); }
  /// Undefined when there is none.
  Variable slot(const std::string& name, const Variable& variable) const;
  /// State of any shape, part of `variables()`, and found again by `variable(name)`.
  Variable add_variable(const Shape& shape, DType dtype, const std::string& name, double value = 0);
  Variable variable(const std::string& name) const;
  /// For state whose name in files is not that of its slot.
  void track(const Variable& state, const std::string& slot, const Variable& of = {});
  /// How every `apply` begins: builds on first use, and gives the variables that the gradients are for. ValueError when their counts differ.
  std::vector<Variable> variables_for(const Tensors& grads, const std::vector<Variable>& variables);
  /// Index among the variables that it was built for; ValueError otherwise.
  size_t variable_index(const Variable& variable) const;
  bool uses_weight_decay(const Variable& variable) const;
  /// v - v · weight_decay · learning rate, for all variables that are not excluded.
  virtual void apply_weight_decay(const std::vector<Variable>& variables);
  /// Calls `update_step` for each; override to compute what is common to all variables first.
  virtual void update_all(const Tensors& grads, const std::vector<Variable>& variables, const Tensor& learning_rate);
  /// A scalar computed once per update and remembered for the other variables: same name and dtype, same tensor.
  Tensor shared_scalar(const std::string& name, DType dtype, const std::function<Tensor()>& make) const;

 private:
  struct State;
  Tensors clip(const Tensors& grads) const;
  void update(const Tensors& grads, const std::vector<Variable>& variables);
  void average();
  std::shared_ptr<State> state_;
};

inline std::shared_ptr<Optimizer> get(const Value& identifier) { return Optimizer::get(identifier); }
inline Value serialize(const Optimizer& optimizer) { return optimizer.serialize(); }
inline std::shared_ptr<Optimizer> deserialize(const Value& config) { return Optimizer::get(config); }

using OptimizerFactory = std::function<std::shared_ptr<Optimizer>(const Dict& config)>;
/// Makes a class known under its registered name ("SignSGD", or "package>SignSGD"), for saved files and `get`. `type` tells which objects
/// are saved under it; without, those whose `class_name()` is the last part of the name.
void register_optimizer(const std::string& registered_name, OptimizerFactory factory, const std::type_info* type = nullptr);
/// A class with a constructor from `const Dict&` (its configuration), or with a default one: then the learning rate is put back.
template <std::derived_from<Optimizer> T> void register_optimizer(const std::string& registered_name) {
  register_optimizer(
      registered_name,
      [](const Dict& config) -> std::shared_ptr<Optimizer> {
        if constexpr (std::is_constructible_v<T, const Dict&>) {
          return std::make_shared<T>(config);
        } else {
          auto optimizer = std::make_shared<T>();
          if (const Value* rate = config.find("learning_rate")) optimizer->set_learning_rate(LearningRate(*rate));
          return optimizer;
        }
      },
      &typeid(T));
}

/// All names that `get` knows.
std::vector<std::string> known_names();

}  // namespace keras::optimizers

namespace keras {

/// "An optimizer" in options: a name, a saved configuration, an object of optimizers::…, or a shared one.
///
///     OptimizerSpec a = "adam", b = optimizers::SGD({.learning_rate = 0.1, .momentum = 0.9});
class OptimizerSpec : public Spec<optimizers::Optimizer> {
 public:
  using Spec::Spec;
  OptimizerSpec() = default;
  template <class T>
    requires std::derived_from<std::decay_t<T>, optimizers::Optimizer>
  OptimizerSpec(T&& optimizer) : Spec(std::make_shared<std::decay_t<T>>(std::forward<T>(optimizer))) {}
};

}  // namespace keras
