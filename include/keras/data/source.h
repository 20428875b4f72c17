// What lives here: what fit, evaluate and predict take as data: arrays, generators and datasets of batches. No model.
#pragma once
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <keras/core/tensor.h>

namespace keras {

/// One array, a list of arrays, or arrays by the names of the model's inputs or outputs.
struct Arrays {
  Tensors values;
  std::vector<std::string> names;  // empty, or one per value

  Arrays() = default;
  Arrays(const Tensor& t);
  Arrays(const Tensors& ts) : values(ts) {}
  /// All outputs of a call: `compute_loss(x, y, (*this)(x))`.
  template <class T>
    requires(std::derived_from<T, Tensor> && requires(const T& t) { { t.all } -> std::convertible_to<const Tensors&>; })
  Arrays(const T& outputs) : values(outputs.all) {}
  Arrays(std::initializer_list<std::pair<const std::string, Tensor>> named);
  Arrays(const std::map<std::string, Tensor>& named);
  bool empty() const { return values.empty(); }
  size_t size() const { return values.size(); }
  /// The first array, or the only one; an absent tensor where there is none.
  Tensor tensor() const { return values.empty() ? Tensor() : values[0]; }
  /// By place, and by name. ValueError with the nearest name otherwise.
  const Tensor& operator[](size_t i) const { return values.at(i); }
  const Tensor& operator[](const std::string& name) const;
};

/// What a step works on: `auto [x, y, sample_weight] = batch;`. Arrays for the model's inputs, targets, and weights of the samples.
struct Batch {
  Arrays x{}, y{}, sample_weight{};
  Batch() = default;
  // A constructor: GCC 12 miscompiles aggregates that are made inside of a co_yield; a batch with a name of its own is safest there.
  Batch(Arrays x, Arrays y = {}, Arrays sample_weight = {});
};

/// Batches one after the other, of a length that nobody knows: a callable that gives a batch per call, and nothing when there are no more,
/// or a coroutine that yields them.
///
///     keras::BatchGenerator batches(keras::Tensor x, keras::Tensor y) {
///       for (int64_t i = 0;; i = (i + 32) % x.shape()[0]) {
///         keras::Batch batch(x.rows(i, i + 32), y.rows(i, i + 32));
///         co_yield batch;
///       }
///     }
///     model.fit(batches(x, y), {.epochs = 3, .steps_per_epoch = 100});
///
/// It is asked for a batch when that is needed, on the thread that called fit, and never for one more than is used, but for the first two,
/// which `fit` looks at; so it may hold state and can be used on. With `set_prefetch(n)` a thread of its own fills a queue of `n` batches in
/// the meantime. An exception in it ends `fit` with that exception.
class BatchGenerator {
 public:
  struct promise_type;
  using Next = std::function<std::optional<Batch>()>;
  BatchGenerator(Next next);
  template <class F>
    requires(std::is_invocable_v<F&> && !std::same_as<std::decay_t<F>, Next> && !std::same_as<std::decay_t<F>, BatchGenerator> &&
             std::convertible_to<std::invoke_result_t<F&>, std::optional<Batch>>)
  BatchGenerator(F&& next) : BatchGenerator(Next(std::forward<F>(next))) {}
  /// The next batch, none at the end. Copies of a generator share its place.
  std::optional<Batch> operator()() const;
  /// How many batches a thread of its own makes ahead; 0: none, and no thread.
  BatchGenerator& set_prefetch(int64_t batches);
  int64_t prefetch() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct BatchGenerator::promise_type {
  std::optional<Batch> current;
  std::exception_ptr error;
  BatchGenerator get_return_object();
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_always final_suspend() noexcept { return {}; }
  std::suspend_always yield_value(Batch batch);
  void return_void();
  void unhandled_exception();
};

namespace utils {

struct PyDatasetOptions {
  /// More than one: so many threads call `get_item` at the same time, ahead of the training; the order of batches stays.
  int64_t workers = 1;
  /// Threads serve as Keras' processes do: also one worker then works ahead.
  bool use_multiprocessing = false;
  /// Batches that the workers may be ahead.
  int64_t max_queue_size = 10;
};

/// The base of datasets that can make any of their batches: override `num_batches` and `get_item`.
///
///     struct Images : keras::utils::PyDataset {
///       Images() : PyDataset({.workers = 2}) {}
///       std::optional<int64_t> num_batches() const override { return 100; }
///       keras::Batch get_item(int64_t index) override { return {load_images(index), load_labels(index)}; }
///     };
///     Images images;
///     model.fit(images, {.epochs = 3});
///
/// `shuffle` of `fit` shuffles the batches, with Python's generator as Keras does. With several workers `get_item` runs in several threads at
/// once; `on_epoch_begin` and `on_epoch_end` run while none of them works. The first exception ends `fit` with that exception.
class PyDataset {
 public:
  explicit PyDataset(const PyDatasetOptions& options = {});
  virtual ~PyDataset() = default;
  /// Absent: without end.
  virtual std::optional<int64_t> num_batches() const = 0;
  virtual Batch get_item(int64_t index) = 0;
  virtual void on_epoch_begin() {}
  virtual void on_epoch_end() {}
  Batch operator[](int64_t index) { return get_item(index); }

  int64_t workers() const { return options_.workers; }
  bool use_multiprocessing() const { return options_.use_multiprocessing; }
  int64_t max_queue_size() const { return options_.max_queue_size; }
  void set_workers(int64_t workers) { options_.workers = workers; }
  void set_use_multiprocessing(bool use) { options_.use_multiprocessing = use; }
  void set_max_queue_size(int64_t size) { options_.max_queue_size = size; }

 private:
  PyDatasetOptions options_;
};
/// Keras 2's name of it.
using Sequence = PyDataset;

}  // namespace utils

/// The `x` of fit, evaluate and predict: arrays, or a source of batches that holds targets and weights too. A dataset that is named
/// (an lvalue), or that can't be moved, is used, not copied; it has to live as long as the call.
class Data {
 public:
  Data() = default;
  template <class T>
    requires(std::convertible_to<const T&, Arrays> && !std::derived_from<T, utils::PyDataset> && !std::same_as<T, Data>)
  Data(const T& arrays) : arrays_(arrays) {}
  Data(std::initializer_list<std::pair<const std::string, Tensor>> named) : arrays_(named) {}
  template <class T>
    requires(std::derived_from<std::remove_reference_t<T>, utils::PyDataset>)
  Data(T&& dataset) {
    // One that can't be moved (it holds a mutex, say) lives as long as the call that it was made for.
    if constexpr (std::is_lvalue_reference_v<T> || !std::is_move_constructible_v<T>) dataset_ = std::shared_ptr<utils::PyDataset>(std::shared_ptr<void>(), const_cast<std::remove_cvref_t<T>*>(&dataset));
    else dataset_ = std::make_shared<std::remove_cvref_t<T>>(std::forward<T>(dataset));
  }
  template <class T>
    requires(std::derived_from<T, utils::PyDataset>)
  Data(std::shared_ptr<T> dataset) : dataset_(std::move(dataset)) {}
  template <class T>
    requires(std::convertible_to<T, BatchGenerator> && !std::convertible_to<const T&, Arrays>)
  Data(T&& generator) : generator_(std::make_shared<BatchGenerator>(std::forward<T>(generator))) {}

  bool empty() const { return arrays_.empty() && !is_source(); }
  bool is_source() const { return dataset_ || generator_; }
  const Arrays& arrays() const { return arrays_; }
  const std::shared_ptr<utils::PyDataset>& dataset() const { return dataset_; }
  const std::shared_ptr<BatchGenerator>& generator() const { return generator_; }

 private:
  Arrays arrays_;
  std::shared_ptr<utils::PyDataset> dataset_;
  std::shared_ptr<BatchGenerator> generator_;
};

}  // namespace keras
