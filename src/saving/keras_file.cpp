// What lives here: writing and reading `.keras` archives.
#include "saving/keras_file.h"

#include <chrono>
#include <ctime>
#include <stdexcept>

#include "io/file.h"
#include "io/hdf5.h"
#include "io/json.h"
#include "models/functional.h"
#include "models/trainer.h"
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
  with_where(where, [&] {
    Layer layer = models::deserialize_any(saved);
    if (!layer.impl()->is_model())
      throw ValueError(ErrorText{.what = "the file holds a layer, not a model", .received = "\"" + layer.name() + "\" (" + layer.class_name() + ")"}.str());
    // Models of a user's class make the weights of their layers when they are first called.
    if (layer.impl()->is_user_class() && !layer.impl()->built_shapes_.empty()) layer.compute_output_shapes(layer.impl()->built_shapes_);
    model = Model(layer);
  });
  return model;
}

static std::string now() {
  std::time_t t = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  localtime_r(&t, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d@%H:%M:%S", &local);
  return text;
}

void write_keras_file(const Model& model, const std::string& path) {
  io::ZipWriter zip;
  zip.add_text("metadata.json", io::to_json(Dict{{"keras_version", kKerasVersion}, {"date_saved", now()}}));
  zip.add_text("config.json", io::to_json(model.impl()->serialize()));
  io::H5File weights = io::H5File::create_in_memory(path + ": " + kWeightsName);
  write_weights(model, weights.root());
  zip.add(kWeightsName, weights.bytes());
  zip.write(path);
}

static Model read_parts(const std::string& path, const std::string& config_text, const std::function<io::H5File()>& open_weights, bool compile) {
  Value config = io::parse_json(config_text, path + ": config.json");
  Model model = model_from_saved(config, path + ": config.json");
  io::H5File weights = open_weights();
  WeightMatch match = match_weights(model, weights.root());
  if (!match.problems.empty()) throw_mismatch(match.problems, path, model);
  match.apply();
  const Value& compiled = config.get("compile_config");
  if (!compile || !compiled.is_dict() || compiled.as_dict().empty()) return model;
  with_where(path + ": config.json: compile_config", [&] {
    model.compile_from_config(compiled);
    if (model.built()) model.optimizer().build(model.trainable_weights());
  });
  WeightMatch state = match_optimizer(model, weights.root());
  if (!state.problems.empty()) throw_mismatch(state.problems, path, model);
  state.apply();
  return model;
}

Model read_keras_file(const io::ZipReader& zip, bool compile) {
  const std::string& path = zip.where();
  std::string config = zip.read_text("config.json");
  if (!zip.contains(kWeightsName))
    throw ValueError(ErrorText{.what = "the file has no weights", .where = path, .expected = std::string("a member ") + kWeightsName}.str());
  return read_parts(path, config, [&] { return io::H5File::from_bytes(zip.read(kWeightsName), path + ": " + kWeightsName); }, compile);
}

Model read_keras_folder(const std::string& path, bool compile) {
  return read_parts(path, io::read_text_file(path + "/config.json"), [&] { return io::H5File::open(path + "/" + kWeightsName); }, compile);
}

}  // namespace keras::saving
