// What lives here: FarmHash's fingerprint, SipHash, and the kernel that puts numbers into bins.
#include "cpu/hashing.h"

#include <bit>
#include <charconv>
#include <cstring>

#include <keras/base/error.h>

#include "cpu/lambda_kernel.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {

namespace {

constexpr uint64_t kP0 = 0xc3a5c85c97cb3127, kP1 = 0xb492b66fbe98f273, kP2 = 0x9ae16a3b2f90404f;

template <class T> T word(const char* at) {
  T v;
  std::memcpy(&v, at, sizeof v);  // little-endian machines only, like the rest of the library's files
  return v;
}
uint64_t w64(const char* at) { return word<uint64_t>(at); }
uint64_t turn(uint64_t v, int by) { return std::rotr(v, by); }
uint64_t fold(uint64_t v) { return v ^ (v >> 47); }
uint64_t mix(uint64_t u, uint64_t v, uint64_t by) {
  uint64_t a = fold((u ^ v) * by);
  return fold((v ^ a) * by) * by;
}
using Two = std::pair<uint64_t, uint64_t>;
/// Four words of text into a state of two.
Two absorb(const char* s, uint64_t a, uint64_t b) {
  uint64_t w = w64(s), x = w64(s + 8), y = w64(s + 16), z = w64(s + 24);
  a += w;
  b = turn(b + a + z, 21);
  uint64_t before = a;
  a += x + y;
  b += turn(a, 44);
  return {a + z, b + before};
}

uint64_t up_to_16(const char* s, size_t n) {
  if (n >= 8) {
    uint64_t by = kP2 + n * 2, a = w64(s) + kP2, b = w64(s + n - 8);
    return mix(turn(b, 37) * by + a, (turn(a, 25) + b) * by, by);
  }
  if (n >= 4) return mix(n + (uint64_t{word<uint32_t>(s)} << 3), word<uint32_t>(s + n - 4), kP2 + n * 2);
  if (n > 0) {
    auto at = [&](size_t i) { return uint32_t{static_cast<uint8_t>(s[i])}; };
    uint32_t y = at(0) + (at(n >> 1) << 8), z = static_cast<uint32_t>(n) + (at(n - 1) << 2);
    return fold(y * kP2 ^ z * kP0) * kP2;
  }
  return kP2;
}
uint64_t up_to_32(const char* s, size_t n) {
  uint64_t by = kP2 + n * 2, a = w64(s) * kP1, b = w64(s + 8), c = w64(s + n - 8) * by, d = w64(s + n - 16) * kP2;
  return mix(turn(a + b, 43) + turn(c, 30) + d, a + turn(b + kP2, 18) + c, by);
}
uint64_t up_to_64(const char* s, size_t n) {
  uint64_t by = kP2 + n * 2, a = w64(s) * kP2, b = w64(s + 8), c = w64(s + n - 8) * by, d = w64(s + n - 16) * kP2;
  uint64_t y = turn(a + b, 43) + turn(c, 30) + d, z = mix(y, a + turn(b + kP2, 18) + c, by);
  uint64_t e = w64(s + 16) * by, f = w64(s + 24), g = (y + w64(s + n - 32)) * by, h = (z + w64(s + n - 24)) * by;
  return mix(turn(e + f, 43) + turn(g, 30) + h, e + turn(f + a, 18) + g, by);
}

}  // namespace

uint64_t fingerprint64(std::string_view text) {
  const char* s = text.data();
  size_t n = text.size();
  if (n <= 16) return up_to_16(s, n);
  if (n <= 32) return up_to_32(s, n);
  if (n <= 64) return up_to_64(s, n);
  constexpr uint64_t seed = 81;
  uint64_t x = seed * kP2 + w64(s), y = seed * kP1 + 113, z = fold(y * kP2 + 113) * kP2;
  Two v{0, 0}, w{0, 0};
  // Blocks of 64; the last 64 bytes are one more, which may overlap the block before.
  const char *end = s + (n - 1) / 64 * 64, *last = s + n - 64;
  auto block = [&](const char* p, uint64_t by, uint64_t weight) {
    x = turn(x + y + v.first + w64(p + 8), 37) * by;
    y = turn(y + v.second + w64(p + 48), 42) * by;
    x ^= w.second * weight;
    y += v.first * weight + w64(p + 40);
    z = turn(z + w.first, 33) * by;
    v = absorb(p, v.second * by, x + w.first);
    w = absorb(p + 32, z + w.second, y + w64(p + 16));
    std::swap(z, x);
  };
  for (; s != end; s += 64) block(s, kP1, 1);
  uint64_t by = kP1 + ((z & 0xff) << 1);
  w.first += (n - 1) & 63;
  v.first += w.first;
  w.first += v.first;
  block(last, by, 9);
  return mix(mix(v.first, w.first, by) + fold(y) * kP0 + z, mix(v.second, w.second, by) + x, by);
}

uint64_t sip_hash(std::string_view text, const std::array<uint64_t, 2>& key) {
  uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d, v2 = key[0] ^ 0x6c7967656e657261,
           v3 = key[1] ^ 0x7465646279746573;
  auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  auto take = [&](uint64_t m) {
    v3 ^= m;
    round(), round();
    v0 ^= m;
  };
  size_t whole = text.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) take(w64(text.data() + i));
  uint64_t rest = uint64_t{text.size()} << 56;
  for (size_t i = whole; i < text.size(); ++i) rest |= uint64_t{static_cast<uint8_t>(text[i])} << (8 * (i - whole));
  take(rest);
  v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t combine_fingerprints(uint64_t first, uint64_t second) {
  constexpr uint64_t by = 0xc6a4a7935bd1e995;
  uint64_t r = (first ^ by ^ fold(second * by) * by) * by;
  return fold(fold(r) * by);
}

engine::KernelPtr make_hash_bins(HashKind kind, const std::vector<DType>& inputs, DType out, int64_t count, int64_t bins,
                                 const std::array<uint64_t, 2>& key) {
  for (DType d : inputs)
    if (is_floating(d))
      throw ValueError(
          ErrorText{.what = "whole numbers are put into bins, not floats", .where = "hash_bins", .received = dtype_name(d)}.str());
  if (bins < 1)
    throw ValueError(ErrorText{.what = "there must be at least one bin", .where = "hash_bins", .received = std::to_string(bins)}.str());
  return lambda_kernel("hash_bins", 0, [=](void* const* in, void* const* dst, void*) {
    auto number = [&](size_t k, int64_t i) -> int64_t {
      switch (inputs[k]) {
        case DType::Bool: return static_cast<const bool*>(in[k])[i];
        case DType::Int8: return static_cast<const int8_t*>(in[k])[i];
        case DType::Int16: return static_cast<const int16_t*>(in[k])[i];
        case DType::Int32: return static_cast<const int32_t*>(in[k])[i];
        case DType::UInt8: return static_cast<const uint8_t*>(in[k])[i];
        case DType::UInt16: return static_cast<const uint16_t*>(in[k])[i];
        case DType::UInt32: return static_cast<const uint32_t*>(in[k])[i];
        default: return static_cast<const int64_t*>(in[k])[i];
      }
    };
    parallel_for(count, 100, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        uint64_t h = kCrossingKey;
        if (kind == HashKind::Crossed) {
          for (size_t k = 0; k < inputs.size(); ++k) h = combine_fingerprints(h, static_cast<uint64_t>(number(k, i)));
        } else {
          char text[24];
          const char* last = text;
          if (inputs[0] == DType::Bool)
            last = number(0, i) ? static_cast<const char*>(std::memcpy(text, "true", 4)) + 4
                                : static_cast<const char*>(std::memcpy(text, "false", 5)) + 5;
          else if (inputs[0] == DType::UInt64) last = std::to_chars(text, text + sizeof text, static_cast<uint64_t>(number(0, i))).ptr;
          else last = std::to_chars(text, text + sizeof text, number(0, i)).ptr;
          std::string_view view(text, static_cast<size_t>(last - text));
          h = kind == HashKind::Keyed ? sip_hash(view, key) : fingerprint64(view);
        }
        auto bin = static_cast<int64_t>(h % static_cast<uint64_t>(bins));
        if (out == DType::Int64) static_cast<int64_t*>(dst[0])[i] = bin;
        else static_cast<int32_t*>(dst[0])[i] = static_cast<int32_t>(bin);
      }
    });
  });
}

}  // namespace keras::cpu
