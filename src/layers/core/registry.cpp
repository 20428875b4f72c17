// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/core/activation.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/einsum_dense.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/core/identity.h>
#include <keras/layers/core/input_layer.h>

namespace keras::layers {

std::vector<LayerClass> core_layers() {
  return {{"Activation", Activation::from_config}, {"Dense", Dense::from_config},           {"EinsumDense", EinsumDense::from_config}, {"Embedding", Embedding::from_config},
          {"Identity", Identity::from_config},     {"InputLayer", InputLayer::from_config}, {"Masking", Masking::from_config},         {"ReversibleEmbedding", ReversibleEmbedding::from_config}};
}

}  // namespace keras::layers
