// What lives here: how a run goes over its data, epoch by epoch: steps_per_epoch, passes that outlast an epoch, lengths that are learned on the
// way. It follows Keras' EpochIterator, also where that is odd: callbacks and files see it.
#pragma once
#include <memory>
#include <optional>

#include <keras/base/warning.h>

#include "data/feed.h"

namespace keras::models {

class Epochs {
 public:
  Epochs(std::unique_ptr<data::Feed> feed, std::optional<int64_t> steps_per_epoch, int64_t steps_per_execution)
      : feed_(std::move(feed)), steps_per_epoch_(steps_per_epoch && *steps_per_epoch ? steps_per_epoch : std::nullopt), per_execution_(steps_per_execution), num_batches_(feed_->num_batches()) {}

  /// Steps of an epoch, where they are known.
  std::optional<int64_t> num_batches() const { return steps_per_epoch_ ? steps_per_epoch_ : num_batches_; }
  data::Feed& feed() { return *feed_; }

  /// Back to the start, before a run.
  void reset() {
    in_pass_ = false;
    num_batches_ = feed_->num_batches();
    seen_ = 0;
    feed_->on_epoch_end();
  }
  void begin_epoch() {
    feed_->on_epoch_begin();
    limit_ = steps_per_epoch_ ? steps_per_epoch_ : num_batches_ && *num_batches_ > 0 ? num_batches_ : std::nullopt;
    if (!limit_ || !in_pass_ || !steps_per_epoch_) start_pass();
    step_ = 0;
  }
  /// The next execution: its first and last step by their numbers. False at the end of the epoch.
  bool next(int64_t& first, int64_t& last) {
    if (limit_) {
      bool over = step_ >= *limit_;
      if (!over && all_seen()) {
        if (steps_per_epoch_) ran_dry();
        over = true;
      }
      if (over) {
        if (all_seen()) start_pass();
        feed_->on_epoch_end();
        return false;
      }
      seen_ += per_execution_;
    } else {
      seen_ = step_ + per_execution_;
    }
    first = step_, last = step_ + per_execution_ - 1;
    step_ += per_execution_;
    return true;
  }
  /// A batch of the execution under way; false when there are no more.
  bool take(data::Ready& batch) {
    if (!begun_) {
      begun_ = true;
      if (watch_) generator_ = feed_->generator();
    }
    if (!feed_->next(batch)) return false;
    ++taken_;
    return true;
  }
  /// The first batch of an execution was not there: the epoch ends, and its length is known now.
  void ran_out() {
    if (!num_batches_) num_batches_ = seen_;
    ran_dry();
    in_pass_ = false;
    generator_.clear();
    feed_->on_epoch_end();
  }

  // ---- for checkpoints
  /// From now on remembers where passes come from.
  void watch() { watch_ = true; }
  /// The next step of the epoch; batches taken of the pass; what it was drawn from, empty when no batch was taken of it.
  int64_t step() const { return step_; }
  int64_t taken() const { return taken_; }
  const std::vector<uint32_t>& generator() const { return generator_; }
  /// Goes on in the middle of an epoch, or, with `begun` false, before one.
  void go_on(bool begun, int64_t step, int64_t taken, const std::vector<uint32_t>& generator) {
    if (begun) begin_epoch();
    step_ = step;
    if (generator.empty()) return;
    in_pass_ = true;
    begun_ = true;
    generator_ = generator;
    taken_ = taken;
    seen_ = (taken + per_execution_ - 1) / per_execution_ * per_execution_;
    feed_->start_at(generator, taken);
  }

 private:
  bool all_seen() const { return num_batches_ && *num_batches_ > 0 && seen_ >= *num_batches_; }
  void start_pass() {
    feed_->start();
    in_pass_ = true;
    begun_ = false;
    generator_.clear();
    seen_ = taken_ = 0;
  }
  static void ran_dry() {
    warn("Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at least `steps_per_epoch * epochs` batches.");
  }

  std::unique_ptr<data::Feed> feed_;
  std::optional<int64_t> steps_per_epoch_;
  int64_t per_execution_;
  std::optional<int64_t> num_batches_, limit_;
  int64_t step_ = 0, seen_ = 0, taken_ = 0;
  bool in_pass_ = false, begun_ = false, watch_ = false;
  std::vector<uint32_t> generator_;
};

}  // namespace keras::models
