// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/regularization/activity_regularization.h>
#include <keras/layers/regularization/dropout.h>

namespace keras::layers {

std::vector<LayerClass> regularization_layers() {
  return {{"ActivityRegularization", ActivityRegularization::from_config}, {"AlphaDropout", AlphaDropout::from_config},         {"Dropout", Dropout::from_config},
          {"GaussianDropout", GaussianDropout::from_config},               {"GaussianNoise", GaussianNoise::from_config},       {"SpatialDropout1D", SpatialDropout1D::from_config},
          {"SpatialDropout2D", SpatialDropout2D::from_config},             {"SpatialDropout3D", SpatialDropout3D::from_config}};
}

}  // namespace keras::layers
