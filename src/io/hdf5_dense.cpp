// What lives here: fractal heaps and trees of version 2, after the format's public specification. All of it carries checksums; they are
// compared first, so that damage is told as such.
#include "io/hdf5_dense.h"

#include <algorithm>
#include <bit>

namespace keras::io {

uint32_t lookup3(std::span<const std::byte> data) {
  size_t n = data.size(), at = 0;
  uint32_t a = 0xdeadbeef + static_cast<uint32_t>(n), b = a, c = a;
  auto word = [&](size_t i) {  // little endian, zeros behind the end
    uint32_t w = 0;
    for (size_t k = 0; k < 4 && i + k < n; ++k) w |= static_cast<uint32_t>(data[i + k]) << (8 * k);
    return w;
  };
  auto step = [](uint32_t& x, uint32_t y, uint32_t& z, int r) {
    x -= z;
    x ^= std::rotl(z, r);
    z += y;
  };
  for (; n - at > 12; at += 12) {
    a += word(at), b += word(at + 4), c += word(at + 8);
    step(a, b, c, 4), step(b, c, a, 6), step(c, a, b, 8), step(a, b, c, 16), step(b, c, a, 19), step(c, a, b, 4);
  }
  if (at == n) return c;
  a += word(at), b += word(at + 4), c += word(at + 8);
  auto last = [](uint32_t& x, uint32_t y, int r) {
    x ^= y;
    x -= std::rotl(y, r);
  };
  last(c, b, 14), last(a, c, 11), last(b, a, 25), last(c, b, 16), last(a, c, 4), last(b, a, 14), last(c, b, 24);
  return c;
}

void Hdf5Bytes::checksum(uint64_t from, uint64_t end) const {
  if (u32(end) != lookup3({bytes(from, end - from), end - from})) fail("a checksum differs, the file is damaged", from);
}

namespace {

uint64_t log2_of(uint64_t v) { return v ? 63 - static_cast<uint64_t>(std::countl_zero(v)) : 0; }
uint64_t bytes_to_hold(uint64_t limit) { return log2_of(limit) / 8 + 1; }

}  // namespace

DenseTable::DenseTable(const Hdf5Bytes& file, uint64_t heap, uint64_t from) : f_(file) {
  uint64_t h = f_.position(heap, from);
  f_.signature(h, "FRHP");
  f_.bytes(h, 146);
  if (f_.u16(h + 7) != 0) f_.fail("a packed heap, which is not read", h);
  f_.checksum(h, h + 142);
  if (f_.u8(h + 4) != 0) f_.fail("unknown heap version", h);
  id_size_ = f_.u16(h + 5);
  checked_blocks_ = f_.u8(h + 9) & 2;
  uint64_t max_object = f_.u32(h + 10), bits = f_.u16(h + 128);
  if (f_.u64(h + 86) != 0) f_.fail("a member larger than 64 KB in the newest layout, which is not read", h);
  width_ = f_.u16(h + 110);
  start_ = f_.u64(h + 112);
  max_direct_ = f_.u64(h + 120);
  root_ = f_.u64(h + 132);
  root_rows_ = f_.u16(h + 140);
  if (!std::has_single_bit(width_) || !std::has_single_bit(start_) || !std::has_single_bit(max_direct_) || max_direct_ < start_ ||
      max_direct_ > (uint64_t{1} << 32) || bits == 0 || bits > 62 || width_ * start_ > (uint64_t{1} << bits) || root_rows_ > 64)
    f_.fail("a heap contradicts itself", h);
  offset_bytes_ = (bits + 7) / 8;
  length_bytes_ = std::min((log2_of(max_direct_) + 7) / 8, (log2_of(max_object) + 7) / 8);
  if (1 + offset_bytes_ + length_bytes_ > id_size_) f_.fail("a heap contradicts itself", h);
}

uint64_t DenseTable::direct_block(uint64_t address, uint64_t size, uint64_t from) {
  uint64_t at = f_.position(address, from), head = 13 + offset_bytes_;
  f_.signature(at, "FHDB");
  auto* data = f_.bytes(at, size);
  if (size < head + 4) f_.fail("a heap's block is too small", at);
  auto place = std::lower_bound(sound_.begin(), sound_.end(), at);
  if (checked_blocks_ && (place == sound_.end() || *place != at)) {
    std::vector<std::byte> copy(data, data + size);  // the checksum was taken with zeros in its own place
    std::fill_n(copy.begin() + static_cast<ptrdiff_t>(head), 4, std::byte{0});
    if (f_.u32(at + head) != lookup3(copy)) f_.fail("a checksum differs, the file is damaged", at);
    sound_.insert(place, at);
  }
  return at;
}

uint64_t DenseTable::locate(uint64_t offset, uint64_t length, uint64_t from) {
  uint64_t inside = offset, block = 0, size = start_;
  if (root_rows_ == 0) {
    block = direct_block(root_, start_, from);
  } else {
    uint64_t address = root_, rows = root_rows_, direct_rows = log2_of(max_direct_) - log2_of(start_) + 2;
    for (int depth = 0; block == 0; ++depth) {
      if (depth > 16) f_.fail("a heap is nested too deeply", from);
      uint64_t at = f_.position(address, from), entries = at + 13 + offset_bytes_;
      f_.signature(at, "FHIB");
      f_.bytes(at, entries - at + rows * width_ * 8 + 4);
      f_.checksum(at, entries + rows * width_ * 8);
      // Rows of equal blocks; the first two rows have the starting size, each further one twice that of the one before.
      uint64_t row = inside < start_ * width_ ? 0 : log2_of(inside / (start_ * width_)) + 1;
      uint64_t row_start = row == 0 ? 0 : start_ * width_ << (row - 1);
      size = row == 0 ? start_ : start_ << (row - 1);
      if (row >= rows) f_.fail("a member lies outside its heap", from);
      uint64_t column = (inside - row_start) / size;
      inside -= row_start + column * size;
      uint64_t entry = entries + (row * width_ + column) * 8;
      address = f_.u64(entry);
      if (row < direct_rows) {
        block = direct_block(address, size, entry);
      } else {
        if (size < start_ * width_) f_.fail("a heap contradicts itself", entry);
        rows = log2_of(size) - log2_of(start_ * width_) + 1;
      }
    }
  }
  uint64_t head = 13 + offset_bytes_ + (checked_blocks_ ? 4 : 0);
  if (inside < head || inside > size || length > size - inside) f_.fail("a member lies outside its heap", from);
  return block + inside;
}

void DenseTable::object(uint64_t id_at, const std::function<void(uint64_t, uint64_t)>& each) {
  if (f_.u8(id_at) != 0) f_.fail("a member is stored in an unknown way", id_at);
  uint64_t offset = f_.sized(id_at + 1, offset_bytes_), length = f_.sized(id_at + 1 + offset_bytes_, length_bytes_);
  if (length == 0) f_.fail("a member without bytes", id_at);
  each(locate(offset, length, id_at), length);
}

void DenseTable::visit(uint64_t tree, int kind, const std::function<void(uint64_t, uint64_t)>& each) {
  uint64_t h = f_.position(tree, 0);
  f_.signature(h, "BTHD");
  f_.bytes(h, 38);
  f_.checksum(h, h + 34);
  uint64_t node_size = f_.u32(h + 6), record = f_.u16(h + 10), depth = f_.u16(h + 12);
  // Records by kind: 5 hash and id, 6 age and id (links); 8 id, flags, age and hash, 9 id, flags and age (attributes).
  uint64_t expected = kind == 5 ? 11 : kind == 6 ? 15 : kind == 8 ? 17 : 13, id_offset = kind == 5 ? 4 : kind == 6 ? 8 : 0;
  if (f_.u8(h + 4) != 0 || f_.u8(h + 5) != kind || record != expected || id_size_ != (kind < 8 ? 7u : 8u) || depth > 16 || node_size < 64 ||
      node_size > (1u << 24))
    f_.fail("a tree contradicts itself", h);
  // How many records a node holds, and how wide the counts beside its branches are, follows from the sizes of the levels below it.
  uint64_t most_leaf = (node_size - 10) / record, count_bytes = bytes_to_hold(most_leaf);
  std::vector<uint64_t> most{most_leaf}, total_bytes{0};
  uint64_t total = most_leaf;
  for (uint64_t level = 1; level <= depth; ++level) {
    uint64_t branch = 8 + count_bytes + total_bytes[level - 1];
    if (node_size < 10 + branch + record) f_.fail("a tree contradicts itself", h);
    most.push_back((node_size - (10 + branch)) / (record + branch));
    if (total > (uint64_t{1} << 48)) f_.fail("a tree is too deep", h);
    total = (most[level] + 1) * total + most[level];
    total_bytes.push_back(bytes_to_hold(total));
  }
  uint64_t budget = f_.u64(h + 26);  // records declared; more of them means a node that hangs in two places
  auto node = [&](auto&& self, uint64_t address, uint64_t count, uint64_t level, uint64_t from) -> void {
    uint64_t at = f_.position(address, from);
    f_.signature(at, level ? "BTIN" : "BTLF");
    f_.bytes(at, node_size);
    if (count > most[level] || count > budget || f_.u8(at + 5) != kind) f_.fail("a tree contradicts itself", at);
    budget -= count;
    uint64_t records = at + 6, branches = records + count * record, branch = 8 + count_bytes + (level ? total_bytes[level - 1] : 0);
    f_.checksum(at, branches + (level ? (count + 1) * branch : 0));
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t r = records + i * record;
      if (kind >= 8 && f_.u8(r + 8) != 0) f_.fail("an attribute shared between objects, which is not read", r);
      object(r + id_offset, each);
    }
    if (level)
      for (uint64_t i = 0; i <= count; ++i)
        self(self, f_.u64(branches + i * branch), f_.sized(branches + i * branch + 8, count_bytes), level - 1, branches + i * branch);
  };
  uint64_t root = f_.u64(h + 16), count = f_.u16(h + 24);
  if (count) node(node, root, count, depth, h);
  if (budget) f_.fail("a tree declares more members than it has", h);
}

}  // namespace keras::io
