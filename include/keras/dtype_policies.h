// What lives here: dtype policies: which dtype layers compute in and which they keep their weights in.
#pragma once
#include <string>
#include <utility>

#include <keras/base/dtype.h>
#include <keras/base/value.h>
#include <keras/config.h>

namespace keras {

/// A policy by its name: a dtype ("float32"), for computing and weights alike, or "mixed_bfloat16" or "mixed_float16", which compute in
/// the short float and keep weights in float32.
///
///     keras::layers::Dense(4, {.dtype = keras::DTypePolicy("mixed_bfloat16")})
class DTypePolicy {
 public:
  /// The policy in force: `config::dtype_policy()`.
  DTypePolicy() : DTypePolicy(config::dtype_policy()) {}
  /// ValueError on an unknown name.
  explicit DTypePolicy(std::string name);
  const std::string& name() const { return name_; }
  DType compute_dtype() const { return compute_; }
  DType variable_dtype() const { return variable_; }
  /// {"name": …}.
  Dict get_config() const { return {{"name", name_}}; }
  static DTypePolicy from_config(const Dict& config) { return DTypePolicy(config.at("name").as_string()); }
  /// As saved: {"module": "keras", "class_name": "DTypePolicy", …}.
  Value serialize() const;
  /// `<DTypePolicy "float32">`.
  std::string str() const { return "<DTypePolicy \"" + name_ + "\">"; }
  /// So that a policy can stand where options take a name.
  operator std::string() const { return name_; }
  friend bool operator==(const DTypePolicy& a, const DTypePolicy& b) { return a.name_ == b.name_; }

 private:
  std::string name_;
  DType compute_, variable_;
};

namespace dtype_policies {
using keras::DTypePolicy;
using FloatDTypePolicy = DTypePolicy;

/// (computing, weights) of a policy's name; ValueError on an unknown one.
std::pair<DType, DType> policy_dtypes(const std::string& name);
/// A policy from a name, a saved policy, or null: the one in force. ValueError otherwise.
DTypePolicy get(const Value& identifier);
inline Value serialize(const DTypePolicy& policy) { return policy.serialize(); }
inline DTypePolicy deserialize(const Value& config) { return get(config); }
}  // namespace dtype_policies

using config::dtype_policy;
using config::set_dtype_policy;

}  // namespace keras
