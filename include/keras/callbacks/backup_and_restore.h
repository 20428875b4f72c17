// What lives here: Keras' callback that lets an interrupted training go on at the epoch it had reached.
#pragma once
#include <cstdint>
#include <string>

#include <keras/models/callback.h>

namespace keras::callbacks {

struct BackupAndRestoreOptions {
  /// "epoch": at the end of each epoch; a number: after so many batches.
  Value save_freq = "epoch";
  /// Keep the backup before the last one, too, for when the last one can't be read.
  bool double_checkpoint = false;
  /// Remove the folder at the end of training.
  bool delete_checkpoint = true;
};

/// Keras' BackupAndRestore, with its files: weights and optimizer in `latest.weights.h5`, the epoch in `training_metadata.json`, so that
/// either library goes on where the other was interrupted. A new `fit` of the same model starts with the weights of the last backup, at the
/// first epoch that was not whole; its history holds what it ran itself. The random state is not part of it, nor the place within an epoch:
/// for a run that ends with the same bits as one without interruption see CheckpointOptions.
///
/// ValueError for an empty folder's name, for another `save_freq`, and in `fit` for a model that has no weights yet.
///
///     model.fit(x, y, {.epochs = 10, .callbacks = {keras::callbacks::BackupAndRestore("backup")}});
class BackupAndRestore : public Callback {
 public:
  explicit BackupAndRestore(std::string backup_dir, const BackupAndRestoreOptions& options = {});
  void on_train_begin(Logs&) override;
  void on_epoch_end(int epoch, Logs&) override;
  void on_train_batch_end(int64_t batch, Logs&) override;
  void on_train_end(Logs&) override;
  Value get_state() const override;
  void set_state(const Value& state) override;
  /// An exact resume has more than the backup: it stays where it is.
  void on_train_resume(const Value& state, const Tensors& tensors) override;

 private:
  std::string path(const char* name) const;
  void load();
  void save();
  std::string dir_;
  BackupAndRestoreOptions o_;
  int64_t every_ = -1;  // batches; -1: epochs
  int64_t since_ = 0, last_batch_ = 0;
  int epoch_ = 0;
};

}  // namespace keras::callbacks
