// What lives here: whole files in and out; files that appear at once or not at all. No formats.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "io/array.h"

namespace keras::io {

inline constexpr uint64_t kMaxFileBytes = uint64_t{64} << 30;
inline constexpr uint64_t kMaxTextBytes = uint64_t{512} << 20;

/// The bytes of the file at `path`; RuntimeError naming path and reason, ValueError when it is larger than `limit`.
Bytes read_file(const std::string& path, uint64_t limit = kMaxFileBytes);
/// The same as text, taken as it is.
std::string read_text_file(const std::string& path, uint64_t limit = kMaxTextBytes);

/// Writes all or nothing: a reader of `path` sees the old file or the new one, never a part. RuntimeError naming path and reason.
void write_file_atomic(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomic(const std::string& path, std::string_view text);

/// A file under construction beside its target. `commit` puts it in the target's place; without it, it is removed.
class AtomicFile {
 public:
  /// Creates the temporary file; RuntimeError naming `path` where its folder does not allow that.
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  /// Where a library that opens files by name writes instead of the target.
  const std::string& temp_path() const { return temp_; }
  const std::string& path() const { return path_; }
  void write(std::span<const std::byte> bytes);
  /// Brings the bytes to disk and renames; nothing may be written afterwards.
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;
  std::string path_, target_, temp_;
  int fd_ = -1;
  bool in_place_ = true;  // false where the target is a pipe or device, which must not be replaced by a file
};

}  // namespace keras::io
