// What lives here: keras.backend, the classic K.* functions: placeholders, variables, evaluation with fed values, gradients, and the
// functions of tensors under their old names. What a K.* function computes is what keras::ops computes.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/config.h>
#include <keras/core/function.h>
#include <keras/core/tensor.h>
#include <keras/ops.h>

namespace keras::backend {

// ---- placeholders, variables, constants

struct PlaceholderOptions {
  std::optional<std::string> dtype{};
  std::string name{};
  /// With a rank alone all sizes are None.
  std::optional<int> ndim{};
};
/// A symbolic tensor to be fed: `K::placeholder({2, 3})`. Sizes may be None.
Tensor placeholder(const Shape& shape, const PlaceholderOptions& options = {});
Tensor placeholder(const PlaceholderOptions& options);
bool is_placeholder(const Tensor& x);

/// A symbolic tensor that stands for state: `get_value`, `set_value` and the `update`s reach it, gradients go to it.
Tensor variable(const Tensor& value, const std::string& dtype = "", const std::string& name = "");
Tensor constant(const Tensor& value, const std::string& dtype = "", const std::optional<Shape>& shape = {}, const std::string& name = "");
Tensor zeros(const Shape& shape, const std::string& dtype = "");
Tensor ones(const Shape& shape, const std::string& dtype = "");
Tensor eye(int64_t size, const std::string& dtype = "");
Tensor zeros_like(const Tensor& x, const std::string& dtype = "");
Tensor ones_like(const Tensor& x, const std::string& dtype = "");

/// The shape of a tensor as something that functions making tensors take, known when values are fed: `K::ones(K::shape(x))`.
struct SymbolicShape {
  Tensor of;
};
SymbolicShape shape(const Tensor& x);
/// The shape as numbers, uint32, evaluated like any tensor.
Tensor shape_tensor(const Tensor& x);
Tensor ones(const SymbolicShape& shape, const std::string& dtype = "");
Tensor zeros(const SymbolicShape& shape, const std::string& dtype = "");

/// Keras' name of a dtype: "int" and "double" are names too, nothing is floatx. ValueError on an unknown one.
std::string standardize_dtype(const std::string& dtype = "");
inline std::string standardize_dtype(DType dtype) { return dtype_name(dtype); }
bool is_float_dtype(const std::string& dtype);
bool is_int_dtype(const std::string& dtype);
/// The dtype that values of these dtypes together become: `result_type("int32", "float16")` is "float16".
std::string result_type(const std::vector<std::string>& dtypes);
/// 1, 2, … for each prefix, from 1 again after `clear_session`.
int64_t get_uid(const std::string& prefix = "");

/// The shape with None where a size is unknown.
const Shape& int_shape(const Tensor& x);
int ndim(const Tensor& x);
std::string dtype(const Tensor& x);
int64_t count_params(const Tensor& x);
bool is_keras_tensor(const Tensor& x);

// ---- evaluation

using Feeds = std::vector<std::pair<Tensor, Tensor>>;
/// The numbers of a tensor, with values fed for the placeholders that it depends on. ValueError names a placeholder that was not fed, or a
/// value of another shape.
Tensor eval(const Tensor& x, const Feeds& feeds = {});
Tensors eval(const Tensors& xs, const Feeds& feeds = {});
Tensor get_value(const Tensor& x);
void set_value(const Tensor& variable, const Tensor& value);
Tensors batch_get_value(const Tensors& xs);

/// An assignment that a `function` carries out.
struct Update {
  Tensor variable, value;
};
Update update(const Tensor& variable, const Tensor& new_value);
Update update_add(const Tensor& variable, const Tensor& increment);
Update update_sub(const Tensor& variable, const Tensor& decrement);
Update moving_average_update(const Tensor& variable, const Tensor& value, double momentum);

/// A compiled function from placeholders to tensors: `auto f = K::function({x, y}, {z}); f({xv, yv})`.
class FunctionOf {
 public:
  FunctionOf(Tensors inputs, Tensors outputs, std::vector<Update> updates = {});
  Tensors operator()(const Tensors& values) const;

 private:
  Tensors inputs_;
  Function run_;
};
FunctionOf function(const Tensors& inputs, const Tensors& outputs, const std::vector<Update>& updates = {});

/// Symbolic gradients of the sum of `loss` by variables, placeholders or tensors between.
Tensors gradients(const Tensor& loss, const Tensors& variables);

// ---- products

/// As NumPy's dot: the last axis of x with the last but one of y: (2, 2, 3) · (3, 4) → (2, 2, 4).
Tensor dot(const Tensor& x, const Tensor& y);
/// The axes to contract, counted with the batch axis 0: one for both, or one each. Default: the last of x, the last but one of y.
using DotAxes = std::optional<std::pair<int, int>>;
/// Products of the samples of two batches: the axes are contracted, the batch axis is shared, the other axes of x come first, then those
/// of y: (36, 8, 24) with itself over axes 1 is (36, 24, 24), over axes 2 (36, 8, 8). The axes count the batch axis: `Input({36, 8, 24})`
/// has rank 4, so its axis 1 is the 36. ValueError on axis 0: the batch axis can't be contracted.
Tensor batch_dot(const Tensor& x, const Tensor& y, DotAxes axes = {});
inline Tensor batch_dot(const Tensor& x, const Tensor& y, int axis) { return batch_dot(x, y, DotAxes({axis, axis})); }
/// How an older TensorFlow backend read equal axes: as a matrix product of the last two axes, with one side transposed, whatever the rank;
/// axes = 0 on rank 3 counted as 1. For rank 3 it is `batch_dot`; for `Input({36, 8, 24})` axes 1 and 2 both give (None, 36, 24, 24).
Tensor batch_dot_tf1(const Tensor& x, const Tensor& y, int axis);
/// Adds a bias of one axis, or of all axes but the batch; `data_format` "channels_first" puts the one axis at 1.
Tensor bias_add(const Tensor& x, const Tensor& bias, const std::string& data_format = config::image_data_format());

// ---- the functions of keras::ops under their old names
Tensor abs(const Tensor& x);
Tensor all(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor any(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor argmax(const Tensor& x, int axis = -1);
Tensor argmin(const Tensor& x, int axis = -1);
Tensor arange(int64_t start, std::optional<int64_t> stop = {}, int64_t step = 1, const std::string& dtype = "int32");
Tensor batch_flatten(const Tensor& x);
Tensor batch_normalization(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& beta, const Tensor& gamma, int axis = -1, double epsilon = 1e-3);
Tensor binary_crossentropy(const Tensor& target, const Tensor& output, bool from_logits = false);
Tensor categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits = false, int axis = -1);
Tensor sparse_categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits = false, int axis = -1);
Tensor cast(const Tensor& x, const std::string& dtype);
Tensor cast_to_floatx(const Tensor& x);
Tensor clip(const Tensor& x, double min_value, double max_value);
Tensor concatenate(const Tensors& xs, int axis = -1);
Tensor cos(const Tensor& x);
Tensor cumsum(const Tensor& x, int axis = 0);
Tensor cumprod(const Tensor& x, int axis = 0);
Tensor dropout(const Tensor& x, double level, const std::optional<Shape>& noise_shape = {}, std::optional<int64_t> seed = {});
Tensor elu(const Tensor& x, double alpha = 1.0);
Tensor equal(const Tensor& x, const Tensor& y);
Tensor exp(const Tensor& x);
Tensor expand_dims(const Tensor& x, int axis = -1);
Tensor flatten(const Tensor& x);
Tensor gather(const Tensor& reference, const Tensor& indices);
Tensor greater(const Tensor& x, const Tensor& y);
Tensor greater_equal(const Tensor& x, const Tensor& y);
Tensor hard_sigmoid(const Tensor& x);
Tensor in_top_k(const Tensor& predictions, const Tensor& targets, int k);
Tensor l2_normalize(const Tensor& x, const Axes& axis = {});
Tensor less(const Tensor& x, const Tensor& y);
Tensor less_equal(const Tensor& x, const Tensor& y);
Tensor log(const Tensor& x);
Tensor logsumexp(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor max(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor maximum(const Tensor& x, const Tensor& y);
Tensor mean(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor min(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor minimum(const Tensor& x, const Tensor& y);
Tensor not_equal(const Tensor& x, const Tensor& y);
Tensor one_hot(const Tensor& indices, int64_t num_classes);
Tensor permute_dimensions(const Tensor& x, const std::vector<int>& pattern);
Tensor pow(const Tensor& x, double a);
Tensor prod(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor random_normal(const Shape& shape, double mean = 0.0, double stddev = 1.0, const std::string& dtype = "", std::optional<int64_t> seed = {});
Tensor random_uniform(const Shape& shape, double minval = 0.0, double maxval = 1.0, const std::string& dtype = "", std::optional<int64_t> seed = {});
Tensor random_bernoulli(const Shape& shape, double p = 0.0, const std::string& dtype = "", std::optional<int64_t> seed = {});
Tensor truncated_normal(const Shape& shape, double mean = 0.0, double stddev = 1.0, const std::string& dtype = "", std::optional<int64_t> seed = {});
Tensor random_normal_variable(const Shape& shape, double mean, double scale, const std::string& dtype = "", std::optional<int64_t> seed = {});
Tensor random_uniform_variable(const Shape& shape, double low, double high, const std::string& dtype = "", std::optional<int64_t> seed = {});
Tensor relu(const Tensor& x, double alpha = 0.0, std::optional<double> max_value = {}, double threshold = 0.0);
/// (batch, features) → (batch, n, features).
Tensor repeat(const Tensor& x, int64_t n);
Tensor repeat_elements(const Tensor& x, int64_t rep, int axis);
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor reverse(const Tensor& x, const Axes& axes);
Tensor round(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor softmax(const Tensor& x, int axis = -1);
Tensor softplus(const Tensor& x);
Tensor softsign(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor squeeze(const Tensor& x, int axis);
Tensor stack(const Tensors& xs, int axis = 0);
Tensor std(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor stop_gradient(const Tensor& x);
Tensor sum(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor switch_(const Tensor& condition, const Tensor& then_expression, const Tensor& else_expression);
Tensor tanh(const Tensor& x);
Tensor temporal_padding(const Tensor& x, std::pair<int64_t, int64_t> padding = {1, 1});
Tensor spatial_2d_padding(const Tensor& x, std::pair<int64_t, int64_t> rows = {1, 1}, std::pair<int64_t, int64_t> cols = {1, 1}, const std::string& data_format = config::image_data_format());
Tensor tile(const Tensor& x, const Sizes& n);
Tensor transpose(const Tensor& x);
Tensor var(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor conv1d(const Tensor& x, const Tensor& kernel, int64_t strides = 1, const std::string& padding = "valid", const std::string& data_format = config::image_data_format(), int64_t dilation_rate = 1);
Tensor conv2d(const Tensor& x, const Tensor& kernel, const Sizes& strides = 1, const std::string& padding = "valid", const std::string& data_format = config::image_data_format(), const Sizes& dilation_rate = 1);
Tensor conv3d(const Tensor& x, const Tensor& kernel, const Sizes& strides = 1, const std::string& padding = "valid", const std::string& data_format = config::image_data_format(), const Sizes& dilation_rate = 1);
Tensor pool2d(const Tensor& x, const Sizes& pool_size, const Sizes& strides = 1, const std::string& padding = "valid", const std::string& data_format = config::image_data_format(), const std::string& pool_mode = "max");
Tensor map_fn(const std::function<Tensor(const Tensor&)>& fn, const Tensor& elems);

// ---- settings of the session
using config::backend;
using config::epsilon;
using config::floatx;
using config::image_data_format;
using config::set_epsilon;
using config::set_floatx;
using config::set_image_data_format;
/// Forgets automatic names, the library's seeds and the dtype policy that was set, as at the start.
void clear_session();

}  // namespace keras::backend

namespace keras {
namespace K = backend;
}
