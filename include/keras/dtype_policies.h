// What lives here: which dtypes layers compute and keep their weights in.
#pragma once
#include <string>

namespace keras {

/// Sets the policy of layers made from now on: "float32" (default), "float64", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16".
void set_dtype_policy(const std::string& policy);
const std::string& dtype_policy();

}  // namespace keras
