// What lives here: finding every class of a configuration that can't be made, and why.
#include "saving/config_check.h"

#include <algorithm>
#include <fmt/format.h>

#include <keras/activations.h>
#include <keras/constraints.h>
#include <keras/initializers.h>
#include <keras/losses.h>
#include <keras/metrics.h>
#include <keras/optimizers.h>
#include <keras/regularizers.h>

#include "layers/registry.h"
#include "models/functional.h"
#include "models/op_classes.h"
#include "saving/keras_file.h"

namespace keras::saving {

namespace {

// The parts of an error: "what; where; …" is one line here.
std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find("\n    "));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

bool holds_code(const Value& v) {
  if (v.is_list()) return std::any_of(v.as_list().begin(), v.as_list().end(), [](const Value& e) { return holds_code(e); });
  if (!v.is_dict()) return false;
  if (v.get("class_name") == Value("__lambda__")) return true;
  // Keras 2 wrote the code of a lambda as a list: bytes, defaults, closure.
  if (const Value& code = v.get("value"); v.get("class_name").is_null() && code.is_list() && code.as_list().size() == 3 && code.as_list()[0].is_string()) return true;
  return std::any_of(v.as_dict().begin(), v.as_dict().end(), [](const auto& e) { return holds_code(e.second); });
}

struct Check {
  const Translations& notes;
  std::vector<ClassFinding> found{};

  std::string note_of(const std::string& layer) const {
    std::string out;
    for (const Translation& t : notes)
      if (t.layer == layer) out += (out.empty() ? "" : "; ") + t.text;
    return out;
  }

  // An initializer, activation, … by the name of its option; true when it can be made.
  bool object(const std::string& kind, const std::string& path, const std::string& layer, const Value& v) {
    if (v.is_null()) return true;
    ClassFinding f{.kind = kind, .path = path, .name = layer};
    const Value& registered = v.get("registered_name");
    const Value& function = v.get("config");
    bool is_function = v.get("class_name") == Value("function");
    f.class_name = v.is_string() ? v.as_string() : is_function && function.is_string() ? function.as_string() : registered.is_string() ? registered.as_string() : v.get("class_name").is_string() ? v.get("class_name").as_string() : "";
    if (holds_code(v) || f.class_name == "<lambda>") {
      f.status = ClassFinding::Refused;
      f.class_name = "lambda";
      f.note = "it holds code, and nothing in a file is executed";
      f.fix = "save the model with a named function, and register that name: keras::register_" + kind + "(\"its name\", …)";
      found.push_back(f);
      return false;
    }
    try {
      if (kind == "initializer") initializers::get(v);
      else if (kind == "regularizer") regularizers::get(v);
      else if (kind == "constraint") constraints::get(v);
      else if (kind == "activation") activations::get(v);
      else if (kind == "loss") losses::get(v);
      else if (kind == "metric") metrics::get(v);
      else if (kind == "optimizer") optimizers::get(v);
      return true;
    } catch (const std::exception& e) {
      std::string text = e.what();
      f.status = text.find("there is no ") != std::string::npos || text.find("nknown") != std::string::npos ? ClassFinding::Unknown : ClassFinding::Damaged;
      f.note = first_line(text);
      if (f.status == ClassFinding::Unknown) f.fix = "keras::register_" + kind + "(\"" + f.class_name + "\", …)";
      found.push_back(f);
      return false;
    }
  }

  static std::string kind_of(const std::string& option) {
    for (const char* kind : {"initializer", "regularizer", "constraint", "activation"})
      if (option == kind || option.ends_with(std::string("_") + kind)) return kind;
    return "";
  }

  bool layer(const Value& saved, const std::string& path) {
    ClassFinding f{.kind = "layer", .path = path};
    if (!saved.is_dict() || !saved.get("class_name").is_string()) {
      f.status = ClassFinding::Damaged;
      f.note = "this is no saved layer";
      found.push_back(f);
      return false;
    }
    const std::string& cls = saved.get("class_name").as_string();
    const Value& config = saved.get("config");
    const Value& registered = saved.get("registered_name");
    f.class_name = registered.is_string() ? registered.as_string() : cls;
    if (config.get("name").is_string()) f.name = config.get("name").as_string();
    f.note = note_of(f.name);
    if (!f.note.empty()) f.status = ClassFinding::Approximated;
    bool model = cls == "Sequential" || cls == "Functional" || (cls == "Model" && config.get("layers").is_list());
    if (model) {
      f.kind = "model";
      found.push_back(f);
      size_t at = found.size() - 1;
      const Value& layers = config.is_list() ? config : config.get("layers");
      if (!layers.is_list()) {
        found[at].status = ClassFinding::Damaged;
        found[at].note = "it lists no layers";
        return false;
      }
      bool fits = true;
      for (size_t i = 0; i < layers.as_list().size(); ++i) fits &= layer(layers.as_list()[i], (path.empty() ? "" : path + "/") + "layers/" + std::to_string(i));
      return fits;
    }
    if (models::find_op_class(saved)) {
      f.kind = "operation";
      found.push_back(f);
      return true;
    }
    if (std::optional<layers::Refusal> r = layers::refusal(saved)) {
      f.status = r->code ? ClassFinding::Refused : ClassFinding::Unknown;
      f.note = r->what, f.fix = r->fix;
      found.push_back(f);
      return false;
    }
    found.push_back(f);
    size_t at = found.size() - 1;
    bool fits = true;
    if (config.is_dict())
      for (const auto& [key, v] : config.as_dict()) {
        std::string below = path + "/" + key;
        if ((key == "layer" || key == "backward_layer" || key == "cell") && v.is_dict()) {
          fits &= layer(v, below);
        } else if (key == "cells" && v.is_list()) {
          for (size_t i = 0; i < v.as_list().size(); ++i) fits &= layer(v.as_list()[i], below + "/" + std::to_string(i));
        } else if (std::string kind = kind_of(key); !kind.empty() && !(kind == "activation" && cls != "Activation" && v.is_dict() && v.get("class_name").is_string() && !layers::refusal(v))) {
          fits &= object(kind, below, f.name, v);
        }
      }
    if (!fits || !registered.is_null()) return fits;  // what a user's own class does with its configuration is its own affair
    // Made alone and not built, so that every wrong option shows and not only the first.
    try {
      Dict bare = saved.as_dict();
      bare.erase("build_config");
      with_where("", [&] { layers::deserialize(bare); });
    } catch (const std::exception& e) {
      found[at].status = ClassFinding::Damaged;
      std::string text = first_line(e.what());
      found[at].note = text.starts_with(": ") ? text.substr(2) : text;
      return false;
    }
    return true;
  }
};

}  // namespace

std::vector<ClassFinding> check_config(const Value& saved, const Translations& notes) {
  Check check{notes};
  check.layer(saved, "");
  return std::move(check.found);
}

std::vector<ClassFinding> check_compile_config(const Value& config, const Translations& notes) {
  Check check{notes};
  if (!config.is_dict()) return {};
  check.object("optimizer", "optimizer", "", config.get("optimizer"));
  auto each = [&](const char* kind, const std::string& path, const Value& v, auto&& self) -> void {
    if (v.is_null()) return;
    if (v.is_list()) {
      for (size_t i = 0; i < v.as_list().size(); ++i) self(kind, path + "/" + std::to_string(i), v.as_list()[i], self);
    } else if (v.is_dict() && !v.get("class_name").is_string()) {
      for (const auto& [k, e] : v.as_dict()) self(kind, path + "/" + k, e, self);
    } else if (!(v == Value("accuracy") || v == Value("acc") || v == Value("crossentropy") || v == Value("ce"))) {  // these depend on the loss
      check.object(kind, path, "", v);
    }
  };
  each("loss", "loss", config.get("loss"), each);
  each("metric", "metrics", config.get("metrics"), each);
  each("metric", "weighted_metrics", config.get("weighted_metrics"), each);
  return std::move(check.found);
}

std::string sentence(const ClassFinding& f) {
  std::string owner = f.kind == "layer" ? fmt::format("layer \"{}\" ({})", f.name, f.class_name) : f.name.empty() ? fmt::format("{} {}", f.kind, f.class_name) : fmt::format("{} {} of layer \"{}\"", f.kind, f.class_name, f.name);
  return fmt::format("{}: {}{}", owner, f.note, f.fix.empty() ? "" : "\n        " + f.fix);
}

void make_or_list(const Value& saved, const std::string& where, const std::function<void()>& make) {
  try {
    make();
  } catch (const Error&) {
    std::vector<ClassFinding> all;
    try {
      all = check_config(saved);
    } catch (const std::exception&) {
      // A configuration so damaged that it can't even be looked over: the first error stands.
    }
    std::erase_if(all, [](const ClassFinding& f) { return f.fits(); });
    if (all.size() < 2) throw;
    std::string list;
    for (const ClassFinding& f : all) list += "\n    " + sentence(f);
    throw ValueError(ErrorText{.what = fmt::format("{} parts of the model can't be made", all.size()), .where = where, .received = list}.str());
  }
}

}  // namespace keras::saving
