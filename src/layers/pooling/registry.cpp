// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/pooling/pooling.h>

namespace keras::layers {

std::vector<LayerClass> pooling_layers() {
#define KERAS_POOLING_CLASSES(Name) \
  {#Name "1D", Name##1D ::from_config}, {#Name "2D", Name##2D ::from_config}, { #Name "3D", Name##3D ::from_config }
  return {KERAS_POOLING_CLASSES(MaxPooling),         KERAS_POOLING_CLASSES(AveragePooling),
          KERAS_POOLING_CLASSES(GlobalMaxPooling),   KERAS_POOLING_CLASSES(GlobalAveragePooling),
          KERAS_POOLING_CLASSES(AdaptiveMaxPooling), KERAS_POOLING_CLASSES(AdaptiveAveragePooling)};
#undef KERAS_POOLING_CLASSES
}

}  // namespace keras::layers
