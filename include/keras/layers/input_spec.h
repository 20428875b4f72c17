// What lives here: what a layer says about the inputs it accepts.
#pragma once
#include <map>
#include <optional>
#include <string>

#include <keras/base/dtype.h>
#include <keras/base/shape.h>

namespace keras::layers {

/// Constraints on one input: rank, bounds of the rank, fixed sizes of some axes. Unset parts accept anything.
struct InputSpec {
  std::optional<int> ndim{};
  std::optional<int> max_ndim{};
  std::optional<int> min_ndim{};
  std::map<int, int64_t> axes{};
  std::optional<Shape> shape{};
};

}  // namespace keras::layers

namespace keras {
using layers::InputSpec;
}
