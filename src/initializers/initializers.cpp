// What lives here: keras.initializers: the classes, their names and configurations.
#include <cmath>

#include <keras/initializers.h>

#include "core/impl.h"
#include "initializers/orthogonal.h"
#include "initializers/windows.h"
#include "prims/build.h"
#include "serial/factories.h"

namespace keras {

static serial::Factories<InitializerImpl>& factories();

Value InitializerImpl::serialize() const { return factories().object(class_name(), get_config()); }
std::shared_ptr<InitializerImpl> InitializerImpl::get(const Value& identifier) { return factories().get(identifier); }
Tensor InitializerImpl::call_with_axes(const Shape& shape, DType dtype, const std::vector<int64_t>&, const std::vector<int64_t>&) { return call(shape, dtype); }
Tensor InitializerImpl::operator()(const Shape& shape, DType dtype) {
  core::EagerScope eager;
  return call(shape, dtype);
}
void register_initializer(const std::string& class_name, InitializerFactory factory, const std::string& package) {
  factories().add(class_name, std::move(factory), package);
}

namespace initializers {
namespace {

std::string where(const char* name) { return std::string("initializers::") + name; }

// ---- numbers inside configurations, as Keras saves arrays
Value nested(const std::vector<double>& v, const Shape& shape, bool whole, int axis, size_t& at) {
  if (axis == shape.rank()) {
    double x = v[at++];
    return whole ? Value(static_cast<int64_t>(x)) : Value(x);
  }
  List list;
  for (int64_t i = 0; i < shape[axis]; ++i) list.push_back(nested(v, shape, whole, axis + 1, at));
  return list;
}
Value array_value(const Tensor& t) {
  size_t at = 0;
  Value list = nested(t.to_vector<double>(), t.shape(), !is_floating(t.dtype()), 0, at);
  return Dict{{"class_name", "__numpy__"}, {"config", Dict{{"value", list}, {"dtype", dtype_name(t.dtype())}}}};
}
// A number, nested lists of numbers, or a saved array.
Tensor read_array(const Value& v) {
  if (v.is_dict() && (v.get("class_name") == Value("__numpy__") || v.get("class_name") == Value("__tensor__"))) {
    Tensor t = read_array(v.get("config").get("value"));
    const Value& dtype = v.get("config").get("dtype");
    return dtype.is_string() ? t.astype(dtype_from_name(dtype.as_string())) : t;
  }
  Shape shape;
  for (const Value* p = &v; p->is_list(); p = &p->as_list()[0]) {
    shape.push_back(static_cast<int64_t>(p->as_list().size()));
    if (p->as_list().empty()) break;
  }
  std::vector<double> numbers;
  auto walk = [&](auto&& self, const Value& item, int axis) -> void {
    if (item.is_list()) {
      if (axis >= shape.rank() || static_cast<int64_t>(item.as_list().size()) != shape[axis]) throw ValueError("the nested lists of numbers are ragged");
      for (const Value& e : item.as_list()) self(self, e, axis + 1);
      return;
    }
    if (axis != shape.rank()) throw ValueError("the nested lists of numbers are ragged");
    numbers.push_back(item.is_bool() ? item.as_bool() : item.as_float());
  };
  walk(walk, v, 0);
  return Tensor::from<double>(numbers, shape);
}

template <class Options> using Optioned = serial::WithOptions<InitializerImpl, Options>;

// ---- not random
struct ConstantImpl : Optioned<ConstantOptions> {
  explicit ConstantImpl(const ConstantOptions& o) : WithOptions("Constant", o) {
    try {
      values_ = o.value.is_number() || o.value.is_bool() ? Tensor() : read_array(o.value);
    } catch (const Error& e) {
      throw ValueError(ErrorText{.what = std::string("the value is no number and no array: ") + e.what(), .where = where(name_), .received = o.value.str()}.str());
    }
  }
  Tensor call(const Shape& shape, DType dtype) override {
    if (!values_) return Tensor::full(shape, o_.value.is_bool() ? o_.value.as_bool() : o_.value.as_float(), dtype);
    core::EagerScope eager;
    Tensor v = values_.astype(dtype);
    if (broadcast_shapes(v.shape(), shape) != shape)
      throw ValueError(ErrorText{.what = "the values do not broadcast to the shape of the weight", .where = where(name_), .expected = shape.str(), .received = v.shape().str()}.str());
    if (v.shape() == shape) return v;
    return prims::broadcast_to(v, shape);
  }

 private:
  Tensor values_;
};
/// A tensor given in place of an initialiser; saved as the constant that it is.
struct TensorImpl : InitializerImpl {
  Tensor value;
  explicit TensorImpl(Tensor v) : value(std::move(v)) {}
  Tensor call(const Shape& shape, DType dtype) override {
    if (shape != value.shape())
      throw ValueError(ErrorText{.what = "the tensor given as initializer has another shape than the weight", .expected = shape.str(), .received = value.shape().str()}.str());
    return value.astype(dtype);
  }
  std::string class_name() const override { return "Constant"; }
  Dict get_config() const override { return {{"value", array_value(value)}}; }
};
struct FunctionImpl : InitializerImpl {
  Initializer::Function f;
  explicit FunctionImpl(Initializer::Function f) : f(std::move(f)) {}
  Tensor call(const Shape& shape, DType dtype) override { return f(shape, dtype); }
  std::string class_name() const override { return "function"; }
  Value serialize() const override {
    throw ValueError(ErrorText{.what = "an initializer that is a function can't be saved",
                               .fix = "derive a class from keras::InitializerImpl and name it with keras::register_initializer"}.str());
  }
};
struct FillImpl : InitializerImpl {
  const char* name;
  double value;
  FillImpl(const char* name, double value) : name(name), value(value) {}
  Tensor call(const Shape& shape, DType dtype) override { return Tensor::full(shape, value, dtype); }
  std::string class_name() const override { return name; }
};
struct IdentityImpl : Optioned<IdentityOptions> {
  explicit IdentityImpl(const IdentityOptions& o) : WithOptions("Identity", o) {}
  // Keras forgets the gain when it saves; a gain of one's own is worth keeping, and Keras reads it.
  Dict get_config() const override { return o_.gain == 1.0 ? Dict{} : WithOptions::get_config(); }
  Tensor call(const Shape& shape, DType dtype) override {
    if (shape.rank() != 2)
      throw ValueError(ErrorText{.what = "only matrices can start as the identity", .where = where(name_), .expected = "rank 2", .received = shape.str()}.str());
    std::vector<double> v(static_cast<size_t>(shape.numel()), 0.0);
    for (int64_t i = 0; i < std::min(shape[0], shape[1]); ++i) v[static_cast<size_t>(i * shape[1] + i)] = o_.gain;
    return Tensor::from<double>(v, shape).astype(dtype);
  }
};
struct STFTImpl : Optioned<STFTOptions> {
  explicit STFTImpl(const STFTOptions& o) : WithOptions("STFT", o) {
    auto one_of = [&](const std::string& got, const char* option, const std::vector<std::string>& known) {
      if (std::find(known.begin(), known.end(), got) == known.end())
        throw ValueError(ErrorText{.what = std::string("unknown ") + option + " '" + got + "'" + did_you_mean(got, known), .where = where(name_),
                                   .expected = "\"" + known[0] + "\" or \"" + known[1] + "\""}.str());
    };
    one_of(o.side, "side", {"real", "imag"});
    if (o.scaling) one_of(*o.scaling, "scaling", {"density", "spectrum"});
    if (o.window.is_string()) window(o.window.as_string(), 1, false);
  }
  Tensor call(const Shape& shape, DType dtype) override {
    if (shape.rank() != 3)
      throw ValueError(ErrorText{.what = "the shape is none of a Fourier kernel", .where = where(name_), .expected = "(frame length, 1, frequencies)", .received = shape.str()}.str());
    int64_t frame = shape[0], channels = 1, frequencies = shape[2];  // the second size is not used, as in Keras
    std::vector<float> win(static_cast<size_t>(frame), 1.0f);
    float scale = 1;
    if (!o_.window.is_null()) {
      std::vector<double> w = o_.window.is_string() ? window(o_.window.as_string(), frame, o_.periodic) : read_array(o_.window).to_vector<double>();
      if (static_cast<int64_t>(w.size()) != frame)
        throw ValueError(ErrorText{.what = "the window has another length than the frame", .where = where(name_), .expected = std::to_string(frame), .received = std::to_string(w.size())}.str());
      win.assign(w.begin(), w.end());
      float squares = 0, absolutes = 0;
      for (float x : win) squares += x * x, absolutes += std::abs(x);
      if (o_.scaling) scale = *o_.scaling == "density" ? std::sqrt(squares) : absolutes;
    }
    const float pi = std::acos(-1.0f), length = static_cast<float>((frequencies - 1) * 2);
    std::vector<float> kernel;
    for (int64_t t = 0; t < frame; ++t)
      for (int64_t f = 0; f < frequencies; ++f) {
        // Every step rounded to float, as Keras computes it.
        float angle = -2.0f * static_cast<float>(t) * (static_cast<float>(f) / length) * pi;
        float k = o_.side == "real" ? std::cos(angle) : std::sin(angle);
        kernel.push_back(k * win[static_cast<size_t>(t)] / scale);
      }
    return Tensor::from<float>(kernel, {frame, channels, frequencies}).astype(dtype);
  }
};

// ---- random
template <class Options> class RandomBase : public Optioned<Options> {
 public:
  RandomBase(const char* name, const Options& o) : Optioned<Options>(name, o), seed_(o.seed) {
    if (o.seed.is_none()) seed_ = random::Seed(random::default_seed());
  }

 protected:
  random::Seed seed_;
};
struct RandomNormalImpl : RandomBase<RandomNormalOptions> {
  explicit RandomNormalImpl(const RandomNormalOptions& o) : RandomBase("RandomNormal", o) {}
  Tensor call(const Shape& shape, DType dtype) override {
    core::EagerScope eager;
    return random::normal(shape, {.mean = o_.mean, .stddev = o_.stddev, .dtype = dtype, .seed = seed_});
  }
};
struct RandomUniformImpl : RandomBase<RandomUniformOptions> {
  explicit RandomUniformImpl(const RandomUniformOptions& o) : RandomBase("RandomUniform", o) {}
  Tensor call(const Shape& shape, DType dtype) override {
    core::EagerScope eager;
    return random::uniform(shape, {.minval = o_.minval, .maxval = o_.maxval, .dtype = dtype, .seed = seed_});
  }
};
struct TruncatedNormalImpl : RandomBase<TruncatedNormalOptions> {
  explicit TruncatedNormalImpl(const TruncatedNormalOptions& o) : RandomBase("TruncatedNormal", o) {}
  Tensor call(const Shape& shape, DType dtype) override {
    core::EagerScope eager;
    return random::truncated_normal(shape, {.mean = o_.mean, .stddev = o_.stddev, .dtype = dtype, .seed = seed_});
  }
};

struct Scaling {
  double scale;
  std::string mode, distribution;
};
Tensor scaled(const Scaling& s, const random::Seed& seed, const std::optional<std::vector<int64_t>>& input_axes, const std::optional<std::vector<int64_t>>& output_axes,
              const Shape& shape, DType dtype) {
  core::EagerScope eager;
  auto [in, out] = compute_fans(shape, input_axes, output_axes);
  double fan = s.mode == "fan_in" ? static_cast<double>(in) : s.mode == "fan_out" ? static_cast<double>(out) : (static_cast<double>(in) + static_cast<double>(out)) / 2;
  double scale = s.scale / std::max(1.0, fan);
  if (s.distribution == "truncated_normal") {
    constexpr double kStddevOfTruncated = 0.87962566103423978;  // of a standard normal cut off at 2
    return random::truncated_normal(shape, {.stddev = std::sqrt(scale) / kStddevOfTruncated, .dtype = dtype, .seed = seed});
  }
  if (s.distribution == "untruncated_normal") return random::normal(shape, {.stddev = std::sqrt(scale), .dtype = dtype, .seed = seed});
  double limit = std::sqrt(3 * scale);
  return random::uniform(shape, {.minval = -limit, .maxval = limit, .dtype = dtype, .seed = seed});
}
VarianceScalingOptions checked(VarianceScalingOptions o) {
  auto one_of = [](const std::string& got, const char* option, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), got) == known.end())
      throw ValueError(ErrorText{.what = std::string("unknown ") + option + " '" + got + "'" + did_you_mean(got, known), .where = where("VarianceScaling"),
                                 .expected = "\"" + known[0] + "\", \"" + known[1] + "\" or \"" + known[2] + "\""}.str());
  };
  if (!(o.scale > 0)) throw ValueError(ErrorText{.what = "the scale must be positive", .where = where("VarianceScaling"), .received = float_repr(o.scale)}.str());
  one_of(o.mode, "mode", {"fan_in", "fan_out", "fan_avg"});
  for (char& c : o.distribution) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (o.distribution == "normal") o.distribution = "truncated_normal";
  one_of(o.distribution, "distribution", {"truncated_normal", "untruncated_normal", "uniform"});
  return o;
}
struct VarianceScalingImpl : RandomBase<VarianceScalingOptions> {
  explicit VarianceScalingImpl(const VarianceScalingOptions& o) : RandomBase("VarianceScaling", checked(o)) {}
  Tensor call(const Shape& shape, DType dtype) override {
    return scaled({o_.scale, o_.mode, o_.distribution}, seed_, o_.input_axes, o_.output_axes, shape, dtype);
  }
  Tensor call_with_axes(const Shape& shape, DType dtype, const std::vector<int64_t>& in, const std::vector<int64_t>& out) override {
    if (o_.input_axes && o_.output_axes) return call(shape, dtype);
    return scaled({o_.scale, o_.mode, o_.distribution}, seed_, in, out, shape, dtype);
  }
};
struct FanImpl : RandomBase<FanOptions> {
  Scaling scaling;
  FanImpl(const char* name, const Scaling& s, const FanOptions& o) : RandomBase(name, o), scaling(s) {}
  Tensor call(const Shape& shape, DType dtype) override { return scaled(scaling, seed_, o_.input_axes, o_.output_axes, shape, dtype); }
  Tensor call_with_axes(const Shape& shape, DType dtype, const std::vector<int64_t>& in, const std::vector<int64_t>& out) override {
    return o_.input_axes && o_.output_axes ? call(shape, dtype) : scaled(scaling, seed_, in, out, shape, dtype);
  }
};
struct FanRow {
  const char *name, *snake;
  Scaling scaling;
};
const FanRow kGlorotNormal{"GlorotNormal", "glorot_normal", {1.0, "fan_avg", "truncated_normal"}}, kGlorotUniform{"GlorotUniform", "glorot_uniform", {1.0, "fan_avg", "uniform"}},
    kHeNormal{"HeNormal", "he_normal", {2.0, "fan_in", "truncated_normal"}}, kHeUniform{"HeUniform", "he_uniform", {2.0, "fan_in", "uniform"}},
    kLecunNormal{"LecunNormal", "lecun_normal", {1.0, "fan_in", "truncated_normal"}}, kLecunUniform{"LecunUniform", "lecun_uniform", {1.0, "fan_in", "uniform"}};
std::shared_ptr<InitializerImpl> make_fan(const FanRow& row, const FanOptions& o) { return std::make_shared<FanImpl>(row.name, row.scaling, o); }

struct OrthogonalImpl : RandomBase<OrthogonalOptions> {
  explicit OrthogonalImpl(const OrthogonalOptions& o) : RandomBase("Orthogonal", o) {}
  Tensor call(const Shape& shape, DType dtype) override {
    if (shape.rank() < 2)
      throw ValueError(ErrorText{.what = "only weights of two axes or more can start orthogonal", .where = where(name_), .received = shape.str()}.str());
    core::EagerScope eager;
    int64_t cols = shape.back(), rows = cols ? shape.numel() / cols : 0;
    int64_t m = std::max(rows, cols), n = std::min(rows, cols);
    DType drawn = dtype == DType::Float64 ? dtype : DType::Float32;
    if (!is_floating(dtype)) throw ValueError(ErrorText{.what = "a dtype of whole numbers can't start orthogonal", .where = where(name_), .received = dtype_name(dtype)}.str());
    std::vector<double> q = orthogonal_factor(random::normal({m, n}, {.dtype = drawn, .seed = seed_}).to_vector<double>(), m, n);
    std::vector<double> out(q.size());
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) out[static_cast<size_t>(rows < cols ? j * m + i : i * n + j)] = o_.gain * q[static_cast<size_t>(i * n + j)];
    return Tensor::from<double>(out, shape).astype(dtype);
  }
};

using Entry = serial::Factories<InitializerImpl>::Entry;
template <class Object, class Options> auto make(const char* name) { return serial::maker<Object, Options, InitializerImpl>("initializers::", name); }
std::vector<Entry> builtins() {
  std::vector<Entry> t;
  auto add = [&](std::initializer_list<const char*> names, serial::Factories<InitializerImpl>::Make f) {
    for (const char* n : names) t.push_back({n, f});
  };
  add({"Zeros", "zeros", "zero"}, [](const Dict&) { return std::make_shared<FillImpl>("Zeros", 0); });
  add({"Ones", "ones", "one"}, [](const Dict&) { return std::make_shared<FillImpl>("Ones", 1); });
  add({"Constant", "constant"}, make<ConstantImpl, ConstantOptions>("Constant"));
  add({"Identity", "identity", "IdentityInitializer"}, make<IdentityImpl, IdentityOptions>("Identity"));
  add({"STFT", "stft", "STFTInitializer"}, make<STFTImpl, STFTOptions>("STFT"));
  add({"RandomNormal", "random_normal", "normal"}, make<RandomNormalImpl, RandomNormalOptions>("RandomNormal"));
  add({"RandomUniform", "random_uniform", "uniform"}, make<RandomUniformImpl, RandomUniformOptions>("RandomUniform"));
  add({"TruncatedNormal", "truncated_normal"}, make<TruncatedNormalImpl, TruncatedNormalOptions>("TruncatedNormal"));
  add({"VarianceScaling", "variance_scaling"}, make<VarianceScalingImpl, VarianceScalingOptions>("VarianceScaling"));
  for (const FanRow* row : {&kGlorotNormal, &kGlorotUniform, &kHeNormal, &kHeUniform, &kLecunNormal, &kLecunUniform})
    add({row->name, row->snake}, [row](const Dict& config) { return make_fan(*row, serial::read_options<FanOptions>(config, where(row->name))); });
  add({"Orthogonal", "orthogonal", "OrthogonalInitializer"}, make<OrthogonalImpl, OrthogonalOptions>("Orthogonal"));
  return t;
}

}  // namespace

std::pair<int64_t, int64_t> compute_fans(const Shape& shape, const std::optional<std::vector<int64_t>>& input_axes, const std::optional<std::vector<int64_t>>& output_axes) {
  auto product = [&](const std::vector<int64_t>& axes) {
    int64_t n = 1;
    for (int64_t a : axes) n *= shape[static_cast<int>(a)];
    return n;
  };
  if (input_axes && output_axes) return {product(*input_axes), product(*output_axes)};
  if (shape.rank() == 0) return {1, 1};
  if (shape.rank() == 1) return {shape[0], shape[0]};
  int64_t field = shape.slice(0, -2).numel();
  return {shape[-2] * field, shape[-1] * field};
}
std::vector<std::string> names() { return factories().names(); }

Zeros::Zeros() : Initializer(std::make_shared<FillImpl>("Zeros", 0)) {}
Ones::Ones() : Initializer(std::make_shared<FillImpl>("Ones", 1)) {}
Constant::Constant(const ConstantOptions& o) : Initializer(std::make_shared<ConstantImpl>(o)) {}
Constant::Constant(double value) : Constant(ConstantOptions{value}) {}
Constant::Constant(int64_t value) : Constant(ConstantOptions{value}) {}
ConstantOptions Constant::of(const Tensor& value) { return {array_value(value)}; }
Identity::Identity(const IdentityOptions& o) : Initializer(std::make_shared<IdentityImpl>(o)) {}
STFT::STFT(const STFTOptions& o) : Initializer(std::make_shared<STFTImpl>(o)) {}
RandomNormal::RandomNormal(const RandomNormalOptions& o) : Initializer(std::make_shared<RandomNormalImpl>(o)) {}
RandomUniform::RandomUniform(const RandomUniformOptions& o) : Initializer(std::make_shared<RandomUniformImpl>(o)) {}
TruncatedNormal::TruncatedNormal(const TruncatedNormalOptions& o) : Initializer(std::make_shared<TruncatedNormalImpl>(o)) {}
VarianceScaling::VarianceScaling(const VarianceScalingOptions& o) : Initializer(std::make_shared<VarianceScalingImpl>(o)) {}
GlorotNormal::GlorotNormal(const FanOptions& o) : Initializer(make_fan(kGlorotNormal, o)) {}
GlorotUniform::GlorotUniform(const FanOptions& o) : Initializer(make_fan(kGlorotUniform, o)) {}
HeNormal::HeNormal(const FanOptions& o) : Initializer(make_fan(kHeNormal, o)) {}
HeUniform::HeUniform(const FanOptions& o) : Initializer(make_fan(kHeUniform, o)) {}
LecunNormal::LecunNormal(const FanOptions& o) : Initializer(make_fan(kLecunNormal, o)) {}
LecunUniform::LecunUniform(const FanOptions& o) : Initializer(make_fan(kLecunUniform, o)) {}
Orthogonal::Orthogonal(const OrthogonalOptions& o) : Initializer(std::make_shared<OrthogonalImpl>(o)) {}

}  // namespace initializers

static serial::Factories<InitializerImpl>& factories() {
  static serial::Factories<InitializerImpl> f("initializer", initializers::builtins());
  return f;
}
Initializer::Initializer(const Tensor& value) : Initializer(std::shared_ptr<InitializerImpl>(std::make_shared<initializers::TensorImpl>(value))) {}
std::shared_ptr<InitializerImpl> Initializer::from_function(Function function) {
  if (!function) return nullptr;
  return std::make_shared<initializers::FunctionImpl>(std::move(function));
}

}  // namespace keras
