// What lives here: the primitive that puts whole numbers into bins by their hash.
#pragma once
#include "cpu/hashing.h"
#include "ir/graph.h"
#include "prims/build.h"

namespace keras::prims {

extern const Primitive hash_bins_prim;

/// Inputs of one shape → int32 of that shape. See cpu::make_hash_bins.
template <class H> H hash_bins(const std::vector<H>& in, cpu::HashKind kind, int64_t bins, const std::array<uint64_t, 2>& key = {}) {
  return emit1<H>(hash_bins_prim, in,
                  {{"kind", static_cast<int64_t>(kind)},
                   {"bins", bins},
                   {"key0", static_cast<int64_t>(key[0])},
                   {"key1", static_cast<int64_t>(key[1])}});
}

}  // namespace keras::prims
