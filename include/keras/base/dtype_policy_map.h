// What lives here: DTypePolicyMap: dtype policies by the paths of layers. The policies themselves are in keras/dtype_policies.h.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <keras/dtype_policies.h>

namespace keras {

/// Policies by path, for models whose parts compute in different dtypes. Keys are paths, or regular expressions (ECMAScript's) that have to
/// match a whole path; what no key matches has the default policy.
///
///     keras::DTypePolicyMap map("float32");
///     map.set("encoder/.*", "mixed_bfloat16");
///     map["encoder/dense"].compute_dtype();   // bfloat16
///     map["head"].compute_dtype();            // float32
class DTypePolicyMap {
 public:
  using Entry = std::pair<std::string, DTypePolicy>;
  /// Default: the policy in force when it is asked for. ValueError on an unknown name.
  explicit DTypePolicyMap(std::optional<std::string> default_policy = {}, std::vector<Entry> policy_map = {});
  std::string name() const { return "map_" + default_policy().name(); }
  DTypePolicy default_policy() const { return default_ ? DTypePolicy(*default_) : DTypePolicy(); }
  DType compute_dtype() const { return default_policy().compute_dtype(); }
  DType variable_dtype() const { return default_policy().variable_dtype(); }
  /// The policy of a path: of the key that is the path, else of the one that matches it, else the default. ValueError where several match.
  DTypePolicy operator[](const std::string& path) const;
  /// ValueError when the key is there already, or on an unknown policy.
  void set(const std::string& key, const Value& policy);
  void set(const std::string& key, const DTypePolicy& policy);
  /// Takes a key out and gives its policy; ValueError when there is none.
  DTypePolicy erase(const std::string& key);
  bool contains(const std::string& key) const;
  size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  /// {"default_policy": name or null, "policy_map": {key: saved policy, …}}.
  Dict get_config() const;
  static DTypePolicyMap from_config(const Dict& config);
  Value serialize() const;
  /// `<DTypePolicyMap default_policy=float32, mapping=[('head', 'bfloat16')]>`.
  std::string str() const;

 private:
  std::optional<std::string> default_;
  std::vector<Entry> entries_;
};

namespace dtype_policies {
using keras::DTypePolicyMap;
}  // namespace dtype_policies

}  // namespace keras
