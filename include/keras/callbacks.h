// What lives here: Keras' callbacks. The class to derive one's own from is in models/callback.h.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <keras/callbacks/backup_and_restore.h>
#include <keras/models/callback.h>
#include <keras/models/model.h>

namespace keras::callbacks {

struct MonitorOptions {
  std::string monitor = "val_loss";
  /// "min", "max" or "auto", which knows losses and Keras' metrics.
  std::string mode = "auto";
  double min_delta = 0;
};

/// Base of the callbacks that watch one number.
class MonitorCallback : public Callback {
 public:
  explicit MonitorCallback(MonitorOptions options, const char* class_name);

 protected:
  /// The number, or nullptr after a warning that names what there is.
  const double* value(const Logs& logs);
  bool improved(double now, const std::optional<double>& reference);
  MonitorOptions watch_;
  std::optional<double> best_;

 private:
  const char* class_;
  bool resolved_ = false, up_ = false;
};

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";
  double min_delta = 0;
  int patience = 0;
  int verbose = 0;
  std::string mode = "auto";
  std::optional<double> baseline{};
  bool restore_best_weights = false;
  int start_from_epoch = 0;
};
/// Stops training when a number has stopped improving.
class EarlyStopping : public MonitorCallback {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options = {});
  KERAS_EMPTY_BRACES(EarlyStopping)
  int stopped_epoch() const { return stopped_epoch_; }
  int best_epoch() const { return best_epoch_; }
  void on_train_begin(Logs&) override;
  void on_epoch_end(int epoch, Logs& logs) override;
  void on_train_end(Logs&) override;
  Value get_state() const override;
  void set_state(const Value& state) override;
  Tensors get_state_tensors() const override { return best_weights_; }
  void set_state_tensors(const Tensors& tensors) override { best_weights_ = tensors; }

 private:
  EarlyStoppingOptions o_;
  int wait_ = 0, stopped_epoch_ = 0, best_epoch_ = 0;
  Tensors best_weights_;
};

struct ModelCheckpointOptions {
  std::string monitor = "val_loss";
  int verbose = 0;
  bool save_best_only = false;
  bool save_weights_only = false;
  std::string mode = "auto";
  /// "epoch": at the end of each epoch; a number: after so many batches.
  Value save_freq = "epoch";
  std::optional<double> initial_value_threshold{};
};
/// Saves the model while it trains. The path may hold `{epoch:02d}`, `{val_loss:.2f}` and the like.
class ModelCheckpoint : public MonitorCallback {
 public:
  explicit ModelCheckpoint(std::string filepath, const ModelCheckpointOptions& options = {});
  void on_epoch_begin(int epoch, Logs&) override { epoch_ = epoch; }
  void on_train_batch_end(int64_t batch, Logs& logs) override;
  void on_epoch_end(int epoch, Logs& logs) override;
  Value get_state() const override;
  void set_state(const Value& state) override;

 private:
  void save(int epoch, std::optional<int64_t> batch, const Logs& logs);
  std::string filepath_;
  ModelCheckpointOptions o_;
  bool due(int64_t batch);
  int epoch_ = 0;
  int64_t every_ = 0, since_ = 0, last_batch_ = -1;  // 0: at the end of epochs
};

struct ReduceLROnPlateauOptions {
  std::string monitor = "val_loss";
  double factor = 0.1;
  int patience = 10;
  int verbose = 0;
  std::string mode = "auto";
  double min_delta = 1e-4;
  int cooldown = 0;
  double min_lr = 0;
};
/// Multiplies the learning rate by `factor` when a number has stopped improving; logs it as learning_rate.
class ReduceLROnPlateau : public MonitorCallback {
 public:
  explicit ReduceLROnPlateau(const ReduceLROnPlateauOptions& options = {});
  KERAS_EMPTY_BRACES(ReduceLROnPlateau)
  void on_train_begin(Logs&) override;
  void on_epoch_end(int epoch, Logs& logs) override;
  Value get_state() const override;
  void set_state(const Value& state) override;

 private:
  ReduceLROnPlateauOptions o_;
  int wait_ = 0, cooldown_ = 0;
};

/// Sets the learning rate at the start of each epoch: `schedule(epoch, current)`; logs it as learning_rate.
class LearningRateScheduler : public Callback {
 public:
  using Schedule = std::function<double(int epoch, double learning_rate)>;
  explicit LearningRateScheduler(Schedule schedule, int verbose = 0);
  void on_epoch_begin(int epoch, Logs&) override;
  void on_epoch_end(int epoch, Logs& logs) override;

 private:
  Schedule schedule_;
  int verbose_;
};

struct CSVLoggerOptions {
  std::string separator = ",";
  bool append = false;
};
/// Writes one line per epoch.
class CSVLogger : public Callback {
 public:
  explicit CSVLogger(std::string filename, const CSVLoggerOptions& options = {});
  void on_train_begin(Logs&) override;
  void on_epoch_end(int epoch, Logs& logs) override;
  Value get_state() const override;
  /// Brings the file back to what it held then.
  void set_state(const Value& state) override;
  void on_train_resume(const Value& state, const Tensors& tensors) override;

 private:
  void append(const std::string& text);
  std::string filename_;
  CSVLoggerOptions o_;
  std::vector<std::string> keys_;
  bool header_ = true;
  int64_t found_ = 0;  // bytes that the file held before this run
  std::string text_;   // what this run has written
};

struct TerminateOnNaNOptions {
  /// RuntimeError at once, which no other callback sees the end of.
  bool raise_error = false;
};
/// Stops training when the loss is NaN or infinite.
class TerminateOnNaN : public Callback {
 public:
  explicit TerminateOnNaN(const TerminateOnNaNOptions& options = {}) : o_(options) {}
  void on_batch_end(int64_t batch, Logs& logs) override;

 private:
  TerminateOnNaNOptions o_;
};

struct SwapEMAWeightsOptions {
  /// Also between epochs, for callbacks that save or evaluate the model there; they come after this one in the list.
  bool swap_on_epoch = false;
};
/// Puts the averages that an optimizer with `use_ema` keeps in place of the weights while the model is evaluated or predicts. ValueError when
/// no optimizer of the model keeps averages.
///
///     model.compile({.optimizer = optimizers::Adam({.use_ema = true}), .loss = "mse"});
///     model.fit(x, y, {.epochs = 3, .callbacks = {callbacks::SwapEMAWeights()}, .validation_split = 0.2});
class SwapEMAWeights : public Callback {
 public:
  explicit SwapEMAWeights(const SwapEMAWeightsOptions& options = {}) : o_(options) {}
  void on_epoch_begin(int epoch, Logs&) override;
  void on_epoch_end(int epoch, Logs&) override;
  void on_test_begin(Logs&) override { swap_to(true); }
  void on_test_end(Logs&) override { swap_to(false); }
  void on_predict_begin(Logs&) override { swap_to(true); }
  void on_predict_end(Logs&) override { swap_to(false); }
  Value get_state() const override;
  void set_state(const Value& state) override;

 private:
  void swap_to(bool averages);
  SwapEMAWeightsOptions o_;
  bool averages_in_model_ = false;
};

struct LambdaCallbackOptions {
  using OfEpoch = std::function<void(int epoch, const Logs&)>;
  using OfBatch = std::function<void(int64_t batch, const Logs&)>;
  using OfRun = std::function<void(const Logs&)>;
  OfEpoch on_epoch_begin{}, on_epoch_end{};
  OfRun on_train_begin{}, on_train_end{};
  OfBatch on_train_batch_begin{}, on_train_batch_end{};
  OfRun on_test_begin{}, on_test_end{};
  OfBatch on_test_batch_begin{}, on_test_batch_end{};
  OfRun on_predict_begin{}, on_predict_end{};
  OfBatch on_predict_batch_begin{}, on_predict_batch_end{};
};
/// Hooks as functions: `LambdaCallback({.on_epoch_end = [](int epoch, const Logs& logs) { … }})`.
class LambdaCallback : public Callback {
 public:
  explicit LambdaCallback(LambdaCallbackOptions options) : o_(std::move(options)) {}
#define KERAS_CALL_HOOK(hook, ...) \
  if (o_.hook) o_.hook(__VA_ARGS__)
  void on_epoch_begin(int epoch, Logs& logs) override { KERAS_CALL_HOOK(on_epoch_begin, epoch, logs); }
  void on_epoch_end(int epoch, Logs& logs) override { KERAS_CALL_HOOK(on_epoch_end, epoch, logs); }
  void on_train_begin(Logs& logs) override { KERAS_CALL_HOOK(on_train_begin, logs); }
  void on_train_end(Logs& logs) override { KERAS_CALL_HOOK(on_train_end, logs); }
  void on_train_batch_begin(int64_t batch, Logs& logs) override { KERAS_CALL_HOOK(on_train_batch_begin, batch, logs); }
  void on_train_batch_end(int64_t batch, Logs& logs) override { KERAS_CALL_HOOK(on_train_batch_end, batch, logs); }
  void on_test_begin(Logs& logs) override { KERAS_CALL_HOOK(on_test_begin, logs); }
  void on_test_end(Logs& logs) override { KERAS_CALL_HOOK(on_test_end, logs); }
  void on_test_batch_begin(int64_t batch, Logs& logs) override { KERAS_CALL_HOOK(on_test_batch_begin, batch, logs); }
  void on_test_batch_end(int64_t batch, Logs& logs) override { KERAS_CALL_HOOK(on_test_batch_end, batch, logs); }
  void on_predict_begin(Logs& logs) override { KERAS_CALL_HOOK(on_predict_begin, logs); }
  void on_predict_end(Logs& logs) override { KERAS_CALL_HOOK(on_predict_end, logs); }
  void on_predict_batch_begin(int64_t batch, Logs& logs) override { KERAS_CALL_HOOK(on_predict_batch_begin, batch, logs); }
  void on_predict_batch_end(int64_t batch, Logs& logs) override { KERAS_CALL_HOOK(on_predict_batch_end, batch, logs); }
#undef KERAS_CALL_HOOK

 private:
  LambdaCallbackOptions o_;
};

/// Keras' progress bar, which fit adds by itself: `verbose` 1 a bar, 2 a line per epoch.
std::shared_ptr<Callback> ProgbarLogger(int verbose = 1);

/// A callback from {"class_name"/"class", "config"/"options"}, as the program `keras` and recorded runs name it.
std::shared_ptr<Callback> get(const Value& config);

}  // namespace keras::callbacks
