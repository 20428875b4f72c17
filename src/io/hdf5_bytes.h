// What lives here: reads from an HDF5 file's bytes that never leave them, and the errors of those that would.
// For hdf5_check and hdf5_dense alone.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <keras/base/error.h>

namespace keras::io {

inline constexpr uint64_t kUndefined = ~uint64_t{0};  // HDF5's address of nothing

class Hdf5Bytes {
 public:
  Hdf5Bytes(std::span<const std::byte> file, const std::string& where) : file_(file), where_(where) {}

  ValueError error(const std::string& why) const {
    return ValueError(ErrorText{.what = "not a usable HDF5 file: " + why, .where = where_ + (path_.empty() ? "" : ": " + path_)}.str());
  }
  [[noreturn]] void fail(const std::string& why, uint64_t at) const { throw error(why + " (at byte " + std::to_string(at) + ")"); }

  /// Start of `size` bytes at absolute position `at`.
  const std::byte* bytes(uint64_t at, uint64_t size) const {
    if (at > file_.size() || size > file_.size() - at) fail("it points outside the file, or the file is truncated", at);
    return file_.data() + at;
  }
  template <class T> T number(uint64_t at) const {
    T v;
    std::memcpy(&v, bytes(at, sizeof v), sizeof v);
    return v;
  }
  int u8(uint64_t at) const { return number<uint8_t>(at); }
  uint32_t u16(uint64_t at) const { return number<uint16_t>(at); }
  uint32_t u32(uint64_t at) const { return number<uint32_t>(at); }
  uint64_t u64(uint64_t at) const { return number<uint64_t>(at); }
  /// An unsigned number of 1 to 8 bytes.
  uint64_t sized(uint64_t at, uint64_t size) const {
    uint64_t v = 0;
    std::memcpy(&v, bytes(at, size), size);
    return v;
  }
  /// Absolute position of an address in the file.
  uint64_t position(uint64_t address, uint64_t seen_at) const {
    if (address == kUndefined || address > file_.size() - base_)
      fail("an address points outside the file, or the file is truncated", seen_at);
    return base_ + address;
  }
  void signature(uint64_t at, std::string_view s) const {
    if (std::memcmp(bytes(at, s.size()), s.data(), s.size()) != 0) fail("'" + std::string(s) + "' is missing", at);
  }
  /// Text up to its zero byte, which must lie before `end`.
  std::string_view text(uint64_t at, uint64_t end) const {
    if (at >= end) fail("a name lies outside its block", at);
    auto* from = reinterpret_cast<const char*>(bytes(at, end - at));
    auto* zero = static_cast<const char*>(std::memchr(from, 0, end - at));
    if (!zero) fail("a name has no end", at);
    return {from, static_cast<size_t>(zero - from)};
  }
  /// A product that must stay below 2^62.
  uint64_t times(uint64_t a, uint64_t b, uint64_t at) const {
    uint64_t p;
    if (__builtin_mul_overflow(a, b, &p) || p >> 62) fail("a size is beyond all bounds", at);
    return p;
  }
  /// The checksum at `end` must be that of the bytes from `from` to it.
  void checksum(uint64_t from, uint64_t end) const;

 protected:
  std::span<const std::byte> file_;
  const std::string& where_;
  uint64_t base_ = 0;  // where the file's own addresses start
  std::string path_;   // of the object under inspection
};

/// Bob Jenkins' lookup3, the checksum of HDF5's metadata.
uint32_t lookup3(std::span<const std::byte> data);

}  // namespace keras::io
