// What lives here: from saved configurations to layers. Nothing in a file is executed: what is not in the table is refused by name.
#include "layers/registry.h"

#include <map>

#include "layers/layer_impl.h"
#include "serial/naming.h"

namespace keras::layers {

using LayerTable = std::map<std::string, LayerFactory>;
static LayerTable own_layers() {
  LayerTable m;
  for (auto family : {core_layers(), activation_layers(), attention_layers(), convolutional_layers(), merging_layers(), normalization_layers(), pooling_layers(),
                        preprocessing_layers(), regularization_layers(), reshaping_layers(), rnn_layers()})
    for (const LayerClass& c : family) m[c.name] = c.make;
  return m;
}
static LayerTable& table() {
  static LayerTable t = own_layers();
  return t;
}
static thread_local std::vector<LayerTable> g_scopes;
static const LayerFactory* find_factory(const std::string& name) {
  for (auto scope = g_scopes.rbegin(); scope != g_scopes.rend(); ++scope)
    if (auto it = scope->find(name); it != scope->end()) return &it->second;
  auto it = table().find(name);
  return it == table().end() ? nullptr : &it->second;
}
void push_layers(LayerTable classes) {
  // As registered ones, they are also found by their bare names.
  LayerTable scope = classes;
  for (const auto& [name, make] : classes)
    if (size_t at = name.find('>'); at != std::string::npos) scope.emplace(name.substr(at + 1), make);
  g_scopes.push_back(std::move(scope));
}
void pop_layers() {
  if (!g_scopes.empty()) g_scopes.pop_back();
}
std::optional<LayerFactory> layer_factory(const std::string& class_name) {
  const LayerFactory* found = find_factory(class_name);
  return found ? std::optional<LayerFactory>(*found) : std::nullopt;
}
LayerTable custom_layers() {
  static const LayerTable own = own_layers();
  LayerTable custom;
  for (const auto& [name, make] : table())
    if (!own.contains(name)) custom.emplace(name, make);
  for (const LayerTable& scope : g_scopes)
    for (const auto& [name, make] : scope) custom[name] = make;
  return custom;
}

void register_layer(const std::string& class_name, LayerFactory factory) {
  table()[class_name] = std::move(factory);
  // "Package>Name" is also found by its bare name, as Keras finds it.
  if (size_t at = class_name.find('>'); at != std::string::npos) table()[class_name.substr(at + 1)] = table()[class_name];
}
std::vector<std::string> known_layers() {
  std::vector<std::string> names;
  for (const auto& [name, make] : table()) names.push_back(name);
  for (const LayerTable& scope : g_scopes)
    for (const auto& [name, make] : scope) names.push_back(name);
  return names;
}

static const LayerFactory* factory_of(const Value& saved) {
  const std::string& cls = saved.get("class_name").as_string();
  const Value& registered = saved.get("registered_name");
  const Value& name = saved.get("config").get("name");
  const LayerFactory* found = nullptr;
  if (cls == "Lambda" && name.is_string()) found = find_factory("Lambda>" + name.as_string());
  if (!found && registered.is_string()) found = find_factory(registered.as_string());
  return found ? found : find_factory(cls);
}

std::optional<Refusal> refusal(const Value& saved) {
  if (factory_of(saved)) return {};
  const std::string& cls = saved.get("class_name").as_string();
  const Value& registered = saved.get("registered_name");
  const Value& given = saved.get("config").get("name");
  std::string name = registered.is_string() ? registered.as_string() : cls, where = given.is_string() ? "layer \"" + given.as_string() + "\"" : "";
  if (cls == "Lambda")
    return Refusal{true, "a Lambda holds code, and nothing in a file is executed", where,
                   "keras::saving::register_keras_serializable(\"Lambda\", \"" + (given.is_string() ? given.as_string() : "its name") + "\", [](const keras::Dict& config) { return keras::make<…>(…); });"};
  size_t at = cls.rfind('>');
  return Refusal{false, "Unknown layer class '" + name + "'" + did_you_mean(cls, known_layers()), where,
                 "keras::layers::register_layer(\"" + name + "\", [](const keras::Dict& config) { return keras::make<" + (at == std::string::npos ? cls : cls.substr(at + 1)) + ">(…); });"};
}

static thread_local SharingScope* g_sharing = nullptr;
SharingScope::SharingScope() : outer_(g_sharing) { g_sharing = this; }
SharingScope::~SharingScope() { g_sharing = outer_; }
const Layer* SharingScope::find(const Value& saved) {
  const Value& id = saved.get("shared_object_id");
  if (!g_sharing || !id.is_int()) return nullptr;
  auto it = g_sharing->made_.find(id.as_int());
  if (it == g_sharing->made_.end()) return nullptr;
  if (it->second.class_name() != saved.get("class_name").as_string())
    throw TypeError(ErrorText{.what = "two objects of the file have the same shared_object_id and are of different classes", .where = "layer \"" + it->second.name() + "\" (" + it->second.class_name() + ")",
                              .received = saved.get("class_name").as_string()}.str());
  return &it->second;
}
void SharingScope::record(const Value& saved, const Layer& layer) {
  const Value& id = saved.get("shared_object_id");
  if (g_sharing && id.is_int()) g_sharing->made_.emplace(id.as_int(), layer);
}

static thread_local SavedIds* g_saved_ids = nullptr;
SavedIds::SavedIds() : outer_(g_saved_ids) { g_saved_ids = this; }
SavedIds::~SavedIds() { g_saved_ids = outer_; }
void SavedIds::tag(Dict& saved, const void* object) {
  if (!g_saved_ids) return;
  auto [it, fresh] = g_saved_ids->numbers_.emplace(object, static_cast<int64_t>(g_saved_ids->numbers_.size()) + 1);
  saved.set("shared_object_id", it->second);
}
Value SavedIds::shared_only(const Value& saved) {
  std::map<int64_t, int> count;
  auto tally = [&](auto&& self, const Value& v) -> void {
    if (v.is_list())
      for (const Value& e : v.as_list()) self(self, e);
    if (!v.is_dict()) return;
    if (const Value& id = v.get("shared_object_id"); id.is_int()) ++count[id.as_int()];
    for (const auto& [k, e] : v.as_dict()) self(self, e);
  };
  tally(tally, saved);
  auto strip = [&](auto&& self, const Value& v) -> Value {
    if (v.is_list()) {
      List l;
      for (const Value& e : v.as_list()) l.push_back(self(self, e));
      return l;
    }
    if (!v.is_dict()) return v;
    Dict d;
    for (const auto& [k, e] : v.as_dict())
      if (k != "shared_object_id" || !e.is_int() || count[e.as_int()] > 1) d.set(k, self(self, e));
    return d;
  };
  return strip(strip, saved);
}

Layer deserialize(const Value& saved) {
  if (!saved.is_dict() || !saved.get("class_name").is_string())
    throw ValueError(ErrorText{.what = "this is no saved layer", .expected = "{\"class_name\": …, \"config\": {…}}", .received = saved.str().substr(0, 200)}.str());
  if (std::optional<Refusal> r = refusal(saved)) throw ValueError(ErrorText{.what = r->what, .where = r->where, .fix = r->fix}.str());
  if (const Layer* shared = SharingScope::find(saved)) return *shared;
  static const Dict none;
  const Value& config = saved.get("config");
  const Dict& entries = config.is_dict() ? config.as_dict() : none;
  Layer layer = serial::naming_entries(saved.get("class_name").as_string(), entries, [&] { return (*factory_of(saved))(entries); });
  // Any layer of Keras takes one; those that name it among their options have read it, and attention hands it on to its parts.
  if (const Value* given = entries.find("activity_regularizer"); given && !given->is_null()) {
    Regularizer penalty(*given);
    serial::naming_entries(saved.get("class_name").as_string(), Dict{{"activity_regularizer", *given}}, [&] { return penalty.object(); });
    LayerImpl& impl = *layer.impl();
    if (!impl.activity_regularizer_ && !impl.own_config().contains("activity_regularizer")) impl.activity_regularizer_ = std::move(penalty);
  }
  if (const Value& b = saved.get("build_config"); b.is_dict()) layer.impl()->build_from_config(b);
  SharingScope::record(saved, layer);
  return layer;
}

Value serialize(const Layer& layer) { return layer.impl()->serialize(); }

}  // namespace keras::layers
