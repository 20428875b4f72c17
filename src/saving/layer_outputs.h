// What lives here: running a model layer by layer, with what each one gives. Shared by verify and diff.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include <keras/models/model.h>

namespace keras::saving {

/// One output of a layer, in the order in which layers run; those inside of nested models have paths, "encoder/dense".
struct LayerOutput {
  std::string layer, class_name;
  int call = 0;    // the layer's how-manieth call
  int output = 0;
  bool nested = false;  // the output of a model whose layers came before
  Tensor value;
};

/// Runs the model eagerly at inference on `inputs`, one per input in order. A model without a graph (a class of one's own) gives its
/// outputs alone. `see` gets every output of a layer as it comes.
Tensors run_layers(const Model& model, const Tensors& inputs, const std::function<void(const LayerOutput&)>& see);

/// `given` in the order and dtypes of the model's inputs; ValueError where names or counts are not those of the model.
Tensors ordered_inputs(const Model& model, const Arrays& given);

/// The largest difference, absolute and relative to the largest finite value of `want`; infinite where one is NaN and the other not.
struct Deviation {
  double abs = 0, rel = 0;
};
Deviation deviation(const std::vector<double>& got, const std::vector<double>& want);

}  // namespace keras::saving
