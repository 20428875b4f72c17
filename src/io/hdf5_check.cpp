// What lives here: the walk over an HDF5 file's metadata, after the format's public specification (version 3). It covers what h5py and
// the library write by default (B-trees of version 1, symbol tables, object headers of both versions, compact links and attributes).
// Tables in fractal heaps are walked by io/hdf5_dense. Newer chunk indexes are refused by name rather than left unchecked: Keras never
// writes them, and the library crashes on damage.
#include "io/hdf5_check.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <keras/base/error.h>

#include "io/hdf5_dense.h"

namespace keras::io {
namespace {

constexpr int kMaxDepth = 500;  // of groups in groups: readers walk them by recursion
constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);

struct Type {
  int cls = -1;
  uint64_t size = 0;
  bool vlen_string = false;
  uint64_t length = 0;  // bytes of the description
};

struct Space {
  std::vector<uint64_t> dims;
  bool null = false;
  uint64_t count = 1;
};

class Checker : private Hdf5Bytes {
 public:
  using Hdf5Bytes::Hdf5Bytes;

  void run() {
    uint64_t at = find_superblock();
    base_ = at;
    int version = u8(at + 8);
    uint64_t root = 0, base = 0, eof = 0, extension = kUndefined;
    std::optional<std::pair<uint64_t, uint64_t>> cached;
    if (version <= 1) {
      check_sizes(u8(at + 13), u8(at + 14));
      leaf_k_ = u16(at + 16);
      internal_k_ = u16(at + 18);
      if (version == 1) chunk_k_ = u16(at + 24);
      if (!leaf_k_ || !internal_k_ || !chunk_k_) fail("a tree of rank 0", at);
      uint64_t p = at + (version == 1 ? 28 : 24);
      base = u64(p);
      eof = u64(p + 16);
      if (u64(p + 24) != kUndefined) fail("it is spread over several files (a driver block)", p + 24);
      root = u64(p + 40);
      if (u32(p + 48) == 1) cached = {u64(p + 56), u64(p + 64)};
    } else if (version <= 3) {
      check_sizes(u8(at + 9), u8(at + 10));
      base = u64(at + 12);
      extension = u64(at + 20);
      eof = u64(at + 28);
      root = u64(at + 36);
    } else {
      fail("unknown superblock version " + std::to_string(version), at + 8);
    }
    if (base != at) fail("its start is not where it says", at);
    if (eof > file_.size())
      throw error("it is truncated: it declares " + std::to_string(eof) + " bytes and has " + std::to_string(file_.size()));
    file_ = file_.first(std::max(eof, base_));  // what lies behind is no part of it
    if (extension != kUndefined) push(extension, "superblock extension");
    push(root, "/");
    bool first = extension == kUndefined;
    while (!pending_.empty()) {
      uint64_t address = pending_.back().address;
      path_ = std::move(pending_.back().path);
      depth_ = pending_.back().depth;
      pending_.pop_back();
      auto stab = object(address);
      if (first && cached && stab && *stab != *cached) fail("the root group is described in two ways", address);
      first = false;
    }
    for (uint64_t address : twice_)
      if (seen_.at(address)) fail_twice(address);
  }

 private:
  struct Pending {
    uint64_t address;
    std::string path;
    int depth;
  };

  uint64_t find_superblock() const {
    if (file_.size() < 8) throw error(file_.empty() ? "it is empty" : "it is truncated");
    for (uint64_t at = 0; at + 8 <= file_.size(); at = at ? at * 2 : 512)
      if (std::memcmp(file_.data() + at, kSignature.data(), 8) == 0) return at;
    throw error("it does not start with HDF5's mark");
  }
  void check_sizes(int offsets, int lengths) const {
    if (offsets != 8 || lengths != 8)
      throw error("its addresses and sizes take " + std::to_string(offsets) + " and " + std::to_string(lengths) +
                  " bytes, only 8 are read");
  }
  void push(uint64_t address, std::string path) {
    auto [known, fresh] = seen_.try_emplace(address, false);
    if (!fresh) {  // one object under two names: a dataset may be that, a group could hold itself
      if (known->second) fail_twice(address);
      return twice_.push_back(address);
    }
    if (depth_ >= kMaxDepth) fail("groups are nested more than " + std::to_string(kMaxDepth) + " deep", address);
    if (seen_.size() > 10'000'000) throw error("it has too many objects");
    pending_.push_back({address, std::move(path), depth_ + 1});
  }
  [[noreturn]] void fail_twice(uint64_t address) const { fail("a group has two names, so that groups could go round in circles; that is not read", address); }

  // ---- object headers ----

  struct Message {
    uint32_t type;
    uint64_t at, size;
    int flags;
  };

  std::vector<Message> messages(uint64_t address) const {
    uint64_t at = position(address, base_);
    std::vector<Message> out;
    std::vector<std::pair<uint64_t, uint64_t>> blocks;
    uint64_t total = 0;
    bool v2 = u8(at) == 'O';
    bool order = false;
    uint32_t declared = 0;
    if (v2) {
      signature(at, "OHDR");
      if (u8(at + 4) != 2) fail("unknown object header version", at);
      int flags = u8(at + 5);
      order = flags & 4;
      uint64_t p = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
      uint64_t width = uint64_t{1} << (flags & 3);
      uint64_t length = sized(p, width);
      bytes(p + width, length);
      checksum(at, p + width + length);
      blocks.emplace_back(p + width, length);
    } else {
      if (u8(at) != 1) fail("an object header is missing", at);
      declared = u16(at + 2);
      blocks.emplace_back(at + 16, u32(at + 8));
    }
    uint64_t head = v2 ? (order ? 6 : 4) : 8;
    for (size_t b = 0; b < blocks.size(); ++b) {
      auto [p, size] = blocks[b];
      bytes(p, size);
      total += size;
      if (b > 65535 || total > file_.size()) fail("an object header goes round in circles", at);
      uint64_t end = p + size;
      while (end - p >= head) {
        Message m{};
        m.type = v2 ? static_cast<uint32_t>(u8(p)) : u16(p);
        m.size = u16(p + (v2 ? 1 : 2));
        m.flags = u8(p + (v2 ? 3 : 4));
        m.at = p + head;
        if (m.size > end - m.at) fail("a message is longer than its object header", p);
        if (!v2 && m.size % 8) fail("a message is not aligned", p);
        if (m.type == 0x10) {
          need(m, 16);
          uint64_t next = position(u64(m.at), m.at), length = u64(m.at + 8);
          if (v2) {
            signature(next, "OCHK");
            if (length < 8) fail("a continuation is too short", next);
            bytes(next, length);
            checksum(next, next + length - 4);
            next += 4;
            length -= 8;
          }
          if (length < head) fail("a continuation is too short", next);
          blocks.emplace_back(next, length);
        }
        out.push_back(m);
        p = m.at + m.size;
      }
      if (!v2 && p != end) fail("an object header ends inside a message", p);
    }
    if (!v2 && out.size() != declared)
      fail("an object header declares " + std::to_string(declared) + " messages and has " + std::to_string(out.size()), at);
    return out;
  }
  void need(const Message& m, uint64_t size) const {
    if (m.size < size) fail("a message is too short", m.at);
  }

  /// Checks one object; the addresses of its tree and heap where it is a classic group.
  std::optional<std::pair<uint64_t, uint64_t>> object(uint64_t address) {
    std::optional<std::pair<uint64_t, uint64_t>> stab;
    std::optional<Type> type;
    std::optional<Space> space;
    std::optional<Message> layout, filters, fill[2];
    uint64_t at = position(address, base_);
    auto is_group = [&] { seen_.at(address) = true; };
    auto once = [&](auto& slot, auto value, const Message& m) {
      if (slot) fail("a message comes twice in an object header", m.at);
      slot = std::move(value);
    };
    for (const Message& m : messages(address)) {
      uint64_t end = m.at + m.size;
      if (m.type != 0 && (m.flags & 2)) fail("a description shared between objects (a committed type), which is not read", m.at);
      switch (m.type) {
        case 0x00:
        case 0x0D:
        case 0x10: break;
        case 0x01: once(space, dataspace(m.at, end), m); break;
        case 0x02: is_group(), table_info(m, true); break;
        case 0x03: once(type, datatype(m.at, end, 0), m); break;
        case 0x04: once(fill[0], m, m); break;
        case 0x05: once(fill[1], m, m); break;
        case 0x06: is_group(), link(m); break;
        case 0x07: fail("data in other files, which are not read", m.at);
        case 0x08: once(layout, m, m); break;
        case 0x0A:
          need(m, 2);
          need(m, 2 + (u8(m.at + 1) & 1 ? 4 : 0) + (u8(m.at + 1) & 2 ? 4 : 0));
          break;
        case 0x0B: once(filters, m, m); break;
        case 0x0C: attribute(m); break;
        case 0x0E: need(m, 16); break;
        case 0x11:
          need(m, 16);
          is_group();
          once(stab, std::pair(u64(m.at), u64(m.at + 8)), m);
          break;
        case 0x12: need(m, 8); break;
        case 0x13: need(m, 7); break;  // K values of trees, in a superblock extension
        case 0x15: table_info(m, false); break;
        case 0x16: need(m, 5); break;
        case 0x17: break;
        default: fail("an unknown message of type " + std::to_string(m.type), m.at);
      }
    }
    if (stab && (type || layout)) fail("an object is both group and dataset", at);
    if (stab) group(stab->first, stab->second, at);
    if (layout) {
      if (!type || !space) fail("a dataset without type or shape", at);
      for (int i = 0; i < 2; ++i)
        if (fill[i]) fill_value(*fill[i], i == 0, *type);
      data(*layout, *type, *space, filters);
    }
    return stab;
  }

  // ---- groups ----

  /// Links (or attributes) that outgrew their object header lie in a fractal heap, found through a tree by name and perhaps one by age.
  void table_info(const Message& m, bool links) {
    need(m, 2);
    int flags = u8(m.at + 1);
    if (u8(m.at) != 0 || (flags & ~3)) fail("a table of members of unknown version", m.at);
    uint64_t p = m.at + 2 + (flags & 1 ? (links ? 8 : 2) : 0);
    need(m, p - m.at + 16 + (flags & 2 ? 8 : 0));
    uint64_t heap = u64(p), by_name = u64(p + 8), by_age = flags & 2 ? u64(p + 16) : kUndefined;
    if (heap == kUndefined) {
      if (by_name != kUndefined || by_age != kUndefined) fail("a table of members without heap", m.at);
      return;
    }
    DenseTable table(*this, heap, m.at);
    table.visit(by_name, links ? 5 : 8, [&](uint64_t at, uint64_t size) {
      Message inner{links ? 0x06u : 0x0Cu, at, size, 0};
      if (links) link(inner);
      else attribute(inner);
    });
    // The same members again; the library follows this tree when it lists by age.
    if (by_age != kUndefined) table.visit(by_age, links ? 6 : 9, [](uint64_t, uint64_t) {});
  }

  void link(const Message& m) {
    uint64_t p = m.at, end = m.at + m.size;
    auto take = [&](uint64_t n) {
      if (n > end - p) fail("a link is cut off", m.at);
      return std::exchange(p, p + n);
    };
    if (u8(take(1)) != 1) fail("unknown link version", m.at);
    int flags = u8(take(1)), kind = flags & 8 ? u8(take(1)) : 0;
    if (flags & 4) take(8);
    if ((flags & 0x10) && u8(take(1)) > 1) fail("a link's name in an unknown encoding", m.at);
    if (flags & ~0x1F) fail("unknown link flags", m.at);
    uint64_t width = uint64_t{1} << (flags & 3), length = sized(take(width), width), name = take(length);
    if (length == 0) fail("a link without name", m.at);
    if (kind == 0) push(u64(take(8)), child(std::string(reinterpret_cast<const char*>(bytes(name, length)), length)));
    else if (kind != 1 && kind != 64) fail("a link of unknown kind", m.at);
    else if (uint64_t target = u16(take(2)); target == 0) fail("a link to nothing", m.at);
    else take(target);
  }

  std::string child(std::string_view name) const {
    std::string shown;
    for (char c : name.substr(0, 120)) shown += c >= ' ' ? c : '?';
    std::string parent = path_ == "/" ? "" : path_;
    if (parent.size() > 2000) parent = "..." + parent.substr(parent.size() - 1000);  // a chain of groups must not cost its square
    return parent + "/" + shown;
  }

  void group(uint64_t tree, uint64_t heap, uint64_t from) {
    uint64_t h = position(heap, from);
    signature(h, "HEAP");
    if (u8(h + 4) != 0) fail("unknown heap version", h);
    Heap names{position(u64(h + 24), h + 24), u64(h + 8)};
    bytes(names.at, names.size);
    uint64_t free = u64(h + 16);  // a chain of (next, size); 1 ends it
    for (uint64_t steps = 0; free != 1 && free != kUndefined; ++steps) {
      if (steps > names.size / 16 || free > names.size || names.size - free < 16) fail("the free space of a heap goes round in circles", h);
      if (u64(names.at + free + 8) > names.size - free) fail("free space of a heap lies outside it", names.at + free);
      free = u64(names.at + free);
    }
    std::string_view last;
    tree_nodes(
        tree, from, 0, 8, internal_k_, [&](uint64_t leaf, uint64_t) { symbols(leaf, names, last); },
        [&](uint64_t key) {
          if (u64(key) >= names.size) fail("a name lies outside its heap", key);
          text(names.at + u64(key), names.at + names.size);
        });
  }

  struct Heap {
    uint64_t at, size;
  };

  void symbols(uint64_t address, const Heap& names, std::string_view& last) {
    uint64_t at = position(address, base_);
    signature(at, "SNOD");
    if (u8(at + 4) != 1) fail("unknown symbol node version", at);
    uint32_t n = u16(at + 6);
    if (n > 2 * leaf_k_) fail("a symbol node holds " + std::to_string(n) + " names, too many", at);
    bytes(at, 8 + uint64_t{2} * leaf_k_ * 40);
    for (uint32_t i = 0; i < n; ++i) {
      uint64_t entry = at + 8 + uint64_t{i} * 40, offset = u64(entry);
      if (offset >= names.size) fail("a name lies outside its heap", entry);
      std::string_view name = text(names.at + offset, names.at + names.size);
      if (name.empty() || name <= last) fail("the names of a group are not in order", entry);
      last = name;
      uint32_t cached = u32(entry + 16);
      if (cached == 2) {  // a soft link: no object, its target in the heap
        if (u32(entry + 24) >= names.size) fail("a link lies outside its heap", entry);
        text(names.at + u32(entry + 24), names.at + names.size);
        continue;
      }
      if (cached > 2) fail("unknown kind of entry", entry);
      uint64_t target = u64(entry + 8);
      if (cached == 1) {
        for (const Message& m : messages(target))  // the entry repeats where the group's tree and heap are
          if (m.type == 0x11 && m.size >= 16 && (u64(m.at) != u64(entry + 24) || u64(m.at + 8) != u64(entry + 32)))
            fail("a group is described in two ways", entry);
      }
      push(target, child(name));
    }
  }

  /// Visits the leaves of a tree of version 1: `leaf(child, position of its key)`, `key(position)` for every key.
  template <class Leaf, class Key>
  void tree_nodes(uint64_t root, uint64_t from, int kind, uint64_t key_size, uint64_t k, Leaf&& leaf, Key&& key) {
    std::unordered_set<uint64_t> visited;
    auto node = [&](auto&& self, uint64_t address, int level) -> void {
      uint64_t at = position(address, from);
      if (!visited.insert(at).second) fail("a tree goes round in circles", at);
      signature(at, "TREE");
      if (u8(at + 4) != kind) fail("a tree of another kind", at);
      int found = u8(at + 5);
      if (level >= 0 && found != level) fail("a tree with uneven branches", at);
      if (found > 32) fail("a tree of " + std::to_string(found) + " levels", at);
      uint64_t n = u16(at + 6);
      if (n > 2 * k) fail("a tree node with " + std::to_string(n) + " branches, too many", at);
      bytes(at, 24 + 2 * k * (key_size + 8) + key_size);
      for (uint64_t i = 0; i <= n; ++i) {
        uint64_t here = at + 24 + i * (key_size + 8);
        if (n) key(here);
        if (i == n) break;
        uint64_t below = u64(here + key_size);
        if (found > 0) self(self, below, found - 1);
        else leaf(below, here);
      }
    };
    node(node, root, -1);
  }

  // ---- types and shapes ----

  Space dataspace(uint64_t at, uint64_t end) const {
    auto need_to = [&](uint64_t size) {
      if (size > end - at) fail("a shape is cut off", at);
    };
    need_to(4);
    int version = u8(at), rank = u8(at + 1), flags = u8(at + 2);
    if (version != 1 && version != 2) fail("unknown dataspace version", at);
    if (rank > 32) fail("a rank of " + std::to_string(rank), at);
    if (flags & ~1) fail("unknown dataspace flags", at);
    uint64_t p = at + (version == 1 ? 8 : 4);
    need_to(p - at + static_cast<uint64_t>(rank) * 8 * (flags & 1 ? 2 : 1));
    Space s;
    if (version == 2) {
      int kind = u8(at + 3);
      if (kind > 2 || (kind != 1 && rank != 0)) fail("a shape contradicts itself", at);
      s.null = kind == 2;
    }
    bool zero = false;
    for (int i = 0; i < rank; ++i) {
      uint64_t d = u64(p + static_cast<uint64_t>(i) * 8);
      if ((flags & 1) && u64(p + static_cast<uint64_t>(rank + i) * 8) < d) fail("a size is above its own maximum", at);
      s.dims.push_back(d);
      zero |= d == 0;
      if (d >> 62) fail("a size is beyond all bounds", at);
    }
    for (uint64_t d : s.dims) s.count = zero ? 0 : times(s.count, d, at);
    if (s.null) s.count = 0;
    return s;
  }

  Type datatype(uint64_t at, uint64_t end, int depth) const {
    if (depth > 8) fail("types nested too deeply", at);
    uint64_t p = at;
    auto take = [&](uint64_t n) {
      if (p > end || n > end - p) fail("a type is cut off", at);
      return std::exchange(p, p + n);
    };
    auto name = [&](bool padded) {
      uint64_t length = text(p, end).size() + 1;
      take(padded ? (length + 7) / 8 * 8 : length);
    };
    auto nested = [&] {
      Type inner = datatype(p, end, depth + 1);
      take(inner.length);
      return inner;
    };
    uint64_t head = take(8);
    int version = u8(head) >> 4;
    uint32_t bits = u32(head) >> 8;
    Type t;
    t.cls = u8(head) & 15;
    t.size = u32(head + 4);
    if (version < 1 || version > 3) fail("unknown type version " + std::to_string(version), at);
    if (t.size == 0) fail("a type of no bytes", at);
    switch (t.cls) {
      case 0:
      case 4: {
        uint64_t q = take(4);
        if (u16(q + 2) == 0 || u16(q) + u16(q + 2) > t.size * 8) fail("an integer type contradicts itself", at);
        break;
      }
      case 1: {
        uint64_t q = take(12);
        uint32_t precision = u16(q + 2), exponent = static_cast<uint32_t>(u8(q + 4)), exponent_bits = static_cast<uint32_t>(u8(q + 5)),
                 mantissa = static_cast<uint32_t>(u8(q + 6)), mantissa_bits = static_cast<uint32_t>(u8(q + 7));
        if (precision == 0 || u16(q) + precision > t.size * 8 || exponent_bits == 0 || mantissa_bits == 0 || exponent_bits > 31 ||
            exponent + exponent_bits > precision || mantissa + mantissa_bits > precision || (bits >> 8 & 255) >= precision ||
            (exponent < mantissa + mantissa_bits && mantissa < exponent + exponent_bits))
          fail("a float type contradicts itself", at);
        break;
      }
      case 2: take(2); break;
      case 3:
        if ((bits & 15) > 2 || (bits >> 4 & 15) > 1) fail("a string type of unknown padding or encoding", at);
        break;
      case 5: take(bits & 255); break;
      case 6: {
        uint32_t members = bits & 0xFFFF;
        if (members == 0) fail("a record without fields", at);
        uint64_t width = 1;
        while (width < 4 && t.size >> (8 * width)) ++width;
        std::vector<std::pair<uint64_t, uint64_t>> taken;
        for (uint32_t i = 0; i < members; ++i) {
          name(version < 3);
          uint64_t bytes_of_offset = version < 3 ? 4 : width, offset = sized(take(bytes_of_offset), bytes_of_offset), elements = 1;
          if (version == 1) {
            uint64_t q = take(28);
            int rank = u8(q);
            if (rank > 4) fail("a record's field has a rank above 4", at);
            for (int k = 0; k < rank; ++k) elements = times(elements, u32(q + 12 + static_cast<uint64_t>(k) * 4), at);
          }
          Type inner = nested();
          uint64_t bytes_of_field = times(inner.size, elements, at);
          if (offset > t.size || bytes_of_field > t.size - offset) fail("a record's field lies outside it", at);
          taken.emplace_back(offset, bytes_of_field);
        }
        std::sort(taken.begin(), taken.end());
        for (size_t i = 1; i < taken.size(); ++i)
          if (taken[i - 1].first + taken[i - 1].second > taken[i].first) fail("two fields of a record overlap", at);
        break;
      }
      case 7: break;
      case 8: {
        uint32_t members = bits & 0xFFFF;
        if (members == 0) fail("an enumeration without members", at);
        Type base = nested();
        if (base.cls != 0 || base.size != t.size) fail("an enumeration contradicts itself", at);
        for (uint32_t i = 0; i < members; ++i) name(version < 3);
        take(members * base.size);
        break;
      }
      case 9: {
        if ((bits & 15) > 1 || t.size != 16) fail("a type of variable length contradicts itself", at);
        Type base = nested();
        t.vlen_string = (bits & 15) == 1;
        if (t.vlen_string && (base.size != 1 || (base.cls != 3 && base.cls != 0))) fail("a string type contradicts itself", at);
        break;
      }
      case 10: {
        if (version < 2) fail("an array type contradicts itself", at);
        uint64_t rank = static_cast<uint64_t>(u8(take(version == 2 ? 4 : 1))), dims = take(rank * 4), n = 1;
        if (rank == 0 || rank > 32) fail("an array type of rank " + std::to_string(rank), at);
        for (uint64_t k = 0; k < rank; ++k) n = times(n, u32(dims + k * 4), at);
        if (version == 2) take(rank * 4);
        if (times(n, nested().size, at) != t.size) fail("an array type contradicts itself", at);
        break;
      }
      default: fail("an unknown type class " + std::to_string(t.cls), at);
    }
    t.length = p - at;
    return t;
  }

  void attribute(const Message& m) {
    need(m, 8);
    int version = u8(m.at);
    if (version < 1 || version > 3) fail("unknown attribute version", m.at);
    if (version > 1 && u8(m.at + 1) != 0) fail("an attribute of a committed type, which is not read", m.at);
    uint64_t name_size = u16(m.at + 2), type_size = u16(m.at + 4), space_size = u16(m.at + 6);
    uint64_t p = m.at + (version == 3 ? 9 : 8), end = m.at + m.size;
    auto take = [&](uint64_t n) {
      if (version == 1) n = (n + 7) / 8 * 8;
      if (p > end || n > end - p) fail("an attribute is cut off", m.at);
      return std::exchange(p, p + n);
    };
    uint64_t name_at = take(name_size), type_at = take(type_size), space_at = take(space_size);
    if (name_size == 0 || text(name_at, name_at + name_size).size() + 1 != name_size)
      fail("an attribute's name contradicts its length", m.at);
    Type type = datatype(type_at, type_at + type_size, 0);
    Space space = dataspace(space_at, space_at + space_size);
    uint64_t size = times(space.count, type.size, m.at);
    if (size > end - p) fail("an attribute declares " + std::to_string(size) + " bytes and has " + std::to_string(end - p), m.at);
    if (type.vlen_string)
      for (uint64_t i = 0; i < space.count; ++i) heap_string(p + i * 16);
  }

  /// A string of variable length: its length, and where in a global heap it lies. The two must agree, or the library writes past its
  /// buffer.
  void heap_string(uint64_t at) {
    uint64_t length = u32(at), address = u64(at + 4), index = u32(at + 12);
    if (length == 0 && (address == 0 || address == kUndefined)) return;
    auto [found, fresh] = heaps_.try_emplace(address);
    auto& objects = found->second;
    if (fresh) {
      uint64_t h = position(address, at);
      signature(h, "GCOL");
      if (u8(h + 4) != 1) fail("unknown global heap version", h);
      uint64_t size = u64(h + 8);
      if (size < 4096) fail("a global heap of " + std::to_string(size) + " bytes", h);
      bytes(h, size);
      uint64_t p = h + 16, end = h + size;
      while (end - p >= 16) {
        uint32_t i = u16(p);
        uint64_t held = u64(p + 8), taken = i == 0 ? held : 16 + (std::min(held, size) + 7) / 8 * 8;
        if (held > size || taken < 16 || taken > end - p) fail("an entry of a global heap lies outside it", p);
        if (i != 0 && !objects.emplace(i, held).second) fail("an entry of a global heap comes twice", p);
        p += taken;
        if (i == 0 && p != end) fail("the free space of a global heap is not at its end", p);
      }
    }
    auto entry = objects.find(index);
    if (entry == objects.end()) fail("a string that is in no heap", at);
    if (entry->second != length) fail("a string of two lengths", at);
  }

  // ---- data ----

  void fill_value(const Message& m, bool old, const Type& type) const {
    uint64_t p = m.at, end = m.at + m.size, size = 0;
    if (old) {
      need(m, 4);
      size = u32(p);
      p += 4;
    } else {
      need(m, 2);
      int version = u8(p);
      if (version < 1 || version > 3) fail("unknown fill value version", p);
      if (version < 3) {
        need(m, 4);
        bool present = version == 1 || u8(p + 3);
        p += 4;
        if (!present) return;
      } else {
        bool present = u8(p + 1) & 0x20;
        p += 2;
        if (!present) return;
      }
      if (end - p < 4) fail("a fill value is cut off", p);
      size = u32(p);
      if (size == 0xFFFFFFFF) return;  // "undefined"
      p += 4;
    }
    if (size > end - p || (size != 0 && size != type.size)) fail("a fill value contradicts its dataset's type", m.at);
    if (size && (type.cls == 9 || type.cls == 7)) fail("a fill value that points elsewhere", m.at);
  }

  void data(const Message& m, const Type& type, const Space& space, const std::optional<Message>& filters) {
    need(m, 2);
    int version = u8(m.at), kind = u8(m.at + 1);
    if (version != 3 && version != 4) fail("data layout version " + std::to_string(version) + " is not read", m.at);
    uint64_t total = times(space.count, type.size, m.at);
    if (kind == 0) {
      need(m, 4);
      uint64_t size = u16(m.at + 2);
      need(m, 4 + size);
      if (size != total) fail("a dataset declares " + std::to_string(total) + " bytes and keeps " + std::to_string(size), m.at);
    } else if (kind == 1) {
      need(m, 18);
      uint64_t address = u64(m.at + 2), size = u64(m.at + 10);
      if (address == kUndefined) return;  // nothing written yet
      if (size != total) fail("a dataset declares " + std::to_string(total) + " bytes and keeps " + std::to_string(size), m.at);
      bytes(position(address, m.at), size);
    } else if (kind == 2) {
      if (filters) pipeline(*filters, type);
      if (version != 3)
        fail("chunks indexed in the newest layout, which is not read; write the file with libver='earliest', h5py's default", m.at);
      chunks(m, type, space, filters.has_value());
    } else {
      fail("a dataset that lies in other files, which are not read", m.at);
    }
  }

  void pipeline(const Message& m, const Type& type) const {
    need(m, 2);
    int version = u8(m.at), n = u8(m.at + 1);
    if (version != 1 && version != 2) fail("unknown filter version", m.at);
    if (n > 32) fail("too many filters", m.at);
    uint64_t p = m.at + (version == 1 ? 8 : 2), end = m.at + m.size;
    auto take = [&](uint64_t size) {
      if (p > end || size > end - p) fail("a filter is cut off", m.at);
      return std::exchange(p, p + size);
    };
    for (int i = 0; i < n; ++i) {
      uint32_t id = u16(take(2)), name = version == 1 || id >= 256 ? u16(take(2)) : 0;
      take(2);
      uint32_t values = u16(take(2));
      if (version == 1 && name % 8) fail("a filter contradicts itself", m.at);
      take(name);
      uint64_t first = take(uint64_t{values} * 4);
      if (version == 1 && values % 2) take(4);
      if (id < 1 || id > 3) fail("data packed by filter " + std::to_string(id) + "; only gzip, shuffle and fletcher32 are read", m.at);
      if (id == 2 && (values != 1 || u32(first) != type.size)) fail("a filter contradicts its dataset's type", m.at);
      if (id == 1 && (values != 1 || u32(first) > 9)) fail("a filter contradicts itself", m.at);
    }
  }

  void chunks(const Message& m, const Type& type, const Space& space, bool filtered) {
    need(m, 11);
    uint64_t rank = static_cast<uint64_t>(u8(m.at + 2));  // one more than the dataset's: the last is the element's bytes
    need(m, 11 + rank * 4);
    if (rank != space.dims.size() + 1) fail("chunks of another rank than their dataset", m.at);
    uint64_t bytes_each = 1, expected = 1;
    std::vector<uint64_t> chunk;
    for (uint64_t i = 0; i < rank; ++i) {
      chunk.push_back(u32(m.at + 11 + i * 4));
      if (chunk.back() == 0) fail("a chunk without size", m.at);
      bytes_each = times(bytes_each, chunk.back(), m.at);
      if (i + 1 < rank) expected = times(expected, space.dims[i] / chunk[i] + (space.dims[i] % chunk[i] != 0), m.at);
    }
    if (chunk.back() != type.size) fail("chunks of another type than their dataset", m.at);
    if (bytes_each >> 32) fail("a chunk of more than 4 GiB", m.at);
    uint64_t tree = u64(m.at + 3), count = 0;
    if (tree == kUndefined) return;
    uint64_t key_size = 8 + rank * 8;
    tree_nodes(
        tree, m.at, 1, key_size, chunk_k_,
        [&](uint64_t address, uint64_t key) {
          uint64_t size = u32(key);
          if (++count > expected) fail("more chunks than their dataset has room for", key);
          if (!filtered && size != bytes_each) fail("a chunk of another size than declared", key);
          if (size == 0) fail("a chunk without bytes", key);
          bytes(position(address, key), size);
          for (uint64_t i = 0; i < rank; ++i) {
            uint64_t offset = u64(key + 8 + i * 8);
            if (offset % chunk[i] || (i + 1 < rank ? offset >= space.dims[i] : offset != 0)) fail("a chunk outside its dataset", key);
          }
        },
        [](uint64_t) {});
  }

  uint64_t leaf_k_ = 4, internal_k_ = 16, chunk_k_ = 32;
  std::vector<Pending> pending_;
  int depth_ = 0;
  std::unordered_map<uint64_t, bool> seen_;  // address → whether it is a group
  std::vector<uint64_t> twice_;
  std::unordered_map<uint64_t, std::unordered_map<uint64_t, uint64_t>> heaps_;
};

}  // namespace

void check_hdf5(std::span<const std::byte> file, const std::string& where) { Checker(file, where).run(); }

}  // namespace keras::io
