// What lives here: the draws of keras.random, composed of primitives so that they trace. Seeds and state are in state.cpp.
#include <cfloat>
#include <cmath>

#include <keras/random.h>

#include "core/impl.h"
#include "prims/build.h"

namespace keras::random {

using prims::RandomKind;

static void need_float(DType dtype, const char* what) {
  if (!is_floating(dtype))
    throw ValueError(ErrorText{.what = std::string("keras.random.") + what + " draws floats", .expected = "a float dtype", .received = dtype_name(dtype),
                               .fix = "use randint for whole numbers"}.str());
}
static Tensor draw(const Seed& seed, RandomKind kind, DType dtype, const Shape& shape, double a, double b) {
  return prims::random<Tensor>(seed.key(), kind, dtype, shape, a, b);
}

Tensor uniform(const Shape& shape, const UniformOptions& o) {
  need_float(o.dtype, "uniform");
  return draw(o.seed, RandomKind::Uniform, o.dtype, shape, o.minval, o.maxval);
}
Tensor normal(const Shape& shape, const NormalOptions& o) {
  need_float(o.dtype, "normal");
  return draw(o.seed, RandomKind::Normal, o.dtype, shape, o.mean, o.stddev);
}
Tensor truncated_normal(const Shape& shape, const NormalOptions& o) {
  need_float(o.dtype, "truncated_normal");
  return draw(o.seed, RandomKind::TruncatedNormal, o.dtype, shape, o.mean, o.stddev);
}
Tensor randint(const Shape& shape, int64_t minval, int64_t maxval, const RandintOptions& o) {
  if (!is_integer(o.dtype))
    throw ValueError(ErrorText{.what = "keras.random.randint draws whole numbers", .expected = "an integer dtype", .received = dtype_name(o.dtype),
                               .fix = "use uniform for floats"}.str());
  // The primitive holds its bounds as doubles.
  constexpr int64_t kExact = int64_t{1} << 53;
  if (minval < -kExact || maxval > kExact)
    throw ValueError(ErrorText{.what = "keras.random.randint: the bounds are too large", .expected = "at most 2^53 away from 0",
                               .received = std::to_string(minval) + " and " + std::to_string(maxval)}.str());
  return draw(o.seed, RandomKind::RandInt, o.dtype, shape, static_cast<double>(minval), static_cast<double>(maxval));
}
Tensor bernoulli(const Shape& shape, double p, const Seed& seed) { return draw(seed, RandomKind::Bernoulli, DType::Bool, shape, p, 0); }

Tensor categorical(const Tensor& logits, int64_t num_samples, const RandintOptions& o) {
  if (logits.rank() != 2)
    throw ValueError(ErrorText{.what = "keras.random.categorical: the logits have another rank", .expected = "shape (batch, classes)", .received = logits.shape().str()}.str());
  int64_t batch = logits.shape()[0], classes = logits.shape()[1];
  // Adding Gumbel noise and taking the largest is drawing from the softmax.
  using ir::Ew;
  Tensor u = draw(o.seed, RandomKind::Uniform, DType::Float32, {batch, classes, num_samples}, FLT_MIN, 1.0);
  Tensor gumbel = prims::neg(prims::ew(Ew::log, prims::neg(prims::ew(Ew::log, u))));
  Tensor scores = prims::add(gumbel, prims::reshape(prims::cast(logits, DType::Float32), {batch, classes, 1}));
  return prims::cast(prims::arg_reduce(true, scores, 1), o.dtype);
}

Tensor dropout(const Tensor& inputs, double rate, const DropoutOptions& o) {
  if (!(rate >= 0 && rate <= 1))
    throw ValueError(ErrorText{.what = "keras.random.dropout: the rate is no probability", .expected = "a number from 0 to 1", .received = float_repr(rate)}.str());
  if (rate == 0) return inputs;
  Tensor x = is_floating(inputs.dtype()) ? inputs : prims::cast(inputs, DType::Float32);
  Tensor zero = prims::scalar(x, 0);
  if (rate == 1) return prims::broadcast_to(zero, x.shape());
  Shape noise = x.shape();
  if (o.noise_shape) {
    noise = *o.noise_shape;
    if (noise.rank() > x.rank())
      throw ValueError(ErrorText{.what = "keras.random.dropout: the noise shape has more axes than the input", .expected = "one that broadcasts to " + x.shape().str(),
                                 .received = noise.str()}.str());
    for (int i = 0; i < noise.rank(); ++i)
      if (noise[i] == None) noise[i] = x.shape()[i];
    if (!compatible(broadcast_shapes(noise, x.shape()), x.shape()))
      throw ValueError(ErrorText{.what = "keras.random.dropout: the noise shape does not broadcast to the input", .expected = x.shape().str(), .received = noise.str()}.str());
  }
  double keep = 1.0 - rate;
  Tensor mask = draw(o.seed, RandomKind::Bernoulli, DType::Bool, noise, keep, 0);
  return prims::select(mask, prims::div(x, prims::scalar(x, keep)), zero);
}

Tensor shuffle(const Tensor& x, int axis, const Seed& seed) {
  axis = normalize_axis(axis, x.rank(), "keras.random.shuffle: axis");
  if (!x.shape().is_static()) throw ValueError("keras.random.shuffle needs known sizes, not " + x.shape().str());
  // Several rounds, because two equal words in one round would keep their order.
  double size = static_cast<double>(std::max<int64_t>(1, x.numel()));
  int rounds = static_cast<int>(std::ceil(3 * std::log(size) / std::log(4294967295.0)));
  Tensor key = seed.key(), result = x;
  for (int i = 0; i < rounds; ++i) {
    Tensor pair = core::apply(prims::split_key_prim, {key}, {{"n", int64_t{2}}})[0];
    key = prims::reshape(prims::slice_axis(pair, 0, 0, 1), {2});
    Tensor sub = prims::reshape(prims::slice_axis(pair, 0, 1, 2), {2});
    Tensor bits = prims::random<Tensor>(sub, RandomKind::Bits, DType::UInt32, x.shape(), 0, 0);
    Tensor order = core::apply(prims::argsort_prim, {bits}, {{"axis", int64_t{axis}}, {"descending", int64_t{0}}, {"dtype", DType::Int32}})[0];
    result = prims::take_along_axis(result, order, axis);
  }
  return result;
}

// A draw whose parameters are tensors: in float32 or float64, the parameters with one element or of the result's shape.
static Tensor sample(const ir::Primitive& prim, const char* what, const Shape& shape, Tensors parameters, const SeedOptions& o) {
  need_float(o.dtype, what);
  DType dtype = o.dtype == DType::Float64 ? DType::Float64 : DType::Float32;
  Tensors in{o.seed.key()};
  for (const Tensor& p : parameters) {
    Tensor t = prims::cast(p, dtype);
    if (t.numel() != 1) {
      if (broadcast_shapes(t.shape(), shape) != shape)
        throw ValueError(ErrorText{.what = std::string("keras.random.") + what + ": a parameter does not broadcast to the shape drawn", .expected = shape.str(),
                                   .received = t.shape().str()}.str());
      t = prims::broadcast_to(t, shape);
    }
    in.push_back(t);
  }
  return prims::cast(core::apply(prim, in, {{"dtype", dtype}, {"shape", shape.dims()}})[0], o.dtype);
}
Tensor gamma(const Shape& shape, const Tensor& alpha, const SeedOptions& o) { return sample(prims::random_gamma_prim, "gamma", shape, {alpha}, o); }
Tensor beta(const Shape& shape, const Tensor& alpha, const Tensor& beta, const SeedOptions& o) {
  return sample(prims::random_beta_prim, "beta", shape, {alpha, beta}, o);
}
Tensor binomial(const Shape& shape, const Tensor& counts, const Tensor& probabilities, const SeedOptions& o) {
  return sample(prims::random_binomial_prim, "binomial", shape, {counts, probabilities}, o);
}

}  // namespace keras::random
