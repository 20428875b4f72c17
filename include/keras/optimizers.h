// What lives here: Keras' optimizers, each with its options. What they have in common is in keras/optimizers/optimizer.h.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/optimizers/optimizer.h>
#include <keras/optimizers/schedules.h>

namespace keras::optimizers {

// A class that is made from its options, `Adam({.learning_rate = 1e-3})`, and derives from Base.
#define KERAS_OPTIMIZER_CLASS(Name, ...)                                                                              \
  class Name : public Optimizer {                                                                                     \
   public:                                                                                                            \
    using OptionsType = Name##Options;                                                                                \
    explicit Name(Name##Options options = {});                                                                        \
    KERAS_EMPTY_BRACES(Name)                                                                                          \
    void build(const std::vector<Variable>& variables) override;                                                      \
    void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;         \
    Dict get_config() const override;                                                                                 \
    const Name##Options& options() const { return options_; }                                                         \
    __VA_ARGS__                                                                                                       \
   private:                                                                                                           \
    Name##Options options_;                                                                                           \
  };

/// Gradient descent, with momentum when that is not 0, and with Nesterov's look ahead. ValueError when the momentum is outside [0, 1].
struct SGDOptions {
  LearningRate learning_rate = 0.01;
  double momentum = 0.0;
  bool nesterov = false;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, momentum, nesterov, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(SGD)

/// Gradients over the root of a moving average of their squares; `centered` takes the variance instead. Source: Hinton's lecture 6e.
struct RMSpropOptions {
  LearningRate learning_rate = 0.001;
  double rho = 0.9;
  double momentum = 0.0;
  double epsilon = 1e-7;
  bool centered = false;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, rho, momentum, epsilon, centered, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(RMSprop)

/// Source: Kingma and Ba, arXiv:1412.6980. `amsgrad`: arXiv:1904.09237.
struct AdamOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  bool amsgrad = false;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Adam)

/// Adam with weight decay apart from the gradient. Source: Loshchilov and Hutter, arXiv:1711.05101. ValueError without a weight decay.
struct AdamWOptions {
  LearningRate learning_rate = 0.001;
  std::optional<double> weight_decay = 0.004;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  bool amsgrad = false;
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(AdamW)

/// Source: Zeiler, arXiv:1212.5701.
struct AdadeltaOptions {
  LearningRate learning_rate = 0.001;
  double rho = 0.95;
  double epsilon = 1e-7;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, rho, epsilon, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Adadelta)

/// Source: Duchi et al., JMLR 12 (2011).
struct AdagradOptions {
  LearningRate learning_rate = 0.001;
  double initial_accumulator_value = 0.1;
  double epsilon = 1e-7;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, initial_accumulator_value, epsilon, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Adagrad)

/// Adam with the infinity norm. Source: arXiv:1412.6980, section 7.
struct AdamaxOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_1, beta_2, epsilon, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Adamax)

/// Adam with Nesterov's momentum. Source: Dozat, "Incorporating Nesterov Momentum into Adam" (2015).
struct NadamOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_1, beta_2, epsilon, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Nadam,
 protected:
  void update_all(const Tensors& grads, const std::vector<Variable>& variables, const Tensor& learning_rate) override;
)

/// Follow the regularised leader. Source: McMahan et al., KDD 2013. ValueError on strengths below 0 or a power above 0.
struct FtrlOptions {
  LearningRate learning_rate = 0.001;
  double learning_rate_power = -0.5;
  double initial_accumulator_value = 0.1;
  double l1_regularization_strength = 0.0;
  double l2_regularization_strength = 0.0;
  double l2_shrinkage_regularization_strength = 0.0;
  double beta = 0.0;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, learning_rate_power, initial_accumulator_value, l1_regularization_strength, l2_regularization_strength,
               l2_shrinkage_regularization_strength, beta, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Ftrl)

/// Signs of a momentum. Source: Chen et al., arXiv:2302.06675. ValueError when beta_1 is outside (0, 1].
struct LionOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.99;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_1, beta_2, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Lion)

/// Adam with a trust ratio per variable. Source: You et al., arXiv:1904.00962.
struct LambOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_1, beta_2, epsilon, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Lamb)

/// Orthogonalised momentum for matrices, AdamW for all else. Source: Jordan, "Muon" (2024); scaling of arXiv:2502.16982.
struct MuonOptions {
  LearningRate learning_rate = 0.001;
  double adam_beta_1 = 0.9;
  double adam_beta_2 = 0.999;
  /// Weight decay of what AdamW updates.
  std::optional<double> adam_weight_decay = 0.004;
  double epsilon = 1e-7;
  std::optional<double> weight_decay = 0.004;
  KERAS_OPTIMIZER_TAIL
  /// Regular expressions: variables whose paths hold one go to AdamW.
  std::vector<std::string> exclude_layers{};
  bool exclude_embeddings = true;
  /// Coefficients of the Newton-Schulz iteration.
  double muon_a = 3.4445;
  double muon_b = -4.7750;
  double muon_c = 2.0315;
  /// The learning rate of AdamW over that of Muon.
  Value adam_lr_ratio = 1;
  double momentum = 0.95;
  int ns_steps = 5;
  bool nesterov = true;
  /// Updates are scaled by sqrt(max(rows, columns)) · rms_rate; nullopt: not at all.
  std::optional<double> rms_rate = 0.2;
  KERAS_FIELDS(learning_rate, adam_beta_1, adam_beta_2, adam_weight_decay, epsilon, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS,
               exclude_layers, exclude_embeddings, muon_a, muon_b, muon_c, adam_lr_ratio, momentum, ns_steps, nesterov, rms_rate)
};
KERAS_OPTIMIZER_CLASS(Muon,
 protected:
  void apply_weight_decay(const std::vector<Variable>& variables) override;
  bool should_use_adamw(const Variable& variable) const;
)

/// Adam whose second moments are kept as rows and columns. Source: Shazeer and Stern, arXiv:1804.04235.
struct AdafactorOptions {
  LearningRate learning_rate = 0.001;
  double beta_2_decay = -0.8;
  double epsilon_1 = 1e-30;
  double epsilon_2 = 1e-3;
  double clip_threshold = 1.0;
  /// The learning rate falls with the root of the steps.
  bool relative_step = true;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_2_decay, epsilon_1, epsilon_2, clip_threshold, relative_step, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(Adafactor)

/// AdamW without a schedule: the weights stand between a fast and an averaged sequence. Source: Defazio et al., arXiv:2405.15682.
struct ScheduleFreeAdamWOptions {
  LearningRate learning_rate = 0.0025;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-8;
  /// Steps over which the learning rate rises from 0.
  int warmup_steps = 0;
  std::optional<double> weight_decay{};
  KERAS_OPTIMIZER_TAIL
  KERAS_FIELDS(learning_rate, beta_1, beta_2, epsilon, warmup_steps, weight_decay, KERAS_OPTIMIZER_TAIL_FIELDS)
};
KERAS_OPTIMIZER_CLASS(ScheduleFreeAdamW)
#undef KERAS_OPTIMIZER_CLASS

#define KERAS_BUILTIN_OPTIMIZERS(X)                                                                                    \
  X(SGD) X(RMSprop) X(Adam) X(AdamW) X(Adadelta) X(Adagrad) X(Adamax) X(Nadam) X(Ftrl) X(Lion) X(Lamb) X(Muon) X(Adafactor) \
  X(ScheduleFreeAdamW)

struct LossScaleOptimizerOptions {
  double initial_scale = 32768.0;
  /// Steps with finite gradients after which the scale doubles.
  int64_t dynamic_growth_steps = 2000;
  std::string name{};
  KERAS_FIELDS(initial_scale, dynamic_growth_steps, name)
};

/// Wraps another optimizer for float16: scales the loss, skips steps whose gradients are not finite and halves the scale then.
///
///     optimizers::LossScaleOptimizer(optimizers::Adam({.learning_rate = 1e-3}), {.initial_scale = 1024})
class LossScaleOptimizer : public Optimizer {
 public:
  explicit LossScaleOptimizer(OptimizerSpec inner_optimizer, LossScaleOptimizerOptions options = {});
  const std::shared_ptr<Optimizer>& inner_optimizer() const { return inner_; }
  /// The scale now; initial_scale before it is built.
  Tensor dynamic_scale() const;

  void build(const std::vector<Variable>& variables) override;
  void apply(const Tensors& grads, const std::vector<Variable>& variables = {}) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;
  Variable iterations() const override { return inner_->iterations(); }
  Tensor update_count() const override { return inner_->update_count(); }
  Tensor learning_rate() const override { return inner_->learning_rate(); }
  Variable learning_rate_variable() const override { return inner_->learning_rate_variable(); }
  std::shared_ptr<schedules::LearningRateSchedule> learning_rate_schedule() const override { return inner_->learning_rate_schedule(); }
  void set_learning_rate(const LearningRate& value) override { inner_->set_learning_rate(value); }
  using Optimizer::set_learning_rate;
  Tensor scale_loss(const Tensor& loss) const override;
  void finalize_variable_values(const std::vector<Variable>& variables) override { inner_->finalize_variable_values(variables); }
  std::vector<Variable> variables() const override;
  Dict get_config() const override;

 private:
  LossScaleOptimizerOptions options_;
  std::shared_ptr<Optimizer> inner_;
};

/// Which optimizer a variable gets: by its path, exactly or as the one regular expression that matches the whole path, else the default.
class OptimizerMap {
 public:
  explicit OptimizerMap(OptimizerSpec default_optimizer, std::vector<std::pair<std::string, OptimizerSpec>> optimizer_map = {});
  /// ValueError when the key is there already.
  void set(const std::string& key, OptimizerSpec optimizer);
  /// ValueError when more than one expression matches.
  const std::shared_ptr<Optimizer>& at(const std::string& path) const;
  const std::shared_ptr<Optimizer>& default_optimizer() const { return default_.object(); }
  const std::vector<std::pair<std::string, OptimizerSpec>>& items() const { return items_; }
  Value serialize() const;
  static OptimizerMap from_config(const Dict& config);

 private:
  OptimizerSpec default_;
  std::vector<std::pair<std::string, OptimizerSpec>> items_;
};

struct MultiOptimizerOptions {
  /// For all of them, instead of their own.
  std::optional<double> loss_scale_factor{};
  std::string name{};
  KERAS_FIELDS(loss_scale_factor, name)
};

/// Several optimizers, each for some of the variables.
///
///     optimizers::MultiOptimizer(optimizers::OptimizerMap(optimizers::SGD(), {{"encoder/.*", optimizers::Adam()}}))
class MultiOptimizer : public Optimizer {
 public:
  using Selector = std::function<std::shared_ptr<Optimizer>(const Variable&)>;
  explicit MultiOptimizer(OptimizerMap map, MultiOptimizerOptions options = {});
  /// A callable; such a one can't be saved.
  explicit MultiOptimizer(Selector selector, MultiOptimizerOptions options = {});
  /// All of them, in the order in which they were met.
  const std::vector<std::shared_ptr<Optimizer>>& optimizers() const { return *inner_; }

  void build(const std::vector<Variable>& variables) override;
  void apply(const Tensors& grads, const std::vector<Variable>& variables = {}) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;
  Tensor update_count() const override { return iterations(); }
  /// There is one per optimizer: RuntimeError.
  Tensor learning_rate() const override;
  Variable learning_rate_variable() const override { return {}; }
  void set_learning_rate(const LearningRate& value) override;
  using Optimizer::set_learning_rate;
  void set_loss_scale_factor(std::optional<double> factor) override;
  void finalize_variable_values(const std::vector<Variable>& variables) override;
  std::vector<Variable> variables() const override;
  Dict get_config() const override;

 private:
  size_t adopt(const std::shared_ptr<Optimizer>& optimizer);
  std::vector<std::vector<size_t>> split(const std::vector<Variable>& variables) const;
  std::optional<OptimizerMap> map_;
  Selector selector_;
  std::shared_ptr<std::vector<std::shared_ptr<Optimizer>>> inner_;
  std::shared_ptr<std::vector<size_t>> owner_;
};

}  // namespace keras::optimizers
