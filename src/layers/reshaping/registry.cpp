// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/reshaping/reshape.h>
#include <keras/layers/reshaping/spatial.h>

namespace keras::layers {

std::vector<LayerClass> reshaping_layers() {
  return {{"Cropping1D", Cropping1D::from_config},       {"Cropping2D", Cropping2D::from_config},       {"Cropping3D", Cropping3D::from_config},
          {"Flatten", Flatten::from_config},             {"Permute", Permute::from_config},             {"RepeatVector", RepeatVector::from_config},
          {"Reshape", Reshape::from_config},             {"UpSampling1D", UpSampling1D::from_config},   {"UpSampling2D", UpSampling2D::from_config},
          {"UpSampling3D", UpSampling3D::from_config},   {"ZeroPadding1D", ZeroPadding1D::from_config}, {"ZeroPadding2D", ZeroPadding2D::from_config},
          {"ZeroPadding3D", ZeroPadding3D::from_config}};
}

}  // namespace keras::layers
