// What lives here: NumPy's .npy and .npz files. No conversion between dtypes.
#pragma once
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/array.h"
#include "io/zip.h"

namespace keras::io {

/// Reads one .npy (versions 1 to 3) into C order and native byte order; '|V2' is bfloat16, as ml_dtypes saves it.
/// ValueError naming `where` for a truncated or lying file, and by name for what a tensor cannot hold: strings, complex numbers,
/// dates, records, Python objects (which are never unpickled).
Array parse_npy(std::span<const std::byte> bytes, const std::string& where);
Array parse_npy(Bytes bytes, const std::string& where);
Array read_npy(const std::string& path);

/// The bytes that `np.save` writes.
Bytes npy_bytes(const Array& array);
void write_npy(const std::string& path, const Array& array);

/// Arrays by name, in order.
class Arrays {
 public:
  using Item = std::pair<std::string, Array>;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  const Array* find(std::string_view name) const;
  /// ValueError naming the nearest name otherwise.
  const Array& at(std::string_view name) const;
  /// Adds or replaces.
  void set(std::string name, Array array);
  std::vector<std::string> names() const;
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

 private:
  std::vector<Item> items_;
};

/// A .npz whose arrays are read when asked for, so that one unreadable array does not spoil the others.
class NpzReader {
 public:
  explicit NpzReader(const std::string& path);
  NpzReader(Bytes bytes, const std::string& where);
  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view name) const;
  /// ValueError naming the nearest name otherwise.
  Array read(std::string_view name) const;
  Arrays read_all() const;

 private:
  void list();
  ZipReader zip_;
  std::vector<std::string> names_;
};

Arrays read_npz(const std::string& path);
/// The bytes of an uncompressed .npz, as `np.savez` writes one.
Bytes npz_bytes(const Arrays& arrays);
void write_npz(const std::string& path, const Arrays& arrays);

}  // namespace keras::io
