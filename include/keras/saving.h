// What lives here: models and weights to and from files in Keras' own formats: `.keras`, `.weights.h5`, legacy whole-model `.h5`, JSON.
// Nothing in a file is ever executed, and what is written appears whole or not at all.
#pragma once
#include <functional>
#include <optional>
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

struct SaveOptions {
  /// Inputs whose outputs, and those of every layer, are kept inside a `.keras` file, so that verify() and `keras verify` can tell later
  /// and elsewhere whether the model still computes the same. Keras ignores them.
  Arrays golden{};
};

struct SaveWeightsOptions {
  /// Cuts the weights into files of at most so many gigabytes (2**30 bytes) beside a `.weights.json` that says where each one is.
  std::optional<double> max_shard_size{};
};

/// Writes the model: `.keras` (configuration, weights, optimizer state) or, for Keras 2, `.h5`. ValueError for another suffix,
/// RuntimeError naming path and reason where the file can't be written; what stood there before then stays.
void save_model(const Model& model, const std::string& path, const SaveOptions& options = {});

/// Reads a `.keras` file, a folder of its parts, or a whole-model `.h5` of Keras 2 or 3, told apart by content. ValueError naming file and member for truncated or
/// corrupt files; one that lists every class that is not registered, with the line that would register it, and every Lambda; one that lists
/// every weight that is missing, surplus or of another shape. What inspect() (keras/saving/inspect.h) finds is what is listed.
Model load_model(const std::string& path, const LoadModelOptions& options = {});

/// Writes the weights, and the optimizer's state if there is one, as `.weights.h5`, or in shards beside a `.weights.json`. ValueError for
/// another suffix, a model not built, or a weight larger than a shard.
void save_weights(const Model& model, const std::string& path, const SaveWeightsOptions& options = {});

/// Reads weights from `.weights.h5`, `.weights.json`, `.keras`, or a legacy `.h5`. On any error the model is as it was.
void load_weights(Model& model, const std::string& path, const LoadWeightsOptions& options = {});

/// The model of `model.to_json()` or of the config.json in a `.keras` file; not compiled, weights fresh.
Model model_from_json(const std::string& json);

/// Teaches loaders a layer or model class under the name that Python's `@keras.saving.register_keras_serializable(package, name)` gives it:
/// "package>name". The package "Lambda" stands for Lambda layers, whose code is never run, by their names in the file.
///
///     keras::saving::register_keras_serializable("Custom", "Linear", [](const keras::Dict& c) { return keras::make<Linear>(c.at("units").as_int()); });
void register_keras_serializable(const std::string& package, const std::string& name, layers::LayerFactory factory);

}  // namespace keras::saving
