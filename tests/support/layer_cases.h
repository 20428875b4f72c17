// What lives here: the check that holds layers against single calls recorded from Keras (the conformance corpus' kind "layers").
#pragma once
#include <string>
#include <vector>

namespace keras::testing {

/// Checks every recorded case whose slug begins with one of `families` ("conv2d-"): the saved layer opens with its weights; configuration,
/// variables, counts, symbolic shapes, outputs, outputs and states after a training call, gradients and losses are those of Keras.
/// Returns how many there were; 0 where there are no recorded values beside the project. `except` names whole slugs to leave out.
int check_recorded_layers(const std::vector<std::string>& families, const std::vector<std::string>& except = {});

}  // namespace keras::testing
