// What lives here: keras.ops' core family: conversion, slices and scatters, control flow.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <keras/ops/types.h>

namespace keras::ops {

Tensor cast(const Tensor& x, DType dtype);
/// Clips to the range of `dtype` before casting.
Tensor saturate_cast(const Tensor& x, DType dtype);
Tensor convert_to_tensor(const Tensor& x, OptDType dtype = {});
inline bool is_tensor(const Tensor&) { return true; }
Shape shape(const Tensor& x);
DType dtype(const Tensor& x);
Tensor stop_gradient(const Tensor& variable);

/// `shape` numbers from `start_indices` on, one per axis; starts are kept inside. The starts may be computed.
Tensor slice(const Tensor& inputs, const Tensor& start_indices, const Shape& shape);
Tensor slice_update(const Tensor& inputs, const Tensor& start_indices, const Tensor& updates);
/// Zeros of `shape` with `values` added at index vectors (…, K).
Tensor scatter(const Tensor& indices, const Tensor& values, const Shape& shape);
/// `reduction`: "" (replace), "add", "max", "min" or "mul".
Tensor scatter_update(const Tensor& inputs, const Tensor& indices, const Tensor& updates, std::string_view reduction = "");
/// The slices of an axis, without that axis.
Tensors unstack(const Tensor& x, std::optional<int64_t> num = {}, int axis = 0);

/// With a concrete condition one branch runs; else both are computed and selected.
Tensor cond(const Tensor& pred, const std::function<Tensor()>& true_fn, const std::function<Tensor()>& false_fn);
Tensors cond(const Tensor& pred, const std::function<Tensors()>& true_fn, const std::function<Tensors()>& false_fn);
/// Python's `switch`: the branch of number `index`, kept inside.
Tensors switch_(const Tensor& index, const std::vector<std::function<Tensors(const Tensors&)>>& branches, const Tensors& operands = {});
Tensors fori_loop(int64_t lower, int64_t upper, const std::function<Tensors(const Tensor& i, const Tensors& values)>& body_fun,
                  const Tensors& init_val);
/// In a compiled step `maximum_iterations` is needed: the loop becomes one of that length in which what is done stays.
Tensors while_loop(const std::function<Tensor(const Tensors&)>& cond, const std::function<Tensors(const Tensors&)>& body,
                   const Tensors& loop_vars, std::optional<int64_t> maximum_iterations = {});
using ScanStep = std::function<std::pair<Tensors, Tensors>(const Tensors& carry, const Tensors& x)>;
/// f(carry, slice) → (carry, result) over the leading axis of the xs (or `length` times); the last carry and the stacked results.
std::pair<Tensors, Tensors> scan(const ScanStep& f, const Tensors& init, const Tensors& xs, std::optional<int64_t> length = {},
                                 bool reverse = false);
/// Prefix combinations along an axis by an associative function of two lists.
Tensors associative_scan(const std::function<Tensors(const Tensors&, const Tensors&)>& f, const Tensors& elems, bool reverse = false,
                         int axis = 0);
Tensors map(const std::function<Tensors(const Tensors&)>& f, const Tensors& xs);
Tensor map(const std::function<Tensor(const Tensor&)>& f, const Tensor& xs);
Tensors vectorized_map(const std::function<Tensors(const Tensors&)>& function, const Tensors& elements);
Tensor vectorized_map(const std::function<Tensor(const Tensor&)>& function, const Tensor& elements);

/// numpy.vectorize: `function` of arrays of the core axes that `signature` names ("(m,n),(n)->(m)"; "" : numbers give numbers), called for
/// each element of the other, leading axes, which broadcast. `excluded`: positions of arguments that are passed as they are.
struct VectorizeOptions {
  std::vector<int> excluded{};
  std::string signature{};
};
std::function<Tensors(const Tensors&)> vectorize(std::function<Tensors(const Tensors&)> function, const VectorizeOptions& options = {});

/// What a function with a gradient of its own gives: its results, and the function from the gradients of the results to those of its
/// arguments (one each; an undefined tensor stands for zeros).
struct WithGradient {
  Tensors outputs;
  std::function<Tensors(const Tensors& upstream)> gradient;
};
/// The function with the gradient that it tells itself in place of the derived one:
///
///     auto log1pexp = ops::custom_gradient([](const Tensors& x) {
///       Tensor e = ops::exp(x[0]);
///       return ops::WithGradient{{ops::log(1 + e)}, [=](const Tensors& up) { return Tensors{up[0] * (1 - 1 / (1 + e))}; }};
///     });
std::function<Tensors(const Tensors&)> custom_gradient(std::function<WithGradient(const Tensors&)> function);

}  // namespace keras::ops
