// What lives here: the list of targets, files for those that read files, and the ways to damage an input.
#include "fuzz/fuzz_target.h"

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "io/hdf5.h"
#include "io/json.h"
#include "io/zip.h"

namespace keras::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

// ---- files

TempFile::TempFile(const Bytes& bytes, const std::string& suffix) {
  static std::atomic<int> count{0};
  std::error_code none;
  std::filesystem::path folder = "/dev/shm";
  if (!std::filesystem::is_directory(folder, none)) folder = std::filesystem::temp_directory_path();
  path_ = folder / ("keras_fuzz_" + std::to_string(::getpid()) + "_" + std::to_string(count++) + suffix);
  std::ofstream(path_, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}
TempFile::~TempFile() {
  std::error_code none;
  std::filesystem::remove(path_, none);
}

// ---- damage

namespace {

size_t below(Random& random, size_t n) { return n ? random() % n : 0; }

const Value& odd_value(Random& random) {
  static const std::vector<Value> values{Value(),
                                         Value(true),
                                         Value(false),
                                         Value(0),
                                         Value(1),
                                         Value(-1),
                                         Value(7),
                                         Value(1000),
                                         Value(int64_t{1} << 31),
                                         Value((int64_t{1} << 32) + 1),
                                         Value(std::numeric_limits<int64_t>::max()),
                                         Value(std::numeric_limits<int64_t>::min()),
                                         Value(0.5),
                                         Value(-0.5),
                                         Value(1.5),
                                         Value(1e308),
                                         Value(std::numeric_limits<double>::quiet_NaN()),
                                         Value(std::numeric_limits<double>::infinity()),
                                         Value(""),
                                         Value("relu"),
                                         Value("same"),
                                         Value("causal"),
                                         Value("channels_first"),
                                         Value("float16"),
                                         Value("int32"),
                                         Value("no such thing"),
                                         Value(std::string(3000, 'x')),
                                         Value(List{}),
                                         Value(List{List{}}),
                                         Value(List{Value(), 3}),
                                         Value(List{Value(), 4, 4, 2}),
                                         Value(List{1, 2, 3}),
                                         Value(List{-1, -1}),
                                         Value(Dict{}),
                                         Value(Dict{{"class_name", "Dense"}, {"config", Dict{{"units", 2}}}}),
                                         Value(Dict{{"class_name", "InputLayer"}, {"config", Dict{{"batch_shape", List{Value(), 3}}}}}),
                                         Value(Dict{{"class_name", "__tuple__"}, {"items", List{1, 2}}}),
                                         Value(Dict{{"class_name", "__lambda__"}, {"config", Dict{}}}),
                                         Value(Dict{{"class_name", "__tensor__"}, {"config", Dict{{"value", List{1.0, List{2.0}}}, {"dtype", "float32"}}}})};
  return values[below(random, values.size())];
}

size_t count_nodes(const Value& v) {
  size_t n = 1;
  if (v.is_list())
    for (const Value& e : v.as_list()) n += count_nodes(e);
  if (v.is_dict())
    for (const auto& [k, e] : v.as_dict()) n += count_nodes(e);
  return n;
}

const Value* node_at(const Value& v, size_t& n) {
  if (n-- == 0) return &v;
  if (v.is_list())
    for (const Value& e : v.as_list())
      if (const Value* found = node_at(e, n)) return found;
  if (v.is_dict())
    for (const auto& [k, e] : v.as_dict())
      if (const Value* found = node_at(e, n)) return found;
  return nullptr;
}

/// The document with node number `n` (depth first) replaced by what `f` makes of it.
Value rewrite(const Value& v, size_t& n, const std::function<Value(const Value&)>& f) {
  if (n-- == 0) return f(v);
  if (n > std::numeric_limits<size_t>::max() / 2 && !v.is_list() && !v.is_dict()) return v;  // already done
  if (v.is_list()) {
    List l;
    for (const Value& e : v.as_list()) l.push_back(rewrite(e, n, f));
    return l;
  }
  if (v.is_dict()) {
    Dict d;
    for (const auto& [k, e] : v.as_dict()) d.set(k, rewrite(e, n, f));
    return d;
  }
  return v;
}

Value changed(const Value& v, const Value& document, Random& random) {
  auto other = [&] {
    size_t n = below(random, count_nodes(document));
    const Value* found = node_at(document, n);
    return found ? *found : Value();
  };
  if (v.is_list() && !v.as_list().empty() && random() % 2) {
    List l = v.as_list();
    size_t at = below(random, l.size());
    switch (random() % 5) {
      case 0: l.erase(l.begin() + static_cast<ptrdiff_t>(at)); break;
      case 1: l.insert(l.begin() + static_cast<ptrdiff_t>(at), Value(l[at])); break;
      case 2: std::swap(l[at], l[below(random, l.size())]); break;
      case 3: l.push_back(odd_value(random)); break;
      default: l.insert(l.begin() + static_cast<ptrdiff_t>(at), other()); break;
    }
    return l;
  }
  if (v.is_dict() && !v.as_dict().empty() && random() % 2) {
    Dict d = v.as_dict();
    std::vector<std::string> keys = d.keys();
    const std::string& key = keys[below(random, keys.size())];
    switch (random() % 5) {
      case 0: d.erase(key); break;
      case 1: d.set(key + "x", d.at(key)), d.erase(key); break;
      case 2: std::swap(*d.find(key), *d.find(keys[below(random, keys.size())])); break;
      case 3: d.set("no_such_option", odd_value(random)); break;
      default: d.set(key, odd_value(random)); break;
    }
    return d;
  }
  if (v.is_int() && random() % 2) {
    int64_t i = v.as_int();
    switch (random() % 4) {
      case 0: return static_cast<int64_t>(0 - static_cast<uint64_t>(i));
      case 1: return static_cast<int64_t>(static_cast<uint64_t>(i) + 1);
      case 2: return static_cast<int64_t>(static_cast<uint64_t>(i) - 1);
      default: return static_cast<int64_t>(static_cast<uint64_t>(i) * 1000);
    }
  }
  switch (random() % 6) {
    case 0: return other();
    case 1: return List{v};
    case 2: return Dict{{"class_name", v}, {"config", other()}};
    default: return odd_value(random);
  }
}

}  // namespace

Bytes mutate_bytes(const Bytes& input, Random& random) {
  Bytes out = input;
  for (size_t k = random() % 4 + 1; k-- > 0;) {
    if (out.empty()) return Bytes(1 + random() % 16, std::byte{0x89});
    size_t at = below(random, out.size());
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: out[at] ^= std::byte{1} << static_cast<int>(random() % 8); break;
      case 3:
      case 4:
      case 5: {  // a number of some width, most interesting in fields of sizes and addresses
        uint64_t v = random() % 3 == 0 ? ~uint64_t{0} : random() % 2 ? uint64_t{1} << (random() % 64) : below(random, out.size());
        for (size_t b = 0, width = size_t{1} << random() % 4; b < width && at + b < out.size(); ++b) out[at + b] = static_cast<std::byte>(v >> (8 * b));
        break;
      }
      case 6: out.resize(at); break;
      default: {  // a stretch from elsewhere
        size_t from = below(random, out.size()), n = std::min({size_t{1} << random() % 9, out.size() - from, out.size() - at});
        std::memmove(out.data() + at, out.data() + from, n);
      }
    }
  }
  return out;
}

Bytes mutate_json(const Bytes& input, Random& random) {
  Value document;
  try {
    document = io::parse_json(text_of(input), "input");
  } catch (const Error&) {
    return mutate_bytes(input, random);
  }
  if (random() % 32 == 0) return mutate_bytes(input, random);
  for (size_t k = random() % 3 + 1; k-- > 0;) {
    size_t n = below(random, count_nodes(document));
    document = rewrite(document, n, [&](const Value& v) { return changed(v, document, random); });
  }
  return bytes_of(io::to_json(document));
}

namespace {

io::Array odd_array(const io::Array& a, Random& random) {
  switch (random() % 5) {
    case 0: return io::Array(Shape{}, std::vector<float>{1});
    case 1: return io::Array(Shape{0}, std::vector<float>{});
    case 2: return io::Array(Shape{1, static_cast<int64_t>(a.numel())}, std::vector<int8_t>(a.numel(), 1));
    case 3: return io::Array(a.shape, std::vector<double>(a.numel(), std::numeric_limits<double>::quiet_NaN()));
    default: {
      std::vector<int64_t> turned(a.shape.begin(), a.shape.end());
      std::reverse(turned.begin(), turned.end());
      return io::Array(a.dtype, Shape(std::move(turned)), a.data);
    }
  }
}

/// Copies group by group; about one item in `rarity` is changed.
void copy_group(const io::H5Group& from, io::H5Group to, Random& random, uint64_t rarity, int depth) {
  auto struck = [&] { return random() % rarity == 0; };
  auto attributes = [&](const std::string& of) {
    for (const std::string& name : from.attr_names(of)) {
      Value v = from.attr(name, of);
      if (struck()) {
        if (random() % 8 == 0) continue;
        if (v.is_string()) v = random() % 8 ? Value(text_of(mutate_json(bytes_of(v.as_string()), random))) : odd_value(random);
        else if (v.is_list() && !v.as_list().empty() && random() % 2) {
          List l = v.as_list();
          if (random() % 2) l.pop_back();
          else l[below(random, l.size())] = l[0];
          v = l;
        } else {
          v = odd_value(random);
        }
      }
      try {
        to.set_attr(name, v, of);
      } catch (const Error&) {  // no attribute holds that; then it is missing
      }
    }
  };
  attributes("");
  if (depth > 20) return;
  for (const io::H5Member& member : from.members()) {
    std::string name = member.name;
    if (struck()) {
      switch (random() % 3) {
        case 0: continue;
        case 1: name += "x"; break;
        default: name = std::to_string(random() % 4); break;
      }
    }
    if (to.contains(name)) continue;
    if (member.kind == io::H5Kind::Group) {
      copy_group(from.group(member.name), to.create_group(name), random, rarity, depth + 1);
    } else if (member.kind == io::H5Kind::Dataset) {
      io::Array a = from.read(member.name);
      if (struck() && random() % 6 == 0) to.create_group(name);
      else to.write(name, struck() ? odd_array(a, random) : a);
    }
  }
}

}  // namespace

Bytes mutate_hdf5(const Bytes& input, Random& random) {
  if (random() % 4 == 0) return mutate_bytes(input, random);
  try {
    io::H5File from = io::H5File::from_bytes(input, "input"), to = io::H5File::create_in_memory();
    copy_group(from.root(), to.root(), random, 2 + random() % 20, 0);
    return to.bytes();
  } catch (const Error&) {
    return mutate_bytes(input, random);
  }
}

Bytes mutate_zip(const Bytes& input, Random& random) {
  if (random() % 16 == 0) return mutate_bytes(input, random);
  try {
    io::ZipReader zip(input, "input");
    io::ZipWriter out;
    size_t chosen = below(random, zip.entries().size()), i = 0;
    for (const io::ZipEntry& entry : zip.entries()) {
      Bytes member = zip.read(entry.name);
      if (i++ == chosen) {
        if (random() % 32 == 0) continue;
        member = entry.name.ends_with(".json") ? mutate_json(member, random) : entry.name.ends_with(".h5") ? mutate_hdf5(member, random) : mutate_bytes(member, random);
      }
      out.add(entry.name, std::move(member));
    }
    return out.bytes();
  } catch (const Error&) {
    return mutate_bytes(input, random);
  }
}

}  // namespace keras::fuzz
