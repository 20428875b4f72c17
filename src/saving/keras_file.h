// What lives here: the `.keras` archive: metadata.json, config.json, model.weights.h5.
#pragma once
#include <functional>
#include <string>

#include <keras/saving.h>

#include "io/zip.h"

namespace keras::saving {

/// The Keras release whose formats these are; written into files.
inline constexpr const char* kKerasVersion = "3.15.1";
inline constexpr const char* kWeightsName = "model.weights.h5";

void write_keras_file(const Model& model, const std::string& path);
Model read_keras_file(const io::ZipReader& zip, bool compile);
/// The same members as files of a folder, as Keras writes with zipped=False.
Model read_keras_folder(const std::string& path, bool compile);

/// A model from its saved form; errors get `where` in front, and malformed configurations are ValueErrors.
Model model_from_saved(const Value& saved, const std::string& where);
/// Runs `f`, and adds `where` to the text of what it throws.
void with_where(const std::string& where, const std::function<void()>& f);

}  // namespace keras::saving
