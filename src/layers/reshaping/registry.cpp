// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/reshaping/reshape.h>

namespace keras::layers {

std::vector<LayerClass> reshaping_layers() {
  return {{"Flatten", Flatten::from_config}, {"Permute", Permute::from_config}, {"RepeatVector", RepeatVector::from_config}, {"Reshape", Reshape::from_config}};
}

}  // namespace keras::layers
