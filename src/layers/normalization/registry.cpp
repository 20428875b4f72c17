// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/normalization/batch_normalization.h>
#include <keras/layers/normalization/group_normalization.h>
#include <keras/layers/normalization/layer_normalization.h>
#include <keras/layers/normalization/rms_normalization.h>
#include <keras/layers/normalization/spectral_normalization.h>
#include <keras/layers/normalization/unit_normalization.h>

namespace keras::layers {

std::vector<LayerClass> normalization_layers() {
  return {{"BatchNormalization", BatchNormalization::from_config},       {"GroupNormalization", GroupNormalization::from_config},
          {"LayerNormalization", LayerNormalization::from_config},       {"RMSNormalization", RMSNormalization::from_config},
          {"SpectralNormalization", SpectralNormalization::from_config}, {"UnitNormalization", UnitNormalization::from_config}};
}

}  // namespace keras::layers
