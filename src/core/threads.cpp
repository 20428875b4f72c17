// What lives here: the public face of the thread pool's size.
#include <keras/base/error.h>
#include <keras/threads.h>

#include <string>

#include "cpu/thread_pool.h"

namespace keras {

int num_threads() { return cpu::num_threads(); }
void set_num_threads(int threads) {
  if (threads < 1) throw ValueError(ErrorText{.what = "the number of threads must be at least 1", .received = std::to_string(threads)}.str());
  cpu::set_num_threads(threads);
}
void config::enable_op_determinism() { cpu::fix_planned_threads(); }
bool config::is_op_determinism_enabled() { return cpu::planned_threads_fixed(); }

}  // namespace keras
