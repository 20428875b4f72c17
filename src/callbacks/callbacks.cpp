// What lives here: Keras' callbacks.
#include <keras/base/warning.h>
#include <keras/callbacks.h>
#include <keras/serial/fields.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fmt/args.h>
#include <fmt/format.h>
#include <fstream>

#include "base/message.h"
#include "core/impl.h"
#include "models/progbar.h"

namespace keras::callbacks {

static void say(const std::string& text) { print_message(text + "\n"); }

// ---- monitor
MonitorCallback::MonitorCallback(MonitorOptions o, const char* cls) : watch_(std::move(o)), class_(cls) {
  if (watch_.mode != "auto" && watch_.mode != "min" && watch_.mode != "max")
    throw ValueError(ErrorText{.what = std::string(cls) + ": mode is unknown" + did_you_mean(watch_.mode, {"auto", "min", "max"}), .expected = "auto, min or max", .received = watch_.mode}.str());
  watch_.min_delta = std::abs(watch_.min_delta);
}

const double* MonitorCallback::value(const Logs& logs) {
  const double* v = logs.find(watch_.monitor);
  if (v) return v;
  std::string known;
  for (const auto& [name, x] : logs.items()) known += (known.empty() ? "" : ",") + name;
  warn(fmt::format("{}: the metric `{}` is not available. Available metrics are: {}", class_, watch_.monitor, known));
  return nullptr;
}

bool MonitorCallback::improved(double now, const std::optional<double>& reference) {
  if (!resolved_) {
    // Keras asks the metric for its direction; the names of its metrics say as much.
    std::string name = watch_.monitor.rfind("val_", 0) == 0 ? watch_.monitor.substr(4) : watch_.monitor;
    // A metric under a name of its own is known by its class.
    if (model_ && model_->compiled())
      for (const auto& m : model_->metrics())
        if (m->name() == name && m->class_name() != "Mean" && m->class_name() != "MeanMetricWrapper") name = core::to_snake_case(m->class_name()) + " " + name;
    auto has = [&](std::initializer_list<const char*> parts) {
      return std::any_of(parts.begin(), parts.end(), [&](const char* p) { return name.find(p) != std::string::npos; });
    };
    if (watch_.mode != "auto") up_ = watch_.mode == "max";
    else if (has({"loss", "error", "crossentropy", "hinge", "logcosh", "poisson", "kl_div", "kullback", "mse", "mae", "mape", "msle", "rmse", "false_"})) up_ = false;
    else if (has({"acc", "auc", "precision", "recall", "iou", "f1", "fbeta", "r2", "cosine", "true_", "sensitivity", "specificity", "pearson", "concordance"})) up_ = true;
    else
      throw ValueError(ErrorText{.what = fmt::format("{}: it can't be told whether '{}' is to grow or to shrink", class_, watch_.monitor), .fix = "pass mode=\"min\" or mode=\"max\""}.str());
    resolved_ = true;
  }
  if (!reference) return true;
  return up_ ? now - watch_.min_delta > *reference : now + watch_.min_delta < *reference;
}

static Value optional_value(const std::optional<double>& d) { return d ? Value(*d) : Value(); }
static void read_optional(const Value& v, std::optional<double>& d) { v.is_number() ? d = v.as_float() : d = std::nullopt; }

// ---- EarlyStopping
EarlyStopping::EarlyStopping(const EarlyStoppingOptions& o) : MonitorCallback({o.monitor, o.mode, o.min_delta}, "EarlyStopping"), o_(o) {}
void EarlyStopping::on_train_begin(Logs&) {
  wait_ = stopped_epoch_ = best_epoch_ = 0;
  best_.reset();
  best_weights_.clear();
}
void EarlyStopping::on_epoch_end(int epoch, Logs& logs) {
  const double* now = value(logs);
  if (!now || epoch < o_.start_from_epoch) return;
  if (o_.restore_best_weights && best_weights_.empty()) best_weights_ = model_->get_weights(), best_epoch_ = epoch;
  ++wait_;
  if (improved(*now, best_)) {
    best_ = *now;
    best_epoch_ = epoch;
    if (o_.restore_best_weights) best_weights_ = model_->get_weights();
    if (!o_.baseline || improved(*now, o_.baseline)) wait_ = 0;
    return;
  }
  if (wait_ >= o_.patience && epoch > 0) {
    stopped_epoch_ = epoch;
    model_->set_stop_training(true);
  }
}
void EarlyStopping::on_train_end(Logs&) {
  if (stopped_epoch_ > 0 && o_.verbose > 0) say(fmt::format("Epoch {}: early stopping", stopped_epoch_ + 1));
  if (!o_.restore_best_weights || best_weights_.empty()) return;
  if (o_.verbose > 0) say(fmt::format("Restoring model weights from the end of the best epoch: {}.", best_epoch_ + 1));
  model_->set_weights(best_weights_);
}
Value EarlyStopping::get_state() const { return Dict{{"wait", wait_}, {"stopped_epoch", stopped_epoch_}, {"best_epoch", best_epoch_}, {"best", optional_value(best_)}}; }
void EarlyStopping::set_state(const Value& s) {
  wait_ = static_cast<int>(s.get("wait").as_int()), stopped_epoch_ = static_cast<int>(s.get("stopped_epoch").as_int()), best_epoch_ = static_cast<int>(s.get("best_epoch").as_int());
  read_optional(s.get("best"), best_);
}

// ---- ModelCheckpoint
static bool ends_with(const std::string& s, std::string_view end) { return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0; }
ModelCheckpoint::ModelCheckpoint(std::string filepath, const ModelCheckpointOptions& o) : MonitorCallback({o.monitor, o.mode, 0}, "ModelCheckpoint"), filepath_(std::move(filepath)), o_(o) {
  best_ = o.initial_value_threshold;
  if (o.save_weights_only && !ends_with(filepath_, ".weights.h5"))
    throw ValueError(ErrorText{.what = "ModelCheckpoint: with save_weights_only the path must end in .weights.h5", .received = filepath_}.str());
  if (!o.save_weights_only && !ends_with(filepath_, ".keras") && !ends_with(filepath_, ".h5"))
    throw ValueError(ErrorText{.what = "ModelCheckpoint: the path must end in .keras", .received = filepath_}.str());
  if (o.save_freq.is_int() && o.save_freq.as_int() > 0) every_ = o.save_freq.as_int();
  else if (!o.save_freq.is_string() || o.save_freq.as_string() != "epoch")
    throw ValueError(ErrorText{.what = "ModelCheckpoint: save_freq is unknown", .expected = "\"epoch\" or a number of batches", .received = o.save_freq.str()}.str());
}
// With steps_per_execution a call may stand for several batches; a number that fell is that of a new epoch.
bool ModelCheckpoint::due(int64_t batch) {
  since_ += batch > last_batch_ && last_batch_ >= 0 ? batch - last_batch_ : batch + 1;
  last_batch_ = batch;
  if (since_ < every_) return false;
  since_ = 0;
  return true;
}
void ModelCheckpoint::on_train_batch_end(int64_t batch, Logs& logs) {
  if (every_ && due(batch)) save(epoch_, batch, logs);
}
void ModelCheckpoint::on_epoch_end(int epoch, Logs& logs) {
  if (!every_) save(epoch, std::nullopt, logs);
}
void ModelCheckpoint::save(int epoch, std::optional<int64_t> batch, const Logs& logs) {
  fmt::dynamic_format_arg_store<fmt::format_context> args;
  args.push_back(fmt::arg("epoch", epoch + 1));
  if (batch) args.push_back(fmt::arg("batch", *batch + 1));
  for (const auto& [name, v] : logs.items()) args.push_back(fmt::arg(name.c_str(), v));
  std::string path;
  try {
    path = fmt::vformat(filepath_, args);
  } catch (const fmt::format_error& e) {
    throw ValueError(ErrorText{.what = "ModelCheckpoint: the path can't be filled in", .received = filepath_, .fix = std::string("use the names of the logs and epoch: ") + e.what()}.str());
  }
  if (o_.save_best_only) {
    const double* now = value(logs);
    if (now) {
      std::string before = best_ ? fmt::format("{:.5f}", *best_) : "None";
      if (!improved(*now, best_)) {
        if (o_.verbose > 0) say(fmt::format("\nEpoch {}: {} did not improve from {}", epoch + 1, o_.monitor, before));
        return;
      }
      if (o_.verbose > 0) say(fmt::format("\nEpoch {}: {} improved from {} to {:.5f}, saving model to {}", epoch + 1, o_.monitor, before, *now, path));
      best_ = *now;
    }
  } else if (o_.verbose > 0) {
    say(fmt::format("\nEpoch {}: saving model to {}", epoch + 1, path));
  }
  if (auto dir = std::filesystem::path(path).parent_path(); !dir.empty()) std::filesystem::create_directories(dir);
  if (o_.save_weights_only) model_->save_weights(path);
  else model_->save(path);
  if (o_.verbose > 0) say(fmt::format("\nEpoch {}: finished saving model to {}", epoch + 1, path));
}
Value ModelCheckpoint::get_state() const { return Dict{{"best", optional_value(best_)}, {"epoch", epoch_}, {"since", since_}, {"last_batch", last_batch_}}; }
void ModelCheckpoint::set_state(const Value& s) {
  read_optional(s.get("best"), best_);
  epoch_ = static_cast<int>(s.get("epoch").as_int());
  since_ = s.get("since").as_int();
  last_batch_ = s.get("last_batch").as_int();
}

// ---- ReduceLROnPlateau
ReduceLROnPlateau::ReduceLROnPlateau(const ReduceLROnPlateauOptions& o) : MonitorCallback({o.monitor, o.mode, o.min_delta}, "ReduceLROnPlateau"), o_(o) {
  if (o.factor >= 1.0) throw ValueError(ErrorText{.what = "ReduceLROnPlateau: factor must be below 1", .received = float_repr(o.factor)}.str());
}
void ReduceLROnPlateau::on_train_begin(Logs&) {
  best_.reset();
  wait_ = cooldown_ = 0;
}
void ReduceLROnPlateau::on_epoch_end(int epoch, Logs& logs) {
  double rate = model_->optimizer().learning_rate().item();
  logs.set("learning_rate", rate);
  const double* now = value(logs);
  if (!now) return;
  double current = *now;
  if (cooldown_ > 0) --cooldown_, wait_ = 0;
  if (improved(current, best_)) {
    best_ = current;
    wait_ = 0;
  } else if (cooldown_ == 0 && ++wait_ >= o_.patience && rate > static_cast<double>(static_cast<float>(o_.min_lr))) {
    double reduced = std::max(rate * o_.factor, o_.min_lr);
    model_->optimizer().set_learning_rate(reduced);
    if (o_.verbose > 0) say(fmt::format("\nEpoch {}: ReduceLROnPlateau reducing learning rate to {}.", epoch + 1, float_repr(reduced)));
    cooldown_ = o_.cooldown;
    wait_ = 0;
  }
}
Value ReduceLROnPlateau::get_state() const { return Dict{{"wait", wait_}, {"cooldown", cooldown_}, {"best", optional_value(best_)}}; }
void ReduceLROnPlateau::set_state(const Value& s) {
  wait_ = static_cast<int>(s.get("wait").as_int()), cooldown_ = static_cast<int>(s.get("cooldown").as_int());
  read_optional(s.get("best"), best_);
}

// ---- LearningRateScheduler
LearningRateScheduler::LearningRateScheduler(Schedule schedule, int verbose) : schedule_(std::move(schedule)), verbose_(verbose) {}
void LearningRateScheduler::on_epoch_begin(int epoch, Logs&) {
  double rate = schedule_(epoch, model_->optimizer().learning_rate().item());
  model_->optimizer().set_learning_rate(rate);
  if (verbose_ > 0) say(fmt::format("\nEpoch {}: LearningRateScheduler setting learning rate to {}.", epoch + 1, float_repr(rate)));
}
void LearningRateScheduler::on_epoch_end(int, Logs& logs) { logs.set("learning_rate", model_->optimizer().learning_rate().item()); }

// ---- CSVLogger
CSVLogger::CSVLogger(std::string filename, const CSVLoggerOptions& o) : filename_(std::move(filename)), o_(o) {}
void CSVLogger::append(const std::string& text) {
  std::ofstream f(filename_, std::ios::app | std::ios::binary);
  f << text;
  f.flush();
  if (!f) throw RuntimeError(ErrorText{.what = "CSVLogger: the file can't be written", .where = filename_}.str());
  text_ += text;
}
void CSVLogger::on_train_begin(Logs&) {
  keys_.clear();
  text_.clear();
  header_ = true;
  found_ = 0;
  if (o_.append) {
    std::ifstream old(filename_);
    std::string line;
    header_ = !(old && std::getline(old, line) && !line.empty());
    std::error_code none;
    if (auto size = std::filesystem::file_size(filename_, none); !none) found_ = static_cast<int64_t>(size);
  }
  std::ofstream f(filename_, o_.append ? std::ios::app : std::ios::trunc);
  if (!f) throw RuntimeError(ErrorText{.what = "CSVLogger: the file can't be written", .where = filename_}.str());
}
void CSVLogger::on_epoch_end(int epoch, Logs& logs) {
  auto line_of = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) line += (i ? o_.separator : "") + cells[i];
    return line + "\r\n";  // as Python's csv module ends its lines
  };
  std::string text;
  if (keys_.empty()) {
    for (const auto& [name, v] : logs.items()) keys_.push_back(name);
    std::sort(keys_.begin(), keys_.end());
    bool val = std::any_of(keys_.begin(), keys_.end(), [](const std::string& k) { return k.rfind("val_", 0) == 0; });
    if (!val)
      for (size_t i = 0, n = keys_.size(); i < n; ++i) keys_.push_back("val_" + keys_[i]);
    if (header_) {
      std::vector<std::string> cells{"epoch"};
      cells.insert(cells.end(), keys_.begin(), keys_.end());
      text += line_of(cells);
    }
  }
  std::vector<std::string> cells{std::to_string(epoch)};
  for (const std::string& k : keys_) {
    const double* v = logs.find(k);
    cells.push_back(v ? float_repr(*v) : "NA");
  }
  append(text + line_of(cells));
}
Value CSVLogger::get_state() const { return Dict{{"found", found_}, {"text", text_}, {"keys", Value(keys_)}, {"header", header_}}; }
void CSVLogger::set_state(const Value& s) {
  keys_.clear();
  for (const Value& k : s.get("keys").as_list()) keys_.push_back(k.as_string());
  header_ = s.get("header").as_bool();
  found_ = s.get("found").as_int();
  text_.clear();
  std::error_code none;
  auto size = static_cast<int64_t>(std::filesystem::file_size(filename_, none));
  if (found_ > 0 && (none || size < found_))
    throw RuntimeError(ErrorText{.what = "CSVLogger: the file lacks lines that were there when the run began", .where = filename_, .expected = std::to_string(found_) + " bytes",
                                 .received = none ? "no file" : std::to_string(size)}.str());
  if (found_ > 0) std::filesystem::resize_file(filename_, static_cast<uintmax_t>(found_));
  else std::ofstream(filename_, std::ios::trunc);
  append(s.get("text").as_string());
}
void CSVLogger::on_train_resume(const Value& state, const Tensors&) { set_state(state); }

// ---- TerminateOnNaN
void TerminateOnNaN::on_batch_end(int64_t batch, Logs& logs) {
  const double* loss = logs.find("loss");
  if (!loss || std::isfinite(*loss)) return;
  if (o_.raise_error) throw RuntimeError(fmt::format("NaN or Inf loss encountered at batch {}. Loss value: {}. Terminating training immediately.", batch, *loss));
  say(fmt::format("Batch {}: Invalid loss, terminating training", batch));
  model_->set_stop_training(true);
}

// ---- SwapEMAWeights
namespace {
/// A weight and the average that an optimizer keeps of it.
struct Averaged {
  Variable weight, average;
};
void averages_of(const optimizers::Optimizer& o, std::vector<Averaged>& out) {
  if (auto* scaled = dynamic_cast<const optimizers::LossScaleOptimizer*>(&o)) return averages_of(*scaled->inner_optimizer(), out);
  if (auto* several = dynamic_cast<const optimizers::MultiOptimizer*>(&o)) {
    for (const auto& inner : several->optimizers()) averages_of(*inner, out);
    return;
  }
  if (!o.base_options().use_ema) return;
  std::vector<Variable> state = o.variables();
  for (const Variable& v : o.trainable_variables()) {
    std::string name = v.path() + "_average";
    std::replace(name.begin(), name.end(), '/', '_');
    auto it = std::find_if(state.begin(), state.end(), [&](const Variable& s) { return s.name() == name && s.shape() == v.shape(); });
    if (it != state.end()) out.push_back({v, *it});
  }
}
std::vector<Averaged> averages_in(Model& m) {
  std::vector<Averaged> out;
  averages_of(m.optimizer(), out);
  if (out.empty())
    throw ValueError(ErrorText{.what = "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer", .where = "model \"" + m.name() + "\"", .fix = "give the optimizer .use_ema = true"}.str());
  return out;
}
}  // namespace
void SwapEMAWeights::swap_to(bool averages) {
  if (averages_in_model_ == averages) return;
  for (Averaged& a : averages_in(*model_)) {
    Tensor weight = a.weight.value();
    a.weight.assign(a.average.value());
    a.average.assign(weight);
  }
  averages_in_model_ = averages;
}
void SwapEMAWeights::on_epoch_begin(int, Logs&) {
  if (o_.swap_on_epoch) swap_to(false);
}
void SwapEMAWeights::on_epoch_end(int epoch, Logs&) {
  if (!o_.swap_on_epoch) return;
  bool swapped = !averages_in_model_;
  swap_to(true);
  // At the end of training the averages overwrite the weights: they are those that are in the model already.
  if (swapped && epoch == params_.epochs - 1)
    for (Averaged& a : averages_in(*model_)) a.average.assign(a.weight.value());
}
Value SwapEMAWeights::get_state() const { return Dict{{"averages_in_model", averages_in_model_}}; }
void SwapEMAWeights::set_state(const Value& s) { averages_in_model_ = s.get("averages_in_model").as_bool(); }

std::shared_ptr<Callback> ProgbarLogger(int verbose) { return models::make_progbar(verbose); }

// ---- from configurations
std::shared_ptr<Callback> get(const Value& config) {
  const Value& cls = config.is_string() ? config : config.get("class_name").is_string() ? config.get("class_name") : config.get("class");
  const Value& given = config.get("config").is_dict() ? config.get("config") : config.get("options");
  static const Dict none;
  const Dict& o = given.is_dict() ? given.as_dict() : none;
  if (!cls.is_string()) throw ValueError(ErrorText{.what = "this names no callback", .expected = "{\"class_name\": …, \"config\": {…}}", .received = config.str()}.str());
  std::vector<std::string> read;
  auto take = [&](const char* key, auto& to) {
    read.push_back(key);
    if (const Value* v = o.find(key); v && !v->is_null()) to = serial::reader<std::decay_t<decltype(to)>>::read(*v);
  };
  auto check = [&] {
    for (const auto& [k, v] : o)
      if (std::find(read.begin(), read.end(), k) == read.end())
        throw ValueError(ErrorText{.what = cls.as_string() + " has no option '" + k + "'" + did_you_mean(k, read), .expected = fmt::format("{}", fmt::join(read, ", "))}.str());
  };
  const std::string& name = cls.as_string();
  if (name == "EarlyStopping") {
    EarlyStoppingOptions e;
    take("monitor", e.monitor), take("min_delta", e.min_delta), take("patience", e.patience), take("verbose", e.verbose), take("mode", e.mode), take("baseline", e.baseline),
        take("restore_best_weights", e.restore_best_weights), take("start_from_epoch", e.start_from_epoch);
    check();
    return std::make_shared<EarlyStopping>(e);
  }
  if (name == "ReduceLROnPlateau") {
    ReduceLROnPlateauOptions e;
    take("monitor", e.monitor), take("factor", e.factor), take("patience", e.patience), take("verbose", e.verbose), take("mode", e.mode), take("min_delta", e.min_delta), take("cooldown", e.cooldown),
        take("min_lr", e.min_lr);
    check();
    return std::make_shared<ReduceLROnPlateau>(e);
  }
  if (name == "ModelCheckpoint") {
    ModelCheckpointOptions e;
    std::string path;
    take("filepath", path), take("monitor", e.monitor), take("verbose", e.verbose), take("save_best_only", e.save_best_only), take("save_weights_only", e.save_weights_only), take("mode", e.mode),
        take("initial_value_threshold", e.initial_value_threshold);
    read.push_back("save_freq");
    if (const Value* v = o.find("save_freq"); v && !v->is_null()) e.save_freq = *v;
    check();
    return std::make_shared<ModelCheckpoint>(path, e);
  }
  if (name == "CSVLogger") {
    CSVLoggerOptions e;
    std::string path;
    take("filename", path), take("separator", e.separator), take("append", e.append);
    check();
    return std::make_shared<CSVLogger>(path, e);
  }
  if (name == "BackupAndRestore") {
    BackupAndRestoreOptions e;
    std::string path;
    take("backup_dir", path), take("double_checkpoint", e.double_checkpoint), take("delete_checkpoint", e.delete_checkpoint);
    read.push_back("save_freq");
    if (const Value* v = o.find("save_freq"); v && !v->is_null()) e.save_freq = *v;
    check();
    return std::make_shared<BackupAndRestore>(path, e);
  }
  if (name == "TerminateOnNaN") {
    TerminateOnNaNOptions e;
    take("raise_error", e.raise_error);
    check();
    return std::make_shared<TerminateOnNaN>(e);
  }
  if (name == "SwapEMAWeights") {
    SwapEMAWeightsOptions e;
    take("swap_on_epoch", e.swap_on_epoch);
    check();
    return std::make_shared<SwapEMAWeights>(e);
  }
  std::vector<std::string> known = {"EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint", "CSVLogger", "BackupAndRestore", "TerminateOnNaN"};
  throw ValueError(ErrorText{.what = "Unknown callback '" + name + "'" + did_you_mean(name, known), .expected = fmt::format("one of {}", fmt::join(known, ", "))}.str());
}

}  // namespace keras::callbacks
