// What lives here: other names that Keras has for its classes: `initializers::glorot_uniform`, `constraints::max_norm`,
// `mixed_precision::Policy`. No class.
#pragma once
#include <keras/backend.h>
#include <keras/constraints.h>
#include <keras/dtype_policies.h>
#include <keras/initializers.h>
#include <keras/optimizers.h>
#include <keras/regularizers.h>

namespace keras {

using FloatDTypePolicy = DTypePolicy;

namespace initializers {
using constant = Constant;
using glorot_normal = GlorotNormal;
using glorot_uniform = GlorotUniform;
using he_normal = HeNormal;
using he_uniform = HeUniform;
using identity = Identity;
using IdentityInitializer = Identity;
using lecun_normal = LecunNormal;
using lecun_uniform = LecunUniform;
using ones = Ones;
using orthogonal = Orthogonal;
using OrthogonalInitializer = Orthogonal;
using random_normal = RandomNormal;
using random_uniform = RandomUniform;
using stft = STFT;
using STFTInitializer = STFT;
using truncated_normal = TruncatedNormal;
using variance_scaling = VarianceScaling;
using zeros = Zeros;
}  // namespace initializers

namespace constraints {
using max_norm = MaxNorm;
using min_max_norm = MinMaxNorm;
using non_neg = NonNeg;
using unit_norm = UnitNorm;
}  // namespace constraints

namespace regularizers {
using orthogonal_regularizer = OrthogonalRegularizer;
}

/// Keras 2's module of policies.
namespace mixed_precision {
using optimizers::LossScaleOptimizer;
using Policy = DTypePolicy;
using config::dtype_policy;
using config::set_dtype_policy;
inline const std::string& global_policy() { return config::dtype_policy(); }
inline void set_global_policy(const std::string& policy) { config::set_dtype_policy(policy); }
}  // namespace mixed_precision

namespace utils {
using backend::is_keras_tensor;
using backend::standardize_dtype;
using config::disable_interactive_logging;
using config::enable_interactive_logging;
using config::is_interactive_logging_enabled;
}  // namespace utils

}  // namespace keras
