// What lives here: the functions of metrics that are no losses: accuracies and correlations.
#include <keras/metrics.h>
#include <keras/ops.h>

#include "losses/loss.h"

namespace keras::metrics {

namespace {

Tensor as_float(const Tensor& matches) { return ops::cast(matches, config::floatx_dtype()); }

std::pair<Tensor, Tensor> matched(const Tensor& y_true, const Tensor& y_pred, const char* where) {
  auto pair = losses::squeeze_or_expand_to_same_rank(ops::cast(y_true, y_pred.dtype()), y_pred);
  losses::warn_if_broadcast(pair.first, pair.second, where);
  return pair;
}

void need_rank(const Tensor& t, int rank, const char* where, const char* name) {
  if (t.rank() < rank)
    throw ValueError(ErrorText{.what = std::string(name) + " has too few axes", .where = where,
                               .expected = "rank " + std::to_string(rank) + " or more", .received = t.shape().str()}
                         .str());
}

/// Whether the label of each row is among the best: rows and labels flattened for it.
template <class InTop> Tensor matches_of_rows(const Tensor& labels, const Tensor& y_pred, InTop in_top) {
  Tensor rows = y_pred.rank() > 2 ? ops::reshape(y_pred, {-1, y_pred.shape().back()}) : y_pred;
  if (labels.rank() <= 1) return as_float(in_top(labels, rows));
  return ops::reshape(as_float(in_top(ops::reshape(labels, {-1}), rows)), labels.shape());
}

}  // namespace

Tensor accuracy(const Tensor& y_true, const Tensor& y_pred) {
  auto [t, p] = matched(y_true, y_pred, "accuracy");
  return as_float(ops::equal(t, p));
}

Tensor binary_accuracy(const Tensor& y_true, const Tensor& y_pred, double threshold) {
  auto [t, p] = losses::squeeze_or_expand_to_same_rank(y_true, y_pred);
  losses::warn_if_broadcast(t, p, "binary_accuracy");
  return as_float(ops::equal(t, ops::cast(ops::greater(p, Tensor::full({}, threshold, DType::Float32)), t.dtype())));
}

Tensor categorical_accuracy(const Tensor& y_true, const Tensor& y_pred) {
  need_rank(y_true, 1, "categorical_accuracy", "y_true");
  need_rank(y_pred, 1, "categorical_accuracy", "y_pred");
  Tensor labels = ops::argmax(y_true, -1), predicted = ops::argmax(y_pred, -1);
  // Labels with one axis more than predictions: (…, 1, classes).
  if (labels.rank() == y_pred.rank()) return ops::reshape(as_float(ops::equal(ops::squeeze(labels, -1), predicted)), labels.shape());
  return as_float(ops::equal(labels, predicted));
}

Tensor sparse_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred) {
  need_rank(y_pred, 1, "sparse_categorical_accuracy", "y_pred");
  Tensor labels = ops::cast(y_true, y_pred.dtype());
  bool squeezed = labels.rank() == y_pred.rank() && labels.shape().back() == 1;
  if (squeezed) labels = ops::squeeze(labels, -1);
  Tensor predicted = ops::cast(ops::argmax(y_pred, -1), labels.dtype());
  losses::warn_if_broadcast(labels, predicted, "sparse_categorical_accuracy");
  Tensor matches = as_float(ops::equal(labels, predicted));
  return !squeezed && matches.rank() > 1 && matches.shape().back() == 1 ? ops::squeeze(matches, -1) : matches;
}

Tensor top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, int64_t k) {
  need_rank(y_true, 1, "top_k_categorical_accuracy", "y_true");
  return matches_of_rows(ops::argmax(y_true, -1), y_pred, [&](const Tensor& labels, const Tensor& rows) { return ops::in_top_k(labels, rows, k); });
}

Tensor sparse_top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, int64_t k, bool from_sorted_ids) {
  if (!from_sorted_ids)
    return matches_of_rows(ops::cast(y_true, DType::Int32), y_pred, [&](const Tensor& labels, const Tensor& rows) { return ops::in_top_k(labels, rows, k); });
  return matches_of_rows(ops::cast(y_true, y_pred.dtype()), y_pred, [&](const Tensor& labels, const Tensor& rows) {
    Tensor best = ops::slice_tensor(rows, {Slice{}, Slice{.stop = k}});
    return ops::any(ops::equal(ops::expand_dims(labels, 1), best), 1);
  });
}

Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, int axis) {
  auto [t, p] = matched(y_true, y_pred, "cosine_similarity");
  return ops::sum(ops::normalize(t, axis) * ops::normalize(p, axis), axis);
}

Tensor pearson_correlation(const Tensor& y_true, const Tensor& y_pred, int axis) {
  auto [t, p] = matched(y_true, y_pred, "pearson_correlation");
  auto standardized = [&](const Tensor& x) {
    Tensor centred = x - ops::mean(x, axis, true);
    return centred / ops::std(centred, axis, true);
  };
  return ops::mean(standardized(t) * standardized(p), axis);
}

Tensor concordance_correlation(const Tensor& y_true, const Tensor& y_pred, int axis) {
  auto [t, p] = matched(y_true, y_pred, "concordance_correlation");
  Tensor t_mean = ops::mean(t, axis, true), p_mean = ops::mean(p, axis, true);
  Tensor t_var = ops::var(t - t_mean, axis, true), p_var = ops::var(p - p_mean, axis, true);
  // Keras centres both factors by the mean of the predictions.
  Tensor covariance = (t - p_mean) * (p - p_mean);
  Tensor norm = t_var + p_var + ops::square(t_mean - p_mean);
  return ops::mean(2 * covariance / (norm + config::epsilon()), axis);
}

}  // namespace keras::metrics
