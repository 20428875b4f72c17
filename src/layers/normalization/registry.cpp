// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/normalization/batch_normalization.h>

namespace keras::layers {

std::vector<LayerClass> normalization_layers() { return {{"BatchNormalization", BatchNormalization::from_config}}; }

}  // namespace keras::layers
