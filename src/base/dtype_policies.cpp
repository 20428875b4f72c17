// What lives here: dtype policies, by name and as saved.
#include <tuple>

#include <keras/base/error.h>
#include <keras/dtype_policies.h>

namespace keras {

DTypePolicy::DTypePolicy(std::string name) : name_(std::move(name)) { std::tie(compute_, variable_) = dtype_policies::policy_dtypes(name_); }

Value DTypePolicy::serialize() const {
  return Dict{{"module", "keras"}, {"class_name", "DTypePolicy"}, {"config", get_config()}, {"registered_name", Value()}};
}

namespace dtype_policies {

std::pair<DType, DType> policy_dtypes(const std::string& name) {
  if (name == "mixed_bfloat16") return {DType::BFloat16, DType::Float32};
  if (name == "mixed_float16") return {DType::Float16, DType::Float32};
  try {
    DType d = dtype_from_name(name);
    return {d, d};
  } catch (const ValueError&) {
    throw ValueError(ErrorText{.what = "unknown dtype policy" + did_you_mean(name, {"mixed_bfloat16", "mixed_float16", "float32", "float64", "bfloat16", "float16"}),
                               .expected = "mixed_bfloat16, mixed_float16 or the name of a dtype", .received = name}.str());
  }
}

DTypePolicy get(const Value& identifier) {
  if (identifier.is_null()) return {};
  if (identifier.is_string()) return DTypePolicy(identifier.as_string());
  const Value& class_name = identifier.get("class_name");
  if (class_name.is_string() && class_name.as_string() != "DTypePolicy" && class_name.as_string() != "FloatDTypePolicy" && class_name.as_string() != "Policy")
    throw ValueError(ErrorText{.what = "the dtype policy is of a class that is not supported", .expected = "DTypePolicy", .received = class_name.as_string()}.str());
  if (const Value& name = identifier.get("config").get("name"); name.is_string()) return DTypePolicy(name.as_string());
  throw ValueError(ErrorText{.what = "this is no dtype policy", .expected = "a name, or {\"class_name\": \"DTypePolicy\", \"config\": {\"name\": …}}", .received = identifier.str()}.str());
}

}  // namespace dtype_policies

}  // namespace keras
