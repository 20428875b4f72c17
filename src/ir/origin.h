// What lives here: whose computation a node is: the calls of Keras layers around it while it was traced. Passes carry it on; nothing computes
// with it, and no comparison of nodes looks at it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace keras::ir {

/// A call whose values are computed again where its gradient needs them, instead of being kept; within another one, or not.
struct Remat {
  std::shared_ptr<const Remat> outer;
  bool off = false;  // found to be none after all
};

struct Origin {
  std::string name;                    // the layers' names, outermost first, joined by '/'
  bool gradient = false;               // of that layer's backward pass
  bool again = false;                  // computed again for it
  std::vector<std::string> others;     // names of what was fused into the node
  std::shared_ptr<const Remat> remat;  // while tracing: the innermost call around it whose values are not kept
};
using OriginPtr = std::shared_ptr<const Origin>;

/// The origin that emitted nodes get on this thread; null for none.
const OriginPtr& current_origin();

/// Emitted nodes get this origin while it lives.
class OriginScope {
 public:
  explicit OriginScope(OriginPtr origin);
  ~OriginScope();
  OriginScope(const OriginScope&) = delete;
  OriginScope& operator=(const OriginScope&) = delete;

 private:
  OriginPtr before_;
};

/// The origin of nodes of the gradient of a node of that origin; of values of it that are computed again.
OriginPtr gradient_of(const OriginPtr& origin);
OriginPtr again_of(const OriginPtr& origin);
/// The origin of what does the work of several: the first is the main one, the others keep their names.
OriginPtr joined(const std::vector<OriginPtr>& origins);

}  // namespace keras::ir
