// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/attention/attention.h>
#include <keras/layers/attention/multi_head_attention.h>

namespace keras::layers {

std::vector<LayerClass> attention_layers() {
  return {{"AdditiveAttention", AdditiveAttention::from_config},
          {"Attention", Attention::from_config},
          {"GroupQueryAttention", GroupQueryAttention::from_config},
          {"GroupedQueryAttention", GroupQueryAttention::from_config},
          {"MultiHeadAttention", MultiHeadAttention::from_config}};
}

}  // namespace keras::layers
