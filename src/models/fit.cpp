// What lives here: the loops of fit, evaluate and predict over data, and the hooks of callbacks around them, in Keras' order.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

#include <keras/base/warning.h>

#include "models/checkpoint.h"
#include "models/epochs.h"
#include "models/limits.h"
#include "models/progbar.h"
#include "models/trainer.h"

namespace keras {

Verbose::Verbose(const char* text) {
  if (std::string_view(text) != "auto") throw ValueError(ErrorText{.what = "verbose is unknown", .expected = "\"auto\", 0, 1 or 2", .received = text}.str());
}
Shuffle::Shuffle(const char* text) : kind(Batch), given(true) {
  if (std::string_view(text) != "batch") throw ValueError(ErrorText{.what = "shuffle is unknown", .expected = "true, false or \"batch\"", .received = text}.str());
}
bool ValidationFreq::due(int epoch) const {
  if (every > 0) return (epoch + 1) % every == 0;
  return std::find(epochs.begin(), epochs.end(), epoch + 1) != epochs.end();
}

namespace models {

namespace {

using callbacks::Callback;
using callbacks::CallbackList;
using callbacks::History;
using data::Batches;

// ---- data

struct FeedOptions {
  Arrays y{}, sample_weight{};
  std::map<int64_t, double> class_weight{};
  std::optional<int64_t> batch_size{}, steps{};
  Shuffle shuffle = false;
  bool targets = true;
};

std::unique_ptr<data::Feed> make_feed(const Model& m, const Data& x, const FeedOptions& o) {
  if (o.steps && *o.steps < 0) throw ValueError(ErrorText{.what = "the number of steps is negative", .received = std::to_string(*o.steps)}.str());
  Wanted wanted(m);
  if (!x.is_source()) {
    data::Flat flat = arrange(wanted, {x.arrays(), o.y, o.sample_weight}, o.class_weight, o.targets);
    // Without a size of batches, one that makes as many of them as there are steps.
    int64_t n = flat.tensors[0].rank() ? flat.tensors[0].shape()[0] : 0;
    int64_t batch = o.batch_size ? *o.batch_size : o.steps && *o.steps ? std::max<int64_t>((n + *o.steps - 1) / *o.steps, 1) : 32;
    Batches::Order order = o.shuffle.kind == Shuffle::On ? Batches::Order::Shuffled : o.shuffle.kind == Shuffle::Batch ? Batches::Order::ShuffledBatches : Batches::Order::InOrder;
    return data::array_feed(flat, batch, order);
  }
  const char* kind = x.generator() ? "generator" : "PyDataset";
  auto refuse = [&](const char* argument, const char* what) {
    throw ValueError(fmt::format("When providing `x` as a {}, `{}` should not be passed. Instead, {} should be included as part of the {}.", kind, argument, what, kind));
  };
  if (!o.y.empty()) refuse("y", "the targets");
  if (!o.sample_weight.empty()) refuse("sample_weights", "the sample weights");
  if (x.generator() && !o.class_weight.empty()) throw ValueError("Argument `class_weight` is not supported for generators.");
  bool endless = x.generator() || !x.dataset()->num_batches();
  if (endless && o.shuffle.given && o.shuffle.kind != Shuffle::Off)
    warn(fmt::format("`shuffle=True` was passed, but will be ignored since the data `x` was provided as {} {}. It is expected to be shuffled already.", x.generator() ? "a" : "an infinite", kind));
  auto arrange_batch = [wanted, class_weight = o.class_weight, targets = o.targets](const Batch& b) { return arrange(wanted, b, class_weight, targets); };
  return data::source_feed(x, arrange_batch, !endless && o.shuffle.kind != Shuffle::Off);
}

Arrays rows_of_arrays(const Arrays& a, int64_t from, int64_t to) {
  Arrays out = a;
  for (Tensor& t : out.values)
    if (t.defined()) t = t.rows(from, to);
  return out;
}

/// Looks at one batch where losses, metrics or layers don't know their shapes; then the data start again.
void build_from_data(Model& m, Trainer& t, Epochs& data) {
  if (needs_batch(m, t)) {
    int64_t first, last;
    data::Ready batch;
    data.begin_epoch();
    if (!data.next(first, last) || !data.take(batch)) throw ValueError(ErrorText{.what = "the data hold no batch", .where = where_model(m)}.str());
    build_trainer(m, t, *batch.signature);
  } else if (!t.optimizer->built()) {
    t.optimizer->build(m.model_impl().trainable_weights());
  }
  data.reset();
}

// ---- callbacks

/// What a run tells: the user's callbacks, then the history, then the progress bar, as in Keras.
struct Told {
  std::shared_ptr<CallbackList> list;
  std::shared_ptr<Callback> bar;
  std::shared_ptr<History> history;
};
Told callbacks_of(const std::vector<CallbackSpec>& given, Model& m, const CallbackParams& params, bool history) {
  Told told;
  if (given.size() == 1) told.list = std::dynamic_pointer_cast<CallbackList>(given[0].get());
  if (told.list) {
    told.history = told.list->history();
    if (!told.list->model()) told.list->set_model(&m);
    return told;
  }
  told.list = std::make_shared<CallbackList>(given);
  told.history = told.list->history();
  if (history && !told.history) told.list->append(told.history = std::make_shared<History>());
  for (const CallbackSpec& c : given)
    if (is_progbar(*c.get())) told.bar = c.get();
  if (params.verbose > 0 && !told.bar) told.list->append(told.bar = make_progbar(params.verbose));
  told.list->set_model(&m);
  told.list->set_params(params);
  return told;
}
/// Logs at a hook; asked for only there.
template <class Hook> void tell(Trainer& t, const Steps& steps, Hook&& hook) {
  Logs logs([&steps] { return steps.logs(); });
  struct Asked {
    Trainer& t;
    Logs* before;
    ~Asked() { t.asked = before; }
  } asked{t, std::exchange(t.asked, &logs)};
  hook(logs);
}

/// One execution: as many batches as steps_per_execution says, or as there are. False when there was none.
template <class Run> bool execute(Epochs& data, int64_t batches, Run&& run) {
  data::Ready batch;
  if (!data.take(batch)) return false;
  run(batch);
  for (int64_t i = 1; i < batches && data.take(batch); ++i) run(batch);
  return true;
}

Logs::Items evaluate_over(Model& m, Trainer& t, Epochs& data, CallbackList& callbacks) {
  t.stop_evaluating = false;
  Logs none;
  callbacks.on_test_begin(none);
  reset(m, t);
  Steps steps(m, t, false);
  int64_t first, last;
  data.begin_epoch();
  while (data.next(first, last)) {
    callbacks.on_test_batch_begin(first, none);
    if (!execute(data, t.options.steps_per_execution, [&](const data::Ready& b) { steps.run(b); })) {
      data.ran_out();
      break;
    }
    tell(t, steps, [&](Logs& logs) { callbacks.on_test_batch_end(last, logs); });
    if (t.stop_evaluating) break;
  }
  Logs::Items items = steps.final_logs();
  Logs logs(items);
  callbacks.on_test_end(logs);
  return items;
}

std::shared_ptr<History> run_fit(Model& m, const Data& given_x, const Arrays& given_y, const FitOptions& given) {
  const FitOptions o = limited(given);
  Trainer& t = need_trainer(m, "fit");
  int64_t per_execution = t.options.steps_per_execution;
  // ---- data
  Data x = given_x;
  FeedOptions train{.y = given_y, .sample_weight = o.sample_weight, .class_weight = o.class_weight, .batch_size = o.batch_size, .steps = o.steps_per_epoch, .shuffle = o.shuffle};
  ValidationData val = o.validation_data;
  if (o.validation_split != 0 && val.empty()) {
    if (o.validation_split < 0 || o.validation_split >= 1)
      throw ValueError(ErrorText{.what = "validation_split is outside [0, 1)", .received = fmt::format("{}", o.validation_split)}.str());
    if (x.is_source()) throw ValueError(ErrorText{.what = "validation_split is only supported for arrays", .fix = "pass validation_data"}.str());
    data::Flat all = arrange(Wanted(m), {x.arrays(), train.y, train.sample_weight}, {}, true);
    Batches check(all.tensors, 1, all.what);  // equal lengths, before anything is cut
    int64_t n = check.num_rows(), at = static_cast<int64_t>(std::floor(static_cast<double>(n) * (1.0 - o.validation_split)));
    if (at == 0 || at == n)
      throw ValueError(ErrorText{.what = "validation_split leaves no samples on one side", .received = fmt::format("validation_split={} of {} samples", o.validation_split, n)}.str());
    val = {rows_of_arrays(x.arrays(), at, n), rows_of_arrays(train.y, at, n), rows_of_arrays(train.sample_weight, at, n)};
    x = Data(rows_of_arrays(x.arrays(), 0, at)), train.y = rows_of_arrays(train.y, 0, at), train.sample_weight = rows_of_arrays(train.sample_weight, 0, at);
  }
  Epochs data(make_feed(m, x, train), o.steps_per_epoch, per_execution);
  // Built before the first run, so that callbacks see weights and optimizer.
  build_from_data(m, t, data);
  FeedOptions validation{.y = val.y, .sample_weight = val.sample_weight, .batch_size = o.validation_batch_size ? o.validation_batch_size : o.batch_size, .steps = o.validation_steps};
  std::unique_ptr<Epochs> val_data;
  auto make_validation = [&] { val_data = std::make_unique<Epochs>(make_feed(m, val.x, validation), o.validation_steps, per_execution); };
  if (!val.empty() && !val.x.is_source()) make_validation();  // what is wrong with arrays is told before an epoch is spent
  // ---- callbacks
  Told told = callbacks_of(o.callbacks, m, {o.epochs, data.num_batches().value_or(0), o.verbose.level}, true);
  CallbackList& callbacks = *told.list;
  if (!told.history) told.history = std::make_shared<History>();
  t.history = told.history;
  t.stop_training = false;
  t.initial_epoch.reset();
  Logs none;
  Steps steps(m, t, true);
  // ---- where it starts
  FitPosition now;
  int& epoch = now.epoch;
  epoch = o.initial_epoch;
  std::unique_ptr<FitCheckpoint> checkpoint;
  auto move = [&] { now.step = data.step(), now.at = data.taken(), now.pass_seed = data.generator(); };
  if (!o.checkpoint.directory.empty()) {
    data.watch();
    auto described = [](const Data& x, const Arrays& y, const Arrays& w) {
      Tensors all = x.arrays().values;
      all.insert(all.end(), y.values.begin(), y.values.end());
      all.insert(all.end(), w.values.begin(), w.values.end());
      return describe_data(all);
    };
    FitRun run{m, t, {}, told.history, Dict{{"fit", describe_fit(o)}, {"data", described(x, train.y, train.sample_weight)}, {"validation_data", described(val.x, val.y, val.sample_weight)}}};
    for (const CallbackSpec& c : o.callbacks) run.callbacks.push_back(c.get());
    checkpoint = std::make_unique<FitCheckpoint>(o.checkpoint, std::move(run));
  }
  auto traced = [&]() -> const core::Compiled* {
    const data::Signature* batch = data.feed().expected();
    return batch ? steps.compiled(*batch) : nullptr;
  };
  // What was begun is ended, however that comes about.
  struct End {
    std::function<void()> end;
    ~End() { end(); }
  };
  End forget_model{[&] { callbacks.set_model(nullptr); }};
  if (checkpoint && checkpoint->found()) {
    now = checkpoint->position();
    if (told.bar && !checkpoint->finished()) told.bar->on_train_resume(now.begun ? Value(Dict{{"epoch", epoch}, {"seen", now.step}}) : Value(), {});
    checkpoint->resume_callbacks();
    checkpoint->restore(traced());
    if (checkpoint->finished()) return told.history;
    data.go_on(now.begun, now.step, now.at, now.pass_seed);
    checkpoint->restore_random();
  } else {
    callbacks.on_train_begin(none);
    epoch = t.initial_epoch.value_or(o.initial_epoch);
    if (checkpoint) {
      checkpoint->set_step(traced());
      checkpoint->write(now);
    }
  }
  // ---- training
  {
    End finalize{[&] {
      if (o.epochs > 0) t.optimizer->finalize_variable_values(m.model_impl().trainable_weights());
    }};
    for (; epoch < o.epochs && !t.stop_training; ++epoch) {
      if (!now.begun) {
        reset(m, t);
        Logs begin;
        callbacks.on_epoch_begin(epoch, begin);
        data.begin_epoch();
        now.begun = true;
      }
      int64_t first, last;
      while (data.next(first, last)) {
        callbacks.on_train_batch_begin(first, none);
        if (!execute(data, per_execution, [&](const data::Ready& b) { steps.run(b); })) {
          data.ran_out();
          break;
        }
        tell(t, steps, [&](Logs& logs) { callbacks.on_train_batch_end(last, logs); });
        if (t.stop_training) break;
        if (checkpoint) move(), checkpoint->moved(now, true);
      }
      Logs::Items items = steps.final_logs();
      if (!val.empty() && o.validation_freq.due(epoch)) {
        if (!val_data) make_validation();
        val_data->reset();
        for (const auto& [name, value] : evaluate_over(m, t, *val_data, callbacks)) items.emplace_back("val_" + name, value);
      }
      // Keras hands logs to callbacks sorted by name, which is the order of history and of files.
      std::sort(items.begin(), items.end());
      Logs logs(std::move(items));
      callbacks.on_epoch_end(epoch, logs);
      now.last = logs.items();
      now.begun = false;
      if (checkpoint) {
        move();
        FitPosition next = now;
        ++next.epoch, next.step = 0;
        checkpoint->moved(next, false);
      }
    }
  }
  Logs end(now.last);
  callbacks.on_train_end(end);
  if (checkpoint) move(), checkpoint->write(now, true);
  return told.history;
}

Logs run_evaluate(Model& m, const Data& x, const Arrays& y, const EvaluateOptions& given) {
  const EvaluateOptions o = limited(given);
  Trainer& t = need_trainer(m, "evaluate");
  Epochs data(make_feed(m, x, {.y = y, .sample_weight = o.sample_weight, .batch_size = o.batch_size, .steps = o.steps}), o.steps, t.options.steps_per_execution);
  build_from_data(m, t, data);
  Told told = callbacks_of(o.callbacks, m, {1, data.num_batches().value_or(0), o.verbose.level}, false);
  Logs::Items items = evaluate_over(m, t, data, *told.list);
  return o.return_dict ? Logs(items) : in_metric_order(m, items);
}

// ---- predict

/// The outputs of all batches, one after the other.
class Collected {
 public:
  /// `rows`: how many there will be, where that is known.
  Collected(const ir::Type& type, std::optional<int64_t> rows) : row_(type.shape), type_(type) {
    if (type.shape.rank() == 0)
      throw ValueError(ErrorText{.what = "predict can't put scalars one after the other", .expected = "outputs with a batch axis", .received = type.shape.str(), .fix = "use predict_on_batch"}.str());
    grow(rows.value_or(type.shape[0]));
  }
  void add(const ir::Type& type, const void* data) {
    if (type.dtype != type_.dtype || type.shape.slice(1) != type_.shape.slice(1))
      throw ValueError(ErrorText{.what = "the outputs of two batches don't fit one after the other", .expected = type_.shape.str(), .received = type.shape.str()}.str());
    int64_t n = type.shape[0];
    if (used_ + n > capacity_) grow(std::max(used_ + n, capacity_ * 2));
    size_t bytes = static_cast<size_t>(n) * row_bytes_;
    if (bytes) std::memcpy(static_cast<std::byte*>(all_.mutable_raw()) + static_cast<size_t>(used_) * row_bytes_, data, bytes);
    used_ += n;
  }
  Tensor finish() const { return used_ == capacity_ ? all_ : all_.rows(0, used_); }

 private:
  void grow(int64_t rows) {
    row_[0] = capacity_ = rows;
    Tensor more = Tensor::empty(type_.dtype, row_);
    row_bytes_ = rows ? more.nbytes() / static_cast<size_t>(rows) : 0;
    if (used_) std::memcpy(more.mutable_raw(), all_.raw(), static_cast<size_t>(used_) * row_bytes_);
    all_ = more;
  }
  Shape row_;
  ir::Type type_;
  Tensor all_;
  int64_t used_ = 0, capacity_ = 0;
  size_t row_bytes_ = 0;
};

/// The forward pass for one batch after the other, into memory that is made once per shapes.
class Predictor {
 public:
  Predictor(Model& m) : impl_(m.model_impl()), m_(m), eager_(impl_.trainer && impl_.trainer->options.run_eagerly) {
    // Only an object of a class of the user's may have a step of its own.
    own_step_ = typeid(m) != typeid(Model) && typeid(m) != typeid(Sequential);
  }
  void run(const data::Ready& batch) {
    const auto& x = batch.signature->types;
    if (eager_) {
      layers::CallScope scope(nullptr, false);
      outputs_ = m_.predict_step(batch.signature->layout.batch(batch.tensors()));
      types_.clear();
      for (const Tensor& t : outputs_) types_.push_back({t.dtype(), t.shape()});
      return;
    }
    if (known_ != batch.signature) {
      known_ = batch.signature;
      step_ = &impl_.predict_step(x, own_step_ ? &m_ : nullptr);
      types_ = step_->outputs;
      outputs_.clear(), pointers_.clear();
      for (const ir::Type& type : types_) {
        outputs_.push_back(Tensor::empty(type.dtype, type.shape));
        pointers_.push_back(outputs_.back().mutable_raw());
      }
    }
    step_->run(batch.pointers, pointers_.data());
  }
  const std::vector<ir::Type>& types() const { return types_; }
  /// Of the last batch; overwritten by the next.
  const Tensors& outputs() const { return outputs_; }

 private:
  ModelImpl& impl_;
  Model& m_;
  bool eager_, own_step_;
  const data::Signature* known_ = nullptr;
  const core::Compiled* step_ = nullptr;
  std::vector<ir::Type> types_;
  Tensors outputs_;
  std::vector<void*> pointers_;
};

Tensor copy_of(const Tensor& t) {
  Tensor c = Tensor::empty(t.dtype(), t.shape());
  if (t.nbytes()) std::memcpy(c.mutable_raw(), t.raw(), t.nbytes());
  return c;
}

Tensors run_predict(Model& m, const Data& x, const PredictOptions& given) {
  const PredictOptions o = limited(given);
  ModelImpl& impl = m.model_impl();
  int64_t per_execution = impl.trainer ? impl.trainer->options.steps_per_execution : 1;
  Epochs data(make_feed(m, x, {.batch_size = o.batch_size, .steps = o.steps, .targets = false}), o.steps, per_execution);
  if (!impl.built_ && x.is_source()) {
    // Keras looks at a batch to build the model; datasets see that.
    int64_t first, last;
    data::Ready batch;
    data.begin_epoch();
    if (data.next(first, last)) data.take(batch);
    data.reset();
  }
  Told told = callbacks_of(o.callbacks, m, {1, data.num_batches().value_or(0), o.verbose.level}, false);
  impl.stop_predicting = false;
  Logs none;
  told.list->on_predict_begin(none);
  std::optional<int64_t> rows = data.feed().num_rows();
  if (o.steps && *o.steps) rows.reset();
  bool asked = !o.callbacks.empty();
  Predictor predictor(m);
  std::vector<Collected> all;
  int64_t first, last;
  data.begin_epoch();
  while (data.next(first, last)) {
    told.list->on_predict_batch_begin(first, none);
    std::vector<Collected> now;  // of this execution, for callbacks
    bool some = execute(data, per_execution, [&](const data::Ready& b) {
      predictor.run(b);
      const auto& types = predictor.types();
      if (all.empty())
        for (const ir::Type& type : types) all.emplace_back(type, type.shape.rank() && type.shape[0] == b.signature->rows() ? rows : std::nullopt);
      if (asked && per_execution > 1 && now.empty())
        for (const ir::Type& type : types) now.emplace_back(type, std::nullopt);
      for (size_t i = 0; i < types.size(); ++i) {
        all.at(i).add(types[i], predictor.outputs()[i].raw());
        if (!now.empty()) now[i].add(types[i], predictor.outputs()[i].raw());
      }
    });
    if (!some) {
      data.ran_out();
      break;
    }
    Logs logs;
    if (asked && now.empty())
      for (const Tensor& t : predictor.outputs()) logs.outputs.push_back(copy_of(t));
    for (const Collected& c : now) logs.outputs.push_back(c.finish());
    told.list->on_predict_batch_end(last, logs);
    if (impl.stop_predicting) break;
  }
  told.list->on_predict_end(none);
  Tensors results;
  for (const Collected& c : all) results.push_back(c.finish());
  return results;
}

/// train_on_batch and test_on_batch.
Logs run_on_batch(Model& m, bool train, const Arrays& x, const Arrays& y, const BatchOptions& o) {
  Trainer& t = need_trainer(m, train ? "train_on_batch" : "test_on_batch");
  data::Flat flat = arrange(Wanted(m), {x, y, o.sample_weight}, o.class_weight, true);
  auto feed = data::array_feed(flat, std::max<int64_t>(flat.tensors[0].rank() ? flat.tensors[0].shape()[0] : 1, 1), Batches::Order::InOrder);
  data::Ready batch;
  feed->next(batch);
  build_trainer(m, t, *batch.signature);
  reset(m, t);
  Steps steps(m, t, train);
  steps.run(batch);
  return o.return_dict ? Logs(steps.logs()) : in_metric_order(m, steps.logs());
}

}  // namespace

}  // namespace models

using models::subject_of;

std::shared_ptr<callbacks::History> Model::fit(const Arrays& x, const Arrays& y, const FitOptions& o) { return models::run_fit(subject_of(*this), x, y, o); }
std::shared_ptr<callbacks::History> Model::fit(const Data& x, const FitOptions& o) { return models::run_fit(subject_of(*this), x, {}, o); }
Logs Model::evaluate(const Arrays& x, const Arrays& y, const EvaluateOptions& o) { return models::run_evaluate(subject_of(*this), x, y, o); }
Logs Model::evaluate(const Data& x, const EvaluateOptions& o) { return models::run_evaluate(subject_of(*this), x, {}, o); }
Tensors Model::predict_all(const Data& x, const PredictOptions& o) const { return models::run_predict(subject_of(*this), x, o); }
Tensor Model::predict(const Data& x, const PredictOptions& o) const { return predict_all(x, o).at(0); }
Logs Model::train_on_batch(const Arrays& x, const Arrays& y, const BatchOptions& o) { return models::run_on_batch(subject_of(*this), true, x, y, o); }
Logs Model::test_on_batch(const Arrays& x, const Arrays& y, const BatchOptions& o) { return models::run_on_batch(subject_of(*this), false, x, y, o); }

Tensors Model::predict_on_batch_all(const Arrays& x) const {
  Model& m = subject_of(*this);
  data::Flat flat = models::arrange(models::Wanted(m), {x, {}, {}}, {}, false);
  auto feed = data::array_feed(flat, std::max<int64_t>(flat.tensors[0].rank() ? flat.tensors[0].shape()[0] : 1, 1), data::Batches::Order::InOrder);
  data::Ready batch;
  feed->next(batch);
  models::Predictor predictor(m);
  predictor.run(batch);
  return predictor.outputs();
}
Tensor Model::predict_on_batch(const Arrays& x) const { return predict_on_batch_all(x).at(0); }

}  // namespace keras
