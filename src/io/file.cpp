// What lives here: whole files in and out over POSIX calls.
#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace keras::io {
namespace {

std::string reason() { return std::generic_category().message(errno); }

[[noreturn]] void io_error(const char* what, const std::string& path, const std::string& why) {
  throw RuntimeError(ErrorText{.what = std::string(what) + " '" + path + "': " + why}.str());
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

void write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) io_error("cannot write", path, n == 0 ? "nothing more can be written" : reason());
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

/// Calls `store(bytes so far, wanted)` for room and reads until the end.
template <class Buffer> void read_into(Buffer& buffer, const std::string& path, uint64_t limit) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) io_error("cannot open", path, reason());
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) io_error("cannot read", path, reason());
  if (S_ISDIR(info.st_mode)) io_error("cannot read", path, "it is a folder, not a file");
  auto too_large = [&] {
    return ValueError(
        ErrorText{.what = "the file '" + path + "' is too large", .expected = "at most " + std::to_string(limit) + " bytes"}.str());
  };
  uint64_t known = S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
  if (known > limit) throw too_large();
  // One byte more than known, so that the end shows without growing; pipes and /proc grow as they come.
  size_t used = 0;
  buffer.resize(known + 1);
  for (;;) {
    if (used == buffer.size()) buffer.resize(std::max<size_t>(65536, buffer.size() * 2));
    ssize_t n = ::read(file.fd, buffer.data() + used, std::min<size_t>(buffer.size() - used, 1u << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) io_error("cannot read", path, reason());
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > limit) throw too_large();
  }
  buffer.resize(used);
}

}  // namespace

Bytes read_file(const std::string& path, uint64_t limit) {
  Bytes bytes;
  read_into(bytes, path, limit);
  return bytes;
}

std::string read_text_file(const std::string& path, uint64_t limit) {
  std::string text;
  read_into(text, path, limit);
  return text;
}

void write_file_atomic(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomic(const std::string& path, std::string_view text) { write_file_atomic(path, as_bytes(text)); }

void AtomicFile::fail(const char* what) const { io_error(what, path_, reason()); }

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  if (path.empty()) io_error("cannot write", path, "the path is empty");
  // A link is written through, as an ordinary write would; renaming onto it would cut it.
  if (char* real = ::realpath(path.c_str(), nullptr)) {
    target_ = real;
    std::free(real);
  }
  struct stat info {};
  bool exists = ::stat(target_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) io_error("cannot write", path_, "it is a folder");
  if (exists && ::access(target_.c_str(), W_OK) != 0) fail("cannot write");
  in_place_ = !exists || S_ISREG(info.st_mode);
  std::string stem = target_;
  if (!in_place_) {
    std::error_code none;
    stem = (std::filesystem::temp_directory_path(none) / "keras").string();
  } else if (auto slash = stem.rfind('/'); stem.size() - (slash == std::string::npos ? 0 : slash) > NAME_MAX - 32) {
    stem.resize(slash == std::string::npos ? 0 : slash + 1);  // the suffix must fit into a file name too
  }
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 1000 && fd_ < 0; ++attempt) {
    temp_ = stem + ".tmp" + std::to_string(::getpid()) + "_" + std::to_string(counter++);
    fd_ = ::open(temp_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) {
    temp_.clear();
    fail("cannot write");
  }
  if (exists && in_place_ && ::fchmod(fd_, info.st_mode & 07777) != 0) errno = 0;  // a foreign file system may refuse; harmless
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temp_.empty()) ::unlink(temp_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) { write_all(fd_, bytes, path_); }

void AtomicFile::commit() {
  if (temp_.empty()) throw RuntimeError("the file '" + path_ + "' was already written");
  // Reopened by name: a library given temp_path() may have put another file under that name.
  if (::close(std::exchange(fd_, -1)) != 0) fail("cannot write");
  if (!in_place_) {
    Bytes bytes = read_file(temp_);
    Descriptor target{::open(target_.c_str(), O_WRONLY | O_CLOEXEC)};
    if (target.fd < 0) fail("cannot write");
    write_all(target.fd, bytes, path_);
    ::unlink(temp_.c_str());
    temp_.clear();
    return;
  }
  {
    Descriptor file{::open(temp_.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0 || ::fsync(file.fd) != 0) fail("cannot write");
  }
  if (::rename(temp_.c_str(), target_.c_str()) != 0) fail("cannot write");
  temp_.clear();
  // The new name itself must reach the disk; a file system that cannot sync a folder is no reason to fail.
  std::string folder = std::filesystem::path(target_).parent_path().string();
  Descriptor dir{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd >= 0) ::fsync(dir.fd);
}

}  // namespace keras::io
