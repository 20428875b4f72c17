// What lives here: TensorFlow 1's way of writing: placeholders, functional layers.dense, a session fed by a dictionary. Thin: the graph is
// the one of keras::backend.
#pragma once
#include <keras/activations.h>
#include <keras/backend.h>
#include <keras/constraints.h>
#include <keras/initializers.h>
#include <keras/regularizers.h>

#include <map>
#include <string>
#include <vector>

namespace keras::compat::v1 {

/// `tf.placeholder(dtype, shape, name)`.
Tensor placeholder(const std::string& dtype, const Shape& shape, const std::string& name = "");

struct VariableV1Options {
  std::string dtype = "float32";
  Initializer initializer = "glorot_uniform";
  Regularizer regularizer{};
  Constraint constraint{};
  bool trainable = true;
};
/// `tf.get_variable(name, shape)`: ValueError when the name is taken, unless the scope reuses.
Tensor get_variable(const std::string& name, const Shape& shape, const VariableV1Options& options = {});
/// Prefixes names with "scope/" while it lives; `reuse` makes get_variable give what is there.
class variable_scope {
 public:
  explicit variable_scope(const std::string& name, bool reuse = false);
  ~variable_scope();
  variable_scope(const variable_scope&) = delete;
  variable_scope& operator=(const variable_scope&) = delete;
};
std::vector<Tensor> global_variables();
std::vector<Tensor> trainable_variables();
/// Forgets all variables and names.
void reset_default_graph();

struct MatmulV1Options {
  bool transpose_a = false, transpose_b = false;
  /// As transpose: the library has no complex numbers.
  bool adjoint_a = false, adjoint_b = false;
};
/// `tf.matmul(a, b, …)`: products of the last two axes; the axes before them are a batch. ValueError for a rank below 2.
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulV1Options& options = {});

namespace layers {
struct DenseV1Options {
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  Regularizer kernel_regularizer{};
  Regularizer bias_regularizer{};
  Regularizer activity_regularizer{};
  Constraint kernel_constraint{};
  Constraint bias_constraint{};
  bool trainable = true;
  std::string name{};
  bool reuse = false;
};
/// `tf.layers.dense(inputs, units, …)`: acts on the last axis. With `reuse` the weights of the same name are shared; ValueError when there
/// are none, or when the name is taken without it.
Tensor dense(const Tensor& inputs, int64_t units, const DenseV1Options& options = {});
}  // namespace layers

/// The regularisation terms that the layers collected, symbolic.
Tensors get_regularization_losses();

/// An operation to run for its effect.
struct Operation {
  std::vector<backend::Update> updates;
};
Operation global_variables_initializer();
Operation assign(const Tensor& variable, const Tensor& value);

/// `tf.Session`: runs what is fetched with the values fed.
class Session {
 public:
  using FeedDict = backend::Feeds;
  Tensor run(const Tensor& fetch, const FeedDict& feed_dict = {});
  Tensors run(const Tensors& fetches, const FeedDict& feed_dict = {});
  void run(const Operation& operation, const FeedDict& feed_dict = {});
};

}  // namespace keras::compat::v1
