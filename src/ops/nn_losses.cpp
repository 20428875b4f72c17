// What lives here: keras.ops' encodings, crossentropies, normalisation and attention.
#include <algorithm>
#include <cmath>

#include <keras/ops/math.h>
#include <keras/ops/linalg.h>
#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

Tensor one_hot(const Tensor& x, int64_t num_classes, int axis, OptDType dtype) {
  DType t = dtype.value_or(config::floatx_dtype());
  return frame(
      "OneHot",
      [&] {
        return ArgDict{kw("num_classes", num_classes), kw("axis", axis), kw("dtype", t)};
      },
      [=](const Tensor& a0) {
        Tensor a = a0.dtype() == DType::Bool ? as(a0, DType::Int32) : a0;
        int at = normalize_axis(axis, a.rank() + 1, "one_hot");
        Shape s = a.shape(), line(std::vector<int64_t>(a.shape().size() + 1, 1));
        s.insert(at, 1);
        line[at] = num_classes;
        // Small integer types could not count all classes.
        if (dtype_size(a.dtype()) < 4) a = as(a, is_floating(a.dtype()) ? DType::Float32 : DType::Int32);
        return as(p::ew(Ew::equal, p::reshape(a, s), p::reshape(iota(a.dtype(), Shape{num_classes}, 0), line)), t);
      },
      x);
}
Tensor multi_hot(const Tensor& inputs, int64_t num_classes, int axis, OptDType dtype) {
  DType t = dtype.value_or(config::floatx_dtype());
  return frame(
      "MultiHot",
      [&] {
        return ArgDict{kw("num_classes", num_classes), kw("axis", axis), kw("dtype", t)};
      },
      [=](const Tensor& a) {
        Tensor hot = one_hot(as(a, DType::Int32), num_classes, axis, DType::Bool);
        return as(p::reduce(p::reduce_or_prim, hot, Ints{a.rank() > 1 ? 1 : 0}), t);
      },
      inputs);
}

// ---- crossentropies
static void same_shapes(const Tensor& target, const Tensor& output, const char* where) {
  if (target.rank() != output.rank() || !compatible(target.shape(), output.shape()))
    shape_error(where, "`target` and `output` must have the same shape", target.shape().str() + " as target",
                output.shape().str() + " as output");
}
/// Logarithms of probabilities, kept away from 0 and 1 as Keras does.
static Tensor log_probabilities(const Tensor& output, bool from_logits, int axis) {
  Tensor f = as_float(output);
  if (from_logits) return log_softmax(f, axis);
  Tensor share = p::div(f, p::reduce_sum(f, Ints{axis}, true));
  return p::ew(Ew::log, p::ew(Ew::minimum, p::ew(Ew::maximum, share, num(f, config::epsilon())), num(f, 1 - config::epsilon())));
}
Tensor categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits, int axis) {
  return frame(
      "CategoricalCrossentropy",
      [&] {
        return ArgDict{kw("from_logits", from_logits), kw("axis", axis)};
      },
      [=](const Tensor& y, const Tensor& o) {
        same_shapes(y, o, "categorical_crossentropy");
        if (o.rank() < 1) shape_error("categorical_crossentropy", "scalars have no class axis", "rank 1 or more", o.shape().str());
        int along = axis_of(axis, o, "categorical_crossentropy");
        auto [a, b] = promoted(y, log_probabilities(o, from_logits, along));
        return p::neg(p::reduce_sum(p::mul(a, b), Ints{along}));
      },
      target, output);
}
Tensor sparse_categorical_crossentropy(const Tensor& target, const Tensor& output, bool from_logits, int axis) {
  return frame(
      "SparseCategoricalCrossentropy",
      [&] {
        return ArgDict{kw("from_logits", from_logits), kw("axis", axis)};
      },
      [=](const Tensor& y0, const Tensor& o) {
        if (o.rank() < 1)
          shape_error("sparse_categorical_crossentropy", "scalars have no class axis", "`output` of rank 1 or more", o.shape().str());
        Tensor y = as(y0, DType::Int32);
        if (y.rank() == o.rank() && y.shape()[-1] == 1) y = drop_axes(y, Ints{y.rank() - 1});
        Shape want = o.shape().slice(0, o.rank() - 1);
        if (y.rank() != want.rank() || !compatible(y.shape(), want))
          shape_error("sparse_categorical_crossentropy", "`target` and `output` must have the same shape up until the last axis",
                      "target " + want.str(), y0.shape().str());
        int along = axis_of(axis, o, "sparse_categorical_crossentropy");
        Tensor log_prob = log_probabilities(o, from_logits, along);
        int64_t classes = o.shape()[along];
        if (is_half(log_prob.dtype())) log_prob = as(log_prob, DType::Float32);  // the classes are float32 in Keras
        Tensor hot = one_hot(y, classes < 0 ? 1 : classes, along, log_prob.dtype());
        return p::neg(p::reduce_sum(p::mul(hot, log_prob), Ints{along}));
      },
      target, output);
}
Tensor binary_crossentropy(const Tensor& target, const Tensor& output, bool from_logits) {
  return frame(
      "BinaryCrossentropy", [&] { return ArgDict{kw("from_logits", from_logits)}; },
      [=](const Tensor& y0, const Tensor& o0) {
        same_shapes(y0, o0, "binary_crossentropy");
        DType t = float_type(promote(y0, o0));
        Tensor y = as(y0, t), o = as(o0, t), one = num(y, 1), log_yes, log_no;
        if (from_logits) {  // log sigmoid of o and of -o
          log_yes = p::neg(p::ew(Ew::softplus, p::neg(o)));
          log_no = p::neg(p::ew(Ew::softplus, o));
        } else {
          o = p::ew(Ew::minimum, p::ew(Ew::maximum, o, num(o, config::epsilon())), num(o, 1 - config::epsilon()));
          log_yes = p::ew(Ew::log, o);
          log_no = p::ew(Ew::log, p::sub(one, o));
        }
        return p::neg(p::add(p::mul(y, log_yes), p::mul(p::sub(one, y), log_no)));
      },
      target, output);
}

// ---- normalisation
std::pair<Tensor, Tensor> moments(const Tensor& x, const Axes& axes, bool keepdims, bool synchronized) {
  if (synchronized)
    throw NotImplementedError(
        ErrorText{.what = "moments over several devices", .where = "moments", .expected = "synchronized = false", .received = "true"}.str());
  return frame(
      "Moments",
      [&] {
        return ArgDict{kw("axes", axes), kw("keepdims", keepdims), kw("synchronized", synchronized)};
      },
      [=](const Tensor& a) {
        Ints along = axes.resolve(a.rank(), "moments");
        DType t = float_type(a.dtype());
        Tensor f = as(a, is_half(t) ? DType::Float32 : t);
        int64_t n = 1;
        for (int64_t i : along) n = times(n, f.shape()[static_cast<int>(i)]);
        Tensor count = num(f, n < 0 ? 1 : static_cast<double>(n));
        Tensor mean = p::div(p::reduce_sum(f, along, true), count);
        Tensor variance = p::div(p::reduce_sum(p::ew(Ew::square, p::sub(f, mean)), along, true), count);
        if (!keepdims) mean = drop_axes(mean, along), variance = drop_axes(variance, along);
        auto back = [&](const Tensor& v) {
          return is_half(t) ? as(p::ew(Ew::minimum, p::ew(Ew::maximum, v, num(v, -65504)), num(v, 65504)), t) : v;
        };
        return std::pair<Tensor, Tensor>(back(mean), back(variance));
      },
      x);
}
Tensor normalize(const Tensor& x, const Axes& axis, double order, std::optional<double> epsilon) {
  if (!(order >= 1) || !std::isfinite(order) || order != std::floor(order))
    throw ValueError(
        ErrorText{.what = "`order` must be a whole number of at least 1", .where = "normalize", .received = float_repr(order)}.str());
  double eps = epsilon.value_or(config::epsilon());
  return frame(
      "Normalize",
      [&] {
        return ArgDict{kw("axis", axis), kw("order", order), kw("epsilon", epsilon)};
      },
      [=](const Tensor& a) {
        Tensor f = as_float(a);
        if (f.rank() == 0) f = p::reshape(f, Shape{1});
        Ints axes = axis.resolve(f.rank(), "normalize");
        if (order == 2) {
          Tensor inverse = p::ew(Ew::rsqrt, p::reduce_sum(p::ew(Ew::square, f), axes, true));
          return p::mul(f, p::ew(Ew::minimum, inverse, num(f, 1 / eps)));
        }
        // Along one axis the norm of vectors; two axes, or none of a matrix, are the norm of matrices, as keras.ops.norm has them.
        Tensor norm = abstract_trace() ? p::reduce_sum(f, axes, true) : ops::norm(f, order, axis, true);
        return p::div(f, p::ew(Ew::maximum, norm, num(f, eps)));
      },
      x);
}
Tensor batch_normalization(const Tensor& x, const Tensor& mean, const Tensor& variance, int axis, const Tensor& offset, const Tensor& scale,
                           double epsilon) {
  return frame(
      "BatchNorm",
      [&] {
        return ArgDict{kw("axis", axis), kw("epsilon", epsilon)};
      },
      [=](const Tensor& a, const Tensor& m, const Tensor& v, const Tensor& b, const Tensor& g) {
        int along = axis_of(axis, a, "batch_normalization");
        Tensors given{a, m, v};
        if (b.defined()) given.push_back(b);
        if (g.defined()) given.push_back(g);
        DType t = float_type(promote(given));
        Shape line(std::vector<int64_t>(a.shape().size(), 1));
        line[along] = m.shape()[0];
        auto lay = [&](const Tensor& s, const char* what) {
          if (s.rank() != 1 || (a.shape()[along] >= 0 && s.shape()[0] >= 0 && s.shape()[0] != a.shape()[along]))
            shape_error("batch_normalization", std::string("`") + what + "` does not fit x",
                        "a vector of length " + std::to_string(a.shape()[along]), s.shape().str());
          return p::reshape(as(s, t), line);
        };
        Tensor variance_ = lay(v, "variance");
        Tensor inv = p::ew(Ew::rsqrt, p::add(variance_, epsilon));
        if (g.defined()) inv = p::mul(inv, lay(g, "scale"));
        Tensor shift = p::neg(p::mul(lay(m, "mean"), inv));
        if (b.defined()) shift = p::add(shift, lay(b, "offset"));
        return p::add(p::mul(as(a, t), inv), shift);
      },
      x, mean, variance, offset, scale);
}
Tensor layer_normalization(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Axes& axis, std::optional<double> epsilon) {
  double eps = epsilon.value_or(config::epsilon());
  return frame(
      "LayerNorm",
      [&] {
        return ArgDict{kw("axis", axis), kw("epsilon", epsilon)};
      },
      [=](const Tensor& a, const Tensor& g, const Tensor& b) {
        DType result = float_type(a.dtype()), t = is_half(result) ? DType::Float32 : result;
        Tensor f = as(a, t);
        Ints axes = axis.resolve(f.rank(), "layer_normalization");
        Shape line(std::vector<int64_t>(f.shape().size(), 1));
        for (int64_t i : axes) line[static_cast<int>(i)] = f.shape()[static_cast<int>(i)];
        bool last = axes.size() == 1 && axes[0] == f.rank() - 1;
        auto lay = [&](const Tensor& v) { return v.rank() != f.rank() && !last ? p::reshape(as(v, t), line) : as(v, t); };
        auto [mean, variance] = moments(f, axis, true);
        Tensor inv = p::ew(Ew::rsqrt, p::add(variance, eps));
        if (g.defined()) inv = p::mul(inv, lay(g));
        Tensor shift = p::neg(p::mul(mean, inv));
        if (b.defined()) shift = p::add(shift, lay(b));
        return as(p::add(p::mul(f, inv), shift), result);
      },
      x, gamma, beta);
}
Tensor rms_normalization(const Tensor& x, const Tensor& scale, const Axes& axis, std::optional<double> epsilon) {
  double eps = epsilon.value_or(config::epsilon());
  return frame(
      "RMSNorm",
      [&] {
        return ArgDict{kw("axis", axis), kw("epsilon", epsilon)};
      },
      [=](const Tensor& a, const Tensor& g) {
        DType result = float_type(a.dtype());
        Tensor f = as(a, is_half(result) ? DType::Float32 : result);
        if (f.rank() == 0) f = p::reshape(f, Shape{1});
        Tensor r = p::mul(f, p::ew(Ew::rsqrt, p::add(mean(p::ew(Ew::square, f), axis, true), eps)));
        if (g.defined()) r = p::mul(r, as(g, r.dtype()));
        return as(r, result);
      },
      x, scale);
}

Tensor psnr(const Tensor& x1, const Tensor& x2, double max_val) {
  return frame(
      "PSNR", [&] { return ArgDict{kw("max_val", max_val)}; },
      [max_val](const Tensor& a, const Tensor& b) {
        if (!abstract_trace() && (a.rank() != b.rank() || !compatible(a.shape(), b.shape())))
          shape_error("psnr", "the two images differ in shape", a.shape().str(), b.shape().str());
        DType t = float_type(promote(a, b));
        if (abstract_trace()) return shape_only(t, Shape{});
        Tensor mse = mean(p::ew(Ew::square, p::sub(as(a, t), as(b, t))));
        return p::sub(num(mse, 20 * std::log10(max_val)), p::mul(p::ew(Ew::log10, mse), 10.0));
      },
      x1, x2);
}

// ---- attention
Tensor dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias, const Tensor& mask,
                             std::optional<double> scale, bool is_causal, std::optional<double> attn_logits_soft_cap) {
  if (attn_logits_soft_cap)
    throw ValueError(ErrorText{
        .what = "`attn_logits_soft_cap` is only supported on TPU in Keras", .where = "dot_product_attention", .fix = "leave it out"}
                         .str());
  for (const Tensor* t : {&query, &key, &value})
    if (t->rank() != 4)
      shape_error("dot_product_attention", "only 4D inputs are supported", "(batch, length, heads, depth)",
                  query.shape().str() + ", " + key.shape().str() + ", " + value.shape().str());
  return frame(
      "DotProductAttention",
      [&] {
        return ArgDict{kw("scale", scale), kw("is_causal", is_causal)};
      },
      [=](const Tensor& q0, const Tensor& k0, const Tensor& v0, const Tensor& b, const Tensor& m) {
        DType t = float_type(promote(Tensors{q0, k0, v0}));
        DType wide = is_half(t) ? DType::Float32 : t;
        Tensor q = as(q0, t), k = as(k0, t), v = as(v0, t);
        int64_t B = q.shape()[0], T = q.shape()[1], N = q.shape()[2], H = q.shape()[3], S = k.shape()[1], K = k.shape()[2];
        if (N >= 0 && K > 0 && N % K != 0 && !abstract_trace())
          shape_error("dot_product_attention", "the query's heads can't be shared among the key's",
                      "a multiple of " + std::to_string(K) + " heads", q.shape().str());
        if (N >= 0 && K > 0 && N % K != 0) return shape_only(t, Shape{B, T, N, v.shape()[3]});
        double factor = scale.value_or(1 / std::sqrt(static_cast<double>(H < 0 ? 1 : H)));
        bool grouped = N >= 0 && K >= 0 && N != K;
        int64_t G = grouped ? N / K : 1;
        // (B, T, N, H) and (B, S, N, H) → (B, N, T, S). Where query heads share a key head they are laid along its time axis.
        Tensor rows = q;
        if (grouped) rows = p::reshape(p::transpose(p::reshape(q, Shape{B, T, K, G, H}), Ints{0, 2, 3, 1, 4}), Shape{B, K, times(G, T), H});
        Tensor logits =
            grouped ? p::dot(rows, k, Ints{3}, Ints{3}, Ints{0, 1}, Ints{0, 2}) : p::dot(rows, k, Ints{3}, Ints{3}, Ints{0, 2}, Ints{0, 2});
        if (grouped) logits = p::reshape(logits, Shape{B, N, T, S});
        logits = p::mul(as(logits, wide), factor);
        if (b.defined()) logits = p::add(logits, as(b, wide));
        double low = -0.7 * (wide == DType::Float64 ? 1.7976931348623157e308 : 3.4028234663852886e38);
        Tensor allowed;
        if (m.defined()) allowed = as_bool(m);
        if (is_causal) {
          Shape square{T, S};
          Tensor before = p::ew(Ew::greater_equal, iota(DType::Int32, square, 0), iota(DType::Int32, square, 1));
          allowed = allowed.defined() ? p::ew(Ew::logical_and, allowed, before) : before;
        }
        if (allowed.defined()) logits = p::select(allowed, logits, num(logits, low));
        Tensor weights = as(softmax(logits, -1), t);
        if (!grouped) return p::transpose(p::dot(weights, v, Ints{3}, Ints{1}, Ints{0, 1}, Ints{0, 2}), Ints{0, 2, 1, 3});
        Tensor r = p::dot(p::reshape(weights, Shape{B, K, times(G, T), S}), v, Ints{3}, Ints{1}, Ints{0, 1}, Ints{0, 2});
        int64_t D = v.shape()[3];
        return p::reshape(p::transpose(p::reshape(r, Shape{B, K, G, T, D}), Ints{0, 3, 1, 2, 4}), Shape{B, T, N, D});
      },
      query, key, value, bias, mask);
}

}  // namespace keras::ops
