// What lives here: rematerialisation: values computed again in the backward pass instead of being kept for it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace keras {

struct RematScopeOptions {
  /// "full": every layer; "activations": the activation functions of layers; "larger_than": layers whose outputs have more than
  /// `output_size_threshold` elements, the batch included; "list_of_layers": those named in `layer_names`; nullopt: none.
  std::optional<std::string> mode = "full";
  int64_t output_size_threshold = 1024;
  std::vector<std::string> layer_names{};
};

/// Layers made while it lives compute their insides again in the backward pass of training instead of keeping them: less memory for more
/// time, the same numbers. The innermost scope counts. What a layer was made under stays, wherever it is called. ValueError for another mode.
class RematScope {
 public:
  explicit RematScope(const RematScopeOptions& options = {});
  ~RematScope();
  RematScope(const RematScope&) = delete;
  RematScope& operator=(const RematScope&) = delete;
};

namespace core {
/// While it lives, what is traced on this thread is computed again where its gradient needs it.
class RematRegion {
 public:
  RematRegion();
  ~RematRegion();
  RematRegion(const RematRegion&) = delete;
  RematRegion& operator=(const RematRegion&) = delete;
  /// It was none: what was traced in it is kept after all.
  void cancel();

 private:
  std::shared_ptr<void> scope_, remat_;
};
}  // namespace core

/// The function (or layer), computed again in the backward pass of what it is called in instead of keeping what is inside of it.
template <class F> auto remat(F f) {
  return [f = std::move(f)](auto&&... args) {
    core::RematRegion region;
    return f(std::forward<decltype(args)>(args)...);
  };
}

}  // namespace keras
