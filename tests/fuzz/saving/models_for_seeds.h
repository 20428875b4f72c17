// What lives here: small models whose files the targets of this folder start from. Tests only.
#pragma once
#include <keras/keras.h>

#include "fuzz/fuzz_target.h"

namespace keras::fuzz {

/// Models that together have most kinds of things in their configurations.
std::vector<std::pair<std::string, Model>> seed_models();
/// One that is compiled and has trained a step.
Model trained_model();

/// Loads weights into such a model: where that fails, the error names `place`, and model and optimizer must be as they were.
void load_into_trained(const std::string& path, const std::string& place);

/// What every target here wants: no warnings on the terminal, names that start from nothing, and little memory for each tensor.
class Quiet {
 public:
  Quiet();
  ~Quiet();

 private:
  WarningHandler before_;
  size_t limit_;
};

}  // namespace keras::fuzz
