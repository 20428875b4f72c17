// What lives here: writing and reading `.keras` archives, and folders of the same parts.
#include "saving/keras_file.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <stdexcept>

#include "io/file.h"
#include "io/hdf5.h"
#include "io/json.h"
#include "layers/registry.h"
#include "models/functional.h"
#include "models/trainer.h"
#include "saving/config_check.h"
#include "saving/weights_tree.h"

namespace keras::saving {

void with_where(const std::string& where, const std::function<void()>& f) {
  auto text = [&](const std::exception& e) { return where + ": " + e.what(); };
  try {
    f();
  } catch (const TypeError& e) {
    throw TypeError(text(e));
  } catch (const NotImplementedError& e) {
    throw NotImplementedError(text(e));
  } catch (const RuntimeError& e) {
    throw RuntimeError(text(e));
  } catch (const ValueError& e) {
    throw ValueError(text(e));
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw ValueError(where + ": the configuration asks for more memory than there is");
  } catch (const std::exception& e) {
    // A list that is shorter than its meaning asks for, a value where a tensor belongs.
    throw ValueError(where + ": the configuration is damaged: an entry is incomplete or of another kind (" + e.what() + ")");
  }
}

Model model_from_saved(const Value& saved, const std::string& where) {
  Model model;
  know_keras2_functions();
  layers::SharingScope sharing;
  auto make = [&] {
    Layer layer = models::deserialize_any(saved);
    if (!layer.impl()->is_model())
      throw ValueError(ErrorText{.what = "the file holds a layer, not a model", .received = "\"" + layer.name() + "\" (" + layer.class_name() + ")"}.str());
    // Models of a user's class make the weights of their layers when they are first called.
    if (layer.impl()->is_user_class() && !layer.impl()->built_shapes_.empty()) layer.compute_output_shapes(layer.impl()->built_shapes_);
    model = Model(layer);
  };
  make_or_list(saved, where, [&] { with_where(where, make); });
  return model;
}

Value serialize_model(const Model& model) {
  layers::SavedIds ids;
  return layers::SavedIds::shared_only(model.impl()->serialize());
}

static std::string now() {
  std::time_t t = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  localtime_r(&t, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d@%H:%M:%S", &local);
  return text;
}

void write_keras_file(const Model& model, const std::string& path, std::vector<ExtraMember> extra) {
  io::ZipWriter zip;
  zip.add_text("metadata.json", io::to_json(Dict{{"keras_version", kKerasVersion}, {"date_saved", now()}}));
  zip.add_text("config.json", io::to_json(serialize_model(model)));
  io::H5File weights = io::H5File::create_in_memory(path + ": " + kWeightsName);
  H5Sink sink(weights.root());
  write_weights(model, sink);
  zip.add(kWeightsName, weights.bytes());
  for (const WeightGroup& g : weight_groups(model.model_impl()))
    for (const auto& [name, text] : g.layer->save_assets()) zip.add_text("assets/" + (g.path.empty() ? name : g.path + "/" + name), text);
  for (ExtraMember& e : extra) zip.add(e.name, std::move(e.bytes));
  zip.write(path);
}

// ---- reading
bool KerasParts::contains(const std::string& name) const {
  std::vector<std::string> all = names();
  return std::find(all.begin(), all.end(), name) != all.end();
}
std::string KerasParts::read_text(const std::string& name) const {
  io::Bytes b = read(name);
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
layers::LayerImpl::Assets KerasParts::assets(const std::string& path) const {
  layers::LayerImpl::Assets out;
  std::string prefix = path.empty() ? "assets/" : "assets/" + path + "/";
  for (const std::string& n : names())
    if (n.starts_with(prefix) && n.find('/', prefix.size()) == std::string::npos) out.emplace_back(n.substr(prefix.size()), read_text(n));
  return out;
}

namespace {

class ArchiveParts : public KerasParts {
 public:
  explicit ArchiveParts(io::ZipReader zip) : zip_(std::move(zip)) {}
  const std::string& where() const override { return zip_.where(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const io::ZipEntry& e : zip_.entries()) out.push_back(e.name);
    return out;
  }
  io::Bytes read(const std::string& name) const override { return zip_.read(name); }

 private:
  io::ZipReader zip_;
};

class FolderParts : public KerasParts {
 public:
  explicit FolderParts(std::string path) : path_(std::move(path)) {
    namespace fs = std::filesystem;
    constexpr size_t most = 100000;
    for (auto it = fs::recursive_directory_iterator(path_); it != fs::recursive_directory_iterator(); ++it) {
      // Links could lead out of the folder.
      if (it->is_symlink() || !it->is_regular_file()) continue;
      names_.push_back(fs::relative(it->path(), path_).generic_string());
      if (names_.size() > most) throw ValueError(ErrorText{.what = "this folder holds more files than a model does", .where = path_}.str());
    }
    std::sort(names_.begin(), names_.end());
  }
  const std::string& where() const override { return path_; }
  std::vector<std::string> names() const override { return names_; }
  io::Bytes read(const std::string& name) const override { return io::read_file(path_ + "/" + name); }

 private:
  std::string path_;
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<KerasParts> open_archive(io::ZipReader zip) { return std::make_unique<ArchiveParts>(std::move(zip)); }
std::unique_ptr<KerasParts> open_folder(const std::string& path) { return std::make_unique<FolderParts>(path); }

io::H5File open_weights(const KerasParts& parts) {
  if (parts.contains(kWeightsName)) return io::H5File::from_bytes(parts.read(kWeightsName), parts.where() + ": " + kWeightsName);
  if (parts.contains("model.weights.npz"))
    throw ValueError(ErrorText{.what = "the weights are pickled Python objects, which are code and never read", .where = parts.where() + ": model.weights.npz", .expected = std::string("a member ") + kWeightsName,
                               .fix = "load the model in Keras and save it again"}.str());
  throw ValueError(ErrorText{.what = "the file has no weights", .where = parts.where(), .expected = std::string("a member ") + kWeightsName}.str());
}

Value read_config(const KerasParts& parts, Translations* notes) {
  Value config = io::parse_json(parts.read_text("config.json"), parts.where() + ": config.json");
  // tf.keras wrote such archives from 2.12 on.
  bool old = false;
  if (parts.contains("metadata.json")) {
    const Value metadata = io::parse_json(parts.read_text("metadata.json"), parts.where() + ": metadata.json");
    const Value& version = metadata.get("keras_version");
    old = version.is_string() && version.as_string().starts_with("2.");
  }
  if (!old || !config.is_dict()) return config;
  Dict modern = modern_layer(config, "2.", notes).as_dict();
  if (const Value* compile = modern.find("compile_config"); compile && compile->is_dict() && !compile->as_dict().empty()) modern.set("compile_config", modern_compile_config(*compile, notes));
  return modern;
}

void load_assets(const Model& model, const KerasParts& parts) {
  bool any = false;
  for (const std::string& n : parts.names()) any |= n.starts_with("assets/");
  if (!any) return;
  for (const WeightGroup& g : weight_groups(model.model_impl()))
    if (layers::LayerImpl::Assets assets = parts.assets(g.path); !assets.empty()) with_where(parts.where() + ": assets/" + g.path, [&] { g.layer->load_assets(assets); });
}

Model read_keras(const KerasParts& parts, bool compile) {
  const std::string& path = parts.where();
  if (!parts.contains("config.json") && !parts.contains(kWeightsName))
    throw ValueError(ErrorText{.what = "this holds no model", .where = path, .expected = "members config.json and model.weights.h5"}.str());
  Value config = read_config(parts);
  Model model = model_from_saved(config, path + ": config.json");
  WeightIndex weights(open_weights(parts).root());
  WeightMatch match = match_weights(model, weights);
  if (std::vector<std::string> problems = match.problems(); !problems.empty()) throw_mismatch(problems, path, model);
  match.apply();
  load_assets(model, parts);
  const Value& compiled = config.get("compile_config");
  if (!compile || !compiled.is_dict() || compiled.as_dict().empty()) return model;
  with_where(path + ": config.json: compile_config", [&] {
    model.compile_from_config(compiled);
    if (model.built()) model.optimizer().build(model.trainable_weights());
  });
  WeightMatch state = match_optimizer(model, weights);
  if (std::vector<std::string> problems = state.problems(); !problems.empty()) throw_mismatch(problems, path, model);
  state.apply();
  return model;
}

}  // namespace keras::saving
