// What lives here: dtype policies by the paths of layers: look-ups and the saved form.
#include <keras/base/dtype_policy_map.h>

#include <algorithm>
#include <regex>

#include <keras/base/error.h>

namespace keras {

namespace {
constexpr const char* kMapName = "DTypePolicyMap";
auto entry_at(auto& entries, const std::string& key) {
  return std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.first == key; });
}
std::regex key_pattern(const std::string& key) {
  try {
    return std::regex(key);
  } catch (const std::regex_error&) {
    throw ValueError(ErrorText{.what = "a key is no regular expression", .where = kMapName, .received = key}.str());
  }
}
}  // namespace

DTypePolicyMap::DTypePolicyMap(std::optional<std::string> default_policy, std::vector<Entry> policy_map) : default_(std::move(default_policy)) {
  if (default_) dtype_policies::policy_dtypes(*default_);
  for (const auto& [key, policy] : policy_map) set(key, policy);
}

DTypePolicy DTypePolicyMap::operator[](const std::string& path) const {
  if (auto exact = entry_at(entries_, path); exact != entries_.end()) return exact->second;
  const Entry* found = nullptr;
  std::string matching;
  for (const Entry& e : entries_) {
    if (!std::regex_match(path, key_pattern(e.first))) continue;
    matching += (found ? ", '" : "'") + e.first + "'";
    found = found ? found : &e;
    if (found != &e)
      throw ValueError(ErrorText{.what = "several keys match the path '" + path + "'", .where = kMapName, .expected = "at most one", .received = matching}.str());
  }
  return found ? found->second : default_policy();
}

void DTypePolicyMap::set(const std::string& key, const DTypePolicy& policy) {
  if (contains(key)) throw ValueError(ErrorText{.what = "the key '" + key + "' is there already", .where = kMapName, .received = policy.str()}.str());
  key_pattern(key);
  entries_.emplace_back(key, policy);
}
void DTypePolicyMap::set(const std::string& key, const Value& policy) { set(key, dtype_policies::get(policy)); }
DTypePolicy DTypePolicyMap::erase(const std::string& key) {
  auto at = entry_at(entries_, key);
  if (at == entries_.end()) throw ValueError(ErrorText{.what = "there is no key '" + key + "'", .where = kMapName, .received = str()}.str());
  DTypePolicy policy = at->second;
  entries_.erase(at);
  return policy;
}
bool DTypePolicyMap::contains(const std::string& key) const { return entry_at(entries_, key) != entries_.end(); }

Dict DTypePolicyMap::get_config() const {
  Dict map;
  for (const auto& [key, policy] : entries_) map.set(key, policy.serialize());
  return {{"default_policy", default_ ? Value(*default_) : Value()}, {"policy_map", map}};
}
DTypePolicyMap DTypePolicyMap::from_config(const Dict& config) {
  const Value *given = config.find("default_policy"), *map = config.find("policy_map");
  std::optional<std::string> name;
  if (given && !given->is_null()) name = dtype_policies::get(*given).name();
  DTypePolicyMap made(name);
  if (!map || map->is_null()) return made;
  if (!map->is_dict()) throw TypeError(ErrorText{.what = "policy_map is no dictionary", .where = kMapName, .received = map->str()}.str());
  // Keras leaves the names out of policies beside a default that is not given.
  for (const auto& [key, policy] : map->as_dict())
    made.set(key, policy.is_dict() && policy.get("config").get("name").is_null() ? DTypePolicy() : dtype_policies::get(policy));
  return made;
}
Value DTypePolicyMap::serialize() const {
  return Dict{{"module", "keras.dtype_policies"}, {"class_name", kMapName}, {"config", get_config()}, {"registered_name", Value()}};
}
std::string DTypePolicyMap::str() const {
  std::string text;
  for (const auto& [key, policy] : entries_) text += (text.empty() ? "('" : ", ('") + key + "', '" + policy.name() + "')";
  return "<DTypePolicyMap default_policy=" + default_policy().name() + ", mapping=[" + text + "]>";
}

}  // namespace keras
