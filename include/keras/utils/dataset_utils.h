// What lives here: keras.utils for data in arrays: splitting into two parts, and the tuples that fit takes.
#pragma once
#include <optional>
#include <tuple>
#include <utility>

#include <keras/core/tensor.h>
#include <keras/ops/types.h>

namespace keras::utils {

struct SplitOptions {
  /// A whole number counts samples, one with a fraction is the share of them; absent: what the other leaves. At least one is needed.
  std::optional<Number> left_size{}, right_size{};
  /// Shuffles the samples before, as Python's `random` seeded with `seed` does; without a seed one is drawn.
  bool shuffle = false;
  std::optional<int64_t> seed{};
};
/// Splits arrays with equally many rows (the first axis) into a left and a right part, each with the same arrays. Sizes that don't add up to
/// all rows leave out those between: the left part is taken from the front, the right one from the end. ValueError on sizes that are no size,
/// that give an empty part or more than there is, and on arrays of different length.
///
///     auto [train, test] = split_dataset({x, y}, {.left_size = 0.8});
std::pair<Tensors, Tensors> split_dataset(const Tensors& dataset, const SplitOptions& options = {});
/// The same for one array.
std::pair<Tensor, Tensor> split_dataset(const Tensor& dataset, const SplitOptions& options = {});

/// The tuple that fit takes: one, two or three tensors; what is absent (an undefined tensor) is left out with all that follows it.
///
///     pack_x_y_sample_weight(x, y).size()  // 2
Tensors pack_x_y_sample_weight(const Tensor& x, const Tensor& y = Tensor(), const Tensor& sample_weight = Tensor());
/// And back: x, y and sample weights, undefined where there are none. ValueError for none or more than three tensors.
std::tuple<Tensor, Tensor, Tensor> unpack_x_y_sample_weight(const Tensors& data);

}  // namespace keras::utils
