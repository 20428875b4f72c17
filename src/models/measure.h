// What lives here: what a model would take, told without running it: operations by layer, memory by plan.
#pragma once
#include <map>
#include <string>

#include <keras/models/model.h>

#include "core/impl.h"
#include "data/feed.h"

namespace keras::models {

/// Without the name of the model itself: "block/dense".
std::string layer_path(const std::string& origin, const std::string& model);

/// Operations of a forward pass on `rows` rows, by the path of the layer that does them; "" for the whole. Empty where the inputs are unknown.
std::map<std::string, double> flops_by_layer(const Model& model, int64_t rows);

/// The signature of batches of these tensors: inputs, then a target per output.
data::Signature signature_of(const Tensors& x, const Tensors& y);

/// What a program takes at its peak beside its own base: weights and their optimizer's, the plan of the step, and two batches of data, of
/// which the feed makes one while the step reads the other.
struct PredictedMemory {
  size_t variables = 0, plan = 0, data = 0;
  bool training = false;
  size_t total() const { return variables + plan + data; }
};
/// Of training for a compiled model, else of prediction; plans the step, which the next fit then has.
PredictedMemory predicted_memory(Model& model, int64_t rows);

}  // namespace keras::models
