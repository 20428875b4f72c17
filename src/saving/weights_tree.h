// What lives here: where each variable of a model stands in a `.weights.h5`, and the exchange of values with such a file.
// No zip, no configuration.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <keras/models/model.h>

#include "io/hdf5.h"

namespace keras::saving {

io::Array to_array(const Tensor& tensor);
Tensor to_tensor(const io::Array& array);

/// One object with variables of its own, which stand in `<path>/vars/0`, `…/1`, in a file.
struct WeightGroup {
  std::string path;  // "" for the model itself, "layers/dense_1", "layers/bidirectional/forward_layer/cell"
  std::string name;  // the object's name, an attribute of `vars`
  std::string where;  // for messages: layer "head" (Dense)
  std::vector<Variable> variables;
};

/// Every layer of the model once, at the first place at which Keras meets it.
std::vector<WeightGroup> weight_groups(const layers::LayerImpl& model);

/// What stands in a file, matched to what a model has. Nothing is assigned before `apply`.
struct WeightMatch {
  std::vector<std::pair<Variable, Tensor>> values;
  std::vector<std::string> problems;  // one sentence per weight that is missing, surplus or of another shape
  void apply() const;
};

/// Throws one ValueError with all problems.
[[noreturn]] void throw_mismatch(const std::vector<std::string>& problems, const std::string& file, const Model& model);

/// Writes all groups, and the optimizer's state when the model is compiled.
void write_weights(const Model& model, io::H5Group root);

/// Matches the model's layers. `strict` also finds weights in the file that the model has no place for.
WeightMatch match_weights(const Model& model, const io::H5Group& root);

/// Matches the optimizer of a compiled model. A file with fewer variables gives what both have of iteration and learning rate; otherwise
/// differing counts are left alone with a warning, as in Keras.
WeightMatch match_optimizer(const Model& model, const io::H5Group& root);

}  // namespace keras::saving
