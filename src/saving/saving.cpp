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
#include "saving/golden.h"
#include "saving/keras_file.h"
#include "saving/legacy_config.h"
#include "saving/legacy_h5.h"
#include "saving/weights_tree.h"

namespace keras::saving {

static bool is_legacy(const std::string& path) { return path.ends_with(".h5") || path.ends_with(".hdf5"); }

static void need_built(const Model& model, const char* what) {
  if (!model.built())
    throw ValueError(ErrorText{.what = std::string(what) + ": the model has no weights yet", .where = "model \"" + model.name() + "\"",
                               .fix = "call it on data, or give its first layer an input shape"}.str());
}

void save_model(const Model& model, const std::string& path, const SaveOptions& options) {
  if (!options.golden.empty() && !path.ends_with(".keras"))
    throw ValueError(ErrorText{.what = "save: golden inputs and outputs stand in .keras files only", .received = path}.str());
  if (path.ends_with(".keras")) {
    if (!options.golden.empty()) return write_keras_file(model, path, golden_members(model, options.golden));
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
  if (std::filesystem::is_directory(path)) return read_keras(*open_folder(path), options.compile);
  io::Bytes bytes = io::read_file(path);
  auto starts = [&](std::string_view magic) { return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0; };
  if (starts("\x89HDF\r\n\x1a\n")) {
    io::H5File file = io::H5File::from_bytes(std::move(bytes), path);
    return read_legacy_model(file.root(), path, options.compile);
  }
  if (starts("PK") || path.ends_with(".keras")) return read_keras(*open_archive(io::ZipReader(std::move(bytes), path)), options.compile);
  throw ValueError(ErrorText{.what = "this is no file of a model", .where = path, .expected = "a .keras archive, or a whole-model .h5"}.str());
}

void save_weights(const Model& model, const std::string& path, const SaveWeightsOptions& options) {
  bool sharded = options.max_shard_size.has_value();
  if (!path.ends_with(".weights.h5") && !(sharded && path.ends_with(".weights.json")))
    throw ValueError(ErrorText{.what = "save_weights: the suffix is wrong", .expected = sharded ? "a path that ends in .weights.json" : "a path that ends in .weights.h5", .received = path,
                               .fix = !sharded && path.ends_with(".weights.json") ? "give max_shard_size" : ""}.str());
  need_built(model, "save_weights");
  if (sharded) {
    ShardSink sink(path.ends_with(".h5") ? path.substr(0, path.size() - 3) + ".json" : path, *options.max_shard_size);
    write_weights(model, sink);
    return sink.commit();
  }
  io::H5File file = io::H5File::create(path);
  H5Sink sink(file.root());
  write_weights(model, sink);
  file.commit();
}

static void apply_match(Model& model, WeightMatch match, const WeightMatch& state, const std::string& path, const LoadWeightsOptions& options) {
  match.findings.insert(match.findings.end(), state.findings.begin(), state.findings.end());
  if (std::vector<std::string> problems = match.problems(); !problems.empty()) {
    if (!options.skip_mismatch) throw_mismatch(problems, path, model);
    warn(fmt::format("{}: {} weights were left as they are:\n    {}", path, problems.size(), fmt::join(problems, "\n    ")));
  }
  match.apply();
  state.apply();
}
static void load_index(Model& model, const WeightIndex& file, const std::string& path, const LoadWeightsOptions& options) {
  if (options.by_name)
    throw ValueError(ErrorText{.what = "by_name is for legacy .h5 files", .where = path, .fix = "leave it out: the layout of this file does not name layers"}.str());
  apply_match(model, match_weights(model, file), match_optimizer(model, file), path, options);
}

void load_weights(Model& model, const std::string& path, const LoadWeightsOptions& options) {
  need_built(model, "load_weights");
  if (path.ends_with(".keras")) {
    auto parts = std::filesystem::is_directory(path) ? open_folder(path) : open_archive(io::ZipReader(path));
    return load_index(model, WeightIndex(open_weights(*parts).root()), path, options);
  }
  if (path.ends_with(".weights.json")) return load_index(model, WeightIndex::sharded(path), path, options);
  if (is_legacy(path)) {
    io::H5File file = io::H5File::open(path);
    if (!holds_legacy_weights(file.root())) return load_index(model, WeightIndex(file.root()), path, options);
    return apply_match(model, match_legacy_weights(model, file.root(), options.by_name), {}, path, options);
  }
  throw ValueError(ErrorText{.what = "load_weights: the suffix names no format of weights", .expected = ".weights.h5, .weights.json, .keras or .h5", .received = path}.str());
}

Model model_from_json(const std::string& json) {
  Value saved = io::parse_json(json, "model_from_json");
  return model_from_saved(modern_json(saved), "model_from_json");
}

void register_keras_serializable(const std::string& package, const std::string& name, layers::LayerFactory factory) {
  layers::register_layer((package.empty() ? "Custom" : package) + ">" + name, std::move(factory));
}

}  // namespace keras::saving

namespace keras {

std::string Model::to_json(int indent) const { return io::to_json(model_impl().serialize(), indent); }
void Model::save(const std::string& path) const { saving::save_model(*this, path); }
void Model::save(const std::string& path, const saving::SaveOptions& options) const { saving::save_model(*this, path, options); }
void Model::save_weights(const std::string& path) const { saving::save_weights(*this, path); }
void Model::save_weights(const std::string& path, const saving::SaveWeightsOptions& options) const { saving::save_weights(*this, path, options); }
void Model::load_weights(const std::string& path) { saving::load_weights(*this, path); }

namespace models {
Model model_from_json(const std::string& json) { return saving::model_from_json(json); }
Model load_model(const std::string& path, bool compile) { return saving::load_model(path, {.compile = compile}); }
void save_model(const Model& model, const std::string& path) { saving::save_model(model, path); }
}  // namespace models

}  // namespace keras
