// What lives here: printing a run, as text and as JSON, and comparing it with a list of what must pass.
#include "conformance/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>

#include "io/file.h"
#include "io/json.h"

namespace keras::conformance {

namespace {

struct Counts {
  int64_t passed = 0, failed = 0, unsupported = 0, variants = 0, variants_held = 0;
  void add(const Result& r) {
    passed += r.outcome == Outcome::Passed;
    failed += r.outcome == Outcome::Failed;
    unsupported += r.outcome == Outcome::Unsupported;
    variants += r.outcome == Outcome::Variant;
    variants_held += r.outcome == Outcome::Variant && r.held;
  }
  Dict json() const {
    return {{"passed", passed}, {"failed", failed}, {"unsupported", unsupported}, {"variants", variants}, {"variants_held", variants_held}};
  }
};

const char* name_of(Outcome o) {
  return std::array{"passed", "failed", "unsupported", "variant"}[static_cast<size_t>(o)];
}

using PerClass = std::map<std::string, Counts>;
/// Kinds in the order in which they ran.
std::vector<std::pair<std::string, PerClass>> table(const std::vector<Result>& results) {
  std::vector<std::pair<std::string, PerClass>> kinds;
  for (const Result& r : results) {
    if (kinds.empty() || kinds.back().first != r.kind) kinds.push_back({r.kind, {}});
    kinds.back().second[r.cls].add(r);
  }
  return kinds;
}

std::string line_of(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

void Report::add(Result result) { results_.push_back(std::move(result)); }

void Report::print() const {
  if (json_) return fmt::print("{}\n", io::to_json(as_json(), 1));
  for (const auto& [kind, classes] : table(results_)) {
    Counts sum;
    for (const Result& r : results_)
      if (r.kind == kind) sum.add(r);
    fmt::print("{:<44} {:>7} {:>7} {:>12} {:>9}\n", kind, "passed", "failed", "unsupported", "variants");
    auto row = [](const std::string& name, const Counts& c) {
      fmt::print("  {:<42} {:>7} {:>7} {:>12} {:>9}\n", name, c.passed, c.failed, c.unsupported, c.variants);
    };
    // A kind that isn't replayed says so once.
    if (sum.passed + sum.failed + sum.variants > 0)
      for (const auto& [cls, c] : classes) row(cls, c);
    row(fmt::format("all of {} classes", classes.size()), sum);
    if (sum.unsupported == static_cast<int64_t>(std::count_if(results_.begin(), results_.end(), [&](const Result& r) { return r.kind == kind; })))
      fmt::print("  {}\n", std::find_if(results_.begin(), results_.end(), [&](const Result& r) { return r.kind == kind; })->reason);
    fmt::print("\n");
  }
  for (const Result& r : results_) {
    if (r.held && r.outcome != Outcome::Failed) continue;
    fmt::print("{} {} ({})\n", r.outcome == Outcome::Variant ? "variant" : "FAILED ", r.name, r.cls);
    if (r.outcome == Outcome::Variant) fmt::print("    variant: {}\n", line_of(r.reason));
    std::string first = !r.worst_text.empty() ? r.worst_text : r.wrong.empty() ? "" : r.wrong[0];
    fmt::print("    {}\n", verbose_ ? first : line_of(first));
    for (const std::string& w : r.wrong)
      if (w != first && (verbose_ || &w == &r.wrong[0])) fmt::print("    {}\n", verbose_ ? w : line_of(w));
    if (!verbose_ && r.wrong.size() > 1) fmt::print("    {} things in all do not hold\n", r.wrong.size());
  }
  std::map<std::string, int> missing;
  for (const Result& r : results_)
    if (r.outcome == Outcome::Unsupported) ++missing[r.kind + ": " + r.reason];
  for (const auto& [what, count] : missing) fmt::print("unsupported {:>4}  {}\n", count, what);
}

Value Report::as_json() const {
  Counts sum;
  List units;
  for (const Result& r : results_) {
    sum.add(r);
    units.push_back(Dict{{"kind", r.kind}, {"class", r.cls}, {"name", r.name}, {"outcome", name_of(r.outcome)}, {"reason", r.reason}, {"held", r.held},
                         {"wrong", r.wrong}, {"worst", r.worst_text}});
  }
  Dict per_kind;
  for (const auto& [kind, classes] : table(results_)) {
    Dict d;
    for (const auto& [cls, c] : classes) d.set(cls, c.json());
    per_kind.set(kind, d);
  }
  return Dict{{"total", sum.json()}, {"kinds", per_kind}, {"units", units}};
}

void Report::print_closing() const {
  Counts sum;
  for (const Result& r : results_) sum.add(r);
  fmt::print("{} passed, {} failed, {} skipped\n", sum.passed, sum.failed, sum.unsupported + sum.variants);
}

int Report::finish() const {
  print();
  print_closing();
  return std::any_of(results_.begin(), results_.end(), [](const Result& r) { return r.outcome == Outcome::Failed; });
}

int Report::finish_against(const std::string& list, const std::string& filter) const {
  std::map<std::string, const Result*> by_name;
  for (const Result& r : results_) by_name[r.name] = &r;
  std::istringstream lines(io::read_text_file(list));
  int broken = 0, required = 0;
  print();
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    auto found = by_name.find(line);
    if (found == by_name.end() && !filter.empty()) continue;
    ++required;
    if (found != by_name.end() && found->second->outcome == Outcome::Passed) continue;
    ++broken;
    fmt::print(json_ ? stderr : stdout, "must pass, but {}: {}\n", found == by_name.end() ? "not there" : name_of(found->second->outcome), line);
  }
  fmt::print(json_ ? stderr : stdout, "{} of {} units that must pass do\n", required - broken, required);
  print_closing();
  return broken > 0;
}

void Report::write_list(const std::string& path) const {
  std::set<std::string> names;
  for (const Result& r : results_)
    if (r.outcome == Outcome::Passed) names.insert(r.name);
  std::string text = "# Units of the corpus that must pass, one a line. The list only grows: keras-conformance CORPUS --write-list FILE writes it.\n";
  for (const std::string& n : names) text += n + "\n";
  io::write_file_atomic(path, text);
}

}  // namespace keras::conformance
