// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/activations/activations.h>

namespace keras::layers {

std::vector<LayerClass> activation_layers() {
  return {{"ELU", ELU::from_config}, {"LeakyReLU", LeakyReLU::from_config}, {"PReLU", PReLU::from_config}, {"ReLU", ReLU::from_config}, {"Softmax", Softmax::from_config}};
}

}  // namespace keras::layers
