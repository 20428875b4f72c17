// What lives here: the loss functions of keras.losses, their classes with options, and LossSpec, the handle that stands for "a loss" in
// `compile`. How a model combines losses of several outputs is not here.
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
#include <keras/ops/types.h>
#include <keras/serial/fields.h>
#include <keras/serial/register.h>
#include <keras/serial/spec.h>

namespace keras::losses {

/// (y_true, y_pred) → values, one per sample or per element.
using LossFn = std::function<Tensor(const Tensor& y_true, const Tensor& y_pred)>;

/// What every loss accepts besides options of its own. `reduction`: "sum_over_batch_size" (or "mean"), "sum", "mean_with_sample_weight",
/// "none" or nullptr. `dtype`: of the computation, as a name or a DType; absent: the default float.
struct LossOptions {
  Value reduction = "sum_over_batch_size";
  std::string name{};
  Value dtype{};
  KERAS_FIELDS(reduction, name, dtype)
};

/// The base of every loss, and the class to derive one's own from: override `call`, and `get_config` where there are options to save.
///
///     struct Pinball : keras::losses::Loss {
///       keras::Tensor call(const keras::Tensor& y_true, const keras::Tensor& y_pred) override {
///         keras::Tensor e = y_true - y_pred;
///         return keras::ops::mean(keras::ops::maximum(0.9 * e, -0.1 * e), -1);
///       }
///     };
///     model.compile({.optimizer = "adam", .loss = Pinball()});
class Loss {
 public:
  Loss() : Loss(LossOptions{}) {}
  /// ValueError on an unknown reduction. An empty name becomes the class name in snake case, made unique.
  explicit Loss(LossOptions options);
  virtual ~Loss() = default;

  /// Values of the loss, weighted, masked (by the mask that y_pred carries) and reduced. `sample_weight` broadcasts against the values, which
  /// mostly are one per sample; a last axis of size 1 may be missing or too many.
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {});
  /// The values before weights and reduction. The arguments come in this loss' dtype.
  virtual Tensor call(const Tensor& y_true, const Tensor& y_pred) = 0;

  const std::string& name() const;
  void set_name(std::string name) { name_ = std::move(name); }
  /// A string, or null for none.
  const Value& reduction() const { return reduction_; }
  DType dtype() const { return dtype_; }

  /// What `from_config` of the class needs to make it again. A loss' configuration has no dtype, as in Keras.
  virtual Dict get_config() const;
  /// The name of the class, as saved; by default the C++ name.
  virtual std::string class_name() const;
  /// {"module", "class_name", "config", "registered_name"} as saved.
  virtual Value serialize() const;

  /// A loss from a name ("mse", "MeanSquaredError", a registered one) or a saved configuration. Null gives null. ValueError with the
  /// nearest name otherwise.
  static std::shared_ptr<Loss> get(const Value& identifier);

 protected:
  Loss(const Loss&) = default;
  Loss& operator=(const Loss&) = default;

 private:
  mutable std::string name_;
  Value reduction_;
  DType dtype_ = DType::Float32;
};

/// A function as a loss: what "mse" and C++ callables become. Repairs ranks that differ by one before it calls the function.
class LossFunctionWrapper : public Loss {
 public:
  explicit LossFunctionWrapper(LossFn fn, LossOptions options = {});
  /// A function of a known name (Keras' own or a registered one) with keyword arguments: `{"huber", {{"delta", 0.5}}}`.
  explicit LossFunctionWrapper(const std::string& function, const Dict& kwargs = {}, LossOptions options = {});
  Tensor call(const Tensor& y_true, const Tensor& y_pred) override;
  Dict get_config() const override;
  std::string class_name() const override { return "LossFunctionWrapper"; }
  /// A function given as such is saved as a function; ValueError when it has no registered name.
  Value serialize() const override;
  /// Registered name of the function, "" for a nameless one.
  const std::string& function_name() const { return function_; }
  const LossFn& function() const { return fn_; }
  /// How `get` and LossSpec wrap: saved as the function alone.
  LossFunctionWrapper& as_plain_function() {
    plain_ = true;
    return *this;
  }

 private:
  LossFn fn_;
  std::string function_;
  Dict kwargs_;
  bool plain_ = false;
};

/// How Keras' losses are made from their options; `Options` is one of the structs below.
template <class Options> class BuiltinLoss : public Loss {
 public:
  using OptionsType = Options;
  BuiltinLoss() : BuiltinLoss(Options{}) {}
  explicit BuiltinLoss(Options options);
  KERAS_EMPTY_BRACES(BuiltinLoss)
  Tensor call(const Tensor& y_true, const Tensor& y_pred) override;
  Dict get_config() const override;
  std::string class_name() const override;
  Value serialize() const override;
  const Options& options() const { return options_; }

 private:
  Options options_;
};

// The fields that every class' options end with.
#define KERAS_LOSS_OPTIONS(default_name)           \
  ::keras::Value reduction = "sum_over_batch_size"; \
  std::string name = default_name;                  \
  ::keras::Value dtype{};

// ---- regression
struct MeanSquaredErrorOptions {
  KERAS_LOSS_OPTIONS("mean_squared_error")
  KERAS_FIELDS(reduction, name, dtype)
};
struct MeanAbsoluteErrorOptions {
  KERAS_LOSS_OPTIONS("mean_absolute_error")
  KERAS_FIELDS(reduction, name, dtype)
};
struct MeanAbsolutePercentageErrorOptions {
  KERAS_LOSS_OPTIONS("mean_absolute_percentage_error")
  KERAS_FIELDS(reduction, name, dtype)
};
struct MeanSquaredLogarithmicErrorOptions {
  KERAS_LOSS_OPTIONS("mean_squared_logarithmic_error")
  KERAS_FIELDS(reduction, name, dtype)
};
struct CosineSimilarityOptions {
  /// The axis of the vectors that are compared.
  int axis = -1;
  KERAS_LOSS_OPTIONS("cosine_similarity")
  KERAS_FIELDS(axis, reduction, name, dtype)
};
struct HuberOptions {
  /// Where the square becomes a line.
  double delta = 1.0;
  KERAS_LOSS_OPTIONS("huber_loss")
  KERAS_FIELDS(delta, reduction, name, dtype)
};
struct LogCoshOptions {
  KERAS_LOSS_OPTIONS("log_cosh")
  KERAS_FIELDS(reduction, name, dtype)
};

// ---- hinges
struct HingeOptions {
  KERAS_LOSS_OPTIONS("hinge")
  KERAS_FIELDS(reduction, name, dtype)
};
struct SquaredHingeOptions {
  KERAS_LOSS_OPTIONS("squared_hinge")
  KERAS_FIELDS(reduction, name, dtype)
};
struct CategoricalHingeOptions {
  KERAS_LOSS_OPTIONS("categorical_hinge")
  KERAS_FIELDS(reduction, name, dtype)
};

// ---- probabilities
struct KLDivergenceOptions {
  KERAS_LOSS_OPTIONS("kl_divergence")
  KERAS_FIELDS(reduction, name, dtype)
};
struct PoissonOptions {
  KERAS_LOSS_OPTIONS("poisson")
  KERAS_FIELDS(reduction, name, dtype)
};
struct BinaryCrossentropyOptions {
  /// y_pred holds logits, not probabilities.
  bool from_logits = false;
  /// In [0, 1]: labels are drawn towards 0.5 by this.
  double label_smoothing = 0.0;
  int axis = -1;
  KERAS_LOSS_OPTIONS("binary_crossentropy")
  KERAS_FIELDS(from_logits, label_smoothing, axis, reduction, name, dtype)
};
struct BinaryFocalCrossentropyOptions {
  bool apply_class_balancing = false;
  /// Weight of class 1 when balancing.
  double alpha = 0.25;
  /// How strongly easy samples are played down.
  double gamma = 2.0;
  bool from_logits = false;
  double label_smoothing = 0.0;
  int axis = -1;
  KERAS_LOSS_OPTIONS("binary_focal_crossentropy")
  KERAS_FIELDS(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis, reduction, name, dtype)
};
struct CategoricalCrossentropyOptions {
  bool from_logits = false;
  double label_smoothing = 0.0;
  /// The axis of the classes.
  int axis = -1;
  KERAS_LOSS_OPTIONS("categorical_crossentropy")
  KERAS_FIELDS(from_logits, label_smoothing, axis, reduction, name, dtype)
};
struct CategoricalFocalCrossentropyOptions {
  double alpha = 0.25;
  double gamma = 2.0;
  bool from_logits = false;
  double label_smoothing = 0.0;
  int axis = -1;
  KERAS_LOSS_OPTIONS("categorical_focal_crossentropy")
  KERAS_FIELDS(alpha, gamma, from_logits, label_smoothing, axis, reduction, name, dtype)
};
struct SparseCategoricalCrossentropyOptions {
  bool from_logits = false;
  /// A label that counts as no label: such elements have no loss and no weight.
  std::optional<int64_t> ignore_class{};
  ::keras::Value reduction = "sum_over_batch_size";
  int axis = -1;
  std::string name = "sparse_categorical_crossentropy";
  ::keras::Value dtype{};
  KERAS_FIELDS(from_logits, ignore_class, reduction, axis, name, dtype)
};
struct CategoricalGeneralizedCrossEntropyOptions {
  /// In (0, 1): towards 0 the crossentropy, towards 1 the mean absolute error.
  double q = 0.5;
  KERAS_LOSS_OPTIONS("categorical_generalized_cross_entropy")
  KERAS_FIELDS(q, reduction, name, dtype)
};

// ---- segmentation, similarity, sequences
struct DiceOptions {
  ::keras::Value reduction = "sum_over_batch_size";
  std::string name = "dice";
  /// The axes that are summed; all by default.
  Axes axis{};
  ::keras::Value dtype{};
  KERAS_FIELDS(reduction, name, axis, dtype)
};
struct TverskyOptions {
  /// Weight of false positives and of false negatives.
  double alpha = 0.5, beta = 0.5;
  ::keras::Value reduction = "sum_over_batch_size";
  std::string name = "tversky";
  Axes axis{};
  ::keras::Value dtype{};
  KERAS_FIELDS(alpha, beta, reduction, name, axis, dtype)
};
struct CircleOptions {
  double gamma = 80.0;
  double margin = 0.4;
  /// Leaves out each sample's likeness with itself.
  bool remove_diagonal = true;
  KERAS_LOSS_OPTIONS("circle")
  KERAS_FIELDS(gamma, margin, remove_diagonal, reduction, name, dtype)
};
struct CTCOptions {
  KERAS_LOSS_OPTIONS("ctc")
  KERAS_FIELDS(reduction, name, dtype)
};

#define KERAS_BUILTIN_LOSSES(X)                                                                                                            \
  X(MeanSquaredError) X(MeanAbsoluteError) X(MeanAbsolutePercentageError) X(MeanSquaredLogarithmicError) X(CosineSimilarity) X(Huber)      \
  X(LogCosh) X(Hinge) X(SquaredHinge) X(CategoricalHinge) X(KLDivergence) X(Poisson) X(BinaryCrossentropy) X(BinaryFocalCrossentropy)      \
  X(CategoricalCrossentropy) X(CategoricalFocalCrossentropy) X(SparseCategoricalCrossentropy) X(CategoricalGeneralizedCrossEntropy) X(Dice) \
  X(Tversky) X(Circle) X(CTC)

// `losses::Huber({.delta = 0.5})`: a class per row, made from its options, convertible to LossSpec.
#define KERAS_LOSS_CLASS(Name)                     \
  class Name : public BuiltinLoss<Name##Options> { \
   public:                                         \
    using BuiltinLoss::BuiltinLoss;                \
  };                                               \
  extern template class BuiltinLoss<Name##Options>;
KERAS_BUILTIN_LOSSES(KERAS_LOSS_CLASS)
#undef KERAS_LOSS_CLASS

// ---- functions: values per sample, without weights and reduction. Sources: the classes of the same name in Keras.
// y_true and y_pred (batch, …, d) give (batch, …) unless said otherwise.
Tensor mean_squared_error(const Tensor& y_true, const Tensor& y_pred);
Tensor mean_absolute_error(const Tensor& y_true, const Tensor& y_pred);
Tensor mean_absolute_percentage_error(const Tensor& y_true, const Tensor& y_pred);
Tensor mean_squared_logarithmic_error(const Tensor& y_true, const Tensor& y_pred);
/// Minus the cosine: -1 for equal directions.
Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, int axis = -1);
Tensor huber(const Tensor& y_true, const Tensor& y_pred, double delta = 1.0);
Tensor log_cosh(const Tensor& y_true, const Tensor& y_pred);
/// Labels 0 and 1 count as -1 and 1.
Tensor hinge(const Tensor& y_true, const Tensor& y_pred);
Tensor squared_hinge(const Tensor& y_true, const Tensor& y_pred);
Tensor categorical_hinge(const Tensor& y_true, const Tensor& y_pred);
Tensor kl_divergence(const Tensor& y_true, const Tensor& y_pred);
Tensor poisson(const Tensor& y_true, const Tensor& y_pred);
Tensor binary_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits = false, double label_smoothing = 0.0, int axis = -1);
Tensor binary_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool apply_class_balancing = false, double alpha = 0.25, double gamma = 2.0,
                                 bool from_logits = false, double label_smoothing = 0.0, int axis = -1);
Tensor categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits = false, double label_smoothing = 0.0, int axis = -1);
Tensor categorical_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, double alpha = 0.25, double gamma = 2.0, bool from_logits = false,
                                      double label_smoothing = 0.0, int axis = -1);
/// Labels (batch, …) and predictions (batch, …, classes). ValueError on a label outside [0, classes) that is not `ignore_class`.
Tensor sparse_categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits = false, std::optional<int64_t> ignore_class = {},
                                       int axis = -1);
/// Labels (batch, …) as whole numbers, probabilities (batch, …, classes).
Tensor categorical_generalized_cross_entropy(const Tensor& y_true, const Tensor& y_pred, double q);
/// One minus the overlap, over all axes (a scalar) or the given ones.
Tensor dice(const Tensor& y_true, const Tensor& y_pred, const Axes& axis = {});
Tensor tversky(const Tensor& y_true, const Tensor& y_pred, double alpha = 0.5, double beta = 0.5, const Axes& axis = {});
/// Labels (batch,) and embeddings (batch, d) of length one; compared to each other, or to the reference ones.
Tensor circle(const Tensor& y_true, const Tensor& y_pred, const Tensor& ref_labels = {}, const Tensor& ref_embeddings = {}, bool remove_diagonal = true,
              double gamma = 80, double margin = 0.4);
/// Labels (batch, length) where 0 is no label, logits (batch, time, classes). ValueError on a label outside [0, classes).
Tensor ctc(const Tensor& y_true, const Tensor& y_pred);

// ---- names and files
/// As Keras: `get("mse")` is the function, `get("MeanSquaredError")` the class with its defaults.
inline std::shared_ptr<Loss> get(const Value& identifier) { return Loss::get(identifier); }
inline Value serialize(const Loss& loss) { return loss.serialize(); }
inline std::shared_ptr<Loss> deserialize(const Value& config) { return Loss::get(config); }

using LossFactory = std::function<std::shared_ptr<Loss>(const Dict& config)>;
/// Makes a class known under its registered name ("MyLoss", or "package>MyLoss"), for saved files and `get`. `type` tells which objects
/// are saved under it; without, those whose `class_name()` is the last part of the name.
void register_loss(const std::string& registered_name, LossFactory factory, const std::type_info* type = nullptr);
/// Makes a function known by name.
void register_loss(const std::string& registered_name, LossFn fn);
/// A class with a constructor from `const Dict&` (its configuration), or with a default one.
template <std::derived_from<Loss> T> void register_loss(const std::string& registered_name) {
  register_loss(registered_name, LossFactory(serial::make_from_config<T>), &typeid(T));
}

/// All names that `get` knows: classes, functions, their short forms, registered ones.
std::vector<std::string> known_names();

}  // namespace keras::losses

namespace keras {

/// "A loss" in options: a name, a saved configuration, an object, or a callable (y_true, y_pred) → values per sample.
///
///     LossSpec a = "mse", b = losses::Huber({.delta = 0.5});
///     LossSpec c = [](const Tensor& y_true, const Tensor& y_pred) { return ops::mean(ops::abs(y_true - y_pred), -1); };
class LossSpec : public Spec<losses::Loss> {
 public:
  using Spec::Spec;
  LossSpec() = default;
  template <class T>
    requires std::derived_from<std::decay_t<T>, losses::Loss>
  LossSpec(T&& loss) : Spec(std::make_shared<std::decay_t<T>>(std::forward<T>(loss))) {}
  template <class F>
    requires(std::is_invocable_r_v<Tensor, F&, const Tensor&, const Tensor&> && !std::derived_from<std::decay_t<F>, losses::Loss> &&
             !std::derived_from<std::decay_t<F>, Spec<losses::Loss>>)
  LossSpec(F&& fn) : LossSpec(losses::LossFn(std::forward<F>(fn)), "") {}
  /// A callable with a name of its own, which logs show.
  LossSpec(losses::LossFn fn, const std::string& name);
  /// A name stays the name that was given, as in Keras' compile configurations.
  Value serialize() const { return given().is_string() ? given() : Spec::serialize(); }
};

namespace losses {
/// The loss for these outputs: "crossentropy" and "ce" become the binary, sparse or categorical one as the shapes say; a name stays the
/// loss' name. `y_true` and `y_pred` are the shapes with the batch axis.
LossSpec resolve(const LossSpec& spec, const Shape& y_true, const Shape& y_pred);
}  // namespace losses

}  // namespace keras
