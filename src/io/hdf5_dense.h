// What lives here: tables of links or attributes in HDF5's newer layout: a fractal heap and trees of version 2 over it.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "io/hdf5_bytes.h"

namespace keras::io {

class DenseTable {
 public:
  /// Checks the heap at `heap`, named at position `from`.
  DenseTable(const Hdf5Bytes& file, uint64_t heap, uint64_t from);
  /// Checks the tree at `tree`, whose records are of `kind`, and calls `each` with position and size of every object in it.
  void visit(uint64_t tree, int kind, const std::function<void(uint64_t at, uint64_t size)>& each);

 private:
  void object(uint64_t id_at, const std::function<void(uint64_t, uint64_t)>& each);
  uint64_t direct_block(uint64_t address, uint64_t size, uint64_t from);
  /// Position in the file of byte `offset` of the heap, in a block that holds `length` bytes from there.
  uint64_t locate(uint64_t offset, uint64_t length, uint64_t from);

  const Hdf5Bytes& f_;
  uint64_t id_size_, width_, start_, max_direct_, root_, root_rows_, offset_bytes_, length_bytes_;
  bool checked_blocks_;
  std::vector<uint64_t> sound_;  // blocks whose checksum was compared, sorted
};

}  // namespace keras::io
