// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/preprocessing/rescaling.h>

namespace keras::layers {

std::vector<LayerClass> preprocessing_layers() { return {{"Rescaling", Rescaling::from_config}}; }

}  // namespace keras::layers
