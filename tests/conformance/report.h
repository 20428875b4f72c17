// What lives here: the report of a run: counts per kind and class, failures, lists of what must pass. No replaying.
#pragma once
#include <string>
#include <vector>

#include "conformance/unit.h"

namespace keras::conformance {

class Report {
 public:
  Report(bool json, bool verbose) : json_(json), verbose_(verbose) {}
  void add(Result result);
  /// Prints everything; 1 when a unit failed.
  int finish() const;
  /// The same; 1 when a unit of the list (one name a line, # comments) that `filter` does not leave out did not pass.
  int finish_against(const std::string& list, const std::string& filter) const;
  void write_list(const std::string& path) const;

 private:
  void print() const;
  void print_closing() const;
  Value as_json() const;
  bool json_, verbose_;
  std::vector<Result> results_;
};

}  // namespace keras::conformance
