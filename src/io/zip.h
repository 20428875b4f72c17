// What lives here: zip archives in and out. No meaning of any member.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/array.h"

namespace keras::io {

struct ZipEntry {
  std::string name;
  uint64_t size = 0, compressed_size = 0;
};

struct ZipLimits {
  uint64_t member = uint64_t{64} << 30;  // declared bytes of one member
  uint64_t total = uint64_t{128} << 30;  // declared bytes of all members together
  size_t members = 200000;
  // A member above the floor may not be declared larger than `expansion` times the bytes it takes in the archive.
  uint64_t expansion_floor = uint64_t{256} << 20, expansion = 100;
};

/// An archive open for reading. Opening checks every declared size and name: ValueError naming file and member for a truncated
/// or corrupt archive, a name that leaves it (absolute, '..'), a name that comes twice; RuntimeError where the file cannot be read.
/// One thread at a time.
class ZipReader {
 public:
  explicit ZipReader(const std::string& path, const ZipLimits& limits = {});
  /// Over bytes in memory, owned from here on; `where` names them in errors.
  ZipReader(Bytes bytes, const std::string& where, const ZipLimits& limits = {});
  ZipReader(ZipReader&&) noexcept;
  ZipReader& operator=(ZipReader&&) noexcept;
  ~ZipReader();

  const std::string& where() const;
  /// The members in the archive's order, folders left out.
  const std::vector<ZipEntry>& entries() const;
  bool contains(std::string_view name) const;
  /// A member's bytes, its checksum compared; ValueError naming the nearest member when there is none of that name.
  Bytes read(std::string_view name) const;
  std::string read_text(std::string_view name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Collects members and writes them stored (not compressed), dated 1980-01-01 as Keras' own archives are, so that equal content
/// gives equal bytes.
class ZipWriter {
 public:
  /// ValueError for a name that a reader would refuse or that came before.
  void add(const std::string& name, Bytes bytes);
  void add_text(const std::string& name, std::string_view text);
  /// Writes the archive, all or nothing; RuntimeError naming path and reason.
  void write(const std::string& path) const;
  /// The archive as bytes.
  Bytes bytes() const;

 private:
  std::vector<std::pair<std::string, Bytes>> members_;
};

}  // namespace keras::io
