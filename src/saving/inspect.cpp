// What lives here: telling all that a file holds and lacks, without loading it.
#include <keras/saving/inspect.h>

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <keras/base/warning.h>
#include <map>

#include "core/impl.h"
#include "io/file.h"
#include "io/json.h"
#include "models/functional.h"
#include "saving/config_check.h"
#include "saving/keras_file.h"
#include "saving/legacy_h5.h"
#include "saving/weights_tree.h"

namespace keras::saving {

namespace {

struct Inspection {
  FileReport report{};
  Value config{};           // of the model, in the words of Keras 3
  Dict compile{};
  Translations notes{};

  void problem(std::string text) { report.problems.push_back(std::move(text)); }
  /// Runs one part of the look; what it throws is a problem and no end.
  template <class F> bool attempt(F&& f) {
    try {
      f();
      return true;
    } catch (const std::exception& e) {
      std::string text = e.what();
      if (std::find(report.problems.begin(), report.problems.end(), text) == report.problems.end()) problem(text);
      return false;
    }
  }

  std::optional<Model> check_model(const std::string& where) {
    report.classes = check_config(config, notes);
    for (const Translation& t : notes)
      if (t.layer.empty()) report.notes.push_back(t.text);
    size_t troubled = 0;
    for (const ClassFinding& f : report.classes)
      if (!f.fits()) problem(sentence(f)), ++troubled;
    if (!compile.empty()) {
      report.compiled = true;
      for (ClassFinding& f : check_compile_config(compile, notes)) {
        problem(sentence(f));
        report.classes.push_back(std::move(f));
      }
    }
    if (troubled) return {};
    std::optional<Model> model;
    attempt([&] { model = model_from_saved(config, where); });
    return model;
  }

  void take(WeightMatch match) {
    for (WeightFinding& f : match.findings) {
      if (f.status != WeightFinding::Loaded) problem(f.text);
      report.weights.push_back(std::move(f));
    }
  }
  // Without a model: what is there, and to which layer of the configuration it would belong.
  void list_weights(const WeightIndex& file) {
    std::map<std::string, std::string> owners;
    auto walk = [&](auto&& self, const Value& saved, const std::string& path) -> void {
      const Value& layers = saved.get("config").get("layers");
      if (!layers.is_list()) return;
      std::map<std::string, int> used;
      for (const Value& l : layers.as_list()) {
        if (!l.get("class_name").is_string()) continue;
        const std::string& registered = l.get("registered_name").is_string() ? l.get("registered_name").as_string() : l.get("class_name").as_string();
        std::string cls = registered.substr(registered.rfind('>') + 1), name = core::to_snake_case(cls);
        auto [it, fresh] = used.try_emplace(name, 0);
        if (!fresh) name += "_" + std::to_string(++it->second);
        std::string at = (path.empty() ? "layers/" : path + "/layers/") + name;
        owners[at] = fmt::format("layer \"{}\" ({})", l.get("config").get("name").is_string() ? l.get("config").get("name").as_string() : "", cls);
        self(self, l, at);
      }
    };
    walk(walk, config, "");
    for (const auto& [vars, datasets] : file.vars())
      for (const std::string& n : file.names(vars)) {
        WeightFinding f{.status = WeightFinding::Unchecked, .path = vars + "/" + n};
        std::string above = vars;
        while (!above.empty() && !owners.count(above)) above = above.find('/') == std::string::npos ? "" : above.substr(0, above.rfind('/'));
        if (!above.empty()) f.owner = owners.at(above);
        if (!attempt([&] {
              io::H5DatasetInfo info = file.info(f.path);
              f.found = info.shape, f.dtype = dtype_name(info.dtype);
              file.read(f.path);
            }))
          continue;
        report.weights.push_back(std::move(f));
      }
  }
  void list_legacy_weights(const io::H5Group& root) {
    attempt([&] {
      io::H5Group group = root.contains("model_weights") ? root.group("model_weights") : root;
      for (const std::string& layer : group.attr_strings("layer_names")) {
        io::H5Group g = group.group(layer);
        if (!g.has_attr("weight_names") && !g.has_attr("weight_names0")) continue;
        for (const std::string& n : g.attr_strings("weight_names")) {
          io::H5DatasetInfo info = g.info(n);
          g.read(n);
          report.weights.push_back({.status = WeightFinding::Unchecked, .path = layer + "/" + n, .owner = "layer \"" + layer + "\"", .found = info.shape, .dtype = dtype_name(info.dtype)});
        }
      }
    });
  }
  void versions(const io::H5Group& root) {
    for (const io::H5Group& g : {root, root.contains("model_weights") ? root.group("model_weights") : root})
      attempt([&] {
        if (report.keras_version.empty() && g.has_attr("keras_version")) report.keras_version = g.attr_string("keras_version");
        if (report.backend.empty() && g.has_attr("backend")) report.backend = g.attr_string("backend");
      });
  }

  void check_compile(std::optional<Model>& model) {
    if (!model || compile.empty() || !report.problems.empty()) return;
    attempt([&] {
      with_where("compile_config", [&] {
        model->compile_from_config(compile);
        if (model->built()) model->optimizer().build(model->trainable_weights());
      });
    });
  }

  void archive(const KerasParts& parts) {
    report.members = parts.names();
    attempt([&] {
      if (!parts.contains("metadata.json")) return;
      Value m = io::parse_json(parts.read_text("metadata.json"), parts.where() + ": metadata.json");
      if (m.get("keras_version").is_string()) report.keras_version = m.get("keras_version").as_string();
      if (m.get("date_saved").is_string()) report.date_saved = m.get("date_saved").as_string();
    });
    report.has_model = parts.contains("config.json");
    std::optional<Model> model;
    if (!report.has_model) problem("there is no member config.json");
    else if (attempt([&] { config = read_config(parts, &notes); })) {
      if (config.get("compile_config").is_dict()) compile = config.get("compile_config").as_dict();
      model = check_model(parts.where() + ": config.json");
    }
    std::optional<io::H5File> h5;
    if (!attempt([&] { h5 = open_weights(parts); })) return;
    attempt([&] {
      WeightIndex file(h5->root());
      if (!model) return list_weights(file);
      take(match_weights(*model, file, false));
      attempt([&] { load_assets(*model, parts); });
      check_compile(model);
      if (model->compiled()) take(match_optimizer(*model, file));
    });
    if (parts.contains("golden/trace.json")) report.notes.push_back("it holds a trace of trust: keras verify");
  }

  void legacy(const io::H5Group& root) {
    report.format = root.has_attr("model_config") ? "legacy .h5" : "legacy weights .h5";
    report.has_model = root.has_attr("model_config");
    versions(root);
    std::optional<Model> model;
    if (report.has_model && attempt([&] { config = legacy_model_config(root, report.path, &notes); })) {
      attempt([&] { compile = legacy_compile_config(root, &notes); });
      model = check_model(report.path + ": model_config");
    }
    if (!model) return list_legacy_weights(root);
    attempt([&] { take(match_legacy_weights(*model, root, false, false)); });
    check_compile(model);
  }

  void weights_for(const std::string& architecture, const std::function<WeightMatch(const Model&)>& match) {
    std::optional<Model> model;
    attempt([&] {
      if (architecture.ends_with(".json")) {
        config = modern_json(io::parse_json(io::read_text_file(architecture), architecture), &notes);
      } else {
        FileReport other = inspect(architecture);
        if (!other.has_model) return problem(architecture + " holds no architecture");
        if (architecture.ends_with(".keras")) config = read_config(*open_archive(io::ZipReader(architecture)), &notes);
        else config = legacy_model_config(io::H5File::open(architecture).root(), architecture, &notes);
      }
      model = check_model(architecture);
    });
    if (model && !model->built()) problem("the architecture says no shape of its input, so that it has no weights to compare");
    else if (model) attempt([&] { take(match(*model)); });
  }
};

}  // namespace

FileReport inspect(const std::string& path, const InspectOptions& options) {
  Inspection look;
  FileReport& r = look.report;
  r.path = path;
  // What loaders warn of is said in the report.
  WarningHandler before = set_warning_handler([&](const std::string& text) { r.notes.push_back(text); });
  struct Restore {
    WarningHandler before;
    ~Restore() { set_warning_handler(std::move(before)); }
  } restore{std::move(before)};

  if (std::filesystem::is_directory(path)) {
    r.format = "folder";
    look.attempt([&] { look.archive(*open_folder(path)); });
  } else if (path.ends_with(".weights.json")) {
    r.format = "sharded weights";
    std::optional<WeightIndex> file;
    io::read_file(path);  // unreadable is no report
    if (look.attempt([&] { file = WeightIndex::sharded(path); })) {
      if (options.architecture.empty()) look.list_weights(*file);
      else look.weights_for(options.architecture, [&](const Model& m) { return match_weights(m, *file, false); });
    }
  } else {
    io::Bytes bytes = io::read_file(path);
    auto starts = [&](std::string_view magic) { return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), reinterpret_cast<const char*>(bytes.data())); };
    if (starts("\x89HDF\r\n\x1a\n")) {
      r.format = "HDF5";
      look.attempt([&] {
        io::H5File file = io::H5File::from_bytes(std::move(bytes), path);
        if (file.root().has_attr("model_config")) return look.legacy(file.root());
        bool old = holds_legacy_weights(file.root());
        r.format = old ? "legacy weights .h5" : ".weights.h5";
        look.versions(file.root());
        if (options.architecture.empty()) return old ? look.list_legacy_weights(file.root()) : look.list_weights(WeightIndex(file.root()));
        look.weights_for(options.architecture, [&](const Model& m) { return old ? match_legacy_weights(m, file.root(), false, false) : match_weights(m, WeightIndex(file.root()), false); });
      });
    } else if (starts("PK") || path.ends_with(".keras")) {
      r.format = ".keras";
      look.attempt([&] { look.archive(*open_archive(io::ZipReader(std::move(bytes), path))); });
    } else if (path.ends_with(".json")) {
      r.format = "JSON";
      r.has_model = true;
      look.attempt([&] {
        look.config = io::parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
        for (auto [key, to] : {std::pair<const char*, std::string*>{"keras_version", &r.keras_version}, {"backend", &r.backend}})
          if (look.config.get(key).is_string()) *to = look.config.get(key).as_string();
        look.config = modern_json(look.config, &look.notes);
        look.check_model(path);
      });
    } else {
      r.format = "unknown";
      look.problem(ErrorText{.what = "this is no file of a model", .where = path, .expected = ".keras, .h5, .weights.h5, .weights.json or .json"}.str());
    }
  }
  if (!r.has_model && options.architecture.empty() && r.problems.empty()) r.notes.push_back("it holds weights alone: give an architecture to compare them with");
  r.loads = r.problems.empty();
  return std::move(r);
}

// ---- telling
static const char* name_of(ClassFinding::Status s) {
  static const char* const names[] = {"known", "approximated", "unknown", "refused", "damaged"};
  return names[s];
}
static const char* name_of(WeightFinding::Status s) {
  static const char* const names[] = {"loaded", "missing", "surplus", "misshapen", "unchecked"};
  return names[s];
}

Value FileReport::to_value() const {
  auto texts = [](const std::vector<std::string>& v) {
    List l;
    for (const std::string& s : v) l.push_back(s);
    return l;
  };
  List cs, ws;
  for (const ClassFinding& f : classes)
    cs.push_back(Dict{{"status", name_of(f.status)}, {"kind", f.kind}, {"path", f.path}, {"name", f.name}, {"class_name", f.class_name}, {"note", f.note}, {"fix", f.fix}});
  for (const WeightFinding& f : weights) {
    bool expected = f.status != WeightFinding::Surplus && f.status != WeightFinding::Unchecked, found = f.status != WeightFinding::Missing;
    ws.push_back(Dict{{"status", name_of(f.status)}, {"path", f.path}, {"owner", f.owner}, {"variable", f.variable}, {"expected", expected ? Value(f.expected) : Value()}, {"found", found ? Value(f.found) : Value()}, {"dtype", f.dtype}});
  }
  return Dict{{"path", path},           {"format", format},   {"keras_version", keras_version.empty() ? Value() : Value(keras_version)},
              {"backend", backend.empty() ? Value() : Value(backend)}, {"date_saved", date_saved.empty() ? Value() : Value(date_saved)},
              {"loads", loads},         {"has_model", has_model}, {"compiled", compiled},
              {"layers", cs},           {"weights", ws},      {"members", texts(members)},
              {"problems", texts(problems)}, {"notes", texts(notes)}};
}

std::string FileReport::str(bool all_weights) const {
  std::string out = fmt::format("{}: {}{}{}{}\n", path, format, keras_version.empty() ? "" : ", written by Keras " + keras_version, backend.empty() ? "" : " on " + backend,
                                date_saved.empty() ? "" : ", saved " + date_saved);
  std::map<std::string, size_t> known;
  if (!classes.empty()) out += "\nlayers\n";
  for (const ClassFinding& f : classes) {
    std::string what = f.name.empty() ? f.class_name : fmt::format("\"{}\" ({})", f.name, f.class_name);
    out += fmt::format("  {:<12} {} {}{}\n", name_of(f.status), f.kind, what, f.note.empty() ? "" : ": " + f.note);
    if (!f.fix.empty()) out += fmt::format("  {:<12}   {}\n", "", f.fix);
  }
  if (!weights.empty()) out += "\nweights\n";
  std::map<int, size_t> counts;
  for (const WeightFinding& f : weights) {
    ++counts[f.status];
    bool quiet = f.status == WeightFinding::Loaded || f.status == WeightFinding::Unchecked;
    if (quiet && !all_weights) continue;
    if (quiet) out += fmt::format("  {:<12} {} {} {}{}{}\n", name_of(f.status), f.path, f.found.str(), f.dtype, f.owner.empty() ? "" : ", " + f.owner, f.variable.empty() ? "" : " \"" + f.variable + "\"");
    else out += fmt::format("  {:<12} {}\n", name_of(f.status), f.text.find(": ") == std::string::npos ? f.text : f.text.substr(f.text.find(": ") + 2));
  }
  for (const auto& [status, n] : counts)
    if (status == WeightFinding::Loaded || status == WeightFinding::Unchecked) out += fmt::format("  {} {}\n", n, status == WeightFinding::Loaded ? "fit" : "in the file, not compared with a model");
  // What neither a layer nor a weight said.
  std::string rest;
  for (const std::string& p : problems) {
    bool told = std::any_of(weights.begin(), weights.end(), [&](const WeightFinding& f) { return f.text == p; }) ||
                std::any_of(classes.begin(), classes.end(), [&](const ClassFinding& f) { return !f.fits() && sentence(f) == p; });
    if (!told) rest += "  " + p + "\n";
  }
  if (!rest.empty()) out += "\nproblems\n" + rest;
  if (!notes.empty()) out += "\n";
  for (const std::string& n : notes) out += "note: " + n + "\n";
  out += loads ? has_model ? "\nit loads\n" : "\nthe weights can be read\n" : fmt::format("\nit does not load: {} problem{}\n", problems.size(), problems.size() == 1 ? "" : "s");
  return out;
}

}  // namespace keras::saving
