// What lives here: configurations of Keras 2 in the words of Keras 3, and back. No files, no weights.
#pragma once
#include <string>
#include <vector>

#include <keras/base/value.h>

namespace keras::saving {

/// What a configuration says that was brought into other words, so that a reader may know.
struct Translation {
  std::string layer;  // its name; "" for the optimizer, losses and metrics
  std::string text;
};
using Translations = std::vector<Translation>;

/// Registers the functions of Keras 2 that Keras 3 has others for; loaders call it.
void know_keras2_functions();

/// True for configurations of Keras 2, which name no modules.
bool is_keras2(const Value& saved);

/// A saved layer or model; what is Keras 3's already stays as it is. `keras_version`: who wrote it, where that is known.
Value modern_layer(const Value& saved, const std::string& keras_version, Translations* notes = nullptr);
/// The same for the text of `to_json`, which tells its version itself.
Value modern_json(const Value& saved, Translations* notes = nullptr);
/// `training_config` of a legacy file as a compile configuration.
Dict modern_compile_config(const Value& training, Translations* notes = nullptr);

/// A saved model in words that tf.keras and Keras 3 both read: no modules around layers, calls as lists, no option that Keras 2 did not have.
Value legacy_layer(const Value& saved);
/// Of a compile configuration, as `training_config`.
Dict legacy_training_config(const Dict& compile_config);

}  // namespace keras::saving
