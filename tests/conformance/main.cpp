// What lives here: the program keras-conformance: it walks the corpus, replays each unit, reports. No comparison.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>

#include <keras/base/warning.h>

#include "conformance/kinds.h"
#include "conformance/report.h"
#include "core/impl.h"

namespace fs = std::filesystem;
using namespace keras;
using namespace keras::conformance;

namespace {

struct Options {
  fs::path corpus;
  std::string filter, list, write_list;
  bool json = false, verbose = false;
};

constexpr const char* kUsage =
    "keras-conformance DIR [--filter TEXT] [--json] [--verbose] [--list FILE] [--write-list FILE]\n"
    "Replays recorded cases of Keras. DIR: the corpus. --filter: units whose kind/case/id or class holds TEXT.\n"
    "--list: fail only for units of the list that do not pass. --write-list: writes what passes. --verbose: everything that is wrong.\n";

Result replay(const Kind& kind, const Folder& folder, const Value& record, const std::string& name) {
  Result r{.kind = kind.name, .cls = folder.json().get(kind.of).is_string() ? folder.json().get(kind.of).as_string() : folder.slug(), .name = name};
  const Value& variant = record.is_null() ? folder.json().get("variant") : record.get("variant");
  if (!kind.replay) {
    r.outcome = Outcome::Unsupported;
    r.reason = "this kind is not replayed yet";
    return r;
  }
  Check check(r);
  core::clear_names();
  try {
    kind.replay(folder, record, check);
  } catch (const Unsupported& u) {
    r.outcome = Outcome::Unsupported;
    r.reason = u.text;
    return r;
  } catch (const std::exception& e) {
    check.that(false, e.what());
  } catch (...) {
    check.that(false, "an exception that is no std::exception");
  }
  r.held = r.wrong.empty();
  r.outcome = r.held ? Outcome::Passed : Outcome::Failed;
  if (!variant.is_null()) {
    r.outcome = Outcome::Variant;
    r.reason = variant.is_string() ? variant.as_string() : variant.str();
  }
  return r;
}

void run_kind(const Kind& kind, const Options& o, Report& report) {
  std::vector<fs::path> folders;
  if (!fs::is_directory(o.corpus / kind.name)) return;
  for (const auto& entry : fs::directory_iterator(o.corpus / kind.name))
    if (fs::exists(entry.path() / "case.json")) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const fs::path& path : folders) {
    std::string base = std::string(kind.name) + "/" + path.filename().string();
    try {
      Folder folder(path);
      const Value& cls = folder.json().get(kind.of);
      auto wanted = [&](const std::string& name) {
        return o.filter.empty() || name.find(o.filter) != std::string::npos || (cls.is_string() && cls.as_string().find(o.filter) != std::string::npos);
      };
      if (!kind.packed) {
        if (wanted(base)) report.add(replay(kind, folder, Value(), base));
        continue;
      }
      for (const Value& record : folder.json().get("records").as_list()) {
        std::string name = base + "/" + record.get("id").str();
        if (wanted(name)) report.add(replay(kind, folder, record, name));
      }
    } catch (const std::exception& e) {
      report.add({.kind = kind.name, .cls = path.filename(), .name = base, .outcome = Outcome::Failed, .reason = {}, .held = false, .wrong = {e.what()}});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    auto value = [&]() -> std::string {
      if (i + 1 < argc) return argv[++i];
      std::cerr << a << " needs a value\n" << kUsage;
      std::exit(2);
    };
    if (a == "--filter") {
      o.filter = value();
    } else if (a == "--list") {
      o.list = value();
    } else if (a == "--write-list") {
      o.write_list = value();
    } else if (a == "--json") {
      o.json = true;
    } else if (a == "--verbose") {
      o.verbose = true;
    } else if (a == "--help") {
      std::cout << kUsage;
      return 0;
    } else if (a.rfind("-", 0) == 0 || !o.corpus.empty()) {
      std::cerr << "unknown argument " << a << "\n" << kUsage;
      return 2;
    } else {
      o.corpus = a;
    }
  }
  if (o.corpus.empty() || !fs::is_directory(o.corpus)) {
    std::cerr << (o.corpus.empty() ? "which corpus?" : "no such folder: " + o.corpus.string()) << "\n" << kUsage;
    return 2;
  }
  set_warning_handler([](const std::string&) {});
  try {
    register_cells();
    Report report(o.json, o.verbose);
    for (const Kind& kind : kinds()) run_kind(kind, o, report);
    if (!o.write_list.empty()) report.write_list(o.write_list);
    if (!o.list.empty()) return report.finish_against(o.list, o.filter);
    return report.finish();
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 2;
  }
}
