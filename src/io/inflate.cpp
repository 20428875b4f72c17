// What lives here: the deflate format (RFC 1951) and its zlib frame (RFC 1950), shuffle and Fletcher's checksum.
#include "io/inflate.h"

#include <algorithm>
#include <array>
#include <string>

#include <keras/base/error.h>

namespace keras::io {
namespace {

[[noreturn]] void broken(const char* why) { throw ValueError(std::string("packed data is damaged: ") + why); }

/// Codes of one alphabet, as counts per length and symbols in order: decoding walks the lengths.
struct Codes {
  std::array<uint16_t, 16> count{};
  std::array<uint16_t, 288> symbol{};

  explicit Codes(std::span<const uint8_t> lengths) {
    for (uint8_t l : lengths) ++count[l];
    count[0] = 0;
    int left = 1;  // unused codes; below zero the lengths cannot be a prefix code
    for (int l = 1; l < 16; ++l) {
      left = left * 2 - count[static_cast<size_t>(l)];
      if (left < 0) broken("its code lengths are impossible");
    }
    std::array<uint16_t, 16> at{};
    for (size_t l = 1; l < 15; ++l) at[l + 1] = static_cast<uint16_t>(at[l] + count[l]);
    for (size_t s = 0; s < lengths.size(); ++s)
      if (lengths[s]) symbol[at[lengths[s]]++] = static_cast<uint16_t>(s);
  }
};

class Inflater {
 public:
  Inflater(std::span<const std::byte> in, uint64_t size) : in_(in), size_(size) { out_.reserve(size); }

  Bytes run() {
    bool last;
    do {
      last = bits(1);
      switch (bits(2)) {
        case 0: stored(); break;
        case 1: fixed(); break;
        case 2: dynamic(); break;
        default: broken("a block of unknown kind");
      }
    } while (!last);
    if (out_.size() != size_) broken("it holds fewer bytes than declared");
    return std::move(out_);
  }
  size_t used() const { return at_; }

 private:
  uint32_t bits(int n) {
    while (held_ < n) {
      if (at_ >= in_.size()) broken("it ends early");
      buffer_ |= static_cast<uint32_t>(in_[at_++]) << held_;
      held_ += 8;
    }
    uint32_t v = buffer_ & ((1u << n) - 1);
    buffer_ >>= n;
    held_ -= n;
    return v;
  }
  void put(std::byte b) {
    if (out_.size() == size_) broken("it holds more bytes than declared");
    out_.push_back(b);
  }
  uint32_t decode(const Codes& codes) {
    int code = 0, first = 0, index = 0;
    for (size_t l = 1; l < 16; ++l) {
      code |= static_cast<int>(bits(1));
      int n = codes.count[l];
      if (code - n < first) return codes.symbol[static_cast<size_t>(index + code - first)];
      index += n;
      first = (first + n) * 2;
      code *= 2;
    }
    broken("an impossible code");
  }
  void stored() {
    buffer_ = 0;
    held_ = 0;  // at most seven bits are held between blocks, all of the byte begun
    uint32_t n = bits(16), inverse = bits(16);
    if ((n ^ inverse) != 0xFFFF) broken("the length of a block");
    if (n > in_.size() - at_) broken("it ends early");
    for (uint32_t i = 0; i < n; ++i) put(in_[at_++]);
  }
  void compressed(const Codes& literals, const Codes& distances) {
    static constexpr uint16_t base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr uint8_t extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static constexpr uint16_t far[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                       193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    for (;;) {
      uint32_t symbol = decode(literals);
      if (symbol < 256) {
        put(static_cast<std::byte>(symbol));
        continue;
      }
      if (symbol == 256) return;
      symbol -= 257;
      if (symbol >= std::size(base)) broken("an impossible length");
      uint32_t length = base[symbol] + bits(extra[symbol]);
      uint32_t d = decode(distances);
      if (d >= std::size(far)) broken("an impossible distance");
      size_t back = far[d] + bits(d < 2 ? 0 : static_cast<int>(d / 2 - 1));
      if (back > out_.size()) broken("a distance reaches before the start");
      for (uint32_t i = 0; i < length; ++i) put(out_[out_.size() - back]);
    }
  }
  void fixed() {
    std::array<uint8_t, 288> lengths;
    for (size_t i = 0; i < 288; ++i) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    std::array<uint8_t, 30> fives;
    fives.fill(5);
    compressed(Codes(lengths), Codes(fives));
  }
  void dynamic() {
    static constexpr uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    size_t literals = bits(5) + 257, distances = bits(5) + 1, codes = bits(4) + 4;
    if (literals > 286 || distances > 30) broken("too many codes");
    std::array<uint8_t, 320> lengths{};
    for (size_t i = 0; i < codes; ++i) lengths[order[i]] = static_cast<uint8_t>(bits(3));
    std::span<const uint8_t> all(lengths);
    Codes meta(all.first(19));
    lengths.fill(0);
    for (size_t i = 0; i < literals + distances;) {
      uint32_t symbol = decode(meta);
      if (symbol < 16) {
        lengths[i++] = static_cast<uint8_t>(symbol);
        continue;
      }
      if (symbol == 16 && i == 0) broken("a repeated length without one before");
      uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
      size_t times = symbol == 16 ? 3 + bits(2) : symbol == 17 ? 3 + bits(3) : 11 + bits(7);
      if (i + times > literals + distances) broken("too many code lengths");
      while (times-- > 0) lengths[i++] = value;
    }
    if (lengths[256] == 0) broken("no code for the end");
    compressed(Codes(all.first(literals)), Codes(all.subspan(literals, distances)));
  }

  std::span<const std::byte> in_;
  uint64_t size_;
  Bytes out_;
  size_t at_ = 0;
  uint32_t buffer_ = 0;
  int held_ = 0;
};

}  // namespace

Bytes inflate_zlib(std::span<const std::byte> packed, uint64_t size) {
  if (packed.size() < 6) broken("it ends early");
  auto byte = [&](size_t i) { return static_cast<uint32_t>(packed[i]); };
  if ((byte(0) & 15) != 8 || (byte(0) << 8 | byte(1)) % 31 || byte(1) & 32) broken("its head is not zlib's");
  auto body = packed.subspan(2);
  Inflater inflater(body, size);
  Bytes out = inflater.run();
  size_t end = 2 + inflater.used();
  if (packed.size() - end < 4) broken("it ends early");
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < out.size();) {
    for (size_t stop = std::min(out.size(), i + 5000); i < stop; ++i) b += a += static_cast<uint32_t>(out[i]);
    a %= 65521;
    b %= 65521;
  }
  if ((byte(end) << 24 | byte(end + 1) << 16 | byte(end + 2) << 8 | byte(end + 3)) != (b << 16 | a)) broken("its checksum differs");
  return out;
}

Bytes unshuffle(const Bytes& data, size_t element) {
  size_t n = element ? data.size() / element : 0;
  Bytes out = data;  // what does not fill an element stays where it is
  for (size_t i = 0; i < n; ++i)
    for (size_t b = 0; b < element; ++b) out[i * element + b] = data[b * n + i];
  return out;
}

uint32_t fletcher32(std::span<const std::byte> data) {
  uint32_t sum1 = 0, sum2 = 0;
  size_t words = data.size() / 2, i = 0;
  while (words) {
    size_t block = std::min<size_t>(words, 360);  // as many as cannot overflow before the sums are folded
    words -= block;
    for (; block-- > 0; i += 2) sum2 += sum1 += static_cast<uint32_t>(data[i]) << 8 | static_cast<uint32_t>(data[i + 1]);
    sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
    sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
  }
  if (i < data.size()) {
    sum2 += sum1 += static_cast<uint32_t>(data[i]) << 8;
    sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
    sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
  }
  sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
  sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
  return sum2 << 16 | sum1;
}

Bytes unpack_chunk(Bytes data, const std::vector<int>& filters, uint32_t skipped, size_t element, uint64_t size) {
  auto applied = [&](size_t i) { return (skipped >> i & 1) == 0; };
  for (size_t i = filters.size(); i-- > 0;) {
    if (!applied(i)) continue;
    switch (filters[i]) {
      case 1: {
        uint64_t before = size;  // the chunk, and the checksums that were put behind it before it was packed
        for (size_t k = 0; k < i; ++k) before += filters[k] == 3 && applied(k) ? 4 : 0;
        data = inflate_zlib(data, before);
        break;
      }
      case 2: data = unshuffle(data, element); break;
      case 3: {
        if (data.size() < 4) broken("it ends early");
        uint32_t stored = 0;
        for (size_t k = 0; k < 4; ++k) stored |= static_cast<uint32_t>(data[data.size() - 4 + k]) << (8 * k);
        data.erase(data.end() - 4, data.end());
        if (stored != fletcher32(data)) broken("its checksum differs");
        break;
      }
      default: throw ValueError("packed by filter " + std::to_string(filters[i]) + ", which is not read");
    }
  }
  if (data.size() != size) broken("a chunk has another size than declared");
  return data;
}

}  // namespace keras::io
