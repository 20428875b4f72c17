// What lives here: how many threads the library computes with.
#pragma once

namespace keras {

/// Threads that one computation may use, the caller's included; at first those of the machine, or KERAS_NUM_THREADS.
int num_threads();
/// ValueError below 1. Not to be called while something computes.
void set_num_threads(int threads);

namespace config {
/// From now on steps that are compiled give the same bits with any number of threads. Without it they do so for the same number: where a
/// batch of images goes through a network in parts, one per thread, the cut follows the threads. Costs a little speed there. Source:
/// TensorFlow's `tf.config.experimental.enable_op_determinism`.
///
///     keras::config::enable_op_determinism();  // first of all: what is compiled already keeps its cut
void enable_op_determinism();
bool is_op_determinism_enabled();
}  // namespace config

}  // namespace keras
