// What lives here: which datasets the files of weights hold, and where: one HDF5 file, or the shards that a `.weights.json` names.
// No model.
#pragma once
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/hdf5.h"

namespace keras::saving {

/// The weights of a file in Keras 3's layout, where each object's variables stand in a group `<path>/vars`.
class WeightIndex {
 public:
  explicit WeightIndex(const io::H5Group& root);
  /// Shards: ValueError for a map that is damaged, names files outside its folder, or files that lack what it says.
  static WeightIndex sharded(const std::string& json_path);

  /// True when a group of this path stands in a file.
  bool contains(const std::string& group) const { return groups_.count(group) > 0; }
  /// Every group of variables, by path.
  const std::map<std::string, std::vector<std::pair<std::string, size_t>>>& vars() const { return vars_; }
  /// Names of datasets in the group `vars`; of those that are numbers in their order.
  std::vector<std::string> names(const std::string& vars) const;
  std::vector<std::string> numbered(const std::string& vars) const;
  /// Of the dataset at `path`.
  io::H5DatasetInfo info(const std::string& path) const { return file_of(path).info(path); }
  io::Array read(const std::string& path) const { return file_of(path).read(path); }
  std::string where(const std::string& path) const { return file_of(path).where(path); }
  /// The files in which the weights stand.
  size_t files() const { return roots_.size(); }

 private:
  WeightIndex() = default;
  void scan(size_t file);
  const io::H5Group& file_of(const std::string& path) const;
  std::vector<io::H5Group> roots_;
  std::set<std::string> groups_;
  std::map<std::string, std::vector<std::pair<std::string, size_t>>> vars_;  // group → (dataset, file)
};

/// Where weights are written to: one file or shards.
class WeightSink {
 public:
  virtual ~WeightSink() = default;
  /// Starts the group `<path>/vars` of an object of this name; `path` is "" for the model itself.
  virtual void object(const std::string& path, const std::string& name) = 0;
  /// Writes a dataset into the group that was started last.
  virtual void write(const std::string& key, const io::Array& value) = 0;
};

class H5Sink : public WeightSink {
 public:
  explicit H5Sink(io::H5Group root) : root_(std::move(root)), vars_(root_) {}
  void object(const std::string& path, const std::string& name) override;
  void write(const std::string& key, const io::Array& value) override { vars_.write(key, value); }

 private:
  io::H5Group root_, vars_;
};

/// Cuts as Keras does: a shard is full when the next dataset would take it over the limit.
class ShardSink : public WeightSink {
 public:
  /// `path` ends in .weights.json; the shards are called as it is, with numbers.
  ShardSink(std::string path, double max_gigabytes);
  void object(const std::string& path, const std::string& name) override;
  void write(const std::string& key, const io::Array& value) override;
  /// Puts all shards in place, and then the map.
  void commit();

 private:
  void next_shard();
  std::string path_, base_, folder_;
  double limit_, total_ = 0, size_ = 0;
  std::vector<io::H5File> shards_;
  std::vector<std::string> names_;
  std::string group_, object_;
  std::vector<std::pair<std::string, std::vector<std::string>>> map_;  // group → shards
};

}  // namespace keras::saving
