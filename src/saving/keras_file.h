// What lives here: the `.keras` archive: metadata.json, config.json, model.weights.h5.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <keras/saving.h>

#include "io/hdf5.h"
#include "io/zip.h"
#include "layers/layer_impl.h"
#include "saving/legacy_config.h"

namespace keras::saving {

/// The Keras release whose formats these are; written into files.
inline constexpr const char* kKerasVersion = "3.15.1";
inline constexpr const char* kWeightsName = "model.weights.h5";

/// Arrays and text of a trace of trust, see golden.h; Keras ignores members that it does not know.
struct ExtraMember {
  std::string name;
  io::Bytes bytes;
};
void write_keras_file(const Model& model, const std::string& path, std::vector<ExtraMember> extra = {});

/// The members of a `.keras` archive, or the files of a folder as Keras writes with zipped=False.
class KerasParts {
 public:
  virtual ~KerasParts() = default;
  virtual const std::string& where() const = 0;
  virtual std::vector<std::string> names() const = 0;
  virtual io::Bytes read(const std::string& name) const = 0;
  bool contains(const std::string& name) const;
  std::string read_text(const std::string& name) const;
  /// Files right below assets/<path>.
  layers::LayerImpl::Assets assets(const std::string& path) const;
};
std::unique_ptr<KerasParts> open_archive(io::ZipReader zip);
std::unique_ptr<KerasParts> open_folder(const std::string& path);

/// The weights; ValueError naming what stands there instead (pickled objects, nothing).
io::H5File open_weights(const KerasParts& parts);
/// config.json in the words of Keras 3: files of tf.keras have Keras 2's inside.
Value read_config(const KerasParts& parts, Translations* notes = nullptr);
/// Gives the layers what the archive keeps for them below assets/.
void load_assets(const Model& model, const KerasParts& parts);
Model read_keras(const KerasParts& parts, bool compile);

/// The model's configuration as files hold it: a layer that stands in it more than once has a "shared_object_id".
Value serialize_model(const Model& model);
/// A model from its saved form; errors get `where` in front, and malformed configurations are ValueErrors.
Model model_from_saved(const Value& saved, const std::string& where);
/// Runs `f`, and adds `where` to the text of what it throws.
void with_where(const std::string& where, const std::function<void()>& f);

}  // namespace keras::saving
