// What lives here: models and weights to and from files in Keras' own formats: `.keras`, `.weights.h5`, legacy whole-model `.h5`, JSON.
// Nothing in a file is ever executed, and what is written appears whole or not at all.
#pragma once
#include <functional>
#include <string>

#include <keras/models/model.h>

namespace keras::saving {

struct LoadModelOptions {
  /// Brings back the optimizer with its state, the loss and the metrics, if the file has them.
  bool compile = true;
};

struct LoadWeightsOptions {
  /// Weights whose shapes differ, or that the file lacks or has too many of, are left alone with one warning instead of an error.
  bool skip_mismatch = false;
  /// Legacy `.h5` only: layers are found by their names instead of by their order; layers that the file lacks stay as they are.
  bool by_name = false;
};

/// Writes the model: `.keras` (configuration, weights, optimizer state) or, for Keras 2, `.h5`. ValueError for another suffix,
/// RuntimeError naming path and reason where the file can't be written; what stood there before then stays.
void save_model(const Model& model, const std::string& path);

/// Reads a `.keras` file, a folder of its parts, or a whole-model `.h5` of Keras 2 or 3, told apart by content. ValueError naming file and member for truncated or
/// corrupt files, for classes that are not registered (by name, with the line that would register them), for a Lambda, and one that lists
/// every weight that is missing, surplus or of another shape.
Model load_model(const std::string& path, const LoadModelOptions& options = {});

/// Writes the weights, and the optimizer's state if there is one, as `.weights.h5`. ValueError for another suffix or a model not built.
void save_weights(const Model& model, const std::string& path);

/// Reads weights from `.weights.h5`, `.keras`, or a legacy `.h5`. On any error the model is as it was.
void load_weights(Model& model, const std::string& path, const LoadWeightsOptions& options = {});

/// The model of `model.to_json()` or of the config.json in a `.keras` file; not compiled, weights fresh.
Model model_from_json(const std::string& json);

/// Teaches loaders a layer or model class under the name that Python's `@keras.saving.register_keras_serializable(package, name)` gives it:
/// "package>name".
///
///     keras::saving::register_keras_serializable("Custom", "Linear", [](const keras::Dict& c) { return keras::make<Linear>(c.at("units").as_int()); });
void register_keras_serializable(const std::string& package, const std::string& name, layers::LayerFactory factory);

}  // namespace keras::saving
