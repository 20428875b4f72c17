// What lives here: classes of one's own by the names that files know them by, for a while or for good, and any object of Keras to its saved
// form and back. Kinds of objects besides layers are registered beside their kind (register_loss, register_metric, …).
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <keras/activations.h>
#include <keras/base/dtype_policy_map.h>
#include <keras/constraints.h>
#include <keras/initializers.h>
#include <keras/layers/layer.h>
#include <keras/losses.h>
#include <keras/metrics.h>
#include <keras/optimizers.h>
#include <keras/quantizers/quantizer.h>
#include <keras/regularizers.h>
#include <keras/saving.h>

namespace keras::saving {

/// Layer and model classes by the names that files give them: "Package>Name", or "Name" alone.
using CustomObjects = std::map<std::string, layers::LayerFactory>;

/// While it lives, loaders of this thread know these classes, before all others; scopes may lie in each other.
///
///     keras::saving::CustomObjectScope scope({{"Linear", [](const keras::Dict& c) { return keras::make<Linear>(c.at("units").as_int()); }}});
///     keras::Model model = keras::saving::load_model("m.keras");
class CustomObjectScope {
 public:
  explicit CustomObjectScope(CustomObjects objects);
  CustomObjectScope(const CustomObjectScope&) = delete;
  CustomObjectScope& operator=(const CustomObjectScope&) = delete;
  ~CustomObjectScope();
};
inline CustomObjectScope custom_object_scope(CustomObjects objects) { return CustomObjectScope(std::move(objects)); }

/// What was registered for good, and by the scopes of this thread.
CustomObjects get_custom_objects();
/// The name that files give the layer's class: "Package>Name" for one's own, the class' name for Keras'.
std::string get_registered_name(const Layer& layer);
/// What makes a layer of that name, Keras' own ones too; none when it is unknown.
std::optional<layers::LayerFactory> get_registered_object(const std::string& name);

/// Null, what is no object (numbers, strings, lists and dictionaries of them), or an object of one of the kinds that Keras saves.
using KerasObject = std::variant<Value, Layer, std::shared_ptr<losses::Loss>, std::shared_ptr<metrics::Metric>, std::shared_ptr<optimizers::Optimizer>,
                                 std::shared_ptr<optimizers::schedules::LearningRateSchedule>, Initializer, Regularizer, Constraint, ActivationSpec,
                                 std::shared_ptr<quantizers::Quantizer>, std::shared_ptr<quantizers::QuantizationConfig>, DTypePolicy, DTypePolicyMap>;

/// Keras' saved form of an object: {"module", "class_name", "config", "registered_name"}.
Value serialize_keras_object(const KerasObject& object);
template <class T>
  requires requires(const T& t) {
    { t.serialize() } -> std::convertible_to<Value>;
  }
Value serialize_keras_object(const T& object) {
  return object.serialize();
}
/// The object of a saved form, told by its module, or, where a file has none, by the tables of registered classes. ValueError when nothing
/// is known by its name. Nothing in it is executed.
KerasObject deserialize_keras_object(const Value& saved);

}  // namespace keras::saving

namespace keras::utils {
using saving::custom_object_scope;
using saving::CustomObjectScope;
using saving::deserialize_keras_object;
using saving::get_custom_objects;
using saving::get_registered_name;
using saving::get_registered_object;
using saving::register_keras_serializable;
using saving::serialize_keras_object;
}  // namespace keras::utils
