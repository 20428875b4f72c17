// What lives here: the hash functions by which TensorFlow, and so Keras, puts text and numbers into bins: FarmHash's fingerprint, SipHash
// with a key, and the combination of fingerprints. Their values stand in saved models' behaviour, so they never change.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <keras/base/dtype.h>
#include <keras/base/shape.h>

#include "engine/kernel.h"

namespace keras::cpu {

/// FarmHash's Fingerprint64 (Google, farmhash: the "na" variant).
uint64_t fingerprint64(std::string_view text);
/// SipHash-2-4 (Aumasson and Bernstein, 2012).
uint64_t sip_hash(std::string_view text, const std::array<uint64_t, 2>& key);
/// One fingerprint of two, as tensorflow/core/platform/fingerprint.h combines them.
uint64_t combine_fingerprints(uint64_t first, uint64_t second);
/// What HashedCrossing begins with.
inline constexpr uint64_t kCrossingKey = 0xDECAFCAFFE;

/// How `hash_bins` treats its inputs: the decimal text of each number by fingerprint, or by SipHash; or the numbers of several inputs as
/// they stand, crossed.
enum class HashKind : int64_t { Fingerprint, Keyed, Crossed };

/// Whole numbers (or bools) → bins [0, bins), int32 or int64. Only Crossed takes more than one input.
engine::KernelPtr make_hash_bins(HashKind kind, const std::vector<DType>& inputs, DType out, int64_t count, int64_t bins,
                                 const std::array<uint64_t, 2>& key);

}  // namespace keras::cpu
