// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/regularization/dropout.h>

namespace keras::layers {

std::vector<LayerClass> regularization_layers() { return {{"Dropout", Dropout::from_config}}; }

}  // namespace keras::layers
