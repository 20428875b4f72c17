// What lives here: the trace of trust: inputs and outputs inside a model's file, and recomputing them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <keras/base/value.h>

namespace keras::saving {

struct VerifyOptions {
  /// Allowed difference, relative to the largest value of an output.
  double tolerance = 1e-4;
};

struct VerifyReport {
  struct Departure {
    std::string layer{}, class_name{};  // layer: "encoder/dense" inside a nested model
    double max_abs = 0, max_rel = 0;
    std::string note{};
  };
  size_t layers = 0;   // outputs of layers compared
  size_t outputs = 0;  // outputs of the model compared
  double worst = 0;    // largest relative difference of an output of the model
  std::optional<Departure> departure{};  // the first layer that departs, or the output
  bool holds = false;

  Value to_value() const;
  std::string str() const;
};

/// Recomputes what `model.save(path, {.golden = x})` stored in a `.keras` file, layer by layer. ValueError where the file holds no trace.
VerifyReport verify(const std::string& path, const VerifyOptions& options = {});

}  // namespace keras::saving
