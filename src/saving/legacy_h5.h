// What lives here: whole-model `.h5` files as Keras 2 wrote them and Keras 3 still does, and weights in their layout.
#pragma once
#include <string>

#include <keras/saving.h>

#include "io/hdf5.h"
#include "saving/legacy_config.h"
#include "saving/weights_tree.h"

namespace keras::saving {

void write_legacy_model(const Model& model, io::H5Group root);
Model read_legacy_model(const io::H5Group& root, const std::string& path, bool compile);

/// Matches by order, or by the names of layers. `root` is that of a weights file or of a whole model.
WeightMatch match_legacy_weights(const Model& model, const io::H5Group& root, bool by_name, bool keep = true);

/// The configuration of the model in the words of Keras 3; ValueError for a file of weights alone.
Value legacy_model_config(const io::H5Group& root, const std::string& path, Translations* notes = nullptr);
/// How it was compiled, in the words of Keras 3; empty when it was not.
Dict legacy_compile_config(const io::H5Group& root, Translations* notes = nullptr);
/// True for files whose weights stand by layers' names.
bool holds_legacy_weights(const io::H5Group& root);


}  // namespace keras::saving
