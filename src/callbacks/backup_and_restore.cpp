// What lives here: Keras' BackupAndRestore.
#include <keras/callbacks/backup_and_restore.h>

#include <filesystem>

#include <keras/base/warning.h>
#include <keras/models/model.h>

#include "io/file.h"
#include "io/json.h"
#include "models/trainer.h"

namespace keras::callbacks {

namespace fs = std::filesystem;

namespace {

constexpr const char *kWeights = "latest.weights.h5", *kMetadata = "training_metadata.json";
constexpr const char *kOldWeights = "latest.weights.h5.bkp", *kOldMetadata = "training_metadata.json.bkp";

void copy_file(const std::string& from, const std::string& to) {
  io::Bytes bytes = io::read_file(from);
  io::write_file_atomic(to, bytes);
}

}  // namespace

BackupAndRestore::BackupAndRestore(std::string backup_dir, const BackupAndRestoreOptions& options) : dir_(std::move(backup_dir)), o_(options) {
  if (dir_.empty()) throw ValueError("BackupAndRestore: backup_dir is empty");
  const Value& f = o_.save_freq;
  if (f.is_int()) every_ = f.as_int();
  else if (f.is_bool()) every_ = f.as_bool();  // Python's booleans are numbers
  else if (!f.is_string() || f.as_string() != "epoch")
    throw ValueError(ErrorText{.what = "BackupAndRestore: save_freq is neither \"epoch\" nor a number of batches", .received = f.str()}.str());
}

std::string BackupAndRestore::path(const char* name) const { return (fs::path(dir_) / name).string(); }

void BackupAndRestore::on_train_begin(Logs&) {
  try {
    load();
  } catch (const Error& e) {
    if (!fs::exists(path(kOldWeights))) throw;
    warn(std::string("BackupAndRestore: the last backup can't be read, the one before takes its place: ") + e.what());
    copy_file(path(kOldWeights), path(kWeights));
    if (fs::exists(path(kOldMetadata))) copy_file(path(kOldMetadata), path(kMetadata));
    else fs::remove(path(kMetadata));
    load();
  }
}

void BackupAndRestore::load() {
  if (!model_->built())
    throw ValueError(ErrorText{.what = "BackupAndRestore: the model has no weights yet", .where = "model \"" + model_->name() + "\"", .fix = "call it on data, or give its first layer an input shape"}.str());
  // Both are read before either changes anything.
  std::optional<int> epoch;
  if (fs::exists(path(kMetadata))) epoch = static_cast<int>(io::parse_json(io::read_text_file(path(kMetadata)), path(kMetadata)).get("epoch").as_int());
  if (fs::exists(path(kWeights))) {
    if (!model_->optimizer().built()) model_->optimizer().build(model_->trainable_weights());
    model_->load_weights(path(kWeights));
  }
  if (epoch && *epoch > 0) model_->trainer().initial_epoch = epoch;
}

void BackupAndRestore::save() {
  fs::create_directories(dir_);
  if (o_.double_checkpoint) {
    if (fs::exists(path(kWeights))) copy_file(path(kWeights), path(kOldWeights));
    if (fs::exists(path(kMetadata))) copy_file(path(kMetadata), path(kOldMetadata));
  }
  model_->save_weights(path(kWeights));
  io::write_file_atomic(path(kMetadata), io::to_json(Dict{{"epoch", epoch_}, {"batch", last_batch_}}));
}

void BackupAndRestore::on_epoch_end(int epoch, Logs&) {
  epoch_ = epoch + 1;
  last_batch_ = 0;
  if (every_ < 0) save();
}

void BackupAndRestore::on_train_batch_end(int64_t batch, Logs&) {
  if (every_ < 0) return;
  since_ += batch <= last_batch_ ? batch + 1 : batch - last_batch_;
  last_batch_ = batch;
  if (since_ < every_) return;
  since_ = 0;
  save();
}

void BackupAndRestore::on_train_end(Logs&) {
  if (o_.delete_checkpoint) fs::remove_all(dir_);
}

Value BackupAndRestore::get_state() const { return Dict{{"epoch", epoch_}, {"last_batch", last_batch_}, {"since", since_}}; }
void BackupAndRestore::set_state(const Value& s) {
  epoch_ = static_cast<int>(s.get("epoch").as_int());
  last_batch_ = s.get("last_batch").as_int();
  since_ = s.get("since").as_int();
}
void BackupAndRestore::on_train_resume(const Value& state, const Tensors&) { set_state(state); }

}  // namespace keras::callbacks
