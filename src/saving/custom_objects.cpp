// What lives here: registered classes by name, and objects of any kind by the module that their saved form names.
#include <keras/saving/custom_objects.h>

#include "layers/layer_impl.h"
#include "layers/registry.h"
#include "models/functional.h"

namespace keras::saving {

CustomObjectScope::CustomObjectScope(CustomObjects objects) { layers::push_layers(std::move(objects)); }
CustomObjectScope::~CustomObjectScope() { layers::pop_layers(); }

CustomObjects get_custom_objects() { return layers::custom_layers(); }
std::string get_registered_name(const Layer& layer) {
  Value saved = layers::serialize(layer);
  return saved.get("registered_name").is_string() ? saved.get("registered_name").as_string() : layer.class_name();
}
std::optional<layers::LayerFactory> get_registered_object(const std::string& name) { return layers::layer_factory(name); }

Value serialize_keras_object(const KerasObject& object) {
  return std::visit(
      [](const auto& o) -> Value {
        using T = std::decay_t<decltype(o)>;
        if constexpr (std::is_same_v<T, Value>) return o;
        else if constexpr (std::is_same_v<T, Layer>) return layers::serialize(o);
        else if constexpr (requires { o.serialize(); }) return o.serialize();
        else return o ? o->serialize() : Value();
      },
      object);
}

namespace {
/// The first kind whose table has the class; a saved form without a module is some user's.
KerasObject of_any_kind(const Value& saved) {
  if (!layers::refusal(saved)) return models::deserialize_any(saved);
  std::string why;
  auto attempt = [&](auto make) -> std::optional<KerasObject> {
    try {
      return KerasObject(make());
    } catch (const ValueError& e) {
      why += std::string(why.empty() ? "" : "\n") + e.what();
      return std::nullopt;
    }
  };
  if (auto o = attempt([&] { return losses::get(saved); })) return *o;
  if (auto o = attempt([&] { return metrics::get(saved); })) return *o;
  if (auto o = attempt([&] { return optimizers::get(saved); })) return *o;
  if (auto o = attempt([&] { return optimizers::schedules::deserialize(saved); })) return *o;
  if (auto o = attempt([&] { return Initializer(Initializer(saved).object()); })) return *o;
  if (auto o = attempt([&] { return Regularizer(Regularizer(saved).object()); })) return *o;
  if (auto o = attempt([&] { return Constraint(Constraint(saved).object()); })) return *o;
  if (auto o = attempt([&] { return quantizers::get(saved); })) return *o;
  const Value& registered = saved.get("registered_name");
  throw ValueError(ErrorText{.what = "no class is registered as '" + (registered.is_string() ? registered : saved.get("class_name")).as_string() + "'", .received = saved.str().substr(0, 200),
                             .fix = "register it: keras::saving::register_keras_serializable, or register_loss and the like for its kind"}.str());
}
}  // namespace

KerasObject deserialize_keras_object(const Value& saved) {
  const Value &cls = saved.get("class_name"), &module = saved.get("module");
  if (!saved.is_dict() || !cls.is_string()) return saved;
  if (cls == Value("__tuple__") && saved.get("items").is_list()) return saved.get("items");
  if (cls == Value("function")) return ActivationSpec(ActivationSpec(saved).object());
  if (!module.is_string()) return of_any_kind(saved);
  const std::string& name = module.as_string();
  auto in = [&](std::string_view room) { return name == room || name.rfind(std::string(room) + ".", 0) == 0 || name.rfind("keras.src." + std::string(room.substr(6)), 0) == 0; };
  if (cls == Value("DTypePolicyMap")) return DTypePolicyMap::from_config(saved.get("config").as_dict());
  if (in("keras.dtype_policies") || cls == Value("DTypePolicy") || cls == Value("FloatDTypePolicy")) return dtype_policies::get(saved);
  if (in("keras.losses")) return losses::get(saved);
  if (in("keras.metrics")) return metrics::get(saved);
  if (in("keras.optimizers.schedules")) return optimizers::schedules::deserialize(saved);
  if (in("keras.optimizers")) return optimizers::get(saved);
  if (in("keras.initializers")) return Initializer(Initializer(saved).object());
  if (in("keras.regularizers")) return Regularizer(Regularizer(saved).object());
  if (in("keras.constraints")) return Constraint(Constraint(saved).object());
  if (in("keras.quantizers")) {
    if (cls.as_string().find("Config") != std::string::npos) return quantizers::QuantizationConfig::get(saved);
    return quantizers::get(saved);
  }
  if (in("keras.layers") || in("keras.models") || name == "keras") return models::deserialize_any(saved);
  return of_any_kind(saved);
}

}  // namespace keras::saving
