// What lives here: the table of layer classes that can be made from saved configurations. Each family lists its own.
#pragma once
#include <vector>

#include <keras/layers/layer.h>

namespace keras::layers {

struct LayerClass {
  const char* name;
  Layer (*make)(const Dict& config);
};

// One function per folder of src/layers, in its registry.cpp.
std::vector<LayerClass> core_layers();
std::vector<LayerClass> activation_layers();
std::vector<LayerClass> attention_layers();
std::vector<LayerClass> convolutional_layers();
std::vector<LayerClass> merging_layers();
std::vector<LayerClass> normalization_layers();
std::vector<LayerClass> pooling_layers();
std::vector<LayerClass> preprocessing_layers();
std::vector<LayerClass> regularization_layers();
std::vector<LayerClass> reshaping_layers();
std::vector<LayerClass> rnn_layers();

/// Names of all classes that `deserialize` knows, registered ones too.
std::vector<std::string> known_layers();

}  // namespace keras::layers
