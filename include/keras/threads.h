// What lives here: how many threads the library computes with.
#pragma once

namespace keras {

/// Threads that one computation may use, the caller's included; at first those of the machine, or KERAS_NUM_THREADS.
int num_threads();
/// ValueError below 1. Not to be called while something computes.
void set_num_threads(int threads);

}  // namespace keras
