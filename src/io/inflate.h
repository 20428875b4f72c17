// What lives here: unpacking what HDF5's filters packed, into buffers of known size. The library's own filter code trusts sizes in the
// file, so packed chunks never reach it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "io/array.h"

namespace keras::io {

/// Unpacks a zlib stream that must give exactly `size` bytes; ValueError with the reason otherwise.
Bytes inflate_zlib(std::span<const std::byte> packed, uint64_t size);
/// Puts the bytes of elements that were sorted by significance back together.
Bytes unshuffle(const Bytes& data, size_t element);
/// HDF5's Fletcher checksum.
uint32_t fletcher32(std::span<const std::byte> data);
/// Undoes HDF5's `filters` (1 gzip, 2 shuffle, 3 fletcher32) on one chunk of `size` bytes of elements; bits of `skipped` name those
/// that were not applied. ValueError with the reason for damage and for other filters.
Bytes unpack_chunk(Bytes data, const std::vector<int>& filters, uint32_t skipped, size_t element, uint64_t size);

}  // namespace keras::io
