// What lives here: HDF5 files in and out, as h5py writes and reads them. No layer, no layout of any kind of model.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <keras/base/value.h>

#include "io/array.h"

namespace keras::io {

enum class H5Kind { Group, Dataset, Other };

struct H5Member {
  std::string name;
  H5Kind kind = H5Kind::Other;
};

struct H5DatasetInfo {
  DType dtype = DType::Float32;
  Shape shape;
};

struct H5Limits {
  uint64_t dataset = uint64_t{64} << 30;    // declared bytes of one dataset
  uint64_t attribute = uint64_t{64} << 20;  // declared bytes of one attribute
  // A dataset above the floor may not be declared larger than `expansion` times the bytes it takes in the file.
  uint64_t expansion_floor = uint64_t{64} << 20, expansion = 1000;
};

/// A group of an open file. Paths are relative to it: "layers/dense/vars/0". Soft and external links are refused by name, so that
/// nothing outside the file is ever read. Errors are ValueErrors that name file and path. Usable from several threads; calls into the
/// library take turns.
class H5Group {
 public:
  /// Members in the order of creation where the file kept it, by name otherwise; links that are refused are errors here too.
  std::vector<H5Member> members() const;
  bool contains(std::string_view path) const;
  /// "model.weights.h5: /layers/dense" for messages.
  std::string where(std::string_view path = {}) const;

  H5Group group(std::string_view path) const;
  /// Makes the group and those above it; ValueError where it exists.
  H5Group create_group(std::string_view path);
  /// The same, or the group that exists.
  H5Group require_group(std::string_view path);

  /// Dtype and shape; ValueError naming the type for what a tensor cannot hold (strings, records, references).
  H5DatasetInfo info(std::string_view path) const;
  /// A dataset in C order and native byte order.
  Array read(std::string_view path) const;
  /// Writes a contiguous dataset (and the groups above it). bfloat16 is written as Keras writes it: opaque pairs of bytes with an
  /// attribute dtype = "bfloat16".
  void write(std::string_view path, const Array& array);

  // Attributes of this group, or of the member `of`.
  std::vector<std::string> attr_names(std::string_view of = {}) const;
  bool has_attr(std::string_view name, std::string_view of = {}) const;
  /// Strings (fixed or variable length), ints, floats, bools; arrays of them as lists, nested by axes; an empty dataspace is null.
  Value attr(std::string_view name, std::string_view of = {}) const;
  /// A string attribute; ValueError when it is missing or none.
  std::string attr_string(std::string_view name, std::string_view of = {}) const;
  /// A list of strings, also one that Keras cut into name0, name1, … because it passed 64 KB; ValueError when it is missing.
  std::vector<std::string> attr_strings(std::string_view name, std::string_view of = {}) const;

  /// Writes or replaces an attribute as h5py does: str as UTF-8 of variable length, int64, float64, bool, lists of one of these.
  void set_attr(std::string_view name, const Value& value, std::string_view of = {});
  /// Like a Python bytes object (Keras' `"jax".encode("utf8")`): a string of variable length marked ASCII.
  void set_attr_bytes(std::string_view name, std::string_view value, std::string_view of = {});
  /// Keras' save_attributes_to_hdf5_group: a list of bytes, cut into name0, name1, … beyond 64 KB.
  void set_attr_strings(std::string_view name, const std::vector<std::string>& values, std::string_view of = {});

 private:
  friend class H5File;
  struct File;
  struct Impl;
  explicit H5Group(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

/// An open HDF5 file.
class H5File {
 public:
  /// Opens for reading; RuntimeError where the file cannot be read, ValueError where it is no intact HDF5 file.
  static H5File open(const std::string& path, const H5Limits& limits = {});
  /// Opens an image in memory for reading; `where` names it in errors.
  static H5File from_bytes(Bytes bytes, const std::string& where, const H5Limits& limits = {});
  /// Starts a file that appears at `path` when `commit` is called, and never in part.
  static H5File create(const std::string& path);
  /// Starts a file in memory; `bytes` takes it out.
  static H5File create_in_memory(const std::string& where = "HDF5 file in memory");

  H5Group root() const { return root_; }
  /// The whole file as bytes.
  Bytes bytes() const;
  /// Closes a created file and puts it in place; nothing may be written afterwards.
  void commit();

 private:
  explicit H5File(H5Group root) : root_(std::move(root)) {}
  H5Group root_;
};

}  // namespace keras::io
