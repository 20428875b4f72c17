// What lives here: the structure of an HDF5 file judged before the HDF5 library sees it.
#pragma once
#include <span>
#include <string>

#include "io/array.h"

namespace keras::io {

/// Walks groups, attributes, types, chunks and heaps, and throws a ValueError naming `where` and the place for whatever points
/// outside the file or contradicts itself. The library trusts such fields in places and would crash.
void check_hdf5(std::span<const std::byte> file, const std::string& where);

}  // namespace keras::io
