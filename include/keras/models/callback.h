// What lives here: the class to derive callbacks from, what they see of the logs, and History.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/base/value.h>
#include <keras/core/tensor.h>

namespace keras {

class Model;

/// The numbers of a batch or epoch by name, computed only when somebody asks.
class Logs {
 public:
  using Items = std::vector<std::pair<std::string, double>>;
  Logs() = default;
  explicit Logs(Items items);
  explicit Logs(std::function<Items()> compute);
  /// A copy holds the numbers of now.
  Logs(const Logs& other);
  Logs& operator=(const Logs& other);
  Logs(Logs&&);
  Logs& operator=(Logs&&);
  ~Logs();
  const Items& items() const;
  /// The number, or nullptr.
  const double* find(std::string_view name) const;
  double at(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  bool empty() const { return items().empty(); }
  /// A callback may change what later ones and the history see (learning_rate is added so).
  void set(const std::string& name, double value);
  /// The numbers alone, in order.
  std::vector<double> values() const;
  /// In on_predict_batch_end: what the model gave for the batch.
  Tensors outputs;

 private:
  mutable std::shared_ptr<Items> items_;
  std::function<Items()> compute_;
};

/// Parameters of the run, as Keras' `callback.params`.
struct CallbackParams {
  int epochs = 1;
  /// Batches of an epoch; 0 when nobody knows.
  int64_t steps = 0;
  int verbose = 0;
};

namespace callbacks {

/// The base of callbacks: override the hooks that are wanted.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_train_begin(Logs&) {}
  virtual void on_train_end(Logs&) {}
  virtual void on_epoch_begin(int /*epoch*/, Logs&) {}
  virtual void on_epoch_end(int /*epoch*/, Logs&) {}
  /// Where nothing else is said, the hooks of training batches are these.
  virtual void on_batch_begin(int64_t /*batch*/, Logs&) {}
  virtual void on_batch_end(int64_t /*batch*/, Logs&) {}
  virtual void on_train_batch_begin(int64_t batch, Logs& logs) { on_batch_begin(batch, logs); }
  virtual void on_train_batch_end(int64_t batch, Logs& logs) { on_batch_end(batch, logs); }
  virtual void on_test_begin(Logs&) {}
  virtual void on_test_end(Logs&) {}
  virtual void on_test_batch_begin(int64_t /*batch*/, Logs&) {}
  virtual void on_test_batch_end(int64_t /*batch*/, Logs&) {}
  virtual void on_predict_begin(Logs&) {}
  virtual void on_predict_end(Logs&) {}
  virtual void on_predict_batch_begin(int64_t /*batch*/, Logs&) {}
  virtual void on_predict_batch_end(int64_t /*batch*/, Logs&) {}
  virtual void set_model(Model* model) { model_ = model; }
  virtual void set_params(const CallbackParams& params) { params_ = params; }
  /// What an exact resume needs of it, null for none; and the part of it that is arrays, such as weights.
  virtual Value get_state() const { return {}; }
  virtual void set_state(const Value&) {}
  virtual Tensors get_state_tensors() const { return {}; }
  virtual void set_state_tensors(const Tensors&) {}
  /// Called in place of `on_train_begin` when `fit` goes on from a checkpoint, perhaps in the middle of an epoch (whose `on_epoch_begin` is
  /// not called again), with what `get_state` and `get_state_tensors` gave then. The variables are put back afterwards.
  virtual void on_train_resume(const Value& state, const Tensors& tensors);

  Model* model() const { return model_; }
  const CallbackParams& params() const { return params_; }

 protected:
  Model* model_ = nullptr;
  CallbackParams params_;
};

/// What `fit` returns: for each name the numbers of all epochs.
class History : public Callback {
 public:
  std::vector<int> epoch;
  std::vector<std::pair<std::string, std::vector<double>>> history;
  /// The numbers of a name; ValueError with the nearest name otherwise.
  const std::vector<double>& operator[](std::string_view name) const;
  bool contains(std::string_view name) const;
  void on_train_begin(Logs&) override;
  void on_epoch_end(int epoch, Logs&) override;
  Value get_state() const override;
  void set_state(const Value& state) override;
};

}  // namespace callbacks

/// A callback in options: an object shared with the caller, or one made in place: `.callbacks = {EarlyStopping({.patience = 3})}`.
class CallbackSpec {
 public:
  CallbackSpec(std::shared_ptr<callbacks::Callback> c) : c_(std::move(c)) {}
  template <class T>
    requires std::is_base_of_v<callbacks::Callback, T>
  CallbackSpec(std::shared_ptr<T> c) : c_(std::move(c)) {}
  template <class T>
    requires std::is_base_of_v<callbacks::Callback, std::decay_t<T>>
  CallbackSpec(T&& c) : c_(std::make_shared<std::decay_t<T>>(std::forward<T>(c))) {}
  const std::shared_ptr<callbacks::Callback>& get() const { return c_; }

 private:
  std::shared_ptr<callbacks::Callback> c_;
};

namespace callbacks {

struct CallbackListOptions {
  bool add_history = false;
  bool add_progbar = false;
  Model* model = nullptr;
  std::optional<CallbackParams> params{};
};

/// Several callbacks as one, called in order. Given to `fit` as its only callback it is used as it is: without a history and a progress bar
/// but those that it holds.
class CallbackList : public Callback {
 public:
  explicit CallbackList(std::vector<CallbackSpec> callbacks = {}, const CallbackListOptions& options = {});
  const std::vector<std::shared_ptr<Callback>>& callbacks() const { return list_; }
  void append(std::shared_ptr<Callback> callback);
  /// The history among them, or null.
  std::shared_ptr<History> history() const;

  void set_model(Model* model) override;
  void set_params(const CallbackParams& params) override;
  void on_train_begin(Logs& logs) override;
  void on_train_end(Logs& logs) override;
  void on_epoch_begin(int epoch, Logs& logs) override;
  void on_epoch_end(int epoch, Logs& logs) override;
  void on_batch_begin(int64_t batch, Logs& logs) override;
  void on_batch_end(int64_t batch, Logs& logs) override;
  void on_train_batch_begin(int64_t batch, Logs& logs) override;
  void on_train_batch_end(int64_t batch, Logs& logs) override;
  void on_test_begin(Logs& logs) override;
  void on_test_end(Logs& logs) override;
  void on_test_batch_begin(int64_t batch, Logs& logs) override;
  void on_test_batch_end(int64_t batch, Logs& logs) override;
  void on_predict_begin(Logs& logs) override;
  void on_predict_end(Logs& logs) override;
  void on_predict_batch_begin(int64_t batch, Logs& logs) override;
  void on_predict_batch_end(int64_t batch, Logs& logs) override;

 private:
  std::vector<std::shared_ptr<Callback>> list_;
};

}  // namespace callbacks

}  // namespace keras
