// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/core/dense.h>
#include <keras/layers/core/input_layer.h>

namespace keras::layers {

std::vector<LayerClass> core_layers() {
  return {{"Dense", Dense::from_config}, {"InputLayer", InputLayer::from_config}};
}

}  // namespace keras::layers
