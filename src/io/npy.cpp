// What lives here: NumPy's .npy header and data, and archives of them.
#include "io/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <keras/base/error.h>

#include "io/file.h"

namespace keras::io {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kMaxHeader = 1 << 20;
constexpr size_t kMaxRank = 64;  // NumPy's own

ValueError bad_npy(const std::string& where, const std::string& why) {
  return ValueError(ErrorText{.what = "not a usable .npy file: " + why, .where = where}.str());
}

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

/// The header is the text of a Python dictionary; only what NumPy writes there is taken.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : s_(text), where_(where) {}

  Header parse() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!take('}')) {
      std::string key = string();
      expect(':');
      if (key == "descr" && !has_descr) {
        skip();
        if (i_ < s_.size() && s_[i_] == '[')
          throw ValueError(ErrorText{.what = "the array holds records (a structured dtype), which no tensor can", .where = where_}.str());
        header.descr = string();
        has_descr = true;
      } else if (key == "fortran_order" && !has_order) {
        skip();
        if (word("True")) header.fortran = true;
        else if (!word("False")) fail("fortran_order is neither True nor False");
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = shape();
        has_shape = true;
      } else {
        fail("unexpected key '" + key.substr(0, 40) + "'");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (i_ != s_.size()) fail("there is more after its dictionary");
    if (!has_descr || !has_order || !has_shape) fail("one of descr, fortran_order, shape is missing");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw bad_npy(where_, "in its header at character " + std::to_string(i_) + ": " + why);
  }
  void skip() {
    while (i_ < s_.size() && (s_[i_] == ' ' || s_[i_] == '\n' || s_[i_] == '\t' || s_[i_] == '\r')) ++i_;
  }
  bool take(char c) {
    skip();
    if (i_ >= s_.size() || s_[i_] != c) return false;
    ++i_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("expected '") + c + "'");
  }
  bool word(std::string_view w) {
    if (s_.substr(i_, w.size()) != w) return false;
    i_ += w.size();
    return true;
  }
  std::string string() {
    skip();
    if (i_ >= s_.size() || (s_[i_] != '\'' && s_[i_] != '"')) fail("expected a string");
    size_t end = s_.find(s_[i_], i_ + 1);
    if (end == std::string_view::npos) fail("a string is not closed");
    std::string text(s_.substr(i_ + 1, end - i_ - 1));
    i_ = end + 1;
    return text;
  }
  std::vector<int64_t> shape() {
    std::vector<int64_t> dims;
    expect('(');
    while (!take(')')) {
      skip();
      int64_t d = 0;
      auto [end, error] = std::from_chars(s_.data() + i_, s_.data() + s_.size(), d);
      if (error != std::errc() || d < 0) fail("a size in shape is not a whole number from 0");
      i_ = static_cast<size_t>(end - s_.data());
      if (i_ < s_.size() && s_[i_] == 'L') ++i_;  // Python 2's long
      dims.push_back(d);
      if (dims.size() > kMaxRank) fail("shape has more than 64 sizes");
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return dims;
  }
  std::string_view s_;
  const std::string& where_;
  size_t i_ = 0;
};

struct Kind {
  DType dtype;
  bool swap;
};

Kind kind_of(const std::string& descr, const std::string& where) {
  auto refuse = [&](const std::string& why) -> ValueError {
    return ValueError(ErrorText{
        .what = "the array has NumPy's dtype '" + descr.substr(0, 40) + "': " + why, .where = where, .expected = "bool, ints, floats"}
                          .str());
  };
  if (descr.empty()) throw refuse("there is no such dtype");
  bool marked = descr[0] == '<' || descr[0] == '>' || descr[0] == '|' || descr[0] == '=';
  char order = marked ? descr[0] : '=';
  std::string code = descr.substr(marked ? 1 : 0);
  static constexpr std::pair<const char*, DType> known[] = {
      {"b1", DType::Bool},    {"?", DType::Bool},     {"i1", DType::Int8},    {"i2", DType::Int16},    {"i4", DType::Int32},
      {"i8", DType::Int64},   {"u1", DType::UInt8},   {"u2", DType::UInt16},  {"u4", DType::UInt32},   {"u8", DType::UInt64},
      {"f2", DType::Float16}, {"f4", DType::Float32}, {"f8", DType::Float64}, {"V2", DType::BFloat16}, {"bfloat16", DType::BFloat16}};
  for (const auto& [name, dtype] : known)
    if (code == name) return {dtype, order == '>' && dtype_size(dtype) > 1 && dtype != DType::BFloat16};
  switch (code.empty() ? '\0' : code[0]) {
    case 'U':
    case 'S':
    case 'a':
    case 'T': throw refuse("strings cannot be read into a tensor");
    case 'O': throw refuse("Python objects are pickled code and are never loaded");
    case 'c': throw refuse("complex numbers are not offered");
    case 'M':
    case 'm': throw refuse("dates and times are not offered");
    case 'V': throw refuse("raw records are not offered");
    case 'f': throw refuse("floats of that size are not offered");
    default: throw refuse("there is no such dtype here");
  }
}

void swap_bytes(Bytes& data, size_t size) {
  for (size_t i = 0; i + size <= data.size(); i += size)
    std::reverse(data.begin() + static_cast<ptrdiff_t>(i), data.begin() + static_cast<ptrdiff_t>(i + size));
}

/// Bytes in Fortran order (first axis fastest) brought to C order.
Bytes from_fortran(std::span<const std::byte> data, const std::vector<int64_t>& dims, size_t size) {
  Bytes out(data.size());
  size_t rank = dims.size(), n = data.size() / size;
  std::vector<size_t> stride(rank);  // of the output, walked in the input's order
  for (size_t k = rank, s = 1; k-- > 0; s *= static_cast<size_t>(dims[k])) stride[k] = s;
  std::vector<int64_t> at(rank, 0);
  size_t to = 0;
  for (size_t i = 0; i < n; ++i) {
    std::memcpy(out.data() + to * size, data.data() + i * size, size);
    for (size_t k = 0; k < rank; ++k) {
      to += stride[k];
      if (++at[k] < dims[k]) break;
      to -= stride[k] * static_cast<size_t>(dims[k]);
      at[k] = 0;
    }
  }
  return out;
}

std::string descr_of(DType dtype) {
  switch (dtype) {
    case DType::Bool: return "|b1";
    case DType::Int8: return "|i1";
    case DType::UInt8: return "|u1";
    case DType::BFloat16: return "<V2";
    default: break;
  }
  const char* kind = is_floating(dtype) ? "<f" : is_unsigned(dtype) ? "<u" : "<i";
  return kind + std::to_string(dtype_size(dtype));
}

}  // namespace

Array parse_npy(std::span<const std::byte> bytes, const std::string& where) { return parse_npy(Bytes(bytes.begin(), bytes.end()), where); }

Array parse_npy(Bytes bytes, const std::string& where) {
  static_assert(std::endian::native == std::endian::little, "a big-endian host would swap the other way round");
  auto byte = [&](size_t i) { return static_cast<size_t>(bytes[i]); };
  if (bytes.size() < 10 || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    throw bad_npy(where, bytes.size() < 10 ? "it ends inside its header" : "it does not start with NumPy's mark");
  size_t version = byte(6), start = version == 1 ? 10 : 12;
  if (version < 1 || version > 3 || byte(7) != 0)
    throw bad_npy(where, "its version " + std::to_string(version) + "." + std::to_string(byte(7)) + " is not known");
  if (bytes.size() < start) throw bad_npy(where, "it ends inside its header");
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > kMaxHeader) throw bad_npy(where, "its header declares " + std::to_string(length) + " bytes, too many");
  if (bytes.size() - start < length) throw bad_npy(where, "it ends inside its header");
  Header header = HeaderParser({reinterpret_cast<const char*>(bytes.data()) + start, length}, where).parse();
  Kind kind = kind_of(header.descr, where);
  size_t size = dtype_size(kind.dtype);
  uint64_t needed = checked_bytes(header.shape, size);
  auto data = std::span<const std::byte>(bytes).subspan(start + length);
  if (needed != data.size())
    throw bad_npy(where, "shape " + Shape(header.shape).str() + " of " + dtype_name(kind.dtype) + " needs " +
                             (needed == UINT64_MAX ? "more than 2^64" : std::to_string(needed)) + " bytes, but " +
                             std::to_string(data.size()) + " follow the header");
  Array array;
  array.dtype = kind.dtype;
  array.shape = Shape(header.shape);
  if (header.fortran && header.shape.size() > 1 && !data.empty()) {
    array.data = from_fortran(data, header.shape, size);
  } else {
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(start + length));  // moved in place: no second copy of a large file
    array.data = std::move(bytes);
  }
  if (kind.swap) swap_bytes(array.data, size);
  if (kind.dtype == DType::Bool)
    for (auto& b : array.data) b = b == std::byte{0} ? std::byte{0} : std::byte{1};  // any other bit pattern is no C++ bool
  return array;
}

Array read_npy(const std::string& path) { return parse_npy(read_file(path), path); }

Bytes npy_bytes(const Array& array) {
  if (!array.shape.is_static() || checked_bytes(array.shape.dims(), dtype_size(array.dtype)) != array.data.size())
    throw ValueError("an array of shape " + array.shape.str() + " does not match its " + std::to_string(array.data.size()) + " bytes");
  std::string header = "{'descr': '" + descr_of(array.dtype) + "', 'fortran_order': False, 'shape': " + array.shape.str() + ", }";
  // NumPy leaves room for the first size to grow to 21 digits, so that rows can be appended in place.
  if (!array.shape.empty()) header.append(21 - std::to_string(array.shape[0]).size(), ' ');
  size_t unpadded = kMagic.size() + 4 + header.size() + 1;
  header.append(64 - unpadded % 64, ' ');
  header += '\n';
  Bytes out;
  out.reserve(10 + header.size() + array.data.size());
  auto put = [&](std::string_view text) {
    auto b = as_bytes(text);
    out.insert(out.end(), b.begin(), b.end());
  };
  bool large = header.size() > 65535;
  put(kMagic);
  const char version[] = {static_cast<char>(large ? 2 : 1), 0};
  put({version, 2});
  for (int shift = 0; shift < (large ? 32 : 16); shift += 8) out.push_back(static_cast<std::byte>(header.size() >> shift & 255));
  put(header);
  out.insert(out.end(), array.data.begin(), array.data.end());
  return out;
}

void write_npy(const std::string& path, const Array& array) { write_file_atomic(path, npy_bytes(array)); }

const Array* Arrays::find(std::string_view name) const {
  for (const auto& item : items_)
    if (item.first == name) return &item.second;
  return nullptr;
}
const Array& Arrays::at(std::string_view name) const {
  if (const Array* array = find(name)) return *array;
  throw ValueError("there is no array '" + std::string(name) + "'" + did_you_mean(name, names()));
}
void Arrays::set(std::string name, Array array) {
  for (auto& item : items_)
    if (item.first == name) return void(item.second = std::move(array));
  items_.emplace_back(std::move(name), std::move(array));
}
std::vector<std::string> Arrays::names() const {
  std::vector<std::string> out;
  for (const auto& item : items_) out.push_back(item.first);
  return out;
}

NpzReader::NpzReader(const std::string& path) : zip_(path) { list(); }
NpzReader::NpzReader(Bytes bytes, const std::string& where) : zip_(std::move(bytes), where) { list(); }

void NpzReader::list() {
  for (const auto& entry : zip_.entries())
    if (entry.name.ends_with(".npy")) names_.push_back(entry.name.substr(0, entry.name.size() - 4));
}
bool NpzReader::contains(std::string_view name) const { return zip_.contains(std::string(name) + ".npy"); }
Array NpzReader::read(std::string_view name) const {
  if (!contains(name)) {
    std::string all;
    for (size_t i = 0; i < std::min<size_t>(names_.size(), 20); ++i) all += (i ? ", '" : "'") + names_[i] + "'";
    if (names_.size() > 20) all += ", ...";
    throw ValueError(ErrorText{.what = "the archive has no array '" + std::string(name) + "'" + did_you_mean(name, names_),
                               .where = zip_.where(),
                               .expected = all.empty() ? "an archive with arrays" : "one of " + all}
                         .str());
  }
  return parse_npy(zip_.read(std::string(name) + ".npy"), zip_.where() + ", array '" + std::string(name) + "'");
}
Arrays NpzReader::read_all() const {
  Arrays arrays;
  for (const auto& name : names_) arrays.set(name, read(name));
  return arrays;
}

Arrays read_npz(const std::string& path) { return NpzReader(path).read_all(); }

static ZipWriter npz_writer(const Arrays& arrays) {
  ZipWriter zip;
  for (const auto& [name, array] : arrays) zip.add(name + ".npy", npy_bytes(array));
  return zip;
}
Bytes npz_bytes(const Arrays& arrays) { return npz_writer(arrays).bytes(); }
void write_npz(const std::string& path, const Arrays& arrays) { npz_writer(arrays).write(path); }

}  // namespace keras::io
