// What lives here: Identity.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct IdentityOptions {
  KERAS_LAYER_OPTIONS
};
/// Keras' Identity: gives what it is given, masks too.
class Identity : public Layer {
 public:
  explicit Identity(const IdentityOptions& options = {});
  KERAS_EMPTY_BRACES(Identity)
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
