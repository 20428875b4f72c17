// What lives here: a run of fit brought to disk between two steps, and put back exactly. No training.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <keras/models/checkpoint.h>
#include <keras/models/model.h>

#include "core/impl.h"

namespace keras::models {

struct Trainer;

/// Where a fit stands between two steps.
struct FitPosition {
  int epoch = 0;                    // under way, or next
  bool begun = false;               // its on_epoch_begin has run
  int64_t step = 0;                 // batches of it that are done
  int64_t at = 0;                   // batches of the pass over the data that are done
  std::vector<uint32_t> pass_seed;  // the generator from which the pass drew its order, as it was before; empty: none has begun
  Logs::Items last;                 // logs of the last whole epoch
};

/// What a checkpoint holds besides the model.
struct FitRun {
  const Model& model;
  Trainer& trainer;
  std::vector<std::shared_ptr<callbacks::Callback>> callbacks;  // the user's
  std::shared_ptr<callbacks::History> history;
  Dict settings;  // what must be equal for a run to go on
};

/// Shapes, dtypes and a checksum of the numbers, for settings.
Value describe_data(const std::vector<Tensor>& arrays);
/// The options that shape a run, for settings.
Dict describe_fit(const FitOptions& options);

class FitCheckpoint {
 public:
  /// Makes and locks the folder, and reads the newest checkpoint that is whole. Errors as CheckpointOptions says.
  FitCheckpoint(const CheckpointOptions& options, FitRun run);
  ~FitCheckpoint();
  FitCheckpoint(const FitCheckpoint&) = delete;
  FitCheckpoint& operator=(const FitCheckpoint&) = delete;

  bool found() const { return found_; }
  /// The run that was found had come to its end.
  bool finished() const { return finished_; }
  /// Where the found run stood.
  const FitPosition& position() const { return position_; }
  /// Callbacks go on: `on_train_resume`, or, where the run was finished, their state alone.
  void resume_callbacks();
  /// All variables and the random state. `step` is the traced training step, which may hold variables that nothing else lists.
  void restore(const core::Compiled* step);
  /// The random state alone: again after the order of the pass under way was drawn once more.
  void restore_random() const;

  /// After each batch and epoch: writes when it is time.
  void moved(const FitPosition& position, bool batch);
  void write(const FitPosition& position, bool finished = false);
  void set_step(const core::Compiled* step) { step_ = step; }

 private:
  struct Found;
  using Clock = std::chrono::steady_clock;
  std::vector<std::shared_ptr<core::VariableImpl>> variables() const;
  std::string file(int64_t number) const;
  void lock();
  void resume_each_callback();
  void restore_variables();
  void read();
  CheckpointOptions o_;
  FitRun run_;
  struct Lock {
    int file = -1;
    ~Lock();
  } lock_;
  bool found_ = false, finished_ = false;
  int64_t number_ = 0, since_ = 0;  // of the next file; batches since the last one
  Clock::time_point last_{};
  Clock::duration cost_{};
  const core::Compiled* step_ = nullptr;
  FitPosition position_;
  std::unique_ptr<Found> state_;
};

}  // namespace keras::models
