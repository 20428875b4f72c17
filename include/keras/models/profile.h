// What lives here: where the time of a model goes: profile.
#pragma once
#include <cstdint>
#include <string>

#include <keras/base/value.h>
#include <keras/models/model.h>

namespace keras::models {

struct ProfileOptions {
  std::string mode = "forward";  // or "train": a step of a compiled model
  int64_t batch_size = 0;        // 0: 1 forward, 32 in training
  double seconds = 1;            // of measuring, about
  std::string trace;             // a file for the calls of one step in the form that Chrome's and Perfetto's tracing reads; empty: none
};

/// Runs the model, or training steps of it, on made-up data and says what each layer and each kernel took: time, operations by the rules of
/// the primitives, bytes that they read and write, and the shares of what this CPU is measured to do ("of_peak": of its multiply-adds,
/// "of_memory": of its memory's bandwidth, beyond 1 where data stay in the caches). What a training step changes is put back. The keys are those of `keras profile --json`. ValueError for another mode, a model
/// without known inputs, or training without compile.
Dict profile(const Model& model, const ProfileOptions& options = {});
/// The same as tables.
std::string profile_text(const Dict& profile);

}  // namespace keras::models
