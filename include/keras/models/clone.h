// What lives here: copies of models that share nothing with them.
#pragma once
#include <functional>

#include <keras/models/model.h>

namespace keras::models {

/// Makes the layer that stands in the copy for a layer of the model: a layer of the same configuration, or another that takes the same inputs.
using CloneFunction = std::function<Layer(const Layer&)>;

/// A model of the same layers with fresh weights, not compiled, the name kept. `clone_function` is asked for every layer but inputs, each
/// once however often it is called. ValueError for a model whose class is a user's own when there is a `clone_function`; without one, its
/// class must be registered.
///
///     Model small = models::clone_model(big, [](const Layer& l) {
///       return l.class_name() == "Dropout" ? layers::Identity({.name = l.name()}) : models::clone_layer(l);
///     });
Model clone_model(const Model& model, const CloneFunction& clone_function = {});

/// A layer of the same configuration, not built. What `clone_model` does without a function.
Layer clone_layer(const Layer& layer);

}  // namespace keras::models
