// What lives here: the loss functions, as compositions of ops. Classes, options and names are in registry.cpp.
#include <algorithm>
#include <cmath>
#include <limits>

#include <keras/base/warning.h>
#include <keras/losses.h>
#include <keras/ops.h>

#include "core/impl.h"
#include "losses/loss.h"
#include "prims/build.h"

namespace keras::losses {

namespace {

struct Pair {
  Tensor y_true, y_pred;
};
/// Labels in the predictions' dtype, ranks repaired.
Pair matched(const Tensor& y_true, const Tensor& y_pred, const char* where) {
  auto [t, p] = squeeze_or_expand_to_same_rank(ops::cast(y_true, y_pred.dtype()), y_pred);
  warn_if_broadcast(t, p, where);
  return {t, p};
}
/// Labels in the predictions' dtype.
Pair cast_only(const Tensor& y_true, const Tensor& y_pred, const char* where) {
  warn_if_broadcast(y_true, y_pred, where);
  return {ops::cast(y_true, y_pred.dtype()), y_pred};
}
Tensor constant(double v, DType dtype) { return Tensor::full({}, v, dtype); }

void warn_of_one_class(const Tensor& y_pred, const char* where) {
  if (y_pred.rank() == 0 || y_pred.shape().back() != 1) return;
  warn_once(std::string(where) + " one class", ErrorText{.what = "a categorical loss over one class is always the same",
                                                         .where = where,
                                                         .expected = "y_pred of shape (batch, classes) with classes > 1",
                                                         .received = y_pred.shape().str(),
                                                         .fix = "use \"binary_crossentropy\" for two classes told by one number"}
                                                   .str());
}

/// Labels as int32, each known to be in [0, classes): at once when they have numbers, else by the kernel of the compiled step.
Tensor checked_labels(const Tensor& y_true, int64_t classes, const char* where) {
  Tensor labels = ops::cast(y_true, DType::Int32);
  if (labels.is_symbolic() || classes < 0) return labels;
  if (labels.is_concrete()) {
    for (int32_t label : labels.data<int32_t>())
      if (label < 0 || label >= classes)
        throw ValueError(ErrorText{.what = "label " + std::to_string(label) + " is outside the " + std::to_string(classes) + " classes of y_pred",
                                   .where = where,
                                   .expected = "labels from 0 to " + std::to_string(classes - 1),
                                   .received = std::to_string(label),
                                   .fix = "give the last layer as many units as there are classes, or name the label in ignore_class"}
                             .str());
    return labels;
  }
  Tensor all = Tensor::empty(DType::Int32, Shape{classes});
  for (int64_t i = 0; i < classes; ++i) all.mutable_data<int32_t>()[i] = static_cast<int32_t>(i);
  // A read of number `label` in 0 … classes - 1 gives the label itself and refuses every other one.
  return prims::gather(all, labels, 0, prims::IndexMode::ErrorNegative, std::string("the labels of ") + where);
}

Tensor smoothed(const Tensor& y_true, double smoothing, double target) {
  return smoothing == 0 ? y_true : ops::add(ops::multiply(y_true, 1.0 - smoothing), smoothing * target);
}
Tensor smoothed_classes(const Tensor& y_true, double smoothing) {
  return smoothing == 0 ? y_true : smoothed(y_true, smoothing, 1.0 / static_cast<double>(y_true.shape().back()));
}

Tensor binary_labels_to_hinge(const Tensor& y_true) {
  Tensor binary = ops::all(ops::logical_or(ops::equal(y_true, 0), ops::equal(y_true, 1)));
  return ops::where(binary, 2.0 * y_true - 1.0, y_true);
}

}  // namespace

// ---- regression
Tensor mean_squared_error(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = matched(y_true, y_pred, "mean_squared_error");
  return ops::mean(ops::square(t - p), -1);
}

Tensor mean_absolute_error(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = matched(y_true, y_pred, "mean_absolute_error");
  return ops::mean(ops::abs(t - p), -1);
}

Tensor mean_absolute_percentage_error(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = matched(y_true, y_pred, "mean_absolute_percentage_error");
  Tensor diff = ops::abs((t - p) / ops::maximum(ops::abs(t), constant(config::epsilon(), p.dtype())));
  return 100.0 * ops::mean(diff, -1);
}

Tensor mean_squared_logarithmic_error(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = matched(y_true, y_pred, "mean_squared_logarithmic_error");
  Tensor epsilon = constant(config::epsilon(), DType::Float32);
  Tensor first = ops::log(ops::maximum(p, epsilon) + 1.0), second = ops::log(ops::maximum(t, epsilon) + 1.0);
  return ops::mean(ops::square(first - second), -1);
}

Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, int axis) {
  auto [t, p] = matched(y_true, y_pred, "cosine_similarity");
  return -ops::sum(ops::normalize(t, axis) * ops::normalize(p, axis), axis);
}

Tensor huber(const Tensor& y_true, const Tensor& y_pred, double delta) {
  auto [t, p] = matched(y_true, y_pred, "huber");
  Tensor d = constant(delta, p.dtype()), half = constant(0.5, p.dtype());
  Tensor error = p - t, size = ops::abs(error);
  return ops::mean(ops::where(size <= d, half * ops::square(error), d * size - half * ops::square(d)), -1);
}

Tensor log_cosh(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = matched(y_true, y_pred, "log_cosh");
  Tensor x = p - t;
  return ops::mean(x + ops::softplus(x * -2.0) - constant(std::log(2.0), p.dtype()), -1);
}

// ---- hinges
Tensor hinge(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = cast_only(y_true, y_pred, "hinge");
  return ops::mean(ops::maximum(1.0 - binary_labels_to_hinge(t) * p, 0.0), -1);
}

Tensor squared_hinge(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = cast_only(y_true, y_pred, "squared_hinge");
  return ops::mean(ops::square(ops::maximum(1.0 - binary_labels_to_hinge(t) * p, 0.0)), -1);
}

Tensor categorical_hinge(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = cast_only(y_true, y_pred, "categorical_hinge");
  Tensor pos = ops::sum(t * p, -1), neg = ops::max((1.0 - t) * p, -1);
  return ops::maximum(neg - pos + 1.0, constant(0, p.dtype()));
}

// ---- probabilities
Tensor kl_divergence(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = cast_only(y_true, y_pred, "kl_divergence");
  t = ops::clip(t, config::epsilon(), 1), p = ops::clip(p, config::epsilon(), 1);
  return ops::sum(t * ops::log(t / p), -1);
}

Tensor poisson(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = cast_only(y_true, y_pred, "poisson");
  return ops::mean(p - t * ops::log(p + constant(config::epsilon(), p.dtype())), -1);
}

Tensor binary_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits, double label_smoothing, int axis) {
  Tensor t = smoothed(ops::cast(y_true, y_pred.dtype()), label_smoothing, 0.5);
  return ops::mean(ops::binary_crossentropy(t, y_pred, from_logits), axis);
}

Tensor binary_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool apply_class_balancing, double alpha, double gamma, bool from_logits,
                                 double label_smoothing, int axis) {
  Tensor t = smoothed(ops::cast(y_true, y_pred.dtype()), label_smoothing, 0.5);
  Tensor p = from_logits ? ops::sigmoid(y_pred) : y_pred;
  Tensor bce = ops::binary_crossentropy(t, p, false);
  Tensor p_t = t * p + (1 - t) * (1 - p);
  Tensor focal = ops::power(1.0 - p_t, gamma) * bce;
  if (apply_class_balancing) focal = (t * alpha + (1 - t) * (1 - alpha)) * focal;
  return ops::mean(focal, axis);
}

Tensor categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits, double label_smoothing, int axis) {
  warn_of_one_class(y_pred, "categorical_crossentropy");
  Tensor t = smoothed_classes(ops::cast(y_true, y_pred.dtype()), label_smoothing);
  return ops::categorical_crossentropy(t, y_pred, from_logits, axis);
}

Tensor categorical_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, double alpha, double gamma, bool from_logits, double label_smoothing,
                                      int axis) {
  warn_of_one_class(y_pred, "categorical_focal_crossentropy");
  warn_if_broadcast(y_true, y_pred, "categorical_focal_crossentropy");
  Tensor t = smoothed_classes(ops::cast(y_true, y_pred.dtype()), label_smoothing);
  Tensor p = from_logits ? ops::softmax(y_pred, axis) : y_pred;
  Tensor output = ops::clip(p / ops::sum(p, axis, true), config::epsilon(), 1.0 - config::epsilon());
  Tensor cce = -t * ops::log(output);
  return ops::sum(ops::power(1.0 - output, gamma) * alpha * cce, axis);
}

Tensor sparse_categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits, std::optional<int64_t> ignore_class, int axis) {
  constexpr const char* where = "sparse_categorical_crossentropy";
  if (y_pred.rank() < 1)
    throw ValueError(ErrorText{.what = "y_pred has no axis of classes", .where = where, .expected = "shape (batch, …, classes)", .received = "()"}.str());
  int class_axis = normalize_axis(axis, y_pred.rank(), where);
  Tensor labels = y_true, p = y_pred;
  if (labels.rank() == p.rank()) {
    if (labels.shape()[class_axis] == 1) {
      labels = ops::squeeze(labels, class_axis);
    } else if (labels.shape().back() == 1) {
      labels = ops::squeeze(labels, -1);
    }
  }
  Shape per_sample = p.shape();
  per_sample.erase(class_axis);
  if (!compatible(labels.shape(), per_sample)) {
    bool one_hot = compatible(y_true.shape(), p.shape());
    throw ValueError(ErrorText{.what = "the labels don't fit the predictions",
                               .where = where,
                               .expected = "y_true of shape " + per_sample.str(),
                               .received = "y_true " + y_true.shape().str() + ", y_pred " + p.shape().str(),
                               .fix = one_hot ? "for labels of the predictions' shape (one-hot) use \"categorical_crossentropy\"" : ""}
                         .str());
  }
  Tensor valid;
  if (ignore_class) {
    valid = ops::not_equal(labels, ops::cast(Tensor(static_cast<double>(*ignore_class)), labels.dtype()));
    labels = ops::where(valid, labels, ops::zeros_like(labels));
    // The ignored predictions may be NaN; their gradient is nothing.
    p = ops::where(ops::expand_dims(valid, class_axis), p, ops::zeros_like(p));
  }
  int64_t classes = p.shape()[class_axis];
  labels = checked_labels(labels, classes, where);
  // Picked by comparing with 0 … classes - 1 and not by reading at computed places: so forward and backward stay elementwise, and fuse.
  Tensor hot = ops::one_hot(labels, classes < 0 ? 1 : classes, class_axis, DType::Bool);
  auto picked = [&](const Tensor& x) { return ops::sum(ops::where(hot, x, ops::zeros_like(x)), class_axis); };
  Tensor result;
  if (from_logits) {
    Tensor shifted = p - ops::stop_gradient(ops::max(p, class_axis, true));
    result = ops::log(ops::sum(ops::exp(shifted), class_axis)) - picked(shifted);
  } else {
    result = -ops::log(ops::clip(picked(p) / ops::sum(p, class_axis), config::epsilon(), 1.0 - config::epsilon()));
  }
  if (!ignore_class) return result;
  return core::with_mask(ops::where(valid, result, ops::zeros_like(result)), valid);
}

Tensor categorical_generalized_cross_entropy(const Tensor& y_true, const Tensor& y_pred, double q) {
  int64_t classes = y_pred.shape().back();
  Tensor labels = checked_labels(y_true, classes, "categorical_generalized_cross_entropy");
  Tensor p = ops::sum(y_pred * ops::one_hot(labels, classes, -1, y_pred.dtype()), -1);
  return (1 - ops::power(p, q)) / q;
}

// ---- segmentation
Tensor dice(const Tensor& y_true, const Tensor& y_pred, const Axes& axis) {
  auto [t, p] = cast_only(y_true, y_pred, "dice");
  Tensor intersection = ops::sum(t * p, axis);
  return 1 - 2.0 * intersection / (ops::sum(t, axis) + ops::sum(p, axis) + config::epsilon());
}

Tensor tversky(const Tensor& y_true, const Tensor& y_pred, double alpha, double beta, const Axes& axis) {
  auto [t, p] = cast_only(y_true, y_pred, "tversky");
  Tensor intersection = ops::sum(t * p, axis), fp = ops::sum((1 - p) * t, axis), fn = ops::sum(p * (1 - t), axis);
  return 1 - intersection / (intersection + fp * alpha + fn * beta + config::epsilon());
}

// ---- similarity: "Circle Loss: A Unified Perspective of Pair Similarity Optimization", Sun et al., 2020
Tensor circle(const Tensor& y_true, const Tensor& y_pred, const Tensor& ref_labels, const Tensor& ref_embeddings, bool remove_diagonal, double gamma,
              double margin) {
  Tensor refs = ref_embeddings ? ref_embeddings : y_pred;
  auto column = [](const Tensor& labels) {
    Tensor l = ops::cast(labels, DType::Int32);
    return l.rank() == 1 ? ops::reshape(l, {-1, 1}) : l;
  };
  Tensor rows = column(y_true), columns = column(ref_labels ? ref_labels : y_true);
  Tensor distance = ops::maximum(1 - ops::matmul(y_pred, ops::transpose(refs)), 0.0);
  Tensor positive = ops::equal(rows, ops::transpose(columns)), negative = ops::logical_not(positive);
  if (remove_diagonal) {
    // Sizes are unknown only where shapes are all that matters; 1 fits any.
    auto known = [](int64_t n) { return std::max<int64_t>(n, 1); };
    Tensor others = ops::logical_not(ops::eye(known(rows.numel()), known(columns.numel()), 0, DType::Bool));
    positive = ops::logical_and(positive, others);
  }
  auto logsumexp_where = [&](const Tensor& mask, const Tensor& weight, double delta, double sign) {
    Tensor w = ops::maximum(weight * ops::cast(mask, distance.dtype()), 0.0);
    Tensor logits = sign * gamma * w * (delta - distance);
    return ops::logsumexp(ops::where(mask, logits, -std::numeric_limits<double>::infinity()), 1);
  };
  Tensor p = logsumexp_where(positive, margin + distance, margin, -1), n = logsumexp_where(negative, 1 + margin - distance, 1 - margin, 1);
  Tensor loss = ops::softplus(p + n);
  return core::with_mask(loss, ops::greater(loss, 0));
}

// ---- sequences
Tensor ctc(const Tensor& y_true, const Tensor& y_pred) {
  auto need = [](const Tensor& t, int rank, const char* name, const char* expected) {
    if (t.rank() != rank)
      throw ValueError(ErrorText{.what = std::string(name) + " has the wrong rank", .where = "ctc", .expected = expected, .received = t.shape().str()}.str());
  };
  need(y_true, 2, "y_true", "labels of shape (batch_size, max_length)");
  need(y_pred, 3, "y_pred", "logits of shape (batch_size, max_length, num_classes)");
  Tensor labels = checked_labels(y_true, y_pred.shape()[2], "ctc");
  Tensor label_length = ops::sum(ops::cast(ops::not_equal(labels, 0), DType::Int32), -1);
  Tensor input_length = ops::full_like(label_length, static_cast<int>(y_pred.shape()[1]));
  return ops::ctc_loss(labels, y_pred, label_length, input_length, 0);
}

}  // namespace keras::losses
