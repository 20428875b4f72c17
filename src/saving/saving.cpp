// What lives here: which format a path means, and the methods of Model that read and write files.
#include <keras/saving.h>

#include <cstring>
#include <filesystem>
#include <fmt/format.h>

#include <keras/base/warning.h>

#include "io/file.h"
#include "io/hdf5.h"
#include "io/json.h"
#include "models/functional.h"
#include "saving/keras_file.h"
#include "saving/legacy_h5.h"
#include "saving/weights_tree.h"

namespace keras::saving {

static bool is_legacy(const std::string& path) { return path.ends_with(".h5") || path.ends_with(".hdf5"); }

static void need_built(const Model& model, const char* what) {
  if (!model.built())
    throw ValueError(ErrorText{.what = std::string(what) + ": the model has no weights yet", .where = "model \"" + model.name() + "\"",
                               .fix = "call it on data, or give its first layer an input shape"}.str());
}

void save_model(const Model& model, const std::string& path) {
  if (path.ends_with(".keras")) {
    if (!model.built()) warn("model \"" + model.name() + "\" is saved before it is built, so that the file holds no weights");
    return write_keras_file(model, path);
  }
  if (is_legacy(path) && !path.ends_with(".weights.h5")) {
    need_built(model, "save");
    io::H5File file = io::H5File::create(path);
    write_legacy_model(model, file.root());
    return file.commit();
  }
  throw ValueError(ErrorText{.what = "save: the suffix names no format of models", .expected = "a path that ends in .keras (or .h5 for files of Keras 2)", .received = path,
                             .fix = path.ends_with(".weights.h5") ? "model.save_weights(\"" + path + "\")" : "model.save(\"" + path + ".keras\")"}.str());
}

Model load_model(const std::string& path, const LoadModelOptions& options) {
  if (std::filesystem::is_directory(path)) return read_keras_folder(path, options.compile);
  io::Bytes bytes = io::read_file(path);
  auto starts = [&](std::string_view magic) { return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0; };
  if (starts("\x89HDF\r\n\x1a\n")) {
    io::H5File file = io::H5File::from_bytes(std::move(bytes), path);
    return read_legacy_model(file.root(), path, options.compile);
  }
  if (starts("PK") || path.ends_with(".keras")) return read_keras_file(io::ZipReader(std::move(bytes), path), options.compile);
  throw ValueError(ErrorText{.what = "this is no file of a model", .where = path, .expected = "a .keras archive, or a whole-model .h5"}.str());
}

void save_weights(const Model& model, const std::string& path) {
  if (!path.ends_with(".weights.h5"))
    throw ValueError(ErrorText{.what = "save_weights: the suffix is wrong", .expected = "a path that ends in .weights.h5", .received = path}.str());
  need_built(model, "save_weights");
  io::H5File file = io::H5File::create(path);
  write_weights(model, file.root());
  file.commit();
}

static void load_from(Model& model, const io::H5Group& root, const std::string& path, const LoadWeightsOptions& options) {
  bool legacy = root.has_attr("layer_names") || root.has_attr("layer_names0") || root.contains("model_weights");
  if (options.by_name && !legacy)
    throw ValueError(ErrorText{.what = "by_name is for legacy .h5 files", .where = path, .fix = "leave it out: the layout of this file does not name layers"}.str());
  WeightMatch match = legacy ? match_legacy_weights(model, root, options.by_name) : match_weights(model, root);
  WeightMatch state = legacy ? WeightMatch() : match_optimizer(model, root);
  match.problems.insert(match.problems.end(), state.problems.begin(), state.problems.end());
  if (!match.problems.empty()) {
    if (!options.skip_mismatch) throw_mismatch(match.problems, path, model);
    warn(fmt::format("{}: {} weights were left as they are:\n    {}", path, match.problems.size(), fmt::join(match.problems, "\n    ")));
  }
  match.apply();
  state.apply();
}

void load_weights(Model& model, const std::string& path, const LoadWeightsOptions& options) {
  need_built(model, "load_weights");
  if (path.ends_with(".keras")) {
    io::ZipReader zip(path);
    io::H5File file = io::H5File::from_bytes(zip.read(kWeightsName), path + ": " + kWeightsName);
    return load_from(model, file.root(), path, options);
  }
  if (is_legacy(path)) {
    io::H5File file = io::H5File::open(path);
    return load_from(model, file.root(), path, options);
  }
  throw ValueError(ErrorText{.what = "load_weights: the suffix names no format of weights", .expected = ".weights.h5, .keras or .h5", .received = path}.str());
}

Model model_from_json(const std::string& json) {
  Value saved = io::parse_json(json, "model_from_json");
  return model_from_saved(saved, "model_from_json");
}

void register_keras_serializable(const std::string& package, const std::string& name, layers::LayerFactory factory) {
  layers::register_layer((package.empty() ? "Custom" : package) + ">" + name, std::move(factory));
}

}  // namespace keras::saving

namespace keras {

std::string Model::to_json(int indent) const { return io::to_json(model_impl().serialize(), indent); }
void Model::save(const std::string& path) const { saving::save_model(*this, path); }
void Model::save_weights(const std::string& path) const { saving::save_weights(*this, path); }
void Model::load_weights(const std::string& path) { saving::load_weights(*this, path); }

namespace models {
Model model_from_json(const std::string& json) { return saving::model_from_json(json); }
Model load_model(const std::string& path, bool compile) { return saving::load_model(path, {.compile = compile}); }
void save_model(const Model& model, const std::string& path) { saving::save_model(model, path); }
}  // namespace models

}  // namespace keras
