// What lives here: from saved configurations to layers. Nothing in a file is executed: what is not in the table is refused by name.
#include "layers/registry.h"

#include <map>

#include "layers/layer_impl.h"
#include "serial/naming.h"

namespace keras::layers {

static std::map<std::string, LayerFactory>& table() {
  static std::map<std::string, LayerFactory> t = [] {
    std::map<std::string, LayerFactory> m;
    for (auto family : {core_layers(), activation_layers(), attention_layers(), convolutional_layers(), merging_layers(), normalization_layers(), pooling_layers(),
                        preprocessing_layers(), regularization_layers(), reshaping_layers(), rnn_layers()})
      for (const LayerClass& c : family) m[c.name] = c.make;
    return m;
  }();
  return t;
}

void register_layer(const std::string& class_name, LayerFactory factory) {
  table()[class_name] = std::move(factory);
  // "Package>Name" is also found by its bare name, as Keras finds it.
  if (size_t at = class_name.find('>'); at != std::string::npos) table()[class_name.substr(at + 1)] = table()[class_name];
}
std::vector<std::string> known_layers() {
  std::vector<std::string> names;
  for (const auto& [name, make] : table()) names.push_back(name);
  return names;
}

Layer deserialize(const Value& saved) {
  if (!saved.is_dict() || !saved.get("class_name").is_string())
    throw ValueError(ErrorText{.what = "this is no saved layer", .expected = "{\"class_name\": …, \"config\": {…}}", .received = saved.str().substr(0, 200)}.str());
  const std::string& cls = saved.get("class_name").as_string();
  const Value& registered = saved.get("registered_name");
  auto it = registered.is_string() ? table().find(registered.as_string()) : table().end();
  if (it == table().end()) it = table().find(cls);
  if (it == table().end()) {
    std::string name = registered.is_string() ? registered.as_string() : cls;
    throw ValueError(ErrorText{.what = "Unknown layer class '" + name + "'" + did_you_mean(cls, known_layers()),
                               .where = saved.get("config").get("name").is_string() ? "layer \"" + saved.get("config").get("name").as_string() + "\"" : "",
                               .fix = "keras::layers::register_layer(\"" + name + "\", [](const keras::Dict& config) { return keras::make<" + cls + ">(…); });"}.str());
  }
  if (cls == "Lambda" && !registered.is_string())
    throw ValueError(ErrorText{.what = "a Lambda holds code, and nothing in a file is executed", .fix = "register a C++ layer under its name: keras::layers::register_layer(\"Lambda\", …)"}.str());
  static const Dict none;
  const Value& config = saved.get("config");
  const Dict& entries = config.is_dict() ? config.as_dict() : none;
  Layer layer = serial::naming_entries(cls, entries, [&] { return it->second(entries); });
  if (const Value& b = saved.get("build_config"); b.is_dict()) layer.impl()->build_from_config(b);
  return layer;
}

Value serialize(const Layer& layer) { return layer.impl()->serialize(); }

}  // namespace keras::layers
