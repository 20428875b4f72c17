// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/merging/merge.h>

namespace keras::layers {

std::vector<LayerClass> merging_layers() {
  return {{"Add", Add::from_config},         {"Average", Average::from_config},   {"Concatenate", Concatenate::from_config},
          {"Dot", Dot::from_config},         {"Maximum", Maximum::from_config},   {"Minimum", Minimum::from_config},
          {"Multiply", Multiply::from_config}, {"Subtract", Subtract::from_config}};
}

}  // namespace keras::layers
