// What lives here: keras.initializers: how weights start.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <keras/base/value.h>
#include <keras/config.h>
#include <keras/core/tensor.h>
#include <keras/random.h>
#include <keras/serial/fields.h>
#include <keras/serial/spec.h>

namespace keras {

/// An initialiser: makes the first value of a weight. Derive from it for one's own, and name it with `register_initializer` so that
/// saved models can be read.
class InitializerImpl {
 public:
  virtual ~InitializerImpl() = default;
  /// Numbers of this shape and dtype.
  virtual Tensor call(const Shape& shape, DType dtype) = 0;
  /// The same for a weight that knows which of its axes are inputs and which outputs; only those that scale by fans listen.
  virtual Tensor call_with_axes(const Shape& shape, DType dtype, const std::vector<int64_t>& input_axes, const std::vector<int64_t>& output_axes);
  virtual std::string class_name() const = 0;
  virtual Dict get_config() const { return {}; }
  /// Keras' saved form; initialisers of one's own are marked with their registered name.
  virtual Value serialize() const;
  /// Another of the same configuration.
  std::shared_ptr<InitializerImpl> clone() const { return get(serialize()); }
  /// Concrete numbers, also while a step is being traced.
  Tensor operator()(const Shape& shape, DType dtype = config::floatx_dtype());
  /// From a name ("glorot_uniform", "GlorotUniform") or a saved configuration; null for null. ValueError naming the nearest otherwise.
  static std::shared_ptr<InitializerImpl> get(const Value& identifier);
};

/// A name, a saved configuration, an object of initializers::…, a function of shape and dtype, or a tensor of the weight's shape.
class Initializer : public Spec<InitializerImpl> {
 public:
  using Function = std::function<Tensor(const Shape&, DType)>;
  using Spec::Spec;
  Initializer(const Tensor& value);
  template <class F>
    requires(std::is_invocable_r_v<Tensor, const F&, const Shape&, DType> && !std::is_base_of_v<Spec<InitializerImpl>, F>)
  Initializer(F function) : Initializer(from_function(std::move(function))) {}
  Tensor operator()(const Shape& shape, DType dtype = config::floatx_dtype()) const { return (*object())(shape, dtype); }

 private:
  static std::shared_ptr<InitializerImpl> from_function(Function function);
};

/// Makes `class_name` readable from names and saved models. `package` is what Keras calls it in register_keras_serializable.
using InitializerFactory = std::function<std::shared_ptr<InitializerImpl>(const Dict& config)>;
void register_initializer(const std::string& class_name, InitializerFactory factory, const std::string& package = "Custom");

namespace initializers {

/// The object of a name or saved configuration, and back.
inline std::shared_ptr<InitializerImpl> get(const Value& identifier) { return InitializerImpl::get(identifier); }
inline std::shared_ptr<InitializerImpl> deserialize(const Value& config) { return InitializerImpl::get(config); }
inline Value serialize(const Initializer& initializer) { return initializer.serialize(); }
/// Names that `get` knows.
std::vector<std::string> names();
/// Number of inputs and outputs of a weight.
std::pair<int64_t, int64_t> compute_fans(const Shape& shape, const std::optional<std::vector<int64_t>>& input_axes = {},
                                         const std::optional<std::vector<int64_t>>& output_axes = {});

struct Zeros : Initializer {
  Zeros();
};
struct Ones : Initializer {
  Ones();
};
struct ConstantOptions {
  Value value = 0.0;
  KERAS_FIELDS(value)
};
/// One number everywhere, or the numbers of a tensor (broadcast).
struct Constant : Initializer {
  Constant(const ConstantOptions& options = {});
  Constant(double value);
  Constant(int64_t value);
  Constant(int value) : Constant(int64_t{value}) {}
  /// A template, so that `Constant({.value = 2})` is no tensor.
  template <std::same_as<Tensor> T> Constant(const T& value) : Constant(of(value)) {}

 private:
  static ConstantOptions of(const Tensor& value);
};
struct IdentityOptions {
  double gain = 1.0;
  KERAS_FIELDS(gain)
};
/// Ones on the diagonal of a matrix, times gain.
struct Identity : Initializer {
  Identity(const IdentityOptions& options = {});
  KERAS_EMPTY_BRACES(Identity)
};
struct STFTOptions {
  std::string side = "real";
  /// A name of scipy.signal.windows, numbers, or null.
  Value window = "hann";
  std::optional<std::string> scaling = "density";
  bool periodic = false;
  KERAS_FIELDS(side, window, periodic, scaling)
};
/// Kernels (frame length, 1, frequencies) of a short-time Fourier transform.
struct STFT : Initializer {
  STFT(const STFTOptions& options = {});
  KERAS_EMPTY_BRACES(STFT)
};

// The random ones. Without a seed one is drawn when the object is made; a number gives the same values on every call.
struct RandomNormalOptions {
  double mean = 0.0, stddev = 0.05;
  random::Seed seed{};
  KERAS_FIELDS(seed, mean, stddev)
};
struct RandomNormal : Initializer {
  RandomNormal(const RandomNormalOptions& options = {});
  KERAS_EMPTY_BRACES(RandomNormal)
};
struct RandomUniformOptions {
  double minval = -0.05, maxval = 0.05;
  random::Seed seed{};
  KERAS_FIELDS(seed, minval, maxval)
};
struct RandomUniform : Initializer {
  RandomUniform(const RandomUniformOptions& options = {});
  KERAS_EMPTY_BRACES(RandomUniform)
};
struct TruncatedNormalOptions {
  double mean = 0.0, stddev = 0.05;
  random::Seed seed{};
  KERAS_FIELDS(seed, mean, stddev)
};
/// Normal, cut off at two standard deviations.
struct TruncatedNormal : Initializer {
  TruncatedNormal(const TruncatedNormalOptions& options = {});
  KERAS_EMPTY_BRACES(TruncatedNormal)
};
struct VarianceScalingOptions {
  double scale = 1.0;
  /// "fan_in", "fan_out" or "fan_avg".
  std::string mode = "fan_in";
  /// "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
  std::string distribution = "truncated_normal";
  random::Seed seed{};
  std::optional<std::vector<int64_t>> input_axes{}, output_axes{};
  KERAS_FIELDS(seed, scale, mode, distribution, input_axes, output_axes)
};
/// Variance scale / fan.
struct VarianceScaling : Initializer {
  VarianceScaling(const VarianceScalingOptions& options = {});
  KERAS_EMPTY_BRACES(VarianceScaling)
};
struct FanOptions {
  random::Seed seed{};
  std::optional<std::vector<int64_t>> input_axes{}, output_axes{};
  KERAS_FIELDS(seed, input_axes, output_axes)
};
struct GlorotNormal : Initializer {
  GlorotNormal(const FanOptions& options = {});
  KERAS_EMPTY_BRACES(GlorotNormal)
};
struct GlorotUniform : Initializer {
  GlorotUniform(const FanOptions& options = {});
  KERAS_EMPTY_BRACES(GlorotUniform)
};
struct HeNormal : Initializer {
  HeNormal(const FanOptions& options = {});
  KERAS_EMPTY_BRACES(HeNormal)
};
struct HeUniform : Initializer {
  HeUniform(const FanOptions& options = {});
  KERAS_EMPTY_BRACES(HeUniform)
};
struct LecunNormal : Initializer {
  LecunNormal(const FanOptions& options = {});
  KERAS_EMPTY_BRACES(LecunNormal)
};
struct LecunUniform : Initializer {
  LecunUniform(const FanOptions& options = {});
  KERAS_EMPTY_BRACES(LecunUniform)
};
struct OrthogonalOptions {
  double gain = 1.0;
  random::Seed seed{};
  KERAS_FIELDS(seed, gain)
};
/// Orthogonal rows or columns, whichever are fewer, times gain.
struct Orthogonal : Initializer {
  Orthogonal(const OrthogonalOptions& options = {});
  KERAS_EMPTY_BRACES(Orthogonal)
};

}  // namespace initializers
}  // namespace keras
