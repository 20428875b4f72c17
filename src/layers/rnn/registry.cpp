// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

namespace keras::layers {

std::vector<LayerClass> rnn_layers() { return {}; }

}  // namespace keras::layers
