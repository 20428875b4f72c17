// What lives here: memory of tensors: aligned, counted, never resized.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace keras::engine {

/// A block of at least `bytes` bytes, aligned to 64, contents undefined. Shared by handles; the last one frees it.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    void* p = std::aligned_alloc(64, (std::max<size_t>(bytes, 1) + 63) / 64 * 64);
    if (!p) throw std::bad_alloc();
    data_ = std::shared_ptr<std::byte>(static_cast<std::byte*>(p), [](std::byte* q) { std::free(q); });
  }
  std::byte* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }
  bool unique() const { return data_.use_count() == 1; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  std::shared_ptr<std::byte> data_;
  size_t bytes_ = 0;
};

}  // namespace keras::engine
