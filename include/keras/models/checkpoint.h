// What lives here: how `fit` is told to keep a checkpoint from which an interrupted run goes on exactly.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include <keras/base/value.h>

namespace keras {

/// A folder in which `fit` keeps all that the run consists of: variables of model, optimizer and metrics, the library's random state, the
/// state of callbacks, the history, and the place in the data. A run that was killed, at whatever moment, is started again with the same
/// model, data and options; it goes on at the last checkpoint and ends with the same bits as one that was never interrupted. A run that was
/// finished ends at once with what it had. The files are replaced atomically, two are kept, and a damaged one gives way to the one before.
///
/// ValueError when the folder belongs to a run with another model, other data or options: what differs is named. RuntimeError when another
/// process trains with the folder, and when no checkpoint in it can be read.
///
///     model.fit(x, y, {.epochs = 100, .checkpoint = {.directory = "run1"}});
struct CheckpointOptions {
  /// Made when absent; "" keeps no checkpoint.
  std::string directory = "";
  /// After so many batches, or so many seconds. With neither: as often as costs at most two hundredths of the time, five seconds apart.
  std::optional<int64_t> every_batches{};
  std::optional<double> every_seconds{};
  /// What else must be the same when the run goes on: any value of the caller's.
  Value settings{};
};

}  // namespace keras
