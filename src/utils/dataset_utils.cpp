// What lives here: splitting arrays in two, and the tuples of training data.
#include <keras/utils/dataset_utils.h>

#include <cmath>
#include <numeric>

#include <keras/ops.h>

#include "core/impl.h"
#include "random/mersenne_twister.h"

namespace keras::utils {

namespace {

std::string text_of(const std::optional<Number>& n) {
  if (!n) return "None";
  return n->kind == 'f' ? float_repr(n->value) : std::to_string(static_cast<int64_t>(n->value));
}
[[noreturn]] void refuse(std::string what, std::string expected, std::string received) {
  throw ValueError(
      ErrorText{.what = std::move(what), .where = "split_dataset", .expected = std::move(expected), .received = std::move(received)}.str());
}
/// Both sizes in samples.
std::pair<int64_t, int64_t> sizes_of(const SplitOptions& o, int64_t total) {
  if (!o.left_size && !o.right_size) refuse("at least one of `left_size` and `right_size` is needed", "a number", "None and None");
  auto check = [total](const char* name, const std::optional<Number>& n) {
    if (!n) return;
    bool share = n->kind == 'f';
    if (!(n->value > 0 && n->value < (share ? 1 : static_cast<double>(total))))
      refuse(std::string("`") + name + "` is no size of a part",
             "a whole number from 1 to " + std::to_string(total - 1) + ", or a share between 0 and 1", text_of(n));
  };
  check("left_size", o.left_size);
  check("right_size", o.right_size);
  auto samples = [total](const std::optional<Number>& n) -> std::optional<int64_t> {
    if (!n) return std::nullopt;
    return static_cast<int64_t>(n->kind == 'f' ? std::nearbyint(n->value * static_cast<double>(total)) : n->value);
  };
  std::optional<int64_t> left = samples(o.left_size), right = samples(o.right_size);
  bool shares = o.left_size && o.right_size && o.left_size->kind == 'f' && o.right_size->kind == 'f';
  if (shares && o.left_size->value + o.right_size->value > 1)
    refuse("the shares are more than the whole", "a sum of at most 1", text_of(o.left_size) + " and " + text_of(o.right_size));
  if (!left) left = total - *right;
  if (!right) right = total - *left;
  if (*left + *right > total)
    refuse("the parts are more than there is", "at most " + std::to_string(total) + " samples",
           std::to_string(*left) + " and " + std::to_string(*right));
  if (*left == 0 || *right == 0)
    refuse("a part is empty", "sizes that leave samples on both sides, of " + std::to_string(total),
           text_of(o.left_size) + " and " + text_of(o.right_size));
  return {*left, *right};
}

}  // namespace

std::pair<Tensors, Tensors> split_dataset(const Tensors& dataset, const SplitOptions& options) {
  if (dataset.empty()) refuse("there is no data", "one array or more", "an empty list");
  for (const Tensor& t : dataset) {
    if (!t.is_concrete() || t.rank() == 0) refuse("the arrays have no rows", "concrete tensors of rank 1 or more", t.shape().str());
    if (t.shape()[0] != dataset[0].shape()[0])
      refuse("the arrays differ in length", std::to_string(dataset[0].shape()[0]) + " rows", std::to_string(t.shape()[0]));
  }
  int64_t total = dataset[0].shape()[0];
  auto [left, right] = sizes_of(options, total);
  std::vector<int32_t> order(static_cast<size_t>(total));
  std::iota(order.begin(), order.end(), 0);
  if (options.shuffle) {
    random::PythonRandom rng(options.seed ? *options.seed : random::python_random().randint(0, 1000000));
    rng.shuffle(order);
  }
  auto rows = [&](int64_t first, int64_t count) {
    if (!options.shuffle) {
      Tensors part;
      for (const Tensor& t : dataset) part.push_back(ops::get_item(t, {Slice{first, first + count}}));
      return part;
    }
    std::vector<int32_t> which(order.begin() + first, order.begin() + first + count);
    Tensors part;
    for (const Tensor& t : dataset) part.push_back(ops::take(t, Tensor::from(which, Shape{count}), 0));
    return part;
  };
  return {rows(0, left), rows(total - right, right)};
}
std::pair<Tensor, Tensor> split_dataset(const Tensor& dataset, const SplitOptions& options) {
  auto [left, right] = split_dataset(Tensors{dataset}, options);
  return {left[0], right[0]};
}

Tensors pack_x_y_sample_weight(const Tensor& x, const Tensor& y, const Tensor& sample_weight) {
  if (!y.defined()) return {x};
  if (!sample_weight.defined()) return {x, y};
  return {x, y, sample_weight};
}
std::tuple<Tensor, Tensor, Tensor> unpack_x_y_sample_weight(const Tensors& data) {
  if (data.empty() || data.size() > 3)
    throw ValueError(ErrorText{.what = "data is x, x and y, or x, y and sample weights",
                               .where = "unpack_x_y_sample_weight",
                               .expected = "1 to 3 tensors",
                               .received = std::to_string(data.size())}
                         .str());
  return {data[0], data.size() > 1 ? data[1] : Tensor(), data.size() > 2 ? data[2] : Tensor()};
}

}  // namespace keras::utils
