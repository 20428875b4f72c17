// What lives here: where each variable of a model stands in a `.weights.h5`, and the exchange of values with such a file.
// No zip, no configuration.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <keras/models/model.h>
#include <keras/saving/inspect.h>

#include "io/hdf5.h"
#include "layers/layer_impl.h"
#include "saving/weights_index.h"

namespace keras::saving {

io::Array to_array(const Tensor& tensor);
Tensor to_tensor(const io::Array& array);

/// One object with variables of its own, which stand in `<path>/vars/0`, `…/1`, in a file.
struct WeightGroup {
  std::string path;   // "" for the model itself, "layers/dense_1", "layers/bidirectional/forward_layer/cell"
  std::string name;   // the object's name, an attribute of `vars`
  std::string where;  // for messages: layer "head" (Dense)
  std::vector<Variable> variables;
  layers::LayerImpl* layer;
};

/// Every layer of the model once, at the first place at which Keras meets it.
std::vector<WeightGroup> weight_groups(const layers::LayerImpl& model);

/// What stands in a file, matched to what a model has. Nothing is assigned before `apply`.
struct WeightMatch {
  std::vector<std::pair<Variable, Tensor>> values;
  std::vector<std::pair<layers::LayerImpl*, layers::LayerImpl::Store>> stores;  // values under names of a layer's own
  std::vector<WeightFinding> findings;                                          // one per weight of the file or of the model
  /// The sentences of those that don't fit.
  std::vector<std::string> problems() const;
  void apply() const;
};

/// Throws one ValueError with all problems.
[[noreturn]] void throw_mismatch(const std::vector<std::string>& problems, const std::string& file, const Model& model);

/// Writes all groups, and the optimizer's state when the model is compiled.
void write_weights(const Model& model, WeightSink& sink);

/// Matches the model's layers, and finds weights in the file that the model has no place for. Without `keep` every value is read, so that
/// damage shows, and dropped.
WeightMatch match_weights(const Model& model, const WeightIndex& file, bool keep = true);

/// Nadam's product of momenta after so many steps, where a file does not keep it.
double nadam_product(double beta_1, double iterations);

/// Matches the optimizer of a compiled model. A file with fewer variables gives what both have of iteration and learning rate; otherwise
/// differing counts are left alone with a warning, as in Keras.
WeightMatch match_optimizer(const Model& model, const WeightIndex& file);

}  // namespace keras::saving
