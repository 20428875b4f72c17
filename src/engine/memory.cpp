// What lives here: the limit of a value's memory and the sum that is held to it.
#include "engine/memory.h"

#include <unistd.h>

#include <atomic>
#include <fmt/format.h>

#include <keras/base/error.h>

namespace keras::engine {

static std::atomic<size_t>& limit() {
  static std::atomic<size_t> bytes = [] {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(size) : size_t{1} << 46;
  }();
  return bytes;
}

size_t set_memory_limit(size_t bytes) { return limit().exchange(bytes); }

size_t bytes_for(const ir::Type& type) {
  size_t count = static_cast<size_t>(type.shape.numel()), bytes = 0;
  if (__builtin_mul_overflow(count, dtype_size(type.dtype), &bytes) || bytes > limit().load(std::memory_order_relaxed))
    throw RuntimeError(ErrorText{.what = fmt::format("a tensor of shape {} and dtype {} needs more memory than there is", type.shape.str(), dtype_name(type.dtype)),
                                 .expected = fmt::format("at most {} bytes", limit().load()),
                                 .received = bytes ? fmt::format("{} bytes", bytes) : "more bytes than can be counted",
                                 .fix = "look for a size that was not meant (units, filters, input_dim, a flattened image), or use smaller batches"}
                           .str());
  return bytes;
}

}  // namespace keras::engine
