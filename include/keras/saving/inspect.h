// What lives here: everything that can be known of a model's file before (or instead of) loading it. No loading itself.
#pragma once
#include <string>
#include <vector>

#include <keras/base/shape.h>
#include <keras/base/value.h>

namespace keras::saving {

/// A class that the file's configuration names: every layer, and of other objects (initializers, losses, …) those that make trouble.
struct ClassFinding {
  /// Known: made as it stands. Approximated: made from the words of an older Keras, see `note`. Unknown: no class of that name is
  /// registered. Refused: code in the file. Damaged: the class is known and its configuration is not acceptable.
  enum Status { Known, Approximated, Unknown, Refused, Damaged };
  Status status = Known;
  std::string kind{};        // "layer", "initializer", …
  std::string path{};        // in the configuration: "layers/3", "layers/3/layer/cell"
  std::string name{};        // of the layer
  std::string class_name{};  // as the file names it, "Package>Name" where it was registered
  std::string note{};        // what is approximated, or why it can't be made
  std::string fix{};         // the line of C++ that would register it, or what else helps
  bool fits() const { return status <= Approximated; }
};

/// One weight, of the file or of the model.
struct WeightFinding {
  /// Loaded: file and model agree. Missing: the model has it, the file does not. Surplus: the other way. Misshapen: shapes differ.
  /// Unchecked: there is no model to compare with.
  enum Status { Loaded, Missing, Surplus, Misshapen, Unchecked };
  Status status = Loaded;
  std::string path{};       // in the file: "layers/dense/vars/0", or "dense/kernel" for files of Keras 2
  std::string owner{};      // layer "dense" (Dense); empty where nothing owns it
  std::string variable{};   // the model's name of it; empty for surplus weights
  Shape expected{}, found{};  // in the model, in the file; empty where it is not there
  std::string dtype{};      // in the file
  std::string text{};       // one sentence, for errors
};

/// All that `keras doctor` tells.
struct FileReport {
  std::string path{};
  std::string format{};  // ".keras", "folder", ".weights.h5", "sharded weights", "legacy .h5", "legacy weights .h5", "JSON"
  std::string keras_version{}, backend{}, date_saved{};  // as the file says; empty where it does not
  bool compiled = false;                           // it holds an optimizer, loss or metrics
  bool has_model = false;                          // it holds an architecture, not weights alone
  std::vector<ClassFinding> classes{};
  std::vector<WeightFinding> weights{};
  std::vector<std::string> members{};   // of an archive
  std::vector<std::string> problems{};  // why it would not load, in sentences
  std::vector<std::string> notes{};     // what is worth knowing and does no harm
  /// True when load_model (for weights: load_weights into the architecture that was given) would take it.
  bool loads = false;

  Value to_value() const;
  /// The report as text, a finding a line; weights that load are counted unless `all_weights`.
  std::string str(bool all_weights = false) const;
};

struct InspectOptions {
  /// What a file of weights is compared with: a model's file or the JSON of an architecture.
  std::string architecture{};
};

/// Reads the file and tells all that it holds and lacks at once: every layer (known, approximated, unknown, refused), every weight
/// (loaded, missing, surplus, misshapen), versions, and the lines that would register what is unknown. Nothing in the file is executed.
/// RuntimeError where the file can't be read; a file that is damaged is a report with problems.
///
///     keras::saving::FileReport report = keras::saving::inspect("model.keras");
///     if (!report.loads) std::puts(report.str().c_str());
FileReport inspect(const std::string& path, const InspectOptions& options = {});

}  // namespace keras::saving
