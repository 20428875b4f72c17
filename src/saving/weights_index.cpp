// What lives here: listing and cutting files of weights.
#include "saving/weights_index.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fmt/format.h>

#include "io/file.h"
#include "io/json.h"

namespace keras::saving {

static bool only_digits(const std::string& s) { return !s.empty() && std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isdigit(c); }); }

// ---- reading
WeightIndex::WeightIndex(const io::H5Group& root) : roots_{root} { scan(0); }

void WeightIndex::scan(size_t file) {
  constexpr int deepest = 64;  // wrappers in wrappers; a file whose groups contain themselves ends here
  auto walk = [&](auto&& self, const io::H5Group& group, const std::string& path, int depth) -> void {
    if (depth > deepest) throw ValueError(ErrorText{.what = "the groups of the file are nested too deep", .where = group.where()}.str());
    bool vars = path == "vars" || path.ends_with("/vars");
    if (vars) vars_[path];
    for (const io::H5Member& m : group.members()) {
      std::string at = path.empty() ? m.name : path + "/" + m.name;
      if (m.kind == io::H5Kind::Group) {
        groups_.insert(at);
        self(self, group.group(m.name), at, depth + 1);
      } else if (m.kind == io::H5Kind::Dataset && vars) {
        auto& there = vars_[path];
        for (const auto& [name, other] : there)
          if (name == m.name) throw ValueError(ErrorText{.what = "a weight stands in two shards: " + at, .where = roots_[other].where() + " and " + roots_[file].where()}.str());
        there.emplace_back(m.name, file);
      }
    }
  };
  walk(walk, roots_[file], "", 0);
}

WeightIndex WeightIndex::sharded(const std::string& json_path) {
  Value config = io::parse_json(io::read_text_file(json_path), json_path);
  const Value& map = config.get("weight_map");
  if (!map.is_dict())
    throw ValueError(ErrorText{.what = "this is no map of sharded weights", .where = json_path, .expected = "{\"metadata\": {…}, \"weight_map\": {\"/layers/dense/vars\": \"model_00000.weights.h5\", …}}"}.str());
  WeightIndex index;
  std::map<std::string, size_t> opened;
  std::string folder = std::filesystem::path(json_path).parent_path().string();
  std::vector<std::pair<std::string, std::string>> claims;
  for (const auto& [key, names] : map.as_dict()) {
    std::string group = key.starts_with("/") ? key.substr(1) : key;
    List list = names.is_list() ? names.as_list() : List{names};
    if (list.empty()) throw ValueError(ErrorText{.what = "the map names no file for '" + key + "'", .where = json_path}.str());
    for (const Value& v : list) {
      std::string name = v.is_string() ? v.as_string() : "";
      if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || name.find('\\') != std::string::npos || name.find('\0') != std::string::npos)
        throw ValueError(ErrorText{.what = "the map names a file that is no file beside it", .where = json_path + ": " + key, .expected = "a name without a folder", .received = v.str()}.str());
      claims.emplace_back(group, name);
      opened.emplace(name, 0);
    }
  }
  for (auto& [name, at] : opened) {
    at = index.roots_.size();
    index.roots_.push_back(io::H5File::open(folder.empty() ? name : folder + "/" + name).root());
    index.scan(at);
  }
  for (const auto& [group, name] : claims) {
    auto it = index.vars_.find(group);
    size_t file = opened.at(name);
    if (it == index.vars_.end() || std::none_of(it->second.begin(), it->second.end(), [&](const auto& e) { return e.second == file; }))
      throw ValueError(ErrorText{.what = "a shard lacks what the map says it holds: " + group, .where = index.roots_[file].where() + ", map " + json_path}.str());
  }
  return index;
}

const io::H5Group& WeightIndex::file_of(const std::string& path) const {
  size_t slash = path.rfind('/');
  auto it = slash == std::string::npos ? vars_.end() : vars_.find(path.substr(0, slash));
  if (it != vars_.end())
    for (const auto& [name, file] : it->second)
      if (path.compare(slash + 1, std::string::npos, name) == 0) return roots_[file];
  return roots_.at(0);
}

std::vector<std::string> WeightIndex::names(const std::string& vars) const {
  std::vector<std::string> out;
  if (auto it = vars_.find(vars); it != vars_.end())
    for (const auto& [name, file] : it->second) out.push_back(name);
  return out;
}

std::vector<std::string> WeightIndex::numbered(const std::string& vars) const {
  std::vector<std::string> out = names(vars);
  std::erase_if(out, [](const std::string& n) { return !only_digits(n); });
  std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; });
  return out;
}

// ---- writing
void H5Sink::object(const std::string& path, const std::string& name) {
  vars_ = root_.require_group(path.empty() ? "vars" : path + "/vars");
  vars_.set_attr("name", Value(name));
}

ShardSink::ShardSink(std::string path, double max_gigabytes) : path_(std::move(path)), limit_(max_gigabytes * 1024 * 1024 * 1024) {
  if (!(limit_ > 0))
    throw ValueError(ErrorText{.what = "save_weights: max_shard_size is no size", .expected = "gigabytes, more than 0", .received = fmt::format("{}", max_gigabytes)}.str());
  std::filesystem::path p(path_);
  folder_ = p.parent_path().string();
  base_ = p.stem().string();
  if (size_t at = base_.find(".weights"); at != std::string::npos) base_.erase(at, 8);
  next_shard();
}

void ShardSink::next_shard() {
  names_.push_back(fmt::format("{}_{:05}.weights.h5", base_, shards_.size()));
  shards_.push_back(io::H5File::create(folder_.empty() ? names_.back() : folder_ + "/" + names_.back()));
  size_ = 0;
}

void ShardSink::object(const std::string& path, const std::string& name) {
  group_ = path.empty() ? "vars" : path + "/vars", object_ = name;
  shards_.back().root().require_group(group_).set_attr("name", Value(name));
}

void ShardSink::write(const std::string& key, const io::Array& value) {
  double bytes = static_cast<double>(value.data.size());
  if (bytes > limit_)
    throw ValueError(ErrorText{.what = "save_weights: a weight is larger than a shard may be", .where = group_ + "/" + key + " of \"" + object_ + "\"",
                               .expected = fmt::format("at most {:.0f} bytes", limit_), .received = fmt::format("{:.0f} bytes", bytes), .fix = "a greater max_shard_size"}.str());
  total_ += bytes;
  if (size_ + bytes > limit_) next_shard();
  size_ += bytes;
  shards_.back().root().require_group(group_).write(key, value);
  std::string full = "/" + group_;
  if (map_.empty() || map_.back().first != full) map_.emplace_back(full, std::vector<std::string>{});
  std::vector<std::string>& in = map_.back().second;
  if (in.empty() || in.back() != names_.back()) in.push_back(names_.back());
}

void ShardSink::commit() {
  Dict map;
  for (const auto& [group, in] : map_) {
    List names;
    for (const std::string& n : in) names.push_back(n);
    map.set(group, names.size() == 1 ? names[0] : Value(names));
  }
  for (io::H5File& f : shards_) f.commit();
  io::write_file_atomic(path_, io::to_json(Dict{{"metadata", Dict{{"total_size", total_}}}, {"weight_map", map}}, 4));
}

}  // namespace keras::saving
