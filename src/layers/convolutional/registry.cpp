// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/convolutional/conv.h>

namespace keras::layers {

std::vector<LayerClass> convolutional_layers() {
  return {{"Conv1D", Conv1D::from_config},
          {"Conv2D", Conv2D::from_config},
          {"Conv3D", Conv3D::from_config},
          {"DepthwiseConv1D", DepthwiseConv1D::from_config},
          {"DepthwiseConv2D", DepthwiseConv2D::from_config},
          {"SeparableConv1D", SeparableConv1D::from_config},
          {"SeparableConv2D", SeparableConv2D::from_config},
          {"Conv1DTranspose", Conv1DTranspose::from_config},
          {"Conv2DTranspose", Conv2DTranspose::from_config},
          {"Conv3DTranspose", Conv3DTranspose::from_config}};
}

}  // namespace keras::layers
